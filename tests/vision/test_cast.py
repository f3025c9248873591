"""Whom a clip is about: who looks on, what is no person, and who counts for more."""

import numpy as np
import pytest

from tests.vision.moving_people import Person
from vision.people.cast import audience, is_somebody, part_of, things

SIZE, LENGTH = (640, 360), 60
TIME = np.arange(LENGTH)


def part(x, height, camera=None, frames=range(LENGTH), tremble=0.012, every=1, seed=0):
    rng = np.random.default_rng(seed)
    person = Person(np.column_stack([np.broadcast_to(x, LENGTH), np.full(LENGTH, 330.0)]), height, np.zeros((3, 3)))
    poses = np.stack([person.skeleton(every * frame % LENGTH, rng, tremble) for frame in frames])
    if camera is not None:
        poses[..., :2] += camera[list(frames)][:, None]
    return part_of(list(frames), poses, SIZE, camera)


def test_small_people_at_the_edge_look_on_and_a_child_or_who_comes_late_does_not():
    dancer = part(320 + 60 * np.sin(TIME / 8), 260)
    others = [part(40, 60, seed=1), part(600, 70, seed=2), part(200, 55, seed=3)]
    child, late = part(400 + TIME, 140, seed=4), part(500 - TIME, 250, frames=range(45, 60), seed=5)
    assert audience([dancer, *others, child, late]) == [False, True, True, True, False, False]
    assert audience(others) == [False] * 3 and audience([]) == []


def test_a_part_is_measured_before_the_scene_that_a_camera_pans_over():
    pan = np.column_stack([3.0 * TIME, 0.0 * TIME])
    still, panned = part(100, 200), part(100, 200, pan)
    assert panned.motion == pytest.approx(still.motion) and panned.size == pytest.approx(still.size)
    assert still.frames == LENGTH and 0.5 < still.size < 0.6 and still.aside == pytest.approx(0.69, abs=0.03)


@pytest.mark.parametrize("every", [1, 5])
def test_what_changes_its_bones_all_the_time_is_no_person_however_far_apart_the_frames(every):
    walker, other = part(100 + 5 * TIME, 200, every=every), part(320, 150, every=every, seed=1)
    flicker = part(300, 180, tremble=0.3, seed=2)
    assert things([walker, flicker, other], 0.65) == [False, True, False]
    assert things([walker, other], 0.99) == [True, True] and things([], 0.5) == []


def test_somebody_is_sure_and_no_speck():
    rng = np.random.default_rng(0)
    person = Person(np.array([[300.0, 300.0]]), 100, np.zeros((3, 3)))
    skeleton = person.skeleton(0, rng)
    unsure = skeleton * (1, 1, 0.6)
    assert is_somebody(skeleton, 360) and not is_somebody(unsure, 360) and not is_somebody(skeleton, 2160)
