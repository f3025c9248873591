"""Sequences of frames in folders, `{phase}_A/<sequence>/<frame>.png` beside `{phase}_B/...`, and how frames are scaled,
cropped and turned round before a network sees them (--resize_or_crop).

Files of a frame are matched by their names, never by their position: what Cityscapes, OpenPose and DensePose add to a
name does not count, nor does what all names of a folder begin and end with. Sizes are (width, height) in pixels.
"""

import os
import re
import zlib
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from util.clips import natural_order
from util.errors import UserError, several
from util.files import mark_of_files
from util.images import read_image

IMAGES = (".jpg", ".jpeg", ".png", ".pgm", ".ppm", ".bmp", ".tiff")
TEXTS = (".txt",)
JSONS = (".json",)
FLOWS = (".npy",)
_ADDED = re.compile(r"_(gtFine_(labelIds|labelTrainIds|instanceIds|color)|leftImg8bit|IUV|INDS|keypoints|rendered)$")
FINAL_MULTIPLE, SCALED_MULTIPLE = 32, 4


# ---- folders --------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Sequence:
    """Frames in a row.

    Attributes:
        name: its folder's name.
        files: for each kind of file, such as "maps" and "images", one path for each frame.
    """

    name: str
    files: dict[str, list[Path]]

    def __len__(self) -> int:
        return len(next(iter(self.files.values())))


def find_sequences(root: Path | str, phase: str, folders: dict[str, tuple[str, tuple[str, ...]]],
                   least: int) -> list[Sequence]:
    """All sequences of a phase, in the order of their names.

    Args:
        root: the dataroot.
        phase: what the folders' names begin with, such as train.
        folders: kind of file to the end of the folder's name and the endings of files in it:
            {"maps": ("A", IMAGES)} is {phase}_A/<sequence>/*.png. The first kind says which sequences and frames
            there are.
        least: frames that a sequence needs.

    Raises:
        UserError: a folder is missing or empty, sequences or frames do not match, or a sequence is too short; all of
            that at once, a line each.
    """
    root = Path(root)
    found, problems = {}, []
    for kind, (end, endings) in folders.items():
        folder = root / f"{phase}_{end}"
        found[kind], more = _sequences_in(folder, endings)
        problems += more
        if not found[kind] and not more:
            problems.append(f"{folder}: no {', '.join(endings)} files in it; expected a folder for each sequence, "
                            f"{folder.name}/<sequence>/<frame>{endings[0]}")
    first = next(iter(folders))
    sequences = []
    if all(found.values()):
        for name in sorted(set().union(*found.values())):
            without = [root / f"{phase}_{folders[kind][0]}" for kind in folders if name not in found[kind]]
            if without:
                there = next(kind for kind in folders if name in found[kind])
                problems += [f"{folder}: no sequence {name}; {phase}_{folders[there][0]} has it. Add it there, or "
                             "remove it here" for folder in without]
                continue
            files, more = _matched({kind: found[kind][name] for kind in folders})
            problems += more
            if len(found[first][name]) < least:
                problems.append(f"{found[first][name][0].parent}: {len(found[first][name])} frames; expected at least "
                                f"{least}, as many as --n_frames_G. Add frames, or remove this sequence")
            sequences.append(Sequence(name, files))
    if problems:
        raise several(problems)
    return sequences


def data_id(sequences: list[Sequence]) -> str:
    """A text that tells these data from others."""
    first = next(iter(sequences[0].files.values()))[0]
    files = [path for sequence in sequences for paths in sequence.files.values() for path in paths]
    return (f"{len(sequences)} sequences, {sum(map(len, sequences))} frames, {zlib.crc32(first.read_bytes()):08x}, "
            f"{mark_of_files(files)}")


def _sequences_in(folder: Path, endings: tuple[str, ...]) -> tuple[dict[str, list[Path]], list[str]]:
    """Sequences of a folder: name to files in order; and problems."""
    if not folder.is_dir():
        return {}, [f"{folder}: no such folder; see docs/vid2vid/data.md for what a dataroot holds, and --phase"]
    found, problems = {}, []
    for path, inner, names in os.walk(folder, followlinks=True):
        files = [Path(path, name) for name in names
                 if os.path.splitext(name)[1].lower() in endings and not name.startswith(".")]
        name = folder.name if Path(path) == folder else Path(path).relative_to(folder).as_posix()
        if files:
            found[name] = sorted(files, key=lambda file: natural_order(file.name))
        elif not inner and Path(path) != folder:
            problems.append(f"{path}: an empty sequence; expected its frames ({', '.join(endings)}). Remove the folder")
    return found, problems


def _matched(files: dict[str, list[Path]]) -> tuple[dict[str, list[Path]], list[str]]:
    """Files of each kind in the order of the first kind's frames; and problems."""
    keys = {kind: [_ADDED.sub("", path.stem) for path in paths] for kind, paths in files.items()}
    if any(set(names) != set(next(iter(keys.values()))) for names in keys.values()):
        varying = {kind: _varying(names) for kind, names in keys.items()}
        if all(set(names) == set(next(iter(varying.values()))) for names in varying.values()):
            keys = varying
    first = next(iter(files))
    frames, folder = keys[first], files[first][0].parent
    matched, problems = {}, []
    for kind, paths in files.items():
        by_key = dict(zip(keys[kind], paths))
        if len(by_key) < len(paths):
            twice = next(path for key, path in zip(keys[kind], paths) if by_key[key] != path)
            problems.append(f"{twice.parent}: two files of one frame, {twice.name} and "
                            f"{by_key[keys[kind][paths.index(twice)]].name}; expected one")
        missing = [name for name in frames if name not in by_key]
        extra = [path.name for name, path in by_key.items() if name not in set(frames)]
        if missing:
            problems.append(f"{paths[0].parent}: {len(missing)} of the {len(frames)} frames of {folder} missing, the "
                            f"first is {missing[0]}; expected one file for each, of the same name")
        if extra:
            problems.append(f"{paths[0].parent}: {len(extra)} frames that {folder} does not have, the first is "
                            f"{extra[0]}; expected one file for each, of the same name")
        matched[kind] = [by_key[name] for name in frames if name in by_key]
    return matched, problems


def _varying(names: list[str]) -> list[str]:
    """Names without what all of them begin and end with; numbers stay whole, and lose zeros in front."""
    before, after = os.path.commonprefix(names), os.path.commonprefix([name[::-1] for name in names])
    if len(names) == 1:
        before, after = (re.sub(r"\d.*", "", name) for name in (names[0], names[0][::-1]))
    start, end = len(before.rstrip("0123456789")), len(after.rstrip("0123456789"))
    varying = [name[start:len(name) - end] or name for name in names]
    return [str(int(text)) if text.isdecimal() else text for text in varying]


# ---- random numbers -------------------------------------------------------------------------------------------------

class Draws:
    """The random numbers of an item, by what they decide, in the order in which they are drawn.

    Args:
        rng: where they come from; None: nothing is random, clips begin at the first frame, crops lie in the middle.
    """

    def __init__(self, rng: np.random.Generator | None):
        self.rng = rng

    def sequence(self, shares: np.ndarray) -> int:
        """Which sequence, with the probabilities `shares`; the most probable one where nothing is random."""
        return int(shares.argmax()) if self.rng is None else int(self.rng.choice(len(shares), p=shares))

    def step(self, largest: int) -> int:
        """Frames from one frame of a clip to the next, from 1."""
        return 1 if self.rng is None else 1 + int(self.rng.integers(largest))

    def start(self, count: int) -> int:
        """First frame of a clip, below `count`."""
        return 0 if self.rng is None else int(self.rng.integers(count))

    def side(self, low: int, high: int) -> int:
        """To how many pixels a side is scaled, low and high included."""
        return high if self.rng is None else int(self.rng.integers(low, high + 1))

    def across(self) -> float:
        """Where a crop lies from left to right: standard normal, 0 is the middle."""
        return 0.0 if self.rng is None else float(self.rng.standard_normal())

    def down(self, highest: int) -> int:
        """Pixels above a crop, `highest` included."""
        return highest // 2 if self.rng is None else int(self.rng.integers(highest + 1))

    def flip(self) -> bool:
        """Whether left and right change sides."""
        return self.rng is not None and bool(self.rng.random() > 0.5)

    def uniform(self, count: int) -> np.ndarray:
        """Numbers from 0 to 1 [count] that decide what is left out; 1 where nothing is random."""
        return np.ones(count) if self.rng is None else self.rng.random(count)

    def scale(self, most: float) -> float:
        """How many times larger a picture is shown, from 1 / most to most, on a scale of logarithms."""
        return 1.0 if self.rng is None else float(most ** self.rng.uniform(-1, 1))

    def place(self) -> tuple[float, float]:
        """A place (x, y) in a picture, -1 to 1; the middle where nothing is random."""
        return (0.0, 0.0) if self.rng is None else (float(self.rng.uniform(-1, 1)), float(self.rng.uniform(-1, 1)))

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal numbers [*shape]."""
        return np.zeros(shape) if self.rng is None else self.rng.standard_normal(shape)


# ---- scaling and cropping -------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Framing:
    """How all frames of an item are brought to the size of the network.

    Attributes:
        scaled: the size that the crop is chosen in.
        size: the size that frames are scaled to: `scaled`, but for the mode "resize".
        crop: its size; None: all of the frame.
        corner: the crop's upper left pixel.
        flip: whether left and right change sides, after that.
    """

    scaled: tuple[int, int]
    size: tuple[int, int]
    crop: tuple[int, int] | None = None
    corner: tuple[int, int] = (0, 0)
    flip: bool = False

    def apply(self, pixels: np.ndarray, resampling: Image.Resampling) -> np.ndarray:
        """Scale, crop and turn a picture round.

        Args:
            pixels: uint8 [H, W] or [H, W, 3 or 4], or int32 or float32 [H, W].
            resampling: nearest for labels and all that must not be mixed.

        Returns:
            the same type, [h, w] or [h, w, C].
        """
        image = Image.fromarray(pixels)
        if image.size != self.size:
            image = image.resize(self.size, resampling)
        if self.crop is not None:
            x, y = self.corner
            image = image.crop((x, y, min(x + self.crop[0], image.width), min(y + self.crop[1], image.height)))
        framed = np.asarray(image)
        return np.ascontiguousarray(framed[:, ::-1]) if self.flip else framed


def choose_framing(size: tuple[int, int], mode: str, load_size: int, fine_size: int, may_flip: bool,
                   draws: Draws) -> Framing:
    """How frames of a size are framed.

    Args:
        size: of the frames.
        mode: --resize_or_crop, of which the parts count: resize, scaleWidth, scaleHeight, randomScaleWidth,
            randomScaleHeight; crop, scaledCrop with Width or without. Upper and lower case differ.
        load_size: pixels that a side is scaled to.
        fine_size: pixels of a crop's side.
        may_flip: flip half of the items.
        draws: of the item.
    """
    width, height = size
    if "resize" in mode:
        scaled = load_size, load_size
    elif "scaleWidth" in mode:
        scaled = load_size, load_size * height // width
    elif "scaleHeight" in mode:
        scaled = load_size * width // height, load_size
    elif "randomScaleWidth" in mode:
        side = draws.side(fine_size, load_size + 1)
        scaled = side, side * height // width
    elif "randomScaleHeight" in mode:
        side = draws.side(fine_size, load_size + 1)
        scaled = side * width // height, side
    else:
        scaled = size
    scaled = _rounded(scaled, SCALED_MULTIPLE)
    crop, corner = None, (0, 0)
    if "crop" in mode or "scaledCrop" in mode:
        crop = fine_size, fine_size
        if "crop" not in mode:
            crop = ((fine_size, fine_size * height // width) if "Width" in mode else
                    (fine_size * width // height, fine_size))
        crop = _rounded(crop, FINAL_MULTIPLE)
        span = (scaled[0] - crop[0]) // 2
        x = max(0, min(int(draws.across() * span / 3 + span), 2 * span))
        corner = x, draws.down(min(max(0, scaled[1] - crop[1]), scaled[1] // 8))
    else:
        scaled = _rounded(scaled, FINAL_MULTIPLE)
    flip = draws.flip()
    target = (load_size, load_size) if "resize" in mode else scaled
    if crop is not None:  # a side that is no longer than the crop stays as it is
        x, y = (max(0, min(at, of - part)) for at, of, part in zip(corner, target, crop))
        corner = x, y
    return Framing(scaled, target, crop, corner, flip and may_flip)


def _rounded(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """To the nearest multiple, ties to the even one."""
    width, height = (round(side / multiple) * multiple for side in size)
    return width, height


# ---- files ----------------------------------------------------------------------------------------------------------

def read_ids(path: Path) -> np.ndarray:
    """A picture whose levels are numbers of classes or things: int32 [H, W]; a palette's colours do not count.

    Raises:
        UserError: it is missing, no whole picture, or has colours.
    """
    try:
        with Image.open(path) as image:
            if len(image.getbands()) != 1:
                raise UserError(f"{path}: a picture of {len(image.getbands())} channels ({image.mode}); expected one "
                                "channel, whose levels are the numbers of classes or things")
            return np.asarray(image).astype(np.int32)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error}); make this file again") from None


def read_labels(path: Path, n_labels: int) -> np.ndarray:
    """A label map: int32 [H, W], 0 to n_labels - 1.

    Raises:
        UserError: as `read_ids`, or a label is out of range.
    """
    labels = read_ids(path)
    if labels.min() < 0 or labels.max() >= n_labels:
        wrong = labels.max() if labels.max() >= n_labels else labels.min()
        raise UserError(f"{path}: holds the label {wrong}; expected 0 to {n_labels - 1}, as --label_nc {n_labels} "
                        "says. Give another --label_nc, or make this file again")
    return labels


def read_photo(path: Path, mode: str = "RGB") -> np.ndarray:
    """A photograph: uint8 [H, W, C], or [H, W] for mode "L". Raises `UserError` where it is not readable."""
    return read_image(path, mode)


def read_flow(path: Path) -> np.ndarray:
    """An optical flow: float32 [H, W, 2], from each pixel to where it was in the frame before, (x, y) in pixels.

    Raises:
        UserError: the file is missing or holds anything else.
    """
    try:
        flow = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not readable as an array ({error}); expected a flow, made by numpy.save") from None
    if flow.ndim != 3 or flow.shape[2] != 2 or not np.isfinite(flow).all():
        raise UserError(f"{path}: an array of shape {list(flow.shape)}; expected a flow of finite numbers, [height, "
                        "width, 2], from each pixel to where it was in the frame before")
    return flow.astype(np.float32)


def size_of(path: Path) -> tuple[int, int]:
    """Size of a picture, from its header. Raises `UserError` where it is not readable."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error}); make this file again") from None


def must_be_of_size(pixels: np.ndarray, size: tuple[int, int], path: Path, other: Path) -> np.ndarray:
    """The picture itself, if it is of the size of another file.

    Raises:
        UserError: it is not.
    """
    found = pixels.shape[1], pixels.shape[0]
    if found != tuple(size):
        raise UserError(f"{path}: {found[0]} x {found[1]} pixels; expected {size[0]} x {size[1]} as {other}. "
                        "All files of a sequence are of one size")
    return pixels


def stacked(frames: ListLike[np.ndarray]) -> np.ndarray:
    """Frames [H, W] or [H, W, C] to [T, C, H, W], contiguous."""
    stack = np.stack(frames)
    return stack[:, None] if stack.ndim == 3 else np.ascontiguousarray(stack.transpose(0, 3, 1, 2))
