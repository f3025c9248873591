"""Layers without training: a clean plate, and the alpha of each layer's shadows and reflections (effects).

A frame is the clean plate, under black or white layers of some alpha (the effects), under people. Plate, effect alpha
and effect assignment (whose they are) follow from each other in closed form (clean_plate.py and effects.py beside this
file); here they are put together. All pictures are laid on the plate, pixel on pixel but for small motions
(small_motion.py). Nothing here knows cameras, files, options or networks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vision.geometry.flow import backward_warp, warp_frames
from vision.layers import clean_plate, effect_owners, effects
from vision.layers.clean_plate import LEVEL, falling, grey
from vision.layers.light import Light, find_light, place_of, steady
from vision.layers.patch_filling import filled_by_patches
from vision.layers.small_motion import KnownMotion, Rest, small_motion
from vision.layers.standing_still import Doubt, doubts, goes_on

CELL = 4  # pixels of a cell of the coarse grid
ROUNDS = 10
TOLERANCE = 3 * LEVEL  # a change that is no more than this is none
FAINT = 0.3  # effect alpha from which on a frame says little about the plate
UNTOUCHED = 0.03  # effect alpha below which a pixel counts as free of effects
TRUSTED = 0.1  # share of the frames in which a pixel has to be free of effects, to be trusted
NARROWEST, WIDEST = 0.7, 1.5  # windows of least squares, in pixels
NEARBY, FAINTEST = 2.0, 0.01  # pixels of blur, and blurred alpha from which on there is an effect
EXPLAINED_AROUND = 4.0  # pixels of blur: what is judged together
RESTLESS = (0.2, 0.4)  # share of what is beside effects that changes, too: as far as all right; nothing is seen
LIT, CAST = 0.3, 0.1  # trust in a light from which on its shadows are looked for; of these shadows, what counts
EVEN = 0.1  # shadow that is cast everywhere, so that effects go on under people where no light says how
UNEXPLAINED = (0.28, 0.4)  # share of what the median misses that effects may miss: up to here all right; nothing is
UNMOVED = (0.45, 0.65)  # the same for motion, most of which small flows cannot follow


class Solution(NamedTuple):
    """What all frames of a clip share, so that in each of them, taken by itself, effects can be seen.

    Attributes:
        plate: float32 [H, W, 3] in [0, 1].
        unexplained: the brightness, in [0, 1], by which a frame away from people misses the plate in a quarter of its
            pixels; the median of the frames. Where it is high there is no one plate.
        poses: [L, F, N], `effects.pose_vectors` of each person in the frames that this was found from.
        box: rows and columns of the part in which there are effects.
        under: [h, w, 3] in [0, 1], the plate there as frames show it that were moved, which blurs them.
        plain: [h, w, 3] in [0, 1], the plain median there.
        zone: float32 [h, w] in [0, 1], where in the box there are effects.
        lightens: bool [h, w], where they brighten.
        tolerance: float32 [h, w], the change of brightness that is none.
        window: pixels of least squares.
        crowded: bool [H, W], what is only ever seen next to people.
        guessed: bool [H, W], what is never seen, so that the plate is a guess.
        doubt: what may be more of people than their masks.
        light: what casts people's shadows.
        rest: what small motions are measured against; None: nothing moves or flickers.
    """

    plate: np.ndarray
    unexplained: float
    poses: np.ndarray
    box: tuple[slice, slice]
    under: np.ndarray
    plain: np.ndarray
    zone: np.ndarray
    lightens: np.ndarray
    tolerance: np.ndarray
    window: float
    crowded: np.ndarray
    guessed: np.ndarray
    doubt: Doubt
    light: Light
    rest: Rest | None

    def arrays(self) -> tuple:
        """All of it as arrays and numbers, for `of_arrays`."""
        box = [end for part in self.box for end in (part.start, part.stop)]
        return (*self[:3], np.array(box), *self[4:12], *self.doubt, *self.light, *(self.rest or ()))

    @classmethod
    def of_arrays(cls, arrays: Sequence) -> "Solution":
        """A solution from its `arrays`."""
        plate, unexplained, poses, (top, bottom, left, right), under, plain, zone, *shared = arrays[:10]
        lightens, tolerance, window = shared
        return cls(plate, float(unexplained), poses, (slice(top, bottom), slice(left, right)), under, plain, zone,
                   lightens, tolerance, float(window), arrays[10], arrays[11], Doubt(*arrays[12:16]),
                   Light.of_arrays(*arrays[16:19]), Rest(*arrays[19:]) if arrays[19:] else None)

    def effects(self, frame: np.ndarray, in_view: np.ndarray, covered: np.ndarray, there: np.ndarray,
                cast: np.ndarray, known: KnownMotion | None = None) -> np.ndarray:
        """Alpha of all shadows and reflections of a frame, float32 [H, W].

        Args:
            frame: uint8 [H, W, 3].
            in_view: bool [H, W], where it shows the plate.
            covered: uint8 [H, W], masks of all people.
            there: bool [L], who stands where he mostly does (`standing_still.at_his_place`).
            cast: [H, W] in [0, 1], the shadows that `light` casts of the people in it.
            known: what `solve` found of the frame's motion.
        """
        visible = shown(covered, in_view, 2)
        visible |= shown(covered, in_view, 1) & self.crowded
        visible &= ~self.doubt.at(there)
        if self.rest is not None:
            if known is None or not np.array_equal(known.visible, visible):
                known = KnownMotion(visible, *self.rest.motion(frame, visible))
            frame = backward_warp(known.exposed, known.flow)
        alpha, visible = np.zeros(visible.shape, np.float32), visible[self.box]
        effect = effect_alpha(frame[self.box], visible, self.under, self.zone, self.lightens, self.tolerance,
                              self.window)
        alpha[self.box] = extrapolated_to_people(np.abs(effect), visible, self.zone, cast[self.box])
        return alpha

    def worse_than_median(self, frame: np.ndarray, visible: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """By how much more the plate under the effects of a frame misses it than the plain median does, [h, w] of the
        box in [-1, 1]; 0 where it is not visible.

        Args:
            frame: uint8 [H, W, 3], as it is.
            visible: bool [H, W], where it shows the plate.
            alpha: [H, W], what somebody has of its effects.
        """
        image, plate, through = frame[self.box] * LEVEL, self.plate[self.box], 1 - alpha[self.box]
        light = np.where(self.lightens, 1 - through, 0)[..., None]
        missed = np.abs(image - plate * through[..., None] - light)
        return visible[self.box] * (grey(missed) - grey(np.abs(image - self.plain)))


def solve(frames: np.ndarray, in_view: np.ndarray, masks: np.ndarray,
          motions: list[KnownMotion] | None = None) -> Solution:
    """Find the clean plate, and what it takes to see effects over it.

    Args:
        frames: uint8 [F, H, W, 3], all of a clip, or some of them, evenly spread.
        in_view: bool [F, H, W], where a frame shows the plate.
        masks: uint8 [L, F, H, W], 255 on the people of each layer.
        motions: a list, to which those of all frames are added, if there are any.
    """
    clear, crowded, doubt = clear_of_people(frames, in_view, masks)
    poses, places = np.stack([effects.pose_vectors(mask) for mask in masks]), on_cells(masks)
    motion = small_motion(frames, clear)
    zone, light, shaded = find_effect_zone(motion.in_place, clear, motion.middle, poses, places)
    frames, flows, rest = motion.exposed, motion.flows, None
    if flows is not None:
        rest = motion.at_rest(zone.copy())
        for flow, visible in zip(flows, clear):
            flow[:] = rest.smooth(flow, visible)
        frames = warp_frames(motion.exposed, flows)
        if motions is not None:
            motions += map(KnownMotion, clear, motion.exposed, flows)

    unshaded = clear & ~shaded
    sure = shaded.any(axis=0) & (unshaded.sum(axis=0) >= np.maximum(TRUSTED * clear.sum(axis=0), 1))
    middle, seen = clean_plate.visible_quantile(frames, np.where(sure, unshaded, clear), 0.5)
    noise = clean_plate.noise_level(frames, clear)
    window = float(np.clip(NARROWEST + 0.2 * (np.median(noise) / LEVEL - 0.5), NARROWEST, WIDEST))
    tolerance = np.maximum(TOLERANCE, 2.5 * noise / (1 + 3.5 * window))
    plate, lightens = initial_plate(frames, clear, middle, zone, np.maximum(TOLERANCE, 2.5 * noise), seen == 0, sure)

    rows, columns = bounding_slices(zone > 0)  # outside this box the plate is the median, and there are no effects
    part, inner = (slice(None), rows, columns), (rows, columns)
    region = EffectRegion(frames[part], clear[part], zone[inner], lightens[inner], tolerance[inner], window,
                          *clean_plate.shown_range(frames[part], clear[part]))
    part_plate, known = plate[inner], seen[inner] > 0
    for _ in range(ROUNDS):
        part_plate = updated_plate(region, part_plate, known)
    plain = clean_plate.inpainted(middle, seen == 0)[inner]
    mostly = ~sure & ((clear & shaded).sum(axis=0) > clear.sum(axis=0) / 2)  # there the median shows a shadow itself
    believed = np.maximum(where_effects_explain(region, part_plate, plain), mostly[inner])
    plate[inner] = under = plain + (part_plate - plain) * believed[..., None]
    zone[inner] = region.zone * believed
    if flows is not None:
        still, _ = clean_plate.visible_quantile(motion.exposed, np.where(sure, unshaded, clear), 0.5)
        moves = np.where(seen > 0, where_motion_explains((frames, middle), (motion.exposed, still), clear), 1)
        plain = still[inner] + (plain - still[inner]) * moves[inner][..., None]
        plate = still + (plate - still) * np.maximum(moves, zone)[..., None]
        plate = clean_plate.back_projected(plate, motion.exposed, flows, clear,
                                           (zone == 0) & (seen > 0) & (moves > 0.5))
    plate, unknown = completed(plate, seen == 0, frames, in_view, masks, doubt.stirs)
    missed = [np.quantile(np.abs(grey(frame * LEVEL) - grey(plate))[visible], 0.75)
              for frame, visible in zip(frames, clear) if visible.any()]
    return Solution(plate, float(np.median(missed)) if missed else 0.0, poses, (rows, columns), under, plain,
                    zone[inner], lightens[inner], tolerance[inner], window, crowded, unknown, doubt, light, rest)


def completed(plate: np.ndarray, unknown: np.ndarray, frames: np.ndarray, in_view: np.ndarray, masks: np.ndarray,
              stirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plate where it is not known: the scene goes on where it is only doubtful, and patches fill what is left.

    Args:
        plate: float32 [H, W, 3] in [0, 1].
        unknown: bool [H, W], where no frame shows it for sure.
        frames, in_view, masks: as in `solve`; frames one upon the other.
        stirs: bool [H, W], what is doubtful.

    Returns:
        the plate, and where it is a guess, bool [H, W].
    """
    if (unknown & stirs).any():
        scene, usual = goes_on(plate, ~unknown, frames, uncovered(masks.max(axis=0), in_view, 2), stirs)
        plate, unknown = np.where(scene[..., None], usual, plate), unknown & ~scene
    hidden = unknown & in_view.any(axis=0)
    if hidden.any():
        patches = filled_by_patches((plate.clip(0, 1) * 255).round().astype(np.uint8), hidden, unknown)
        plate = np.where(hidden[..., None], patches * LEVEL, plate)
    return plate, unknown


def clear_of_people(frames: np.ndarray, in_view: np.ndarray,
                    masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, Doubt]:
    """Where frames show the scene, bool [F, H, W]; and `Solution.crowded` and `doubt`. Arguments as for `solve`."""
    covered = masks.max(axis=0)
    clear, just_clear = (uncovered(covered, in_view, margin) for margin in (2, 1))
    crowded = np.asarray(~clear.any(axis=0))
    clear |= just_clear & crowded  # a pixel that is only ever seen next to people is better than none
    doubt = doubts(frames, masks, clear)
    clear &= ~doubt.in_frames(frames, masks)  # unless they stand there all the time
    return clear, crowded, doubt


def uncovered(covered: np.ndarray, in_view: np.ndarray, margin: int) -> np.ndarray:
    """Where a frame shows the scene: bool [F, H, W]; `margin` pixels away from people."""
    return np.stack([shown(mask, view, margin) for mask, view in zip(covered, in_view)])


def shown(covered: np.ndarray, in_view: np.ndarray, margin: int) -> np.ndarray:
    """`uncovered` of one frame: bool [H, W]."""
    return (cv2.dilate(covered, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) <= 5) & in_view


def where_motion_explains(moved: tuple[np.ndarray, np.ndarray], still: tuple[np.ndarray, np.ndarray],
                          clear: np.ndarray) -> np.ndarray:
    """Where frames that were moved by their flows are explained better by their median than they are unmoved by theirs:
    float32 [H, W] in [0, 1].

    What sways or shakes is. People who move in the background are not: a flow that follows them in part sharpens them
    at a place where they seldom are.

    Args:
        moved, still: frames, uint8 [F, H, W, 3], and their median, float32 [H, W, 3] in [0, 1].
        clear: bool [F, H, W], where they show the scene.
    """
    left, whole = (cv2.GaussianBlur(sum(visible * np.maximum(grey(np.abs(frame * LEVEL - middle)) - TOLERANCE, 0)
                                        for frame, visible in zip(frames, clear)), (0, 0), EXPLAINED_AROUND)
                   for frames, middle in (moved, still))
    return falling(left / np.maximum(whole, 1e-4), UNMOVED).astype(np.float32)


# ---- shadows and reflections ----------------------------------------------------------------------------------------

def find_effect_zone(frames: np.ndarray, clear: np.ndarray, middle: np.ndarray, poses: np.ndarray,
                     places: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, Light, np.ndarray]:
    """Where somebody may have an effect.

    There the scene depends on somebody's pose; or it is where the light casts shadows, if one light explains how the
    scene gets darker and brighter. The light says so even where a shadow hardly comes or hardly goes away.

    Args:
        middle: the median frame.
        poses: [L, F, N], `effects.pose_vectors`.
        places: masks and ground by `on_cells`.

    Returns:
        float32 [H, W] in [0, 1]; the light; and where it casts shadows in each frame, bool [F, H, W].
    """
    goal = grey(middle)
    usual = np.zeros(goal.shape, np.float32)
    for frame, visible in zip(frames, clear):
        usual += (grey(frame * LEVEL) - goal) * visible
    usual = usual / np.maximum(clear.sum(axis=0), 1)
    change = np.stack([coarse(((grey(frame * LEVEL) - goal) * visible - usual * visible).astype(np.float32))
                       for frame, visible in zip(frames, clear)])
    count = min(effects.ZONE_MODES, len(frames) // 3)
    zone = effects.effect_zone(change, [effects.pose_modes(pose, count) for pose in poses])
    light = find_light(-change, np.stack([coarse(visible) for visible in clear]), *places)
    shaded = cast_in_frames(light, *places, shape=goal.shape)
    zone = cv2.resize(zone, goal.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.maximum(zone, shaded.any(axis=0)).astype(np.float32), light, shaded


def on_cells(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks, uint8 [L, F, H, W], on the coarse grid, [L, F, h, w] in [0, 1], and y of the ground there, [L, F]."""
    ground = np.stack([steady(np.array([place_of(mask) for mask in person]))[:, 1] for person in masks])
    return np.stack([[coarse(mask) / 255 for mask in person] for person in masks]), in_cells(ground)


def cast_in_frames(light: Light, masks: np.ndarray, ground: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where a light casts shadows of people in each frame, and a cell around: bool [F, H, W]; nowhere where it is not
    trusted. Masks and ground are those of `on_cells`, and `shape` is that of a frame, (H, W)."""
    frames = masks.shape[1]
    if light.trust <= LIT:
        return np.zeros((frames, *shape), bool)
    cast = np.max([light.cast(*one) for one in zip(masks, ground)], axis=0)
    return np.stack([fine(cv2.dilate((one > CAST).astype(np.float32), effects.NEAR), shape) > 0.5 for one in cast])


def initial_plate(frames: np.ndarray, clear: np.ndarray, middle: np.ndarray, zone: np.ndarray, reach: np.ndarray,
                never: np.ndarray, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plate before any effect is known: the median, and where effects can be a brightness that repeats.

    What is untouched repeats, what is touched varies. Effects darken more often than they brighten, so mean shift
    begins from the 95 % quantile; where next to no frame has the brightness that it settles on, and many have one near
    the median, effects brighten.

    Args:
        reach: [H, W], the difference in brightness that is none.
        never: bool [H, W], what no frame shows.
        sure: bool [H, W], where `middle` is of frames in which the light casts no shadow.

    Returns:
        the plate [H, W, 3], and where effects brighten, bool [H, W].
    """
    plate, lightens = middle.copy(), np.zeros(never.shape, bool)
    rows, columns = bounding_slices(zone > 0.05)
    part, inner = (slice(None), rows, columns), (rows, columns)
    highest, _ = clean_plate.visible_quantile(frames[part], clear[part], 0.95)
    (upper, upper_share), (mid, mid_share) = (
        clean_plate.mean_shift_mode(frames[part], clear[part], grey(start), reach[inner])
        for start in (highest, middle[inner]))
    upper_around, mid_around = (cv2.GaussianBlur(share, (0, 0), 3) for share in (upper_share, mid_share))
    lightens[inner] = (upper_around < 0.15 * mid_around) & (mid_around > 0.3)
    from_middle = lightens[inner] | (upper_share == 0)
    share = np.where(from_middle, mid_share, upper_share)
    touched = (zone[inner] > 0.3) & (share > 0) & ~never[inner] & ~sure[inner]
    plate[inner] = np.where(touched[..., None], np.where(from_middle[..., None], mid, upper), plate[inner])
    trusted = ~never
    trusted[inner] &= ~touched | (share >= 0.2)
    return clean_plate.inpainted(clean_plate.relit(plate, trusted, ~never), never), lightens


class EffectRegion(NamedTuple):
    """The part of a clip in which there can be effects: frames and `clear` as above, what it takes to see them, and the
    range of colours [H, W, 3] that any frame shows."""

    frames: np.ndarray
    clear: np.ndarray
    zone: np.ndarray
    lightens: np.ndarray
    tolerance: np.ndarray
    window: float
    lowest: np.ndarray
    highest: np.ndarray


def effect_alpha(frame: np.ndarray, visible: np.ndarray, plate: np.ndarray, zone: np.ndarray, lightens: np.ndarray,
                 tolerance: np.ndarray, window: float) -> np.ndarray:
    """Alpha of a frame's shadows and reflections as far as they stand out from noise, [H, W]; negative where they
    brighten. Arguments as in `Solution`."""
    image, weight = frame * LEVEL, visible.astype(np.float32)
    alpha = effects.black_alpha(image, plate, weight, window)
    if lightens.any():
        alpha = np.where(lightens, -effects.black_alpha(1 - image, 1 - plate, weight, window), alpha)
    return (alpha * certainty(image, plate, visible, window, tolerance) * zone).astype(np.float32)


def significant_shadow_and_light(image: np.ndarray, plate: np.ndarray, visible: np.ndarray, window: float,
                                 tolerance: np.ndarray | np.floating | float) -> tuple[np.ndarray, np.ndarray]:
    """Alpha of the black layer (shadow) over a plate, and of the white one, as far as they stand out from noise.

    Args:
        image, plate: [H, W, 3] in [0, 1].
        visible: bool [H, W].
        window: in pixels, as for `effects.shadow_and_light_alpha`.
        tolerance: the change of brightness that is none.

    Returns:
        shadow and light, [H, W] in [0, 1].
    """
    certain = certainty(image, plate, visible, window, tolerance)
    shadow, light = effects.shadow_and_light_alpha(image, plate, visible.astype(np.float32), window)
    return shadow * certain, light * certain


def certainty(image: np.ndarray, plate: np.ndarray, visible: np.ndarray, window: float,
              tolerance: np.ndarray | np.floating | float) -> np.ndarray:
    """How far changes of a plate stand out from noise, [H, W] in [0, 1]; as for `significant_shadow_and_light`."""
    change = smooth_change(image, plate, visible, window)
    return ((change - tolerance / 2) / tolerance).clip(0, 1) * visible


def remeasured_effects(image: np.ndarray, background: np.ndarray, people: np.ndarray, known: np.ndarray,
                 scale: int = 1) -> np.ndarray:
    """The alpha of shadows and reflections in a frame, measured again where they are known to be, over a better plate.

    Where the frame changes beside them, too, by more than noise does (people in the background, waves), nothing can be
    told from a change: there they stay as they are known.

    Args:
        image: [H, W, 3] in [0, 1].
        background: [H, W, 3], as this frame shows it.
        people: [L, H, W], alpha of each layer's people.
        known: [L, H, W], alpha of its effects as far as they are known.
        scale: pixels per pixel of the low-resolution frames.

    Returns:
        [L, H, W]; next to people, where nothing can be measured, `known`.
    """
    side, window = np.ones((4 * scale + 1, 4 * scale + 1), np.uint8), NARROWEST * scale
    visible = cv2.dilate(people.max(axis=0), side) <= 0.02
    found = np.maximum(*significant_shadow_and_light(image, background, visible, window, TOLERANCE))
    around = np.stack([cv2.GaussianBlur(one, (0, 0), NEARBY * scale) for one in known])
    whole = around.sum(axis=0)
    share = around * (whole / FAINTEST).clip(0, 1) / np.maximum(whole, 1e-6)
    nothing = (visible & (whole < FAINTEST)).astype(np.float32)
    changes = smooth_change(image, background, visible, window) > TOLERANCE
    unrest, weight = (cv2.GaussianBlur(one, (0, 0), EXPLAINED_AROUND * scale) for one in (nothing * changes, nothing))
    sure = np.where(weight > 1e-3, falling(unrest / np.maximum(weight, 1e-3), RESTLESS), 0)
    mine = 1 - (1 - found.clip(0, 0.99)) ** share  # as in `shared_out`
    return np.where(visible, sure * mine + (1 - sure) * known, known).astype(known.dtype)


def smooth_change(image: np.ndarray, plate: np.ndarray, visible: np.ndarray, window: float) -> np.ndarray:
    """How much brighter or darker than a plate [H, W, 3] an image is, smoothed over `window` pixels: [H, W]."""
    weight = visible.astype(np.float32)
    whole = np.maximum(cv2.GaussianBlur(weight, (0, 0), window), 1e-3)
    return np.abs(cv2.GaussianBlur((grey(image) - grey(plate)) * weight, (0, 0), window)) / whole


def updated_plate(region: EffectRegion, plate: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The plate as the mean of the frames with their shadows and reflections taken off; where these are faint, a frame
    counts most.

    Where hardly a frame is free of effects this only keeps the texture: the shading follows that of what is around.

    Args:
        plate: [H, W, 3].
        known: bool [H, W], what some frame shows.
    """
    total, weights = np.zeros_like(plate), np.zeros(plate.shape[:2], np.float32)
    untouched = np.zeros(plate.shape[:2], np.float32)
    for frame, visible in zip(region.frames, region.clear):
        effect = effect_alpha(frame, visible, plate, region.zone, region.lightens, region.tolerance, region.window)
        alpha = np.abs(effect)
        transmittance = 1 - alpha
        weight = visible * transmittance ** 2 * (1 - alpha / FAINT).clip(0.02, 1)
        white = np.maximum(-effect, 0)
        total += (frame * LEVEL - in_colour(white)) * in_colour(weight / np.maximum(transmittance, 0.3))
        weights += weight
        untouched += visible & (alpha < UNTOUCHED)
    can_change = known & (region.zone > 0.05)
    learned = can_change & (weights > 0.5)
    mean = total / np.maximum(weights, 1e-3)[..., None]
    plate = np.where(learned[..., None], mean.clip(region.lowest, region.highest), plate)
    trusted = ~can_change | (untouched >= TRUSTED * region.clear.sum(axis=0))
    return clean_plate.relit(plate, trusted & known, known)


def in_colour(values: np.ndarray) -> np.ndarray:
    """Values [H, W], the same for all three channels: [H, W, 3]; numpy is slow where a last axis that short is new."""
    return cv2.merge([values, values, values])


def where_effects_explain(region: EffectRegion, plate: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Where shadows and reflections over a plate explain the frames better than the plain median: [H, W] in [0, 1].

    A shadow or a light is smooth, and has the texture and the hue of what it lies on: what is left of the frame is
    noise. People who move in the background, waves or letters that are not registered are none of that; there the
    median stands, and nobody has an effect.
    """
    left, whole = np.zeros((2, *median.shape[:2]), np.float32)
    for frame, visible in zip(region.frames, region.clear):
        image = frame * LEVEL
        shadow, light = effects.shadow_and_light_alpha(image, plate, visible.astype(np.float32), region.window)
        shadow, light = np.where(region.lightens, 0, shadow), np.where(region.lightens, light, 0)
        alpha = shadow + light
        explained = plate * (1 - alpha)[..., None] + light[..., None]
        weight = visible * region.zone * alpha / (alpha + UNTOUCHED)  # elsewhere both say the same
        left += weight * np.maximum(grey(np.abs(image - explained)) - region.tolerance, 0)
        whole += weight * np.maximum(grey(np.abs(image - median)) - region.tolerance, 0)
    left = cv2.GaussianBlur(left, (0, 0), EXPLAINED_AROUND) / np.maximum(
        cv2.GaussianBlur(whole, (0, 0), EXPLAINED_AROUND), 1e-5)
    return falling(left, UNEXPLAINED).astype(np.float32)


def believed_over_median(worse: np.ndarray, seen: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Where the plate under effects stands, and not the plain median: float32 [h, w] in [0, 1].

    Args:
        worse: [h, w], the sum of `Solution.worse_than_median` over frames.
        seen: [h, w], in how many of them a pixel is visible.
        zone: [h, w] in [0, 1], where there are effects; there, where it is seen, it is to choose.
    """
    mean = cv2.GaussianBlur(worse, (0, 0), NEARBY) / np.maximum(cv2.GaussianBlur(seen, (0, 0), NEARBY), 1e-3)
    return np.where((zone > 0) & (seen > 0), (2 - mean / TOLERANCE).clip(0, 1), 1).astype(np.float32)


def extrapolated_to_people(alpha: np.ndarray, visible: np.ndarray, zone: np.ndarray,
                           cast: np.ndarray | float = 0.0) -> np.ndarray:
    """A frame's effect alpha [H, W] extrapolated into the band around people, where nothing can be measured: as dark,
    for the shadow that is `cast` there, as what is seen nearby is for what is cast there."""
    weight = visible.astype(np.float32)
    shape = np.broadcast_to(np.float32(EVEN) + cast, alpha.shape).astype(np.float32)
    near, usual = (cv2.GaussianBlur(one * shape * weight, (0, 0), 2) for one in (alpha, shape))
    crowd = cv2.GaussianBlur(weight, (0, 0), 2)
    darkest = cv2.dilate((alpha * weight).astype(np.float32), np.ones((9, 9), np.uint8))
    found = np.minimum(near / np.maximum(usual, 0.05 * EVEN ** 2) * shape, darkest) * (crowd / 0.05).clip(0, 1)
    return np.where(visible, alpha, found * (zone > 0))


def owners_of_effects(alpha: np.ndarray, masks: np.ndarray, way: np.ndarray, places: np.ndarray, poses: np.ndarray,
                      light: Light) -> effect_owners.Owners:
    """Whose effects are whose, by the frames that a solution was found from.

    Args:
        alpha: [F, h, w] of all effects, on the coarse grid.
        masks: [L, F, h, w] in [0, 1].
        way: [L, F, h, w], `effect_owners.ways` in each frame.
        places: [L, F, 2] by `light.steady`.
        poses, light: of the solution.
    """
    return effect_owners.find_owners(alpha, masks, way, effect_owners.modes_of(poses), places, light, CELL)


def shared_out(alpha: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The effects of each layer in a frame, uint8 [L, H, W]: `alpha` [H, W] of all, by the share of each,
    [L, h, w] on any grid.

    Where shadows lie on each other, what one lets through the other darkens again: shares are exponents of that, so
    that the layers together are as dark as the frame.
    """
    through = 1 - alpha.clip(0, 0.99)
    return np.stack([(255 * (1 - through ** fine(part, alpha.shape))).round().astype(np.uint8) for part in share])


def fine(cells: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A coarse grid [h, w] enlarged to pixels [H, W]."""
    return cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_LINEAR)


def in_cells(pixels: np.ndarray) -> np.ndarray:
    """Places in pixels, as places on the coarse grid."""
    return (pixels + 0.5) / CELL - 0.5


def coarse(picture: np.ndarray) -> np.ndarray:
    """Averages over cells, [ceil(H / CELL), ceil(W / CELL)]."""
    height, width = picture.shape[:2]
    size = (-(-width // CELL), -(-height // CELL))
    return cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def bounding_slices(where: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all of bool [H, W]; a pixel where there is nothing."""
    x, y, width, height = cv2.boundingRect(where.astype(np.uint8))
    return slice(y, y + max(height, 1)), slice(x, x + max(width, 1))
