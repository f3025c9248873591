"""Options of video-to-video synthesis: the published names and defaults, and what is refused."""

import json
import math
import shlex

import pytest

from models.vid2vid_model import Vid2VidModel
from options.test_options import TestOptions
from options.train_options import TrainOptions
from tests.vid2vid_case import parsed
from util.errors import UserError

OURS = {"batchSize": "batch_size", "nThreads": "num_threads", "which_epoch": "epoch", "niter": "n_epochs",
        "niter_decay": "n_epochs_decay", "load_pretrain": "init_from", "how_many": "num_test", "loadSize": "load_size",
        "fineSize": "fine_size", "save_epoch_freq": "save_latest_freq"}
OTHER_DEFAULTS = {"gpu_ids", "model", "display_id", "display_freq", "print_freq", "save_latest_freq", "fp16"}
"""A GPU if there is one; another model; visdom where it answers; what is counted in samples there; --amp."""


def options(program, *words):
    kind = TrainOptions if program.startswith("train") else TestOptions
    return kind().parse(["--model", "vid2vid", "--gpu_ids", "-1", *words])


def test_published_options_have_their_names_and_defaults(vid2vid_golden):
    for program, table in json.loads((vid2vid_golden / "options.json").read_text()).items():
        found = vars(options(program))
        for name, option in table.items():
            default = {"inf": math.inf}.get(option["default"], option["default"])
            if name not in OTHER_DEFAULTS:
                value = found[name if name in found else OURS[name]]
                assert (str(value) if name in ("ntest",) else type(default)(value)) in (default, str(default)), name
            given = {"flag": [], "int": ["32"], "float": ["0.25"], "str": [str(default) or "x"]}[option["type"]]
            if name not in ("display_freq", "print_freq", "save_latest_freq", "output_nc", "gpu_ids"):
                assert options(program, f"--{name}", *given)


def test_published_command_lines_are_understood(vid2vid_golden):
    for name, recipe in json.loads((vid2vid_golden / "checkpoints.json").read_text())["recipes"].items():
        words = shlex.split(recipe["args"])
        if "--gpu_ids" in words:
            words[words.index("--gpu_ids") + 1] = "-1"
        opt = options(recipe["program"], *words)
        assert opt.n_blocks == 9, name
        assert opt.name in words or "--name" not in words


@pytest.mark.parametrize("name", ["print_freq", "display_freq", "save_latest_freq"])
def test_what_the_published_program_counts_in_samples_is_refused(name):
    with pytest.raises(UserError, match="the published program counts samples"):
        options("train.py", f"--{name}", "100")


@pytest.mark.parametrize("program", [TrainOptions, TestOptions])
def test_an_option_of_another_model_names_that_model(program):
    with pytest.raises(UserError, match="^--label_nc: no such option of --model lnr; expected --model vid2vid with it"):
        program().parse(["--name", "label2city_512", "--label_nc", "35", "--loadSize", "512"])


@pytest.mark.parametrize("arguments, message", [
    ("--fg", "--fg: found without --label_nc"),
    ("--label_nc 35 --fg --netG unet", "--fg: found with --netG unet"),
    ("--label_nc 5 --fg", "--fg_labels: found 26; expected labels below --label_nc 5"),
    ("--ngf 5 --n_scales_spatial 2", "--ngf: found 5; expected a multiple of 2"),
    ("--label_nc 35 --fg --ngf 4 --n_scales_spatial 3", "--ngf: found 4; expected a multiple of 4, at least 8, "),
    ("--lr_policy plateau", "--lr_policy: found plateau"),
    ("--label_nc 5 --add_face_disc", "--add_face_disc: found with --label_nc"),
    ("--label_nc 35 --label_feat --niter_single 1", "--label_feat: found with --dataset_mode temporal"),
])
def test_options_that_do_not_fit_together_are_told(arguments, message):
    with pytest.raises(UserError) as error:
        Vid2VidModel(parsed(f"{arguments} --gpu_ids -1 --no_vgg --flow_net still"))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("arguments", ["--fg_labels car", "--norm layer", "--netG other", "--n_frames_G 1",
                                       "--flow_net none"])
def test_values_out_of_range_are_told(arguments):
    with pytest.raises(UserError, match=f"^{arguments.split()[0]}: "):
        options("train.py", *arguments.split())
