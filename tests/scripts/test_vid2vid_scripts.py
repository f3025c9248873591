"""The published guide's commands: the scripts give the options that were published."""

import hashlib
import json
import os
import subprocess

import pytest
import torch

from models.vid2vid_setup import make_discriminators, make_generators
from options.test_options import TestOptions
from options.train_options import TrainOptions
from tests.data.vid2vid_golden import FOLDER
from tests.program import ROOT

RECIPES = json.loads((FOLDER / "checkpoints.json").read_text())["recipes"]
SCRIPTS = sorted(path for kind in ("street", "face", "pose") for path in (ROOT / "scripts" / kind).glob("*.sh"))
OTHER_NAMES = {"label2city_256": "label2city_256_g1"}
"""The next stage looks for the second name."""

PUBLISHED = {
    "667cb066c023", "ff45ab8ca68b", "5ef915ad022e", "9a038c85bae1", "b051c7067d43", "bc900d5a8375", "d3a31e8f2ed9",
    "4a4a73cb5c70", "6493ca4132e7", "9049480cc14c", "9f25ad42ce17", "345237addf71", "d962a0413ebf", "1461ac2bea31",
    "c9fd89cd7bd6", "96e6ad38ad63", "936ea1790038", "ddd72b22bdbd", "e245ae362b2f", "f09c8d8cf887", "b06edd415f2b",
    "75670cdd4b02", "3590ae68eee0", "fd9bc2961abd", "d0b230e800b8", "a00d700cc9d1", "52dfd89fa552", "35a1ca91e747",
    "a9bdafa06046", "4670aec1da9b", "b13306864e99", "a0ad9dc18429", "8ea7fcb05ff9"}
"""Names and shapes of the published networks: the first digits of a checksum of each."""


def command(script, *more):
    """Program and options that a script gives, through a Python that only says them."""
    done = subprocess.run(["bash", script, *more], capture_output=True, text=True, env={**os.environ, "PYTHON": "echo"})
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def options(words):
    """Option to value; the last one counts."""
    found = {}
    for word in words:
        if word.startswith("--"):
            found[name := word] = ""
        else:
            found[name] = word
    return found


@pytest.mark.parametrize("recipe", [name for name in RECIPES if "/" in name])
def test_scripts_give_the_published_options(recipe):
    program, *words = command(ROOT / "scripts" / f"{recipe}.sh")
    given, published = options(words), options(RECIPES[recipe]["args"].split())
    assert program == RECIPES[recipe]["program"] and given.pop("--model") == "vid2vid"
    published["--name"] = OTHER_NAMES.get(published["--name"], published["--name"])
    assert given == published


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_options_that_are_added_win(script):
    given = options(command(script, "--name", "mine", "--gpu_ids", "-1")[1:])
    assert given["--name"] == "mine"
    text = script.read_text()
    assert f"bash scripts/{script.parent.name}/{script.name}" in text


def test_stages_begin_where_others_end():
    names = {options(command(script)[1:])["--name"] for script in SCRIPTS}
    for script in SCRIPTS:
        before = options(command(script)[1:]).get("--load_pretrain")
        assert before is None or before.removeprefix("checkpoints/") in names


def test_every_script_is_understood_and_its_networks_are_the_published_ones():
    for script in SCRIPTS:
        program, *words = command(script, "--gpu_ids", "-1")
        opt = (TrainOptions if program == "train.py" else TestOptions)().parse(words)
        with torch.device("meta"):
            networks = {f"G{s}": network for s, network in enumerate(make_generators(opt, has_flow=True))}
            networks |= make_discriminators(opt) if opt.is_train else {}
        assert opt.n_scales_spatial == sum(name[0] == "G" for name in networks)
        for name, network in networks.items():
            text = "\n".join(sorted(f"{entry} {tuple(value.shape)}" for entry, value in network.state_dict().items()))
            assert hashlib.sha256(text.encode()).hexdigest()[:12] in PUBLISHED, (script.stem, name)
