import json
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix
from scipy.spatial.transform import Rotation

from data.actor_files import read_pose, world_vertices
from scripts import make_transforms
from tests.golden_actor import OWN, figures
from util.errors import UserError
from vision.people.body_files import read_body
from vision.people.body_model import joint_transforms, read_body_model, shaped

PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21])


def parts():
    """A model file of SMPL's form, made of the golden folder's body: its joints are means of the vertices they move."""
    found, rng = figures("body.pt", OWN), np.random.default_rng(0)
    weights = found["weights"].numpy().astype(float)
    regressor = (weights + 1e-6).T / (weights + 1e-6).sum(0)[:, None]
    tree = np.stack((np.where(PARENTS < 0, 2**32 - 1, PARENTS), np.arange(24))).astype(np.uint32)
    return {"v_template": found["vertices"].numpy().astype(float), "J_regressor": csc_matrix(regressor),
            "weights": weights,
            "shapedirs": 0.01 * rng.standard_normal((len(weights), 3, 10)), "kintree_table": tree,
            "f": found["faces"].numpy().astype(np.uint32), "posedirs": np.zeros(3), "bs_style": "lbs"}


def write_model(path, monkeypatch):
    """As .npz; or as .pkl with chumpy's arrays, which SMPL's files hold and nobody here has installed."""
    content = parts()
    if path.suffix == ".npz":
        np.savez(path, **{**content, "J_regressor": content["J_regressor"].toarray()})
        return
    module = types.ModuleType("chumpy.ch")
    module.Ch = type("Ch", (), {"__module__": "chumpy.ch", "__init__": lambda self, x: setattr(self, "x", x)})
    module.Select = type("Select", (), {"__module__": "chumpy.ch"})
    chosen = module.Select()
    shapes = content["shapedirs"]
    chosen.a, chosen.preferred_shape = module.Ch(np.concatenate((shapes, shapes), -1)), shapes.shape
    chosen.idxs = np.arange(2 * shapes.size).reshape(*shapes.shape[:2], 20)[..., :10].ravel()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
        patch.setitem(sys.modules, "chumpy.ch", module)
        content |= {"v_template": module.Ch(content["v_template"]), "shapedirs": chosen}
        path.write_bytes(pickle.dumps(content, protocol=2))


def fit(number):
    rng = np.random.default_rng(number)
    pose = 0.3 * rng.standard_normal(72)
    return {"id": 0, "poses": [pose.tolist()], "shapes": [np.linspace(-1, 1, 10).tolist()],
            "Rh": [[0.1 * number, 1, 0.2]], "Th": [[0.5, 0, number / 10]]}


@pytest.mark.parametrize("ending", ["npz", "pkl"])
def test_the_body_of_the_files_that_are_written_is_the_models(tmp_path, monkeypatch, ending):
    root, fits = tmp_path / "me", tmp_path / "fits"
    fits.mkdir()
    write_model(tmp_path / f"model.{ending}", monkeypatch)
    for number in range(3):
        people = [fit(number), {**fit(7), "id": 1}]
        (fits / f"{number:06d}.json").write_text(json.dumps({"annots": people} if number else people))
    arguments = ["--fits", str(fits), "--body_model", str(tmp_path / f"model.{ending}"), "--dataroot", str(root),
                 "--texuv", str(OWN / "dataroot/uvmapping.obj")]
    with pytest.raises(UserError, match="2 people; expected one. Say which with --person"):
        make_transforms.main(arguments)
    make_transforms.main([*arguments, "--person", "0"])
    model, body = parts(), read_body(root)
    vertices = model["v_template"] + model["shapedirs"] @ np.linspace(-1, 1, 10)
    joints = model["J_regressor"] @ vertices
    for number in range(3):
        pose = read_pose(root / "transform" / f"{number:06d}.json", 24)
        given, places = fit(number), world_places(vertices, joints, model["weights"], fit(number))
        torch.testing.assert_close(world_vertices(body, pose), torch.from_numpy(places[0]).float(), atol=2e-5, rtol=0)
        torch.testing.assert_close(pose["joints"], torch.from_numpy(places[1]).float(), atol=1e-5, rtol=0)
        written = json.loads((root / "transform" / f"{number:06d}.json").read_text())
        assert written["pose"][0][:3] == [0, 0, 0] and written["pose"][0][3:] == given["poses"][0][3:]
        assert np.shape(written["motion"]) == (min(number + 1, 3), 24, 3)


def world_places(vertices, joints, weights, given):
    """Vertices and joints, bone by bone: every joint turns all that hangs on it, the last ones first."""
    turns = Rotation.from_rotvec(np.reshape(given["poses"], (24, 3))).as_matrix()
    moved_with, places = np.tile(vertices, (24, 1, 1)), joints.copy()
    for joint in range(23, 0, -1):
        below = [child for child in range(24) if joint in line_of(child)]
        for child in below:
            moved_with[child] = (moved_with[child] - joints[joint]) @ turns[joint].T + joints[joint]
            places[child] = (places[child] - joints[joint]) @ turns[joint].T + joints[joint]
    skinned = np.einsum("vj,jvc->vc", weights, moved_with)
    whole = Rotation.from_rotvec(given["Rh"][0]).as_matrix()
    return skinned @ whole.T + given["Th"], places @ whole.T + given["Th"]


def test_fits_that_turn_about_the_pelvis_as_smpl_does_are_read_as_such(tmp_path, monkeypatch, capsys):
    write_model(tmp_path / "model.npz", monkeypatch)
    (tmp_path / "fits").mkdir()
    given = fit(0) | {"Rh": [[0, 0, 0]]}
    (tmp_path / "fits/000000.json").write_text(json.dumps([given]))
    make_transforms.main(["--fits", str(tmp_path / "fits"), "--body_model", str(tmp_path / "model.npz"), "--dataroot",
                          str(tmp_path / "me"), "--texuv", str(OWN / "dataroot/uvmapping.obj")])
    assert "in 1 fits Rh is 0 and poses turn the root" in capsys.readouterr().out
    model, root = parts(), given["poses"][0][:3]
    vertices = model["v_template"] + model["shapedirs"] @ np.linspace(-1, 1, 10)
    joints = model["J_regressor"] @ vertices
    places = world_places(vertices, joints, model["weights"], given | {"Th": [[0, 0, 0]]})
    whole = Rotation.from_rotvec(root).as_matrix()
    pose = read_pose(tmp_path / "me/transform/000000.json", 24)
    for found, true in zip((world_vertices(read_body(tmp_path / "me"), pose), pose["joints"]), places):
        expected = (true - joints[0]) @ whole.T + joints[0] + given["Th"]
        torch.testing.assert_close(found, torch.from_numpy(expected).float(), atol=2e-5, rtol=0)


def line_of(joint):
    """A joint, its parent, and so on."""
    return [] if joint < 0 else [joint, *line_of(PARENTS[joint])]


def test_an_arm_that_is_bent(tmp_path):
    joints, parents = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([-1, 0, 1])
    transforms, posed = joint_transforms(joints, parents, np.array([[0, 0, 0], [0, 0, np.pi / 2], [0, 0, 0]]))
    np.testing.assert_allclose(posed, [[0, 0, 0], [1, 0, 0], [1, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(transforms[2] @ [3, 0, 0, 1], [1, 2, 0, 1], atol=1e-12)


def test_what_is_there_stays(tmp_path, monkeypatch):
    write_model(tmp_path / "model.npz", monkeypatch)
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits/000000.json").write_text(json.dumps(fit(0)))
    arguments = ["--fits", str(tmp_path / "fits"), "--body_model", str(tmp_path / "model.npz"), "--dataroot",
                 str(tmp_path / "me")]
    make_transforms.main(arguments)
    (tmp_path / "me/canonical.obj").write_text("mine")
    make_transforms.main(arguments)
    assert (tmp_path / "me/canonical.obj").read_text() == "mine"
    make_transforms.main([*arguments, "--overwrite"])
    assert (tmp_path / "me/canonical.obj").read_text() != "mine"


class Evil:
    def __reduce__(self):
        return print, ("evil",)


def test_a_model_file_that_would_run_a_program_or_is_none_is_told(tmp_path, capsys):
    path = tmp_path / "model.pkl"
    for content in (pickle.dumps({**parts(), "v_template": Evil()}), b"", pickle.dumps({"v_template": np.zeros(3)})):
        path.write_bytes(content)
        with pytest.raises(UserError, match="model.pkl: not readable as a body model"):
            read_body_model(path)
    path.write_bytes(pickle.dumps({**parts(), "weights": np.zeros((3, 24))}))
    with pytest.raises(UserError, match="do not fit the rest"):
        read_body_model(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("change, message", [({"poses": [[0, 1]]}, "expected 72, 3 and 3"), ({"Rh": None}, "Rh"),
                                             ({"shapes": "x"}, "not readable")])
def test_fits_that_are_wrong_are_told(tmp_path, monkeypatch, change, message):
    write_model(tmp_path / "model.npz", monkeypatch)
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits/000000.json").write_text(json.dumps([{**fit(0), **change}]))
    with pytest.raises(UserError, match=message):
        make_transforms.main(["--fits", str(tmp_path / "fits"), "--body_model", str(tmp_path / "model.npz"),
                              "--dataroot", str(tmp_path / "me")])


def test_a_shape_moves_joints_too(tmp_path, monkeypatch):
    write_model(tmp_path / "model.npz", monkeypatch)
    model = read_body_model(tmp_path / "model.npz")
    vertices, joints = shaped(model, np.array([2.0]))
    np.testing.assert_allclose(vertices, model.vertices + 2 * model.shape_directions[..., 0])
    np.testing.assert_allclose(joints, model.joint_weights @ vertices)
