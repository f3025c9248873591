"""Where the program itself is: in a clone, or installed below the one import name `video_people` (setup.py)."""

import sys
from pathlib import Path

_PREFIX = __package__.removesuffix("util")  # "" in a clone
_FOLDER = Path(__file__).resolve().parents[1]

HOME = Path() if _PREFIX else _FOLDER
"""The folder in which the program's own checkpoints/ is: the clone; the working folder where it is installed."""


def verb_command(verb: str) -> list[str]:
    """The beginning of a command line that runs a verb as a program of its own."""
    return [sys.executable, *(["-m", f"{_PREFIX}verbs.{verb}"] if _PREFIX else [str(_FOLDER / f"{verb}.py")])]
