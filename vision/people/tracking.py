"""Who is who in a clip: all of it is looked at before anybody gets an id.

Skeletons inside a surer one are nobody's. What is beyond doubt from one frame to the next is linked to short tracks,
which end wherever two people could be meant. Tracks are then joined by how they move and what they look like, as an
optimal assignment of ends to beginnings, the surest first: a crossing is decided by all that is known before and after.

A skeleton is float64 [17, 3]: x, y in pixels and a score of at least 0. Nothing here knows of files.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from vision.people.coco import BONES, HIPS, SHOULDERS
from vision.people.looks import difference, mean_look

NOBODY = -1
"""The id of what is no person of the clip."""
PER_SECOND = 25
"""Frames per second that what is said in frames here is meant for. Where a clip has fewer, more happens from one to the
next."""
_REACH, _REACH_PER_MISSED, _FARTHEST_REACH = 0.2, 0.01, 0.6
"""How far a joint moves from frame to frame, as a share of the person's size, and how much farther for each frame in
which he was not seen."""
_LINKED, _CLEARLY, _LINKED_FRAMES = 0.35, 0.15, 5
"""Likeness from which skeletons of so few frames one after the other are one person's, and by how much more than of any
other."""
_LEAST_LIKENESS = 0.15
_LIMITS = (0.6, 1.2, float(-np.log(_LEAST_LIKENESS)))
"""The highest cost of a join, round by round."""
_LOOK_SCALE, _UNKNOWN_LOOK, _SIZE_SCALE = 0.28, 0.3, 0.35
"""Differences in looks and in the logarithm of size that cost as much as a likeness of exp(-1/2); what it costs that no
look is known, where others' are."""
_OTHER_LOOK = 0.5
"""Difference in looks from which skeletons of a frame, or of successive ones, are of two people."""
_CHANGED_LOOK, _LOOK_FRAMES = 0.25, 6
"""Difference between the looks of so many frames before and after at which a track is cut, as it may have gone over to
somebody else; if not, it is joined again."""
_AWAY, _KNOWN_AFTER = 1.2, 5
"""What it costs to come back after so long that one may be anywhere, and frames in which one must be seen before and
after to be known again then."""
_TOGETHER = 0.1
"""Share of the shorter track's frames in which two tracks of one person may both be there."""
_CHANGES_HANDS = 0.6
"""What it costs that what is found of two people who hide each other is of the other one from a frame on."""
_SPEED_FRAMES, _LONGEST_WALK = 5, 12
"""Frames that somebody's speed is taken from, and for how long he goes on with it unseen."""
_SAME = 0.75
"""Likeness from which two skeletons of a frame are one person's."""
_GHOST_DISTANCE, _GHOST_SHARE, _GHOST_SIZE, _LESS_SURE = 0.07, 0.8, 1.1, 0.03
"""Of a skeleton that is the shadow of a surer one: how near that one's bones its joints are, as a share of its size,
how many of them, how much larger it may be, and by how much it is less sure."""


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
    return _likeness(first[:, None], second[None], np.reshape(reach, (-1, 1)))


def track(frames: Sequence[Sequence[np.ndarray]], longest_gap: int,
          looks: Sequence[np.ndarray] | None = None, rate: float = PER_SECOND) -> list[list[int]]:
    """Give the people of all frames ids that stay the same.

    Args:
        frames: skeletons [17, 3] of each frame.
        longest_gap: frames for which somebody who is out of sight is still expected where he would be. Who looks the
            same may be away for longer.
        looks: of each frame `vision.people.looks.looks_of` its skeletons.
        rate: frames per second.

    Returns:
        for each frame the ids of its skeletons, from 0 in the order of their first frames; `NOBODY` for those that are
        inside a surer one.
    """
    counts = [len(present) for present in frames]
    if not sum(counts):
        return [[] for _ in frames]
    seen = _Seen(np.stack([pose for present in frames for pose in present]).astype(float),
                 np.repeat(np.arange(len(frames)), counts),
                 None if looks is None else np.concatenate([of_frame for of_frame in looks if len(of_frame)]),
                 PER_SECOND / rate)
    doubled = np.concatenate([inside_surer(np.stack(present), None if looks is None else looks[frame])
                              for frame, present in enumerate(frames) if len(present)])
    tracks = [part for whole in _linked(seen, ~doubled) for part in _of_one_look(seen, whole)]
    for limit in _LIMITS:
        before = len(tracks) + 1
        while len(tracks) < before:
            before, tracks = len(tracks), _joined(seen, tracks, longest_gap, limit)
        tracks = _hardly_together(seen, tracks, longest_gap, limit)
    tracks = _given_back(seen, _exchanged(seen, tracks, longest_gap), longest_gap)
    tracks = _with_doubled(seen, tracks, np.flatnonzero(doubled), longest_gap)
    ids = np.full(len(seen.when), NOBODY)
    for number, members in enumerate(sorted(tracks, key=lambda members: members[0])):
        ids[members] = number
    return [of_frame.tolist() for of_frame in np.split(ids, np.cumsum(counts)[:-1])]


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
    sizes, scores = _sizes(poses), poses[..., 2].mean(axis=1)
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
        inside &= ~(difference(looks[:, None], looks) > _OTHER_LOOK)  # where it is not known, too
    return (inside & (scores[:, None] < scores - _LESS_SURE)).any(axis=1)


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


class _Seen(NamedTuple):
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
        return np.minimum(_REACH + _REACH_PER_MISSED * np.maximum(frames * self.step - 1, 0), _FARTHEST_REACH)

    def frames(self, span: float) -> int:
        """How many frames of the clip take as long as so many of `PER_SECOND`; at least one."""
        return max(round(span / self.step), 1)


def _linked(seen: _Seen, usable: np.ndarray) -> list[np.ndarray]:
    """Tracks, indices of skeletons, of what is beyond doubt from frame to frame."""
    tracks: list[list[int]] = []
    awaited: list[list[int]] = []
    for frame in range(seen.when[-1] + 1):
        here = np.flatnonzero((seen.when == frame) & usable)
        awaited = [members for members in awaited if frame - seen.when[members[-1]] <= seen.frames(_LINKED_FRAMES)]
        begun = set(range(len(here)))
        if awaited and len(here):
            alike = _alike_in_next(seen, awaited, here, frame)
            ended = set()
            for row, column in zip(*linear_sum_assignment(alike, maximize=True)):
                others = max(np.delete(alike[row], column).max(initial=0),
                             np.delete(alike[:, column], row).max(initial=0))
                if alike[row, column] > max(_LINKED, others + _CLEARLY):
                    awaited[row].append(int(here[column]))
                    begun.remove(column)
                elif alike[row, column] > _LINKED:  # whoever it may be goes on from here
                    ended |= set(np.flatnonzero(alike[:, column] + _CLEARLY >= alike[row, column]).tolist())
            awaited = [members for row, members in enumerate(awaited) if row not in ended]
        new = [[int(here[column])] for column in sorted(begun)]
        tracks += new
        awaited += new
    return [np.array(members) for members in tracks]


def _alike_in_next(seen: _Seen, awaited: list[list[int]], here: np.ndarray, frame: int) -> np.ndarray:
    """How alike those awaited [N] and the skeletons [M] of a frame are: likeness, less where they are coloured
    differently."""
    last = np.array([members[-1] for members in awaited])
    walked = np.stack([_moved(seen.poses[members[-1]], _speed(seen, members) * (frame - seen.when[members[-1]]))
                       for members in awaited])
    reach = seen.reach(np.ones(len(last)))
    alike = np.maximum(likeness(walked, seen.poses[here], reach), likeness(seen.poses[last], seen.poses[here], reach))
    if seen.looks is None:
        return alike
    apart = difference(seen.looks[last][:, None], seen.looks[here])
    return alike * np.exp(-((np.nan_to_num(apart) / _OTHER_LOOK) ** 2) / 2)


def _of_one_look(seen: _Seen, members: np.ndarray) -> list[np.ndarray]:
    """A track, cut where it has gone over to somebody else."""
    if seen.looks is None or len(members) < 2 * _LOOK_FRAMES:
        return [members]
    changes = np.nan_to_num([difference(mean_look(seen.looks[members[i - _LOOK_FRAMES:i]]),
                                        mean_look(seen.looks[members[i:i + _LOOK_FRAMES]]))
                             for i in range(_LOOK_FRAMES, len(members) - _LOOK_FRAMES + 1)])
    place = int(changes.argmax()) + _LOOK_FRAMES
    if changes.max() < _CHANGED_LOOK:
        return [members]
    return [part for half in (members[:place], members[place:]) for part in _of_one_look(seen, half)]


def _joined(seen: _Seen, tracks: list[np.ndarray], longest_gap: int, limit: float) -> list[np.ndarray]:
    """Tracks joined to others that they go on as, by the least sum of costs of which none is higher than `limit`."""
    costs = np.stack([_costs_of_joins(seen, one, tracks, longest_gap) for one in tracks])
    follows = {int(row): int(column) for row, column in zip(*linear_sum_assignment(np.minimum(costs - limit, 0)))
               if costs[row, column] < limit}
    joined = []
    for first in set(range(len(tracks))) - set(follows.values()):
        chain = [first]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        joined.append(np.concatenate([tracks[i] for i in chain]))
    return joined


def _hardly_together(seen: _Seen, tracks: list[np.ndarray], longest_gap: int, limit: float) -> list[np.ndarray]:
    """Tracks, those joined that lie between each other's frames and are hardly ever seen together, the surest first,
    of those that it costs less than `limit`."""
    tracks = list(tracks)
    while True:
        best, pair = limit, None
        for i, one in enumerate(tracks):
            for j, other in enumerate(tracks):
                if len(one) > len(other) >= _KNOWN_AFTER or (len(one) == len(other) >= _KNOWN_AFTER and i < j):
                    both = np.isin(seen.when[other], seen.when[one])
                    if both.sum() <= _TOGETHER * len(other):
                        cost = _cost_of_both(seen, one, other[~both], longest_gap)
                        if cost < best:
                            best, pair = cost, (i, j, other[~both], other[both])
        if pair is None:
            return tracks
        i, j, rest, doubled = pair
        whole = np.concatenate([tracks[i], rest])
        tracks = [track for number, track in enumerate(tracks) if number not in (i, j)]
        tracks += [whole[np.argsort(seen.when[whole])], *([doubled] if len(doubled) else [])]


def _cost_of_both(seen: _Seen, one: np.ndarray, other: np.ndarray, longest_gap: int) -> float:
    """What it costs that two tracks that share no frame are one person's: the most that going from one to the other
    does."""
    whole = np.concatenate([one, other])
    order = np.argsort(seen.when[whole])
    parts = np.split(whole[order], 1 + np.flatnonzero(np.diff(order >= len(one))))
    return max(float(_costs_of_joins(seen, before, [after], longest_gap, True)[0]) for before, after in pairwise(parts))


def _exchanged(seen: _Seen, tracks: list[np.ndarray], longest_gap: int) -> list[np.ndarray]:
    """Tracks, and of two that each go on as the other one from a frame on, by what they look like, the rest exchanged.

    A track that slides from somebody to who hides her leaves that one's rest to be joined to hers, in whatever order
    tracks are joined.
    """
    tracks = list(tracks)
    for i, j in combinations(range(len(tracks)), 2) if seen.looks is not None else ():
        frame = _exchanged_from(seen, tracks[i], tracks[j], longest_gap)
        if frame is not None:
            (one, its_rest), (other, others_rest) = (_split(seen, track, frame) for track in (tracks[i], tracks[j]))
            tracks[i], tracks[j] = np.concatenate([one, others_rest]), np.concatenate([other, its_rest])
    return tracks


def _exchanged_from(seen: _Seen, one: np.ndarray, other: np.ndarray, longest_gap: int) -> int | None:
    """The frame from which on two tracks are rather each other's; None: they are not."""
    best, chosen = _CHANGES_HANDS, None
    frames = np.union1d(seen.when[one], seen.when[other])
    looks = [half for track in (one, other) for half in _looks_around(seen, track, frames)]
    apart = [(np.nan_to_num(difference(looks[i], looks[j])) / _LOOK_SCALE) ** 2 / 2
             for i, j in ((0, 1), (2, 3), (0, 3), (2, 1))]
    for frame in frames[apart[0] + apart[1] - apart[2] - apart[3] > _CHANGES_HANDS / 2]:
        first, rest, others_first, others_rest = *_split(seen, one, frame), *_split(seen, other, frame)
        if min(map(len, (first, rest, others_first, others_rest))) >= _LOOK_FRAMES:
            goes_on = _costs_of_joins(seen, first, [rest, others_rest], longest_gap)
            others_goes_on = _costs_of_joins(seen, others_first, [others_rest, rest], longest_gap)
            gain = goes_on[0] + others_goes_on[0] - goes_on[1] - others_goes_on[1]
            if gain > best and max(goes_on[1], others_goes_on[1]) < _LIMITS[-1]:
                best, chosen = gain, int(frame)
    return chosen


def _looks_around(seen: _Seen, track: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`mean_look` of a track before each of the frames, and from it on, as far as `difference` can tell."""
    assert seen.looks is not None
    looks, weight = seen.looks[track, :, :-1], seen.looks[track, :, -1:]
    sums = np.concatenate([looks * weight, weight], axis=-1).cumsum(axis=0, dtype=float)
    sums = np.concatenate([np.zeros((1, *sums.shape[1:])), sums])
    counts = np.searchsorted(seen.when[track], frames)
    halves = []
    for total, count in ((sums[counts], counts), (sums[-1] - sums[counts], len(track) - counts)):
        share = total[..., -1:]
        halves.append(np.concatenate([total[..., :-1] / np.maximum(share, 1e-6),
                                      share / np.maximum(count, 1)[:, None, None]], axis=-1))
    return halves[0], halves[1]


def _split(seen: _Seen, track: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A track before a frame, and from it on."""
    before = seen.when[track] < frame
    return track[before], track[~before]


def _given_back(seen: _Seen, tracks: list[np.ndarray], longest_gap: int) -> list[np.ndarray]:
    """Tracks, and in the gaps of each what another one has taken there that is rather his.

    Of two who hide each other an estimator may find one alone, now this, now that one, and what it finds slides from
    one to the other. Whose it is tells where both must be there, on the way from before the gap to after it.
    """
    tracks = list(tracks)
    for i, one in enumerate(tracks):
        for before, after in pairwise(one):
            if not 1 < seen.when[after] - seen.when[before] <= longest_gap + 1:
                continue
            for j, other in enumerate(tracks):
                taken = _rather_between(seen, one, (before, after), other) if j != i else other[:0]
                if len(taken):
                    tracks[j] = np.setdiff1d(other, taken)
                    tracks[i] = np.union1d(tracks[i], taken)
                    break
    return tracks


def _rather_between(seen: _Seen, one: np.ndarray, ends: tuple[int, int], other: np.ndarray) -> np.ndarray:
    """What of a track `other` is rather of `one`, who is not seen between two of his skeletons, the `ends`."""
    start, stop = seen.when[list(ends)]
    times = seen.when[other]
    within = other[(times > start) & (times < stop)]
    earlier, later = other[times <= start], other[times >= stop]
    if not (len(within) and len(earlier) and len(later)):
        return other[:0]
    costs = []
    for members, (first, last) in ((one, ends), (other, (earlier[-1], later[0]))):
        share = (seen.when[within] - seen.when[first]) / (seen.when[last] - seen.when[first])
        expected = seen.poses[first] + share[:, None, None] * (seen.poses[last] - seen.poses[first])
        motion = -np.log(np.maximum(_likeness(expected, seen.poses[within], np.full(len(within), _REACH)), 1e-9))
        growth = np.log(_sizes(seen.poses[within]) / _sizes(expected))
        cost = motion + (growth / _SIZE_SCALE) ** 2 / 2
        if seen.looks is not None:
            apart = difference(mean_look(seen.looks[members]), seen.looks[within])
            cost += (np.nan_to_num(apart) / _LOOK_SCALE) ** 2 / 2
        costs.append(np.minimum(cost, _LIMITS[-1]))
    return within[_taken(costs[1] - costs[0])]


def _taken(gains: np.ndarray) -> np.ndarray:
    """Which of the skeletons of a track, one after the other, to give away: bool [N], so that the sum of their `gains`,
    less `_CHANGES_HANDS` for each time that they change hands, is largest."""
    kept, given, choices = 0.0, -np.inf, []
    for gain in gains:
        to_given, to_kept = kept - _CHANGES_HANDS > given, given - _CHANGES_HANDS > kept
        choices.append((to_kept, to_given))
        kept, given = (max(kept, given - _CHANGES_HANDS), max(given, kept - _CHANGES_HANDS) + gain)
    taken = np.zeros(len(gains), bool)
    mine = given - _CHANGES_HANDS > kept
    for place in reversed(range(len(gains))):
        taken[place] = mine
        to_kept, to_given = choices[place]
        mine = not to_given if mine else to_kept
    return taken


def _costs_of_joins(seen: _Seen, one: np.ndarray, tracks: list[np.ndarray], longest_gap: int,
                    known_again: bool = False) -> np.ndarray:
    """What it costs that `one` goes on as each of the tracks: minus the logarithm of a likeness; infinite: it cannot.

    With `known_again` also those that are short may be known after having been away for long.
    """
    costs = np.full(len(tracks), np.inf)
    away = np.array([seen.when[other[0]] - seen.when[one[-1]] for other in tracks])
    known = np.array([seen.looks is not None and (known_again or min(len(one), len(other)) >= _KNOWN_AFTER)
                      for other in tracks])
    later = np.flatnonzero((away > 0) & ((away <= longest_gap + 1) | known))
    if not len(later):
        return costs
    steps = np.minimum(away[later], seen.frames(_LONGEST_WALK))[:, None]
    end, starts = seen.poses[one[-1]], seen.poses[[tracks[i][0] for i in later]]
    reach = seen.reach(away[later])
    # They may have walked on, as fast as before or as after it, or have stopped: the best counts.
    speeds = np.stack([_speed(seen, tracks[i][::-1]) for i in later])
    back = np.concatenate([starts[..., :2] + (speeds * steps)[:, None], starts[..., 2:]], axis=-1)
    on = np.stack([_moved(end, _speed(seen, one) * step) for step in steps])
    alike = [_likeness(on, starts, reach), _likeness(end, starts, reach), _likeness(end, back, reach)]
    motion = -np.log(np.maximum(np.max(alike, axis=0), 1e-9))
    if seen.looks is None:
        costs[later] = motion
        return costs
    motion = np.minimum(motion, _AWAY * np.maximum(1, (longest_gap + 1) / away[later]))
    look = mean_look(seen.looks[one])
    apart = difference(look, np.stack([mean_look(seen.looks[tracks[i]]) for i in later]))
    sizes = _sizes(seen.poses[one[-_SPEED_FRAMES:]]), [_sizes(seen.poses[tracks[i][:_SPEED_FRAMES]]) for i in later]
    growth = np.log([np.median(size) / np.median(sizes[0]) for size in sizes[1]])
    unknown = np.where(away[later] <= longest_gap + 1, _UNKNOWN_LOOK, np.inf)
    costs[later] = (motion + np.where(np.isnan(apart), unknown, (apart / _LOOK_SCALE) ** 2 / 2)
                    + np.minimum((growth / _SIZE_SCALE) ** 2 / 2, _AWAY))
    return costs


def _with_doubled(seen: _Seen, tracks: list[np.ndarray], doubled: np.ndarray, longest_gap: int) -> list[np.ndarray]:
    """Tracks, and in their gaps the skeletons that seemed to be another's shadow, where somebody must have been."""
    for index in doubled:
        best, chosen = _LINKED, None
        for number, members in enumerate(tracks):
            place = int(np.searchsorted(seen.when[members], seen.when[index]))
            if 0 < place < len(members) and seen.when[members[place]] != seen.when[index]:
                before, after = members[place - 1], members[place]
                gap = seen.when[after] - seen.when[before]
                share = (seen.when[index] - seen.when[before]) / gap
                between = (1 - share) * seen.poses[before] + share * seen.poses[after]
                alike = likeness(between[None], seen.poses[index][None], seen.reach(np.ones(1)))[0, 0]
                if gap <= longest_gap + 1 and alike > best:
                    best, chosen = alike, (number, place)
        if chosen is not None:
            tracks[chosen[0]] = np.insert(tracks[chosen[0]], chosen[1], index)
    return tracks


def _likeness(first: np.ndarray, second: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """`likeness` of pairs: skeletons [..., 17, 3] and [...] that broadcast with each other."""
    limit = reach * np.maximum(_sizes(first), _sizes(second))
    distance = np.linalg.norm(first[..., :2] - second[..., :2], axis=-1)
    weight = np.minimum(first[..., 2], second[..., 2]) + 1e-6
    return (weight * np.exp(-((distance / limit[..., None]) ** 2) / 2)).sum(axis=-1) / weight.sum(axis=-1)


def _speed(seen: _Seen, members: np.ndarray | list[int]) -> np.ndarray:
    """How far somebody moved per frame at a track's end, pixels [2]; backwards in time, too."""
    some = list(members[-seen.frames(_SPEED_FRAMES) - 1:])
    if len(some) < 2:
        return np.zeros(2)
    middles = np.stack([_middle(seen.poses[i]) for i in some])
    return (middles[-1] - middles[0]) / abs(seen.when[some[-1]] - seen.when[some[0]])


def _sizes(poses: np.ndarray) -> np.ndarray:
    """The longer side of the box around each skeleton [..., 17, 3], at least 1."""
    return np.ptp(poses[..., :2], axis=-2).max(axis=-1, initial=1)


def _middle(pose: np.ndarray) -> np.ndarray:
    return np.average(pose[:, :2], axis=0, weights=pose[:, 2] + 1e-6)


def _moved(pose: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.concatenate([pose[:, :2] + by, pose[:, 2:]], axis=1)
