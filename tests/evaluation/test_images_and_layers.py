"""Measures of one frame."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.image import structural_similarity_index_measure

from evaluation import images, layers
from evaluation.images import Sum, mean, pooled, squared_error

BLACK, WHITE = np.zeros((24, 32, 3), np.float32), np.ones((24, 32, 3), np.float32)
EVERYWHERE = np.ones((24, 32), bool)
generators = st.integers(0, 2 ** 32 - 1).map(np.random.default_rng)
few = settings(max_examples=10, deadline=None)


def random_layers(rng, count):
    drawn = rng.random((count, 24, 32, 4), dtype=np.float32)
    drawn[..., :3] *= drawn[..., 3:]
    return list(drawn)


def step_matte(edge):
    return np.tile((np.arange(32) >= edge).astype(np.float32), (24, 1))


def test_one_level_of_error_is_48_db_and_none_is_a_number_too():
    assert pooled([squared_error(BLACK + 1 / 255, BLACK)]) == pytest.approx(20 * math.log10(255))
    assert pooled([squared_error(WHITE, WHITE)]) == images.IDENTICAL


def test_the_psnr_of_a_clip_is_that_of_all_its_pixels_not_the_mean_of_its_frames():
    frames = [squared_error(BLACK + 0.1, BLACK), squared_error(BLACK, BLACK)]
    assert pooled(frames) == pytest.approx(-10 * math.log10(0.01 / 2), abs=1e-4)


def test_where_there_is_nothing_to_measure_there_is_no_figure():
    assert pooled([mean(BLACK, ~EVERYWHERE), Sum(0, 0)]) is None


@few
@given(generators)
def test_similarity_is_that_of_torchmetrics(rng):
    one = rng.random((24, 32, 3), dtype=np.float32)
    other = np.clip(one + rng.normal(0, 0.1, one.shape), 0, 1).astype(np.float32)
    tensors = [torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()) for picture in (one, other)]
    _, expected = structural_similarity_index_measure(*tensors, data_range=1.0, return_full_image=True)
    np.testing.assert_allclose(images.ssim_map(one, other), expected[0].mean(0), atol=1e-4)


@few
@given(generators, st.integers(1, 4))
def test_visible_shares_are_one_in_sum_and_parts_are_the_composite(rng, count):
    stack, background = random_layers(rng, count), rng.random((24, 32, 3), dtype=np.float32)
    behind, *in_front = layers.transmittances(layer[..., 3] for layer in stack)
    shares = [through * layer[..., 3] for through, layer in zip(in_front, stack)]
    np.testing.assert_allclose(behind + sum(shares), 1, atol=1e-5)
    parts = [through[..., None] * layers.effect(layer, background) for through, layer in zip(in_front, stack)]
    np.testing.assert_allclose(background + sum(parts), layers.over(background, stack), atol=1e-5)


def test_matte_errors_count_what_is_wrong():
    errors = {name: pooled([one]) for name, one in layers.matte_errors(step_matte(16), step_matte(14)).items()}
    assert errors["matte_sad"] == pytest.approx(2 * 24 / 1000)
    assert errors["matte_mae"] == errors["matte_mse"] == pytest.approx(2 / 32)
    assert errors["matte_gradient"] > 0


def test_a_hard_edge_has_a_larger_gradient_than_a_soft_one_and_an_even_matte_has_none():
    soft = np.tile(np.clip((np.arange(32) - 12) / 8, 0, 1).astype(np.float32), (24, 1))
    assert layers.gradient_magnitude(step_matte(16)).max() > 1.5 * layers.gradient_magnitude(soft).max() > 0
    assert layers.gradient_magnitude(step_matte(0)).max() < 1e-6


@few
@given(generators)
def test_an_empty_layer_has_the_relative_error_one(rng):
    layer, = random_layers(rng, 1)
    assert pooled([layers.relative_error(layer, layer)]) == 0
    assert pooled([layers.relative_error(np.zeros_like(layer), layer)]) == pytest.approx(1)


def test_effects_overlap_where_both_can_be_seen():
    left, right = np.zeros_like(BLACK), np.zeros_like(BLACK)
    left[:, :20], right[:, 10:] = 0.5, -0.5
    faint = right * layers.EFFECT
    assert pooled([layers.effect_overlap(left, right)]) == pytest.approx(10 / 32)
    assert pooled([layers.effect_overlap(faint, left)]) == 0
    assert pooled([layers.effect_overlap(faint, faint)]) is None


@pytest.mark.parametrize("found, share", [(-0.1, 0.25), (-0.4, 1), (-0.9, 1), (0.3, 0)])
def test_a_shadow_counts_once_however_dark_it_is_found(found, share):
    part, true = (layers.darkening(WHITE * change) for change in (found, -0.4))
    assert pooled([layers.shared(part, true, EVERYWHERE)]) == pytest.approx(share)


def test_a_lasting_error_does_not_flicker_and_a_passing_one_does():
    assert pooled([images.flicker(WHITE * 0.7, WHITE * 0.4, WHITE * 0.6, WHITE * 0.3)]) == pytest.approx(0, abs=1e-4)
    assert pooled([images.flicker(WHITE * 0.7, WHITE * 0.3, WHITE * 0.3, WHITE * 0.3)]) == pytest.approx(0.4 * 255)


def test_a_change_that_is_allowed_is_no_excess():
    assert pooled([layers.excess(WHITE * 0.2, WHITE * 0.3, EVERYWHERE)]) == 0
    assert pooled([layers.excess(WHITE * 0.3, WHITE * 0.2, EVERYWHERE)]) == pytest.approx(0.1 * 255, rel=1e-5)


def test_without_a_network_perceptual_distance_is_left_out_and_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    lpips, reason = images.load_lpips()
    assert lpips is None
    assert reason.startswith("its weights could not be loaded") and "\n" not in reason


def test_perceptual_distance_is_loaded_from_weights_that_lie_there_without_a_network(tmp_path, monkeypatch):
    from torchvision.models import alexnet
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("VIDEO_PRETRAINED", "off")
    assert images.load_lpips()[0] is None and "VIDEO_PRETRAINED=off forbids" in images.load_lpips()[1]
    state = alexnet().state_dict()
    small = {name: value[:1, :1].clone().expand_as(value) if "classifier" in name and value.ndim == 2 else value
             for name, value in state.items()}  # not used by LPIPS, and 200 MB
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    torch.save(small, tmp_path / "hub/checkpoints" / images.LPIPS.file_name)
    lpips, reason = images.load_lpips()
    noise = np.random.default_rng(1).random((64, 64, 3), dtype=np.float32)
    assert reason == "" and lpips(noise, noise) == 0 < lpips(noise, noise[::-1])


def test_the_gradient_of_a_matte_is_that_of_a_gaussian_of_sigma_1_4():
    """By the formula of Rhemann et al., at a hard edge: sums of x exp(-x^2 / 2 sigma^2), both filters of unit norm."""
    edge = np.zeros((21, 21), np.float32)
    edge[:, 11:] = 1
    np.testing.assert_allclose(layers.gradient_magnitude(edge)[10, 8:14],
                               [0.527368, 1.556191, 2.661997, 2.661997, 1.556191, 0.527368], rtol=1e-5)


def test_a_background_is_wrong_where_neither_shadow_nor_light_explains_the_frame():
    background = np.full((24, 32, 3), 0.6, np.float32)
    image, through = background.copy(), np.ones((24, 32), np.float32)
    image[:4], through[:4] = 0.3, 0.5  # a shadow that the layers have
    image[4:8], through[4:8] = 0.8, 0.5  # a light that they have
    image[8:12] = 0.3  # a shadow that they lack
    image[12:16], through[12:16] = (0.9, 0.2, 0.1), 0.0  # somebody's body beside the masks
    assert pooled([layers.background_off(image, background, through, EVERYWHERE)]) == pytest.approx(8 / 24)
    beside = through > 0
    assert pooled([layers.background_off(image, background, through, beside)]) == pytest.approx(4 / 20)
