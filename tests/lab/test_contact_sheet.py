"""The contact sheet: its pictures are what their headings say."""

import sys

import numpy as np
import pytest
from PIL import Image

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retiming.compositor import Compositor
from scripts.lab import contact_sheet
from scripts.lab.contact_sheet import GAP, HEADING, MARGIN, over, pictures, spread
from util.errors import UserError
from util.images import checkerboard, read_image


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("sample") / "clip", frames=6, width=96, height=64)


def test_a_row_shows_the_frame_its_layers_and_the_first_one_late(root):
    compositor = Compositor(LayerFolder.open(root / "gt"), Dataroot.open(root))
    row = pictures(compositor, 4, late=3)
    assert list(row) == ["input", "reconstruction", "layer 1", "layer 2", "background", "layer 1, 3 frames late"]
    assert (row["input"] == read_image(root / "rgb_256/0005.png", "RGB")).all()
    assert np.abs(row["reconstruction"].astype(float) - row["input"]).mean() < 0.6
    empty = compositor.layers.layer(1, 4)[..., 3] == 0
    assert empty.any() and (row["layer 1"][empty] == checkerboard((96, 64))[empty]).all()
    layers = [compositor.layers.layer(number, 1 if number == 1 else 4) for number in compositor.orders[4]]
    assert np.abs(row["layer 1, 3 frames late"].astype(float) - over(row["background"], layers)).max() < 2
    assert np.abs(row["layer 1, 3 frames late"].astype(float) - row["reconstruction"]).max() > 50


def test_the_sheet_has_a_row_for_each_frame_asked_for(root, tmp_path, monkeypatch):
    def draw(*options):
        arguments = ["--layers", str(root / "gt"), "--dataroot", str(root), "--width", "48", *options]
        monkeypatch.setattr(sys, "argv", ["contact_sheet.py", *arguments])
        contact_sheet.main()

    for name, options in (("sheet.png", ("--frames", "2", "6")), ("sheet.jpg", ("--frames", "1", "2"))):
        draw("--out", str(tmp_path / name), *options)
        assert Image.open(tmp_path / name).size == (MARGIN + 6 * (48 + GAP), HEADING + 2 * (32 + GAP))
    for options, message in ((("--out", str(tmp_path / "sheet.gif")), "--out .*sheet.gif: unknown ending"),
                             (("--out", str(tmp_path / "no.png"), "--frames", "7"), "--frames: 7; the clip has 6")):
        with pytest.raises(UserError, match=message):
            draw(*options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.jpg", "sheet.png"]


def test_rows_are_spread_over_the_clip_however_short():
    assert spread(80) == [20, 40, 59] and spread(2) == [0, 1] and spread(1) == [0]
