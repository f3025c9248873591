"""The demo of video-to-video synthesis: its commands, read rather than run, as they take a quarter of an hour."""

import os
import subprocess

import pytest

from tests.program import ROOT
from tests.vid2vid_case import parsed


@pytest.mark.parametrize("arguments, kind, phases", [
    ([], "dancer", ["test", "other"]), (["face"], "face", ["test", "other"]), (["street"], "street", ["test"])])
def test_the_demo_trains_exports_and_compares(arguments, kind, phases):
    done = subprocess.run(["bash", ROOT / "scripts/run_vid2vid_demo.sh", *arguments, "--ngf", "2"], capture_output=True,
                          text=True, env={**os.environ, "PYTHON": "echo"})
    assert done.returncode == 0, done.stderr
    commands = {}
    for line in filter(None, done.stdout.splitlines()):
        program, *words = line.split()
        commands.setdefault(program, []).append(words)
    opt = parsed(commands["train.py"][0][2:])
    assert (opt.ngf, opt.name, opt.dataroot) == (2, f"vid2vid_{kind}", f"datasets/vid2vid_{kind}")
    assert [words[words.index("--phase") + 1] for words in commands["test.py"]] == phases
    (report,) = commands["scripts/lab/vid2vid_report.py"]
    assert report == ["--name", f"vid2vid_{kind}", "--shown", *phases[1:]]
