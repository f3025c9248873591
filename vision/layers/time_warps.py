"""Time warps: which source time is shown at each output frame.

A warp is a function of output times, float [N] in frames from 0, to the source times that are shown then, float [N];
between two frames they are fractional. Warps are composed by applying the last one first. They know no clip and may
leave it; `within` holds it at its ends.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Handle = Literal["ease", "linear"] | tuple[float, float] | None
"""How a curve leaves a key, or comes to it: by a handle so many frames and so much beside it, as in programs for
animation; flat ("ease") or straight to the next key ("linear"), a third of the way; None: as it would without."""
Key = tuple[float, float] | tuple[float, float, Handle, Handle]
"""Frame and value, and how the curve comes to them and leaves them."""


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
            grown = x * x * x - x * x * x * x / 2 if ease else x * x / 2
            result = result + np.where((times > frames[0]) & (times < frames[-1]), grown * changes[j] * lengths[j], 0)
        return result

    return integral(np.asarray(output, dtype=float)) - integral(np.zeros(1))


def stretch(output: np.ndarray, first: float, last: float, speed: float) -> np.ndarray:
    """Frames `first` to `last` at a speed above 0; what follows comes as much later, or earlier, as that takes."""
    end = first + (last - first) / speed
    return np.where(output <= first, output,
                    np.where(output < end, first + (output - first) * speed, last + (output - end)))


def cut(output: np.ndarray, first: int, last: int) -> np.ndarray:
    """Frames `first` to `last` are left out; what follows comes that much earlier."""
    return np.where(output >= first, output + (last - first + 1), np.minimum(output, first - 1))


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


def align(output: np.ndarray, pins: Sequence[Key]) -> np.ndarray:
    """A smooth warp that shows given source times at given output frames.

    Between two pins without handles it is the monotone cubic of Fritsch and Carlson (1980): smooth, and time runs
    backwards nowhere that the pins do not. Before the first and after the last pin it runs at normal speed.

    Args:
        output: output times [N].
        pins: (output frame, source time), at least one, no output frame twice; or with two handles behind them.
    """
    output, pins = np.asarray(output, dtype=float), sorted(pins, key=lambda pin: pin[0])
    (x, y), n = np.array([pin[:2] for pin in pins], dtype=float).T, len(pins)
    # A further point at each end makes the cubic enter and leave the pins at normal speed.
    lengths = np.diff([x[0] - 1, *x, x[-1] + 1])
    speeds = np.diff([y[0] - 1, *y, y[-1] + 1]) / lengths
    slopes = [0.0 if a * b <= 0 else 3 * (g + h) / ((2 * h + g) / a + (h + 2 * g) / b)
              for a, b, g, h in zip(speeds[:n], speeds[1:], lengths[:n], lengths[1:])]
    before, after = y[0] + output - x[0], y[-1] + output - x[-1]
    between = before if n == 1 else eased(np.clip(output, x[0], x[-1]), pins, slopes)
    return np.where(output <= x[0], before, np.where(output >= x[-1], after, between))


def eased(times: np.ndarray, keys: Sequence[Key], slopes: Sequence[float] | None = None) -> np.ndarray:
    """A curve through keys that is a cubic (of Bezier) between two of them.

    Args:
        times: from the first key to the last one [N].
        keys: at least two, ascending frames. A handle that is longer than the way to the next key is shortened.
        slopes: of the curve at keys where there is no handle; None: straight to the next key.
    """
    points = []
    for i, (one, other) in enumerate(zip(keys, keys[1:])):
        length, rise = other[0] - one[0], other[1] - one[1]
        leaving, coming = (rise / length,) * 2 if slopes is None else slopes[i:i + 2]
        x1, y1 = _control(one[3] if len(one) == 4 else None, 1, length, rise, leaving)
        x2, y2 = _control(other[2] if len(other) == 4 else None, -1, length, rise, coming)
        points.append((one[0], length, x1, length - x2, one[1], one[1] + y1, other[1] - y2, other[1],
                       x1 == x2 == length / 3))
    start, length, x1, x2, y0, y1, y2, y3, is_even = np.array(points, dtype=float).T[
        :, np.clip(np.searchsorted([key[0] for key in keys], times, side="right") - 1, 0, len(points) - 1)]
    x = times - start
    low, high = np.zeros_like(x), np.ones_like(x)
    for _ in range(0 if is_even.all() else 54):  # of the cubic x(t), which rises: halving is exact to the last digit
        t = (low + high) / 2
        u = 1 - t
        is_early = 3 * u * u * t * x1 + 3 * u * t * t * x2 + t * t * t * length < x
        low, high = np.where(is_early, t, low), np.where(is_early, high, t)
    t = np.where(is_even, x / length, (low + high) / 2)
    u = 1 - t
    return np.where(x == 0, y0, u * u * u * y0 + 3 * u * u * t * y1 + 3 * u * t * t * y2 + t * t * t * y3)


def _control(handle: Handle, side: int, length: float, rise: float, slope: float) -> tuple[float, float]:
    """How far from a key, towards the one beside it, the curve's control point is; `side`: -1 comes, 1 leaves."""
    if handle is None or isinstance(handle, str):
        return length / 3, {None: slope * length / 3, "ease": 0.0, "linear": rise / 3}[handle]
    x, y = side * handle[0], side * handle[1]
    return (length, y * (length / x)) if x > length else (x, y)


def within(times: np.ndarray, length: int) -> np.ndarray:
    """Source times held at the ends of a clip of `length` frames."""
    return np.clip(times, 0, length - 1).astype(float)
