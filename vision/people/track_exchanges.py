"""Tracks of two people that go over to each other, put right: who hides whom is found by what both look like.

Of two who hide each other an estimator may find one alone, now this, now that one. Nothing here knows of files.
"""

from itertools import combinations, pairwise

import numpy as np

from vision.people.looks import difference, mean_look
from vision.people.sightings import (
    LIMITS,
    LOOK_FRAMES,
    LOOK_SCALE,
    REACH,
    SIZE_SCALE,
    Sightings,
    costs_of_joins,
    likeness_of_pairs,
    sizes_of,
)

_CHANGES_HANDS = 0.6
"""What it costs that what is found of two people who hide each other is of the other one from a frame on."""


def exchanged(seen: Sightings, tracks: list[np.ndarray], longest_gap: int) -> list[np.ndarray]:
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


def _exchanged_from(seen: Sightings, one: np.ndarray, other: np.ndarray, longest_gap: int) -> int | None:
    """The frame from which on two tracks are rather each other's; None: they are not."""
    best, chosen = _CHANGES_HANDS, None
    frames = np.union1d(seen.when[one], seen.when[other])
    looks = [half for track in (one, other) for half in _looks_around(seen, track, frames)]
    apart = [(np.nan_to_num(difference(looks[i], looks[j])) / LOOK_SCALE) ** 2 / 2
             for i, j in ((0, 1), (2, 3), (0, 3), (2, 1))]
    for frame in frames[apart[0] + apart[1] - apart[2] - apart[3] > _CHANGES_HANDS / 2]:
        first, rest, others_first, others_rest = *_split(seen, one, frame), *_split(seen, other, frame)
        if min(map(len, (first, rest, others_first, others_rest))) >= LOOK_FRAMES:
            goes_on = costs_of_joins(seen, first, [rest, others_rest], longest_gap)
            others_goes_on = costs_of_joins(seen, others_first, [others_rest, rest], longest_gap)
            gain = goes_on[0] + others_goes_on[0] - goes_on[1] - others_goes_on[1]
            if gain > best and max(goes_on[1], others_goes_on[1]) < LIMITS[-1]:
                best, chosen = gain, int(frame)
    return chosen


def _looks_around(seen: Sightings, track: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def _split(seen: Sightings, track: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A track before a frame, and from it on."""
    before = seen.when[track] < frame
    return track[before], track[~before]


def given_back(seen: Sightings, tracks: list[np.ndarray], longest_gap: int) -> list[np.ndarray]:
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


def _rather_between(seen: Sightings, one: np.ndarray, ends: tuple[int, int], other: np.ndarray) -> np.ndarray:
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
        motion = -np.log(np.maximum(likeness_of_pairs(expected, seen.poses[within], np.full(len(within), REACH)), 1e-9))
        growth = np.log(sizes_of(seen.poses[within]) / sizes_of(expected))
        cost = motion + (growth / SIZE_SCALE) ** 2 / 2
        if seen.looks is not None:
            apart = difference(mean_look(seen.looks[members]), seen.looks[within])
            cost += (np.nan_to_num(apart) / LOOK_SCALE) ** 2 / 2
        costs.append(np.minimum(cost, LIMITS[-1]))
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
