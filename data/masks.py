"""Masks of people and things in a dataroot: mask/01/0001.png ..., a folder per layer, white where it is seen."""

from pathlib import Path

import cv2
import numpy as np

from data.dataroot import list_images
from util.images import read_image


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


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A mask as bool [H, W] of the size (width, height).

    Raises:
        UserError: it is not a readable picture.
    """
    return cv2.resize(read_image(path, "L"), tuple(size), interpolation=cv2.INTER_AREA) > 127
