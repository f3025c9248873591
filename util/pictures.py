"""Pictures that were made to be seen: frames in a folder, backgrounds. `util/images.py` reads those that are data.

Arrays are uint8 sRGB [H, W, 3], upright.
"""

import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps

from util.colour import must_be_converted, to_srgb
from util.errors import UserError
from util.images import eight_bits, is_deep, opened_image
from util.media import Remark, remarks, remarks_on_colour
from util.video_reader import VideoReader

_BY_FFMPEG = (".exr", ".dpx")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".tga", ".ppm", ".pgm", ".jp2",
                    *_BY_FFMPEG)
"""Endings of pictures that can be read."""
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jfif")
_OTHER_PICTURES = (".heic", ".heif", ".avif", ".jxl", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf",
                   ".rw2", ".hdr", ".cin", ".gif", ".svg")
_EXIF_ORIENTATION = 0x112
_SAME_COLOUR = 2


@dataclass(frozen=True)
class Picture:
    """A picture as it is to be seen.

    Attributes:
        pixels: uint8 sRGB [H, W, 3], upright.
        as_stored: they are just the numbers in the file.
        remarks: what was done for that.
    """

    pixels: np.ndarray
    as_stored: bool
    remarks: tuple[Remark, ...] = ()


def read_picture(path: Path) -> Picture:
    """Read a picture: turned as its EXIF data ask, in the colours of its profile, more bits than 8 scaled.

    Raises:
        UserError: the file is missing, or not a whole picture.
    """
    if path.suffix.lower() in _BY_FFMPEG:
        return _by_ffmpeg(path)
    with opened_image(path) as image:
        image.load()
        turned, deep = image.getexif().get(_EXIF_ORIENTATION, 1) != 1, is_deep(image)
        said = []
        if deep:
            said.append(Remark(0, "more bits than 8, scaled"))
        if ("A" in image.getbands() or "transparency" in image.info) and image.convert(
                "RGBA").getchannel("A").getextrema()[0] < 255:
            said.append(Remark(1, "alpha, which is left out: what is transparent is shown in the colours beneath. Put "
                                  "it over a background first"))
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            said.append(Remark(1, f"{image.n_frames} pictures in a file; the first is taken"))
        coding = _coding_points(path) if image.format == "PNG" else None
        if coding is not None and must_be_converted(*coding):
            said += remarks_on_colour(*coding)
            return Picture(to_srgb(_all_bits(path), *coding), False, tuple(said))
        colours, profile = _as_srgb(ImageOps.exif_transpose(eight_bits(image)), image.info.get("icc_profile"))
        if profile:
            said.append(Remark(0, f"the colour profile {profile}, made sRGB"))
        return Picture(np.asarray(colours.convert("RGB")), not (turned or deep or profile), tuple(said))


def picture_size(path: Path) -> tuple[int, int]:
    """The (width, height) of a picture, upright.

    Raises:
        UserError: see `read_picture`.
    """
    if path.suffix.lower() in _BY_FFMPEG:
        return VideoReader(path).size
    with opened_image(path) as image:
        return image.size if image.getexif().get(_EXIF_ORIENTATION, 1) < 5 else image.size[::-1]


def list_pictures(folder: Path) -> dict[str, Path]:
    """Pictures of a folder: name without ending to path, in order of their names; hidden files are none.

    Raises:
        UserError: the folder has no pictures, or none that can be read, or two have the same name.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    paths = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    if not paths:
        endings = sorted({path.suffix.lower() for path in files if path.suffix})
        known = next((ending for ending in endings if ending in _OTHER_PICTURES), None)
        found = f" (found: {', '.join(endings[:6])})" if endings else ""
        convert = f". Convert them, such as by: magick mogrify -format png *{known}" if known else ""
        raise UserError(f"{folder}: no images that can be read{found}; expected 0001.png, 0002.png, ..., or "
                        f"{', '.join(ending for ending in PICTURE_SUFFIXES if ending != '.png')}{convert}")
    found = {path.stem: path for path in paths}
    if len(found) < len(paths):
        twice = next(path for path in paths if found[path.stem] != path)
        raise UserError(f"{folder}: both {twice.name} and {found[twice.stem].name}; expected one image per frame")
    return found


def _as_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """An image in sRGB, and the name of the profile that it was in; None: it was that already."""
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image, None
    try:
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(found).strip() or "without a name"
        colours = image.convert("RGB") if image.mode == "RGBA" else image
        to_srgb = ImageCms.buildTransform(found, ImageCms.createProfile("sRGB"), colours.mode, "RGB")
        if colours.mode == "RGB" and _is_srgb(to_srgb):
            return image, None
        made = ImageCms.applyTransform(colours, to_srgb)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, None  # a broken profile, or one for another kind of picture
    return made, name


def _coding_points(path: Path) -> tuple[int, int] | None:
    """Transfer and primaries that a PNG names in its chunk cICP, numbered as in ITU-T H.273; None: it does not."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"cICP" and length == 4:
                primaries, transfer = file.read(2)
                return transfer, primaries
            if kind == b"IDAT":
                break
            file.seek(length + 4, 1)
    return None


def _all_bits(path: Path) -> np.ndarray:
    """A PNG as uint16 RGB [H, W, 3], 65535 being white, upright."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)[..., ::-1]
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * 257


def _is_srgb(to_srgb: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform leaves colours from all over the cube as they are, whatever its profile is called."""
    probe = np.indices((6, 6, 6), np.uint8).reshape(3, 1, -1).transpose(1, 2, 0) * 51
    made = np.asarray(ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(probe)), to_srgb))
    return np.abs(made.astype(int) - probe).max() <= _SAME_COLOUR


def _by_ffmpeg(path: Path) -> Picture:
    video = VideoReader(path)
    _, pixels = next(video.frames())
    return Picture(pixels, False, tuple(remarks(replace(video.facts, has_clock=True))))
