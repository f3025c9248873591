"""The benchmark of dancers: what is measured of answers that are known."""

import json

import numpy as np
import pytest
import torch

from datasets import make_pose_dataset
from datasets.make_vid2vid_sample import make_sample
from scripts.lab import benchmark_dance

SMALL = ["--ngf", "4", "--ndf", "4", "--n_blocks", "1", "--n_downsample_G", "2", "--num_D", "1", "--n_frames_total",
         "2", "--n_scales_temporal", "0", "--checkpoints_dir", "runs"]


def test_methods_and_answers_without_a_network_are_measured_alike(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    make_sample("dance", "clips", sequences=2, frames=10, height=96, seed=2)
    make_pose_dataset.make_dataset(make_pose_dataset.parse(["clips/her", "--dataroot", "her", "--test", "0.25"]))
    words = ["--data", ".", "--minutes", "0.015", "--methods", "fast", "per frame", *SMALL]
    benchmark_dance.main(words)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures) == {"her own dance", "the driver's dance"}
    for of_test in figures.values():
        assert set(of_test) == {"truth", "fast_0.005", "fast_0.015", "per_frame_0.005", "per_frame_0.015",
                                "nearest pose", "mean frame"}
        assert of_test["truth"]["psnr"] > 60 and of_test["truth"]["shadow"] > 0.99
        assert of_test["truth"]["noise"] == pytest.approx(1, abs=0.05) and of_test["mean frame"]["noise"] == 0
        assert of_test["truth"]["pose"] < of_test["nearest pose"]["pose"] < of_test["mean frame"]["pose"]
        assert of_test["fast_0.005"]["psnr"] < of_test["nearest pose"]["psnr"]  # it has hardly learned anything
    made, later = (np.load(f"made/fast_{minutes}/her own dance.npz") for minutes in (0.005, 0.015))
    assert made["layers"].shape == (3, 96, 160, 4) and 0 < made["frames"] <= later["frames"]
    benchmark_dance.main(["--data", "real", "--dataroot", "her", *words[2:4], "--methods", "fast", *SMALL])
    real = json.loads((tmp_path / "real/figures.json").read_text())["her own dance"]  # of a clip of no known truth
    assert set(real) == {"truth", "fast_0.005", "fast_0.015", "nearest pose", "mean frame"}
    assert real["truth"]["psnr"] > 60 and real["truth"]["pose"] == pytest.approx(
        figures["her own dance"]["truth"]["pose"], rel=0.5)
    monkeypatch.setattr(benchmark_dance, "trained", None)
    benchmark_dance.main(words)  # what is there is not learned again
    torch.set_num_threads(threads)
