"""Generators of single images (pix2pixHD: Wang et al., CVPR 2018), which make the first frame of a video.

Names and order of weights are those of the published checkpoints; images are in [-1, 1].
"""

import torch
from torch import Tensor, nn

from models.vid2vid_blocks import blocks, downs, first, halved, up, ups, wide

MOST_CHANNELS = 1024


def _global_layers(in_channels, ngf, n_downsample, n_blocks, kind) -> list[nn.Module]:
    most = MOST_CHANNELS
    return [*first(in_channels, ngf, kind), *downs(ngf, n_downsample, kind, most),
            *blocks(min(most, ngf * 2**n_downsample), n_blocks, kind), *ups(ngf, n_downsample, kind, most)]


class GlobalGenerator(nn.Module):
    """A generator of single images (`global`)."""

    def __init__(self, in_channels, ngf=64, n_downsample=3, n_blocks=9, kind="instance", image_nc=3):
        super().__init__()
        self.model = nn.Sequential(*_global_layers(in_channels, ngf, n_downsample, n_blocks, kind),
                                   *wide(ngf, image_nc), nn.Tanh())

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
            self.add_module(f"model{n}_1", nn.Sequential(*first(in_channels, width, kind), *downs(width, 1, kind)))
            last = [*wide(ngf, image_nc), nn.Tanh()] if n == n_enhancers else []
            self.add_module(f"model{n}_2", nn.Sequential(*blocks(2 * width, n_blocks_local, kind),
                                                         *ups(width, 1, kind), *last))

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
        self.model_upsample_conv = nn.Sequential(*wide(ngf + features_nc, 3), nn.Tanh())

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
            self.add_module(f"model{n}_1", nn.Sequential(*first(in_channels + features_nc, width, kind),
                                                         *downs(width, 1, kind)))
            inside = 2 * width + features_nc
            self.add_module(f"model{n}_2", nn.Sequential(*blocks(inside, n_blocks_local, kind),
                                                         *up(inside, width, kind)))
        self.model_final = nn.Sequential(*wide(ngf + features_nc, 3), nn.Tanh())

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
    most = MOST_CHANNELS
    widths = [min(most, ngf * 2**i) for i in range(n_downsample + 1)]
    to.model_downsample = nn.Sequential(*first(in_channels + features_nc, ngf, kind),
                                        *downs(ngf, n_downsample, kind, most))
    to.model_resnet = nn.Sequential(*blocks(widths[-1] + features_nc, n_blocks, kind))
    to.model_upsample = nn.Sequential(*up(widths[-1] + 2 * features_nc, widths[-2], kind),
                                      *ups(ngf, n_downsample - 1, kind, most))


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
        self.model = nn.Sequential(*first(in_channels, ngf, kind), *downs(ngf, n_downsample, kind),
                                   *ups(ngf, n_downsample, kind), *wide(ngf, out_channels), nn.Tanh())

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        """[B, in_channels, H, W] and region numbers [B, 1, H, W] to [B, out_channels, H, W]: means over regions."""
        return torch.stack([region_means(item, number) for item, number in zip(self.model(x), regions[:, 0])])


def region_means(x: Tensor, regions: Tensor) -> Tensor:
    """[C, H, W] with each pixel replaced by the mean of its region, the pixels of the same number in [H, W]."""
    numbers, place = regions.reshape(-1).unique(return_inverse=True)
    flat = x.reshape(len(x), -1)
    sums = flat.new_zeros(len(x), len(numbers)).index_add_(1, place, flat)
    return (sums / torch.bincount(place))[:, place].view_as(x)
