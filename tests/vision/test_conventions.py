"""Homographies of every usual convention are told from the right ones by the frames alone."""

import cv2
import numpy as np
import pytest

from vision.geometry.conventions import conventions, from_first, judge, misfit, some_frames
from vision.geometry.homography import Registration, apply_homography

FRAMES, WIDTH, HEIGHT = 16, 120, 80


def camera():
    """Matrices from the first frame's pixels to each frame's: a pan that turns, zooms and tilts a little."""
    matrices = []
    for k in range(FRAMES):
        turn, zoom = 0.012 * k, 1 + 0.006 * k
        matrix = np.array([[zoom * np.cos(turn), -zoom * np.sin(turn), -3.5 * k + 0.08 * k * k],
                           [zoom * np.sin(turn), zoom * np.cos(turn), 1.2 * k], [3e-5 * k, -2e-5 * k, 1]])
        matrices.append(matrix)
    return np.stack(matrices)


@pytest.fixture(scope="module")
def clip():
    """Frames [F, H, W] in [0, 1] of a textured plane; nobody is in them but a box that stands still."""
    rng = np.random.default_rng(0)
    ground = sum(cv2.resize(rng.random((300 // s, 300 // s), np.float32), (300, 300), interpolation=cv2.INTER_CUBIC)
                 for s in (4, 12, 40)) / 3
    shift = np.array([[1, 0, 100], [0, 1, 100], [0, 0, 1]], float)
    frames = np.stack([cv2.warpPerspective(ground, matrix @ np.linalg.inv(shift), (WIDTH, HEIGHT))
                       for matrix in camera()]).clip(0, 1)
    clear = np.ones(frames.shape, bool)
    frames[:, 20:60, 50:70], clear[:, 20:60, 50:70] = 1, False
    return frames.astype(np.float32), clear


def registered(matrices, size=(WIDTH, HEIGHT)):
    return Registration(size, (0, 1, 0, 1), np.asarray(matrices, float))


def verdict(clip, registration):
    indices = some_frames(FRAMES)
    return judge(registration, clip[0][indices], clip[1][indices], indices, [(WIDTH, HEIGHT), (2 * WIDTH, 2 * HEIGHT)])


RIGHT = camera()
STEPS = np.stack([np.eye(3), *(b @ np.linalg.inv(a) for a, b in zip(RIGHT, RIGHT[1:]))])
DOUBLE = np.diag([2, 2, 1.0])


@pytest.mark.parametrize("matrices, words", [
    (np.linalg.inv(RIGHT), "each is inverted (they go from each frame to the first)"),
    (STEPS, "they are multiplied up (each goes from the frame before to its own)"),
    (np.linalg.inv(STEPS), "each is inverted and they are multiplied up (each goes from its frame"),
    (np.roll(STEPS, -1, axis=0), "they are multiplied up from the first on (each goes from its frame to the next)"),
    (np.linalg.inv(np.roll(STEPS, -1, axis=0)), "multiplied up from the first on (each goes from the next"),
    ([RIGHT[0], *RIGHT[:-1]], "they are moved up by one frame"),
    ([*RIGHT[1:], RIGHT[-1]], "they are moved down by one frame"),
    (RIGHT.transpose(0, 2, 1), "each is transposed"),
    (np.linalg.inv(RIGHT).transpose(0, 2, 1), "each is transposed and inverted"),
    (RIGHT[:, [1, 0, 2]][:, :, [1, 0, 2]], "x and y change places"),
    (DOUBLE @ RIGHT @ np.linalg.inv(DOUBLE), "size is 240 160"),
    (np.linalg.inv(RIGHT) @ RIGHT[-1], "each is inverted"),
    (7 * np.linalg.inv(RIGHT), "each is inverted"),
])
def test_a_wrong_convention_is_named_and_the_right_one_offered(clip, matrices, words):
    found = verdict(clip, registered(matrices))
    assert words in found.text
    size, far = (WIDTH, HEIGHT), 0.0
    corners = np.array([[0, WIDTH - 1, 0, WIDTH - 1], [0, 0, HEIGHT - 1, HEIGHT - 1]], float)
    for k in range(FRAMES - 1):  # one end of shifted ones is extrapolated
        far = max(far, np.abs(apply_homography(found.better.between(0, k, size), corners)
                              - apply_homography(registered(RIGHT).between(0, k, size), corners)).max())
    assert far < 1 and np.allclose(found.better.matrices[0], np.eye(3))


@pytest.mark.parametrize("matrices", [RIGHT, RIGHT @ np.linalg.inv(RIGHT[-1]), -3.0 * RIGHT])
def test_nothing_is_said_of_matrices_that_fit_whichever_frame_they_go_out_from(clip, matrices):
    assert verdict(clip, registered(matrices)) is None


def test_matrices_of_something_else_are_told_and_no_convention_is_made_up(clip):
    rng = np.random.default_rng(3)
    matrices = np.tile(np.eye(3), (FRAMES, 1, 1))
    matrices[:, :2, 2] = rng.uniform(-25, 25, (FRAMES, 2))
    found = verdict(clip, registered(matrices))
    assert "no usual convention does better" in found.text and found.better is None


def test_where_nothing_is_to_be_seen_nothing_is_said(clip):
    still = np.full((FRAMES, HEIGHT, WIDTH), 0.5, np.float32), np.ones((FRAMES, HEIGHT, WIDTH), bool)
    assert verdict(still, registered(np.linalg.inv(RIGHT))) is None
    assert verdict((clip[0], np.zeros_like(clip[1])), registered(np.linalg.inv(RIGHT))) is None


def test_a_reading_by_which_frames_are_nowhere_fits_as_if_nothing_moved(clip):
    indices = some_frames(FRAMES)
    seen = clip[0][indices], clip[1][indices], indices
    nowhere = registered(np.zeros((FRAMES, 3, 3)))
    assert misfit(nowhere, *seen) == misfit(registered(np.tile(np.eye(3), (FRAMES, 1, 1))), *seen) > 0.01


def test_bounds_hold_all_frames_seen_from_the_first():
    made = from_first(registered(RIGHT @ np.linalg.inv(RIGHT[5])))
    assert np.allclose(made.matrices, RIGHT / RIGHT[:, 2:, 2:])
    xmin, xmax, ymin, ymax = made.bounds
    assert xmin <= 0 and ymin <= 0 and xmax > WIDTH and ymax >= HEIGHT - 1


def test_a_few_frames_are_looked_at_of_any_number():
    for count in (3, 12, 36, 37, 200, 1000):
        chosen = some_frames(count)
        assert chosen.min() >= 0 and chosen.max() < count and len(chosen) <= 12
    assert misfit(registered(RIGHT[:1]), np.zeros((1, 8, 8), np.float32), np.ones((1, 8, 8), bool), np.arange(1)) == 0
    assert set(conventions(registered(RIGHT), [(WIDTH, HEIGHT)])) >= {"each is transposed"}
