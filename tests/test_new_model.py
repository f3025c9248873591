"""Models and datasets that the core has never heard of work when their files are dropped in: the two of tests/toy."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

import test as test_program
import train
from data.loading import create_dataset, create_test_loader, create_training_loader, resolved
from models import create_model, find_model
from models.schedules import Progress
from options.test_options import TestOptions
from options.train_options import TrainOptions
from scripts.lab.check_reliability import equal
from tests.program import copy_program_of_toys
from training import batch_size
from util.errors import UserError
from util.images import read_image

HERE = ("--dataroot", ".", "--gpu_ids", "-1", "--num_threads", "0", "--display_id", "0", "--print_freq", "1")
FINE = ("--preset", "fine")
STEPS = {"video_gan": 8, "field": 6}
SHORT = {"video_gan": FINE, "field": ("--n_epochs", "2", "--virtual_epoch", "12", "--batch_size", "4")}


class Killed(BaseException):
    """As SIGKILL, nobody expects it."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A copy of the program with the toys, and without any other model and dataset."""
    return copy_program_of_toys(tmp_path_factory.mktemp("program"))


@pytest.fixture
def here(toys, tmp_path, monkeypatch):
    """The toys in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)


def run(folder, script, *arguments):
    result = subprocess.run([sys.executable, script, *arguments], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def begin(name, model, *arguments):
    train.main(["--name", name, "--model", model, *HERE, "--no_html", *arguments])
    return state(name)


def resume(name, *arguments):
    train.main(["--name", name, "--continue_train", *arguments])
    return state(name)


def state(name):
    """All that a run has saved: its state, and the weights beside it."""
    folder = Path("checkpoints", name)
    return {**torch.load(folder / "latest_state.pth", weights_only=True),
            "networks": {path.stem.removeprefix("latest_net_"): torch.load(path, weights_only=True)
                         for path in folder.glob("latest_net_*.pth")}}


def records(name):
    return [{**json.loads(line), "time": 0} for line in Path("checkpoints", name, "loss_log.jsonl").open()]


def at_every_step(monkeypatch, model, act):
    """Let something happen after every step, before any saving; it is given the model and the step, from 1."""
    kind, steps = find_model(model), []
    step = kind.optimize_parameters

    def watched(self, batch):
        losses = step(self, batch)
        steps.append(1)
        act(self, len(steps))
        return losses

    monkeypatch.setattr(kind, "optimize_parameters", watched)


def killed_at(number):
    def act(_model, step):
        if step == number:
            raise Killed
    return act


def made(options, *arguments):
    """Options, dataset and model of a command line, without a run."""
    opt = resolved(options.parse([*HERE[:4], *arguments]))
    return opt, create_dataset(opt), create_model(opt)


# Both.


def test_a_new_model_trains_continues_and_exports(program):
    run(program, "train.py", "--name", "toy", "--model", "video_gan", *HERE[:4], "--display_id", "0",
        "--num_threads", "1", *FINE, "--ngf", "4")
    folder = program / "checkpoints/toy"
    saved = torch.load(folder / "latest_state.pth", weights_only=True)
    assert saved["position"] == {"epoch": 5, "items": 0}
    assert set(saved["optimizers"]) == {"G", "D", "D_T"}
    assert saved["extra"] == {"loads": 2 + 2 + 4 + 4}
    networks = [f"{label}_net_{name}.pth" for name in ("G0", "G1", "D", "D_T") for label in ("latest", "previous")]
    assert {p.name for p in folder.glob("*.pth")} == {*networks, "latest_state.pth", "previous_state.pth"}
    records = [json.loads(line) for line in (folder / "loss_log.jsonl").read_text().splitlines()]
    assert set(records[-1]["losses"]) == {"feat", "G_D", "D", "G_D_T", "D_T"}
    assert (folder / "web/index.html").exists()

    run(program, "train.py", "--name", "toy", "--n_epochs", "3", "--continue_train")
    assert torch.load(folder / "latest_state.pth", weights_only=True)["extra"]["loads"] > 12

    run(program, "test.py", "--name", "toy", "--num_test", "4")
    results = program / "results/toy/test_latest"
    assert sorted(str(p.relative_to(results)) for p in results.rglob("[!.]*") if p.is_file()) == [
        *(f"disc_0/fake_B_{i:04d}.jpg" for i in (1, 2, 3)),
        *(f"disc_0/images/{i:04d}_real_A.png" for i in (1, 2, 3)), "disc_0/index.html", "disc_0/videos/fake_B.webm",
        "disc_1/fake_B_0001.jpg", "disc_1/images/0001_real_A.png", "disc_1/index.html", "disc_1/videos/fake_B.webm",
        "index.html"]


def test_options_of_a_new_model_are_in_the_help_and_in_the_saved_options(program):
    text = run(program, "train.py", "--model", "video_gan", "--help")
    assert "--niter_fix_global" in text and "--niter_step" in text and "--texture_res" not in text
    assert "fine: --n_scales_spatial 2 --niter_fix_global 1 --TTUR" in " ".join(text.split())
    saved = json.loads((program / "checkpoints/toy/train_opt.json").read_text())
    assert (saved["ngf"], saved["niter_step"], saved["TTUR"], saved["n_scales_spatial"]) == (4, 2, True, 2)


@pytest.mark.parametrize("model, amp", [("video_gan", "off"), ("field", "off"), ("video_gan", "fp16")])
def test_a_run_killed_at_any_step_goes_on_to_the_same_bits(here, model, amp):
    whole = begin("whole", model, *SHORT[model], "--amp", amp)
    for step in range(1, STEPS[model] + 1) if amp == "off" else (2, 3):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            at_every_step(patch, model, killed_at(step))
            begin("killed", model, *SHORT[model], "--overwrite", "--amp", amp, "--save_latest_minutes", "05"[step % 2])
        assert equal(resume("killed"), whole), f"killed at step {step}"
        assert records("killed") == records("whole") and len(records("whole")) == STEPS[model]


@pytest.mark.parametrize("model", STEPS)
def test_lower_precision_gives_nearly_the_same_and_a_run_may_go_on_with_it(here, model):
    losses = {}
    for amp in ("off", "bf16", "fp16"):
        begin(amp, model, *SHORT[model], "--amp", amp)
        losses[amp] = records(amp)[-1]["losses"]
    assert losses["bf16"] == pytest.approx(losses["off"], rel=0.1)
    assert losses["fp16"] == pytest.approx(losses["off"], rel=0.1)
    assert losses["off"] != losses["bf16"] != losses["fp16"]
    assert resume("off", "--amp", "fp16", "--n_epochs", "3")["scaler"]["scale"] > 1


@pytest.mark.parametrize("model, counted", [("video_gan", ("n_epochs", "niter_step", "niter_fix_global")),
                                            ("field", ("n_epochs",))])
def test_a_budget_scales_all_that_counts_epochs_and_auto_finds_a_batch_size(here, model, counted):
    given = {name: 10**6 * (1 + i) for i, name in enumerate(counted)}
    options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    more = ("--n_scales_spatial", "2", "--n_epochs_decay", "0") if model == "video_gan" else ("--n_rays", "8")
    begin("timed", model, *options, *more, "--budget", "2s", "--batch_size", "auto")
    opt = json.loads(Path("checkpoints/timed/train_opt.json").read_text())
    assert 1 <= opt["n_epochs"] < 10**5
    assert [opt[name] for name in counted] == pytest.approx([(1 + i) * opt["n_epochs"] for i in range(len(counted))],
                                                            abs=len(counted))
    assert state("timed")["batch_size"] == {"video_gan": 4, "field": 16}[model]


def test_a_batch_size_that_is_tried_leaves_optimisers_that_go_on_as_they_were(here, monkeypatch):
    expected = begin("given", "video_gan", *FINE, "--batch_size", "2")
    monkeypatch.setattr(batch_size, "largest_by_cost", batch_size.largest_by_trying)
    monkeypatch.setattr(find_model("video_gan"), "largest_auto_batch", 2)
    found = begin("tried", "video_gan", *FINE, "--batch_size", "auto")
    assert equal(found, expected)


def test_a_mistake_in_a_model_is_not_told_as_one_in_a_file(here, monkeypatch):
    monkeypatch.setattr(find_model("field"), "make_optimizers", lambda self, phase: {}["nothing"])
    with pytest.raises(KeyError, match="nothing"):
        begin("a", "field")


# The video GAN.


def test_clips_grow_with_the_epoch_as_far_as_their_sequences_last(here):
    opt, dataset, _ = made(TrainOptions(), "--model", "video_gan", "--n_frames_total", "4", "--niter_step", "2")
    lengths = {epoch: [len(dataset.item(i, None, epoch)["maps"]) for i in range(4)] for epoch in (1, 2, 3, 5)}
    assert lengths == {1: [5, 5, 5, 5], 2: [5, 5, 5, 5], 3: [9, 9, 7, 9], 5: [9, 13, 7, 17]}
    batch = dataset.collate([dataset.item(i, np.random.default_rng(i), 5) for i in (1, 0)])
    assert batch["maps"].shape == (2, 9, 1, 16, 16) and batch["frames"].shape == (2, 9, 3, 16, 16)
    opt = Namespace(**{**vars(opt), "num_threads": 1})
    lengths = [batch["maps"].shape[1] for batch in create_training_loader(dataset, opt, range(2, 4))]
    assert lengths[:2] == [5, 5] and sorted(lengths[2:]) == [7, 9]


def test_a_discriminator_without_enough_frames_makes_no_step(here):
    saved = begin("short", "video_gan", "--niter_step", "3")
    names = [set(record["losses"]) for record in records("short")]
    assert names == 6 * [{"feat", "G_D", "D"}] + 2 * [{"feat", "G_D", "D", "G_D_T", "D_T"}]
    steps = {name: int(saved["optimizers"][name]["state"][0]["step"]) for name in ("G", "D", "D_T")}
    assert steps == {"G": 10, "D": 10, "D_T": 2} and saved["extra"] == {"loads": 10}


def test_a_finer_run_begins_with_a_coarser_one_and_trains_its_finest_generator_first(here, capsys):
    coarse = begin("coarse", "video_gan")["networks"]
    capsys.readouterr()
    begun = begin("begun", "video_gan", *FINE, "--fineSize", "32", "--n_epochs", "0", "--n_epochs_decay", "0",
                  "--init_from", "coarse")["networks"]
    said = capsys.readouterr().out
    assert equal(begun["G0"], coarse["G0"]) and equal(begun["D_T"], coarse["D_T"])
    assert {name: begun["D"][name.replace("scales.0", "scales.1")].tolist() for name in coarse["D"]} == {
        name: tensor.tolist() for name, tensor in coarse["D"].items()}
    assert "network G1: begins afresh, as there is no checkpoints/coarse/latest_net_G1.pth" in said
    assert "begins with the weights of checkpoints/coarse/latest_net_D.pth (begin afresh: scales (10))" in said

    saved = begin("fine", "video_gan", *FINE, "--fineSize", "32", "--init_from", "coarse", "--save_by_epoch",
                  "--save_latest_freq", "1epochs")
    after = torch.load("checkpoints/fine/epoch_1_net_G0.pth", weights_only=True)
    changed = {name for name in after if not torch.equal(after[name], coarse["G0"][name])}
    assert changed and all("running" in name or "num_batches" in name for name in changed)
    assert not equal(saved["networks"]["G0"], after)
    steps = {name: int(saved["optimizers"][name]["state"][0]["step"]) for name in ("G", "D", "D_T")}
    assert steps == {"G": 10, "D": 12, "D_T": 4}, "G's moments are of the second phase only"


@pytest.mark.parametrize("kill", [None, 2, 7])
def test_each_optimiser_has_its_own_learning_rate(here, kill):
    rates = []

    def note(model, _step):
        rates.append(tuple(model.optimizers[name].param_groups[0]["lr"] for name in ("G", "D", "D_T")))

    with pytest.MonkeyPatch.context() as patch:
        at_every_step(patch, "video_gan", note)
        if kill:
            at_every_step(patch, "video_gan", killed_at(kill))
            with pytest.raises(Killed):
                begin("a", "video_gan", *FINE, "--lr", "0.001", "--save_latest_minutes", "0")
            rates.pop()  # that step comes again
            resume("a")
        else:
            begin("a", "video_gan", *FINE, "--lr", "0.001")
    assert rates == [pytest.approx((0.0005 * f, 0.002 * f, 0.001)) for f in (1, 1, 1, 1, 1, 1, 0.5, 0.5)]


def test_published_spellings_are_taken_and_numbers_in_other_units_refused(here):
    opt, *_ = made(TrainOptions(), "--model", "video_gan", "--n-frames-total", "6", "--batchSize=3", "--niter", "7",
                   "--max-frames-per-gpu", "3", "--save_latest_freq", "5epochs", "--print_freq=2steps")
    assert (opt.n_frames_total, opt.batch_size, opt.n_epochs, opt.n_frames_load) == (6, 3, 7, 3)
    assert (opt.save_latest_freq, opt.print_freq) == (5, 2)
    with pytest.raises(UserError, match="^--save_latest_freq: found '5'; the published program counts samples, this "
                                        "one epochs: write 5epochs for five epochs$"):
        made(TrainOptions(), "--model", "video_gan", "--save_latest_freq", "5")
    assert made(TrainOptions(), "--model", "field", "--save_latest_freq", "5")[0].save_latest_freq == 5


def test_a_preset_sets_flags_and_is_kept_by_a_run_that_goes_on(here):
    assert made(TrainOptions(), "--model", "video_gan", *FINE)[0].TTUR is True
    assert made(TrainOptions(), "--model", "video_gan")[0].TTUR is False
    begin("a", "video_gan", "--n_epochs", "1", "--n_epochs_decay", "0")
    resume("a", "--n_epochs", "2")
    assert json.loads(Path("checkpoints/a/train_opt.json").read_text())["TTUR"] is False


def test_a_teacher_is_always_the_same_and_is_not_trained(here):
    *_, model = made(TrainOptions(), "--model", "video_gan")
    torch.manual_seed(7)
    *_, other = made(TrainOptions(), "--model", "video_gan")
    assert equal(dict(model.teacher.state_dict()), dict(other.teacher.state_dict()))
    assert not any(parameter.requires_grad for parameter in model.teacher.parameters())
    assert not equal(dict(model.networks["D"].state_dict()), dict(other.networks["D"].state_dict()))


def test_frames_are_carried_through_a_sequence_and_not_into_the_next(here):
    begin("a", "video_gan", *FINE)
    opt, dataset, model = made(TestOptions(), "--name", "a")
    model.load_networks("latest")
    items = list(create_test_loader(dataset))
    assert [item["sequence"][0] for item in items] == ["disc_0"] * 3 + ["disc_1"] * 2
    frames = [next(iter(model.export(item).files.values())) for item in items]
    for first in (3, 1):
        model.sequence = None
        alone = next(iter(model.export(items[first]).files.values()))
        assert torch.equal(alone, frames[first]) == (first == 3), "frame 1 goes on from frame 0, frame 3 begins anew"
    test_program.main(["--name", "a", "--gpu_ids", "-1"])
    for index, path in ((0, "disc_0/fake_B_0001.jpg"), (3, "disc_1/fake_B_0001.jpg")):
        written = read_image(f"results/a/test_latest/{path}", "RGB") / 127.5 - 1
        far = [np.abs(written - frame[0].permute(1, 2, 0).numpy()).mean() for frame in frames]
        assert far.index(min(far)) == index, "up to what a JPEG loses"


def test_statistics_gathered_in_training_are_used_when_asked_for(here):
    begin("a", "video_gan")
    shown = []
    for phase, *extra in (("own",), ("gathered", "--eval")):
        test_program.main(["--name", "a", "--gpu_ids", "-1", "--phase", phase, *extra])
        shown.append(read_image(f"results/a/{phase}_latest/disc_0/fake_B_0001.jpg", "RGB"))
    assert (shown[0] != shown[1]).any()


# The radiance field.


def test_the_learning_rate_of_each_step_is_a_number_that_is_known(here):
    from models.field_model import factor_at_step
    published = {0: 0, 1000: 1.98166e-4, 125000: 6.32456e-5, 250000: 2e-5, 300000: 1.26191e-5}
    assert {n: 2e-4 * factor_at_step(n, 1, 0.1, 250000) for n in published} == pytest.approx(published, rel=1e-5)
    opt, _, model = made(TrainOptions(), "--model", "field", "--warmup_updates", "4")
    schedule = model.schedules(model.phases()[0])["field"]
    assert [schedule(Progress(1, step, 100)) for step in (0, 1, 4)] == pytest.approx([0, 0.25, 0.1 ** (4 / 200)])


@pytest.mark.parametrize("kill", [None, 1, 4])
def test_a_schedule_by_steps_goes_on_where_the_run_stopped(here, kill):
    rates = []
    with pytest.MonkeyPatch.context() as patch:
        at_every_step(patch, "field", lambda model, _: rates.append(model.optimizers["field"].param_groups[0]["lr"]))
        if kill:
            at_every_step(patch, "field", killed_at(kill))
            with pytest.raises(Killed):
                begin("a", "field", *SHORT["field"], "--decay_steps", "5", "--save_latest_minutes", "0")
            rates.pop()  # that step comes again
            resume("a")
        else:
            begin("a", "field", *SHORT["field"], "--decay_steps", "5")
    assert rates == pytest.approx([0, *(0.01 * 0.1 ** (n / 5) for n in range(1, 6))])


def test_a_field_learns_and_shows_views_that_nobody_filmed(here):
    from data.field_dataset import pixel_rays, seen_colours
    begin("a", "field", "--n_epochs", "15")
    losses = [record["losses"] for record in records("a")]
    assert np.mean([loss["total"] for loss in losses[-20:]]) < np.mean([loss["total"] for loss in losses[:2]]) / 8
    assert losses[-1]["psnr"] > losses[0]["psnr"] + 8
    test_program.main(["--name", "a", "--gpu_ids", "-1", "--n_poses", "2", "--speed", "0.5"])
    results = Path("results/a/test_latest")
    assert {str(path.relative_to(results)) for path in results.rglob("[!.]*") if path.is_file()} == {
        "index.html", "videos/color.webm", "videos/depth.webm", *(
            f"{kind}/00000{i}.{ending}" for i in (0, 1) for kind, ending in (
                ("color", "png"), ("depth", "png"), ("pose", "txt"), ("points", "ply")))}
    pose = np.loadtxt(results / "pose/000001.txt")
    assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-5)
    seen = read_image(results / "color/000001.png", "RGB") / 127.5 - 1
    error = seen - seen_colours(*pixel_rays(pose, 16))
    assert -10 * np.log10((error ** 2).mean() / 4) > 17
    header, points = (results / "points/000001.ply").read_bytes().split(b"end_header\n")
    points = np.frombuffer(points, "<f4").reshape(-1, 3)
    assert f"element vertex {len(points)}\n".encode() in header and len(points) > 20
    assert np.median(np.linalg.norm(points, axis=1)) == pytest.approx(0.8, abs=0.25)


def test_samples_of_a_ray_add_what_the_ones_before_let_through(toys):
    from models.field_model import ray_weights
    weights = ray_weights(torch.tensor([0.0, 1, -5, 10]), torch.tensor([0.1, 0.2, 0.2, 0.1]))
    assert weights.tolist() == pytest.approx([0, 0.181269, 0, 0.517537], abs=1e-6)
    assert 1 - float(weights.sum()) == pytest.approx(0.301194, abs=1e-6)


def test_costs_are_those_of_items_in_training_and_pictures_are_of_whole_ones(here):
    opt, dataset, model = made(TrainOptions(), "--model", "field", "--n_rays", "5")
    phase = model.phases()[0]
    assert batch_size.largest_item(phase, dataset)["origins"].shape == (5, 3)
    visuals = model.visuals(dataset.collate([dataset.item(3, None, 1)]))
    assert {name: image.shape for name, image in visuals.items()} == {"view": (3, 16, 16), "filmed": (3, 16, 16)}
