"""Masks as a dataroot has them: soft, hard, and of any size."""

import numpy as np
import pytest
from PIL import Image

from data.masks import mask_files, read_mask, read_matte
from util.errors import UserError
from util.images import write_png
from vision.people.person_mask import bounding_box


@pytest.fixture
def path(tmp_path):
    mask = np.zeros((8, 12), np.uint8)
    mask[2:6, 4:8] = 255
    mask[2:6, 8:10] = 90
    write_png(tmp_path / "mask/01/0001.png", mask)
    return tmp_path / "mask/01/0001.png"


def test_a_mask_is_what_is_more_than_half_white_and_a_matte_keeps_its_edges(path):
    assert bounding_box(read_mask(path)) == (4, 2, 8, 6)
    assert bounding_box(read_mask(path, above=0)) == (4, 2, 10, 6)
    assert set(np.unique(read_matte(path))) == {0, 90, 255}


def test_a_mask_comes_in_the_size_that_is_asked_for(path):
    for size in ((12, 8), (6, 4), (24, 16)):
        assert read_mask(path, size).shape == read_matte(path, size).shape == size[::-1]
        assert bounding_box(read_mask(path, size)) == pytest.approx(np.multiply((4, 2, 8, 6), size[0] / 12))


def test_masks_are_found_by_the_number_of_their_folder(path, tmp_path):
    (tmp_path / "mask/notes").mkdir()
    assert mask_files(tmp_path) == {1: {"0001": path}} and mask_files(tmp_path / "mask") == {}
    path.write_text("no picture")
    with pytest.raises(UserError, match="not a readable image"):
        read_mask(path)


def test_of_a_white_picture_with_alpha_the_alpha_is_the_mask(path, tmp_path):
    levels = np.full((8, 12, 2), 255, np.uint8)
    levels[..., 1] = read_matte(path)
    (tmp_path / "mask/02").mkdir()
    Image.fromarray(levels, "LA").save(tmp_path / "mask/02/0001.png")
    np.testing.assert_array_equal(read_matte(tmp_path / "mask/02/0001.png"), levels[..., 1])
