"""Frames in a row: how fast they are shown, the order of their names, and some from all over them."""

import re
from fractions import Fraction

import numpy as np

DEFAULT_FRAME_RATE = Fraction(25)
"""Frames per second of what does not say."""
LOWEST_FRAME_RATE = Fraction(1, 100)
HIGHEST_FRAME_RATE = 1000
_NTSC = (12, 15, 24, 30, 48, 60, 90, 120, 240)
"""Rates that are slowed by 1000/1001."""


def frame_rate_of(text: str) -> Fraction:
    """Frames per second from a text such as 25, 29.97 or 30000/1001.

    Decimals of two places and more that are those of an NTSC rate, rounded or cut off, mean it: 29.97 is 30000/1001.

    Raises:
        ValueError: it is no number, or not from LOWEST_FRAME_RATE to HIGHEST_FRAME_RATE.
    """
    if re.search(r"[eE][+-]?\d{3}", text):  # Fraction would compute all the digits
        raise ValueError(f"{text} frames per second")
    try:
        rate = _ntsc_rate(text) or Fraction(text).limit_denominator(1_000_000)
    except ZeroDivisionError:
        rate = Fraction(0)
    if not LOWEST_FRAME_RATE <= rate <= HIGHEST_FRAME_RATE:
        raise ValueError(f"{text} frames per second")
    return rate


def _ntsc_rate(text: str) -> Fraction | None:
    found = re.fullmatch(r"\s*(\d+\.(\d{2,}))\s*", text)
    if not found:
        return None
    typed, places = Fraction(found[1]), min(len(found[2]), 6)
    nominal = -(-typed.numerator // typed.denominator)
    if nominal not in _NTSC:
        return None
    exact = Fraction(nominal * 1000, 1001)
    return exact if abs(typed - exact) < Fraction(1, 10 ** places) else None


def frame_rate_text(rate: Fraction) -> str:
    """A frame rate as metadata.json has it: 30000/1001."""
    return f"{rate.numerator}/{rate.denominator}"


def natural_order(name: str) -> list:
    """A sort key of names by which frame2 comes before frame10, and -2 before 0."""
    if re.fullmatch(r"-\d+", name):  # renders may begin before frame 0
        return ["", int(name), ""]
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def evenly_spread(length: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `length` things, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int))


def with_frames_around(some: range, length: int, around: int) -> range:
    """Frames of a clip of `length`, and as many as `around` before and after them."""
    return range(max(some.start - around, 0), min(some.stop + around, length))


def gpus_of_a_clip(opt) -> int:
    """How many GPUs share the frames of a clip, where the options spread them: --n_gpus_gen, or all.

    Where there are several clips in a batch, GPUs share those instead. Without a GPU frames are counted as if
    --n_gpus_gen of them were there.

    Args:
        opt: batch_size, n_gpus_gen (below 1: all), gpu_ids.
    """
    if opt.batch_size != 1:
        return 1
    return opt.n_gpus_gen if opt.n_gpus_gen > 0 else max(1, len(opt.gpu_ids))
