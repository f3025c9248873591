"""Solid parts and how they look: a person is a set of them, drawn by a depth buffer.

A part is the hull of two balls (a tapered limb) stretched along three axes. Rays that see one person are taken as
parallel, so where they meet a part is the root of a quadratic. Metres; world axes: x right, y up, z away from the
camera; the ground is y = 0. Colours are RGB in [0, 1], and a paint maps a part's own coordinates [N, 3] (right, up,
front; from its start) to colours [N, 3].
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

Paint = Callable[[np.ndarray], np.ndarray]


def rgb(hexadecimal: str) -> np.ndarray:
    """Colour [3] in [0, 1] of six hexadecimal digits."""
    return np.frombuffer(bytes.fromhex(hexadecimal), np.uint8).astype(np.float32) / 255


@dataclass(frozen=True)
class Part:
    """The hull of two balls, stretched by `size` along `axes` (rows: right, up, front)."""

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    paint: Paint
    axes: np.ndarray
    size: tuple[float, float, float] = (1, 1, 1)
    open_end: bool = False  # cut off flat at the end: a sleeve or a hem
    origin: np.ndarray | None = None  # of the paint's coordinates: the start unless given

    def scaled(self, factor: float) -> "Part":
        """The same part, `factor` times as large, painted alike."""
        origin = self.start if self.origin is None else self.origin
        return replace(self, start=self.start * factor, end=self.end * factor, origin=origin * factor,
                       start_radius=self.start_radius * factor, end_radius=self.end_radius * factor,
                       paint=lambda p: self.paint(p / factor))


def limb(start: np.ndarray, end: np.ndarray, radii: tuple[float, float], paint: Paint, front: np.ndarray,
         **kinds) -> Part:
    """A tapered limb whose own `up` runs from its end to its start."""
    up = (start - end) / np.linalg.norm(start - end)
    right = np.cross(up, front)
    right /= np.linalg.norm(right)
    return Part(start, end, *radii, paint, np.stack([right, up, np.cross(right, up)]), **kinds)


def ball(centre: np.ndarray, size: tuple[float, float, float], paint: Paint, axes: np.ndarray, **kinds) -> Part:
    """An ellipsoid with half axes `size`."""
    return Part(centre, centre, 1, 1, paint, axes, size, **kinds)


def render(parts: list[Part], ray: np.ndarray, left: float, top: float, shape: tuple[int, int], scale: float,
           sun: np.ndarray) -> np.ndarray:
    """Draw parts on the plane z = 0 along parallel rays.

    Args:
        ray: direction [3] of sight, z component 1.
        left, top: world x and y of the picture's corner.
        shape: rows and columns.
        scale: pixels per metre.
        sun: unit vector towards the light.

    Returns:
        float32 [rows, columns, 4], premultiplied RGBA in [0, 1]; the alpha is 0 or 1.
    """
    return _shade(*_surfaces(parts, ray, left, top, shape, scale), ray, sun, scale)


def seen_points(parts: list[Part], ray: np.ndarray, left: float, top: float, shape: tuple[int, int],
                scale: float) -> np.ndarray:
    """The world points [rows, columns, 3] that `render` with the same arguments shows; nan where it shows nothing."""
    depth, _, _ = _surfaces(parts, ray, left, top, shape, scale)
    rows, columns = np.indices(shape)
    plane = np.dstack([left + (columns + 0.5) / scale, top - (rows + 0.5) / scale, np.zeros(shape)])
    return plane + np.where(np.isfinite(depth), depth, np.nan)[..., None] * ray


def _surfaces(parts: list[Part], ray: np.ndarray, left: float, top: float, shape: tuple[int, int],
              scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth along the ray (inf where there is nothing), outward normal and paint of what is nearest."""
    depth = np.full(shape, np.inf, np.float32)
    normal, colour = np.zeros((*shape, 3), np.float32), np.zeros((*shape, 3), np.float32)
    for part in parts:
        rows, columns = _window(part, ray, left, top, shape, scale)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        x = (left + (np.arange(columns.start, columns.stop) + 0.5) / scale).astype(np.float32)[None, :]
        y = (top - (np.arange(rows.start, rows.stop) + 0.5) / scale).astype(np.float32)[:, None]
        near = _first_hit(part, x, y, ray)
        seen = np.nonzero(near < depth[rows, columns])
        points = np.stack([x[0, seen[1]], y[seen[0], 0], np.zeros(len(seen[0]), np.float32)], 1)
        points += near[seen][:, None] * ray.astype(np.float32)
        depth[rows, columns][seen] = near[seen]
        normal[rows, columns][seen] = _normal(part, points)
        origin = part.start if part.origin is None else part.origin
        colour[rows, columns][seen] = part.paint((points - origin.astype(np.float32)) @ part.axes.T)
    return depth, normal, colour


def extent(parts: list[Part], ray: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, low and high ends of what the parts may cover on the plane z = 0, seen along `ray`."""
    reach = np.array([max(part.start_radius, part.end_radius) * max(part.size) for part in parts]) * np.linalg.norm(ray)
    ends = np.array([[part.start, part.end] for part in parts])
    ends = ends[..., :2] - ends[..., 2:] * ray[:2]
    low, high = (ends.min(1) - reach[:, None]).min(0), (ends.max(1) + reach[:, None]).max(0)
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def _window(part: Part, ray: np.ndarray, left: float, top: float, shape: tuple[int, int],
            scale: float) -> tuple[slice, slice]:
    """The rows and columns that may see the part."""
    x0, x1, y0, y1 = extent([part], ray)
    first, last = np.array([top - y1, x0 - left]) * scale, np.array([top - y0, x1 - left]) * scale
    (row0, column0), (row1, column1) = np.clip([np.floor(first), np.ceil(last)], 0, shape).astype(int)
    return slice(row0, row1), slice(column0, column1)


def _stretch(part: Part) -> np.ndarray:
    """The symmetric map [3, 3] to where the part's balls are round."""
    return (part.axes.T / part.size) @ part.axes


def _first_hit(part: Part, x: np.ndarray, y: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Depth along the rays through (x, y, 0) of the first hit, inf where there is none.

    The side of a limb is the envelope of its balls: q with |q - h b|^2 = (r + h dr)^2 least over the place h.
    """
    stretch = _stretch(part)
    d, axis = stretch @ ray, stretch @ (part.end - part.start)
    origin = [x * stretch[i, 0] + y * stretch[i, 1] - (stretch @ part.start)[i] for i in range(3)]
    along = sum(o * float(a) for o, a in zip(origin, axis))
    slope, squared = sum(o * float(k) for o, k in zip(origin, d)), sum(o * o for o in origin)
    growth, length, rate = part.end_radius - part.start_radius, float(axis @ axis), float(d @ axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        near = _root(float(d @ d), slope, squared - part.start_radius ** 2)
        rounded = length - growth ** 2
        if rounded <= 1e-12:
            return np.where(np.isnan(near), np.inf, near)
        if part.open_end:  # a disc where the side ends
            end = (rounded - growth * part.start_radius - along) / rate
            from_end = squared - 2 * along + length + 2 * end * (slope - rate) + end ** 2 * float(d @ d)
            end = np.where(from_end <= part.end_radius ** 2, end, np.nan)
        else:
            end = _root(float(d @ d), slope - rate, squared - 2 * along + length - part.end_radius ** 2)
        near = np.fmin(near, end)
        place = along + growth * part.start_radius
        side = _root(float(d @ d) - rate ** 2 / rounded, slope - rate * place / rounded,
                     squared - part.start_radius ** 2 - place ** 2 / rounded)
        place = (place + side * rate) / rounded
        near = np.fmin(near, np.where((place >= 0) & (place <= 1), side, np.nan))
        return np.where(np.isnan(near), np.inf, near)


def _root(a: float, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The smaller root of a t^2 + 2 b t + c, nan where there is none."""
    return (-b - np.sqrt(b * b - a * c)) / a


def _normal(part: Part, points: np.ndarray) -> np.ndarray:
    """Outward unit normals [N, 3] at points on the part's surface."""
    stretch = _stretch(part).astype(np.float32)
    q, axis = (points - part.start.astype(np.float32)) @ stretch, stretch @ (part.end - part.start)
    growth = part.end_radius - part.start_radius
    rounded = max(axis @ axis - growth ** 2, 1e-12)
    place = np.clip((q @ axis + growth * part.start_radius) / rounded, 0, 1)
    normal = (q - place[:, None] * axis) @ stretch
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _shade(depth: np.ndarray, normal: np.ndarray, colour: np.ndarray, ray: np.ndarray, sun: np.ndarray,
           scale: float) -> np.ndarray:
    """Warm wrapped sunlight, cool sky light, light from the ground, and soft dark creases beside nearer parts."""
    solid = np.isfinite(depth)
    filled = np.where(solid, depth, 0.5).astype(np.float32)
    around = cv2.GaussianBlur(filled, (0, 0), 0.03 * scale)
    crease = np.clip((filled - around) / 0.12, 0, 1)[..., None]
    key = np.clip(0.35 + 0.65 * (normal @ sun.astype(np.float32)), 0, 1)[..., None] ** 1.3
    sky = 0.5 + 0.5 * normal[..., 1:2]
    rim = (1 - np.clip(-(normal @ (ray / np.linalg.norm(ray)).astype(np.float32)), 0, 1))[..., None] ** 3
    light = key * (0.78, 0.72, 0.62) + sky * (0.36, 0.40, 0.48) + (1 - sky) * (0.24, 0.21, 0.18)
    light += 0.2 * np.clip(-normal[..., 2:], 0, 1)
    lit = colour * light * (1 - 0.45 * crease) * (1 - 0.3 * rim) + 0.10 * rim * key * colour ** 0.5
    return np.dstack([np.clip(lit, 0, 1) * solid[..., None], solid]).astype(np.float32)


def cast_shadow(part: Part, sun: np.ndarray, corners: int = 16) -> np.ndarray:
    """The outlines of a part's two balls on the ground, as points [2 * corners, 3] whose hull is its shadow."""
    across = np.linalg.svd((_stretch(part) @ sun)[None])[2][1:]  # the outline is round where the balls are
    angle = np.arange(corners) * (2 * np.pi / corners)
    outline = np.cos(angle)[:, None] * across[0] + np.sin(angle)[:, None] * across[1]
    outline = outline @ (part.axes.T * part.size) @ part.axes
    points = np.concatenate([part.start + part.start_radius * outline, part.end + part.end_radius * outline])
    return points - points[:, 1:2] / sun[1] * sun
