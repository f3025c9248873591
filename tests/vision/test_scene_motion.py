"""Places of the scene followed before a camera that walks, against where the camera really saw them."""

import cv2
import numpy as np
import pytest

from datasets.make_sample import Content, SampleClip, make_sample
from datasets.synthetic.scene import GROUND, View
from util.images import read_image
from vision.geometry.scene_motion import SceneMotion, line_through

SIZE, FRAMES = (224, 128), 16


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory):
    root = make_sample(tmp_path_factory.mktemp("walk") / "clip", frames=FRAMES, width=SIZE[0], height=SIZE[1],
                       people=1, camera="walk")
    return [read_image(root / f"gt/bg/{frame + 1:04d}.png", "RGB") for frame in range(FRAMES)]


def motion_of(pictures: list[np.ndarray]) -> SceneMotion:
    height, width = pictures[0].shape[:2]
    return SceneMotion(pictures.__getitem__, len(pictures), (width, height))


@pytest.mark.parametrize("scale", [1, 3])
def test_a_place_on_the_ground_is_followed_to_where_the_camera_sees_it(backgrounds, scale):
    size = tuple(scale * side for side in SIZE)
    motion = motion_of([cv2.resize(one, size, interpolation=cv2.INTER_CUBIC) for one in backgrounds])
    clip = SampleClip(View(*(2 * side for side in SIZE)), FRAMES, Content(camera="walk"))
    assert motion.walks
    for ground in ((-0.8, 0, 6.5), (0, 0, 7), (0.8, 0, 7.5)):
        first = np.array([*clip.view.project(np.array(ground)), 1])
        places = [clip.motion(GROUND, frame) @ first for frame in range(FRAMES)]
        places = [scale * ((place[:2] / place[2] + 0.5) / 2) - 0.5 for place in places]
        for source, other in ((0, FRAMES - 1), (FRAMES - 1, 0), (9, 2)):
            matrix = motion.between(tuple(places[source]), source, other)
            found, moved = (matrix @ (*places[source], 1))[:2], np.linalg.norm(places[other] - places[source])
            assert moved > scale * 8 and np.linalg.norm(found - places[other]) < 0.08 * moved + 0.5 * scale
            grown = np.hypot(*matrix[:2, 0]) - 1  # the camera walks a little ahead, too
            assert -0.16 < grown < 0.16 and abs(np.arctan2(matrix[1, 0], matrix[0, 0])) < 0.05


def test_what_zooms_around_a_place_makes_it_grow_as_much():
    noise = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (400, 640, 3)).astype(np.uint8), (0, 0), 2)
    noise = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
    centre, zoom = np.array([300.0, 190.0]), 1.03
    zooms = [cv2.getRotationMatrix2D(tuple(centre), 1.0 * frame, zoom ** frame) for frame in range(4)]
    motion = motion_of([cv2.warpAffine(noise, one, (640, 400), borderMode=cv2.BORDER_REFLECT) for one in zooms])
    matrix = motion.between((360.0, 240.0), 0, 3)
    assert np.abs(matrix[:2, :2] - zooms[3][:, :2]).max() < 0.012
    assert np.abs(matrix @ (360, 240, 1) - (*(zooms[3] @ (360, 240, 1)), 1)).max() < 1


def test_a_camera_that_stands_still_before_waves_does_not_walk(backgrounds):
    rows, columns = np.mgrid[:SIZE[1], :SIZE[0]].astype(np.float32)
    waves = [cv2.remap(backgrounds[0], columns + 1.2 * np.sin(0.9 * frame + rows / 20).astype(np.float32), rows,
                       cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT) for frame in range(FRAMES)]
    assert not motion_of(waves).walks
    assert not motion_of(backgrounds[:1]).walks and not motion_of([backgrounds[0]] * 3).walks


def test_a_line_through_points_leaves_out_those_that_are_far_off():
    x = np.linspace(-20, 20, 30)
    y = np.column_stack([3 + 0.1 * x, -1 - 0.2 * x])
    y[9:18] += (25, -8)
    assert np.abs(line_through(x, y) - [[3, -1], [0.1, -0.2]]).max() < 0.02
