"""Step "masks": mask/01/0001.png ..., a folder per person or thing, from the masks that the user has.

    a folder with a folder for each      01/0001.png ..., white is the person
    a folder of index pictures           as DAVIS has them: the level or palette entry is the number, 0 the background
    a folder of black and white pictures one person or thing
    a video, or a folder of videos       one for each, white is the person

Pictures are matched with frames by name, or in order where there are as many.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from data.dataroot import IMAGE_SUFFIXES, list_images
from data.tracked_poses import HIGHEST_PERSON
from preparation.frame_names import named_in
from preparation.steps import METADATA, Finding, Job, Outcome, Step, read_values
from util.clips import natural_order
from util.errors import UserError
from util.images import read_image, write_png
from util.video_reader import VideoReader

_VOID = 255
"""The level that index pictures of segmentation benchmarks give to what is not to be counted."""
_HIGHEST_INDEX, _MOST_INDICES = 60, 30
"""Pictures with white and levels beyond the first, or with more levels than the second, are grey at their edges."""
_MOST_STRETCH = 0.05


def add_options(group) -> None:
    """Options of this step."""
    group.add_argument("--masks", type=Path, metavar="PATH",
                       help="masks of people or things: a folder for each, index pictures, or videos; recognised by "
                            "content. They bound the UV maps, and need no poses")


def run(job: Job) -> Outcome:
    """Bring masks into one form."""
    path = job.opt.masks
    if path is None:
        return Outcome("none given")
    files = list_images(job.root / "rgb")
    source = read_values(job.root / METADATA).get("source", {})
    first = read_image(next(iter(files.values())), "L")
    form, numbers, pictures = opened(path, list(files), source)
    findings: list[Finding] = []
    empty = dict.fromkeys(numbers, 0)
    filled = dict.fromkeys(numbers, 0.0)
    missing = []
    for frame in tqdm(files, desc="masks", unit="frame"):
        masks = pictures(frame)
        if masks is None:
            missing.append(frame)
            masks = {}
        for number in numbers:
            mask = masks.get(number, np.zeros_like(first))
            stretch = mask.shape[1] * first.shape[0] / (mask.shape[0] * first.shape[1])
            if abs(stretch - 1) > _MOST_STRETCH:
                raise UserError(f"{path}: masks of {mask.shape[1]}x{mask.shape[0]} pixels; expected the form of the "
                                f"frames, {first.shape[1]}x{first.shape[0]}. Give masks of these frames")
            if mask.shape != first.shape:
                mask = cv2.resize(mask, first.shape[::-1], interpolation=cv2.INTER_LINEAR)
            empty[number] += not (mask > 127).any()
            filled[number] += (mask > 127).mean() / len(files)
            write_png(job.made / "mask" / f"{number:02d}" / f"{frame}.png", mask)
    findings.append(Finding(0, f"masks: {path} read as {form}"))
    if missing:
        findings.append(Finding(2, f"masks: {len(missing)} of {len(files)} frames have none, first {missing[0]}; they "
                                   "count as empty. Add them, named like the frames"))
    for number in numbers:
        if filled[number] > 0.5:
            findings.append(Finding(2, f"masks: {number} fills {filled[number]:.0%} of the frames; white should be the "
                                       "person. Invert it if it is the background"))
        if empty[number] == len(files):
            findings.append(Finding(2, f"masks: {number} is empty in all frames; its layer will be too. Remove it"))
    return Outcome(f"{len(numbers)} {'layer' if len(numbers) == 1 else 'layers'} ({form})", findings)


STEP = Step("masks", run, ("rgb", f"{METADATA}#source"), ("mask",), add_options)


def opened(path: Path, frames: list[str], source: dict):
    """Recognise masks.

    Args:
        path: a file or folder.
        frames: names of the clip's frames.
        source: metadata.json's entry, with the frames' numbers and names in the video or folder that they come from.

    Returns:
        what it is, in words; the numbers of the masks, from 1; and a function from a frame's name to its masks (uint8
        [H, W] by number), or None where it has none. It must be called for the frames in their order.

    Raises:
        UserError: there are no masks in it, of no known form, or they do not fit the frames.
    """
    if path.is_file():
        return "a video", [1], from_videos([path], frames, source)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; expected masks")
    entries = sorted((p for p in path.iterdir() if not p.name.startswith(".")), key=lambda p: natural_order(p.name))
    folders = [p for p in entries if p.is_dir()]
    if any(p.suffix.lower() in IMAGE_SUFFIXES for p in entries):
        return from_pictures(path, frames, source)
    if folders:
        found = [in_order_of_frames(folder, frames, source) for folder in folders]
        numbers = [int(p.name) for p in folders] if all(p.name.isdecimal() for p in folders) else []
        if numbers != list(range(1, len(folders) + 1)):
            numbers = list(range(1, len(folders) + 1))
        def masks_of(frame: str) -> dict[int, np.ndarray] | None:
            here = {n: read_image(files[frame], "L") for n, files in zip(numbers, found) if frame in files}
            return here or None
        names = ", ".join(p.name for p in folders[:5])
        return f"a folder for each: {names}{' ...' if len(folders) > 5 else ''}", numbers, masks_of
    videos = [p for p in entries if p.is_file()]
    if not videos:
        raise UserError(f"{path}: an empty folder; expected masks: a folder for each person, index pictures or videos")
    return "a video for each", list(range(1, len(videos) + 1)), from_videos(videos, frames, source)


def from_pictures(folder: Path, frames: list[str], source: dict):
    """A folder of pictures: index pictures, or black and white ones of a single person."""
    files = in_order_of_frames(folder, frames, source)
    levels = np.zeros(256, bool)
    for path in tqdm(files.values(), desc="masks: looking", unit="frame", leave=False):
        levels[read_levels(path)] = True
    numbers = [int(level) for level in np.flatnonzero(levels) if level not in (0, _VOID)]
    if not numbers or len(numbers) > _MOST_INDICES or (numbers[-1] > _HIGHEST_INDEX and levels[_VOID]):
        if not levels[1:].any():
            raise UserError(f"{folder}: all pictures are black; expected white, or the number of a person, somewhere")
        return "black and white pictures of one", [1], lambda frame: (
            {1: read_image(files[frame], "L")} if frame in files else None)
    if numbers[-1] > HIGHEST_PERSON:
        raise UserError(f"{folder}: index {numbers[-1]}; expected numbers of people up to {HIGHEST_PERSON}")
    new = {level: number for number, level in enumerate(numbers, start=1)}

    def masks_of(frame: str) -> dict[int, np.ndarray] | None:
        if frame not in files:
            return None
        picture = read_levels(files[frame])
        return {number: (picture == level).astype(np.uint8) * 255 for level, number in new.items()}
    return f"index pictures with {', '.join(map(str, numbers))}", list(new.values()), masks_of


def read_levels(path: Path) -> np.ndarray:
    """The palette entries or grey levels of a picture, uint8 [H, W].

    Raises:
        UserError: it is a colour picture, or not readable.
    """
    try:
        with Image.open(path) as image:
            if image.mode == "P":
                return np.asarray(image)
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error}); make this file again") from None
    if (pixels != pixels[..., :1]).any():
        raise UserError(f"{path}: a colour picture; expected a palette or grey levels with a number for each person, "
                        "or white on black")
    return pixels[..., 0]


def in_order_of_frames(folder: Path, frames: list[str], source: dict) -> dict[str, Path]:
    """The picture of each frame: by name or number, else one after the other if there are as many.

    Raises:
        UserError: neither fits.
    """
    files = list_images(folder)
    names = named_in(files, frames, source, usual_first=1)[0]
    found = {frame: files[name] for frame, name in zip(frames, names) if name}
    if len(found) < len(frames) == len(files):
        return dict(zip(frames, sorted(files.values(), key=lambda p: natural_order(p.name))))
    if not found:
        expected = source.get("names", frames)
        raise UserError(f"{folder}: {len(files)} masks, the first is {next(iter(files.values())).name}; expected one "
                        f"for each of the {len(frames)} frames, named {expected[0]}.png to {expected[-1]}.png")
    return found


def from_videos(paths: list[Path], frames: list[str], source: dict):
    """One mask per video; the videos are read side by side, once."""
    counts = [sum(1 for _ in VideoReader(path).frames()) for path in paths]
    indices = source.get("frames", [])
    wanted = []
    for path, count in zip(paths, counts):
        if count == len(frames):
            wanted.append(list(range(count)))
        elif indices and count > max(indices):
            wanted.append(list(indices))
        else:
            raise UserError(f"{path}: {count} frames; expected one for each of the {len(frames)} frames of the clip")
    streams = [picked(path, places) for path, places in zip(paths, wanted)]
    return lambda _frame: {number: next(stream) for number, stream in enumerate(streams, start=1)}


def picked(path: Path, places: list[int]) -> Iterator[np.ndarray]:
    """Frames of a mask video at ascending places, black or white: compression leaves grey."""
    places = iter(places)
    place = next(places)
    for index, (_, pixels) in enumerate(VideoReader(path).frames()):
        while place == index:
            yield np.where(pixels.mean(axis=-1) > 127, np.uint8(255), np.uint8(0))
            place = next(places, -1)
