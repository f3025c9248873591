"""keypoints.json: the forms that are understood, and what is said about all others."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.dataroot import Metadata
from data.tracked_poses import Pose, people_layers, poses_of_frames, read_poses
from util.errors import UserError

JOINTS = [float(i) for i in range(51)]


def person(idx=1, **changes):
    entry = {"keypoints": JOINTS, "scores": 2.5, "idx": idx, **changes}
    return {key: value for key, value in entry.items() if value is not ...}


def result(frame, idx=1, **changes):
    entry = person(idx, **changes)
    entry["score"] = entry.pop("scores")
    return {"image_id": frame, "category_id": 1, "box": [0, 0, 1, 1], **entry}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "keypoints.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path
    return write


def message_of(function, *args):
    with pytest.raises(UserError) as error:
        function(*args)
    return str(error.value)


def people(n_people, layers=None):
    return Metadata(Path("metadata.json"), (96, 64), (256, 128), 24 * n_people + 1, layers)


def test_the_tracked_dictionary_is_understood(write):
    poses = read_poses(write({"0001.png": [person(1), person(2)], "0002.png": []}))
    assert list(poses) == ["0001", "0002"]
    assert [pose.person for pose in poses["0001"]] == [1, 2] and poses["0002"] == []
    assert np.array_equal(poses["0001"][0].keypoints, np.reshape(JOINTS, (17, 3)))
    assert poses["0001"][0].score == 2.5


def test_alphapose_results_are_understood(write):
    poses = read_poses(write([result("b.jpg", [[2]]), result("a.jpg", 1), result("b.jpg", [3.0])]))
    assert {frame: [pose.person for pose in present] for frame, present in poses.items()} == {"b": [2, 3], "a": [1]}


@pytest.mark.parametrize("count", [17, 26, 133, 136])
@pytest.mark.parametrize("nested", [False, True])
def test_layouts_that_begin_with_coco_are_cut_to_it(write, count, nested):
    numbers = np.arange(3.0 * count)
    keypoints = (numbers.reshape(-1, 3) if nested else numbers).tolist()
    pose = read_poses(write({"1.png": [person(keypoints=keypoints)]}))["1"][0]
    assert np.array_equal(pose.keypoints, numbers[:51].reshape(17, 3))


@pytest.mark.parametrize("name", ["../../x.png", "/etc/x.png", "..\\..\\x.jpg", "x", "c/x.jpeg"])
def test_a_frame_is_known_by_its_name_without_folder_and_ending(write, name):
    assert list(read_poses(write({name: [person()]}))) == ["x"]


@pytest.mark.parametrize("entry, found", [
    (person(keypoints=JOINTS[:48]), "person 1: 16 keypoints"),
    (person(keypoints=JOINTS[:50]), "person 1: 50 numbers"),
    (person(keypoints=JOINTS + JOINTS[:24]), "person 1: 25 keypoints"),
    (person(keypoints=[[1, 2]] * 17), "person 1: keypoints hold [1, 2]"),
    (person(keypoints=[float("nan"), *JOINTS[1:]]), "person 1: keypoints hold NaN"),
    (person(keypoints=[float("inf"), *JOINTS[1:]]), "person 1: keypoints hold Infinity"),
    (person(keypoints=[1e9, *JOINTS[1:]]), "person 1: a keypoint at 1e+09 px"),
    (person(keypoints=[10 ** 400, *JOINTS[1:]]), "person 1: keypoints hold 1000"),
    (person(keypoints=[True, *JOINTS[1:]]), "person 1: keypoints hold true"),
    (person(keypoints="none"), "person 1: keypoints hold \"none\""),
    (person(keypoints=None), "person 1: keypoints hold null"),
    (person(keypoints=...), "person 1: no keypoints"),
    (person(idx=...), "entry 1: no idx, so nobody was tracked"),
    (person(idx=0), "person 0: idx is 0"),
    (person(idx=255), "person 255: idx is 255"),
    (person(idx=1.5), "person 1.5: idx is 1.5"),
    (person(idx="1"), "entry 1: idx is \"1\""),
    (person(idx=[1, 2]), "entry 1: idx is [1, 2]"),
    (person(scores=None), "person 1: no number for scores"),
    (7, "entry 1: found a single value"),
])
def test_a_wrong_pose_is_named_in_one_line(write, entry, found):
    path = write({"0007.png": [entry]})
    message = message_of(read_poses, path)
    assert message.startswith(f"{path}: frame 0007.png, {found}")
    assert "expected" in message and "\n" not in message


@pytest.mark.parametrize("content, found", [
    ('{"0001.png": [', "not readable as JSON"),
    ("[" * 100_000, "not readable as JSON"),
    ("7", "holds a single value"),
    ({"version": 1.3, "people": []}, "poses of a single frame; expected the folder"),
    ({"0001.png": {"people": [{"pose_keypoints_2d": [5.0] * 54}]}}, "frame 0001.png, entry 1: no idx"),
    ([{"image_id": None, "keypoints": JOINTS}], "entry 1 of the list has no frame name"),
    ([result("1.png", idx=...)], "frame 1.png, entry 1: no idx"),
    ({"1.png": [person(1), person(1)]}, "frame 1.png, person 1: a second pose of this id"),
    ({"1.png": [], "a/1.jpg": []}, "frames 1.png and a/1.jpg have the same name"),
    ({"\x1b[31m\n.png": [3]}, 'frame "\\u001b[31m\\n.png", entry 1'),
])
def test_another_form_is_refused_in_one_line(write, content, found):
    message = message_of(read_poses, write(content))
    assert found in message and ("expected" in message or "Export" in message)
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path):
    assert message_of(read_poses, tmp_path / "none.json").startswith(f"{tmp_path / 'none.json'}: no such file")


def test_all_wrong_poses_are_reported_together(write):
    message = message_of(read_poses, write({f"{i}.png": [person(idx=0)] for i in range(5)}))
    assert [f"frame {i}.png" in line for i, line in enumerate(message.split("\n"))] == [True] * 5


def test_a_negative_score_counts_as_none(write):
    keypoints = [*JOINTS[:2], -0.01, *JOINTS[3:]]
    assert read_poses(write({"1.png": [person(keypoints=keypoints)]}))["1"][0].keypoints[0, 2] == 0


def test_frames_that_the_file_does_not_list_are_empty(write):
    path = write({"0002.png": [person(1)], "0009.png": [person(2)]})
    found = poses_of_frames(path, ["0001", "0002", "0003"])
    assert [[pose.person for pose in present] for present in found] == [[], [1], []]


def test_a_file_about_other_frames_is_refused(write):
    message = message_of(poses_of_frames, write({"frame_1.png": [person()]}), ["0001"])
    assert "named like frame_1" in message and "0001" in message


def frames_of(*ids):
    return [[Pose(i, np.zeros((17, 3)), 1.0) for i in present] for present in ids]


def test_everybody_has_a_layer_unless_the_metadata_choose():
    frames = frames_of([3, 1], [], [2])
    assert people_layers(people(3), "k.json", frames) == [[1], [2], [3]]
    assert people_layers(people(3, [[3], [1]]), "k.json", frames) == [[3], [1]]
    assert people_layers(people(2, [[2, 1]]), "k.json", frames) == [[2, 1]]


def test_people_without_tiles_or_poses_are_refused():
    assert "shows person 3; n_textures 49" in message_of(people_layers, people(2), "k.json", frames_of([1, 3]))
    assert "nobody in any frame" in message_of(people_layers, people(2), "k.json", frames_of([], []))
    assert "names person 2" in message_of(people_layers, people(2, [[1, 2]]), "k.json", frames_of([1]))


def test_fractions_of_the_frame_are_left_to_prepare(write):
    entry = {"confidence": 0.9, "keypoints": {"x": [0.1 + i / 40 for i in range(17)], "y": [0.2] * 17}}
    with pytest.raises(UserError, match="fractions of the frame .* Let prepare.py scale them: --poses"):
        read_poses(write({"0001.png": [entry]}))
