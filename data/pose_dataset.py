"""Dancers: {phase}_densepose/<sequence>/*.png, {phase}_openpose/<sequence>/*.json and {phase}_img/<sequence>/*.

A DensePose picture is IUV: its third channel, blue, is the part of the body, 0 to 24. A JSON file holds OpenPose's
people (BODY_25 with hands and face).
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.image_sequences import IMAGES, JSONS, Draws, Sequence, must_be_of_size, read_photo
from data.video_clips import ClipDataset, normalised, possible_starts
from util.errors import UserError
from util.files import read_text
from vision.people.body25 import HEAD, POINTS, Person, draw_people, strokes_of, with_blurred_face

BODY_PARTS = 24
HEAD_PARTS = (23, 24)
HEAD_NOISE_PX, FACE_SHIFT_PX = 5.0, 2.0
KEPT_MULTIPLE = 32
_IN_DRAWING = ("pose_keypoints_2d",)


class PoseDataset(ClipDataset):
    """Items of 6 channels in [-1, 1]: IUV with the part as 2 part / 24 - 1, and the skeleton; or 3 of them with
    --densepose_only or --openpose_only. Frames are cut to their middle half.
    """

    def __init__(self, opt):
        super().__init__(opt)
        self.usable = np.array([len(sequence) - opt.n_frames_G + 1 for sequence in self.sequences])

    @staticmethod
    def folders(opt) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Those that the maps need, and photographs, at test too."""
        folders: dict[str, tuple[str, tuple[str, ...]]] = {"images": ("img", IMAGES)}
        if not opt.openpose_only:
            folders["densepose"] = "densepose", IMAGES
        if not opt.densepose_only:
            folders["openpose"] = "openpose", JSONS
        return folders

    @staticmethod
    def resolve_options(opt) -> dict:
        """`data_id`."""
        return PoseDataset.data_options(opt)

    def check_options(self) -> None:
        """--input_nc fits the maps."""
        opt = self.opt
        if opt.densepose_only and opt.openpose_only:
            raise UserError("--densepose_only and --openpose_only: expected one of them, or none for both kinds of map")
        channels = 3 if opt.densepose_only or opt.openpose_only else 6
        if opt.input_nc != channels:
            raise UserError(f"--input_nc: found {opt.input_nc}; these maps of poses have {channels} channels. Give "
                            f"--input_nc {channels}")

    @property
    def clips_per_epoch(self) -> int:
        """One for each frame that can be generated."""
        return int(sum(len(sequence) - self.opt.n_frames_G + 1 for sequence in self.sequences))

    def clip(self, index: int, draws: Draws, epoch: int) -> tuple[Sequence, list[int]]:
        """A random sequence, long ones more often; the index says where in it."""
        sequence = self.sequences[draws.sequence(self.usable / self.usable.sum())]
        length, step = self.length_and_step(sequence, draws, epoch)
        start = index % possible_starts(len(sequence), length, step)
        return sequence, [start + step * k for k in range(length)]

    def frames(self, sequence: Sequence, numbers: list[int], draws: Draws) -> dict[str, Tensor]:
        """A and B of the frame's middle."""
        size = self.size(sequence, "images")
        framing = self.framing(size, draws, flips=False)
        maps: dict[str, list[np.ndarray]] = {kind: [] for kind in ("densepose", "openpose") if kind in sequence.files}
        for k in numbers:
            pictures = {}
            if "densepose" in maps:
                pictures["densepose"] = self._parts_left(self._read_iuv(sequence, k, size), draws)
            if "openpose" in maps:
                pictures["openpose"] = self._skeleton(sequence.files["openpose"][k], size, draws)
            for kind, picture in pictures.items():
                maps[kind].append(middle(framing.apply(picture, Image.Resampling.NEAREST)))
        channels = [normalised(pictures) for pictures in maps.values()]
        if "densepose" in maps:  # parts from 0 to 24 rather than levels to 255
            parts = np.stack(maps["densepose"])[..., 2].astype(np.float32)
            channels[0][:, 2] = torch.from_numpy(2 * parts / BODY_PARTS - 1)
        photos = [middle(photo) for photo in self.photos(sequence, numbers, framing, size)]
        flows = {name: flow[..., middle_columns(flow.shape[-1])].contiguous()
                 for name, flow in self.flows(sequence, numbers, framing, size).items()}
        return self.checked({"A": torch.cat(channels, 1), "B": normalised(photos), **flows}, sequence)

    def check_frame(self, sequence: Sequence, k: int) -> None:
        """Read all that there is of a frame."""
        size, path = self.size(sequence, "images"), sequence.files["images"][k]
        must_be_of_size(read_photo(path), size, path, sequence.files["images"][0])
        if "densepose" in sequence.files:
            self._read_iuv(sequence, k, size)
        if "openpose" in sequence.files:
            read_people(sequence.files["openpose"][k], self.opt.basic_point_only)

    @property
    def _drop(self) -> float:
        return self.opt.random_drop_prob if self.opt.is_train else 0.0

    def _read_iuv(self, sequence: Sequence, k: int, size: tuple[int, int]) -> np.ndarray:
        path = sequence.files["densepose"][k]
        iuv = must_be_of_size(read_photo(path), size, path, sequence.files["images"][0])
        if iuv[..., 2].max() > BODY_PARTS:
            raise UserError(f"{path}: part {iuv[..., 2].max()} in the blue channel; expected an IUV picture, whose "
                            f"blue channel is the part of the body, 0 to {BODY_PARTS}")
        return iuv

    def _parts_left(self, iuv: np.ndarray, draws: Draws) -> np.ndarray:
        """Without the head with --remove_face_labels, and without parts that are left out at random in training."""
        gone = np.zeros(256, bool)
        if self.opt.is_train:
            gone[1:BODY_PARTS + 1] = draws.uniform(BODY_PARTS) < self._drop
        if self.opt.remove_face_labels:
            gone[list(HEAD_PARTS)] = True
        return np.where(gone[iuv[..., 2:]], np.uint8(0), iuv)

    def _skeleton(self, path: Path, size: tuple[int, int], draws: Draws) -> np.ndarray:
        basic = self.opt.basic_point_only
        people = read_people(path, basic)
        if not self.opt.is_train:
            return draw_people(people, size, basic)
        changed, kept = [], []
        for person in people:
            if self.opt.remove_face_labels and self._drop > 0:
                noise = draws.normal(len(HEAD), 2) * HEAD_NOISE_PX
                shift = np.array([draws.normal(), draws.normal()]) * FACE_SHIFT_PX
                person = with_blurred_face(person, noise, shift)
            changed.append(person)
            kept.append(draws.uniform(strokes_of(basic)) > self._drop)
        return draw_people(changed, size, basic, kept)

    def name_file(self, sequence: Sequence, k: int) -> Path:
        """The photograph."""
        return sequence.files["images"][k]


def middle(picture: np.ndarray) -> np.ndarray:
    """The middle half of [H, W, 3]."""
    return picture[:, middle_columns(picture.shape[1])]


def middle_columns(width: int) -> slice:
    """The middle half of so many columns, a multiple of 64 of them."""
    half = int(width * 0.25 / KEPT_MULTIPLE) * KEPT_MULTIPLE
    return slice(width // 2 - half, width // 2 + half)


def read_people(path: Path, basic: bool = False) -> list[Person]:
    """The people in a JSON file of OpenPose.

    Args:
        path: the file.
        basic: only the body counts; hands and face may be missing.

    Raises:
        UserError: it is no such file, or key points are missing.
    """
    try:
        content = json.loads(read_text(path))
        people = content["people"]
        entries = [dict(entry) for entry in people]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not readable as OpenPose's people of a frame ({type(error).__name__}: {error}); "
                        "expected what OpenPose's --write_json writes") from None
    return [Person(*(_points(path, number, entry, key, basic) for key in POINTS))
            for number, entry in enumerate(entries)]


def _points(path: Path, number: int, entry: dict, key: str, basic: bool) -> np.ndarray:
    count = POINTS[key]
    if basic and key not in _IN_DRAWING:
        return np.zeros((count, 3))
    try:
        points = np.array(entry.get(key, []), np.float64)
    except (TypeError, ValueError):
        points = np.array([np.nan])
    if points.shape != (3 * count,) or not np.isfinite(points).all():
        advice = ("Run OpenPose with --model_pose BODY_25" if key in _IN_DRAWING else
                  "Run OpenPose with --face and --hand, or give --basic_point_only")
        raise UserError(f"{path}: person {number + 1}: {key} has {points.size} numbers; expected {3 * count}, x, y, "
                        f"confidence of {count} points. {advice}")
    return points.reshape(count, 3)
