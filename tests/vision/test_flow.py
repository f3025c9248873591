"""Optical flow: found, inverted, and put to use."""

import cv2
import numpy as np
import pytest

from vision.geometry.flow import (
    backward_warp,
    camera_shift,
    flow_from_between,
    inverse_flow,
    optical_flow,
    warp_frames,
    widely_blurred,
)

PICTURE = cv2.GaussianBlur(np.random.default_rng(0).random((64, 96)).astype(np.float32), (0, 0), 3)
PICTURE = (255 * (PICTURE - PICTURE.min()) / np.ptp(PICTURE)).round().astype(np.uint8)
INSIDE = (slice(12, -12), slice(12, -12))


def smooth_flow():
    rows, columns = np.mgrid[:64, :96].astype(np.float32)
    return np.stack([1.5 + np.sin(rows / 20), np.cos(columns / 25)], axis=-1).astype(np.float32)


def test_a_flow_points_to_where_things_went_and_warping_brings_them_back():
    moved = np.roll(PICTURE, (2, 3), axis=(0, 1))  # two down, three to the right
    flow = optical_flow(PICTURE, moved)
    np.testing.assert_allclose(np.median(flow[INSIDE], axis=(0, 1)), (3, 2), atol=0.2)
    exact = np.broadcast_to(np.float32((3, 2)), (64, 96, 2))
    assert (backward_warp(moved, exact)[INSIDE] == PICTURE[INSIDE]).all()
    assert (warp_frames(moved[None], exact[None])[0] == backward_warp(moved, exact)).all()


def test_a_flow_and_its_inverse_lead_back():
    flow = smooth_flow()
    back = inverse_flow(flow, steps=8)
    np.testing.assert_allclose((back + backward_warp(flow, back))[INSIDE], 0, atol=0.02)


@pytest.mark.parametrize("time", [0.0, 0.25, 1.0])
def test_from_between_of_a_steady_motion_either_is_reached_in_its_share_of_the_time(time):
    motion = np.broadcast_to(np.float32((4, -2)), (8, 8, 2))
    to_first, to_second = flow_from_between(motion, -motion, time)
    np.testing.assert_allclose(to_first, -time * motion, atol=1e-6)
    np.testing.assert_allclose(to_second, (1 - time) * motion, atol=1e-6)


def test_the_camera_s_shift_is_that_of_most_of_the_picture():
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (160, 260), np.uint8), (0, 0), 1)
    first, second = scene[10:130, 10:230].copy(), scene[14:134, 3:223].copy()
    first[40:80, 60:90], second[40:80, 100:130] = 90, 90  # somebody who walks
    assert camera_shift(first, second) == pytest.approx([7, -4], abs=0.6)
    assert camera_shift(0 * first, 0 * first).tolist() == [0, 0]


@pytest.mark.parametrize("sigma", [3, 4, 7.7, 16])
@pytest.mark.parametrize("shape", [(60, 61), (131, 97, 3)])
def test_a_wide_blur_is_a_gaussian_up_to_a_fiftieth_of_a_change(sigma, shape):
    steps = np.zeros(shape, np.float32)
    steps[:20], steps[30:50, 20:41] = 1, 1
    off = np.abs(widely_blurred(steps, sigma) - cv2.GaussianBlur(steps, (0, 0), sigma))
    assert off.max() < (0.02 if sigma >= 4 else 1e-6)
