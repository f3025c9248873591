"""A clip with its layers as pictures, and with its true layers where they are known.

    clip = Clip(LayerFolder.open("results/my_run/test_latest"), Dataroot.open("datasets/my_clip"))
    clip.made.layer(1, 0)

Pictures are float32 in [0, 1], layers premultiplied. Layers count from 1, frames from 0. Nothing is measured here.
"""

from collections.abc import Mapping
from functools import lru_cache

import cv2
import numpy as np

from data.dataroot import Dataroot, wrong_sizes
from data.decomposition import matte_reader
from data.layer_folder import LayerFolder
from evaluation.layers import over
from util.errors import UserError, several
from util.images import read_image, unit_range
from util.packed import Packed
from vision.geometry.canvas import Canvas

KEPT = 256 * 2 ** 20  # bytes of layer pictures in memory, for each size and folder
BARELY_COVERED = 5  # of 255
MOST_STRETCH = 0.03  # by which the form of small layers may differ from the truth's: sides are multiples of 16
LARGEST_PANORAMA = 4096  # pixels of a side


class Pictures:
    """The layers of a folder as float pictures of one size; the latest ones are kept.

    Args:
        layers: the folder.
        frames: names of the frames, in order.
        size: (width, height); larger layers are averaged down, premultiplied.
    """

    def __init__(self, layers: LayerFolder, frames: list[str], size: tuple[int, int]):
        self.layers, self.size = layers, size
        self._index = [layers.frames.index(frame) for frame in frames]
        self._read = lru_cache(KEPT // (16 * size[0] * size[1]))(self._read_file)

    def background(self, frame: int) -> np.ndarray:
        """RGB float32 [H, W, 3] in [0, 1]."""
        return self._read(0, frame)

    def layer(self, number: int, frame: int) -> np.ndarray:
        """Premultiplied RGBA float32 [H, W, 4] in [0, 1]."""
        return self._read(number, frame)

    def composite(self, frame: int, order: list[int], times: Mapping[int, np.ndarray] | None = None) -> np.ndarray:
        """Layers over the background of a frame, [H, W, 3].

        Args:
            frame: the frame to make.
            order: layer numbers, back to front.
            times: by layer, the frame that it shows at each frame; layers that are not in it are left out. None: all
                layers as they are.
        """
        sources = dict.fromkeys(order, frame) if times is None else {n: source[frame] for n, source in times.items()}
        return over(self.background(frame), [self.layer(n, sources[n]) for n in order if n in sources])

    def _read_file(self, number: int, frame: int) -> np.ndarray:
        if number == 0:
            return resized(unit_range(self.layers.background(self._index[frame])), self.size)
        layer = unit_range(self.layers.layer(number, self._index[frame]))
        layer[..., :3] *= layer[..., 3:]
        return resized(layer, self.size)


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture at (width, height) pixels, averaged down."""
    if picture.shape[1::-1] == tuple(size):
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


class Clip:
    """A clip with its layers and, where they are known, its true layers.

    Attributes:
        frames: names of the frames that have layers.
        numbers: of the layers of people.
        orders: per frame, these numbers from back to front.
        made: the layers at their own size, at which the reconstruction is measured.
        has_truth: whether its true layers are known; `true` and `compared` are there only then.
        true: the true layers.
        compared: the layers at the size at which they are compared with the true ones, the smaller of the two.

    Raises:
        UserError: layers, frames and true layers do not fit each other.
    """

    def __init__(self, layers: LayerFolder, dataroot: Dataroot, truth: LayerFolder | None = None):
        self.dataroot, self.frames, self.numbers = dataroot, layers.frames, layers.numbers
        if not self.numbers:
            raise UserError(f"{layers.path}: no layer of people; expected images/{self.frames[0]}_rgba_l1.png .... "
                            "Export again")
        self._index, self.orders = layers.in_clip(dataroot)
        self._folder = self._frame_folder(layers)
        self._registration = dataroot.camera_motion()
        self.made = Pictures(layers, self.frames, layers.size)
        self._mattes = self._known_mattes()
        self.has_truth = truth is not None
        if truth is not None:
            _check_truth(layers, truth)
            size = min(layers.size, truth.size)
            self.true = Pictures(truth, self.frames, size)
            self.compared = self.made if size == layers.size else Pictures(layers, self.frames, size)

    def image(self, frame: int) -> np.ndarray:
        """The input frame at the layers' size, float32 [H, W, 3] in [0, 1]."""
        return unit_range(read_image(self.dataroot.file(self._folder, self._index[frame]), "RGB"))

    def beside_people(self, frame: int) -> np.ndarray | None:
        """Where in the input frame nobody is, nor within two pixels of it: bool [H, W]; None where the clip has neither
        masks nor UV maps of all layers."""
        if not self._mattes:
            return None
        covered = np.max([mattes[self._index[frame]] for mattes in self._mattes.values()], axis=0)
        beside = cv2.dilate(covered, np.ones((5, 5), np.uint8)) <= BARELY_COVERED
        return cv2.resize(beside.astype(np.uint8), self.made.size, interpolation=cv2.INTER_NEAREST) > 0

    def reconstruction(self, frame: int) -> np.ndarray:
        """What the layers of a frame make of it, [H, W, 3]."""
        return self.made.composite(frame, self.orders[frame])

    def true_matte(self, part: str, number: int, frame: int) -> np.ndarray | None:
        """The true matte [H, W] of a layer's person or shadow (`part`); None where it is not known."""
        path = self.true.layers.path / f"{part}_{number:02d}" / f"{self.frames[frame]}.png"
        return resized(unit_range(read_image(path, "L")), self.true.size) if path.exists() else None

    def between(self, earlier: int, later: int) -> np.ndarray | None:
        """Homography of the camera from the layers' pixels in one frame to those in another; None where no motion of it
        is known."""
        if self._registration is None:
            return None
        return self._registration.between(self._index[earlier], self._index[later], self.made.size)

    def panorama(self, size: tuple[int, int]) -> tuple[Canvas, list[int]]:
        """All that the camera saw, for pictures of `size`, and the number there of each frame."""
        return Canvas.of(self._registration, size, largest=LARGEST_PANORAMA), self._index

    def _known_mattes(self) -> dict[int, Packed]:
        try:
            layers, matte = matte_reader(self.dataroot, self.dataroot.metadata.size)
        except UserError:
            return {}
        frames = range(len(self.dataroot.frames))
        return {layer: Packed(matte(layer, frame) for frame in frames) for layer in layers}

    def _frame_folder(self, layers: LayerFolder) -> str:
        small = self.dataroot.metadata.size
        large = (2 * small[0], 2 * small[1])
        if layers.size == tuple(small):
            return "rgb_256"
        folder, size = ("rgb_512", large) if layers.size == large else ("rgb", self.dataroot.own_size())
        if layers.size != size:
            own = f", and {size[0]}x{size[1]} in rgb" if size else ""
            raise UserError(f"{layers.path}: layers of {layers.size[0]}x{layers.size[1]} pixels; the frames have "
                            f"{small[0]}x{small[1]} in rgb_256 and {large[0]}x{large[1]} in rgb_512{own}. Export "
                            "again, without --aspect_ratio")
        problems = self.dataroot.require(folder)
        problems = problems or wrong_sizes(self.dataroot.folders[folder].values(), size, "the size of the layers")
        if problems:
            raise several(problems)
        return folder


def _check_truth(layers: LayerFolder, truth: LayerFolder) -> None:
    """See that true layers are of the same people, frames and shape."""
    missing = [frame for frame in layers.frames if frame not in truth.frames]
    if truth.numbers != layers.numbers:
        problem = f"true layers {truth.numbers}; {layers.path} has {layers.numbers}"
    elif missing:
        problem = f"no true layers of frame {missing[0]} ({len(missing)} such frames)"
    elif abs(truth.size[0] * layers.size[1] / (truth.size[1] * layers.size[0]) - 1) > MOST_STRETCH:
        problem = f"{truth.size[0]}x{truth.size[1]} pixels; {layers.path} has {layers.size[0]}x{layers.size[1]}"
    else:
        return
    raise UserError(f"{truth.path}: {problem}. Give the true layers of this clip, or measure without: --truth none")
