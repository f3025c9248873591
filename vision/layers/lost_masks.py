"""Whom a mask has lost for a while, as a part of somebody else: then the frames around say where he is.

Masks are uint8 [L, H, W] of L people in each frame, 255 for certain. Nothing here knows frames, files or options.
"""

from collections.abc import Sequence

import numpy as np

from vision.layers.clean_plate import falling
from vision.layers.mask_edges import ABSENT, PRIOR, SURE

WHILE = 25
LEAST_AREA = 0.2, 0.6
"""Frames to each side that tell how large somebody's mask usually is, and shares of that up to which it has lost him,
and from which on it has not."""
LOST = 0.5
"""Share from which on nothing hangs on such a mask."""


def lost_shares(priors: Sequence[np.ndarray]) -> np.ndarray:
    """How far the mask of each person in each frame has lost him: float [F, L] in [0, 1].

    By the area where it is sure, beside what that usually is in the frames around. Who is hidden by another has less of
    it, too; where he is not, the frames around say as well. A body that is drawn from a pose is sure nowhere.

    Args:
        priors: uint8 [L, H, W] of each frame.
    """
    areas = np.array([[np.count_nonzero(prior > 255 * SURE) for prior in masks] for masks in priors], np.float64)
    usual = np.stack([np.median(areas[max(f - WHILE, 0):f + WHILE + 1], axis=0) for f in range(len(areas))])
    return np.where(usual > 0, falling(areas / np.maximum(usual, 1), LEAST_AREA), 0)


def weights_of_neighbours(lost: np.ndarray) -> np.ndarray:
    """How much the frames before and after count for each person: float32 [2, F, L, 1, 1], 1 for each as a rule.

    While somebody is lost, the nearer that one is from which on he is not.

    Args:
        lost: [F, L], as `lost_shares` tells.
    """
    away = np.zeros((2, len(lost) + 2, lost.shape[1]), np.float32)  # frames since and until he is found
    for f in range(len(lost)):
        away[0, f + 1] = np.where(lost[f] > LOST, away[0, f] + 1, 0)
    for f in reversed(range(len(lost))):
        away[1, f + 1] = np.where(lost[f] > LOST, away[1, f + 2] + 1, 0)
    before, after = away[0, :-2] + 1, away[1, 2:] + 1
    return (2 * np.stack((after, before)) / (before + after))[..., None, None]


def as_believed(logits: np.ndarray, lost: np.ndarray, around: np.ndarray) -> np.ndarray:
    """What the masks of a frame say, as far as they are believed: logits [L, H, W].

    A mask that has lost somebody says no more of him than none, and where the frames around say that he is, none says
    anything.

    Args:
        logits: [L, H, W] of the masks.
        lost: [L], as `lost_shares` tells.
        around: logits [L, H, W] of the frames around.
    """
    lost = lost[:, None, None]
    return (logits + lost * (PRIOR * ABSENT - logits)) * (1 - lost * (around > 0)).min(axis=0)
