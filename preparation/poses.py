"""Step "poses": keypoints.json, tracked COCO-17 poses, from a file of any pose estimator or from the frames.

With masks, a person has the number of his mask, and whoever is in no mask gets a later number only if --people asks
for so many. Without, people are numbered by how many frames they are in, and the audience is left out.

What an estimator found stays on disk: to choose differently, nothing is estimated again. Whoever is left out is kept in
left_out.json beside it, for the page on which people are corrected.
"""

import contextlib
import json
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.dataroot import list_images
from preparation import estimators
from preparation.frame_names import named_in
from preparation.masks import GIVEN, GUIDES, given_masks
from preparation.pose_pixels import better_reading
from preparation.second_look import looked_for_again
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames
from preparation.tracks import (
    gaps,
    in_masks,
    least_frames,
    left_out,
    moved_into_masks,
    numbered,
    reasons_for,
    tracked,
    without_short_gaps,
)
from util.clips import DEFAULT_FRAME_RATE, evenly_spread
from util.command_line import int_at_least
from util.errors import UserError
from util.files import write_text
from util.images import image_size, read_image
from vision.people.cast import LEAST_SCORE, is_somebody
from vision.people.pose_formats import Pose, PoseFile, printable, read_pose_file
from vision.people.tracking import by_frames_seen

LEFT_OUT = "left_out.json"
"""Poses of those who are left out, in the folder of what the step has found."""
_ESTIMATORS = ("keypoint_rcnn", "mediapipe", "none")
_PROBES = 8
"""Frames from all over the clip that are looked at first: a clip without people is told at once."""


def add_options(group) -> None:
    """Options of this step."""
    group.add_argument("--poses", type=file_or_estimator, metavar="FILE|NAME",
                       help="poses that you have (of AlphaPose, OpenPose, MMPose, Ultralytics, ViTPose, DWPose or COCO "
                            "annotations, recognised by content), or what is to find them. keypoint_rcnn: everybody, "
                            "downloads its weights once (226 MB); mediapipe: a smaller network (9 MB); none: layers "
                            "are made from masks alone (default: keypoint_rcnn, or mediapipe where its weights cannot "
                            "be had)")
    group.add_argument("--pose_size", type=width_and_height, metavar="WxH",
                       help="width and height, such as 1280x720, of the pictures that a file's poses were found on "
                            "(default: those of the frames, or what the file says)")
    group.add_argument("--people", type=int_at_least(1), metavar="N",
                       help="keep the N most prominent people: long in sight, large, in the middle, moving (default: "
                            "all but the audience)")
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
    masks = given_masks(job.root)
    height, width = read_image(next(iter(files.values())), "L").shape
    findings: list[Finding] = []
    poses = job.opt.poses or next((name for name in _ESTIMATORS if is_estimated(job.cache, name, files, masks)), None)
    if poses is None:
        poses, lacking = estimators.best_at_hand()
        if lacking:
            findings.append(Finding(1, f"poses: by {poses}'s small network, which may miss who is small or behind "
                                       f"others; Keypoint R-CNN sees more, but {lacking}"))
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
        people, source = estimated(job.cache, poses, files, masks, job.opt.people is not None), poses
    if masks:
        people = [in_masks(present, [path.get(frame) for path in masks.values()], list(masks), (width, height))
                  for frame, present in zip(frames, people)]
    least_score = LEAST_SCORE if poses in _ESTIMATORS else 0
    rate = float(Fraction(facts_of_frames(job.root).get("frame_rate", DEFAULT_FRAME_RATE)))
    people, camera = tracked(people, files, rate)
    found = numbered(people, job.opt, list(masks), camera, (width, height), least_score)
    people = found.chosen
    if poses == "mediapipe" and not masks:
        people = looked_for_again(cache_of_estimator(job.cache, poses, {}), files, people, estimators.one_among_others)
    people, filled_in = without_short_gaps(people)
    people, moved = moved_into_masks(frames, people, masks, (width, height))
    write_text(job.made / "keypoints.json", keypoints_json(frames, people))
    write_text(job.cache / LEFT_OUT, keypoints_json(frames, found.others))

    seen = by_frames_seen([[pose.person for pose in present] for present in people])
    findings.append(Finding(0, f"poses: {'found by' if isinstance(poses, str) else f'{poses} read as'} {source}"))
    if filled_in or moved:
        findings.append(Finding(1, f"poses: {filled_in + moved} were not found and filled in from the frames around; "
                                   "look at them on the page"))
    least = least_frames(job.opt, len(frames))
    findings += [*gaps(frames, people), *left_out(found, least)]
    if not seen and not masks and not (job.root / GUIDES).is_dir():
        reasons = f" ({reasons_for(found, least)})" if found.why else ""
        raise UserError(f"--poses {poses}: nobody was found in at least {least} frames{reasons}; give other poses, "
                        "another estimator, masks with --masks, a smaller --min_frames, or --people N to take whom "
                        "there is")
    return Outcome(f"{len(seen)} {'person' if len(seen) == 1 else 'people'} ({source})", findings,
                   {"source": source, "people": sorted(seen), "left_out": found.why})


STEP = Step("poses", run, ("rgb", GIVEN, f"{METADATA}#source"), ("keypoints.json",), add_options,
            cached_for=("rgb",))


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


def estimated(cache: Path, estimator: str, files: dict[str, Path], masks: dict[int, dict],
              somebody_is_there: bool = False) -> list[list[Pose]]:
    """Run an estimator over the frames; what it found in each is kept in `cache`.

    Args:
        cache: the step's folder.
        estimator: its name.
        files: the frames' pictures by name.
        masks: those of people that were given.
        somebody_is_there: somebody says so; else frames from all over the clip are looked at first.

    Raises:
        UserError: nobody is in frames from all over the clip.
    """
    if estimator == "none":
        return [[] for _ in files]
    cache = cache_of_estimator(cache, estimator, masks)
    people: list[list[np.ndarray]] = []
    find = None
    for frame, path in tqdm(files.items(), desc="poses", unit="frame"):
        kept = cache / f"{frame}.json"
        if kept.exists():
            found = [np.array(skeleton) for skeleton in json.loads(kept.read_text())]
        else:
            if find is None:
                find = (estimators.keypoint_rcnn() if estimator == "keypoint_rcnn" else
                        estimators.mediapipe(files, masks))
            found = find(frame, read_image(path, "RGB"), people[-1] if people else [])
            if not (people or masks or somebody_is_there) and not any(
                    is_somebody(skeleton, height_of(path)) for skeleton in found):
                look_for_people(find, files)
            write_text(kept, json.dumps([np.round(skeleton, 3).tolist() for skeleton in found]))
        people.append(found)
    return [[Pose(None, skeleton, float(skeleton[:, 2].mean())) for skeleton in found] for found in people]


def cache_of_estimator(cache: Path, estimator: str, masks: dict[int, dict]) -> Path:
    """Where what an estimator finds is kept; where there are masks it looks there, and finds something else."""
    return cache / estimator / ("in masks" if masks else "alone")


def is_estimated(cache: Path, estimator: str, files: dict[str, Path], masks: dict[int, dict]) -> bool:
    """Whether what an estimator finds in all frames is there."""
    folder = cache_of_estimator(cache, estimator, masks)
    return all((folder / f"{frame}.json").exists() for frame in files)


def look_for_people(find: estimators.Finder, files: dict[str, Path]) -> None:
    """Look at some frames from all over the clip, before all of them are looked at.

    Raises:
        UserError: nobody is in any of them.
    """
    names = [list(files)[i] for i in evenly_spread(len(files), _PROBES)]
    if not any(is_somebody(skeleton, height_of(files[name])) for name in names
               for skeleton in find(name, read_image(files[name], "RGB"), [])):
        raise UserError(f"{next(iter(files.values())).parent}: nobody was found in {len(names)} frames from all over "
                        "the clip; expected people, of at least a twelfth of the frame's height. Give another clip or "
                        "part (--start, --end); --people N to take whatever is like people; or --masks of what is to "
                        "be a layer, with --poses none")


def height_of(path: Path) -> int:
    """The height of a picture."""
    return image_size(path)[1]


def keypoints_json(frames: list[str], people: Sequence[Sequence[Pose]]) -> str:
    """The text of keypoints.json, a frame a line."""
    lines = [f"{json.dumps(frame + '.png')}: " + json.dumps([
        {"keypoints": [round(float(x), 2) for x in pose.keypoints.ravel()], "scores": round(pose.score, 3),
         "idx": pose.person} for pose in present]) for frame, present in zip(frames, people)]
    return "{\n" + ",\n".join(lines) + "\n}\n"
