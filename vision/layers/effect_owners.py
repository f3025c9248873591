"""Whose shadows and reflections are whose.

Series are float32 [F, h, w] over frames, on a coarse grid of cells. Nothing here knows files, options or networks.
"""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from vision.layers.effects import NEAR, explained_variance, pose_modes
from vision.layers.light import Light, find_light, ground_contact

ASSIGNMENT_MODES = 12
ALL = slice(None)
MOTION_WEIGHT = 2.0
DISTANCE_SCALE = 24.0  # pixels of geodesic distance at which it is e times less likely that an effect is a person's
REACH = 0.15  # of the picture's height: geodesic distance at which an effect begins to be nobody's
EM_ROUNDS = 10
DECIDED = 3.0  # power of shares: what is more likely somebody's is nearly all his


class Owners(NamedTuple):
    """By what it is told whose shadow or reflection something is (see `find_owners`).

    Attributes:
        depends: [L, h, w], how far the effect at a place depends on each person's pose.
        footprints: [L, 2h, 2w], where the effects of each are, around where he stands.
        light: what casts their shadows.
        cell: pixels per cell.
    """

    depends: np.ndarray
    footprints: np.ndarray
    light: Light
    cell: int

    def shares(self, way: np.ndarray, places: np.ndarray, cast: np.ndarray) -> np.ndarray:
        """Whose effects are in a frame: [L, H, W], over people together 1 or, far from all of them, less.

        Args:
            way: [L, h, w], the `ways` through its effects.
            places: [L, 2], where the people stand.
            cast: [L, H, W], the shadows that the light casts of them, as fine as shares are wanted.
        """
        size, shape = cast.shape[:0:-1], way.shape[1:]
        expected = [footprint_at(footprint, place[None], shape)[0]
                    for footprint, place in zip(self.footprints, places)]
        near = (2 - way.min(axis=0) / (REACH * shape[0])).clip(0, 1).astype(np.float32)
        likely_by_cells = likely(beliefs(self.depends, way, self.cell), expected)
        fine = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in likely_by_cells])
        share = (fine * self.light.likelihood(cast)) ** DECIDED
        return share / share.sum(axis=0) * cv2.resize(near, size, interpolation=cv2.INTER_LINEAR)


def modes_of(poses: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The modes of each person's pose that his effects are known by, of his `pose_vectors` [F, N], without place."""
    return [pose_modes(vectors[:, :-2], min(ASSIGNMENT_MODES, len(vectors) // 3)) for vectors in poses]


def effect_assignment(alpha: np.ndarray, masks: np.ndarray, modes: list[np.ndarray], cell: int,
                      used: np.ndarray | slice = ALL) -> np.ndarray:
    """Whose shadow or reflection it is, as a share of each person: [L, F, h, w] as from `Owners.shares`; arguments as
    for `find_owners`. The light is found by the effects.

    Args:
        used: frames that it is found from, those that `modes` have.
    """
    places = np.stack([ground_contact(person) for person in masks])
    way = np.stack([ways(effect, masks[:, f]) for f, effect in enumerate(alpha)], axis=1)
    some = alpha[used], masks[:, used], places[:, used]
    light = find_light(some[0], (some[1].max(axis=0) < 0.05).astype(np.float32), some[1], some[2][..., 1])
    owners = find_owners(some[0], some[1], way[:, used], modes, some[2], light, cell)
    return np.stack([owners.shares(way[:, f], places[:, f], light.cast(masks[:, f], places[:, f, 1]))
                     for f in range(len(alpha))], axis=1)


def find_owners(alpha: np.ndarray, masks: np.ndarray, way: np.ndarray, modes: list[np.ndarray], places: np.ndarray,
                light: Light, cell: int) -> Owners:
    """Whose shadows and reflections are whose.

    It is told by the way to each person through the effect, by whose pose it depends on, by where one light for all
    casts each person's shadow, and by each person's effect footprint: a shadow keeps its place with the person who
    casts it. Footprints and assignment are found together, by expectation maximization of a mixture.

    Args:
        alpha: [F, h, w] of all effects.
        masks: [L, F, h, w] of the people, in [0, 1].
        way: [L, F, h, w], the `ways` in each frame.
        modes: of every person, from pose vectors without place.
        places: [L, F, 2], where they stand, by `ground_contact`.
        light: what casts their shadows.
        cell: pixels per cell.
    """
    series = alpha - alpha.mean(axis=0)
    depends = np.stack([explained_variance(series, own) for own in modes])
    belief = np.stack([beliefs(depends, way[:, f], cell)
                       * light.likelihood(light.cast(masks[:, f], places[:, f, 1])) for f in range(len(alpha))], axis=1)
    share = belief / belief.sum(axis=0)
    for round_ in range(EM_ROUNDS):
        own = [effect_footprint(alpha * part, place) for part, place in zip(share, places)]
        common = sum(own) / len(own)
        footprints = np.stack([np.sqrt(one * common) for one in own])
        if round_ < EM_ROUNDS - 1:
            share = likely(belief, [footprint_at(one, place, alpha.shape[1:])
                                    for one, place in zip(footprints, places)])
    return Owners(depends, footprints, light, cell)


def ways(alpha: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Cells [L, h, w] from each of the masks [L, h, w] of a frame on the cheapest way (`geodesic_distance`)."""
    return np.stack([geodesic_distance(alpha, mask) for mask in masks])


def beliefs(depends: np.ndarray, way: np.ndarray, cell: int) -> np.ndarray:
    """How likely it is that an effect is each person's, [L, h, w], without what is known of footprints; not normalized.
    """
    score = MOTION_WEIGHT * depends - cell / DISTANCE_SCALE * way
    return np.exp(score - score.max(axis=0))


def likely(belief: np.ndarray, expected: list[np.ndarray]) -> np.ndarray:
    """Shares of the people by what is believed of each, [L, ...], and by the footprints that are expected of him."""
    share = belief * (np.stack(expected) + 1e-4)
    return share / share.sum(axis=0)


def effect_footprint(alpha: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Mean alpha of a person's shadows and reflections around where he stands: [2h, 2w], his place in the middle.

    Args:
        alpha: [F, h, w] of his effects.
        places: [F, 2], where he stands.
    """
    count, height, width = alpha.shape
    total, inside = np.zeros((2, 2 * height, 2 * width), np.float32)
    for effect, (x, y) in zip(alpha, places):
        to_middle, size = np.array([[1, 0, width - x], [0, 1, height - y]]), (2 * width, 2 * height)
        total += cv2.warpAffine(effect.astype(np.float32), to_middle, size)
        inside += cv2.warpAffine(np.ones((height, width), np.float32), to_middle, size)
    return cv2.GaussianBlur(total, (0, 0), 1) / (cv2.GaussianBlur(inside, (0, 0), 1) + 0.05 * count)


def footprint_at(footprint: np.ndarray, places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An `effect_footprint` laid into frames of `shape` (h, w), with the person at `places` [F, 2]: [F, h, w]."""
    height, width = shape
    return np.stack([cv2.warpAffine(footprint, np.array([[1, 0, width - x], [0, 1, height - y]]), (width, height),
                                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) for x, y in places])


def geodesic_distance(alpha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Cells [h, w] from a mask to each cell on the cheapest way; travelling inside an effect costs next to nothing."""
    far = np.float32(sum(alpha.shape))
    cost = (0.03 + 1 / (1 + (alpha / 0.05) ** 2)).astype(np.float32)
    distance = np.where(mask > 0.3, np.float32(0), far)
    cross, diagonal = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.float32(1.414) * cost
    for _ in range(alpha.shape[0] + alpha.shape[1]):
        nearer = np.minimum(cv2.erode(distance, cross) + cost, cv2.erode(distance, NEAR) + diagonal)
        if (nearer >= distance - 1e-3).all():
            break
        np.minimum(distance, nearer, out=distance)
    return distance
