"""A body of joints in SMPL's order: its bones, which of them one camera can tell, and the same with other limbs.

The body at rest stands along y, looks along z, and its left is at x > 0.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision.people.coco import ANKLES, ELBOWS, HIPS, KNEES, SHOULDERS, WRISTS

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
"""Of joints; -1 for the root."""
LIMBS = {"torso": (3, 6, 9, 12, 13, 14), "head": (15,), "shoulders": (16, 17), "hips": (1, 2), "thighs": (4, 5),
         "shins": (7, 8), "upper arms": (18, 19), "forearms": (20, 21)}
"""What is as long on the left as on the right, and the joints at whose end it is."""
COCO_JOINTS = {SHOULDERS[0]: 16, SHOULDERS[1]: 17, ELBOWS[0]: 18, ELBOWS[1]: 19, WRISTS[0]: 20, WRISTS[1]: 21,
               HIPS[0]: 1, HIPS[1]: 2, KNEES[0]: 4, KNEES[1]: 5, ANKLES[0]: 7, ANKLES[1]: 8}
"""Joints of the body at COCO's; its face is given as points of the head."""
HEAD, HEAD_PARTS, SPINE_PARTS = 15, (12, 15), (3, 6, 9)
BALLS = {16: (0.8, (0, 0, -0.5)), 17: (0.8, (0, 0, 0.5)), 1: (0.6, (0, 0, 0)), 2: (0.6, (0, 0, 0))}
"""Joints that turn freely: radians by which they usually do, about what (axis times angle)."""
HINGES = {18: (-0.7071, -0.7071, 0), 19: (-0.7071, 0.7071, 0), 4: (1, 0, 0), 5: (1, 0, 0)}
"""Joints that bend about one axis, to one side; at rest elbows are half turned."""
ROOT, PLACE, SPINE, NECK, BALL = 0, 3, 6, 9, 12
"""Where numbers of a frame begin: root's rotation, place, spine, neck, balls; then come hinges."""
HINGE = BALL + 3 * len(BALLS)
NUMBERS = HINGE + len(HINGES)


class Skeleton(NamedTuple):
    """What is fitted.

    Attributes:
        joints: [J, 3], at rest, in metres.
        parents: of joints, -1 for the root.
        face: [5, 3], nose, eyes and ears (COCO's order), at rest.
    """

    joints: np.ndarray
    parents: tuple[int, ...]
    face: np.ndarray


def limb_scales(lengths: dict[str, float], joints: int) -> np.ndarray:
    """Scale [J] of the offset of each joint from its parent; 1 for hands and feet."""
    scales = np.ones(joints)
    for name, ends in LIMBS.items():
        scales[list(ends)] = lengths[name]
    return scales


def resized(vertices: np.ndarray, weights: np.ndarray, skeleton: Skeleton, lengths: dict[str, float], girth: float = 1.0
            ) -> tuple[np.ndarray, np.ndarray]:
    """A body with other lengths of limbs.

    Args:
        vertices: [V, 3] at rest.
        weights: [V, J] of skinning.
        skeleton: in it.
        lengths: by the names of `LIMBS`, how many times as long.
        girth: how many times as thick across the bones; the head keeps its form.

    Returns:
        vertices [V, 3] and joints [J, 3].
    """
    joints, parents = skeleton.joints, skeleton.parents
    scales = limb_scales(lengths, len(joints))
    moved = joints.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            moved[joint] = moved[parent] + scales[joint] * (joints[joint] - joints[parent])
    result = np.zeros_like(vertices)
    for joint in range(len(joints)):
        children = [child for child, parent in enumerate(parents) if parent == joint]
        if joint == HEAD:
            form = np.eye(3) * lengths["head"]
        elif not children:
            form = np.eye(3)
        elif joint == 0:
            form = np.diag([lengths["hips"] * girth, lengths["torso"], girth])
        else:
            bone = joints[children[0]] - joints[joint]
            along = np.outer(bone, bone) / (bone @ bone)
            form = scales[children[0]] * along + girth * (np.eye(3) - along)
        result += weights[:, joint, None] * ((vertices - joints[joint]) @ form.T + moved[joint])
    return result, moved


def turn(vector: Tensor) -> Tensor:
    """The rotation [3, 3] of axis times angle [3], with derivatives at 0 too."""
    square = (vector * vector).sum() + 1e-12
    angle = square.sqrt()
    x, y, z = vector
    nought = torch.zeros_like(x)
    cross = torch.stack((torch.stack((nought, -z, y)), torch.stack((z, nought, -x)), torch.stack((-y, x, nought))))
    return (torch.eye(3, dtype=vector.dtype) + angle.sin() / angle * cross
            + (1 - angle.cos()) / square * (cross @ cross))


def bones_height(skeleton: Skeleton, scales: np.ndarray) -> float:
    """From the ankles to the head, along the bones."""
    total = 0.0
    for end in (7, HEAD):
        while end > 0:
            parent = skeleton.parents[end]
            total += scales[end] * float(np.linalg.norm(skeleton.joints[end] - skeleton.joints[parent]))
            end = parent
    return total
