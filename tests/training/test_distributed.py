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
from tests.toy.share_batches import losses
from util.errors import UserError

ROOT = Path(__file__).parents[2]
OPTIONS = ("--dataroot", "clip", "--num_filters", "4", "--batch_size", "2", "--batch_size_upsample", "2",
           "--num_threads", "0", "--gpu_ids", "-1", "--display_id", "0", "--print_freq", "1", "--no_html")


def under_torchrun(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", *map(str, arguments)]
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
    states, weights = ([torch.load(clip / f"checkpoints/{name}/latest_{what}.pth", weights_only=True)
                        for name in ("one", "both")] for what in ("state", "net_LNR"))
    assert states[0]["position"] == states[1]["position"] and weights[0].keys() == weights[1].keys()
    names = [{str(path.relative_to(clip / "checkpoints" / name)) for path in (clip / "checkpoints" / name).rglob("*")}
             for name in ("one", "both")]
    assert names[0] == names[1]


def test_losses_of_shared_batches_are_those_of_whole_ones_and_one_process_that_fails_ends_all_in_one_line():
    """The toy model: two networks that are trained in turn, and called several times before a backward pass."""
    result = under_torchrun("-m", "tests.toy.share_batches")
    synchronised, per_process = json.loads(result.stdout)
    for ours, theirs in zip(synchronised, losses(), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    assert per_process[0]["critic"] != pytest.approx(synchronised[0]["critic"], rel=1e-2)
    assert result.returncode != 0
    assert [line for line in result.stderr.splitlines() if "error: " in line] == [
        "error: the second process has had enough"]
    assert "share_batches.py" not in result.stderr  # nobody's traceback


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
