"""Whether homographies.txt fits the frames of a dataroot, looked at before hours of training."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from data.dataroot import list_images
from data.masks import mask_files, read_mask
from util.errors import UserError
from util.images import read_image
from vision.geometry.canvas import Canvas
from vision.geometry.conventions import Verdict, judge, some_frames
from vision.geometry.homography import Registration
from vision.geometry.panorama import LARGEST_PANORAMA
from vision.people.iuv import is_body

_HEIGHT = 160
"""Of the pictures that are compared."""


def canvas_of(registration: Registration | None, path: Path, frames: Sequence[str], size: tuple[int, int],
              density: float = 1) -> Canvas:
    """Where all frames of a clip lie.

    Args:
        registration: the camera's motion; None: it stands still.
        path: the homographies.txt that it is of.
        frames: their names.
        size: (width, height) of a frame.
        density: pixels of the canvas per pixel of a frame, each way.

    Raises:
        UserError: it has more or fewer matrices than there are frames, or puts these so far from each other that it
            must be wrong.
    """
    if registration is not None and len(registration.matrices) != len(frames):
        raise UserError(f"{path}: {len(registration.matrices)} matrices; there are {len(frames)} frames. Give one line "
                        "of 9 numbers per frame")
    canvas = Canvas.of(registration, size, density)
    if canvas.matrices is None:
        return canvas
    area = np.prod(canvas.size, dtype=float) / density ** 2 / np.prod(size)
    right, bottom = size
    depths = canvas.matrices[:, 2] @ np.array([[0, 0, 1], [right, 0, 1], [0, bottom, 1], [right, bottom, 1]]).T
    endless = depths.min(axis=1) * depths.max(axis=1) <= 0  # the horizon goes through the frame
    if area <= LARGEST_PANORAMA and not endless.any():
        return canvas
    middle = np.array([[size]], float) / 2
    away = [cv2.perspectiveTransform(middle, matrix)[0, 0] for matrix in canvas.matrices]
    farthest = np.linalg.norm(away - np.median(away, axis=0), axis=1).argmax()
    if endless.any():
        area, farthest = np.inf, endless.argmax()
    raise UserError(f"{path}: the frames lie on a panorama {area:.3g} times as large as a frame, frame "
                    f"{frames[farthest]} farthest from the others; expected up to {LARGEST_PANORAMA} times. Where its "
                    "registration has failed, mend that line; else take a part of the clip, or do without the file "
                    "(train.py without --use_homographies)")


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
