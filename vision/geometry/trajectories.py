"""Paths of a camera round a point, step by step, as Neural Actor's program has them.

Cameras are OpenCV's: x right, y down, z forward; poses are camera-to-world, 4x4. The direction "up" of a path is that
of the picture's y axis, which points down: (0, 0, -1) stands in a world whose z points up.
"""

import math
from collections.abc import Sequence

import numpy as np

AXES = {"x": (1, 2, 0), "y": (0, 2, 1), "z": (0, 1, 2)}
"""Of a path round an axis: where in (x, y, z) its cosine, its sine and its height go."""
KNOWN = {"radius", "h", "axis", "t0", "r", "offset", "min_r", "max_r", "step_r", "rise", "turns"}
"""Names of what paths can be told."""


def camera_on_path(style: str, step: int, degrees: float, args: dict, at: Sequence[float] = (0, 0, 0),
                   up: Sequence[float] = (0, 0, -1)) -> np.ndarray:
    """Where the camera is after some steps, and where it looks.

    Args:
        style: one of `PATHS`.
        step: from 0.
        degrees: that the camera turns with each step.
        args: `radius` and height `h` above `at`, in metres; `axis` (x, y or z) that the path goes round; `t0`, the
            angle in radians to begin with; `r`, -1 to go the other way round; `offset`, added to the camera's place.
            zoomin_line: it goes from `min_r` to `max_r` times the radius, all the way while the angle goes over
            `step_r` degrees. spiral: while it goes round, its height swings by `rise`, once in `turns` rounds.
        at: what the camera looks at.
        up: the direction of the picture's y axis.

    Returns:
        camera-to-world, float64 [4, 4].
    """
    angle = step * math.radians(degrees)
    axis, radius = args.get("axis", "z"), float(args.get("radius", 2.5))
    along, across, height = PATHS[style](angle, args, axis, radius)
    place = np.zeros(3)
    place[list(AXES[axis])] = along, across, height
    place = place + np.asarray(args.get("offset", (0, 0, 0)), dtype=np.float64) + at
    return looking(place, at, up)


def looking(place: np.ndarray, at: Sequence[float], up: Sequence[float]) -> np.ndarray:
    """The pose [4, 4] of a camera at `place` that looks at a point, with its y axis as near to `up` as can be."""
    pose = np.eye(4)
    forward = _unit(np.asarray(at, dtype=np.float64) - place)
    right = _unit(np.cross(up, forward))
    pose[:3] = np.stack((right, _unit(np.cross(forward, right)), forward, place), 1)
    return pose


def _circle(angle: float, args: dict, axis: str, radius: float) -> tuple[float, float, float]:
    turned = args.get("r", 1) * angle + args.get("t0", 0)
    return radius * math.cos(turned), radius * math.sin(turned), args.get("h", 0)


def _zoomin_circle(angle: float, args: dict, axis: str, radius: float) -> tuple[float, float, float]:
    scale = 0.1 + abs(4 - 2 * angle / math.pi) if axis in ("y", "z") else 1
    return _circle(angle, args, axis, radius * scale)


def _zoomin_line(angle: float, args: dict, axis: str, radius: float) -> tuple[float, float, float]:
    nearest, furthest = args.get("min_r", 1e-4), args.get("max_r", 10)
    scale = nearest + (furthest - nearest) * math.degrees(angle) / args.get("step_r", 10)
    along, across, height = _circle(0, args, axis, radius * scale)
    return along, across, height * scale if axis == "z" else height


def _spiral(angle: float, args: dict, axis: str, radius: float) -> tuple[float, float, float]:
    along, across, height = _circle(angle, args, axis, radius)
    return along, across, height + args.get("rise", 0.5) * math.sin(angle / args.get("turns", 2))


PATHS = {"circle": _circle, "zoomin_circle": _zoomin_circle, "zoomin_line": _zoomin_line, "spiral": _spiral}
"""Style to function of (angle, args, axis, radius): the camera along, across and above the middle of its path."""


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / (np.linalg.norm(vector) + 1e-8)
