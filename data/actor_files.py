"""An actor's files: which belong to which frame and camera, and what is in them (docs/neural_actor/data.md).

Frames are matched by the number in their names. Cameras are OpenCV's; `pose` is camera-to-world, `extrinsic` its
inverse.
"""

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from util.errors import UserError
from util.files import read_text
from vision.people.body_files import read_transforms
from vision.people.skinning import Body, posed_vertices, to_world

PICTURES = (".png", ".jpg", ".jpeg")


def by_number(folder: Path, pattern: str) -> dict[int, Path]:
    """Files or folders by the last number in their names.

    Raises:
        UserError: there are none, or two have the same number.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob(pattern)):
        numbers = re.findall(r"\d+", path.stem)
        if numbers and found.setdefault(int(numbers[-1]), path) != path:
            raise UserError(f"{path}: has the number of {found[int(numbers[-1])]}; expected one file for each frame")
    if not found:
        raise UserError(f"{folder}: nothing like {pattern} with a number in its name; expected one for each frame")
    return found


def read_pose(path: Path, joints: int) -> dict[str, Tensor]:
    """`joints_RT` [J, 4, 4], `rotation` [3, 3], `translation` [3] and `joints` [J, 3] of a transform file.

    Raises:
        UserError: it holds something else.
    """
    transforms = torch.from_numpy(read_transforms(path, joints))
    content = json.loads(read_text(path))
    try:
        rotation, translation, places = (
            torch.tensor(content[name], dtype=torch.float32).reshape(shape)
            for name, shape in (("rotation", (3, 3)), ("translation", (3,)), ("joints", (-1, 3))))
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: {type(error).__name__}: {error}; expected rotation [3, 3], translation [1, 3] "
                        "and joints [J, 3]") from None
    if not all(values.isfinite().all() for values in (rotation, translation, places)):
        raise UserError(f"{path}: holds numbers that are not finite; expected those of a body in metres")
    return {"joints_RT": transforms, "rotation": rotation, "translation": translation, "joints": places}


def world_vertices(body: Body, pose: dict[str, Tensor]) -> Tensor:
    """A body's vertices [V, 3] in the world, in a pose as `read_pose` returns it."""
    return to_world(posed_vertices(body, pose["joints_RT"]), pose["rotation"], pose["translation"])


def has_cameras(root: Path) -> bool:
    """Whether a folder has any camera."""
    return any((root / name).is_dir() for name in ("pose", "extrinsic"))


def read_cameras(root: Path) -> list[tuple[Tensor, Tensor]]:
    """Intrinsics and camera-to-world matrix of each camera, in the order of their names.

    Raises:
        UserError: files are missing or wrong.
    """
    return [(read_matrix(intrinsics, legacy=True), read_matrix(place).inverse() if place.parent.name == "extrinsic"
             else read_matrix(place)) for intrinsics, place in camera_files(root)]


def camera_files(root: Path) -> list[tuple[Path, Path]]:
    """The files of intrinsics and of the place of each camera, in the order of the latter's names.

    Raises:
        UserError: files are missing.
    """
    places = sorted((root / "extrinsic").glob("*.txt")) or sorted((root / "pose").glob("*.txt"))
    if not places:
        raise UserError(f"{root}: no camera in pose/ or extrinsic/; expected a text file of a matrix for each")
    folder = next((root / name for name in ("intrinsic", "intrinisc") if (root / name).is_dir()), None)
    if folder is None:
        one = next((root / name for name in ("intrinsics.txt", "intrinsic.txt") if (root / name).exists()), None)
        if one is None:
            raise UserError(f"{root}: no intrinsics of cameras; expected a text file of a matrix for each in "
                            "intrinsic/, or one for all, intrinsics.txt")
        return [(one, place) for place in places]
    inner = of_cameras(sorted(folder.glob("*.txt")), places)
    without = [place for place, intrinsics in zip(places, inner) if intrinsics is None]
    if without:
        raise UserError(f"{folder}: nothing for camera {without[0]} ({len(without)} of {len(places)} cameras); "
                        f"expected a file for each in {places[0].parent.name}/, with the same number in its name")
    return list(zip(filter(None, inner), places))


def pictures_of_cameras(folder: Path, cameras: list[Path]) -> list[Path | None]:
    """Pictures of a frame, in the order of cameras, as `of_cameras`."""
    return of_cameras(sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES), cameras)


def of_cameras(files: list[Path], cameras: list[Path]) -> list[Path | None]:
    """Files for cameras: as many are in the same order; else the number in the name says which is which; None: none."""
    if len(files) == len(cameras):
        return list(files)
    numbers = [(re.findall(r"\d+", path.stem) or [path.stem])[-1].lstrip("0") for path in files]
    by_camera = dict(zip(numbers, files))
    return [by_camera.get((re.findall(r"\d+", path.stem) or [path.stem])[-1].lstrip("0")) for path in cameras]


def read_matrix(path: Path, legacy: bool = False) -> Tensor:
    """A camera's matrix as [4, 4], from 4x4, 3x4, 3x3 or 1x16 numbers; `legacy`: also from `f cx cy` in the first line.

    Raises:
        UserError: it holds something else.
    """
    try:
        rows = [[float(word) for word in line.split()] for line in read_text(path).splitlines() if line.split()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable ({error}); expected the numbers of a matrix") from None
    rows = rows[1:] if len(rows) > 3 and len(rows[0]) == 2 else rows
    rows = rows[:-1] if len(rows) > 3 and len(rows[-1]) == 2 and len({len(row) for row in rows[:-1]}) == 1 else rows
    widths, matrix = {len(row) for row in rows}, torch.eye(4)
    if legacy and rows and len(rows[0]) in (3, 4) and (len(widths) > 1 or len(rows) == 1):
        focal, x, y = rows[0][:3]
        matrix[0, 0] = matrix[1, 1] = focal
        matrix[0, 2], matrix[1, 2] = x, y
        return matrix
    if len(widths) == 1:
        shape = (len(rows), widths.pop())
        if shape == (1, 16):
            return torch.tensor(rows).reshape(4, 4)
        if shape in ((3, 3), (3, 4), (4, 4)):
            matrix[:shape[0], :shape[1]] = torch.tensor(rows)
            return matrix
    raise UserError(f"{path}: {len(rows)} lines of {sorted(len(row) for row in rows)} numbers; expected a matrix of "
                    "4x4, 3x4 or 3x3 numbers, or all 16 in one line")
