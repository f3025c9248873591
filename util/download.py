"""Fetching a file from the web: whole or not at all."""

import hashlib
import http.client
import urllib.request
from pathlib import Path

from tqdm import tqdm

from util.files import written_atomically

CHUNK = 1 << 20


def download(url: str, path: Path | str, sha256: str = "", seconds: float = 30) -> str:
    """Fetch `url` to `path`, which takes its place only once it is whole.

    Args:
        url: http or https.
        path: where it goes; parent folders are made.
        sha256: hexadecimal digits that the file's SHA-256 must begin with.
        seconds: how long the server may be silent.

    Returns:
        the file's SHA-256.

    Raises:
        OSError: there is no such file, no connection, a web page in its place, not all of it arrived, or it is another.
    """
    digest = hashlib.sha256()
    opener = urllib.request.build_opener()  # urlopen would keep the proxies that it found when it was first called
    try:
        with opener.open(url, timeout=seconds) as response, written_atomically(path) as temporary:
            if response.headers.get_content_type() == "text/html":
                raise OSError("a web page came instead of the file")
            total = int(response.headers.get("Content-Length") or 0)
            with open(temporary, "wb") as file, tqdm(total=total or None, desc=url, unit="B", unit_scale=True) as bar:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
                if total and file.tell() != total:
                    raise OSError(f"{file.tell()} of {total} bytes arrived")
            if not digest.hexdigest().startswith(sha256):
                raise OSError(f"another file came: its SHA-256 is {digest.hexdigest()}; expected {sha256}...")
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(str(error) or type(error).__name__) from error
    return digest.hexdigest()
