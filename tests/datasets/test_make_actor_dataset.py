import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import retime
import test as test_program
import train
from data.actor_layers import ClipLayers
from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from data.loading import create_dataset, resolved
from datasets.make_actor_dataset import camera_turns, make_actor, opened, parse
from options.train_options import TrainOptions
from preparation.actor_check import check
from scripts import make_texture_maps
from scripts.lab.one_video import joint_errors, make_clip
from util.errors import UserError
from util.images import read_image
from vision.people.body_files import read_body

FRAMES = 14


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video") / "turning"
    make_clip(folder, FRAMES, 96, noise=0.5)
    return folder


@pytest.fixture(scope="module")
def actor(clip):
    folder = clip.with_name("actor")
    make_actor(parse([str(clip), "--dataroot", str(folder), "--tex_resolution", "64", "--height", "1.8"]))
    return folder


def test_an_actor_of_one_video_is_a_dataroot_whose_body_lies_over_the_person(clip, actor, tmp_path):
    findings, compared = check(actor)
    assert max(finding.severity for finding in findings) < 2 and np.mean([e.overlap for e in compared]) > 0.75
    assert joint_errors(clip, actor)[0].mean() < 70  # millimetres; three frames a second are few
    note = json.loads((actor / "one_video.json").read_text())
    assert note["frames"] == FRAMES and note["height_m"] == 1.8 and note["error_percent"] < 3
    rest = np.array([line.split()[1:] for line in (actor / "canonical.obj").read_text().splitlines()
                     if line.startswith("v ")], float)
    assert np.ptp(rest[:, 1]) == pytest.approx(1.8, abs=0.01)
    opt = TrainOptions().parse(["--model", "neural_actor", "--dataroot", str(actor), "--gpu_ids", "-1",
                                "--pixel_per_view", "100"])
    dataset = create_dataset(resolved(opt))
    assert dataset.size == (96, 96) and (dataset.item(0, np.random.default_rng(0), 1)["alpha"] > 0.5).any()


def test_the_texture_is_one_of_all_frames_and_what_none_shows_is_told(actor, tmp_path, capsys):
    assert len({path.read_bytes() for path in (actor / "tex").iterdir()}) == 1
    half = tmp_path / "half"
    shutil.copytree(actor, half)
    for kind in ("rgb", "transform", "tex"):
        for path in sorted((half / kind).iterdir())[3:]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    told = [next((f.text for f in check(root)[0] if "no photograph shows" in f.text), "shows 0 %")
            for root in (actor, half)]
    whole, part = (int(text.split("shows ")[1].split(" %")[0]) for text in told)
    assert whole < 20 < 30 < part and "of it)" in told[1]
    make_texture_maps.main(["--dataroot", str(half), "--tex_resolution", "64", "--one_for_all"])
    assert int(capsys.readouterr().out.split("shows ")[1].split(" %")[0]) > 30
    assert read_image(half / "tex/000000.png", "RGB").shape == (64, 64, 3)


def test_what_is_wrong_is_told_before_anything_is_made(clip, actor, tmp_path):
    with pytest.raises(UserError, match="no person 7; expected one of"):
        make_actor(parse([str(clip), "--dataroot", str(tmp_path / "a"), "--person", "7"]))
    with pytest.raises(UserError, match="there already; give another --dataroot, or --overwrite"):
        make_actor(parse([str(clip), "--dataroot", str(actor)]))
    unseen = tmp_path / "unseen"
    shutil.copytree(clip, unseen)
    poses = json.loads((unseen / "keypoints.json").read_text())
    (unseen / "keypoints.json").write_text(json.dumps(dict(list(poses.items())[:4])))
    with pytest.raises(UserError, match="4 frames with 6 key points of this person; expected at least 10"):
        make_actor(parse([str(unseen), "--dataroot", str(tmp_path / "a")]))
    assert not (tmp_path / "a").exists()


def test_the_focal_length_is_known_from_a_camera_that_turns(clip, tmp_path):
    turning = tmp_path / "clip"
    shutil.copytree(clip, turning)
    lens = np.array([[130.0, 0, 47.5], [0, 130, 47.5], [0, 0, 1]])
    lines = []
    for k in range(FRAMES):
        angle = 0.03 * k
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        lines.append(" ".join(f"{value:.9f}" for value in (lens @ turn @ np.linalg.inv(lens)).ravel()))
    (turning / "homographies.txt").write_text("size: 96 96\nbounds: -200 200 -100 200\n" + "\n".join(lines) + "\n")
    source = opened(parse([str(turning), "--dataroot", str(tmp_path / "x")]))
    turned, focal, missed = camera_turns(source, None)
    assert focal == pytest.approx(130, rel=0.1) and missed < 0.5
    assert np.degrees(np.arccos((np.trace(turned[-1]) - 1) / 2)) == pytest.approx(np.degrees(0.03 * 13), rel=0.1)
    assert camera_turns(opened(parse([str(clip), "--dataroot", str(tmp_path / "x")])), None)[1] is None


def test_the_actor_is_a_layer_of_her_clip_with_the_shadow_of_her_pose(clip, actor, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train.main(["--name", "her", "--model", "neural_actor", "--dataroot", str(actor), "--preset", "fast", "--gpu_ids",
                "-1", "--num_threads", "0", "--display_id", "0", "--no_html", "--max_update", "25",
                "--pixel_per_view", "256", "--view_resolution", "48x48", "--mask_weight", "1"])
    assert '"mask"' in Path("checkpoints/her/loss_log.jsonl").read_text()
    test_program.main(["--name", "her", "--into", str(clip / "gt")])
    assert "the shadow of something 1 m high ends at" in capsys.readouterr().out
    results = tmp_path / "results/her/test_latest"
    root, made, true = Dataroot.open(results), LayerFolder.open(results), LayerFolder.open(clip / "gt")
    assert made.frames == true.frames == root.frames and made.numbers == [1] and made.size == (96, 96)
    assert root.metadata.frame_rate == Dataroot.open(clip).metadata.frame_rate
    shares, off = [], []
    for frame, name in enumerate(made.frames):
        layer, truth = (folder.layer(1, frame).astype(float) / 255 for folder in (made, true))
        person, shadow = (read_image(clip / f"gt/{part}_01/{name}.png", "L") / 255 for part in ("person", "shadow"))
        ground, dark = person < 0.02, layer[..., 3] * (1 - layer[..., :3].max(-1))
        shares.append((np.minimum(dark, shadow) * ground).sum() / (shadow * ground).sum())
        off.append(np.abs(layer[..., 3] - truth[..., 3]).mean())
        assert (made.background(frame) == true.background(frame)).all()
    assert np.mean(shares) > 0.5 and np.mean(off) < 0.06
    new = tmp_path / "new"
    for kind in ("transform", "tex"):
        (new / kind).mkdir(parents=True)
        for number, path in enumerate(sorted((actor / kind).iterdir())[::-1] + [sorted((actor / kind).iterdir())[0]]):
            shutil.copy(path, new / kind / f"{100 + number:06d}{path.suffix}")
    test_program.main(["--name", "her", "--into", str(clip / "gt"), "--dataroot", str(new), "--phase", "new"])
    longer = LayerFolder.open(tmp_path / "results/her/new_latest")
    assert longer.frames == [*made.frames, f"{FRAMES + 1:04d}"]  # which goes on before the last frame's background
    for frame in (0, 3):
        difference = np.abs(longer.layer(1, frame).astype(float) - made.layer(1, FRAMES - 1 - frame))
        assert difference.mean() < 0.1
    with pytest.raises(UserError, match="--into: with another camera than the clip's"):
        test_program.main(["--name", "her", "--into", str(clip / "gt"), "--render_path_style", "circle"])
    retime.main(["--layers", str(results), "--freeze", "1:3-6", "--out", str(tmp_path / "frozen.mp4")])
    assert (tmp_path / "frozen.mp4").stat().st_size > 1000


def test_a_clip_whose_camera_moves_is_no_place_for_her_shadow(clip, actor, tmp_path):
    moving, other = tmp_path / "clip", tmp_path / "actor"
    shutil.copytree(clip, moving)
    shutil.copytree(actor, other)
    (moving / "homographies.txt").write_text("size: 96 96\nbounds: 0 96 0 96\n" + FRAMES * "1 0 0 0 1 0 0 0 1\n")
    note = json.loads((other / "one_video.json").read_text())
    (other / "one_video.json").write_text(json.dumps({**note, "clip": str(moving)}))
    body = read_body(other)
    with pytest.raises(UserError, match="moves; expected one that stands still"):
        ClipLayers(clip / "gt", other, body)
    (other / "one_video.json").unlink()
    with pytest.raises(UserError, match="one_video.json is missing or broken"):
        ClipLayers(clip / "gt", other, body)
