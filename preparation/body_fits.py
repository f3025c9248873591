"""Fits of a body model to an actor, as EasyMocap writes them, to the files that Neural Actor reads."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from data.actor_files import by_number
from util.errors import UserError
from util.files import read_text, write_text
from vision.people.body_model import BodyModel, joint_transforms, shaped, spread_pose

SAME_SHAPE = 0.05
"""Numbers of shapes that differ by more are told: they are to be those of one actor."""
EARLIER = 3


class Fit(NamedTuple):
    """A frame's fit.

    Attributes:
        pose: [J, 3], rotations of joints; the root's is 0.
        shape: [S].
        rotation: [3], of all, axis times angle, about the origin.
        translation: [3], after that, in metres.
        about_root: whether all turns about the root joint, as SMPL's global_orient and transl say it.
    """

    pose: np.ndarray
    shape: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    about_root: bool = False


def read_fits(folder: Path, joints: int, person: int | None = None) -> dict[int, Fit]:
    """Fits by the number in their files' names.

    Args:
        folder: of a JSON file for each frame.
        joints: of the model.
        person: whose, where there are several (`id`); None: there is only one.

    Raises:
        UserError: a file is none of fits, or it is not said whose.
    """
    return {number: _read_fit(path, joints, person) for number, path in by_number(folder, "*.json").items()}


def _read_fit(path: Path, joints: int, person: int | None) -> Fit:
    try:
        content = json.loads(read_text(path))
        people = content.get("annots", [content]) if isinstance(content, dict) else content
        if person is not None:
            people = [entry for entry in people if entry.get("id") == person]
        if len(people) != 1:
            raise UserError(f"{path}: {len(people)} people{'' if person is None else f' with the id {person}'}; "
                            "expected one. Say which with --person")
        pose, shape, rotation, translation = (np.array(people[0][name], dtype=float).ravel()
                                              for name in ("poses", "shapes", "Rh", "Th"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not readable ({type(error).__name__}: {error}); expected EasyMocap's fits with "
                        "poses, shapes, Rh and Th") from None
    if len(pose) == 3 * (joints - 1):
        pose = np.concatenate((np.zeros(3), pose))
    if (len(pose), len(rotation), len(translation)) != (3 * joints, 3, 3) or not all(
            np.isfinite(values).all() for values in (pose, shape, rotation, translation)):
        raise UserError(f"{path}: poses of {len(pose)}, Rh of {len(rotation)} and Th of {len(translation)} numbers; "
                        f"expected {3 * joints}, 3 and 3, finite, for a model of {joints} joints")
    of_smpl = not rotation.any() and bool(pose[:3].any())  # else EasyMocap's Rh turns all, and poses have no root
    if of_smpl:
        rotation = pose[:3].copy()
    pose[:3] = 0
    return Fit(pose.reshape(-1, 3), shape, rotation, translation, of_smpl)


def write_actor(model: BodyModel, fits: dict[int, Fit], root: Path, overwrite: bool = False) -> tuple[int, float]:
    """Write an actor's transform files, and canonical.obj, skinning_weight.txt and transform_tpose.json.

    The shape is the mean of all fits'. Files that are there stay.

    Args:
        model: that was fitted.
        fits: by frame.
        root: the dataroot.
        overwrite: write all anew.

    Returns:
        how many transform files were written, and by how much numbers of shapes differ at most.
    """
    shapes = np.stack([fit.shape for fit in fits.values()])
    vertices, joints = shaped(model, shapes.mean(0))
    body = {
        "canonical.obj": "".join([*(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices),
                                  *(f"f {a} {b} {c}\n" for a, b, c in model.faces + 1)]),
        "skinning_weight.txt": "".join(" ".join(f"{value:.8g}" for value in row) + "\n" for row in model.weights),
        "transform_tpose.json": json.dumps({"joints_RT": _joint_last(joint_transforms(
            joints, model.parents, spread_pose(len(joints)))[0])})}
    for name, text in body.items():
        if overwrite or not (root / name).exists():
            write_text(root / name, text)
    written, earlier = 0, list[np.ndarray]()
    for number, fit in tqdm(sorted(fits.items()), desc="transforms", unit="frame"):
        transforms, posed = joint_transforms(joints, model.parents, fit.pose)
        rotation = Rotation.from_rotvec(fit.rotation).as_matrix().T
        translation = fit.translation + (joints[0] - joints[0] @ rotation if fit.about_root else 0)
        places = posed @ rotation + translation
        earlier = [*earlier, places][-EARLIER:]
        file = root / "transform" / f"{number:06d}.json"
        if overwrite or not file.exists():
            write_text(file, json.dumps({
                "joints_RT": _joint_last(transforms), "rotation": rotation.tolist(),
                "translation": [translation.tolist()], "joints": places.tolist(),
                "pose": [fit.pose.ravel().tolist()], "motion": np.stack(earlier).tolist()}))
            written += 1
    return written, float(np.ptp(shapes, axis=0).max(initial=0))


def _joint_last(transforms: np.ndarray) -> list:
    """Transforms [J, 4, 4] as files have them, 4 x 4 x J."""
    return transforms.transpose(1, 2, 0).tolist()
