"""From the poses of each frame to the people of a clip: who is who, who of them is in it, and where they are missing.

With masks, a person has the number of his mask. Without, people are numbered by how many frames they are in; the
audience, what is too small for a layer and whoever is hardly ever seen are left out.
"""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from data.masks import read_mask
from data.tracked_poses import HIGHEST_PERSON
from preparation.steps import Finding
from util.images import read_image
from vision.geometry.flow import camera_shift
from vision.people.cast import LEAST_SIZE, audience, part_of, things
from vision.people.looks import looks_of
from vision.people.person_mask import assign_to_masks, bounding_box
from vision.people.pose_formats import Pose
from vision.people.tracking import NOBODY, by_frames_seen, track

_LONGEST_GAP = 25
"""Frames that somebody may be out of sight and still be expected where he would be."""
_LEAST_SHARE_SEEN, _FEWEST_FRAMES = 0.1, 5
_LONGEST_FILLED = 5
"""Frames of a gap that is filled in by interpolation."""
_LOOKED_AT_PX = 360
"""Height of the pictures in which people's colours are looked at."""

SELDOM, THING, SMALL, AUDIENCE, NOT_CHOSEN = "hardly ever seen", "no person", "too small", "audience", "not chosen"
DROPPED = "left out by hand"
"""Why people are left out."""
_REASONS = {SELDOM: "seen in fewer than {least} frames", SMALL: "too small for a layer",
            THING: "hardly like a person",
            AUDIENCE: "of the audience (smaller, at the edge or still)", NOT_CHOSEN: "beyond --people"}


def number_of(pose: Pose) -> int:
    """The number of somebody who has one."""
    assert pose.person is not None
    return pose.person


class People(NamedTuple):
    """The people of a clip, and those who are left out.

    Attributes:
        chosen: those of each frame, in the order of their numbers.
        others: those of each frame who are left out, numbered from 1 on their own.
        why: the reason for each of the others, by number.
    """

    chosen: list[list[Pose]]
    others: list[list[Pose]]
    why: dict[int, str]


def in_masks(people: list[Pose], paths: list[Path | None], numbers: list[int], size: tuple[int, int]) -> list[Pose]:
    """Give people the number of the mask that they are in; whoever is in none gets another number, if he had one.

    Poses are in pixels of frames of `size` (width, height).
    """
    present = [(number, path) for number, path in zip(numbers, paths) if path is not None]
    chosen = assign_to_masks([pose.keypoints for pose in people], [read_mask(path, size) for _, path in present])
    others = [pose.person if pose.person is None else pose.person + max(numbers) + 1 for pose in people]
    return [replace(pose, person=present[i][0] if i >= 0 else other)
            for pose, i, other in zip(people, chosen, others)]


def tracked(people: list[list[Pose]], files: dict[str, Path],
            rate: float) -> tuple[list[list[Pose]], np.ndarray | None]:
    """Give an id to everybody who has none; larger than those that there are. What is nobody is dropped.

    Args:
        people: of each frame.
        files: the frames' pictures, as many.
        rate: frames per second.

    Returns:
        the people, and how far the scene has moved in the picture since the first frame, [F, 2]; None: nobody was
        without an id, and no picture was looked at.
    """
    unknown = [[pose for pose in present if pose.person is None] for present in people]
    if not any(unknown):
        return people, None
    free = 1 + max((pose.person for present in people for pose in present if pose.person is not None), default=0)
    looks, shifts = [], np.zeros((len(files), 2))
    before = None
    for number, (path, present) in enumerate(zip(tqdm(files.values(), "people", unit="frame"), unknown)):
        picture = read_image(path, "RGB")
        scale = min(1.0, _LOOKED_AT_PX / picture.shape[0])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        looks.append(looks_of(small, [pose.keypoints * (scale, scale, 1) for pose in present]))
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        if before is not None:
            shifts[number] = camera_shift(before, grey) / scale
        before = grey
    ids = track([[pose.keypoints for pose in present] for present in unknown], _LONGEST_GAP, looks, rate)
    known = [[pose for pose in present if pose.person is not None] for present in people]
    return [kept + [replace(pose, person=free + i) for pose, i in zip(present, numbers) if i != NOBODY]
            for kept, present, numbers in zip(known, unknown, ids)], shifts.cumsum(axis=0)


def numbered(people: list[list[Pose]], opt: Namespace, masks: list[int], camera: np.ndarray | None,
             size: tuple[int, int], least_score: float = 0) -> People:
    """Choose who stays, and number them: the people in masks as these, others by the frames that they are in.

    A mask in which hardly ever a pose was found is of a thing, and has none. People whom somebody has tracked are
    chosen by the frames that they are in alone.

    Args:
        people: of each frame, all with ids.
        opt: with --people and --min_frames.
        masks: numbers of those that there are.
        camera: see `tracked`.
        size: (width, height) of the frames.
        least_score: mean of the joints' scores below which somebody is no person.
    """
    ids = [[pose.person for pose in present] for present in people]
    known = by_frames_seen(ids, least_frames(opt, len(people)))
    others = ranking = [person for person in known if person not in masks]
    why = {person: SELDOM for person in by_frames_seen(ids) if person not in known}
    if camera is not None:
        parts = {person: part_of(*_of_person(people, person), size, camera) for person in others}
        ranking = sorted(others, key=lambda person: -parts[person].prominence)
        if opt.people is None:
            why |= {person: SMALL for person, part in parts.items() if part.size < LEAST_SIZE}
            why |= {person: THING for person, thing in zip(parts, things(list(parts.values()), least_score)) if thing}
            rest = [person for person in others if person not in why]
            why |= {person: AUDIENCE for person, looks_on in zip(rest, audience([parts[person] for person in rest]))
                    if looks_on}
            ranking = [person for person in ranking if person not in why]
    most = opt.people if opt.people is not None else len(masks) or HIGHEST_PERSON
    stay = set(ranking[:max(0, most - len(masks))])
    first = max(masks, default=0) + 1
    new = {number: number for number in masks if number in known}
    new |= {person: first + i for i, person in enumerate(person for person in others if person in stay)}
    left = {person: number for number, person in enumerate((i for i in by_frames_seen(ids) if i not in new), start=1)}
    return People(_renumbered(people, new), _renumbered(people, left),
                  {number: why.get(person, NOT_CHOSEN) for person, number in left.items()})


def reasons_for(people: People, least: int) -> str:
    """How many were left out for which reason."""
    counts = [(reason, sum(why == reason for why in people.why.values())) for reason in _REASONS]
    return ", ".join(f"{count} {_REASONS[reason].format(least=least)}" for reason, count in counts if count)


def left_out(people: People, least: int) -> Iterator[Finding]:
    """Who was left out, and why, in one line."""
    if people.why:
        yield Finding(int(any(why != SELDOM for why in people.why.values())),
                      f"poses: {len(people.why)} more people were left out: "
                      f"{reasons_for(people, least)}. --people N takes the N most prominent, --min_frames less time in "
                      "sight, and on the page of --serve you choose")


def without_short_gaps(people: list[list[Pose]]) -> tuple[list[list[Pose]], int]:
    """Interpolate where somebody is missing for a few frames: a layer that is empty for a moment flickers.

    Returns:
        people of each frame in the order of their numbers, and how many poses were filled in.
    """
    missing = between(people, _LONGEST_FILLED)
    return ([sorted((*present, *more), key=number_of) for present, more in zip(people, missing)],
            sum(len(more) for more in missing))


def between(people: list[list[Pose]], longest: int) -> list[list[Pose]]:
    """Where people must be who are missing in up to `longest` frames: on the straight way from before to after."""
    filled: list[list[Pose]] = [[] for _ in people]
    last: dict[int, tuple[int, Pose]] = {}
    for frame, present in enumerate(people):
        for pose in present:
            before, earlier = last.get(number_of(pose), (frame, pose))
            for missing in range(before + 1, frame) if frame - before <= longest + 1 else ():
                filled[missing].append(on_the_way(earlier, pose, (missing - before) / (frame - before)))
            last[number_of(pose)] = frame, pose
    return filled


def on_the_way(earlier: Pose, later: Pose, share: float) -> Pose:
    """Somebody after a share of the straight way from one pose to another."""
    return replace(later, keypoints=(1 - share) * earlier.keypoints + share * later.keypoints,
                   score=min(earlier.score, later.score))


def moved_into_masks(frames: list[str], people: list[list[Pose]],
                     masks: dict[int, dict[str, Path]], size: tuple[int, int]) -> tuple[list[list[Pose]], int]:
    """Where somebody has a mask but no pose, take the one nearest in time, and move it with the mask's box.

    Things that never have a pose stay without. Poses are in pixels of frames of `size` (width, height).

    Returns:
        people of each frame in the order of their numbers, and how many poses were filled in.
    """
    filled, count = [list(present) for present in people], 0
    for person, files in masks.items():
        known = {f: pose for f, present in enumerate(people) for pose in present if pose.person == person}
        for f in set(range(len(frames))) - known.keys() if known else ():
            nearest = min(known, key=lambda other: abs(other - f))
            here, there = (files.get(frames[i]) for i in (f, nearest))
            if here is None or there is None:
                continue
            masks_of_both = [read_mask(path, size) for path in (here, there)]
            if all(mask.any() for mask in masks_of_both):
                to, origin = (np.reshape(bounding_box(mask), (2, 2)) for mask in masks_of_both)
                keypoints = known[nearest].keypoints.copy()
                keypoints[:, :2] = (keypoints[:, :2] - origin[0]) / (origin[1] - origin[0]) * (to[1] - to[0]) + to[0]
                filled[f].append(replace(known[nearest], keypoints=keypoints))
                count += 1
    return [sorted(present, key=number_of) for present in filled], count


def least_frames(opt: Namespace, frames: int) -> int:
    """In how many frames a person must be."""
    return opt.min_frames or max(1, round(_LEAST_SHARE_SEEN * frames), min(_FEWEST_FRAMES, frames // 2))


def gaps(frames: list[str], people: list[list[Pose]]) -> Iterator[Finding]:
    """Where people are missing between frames that they are in, the worst first, in one line."""
    frames_of: dict[int, list[int]] = {}
    for index, present in enumerate(people):
        for pose in present:
            frames_of.setdefault(number_of(pose), []).append(index)
    missing = {person: holes for person, seen in sorted(frames_of.items())
               if (holes := sorted(set(range(seen[0], seen[-1])) - set(seen)))}
    if missing:
        person, *others = sorted(missing, key=lambda person: -len(missing[person]))
        first, last = frames_of[person][0], frames_of[person][-1]
        also = f"; so {'is' if len(others) == 1 else 'are'} " + ", ".join(
            f"{other} in {len(missing[other])}" for other in others) if others else ""
        yield Finding(1 if len(missing[person]) < 0.1 * len(frames) else 2,
                      f"poses: person {person} is missing in {len(missing[person])} of {last - first + 1} frames "
                      f"between the first and the last, first in {frames[missing[person][0]]}{also}. Layers are empty "
                      "there, which is right only where nobody is in sight")


def _of_person(people: list[list[Pose]], person: int) -> tuple[list[int], np.ndarray]:
    """The frames that somebody is in, and his poses there, [N, 17, 3]."""
    found = [(f, pose.keypoints) for f, present in enumerate(people) for pose in present if pose.person == person]
    return [f for f, _ in found], np.stack([keypoints for _, keypoints in found])


def _renumbered(people: list[list[Pose]], new: dict[int, int]) -> list[list[Pose]]:
    """Those of each frame who have a new number, in its order."""
    return [sorted((replace(pose, person=new[pose.person]) for pose in present if pose.person in new),
                   key=number_of) for present in people]
