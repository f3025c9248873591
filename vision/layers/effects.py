"""Effects of people on the scene: shadows, reflections, light. Their alpha, where they can be, and whose they are.

An effect is a layer of one colour over the clean plate: black where the scene gets darker (a shadow), white where it
gets lighter (light, a reflection), with the least alpha that explains the frame. Series are float32 [F, h, w] over
frames, usually on a coarse grid. Nothing here knows files, options or networks.
"""

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


class Connected:
    """Which effects are connected with a person, found while the frames of a clip go by.

    What somebody casts begins at the feet: followed through the picture and from frame to frame (somebody may jump), it
    touches a person in a good part of the frames in which it is there. What does not is the scene's own. A spot of a
    frame is what hangs together in it; a thing is made of spots that lie on each other in frames that follow each
    other. Only two frames are in memory, and a number for each spot.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._thing_of: list[int] = []
        self._sizes: list[float] = []
        self._touches: list[bool] = []
        self._before: np.ndarray | None = None

    def add(self, alpha: np.ndarray, covered: np.ndarray) -> None:
        """Look at the next frame: [h, w] of all effects, and the share of a cell that people cover."""
        spots, count = _spots(alpha)
        near, numbers = ndimage.grey_dilation(covered, footprint=np.ones((5, 5), np.uint8)) > 0.05, range(1, count + 1)
        first = len(self._sizes)
        self._firsts.append(first)
        self._thing_of += range(first, first + count)
        self._sizes += ndimage.sum(alpha, spots, numbers).tolist() if count else []
        self._touches += (ndimage.maximum(near, spots, numbers) > 0).tolist() if count else []
        here = np.where(spots > 0, spots + (first - 1), -1)
        if self._before is not None:
            both = (here >= 0) & (self._before >= 0)
            for pair in np.unique(np.stack([here[both], self._before[both]], axis=1), axis=0).tolist():
                one, other = sorted(map(self._thing, pair))
                self._thing_of[other] = one
        self._before = here

    def close(self) -> None:
        """To be called after the last frame."""
        things = np.array([self._thing(spot) for spot in range(len(self._sizes))], int)
        size = np.array(self._sizes)
        share = np.bincount(things, size * self._touches) / np.maximum(np.bincount(things, size), 1e-9)
        self._stays = share[things] > LEAST_TOUCH

    def at(self, frame: int, alpha: np.ndarray) -> np.ndarray:
        """Where the effects of a frame are connected with a person, and a cell around: bool [h, w].

        Args:
            frame: its number.
            alpha: what `add` was given of it.
        """
        spots, count = _spots(alpha)
        first = self._firsts[frame]
        where = np.concatenate([[False], self._stays[first:first + count]])[spots]
        return cv2.dilate(where.astype(np.uint8), NEAR) > 0

    def _thing(self, spot: int) -> int:
        while self._thing_of[spot] != spot:
            self._thing_of[spot] = spot = self._thing_of[self._thing_of[spot]]
        return spot


def _spots(alpha: np.ndarray) -> tuple[np.ndarray, int]:
    return ndimage.label(alpha > FAINTEST_LINK, NEAR)


def touches_a_person(alpha: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Where effects are connected with a person (see `Connected`): bool [F, h, w].

    Args:
        alpha: [F, h, w] of all effects.
        covered: [F, h, w], share of a cell that people cover.
    """
    connected = Connected()
    for one, people in zip(alpha, covered):
        connected.add(one, people)
    connected.close()
    return np.stack([connected.at(frame, one) for frame, one in enumerate(alpha)])


# ---- whose they are -------------------------------------------------------------------------------------------------

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
    light: "Light"
    cell: int

    def shares(self, alpha: np.ndarray, masks: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Whose effects are in a frame: [L, h, w], over people together 1 or, far from all of them, less.

        Args:
            alpha: [h, w] of all effects.
            masks: [L, h, w] of the people, in [0, 1].
            places: [L, 2], where they stand.
        """
        way = ways(alpha, masks)
        expected = [footprint_at(footprint, place[None], alpha.shape)[0]
                    for footprint, place in zip(self.footprints, places)]
        belief = beliefs(self.depends, way, self.cell) * self.light.expected(masks, places[:, 1])
        share = likely(belief, expected) ** DECIDED
        share /= share.sum(axis=0)
        return share * (2 - way.min(axis=0) / (REACH * alpha.shape[0])).clip(0, 1)


def effect_assignment(alpha: np.ndarray, masks: np.ndarray, modes: list[np.ndarray], cell: int) -> np.ndarray:
    """Whose shadow or reflection it is, as a share of each person: [L, F, h, w] as from `Owners.shares`; arguments as
    for `find_owners`."""
    places = np.stack([ground_contact(person) for person in masks])
    owners = find_owners(alpha, masks, modes, places, cell)
    return np.stack([owners.shares(effect, masks[:, f], places[:, f]) for f, effect in enumerate(alpha)], axis=1)


def find_owners(alpha: np.ndarray, masks: np.ndarray, modes: list[np.ndarray], places: np.ndarray, cell: int) -> Owners:
    """Whose shadows and reflections are whose.

    It is told by the way to each person through the effect, by whose pose it depends on, by where one light for all
    casts each person's shadow, and by each person's effect footprint: a shadow keeps its place with the person who
    casts it. Footprints and assignment are found together, by expectation maximization of a mixture.

    Args:
        alpha: [F, h, w] of all effects.
        masks: [L, F, h, w] of the people, in [0, 1].
        modes: of every person, from pose vectors without place.
        places: [L, F, 2], where they stand, by `ground_contact`.
        cell: pixels per cell.
    """
    series = alpha - alpha.mean(axis=0)
    depends = np.stack([explained_variance(series, own) for own in modes])
    light = find_light(alpha, masks, places[..., 1])
    belief = np.stack([beliefs(depends, ways(effect, masks[:, f]), cell) * light.expected(masks[:, f], places[:, f, 1])
                       for f, effect in enumerate(alpha)], axis=1)
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


class Light(NamedTuple):
    """The one light that explains the effects of all people best, as far as any does.

    Two people who walk side by side keep each other's shadow in the same place beside them; only its shape tells them
    apart then.

    Attributes:
        shadow: (x, y) of the shadow of something 1 high, from its foot; (0, 1) makes mirror images in the ground.
        blur: of shadows, in cells.
        weight: of what it tells; 0: nothing.
    """

    shadow: tuple[float, float]
    blur: float
    weight: float

    def expected(self, masks: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """How likely an effect is in the shadow of each person of a frame: [L, h, w].

        Args:
            masks: [L, h, w] in [0, 1].
            ground: [L], y of the ground that each stands on.
        """
        if not self.weight:
            return np.ones_like(masks)
        return (cast_shadows(Casters.of(masks, ground), self.shadow, self.blur) + UNEXPECTED) ** self.weight


def find_light(alpha: np.ndarray, masks: np.ndarray, ground: np.ndarray) -> Light:
    """The light that casts people's shadows.

    Args:
        alpha: [F, h, w] of all effects.
        masks: [L, F, h, w] of the people, in [0, 1].
        ground: [L, F], y of the ground that each stands on.
    """
    heights = [(mask.max(axis=1) > 0.3).sum() for person in masks for mask in person if (mask > 0.3).any()]
    if len(masks) < 2 or not heights or not alpha.any():
        return Light((0, 0), 0, 0)
    blur = max(PENUMBRA * float(np.median(heights)), 0.7)
    used = evenly_spread(len(alpha), LIGHT_FRAMES)
    every = masks[:, used].reshape(-1, *alpha.shape[1:])
    casters = Casters.of(every, ground[:, used].ravel())
    casters = casters._replace(picture=casters.picture % len(used), shape=alpha[used].shape)  # all people in one
    shadow, likeness = best_light(alpha[used], casters, masks[:, used].max(axis=0) < 0.05, blur)
    trust = (likeness - LIT_ALIKE[0]) / (LIT_ALIKE[1] - LIT_ALIKE[0])
    return Light(shadow, blur, LIGHT_WEIGHT * float(np.clip(trust, 0, 1)))


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
        expected = cast_shadows(casters, light, blur) * visible
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
    return np.stack([cv2.GaussianBlur(np.minimum(one, 1), (0, 0), blur) for one in shadows.astype(np.float32)])


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


def steady(places: np.ndarray) -> np.ndarray:
    """Where a person stands, by the `lowest_place` [F, 2] of each frame."""
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
