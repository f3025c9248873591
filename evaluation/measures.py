"""How good the layers of a clip are: the measures of evaluation/metrics.py over all frames, also against known layers.

    clip = Clip(LayerFolder.open("results/my_run/test_latest"), Dataroot.open("datasets/my_clip"))
    result = evaluate(clip)
    result["total"]["reconstruction"]["psnr"]

Layers count from 1, frames from 0. What each measure means is in docs/evaluation.md. Knows nothing of models, runs and
pages.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from data.dataroot import Dataroot, wrong_sizes
from data.layer_folder import LayerFolder
from evaluation import metrics
from evaluation.metrics import Sum, mean, pooled, squared_error
from util.errors import UserError, several
from util.images import read_image
from vision.geometry.canvas import Canvas
from vision.layers.time_warps import align, freeze, offset, within

LATE = 15  # frames by which a layer is late in the retiming `offset`
LEAST_HIDDEN = 1  # pixels of a layer: where less is hidden, nothing is said of hidden parts
KEPT = 256 * 2 ** 20  # bytes of layer pictures in memory, for each size and folder
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
        return metrics.over(self.background(frame), [self.layer(n, sources[n]) for n in order if n in sources])

    def _read_file(self, number: int, frame: int) -> np.ndarray:
        if number == 0:
            return resized(in_range(self.layers.background(self._index[frame])), self.size)
        layer = in_range(self.layers.layer(number, self._index[frame]))
        layer[..., :3] *= layer[..., 3:]
        return resized(layer, self.size)


def in_range(pixels: np.ndarray) -> np.ndarray:
    """uint8 as float32 in [0, 1]."""
    return pixels.astype(np.float32) / 255


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
        true: the true layers, None where they are not known.
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
        self.true = self.compared = None
        if truth is not None:
            _check_truth(layers, truth)
            size = min(layers.size, truth.size)
            self.true = Pictures(truth, self.frames, size)
            self.compared = self.made if size == layers.size else Pictures(layers, self.frames, size)

    def image(self, frame: int) -> np.ndarray:
        """The input frame at the layers' size, float32 [H, W, 3] in [0, 1]."""
        return in_range(read_image(self.dataroot.file(self._folder, self._index[frame]), "RGB"))

    def reconstruction(self, frame: int) -> np.ndarray:
        """What the layers of a frame make of it, [H, W, 3]."""
        return self.made.composite(frame, self.orders[frame])

    def true_matte(self, part: str, number: int, frame: int) -> np.ndarray | None:
        """The true matte [H, W] of a layer's person or shadow (`part`); None where it is not known."""
        path = self.true.layers.path / f"{part}_{number:02d}" / f"{self.frames[frame]}.png"
        return resized(in_range(read_image(path, "L")), self.true.size) if path.exists() else None

    def between(self, earlier: int, later: int) -> np.ndarray | None:
        """Homography of the camera from the layers' pixels in one frame to those in another; None where no motion of it
        is known."""
        if self._registration is None:
            return None
        return self._registration.between(self._index[earlier], self._index[later], self.made.size)

    def panorama(self, size: tuple[int, int]) -> tuple[Canvas, list[int]]:
        """All that the camera saw, for pictures of `size`, and the number there of each frame."""
        return Canvas.of(self._registration, size, largest=LARGEST_PANORAMA), self._index

    def _frame_folder(self, layers: LayerFolder) -> str:
        small = self.dataroot.metadata.size
        large = (2 * small[0], 2 * small[1])
        if layers.size == tuple(small):
            return "rgb_256"
        if layers.size != large:
            raise UserError(f"{layers.path}: layers of {layers.size[0]}x{layers.size[1]} pixels; the frames have "
                            f"{small[0]}x{small[1]} in rgb_256 and {large[0]}x{large[1]} in rgb_512. Export again, "
                            "without --aspect_ratio")
        problems = self.dataroot.require("rgb_512")
        problems = problems or wrong_sizes(self.dataroot.folders["rgb_512"].values(), large, "the size of the layers")
        if problems:
            raise several(problems)
        return "rgb_512"


def _check_truth(layers: LayerFolder, truth: LayerFolder) -> None:
    """See that true layers are of the same people, frames and shape."""
    missing = [frame for frame in layers.frames if frame not in truth.frames]
    if truth.numbers != layers.numbers:
        problem = f"true layers {truth.numbers}; {layers.path} has {layers.numbers}"
    elif missing:
        problem = f"no true layers of frame {missing[0]} ({len(missing)} such frames)"
    elif abs(truth.size[0] * layers.size[1] - truth.size[1] * layers.size[0]) > 0.01 * truth.size[0] * layers.size[1]:
        problem = f"{truth.size[0]}x{truth.size[1]} pixels; {layers.path} has {layers.size[0]}x{layers.size[1]}"
    else:
        return
    raise UserError(f"{truth.path}: {problem}. Give the true layers of this clip, or measure without: --truth none")


# ---- retimed versions -----------------------------------------------------------------------------------------------

class Retiming(NamedTuple):
    """A retimed version of a clip.

    Attributes:
        description: what is done, in words.
        times: by layer, the frame that it shows at each frame; a layer that is removed is not in it.
    """

    description: str
    times: dict[int, np.ndarray]


def retimings(numbers: list[int], length: int) -> dict[str, Retiming]:
    """What is rendered from the true layers and from ours: freeze, offset, align, and each layer removed."""
    frames = np.arange(length)
    normal = dict.fromkeys(numbers, frames)
    first, second, last = numbers[0], numbers[:2][-1], numbers[-1]
    start, end, late = length // 3, 2 * length // 3, min(LATE, length // 2)
    pins = {length // 4: length // 2, 3 * length // 4: end}

    def with_layer(number: int, times: np.ndarray) -> dict[int, np.ndarray]:
        return {**normal, number: np.round(within(times, length)).astype(int)}

    return {
        "freeze": Retiming(f"layer {first} stands still from frame {start + 1} to {end + 1}",
                           with_layer(first, freeze(frames, start, end))),
        "offset": Retiming(f"layer {second} is {late} frames late", with_layer(second, offset(frames, late))),
        "align": Retiming(f"layer {last} shows its frames {_listed(pins.values())} at {_listed(pins)}",
                          with_layer(last, align(frames, list(pins.items())))),
        **{f"remove_{number}": Retiming(f"layer {number} is removed", {n: frames for n in numbers if n != number})
           for number in numbers},
    }


def retimed_pair(clip: Clip, version: Retiming, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame of a retimed version, rendered from our layers and from the true ones.

    Layers stay where they were in their own frame, also where the camera moves: on both sides.
    """
    order = clip.orders[frame]
    return (clip.compared.composite(frame, order, version.times), clip.true.composite(frame, order, version.times))


def _listed(frames: Iterable[int]) -> str:
    return " and ".join(str(frame + 1) for frame in frames)


# ---- all measures ---------------------------------------------------------------------------------------------------

def evaluate(clip: Clip, lpips: Callable[[np.ndarray, np.ndarray], float] | None = None) -> dict:
    """Measure a clip's layers.

    Args:
        clip: the clip.
        lpips: perceptual distance of two pictures; None: leave it out.

    Returns:
        `total`: {group: {measure: figure}} of the whole clip; groups are reconstruction, background, layer_1, layer_2,
            ... and, with true layers, retiming. A figure is None where there was nothing to measure.
        `frames`: the same of each frame, in a list; the frame's name is `frame`.
        `retimings`: with true layers, what was retimed, in words by name.
    """
    versions = retimings(clip.numbers, len(clip.frames)) if clip.true else {}
    unseen = never_seen(clip) if clip.true else None
    sums, earlier = [], None
    for frame in tqdm(range(len(clip.frames)), desc="evaluate", unit="frame"):
        look = Look.at(clip, frame)
        measured = appearance(clip, frame, lpips, look, earlier)
        earlier = look
        if clip.true:
            measured["background"] |= background_truth(clip, frame, unseen[frame])
            for number, errors in layer_truth(clip, frame).items():
                measured[f"layer_{number}"] |= errors
            measured["retiming"] = {f"{name}_psnr": squared_error(*retimed_pair(clip, version, frame))
                                    for name, version in versions.items()}
        sums.append(measured)
    return {
        "total": {group: {name: pooled(one[group][name] for one in sums) for name in names}
                  for group, names in sums[0].items()},
        "frames": [{"frame": frame, **{group: {name: pooled([one]) for name, one in measures.items()}
                                       for group, measures in groups.items()}}
                   for frame, groups in zip(clip.frames, sums)],
        "retimings": {name: version.description for name, version in versions.items()},
    }


class Look(NamedTuple):
    """What a frame and its layers look like, at the layers' size. Layer 0 is the background.

    Attributes:
        image: the input frame.
        visible: by layer, the share [H, W] of each pixel that is this layer; together 1.
        parts: by layer, what it adds to the picture [H, W, 3]: the background its colours, the others the change that
            they make to these where they are visible. Together the reconstruction.
    """

    image: np.ndarray
    visible: dict[int, np.ndarray]
    parts: dict[int, np.ndarray]

    @classmethod
    def at(cls, clip: Clip, frame: int) -> "Look":
        """See a frame."""
        order, background = clip.orders[frame], clip.made.background(frame)
        layers = [clip.made.layer(number, frame) for number in order]
        behind, *in_front = metrics.transmittances(layer[..., 3] for layer in layers)
        visible, parts = {0: behind}, {0: background}
        for number, layer, through in zip(order, layers, in_front):
            visible[number] = through * layer[..., 3]
            parts[number] = through[..., None] * metrics.effect(layer, background)
        return cls(clip.image(frame), visible, parts)

    def moved(self, motion: np.ndarray) -> "Look":
        """The same, seen by a camera that has moved; `visible` is 0 for all layers where it sees something else."""
        def move(picture: np.ndarray) -> np.ndarray:
            return cv2.warpPerspective(picture, motion, picture.shape[1::-1])
        return Look(move(self.image), *({n: move(picture) for n, picture in pictures.items()}
                                        for pictures in (self.visible, self.parts)))


def appearance(clip: Clip, frame: int, lpips: Callable | None, now: Look, earlier: Look | None) -> dict:
    """What can be measured without knowing the true layers: {group: {measure: Sum}}."""
    made, nothing = clip.reconstruction(frame), Sum(0, 0, metrics.levels)
    groups = {
        "reconstruction": {"psnr": squared_error(made, now.image), "ssim": mean(metrics.ssim_map(made, now.image)),
                           "lpips": Sum(lpips(made, now.image), 1) if lpips else Sum(0, 0),
                           "flicker": nothing if earlier is None else metrics.flicker(
                               made, clip.reconstruction(frame - 1), now.image, earlier.image)},
        "background": {"share": mean(now.visible[0])},
        **{f"layer_{number}": {"coverage": mean(clip.made.layer(number, frame)[..., 3]),
                               "share": mean(now.visible[number])} for number in clip.numbers}}
    motion = clip.between(frame - 1, frame) if earlier is not None else None
    flickers = {} if earlier is None else layer_flickers(now, earlier if motion is None else earlier.moved(motion))
    for number in (0, *clip.numbers):
        groups[f"layer_{number}" if number else "background"]["flicker"] = flickers.get(number, nothing)
    return groups


def layer_flickers(now: Look, earlier: Look) -> dict[int, Sum]:
    """Change of each layer between two frames beyond the input's change, by layer; 0 is the background.

    Left out are, for a layer of people, pixels with another one: there one may leave as the other arrives, and the
    input tells nothing of either. The background must stand still behind people, whatever the input does there.
    """
    input_change = np.abs(now.image - earlier.image)
    inside = sum(earlier.visible.values()) > 0.999
    flickers = {}
    for number in now.parts:
        change = np.abs(now.parts[number] - earlier.parts[number])
        if number == 0:
            seen = np.minimum(now.visible[0], earlier.visible[0]) >= 1 - metrics.NOTHING
            flickers[number] = metrics.excess(change, input_change * seen[..., None], inside)
        else:
            others = [1 - look.visible[0] - look.visible[number] for look in (now, earlier)]
            flickers[number] = metrics.excess(change, input_change, inside & (np.max(others, 0) <= metrics.NOTHING))
    return flickers


def never_seen(clip: Clip) -> list[np.ndarray]:
    """Per frame, the pixels [H, W] whose place in the background no frame shows free of people and their effects."""
    size = clip.true.size
    free = []
    for frame, order in enumerate(clip.orders):
        behind, *_ = metrics.transmittances(clip.true.layer(number, frame)[..., 3] for number in order)
        free.append(behind >= 1 - metrics.NOTHING)
    panorama, numbers = clip.panorama(size)
    seen = np.zeros(panorama.size[::-1], np.uint8)
    for shown, number in zip(free, numbers):
        seen |= panorama.lay(shown.astype(np.uint8), number, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
    return [~shown & (panorama.seen(seen, number, cv2.INTER_NEAREST) == 0) for shown, number in zip(free, numbers)]


def background_truth(clip: Clip, frame: int, unseen: np.ndarray) -> dict[str, Sum]:
    """Errors of the background, on all pixels and on those that are never seen."""
    made, true = clip.compared.background(frame), clip.true.background(frame)
    similarity = metrics.ssim_map(made, true)
    return {"psnr": squared_error(made, true), "ssim": mean(similarity), "unseen_share": mean(unseen),
            "unseen_psnr": squared_error(made, true, unseen), "unseen_ssim": mean(similarity, unseen)}


def layer_truth(clip: Clip, frame: int) -> dict[int, dict[str, Sum]]:
    """Errors of each layer of people: of its matte, colour, hidden parts, effects and shadow."""
    background, order = clip.true.background(frame), clip.orders[frame]
    made, true = ({n: pictures.layer(n, frame) for n in order} for pictures in (clip.compared, clip.true))
    made_effects, true_effects = ({n: metrics.effect(layer, background) for n, layer in layers.items()}
                                  for layers in (made, true))
    _, *in_front = metrics.transmittances(true[n][..., 3] for n in order)
    seen = {n: through >= 0.5 for n, through in zip(order, in_front)}
    people = {n: clip.true_matte("person", n, frame) for n in order}
    errors = {}
    for number in order:
        alpha, true_alpha, person, hidden = made[number][..., 3], true[number][..., 3], people[number], ~seen[number]
        if true_alpha[hidden].sum() < LEAST_HIDDEN:
            hidden = np.zeros_like(hidden)
        no_effect = None if person is None else np.abs(true_alpha - person) <= metrics.NOTHING
        errors[number] = metrics.matte_errors(alpha, true_alpha) | {
            "matte_flicker": Sum(0, 0, metrics.levels) if frame == 0 else metrics.flicker(
                alpha, clip.compared.layer(number, frame - 1)[..., 3],
                true_alpha, clip.true.layer(number, frame - 1)[..., 3]),
            "person_matte_mae": Sum(0, 0) if person is None else mean(np.abs(alpha - true_alpha) * no_effect),
            "rgba_error": metrics.relative_error(made[number], true[number]),
            "hidden_matte_error": metrics.relative_error(alpha, true_alpha, hidden),
            "hidden_rgba_error": metrics.relative_error(made[number], true[number], hidden),
            "effect_iou": metrics.effect_overlap(made_effects[number], true_effects[number])}
    made_dark, true_dark = ({n: metrics.darkening(change) for n, change in effects.items()}
                            for effects in (made_effects, true_effects))
    background_dark = metrics.darkening(clip.compared.background(frame) - background)
    for number in order:
        shadow = clip.true_matte("shadow", number, frame)
        known = shadow is not None and all(person is not None for person in people.values())
        others = sum(np.maximum(made_dark[n] - true_dark[n], 0) for n in order if n != number)
        parts = {"own": made_dark[number], "other": others, "background": background_dark,
                 "on_people": made_dark[number]}
        if known:
            own, rest = people[number], np.max([np.zeros_like(shadow), *(people[n] for n in order if n != number)], 0)
            dark = (shadow > metrics.NOTHING) & (own <= metrics.NOTHING)
            where = dict.fromkeys(parts, dark & (rest <= metrics.NOTHING))
            where["on_people"] = dark & (rest >= 1 - metrics.NOTHING) & seen[number]
        errors[number] |= {f"shadow_{name}": metrics.shared(part, true_dark[number], where[name]) if known
                           else Sum(0, 0) for name, part in parts.items()}
    return errors
