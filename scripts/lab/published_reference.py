"""The layered neural renderer computed as it was published, plainly: what speed is measured against.

Explicit padding and cropping around every convolution, the memory layout that torch chooses, one layer after another,
the whole picture enlarged before it is cropped, 32-bit floats, the allocator as it is. The numbers are those of
`models.networks.LayeredRenderer`, whose weights it takes; it is not there to be used.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Convolution to exactly 1/stride of the size (or stride times it, where transposed), norm and activation."""

    def __init__(self, n_in, n_out, kernel_size, stride=1, dilation=1, transposed=False, norm=None, activation=None):
        super().__init__()
        self.kernel_size, self.stride, self.dilation, self.transposed = kernel_size, stride, dilation, transposed
        conv = nn.ConvTranspose2d if transposed else nn.Conv2d
        self.conv = conv(n_in, n_out, kernel_size, stride, dilation=dilation)
        self.norm = norm(n_out) if norm else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[B, n_in, H, W] to [B, n_out, H', W']."""
        height, width = x.shape[-2:]
        if self.transposed:
            x = self.conv(x)
            top, left = (x.shape[-2] - self.stride * height) // 2, (x.shape[-1] - self.stride * width) // 2
            x = x[..., top:top + self.stride * height, left:left + self.stride * width]
        else:
            reach = (self.kernel_size - 1) * self.dilation + 1 - self.stride
            x = self.conv(F.pad(x, (reach // 2, reach - reach // 2, reach // 2, reach - reach // 2)))
        x = self.norm(x) if self.norm else x
        return self.activation(x) if self.activation else x


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, nf):
        super().__init__()
        self.convblock1 = Block(nf, nf, 3, norm=nn.InstanceNorm2d, activation=nn.ReLU())
        self.convblock2 = Block(nf, nf, 3, norm=nn.InstanceNorm2d)

    def forward(self, x: Tensor) -> Tensor:
        """[B, nf, H, W] to the same shape."""
        return x + self.convblock2(self.convblock1(x))


class PublishedRenderer(nn.Module):
    """Texture, U-Net and upsampling module; names of weights, arguments and outputs as `LayeredRenderer` has them."""

    def __init__(self, nf=64, texture_channels=16, texture_res=16, n_textures=25):
        super().__init__()
        self.texture = nn.Parameter(torch.randn(1, texture_channels, texture_res, texture_res * n_textures))

        def down(n_in, n_out):
            return Block(n_in, n_out, 4, stride=2, norm=nn.BatchNorm2d, activation=nn.LeakyReLU(0.2))

        def dilated(n):
            return Block(n, n, 4, dilation=2, norm=nn.BatchNorm2d, activation=nn.LeakyReLU(0.2))

        def up(n_in, n_out):
            return Block(n_in, n_out, 4, stride=2, transposed=True, norm=nn.BatchNorm2d, activation=nn.ReLU())

        self.encoder = nn.ModuleList([
            Block(texture_channels + 1, nf, 4, stride=2, activation=nn.ReLU()), down(nf, 2 * nf), down(2 * nf, 4 * nf),
            down(4 * nf, 4 * nf), down(4 * nf, 4 * nf), dilated(4 * nf), dilated(4 * nf)])
        self.decoder = nn.ModuleList([
            up(8 * nf, 4 * nf), up(8 * nf, 4 * nf), up(8 * nf, 2 * nf), up(4 * nf, nf), up(2 * nf, nf)])
        self.final_rgba = Block(nf, 4, 4, activation=nn.Tanh())
        self.upsample_block = nn.Sequential(
            Block(nf + texture_channels + 5, nf, 3, norm=nn.InstanceNorm2d, activation=nn.ReLU()),
            Residual(nf), Residual(nf), Residual(nf), Block(nf, 4, 3))

    def forward(self, uv_map: Tensor, pids: Tensor, upsample=False, crop=None) -> dict[str, Tensor]:
        """[B, 2L, H, W] and [B, L, H, W] to `layers` [B, L, 4, H', W'] and `reconstruction` [B, 4, H', W']."""
        layers = []
        for i in range(pids.shape[1]):
            layers.append(self.layer(uv_map[:, 2 * i:2 * i + 2], pids[:, i:i + 1], upsample, crop))
        composite = layers[0]
        for layer in layers[1:]:
            opacity = (layer[:, 3:] + 1) / 2
            composite = layer * opacity + composite * (1 - opacity)
        return {"layers": torch.stack(layers, dim=1), "reconstruction": composite}

    def layer(self, uv: Tensor, pid: Tensor, upsample: bool, crop) -> Tensor:
        """RGBA of one layer."""
        x = torch.cat((self.sample(uv), pid), dim=1)
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        for block, skip in zip(self.decoder, reversed(skips[:5])):
            x = block(torch.cat((x, skip), dim=1))
        rgba = self.final_rgba(x)
        if not upsample:
            return rgba
        uv, pid, rgba, x = (F.interpolate(y, scale_factor=2, mode="bilinear") for y in (uv, pid, rgba, x))
        x = torch.cat((rgba, self.sample(uv), pid, x), dim=1)
        if crop is not None:
            x, rgba = (y[..., crop[0]:crop[1], crop[2]:crop[3]] for y in (x, rgba))
        return (rgba + 0.01 * self.upsample_block(x)).clamp(-1, 1)

    def sample(self, uv: Tensor) -> Tensor:
        """The texture at uv."""
        return F.grid_sample(self.texture.expand(len(uv), -1, -1, -1), uv.permute(0, 2, 3, 1), align_corners=False)
