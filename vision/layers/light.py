"""The light that casts people's shadows: where it comes from, and where shadows are to be expected.

What is z above the ground has its shadow z times the same vector beside the foot, for all people and at all times: two
numbers say where everybody's shadow is. Masks stand for people; a mirror image in the ground is the shadow (0, 1).
Series are float32 [F, h, w] over frames. Nothing here knows files, options or networks.
"""

from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.geometry.flow import widely_blurred

FARTHEST, HEIGHTS, STEP = 3.0, (-0.8, 1.3), 0.2  # of the shadow of something 1 high: x and y of its end, as first tried
LIGHT_FRAMES, MOST_LIKELY = 24, 12  # frames in which they are tried; how many are looked at more closely
PENUMBRA = 0.05  # of people's height: blur of the shadows that are expected
LEAST_BLUR = 0.7  # cells or pixels: of shadows that are drawn on a grid
UNEXPECTED = 0.05  # what is expected where nobody's shadow should be
LIT_ALIKE = (0.3, 0.6)  # likeness of what changes to shadows by one light from which on that tells anything; tells most
LIGHT_WEIGHT = 2.0
JUMP = 9  # frames that somebody may be in the air


class Light(NamedTuple):
    """The one light that explains the effects of all people best, as far as any does.

    Two people who walk side by side keep each other's shadow in the same place beside them; only its shape tells them
    apart then.

    Attributes:
        shadow: (x, y) of the shadow of something 1 high, from its foot; (0, 1) makes mirror images in the ground.
        blur: standard deviation of the blur of shadows, in heights of the picture.
        trust: how sure it is, from 0 (it tells nothing) to 1.
    """

    shadow: tuple[float, float]
    blur: float
    trust: float

    @classmethod
    def of_arrays(cls, shadow: np.ndarray, blur: np.ndarray, trust: np.ndarray) -> "Light":
        """A light from its attributes as arrays."""
        x, y = np.asarray(shadow).tolist()
        return cls((x, y), float(blur), float(trust))

    def cast(self, masks: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """The shadows that it casts of people: [N, h, w] in [0, 1]; 0 where it is not trusted at all.

        Args:
            masks: [N, h, w] in [0, 1], on a grid of any size.
            ground: [N], y of the ground that each stands on.
        """
        if not self.trust:
            return np.zeros(masks.shape, np.float32)
        return cast_shadows(Casters.of(masks, ground), self.shadow, blur_of(self.blur, masks.shape[1]))

    def likelihood(self, cast: np.ndarray) -> np.ndarray:
        """How likely an effect is where a person's shadow is cast: an array like `cast`."""
        return (cast + UNEXPECTED) ** (LIGHT_WEIGHT * self.trust)


def find_light(darkness: np.ndarray, visible: np.ndarray, masks: np.ndarray, ground: np.ndarray) -> Light:
    """The light that casts people's shadows.

    Args:
        darkness: [F, h, w], how dark the scene is; only its change over time counts.
        visible: [F, h, w] in [0, 1], where it can be seen.
        masks: [L, F, h, w] of the people, in [0, 1].
        ground: [L, F], y of the ground that each stands on.
    """
    heights = [(mask.max(axis=1) > 0.3).sum() for person in masks for mask in person if (mask > 0.3).any()]
    if not heights:
        return Light((0, 0), 0, 0)
    blur = PENUMBRA * float(np.median(heights)) / darkness.shape[1]
    used = evenly_spread(len(darkness), LIGHT_FRAMES)
    shadow, likeness = best_light(darkness[used], visible[used], Casters.together(masks[:, used], ground[:, used]),
                                  blur_of(blur, darkness.shape[1]))
    return Light(shadow, blur, float(np.clip((likeness - LIT_ALIKE[0]) / (LIT_ALIKE[1] - LIT_ALIKE[0]), 0, 1)))


def blur_of(blur: float, height: int) -> float:
    """A blur in heights of the picture, in cells or pixels of a grid that is `height` high."""
    return max(blur * height, LEAST_BLUR)


def best_light(darkness: np.ndarray, visible: np.ndarray, casters: "Casters",
               blur: float) -> tuple[tuple[float, float], float]:
    """The light whose shadows of people come and go most as the scene gets darker and brighter.

    Args:
        darkness, visible: [F, h, w] as for `find_light`.
        casters: the people in these frames.
        blur: of the shadows, in cells.

    Returns:
        (x, y) of the shadow of something 1 high from its foot, as `cast_shadows` wants it; and the likeness, from -1 to
        1, the cosine of the angle between both series; 0 where that only grows towards the end of what was tried, so
        that nothing is a shadow's place in particular.
    """
    count = np.maximum(visible.sum(axis=0), 1e-6)

    def deviation(series: np.ndarray) -> np.ndarray:
        return (series - (series * visible).sum(axis=0) / count) * visible

    changes = deviation(darkness)
    norm = np.square(changes).sum()

    def likeness(light: tuple[float, float]) -> float:
        expected = deviation(cast_shadows(casters, light, blur))
        return float((expected * changes).sum() / np.sqrt(max(np.square(expected).sum() * norm, 1e-9)))

    tried = {light: likeness(light) for light in product(np.arange(-FARTHEST, FARTHEST + 0.01, STEP),
                                                         np.arange(*HEIGHTS, STEP))}
    for finer in (STEP / 2, STEP / 4):  # a long thin shadow may lie between those tried, so more than the best count
        likely = sorted(tried, key=tried.__getitem__)[-MOST_LIKELY:]
        around = {(x + dx, y + dy) for x, y in likely for dx, dy in product((-finer, 0, finer), repeat=2)} - set(tried)
        tried |= {light: likeness(light) for light in around}
    best = max(tried, key=tried.__getitem__)
    inside = abs(best[0]) < FARTHEST - STEP / 8 and HEIGHTS[0] + STEP / 8 < best[1] < HEIGHTS[1]
    return best, tried[best] if inside else 0.0


class Casters(NamedTuple):
    """The cells that people cover, each as something that casts a shadow.

    Attributes:
        shape: (N, h, w) of the pictures that they are in.
        picture: which one.
        x: the place in it.
        ground: y of the ground below.
        above: cells above the ground.
        weight: share of the cell that is covered.
    """

    shape: tuple[int, ...]
    picture: np.ndarray
    x: np.ndarray
    ground: np.ndarray
    above: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, masks: np.ndarray, ground: np.ndarray) -> "Casters":
        """Of masks [N, h, w] of somebody who stands on the ground at y [N]."""
        picture, y, x = np.nonzero(masks > 0.3)
        below = ground[picture]
        return cls(masks.shape, picture, x, below, np.maximum(below - y, 0), masks[picture, y, x])

    @classmethod
    def together(cls, masks: np.ndarray, ground: np.ndarray) -> "Casters":
        """Of masks [L, F, h, w] of people who stand on the ground at y [L, F]: all people of a frame in one picture."""
        every = cls.of(masks.reshape(-1, *masks.shape[2:]), ground.ravel())
        return every._replace(picture=every.picture % masks.shape[1], shape=masks.shape[1:])


def cast_shadows(casters: Casters, light: tuple[float, float], blur: float) -> np.ndarray:
    """Where a light casts the shadows of people who stand on a plane: [N, h, w] in [0, 1].

    What is z above the ground has its shadow z times `light` beside the foot.

    Args:
        light: x and y.
        blur: standard deviation in cells.
    """
    count, height, width = casters.shape
    x, y = (np.rint(start + share * casters.above).astype(int)
            for start, share in zip((casters.x, casters.ground), light))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    cells = ((casters.picture * height + y) * width + x)[inside]
    shadows = np.bincount(cells, casters.weight[inside], count * height * width).reshape(casters.shape)
    return np.stack([widely_blurred(np.minimum(one, 1), blur) for one in shadows.astype(np.float32)])


def ground_contact(masks: np.ndarray) -> np.ndarray:
    """Where a person stands in each frame, [F, 2]: x of the centre; y of the ground, from which people may jump.

    Where nobody is seen it is between the places before and after.
    """
    return steady(np.array([lowest_place(mask) for mask in masks]))


def lowest_place(mask: np.ndarray) -> tuple[float, float]:
    """x of the centre and y of the lowest point of a mask [h, w] in [0, 1]; nan where nobody is seen."""
    if not (mask > 0.3).any():
        return np.nan, np.nan
    return float(np.average(np.arange(mask.shape[1]), weights=mask.sum(axis=0))), float(np.where(mask > 0.3)[0].max())


def place_of(mask: np.ndarray) -> tuple[float, float]:
    """`lowest_place` of a mask, uint8 [H, W], in which specks do not count."""
    return lowest_place(cv2.medianBlur(mask, 3) * np.float32(1 / 255))


def steady(places: np.ndarray) -> np.ndarray:
    """Where a person stands, by the `lowest_place` [F, 2] of each frame."""
    seen = np.flatnonzero(~np.isnan(places[:, 0]))
    if not len(seen):
        return np.zeros_like(places)
    x, y = (np.interp(np.arange(len(places)), seen, places[seen, axis]) for axis in (0, 1))
    around = np.ones((JUMP, 1), np.uint8)
    ground = cv2.blur(cv2.dilate(y[:, None], around), around.shape[::-1], borderType=cv2.BORDER_REFLECT)
    return np.stack([x, ground[:, 0]], axis=1)
