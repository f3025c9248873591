"""Which picture's pixels poses are in: that of the frames, or one that is turned, stretched or of another size.

Tools that see a video as it is displayed, as it is stored, or made smaller first give other pixels. Where people are
in the frames, by masks or by what moves before the background, tells which pixels are meant.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from data.masks import read_mask
from util.clips import evenly_spread
from util.images import read_image
from vision.people.pose_formats import Pose

MOST_FRAMES = 24
_HEIGHT = 144
"""Of the pictures that are looked at."""
_MARGIN = 1 / 60
"""Of the height: how far beside what moves a joint may lie."""
_LARGEST_SHARE = 0.4
"""Of a frame that people may cover: where more moves, it is the camera."""
_SURE, _LEAST_GAIN, _KNOWN_GAIN = 0.75, 0.3, 0.04
"""Share of the joints that must lie on people, and by how much more than in the frames' own pixels: for any size, and
for one that is known to be the video's."""
_SIDES = (2160, 1440, 1080, 720, 512, 480, 360, 256, 240)
_FACTORS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2, 3, 4)
"""Shorter sides of pictures that tools are often shown, and by how much these are often larger or smaller."""


class Reading(NamedTuple):
    """Pixels that poses may be in.

    Attributes:
        words: that follow "poses are in".
        size: (width, height) of the picture.
        to_frame: [2, 3], from its pixels to the frames'.
        is_known: it is a size of this very video.
    """

    words: str
    size: tuple[int, int]
    to_frame: np.ndarray
    is_known: bool = False


def readings(size: tuple[int, int], known: dict[str, tuple[int, int]]) -> Iterator[Reading]:
    """All pixels that poses of frames of `size` (width, height) may be in.

    Args:
        size: of the frames, upright.
        known: other sizes of the same picture, by what they are.
    """
    width, height = size
    seen = {size}
    sizes = [(words, (other[0], other[1]), True) for words, other in known.items()]
    factors = [*(side / min(size) for side in _SIDES), *_FACTORS]
    sizes += [("", (round(width * factor), round(height * factor)), False) for factor in factors]
    for words, other, is_known in sizes:
        if other not in seen:
            seen.add(other)
            yield Reading(f"pixels of {other[0]}x{other[1]}{f', {words}' if words else ''}", other,
                          np.array([[width / other[0], 0, 0], [0, height / other[1], 0]]), is_known)
    yield Reading("pixels of the picture on its side (turned clockwise)", (height, width),
                  np.array([[0, 1.0, 0], [-1, 0, height]]))
    yield Reading("pixels of the picture on its side (turned anticlockwise)", (height, width),
                  np.array([[0, -1.0, width], [1, 0, 0]]))
    yield Reading("pixels of the picture upside down", size, np.array([[-1.0, 0, width], [0, -1, height]]))
    yield Reading("pixels of the picture mirrored", size, np.array([[-1.0, 0, width], [0, 1, 0]]))


def better_reading(people: Sequence[Sequence[Pose]], files: dict[str, Path], masks: dict[int, dict[str, Path]],
                   size: tuple[int, int], known: dict[str, tuple[int, int]]) -> tuple[Reading, float, float] | None:
    """Pixels in which poses lie on the people in the frames, where they do not in the frames' own.

    Args:
        people: of each frame.
        files: the frames' pictures by name, as many.
        masks: of people by layer and frame; may be none.
        size: (width, height) that the poses are taken to be in pixels of.
        known: see `readings`.

    Returns:
        the reading, and the share of the joints that lie on people by it and as they are; None: there is none that is
        clearly better.
    """
    places = where_people_are(people, files, masks)
    if not places:
        return None
    share = np.mean([place.mean() for _, place in places])
    if share > _LARGEST_SHARE:
        return None

    def scores(to_frame: np.ndarray) -> np.ndarray:
        return np.array([_share_on(place, joints, to_frame, size) for joints, place in places])
    own = scores(np.eye(3)[:2])
    best = None
    for reading in readings(size, known):
        found = scores(reading.to_frame)
        gain = float(found.mean() - own.mean())
        agree = (found > own).sum() >= 3 * (found < own).sum()
        enough = _KNOWN_GAIN if reading.is_known else _LEAST_GAIN
        if found.mean() > _SURE and gain > enough and agree and (best is None or gain > best[0]):
            best = gain, (reading, float(found.mean()), float(own.mean()))
    return best and best[1]


def where_people_are(people: Sequence[Sequence[Pose]], files: dict[str, Path],
                     masks: dict[int, dict[str, Path]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For some frames with poses: joints that are sure [N, 2], and where people are, bool [h, w]."""
    names = list(files)
    posed = [index for index, present in enumerate(people) if present]
    if not posed:
        return []
    chosen = [posed[i] for i in evenly_spread(len(posed), MOST_FRAMES)]
    height, width = read_image(files[names[chosen[0]]], "L").shape
    small = (min(max(8, round(width * _HEIGHT / height)), 8 * _HEIGHT), _HEIGHT)
    pictures: dict[int, Any] = {}
    for index in chosen if masks else sorted({*chosen, *evenly_spread(len(names), MOST_FRAMES).tolist()}):
        if masks:
            of_frame = [files_of[names[index]] for files_of in masks.values() if names[index] in files_of]
            pictures[index] = np.any([read_mask(path, small) for path in of_frame], axis=0) if of_frame else None
        else:
            pictures[index] = cv2.resize(read_image(files[names[index]], "RGB"), small, interpolation=cv2.INTER_AREA)
    if not masks:
        if len(pictures) < 4:
            return []
        middle = np.median(list(pictures.values()), axis=0)
        change = {index: np.abs(picture - middle).max(axis=-1) for index, picture in pictures.items()}
        noise = np.median([np.median(one) for one in change.values()])
        pictures = {index: one > max(16.0, 4 * noise) for index, one in change.items()}
    found = []
    for index in chosen:
        place = pictures[index]
        joints = np.concatenate([pose.keypoints for pose in people[index]])
        joints = joints[joints[:, 2] > 0.3 * joints[:, 2].max(), :2]
        if place is not None and place.any() and len(joints):
            margin = 2 * max(1, round(_MARGIN * place.shape[0])) + 1
            found.append((joints, cv2.dilate(place.astype(np.uint8), np.ones((margin, margin), np.uint8)) > 0))
    return found


def _share_on(place: np.ndarray, joints: np.ndarray, to_frame: np.ndarray, size: tuple[int, int]) -> float:
    """Share of joints [N, 2] that lie on people, when they are moved to a frame of `size` (width, height)."""
    points = (joints @ to_frame[:, :2].T + to_frame[:, 2]) / size * place.shape[::-1]
    columns, rows = np.floor(points).astype(int).T
    inside = (columns >= 0) & (columns < place.shape[1]) & (rows >= 0) & (rows < place.shape[0])
    return float(place[rows[inside], columns[inside]].sum() / len(joints))
