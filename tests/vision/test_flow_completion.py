"""What people hide before a camera that walks is followed to frames that show it."""

import cv2
import numpy as np
import pytest

from vision.layers.flow_completion import Completion, completed, continued, membrane

FRAMES, HEIGHT, WIDTH = 14, 96, 128
NEAR, FAR = 3.0, 1.0  # pixels per frame that things move to the left


def texture(seed, width):
    noise = np.random.default_rng(seed).uniform(0, 255, (HEIGHT, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return (128 + 4 * (smooth - smooth.mean())).clip(30, 225)


def walked(size=1, gains=None):
    """Frames of a far wall above near ground; these without anybody; and where somebody hides them, who goes to the
    right across the middle."""
    far, near = texture(1, WIDTH + 60), texture(2, WIDTH + 60)
    frames, truth, hidden = [], [], np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    for k in range(FRAMES):
        rows, columns = np.mgrid[:HEIGHT * size, :WIDTH * size].astype(np.float32)
        x, y = (columns + 0.5) / size - 0.5, (rows + 0.5) / size - 0.5
        wall, ground = (cv2.remap(part, x + speed * k, y, cv2.INTER_CUBIC)
                        for part, speed in ((far, FAR), (near, NEAR)))
        picture = np.where((y > 50)[..., None], ground, wall) * (1 if gains is None else gains[k])
        left = 34 + 3 * k
        hidden[k, 20:80, left:left + 14] = True
        truth.append(picture.clip(0, 255).round().astype(np.uint8))
        frames.append(truth[-1].copy())
        frames[-1][20 * size:80 * size, left * size:(left + 14) * size] = (200, 30, 30)
    return np.stack(frames), np.stack(truth), hidden


def inside(made, truth, hidden):
    """PSNR where somebody hides the background."""
    off = np.stack(made)[hidden].astype(float) - np.stack(truth)[hidden]
    return 10 * np.log10(255 ** 2 / np.square(off).mean())


def test_near_and_far_things_behind_somebody_are_what_other_frames_show():
    frames, truth, hidden = walked()
    made, guessed = completed(frames, hidden)
    assert inside(made, truth, hidden) > 27 and not guessed.any()
    away = np.stack([cv2.dilate(one.astype(np.uint8), np.ones((21, 21), np.uint8)) == 0 for one in hidden])
    assert (np.stack(made)[away] == frames[away]).all()


def test_what_comes_from_other_frames_is_as_bright_as_the_frame():
    gains = np.linspace(0.7, 1.1, FRAMES)
    frames, truth, hidden = walked(gains=gains)
    made, _ = completed(frames, hidden)
    off = [np.mean(one[where], dtype=float) / true[where].mean() for one, true, where in zip(made, truth, hidden)]
    np.testing.assert_allclose(off, 1, atol=0.07)


def test_places_are_found_in_small_frames_for_large_ones_too():
    frames, truth, hidden = walked(size=2)
    small, _ = completed(np.stack([cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
                                   for frame in frames]), hidden)
    completion = Completion([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small], hidden)
    made, unknown = zip(*(completion.background(k, frames.__getitem__) for k in (2, 7, 12)))
    large = [one.repeat(2, axis=0).repeat(2, axis=1) for one in hidden[[2, 7, 12]]]
    assert inside(made, truth[[2, 7, 12]], np.stack(large)) > 26 and not np.any(unknown)


def test_what_nobody_ever_sees_is_said_and_keeps_its_place_in_the_scene():
    picture = texture(3, WIDTH + 60)
    shift, frames, hidden = 2, [], np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    for k in range(FRAMES):
        frames.append(picture[:, shift * k:shift * k + WIDTH].round().astype(np.uint8))
        left = 70 - shift * k  # with the scene
        hidden[k, 30:60, left:left + 20] = True
        frames[-1][hidden[k]] = 0
    made, guessed = completed(np.stack(frames), hidden)
    assert (guessed == hidden).mean() > 0.998
    first, last = made[0][32:58, 72:88].astype(float), made[-1][32:58, 72 - 26:88 - 26]
    assert np.abs(first - last).mean() < 6 < 25 < first.std()


def test_a_membrane_goes_on_straight_between_what_is_known():
    rows, columns = np.mgrid[:20, :30]
    plane = (2 * rows + 3 * columns)[..., None].astype(np.float32)
    hole = np.zeros((20, 30), bool)
    hole[5:15, 8:20] = True
    np.testing.assert_allclose(membrane(np.where(hole[..., None], -99, plane), hole), plane, atol=1e-3)
    assert not membrane(plane, np.ones((20, 30), bool)).any()
    near = continued(np.where(hole[..., None], -99, plane), ~hole, 2, hole)
    np.testing.assert_allclose(near[hole], plane[hole], atol=0.6)


@pytest.mark.parametrize("length", [1, 2])
def test_one_frame_or_two_are_filled_by_guesses(length):
    frames, _, hidden = walked()
    made, guessed = completed(frames[:length], hidden[:length])
    assert guessed.any() and not (np.stack(made)[hidden[:length]] == (200, 30, 30)).all(axis=-1).any()
