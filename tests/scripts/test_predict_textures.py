import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import test as test_program
import train
from data.loading import create_dataset, resolved
from options.test_options import TestOptions
from options.train_options import TrainOptions
from scripts import predict_textures
from tests.golden_actor import OWN
from util.errors import UserError
from util.images import read_image

QUIET = ("--gpu_ids", "-1", "--num_threads", "0", "--display_id", "0", "--no_html")
PREDICTOR = ("--ngf", "4", "--ndf", "4", "--n_downsample_G", "2", "--n_blocks", "1", "--num_D", "1",
             "--n_scales_temporal", "1", "--no_vgg", "--n_epochs", "1", "--n_epochs_decay", "0", "--max_dataset_size",
             "1")
RENDERER = ("--model", "neural_actor", "--no_pretrained", "--fixed_num_samples", "4", "--feature_embed_dim", "8",
            "--feature_layers", "1", "--feature_field_skip_connect", "1", "--joint_feature_dim", "8",
            "--no_use_texture_encoder", "--inputs_to_texture", "feat:0:8,attnout:0:8,texture:0:3,ray:2:3:b",
            "--pixel_per_view", "32", "--max_update", "2")


def make_actor(root, source_frames=(0, 1, 2, 1), beginning=5, with_textures=True):
    """The golden folder's actor with frames from `beginning` on, without normal maps."""
    root.mkdir()
    source = OWN / "dataroot"
    for name in ("canonical.obj", "uvmapping.obj", "skinning_weight.txt", "transform_tpose.json", "intrinsic", "pose"):
        (root / name).symlink_to(source / name)
    for kind in ("transform", "tex", "rgb"):
        files = sorted((source / kind).iterdir())
        if kind == "transform" or with_textures:
            (root / kind).mkdir()
            for number, frame in enumerate(source_frames, beginning):
                place = root / kind / f"{number:06d}{files[frame].suffix}"
                place.symlink_to(files[frame]) if kind == "rgb" else shutil.copy(files[frame], place)
    return root


def test_textures_are_predicted_for_all_frames_and_the_actor_is_rendered_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learned = make_actor(tmp_path / "learned")
    driven = make_actor(tmp_path / "driven", (2, 1, 0), 20, with_textures=False)
    train.main(["--name", "renderer", "--dataroot", str(learned), *QUIET, *RENDERER])
    command = ["--dataroot", str(learned), "--target", str(driven), "--name", "textures", "--renderer", "renderer",
               *QUIET, *PREDICTOR]
    predict_textures.main(command)
    names = ["000020.png", "000021.png", "000022.png"]
    for folder in (driven / "normal", driven / "tex_predicted"):
        assert sorted(path.name for path in folder.iterdir()) == names
    side = read_image(learned / "tex/000005.png", "RGB").shape
    predicted = [read_image(driven / "tex_predicted" / name, "RGB") for name in names]
    assert {picture.shape for picture in predicted} == {side} and (predicted[0] != predicted[2]).any()
    assert not (driven / "tex").exists()
    rendered = sorted((tmp_path / "results/renderer/test_latest/color").iterdir())
    assert rendered and all(any(name[:-4] in path.name for path in rendered) for name in names)

    trained = (tmp_path / "checkpoints/textures/latest_state.pth").read_bytes()
    before = rendered[0].read_bytes()
    (driven / "tex_predicted/000020.png").unlink()
    predict_textures.main(command)  # what is trained stays; what is gone comes back
    assert (tmp_path / "checkpoints/textures/latest_state.pth").read_bytes() == trained
    assert (read_image(driven / "tex_predicted/000020.png", "RGB") == predicted[0]).all()
    assert rendered[0].read_bytes() == before
    shutil.copytree(driven / "tex_predicted", driven / "tex")
    for name in names:
        shutil.copy(learned / "tex/000005.png", driven / "tex" / name)
    test_program.main(["--name", "renderer", "--dataroot", str(driven), "--phase", "other", "--gpu_ids", "-1"])
    assert (tmp_path / "results/renderer/other_latest/color" / rendered[0].name).read_bytes() != before


def options(kind, root, *more):
    arguments = ["--model", "vid2vid", "--dataset_mode", "texture", "--dataroot", str(root), "--gpu_ids", "-1", *more]
    return resolved(kind().parse(arguments))


def test_folders_of_the_guide_are_taken_and_at_test_every_frame_has_a_window(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "grid"
    root.mkdir()
    (root / "seg_maps").symlink_to(OWN / "dataroot/normal")
    (root / "images").symlink_to(OWN / "dataroot/tex")
    dataset = create_dataset(options(TestOptions, root))
    files = sorted((OWN / "dataroot/normal").iterdir())
    assert [Path(dataset[i]["image_path"]).name for i in range(len(dataset))] == [path.name for path in files]
    maps = [read_image(path, "RGB").transpose(2, 0, 1) / 127.5 - 1 for path in files]
    for index in range(len(files)):
        np.testing.assert_allclose(dataset[index]["A"].numpy(), np.stack(
            [maps[max(0, index - 2 + k)] for k in range(3)]), atol=1e-6)
    item = create_dataset(options(TrainOptions, root)).item(0, np.random.default_rng(0), 1)
    np.testing.assert_allclose(item["B"].numpy()[1], read_image(
        sorted((OWN / "dataroot/tex").iterdir())[1], "RGB").transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)


def test_frames_without_a_texture_are_told_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = make_actor(tmp_path / "a")
    shutil.copytree(root / "tex", root / "normal")
    for number in (5, 7):
        (root / f"tex/{number:06d}.png").unlink()
    with pytest.raises(UserError, match="frame 5(.|\n)*frame 7"):
        options(TrainOptions, root)
    with pytest.raises(UserError, match="lie still"):
        options(TrainOptions, root, "--flow_net", "files")
    with pytest.raises(UserError, match="neither transform/ nor normal/"):
        (tmp_path / "b").mkdir()
        predict_textures.main(["--dataroot", str(root), "--target", str(tmp_path / "b"), "--name", "x"])


def test_a_predictor_keeps_the_defaults_for_textures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = make_actor(tmp_path / "a")
    shutil.copytree(root / "tex", root / "normal")
    train.main(["--model", "vid2vid", "--dataset_mode", "texture", "--dataroot", str(root), "--name", "t", *QUIET,
                *PREDICTOR, "--n_epochs", "0"])
    saved = json.loads(Path("checkpoints/t/train_opt.json").read_text())
    assert (saved["flow_net"], saved["no_flip"], saved["resize_or_crop"], saved["no_first_img"]) == (
        "still", True, "none", True)
