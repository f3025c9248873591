"""Whether homographies.txt fits the frames of a dataroot, looked at before hours of training."""

import shlex
from pathlib import Path

import cv2
import numpy as np

from data.dataroot import list_images
from data.masks import mask_files, read_mask
from util.images import read_image
from vision.geometry.conventions import Verdict, judge, some_frames
from vision.geometry.homography import Registration
from vision.people.iuv import is_body

_HEIGHT = 160
"""Of the pictures that are compared."""


def wrong_convention(root: Path, registration: Registration, frames: dict[str, Path]) -> Verdict | None:
    """In which other convention the matrices are, or that they do not fit; None: nothing is known against them.

    Where a frame is warped to another as the matrices say, what both show should look the same.

    Args:
        root: the dataroot; people are left out by mask/, else by iuv/, if it has any.
        registration: homographies.txt, a matrix for each frame.
        frames: pictures by name.
    """
    names = list(frames)
    if len(names) < 3 or len(registration.matrices) != len(names):
        return None
    indices = some_frames(len(names))
    pictures = [read_image(frames[names[index]], "L") for index in indices]
    height, width = pictures[0].shape
    small = (max(16, round(width * _HEIGHT / height)), _HEIGHT) if height > _HEIGHT else (width, height)
    brightness = np.stack([cv2.resize(picture, small, interpolation=cv2.INTER_AREA) for picture in pictures])
    clear = np.stack([~people_in(root, names[index], small) for index in indices])
    sizes = [(width, height), (2 * width, 2 * height), (width // 2, height // 2),
             tuple(round(2 * side) for side in registration.size), tuple(round(side / 2) for side in registration.size)]
    if (root / "rgb").is_dir():
        sizes.append(read_image(next(iter(list_images(root / "rgb").values())), "L").shape[::-1])
    brightness = np.stack([cv2.GaussianBlur(picture, (0, 0), 0.7) for picture in brightness])
    return judge(registration, brightness.astype(np.float32) / 255, clear, indices, sizes)


def people_in(root: Path, name: str, size: tuple[int, int]) -> np.ndarray:
    """Where people are in a frame, bool [H, W] of `size` (width, height), a little more than they cover."""
    covered = np.zeros(size[::-1], bool)
    masks = [files[name] for files in mask_files(root).values() if name in files]
    for path in masks:
        covered |= read_mask(path, size, above=0)
    if not masks:
        for path in sorted((root / "iuv").glob(f"*/{name}.png")):
            body = 255 * is_body(read_image(path, "RGBA")).astype(np.uint8)
            covered |= cv2.resize(body, size, interpolation=cv2.INTER_AREA) > 0
    return cv2.dilate(covered.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0


def said_of(root: Path, verdict: Verdict) -> str:
    """A line on a verdict: file, what was found, what to do."""
    dataroot = shlex.quote(str(root))
    remedy = (f"Correct it: python datasets/correct_homographies.py --dataroot {dataroot}" if verdict.better is not None
              else f"Register these frames again: move it away, and python prepare.py --dataroot {dataroot}")
    return f"{root / 'homographies.txt'}: {verdict.text}. {remedy}"
