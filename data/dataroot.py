"""The one reader of a dataroot, the folder that holds a clip (docs/layered_video/data.md), and all checking of it.

Frames count from 1 on disk and from 0 here; layers count from 1 in both (0 is the background). Sizes are
(width, height) in pixels. Checks collect every problem and report them together, each with its file.
"""

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from util.clips import DEFAULT_FRAME_RATE, frame_rate_of
from util.errors import UserError, several
from util.files import read_text
from util.images import image_size
from vision.geometry.homography import Registration
from vision.people.iuv import people_in_atlas

SIDE_MULTIPLE = 16
SMALLEST_SIDE = 64
LARGEST_SIDE = 32768
WIDEST = 20
MOST_PEOPLE = 254
"""As many as the person numbers of UV maps are for."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Metadata:
    """metadata.json.

    Attributes:
        path: the file.
        size: (width, height) of the low-resolution frames.
        pose_size: (width, height) of the frames that the keypoints were found on.
        n_textures: tiles in the texture atlas, 24 x people + 1.
        people_layers: person ids of each layer, layer 1 first; None: one person per layer, in ascending order.
        composite_order: per frame, layer numbers from back to front; None: ascending in every frame.
        frame_rate: frames per second of the source.
        audio: file with the sound of the frames; None: there is none.
        original_size: (width, height) of the source as it is displayed; None: not known.
        people_names: what people are called, by person id.
    """

    path: Path
    size: tuple[int, int]
    pose_size: tuple[int, int]
    n_textures: int
    people_layers: list[list[int]] | None = None
    composite_order: list[list[int]] | None = None
    frame_rate: Fraction = DEFAULT_FRAME_RATE
    audio: Path | None = None
    original_size: tuple[int, int] | None = None
    people_names: dict[int, str] = field(default_factory=dict)

    @property
    def n_people(self) -> int:
        """People that the texture atlas has room for."""
        return people_in_atlas(self.n_textures)


@dataclass
class Dataroot:
    """A clip's folder: its frames, and where the files of each frame are.

    Attributes:
        path: the folder.
        metadata: metadata.json.
        frames: names of the frames without ending, in order.
    """

    path: Path
    metadata: Metadata
    frames: list[str]
    folders: dict[str, dict[str, Path]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | str) -> "Dataroot":
        """Read metadata.json and list rgb_256.

        Raises:
            UserError: the folder, metadata.json or the frames are missing, broken or do not fit each other.
        """
        path = Path(path)
        if not path.is_dir():
            raise UserError(f"--dataroot {path}: no such folder; expected a folder with rgb_256/ and metadata.json")
        metadata = read_metadata(path / "metadata.json")
        files = list_images(path / "rgb_256")
        problems = wrong_sizes(files.values(), metadata.size, f"size_LR of {metadata.path.name}")
        if problems:
            raise several(problems)
        root = cls(path, metadata, list(files), {"rgb_256": files})
        order = metadata.composite_order
        if order is not None and len(order) != len(root.frames):
            raise UserError(f"{metadata.path}: composite_order has {len(order)} entries; rgb_256 has "
                            f"{len(root.frames)} frames. Give one entry per frame, or leave it out")
        return root

    def require(self, folder: str) -> list[str]:
        """List a folder that must hold one image for every frame; returns its problems."""
        try:
            files = list_images(self.path / folder)
        except UserError as error:
            return [str(error)]
        self.folders[folder] = files
        return unmatched_frames(self.path / folder, files, self.frames)

    def file(self, folder: str, frame: int) -> Path:
        """The image of a frame in a folder that was required before."""
        return self.folders[folder][self.frames[frame]]

    def own_size(self) -> tuple[int, int] | None:
        """(width, height) of the frames in rgb/, which are as large as the video; None where there are none."""
        files = list_images(self.path / "rgb") if (self.path / "rgb").is_dir() else {}
        return image_size(files[self.frames[0]]) if self.frames[0] in files else None

    def layer_numbers(self) -> list[int]:
        """Numbers of the person layers: those of people_layers, else the folders in iuv/.

        Raises:
            UserError: there are none, they are not 1, 2, ..., or composite_order does not name exactly these.
        """
        folder = self.path / "iuv"
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; make the UV maps first: "
                            f"bash datasets/prepare_iuv.sh {shlex.quote(str(self.path))}")
        names = sorted(p.name for p in folder.iterdir() if p.is_dir())
        numbers = [int(name) if name.isdecimal() else 0 for name in names]
        if not numbers or numbers != list(range(1, len(numbers) + 1)):
            raise UserError(f"{folder}: found folders {names}; expected 01, 02, ..., one per layer of people")
        people_layers = self.metadata.people_layers
        if people_layers is not None and len(people_layers) != len(numbers):
            raise UserError(f"{folder}: found {len(numbers)} folders; people_layers of metadata.json lists "
                            f"{len(people_layers)} layers. Make the UV maps again: "
                            f"bash datasets/prepare_iuv.sh {shlex.quote(str(self.path))}")
        self.check_order(numbers)
        return numbers

    def layer_names(self, numbers: Iterable[int]) -> dict[int, str]:
        """What the people of layers are called, by layer, where all of them have names."""
        metadata = self.metadata
        people = {layer: metadata.people_layers[layer - 1] if metadata.people_layers else [layer] for layer in numbers}
        return {layer: ", ".join(metadata.people_names[person] for person in ids) for layer, ids in people.items()
                if all(person in metadata.people_names for person in ids)}

    def check_order(self, numbers: list[int]) -> None:
        """Make sure that composite_order, if there is one, names exactly these layers in every frame.

        Raises:
            UserError: it does not.
        """
        for frame, order in enumerate(self.metadata.composite_order or []):
            if sorted(order) != numbers:
                raise UserError(f"{self.metadata.path}: composite_order of frame {self.frames[frame]} is {order}; "
                                f"expected each of the layers {numbers} once. Leave composite_order out, and let "
                                f"prepare.py find it: python prepare.py --dataroot {self.path}")

    def composite_order(self, frame: int, numbers: list[int]) -> list[int]:
        """Layer numbers of a frame, back to front, without the background."""
        return self.metadata.composite_order[frame] if self.metadata.composite_order else numbers

    def registration(self) -> Registration:
        """Read homographies.txt.

        Raises:
            UserError: it is missing or broken, has a singular matrix, or not one matrix per frame.
        """
        path = self.path / "homographies.txt"
        registration = read_homographies(path)
        if len(registration.matrices) != len(self.frames):
            raise UserError(f"{path}: {len(registration.matrices)} matrices; rgb_256 has {len(self.frames)} frames. "
                            "Give one line of 9 numbers per frame")
        return registration

    def camera_motion(self) -> Registration | None:
        """What homographies.txt says; None where there is none: the camera stands still."""
        return self.registration() if (self.path / "homographies.txt").exists() else None


def read_metadata(path: Path) -> Metadata:
    """Read metadata.json.

    Raises:
        UserError: it is missing or broken, or a value is not of its form.
    """
    try:
        values = json.loads(read_text(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; see docs/layered_video/data.md for what it holds") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds a {type(values).__name__}; expected an object with size_LR, "
                        "alphapose_input_size and n_textures")
    missing = [key for key in ("size_LR", "alphapose_input_size", "n_textures") if key not in values]
    if missing:
        raise UserError(f"{path}: {', '.join(missing)} missing; see docs/layered_video/data.md for what it holds")
    checks = _MetadataChecks(path, values)
    n_textures = checks.n_textures()
    metadata = Metadata(path, checks.network_size("size_LR"), checks.size("alphapose_input_size"), n_textures,
                        checks.people_layers(people_in_atlas(n_textures)), checks.composite_order(),
                        checks.frame_rate(), checks.audio(),
                        checks.size("original_size") if "original_size" in values else None, checks.people_names())
    if checks.problems:
        raise several(checks.problems)
    return metadata


def check_known_values(path: Path, values: dict) -> None:
    """See that what a metadata.json says of the frames is of its form; it need not say all of it yet.

    Raises:
        UserError: a value is not of its form.
    """
    checks = _MetadataChecks(path, values)
    for key in ("size_LR", "alphapose_input_size", "original_size"):
        if key in values:
            checks.size(key)
    checks.people_layers(MOST_PEOPLE)
    checks.frame_rate()
    checks.source()
    if checks.problems:
        raise several(checks.problems)


class _MetadataChecks:
    """Values of metadata.json, each replaced by a harmless one and noted as a problem if it is not of its form."""

    def __init__(self, path: Path, values: dict):
        self.path, self.values = path, values
        self.problems: list[str] = []

    def problem(self, key: str, expected: str) -> None:
        """Note that a value is not of its form."""
        found = json.dumps(self.values[key])
        self.problems.append(f"{self.path}: {key} is {found if len(found) < 60 else found[:57] + '...'}; "
                             f"expected {expected}")

    def size(self, key: str) -> tuple[int, int]:
        """(width, height) in pixels."""
        value = self.values[key]
        if not (_is_list_of(value, _is_count) and len(value) == 2 and max(value) <= LARGEST_SIDE
                and max(value) <= WIDEST * min(value)):
            self.problem(key, f"[width, height] in pixels, up to {LARGEST_SIDE}, one not more than {WIDEST} times the "
                              "other")
            return SMALLEST_SIDE, SMALLEST_SIDE
        return value[0], value[1]

    def network_size(self, key: str) -> tuple[int, int]:
        """(width, height) of frames that the network takes."""
        size = self.size(key)
        nearest = [max(SMALLEST_SIDE, round(side / SIDE_MULTIPLE) * SIDE_MULTIPLE) for side in size]
        if list(size) != nearest:
            self.problem(key, f"multiples of {SIDE_MULTIPLE} of at least {SMALLEST_SIDE}, the nearest is {nearest}. "
                              f"Resize the frames of rgb_256 to {nearest[0]}x{nearest[1]} and those of rgb_512 to "
                              f"twice that")
        return size

    def n_textures(self) -> int:
        """Tiles of the texture atlas."""
        value = self.values["n_textures"]
        if not (_is_count(value) and 25 <= value <= 24 * MOST_PEOPLE + 1 and (value - 1) % 24 == 0):
            self.problem("n_textures", f"24 x people + 1: 25, 49, 73, ... up to {24 * MOST_PEOPLE + 1}")
            return 24 * MOST_PEOPLE + 1
        return value

    def people_layers(self, people: int) -> list[list[int]] | None:
        """Person ids of each layer; None: not given."""
        layers = self.values.get("people_layers")
        if layers is None:
            return None
        if not (_is_list_of(layers, lambda layer: _is_list_of(layer, _is_count) and layer)):
            self.problem("people_layers", "a list of lists of person ids from 1, such as [[1, 2], [3]]")
            return None
        ids = [person for layer in layers for person in layer]
        if len(set(ids)) != len(ids):
            self.problem("people_layers", "each person in one layer only")
        elif max(ids) > people:
            self.problem("people_layers", f"person ids up to {people}, for which n_textures has tiles. "
                                          f"Set n_textures to {24 * max(ids) + 1}")
        return layers

    def people_names(self) -> dict[int, str]:
        """What people are called, by id; what is no name is none."""
        names = self.values.get("people_names")
        return {int(person): name for person, name in (names.items() if isinstance(names, dict) else ())
                if person.isdecimal() and isinstance(name, str) and name.isprintable() and name.strip()}

    def composite_order(self) -> list[list[int]] | None:
        """Per frame, layer numbers from back to front; None: not given."""
        order = self.values.get("composite_order")
        if order is not None and not _is_list_of(order, lambda frame: _is_list_of(frame, _is_count)):
            self.problem("composite_order", "for each frame a list of layer numbers from 1, back to front")
            return None
        return order

    def frame_rate(self) -> Fraction:
        """Frames per second."""
        try:
            return frame_rate_of(str(self.values.get("frame_rate", DEFAULT_FRAME_RATE)))
        except ValueError:
            self.problem("frame_rate", 'frames per second as a fraction, such as "25/1" or "30000/1001"')
            return DEFAULT_FRAME_RATE

    def source(self) -> dict:
        """What the frames were taken from, as preparation/frames.py writes it."""
        value = self.values.get("source", {})
        forms: dict[str, Callable[[Any], bool]] = {
            "names": lambda names: _is_list_of(names, lambda name: isinstance(name, str)),
            "frames": lambda frames: _is_list_of(frames, lambda frame: type(frame) is int and frame >= 0),
            "first_second": lambda second: type(second) in (int, float),
            "stored_size": lambda size: _is_list_of(size, _is_count) and len(size) == 2}
        if not isinstance(value, dict) or not all(fits(value[key]) for key, fits in forms.items() if key in value):
            self.problem("source", 'an object such as {"file": "walk.mp4", "frames": [0, 1, 2]}, or none')
            return {}
        return value

    def audio(self) -> Path | None:
        """The file with the sound; None: there is none."""
        value = self.values.get("audio")
        if value is None:
            return None
        if not isinstance(value, str) or Path(value).name != value or not (self.path.parent / value).is_file():
            self.problem("audio", f"the name of a file in {self.path.parent}. Put it there, or leave audio out")
            return None
        return self.path.parent / value


def read_homographies(path: Path) -> Registration:
    """Read homographies.txt: `size: W H`, `bounds: xmin xmax ymin ymax`, then 9 numbers per frame, row by row.

    Raises:
        UserError: it is missing, a line is not of its form, or a matrix cannot be inverted.
    """
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; leave --use_homographies out for a camera that stands still") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as text ({error})") from None
    while lines and not lines[-1].strip():
        lines.pop()
    width, height = size = _numbers_after(path, lines, 0, "size:", 2)
    left, right, top, bottom = bounds = _numbers_after(path, lines, 1, "bounds:", 4)
    if min(size) < 1 or max(size) > LARGEST_SIDE or left >= right or top >= bottom:
        raise UserError(f"{path}: size {size} and bounds {bounds}; expected a positive size, xmin < xmax, ymin < ymax")
    matrices = [np.reshape(_numbers_after(path, lines, i, "", 9), (3, 3)) for i in range(2, len(lines))]
    if not matrices:
        raise UserError(f"{path}: no matrices; expected 9 numbers per frame after the first two lines")
    for i, matrix in enumerate(matrices):
        scale = np.abs(matrix).max()
        if scale == 0 or np.linalg.cond(matrix / scale) > 1e12:
            raise UserError(f"{path}: line {i + 3}: the matrix is singular; expected one that can be inverted. "
                            "Register this frame again")
    return Registration((width, height), (left, right, top, bottom), np.stack(matrices))


def _numbers_after(path: Path, lines: list[str], index: int, label: str, count: int) -> list[float]:
    line = lines[index] if index < len(lines) else ""
    try:
        numbers = [float(word) for word in line.removeprefix(label).split()]
    except ValueError:
        numbers = []
    if not line.startswith(label) or len(numbers) != count or not np.isfinite(numbers).all():
        expected = f"{label} {count} numbers".lstrip()
        raise UserError(f"{path}: line {index + 1}: found '{line[:60]}'; expected {expected}")
    return numbers


def list_images(folder: Path) -> dict[str, Path]:
    """Images of a folder: name without ending to path, in order of their names.

    Raises:
        UserError: the folder is missing or has no images, or two have the same name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; see docs/layered_video/data.md for what a dataroot holds")
    shown = [p for p in folder.iterdir() if not p.name.startswith(".")]  # macOS puts ._0001.png beside 0001.png
    paths = sorted(p for p in shown if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        others = ", ".join(sorted({p.suffix for p in shown if p.suffix})[:6])
        found = f" of these endings (found: {others})" if others else ""
        raise UserError(f"{folder}: no images{found}; expected 0001.png, 0002.png, ... (PNG or JPEG)")
    files = {p.stem: p for p in paths}
    if len(files) < len(paths):
        twice = next(p for p in paths if files[p.stem] != p)
        raise UserError(f"{folder}: both {twice.name} and {files[twice.stem].name}; expected one image per frame")
    return files


def unmatched_frames(folder: Path, files: dict[str, Path], frames: list[str]) -> list[str]:
    """Problems of a folder that must hold one file for each of `frames`, and no others."""
    missing = [name for name in frames if name not in files]
    extra = [name for name in files if name not in set(frames)]
    problems = []
    if missing:
        problems.append(f"{folder}: {len(missing)} of {len(frames)} frames missing, the first is {missing[0]}; "
                        "expected one image for each frame of rgb_256, of the same name")
    if extra:
        problems.append(f"{folder}: {files[extra[0]].name} has no frame in rgb_256 ({len(extra)} such files); "
                        "expected the same names. Remove it, or add the frame")
    return problems


def wrong_sizes(paths, size: tuple[int, int], meaning: str, mode: str | None = None) -> list[str]:
    """Problems of images that must have a size, and a Pillow mode where one is given. Reads their headers only."""
    problems = []
    for path in paths:
        try:
            with Image.open(path) as image:
                if image.size != tuple(size):
                    problems.append(f"{path}: {image.width}x{image.height} pixels; expected {size[0]}x{size[1]}, "
                                    f"{meaning}")
                elif mode is not None and image.mode != mode:
                    problems.append(f"{path}: an image of mode {image.mode}; expected {mode}")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            problems.append(f"{path}: not a readable image; make this file again")
    return problems


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_list_of(value, is_member) -> bool:
    return isinstance(value, list) and bool(value) and all(is_member(member) for member in value)
