"""The report on a run of video-to-video synthesis, beside answers that need no network."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import test as test_program
import train
from scripts.lab import vid2vid_report
from tests.program import ROOT
from util.errors import UserError

TINY = ("--model", "vid2vid", "--name", "pose", "--dataset_mode", "pose", "--dataroot", "pose", "--input_nc", "6",
        "--no_first_img", "--resize_or_crop", "scaleHeight", "--load_size", "64", "--gpu_ids", "-1", "--ngf", "2",
        "--ndf", "2", "--n_blocks", "2", "--n_downsample_G", "2", "--num_D", "1", "--no_vgg", "--flow_net", "still",
        "--n_frames_total", "1", "--niter", "1", "--niter_decay", "0", "--n_scales_temporal", "0", "--max_dataset_size",
        "1", "--num_threads", "0", "--display_id", "0", "--no_html")


def report(monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["vid2vid_report.py", "--name", "pose", *options])
    vid2vid_report.main()


def test_pictures_are_compared_inside_the_person_with_the_nearest_and_the_mean_frame(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "tests/golden_vid2vid/data/pose", tmp_path / "pose")
    monkeypatch.chdir(tmp_path)
    for kind in ("img", "densepose", "openpose"):
        (tmp_path / f"pose/clip_{kind}").rename(tmp_path / f"pose/train_{kind}")
        shutil.copytree(tmp_path / f"pose/train_{kind}", tmp_path / f"pose/test_{kind}")
    train.main(TINY)
    with pytest.raises(UserError, match="fake_B_.*no such file"):
        report(monkeypatch)
    assert not Path("results/pose/report").exists()
    test_program.main(["--name", "pose", "--gpu_ids", "-1"])
    report(monkeypatch, "--shown", "test")
    folder = Path("results/pose/report")
    inside = json.loads((folder / "report.json").read_text())["inside"]
    assert set(inside) == {"made", "nearest", "mean"}
    assert inside["nearest"] == {"PSNR, dB": 100, "SSIM": pytest.approx(1)}, "here frames of the test are trained on"
    assert inside["made"]["PSNR, dB"] < 100 and np.isfinite(list(inside["mean"].values())).all()
    text = (folder / "index.html").read_text()
    assert all((folder / name).exists() and name in text for name in ("test_dance_01.mp4", "test_0000.png"))
