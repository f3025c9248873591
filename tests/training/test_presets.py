"""Presets and time budgets, and the whole way without training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import train
from data.loading import resolved
from datasets.make_sample import make_sample
from models.lnr_model import LnrModel
from options.train_options import TrainOptions
from preparation.uv import make_iuv
from training.budget import within_budget
from util.command_line import duration
from util.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A place with a clip of two people."""
    place = tmp_path_factory.mktemp("presets")
    clip = make_sample(place / "clip", frames=12, width=128, height=80, people=2)
    make_iuv(clip, "drawn")
    return place


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def run(folder, script, *arguments, status=0):
    result = subprocess.run([sys.executable, str(ROOT / script), *arguments], cwd=folder, capture_output=True,
                            text=True)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_a_preset_takes_the_place_of_defaults_and_yields_to_what_is_given(here):
    opt = TrainOptions().parse(["--dataroot", "clip", "--preset", "draft", "--detail_transfer", "published"])
    assert (opt.preset, opt.init, opt.n_epochs, opt.n_epochs_upsample) == ("draft", "closed_form", 0, 0)
    assert (opt.detail_transfer, opt.num_filters) == ("published", 16)
    opt = TrainOptions().parse(["--dataroot", "clip", "--preset", "fast", "--n_epochs", "7"])
    assert (opt.n_epochs, opt.n_epochs_background, opt.budget) == (7, 40, None)
    opt = TrainOptions().parse(["--dataroot", "clip"])
    assert (opt.preset, opt.init, opt.n_epochs, opt.budget) == ("published", "random", 2000, None)


def test_presets_are_tables_of_options_that_exist_and_the_help_shows_them(here, capsys):
    known = vars(TrainOptions().parse(["--dataroot", "clip"]))
    with pytest.raises(SystemExit):
        TrainOptions().parse(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert next(iter(LnrModel.presets)) == "published" and LnrModel.presets["published"] == {}
    for preset in LnrModel.presets.values():
        assert preset.keys() <= known.keys()
        assert " ".join(f"--{name}" if value is True else f"--{name} {value}" for name, value in preset.items()) in text


def test_an_unknown_preset_is_refused(here):
    with pytest.raises(UserError, match="--preset: invalid choice: 'quick'"):
        TrainOptions().parse(["--dataroot", "clip", "--preset", "quick"])


@pytest.mark.parametrize("text, seconds", [("90s", 90), ("15m", 900), ("1.5h", 5400)])
def test_a_duration_has_a_unit(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["90", "s", "-1m", "0s", "nanh", "infh", "15 minutes", ""])
def test_a_duration_of_another_form_is_refused(text):
    with pytest.raises(Exception, match="expected a time such as 90s, 15m or 2h"):
        duration(text)


def test_a_budget_scales_all_that_counts_epochs_by_one_factor(here, capsys):
    arguments = ["--dataroot", "clip", "--num_filters", "4", "--batch_size", "4", "--batch_size_upsample", "4",
                 "--n_epochs", "4000", "--n_epochs_upsample", "1000", "--jitter_epochs", "2000"]
    opt = within_budget(resolved(TrainOptions().parse([*arguments, "--budget", "20s"])))
    assert 2 <= opt.n_epochs < 4000
    assert f"--budget: in 20 s this machine does n_epochs 4000 -> {opt.n_epochs}, " in capsys.readouterr().out
    for other, part in ((opt.n_epochs_upsample, 4), (opt.jitter_epochs, 2)):
        assert abs(other - opt.n_epochs / part) <= 1
    assert opt.mask_loss_rolloff_epoch == -1 and opt.n_epochs_decay == 0


def test_a_draft_is_exported_measured_and_retimed_without_training(folder):
    said = run(folder, "train.py", "--name", "draft", "--dataroot", "clip", "--preset", "draft", "--display_id", "0")
    assert "nothing to train, saved as it is" in said
    found = (folder / "checkpoints/draft/closed_form.npz").stat().st_mtime_ns
    run(folder, "test.py", "--name", "draft")
    assert (folder / "checkpoints/draft/closed_form.npz").stat().st_mtime_ns == found
    images = folder / "results/draft/test_latest/images"
    assert len({path.stat().st_ino for path in images.glob("*_rgba_l0.png")}) == 1  # of a scene at rest
    assert not list(images.parent.glob("videos/mask_*"))  # a draft has no use for trimaps
    run(folder, "evaluate.py", "--name", "draft", "--no_lpips")
    run(folder, "retime.py", "--name", "draft", "--offset", "1:+3", "--out", "late.mp4")
    assert (folder / "late.mp4").stat().st_size > 1000
    measured = json.loads((folder / "results/draft/test_latest/evaluation/metrics.json").read_text())
    assert measured["run"]["training"]["preset"] == "draft"
    assert measured["total"]["reconstruction"]["psnr"] > 35
    assert min(measured["total"][f"layer_{number}"]["matte_mae"] for number in (1, 2)) < 0.01


def test_a_draft_that_is_exported_at_once_is_the_same(folder):
    said = run(folder, "train.py", "--name", "at_once", "--dataroot", "clip", "--preset", "draft", "--display_id", "0",
               "--export")
    assert "nothing to train, saved as it is\n" in said and "results: results/at_once/test_latest/index.html" in said
    one, other = ({path.name: path.read_bytes() for path in (folder / f"results/{name}/test_latest/images").iterdir()}
                  for name in ("draft", "at_once"))
    assert one and one == other


def test_export_is_of_one_process(here, monkeypatch):
    monkeypatch.setattr(train.distributed, "count", lambda: 2)
    with pytest.raises(UserError, match="--export: found with 2 processes; expected one"):
        train.main(["--name", "shared", "--dataroot", "clip", "--export"])
    assert not Path("checkpoints/shared").exists()


def test_fast_training_starts_from_the_draft_and_ends_in_its_time(folder):
    said = run(folder, "train.py", "--name", "fast", "--dataroot", "clip", "--preset", "fast", "--budget", "5s",
               "--num_filters", "4", "--num_threads", "0", "--display_id", "0")
    assert " prior: " in said and " mask: " not in said
    assert "100%" in said
    run(folder, "test.py", "--name", "fast")
    run(folder, "test.py", "--name", "fast", "--do_upsampling", "--phase", "large")


def test_what_does_not_show_one_scene_has_layers_all_the_same(folder):
    make_sample(folder / "moving", frames=12, width=128, height=80, camera="moving")
    (folder / "moving/homographies.txt").unlink()
    make_iuv(folder / "moving", "drawn")
    said = run(folder, "train.py", "--name", "own", "--dataroot", "moving", "--preset", "draft", "--display_id", "0")
    assert "WARNING: --init closed_form: the frames of moving do not show one scene" in said
    run(folder, "test.py", "--name", "own")
    run(folder, "evaluate.py", "--name", "own", "--no_lpips")
    measured = json.loads((folder / "results/own/test_latest/evaluation/metrics.json").read_text())["total"]
    assert measured["reconstruction"]["psnr"] > 32.5 and measured["background"]["psnr"] > 22
    assert measured["background"]["off"] < 0.01


def test_a_draft_has_a_moving_background_on_request(folder):
    make_sample(folder / "sway", frames=12, width=128, height=80, sway=2)
    make_iuv(folder / "sway", "drawn")
    run(folder, "train.py", "--name", "sway", "--dataroot", "sway", "--preset", "draft", "--display_id", "0")
    figures = []
    for phase, options in (("still", []), ("moving", ["--moving_background"])):
        run(folder, "test.py", "--name", "sway", "--phase", phase, *options)
        layers = f"results/sway/{phase}_latest"
        run(folder, "evaluate.py", "--layers", layers, "--dataroot", "sway", "--no_lpips")
        figures.append(json.loads((folder / layers / "evaluation/metrics.json").read_text())["total"])
    still, moving = ([figure["reconstruction"]["psnr"], figure["background"]["psnr"]] for figure in figures)
    assert moving[0] > still[0] + 5 and moving[1] > still[1] + 3
