"""Effects of people on the scene: each step against values worked out by hand."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vision.layers import closed_form, effect_owners, effects, light

RNG = np.random.default_rng(0)


def test_a_pose_is_the_mask_in_its_box_and_where_the_box_is():
    masks = np.zeros((2, 60, 80), np.uint8)
    masks[0, 6:30, 12:24] = 255
    masks[0, 6:18, 12:18] = 0
    seen, nobody = effects.pose_vectors(masks)
    quarters = seen[:-4].reshape(2, 12, 2, 12).mean(axis=(1, 3))
    np.testing.assert_allclose(quarters, [[0, 1], [1, 1]])
    np.testing.assert_allclose(6 * seen[-4:], [24, 12, 18, 30])  # height, width, centre x, foot y
    assert not nobody.any()


def test_modes_are_orthonormal_and_a_series_of_them_is_explained_whole_and_others_not_at_all():
    modes = effects.pose_modes(np.cumsum(RNG.normal(size=(40, 5)), axis=0).astype(np.float32), 6)
    np.testing.assert_allclose(modes.T @ modes, np.eye(6), atol=1e-5)
    np.testing.assert_allclose(modes.mean(axis=0), 0, atol=1e-5)
    other = np.linalg.qr(np.hstack([modes, RNG.normal(size=(40, 1))]))[0][:, 6].astype(np.float32)
    within, half = modes @ RNG.normal(size=6).astype(np.float32), modes[:, 0] + other
    for series, share in ((within, 1), (other, 0), (half, 0.5)):
        cells = np.broadcast_to(series[:, None, None], (40, 5, 7)).copy()
        np.testing.assert_allclose(effects.explained_variance(cells, modes), share, atol=1e-4)
    quarter = np.zeros((12, 16), np.float32)
    quarter[:5, :7] = 1
    mixed = modes[:, 0][:, None, None] * quarter + other[:, None, None] * (1 - quarter)
    np.testing.assert_allclose(effects.explained_variance(mixed, modes), gaussian_filter(quarter, 1.5, mode="mirror"),
                               atol=1e-4)
    caused = np.broadcast_to(within[:, None, None], (40, 5, 7)).copy()
    np.testing.assert_allclose(effects.pose_dependence(caused, modes), 1, atol=1e-4)


@pytest.mark.parametrize("touching, kept", [(2, False), (3, True)])
def test_effects_are_somebodys_that_touch_him_three_times_in_ten(touching, kept):
    alpha, covered = np.zeros((8, 12, 30), np.float32), np.zeros((8, 12, 30), np.float32)
    alpha[:, 5, 10:14] = 0.3
    covered[:touching, 3:6, 15:17] = 1  # two cells beside it
    covered[touching:, 3:6, 16:18] = 1
    expected = np.zeros(alpha.shape, bool)
    expected[:, 4:7, 9:15] = kept  # a cell wider
    np.testing.assert_array_equal(effects.touches_a_person(alpha, covered), expected)


def test_effects_are_followed_from_frame_to_frame_only_on_the_spot():
    alpha, covered = np.zeros((2, 9, 20), np.float32), np.zeros((2, 9, 20), np.float32)
    covered[0, 4, 2] = alpha[0, 4, 3:6] = 1
    alpha[1, 4, 6:9] = 1  # beside where it was: another thing, that touches nobody
    assert effects.touches_a_person(alpha, covered).any(axis=(1, 2)).tolist() == [True, False]
    alpha[1, 4, 5] = 1  # half of it (3 of 7 cells) touches
    assert effects.touches_a_person(alpha, covered).any(axis=(1, 2)).tolist() == [True, True]


def test_a_cell_without_effect_costs_one_and_one_inside_it_next_to_nothing():
    mask = np.zeros((6, 6), np.float32)
    mask[0, 0] = 1
    for alpha, cost in ((0, 1.03), (0.05, 0.53), (0.45, 0.03 + 1 / 82)):
        distance = effect_owners.geodesic_distance(np.full((6, 6), alpha, np.float32), mask)
        np.testing.assert_allclose(distance[0], cost * np.arange(6), rtol=1e-5)
        np.testing.assert_allclose(np.diag(distance), 1.414 * cost * np.arange(6), rtol=1e-5)
        assert distance[1, 3] == pytest.approx((2 + 1.414) * cost, rel=1e-5)
    assert (effect_owners.geodesic_distance(np.zeros((6, 6), np.float32), 0 * mask) == 12).all()  # nobody: far


def test_where_nobody_is_seen_he_stands_between_the_places_before_and_after():
    masks = np.zeros((40, 30, 50), np.float32)
    for frame in (*range(15), *range(25, 40)):
        masks[frame, 5:20, frame:frame + 3] = 1
    places = light.ground_contact(masks)
    np.testing.assert_allclose(places[:, 0], np.arange(40) + 1, atol=1e-9)
    np.testing.assert_allclose(places[:, 1], 19)
    assert not light.ground_contact(0 * masks).any()


def test_a_footprint_is_the_mean_alpha_around_the_person_and_lies_at_his_place_again():
    places = np.array([[8, 6], [14, 9], [20, 7]], float)
    alpha = np.zeros((3, 24, 36), np.float32)
    for frame, (x, y) in zip(alpha, places.astype(int)):
        frame[y + 5 - 3:y + 5 + 4, x + 4 - 3:x + 4 + 4] = 0.4
    footprint = effect_owners.effect_footprint(alpha, places)
    assert footprint.shape == (48, 72)
    assert footprint[24 + 5, 36 + 4] == pytest.approx(0.4 / 1.05, rel=2e-3)  # 1.05: what little is seen counts less
    np.testing.assert_allclose(effect_owners.footprint_at(footprint, places, (24, 36))[alpha > 0].mean(),
                               footprint[24 + 2:24 + 9, 36 + 1:36 + 8].mean(), rtol=1e-5)
    assert effect_owners.footprint_at(footprint, places, (24, 36))[:, :, 0].max() < 1e-6


def test_an_effect_is_his_who_stands_in_it_and_nobodys_far_from_all():
    alpha, masks = np.zeros((12, 20, 60), np.float32), np.zeros((2, 12, 20, 60), np.float32)
    alpha[:, 10, 10:16] = alpha[:, 12, 44:50] = 0.4
    masks[0, :, 4:11, 8:10], masks[1, :, 6:13, 50:52] = 1, 1
    modes = [effects.pose_modes(RNG.normal(size=(12, 3)).astype(np.float32), 4)] * 2
    share = effect_owners.effect_assignment(alpha, masks, modes, cell=8)
    assert (share[0, :, 10, 10:16] > 0.99).all() and (share[1, :, 12, 44:50] > 0.99).all()
    np.testing.assert_allclose(share[:, :, 10, 10:16].sum(axis=0), 1, atol=1e-5)
    assert not share[:, :, 2, 30].any()  # twenty cells from both: the reach is 3, and at 6 nothing is left
    distance = effect_owners.geodesic_distance(alpha[0], masks[0, 0])[4, 14]
    assert share[:, 0, 4, 14].sum() == pytest.approx(2 - distance / (0.15 * 20), abs=1e-4) and 3 < distance < 6


def walkers():
    """Two who walk side by side, one tall with a wide hat, one small: masks [2, F, h, w], and y of their ground."""
    masks = np.zeros((2, 20, 44, 90), np.float32)
    for frame in range(20):
        x = 12 + 2 * frame
        masks[0, frame, 6:9, x - 4:x + 5] = masks[0, frame, 9:31, x - 1:x + 2] = 1
        masks[1, frame, 20:37, x + 3:x + 6] = masks[1, frame, 26:28, x + 2:x + 3 + frame % 5] = 1
    return masks, np.tile([[30.0], [36.0]], (1, 20))


def beside(masks):
    return (masks.max(axis=0) < 0.05).astype(np.float32)


@pytest.mark.parametrize("shadow", [(1.1, 0.3), (-0.7, 0.1), (1.9, -0.25), (0.0, 1.0)])
def test_the_light_is_found_that_casts_the_shadows(shadow):
    masks, ground = walkers()
    alpha = 0.5 * np.max([shadows_of(person, feet, shadow) for person, feet in zip(masks, ground)], axis=0)
    found = light.find_light(alpha, beside(masks), masks, ground)
    np.testing.assert_allclose(found.shadow, shadow, atol=0.1)
    assert found.trust == 1
    known = found.cast(masks[0], ground[0]) > 0.3  # the same on a grid of half as large cells
    finer = found.cast(masks[0].repeat(2, axis=1).repeat(2, axis=2), 2 * ground[0] + 0.5) > 0.3
    assert (finer[:, ::2, ::2] == known)[beside(masks) > 0].mean() > 0.97


@pytest.mark.parametrize("shadow", [(1.1, 0.3), (1.9, -0.25)])
def test_what_is_always_dark_or_stirs_by_itself_does_not_hide_the_light(shadow):
    masks, ground = walkers()
    dark = 0.2 * shadows_of(masks[0], ground[0], shadow) + 0.02 * RNG.normal(size=masks[0].shape)
    dark[:, 30:] += np.linspace(0, 0.5, 90)
    found = light.find_light(dark.astype(np.float32), beside(masks), masks[:1], ground[:1])
    np.testing.assert_allclose(found.shadow, shadow, atol=0.15)
    assert found.trust > 0.5


def test_effects_that_are_nobodys_shadow_tell_of_no_light():
    masks, ground = walkers()
    alpha = np.zeros(masks.shape[1:], np.float32)
    alpha[::2, 2:5, 70:88] = 0.4
    found = light.find_light(alpha, beside(masks), masks, ground)
    assert found.trust == 0 and not found.cast(masks[:, 0], ground[:, 0]).any()
    assert (found.likelihood(masks) == 1).all()


def test_a_mirror_image_in_the_ground_is_below_the_feet():
    masks, ground = walkers()
    image = shadows_of(masks[0], ground[0], (0, 1))[0]
    assert image[30 + 5, 12] > 0.5 and image[30 - 5, 12] < 0.01


def shadows_of(masks, ground, shadow):
    return light.cast_shadows(light.Casters.of(masks, ground), shadow, 0.7)


def test_of_two_who_walk_side_by_side_each_has_the_shadow_of_his_shape():
    masks, ground = walkers()
    own = np.stack([shadows_of(person, feet, (0.9, 0.15)) for person, feet in zip(masks, ground)])
    alpha = 0.5 * own.max(axis=0)
    modes = [effects.pose_modes(RNG.normal(size=(20, 3)).astype(np.float32), 4)] * 2  # poses tell nothing
    share = effect_owners.effect_assignment(alpha, masks, modes, cell=4)
    for k in range(2):
        mine = (beside(masks) > 0) & (own[k] > 0.3) & (own[1 - k] < 0.05)
        assert (share[k] * alpha)[mine].sum() > 0.9 * alpha[mine].sum()


def test_layers_are_together_as_dark_as_the_frame_whoever_shares_a_shadow():
    alpha, share = np.float32([[0.8, 0.8], [0.3, 0.0]]), np.float32([[[0.5, 1], [0.2, 0.5]], [[0.5, 0], [0.8, 0.5]]])
    each = closed_form.shared_out(alpha, share) / 255
    np.testing.assert_allclose(1 - (1 - each).prod(axis=0), alpha, atol=0.006)
    np.testing.assert_allclose(each[:, 0], [[1 - 0.2 ** 0.5, 0.8], [1 - 0.2 ** 0.5, 0]], atol=0.003)
