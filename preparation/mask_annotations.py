"""Masks in a JSON file: polygons and run lengths of COCO annotations, YouTube-VIS and SA-V.

    {"images", "annotations": [{"image_id", "segmentation", "track_id"}]}   COCO: CVAT, Roboflow, labelme2coco, ...
    {"videos", "annotations": [{"segmentations": [one per frame, null]}]}   YouTube-VIS, OVIS
    {"masklet": [[run lengths of each object] per frame]}                   SA-V
"""

import json
from pathlib import Path

import numpy as np

from preparation.frame_names import named_in
from util.errors import UserError
from vision.people.run_lengths import mask_of_polygons, mask_of_runs

_TRACK_KEYS = ("track_id", "instance_id", "object_id", "obj_id")
_LONGEST_SIDE = 16384
_EXPECTED = ("expected COCO annotations with images and segmentations, YouTube-VIS, or SA-V's masklet; else masks are "
             "pictures or videos")


def opened(path: Path, frames: list[str], source: dict):
    """Read masks; returns and takes what `preparation.masks.opened` does.

    Raises:
        UserError: it holds no masks, of no known form, or does not tell who is who.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); {_EXPECTED}") from None
    content = content if isinstance(content, dict) else {}
    try:
        if "masklet" in content:
            form, found = "SA-V's masklets", of_masklets(content)
        elif "videos" in content and "annotations" in content:
            form, found = "YouTube-VIS annotations", of_videos(path, content)
        elif "images" in content and "annotations" in content:
            form, found = "COCO annotations", of_images(path, content)
        else:
            raise UserError(f"{path}: a JSON file without masks; {_EXPECTED}")
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"{path}: not of its form ({type(error).__name__}: {error}); {_EXPECTED}") from None
    people = list(dict.fromkeys(person for masks in found.values() for person, _, _ in masks))
    if not people:
        raise UserError(f"{path}: no segmentation in any frame; {_EXPECTED}")
    if all(isinstance(person, int) for person in people):
        people.sort()
    numbers = {person: number for number, person in enumerate(people, start=1)}
    names, how = named_in(found, frames, source, usual_first=1)
    if not any(names):
        expected = source.get("names", frames)
        raise UserError(f"{path}: has masks of {next(iter(found))}; expected frames like {expected[0]} to "
                        f"{expected[-1]}. Name them alike")
    name_of = dict(zip(frames, names))

    def masks_of(frame: str) -> dict[int, np.ndarray] | None:
        name = name_of[frame]
        if name is None:
            return None
        masks: dict[int, np.ndarray] = {}
        for person, segmentation, size in found[name]:
            try:
                mask = decoded(segmentation, size)
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f"{path}: frame {name}: {error}; expected polygons or run lengths of "
                                "its size. Export again") from None
            number = numbers[person]
            if number in masks and masks[number].shape != mask.shape:
                raise UserError(f"{path}: frame {name}: {person} has masks of two sizes; expected one. "
                                "Export again")
            masks[number] = np.maximum(masks.get(number, 0), mask.astype(np.uint8) * 255)
        return masks
    return f"{form}, {how}", list(numbers.values()), masks_of


def decoded(segmentation, size: tuple[int, int] | None) -> np.ndarray:
    """A mask, bool [H, W], from polygons or run lengths; `size` (height, width) is the picture's.

    Raises:
        ValueError: it is neither, or not of this size.
    """
    if isinstance(segmentation, dict):
        size = segmentation["size"]
    if size is None:
        raise ValueError("polygons without the picture's width and height")
    if len(size) != 2 or not all(type(side) is int and 0 < side <= _LONGEST_SIDE for side in size):
        raise ValueError(f"a size of {str(size)[:40]}")
    if isinstance(segmentation, dict):
        return mask_of_runs(segmentation["counts"], segmentation["size"])
    return mask_of_polygons(segmentation, size)


def of_images(path: Path, content: dict) -> dict[str, list[tuple]]:
    """For each frame who is where: (person, segmentation, (height, width))."""
    images = {image["id"]: image for image in content["images"]}
    stems = {key: Path(str(image["file_name"]).replace("\\", "/")).stem for key, image in images.items()}
    found: dict[str, list[tuple]] = {stem: [] for stem in stems.values()}
    nameless = []
    for entry in content["annotations"]:
        if not entry.get("segmentation"):
            continue
        image, person = images[entry["image_id"]], track_of(entry)
        stem = stems[entry["image_id"]]
        if person is None:
            nameless.append(stem)
        size = (image["height"], image["width"]) if "height" in image else None
        found[stem].append((person, entry["segmentation"], size))
    if nameless and max(map(len, found.values())) > 1:
        raise UserError(f"{path}: frame {nameless[0]} has a segmentation without track_id; expected the person's "
                        "number in each, the same in all frames. Annotate as tracks, or give a folder of masks for "
                        "each person")
    return found


def track_of(entry: dict):
    """A person's number or name, the same in all frames; None: the annotation has none."""
    for values in (entry, entry.get("attributes") or {}):
        for key in _TRACK_KEYS:
            if values.get(key) is not None:
                return values[key] if isinstance(values[key], int) else str(values[key])
    return None


def of_videos(path: Path, content: dict) -> dict[str, list[tuple]]:
    """As `of_images`, of the only video."""
    videos = content["videos"]
    if len(videos) != 1:
        raise UserError(f"{path}: masks of {len(videos)} videos; expected those of one. Take this clip's out")
    video = videos[0]
    stems = [Path(str(name).replace("\\", "/")).stem for name in video["file_names"]]
    size = (video["height"], video["width"])
    found: dict[str, list[tuple]] = {stem: [] for stem in stems}
    for number, entry in enumerate(content["annotations"], start=1):
        for stem, segmentation in zip(stems, entry["segmentations"]):
            if segmentation:
                found[stem].append((number, segmentation, size))
    return found


def of_masklets(content: dict) -> dict[str, list[tuple]]:
    """As `of_images`; frames are numbered from 0, every fourth one where a person annotated them."""
    masklets = content["masklet"]
    step = 4 if str(content.get("masklet_type", "")).lower() == "manual" else 1
    return {f"{index * step:05d}": [(number, one, None) for number, one in enumerate(frame, start=1) if one]
            for index, frame in enumerate(masklets)}
