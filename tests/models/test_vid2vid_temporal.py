"""Schedules of video-to-video synthesis, and the frames that its temporal discriminators see."""

import json
import shlex
from argparse import Namespace

import pytest

from models.vid2vid_temporal import FrameHistory, growth


def test_groups_of_frames_are_the_published_ones(vid2vid_golden):
    for case in json.loads((vid2vid_golden / "temporal.json").read_text()):
        history = FrameHistory(case["n_frames_D"], case["n_scales_temporal"], case["sparse_D"])
        kept = 0
        for load in case["loads"]:
            assert history.count == load["first_frame"]
            groups = history.add(case["frames_per_load"])
            for scale, (found, expected) in enumerate(zip(groups, load["frames"])):
                of_batch = [[1000 * b + i for i in group] for group in found for b in range(case["batch"])]
                assert of_batch == (expected or []), (case, load, scale)
                stored = scale == 0 or case["sparse_D"]  # flows from frame to frame, else of the frames in the group
                flows = [group[1:] if stored else [list(pair) for pair in zip(group[1:], group)] for group in of_batch]
                assert flows == (load["flows"][scale] or []), (case, load, scale)
            needed = [i for scale in groups for group in scale for i in group]
            assert not needed or min(needed) >= kept
            kept = history.oldest


def test_loads_and_gradients_grow_as_published(vid2vid_golden):
    for case in json.loads((vid2vid_golden / "schedules.json").read_text())["growth"]:
        words = shlex.split(case["args"])
        given = {words[i].removeprefix("--"): int(words[i + 1]) for i in range(0, len(words), 2)}
        opt = Namespace(**{"max_frames_backpropagate": 1, "max_frames_per_gpu": 1, "niter_step": 5, **given})
        for epoch in case["epochs"]:
            found = growth(opt, case["generator_gpus"], epoch["epoch"])
            assert found == (epoch["n_frames_bp"], epoch["frames_per_gpu"], epoch["frames_per_load"])


@pytest.mark.parametrize("options, gpus, expected", [
    ((4, 2, 8), 1, [(1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)]),
    ((3, 8, 8), 1, [(1, 8, 8), (2, 8, 8), (2, 8, 8), (2, 8, 8)]),
    ((4, 1, 6), 6, [(1, 1, 6), (2, 1, 6), (3, 1, 6), (3, 1, 6)]),
])
def test_growth_of_some_recipes(options, gpus, expected):
    opt = Namespace(max_frames_backpropagate=options[0], max_frames_per_gpu=options[1], n_frames_total=options[2],
                    niter_step=5)
    assert [growth(opt, gpus, 1 + 5 * ratio) for ratio in range(4)] == expected
