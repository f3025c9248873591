"""Small motions: how each frame of a still camera flickers, shakes and sways against the median frame.

Found by optical flow. Where people may have effects, a moving shadow would look like a moving ground: there the motion
is that of what is around. Nothing here knows cameras, files, options or networks.
"""

from typing import NamedTuple

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.geometry.flow import optical_flow, warp_frames, widely_blurred
from vision.layers.clean_plate import LEVEL, MOST_SORTED, grey, visible_quantile

LARGEST_MOTION = 4.0  # pixels that small motion may be
LARGE = 200  # pixels of the smaller side from which on motion is found as well, and sooner, on a fourth of the size
AT_REST = 0.03  # pixels of motion that are none
MOSTLY_AT_REST, UNFLICKERING = 0.9, 0.002  # share of the pixels; spread of the frames' exposures


class Rest(NamedTuple):
    """A scene at rest, against which the small motions of frames are measured.

    Attributes:
        brightness: float32 [H, W] in [0, 1] of the median frame.
        drift: float32 [H, W, 2], the usual flow of frames against it.
        zone: float32 [H, W] in [0, 1], where effects can be.
    """

    brightness: np.ndarray
    drift: np.ndarray
    zone: np.ndarray

    def motion(self, frame: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How a frame was exposed and moved.

        Args:
            frame: uint8 [H, W, 3].
            visible: bool [H, W], where it shows the scene.

        Returns:
            the frame without flicker, uint8 [H, W, 3], and where what is in the scene at rest is in it, (x, y) pixels
            further, [H, W, 2].
        """
        exposed = without_flicker(frame, exposure(frame, self.brightness, visible))
        return exposed, self.smooth(flow_of_visible(self.brightness, exposed, visible) - self.drift, visible)

    def smooth(self, flow: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """A flow [H, W, 2] that is in the zone of effects, and where nothing is visible, what it is around."""
        sure = visible & (self.zone == 0)
        x, y = cv2.split(flow)
        known = cv2.merge([x * sure, y * sure, sure.astype(np.float32)])
        *around, weight = cv2.split(widely_blurred(known, 8))
        weight = np.maximum(weight, 1e-4)
        filled = [np.where(sure, one, other / weight) for one, other in zip((x, y), around)]
        return cv2.GaussianBlur(cv2.merge(filled), (0, 0), 1.5)


class KnownMotion(NamedTuple):
    """How a frame was moved, which takes long to find.

    Attributes:
        visible: bool [H, W], by which pixels that was found.
        exposed, flow: as `Rest.motion` gives them.
    """

    visible: np.ndarray
    exposed: np.ndarray
    flow: np.ndarray


class SmallMotion(NamedTuple):
    """How the frames of a clip are exposed and moved, before it is known where effects can be.

    Attributes:
        middle: float32 [H, W, 3] in [0, 1], the median frame.
        exposed: uint8 [F, H, W, 3], the frames without flicker.
        flows: [F, H, W, 2] against the median frame, as `Rest.motion` gives them but not smoothed; None where nothing
            moves or flickers.
        drift: float32 [H, W, 2], what was taken off the flows: the usual one.
        in_place: uint8 [F, H, W, 3], the frames with all that moves put in its place.
    """

    middle: np.ndarray
    exposed: np.ndarray
    flows: np.ndarray | None
    drift: np.ndarray
    in_place: np.ndarray

    def at_rest(self, zone: np.ndarray) -> Rest:
        """The scene at rest, once it is known where effects can be, [H, W] in [0, 1]."""
        return Rest(grey(self.middle), self.drift, zone)


def small_motion(frames: np.ndarray, clear: np.ndarray) -> SmallMotion:
    """Flicker, shake and sway of frames, uint8 [F, H, W, 3], by what is `clear` of people, bool [F, H, W]."""
    middle, _ = visible_quantile(frames, clear, 0.5)
    goal = grey(middle)
    gains = [exposure(frame, goal, visible) for frame, visible in zip(frames, clear)]
    exposed = np.stack([without_flicker(frame, gain) for frame, gain in zip(frames, gains)])
    flows = np.stack([flow_of_visible(goal, frame, visible) for frame, visible in zip(exposed, clear)])
    ordered = np.sort(flows[evenly_spread(len(flows), MOST_SORTED)], axis=0)  # a third of the time of numpy's median
    drift = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    flows -= drift
    if np.mean([np.mean(np.abs(flow) < AT_REST) for flow in flows]) < MOSTLY_AT_REST:
        return SmallMotion(middle, exposed, flows, drift, warp_frames(exposed, flows))
    if np.std(gains) < UNFLICKERING:
        return SmallMotion(middle, frames, None, drift, frames)
    return SmallMotion(middle, exposed, flows, drift, exposed)


def without_flicker(frame: np.ndarray, gain: np.floating) -> np.ndarray:
    """A frame, uint8 [H, W, 3], that is `gain` times too bright, as bright as others."""
    return (frame / gain).clip(0, 255).round().astype(np.uint8)


def exposure(frame: np.ndarray, goal: np.ndarray, visible: np.ndarray) -> np.float32:
    """By how much a frame, uint8 [H, W, 3], is brighter than the brightness `goal` [H, W]: a factor."""
    bright = visible & (goal > 0.05)
    if not bright.any():
        return np.float32(1)
    return np.maximum(np.median(grey(frame * LEVEL)[bright] / goal[bright]), np.float32(0.1))


def flow_of_visible(goal: np.ndarray, frame: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """`small_flow` to a frame, uint8 [H, W, 3], that hides the scene but where it is `visible`, bool [H, W]."""
    return small_flow(goal, np.where(visible, grey(frame * LEVEL), goal), 2 if min(goal.shape) >= LARGE else 1)


def small_flow(goal: np.ndarray, brightness: np.ndarray, finest: int = 1) -> np.ndarray:
    """The smooth `optical_flow` from `goal` [H, W] in [0, 1] to another, at most `LARGEST_MOTION`: [H, W, 2]."""
    first, second = ((255 * picture).clip(0, 255).round().astype(np.uint8) for picture in (goal, brightness))
    flow = optical_flow(first, second, finest=finest)
    return cv2.GaussianBlur(flow.clip(-LARGEST_MOTION, LARGEST_MOTION), (0, 0), 1.5)
