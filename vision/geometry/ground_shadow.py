"""The shadow of a body on flat ground, and the light that explains the shadows which a clip's camera saw.

The world's y is up, lengths are in metres; cameras are OpenCV's. The light is far away: what is one metre above the
ground has its shadow at the same distance from its foot everywhere.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from vision.geometry.raster import projected, rasterised

FARTHEST, COARSE, FINEST = 3.0, 0.5, 0.03
"""Metres of the shadow of something 1 m high: how long it may be, steps that are tried first, and last."""
BLURS = (0.002, 0.004, 0.008, 0.016, 0.032)
"""Penumbras that are tried, as shares of the picture's height."""


class GroundLight(NamedTuple):
    """The light of a scene, and its ground.

    Attributes:
        ground: its height, y.
        reach: (x, z) from the foot of something 1 m high to the end of its shadow.
        blur: of shadows, standard deviation as a share of the picture's height.
        strength: how much of the ground's light a shadow takes, 0 to 1.
    """

    ground: float
    reach: tuple[float, float]
    blur: float = 0.0
    strength: float = 1.0


class Camera(NamedTuple):
    """What looks at the ground: intrinsics and camera-to-world [4, 4], and the size (H, W) of its pictures."""

    intrinsics: np.ndarray
    pose: np.ndarray
    size: tuple[int, int]


def cast_shadow(vertices: np.ndarray, faces: np.ndarray, light: GroundLight, camera: Camera) -> np.ndarray:
    """How much darker the ground gets in the shadow of a body, float32 [H, W] from 0 to the light's strength.

    Args:
        vertices: [V, 3], in the world; what is below the ground lies on it.
        faces: [F, 3].
        light: whose shadow.
        camera: that looks at it.
    """
    height = (vertices[:, 1] - light.ground).clip(0)
    flat = np.stack((vertices[:, 0] + light.reach[0] * height, np.full(len(vertices), light.ground),
                     vertices[:, 2] + light.reach[1] * height), -1)
    pixels, depth = projected(flat, camera.intrinsics, camera.pose)
    seen = (rasterised(pixels[faces], camera.size, depth[faces]).face >= 0).astype(np.float32)
    return np.float32(light.strength) * _blurred(seen, light.blur)


def fitted_light(bodies: Sequence[np.ndarray], faces: np.ndarray, ground: float, camera: Camera, dark: np.ndarray,
                 visible: np.ndarray) -> tuple[GroundLight, float]:
    """The light whose shadows of bodies are most like those that were seen.

    The direction is sought on a grid of where shadows may fall, then more finely together with the ground's height;
    penumbra and strength are then those of least squares.

    Args:
        bodies: vertices [V, 3] in the world, of frames.
        faces: [F, 3].
        ground: about how high it is.
        camera: that stands still.
        dark: [N, H, W], how much darker the scene was in these frames, 0 to 1.
        visible: bool [N, H, W], where nobody covers it.

    Returns:
        the light; and the likeness, from 0 to 1, the cosine of the angle between both series.
    """
    shown = dark * visible

    def unit(light: GroundLight) -> np.ndarray:
        return visible * np.stack([cast_shadow(body, faces, light, camera) for body in bodies])

    def likeness(place: tuple[float, float, float]) -> float:
        cast = unit(GroundLight(place[2], place[:2], BLURS[2]))
        return float((cast * shown).sum() / np.sqrt(max((cast**2).sum() * (shown**2).sum(), 1e-12)))

    axis = np.arange(-FARTHEST, FARTHEST + 1e-6, COARSE)
    tried = {(float(x), float(z), ground): 0.0 for x, z in product(axis, axis) if np.hypot(x, z) <= FARTHEST}
    tried = {place: likeness(place) for place in tried}
    step = COARSE / 2
    while step > FINEST:
        x, z, height = max(tried, key=lambda place: tried[place])
        around = {(x + dx * step, z + dz * step, height) for dx, dz in product((-1, 0, 1), repeat=2)} | {
            (x, z, height + dy * step / 8) for dy in (-1, 1)}
        around -= set(tried)
        tried |= {place: likeness(place) for place in around}
        if max(tried, key=lambda place: tried[place]) == (x, z, height):
            step /= 2
    best = max(tried, key=lambda place: tried[place])
    fits = []
    for blur in BLURS:
        cast = unit(GroundLight(best[2], best[:2], blur))
        strength = float(np.clip((cast * shown).sum() / max((cast**2).sum(), 1e-9), 0, 1))
        fits.append((float(((strength * cast - shown)**2).sum()), blur, strength))
    _, blur, strength = min(fits)
    return GroundLight(best[2], best[:2], blur, strength), tried[best]


def _blurred(picture: np.ndarray, share: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), share * picture.shape[0]) if share else picture
