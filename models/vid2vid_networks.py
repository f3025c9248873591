"""Network modules of video-to-video synthesis (Wang et al., NeurIPS 2018), and nothing else: no losses, no options.

Names and order of weights are those of the published checkpoints. Images, warped images and tanh outputs are in
[-1, 1]; a flow is in pixels, from the current frame to the one before (`vision/geometry/warp.py`). Every convolution
has a bias, also in front of a normalisation. The published program normalises with the statistics of what it sees,
always, at test time too.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision.geometry.warp import warp

FLOW_SCALE = 20.0
"""The coarsest generator's flow is its last convolution times this; each finer one's twice as much."""
MOST_CHANNELS_SINGLE = 1024


def norm(kind: str, channels: int) -> nn.Module:
    """Normalisation `batch`, or `instance` (no parameters, but running statistics, which published files hold)."""
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=False, track_running_stats=True)
    return nn.BatchNorm2d(channels)


def initialise(network: nn.Module) -> nn.Module:
    """Draw first weights as published: N(0, 0.02) in convolutions, N(1, 0.02) in batch normalisations."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
    return network


def halved(x: Tensor) -> Tensor:
    """[B, C, H, W] at half the size: means of 3x3 pixels, at the border of those that are there."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


class ReflectionPad(nn.ReflectionPad2d):
    """Pads in the precision of what it gets; autocast would do it in 32 bits."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] with as many rows and columns more on each side."""
        if x.dtype not in (torch.bfloat16, torch.float16):
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x)


def without_empty(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """What is left of [B, C, H, W] without channels that are 0 everywhere, and their places; None: all stay.

    In label maps these are most: those of labels that are not there. On a GPU all stay: it would have to be waited for.
    """
    if x.device.type != "cpu":
        return x, None
    of_channels = x.detach().flatten(2)
    places = (of_channels.amax((0, 2)).ne(0) | of_channels.amin((0, 2)).ne(0)).nonzero()[:, 0]
    return (x.index_select(1, places), places) if 0 < len(places) < x.shape[1] else (x, None)


class MapConv2d(nn.Conv2d):
    """A convolution that leaves out empty channels of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] as any convolution."""
        return self.of_some(*without_empty(x))

    def of_some(self, x: Tensor, places: Tensor | None) -> Tensor:
        """The same of what `without_empty` gives."""
        if places is None:
            return super().forward(x)
        x = x.contiguous(memory_format=torch.channels_last)
        return self._conv_forward(x, self.weight.index_select(1, places), self.bias)


def _wide(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [ReflectionPad(3), nn.Conv2d(in_channels, out_channels, 7)]


def _first(in_channels: int, out_channels: int, kind: str) -> list[nn.Module]:
    return [nn.Identity(), MapConv2d(in_channels, out_channels, 7, padding=3, padding_mode="reflect"),
            norm(kind, out_channels), nn.ReLU(True)]


def _down(in_channels: int, out_channels: int, kind: str) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1), norm(kind, out_channels), nn.ReLU(True)]


def _up(in_channels: int, out_channels: int, kind: str) -> list[nn.Module]:
    return [nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
            norm(kind, out_channels), nn.ReLU(True)]


def _conv(in_channels: int, out_channels: int, kind: str) -> nn.Sequential:
    return nn.Sequential(ReflectionPad(1), nn.Conv2d(in_channels, out_channels, 3), norm(kind, out_channels),
                         nn.ReLU(True))


def _downs(channels: int, n: int, kind: str, most: int = 10**9) -> list[nn.Module]:
    return [m for i in range(n) for m in _down(min(most, channels * 2**i), min(most, channels * 2**(i + 1)), kind)]


def _ups(channels: int, n: int, kind: str, most: int = 10**9) -> list[nn.Module]:
    return [m for i in reversed(range(n))
            for m in _up(min(most, channels * 2**(i + 1)), min(most, channels * 2**i), kind)]


class ResnetBlock(nn.Module):
    """x plus two 3x3 convolutions of it."""

    def __init__(self, channels, kind):
        super().__init__()
        self.conv_block = nn.Sequential(
            ReflectionPad(1), nn.Conv2d(channels, channels, 3), norm(kind, channels), nn.ReLU(True),
            ReflectionPad(1), nn.Conv2d(channels, channels, 3), norm(kind, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        return x + self.conv_block(x)


def _blocks(channels: int, n: int, kind: str) -> list[nn.Module]:
    return [ResnetBlock(channels, kind) for _ in range(n)]


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
            self.indv_down = nn.Sequential(*_first(maps_nc, ngf_fg, kind), *_downs(ngf_fg, n_downsample, kind))
            self.indv_res = nn.Sequential(*_blocks(ngf_fg * 2**n_downsample, n_blocks, kind))
            self.indv_up = nn.Sequential(*_ups(ngf_fg, n_downsample, kind))
            self.indv_final = nn.Sequential(*_wide(ngf_fg, image_nc), nn.Tanh())

        def encoder(channels):
            return nn.Sequential(*_first(channels, ngf, kind), *_downs(ngf, n_downsample, kind),
                                 *_blocks(top, n_blocks - n_blocks // 2, kind))

        self.model_down_seg = encoder(maps_nc)
        self.model_down_img = encoder(previous_nc)
        self.model_res_img = nn.Sequential(*_blocks(top, n_blocks // 2, kind))
        self.model_up_img = nn.Sequential(*_ups(ngf, n_downsample, kind))
        self.model_final_img = nn.Sequential(*_wide(ngf, image_nc), nn.Tanh())
        if flow:
            self.model_res_flow = nn.Sequential(*_blocks(top, n_blocks // 2, kind))
            self.model_up_flow = nn.Sequential(*_ups(ngf, n_downsample, kind))
            self.model_final_flow = nn.Sequential(*_wide(ngf, 2))
            self.model_final_w = nn.Sequential(*_wide(ngf, 1), nn.Sigmoid())

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
        self.down = nn.ModuleList([nn.Sequential(*_down(*pair, kind)) for pair in zip(widths, widths[1:])])
        self.blocks = nn.Sequential(*_blocks(widths[-1], n_blocks, kind))
        self.up = nn.ModuleList([_conv(coarse + fine, fine, kind) for fine, coarse in zip(widths, widths[1:])])
        self.model_final_img = nn.Sequential(*_wide(ngf, image_nc), nn.Tanh())
        if flow:
            self.model_final_flow = nn.Sequential(*_wide(ngf, 2))
            self.model_final_w = nn.Sequential(*_wide(ngf, 1), nn.Sigmoid())

    def forward(self, maps: Tensor, previous: Tensor, mask: Tensor | None = None, coarser: Frame | None = None,
                use_raw_only: bool = False) -> Frame:
        """Make a frame; as for `CoarseGenerator`."""
        levels = [self.first(torch.cat([maps, previous], 1))]
        for down in self.down:
            levels.append(down(levels[-1]))
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
            return nn.Sequential(*_first(channels, width, kind), *_downs(width, 1, kind))

        def decoder(width):
            return nn.Sequential(*_blocks(2 * width, n_blocks, kind), *_ups(width, 1, kind))

        if fg:
            ngf_fg = ngf // 2 if narrow_fg else ngf
            self.indv_down = encoder(maps_nc, ngf_fg)
            self.indv_up = decoder(ngf_fg)
            self.indv_final = nn.Sequential(*_wide(ngf_fg, image_nc), nn.Tanh())
        self.model_down_seg = encoder(maps_nc, ngf)
        self.model_down_img = encoder(previous_nc, ngf)
        self.model_up_img = decoder(ngf)
        self.model_final_img = nn.Sequential(*_wide(ngf, image_nc), nn.Tanh())
        if flow:
            self.model_up_flow = decoder(ngf)
            self.model_final_flow = nn.Sequential(*_wide(ngf, 2))
            self.model_final_w = nn.Sequential(*_wide(ngf, 1), nn.Sigmoid())

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


# Generators of single images (pix2pixHD), which make the first frame of a video.


def _global_layers(in_channels, ngf, n_downsample, n_blocks, kind) -> list[nn.Module]:
    most = MOST_CHANNELS_SINGLE
    return [*_first(in_channels, ngf, kind), *_downs(ngf, n_downsample, kind, most),
            *_blocks(min(most, ngf * 2**n_downsample), n_blocks, kind), *_ups(ngf, n_downsample, kind, most)]


class GlobalGenerator(nn.Module):
    """A generator of single images (`global`)."""

    def __init__(self, in_channels, ngf=64, n_downsample=3, n_blocks=9, kind="instance", image_nc=3):
        super().__init__()
        self.model = nn.Sequential(*_global_layers(in_channels, ngf, n_downsample, n_blocks, kind),
                                   *_wide(ngf, image_nc), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, image_nc, H, W] in [-1, 1]."""
        return self.model(x)


class LocalEnhancer(nn.Module):
    """A global generator at a low resolution, and enhancers that double it (`local`)."""

    def __init__(self, in_channels, ngf=32, n_downsample=3, n_blocks=9, n_enhancers=1, n_blocks_local=3,
                 kind="instance", image_nc=3):
        super().__init__()
        self.n_enhancers = n_enhancers
        self.model = nn.Sequential(*_global_layers(in_channels, ngf * 2**n_enhancers, n_downsample, n_blocks, kind))
        for n in range(1, n_enhancers + 1):
            width = ngf * 2**(n_enhancers - n)
            self.add_module(f"model{n}_1", nn.Sequential(*_first(in_channels, width, kind), *_downs(width, 1, kind)))
            last = [*_wide(ngf, image_nc), nn.Tanh()] if n == n_enhancers else []
            self.add_module(f"model{n}_2", nn.Sequential(*_blocks(2 * width, n_blocks_local, kind),
                                                         *_ups(width, 1, kind), *last))

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, image_nc, H, W] in [-1, 1]."""
        inputs = [x]
        for _ in range(self.n_enhancers):
            inputs.append(halved(inputs[-1]))
        made = self.model(inputs.pop())
        for n in range(1, self.n_enhancers + 1):
            made = getattr(self, f"model{n}_2")(getattr(self, f"model{n}_1")(inputs.pop()) + made)
        return made


class GlobalGeneratorWithFeatures(nn.Module):
    """A generator of single images that sees a feature map at both ends (`global_with_features`)."""

    def __init__(self, in_channels, features_nc, ngf=64, n_downsample=3, n_blocks=9, kind="instance"):
        super().__init__()
        self.n_downsample = n_downsample
        _add_generator_with_features(self, in_channels, features_nc, ngf, n_downsample, n_blocks, kind)
        self.model_upsample_conv = nn.Sequential(*_wide(ngf + features_nc, 3), nn.Tanh())

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """[B, in_channels, H, W] and [B, features_nc, H, W] to [B, 3, H, W] in [-1, 1]."""
        return self.model_upsample_conv(torch.cat([_run_with_features(self, x, features), features], 1))


class LocalEnhancerWithFeatures(nn.Module):
    """`LocalEnhancer` that sees a feature map (`local_with_features`)."""

    def __init__(self, in_channels, features_nc, ngf=32, n_downsample=3, n_blocks=9, n_enhancers=1, n_blocks_local=3,
                 kind="instance"):
        super().__init__()
        self.n_enhancers, self.n_downsample = n_enhancers, n_downsample
        _add_generator_with_features(self, in_channels, features_nc, ngf * 2**n_enhancers, n_downsample, n_blocks, kind)
        for n in range(1, n_enhancers + 1):
            width = ngf * 2**(n_enhancers - n)
            self.add_module(f"model{n}_1", nn.Sequential(*_first(in_channels + features_nc, width, kind),
                                                         *_downs(width, 1, kind)))
            inside = 2 * width + features_nc
            self.add_module(f"model{n}_2", nn.Sequential(*_blocks(inside, n_blocks_local, kind),
                                                         *_up(inside, width, kind)))
        self.model_final = nn.Sequential(*_wide(ngf + features_nc, 3), nn.Tanh())

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """[B, in_channels, H, W] and [B, features_nc, H, W] to [B, 3, H, W] in [-1, 1]."""
        inputs = [(x, features)]
        for _ in range(self.n_enhancers):
            inputs.append((halved(inputs[-1][0]), halved(inputs[-1][1])))
        coarse_x, coarse_features = inputs.pop()
        made = _run_with_features(self, coarse_x, coarse_features)
        for n in range(1, self.n_enhancers + 1):
            fine_x, fine_features = inputs.pop()
            down = getattr(self, f"model{n}_1")(torch.cat([fine_x, fine_features], 1)) + made
            made = getattr(self, f"model{n}_2")(torch.cat([down, coarse_features], 1))
            coarse_features = fine_features
        return self.model_final(torch.cat([made, features], 1))


def _add_generator_with_features(to, in_channels, features_nc, ngf, n_downsample, n_blocks, kind) -> None:
    most = MOST_CHANNELS_SINGLE
    widths = [min(most, ngf * 2**i) for i in range(n_downsample + 1)]
    to.model_downsample = nn.Sequential(*_first(in_channels + features_nc, ngf, kind),
                                        *_downs(ngf, n_downsample, kind, most))
    to.model_resnet = nn.Sequential(*_blocks(widths[-1] + features_nc, n_blocks, kind))
    to.model_upsample = nn.Sequential(*_up(widths[-1] + 2 * features_nc, widths[-2], kind),
                                      *_ups(ngf, n_downsample - 1, kind, most))


def _run_with_features(net, x: Tensor, features: Tensor) -> Tensor:
    small = features
    for _ in range(net.n_downsample):
        small = halved(small)
    bottom = torch.cat([net.model_downsample(torch.cat([x, features], 1)), small], 1)
    return net.model_upsample(torch.cat([net.model_resnet(bottom), small], 1))


class Encoder(nn.Module):
    """Features of an image, the same everywhere in a region (`encoder`)."""

    def __init__(self, in_channels, out_channels, ngf=16, n_downsample=4, kind="instance"):
        super().__init__()
        self.model = nn.Sequential(*_first(in_channels, ngf, kind), *_downs(ngf, n_downsample, kind),
                                   *_ups(ngf, n_downsample, kind), *_wide(ngf, out_channels), nn.Tanh())

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        """[B, in_channels, H, W] and region numbers [B, 1, H, W] to [B, out_channels, H, W]: means over regions."""
        return torch.stack([region_means(item, number) for item, number in zip(self.model(x), regions[:, 0])])


def region_means(x: Tensor, regions: Tensor) -> Tensor:
    """[C, H, W] with each pixel replaced by the mean of its region, the pixels of the same number in [H, W]."""
    numbers, place = regions.reshape(-1).unique(return_inverse=True)
    flat = x.reshape(len(x), -1)
    sums = flat.new_zeros(len(x), len(numbers)).index_add_(1, place, flat)
    return (sums / torch.bincount(place))[:, place].view_as(x)
