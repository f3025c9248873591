"""Frame rates, the order of names, and samples of a clip."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from util.clips import evenly_spread, frame_rate_of, frame_rate_text, natural_order


@pytest.mark.parametrize("text, rate", [("25", 25), ("30000/1001", Fraction(30000, 1001)), ("12.5", Fraction(25, 2))])
def test_a_frame_rate_is_read_and_written_as_a_fraction(text, rate):
    assert frame_rate_of(text) == rate == frame_rate_of(frame_rate_text(frame_rate_of(text)))


@pytest.mark.parametrize("text, nominal", [
    ("29.97", 30), ("23.976", 24), ("23.98", 24), ("23.97", 24), ("59.94", 60), ("119.88", 120), ("29.970", 30),
    ("29.97003", 30), ("47.952", 48), ("14.985", 15)])
def test_ntsc_rates_are_meant_as_people_type_them(text, nominal):
    assert frame_rate_of(text) == Fraction(nominal * 1000, 1001)


@pytest.mark.parametrize("text, rate", [("29.9", Fraction(299, 10)), ("24.98", Fraction(2498, 100)), ("25.00", 25),
                                        ("30.00", 30), ("29.5", Fraction(59, 2))])
def test_other_decimals_are_what_they_are(text, rate):
    assert frame_rate_of(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-25", "1/0", "nan", "fast", "1001", "1e999999999", "1e-999999999",
                                  "1/1000000", "9" * 5000])
def test_what_is_no_frame_rate_is_refused(text):
    with pytest.raises(ValueError):
        frame_rate_of(text)


def test_names_are_in_the_order_in_which_they_count():
    names = ["mask", "mask2", "mask10", "mask10b", "mask11"]
    assert sorted(reversed(names), key=natural_order) == names
    assert sorted(["10", "9", "a1", "1"], key=natural_order) == ["1", "9", "10", "a1"]
    assert sorted(["0000", "-001", "0001", "-010"], key=natural_order) == ["-010", "-001", "0000", "0001"]


@given(names=st.lists(st.text(max_size=6)))
def test_any_names_can_be_ordered(names):
    assert Counter(sorted(names, key=natural_order)) == Counter(names)


@given(length=st.integers(1, 500), most=st.integers(2, 50))
def test_indices_are_spread_evenly_from_the_first_to_the_last(length, most):
    indices = evenly_spread(length, most).tolist()
    assert len(indices) == min(length, most) and (indices[0], indices[-1]) == (0, length - 1)
    steps = {b - a for a, b in zip(indices, indices[1:])}
    assert not steps or max(steps) - min(steps) <= 1


@pytest.mark.parametrize("text, rate", [("29.97", Fraction(30000, 1001)), ("29.98", Fraction(30000, 1001)),
                                        ("29.96", Fraction(2996, 100)), ("29.99", Fraction(2999, 100))])
def test_ntsc_rates_are_those_within_a_unit_of_the_last_place(text, rate):
    assert frame_rate_of(text) == rate


def test_a_rate_is_the_nearest_with_at_most_a_million_below_the_line():
    assert frame_rate_of("25000001/1000000") == Fraction(25_000_001, 1_000_000)
    assert frame_rate_of("25000026/1000001") == Fraction(25_000_001, 1_000_000)
