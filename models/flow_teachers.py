"""What teaches the flow between real frames: frozen networks and others, all called alike, never saved.

A teacher maps current and previous frames [B, T, 3, H, W] in [-1, 1] to a flow [B, T, 2, H, W] in pixels, from the
current to the previous one, and to its confidence [B, T, 1, H, W]: 1 where the warped previous frame looks as the
current one. Frames may be several groups of a clip's: the first B items are those of the first group, and so on.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.optical_flow import Raft_Large_Weights, raft_large

from models.checkpoints import load_weights as load_strictly
from models.flownet2 import FlowNet2
from util.errors import UserError
from util.pretrained import Pretrained, load_weights
from vision.geometry.flow import optical_flow
from vision.geometry.warp import warp

CONFIDENT = 0.02
"""Largest sum over colours of squared differences where a flow is believed."""
RAFT = Pretrained("--flow_net raft", Raft_Large_Weights.C_T_SKHT_V2.url,
                  "--flow_net dis (OpenCV's, nothing to download) or --flow_net still (nothing moves)")
FLOWNET2_FILE = Path("models/flownet2_pytorch/FlowNet2_checkpoint.pth.tar")
Pairs = list[list[tuple[int, int]]]
"""Which frames of a clip follow each other: for each group, the numbers of current and previous frames."""
Teacher = Callable[[Tensor, Tensor, Pairs], tuple[Tensor, Tensor]]


def confidence(current: Tensor, previous: Tensor, flow: Tensor) -> Tensor:
    """1 where the previous frame, warped by the flow, looks as the current one, otherwise 0: [N, 1, H, W]."""
    difference = (current - warp(previous, flow)).square().sum(1, keepdim=True)
    return (difference < CONFIDENT).to(current.dtype)


class FlowTeacher:
    """A teacher from a function of frames.

    Args:
        find: maps current and previous frames [N, 3, H, W] in [-1, 1] to a flow [N, 2, H, W].
        fitting: maps a side to the size that `find` needs; frames are resized, and flow and confidence resized back.
    """

    def __init__(self, find: Callable[[Tensor, Tensor], Tensor], fitting: Callable[[int], int] = lambda side: side):
        self.find, self.fitting = find, fitting

    @torch.no_grad()
    def __call__(self, current: Tensor, previous: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Flow and confidence of frames [B * groups, T, 3, H, W]."""
        flow, confident = self._of_frames(current.flatten(0, 1), previous.flatten(0, 1))
        return flow.unflatten(0, current.shape[:2]), confident.unflatten(0, current.shape[:2])

    def _of_frames(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        height, width = current.shape[-2:]
        size = self.fitting(height), self.fitting(width)
        if size == (height, width):
            flow = self.find(current, previous)
            return flow, confidence(current, previous, flow)
        current, previous = _resized(current, size), _resized(previous, size)
        flow = self.find(current, previous)
        factor = flow.new_tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1)
        sure = confidence(current, previous, flow)
        return _resized(flow, (height, width)) * factor, _resized(sure, (height, width))


class FilesTeacher:
    """The flow that the data give with each frame, to the frame before; longer steps are put together from it.

    Attributes:
        flows: of the clip, [B, T, 2, H, W]; that of the first frame is not used.
    """

    flows: Tensor

    @torch.no_grad()
    def __call__(self, current: Tensor, previous: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Flow and confidence of frames [B * groups, T, 3, H, W]."""
        flow = torch.cat([torch.stack([self._between(*pair) for pair in group], 1) for group in pairs])
        sure = confidence(current.flatten(0, 1), previous.flatten(0, 1), flow.flatten(0, 1))
        return flow, sure.unflatten(0, current.shape[:2])

    def _between(self, current: int, previous: int) -> Tensor:
        flow = self.flows[:, current]
        for number in range(current - 1, previous, -1):
            flow = flow + warp(self.flows[:, number], flow)
        return flow


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def still(current: Tensor, previous: Tensor) -> Tensor:
    """The flow where nothing moves."""
    return current.new_zeros(len(current), 2, *current.shape[-2:])


def dis(current: Tensor, previous: Tensor) -> Tensor:
    """The flow by OpenCV's dense inverse search, between grey pictures."""
    def grey(frames: Tensor) -> np.ndarray:
        weights = frames.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        return (((frames * weights).sum(1) + 1) * 127.5).clamp(0, 255).round().byte().cpu().numpy()

    flows = [optical_flow(one, other) for one, other in zip(grey(current), grey(previous))]
    return torch.from_numpy(np.stack(flows)).movedim(-1, 1).to(current)


def make_teacher(kind: str, file: Path | None, device: torch.device) -> Teacher:
    """The teacher that --flow_net names.

    Args:
        kind: raft, flownet2, dis, files or still.
        file: of weights, where the user gives one.
        device: where networks compute.

    Raises:
        UserError: its weights cannot be had.
    """
    if kind == "still":
        return FlowTeacher(still)
    if kind == "files":
        return FilesTeacher()
    if kind == "dis":
        return FlowTeacher(dis, lambda side: max(side, 32))
    if kind == "raft":
        with torch.device("meta"):
            network = raft_large(weights=None)
        network.load_state_dict(load_weights(RAFT, file), assign=True)
        frozen = _frozen(network, device)
        return FlowTeacher(lambda current, previous: frozen(current, previous)[-1],
                           lambda side: max(128, 8 * math.ceil(side / 8)))
    return FlowTeacher(_frozen(flownet2(file or FLOWNET2_FILE), device), lambda side: max(64, side // 64 * 64))


def flownet2(path: Path) -> FlowNet2:
    """FlowNet2 with the official weights.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    instead = "give another with --flow_file, or --flow_net raft, dis or still"
    if not path.is_file():
        raise UserError(f"--flow_net flownet2: no {path}; put FlowNet2_checkpoint.pth.tar there, {instead}")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path}: not readable as weights alone ({str(error).splitlines()[0][:120]}); save what its "
                        f"`state_dict` holds as a file of its own and {instead}") from error
    network = FlowNet2()
    load_strictly(network, weights.get("state_dict", weights), path)
    return network


def _frozen(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device).eval().requires_grad_(False)
