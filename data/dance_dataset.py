"""Somebody who dances, as a layer: {phase}_layer/<sequence>/*.png and {phase}_openpose/<sequence>/*.json, plate.png.

A layer is the person with her shadow, straight RGBA, as datasets/make_pose_dataset.py makes it of a clip; the plate is
the scene without her. Networks see the part of the frame that she moves in, at its size, and make layers, so that the
scene behind never changes. With --driver the poses are somebody else's, in her body and at her place.
"""

import json
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import default_collate

from data.dataroot import Dataroot
from data.image_sequences import IMAGES, JSONS, Draws, Sequence, find_sequences, must_be_of_size
from data.pose_dataset import BODY_PARTS, KEPT_MULTIPLE, PoseDataset
from data.pose_files import openpose_text, poses_of_person, read_one
from data.video_clips import KEPT_DRAWINGS, normalised
from util.clips import DEFAULT_FRAME_RATE, frame_rate_of
from util.errors import UserError
from util.files import read_text
from util.images import read_image
from util.tensors import to_tensor
from vision.people.body25 import SURE, Person, draw_people, strokes_of
from vision.people.drawn_body import draw_body
from vision.people.motion_transfer import filled, place, size_range, smoothed, transferred

ABOUT, PLATE = "dance.json", "plate.png"
MAPS = 6
FAST = {"netG": "unet", "n_blocks": 4, "no_flow": True, "num_D": 0, "lambda_L1": 100.0, "lr_policy": "cosine",
        "lr": 0.001, "n_epochs": 200, "n_epochs_decay": 0, "max_dataset_size": 50, "vary_size": True}
"""What `--preset fast` is with a dancer, beside the model's (docs/vid2vid/dance.md). Epochs are short, however long her
clip is, so that their number can follow --budget."""


@dataclass(frozen=True)
class About:
    """dance.json.

    Attributes:
        size: (width, height) of layers and plate.
        margins: how far the layer reaches beyond the pose's box: left, top, right, bottom, in pixels.
        frame_rate: of the clip.
    """

    size: tuple[int, int]
    margins: tuple[int, int, int, int]
    frame_rate: Fraction

    @classmethod
    def read(cls, root: Path) -> "About":
        """Read it.

        Raises:
            UserError: it is missing or broken.
        """
        path = root / ABOUT
        try:
            values = json.loads(read_text(path))
            width, height = map(int, values["size"])
            left, top, right, bottom = map(int, values["margins"])
            if min(width, height, left, top, right, bottom) < 0:
                raise ValueError("size or margins are below 0")
            about = cls((width, height), (left, top, right, bottom), frame_rate_of(str(values["frame_rate"])))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; expected a folder that datasets/make_pose_dataset.py "
                            "made") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(f"{path}: not readable ({type(error).__name__}: {error}); make the dataset again: "
                            "python datasets/make_pose_dataset.py") from None
        return about

    def box(self, people: list[Person]) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the part of the frame in which all these poses and their shadows are.

        Sides are multiples of 32 pixels, and those of the frame at most.
        """
        points = np.concatenate([person.points[person.points[:, 2] > SURE, :2] for person in people])
        if not len(points):
            points = np.array([self.size]) / 2
        left, top, right, bottom = self.margins
        low = np.floor(points.min(axis=0)) - (left, top)
        high = np.ceil(points.max(axis=0)) + (right, bottom)
        sides = [_side(span, whole) for span, whole in zip(np.minimum(high, self.size) - np.maximum(low, 0), self.size)]
        corner = [int(np.clip((a + b - side) // 2, 0, whole - side))
                  for a, b, side, whole in zip(low, high, sides, self.size)]
        return corner[0], corner[1], corner[0] + sides[0], corner[1] + sides[1]


class DanceDataset(PoseDataset):
    """Items of 6 channels in [-1, 1], a drawn body (u, v, 2 part / 24 - 1) and the skeleton; B is premultiplied RGBA.

    At test also `plate` [3, H, W] in [-1, 1], `box`, the part of it that the maps show, `pose`, her pose in the last
    frame as OpenPose writes it, and `metadata`, the text of a metadata.json for the clip that is made.
    """

    presets = {"fast": FAST}

    def __init__(self, opt):
        self.root = Path(opt.dataroot)
        self.about = About.read(self.root)
        self.persons: dict[str, list[Person]] = {}
        super().__init__(opt)
        self.drawings: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
        self.size_range = self._size_range() if opt.is_train and opt.vary_size else 1.0
        self.frame_rate = self.about.frame_rate if opt.is_train or opt.driver is None else driver_rate(opt.driver)
        self.plate = None if opt.is_train else read_image(self.root / PLATE, "RGB")
        if self.plate is not None:
            must_be_of_size(self.plate, self.about.size, self.root / PLATE, self.root / ABOUT)

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """--vary_size in training, --driver at test."""
        parser.set_defaults(input_nc=MAPS, output_nc=4, resize_or_crop="none", no_first_img=True)
        group = parser.add_argument_group("dance dataset")
        if is_train:
            group.add_argument("--vary_size", action="store_true",
                               help="show her at random larger and smaller than she is, by up to as much as her size "
                                    "changes where she walks towards the camera or away from it")
            return
        group.add_argument("--driver", type=Path, default=None, metavar="DIR",
                           help="whose motion is taken over: a clip that prepare.py made, or a folder with "
                                "{phase}_openpose; fitted to the body and the place of the one who was learned")
        group.add_argument("--driver_person", type=int, default=None, metavar="N",
                           help="her number in a clip of several people")

    @staticmethod
    def folders(opt) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Poses, and layers in training."""
        folders: dict[str, tuple[str, tuple[str, ...]]] = {"openpose": ("openpose", JSONS)}
        return folders | ({"images": ("layer", IMAGES)} if opt.is_train else {})

    @staticmethod
    def resolve_options(opt) -> dict:
        """`data_id`."""
        return DanceDataset.data_options(opt)

    @classmethod
    def find(cls, opt) -> list[Sequence]:
        """The sequences of the dataroot; with --driver those of the driver."""
        About.read(Path(opt.dataroot))
        driver = None if opt.is_train else opt.driver
        if driver is None:
            return find_sequences(opt.dataroot, opt.phase, cls.folders(opt), opt.n_frames_G)
        if (driver / "keypoints.json").exists():
            frames = Dataroot.open(driver).folders["rgb_256"].values()  # they name what is made
            return [Sequence(driver.resolve().name, {"openpose": list(frames)})]
        return find_sequences(driver, opt.phase, cls.folders(opt), opt.n_frames_G)

    def check_options(self) -> None:
        """Maps and layers have the channels that the options say, and frames keep their size."""
        for name, wanted in (("input_nc", MAPS), ("output_nc", 4), ("resize_or_crop", "none"), ("batch_size", 1)):
            if self.opt.is_train and getattr(self.opt, name) != wanted:
                raise UserError(f"--{name}: found {getattr(self.opt, name)}; expected {wanted} with --dataset_mode "
                                "dance. Leave it out")

    def people(self, sequence: Sequence) -> list[Person]:
        """Whom each frame of a sequence shows; with --driver in the other body."""
        if sequence.name not in self.persons:
            driver = None if self.opt.is_train else self.opt.driver
            if driver is None:
                self.persons[sequence.name] = [read_one(path) for path in sequence.files["openpose"]]
            else:
                self.persons[sequence.name] = self._driven(driver, sequence)
        return self.persons[sequence.name]

    def _driven(self, driver: Path, sequence: Sequence) -> list[Person]:
        if (driver / "keypoints.json").exists():
            theirs = poses_of_person(driver, self.opt.driver_person)
        else:
            theirs = [read_one(path) for path in sequence.files["openpose"]]
        own = [read_one(path) for known in find_sequences(
            self.root, "train", {"openpose": ("openpose", JSONS)}, 1) for path in known.files["openpose"]]
        try:
            points = transferred(*(np.stack([one.points for one in people]) for people in (theirs, own)))
        except ValueError as error:
            raise UserError(f"--driver {driver}: {error}; expected somebody who is seen from head to feet in most "
                            "frames") from None
        return [Person.of(frame) for frame in points]

    def _size_range(self) -> float:
        """How many times larger she is at her nearest than at her farthest; 1 where that is not known."""
        own = np.stack([person.points for sequence in self.sequences for person in self.people(sequence)])
        try:
            return size_range(place(smoothed(filled(own))))
        except ValueError:  # hips or feet are hardly ever seen
            return 1.0

    def clip(self, index: int, draws: Draws, epoch: int) -> tuple[Sequence, list[int]]:
        """A random part of a random sequence: short epochs (--max_dataset_size) see all of it in time."""
        sequence, numbers = super().clip(index, draws, epoch)
        if draws.rng is not None:
            start = draws.start(len(sequence) - (numbers[-1] - numbers[0]))
            numbers = [start + k - numbers[0] for k in numbers]
        return sequence, numbers

    def frames(self, sequence: Sequence, numbers: list[int], draws: Draws) -> dict[str, Tensor]:
        """Maps and layers, of the part of the frame that these need, or at test all frames of the sequence."""
        people = self.people(sequence)
        left, top, right, bottom = box = self.about.box(
            [people[k] for k in numbers] if self.opt.is_train else people)
        cut = slice(top, bottom), slice(left, right)
        bodies, skeletons = zip(*(self._maps(sequence, k, draws) for k in numbers))
        item = {"A": torch.cat([torch.from_numpy(np.stack([body[:, cut[0], cut[1]] for body in bodies])),
                                normalised([skeleton[cut] for skeleton in skeletons])], 1)}
        if not self.opt.is_train:
            return self.checked({**item, "plate": to_tensor(self.plate), "box": torch.tensor(box)}, sequence)
        item["B"] = torch.stack([premultiplied(self._layer(sequence, k)[cut]) for k in numbers])
        if self.size_range > 1:
            factor, fixed = draws.scale(self.size_range), draws.place()
            item = {"A": scaled(item["A"], factor, fixed, "nearest"), "B": scaled(item["B"], factor, fixed, "bilinear")}
        return self.checked(item, sequence)

    def item(self, index: int, rng: np.random.Generator | Draws | None, epoch: int) -> dict:
        """As of other poses; at test with the pose, and the metadata of the clip that is made."""
        item = super().item(index, rng, epoch)
        if self.opt.is_train:
            return item
        which, first = self.windows[index]
        person = self.people(self.sequences[which])[first + self.opt.n_frames_G - 1]
        return {**item, "metadata": self._metadata(), "pose": openpose_text(person)}

    def collate(self, items: ListLike[dict]) -> dict:
        """A batch; at test of one window, whose plate and box are no frames of a clip."""
        return super().collate(items) if self.opt.is_train else default_collate(list(items))

    def _metadata(self) -> str:
        size = list(self.about.size)
        return json.dumps({"size_LR": size, "alphapose_input_size": size, "n_textures": 25,
                           "frame_rate": str(self.frame_rate)}) + "\n"

    def _maps(self, sequence: Sequence, k: int, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
        """What `drawn` gives of a frame's pose; in training without parts that are left out at random."""
        person, size, place = self.people(sequence)[k], self.about.size, (sequence.name, k)
        if self._drop > 0:
            gone = np.concatenate([[False], draws.uniform(BODY_PARTS) < self._drop])
            return drawn(person, size, gone, draws.uniform(strokes_of(False)) > self._drop)
        if place in self.drawings:
            return self.drawings[place]
        maps = drawn(person, size)
        if len(self.drawings) < KEPT_DRAWINGS // sum(one.nbytes for one in maps):
            self.drawings[place] = maps
        return maps

    def _layer(self, sequence: Sequence, k: int) -> np.ndarray:
        paths = sequence.files["images"]
        return must_be_of_size(read_image(paths[k], "RGBA"), self.about.size, paths[k], self.root / ABOUT)

    def check_frame(self, sequence: Sequence, k: int) -> None:
        """Read all that there is of a frame."""
        if self.opt.is_train:
            self._layer(sequence, k)
        self.people(sequence)

    def name_file(self, sequence: Sequence, k: int) -> Path:
        """Named by the frame alone."""
        path = sequence.files["openpose"][k]
        return path.with_name(path.name.replace("_keypoints", ""))

    @property
    def multiple(self) -> int:
        """Boxes have sides of so many pixels."""
        return min(KEPT_MULTIPLE, super().multiple)


def drawn(person: Person, size: tuple[int, int], gone: np.ndarray | None = None,
          kept: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The maps of a person: the drawn body, float32 [3, H, W] in [-1, 1], and the skeleton, uint8 [H, W, 3].

    Args:
        person: in pixels.
        size: (width, height).
        gone: bool [BODY_PARTS + 1], parts of the body that are left out.
        kept: bool [strokes_of(False)], strokes of the skeleton that are drawn; None: all.
    """
    part, u, v = draw_body(person.coco, size, size)
    if gone is not None:
        part = np.where(gone[part], 0, part)
    body = np.stack([2 * u * (part > 0) - 1, 2 * v * (part > 0) - 1, 2 * part / BODY_PARTS - 1]).astype(np.float32)
    return body, draw_people([person], size, False, None if kept is None else [kept])


def premultiplied(layer: np.ndarray) -> Tensor:
    """Straight RGBA, uint8 [H, W, 4], as premultiplied RGBA, float32 [4, H, W] in [-1, 1]."""
    pixels = layer.astype(np.float32) / 255
    pixels[..., :3] *= pixels[..., 3:]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)) * 2 - 1)


def scaled(pictures: Tensor, factor: float, fixed: tuple[float, float], mode: str) -> Tensor:
    """Pictures [T, C, H, W] in [-1, 1], so many times larger around a place (x, y) in [-1, 1], -1 outside."""
    back = 1 / factor
    matrix = torch.tensor([[back, 0, fixed[0] * (1 - back)], [0, back, fixed[1] * (1 - back)]], dtype=pictures.dtype)
    grid = F.affine_grid(matrix.expand(len(pictures), 2, 3), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures + 1, grid, mode=mode, align_corners=False) - 1


def driver_rate(driver: Path) -> Fraction:
    """Frames per second of the driver's clip, as far as it is known."""
    if (driver / "keypoints.json").exists():
        return Dataroot.open(driver).metadata.frame_rate
    return About.read(driver).frame_rate if (driver / ABOUT).exists() else DEFAULT_FRAME_RATE


def _side(span: float, whole: int) -> int:
    return min(max(int(np.ceil(span / KEPT_MULTIPLE)), 1), whole // KEPT_MULTIPLE) * KEPT_MULTIPLE
