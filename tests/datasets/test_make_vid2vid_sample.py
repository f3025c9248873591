"""Sample data that the program makes itself: what they show agrees with what their maps say."""

import json
import subprocess
import sys

import numpy as np
import pytest

from data.face_dataset import read_landmarks
from data.image_sequences import read_ids
from data.pose_dataset import read_people
from datasets.make_vid2vid_sample import SIZES, make_sample
from datasets.synthetic.street import CAR
from tests.program import ROOT
from util.errors import UserError
from util.images import read_image
from vision.people.body25 import draw_people
from vision.people.face_landmarks import part_labels, with_upper_head

SMALL = {"sequences": 1, "frames": 4, "height": 96, "seed": 3}
SCRIPT = ROOT / "datasets" / "make_vid2vid_sample.py"


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    root = tmp_path_factory.mktemp("samples")
    return {kind: make_sample(kind, root / kind, **SMALL) for kind in SIZES}


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def frames(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_cars_have_numbers_and_move(samples):
    root = samples["street"]
    places = {}
    for path in frames(root / "train_A"):
        classes = read_ids(path)
        things = read_ids(root / "train_inst" / path.parent.name / path.name)
        np.testing.assert_array_equal(np.where(things >= 1000, things // 1000, things), classes)
        for car in np.unique(things[classes == CAR]):
            places.setdefault(car, []).append(np.nonzero(things == car)[1].mean())
    steps = [np.diff(track) for track in places.values() if len(track) == 4]
    assert steps and max(abs(step).max() for step in steps) > 0.3


def test_photographs_of_a_street_change_where_classes_do(samples):
    root = samples["street"]
    classes = read_ids(frames(root / "train_A")[0])
    photo = read_image(frames(root / "train_B")[0], "RGB").astype(float)
    step, edge = np.abs(np.diff(photo, axis=1)).sum(2), np.diff(classes, axis=1) != 0
    assert step[edge].mean() > 2.5 * step[~edge].mean()


def test_mouths_are_where_landmarks_say(samples):
    root = samples["face"]
    for path in frames(root / "train_img"):
        photo = read_image(path, "RGB").astype(int)
        points = read_landmarks(root / "train_keypoints" / path.parent.name / f"{path.stem}.txt")
        labels = part_labels(with_upper_head(points), photo.shape[1::-1])
        redder = photo[..., 0] - photo[..., 1]
        assert redder[labels == 5].mean() > redder[labels == 1].mean() + 10
    assert not np.array_equal(points, read_landmarks(frames(root / "train_keypoints")[0]))


@pytest.mark.parametrize("phase", ["train", "other"])
def test_skeletons_and_parts_lie_on_the_dancer(samples, phase):
    root = samples["dancer"]
    shots = [read_image(path, "RGB").astype(int) for path in frames(root / f"{phase}_img")]
    still = np.median(shots, axis=0)
    for shot, path in zip(shots, frames(root / f"{phase}_densepose")):
        parts = read_image(path, "RGB")[..., 2]
        assert {1, 2} & set(parts.flat) and {23, 24} & set(parts.flat) and parts.max() <= 24
        people = read_people(root / f"{phase}_openpose" / path.parent.name / path.name.replace("_IUV.png",
                                                                                            "_keypoints.json"))
        body = people[0].body[:, :2].round().astype(int)
        assert (parts[body[:15, 1], body[:15, 0]] > 0).mean() > 0.85
        drawn = draw_people(people, shot.shape[1::-1]).any(2)
        assert (parts[drawn] > 0).mean() > 0.5  # bars are wider than arms at this size
        moved = np.abs(shot - still).sum(2) > 60
        assert (parts > 0)[moved].mean() > 0.15
    left, right = people[0].body[5, 0], people[0].body[2, 0]
    assert left > right  # he faces the camera


def test_the_test_sequence_goes_on_where_training_ends(samples, tmp_path):
    longer = make_sample("dancer", tmp_path / "longer", **{**SMALL, "frames": 8})
    after = frames(samples["dancer"] / "test_openpose")
    for path, same in zip(after, frames(longer / "train_openpose")[4:]):
        assert json.loads(path.read_text()) == json.loads(same.read_text())


@pytest.mark.parametrize("kind", ["street", "face"])
def test_the_same_seed_gives_the_same_bytes(samples, kind, tmp_path):
    again = make_sample(kind, tmp_path / "again", **SMALL)
    assert everything(again) == everything(samples[kind])
    other = make_sample(kind, tmp_path / "again", **{**SMALL, "seed": 9}, overwrite=True)
    assert all(everything(other)[name] != data for name, data in everything(samples[kind]).items()
               if "img" in str(name) or "_B" in str(name))


def test_mistakes_are_one_line_and_leave_folders_alone(tmp_path):
    (tmp_path / "film.mp4").write_text("precious")
    for place, options, said in ((tmp_path, {}, "no sample data"), (tmp_path / "film.mp4", {}, "a file"),
                                 (tmp_path / "new", {"height": 100}, "nearest is 96")):
        with pytest.raises(UserError, match=said):
            make_sample("face", place, **options)
    done = subprocess.run([sys.executable, SCRIPT, "fish", "--dataroot", tmp_path / "new"], capture_output=True,
                          text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "fish" in done.stderr
    assert everything(tmp_path) == {(tmp_path / "film.mp4").relative_to(tmp_path): b"precious"}


def test_the_command_line_makes_what_the_function_makes(samples, tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, "street", "--dataroot", tmp_path / "s", "--sequences", "1",
                           "--frames", "4", "--height", "96", "--seed", "3"], capture_output=True, text=True)
    assert done.returncode == 0 and str(tmp_path / "s") in done.stdout
    assert everything(tmp_path / "s") == everything(samples["street"])
    with pytest.raises(UserError, match="--overwrite"):
        make_sample("street", tmp_path / "s", **SMALL)
