"""Files that are either whole or not there, and folders that belong to one process.

What is not whole yet lies beside its place, as `.<process>-<machine>-....part`. A program that is killed leaves it
there; the next one that writes to that folder removes it.
"""

import contextlib
import errno
import functools
import itertools
import json
import os
import re
import shutil
import socket
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

try:
    import fcntl
    HAS_LOCKS = True
except ImportError:  # Windows
    HAS_LOCKS = False

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
        with _held(temporary):
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


def read_text(path: Path | str) -> str:
    """Text that people may have edited: UTF-8, with or without the mark that Windows' editors put in front.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read, or is no UTF-8.
    """
    return Path(path).read_text(encoding="utf-8-sig")


def mark_of_files(files: Iterable[Path]) -> str:
    """A word that tells files from others by their names, sizes and order: hexadecimal digits."""
    mark = 0
    for path in files:
        mark = zlib.crc32(f"{path.name} {path.stat().st_size}\n".encode("utf-8", "surrogateescape"), mark)
    return f"{mark:08x}"


def _flush_to_disk(path: Path) -> None:
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _flush_all_to_disk(folder: Path) -> None:
    """Else a power cut may leave names of files whose contents were never written, and who made them says all is well.

    What was flushed already takes no time.
    """
    for path in _files_in(folder):
        if not path.is_symlink():
            _flush_to_disk(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def folder_filled_atomically(folder: Path | str) -> Iterator[Path]:
    """Yield an empty temporary folder beside `folder`; what is in it moves into `folder` only if the block succeeds.

    Its files and folders take the place of those of the same name, whatever those hold: it is for folders that are the
    program's own (`results_added` for others). Other names in `folder` are left alone.
    """
    with _new_folder_beside(folder) as (folder, temporary, old):
        yield temporary
        _flush_all_to_disk(temporary)
        folder.mkdir(exist_ok=True)
        for made in temporary.iterdir():
            _swap(made, folder / made.name, old)


@contextlib.contextmanager
def folder_replaced_atomically(folder: Path | str) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`, which takes its place only if the block succeeds."""
    with _new_folder_beside(folder, whole=True) as (folder, temporary, old):
        yield temporary
        _flush_all_to_disk(temporary)
        _swap(temporary, folder, old)


@contextlib.contextmanager
def results_added(folder: Path | str, maker: str, own: bool = False, resumes: str | None = None) -> Iterator[Path]:
    """Yield an empty temporary folder; what is in it moves into `folder`, which may be anybody's, if all goes well.

    What `maker` has made there before, and nobody has changed since, is replaced, or removed if it is not made any
    more: `.made_by_<maker>.json` says what that is. Anything else that bears a name which is needed is moved to
    `earlier/` in the folder, which is told in one line. All the rest stays.

    Args:
        folder: to fill.
        maker: a program's name.
        own: the folder is this program's by its name. Where it does not say yet what was made, as before version 0.2,
            folders in it that are filled again are moved to `earlier/` as a whole: what is in them is of a former time.
        resumes: a word that tells these results from others, of digits and letters. Where a program was killed or
            interrupted that made the same, the temporary folder holds what it has left.
    """
    with (_new_folder_beside(folder) if resumes is None else _unfinished_folder(Path(folder), resumes)
          ) as (folder, temporary, _):
        yield temporary
        _flush_all_to_disk(temporary)
        folder.mkdir(exist_ok=True)
        manifest = folder / f".made_by_{maker}.json"
        before = _marks_in(manifest)
        made = {path.relative_to(temporary).as_posix(): _mark(path) for path in _files_in(temporary)}
        # Should the program be killed while files change places, both the former and the new ones are known as made.
        _write_marks(manifest, {name: before.get(name, []) + ([made[name]] if name in made else [])
                                for name in before | made})
        aside = _AsideFolder(folder)
        if own and not before:
            for path in temporary.iterdir():
                if path.is_dir() and (folder / path.name).is_dir():
                    aside.take(path.name)
        for name in made:
            for parent in reversed(Path(name).parents[:-1]):
                if (folder / parent).is_file():
                    aside.take(parent.as_posix())
                    (folder / parent).unlink(missing_ok=True)
            place = folder / name
            if place.is_dir() or (place.exists() and _mark(place) not in before.get(name, [])):
                aside.take(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            _move(temporary / name, place)
        for name in before.keys() - made.keys():
            if (folder / name).is_file() and _mark(folder / name) in before[name]:
                (folder / name).unlink()
                with contextlib.suppress(OSError):  # of several, the last one leaves an empty folder
                    (folder / name).parent.rmdir()
        _write_marks(manifest, {name: [_mark(folder / name)] for name in made})
        if aside.taken:
            print(f"{aside.folder}: holds what was in {folder} before under names that were needed ({aside.taken[0]}"
                  f"{f' and {len(aside.taken) - 1} more' if len(aside.taken) > 1 else ''})")


class _AsideFolder:
    """Where in a folder that goes which is in the way: `earlier`, or `earlier_2`, ...; made when it is needed."""

    def __init__(self, within: Path):
        names = ("earlier" if number == 1 else f"earlier_{number}" for number in itertools.count(1))
        self.within, self.folder = within, next(within / name for name in names if not (within / name).exists())
        self.taken: list[str] = []

    def take(self, name: str) -> None:
        """Move a file or folder here; a file stays at its place, too, if it can, until another one takes that."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self.within / name, self.folder / name)
        except OSError:  # a folder, or a file system without hard links
            (self.within / name).rename(self.folder / name)
        self.taken.append(name)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def _mark(path: Path) -> list[int]:
    """What changes when somebody changes a file."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _marks_in(manifest: Path) -> dict[str, list[list[int]]]:
    """What a manifest says was made: marks by name. What is not of its form is as if nothing were known."""
    try:
        made = json.loads(manifest.read_text(encoding="utf-8"))
        if all(isinstance(marks, list) and not Path(name).is_absolute() and ".." not in Path(name).parts
               for name, marks in made.items()):
            return made
    except (OSError, ValueError, AttributeError, RecursionError):
        pass
    return {}


def _write_marks(manifest: Path, made: dict[str, list[list[int]]]) -> None:
    write_text(manifest, json.dumps(made, indent=0) + "\n")


def _move(source: Path, place: Path) -> None:
    """Put a file into its place, in the place of another one; the place may be behind a link to another disk."""
    try:
        os.replace(source, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with written_atomically(place) as temporary:
            shutil.copyfile(source, temporary)


@contextlib.contextmanager
def _new_folder_beside(folder: Path | str, whole: bool = False) -> Iterator[tuple[Path, Path, Path]]:
    """Yield the folder, an empty one to be filled on the same disk, and one for what gives way, which is removed.

    What has given way is put back by the next program where this one is killed before something else takes its place:
    `of` says where that is.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    within = not whole and folder.is_dir() and (folder.is_mount() or not os.access(folder.parent, os.W_OK))
    beside = folder if within else folder.parent  # files can be moved within a disk only
    _remove_abandoned(beside.absolute())
    with tempfile.TemporaryDirectory(prefix=_own_prefix(), suffix=".part", dir=beside) as name, _held(Path(name)):
        temporary, old = Path(name, "new"), Path(name, "old")
        temporary.mkdir()
        old.mkdir()
        Path(name, "of").write_text("." if within or whole else folder.name, encoding="utf-8")
        try:
            yield folder, temporary, old
        except OSError as error:
            _name_what_was_meant(error, temporary, folder)
            raise


@contextlib.contextmanager
def _unfinished_folder(folder: Path, word: str) -> Iterator[tuple[Path, Path, Path]]:
    """As `_new_folder_beside`; what a killed or interrupted program leaves in it stays for the next with this word."""
    with _new_folder_beside(folder) as (folder, temporary, old):
        place = temporary.parent.with_name(f".{folder.name}-{word}.unfinished")
        for other in place.parent.glob(f".{folder.name}-*.unfinished"):
            if other != place and not _is_held(other):
                shutil.rmtree(other, ignore_errors=True)
        if _is_held(place):  # by another program that makes the same now
            yield folder, temporary, old
            return
        place.mkdir(exist_ok=True)
        with _held(place):
            try:
                yield folder, place, old
            except Exception:  # it would be the same again
                shutil.rmtree(place, ignore_errors=True)
                raise
        shutil.rmtree(place, ignore_errors=True)


def _swap(made: Path, place: Path, old: Path) -> None:
    if place.is_dir() or made.is_dir() and place.exists():
        os.rename(place, old / place.name)
    os.replace(made, place)


def locked(path: Path | str) -> TextIO:
    """Lock a file for as long as what is returned exists, at most until this process ends, however it ends.

    Where the file system knows no locks, nothing is locked.

    Raises:
        BlockingIOError: another process has the lock; the text says which.
    """
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (closing it would unlock it)
    if HAS_LOCKS:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            for _ in range(20):  # the other one may have locked it just now, and not said yet who it is
                file.seek(0)
                if owner := file.read().strip():
                    break
                time.sleep(0.05)
            file.close()
            raise BlockingIOError(owner or "of an unknown number") from None
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
    """Remove what processes left in a folder that were killed on this machine while they wrote; looks once.

    What had to give way and has nothing in its place yet is put back before.
    """
    if os.name != "posix":
        return
    for path in folder.glob(".*.part*"):
        owner = re.match(rf"\.(\d{{1,7}})-{re.escape(MACHINE)}-", path.name)
        if owner and not _lives(int(owner[1])) and not _is_held(path):
            if path.is_dir() and not path.is_symlink():
                _put_back(path)
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _put_back(part: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        place = part.parent / Path((part / "of").read_text(encoding="utf-8")).name
        for path in (part / "old").iterdir():
            if not (place / path.name).exists():
                place.mkdir(exist_ok=True)
                path.rename(place / path.name)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Show to processes of other containers, which see no process of this one, that what is at `path` is in use."""
    if not HAS_LOCKS:
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # where the file system knows no locks
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _is_held(path: Path) -> bool:
    if not HAS_LOCKS:
        return False
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    finally:
        os.close(handle)
    return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
