"""What others hide of a person, copied from the nearest frame that shows it.

The copy is moved by body coordinates: where a part of the body is in one frame and in another, IUV pictures
(vision/people/iuv.py) say, also where the body is hidden. What has none (clothes, hair) moves as the body around does.
Pictures are uint8. Nothing here knows files, options or networks.
"""

from collections.abc import Callable

import cv2
import numpy as np

from vision.geometry.flow import backward_warp, widely_blurred
from vision.people.iuv import PARTS, body_part

STEPS = 24  # of u and of v, in which places of a part are told apart
NEAR, FAR = 0.008, 0.03  # of the picture's height: blur of motion on the body, and around it
KNOWN = 0.02  # share of the body around a pixel, blurred by FAR, from which on its motion is known
FEWEST_PLACES = 12  # that two frames must have in common
AWAY = (*range(1, 11), *range(12, 21, 2), *range(24, 61, 4))
"""Frames, each way, to those in which a hidden part is looked for."""
OPEN = 0.95  # share of a pixel that must be in view to be copied
ASTRAY = 0.02  # of the picture's height: how far from a pixel the way there and back may end
ON_BODY = 0.6  # of the body in one frame must be led onto the body in the other
SOON = 8  # frames, each way, in which somebody has much the same pose

Part = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Colours [H, W, 3] of a layer's people, their alpha [H, W], and how far they are in view: [H, W] in 0..255."""


Places = tuple[np.ndarray, np.ndarray]
"""As `places_of_body` returns them."""
Motion = tuple[np.ndarray, np.ndarray]
"""A flow [h, w, 2] from one frame to another, and where it is known: bool [h, w]."""


def places_of_body(iuv: np.ndarray) -> Places:
    """The places of the body that are at each pixel, and where in the picture they are.

    Args:
        iuv: [H, W, 4].

    Returns:
        numbers [H, W], 0 where nobody is; and the mean (x, y) of each number's pixels, [N, 2], nan where
        it has none.
    """
    part = body_part(iuv)
    rows, columns = np.nonzero(part)
    u, v = (iuv[rows, columns, channel].astype(np.int64) * STEPS // 256 for channel in (1, 2))
    of_body = 1 + ((part[rows, columns].astype(np.int64) - 1) * STEPS + u) * STEPS + v
    numbers, count = np.zeros(part.shape, np.int16), 1 + PARTS * STEPS ** 2
    numbers[rows, columns] = of_body
    seen = np.bincount(of_body, minlength=count).astype(np.float32)
    means = np.stack([np.bincount(of_body, axis, count) for axis in (columns, rows)], axis=-1)
    means = np.where(seen[:, None] > 0, means / np.maximum(seen, 1)[:, None], np.nan).astype(np.float32)
    return numbers, means


def motion_of_body(here: Places, there: np.ndarray, height: int | None = None) -> Motion | None:
    """Where what is on a person in one frame is in another.

    Args:
        here: `places_of_body` of the one.
        there: the means of the other.
        height: of the whole picture, where the numbers of `here` are those of a part of it.

    Returns:
        the flow [H, W, 2] from here to there, and where it is known: bool [H, W]; None where the two have too little
        in common.
    """
    numbers, means = here
    moved = there - means
    common = ~np.isnan(moved[:, 0])
    if np.count_nonzero(common) < FEWEST_PLACES:
        return None
    places = np.zeros((len(moved), 3), np.float32)
    places[common, :2], places[common, 2] = moved[common], 1
    flow_and_weight = np.take(places, numbers, axis=0)

    def smooth(share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y, density = cv2.split(widely_blurred(flow_and_weight, _sigma(share, height or len(numbers))))
        whole = np.maximum(density, 1e-6)
        return x / whole, y / whole, density

    (*fine, near), (*coarse, around) = smooth(NEAR), smooth(FAR)
    sure = (near / 0.2).clip(0, 1)
    return cv2.merge([sure * one + (1 - sure) * other for one, other in zip(fine, coarse)]), around > KNOWN


def leads_back(flow: np.ndarray, known: np.ndarray, corner: tuple[int, int], there: Places,
               means: np.ndarray) -> np.ndarray:
    """Where the way to another frame and from there back ends where it began: bool [h, w].

    What is beside the body moves as the body around does: beside an arm that swings away, it would lead onto the head.

    Args:
        flow: [h, w, 2] to the other frame, of a part of the picture.
        known: bool [h, w], where it is.
        corner: (x, y) of its first pixel.
        there: `places_of_body` of the other frame.
        means: of this one.
    """
    numbers = there[0]
    height, width = numbers.shape
    rows, columns = np.nonzero(known)
    there_x, there_y = (start + first + flow[rows, columns, axis]
                        for axis, (start, first) in enumerate(zip((columns, rows), corner)))
    inside = _within(there_x, there_y, (width, height))
    back = np.zeros(known.shape, bool)
    if not inside.any():
        return back
    margin = _reach(height)
    left, top = (max(int(goals[inside].min()) - margin, 0) for goals in (there_x, there_y))
    right, bottom = (int(goals[inside].max()) + margin + 2 for goals in (there_x, there_y))
    motion = motion_of_body((numbers[top:bottom, left:right], there[1]), means, height)
    if motion is None:
        return back
    home = cv2.remap(motion[0], (there_x - left).astype(np.float32)[None], (there_y - top).astype(np.float32)[None],
                     cv2.INTER_LINEAR)[0]
    x, y = (flow[rows, columns, axis] + home[:, axis] for axis in (0, 1))
    back[rows, columns] = inside & (np.sqrt(x * x + y * y) < ASTRAY * height)
    return back


def _within(x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether places are those of pixels of a picture of some (width, height)."""
    return (x >= 0) & (y >= 0) & (x <= size[0] - 1) & (y <= size[1] - 1)


def _sigma(share: float, height: int) -> float:
    return max(share * height, 0.8)


def _reach(height: int) -> int:
    """Pixels from which on nothing comes into a blur."""
    return 4 * round(_sigma(FAR, height)) + 2


def copied(frame: int, length: int, wanted: np.ndarray, places: Callable[[int], Places],
           part: Callable[[int], Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A layer's people as the nearest frames show them, moved to where their bodies are in this one.

    Args:
        frame: its number, from 0.
        length: of the clip.
        wanted: bool [H, W], what is looked for.
        places: of the layer's body in a frame, as `places_of_body` returns them.
        part: the layer's people in a frame.

    Returns:
        colours [H, W, 3], alpha [H, W], and where anything was found: bool [H, W], also beside what is wanted.
    """
    here, height = places(frame), len(wanted)
    colours, alpha = np.zeros((*wanted.shape, 3), np.uint8), np.zeros(wanted.shape, np.uint8)
    found = np.zeros(wanted.shape, bool)
    # Where no motion can be known, nothing can be found: most of the picture need not be computed.
    missing = cv2.GaussianBlur((here[0] > 0).astype(np.float32), (0, 0), _sigma(FAR, height)) > 0.9 * KNOWN
    for distance in AWAY:
        for other in (frame - distance, frame + distance):
            if not 0 <= other < length or not missing.any():
                continue
            left, top, wide, high = cv2.boundingRect(missing.astype(np.uint8))
            box = np.s_[top:top + high, left:left + wide]
            there = places(other)
            motion = by_body(here, there, box) or (as_a_whole(here, there, box) if distance <= SOON else None)
            if motion is None:
                continue
            flow, known = motion
            shown, matte, view = (backward_warp(one, flow, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, (left, top))
                                  for one in part(other))
            new = missing[box] & known & (view >= OPEN * 255)
            colours[box][new], alpha[box][new] = shown[new], matte[new]
            found[box] |= new
            missing[box] &= ~new
        if found.any():  # what is in view is only there to compare colours by
            missing &= wanted
    return colours, alpha, found


def by_body(here: Places, there: Places, box: tuple[slice, slice]) -> Motion | None:
    """The motion by body coordinates from one frame to another in a part of the picture, (rows, columns).

    None where the two have too little in common, or it does not lead most of the body there onto the body: where it is
    not known which way somebody faces who is hidden, coordinates are those of another side of him.
    """
    height = len(here[0])
    margin = _reach(height)
    y, x = (max(0, side.start - margin) for side in box)
    numbers = here[0][y:box[0].stop + margin, x:box[1].stop + margin]
    motion = motion_of_body((numbers, here[1]), there[1], height)
    if motion is None:
        return None
    rows, columns = np.nonzero(numbers)
    there_x, there_y = (np.rint(start + first + motion[0][rows, columns, axis]).astype(int)
                        for axis, (start, first) in enumerate(((columns, x), (rows, y))))
    inside = _within(there_x, there_y, there[0].shape[::-1])
    if not len(rows) or np.count_nonzero(there[0][there_y[inside], there_x[inside]]) < ON_BODY * len(rows):
        return None
    inner = slice(box[0].start - y, box[0].stop - y), slice(box[1].start - x, box[1].stop - x)
    flow, known = (one[inner] for one in motion)
    return flow, known & leads_back(flow, known, (box[1].start, box[0].start), there, here[1])


def as_a_whole(here: Places, there: Places, box: tuple[slice, slice]) -> Motion | None:
    """The same where a body moves as a whole; None where one is nowhere."""
    if not (here[0].any() and there[0].any()):
        return None
    shape = box[0].stop - box[0].start, box[1].stop - box[1].start
    first, second = (np.median(np.argwhere(numbers), axis=0)[::-1] for numbers in (here[0], there[0]))
    return np.full((*shape, 2), second - first, np.float32), np.ones(shape, bool)
