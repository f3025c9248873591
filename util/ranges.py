"""Types of command-line options that know their range."""

import argparse
import math


def whole(minimum: int):
    """An argparse type: a whole number of at least `minimum`."""
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(f"found '{text}'; expected a whole number of at least {minimum}")
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
            raise argparse.ArgumentTypeError(f"found '{text}'; expected a number of at least {minimum:g}")
        return value
    return parse
