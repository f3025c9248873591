"""Correcting who is who and the masks: files follow, nothing is lost, everything can be undone."""

import shutil
from argparse import Namespace

import numpy as np
import pytest

from data.tracked_poses import read_poses
from preparation import layers, poses, uv
from preparation.correction.server import Session
from preparation.steps import perform, read_values, write_values
from tests.preparation.correction_clip import NAMES, SIZE, block, make_clip
from util.errors import UserError
from util.images import read_image, write_png


@pytest.fixture
def root(tmp_path):
    return make_clip(tmp_path)


@pytest.fixture
def session(root):
    return Session(root)


def ask(session, command, **asked):
    return session.site.commands[command](asked)


def runs(session):
    return {person["number"]: person["runs"] for person in session.state()["people"]}


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
            and "prepare" not in path.parts}


def masked(root, person):
    """In which frames somebody's mask shows anything, from 0."""
    return [i for i, name in enumerate(NAMES) if read_image(root / f"mask/{person:02d}/{name}.png", "L").any()]


def test_two_who_are_one_are_joined_with_their_masks_and_the_numbers_close_up(session, root):
    ask(session, "join", person=3, other=2)
    assert runs(session) == {1: [[0, 9]], 2: [[0, 9]]}
    assert masked(root, 2) == list(range(10)) and not (root / "mask/03").exists()
    assert {pose.person for people in read_poses(root / "keypoints.json").values() for pose in people} == {1, 2}
    with pytest.raises(UserError, match="expected two"):
        ask(session, "join", person=1, other=1)


def test_somebody_is_split_where_another_one_begins_and_joining_again_is_as_before(session, root):
    before = contents(root)
    state = ask(session, "split", person=1, frame=4)["state"]
    assert runs(session) == {1: [[0, 3]], 2: [[0, 4]], 3: [[5, 9]], 4: [[4, 9]]}
    assert masked(root, 1) == [0, 1, 2, 3] and masked(root, 4) == [4, 5, 6, 7, 8, 9] and state["canUndo"]
    ask(session, "join", person=1, other=4)
    after = contents(root)
    assert after.keys() == before.keys() and all(after[name] == before[name] for name in before if "mask" in name)
    with pytest.raises(UserError, match="between the first and the last"):
        ask(session, "split", person=2, frame=0)


def test_who_is_left_out_and_taken_in_again_has_lost_nothing(session, root):
    ask(session, "name", person=2, name="  Anna   B ")
    ask(session, "paint", person=2, frame=1, points=[[200, 60]], radius=8, carries=False)
    mask = read_image(root / "mask/02/0002.png", "L")
    ask(session, "drop", person=2)
    assert runs(session) == {1: [[0, 9]], 2: [[5, 9]]} and masked(root, 2) == [5, 6, 7, 8, 9]
    left_out, = Session(root).state()["leftOut"]  # also for who opens the page again
    assert (left_out["name"], left_out["why"], left_out["runs"]) == ("Anna B", "left out by hand", [[0, 4]])
    state = ask(session, "take", person=left_out["number"])["state"]
    assert state["people"][2] == {"number": 3, "name": "Anna B", "painted": [1], "runs": [[0, 4]], "hasMasks": True}
    assert np.array_equal(read_image(root / "mask/03/0002.png", "L"), mask) and not state["leftOut"]


def test_everything_can_be_undone_and_done_again(session, root):
    steps = [("join", {"person": 2, "other": 3}), ("name", {"person": 2, "name": "B"}),
             ("paint", {"person": 2, "frame": 3, "points": [[160, 60], [190, 80]], "radius": 9}),
             ("split", {"person": 1, "frame": 7}), ("drop", {"person": 1}), ("take", {"person": 1})]
    ask(session, "split", person=1, frame=5)  # files as this program writes them
    ask(session, "join", person=1, other=4)
    states = [contents(root)]
    for command, asked in steps:
        ask(session, command, **asked)
        states.append(contents(root))
    for state in reversed(states[:-1]):
        ask(session, "undo")
        assert contents(root) == state
    for state in states[1:]:
        ask(session, "redo")
        assert contents(root) == state
    ask(session, "undo")
    ask(session, "name", person=1, name="C")
    with pytest.raises(UserError, match="nothing to do again"):
        ask(session, "redo")


def test_what_goes_wrong_on_the_way_changes_nothing(session, root, monkeypatch):
    before = contents(root)
    monkeypatch.setattr(session.clip, "_remove_number", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ask(session, "join", person=2, other=3)
    assert contents(root) == before and runs(session)[2] == [[0, 4]]


def test_a_stroke_is_carried_on_to_all_frames_of_what_stands_still_but_not_past_those_painted_by_hand(session, root):
    ask(session, "paint", person=1, frame=6, points=[[250, 100]], radius=6, carries=False)
    by_hand = read_image(root / "mask/01/0007.png", "L")
    answer = ask(session, "paint", person=1, frame=2, points=[[100, 20], [120, 20]], radius=6)
    assert (answer["first"], answer["last"]) == (0, 5) and answer["state"]["people"][0]["painted"] == [2, 6]
    assert np.array_equal(read_image(root / "mask/01/0007.png", "L"), by_hand)
    for name in NAMES[:6]:
        assert read_image(root / f"mask/01/{name}.png", "L")[20, 110] > 200
    assert not read_image(root / "mask/01/0008.png", "L")[20, 110]
    ask(session, "paint", person=1, frame=2, points=[[110, 20]], radius=30, adds=False)
    assert not read_image(root / "mask/01/0005.png", "L")[20, 110]


def test_masks_of_another_form_are_painted_too(root):
    for name in NAMES:
        write_png(root / f"mask/01/{name}.png", (block(0) > 0).astype(np.uint8))  # 0 and 1
    session = Session(root)
    ask(session, "paint", person=1, frame=0, points=[[250, 100]], radius=6, carries=False)
    assert read_image(root / "mask/01/0001.png", "L")[100, 250] == 255
    assert np.array_equal(read_image(root / "mask/01/0002.png", "L"), block(0))


def test_the_next_preparation_keeps_the_corrections_and_fits_the_rest_to_them(session, root):
    perform(layers.STEP, root, Namespace())
    assert read_values(root / "metadata.json")["n_textures"] == 73
    ask(session, "join", person=2, other=3)
    perform(layers.STEP, root, Namespace())
    values = read_values(root / "metadata.json")
    assert values["n_textures"] == 49 and {len(order) for order in values["composite_order"]} == {2}
    perform(uv.STEP, root, Namespace(uv="drawn"))
    assert sorted(path.name for path in (root / "iuv").iterdir()) == ["01", "02"] and masked(root, 2) == list(range(10))


def test_layers_that_are_listed_follow_the_people(root):
    write_values(root / "metadata.json", {**read_values(root / "metadata.json"), "people_layers": [[1, 2], [3]]})
    with pytest.raises(UserError, match="masks are numbered like layers"):
        Session(root)
    shutil.rmtree(root / "mask")
    session = Session(root)
    ask(session, "drop", person=1)
    assert read_values(root / "metadata.json")["people_layers"] == [[1], [2]]
    ask(session, "split", person=1, frame=2)
    assert read_values(root / "metadata.json")["people_layers"] == [[1], [2], [3]]


def test_the_page_is_told_of_pictures_masks_and_poses(session):
    page = session.site.page()
    assert '"number":3' in page and "correction.js" in page and session.site.token in page
    questions = session.site.questions
    assert questions["picture", 1]("3")[2].shape == (*SIZE[::-1], 3)
    x, y, mask = questions["mask", 2]("1", "0")
    assert (x, y) == (30, 10) and mask.shape == (100, 40) and questions["mask", 2]("3", "0") is None
    assert questions["poses", 1]("0")["people"].keys() == {1, 2}


@pytest.mark.parametrize("command, asked", [
    ("join", {"person": 1, "other": 9}), ("join", {"person": "../1", "other": 2}), ("split", {"person": 1}),
    ("split", {"person": 1, "frame": 10}), ("drop", {}), ("take", {"person": 1}), ("name", {"person": 1, "name": 5}),
    ("name", {"person": 1, "name": "x" * 41}), ("paint", {"person": 1, "frame": 0, "points": [], "radius": 3}),
    ("paint", {"person": 1, "frame": 0, "points": [[1, 2]], "radius": 0}), ("undo", {}),
    ("paint", {"person": 1, "frame": 0, "points": [[1, None]], "radius": 3}), ("name", [])])
def test_what_makes_no_sense_is_refused_in_one_line_and_changes_nothing(session, root, command, asked):
    before = contents(root)
    with pytest.raises(UserError) as error:
        session.site.commands[command](asked)
    assert "\n" not in str(error.value) and "found" in str(error.value) or "expected" in str(error.value)
    assert contents(root) == before


def test_whom_the_poses_step_left_out_can_be_taken_in_and_opening_the_page_changes_no_pose(tmp_path):
    root = make_clip(tmp_path)
    shutil.rmtree(root / "mask")
    (tmp_path / "poses.json").write_text((root / "keypoints.json").read_text())
    (root / "keypoints.json").unlink()
    perform(poses.STEP, root, Namespace(poses=tmp_path / "poses.json", people=1, min_frames=None, pose_size=None))
    before = contents(root)
    session = Session(root)
    assert contents(root) == before and runs(session) == {1: [[0, 9]]}
    assert [(other["why"], other["runs"]) for other in session.state()["leftOut"]] == [
        ("not chosen", [[0, 4]]), ("not chosen", [[5, 9]])]
    for other in (1, 2):
        ask(session, "take", person=other)
    ask(session, "join", person=2, other=3)
    assert runs(session) == {1: [[0, 9]], 2: [[0, 9]]} and not session.state()["leftOut"]
    assert perform(poses.STEP, root, Namespace(poses=None, people=None, min_frames=None, pose_size=None))[1] != "made"
    assert runs(Session(root)) == {1: [[0, 9]], 2: [[0, 9]]} and not Session(root).state()["leftOut"]
