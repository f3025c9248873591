"""Masks of people: their box, and what belongs to a person around one.

A mask is bool [H, W]. Nothing here knows of files.
"""

import cv2
import numpy as np

PERSON_MARGIN = 1 / 50
"""Of the picture's height: how far hair and clothes reach beyond a body's UV map or mask."""


def bounding_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The box around a mask.

    Args:
        mask: bool [H, W], not empty.

    Returns:
        x of the first column, y of the first row, x after the last column, y after the last row.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def person_weight(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How much of each pixel belongs to the person, and not to a shadow or reflection.

    Args:
        mask: bool [h, w], of any size: the person's mask, or where the UV map has a body.
        size: (width, height) of the result.

    Returns:
        uint8 [H, W]: 255 within `PERSON_MARGIN` of the mask, 0 from twice that on, soft between.
    """
    margin = max(round(size[1] * PERSON_MARGIN), 1)
    near = cv2.resize(255 * mask.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR) > 127
    side = 3 * margin | 1  # a square: many times as fast as a disc
    return cv2.blur(cv2.dilate(255 * near.astype(np.uint8), np.ones((side, side), np.uint8)), (margin | 1, margin | 1))
