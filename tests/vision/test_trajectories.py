import numpy as np
import pytest

from data.actor_views import vector
from tests.golden_actor import figures
from vision.geometry.trajectories import PATHS, camera_on_path


@pytest.mark.parametrize("case", figures("trajectories.json"), ids=lambda case: f"{case['style']} {case['step']}")
def test_paths_are_as_published(case):
    args = {name: vector(value, name) if name == "offset" and isinstance(value, str) else value
            for name, value in case["args"].items()}
    pose = camera_on_path(case["style"], case["step"], case["angular_speed"], args, case["at"], case["up"])
    np.testing.assert_allclose(pose, case["camera_to_world"], atol=1e-5)


@pytest.mark.parametrize("style", PATHS)
def test_a_camera_on_a_path_is_a_rotation_and_looks_at_the_point(style):
    at = np.array([0.3, -0.2, 1.1])
    for step in (0, 7, 40):
        args = {"radius": 2, "h": 0.4, "axis": "y", "r": -1, "min_r": 0.5}
        pose = camera_on_path(style, step, 11, args, at, (0, -1, 0))
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
        assert np.linalg.det(pose[:3, :3]) > 0.99
        seen = pose[:3, :3].T @ (at - pose[:3, 3])
        np.testing.assert_allclose(seen[:2], 0, atol=1e-6)
        assert seen[2] > 0


def test_a_spiral_goes_round_and_up_and_down():
    heights = [camera_on_path("spiral", step, 10, {"radius": 2, "h": 1, "rise": 0.5, "turns": 1})[2, 3]
               for step in range(36)]
    assert abs(max(heights) - 1.5) < 0.01 and abs(min(heights) - 0.5) < 0.01
