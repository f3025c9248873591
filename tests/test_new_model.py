"""A model and a dataset that the core has never heard of work when their files are dropped in."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

from tests.program import ROOT, copy_program


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A copy of the program with the toy model and dataset, and without any other."""
    folder = tmp_path_factory.mktemp("program")
    copy_program(folder)
    for kind, room in (("model", "models"), ("dataset", "data")):
        for path in (folder / room).glob(f"*_{kind}.py"):
            if not path.name.startswith("base_"):
                path.unlink()
        shutil.copy(ROOT / "tests/toy" / f"toy_{kind}.py", folder / room)
    return folder


def run(folder, script, *arguments):
    command = [sys.executable, script, "--name", "toy", "--model", "toy", "--dataset_mode", "toy", "--dataroot", ".",
               "--gpu_ids", "-1", "--num_filters", "2", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_new_model_trains_continues_and_exports(program):
    training = ("--batch_size", "2", "--num_threads", "1", "--display_id", "0", "--critic_steps", "3")
    run(program, "train.py", *training, "--n_epochs", "2", "--n_epochs_decay", "1")
    folder = program / "checkpoints/toy"
    state = torch.load(folder / "latest_state.pth", weights_only=True)
    assert state["position"] == {"epoch": 4, "items": 0}
    assert set(state["optimizers"]) == {"G", "D"}
    assert state["extra"] == {"steps": 9}
    assert {p.name for p in folder.glob("*.pth")} == {"latest_net_G.pth", "latest_net_D.pth", "latest_state.pth",
                                                       "previous_state.pth", "previous_net_G.pth", "previous_net_D.pth"}
    records = [json.loads(line) for line in (folder / "loss_log.jsonl").read_text().splitlines()]
    assert set(records[-1]["losses"]) == {"critic", "generator", "total"}
    assert (folder / "web/index.html").exists()

    run(program, "train.py", "--n_epochs", "4", "--continue_train")
    assert torch.load(folder / "latest_state.pth", weights_only=True)["extra"] == {"steps": 15}

    run(program, "test.py", "--num_test", "3")
    results = program / "results/toy/test_latest"
    assert sorted(p.name for p in (results / "images").iterdir()) == [f"000{i}_first.png" for i in range(3)]
    assert [p.name for p in (results / "videos").iterdir()] == ["second.webm"]


def test_options_of_a_new_model_are_in_the_help_and_in_the_saved_options(program):
    text = run(program, "train.py", "--help")
    assert "--critic_steps" in text and "--clip_length" in text and "--texture_res" not in text
    saved = json.loads((program / "checkpoints/toy/train_opt.json").read_text())
    assert saved["critic_steps"] == 3 and saved["clip_length"] == 3
