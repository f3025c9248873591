"""Items of a clip: the published program's, and their augmentation."""

import json
import shutil
from argparse import Namespace

import cv2
import numpy as np
import pytest
import torch

from data.layered_video_dataset import LayeredVideoDataset, zoomed_at_random
from data.sampler import ItemKey
from util.images import write_png


def make_dataset(dataroot, **changes):
    opt = Namespace(dataroot=dataroot, do_upsampling=False, no_zoom=False, init="random", use_homographies=False,
                    use_mask_images=False, trimap_width=20, max_dataset_size=float("inf"))
    vars(opt).update(changes)
    vars(opt).update(LayeredVideoDataset.resolve_options(opt))
    return LayeredVideoDataset(opt)


@pytest.mark.parametrize("name, options", [
    ("plain", {}), ("homographies", {"use_homographies": True}), ("upsampling", {"do_upsampling": True})])
def test_items_are_the_published_ones(golden, name, options):
    dataset = make_dataset(golden / "clip", **options)
    expected = torch.load(golden / "dataset.pt", weights_only=True)[name]
    assert len(dataset) == len(expected)
    for i, item in enumerate(expected):
        for key, tensor in item.items():
            if isinstance(tensor, torch.Tensor):
                torch.testing.assert_close(dataset[i][key], tensor, atol=1e-5, rtol=0)


def test_preloaded_items_are_the_same(golden):
    lazily, at_once = make_dataset(golden / "clip"), make_dataset(golden / "clip")
    at_once.preload()
    for key, value in lazily[1].items():
        assert np.array_equal(value, at_once[1][key])


def test_layers_are_in_the_order_of_the_frame_and_know_their_number(golden):
    dataset = make_dataset(golden / "clip")
    assert dataset[0]["layer_ids"].tolist() == [0, 1, 2]
    assert dataset[1]["layer_ids"].tolist() == [0, 2, 1]


def test_hand_made_masks_replace_the_trimap_of_their_own_layer(golden, tmp_path):
    shutil.copytree(golden / "clip", tmp_path / "clip")
    for layer, level in ((1, 255), (2, 51)):
        for path in (tmp_path / "clip/mask" / f"{layer:02d}").iterdir():
            write_png(path, np.full((64, 96), level, np.uint8))
    dataset = make_dataset(tmp_path / "clip", use_mask_images=True)
    for i, order in ((0, [1, 2]), (1, [2, 1])):
        values = {1: 1.0, 2: 51 / 127.5 - 1}
        assert dataset[i]["mask"].mean((1, 2)).tolist() == pytest.approx([-1, *(values[n] for n in order)], abs=1e-6)


def test_an_item_is_augmented_in_the_same_way_by_the_same_seed(golden):
    dataset = make_dataset(golden / "clip")
    first, again, other = dataset[ItemKey(0, 2, 1)], dataset[ItemKey(0, 2, 1)], dataset[ItemKey(0, 3, 1)]
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])


def test_zooming_keeps_all_maps_aligned_and_invents_no_coordinates():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 96), indexing="ij")
    item = {"image": torch.stack([x, y, x]), "uv_map": torch.stack([x, y]), "mask": y[None], "pids": x[None]}
    for seed in range(20):
        zoomed = zoomed_at_random(item, np.random.default_rng(seed))
        assert all(zoomed[k].shape == item[k].shape for k in item)
        assert (zoomed["image"][:2] - zoomed["uv_map"]).abs().max() < 0.05
        assert set(zoomed["pids"].unique().tolist()) <= set(x.unique().tolist())


def test_three_quarters_of_the_items_are_zoomed():
    item = {"image": torch.rand(3, 64, 96), "uv_map": torch.rand(2, 64, 96), "mask": torch.rand(1, 64, 96),
            "pids": torch.rand(1, 64, 96)}
    changed = sum(zoomed_at_random(item, np.random.default_rng(seed))["image"] is not item["image"]
                  for seed in range(200))
    assert 130 < changed < 170


def test_the_upsampling_phase_has_no_augmentation(golden):
    dataset = make_dataset(golden / "clip", do_upsampling=True)
    assert torch.equal(dataset[0]["image"], dataset[ItemKey(0, 2, 1)]["image"])


def test_training_warns_of_homographies_that_do_not_fit_the_frames(golden, tmp_path, capsys):
    root = shutil.copytree(golden / "clip", tmp_path / "clip")
    shutil.rmtree(root / "mask")
    ground = cv2.resize(np.random.default_rng(0).integers(0, 255, (20, 80, 3), np.uint8), (320, 80))
    for index in range(8):
        for first in (root / "iuv").glob("*/0001.png"):
            path = first.with_name(f"{index + 1:04d}.png")
            shutil.copy(first, path) if not path.exists() else None
        write_png(root / "rgb_256" / f"{index + 1:04d}.png", ground[:64, 8 * index:8 * index + 96])
    values = json.loads((root / "metadata.json").read_text())
    values.pop("composite_order", None)
    (root / "metadata.json").write_text(json.dumps(values))
    for sign in (1, -1):
        lines = [f"1 0 {sign * 8 * index} 0 1 0 0 0 1" for index in range(8)]
        (root / "homographies.txt").write_text("\n".join(["size: 96 64", "bounds: -99 99 0 63", *lines]))
        for is_train in (True, False):
            make_dataset(root, use_homographies=True, is_train=is_train)
            said = capsys.readouterr().out
            assert ("WARNING" in said and "if each is inverted" in said) == (is_train and sign == 1)


def test_what_is_there_is_used_by_the_closed_form_and_named_by_the_published_way(golden, tmp_path, capsys):
    root = shutil.copytree(golden / "clip", tmp_path / "clip")
    (root / "mask").mkdir(exist_ok=True)

    def used(**given):
        return make_dataset(root, **given).registration is not None

    assert used(use_homographies=None, init="closed_form")
    assert not used(use_homographies=False, init="closed_form")  # as a run was begun before
    assert not used(use_homographies=None)
    assert "is not used" not in capsys.readouterr().out
    make_dataset(root, use_homographies=None, is_train=True)
    said = capsys.readouterr().out
    assert "homographies.txt is not used" in said and "--use_homographies" in said
    assert "mask is not used" in said and "--use_mask_images" in said
    (root / "homographies.txt").unlink()
    assert not used(use_homographies=None, init="closed_form")
