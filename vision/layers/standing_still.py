"""People who hardly move: what their masks leave out in some frames is not of the scene.

Where somebody stands on the same spot for most of a clip, the scene behind is seen in few frames or in none. A mask
that misses an arm in some of them shows the arm where the scene should be: a ghost in the clean plate. It is known by
its colour, which is that of the same place while the mask covers it. Nothing here knows files, options or networks.
"""

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.layers.clean_plate import LEVEL, MOST_SORTED, visible_quantile

MOSTLY = 0.5  # share of the frames in which a mask covers a place from which on somebody stands there
CERTAIN, COVERED = 200, 127  # level of a mask inside of it, and from which on it covers
ALIKE = 12 * LEVEL  # how far a colour may be from the usual one to be the same; where somebody is still, half is usual
SPECK = 3  # pixels across, of what is chance


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
