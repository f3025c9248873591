"""Processes that train together under torchrun: they do what one process does, and leave one set of files."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from options.base_options import default_gpus, own_gpus
from tests.program import copy_program_of_toys
from util.errors import UserError

ROOT = Path(__file__).parents[2]
OPTIONS = ("--dataroot", "clip", "--num_filters", "4", "--batch_size", "2", "--batch_size_upsample", "2",
           "--num_threads", "0", "--gpu_ids", "-1", "--display_id", "0", "--print_freq", "1", "--no_html")


def under_torchrun(*arguments, cwd=ROOT):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]  # a port of its own
    command = [sys.executable, *launcher, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture
def clip(golden, tmp_path, monkeypatch):
    shutil.copytree(golden / "clip", tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train_here(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", ["train.py", "--name", name, *OPTIONS, *arguments])
    train.main()


def records(folder, name):
    return [json.loads(line) for line in (folder / "checkpoints" / name / "loss_log.jsonl").read_text().splitlines()]


def test_a_run_goes_on_from_one_process_to_two_and_back_as_if_one_had_done_it_all(clip, monkeypatch):
    train_here(monkeypatch, "one", "--n_epochs", "3", "--n_epochs_upsample", "2")
    train_here(monkeypatch, "both", "--n_epochs", "1", "--n_epochs_upsample", "0")
    longer = ("--n_epochs", "3", "--n_epochs_upsample", "1", "--continue_train")
    result = under_torchrun(ROOT / "train.py", "--name", "both", *OPTIONS, *longer, cwd=clip)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("network LNR") == 1
    train_here(monkeypatch, "both", "--n_epochs", "3", "--n_epochs_upsample", "2", "--continue_train")

    expected, found = records(clip, "one"), records(clip, "both")
    assert [(r["phase"], r["epoch"]) for r in found] == [(r["phase"], r["epoch"]) for r in expected]
    for ours, theirs in zip(found, expected):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-3)
    assert found[1]["losses"] == pytest.approx(expected[1]["losses"], rel=1e-5)
    states, trained = ([torch.load(clip / f"checkpoints/{name}/latest_{what}.pth", weights_only=True)
                        for name in ("one", "both")] for what in ("state", "net_LNR"))
    assert states[0]["position"] == states[1]["position"] and trained[0].keys() == trained[1].keys()
    names = [{str(path.relative_to(clip / "checkpoints" / name)) for path in (clip / "checkpoints" / name).rglob("*")}
             for name in ("one", "both")]
    assert names[0] == names[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A copy of the program with the toys, and with a model whose second process fails."""
    folder = copy_program_of_toys(tmp_path_factory.mktemp("program"))
    (folder / "models/failing_model.py").write_text("""
from models.field_model import FieldModel
from util import distributed
from util.errors import UserError

class FailingModel(FieldModel):
    def optimize_parameters(self, batch):
        if distributed.rank() == 1:
            raise UserError("the second process has had enough")
        return super().optimize_parameters(batch)
""")
    return folder


def train_toy(monkeypatch, folder, processes, name, model, *arguments):
    """Train a toy in one process, here, or in two; returns its losses by step."""
    arguments = ("--name", name, "--model", model, "--dataroot", ".", *OPTIONS[OPTIONS.index("--num_threads"):],
                 "--batch_size", "4", *arguments)
    monkeypatch.chdir(folder)
    if processes == 1:
        train.main(arguments)
    else:
        result = under_torchrun("train.py", *arguments, cwd=folder)
        assert result.returncode == 0, result.stderr
    return [record["losses"] for record in records(folder, name)]


def weights(folder, name):
    """Weights and statistics by network and name."""
    return {f"{path.stem}.{key}": tensor for path in (folder / "checkpoints" / name).glob("latest_net_*.pth")
            for key, tensor in torch.load(path, weights_only=True).items()}


def test_losses_of_shared_batches_are_those_of_whole_ones(program, toys, monkeypatch):
    """Networks that are trained in turn, called several times before a backward pass, and left out of some steps."""
    options = ("video_gan", "--preset", "fine", "--n_frames_total", "4")
    one, two = (train_toy(monkeypatch, program, count, f"gan_{count}", *options) for count in (1, 2))
    assert len(one) == len(two) == 4
    for ours, theirs in zip(two, one):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    one, two = (weights(program, f"gan_{count}") for count in (1, 2))
    statistics = [name for name in one if "running" in name]
    assert {name.split(".")[2] for name in statistics if "G0" in name} == {"0", "3"}, "instances and batches"
    for name in statistics:
        assert torch.allclose(one[name], two[name], rtol=1e-3, atol=1e-5), name


def test_shares_may_have_their_own_statistics_and_a_loss_may_do_without_some_parameters(program, toys, monkeypatch):
    """With one frame in a load, what G0 makes of it is only looked at without gradients."""
    options = ("video_gan", "--preset", "fine", "--n_frames_load", "1", "--n_epochs", "1", "--n_epochs_decay", "1")
    one, two = (train_toy(monkeypatch, program, count, f"own_{count}", *options, "--batch_statistics", "per_process")
                for count in (1, 2))
    assert len(one) == len(two) == 2
    assert two[0]["D"] != pytest.approx(one[0]["D"], rel=1e-3)


def test_noise_of_shared_batches_is_that_of_whole_ones(program, toys, monkeypatch):
    options = ("field", "--density_noise", "5", "--lr", "0.001", "--n_epochs", "2")
    one, two = (train_toy(monkeypatch, program, count, f"field_{count}", *options) for count in (1, 2))
    assert len(one) == len(two) == 10
    for ours, theirs in zip(two, one):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_one_process_that_fails_ends_all_in_one_line(program):
    result = under_torchrun("train.py", "--name", "failing", "--model", "failing", "--dataroot", ".", "--gpu_ids", "-1",
                            "--num_threads", "0", "--display_id", "0", "--batch_size", "4", cwd=program)
    assert result.returncode != 0
    assert [line for line in result.stderr.splitlines() if "error: " in line] == [
        "error: the second process has had enough"]
    assert "failing_model.py" not in result.stderr  # nobody's traceback


@pytest.fixture
def second_of_two(monkeypatch):
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)


def test_each_process_has_one_of_the_gpus(second_of_two, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert default_gpus() == "0,1"
    assert own_gpus([2, 5]) == [5]
    assert own_gpus([]) == []
    with pytest.raises(UserError, match="--gpu_ids: found 3 for 2 processes on this machine; .* --nproc_per_node 3"):
        own_gpus([0, 1, 2])


def test_one_process_has_all_gpus():
    assert own_gpus([0, 1]) == [0, 1]
