"""How good the layers of a clip are: the measures of images.py and layers.py over all frames.

    clip = Clip(LayerFolder.open("results/my_run/test_latest"), Dataroot.open("datasets/my_clip"))
    result = evaluate(clip)
    result["total"]["reconstruction"]["psnr"]

Layers count from 1, frames from 0. What each measure means is in docs/evaluation.md. Knows nothing of files, models,
runs and pages.
"""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from evaluation.clip import Clip
from evaluation.images import (
    Lpips,
    Sum,
    figures,
    flicker,
    levels,
    mean,
    perceptual_distance,
    squared_error,
    ssim_map,
)
from evaluation.layers import (
    NOTHING,
    background_off,
    darkening,
    effect,
    effect_overlap,
    excess,
    matte_errors,
    relative_error,
    shared,
    transmittances,
)
from evaluation.poses import Poses
from vision.layers.time_warps import align, freeze, offset, within

LATE = 15  # frames by which a layer is late in the retiming `offset`
LEAST_HIDDEN = 1  # pixels of a layer: where less is hidden, nothing is said of hidden parts


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


def evaluate(clip: Clip, lpips: Lpips | None = None, poses: Poses | None = None) -> dict:
    """Measure a clip's layers.

    Args:
        clip: the clip.
        lpips: perceptual distance of two pictures; None: leave it out.
        poses: how somebody should stand in the frames that the layers make; None: leave it out.

    Returns:
        `total`: {group: {measure: figure}} of the whole clip; groups are reconstruction, background, layer_1, layer_2,
            ... and, with true layers, retiming. A figure is None where there was nothing to measure.
        `frames`: the same of each frame, in a list; the frame's name is `frame`.
        `retimings`: with true layers, what was retimed, in words by name.
    """
    versions = retimings(clip.numbers, len(clip.frames)) if clip.has_truth else {}
    unseen = never_seen(clip) if clip.has_truth else []
    sums = []
    earlier: LayeredFrame | None = None
    for frame in tqdm(range(len(clip.frames)), desc="evaluate", unit="frame"):
        now = LayeredFrame.of(clip, frame)
        measured = no_reference_measures(clip, frame, lpips, now, earlier)
        earlier = now
        if poses:
            measured["reconstruction"]["pose_error"] = poses.error(clip.frames[frame], clip.reconstruction(frame))
        if clip.has_truth:
            measured["background"] |= background_errors(clip, frame, unseen[frame])
            for number, errors in layer_errors(clip, frame).items():
                measured[f"layer_{number}"] |= errors
            measured["retiming"] = {f"{name}_psnr": squared_error(*retimed_pair(clip, version, frame))
                                    for name, version in versions.items()}
        sums.append(measured)
    return {
        "total": figures(sums),
        "frames": [{"frame": frame, **figures([one])} for frame, one in zip(clip.frames, sums)],
        "retimings": {name: version.description for name, version in versions.items()},
    }


class LayeredFrame(NamedTuple):
    """A frame, and what of it each layer is, at the layers' size. Layer 0 is the background.

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
    def of(cls, clip: Clip, frame: int) -> "LayeredFrame":
        """A frame of a clip."""
        order, background = clip.orders[frame], clip.made.background(frame)
        layers = [clip.made.layer(number, frame) for number in order]
        behind, *in_front = transmittances(layer[..., 3] for layer in layers)
        visible, parts = {0: behind}, {0: background}
        for number, layer, through in zip(order, layers, in_front):
            visible[number] = through * layer[..., 3]
            parts[number] = through[..., None] * effect(layer, background)
        return cls(clip.image(frame), visible, parts)

    def moved(self, motion: np.ndarray) -> "LayeredFrame":
        """The same, seen by a camera that has moved; `visible` is 0 for all layers where it sees something else."""
        def move(picture: np.ndarray) -> np.ndarray:
            return cv2.warpPerspective(picture, motion, picture.shape[1::-1])
        return LayeredFrame(move(self.image), *({n: move(picture) for n, picture in pictures.items()}
                                                for pictures in (self.visible, self.parts)))


def no_reference_measures(clip: Clip, frame: int, lpips: Lpips | None, now: LayeredFrame,
                          earlier: LayeredFrame | None) -> dict[str, dict[str, Sum]]:
    """What can be measured without knowing the true layers: {group: {measure: Sum}}."""
    made, nothing = clip.reconstruction(frame), Sum(0, 0, levels)
    beside = clip.beside_people(frame)
    groups = {
        "reconstruction": {"psnr": squared_error(made, now.image), "ssim": mean(ssim_map(made, now.image)),
                           "lpips": perceptual_distance(lpips, made, now.image),
                           "flicker": nothing if earlier is None else flicker(
                               made, clip.reconstruction(frame - 1), now.image, earlier.image)},
        "background": {"share": mean(now.visible[0]),
                       "off": Sum(0, 0) if beside is None else background_off(
                           now.image, clip.made.background(frame), now.visible[0], beside)},
        **{f"layer_{number}": {"coverage": mean(clip.made.layer(number, frame)[..., 3]),
                               "share": mean(now.visible[number]),
                               "outside": Sum(0, 0) if beside is None else mean(
                                   clip.made.layer(number, frame)[..., 3], beside)} for number in clip.numbers}}
    motion = clip.between(frame - 1, frame) if earlier is not None else None
    flickers = {} if earlier is None else layer_flickers(now, earlier if motion is None else earlier.moved(motion))
    for number in (0, *clip.numbers):
        groups[f"layer_{number}" if number else "background"]["flicker"] = flickers.get(number, nothing)
    return groups


def layer_flickers(now: LayeredFrame, earlier: LayeredFrame) -> dict[int, Sum]:
    """Change of each layer between two frames beyond the input's change, by layer; 0 is the background.

    Left out are, for a layer of people, pixels with another one: there one may leave as the other arrives, and the
    input tells nothing of either. The background must stand still behind people, whatever the input does there.
    """
    input_change = np.abs(now.image - earlier.image)
    inside = reduce(np.add, earlier.visible.values()) > 0.999
    flickers = {}
    for number in now.parts:
        change = np.abs(now.parts[number] - earlier.parts[number])
        if number == 0:
            seen = np.minimum(now.visible[0], earlier.visible[0]) >= 1 - NOTHING
            flickers[number] = excess(change, input_change * seen[..., None], inside)
        else:
            others = [1 - one.visible[0] - one.visible[number] for one in (now, earlier)]
            flickers[number] = excess(change, input_change, inside & (np.max(others, 0) <= NOTHING))
    return flickers


def never_seen(clip: Clip) -> list[np.ndarray]:
    """Per frame, the pixels [H, W] whose place in the background no frame shows free of people and their effects."""
    size = clip.true.size
    free = []
    for frame, order in enumerate(clip.orders):
        behind, *_ = transmittances(clip.true.layer(number, frame)[..., 3] for number in order)
        free.append(behind >= 1 - NOTHING)
    panorama, numbers = clip.panorama(size)
    seen = np.zeros(panorama.size[::-1], np.uint8)
    for shown, number in zip(free, numbers):
        seen |= panorama.lay(shown.astype(np.uint8), number, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
    return [~shown & (panorama.seen(seen, number, cv2.INTER_NEAREST) == 0) for shown, number in zip(free, numbers)]


def background_errors(clip: Clip, frame: int, unseen: np.ndarray) -> dict[str, Sum]:
    """Errors of the background, on all pixels and on those that are never seen."""
    made, true = clip.compared.background(frame), clip.true.background(frame)
    similarity = ssim_map(made, true)
    return {"psnr": squared_error(made, true), "ssim": mean(similarity), "unseen_share": mean(unseen),
            "unseen_psnr": squared_error(made, true, unseen), "unseen_ssim": mean(similarity, unseen)}


def layer_errors(clip: Clip, frame: int) -> dict[int, dict[str, Sum]]:
    """Errors of each layer of people: of its matte, colour, hidden parts, effects and shadow."""
    background, order = clip.true.background(frame), clip.orders[frame]
    made, true = ({n: pictures.layer(n, frame) for n in order} for pictures in (clip.compared, clip.true))
    made_effects, true_effects = ({n: effect(layer, background) for n, layer in layers.items()}
                                  for layers in (made, true))
    _, *in_front = transmittances(true[n][..., 3] for n in order)
    seen = {n: through >= 0.5 for n, through in zip(order, in_front)}
    mattes = {n: clip.true_matte("person", n, frame) for n in order}
    people = {n: matte for n, matte in mattes.items() if matte is not None}
    errors = {}
    for number in order:
        alpha, true_alpha, person, hidden = made[number][..., 3], true[number][..., 3], mattes[number], ~seen[number]
        if true_alpha[hidden].sum() < LEAST_HIDDEN:
            hidden = np.zeros_like(hidden)
        no_effect = None if person is None else np.abs(true_alpha - person) <= NOTHING
        errors[number] = matte_errors(alpha, true_alpha) | {
            "matte_flicker": Sum(0, 0, levels) if frame == 0 else flicker(
                alpha, clip.compared.layer(number, frame - 1)[..., 3],
                true_alpha, clip.true.layer(number, frame - 1)[..., 3]),
            "person_matte_mae": Sum(0, 0) if person is None else mean(np.abs(alpha - true_alpha) * no_effect),
            "rgba_error": relative_error(made[number], true[number]),
            "hidden_matte_error": relative_error(alpha, true_alpha, hidden),
            "hidden_rgba_error": relative_error(made[number], true[number], hidden),
            "effect_iou": effect_overlap(made_effects[number], true_effects[number])}
    made_dark, true_dark = ({n: darkening(change) for n, change in effects.items()}
                            for effects in (made_effects, true_effects))
    background_dark = darkening(clip.compared.background(frame) - background)
    for number in order:
        shadow = clip.true_matte("shadow", number, frame)
        others = sum(np.maximum(made_dark[n] - true_dark[n], 0) for n in order if n != number)
        parts = {"own": made_dark[number], "other": others, "background": background_dark,
                 "on_people": made_dark[number]}
        where = {}
        if shadow is not None and len(people) == len(order):
            own, rest = people[number], np.max([np.zeros_like(shadow), *(people[n] for n in order if n != number)], 0)
            dark = (shadow > NOTHING) & (own <= NOTHING)
            where = dict.fromkeys(parts, dark & (rest <= NOTHING))
            where["on_people"] = dark & (rest >= 1 - NOTHING) & seen[number]
        errors[number] |= {f"shadow_{name}": shared(part, true_dark[number], where[name]) if where
                           else Sum(0, 0) for name, part in parts.items()}
    return errors
