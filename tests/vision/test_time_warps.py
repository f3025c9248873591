"""Which source frame is shown when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.layers.time_warps import align, freeze, hold, loop, offset, pingpong, reverse, speed, within

frames = np.arange(8)
times = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20).map(np.array)


def test_a_later_layer_waits_at_its_first_frame():
    assert within(offset(np.arange(6), 2), 6).tolist() == [0, 0, 0, 1, 2, 3]


def test_an_earlier_layer_holds_its_last_frame():
    assert within(offset(np.arange(6), -2), 6).tolist() == [2, 3, 4, 5, 5, 5]


def test_a_frozen_layer_stands_still_and_goes_on_from_there():
    assert freeze(frames, 2, 5).tolist() == [0, 1, 2, 2, 2, 2, 3, 4]


def test_a_held_layer_never_moves():
    assert hold(frames, 3).tolist() == [3] * 8


def test_half_speed_takes_twice_as_long_and_minus_one_runs_backwards():
    assert speed(frames, [(0, 0.5)]).tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert speed(frames, [(0, -1)]).tolist() == (-frames).tolist()


def test_frames_are_reversed_in_place():
    assert reverse(frames, 2, 5).tolist() == [0, 1, 5, 4, 3, 2, 6, 7]


def test_a_loop_repeats_its_frames_and_goes_on_from_its_last():
    assert loop(frames, 2, 4).tolist() == [0, 1, 2, 3, 4, 2, 3, 4]
    assert loop(frames, 1, 2, 3).tolist() == [0, 1, 2, 1, 2, 1, 2, 3]


def test_a_loop_is_cut_at_its_seam_and_shows_no_time_outside_it():
    found = loop(np.linspace(2, 30, 500), 2, 4)
    assert found.min() >= 2 and found.max() <= 4


def test_pingpong_shows_its_turning_points_once_and_goes_on_from_its_first_frame():
    assert pingpong(np.arange(10), 2, 4).tolist() == [0, 1, 2, 3, 4, 3, 2, 3, 4, 3]
    assert pingpong(np.arange(10), 2, 4, 1).tolist() == [0, 1, 2, 3, 4, 3, 2, 3, 4, 5]


def test_one_pin_shifts_everything():
    assert align(frames, [(3, 1)]).tolist() == offset(frames, 2).tolist()


@given(st.data(), st.integers(5, 200))
def test_pinned_times_are_met_and_the_warp_is_monotone_between_rising_pins(data, length):
    outputs = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=4, unique=True).map(sorted))
    sources = data.draw(st.lists(st.integers(0, length - 1), min_size=len(outputs), max_size=len(outputs)).map(sorted))
    found = align(np.arange(length), list(zip(outputs, sources)))
    np.testing.assert_allclose(found[outputs], sources, atol=1e-9)
    assert (np.diff(found) >= -1e-9).all()


@pytest.mark.parametrize("ease", [False, True])
@given(st.lists(st.tuples(st.integers(0, 60), st.floats(-3, 3)), min_size=1, max_size=5, unique_by=lambda key: key[0]))
def test_time_is_the_integral_of_a_speed_that_changes(ease, keys):
    keys.sort()
    fine = np.linspace(0, 80, 80 * 64 + 1)
    k = np.clip(np.searchsorted(*np.array(keys).T[:1], fine, side="right"), 1, max(len(keys) - 1, 1))
    x, v = np.array([*keys, *keys[-1:]] if len(keys) == 1 else keys, dtype=float).T
    part = np.clip((fine - x[k - 1]) / np.maximum(x[k] - x[k - 1], 1e-9), 0, 1)
    part = part ** 2 * (3 - 2 * part) if ease else part
    speeds = v[k - 1] + part * (v[k] - v[k - 1])
    expected = np.concatenate([[0], np.cumsum((speeds[1:] + speeds[:-1]) / 2) / 64])
    np.testing.assert_allclose(speed(fine, keys, ease), expected, atol=0.05)


@given(times, st.floats(-1e3, 1e3), st.integers(1, 300))
def test_a_warp_is_held_at_the_ends_of_the_clip(output, frames, length):
    found = within(offset(output, frames), length)
    assert found.shape == output.shape
    assert (found >= 0).all() and (found <= length - 1).all()
