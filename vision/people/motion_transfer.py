"""The motion of one person in another's body and place.

Skeletons are seen from one side, in pixels, so distances from the camera show only as sizes. Whose motion is taken over
is called the driver. Where both walk towards the camera and away from it, the nearest and farthest places of one become
those of the other, as the global pose normalisation of Chan et al., "Everybody Dance Now" (ICCV 2019), maps them; else
the driver is moved to where the other stands. Unlike there every bone gets the length that it has in the other's body.

Points are float64 [T, 137, 3]: those of `body25` in their order, body, face, left hand, right hand; x, y in pixels and
a confidence, (0, 0, 0) where a point was not found. y points down.
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import savgol_filter

from vision.people.body25 import SURE

NECK, HIP, NOSE = 1, 8, 0
PARENTS = {1: 8, 0: 1, 15: 0, 16: 0, 17: 15, 18: 16, 2: 1, 3: 2, 4: 3, 5: 1, 6: 5, 7: 6, 9: 8, 10: 9, 11: 10, 12: 8,
           13: 12, 14: 13, 22: 11, 23: 22, 24: 11, 19: 14, 20: 19, 21: 14}
"""The joint that each joint of BODY_25 hangs on, from the middle of the hips outwards."""
_TWINS = {2: 5, 3: 6, 4: 7, 9: 12, 10: 13, 11: 14, 15: 16, 17: 18, 22: 19, 23: 20, 24: 21}
_STATURE = {(1, 8): 0.30, (9, 10): 0.235, (12, 13): 0.235, (10, 11): 0.23, (13, 14): 0.23, (2, 3): 0.165,
            (5, 6): 0.165, (3, 4): 0.14, (6, 7): 0.14}
"""Bones, and the share that each has of the height of somebody who stands upright."""
_FEET = (11, 14)
DETAILS = ((slice(25, 95), 0), (slice(95, 116), 7), (slice(116, 137), 4))
"""Points of the face, the left and the right hand, and the joint that they are at."""
SMOOTHED = 7
"""Frames over which a parabola smooths each path."""
WALKS = 0.25
"""Of the height: who moves his feet up or down the picture by more walks towards the camera or away from it."""
LONGEST, OFTEN = 0.9, 0.3  # quantile of the lengths of a bone that are not foreshortened; share of frames of a joint
LIMITS = 0.6, 1.7  # of the proportions of two people


class Place(NamedTuple):
    """Where somebody stands, and how tall: in pixels, of the picture of each frame, [T] each.

    Attributes:
        height: of the person upright, there.
        ground: y of the lower ankle.
        x: of the hips.
    """

    height: np.ndarray
    ground: np.ndarray
    x: np.ndarray


def filled(points: np.ndarray) -> np.ndarray:
    """Points that were not found in some frames, from the frames around; those that are hardly ever found stay away.

    Before the first and after the last time a point is where it was found. Filled points have the confidence of those
    around, so they are drawn.
    """
    result = points.copy()
    for k in range(points.shape[1]):
        seen = np.flatnonzero(points[:, k, 2] > SURE)
        if len(seen) < OFTEN * len(points):
            result[:, k] = 0
        else:
            for axis in range(3):
                result[:, k, axis] = np.interp(np.arange(len(points)), seen, points[seen, k, axis])
    return result


def smoothed(points: np.ndarray) -> np.ndarray:
    """Points whose paths are free of the jitter of estimators; without gaps (`filled`)."""
    if len(points) < SMOOTHED:
        return points
    result = points.copy()
    result[..., :2] = savgol_filter(points[..., :2], SMOOTHED, 2, axis=0, mode="nearest")
    return result


def place(points: np.ndarray) -> Place:
    """Where somebody is in each frame; points without gaps.

    Raises:
        ValueError: hips or ankles are hardly ever seen.
    """
    if not _is_there(points, HIP) or not any(_is_there(points, foot) for foot in _FEET):
        raise ValueError("hips and feet are hardly ever seen")
    shares = [np.linalg.norm(points[:, a, :2] - points[:, b, :2], axis=1) / share
              for (a, b), share in _STATURE.items() if _is_there(points, a) and _is_there(points, b)]
    height = np.quantile(shares, 0.85, axis=0)  # what is foreshortened says too little
    ground = np.max([points[:, foot, 1] for foot in _FEET if _is_there(points, foot)], axis=0)
    return Place(np.maximum(height, 1), ground, points[:, HIP, 0])


def transferred(driver: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The driver's motion in another body, where that one stands in its pictures.

    Args:
        driver: [T, 137, 3], whose motion.
        own: [S, 137, 3], of the person who shall move so, in any poses.

    Returns:
        [T, 137, 3] in pixels of `own`. Points that `own` hardly ever shows are left out.

    Raises:
        ValueError: hips or ankles of one of them are hardly ever seen; says whose.
    """
    driver, own = smoothed(filled(driver)), filled(own)
    places = []
    for name, points in (("the driver", driver), ("the person", own)):
        try:
            places.append(place(points))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    there, here = places
    height, ground, x = mapped(there, here)
    bigger = height / np.median(there.height)
    if walks(there) and walks(here):
        bigger = height / _by_ground(there, there.ground)
    ratio = np.nan_to_num(proportions(own, here) / proportions(driver, there), nan=1.0).clip(*LIMITS)
    result = np.zeros_like(driver)
    for joint in [HIP, *PARENTS]:
        if not _is_there(driver, joint):
            continue
        parent = PARENTS.get(joint)
        while parent is not None and not _is_there(driver, parent):
            parent = PARENTS.get(parent)
        result[:, joint] = driver[:, joint]
        if parent is None:
            result[:, joint, :2] = driver[:, joint, :2] * bigger[:, None]
        else:
            bone = (driver[:, joint] - driver[:, parent])[:, :2] * bigger[:, None] * ratio[joint]
            result[:, joint, :2] = result[:, parent, :2] + bone
    for part, anchor in DETAILS:
        seen = (driver[:, part, 2] > SURE)[..., None] & _is_there(driver, anchor)
        offset = driver[:, part, :2] - driver[:, anchor, None, :2]
        moved = result[:, anchor, None, :2] + offset * bigger[:, None, None]
        result[:, part] = np.where(seen, np.concatenate([moved, driver[:, part, 2:]], axis=-1), 0)
    shift = np.stack([x, ground], axis=1) - np.stack([result[:, HIP, 0], place(result).ground], axis=1)
    result[..., :2] += shift[:, None] * (result[..., 2:] > 0)
    for k in range(result.shape[1]):
        if not _is_there(own, k):
            result[:, k] = 0
    return result


def mapped(there: Place, here: Place) -> Place:
    """Where the driver's places are in the other's pictures."""
    scale = np.median(here.height) / np.median(there.height)
    if walks(there) and walks(here):
        far, near = np.quantile(there.ground, (0.05, 0.95))
        own_far, own_near = np.quantile(here.ground, (0.05, 0.95))
        ground = own_far + (there.ground - far) / (near - far) * (own_near - own_far)
        height = _by_ground(here, ground)
    else:
        ground = np.median(here.ground) + (there.ground - np.median(there.ground)) * scale
        height = np.full_like(ground, np.median(here.height))
    return Place(height, ground, np.median(here.x) + (there.x - np.median(there.x)) * scale)


def walks(of: Place) -> bool:
    """Whether somebody walks towards the camera or away from it."""
    far, near = np.quantile(of.ground, (0.05, 0.95))
    return bool(near - far > WALKS * np.median(of.height))


def size_range(of: Place) -> float:
    """How many times taller somebody is in the picture at the nearest than at the farthest; 1 for who does not walk."""
    far, near = np.quantile(of.height, (0.05, 0.95))
    return float(near / far) if walks(of) else 1.0


def proportions(points: np.ndarray, of: Place) -> np.ndarray:
    """How long the bone to each joint of the body is, [25], as a share of the height; NaN where it is not known.

    Left and right are alike.
    """
    lengths = np.full(25, np.nan)
    for joint, parent in PARENTS.items():
        if _is_there(points, joint) and _is_there(points, parent):
            bone = np.linalg.norm(points[:, joint, :2] - points[:, parent, :2], axis=1) / of.height
            lengths[joint] = max(np.quantile(bone, LONGEST), 1e-3)
    for one, other in _TWINS.items():
        both = lengths[[one, other]]
        if not np.isnan(both).all():
            lengths[[one, other]] = np.nanmean(both)
    return lengths


def _by_ground(of: Place, ground: np.ndarray) -> np.ndarray:
    """How tall somebody is where his feet are at `ground`: on a plane, sizes grow evenly down the picture."""
    slope, level = np.polyfit(of.ground, of.height, 1)
    return np.clip(slope * ground + level, *np.quantile(of.height, (0.02, 0.98)))


def _is_there(points: np.ndarray, k: int) -> bool:
    return bool((points[:, k, 2] > SURE).mean() > OFTEN)
