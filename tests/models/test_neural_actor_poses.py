"""Poses that are refined while an actor is trained: `--refine_poses`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import test as test_program
import train
from data.actor_files import by_number, read_pose
from datasets.make_actor_sample import make_sample
from models import find_model
from models.neural_actor_poses import PoseCorrections, as_transform_file
from models.neural_actor_rendering import Actor
from options.train_options import TrainOptions
from scripts.lab.check_reliability import equal
from util.errors import UserError
from util.images import read_image
from vision.people.body_files import read_body

COMMON = ("--model", "neural_actor", "--gpu_ids", "-1", "--num_threads", "0", "--display_id", "0", "--no_html")
FAST = (*COMMON, "--preset", "fast", "--pixel_per_view", "256")
PUBLISHED = ("--no_use_texture_encoder", "--inputs_to_texture", "feat:0:16,attnout:0:12,texture:0:3,ray:2:3:b",
             "--joint_feature_dim", "12", "--feature_embed_dim", "16", "--density_embed_dim", "8",
             "--texture_embed_dim", "16", "--no_pretrained", "--fixed_num_samples", "6")


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A sample actor, and the same with other poses than the photographs show."""
    root = make_sample(tmp_path_factory.mktemp("actor") / "sample", frames=3, test_frames=1, cameras=4, held_out=0,
                       size=64, texture_size=64)
    shutil.copytree(root / "training", root / "disturbed")
    generator, poses = torch.Generator().manual_seed(0), PoseCorrections(3, 24)
    with torch.no_grad():
        poses.turns.normal_(0, 0.06, generator=generator)
        poses.shifts.normal_(0, 0.015, generator=generator)
        for number, path in by_number(root / "disturbed/transform", "*.json").items():
            path.write_text(as_transform_file(poses.pose(read_pose(path, 24) | {"frame": torch.tensor(number)})))
    return root


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def poses_in(folder):
    return {number: read_pose(path, 24) for number, path in by_number(folder, "*.json").items()}


def millimetres(folder, sample):
    """How far joints are from the true ones on average."""
    true = poses_in(sample / "training/transform")
    return 1000 * np.mean([(pose["joints"] - true[number]["joints"]).norm(dim=-1).mean().item()
                           for number, pose in poses_in(folder).items()])


def test_disturbed_poses_come_back_nearer_to_the_truth_and_are_used_for_their_frames(sample):
    train.main(["--name", "run", *FAST, "--dataroot", str(sample / "disturbed"), "--max_update", "150",
                "--refine_poses"])
    test_program.main(["--name", "run", "--test_views", "0", "--num_threads", "0"])
    results = Path("results/run/test_latest")
    assert millimetres(results / "transform", sample) < 0.7 * millimetres(sample / "disturbed/transform", sample)
    # As they were: worse pictures, no files. Another motion: no corrections, though its frames have the same numbers.
    test_program.main(["--name", "run", "--test_views", "0", "--num_threads", "0", "--phase", "as_they_were",
                       "--no_refine_poses"])
    test_program.main(["--name", "run", "--test_views", "0", "--num_threads", "0", "--phase", "other", "--dataroot",
                       str(sample / "testing")])
    for phase in ("as_they_were", "other"):
        assert not (results.with_name(f"{phase}_latest") / "transform").exists()

    def error(folder):
        return np.mean([np.abs(read_image(folder / f"color/{n:06d}.png", "RGB").astype(float)
                               - read_image(folder / f"target/{n:06d}.png", "RGB")).mean() for n in range(3)])
    assert error(results) < 0.9 * error(results.with_name("as_they_were_latest"))
    # What was written is a pose as any other.
    refined = Path("refined")
    shutil.copytree(sample / "disturbed", refined)
    shutil.copytree(results / "transform", refined / "transform", dirs_exist_ok=True)
    test_program.main(["--name", "run", "--test_views", "0", "--num_threads", "0", "--phase", "again", "--dataroot",
                       str(refined)])
    again = results.with_name("again_latest")
    for number in range(3):
        first, second = (read_image(folder / f"color/{number:06d}.png", "RGB").astype(int)
                         for folder in (results, again))
        assert np.abs(first - second).max() <= 1


class Killed(BaseException):
    """As SIGKILL, nobody expects it."""


@pytest.mark.parametrize("kind", [(), PUBLISHED], ids=["fast", "published"])
def test_a_run_that_is_killed_goes_on_to_the_same_bits(sample, monkeypatch, kind):
    arguments = [*(FAST if not kind else COMMON), *kind, "--pixel_per_view", "64", "--dataroot",
                 str(sample / "disturbed"), "--max_update", "7", "--refine_poses", "--clip_norm", "1"]
    names = ("latest_state.pth", "latest_net_actor.pth", "latest_net_poses.pth")

    def state(name):
        return [torch.load(Path("checkpoints", name, file), weights_only=True) for file in names]
    train.main(["--name", "whole", *arguments])
    step, steps = find_model("neural_actor").optimize_parameters, []

    def killed(self, batch):
        if len(steps) == 5:
            raise Killed
        steps.append(1)
        return step(self, batch)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(find_model("neural_actor"), "optimize_parameters", killed)
        train.main(["--name", "killed", *arguments, "--save_latest_minutes", "0"])
    train.main(["--name", "killed", "--continue_train"])
    assert equal(state("killed"), state("whole"))
    poses = state("whole")[2]
    assert all(poses[name].isfinite().all() and poses[name].flatten(1).any(1).all() for name in ("turns", "shifts"))


def test_a_pose_that_is_not_corrected_is_rendered_to_the_same_bits(sample):
    opt = TrainOptions().parse([*FAST, "--dataroot", str(sample / "training")])
    body, pose = read_body(sample / "training"), poses_in(sample / "training/transform")[1]
    torch.manual_seed(0)
    actor = Actor(opt, len(body.vertices)).eval()
    item = pose | {"texture": torch.rand(3, 16, 16), "frame": torch.tensor(1)}
    points = actor.frame(body, item).vertices[::7] + 0.01
    plain = actor.values(actor.frame(body, item), points, torch.zeros_like(points))
    live = actor.values(actor.frame(body, item | PoseCorrections(3, 24).pose(item)), points, torch.zeros_like(points))
    for name, values in plain.items():
        torch.testing.assert_close(live[name], values, atol=2e-5, rtol=1e-4)
    assert live["metres"].requires_grad and not plain["metres"].requires_grad


def without_root_joint(path):
    content = json.loads(path.read_text())
    content["joints"] = content["joints"][1:] + content["joints"][:1]
    path.write_text(json.dumps(content))


def test_what_does_not_go_with_it_is_told_in_one_line(sample, tmp_path):
    shutil.copytree(sample / "disturbed", tmp_path / "actor")
    for path in (tmp_path / "actor/transform").iterdir():
        without_root_joint(path)
    with pytest.raises(UserError, match="--refine_poses: in frame . joints are not where") as error:
        train.main(["--name", "torn", *FAST, "--dataroot", str(tmp_path / "actor"), "--max_update", "2",
                    "--refine_poses"])
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="--refine_poses: found a body of 22 joints; expected the 24 of SMPL"):
        PoseCorrections(3, 22)
    arguments = ["--name", "run", *FAST, "--pixel_per_view", "16", "--dataroot", str(sample / "disturbed"),
                 "--max_update", "2"]
    train.main(arguments)
    with pytest.raises(UserError, match="--refine_poses: this run was trained without it"):
        test_program.main(["--name", "run", "--refine_poses"])
    with pytest.raises(UserError, match="--continue_train: these options .* refine_poses False -> True"):
        train.main([*arguments, "--continue_train", "--refine_poses"])
