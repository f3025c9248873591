"""Files of a body: meshes as Wavefront OBJ, skinning weights, transforms of joints (docs/neural_actor/model.md).

Nothing is merged or put in another order when a mesh is read: weights and texture coordinates count its vertices.
"""

import json
from pathlib import Path

import numpy as np
import torch

from util.errors import UserError
from util.files import read_text
from vision.people.skinning import Body

LEAST_DETERMINANT = 1e-3
"""A joint's transform that makes volumes smaller than this cannot be undone."""


def read_body(folder: Path | str, mesh: str | None = None, texuv: str | None = None, weights: str | None = None,
              new_tpose: str | None = None, other: Path | str | None = None) -> Body:
    """Read the body of an actor.

    Args:
        folder: where files are that are not named: canonical.obj, uvmapping.obj, skinning_weight.txt and, where there
            is one, transform_tpose.json.
        mesh, texuv, weights, new_tpose: other files; `new_tpose` "none": the actor is learned in the rest pose.
        other: another folder, which is taken where `folder` has no canonical.obj.

    Raises:
        UserError: a file is missing or wrong, or they do not fit together.
    """
    folder = Path(folder)
    if other is not None and not (folder / "canonical.obj").exists() and (Path(other) / "canonical.obj").exists():
        folder = Path(other)
    mesh_path, uv_path, weights_path, pose_path = (
        Path(given) if given else folder / name
        for given, name in ((mesh, "canonical.obj"), (texuv, "uvmapping.obj"), (weights, "skinning_weight.txt"),
                            (new_tpose, "transform_tpose.json")))
    vertices, faces, _, _ = read_obj(mesh_path)
    _, uv_faces, corners, uv_corners = read_obj(uv_path)
    if uv_corners is None or not len(corners):
        raise UserError(f"{uv_path}: faces have no texture coordinates; expected f v/vt v/vt v/vt")
    if uv_faces.shape != faces.shape or not np.array_equal(uv_faces, faces):
        raise UserError(f"{uv_path}: its {len(uv_faces)} faces are not those of {mesh_path} ({len(faces)}); expected "
                        "the same faces in the same order, corner by corner")
    table = read_table(weights_path)
    if len(table) != len(vertices):
        raise UserError(f"{weights_path}: {len(table)} rows for the {len(vertices)} vertices of {mesh_path}; expected "
                        "one each")
    wrong = np.flatnonzero((np.abs(table.sum(1) - 1) > 1e-3) | (table < -1e-6).any(1))
    if len(wrong):
        raise UserError(f"{weights_path}: the weights in row {wrong[0] + 1} add up to {table[wrong[0]].sum():.4g}; "
                        "expected weights of at least 0 that add up to 1")
    canonical = None
    if new_tpose != "none" and (new_tpose or pose_path.exists()):
        canonical = torch.from_numpy(read_transforms(pose_path, table.shape[1]))
    return Body(torch.from_numpy(vertices), torch.from_numpy(faces), torch.from_numpy(corners[uv_corners]),
                torch.from_numpy(table), canonical)


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Vertices [V, 3], faces [F, 3], texture coordinates [T, 2], and those of faces' corners [F, 3] or None.

    Raises:
        UserError: it cannot be read, or has other faces than triangles.
    """
    vertices, corners, faces, uv_faces = [], [], [], []
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror}); expected a mesh as Wavefront OBJ") from None
    for number, line in enumerate(lines, 1):
        kind, *words = line.split() or [""]
        try:
            if kind == "v":
                vertices.append([float(word) for word in words[:3]])
            elif kind == "vt":
                corners.append([float(word) for word in words[:2]])
            elif kind == "f":
                if len(words) != 3:
                    raise UserError(f"{path}: line {number} is a face with {len(words)} corners; expected triangles "
                                    "only. Triangulate the mesh")
                entries = [word.split("/") for word in words]
                faces.append([_counted(entry[0], len(vertices)) for entry in entries])
                if all(len(entry) > 1 and entry[1] for entry in entries):
                    uv_faces.append([_counted(entry[1], len(corners)) for entry in entries])
        except (ValueError, IndexError):
            raise UserError(f"{path}: line {number}: found '{line[:60]}'; expected numbers as in Wavefront OBJ "
                            "(v x y z, vt u v, f v/vt v/vt v/vt)") from None
    for what, indices, count in (("vertices", faces, len(vertices)), ("texture coordinates", uv_faces, len(corners))):
        if indices and not 0 <= np.min(indices) <= np.max(indices) < count:
            raise UserError(f"{path}: faces name {what} {np.min(indices) + 1} to {np.max(indices) + 1}; it has {count}")
    if not faces:
        raise UserError(f"{path}: no faces; expected a mesh as Wavefront OBJ")
    return (np.array(vertices, dtype=np.float32).reshape(-1, 3), np.array(faces, dtype=np.int64),
            np.array(corners, dtype=np.float32).reshape(-1, 2),
            np.array(uv_faces, dtype=np.int64) if len(uv_faces) == len(faces) else None)


def _counted(word: str, count: int) -> int:
    """An index from 0; negative ones count back from the end."""
    index = int(word)
    return index - 1 if index > 0 else count + index


def read_table(path: Path) -> np.ndarray:
    """A text file of numbers, one row a line, float32 [N, M].

    Raises:
        UserError: it is none.
    """
    try:
        return np.loadtxt(read_text(path).splitlines(), dtype=np.float32, ndmin=2)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:100]
        raise UserError(f"{path}: not readable ({reason}); expected rows of numbers") from None


def read_transforms(path: Path, joints: int) -> np.ndarray:
    """`joints_RT` of a transform file, float32 [J, 4, 4]; the file has the joint last.

    Raises:
        UserError: it holds something else.
    """
    try:
        values = np.array(json.loads(read_text(path))["joints_RT"], dtype=np.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable ({type(error).__name__}: {error}); expected a JSON file with joints_RT "
                        f"of 4 x 4 x {joints} numbers") from None
    if values.shape != (4, 4, joints) or not np.isfinite(values).all():
        raise UserError(f"{path}: joints_RT has the shape {list(values.shape)}; expected [4, 4, {joints}], the joint "
                        "last, of finite numbers")
    transforms = np.ascontiguousarray(values.transpose(2, 0, 1))
    flat = np.flatnonzero(np.linalg.det(transforms[:, :3, :3]) < LEAST_DETERMINANT)
    if len(flat):
        raise UserError(f"{path}: joints_RT crushes or mirrors space at joint {flat[0]} (from 0), so its pose cannot "
                        "be undone; expected rotations and shifts, the joint last")
    return transforms
