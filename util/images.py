"""8-bit images at the edges of the program; float tensors in [-1, 1] inside it.

Arrays are uint8 [H, W, C] (or [H, W] for one channel), colours in RGB order, alpha straight (not premultiplied).
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from util.errors import UserError
from util.files import written_atomically


def read_image(path: Path | str, mode: str) -> np.ndarray:
    """Read an image as uint8 [H, W, C], or [H, W] for mode "L".

    Args:
        mode: a Pillow mode, "RGB", "RGBA" or "L"; other files are converted to it.

    Raises:
        UserError: the file is missing, or not a whole image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error}); make this file again") from None


def write_png(path: Path | str, pixels: np.ndarray) -> None:
    """Write uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] as PNG, atomically.

    Compressed a quarter as long as by default, for files that are a tenth larger.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    with written_atomically(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", compress_level=3)


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [H, W, C] or [H, W] to float32 [C, H, W] in [-1, 1]."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32)) / 127.5 - 1


def to_pixels(image: Tensor) -> np.ndarray:
    """Float [C, H, W] in [-1, 1] (clamped) to uint8 [H, W, C], rounded to the nearest level."""
    scaled = (image.detach().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
