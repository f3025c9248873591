"""How people look: the colours of head, trunk and thighs, by which somebody is known again after being out of sight.

A skeleton is float64 [17, 3]: x, y in pixels of the picture and a score of at least 0.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from vision.people.coco import EARS, HIPS, KNEES, NOSE, SHOULDERS

PARTS = 3
BINS = 8
"""Of each of the three channels of CIE L*a*b*."""
_AB_RANGE = (88, 168)
"""Of the 8-bit a* and b* that clothes have; what lies beyond falls into the last bin."""
_SIDE = 9
"""Points along each side of a part that is looked at."""
_LEAST_SCORE = 0.3


def looks_of(picture: np.ndarray, skeletons: Sequence[np.ndarray]) -> np.ndarray:
    """What everybody in a picture looks like.

    Where a skeleton lies behind one whose feet are lower, the colours are the other's, and do not count.

    Args:
        picture: uint8 RGB [H, W, 3].
        skeletons: [17, 3] each.

    Returns:
        float32 [N, PARTS, 3 * BINS + 1]: histograms of L*, a*, b*, each with a sum of 1, and how much the part was
        seen, in [0, 1].
    """
    height, width = picture.shape[:2]
    lab = cv2.cvtColor(cv2.blur(picture, (3, 3)), cv2.COLOR_RGB2LAB)
    looks = np.zeros((len(skeletons), PARTS, 3 * BINS + 1), np.float32)
    trunks = [_trunk(skeleton) for skeleton in skeletons]
    feet = [skeleton[skeleton[:, 2] > 0, 1].max(initial=0) for skeleton in skeletons]
    for number, skeleton in enumerate(skeletons):
        for part, (points, score) in enumerate(_parts(skeleton)):
            columns, rows = np.rint(points).astype(int).T
            seen = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
            for other, trunk in enumerate(trunks):
                if other != number and feet[other] > feet[number]:
                    seen &= ~_inside(points, trunk)
            if score >= _LEAST_SCORE and seen.mean() >= 1 / 4:
                looks[number, part, :-1] = _histograms(lab[rows[seen], columns[seen]])
                looks[number, part, -1] = score * seen.mean()
    return looks


def mean_look(looks: np.ndarray) -> np.ndarray:
    """The look of somebody who was seen several times: from [N, PARTS, 3 * BINS + 1] to [PARTS, 3 * BINS + 1]."""
    weight = looks[..., -1:]
    total = weight.sum(axis=0)
    return np.concatenate([(looks[..., :-1] * weight).sum(axis=0) / np.maximum(total, 1e-6),
                           total / max(len(looks), 1)], axis=-1)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How differently people are coloured: Hellinger's distance of histograms, averaged over the parts seen of both.

    Args:
        first: [..., PARTS, 3 * BINS + 1].
        second: the same, or what broadcasts with it.

    Returns:
        [...] in [0, 1]; NaN where no part is seen of both.
    """
    overlap = np.sqrt(first[..., :-1] * second[..., :-1]).sum(axis=-1) / 3
    weight = np.minimum(first[..., -1], second[..., -1])
    with np.errstate(invalid="ignore"):
        return (np.sqrt(np.clip(1 - overlap, 0, 1)) * weight).sum(axis=-1) / np.where(
            weight.sum(axis=-1) > 0.05, weight.sum(axis=-1), np.nan)


def _parts(skeleton: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Head, trunk and thighs: points [N, 2] on each, and the least score of the joints that it hangs on."""
    points, scores = skeleton[:, :2], skeleton[:, 2]
    across = np.linspace(0, 1, _SIDE)
    left, right = points[SHOULDERS], points[HIPS]
    neck, length = left.mean(axis=0), np.linalg.norm(left.mean(axis=0) - right.mean(axis=0))
    middle = points[[NOSE, *EARS]].mean(axis=0)
    head = middle + 0.14 * length * np.stack(np.meshgrid(2 * across - 1, 2 * across - 1), axis=-1).reshape(-1, 2)
    crown = middle + (middle - neck) * 0.25 - middle
    thighs = [points[hip] + (points[knee] - points[hip]) * share + (offset * length, 0)
              for hip, knee in zip(HIPS, KNEES) for share in np.linspace(0.1, 0.75, _SIDE)
              for offset in (-0.05, 0, 0.05)]
    return [(head + crown, scores[[NOSE, *EARS]].max()), (_grid(_trunk(skeleton)), scores[SHOULDERS + HIPS].min()),
            (np.array(thighs), min(scores[HIPS].min(), scores[KNEES].max()))]


def _trunk(skeleton: np.ndarray) -> np.ndarray:
    """The trunk's corners [4, 2], left and right shoulder, right and left hip; at least as wide as it is from the side.
    """
    corners = skeleton[[*SHOULDERS, *reversed(HIPS)], :2]
    across = corners[0] + corners[3] - corners[1] - corners[2]
    down = corners[2] + corners[3] - corners[0] - corners[1]
    least = 0.2 * np.linalg.norm(down)
    if np.linalg.norm(across) < 2 * least:
        across_unit = np.array([-down[1], down[0]]) / max(np.linalg.norm(down), 1e-6)
        across_unit *= np.sign(across_unit @ across) or 1
        middles = np.array([(corners[0] + corners[1]) / 2, (corners[2] + corners[3]) / 2])
        corners = np.array([middles[0] + across_unit * least, middles[0] - across_unit * least,
                            middles[1] - across_unit * least, middles[1] + across_unit * least])
    return corners


def _grid(corners: np.ndarray) -> np.ndarray:
    """Points [N, 2] inside of a quadrilateral [4, 2], away from its edges."""
    x, y = (grid.reshape(-1, 1) for grid in np.meshgrid(np.linspace(0.15, 0.85, _SIDE), np.linspace(0.1, 0.9, _SIDE)))
    return ((1 - x) * (1 - y) * corners[0] + x * (1 - y) * corners[1] + x * y * corners[2] + (1 - x) * y * corners[3])


def _inside(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which of the points [N, 2] lie in a convex quadrilateral [4, 2]."""
    edges = np.roll(corners, -1, axis=0) - corners
    relative = points[:, None] - corners
    sides = edges[:, 0] * relative[..., 1] - edges[:, 1] * relative[..., 0]
    return (sides >= 0).all(axis=1) | (sides <= 0).all(axis=1)


def _histograms(colours: np.ndarray) -> np.ndarray:
    """Histograms of L*, a*, b* of uint8 colours [N, 3], one after the other, with soft edges of the bins."""
    low, high = np.array([0, _AB_RANGE[0], _AB_RANGE[0]]), np.array([256, _AB_RANGE[1], _AB_RANGE[1]])
    places = np.clip((colours - low) / (high - low), 0, 1) * (BINS - 1)
    found = np.maximum(0, 1 - np.abs(places[..., None] - np.arange(BINS))).mean(axis=0)
    return found.reshape(-1)
