"""Tracking: people keep their ids while they walk, cross, and are out of sight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.people.tracking import assign_to_masks, by_frames_seen, joints_inside, likeness, track

STANDING = np.array([(50, 5), (52, 3), (48, 3), (55, 5), (45, 5), (62, 20), (38, 20), (68, 38), (32, 38), (70, 55),
                     (30, 55), (58, 58), (42, 58), (58, 80), (42, 80), (58, 100), (42, 100)], float)


def person(x, y=0.0, score=0.9):
    return np.concatenate([STANDING + (x, y), np.full((17, 1), score)], axis=1)


def test_likeness_is_1_for_the_same_and_falls_with_distance():
    same, near, far = likeness(person(0)[None], np.stack([person(0), person(10), person(100)]))[0]
    assert same == pytest.approx(1) and 1 > near > 0.7 and far < 0.01


@given(st.floats(0.1, 10), st.floats(-50, 50))
def test_likeness_knows_no_scale_and_no_order(scale, shift):
    a, b = person(0), person(shift)
    larger = [pose * (scale, scale, 1) for pose in (a, b)]
    assert likeness(a[None], b[None])[0, 0] == pytest.approx(likeness(larger[1][None], larger[0][None])[0, 0], abs=1e-6)


def test_people_who_cross_keep_their_ids_whatever_their_order():
    rng = np.random.default_rng(0)
    frames, truth = [], []
    for t in range(60):
        poses = [person(5 * t), person(300 - 5 * t, y=12), person(150, y=150)]
        order = rng.permutation(3)
        frames.append([poses[i] for i in order])
        truth.append(order)
    names = {}
    for ids, order in zip(track(frames, longest_gap=5), truth):
        for i, who in zip(ids, order):
            assert names.setdefault(who, i) == i
    assert len(set(names.values())) == 3


@pytest.mark.parametrize("gap, people", [(5, 1), (6, 2)])
def test_somebody_out_of_sight_is_expected_for_a_while(gap, people):
    frames = [[person(4 * t)] if not 10 <= t < 10 + gap else [] for t in range(30)]
    assert len({i for ids in track(frames, longest_gap=5) for i in ids}) == people


def test_frames_without_anybody_have_no_ids():
    assert track([[], [person(0)], []], 3) == [[], [0], []] and track([], 3) == []


def test_people_are_ordered_by_the_frames_they_are_in():
    ids = [[4, 7], [7], [7, 4], [9]]
    assert by_frames_seen(ids) == [7, 4, 9] and by_frames_seen(ids, least_frames=2) == [7, 4]


def test_poses_belong_to_the_masks_that_most_of_their_joints_lie_in():
    masks = np.zeros((3, 120, 300), bool)
    masks[0, :, :90], masks[1, :, 80:200], masks[2, :, 290:] = True, True, True
    assert assign_to_masks([person(90), person(0), person(190)], masks) == [1, 0, -1]
    assert assign_to_masks([], masks) == [] and assign_to_masks([person(0)], []) == [-1]


def test_joints_outside_the_picture_or_unseen_are_in_no_mask():
    everywhere = np.ones((50, 60), bool)
    assert joints_inside(person(500), everywhere) == 0 and joints_inside(person(0, score=0), everywhere) == 0
    assert joints_inside(person(0), np.ones((200, 200), bool)) == 1
