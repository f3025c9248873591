"""Holes are filled with patches of what is around them."""

import cv2
import numpy as np

from vision.layers.patch_filling import filled_by_patches


def bricks(height=72, width=96):
    """A wall of bricks, and where a hole is in it."""
    rows, columns = np.mgrid[:height, :width]
    joint = (rows % 9 < 2) | ((columns + 9 * (rows // 9 % 2)) % 18 < 2)
    picture = np.where(joint[..., None], (200, 190, 170), (150, 80, 60)).astype(np.uint8)
    return picture, ((rows - 34) / 16) ** 2 + ((columns - 50) / 18) ** 2 < 1


def off(made, true, hole):
    return np.abs(made[hole].astype(float) - true[hole]).mean()


def test_a_texture_goes_on_where_its_surroundings_alone_would_be_a_blur():
    picture, hole = bricks()
    seen = np.where(hole[..., None], 0, picture).astype(np.uint8)
    made = filled_by_patches(seen, hole)
    blurred = cv2.inpaint(seen, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    assert off(made, picture, hole) < 8 < 25 < off(blurred, picture, hole)
    assert (made[~hole] == picture[~hole]).all()


def test_what_lies_under_a_hole_does_not_matter_and_the_same_is_made_again():
    picture, hole = bricks()
    other = np.where(hole[..., None], 255 - picture, picture).astype(np.uint8)
    assert (filled_by_patches(picture, hole) == filled_by_patches(other, hole)).all()


def test_several_holes_also_at_the_border_and_in_pictures_without_a_patch_are_filled():
    picture, _ = bricks()
    hole = np.zeros(picture.shape[:2], bool)
    hole[:9, :12] = hole[40:52, 84:] = hole[60, 30] = True
    made = filled_by_patches(np.where(hole[..., None], 0, picture).astype(np.uint8), hole)
    assert off(made, picture, hole) < 25 and (made[~hole] == picture[~hole]).all()
    small = np.full((5, 6, 3), 90, np.uint8)
    for unknown in (np.eye(5, 6, dtype=bool), np.ones((5, 6), bool), np.zeros((5, 6), bool)):
        made = filled_by_patches(np.where(unknown[..., None], 0, small).astype(np.uint8), unknown)
        assert made.shape == small.shape and (unknown.all() or np.abs(made.astype(int) - 90).max() <= 2)


def test_a_smooth_ground_of_the_colour_of_a_blurred_wall_does_not_climb_up_it():
    picture, hole = bricks(128, 96)
    wall = picture[:64].reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    picture[64:] = wall
    hole = np.zeros_like(picture[..., 0], bool)
    hole[10:74, 34:62] = True
    made = filled_by_patches(np.where(hole[..., None], 0, picture).astype(np.uint8), hole)
    assert made[16:56, 38:58].std(axis=(0, 1)).mean() > 0.6 * picture[16:56, 38:58].std(axis=(0, 1)).mean()
    assert off(made[70:], picture[70:], hole[70:]) < 4
