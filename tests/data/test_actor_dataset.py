import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import test as test_program
import train
from data.actor_dataset import parse_views, read_matrix
from data.loading import create_dataset, resolved
from options.test_options import TestOptions
from options.train_options import TrainOptions
from tests.golden_actor import GOLDEN, figures
from tests.program import ROOT
from util.errors import UserError
from vision.geometry.rays import pixel_rays

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


def test_matrices_of_cameras_are_read_as_published():
    for name, case in figures("camera_forms.pt").items():
        matrix = read_matrix(GOLDEN / "camera_forms" / f"{name}.txt", legacy=case["kind"] == "intrinsics")
        matrix = matrix.inverse() if case["kind"] == "extrinsic" else matrix
        torch.testing.assert_close(matrix, case["matrix"].float(), atol=1e-5, rtol=1e-6)


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
        frames.setdefault(expected["frame"], expected)
        frame = frames[expected["frame"]]
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


def test_two_processes_with_a_frame_each_do_what_one_does_with_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [*SMALL, "--max_update", "4", "--batch_size", "2", "--discrete_regularization"]
    train.main(["--name", "one", *options])
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(ROOT / "train.py"),
               "--name", "two", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    one, two = (torch.load(f"checkpoints/{name}/latest_net_actor.pth", weights_only=True) for name in ("one", "two"))
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, atol=1e-5, rtol=1e-4)
