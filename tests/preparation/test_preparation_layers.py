"""Step "layers": who is in which layer, in which order."""

from argparse import Namespace

import numpy as np
import pytest

from preparation import layers
from preparation.poses import keypoints_json
from preparation.steps import perform, read_values, write_values
from preparation.uv import make_iuv
from util.errors import UserError
from util.images import write_png
from vision.people.pose_formats import Pose

STANDING = np.array([(50, 5), (52, 3), (48, 3), (55, 5), (45, 5), (62, 20), (38, 20), (68, 38), (32, 38), (70, 55),
                     (30, 55), (58, 58), (42, 58), (58, 80), (42, 80), (58, 100), (42, 100)], float)
FRAMES = [f"{n:04d}" for n in range(1, 13)]


def person(number, x, y):
    return Pose(number, np.concatenate([STANDING + (x, y), np.full((17, 1), 0.9)], axis=1), 1.0)


@pytest.fixture
def prepare(tmp_path):
    def prepare(people, **values):
        for frame in FRAMES:
            write_png(tmp_path / "rgb" / f"{frame}.png", np.zeros((200, 300, 3), np.uint8))
        (tmp_path / "keypoints.json").write_text(keypoints_json(FRAMES, people))
        write_values(tmp_path / "metadata.json", {"alphapose_input_size": [300, 200], "frame_rate": "8/1", **values})
        outcome, what = perform(layers.STEP, tmp_path, Namespace())
        return outcome, what, read_values(tmp_path / "metadata.json")
    return prepare


def test_who_stands_lower_in_the_picture_is_in_front_and_the_tiles_suffice(prepare):
    outcome, _, values = prepare([[person(1, 0, 90), person(2, 50, 60)]] * 12)
    assert values["n_textures"] == 49 and values["composite_order"] == [[2, 1]] * 12
    assert outcome.summary == "2 layers, one order throughout" and "people_layers" not in values


def test_the_frame_where_the_order_changes_is_named(prepare):
    outcome, _, values = prepare([[person(1, 0, 50), person(2, 50, 20 + 5 * f)] for f in range(12)])
    assert values["composite_order"][0] == [2, 1] and values["composite_order"][-1] == [1, 2]
    change = FRAMES[values["composite_order"].index([1, 2])]
    assert outcome.summary == f"2 layers, the order changes at {change}"


def test_people_numbered_with_gaps_are_listed(prepare):
    _, _, values = prepare([[person(2, 0, 50), person(5, 50, 20)]] * 12)
    assert values["people_layers"] == [[2], [5]] and values["n_textures"] == 121
    assert values["composite_order"] == [[2, 1]] * 12


def test_an_order_and_layers_made_by_hand_stay(prepare):
    people = [[person(1, 0, 90), person(2, 50, 60)]] * 12
    assert prepare(people, composite_order=[[1, 2]] * 12)[2]["composite_order"] == [[1, 2]] * 12


def test_people_who_share_a_layer_are_ordered_by_the_nearest_of_them(prepare):
    _, _, values = prepare([[person(1, 0, 90), person(2, 50, 60), person(3, 150, 80)]] * 12,
                           people_layers=[[1, 2], [3]])
    assert values["people_layers"] == [[1, 2], [3]] and values["composite_order"] == [[2, 1]] * 12


def test_more_layers_than_were_tested_are_told_and_nobody_is_refused(prepare):
    crowd = [person(i + 1, 5 * i, 2 * i) for i in range(8)]
    assert "layers: 8; tested were up to 7" in str(prepare([crowd] * 12)[0].findings)
    with pytest.raises(UserError, match="expected some, numbered 1 to 254"):
        prepare([[]] * 12)


def test_layers_joined_by_hand_after_a_run_get_a_new_order_and_uv_maps(prepare, tmp_path):
    people = [[person(1, 0, 90), person(2, 50, 60), person(3, 100, 80)]] * 12
    values = prepare(people)[2]
    assert values["composite_order"] == [[2, 3, 1]] * 12
    for frame in FRAMES:
        write_png(tmp_path / "rgb_256" / f"{frame}.png", np.zeros((64, 96, 3), np.uint8))
    write_values(tmp_path / "metadata.json", {**values, "people_layers": [[1, 2], [3]], "size_LR": [96, 64]})
    with pytest.raises(UserError, match=r"expected each of the layers \[1, 2\] once. Leave composite_order out"):
        make_iuv(tmp_path, "drawn")
    assert perform(layers.STEP, tmp_path, Namespace())[1] == "made"
    assert read_values(tmp_path / "metadata.json")["composite_order"] == [[2, 1]] * 12
    make_iuv(tmp_path, "drawn")
    assert sorted(path.name for path in (tmp_path / "iuv").iterdir()) == ["01", "02"]
