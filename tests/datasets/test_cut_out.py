"""The baseline: people cut out by masks over the temporal median."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.layer_folder import LayerFolder
from datasets.cut_out import cut_out
from datasets.make_sample import make_sample
from util.errors import UserError
from util.images import read_image, write_png

WIDTH, HEIGHT, FRAMES = 96, 64, 5
RNG = np.random.default_rng(1)
SCENE = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
PERSON = np.array([250, 3, 120], np.uint8)


def shape(k):
    """Someone who walks, and always covers column 40."""
    covered = np.zeros((HEIGHT, WIDTH), bool)
    covered[20:44, 8 + 10 * k:20 + 10 * k] = covered[20:44, 40] = True
    return covered


def frame(k):
    return np.where(shape(k)[..., None], PERSON, SCENE)


def make_dataroot(folder, source="mask", mask_size=1):
    for k in range(FRAMES):
        name = f"{k + 1:04d}.png"
        write_png(folder / "rgb_256" / name, frame(k))
        if source == "mask":
            mask = np.kron(shape(k), np.full((mask_size, mask_size), 255))
            write_png(folder / "mask/01" / name, mask.astype(np.uint8))
        elif source == "iuv":
            write_png(folder / "iuv/01" / name, np.where(shape(k)[..., None], [20, 9, 9, 254], 0).astype(np.uint8))
    (folder / "metadata.json").write_text(json.dumps({
        "alphapose_input_size": [WIDTH, HEIGHT], "size_LR": [WIDTH, HEIGHT], "n_textures": 25}))
    return folder


@pytest.mark.parametrize("source, mask_size", [("mask", 1), ("mask", 3), ("iuv", 1)])
def test_layers_are_the_frame_inside_the_mask_and_the_scene_behind_it(tmp_path, source, mask_size):
    cut_out(make_dataroot(tmp_path / "clip", source, mask_size), tmp_path / "out")
    layers = LayerFolder.open(tmp_path / "out")
    always = np.logical_and.reduce([shape(k) for k in range(FRAMES)])
    assert always.any() and layers.numbers == [1]
    for k in range(FRAMES):
        np.testing.assert_array_equal(layers.layer(1, k), np.dstack([frame(k), np.uint8(255) * shape(k)]))
        np.testing.assert_array_equal(layers.background(k), np.where(always[..., None], PERSON, SCENE))


def test_a_large_mask_becomes_a_matte_by_area(tmp_path):
    clip = make_dataroot(tmp_path / "clip", mask_size=2)
    fine = RNG.integers(0, 2, (2 * HEIGHT, 2 * WIDTH), np.uint8) * 255
    write_png(clip / "mask/01/0001.png", fine)
    cut_out(clip, tmp_path / "out")
    share = fine.reshape(HEIGHT, 2, WIDTH, 2).mean((1, 3))
    np.testing.assert_allclose(LayerFolder.open(tmp_path / "out").layer(1, 0)[..., 3], share, atol=1)


def test_two_halves_of_a_pixel_do_not_add_up_to_nobody(tmp_path):
    clip, place = make_dataroot(tmp_path / "clip", source="none"), (slice(50, 60), slice(40, 48))
    for k in range(FRAMES):
        picture, mask = SCENE.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        if k < 3:
            picture[place], mask[place] = PERSON, 128  # twice 128 is 0 in uint8
        for name, pixels in (("rgb_256", picture), ("mask/01", mask), ("mask/02", mask)):
            write_png(clip / name / f"{k + 1:04d}.png", pixels)
    cut_out(clip, tmp_path / "out")
    np.testing.assert_array_equal(LayerFolder.open(tmp_path / "out").background(0)[place], SCENE[place])


def test_a_moving_camera_is_registered(tmp_path):
    clip = make_sample(tmp_path / "clip", frames=8, width=WIDTH, height=HEIGHT, camera="moving", shadow="none")

    def error():
        cut_out(clip, tmp_path / "out")
        layers = LayerFolder.open(tmp_path / "out")
        errors = [np.abs(layers.background(k).astype(float) - read_image(clip / f"gt/bg/{name}.png", "RGB"))
                  for k, name in enumerate(layers.frames)]
        return np.mean(errors)

    registered = error()
    (clip / "homographies.txt").unlink()
    assert 2 * registered < error()


def test_a_clip_without_masks_and_uv_maps_is_refused(tmp_path):
    with pytest.raises(UserError, match="neither mask/01 nor iuv/01"):
        cut_out(make_dataroot(tmp_path / "clip", source="none"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_mask_is_refused_in_one_line(tmp_path):
    clip = make_dataroot(tmp_path / "clip")
    (clip / "mask/01/0003.png").unlink()
    script = Path(__file__).parents[2] / "datasets" / "cut_out.py"
    done = subprocess.run([sys.executable, script, "--dataroot", clip, "--out", tmp_path / "out"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "0003" in done.stderr and not (tmp_path / "out").exists()


def test_layers_in_a_folder_of_others_delete_nothing(tmp_path):
    make_dataroot(tmp_path / "clip")
    out = tmp_path / "out"
    for name in ("images/holiday.jpg", "images/0001_rgba_l1.png", "videos/mine.webm"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"precious")
    for _ in range(2):
        cut_out(tmp_path / "clip", out)
    assert LayerFolder.open(out).numbers == [1]
    for name in ("images/holiday.jpg", "earlier/images/0001_rgba_l1.png", "videos/mine.webm"):
        assert (out / name).read_bytes() == b"precious"


@pytest.mark.parametrize("last, words", [
    ("1 0 40000 0 1 0 0 0 1", "frame 0005 farthest"), ("0.001 0 0 0 0.001 0 0 0 1", "frame 0005 farthest"),
    ("1 0 0 0 1 0 0.02 0 1", "inf times"), (None, "4 matrices; rgb_256 has 5 frames")])
def test_frames_that_cannot_lie_where_they_are_said_to_are_told_in_one_line(tmp_path, last, words):
    clip = make_dataroot(tmp_path / "clip")
    lines = [f"size: {WIDTH} {HEIGHT}", f"bounds: 0 {WIDTH - 1} 0 {HEIGHT - 1}", *["1 0 0 0 1 0 0 0 1"] * (FRAMES - 1)]
    (clip / "homographies.txt").write_text("\n".join([*lines, last] if last else lines))
    with pytest.raises(UserError) as error:
        cut_out(clip, tmp_path / "out")
    assert words in str(error.value) and "\n" not in str(error.value) and not (tmp_path / "out").exists()
