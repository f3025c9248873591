"""Backgrounds of frames that no one scene explains, found in windows."""

import cv2
import numpy as np
import pytest

from data import own_backgrounds as module
from data.own_backgrounds import own_backgrounds
from data.solving import Windows
from util.packed import Packed

LENGTH, HEIGHT, WIDTH, SPEED = 24, 64, 96, 3
ASKED = [16, 24, 16]  # frames of each window, and those around


@pytest.fixture(scope="module")
def clip():
    """Somebody who keeps pace with a camera that goes along a wall: frames, mattes, and the true backgrounds."""
    rng = np.random.default_rng(5)
    wall = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, WIDTH + SPEED * LENGTH, 3)).astype(np.float32), (0, 0), 2)
    wall = (128 + 4 * (wall - wall.mean())).clip(0, 255).astype(np.uint8)
    truth = np.stack([wall[:, SPEED * frame:][:, :WIDTH] for frame in range(LENGTH)])
    frames, mattes = truth.copy(), np.zeros(truth.shape[:3], np.uint8)
    for frame in range(LENGTH):
        x = 40 + round(4 * np.sin(frame / 3))
        frames[frame, 16:52, x:x + 12], mattes[frame, 16:52, x:x + 12] = (200, 30, 30), 255
    return frames, [Packed(mattes)], truth


def windows(folder=None):
    return Windows(folder, np.zeros(1, np.uint8), LENGTH, 1)


def in_eights(patch):
    """Windows of eight frames, and eight around them."""
    patch.setattr(module, "frames_solved_together", lambda area: 8)
    patch.setattr(module, "AROUND", 8)


@pytest.fixture(scope="module")
def unbroken(clip):
    with pytest.MonkeyPatch.context() as patch:
        in_eights(patch)
        return own_backgrounds(*clip[:2], windows())


def test_windows_are_as_good_as_all_frames_at_once_and_nothing_is_seen_of_their_borders(clip, unbroken):
    frames, people, truth = clip
    made, shadows, guessed = unbroken
    at_once = own_backgrounds(frames, people, windows())[0]
    assert len(made) == len(shadows[0]) == len(guessed) == LENGTH
    behind = np.asarray(people[0]) > 127
    errors = np.array([[np.abs(one.astype(float) - true)[hides].mean() for one, true, hides in
                        zip(backgrounds, truth, behind)] for backgrounds in (made, at_once)])
    assert errors.mean() < 8  # of 255, where who is there is off by 100
    assert errors[0].mean() < 1.05 * errors[1].mean()
    moved = np.asarray(made).astype(float)  # what is in a frame is SPEED pixels further left in the next one
    changes = np.array([np.abs(two[:, :-SPEED] - one[:, SPEED:])[hides[:, SPEED:]].mean() for one, two, hides in
                        zip(moved, moved[1:], behind)])
    assert changes[[7, 15]].max() <= 1.1 * np.delete(changes, [7, 15]).max()


def test_who_is_killed_goes_on_after_the_last_window_and_gets_the_same(clip, unbroken, tmp_path, monkeypatch):
    frames, people, _ = clip
    in_eights(monkeypatch)
    without_people, asked = module.without_people, []

    def killed_in_the_third(pictures, covered):
        asked.append(len(pictures))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return without_people(pictures, covered)

    monkeypatch.setattr(module, "without_people", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        own_backgrounds(frames, people, windows(tmp_path))
    again = own_backgrounds(frames, people, windows(tmp_path))
    assert asked == [*ASKED, ASKED[-1]]
    for one, other in zip((unbroken[0], *unbroken[1]), (again[0], *again[1])):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    np.testing.assert_array_equal(unbroken[2], again[2])
