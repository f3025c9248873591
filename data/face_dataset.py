"""Faces from 68 landmarks: {phase}_keypoints/<sequence>/*.txt and {phase}_img/<sequence>/*.jpg.

A landmark file has 68 lines "x,y" in dlib's order (`data/face_landmark_detection.py` makes them). Maps are the face's
edges, with those of the background around it, and distances to each of its 14 curves.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.image_sequences import IMAGES, TEXTS, Draws, Sequence, must_be_of_size, read_photo, stacked
from data.video_clips import KEPT_DRAWINGS, ClipDataset, normalised, numbers_of
from util.errors import UserError
from util.files import read_text
from vision.geometry.canny import canny
from vision.people.face_landmarks import (
    CURVES,
    LANDMARKS,
    distance_maps,
    draw_edges,
    face_box,
    part_labels,
    reshaped,
    with_upper_head,
)


class FaceDataset(ClipDataset):
    """Items of 15 channels in [0, 1], or 1 with --no_dist_map; `inst` is the part of the face, 0 to 6.

    All frames of a clip are cut to the box of the first one's face, at test those of a sequence.
    """

    def __init__(self, opt):
        super().__init__(opt)
        self.drawings: dict[tuple[str, int], tuple[list[np.ndarray], np.ndarray]] = {}

    @staticmethod
    def folders(opt) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Landmarks and photographs, at test too."""
        return {"landmarks": ("keypoints", TEXTS), "images": ("img", IMAGES)}

    @staticmethod
    def resolve_options(opt) -> dict:
        """`data_id`."""
        return FaceDataset.data_options(opt)

    def check_options(self) -> None:
        """--input_nc fits the maps."""
        channels = 1 if self.opt.no_dist_map else 1 + len(CURVES)
        if self.opt.input_nc != channels:
            raise UserError(f"--input_nc: found {self.opt.input_nc}; maps of faces have {channels} channels. Give "
                            f"--input_nc {channels}")

    def frames(self, sequence: Sequence, numbers: list[int], draws: Draws) -> dict[str, Tensor]:
        """A, B and inst within the face's box."""
        size = self.size(sequence, "images")
        first = numbers[0] if self.opt.is_train else self._first_shown(sequence)
        box = face_box(read_landmarks(sequence.files["landmarks"][first]), size)
        framing = self.framing((box[2] - box[0], box[3] - box[1]), draws)
        maps, photos, parts = [], [], []
        for k in numbers:
            path = sequence.files["images"][k]
            photo = must_be_of_size(read_photo(path), size, path, sequence.files["images"][0])
            channels, labels = self._drawn(sequence, k, photo)
            maps.append(np.stack([framing.apply(cut(channel, box), Image.Resampling.BILINEAR)
                                  for channel in channels], axis=-1))
            parts.append(framing.apply(cut(labels, box), Image.Resampling.NEAREST))
            photos.append(framing.apply(cut(photo, box), Image.Resampling.BICUBIC))
        drawn = torch.from_numpy(stacked(maps).astype(np.float32)) / 255
        flows = self.flows(sequence, numbers, framing, size, lambda flow: cut(flow, box))
        return self.checked({"A": drawn, "B": normalised(photos), "inst": numbers_of(parts), **flows}, sequence)

    def check_frame(self, sequence: Sequence, k: int) -> None:
        """Read landmarks and photograph."""
        read_landmarks(sequence.files["landmarks"][k])
        path = sequence.files["images"][k]
        must_be_of_size(read_photo(path), self.size(sequence, "images"), path, sequence.files["images"][0])

    def _first_shown(self, sequence: Sequence) -> int:
        return self.opt.start_frame if sequence is self.sequences[0] else 0

    def _drawn(self, sequence: Sequence, k: int, photo: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """What `_maps` gives of a frame; clips overlap, so that drawings are kept while there is room."""
        place = sequence.name, k
        if place in self.drawings:
            return self.drawings[place]
        channels, labels = drawing = self._maps(read_landmarks(sequence.files["landmarks"][k]), photo)
        if len(self.drawings) < KEPT_DRAWINGS // (labels.nbytes * (1 + len(channels))):
            self.drawings[place] = drawing
        return drawing

    def _maps(self, landmarks: np.ndarray, photo: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Channels and part labels of a frame, uint8 [H, W] each, of all of the frame."""
        size = photo.shape[1::-1]
        points = with_upper_head(landmarks)
        labels = part_labels(points, size)
        if self.opt.random_scale_points and not self.opt.is_train:
            points = reshaped(points)
        edges = draw_edges(points, size)
        if not self.opt.no_canny_edge:
            grey = np.asarray(Image.fromarray(photo).convert("L"))
            edges = edges + np.uint8(255) * (canny(grey) & (labels == 0))  # where both are: 254, as published
        return [edges] if self.opt.no_dist_map else [edges, *distance_maps(points, size)], labels


def read_landmarks(path: Path) -> np.ndarray:
    """68 landmarks of a file: float64 [68, 2].

    Raises:
        UserError: the file is missing, or not 68 lines "x,y".
    """
    try:
        rows = [line.split(",") for line in read_text(path).split("\n") if line.strip()]
        points = np.array([[float(number) for number in row] for row in rows])
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as landmarks ({error}); expected {LANDMARKS} lines \"x,y\"") from None
    if points.shape != (LANDMARKS, 2) or not np.isfinite(points).all():
        raise UserError(f"{path}: {len(rows)} lines; expected {LANDMARKS} lines \"x,y\" of numbers. Find the landmarks "
                        "again: python data/face_landmark_detection.py")
    if np.ptp(points[:, 0]) < 1:
        raise UserError(f"{path}: all landmarks in one column; expected those of a face, in pixels of the frame")
    return points


def cut(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """What is in a box of [H, W] or [H, W, C], black outside the frame."""
    left, top, right, bottom = box
    height, width = pixels.shape[:2]
    edges = [(max(0, -top), max(0, bottom - height)), (max(0, -left), max(0, right - width))]
    padded = np.pad(pixels, edges + [(0, 0)] * (pixels.ndim - 2))
    top, left = top + edges[0][0], left + edges[1][0]
    return padded[top:top + bottom - box[1], left:left + right - box[0]]
