"""Which source frame is shown when."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from util.time_warps import align, freeze, offset

lengths = st.integers(1, 200)


def test_a_later_layer_waits_at_its_first_frame():
    assert offset(6, 2).tolist() == [0, 0, 0, 1, 2, 3]


def test_an_earlier_layer_holds_its_last_frame():
    assert offset(6, -2).tolist() == [2, 3, 4, 5, 5, 5]


def test_a_frozen_layer_stands_still_and_goes_on_from_there():
    assert freeze(8, 2, 5).tolist() == [0, 1, 2, 2, 2, 2, 3, 4]


def test_one_pin_shifts_everything():
    assert align(6, [(3, 1)]).tolist() == offset(6, 2).tolist()


@given(st.data(), st.integers(5, 200))
def test_pinned_times_are_met_and_the_warp_is_monotone_between_rising_pins(data, length):
    outputs = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=4, unique=True).map(sorted))
    sources = data.draw(st.lists(st.integers(0, length - 1), min_size=len(outputs), max_size=len(outputs)).map(sorted))
    times = align(length, list(zip(outputs, sources)))
    np.testing.assert_allclose(times[outputs], sources, atol=1e-9)
    assert (np.diff(times) >= -1e-9).all()


@given(lengths, st.floats(-1e3, 1e3), st.integers(0, 300), st.integers(0, 300))
def test_no_warp_leaves_the_clip(length, frames, first, duration):
    for times in (offset(length, frames), freeze(length, first, first + duration), align(length, [(first, frames)])):
        assert times.shape == (length,)
        assert (times >= 0).all() and (times <= length - 1).all()
