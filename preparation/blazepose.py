"""BlazePose: the pose networks of MediaPipe (Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking",
2020; the "full" model of 2021), run by LiteRT, without the package mediapipe.

A detector finds people in a picture; a second network is shown a square around each, upright, and gives 33 landmarks
and what of the square is the person. Results are those of mediapipe 0.10.21, whose models are under the Apache License
2.0.

Pictures are uint8 RGB [H, W, 3]; coordinates are x, y in pixels, and pixel (x, y) has its centre at (x, y).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from util.errors import UserError
from util.pretrained import Pretrained, weights_at_hand
from vision.people.coco import HIPS, SHOULDERS

_INSTEAD = "--poses keypoint_rcnn takes another network; a file of poses and --masks need none"
_ASSETS = "https://storage.googleapis.com/mediapipe-assets/"
_PACKAGE = "mediapipe==0.10.21"
DETECTOR = Pretrained(
    "BlazePose", f"{_ASSETS}pose_detection.tflite", _INSTEAD,
    sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    package=_PACKAGE, member="mediapipe/modules/pose_detection/pose_detection.tflite")
LANDMARKS = Pretrained(
    "BlazePose", f"{_ASSETS}pose_landmark_full.tflite", _INSTEAD,
    sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    package=_PACKAGE, member="mediapipe/modules/pose_landmark/pose_landmark_full.tflite")

TO_COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""The landmarks that are COCO-17's joints."""
GREY = 128
"""The level with which people are painted over who are not to be seen: what the networks take for nothing."""
LEAST_PRESENCE = 0.5
_DETECTOR_PX, _CROP_PX, _HEAT_PX = 224, 256, 64
_STRIDES = ((8, 2), (16, 2), (32, 6))
"""Pixels from anchor to anchor of the detector, and how many lie on one another."""
_LEAST_SCORE, _SAME_BOX = 0.5, 0.3
_WIDER = 1.25
_CROWN = 1.15
"""Where the circle around a person ends, in lengths from the hips to the farthest joint: its median on four clips."""
_HEAT_REACH, _LEAST_HEAT = 4, 0.5


class Square(NamedTuple):
    """A square in a picture.

    Attributes:
        x, y: its middle.
        side: in pixels.
        turn: by which it is turned, in radians: a person's feet are at (-sin, cos) of it.
    """

    x: float
    y: float
    side: float
    turn: float

    def to_picture(self, length: int) -> np.ndarray:
        """The matrix [2, 3] from pixels of a crop of `length` x `length` to those of the picture."""
        scale = self.side / length
        cos, sin = scale * np.cos(self.turn), scale * np.sin(self.turn)
        half = length / 2
        return np.array([[cos, -sin, self.x - half * (cos - sin)], [sin, cos, self.y - half * (sin + cos)]])


class Person(NamedTuple):
    """Somebody in a picture.

    Attributes:
        skeleton: COCO-17, float64 [17, 3], with the landmarks' visibility.
        presence: from 0 to 1, that there is somebody at all.
        square: where he was looked for.
        inside: float32 [256, 256], the probability that a pixel of that square is of him.
        next_square: where to look for him in the frame that follows.
    """

    skeleton: np.ndarray
    presence: float
    square: Square
    inside: np.ndarray
    next_square: Square

    def mask(self, size: tuple[int, int]) -> np.ndarray:
        """The probability that he is seen at a pixel, float32 [H, W], of a picture of `size` (width, height)."""
        return cv2.warpAffine(self.inside, self.square.to_picture(_CROP_PX), size, flags=cv2.INTER_LINEAR)


class BlazePose:
    """The two networks, loaded."""

    def __init__(self):
        """Load them.

        Raises:
            UserError: the package ai-edge-litert is missing.
            Unavailable: the weights cannot be had.
        """
        with weights_at_hand(DETECTOR) as detector, weights_at_hand(LANDMARKS) as landmarks:
            self._detector, self._landmarks = _Network(detector), _Network(landmarks)
        self._anchors = _anchors()

    def detect(self, picture: np.ndarray, where: Square | None = None) -> list[tuple[float, Square]]:
        """Find people.

        Args:
            picture: uint8 RGB [H, W, 3].
            where: an upright square, the part of the picture to look at; None: all of it.

        Returns:
            the surest first, a score from 0.5 to 1, and the square around each.
        """
        height, width = picture.shape[:2]
        where = where or Square(width / 2, height / 2, max(height, width), 0)
        crop = _crop(picture, where, _DETECTOR_PX, cv2.BORDER_CONSTANT)
        boxes, logits = self._detector(crop / np.float32(127.5) - 1)
        scores = _sigmoid(logits[0, :, 0])
        points = boxes[0].reshape(-1, 6, 2) / _DETECTOR_PX
        points[:, [0, 2, 3, 4, 5]] += self._anchors[:, None]
        sure = scores >= _LEAST_SCORE
        found = _without_doubles(points[sure], scores[sure])
        origin = np.array([where.x, where.y]) - where.side / 2
        return [(score, _square(*(point[2:4] * where.side + origin))) for score, point in found]

    def look(self, picture: np.ndarray, square: Square) -> Person:
        """Who is in a square of a picture, of one person who fills it."""
        crop = _crop(picture, square, _CROP_PX, cv2.BORDER_REPLICATE) / np.float32(255)
        landmarks, presence, inside, heat, _ = self._landmarks(crop)
        marks = landmarks.reshape(39, 5).astype(np.float64)
        places = _refined(marks[:, :2] / _CROP_PX, heat[0])
        matrix = square.to_picture(_CROP_PX)
        places = places * _CROP_PX @ matrix[:, :2].T + matrix[:, 2]
        skeleton = np.column_stack([places, _sigmoid(marks[:, 3])])[list(TO_COCO)]
        return Person(skeleton, float(presence[0, 0]), square, _sigmoid(inside[0, :, :, 0]),
                      _square(places[33], places[34]))


class _Network:
    """A TFLite model with one input."""

    def __init__(self, path: Path):
        try:
            with quiet():
                from ai_edge_litert.interpreter import Interpreter
                self._model = Interpreter(str(path), num_threads=os.cpu_count())
                self._model.allocate_tensors()
        except ImportError as error:
            raise UserError(f"BlazePose: the package ai-edge-litert is not usable ({error}); install it with: "
                            f"pip install ai-edge-litert, or do without: {_INSTEAD}") from None

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        self._model.set_tensor(self._model.get_input_details()[0]["index"], picture[None].astype(np.float32))
        self._model.invoke()
        return [self._model.get_tensor(output["index"]) for output in self._model.get_output_details()]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep off the terminal what a library's C++ part writes past Python."""
    terminal = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def square_of(skeleton: np.ndarray) -> Square:
    """The square around somebody of whom a COCO-17 skeleton [17, 3] is known: his hips are in its middle.

    Joints of score 0 are not known; without hips it is the middle of the others, and he is taken to be upright.
    """
    seen = skeleton[:, 2] > 0
    known = skeleton[seen, :2] if seen.any() else skeleton[:, :2]
    hips, shoulders = (skeleton[[joint for joint in pair if seen[joint]], :2] for pair in (HIPS, SHOULDERS))
    spine = shoulders.mean(axis=0) - hips.mean(axis=0) if len(hips) and len(shoulders) else np.zeros(2)
    hips = hips.mean(axis=0) if len(hips) else known.mean(axis=0)
    reach = max(np.linalg.norm(known - hips, axis=1).max(), 1)
    length = np.linalg.norm(spine)
    up = spine / length if length > 0 else np.array([0, -1])
    return _square(hips, hips + _CROWN * reach * up)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.clip(-80, 80)))


def _crop(picture: np.ndarray, square: Square, length: int, border: int) -> np.ndarray:
    return cv2.warpAffine(picture, square.to_picture(length), (length, length),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)


def _square(middle: np.ndarray, rim: np.ndarray) -> Square:
    """The square around a circle, a quarter larger; the head is where `rim` is."""
    x, y = rim - middle
    return Square(float(middle[0]), float(middle[1]), float(2 * _WIDER * np.hypot(x, y)), float(np.arctan2(x, -y)))


def _anchors() -> np.ndarray:
    """Middles [N, 2] of the detector's anchors, as shares of its picture."""
    middles = []
    for stride, count in _STRIDES:
        n = _DETECTOR_PX // stride
        y, x = np.mgrid[:n, :n]
        middles.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), count, axis=0) / n + 0.5 / n)
    return np.concatenate(middles)


def _without_doubles(points: np.ndarray, scores: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Detections that overlap averaged into one, weighted by their scores.

    Args:
        points: [N, 6, 2]: middle and size of a box, and four points.
        scores: [N].
    """
    lower, upper = points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2
    left = np.argsort(-scores, kind="stable")
    found = []
    while len(left):
        first = left[0]
        common = (np.minimum(upper[first], upper[left]) - np.maximum(lower[first], lower[left])).clip(0).prod(axis=-1)
        area = points[left, 1].prod(axis=-1)
        same = common / (area[0] + area - common) > _SAME_BOX
        same[0] = True
        group = left[same]
        found.append((float(scores[first]), np.average(points[group], axis=0, weights=scores[group])))
        left = left[~same]
    return found


def _refined(places: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Landmarks [N, 2], as shares of the crop, moved to the middle of the heat around them.

    Args:
        heat: logits [64, 64, N].
    """
    places = places.copy()
    for i, (x, y) in enumerate((places * _HEAT_PX).astype(int)):
        if not (0 <= x < _HEAT_PX and 0 <= y < _HEAT_PX):
            continue
        left, top = max(x - _HEAT_REACH, 0), max(y - _HEAT_REACH, 0)
        part = _sigmoid(heat[top:y + _HEAT_REACH + 1, left:x + _HEAT_REACH + 1, i].astype(np.float64))
        if part.max() >= _LEAST_HEAT:
            rows, columns = np.mgrid[:part.shape[0], :part.shape[1]]
            places[i] = np.array([left + np.average(columns, weights=part),
                                  top + np.average(rows, weights=part)]) / _HEAT_PX
    return places
