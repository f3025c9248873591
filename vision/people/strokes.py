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
    colour = np.array(colour, np.uint16)
    brush = np.mgrid[-width:width, -width:width].reshape(2, -1).T
    if _reaches_out(picture, pixels, width):
        for row, column in brush:
            _mix(picture, _addressed(picture, pixels, row, column), colour)
    else:  # the same, with one index for each pixel
        flat = picture.reshape(-1, 3)
        places = pixels[:, 1] * picture.shape[1] + pixels[:, 0]
        for offset in brush @ (picture.shape[1], 1):
            _mix(flat, places + offset, colour)
    _draw_discs(picture, pixels[[0, -1]], 2 * width, colour)


def _draw_discs(picture: np.ndarray, ends: np.ndarray, radius: int, colour: np.ndarray) -> None:
    """A disc round both ends; offset by offset, but all at once where no pixel is painted by two offsets."""
    around = np.mgrid[-radius:radius, -radius:radius].reshape(2, -1).T
    around = around[(around ** 2).sum(axis=1) < radius ** 2]
    apart = np.abs(ends[0] - ends[1]).max()
    if not _reaches_out(picture, ends, radius) and (apart == 0 or apart >= 2 * radius):
        rows, columns = around[:, :1] + ends[:, 1], around[:, 1:] + ends[:, 0]
        old = picture[rows, columns]
        lit = old.any(axis=(1, 2))[:, None, None]
        picture[rows, columns] = np.where(lit, (old + colour) // 2, colour)
        return
    for row, column in around:
        _mix(picture, _addressed(picture, ends, row, column), colour)


def _addressed(picture: np.ndarray, pixels: np.ndarray, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    height, width = picture.shape[:2]
    return np.clip(pixels[:, 1] + row, 0, height - 1), np.clip(pixels[:, 0] + column, 0, width - 1)


def _reaches_out(picture: np.ndarray, pixels: np.ndarray, width: int) -> bool:
    low, high = pixels.min(axis=0), pixels.max(axis=0) + width
    return min(low) < width or high[0] > picture.shape[1] or high[1] > picture.shape[0]


def _mix(picture: np.ndarray, where: tuple[np.ndarray, ...] | np.ndarray, colour: np.ndarray) -> None:
    old = picture[where]
    picture[where] = (old + colour) >> 1 if old.any() else colour
