"""Skeletons of a clip, and what it costs that some of them are one person's, by motion, size and looks.

A skeleton is float64 [17, 3]: x, y in pixels and a score of at least 0. Nothing here knows of files.
"""

from typing import NamedTuple

import numpy as np

from vision.people.coco import BONES, HIPS, SHOULDERS
from vision.people.looks import difference, mean_look

PER_SECOND = 25
"""Frames per second that what is said in frames here is meant for. Where a clip has fewer, more happens from one to the
next."""
REACH, _REACH_PER_MISSED, _FARTHEST_REACH = 0.2, 0.01, 0.6
"""How far a joint moves from frame to frame, as a share of the person's size, and how much farther for each frame in
which he was not seen."""
_LEAST_LIKENESS = 0.15
LIMITS = (0.6, 1.2, float(-np.log(_LEAST_LIKENESS)))
"""The highest cost of a join, round by round."""
LOOK_SCALE, _UNKNOWN_LOOK, SIZE_SCALE = 0.28, 0.3, 0.35
"""Differences in looks and in the logarithm of size that cost as much as a likeness of exp(-1/2); what it costs that no
look is known, where others' are."""
OTHER_LOOK = 0.5
"""Difference in looks from which skeletons of a frame, or of successive ones, are of two people."""
LOOK_FRAMES = 6
"""Frames before and after by which it is told whether somebody looks otherwise."""
_AWAY, KNOWN_AFTER = 1.2, 5
"""What it costs to come back after so long that one may be anywhere, and frames in which one must be seen before and
after to be known again then."""
_SPEED_FRAMES, _LONGEST_WALK = 5, 12
"""Frames that somebody's speed is taken from, and for how long he goes on with it unseen."""
_SAME = 0.75
"""Likeness from which two skeletons of a frame are one person's."""
_GHOST_DISTANCE, _GHOST_SHARE, _GHOST_SIZE, _LESS_SURE = 0.07, 0.8, 1.1, 0.03
"""Of a skeleton that is the shadow of a surer one: how near that one's bones its joints are, as a share of its size,
how many of them, how much larger it may be, and by how much it is less sure."""


class Sightings(NamedTuple):
    """All skeletons of a clip, one after the other.

    Attributes:
        poses: [N, 17, 3].
        when: [N], the frame of each.
        looks: [N, ...], what each looks like; None: not known.
        step: how long it is from frame to frame, in `PER_SECOND`ths of a second.
    """

    poses: np.ndarray
    when: np.ndarray
    looks: np.ndarray | None
    step: float = 1.0

    def reach(self, frames: np.ndarray) -> np.ndarray:
        """How far a joint may have moved in so many frames, for `likeness`."""
        return np.minimum(REACH + _REACH_PER_MISSED * np.maximum(frames * self.step - 1, 0), _FARTHEST_REACH)

    def frames(self, span: float) -> int:
        """How many frames of the clip take as long as so many of `PER_SECOND`; at least one."""
        return max(round(span / self.step), 1)


def likeness(first: np.ndarray, second: np.ndarray, reach: float | np.ndarray = REACH) -> np.ndarray:
    """How alike two sets of skeletons are, in the manner of COCO's object keypoint similarity.

    Args:
        first: [N, 17, 3].
        second: [M, 17, 3].
        reach: distance of a joint at which its likeness has fallen to exp(-1/2), as a share of the person's size, the
            longer side of the larger of the two boxes; one for all or [N].

    Returns:
        [N, M] in [0, 1]: the mean over the joints of exp(-d^2 / 2 (reach size)^2), a joint counting by the lower of its
        two scores.
    """
    return likeness_of_pairs(first[:, None], second[None], np.reshape(reach, (-1, 1)))


def likeness_of_pairs(first: np.ndarray, second: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """`likeness` of pairs: skeletons [..., 17, 3] and [...] that broadcast with each other."""
    limit = reach * np.maximum(sizes_of(first), sizes_of(second))
    distance = np.linalg.norm(first[..., :2] - second[..., :2], axis=-1)
    weight = np.minimum(first[..., 2], second[..., 2]) + 1e-6
    return (weight * np.exp(-((distance / limit[..., None]) ** 2) / 2)).sum(axis=-1) / weight.sum(axis=-1)


def inside_surer(poses: np.ndarray, looks: np.ndarray | None = None) -> np.ndarray:
    """Which skeletons of a frame lie on the bones of a surer one, as an estimator's second guess at a person does.

    Args:
        poses: [N, 17, 3].
        looks: [N, ...], what they look like: who is coloured differently is somebody else.

    Returns:
        bool [N].
    """
    if len(poses) < 2:
        return np.zeros(len(poses), bool)
    sizes, scores = sizes_of(poses), poses[..., 2].mean(axis=1)
    bones = (*BONES, *zip(SHOULDERS, reversed(HIPS)))  # a trunk is not hollow
    starts, ends = poses[:, [a for a, _ in bones], :2], poses[:, [b for _, b in bones], :2]
    along = ends - starts
    to_joint = poses[:, None, :, None, :2] - starts[None, :, None]  # [N, N, 17, bones, 2]
    share = (to_joint * along[None, :, None]).sum(-1) / np.maximum((along ** 2).sum(-1), 1e-6)[None, :, None]
    apart = np.linalg.norm(to_joint - np.clip(share, 0, 1)[..., None] * along[None, :, None], axis=-1).min(axis=-1)
    near = apart < _GHOST_DISTANCE * sizes[None, :, None]
    weight = poses[:, None, :, 2] + 1e-6
    on_bones = (near * weight).sum(-1) / weight.sum(-1)
    inside = (on_bones >= _GHOST_SHARE) & (sizes[:, None] <= _GHOST_SIZE * sizes)
    inside |= likeness(poses, poses) > _SAME
    if looks is not None:
        inside &= ~(difference(looks[:, None], looks) > OTHER_LOOK)  # where it is not known, too
    return (inside & (scores[:, None] < scores - _LESS_SURE)).any(axis=1)


def costs_of_joins(seen: Sightings, one: np.ndarray, tracks: list[np.ndarray], longest_gap: int,
                    known_again: bool = False) -> np.ndarray:
    """What it costs that `one` goes on as each of the tracks: minus the logarithm of a likeness; infinite: it cannot.

    With `known_again` also those that are short may be known after having been away for long.
    """
    costs = np.full(len(tracks), np.inf)
    away = np.array([seen.when[other[0]] - seen.when[one[-1]] for other in tracks])
    known = np.array([seen.looks is not None and (known_again or min(len(one), len(other)) >= KNOWN_AFTER)
                      for other in tracks])
    later = np.flatnonzero((away > 0) & ((away <= longest_gap + 1) | known))
    if not len(later):
        return costs
    steps = np.minimum(away[later], seen.frames(_LONGEST_WALK))[:, None]
    end, starts = seen.poses[one[-1]], seen.poses[[tracks[i][0] for i in later]]
    reach = seen.reach(away[later])
    # They may have walked on, as fast as before or as after it, or have stopped: the best counts.
    speeds = np.stack([speed(seen, tracks[i][::-1]) for i in later])
    back = np.concatenate([starts[..., :2] + (speeds * steps)[:, None], starts[..., 2:]], axis=-1)
    on = np.stack([moved(end, speed(seen, one) * step) for step in steps])
    alike = [likeness_of_pairs(first, second, reach) for first, second in ((on, starts), (end, starts), (end, back))]
    motion = -np.log(np.maximum(np.max(alike, axis=0), 1e-9))
    if seen.looks is None:
        costs[later] = motion
        return costs
    motion = np.minimum(motion, _AWAY * np.maximum(1, (longest_gap + 1) / away[later]))
    look = mean_look(seen.looks[one])
    apart = difference(look, np.stack([mean_look(seen.looks[tracks[i]]) for i in later]))
    sizes = sizes_of(seen.poses[one[-_SPEED_FRAMES:]]), [sizes_of(seen.poses[tracks[i][:_SPEED_FRAMES]]) for i in later]
    growth = np.log([np.median(size) / np.median(sizes[0]) for size in sizes[1]])
    unknown = np.where(away[later] <= longest_gap + 1, _UNKNOWN_LOOK, np.inf)
    costs[later] = (motion + np.where(np.isnan(apart), unknown, (apart / LOOK_SCALE) ** 2 / 2)
                    + np.minimum((growth / SIZE_SCALE) ** 2 / 2, _AWAY))
    return costs


def speed(seen: Sightings, members: np.ndarray | list[int]) -> np.ndarray:
    """How far somebody moved per frame at a track's end, pixels [2]; backwards in time, too."""
    some = list(members[-seen.frames(_SPEED_FRAMES) - 1:])
    if len(some) < 2:
        return np.zeros(2)
    middles = np.stack([_middle(seen.poses[i]) for i in some])
    return (middles[-1] - middles[0]) / abs(seen.when[some[-1]] - seen.when[some[0]])


def sizes_of(poses: np.ndarray) -> np.ndarray:
    """The longer side of the box around each skeleton [..., 17, 3] in pixels, at least 1: [...]."""
    return np.ptp(poses[..., :2], axis=-2).max(axis=-1, initial=1)


def _middle(pose: np.ndarray) -> np.ndarray:
    return np.average(pose[:, :2], axis=0, weights=pose[:, 2] + 1e-6)


def moved(pose: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A skeleton [17, 3] that is `by`, pixels [2], further."""
    return np.concatenate([pose[:, :2] + by, pose[:, 2:]], axis=1)
