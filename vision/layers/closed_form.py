"""Layers without training: a clean plate, and for each layer what its people's effects cover.

A frame is the plate, under films of black or white (the effects), under people. Plate, films and their owners follow
from each other in closed form (clean_plate.py and effects.py beside this file); here they are put together. All
pictures are laid on the plate, pixel on pixel but for small motions, which are found here. Nothing here knows cameras,
files, options or networks.
"""

from typing import NamedTuple

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.layers import clean_plate, effects
from vision.layers.clean_plate import LEVEL, grey

CELL = 4  # pixels of a cell of the coarse grid
ROUNDS = 10
TOLERANCE = 3 * LEVEL  # a change that is no more than this is none
FAINT = 0.3  # opacity from which on a film says little about what is under it
UNTOUCHED = 0.03  # opacity below which a pixel counts as free of effects
TRUSTED = 0.1  # share of the frames in which a pixel has to be free of effects, to be trusted
NARROWEST, WIDEST = 0.7, 1.5  # windows of least squares, in pixels
NEARBY, FAINTEST = 2.0, 0.01  # pixels of blur, and blurred opacity from which on there is an effect
LARGEST_MOTION = 4.0  # pixels that small motion may be
BACK_PROJECTIONS = 4


class Solution(NamedTuple):
    """What a clip is made of.

    Attributes:
        plate: float32 [H, W, 3] in [0, 1].
        effects: uint8 [L, F, H, W], opacity of each layer's effects.
        unexplained: the brightness, in [0, 1], by which a frame away from people misses the plate in a quarter of its
            pixels; the median of the frames. Where it is high there is no one plate.
    """

    plate: np.ndarray
    effects: np.ndarray
    unexplained: float


def solve(frames: np.ndarray, in_view: np.ndarray, masks: np.ndarray) -> Solution:
    """Find plate and effects.

    Args:
        frames: uint8 [F, H, W, 3].
        in_view: bool [F, H, W], where a frame shows the plate.
        masks: uint8 [L, F, H, W], 255 on the people of each layer.
    """
    covered = masks.max(axis=0)
    clear, just_clear = (uncovered(covered, in_view, margin) for margin in (2, 1))
    clear |= just_clear & ~clear.any(axis=0)  # a pixel that is only ever seen next to people is better than none
    poses = [effects.pose_vectors(mask) for mask in masks]
    seen_frames, flows, zone = small_motion(frames, clear, poses)
    frames = seen_frames if flows is None else moved(seen_frames, flows)

    middle, seen = clean_plate.open_quantile(frames, clear, 0.5)
    noise = clean_plate.noise_level(frames, clear)
    window = float(np.clip(NARROWEST + 0.2 * (np.median(noise) / LEVEL - 0.5), NARROWEST, WIDEST))
    tolerance = np.maximum(TOLERANCE, 2.5 * noise / (1 + 3.5 * window))
    plate, lightens = first_plate(frames, clear, middle, zone, np.maximum(TOLERANCE, 2.5 * noise), seen == 0)

    rows, columns = box_around(zone > 0)  # outside this box the plate is the median, and there are no effects
    part = (slice(None), rows, columns)
    box = Box(frames[part], clear[part], zone[rows, columns], lightens[rows, columns], tolerance[rows, columns], window)
    box_plate, known = plate[rows, columns], seen[rows, columns] > 0
    for _ in range(ROUNDS):
        box_plate = better_plate(box, films(box, box_plate), box_plate, known)
    plate[rows, columns] = box_plate
    if flows is not None:
        plate = sharpened(plate, seen_frames, flows, clear, (zone == 0) & (seen > 0))
    opacity = np.zeros(clear.shape, np.float32)
    opacity[part] = [around_people(np.abs(film), is_open, box.zone)
                     for film, is_open in zip(films(box, box_plate), box.clear)]
    missed = [np.quantile(np.abs(grey(frame * LEVEL) - grey(plate))[is_open], 0.75)
              for frame, is_open in zip(frames, clear) if is_open.any()]
    return Solution(plate, owned(opacity, masks, poses), float(np.median(missed)) if missed else 0.0)


def uncovered(covered: np.ndarray, in_view: np.ndarray, margin: int) -> np.ndarray:
    """Where a frame shows the scene: bool [F, H, W]; `margin` pixels away from people."""
    side = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return np.stack([(cv2.dilate(mask, side) <= 5) & view for mask, view in zip(covered, in_view)])


# ---- small motion ---------------------------------------------------------------------------------------------------

def small_motion(frames: np.ndarray, clear: np.ndarray,
                 poses: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Flicker, shake and sway: how each frame is exposed and moved against the median frame, by optical flow.

    Where effects can be, a moving shadow would look like a moving ground: there the motion is that around. Where they
    can be is seen best when all that moves has been put in its place.

    Returns:
        the frames without flicker; where what is in the median frame is in each of them, (x, y) pixels further,
        [F, H, W, 2], or None where nothing moves or flickers; and the zone of effects [H, W] in [0, 1].
    """
    middle, _ = clean_plate.open_quantile(frames, clear, 0.5)
    goal = grey(middle)
    gains = [exposure(frame, goal, is_open) for frame, is_open in zip(frames, clear)]
    exposed = np.stack([(frame / gain).clip(0, 255).round().astype(np.uint8) for frame, gain in zip(frames, gains)])
    flows = np.stack([optical_flow(goal, np.where(is_open, grey(frame * LEVEL), goal))
                      for frame, is_open in zip(exposed, clear)])
    flows -= np.median(flows[evenly_spread(len(flows), clean_plate.MOST_SORTED)], axis=0)
    still = np.quantile(np.abs(flows), 0.9) < 0.03
    if still and np.std(gains) < 0.002:
        return frames, None, zone_of_effects(frames, clear, middle, poses)
    zone = zone_of_effects(exposed if still else moved(exposed, flows), clear, middle, poses)
    for flow, is_open in zip(flows, clear):
        weight = (is_open & (zone == 0)).astype(np.float32)[..., None]
        around = cv2.GaussianBlur(flow * weight, (0, 0), 8)
        around /= np.maximum(cv2.GaussianBlur(weight, (0, 0), 8), 1e-4)[..., None]
        flow[:] = cv2.GaussianBlur(np.where(weight > 0, flow, around), (0, 0), 1.5)
    return exposed, flows, zone


def exposure(frame: np.ndarray, goal: np.ndarray, is_open: np.ndarray) -> np.float32:
    """By how much a frame, uint8 [H, W, 3], is brighter than the brightness `goal` [H, W]: a factor."""
    bright = is_open & (goal > 0.05)
    if not bright.any():
        return np.float32(1)
    return np.maximum(np.median(grey(frame * LEVEL)[bright] / goal[bright]), np.float32(0.1))


def optical_flow(goal: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """Where what is in `goal` [H, W] is in another picture: (x, y) pixels further, float32 [H, W, 2]."""
    first, second = ((255 * picture).clip(0, 255).round().astype(np.uint8) for picture in (goal, brightness))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, None)
    return cv2.GaussianBlur(flow.clip(-LARGEST_MOTION, LARGEST_MOTION), (0, 0), 1.5)


def moved(frames: np.ndarray, flows: np.ndarray) -> np.ndarray:
    """Frames uint8 [F, H, W, 3] with all that moved by `flows` [F, H, W, 2] put back, sampled bicubically."""
    columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in frames.shape[2:0:-1]))
    return np.stack([cv2.remap(frame, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_CUBIC,
                               borderMode=cv2.BORDER_REPLICATE) for frame, flow in zip(frames, flows)])


def sharpened(plate: np.ndarray, frames: np.ndarray, flows: np.ndarray, clear: np.ndarray,
              where: np.ndarray) -> np.ndarray:
    """A plate that looks like the frames when it is moved as they are: iterative back-projection.

    Frames that were sampled, moved and averaged are blurred. What a frame misses of the moved plate is moved back, and
    the median over the frames is added (Irani and Peleg, "Improving Resolution by Image Registration", 1991; the median
    after Zomet et al., 2001).

    Args:
        frames: uint8 [F, H, W, 3], as they are seen.
        flows: [F, H, W, 2], how they are moved against the plate.
        clear: bool [F, H, W], where they show the plate, when it is moved to it.
        where: bool [H, W], what may change.
    """
    used = evenly_spread(len(frames), clean_plate.MOST_SORTED)
    places = np.stack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in plate.shape[1::-1])), axis=-1)

    def sampled(picture: np.ndarray, flow: np.ndarray, flags: int = cv2.INTER_CUBIC) -> np.ndarray:
        return cv2.remap(picture, places + flow, None, flags, borderMode=cv2.BORDER_REPLICATE)

    back = {}
    for frame in used:  # the flow from a frame to the plate: a fixed point of flow(p + back(p)) = -back(p)
        back[frame] = -flows[frame]
        for _ in range(2):
            back[frame] = -sampled(flows[frame], back[frame], cv2.INTER_LINEAR)
    for _ in range(BACK_PROJECTIONS):
        missed = [sampled(frames[frame] * LEVEL - sampled(plate, back[frame]), flows[frame]) for frame in used]
        coded = np.stack([(128 + 510 * residual).clip(0, 255).round().astype(np.uint8) for residual in missed])
        middle, seen = clean_plate.open_quantile(coded, clear[used], 0.5)
        change = (255 * middle - 128) / 510
        plate = np.where((where & (seen > 0))[..., None], (plate + change).clip(0, 1), plate)
    return plate


# ---- where effects are ----------------------------------------------------------------------------------------------

def zone_of_effects(frames: np.ndarray, clear: np.ndarray, middle: np.ndarray, poses: list[np.ndarray]) -> np.ndarray:
    """Where somebody may have an effect, float32 [H, W] in [0, 1]; `middle` is the median frame."""
    goal = grey(middle)
    change = np.stack([(grey(frame * LEVEL) - goal) * is_open for frame, is_open in zip(frames, clear)])
    change -= change.sum(axis=0) / np.maximum(clear.sum(axis=0), 1) * clear
    count = min(effects.ZONE_MODES, len(frames) // 3)
    zone = effects.effect_zone(np.stack([coarse(one) for one in change]),
                               [effects.pose_modes(pose, count) for pose in poses])
    return cv2.resize(zone, goal.shape[::-1], interpolation=cv2.INTER_LINEAR)


def first_plate(frames: np.ndarray, clear: np.ndarray, middle: np.ndarray, zone: np.ndarray, reach: np.ndarray,
                never: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plate before any effect is known: the median, and where effects can be a brightness that repeats.

    What is untouched repeats, what is touched varies. Effects darken more often than they brighten, so mean shift
    begins from the 95 % quantile; where next to no frame has the brightness that it settles on, and many have one near
    the median, effects brighten.

    Args:
        reach: [H, W], the difference in brightness that is none.
        never: bool [H, W], what no frame shows.

    Returns:
        the plate [H, W, 3], and where effects brighten, bool [H, W].
    """
    plate, lightens = middle.copy(), np.zeros(never.shape, bool)
    rows, columns = box_around(zone > 0.05)
    part, inner = (slice(None), rows, columns), (rows, columns)
    highest, _ = clean_plate.open_quantile(frames[part], clear[part], 0.95)
    (upper, upper_share), (mid, mid_share) = (
        clean_plate.settled_value(frames[part], clear[part], grey(start), reach[inner])
        for start in (highest, middle[inner]))
    upper_around, mid_around = (cv2.GaussianBlur(share, (0, 0), 3) for share in (upper_share, mid_share))
    lightens[inner] = (upper_around < 0.15 * mid_around) & (mid_around > 0.3)
    from_middle = lightens[inner] | (upper_share == 0)
    share = np.where(from_middle, mid_share, upper_share)
    touched = (zone[inner] > 0.3) & (share > 0) & ~never[inner]
    plate[inner] = np.where(touched[..., None], np.where(from_middle[..., None], mid, upper), plate[inner])
    trusted = ~never
    trusted[inner] &= ~touched | (share >= 0.2)
    return clean_plate.inpainted(clean_plate.relit(plate, trusted, ~never), never), lightens


class Box(NamedTuple):
    """The part of a clip in which there can be effects: frames and `clear` as above, and what it takes to see them."""

    frames: np.ndarray
    clear: np.ndarray
    zone: np.ndarray
    lightens: np.ndarray
    tolerance: np.ndarray
    window: float


def films(box: Box, plate: np.ndarray) -> np.ndarray:
    """Opacity of the effects as far as they stand out from noise, [F, H, W]; negative where they brighten."""
    found = np.zeros(box.clear.shape, np.float32)
    for one, frame, is_open in zip(found, box.frames, box.clear):
        dark, light = film(frame * LEVEL, plate, is_open, box.window, box.tolerance)
        one[:] = np.where(box.lightens, -light, dark) * box.zone
    return found


def film(image: np.ndarray, plate: np.ndarray, is_open: np.ndarray, window: float,
         tolerance: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of the black film over a plate, and of the white one, as far as they stand out from noise.

    Args:
        image, plate: [H, W, 3] in [0, 1].
        is_open: bool [H, W].
        window: in pixels, as for `effects.least_opacity`.
        tolerance: the change of brightness that is none.
    """
    weight = is_open.astype(np.float32)
    dark, light = effects.least_opacity(image, plate, weight, window)
    whole = np.maximum(cv2.GaussianBlur(weight, (0, 0), window), 1e-3)
    change = np.abs(cv2.GaussianBlur((grey(image) - grey(plate)) * weight, (0, 0), window)) / whole
    certain = ((change - tolerance / 2) / tolerance).clip(0, 1) * weight
    return dark * certain, light * certain


def effects_over(image: np.ndarray, background: np.ndarray, people: np.ndarray, known: np.ndarray,
                 scale: int = 1) -> np.ndarray:
    """The effects in a frame, measured where they are known to be, over a better background.

    Args:
        image: [H, W, 3] in [0, 1].
        background: [H, W, 3], as this frame shows it.
        people: [L, H, W], opacity of each layer's people.
        known: [L, H, W], opacity of its effects as far as they are known.
        scale: pixels per pixel of the low-resolution frames.

    Returns:
        [L, H, W]; next to people, where nothing can be measured, `known`.
    """
    side = np.ones((4 * scale + 1, 4 * scale + 1), np.uint8)
    is_open = cv2.dilate(people.max(axis=0), side) <= 0.02
    found = np.maximum(*film(image, background, is_open, NARROWEST * scale, TOLERANCE))
    around = np.stack([cv2.GaussianBlur(one, (0, 0), NEARBY * scale) for one in known])
    whole = around.sum(axis=0)
    share = around * (whole / FAINTEST).clip(0, 1) / np.maximum(whole, 1e-6)
    return np.where(is_open, share * found, known)


def better_plate(box: Box, found: np.ndarray, plate: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The plate as the mean of the frames with their films taken off; faint films count most.

    Where hardly a frame is free of effects this only keeps the texture: the shading follows that of what is around.

    Args:
        found: [F, H, W], `films` over `plate`.
        plate: [H, W, 3].
        known: bool [H, W], what some frame shows.
    """
    total, weights = np.zeros_like(plate), np.zeros(plate.shape[:2], np.float32)
    untouched = np.zeros(plate.shape[:2], np.float32)
    for frame, film, is_open in zip(box.frames, found, box.clear):
        opacity = np.abs(film)
        seen_through = 1 - opacity
        weight = is_open * seen_through ** 2 * (1 - opacity / FAINT).clip(0.02, 1)
        white = np.maximum(-film, 0)[..., None]
        total += (frame * LEVEL - white) * (weight / np.maximum(seen_through, 0.3))[..., None]
        weights += weight
        untouched += is_open & (opacity < UNTOUCHED)
    can_change = known & (box.zone > 0.05)
    learned = can_change & (weights > 0.5)
    plate = np.where(learned[..., None], (total / np.maximum(weights, 1e-3)[..., None]).clip(0, 1), plate)
    trusted = ~can_change | (untouched >= TRUSTED * box.clear.sum(axis=0))
    return clean_plate.relit(plate, trusted & known, known)


def around_people(opacity: np.ndarray, is_open: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """A frame's effects [H, W] continued into the band around people, where nothing can be measured."""
    weight = is_open.astype(np.float32)
    near, crowd = cv2.GaussianBlur(opacity * weight, (0, 0), 2), cv2.GaussianBlur(weight, (0, 0), 2)
    return np.where(is_open, opacity, near / np.maximum(crowd, 0.05) * (crowd / 0.05).clip(0, 1) * (zone > 0))


def owned(opacity: np.ndarray, masks: np.ndarray, poses: list[np.ndarray]) -> np.ndarray:
    """The effects of each layer: `opacity` [F, H, W] of all, shared out among the owners; uint8 [L, F, H, W]."""
    count = min(effects.OWNER_MODES, len(opacity) // 3)
    share = effects.owners(np.stack([coarse(one) for one in opacity]),
                           np.stack([[coarse(mask) / 255 for mask in person] for person in masks]),
                           [effects.pose_modes(pose[:, :-2], count) for pose in poses], CELL)
    result = np.empty(masks.shape, np.uint8)
    for mine, my_share in zip(result, share):
        for film, whole, part in zip(mine, opacity, my_share):
            film[:] = (255 * whole * cv2.resize(part, whole.shape[::-1], interpolation=cv2.INTER_LINEAR)).round()
    return result


def coarse(picture: np.ndarray) -> np.ndarray:
    """Averages over cells, [ceil(H / CELL), ceil(W / CELL)]."""
    height, width = picture.shape[:2]
    size = (-(-width // CELL), -(-height // CELL))
    return cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def box_around(where: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all of bool [H, W]; a pixel where there is nothing."""
    x, y, width, height = cv2.boundingRect(where.astype(np.uint8))
    return slice(y, y + max(height, 1)), slice(x, x + max(width, 1))
