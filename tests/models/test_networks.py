"""Networks: the published program's outputs, names and shapes."""

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kp2uv_networks import KeypointToUV
from models.lnr_networks import (
    BatchNorm,
    InstanceNorm,
    LayeredRenderer,
    biases_without_effect,
    doubled,
    without_checkerboard,
)
from scripts.lab.published_reference import PublishedRenderer


@pytest.fixture
def figures(golden):
    return torch.load(golden / "renderer.pt", weights_only=True)


@pytest.fixture
def renderer(figures):
    config = figures["config"]
    network = LayeredRenderer(config["num_filters"], config["texture_channels"], config["texture_res"],
                              config["n_textures"])
    network.load_state_dict(figures["state_dict"])
    return network


def assert_all_close(found, expected):
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=0)


@torch.no_grad()
def test_low_resolution_layers_are_the_published_ones(renderer, figures):
    assert_all_close(renderer(figures["uv_map"], figures["id_layers"]), figures["low_res"])


@torch.no_grad()
def test_upsampled_crop_is_the_published_one(renderer, figures):
    found = renderer(figures["uv_map"], figures["id_layers"], True, figures["crop_params"])
    assert_all_close(found, figures["upsampled_crop"])


@torch.no_grad()
def test_running_statistics_give_the_published_layers(renderer, figures):
    renderer.eval()
    assert_all_close(renderer(figures["uv_map"], figures["id_layers"]), figures["low_res_eval_mode"])


@torch.no_grad()
def test_kp2uv_outputs_are_the_published_ones(golden):
    figures = torch.load(golden / "kp2uv.pt", weights_only=True)
    network = KeypointToUV(figures["config"]["num_filters"])
    network.load_state_dict(figures["state_dict"])
    assert_all_close(network(figures["keypoint_image"]), {k: figures[k] for k in ("part_logits", "part_uv")})


@pytest.mark.parametrize("name, network", [("kp2uv", KeypointToUV), ("lnr", LayeredRenderer)])
def test_published_checkpoints_fit(golden, name, network):
    expected = json.loads((golden / "state_dict_shapes.json").read_text())
    built = network()
    assert {k: list(v.shape) for k, v in built.state_dict().items()} == expected[name]
    assert sum(p.numel() for p in built.parameters()) == expected[f"{name}_params"]


@torch.no_grad()
@pytest.mark.parametrize("height, width", [(64, 64), (64, 80), (80, 112), (72, 100)])
def test_any_size_comes_out_as_it_went_in(renderer, height, width):
    uv, pids = torch.rand(2, 4, height, width) * 2 - 1, torch.zeros(2, 2, height, width)
    assert renderer(uv, pids)["layers"].shape == (2, 2, 4, height, width)
    assert renderer(uv, pids, upsample=True)["reconstruction"].shape == (2, 4, 2 * height, 2 * width)


@torch.no_grad()
def test_a_crop_of_the_upsampled_image_sees_the_same_low_resolution_layers(renderer):
    """Instance normalisation sees the crop only, so the residual differs; it is at most a few hundredths."""
    uv, pids = torch.rand(1, 4, 64, 64) * 2 - 1, torch.zeros(1, 2, 64, 64)
    whole = renderer(uv, pids, upsample=True)["layers"]
    part = renderer(uv, pids, upsample=True, crop=(16, 80, 32, 128))["layers"]
    assert (whole[..., 16:80, 32:128] - part).abs().max() < 0.1


def test_the_two_phases_share_no_parameter_and_leave_none_out(renderer):
    base, upsampler = set(renderer.base_parameters()), set(renderer.upsampling_parameters())
    assert not base & upsampler
    assert base | upsampler == set(renderer.parameters())


def two_frames(dtype=torch.float64):
    """UV maps and ids of two frames with two layers; the background is the same in both."""
    uv = torch.rand(2, 4, 64, 96, dtype=dtype) * 2 - 1
    uv[1, :2] = uv[0, :2]
    return uv, torch.zeros(2, 2, 64, 96, dtype=dtype)


def gradients(network, upsample, crop, *more):
    """Outputs of a training step in float64, and gradients by name, of all that has an effect."""
    torch.manual_seed(1)
    uv, pids = two_frames()
    outputs = network(uv, pids, upsample, crop, *more)
    (outputs["reconstruction"] * torch.rand_like(outputs["reconstruction"])).sum().backward()
    idle = ".conv.bias"
    return outputs, {k: p.grad for k, p in network.named_parameters() if p.grad is not None and not k.endswith(idle)}


def test_what_stands_for_copies_leaves_the_statistics_of_them_all():
    one, all_of_them, x = BatchNorm(3), torch.nn.BatchNorm2d(3), torch.randn(2, 3, 4, 5)
    for norm in (one, all_of_them):  # after some training
        norm.running_mean.copy_(torch.tensor([-1.0, 0.0, 2.0]))
        norm.running_var.copy_(torch.tensor([0.01, 0.6, 30.0]))
    one.copies = 4
    for _ in range(3):
        torch.testing.assert_close(one(x), all_of_them(x.repeat(4, 1, 1, 1))[:2])
    torch.testing.assert_close(one.running_mean, all_of_them.running_mean)
    torch.testing.assert_close(one.running_var, all_of_them.running_var)


@pytest.mark.parametrize("upsample, crop", [(False, None), (True, None), (True, (3, 99, 5, 101))])
def test_a_static_background_rendered_once_is_the_published_computation_exactly(renderer, upsample, crop):
    """Outputs, gradients and running statistics in float64."""
    plain = PublishedRenderer(4, n_textures=renderer.texture.shape[-1] // 16)
    plain.load_state_dict(renderer.state_dict())
    renderer.to(torch.float64, memory_format=torch.channels_last)
    found, found_gradients = gradients(renderer, upsample, crop, True)
    expected, expected_gradients = gradients(plain.double(), upsample, crop)
    assert_all_close_in_double(found, expected)
    assert_all_close_in_double(found_gradients, expected_gradients)
    assert_all_close_in_double(renderer.state_dict(), plain.state_dict())


def assert_all_close_in_double(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-11, rtol=1e-8, msg=name)


@torch.no_grad()
def test_a_background_that_was_rendered_before_is_taken_as_it_is(renderer):
    uv, pids = two_frames(torch.float32)
    whole = renderer(uv, pids)
    assert_all_close(renderer(uv, pids, background=whole["layers"][:, 0]), whole)


@pytest.mark.parametrize("items", [1, 2, 3])
def test_instance_normalisation_is_torchs_with_its_gradient(items):
    x = torch.randn(items, 5, 9, 12, dtype=torch.float64)
    weight = torch.randn_like(x)
    results = []
    for norm, layout in ((InstanceNorm(5), torch.channels_last), (F.instance_norm, torch.contiguous_format)):
        leaf = x.clone(memory_format=layout).requires_grad_()
        y = norm(leaf)
        (y * weight).sum().backward()
        results.append((y, leaf.grad))
    torch.testing.assert_close(results[0], results[1])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_cropping_before_doubling_is_cropping_after_it_to_the_last_bit(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    top, left = data.draw(st.integers(0, 2 * height - 1)), data.draw(st.integers(0, 2 * width - 1))
    bottom, right = data.draw(st.integers(top + 1, 2 * height)), data.draw(st.integers(left + 1, 2 * width))
    x = torch.rand(1, 2, height, width)
    assert torch.equal(doubled(x, (top, bottom, left, right)), doubled(x)[..., top:bottom, left:right])


@torch.no_grad()
def test_bf16_changes_layers_by_little_and_stays_float32_outside(renderer):
    uv, pids = two_frames(torch.float32)
    exact = renderer(uv, pids, upsample=True)["layers"]
    renderer.amp = torch.bfloat16
    rounded = renderer(uv, pids, upsample=True)["layers"]
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).square().mean().sqrt() < 0.02


@torch.no_grad()
def test_biases_in_front_of_a_normalisation_have_no_effect(renderer):
    uv, pids = two_frames(torch.float32)
    before = renderer(uv, pids, upsample=True)
    biases = biases_without_effect(renderer)
    assert len(biases) == 6 + 5 + 7
    for bias in biases:
        bias.add_(torch.randn_like(bias))
    assert_all_close(renderer(uv, pids, upsample=True), before)


def test_a_zeroed_output_layer_is_untrained_until_it_is_reset():
    renderer = LayeredRenderer(4, 2, 4, 25)
    assert not renderer.is_untrained()
    before = renderer.final_rgba.conv.weight.clone()
    renderer.reset_output_layer()
    assert (renderer.final_rgba.conv.weight == before).all()
    renderer.zero_output_layer()
    assert renderer.is_untrained()
    renderer.reset_output_layer()
    assert not renderer.is_untrained()


def test_a_smooth_decoder_leaves_no_checkerboard_and_has_the_published_weights():
    torch.manual_seed(0)
    published, smooth = LayeredRenderer(nf=8), LayeredRenderer(nf=8, smooth=True)
    smooth.load_state_dict(published.state_dict())
    board = (-1.0) ** (torch.arange(16)[:, None] + torch.arange(16))
    assert without_checkerboard(board[None, None])[..., 1:-1, 1:-1].abs().max() < 1e-6
    flat = torch.full((1, 3, 8, 8), 0.7)
    assert torch.allclose(without_checkerboard(flat), flat)
    x = torch.rand(1, 17, 64, 64)
    shares = []
    for network in (published, smooth):
        features = network.features(x)[0, :, 8:-8, 8:-8].detach()
        checked = F.avg_pool2d(features * board.repeat(3, 3)[None], 4)
        shares.append(float(checked.abs().mean() / features.std()))
    assert shares[1] < 0.3 * shares[0]
