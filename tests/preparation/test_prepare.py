import json
import shlex
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import prepare
from data.dataroot import Dataroot
from preparation.page import contact_sheet, panorama
from preparation.steps import read_values
from tests.preparation.test_frames import steady, write_video
from tests.program import ROOT
from util.errors import UserError
from util.images import read_image, write_png

FRAMES, SIZE = 5, (160, 96)


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr("sys.argv", ["prepare.py", *map(str, arguments)])
    return prepare.main()


def write_poses(path: Path) -> None:
    joints = np.array([(0, -36), (2, -38), (-2, -38), (4, -37), (-4, -37), (8, -28), (-8, -28), (11, -16), (-11, -16),
                       (12, -6), (-12, -6), (5, 0), (-5, 0), (6, 16), (-6, 16), (6, 32), (-6, 32)], float)
    poses = {}
    for i in range(FRAMES):
        keypoints = np.column_stack([joints + [60 + 8 * i, 50], np.ones(17)])
        poses[f"{i + 1:04d}.png"] = [{"keypoints": keypoints.ravel().tolist(), "scores": 2.5, "idx": 1}]
    path.write_text(json.dumps(poses))


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    write_poses(tmp_path / "poses.json")
    video = write_video(tmp_path / "clip.mp4", steady(FRAMES), SIZE)
    options = ("--poses", tmp_path / "poses.json", "--uv", "drawn", "--segmenter", "none")
    assert run(monkeypatch, video, "--dataroot", tmp_path / "root", *options) == 0
    return tmp_path / "root"


def test_a_video_becomes_a_dataroot_that_training_can_read_and_nothing_is_done_twice(prepared, monkeypatch, capsys):
    root = Dataroot.open(prepared)
    assert root.layer_numbers() == [1] and len(root.frames) == FRAMES and not root.require("rgb_512")
    assert not root.require("iuv/01") and root.metadata.original_size == SIZE
    page = (prepared / "prepare" / "index.html").read_text()
    assert "pictures/0001.png" in page and (prepared / "prepare" / "pictures" / "0001.png").exists()

    before = {path: path.stat().st_mtime_ns for path in prepared.rglob("*") if path.is_file()}
    run(monkeypatch, "--dataroot", prepared)
    again = capsys.readouterr().out
    assert again.count("(unchanged)") == len(prepare.STEPS)
    assert f"python train.py --name root --dataroot {prepared} --preset draft" in again
    changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert all(path.parent.name in ("prepare", "pictures") for path in changed)


def test_two_at_once_on_one_dataroot_are_one_and_a_refusal(prepared, tmp_path, monkeypatch):
    holder = subprocess.Popen([sys.executable, "-c", "import sys, time; from util.files import locked; "
                               "kept = locked(sys.argv[1]); print('locked', flush=True); time.sleep(60)",
                               str(prepared / "prepare/.lock")], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"root: process {holder.pid} on .* is preparing this dataroot; wait"):
            run(monkeypatch, "--dataroot", prepared)
        assert run(monkeypatch, "--dataroot", prepared, "--check") < 2
    finally:
        holder.kill()
        holder.wait()
    assert run(monkeypatch, "--dataroot", prepared) == 0


def test_what_could_not_be_prepared_leaves_no_folder_but_those_of_before(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    for root in (tmp_path / "new", tmp_path / "kept"):
        with pytest.raises(UserError, match="no such file"):
            run(monkeypatch, tmp_path / "none.mp4", "--dataroot", root)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_names_in_what_is_told_do_not_steer_the_terminal(tmp_path, monkeypatch, capsys):
    write_video(tmp_path / "a.mkv", [*steady(5), *(Fraction(3) + time for time in steady(60))]).rename(
        tmp_path / "a\x1b]0;evil\x07\n.mkv")
    run(monkeypatch, tmp_path / "a\x1b]0;evil\x07\n.mkv", "--dataroot", tmp_path / "root", "--steps", "frames")
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x07" not in said
    assert any("a�]0;evil" in line and "no frame for" in line for line in said.split("\n"))


def test_frames_with_line_breaks_in_their_names_get_others(tmp_path, monkeypatch, capsys):
    (tmp_path / "shot").mkdir()
    for number in range(2):
        write_png(tmp_path / "shot" / f"a\n{number}.png", np.full((64, 96, 3), 80 * number, np.uint8))
    run(monkeypatch, tmp_path / "shot", "--dataroot", tmp_path / "root", "--steps", "frames")
    assert sorted(path.name for path in (tmp_path / "root/rgb_256").iterdir()) == ["0001.png", "0002.png"]
    assert "have line breaks or other control characters; frames are named 0001, 0002" in capsys.readouterr().out


def test_one_step_is_run_alone_and_those_that_need_it_follow(prepared, monkeypatch, capsys):
    capsys.readouterr()
    poses = json.loads((prepared / "keypoints.json").read_text())
    poses["0001.png"][0]["keypoints"][0] += 1
    (prepared / "keypoints.json").write_text(json.dumps(poses))
    run(monkeypatch, "--dataroot", prepared, "--steps", "uv")
    assert "uv:      1 layer drawn from the poses\n" in capsys.readouterr().out
    run(monkeypatch, "--dataroot", prepared)
    lines = {line.split(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["poses"].endswith("(unchanged)") and not lines["layers"].endswith("(unchanged)")
    assert json.loads((prepared / "keypoints.json").read_text()) == poses


def test_after_some_of_the_steps_the_others_are_asked_for_and_nothing_is_called_wrong(tmp_path, monkeypatch, capsys):
    video = write_video(tmp_path / "clip.mp4", steady(2), SIZE)
    assert run(monkeypatch, video, "--dataroot", tmp_path / "root", "--steps", "frames") == 0
    said = capsys.readouterr().out
    assert "ERROR" not in said and f"then:    python prepare.py --dataroot {tmp_path / 'root'}\n" in said


def test_checking_alone_changes_nothing_and_its_status_says_how_bad_it_is(prepared, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in prepared.rglob("*")}
    assert run(monkeypatch, "--dataroot", prepared, "--check") in (0, 1)
    assert {path: path.stat().st_mtime_ns for path in prepared.rglob("*")} == before
    (prepared / "rgb_256" / "0002.png").unlink()
    assert run(monkeypatch, "--dataroot", prepared, "--check") == 2


def test_without_the_size_that_poses_were_found_on_the_page_shows_frames_without_skeletons(prepared):
    values = read_values(prepared / "metadata.json")
    del values["alphapose_input_size"]
    (prepared / "metadata.json").write_text(json.dumps(values))
    (prepared / "iuv").rename(prepared / "elsewhere")
    (name, drawn), = contact_sheet(prepared, ["0001"])
    assert name == "0001" and np.array_equal(drawn, read_image(prepared / "rgb_256" / "0001.png", "RGB"))


def test_mistakes_on_the_command_line_are_told_in_one_line(tmp_path, monkeypatch):
    for arguments, words in ((["clip.mp4"], "--dataroot"), (["--dataroot", tmp_path / "x", "--steps", "pose"], "pose"),
                             (["--dataroot", tmp_path / "x", "--hight", "3"], "--height"),
                             ([tmp_path / "none.mp4", "--dataroot", tmp_path / "x"], "no such file")):
        with pytest.raises(UserError, match=words):
            run(monkeypatch, *arguments)
    assert not (tmp_path / "x").exists()


def test_the_panorama_shows_each_place_where_the_homographies_put_it(tmp_path):
    world = np.random.default_rng(0).integers(0, 255, (64, 192, 3)).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    shifts = (0, 60, 128)
    for number, x in enumerate(shifts, start=1):
        write_png(tmp_path / "rgb_256" / f"{number:04d}.png", world[:, x:x + 256])
    lines = ["size: 256 128", "bounds: 0 384 0 128"] + [f"1 0 {-x} 0 1 0 0 0 1" for x in shifts]
    (tmp_path / "homographies.txt").write_text("\n".join(lines) + "\n")
    picture = panorama(tmp_path, ["0001", "0002", "0003"])
    assert abs(picture.shape[1] / picture.shape[0] - 3) < 0.02
    scale = picture.shape[1] / 384
    places = np.array([(21, 31), (150, 71), (301, 101)])
    found = [picture[round(y * scale), round(x * scale)] for x, y in places]
    assert np.abs(np.array(found, int) - [world[y, x] for x, y in places]).mean() < 40
    assert read_values(tmp_path / "metadata.json") == {}


def test_commands_can_be_pasted_into_a_shell(tmp_path):
    root = tmp_path / "Kunde A & B" / "take (1)"
    (root / "mask").mkdir(parents=True)
    assert shlex.split(prepare.train_command(root)) == [
        "python", "train.py", "--name", "take (1)", "--dataroot", str(root), "--preset", "draft", "--export",
        "--use_mask_images"]
