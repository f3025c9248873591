"""From poses to UV maps: the model kp2uv, the drawn bodies, and the scripts around them."""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace

import numpy as np
import pytest
import torch

from data.kpuv_dataset import KpuvDataset
from data.tracked_poses import read_poses
from models.kp2uv_model import Kp2uvModel, uv_picture
from models.kp2uv_networks import KeypointToUV
from preparation.uv import make_iuv
from tests.program import ROOT, copy_program
from util.errors import UserError
from util.images import read_image, write_png
from util.tensors import to_pixels


@pytest.fixture
def clip(golden, tmp_path):
    """The golden keypoints as a dataroot with a fourth frame, in which nobody is."""
    folder = tmp_path / "a clip"
    shutil.copytree(golden / "keypoints", folder)
    shutil.rmtree(folder / "iuv")
    for frame in range(1, 5):
        write_png(folder / f"rgb_256/{frame:04d}.png", np.zeros((64, 96, 3), np.uint8))
    return folder


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def files_in(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def run(command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def options(clip, folder):
    return Namespace(dataroot=clip, max_dataset_size=float("inf"), gpu_ids=[], amp="off", num_filters=64, name="kp2uv",
                     model="kp2uv", checkpoints_dir=folder)


def test_predictions_become_the_published_pictures(golden):
    figures = torch.load(golden / "kp2uv.pt", weights_only=True)
    network = KeypointToUV(figures["config"]["num_filters"])
    network.load_state_dict(figures["state_dict"])
    with torch.no_grad():
        found, expected = uv_picture(**network(figures["keypoint_image"])), figures["iuv_rgb"]
    same_part = (found[:, 0] - expected[:, 0]).abs() < 1e-5
    assert same_part.float().mean() >= 0.999
    assert (found - expected).abs().amax(dim=1)[same_part].max() < 1e-5


def test_the_background_is_black():
    logits = torch.zeros(1, 25, 2, 2)
    logits[:, 0] = 1
    assert to_pixels(uv_picture(logits, torch.ones(1, 48, 2, 2))[0]).max() == 0


def test_an_item_is_a_skeleton_named_by_person_and_frame(golden, clip):
    dataset = KpuvDataset(options(clip, clip))
    names = [dataset[i]["image_path"] for i in range(len(dataset))]
    assert names == [f"{person:02d}_{frame:04d}.png" for frame in (1, 2, 3) for person in (1, 2)]
    expected = read_image(golden / "keypoints/skeletons/02_0003_keypoints.png", "RGB")
    assert np.array_equal(to_pixels(dataset[5]["keypoint_image"]), expected)


def test_people_without_a_layer_are_left_out(clip):
    change(clip / "metadata.json", people_layers=[[2]])
    dataset = KpuvDataset(options(clip, clip))
    assert [dataset[i]["image_path"] for i in range(len(dataset))] == ["02_0001.png", "02_0002.png", "02_0003.png"]
    make_iuv(clip, "drawn")
    assert sorted(p.name for p in (clip / "iuv").iterdir()) == ["01"]
    assert set(np.unique(read_image(clip / "iuv/01/0001.png", "RGBA")[..., 3])) == {0, 253}


def test_published_weights_load(clip, tmp_path):
    published = KeypointToUV()
    (tmp_path / "kp2uv").mkdir()
    torch.save(published.state_dict(), tmp_path / "kp2uv/latest_net_Kp2uv.pth")
    model = Kp2uvModel(options(clip, tmp_path))
    model.load_networks("latest")
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, published.state_dict()[name])


def test_training_is_refused_in_one_line(clip):
    with pytest.raises(UserError, match="no training"):
        Kp2uvModel(options(clip, clip)).phases()


def test_the_network_s_pictures_come_back_as_published_and_empty_frames_are_empty(golden, clip):
    make_iuv(clip, "network")
    for layer in ("01", "02"):
        for frame in ("0001", "0002", "0003"):
            expected = read_image(golden / f"keypoints/iuv/{layer}/{frame}.png", "RGBA").astype(int)
            assert np.abs(read_image(clip / f"iuv/{layer}/{frame}.png", "RGBA") - expected).max() <= 1
        assert not read_image(clip / f"iuv/{layer}/0004.png", "RGBA").any()


@pytest.mark.parametrize("source", ["network", "drawn"])
def test_the_people_of_a_layer_share_its_pictures_in_the_order_of_the_layer(clip, source):
    make_iuv(clip, source)
    alone = [[read_image(clip / f"iuv/{layer}/{frame:04d}.png", "RGBA") for frame in range(1, 5)]
             for layer in ("01", "02")]
    for order in ([1, 2], [2, 1]):
        change(clip / "metadata.json", people_layers=[order])
        make_iuv(clip, source)
        assert sorted(p.name for p in (clip / "iuv").iterdir()) == ["01"]
        below, above = (alone[person - 1] for person in order)
        for i in range(4):
            expected = np.where(above[i][..., :1] > 0, above[i], below[i])
            assert np.array_equal(read_image(clip / f"iuv/01/{i + 1:04d}.png", "RGBA"), expected)


def test_missing_or_wrong_predictions_are_named_and_leave_everything_as_it_was(clip):
    make_iuv(clip, "drawn")
    images = clip / "kp2uv/test_latest/images"
    (images / "02_0002_output_uv.png").unlink()
    write_png(images / "01_0003_output_uv.png", np.zeros((64, 64, 3), np.uint8))
    before = files_in(clip.parent)
    with pytest.raises(UserError) as error:
        make_iuv(clip, "network")
    missing, wrong = str(error.value).split("\n")
    assert "02_0002_output_uv.png: no such file" in missing and "--source drawn" in missing
    assert "01_0003_output_uv.png: 64x64 pixels" in wrong
    assert files_in(clip.parent) == before


@pytest.mark.parametrize("break_it, found", [
    (lambda clip: change(clip / "metadata.json", n_textures=25), "shows person 2"),
    (lambda clip: change(clip / "metadata.json", size_LR=[96, 80]), "96x64 pixels; expected 96x80"),
    (lambda clip: (clip / "metadata.json").write_text("{}"), "size_LR, alphapose_input_size, n_textures missing"),
    (lambda clip: (clip / "keypoints.json").unlink(), "keypoints.json: no such file"),
    (lambda clip: (clip / "keypoints.json").write_text('{"9.png": []}'), "nobody in any frame"),
])
def test_a_wrong_dataroot_is_refused_and_left_as_it_was(clip, break_it, found):
    break_it(clip)
    before = files_in(clip.parent)
    with pytest.raises(UserError) as error:
        make_iuv(clip, "drawn")
    assert found in str(error.value)
    assert files_in(clip.parent) == before


@pytest.mark.parametrize("arguments, found", [
    (["--dataroot", "nowhere"], "--dataroot nowhere: no such folder"),
    (["--dataroot", "x", "--sorce", "drawn"], "--sorce: no such option; did you mean --source?")])
def test_a_mistake_is_one_line_and_status_2(arguments, found):
    done = run([sys.executable, ROOT / "datasets/keypoints_to_iuv.py", *arguments])
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and found in done.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A copy of the program, whose checkpoints a test may change."""
    return copy_program(tmp_path_factory.mktemp("program"))


def test_prepare_iuv_takes_the_network_where_its_weights_are_and_draws_elsewhere(program, clip):
    def prepare():
        return run(["bash", program / "datasets/prepare_iuv.sh", clip.name], cwd=clip.parent,
                   env={**os.environ, "PYTHON": sys.executable})

    shutil.rmtree(clip / "kp2uv")
    done = prepare()
    assert done.returncode == 0, done.stderr
    assert "drawing the UV maps" in done.stdout
    drawn = files_in(clip / "iuv")
    assert len(drawn) == 8 and not (clip / "kp2uv").exists()

    (program / "checkpoints/kp2uv").mkdir(parents=True)
    torch.save(KeypointToUV().state_dict(), program / "checkpoints/kp2uv/latest_net_Kp2uv.pth")
    done = prepare()
    assert done.returncode == 0, done.stderr
    poses = read_poses(clip / "keypoints.json")
    pictures = {p.name for p in (clip / "kp2uv/test_latest/images").iterdir()}
    assert pictures == {f"{pose.person:02d}_{frame}_{kind}.png" for frame, present in poses.items()
                        for pose in present for kind in ("output_uv", "keypoints")}
    predicted = files_in(clip / "iuv")
    assert predicted.keys() == drawn.keys() and predicted != drawn


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["a", "b"]])
def test_prepare_iuv_refuses_anything_but_one_folder(arguments, tmp_path):
    done = run(["bash", ROOT / "datasets/prepare_iuv.sh", *arguments], cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
