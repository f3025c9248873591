"""What training of video-to-video synthesis costs: work and memory of a frame, counted on networks without weights.

A multiplication with an addition is two operations. Passes of a training step: a generator runs forward once and
backward to its input and its weights, which costs twice that again; a discriminator of images sees the real ones, the
frames and the hallucinated ones once, is trained on all of them, and passes gradients back of two; one of several
frames sees real ones and frames. The perceptual loss goes forward three times and back twice, without weights.
All channels of label maps are counted, also those of labels that are not there, which the CPU leaves out.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from models.base_model import Cost
from models.perceptual import VggFeatures
from models.vid2vid_generation import FrameGenerators
from models.vid2vid_setup import make_discriminators, make_generators

CPU_GFLOPS = 150.0
"""Measured on two cores of a server, at small widths."""
COPIES_OF_PARAMETERS = 4
"""Themselves, their gradients, and Adam's two moments."""
PROGRAM_GIB, HELD = 0.6, 2.0
"""The program itself, and memory that a step holds over what it keeps for the backward pass: measured on the CPU."""


class Part(NamedTuple):
    """Operations of a forward pass, and bytes that it keeps for the backward pass."""

    flop: float
    kept: float


class FrameCost(NamedTuple):
    """What training on a frame costs.

    Attributes:
        flop: operations by what does them.
        kept: bytes that are kept of a frame until the steps of its load are taken.
        parameters: of all that is trained.
    """

    flop: dict[str, float]
    kept: float
    parameters: int


def forward_part(network: nn.Module, *inputs) -> Part:
    """The cost of a forward pass on the meta device."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        network(*inputs)
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    kept_bytes = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)
    return Part(counter.get_total_flops(), kept_bytes)


def frame_cost(opt, size: tuple[int, int]) -> FrameCost:
    """Count what a frame costs with these options.

    Args:
        opt: options of the model.
        size: (height, width) of frames.
    """
    height, width = size
    with torch.device("meta"):
        has_flow = not (opt.no_flow or opt.openpose_only)
        frames = FrameGenerators(make_generators(opt, has_flow), opt.n_frames_G, [0])
        judges = make_discriminators(opt)
        channels = (opt.label_nc or opt.input_nc) + opt.use_instance
        maps = torch.zeros(1, opt.n_frames_G, channels, height, width)
        previous = [torch.zeros(1, opt.n_frames_G - 1, opt.output_nc, height // 2**level, width // 2**level)
                    for level in range(opt.n_scales_spatial)]
        made = {"generators": forward_part(frames, maps, previous)}
        side = min(opt.fine_size // 32 * 8, height, width)
        of_images = torch.zeros(1, channels + opt.output_nc, height, width)
        stack = torch.zeros(1, opt.output_nc * opt.n_frames_D + 2 * (opt.n_frames_D - 1), height, width)
        inputs = {"D": of_images, "D_f": of_images[..., :side, :side]}
        judged = {name: forward_part(network, inputs.get(name, stack)) for name, network in judges.items()}
        perceptual = Part(0, 0) if opt.no_vgg else forward_part(VggFeatures(), torch.zeros(1, 3, height, width,
                                                                                           requires_grad=True))
    passes = {"D": (3, 8), "D_f": (2, 5)}  # forward, and backward: to weights and input for both sides
    flop = {"generators": (4 if opt.checkpoint_activations else 3) * made["generators"].flop,
            "perceptual loss": 5 * perceptual.flop}
    kept = (0 if opt.checkpoint_activations else made["generators"].kept) + 2 * perceptual.kept
    for name, part in judged.items():
        share = 1 if name in passes else 1 / opt.n_frames_D  # a frame is in one group of so many
        forward, backward = passes.get(name, (2, 5))
        flop["discriminators"] = flop.get("discriminators", 0) + share * (forward + backward) * part.flop
        kept += share * forward * part.kept
    parameters = sum(p.numel() for network in (frames, *judges.values()) for p in network.parameters())
    return FrameCost(flop, kept, parameters)


def training_cost(opt, of_frame: FrameCost, frames: int, items: int, frames_per_load: int, batch_size: int) -> Cost:
    """What an epoch costs, without the flow teacher.

    Args:
        opt: amp.
        of_frame: what a frame costs.
        frames: that are generated of an item.
        items: of the epoch.
        frames_per_load: frames between two steps.
        batch_size: items at a time.
    """
    flop = items * frames * sum(of_frame.flop.values())
    weights = 4 * COPIES_OF_PARAMETERS * of_frame.parameters
    at_once = batch_size * min(frames, frames_per_load) * of_frame.kept * (0.5 if opt.amp != "off" else 1)
    return Cost(flop / 1e12, PROGRAM_GIB + (weights + HELD * at_once) / 2**30, flop / 1e9 / CPU_GFLOPS)
