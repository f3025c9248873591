"""The closed form in windows of a few frames, and from some of the frames: the same, without seams, and resumed."""

import shutil

import cv2
import numpy as np
import pytest

from data import solving
from data.decomposition import decompose
from datasets.make_sample import make_sample
from util.images import read_image
from vision.layers import closed_form

FRAMES, WIDTH, HEIGHT = 24, 128, 80


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip of two people who cross, filmed by a hand that shakes."""
    return make_sample(tmp_path_factory.mktemp("clips") / "pair", frames=FRAMES, width=WIDTH, height=HEIGHT, people=2,
                       shake=0.3, seed=2)


def decomposed(clip, folder=None):
    decompose.cache_clear()
    return decompose(clip, use_homographies=False, length=FRAMES, folder=folder)


def same(one, other):
    return one.plate.tobytes() == other.plate.tobytes() and all(
        np.array_equal(parts[number], others[number]) for number in one.people
        for parts, others in ((one.people, other.people), (one.effects, other.effects)))


@pytest.fixture(scope="module")
def whole(clip):
    return decomposed(clip)


def windows_of(monkeypatch, frames):
    monkeypatch.setattr(solving, "WINDOW_PIXELS", frames * WIDTH * HEIGHT)


def test_windows_make_no_difference(clip, whole, monkeypatch, tmp_path):
    for frames in (1, 7):
        windows_of(monkeypatch, frames)
        assert same(whole, decomposed(clip, tmp_path / str(frames)))
    names = sorted(path.name for path in (tmp_path / "7/closed_form").iterdir())
    assert names == [f"effects_{number:03d}.npz" for number in range(1, 5)]


class Killed(BaseException):
    """Nothing catches this, as nothing catches a signal."""


def test_who_is_killed_twice_goes_on_and_gets_the_same_bytes(clip, whole, monkeypatch, tmp_path):
    windows_of(monkeypatch, 5)
    solved, seen, shared = [], [], []
    solve, see, share = solving.solve, closed_form.Solution.effects, closed_form.shared_out

    def counted(calls, function, most):
        def call(*arguments):
            if len(calls) == most:
                raise Killed
            calls.append(arguments)
            return function(*arguments)
        return call

    def begin(most_seen, most_shared):
        monkeypatch.setattr(solving, "solve", counted(solved, solve, 9))
        monkeypatch.setattr(closed_form.Solution, "effects", counted(seen, see, most_seen))
        monkeypatch.setattr(closed_form, "shared_out", counted(shared, share, most_shared))
        return decomposed(clip, tmp_path / "run")

    with pytest.raises(Killed):
        begin(most_seen=12, most_shared=0)
    with pytest.raises(Killed):
        begin(most_seen=99, most_shared=8)
    assert len(seen) == 12 + FRAMES - 10  # two windows of five were done
    made = begin(most_seen=len(seen), most_shared=99)
    assert len(solved) == 1 and len(shared) == 8 + FRAMES - 5
    assert same(whole, made)
    begin(most_seen=len(seen), most_shared=len(shared))  # and all of it is known now
    decompose.cache_clear()


def test_a_scene_from_some_frames_explains_the_others_as_well(monkeypatch, tmp_path):
    """And effects change from one frame to the next no more than where the scene is found from all of them."""
    clip = make_sample(tmp_path / "clip", frames=FRAMES, width=WIDTH, height=HEIGHT, people=2, seed=2)
    whole = decomposed(clip)
    monkeypatch.setattr(solving, "SOLVED_PIXELS", 0)
    monkeypatch.setattr(solving, "MOST_SORTED", 12)
    some = decomposed(clip)
    truth = cv2.resize(read_image(clip / "gt/bg.png", "RGB"), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    error = [np.abs(made.plate.astype(float) - truth).mean() for made in (whole, some)]
    assert error[1] < 1.2 * error[0] + 0.2
    steps = [np.array([np.abs(np.diff(np.asarray(effect, float), axis=0)).mean(axis=(1, 2))
                       for effect in made.effects.values()]) for made in (whole, some)]
    assert (steps[1] < 1.3 * steps[0] + 0.3).all()
    for number, effect in some.effects.items():
        assert np.abs(np.asarray(effect, float) - whole.effects[number]).mean() < 1


def test_other_frames_are_solved_again(clip, tmp_path):
    copy = shutil.copytree(clip, tmp_path / "clip")
    first = decomposed(copy, tmp_path / "run")
    frame = copy / "rgb_256/0004.png"
    cv2.imwrite(str(frame), cv2.imread(str(frame)) // 2)
    assert not same(first, decomposed(copy, tmp_path / "run"))
    decompose.cache_clear()
