"""Effects of people on the scene: shadows, reflections, light. Their alpha, and where they can be.

An effect is a layer of one colour over the clean plate: black where the scene gets darker (a shadow), white where it
gets lighter (light, a reflection), with the least alpha that explains the frame. Series are float32 [F, h, w] over
frames, usually on a coarse grid. Nothing here knows files, options or networks.
"""

import cv2
import numpy as np

from vision.layers.clean_plate import dot
from vision.layers.patches import Patch

POSE_SIDE = 24  # pixels of a mask in its own box
POSE_UNIT = 6  # pixels of the box that count as much as one full pixel of the mask
ZONE_MODES = 10
FAINTEST_LINK = 0.02  # alpha of a cell through which an effect is followed
LEAST_TOUCH = 0.3  # share of an effect, over time, that touches somebody
GAP = 7  # cells: a gap in the zone of effects that is closed, where a shadow hardly ever goes away
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
    return black_alpha(image, plate, visible, window), black_alpha(1 - image, 1 - plate, visible, window)


def black_alpha(image: np.ndarray, plate: np.ndarray, visible: np.ndarray, window: float) -> np.ndarray:
    """`shadow_and_light_alpha` of the black layer alone."""
    seen = cv2.GaussianBlur(dot(image, plate) * visible, (0, 0), window)
    whole = cv2.GaussianBlur(dot(plate, plate) * visible, (0, 0), window)
    return (1 - seen / np.maximum(whole, 1e-4)).clip(0, 1)


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
    spots, count = _spots(zone > 0.2)
    size = np.bincount(spots.ravel(), minlength=count + 1)
    peaks = np.bincount(spots[(depends > 0.3) & (deviation > 0.006)], minlength=count + 1)
    zone *= ((peaks > 0) & (size >= 6))[spots] & (spots > 0)
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
        spots, count = _spots(alpha > FAINTEST_LINK)
        near = cv2.dilate(covered, np.ones((5, 5), np.uint8)) > 0.05
        first = len(self._sizes)
        self._firsts.append(first)
        self._thing_of += range(first, first + count)
        self._sizes += np.bincount(spots.ravel(), alpha.ravel(), count + 1)[1:].tolist()
        self._touches += (np.bincount(spots[near], minlength=count + 1)[1:] > 0).tolist()
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
        spots, count = _spots(alpha > FAINTEST_LINK)
        first = self._firsts[frame]
        where = np.concatenate([[False], self._stays[first:first + count]])[spots]
        return cv2.dilate(where.astype(np.uint8), NEAR) > 0

    def _thing(self, spot: int) -> int:
        while self._thing_of[spot] != spot:
            self._thing_of[spot] = spot = self._thing_of[self._thing_of[spot]]
        return spot


def _spots(where: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers from 1 of what hangs together in bool [h, w], 0 elsewhere, and how many there are."""
    count, spots = cv2.connectedComponents(where.astype(np.uint8), connectivity=8)
    return spots, count - 1


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
