"""Step "poses": keypoints.json, tracked COCO-17 poses, from a file of any pose estimator or from the frames.

With masks, a person has the number of his mask, and whoever is in no mask gets a later number only if --people asks
for so many. Without, people are numbered by how many frames they are in.
"""

import contextlib
import json
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.dataroot import list_images
from data.masks import mask_files, read_mask
from data.tracked_poses import HIGHEST_PERSON
from preparation import estimators
from preparation.frame_names import named_in
from preparation.pose_pixels import better_reading
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames
from util.command_line import int_at_least
from util.errors import UserError
from util.files import write_text
from util.images import read_image
from vision.people.person_mask import bounding_box
from vision.people.pose_formats import Pose, PoseFile, printable, read_pose_file
from vision.people.tracking import assign_to_masks, by_frames_seen, track

_ESTIMATORS = ("keypoint_rcnn", "mediapipe", "none")
_LONGEST_GAP = 25
"""Frames that somebody may be out of sight and still be recognised."""
_LEAST_SHARE_SEEN, _FEWEST_FRAMES = 0.1, 5
_LONGEST_FILLED = 5
"""Frames of a gap that is filled in by interpolation."""


def add_options(group) -> None:
    """Options of this step."""
    group.add_argument("--poses", type=file_or_estimator, metavar="FILE|NAME",
                       help="poses that you have (of AlphaPose, OpenPose, MMPose, Ultralytics, ViTPose, DWPose or COCO "
                            "annotations, recognised by content), or what is to find them. keypoint_rcnn: everybody, "
                            "downloads its weights once; mediapipe: best for one person, or with --masks, needs no "
                            "download; none: layers are made from masks alone (default: keypoint_rcnn)")
    group.add_argument("--pose_size", type=width_and_height, metavar="WxH",
                       help="width and height, such as 1280x720, of the pictures that a file's poses were found on "
                            "(default: those of the frames, or what the file says)")
    group.add_argument("--people", type=int_at_least(1), metavar="N",
                       help="keep the N people who are seen most (default: all)")
    group.add_argument("--min_frames", type=int_at_least(1), metavar="N",
                       help="leave out people who are in fewer frames (default: a tenth of the frames, at "
                            "least 5)")


def file_or_estimator(text: str) -> Path | str:
    """An argparse type: an estimator's name, or else a path."""
    return text if text in _ESTIMATORS else Path(text)


def width_and_height(text: str) -> str:
    """An argparse type: two numbers of pixels, such as 1280x720."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ArgumentTypeError(f"found '{text}'; expected width and height in pixels, such as 1280x720")
    return text.lower()


def run(job: Job) -> Outcome:
    """Find or read poses, track people and number them."""
    files = list_images(job.root / "rgb")
    frames = list(files)
    masks = mask_files(job.root)
    findings: list[Finding] = []
    poses = job.opt.poses or "keypoint_rcnn"
    if isinstance(poses, Path):
        file = read_pose_file(poses)
        values = facts_of_frames(job.root)
        people, how = matched(poses, file, frames, values.get("source", {}))
        people, told = in_pixels_of_frames(poses, file, people, files, masks, values, job.opt.pose_size)
        findings += told
        source = f"{file.form}; {how}"
        if not file.is_tracked:
            people = [[replace(pose, person=None) for pose in present] for present in people]
            source += "; tracked here, as the file has no ids that can be used"
    else:
        people, source = estimated(job.cache, poses, files, masks), poses
    if masks:
        people = [in_masks(present, [path.get(frame) for path in masks.values()], list(masks))
                  for frame, present in zip(frames, people)]
    people = tracked(people)
    people, left_out = numbered(people, job.opt, list(masks))
    people, filled_in = without_short_gaps(people)
    people, moved = moved_into_masks(frames, people, masks)
    write_text(job.made / "keypoints.json", keypoints_json(frames, people))

    seen = by_frames_seen([[pose.person for pose in present] for present in people])
    findings.append(Finding(0, f"poses: {'found by' if isinstance(poses, str) else f'{poses} read as'} {source}"))
    if filled_in or moved:
        findings.append(Finding(1, f"poses: {filled_in + moved} were not found and filled in from the frames around; "
                                   "look at them on the page"))
    if poses == "mediapipe" and not masks and len(seen) > 1:
        findings.append(Finding(2, f"poses: mediapipe sees one person at a time, and {len(seen)} were found; who "
                                   "overlaps with others is lost for a while. Give --masks, or --poses keypoint_rcnn"))
    findings += gaps(frames, people)
    if left_out:
        findings.append(Finding(1, f"poses: {len(left_out)} more people were left out, seen in {left_out} frames; if "
                                   f"one of them belongs to a layer, give --people {len(seen) + 1} or a smaller "
                                   "--min_frames"))
    if not seen and not masks:
        raise UserError(f"--poses {poses}: nobody was found in at least {least_frames(job.opt, len(frames))} frames; "
                        "give other poses, another estimator, masks with --masks, or a smaller --min_frames")
    return Outcome(f"{len(seen)} {'person' if len(seen) == 1 else 'people'} ({source})", findings,
                   {"source": source, "people": sorted(seen)})


STEP = Step("poses", run, ("rgb", "mask", f"{METADATA}#source"), ("keypoints.json",), add_options)


def matched(path: Path, file: PoseFile, frames: list[str], source: dict) -> tuple[list[list[Pose]], str]:
    """The poses of each of `frames`, and in words how they were matched.

    Raises:
        UserError: no frame is matched.
    """
    names, how = named_in(file.poses, frames, source, usual_first=int(file.form.startswith("COCO results")))
    if any(names):
        return [file.poses.get(name, []) for name in names], how
    found = printable(next(iter(file.names.values()))) if file.names else "no frame at all"
    expected = source.get("names", frames)
    raise UserError(f"{path}: has poses of {found}; expected frames like {expected[0]} to {expected[-1]}. "
                    "Name them alike, or find the poses on this video")


def in_pixels_of_frames(path: Path, file: PoseFile, people: list[list[Pose]], files: dict[str, Path],
                        masks: dict[int, dict], values: dict,
                        given: str | None) -> tuple[list[list[Pose]], list[Finding]]:
    """Poses in pixels of the frames, and what is to be said of the pixels that they were in.

    Args:
        path: of the poses, for messages.
        file: what is in it.
        people: its poses of each frame.
        files: the frames' pictures.
        masks: of people by layer and frame.
        values: metadata.json's.
        given: --pose_size.

    Raises:
        UserError: a tenth or more of all joints lie well outside the frame.
    """
    height, width = read_image(next(iter(files.values())), "L").shape
    size = (width, height)
    stated = tuple(int(side) for side in given.split("x")) if given else file.size
    if stated is not None:
        told = []
        if tuple(stated) not in ((1, 1), size):
            told.append(Finding(0, f"poses: {path}: found on pictures of {stated[0]:g}x{stated[1]:g}; scaled to the "
                                   f"frames' {width}x{height}"))
        people = moved_by(people, np.array([[width / stated[0], 0, 0], [0, height / stated[1], 0]]))
        check_inside(path, people, size)
        return people, told
    better = better_reading(people, files, masks, size, known_sizes(values, size))
    if better is None:
        check_inside(path, people, size)
        return people, []
    reading, share, as_they_are = better
    seen = f"{share:.0%} of the joints lie on people by these, {as_they_are:.0%} by the frames' {width}x{height}"
    if reading.is_known:
        return moved_by(people, reading.to_frame), [Finding(
            1, f"poses: {path}: in {reading.words}: {seen}; scaled to the frames. Look at them on the page")]
    remedy = ("Find the poses on the pictures in rgb/" if reading.size in (size, size[::-1]) else
              f"Give --pose_size {reading.size[0]}x{reading.size[1]}, or find them on the pictures in rgb/")
    with contextlib.suppress(UserError):
        check_inside(path, people, size)
        return people, [Finding(2, f"poses: {path}: seem to be in {reading.words}: {seen}. {remedy}")]
    raise UserError(f"{path}: poses are in {reading.words}: {seen}. {remedy}")


def known_sizes(values: dict, size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Other sizes of the very frames, (width, height), by what they are."""
    sizes = {"as the video is displayed": values.get("original_size"),
             "as the video is stored": values.get("source", {}).get("stored_size"),
             "the low resolution": values.get("size_LR")}
    sizes = {words: tuple(other) for words, other in sizes.items() if other and tuple(other) != size}
    if "the low resolution" in sizes:
        sizes["twice the low resolution"] = tuple(2 * side for side in sizes["the low resolution"])
    return sizes


def moved_by(people: list[list[Pose]], matrix: np.ndarray) -> list[list[Pose]]:
    """Poses moved by a matrix [2, 3]."""
    return [[replace(pose, keypoints=np.column_stack([pose.keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2],
                                                      pose.keypoints[:, 2]])) for pose in present]
            for present in people]


def check_inside(path: Path, people: list[list[Pose]], size: tuple[int, int]) -> None:
    """Refuse poses that were found on pictures of another size.

    Args:
        path: for the message.
        people: of each frame.
        size: (width, height) of the frames.

    Raises:
        UserError: a tenth or more of all joints lie well outside the frame.
    """
    everybody = [pose.keypoints for present in people for pose in present]
    if not everybody:
        return
    points = np.concatenate(everybody)
    points = points[points[:, 2] > 0, :2]
    limit = np.array(size)
    if len(points) and ((points < -0.1 * limit) | (points > 1.1 * limit)).any(axis=1).mean() > 0.1:
        x, y = points.max(axis=0)
        raise UserError(f"{path}: poses reach to ({x:.0f}, {y:.0f}); the frames have {limit[0]}x{limit[1]} pixels. "
                        "Find the poses on frames of this size, or give the size that they were found on: --pose_size "
                        "1280x720")


def estimated(cache: Path, estimator: str, files: dict[str, Path], masks: dict[int, dict]) -> list[list[Pose]]:
    """Run an estimator over the frames; what it found in each is kept in `cache`."""
    if estimator == "none":
        return [[] for _ in files]
    find = estimators.keypoint_rcnn() if estimator == "keypoint_rcnn" else estimators.mediapipe(files, masks)
    people: list[list[np.ndarray]] = []
    for frame, path in tqdm(files.items(), desc="poses", unit="frame"):
        kept = cache / f"{frame}.json"
        if kept.exists():
            found = [np.array(skeleton) for skeleton in json.loads(kept.read_text())]
        else:
            found = find(frame, read_image(path, "RGB"), people[-1] if people else [])
            write_text(kept, json.dumps([np.round(skeleton, 3).tolist() for skeleton in found]))
        people.append(found)
    return [[Pose(None, skeleton, float(skeleton[:, 2].mean())) for skeleton in found] for found in people]


def in_masks(people: list[Pose], paths: list[Path | None], numbers: list[int]) -> list[Pose]:
    """Give people the number of the mask that they are in; whoever is in none gets another number, if he had one."""
    present = [(number, path) for number, path in zip(numbers, paths) if path is not None]
    chosen = assign_to_masks([pose.keypoints for pose in people], [read_mask(path) for _, path in present])
    others = [pose.person if pose.person is None else pose.person + max(numbers) + 1 for pose in people]
    return [replace(pose, person=present[i][0] if i >= 0 else other)
            for pose, i, other in zip(people, chosen, others)]


def tracked(people: list[list[Pose]]) -> list[list[Pose]]:
    """Give an id to everybody who has none; larger than those that there are."""
    free = 1 + max((pose.person for present in people for pose in present if pose.person is not None), default=0)
    unknown = [[pose for pose in present if pose.person is None] for present in people]
    ids = track([[pose.keypoints for pose in present] for present in unknown], _LONGEST_GAP)
    known = [[pose for pose in present if pose.person is not None] for present in people]
    return [kept + [replace(pose, person=free + i) for pose, i in zip(present, numbers)]
            for kept, present, numbers in zip(known, unknown, ids)]


def numbered(people: list[list[Pose]], opt: Namespace, masks: list[int]) -> tuple[list[list[Pose]], list[int]]:
    """Choose who stays, and number them: the people in masks as these, others by the frames that they are in.

    A mask in which hardly ever a pose was found is of a thing, and has none.

    Returns:
        people of each frame in the order of their numbers, and in how many frames each of those left out was.
    """
    ids = [[pose.person for pose in present] for present in people]
    least = least_frames(opt, len(people))
    seen = by_frames_seen(ids, least)
    others = [person for person in seen if person not in masks]
    most = opt.people if opt.people is not None else (len(masks) or HIGHEST_PERSON)
    first = max(masks, default=0) + 1
    new = {number: number for number in masks if number in seen}
    new |= {person: first + i for i, person in enumerate(others[:max(0, most - len(masks))])}
    left_out = [sum(person in frame for frame in ids) for person in others if person not in new]
    return [sorted((replace(pose, person=new[pose.person]) for pose in present if pose.person in new),
                   key=lambda pose: pose.person) for present in people], left_out


def without_short_gaps(people: list[list[Pose]]) -> tuple[list[list[Pose]], int]:
    """Interpolate where somebody is missing for a few frames: a layer that is empty for a moment flickers.

    Returns:
        people of each frame in the order of their numbers, and how many poses were filled in.
    """
    filled, count = [list(present) for present in people], 0
    last: dict[int, tuple[int, Pose]] = {}
    for frame, present in enumerate(people):
        for pose in present:
            before, earlier = last.get(pose.person, (frame, pose))
            for missing in range(before + 1, frame) if frame - before <= _LONGEST_FILLED + 1 else ():
                share = (missing - before) / (frame - before)
                keypoints = (1 - share) * earlier.keypoints + share * pose.keypoints
                filled[missing].append(replace(pose, keypoints=keypoints, score=min(earlier.score, pose.score)))
                count += 1
            last[pose.person] = frame, pose
    return [sorted(present, key=lambda pose: pose.person) for present in filled], count


def moved_into_masks(frames: list[str], people: list[list[Pose]],
                     masks: dict[int, dict[str, Path]]) -> tuple[list[list[Pose]], int]:
    """Where somebody has a mask but no pose, take the one nearest in time, and move it with the mask's box.

    Things that never have a pose stay without.

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
            masks_of_both = [read_mask(path) for path in (here, there)]
            if all(mask.any() for mask in masks_of_both):
                to, origin = (np.reshape(bounding_box(mask), (2, 2)) for mask in masks_of_both)
                keypoints = known[nearest].keypoints.copy()
                keypoints[:, :2] = (keypoints[:, :2] - origin[0]) / (origin[1] - origin[0]) * (to[1] - to[0]) + to[0]
                filled[f].append(replace(known[nearest], keypoints=keypoints))
                count += 1
    return [sorted(present, key=lambda pose: pose.person) for present in filled], count


def least_frames(opt: Namespace, frames: int) -> int:
    """In how many frames a person must be."""
    return opt.min_frames or max(1, round(_LEAST_SHARE_SEEN * frames), min(_FEWEST_FRAMES, frames // 2))


def gaps(frames: list[str], people: list[list[Pose]]) -> Iterator[Finding]:
    """Where somebody is missing between frames that he is in."""
    for person in sorted({pose.person for present in people for pose in present}):
        seen = [any(pose.person == person for pose in present) for present in people]
        first, last = seen.index(True), len(seen) - 1 - seen[::-1].index(True)
        missing = [i for i in range(first, last) if not seen[i]]
        if missing:
            yield Finding(1 if len(missing) < 0.1 * len(frames) else 2,
                          f"poses: person {person} is missing in {len(missing)} of {last - first + 1} frames between "
                          f"the first and the last, first in {frames[missing[0]]}; the layer is empty there. Fill in "
                          "keypoints.json by hand if the person is in sight")


def keypoints_json(frames: list[str], people: list[list[Pose]]) -> str:
    """The text of keypoints.json, a frame a line."""
    lines = [f"{json.dumps(frame + '.png')}: " + json.dumps([
        {"keypoints": [round(float(x), 2) for x in pose.keypoints.ravel()], "scores": round(pose.score, 3),
         "idx": pose.person} for pose in present]) for frame, present in zip(frames, people)]
    return "{\n" + ",\n".join(lines) + "\n}\n"
