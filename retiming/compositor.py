"""Layers and an edit to pictures: one output frame at a time, in memory that does not grow with the clip.

Frames count from 0, layers from 1 (0 is the background). What comes out depends on nothing but layers, edit and frame.
"""

import filecmp
import shlex
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from data.dataroot import Dataroot, list_images
from data.layer_folder import LayerFolder
from data.masks import read_mask
from retiming.edit import TRANSPARENT, ClipFacts, Edit, LayerInstance
from util.errors import UserError
from util.images import read_image, to_8_bits, unit_range
from util.media import Remark
from util.pictures import PICTURE_SUFFIXES, read_picture
from util.video_reader import PicturesByTime
from vision.geometry.homography import placement
from vision.geometry.scene_motion import SceneMotion
from vision.layers import patches as pixels
from vision.layers.effects import scaled_effects
from vision.layers.patches import Patch
from vision.people.iuv import is_body
from vision.people.person_mask import person_weight

CACHE_BYTES = 256 * 2 ** 20
DEEP_FILES = ("exr", "mov")
"""Endings of files that hold more than 8 bits of a channel, ProRes among them."""
FOOT = 0.05  # of a person's height


@dataclass(frozen=True)
class Draw:
    """One layer in one output frame.

    Attributes:
        layer: its number.
        instance: its index in the edit's instances.
        time: source time in frames from 0, whole where `interpolation` is nearest.
        interpolation: what is shown between two source frames.
        opacity: in (0, 1].
        effects: strength of what is not the person, 1 as filmed.
        colour: matrix [3, 3] for RGB; None: as filmed.
        placement: homography [3, 3] in pixels that is applied last, after the camera's; None: as filmed.
    """

    layer: int
    instance: int
    time: float
    interpolation: str
    opacity: float
    effects: float
    colour: np.ndarray | None
    placement: np.ndarray | None


class Compositor:
    """The layers of a clip, ready to be shown in any edit; may be used by several threads at once.

    Args:
        layers: the layers.
        root: the clip, for order, camera, masks and frame rate.
        deep: pictures have 16 bits, if the layers do; else 8.

    Attributes:
        indices: per frame of the layers, its index in the clip.
        orders: per frame of the layers, their numbers from back to front.
        registration: the camera's motion, by index in the clip; None: it stands still, or walks (see `scene`).
        warnings: on other backgrounds that were read, a line each.

    Raises:
        UserError: they do not belong together.
    """

    def __init__(self, layers: LayerFolder, root: Dataroot, deep: bool = False):
        self.layers, self.root, self.size = layers, root, layers.size
        self.deep = deep and layers.deep
        self.indices, self.orders = layers.in_clip(root)
        self.facts = ClipFacts(len(layers.frames), tuple(layers.numbers), root.metadata.people_layers)
        self.registration = root.camera_motion()
        self._cache = _Cache(CACHE_BYTES)
        self._person_files: dict[int, tuple[dict[str, Path], Callable[[Path], np.ndarray]]] = {}
        self._videos: dict[Path, PicturesByTime] = {}
        self._latest: dict[int, Path] = {}  # the background's file that was seen last, by its size
        self._same: dict[Path, Path] = {}  # the first of those that hold the same, by each of them
        self.warnings: list[str] = []
        self._lock = Lock()
        self.feet = lru_cache(maxsize=4096)(self._feet)

    def for_files(self, ending: str) -> "Compositor":
        """A compositor of the same for files of an ending, such as exr: with all bits, where these hold them."""
        return Compositor(self.layers, self.root, deep=True) if self.layers.deep and ending in DEEP_FILES else self

    def frame(self, edit: Edit, output: int) -> np.ndarray:
        """An output frame: RGB [H, W, 3], or straight RGBA [H, W, 4] where the edit is transparent; uint8, or uint16
        where that is `deep`."""
        return self.over_background(edit, output, self.patches(edit, output))

    def patches(self, edit: Edit, output: int) -> list[tuple[Patch, float]]:
        """What lies over the background of an output frame, back to front: patches and their opacity."""
        camera = self.camera_frame(edit, output)
        found = [(self.patch(draw, camera), draw.opacity) for draw in self.draws(edit, output)]
        return [(patch, opacity) for patch, opacity in found if patch is not None]

    def over_background(self, edit: Edit, output: int, patches: list[tuple[Patch, float]]) -> np.ndarray:
        """`patches` over the background of an output frame, as `frame` gives them."""
        return pixels.to_straight(self.canvas(edit, output, patches), self.deep)

    def canvas(self, edit: Edit, output: int, patches: list[tuple[Patch, float]]) -> np.ndarray:
        """The same, premultiplied: float32 [3, H, W] in [0, 255], or [4, H, W] with alpha in [0, 1] (see `Patch`)."""
        canvas = self._background(edit, output)
        for patch, opacity in patches:
            pixels.composite_over(canvas, patch, opacity)
        return canvas

    def draws(self, edit: Edit, output: int) -> list[Draw]:
        """The layers of an output frame, back to front.

        Without an order of the edit, each layer has the depth of its own source frame; where that ties, that of the
        background's. Copies of a trail lie right behind their layer.
        """
        given = _order_at(edit, output)
        background = self.orders[self.camera_frame(edit, output)]
        drawn, depth = [], {}
        for index, instance in reversed(list(enumerate(edit.instances))):
            time = instance.source_times(np.array([output]))[0]
            opacity = instance.opacity.at(output)
            if np.isnan(time):
                continue
            if instance.behind == 0 or instance.layer not in depth:
                order = given or self.orders[_nearest(time)]
                depth[instance.layer] = (order.index(instance.layer), background.index(instance.layer), index)
            if opacity > 0:
                drawn.append(((*depth[instance.layer], -instance.behind),
                              self._draw(index, instance, time, opacity, output)))
        return [draw for _, draw in sorted(drawn, key=lambda keyed: keyed[0])]

    def camera_frame(self, edit: Edit, output: int) -> int:
        """The source frame whose camera an output frame is seen by: that of the background."""
        return _nearest(edit.background.source_times(np.array([output]))[0])

    def patch(self, draw: Draw, camera: int) -> Patch | None:
        """What is drawn, without its opacity, as the camera of a source frame sees it; None: nothing."""
        def at(frame: int) -> Patch | None:
            patch = self.source(draw.layer, frame, draw.effects)
            if patch is None:
                return None
            matrix = _composed(self.motion(draw.layer, frame, camera), draw.placement)
            return patch if matrix is None else pixels.warped(patch, matrix, self.size)

        patch = _between(at, draw.time, draw.interpolation)
        return patch if patch is None or draw.colour is None else pixels.coloured(patch, draw.colour)

    def _draw(self, index: int, instance: LayerInstance, time: float, opacity: float, output: int) -> Draw:
        return Draw(instance.layer, index, _nearest(time) if instance.interpolation == "nearest" else float(time),
                    instance.interpolation, opacity, instance.effects.at(output), _colour(instance, output),
                    placement(self.size, (instance.x.at(output), instance.y.at(output)), instance.scale.at(output),
                              instance.flip, instance.anchor))

    def motion(self, layer: int, source: int, camera: int) -> np.ndarray | None:
        """The matrix [3, 3] from pixels of a layer in a source frame to where they belong in another; None: the same.

        Before a camera that is registered, that is its motion; before one that walks, the scene's at the person's feet.
        """
        if self.registration is not None or source == camera or self.scene is None:
            return self._camera_motion(source, camera)
        return self.scene.between(self.feet(layer, source), source, camera)

    @cached_property
    def scene(self) -> SceneMotion | None:
        """How the scene moves before a camera that walks; None: there is no such camera."""
        length = self.facts.length
        if self.registration is not None or all(self.background_file(frame) == self.background_file(0)
                                                for frame in range(length)):
            return None
        scene = SceneMotion(lambda frame: to_8_bits(unit_range(self.background(frame))) if self.deep else
                            self.background(frame), length, self.size)
        return scene if scene.walks else None

    def _feet(self, layer: int, frame: int) -> tuple[float, float]:
        """The lowest place (x, y) of the person of a layer that is not empty; where none is known, of the layer."""
        x, y, pixels = self.covered(layer, frame)
        inside = pixels[..., 3] > np.iinfo(pixels.dtype).max // 2
        if self.knows_person(layer):
            height, width = inside.shape
            person = inside & (self.person_weight(layer, frame)[y:y + height, x:x + width] > 127)
            inside = person if person.any() else inside
        rows, columns = np.nonzero(inside if inside.any() else pixels[..., 3] > 0)
        lowest = rows >= rows.max() - FOOT * (rows.max() - rows.min())
        return x + float(columns[lowest].mean()), y + float(rows.max())

    def _camera_motion(self, source: int, camera: int) -> np.ndarray | None:
        """The homography [3, 3] from pixels of a source frame to those of another; None: the same."""
        if self.registration is None or source == camera:
            return None
        return self.registration.between(self.indices[source], self.indices[camera], self.size)

    def source(self, layer: int, frame: int, effects: float = 1) -> Patch | None:
        """A layer in a source frame; None where it is empty."""
        part = self.covered(layer, frame)
        if not part[2].size:
            return None
        patch = pixels.premultiplied(*part)
        return patch if effects == 1 else scaled_effects(patch, self.person_weight(layer, frame), effects)

    def covered(self, layer: int, frame: int) -> tuple[int, int, np.ndarray]:
        """The part of a layer that is not empty, straight RGBA [h, w, 4], and (x, y) of its first pixel."""
        return self._cache.get(self.layers.files[layer][self.layers.frames[frame]],
                               lambda path: pixels.covered_part(self.layers.layer(layer, frame, self.deep)))

    def background(self, frame: int) -> np.ndarray:
        """The background of a source frame, RGB [H, W, 3]."""
        return self._cache.get(self.background_file(frame),
                               lambda path: (0, 0, self.layers.background(frame, self.deep)))[2]

    def background_file(self, frame: int) -> Path:
        """The file of the background of a source frame: the same one for all frames in which it is the same picture.

        An export has a file for each frame, byte for byte the same where the camera stands still.
        """
        path = self.layers.files[0][self.layers.frames[frame]]
        if path not in self._same:
            size = path.stat().st_size
            before = self._latest.get(size)
            self._same[path] = before if before and filecmp.cmp(before, path, shallow=False) else path
            self._latest[size] = self._same[path]
        return self._same[path]

    def person_weight(self, layer: int, frame: int) -> np.ndarray:
        """How much of each pixel of a source frame is the person of a layer, not an effect: uint8 [H, W]."""
        name = self.layers.frames[frame]
        if layer not in self._person_files:
            self._person_files[layer] = self._find_person_files(layer)
        files, is_person = self._person_files[layer]
        if name not in files:
            raise UserError(f"effects of layer {layer}: frame {name} is not in {next(iter(files.values())).parent}; "
                            "expected every frame")
        return self._cache.get(files[name], lambda file: (0, 0, person_weight(is_person(file), self.size)))[2]

    def knows_person(self, layer: int) -> bool:
        """Whether there are files that tell where the person of a layer is."""
        return any((self.root.path / name / f"{layer:02d}").is_dir() for name in ("mask", "iuv"))

    def _find_person_files(self, layer: int) -> tuple[dict[str, Path], Callable[[Path], np.ndarray]]:
        """Frame name to a file that tells where the person is, and how to read it as bool [h, w]."""
        mask, iuv = (self.root.path / name / f"{layer:02d}" for name in ("mask", "iuv"))
        if mask.is_dir():
            return list_images(mask), read_mask
        if iuv.is_dir():
            return list_images(iuv), lambda file: is_body(read_image(file, "RGBA"))
        raise UserError(f"effects of layer {layer}: neither mask/{layer:02d} nor iuv/{layer:02d} in {self.root.path} "
                        "tells where the person is; make the UV maps first: "
                        f"bash datasets/prepare_iuv.sh {shlex.quote(str(self.root.path))}")

    # ---- what lies behind the layers ----------------------------------------------------------------------------

    def _background(self, edit: Edit, output: int) -> np.ndarray:
        """Float32 [3, H, W], or [4, H, W] where it is transparent; premultiplied."""
        width, height = self.size
        if edit.replacement == TRANSPARENT:
            return np.zeros((4, height, width), np.float32)
        if isinstance(edit.replacement, tuple):
            canvas = np.empty((3, height, width), np.float32)
            canvas[:] = np.reshape(edit.replacement, (3, 1, 1))
        elif edit.replacement is not None:
            picture = self._other_background(Path(edit.replacement), edit.background, output)
            canvas = picture.transpose(2, 0, 1).astype(np.float32)
        else:
            canvas = self._own_background(edit.background, output, self.camera_frame(edit, output))
        matrix = _colour(edit.background, output)
        return canvas if matrix is None else pixels.coloured(_opaque(canvas), matrix).planes[:3]

    def _own_background(self, instance: LayerInstance, output: int, camera: int) -> np.ndarray:
        def filmed(frame: int) -> Patch:
            return pixels.premultiplied(0, 0, self.background(frame))

        def at(frame: int) -> Patch | None:
            matrix = self._camera_motion(frame, camera)
            return filmed(frame) if matrix is None else pixels.warped(filmed(frame), matrix, self.size)

        canvas = filmed(camera).planes[:3]
        time = instance.source_times(np.array([output]))[0]
        if instance.interpolation != "nearest" and time != camera:
            # What a neighbouring frame does not show at the border stays that of the nearest one.
            patch = _between(at, time, instance.interpolation)
            if patch is not None:
                pixels.composite_over(canvas, patch, 1)
        return canvas

    def _other_background(self, path: Path, instance: LayerInstance, output: int) -> np.ndarray:
        if path.suffix.lower() in PICTURE_SUFFIXES:
            return self._cache.get(path, self._still)[2]
        frames = instance.unclamped_times(np.array([output]))[0]
        with self._lock:
            if path not in self._videos:
                self._videos[path] = video = PicturesByTime(path, lambda frame: filling(frame, self.size))
                self._warn(path, video.remarks)
        return self._videos[path].at(max(frames, 0) / float(self.root.metadata.frame_rate))

    def _still(self, path: Path) -> tuple[int, int, np.ndarray]:
        picture = read_picture(path)
        with self._lock:
            self._warn(path, picture.remarks)
        return 0, 0, filling(picture.pixels, self.size)

    def _warn(self, path: Path, remarks: Iterable[Remark]) -> None:
        lines = [f"{path}: {remark.text}" for remark in remarks if remark.severity]
        self.warnings += [line for line in lines if line not in self.warnings]


def filling(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture scaled to fill a frame of (width, height), with what stands out on two sides cut off."""
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    cut_width, cut_height = min(round(size[0] / scale), width), min(round(size[1] / scale), height)
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    return cv2.resize(picture[top:top + cut_height, left:left + cut_width], size,
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


class _Cache:
    """What was read from files, the latest used of it."""

    def __init__(self, most_bytes: int):
        self.most_bytes, self.bytes, self.lock = most_bytes, 0, Lock()
        self.kept: OrderedDict[Path, tuple[int, int, np.ndarray]] = OrderedDict()

    def get(self, path: Path, read: Callable[[Path], tuple[int, int, np.ndarray]]) -> tuple[int, int, np.ndarray]:
        """What `read` makes of a file: x, y of its first pixel, and pixels."""
        with self.lock:
            if path in self.kept:
                self.kept.move_to_end(path)
                return self.kept[path]
        part = read(path)
        with self.lock:
            if path not in self.kept:
                self.kept[path] = part
                self.bytes += part[2].nbytes
            while self.bytes > self.most_bytes and len(self.kept) > 1:
                self.bytes -= self.kept.popitem(last=False)[1][2].nbytes
        return part


def _between(at: Callable[[int], Patch | None], time: float, interpolation: str) -> Patch | None:
    """A layer at a time: `at` gives it in a whole frame."""
    first = int(time)
    if time == first:
        return at(first)
    if interpolation == "nearest":
        return at(_nearest(time))
    before, after = at(first), at(first + 1)
    if before is None:
        if after is None:
            return None
        before = _nothing_like(after)
    elif after is None:
        after = _nothing_like(before)
    return (pixels.interpolated_by_flow if interpolation == "flow" else pixels.blended)(before, after, time - first)


def _nothing_like(patch: Patch) -> Patch:
    return Patch(patch.x, patch.y, np.zeros_like(patch.planes))


def _opaque(canvas: np.ndarray) -> Patch:
    return Patch(0, 0, np.concatenate([canvas, np.ones_like(canvas[:1])]))


def _nearest(time: float) -> int:
    return int(np.floor(time + 0.5))


def _composed(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return first if second is None else second if first is None else second @ first


def _colour(instance: LayerInstance, output: int) -> np.ndarray | None:
    return pixels.colour_matrix(instance.saturation.at(output), instance.gain.at(output), instance.tint)


def _order_at(edit: Edit, output: int) -> tuple[int, ...] | None:
    if edit.order is None:
        return None
    return [layers for frame, layers in edit.order if frame <= output or frame == edit.order[0][0]][-1]
