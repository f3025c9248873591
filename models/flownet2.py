"""FlowNet 2.0 (Ilg et al., CVPR 2017) in plain torch, with the names of the published weights.

It is here so that official weights can teach the flow; there is no training of it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision.geometry.warp import warp

FLOW_UNIT = 20.0
"""Subnetworks give flows in units of 20 pixels (FlowNetSD: of 1/20 pixel)."""


def _conv(in_channels, out_channels, kernel=3, stride=1):
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2),
                         nn.LeakyReLU(0.1, True))


def _deconv(in_channels, out_channels):
    return nn.Sequential(nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1), nn.LeakyReLU(0.1, True))


def _plain(in_channels, out_channels):
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, 1, 1))


class _Decoder(nn.Module):
    """What all subnetworks share: from the last features up, level by level, with a flow at each."""

    top = 6
    bottom = 2

    def add_decoder(self, deconvs: dict[int, tuple[int, int]], inter: dict[int, tuple[int, int]],
                    predicted_from: dict[int, int], bias: bool = True) -> None:
        for level, (before, after) in deconvs.items():
            self.add_module(f"deconv{level}", _deconv(before, after))
        for level, (before, after) in inter.items():
            self.add_module(f"inter_conv{level}", _plain(before, after))
        for level, channels in predicted_from.items():
            self.add_module(f"predict_flow{level}", nn.Conv2d(channels, 2, 3, 1, 1))
        for level in range(self.top, self.bottom, -1):
            self.add_module(f"upsampled_flow{level}_to_{level - 1}", nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=bias))

    def decode(self, features: dict[int, Tensor]) -> Tensor:
        x = features[self.top]
        flow = getattr(self, f"predict_flow{self.top}")(x)
        for level in range(self.top - 1, self.bottom - 1, -1):
            up = getattr(self, f"upsampled_flow{level + 1}_to_{level}")(flow)
            x = torch.cat([features[level], getattr(self, f"deconv{level}")(x), up], 1)
            inter = getattr(self, f"inter_conv{level}", None)
            flow = getattr(self, f"predict_flow{level}")(x if inter is None else inter(x))
        return flow


def _add_deep_encoder(net) -> None:
    net.conv4, net.conv4_1 = _conv(256, 512, stride=2), _conv(512, 512)
    net.conv5, net.conv5_1 = _conv(512, 512, stride=2), _conv(512, 512)
    net.conv6, net.conv6_1 = _conv(512, 1024, stride=2), _conv(1024, 1024)


def _deep_features(net, third: Tensor) -> dict[int, Tensor]:
    fourth = net.conv4_1(net.conv4(third))
    fifth = net.conv5_1(net.conv5(fourth))
    return {3: third, 4: fourth, 5: fifth, 6: net.conv6_1(net.conv6(fifth))}


DECONVS = {5: (1024, 512), 4: (1026, 256), 3: (770, 128), 2: (386, 64)}
PREDICTED_FROM = {6: 1024, 5: 1026, 4: 770, 3: 386, 2: 194}


class FlowNetC(_Decoder):
    """The first subnetwork, which correlates features of both images."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = _conv(3, 64, 7, 2), _conv(64, 128, 5, 2), _conv(128, 256, 5, 2)
        self.conv_redir = _conv(256, 32, 1)
        self.conv3_1 = _conv(473, 256)
        _add_deep_encoder(self)
        self.add_decoder(DECONVS, {}, PREDICTED_FROM)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two images [B, 3, H, W] to a flow [B, 2, H / 4, W / 4]."""
        skip = self.conv2(self.conv1(first))
        one, other = self.conv3(skip), self.conv3(self.conv2(self.conv1(second)))
        both = torch.cat([self.conv_redir(one), F.leaky_relu(correlation(one, other), 0.1)], 1)
        return self.decode({2: skip, **_deep_features(self, self.conv3_1(both))})


class FlowNetS(_Decoder):
    """A subnetwork that refines a flow."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = _conv(12, 64, 7, 2), _conv(64, 128, 5, 2), _conv(128, 256, 5, 2)
        self.conv3_1 = _conv(256, 256)
        _add_deep_encoder(self)
        self.add_decoder(DECONVS, {}, PREDICTED_FROM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 12, H, W] to a flow [B, 2, H / 4, W / 4]."""
        second = self.conv2(self.conv1(x))
        return self.decode({2: second, **_deep_features(self, self.conv3_1(self.conv3(second)))})


class FlowNetSD(_Decoder):
    """The subnetwork for small displacements."""

    def __init__(self):
        super().__init__()
        self.conv0 = _conv(6, 64)
        self.conv1, self.conv1_1 = _conv(64, 64, stride=2), _conv(64, 128)
        self.conv2, self.conv2_1 = _conv(128, 128, stride=2), _conv(128, 128)
        self.conv3, self.conv3_1 = _conv(128, 256, stride=2), _conv(256, 256)
        _add_deep_encoder(self)
        self.add_decoder(DECONVS, {5: (1026, 512), 4: (770, 256), 3: (386, 128), 2: (194, 64)},
                         {6: 1024, 5: 512, 4: 256, 3: 128, 2: 64})

    def forward(self, x: Tensor) -> Tensor:
        """Both images [B, 6, H, W] to a flow [B, 2, H / 4, W / 4]."""
        second = self.conv2_1(self.conv2(self.conv1_1(self.conv1(self.conv0(x)))))
        return self.decode({2: second, **_deep_features(self, self.conv3_1(self.conv3(second)))})


class FlowNetFusion(_Decoder):
    """The subnetwork that makes one flow of two."""

    top, bottom = 2, 0

    def __init__(self):
        super().__init__()
        self.conv0 = _conv(11, 64)
        self.conv1, self.conv1_1 = _conv(64, 64, stride=2), _conv(64, 128)
        self.conv2, self.conv2_1 = _conv(128, 128, stride=2), _conv(128, 128)
        self.add_decoder({1: (128, 32), 0: (162, 16)}, {1: (162, 32), 0: (82, 16)}, {2: 128, 1: 32, 0: 16})

    def forward(self, x: Tensor) -> Tensor:
        """[B, 11, H, W] to a flow [B, 2, H, W]."""
        zeroth = self.conv0(x)
        first = self.conv1_1(self.conv1(zeroth))
        return self.decode({0: zeroth, 1: first, 2: self.conv2_1(self.conv2(first))})


class FlowNet2(nn.Module):
    """All subnetworks, one behind the other."""

    def __init__(self):
        super().__init__()
        self.flownetc, self.flownets_1, self.flownets_2 = FlowNetC(), FlowNetS(), FlowNetS()
        self.flownets_d, self.flownetfusion = FlowNetSD(), FlowNetFusion()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The flow [B, 2, H, W] in pixels from one image to another, [B, 3, H, W]; sides are multiples of 64."""
        mean = torch.stack([first, second], 2).mean((2, 3, 4))[..., None, None]
        first, second = first - mean, second - mean
        flow = _enlarged(self.flownetc(first, second) * FLOW_UNIT, "bilinear")
        flow = _enlarged(self.flownets_1(_with_residual(first, second, flow)) * FLOW_UNIT, "bilinear")
        flow = _enlarged(self.flownets_2(_with_residual(first, second, flow)) * FLOW_UNIT, "nearest")
        small = _enlarged(self.flownets_d(torch.cat([first, second], 1)) / FLOW_UNIT, "nearest")
        return self.flownetfusion(torch.cat([
            first, small, flow, _length(small), _length(flow), _length(first - warp(second, small)),
            _length(first - warp(second, flow))], 1))


def _with_residual(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    warped = warp(second, flow)
    return torch.cat([first, second, warped, flow / FLOW_UNIT, _length(first - warped)], 1)


def _length(x: Tensor) -> Tensor:
    return x.square().sum(1, keepdim=True).sqrt()


def _enlarged(flow: Tensor, mode: str) -> Tensor:
    return F.interpolate(flow, scale_factor=4, mode=mode)


def correlation(one: Tensor, other: Tensor, reach: int = 20, step: int = 2) -> Tensor:
    """Means over channels of one(p) other(p + d), zero outside, for displacements d: vertical ones outermost.

    Args:
        one: [B, C, H, W].
        other: the same.
        reach: displacements go from -reach to reach.
        step: from one displacement to the next.
    """
    height, width = one.shape[-2:]
    padded = F.pad(other, [reach] * 4)
    places = range(0, 2 * reach + 1, step)
    return torch.stack([(one * padded[..., y:y + height, x:x + width]).mean(1) for y in places for x in places], 1)
