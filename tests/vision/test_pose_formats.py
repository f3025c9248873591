"""Files of pose estimators: each form is recognised by its content, and bad ones are refused in one line."""

import json

import numpy as np
import pytest

from util.errors import UserError
from vision.people.pose_formats import printable, read_pose_file

JOINTS = np.stack([np.arange(17) * 10 + 5, np.arange(17) * 7 + 3, np.full(17, 0.9)], axis=1)
ALPHAPOSE_TO_OPEN = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
NECK = JOINTS[5:7].mean(axis=0)
COCO_18 = np.array([NECK if i < 0 else JOINTS[i] for i in ALPHAPOSE_TO_OPEN])
# Where BODY-25 has COCO's joints; it has the neck, the middle of the hips and the feet besides.
BODY_25 = np.array([(1, 2, 0.5) if i < 0 else JOINTS[i] for i in (
    0, -1, 6, 8, 10, 5, 7, 9, -1, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, -1, -1, -1, -1, -1, -1)])


def numbers(rows, padding=0):
    return [float(x) for x in np.ravel(rows)] + [1.0] * 3 * padding


def alphapose(frame, joints=JOINTS, padding=0, **more):
    return {"image_id": frame, "category_id": 1, "keypoints": numbers(joints, padding), "score": 2.8,
            "box": [1, 2, 3, 4], **more}


def openpose(joints):
    return {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": numbers(joints),
                                        "face_keypoints_2d": []}]}


@pytest.fixture
def write(tmp_path):
    def write(content, name="poses.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path
    return write


@pytest.mark.parametrize("content, form, tracked", [
    ([alphapose("1.jpg")], "AlphaPose's list of results, COCO-17", False),
    ([alphapose("1.jpg", idx=2)], "AlphaPose's list of results, COCO-17", True),
    ([alphapose("1.jpg", idx=[0.0])], "AlphaPose's list of results, COCO-17", False),
    ([alphapose("1.jpg", idx=[[3.0]])], "AlphaPose's list of results, COCO-17", True),
    ([alphapose("1.jpg", padding=9, idx=1)], "AlphaPose's list of results, Halpe-26", True),
    ([alphapose("1.jpg", padding=119, idx=1)], "AlphaPose's list of results, Halpe-136", True),
    ([{"image_id": 1, "category_id": 1, "keypoints": numbers(JOINTS), "score": 0.9}], "COCO results, COCO-17", False),
    ({"1.jpg": [{"keypoints": numbers(JOINTS), "scores": 2.5, "idx": 1}]}, "tracked poses by frame, COCO-17", True),
    ({"1.jpg": {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": numbers(COCO_18)}]}},
     "AlphaPose's --format open or cmu, COCO-18", False),
    ({"1.jpg": {"version": "AlphaPose v0.3", "bodies": [{"joints": numbers(COCO_18)}]}},
     "AlphaPose's --format open or cmu, COCO-18", False),
])
def test_each_form_gives_the_same_joints_and_its_name(write, content, form, tracked):
    file = read_pose_file(write(content))
    assert (file.form, file.is_tracked) == (form, tracked)
    assert list(file.poses) == ["1"] and np.allclose(file.poses["1"][0].keypoints, JOINTS)


@pytest.mark.parametrize("joints, layout", [(BODY_25, "BODY-25"), (COCO_18, "COCO-18")])
def test_a_folder_of_openpose_is_read_in_the_order_of_its_frames(write, joints, layout):
    for number in (11, 2, 0):
        path = write(openpose(joints + [number, 0, 0]), f"json/clip_{number:012d}_keypoints.json")
    file = read_pose_file(path.parent)
    assert file.form == f"OpenPose's folder of frames, {layout}" and not file.is_tracked
    assert list(file.poses) == [f"clip_{number:012d}" for number in (0, 2, 11)]
    assert np.allclose(file.poses["clip_000000000011"][0].keypoints, JOINTS + [11, 0, 0])


def test_joints_that_openpose_did_not_see_lie_on_seen_ones_and_nobody_is_no_pose(write):
    joints = BODY_25.copy()
    joints[[1, 4, 11, 22, 23, 24]] = 0  # the right wrist and ankle, among others
    path = write(openpose(joints), "json/0_keypoints.json")
    write(openpose(np.zeros((25, 3))), "json/1_keypoints.json")
    file = read_pose_file(path.parent)
    keypoints = file.poses["0"][0].keypoints
    assert (keypoints[:, 2] == 0).nonzero()[0].tolist() == [10, 16]
    seen = {tuple(point) for point in np.delete(JOINTS, [10, 16], axis=0)[:, :2]}
    assert {tuple(keypoints[10, :2]), tuple(keypoints[16, :2])} <= seen
    assert file.poses["1"] == []


def test_frames_out_of_order_and_without_anybody_are_fine(write):
    file = read_pose_file(write([alphapose("9.jpg"), alphapose("1.jpg"), alphapose("9.jpg")]))
    assert {frame: len(people) for frame, people in file.poses.items()} == {"9": 2, "1": 1}
    assert read_pose_file(write([])).poses == {} and read_pose_file(write({"1.jpg": []})).poses == {"1": []}


def test_ids_that_are_twice_in_a_frame_do_not_count_as_tracked(write):
    assert not read_pose_file(write([alphapose("1.jpg", idx=1), alphapose("1.jpg", idx=1)])).is_tracked


@pytest.mark.parametrize("name", ["../../x.png", "/etc/x.png", "..\\..\\x.jpg", "C:\\x.png"])
def test_folders_in_names_are_never_followed(write, name):
    assert list(read_pose_file(write([alphapose(name)])).poses) == ["x"]


@pytest.mark.parametrize("content, found", [
    ('[{"image_id": "1.jpg", "keypoints": [1, 2', "not readable as JSON"),
    ('[{"image_id": "1.jpg", "score": 1, "keypoints": ' + str([float("nan")] * 51).replace("nan", "NaN") + "}]", "NaN"),
    ([alphapose("1.jpg", joints=JOINTS[:5])], "5 keypoints"),
    ([alphapose("1.jpg", joints=JOINTS / 1000)], "within 1 pixel"),
    (openpose(BODY_25), "a single frame; expected the folder"),
    ({"1.jpg": {"people": [{"pose_keypoints_2d": numbers(JOINTS)}]}}, "17 keypoints"),
    ({"images": [], "annotations": []}, "holds an object with images"),
    ({"1.jpg": 3}, "frame 1.jpg: holds a single value"),
    ("3", "holds a single value"),
])
def test_what_cannot_be_read_is_refused_in_one_line(write, content, found):
    with pytest.raises(UserError) as error:
        read_pose_file(write(content))
    assert found in str(error.value) and "\n" not in str(error.value)


def test_a_folder_of_other_files_is_refused(write, tmp_path):
    with pytest.raises(UserError, match="no JSON files"):
        read_pose_file(tmp_path)
    path = write({"a": 1}, "json/other.json")
    with pytest.raises(UserError, match="other.json: holds an object with a"):
        read_pose_file(path.parent)


@pytest.mark.parametrize("name, shown", [
    ("x" * 39, "x" * 39), ("x" * 40, '"' + "x" * 36 + "..."), ("\n" + "x" * 35, '"\\n' + "x" * 35 + '"'),
    ("\n" + "x" * 36, '"\\n' + "x" * 34 + "...")])
def test_long_or_unprintable_names_are_shown_in_at_most_40_letters(name, shown):
    assert printable(name) == shown and len(shown) <= 40
