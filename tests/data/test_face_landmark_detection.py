"""Landmarks of all frames, whatever finds them."""

import subprocess
import sys
import types

import numpy as np
import pytest

from data import face_landmark_detection as detection
from data.face_dataset import read_landmarks
from data.image_sequences import IMAGES, find_sequences
from tests.program import ROOT
from util.errors import UserError
from util.images import write_png


@pytest.fixture
def root(tmp_path):
    """Two sequences of grey pictures whose level is 10 x the frame's number."""
    for sequence in ("one", "two"):
        for k in range(4):
            write_png(tmp_path / "train_img" / sequence / f"{k:03d}.png", np.full((40, 60, 3), 10 * k, np.uint8))
    return tmp_path


def sequences(root):
    return find_sequences(root, "train", {"images": ("img", IMAGES)}, 1)


def face(level):
    return np.stack([np.arange(68) / 4 + level, np.arange(68) / 8 + level], axis=1)


def test_every_frame_gets_a_file_and_those_without_a_face_are_told(root):
    def find(picture):
        level = int(picture[0, 0, 0])
        return None if level in (10, 30) else face(level)
    said = detection.write_landmarks(root / "train_keypoints", sequences(root), find)
    assert len(said) == 2 and "one: no face in 2 of 4 frames (001.png, 003.png)" in said[0]
    for level, name in ((0, "000"), (10, "001"), (20, "002"), (20, "003")):
        points = read_landmarks(root / "train_keypoints" / "two" / f"{name}.txt")
        np.testing.assert_array_equal(points, np.round(face(level)))


def test_sequences_without_any_face_are_told_together_and_nothing_is_written(root):
    with pytest.raises(UserError) as caught:
        detection.write_landmarks(root / "train_keypoints", sequences(root), lambda picture: None)
    assert [line.split(":")[0].strip() for line in str(caught.value).split("\n")] == ["one", "two"]
    assert not (root / "train_keypoints").exists()


def test_points_of_the_mesh_are_68():
    assert len(detection.MESH_POINTS) == 68 and len(set(detection.MESH_POINTS)) == 68


def test_the_mesh_is_asked_for_the_first_face(monkeypatch):
    class Mesh:
        def __init__(self, **kwargs):
            pass

        def process(self, picture):
            marks = [types.SimpleNamespace(x=k / 1000, y=k / 500) for k in range(468)]
            return types.SimpleNamespace(multi_face_landmarks=[types.SimpleNamespace(landmark=marks)]
                                         if picture.any() else None)
    module = types.ModuleType("mediapipe.python.solutions.face_mesh")
    module.FaceMesh = Mesh
    for name in ("mediapipe", "mediapipe.python", "mediapipe.python.solutions"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions.face_mesh", module)
    find = detection.mediapipe_finder()
    assert find(np.zeros((10, 20, 3), np.uint8)) is None
    np.testing.assert_allclose(find(np.ones((10, 20, 3), np.uint8))[0], (0.127 * 20, 0.254 * 10))


def test_dlib_is_used_where_its_model_is(monkeypatch, root):
    shape = types.SimpleNamespace(num_parts=68, part=lambda k: types.SimpleNamespace(x=k, y=2 * k))
    fake = types.ModuleType("dlib")
    fake.get_frontal_face_detector = lambda: lambda picture, upsampled: ["face", "other"][:int(picture.any()) * 2]
    fake.shape_predictor = lambda path: lambda picture, box: shape
    monkeypatch.setitem(sys.modules, "dlib", fake)
    with pytest.raises(UserError, match="expected dlib's model"):
        detection.dlib_finder(root / detection.MODEL)
    (root / detection.MODEL).write_bytes(b"model")
    monkeypatch.setattr(sys, "argv", ["x", "train", "--dataroot", str(root)])
    detection.main()
    points = read_landmarks(root / "train_keypoints" / "one" / "001.txt")
    np.testing.assert_array_equal(points, [(k, 2 * k) for k in range(68)])


@pytest.mark.parametrize("arguments, said", [
    (["train", "--detector", "dlib"], "pip install dlib"), (["test"], "test_img: no such folder"), ([], "phase")])
def test_mistakes_are_one_line(root, arguments, said):
    blocked = "import sys; sys.modules['dlib'] = sys.modules['mediapipe'] = None; sys.argv = ['x', *sys.argv[1:]]; "
    code = blocked + "import runpy; runpy.run_path('data/face_landmark_detection.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, *arguments, "--dataroot", str(root)], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr


def test_without_a_detector_the_message_says_how_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match="requirements-mediapipe.txt"):
        detection.mediapipe_finder()
