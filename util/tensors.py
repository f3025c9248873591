"""Between 8-bit images and the float tensors in [-1, 1] that models compute with."""

import cv2
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
    levels = image.detach().clamp(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8).cpu().numpy()
    return cv2.merge(list(levels)).reshape(*levels.shape[1:], len(levels))
