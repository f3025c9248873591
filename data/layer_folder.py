"""The RGBA layers of a clip as files: what test.py exported, or what is known of a clip that was made (its gt folder).

    <folder>/images/0001_rgba_l0.png ...            as test.py exports them; l0 is the background
    <folder>/bg.png or bg/0001.png ...,             as known layers lie in gt/ (docs/layered_video/data.md)
    <folder>/layer_01/0001.png ...

Layers count from 1 (0 is the background), frames from 0 here and by name on disk. Pixels are uint8 with straight alpha,
or uint16 where files have 16 bits and that is asked for.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from data.dataroot import Dataroot, list_images, wrong_sizes
from util.errors import UserError, several
from util.images import has_16_bits, read_all_bits, read_image


@dataclass(frozen=True)
class LayerFolder:
    """Layers on disk, read one picture at a time.

    Attributes:
        path: the folder.
        frames: names of the frames, without ending, in order.
        files: layer number to frame name to file; layer 0 is the background, whose file may be the same for all frames.
    """

    path: Path
    frames: list[str]
    files: dict[int, dict[str, Path]]

    @classmethod
    def open(cls, path: Path | str) -> "LayerFolder":
        """List the files, and check that all are there and of one size.

        Raises:
            UserError: there are no layers, or some do not fit the others.
        """
        path = Path(path)
        if (path / "images").is_dir():
            files = _exported_files(path / "images")
        elif (path / "bg.png").exists() or (path / "bg").is_dir():
            files = _known_files(path)
        else:
            raise UserError(f"{path}: no layers; expected images/0001_rgba_l0.png ... as test.py exports them, "
                            "or bg.png and layer_01/. Export first: python test.py --name NAME")
        longest = max(files.values(), key=len)
        frames = list(longest)
        problems = []
        for number, by_frame in files.items():
            missing = [frame for frame in frames if frame not in by_frame]
            if missing:
                problems.append(f"{path}: layer {number}: {len(missing)} pictures missing, the first is {missing[0]}; "
                                "expected one for each frame that other layers have. Export again")
        layers = cls(path, frames, files)
        if not problems:
            all_files = dict.fromkeys(file for by_frame in files.values() for file in by_frame.values())
            problems = wrong_sizes(all_files, layers.size, "the size of the other layers")
        if problems:
            raise several(problems)
        return layers

    @cached_property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return read_image(self.files[0][self.frames[0]], "RGB").shape[1::-1]

    @property
    def numbers(self) -> list[int]:
        """Layer numbers of people, ascending."""
        return [number for number in self.files if number > 0]

    def in_clip(self, root: Dataroot) -> tuple[list[int], list[list[int]]]:
        """Find the layers' frames in their clip.

        Returns:
            per frame of the layers, its index in the clip, and the numbers of the layers of people, back to front.

        Raises:
            UserError: these are not layers of this clip.
        """
        index_of = {name: index for index, name in enumerate(root.frames)}
        unknown = [name for name in self.frames if name not in index_of]
        if unknown:
            raise UserError(f"{self.path}: {len(unknown)} of its frames are not in {root.path / 'rgb_256'}, the first "
                            f"is {unknown[0]}; expected layers of this clip. Give the clip that they were made from: "
                            "--dataroot DIR")
        indices = [index_of[name] for name in self.frames]
        orders = [root.composite_order(index, self.numbers) for index in indices]
        for name, order in zip(self.frames, orders):
            if sorted(order) != self.numbers:
                raise UserError(f"{root.metadata.path}: composite_order of frame {name} is {order}; expected each of "
                                f"the layers {self.numbers} once, which are in {self.path}. Export again")
        return indices, orders

    @cached_property
    def deep(self) -> bool:
        """Whether its pictures have 16 bits per channel."""
        return has_16_bits(self.files[0][self.frames[0]])

    def background(self, frame: int, deep: bool = False) -> np.ndarray:
        """The background of a frame, RGB [H, W, 3]; with all bits that its file has where `deep`."""
        file = self.files[0][self.frames[frame]]
        return read_all_bits(file)[..., :3] if deep else read_image(file, "RGB")

    def layer(self, number: int, frame: int, deep: bool = False) -> np.ndarray:
        """A layer of people in a frame, straight RGBA [H, W, 4]; with all bits that its file has where `deep`."""
        file = self.files[number][self.frames[frame]]
        return read_all_bits(file) if deep else read_image(file, "RGBA")


def _exported_files(folder: Path) -> dict[int, dict[str, Path]]:
    files: dict[int, dict[str, Path]] = {}
    for path in sorted(folder.glob("*_rgba_l*.png")):
        match = re.fullmatch(r"(.+)_rgba_l(\d+)\.png", path.name, re.DOTALL)
        if match:
            files.setdefault(int(match[2]), {})[match[1]] = path
    same: dict[tuple[int, int], Path] = {}
    for frame, path in files.get(0, {}).items():  # a background at rest is one file with many names
        status = path.stat()
        files[0][frame] = same.setdefault((status.st_dev, status.st_ino), path) if status.st_ino else path
    if 0 not in files:
        raise UserError(f"{folder}: no layers of the model lnr; expected 0001_rgba_l0.png, 0001_rgba_l1.png, .... "
                        "Export first: python test.py --name NAME")
    return dict(sorted(files.items()))


def _known_files(folder: Path) -> dict[int, dict[str, Path]]:
    names = sorted(path.name for path in folder.glob("layer_*") if re.fullmatch(r"layer_\d+", path.name))
    if not names:
        raise UserError(f"{folder}: no layer_01; expected a folder for each layer of people")
    files = {int(name.removeprefix("layer_")): list_images(folder / name) for name in names}
    if (folder / "bg").is_dir():
        backgrounds = list_images(folder / "bg")
    else:
        backgrounds = dict.fromkeys(files[min(files)], folder / "bg.png")
    return {0: backgrounds, **files}
