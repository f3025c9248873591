"""Effects of people on the scene: shadows, reflections, light. Their alpha, where they can be, and whose they are.

An effect is a layer of one colour over the clean plate: black where the scene gets darker (a shadow), white where it
gets lighter (light, a reflection), with the least alpha that explains the frame. Series are float32 [F, h, w] over
frames, usually on a coarse grid. Nothing here knows files, options or networks.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from util.clips import evenly_spread
from vision.layers.patches import Patch

POSE_SIDE = 24  # pixels of a mask in its own box
POSE_UNIT = 6  # pixels of the box that count as much as one full pixel of the mask
ZONE_MODES, ASSIGNMENT_MODES = 10, 12
MOTION_WEIGHT = 2.0
DISTANCE_SCALE = 24.0  # pixels of geodesic distance at which it is e times less likely that an effect is a person's
REACH = 0.15  # of the picture's height: geodesic distance at which an effect begins to be nobody's
EM_ROUNDS = 10
DECIDED = 3.0  # power of shares: what is more likely somebody's is nearly all his
FARTHEST, HEIGHTS, STEP = 3.0, (-0.8, 1.3), 0.2  # of the shadow of something 1 high: x and y of its end, as first tried
LIGHT_FRAMES, MOST_LIKELY = 24, 6  # frames in which they are tried; how many are looked at more closely
PENUMBRA = 0.05  # of people's height: blur of the shadows that are expected
UNEXPECTED = 0.05  # what is expected where nobody's shadow should be
LIT_ALIKE = (0.3, 0.6)  # likeness of effects to shadows by one light from which on that tells anything; tells most
LIGHT_WEIGHT = 2.0
FAINTEST_LINK = 0.02  # alpha of a cell through which an effect is followed
LEAST_TOUCH = 0.3  # share of an effect, over time, that touches somebody
GAP = 7  # cells: a gap in the zone of effects that is closed, where a shadow hardly ever goes away
JUMP = 9  # frames that somebody may be in the air
NEAR = np.ones((3, 3), np.uint8)


def shadow_and_light_alpha(image: np.ndarray, plate: np.ndarray, visible: np.ndarray,
                  window: float) -> tuple[np.ndarray, np.ndarray]:
    """Alpha of the black layer (shadow), and of the white one (light), that explains a picture best.

    Least squares over a Gaussian window of visible pixels: image = (1 - alpha) plate, or the same of the negatives.

    Args:
        image, plate: [H, W, 3] in [0, 1].
        visible: [H, W], 0 or 1.
        window: standard deviation in pixels.

    Returns:
        shadow and light, [H, W] in [0, 1]; 0 where the picture is lighter, or darker.
    """
    def black_alpha(picture: np.ndarray, behind: np.ndarray) -> np.ndarray:
        ones = np.ones((1, 3), np.float32)
        seen = cv2.GaussianBlur(cv2.transform(picture * behind, ones) * visible, (0, 0), window)
        whole = cv2.GaussianBlur(cv2.transform(behind * behind, ones) * visible, (0, 0), window)
        return (1 - seen / np.maximum(whole, 1e-4)).clip(0, 1)

    return black_alpha(image, plate), black_alpha(1 - image, 1 - plate)


def scaled_effects(patch: Patch, weight: np.ndarray, strength: float) -> Patch:
    """A layer whose alpha outside the person, that of shadows and reflections, is multiplied and at most 1.

    Args:
        patch: a layer.
        weight: `vision.people.person_mask.person_weight` of its frame, uint8 [H, W].
        strength: 0 takes effects away, 1 leaves them as they are.
    """
    person = weight[patch.window] * np.float32(1 / 255)
    factor = person + (1 - person) * np.float32(strength)
    if strength > 1:
        factor = np.minimum(factor, 1 / np.maximum(patch.planes[3], 1e-6))
    return Patch(patch.x, patch.y, patch.planes * factor)


# ---- where shadows and reflections are: what depends on somebody's pose ---------------------------------------------

def pose_vectors(masks: np.ndarray) -> np.ndarray:
    """What a person's mask looks like in its box, then the box: height, width, centre x and foot y.

    Args:
        masks: uint8 [F, H, W].

    Returns:
        float32 [F, 24 * 24 + 4]; zeros where nobody is seen.
    """
    vectors = np.zeros((len(masks), POSE_SIDE ** 2 + 4), np.float32)
    for vector, mask in zip(vectors, masks):
        x, y, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
        if width and height:
            crop = cv2.resize(mask[y:y + height, x:x + width], (POSE_SIDE, POSE_SIDE), interpolation=cv2.INTER_AREA)
            vector[:-4] = crop.ravel() / np.float32(255)
            vector[-4:] = np.array([height, width, x + width / 2, y + height]) / POSE_UNIT
    return vectors


def pose_modes(vectors: np.ndarray, count: int) -> np.ndarray:
    """The main ways in which something that depends smoothly on the pose can change over time.

    Kernel principal components: a Gaussian kernel whose squared width is half the median squared distance.

    Returns:
        [F, count], orthonormal columns of mean 0.
    """
    squares = (vectors ** 2).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0)
    scale = np.median(distance[distance > 1e-6]) / 2 if (distance > 1e-6).any() else 1.0
    kernel = np.exp(-distance / scale)
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean()
    return np.linalg.eigh(centred.astype(np.float64))[1][:, ::-1][:, :count].astype(np.float32)


def explained_variance(series: np.ndarray, modes: np.ndarray, blur: float = 1.5) -> np.ndarray:
    """The share [h, w] in [0, 1] of a series' variance that lies in `modes`, over a Gaussian window of cells."""
    flat = series.reshape(len(series), -1)
    inside = ((modes.T @ flat) ** 2).sum(axis=0).reshape(series.shape[1:])
    whole = (flat ** 2).sum(axis=0).reshape(series.shape[1:])
    return cv2.GaussianBlur(inside, (0, 0), blur) / (cv2.GaussianBlur(whole, (0, 0), blur) + 1e-9)


def pose_dependence(series: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """How far a series depends on a person's pose, from 0 (not more than by chance) to 1.

    Chance is what the same modes explain of the series at other times: shifted circularly, it keeps its own rhythm and
    loses the person's. So leaves in the wind, which explain much of everything, count for little.
    """
    length = len(series)
    shifts = range(length // 6, length - length // 6 + 1, max(length // 12, 1))
    chance = np.mean([explained_variance(np.roll(series, shift, axis=0), modes) for shift in shifts], axis=0)
    return (explained_variance(series, modes) - chance) / np.maximum(1 - chance, 1e-3)


def effect_zone(series: np.ndarray, modes: list[np.ndarray]) -> np.ndarray:
    """Where somebody may have an effect: where the scene depends on somebody's pose.

    Args:
        series: how the brightness of each cell deviates from its mean; 0 where it is covered.
        modes: of every person.

    Returns:
        float32 [h, w] in [0, 1].
    """
    deviation = np.sqrt(cv2.GaussianBlur((series ** 2).mean(axis=0), (0, 0), 1.5))
    depends = np.max([pose_dependence(series, own) for own in modes], axis=0)
    zone = ((depends - 0.15) / 0.1).clip(0, 1) * ((deviation - 0.004) / 0.004).clip(0, 1)
    labels, count = ndimage.label(zone > 0.2, NEAR)
    if count:
        numbers = np.arange(1, count + 1)
        peak = ndimage.maximum(depends * (deviation > 0.006), labels, numbers)
        size = ndimage.sum(zone > 0.2, labels, numbers)
        zone *= np.isin(labels, numbers[(peak > 0.3) & (size >= 6)])
    zone = cv2.dilate(zone.astype(np.float32), NEAR)
    return cv2.morphologyEx(zone, cv2.MORPH_CLOSE, np.ones((GAP, GAP), np.uint8))


def touches_a_person(alpha: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Where effects are connected with a person: bool [F, h, w].

    What somebody casts begins at the feet: followed through the picture and from frame to frame (somebody may jump), it
    touches a person in a good part of the frames in which it is there. What does not is the scene's own.

    Args:
        alpha: [F, h, w] of all effects.
        covered: [F, h, w], share of a cell that people cover.
    """
    around = np.ones((1, 5, 5), np.uint8)
    near = ndimage.grey_dilation(covered, footprint=around) > 0.05
    linked = np.ones((3, 3, 3), np.uint8)
    linked[::2] = 0
    linked[:, 1, 1] = 1  # from frame to frame only on the spot
    spots, count = ndimage.label(alpha > FAINTEST_LINK, NEAR[None] * np.array([0, 1, 0])[:, None, None])
    things, number = ndimage.label(alpha > FAINTEST_LINK, linked)
    if not count:
        return np.zeros(alpha.shape, bool)
    size = ndimage.sum(alpha, spots, np.arange(1, count + 1))
    touches = ndimage.maximum(near, spots, np.arange(1, count + 1)) > 0
    thing = ndimage.maximum(things, spots, np.arange(1, count + 1)).astype(int)
    share = np.bincount(thing, size * touches, number + 1) / np.maximum(np.bincount(thing, size, number + 1), 1e-9)
    return one_cell_wider((share > LEAST_TOUCH)[things] & (things > 0))


def one_cell_wider(where: np.ndarray) -> np.ndarray:
    """bool [F, h, w], each frame a cell wider."""
    return np.stack([cv2.dilate(one.astype(np.uint8), NEAR) for one in where]) > 0


# ---- whose they are -------------------------------------------------------------------------------------------------

def effect_assignment(alpha: np.ndarray, masks: np.ndarray, modes: list[np.ndarray], cell: int) -> np.ndarray:
    """Whose shadow or reflection it is, as a share of each person.

    It is told by the way to each person through the effect, by whose pose it depends on, by where one light for all
    casts each person's shadow, and by each person's effect footprint: a shadow keeps its place with the person who
    casts it. Footprints and assignment are found together, by expectation maximization of a mixture.

    Args:
        alpha: [F, h, w] of all effects.
        masks: [L, F, h, w] of the people, in [0, 1].
        modes: of every person, from pose vectors without place.
        cell: pixels per cell.

    Returns:
        [L, F, h, w], over people together 1 or, far from all of them, less.
    """
    series = alpha - alpha.mean(axis=0)
    depends = np.stack([explained_variance(series, own) for own in modes])
    way = np.stack([[geodesic_distance(effect, mask) for effect, mask in zip(alpha, person)] for person in masks])
    score = MOTION_WEIGHT * depends[:, None] - cell / DISTANCE_SCALE * way
    places = np.stack([ground_contact(person) for person in masks])
    belief = np.exp(score - score.max(axis=0)) * expected_of_light(alpha, masks, places[..., 1])
    share = belief / belief.sum(axis=0)
    for _ in range(EM_ROUNDS):
        footprints = [effect_footprint(alpha * part, place) for part, place in zip(share, places)]
        common = sum(footprints) / len(footprints)
        expected = [footprint_at(np.sqrt(own * common), place, alpha.shape[1:])
                    for own, place in zip(footprints, places)]
        share = belief * (np.stack(expected) + 1e-4)
        share /= share.sum(axis=0)
    share = share ** DECIDED
    share /= share.sum(axis=0)
    return share * (2 - way.min(axis=0) / (REACH * alpha.shape[1])).clip(0, 1)


def expected_of_light(alpha: np.ndarray, masks: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """How far each effect is where the light that explains all of them best casts each person's shadow.

    Two people who walk side by side keep each other's shadow in the same place beside them; only its shape tells them
    apart then.

    Args:
        alpha: [F, h, w] of all effects.
        masks: [L, F, h, w] of the people, in [0, 1].
        ground: [L, F], y of the ground that each person stands on.

    Returns:
        [L, F, h, w]; 1 for everybody where no light explains them.
    """
    if len(masks) < 2:
        return np.ones_like(masks)
    heights = [(mask.max(axis=1) > 0.3).sum() for person in masks for mask in person if (mask > 0.3).any()]
    if not heights or not alpha.any():
        return np.ones_like(masks)
    blur = max(PENUMBRA * float(np.median(heights)), 0.7)
    used = evenly_spread(len(alpha), LIGHT_FRAMES)
    light, likeness = best_light(alpha[used], Casters.of(masks[:, used], ground[:, used]),
                                 masks[:, used].max(axis=0) < 0.05, blur)
    trust = np.clip((likeness - LIT_ALIKE[0]) / (LIT_ALIKE[1] - LIT_ALIKE[0]), 0, 1)
    each = [Casters.of(masks[[person]], ground[[person]]) for person in range(len(masks))]
    return np.stack([(cast_shadows(person, alpha.shape, light, blur) + UNEXPECTED) ** (LIGHT_WEIGHT * trust)
                     for person in each])


def best_light(alpha: np.ndarray, casters: "Casters", visible: np.ndarray,
               blur: float) -> tuple[tuple[float, float], float]:
    """The light whose shadows of people are most like the effects that are there.

    Args:
        alpha: [F, h, w] of all effects.
        casters: the people in these frames.
        visible: bool [F, h, w], where they cover nothing.
        blur: of the shadows, in cells.

    Returns:
        (x, y) of the shadow of something 1 high from its foot, as `cast_shadows` wants it; and the likeness, from 0 to
        1, the cosine of the angle between both series.
    """
    shown = alpha * visible
    norm = np.square(shown).sum()

    def likeness(light: tuple[float, float]) -> float:
        expected = cast_shadows(casters, alpha.shape, light, blur) * visible
        return float((expected * shown).sum() / np.sqrt(max(np.square(expected).sum() * norm, 1e-9)))

    tried = {light: likeness(light) for light in product(np.arange(-FARTHEST, FARTHEST + 0.01, STEP),
                                                         np.arange(*HEIGHTS, STEP))}
    for finer in (STEP / 2, STEP / 4):  # a long thin shadow may lie between those tried, so more than the best count
        likely = sorted(tried, key=tried.__getitem__)[-MOST_LIKELY:]
        around = {(x + dx, y + dy) for x, y in likely for dx, dy in product((-finer, 0, finer), repeat=2)} - set(tried)
        tried |= {light: likeness(light) for light in around}
    best = max(tried, key=tried.__getitem__)
    return best, tried[best]


class Casters(NamedTuple):
    """The cells that people cover, each as something that casts a shadow.

    Attributes:
        frame: where it is seen.
        x: its place.
        ground: y of the ground below it.
        above: cells that it is above the ground.
        weight: share of the cell that is covered.
    """

    frame: np.ndarray
    x: np.ndarray
    ground: np.ndarray
    above: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, masks: np.ndarray, ground: np.ndarray) -> "Casters":
        """Of people with masks [L, F, h, w] who stand on the ground at y [L, F]."""
        person, frame, y, x = np.nonzero(masks > 0.3)
        below = ground[person, frame]
        return cls(frame, x, below, np.maximum(below - y, 0), masks[person, frame, y, x])


def cast_shadows(casters: Casters, shape: tuple[int, ...], light: Sequence[float], blur: float) -> np.ndarray:
    """Where a light casts the shadows of people who stand on a plane: [F, h, w], which is `shape`, in [0, 1].

    What is z above the ground has its shadow z times `light` beside the foot; (0, 1) makes mirror images in the ground.

    Args:
        light: x and y.
        blur: standard deviation in cells.
    """
    count, height, width = shape
    x, y = (np.rint(start + share * casters.above).astype(int)
            for start, share in zip((casters.x, casters.ground), light))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    cells = ((casters.frame * height + y) * width + x)[inside]
    shadows = np.bincount(cells, casters.weight[inside], count * height * width).reshape(shape).astype(np.float32)
    return np.stack([cv2.GaussianBlur(np.minimum(one, 1), (0, 0), blur) for one in shadows])


def ground_contact(masks: np.ndarray) -> np.ndarray:
    """Where a person stands in each frame, [F, 2]: x of the centre; y of the ground, from which people may jump.

    Where nobody is seen it is between the places before and after.
    """
    places = np.full((len(masks), 2), np.nan)
    for place, mask in zip(places, masks):
        if (mask > 0.3).any():
            place[:] = np.average(np.arange(mask.shape[1]), weights=mask.sum(axis=0)), np.where(mask > 0.3)[0].max()
    seen = np.flatnonzero(~np.isnan(places[:, 0]))
    if not len(seen):
        return np.zeros_like(places)
    x, y = (np.interp(np.arange(len(places)), seen, places[seen, axis]) for axis in (0, 1))
    return np.stack([x, ndimage.uniform_filter1d(ndimage.maximum_filter1d(y, JUMP), JUMP)], axis=1)


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
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for _ in range(alpha.shape[0] + alpha.shape[1]):
        nearer = np.minimum(cv2.erode(distance, cross) + cost, cv2.erode(distance, NEAR) + np.float32(1.414) * cost)
        if (nearer >= distance - 1e-3).all():
            break
        np.minimum(distance, nearer, out=distance)
    return distance
