"""Fetch a file, or an archive and unpack it. What does not arrive whole leaves nothing behind.

    python scripts/download.py URL DESTINATION [--unpack] [--instead "what to do when the link is dead"]
"""

import lzma
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from util.command_line import OneLineParser
from util.download import download, refuse_bombs
from util.errors import UserError, reported_in_one_line
from util.files import folder_filled_atomically


def main() -> None:
    """Fetch what the command line names, unless it is there already."""
    parser = OneLineParser(description="Fetch a file, or an archive and unpack it.")
    parser.add_argument("url", metavar="URL", help="http(s) address")
    parser.add_argument("destination", metavar="DESTINATION", type=Path, help="file, or folder with --unpack")
    parser.add_argument("--unpack", action="store_true", help="the file is a zip archive: unpack it into a folder")
    parser.add_argument("--instead", metavar="TEXT", default="try again later",
                        help="what to do when the link is dead, for the message (default: %(default)s)")
    opt = parser.parse_args()
    if opt.destination.exists():
        print(f"{opt.destination}: already there; remove it to fetch it again")
    elif opt.unpack:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "archive.zip")
            fetch(opt.url, archive, opt.instead)
            unpack(archive, opt.destination, opt.url)
        print(f"unpacked: {opt.destination}")
    else:
        fetch(opt.url, opt.destination, opt.instead)
        print(f"saved: {opt.destination}")


def fetch(url: str, path: Path, instead: str) -> None:
    """Download `url` to `path` and print its SHA-256.

    Args:
        url: http or https.
        path: takes the file's place only once it is whole.
        instead: what the user can do without it, for the message.

    Raises:
        UserError: there is no such file, no connection, a web page in its place, or not all of it arrived.
    """
    try:
        digest = download(url, path)
    except OSError as error:
        raise UserError(f"{url}: could not be fetched ({error}); {instead}") from error
    print(f"sha256 {digest}  {url}")


def unpack(archive: Path, folder: Path, name: str, inside: str = "") -> None:
    """Unpack a zip archive into `folder`; a single folder that holds everything inside it is left out.

    Args:
        archive: the file.
        folder: filled only if all of the archive can be unpacked.
        name: what messages call the archive.
        inside: leave that single folder out only if this is its name.

    Raises:
        UserError: it is no whole zip archive, would be far too large, or holds a link or a path out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as content, folder_filled_atomically(folder) as temporary:
            refuse_bombs(content)
            members = [m for m in content.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
            if not members:
                raise zipfile.BadZipFile("no files in it")
            paths = [_safe_path(member, name) for member in members]
            tops = {path.parts[0] for path in paths}
            shared = len(tops) == 1 and all(len(path.parts) > 1 for path in paths) and (not inside or inside in tops)
            for member, path in zip(members, paths):
                target = temporary.joinpath(*path.parts[1 if shared else 0:])
                target.parent.mkdir(parents=True, exist_ok=True)
                with content.open(member) as source, open(target, "wb") as file:
                    shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
            OSError) as error:
        raise UserError(f"{name}: not a whole zip archive ({error}); expected one. Try again later") from error


def _safe_path(member: zipfile.ZipInfo, name: str) -> PurePosixPath:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    mode = member.external_attr >> 16
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or stat.S_ISLNK(mode):
        raise UserError(f"{name}: holds {member.filename!r}, a link or a path out of its folder; expected plain files "
                        "inside it. Nothing was unpacked; do not trust this archive")
    return path


if __name__ == "__main__":
    with reported_in_one_line():
        main()
