"""Time warps: which source frame a layer shows at each output frame.

A warp is a float array [N]: entry t is the source time, in frames from 0, that is shown at output frame t. Times
between two frames are fractional; a warp never leaves the clip, so that before its start and after its end it holds.
"""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator


def offset(length: int, frames: float) -> np.ndarray:
    """Everything `frames` later (earlier where negative) in a clip of `length` frames, held at its ends."""
    return within(np.arange(length) - frames, length)


def freeze(length: int, first: int, last: int) -> np.ndarray:
    """Frame `first` from output frame `first` to `last`; after that time goes on from there, so the end is cut off."""
    output = np.arange(length)
    return within(np.where(output > last, output - (last - first), np.minimum(output, first)), length)


def align(length: int, pins: Sequence[tuple[float, float]]) -> np.ndarray:
    """A smooth warp that shows given source times at given output frames.

    Between two pins it is the monotone cubic of Fritsch and Carlson (1980): smooth, and time runs backwards nowhere
    that the pins do not. Before the first and after the last pin it runs at normal speed.

    Args:
        length: frames of the clip, and of the output.
        pins: (output frame, source time), at least one, no output frame twice.
    """
    outputs, sources = np.array(sorted(pins), dtype=float).T
    # Two further points at each end make the cubic enter and leave the pins at normal speed.
    before, after = np.array([-2.0, -1.0]), np.array([1.0, 2.0])
    curve = PchipInterpolator(np.concatenate([outputs[0] + before, outputs, outputs[-1] + after]),
                              np.concatenate([sources[0] + before, sources, sources[-1] + after]))
    output = np.arange(length)
    inside = np.clip(output, outputs[0], outputs[-1])
    return within(curve(inside) + output - inside, length)


def within(times: np.ndarray, length: int) -> np.ndarray:
    """Source times held at the ends of a clip of `length` frames."""
    return np.clip(times, 0, length - 1).astype(float)
