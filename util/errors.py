"""Mistakes of the user, told in one line.

A `UserError` says where (file or option), what was found, what was expected and what to do. Everything else that
is raised is a programming error and keeps its traceback.
"""

import contextlib
import errno
import os
import re
import signal
import sys
import threading

ENVIRONMENT_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO,
                      errno.ESTALE}
PATH_ERRORS = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}


class UserError(Exception):
    """A mistake in the user's files, options or machine; its text is the whole message."""


@contextlib.contextmanager
def reported_in_one_line():
    """Turn what is not a programming error into `error: ...` on stderr and exit status 2, Ctrl-C into status 130.

    Besides `UserError` these are a disk that is full or must not be written to, and memory that runs out.
    """
    for stream in (sys.stdout, sys.stderr):  # of another encoding than UTF-8: what it lacks is written as \\u2026
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _signals_end_as_exceptions():
            yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        print("error:", "\n".join(map(shown, message.split("\n"))), file=sys.stderr)
        sys.exit(2)


def shown(line: str) -> str:
    """A line that may hold names of files, as it can be printed: nothing in it steers the terminal or ends the line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


@contextlib.contextmanager
def _signals_end_as_exceptions():
    """Let SIGTERM and SIGHUP end the process as an exception does, so that what is not whole yet is removed.

    Of processes that train together, torchrun ends by such a signal those that wait for a lost one, which an exception
    would not: there they act as usual.
    """
    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None
               and signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread() or "WORLD_SIZE" in os.environ:
        numbers = []
    for number in numbers:
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _message(error: Exception) -> str | None:
    """What to tell the user, None for a programming error."""
    if isinstance(error, UserError):  # what a process that prepares batches raised comes with its traceback
        return str(error).rpartition(f"\n{UserError.__module__}.UserError: ")[2].rstrip("\n")
    if isinstance(error, OSError) and error.errno in ENVIRONMENT_ERRORS:
        return f"{error.filename or 'writing'}: {error.strerror}; expected a place to write to, with space left"
    if isinstance(error, OSError) and error.errno in PATH_ERRORS and error.filename:
        return f"{error.filename}: {error.strerror}; expected a path where a file or folder can be made"
    first_line = str(error).split("\n")[0]
    if "Connection closed by peer" in first_line or "Connection reset by peer" in first_line:
        return "lost another process of this run; torchrun's report, below, says which and how it ended"
    if "unable to allocate shared memory" in first_line or "unable to write to file </torch_" in first_line or (
            "unable to open shared memory object" in first_line) or "insufficient shared memory" in str(error):
        return ("/dev/shm: full; batches come through it from the processes that read frames. Give --num_threads 0, or "
                "more of it: docker run --shm-size 2g")
    if re.match(r"DataLoader worker \(pid.*\) (is killed|exited)", first_line):
        return (f"a process that reads frames was ended from outside ({first_line[:80]}), as systems do that run out "
                "of memory. Go on with --continue_train, and a smaller --num_threads or --batch_size")
    if isinstance(error, NotImplementedError) and (missing := re.search(
            "operator '(.+?)' is not currently implemented for the MPS", first_line)):
        return (f"Apple's GPU: this torch has no {missing[1]} for it. Set PYTORCH_ENABLE_MPS_FALLBACK=1 in the "
                "environment, with which the CPU does that, install a newer torch, or give --gpu_ids -1 for the CPU "
                "alone")
    too_much = ("out of memory", "can't allocate memory", "Storage size calculation overflowed")
    if isinstance(error, MemoryError) or any(words in first_line for words in too_much):
        return (f"out of memory ({first_line[:100]}); use a smaller --batch_size or smaller networks, "
                "or --gpu_ids -1 for the CPU's memory")
    return None


def several(problems: list[str], most: int = 20) -> UserError:
    """One error for a list of problems: a line for each, the first `most` of them."""
    shown = problems[:most]
    if len(problems) > most:
        shown.append(f"... and {len(problems) - most} more problems of this kind")
    return UserError("\n       ".join(shown))
