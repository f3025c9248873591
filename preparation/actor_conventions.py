"""Which usual mistake makes an actor's posed body and its photographs agree, where as files stand they do not.

Most wrong datasets have good numbers in another convention. Each row of `MISTAKES` reads files in another way; the one
(or two) with which the body's silhouette lies on the person's is named. Frames' numbers: preparation/actor_overlap.py.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation
from torch import Tensor

from preparation.actor_overlap import Silhouettes, View, body_in_view, share_of_both
from preparation.steps import Finding
from util.clips import evenly_spread
from util.images import image_size

FITS, FAIR, BETTER = 0.85, 0.55, 0.15
"""Overlap of silhouettes from which nothing is tried; which a mistake that is named must reach; and by how much it must
be better than files as they stand."""
PICTURES = 6
"""Photographs that mistakes are tried on."""


class Reading(NamedTuple):
    """How a camera and a pose are read.

    Attributes:
        place: 4x4, the camera's matrix as its file has it.
        inverse: whether that is world-to-camera, as in extrinsic/.
        turn: 4x4, from the cameras' world to the body's.
        intrinsics: 4x4.
        size: (width, height) of the camera's pictures.
        rotation, translation: [3, 3] and [3]: world = normalised @ rotation + translation.
        root: [3], the first joint at rest.
    """

    place: np.ndarray
    inverse: bool
    turn: np.ndarray
    intrinsics: np.ndarray
    size: tuple[int, int]
    rotation: np.ndarray
    translation: np.ndarray
    root: np.ndarray

    @property
    def pose(self) -> np.ndarray:
        """Camera-to-world, in the body's world."""
        return self.turn @ (np.linalg.inv(self.place) if self.inverse else self.place)


class Mistake(NamedTuple):
    """A way to read files.

    Attributes:
        where: which files it is about.
        name: what they would be; {other} and {folder} are the inverse of cameras' matrices and where it belongs, {size}
            that of the pictures for which intrinsics look made.
        read: a reading, changed.
    """

    where: str
    name: str
    read: Callable[[Reading], Reading]


def _opengl(reading: Reading) -> Reading:
    axes = np.diag([1.0, -1, -1, 1])
    return reading._replace(place=axes @ reading.place if reading.inverse else reading.place @ axes)


def _scaled(scale: float) -> Callable[[Reading], Reading]:
    return lambda reading: reading._replace(place=_matrix(reading.place[:3, :3], scale * reading.place[:3, 3]))


def _turned(degrees: float) -> Callable[[Reading], Reading]:
    turn = _matrix(Rotation.from_euler("x", degrees, degrees=True).as_matrix(), np.zeros(3))
    return lambda reading: reading._replace(turn=turn)


def _resized(reading: Reading) -> Reading:
    """As if the middle of the lens were in the middle of the picture."""
    scale = np.sqrt(np.prod(np.array(reading.size) / (2 * reading.intrinsics[:2, 2].clip(1e-6))))
    return reading._replace(intrinsics=np.diag([scale, scale, 1, 1]) @ reading.intrinsics)


def _about_root(sign: int) -> Callable[[Reading], Reading]:
    return lambda reading: reading._replace(
        translation=reading.translation + sign * (reading.root - reading.root @ reading.rotation))


def _matrix(turn: np.ndarray, move: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, move
    return matrix


CAMERAS, TRANSFORMS = "cameras", "transform/"
MISTAKES = (
    Mistake(CAMERAS, "{other}, which belongs into {folder}/",
            lambda reading: reading._replace(place=np.linalg.inv(reading.place))),
    Mistake(CAMERAS, "a camera's with y up and z backwards (OpenGL, Blender; turn the signs of both axes)", _opengl),
    Mistake(CAMERAS, "in millimetres (divide translations by 1000)", _scaled(1e-3)),
    Mistake(CAMERAS, "in centimetres (divide translations by 100)", _scaled(1e-2)),
    Mistake(CAMERAS, "with rotations transposed (transpose the 3x3 part, leave the translation)",
            lambda reading: reading._replace(place=_matrix(reading.place[:3, :3].T, reading.place[:3, 3]))),
    Mistake(CAMERAS, "with the translation of the opposite matrix (make it -R t)", lambda reading: reading._replace(
        place=_matrix(reading.place[:3, :3], -reading.place[:3, :3] @ reading.place[:3, 3]))),
    Mistake(CAMERAS, "transposed, with the translation in the last row (transpose the matrix)",
            lambda reading: reading._replace(place=_matrix(reading.place[:3, :3].T, reading.place[3, :3]))),
    Mistake(CAMERAS, "in a world whose z is up while the body's y is (turn them by -90 degrees about x)", _turned(-90)),
    Mistake(CAMERAS, "in a world whose y is up while the body's z is (turn them by 90 degrees about x)", _turned(90)),
    Mistake(CAMERAS, "in a world whose y is down while the body's is up (turn them by 180 degrees about x)",
            _turned(180)),
    Mistake("intrinsics", "those of pictures of {size} pixels (scale them to the pictures that are there)", _resized),
    Mistake(TRANSFORMS, "with the rotation transposed (transpose it)",
            lambda reading: reading._replace(rotation=reading.rotation.T)),
    Mistake(TRANSFORMS, "with the translation in millimetres (divide it by 1000)",
            lambda reading: reading._replace(translation=reading.translation / 1000)),
    Mistake(TRANSFORMS, "with SMPL's own translation, which turns the body about its pelvis (expected EasyMocap's Rh "
                        "and Th, about the origin: add pelvis - pelvis @ rotation to it)", _about_root(1)),
    Mistake(TRANSFORMS, "with a pelvis offset that EasyMocap's Th has already (subtract pelvis - pelvis @ rotation)",
            _about_root(-1)),
)


def mistaken(silhouettes: Silhouettes, poses: Mapping[int, Mapping[str, Tensor]]) -> Finding | None:
    """The mistake in files of cameras or transforms that explains photographs best; None where none does.

    Args:
        silhouettes: of the body and people.
        poses: of frames, as `read_pose` returns them.
    """
    pairs = list(silhouettes.people)
    tried = [pairs[i] for i in evenly_spread(len(pairs), PICTURES)]
    before = _overlap(silhouettes, poses, tried, ()) if tried else 1.0
    if before >= FITS:
        return None
    wanted = max(FAIR, before + BETTER)
    for count in (1, 2):  # two at once only where no single one does
        scores = {chosen: _overlap(silhouettes, poses, tried, chosen) for chosen in combinations(MISTAKES, count)}
        best = max(scores, key=lambda chosen: scores[chosen])
        if scores[best] >= wanted:
            where = " and ".join(dict.fromkeys(mistake.where for mistake in best))
            name = ", and ".join(named(mistake, silhouettes.views[tried[0][1]]) for mistake in best)
            return Finding(2, f"{where}: of another convention? Read as {name}, the posed body and the person in the "
                              f"photographs overlap by {scores[best]:.2f}; as files stand, by {before:.2f}")
    return None


def reading_of(view: View, size: tuple[int, int], pose: Mapping[str, Tensor] | None = None) -> Reading:
    """A camera and a pose as their files stand."""
    inverse = is_inverse(view)
    rotation, translation, root = np.eye(3), np.zeros(3), np.zeros(3)
    if pose is not None:
        rotation, translation = (pose[name].numpy().astype(float) for name in ("rotation", "translation"))
        if len(pose["joints"]):
            root = (pose["joints"][0].numpy() - translation) @ rotation.T
    return Reading(np.linalg.inv(view.pose) if inverse else view.pose, inverse, np.eye(4), view.intrinsics, size,
                   rotation, translation, root)


def named(mistake: Mistake, view: View) -> str:
    """A mistake in words, for files such as those of a camera."""
    folder, other = ("pose", "camera-to-world") if is_inverse(view) else ("extrinsic", "world-to-camera")
    width, height = 2 * view.intrinsics[:2, 2]
    return mistake.name.format(folder=folder, other=other, size=f"{width:.0f}x{height:.0f}")


def is_inverse(view: View) -> bool:
    """Whether the camera's file holds a world-to-camera matrix."""
    return view.file.parent.name == "extrinsic"


def _overlap(silhouettes: Silhouettes, poses: Mapping[int, Mapping[str, Tensor]], tried: list[tuple[int, int]],
             mistakes: Iterable[Mistake]) -> float:
    """Mean over photographs, files read in another way."""
    overlaps = []
    for frame, camera in tried:
        picture, person, scale = silhouettes.people[frame, camera]
        view = silhouettes.views[camera]
        as_is = reading = reading_of(view, image_size(picture), poses[frame])
        for mistake in mistakes:
            reading = mistake.read(reading)
        vertices = silhouettes.vertices[frame]
        if reading.rotation is not as_is.rotation or reading.translation is not as_is.translation:
            vertices = (vertices - as_is.translation) @ as_is.rotation.T @ reading.rotation + reading.translation
        drawn = body_in_view(vertices, silhouettes.faces, View(reading.intrinsics, reading.pose, view.file),
                             person.shape, scale)
        overlaps.append(share_of_both(drawn, person))
    return float(np.mean(overlaps))
