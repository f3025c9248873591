"""Mistakes of the user, told in one line.

A `UserError` says where (file or option), what was found, what was expected and what to do. Everything else that
is raised is a programming error and keeps its traceback.
"""

import contextlib
import sys


class UserError(Exception):
    """A mistake in the user's files, options or machine; its text is the whole message."""


@contextlib.contextmanager
def reported_in_one_line():
    """Turn a `UserError` into `error: ...` on stderr and exit status 2, Ctrl-C into status 130."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def several(problems: list[str], most: int = 20) -> UserError:
    """One error for a list of problems: a line for each, the first `most` of them."""
    shown = problems[:most]
    if len(problems) > most:
        shown.append(f"... and {len(problems) - most} more problems of this kind")
    return UserError("\n       ".join(shown))
