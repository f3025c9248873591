"""Warping of image tensors by optical flow, with gradients (`flow.py` warps arrays)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Images sampled bilinearly at p + flow(p); what lies outside is the nearest pixel of the border.

    Args:
        images: [B, C, H, W].
        flow: [B, 2, H, W] in pixels: channel 0 to the right, channel 1 down. Pixel (x, y) has its centre at (x, y), so
            the corners' centres are -1 and 1 (align_corners=True).
    """
    height, width = images.shape[-2:]
    x = torch.linspace(-1, 1, width, dtype=flow.dtype, device=flow.device) + flow[:, 0] * (2 / max(width - 1, 1))
    y = torch.linspace(-1, 1, height, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1] * (
        2 / max(height - 1, 1))
    return F.grid_sample(images, torch.stack([x, y], dim=-1), mode="bilinear", padding_mode="border",
                         align_corners=True)
