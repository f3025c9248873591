"""The folder of published figures holds nothing that no test reads: what is new in it needs a test."""

import json

import numpy as np
import pytest
import torch

from tests.data.vid2vid_golden import FOLDER

INSIDE = {
    "generators.pt": {"args", "state_dicts", "maps", "previous", "mask", "outputs", "running_after_first_forward"},
    "single.pt": {"in", "out", "ngf", "n_downsample", "n_blocks", "n_blocks_local", "n_local_enhancers", "feat_num",
                  "norm", "state_dict", "input", "features", "instance", "output"},
    "discriminators.pt": {"input_nc", "ndf", "n_layers_D", "norm", "num_D", "features", "state_dict", "input",
                          "outputs"},
    "inference.pt": {"args", "state_dicts", "single", "sequences", "float32_run_max_difference_per_frame"},
    "training.json": {"args", "frames_per_load", "n_frames_bp", "loads", "weights_moved", "checksums_after_sum_abs",
                      "largest_relative_change_of_a_loss_when_weights_are_nudged_by_1e-13"},
    "temporal.json": {"n_frames_D", "n_scales_temporal", "frames_per_load", "sparse_D", "batch", "loads"},
    "data_items.json": {"program", "args", "dataroot", "phase", "length", "items"},
    "log_lines.json": {"epoch", "iters", "time", "losses", "line"},
}
"""Names in each case of a file. float32 runs and what moved are notes: tests compare in float64."""
TRAINING = {"args", "maps", "images", "instances", "state_dicts", "first_load", "last_load", "steps_after_all_loads"}
LOAD = {"losses", "loss_G", "loss_D", "loss_D_T", "gradient_norms_G_D_DT", "mean_abs_generated", "temporal_groups",
        "flow_network_calls", "float32_run"}
PARTS = {"encoding", "warp", "masked_l1", "lsgan", "feature_matching", "vgg", "vgg_wide", "face_box",
         "previous_generated"}
TOP = {"tables.json": {"scaling", "clips"}, "schedules.json": {"learning_rate", "growth"},
       "checkpoints.json": {"recipes", "networks"}, "options.json": {"train", "test"}}
ITEM = {"index", "item", "seed", "A_path", "change_seq", "clip", "image_params", "uniform_draws", "normal_draws",
        "face_box_x0_x1_y0_y1", "trap"}
VISUALS = {"maps", "test_real_A", "fake", "fake_first", "raw", "real", "flow_ref", "conf_ref", "flow", "weight"}
DRAWN = {"skeleton", "skeleton_basic", "face_edges", "face_edges_canonical", "face_parts", "face_distance"}


def read(name):
    path = FOLDER / name
    return json.loads(path.read_text()) if path.suffix == ".json" else torch.load(path, weights_only=True)


def test_files_are_known():
    trained = {f"training_{name}.pt" for name in read("training.json")}
    assert {path.name for path in FOLDER.iterdir()} == {
        "README.md", "data", "parts.pt", "data_items.npz", "visuals.npz", *INSIDE, *TOP, *trained}


@pytest.mark.parametrize("name", INSIDE)
def test_cases_hold_what_is_known(name):
    held = read(name)
    cases = held.values() if isinstance(held, dict) else held
    assert cases and {key for case in cases for key in case} <= INSIDE[name]


def test_cases_of_training_and_inference_hold_what_is_known():
    for name, case in read("training.json").items():
        assert set(read(f"training_{name}.pt")) <= TRAINING
        assert {key for load in case["loads"] for key in load} <= LOAD
    for case in read("inference.pt").values():
        assert set(case["single"] or ()) <= {"G", "E", "features"}
        assert {key for sequence in case["sequences"] for key in sequence} <= {
            "maps", "images", "instances", "generated", "carried_after_last"}


def test_formulas_and_tables_are_known():
    assert set(read("parts.pt")) <= PARTS
    assert all(set(read(name)) <= known for name, known in TOP.items())
    assert set(read("single.pt")) <= {"global", "local", "global_with_features", "local_with_features", "encoder"}


def test_items_and_pictures_are_known():
    cases = read("data_items.json")
    entries = [entry for case in cases.values() for entry in case["items"]]
    assert {key for entry in entries for key in entry} <= ITEM
    assert {entry["trap"] for entry in entries if entry.get("trap")} <= {13, 37}
    arrays = [name.rsplit("/", 1) for name in np.load(FOLDER / "data_items.npz").files]
    assert {item for item, _ in arrays} == {entry["item"] for entry in entries}
    assert {kind for _, kind in arrays} <= {"maps", "images", "parts", "instance_edges"}
    assert {path.name for path in (FOLDER / "data" / "expected").iterdir()} <= DRAWN
    pictures = np.load(FOLDER / "visuals.npz")
    assert {name.split("/")[0] for name in pictures.files} == {"args", *json.loads(str(pictures["args"]))}
    assert {name.split("/")[1] for name in pictures.files if "/" in name} <= {*VISUALS, "pictures"}
