"""The layers of a clip at the size of its video: from layers that were made small, and the frames in rgb/.

How it is done is in vision/layers/full_size.py. Frames are read twice, one after the other: for the scene behind the
people, then for the layers. Memory does not grow with the clip.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from data.dataroot import Dataroot, wrong_sizes
from data.decomposition import matte_reader
from data.layer_folder import LayerFolder
from data.own_backgrounds import AROUND
from data.solving import frames_solved_together
from util.background import InBackground
from util.clips import evenly_spread, with_frames_around
from util.errors import several
from util.files import link_or_copy
from util.images import has_16_bits, image_size, read_all_bits, read_image, to_levels, unit_range, write_png
from vision.geometry.canvas import Canvas
from vision.layers.clean_plate import LEVEL, MOST_SORTED, largest_channel
from vision.layers.flow_completion import Completion
from vision.layers.full_size import (
    DISAGREES,
    Part,
    SmallFrame,
    beside,
    enlarged,
    full_layers,
    motion_of,
    pixels_of,
    shrunk,
    unshaded,
    with_detail,
)

FEW = 8
"""Frames by which it is told whether a clip shakes, and whether its background is alive."""
MOST = 0.8
"""Of these frames, and of their pixels."""
ONE_SCENE = 0.85
"""Of the pixels of backgrounds agree with their median where one plate explains them."""
MOST_KEPT = 400e6
"""Bytes of full-size frames that are kept, for what people hide in others."""
ABOUT = 0.9
"""Of the frames' width is that of masks that are as large."""
LARGEST_CANVAS = 12000
"""Pixels of a side of the panorama; of a larger one there would be too little memory."""


class Plate(NamedTuple):
    """The scene without people, at full size.

    Attributes:
        scene: float32 [h, w, 3] in [0, 1], on the canvas.
        shown: float32 [h, w], 1 where some frame shows it.
    """

    scene: np.ndarray
    shown: np.ndarray


class FullSizeClip:
    """A clip with layers that were made small.

    Args:
        root: the clip.
        layers: its layers.

    Attributes:
        size: (width, height) of the frames in rgb/.
        masks_are_full: masks are as large, so that people's edges are known.
        dtype: of the pixels of these frames, and so of the layers: uint8 or uint16.

    Raises:
        UserError: rgb/ has not all frames in one size, or layers and clip do not belong together.
    """

    def __init__(self, root: Dataroot, layers: LayerFolder):
        self.root, self.layers = root, layers
        problems = root.require("rgb")
        self.size = (0, 0) if problems else image_size(root.file("rgb", 0))
        problems = problems or wrong_sizes(root.folders["rgb"].values(), self.size, "the size of the first frame")
        self.small_folder = "rgb_256" if layers.size == tuple(root.metadata.size) else "rgb_512"
        problems += root.require(self.small_folder)
        if problems:
            raise several(problems)
        self.dtype = np.dtype(np.uint16 if has_16_bits(root.file("rgb", 0)) else np.uint8)
        self.indices, self.orders = layers.in_clip(root)
        _, self._matte = matte_reader(root, layers.size)
        masks = root.folders.get(f"mask/{layers.numbers[0]:02d}") if layers.numbers else None
        width = image_size(next(iter(masks.values())))[0] if masks else 0
        self.masks_are_full = width > layers.size[0] and width >= ABOUT * self.size[0]
        self.canvas = Canvas.of(root.camera_motion(), self.size, largest=LARGEST_CANVAS)

    def write(self, folder: Path) -> None:
        """Write the layers as test.py names them: images/0001_rgba_l0.png, ...; frames that are there already stay.

        A background that stays as it is, is written once and has many names.
        """
        plate, is_alive = self.plate(), self.is_alive
        before: tuple[np.ndarray, np.ndarray, Path] | None = None
        with InBackground() as in_background:
            for frame, name in enumerate(tqdm(self.layers.frames, desc="full size", unit="frame")):
                place, *parts = (folder / f"images/{name}_rgba_l{number}.png" for number in (0, *self.orders[frame]))
                if place.exists() and all(path.exists() for path in parts):
                    continue
                picture, small = self.picture(frame), self.small(frame)
                at_rest = self.canvas.matrices is None and not is_alive
                if at_rest and before and np.array_equal(before[0], small.background):
                    background = before[1]
                    link_or_copy(before[2], place)
                else:
                    background = self.background(frame, picture, small, plate)
                    opaque = np.ones(background.shape[:2], np.float32)
                    write_png(place, to_levels(np.dstack([background, opaque]), self.dtype))
                    before = small.background, background, place
                behind = background
                if self.moves and not is_alive:
                    behind = motion_of(picture, small).shown(background)
                masks = self.masks(frame) if self.masks_are_full else None
                in_background(self._write_layers, parts, full_layers(picture, behind, small, masks))

    def _write_layers(self, paths: list[Path], layers: list[Part]) -> None:
        for path, layer in zip(paths, layers):
            write_png(path, pixels_of(layer, self.size, self.dtype))

    def picture(self, frame: int) -> np.ndarray:
        """A frame: float32 [H, W, 3] in [0, 1]."""
        file = self.root.file("rgb", self.indices[frame])
        return unit_range(read_image(file, "RGB") if self.dtype == np.uint8 else read_all_bits(file)[..., :3])

    def small(self, frame: int) -> SmallFrame:
        """The layers of a frame as they were made."""
        order = self.orders[frame]
        return SmallFrame(unit_range(self.layers.background(frame)),
                          np.stack([unit_range(self.layers.layer(number, frame)) for number in order]),
                          np.stack([unit_range(self._matte(number, self.indices[frame])) for number in order]))

    def masks(self, frame: int) -> list[np.ndarray]:
        """Mattes of the layers of a frame at full size: float32 [H, W] each, a little softer than masks are."""
        masks = [unit_range(self._matte(number, self.indices[frame], self.size)) for number in self.orders[frame]]
        return [(2 * mask + cv2.blur(mask, (3, 3))) / 3 for mask in masks]

    @cached_property
    def moves(self) -> bool:
        """Whether the scene shakes, sways or flickers in the frames."""
        some = evenly_spread(len(self.layers.frames), FEW)
        at_rest = [motion_of(self.picture(frame), self.small(frame)).is_none for frame in some]
        return sum(at_rest) < MOST * len(some)

    @cached_property
    def is_alive(self) -> bool:
        """Whether the background is in each frame what that shows (`test.py --moving_background`), not the scene at
        rest."""
        some = evenly_spread(len(self.layers.frames), FEW)
        first, last = (self.layers.background(frame) for frame in some[[0, -1]])
        still = self.canvas.matrices is None and np.array_equal(first, last)
        return not still and all(self._open(frame).mean() > MOST * self._beside(frame).mean() for frame in some)

    @cached_property
    def has_own_backgrounds(self) -> bool:
        """Whether no one plate explains a background that is alive, as before a camera that walks."""
        if not self.is_alive or self.canvas.matrices is not None:
            return False
        some = np.stack([self.layers.background(frame) for frame in evenly_spread(len(self.layers.frames), FEW)])
        alike = np.abs(some - np.median(some, axis=0)).max(axis=-1) * LEVEL < DISAGREES
        return bool(alike.mean() <= ONE_SCENE)

    @cached_property
    def _completion(self) -> Callable[[int], tuple[Completion, int]]:
        """Of a window of frames where other full-size frames show what people hide in them, and the first frame that
        was looked at."""
        length, around = len(self.layers.frames), np.ones((3, 3), np.uint8)

        @lru_cache(maxsize=1)
        def of_window(number: int) -> tuple[Completion, int]:
            window = range(number * self._together, min((number + 1) * self._together, length))
            frames = with_frames_around(window, length, AROUND)
            greys = [cv2.cvtColor(self.layers.background(frame), cv2.COLOR_RGB2GRAY) for frame in frames]
            hidden = [cv2.dilate((~self._open(frame)).astype(np.uint8), around) > 0 for frame in frames]
            return Completion(greys, np.stack(hidden)), frames.start

        return of_window

    @property
    def _together(self) -> int:
        """Frames of a window."""
        return frames_solved_together(int(np.prod(self.layers.size)))

    @cached_property
    def _read(self) -> Callable[[int], np.ndarray]:
        """What reads frames, uint8 [H, W, 3], and keeps the latest."""
        most = max(int(MOST_KEPT / (3 * self.size[0] * self.size[1])), 4)
        return lru_cache(maxsize=most)(lambda frame: read_image(self.root.file("rgb", self.indices[frame]), "RGB"))

    def _beside(self, frame: int) -> np.ndarray:
        return beside(np.max([unit_range(self._matte(number, self.indices[frame])) for number in self.orders[frame]],
                             axis=0))

    def _open(self, frame: int) -> np.ndarray:
        """Where the small background is just what the small frame shows, away from people: bool [h, w]."""
        shown = read_image(self.root.file(self.small_folder, self.indices[frame]), "RGB")
        return (largest_channel(cv2.absdiff(shown, self.layers.background(frame))) <= 1) & self._beside(frame)

    def plate(self) -> Plate:
        """The mean of the frames where they show the scene."""
        total = np.zeros((*self.canvas.size[::-1], 3), np.float32)
        count = np.zeros(self.canvas.size[::-1], np.float32)
        for frame in tqdm(evenly_spread(len(self.layers.frames), MOST_SORTED), desc="plate", unit="frame"):
            picture, small, index = self.picture(frame), self.small(frame), self.indices[frame]
            scene, weight = unshaded(picture, small)
            if self.moves:
                motion = motion_of(picture, small)
                scene, weight = motion.at_rest(scene) / motion.gain, motion.at_rest(weight)
            if self.canvas.matrices is not None:
                scene = self.canvas.lay(scene, index, cv2.INTER_CUBIC)
                weight = self.canvas.lay(weight, index) * self.canvas.in_view(index, 2)
            weight = weight.clip(0, 1)
            scene *= weight[..., None]
            total += scene
            count += weight
        total /= np.maximum(count, LEVEL)[..., None]
        return Plate(total, (count > 10 * LEVEL).astype(np.float32))

    def background(self, frame: int, picture: np.ndarray, small: SmallFrame, plate: Plate) -> np.ndarray:
        """The background of a frame: float32 [H, W, 3], what the small one says with the detail of the plate, as far as
        that shows the same.

        A background that is alive is what the frame shows, where that shows it.
        """
        index = self.indices[frame]
        scene = self.canvas.seen(plate.scene, index, cv2.INTER_CUBIC)
        smooth = enlarged(small.background, self.size)
        if self.has_own_backgrounds:
            completion, first = self._completion(frame // self._together)
            made, unknown = completion.background(frame - first, lambda other: self._read(first + other))
            soft = cv2.blur(unknown.astype(np.float32), (5, 5))[..., None]
            background = with_detail(small.background, unit_range(made) * (1 - soft) + smooth * soft)
            is_open = cv2.erode(self._open(frame).astype(np.float32), np.ones((3, 3), np.uint8))
            return background + enlarged(is_open, self.size)[..., None] * (picture - background)
        unlike = largest_channel(np.abs(shrunk(scene, self.layers.size) - small.background))
        known = self.canvas.seen(plate.shown, index) * enlarged((2 - unlike / DISAGREES).clip(0, 1), self.size)
        background = with_detail(small.background, smooth + known[..., None] * (scene - smooth)).clip(0, 1)
        if self.is_alive:
            is_open = cv2.erode(self._open(frame).astype(np.float32), np.ones((3, 3), np.uint8))
            background += enlarged(is_open, self.size)[..., None] * (picture - background)
        return background
