"""Drawn bodies: where they are, which part is where, and that they hold still."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.people.drawn_body import draw_body

SIZE = (160, 256)
PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
PART_PAIRS = [(3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16), (17, 18), (19, 20), (21, 22), (23, 24)]
FRONT, BACK = {2, 9, 10, 13, 14}, {1, 7, 8, 11, 12}


def standing(height=200.0, middle=80.0, top=24.0):
    """A person facing the camera with spread arms and legs, as tall as `height` pixels."""
    right_half = {0: (0, 0.07), 2: (-.017, 0.055), 4: (-.04, 0.065), 6: (-.105, 0.18), 8: (-.19, 0.32),
                  10: (-.25, 0.45), 12: (-.065, 0.48), 14: (-.10, 0.715), 16: (-.13, 0.945)}
    keypoints = np.ones((17, 3))
    for joint, point in right_half.items():
        keypoints[joint, :2] = point
        if joint:
            keypoints[joint - 1, :2] = -point[0], point[1]
    keypoints[:, :2] = keypoints[:, :2] * height + (middle, top)
    return keypoints


def seen_from_behind(keypoints):
    swapped = keypoints.copy()
    for a, b in PAIRS:
        swapped[[a, b]] = keypoints[[b, a]]
    return swapped


def in_profile(keypoints, towards=1):
    """Facing right in the picture (`towards` 1) or left (-1): no width, nose and toes ahead."""
    flat = keypoints.copy()
    middle = flat[0, 0]
    flat[:, 0] = middle
    flat[0, 0] += towards * 0.055 * np.ptp(keypoints[:, 1])
    return flat


def draw(keypoints, size=SIZE):
    return draw_body(keypoints, size, size)


def test_the_skeleton_lies_within_the_body():
    keypoints = standing()
    part = draw(keypoints)[0]
    limbs = {5: {15, 17}, 6: {16, 18}, 7: {15, 17, 19, 21}, 8: {16, 18, 20, 22}, 9: {4, 19, 21}, 10: {3, 20, 22},
             11: {2, 10}, 12: {2, 9}, 13: {10, 14}, 14: {9, 13}, 15: {5, 14}, 16: {6, 13}, 0: {23, 24}, 3: {24},
             4: {23}}
    for joint, expected in limbs.items():
        x, y = np.rint(keypoints[joint, :2]).astype(int)
        assert part[y, x] in expected, joint


def test_a_person_facing_the_camera_shows_the_front_and_from_behind_the_back():
    front, back = set(np.unique(draw(standing())[0])), set(np.unique(draw(seen_from_behind(standing()))[0]))
    assert front >= FRONT and not front & BACK
    assert back >= BACK and not back & FRONT


@pytest.mark.parametrize("towards", [1, -1])
def test_a_person_in_profile_shows_front_and_back_on_the_right_sides(towards):
    part = draw(in_profile(standing(), towards))[0]
    xs = {number: np.nonzero(part == number)[1].mean() for number in (1, 2)}
    assert towards * (xs[2] - xs[1]) > 0
    near_head = 23 if towards > 0 else 24
    assert (part == near_head).sum() > 5 * (part == 47 - near_head).sum()


def test_the_outside_of_an_arm_is_away_from_the_trunk():
    part = draw(standing())[0]
    outwards = {(15, 17): 1, (19, 21): 1, (16, 18): -1, (20, 22): -1}
    for (inside, outside), sign in outwards.items():
        xs = [np.nonzero(part == number)[1].mean() for number in (inside, outside)]
        assert sign * (xs[1] - xs[0]) > 2


@pytest.mark.parametrize("towards, near, far", [(1, {16, 18, 20, 22}, {15, 17, 19, 21}),
                                                (-1, {15, 17, 19, 21}, {16, 18, 20, 22})])
def test_in_profile_the_near_arm_covers_the_trunk_and_the_trunk_the_far_arm(towards, near, far):
    seen = set(np.unique(draw(in_profile(standing(), towards))[0]))
    assert seen & near and not seen & far


def test_a_mirrored_skeleton_gives_the_mirrored_body():
    keypoints = standing()
    keypoints[9, :2] += (-10, -30)
    keypoints[0, 0] += 4
    mirrored = seen_from_behind(keypoints)
    mirrored[:, 0] = SIZE[0] - 1 - mirrored[:, 0]
    exchange = np.arange(25)
    for a, b in PART_PAIRS:
        exchange[[a, b]] = b, a
    part, u, _ = draw(keypoints)
    other_part, other_u, _ = (array[:, ::-1] for array in draw(mirrored))
    same = exchange[other_part] == part
    assert same.mean() > 0.995
    there = same & (part > 0)
    assert np.abs(u - other_u)[there].max() < 0.03


def test_a_shifted_skeleton_gives_the_shifted_body():
    keypoints = standing()
    shifted = keypoints + (7, 5, 0)
    for array, moved in zip(draw(keypoints), draw(shifted)):
        assert np.isclose(array[:-5, :-7], moved[5:, 7:], atol=1e-4).mean() > 0.9995


def test_poses_found_on_larger_frames_give_the_same_body():
    keypoints = standing()
    doubled = keypoints.copy()
    doubled[:, :2] = 2 * keypoints[:, :2] + 0.5  # pixel centres
    large = draw_body(doubled, (2 * SIZE[0], 2 * SIZE[1]), SIZE)
    for array, expected in zip(large, draw(keypoints)):
        assert np.allclose(array, expected, atol=1e-4)


def test_a_body_point_keeps_its_coordinates_while_the_person_grows():
    small, large = draw(standing(100, 80, 24)), draw(standing(200, 80, 24))
    ys, xs = np.nonzero(small[0])
    there = [array[24 + 2 * (ys - 24), 80 + 2 * (xs - 80)] for array in large]
    same = there[0] == small[0][ys, xs]
    assert same.mean() > 0.9
    for array, expected in zip(there[1:], small[1:]):
        assert np.median(np.abs(array - expected[ys, xs])[same]) < 0.03


def test_a_turning_person_turns_without_a_jump():
    """Between frontal and profile the front's share shrinks step by step, and no step changes more than a little."""
    front, profile = standing(), in_profile(standing())
    shares = []
    for share in np.linspace(0, 1, 21):
        part = draw((1 - share) * front + share * profile)[0]
        shares.append((part == 2).sum() / np.isin(part, (1, 2)).sum())
    steps = np.diff(shares)
    assert shares[0] == 1 and 0.4 < shares[-1] < 0.6
    assert steps.max() < 0.06 and steps.min() > -0.15


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000))
def test_jitter_of_half_a_pixel_moves_only_edges(seed):
    keypoints = standing()
    jittered = keypoints.copy()
    jittered[:, :2] += np.random.default_rng(seed).uniform(-0.5, 0.5, (17, 2))
    part, other = draw(keypoints)[0], draw(jittered)[0]
    assert ((part > 0) != (other > 0)).sum() < 0.12 * (part > 0).sum()
    sizes, others = (np.bincount(array.ravel(), minlength=25) for array in (part, other))
    assert np.abs(sizes - others).max() < 0.05 * (part > 0).sum()


def test_a_missing_joint_takes_only_its_own_limbs():
    whole = draw(standing())[0]
    without_elbow = standing()
    without_elbow[7, 2] = 0
    part = draw(without_elbow)[0]
    left_arm = {4, 15, 17, 19, 21}
    assert set(np.unique(whole)) - set(np.unique(part)) == left_arm & set(np.unique(whole))
    kept = ~np.isin(whole, list(left_arm))
    assert (part != whole)[kept].mean() < 0.002


def test_a_joint_that_becomes_unsure_fades():
    areas = []
    for score in (1, 0.1, 0.075, 0.05, 0.025, 0):
        keypoints = standing()
        keypoints[9, 2] = score
        areas.append(np.isin(draw(keypoints)[0], (4, 19, 21)).sum())
    assert areas[0] == areas[1] and areas[-1] == 0
    assert all(a > b for a, b in zip(areas[1:], areas[2:]))


@pytest.mark.parametrize("missing", [[5], [12], [5, 6], [11, 12], [0, 1, 2, 3, 4]])
def test_the_trunk_stays_where_shoulders_hips_or_the_face_are_missing(missing):
    whole = draw(standing())[0] == 2
    keypoints = standing()
    keypoints[missing] = 0
    trunk = draw(keypoints)[0] == 2
    assert (whole & trunk).sum() > 0.9 * whole.sum()
    assert not trunk[:, :40].any() and not trunk[:, -40:].any()


def test_without_a_trunk_nothing_is_drawn():
    keypoints = standing()
    keypoints[[5, 6, 11, 12], 2] = 0
    assert not draw(keypoints)[0].any()
    assert not draw(np.zeros((17, 3)))[0].any()


@pytest.mark.parametrize("height", [6, 12, 25])
def test_a_tiny_person_is_seen_as_a_whole(height):
    keypoints = standing(height, 80, 100)
    part = draw(keypoints)[0] > 0
    for joint in (0, 9, 10, 15, 16):
        x, y = np.rint(keypoints[joint, :2]).astype(int)
        assert part[y - 1:y + 2, x - 1:x + 2].any(), joint
    rows = part.any(axis=1)
    assert rows[100:100 + int(0.95 * height)].all()


@settings(deadline=None, max_examples=60)
@given(x=st.floats(-1e5, 1e5), y=st.floats(-1e5, 1e5), height=st.floats(0, 1e5), seed=st.integers(0, 99))
def test_any_skeleton_gives_coordinates_within_range(x, y, height, seed):
    rng = np.random.default_rng(seed)
    keypoints = standing(height, x, y)
    keypoints[:, :2] += rng.normal(0, 0.2 * height, (17, 2))
    keypoints[:, 2] = rng.choice([0, 0.02, 0.5, 1, 3], 17)
    part, u, v = draw(keypoints, (64, 48))
    assert part.shape == u.shape == v.shape == (48, 64)
    assert part.dtype == np.uint8 and part.max() <= 24
    for array in (u, v):
        assert np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1
        assert not array[part == 0].any()


def test_half_a_person_at_the_border_is_half_of_the_person():
    whole = draw(standing())[0]
    at_border = draw(standing() - (80, 0, 0))[0]
    assert np.array_equal(at_border[:, :80], whole[:, 80:])
    assert not draw(standing() + (400, 0, 0))[0].any()
