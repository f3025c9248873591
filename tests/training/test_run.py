"""The files of a run: what a save writes, what a kill between two files leaves, and beginning from another run."""

import shutil
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest
import torch

import test
import train
from models import base_model
from models.base_model import BaseModel
from models.checkpoints import (
    continue_optimizer,
    fingerprint,
    load_matching,
    load_weights,
    read_checkpoint,
    state_path,
    weights_path,
    weights_together,
    write_checkpoint,
)
from tests.program import ROOT
from training import exporting
from training import run as run_module
from training.run import Position, TrainingRun
from util.errors import UserError
from util.files import locked

OPTIONS = ("--dataroot", "clip", "--num_filters", "4", "--batch_size", "1", "--num_threads", "0", "--gpu_ids", "-1",
           "--display_id", "0", "--no_html", "--n_epochs_upsample", "0")


@pytest.fixture
def clip(golden, tmp_path, monkeypatch):
    shutil.copytree(golden / "clip", tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begin(name, *arguments):
    train.main(["--name", name, *OPTIONS, *arguments])


def resume(name, *arguments):
    train.main(["--name", name, "--continue_train", *arguments])


def files(name):
    return {path.name: path.read_bytes() for path in Path("checkpoints", name).glob("*.pth")}


def test_a_save_writes_weights_once_and_the_moments_of_adam(clip):
    begin("a", "--n_epochs", "2", "--save_latest_freq", "1")
    folder = Path("checkpoints/a")
    weights, state = ((folder / f"latest_{what}.pth").stat().st_size for what in ("net_LNR", "state"))
    assert 1.5 * weights < state < 2.5 * weights
    inodes = {path.stat().st_ino for path in folder.glob("*.pth")}
    assert len(inodes) == 4, "the latest pair and the one before it"


class Killed(BaseException):
    """As SIGKILL, nobody expects it."""


@pytest.mark.parametrize("last", ["latest_net_LNR.pth", "latest_state.pth"])
@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_run_killed_between_two_files_of_a_save_goes_on_to_the_same_bits(clip, monkeypatch, saves, last):
    begin("whole", "--n_epochs", "3", "--save_latest_freq", "1")
    written, write = [], run_module.write_checkpoint

    def dying(state, path):
        written.append(path.name)
        if written.count(last) > saves:
            raise Killed
        write(state, path)
        if last != "latest_state.pth" and written.count(last) == saves:
            raise Killed

    monkeypatch.setattr(run_module, "write_checkpoint", dying)
    with pytest.raises(Killed):
        begin("killed", "--n_epochs", "3", "--save_latest_freq", "1")
    monkeypatch.undo()
    monkeypatch.chdir(clip)
    if Path("checkpoints/killed/latest_state.pth").exists():
        resume("killed")
    else:
        begin("killed", "--n_epochs", "3", "--save_latest_freq", "1")
    same = ("latest_net_LNR.pth", "latest_state.pth")
    assert [files("killed")[name] for name in same] == [files("whole")[name] for name in same]


def test_weights_are_read_together_though_a_run_was_killed_between_two_networks(clip, capsys):
    names, moments = ("G", "D"), {}
    for moment in ("before", "now"):
        for name in names:
            write_checkpoint({"weight": torch.full((2,), float(moment == "now"))}, weights_path(clip, "latest", name))
        moments[moment] = {"weights": {name: fingerprint(weights_path(clip, "latest", name)) for name in names}}
        write_checkpoint(moments[moment], state_path(clip))
        if moment == "before":
            for path in clip.glob("latest_*.pth"):
                shutil.copy(path, path.with_name(path.name.replace("latest", "previous")))

    def read(label="latest"):
        paths = weights_together(clip, label, names)
        assert list(paths) == list(names)
        return [torch.load(path, weights_only=True)["weight"][0].item() for path in paths.values()]

    assert read() == [1, 1]
    shutil.copy(clip / "previous_net_D.pth", clip / "latest_net_D.pth")
    write_checkpoint(moments["before"], state_path(clip))  # killed: the first network alone is new
    assert read() == [0, 0] and capsys.readouterr().out == ""
    write_checkpoint({"weight": torch.full((2,), 3.)}, weights_path(clip, "latest", "G"))  # put there by hand
    (clip / "previous_net_G.pth").unlink()
    assert read() == [3, 0]
    assert "network G: weights of another save than those that latest_state.pth and" in capsys.readouterr().out
    state_path(clip).write_bytes(b"damaged")
    assert read() == [3, 0]
    write_checkpoint({"weight": torch.full((2,), 5.)}, clip / "epoch_7_net_G.pth")
    write_checkpoint({"weight": torch.full((2,), 6.)}, clip / "epoch_7_net_D.pth")
    assert read("7") == [5, 6]


class TwoNetworks(BaseModel):
    """Of which only the weights matter here."""

    def __init__(self, folder):
        super().__init__(Namespace(checkpoints_dir=folder.parent, name=folder.name, gpu_ids=[], amp="off"))
        self.networks = {"G": torch.nn.Linear(1, 1, bias=False), "D": torch.nn.Linear(1, 1, bias=False)}

    make_optimizers = optimize_parameters = None


def test_weights_that_are_read_while_the_run_saves_are_of_one_save(tmp_path, monkeypatch):
    model, reads = TwoNetworks(tmp_path), []

    def save(value):
        for name in model.networks:
            write_checkpoint({"weight": torch.full((1, 1), value)}, weights_path(tmp_path, "latest", name))

    def read_and_save(path, remedy):
        reads.append(path.name)
        found = read_checkpoint(path, remedy)
        if len(reads) == 1:
            save(2.0)
        return found

    save(1.0)
    monkeypatch.setattr(base_model, "read_checkpoint", read_and_save)
    model.load_networks("latest")
    assert [network.weight.item() for network in model.networks.values()] == [2, 2] and len(reads) == 4


def test_an_export_after_a_kill_is_of_what_training_goes_on_from(clip, monkeypatch):
    begin("a", "--n_epochs", "1", "--save_latest_freq", "1")
    before = files("a")["latest_net_LNR.pth"]
    resume("a", "--n_epochs", "2")
    after = Path("checkpoints/a/latest_net_LNR.pth").read_bytes()
    Path("checkpoints/a/latest_state.pth").write_bytes(files("a")["previous_state.pth"])
    seen = []
    monkeypatch.setattr(exporting, "export", lambda model, *_: seen.append(
        {name: weights.clone() for name, weights in model.networks["LNR"].state_dict().items()}))
    test.main(["--name", "a", "--gpu_ids", "-1"])
    assert files("a")["latest_net_LNR.pth"] == after != before == files("a")["previous_net_LNR.pth"]
    for name, expected in torch.load("checkpoints/a/previous_net_LNR.pth", weights_only=True).items():
        assert torch.equal(seen[0][name], expected)


def everything(name):
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in Path("checkpoints", name).rglob("*")
            if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("what_is_left", ["all", "weights", "a state that cannot be read"])
def test_beginning_a_trained_run_again_is_refused_and_changes_nothing(clip, what_is_left):
    begin("a", "--n_epochs", "2", "--print_freq", "1")
    if what_is_left == "weights":
        for path in Path("checkpoints/a").glob("*_state.pth"):
            path.unlink()
    elif what_is_left != "all":
        Path("checkpoints/a/latest_state.pth").write_bytes(b"damaged")
    before = everything("a")
    with pytest.raises(UserError, match=r"^checkpoints/a/.*pth: run a has been trained, and beginning anew would "
                                        "destroy it. Go on with --continue_train, give another --name, or lose it with "
                                        "--overwrite$"):
        begin("a", "--n_epochs", "2")
    assert everything("a") == before
    begin("a", "--n_epochs", "1", "--overwrite")
    assert torch.load("checkpoints/a/latest_state.pth", weights_only=True)["position"] == {"epoch": 2, "items": 0}


def test_a_run_of_no_training_step_is_made_again_without_asking(clip):
    begin("a", "--n_epochs", "0")
    begin("a", "--n_epochs", "0")
    begin("a", "--n_epochs", "1")
    assert torch.load("checkpoints/a/latest_state.pth", weights_only=True)["position"] == {"epoch": 2, "items": 0}


def test_overwriting_is_of_one_command_and_a_run_folder_does_not_say_where_pictures_go(clip):
    begin("a", "--n_epochs", "1", "--overwrite", "--display_port", "4321", "--display_server", "http://elsewhere")
    opt = train.TrainOptions().parse(["--name", "a", "--continue_train", "--n_epochs", "2"])
    assert (opt.overwrite, opt.display_port, opt.display_server) == (False, 8097, "http://localhost")


def test_weights_that_the_state_was_not_saved_with_are_refused(clip):
    begin("a", "--n_epochs", "1")
    begin("b", "--n_epochs", "1", "--seed", "2")
    shutil.copy("checkpoints/b/latest_net_LNR.pth", "checkpoints/a/latest_net_LNR.pth")
    with pytest.raises(UserError, match="latest_net_LNR.pth: not the weights that latest_state.pth was saved with; "
                                        "give those back, or remove .*latest_state.pth to go on from these"):
        resume("a", "--n_epochs", "2")
    Path("checkpoints/a/latest_state.pth").unlink()
    resume("a", "--n_epochs", "2", "--epoch_count", "2")


def test_a_state_of_version_0_1_with_the_weights_inside_goes_on(clip):
    begin("new", "--n_epochs", "1")
    shutil.copytree("checkpoints/new", "checkpoints/old")
    path = Path("checkpoints/old/latest_state.pth")
    state = torch.load(path, weights_only=True)
    del state["weights"], state["scaler"]
    state["networks"] = {"LNR": torch.load("checkpoints/old/latest_net_LNR.pth", weights_only=True)}
    torch.save(state, path)
    options = Path("checkpoints/old/train_opt.json")
    options.write_text(options.read_text().replace('"data_id"', '"clip"'))
    for name in ("new", "old"):
        resume(name, "--n_epochs", "2")
    assert files("old")["latest_net_LNR.pth"] == files("new")["latest_net_LNR.pth"]


def test_a_locked_run_is_refused_before_anything_is_planned_or_read(clip, capsys):
    Path("checkpoints/a").mkdir(parents=True)
    lock = locked("checkpoints/a/.lock")
    began = time.monotonic()
    hold = ("import sys, train; from util.errors import reported_in_one_line\n"
            "with reported_in_one_line(): train.main(sys.argv[1:])")
    done = subprocess.run([sys.executable, "-c", hold, "--name", "a", *OPTIONS, "--budget", "1h"], capture_output=True,
                          text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    assert done.returncode == 2 and "is training this run" in done.stderr
    assert "--budget" not in done.stdout and time.monotonic() - began < 30
    lock.close()


def test_losses_of_a_gpu_are_read_one_step_late_and_before_every_save(clip, monkeypatch):
    opt = Namespace(checkpoints_dir="checkpoints", name="a", continue_train=False, overwrite=False, init_from="",
                    lr=0.1)
    run, read = TrainingRun(opt, set()), []
    phase = Namespace(name="layers", opt=Namespace(batch_size=1, lr=0.1))

    class Event:
        def record(self):
            pass

        def synchronize(self):
            read.append("waited")

    monkeypatch.setattr(run_module, "finite_flag", lambda losses: (bool(losses["x"].isfinite()), Event()))
    good, bad = {"x": torch.tensor(1.0)}, {"x": torch.tensor(float("nan"))}
    run.check_losses(good, Position(1, 0), phase)
    assert read == []
    run.check_losses(bad, Position(1, 1), phase)
    assert read == ["waited"]
    with pytest.raises(UserError, match="layers, epoch 1, batch 2: loss x is nan"):
        run.save(None, Position(1, 2))
    run.check_losses(bad, Position(2, 0), phase)
    with pytest.raises(UserError, match="layers, epoch 2, batch 1: loss x is nan"):
        run.check_losses(good, Position(2, 1), phase)
    run.close()


def test_a_run_begins_with_the_weights_of_another_as_far_as_they_fit(clip, capsys):
    begin("first", "--n_epochs", "2", "--save_by_epoch", "--save_latest_freq", "1")
    begin("same", "--n_epochs", "0", "--init_from", "first:1")
    epoch_1 = torch.load("checkpoints/first/epoch_1_net_LNR.pth", weights_only=True)
    begun = torch.load("checkpoints/same/latest_net_LNR.pth", weights_only=True)
    assert all(torch.equal(epoch_1[name], begun[name]) for name in epoch_1)
    capsys.readouterr()
    begin("other", "--n_epochs", "0", "--init_from", "checkpoints/first", "--texture_res", "8")
    assert ("network LNR: begins with the weights of checkpoints/first/latest_net_LNR.pth (begin afresh: texture (1))"
            in capsys.readouterr().out)
    with pytest.raises(UserError, match="--init_from: found 'nobody', but there is no nobody/latest_net_LNR.pth; "):
        begin("lost", "--init_from", "nobody")


def test_what_fits_a_network_is_taken_and_the_rest_is_told_by_module(tmp_path):
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 3), "b": torch.nn.Linear(3, 1), "c": torch.nn.Linear(1, 1)})
    weights = {name: torch.full_like(tensor, 7) for name, tensor in network.state_dict().items()}
    weights["b.weight"] = torch.zeros(5, 5)
    del weights["c.bias"], weights["c.weight"]
    weights["d.weight"] = torch.zeros(1)
    assert load_matching(network, weights, tmp_path) == "begin afresh: b (1), c (2); not used: d (1)"
    assert (network["a"].weight == 7).all() and (network["b"].bias == 7).all()


def test_a_numbered_checkpoint_of_another_program_is_found(tmp_path):
    assert weights_path(tmp_path, "5", "G0").name == "epoch_5_net_G0.pth"
    (tmp_path / "5_net_G0.pth").touch()
    assert weights_path(tmp_path, "5", "G0").name == "5_net_G0.pth"


def test_a_lock_whose_owner_has_not_said_yet_who_it_is_is_waited_for(tmp_path):
    """The first of two that begin at once has locked the file, and writes its number a moment later."""
    script = ("import fcntl, sys, time; file = open('lock', 'a+'); fcntl.lockf(file, fcntl.LOCK_EX)\n"
              "print(flush=True); time.sleep(0.3); file.write('4321 on there'); file.flush(); time.sleep(60)")
    other = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE)
    other.stdout.readline()
    with pytest.raises(BlockingIOError, match="^4321 on there$"):
        locked(tmp_path / "lock")
    other.kill()
    other.communicate()


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_weights_that_are_not_finite_numbers_are_not_loaded(tmp_path, bad):
    network = torch.nn.Linear(2, 1)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights["weight"][0, 1] = float(bad)
    for load in (load_weights, load_matching):
        with pytest.raises(UserError, match="a.pth: weights 'weight' are not all finite numbers; use another"):
            load(network, weights, tmp_path / "a.pth")


@pytest.mark.parametrize("kind", [lambda tensor: tensor.to_sparse(), lambda tensor: tensor.to("meta"),
                                  lambda tensor: tensor.to(torch.float8_e4m3fn),
                                  lambda tensor: tensor.to(torch.complex64)])
def test_weights_of_another_kind_than_plain_numbers_are_told(tmp_path, kind):
    network = torch.nn.Linear(2, 1)
    weights = {**network.state_dict(), "weight": kind(network.weight.detach())}
    for load in (load_weights, load_matching):
        with pytest.raises(UserError, match="a.pth: weights 'weight' are of a kind .* that is no plain number"):
            load(network, weights, tmp_path / "a.pth")


@pytest.mark.parametrize("spoil", [
    lambda state: state["param_groups"][0].update(eps="x"), lambda state: state["param_groups"][0].update(betas=None),
    lambda state: state["param_groups"][0].update(betas=(0.9, "x")),
    lambda state: state["state"][0].update(exp_avg=None)])
def test_a_state_of_an_optimiser_with_values_of_another_kind_is_refused_before_a_step(spoil):
    network = torch.nn.Linear(2, 1)

    def adam():
        optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
        torch.optim.lr_scheduler.ConstantLR(optimizer)
        return optimizer

    first = adam()
    network(torch.ones(1, 2)).sum().backward()
    first.step()
    state = first.state_dict()
    continue_optimizer(adam(), state)
    spoil(state)
    with pytest.raises(ValueError, match="eps|betas|exp_avg"):
        continue_optimizer(adam(), state)


def test_a_new_run_of_the_same_name_keeps_nothing_of_the_old_one_that_could_go_on(clip, monkeypatch):
    begin("a", "--n_epochs", "2", "--save_by_epoch", "--save_latest_freq", "1")
    shutil.copy("checkpoints/a/epoch_2_net_LNR.pth", "checkpoints/a/2_net_LNR.pth")  # as vid2vid calls it
    monkeypatch.setattr(run_module.TrainingRun, "save", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        begin("a", "--n_epochs", "2", "--overwrite", "--seed", "2")
    assert set(files("a")) == {"latest_net_LNR.pth"}


def test_weights_that_a_run_was_begun_from_are_not_overwritten_unasked(clip):
    begin("first", "--n_epochs", "1")
    Path("checkpoints/published").mkdir()
    shutil.copy("checkpoints/first/latest_net_LNR.pth", "checkpoints/published")
    begin("published", "--n_epochs", "0", "--continue_train")
    with pytest.raises(UserError, match="run published has been trained, and beginning anew would destroy it"):
        begin("published", "--n_epochs", "1")


def test_the_state_before_the_last_is_taken_whole_also_by_a_run_that_is_killed_meanwhile(clip, monkeypatch):
    begin("a", "--n_epochs", "2", "--save_latest_freq", "1")
    opt = Namespace(checkpoints_dir="checkpoints", name="a", continue_train=True, init_from="", lr=0.1, overwrite=False)
    run = TrainingRun(opt, set())
    before = files("a")

    def die(*_):
        raise Killed

    monkeypatch.setattr(run_module, "link_or_copy", die)
    with pytest.raises(Killed):
        run._take_previous_state()
    run.close()
    monkeypatch.undo()
    monkeypatch.chdir(clip)
    assert files("a")["latest_state.pth"] == before["previous_state.pth"]
    resume("a")
    begin("whole", "--n_epochs", "2", "--save_latest_freq", "1")
    assert files("a")["latest_net_LNR.pth"] == files("whole")["latest_net_LNR.pth"]


def test_hyperparameters_of_a_continued_optimiser_are_those_that_are_asked_for():
    parameter = torch.nn.Parameter(torch.ones(2))

    def adam(lr, beta):
        optimizer = torch.optim.Adam([parameter], lr=lr, betas=(beta, 0.999))
        optimizer.param_groups[0]["initial_lr"] = lr
        return optimizer

    first = adam(0.1, 0.5)
    parameter.grad = torch.ones(2)
    first.step()
    first.param_groups[0]["lr"] = 0.05  # where a schedule has brought it
    same, other = adam(0.1, 0.9), adam(0.2, 0.5)
    for optimizer in (same, other):
        continue_optimizer(optimizer, first.state_dict())
        assert optimizer.state[parameter]["step"] == 1
    assert same.param_groups[0]["betas"] == (0.9, 0.999) and same.param_groups[0]["lr"] == 0.05
    assert other.param_groups[0]["lr"] == other.param_groups[0]["initial_lr"] == 0.2


@pytest.mark.parametrize("fused", [False, True])
def test_moments_that_were_saved_in_another_memory_layout_are_taken_as_what_they_mean(fused):
    torch.manual_seed(0)
    start, gradients = torch.randn(4, 3, 2, 2), torch.randn(2, 4, 3, 2, 2)
    found = []
    for layouts in ((torch.contiguous_format,) * 2, (torch.contiguous_format, torch.channels_last)):
        state = None
        for layout, gradient in zip(layouts, gradients):
            begin_with = (start if state is None else found[-1]).clone(memory_format=layout)
            parameter = torch.nn.Parameter(begin_with)
            optimizer = torch.optim.Adam([parameter], lr=0.1, fused=fused)
            optimizer.param_groups[0]["initial_lr"] = 0.1
            if state is not None:
                continue_optimizer(optimizer, state)
            (parameter * gradient).sum().backward()
            optimizer.step()
            state = optimizer.state_dict()
            found.append(parameter.detach().clone())
    torch.testing.assert_close(found[1], found[3], rtol=0, atol=1e-6)
    assert not torch.equal(found[0], found[1])
