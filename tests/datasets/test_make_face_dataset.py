"""A talking face's dataset from a video."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from datasets import make_face_dataset
from datasets.make_vid2vid_sample import make_sample
from util.errors import UserError
from util.images import read_image
from util.video import VideoWriter


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("face")
    sample = make_sample("face", folder / "sample", sequences=1, frames=25, height=96, seed=3)
    writer = VideoWriter(folder / "talk.mp4", Fraction(25))
    for path in sorted((sample / "train_img").rglob("*.jpg")):
        writer.add(read_image(path, "RGB"))
    writer.close()
    return folder / "talk.mp4"


def middle(picture):
    """Landmarks of whoever is shown, on a circle round the middle of the picture."""
    height, width = picture.shape[:2]
    angles = np.linspace(0, 2 * np.pi, 68)
    return np.stack([width / 2 + width / 4 * np.cos(angles), height / 2 + height / 4 * np.sin(angles)], axis=1)


def test_frames_and_landmarks_of_both_parts(video, tmp_path):
    opt = make_face_dataset.parse([str(video), "--dataroot", str(tmp_path / "talk"), "--height", "64"])
    assert make_face_dataset.make_dataset(opt, middle) == []
    for phase, count in (("train", 20), ("test", 5)):
        frames, landmarks = (sorted((opt.dataroot / f"{phase}_{end}" / "talk").iterdir())
                             for end in ("img", "keypoints"))
        assert [path.stem for path in frames] == [path.stem for path in landmarks] and len(frames) == count
    assert read_image(frames[0], "RGB").shape == (64, 64, 3) and frames[0].stem == "00021"
    assert landmarks[0].read_text().splitlines()[0] == "48,32"


def test_what_cannot_be_used_is_told_and_leaves_nothing(video, tmp_path):
    opt = make_face_dataset.parse([str(video), "--dataroot", str(tmp_path / "talk")])
    with pytest.raises(UserError, match="talk: no face in any frame"):
        make_face_dataset.make_dataset(opt, lambda picture: None)
    assert not Path(opt.dataroot).exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").touch()
    with pytest.raises(UserError, match="full: not empty"):
        make_face_dataset.make_dataset(make_face_dataset.parse([str(video), "--dataroot", str(tmp_path / "full")]),
                                       middle)
