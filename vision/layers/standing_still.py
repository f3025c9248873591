"""People who hardly move: what their masks leave out in some frames is not of the scene.

Where somebody stands on the same spot for most of a clip, the scene behind is seen in few frames or in none. A mask
that misses an arm in some of them shows the arm where the scene should be: a ghost in the clean plate. It is known by
its colour, which is that of the same place while the mask covers it; and, as nobody is ever quite still, by its change.
Nothing here knows files, options or networks.
"""

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.layers.clean_plate import LEVEL, MOST_SORTED, visible_quantile

MOSTLY = 0.5  # share of the frames in which a mask covers a place from which on somebody stands there
CERTAIN, COVERED = 200, 127  # level of a mask inside of it, and from which on it covers
ALIKE = 12 * LEVEL  # how far a colour may be from the usual one to be the same; where somebody is still, half is usual
SPECK = 3  # pixels across, of what is chance
REACH = 0.06  # of the picture's height: how far from a mask there may be more of somebody
ALWAYS = 0.9  # share of the frames in which somebody is near a place from which on he hardly moves away from it
UNSTEADY, SELDOM = 2.0, 0.15  # times the scene's usual change that is doubtful; share of the frames that is no proof


def left_out(frames: np.ndarray, masks: np.ndarray, in_view: np.ndarray) -> np.ndarray:
    """Where frames show somebody whom his mask leaves out: bool [L, F, H, W].

    Args:
        frames: uint8 [F, H, W, 3], one upon the other.
        masks: uint8 [L, F, H, W].
        in_view: bool [F, H, W], where a frame shows anything.
    """
    used = evenly_spread(len(frames), MOST_SORTED)
    found, covered = np.zeros(masks.shape, bool), masks.max(axis=0)
    for mine, mask in zip(found, masks):
        certain = mask >= CERTAIN
        stays = certain.sum(axis=0) >= MOSTLY * np.maximum(in_view.sum(axis=0), 1)
        if not stays.any():
            continue
        colour, _ = visible_quantile(frames[used], certain[used], 0.5)
        away = np.stack([np.abs(frame * LEVEL - colour).max(axis=-1) for frame in frames[used]])
        coded = (255 * away.clip(0, 1)).round().astype(np.uint8)[..., None]
        usual = visible_quantile(coded, certain[used], 0.5)[0][..., 0]
        stays &= usual <= ALIKE / 2
        for one, frame, anybody, view in zip(mine, frames, covered, in_view):
            like = np.abs(frame * LEVEL - colour).max(axis=-1) <= ALIKE
            one[:] = cv2.morphologyEx((stays & like & (anybody <= COVERED) & view).astype(np.uint8), cv2.MORPH_OPEN,
                                      np.ones((SPECK, SPECK), np.uint8))
    return found


def doubtful(frames: np.ndarray, masks: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Where frames show, beside somebody who hardly moves, what may be more of him: bool [F, H, W].

    The scene is seen in many frames, and always the same; a hand that a mask misses is seen in few, or stirs. Frames in
    which he is somewhere else are beyond doubt.

    Args:
        frames: uint8 [F, H, W, 3], one upon the other.
        masks: uint8 [L, F, H, W].
        visible: bool [F, H, W], where nobody is by the masks.
    """
    used = evenly_spread(len(frames), MOST_SORTED)
    reach = max(round(REACH * frames.shape[1]), 1)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    stays, found = np.zeros(frames.shape[1:3], bool), np.zeros(frames.shape[:3], bool)
    for mask in masks:
        present = mask.max(axis=(1, 2)) > COVERED
        if present.sum() >= MOSTLY * len(mask):
            near = [cv2.dilate((one > COVERED).astype(np.uint8), around) for one in mask[present]]
            beside = np.mean(near, axis=0) >= ALWAYS
            stays |= beside
            found |= at_his_place(mask, present)[:, None, None] & beside
    if not stays.any():
        return found
    colour, seen = visible_quantile(frames[used], visible[used], 0.5)
    away = np.stack([np.abs(frame * LEVEL - colour).max(axis=-1) for frame in frames[used]])
    coded = (255 * away.clip(0, 1)).round().astype(np.uint8)[..., None]
    change = cv2.GaussianBlur(visible_quantile(coded, visible[used], 0.5)[0][..., 0], (0, 0), 1.5)
    elsewhere = change[~stays & (seen > SELDOM * len(used))]
    usual = max(np.median(elsewhere) if elsewhere.size else 0, LEVEL)
    doubt = stays & ((change > UNSTEADY * usual) | (seen < SELDOM * len(used)))
    gap = np.ones((2 * (reach // 4) + 1,) * 2, np.uint8)
    return found & (cv2.morphologyEx(doubt.astype(np.uint8), cv2.MORPH_CLOSE, gap) > 0)  # the rest of a hand is a hand


def at_his_place(mask: np.ndarray, present: np.ndarray) -> np.ndarray:
    """In which frames somebody stands where he mostly does: bool [F]; without a mask, if he does before and after.

    Args:
        mask: uint8 [F, H, W].
        present: bool [F], in which frames there is anything of it.
    """
    covered = mask[present] > COVERED
    usual = covered.mean(axis=0) >= MOSTLY
    there = (covered & usual).sum(axis=(1, 2)) >= MOSTLY * usual.sum()
    frames = np.flatnonzero(present)
    return np.interp(np.arange(len(mask)), frames, there.astype(float), left=0, right=0) > 0.99
