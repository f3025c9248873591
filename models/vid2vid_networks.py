"""Generators of frames and discriminators (Wang et al., NeurIPS 2018), and nothing else: no losses, no options.

Names and order of weights are those of the published checkpoints. Images, warped images and tanh outputs are in
[-1, 1]; a flow is in pixels, from the current frame to the one before (`vision/geometry/warp.py`).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.vid2vid_blocks import (
    MapConv2d,
    ReflectionPad,
    blocks,
    conv,
    down,
    downs,
    first,
    halved,
    norm,
    ups,
    wide,
    without_empty,
)
from vision.geometry.warp import warp

FLOW_SCALE = 20.0
"""The coarsest generator's flow is its last convolution times this; each finer one's twice as much."""


class Frame(NamedTuple):
    """What a generator makes of one frame; all at its own resolution.

    Attributes:
        image: [B, 3, H, W], the frame; 4 channels where it is a layer.
        flow: [B, 2, H, W] in pixels, to the frame before; None without flow.
        weight: [B, 1, H, W] in (0, 1), of `raw` against the warped frame before; None without flow.
        raw: [B, 3, H, W], the frame as it is hallucinated, foreground included; `image` itself where nothing is warped.
        img_feat: [B, C, H, W] features for the next finer generator.
        flow_feat: the same; None without flow.
        fg_feat: the same; None without foreground.
    """

    image: Tensor
    flow: Tensor | None
    weight: Tensor | None
    raw: Tensor
    img_feat: Tensor
    flow_feat: Tensor | None
    fg_feat: Tensor | None


def head(features: Tensor, *layers: nn.Sequential) -> Tensor:
    """What the 7x7 convolutions of last layers make of features [B, C, H, W]; channels of one behind the other's.

    Convolutions compute some 16 channels in the time of one, so that a head of one to three wastes most of it. Here
    one convolution of stride 2 computes those of four neighbours, as channels. H and W are even.
    """
    weight, bias = (torch.cat([getattr(layer[1], name) for layer in layers]) for name in ("weight", "bias"))
    shifted = [F.pad(weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
    four = F.conv2d(ReflectionPad(3)(features), torch.stack(shifted, 1).flatten(0, 1), bias.repeat_interleave(4),
                    stride=2)
    return F.pixel_shuffle(four, 2)


class _Generator(nn.Module):
    """What coarse and fine generators share: how flow, weight, hallucination and foreground become a frame."""

    flow_scale: float
    fg: bool
    has_flow: bool
    model_final_img: nn.Sequential
    model_final_flow: nn.Sequential
    model_final_w: nn.Sequential
    indv_final: nn.Sequential

    def compose(self, img_feat, flow_feat, fg_feat, previous, mask, use_raw_only) -> Frame:
        full = previous.dtype  # warps and losses are computed in it, whatever --amp says
        raw = image = head(img_feat, self.model_final_img).to(full).tanh()
        flow = weight = None
        if self.has_flow:
            flow, weight = head(flow_feat, self.model_final_flow, self.model_final_w).to(full).split((2, 1), 1)
            flow, weight = flow * self.flow_scale, weight.sigmoid()
            if not use_raw_only:
                image = weight * raw + (1 - weight) * warp(previous[:, -raw.shape[1]:], flow)
        if self.fg:
            fg = head(fg_feat, self.indv_final).to(full).tanh()
            behind, image = image, mask * fg + (1 - mask) * image
            raw = image if behind is raw else mask * fg + (1 - mask) * raw
        return Frame(image, flow, weight, raw, img_feat, flow_feat, fg_feat)


class CoarseGenerator(_Generator):
    """The generator of the coarsest scale (`composite`).

    Args:
        maps_nc: channels of all maps together.
        previous_nc: channels of all frames before together.
        ngf: width of its first layer.
        n_downsample: stride-2 layers.
        n_blocks: residual blocks.
        kind: normalisation, `batch` or `instance`.
        fg: whether a foreground is made apart, from the maps alone.
        flow: whether the frame before is warped.
        image_nc: channels of a frame: 3, or 4 with an alpha channel.
    """

    def __init__(self, maps_nc, previous_nc, ngf, n_downsample, n_blocks, kind="batch", fg=False, flow=True,
                 image_nc=3):
        super().__init__()
        self.fg, self.has_flow, self.flow_scale = fg, flow, FLOW_SCALE
        top = ngf * 2**n_downsample
        if fg:
            ngf_fg = ngf // 2 if n_downsample > 2 else ngf
            self.indv_down = nn.Sequential(*first(maps_nc, ngf_fg, kind), *downs(ngf_fg, n_downsample, kind))
            self.indv_res = nn.Sequential(*blocks(ngf_fg * 2**n_downsample, n_blocks, kind))
            self.indv_up = nn.Sequential(*ups(ngf_fg, n_downsample, kind))
            self.indv_final = nn.Sequential(*wide(ngf_fg, image_nc), nn.Tanh())

        def encoder(channels):
            return nn.Sequential(*first(channels, ngf, kind), *downs(ngf, n_downsample, kind),
                                 *blocks(top, n_blocks - n_blocks // 2, kind))

        self.model_down_seg = encoder(maps_nc)
        self.model_down_img = encoder(previous_nc)
        self.model_res_img = nn.Sequential(*blocks(top, n_blocks // 2, kind))
        self.model_up_img = nn.Sequential(*ups(ngf, n_downsample, kind))
        self.model_final_img = nn.Sequential(*wide(ngf, image_nc), nn.Tanh())
        if flow:
            self.model_res_flow = nn.Sequential(*blocks(top, n_blocks // 2, kind))
            self.model_up_flow = nn.Sequential(*ups(ngf, n_downsample, kind))
            self.model_final_flow = nn.Sequential(*wide(ngf, 2))
            self.model_final_w = nn.Sequential(*wide(ngf, 1), nn.Sigmoid())

    def forward(self, maps: Tensor, previous: Tensor, mask: Tensor | None = None, coarser: Frame | None = None,
                use_raw_only: bool = False) -> Frame:
        """Make a frame.

        Args:
            maps: [B, maps_nc, H, W], those of earlier frames first.
            previous: [B, previous_nc, H, W] in [-1, 1], the oldest frame first.
            mask: [B, 1, H, W] in [0, 1], where the foreground is.
            coarser: not used.
            use_raw_only: do not use the frame before.
        """
        trunk = self.model_down_seg(maps) + self.model_down_img(previous)
        img_feat = self.model_up_img(self.model_res_img(trunk))
        flow_feat = self.model_up_flow(self.model_res_flow(trunk)) if self.has_flow else None
        fg_feat = self.indv_up(self.indv_res(self.indv_down(maps))) if self.fg else None
        return self.compose(img_feat, flow_feat, fg_feat, previous, mask, use_raw_only)


class UNetGenerator(_Generator):
    """A generator of the coarsest scale that learns sooner than the published one (`unet`).

    Features of each resolution go on to where the frame is made at it (Ronneberger et al., "U-Net", 2015), so that
    edges of maps and of frames before need not pass the coarsest resolution; features are enlarged and then convolved,
    which leaves no chequers (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016); maps and frames before
    share one encoder, and image, flow and weight one decoder.

    Args:
        maps_nc, previous_nc, ngf, n_downsample, n_blocks, kind, flow, image_nc: as for `CoarseGenerator`.
    """

    fg = False

    def __init__(self, maps_nc, previous_nc, ngf, n_downsample, n_blocks, kind="batch", flow=True, image_nc=3):
        super().__init__()
        self.has_flow, self.flow_scale = flow, FLOW_SCALE
        widths = [ngf * 2**i for i in range(n_downsample + 1)]
        self.first = nn.Sequential(MapConv2d(maps_nc + previous_nc, ngf, 3, padding=1, padding_mode="reflect"),
                                   norm(kind, ngf), nn.ReLU(True))
        self.down = nn.ModuleList([nn.Sequential(*down(*pair, kind)) for pair in zip(widths, widths[1:])])
        self.blocks = nn.Sequential(*blocks(widths[-1], n_blocks, kind))
        self.up = nn.ModuleList([conv(coarse + fine, fine, kind) for fine, coarse in zip(widths, widths[1:])])
        self.model_final_img = nn.Sequential(*wide(ngf, image_nc), nn.Tanh())
        if flow:
            self.model_final_flow = nn.Sequential(*wide(ngf, 2))
            self.model_final_w = nn.Sequential(*wide(ngf, 1), nn.Sigmoid())

    def forward(self, maps: Tensor, previous: Tensor, mask: Tensor | None = None, coarser: Frame | None = None,
                use_raw_only: bool = False) -> Frame:
        """Make a frame; as for `CoarseGenerator`."""
        levels = [self.first(torch.cat([maps, previous], 1))]
        for halve in self.down:
            levels.append(halve(levels[-1]))
        x = self.blocks(levels.pop())
        for up, skipped in zip(reversed(self.up), reversed(levels)):
            x = up(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skipped], 1))
        return self.compose(x, x if self.has_flow else None, None, previous, mask, use_raw_only)


class FineGenerator(_Generator):
    """A generator of a finer scale (`compositeLocal`), which goes on from the features of the scale before.

    Args:
        maps_nc: channels of all maps together.
        previous_nc: channels of all frames before together.
        ngf: width of the coarsest generator's first layer.
        scale: 1 for the first one that is finer, and so on.
        n_blocks: residual blocks.
        kind: normalisation, `batch` or `instance`.
        narrow_fg: whether the foreground's layers are half as wide.
        fg: whether a foreground is made apart.
        flow: whether the frame before is warped.
        image_nc: channels of a frame: 3, or 4 with an alpha channel.
    """

    def __init__(self, maps_nc, previous_nc, ngf, scale, n_blocks, kind="batch", narrow_fg=True, fg=False, flow=True,
                 image_nc=3):
        super().__init__()
        self.fg, self.has_flow, self.flow_scale = fg, flow, FLOW_SCALE * 2**scale
        ngf = ngf // 2**scale

        def encoder(channels, width):
            return nn.Sequential(*first(channels, width, kind), *downs(width, 1, kind))

        def decoder(width):
            return nn.Sequential(*blocks(2 * width, n_blocks, kind), *ups(width, 1, kind))

        if fg:
            ngf_fg = ngf // 2 if narrow_fg else ngf
            self.indv_down = encoder(maps_nc, ngf_fg)
            self.indv_up = decoder(ngf_fg)
            self.indv_final = nn.Sequential(*wide(ngf_fg, image_nc), nn.Tanh())
        self.model_down_seg = encoder(maps_nc, ngf)
        self.model_down_img = encoder(previous_nc, ngf)
        self.model_up_img = decoder(ngf)
        self.model_final_img = nn.Sequential(*wide(ngf, image_nc), nn.Tanh())
        if flow:
            self.model_up_flow = decoder(ngf)
            self.model_final_flow = nn.Sequential(*wide(ngf, 2))
            self.model_final_w = nn.Sequential(*wide(ngf, 1), nn.Sigmoid())

    def forward(self, maps: Tensor, previous: Tensor, mask: Tensor | None = None, coarser: Frame | None = None,
                use_raw_only: bool = False) -> Frame:
        """Make a frame; as for `CoarseGenerator`, and `coarser` is what the scale before made."""
        assert coarser is not None
        down = self.model_down_seg(maps) + self.model_down_img(previous)
        img_feat = self.model_up_img(down + coarser.img_feat)
        flow_feat = self.model_up_flow(down + coarser.flow_feat) if self.has_flow else None
        fg_feat = self.indv_up(self.indv_down(maps) + coarser.fg_feat) if self.fg else None
        return self.compose(img_feat, flow_feat, fg_feat, previous, mask, use_raw_only)


class MultiScaleDiscriminator(nn.Module):
    """PatchGAN discriminators of an image at several sizes; the one with the highest index sees it in full size.

    Args:
        in_channels: of its input.
        ndf: width; that of the discriminator i is min(64, ndf * 2^(num_D-1-i)).
        n_layers: stride-2 layers of each.
        num_D: their number.
        kind: normalisation, `batch` or `instance`.
        features: give the activations of all layers, not only the last.
    """

    def __init__(self, in_channels, ndf, n_layers, num_D, kind="batch", features=True):
        super().__init__()
        self.num_D, self.n_layers, self.features = num_D, n_layers, features
        for i in range(num_D):
            width = min(64, ndf * 2**(num_D - 1 - i))
            layers = self._layers(in_channels, width, n_layers, kind)
            if features:
                for j, layer in enumerate(layers):
                    self.add_module(f"scale{i}_layer{j}", nn.Sequential(*layer))
            else:
                self.add_module(f"layer{i}", nn.Sequential(*[module for layer in layers for module in layer]))

    @staticmethod
    def _layers(in_channels, width, n_layers, kind) -> list[list[nn.Module]]:
        layers = [[MapConv2d(in_channels, width, 4, stride=2, padding=2), nn.LeakyReLU(0.2, True)]]
        for j in range(1, n_layers + 1):
            before, width = width, min(2 * width, 512)
            layers.append([nn.Conv2d(before, width, 4, stride=2 if j < n_layers else 1, padding=2), norm(kind, width),
                           nn.LeakyReLU(0.2, True)])
        return [*layers, [nn.Conv2d(width, 1, 4, stride=1, padding=2)]]

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """[B, C, H, W] to a list over sizes, the full one first; of each, the layers' activations, or only the last."""
        made = []
        x, places = without_empty(x)
        x = x.contiguous(memory_format=torch.channels_last)
        for i in reversed(range(self.num_D)):
            name = f"scale{i}_layer0" if self.features else f"layer{i}"
            first, *others = getattr(self, name)
            activations = [first.of_some(x, places)]
            for layer in others:
                activations[0] = layer(activations[0])
            if self.features:
                for j in range(1, self.n_layers + 2):
                    activations.append(getattr(self, f"scale{i}_layer{j}")(activations[-1]))
            made.append(activations)
            if i:
                x = halved(x)
        return made
