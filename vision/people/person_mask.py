"""Masks of people: their box, what belongs to a person around one, and whose mask it is.

A mask is bool [H, W]. Nothing here knows of files.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import scipy

from vision.people.coco import BONES, EARS, EYES, HIPS, NOSE, SHOULDERS
from vision.people.sightings import likeness

PERSON_MARGIN = 1 / 50
"""Of the picture's height: how far hair and clothes reach beyond a body's UV map or mask."""
_HEAD = 0.06
_NEARER, _REACH, _FADES = 0.02, 0.2, 0.08
"""Of a person's height: by how much nearer limbs must be to have the larger share; how far what somebody wears or holds
is from his limbs, and over which distance what is farther is less likely his, where there are others."""

_UPON, _APART, _ONE_UPON_OTHER = 0.1, 0.4, 0.6
"""Reach and likenesses (`likeness`): up to which skeletons tell people apart, and from which on they do not."""


def bounding_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The box around a mask.

    Args:
        mask: bool [H, W], not empty.

    Returns:
        x of the first column, y of the first row, x after the last column, y after the last row.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def person_weight(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How much of each pixel belongs to the person, and not to a shadow or reflection.

    Args:
        mask: bool [h, w], of any size: the person's mask, or where the UV map has a body.
        size: (width, height) of the result.

    Returns:
        uint8 [H, W]: 255 within `PERSON_MARGIN` of the mask, 0 from twice that on, soft between.
    """
    margin = max(round(size[1] * PERSON_MARGIN), 1)
    near = cv2.resize(255 * mask.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR) > 127
    side = 3 * margin | 1  # a square: many times as fast as a disc
    return cv2.blur(cv2.dilate(255 * near.astype(np.uint8), np.ones((side, side), np.uint8)), (margin | 1, margin | 1))


def shared_by_limbs(masks: Sequence[np.ndarray], skeletons: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Masks of people found one by one, brought together: what is in several goes to whose limbs are nearest.

    Args:
        masks: probabilities [H, W], one for each skeleton.
        skeletons: COCO-17 [17, 3] in pixels of the masks.

    Returns:
        masks of which no two are certain anywhere; one alone is as it was.
    """
    if len(masks) < 2:
        return list(masks)
    whole = np.zeros((len(masks), *masks[0].shape), np.float32)
    x, y, width, height = cv2.boundingRect((np.maximum.reduce(masks) > 0).astype(np.uint8))
    window = slice(y, y + height), slice(x, x + width)  # around it all masks are 0, and stay so
    if not width:
        return list(whole)
    distances = np.stack([limb_distance(skeleton, masks[0].shape)[window] for skeleton in skeletons])
    found = np.stack([mask[window] for mask in masks]).astype(np.float32)
    weight = (found + 1e-4) * np.exp(-distances / _NEARER)
    share = weight / np.maximum(weight.sum(axis=0), 1e-12)
    far = np.exp(-np.maximum(distances - _REACH, 0) / _FADES)
    whole[(slice(None), *window)] = found.max(axis=0) * share * far
    return list(whole)


def common_where_alike(masks: Sequence[np.ndarray], skeletons: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Masks of people found one by one; of those whose skeletons lie upon one another each has what either has.

    Of somebody behind another an estimator often finds the other once more. What was found at such skeletons says that
    somebody is there, and not who.

    Args:
        masks: probabilities [H, W], one for each skeleton.
        skeletons: COCO-17 [17, 3] in pixels of the masks.
    """
    if len(masks) < 2:
        return list(masks)
    poses = np.stack(skeletons)
    common = ((likeness(poses, poses, _UPON) - _APART) / (_ONE_UPON_OTHER - _APART)).clip(0, 1)
    return [np.maximum.reduce([mask, *(np.float32(share) * other + np.float32(1 - share) * mask
                                       for share, other in zip(shares, masks) if share)])
            for mask, shares in zip(masks, common)]


def limb_distance(skeleton: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How far each pixel is from a person's bones, trunk and head, as a share of his height: float32 [H, W].

    Args:
        skeleton: COCO-17 [17, 3] in pixels; joints of score 0 are not known.
        shape: (H, W).
    """
    seen = skeleton[:, 2] > 0
    if not seen.any():
        return np.ones(shape, np.float32)
    points = np.rint(skeleton[:, :2]).clip(-32000, 32000).astype(np.int32)
    height = max(float(np.ptp(skeleton[seen, :2], axis=0).max()), 8.0)
    away = np.full(shape, 255, np.uint8)
    trunk = [SHOULDERS[0], SHOULDERS[1], HIPS[1], HIPS[0]]
    if seen[trunk].all():
        cv2.fillPoly(away, [points[trunk]], 0)
    for first, second in BONES:
        if seen[first] and seen[second]:
            cv2.line(away, points[first].tolist(), points[second].tolist(), 0, 1)
    face = [joint for joint in (NOSE, *EYES, *EARS) if seen[joint]]
    if face:
        head = points[face].mean(axis=0).round().astype(int).tolist()
        cv2.circle(away, head, max(1, round(_HEAD * height)), 0, -1)
        if seen[SHOULDERS].all():
            cv2.line(away, head, points[SHOULDERS].mean(axis=0).round().astype(int).tolist(), 0, 1)
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_5) / np.float32(height)


def assign_to_masks(poses: Sequence[np.ndarray], masks: Sequence[np.ndarray], least_share: float = 0.4) -> list[int]:
    """Match the people of a frame to masks, so that as many joints as can be lie in their masks.

    Args:
        poses: skeletons [17, 3] in pixels of the masks.
        masks: bool [H, W].
        least_share: of a person's joints that must lie in the mask.

    Returns:
        for each pose the index of its mask, -1 for none.
    """
    chosen = [-1] * len(poses)
    if len(poses) and len(masks):
        shares = np.array([[joints_inside(pose, mask) for mask in masks] for pose in poses])
        for row, column in zip(*scipy.optimize.linear_sum_assignment(shares, maximize=True)):
            if shares[row, column] >= least_share:
                chosen[row] = int(column)
    return chosen


def joints_inside(pose: np.ndarray, mask: np.ndarray) -> float:
    """Share of a skeleton's seen joints that lie in a mask, in [0, 1]; 0 if no joint is seen.

    Args:
        pose: [17, 3] in pixels of the mask.
        mask: bool [H, W].
    """
    height, width = mask.shape
    x, y = np.rint(pose[pose[:, 2] > 0, :2]).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return float(np.mean(inside & mask[y.clip(0, height - 1), x.clip(0, width - 1)])) if len(x) else 0.0
