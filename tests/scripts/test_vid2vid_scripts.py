"""The published guide's commands: the scripts give the options that were published."""

import json
import os
import subprocess

import pytest

from tests.data.vid2vid_golden import FOLDER
from tests.program import ROOT

RECIPES = json.loads((FOLDER / "checkpoints.json").read_text())["recipes"]
SCRIPTS = sorted(path for kind in ("street", "face", "pose") for path in (ROOT / "scripts" / kind).glob("*.sh"))
OTHER_NAMES = {"label2city_256": "label2city_256_g1"}
"""The next stage looks for the second name."""


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
