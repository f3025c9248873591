"""Networks and formulas of video-to-video synthesis against what the published program computed."""

import hashlib
import json
import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.optical_flow import raft_large

from models.flow_teachers import FlowTeacher, confidence, make_teacher
from models.flownet2 import FlowNet2, correlation
from models.gan_losses import feature_matching, masked_l1, mean_difference, verdict_loss
from models.perceptual import VggFeatures, perceptual_loss
from models.vid2vid_blocks import MapConv2d
from models.vid2vid_maps import encoded, face_box, foreground, instance_edges, pyramid
from models.vid2vid_model import make_discriminators, make_generators
from models.vid2vid_networks import MultiScaleDiscriminator
from models.vid2vid_single_networks import (
    Encoder,
    GlobalGenerator,
    GlobalGeneratorWithFeatures,
    LocalEnhancer,
    LocalEnhancerWithFeatures,
)
from tests.vid2vid_case import difference, parsed
from util.errors import UserError
from util.pretrained import Unavailable
from vision.geometry.warp import warp

TOLERANCE = 1e-6


def ramp(shape, factor, shift):
    return torch.sin(factor * torch.arange(math.prod(shape), dtype=torch.float64) + shift).view(shape)


def fill(network):
    """Fill the weights of a network by a formula; those of convolutions so that values keep their size."""
    steps = 0.37 * torch.arange(max(p.numel() for p in network.parameters()), dtype=torch.float64)
    sines, cosines = (f(steps).to(next(network.parameters()).dtype) for f in (torch.sin, torch.cos))
    for k, (name, parameter) in enumerate(sorted(network.named_parameters())):
        n = parameter.numel()
        i = torch.arange(n if parameter.ndim == 1 else 0, dtype=torch.float64)
        if parameter.ndim > 1:  # sqrt(2 / fan in) sin(0.37 i + 1.3 k)
            scale = math.sqrt(2 / parameter[0].numel())
            values = sines[:n] * (scale * math.cos(1.3 * k)) + cosines[:n] * (scale * math.sin(1.3 * k))
        else:
            values = 1 + 0.1 * torch.sin(0.7 * i + k) if name.endswith("weight") else 0.1 * torch.cos(0.5 * i + k)
        parameter.data.copy_(values.view_as(parameter))
    return network


def loaded(network, state):
    assert list(network.state_dict()) == list(state)
    network.load_state_dict(state)
    return network.double()


@torch.no_grad()
def test_generators_make_the_published_frames(vid2vid_golden):
    for name, case in torch.load(vid2vid_golden / "generators.pt", weights_only=True).items():
        opt = parsed(case["args"])
        networks = {f"G{s}": loaded(network, case["state_dicts"][f"G{s}"])
                    for s, network in enumerate(make_generators(opt, not opt.no_flow))}
        for raw_only, (key, expected) in zip((False, True), case["outputs"].items()):
            assert key == f"use_raw_only_{raw_only}"
            made = None
            for s, (label, network) in enumerate(networks.items()):
                mask = case["mask"] and case["mask"][s]
                made = network(case["maps"][s].double(), case["previous"][s].double(),
                               None if mask is None else mask.double(), made, raw_only)
                for output, value in expected[label].items():
                    found = getattr(made, "image" if output == "final" else output)
                    if value is None:
                        assert found is None
                    else:
                        assert difference(found, value) < TOLERANCE, (name, key, label, output)
            if "running_after_first_forward" in case and not raw_only:
                for label, statistics in case["running_after_first_forward"].items():
                    state = networks[label].state_dict()
                    assert all(difference(state[entry], value) < TOLERANCE for entry, value in statistics.items())


@torch.no_grad()
def test_generators_of_single_images_make_the_published_images(vid2vid_golden):
    for name, case in torch.load(vid2vid_golden / "single.pt", weights_only=True).items():
        first, deep, norm = (case["in"], case["ngf"], case["n_downsample"], case["n_blocks"]), case, case["norm"]
        local = (deep["n_local_enhancers"], deep["n_blocks_local"])
        in_channels, ngf, n_downsample, n_blocks = first
        if name.endswith("with_features"):
            kind = {"global": GlobalGeneratorWithFeatures, "local": LocalEnhancerWithFeatures}[name.split("_")[0]]
            more = local if name.startswith("local") else ()
            network = kind(in_channels, case["feat_num"], ngf, n_downsample, n_blocks, *more, norm)
            arguments = [case["features"].double()]
        elif name == "encoder":
            network = Encoder(in_channels, case["out"], ngf, n_downsample, norm)
            arguments = [case["instance"]]
        else:
            kind = {"global": GlobalGenerator, "local": LocalEnhancer}[name]
            network = kind(in_channels, ngf, n_downsample, n_blocks, *(local if name == "local" else ()), norm)
            arguments = []
        found = loaded(network, case["state_dict"])(case["input"].double(), *arguments)
        assert difference(found, case["output"]) < TOLERANCE, name


@torch.no_grad()
def test_discriminators_give_the_published_activations(vid2vid_golden):
    for name, case in torch.load(vid2vid_golden / "discriminators.pt", weights_only=True).items():
        network = loaded(MultiScaleDiscriminator(case["input_nc"], case["ndf"], case["n_layers_D"], case["num_D"],
                                                 case["norm"], case["features"]), case["state_dict"])
        found = network(case["input"].double())
        assert [len(scale) for scale in found] == [len(scale) for scale in case["outputs"]]
        for ours, theirs in zip(found, case["outputs"]):
            assert all(difference(one, other) < TOLERANCE for one, other in zip(ours, theirs)), name


@pytest.mark.parametrize("there", [[0, 2, 3], [], [0, 1, 2, 3, 4, 5]])
def test_labels_that_are_nowhere_cost_nothing_and_change_nothing(there):
    torch.manual_seed(0)
    options = {"padding": 3, "padding_mode": "reflect", "dtype": torch.float64}
    ours, plain = MapConv2d(6, 4, 7, **options), nn.Conv2d(6, 4, 7, **options)
    plain.load_state_dict(ours.state_dict())
    maps = torch.zeros(2, 6, 8, 10, dtype=torch.float64)
    maps[:, there] = torch.randn(2, len(there), 8, 10, dtype=torch.float64)
    found, work = [], []
    for conv in (ours, plain):
        x = maps.clone().requires_grad_()
        with FlopCounterMode(display=False) as counter:
            made = conv(x)
        (made * made.detach().sin()).sum().backward()
        found.append([made, conv.weight.grad, conv.bias.grad, x.grad[:, there]])
        work.append(counter.get_total_flops())
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)
    assert work[0] * 6 == work[1] * (len(there) or 6)


def test_files_of_all_recipes_have_the_published_names_and_shapes(vid2vid_golden):
    published = json.loads((vid2vid_golden / "checkpoints.json").read_text())
    for name, recipe in published["recipes"].items():
        opt = parsed(recipe["args"], is_train=recipe["program"] == "train.py")
        with torch.device("meta"):
            generators = make_generators(opt, not (opt.no_flow or opt.openpose_only))
            networks = {f"G{s}": network for s, network in enumerate(generators)}
            networks |= make_discriminators(opt) if opt.is_train else {}
        assert {f"latest_net_{label}.pth" for label in networks} == set(recipe["files"]), name
        for label, network in networks.items():
            file = f"latest_net_{label}.pth"
            shapes = {entry: tuple(value.shape) for entry, value in network.state_dict().items()}
            text = "\n".join(sorted(f"{entry} {shape}" for entry, shape in shapes.items()))
            assert hashlib.sha256(text.encode()).hexdigest()[:12] == recipe["files"][file], (name, label)
            assert sum(p.numel() for p in network.parameters()) == recipe["parameters"][file]
            listed = published["networks"][recipe["files"][file]]
            assert {entry: tuple(shape) for entry, shape in listed.items()} == shapes
            assert list(listed) == list(shapes)


def test_maps_are_encoded_as_published(vid2vid_golden):
    case = torch.load(vid2vid_golden / "parts.pt", weights_only=True)["encoding"]
    maps = encoded(case["labels"].double(), case["instances"], case["label_nc"])
    assert (maps[:, 1] == case["encoded_frame"]).all()
    levels = pyramid(maps, len(case["pyramid_frame_1"]))
    for level, expected, mask in zip(levels, case["pyramid_frame_1"], case["foreground_frame_1"]):
        assert difference(level[:, 1], expected) < TOLERANCE
        assert difference(foreground(level[:, 1], case["fg_labels"]), mask) < TOLERANCE


def test_edges_of_instances_and_half_sizes_of_a_ramp():
    instances = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2]])
    assert instance_edges(instances).int().tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    levels = pyramid(torch.arange(64.0).view(1, 1, 1, 8, 8), 3)
    assert levels[1][0, 0, 0, 0].tolist() == [4.5, 6, 8, 10]
    assert levels[2][0, 0, 0].tolist() == [[11.25, 14], [33.25, 36]]


def test_formulas_give_the_published_values(vid2vid_golden):
    parts = torch.load(vid2vid_golden / "parts.pt", weights_only=True)
    case = parts["warp"]
    assert difference(warp(case["image"].double(), case["flow"].double()), case["warped"]) < TOLERANCE
    case = parts["masked_l1"]
    assert difference(masked_l1(*(case[name].double() for name in ("a", "b", "mask"))), case["value"]) < TOLERANCE
    case = parts["lsgan"]
    predictions = [[x.double() for x in scale] for scale in case["predictions"]]
    assert difference(verdict_loss(predictions, True), case["as_real"]) < TOLERANCE
    assert difference(verdict_loss(predictions, False), case["as_fake"]) < TOLERANCE
    case = parts["feature_matching"]
    real, fake = ([[x.double() for x in scale] for scale in case[name]] for name in ("real", "fake"))
    assert difference(verdict_loss(fake, True), case["G_GAN"]) < TOLERANCE
    matching = case["lambda_feat"] * feature_matching(fake, real, case["num_D"], case["n_layers_D"])
    assert difference(matching, case["G_GAN_Feat"]) < TOLERANCE


def test_gradients_of_features_lie_in_memory_as_these_do():
    torch.manual_seed(0)
    one = torch.randn(2, 8, 5, 7).to(memory_format=torch.channels_last).requires_grad_()
    other = torch.randn(2, 8, 5, 7).to(memory_format=torch.channels_last)
    torch.testing.assert_close(mean_difference(one, other), (one - other).abs().mean())
    (gradient,) = torch.autograd.grad(mean_difference(one, other), one)
    assert gradient.stride() == one.stride()
    torch.testing.assert_close(gradient, (one - other).sign() / one.numel())


@torch.no_grad()
def test_the_perceptual_loss_is_the_published_one(vid2vid_golden):
    parts = torch.load(vid2vid_golden / "parts.pt", weights_only=True)
    vgg = fill(VggFeatures().double())
    assert sum(p.numel() for p in vgg.parameters()) == 12_944_960 and len(vgg.state_dict()) == 26
    case = parts["vgg"]
    x, y = case["x"].double(), case["y"].double()
    assert difference(torch.stack([f.mean() for f in vgg(x)]), case["slices_mean"]) < TOLERANCE
    assert difference(perceptual_loss(vgg, y, x), case["value"]) < TOLERANCE
    wide = parts["vgg_wide"]
    x, y = (ramp(wide["shape"], *wide[name]) for name in ("ramp_x", "ramp_y"))
    assert difference(perceptual_loss(vgg, y, x), wide["value"]) < TOLERANCE


def test_the_face_is_where_the_head_is(vid2vid_golden):
    for case in torch.load(vid2vid_golden / "parts.pt", weights_only=True)["face_box"]:
        maps = torch.full((2, 6, *case["size"]), -1.0)
        for n, top, bottom, left, right in case["head_pixels_n_y0_y1_x0_x1"]:
            if case["openpose_only"]:
                maps[n, :3, top:bottom, left:right] = (torch.tensor([153, 0, 51]) / 127.5 - 1).view(3, 1, 1)
            else:
                maps[n, 2, top:bottom, left:right] = 2 * 23 / 24 - 1
        box = face_box(maps, case["fineSize"], case["openpose_only"])
        assert (list(box) if box else None) == case["box_y0_y1_x0_x1"]
    maps = torch.full((1, 3, 256, 192), -1.0)
    maps[:, 2, 20:50, 80:110] = 1
    assert face_box(maps, 256) == (2, 66, 62, 126)


@torch.no_grad()
def test_flownet2_computes_what_the_published_one_does():
    with torch.device("meta"):
        network = FlowNet2()
    assert sum(p.numel() for p in network.parameters()) == 162_518_834 and len(network.state_dict()) == 220
    flow = fill(network.to_empty(device="cpu"))(ramp((1, 3, 64, 128), 0.01, 0).float(),
                                                ramp((1, 3, 64, 128), 0.013, 0.5).float())
    assert flow.shape == (1, 2, 64, 128)
    found = [float(flow.mean()), float(flow.std(correction=0)), *flow.flatten()[[0, 8192, -1]].tolist()]
    assert found == pytest.approx([-0.091950, 0.211405, -0.146494, -0.040043, -0.008771], abs=2e-4)


def test_a_correlation_finds_the_displacement():
    torch.manual_seed(0)
    x = torch.randn(1, 64, 24, 24)
    best = correlation(x, x.roll((-4, 6), (2, 3)))[0, :, 12, 12].argmax()
    assert divmod(int(best), 21) == ((-4 + 20) // 2, (6 + 20) // 2)


def test_a_teacher_resizes_what_its_network_cannot_take_and_believes_what_fits():
    def constant(current, previous):
        assert current.shape[-2:] == (128, 104)
        return torch.full_like(current[:, :2], 4.0)

    teacher = FlowTeacher(constant, lambda side: 128 if side == 96 else 104)
    frame = torch.zeros(2, 3, 3, 96, 100)
    flow, sure = teacher(frame, frame, [])
    assert flow.shape == (2, 3, 2, 96, 100) and sure.shape == (2, 3, 1, 96, 100)
    torch.testing.assert_close(flow[0, 0, :, 5, 5], torch.tensor([4 * 100 / 104, 4 * 96 / 128]))
    assert (sure == 1).all()
    other = frame + 0.2
    assert (confidence(other[:, 0], frame[:, 0], flow[:, 0]) == 0).all()


def test_raft_takes_frames_of_any_size(tmp_path):
    torch.manual_seed(0)
    torch.save(raft_large(weights=None).state_dict(), tmp_path / "raft.pth")
    teacher = make_teacher("raft", tmp_path / "raft.pth", torch.device("cpu"))
    frames = torch.rand(1, 2, 3, 96, 100) * 2 - 1
    flow, sure = teacher(frames[:, 1:], frames[:, :1], [])
    assert flow.shape == (1, 1, 2, 96, 100) and sure.shape == (1, 1, 1, 96, 100) and not flow.requires_grad
    with pytest.raises(Unavailable, match="--flow_net dis .* --flow_net still"):
        make_teacher("raft", tmp_path / "other.pth", torch.device("cpu"))
    with pytest.raises(UserError, match="^--flow_net flownet2: no .*other.pth; put FlowNet2_checkpoint.pth.tar there"):
        make_teacher("flownet2", tmp_path / "other.pth", torch.device("cpu"))


def test_dis_finds_a_translation_and_still_finds_none():
    torch.manual_seed(0)
    previous = nn.functional.interpolate(torch.rand(1, 3, 12, 16) * 2 - 1, scale_factor=6, mode="bicubic").clamp(-1, 1)
    current = previous.roll((2, -3), (2, 3))  # what is at p was at p + (3, -2)
    flow, sure = make_teacher("dis", None, torch.device("cpu"))(current[None], previous[None], [])
    median = flow[0, 0, :, 12:-12, 12:-12].flatten(1).median(1).values
    torch.testing.assert_close(median, torch.tensor([3.0, -2.0]), atol=0.2, rtol=0)
    assert sure[..., 12:-12, 12:-12].mean() > 0.9
    flow, sure = make_teacher("still", None, torch.device("cpu"))(current[None], current[None], [])
    assert (flow == 0).all() and (sure == 1).all()


def test_the_unet_leaves_no_chequers_and_passes_on_each_resolution():
    """Of maps that are the same everywhere the published generator makes a pattern that repeats; this one does not."""
    chequers, near = {}, {}
    for kind in ("composite", "unet"):
        torch.manual_seed(1)
        opt = parsed(["--netG", kind, "--input_nc", "2", "--output_nc", "4", "--ngf", "4", "--n_blocks", "2",
                      "--n_downsample_G", "2", "--n_frames_G", "2"])
        network = make_generators(opt, True)[0].eval()
        maps, previous = torch.full((1, 4, 64, 64), 0.5), torch.full((1, 4, 64, 64), -0.2)
        frame = network(maps, previous)
        assert frame.image.shape == (1, 4, 64, 64) and frame.flow.shape == (1, 2, 64, 64)
        inside = frame.raw[..., 24:40, 24:40].detach()
        chequers[kind] = float(inside.std(dim=(2, 3)).max() / inside.abs().max())
        point = maps.clone()
        point[0, 0, 32, 32] += 1
        change = (network(point, previous).raw - frame.raw).detach().abs().sum(1)[0]
        near[kind] = float(change[26:39, 26:39].sum() / change.sum())
    assert chequers["unet"] < 1e-5 < 0.001 < chequers["composite"]
    assert near["unet"] > 0.9 > near["composite"]  # without skips it passes the coarsest resolution, and is spread out
