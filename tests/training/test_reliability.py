"""A run that is broken off anywhere goes on as if nothing had happened; what would spoil it is refused in one line."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import train
from data.layered_video_dataset import LayeredVideoDataset
from datasets.make_sample import make_sample
from models.checkpoints import fingerprint
from models.lnr_model import LnrModel
from preparation.uv import make_iuv
from scripts.lab.check_reliability import equal
from tests.program import ROOT, program_files
from training import batch_size
from util.errors import UserError
from util.files import folder_filled_atomically, locked, written_atomically
from util.images import read_image, write_png
from util.interruption import StopRequest
from util.loss_log import LossLog

OPTIONS = ("--dataroot", "clip", "--num_filters", "4", "--batch_size", "1", "--batch_size_upsample", "1",
           "--num_threads", "0", "--gpu_ids", "-1", "--display_id", "0", "--print_freq", "1", "--no_html")
SHORT = ("--n_epochs", "3", "--n_epochs_upsample", "2")
STEPS = 10


class Killed(BaseException):
    """As SIGKILL, nobody expects it."""


@pytest.fixture
def clip(golden, tmp_path, monkeypatch):
    shutil.copytree(golden / "clip", tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    """train.py in this process."""
    before, sys.argv = sys.argv, ["train.py", *arguments]
    try:
        train.main()
    finally:
        sys.argv = before


def begin(name, *arguments):
    run("--name", name, *OPTIONS, *SHORT, *arguments)


def resume(name, *arguments):
    run("--name", name, "--continue_train", *arguments)


def state(name):
    """All that a run has saved: its state, and the weights beside it."""
    folder = Path("checkpoints", name)
    return {**torch.load(folder / "latest_state.pth", weights_only=True),
            "networks": {path.stem.removeprefix("latest_net_"): torch.load(path, weights_only=True)
                         for path in folder.glob("latest_net_*.pth")}}


def records(name):
    return [{**json.loads(line), "time": 0} for line in Path("checkpoints", name, "loss_log.jsonl").open()]


def at_step(monkeypatch, number, act):
    """Let something happen at a step, counted from 1 in this process: after the weights change, before any saving."""
    steps, step = [], LnrModel.optimize_parameters

    def counted(model, batch):
        losses = step(model, batch)
        steps.append(1)
        return act(losses) or losses if len(steps) == number else losses

    monkeypatch.setattr(LnrModel, "optimize_parameters", counted)


def die(_losses):
    raise Killed


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, STEPS), st.sampled_from(("0", "5")))
def test_a_run_killed_at_any_step_goes_on_to_the_same_bits(clip, step, minutes):
    if not Path("checkpoints/whole").exists():
        begin("whole")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        at_step(patch, step, die)
        begin("killed", "--overwrite", "--save_latest_minutes", minutes)
    resume("killed")
    assert equal(state("killed"), state("whole"))
    assert records("killed") == records("whole") and len(records("whole")) == STEPS
    assert len(Path("checkpoints/killed/loss_log.txt").read_text().splitlines()) == STEPS


def test_a_run_of_the_preset_fast_killed_in_any_of_its_phases_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_iuv(make_sample(tmp_path / "clip", frames=6, width=96, height=64), "drawn")
    fast = (*OPTIONS, "--preset", "fast", "--n_epochs_background", "2", "--n_epochs_coarse", "1", "--n_epochs", "1",
            "--save_latest_minutes", "0")
    run("--name", "whole", *fast)
    for step, phase in ((3, "background"), (7, "coarse"), (13, "layers")):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            at_step(patch, step, die)
            run("--name", phase, *fast)
        assert state(phase)["phase"] == phase
        resume(phase)
        assert equal(state(phase), state("whole")) and records(phase) == records("whole")
    assert len(records("whole")) == 4 + 6 + 6


def test_a_killed_run_repeats_no_more_than_the_minutes_it_was_told(clip, monkeypatch):
    at_step(monkeypatch, 4, die)
    with pytest.raises(Killed):
        begin("often", "--save_latest_minutes", "0")
    assert state("often")["position"] == {"epoch": 2, "items": 1}
    monkeypatch.undo()
    monkeypatch.chdir(clip)
    at_step(monkeypatch, 4, die)
    with pytest.raises(Killed):
        begin("seldom", "--save_latest_minutes", "1000")
    assert state("seldom")["position"] == {"epoch": 1, "items": 0}


@pytest.mark.parametrize("step, status", [(3, 143), (STEPS, None)])
def test_a_signal_ends_a_run_with_its_number_but_not_one_that_is_finished(clip, monkeypatch, step, status):
    at_step(monkeypatch, step, lambda _: signal.raise_signal(signal.SIGTERM))
    if status is None:
        begin("asked")
    else:
        with pytest.raises(SystemExit) as stop:
            begin("asked")
        assert stop.value.code == status
    assert state("asked")["position"] == ({"epoch": 6, "items": 0} if status is None else {"epoch": 2, "items": 1})


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_a_loss_that_is_no_number_is_named_and_reaches_no_checkpoint(clip, monkeypatch, bad):
    at_step(monkeypatch, 4, lambda losses: {**losses, "mask": torch.tensor(float(bad))})
    with pytest.raises(UserError, match=f"^layers, epoch 2, batch 2: loss mask is {bad}; not saved.*--lr 0.0005$"):
        begin("bad", "--save_latest_minutes", "0")
    assert state("bad")["position"] == {"epoch": 2, "items": 0}, "the one before the step that showed what was wrong"
    assert len(records("bad")) == 3
    assert state("bad")["weights"] == {"LNR": fingerprint(Path("checkpoints/bad/latest_net_LNR.pth"))}


def test_what_the_first_step_finds_wrong_does_not_bring_another_run_back(clip, monkeypatch):
    begin("bad")
    at_step(monkeypatch, 1, lambda losses: {**losses, "mask": torch.tensor(float("nan"))})
    with pytest.raises(UserError, match="^layers, epoch 1, batch 1: loss mask is nan; not saved"):
        begin("bad", "--overwrite")
    assert state("bad")["position"] == {"epoch": 1, "items": 0}


def test_weights_that_are_no_numbers_reach_no_checkpoint(clip, monkeypatch):
    model = []
    make = LnrModel.make_optimizers
    monkeypatch.setattr(LnrModel, "make_optimizers", lambda self, phase: model.append(self) or make(self, phase))
    at_step(monkeypatch, 2, lambda _: model[-1].renderer.texture.data.mul_(float("nan")).sum() > 0)
    with pytest.raises(UserError, match="weights of network LNR are not finite numbers; not saved. Continue"):
        begin("bad", "--save_latest_minutes", "0")
    assert state("bad")["networks"]["LNR"]["texture"].isfinite().all()
    monkeypatch.undo()
    monkeypatch.chdir(clip)
    resume("bad", "--lr", "0.0005")
    assert {group["initial_lr"] for group in state("bad")["optimizers"]["LNR"]["param_groups"]} == {0.0005}


def test_harmless_options_are_taken_with_a_note_and_others_stay_as_they_were(clip, capsys):
    begin("a", "--lambda_mask", "30")
    capsys.readouterr()
    resume("a", "--n_epochs_upsample", "3", "--print_freq", "2")
    note = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("continued with other"))
    assert sorted(note.split(": ")[1].split(", ")) == ["n_epochs_upsample 2 -> 3", "print_freq 1 -> 2"]
    saved = json.loads(Path("checkpoints/a/train_opt.json").read_text())
    assert (saved["lambda_mask"], saved["print_freq"]) == (30, 2)
    assert state("a")["position"] == {"epoch": 7, "items": 0}


@pytest.mark.parametrize("arguments, named", [
    (("--num_filters", "8"), "num_filters 4 -> 8"), (("--texture_res", "8"), "texture_res 16 -> 8"),
    (("--seed", "2"), "seed 1 -> 2"), (("--use_homographies",), "use_homographies False -> True"),
    (("--dataroot", "other"), "data_id 2 frames, .* -> 2 frames, "),
    (("--num_filters", "8", "--seed", "2"), "num_filters 4 -> 8, .*seed 1 -> 2|seed 1 -> 2, .*num_filters 4 -> 8")])
def test_options_that_make_other_networks_or_data_are_refused_by_name(clip, arguments, named):
    shutil.copytree("clip", "other")
    shutil.copy("clip/rgb_256/0002.png", "other/rgb_256/0001.png")
    begin("a", "--n_epochs", "1", "--n_epochs_upsample", "0")
    before = {path: path.read_bytes() for path in Path("checkpoints/a").iterdir() if path.name != ".lock"}
    with pytest.raises(UserError, match=f"^--continue_train: .*{named}") as error:
        resume("a", *arguments)
    assert "\n" not in str(error.value)
    assert before == {path: path.read_bytes() for path in Path("checkpoints/a").iterdir() if path.name != ".lock"}


def test_a_clip_with_another_frame_than_the_first_is_another_clip(clip):
    begin("a", "--n_epochs", "1", "--n_epochs_upsample", "0")
    path = Path("clip/rgb_256/0002.png")
    frame = read_image(path, "RGB")
    write_png(path, 255 - frame)
    with pytest.raises(UserError, match="--continue_train: .*data_id 2 frames, (\\w{8}), (\\w{8}) -> 2 frames, \\1, "
                                        "(?!\\2)"):
        resume("a", "--n_epochs", "2")
    write_png(path, frame)
    options = Path("checkpoints/a/train_opt.json")  # as before version 0.2, by the first frame alone
    options.write_text(re.sub(r'("data_id": "2 frames, \w{8}), \w{8}"', r'\1"', options.read_text()))
    resume("a", "--n_epochs", "2")
    assert state("a")["position"] == {"epoch": 3, "items": 0}


def test_a_clip_that_was_moved_is_the_same_clip(clip):
    begin("a", "--n_epochs", "1", "--n_epochs_upsample", "0")
    Path("clip").rename("moved")
    resume("a", "--dataroot", "moved", "--n_epochs", "2")
    assert state("a")["position"] == {"epoch": 3, "items": 0}


def test_numbers_of_epochs_that_put_the_run_into_the_middle_of_another_phase_are_refused(clip):
    begin("a", "--n_epochs", "3", "--n_epochs_upsample", "0")
    with pytest.raises(UserError, match="in epoch 4, in its phase layers; .* in the middle of phase upsampling"):
        resume("a", "--n_epochs", "1", "--n_epochs_upsample", "5")
    resume("a", "--n_epochs_upsample", "1")
    assert json.loads(Path("checkpoints/a/train_opt.json").read_text())["n_epochs"] == 3
    assert state("a")["phase"] == "upsampling"


def test_a_run_of_no_epochs_is_saved_and_can_be_trained_later(clip, capsys):
    begin("a", "--n_epochs", "0", "--n_epochs_upsample", "0")
    assert "export it with: python test.py --name a" in capsys.readouterr().out
    assert Path("checkpoints/a/latest_net_LNR.pth").exists()
    resume("a", *SHORT)
    begin("whole")
    assert equal(state("a"), state("whole"))


@pytest.mark.parametrize("damage", [lambda data: data[:len(data) // 2], lambda data: b"",
                                    lambda data: data[:90_000] + bytes([data[90_000] ^ 1]) + data[90_001:]])
def test_a_damaged_state_is_told_and_the_weights_alone_go_on(clip, damage):
    begin("a", "--n_epochs", "1", "--n_epochs_upsample", "0")
    path = Path("checkpoints/a/latest_state.pth")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="latest_state.pth: not a .* remove it to go on from latest_net"):
        resume("a", "--n_epochs", "2")
    path.unlink()
    resume("a", "--n_epochs", "2", "--epoch_count", "2")
    assert state("a")["position"] == {"epoch": 3, "items": 0}


def test_a_run_whose_folder_is_removed_stops_and_does_not_make_it_again(clip, monkeypatch):
    at_step(monkeypatch, 3, lambda _: shutil.rmtree("checkpoints/a"))
    with pytest.raises(UserError, match="checkpoints/a: the folder of this run was removed"):
        begin("a")
    assert not Path("checkpoints/a").exists()


def test_a_run_belongs_to_one_process_as_long_as_that_lives(clip):
    begin("a", "--n_epochs", "1", "--n_epochs_upsample", "0")
    hold = ("import sys, time; from util.files import locked\n"
            "file = locked(sys.argv[1]); print(flush=True); time.sleep(60)")
    other = subprocess.Popen([sys.executable, "-c", hold, "checkpoints/a/.lock"], stdout=subprocess.PIPE,
                             env={**os.environ, "PYTHONPATH": str(ROOT)})
    other.stdout.readline()
    with pytest.raises(UserError, match=f"checkpoints/a: process {other.pid} on .* is training this run"):
        begin("a")
    other.kill()
    other.communicate()
    begin("a", "--overwrite")


def test_a_lock_ends_with_what_was_returned(tmp_path):
    file = locked(tmp_path / "lock")
    assert str(os.getpid()) in (tmp_path / "lock").read_text()
    file.close()
    locked(tmp_path / "lock").close()


def test_what_a_killed_program_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    write = ("import os, sys; from util.files import folder_filled_atomically, written_atomically; here = sys.argv[1]\n"
             "with written_atomically(here + '/file.txt'), folder_filled_atomically(here + '/folder') as f:\n"
             "    (f / 'x').write_text('x'); os.kill(os.getpid(), 9)")
    (tmp_path / ".hidden.part").write_text("the user's own")
    with written_atomically(tmp_path / "mine.txt") as mine:
        subprocess.run([sys.executable, "-c", write, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert len(list(tmp_path.glob(".*.part*"))) == 4
        subprocess.run([sys.executable, "-c", write.replace("os.kill(os.getpid(), 9)", ""), str(tmp_path)],
                       env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
        assert sorted(path.name for path in tmp_path.glob(".*.part*")) == sorted([".hidden.part", mine.name])
    assert {path.name for path in tmp_path.iterdir()} == {".hidden.part", "mine.txt", "file.txt", "folder"}
    with folder_filled_atomically(tmp_path / "folder"):
        pass


def test_a_signal_that_the_process_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.asked()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_log_forgets_what_is_done_again(tmp_path):
    log = LossLog(tmp_path, keep=False)
    for epoch, step in ((1, 1), (1, 2), (2, 3), (2, 4), (3, 5)):
        log.append(epoch, step, "training", 0.1, {"recon": 0.5})
    log.forget(2, 3)
    assert [record["step"] for record in LossLog(tmp_path, keep=True).history] == [1, 2, 3]
    assert (tmp_path / "loss_log.txt").read_text().count("\n") == 3


def test_nothing_that_is_read_can_run_as_a_program():
    evil = re.compile(r"shell=True|os\.system|os\.popen|allow_pickle|^import pickle|[^.\w](eval|exec)\(", re.M)
    sources = {path: (ROOT / path).read_text() for path in program_files() if path.suffix == ".py"}
    assert len(sources) > 50
    unpickles = Path("vision/people/body_model.py")  # models of SMPL's form are pickled: numbers alone are taken out
    assert "def find_class" in sources[unpickles] and "allow_pickle=False" in sources[unpickles]
    for path, source in sources.items():
        if path != unpickles:
            assert not evil.search(source), path
        assert source.count("torch.load(") == source.count("weights_only=True") or path.parts[0] == "scripts", path


# Memory


def out_of_memory_beyond(monkeypatch, most):
    step = LnrModel.optimize_parameters

    def limited(model, batch):
        if len(batch["image"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return step(model, batch)

    monkeypatch.setattr(LnrModel, "optimize_parameters", limited)


def test_when_memory_runs_out_the_batch_size_that_fits_is_found_and_goes_on(clip, monkeypatch):
    out_of_memory_beyond(monkeypatch, 1)
    with pytest.raises(UserError) as error:
        begin("a", "--batch_size", "2")
    assert str(error.value) == "layers: out of memory with batches of 2; 1 fits: --continue_train --batch_size 1"
    resume("a", "--batch_size", "1", "--n_epochs_upsample", "0")
    begin("whole", "--batch_size", "1", "--n_epochs_upsample", "0")
    assert equal(state("a")["networks"], state("whole")["networks"])


def test_nothing_fits_is_told_too(clip, monkeypatch):
    out_of_memory_beyond(monkeypatch, 0)
    with pytest.raises(UserError, match="out of memory with batches of 2; use a smaller one .--batch_size."):
        begin("a", "--batch_size", "2")


def test_trying_batch_sizes_leaves_the_model_as_it_was(clip, monkeypatch):
    begin("whole", "--batch_size", "1", "--batch_size_upsample", "2")
    out_of_memory_beyond(monkeypatch, 1)
    monkeypatch.setattr(batch_size, "largest_by_cost", batch_size.largest_by_trying)
    begin("auto", "--batch_size", "auto", "--n_epochs_upsample", "0")
    monkeypatch.undo()
    monkeypatch.chdir(clip)
    resume("auto", "--n_epochs_upsample", "2", "--batch_size_upsample", "auto")
    assert equal(state("auto"), state("whole"))


def test_an_automatic_batch_size_on_the_cpu_follows_the_free_memory(clip, monkeypatch, capsys):
    monkeypatch.setattr(batch_size, "free_gib", lambda device: 0.55)
    begin("a", "--batch_size", "auto", "--n_epochs", "1", "--n_epochs_upsample", "0")
    assert "layers: --batch_size 2 fits into memory" in capsys.readouterr().out
    monkeypatch.setattr(batch_size, "free_gib", lambda device: 0.1)
    with pytest.raises(UserError, match="--batch_size: found auto, but not even one item fits"):
        begin("b", "--batch_size", "auto", "--n_epochs", "1", "--n_epochs_upsample", "0")


def test_what_a_phase_costs_is_said_before_its_first_step(clip, capsys):
    begin("a")
    said = capsys.readouterr().out
    layers, upsampling = said.index("\nlayers: 3 epochs of 2 items"), said.index("\nupsampling: 2 epochs of 2 items")
    assert layers < said.index("\nlayers ") < upsampling < said.index("\nupsampling ")
    assert "GiB of memory (" in said[layers:].split("\n")[1]


def test_frames_beyond_what_is_kept_in_memory_are_read_again(clip, monkeypatch):
    begin("whole")
    monkeypatch.setattr("data.layered_video_dataset.KEPT_BYTES", 100_000)
    kept = []
    preload = LayeredVideoDataset.preload
    monkeypatch.setattr(LayeredVideoDataset, "preload", lambda self: (preload(self), kept.append(len(self.loaded))))
    begin("small")
    assert kept == [1, 0]
    assert equal(state("small"), state("whole"))
