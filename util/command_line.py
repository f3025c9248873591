"""Command lines that say what is wrong in one line, and types of options that know their range."""

import difflib
import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from util.errors import UserError


class OneLineParser(ArgumentParser):
    """A parser that takes no abbreviations, and raises `UserError` for every mistake."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)

    def parse_args(self, args=None, namespace=None) -> Namespace:
        """Parse; an unknown option is an error that names the nearest known one.

        Raises:
            UserError: also for every other mistake.
        """
        opt, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            nearest = difflib.get_close_matches(unknown[0].split("=")[0], known, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else "see --help for all options"
            raise UserError(f"{unknown[0]}: no such option; {hint}")
        return opt

    def error(self, message: str):
        """Raise a `UserError` instead of printing the usage."""
        raise UserError(message.removeprefix("argument "))


def whole(minimum: int):
    """An argparse type: a whole number of at least `minimum`."""
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise ArgumentTypeError(f"found '{text}'; expected a whole number of at least {minimum}")
        return value
    return parse


def number(minimum: float, infinite: bool = False):
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
