"""Masks of people and things in a dataroot: mask/01/0001.png ..., a folder per layer, white where it is seen."""

from pathlib import Path

import cv2
import numpy as np

from data.dataroot import list_images
from util.images import read_image

HALF = 127
"""The level above which a pixel counts as seen."""


def mask_files(root: Path) -> dict[int, dict[str, Path]]:
    """The pictures in mask/01, mask/02, ... by frame, by the folder's number; none if there is no mask/.

    Raises:
        UserError: one of the folders is empty.
    """
    folder = root / "mask"
    if not folder.is_dir():
        return {}
    return {int(path.name): list_images(path) for path in sorted(folder.iterdir())
            if path.is_dir() and path.name.isdecimal() and int(path.name) > 0}


def read_matte(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask with its soft edges: uint8 [H, W], 255 where it is seen, of the size (width, height) or its own.

    Raises:
        UserError: it is not a readable picture.
    """
    matte = read_image(path, "L")
    return matte if size is None else cv2.resize(matte, tuple(size), interpolation=cv2.INTER_AREA)


def read_mask(path: Path, size: tuple[int, int] | None = None, above: int = HALF) -> np.ndarray:
    """A mask as bool [H, W] of the size (width, height) or its own: where it is seen by more than a level of 0 to 254.

    Raises:
        UserError: it is not a readable picture.
    """
    return read_matte(path, size) > above
