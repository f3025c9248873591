import numpy as np
import pytest

from vision.geometry.ground_shadow import Camera, GroundLight, cast_shadow, fitted_light
from vision.geometry.trajectories import camera_on_path

SIZE = (72, 96)
CAMERA = Camera(np.array([[90.0, 0, 47.5, 0], [0, 90, 35.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), camera_on_path(
    "circle", 0, 0, {"radius": 4.0, "axis": "y", "h": 1.2, "t0": 1.2}, (0, 0.6, 0), (0, -1, 0)), SIZE)


def post(x, z, height=1.0, width=0.12):
    """A box that stands on the ground."""
    corners = np.array([[a, b, c] for a in (-1, 1) for b in (0, 1) for c in (-1, 1)], float)
    vertices = corners * [width, height, width] + [x, 0, z]
    faces = [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6],
             [0, 6, 4], [1, 5, 7], [1, 7, 3]]
    return vertices, np.array(faces)


def pixel(point):
    seen = (np.array(point) - CAMERA.pose[:3, 3]) @ CAMERA.pose[:3, :3]
    return np.rint(seen[:2] / seen[2] * 90 + [47.5, 35.5]).astype(int)


def test_a_post_darkens_the_ground_from_its_foot_to_where_the_light_passes_its_top():
    vertices, faces = post(0, 0)
    shadow = cast_shadow(vertices, faces, GroundLight(0.0, (0.8, -0.3), 0, 0.4), CAMERA)
    for share, dark in ((0.0, 0.4), (0.5, 0.4), (1.0, 0.4), (1.3, 0), (-0.3, 0)):
        x, y = pixel((0.8 * share, 0, -0.3 * share))
        assert shadow[y, x] == pytest.approx(dark)
    soft = cast_shadow(vertices, faces, GroundLight(0.0, (0.8, -0.3), 0.02, 0.4), CAMERA)
    assert soft.sum() == pytest.approx(shadow.sum(), rel=0.02) and soft.max() < 0.4 + 1e-6


def test_the_light_of_shadows_is_found_again_where_nobody_stands_before_them():
    truth = GroundLight(0.03, (0.7, 0.4), 0.008, 0.5)
    places = [(-0.5, 0.2), (0.1, -0.4), (0.6, 0.5)]
    bodies, faces = [post(*place)[0] for place in places], post(0, 0)[1]
    dark = np.stack([cast_shadow(body, faces, truth, CAMERA) for body in bodies])
    visible = np.ones(dark.shape, bool)
    visible[:, :, :20] = False
    dark[:, :, :20] = 1.0  # what is seen of people does not count
    light, likeness = fitted_light(bodies, faces, 0.0, CAMERA, dark, visible)
    assert likeness > 0.95
    assert light.reach == pytest.approx(truth.reach, abs=0.06)
    assert light.strength == pytest.approx(0.5, abs=0.06)


def test_without_a_shadow_nothing_is_like_one():
    vertices, faces = post(0, 0)
    dark = np.zeros((1, *SIZE), np.float32)
    assert fitted_light([vertices], faces, 0.0, CAMERA, dark, np.ones(dark.shape, bool))[1] == 0
