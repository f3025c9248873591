"""Pictures of where the layers of an evaluated clip are worst, for its page.

Errors are drawn as maps: of colour from black (equal) over red to yellow (`BRIGHTEST` levels and more), of opacity
white where it is right, red where the layer is too opaque, blue where it is not opaque enough.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps

from evaluation.clip import Clip
from evaluation.measures import never_seen, retimed_pair, retimings
from evaluation.page import Section, Shot, shown
from util.images import to_8_bits

WORST = 3  # frames shown of the reconstruction, not next to each other
BRIGHTEST = 64  # levels
COLOUR_NOTE = f"Black: equal. Yellow: {BRIGHTEST} of 255 levels and more."
OPACITY_NOTE = "Red: too opaque. Blue: not opaque enough."


def worst_frames(clip: Clip, result: dict) -> list[Section]:
    """Rows of pictures: the worst frames of the reconstruction and, with known layers, of everything else."""
    frames = ranked(result, "reconstruction", "psnr", 1)
    sections = [reconstruction(clip, result, frame) for frame in apart(frames, len(frames) // (2 * WORST))[:WORST]]
    if not clip.has_truth:
        return [*sections, layers_alone(clip, frames[0])]
    sections.append(background(clip, result))
    sections += [layer(clip, result, number) for number in clip.numbers]
    return sections + [retimed(clip, result, name) for name in result["retimings"]]


def ranked(result: Mapping, group: str, measure: str, sign: int) -> list[int]:
    """Frames from the worst to the best; `sign` is 1 where higher is better, -1 where lower is."""
    values = {frame: one[group][measure] for frame, one in enumerate(result["frames"])}
    known = [frame for frame, value in values.items() if value is not None]
    return sorted(known, key=lambda frame: sign * values[frame])


def apart(frames: list[int], distance: int) -> list[int]:
    """The first of these frames, and each further one that is more than `distance` away from those before."""
    chosen: list[int] = []
    for frame in frames:
        if all(abs(frame - other) > distance for other in chosen):
            chosen.append(frame)
    return chosen


def reconstruction(clip: Clip, result: dict, frame: int) -> Section:
    """A frame, what the layers make of it, and the difference."""
    figures = result["frames"][frame]["reconstruction"]
    return Section(f"Reconstruction, frame {clip.frames[frame]}",
                   f"One of the worst: {shown(figures['psnr'], 'dB')}, SSIM {shown(figures['ssim'])}.",
                   compared(clip.image(frame), clip.reconstruction(frame), f"reconstruction_{clip.frames[frame]}",
                            "input", "reconstruction"))


def layers_alone(clip: Clip, frame: int) -> Section:
    """All layers of a frame as they are."""
    name = clip.frames[frame]
    shots = [Shot(to_8_bits(clip.made.background(frame)), f"background_{name}", "background")]
    shots += [Shot(straight(clip.made.layer(number, frame)), f"layer_{number}_{name}", f"layer {number}")
              for number in clip.numbers]
    return Section(f"Layers, frame {name}", "Where the reconstruction is worst. No true layers are known, so "
                   "look: is each person whole, with their shadow, and nobody else's?", shots)


def background(clip: Clip, result: dict) -> Section:
    """The background where it is worst, and what is never seen of it."""
    frame = ranked(result, "background", "psnr", 1)[0]
    made, true = clip.compared.background(frame), clip.true.background(frame)
    unseen = never_seen(clip)[frame]
    marked = np.where(unseen[..., None], (1, 0.25, 0.1), 0.5 * true + 0.5)
    return Section(f"Background, frame {clip.frames[frame]}",
                   f"The worst: {shown(result['frames'][frame]['background']['psnr'], 'dB')}.",
                   [*compared(true, made, "background", "true background", "background"),
                    Shot(to_8_bits(marked), "background_unseen", "never seen", "Red: free of people in no frame.")])


def layer(clip: Clip, result: dict, number: int) -> Section:
    """A layer where it is worst."""
    frame = (ranked(result, f"layer_{number}", "rgba_error", -1) or [0])[0]
    made, true = (pictures.layer(number, frame) for pictures in (clip.compared, clip.true))
    figures = result["frames"][frame][f"layer_{number}"]
    return Section(f"Layer {number}, frame {clip.frames[frame]}",
                   f"The worst: RGBA error {shown(figures['rgba_error'])}, effect IoU {shown(figures['effect_iou'])}.",
                   [Shot(straight(true), f"layer_{number}_true", "true layer"),
                    Shot(straight(made), f"layer_{number}_made", "layer"),
                    Shot(opacity_error(made[..., 3] - true[..., 3]), f"layer_{number}_opacity", "error of its opacity",
                         OPACITY_NOTE),
                    Shot(colour_error(made[..., :3] - true[..., :3]), f"layer_{number}_colour",
                         "error of its colour times opacity", COLOUR_NOTE)])


def retimed(clip: Clip, result: dict, name: str) -> Section:
    """A retimed version where it is worst."""
    frame = ranked(result, "retiming", f"{name}_psnr", 1)[0]
    made, true = retimed_pair(clip, retimings(clip.numbers, len(clip.frames))[name], frame)
    figure = shown(result["frames"][frame]["retiming"][f"{name}_psnr"], "dB")
    return Section(f"Retimed: {result['retimings'][name]}, frame {clip.frames[frame]}", f"The worst: {figure}.",
                   compared(true, made, f"retimed_{name}", "from the true layers", "from these layers"))


def compared(true: np.ndarray, made: np.ndarray, name: str, true_title: str, made_title: str) -> list[Shot]:
    """Two pictures and the map of their difference."""
    return [Shot(to_8_bits(true), f"{name}_true", true_title), Shot(to_8_bits(made), f"{name}_made", made_title),
            Shot(colour_error(made - true), f"{name}_error", "difference", COLOUR_NOTE)]


def straight(layer: np.ndarray) -> np.ndarray:
    """Premultiplied RGBA in [0, 1] to straight RGBA in uint8."""
    return to_8_bits(np.dstack([layer[..., :3] / np.maximum(layer[..., 3:], 1e-6), layer[..., 3]]))


def colour_error(difference: np.ndarray) -> np.ndarray:
    """Map of a difference [H, W, 3] of [0, 1] pictures."""
    return _mapped("inferno", np.abs(difference).mean(-1) * 255 / BRIGHTEST)


def opacity_error(difference: np.ndarray) -> np.ndarray:
    """Map of a difference [H, W] of mattes."""
    return _mapped("seismic", 0.5 + difference / 2)


def _mapped(name: str, values: np.ndarray) -> np.ndarray:
    return colormaps[name](np.clip(values, 0, 1), bytes=True)[..., :3]
