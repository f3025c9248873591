"""Layers as files: what was exported, and what is known."""

import numpy as np
import pytest

from data.dataroot import Dataroot, Metadata
from data.layer_folder import LayerFolder
from util.errors import UserError
from util.images import write_png

FRAMES = ("0001", "0002")


def rgba(level: int) -> np.ndarray:
    return np.full((6, 8, 4), level, np.uint8)


@pytest.fixture
def exported(tmp_path):
    for frame in FRAMES:
        for layer in range(3):
            write_png(tmp_path / "run" / "images" / f"{frame}_rgba_l{layer}.png", rgba(10 * int(frame) + layer))
    return tmp_path / "run"


@pytest.fixture
def known(tmp_path):
    write_png(tmp_path / "gt" / "bg.png", rgba(7)[..., :3])
    for frame in FRAMES:
        for layer in (1, 2):
            write_png(tmp_path / "gt" / f"layer_{layer:02d}" / f"{frame}.png", rgba(10 * int(frame) + layer))
    return tmp_path / "gt"


def test_exported_layers_are_found_by_number_and_frame(exported):
    layers = LayerFolder.open(exported)
    assert (layers.frames, layers.numbers, layers.size) == (list(FRAMES), [1, 2], (8, 6))
    assert (layers.background(1) == rgba(20)[..., :3]).all()
    assert (layers.layer(2, 0) == rgba(12)).all()


def test_known_layers_have_one_background_for_all_frames_or_one_for_each(known):
    layers = LayerFolder.open(known)
    assert (layers.frames, layers.numbers) == (list(FRAMES), [1, 2])
    assert (layers.background(1) == 7).all()
    for frame in FRAMES:
        write_png(known / "bg" / f"{frame}.png", rgba(int(frame))[..., :3])
    assert (LayerFolder.open(known).background(1) == 2).all()


def test_a_missing_picture_is_named(exported):
    (exported / "images" / "0002_rgba_l1.png").unlink()
    with pytest.raises(UserError, match="layer 1: 1 pictures missing, the first is 0002"):
        LayerFolder.open(exported)


def test_a_picture_of_another_size_is_named(exported):
    write_png(exported / "images" / "0002_rgba_l1.png", rgba(0)[:4])
    with pytest.raises(UserError, match="0002_rgba_l1.png: 8x4 pixels; expected 8x6"):
        LayerFolder.open(exported)


@pytest.mark.parametrize("made", ["images", "bg", "."])
def test_a_folder_without_layers_is_refused(tmp_path, made):
    (tmp_path / made).mkdir(exist_ok=True)
    with pytest.raises(UserError, match="expected"):
        LayerFolder.open(tmp_path)


def clip(tmp_path, frames, order):
    metadata = Metadata(tmp_path / "metadata.json", (8, 6), (8, 6), 49, composite_order=order)
    return Dataroot(tmp_path, metadata, frames)


def test_layers_of_a_part_of_a_clip_know_their_place_in_it(known, tmp_path):
    layers = LayerFolder.open(known)
    assert layers.in_clip(clip(tmp_path, ["0000", *FRAMES], [[1, 2], [2, 1], [1, 2]])) == ([1, 2], [[2, 1], [1, 2]])
    assert layers.in_clip(clip(tmp_path, list(FRAMES), None)) == ([0, 1], [[1, 2], [1, 2]])


@pytest.mark.parametrize("frames, order, message", [
    (["0001"], None, "gt: 1 of its frames are not in .*rgb_256, the first is 0002"),
    (FRAMES, [[1, 2], [1, 3]], r"composite_order of frame 0002 is \[1, 3\]; expected each of the layers \[1, 2\] once"),
])
def test_layers_of_another_clip_are_refused(known, tmp_path, frames, order, message):
    with pytest.raises(UserError, match=message):
        LayerFolder.open(known).in_clip(clip(tmp_path, list(frames), order))


def test_a_broken_background_is_named(exported):
    (exported / "images/0001_rgba_l0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="0001_rgba_l0.png: not a readable image"):
        LayerFolder.open(exported)
