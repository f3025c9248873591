"""Files that are either whole or not there."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_atomically(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` only if the block ends without an exception.

    The temporary file keeps the ending of `path`, so that libraries which choose a format by it still can.
    Parent folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part" + path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with written_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flush_to_disk(path: Path) -> None:
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def folder_filled_atomically(folder: Path | str) -> Iterator[Path]:
    """Yield an empty temporary folder beside `folder`; what is in it moves into `folder` only if the block succeeds.

    Its files and folders take the place of those of the same name; others in `folder` are left alone.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent) as name:
        temporary = Path(name, "new")
        temporary.mkdir()
        yield temporary
        folder.mkdir(exist_ok=True)
        for made in temporary.iterdir():
            earlier = folder / made.name
            if earlier.exists():
                earlier.rename(Path(name, made.name))
            made.rename(earlier)
