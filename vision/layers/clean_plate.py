"""The clean plate: the scene without people, from frames in which somebody stands somewhere.

Pictures are [H, W, 3] in [0, 1] float32, or [0, 255] uint8 where that is said. A pixel is visible in a frame where
nobody covers it. Nothing here knows files, options or networks.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.geometry.flow import backward_warp, inverse_flow

STRIPE = 32  # rows that are looked at at once
MOST_SORTED = 120  # frames that a quantile looks at: more add nothing but time and memory
LEVEL = np.float32(1 / 255)
BACK_PROJECTIONS, MOST_PROJECTED = 2, 30  # rounds; frames: twice as many of either gain nothing that can be measured
MEAN_OF_CHANNELS, SUM_OF_CHANNELS = np.full((1, 3), 1 / 3, np.float32), np.ones((1, 3), np.float32)


def visible_quantile(frames: np.ndarray, visible: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Per pixel and channel a quantile over the frames in which it is visible.

    Args:
        frames: uint8 [F, H, W, C].
        visible: bool [F, H, W].
        share: 0.5 is the median.

    Returns:
        float32 [H, W, C] in [0, 1], 0 where a pixel never is; and the number of frames it is visible in, [H, W].
    """
    seen = visible.sum(axis=0)
    result = np.empty(frames.shape[1:], np.float32)
    hidden = np.where(visible, np.uint8(0), np.uint8(255))  # what is not visible comes last
    for top in range(0, frames.shape[1], STRIPE):
        rows = slice(top, top + STRIPE)
        place = share * np.maximum(seen[rows] - 1, 0)[..., None]
        values = [frame | channels for frame, channels in zip(frames[:, rows], (
            cv2.merge([one] * frames.shape[3]).reshape(frames[0, rows].shape) for one in hidden[:, rows]))]
        below, above = neighbours_in_rank(values, np.floor(place), np.ceil(place))
        result[rows] = below + (above - below) * (place % 1).astype(np.float32)
    result[seen == 0] = 0
    return result * LEVEL, seen


def neighbours_in_rank(values: Sequence[np.ndarray], lower: np.ndarray | int,
                       upper: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Of uint8 [...] each the values at two ranks that are the same or neighbours, lowest first: float32 [...].

    Bit by bit from the highest, a value is as large as it can be with no more than its rank of them below it: that is a
    third of the work of sorting.

    Args:
        values: of the frames.
        lower, upper: ranks from 0, of all or [...].
    """
    count = np.uint8 if len(values) < 256 else np.uint16
    lower, upper = (np.broadcast_to(rank, values[0].shape).astype(count) for rank in (lower, upper))
    below, above = np.zeros(lower.shape, np.uint8), np.full(lower.shape, 255, np.uint8)
    before, is_before = np.empty(lower.shape, count), np.empty(lower.shape, bool)
    for bit in range(7, -1, -1):
        trial = below | np.uint8(1 << bit)
        before[:] = 0
        for one in values:
            np.add(before, np.less(one, trial, out=is_before).view(np.uint8), out=before)
        below |= (before <= lower).view(np.uint8) << np.uint8(bit)
    before[:] = 0
    for one in values:
        np.add(before, np.less_equal(one, below, out=is_before).view(np.uint8), out=before)
        np.minimum(above, one | np.negative(is_before.view(np.uint8)), out=above)  # 255 instead of those below
    return below.astype(np.float32), np.where(before > upper, below, above).astype(np.float32)


def mean_shift_mode(frames: np.ndarray, visible: np.ndarray, start: np.ndarray, reach: np.ndarray,
                  steps: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the frames whose brightness is near one that repeats: mean shift from `start`.

    Args:
        frames: uint8 [F, H, W, 3].
        visible: bool [F, H, W].
        start: brightness [H, W] in [0, 1] to begin from.
        reach: [H, W], what counts as near.

    Returns:
        colour [H, W, 3], 0 where no frame is near; and the share [H, W] of the visible frames that are.
    """
    def near(centre: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for frame, seen in zip(frames, visible):
            brightness = grey(frame * LEVEL)
            yield frame, brightness, seen & (np.abs(brightness - centre) <= reach)

    centre = start
    for _ in range(steps):
        total, count = np.zeros(frames.shape[1:3], np.float32), np.zeros(frames.shape[1:3], int)
        for _frame, brightness, is_near in near(centre):
            total += brightness * is_near
            count += is_near
        centre = np.where(count > 0, total / np.maximum(count, 1), centre)
    colour, count = np.zeros(frames.shape[1:], np.float32), np.zeros(frames.shape[1:3], int)
    for frame, _brightness, is_near in near(centre):
        colour += frame * is_near[..., None]
        count += is_near
    return colour * LEVEL / np.maximum(count, 1)[..., None], count / np.maximum(visible.sum(axis=0), 1)


def grey(picture: np.ndarray) -> np.ndarray:
    """Mean of the channels, [H, W]."""
    return cv2.transform(picture, MEAN_OF_CHANNELS)


def dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Products of the colours of two pictures, float32 [H, W, 3]: [H, W]; numpy's own sum over an axis of three is
    slow."""
    return cv2.transform(first * second, SUM_OF_CHANNELS)


def falling(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """1 up to the first limit, 0 from the second one on, and evenly less between them."""
    return ((limits[1] - values) / (limits[1] - limits[0])).clip(0, 1)


def light_on(plate: np.ndarray, image: np.ndarray) -> np.ndarray:
    """How many times as bright as in the plate a picture is, by least squares over the channels: [H, W]."""
    return dot(image, plate) / np.maximum(dot(plate, plate), 1e-4)


def largest_channel(picture: np.ndarray) -> np.ndarray:
    """The largest of the channels of [H, W, C], [H, W]; numpy's own maximum over a last axis that short is slow."""
    return np.maximum.reduce([picture[..., channel] for channel in range(picture.shape[-1])])


def noise_level(frames: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Standard deviation [H, W] of a pixel's brightness, from how it changes between neighbouring frames."""
    if len(frames) == 1:
        return np.full(frames.shape[1:3], LEVEL)
    pairs = evenly_spread(len(frames) - 1, MOST_SORTED // 2)
    changes = [np.abs(grey(frames[i + 1].astype(np.float32)) - grey(frames[i].astype(np.float32))) for i in pairs]
    both = np.stack([visible[i + 1] & visible[i] for i in pairs])
    # Sixteenths of a level: what is sorted is bytes.
    changes = np.minimum(16 * np.stack(changes)[..., None], 255).round().astype(np.uint8)
    middle, seen = visible_quantile(changes, both, 0.5)
    sigma = 1.48 / np.sqrt(2) / 16 * middle[..., 0]
    return np.where(seen > 0, sigma, np.median(sigma[seen > 0]) if seen.any() else LEVEL).astype(np.float32)


def inpainted(plate: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """A plate whose unknown pixels, bool [H, W], continue their surroundings (Telea, 2004)."""
    levels = (plate.clip(0, 1) * 255).round().astype(np.uint8)
    filled = cv2.inpaint(levels, unknown.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    return np.where(unknown[..., None], filled * LEVEL, plate)


def relit(plate: np.ndarray, trusted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Bring what is never seen without effects to the brightness of trusted pixels around it, keeping its texture.

    All channels get the same factor, as under a shadow: grass beside a path does not make it green.

    Args:
        plate: [H, W, 3].
        trusted: bool [H, W], where the plate is what it is without any shadow.
        known: bool [H, W], where it is anything at all.
    """
    logarithm = np.log(np.maximum(plate, 1e-3))
    doubtful = known & ~trusted

    def average(where: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
        weight = where.astype(np.float32)
        density = cv2.GaussianBlur(weight, (0, 0), sigma)
        return (cv2.GaussianBlur(logarithm * weight[..., None], (0, 0), sigma)
                / np.maximum(density, 1e-6)[..., None], density)

    around, density = average(trusted & known, 6)
    here, crowd = average(doubtful, 2.4)
    gain = (around - here).mean(axis=-1).clip(-0.8, 0.8) * (crowd / 0.3).clip(0, 1) * (density > 1e-3)
    return np.where(doubtful[..., None], np.exp(logarithm + gain[..., None]), plate)


def back_projected(plate: np.ndarray, frames: np.ndarray, flows: np.ndarray, visible: np.ndarray,
                   where: np.ndarray) -> np.ndarray:
    """A plate that looks like the frames when it is moved as they are: iterative back-projection.

    Frames that were sampled, moved and averaged are blurred. What a frame misses of the moved plate is moved back, and
    the median over the frames is added (Irani and Peleg, "Improving Resolution by Image Registration", 1991; the median
    after Zomet et al., 2001). It goes on only where the frames are explained better than before: where flows are wrong,
    as on people who move in the background, it would run away. Nor is anything brighter or darker than what the frames
    show there.

    Args:
        frames: uint8 [F, H, W, 3], as they are seen.
        flows: [F, H, W, 2], how they are moved against the plate.
        visible: bool [F, H, W], where they show the plate, when it is moved to it.
        where: bool [H, W], what may change.
    """
    used = evenly_spread(len(frames), MOST_PROJECTED)
    back = {frame: inverse_flow(flows[frame]) for frame in used}
    lowest, highest = shown_range(frames[used], np.ones(frames[used].shape[:3], bool))
    around = np.ones((5, 5), np.uint8)  # more than what is moved, and sharper than what is sampled
    lowest, highest = cv2.erode(lowest, around), cv2.dilate(highest, around)
    best, least = plate, np.full(where.shape, np.inf, np.float32)
    for step in range(BACK_PROJECTIONS + 1):
        coded, error = np.empty((len(used), *plate.shape), np.uint8), np.zeros(where.shape, np.float32)
        for code, frame in zip(coded, used):
            missed = backward_warp(frames[frame] * LEVEL - backward_warp(plate, back[frame]), flows[frame])
            error += grey(np.abs(missed)) * visible[frame]
            missed *= 510
            missed += 128
            code[:] = np.rint(missed.clip(0, 255, out=missed), out=missed)
        error = cv2.GaussianBlur(error / np.maximum(visible[used].sum(axis=0), 1), (0, 0), 2)
        better = error <= least
        best, least = np.where(better[..., None], plate, best), np.minimum(error, least)
        where = where & better
        if step == BACK_PROJECTIONS or not where.any():
            break
        middle, seen = visible_quantile(coded, visible[used], 0.5)
        change = (255 * middle - 128) / 510
        plate = np.where((where & (seen > 0))[..., None], (best + change).clip(lowest, highest), best)
    return best


def shown_range(frames: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest value that any of frames, uint8 [F, H, W, 3], shows where it is visible: [H, W, 3] in
    [0, 1]; 0 and 1 where none does."""
    lowest, highest = np.full(frames.shape[1:], 255, np.uint8), np.zeros(frames.shape[1:], np.uint8)
    for frame, seen in zip(frames, visible):
        np.minimum(lowest, frame, out=lowest, where=seen[..., None])
        np.maximum(highest, frame, out=highest, where=seen[..., None])
    never = (visible.sum(axis=0) == 0)[..., None]
    return np.where(never, 0, lowest * LEVEL), np.where(never, 1, highest * LEVEL)
