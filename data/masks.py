"""The one reader of masks: what is a person in a picture of any form, and the masks of a dataroot.

    white on black, 1, 8 or 16 bits, floats   soft edges stay
    two levels, such as 0 and 1               the higher one is the person
    a palette, or two colours on black        whatever is not the background, entry 0 or black
    alpha that is not 255 everywhere          is the mask, whatever the colours show

One picture cannot tell (one that is all 1 may be the darkest of a soft matte, or a person who fills the frame), so a
form is decided for a folder (`survey`), and what no rule decides is refused. In a dataroot masks are mask/01/0001.png
..., a folder per layer, of any of these forms.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from data.dataroot import list_images
from util.errors import UserError

HALF = 127
"""The level above which a pixel counts as seen."""
VOID = 255
"""The number that index pictures of segmentation benchmarks give to what is not to be counted."""
MOST_NUMBERS = 30
"""Of people: pictures with more levels than that are grey at their edges, with more colours photographs."""
_MOST_STRETCH = 0.05
"""By which a mask's form may differ from the frames'."""
_WHITE = {8: 255, 16: 65535}
_TINT = 32
"""Levels by which the channels of what still is grey may differ: JPEG tints edges."""


class MaskPicture(NamedTuple):
    """A picture as it is stored.

    Attributes:
        levels: [H, W], grey levels (uint8, uint16), numbers of palette entries, or colours 0xRRGGBB (uint32).
        kind: "grey", "palette" or "colour".
        alpha: uint8 [H, W]; None: it has none.
        palette: uint32 [256], the colour of each entry; None: it is not of kind "palette".
    """

    levels: np.ndarray
    kind: str
    alpha: np.ndarray | None = None
    palette: np.ndarray | None = None

    def colours(self) -> np.ndarray:
        """Colours 0xRRGGBB, uint32 [H, W]."""
        if self.palette is not None:
            return self.palette[self.levels]
        return self.levels if self.kind == "colour" else 0x010101 * self.levels.clip(0, 255).astype(np.uint32)


def mask_files(root: Path) -> dict[int, dict[str, Path]]:
    """The pictures in mask/01, mask/02, ... by frame, by the folder's number; none if there is no mask/.

    Raises:
        UserError: one of the folders is empty.
    """
    folder = root / "mask"
    if not folder.is_dir():
        return {}
    return {int(path.name): list_images(path) for path in sorted(folder.iterdir())
            if path.is_dir() and path.name.isdecimal() and int(path.name) > 0}


def read_matte(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask with its soft edges: uint8 [H, W], 255 where it is seen, of the size (width, height) or its own.

    Raises:
        UserError: it is not a readable picture, or its folder is of no form that is known.
    """
    picture = decoded(path)
    plain = picture.kind == "grey" and picture.levels.dtype == np.uint8 and picture.alpha is None
    if plain and picture.levels.max() in (0, 255):
        matte = picture.levels
    else:  # this picture alone does not tell
        matte = _reading_of(path.parent, path.parent.stat().st_mtime_ns)(picture)
    return matte if size is None else cv2.resize(matte, tuple(size), interpolation=cv2.INTER_AREA)


def read_mask(path: Path, size: tuple[int, int] | None = None, above: int = HALF) -> np.ndarray:
    """A mask as bool [H, W] of the size (width, height) or its own: where it is seen by more than a level of 0 to 254.

    Raises:
        UserError: as `read_matte`.
    """
    return read_matte(path, size) > above


def fits_form(size: tuple[int, int], forms: Iterable[tuple[int, int]]) -> bool:
    """Whether masks of `size` (width, height) can be of frames of one of the sizes `forms`, scaled."""
    return any(abs(size[0] * height / (size[1] * width) - 1) <= _MOST_STRETCH for width, height in forms)


def turned_remedy(size: tuple[int, int], forms: Iterable[tuple[int, int]]) -> str:
    """What else to say of masks that do not fit: that they lie on their side, if they do."""
    return "; they lie on their side, and frames are upright here" if fits_form(size[::-1], forms) else ""


@lru_cache(maxsize=256)
def _reading_of(folder: Path, _changed: int) -> Callable[[MaskPicture], np.ndarray]:
    return survey(list_images(folder).values()).reading_of_one(folder)[1]


def decoded(path: Path) -> MaskPicture:
    """Read a picture without giving its levels another meaning.

    Raises:
        UserError: it is not a readable picture.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return _as_stored(image)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error}); make this file again") from None


def _as_stored(image: Image.Image) -> MaskPicture:
    alpha = None
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    if image.mode in ("P", "PA"):
        entries = np.zeros((256, 3), np.uint32)
        given = np.reshape(image.convert("P").getpalette() or [], (-1, 3))
        entries[:len(given)] = given
        index = np.asarray(image)
        index = index[..., 0] if index.ndim == 3 else index
        if (entries == entries[:, :1]).all():  # black and white in any order, or the levels themselves
            return MaskPicture(entries[:, 0].astype(np.uint8)[index], "grey", alpha)
        return MaskPicture(index, "palette", alpha, entries @ np.array([65536, 256, 1], np.uint32))
    if image.mode in ("1", "L"):
        return MaskPicture(np.asarray(image.convert("L")), "grey", alpha)
    if image.mode[0] in "IF":
        pixels = np.asarray(image)
        if pixels.dtype.kind == "f":
            pixels = np.nan_to_num(pixels)
            pixels = (pixels * 65535).round() if pixels.min() >= 0 and pixels.max() <= 1 else pixels
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ValueError(f"levels from {pixels.min():g} to {pixels.max():g}")
        return MaskPicture(pixels.astype(np.uint16), "grey", alpha)
    pixels = np.asarray(image.convert("RGB"))
    if int((pixels.max(axis=-1) - pixels.min(axis=-1)).max()) <= _TINT:
        return MaskPicture(np.asarray(image.convert("RGB").convert("L")), "grey", alpha)
    return MaskPicture(pixels @ np.array([65536, 256, 1], np.uint32), "colour", alpha)


@dataclass
class Survey:
    """What there is in the pictures of a folder.

    Attributes:
        levels: bool [65536], grey levels and palette entries.
        colours: of pictures with colours 0xRRGGBB, in the order in which they were found; None: too many to be people.
        transparent: alpha is less than 255 somewhere.
        kinds: of the pictures that are not all black.
        palette: colour of each entry, by its number.
        permuted: an entry has another colour in another picture.
        coloured: the first file with colours.
    """

    levels: np.ndarray = field(default_factory=lambda: np.zeros(65536, bool))
    colours: dict[int, None] | None = field(default_factory=dict)
    transparent: bool = False
    kinds: set[str] = field(default_factory=set)
    palette: dict[int, int] = field(default_factory=dict)
    permuted: bool = False
    coloured: Path | None = None

    def add(self, path: Path, picture: MaskPicture) -> None:
        """Look at one more picture."""
        if picture.alpha is not None:
            self.transparent |= bool((picture.alpha < 255).any())
        shown = picture.levels if picture.alpha is None else picture.levels[picture.alpha > HALF]
        if picture.kind == "colour":
            found, counts = np.unique(shown, return_counts=True)
            found = found[np.argsort(-counts, kind="stable")]
            self.kinds.add("colour")
            self.coloured = self.coloured or path
        else:
            counts = np.bincount(picture.levels.ravel())
            present = np.flatnonzero(counts)
            self.levels[present] = True
            if present.any():
                self.kinds.add(picture.kind)
            if picture.palette is not None:
                self.coloured = self.coloured or path
                for entry in present.tolist():
                    colour = int(picture.palette[entry])
                    self.permuted |= self.palette.setdefault(entry, colour) != colour
            found = picture._replace(levels=present[np.argsort(-counts[present], kind="stable")]).colours()
        if self.colours is not None:
            self.colours |= dict.fromkeys(found.tolist())
            self.colours = self.colours if len(self.colours) <= MOST_NUMBERS + 1 else None

    @property
    def by_colour(self) -> bool:
        """People are told apart by colour: there are colour pictures, or palettes in which entry 0 is not black."""
        return "colour" in self.kinds or ("palette" in self.kinds and (
            self.permuted or (self.palette.get(0, 0) != 0 and 0 in self.palette.values())))

    def numbers(self) -> list[int]:
        """Palette entries or levels that stand for somebody."""
        present = np.flatnonzero(self.levels)
        void = {0, VOID} if "palette" in self.kinds else {0}
        return [int(level) for level in present if int(level) not in void]

    def reading_of_one(self, folder: Path) -> tuple[str, Callable[[MaskPicture], np.ndarray]]:
        """How pictures of a single person or thing are to be read.

        Returns:
            what they are, in words, and a function from a picture to uint8 [H, W], 255 where the person is.

        Raises:
            UserError: that cannot be told.
        """
        if self.transparent:
            return "alpha", lambda picture: (np.full(picture.levels.shape, 255, np.uint8) if picture.alpha is None
                                             else picture.alpha)
        if self.by_colour:
            people = sorted(set(self.colours or ()) - {0})
            if self.colours is None or len(people) > 1 or 0 not in self.colours:
                remedy = ("Export mattes, not pictures" if self.colours is None or 0 not in self.colours else
                          f"For people by colour give it by itself: --masks {folder}")
                raise UserError(f"{self.coloured}: a colour picture; expected a mask of one person: white or one "
                                f"colour on black, or alpha. {remedy}")
            return "one colour on black", lambda picture: _white(picture.colours() != 0)
        numbers = self.numbers()
        if "palette" in self.kinds:
            if len(numbers) > 1:
                raise UserError(f"{folder}: index pictures with {_listed(numbers)}; expected one person or thing in a "
                                f"folder. Give them by themselves: --masks {folder}")
            return "palette", lambda picture: _white((picture.levels > 0) & (picture.levels != VOID))
        present = np.flatnonzero(self.levels)
        if len(present) == 2 or present.max(initial=0) <= 1:
            highest = max(int(present.max(initial=0)), 1)
            words = "white on black" if {highest, *present} & {*_WHITE.values()} else f"levels {_listed(present)}"
            return words, lambda picture: _white(picture.levels >= highest)
        bits = 8 if present[-1] <= 255 else 16
        white = _WHITE[bits]
        if len(present) > 1 and present[-1] <= white // 2:
            raise UserError(f"{folder}: the brightest of {len(present)} levels is {present[-1]} of {white}; expected "
                            "white where the person is. Make the masks brighter, or with two levels; index pictures "
                            "of several people go by themselves: --masks FOLDER")
        if bits == 8:
            return "white on black", lambda picture: picture.levels.astype(np.uint8)
        return "white on black, 16 bits", lambda picture: (picture.levels / np.float32(257)).round().astype(np.uint8)


def survey(paths: Iterable[Path]) -> Survey:
    """Look at all pictures of a folder.

    Raises:
        UserError: one of them is not readable.
    """
    seen = Survey()
    for path in paths:
        seen.add(path, decoded(path))
    return seen


def _white(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _listed(numbers) -> str:
    return ", ".join(str(int(number)) for number in list(numbers)[:6]) + (", ..." if len(numbers) > 6 else "")
