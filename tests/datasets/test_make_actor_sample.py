import json

import numpy as np
import pytest
import torch

from data.loading import create_dataset, resolved
from datasets.make_actor_sample import make_sample
from datasets.synthetic.actor import Actor, cameras, held_out_motion, posed, training_motion
from options.train_options import TrainOptions
from util.errors import UserError
from util.images import read_image
from vision.geometry.rays import mesh_hits, pixel_grid, pixel_rays
from vision.people.skinning import moved, posed_vertices, to_world

SMALL = {"frames": 2, "test_frames": 1, "cameras": 2, "held_out": 1, "size": 48, "texture_size": 64}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("actor") / "sample", **SMALL)


def test_a_sample_is_a_dataroot_whose_body_lies_under_the_clothes(sample):
    opt = TrainOptions().parse(["--model", "neural_actor", "--dataroot", str(sample / "training"), "--gpu_ids", "-1",
                                "--train_views", "0..2", "--pixel_per_view", "200"])
    dataset = create_dataset(resolved(opt))
    assert len(dataset.frames) == 2 and len(dataset.cameras) == 3 and dataset.size == (48, 48)
    item = dataset.item(0, np.random.default_rng(0), 1)
    assert item["rays_o"].shape == (200, 3) and (item["alpha"] > 0.5).float().mean() > 0.4
    for number in dataset.frames:
        pose = dataset.pose(number)
        joints = pose["joints"][[0, 4, 5, 15, 18, 19]]
        for camera, (intrinsics, place) in enumerate(dataset.cameras):
            alpha = read_image(sample / f"training/rgb/{number:06d}/{camera:04d}.png", "RGBA")[..., 3]
            for points, least in ((pose["vertices"], 0.9), (joints, 1.0)):
                seen = (points - place[:3, 3]) @ place[:3, :3]
                x, y = (seen[:, :2] / seen[:, 2:] * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2]).round().long().T
                assert (alpha[y, x] > 0).mean() >= least


def test_the_same_options_give_the_same_files(sample, tmp_path):
    again = make_sample(tmp_path / "again", **SMALL)
    files = sorted(path.relative_to(sample) for path in sample.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((sample / path).read_bytes() == (again / path).read_bytes() for path in files)
    with pytest.raises(UserError, match="there already; give another --dataroot, or --overwrite"):
        make_sample(again, **SMALL)
    make_sample(again, **SMALL | {"frames": 1}, overwrite=True)
    assert len(list((again / "training/tex").iterdir())) == 1


def test_a_pixel_shows_the_texture_where_its_ray_meets_the_clothes():
    actor, pose = Actor(128), training_motion(0.3)
    surface = actor.surface(pose)
    texture = actor.texture(pose, surface)
    intrinsics, place = cameras(3, 0, 64)[0]
    photograph = actor.photograph(surface, texture, intrinsics, place, (64, 64))
    alpha = torch.from_numpy(photograph[..., 3].reshape(-1))
    some = (alpha > 0).nonzero()[::3, 0]
    rays = pixel_rays(pixel_grid((64, 64))[some], *(torch.from_numpy(matrix).float() for matrix in (intrinsics, place)))
    face, _, where = mesh_hits(*rays, torch.from_numpy(surface).float(), actor.body.faces)
    full = (alpha[some] == 255) & (face >= 0)
    assert full.sum() > 50 and ((face >= 0) == (alpha[some] > 127)).float().mean() > 0.95
    uv = (actor.body.face_uv[face[full]] * where[full][..., None]).sum(1).numpy()
    x, y = (uv * [1, -1] * 128 + [0, 128]).astype(int).clip(0, 127).T
    error = np.abs(texture[y, x].astype(int) - photograph.reshape(-1, 4)[some[full].numpy(), :3]).mean(-1)
    assert np.median(error) < 12


def test_a_body_at_rest_is_moved_by_nothing_and_skinning_is_that_of_the_files(sample):
    actor = Actor(32)
    np.testing.assert_allclose(posed(np.zeros((24, 3))).transforms, np.tile(np.eye(4), (24, 1, 1)), atol=1e-12)
    pose = held_out_motion(0)
    content = json.loads((sample / "testing/transform/000000.json").read_text())
    transforms = torch.tensor(content["joints_RT"]).permute(2, 0, 1)
    vertices = to_world(posed_vertices(actor.body, transforms), torch.tensor(content["rotation"]),
                        torch.tensor(content["translation"])[0])
    np.testing.assert_allclose(vertices, actor.skin(pose), atol=1e-5)
    joints = moved(torch.tensor(actor.files.joints).float(), transforms)
    np.testing.assert_allclose(to_world(joints, torch.tensor(content["rotation"]),
                                        torch.tensor(content["translation"])[0]), content["joints"], atol=1e-5)


def test_textures_change_with_the_pose():
    actor = Actor(64)
    poses = [training_motion(share) for share in (0.1, 0.6)]
    one, other = (actor.texture(pose, actor.surface(pose))[actor.covered].astype(int) for pose in poses)
    assert np.abs(one - other).mean() > 3
    assert np.abs(one - other).mean() < 40  # it is the same person
