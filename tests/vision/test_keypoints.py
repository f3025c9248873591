"""Skeletons: crop, drawing and the way back into the frame, against the published program's pictures."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tracked_poses import read_poses
from util.images import read_image
from vision.people import coco
from vision.people.keypoints import (
    CROP_SIZE,
    box_center_and_side,
    crop_keypoints,
    draw_skeleton,
    overlay_skeleton,
    paste_iuv,
)


def skeleton(x0=100.0, y0=50.0, width=60.0, height=180.0, score=1.0):
    rng = np.random.default_rng(0)
    points = rng.uniform((x0, y0), (x0 + width, y0 + height), (17, 2))
    points[:2] = (x0, y0), (x0 + width, y0 + height)
    return np.concatenate([points, np.full((17, 1), score)], axis=1)


def every_pose(golden):
    folder = golden / "keypoints"
    for frame, people in read_poses(folder / "keypoints.json").items():
        for pose in people:
            yield f"{pose.person:02d}_{frame}", frame, pose


def test_skeletons_are_the_published_ones_to_the_pixel(golden):
    poses = list(every_pose(golden))
    assert poses
    for name, _, pose in poses:
        expected = read_image(golden / f"keypoints/skeletons/{name}_keypoints.png", "RGB")
        assert np.array_equal(draw_skeleton(crop_keypoints(pose.keypoints)), expected), name


def test_predictions_come_back_to_where_the_published_program_puts_them(golden):
    metadata = json.loads((golden / "keypoints/metadata.json").read_text())
    width, height = metadata["size_LR"]
    for name, frame, pose in every_pose(golden):
        prediction = read_image(golden / f"keypoints/kp2uv/test_latest/images/{name}_output_uv.png", "RGB")
        canvas = np.zeros((height, width, 4), np.uint8)
        paste_iuv(canvas, prediction, pose.keypoints, pose.person, metadata["alphapose_input_size"])
        expected = read_image(golden / f"keypoints/iuv/{pose.person:02d}/{frame}.png", "RGBA")
        assert np.abs(canvas.astype(int) - expected).max() <= 1, name


def test_the_crop_fills_192_of_256_pixels_around_its_middle():
    cropped = crop_keypoints(skeleton(x0=311, y0=70, width=40, height=160))[:, :2]
    low, high = cropped.min(axis=0), cropped.max(axis=0)
    assert (high - low).max() == pytest.approx(192)
    assert np.abs((low + high) / 2 - 128).max() <= 192 / 160  # the centre is rounded down to a whole pixel


def test_a_skeleton_of_one_point_has_a_box_and_can_be_drawn():
    keypoints = np.full((17, 3), 5.0)
    assert box_center_and_side(keypoints)[1] == 1
    assert draw_skeleton(crop_keypoints(keypoints)).any()


def test_unsure_joints_are_darker():
    sure, unsure = (draw_skeleton(crop_keypoints(skeleton(score=score))).astype(int) for score in (1, 0))
    assert np.abs(unsure - sure / 4).max() <= 1


def test_joints_outside_the_picture_are_left_out():
    keypoints = skeleton(x0=300, y0=300)
    assert not draw_skeleton(keypoints).any()
    keypoints[9, :2] = 100, 100
    drawn = draw_skeleton(keypoints).any(axis=2)
    assert drawn[97:104, 97:104].all()
    assert drawn.sum() == 49
    keypoints[9, :2] = 2, 100
    assert not draw_skeleton(keypoints).any()


def test_every_joint_has_a_bone_and_pairs_are_left_and_right():
    assert {joint for bone in coco.BONES for joint in bone} == set(range(coco.JOINTS)) and coco.JOINTS == 17
    for name, pair in (("eye", coco.EYES), ("ear", coco.EARS), ("shoulder", coco.SHOULDERS), ("elbow", coco.ELBOWS),
                       ("wrist", coco.WRISTS), ("hip", coco.HIPS), ("knee", coco.KNEES), ("ankle", coco.ANKLES)):
        assert [coco.NAMES[joint] for joint in pair] == [f"left {name}", f"right {name}"]
    assert coco.NAMES[coco.NOSE] == "nose"


def test_a_skeleton_over_a_frame_runs_through_its_joints_and_may_lie_outside():
    frame = np.zeros((300, 300, 3), np.uint8)
    keypoints = skeleton()
    overlay_skeleton(frame, keypoints, "1", (200, 100, 50))
    x, y = np.round(keypoints[:, :2]).astype(int).T
    assert (frame[y, x] == (200, 100, 50)).all()
    overlay_skeleton(frame, skeleton(x0=-500, y0=900), "2", (1, 2, 3))


def test_of_two_overlapping_people_the_later_one_is_in_front_and_nothing_is_mixed():
    first, second = np.full((2, CROP_SIZE, CROP_SIZE, 3), 50, np.uint8)
    second[...] = 240, 7, 9
    second[:, :128] = 0
    canvas = np.zeros((256, 256, 4), np.uint8)
    paste_iuv(canvas, first, skeleton(), 1, (256, 256))
    only_first = canvas.copy()
    paste_iuv(canvas, second, skeleton(), 2, (256, 256))
    colours = {tuple(c) for c in canvas.reshape(-1, 4)}
    assert colours == {(0, 0, 0, 0), (50, 50, 50, 254), (240, 7, 9, 253)}
    kept = canvas[..., 3] != 253
    assert np.array_equal(canvas[kept], only_first[kept])


@settings(deadline=None, max_examples=60)
@given(x=st.floats(-1e5, 1e5), y=st.floats(-1e5, 1e5), size=st.floats(0, 1e5))
def test_a_crop_anywhere_is_cut_at_the_frame(x, y, size):
    canvas = np.zeros((64, 96, 4), np.uint8)
    paste_iuv(canvas, np.full((CROP_SIZE, CROP_SIZE, 3), 100, np.uint8), skeleton(x, y, size, size), 1, (192, 128))
    if size > 4 and 0 < x < 192 and 0 < y < 128 and x + size < 192 and y + size < 128:
        assert canvas.any()
    if x > 192 + size or y + 2 * size + 2 < 0:
        assert not canvas.any()
