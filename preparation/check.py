"""Check a dataroot whole: everything that is wrong or doubtful in it, at once.

Any dataroot is read: one that prepare.py made, one made for the published programs, and a folder in omnimatte's layout.
Files are looked at as training would read them. Nothing is changed.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data.camera_check import said_of, wrong_convention
from data.dataroot import Dataroot, list_images, read_homographies, unmatched_frames, wrong_sizes
from data.masks import fits_form, mask_files, read_mask, read_matte, turned_remedy
from data.tracked_poses import TrackedPose, people_layers, poses_of_frames
from preparation.pose_pixels import better_reading
from preparation.steps import METADATA, Finding, is_as_made
from util.errors import UserError
from util.images import read_image
from vision.geometry.homography import Registration, apply_homography
from vision.geometry.panorama import LARGEST_PANORAMA, area_in_frames
from vision.people.iuv import decode_iuv
from vision.people.sightings import likeness

_SHORT = 10
_MOST_LAYERS = 7
_FEW_CHANGES = 4
_OTHER_PICTURE = 12.0
"""Mean difference in level, of 255, between a frame and its double size from which they are not the same picture."""
_STILL = 0.9
"""Share of the frames in which a place is covered from which it counts as always covered."""


def check(root: Path) -> list[Finding]:
    """Everything that there is to say about a dataroot, the worst first."""
    findings: list[Finding] = []
    if not (root / "metadata.json").exists() and (root / "rgb").is_dir():
        findings += omnimatte_layout(root)
    else:
        try:
            dataroot = Dataroot.open(root)
        except UserError as error:
            findings += problems(error)
        else:
            for part in (frames, poses, layers, camera):
                try:
                    findings += part(dataroot)
                except UserError as error:
                    findings += problems(error)
    return sorted(findings, key=lambda finding: -finding.severity)


def problems(error: UserError, severity: int = 3) -> Iterator[Finding]:
    """A finding for each line of an error."""
    for line in str(error).split("\n"):
        yield Finding(severity, line.strip())


def omnimatte_layout(root: Path) -> Iterator[Finding]:
    """rgb/, mask/ and homographies.txt, as omnimatte has them: what is wrong in these, and how to go on."""
    try:
        files = list_images(root / "rgb")
        height, width = read_image(next(iter(files.values())), "L").shape
        size = (width, height)
        yield from (Finding(3, text) for text in wrong_sizes(files.values(), size, "as the first frame has"))
        for number, of_layer in mask_files(root).items():
            folder = root / "mask" / f"{number:02d}"
            yield from (Finding(2, text.replace("rgb_256", "rgb")) for text in
                        unmatched_frames(folder, of_layer, list(files)))
        if (root / "homographies.txt").exists():
            yield from registration_findings(root, read_homographies(root / "homographies.txt"), files, size)
    except UserError as error:
        yield from problems(error)
    masks = ["--masks", str(root / "mask")] if (root / "mask").is_dir() else []
    command = shlex.join(["python", "prepare.py", str(root / "rgb"), *masks, "--dataroot", "NEW_FOLDER"])
    keep = ", and put homographies.txt there first" if (root / "homographies.txt").exists() else ""
    yield Finding(3, f"{root}: frames{' and masks' if masks else ''} without metadata.json, as omnimatte has them; "
                     f"expected a dataroot. Make one: {command}{keep}")


def frames(root: Dataroot) -> Iterator[Finding]:
    """The frames in both sizes."""
    count = len(root.frames)
    if count < _SHORT:
        yield Finding(2 if count == 1 else 1, f"{root.path}: {count} frame{'s' * (count > 1)}; people must be seen to "
                                              "move. Take a longer part of the video")
    doubled = (2 * root.metadata.size[0], 2 * root.metadata.size[1])
    missing = root.require("rgb_512")
    yield from (Finding(3, f"{text}. Training without it: --n_epochs_upsample 0") for text in missing)
    if missing:
        return
    wrong = wrong_sizes(root.folders["rgb_512"].values(), doubled, "twice size_LR of metadata.json")
    yield from (Finding(3, text) for text in wrong)
    if wrong:
        return
    others, previous, repeated = [], None, []
    for index, frame in enumerate(tqdm(root.frames, desc="check: frames", unit="frame", leave=False)):
        small, large = (read_image(root.file(folder, index), "RGB") for folder in ("rgb_256", "rgb_512"))
        halved = cv2.resize(large, root.metadata.size, interpolation=cv2.INTER_AREA)
        if np.abs(halved.astype(int) - small).mean() > _OTHER_PICTURE:
            others.append(frame)
        if previous is not None and np.array_equal(small, previous):
            repeated.append(frame)
        previous = small
    if others:
        yield Finding(2, f"{root.path / 'rgb_512'}: {len(others)} frames show another picture than in rgb_256, first "
                         f"{others[0]}. Make rgb_256 from rgb_512")
    if repeated:
        yield Finding(1, f"{root.path / 'rgb_256'}: {len(repeated)} frames are the same as the one before, first "
                         f"{repeated[0]}; motion stutters there. Take the video at its own frame rate")


def poses(root: Dataroot) -> Iterator[Finding]:
    """keypoints.json: whether it can be read, fits the frames, and people keep their ids."""
    path = root.path / "keypoints.json"
    if not path.exists():
        yield Finding(1 if (root.path / "iuv").is_dir() else 3,
                      f"{path}: no such file; UV maps cannot be made{' again' if (root.path / 'iuv').is_dir() else ''} "
                      "without. Make it with prepare.py")
        return
    everybody = poses_of_frames(path, root.frames)
    masks = mask_files(root.path)
    people_layers(root.metadata, path, everybody, masks)
    nobody = [frame for frame, present in zip(root.frames, everybody) if not present and not any(
        frame in files and read_mask(files[frame]).any() for files in masks.values())]
    if nobody:
        yield Finding(1, f"{path}: nobody in {len(nobody)} of {len(root.frames)} frames, first {nobody[0]}; all layers "
                         "but the background are empty there")
    limit = np.array(root.metadata.pose_size)
    outside = []
    jumps: dict[int, list[str]] = {}
    last: dict[int, tuple[int, TrackedPose]] = {}
    for index, (frame, present) in enumerate(zip(root.frames, everybody)):
        for pose in present:
            points = pose.keypoints[pose.keypoints[:, 2] > 0, :2]
            if len(points) and ((points < 0) | (points > limit)).any(axis=1).mean() > 0.5:
                outside.append(frame)
            before = last.get(pose.person)
            if before is not None and before[0] == index - 1:
                same = likeness(before[1].keypoints[None], pose.keypoints[None])[0, 0]
                if same < 0.02:
                    jumps.setdefault(pose.person, []).append(frame)
            last[pose.person] = index, pose
    if outside:
        yield Finding(2, f"{path}: {len(outside)} poses lie mostly outside {limit[0]}x{limit[1]}, first in frame "
                         f"{outside[0]}; expected pixels of alphapose_input_size in metadata.json")
    files = root.folders["rgb_256"]
    made_here = (root.path / "prepare/stamps/poses.json").exists()  # that step looks at rgb/, and says so
    original = {"as the video is displayed": root.metadata.original_size} if root.metadata.original_size else {}
    better = None if made_here else better_reading(everybody, files, masks, root.metadata.pose_size, original)
    if better is not None:
        reading, share, as_they_are = better
        remedy = ("Find the poses on the frames as they are here" if reading.size in (
            root.metadata.pose_size, root.metadata.pose_size[::-1]) else
            f"Set alphapose_input_size to [{reading.size[0]}, {reading.size[1]}]")
        yield Finding(2, f"{path}: poses seem to be in {reading.words}: {share:.0%} of the joints lie on people by "
                         f"these, {as_they_are:.0%} by alphapose_input_size {limit[0]}x{limit[1]} of metadata.json. "
                         f"{remedy}")
    for person, where in jumps.items():
        yield Finding(2, f"{path}: person {person} jumps {len(where)} times, first in frame {where[0]}; ids may be "
                         "swapped. Correct them on the page: prepare.py --serve")


def layers(root: Dataroot) -> Iterator[Finding]:
    """UV maps, masks and order."""
    try:
        numbers = root.layer_numbers()
    except UserError as error:
        yield from problems(error)
        return
    masks = mask_files(root.path)
    yield from mask_findings(root, numbers, masks)
    wrong = []
    for number in numbers:
        folder = f"iuv/{number:02d}"
        wrong += root.require(folder)
        wrong += wrong_sizes(root.folders.get(folder, {}).values(), root.metadata.size, "size_LR of metadata.json",
                             "RGBA")
    yield from (Finding(3, text) for text in wrong)
    if not wrong:
        yield from uv_findings(root, numbers, masks)
    changes = [frame for i, frame in enumerate(root.frames[1:])
               if root.composite_order(i, numbers) != root.composite_order(i + 1, numbers)]
    by_prepare = is_as_made(root.path, f"{METADATA}#composite_order")  # which steadies the order as far as can be
    if len(changes) > max(_FEW_CHANGES, len(root.frames) / 8) and not by_prepare:
        yield Finding(1, f"{root.metadata.path}: composite_order changes {len(changes)} times, first at {changes[0]}; "
                         "layers flicker where people overlap. Leave it out, and let prepare.py find the order")
    if len(numbers) > _MOST_LAYERS and not by_prepare:  # else the step that made them has said so
        yield Finding(1, f"{root.path / 'iuv'}: {len(numbers)} layers; tested were up to {_MOST_LAYERS}. "
                         "Join people in people_layers of metadata.json")


def mask_findings(root: Dataroot, numbers: list[int], masks: dict) -> Iterator[Finding]:
    """Whether there is a mask of every layer and frame."""
    if not masks:
        return
    for number in sorted(set(numbers) - set(masks)):
        yield Finding(1, f"{root.path / 'mask'}: none for layer {number}; --use_mask_images needs one for each layer")
    forms = [size for size in (root.metadata.size, root.metadata.original_size, root.metadata.pose_size) if size]
    for number, files in masks.items():
        folder = root.path / "mask" / f"{number:02d}"
        yield from (Finding(1, f"{text}. Without: no --use_mask_images")
                    for text in root.require(f"mask/{number:02d}"))
        try:
            size = read_matte(next(iter(files.values()))).shape[::-1]
            if not fits_form(size, forms):
                yield Finding(2, f"{folder}: masks of {size[0]}x{size[1]} pixels; expected the form of the frames, "
                                 f"{forms[0][0]}x{forms[0][1]}{turned_remedy(size, forms)}. Give masks of these frames")
            if not any(read_mask(file).any() for file in files.values()):
                yield Finding(2, f"{folder}: empty in all frames; white should be the person. Remove it, or make it "
                                 "again")
        except UserError as error:
            yield from problems(error)


def uv_findings(root: Dataroot, numbers: list[int], masks: dict) -> Iterator[Finding]:
    """What the UV maps show: whom, where, and how much of the background is never seen."""
    width, height = root.metadata.size
    covered = np.zeros((height, width))
    empty, apart, strange = ({number: list[str]() for number in numbers} for _ in range(3))
    for index, frame in enumerate(tqdm(root.frames, desc="check: layers", unit="frame", leave=False)):
        anybody = np.zeros((height, width), bool)
        for number in numbers:
            iuv = read_image(root.file(f"iuv/{number:02d}", index), "RGBA")
            part, _, _, person = decode_iuv(iuv, 254)
            body = part > 0
            anybody |= body
            if not body.any():
                empty[number].append(frame)
                continue
            allowed = root.metadata.people_layers[number - 1] if root.metadata.people_layers else range(
                1, root.metadata.n_people + 1)
            if not set(np.unique(person[body]).tolist()) <= set(allowed):
                strange[number].append(frame)
            if frame in masks.get(number, {}):
                mask = read_mask(masks[number][frame], (width, height))
                if mask.any() and not (mask & body).any():
                    apart[number].append(frame)
        covered += anybody
    for number in numbers:
        folder = root.path / "iuv" / f"{number:02d}"
        if strange[number]:
            yield Finding(3, f"{folder}: {len(strange[number])} frames show somebody who has no place in this layer or "
                             f"in n_textures {root.metadata.n_textures}, first {strange[number][0]}; make the UV maps "
                             f"again: bash datasets/prepare_iuv.sh {shlex.quote(str(root.path))}")
        if len(empty[number]) == len(root.frames):
            yield Finding(3, f"{folder}: nobody in any frame; its layer has nothing to learn from. Remove it")
        elif len(empty[number]) > len(root.frames) / 2:
            yield Finding(1, f"{folder}: nobody in {len(empty[number])} of {len(root.frames)} frames, first "
                             f"{empty[number][0]}")
        if apart[number]:
            yield Finding(2, f"{folder}: away from mask/{number:02d} in {len(apart[number])} frames, first "
                             f"{apart[number][0]}; masks are numbered like layers. Renumber them")
    people = covered.sum() / len(root.frames)
    always = np.count_nonzero(covered > _STILL * len(root.frames))
    if people and always > 0.3 * people:
        yield Finding(1, f"{root.path}: {always / people:.0%} of the people's area is covered in nearly all frames; "
                         "what is behind is never seen, and people who stand still end up in the background. "
                         "Take a part in which they move more")


def camera(root: Dataroot) -> Iterator[Finding]:
    """homographies.txt, if there is one."""
    registration = root.camera_motion()
    if registration is not None:
        yield from registration_findings(root.path, registration, root.folders["rgb_256"], root.metadata.size)
        yield Finding(0, f"{root.path / 'homographies.txt'}: the camera moves; train with --use_homographies")


def registration_findings(root: Path, registration: Registration, files: dict[str, Path],
                          size: tuple[int, int]) -> Iterator[Finding]:
    """Whether the matrices fit the frames, and the bounds the matrices."""
    path, names = root / "homographies.txt", list(files)
    if len(registration.matrices) != len(names):
        yield Finding(3, f"{path}: {len(registration.matrices)} matrices; there are {len(names)} frames. "
                         "Give one line of 9 numbers per frame")
    width, height = registration.size
    if abs(width * size[1] / (height * size[0]) - 1) > 0.05:
        yield Finding(2, f"{path}: size {width:g}x{height:g} is of another form than the frames, {size[0]}x{size[1]}; "
                         "the background will smear. Register these frames")
    verdict = wrong_convention(root, registration, files)
    if verdict is not None:
        yield Finding(2, said_of(root, verdict))
    identity = [np.allclose(matrix / matrix[2, 2], np.eye(3), atol=1e-3) for matrix in registration.matrices]
    if verdict is None and any(identity) and not identity[0]:
        yield Finding(0, f"{path}: the matrices go out from frame {names[identity.index(True)]}, not from the first; "
                         "bounds must be in its pixels")
    corners = np.array([[0, width - 1, width - 1, 0], [0, 0, height - 1, height - 1]], float)
    xmin, xmax, ymin, ymax = registration.bounds
    area = area_in_frames(registration.bounds, registration.size)
    if area > LARGEST_PANORAMA:
        yield Finding(2, f"{path}: the panorama is {area:.0f} times as large as a frame, more than one background "
                         f"texture holds (up to {LARGEST_PANORAMA}). Train without --use_homographies, or on a part")
    beyond = []
    for name, matrix in zip(names, registration.matrices):
        x, y = apply_homography(np.linalg.inv(matrix), corners)
        if min(x.min() - xmin, xmax - x.max()) < -0.02 * width or min(y.min() - ymin, ymax - y.max()) < -0.02 * height:
            beyond.append(name)
    if beyond:
        yield Finding(2, f"{path}: {len(beyond)} frames reach beyond bounds, first {beyond[0]}; the background smears "
                         "there. Register again: python prepare.py --dataroot DIR")
