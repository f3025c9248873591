"""Body models of SMPL's kind: a mesh, how its shape varies, where its joints are, and how these turn.

Loper et al.: SMPL (2015). Formulas and the form of its files only: models are their owners', who give them to those who
register. Lengths are in metres; rotations are axis times angle.
"""

import io
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from util.errors import UserError

SPREAD = {1: (0, 0, 20), 2: (0, 0, -20), 16: (0, 0, -29), 17: (0, 0, 29)}
"""Degrees about x, y and z that hips and shoulders are turned by in the pose in which an actor is learned: limbs that
are well apart are told apart."""


class BodyModel(NamedTuple):
    """A model.

    Attributes:
        vertices: [V, 3], of the mean shape.
        shape_directions: [V, 3, S], by how much each number of the shape moves them.
        joint_weights: [J, V], of which vertices each joint is the mean.
        parents: int [J], of joints; -1 for the root, which is the first.
        weights: [V, J], of skinning; rows sum to 1.
        faces: int [F, 3].
    """

    vertices: np.ndarray
    shape_directions: np.ndarray
    joint_weights: np.ndarray
    parents: np.ndarray
    weights: np.ndarray
    faces: np.ndarray


def read_body_model(path: Path) -> BodyModel:
    """Read a model file of SMPL's form, .npz or .pkl; of a .pkl only numbers are read, no program in it runs.

    Raises:
        UserError: it is none.
    """
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                content: dict[str, Any] = {name: file[name] for name in KEYS}
        else:
            content = _NumbersOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
            content = {name: _numbers(content[name]) for name in KEYS}
        vertices, directions, joints, tree, weights, faces = (content[name] for name in KEYS)
        parents = np.asarray(tree)[0].astype(np.int64)
        parents[0] = -1
        model = BodyModel(np.asarray(vertices, float), np.asarray(directions, float), np.asarray(joints, float),
                          parents, np.asarray(weights, float), np.asarray(faces).astype(np.int64))
    except UNREADABLE as e:
        raise UserError(f"{path}: not readable as a body model ({type(e).__name__}: {e}); expected a .pkl or .npz of "
                        f"SMPL's form, with {', '.join(KEYS)}") from None
    count, n_joints = len(model.vertices), len(model.parents)
    shapes = model.vertices.shape, model.shape_directions.shape[:2], model.joint_weights.shape, model.weights.shape
    fit = shapes == ((count, 3), (count, 3), (n_joints, count), (count, n_joints))
    if not fit or (parents[1:] >= np.arange(1, n_joints)).any():
        raise UserError(f"{path}: its {count} vertices and {n_joints} joints do not fit the rest of it; expected a "
                        "model of SMPL's form")
    return model


UNREADABLE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, pickle.UnpicklingError)
KEYS = ("v_template", "shapedirs", "J_regressor", "kintree_table", "weights", "f")


def shaped(model: BodyModel, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and joints [J, 3] of a shape [S] at rest; S may be smaller than the model's."""
    used = min(len(shape), model.shape_directions.shape[2])
    vertices = model.vertices + model.shape_directions[..., :used] @ shape[:used]
    return vertices, model.joint_weights @ vertices


def joint_transforms(joints: np.ndarray, parents: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What joints do to what they move.

    Args:
        joints: [J, 3], at rest.
        parents: [J], each before its children; -1 for the root.
        pose: [J, 3], each joint's rotation against its parent.

    Returns:
        transforms [J, 4, 4] from the rest pose to the pose, and joints [J, 3] in the pose.
    """
    turned = Rotation.from_rotvec(pose).as_matrix()
    places = np.tile(np.eye(4), (len(joints), 1, 1))
    for joint, parent in enumerate(parents):
        own = np.eye(4)
        own[:3, :3], own[:3, 3] = turned[joint], joints[joint] - (joints[parent] if parent >= 0 else 0)
        places[joint] = places[parent] @ own if parent >= 0 else own
    transforms = places.copy()
    transforms[:, :3, 3] -= (places[:, :3, :3] @ joints[..., None])[..., 0]
    return transforms, places[:, :3, 3]


def spread_pose(joints: int) -> np.ndarray:
    """The pose [J, 3] in which an actor is learned, of SMPL's joints."""
    pose = np.zeros((joints, 3))
    for joint, degrees in SPREAD.items():
        pose[joint] = np.radians(degrees)
    return pose


class _Chumpy:
    """What files of SMPL hold where their authors' program had an array of chumpy's."""

    def __setstate__(self, state: dict) -> None:
        self.state = state


class _NumbersOnly(pickle.Unpickler):
    """Reads arrays, sparse matrices and chumpy's arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The class of a name, where it is one of numbers."""
        room = module.split(".")[0]
        if room == "chumpy":
            return _Chumpy
        if room == "numpy" and name in ("ndarray", "dtype", "_reconstruct", "scalar"):
            return super().find_class(module, name)
        if room == "scipy" and name in ("csc_matrix", "csr_matrix", "coo_matrix"):
            return super().find_class("scipy.sparse", name)
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor"), ("__builtin__", "object"),
                              ("builtins", "object"), ("_codecs", "encode")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"holds {module}.{name}")


def _numbers(value: Any) -> np.ndarray:
    """The array in what was read."""
    if isinstance(value, _Chumpy):
        if "x" in value.state:
            return _numbers(value.state["x"])
        chosen = _numbers(value.state["a"]).ravel()[_numbers(value.state["idxs"]).ravel()]
        return chosen.reshape(value.state["preferred_shape"])
    return value.toarray() if hasattr(value, "toarray") else np.asarray(value)
