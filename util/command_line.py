"""Command lines that say what is wrong in one line, and types of options that know their range."""

import difflib
import math
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from util.errors import UserError


class OneLineParser(ArgumentParser):
    """A parser that takes no abbreviations, and raises `UserError` for every mistake.

    Attributes:
        deciding: names of options that decide what the networks and the data are: a run keeps them as long as it lasts.
        lengths: names of options that say how long a training is: where one is given, a preset's budget does not count.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(allow_abbrev=False, **kwargs)
        self.deciding: set[str] = set()
        self.lengths: set[str] = set()
        self._spellings: dict[str, str] = {}
        self._units: dict[str, str] = {}
        self._published_units: dict[str, str] = {}

    def also(self, **options: str) -> None:
        """Take other spellings of options, such as those of published programs: also(niter="n_epochs")."""
        self._spellings |= {f"--{spelling}": f"--{option}" for spelling, option in options.items()}
        self.epilog = "Other spellings: " + ", ".join(f"{ours} as {theirs}" for theirs, ours in self._spellings.items())

    def unit(self, unit: str, *options: str) -> None:
        """Let numbers for options have their unit behind them: 5epochs."""
        self._units |= {f"--{option}": unit for option in options}

    def published_unit(self, option: str, theirs: str) -> None:
        """Refuse a bare number for an option with a `unit`, which counts something else in a published program."""
        self._published_units[f"--{option}"] = theirs

    def knows(self, option: str) -> bool:
        """Whether there is such an option, in any of its spellings."""
        name = option.partition("=")[0]
        known = self._option_string_actions.keys() | self._spellings.keys()
        return name in known or "--" + name[2:].replace("-", "_") in known

    def parse_known_args(  # type: ignore[override]  # argparse's overloads let any object be the namespace
            self, args: Sequence[str] | None = None, namespace: Namespace | None = None) -> tuple[Namespace, list[str]]:
        """Parse what is known, in any of its spellings; dashes inside a name count as underscores.

        Raises:
            UserError: also for every other mistake.
        """
        return super().parse_known_args(self._in_our_words(sys.argv[1:] if args is None else args), namespace)

    def _in_our_words(self, args: Sequence[str]) -> list[str]:
        words: list[str] = []
        for arg in map(str, args):
            name, equals, value = arg.partition("=")
            if name.startswith("--"):
                underscored = "--" + name[2:].replace("-", "_")
                known = self._option_string_actions | self._spellings
                name = underscored if name not in known and underscored in known else name
                name = self._spellings.get(name, name)
                arg = name + equals + value
            if name in self._units and equals:
                arg = f"{name}={self._in_our_unit(name, value)}"
            elif words and words[-1] in self._units:
                arg = self._in_our_unit(words[-1], arg)
            words.append(arg)
        return words

    def _in_our_unit(self, option: str, number: str) -> str:
        ours, theirs = self._units[option], self._published_units.get(option)
        if theirs and not number.endswith(ours):
            raise UserError(f"{option}: found '{number}'; the published program counts {theirs}, this one {ours}: "
                            f"write 5{ours} for five {ours}")
        return number.removesuffix(ours)

    def parse_args(  # type: ignore[override]  # as for parse_known_args
            self, args: Sequence[str] | None = None, namespace: Namespace | None = None) -> Namespace:
        """Parse; an unknown option is an error that names the nearest known one.

        Raises:
            UserError: also for every other mistake.
        """
        opt, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            raise no_such_option(unknown[0], known)
        for action in self._actions:  # argparse checks given values only, not those of set_defaults
            value = getattr(opt, action.dest, None)
            if action.choices is not None and action.nargs is None and value not in (None, *action.choices):
                raise UserError(f"{action.option_strings[0]}: found '{value}'; expected "
                                f"{', '.join(map(str, action.choices))}")
        return opt

    def error(self, message: str):
        """Raise a `UserError` instead of printing the usage."""
        raise UserError(message.removeprefix("argument "))


def no_such_option(option: str, known: Iterable[str]) -> UserError:
    """The error that an option is unknown, which names the nearest known one."""
    nearest = difflib.get_close_matches(option.split("=")[0], known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else "see --help for all options"
    return UserError(f"{option}: no such option; {hint}")


def int_at_least(minimum: int):
    """An argparse type: a whole number of at least `minimum`."""
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise ArgumentTypeError(f"found '{text}'; expected a whole number of at least {minimum}")
        if value > 10**12:
            raise ArgumentTypeError(f"found '{text[:60]}'; expected a whole number of at most 10**12")
        return value
    return parse


def float_at_least(minimum: float, infinite: bool = False):
    """An argparse type: a number of at least `minimum`; `inf` too where `infinite`."""
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (value >= minimum and (infinite or math.isfinite(value))):
            raise ArgumentTypeError(f"found '{text}'; expected a number of at least {minimum:g}")
        return value
    return parse


def duration(text: str) -> float:
    """An argparse type: a time such as 90s, 15m or 2h, in seconds."""
    seconds = {"s": 1, "m": 60, "h": 3600}.get(text[-1:], math.nan)
    try:
        value = float(text[:-1]) * seconds
    except ValueError:
        value = math.nan
    if not 0 < value < 1e7:
        raise ArgumentTypeError(f"found '{text[:60]}'; expected a time such as 90s, 15m or 2h")
    return value


def auto_or(parse):
    """An argparse type: the word `auto`, or what `parse` takes."""
    return lambda text: text if text == "auto" else parse(text)


def folder_name(text: str) -> str:
    """An argparse type: a name of a folder inside another, `a` or `a/b`, whatever the user or a script put there."""
    path = PurePath(text)
    if not path.parts or path.is_absolute() or ".." in path.parts or not text.isprintable() or len(text) > 200:
        raise ArgumentTypeError(f"found {text[:60]!r}; expected a name of at most 200 characters, without ..")
    return text
