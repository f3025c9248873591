"""What others hide of a person, copied from the nearest frame that shows it.

The copy is moved by body coordinates: where a part of the body is in one frame and in another, IUV pictures
(vision/people/iuv.py) say, also where the body is hidden. What has none (clothes, hair) moves as the body around does.
Pictures are uint8. Nothing here knows files, options or networks.
"""

from collections.abc import Callable

import cv2
import numpy as np

from vision.geometry.flow import backward_warp
from vision.people.iuv import PARTS, body_part

STEPS = 24  # of u and of v, in which places of a part are told apart
NEAR, FAR = 0.008, 0.03  # of the picture's height: blur of motion on the body, and around it
KNOWN = 0.02  # share of the body around a pixel, blurred by FAR, from which on its motion is known
FEWEST_PLACES = 12  # that two frames must have in common
FARTHEST = 60  # frames, each way, in which a hidden part is looked for
OPEN = 0.95  # share of a pixel that must be in view to be copied

Part = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Colours [H, W, 3] of a layer's people, their alpha [H, W], and how far they are in view: [H, W] in 0..255."""


def places_of_body(iuv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places of the body that are at each pixel, and where in the picture they are.

    Args:
        iuv: [H, W, 4].

    Returns:
        numbers [H, W], 0 where nobody is; and the mean (x, y) of each number's pixels, [N, 2], nan where
        it has none.
    """
    part = body_part(iuv).astype(np.int64)
    u, v = (iuv[..., channel].astype(np.int64) * STEPS // 256 for channel in (1, 2))
    numbers = np.where(part > 0, 1 + ((part - 1) * STEPS + u) * STEPS + v, 0)
    count = 1 + PARTS * STEPS ** 2
    flat, seen = numbers.ravel(), np.bincount(numbers.ravel(), minlength=count).astype(np.float32)
    rows, columns = np.divmod(np.arange(flat.size), iuv.shape[1])
    means = np.stack([np.bincount(flat, axis, count) for axis in (columns, rows)], axis=-1)
    means = np.where(seen[:, None] > 0, means / np.maximum(seen, 1)[:, None], np.nan).astype(np.float32)
    means[0] = np.nan
    return numbers.astype(np.int16), means


def motion_of_body(here: tuple[np.ndarray, np.ndarray], there: np.ndarray,
                   height: int | None = None) -> tuple[np.ndarray, np.ndarray] | None:
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
    if common.sum() < FEWEST_PLACES:
        return None
    weight = common[numbers].astype(np.float32)
    flow = np.where(weight[..., None] > 0, moved[numbers], 0).astype(np.float32)

    def smooth(share: float) -> tuple[np.ndarray, np.ndarray]:
        sigma = _sigma(share, height or len(numbers))
        density = cv2.GaussianBlur(weight, (0, 0), sigma)
        return cv2.GaussianBlur(flow, (0, 0), sigma) / np.maximum(density, 1e-6)[..., None], density

    (fine, near), (coarse, around) = smooth(NEAR), smooth(FAR)
    sure = (near / 0.2).clip(0, 1)[..., None]
    return sure * fine + (1 - sure) * coarse, around > KNOWN


def _sigma(share: float, height: int) -> float:
    return max(share * height, 0.8)


def copied(frame: int, length: int, wanted: np.ndarray, places: Callable[[int], tuple[np.ndarray, np.ndarray]],
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
    numbers, means = places(frame)
    height = len(wanted)
    colours, alpha = np.zeros((*wanted.shape, 3), np.uint8), np.zeros(wanted.shape, np.uint8)
    found = np.zeros(wanted.shape, bool)
    sigma = _sigma(FAR, height)
    # Where no motion can be known, nothing can be found: most of the picture need not be computed.
    missing = cv2.GaussianBlur((numbers > 0).astype(np.float32), (0, 0), sigma) > 0.9 * KNOWN
    margin = 5 * round(sigma) + 2  # more than the blur reaches
    for distance in range(1, min(FARTHEST, length - 1) + 1):
        for other in (frame - distance, frame + distance):
            if not 0 <= other < length or not missing.any():
                continue
            left, top, wide, high = cv2.boundingRect(missing.astype(np.uint8))
            right, bottom = left + wide, top + high
            y, x = max(0, top - margin), max(0, left - margin)
            around, box = np.s_[y:bottom + margin, x:right + margin], np.s_[top:bottom, left:right]
            motion = motion_of_body((numbers[around], means), places(other)[1], height)
            if motion is None:
                continue
            flow, known = (one[top - y:bottom - y, left - x:right - x] for one in motion)
            shown, matte, view = (backward_warp(one, flow, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, (left, top))
                                  for one in part(other))
            new = missing[box] & known & (view >= OPEN * 255)
            colours[box][new], alpha[box][new] = shown[new], matte[new]
            found[box] |= new
            missing[box] &= ~new
        if not (wanted & ~found).any():
            break
    return colours, alpha, found
