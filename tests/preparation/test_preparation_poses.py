"""Step "poses": files of all forms become tracked people of this clip, numbered by how much they are seen."""

import json
import sys
from argparse import ArgumentTypeError, Namespace

import numpy as np
import pytest

from data.tracked_poses import read_poses
from preparation import estimators, poses
from preparation.estimators import moving_boxes, search_boxes, surest
from preparation.steps import perform, write_values
from util.errors import UserError
from util.images import read_image, write_png

STANDING = np.array([(50, 5), (52, 3), (48, 3), (55, 5), (45, 5), (62, 20), (38, 20), (68, 38), (32, 38), (70, 55),
                     (30, 55), (58, 58), (42, 58), (58, 80), (42, 80), (58, 100), (42, 100)], float)
SIZE = (300, 120)
FRAMES = 20


def skeleton(x, score=0.9):
    return np.concatenate([STANDING + (x, 5), np.full((17, 1), score)], axis=1)


def entry(x, **more):
    return {"keypoints": skeleton(x).ravel().tolist(), "scores": 2.0, **more}


@pytest.fixture
def root(tmp_path):
    for number in range(1, FRAMES + 1):
        write_png(tmp_path / "root/rgb" / f"{number:04d}.png", np.zeros((*SIZE[::-1], 3), np.uint8))
    write_values(tmp_path / "root/metadata.json", {"source": {"file": "a.mp4", "frames": list(range(FRAMES))}})
    return tmp_path / "root"


@pytest.fixture
def prepare(root, tmp_path):
    def prepare(content, **options):
        path = tmp_path / "poses.json"
        path.write_text(json.dumps(content))
        opt = Namespace(**{"poses": path, "people": None, "min_frames": None, **options})
        outcome, _ = perform(poses.STEP, root, opt)
        return outcome, read_poses(root / "keypoints.json")
    return prepare


def place(people):
    """x of everybody, by number."""
    return {pose.person: round(pose.keypoints[:, 0].mean()) - 50 for pose in people}


def white(root, number, frame, columns):
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[:, columns] = 255
    write_png(root / "mask" / f"{number:02d}" / f"{frame:04d}.png", mask)


def test_untracked_people_are_tracked_and_numbered_by_the_frames_they_are_in(prepare):
    content = {f"{n:04d}.png": [entry(150 - n)] * (n > 6) + [entry(2 * n)] for n in range(1, FRAMES + 1)}
    outcome, people = prepare(content)
    assert "2 people (tracked poses by frame, COCO-17; frames matched by name; tracked here" in outcome.summary
    assert [place(people[f"{n:04d}"]) for n in (1, 7, 20)] == [{1: 2}, {1: 14, 2: 143}, {1: 40, 2: 130}]


def test_ids_of_a_tracker_are_kept_however_they_are_numbered(prepare):
    content = {f"{n:04d}.png": [entry(150, idx=317)] * (n > 3) + [entry(0, idx=0)] for n in range(1, FRAMES + 1)}
    _, people = prepare(content)
    assert place(people["0020"]) == {1: 0, 2: 150}


@pytest.mark.parametrize("names, first", [
    ("frame_{:04d}.png", None), ("{}.jpg", 0), ("clip_{:012d}_keypoints.json", 0), ("../../{:04d}.png", 1)])
def test_frames_are_matched_by_name_else_by_number_from_0(prepare, names, first):
    content = {names.format(n + (first or 0)): [entry(3 * n, idx=1)] for n in range(FRAMES)}
    _, people = prepare(content)
    assert [place(people[f"{n:04d}"])[1] for n in (1, 9, 20)] == [0, 24, 57]


@pytest.mark.parametrize("names, indices, expected, words", [
    ("{:04d}.png", range(1, 41), range(10, 30), "the first of the whole video taken to be 1"),
    ("{}.jpg", range(40), range(10, 30), "the first of the whole video being 0"),
    ("{}.jpg", range(5, 40), range(10, 30), "the first of the whole video taken to be 0"),
    ("{:04d}.png", range(1, 41), range(0, 40, 2), "the first of the whole video taken to be 1"),
    ("{}.jpg", range(15), sorted([*range(15), *range(0, 10, 2)]), "the first of the whole video being 0"),
    ("{:04d}.png", range(1, 21), range(10, 30), "the first of those chosen from it taken to be 1"),
    ("{}.jpg", range(20), range(0, 40, 2), "the first of those chosen from it being 0"),
])
def test_poses_of_the_whole_video_find_the_frames_that_were_chosen_from_it(prepare, root, names, indices, expected,
                                                                           words):
    """x of each pose is twice the frame's index, in the video or among those chosen; the first number is 0 or 1."""
    write_values(root / "metadata.json", {"source": {"file": "a.mp4", "frames": list(expected)}})
    first = 0 if names == "{}.jpg" else 1
    outcome, people = prepare({names.format(n): [entry(2 * (n - first), idx=1)] for n in indices})
    places = [place(people[f"{n:04d}"])[1] for n in range(1, FRAMES + 1)]
    assert places == [2 * i for i in (expected if "whole" in words else range(FRAMES))]
    assert words in outcome.summary


def test_frames_of_a_folder_keep_their_names_whichever_were_chosen(prepare, root):
    names = [f"{n:04d}" for n in range(21, 41)]
    write_values(root / "metadata.json", {"source": {"file": "shot", "frames": list(range(20, 40)), "names": names}})
    _, people = prepare({f"{n:04d}.png": [entry(n, idx=1)] for n in range(1, 41)})
    assert [place(people[f"{n:04d}"])[1] for n in (1, 20)] == [21, 40]


def test_coco_results_are_matched_by_the_number_in_the_name(prepare):
    content = [{"image_id": n, "score": 1.0, **entry(3 * n)} for n in range(1, FRAMES + 1)]
    assert place(prepare(content)[1]["0009"]) == {1: 27}


def test_people_who_are_seldom_seen_are_left_out_and_named(prepare):
    content = {f"{n:04d}.png": [entry(0)] + [entry(150)] * (n > 15) for n in range(1, FRAMES + 1)}
    assert place(prepare(content)[1]["0020"]) == {1: 0, 2: 150}
    outcome, people = prepare(content, people=1)
    assert place(people["0020"]) == {1: 0} and "1 more people were left out" in str(outcome.findings)
    assert place(prepare(content, min_frames=6)[1]["0020"]) == {1: 0}


def test_short_gaps_are_filled_and_long_ones_told(prepare):
    content = {f"{n:04d}.png": [entry(4 * n, idx=1)] if n not in (5, 6) and not 9 <= n <= 15 else []
               for n in range(1, FRAMES + 1)}
    outcome, people = prepare(content)
    assert [place(people[f"{n:04d}"]) for n in (5, 6, 10)] == [{1: 20}, {1: 24}, {}]
    assert any("missing in 7 of 20 frames" in finding.text and "0009" in finding.text for finding in outcome.findings)


def test_people_have_the_numbers_of_their_masks_and_things_have_no_pose(prepare, root):
    for n in range(1, FRAMES + 1):
        white(root, 1, n, slice(280, 300))
        white(root, 2, n, slice(150, 260))
    content = {f"{n:04d}.png": [entry(0, idx=1), entry(150, idx=2)] for n in range(1, FRAMES + 1)}
    assert place(prepare(content)[1]["0004"]) == {2: 150}
    assert place(prepare(content, people=3)[1]["0004"]) == {2: 150, 3: 0}


def test_where_a_person_has_a_mask_but_no_pose_the_nearest_moves_with_the_mask(prepare, root):
    for n in range(1, FRAMES + 1):
        white(root, 1, n, slice(5 * n, 5 * n + 100))
    content = {f"{n:04d}.png": [entry(5 * n)] if n <= 10 else [] for n in range(1, FRAMES + 1)}
    assert place(prepare(content)[1]["0020"]) == {1: 100}


@pytest.mark.parametrize("content, found", [
    ({"a.png": [entry(0)]}, "has poses of a.png; expected frames like 0001 to 0020"),
    ({f"{n:04d}.png": [] for n in range(FRAMES)}, "nobody was found"),
    ([], "has poses of no frame at all"),
    ({"0001.png": [entry(400)], "0002.png": [entry(400)]}, "the frames have 300x120 pixels"),
])
def test_poses_that_do_not_fit_the_clip_are_refused_in_one_line(prepare, root, content, found):
    with pytest.raises(UserError) as error:
        prepare(content)
    assert found in str(error.value) and "\n" not in str(error.value)
    assert not (root / "keypoints.json").exists()


def test_an_estimator_goes_on_where_it_was_interrupted(root, monkeypatch):
    calls = []

    def find(frame, picture, before):
        assert picture.shape == (*SIZE[::-1], 3) and len(before) == (frame != "0001")
        calls.append(frame)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return [skeleton(2 * int(frame))]
    monkeypatch.setattr(estimators, "keypoint_rcnn", lambda: find)
    opt = Namespace(poses="keypoint_rcnn", people=None, min_frames=None)
    with pytest.raises(KeyboardInterrupt):
        perform(poses.STEP, root, opt)
    perform(poses.STEP, root, opt)
    assert len(calls) == FRAMES + 1 and place(read_poses(root / "keypoints.json")["0020"]) == {1: 40}


def test_weights_that_cannot_be_fetched_are_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="keypointrcnn_resnet50_fpn_coco-.*mediapipe") as error:
        estimators.keypoint_rcnn()
    assert "\n" not in str(error.value)


def test_where_the_larger_network_cannot_be_fetched_the_smaller_one_is_taken_and_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("VIDEO_PRETRAINED", "off")
    name, lacking = estimators.best_at_hand()
    assert name == "mediapipe" and "keypointrcnn" in lacking
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints" / estimators.KEYPOINT_RCNN.file_name).write_bytes(b"weights")
    assert estimators.best_at_hand() == ("keypoint_rcnn", "")


def test_a_missing_runtime_is_told_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(UserError, match="pip install ai-edge-litert"):
        estimators.mediapipe({}, {})


def test_a_crop_around_a_mask_shows_nobody_else(monkeypatch):
    monkeypatch.setattr(estimators, "BlazePose", lambda: None)
    blazepose = estimators._BlazePose()
    picture = np.full((200, 300, 3), 255, np.uint8)
    mask, others = np.zeros((2, 200, 300), bool)
    mask[50:150, 120:160], others[50:150, 150:200] = True, True
    views = []
    blazepose.in_box = lambda view, box, margin: views.append(view) or []
    assert blazepose.in_mask(picture, mask, others) is None
    assert all((view[mask] == 255).all() and (view[50:150, 165:200] == 128).all() for view in views)


def test_one_person_found_twice_counts_once_and_the_surer_stays():
    kept = surest([skeleton(0, 0.7), skeleton(1, 0.9), skeleton(120, 0.8), skeleton(200, 0.2)])
    assert [round(pose[0, 2], 1) for pose in kept] == [0.9, 0.8]


def test_what_moves_before_a_still_background_is_boxed():
    background = np.full((100, 200, 3), 90, np.uint8)
    picture = background.copy()
    picture[20:80, 100:130] = 200
    (left, top, right, bottom), = moving_boxes(picture, background)
    assert 90 < left <= 100 and 10 < top <= 20 and 130 <= right < 140 and 80 <= bottom < 90
    assert moving_boxes(255 - background, background) == []


@pytest.mark.parametrize("height, width", [(100, 200), (200, 100), (64, 64), (64, 65)])
def test_the_whole_picture_is_searched(height, width):
    covered = np.zeros((height, width), int)
    for left, top, right, bottom in search_boxes(height, width):
        assert 0 <= left < right <= width + 1e-9 and 0 <= top < bottom <= height + 1e-9
        covered[int(top):round(bottom), int(left):round(right)] += 1
    assert covered.min() >= 2


def moving(root, sideways=False):
    """A person who walks through the frames of `root`, and the joints on him; he is as large as the skeleton."""
    content = {}
    for n in range(1, FRAMES + 1):
        picture = np.full((*SIZE[::-1], 3), 60, np.uint8)
        joints = skeleton(8 * n).copy()
        for x, y in joints[:, :2].astype(int):
            picture[max(0, y - 7):y + 8, max(0, x - 7):x + 8] = 200
        write_png(root / "rgb" / f"{n:04d}.png", picture)
        content[f"{n:04d}.png"] = [{"keypoints": joints, "scores": 2.0, "idx": 1}]
    return content


def in_pixels(content, to):
    """The same poses after `to`, a function of their points [17, 2]."""
    return {name: [{**one, "keypoints": np.column_stack([to(one["keypoints"][:, :2]), one["keypoints"][:, 2]])
                    .ravel().tolist()} for one in people] for name, people in content.items()}


@pytest.mark.parametrize("aspect", [16 / 15, 10 / 11, 2])
def test_poses_found_on_the_picture_as_displayed_are_scaled_to_the_stored_pixels_and_told(prepare, root, aspect):
    content = moving(root)
    write_values(root / "metadata.json", {"original_size": [round(SIZE[0] * aspect), SIZE[1]],
                                          "source": {"file": "a.mp4", "frames": list(range(FRAMES))}})
    outcome, people = prepare(in_pixels(content, lambda points: points * (aspect, 1)))
    assert place(people["0009"]) == {1: 72}
    assert f"in pixels of {round(SIZE[0] * aspect)}x{SIZE[1]}, as the video is displayed" in str(outcome.findings)
    outcome, people = prepare(in_pixels(content, lambda points: points))
    assert place(people["0009"]) == {1: 72} and "displayed" not in str(outcome.findings)


@pytest.mark.parametrize("to, words", [
    (lambda points: points * 2 / 3, "pixels of 200x80"), (lambda points: points / 2, "pixels of 150x60"),
    (lambda points: points * 4, "pixels of 1200x480"),
    (lambda points: np.stack([points[:, 1], SIZE[0] - points[:, 0]], axis=1), "on its side (turned anticlockwise)"),
    (lambda points: np.stack([SIZE[1] - points[:, 1], points[:, 0]], axis=1), "on its side (turned clockwise)"),
    (lambda points: SIZE - points, "upside down"), (lambda points: points * (-1, 1) + (SIZE[0], 0), "mirrored"),
])
def test_poses_in_other_pixels_than_the_frames_are_told_with_the_remedy(prepare, root, to, words):
    content = in_pixels(moving(root), to)
    try:
        text = str(prepare(content)[0].findings)
    except UserError as error:
        text = str(error)
    assert words in text and "of the joints lie on people by these" in text
    if "x" in words.split()[-1]:
        size = words.split()[-1]
        assert f"Give --pose_size {size}" in text
        outcome, people = prepare(content, pose_size=size)
        assert place(people["0009"]) == {1: 72} and f"found on pictures of {size}" in str(outcome.findings)


def test_masks_tell_where_people_are_when_the_camera_moves(prepare, root):
    content = moving(root)
    for n in range(1, FRAMES + 1):
        seen = read_image(root / "rgb" / f"{n:04d}.png", "L") > 100
        write_png(root / "mask/01" / f"{n:04d}.png", 255 * seen.astype(np.uint8))
        write_png(root / "rgb" / f"{n:04d}.png", np.random.default_rng(n).integers(0, 255, (*SIZE[::-1], 3), np.uint8))
    assert "pixels of 150x60" in str(prepare(in_pixels(content, lambda points: points / 2))[0].findings)
    assert "pixels of" not in str(prepare(in_pixels(content, lambda points: points))[0].findings)


def test_fractions_of_the_frame_and_sizes_in_the_file_are_scaled(prepare, root):
    content = moving(root)
    frames = [[{"keypoints": {"x": (one["keypoints"][:, 0] / SIZE[0]).tolist(),
                              "y": (one["keypoints"][:, 1] / SIZE[1]).tolist()}, "confidence": 0.9, "track_id": 5}
               for one in people] for people in content.values()]
    _, people = prepare(frames)
    assert place(people["0009"]) == {1: 72}


@pytest.mark.parametrize("text", ["1280", "1280x", "0x9", "axb", "1x2x3"])
def test_a_pose_size_is_two_numbers(text):
    with pytest.raises(ArgumentTypeError, match="expected width and height"):
        poses.width_and_height(text)


def test_a_new_option_that_is_not_given_makes_no_step_run_again(prepare, root):
    content = {f"{n:04d}.png": [entry(n, idx=1)] for n in range(1, FRAMES + 1)}
    prepare(content)
    stamp = root / "prepare/stamps/poses.json"
    values = json.loads(stamp.read_text())
    del values["key"]["options"]["pose_size"], values["options"]["pose_size"]
    stamp.write_text(json.dumps(values))
    opt = Namespace(poses=None, people=None, min_frames=None)
    assert perform(poses.STEP, root, opt)[1] == "unchanged"


def test_to_choose_differently_nothing_is_estimated_again(root, monkeypatch):
    calls = []

    def find(frame, picture, before):
        calls.append(frame)
        return [skeleton(2 * int(frame)), skeleton(150)] if int(frame) > 8 else [skeleton(2 * int(frame))]
    monkeypatch.setattr(estimators, "keypoint_rcnn", lambda: find)
    for more in ({}, {"people": 1}, {"people": 2, "min_frames": 3}):
        perform(poses.STEP, root, Namespace(**{"poses": "keypoint_rcnn", "people": None, "min_frames": None, **more}))
    assert len(calls) == FRAMES and place(read_poses(root / "keypoints.json")["0020"]) == {1: 40, 2: 150}
    write_png(root / "rgb/0003.png", np.ones((*SIZE[::-1], 3), np.uint8))
    perform(poses.STEP, root, Namespace(poses=None, people=None, min_frames=None))
    assert len(calls) == 2 * FRAMES


def test_a_clip_without_people_is_told_after_a_few_frames(root, monkeypatch):
    calls = []

    def find(frame, picture, before):
        calls.append(frame)
        return []
    monkeypatch.setattr(estimators, "keypoint_rcnn", lambda: find)
    with pytest.raises(UserError, match="nobody was found in 8 frames from all over the clip") as error:
        perform(poses.STEP, root, Namespace(poses="keypoint_rcnn", people=None, min_frames=None))
    assert len(calls) == 9 and "\n" not in str(error.value) and not (root / "keypoints.json").exists()


def crowd(frames):
    """A walker, large and in the middle, and three who stand small at the edges."""
    small = [{"scores": 2.0, "keypoints": np.column_stack([STANDING * 0.3 + (x, 5), np.full(17, 0.8)]).ravel().tolist()}
             for x in (0, 30, 265)]
    return {f"{n:04d}.png": [entry(60 + 4 * n), *small] for n in range(1, frames)}


def test_the_audience_is_not_the_cast_and_this_is_told_in_one_line(prepare):
    outcome, people = prepare(crowd(FRAMES + 1))
    assert place(people["0010"]) == {1: 100}
    told = [finding.text for finding in outcome.findings if "left out" in finding.text]
    assert len(told) == 1 and "3 more people were left out: 3 of the audience" in told[0] and "--people N" in told[0]
    outcome, people = prepare(crowd(FRAMES + 1), people=4)
    assert sorted(place(people["0010"])) == [1, 2, 3, 4] and "left out" not in str(outcome.findings)


def test_gaps_of_several_people_are_told_in_one_line(prepare):
    content = {f"{n:04d}.png": [entry(0, idx=1)] * (not 4 < n < 12) + [entry(150, idx=2)] * (not 7 < n < 17)
               for n in range(1, FRAMES + 1)}
    told, = (finding.text for finding in prepare(content)[0].findings if "missing" in finding.text)
    assert "person 2 is missing in 9 of 20 frames" in told and "first in 0008; so is 1 in 7." in told


@pytest.mark.parametrize("what", [skeleton(100, 0.5), np.column_stack([STANDING * 0.08, np.full(17, 0.9)])])
def test_an_animal_and_people_a_few_pixels_high_are_nobody_unless_somebody_asks_for_them(root, monkeypatch, what):
    calls = []

    def find(frame, picture, before):
        calls.append(frame)
        return [what]
    monkeypatch.setattr(estimators, "keypoint_rcnn", lambda: find)
    with pytest.raises(UserError, match="nobody was found in 8 frames"):
        perform(poses.STEP, root, Namespace(poses="keypoint_rcnn", people=None, min_frames=None))
    assert len(calls) == 9
    perform(poses.STEP, root, Namespace(poses="keypoint_rcnn", people=1, min_frames=None))
    assert len(read_poses(root / "keypoints.json")["0001"]) == 1


def test_what_is_hardly_like_a_person_is_left_out_beside_one(root, monkeypatch):
    monkeypatch.setattr(estimators, "keypoint_rcnn",
                        lambda: lambda frame, *_: [skeleton(2 * int(frame)), skeleton(150, 0.55)])
    outcome, _ = perform(poses.STEP, root, Namespace(poses="keypoint_rcnn", people=None, min_frames=None))
    assert place(read_poses(root / "keypoints.json")["0020"]) == {1: 40}
    assert "1 hardly like a person" in str(outcome.findings)


def test_who_is_lost_for_a_while_is_looked_for_again_where_he_must_be_and_only_once(root, monkeypatch):
    calls, again = [], []

    def find(frame, picture, before):
        calls.append(frame)
        return [] if 7 <= int(frame) <= 14 else [skeleton(8 * int(frame))]

    def follow(picture, near, others):
        again.append(round((near[:, 0].mean() - skeleton(0)[:, 0].mean()) / 8))
        step = 1 if len(again) <= 4 else -1  # first forwards, halfway
        here = near.copy()
        here[:, 0] += 8 * step
        return [skeleton(300), here]
    monkeypatch.setattr(estimators, "mediapipe", lambda *_: find)
    monkeypatch.setattr(estimators, "one_among_others", lambda: follow)
    opt = Namespace(poses="mediapipe", people=None, min_frames=None)
    perform(poses.STEP, root, opt)
    assert len(calls) == FRAMES and again == [6, 7, 8, 9, 15, 14, 13, 12]  # from the frame before, as nothing flows
    people, text = read_poses(root / "keypoints.json"), (root / "keypoints.json").read_text()
    assert [place(people[f"{n:04d}"]) for n in (6, 9, 14, 15)] == [{1: 48}, {1: 72}, {1: 112}, {1: 120}]
    perform(poses.STEP, root, Namespace(**{**vars(opt), "people": 1}))
    assert len(calls) == FRAMES and len(again) == 8 and (root / "keypoints.json").read_text() == text


@pytest.mark.parametrize("moved, found", [(10, 1), (90, 0)])
def test_who_is_not_seen_for_half_a_second_and_hardly_moves_is_there_meanwhile(root, monkeypatch, moved, found):
    def find(frame, picture, before):
        return [] if 6 <= int(frame) <= 14 else [skeleton(30 if int(frame) < 6 else 30 + moved)]
    monkeypatch.setattr(estimators, "mediapipe", lambda *_: find)
    monkeypatch.setattr(estimators, "one_among_others", lambda: lambda *_: [])
    perform(poses.STEP, root, Namespace(poses="mediapipe", people=1, min_frames=None))
    people = read_poses(root / "keypoints.json")
    assert all(len(people[f"{n:04d}"]) == found for n in range(6, 15))
    assert not found or place(people["0010"]) == {1: pytest.approx(35, abs=1)}


def test_who_is_lost_at_the_end_is_followed_for_a_while_and_until_he_is_lost_there_too(root, monkeypatch):
    def find(frame, picture, before):
        return [skeleton(30)] if int(frame) <= 12 else []

    seen = []

    def follow(picture, near, others):
        seen.append(near)
        return [near] if len(seen) <= 3 else []
    monkeypatch.setattr(estimators, "mediapipe", lambda *_: find)
    monkeypatch.setattr(estimators, "one_among_others", lambda: follow)
    perform(poses.STEP, root, Namespace(poses="mediapipe", people=None, min_frames=None))
    people = read_poses(root / "keypoints.json")
    assert [len(people[f"{n:04d}"]) for n in (12, 15, 16)] == [1, 1, 0]
    assert len(seen) == 12 / 2  # no farther beyond the end than half of the frames in which he was found