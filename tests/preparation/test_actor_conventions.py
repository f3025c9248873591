"""Each usual mistake is made in a small actor's files, and the check names it by what photographs show."""

import json
import shutil

import numpy as np
import pytest

from datasets.make_actor_sample import make_sample
from preparation.actor_check import check

Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
OPENGL = np.diag([1.0, -1, -1, 1])
CHEST = np.array([0, 1.2, 0])


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A body that begins at its feet, in a world whose y is up; cameras in pose/."""
    return make_sample(tmp_path_factory.mktemp("sample") / "actor", frames=9, test_frames=1, cameras=3, held_out=0,
                       size=64, texture_size=32) / "training"


@pytest.fixture
def actor(sample, tmp_path):
    shutil.copytree(sample, tmp_path / "actor")
    return tmp_path / "actor"


def cameras(change, folder="pose"):
    def apply(root):
        if folder == "extrinsic":
            change_matrices(root / "pose", np.linalg.inv)
            (root / "pose").rename(root / "extrinsic")
        change_matrices(root / folder, change)
    return apply


def change_matrices(folder, change):
    for path in folder.iterdir():
        np.savetxt(path, change(np.loadtxt(path)))


def matrix(turn, move):
    whole = np.eye(4)
    whole[:3, :3], whole[:3, 3] = turn, move
    return whole


def poses(change):
    """`change(rotation, translation, root)`: others; joints go with them."""
    def apply(root):
        for path in (root / "transform").iterdir():
            content = json.loads(path.read_text())
            rotation, translation = np.array(content["rotation"]), np.array(content["translation"])[0]
            normalised = (np.array(content["joints"]) - translation) @ rotation.T
            rotation, translation = change(rotation, translation, normalised[0])
            path.write_text(json.dumps({**content, "rotation": rotation.tolist(), "translation": [translation.tolist()],
                                        "joints": (normalised @ rotation + translation).tolist()}))
    return apply


def begun_at_the_chest(root):
    """The same body, whose origin is in its chest, as SMPL's."""
    for name in ("canonical.obj", "uvmapping.obj"):
        lines = (root / name).read_text().splitlines()
        (root / name).write_text("\n".join(" ".join(["v", *(str(x) for x in np.array(line.split()[1:], float) - CHEST)])
                                           if line.startswith("v ") else line for line in lines))
    for path in [*(root / "transform").iterdir(), root / "transform_tpose.json"]:
        content = json.loads(path.read_text())
        transforms = np.moveaxis(np.array(content["joints_RT"]), -1, 0)
        transforms[:, :3, 3] += transforms[:, :3, :3] @ CHEST - CHEST
        moved = np.array(content["translation"]) + CHEST @ np.array(content["rotation"])
        path.write_text(json.dumps({**content, "joints_RT": np.moveaxis(transforms, 0, -1).tolist(),
                                    "translation": moved.tolist()}))


def with_z_up(root):
    """All of it in a world whose z is up."""
    change_matrices(root / "pose", lambda pose: Z_UP @ pose)
    poses(lambda rotation, translation, _: (rotation @ Z_UP[:3, :3].T, translation @ Z_UP[:3, :3].T))(root)


def of_smpl(root):
    """SMPL's body and world, with its own translation in place of EasyMocap's."""
    begun_at_the_chest(root)
    with_z_up(root)
    poses(lambda rotation, translation, pelvis: (rotation, translation - pelvis + pelvis @ rotation))(root)


def shifted(by):
    def apply(root):
        paths = sorted((root / "transform").iterdir())
        contents = [path.read_text() for path in paths]
        for place, path in enumerate(paths):
            path.write_text(contents[min(max(place + by, 0), len(paths) - 1)])
    return apply


def together(*changes):
    def apply(root):
        for change in changes:
            change(root)
    return apply


def texts(root, severity):
    return "\n".join(finding.text for finding in check(root)[0] if finding.severity >= severity)


@pytest.mark.parametrize("change", [
    lambda root: None, cameras(lambda matrix: matrix, "extrinsic"), with_z_up, begun_at_the_chest],
    ids=["as it is", "extrinsic", "z up", "origin in the chest"])
def test_right_files_of_every_form_are_in_order(actor, change):
    change(actor)
    assert texts(actor, 1) == ""


@pytest.mark.parametrize("change, words", [
    (cameras(np.linalg.inv), "world-to-camera, which belongs into extrinsic/,"),
    (cameras(np.linalg.inv, "extrinsic"), "camera-to-world, which belongs into pose/,"),
    (cameras(lambda pose: pose @ OPENGL), "a camera's with y up and z backwards"),
    (cameras(lambda extrinsic: OPENGL @ extrinsic, "extrinsic"), "a camera's with y up and z backwards"),
    (cameras(lambda pose: matrix(pose[:3, :3], 1000 * pose[:3, 3])), "in millimetres"),
    (cameras(lambda extrinsic: matrix(extrinsic[:3, :3], 100 * extrinsic[:3, 3]), "extrinsic"), "in centimetres"),
    (cameras(lambda pose: matrix(pose[:3, :3].T, pose[:3, 3])), "with rotations transposed"),
    (cameras(lambda pose: matrix(pose[:3, :3], -pose[:3, :3].T @ pose[:3, 3])), "with the translation of the opp"),
    (cameras(np.transpose), "transposed, with the translation in the last row"),
    (cameras(lambda pose: Z_UP @ pose), "in a world whose z is up while the body's y is"),
    (together(with_z_up, cameras(lambda pose: Z_UP.T @ pose)), "in a world whose y is up while the body's z is"),
    (cameras(lambda pose: OPENGL @ pose), "in a world whose y is down"),
    (cameras(lambda pose: Z_UP @ pose @ OPENGL),
     "a camera's with y up and z backwards (OpenGL, Blender; turn the signs of both axes), and in a world whose z "),
    (poses(lambda rotation, translation, _: (rotation.T, translation)), "with the rotation transposed"),
    (poses(lambda rotation, translation, _: (rotation, 1000 * translation)), "with the translation in millimetres"),
    (of_smpl, "with SMPL's own translation"),
    (together(of_smpl, *2 * [poses(lambda rotation, translation, pelvis: (
        rotation, translation + pelvis - pelvis @ rotation))]), "with a pelvis offset that EasyMocap's Th has")])
def test_a_mistake_is_named_with_what_to_do(actor, change, words):
    change(actor)
    found = texts(actor, 2)
    assert f"of another convention? Read as {words}" in found
    assert found.count("Read as") == 1


def test_intrinsics_of_smaller_pictures_are_named(actor):
    change_matrices(actor / "intrinsic", lambda inner: np.diag([0.5, 0.5, 1, 1])[:len(inner), :len(inner)] @ inner)
    assert "intrinsics: of another convention? Read as those of pictures of 32x32 pixels" in texts(actor, 2)


@pytest.mark.parametrize("by", [1, -3])
def test_shifted_frames_are_not_taken_for_another_convention(actor, by):
    shifted(by)(actor)
    found = texts(actor, 1)
    assert "Read as" not in found
    assert f"poses of {abs(by)} frame{'s' * (abs(by) > 1)} {'earlier' if by > 0 else 'later'}" in found


def test_one_shape_for_each_frame_is_told(actor):
    path = actor / "transform/000003.json"
    content = json.loads(path.read_text())
    joints = np.array(content["joints"])
    path.write_text(json.dumps({**content, "joints": (joints[0] + 1.08 * (joints - joints[0])).tolist()}))
    assert f"{path}: its joints are those of a body of another shape" in texts(actor, 1)
