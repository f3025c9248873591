"""Shadows that soon pass by are told from the ground that a camera walks over."""

import cv2
import numpy as np

from vision.layers.passing_shadows import explained, measured, passing_shadows

FRAMES, HEIGHT, WIDTH = 24, 128, 192


def passed(shade):
    """Frames of somebody who goes across a ground that the camera walks over, with a shadow of an opacity to his left;
    the same without anybody; where he is, and the shadow's opacity."""
    noise = np.random.default_rng(4).uniform(0, 255, (HEIGHT, WIDTH + 60, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    ground = (140 + 3 * (smooth - smooth.mean())).clip(40, 230)
    frames, without = [], []
    hidden, shadow = np.zeros((FRAMES, HEIGHT, WIDTH), bool), np.zeros((FRAMES, HEIGHT, WIDTH), np.float32)
    for k in range(FRAMES):
        left = 40 + 5 * k
        hidden[k, 30:90, left:left + 14] = True
        cv2.ellipse(shadow[k], (left + 2, 92), (16, 7), 0, 0, 360, shade, -1)
        without.append(ground[:, k:k + WIDTH].round().astype(np.uint8))
        frames.append((without[-1] * (1 - shadow[k][..., None])).round().astype(np.uint8))
        frames[-1][hidden[k]] = (30, 60, 190)
    return np.stack(frames), np.stack(without), hidden, shadow


def test_a_shadow_that_passes_by_is_found_and_nothing_else_is():
    frames, without, hidden, shadow = passed(0.5)
    found = passing_shadows(frames, without, hidden)
    inside, outside = (shadow > 0) & ~hidden, (cv2.blur(shadow.transpose(1, 2, 0), (25, 25)).transpose(2, 0, 1) == 0)
    assert found.shape == hidden.shape and 0.3 < found[inside].mean() < 0.55
    assert found[outside & ~hidden].mean() < 0.002


def test_who_casts_no_shadow_has_none():
    frames, without, hidden, _ = passed(0)
    assert passing_shadows(frames, without, hidden).mean() < 0.002
    assert not passing_shadows(frames[:1], without[:1], hidden[:1]).any()


def test_the_alpha_of_a_shadow_is_exact_over_a_background_that_is_known():
    frames, without, hidden, shadow = passed(0.4)
    wide = cv2.dilate(shadow[9], np.ones((5, 5), np.uint8)) > 0
    alpha = measured(frames[9], without[9], hidden[9], wide)
    inner = (cv2.erode(shadow[9], np.ones((7, 7), np.uint8)) > 0) & ~hidden[9]
    np.testing.assert_allclose(alpha[inner], 0.4, atol=0.05)
    assert not alpha[cv2.dilate(shadow[9], np.ones((25, 25), np.uint8)) == 0].any()


def test_what_no_shadow_explains_is_the_frames_own_and_texture_that_is_a_pixel_beside_does_not_count():
    rng = np.random.default_rng(4)
    background = rng.integers(90, 110, (40, 60, 3)).astype(np.uint8)
    alpha = np.zeros((40, 60), np.float32)
    alpha[10:30, 5:25] = 0.4  # a shadow
    alpha[10:30, 35:50] = 0.4  # another thing that is darker, but of another colour
    frame = (np.roll(background, 1, axis=1) * (1 - alpha[..., None])).round().astype(np.uint8)
    frame[10:30, 35:50] = (100, 30, 20)
    hidden = np.zeros((40, 60), bool)
    hidden[28:, 35:50] = True
    found, left = explained(frame, background, hidden, alpha)
    shadow, thing = np.s_[12:28, 7:23], np.s_[14:24, 39:46]
    assert np.array_equal(found[shadow], background[shadow]) and np.array_equal(left[shadow], alpha[shadow])
    assert np.array_equal(found[thing], frame[thing]) and left[thing].max() < 1e-6
    assert np.array_equal(found[hidden], background[hidden]) and np.array_equal(left[hidden], alpha[hidden])
