"""Whom a clip is about: people who are large, long in sight, in the middle and moving; not who looks on.

A skeleton is float64 [17, 3]: x, y in pixels and a score of at least 0. Nothing here knows of files.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vision.people.coco import ANKLES, HIPS, KNEES, SHOULDERS

_SPEED = 0.015
"""Of somebody who moves: how far his joints go from frame to frame, as a share of his size, by the median."""
_STILL_COUNTS, _ASIDE_COUNTS = 0.5, 0.7
"""What somebody who stands still, or stays at the picture's edge, counts as against one who moves in the middle."""
_AUDIENCE = 0.25
"""Prominence, as a share of the most prominent person's, below which somebody is of the audience."""
_LEAST_GROWTH, _MORE_GROWTH = 0.2, 2.0
"""Growth from which something is no person, and how many times that of the steadiest of the prominent: where frames are
far apart, everybody's bones change."""
LEAST_SIZE, LEAST_SCORE = 1 / 12, 0.65
"""Of somebody: his size as a share of the frame's height, for smaller people have no limbs that a layer could show; and
the mean of his joints' scores, by an estimator whose scores are probabilities. Animals and things have less."""


class Part(NamedTuple):
    """The part that somebody has in a clip.

    Attributes:
        frames: how many he is seen in.
        size: the longer side of his box, by the median, as a share of the frame's height.
        motion: how far his joints go from frame to frame before the scene, by the median, as a share of his size.
        aside: how far he is from the middle, by the median, as a share of half the frame's width.
        score: mean of his joints' scores.
        growth: by how much trunk and legs seem longer or shorter from frame to frame: the sum of the medians of the
            logarithms.
    """

    frames: int
    size: float
    motion: float
    aside: float
    score: float
    growth: float

    @property
    def prominence(self) -> float:
        """What he counts; only the proportion to others' means something."""
        moves = _STILL_COUNTS + (1 - _STILL_COUNTS) * min(self.motion / _SPEED, 1)
        central = 1 - (1 - _ASIDE_COUNTS) * min(self.aside, 1) ** 2
        return self.frames ** 0.5 * self.size * moves * central


def is_somebody(skeleton: np.ndarray, height: int) -> bool:
    """Whether a skeleton [17, 3] in a frame of this height is surely a person, and large enough for a layer."""
    return bool(skeleton[:, 2].mean() >= LEAST_SCORE and np.ptp(skeleton[:, :2], axis=0).max() >= LEAST_SIZE * height)


def part_of(frames: Sequence[int], poses: np.ndarray, size: tuple[int, int], camera: np.ndarray | None = None) -> Part:
    """The part of somebody.

    Args:
        frames: in which he is, ascending.
        poses: [N, 17, 3] in these.
        size: (width, height) of the frames.
        camera: [F, 2], how far the scene has moved in the picture since the first frame; None: it stands still.
    """
    when = np.asarray(frames)
    points = poses[..., :2]
    sizes = np.ptp(points, axis=1).max(axis=1, initial=1)
    still = points - (0 if camera is None else camera[when][:, None])
    follows = np.diff(when) == 1
    steps = np.linalg.norm(np.diff(still, axis=0), axis=-1).mean(axis=1)[follows] / sizes[1:][follows]
    middle = points[:, SHOULDERS + HIPS, 0].mean(axis=1)
    trunk = points[:, SHOULDERS].mean(axis=1) - points[:, HIPS].mean(axis=1)
    legs = [points[:, HIPS] - points[:, KNEES], points[:, KNEES] - points[:, ANKLES]]
    lengths = np.stack([np.linalg.norm(trunk, axis=-1), np.linalg.norm(legs, axis=-1).mean(axis=-1).sum(axis=0)])
    growth = np.abs(np.diff(np.log(np.maximum(lengths, 1))))[:, follows]
    return Part(len(when), float(np.median(sizes)) / size[1], float(np.median(steps)) if len(steps) else 0.0,
                float(np.median(np.abs(2 * middle / size[0] - 1))), float(poses[..., 2].mean()),
                float(np.median(growth, axis=1).sum()) if follows.any() else 0.0)


def things(parts: Sequence[Part], least_score: float) -> list[bool]:
    """Who is no person: hardly like one, or of bones that change their length all the time.

    Args:
        parts: of all.
        least_score: mean of the joints' scores of a person.
    """
    half = max((part.prominence for part in parts), default=0) / 2
    steadiest = min((part.growth for part in parts if part.prominence >= half), default=0)
    most = max(_LEAST_GROWTH, _MORE_GROWTH * steadiest)
    return [part.score < least_score or part.growth > most for part in parts]


def audience(parts: Sequence[Part]) -> list[bool]:
    """Who looks on: is much less prominent than the most prominent."""
    most = max((part.prominence for part in parts), default=0)
    return [part.prominence < _AUDIENCE * most for part in parts]
