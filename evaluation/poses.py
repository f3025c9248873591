"""Whether somebody in a picture stands as he should: his joints found in it again, against those that were meant.

Skeletons are COCO-17, float64 [17, 3]: x, y in pixels, and a score, 0 where a joint is not known. Knows no estimator.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from evaluation.images import Sum
from vision.people.body25 import SURE

PERCENT = 100

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From a picture, uint8 [H, W, 3], and the skeleton that is meant, near which it looks, to the skeleton it finds."""


class Poses(NamedTuple):
    """What poses are measured with.

    Attributes:
        meant: by the name of a picture, or the last part of it, the skeleton that was meant.
        estimate: finds it again.
    """

    meant: Mapping[str, np.ndarray]
    estimate: Estimator

    def error(self, name: str, picture: np.ndarray) -> Sum:
        """`pose_error` of a picture [H, W, 3] in [0, 1]; of one for which no pose is meant, nothing."""
        meant = self.meant.get(name, self.meant.get(PurePosixPath(name).name))
        if meant is None:
            return Sum(0, 0)
        return pose_error(self.estimate(np.round(255 * picture.clip(0, 1)).astype(np.uint8), meant), meant)


def pose_error(found: np.ndarray, meant: np.ndarray) -> Sum:
    """How far joints are from where they were meant to be, in percent of the height of the skeleton that was meant.

    Joints that are not known of one of the two do not count.
    """
    known = (found[:, 2] > SURE) & (meant[:, 2] > SURE)
    if not known.any():
        return Sum(0, 0)
    own = meant[meant[:, 2] > SURE, 1]
    height = max(float(np.ptp(own)), 1.0)
    distances = np.linalg.norm(found[known, :2] - meant[known, :2], axis=1)
    return Sum(PERCENT * float(distances.sum()) / height, int(known.sum()))
