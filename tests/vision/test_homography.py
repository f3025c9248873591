"""Homographies between pixels of frames of other sizes than the one they were registered at."""

import numpy as np

from vision.geometry.homography import Registration, apply_homography, still


def test_the_way_to_the_world_is_between_centres_of_pixels_at_every_size():
    """A frame zoomed twice: pixel p of the full size is p / 2 in the world; at half size centres are a quarter off."""
    registration = Registration((200, 100), (0, 200, 0, 100), np.stack([np.eye(3), np.diag([2.0, 2.0, 1.0])]))
    for size, expected in (((200, 100), (5, 4)), ((100, 50), (5 - 0.125, 4 - 0.125))):
        still, zoomed = registration.to_world(size)
        np.testing.assert_allclose(still, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(apply_homography(zoomed, np.array([[10.0], [8.0]]))[:, 0], expected)
        np.testing.assert_allclose(registration.between(1, 0, size), zoomed, atol=1e-12)


def test_a_camera_at_rest_shows_all_of_its_frame_in_each():
    camera = still((8, 6), 3)
    assert camera.bounds == (0, 7, 0, 5) and np.array_equal(camera.matrices, [np.eye(3)] * 3)
