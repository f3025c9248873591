"""Poses as today's tools write them: each nesting gives the same joints, and what is not read is called by its name."""

import json

import numpy as np
import pytest

from util.errors import UserError
from vision.people.coco import NAMES
from vision.people.pose_formats import read_pose_file

JOINTS = np.stack([np.arange(17) * 10 + 5, np.arange(17) * 7 + 3, np.full(17, 0.9)], axis=1)
SIZE = (640, 360)
UNSEEN = 10
"""The right wrist; what lies nearest to it is the right elbow's height."""


def shifted(frame, person=0):
    return JOINTS + (3 * frame + 100 * person, 0, 0)


def instance(joints, **more):
    return {"keypoints": joints[:, :2].tolist(), "keypoint_scores": joints[:, 2].tolist(), "bbox": [[1, 2, 3, 4]],
            "bbox_score": 0.8, **more}


def ultralytics(joints, scale=(1, 1), **more):
    x, y = (joints[:, :2] / scale).T.tolist()
    return {"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 1, "y1": 2, "x2": 3, "y2": 4},
            "keypoints": {"x": x, "y": y, "visible": joints[:, 2].tolist()}, **more}


def coco_18(joints, scale=(1, 1)):
    places = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
    rows = np.array([joints[5:7].mean(axis=0) if i < 0 else joints[i] for i in places])
    return (rows / (*scale, 1)).ravel().tolist()


def canvas(frames, scale=(1, 1)):
    return [{"version": 1.3, "people": [{"pose_keypoints_2d": coco_18(joints, scale), "face_keypoints_2d": None}],
             "canvas_width": SIZE[0], "canvas_height": SIZE[1]} for joints in frames]


def coco(joints, **more):
    rows = joints.copy()
    rows[:, 2] = np.where(rows[:, 2] > 0, 2, 0)
    return {"category_id": 1, "keypoints": rows.ravel().tolist(), "num_keypoints": 17, "iscrowd": 0, **more}


def annotations(**track):
    return {"images": [{"id": 7 + f, "file_name": f"clip/{f}.png", "width": SIZE[0], "height": SIZE[1]}
                       for f in range(3)], "categories": [{"id": 1, "name": "person"}],
            "annotations": [coco(shifted(f), id=f, image_id=7 + f, **track) for f in range(3)]}


NAMED = {str(i): name.replace(" ", "_") for i, name in enumerate(NAMES)}
FORMS = {
    "MMPose's inferencer": (lambda f: [{"frame_id": i, "instances": [instance(j)]} for i, j in enumerate(f)],
                            "MMPose's results, COCO-17", None, None),
    "MMPose's tracked": (lambda f: [{"frame_id": i, "instances": [instance(j, track_id=4)]} for i, j in enumerate(f)],
                         "MMPose's results, COCO-17", None, 4),
    "MMPose's demo": (lambda f: {"meta_info": {"dataset_name": "coco"}, "instance_info": [
        {"frame_id": i, "instances": [instance(j)]} for i, j in enumerate(f)]}, "MMPose's demo, COCO-17", None, None),
    "MMPose's batch of one": (lambda f: [{"instances": [{
        "keypoints": [j[:, :2].tolist()], "keypoint_scores": [j[:, 2].tolist()]}]} for j in f],
        "MMPose's results, COCO-17", None, None),
    "MMPose's by name": (lambda f: {f"{i}.png": {"instances": [instance(j)]} for i, j in enumerate(f)},
                         "tracked poses by frame, COCO-17", None, None),
    "WholeBody": (lambda f: [{"instances": [instance(np.concatenate([j, np.ones((116, 3))]))]} for j in f],
                  "MMPose's results, COCO-WholeBody", None, None),
    "Ultralytics' list": (lambda f: [[ultralytics(j, track_id=2)] for j in f], "Ultralytics' results, COCO-17", None,
                          2),
    "Ultralytics' by name": (lambda f: {f"{i}.jpg": [ultralytics(j)] for i, j in enumerate(f)},
                             "Ultralytics' results, COCO-17", None, None),
    "Ultralytics' normalised": (lambda f: [[ultralytics(j, SIZE)] for j in f], "Ultralytics' results, COCO-17", (1, 1),
                                None),
    "easy_ViTPose": (lambda f: {"keypoints": [{"0": j[:, [1, 0, 2]].tolist()} for j in f], "skeleton": NAMED},
                     "easy_ViTPose's results, COCO-17", None, 1),
    "easy_ViTPose of other joints": (lambda f: {
        "keypoints": [{"3": [[0, 0, 0], *j[::-1][:, [1, 0, 2]].tolist()]} for j in f],
        "skeleton": {"0": "neck", **{str(17 - i): name for i, name in enumerate(NAMES)}}},
        "easy_ViTPose's results, COCO-17", None, 3),
    "transformers' ViTPose": (lambda f: [[{"keypoints": j[:, :2].tolist(), "scores": j[:, 2].tolist(), "labels": [0]}]
                                         for j in f], "a list of people for each frame, COCO-17", None, None),
    "DWPose": (canvas, "ControlNet's poses of all frames, COCO-18", SIZE, None),
    "DWPose's fractions": (lambda f: canvas(f, SIZE), "ControlNet's poses of all frames, COCO-18", (1, 1), None),
    "COCO annotations": (lambda f: annotations(), "COCO annotations, COCO-17", SIZE, None),
    "CVAT's tracks": (lambda f: annotations(attributes={"track_id": 6, "occluded": False}),
                      "COCO annotations, COCO-17", SIZE, 6),
    "by person": (lambda f: {"12": {f"{i:04d}": {"keypoints": j.ravel().tolist(), "scores": None}
                                    for i, j in enumerate(f)}}, "poses by person and frame, COCO-17", None, 12),
}


@pytest.fixture
def write(tmp_path):
    def write(content, name="poses.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path
    return write


@pytest.mark.parametrize("tool", FORMS)
def test_each_tool_gives_the_same_joints_frame_by_frame(write, tool):
    make, form, size, person = FORMS[tool]
    file = read_pose_file(write(make([shifted(frame) for frame in range(3)])))
    assert (file.form, file.size) == (form, size)
    assert [int(name) for name in file.poses] == [0, 1, 2]
    scale = (*SIZE, 1) if size == (1, 1) else (1, 1, 1)
    for frame, people in enumerate(file.poses.values()):
        keypoints = people[0].keypoints * scale
        assert np.allclose(keypoints[:, :2], shifted(frame)[:, :2]) and people[0].person == person
        assert (keypoints[:, 2] > 0.8).all() and people[0].score > 0.5


def test_frames_of_a_demo_count_from_1_as_it_says(write):
    content = {"instance_info": [{"frame_id": i, "instances": []} for i in (1, 2, 3)]}
    assert list(read_pose_file(write(content)).poses) == ["1", "2", "3"]


FOLDERS = {
    "MMPose": (lambda j: [instance(j)], "MMPose's folder of frames, COCO-17", None),
    "MMPose's demo of pictures": (lambda j: {"meta_info": {}, "instance_info": [instance(j)]},
                                  "MMPose's folder of frames, COCO-17", None),
    "Ultralytics": (lambda j: [ultralytics(j)], "Ultralytics' folder of frames, COCO-17", None),
    "ControlNet": (lambda j: canvas([j], SIZE)[0], "ControlNet's poses of all frames, COCO-18", (1, 1)),
}


@pytest.mark.parametrize("tool", FOLDERS)
def test_a_folder_with_a_file_for_each_frame(write, tool):
    make, form, size = FOLDERS[tool]
    for frame in range(3):
        folder = write(make(shifted(frame)), f"json/shot_{frame:04d}.json").parent
    write([], "json/shot_0003.json") if tool != "ControlNet" else None
    (folder / "._shot_0001.json").write_bytes(b"\0\5\26\7")
    file = read_pose_file(folder)
    assert (file.form, file.size) == (form, size)
    assert np.allclose(file.poses["shot_0002"][0].keypoints * (*(size and SIZE or (1, 1)), 1), shifted(2))
    assert tool == "ControlNet" or file.poses["shot_0003"] == []


@pytest.mark.parametrize("more, person", [("", None), (" 0.8766", None), (" 7", 7), (" 0.8766 7", 7)])
@pytest.mark.parametrize("with_score", [True, False])
def test_labels_of_ultralytics_have_fractions_and_perhaps_a_confidence_and_an_id(write, more, person, with_score):
    for frame in range(3):
        rows = shifted(frame)[:, :2 + with_score] / (*SIZE, 1)[:2 + with_score]
        text = "0 0.5 0.5 0.2 0.4 " + " ".join(f"{x:.6f}" for x in rows.ravel()) + more + "\n"
        folder = write(text, f"labels/clip_{frame + 1}.txt").parent
    write("person", "labels/classes.txt")
    file = read_pose_file(folder)
    assert file.form == "Ultralytics' labels, COCO-17" and file.size == (1, 1)
    pose = file.poses["clip_3"][0]
    assert np.allclose(pose.keypoints[:, :2] * SIZE, shifted(2)[:, :2], atol=0.01) and pose.person == person


@pytest.mark.parametrize("tool", ["coco", "ultralytics", "canvas"])
def test_a_joint_that_was_not_seen_lies_on_a_seen_one_not_in_the_corner(write, tool):
    joints = JOINTS.copy()
    joints[UNSEEN] = 0
    content = annotations() if tool == "coco" else [[ultralytics(joints)]]
    if tool == "coco":
        content["annotations"] = [coco(joints, image_id=7)]
    if tool == "canvas":
        content = canvas([joints])
    pose = read_pose_file(write(content)).poses["0"][0]
    assert pose.keypoints[UNSEEN, 2] == 0 and tuple(pose.keypoints[UNSEEN, :2]) in set(map(tuple, JOINTS[:, :2]))


@pytest.mark.parametrize("idx, person", [([[1.0], [6.0]], 1), ([[3.0]], 3), ([2.0], 2), (5, 5)])
def test_where_alphapose_merged_people_the_first_number_counts(write, idx, person):
    entry = {"image_id": "1.jpg", "keypoints": JOINTS.ravel().tolist(), "score": 2.0, "idx": idx}
    assert read_pose_file(write([entry])).poses["1"][0].person == person


def test_alphapose_without_tracking_merges_zeros_and_is_not_tracked(write):
    entries = [{"image_id": f"{i}.jpg", "keypoints": JOINTS.ravel().tolist(), "score": 2.0,
                "idx": [[0.0], [0.0]] if i % 2 else [0.0]} for i in range(4)]
    assert not read_pose_file(write(entries)).is_tracked


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_marks_of_an_encoding_and_a_value_in_each_line_are_understood(tmp_path, encoding):
    entries = [{"image_id": f"{i}.jpg", "keypoints": JOINTS.ravel().tolist(), "score": 2.0} for i in range(2)]
    (tmp_path / "a.json").write_bytes(json.dumps(entries).encode(encoding))
    assert list(read_pose_file(tmp_path / "a.json").poses) == ["0", "1"]
    if encoding != "utf-16":
        (tmp_path / "a.jsonl").write_bytes("\n".join(map(json.dumps, entries)).encode(encoding))
        assert list(read_pose_file(tmp_path / "a.jsonl").poses) == ["0", "1"]


@pytest.mark.parametrize("content, name, found", [
    ("scorer,DLC\nbodyparts,nose\n", "a.csv", "a table, as DeepLabCut"), ("\x80\x04}q\0.", "a.pkl", "Python's pickle"),
    ("\x89HDF", "a.h5", "HDF5, as DeepLabCut"), ("<annotations/>", "a.xml", "export COCO Keypoints 1.0"),
    ([{"id": 1, "data": {}, "annotations": []}], "a.json", "Label Studio's JSON"),
    ({"pose_landmarks": []}, "a.json", "MediaPipe's landmarks"),
    ({"shapes": [], "imagePath": "x.png"}, "a.json", "Labelme's file of one picture"),
    ({"instance_info": [{"keypoints": [[1, 2]] * 308, "keypoint_scores": [1] * 308}]}, "a.json",
     "308 keypoints (Sapiens' Goliath's)"),
    ({"instance_info": [3]}, "a.json", "no list of frames with instances"),
    ([[{"keypoints": [[1, 2, 1]] * 33}]], "a.json", "33 keypoints (MediaPipe's BlazePose's)"),
    ({"images": [{"id": 1}], "annotations": [coco(JOINTS, image_id=1)]}, "a.json", "not of their form (KeyError"),
    ({"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "segmentation": [1]}]}, "a.json",
     "none with keypoints; expected COCO keypoints. Masks are given with --masks"),
    ("0 0.5 0.5 0.1 0.1\n", "labels/a.txt", "line 1: 5 words; expected Ultralytics' poses"),
])
def test_what_is_not_read_is_called_by_its_name(write, content, name, found):
    path = write(content, name)
    with pytest.raises(UserError) as error:
        read_pose_file(path.parent if name.endswith(".txt") else path)
    assert found in str(error.value) and "\n" not in str(error.value)


def test_files_of_two_programs_in_one_folder_are_told(write):
    write([instance(JOINTS)], "json/0.json")
    with pytest.raises(UserError, match="MMPose's and Ultralytics' files; expected those of one program"):
        read_pose_file(write([ultralytics(JOINTS)], "json/1.json").parent)
