"""What a mask that is roughly right says of each pixel, and how far its edges are from where they should be.

Masks of one clip are mostly wrong in the same way: too small, too large, beside the person. That way is learned from
mattes that were found with them, and then they say more. Masks are uint8 [L, H, W] of L people in each frame, 255 for
certain. Nothing here knows frames, files or options.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

HALF, SURE = 127, 0.9
"""Level of a mask from which on a pixel is rather the person's, and share of 255 from which on it surely is."""
PRIOR, ABSENT = 0.7, -1.5
"""How much it counts what masks say, and what they say of who has none in a frame."""
FLATTEST, STEEPEST = 0.02, 0.98
SUREST = 0.95
"""The largest share of what lies at an edge that is believed to be on one side of it."""
FARTHEST = 10 / 256
"""Of the frames' height: from which distance on all are alike that lie inside, and all that lie outside."""
DIRECTIONS = 8
APART = 4 / 256
"""Of the frames' height: how far another person must be for an edge to tell of the mask."""
SUPPOSED = 30
"""Pixels of each distance and direction that are supposed to have been seen beforehand."""


class Edges(NamedTuple):
    """Which share of what lies at the edges of masks is the person, in [1 - SUREST, SUREST].

    Attributes:
        beside: float64 [L, DIRECTIONS, 2 D] by the direction to the inside (0: to the left, then by way of up) and the
            distance from the edge in pixels: the first D outside, from far to near; then inside, from near to far.
        holes: float64 [L], of what masks enclose.
    """

    beside: np.ndarray
    holes: np.ndarray


def mask_logits(masks: np.ndarray, edge_error_px: float) -> np.ndarray:
    """What the masks of a frame say of each pixel, as logits [L, H, W]; who has none in it may be anywhere."""
    blurred = np.stack([cv2.GaussianBlur(np.where(enclosed(mask > HALF), np.maximum(mask, HALF), mask), (0, 0),
                                         max(edge_error_px, 0.1)) for mask in masks])
    probability = (blurred / np.float32(255)).clip(FLATTEST, STEEPEST)
    logits = np.log(probability / (1 - probability))
    logits[masks.max(axis=(1, 2)) <= HALF] = ABSENT
    return logits * PRIOR


def learned_logits(masks: np.ndarray, edges: Edges, weight: float) -> np.ndarray:
    """The same, by what was learned of the masks' edges, which counts by a `weight`; no less than masks alone can say,
    as what somebody holds may be in none of them."""
    logits = np.full(masks.shape, PRIOR * ABSENT, np.float32)
    for mine, mask, beside, holes in zip(logits, masks, *edges):
        if mask.max() > HALF:
            direction, distance, hole = place_at_edge(mask, beside.shape[1] // 2)
            share = np.where(hole, holes, beside[direction, distance])
            mine[:] = np.maximum(weight * np.log(share / (1 - share)), PRIOR * np.log(FLATTEST / STEEPEST))
    return logits


def learned_edges(masks: Iterable[np.ndarray], mattes: Sequence[np.ndarray], known: Iterable[np.ndarray]) -> Edges:
    """How the edges of masks lie to those of mattes that were found with them, where nobody else is near.

    Args:
        masks, mattes: uint8 [L, H, W] of each frame.
        known: bool [H, W] of each frame, where the scene behind is known: elsewhere mattes tell little but the masks.
    """
    people, height = mattes[0].shape[:2]
    reach, side = max(round(FARTHEST * height), 1), np.ones((2 * round(APART * height) + 1,) * 2, np.uint8)
    all_, his = np.zeros((2, people, DIRECTIONS, 2 * reach))
    enclosing = np.zeros((2, people))
    for given, found, scene in zip(masks, mattes, known):
        hard = found > HALF
        for number in np.flatnonzero(given.max(axis=(1, 2)) > HALF):
            direction, distance, hole = place_at_edge(given[number], reach)
            others = (hard.sum(axis=0) > hard[number]).astype(np.uint8)
            alone = ~hole & (cv2.dilate(others, side) == 0) & scene
            places = (direction * 2 * reach + distance)[alone]
            for counts, weights in ((all_, None), (his, hard[number][alone])):
                counts[number] += np.bincount(places, weights, counts[number].size).reshape(counts[number].shape)
            enclosing[:, number] += hole.sum(), (hole & hard[number]).sum()
    all_, his = ((np.roll(counts, 1, 1) + 2 * counts + np.roll(counts, -1, 1)) / 4 for counts in (all_, his))
    right = np.arange(2 * reach) >= reach
    shares = (his + SUPPOSED * right) / (all_ + SUPPOSED), (enclosing[1] + SUPPOSED / 2) / (enclosing[0] + SUPPOSED)
    return Edges(*(share.clip(1 - SUREST, SUREST) for share in shares))


def place_at_edge(mask: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where pixels lie to the edge of a mask, uint8 [H, W], whose holes count as inside.

    Args:
        reach: pixels, D.

    Returns:
        direction and distance, as `Edges` has them, and bool where there is a hole: each [H, W].
    """
    hole = enclosed(mask > HALF)
    inside = ((mask > HALF) | hole).astype(np.uint8)
    deep, away = (cv2.distanceTransform(one, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for one in (inside, 1 - inside))
    signed = np.where(inside > 0, deep - 0.5, 0.5 - away)
    smooth = cv2.GaussianBlur(signed, (0, 0), 1.5)
    angle = np.arctan2(cv2.Sobel(smooth, cv2.CV_32F, 0, 1), cv2.Sobel(smooth, cv2.CV_32F, 1, 0))
    direction = np.floor((angle / (2 * np.pi) + 0.5) * DIRECTIONS).astype(int) % DIRECTIONS
    return direction, np.floor(signed + reach).astype(int).clip(0, 2 * reach - 1), hole


def enclosed(mask: np.ndarray) -> np.ndarray:
    """Holes of a mask, bool [H, W]: of these it says nothing by itself."""
    outside = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return outside[1:-1, 1:-1] == 1
