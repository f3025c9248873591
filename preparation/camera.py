"""The step "camera": whether the camera moves, and how; homographies.txt if it does.

Points of the background (SIFT) are matched between each frame, those shortly before it, and keyframes that it
overlaps with; homographies are fitted to them and refined all together, so that errors do not add up over the clip.
People are masked out, by mask/ if there is one, else by boxes round their poses.
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from data.dataroot import list_images
from data.masks import read_mask
from data.tracked_poses import read_poses
from preparation.masks import GIVEN, given_masks
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames
from util.errors import UserError
from util.files import write_text, written_atomically
from util.images import read_image
from vision.geometry.panorama import (
    LARGEST_PANORAMA,
    Link,
    area_in_frames,
    link_frames,
    overlap,
    panorama_bounds,
    refine,
    residuals,
    spread_out,
)

FEATURE_SIDE = 540
"""Frames whose shorter side is longer than this are made smaller before points are looked for."""
STEPS_BACK = (1, 3)
KEYFRAME_OVERLAP, SAME_VIEW, KEYFRAMES_LINKED = 0.85, 0.95, 3
"""A frame that shares less than the first with all keyframes becomes one. To keyframes that share more than the second
it is linked: there the camera has come back. Where it shares less, the far corners hang on the points of one edge, and
what is not quite a homography (the lens, depth) turns them."""
TOLERANCE = 3 / 480
"""Of a frame's shorter side: by how much a matched point may miss where the camera's motion puts it."""
STATIC, STATIC_PX = 1 / 480, 0.5
"""Of a frame's shorter side, and in pixels; the larger one: how far half of the background may move."""
STILL_SIDE, CERTAINLY = 270, 0.5
"""Shorter side of the small pictures in which a still camera is seen at once; share of what half of the background may
move that three quarters of it must not exceed there."""
CORNERS_IN_A_FIELD, FEWEST_CORNERS, LEAST_FOLLOWED, FAINTEST_CORNER = 4, 40, 0.5, 2e-5
"""Corners in each of 16 x 9 fields; how many, and what share of those beside people, must be followed there and back;
the least eigenvalue (of grey levels in [0, 1]) that is one."""
PARALLAX = 0.1
"""Share of unexplained matches, on average over the frames, from which on a clip is said to have parallax."""
MOST_IN_A_FIELD = 14
RATIO = 0.8
"""Of the distances to the best and to the second best match (Lowe 2004)."""


class Features(NamedTuple):
    """Points of one frame's background: places [N, 2] in pixels of the frame, SIFT descriptors uint8 [N, 128]."""

    places: np.ndarray
    descriptors: np.ndarray


def run(job: Job) -> Outcome:
    """Measure, decide, write."""
    if "homographies.txt" in job.kept:
        return Outcome("homographies.txt made by hand")
    names, size, features = background_features(job)
    still = moved_at_most(job) if len(names) > 1 else None
    if still is not None:
        return Outcome(f"static: the background moves by {still:.2f} px at most", report={"camera": "static"})
    links, matrices, lost = link_clip(tqdm(features, "camera", len(names), unit="frame"), len(names), size)
    if not links and len(names) > 1:
        return Outcome("not known, taken to be static", [Finding(
            2, "the background has nothing in it to register frames by; the camera is taken to stand still")])
    moved = displacements(links, len(names))
    if (moved <= static_limit(size)).all():
        return Outcome(f"static: the background moves by {moved.max():.2f} px at most", report={"camera": "static"})
    matrices = refine(matrices, links, size, TOLERANCE / 3 * min(size))
    bounds = panorama_bounds(matrices, size)
    if area_in_frames(bounds, size) <= LARGEST_PANORAMA:
        write_homographies(job.made / "homographies.txt", size, bounds, matrices)
    return judged(names, size, links, matrices, bounds, lost)


STEP = Step("camera", run, ("rgb", "rgb_512", "rgb_256", GIVEN, "keypoints.json", f"{METADATA}#alphapose_input_size"),
            ("homographies.txt",), lambda parser: None)


def moved_at_most(job: Job) -> float | None:
    """By how many pixels the background of a still camera moves at most since the first frame; None where the camera
    moves, or might.

    Corners of the first frame, all over it and beside people, are followed to each frame by optical flow (Lucas and
    Kanade; both ways, as in Kalal et al., "Forward-Backward Error", 2010) in pictures so small that it takes a tenth
    of the time of matched points. Frames in which a camera is likely to have moved farthest come first. Where that is
    not beyond doubt, it is left to matched points, `displacements`, to say so.
    """
    files = list_images(frames_folder(job.root))
    names = list(files)
    height, width = read_image(files[names[0]], "L").shape
    shrink = min(1.0, STILL_SIDE / min(width, height))
    people = people_of_frames(job.root, names, (width, height))
    limit = shrink * CERTAINLY * static_limit((width, height))

    def small(name: str) -> tuple[np.ndarray, np.ndarray]:
        grey = cv2.resize(read_image(files[name], "L"), None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        return grey, 255 - cv2.resize(people(name), grey.shape[::-1], interpolation=cv2.INTER_NEAREST)

    first, background = small(names[0])
    size = first.shape[::-1]
    strength = cv2.cornerMinEigenVal(first, 3)
    peaks = (strength == cv2.dilate(strength, np.ones((7, 7)))) & (strength > FAINTEST_CORNER) & (background > 0)
    places = np.argwhere(peaks)[:, ::-1].astype(np.float32)
    places = places[np.argsort(-strength[peaks], kind="stable")]
    places = places[spread_out(places, size, CORNERS_IN_A_FIELD)]
    if len(places) < FEWEST_CORNERS:
        return None
    farthest = 0.0
    for frame in farthest_first(len(names)):
        grey, background = small(names[frame])
        (there, found), (back, found_back) = (followed := track(first, grey, places)), track(grey, first, followed[0])
        column, row = there.round().astype(int).clip(0, np.array(size) - 1).T
        beside = background[row, column] > 0
        sure = found & found_back & (np.linalg.norm(back - places, axis=1) < 0.2) & beside
        moved = np.linalg.norm(there - places, axis=1)[sure]
        if sure.sum() < max(FEWEST_CORNERS, LEAST_FOLLOWED * beside.sum()) or np.quantile(moved, 0.75) > limit:
            return None
        farthest = max(farthest, float(np.median(moved)))
    return farthest / shrink


def track(one: np.ndarray, other: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points [N, 2] of a picture are in another, and which were found there: bool [N]."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]  # the stubs want a guess of where
        one, other, places, None, winSize=(15, 15))
    return there, found[:, 0] > 0


def farthest_first(count: int) -> list[int]:
    """All numbers from 1 to below `count`: the last, the one in the middle, those between these, and so on."""
    order, step = list(range(count - 1, 0, -max(count - 1, 1))), count - 1
    while step > 1:
        step = -(-step // 2)
        order += range(count - 1 - step, 0, -step)
    return list(dict.fromkeys(order))


def static_limit(size: tuple[int, int]) -> float:
    """How far half of the background may move in frames of a size, in their pixels, for the camera to stand still."""
    return max(STATIC_PX, STATIC * min(size))


def displacements(links: list[Link], count: int) -> np.ndarray:
    """By how many pixels half of the background has moved since the first frame, [F]; infinite where not known."""
    moved = np.full(count, np.inf)
    moved[0] = 0
    for link in links:
        if link.first == 0:
            moved[link.second] = np.median(np.linalg.norm(link.points[1] - link.points[0], axis=1))
    return moved


def judged(names: list[str], size: tuple[int, int], links: list[Link], matrices: np.ndarray,
           bounds: tuple[float, float, float, float], lost: list[int]) -> Outcome:
    """Say how the camera moves, how well that is known, and what homographies cannot describe."""
    of_frame: list[list[np.ndarray]] = [[] for _ in names]
    unexplained = np.zeros(len(names))
    similar = np.ones(len(names), bool)
    for link in links:
        missed = residuals(matrices, link)
        for frame in (link.first, link.second):
            of_frame[frame].append(missed)
            similar[frame] &= link.similar
        if link.second - link.first <= max(STEPS_BACK):
            unexplained[link.second] = max(unexplained[link.second], link.unexplained)
    residual = np.array([np.median(np.concatenate(missed)) if missed else np.nan for missed in of_frame])
    area = area_in_frames(bounds, size)
    holds = area <= LARGEST_PANORAMA
    report = {"camera": "moving", "frames": names, "bounds": bounds,
              "residual_px": [None if np.isnan(r) else round(float(r), 3) for r in residual],
              "unexplained": [round(float(share), 3) for share in unexplained]}
    findings = []
    if np.mean(unexplained) > PARALLAX:
        report["camera"] = "parallax"
        worst = int(unexplained.argmax())
        findings.append(Finding(2, f"the camera moves through the scene: on average {np.mean(unexplained):.0%} of the "
                                   f"background's points (up to {unexplained[worst]:.0%}, frame {names[worst]}) move "
                                   f"with their neighbours, but not as any homography says (parallax; under "
                                   f"{PARALLAX:.0%} is harmless). "
                                   f"{'homographies.txt is the best fit; expect' if holds else 'Expect'} a blurred "
                                   "background and pieces of it in the layers. Take a part of the clip with less "
                                   "motion; or a draft (--preset draft), which can make a background for each "
                                   "frame"))
    if lost:
        findings.append(Finding(2, f"{len(lost)} frames could not be matched with any before them, the first is "
                                   f"{names[lost[0]]}: a cut, a blur, or nothing but people in sight. They are taken "
                                   "to show what the frame before does. Leave them out (--start, --end)"))
    if not holds:
        times = f"{area:.0f}" if area < 1000 else "more than 1000"
        findings.append(Finding(2, f"no homographies.txt: the panorama would be {times} times as large as a frame; up "
                                   f"to {LARGEST_PANORAMA} a homography can flatten and one background texture hold. "
                                   "Training will take the camera to stand still. Take a part of the clip"))
    if similar.any() and not similar.all() and not lost:
        findings.append(Finding(0, f"{similar.sum()} frames have too few points for a homography, the first is "
                                   f"{names[similar.argmax()]}; a similarity is used"))
    poor = residual > TOLERANCE / 2 * min(size)
    if poor.any():
        findings.append(Finding(1, f"{poor.sum()} frames are registered to no better than "
                                   f"{TOLERANCE / 2 * min(size):.1f} px, the first is {names[poor.argmax()]}, "
                                   f"{residual[poor.argmax()]:.1f} px"))
    kind = "moving, with parallax" if report["camera"] == "parallax" else "moving"
    summary = (f"{kind}: registered to {np.nanmedian(residual):.2f} px (worst frame {np.nanmax(residual):.2f} px), "
               + (f"panorama of {bounds[1] - bounds[0]:.0f}x{bounds[3] - bounds[2]:.0f}; train with --use_homographies"
                  if holds else "but to no panorama; no homographies.txt"))
    return Outcome(summary, findings, report)


def write_homographies(path: Path, size: tuple[int, int], bounds: tuple[float, float, float, float],
                       matrices: np.ndarray) -> None:
    """Write homographies.txt (docs/layered_video/data.md)."""
    lines = [f"size: {size[0]} {size[1]}", "bounds: " + " ".join(f"{x:.6f}" for x in bounds)]
    lines += [" ".join(f"{x:.10g}" for x in matrix.ravel()) for matrix in matrices]
    write_text(path, "\n".join(lines) + "\n")


def frames_folder(root: Path) -> Path:
    """The folder with a dataroot's largest frames.

    Raises:
        UserError: there are none.
    """
    for folder in ("rgb", "rgb_512", "rgb_256"):
        if (root / folder).is_dir():
            return root / folder
    raise UserError(f"{root}: no rgb, rgb_512 or rgb_256; expected frames. Give a video: python prepare.py VIDEO "
                    f"--dataroot {root}")


def background_features(job: Job) -> tuple[list[str], tuple[int, int], Iterator[Features]]:
    """Names of the frames, their size, and their features, which are kept in the job's cache."""
    files = list_images(frames_folder(job.root))
    height, width = read_image(next(iter(files.values())), "L").shape
    shrink = min(1.0, FEATURE_SIDE / min(width, height))
    people = people_of_frames(job.root, list(files), (width, height))
    detector = cv2.SIFT.create(0, contrastThreshold=0.008)

    def found() -> Iterator[Features]:
        for name, file in files.items():
            cached = job.cache / f"{name}.npz"
            if not cached.exists():
                grey = cv2.resize(read_image(file, "L"), None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
                background = 255 - cv2.resize(people(name), grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
                points = sorted(detector.detect(grey, background), key=lambda point: -point.response)
                places = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
                chosen = [points[i] for i in spread_out(places, grey.shape[::-1], MOST_IN_A_FIELD)]
                kept, descriptors = detector.compute(grey, chosen) if chosen else ([], np.zeros((0, 128)))
                places = np.array([point.pt for point in kept], np.float32).reshape(-1, 2)
                with written_atomically(cached) as temporary:
                    np.savez(temporary, places=(places + 0.5) / shrink - 0.5, descriptors=descriptors.astype(np.uint8))
            with np.load(cached) as stored:
                yield Features(stored["places"], stored["descriptors"])

    return list(files), (width, height), found()


def people_of_frames(root: Path, names: list[str], size: tuple[int, int]):
    """A function from a frame's name to where people may be: uint8 [H, W], 255 there; a little more than they cover."""
    width, height = size
    masks = given_masks(root).values()
    margin = max(3, round(0.02 * min(size)))
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    poses = read_poses(root / "keypoints.json") if not masks and (root / "keypoints.json").exists() else {}
    pose_size = facts_of_frames(root).get("alphapose_input_size", size)
    scale = np.array(size) / pose_size

    def people(name: str) -> np.ndarray:
        covered = np.zeros((height, width), np.uint8)
        for files in masks:
            if name in files:
                covered |= 255 * read_mask(files[name], size, above=0).astype(np.uint8)
        if masks:
            return cv2.dilate(covered, kernel)
        for pose in poses.get(name, []):
            places = pose.keypoints[:, :2] * scale
            pad = 0.15 * np.ptp(places, axis=0).max()
            (left, top), (right, bottom) = places.min(axis=0) - pad, places.max(axis=0) + pad
            covered[max(0, int(top)):max(0, int(bottom)), max(0, int(left)):max(0, int(right))] = 255
        return covered

    return people


def link_clip(features, count: int, size: tuple[int, int]) -> tuple[list[Link], np.ndarray, list[int]]:
    """Link all frames, with only those before it and keyframes in memory.

    Args:
        features: of each frame, in order.
        count: of frames.
        size: (width, height).

    Returns:
        links, a first guess of the matrices [F, 3, 3], and the frames that nothing before them could be linked to.
    """
    links, lost = [], []
    matrices = np.tile(np.eye(3), (count, 1, 1))
    recent: deque[tuple[int, Features]] = deque(maxlen=max(STEPS_BACK))
    keyframes: list[tuple[int, Features]] = []
    for frame, here in enumerate(features):
        found = []
        for earlier, there in [recent[-back] for back in STEPS_BACK if back <= len(recent)]:
            found.append(linked(earlier, there, frame, here, size))
        known = [link for link in found if link]
        if known:
            matrices[frame] = known[0].matrix @ matrices[known[0].first]
        elif frame:
            matrices[frame] = matrices[frame - 1]
        seen = {link.first: overlap(matrices[frame] @ np.linalg.inv(matrices[link.first]), size) for link in known}
        shares = {number: overlap(matrices[frame] @ np.linalg.inv(matrices[number]), size) for number, _ in keyframes}
        best = sorted(keyframes, key=lambda keyframe: -shares[keyframe[0]])[:KEYFRAMES_LINKED]
        for number, there in best:
            if number not in seen and (shares[number] > SAME_VIEW or not known):
                known += filter(None, [linked(number, there, frame, here, size)])
        if known:  # the link that reaches back farthest has passed on the fewest errors
            link = min(known, key=lambda link: link.first)
            matrices[frame] = link.matrix @ matrices[link.first]
        elif frame:
            lost.append(frame)
        links += known
        recent.append((frame, here))
        if not known or max(shares.values(), default=0) < KEYFRAME_OVERLAP:
            keyframes.append((frame, here))
    return links, matrices, lost


def linked(first: int, there: Features, second: int, here: Features, size: tuple[int, int]) -> Link | None:
    """Match two frames' points, both ways and far better than the second best, and fit."""
    if min(len(there.places), len(here.places)) < 2:
        return None
    one, other = (np.sqrt(f.descriptors / np.maximum(1, f.descriptors.sum(axis=1, keepdims=True))).astype(np.float32)
                  for f in (there, here))  # Hellinger distances (RootSIFT, Arandjelovic and Zisserman 2012)
    alike = one @ other.T
    all_of_one, nearest = np.arange(len(one)), alike.argmax(axis=1)
    best = alike[all_of_one, nearest]
    mutual = best == alike.max(axis=0)[nearest]
    alike[all_of_one, nearest] = -1
    distance, next_distance = (np.sqrt(np.maximum(0, 2 - 2 * cosine)) for cosine in (best, alike.max(axis=1)))
    good = np.flatnonzero(mutual & (distance < RATIO * next_distance))
    chosen = np.column_stack([good, nearest[good]])
    points = np.stack([there.places[chosen[:, 0]], here.places[chosen[:, 1]]])
    return link_frames(first, second, points, size, TOLERANCE * min(size))
