import json
import shutil

import numpy as np
import pytest
import torch

import prepare
from data.actor_files import by_number, read_cameras, read_pose, world_vertices
from preparation import actor_check, actor_overlap
from preparation.actor_check import check
from preparation.actor_overlap import View, body_in_view
from tests.golden_actor import OWN, figures
from util.errors import UserError
from util.images import read_image, write_png
from vision.people.body_files import read_body


@pytest.fixture
def actor(tmp_path):
    folder = tmp_path / "actor"
    shutil.copytree(OWN / "dataroot", folder)
    return folder


@pytest.fixture
def long_actor(tmp_path):
    """Nine frames of somebody who walks away, from three cameras, sharp; frames and cameras count from 1 and 3."""
    root, source = tmp_path / "walking", OWN / "dataroot"
    root.mkdir()
    for name in ("canonical.obj", "uvmapping.obj", "skinning_weight.txt", "transform_tpose.json"):
        (root / name).symlink_to(source / name)
    for name in ("transform", "tex", "intrinsic", "pose"):
        (root / name).mkdir()
    content = json.loads(next((source / "transform").iterdir()).read_text())
    for number in range(1, 10):
        moved = np.array([[0.12 * number - 0.6, 0, 0]])
        (root / f"transform/{number:06d}.json").write_text(json.dumps(
            {**content, "translation": (np.array(content["translation"]) + moved).tolist(),
             "joints": (np.array(content["joints"]) + moved).tolist()}))
        shutil.copy(next((source / "tex").iterdir()), root / f"tex/{number:06d}.png")
    poses = figures("maps.pt", OWN)["bake"]["camera_to_world"][:3]
    for camera, pose in enumerate(poses, 3):
        pose = pose.clone()
        pose[:3, 3] -= 0.6 * pose[:3, 2]  # further away, so that all of the way is seen
        np.savetxt(root / f"pose/{camera:04d}.txt", pose.numpy())
        np.savetxt(root / f"intrinsic/{camera:04d}.txt", np.array([[150.0, 0, 64], [0, 150, 64], [0, 0, 1]]))
    film(root)
    return root


def film(root, later=0):
    """Photographs of the body itself; in each frame it is `later` frames ahead."""
    body = read_body(root)
    transforms = by_number(root / "transform", "*.json")
    for number in transforms:
        shown = transforms[min(number + later, max(transforms))]
        vertices = world_vertices(body, read_pose(shown, 24)).numpy()
        for camera, (intrinsics, pose) in enumerate(read_cameras(root), 3):
            seen = body_in_view(vertices, body.faces.numpy(), View(intrinsics.numpy(), pose.numpy(), root), (128, 128))
            write_png(root / f"rgb/{number:06d}/{camera:04d}.png",
                      np.where(seen[..., None], [90, 120, 60], 255).astype(np.uint8))


def texts(root, severity):
    return "\n".join(finding.text for finding in check(root)[0] if finding.severity >= severity)


def test_the_golden_actor_is_in_order_and_has_a_page(actor, capsys):
    assert prepare.main(["--dataroot", str(actor), "--check"]) == 0
    assert not (actor / "prepare").exists() and "all in order" in capsys.readouterr().out
    assert prepare.main(["--dataroot", str(actor)]) == 0
    out = capsys.readouterr().out
    assert "train.py --model neural_actor" in out
    pictures = sorted((actor / "prepare/pictures").iterdir())
    assert len(pictures) == 9 and "overlap 0." in (actor / "prepare/index.html").read_text()
    drawn = read_image(pictures[0], "RGB")
    assert (drawn == [255, 255, 255]).all(-1).mean() > 0.5 and drawn.std() > 10
    with pytest.raises(UserError, match="an actor's"):
        prepare.main(["video.mp4", "--dataroot", str(actor)])


def test_all_that_is_wrong_is_told_at_once(actor):
    (actor / "canonical.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 4 3\n")
    (actor / "skinning_weight.txt").write_text("a b\n")
    transforms, cameras = sorted((actor / "transform").iterdir()), sorted((actor / "pose").iterdir())
    content = json.loads(transforms[0].read_text())
    transforms[0].write_text(json.dumps({**content, "rotation": (2 * np.eye(3)).tolist()}))
    transforms[1].write_text("{}")
    cameras[0].write_text("1 2 3\n4 5 6\n")
    np.savetxt(cameras[1], np.diag([2.0, 2, 2, 1]))
    sorted((actor / "tex").iterdir())[2].unlink()
    write_png(actor / "tex/000777.png", np.zeros((32, 16, 3), np.uint8))
    shutil.rmtree(sorted((actor / "rgb").iterdir())[0])
    (actor / "intrinisc").mkdir()
    found = texts(actor, 1)
    for words in ("canonical.obj: line 5 is a face with 4 corners", "skinning_weight.txt: not readable",
                  f"{transforms[0]}: rotation is none", f"{transforms[1]}: not readable",
                  f"{cameras[0]}: 2 lines of", f"{cameras[1]}: its 3x3 part is no rotation",
                  "tex: 1 of the 3 frames", "tex: 1 frames that transform/ does not have, first 000777.png",
                  "rgb: 1 of the 3 frames", "has intrinsic/ and intrinisc/"):
        assert words in found, words
    assert prepare.main(["--dataroot", str(actor), "--check"]) == 2


@pytest.mark.parametrize("name, change, words", [
    ("rotation", lambda value: value.T, "with the rotation transposed they are nearer"),
    ("translation", lambda value: value * 1000 + 500, "joints are not where the posed body is"),
    ("joints_RT", lambda value: 1.5 * value, "determinants other than 1"),
    ("joints_RT", lambda value: np.stack([turned(value[..., i]) for i in range(24)], -1), "turns the root")])
def test_transforms_that_mean_something_else_are_told(actor, name, change, words):
    if words.startswith("with the rotation"):  # a turn that is clearly another one the other way round
        turn = np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    for path in (actor / "transform").iterdir():
        content = json.loads(path.read_text())
        if words.startswith("with the rotation"):
            normalised = (np.array(content["joints"]) - content["translation"]) @ np.array(content["rotation"]).T
            offset = np.array([[1.5, 0, 0]])
            content |= {"rotation": turn.tolist(), "joints": (normalised @ turn + offset).tolist(),
                        "translation": offset.tolist()}
        path.write_text(json.dumps({**content, name: change(np.array(content[name])).tolist()}))
    assert words in texts(actor, 2)


def turned(transform):
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    return turn @ transform


def change_cameras(root, change):
    for path in (root / "pose").iterdir():
        np.savetxt(path, change(np.loadtxt(path)))


def test_a_dataroot_that_fits_overlaps_fully(long_actor):
    findings, compared = check(long_actor)
    assert len(compared) == 12 and min(entry.overlap for entry in compared) > 0.98
    assert not [finding for finding in findings if finding.severity]


@pytest.mark.parametrize("change, words", [
    (np.linalg.inv, "Read as world-to-camera, which belongs into extrinsic/, "),
    (lambda pose: pose @ np.diag([1, -1, -1, 1]), "y up and z backwards"),
    (lambda pose: np.vstack((np.column_stack((pose[:3, :3], 1000 * pose[:3, 3])), [0, 0, 0, 1])), "millimetres")])
def test_cameras_that_mean_something_else_are_told(long_actor, change, words):
    change_cameras(long_actor, change)
    assert words in texts(long_actor, 2)


def test_cameras_in_another_order_are_told_and_the_figure_falls(long_actor):
    before = np.mean([entry.overlap for entry in check(long_actor)[1]])
    files = sorted((long_actor / "pose").iterdir())
    contents = [path.read_text() for path in files]
    for path, content in zip(files, contents[1:] + contents[:1]):
        path.write_text(content)
    findings, compared = check(long_actor)
    assert np.mean([entry.overlap for entry in compared]) < before - 0.2
    assert "pictures of camera 0003 fit better to camera 0005" in "\n".join(finding.text for finding in findings)


def test_of_many_cameras_each_is_compared_in_one_frame(long_actor, monkeypatch):
    monkeypatch.setattr(actor_overlap, "CAMERAS", 2)
    compared = check(long_actor)[1]
    assert sorted(entry.camera for entry in compared) == [0, 1, 2] and len({entry.frame for entry in compared}) == 3


def test_one_camera_or_frame_that_is_wrong_is_named(long_actor):
    last = long_actor / "pose/0005.txt"
    last.write_text((long_actor / "pose/0003.txt").read_text())
    found = texts(long_actor, 2)
    assert "camera 0005: the posed body" in found and "camera 0003" not in found
    last.write_text((long_actor / "pose/0004.txt").read_text())
    shutil.rmtree(long_actor / "rgb")
    film(long_actor)
    shutil.copy(long_actor / "transform/000009.json", long_actor / "transform/000001.json")
    found = texts(long_actor, 2)
    assert "frame 1: the posed body" in found and "frame 9" not in found


@pytest.mark.parametrize("later, words", [(1, "1 frame later"), (2, "2 frames later"), (-2, "2 frames earlier")])
def test_photographs_of_other_frames_are_told(long_actor, monkeypatch, later, words):
    monkeypatch.setattr(actor_check, "MOST_READ", 3)  # as of a sequence that is too long to be read whole
    shutil.rmtree(long_actor / "rgb")
    if later > 0:
        film(long_actor, later)
    else:
        transforms = by_number(long_actor / "transform", "*.json")
        first = transforms[1].read_text()
        contents = {number: path.read_text() for number, path in transforms.items()}
        for number, path in transforms.items():
            path.write_text(contents.get(number + later, first))
        film(long_actor)
        for number, path in transforms.items():
            path.write_text(contents[number])
    assert f"photographs fit better to the poses of {words}" in texts(long_actor, 2)


def test_a_body_in_millimetres_and_a_background_that_is_not_white_are_told(long_actor):
    lines = (OWN / "dataroot/canonical.obj").read_text().splitlines()
    scaled = [" ".join(["v", *(str(1000 * float(word)) for word in line.split()[1:4])])
              if line.startswith("v ") else line for line in lines]
    (long_actor / "canonical.obj").unlink()
    (long_actor / "canonical.obj").write_text("\n".join(scaled))
    for path in (long_actor / "rgb").rglob("*.png"):
        write_png(path, read_image(path, "RGB") // 2)
    found = texts(long_actor, 2)
    assert "looks like millimetres" in found and "neither white nor transparent" in found


def test_pictures_without_their_cameras_numbers_are_told(long_actor):
    for path in list((long_actor / "rgb").rglob("*.png")):
        path.rename(path.with_name(f"image_c_{int(path.stem) - 3:03d}.png"))
    assert "pictures have other numbers" in texts(long_actor, 1)
    assert torch.tensor([entry.overlap for entry in check(long_actor)[1]]).min() > 0.98


def test_a_camera_without_its_picture_stops_training(actor):
    path = sorted((actor / "rgb").rglob("*.png"))[0]
    path.unlink()
    wrong = [finding for finding in check(actor)[0] if "no picture of camera" in finding.text]
    assert [finding.severity for finding in wrong] == [3] and str(path.parent) in wrong[0].text


def test_a_dataroot_to_render_needs_no_photographs(long_actor):
    shutil.rmtree(long_actor / "rgb")
    assert texts(long_actor, 1) == "" and "can be rendered, not trained on" in texts(long_actor, 0)


def test_a_motion_alone_can_be_rendered(long_actor):
    for name in ("rgb", "pose", "intrinsic"):
        shutil.rmtree(long_actor / name)
    for name in ("canonical.obj", "uvmapping.obj", "skinning_weight.txt", "transform_tpose.json"):
        (long_actor / name).unlink()
    assert texts(long_actor, 2) == ""
    assert "no body" in texts(long_actor, 1) and "no cameras" in texts(long_actor, 1)
    shutil.copy(OWN / "dataroot/canonical.obj", long_actor)
    assert "skinning_weight.txt: not readable" in texts(long_actor, 3)
