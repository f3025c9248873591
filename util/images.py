"""Images on disk (`util/tensors.py` turns them into what models compute with).

Arrays are uint8 [H, W, C] (or [H, W] for one channel), colours in RGB order, alpha straight (not premultiplied).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import DTypeLike
from PIL import Image, ImageFile

from util.errors import UserError
from util.files import written_atomically

_FLOAT_PEAK = 100
"""Floats up to it are levels from 0 to 1 (and highlights), others from 0 to 255."""


def read_image(path: Path | str, mode: str) -> np.ndarray:
    """Read an image as uint8 [H, W, C], or [H, W] for mode "L"; more bits than 8 are scaled.

    Args:
        mode: a Pillow mode, "RGB", "RGBA" or "L"; other files are converted to it.

    Raises:
        UserError: the file is missing, or not a whole image.
    """
    with opened_image(path) as opened:
        image = eight_bits(opened)
        return np.asarray(image if image.mode == mode else image.convert(mode))  # which would copy it


def read_deep_image(path: Path | str) -> np.ndarray:
    """Read an opaque image as uint8 or, if it has 16 bits per channel, uint16 RGB [H, W, 3].

    Raises:
        UserError: the file is missing, not a whole image, has transparent pixels, or holds neither 8 nor 16 bits.
    """
    with opened_image(path) as image:
        deep = ";16" in str(image.tile)
        image.load()
        if not deep and image.mode in ("I", "F"):
            raise UserError(f"{path}: pixels of mode {image.mode}; expected 8 or 16 bits per channel. Save it as PNG")
        pixels = _pixels_of_16_bits(path) if deep else np.asarray(image.convert("RGBA"))
    if pixels.shape[2] == 4 and pixels[..., 3].min() < np.iinfo(pixels.dtype).max:
        raise UserError(f"{path}: has transparent pixels; expected an opaque image. Put it over a background first")
    return pixels[..., :3]


def read_all_bits(path: Path | str) -> np.ndarray:
    """Read an image as RGB [H, W, 3], or straight RGBA [H, W, 4] where it has alpha: uint16 if it has 16 bits per
    channel, else uint8.

    Raises:
        UserError: the file is missing, or not a whole image.
    """
    with opened_image(path) as image:
        if ";16" not in str(image.tile):
            return np.asarray(image.convert("RGBA" if image.mode in ("RGBA", "LA", "PA") else "RGB"))
        image.load()
        return _pixels_of_16_bits(path)


def has_16_bits(path: Path | str) -> bool:
    """Whether an image has 16 bits per channel; only its beginning is read.

    Raises:
        UserError: the file is missing, or no image.
    """
    with opened_image(path) as image:
        return ";16" in str(image.tile)


def image_size(path: Path | str) -> tuple[int, int]:
    """(width, height) of an image, of which only the beginning is read.

    Raises:
        UserError: the file is missing, or no image.
    """
    with opened_image(path) as image:
        return image.size


@contextlib.contextmanager
def opened_image(path: Path | str) -> Iterator[ImageFile.ImageFile]:
    """An image file, open; what goes wrong in it is the user's.

    Raises:
        UserError: it is missing, or not a whole image.
    """
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        found = "an empty file" if Path(path).is_file() and not Path(path).stat().st_size else str(error)
        raise UserError(f"{path}: not a readable image ({found}); make this file again") from None


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits a channel in memory, and so one channel."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def eight_bits(image: Image.Image) -> Image.Image:
    """An image of up to 8 bits as it is; one of 16 (or 32) bits scaled to grey of 8, where Pillow would cut it off."""
    if not is_deep(image):
        return image
    values = np.asarray(image).astype(np.float64)
    peak = values.max(initial=0)
    if image.mode == "F":  # 1 is white, or 255 where a program wrote 8-bit levels as floats
        values *= 1 if peak > _FLOAT_PEAK else 255
    elif peak != 255:  # levels of 8 bits in a file of 16 stay
        values /= 257 if peak <= 65535 else 2 ** 31 / 255
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))


def _pixels_of_16_bits(path: Path | str) -> np.ndarray:
    """uint16 RGB or RGBA, which Pillow would cut to 8 bits."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("16 bits in a form that is not known")
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def unit_range(pixels: np.ndarray) -> np.ndarray:
    """uint8 or uint16 as float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


def to_8_bits(picture: np.ndarray) -> np.ndarray:
    """Float in [0, 1] (clamped) as uint8, rounded to the nearest level."""
    return to_levels(picture, np.uint8)


def to_levels(picture: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Float in [0, 1] (clamped) as uint8 or uint16, rounded to the nearest level."""
    return np.rint(np.float32(np.iinfo(dtype).max) * np.clip(picture, 0, 1)).astype(dtype)


def checkerboard(size: tuple[int, int], cell: int = 8) -> np.ndarray:
    """Grey squares of `cell` pixels for transparent pictures to stand on: uint8 [H, W, 3] of size (width, height)."""
    rows, columns = np.indices(size[::-1]) // cell
    return np.where((rows + columns)[..., None] % 2, 165, 215).astype(np.uint8).repeat(3, axis=2)


def write_png(path: Path | str, pixels: np.ndarray) -> None:
    """Write uint8 or uint16 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] as PNG, atomically.

    What has alpha is mostly even: there what is made fastest is a tenth smaller, too.
    """
    fastest = pixels.dtype == np.uint16 or (pixels.ndim == 3 and pixels.shape[2] == 4)
    data = png(pixels, None if fastest else 3)
    with written_atomically(path) as temporary:
        temporary.write_bytes(data)


def png(pixels: np.ndarray, compression: int | None = 3) -> bytes:
    """Uint8 or uint16 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] as PNG.

    Args:
        pixels: the picture.
        compression: from 0 to 9; 3 takes half the time of the usual 6, for files that are a tenth larger. None is what
            can be made fastest: a third of the time of 3, a tenth larger again.
    """
    pixels = np.ascontiguousarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] > 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    settings = [] if compression is None else [cv2.IMWRITE_PNG_COMPRESSION, compression]
    return cv2.imencode(".png", pixels, settings)[1].tobytes()


def write_image(path: Path | str, pixels: np.ndarray) -> None:
    """Write uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] in the format of the path's ending, atomically.

    PNG as `write_png` does; others, such as .jpg, as Pillow does by default.
    """
    if Path(path).suffix.lower() == ".png":
        write_png(path, pixels)
        return
    with written_atomically(path) as temporary:
        Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(temporary)
