"""Between 8-bit images and the float tensors in [-1, 1] that models compute with."""

import numpy as np
import torch
from torch import Tensor


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [H, W, C] or [H, W] to float32 [C, H, W] in [-1, 1]."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32)) / 127.5 - 1


def to_pixels(image: Tensor) -> np.ndarray:
    """Float [C, H, W] in [-1, 1] (clamped) to uint8 [H, W, C], rounded to the nearest level."""
    scaled = (image.detach().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
