"""Network modules, and nothing else: no losses, no options, no files.

The U-Nets follow the supplementary material of Lu et al., "Layered Neural Rendering for Retiming People in Video"
(SIGGRAPH Asia 2020). Attribute names are those of the published checkpoints. `L` counts layers from back (0, the
background) to front; colours and alpha are in [-1, 1].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parallel import CpuSyncBatchNorm
from vision.layers.mattes import composite_over

UNET_STRIDE = 32
"""Five stride-2 levels: the network runs on sides that are multiples of this."""


class ConvBlock(nn.Module):
    """Convolution with "same" padding, then optional normalisation and activation.

    Args:
        conv: nn.Conv2d (output side = input side / stride) or nn.ConvTranspose2d (output side = input side * stride).
        norm: normalisation class, called with the number of channels.
    """

    def __init__(self, conv, in_channels, out_channels, kernel_size, stride=1, dilation=1, norm=None, activation=None):
        super().__init__()
        surplus = (kernel_size - 1) * dilation + 1 - stride
        # Even kernels at stride 1 need one more pixel behind than before, which no convolution argument expresses.
        # Padding both sides by the larger number and dropping the first row and column comes to the same, and is
        # cheaper than padding a copy of all input channels.
        self.uneven = surplus % 2 == 1
        self.conv = conv(in_channels, out_channels, kernel_size, stride, padding=(surplus + 1) // 2, dilation=dilation)
        self.norm = norm(out_channels) if norm else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, out_channels, H', W']."""
        x = self.conv(x)
        if self.uneven:
            x = x[..., 1:, 1:]
        if self.norm is not None:
            x = self.norm(x)
        return x if self.activation is None else self.activation(x)


class InstanceNorm(nn.Module):
    """Instance normalisation without parameters: one batch normalisation per item.

    The numbers are those of nn.InstanceNorm2d, which is several times slower on images that are stored with channels
    last, and whose gradient is wrong for a single one of them (seen with PyTorch 2.15 on the CPU).
    """

    def __init__(self, channels):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        return torch.cat([F.batch_norm(item, None, None, training=True) for item in x.split(1)])


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose input may stand for several copies of itself.

    Attributes:
        copies: the running variance is updated as if the input had come this many times in one batch. (Output, gradient
            and running mean are the same anyway; the variance's estimate has n - 1 in its denominator.)
    """

    copies = 1
    momentum: float
    running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        if self.copies == 1 or not self.training:
            return super().forward(x)
        kept = (1 - self.momentum) * self.running_var
        x = super().forward(x)
        n = x.numel() // x.shape[1]
        # The backward pass of an earlier layer does not look at this buffer: .data keeps autograd from objecting.
        self.running_var.data.sub_(kept).mul_(self.copies * (n - 1) / (self.copies * n - 1)).add_(kept)
        return x


class ResBlock(nn.Module):
    """x + f(x) with two 3x3 convolutions, instance normalisation, and no activation after the sum."""

    def __init__(self, channels):
        super().__init__()
        self.convblock1 = ConvBlock(nn.Conv2d, channels, channels, 3, norm=InstanceNorm,
                                    activation=nn.ReLU(inplace=True))
        self.convblock2 = ConvBlock(nn.Conv2d, channels, channels, 3, norm=InstanceNorm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        return x + self.convblock2(self.convblock1(x))


class UNet(nn.Module):
    """Encoder of five stride-2 steps and two further convolutions, decoder of five transposed ones with skips.

    Args:
        in_channels: channels of the input.
        nf: channels after the first and the last step.
        norm: normalisation class of every step but the first.
        bottleneck: (kernel_size, dilation) of the two convolutions at the lowest resolution.
        smooth: blur what each transposed convolution makes, so that it leaves no checkerboard; not as published.
    """

    def __init__(self, in_channels, nf, norm, bottleneck, smooth=False):
        super().__init__()
        self.smooth = smooth
        kernel_size, dilation = bottleneck

        def down(n_in, n_out):
            return ConvBlock(nn.Conv2d, n_in, n_out, 4, stride=2, norm=norm, activation=nn.LeakyReLU(0.2, inplace=True))

        def flat(n_in, n_out):
            return ConvBlock(nn.Conv2d, n_in, n_out, kernel_size, dilation=dilation, norm=norm,
                             activation=nn.LeakyReLU(0.2, inplace=True))

        def up(n_in, n_out):
            return ConvBlock(nn.ConvTranspose2d, n_in, n_out, 4, stride=2, norm=norm, activation=nn.ReLU(inplace=True))

        self.encoder = nn.ModuleList([
            ConvBlock(nn.Conv2d, in_channels, nf, 4, stride=2, activation=nn.ReLU(inplace=True)),
            down(nf, 2 * nf), down(2 * nf, 4 * nf), down(4 * nf, 4 * nf), down(4 * nf, 4 * nf),
            flat(4 * nf, 4 * nf), flat(4 * nf, 4 * nf),
        ])
        self.decoder = nn.ModuleList([
            up(8 * nf, 4 * nf), up(8 * nf, 4 * nf), up(8 * nf, 2 * nf), up(4 * nf, nf), up(2 * nf, nf),
        ])

    def features(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] to [B, nf, H, W]; H and W must be multiples of `UNET_STRIDE`."""
        skips = []
        for i, block in enumerate(self.encoder):
            x = block(x)
            if i < len(self.decoder):
                skips.append(x)
        for block in self.decoder:
            x = block(torch.cat((x, skips.pop()), dim=1))
            x = without_checkerboard(x) if self.smooth else x
        return x


class LayeredRenderer(UNet):
    """The layered neural renderer (model `lnr`): neural texture, U-Net and upsampling module.

    Each layer is rendered by the same network from the texture sampled at the layer's UV map; the layers are then
    composited back to front. Normalisation uses the statistics of the batch, separately in every layer's pass, unless
    the module is in eval mode.

    Args:
        nf: channels after the first step.
        texture_channels: channels C of the neural texture.
        texture_res: side of one atlas tile in texels.
        n_textures: tiles in the atlas, 24 per person and one for the background.
        amp: a type to convolve in, such as torch.bfloat16, or None; texture, the last layer at low resolution and all
            that follows stay in float32.
        smooth: as for `UNet`.
    """

    def __init__(self, nf=64, texture_channels=16, texture_res=16, n_textures=25, amp=None, smooth=False):
        super().__init__(texture_channels + 1, nf, BatchNorm, bottleneck=(4, 2), smooth=smooth)
        self.amp = amp
        self.texture = nn.Parameter(torch.randn(1, texture_channels, texture_res, texture_res * n_textures))
        self.final_rgba = ConvBlock(nn.Conv2d, nf, 4, 4, activation=nn.Tanh())
        self.upsample_block = nn.Sequential(
            ConvBlock(nn.Conv2d, nf + texture_channels + 5, nf, 3, norm=InstanceNorm, activation=nn.ReLU(inplace=True)),
            ResBlock(nf), ResBlock(nf), ResBlock(nf),
            ConvBlock(nn.Conv2d, nf, 4, 3),
        )

    def forward(self, uv_map: Tensor, pids: Tensor, upsample: bool = False,
                crop: tuple[int, int, int, int] | None = None, static_background: bool = False,
                background: Tensor | None = None) -> dict[str, Tensor]:
        """Render all layers and composite them.

        Args:
            uv_map: [B, 2L, H, W] atlas coordinates in [-1, 1], u before v, layers back to front.
            pids: [B, L, H, W] person ids, 0 on the background.
            upsample: render at twice the size through the upsampling module.
            crop: (top, bottom, left, right) in pixels of the doubled image: return only this part (with `upsample`).
            static_background: layer 0 has the same input in all items of the batch, and is rendered once for all.
            background: [B, 4, H, W], the layer 0 of an earlier call with the same input; it is not rendered again.

        Returns:
            layers: [B, L, 4, H, W] straight RGBA in [-1, 1]; the doubled (cropped) size with `upsample`.
            reconstruction: [B, 4, H, W], their composite.
        """
        batch, n_layers = pids.shape[:2]
        layers = [] if background is None else [background]
        for i in range(len(layers), n_layers):
            copies = batch if i == 0 and static_background else 1
            items = slice(batch // copies)
            layer = self.render_layer(uv_map[items, 2 * i:2 * i + 2], pids[items, i:i + 1], upsample, crop, copies)
            layers.append(layer.expand(batch, -1, -1, -1))
        stacked = torch.stack(layers, dim=1)
        return {"layers": stacked, "reconstruction": composite_over(stacked)}

    def render_layer(self, uv: Tensor, pid: Tensor, upsample: bool, crop: tuple[int, int, int, int] | None,
                     copies: int = 1) -> Tensor:
        """One layer: uv [B, 2, H, W] and pid [B, 1, H, W] to straight RGBA [B, 4, H', W'].

        `copies`: how many times the items stand in the batch, for its statistics.
        """
        for norm in self.modules():
            if isinstance(norm, BatchNorm | CpuSyncBatchNorm):
                norm.copies = copies
        height, width = uv.shape[-2:]
        x = pad_to_multiple(torch.cat((self.sample_texture(uv), pid), dim=1), UNET_STRIDE)
        with torch.autocast(x.device.type, self.amp, enabled=self.amp is not None):
            x = self.features(x)
        rgba = self.final_rgba(x.to(uv.dtype))[..., :height, :width]
        return self.upsample(rgba, x[..., :height, :width], uv, pid, crop) if upsample else rgba

    def upsample(self, rgba: Tensor, features: Tensor, uv: Tensor, pid: Tensor,
                 crop: tuple[int, int, int, int] | None) -> Tensor:
        """Double the size of one layer and add the detail that the upsampling module predicts."""
        rgba, features, uv, pid = (doubled(x, crop) for x in (rgba, features, uv, pid))
        x = torch.cat([x.to(features.dtype) for x in (rgba, self.sample_texture(uv), pid, features)], dim=1)
        with torch.autocast(x.device.type, self.amp, enabled=self.amp is not None):
            residual = self.upsample_block(x)
        return (rgba + 0.01 * residual).clamp(-1, 1)

    def sample_texture(self, uv: Tensor) -> Tensor:
        """Bilinear samples [B, C, H, W] of the atlas at uv [B, 2, H, W] in [-1, 1]; zeros outside."""
        texture = self.texture.expand(uv.shape[0], -1, -1, -1)
        return F.grid_sample(texture, uv.permute(0, 2, 3, 1), mode="bilinear", padding_mode="zeros",
                             align_corners=False)

    def zero_output_layer(self) -> None:
        """Let every layer be grey and half transparent, whatever its input: a network that has learned nothing."""
        nn.init.zeros_(self.final_rgba.conv.weight)
        nn.init.zeros_(self.final_rgba.conv.bias)

    def reset_output_layer(self) -> None:
        """Let a zeroed network begin as any other: from zeros Adam would take hundreds of steps to opaque layers."""
        if self.is_untrained():
            self.final_rgba.conv.reset_parameters()

    def is_untrained(self) -> bool:
        """Whether the network has learned nothing since `zero_output_layer`."""
        return not self.final_rgba.conv.weight.any()

    def upsampling_parameters(self) -> list[nn.Parameter]:
        """The parameters trained in the second phase."""
        return list(self.upsample_block.parameters())

    def base_parameters(self) -> list[nn.Parameter]:
        """Texture and U-Net: the parameters trained in the first phase."""
        return [p for name, p in self.named_parameters() if not name.startswith("upsample_block.")]


def without_checkerboard(x: Tensor) -> Tensor:
    """[B, C, H, W] blurred by [1 2 1] / 4 each way, which lets nothing of the highest frequency through.

    Transposed convolutions of stride 2 leave that frequency: their phases have weights of their own (Odena et al.,
    "Deconvolution and Checkerboard Artifacts", 2016; the blur after Sugawara et al., 2019). Weights stay as they are.
    """
    return F.avg_pool2d(F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2, stride=1), 2, stride=1)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the right and bottom edge of [B, C, H, W] until both sides are multiples of `multiple`."""
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def doubled(x: Tensor, crop: tuple[int, int, int, int] | None = None) -> Tensor:
    """Double the size of [B, C, H, W] bilinearly (align_corners False), and crop.

    Args:
        crop: (top, bottom, left, right) in pixels of the doubled image; None: all of it. Only what it needs of `x` is
            enlarged.
    """
    if crop is None:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    top, bottom, left, right = crop
    # Pixels 2k and 2k + 1 of the doubled image lie between k - 1 and k + 1.
    above, before = max(0, (top - 1) // 2), max(0, (left - 1) // 2)
    part = doubled(x[..., above:bottom // 2 + 1, before:right // 2 + 1])
    return part[..., top - 2 * above:bottom - 2 * above, left - 2 * before:right - 2 * before]


def biases_without_effect(network: nn.Module) -> list[nn.Parameter]:
    """Biases of convolutions in front of a normalisation, which takes them away again: their gradient is rounding."""
    return [block.conv.bias for block in network.modules() if isinstance(block, ConvBlock) and block.norm is not None]
