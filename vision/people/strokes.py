"""Curves through points, and a square brush that follows them: how maps of faces and skeletons are drawn for vid2vid.

Exact to the pixel: networks are trained on pictures of this very form, shading and broken ends included. Points are
(x, y) in pixels, x to the right; a pixel's coordinates are whole numbers.
"""

import numpy as np

STEEPEST_BEND = 1.0
"""A piece whose quadratic coefficient reaches this is left out: it would shoot far beyond its points."""
AGAINST_ROUNDING = 1e-6
"""Added before coordinates are cut to whole pixels: a curve that ends on a whole number must not fall below it."""


def curve_pixels(points: np.ndarray) -> np.ndarray:
    """Pixels of the line through 2 points, or the parabola through 3, one for each step along the longer axis.

    Args:
        points: float [2 or 3, 2].

    Returns:
        int [N, 2], in order; none where the ends share the longer axis's coordinate, the parabola bends too much, or
        two of three points lie across that axis from each other, so that there is no parabola.
    """
    points = np.asarray(points, np.float64)
    steps = np.abs(np.diff(points, axis=0)).max(axis=0)
    swapped = steps[0] < steps[1]
    x, y = points.T[::-1] if swapped else points.T
    nothing = np.zeros((0, 2), int)
    slopes = np.diff(x)
    if (slopes == 0).any() or x[0] == x[-1]:
        return nothing
    slopes = np.diff(y) / slopes
    bend = (slopes[-1] - slopes[0]) / (x[-1] - x[0]) if len(x) == 3 else 0.0
    if abs(bend) >= STEEPEST_BEND - AGAINST_ROUNDING:
        return nothing
    first, last = sorted((x[0], x[-1]))
    along = np.linspace(first, last, int(last - first))
    across = y[0] + (along - x[0]) * (slopes[0] + (along - x[1]) * bend)
    pixels = np.stack([along.astype(int), (across + AGAINST_ROUNDING).astype(int)], axis=1)
    return pixels[:, ::-1] if swapped else pixels


def draw_grey(picture: np.ndarray, pixels: np.ndarray, width: int) -> None:
    """Set what a square brush of 2 x `width` pixels touches to 255, in place.

    Args:
        picture: uint8 [H, W].
        pixels: int [N, 2]; the brush reaches `width` up and left of each. What lies outside is set at the border.
    """
    for row in range(-width, width):
        for column in range(-width, width):
            picture[_addressed(picture, pixels, row, column)] = 255


def draw_coloured(picture: np.ndarray, pixels: np.ndarray, width: int, colour: tuple[int, int, int]) -> None:
    """Draw with a square brush of 2 x `width` pixels and with a disc of twice its size on both ends, in place.

    The brush is moved as a whole: every offset in it paints all the pixels at once, in full colour where all of them
    are black, half and half with what is there otherwise. So strokes are shaded.

    Args:
        picture: uint8 RGB [H, W, 3], contiguous.
        pixels: int [N, 2]; none: nothing is drawn.
        width: half the side of the brush.
        colour: RGB.
    """
    if len(pixels) == 0:
        return
    paint = np.array(colour, np.uint16)
    _paint(picture, pixels, np.mgrid[-width:width, -width:width].reshape(2, -1).T, paint)
    around = np.mgrid[-2 * width:2 * width, -2 * width:2 * width].reshape(2, -1).T
    _paint(picture, pixels[[0, -1]], around[(around ** 2).sum(axis=1) < 4 * width ** 2], paint)


def _paint(picture: np.ndarray, pixels: np.ndarray, offsets: np.ndarray, colour: np.ndarray) -> None:
    """Paint all pixels [N, 2] at each offset (row, column) in turn, at once where no two offsets paint the same."""
    low, high = pixels.min(axis=0) + offsets.min(axis=0)[::-1], pixels.max(axis=0) + offsets.max(axis=0)[::-1]
    if min(low) < 0 or high[0] >= picture.shape[1] or high[1] >= picture.shape[0]:
        for row, column in offsets:
            _mix(picture, _addressed(picture, pixels, row, column), colour)
        return
    flat = picture.reshape(-1, 3)
    places = pixels[:, 1] * picture.shape[1] + pixels[:, 0]
    steps = offsets @ (picture.shape[1], 1)
    if len(pixels) == 2 and np.abs(pixels[0] - pixels[1]).max() > np.ptp(offsets):
        places = steps[:, None] + places
        old = flat[places]
        flat[places] = np.where(old.any(axis=(1, 2))[:, None, None], (old + colour) >> 1, colour)
        return
    for step in steps:
        _mix(flat, places + step, colour)


def _addressed(picture: np.ndarray, pixels: np.ndarray, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    height, width = picture.shape[:2]
    return np.clip(pixels[:, 1] + row, 0, height - 1), np.clip(pixels[:, 0] + column, 0, width - 1)


def _mix(picture: np.ndarray, where: tuple[np.ndarray, ...] | np.ndarray, colour: np.ndarray) -> None:
    old = picture[where]
    picture[where] = (old + colour) >> 1 if old.any() else colour
