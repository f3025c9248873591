"""Step "masks": mask/01/0001.png ..., a folder per person or thing, from the masks that the user has.

    a folder with a folder for each      01/0001.png ...; what a person is in a picture, data/masks.py knows
    a folder of index pictures           the level, palette entry or colour is the person; DAVIS, MOTS and CVAT trees
    a folder of masks of one             one person or thing
    a video, or a folder of videos       one for each, alpha or white is the person
    a JSON file                          COCO annotations, YouTube-VIS or SA-V: polygons and run lengths

Pictures are matched with frames by name, or in order where there are as many; videos frame by frame, or by time.
Masks for few frames go to mask_given/ instead: they guide the step "mattes" (mattes.py), which makes those of all.
"""

import re
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data.dataroot import list_images
from data.masks import MOST_NUMBERS, VOID, Survey, decoded, fits_form, mask_files, survey, turned_remedy
from preparation import mask_annotations, mask_videos
from preparation.frame_names import last_number, named_in
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames, is_made_by
from util.clips import DEFAULT_FRAME_RATE, frame_rate_of, natural_order
from util.errors import UserError
from util.images import read_image, write_png

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_HIGHEST_INDEX = 60
"""Pictures with white and levels beyond it are grey at their edges."""
_MOTS_VOID = 10000
_LABEL_STUDIO = re.compile(r"task-(\d+)-annotation-.*-tag-(.+)")


def add_options(group) -> None:
    """Options of this step."""
    group.add_argument("--masks", type=Path, metavar="PATH",
                       help="masks of people or things: a folder for each, index pictures, videos or COCO annotations, "
                            "recognised by content. They bound the UV maps, and need no poses; those of a few "
                            "frames guide the others'")


def run(job: Job) -> Outcome:
    """Bring masks into one form."""
    path = job.opt.masks
    if path is None:
        return Outcome("none given")
    files = list_images(job.root / "rgb")
    values = facts_of_frames(job.root)
    source = values.get("source", {})
    first = read_image(next(iter(files.values())), "L")
    forms = [first.shape[::-1], *(size for size in (values.get("original_size"), source.get("stored_size"),
                                                    values.get("size_LR")) if size)]
    form, numbers, pictures = opened(path, list(files), source, rate_in(values))
    findings: list[Finding] = []
    empty = dict.fromkeys(numbers, 0)
    filled = dict.fromkeys(numbers, 0.0)
    missing = []
    for frame in tqdm(files, desc="masks", unit="frame"):
        masks = pictures(frame)
        if masks is None:
            missing.append(frame)
        for number, mask in (masks or {}).items():
            if not fits_form(mask.shape[::-1], forms):
                raise UserError(f"{path}: masks of {mask.shape[1]}x{mask.shape[0]} pixels; expected the form of the "
                                f"frames, {first.shape[1]}x{first.shape[0]}{turned_remedy(mask.shape[::-1], forms)}. "
                                "Give masks of these frames")
            if any(side > most for side, most in zip(mask.shape, first.shape)):  # smaller ones know no finer edges
                mask = cv2.resize(mask, first.shape[::-1], interpolation=cv2.INTER_LINEAR)
            empty[number] += not (mask > 127).any()
            filled[number] += (mask > 127).mean() / len(files)
            write_png(job.made / "mask" / f"{number:02d}" / f"{frame}.png", mask)
    findings.append(Finding(0, f"masks: {path} read as {form}"))
    given = len(files) - len(missing)
    guides_only = given < MOST_GUIDES * len(files)
    if guides_only:
        (job.made / "mask").rename(job.made / GUIDES)
        findings.append(Finding(1, f"masks: {given} of {len(files)} frames have some; they guide those that are found "
                                   "in the others, and are carried on as far as they can be followed. Look at the "
                                   "page, and give more where it goes wrong"))
        return Outcome(f"of {given} frames ({form})", findings)
    for number in numbers:
        for frame in files:
            whole = job.made / "mask" / f"{number:02d}" / f"{frame}.png"
            if not whole.exists():
                empty[number] += 1
                write_png(whole, np.zeros_like(first))
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


GUIDES, MOST_GUIDES = "mask_given", 0.5
"""The folder of masks that are given for few frames; from this share of the frames on they are all."""
GIVEN = "mask!mattes"
"""What steps read that come before the step "mattes", which makes masks from what they make."""
STEP = Step("masks", run, ("rgb", f"{METADATA}#source"), ("mask", GUIDES), add_options)


def given_masks(root: Path) -> dict[int, dict[str, Path]]:
    """The pictures in mask/ by layer and frame; none where it was not the user who gave them."""
    return {} if is_made_by("mattes", root, "mask") else mask_files(root)


def rate_in(values: dict) -> Fraction:
    """Frames per second of the clip by its metadata.json."""
    try:
        return frame_rate_of(str(values.get("frame_rate", DEFAULT_FRAME_RATE)))
    except ValueError:
        return DEFAULT_FRAME_RATE


def opened(path: Path, frames: list[str], source: dict, frame_rate: Fraction = DEFAULT_FRAME_RATE):
    """Recognise masks.

    Args:
        path: a file or folder.
        frames: names of the clip's frames.
        source: metadata.json's entry, with the frames' numbers and names in the video or folder that they come from.
        frame_rate: of the clip.

    Returns:
        what it is, in words; the numbers of the masks, from 1; and a function from a frame's name to its masks (uint8
        [H, W] by number), or None where it has none. It must be called for the frames in their order.

    Raises:
        UserError: there are no masks in it, of no known form, or they do not fit the frames.
    """
    if path.is_file():
        if path.suffix.lower() == ".json":
            return mask_annotations.opened(path, frames, source)
        return from_videos([path], frames, source, frame_rate)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; expected masks")
    path = folder_of_masks(path)
    entries = visible(path)
    folders = [p for p in entries if p.is_dir()]
    if pictures_in(path):
        return from_pictures(path, frames, source)
    if folders:
        return from_folders(folders, frames, source)
    videos = [p for p in entries if p.is_file()]
    if not videos:
        raise UserError(f"{path}: an empty folder; expected masks: a folder for each person, index pictures or videos")
    return from_videos(videos, frames, source, frame_rate)


def visible(folder: Path) -> list[Path]:
    """Files and folders in a folder that are not hidden, 2 before 10."""
    return sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda p: natural_order(p.name))


def pictures_in(folder: Path) -> dict[str, Path]:
    """Pictures of a folder by name without ending."""
    return {p.stem: p for p in visible(folder) if p.suffix.lower() in _PICTURES and p.is_file()}


def folder_of_masks(path: Path) -> Path:
    """The folder in a tree of DAVIS, CVAT or the like that holds the masks: of people where there are such of classes.

    Raises:
        UserError: it holds several clips.
    """
    while not pictures_in(path):
        folders = {p.name: p for p in visible(path) if p.is_dir()}
        inner = next((folders[name] for name in ("SegmentationObject", "Annotations") if name in folders), None)
        if inner is None and len(folders) == 1:
            inner = next(iter(folders.values()))
        if inner is None or not inner.is_dir():
            break
        path = inner
    return path


def from_folders(folders: list[Path], frames: list[str], source: dict):
    """A folder of pictures for each person or thing."""
    found = [in_order_of_frames(folder, frames, source) for folder in folders]
    readings = [survey(files.values()).reading_of_one(folder) for folder, files in zip(
        folders, (pictures_in(folder) for folder in tqdm(folders, "masks: looking", unit="folder", leave=False)))]
    numbers = [int(p.name) for p in folders] if all(p.name.isdecimal() for p in folders) else []
    if numbers != list(range(1, len(folders) + 1)):
        numbers = list(range(1, len(folders) + 1))

    def masks_of(frame: str) -> dict[int, np.ndarray] | None:
        here = {number: read(decoded(files[frame]))
                for number, files, (_, read) in zip(numbers, found, readings) if frame in files}
        return here or None
    names = ", ".join(p.name for p in folders[:5])
    special = ", ".join(dict.fromkeys(words for words, _ in readings if words != "white on black"))
    return (f"a folder for each: {names}{' ...' if len(folders) > 5 else ''}{f'; {special}' * bool(special)}", numbers,
            masks_of)


def from_pictures(folder: Path, frames: list[str], source: dict):
    """A folder of pictures: index pictures, or masks of a single person."""
    labelled = {path: found for name, path in pictures_in(folder).items() if (found := _LABEL_STUDIO.fullmatch(name))}
    if labelled:
        return from_label_studio(folder, labelled, frames)
    files = in_order_of_frames(folder, frames, source)
    seen = survey(tqdm(pictures_in(folder).values(), "masks: looking", unit="frame", leave=False))
    new = indices_in(folder, seen)
    if new is None:
        if not seen.transparent and not seen.levels[1:].any() and not any(seen.colours or ()):
            raise UserError(f"{folder}: all pictures are black; expected white, or the number of a person, somewhere")
        words, read = seen.reading_of_one(folder)
        words = {"white on black": "black and white pictures", "alpha": "alpha of pictures"}.get(words, words)
        return f"{words} of one", [1], lambda frame: {1: read(decoded(files[frame]))} if frame in files else None

    def masks_of(frame: str) -> dict[int, np.ndarray] | None:
        if frame not in files:
            return None
        picture = decoded(files[frame])
        shown = picture.colours() if seen.by_colour else picture.levels
        hidden = picture.alpha <= 127 if seen.transparent and picture.alpha is not None else False
        return {number: ((shown == level) & ~np.asarray(hidden)).astype(np.uint8) * 255
                for level, number in new.items()}
    names = ", ".join(f"#{level:06x}" if seen.by_colour else str(level) for level in new)
    return f"index pictures with {names}", list(new.values()), masks_of


def indices_in(folder: Path, seen: Survey) -> dict[int, int] | None:
    """The person's number by level, palette entry or colour, of index pictures; None: they are masks of one.

    Raises:
        UserError: there are numbers, but no background; or colours, but too many.
    """
    if seen.by_colour:
        if seen.colours is None:
            if seen.transparent:
                return None
            raise UserError(f"{seen.coloured}: a colour picture with many colours; expected a palette, grey levels or "
                            "a colour for each person on black, or white on black. Export masks, as PNG")
        if 0 not in seen.colours and not seen.transparent:
            raise UserError(f"{seen.coloured}: a colour picture without black; expected a black background and a "
                            "colour for each person. Paint the background black")
        people = [colour for colour in seen.colours if colour != 0]
        if seen.transparent and len(people) < 2:
            return None
        return {colour: number for number, colour in enumerate(people, start=1)}
    if seen.transparent and "palette" not in seen.kinds:
        return None
    numbers = seen.numbers()
    highest = max(numbers, default=0)
    white = 65535 if highest > VOID else VOID
    inner = [number for number in numbers if number not in (white, VOID)]
    if white == 65535:
        inner = [number for number in numbers if number not in (white, _MOTS_VOID)]
    if not inner or len(inner) > MOST_NUMBERS or (inner[-1] > _HIGHEST_INDEX and seen.levels[white]):
        return None
    if not seen.levels[0]:
        if len(numbers) == 2:
            return None
        raise UserError(f"{folder}: levels {', '.join(map(str, inner))} and no 0 anywhere; expected the number of a "
                        "person, and 0 where nobody is. Give the background 0")
    return {level: number for number, level in enumerate(inner, start=1)}


def from_label_studio(folder: Path, labelled: dict[Path, re.Match], frames: list[str]):
    """Brush masks that Label Studio exports: a picture for each task (frame) and label, all in one folder."""
    tasks = sorted({int(found[1]) for found in labelled.values()})
    if len(tasks) != len(frames):
        raise UserError(f"{folder}: Label Studio's masks of {len(tasks)} tasks; expected one task for each of the "
                        f"{len(frames)} frames. Annotate the pictures of rgb/")
    labels = sorted({found[2] for found in labelled.values()}, key=natural_order)
    files = {(int(found[1]), found[2]): path for path, found in labelled.items()}
    reads = [survey(path for (_, label), path in files.items() if label == one).reading_of_one(folder)[1]
             for one in labels]
    task_of = dict(zip(frames, tasks))

    def masks_of(frame: str) -> dict[int, np.ndarray] | None:
        return {number: read(decoded(files[task_of[frame], label]))
                for number, (label, read) in enumerate(zip(labels, reads), start=1) if (task_of[frame], label) in files}
    return f"Label Studio's masks of {', '.join(labels[:5])}", list(range(1, len(labels) + 1)), masks_of


def in_order_of_frames(folder: Path, frames: list[str], source: dict) -> dict[str, Path]:
    """The picture of each frame: by name or number, else one after the other if there are as many.

    Raises:
        UserError: neither fits.
    """
    files = pictures_in(folder)
    if not files:
        endings = sorted({p.suffix for p in visible(folder) if p.is_file()})
        raise UserError(f"{folder}: no pictures{f', but {endings[0]} files' if endings else ''}; expected a mask for "
                        f"each frame, one of {', '.join(_PICTURES)}. Convert them to PNG")
    names = named_in(files, frames, source, usual_first=1)[0]
    found = {frame: files[name] for frame, name in zip(frames, names) if name}
    if len(found) < len(frames) == len(files):
        return dict(zip(frames, sorted(files.values(), key=lambda p: natural_order(p.name))))
    expected = source.get("names", frames)
    if not found:
        raise UserError(f"{folder}: {len(files)} masks, the first is {next(iter(files.values())).name}; expected one "
                        f"for each of the {len(frames)} frames, named {expected[0]}.png to {expected[-1]}.png")
    by_number: dict[int, str] = {}
    used = set(names)
    for name in files:
        number = last_number(name)
        if number is not None and by_number.setdefault(number, name) != name and not {name, by_number[number]} <= used:
            raise UserError(f"{folder}: {files[by_number[number]].name} and {files[name].name} have the same number; "
                            f"expected one mask for each frame, named {expected[0]}.png to {expected[-1]}.png. Give "
                            "each person's masks in a folder of their own")
    return found


def from_videos(paths: list[Path], frames: list[str], source: dict, frame_rate: Fraction):
    """One mask per video; the videos are read side by side, once."""
    videos = [mask_videos.opened(path) for path in paths]
    places = [mask_videos.places_in(video, len(frames), source, frame_rate) for video in videos]
    streams = [video.frames(wanted) for video, (wanted, _) in zip(videos, places)]
    words = ["a video for each" if len(paths) > 1 else "a video"]
    words += dict.fromkeys(how for _, how in places if how)
    if any(video.has_alpha for video in videos):
        words.append("by its alpha")
    return ", ".join(words), list(range(1, len(paths) + 1)), lambda _frame: {
        number: next(stream) for number, stream in enumerate(streams, start=1)}
