"""Many clips in one command: what is done is kept, what goes wrong stops nothing else, and a page shows all."""

import json
import shutil
from pathlib import Path

import pytest

from datasets.make_sample import make_sample
from scripts import many_clips
from util.errors import UserError


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """A prepared clip, a file that is no video, and what belongs to neither."""
    monkeypatch.chdir(tmp_path)
    make_sample("videos/park", frames=6, width=96, height=64, people=1)
    Path("videos/broken.mp4").write_bytes(b"no video")
    Path("videos/notes.txt").write_text("of tuesday")
    Path("videos/.hidden.mp4").touch()
    return Path("videos")


def state(name):
    return json.loads(Path("results/clips/logs", f"{name}.json").read_text())


def test_all_clips_are_made_but_the_broken_one_and_a_page_shows_both(videos, capsys):
    assert many_clips.main(["videos"]) == 1
    assert state("broken")["failed"] == "prepare" and "no video" not in state("park")["message"]
    assert state("broken")["message"].startswith("error: videos/broken.mp4")
    assert state("park")["failed"] is None and set(state("park")["seconds"]) == {"prepare", "train", "test"}
    assert Path("results/park/test_latest/images/0001_rgba_l1.png").exists()
    page = Path("results/clips/index.html").read_text()
    assert "prepare failed" in page and "pictures/park.jpg" in page and "../park/test_latest/index.html" in page
    assert "1/2 broken: prepare: error: videos/broken.mp4" in capsys.readouterr().out
    shutil.rmtree("videos/broken.mp4", ignore_errors=True)
    Path("videos/broken.mp4").unlink()
    weights = Path("checkpoints/park/latest_state.pth").stat().st_mtime_ns
    assert many_clips.main(["videos", "--only", "1"]) == 0  # again: nothing is trained anew
    assert Path("checkpoints/park/latest_state.pth").stat().st_mtime_ns == weights


def test_what_belongs_to_no_clip_is_left_out(videos):
    assert list(many_clips.clips_in(videos)) == ["broken", "park"]
    Path("videos/broken.mov").touch()
    assert list(many_clips.clips_in(videos).values()) == [videos / "broken.mov", videos / "broken.mp4", videos / "park"]
    Path("empty").mkdir()
    for folder, message in (("empty", "no videos in it"), ("nowhere", "no such folder")):
        with pytest.raises(UserError, match=message):
            many_clips.clips_in(Path(folder))


def test_a_task_of_a_cluster_that_has_no_clip_is_told(videos):
    with pytest.raises(UserError, match="--only: found 3; videos has 2 clips"):
        many_clips.main(["videos", "--only", "3"])
