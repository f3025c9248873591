"""Networks: the published program's outputs, names and shapes."""

import json

import pytest
import torch

from models.networks import KeypointToUV, LayeredRenderer


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
