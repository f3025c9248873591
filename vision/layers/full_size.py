"""Layers at the size of the video, from layers that were made small.

Shadows, shading and hidden colours are smooth: they are enlarged. Texture of the scene, edges of people and all colours
that are seen are not: they come from the full-size frames.

1. **Plate.** The mean of the full-size frames where nobody is, with shadows taken off; its shading is that of the
   small background (`with_detail`).
2. **Mattes.** In the band around a person's edge the small matte is no more than a prior. A pixel there is of the
   scene, which the plate shows, lit or in shadow; or of the person's colours nearby; or a mixture of both, whose share
   is the alpha. How well each explains the frame decides, as in Bayesian matting (Chuang et al., CVPR 2001) before a
   known background.
3. **Colours.** Detail transfer (Lu et al., section 3.3) as `mattes.share_detail` does it: colours change as little as
   it takes to explain the full-size frame.

Pictures are float32 in [0, 1], colours straight, layers from back to front. "Small" is the size of the layers that were
made, "full" that of the frames. Nothing here knows files, options or networks.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import DTypeLike

from vision.geometry.flow import backward_warp, inverse_flow
from vision.layers.clean_plate import LEVEL, grey, largest_channel
from vision.layers.closed_form import UNTOUCHED
from vision.layers.small_motion import small_flow

COVERED = 5 * LEVEL  # of a matte: what is covered by no more counts as free of people
DISAGREES = 24 * LEVEL  # by which a small frame may differ from its layers where it shows the scene
MOST_SHADED = 0.6  # alpha of effects up to which a frame says something of what lies under them
AROUND = 2.5  # small pixels of blur: effects go on from around people into the band at their edges
DARKER = 1.3  # than around, a shadow may be at the feet
LIKE = 1.5  # small pixels of blur: colours of a person that are taken for those nearby
WRONG = 1.0  # small pixels by which the edge of a small matte may be wrong
STEEPNESS = 3.0  # of an edge of which nothing else is known, against the enlarged one
ODDS = 6.0  # logit of the enlarged matte between its ends
NOISE = 3 * LEVEL  # standard deviation of a frame's colours: sensor and compression
OTHER = 2.0  # density of colours that are neither the scene's nor any of the person nearby
MIXED = 0.15  # how often a pixel of the band is a mixture
LEAST_MOTION, LEAST_FLICKER = 0.03, 0.004  # small pixels, and share of the brightness, that are none
Window = tuple[slice, slice]
"""Rows and columns of a full-size picture."""


class SmallFrame(NamedTuple):
    """The layers of a frame as they were made.

    Attributes:
        background: [h, w, 3].
        layers: [L, h, w, 4], RGBA without the background, back to front.
        mattes: [L, h, w], where the people of each layer are, without their effects.
    """

    background: np.ndarray
    layers: np.ndarray
    mattes: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.background.shape[1], self.background.shape[0]


class Part(NamedTuple):
    """A layer at full size, where it is.

    Attributes:
        window: where in the frame.
        alpha: [h, w].
        colour: [h, w, 3].
    """

    window: Window
    alpha: np.ndarray
    colour: np.ndarray


# ---- sizes ----------------------------------------------------------------------------------------------------------

def shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, ...] at a smaller size (width, height), by area."""
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def enlarged(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [h, w, ...] at a larger size (width, height)."""
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)


def with_detail(small: np.ndarray, large: np.ndarray) -> np.ndarray:
    """What a small picture [h, w, ...] says, with the detail of a large one: [H, W, ...]."""
    return large + enlarged(small - shrunk(large, small.shape[1::-1]), large.shape[1::-1])


class Enlarger(NamedTuple):
    """Parts of small pictures at full size.

    Attributes:
        small, full: (width, height).
    """

    small: tuple[int, int]
    full: tuple[int, int]

    def part(self, picture: np.ndarray, window: Window) -> np.ndarray:
        """What is in a window of `enlarged(picture)`."""
        scale = np.divide(self.small, self.full)
        rows, columns = window
        offset = (np.array([columns.start, rows.start]) + 0.5) * scale - 0.5
        matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]])
        size = (columns.stop - columns.start, rows.stop - rows.start)
        return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REPLICATE)

    def around(self, where: np.ndarray) -> Window:
        """The window that holds a small bool [h, w] and two small pixels around it; empty where there is nothing."""
        x, y, width, height = cv2.boundingRect(where.astype(np.uint8))
        if not width:
            return slice(0, 0), slice(0, 0)
        ends = np.array([[x - 2, y - 2], [x + width + 2, y + height + 2]]) * np.divide(self.full, self.small)
        left, top = np.maximum(np.floor(ends[0]), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(ends[1]), self.full).astype(int).tolist()
        return slice(top, bottom), slice(left, right)


def within(window: Window, other: Window) -> Window:
    """A window as rows and columns of another one that holds it."""
    rows, columns = (slice(one.start - two.start, one.stop - two.start) for one, two in zip(window, other))
    return rows, columns


def around_all(windows: list[Window]) -> Window:
    """The window that holds all of these; an empty one of none."""
    if not windows:
        return slice(0, 0), slice(0, 0)
    rows, columns = (slice(min(side.start for side in sides), max(side.stop for side in sides))
                     for sides in zip(*windows))
    return rows, columns


# ---- what is smooth -------------------------------------------------------------------------------------------------

def beside(mattes: np.ndarray) -> np.ndarray:
    """Where nobody is, nor within two pixels of it: bool [h, w], of a matte [h, w]."""
    return cv2.dilate(mattes, np.ones((5, 5), np.uint8)) <= COVERED


def nearby(values: np.ndarray, weight: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """The mean of `values` [h, w, ...] nearby, where they count by a weight [h, w], and how much counts: [h, w]."""
    crowd = cv2.GaussianBlur(weight, (0, 0), sigma)
    weight, divisor = (one.reshape(*one.shape, *[1] * (values.ndim - 2)) for one in (weight, np.maximum(crowd, 1e-4)))
    return cv2.GaussianBlur(values * weight, (0, 0), sigma) / divisor, crowd


def people_and_effects(frame: SmallFrame) -> tuple[np.ndarray, np.ndarray]:
    """The alpha of layers in two parts, people over their effects: [L, h, w] each.

    Effects go on into the band around people, where nothing but people can be seen.
    """
    people, effects = np.zeros_like(frame.mattes), np.zeros_like(frame.mattes)
    for person, effect, layer, matte in zip(people, effects, frame.layers, frame.mattes):
        alpha, nobody = layer[..., 3], beside(matte)
        near, crowd = nearby(alpha, nobody.astype(np.float32), AROUND)
        effect[:] = np.where(nobody, alpha, near * (crowd / 0.05).clip(0, 1))
        person[:] = np.where(nobody, 0, ((alpha - effect) / np.maximum(1 - effect, 1e-3)).clip(0, 1))
    return people, effects


def through_and_added(layers: Iterable[np.ndarray], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What layers [h, w, 4] make of what lies behind them: [h, w] comes through, and colours [h, w, 3] are added.

    Args:
        layers: back to front.
        shape: (h, w), where there are none.
    """
    through: np.ndarray = np.ones(shape, np.float32)
    added: np.ndarray = np.zeros((*shape, 3), np.float32)
    for layer in layers:
        alpha = layer[..., 3]
        through, added = through * (1 - alpha), added + alpha[..., None] * (layer[..., :3] - added)
    return through, added


# ---- the plate ------------------------------------------------------------------------------------------------------

def shown_by(small: np.ndarray, frame: SmallFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a small picture [h, w, 3] of a frame shows the scene, if only under shadows.

    Returns:
        bool [h, w], away from people, where it is as its layers say; and what these make of the background, as
        `through_and_added` says.
    """
    through, added = through_and_added(frame.layers, small.shape[:2])
    missed = largest_channel(np.abs(small - frame.background * through[..., None] - added))
    known = beside(frame.mattes.max(axis=0)) & (missed < DISAGREES) & (through > 1 - MOST_SHADED)
    return known, through, added


def unshaded(picture: np.ndarray, frame: SmallFrame) -> tuple[np.ndarray, np.ndarray]:
    """What a full-size frame [H, W, 3] shows of the scene, with shadows and reflections taken off.

    Returns:
        the scene [H, W, 3], and how much each pixel says of it: [H, W] in [0, 1].
    """
    enlarger = Enlarger(frame.size, picture.shape[1::-1])
    known, through, added = shown_by(shrunk(picture, frame.size), frame)
    weight = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)) * through ** 2
    window, scene = enlarger.around((through < 1) & known), picture.copy()
    if scene[window].size:
        scene[window] -= enlarger.part(added, window)
        scene[window] /= np.maximum(enlarger.part(through, window), 1 - MOST_SHADED)[..., None]
    return scene, enlarged(weight, picture.shape[1::-1])


class Motion(NamedTuple):
    """How a frame shows the scene at rest.

    Attributes:
        flow: [h, w, 2], where what is at a small pixel of the scene is in the frame: so many small pixels further.
        gain: by how much it is brighter.
    """

    flow: np.ndarray
    gain: np.float32

    @property
    def is_none(self) -> bool:
        """Whether it shows it as it is."""
        return bool(np.quantile(np.abs(self.flow), 0.9) < LEAST_MOTION and abs(self.gain - 1) < LEAST_FLICKER)

    def at_rest(self, picture: np.ndarray) -> np.ndarray:
        """A full-size picture [H, W, ...] of the frame, as it would be at rest."""
        return backward_warp(picture, self._full(self.flow, picture))

    def shown(self, scene: np.ndarray) -> np.ndarray:
        """The full-size scene [H, W, 3] as the frame shows it."""
        return self.gain * backward_warp(scene, self._full(inverse_flow(self.flow), scene))

    @staticmethod
    def _full(flow: np.ndarray, picture: np.ndarray) -> np.ndarray:
        size = picture.shape[1::-1]
        return enlarged(flow, size) * np.divide(size, flow.shape[1::-1], dtype=np.float32)


def motion_of(picture: np.ndarray, frame: SmallFrame) -> Motion:
    """Shake, sway and flicker of a full-size frame [H, W, 3] against its small background."""
    small = shrunk(picture, frame.size)
    known, through, _ = shown_by(small, frame)
    known &= through > 1 - UNTOUCHED  # a moving shadow would look like a moving ground
    goal, brightness = grey(frame.background), grey(small)
    bright = known & (goal > 0.05)
    gain = np.float32(max(np.median(brightness[bright] / goal[bright]), 0.1) if bright.any() else 1)
    flow = small_flow(goal, np.where(known, brightness / gain, goal))
    around, _ = nearby(flow, known.astype(np.float32), 8)
    return Motion(np.where(known[..., None], flow, around), gain)


# ---- mattes ---------------------------------------------------------------------------------------------------------

def full_layers(picture: np.ndarray, background: np.ndarray, frame: SmallFrame,
                masks: Sequence[np.ndarray] | None = None) -> list[Part]:
    """The layers of a frame at its full size, back to front.

    Args:
        picture: [H, W, 3], the frame.
        background: [H, W, 3], as this frame shows it.
        frame: its small layers.
        masks: [H, W] each, full-size mattes of people where they are known: their edges are kept. None: they are not.
    """
    full = (picture.shape[1], picture.shape[0])
    enlarger, scale = Enlarger(frame.size, full), full[0] / frame.size[0]
    people, effects = people_and_effects(frame)
    view = np.ones(picture.shape[:2], np.float32)
    parts: list[Part] = []
    for number in range(len(people) - 1, -1, -1):
        layer, person, effect = frame.layers[number], people[number], effects[number]
        window, body = enlarger.around(layer[..., 3] > 0), enlarger.around(person > 0)
        alpha = enlarger.part(effect, window) if layer[..., 3].any() else np.zeros((0, 0), np.float32)
        if person.any():
            through, added = (enlarger.part(one, body) for one in through_and_added(
                frame.layers[:number], person.shape))
            darkest = 1 - np.minimum(DARKER * cv2.dilate(effect, np.ones((9, 9), np.uint8)), 0.9)
            inner = within(body, window)
            matte, around = person_and_shadow(
                picture[body], background[body] * through[..., None] + added, enlarger.part(darkest, body),
                enlarger.part(person, body), enlarger.part(cv2.GaussianBlur(person, (0, 0), WRONG), body), alpha[inner],
                view[body], scale)
            if masks is not None:
                mask = masks[number]
                matte = (mask[body] + enlarger.part(person - shrunk(mask, frame.size), body)).clip(0, 1)
            alpha[inner] = 1 - (1 - around) * (1 - matte)
        parts.insert(0, Part(window, alpha, enlarger.part(layer[..., :3], window) if alpha.size else
                             np.zeros((0, 0, 3), np.float32)))
        view[window] *= 1 - alpha
    return explaining(picture, background, parts)


def person_and_shadow(picture: np.ndarray, behind: np.ndarray, darkest: np.ndarray, matte: np.ndarray,
                      blurred: np.ndarray, effect: np.ndarray, view: np.ndarray,
                      scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The matte of somebody, as a full-size frame shows it, and his effects, seen anew at his edge: [H, W] each.

    Args:
        picture: [H, W, 3], the frame.
        behind: [H, W, 3], what it would show without him.
        darkest: [H, W], by what his shadow multiplies that at most.
        matte: [H, W], the small matte enlarged.
        blurred: [H, W], the same, blurred as far as it may be wrong.
        effect: [H, W], the small alpha of his effects enlarged.
        view: [H, W], how far he is in view: 1 where nobody is in front.
        scale: full pixels per small pixel.
    """
    matte = ((matte - 0.5) * STEEPNESS + 0.5).clip(0, 1)
    band = (blurred > 0.02) & (blurred < 0.98)
    light = (_dot(picture, behind) / np.maximum(_dot(behind, behind), 1e-4)).clip(darkest, 1)
    behind = behind * light[..., None]
    change = picture - behind
    raised = np.exp(ODDS * (matte + blurred - 1) / 2)
    scene = (np.exp(-_dot(change, change) / (2 * NOISE ** 2)) / NOISE ** 3 + OTHER) / raised
    found = matte
    for sigma in (LIKE * scale, LIKE * scale / 2):  # by the better matte, colours can be nearer
        weight = (found * view) ** 4
        colour, crowd = nearby(picture, weight, sigma)
        square, _ = nearby(_dot(picture, picture), weight, sigma)
        spread = np.maximum(square - _dot(colour, colour), 0) / 3 + NOISE ** 2
        off = picture - colour
        person = (np.exp(-_dot(off, off) / (2 * spread)) / spread ** 1.5 + OTHER) * raised
        towards = colour - behind
        distance = np.maximum(_dot(towards, towards), 1e-4)
        share = (_dot(change, towards) / distance).clip(0, 1)
        left = change - share[..., None] * towards
        blend = spread * share ** 2 + NOISE ** 2
        mixed = MIXED * np.sqrt(2 * np.pi / distance) * np.exp(-_dot(left, left) / (2 * blend)) / blend
        whole = person + scene + mixed
        trust = np.where(band, view ** 4 * (crowd / 0.02).clip(0, 1), 0)
        found = matte + trust * (cv2.medianBlur((person + mixed * share) / whole, 3) - matte)
    return found, effect + trust * scene / whole * (1 - light - effect)


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Products of colours [H, W, 3]: [H, W]."""
    return np.einsum("ijk,ijk->ij", one, other)


# ---- colours --------------------------------------------------------------------------------------------------------

def explaining(picture: np.ndarray, background: np.ndarray, parts: list[Part], rounds: int = 3) -> list[Part]:
    """Layers whose colours are changed as little as it takes to explain a frame, as `mattes.share_detail` does.

    Args:
        picture: [H, W, 3], the frame.
        background: [H, W, 3].
        parts: the layers, back to front.
        rounds: repetitions, for what was clipped in one layer to go to another.
    """
    union = around_all([part.window for part in parts if part.alpha.size])
    windows = [within(part.window, union) if part.alpha.size else part.window for part in parts]
    picture, background = picture[union], background[union]
    visibility: list[np.ndarray] = []
    view = np.ones(picture.shape[:2], np.float32)
    for part, window in zip(reversed(parts), reversed(windows)):
        visibility.insert(0, view[window] * part.alpha)
        view[window] *= 1 - part.alpha
    whole = np.zeros_like(view)
    for window, visible in zip(windows, visibility):
        whole[window] += visible ** 2
    shares = [(visible / np.maximum(whole[window], 1e-4))[..., None] for window, visible in zip(windows, visibility)]
    for _ in range(rounds):
        made = background.copy()
        for part, window in zip(parts, windows):
            made[window] += part.alpha[..., None] * (part.colour - made[window])
        parts = [part._replace(colour=(part.colour + share * (picture[window] - made[window])).clip(0, 1))
                 for part, window, share in zip(parts, windows, shares)]
    return parts


def pixels_of(part: Part, size: tuple[int, int], dtype: DTypeLike = np.uint8) -> np.ndarray:
    """A layer as RGBA [H, W, 4], uint8 or uint16, of a whole frame of `size` (width, height); black where it is not."""
    white = np.float32(np.iinfo(dtype).max)
    alpha = (white * part.alpha).round().astype(dtype)
    result = np.zeros((*size[::-1], 4), dtype)
    result[part.window] = np.dstack([np.where(alpha[..., None] > 0, white * part.colour, 0).round().astype(dtype),
                                     alpha])
    return result
