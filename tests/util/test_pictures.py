"""Pictures as people have them: deep, with profiles, turned, broken, and of many formats."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.preparation.test_frames import picture
from util.colour import ACES_AP0, ACES_AP1
from util.errors import UserError
from util.images import read_image
from util.pictures import list_pictures, picture_size, read_picture
from util.video import write_exr

SIZE = (96, 64)
PIXELS = picture(SIZE, 3)


def remarks_of(path: Path) -> str:
    return "\n".join(remark.text for remark in read_picture(path).remarks)


def deep(levels: np.ndarray) -> np.ndarray:
    return levels.astype(np.uint16) * 257


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_sixteen_bits_are_scaled_not_cut(tmp_path, ending):
    grey = np.tile(np.arange(256, dtype=np.uint8), (32, 1))
    path = tmp_path / f"grey{ending}"
    cv2.imwrite(str(path), deep(grey))
    assert (read_image(path, "L") == grey).all() and (read_picture(path).pixels == grey[..., None]).all()
    assert not read_picture(path).as_stored and "more bits than 8" in remarks_of(path)
    cv2.imwrite(str(path), deep(PIXELS[..., ::-1]))
    assert (read_picture(path).pixels == PIXELS).all()


def test_eight_bit_levels_in_a_file_of_sixteen_stay(tmp_path):
    mask = np.where(np.indices((32, 40))[1] > 20, 255, 0)
    cv2.imwrite(str(tmp_path / "mask.png"), mask.astype(np.uint16))
    assert (read_image(tmp_path / "mask.png", "L") == mask).all()


def test_floats_are_levels_from_0_to_1(tmp_path):
    Image.fromarray(np.array([[0, 0.5, 1, 2]], np.float32)).save(tmp_path / "matte.tif")
    assert read_image(tmp_path / "matte.tif", "L").tolist() == [[0, 128, 255, 255]]
    Image.fromarray(np.array([[0, 128, 255]], np.float32)).save(tmp_path / "matte.tif")
    assert read_image(tmp_path / "matte.tif", "L").tolist() == [[0, 128, 255]]


def swapped_profile() -> bytes:
    """The profile of sRGB with red and blue swapped."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    table = {bytes(profile[132 + 12 * i:136 + 12 * i]): 132 + 12 * i
             for i in range(int.from_bytes(profile[128:132], "big"))}
    red, blue = (slice(table[tag] + 4, table[tag] + 12) for tag in (b"rXYZ", b"bXYZ"))
    profile[red], profile[blue] = profile[blue], profile[red]
    return bytes(profile)


def test_a_profile_is_converted_to_srgb(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "profile.png", icc_profile=swapped_profile())
    found = read_picture(tmp_path / "profile.png")
    assert np.abs(found.pixels.astype(int) - PIXELS[..., ::-1]).max() <= 2 and not found.as_stored
    assert "colour profile" in remarks_of(tmp_path / "profile.png")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PIXELS).save(tmp_path / "srgb.png", icc_profile=srgb)
    found = read_picture(tmp_path / "srgb.png")
    assert (found.pixels == PIXELS).all() and found.as_stored and not found.remarks
    Image.fromarray(PIXELS).save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert (read_picture(tmp_path / "broken.png").pixels == PIXELS).all()


def test_an_hdr_png_is_shown_with_its_white_as_white(tmp_path):
    path = tmp_path / "hdr.png"
    cv2.imwrite(str(path), np.full((64, 96, 3), round(0.38 * 65535), np.uint16))  # an 18 % grey card, BT.2408
    data = path.read_bytes()
    chunk = b"cICP" + bytes([9, 16, 0, 1])
    path.write_bytes(data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])
    assert float(read_picture(path).pixels.mean()) == pytest.approx(100, abs=4)
    assert "HDR (PQ)" in remarks_of(path) and not read_picture(path).as_stored


@pytest.mark.parametrize("ending", [".webp", ".bmp", ".tif", ".tiff", ".tga", ".ppm", ".PNG"])
def test_other_formats_are_read(tmp_path, ending):
    path = tmp_path / f"0001{ending}"
    Image.fromarray(PIXELS).save(path, **({"lossless": True} if ending == ".webp" else {}))
    assert (read_picture(path).pixels == PIXELS).all() and picture_size(path) == SIZE
    assert list_pictures(tmp_path) == {"0001": path}


def test_an_exr_that_was_written_here_comes_back(tmp_path):
    write_exr(tmp_path / "0001.exr", PIXELS)
    found = read_picture(tmp_path / "0001.exr")
    assert np.abs(found.pixels.astype(int) - PIXELS).max() <= 1 and picture_size(tmp_path / "0001.exr") == SIZE
    assert {remark.severity for remark in found.remarks} == {0} and "linear light" in remarks_of(tmp_path / "0001.exr")


def with_chromaticities(path: Path, numbers: tuple[float, ...]) -> Path:
    """Write other primaries into the header of an OpenEXR file."""
    data, name = path.read_bytes(), b"chromaticities\0chromaticities\0" + struct.pack("<I", 32)
    at = data.index(name) + len(name)
    path.write_bytes(data[:at] + struct.pack("<8f", *numbers) + data[at + 32:])
    return path


@pytest.mark.parametrize(("numbers", "light", "srgb", "words"), [
    # ACEScg's (0.5, 0.5, 0.5) is the same grey; its numbers for sRGB's (200, 60, 40), by the matrix of ACES' documents.
    (ACES_AP1, (0.5, 0.5, 0.5), (188, 188, 188), "primaries of ACES AP1"),
    (ACES_AP1, (0.3705, 0.0823, 0.0353), (200, 60, 40), "primaries of ACES AP1"),
    (ACES_AP0, (0.5, 0.5, 0.5), (188, 188, 188), "primaries of ACES AP0"),
    ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329), (0.5, 0.5, 0.5), (188, 188, 188), "primaries of Display P3"),
    ((0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329), (0.5, 0.25, 0.125), (188, 137, 99), "linear light, made"),
    ((0.7, 0.3, 0.2, 0.7, 0.15, 0.05, 0.3127, 0.329), (0.5, 0.5, 0.5), (188, 188, 188), "primaries of its own"),
    ((0.7, 0, 0.2, 0.7, 0.15, 0.05, 0.3127, 0), (0.5, 0.25, 0.125), (188, 137, 99), "linear light, made")])
def test_the_primaries_that_an_exr_names_are_those_it_is_read_by(tmp_path, numbers, light, srgb, words):
    level = np.array(light)
    coded = 255 * np.where(level <= 0.0031308, level * 12.92, 1.055 * level ** (1 / 2.4) - 0.055)
    write_exr(tmp_path / "a.exr", np.full((*SIZE[::-1], 3), coded.round(), np.uint8))
    path = with_chromaticities(tmp_path / "a.exr", numbers)
    assert np.abs(read_picture(path).pixels.astype(int) - srgb).max() <= 2 and words in remarks_of(path)


def test_alpha_and_further_pictures_are_told(tmp_path):
    alpha = np.full(SIZE[::-1], 255, np.uint8)
    Image.fromarray(np.dstack([PIXELS, alpha])).save(tmp_path / "opaque.png")
    assert not read_picture(tmp_path / "opaque.png").remarks
    alpha[:, :40] = 0
    Image.fromarray(np.dstack([PIXELS, alpha])).save(tmp_path / "cut.png")
    assert "alpha, which is left out" in remarks_of(tmp_path / "cut.png")
    Image.fromarray(PIXELS).save(tmp_path / "pages.tif", save_all=True, append_images=[Image.fromarray(PIXELS)])
    assert "2 pictures in a file" in remarks_of(tmp_path / "pages.tif")


def test_hidden_companions_are_no_pictures(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "0001.png")
    for name in ("._0001.png", ".DS_Store", "Thumbs.db", ".0002.png"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    assert list(list_pictures(tmp_path)) == ["0001"]


def test_a_folder_of_what_cannot_be_read_says_what_it_holds_and_how_to_convert_it(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"heic")
    with pytest.raises(UserError, match=r"no images that can be read \(found: \.heic\).*mogrify -format png \*\.heic"):
        list_pictures(tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html></html>", None])
def test_a_broken_picture_is_named(tmp_path, content):
    path = tmp_path / "0003.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)
    for read in (read_picture, lambda path: read_image(path, "RGB")):
        with pytest.raises(UserError, match=r"0003\.png: not a readable image"):
            read(path)
