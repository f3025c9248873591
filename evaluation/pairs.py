"""How near pictures are to their targets, whatever made them: two folders, matched by the names of their files.

    made, true = Pictures(Path("results/street/test_latest"), "fake_B_*"), Pictures(Path("datasets/street/test_B"))
    pairs, unmatched = matched(made, true)
    result = evaluate_pairs(pairs)
    result["total"]["images"]["psnr"]

A name is a path within its folder, without ending: a/0001.png is the picture of a/0001.jpg. Folders within it are
sequences; a folder `images`, into which test.py writes, is not part of the name. Pictures of 8 or 16 bits are compared
as RGB in [0, 1]. Knows nothing of models and runs.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data.masks import read_mask
from evaluation.frechet import frechet_distances
from evaluation.images import (
    Lpips,
    Sum,
    content_box,
    figures,
    flicker,
    levels,
    mean,
    motion,
    perceptual_distance,
    size_text,
    squared_error,
    ssim_map,
    warping_error,
)
from evaluation.poses import Poses
from util.clips import natural_order
from util.errors import UserError
from util.images import image_size, read_deep_image, unit_range

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
IMAGES = "images"
RESULTS = ("metrics.json", "frames.csv")
"""A folder within the one to measure that has these holds an evaluation, with pictures for its page."""


class Pictures(NamedTuple):
    """Where pictures lie.

    Attributes:
        folder: the folder; those in it count too.
        names: how a file is called, without ending; its one `*` stands for the name that picture and target
            share.
    """

    folder: Path
    names: str = "*"

    def __str__(self):
        return str(self.folder) + (f" ({self.names})" if self.names != "*" else "")

    def files(self) -> dict[str, Path]:
        """Name to file, in order of sequences and, within them, of the numbers in names.

        Raises:
            UserError: the folder is missing, or two files have the same name.
        """
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such folder; expected pictures, also in folders within it")
        shape = re.compile("(.+)".join(map(re.escape, self.names.split("*"))))
        results = {path.parent for path in self.folder.glob(f"**/*/{RESULTS[0]}")
                   if path.with_name(RESULTS[1]).exists()}
        files: dict[str, Path] = {}
        for path in sorted(self.folder.rglob("*")):
            place = path.relative_to(self.folder)
            found = shape.fullmatch(path.stem)
            if (found is None or path.suffix.lower() not in SUFFIXES or any(part[0] == "." for part in place.parts)
                    or results & set(path.parents)):
                continue
            sequence = place.parent.parent if place.parent.name == IMAGES else place.parent
            name = (sequence / found[1]).as_posix()
            if name in files:
                raise UserError(f"{path}: {files[name].name} has the same name; expected one picture of each name")
            files[name] = path
        return dict(sorted(files.items(), key=lambda item: _in_order(item[0])))


class Pair(NamedTuple):
    """A picture and what it should look like; `name` is what they share."""

    name: str
    image: Path
    target: Path

    @property
    def sequence(self) -> str:
        """The folder that it is in, `.` for the one that was given."""
        return Path(self.name).parent.as_posix()

    @property
    def number(self) -> int | None:
        """The number that ends its name."""
        found = re.search(r"\d{1,18}$", self.name)
        return int(found[0]) if found else None

    def follows(self, earlier: "Pair") -> bool:
        """Whether it is the next frame of the same sequence, by their numbers."""
        return (self.sequence == earlier.sequence and self.number is not None and earlier.number is not None
                and self.number == earlier.number + 1)


def matched(images: Pictures, targets: Pictures, only_common: bool = False) -> tuple[list[Pair], dict[str, int]]:
    """Match pictures and targets of the same name.

    Args:
        images: what is measured.
        targets: what it is measured against.
        only_common: leave out what only one of them has.

    Returns:
        the pairs, and how many `images` and `targets` are left out.

    Raises:
        UserError: a folder has no pictures, there is a picture without target or a target without picture, or two that
            belong together have other sizes.
    """
    made, true = images.files(), targets.files()
    for pictures, files in ((images, made), (targets, true)):
        if not files:
            raise UserError(f"{pictures}: no pictures; expected files such as 0001.png or a/0001.jpg")
    names = [name for name in made if name in true]
    if not names:
        raise UserError(f"{images}: no picture has the name of a target in {targets}; the first are {next(iter(made))} "
                        f"and {next(iter(true))}. Names must be the same but for the ending; where one has more, say "
                        "so: --image_names 'fake_B_*' or --target_names '*_real'")
    for here, there, pictures, what in ((made, true, targets, "target"), (true, made, images, "picture")):
        alone = [name for name in here if name not in there]
        if alone and not only_common:
            raise UserError(f"{pictures}: {len(alone)} {what}{'s' * (len(alone) > 1)} missing of {len(here)}, the "
                            f"first is {alone[0]}. Give them all, or measure what both folders have: --only_common")
    pairs = [Pair(name, made[name], true[name]) for name in names]
    sizes = [(image_size(pair.image), image_size(pair.target)) for pair in pairs]
    wrong = [(pair, *both) for pair, both in zip(pairs, sizes) if both[0] != both[1]]
    if wrong:
        pair, size, expected = wrong[0]
        raise UserError(f"{pair.image}: {size_text(size)} pixels; its target {pair.target} has {size_text(expected)} "
                        f"({len(wrong)} such picture{'s' * (len(wrong) > 1)}). Make them of one size; none is scaled")
    return pairs, {"images": len(made) - len(pairs), "targets": len(true) - len(pairs)}


def masks_of(pairs: list[Pair], folder: Path) -> dict[str, Path]:
    """The mask of each pair, by its name.

    Raises:
        UserError: some have none.
    """
    masks = Pictures(folder).files()
    missing = [pair.name for pair in pairs if pair.name not in masks]
    if missing:
        raise UserError(f"--masks {folder}: {len(missing)} of {len(pairs)} pictures have no mask, the first is "
                        f"{missing[0]}; expected one of the same name for each")
    return masks


def evaluate_pairs(pairs: list[Pair], lpips: Lpips | None = None, crop: tuple[int, int] | None = None,
                   masks: dict[str, Path] | None = None, poses: Poses | None = None) -> dict:
    """Measure pictures against their targets.

    Args:
        pairs: at least one.
        lpips: perceptual distance of two pictures; None: leave it out.
        masks: by the name of each pair, where it is measured, LPIPS as if the pictures were alike elsewhere; None:
            everywhere. Not with `crop`.
        crop: (height, width) of the part round the target's content that is measured (`content_box`); pairs whose
            target is white are left out then, and there is no flicker. None: all of each picture.
        poses: how somebody in them should stand, in pixels of the pictures, so not with `crop`; None: leave it out.

    Raises:
        UserError: all targets are white.

    Returns:
        `number` of pairs; `sizes`, how many there are of each; `bits` per channel of images and targets; `range` of the
            values that were compared.
        `total`: {"images": {measure: figure}} over all pictures. A figure is None where there was nothing to measure.
        `sequences`: the same for each folder, by its name.
        `frames`: the same for each picture, in a list; its name is `frame`.
    """
    sums: list[dict[str, dict[str, Sum]]] = []
    sizes: Counter[str] = Counter()
    bits: dict[str, set[int]] = {"images": set(), "targets": set()}
    earlier: tuple[Pair, np.ndarray, np.ndarray] | None = None
    measured = []
    for pair in tqdm(pairs, desc="evaluate", unit="picture"):
        pixels = pixels_of(pair, crop)
        if pixels is None:
            continue
        measured.append(pair)
        for which, one in zip(bits, pixels):
            bits[which].add(8 * one.dtype.itemsize)
        sizes[size_text(pixels[0].shape[1::-1])] += 1
        made, true = map(unit_range, pixels)
        if earlier is not None and (crop or not (pair.follows(earlier[0]) and made.shape == earlier[1].shape)):
            earlier = None
        where = read_mask(masks[pair.name], made.shape[1::-1]) if masks else None
        of_poses = {"pose_error": poses.error(pair.name, made),
                    "true_pose_error": poses.error(pair.name, true)} if poses else {}
        sums.append({"images": measures(made, true, earlier, where, lpips) | of_poses})
        earlier = pair, made, true
    if not measured:
        raise UserError(f"--crop: all {len(pairs)} targets are white, the first is {pairs[0].target}; expected "
                        "pictures of something on white")
    sequences = {sequence: [one for one, pair in zip(sums, measured) if pair.sequence == sequence]
                 for sequence in dict.fromkeys(pair.sequence for pair in measured)}
    return {
        "number": len(measured), "sizes": dict(sizes), "bits": {which: sorted(found) for which, found in bits.items()},
        "range": [0, 1],
        "total": figures(sums),
        "sequences": {sequence: figures(of_it) for sequence, of_it in sequences.items()},
        "frames": [{"frame": pair.name, **figures([one])} for pair, one in zip(measured, sums)],
    }


def pixels_of(pair: Pair, crop: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray] | None:
    """A picture and its target as they are stored, cropped as `evaluate_pairs` says; None: it is left out."""
    made, true = read_deep_image(pair.image), read_deep_image(pair.target)
    if crop is None:
        return made, true
    box = content_box(true, crop)
    return None if box is None else (made[box[0]:box[1], box[2]:box[3]], true[box[0]:box[1], box[2]:box[3]])


def measures(made: np.ndarray, true: np.ndarray, earlier: tuple[Pair, np.ndarray, np.ndarray] | None,
             where: np.ndarray | None, lpips: Lpips | None) -> dict[str, Sum]:
    """All measures of a picture [H, W, 3] in [0, 1] against its target; `where` and `lpips` as in `evaluate_pairs`."""
    error = squared_error(made, true, where)
    seen = made if where is None else np.where(where[..., None], made, true)
    return {"psnr": error,
            "psnr_mean": Sum(error.figure(error.total / error.weight), 1) if error.weight else Sum(0, 0),
            "ssim": mean(ssim_map(made, true), where), "lpips": perceptual_distance(lpips, seen, true),
            **changes(made, true, earlier, where)}


def distances_of(pairs: list[Pair], crop: tuple[int, int] | None = None) -> dict[str, float | None]:
    """`fid` and `video_fid` (`frechet_distances`) of pictures against their targets, whole or cropped as above.

    Raises:
        Unavailable: weights of a network cannot be had.
    """
    def runs() -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
        run: list[tuple[np.ndarray, np.ndarray]] = []
        earlier: Pair | None = None
        for pair in tqdm(pairs, desc="FID", unit="picture"):
            pixels = pixels_of(pair, crop)
            if pixels is None:
                continue
            if run and not (earlier and pair.follows(earlier) and pixels[1].shape == run[-1][1].shape):
                yield run
                run = []
            run.append((unit_range(pixels[0]), unit_range(pixels[1])))
            earlier = pair
        yield run
    return frechet_distances(runs())


def changes(made: np.ndarray, true: np.ndarray, earlier: tuple[Pair, np.ndarray, np.ndarray] | None,
            where: np.ndarray | None) -> dict[str, Sum]:
    """Measures of what changes from the pair before, if there is one, made and true."""
    if earlier is None:
        return dict.fromkeys(("flicker", "temporal_error", "true_temporal_error"), Sum(0, 0, levels))
    flow, believed = motion(true, earlier[2])
    believed = believed if where is None else believed & where
    return {"flicker": flicker(made, earlier[1], true, earlier[2], where),
            "temporal_error": warping_error(made, earlier[1], flow, believed),
            "true_temporal_error": warping_error(true, earlier[2], flow, believed)}


def _in_order(name: str) -> tuple:
    """A key that sorts sequences by name, and frame 10 behind frame 9."""
    path = Path(name)
    return path.parent.parts, natural_order(path.name)
