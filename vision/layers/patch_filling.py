"""What nobody knows of a picture, made of patches of what is known.

Exemplar-based completion: each patch of the hole shall look like some patch beside it, at several scales, coarse to
fine (Wexler, Shechtman, Irani, "Space-time completion of video", PAMI 2007). The patches that are most alike are found
by PatchMatch (Barnes et al., SIGGRAPH 2009): neighbours try what suits their neighbours, and places at random. Nothing
here knows files, options or networks.
"""

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from util.clips import evenly_spread

REACH = 3  # pixels on each side of the middle of a patch
SMALLEST = 24  # pixels of the shorter side of the coarsest picture
AROUND = 1.5  # sizes of the hole that is looked around for patches, at most
LEAST_AROUND = 48  # and pixels
ROUNDS = (8, 2)  # at the coarsest scale and at the finest
FADE = 1.3  # factor by which a patch counts less for each pixel that it lies farther in
MOST_TRIED = 4000
TEXTURE = 7.0  # how many levels of colour count as much as one of change from pixel to pixel


def filled_by_patches(picture: np.ndarray, unknown: np.ndarray, empty: np.ndarray | None = None) -> np.ndarray:
    """A picture, uint8 [H, W, 3], whose unknown pixels, bool [H, W], are made of patches of the others.

    The same picture and hole always give the same. Each hole is filled from around it; where there is too little for a
    patch, its surroundings go on (Telea, 2004).

    Args:
        empty: bool [H, W], what stays as it is, and of which no patch may have anything; None: nothing.
    """
    result, empty = picture.copy(), np.zeros_like(unknown) if empty is None else empty & ~unknown
    joined = cv2.dilate(unknown.astype(np.uint8), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
    for label in range(1, count):
        x, y, width, height, _ = boxes[label].tolist()
        margin = max(round(AROUND * max(width, height)), LEAST_AROUND)
        window = np.s_[max(y - margin, 0):y + height + margin, max(x - margin, 0):x + width + margin]
        hole = unknown[window] & (labels[window] == label)
        result[window] = np.where(hole[..., None], _filled(picture[window], unknown[window], empty[window]),
                                  result[window])
    return result


def _filled(picture: np.ndarray, unknown: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """A picture with all its holes filled, coarse to fine."""
    rng = np.random.default_rng(0)
    levels = max(int(np.log2(min(unknown.shape) / SMALLEST)), 0)
    thickness = 2 * cv2.distanceTransform(np.pad(unknown, 1).astype(np.uint8), cv2.DIST_L2, 5).max()
    levels = min(levels, max(int(np.ceil(np.log2(thickness / REACH))), 0))
    lacking = unknown | empty
    pixels = np.dstack([picture.astype(np.float32), TEXTURE * _roughness(picture, ~lacking, 2 ** levels)])
    made: np.ndarray | None = None
    matches: np.ndarray | None = None
    for level in range(levels, -1, -1):
        size = tuple(max(round(side / 2 ** level), 1) for side in unknown.shape[::-1])
        hole = cv2.resize(unknown.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        gone = cv2.resize(lacking.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        known = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        patch = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
        whole = cv2.erode((~gone).astype(np.uint8), patch, borderValue=0) > 0
        if not whole.any() or min(size) <= 2 * REACH:
            continue
        targets = cv2.dilate(hole.astype(np.uint8), patch) > 0
        rounds = round(ROUNDS[1] + (ROUNDS[0] - ROUNDS[1]) * level / max(levels, 1)) if levels else ROUNDS[0]
        depth = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        if made is None or matches is None:
            made = _from_the_rim(known, hole, gone, whole)
        else:
            matches = _enlarged(matches, size)
            start = np.where(hole[..., None], cv2.resize(made, size, interpolation=cv2.INTER_CUBIC), known)
            made = np.where(hole[..., None], _voted(start, targets, matches, FADE ** -depth, False), known)
        for last in range(rounds):
            matches = _matched(made, targets, whole, matches, rng)
            made = np.where(hole[..., None], _voted(made, targets, matches, FADE ** -depth, last == rounds - 1), known)
    if made is None:
        return cv2.inpaint(picture, lacking.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return made[..., :3].clip(0, 255).round().astype(np.uint8)


def _roughness(picture: np.ndarray, known: np.ndarray, side: int) -> np.ndarray:
    """How much brightness changes from pixel to pixel around each, float32 [H, W]: smooth patches are like any blur in
    their colours, and would spread (Newson et al., "Video Inpainting of Complex Scenes", 2014).

    Args:
        known: bool [H, W].
        side: pixels that are looked at around, each way.
    """
    brightness = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = np.hypot(*(cv2.Sobel(brightness, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1))))
    valid = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    size = (2 * side + 1, 2 * side + 1)
    return cv2.boxFilter(slope * valid, -1, size) / np.maximum(cv2.boxFilter(valid, -1, size), 1e-6)


def _from_the_rim(known: np.ndarray, hole: np.ndarray, gone: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A first filling, ring by ring from the rim inwards: each pixel is the middle of the patch that is most like what
    is there already around it, of at most `MOST_TRIED`."""
    made, left = known * ~gone[..., None], gone.copy()
    width = ((REACH, REACH), (REACH, REACH))
    side = 2 * REACH + 1
    patches = sliding_window_view(np.pad(made, (*width, (0, 0))), (side, side), axis=(0, 1))
    choices = np.argwhere(whole)
    choices = choices[evenly_spread(len(choices), MOST_TRIED)]
    samples = patches[choices[:, 0], choices[:, 1]].reshape(len(choices), -1)
    squares = samples ** 2
    cross = np.ones((3, 3), np.uint8)
    while left.any():
        ring = np.argwhere(left & (cv2.erode(left.astype(np.uint8), cross) == 0))
        if not len(ring):
            break
        here = sliding_window_view(np.pad(made, (*width, (0, 0))), (side, side), axis=(0, 1))
        there = sliding_window_view(np.pad(~left, width), (side, side))
        wanted = here[ring[:, 0], ring[:, 1]].reshape(len(ring), -1)
        counts = np.repeat(there[ring[:, 0], ring[:, 1]][:, None], made.shape[2], axis=1).reshape(len(ring), -1)
        counts = counts.astype(np.float32)
        off = counts @ squares.T - 2 * (wanted * counts) @ samples.T
        best = choices[off.argmin(axis=1)]
        made[ring[:, 0], ring[:, 1]] = known[best[:, 0], best[:, 1]]
        left[ring[:, 0], ring[:, 1]] = False
    return np.where(hole[..., None], made, known)


def _enlarged(matches: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Matches of a coarser scale [h, w, 2] at a finer one: (y, x) of patches that may be alike."""
    factor = np.divide(size[::-1], matches.shape[:2])
    rows, columns = np.indices(size[::-1])
    row, column = (np.minimum((axis / one).astype(int), side - 1)
                   for axis, one, side in zip((rows, columns), factor, matches.shape))
    offset = matches[row, column] - np.stack([row, column], axis=-1)
    return np.stack([rows, columns], axis=-1) + (offset * factor).round().astype(int)


def _matched(made: np.ndarray, targets: np.ndarray, whole: np.ndarray, matches: np.ndarray | None,
             rng: np.random.Generator) -> np.ndarray:
    """For each patch about `targets` the place (y, x) of one about `whole` that is like it: int [h, w, 2]."""
    padded = np.pad(made, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="reflect")
    patches = sliding_window_view(padded, (2 * REACH + 1, 2 * REACH + 1), axis=(0, 1))
    y, x = np.nonzero(targets)
    wanted = np.ascontiguousarray(patches[y, x]).reshape(len(y), -1)
    choices = np.argwhere(whole)
    best = choices[rng.integers(len(choices), size=len(y))]
    least = np.full(len(y), np.inf, np.float32)

    def tried(places: np.ndarray) -> None:
        inside = np.all((places >= 0) & (places < whole.shape), axis=1)
        places = np.where(inside[:, None], places, 0)
        chosen = np.flatnonzero(inside & whole[places[:, 0], places[:, 1]] & np.any(places != best, axis=1))
        rows, columns = places[chosen].T
        off = patches[rows, columns].reshape(len(chosen), wanted.shape[1]) - wanted[chosen]
        distance = np.einsum("ij,ij->i", off, off)
        nearer = distance < least[chosen]
        best[chosen[nearer]], least[chosen[nearer]] = places[chosen[nearer]], distance[nearer]

    if matches is not None:
        tried(matches[y, x])
    tried(choices[rng.integers(len(choices), size=len(y))])
    result = np.zeros((*whole.shape, 2), int)
    for jump in (4, 1, 2, 1):
        result[y, x] = best
        for up, across in ((jump, 0), (-jump, 0), (0, jump), (0, -jump)):
            row, column = y + up, x + across
            inside = (row >= 0) & (row < whole.shape[0]) & (column >= 0) & (column < whole.shape[1])
            row, column = np.where(inside, row, y), np.where(inside, column, x)
            there = targets[row, column]
            tried(np.where(there[:, None], result[row, column] - (up, across), best) * inside[:, None])
        radius = max(whole.shape) // 2
        while radius >= 1:
            tried(best + rng.integers(-radius, radius + 1, size=best.shape))
            radius //= 4
    result[y, x] = best
    return result


def _voted(made: np.ndarray, targets: np.ndarray, matches: np.ndarray, trust: np.ndarray, sharp: bool) -> np.ndarray:
    """The mean of what the patches that lie over a pixel have there; those count most that are most alike."""
    height, width = targets.shape
    y, x = np.nonzero(targets)
    padded = np.pad(made, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="reflect")
    patches = sliding_window_view(padded, (2 * REACH + 1, 2 * REACH + 1), axis=(0, 1))
    rows, columns = matches[y, x].T
    found = patches[rows, columns]
    off = np.square(found - patches[y, x]).mean(axis=(1, 2, 3))
    typical = max(float(np.quantile(off, 0.75)), 1.0) * (0.3 if sharp else 1)
    likeness = np.exp(-off / (2 * typical)) * trust[y, x] + 1e-6
    total, weights = np.zeros_like(made), np.zeros((height, width), np.float32)
    for up in range(-REACH, REACH + 1):
        for across in range(-REACH, REACH + 1):
            row, column = y + up, x + across
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            row, column, weight = row[inside], column[inside], likeness[inside]
            total[row, column] += weight[:, None] * found[inside, :, up + REACH, across + REACH]
            weights[row, column] += weight
    return np.where(weights[..., None] > 0, total / np.maximum(weights, 1e-12)[..., None], made)
