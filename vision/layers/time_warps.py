"""Time warps: which source time is shown at each output frame.

A warp is a function of output times, float [N] in frames from 0, to the source times that are shown then, float [N];
between two frames they are fractional. Warps are composed by applying the last one first. They know no clip and may
leave it; `within` holds it at its ends.
"""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator


def offset(output: np.ndarray, frames: float) -> np.ndarray:
    """Everything `frames` later, earlier where negative."""
    return output - frames


def hold(output: np.ndarray, source: float) -> np.ndarray:
    """Time `source` all the while."""
    return np.full(len(output), float(source))


def freeze(output: np.ndarray, first: float, last: float) -> np.ndarray:
    """Time `first` from output frame `first` to `last`; after that time goes on from there, `last - first` late."""
    return np.where(output > last, output - (last - first), np.minimum(output, first))


def speed(output: np.ndarray, keys: Sequence[tuple[float, float]], ease: bool = False) -> np.ndarray:
    """Time at a speed that changes between keys, counted from output frame 0, which stays where it is.

    Args:
        output: output times [N].
        keys: (output frame, speed), ascending frames; 1 is normal, 0 stands still, negative runs backwards. The speed
            is linear between two keys, and constant before the first and after the last.
        ease: change the speed by the smooth step 3x^2 - 2x^3 instead of linearly, so that no change starts abruptly.

    Returns:
        the integral of the speed from 0, exact.
    """
    frames, speeds = np.array(keys, dtype=float).T
    lengths, changes = np.diff(frames), np.diff(speeds)
    # Both ways of changing have the same mean between two keys, so the same times at the keys.
    at_keys = np.concatenate([[0.0], np.cumsum(lengths * (speeds[:-1] + speeds[1:]) / 2)])

    def integral(times: np.ndarray) -> np.ndarray:
        k = np.clip(np.searchsorted(frames, times, side="right") - 1, 0, len(frames) - 1)
        result = at_keys[k] + (times - frames[k]) * speeds[k]
        if len(changes):
            j = np.minimum(k, len(changes) - 1)
            x = np.clip((times - frames[j]) / lengths[j], 0, 1)
            grown = x ** 3 - x ** 4 / 2 if ease else x ** 2 / 2
            result = result + np.where((times > frames[0]) & (times < frames[-1]), grown * changes[j] * lengths[j], 0)
        return result

    return integral(np.asarray(output, dtype=float)) - integral(np.zeros(1))


def reverse(output: np.ndarray, first: float, last: float) -> np.ndarray:
    """Backwards from `last` to `first` between these output frames, unchanged elsewhere."""
    return np.where((output >= first) & (output <= last), first + last - output, output)


def loop(output: np.ndarray, first: int, last: int, times: float = np.inf) -> np.ndarray:
    """From output frame `first` on, frames `first` to `last` over and over.

    Args:
        output: output times [N].
        first: first frame of the loop.
        last: its last frame, also shown; not before `first`.
        times: how often; after that time goes on from `last`, as many frames late as the repeats have taken.
    """
    period = last - first + 1
    # A fractional time behind `last` lies in no frame of the loop but at its seam, which is a cut.
    looped = np.minimum(first + (output - first) % period, last)
    inside = (output >= first) & (output < first + times * period)
    return _cycled(output, inside, looped, first, (times - 1) * period)


def pingpong(output: np.ndarray, first: int, last: int, times: float = np.inf) -> np.ndarray:
    """From output frame `first` on, to `last` and back again over and over.

    Args:
        output: output times [N].
        first: where it starts and turns.
        last: where it turns back, after `first`.
        times: how often there and back; after that time goes on from `first`.
    """
    period = 2 * (last - first)
    looped = first + np.abs((output - last) % period - (last - first))
    inside = (output >= first) & (output < first + times * period)
    return _cycled(output, inside, looped, first, times * period)


def _cycled(output: np.ndarray, inside: np.ndarray, looped: np.ndarray, first: float, late: float) -> np.ndarray:
    return np.where(inside, looped, np.where(output < first, output, output - (late if np.isfinite(late) else 0)))


def align(output: np.ndarray, pins: Sequence[tuple[float, float]]) -> np.ndarray:
    """A smooth warp that shows given source times at given output frames.

    Between two pins it is the monotone cubic of Fritsch and Carlson (1980): smooth, and time runs backwards nowhere
    that the pins do not. Before the first and after the last pin it runs at normal speed.

    Args:
        output: output times [N].
        pins: (output frame, source time), at least one, no output frame twice.
    """
    outputs, sources = np.array(sorted(pins), dtype=float).T
    # Two further points at each end make the cubic enter and leave the pins at normal speed.
    before, after = np.array([-2.0, -1.0]), np.array([1.0, 2.0])
    curve = PchipInterpolator(np.concatenate([outputs[0] + before, outputs, outputs[-1] + after]),
                              np.concatenate([sources[0] + before, sources, sources[-1] + after]))
    inside = np.clip(output, outputs[0], outputs[-1])
    return curve(inside) + output - inside


def within(times: np.ndarray, length: int) -> np.ndarray:
    """Source times held at the ends of a clip of `length` frames."""
    return np.clip(times, 0, length - 1).astype(float)
