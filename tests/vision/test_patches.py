"""Pixels of layers: premultiplied patches, places, colours, and times between two frames."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vision.geometry.homography import placement
from vision.layers.effects import scaled_effects
from vision.layers.patches import (
    Patch,
    blended,
    colour_matrix,
    coloured,
    composite_over,
    covered_part,
    interpolated_by_flow,
    premultiplied,
    resized,
    to_straight,
    transmittance,
    warped,
)
from vision.people.person_mask import person_weight


def ball(x: float, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """Straight RGBA of a textured ball at (x, 32)."""
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    alpha = np.clip(16 - np.hypot(columns - x, rows - 32), 0, 1)
    stripes = 128 + 100 * np.sin((columns - x) * 0.3 + rows * 0.2)
    return np.dstack([stripes, 255 - stripes, np.full_like(stripes, 90), 255 * alpha]).round().astype(np.uint8)


def on_canvas(patch: Patch, shape=(64, 96)) -> np.ndarray:
    canvas = np.zeros((4, *shape), np.float32)
    composite_over(canvas, patch, 1)
    return canvas


@given(arrays(np.uint8, (5, 6, 4)))
def test_a_layer_survives_premultiplying_wherever_it_is_visible(rgba):
    rgba[2, 3, 3] = 9  # a layer of which nothing is visible has no patch
    part = covered_part(rgba)
    assert (rgba[..., 3] > 0).sum() == (part[2][..., 3] > 0).sum()
    straight = to_straight(on_canvas(premultiplied(*part), (5, 6)))
    assert (straight[..., 3] == rgba[..., 3]).all()
    visible = rgba[..., 3] > 0
    assert np.abs(straight[visible].astype(int) - rgba[visible]).max(initial=0) <= 1


@given(st.integers(-12, 12), st.integers(-12, 12), st.floats(0, 1))
def test_what_lies_outside_the_frame_is_cut_off(x, y, opacity):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    canvas = np.full((3, 8, 9), 100, np.float32)
    composite_over(canvas, premultiplied(x, y, pixels), opacity)
    large = np.full((3, 40, 40), 100, np.float32)
    composite_over(large, premultiplied(x + 15, y + 15, pixels), opacity)
    np.testing.assert_allclose(canvas, large[:, 15:23, 15:24], atol=1e-4)
    through = transmittance([(premultiplied(x + 15, y + 15, pixels), opacity)], (40, 40))
    whole = np.ones((40, 40))
    whole[y + 15:y + 20, x + 15:x + 22] -= opacity * pixels[..., 3] / 255
    np.testing.assert_allclose(through, whole, atol=1e-5)


def test_colours_change_as_named_and_stay_within_their_alpha():
    patch = premultiplied(0, 0, ball(40))
    assert colour_matrix(1, 1, (255, 255, 255)) is None
    grey = coloured(patch, colour_matrix(0, 1, (255, 255, 255))).planes
    assert np.ptp(grey[:3], axis=0).max() < 1e-2
    bright = coloured(patch, colour_matrix(1, 4, (255, 255, 255))).planes
    assert (bright[:3] <= 255 * bright[3] + 1e-3).all() and (bright[3] == patch.planes[3]).all()


def test_a_layer_is_mirrored_about_its_anchor_to_the_pixel():
    rgba = ball(30)
    patch = premultiplied(*covered_part(rgba))
    mirrored = warped(patch, placement((96, 64), (0, 0), 1, (True, False), (0.5, 0.5)), (96, 64))
    np.testing.assert_allclose(on_canvas(mirrored), on_canvas(premultiplied(0, 0, rgba[:, ::-1])), atol=0.05)


def test_what_is_moved_out_of_the_frame_is_gone():
    patch = premultiplied(*covered_part(ball(30)))
    assert warped(patch, placement((96, 64), (2, 0), 1, (False, False), (0, 0)), (96, 64)) is None
    assert placement((96, 64), (0, 0), 1, (False, False), (0.3, 0.1)) is None


def test_a_much_smaller_layer_is_averaged():
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    small = warped(premultiplied(0, 0, noise), np.diag([0.25, 0.25, 1]), (96, 64))
    inner = small.planes[:3, 2:14, 2:20]
    assert abs(inner.mean() - 127.5) < 8 and inner.std() < 35 < noise.std()


def test_a_blend_is_the_weighted_mean_wherever_both_lie():
    first, second = (premultiplied(*covered_part(ball(x))) for x in (30, 60))
    expected = 0.75 * on_canvas(first) + 0.25 * on_canvas(second)
    np.testing.assert_allclose(on_canvas(blended(first, second, 0.25)), expected, atol=1e-3)


def test_flow_moves_what_a_blend_would_double():
    first, second = (premultiplied(*covered_part(ball(x))) for x in (40, 46))
    for time in (0.25, 0.5):
        true = on_canvas(premultiplied(0, 0, ball(40 + 6 * time)))
        error = {between: np.mean((on_canvas(between(first, second, time)) - true) ** 2)
                 for between in (blended, interpolated_by_flow)}
        assert error[interpolated_by_flow] < error[blended] / 10


def test_a_flow_of_a_tiny_layer_out_of_nothing_is_no_error():
    dot = premultiplied(3, 3, np.full((1, 1, 4), 255, np.uint8))
    assert interpolated_by_flow(dot, Patch(3, 3, np.zeros_like(dot.planes)), 0.5).planes.shape[0] == 4


def test_a_person_is_all_of_the_mask_and_nothing_far_from_it():
    mask = np.zeros((32, 48), bool)
    mask[10:20, 10:20] = True
    weight = person_weight(mask, (480, 320))
    assert (weight[101:199, 101:199] == 255).all()
    far = cv2.dilate(cv2.resize(mask.astype(np.uint8), (480, 320)), np.ones((41, 41), np.uint8)) == 0
    assert (weight[far] == 0).all()


def test_resizing_keeps_the_colour_of_soft_edges_and_where_things_are():
    rgba = np.zeros((20, 40, 4), np.uint8)
    rgba[5:15, 10:30] = (200, 100, 50, 255)
    rgba[5:15, 8:10] = rgba[5:15, 30:32] = (200, 100, 50, 90)
    wide = resized(rgba, (44, 20))
    assert wide.shape == (20, 44, 4)
    assert np.abs(wide[wide[..., 3] > 20][:, :3].astype(int) - (200, 100, 50)).max() <= 8
    assert abs(wide[..., 3].sum() / rgba[..., 3].sum() - 1.1) < 0.01
    assert np.abs(resized(rgba[..., :3], (44, 20)).astype(int) - wide[..., :3] * (wide[..., 3:] / 255)).mean() < 8


def test_a_layer_that_becomes_smaller_than_a_pixel_takes_no_longer_than_another():
    patch = Patch(0, 0, np.ones((4, 64, 96), np.float32))
    assert warped(patch, np.diag([1e-9, 1e-9, 1.0]), (96, 64)).planes.shape == (4, 2, 2)


def test_stronger_effects_are_at_most_opaque_and_keep_their_colour():
    planes = np.zeros((4, 1, 4), np.float32)
    planes[3] = [0.2, 0.5, 0.2, 0]
    planes[:3] = planes[3] * 100
    weight = np.array([[0, 0, 255, 0]], np.uint8)  # the third is the person
    made = scaled_effects(Patch(0, 0, planes), weight, 3).planes
    np.testing.assert_allclose(made[3], [[0.6, 1, 0.2, 0]], rtol=1e-5)
    np.testing.assert_allclose(made[:3], np.repeat(100 * made[3:], 3, axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaled_effects(Patch(0, 0, planes), weight, 0.5).planes[3], [[0.1, 0.25, 0.2, 0]],
                               rtol=1e-5)


def test_a_moved_patch_is_as_large_as_what_it_holds_and_the_reach_of_sampling():
    patch = Patch(4, 2, np.ones((4, 3, 5), np.float32))
    moved = warped(patch, np.array([[1, 0, 5], [0, 1, 3], [0, 0, 1.0]]), (40, 30))
    assert moved.window == (slice(4, 9), slice(8, 15))
    assert np.array_equal(moved.planes[3, 1:4, 1:6], np.ones((3, 5))) and moved.planes[3].sum() == 15


def test_a_picture_is_placed_about_its_anchor():
    assert placement((8, 4), (0, 0), 1, (False, False), (0.5, 0.5)) is None
    mirrored = placement((8, 4), (0, 0), 1, (True, False), (0.5, 0.5))
    assert mirrored.tolist() == [[-1, 0, 7], [0, 1, 0], [0, 0, 1]]
    larger = placement((8, 4), (0.5, 0), 2, (False, True), (0, 1))
    assert (larger @ [-0.5, 3.5, 1]).tolist() == [3.5, 3.5, 1]  # the anchor itself, half a width to the right
    assert (larger @ [0.5, 2.5, 1]).tolist() == [5.5, 5.5, 1]
