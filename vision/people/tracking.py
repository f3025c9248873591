"""Who is who from frame to frame: poses matched by how alike they are, by optimal assignment.

A skeleton is float64 [17, 3]: x, y in pixels and a score of at least 0. Nothing here knows of files.
"""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

_REACH, _REACH_PER_MISSED = 0.2, 0.01
"""How far a joint moves from frame to frame, as a share of the person's size, and how much farther for each frame in
which he was not seen."""
_LEAST_LIKENESS = 0.15
_STEADINESS = 0.5
"""Weight of what was known of a person's speed against the last step."""


def likeness(first: np.ndarray, second: np.ndarray, reach: float | np.ndarray = _REACH) -> np.ndarray:
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
    sizes = [np.ptp(poses[..., :2], axis=1).max(axis=1, initial=1) for poses in (first, second)]
    limit = (np.reshape(reach, (-1, 1)) * np.maximum(sizes[0][:, None], sizes[1]))[..., None]
    distance = np.linalg.norm(first[:, None, :, :2] - second[None, :, :, :2], axis=-1)
    weight = np.minimum(first[:, None, :, 2], second[None, :, :, 2]) + 1e-6
    return (weight * np.exp(-((distance / limit) ** 2) / 2)).sum(axis=-1) / weight.sum(axis=-1)


def track(frames: Sequence[Sequence[np.ndarray]], longest_gap: int) -> list[list[int]]:
    """Give the people of all frames ids that stay the same.

    Everybody is expected where his speed takes him from where he was last seen, and the poses of a frame are given to
    those expected so that the sum of likenesses is the greatest. A pose that nobody fits begins a new person.

    Args:
        frames: skeletons [17, 3] of each frame.
        longest_gap: frames for which somebody who is out of sight is still expected.

    Returns:
        for each frame the ids of its skeletons, from 0 in the order of their first frames.
    """
    last: list[np.ndarray] = []
    speed: list[np.ndarray] = []
    seen: list[int] = []
    ids = []
    for frame, poses in enumerate(frames):
        awaited = [i for i, when in enumerate(seen) if frame - when <= longest_gap + 1]
        chosen = [-1] * len(poses)
        if awaited and len(poses):
            steps = np.array([frame - seen[i] for i in awaited])
            reach = _REACH + _REACH_PER_MISSED * (steps - 1)
            # He may have walked on or have stopped: the better of the two counts.
            walked = np.stack([_moved(last[i], speed[i] * step) for i, step in zip(awaited, steps)])
            alike = np.maximum(likeness(walked, np.stack(poses), reach),
                               likeness(np.stack([last[i] for i in awaited]), np.stack(poses), reach))
            for row, column in zip(*linear_sum_assignment(alike, maximize=True)):
                if alike[row, column] > _LEAST_LIKENESS:
                    chosen[column] = awaited[row]
        for number, pose in enumerate(poses):
            i = chosen[number]
            if i < 0:
                i = chosen[number] = len(last)
                last.append(pose)
                speed.append(np.zeros(2))
                seen.append(frame)
                continue
            step = (_middle(pose) - _middle(last[i])) / (frame - seen[i])
            speed[i] = _STEADINESS * speed[i] + (1 - _STEADINESS) * step
            last[i], seen[i] = pose, frame
        ids.append(chosen)
    return ids


def by_frames_seen(ids: Sequence[Sequence[Hashable]], least_frames: int = 1) -> list:
    """Ids in descending order of the number of frames they are in, if in `least_frames` or more; ties: first come."""
    counts = Counter(i for frame in ids for i in frame)
    return [i for i, count in counts.most_common() if count >= least_frames]


def assign_to_masks(poses: Sequence[np.ndarray], masks: Sequence[np.ndarray], least_share: float = 0.4) -> list[int]:
    """Match the people of a frame to masks, so that as many joints as can be lie in their masks.

    Args:
        poses: skeletons [17, 3] in pixels of the masks.
        masks: bool [H, W].
        least_share: of a person's joints that must lie in the mask.

    Returns:
        for each pose the index of its mask, -1 for none.
    """
    chosen = [-1] * len(poses)
    if len(poses) and len(masks):
        shares = np.array([[joints_inside(pose, mask) for mask in masks] for pose in poses])
        for row, column in zip(*linear_sum_assignment(shares, maximize=True)):
            if shares[row, column] >= least_share:
                chosen[row] = int(column)
    return chosen


def joints_inside(pose: np.ndarray, mask: np.ndarray) -> float:
    """Share of a skeleton's seen joints that lie in a mask, in [0, 1]; 0 if no joint is seen.

    Args:
        pose: [17, 3] in pixels of the mask.
        mask: bool [H, W].
    """
    height, width = mask.shape
    x, y = np.rint(pose[pose[:, 2] > 0, :2]).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return float(np.mean(inside & mask[y.clip(0, height - 1), x.clip(0, width - 1)])) if len(x) else 0.0


def _middle(pose: np.ndarray) -> np.ndarray:
    return np.average(pose[:, :2], axis=0, weights=pose[:, 2] + 1e-6)


def _moved(pose: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.concatenate([pose[:, :2] + by, pose[:, 2:]], axis=1)
