import json
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import test as test_program
import train
from data.actor_dataset import Memory, parse_views
from data.actor_files import pictures_of_cameras, read_cameras
from data.loading import create_dataset, find_dataset, resolved
from options.test_options import TestOptions
from options.train_options import TrainOptions
from tests.golden_actor import GOLDEN, figures
from tests.program import ROOT
from util.errors import UserError
from util.images import read_image
from vision.geometry.rays import pixel_grid, pixel_rays
from vision.geometry.trajectories import camera_on_path

SMALL = ("--model", "neural_actor", "--dataroot", str(GOLDEN / "dataroot"), "--gpu_ids", "-1", "--num_threads", "0",
         "--display_id", "0", "--no_pretrained", "--no_html", "--fixed_num_samples", "6", "--feature_embed_dim", "16",
         "--feature_layers", "1", "--feature_field_skip_connect", "1", "--joint_feature_dim", "12",
         "--no_use_texture_encoder", "--inputs_to_texture", "feat:0:16,attnout:0:12,texture:0:3,ray:2:3:b",
         "--view-resolution", figures("training.pt")["plain"]["options"]["view-resolution"],
         "--pixel-per-view", "64", "--train-views", "0..2")


def test_views_are_read_as_published():
    for text, views in figures("views.json").items():
        if views is None:
            with pytest.raises(UserError):
                parse_views(text)
        else:
            assert parse_views(text) == views


def test_training_takes_as_many_steps_as_asked_for_and_exports_held_out_views(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train.main(["--name", "run", *SMALL, "--max_update", "7", "--print_freq", "1"])
    records = [json.loads(line) for line in Path("checkpoints/run/loss_log.jsonl").read_text().splitlines()]
    assert len(records) == 7
    test_program.main(["--name", "run", "--test_views", "2"])
    names = [path.name for path in sorted(Path("results/run/test_latest/color").iterdir())]
    assert names == [f"{i:06d}.png" for i in range(len(names))] and names


@pytest.mark.parametrize("name", figures("camera_forms.pt"))
def test_matrices_of_cameras_are_read_as_published(name, tmp_path):
    case = figures("camera_forms.pt")[name]
    kind = {"intrinsics": "intrinsic", "pose": "pose", "extrinsic": "extrinsic"}[case["kind"]]
    for folder in {"intrinsic", "pose", kind}:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0000.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    shutil.copy(GOLDEN / "camera_forms" / f"{name}.txt", tmp_path / kind / "0000.txt")
    (intrinsics, pose), = read_cameras(tmp_path)
    read, other = (intrinsics, pose) if case["kind"] == "intrinsics" else (pose, intrinsics)
    torch.testing.assert_close(read, case["matrix"], atol=1e-5, rtol=1e-6)
    assert torch.equal(other, torch.eye(4)) and not torch.equal(read, other)


@pytest.mark.parametrize("name", figures("dataset.pt"))
def test_items_are_as_published(name, tmp_path):
    case = figures("dataset.pt")[name]
    wanted, body = case["options"], GOLDEN / "dataroot"
    opt = TestOptions().parse([
        "--name", "none", "--checkpoints_dir", str(tmp_path), "--model", "neural_actor", "--gpu_ids", "-1",
        "--dataroot", str(GOLDEN / case["dataroot"]), "--mesh", str(body / "canonical.obj"),
        "--texuv", str(body / "uvmapping.obj"),
        "--weights", str(body / "skinning_weight.txt"), "--test_views", ",".join(map(str, wanted["views"])),
        "--view_resolution", wanted["resolution"], "--transparent_background", wanted["background"],
        "--min_color", str(wanted["min_color"]), "--start_end", wanted["start_end"] or "", "--subsample",
        str(wanted["subsample"])])
    dataset = create_dataset(resolved(opt))
    assert len(dataset) == len(case["items"])
    frames = {}
    for item, expected in zip((dataset[i] for i in range(len(dataset))), case["items"]):
        frame = frames.setdefault(expected["frame"], expected)
        view = wanted["views"][expected["position_in_views"]]
        assert item["image_path"] == (f"v{view:03d}_f" if len(wanted["views"]) > 1 else "") \
            + f"{expected['frame']:06d}.png"
        places = [place for _, place in dataset.camera_files]
        files = pictures_of_cameras(dataset.photographs[expected["frame"]], places)
        assert files[view] == GOLDEN / case["dataroot"] / expected["file"]
        height, width, rows, columns = expected["size"].tolist()
        assert item["size"] == (height, width)
        close(pixel_grid(item["size"], (height * rows, width * columns)), expected["uv"].T.float())
        for ours, theirs in zip(dataset.cameras[view], ("intrinsics", "camera_to_world")):
            close(ours, expected[theirs])
        close(item["rgb"], expected["colors"])
        close(item["alpha"], expected["alpha"])
        close(item["camera_to_world"], expected["camera_to_world"])
        origins, directions = pixel_rays(expected["uv"].T, expected["intrinsics"], expected["camera_to_world"])
        close(item["rays_o"], origins)
        close(item["rays_d"], directions)
        close((item["texture"] + 1) / 2, frame["tex"].permute(2, 0, 1))
        close(item["joints"], frame["joints"])
        close(item["joints_RT"], frame["joints_RT"].permute(2, 0, 1))
        close(item["rotation"], frame["rotation"])
        close(item["translation"], frame["translation"][0])
        angles = json.loads(dataset.transforms[expected["frame"]].read_text())["pose"]  # that nobody reads
        root = torch.from_numpy(Rotation.from_matrix(item["rotation"].T.numpy()).as_rotvec()).float()
        close(frame["pose"], torch.cat((root[None], torch.tensor(angles)[:, 3:]), -1))


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_pixels_to_train_on_see_the_body_and_are_as_likely_with_and_without_a_mask(tmp_path):
    opt = TrainOptions().parse([*SMALL, "--view_resolution", figures("dataset.pt")["full"]["options"]["resolution"],
                                 "--train_views", "0"])
    dataset, counts = create_dataset(resolved(opt)), {}
    rng = np.random.default_rng(0)
    for share, special in ((0.0, False), (1.0, True)):
        dataset.opt.sampling_on_mask = share
        counts[special] = np.zeros(dataset.size)
        for _ in range(60):
            item, (intrinsics, pose) = dataset.pose(dataset.frames[0]), dataset.cameras[0]
            x, y = dataset.choose({**item, "camera_to_world": pose}, intrinsics, dataset.size, rng).T
            assert len({*zip(x, y)}) == 64
            counts[special][y, x] += 1
    assert ((counts[False] > 0) == (counts[True] > 0)).mean() > 0.99
    assert abs(counts[False] - counts[True]).max() < 40


FEATURES = ("--use_texture_encoder", "--texture_encoder_layers", "1", "--inputs_to_texture",
            "feat:0:16,attnout:0:12,texture:0:64,ray:2:3:b")


@pytest.mark.parametrize("kind", [(), FEATURES], ids=["raw", "features"])
def test_two_processes_with_a_frame_each_do_what_one_does_with_both(tmp_path, monkeypatch, kind):
    """Each frame has its own statistics of batch normalisation; their averages are those of what a process has seen."""
    monkeypatch.chdir(tmp_path)
    options = [*SMALL, *kind, "--max_update", "4", "--batch_size", "2", "--discrete_regularization"]
    train.main(["--name", "one", *options])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
               str(ROOT / "train.py"), "--name", "two", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    one, two = (torch.load(f"checkpoints/{name}/latest_net_actor.pth", weights_only=True) for name in ("one", "two"))
    seen = {name for name in one if name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")}
    for name in one.keys() - seen:
        torch.testing.assert_close(two[name], one[name], atol=1e-5, rtol=1e-4)
    for name in (name for name in seen if name.endswith("model.bn1.num_batches_tracked")):
        assert (int(one[name]), int(two[name])) == (8, 4)


def render(monkeypatch, tmp_path, *arguments):
    """A run without training, rendered; returns the folder of the results."""
    monkeypatch.chdir(tmp_path)
    if not Path("checkpoints").exists():
        train.main(["--name", "run", *SMALL, "--n_epochs", "0"])
    test_program.main(["--name", "run", *arguments])
    return Path("results/run/test_latest")


def poses_in(folder):
    return {path.stem: np.loadtxt(path) for path in sorted((folder / "pose").iterdir())}


CIRCLE = ("--render_path_style", "circle", "--render-path-args", "{'radius': 3, 'h': 0.2, 'axis': 'y'}",
          "--render-up-vector", "(0,-1,0)", "--render-at-vector", "(0,0.9,0)", "--render-angular-speed", "20")


def test_a_path_goes_on_with_each_picture_and_can_be_shared_among_machines(monkeypatch, tmp_path):
    whole = render(monkeypatch, tmp_path, *CIRCLE, "--render_num_frames", "2", "--render-maximum-frames", "5",
                   "--render_save_fps", "10")
    poses = poses_in(whole)
    assert list(poses) == [f"{step:06d}" for step in range(5)]
    for step, pose in enumerate(poses.values()):
        expected = camera_on_path("circle", step, 20, {"radius": 3, "h": 0.2, "axis": "y"}, (0, 0.9, 0), (0, -1, 0))
        np.testing.assert_allclose(pose, expected, atol=1e-6)
    assert (whole / "videos/full.webm").exists() and not (whole / "target").exists()
    render(monkeypatch, tmp_path, *CIRCLE, "--render_num_frames", "2", "--render_items", "2,4", "--phase", "second")
    part = Path("results/run/second_latest/color")
    assert [path.name for path in sorted(part.iterdir())] == ["000002.png", "000003.png"]
    for path in part.iterdir():
        assert path.read_bytes() == (whole / "color" / path.name).read_bytes()


def test_poses_of_the_camera_come_from_files(monkeypatch, tmp_path):
    given = [camera_on_path("circle", step, 30, {"radius": 3, "axis": "y"}, (0, 0.9, 0), (0, -1, 0))
             for step in range(3)]
    table = np.stack(given).reshape(3, 16)
    np.savetxt(tmp_path / "poses.txt", table)
    np.savetxt(tmp_path / "named.txt", np.concatenate((table, [[2], [0], [2]]), 1))
    for name, invert in (("pose", False), ("extrinsic", True)):
        (tmp_path / name).mkdir()
        for step, pose in enumerate(given):
            np.savetxt(tmp_path / name / f"{step}.txt", np.linalg.inv(pose) if invert else pose)
    for name in ("poses.txt", "named.txt", "pose", "extrinsic"):
        found = poses_in(render(monkeypatch, tmp_path, "--render_camera_poses", str(tmp_path / name),
                                *(["--start_end", "0,1"] if name == "poses.txt" else [])))
        np.testing.assert_allclose(list(found.values()), given, atol=1e-5)
    with pytest.raises(UserError, match="3 poses for 2 frames"):
        render(monkeypatch, tmp_path, "--render_camera_poses", str(tmp_path / "poses.txt"), "--start_end", "0,2")


@pytest.mark.parametrize("option, value, message", [
    ("render_path_args", "{'radius': 'x'}", "expected such as"), ("render_path_args", "{'speed': 1}", "radius"),
    ("render_at_vector", "1,2", "three numbers"), ("render_camera_poses", "nowhere.txt", "not readable"),
    ("render_items", "5", "two numbers"), ("render_items", "100,200", "of 3 pictures")])
def test_what_is_wrong_with_a_path_is_told(monkeypatch, tmp_path, option, value, message):
    with pytest.raises(UserError, match=message) as error:
        render(monkeypatch, tmp_path, "--render_path_style", "circle", f"--{option}", value)
    assert "\n" not in str(error.value)


def test_another_sequence_needs_only_its_frames(monkeypatch, tmp_path):
    """Body and cameras are those of the training; targets are written where there are photographs."""
    (tmp_path / "other").mkdir()
    for name in ("transform", "tex"):
        (tmp_path / "other" / name).symlink_to(GOLDEN / "dataroot" / name)
    own = render(monkeypatch, tmp_path, "--test_views", "1")
    pictures = {path.name: path.read_bytes() for path in (own / "color").iterdir()}
    assert {path.name for path in (own / "target").iterdir()} == set(pictures)
    size = figures("training.pt")["plain"]["options"]["view-resolution"]
    other = render(monkeypatch, tmp_path, "--test_views", "1", "--dataroot", str(tmp_path / "other"),
                   "--view_resolution", size)
    assert not (other / "target").exists() and {path.name for path in (other / "color").iterdir()} == set(pictures)


def test_several_views_of_a_frame_are_trained_on_in_a_step():
    dataset = create_dataset(resolved(TrainOptions().parse([*SMALL, "--view_per_batch", "2"])))
    item = dataset.item(0, np.random.default_rng(0), 1)
    assert item["rays_o"].shape == (128, 3) and item["rgb"].shape == (128, 3)
    assert len({*map(tuple, item["rays_o"].tolist())}) == 2
    again = dataset.item(0, np.random.default_rng(0), 1)
    assert torch.equal(item["rays_d"], again["rays_d"]) and torch.equal(item["rgb"], again["rgb"])


def test_without_options_photographs_are_as_they_are_and_all_cameras_count(tmp_path):
    opt = TrainOptions().parse([*SMALL, "--view_resolution", "", "--train_views", "all"])
    dataset = create_dataset(resolved(opt))
    photograph = next((GOLDEN / "dataroot/rgb").rglob("*.png"))
    assert dataset.size == read_image(photograph, "RGB").shape[:2]
    assert len(dataset.views) == len(list((GOLDEN / "dataroot/pose").iterdir()))
    assert opt.view_per_batch == 1 and opt.min_dis_eps == 0.06  # the recipe's


def test_what_does_not_fit_into_memory_is_read_again():
    memory, read = Memory(100), []

    def reader(name, size):
        return lambda: (read.append(name), {"x": np.zeros(size, dtype=np.uint8)})[1]
    for _ in range(2):
        memory.get(("a",), reader("a", 60))
        memory.get(("b",), reader("b", 60))
        memory.get(("c",), reader("c", 40))
    assert read == ["a", "b", "c", "b"]


def test_views_that_nobody_filmed_show_as_much_as_the_photographs_did(monkeypatch, tmp_path):
    """Views are half as large as photographs, of which the second folder has none; intrinsics are for photographs."""
    size = figures("training.pt")["plain"]["options"]["view-resolution"]
    for other, names in (("poses", ("transform", "tex")), ("cameras", ("transform", "tex", "intrinsic", "pose"))):
        (tmp_path / other).mkdir()
        for name in names:
            (tmp_path / other / name).symlink_to(GOLDEN / "dataroot" / name)
    own = create_dataset(options_of_a_view(monkeypatch, tmp_path, "--test_views", "1"))
    assert own.filmed_size != own.size == tuple(int(side) for side in size.split("x"))
    for other in ("poses", "cameras"):
        dataset = create_dataset(options_of_a_view(monkeypatch, tmp_path, "--test_views", "1", "--dataroot",
                                                   str(tmp_path / other)))
        assert torch.equal(dataset.item(1, None, 1)["rays_d"], own.item(1, None, 1)["rays_d"])
    scaled = "".join(f"{value / own.filmed_size[0] * own.size[0]:.6f} " for value in own.cameras[1][0][:3].flatten())
    (tmp_path / "small.txt").write_text("\n".join(" ".join(scaled.split()[i:i + 4]) for i in (0, 4, 8)))
    dataset = create_dataset(options_of_a_view(
        monkeypatch, tmp_path, "--dataroot", str(tmp_path / "poses"), "--render_camera_poses",
        str(GOLDEN / "dataroot/pose"), "--render_camera_intrinsics", str(tmp_path / "small.txt")))
    torch.testing.assert_close(dataset.item(1, None, 1)["rays_d"], own.item(1, None, 1)["rays_d"])


def options_of_a_view(monkeypatch, tmp_path, *arguments):
    """Options of test.py, for a run without training."""
    monkeypatch.chdir(tmp_path)
    if not Path("checkpoints").exists():
        train.main(["--name", "run", *SMALL, "--n_epochs", "0", "--subsample", "1", "--start_end", "0,100"])
    return resolved(TestOptions().parse(["--name", "run", *arguments]))


def test_which_frames_were_trained_on_says_nothing_of_another_dataroot(monkeypatch, tmp_path):
    (tmp_path / "other").symlink_to(GOLDEN / "dataroot")
    shutil.copytree(GOLDEN / "dataroot", tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    train.main(["--name", "run", *SMALL, "--n_epochs", "0", "--start_end", "1,2"])
    every = len(list((GOLDEN / "dataroot/transform").iterdir()))
    for root, frames in (("other", 1), (str(GOLDEN / "dataroot"), 1), ("copy", every)):
        opt = TestOptions().parse(["--name", "run", "--dataroot", root])
        assert len(create_dataset(resolved(opt)).frames) == frames


def test_one_file_of_intrinsics_serves_all_cameras(tmp_path):
    for name in ("pose", "extrinsic"):
        (tmp_path / name).mkdir()
    for camera in range(2):
        (tmp_path / f"pose/{camera}.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")
    with pytest.raises(UserError, match="no intrinsics of cameras"):
        read_cameras(tmp_path)
    for name in ("intrinsic.txt", "intrinsics.txt"):
        (tmp_path / name).write_text(f"{len(name)} 32 24 0\n")
        assert [float(inner[0, 0]) for inner, _ in read_cameras(tmp_path)] == [len(name)] * 2


def test_frames_textures_or_photographs_of_others_are_other_data(tmp_path):
    """A continued run knows by this text that it sees what it saw; what systems leave in folders does not count."""
    root = shutil.copytree(GOLDEN / "dataroot", tmp_path / "actor")

    def identity():
        return find_dataset("actor").resolve_options(Namespace(dataroot=str(root), load_rgb_name="rgb", is_train=False,
                                                               base_root="", max_update=0))["data_id"]

    begun = identity()
    assert re.fullmatch(r"3 frames, 000000.json to 000002.json, \w{8}", begun)
    (root / "rgb/000000/.DS_Store").write_bytes(b"")
    (root / "notes.txt").write_text("of tuesday")
    assert identity() == begun
    seen = {begun}
    for change in ("tex/000001.png", "rgb/000001/*", "transform/000001.json"):
        path = sorted(root.glob(change))[-1]
        path.write_bytes(path.read_bytes() + b" ")
        seen.add(identity())
    path.rename(root / "000001.json")
    assert len(seen) == 4 and re.fullmatch(r"2 frames, 000000.json to 000002.json, \w{8}", identity())
    shutil.rmtree(root / "transform")
    assert identity() == "no frames"
