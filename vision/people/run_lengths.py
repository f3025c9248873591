"""Masks as run lengths, as COCO, SAM and YouTube-VIS store them (RLE), and as polygons.

A mask is bool [H, W]. Runs go down the columns, and begin with those outside.
"""

from collections.abc import Sequence

import cv2
import numpy as np

_FARTHEST = 1e5


def runs_of(text: str) -> list[int]:
    """The run lengths in COCO's compressed text.

    Each number is written in groups of five bits, the lowest first, as characters from "0" on; 32 says that more
    follow, and from the third number on it is the difference to the one two places before.

    Raises:
        ValueError: it ends within a number, or has other characters.
    """
    runs: list[int] = []
    value, bits = 0, 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise ValueError(f"{character!r} in run lengths")
        value |= (group & 31) << bits
        bits += 5
        if not group & 32:
            if group & 16:
                value -= 1 << bits
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value, bits = 0, 0
    if bits:
        raise ValueError("run lengths that end within a number")
    return runs


def mask_of_runs(counts: str | Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """A mask from its run lengths.

    Args:
        counts: COCO's compressed text, or the numbers.
        size: (height, width), as COCO has it.

    Raises:
        ValueError: they are not run lengths of such a picture.
    """
    runs = np.array(runs_of(counts) if isinstance(counts, str) else counts)
    height, width = size
    if runs.dtype.kind not in "iu" or runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"run lengths of {int(runs.sum()) if runs.dtype.kind in 'iu' else 'no'} pixels for "
                         f"{width}x{height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def mask_of_polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """A mask from polygons x1, y1, x2, y2, ..., in pixels whose first one reaches from 0 to 1.

    Args:
        polygons: all of them are filled.
        size: (height, width).

    Raises:
        ValueError: one of them is no list of pairs of numbers near the picture.
    """
    mask = np.zeros(size, np.uint8)
    for polygon in polygons:
        corners = np.reshape(np.asarray(polygon, np.float64), (-1, 2)) - 0.5
        if not len(corners) or not np.abs(corners).max() < _FARTHEST:
            raise ValueError(f"a polygon of {len(corners)} corners, or one far off the picture")
        cv2.fillPoly(mask, [np.round(corners * 256).astype(np.int32)], 1, shift=8)
    return mask.astype(bool)
