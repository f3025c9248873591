"""Files that are either whole or not there, and folders that belong to one process.

What is not whole yet lies beside its place, as `.<process>-<machine>-....part`. A program that is killed leaves it
there; the next one that writes to that folder removes it.
"""

import contextlib
import functools
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

if sys.platform != "win32":
    import fcntl

MACHINE = re.sub(r"\W|_", "", socket.gethostname())


@contextlib.contextmanager
def written_atomically(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` only if the block ends without an exception.

    The temporary file keeps the ending of `path`, so that libraries which choose a format by it still can.
    Parent folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent.absolute())
    handle, name = tempfile.mkstemp(prefix=_own_prefix(), suffix=".part" + path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        _name_what_was_meant(error, temporary, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give what is in `source` a second name, atomically; where the file system knows no hard links, a copy.

    A file that is replaced keeps its contents under other names: `written_atomically` never changes one in place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{_own_prefix()}link.part{target.suffix}")
    try:
        temporary.unlink(missing_ok=True)
        os.link(source, temporary)
        os.replace(temporary, target)
    except OSError:
        with written_atomically(target) as copied:
            shutil.copyfile(source, copied)
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
    beside = folder if folder.is_mount() else folder.parent  # files can be moved within a disk only
    _remove_abandoned(beside.absolute())
    with tempfile.TemporaryDirectory(prefix=_own_prefix(), suffix=".part", dir=beside) as name:
        temporary = Path(name, "new")
        temporary.mkdir()
        try:
            yield temporary
        except OSError as error:
            _name_what_was_meant(error, temporary, folder)
            raise
        folder.mkdir(exist_ok=True)
        for made in temporary.iterdir():
            earlier = folder / made.name
            if earlier.exists():
                earlier.rename(Path(name, made.name))
            made.rename(earlier)


def locked(path: Path | str) -> TextIO:
    """Lock a file for as long as what is returned exists, at most until this process ends, however it ends.

    Where the file system knows no locks, nothing is locked.

    Raises:
        BlockingIOError: another process has the lock; the text says which.
    """
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (closing it would unlock it)
    if sys.platform != "win32":
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise BlockingIOError(file.read().strip()) from None
        except OSError:
            pass
    file.truncate(0)
    file.write(f"{os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def _name_what_was_meant(error: OSError, temporary: Path, path: Path) -> None:
    """Let an error of the system name the place that the user knows; writing to an open file names none."""
    if error.errno is None:
        return
    with contextlib.suppress(AttributeError):  # PyAV's cannot be changed
        error.filename = str(error.filename or temporary).replace(str(temporary), str(path))


def _own_prefix() -> str:
    return f".{os.getpid()}-{MACHINE}-"


@functools.cache
def _remove_abandoned(folder: Path) -> None:
    """Remove what processes left in a folder that were killed on this machine while they wrote; looks once."""
    if os.name != "posix":
        return
    for path in folder.glob(".*.part*"):
        owner = re.match(rf"\.(\d{{1,7}})-{re.escape(MACHINE)}-", path.name)
        if owner and not _lives(int(owner[1])):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
