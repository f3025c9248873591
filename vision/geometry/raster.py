"""Triangles drawn into pixels: which each pixel sees, and where in it. Pixel (x, y) has its centre at (x, y)."""

from typing import NamedTuple

import numpy as np

MOST_AT_ONCE = 1 << 21
"""Pixels of triangles' boxes that are looked at together."""


class Raster(NamedTuple):
    """What pixels see.

    Attributes:
        face: int64 [H, W], -1 where there is nothing.
        barycentric: float32 [H, W, 3], in the picture's plane; their sum is 1, or 0 where there is nothing.
    """

    face: np.ndarray
    barycentric: np.ndarray


def rasterised(corners: np.ndarray, size: tuple[int, int], depths: np.ndarray | None = None) -> Raster:
    """Draw triangles, of either orientation; a pixel is in one when its centre is, or lies on its edge.

    Args:
        corners: [F, 3, 2], x before y, in pixels.
        size: (H, W).
        depths: [F, 3], of corners in front of a pinhole camera, in any unit: the nearest triangle is seen. Triangles
            that reach behind the camera are left out. None: where several triangles lie, the first is seen.
    """
    height, width = size
    corners = np.asarray(corners, dtype=np.float64)
    edges = corners[:, 1:] - corners[:, :1]
    area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    drawn = np.isfinite(corners).all((1, 2)) & (area != 0)
    if depths is not None:
        drawn &= (np.asarray(depths) > 0).all(1)
    first = np.ceil(np.where(drawn[:, None], corners.min(1), 1)).clip(0, [width, height]).astype(np.int64)
    last = np.floor(np.where(drawn[:, None], corners.max(1), 0)).clip(-1, [width - 1, height - 1]).astype(np.int64)
    sides = np.where(drawn[:, None], last - first + 1, 0).clip(min=0)
    faces = np.flatnonzero(sides.prod(1))
    found = Raster(np.full(height * width, -1), np.zeros((height * width, 3), dtype=np.float32))
    best = np.full(height * width, -np.inf)
    ends = sides[faces].prod(1).cumsum()
    for part in np.split(faces, np.searchsorted(ends, np.arange(MOST_AT_ONCE, ends[-1], MOST_AT_ONCE)) if len(faces)
                         else []):
        counts = sides[part].prod(1)
        face = part.repeat(counts)
        within = np.arange(len(face)) - (counts.cumsum() - counts).repeat(counts)
        x, y = first[face, 0] + within % sides[face, 0], first[face, 1] + within // sides[face, 0]
        away_x, away_y = x - corners[face, 0, 0], y - corners[face, 0, 1]
        second = (away_x * edges[face, 1, 1] - away_y * edges[face, 1, 0]) / area[face]
        third = (away_y * edges[face, 0, 0] - away_x * edges[face, 0, 1]) / area[face]
        inside = np.flatnonzero((second >= 0) & (third >= 0) & (second + third <= 1))
        face, pixel = face[inside], (y * width + x)[inside]
        place = np.stack((1 - second[inside] - third[inside], second[inside], third[inside]), -1)
        nearness = -face.astype(float) if depths is None else (place / np.asarray(depths)[face]).sum(-1)
        better = nearness > best[pixel]
        face, pixel, place, nearness = face[better], pixel[better], place[better], nearness[better]
        order = np.argsort(nearness, kind="stable")  # of several that are written to one pixel, the last one stays
        pixel = pixel[order]
        best[pixel], found.face[pixel], found.barycentric[pixel] = nearness[order], face[order], place[order]
    return Raster(found.face.reshape(size), found.barycentric.reshape(height, width, 3))


def projected(points: np.ndarray, intrinsics: np.ndarray, camera_to_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where an OpenCV camera sees points.

    Args:
        points: [..., 3], in the world.
        intrinsics: [3 or 4, 3 or 4]; fx, fy, cx and cy are used.
        camera_to_world: [4, 4].

    Returns:
        pixels [..., 2], x before y; and depths [...] along the camera's axis, 0 or less behind it, where pixels mean
        nothing.
    """
    points = np.asarray(points, dtype=np.float64)
    seen = (points - camera_to_world[:3, 3]) @ camera_to_world[:3, :3]
    depth = seen[..., 2]
    safe = np.where(depth > 0, depth, 1)
    focal = np.array([intrinsics[0, 0], intrinsics[1, 1]])
    return seen[..., :2] / safe[..., None] * focal + intrinsics[:2, 2], depth
