"""Masks corrected by a brush in one frame, and carried on to others as far as what was painted can be followed.

A mask is uint8 [H, W], 255 where somebody is seen. Pixel (x, y) has its centre at (x, y). Nothing here knows of files.
"""

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from vision.geometry.flow import backward_warp, optical_flow
from vision.people.person_mask import bounding_box

_RETURN_PX, _RETURN_SHARE = 1.0, 0.1
"""How far the flow there and back may end from where it began: pixels, and a share of the way."""
_OTHER_COLOUR = 40.0
"""Difference in level, of 255, from which a pixel is not the one that was painted."""
_LEAST_HELD, _LEAST_STEP = 0.3, 0.6
"""Share of what was painted, and of what was there in the frame before, that must be found again to go on."""
_NEAR_PX = 48
"""How far around a stroke the pictures are looked at."""
_HOLE_PX = 7
"""Holes of less are filled."""
_FINE_BITS = 3
"""Of OpenCV's coordinates of lines, below the pixel."""


def brush(size: tuple[int, int], points: Sequence[tuple[float, float]], radius: float) -> np.ndarray:
    """Where a round brush has been.

    Args:
        size: (width, height) of the mask.
        points: (x, y) in its pixels, along the way.
        radius: in its pixels, at least 0.5.

    Returns:
        uint8 [H, W], 255 where the brush was, soft at the edge.
    """
    canvas = np.zeros(size[::-1], np.uint8)
    places = np.rint(np.array(points, float) * (1 << _FINE_BITS)).astype(np.int32)
    cv2.polylines(canvas, [places.reshape(-1, 1, 2)], False, 255, max(1, round(2 * radius)), cv2.LINE_AA, _FINE_BITS)
    for x, y in (places[0], places[-1]):
        cv2.circle(canvas, (int(x), int(y)), max(1, round(radius * (1 << _FINE_BITS))), 255, -1, cv2.LINE_AA,
                   _FINE_BITS)
    return canvas


def painted(mask: np.ndarray, stroke: np.ndarray, adds: bool) -> np.ndarray:
    """A mask with a stroke [H, W] added or taken away."""
    return np.maximum(mask, stroke) if adds else np.minimum(mask, 255 - stroke)


def carried_on(stroke: np.ndarray, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Follow what was painted from picture to picture, until too little of it is found again.

    A pixel is found again where the flow there and back agrees and the colour has not changed.

    Args:
        stroke: uint8 [H, W] on the first picture.
        pictures: uint8 RGB [H, W, 3], the one that was painted on first, then those after it (or before it).

    Yields:
        the stroke [H, W] on each picture after the first.
    """
    before, whole = None, float((stroke > 127).sum())
    for picture in pictures:
        if before is not None and stroke.any():
            moved, held = _followed(stroke, before, picture)
            now, there = (held > 127).sum(), (stroke > 127).sum()
            if now < max(_LEAST_STEP * there, _LEAST_HELD * whole, 1):
                return
            yield moved
            stroke = moved
        before = picture


def _followed(stroke: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stroke on the next picture, and the part of it that was surely found again; only what is near is looked at.

    What was not found is no part of it, but for small holes.
    """
    left, top, right, bottom = (round(side) for side in bounding_box(stroke > 0))
    near = max(_NEAR_PX, (right - left) // 2, (bottom - top) // 2)
    window = np.s_[max(top - near, 0):bottom + near, max(left - near, 0):right + near]
    moved, held = np.zeros_like(stroke), np.zeros_like(stroke)
    moved[window], held[window] = _followed_within(stroke[window], before[window], after[window])
    return moved, held


def _followed_within(stroke: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after)]
    on, back = optical_flow(*grey), optical_flow(*reversed(grey))
    moved = backward_warp(stroke, back, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    away = np.linalg.norm(back + backward_warp(on, back, cv2.INTER_LINEAR), axis=-1)
    other = np.abs(backward_warp(before, back, cv2.INTER_LINEAR).astype(np.float32) - after).max(axis=-1)
    sure = (away < _RETURN_PX + _RETURN_SHARE * np.linalg.norm(back, axis=-1)) & (other < _OTHER_COLOUR)
    held = np.where(sure, moved, 0).astype(np.uint8)
    return np.minimum(moved, cv2.morphologyEx(held, cv2.MORPH_CLOSE, np.ones((_HOLE_PX, _HOLE_PX), np.uint8))), held
