"""Command lines: published names and defaults, what is refused, and what is saved."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from data.loading import create_dataset, resolved
from options.base_options import default_gpus, existing_gpus
from options.test_options import TestOptions
from options.train_options import TrainOptions
from training.run import TrainingRun
from util.command_line import OneLineParser
from util.devices import bf16_pays, device_of
from util.errors import UserError

SHARED = dict(gpu_ids=[], checkpoints_dir="./checkpoints", seed=1, model="lnr", num_filters=64,
              dataset_mode="layered_video", serial_batches=False, num_threads=4, batch_size=32,
              max_dataset_size=math.inf, display_winsize=256, epoch="latest", verbose=False, suffix="", texture_res=16,
              texture_channels=16, trimap_width=20, use_mask_images=False, use_homographies=False, do_upsampling=False)
TRAIN = dict(lambda_alpha_l1=0.01, lambda_alpha_l0=0.005, alpha_l1_rolloff_epoch=200, lambda_mask=50, mask_thresh=0.02,
             mask_loss_rolloff_epoch=-1, n_epochs_background=0, n_epochs_coarse=0, n_epochs_upsample=500,
             batch_size_upsample=16,
             jitter_rgb=0.2, jitter_epochs=400, no_zoom=False, display_freq=20, display_ncols=0, display_id=1,
             display_server="http://localhost", display_env="main", display_port=8097, update_html_freq=50,
             print_freq=10, no_html=False, save_latest_freq=50, save_by_epoch=False, continue_train=False,
             epoch_count=1, phase="train", n_epochs=2000, n_epochs_decay=0, lr=0.001, lr_policy="linear",
             batch_statistics="synchronised")
TEST = dict(results_dir="./results/", aspect_ratio=1.0, phase="test", num_test=math.inf, eval=False,
            moving_background=False)


@pytest.fixture
def clip(golden, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    shutil.copytree(golden / "clip", "clip")
    return "clip"


@pytest.mark.parametrize("options, expected", [(TrainOptions, SHARED | TRAIN), (TestOptions, SHARED | TEST)])
def test_options_have_their_published_names_and_defaults(clip, options, expected):
    opt = vars(resolved(options().parse(["--dataroot", clip])))
    assert {name: opt[name] for name in expected} == expected
    assert opt["name"] == "experiment_name"


@pytest.mark.parametrize("options", [TrainOptions, TestOptions])
def test_help_explains_every_option(clip, options, capsys):
    opt = options().parse(["--dataroot", clip])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        options().parse(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(f"--{name}" in text for name in vars(opt)
               if name not in ("is_train", "do_upsampling" if options is TrainOptions else ""))


def test_the_published_guides_spellings_work(clip):
    opt = TrainOptions().parse(["--dataroot", clip, "--num_epochs", "7", "--num_epochs_upsample", "3"])
    assert (opt.n_epochs, opt.n_epochs_upsample) == (7, 3)


def test_the_clip_decides_its_size_and_number_of_textures(clip):
    opt = resolved(TrainOptions().parse(["--dataroot", clip, "--width", "448", "--n_textures", "25"]))
    assert (opt.width, opt.height, opt.n_textures) == (96, 64, 49)


@pytest.mark.parametrize("options", [TrainOptions, TestOptions])
def test_a_clip_is_read_as_it_is_for_a_model_that_has_no_options_for_that(clip, options):
    opt = resolved(options().parse(["--dataroot", clip, "--model", "kp2uv", "--dataset_mode", "layered_video"]))
    item = create_dataset(opt).item(0, np.random.default_rng(0) if opt.is_train else None, 1)
    assert item["image"].shape == (3, 64, 96) and "plate" not in item


def saved(arguments):
    """The options of a command line, saved as train.py saves them."""
    options = TrainOptions()
    opt = resolved(options.parse(arguments))
    run = TrainingRun(opt, options.deciding)
    run.save_options(opt, options.as_text(opt))
    run.close()
    return opt


def test_options_are_saved_as_they_are_used(clip):
    opt = saved(["--dataroot", clip, "--name", "run", "--suffix", "{model}_{num_filters}", "--init", "closed_form"])
    assert opt.name == "run_lnr_64"
    assert json.loads(Path("checkpoints/run_lnr_64/train_opt.json").read_text()) == vars(opt)
    text = Path("checkpoints/run_lnr_64/train_opt.txt").read_text()
    assert "n_textures: 49  [default: 25]" in text and "seed: 1\n" in text


def test_a_saved_value_that_is_nothing_was_not_given(clip):
    saved(["--dataroot", clip, "--name", "run"])
    path = Path("checkpoints/run/train_opt.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_epochs_background": None, "lr": None}))
    opt = TrainOptions().parse(["--name", "run", "--continue_train"])
    assert (opt.n_epochs_background, opt.lr) == (0, 0.001)


def test_testing_takes_over_what_the_run_was_trained_with(clip):
    saved(["--dataroot", clip, "--name", "run", "--num_filters", "8", "--texture_res", "4", "--seed", "5",
           "--batch_size", "3", "--use_homographies"])
    opt = TestOptions().parse(["--name", "run"])
    assert (opt.dataroot, opt.num_filters, opt.texture_res, opt.use_homographies) == ("clip", 8, 4, True)
    assert (opt.seed, opt.batch_size) == (1, 32)
    assert TestOptions().parse(["--name", "run", "--num_filters", "16"]).num_filters == 16


@pytest.mark.parametrize("arguments, message", [
    (["--n_epoch", "3"], "--n_epoch: no such option; did you mean --n_epochs?"),
    (["--data", "x"], "--data: no such option"),
    (["--batch_size", "0"], "--batch_size: found '0'; expected a whole number of at least 1"),
    (["--batch_size", "many"], "--batch_size: found 'many'; expected a whole number of at least 1"),
    (["--lr", "nan"], "--lr: found 'nan'; expected a number of at least 0"),
    (["--lr_policy", "magic"], "--lr_policy: invalid choice: 'magic'"),
    (["--name"], "--name: expected one argument"),
    (["--model", "gan"], "--model gan: there is no models/gan_model.py; known: kp2uv, lnr"),
    (["--model", "../x"], "--model ../x: there is no"),
    (["--dataset_mode", "images"],
     "--dataset_mode images: there is no data/images_dataset.py; known: actor, dance, face, kpuv, layered_video,"
     " pose, temporal, test, texture"),
    (["--gpu_ids", "gpu"], "--gpu_ids: found 'gpu'; expected numbers"),
    (["--suffix", "{nothing}"], "--suffix: found '{nothing}'"),
])
def test_mistakes_are_told_in_one_line(clip, arguments, message):
    with pytest.raises(UserError) as error:
        TrainOptions().parse(["--dataroot", clip, *arguments])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_missing_dataroot_is_told(clip):
    with pytest.raises(UserError, match="--dataroot: missing"):
        TrainOptions().parse([])


def test_gpus_that_do_not_exist_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert existing_gpus("1,0") == [1, 0]
    assert existing_gpus("-1") == []
    for ids in ("2", "0,2", "0,0", "0,-1"):
        with pytest.raises(UserError, match="GPUs 0 to 1"):
            existing_gpus(ids)


def test_apples_gpu_is_chosen_where_it_is_there_and_no_other_is(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert (default_gpus(), device_of([])) == ("-1", torch.device("cpu"))
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert (default_gpus(), existing_gpus("0"), existing_gpus("-1")) == ("0", [0], [])
    assert (device_of([0]), device_of([])) == (torch.device("mps"), torch.device("cpu"))
    with pytest.raises(UserError, match="this machine has GPUs 0 to 0. Give -1 for the CPU"):
        existing_gpus("1")
    monkeypatch.setattr("util.distributed.count_on_this_machine", lambda: 2)
    assert default_gpus() == "-1", "processes cannot share it"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert (default_gpus(), device_of([1])) == ("0,1", torch.device("cuda", 1))


def test_saved_values_are_checked_like_given_ones(clip):
    saved(["--dataroot", clip, "--name", "run"])
    path = Path("checkpoints/run/train_opt.json")
    options = json.loads(path.read_text())
    for name, value, message in (("amp", "1", "--amp: found '1'; expected off, bf16, fp16"),
                                 ("batch_size", 0, "--batch_size: found '0'; expected a whole number of at least 1")):
        path.write_text(json.dumps(options | {name: value}))
        with pytest.raises(UserError, match=message):
            TrainOptions().parse(["--name", "run", "--continue_train"])


def test_other_spellings_and_units_of_published_programs():
    parser = OneLineParser()
    parser.add_argument("--n_epochs", type=int)
    parser.add_argument("--save_latest_freq", type=int)
    parser.add_argument("--fine_size", action="store_true")
    parser.also(niter="n_epochs", fineSize="fine_size")
    parser.unit("epochs", "save_latest_freq")
    assert parser.parse_args(["--save_latest_freq", "5epochs"]) == parser.parse_args(["--save_latest_freq", "5"])
    parser.published_unit("save_latest_freq", "samples")
    for words in (["--niter", "3"], ["--niter=3"], ["--n-epochs", "3"]):
        assert parser.parse_args([*words, "--fineSize"]).n_epochs == 3
    for words in (["--save_latest_freq", "5epochs"], ["--save-latest-freq=5epochs"]):
        assert parser.parse_args(words).save_latest_freq == 5
    for words in (["--save_latest_freq", "1000"], ["--save_latest_freq=1000"]):
        with pytest.raises(UserError, match="--save_latest_freq: found '1000'; the published program counts samples, "
                                            "this one epochs: write 5epochs for five epochs"):
            parser.parse_args(words)


def test_pix2pix_spellings_work(clip):
    opt = TrainOptions().parse(["--dataroot", clip, "--niter", "7", "--batchSize", "2", "--nThreads=0"])
    assert (opt.n_epochs, opt.batch_size, opt.num_threads) == (7, 2, 0)
    assert TestOptions().parse(["--dataroot", clip, "--which_epoch", "5", "--how-many", "3"]).num_test == 3


@pytest.mark.parametrize("option", ["--model", "--dataset_mode"])
def test_the_base_of_all_is_no_choice(option):
    with pytest.raises(UserError, match=f"{option} base: there is no .*; known: "):
        TrainOptions().parse(["--dataroot", "clip", option, "base"])


def test_a_suffix_does_not_go_with_continuing(clip):
    with pytest.raises(UserError, match="--suffix: found '{model}' with --continue_train; expected the run's whole"):
        TrainOptions().parse(["--dataroot", clip, "--suffix", "{model}", "--continue_train"])


@pytest.mark.parametrize("known, pays", [
    ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False), ({"avx512_bf16": True, "amx_bf16": False}, True),
    ({"avx512_bf16": False, "amx_bf16": True}, True), ({"neon": True}, True)])
def test_bfloat16_is_off_where_it_would_be_slower(clip, monkeypatch, capsys, known, pays):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: known, raising=False)
    opt = TrainOptions().parse(["--dataroot", str(clip), "--gpu_ids", "-1", "--amp", "bf16"])
    assert opt.amp == ("bf16" if pays else "off")
    assert ("no instructions for bfloat16" in capsys.readouterr().out) == (not pays)
    assert bf16_pays([0])
