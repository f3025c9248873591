"""Shadows of people before a camera that walks, where there is no plate to tell them by.

What is in a person's shadow now is not some frames earlier or later. So each frame is held against such frames, which
are moved to it by chained optical flow: what is darker than in most of them, and touches somebody, is a shadow. Shadows
are smooth, so all of it is done on small pictures; and flow follows a shadow rather than the ground it goes over, so
small things that move otherwise than what is around them are smoothed away.

Pictures are uint8 [H, W, 3]. Nothing here knows files, options or networks.
"""

import cv2
import numpy as np

from vision.geometry.flow import backward_warp
from vision.layers.clean_plate import LEVEL, largest_channel
from vision.layers.closed_form import extrapolated_to_people
from vision.layers.effects import black_alpha, touches_a_person
from vision.layers.flow_completion import background_flow, wider

HEIGHT = 128  # pixels of the small pictures
STEPS = (8, 13, 19, 26, 34)  # frames to those a frame is held against, each way
FLOW_CELL = 4  # small pixels of a side of the cells of a flow, of which five by five have a median
BLUR = 2.0  # small pixels, by which changes of brightness are smoothed
SHARE = 0.15  # of the frames may be as bright, of what is a shadow in this one
FEWEST = 2  # frames that must show a pixel
FAINTEST = 0.1  # of the brightness: a change that is none; of twice that there is no doubt
REACH = 0.35  # of the picture's height from a person, within which shadows are looked for
SHARP = 1.0  # pixels of blur of the alpha that is measured
AROUND = 7  # pixels of a side of what is held against a frame
ALIKE = 16  # levels that a background in shadow may differ from the frame; from twice that on it is another thing
INTO = 8  # pixels into what is next to people, to which a shadow goes on
CELL = 4  # small pixels of a side of the cells in which a shadow is followed to a person


def passing_shadows(frames: np.ndarray, without: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """How dark the shadows of people are: float32 [F, H, W] in [0, 1].

    Args:
        frames: uint8 [F, H, W, 3].
        without: the same without people, and without shadows as far as they are known.
        hidden: bool [F, H, W], where people are, and what is next to them.
    """
    shape = hidden.shape[1:]
    size = (max(round(shape[1] * HEIGHT / shape[0]), 1), HEIGHT)
    greys = [cv2.cvtColor(cv2.resize(one, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for one in frames]
    still = [cv2.cvtColor(cv2.resize(one, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for one in without]
    covered = np.stack([cv2.resize(one.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0 for one in hidden])
    changes: list[list[np.ndarray]] = [[] for _ in greys]
    for step in (1, -1):
        flows = {frame: smoothed(background_flow(still[frame], still[frame + step], covered[frame],
                                                 covered[frame + step]))
                 for frame in range(len(greys)) if 0 <= frame + step < len(greys)}
        for frame in range(len(greys)):
            way = np.zeros((*covered.shape[1:], 2), np.float32)
            for distance in range(1, STEPS[-1] + 1):
                before, other = frame + step * (distance - 1), frame + step * distance
                if not 0 <= other < len(greys):
                    break
                way = way + backward_warp(flows[before], way, cv2.INTER_LINEAR)
                if distance in STEPS:
                    changes[frame].append(brightness_change(greys[frame], still[other], covered[frame], way))
    alpha = np.zeros(covered.shape, np.float32)
    for frame, found in enumerate(changes):
        if len(found) < FEWEST:
            continue
        ordered = np.sort(np.stack(found), axis=0)  # nan, where a frame does not show a pixel, comes last
        seen = np.isfinite(ordered).sum(axis=0)
        place = (SHARE * np.maximum(seen - 1, 0)).round().astype(int)
        change = np.where(seen >= FEWEST, np.take_along_axis(ordered, place[None], axis=0)[0], 0)
        darker = 1 - np.exp(np.minimum(change, 0))
        near = wider(covered[frame], round(REACH * HEIGHT)) & ~covered[frame]
        alpha[frame] = np.where(near, darker * ((darker - FAINTEST) / FAINTEST).clip(0, 1), 0)
    cells = (-(-size[0] // CELL), -(-size[1] // CELL))
    attached = touches_a_person(*(np.stack([cv2.resize(one.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
                                            for one in series]) for series in (alpha, covered)))
    return np.stack([cv2.resize(one * cv2.resize(where.astype(np.float32), size), shape[::-1],
                                interpolation=cv2.INTER_LINEAR) for one, where in zip(alpha, attached)])


def measured(frame: np.ndarray, background: np.ndarray, hidden: np.ndarray, shaded: np.ndarray) -> np.ndarray:
    """The alpha of shadows over a background that is known: float32 [H, W] in [0, 1].

    Args:
        frame, background: uint8 [H, W, 3].
        hidden: bool [H, W], where people are, and what is next to them: shadows go on into that.
        shaded: bool [H, W], where shadows are, and nothing else is.
    """
    visible = shaded & ~hidden
    alpha = black_alpha(frame * LEVEL, background * LEVEL, visible.astype(np.float32), SHARP)
    return extrapolated_to_people(np.where(visible, alpha, 0), ~hidden, wider(shaded, INTO))


def explained(frame: np.ndarray, background: np.ndarray, hidden: np.ndarray, alpha: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray]:
    """A background and its shadows, without those that do not explain the frame: there the frame is its own background.

    What was followed past an edge of depth is not what is there, and no shadow makes it so.

    Args:
        frame, background: uint8 [H, W, 3].
        hidden: bool [H, W], where people are, and what is next to them: the frame says nothing there.
        alpha: [H, W] of shadows, in [0, 1].

    Returns:
        the background, uint8 [H, W, 3], and alpha [H, W].
    """
    shown = (background * (1 - alpha[..., None])).astype(np.float32)
    # What is a pixel beside its place is right.
    away = largest_channel(np.abs(cv2.blur(shown - frame, (AROUND, AROUND))))
    wrong = np.where(hidden, 0, ((away - ALIKE) / ALIKE).clip(0, 1)).astype(np.float32)
    wrong = (cv2.blur(cv2.dilate(wrong, np.ones((5, 5), np.uint8)), (5, 5)) * ~hidden)[..., None]
    left = alpha * (1 - wrong[..., 0])
    # Of what the two show together some is replaced by the frame, and the background follows from that.
    mixed = (shown + wrong * (frame - shown)) / np.maximum(1 - left, LEVEL)[..., None]
    return mixed.clip(0, 255).round().astype(np.uint8), left


def smoothed(flow: np.ndarray) -> np.ndarray:
    """A flow [H, W, 2] without what is small and moves otherwise than what is around it."""
    size = flow.shape[1::-1]
    cells = cv2.resize(flow, (-(-size[0] // FLOW_CELL), -(-size[1] // FLOW_CELL)), interpolation=cv2.INTER_AREA)
    medians = np.dstack([cv2.medianBlur(np.ascontiguousarray(cells[..., axis]), 5) for axis in (0, 1)])
    return cv2.resize(medians, size, interpolation=cv2.INTER_LINEAR)


def brightness_change(grey: np.ndarray, other: np.ndarray, covered: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The logarithm of how much brighter a frame, uint8 [H, W], is than another one: [H, W], nan where either does not
    show it.

    Args:
        grey, other: the frame, with people; the other one, without.
        covered: bool [H, W], where people are in the frame.
        way: the flow [H, W, 2] from it to the other one.
    """
    rows, columns = np.indices(grey.shape, dtype=np.float32)
    x, y = columns + way[..., 0], rows + way[..., 1]
    inside = (x >= 0) & (x <= grey.shape[1] - 1) & (y >= 0) & (y <= grey.shape[0] - 1)
    seen = (~covered & inside).astype(np.float32)
    crowd = cv2.GaussianBlur(seen, (0, 0), BLUR)
    here, moved = (cv2.GaussianBlur(one * seen, (0, 0), BLUR) / np.maximum(crowd, 1e-3)
                   for one in (grey.astype(np.float32), backward_warp(other, way).astype(np.float32)))
    change = np.log((here + 4) / (moved + 4))
    change -= np.median(change[seen > 0]) if seen.any() else 0
    return np.where((seen > 0) | (crowd > 0.3), change, np.nan).astype(np.float32)
