"""Who is who in a clip: all of it is looked at before anybody gets an id.

Skeletons inside a surer one are nobody's. What is beyond doubt from one frame to the next is linked to short tracks,
which end wherever two people could be meant. Tracks are then joined by how they move and what they look like, as an
optimal assignment of ends to beginnings, the surest first: a crossing is decided by all that is known before and after.

A skeleton is float64 [17, 3]: x, y in pixels and a score of at least 0. Nothing here knows of files.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from vision.people.looks import difference, mean_look
from vision.people.sightings import (
    KNOWN_AFTER,
    LIMITS,
    LOOK_FRAMES,
    OTHER_LOOK,
    PER_SECOND,
    Sightings,
    costs_of_joins,
    inside_surer,
    likeness,
    moved,
    sizes_of,
    speed,
)
from vision.people.track_exchanges import exchanged, given_back

NOBODY = -1
"""The id of what is no person of the clip."""
_LINKED, _CLEARLY, _LINKED_FRAMES = 0.35, 0.15, 5
"""Likeness from which skeletons of so few frames one after the other are one person's, and by how much more than of any
other."""
_CHANGED_LOOK = 0.25
"""Difference between the looks of `LOOK_FRAMES` before and after at which a track is cut, as it may have gone over to
somebody else; if not, it is joined again."""
_TOGETHER = 0.1
"""Share of the shorter track's frames in which two tracks of one person may both be there."""
_SMALLEST, _LARGEST = 0.5, 1.5
"""Shares of somebody's size before and after between which he is what seemed to be another's shadow: of one of whom
little is seen an estimator may make a small body of the other's face."""


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
    seen = Sightings(np.stack([pose for present in frames for pose in present]).astype(float),
                     np.repeat(np.arange(len(frames)), counts),
                     None if looks is None else np.concatenate([of_frame for of_frame in looks if len(of_frame)]),
                     PER_SECOND / rate)
    doubled = np.concatenate([inside_surer(np.stack(present), None if looks is None else looks[frame])
                              for frame, present in enumerate(frames) if len(present)])
    tracks = [part for whole in _linked(seen, ~doubled) for part in _of_one_look(seen, whole)]
    for limit in LIMITS:
        before = len(tracks) + 1
        while len(tracks) < before:
            before, tracks = len(tracks), _joined(seen, tracks, longest_gap, limit)
        tracks = _hardly_together(seen, tracks, longest_gap, limit)
    tracks = given_back(seen, exchanged(seen, tracks, longest_gap), longest_gap)
    tracks = _with_doubled(seen, tracks, np.flatnonzero(doubled), longest_gap)
    ids = np.full(len(seen.when), NOBODY)
    for number, members in enumerate(sorted(tracks, key=lambda members: members[0])):
        ids[members] = number
    return [of_frame.tolist() for of_frame in np.split(ids, np.cumsum(counts)[:-1])]


def by_frames_seen(ids: Sequence[Sequence[Hashable]], least_frames: int = 1) -> list:
    """Ids in descending order of the number of frames they are in, if in `least_frames` or more; ties: first come."""
    counts = Counter(i for frame in ids for i in frame)
    return [i for i, count in counts.most_common() if count >= least_frames]


def _linked(seen: Sightings, usable: np.ndarray) -> list[np.ndarray]:
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


def _alike_in_next(seen: Sightings, awaited: list[list[int]], here: np.ndarray, frame: int) -> np.ndarray:
    """How alike those awaited [N] and the skeletons [M] of a frame are: likeness, less where they are coloured
    differently."""
    last = np.array([members[-1] for members in awaited])
    walked = np.stack([moved(seen.poses[members[-1]], speed(seen, members) * (frame - seen.when[members[-1]]))
                       for members in awaited])
    reach = seen.reach(np.ones(len(last)))
    alike = np.maximum(likeness(walked, seen.poses[here], reach), likeness(seen.poses[last], seen.poses[here], reach))
    if seen.looks is None:
        return alike
    apart = difference(seen.looks[last][:, None], seen.looks[here])
    return alike * np.exp(-((np.nan_to_num(apart) / OTHER_LOOK) ** 2) / 2)


def _of_one_look(seen: Sightings, members: np.ndarray) -> list[np.ndarray]:
    """A track, cut where it has gone over to somebody else."""
    if seen.looks is None or len(members) < 2 * LOOK_FRAMES:
        return [members]
    changes = np.nan_to_num([difference(mean_look(seen.looks[members[i - LOOK_FRAMES:i]]),
                                        mean_look(seen.looks[members[i:i + LOOK_FRAMES]]))
                             for i in range(LOOK_FRAMES, len(members) - LOOK_FRAMES + 1)])
    place = int(changes.argmax()) + LOOK_FRAMES
    if changes.max() < _CHANGED_LOOK:
        return [members]
    return [part for half in (members[:place], members[place:]) for part in _of_one_look(seen, half)]


def _joined(seen: Sightings, tracks: list[np.ndarray], longest_gap: int, limit: float) -> list[np.ndarray]:
    """Tracks joined to others that they go on as, by the least sum of costs of which none is higher than `limit`."""
    costs = np.stack([costs_of_joins(seen, one, tracks, longest_gap) for one in tracks])
    follows = {int(row): int(column) for row, column in zip(*linear_sum_assignment(np.minimum(costs - limit, 0)))
               if costs[row, column] < limit}
    joined = []
    for first in set(range(len(tracks))) - set(follows.values()):
        chain = [first]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        joined.append(np.concatenate([tracks[i] for i in chain]))
    return joined


def _hardly_together(seen: Sightings, tracks: list[np.ndarray], longest_gap: int, limit: float) -> list[np.ndarray]:
    """Tracks, those joined that lie between each other's frames and are hardly ever seen together, the surest first,
    of those that it costs less than `limit`."""
    tracks = list(tracks)
    while True:
        best, pair = limit, None
        for i, one in enumerate(tracks):
            for j, other in enumerate(tracks):
                if len(one) > len(other) >= KNOWN_AFTER or (len(one) == len(other) >= KNOWN_AFTER and i < j):
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


def _cost_of_both(seen: Sightings, one: np.ndarray, other: np.ndarray, longest_gap: int) -> float:
    """What it costs that two tracks that share no frame are one person's: the most that going from one to the other
    does."""
    whole = np.concatenate([one, other])
    order = np.argsort(seen.when[whole])
    parts = np.split(whole[order], 1 + np.flatnonzero(np.diff(order >= len(one))))
    return max(float(costs_of_joins(seen, before, [after], longest_gap, True)[0]) for before, after in pairwise(parts))


def _with_doubled(seen: Sightings, tracks: list[np.ndarray], doubled: np.ndarray, longest_gap: int) -> list[np.ndarray]:
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
                large = sizes_of(seen.poses[index]) / sizes_of(between)
                if gap <= longest_gap + 1 and alike > best and _SMALLEST < large < _LARGEST:
                    best, chosen = alike, (number, place)
        if chosen is not None:
            tracks[chosen[0]] = np.insert(tracks[chosen[0]], chosen[1], index)
    return tracks
