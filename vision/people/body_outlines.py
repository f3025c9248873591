"""The outlines of masks, as what a clip says of a jointed body beside its key points.

Where the posed body's outline is seen, its skin shall lie on the mask's outline, or as far from it as the same part of
the body does in the median over all frames: clothes of any thickness do no harm, as long as it stays the same. A part
whose distance varies, such as a thigh under a skirt, says accordingly little.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch

from vision.geometry.raster import rasterised
from vision.people.clip_equations import ClipEquations, Lines, State
from vision.people.jointed_body import LIMBS, resized

JOINTS_OF_A_POINT, POINTS = 3, 100
"""How many joints move a point of the skin at most; points of a frame that are looked at, at most."""
BESIDE, ALONG, REACH = 1.2, 0.6, 0.15
"""Pixels from the body's outline within which its skin is part of it; cosine between both outlines' directions, and
metres between them, within which they belong together."""
LEAST_SPREAD, ENOUGH = 0.005, 30
"""Metres; and points of a part of the body, over all frames, that tell its distance."""
OUTLIER = 2.0
"""Standard deviations (Cauchy)."""


class Outlines(NamedTuple):
    """What is compared.

    Attributes:
        vertices: [V, 3], of the body at rest.
        faces: [F, 3].
        weights: [V, J] of skinning.
        masks: of each frame, bool [h, w], where the person is; of the pictures' form, in any size; empty where nothing
            is known.
    """

    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    masks: list[np.ndarray]


class _Outline(NamedTuple):
    """Points of a frame's skin [N] that are seen as its outline.

    Attributes:
        vertex: their numbers.
        pixel: [N, 2], where they are in the picture.
        normal: [N, 2], of the mask's outline, outwards.
        away: metres by which the body's outline is outside the mask's.
        metres: of a pixel of the picture.
    """

    vertex: np.ndarray
    pixel: np.ndarray
    normal: np.ndarray
    away: np.ndarray
    metres: np.ndarray


def outline_lines(clip: ClipEquations, state: State, outlines: Outlines) -> Lines:
    """On which lines of the pictures points of the body's outline shall lie, so that it is the masks'."""
    lengths = dict(zip(LIMBS, state.common[:-1].exp().tolist()))
    vertices, joints = resized(outlines.vertices, outlines.weights, clip.skeleton, lengths)
    moving = np.argsort(-outlines.weights, 1)[:, :JOINTS_OF_A_POINT]
    weights = np.take_along_axis(outlines.weights, moving, 1)
    weights /= weights.sum(1, keepdims=True)
    offsets = vertices[:, None] - joints[moving]
    pixels, depths = (values.numpy() for values in clip.skin(state, *map(torch.from_numpy, (moving, weights, offsets))))
    focal = clip.focal * float(state.common[-1].exp())
    found = [_outline(pixels[k], depths[k] / focal, outlines.faces, mask, clip.size)
             for k, mask in enumerate(outlines.masks)]
    part = [moving[outline.vertex, 0] for outline in found]
    usual, spread = _by_part(np.concatenate([outline.away for outline in found]), np.concatenate(part),
                             outlines.weights.shape[1])
    chosen = np.zeros((clip.frames, POINTS), dtype=int)
    across, wanted = np.zeros((clip.frames, POINTS, 2)), np.zeros((clip.frames, POINTS))
    for k, outline in enumerate(found):
        error = (outline.away - usual[part[k]]) / spread[part[k]]
        weight = np.sqrt(1 / (1 + (error / OUTLIER)**2))
        normal = outline.normal * (weight * outline.metres / spread[part[k]])[:, None]
        count = len(error)
        chosen[k, :count], across[k, :count] = outline.vertex, normal
        wanted[k, :count] = (normal * outline.pixel).sum(1) - weight * error
    return Lines(*(torch.from_numpy(values) for values in (moving[chosen], weights[chosen], offsets[chosen], across,
                                                           wanted)))


def _outline(pixels: np.ndarray, metres: np.ndarray, faces: np.ndarray, mask: np.ndarray, size: tuple[int, int]
             ) -> _Outline:
    """What is seen of a frame's outline, of vertices at `pixels` [V, 2], where a pixel is so many `metres` [V]."""
    scale = np.array(mask.shape[::-1]) / size
    places = (pixels + 0.5) * scale - 0.5
    near = np.zeros(0, dtype=int)
    if mask.any() and not mask.all():
        body, person = (_distances(drawn) for drawn in (rasterised(places[faces], mask.shape).face >= 0, mask))
        inside = (places > 1).all(1) & (places < np.array(mask.shape[::-1]) - 2).all(1)
        near = np.flatnonzero(inside & (abs(_at(body, places)) < BESIDE))
    if not len(near):
        return _Outline(near, pixels[near], pixels[near], metres[near], metres[near])
    slopes = [_slope(distances, places[near]) for distances in (body, person)]
    lengths = [np.linalg.norm(slope, axis=1).clip(1e-6) for slope in slopes]
    own, normal = (slope / length[:, None] for slope, length in zip(slopes, lengths))
    metres = metres[near] / scale.mean()
    away = (_at(person, places[near]) - _at(body, places[near])) * metres
    used = np.flatnonzero(((own * normal).sum(1) > ALONG) & (abs(away) < REACH) & (lengths[1] > 0.3))
    used = used[np.linspace(0, len(used) - 1, min(len(used), POINTS)).round().astype(int)]
    return _Outline(near[used], pixels[near[used]], normal[used], away[used], metres[used] * scale.mean())


def _by_part(away: np.ndarray, part: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The usual distance of each part of the body from the masks' outlines, and its spread, in metres."""
    usual, spread = np.zeros(parts), np.full(parts, 2 * LEAST_SPREAD)
    for number in range(parts):
        own = away[part == number]
        if len(own) > ENOUGH:
            usual[number] = np.median(own)
            spread[number] = max(1.48 * np.median(abs(own - usual[number])), LEAST_SPREAD)
    return usual, spread


def _distances(mask: np.ndarray) -> np.ndarray:
    """Pixels to a mask's outline, positive outside, float32 [H, W]."""
    inside = mask.astype(np.uint8)
    return (cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) - cv2.distanceTransform(inside, cv2.DIST_L2, 5)
            + inside - np.float32(0.5))


def _at(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values [N] of a picture [H, W] at places [N, 2], bilinearly."""
    x, y = places.astype(np.float32).T[..., None]
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]


def _slope(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """By how much a picture rises per pixel at places [N, 2], along x and y [N, 2]."""
    return np.stack([(_at(picture, places + step) - _at(picture, places - step)) / 2
                     for step in ((1, 0), (0, 1))], -1)
