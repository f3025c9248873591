"""Check an actor's dataroot whole: files, numbers of frames, cameras, units, and whether the posed body lies over the
person in the photographs (folders: data/actor_dataset.py, docs/neural_actor/data.md). Nothing is changed.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from data.actor_files import (
    by_number,
    camera_files,
    has_cameras,
    pictures_of_cameras,
    read_matrix,
    read_pose,
    world_vertices,
)
from preparation.actor_conventions import MISTAKES, mistaken, named, reading_of
from preparation.actor_maps import photograph
from preparation.actor_overlap import OFFSETS, Compared, Silhouettes, View, overlaps
from preparation.actor_seen import unseen_parts
from preparation.steps import Finding
from util.clips import evenly_spread
from util.errors import UserError
from util.images import image_size
from vision.geometry.raster import projected
from vision.people.body_files import read_body, read_obj, read_table, read_transforms
from vision.people.skinning import Body, blended, moved_back, to_normalised

MOST_READ, MOST_TOLD = 500, 5
"""Files of a kind that are read, evenly spread; problems of a kind that are told one by one."""
FRAMES = 4
"""Frames in which the person is compared with the posed body."""
BODY = ("canonical.obj", "uvmapping.obj", "skinning_weight.txt")
MIN_DIS_EPS = 0.06
SMALLEST_BODY, LARGEST_BODY = 0.4, 3.0
"""Metres from head to foot."""
SAME_SHAPE = 0.02
"""Metres that joints of one body may be apart, when their poses are undone."""
FARTHEST_CAMERA = 50
SEEN_WITHOUT_PHOTOGRAPHS = MISTAKES[:4]
"""Of the usual mistakes those that show by whether a camera sees the body at all."""

T = TypeVar("T")
Look = Generator[Finding, None, T]
"""Yields what is to be said, and returns what it has read."""


def is_actor(root: Path) -> bool:
    """Whether a folder is an actor's dataroot, or begins to be one."""
    return any((root / name).exists() for name in ("canonical.obj", "uvmapping.obj", "transform"))


def first_resolution(picture: Path) -> str:
    """HxW to begin with: a picture's size divided by the smallest whole number with which it is at most 512 high."""
    width, height = image_size(picture)
    factor = next(n for n in range(1, height + 1) if height % n == 0 == width % n and height // n <= 512 or n == height)
    return f"{height // factor}x{width // factor}" if width % factor == 0 == height % factor else f"{height}x{width}"


def check(root: Path) -> tuple[list[Finding], list[Compared]]:
    """Everything that there is to say about an actor's dataroot, the worst first; and how well the body lies over the
    person in some photographs.
    """
    findings: list[Finding] = []
    body = _found(findings, _body(root))
    transforms = _found(findings, _numbered(root / "transform", "*.json")) or {}
    photographs = (_found(findings, _numbered(root / "rgb", "*")) or {}) if (root / "rgb").is_dir() else {}
    order = sorted(transforms)
    compared_frames = _some_frames(set(transforms) & set(photographs)) or _some_frames(transforms)
    around = {order[at] for frame in compared_frames for offset in OFFSETS
              if 0 <= (at := order.index(frame) + offset) < len(order)}
    poses = _found(findings, _poses({number: transforms[number] for number in {*_some(transforms), *around}}, body))
    cameras = _found(findings, _cameras(root))
    if transforms:
        findings += _frames(root, transforms, photographs)
    if cameras and photographs:
        findings += _photographs(photographs, cameras)
    compared: list[Compared] = []
    if body and poses and cameras:
        vertices = {number: world_vertices(body, pose).numpy() for number, pose in poses.items()}
        mistake = None
        if photographs:
            frames = [frame for frame in compared_frames if frame in vertices]
            silhouettes = Silhouettes(body.faces.numpy(), vertices, cameras, photographs, frames)
            compared, mistake = silhouettes.compared(), mistaken(silhouettes, poses)
            findings += [mistake] if mistake else overlaps(silhouettes, compared, order)
        findings += _sight(vertices, cameras, photographs, hints=mistake is None)
        if photographs:
            findings += unseen_parts(body, vertices, cameras, photographs)
    return sorted(findings, key=lambda finding: -finding.severity), compared


def _found(findings: list[Finding], look: Look[T]) -> T | None:
    """What has been read; what is to be said is added to the findings. None where `UserError` was raised."""
    try:
        while True:
            findings.append(next(look))
    except StopIteration as end:
        return end.value
    except UserError as error:
        findings.append(Finding(3, str(error)))
        return None


def _each(paths: Iterable[Path], read: Callable[[Path], object], kind: str) -> Iterator[Finding]:
    """Read all; findings of those that cannot be."""
    problems = []
    for path in paths:
        try:
            read(path)
        except UserError as error:
            problems.append(str(error))
    yield from (Finding(3, text) for text in problems[:MOST_TOLD])
    if len(problems) > MOST_TOLD:
        yield Finding(3, f"... and {len(problems) - MOST_TOLD} more {kind} like these")


def _numbered(folder: Path, pattern: str) -> Look[dict[int, Path]]:
    yield from ()
    return by_number(folder, pattern)


# ---- the body -------------------------------------------------------------------------------------------------------

def _body(root: Path) -> Look[Body | None]:
    """Files one by one, so that all that is wrong is told; then whether they fit together."""
    pose = root / "transform_tpose.json"
    if not any((root / name).exists() for name in BODY):
        yield Finding(1, f"{root}: no body ({', '.join(BODY)}); test.py takes the one that was trained on, training "
                         "needs it here. Poses and photographs cannot be compared without")
        return None
    wrong = [*_each([root / "canonical.obj", root / "uvmapping.obj"], read_obj, "meshes"),
             *_each([root / "skinning_weight.txt"], read_table, "tables")]
    if not wrong:
        joints = read_table(root / "skinning_weight.txt").shape[1]
        wrong += _each([pose] if pose.exists() else [], lambda path: read_transforms(path, joints), "poses")
    yield from wrong
    if wrong:
        return None
    if not pose.exists():
        yield Finding(1, f"{pose}: no such file; the actor is learned in the pose of {root / 'canonical.obj'}, where "
                         "limbs may be close to each other. A pose with spread limbs tells them apart")
    body = read_body(root)
    size = float((body.vertices.amax(0) - body.vertices.amin(0)).max())
    if not SMALLEST_BODY <= size <= LARGEST_BODY:
        unit = {100: "centimetres", 1000: "millimetres"}.get(
            next((scale for scale in (100, 1000) if SMALLEST_BODY <= size / scale <= LARGEST_BODY), 0))
        yield Finding(2, f"{root / 'canonical.obj'}: measures {size:.4g}; expected metres, {SMALLEST_BODY} to "
                         f"{LARGEST_BODY}{f', and this looks like {unit}' if unit else ''}. Scale it, and the "
                         "translations of all transforms")
    corners = body.vertices[body.faces]
    edges = (corners - corners.roll(1, 1)).norm(dim=-1)
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=-1).norm(dim=-1)
    # Of an obtuse triangle no point is further from all corners than half its longest side.
    around = float(torch.minimum(edges.prod(-1) / (2 * area).clamp(min=1e-12), edges.amax(-1) / 2)[area > 1e-10].max())
    if around > MIN_DIS_EPS * max(1, size / LARGEST_BODY):
        yield Finding(1, f"{root / 'canonical.obj'}: the largest triangle has corners {around:.3g} m from its middle; "
                         f"rays through it are missed with --min_dis_eps {MIN_DIS_EPS}. Give --min_dis_eps "
                         f"{around * 1.1:.2g}, or a finer mesh")
    outside = ((body.face_uv < 0) | (body.face_uv > 1)).any(-1).any(-1).float().mean()
    if outside > 0:
        yield Finding(2, f"{root / 'uvmapping.obj'}: {100 * float(outside):.2g} % of the faces have texture "
                         "coordinates outside 0 to 1, where no texture is. Bring all into one tile")
    return body


# ---- frames ---------------------------------------------------------------------------------------------------------

def _frames(root: Path, transforms: dict[int, Path], photographs: dict[int, Path]) -> Iterator[Finding]:
    """Whether all folders have the same frames."""
    numbers = sorted(transforms)
    steps = np.diff(numbers)
    if len(steps) and (steps != steps[0]).any():
        at = int(np.flatnonzero(steps != np.median(steps))[0])
        yield Finding(1, f"{root / 'transform'}: numbers jump from {numbers[at]} to {numbers[at + 1]} "
                         f"({int((steps != np.median(steps)).sum())} such places); are frames missing?")
    if photographs:
        yield from _same_frames(root / "rgb", photographs, transforms, "training needs them all")
    else:
        yield Finding(0, f"{root / 'rgb'}: no photographs; this dataroot can be rendered, not trained on")
    for kind, missing, command in (("tex", 3, "make_texture_maps.py, of photographs, or predict_textures.py"),
                                   ("normal", 0, "make_normal_maps.py")):
        folder = root / kind
        if not any(folder.glob("*.png")):
            yield Finding(missing, f"{folder}: no maps in it. Make them: scripts/{command}")
            continue
        try:
            files = by_number(folder, "*.png")
            yield from _same_frames(folder, files, transforms, f"make them: scripts/{command}", missing)
            sizes = {path: image_size(path) for path in (files[n] for n in _some(files))}
        except UserError as error:
            yield Finding(3, str(error))
            continue
        usual = next(iter(sizes.values()))
        other = [path for path, size in sizes.items() if size != usual or size[0] != size[1]]
        if other:
            yield Finding(2, f"{other[0]}: {sizes[other[0]][0]}x{sizes[other[0]][1]} pixels ({len(other)} such maps); "
                             "expected squares, all of one size. Grids of several pictures must be cut apart")


def _same_frames(folder: Path, files: dict[int, Path], transforms: dict[int, Path], what: str, severity: int = 3
                 ) -> Iterator[Finding]:
    missing = [number for number in transforms if number not in files]
    extra = [number for number in files if number not in transforms]
    if missing:
        yield Finding(severity, f"{folder}: {len(missing)} of the {len(transforms)} frames of transform/ missing, "
                                f"first {transforms[missing[0]].stem}; {what}")
    if extra:
        yield Finding(1, f"{folder}: {len(extra)} frames that transform/ does not have, first {files[extra[0]].name}; "
                         "they are not used. Are the numbers those of the same frames?")


def _some(of: Iterable[int]) -> list[int]:
    numbers = sorted(of)
    return [numbers[i] for i in evenly_spread(len(numbers), MOST_READ)]


def _poses(transforms: dict[int, Path], body: Body | None) -> Look[dict[int, dict[str, Tensor]]]:
    """Those transform files; what is odd in them is told with the first file that has it."""
    poses: dict[int, dict[str, Tensor]] = {}
    odd: dict[str, list[Path]] = {}
    problems = []
    joints = body.weights.shape[1] if body else 24
    for number, path in sorted(transforms.items()):
        try:
            pose = read_pose(path, joints)
        except UserError as error:
            problems.append(str(error))
            continue
        poses[number] = pose
        for text in _oddities(pose, body):
            odd.setdefault(text, []).append(path)
    yield from (Finding(3, text) for text in problems[:MOST_TOLD])
    if len(problems) > MOST_TOLD:
        yield Finding(3, f"... and {len(problems) - MOST_TOLD} more transform files like these")
    yield from (Finding(2, f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {text}")
                for text, paths in odd.items())
    if not odd:
        yield from _one_shape({transforms[number]: pose for number, pose in poses.items()})
    return poses


def _one_shape(poses: dict[Path, dict[str, Tensor]]) -> Iterator[Finding]:
    """Whether the joints of all frames are those of one body: their poses undone, they must be in the same places."""
    rest = {path: moved_back(to_normalised(pose["joints"], pose["rotation"], pose["translation"]), pose["joints_RT"])
            for path, pose in poses.items() if len(pose["joints"]) == len(pose["joints_RT"])}
    if not rest:
        return
    usual = torch.stack(list(rest.values())).median(0).values
    away = {path: float((places - usual).norm(dim=-1).max()) for path, places in rest.items()}
    worst = max(away, key=lambda path: away[path])
    if away[worst] > SAME_SHAPE:
        yield Finding(1, f"{worst}: its joints are those of a body of another shape (up to {away[worst]:.2f} m from "
                         f"where most frames have them at rest; {sum(d > SAME_SHAPE for d in away.values())} of "
                         f"{len(away)} frames). Expected one shape for all frames, that of canonical.obj")


def _oddities(pose: dict[str, Tensor], body: Body | None) -> Iterator[str]:
    transforms, rotation = pose["joints_RT"], pose["rotation"]
    if not _is_rotation(rotation):
        yield "rotation is none (its determinant is not 1, or its rows are not at right angles); expected a " \
              "rotation, transposed"
        return
    stretch = torch.linalg.det(transforms[:, :3, :3])
    if ((stretch - 1).abs() > 0.02).any():
        yield "joints_RT has transforms that do not only turn and move (determinants other than 1); expected " \
              "rotations in [:3, :3, joint]"
        return
    if (transforms[0, :3, :3] - torch.eye(3)).abs().max() > 0.02:
        yield "joints_RT turns the root, the first joint; expected that in rotation alone, else all is turned twice"
    if body is None:
        return
    crushed = torch.linalg.det(blended(body.weights, transforms)[:, :3, :3]).amin()
    if crushed < 0.02:
        yield "skinning crushes parts of the body (singular transforms where weights mix opposite rotations)"
    if len(pose["joints"]) == len(transforms):
        moves = body.weights / body.weights.sum(0).clamp(min=1e-9)
        away, otherwise = (float((pose["joints"] - moves.T @ world_vertices(body, {**pose, "rotation": turn}))[
            body.weights.sum(0) > 0].norm(dim=-1).mean()) for turn in (rotation, rotation.T))
        nearer = otherwise < 0.6 * away
        if nearer or away > float((body.vertices.amax(0) - body.vertices.amin(0)).max()) / 6:
            hint = "; with the rotation transposed they are nearer" if nearer else ""
            yield f"joints are not where the posed body is that they move{hint}. Expected rotation transposed, all " \
                  "in metres"


def _is_rotation(matrix: Tensor) -> bool:
    return bool((matrix @ matrix.T - torch.eye(3)).abs().max() < 0.02 and torch.linalg.det(matrix) > 0)


# ---- cameras --------------------------------------------------------------------------------------------------------

def _cameras(root: Path) -> Look[list[View] | None]:
    """Cameras, one by one."""
    for first, second, used in (("intrinsic", "intrinisc", "intrinsic/"), ("extrinsic", "pose", "extrinsic/")):
        if (root / first).is_dir() and (root / second).is_dir():
            yield Finding(1, f"{root}: has {first}/ and {second}/; {used} is used. Remove the other")
    if not has_cameras(root) and not (root / "rgb").is_dir():
        yield Finding(1, f"{root}: no cameras; test.py takes those that were trained on")
        return None
    views: list[View] = []
    problems = []
    for intrinsics, place in camera_files(root):
        try:
            inner, pose = read_matrix(intrinsics, legacy=True), read_matrix(place)
            if not _is_rotation(pose[:3, :3]):
                raise UserError(f"{place}: its 3x3 part is no rotation; expected one (determinant 1, rows at right "
                                "angles). Take scale out of it")
            if not (inner[0, 0] > 0 and inner[1, 1] > 0):
                raise UserError(f"{intrinsics}: focal lengths {inner[0, 0]:g} and {inner[1, 1]:g}; expected pixels, "
                                "above 0")
            pose = pose.inverse() if place.parent.name == "extrinsic" else pose
            views.append(View(inner.numpy(), pose.numpy(), place))
        except UserError as error:
            problems.append(str(error))
    yield from (Finding(3, text) for text in problems[:MOST_TOLD])
    if len(problems) > MOST_TOLD:
        yield Finding(3, f"... and {len(problems) - MOST_TOLD} more cameras like these")
    return None if problems else views


def _photographs(photographs: dict[int, Path], views: list[View]) -> Iterator[Finding]:
    """Whether there is one for each camera, of the size that intrinsics are for, on white or with alpha."""
    places = [view.file for view in views]
    without: dict[int, Path] = {}
    sizes: dict[int, dict[tuple[int, int], Path]] = {}
    unmasked, aside, by_order = [], [], None
    for number in _some(photographs):
        pictures = pictures_of_cameras(photographs[number], places)
        names = [_last_number(path.stem) for path in pictures if path is not None]
        if names != [_last_number(place.stem) for place, path in zip(places, pictures) if path is not None]:
            by_order = by_order or photographs[number]
        for camera, path in enumerate(pictures):
            if path is None:
                without.setdefault(camera, photographs[number])
            elif number in _some_frames(photographs):
                sizes.setdefault(camera, {}).setdefault(image_size(path), path)
                colours, foreground = photograph(path)
                border = np.concatenate((foreground[0], foreground[-1], foreground[:, 0], foreground[:, -1]))
                if border.mean() > 0.5:
                    unmasked.append(path)
    if by_order:
        yield Finding(1, f"{by_order}: pictures have other numbers than the files of cameras in "
                         f"{places[0].parent.name}/; the first picture is taken for the first camera, and so on. Give "
                         "them the same numbers")
    for camera, folder in list(without.items())[:MOST_TOLD]:
        yield Finding(3, f"{folder}: no picture of camera {places[camera].stem}; expected one for each camera")
    for camera, found in sizes.items():
        if len(found) > 1:
            (width, height), path = list(found.items())[1]
            yield Finding(2, f"{path}: {width}x{height} pixels, {'x'.join(map(str, next(iter(found))))} in another "
                             "frame; expected one size for each camera")
        (width, height), path = next(iter(found.items()))
        x, y = views[camera].intrinsics[:2, 2] / (width, height)
        if not (0.2 < x < 0.8 and 0.2 < y < 0.8):
            aside.append(f"camera {views[camera].file.stem}: the middle of the lens is at ({x:.2f}, {y:.2f}) of the "
                         f"picture {path} ({width}x{height})")
    if aside:
        yield Finding(2, f"{aside[0]}; {len(aside)} of {len(views)} cameras have such intrinsics. Expected near "
                         "(0.5, 0.5), in pixels of the pictures as they are")
    if unmasked:
        yield Finding(2, f"{unmasked[0]}: the background is neither white nor transparent ({len(unmasked)} of the "
                         "pictures looked at); expected the person alone, else the background is learned too. Cut the "
                         "person out")


def _last_number(stem: str) -> int:
    found = re.findall(r"\d+", stem)
    return int(found[-1]) if found else -1


def _some_frames(numbers: Iterable[int], most: int = FRAMES) -> list[int]:
    ordered = sorted(numbers)
    return [ordered[i] for i in evenly_spread(len(ordered), most)]


def _sight(vertices: dict[int, np.ndarray], views: list[View], photographs: dict[int, Path], hints: bool
           ) -> Iterator[Finding]:
    """Whether cameras see the body; if not, and with `hints`, whether they would if their matrices meant something
    else.
    """
    blind, far = [], []
    numbers = _some_frames(vertices)
    better: dict[str, int] = {}
    for view, size in zip(views, _sizes(views, photographs)):
        def seen_from(pose: np.ndarray, view: View = view, size: tuple[int, int] = size) -> float:
            return float(np.mean([_seen(vertices[number], view.intrinsics, pose, size) for number in numbers]))
        seen = seen_from(view.pose)
        if seen < 0.5:
            blind.append(view.file)
            ways = {mistake: seen_from(mistake.read(reading_of(view, size)).pose)
                    for mistake in SEEN_WITHOUT_PHOTOGRAPHS}
            best = max(ways, key=lambda mistake: ways[mistake])
            if ways[best] > max(0.8, seen):
                better[named(best, view)] = better.get(named(best, view), 0) + 1
        distance = np.mean([np.linalg.norm(view.pose[:3, 3] - vertices[number].mean(0)) for number in numbers])
        if distance > FARTHEST_CAMERA:
            far.append(view.file)
    if blind:
        hint = f" Read as {max(better, key=lambda n: better[n])}, {max(better.values())} of them do" if better and \
            hints else ""
        yield Finding(2, f"{blind[0]}: does not see the posed body ({len(blind)} of {len(views)} cameras); expected "
                         f"OpenCV's axes and metres.{hint}")
    if far:
        yield Finding(2, f"{far[0]}: is more than {FARTHEST_CAMERA} m from the body ({len(far)} of {len(views)} "
                         "cameras); expected metres. Are translations in millimetres?")


def _sizes(views: list[View], photographs: dict[int, Path]) -> list[tuple[int, int]]:
    """(width, height) of each camera's pictures; where there are none, twice the middle of the lens."""
    pictures: list[Path | None] = [None] * len(views)
    if photographs:
        pictures = pictures_of_cameras(next(iter(photographs.values())), [view.file for view in views])
    return [image_size(path) if path else (int(2 * view.intrinsics[0, 2]), int(2 * view.intrinsics[1, 2]))
            for view, path in zip(views, pictures)]


def _seen(vertices: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray, size: tuple[int, int]) -> float:
    """Share of the vertices that are in the picture; 0 where the body is a speck."""
    pixels, depth = projected(vertices, intrinsics, pose)
    if (depth <= 0).any() or np.ptp(pixels, axis=0).max() < 0.03 * max(size):
        return float((depth > 0).mean() / 4) if (depth <= 0).any() else 0.0
    return float(((pixels > -0.5) & (pixels < size)).all(-1).mean())
