"""Damaged and strange input, a few cases of every kind; scripts/fuzz.sh runs ten thousand."""

import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scripts.lab.fuzz import KINDS, Workplace, run_case, spoiled_bytes, spoiled_json


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "work"
    folder.mkdir()
    return Workplace(folder)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@example("homographies.txt", 7586)  # by one of the readings that are tried a frame is nowhere
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**9))
def test_spoiled_input_ends_in_success_or_in_one_line(place, kind, number):
    how, what = run_case(place, kind, 0, number)
    assert how in ("success", "one line"), what


def test_a_case_can_be_repeated_and_leaves_the_place_as_it_was(place):
    before = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    first = [run_case(place, kind, 1, 3) for kind in sorted(KINDS)]
    assert first == [run_case(place, kind, 1, 3) for kind in sorted(KINDS)]
    assert before == {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}


def test_writing_anywhere_else_is_noticed(place):
    with place.case():
        place.watch()
        (place.folder / "clip/new.txt").write_text("x")
        (place.folder / "results").mkdir()
        (place.folder / "results/new.txt").write_text("x")
    assert place.written and all("clip/new.txt" in event for event in place.written)
    assert not (place.folder / "clip/new.txt").exists()


@given(st.binary(max_size=200), st.randoms())
def test_bytes_of_any_length_can_be_spoiled(data, rng):
    assert isinstance(spoiled_bytes(rng, data), bytes)


def test_spoiled_json_is_not_always_the_same():
    assert len({spoiled_json(random.Random(i), '{"a": [1, 2]}') for i in range(50)}) > 20
