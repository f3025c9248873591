"""Layers that networks of video-to-video synthesis are made of, as the published program draws and numbers them.

Every convolution has a bias, also in front of a normalisation. The published program normalises with the statistics of
what it sees, always, at test time too. `kind` is that of the normalisation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


def wide(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 7x7 convolution, the last one of a network."""
    return [ReflectionPad(3), nn.Conv2d(in_channels, out_channels, 7)]


def first(in_channels: int, out_channels: int, kind: str) -> list[nn.Module]:
    """A 7x7 convolution of maps or frames, the first one of a network; layers have the published numbers."""
    return [nn.Identity(), MapConv2d(in_channels, out_channels, 7, padding=3, padding_mode="reflect"),
            norm(kind, out_channels), nn.ReLU(True)]


def down(in_channels: int, out_channels: int, kind: str) -> list[nn.Module]:
    """Half the resolution."""
    return [nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1), norm(kind, out_channels), nn.ReLU(True)]


def up(in_channels: int, out_channels: int, kind: str) -> list[nn.Module]:
    """Twice the resolution."""
    return [nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
            norm(kind, out_channels), nn.ReLU(True)]


def conv(in_channels: int, out_channels: int, kind: str) -> nn.Sequential:
    """A 3x3 convolution."""
    return nn.Sequential(ReflectionPad(1), nn.Conv2d(in_channels, out_channels, 3), norm(kind, out_channels),
                         nn.ReLU(True))


def downs(channels: int, n: int, kind: str, most: int = 10**9) -> list[nn.Module]:
    """`n` times half the resolution and twice the channels, but at most so many."""
    return [m for i in range(n) for m in down(min(most, channels * 2**i), min(most, channels * 2**(i + 1)), kind)]


def ups(channels: int, n: int, kind: str, most: int = 10**9) -> list[nn.Module]:
    """`downs` backwards: to `channels`."""
    return [m for i in reversed(range(n))
            for m in up(min(most, channels * 2**(i + 1)), min(most, channels * 2**i), kind)]


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


def blocks(channels: int, n: int, kind: str) -> list[nn.Module]:
    """`n` residual blocks."""
    return [ResnetBlock(channels, kind) for _ in range(n)]
