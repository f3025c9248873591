"""Items, scaling and clips against the figures of the published program, whatever the folder of figures holds."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from data.image_sequences import choose_framing
from data.loading import create_dataset
from data.video_clips import clip_length, frames_in_epoch, largest_step, possible_starts
from tests.data.vid2vid_golden import FOLDER, PublishedDraws, options
from vision.people.body25 import FACE_CURVES, FACE_SURE, HEAD, SURE

ITEMS = json.loads((FOLDER / "data_items.json").read_text())
ARRAYS = np.load(FOLDER / "data_items.npz")
TABLES = json.loads((FOLDER / "tables.json").read_text())
GROWTH = json.loads((FOLDER / "schedules.json").read_text())["growth"]


def dataset_of(case):
    return create_dataset(options(case["args"], dataroot=str(FOLDER / case["dataroot"]), phase=case["phase"],
                                  is_train=case["program"] == "train"))


@pytest.mark.parametrize("name", ITEMS)
def test_items_are_those_of_the_published_program(name, monkeypatch):
    case = ITEMS[name]
    dataset = dataset_of(case)
    assert len(dataset) == case["length"]
    for entry in case["items"]:
        with monkeypatch.context() as patch:
            put_fault_back(entry, patch)
            item = dataset.item(entry["index"], PublishedDraws(entry["seed"]), 1)
        assert item["image_path"].endswith(entry["A_path"])
        compare(item, entry["item"], dataset.opt)


def test_faces_are_drawn_once(monkeypatch):
    dataset = dataset_of(next(case for case in ITEMS.values() if "--dataset_mode face" in case["args"]))
    drawn = dataset.item(0, PublishedDraws(0), 1)
    monkeypatch.setattr("data.face_dataset.draw_edges", None)
    kept = dataset.item(0, PublishedDraws(0), 1)
    assert all(torch.equal(kept[name], drawn[name]) for name in ("A", "B", "inst"))


def put_fault_back(entry, patch):
    """Faults of the published program that are corrected here, where an item shows one."""
    if entry.get("trap") == 13:  # the box of the first sequence for all
        left, right, top, bottom = entry["face_box_x0_x1_y0_y1"]
        patch.setattr("data.face_dataset.face_box", lambda *_: (left, top, right, bottom))
    if entry.get("trap") == 37:  # what was not found is moved as well, and so drawn
        patch.setattr("data.pose_dataset.with_blurred_face", blurred_with_what_is_missing)


def blurred_with_what_is_missing(person, head_noise, face_shift):
    body, face = np.where(person.body[:, 2:] > SURE, person.body, 0), np.zeros_like(person.face)
    for curve in map(list, FACE_CURVES):
        if (person.face[curve, 2] > FACE_SURE).all():
            face[curve] = person.face[curve]
    body[HEAD, :2] += head_noise
    face[:, :2] += face_shift
    body[:, 2] = face[:, 2] = 1
    return replace(person, body=body, face=face)


def compare(item, name, opt):
    expected = {kind: ARRAYS[f"{name}/{kind}"] for kind in ("maps", "images", "parts", "instance_edges")
                if f"{name}/{kind}" in ARRAYS}
    frames = len(item["A"])
    maps = torch.from_numpy(expected["maps"].astype(np.float32)).reshape(item["A"].shape)
    face = opt.dataset_mode == "face"
    if face:
        compare_face_maps(item["A"] * 255, maps)
    elif opt.label_nc:
        assert torch.equal(item["A"], maps)
    else:
        expected_maps = maps / 127.5 - 1
        if opt.dataset_mode == "pose" and not opt.openpose_only:
            expected_maps[:, 2] = 2 * maps[:, 2] / 24 - 1
        torch.testing.assert_close(item["A"], expected_maps, rtol=0, atol=1e-6)
    if "B" not in item:  # streets at test, unless real frames come first
        assert not opt.is_train and not opt.use_real_img and opt.dataset_mode == "temporal"
    elif "images" in expected:
        images = torch.from_numpy(expected["images"].astype(np.float32)).reshape(frames, 3, *maps.shape[-2:])
        torch.testing.assert_close(item["B"], images / 127.5 - 1, rtol=0, atol=1e-6)
    if "parts" in expected:
        assert (item["inst"][:, 0].numpy() != expected["parts"]).mean() < 0.001
    if "instance_edges" in expected:
        np.testing.assert_array_equal(edges(item["inst"][:, 0].numpy()), expected["instance_edges"] > 0)
    assert {tensor.dtype for tensor in item.values() if torch.is_tensor(tensor)} == {torch.float32}


def compare_face_maps(got, expected):
    """Curves end on whole pixels, where the published fit decides by its rounding."""
    assert (got[:, 0] - expected[:, 0]).abs().mean() < 2.5
    for one, other in ((got, expected), (expected, got)):
        for drawn, near in zip(one[:, 0].numpy() > 40, other[:, 0].numpy() > 0):
            assert maximum_filter(near, 5)[drawn].all()
    if got.shape[1] > 1:
        difference = (got[:, 1:] - expected[:, 1:]).abs()
        assert difference.max() <= 2 and difference.mean() < 0.2


def edges(ids):
    """Where a number differs from that above, below, left or right."""
    found = np.zeros(ids.shape, bool)
    for axis in (1, 2):
        differs = np.diff(ids, axis=axis) != 0
        for side in (0, 1):
            found |= np.pad(differs, [(0, 0), *(((side, 1 - side) if axis == k else (0, 0)) for k in (1, 2))])
    return found


@pytest.mark.parametrize("row", TABLES["scaling"], ids=lambda row: f"{row['resize_or_crop']}-{row.get('seed', '')}")
def test_frames_are_scaled_and_cropped_as_published(row):
    draws = PublishedDraws(row.get("seed", 0))
    framing = choose_framing(tuple(row["image_w_h"]), row["resize_or_crop"], row["loadSize"], row["fineSize"], True,
                             draws)
    assert list(framing.scaled) == row["scaled_w_h"]
    if "crop_w_h" in row:
        assert list(framing.crop) == row["crop_w_h"] and list(framing.corner) == row["crop_x_y"]
    if "flip" in row:
        assert framing.flip == row["flip"]


@pytest.mark.parametrize("row", TABLES["clips"], ids=str)
def test_clips_have_the_published_lengths(row):
    length, read = row["sequence_length"], row["frames_read"]
    load = row["max_frames_per_gpu"] * row["generator_gpus"]
    assert clip_length(length, row["n_frames_total"], row["n_frames_G"], load) == read
    assert largest_step(length, read, row["max_t_step"]) == row["largest_step"]
    assert possible_starts(length, read, 1) == row["starts_at_step_1"]


@pytest.mark.parametrize("case", GROWTH, ids=lambda case: case["args"])
def test_clips_grow_as_published(case):
    opt = options(case["args"])
    for row in case["epochs"]:
        assert frames_in_epoch(row["epoch"], case["longest_sequence"], opt.n_frames_total, opt.niter_step,
                               opt.n_frames_G) == row["n_frames_total"]
