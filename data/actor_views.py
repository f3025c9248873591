"""What test.py renders of an actor: given cameras, a path round it, or poses of a camera from files."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from util.command_line import float_at_least, int_at_least
from util.errors import UserError
from util.files import read_text
from vision.geometry.trajectories import AXES, KNOWN, PATHS, camera_on_path


class View(NamedTuple):
    """A picture to make.

    Attributes:
        frame: number of the frame.
        camera: whose photograph it can be compared with, from 0; None: nobody's.
        intrinsics, camera_to_world: float32 [4, 4].
        name: of its files.
    """

    frame: int
    camera: int | None
    intrinsics: Tensor
    camera_to_world: Tensor
    name: str


def add_view_options(parser) -> None:
    """Add which pictures test.py makes."""
    group = parser.add_argument_group("actor dataset: cameras that nobody filmed with")
    group.add_argument("--render_path_style", choices=tuple(PATHS), default=None,
                       help="a path round the actor, instead of the dataset's cameras; frames go on with its steps")
    group.add_argument("--render_path_args", default="{'radius': 2.5, 'h': 0.0}", metavar="DICT",
                       help=f"what it is like, in metres and radians: {', '.join(sorted(KNOWN))}")
    group.add_argument("--render_at_vector", default="(0,0,0)", metavar="X,Y,Z", help="what it looks at")
    group.add_argument("--render_up_vector", default="(0,0,-1)", metavar="X,Y,Z",
                       help="direction of the picture's y axis, which points down: (0,0,-1) where the world's z is up")
    group.add_argument("--render_angular_speed", type=float, default=1.0, metavar="DEGREES", help="from step to step")
    group.add_argument("--render_num_frames", type=int_at_least(1), default=1, metavar="N",
                       help="steps in each of the body's poses")
    group.add_argument("--render_camera_poses", default=None, metavar="PATH",
                       help="poses of the camera: a text file of 16 numbers a line, camera-to-world, perhaps with the "
                            "frame's number as the 17th; or a folder of matrices: camera-to-world if its name is pose, "
                            "else world-to-camera. One for each frame, or many for one, or one for many")
    group.add_argument("--render_camera_intrinsics", default=None, metavar="FILE",
                       help="intrinsics for these and for paths (default: those of the first camera of --test_views)")
    group.add_argument("--render_maximum_frames", type=int_at_least(1), default=None, metavar="N",
                       help="make no more pictures")
    group.add_argument("--render_items", default="", metavar="A,B",
                       help="only pictures A to B - 1 of all: for several machines or GPUs, each with its own --phase")
    group.add_argument("--into", default=None, metavar="DIR",
                       help="an actor of one video in the layers of her clip, which the first system exported here: as "
                            "a layer with the shadow of her pose, in front of the clip's background, to be retimed")
    group.add_argument("--render_save_fps", type=float_at_least(0.1), default=24, metavar="FPS", help="of videos")
    parser.also(render_views="test_views")


def free_cameras(opt, frames: Sequence[int], read) -> list[tuple[int, np.ndarray]] | None:
    """Frames and poses of the camera [4, 4] that the options ask for, in order; None: the dataset's own cameras.

    Args:
        opt: the options.
        frames: numbers of the frames.
        read: a function that reads a matrix from a file.

    Raises:
        UserError: an option or a file is not of its form, or there are too few poses or frames.
    """
    if opt.render_camera_poses:
        return _paired(frames, *_poses(Path(opt.render_camera_poses), read), opt.render_camera_poses)
    if not opt.render_path_style:
        return None
    args = _path_args(opt.render_path_args)
    at, up = (vector(getattr(opt, name), f"--{name}") for name in ("render_at_vector", "render_up_vector"))
    return [(frame, camera_on_path(opt.render_path_style, step, opt.render_angular_speed, args, at, up))
            for step, frame in enumerate(np.repeat(frames, opt.render_num_frames).tolist())]


def _poses(path: Path, read) -> tuple[list[np.ndarray], list[int] | None]:
    if path.is_dir():
        files = sorted(path.glob("*.txt"))
        if not files:
            raise UserError(f"--render_camera_poses: {path} holds no .txt file; expected one matrix in each")
        matrices = [read(file).numpy().astype(np.float64) for file in files]
        return [matrix if path.name == "pose" else np.linalg.inv(matrix) for matrix in matrices], None
    try:
        rows = np.loadtxt(read_text(path).splitlines(), ndmin=2)
    except (OSError, ValueError) as error:
        raise UserError(f"--render_camera_poses: {path} is not readable ({str(error)[:80]}); expected 16 or 17 numbers "
                        "a line") from None
    if rows.shape == (4, 4):
        rows = rows.reshape(1, 16)
    if rows.shape[1] not in (16, 17) or not np.isfinite(rows).all():
        raise UserError(f"--render_camera_poses: {path} has lines of {rows.shape[1]} numbers; expected 16, or 17 with "
                        "the frame's number")
    return list(rows[:, :16].reshape(-1, 4, 4)), rows[:, 16].astype(int).tolist() if rows.shape[1] == 17 else None


def _paired(frames: Sequence[int], poses: list[np.ndarray], named: list[int] | None,
            path: str) -> list[tuple[int, np.ndarray]]:
    if named is not None:
        missing = sorted(set(named) - set(frames))
        if missing:
            raise UserError(f"--render_camera_poses: {path} names frame {missing[0]}, which is not among the frames "
                            "to render")
        return list(zip(named, poses))
    if len(frames) != len(poses) and 1 not in (len(frames), len(poses)):
        raise UserError(f"--render_camera_poses: {path} has {len(poses)} poses for {len(frames)} frames; expected one "
                        "for each, one for all, or many for one frame (--start_end)")
    count = max(len(frames), len(poses))
    return [(frames[i % len(frames)], poses[i % len(poses)]) for i in range(count)]


def _path_args(text: str) -> dict:
    try:
        args = dict(ast.literal_eval(text))
        for name, value in args.items():
            if name == "axis":
                assert value in AXES
            elif name == "offset":
                args[name] = vector(str(value), "offset")
            else:
                assert name in KNOWN
                args[name] = float(value)
    except (ValueError, SyntaxError, TypeError, AssertionError, MemoryError, RecursionError):
        raise UserError(f"--render_path_args: found \"{text[:80]}\"; expected such as \"{{'radius': 2.5, 'h': 0.5, "
                        f"'axis': 'y'}}\", of {', '.join(sorted(KNOWN))}") from None
    return args


def vector(text: str, option: str) -> tuple[float, float, float]:
    """Three numbers, with or without brackets.

    Raises:
        UserError: it is something else.
    """
    try:
        x, y, z = (float(word) for word in text.strip("()[] ").split(","))
    except ValueError:
        raise UserError(f"{option}: found '{text[:40]}'; expected three numbers such as 0,0,-1") from None
    return x, y, z


def views_to_render(opt, frames: Sequence[int], cameras: Sequence[tuple[Tensor, Tensor]], chosen: Sequence[int],
                    read) -> list[View]:
    """All pictures, in order.

    Args:
        opt: the options.
        frames: numbers of the frames.
        cameras: intrinsics and camera-to-world of each camera.
        chosen: those of --test_views.
        read: a function that reads a matrix from a file; with `legacy`, intrinsics.

    Raises:
        UserError: see `free_cameras`; or --render_items leaves nothing.
    """
    free = free_cameras(opt, frames, read)
    if free is None:
        views = [View(frame, camera, *cameras[camera], f"{frame:06d}" if len(chosen) == 1 else
                      f"v{camera:03d}_f{frame:06d}") for frame in frames for camera in chosen]
    else:
        intrinsics = cameras[chosen[0]][0] if not opt.render_camera_intrinsics else \
            read(Path(opt.render_camera_intrinsics), legacy=True)
        views = [View(frame, None, intrinsics, torch.from_numpy(pose).float(), f"{step:06d}")
                 for step, (frame, pose) in enumerate(free)]
    views = views[:opt.render_maximum_frames]
    if opt.render_items:
        try:
            first, last = (int(word) for word in opt.render_items.strip("() ").split(","))
        except ValueError:
            raise UserError(f"--render_items: found '{opt.render_items}'; expected two numbers such as 0,100") from None
        if not 0 <= first < last or first >= len(views):
            raise UserError(f"--render_items: found '{opt.render_items}', of {len(views)} pictures; expected a range "
                            f"among 0,{len(views)}")
        views = views[first:last]
    return views
