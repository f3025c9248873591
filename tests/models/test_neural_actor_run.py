"""Runs of `--model neural_actor` through train.py and test.py, on the golden folder's actor."""

import json
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import torch

import data
import test as test_program
import train
from models import find_model
from scripts import import_neural_actor
from scripts.lab.check_reliability import equal
from tests.golden_actor import GOLDEN, figures
from util.errors import UserError
from util.images import read_image

SMALL = ("--model", "neural_actor", "--dataset_mode", "recorded_actor", "--dataroot", str(GOLDEN / "dataroot"),
         "--gpu_ids", "-1", "--num_threads", "0", "--display_id", "0", "--print_freq", "1", "--no_pretrained",
         "--fixed_num_samples", "6", "--feature_embed_dim", "16", "--density-embed-dim", "8",
         "--texture_embed_dim", "16", "--feature_layers", "1", "--texture_layers", "0", "--feature_field_skip_connect",
         "1", "--joint_feature_dim", "12")
RAW = ("--no_use_texture_encoder", "--inputs_to_texture", "feat:0:16,attnout:0:12,texture:0:3,ray:2:3:b")
FEATURES = ("--texture_encoder_layers", "1", "--inputs_to_texture", "feat:0:16,attnout:0:12,texture:0:64,ray:2:3:b")

FAST = ("--preset", "fast")


class Killed(BaseException):
    """As SIGKILL, nobody expects it."""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "__path__", [*data.__path__, str(Path(__file__).parents[1] / "recorded")])


def begin(name, *arguments):
    train.main(["--name", name, *SMALL, "--no_html", "--n_epochs", "1", "--max_dataset_size", "5", *arguments])
    return state(name)


def state(name):
    folder = Path("checkpoints", name)
    return [torch.load(folder / file, weights_only=True) for file in ("latest_state.pth", "latest_net_actor.pth")]


@pytest.mark.parametrize("kind", [RAW, FEATURES, FAST], ids=["raw", "features", "fast"])
def test_a_run_killed_at_a_step_goes_on_to_the_same_bits(monkeypatch, kind):
    whole = begin("whole", *kind, "--discrete_regularization")
    step, steps = find_model("neural_actor").optimize_parameters, []

    def killed(self, batch):
        if len(steps) == 3:
            raise Killed
        steps.append(1)
        return step(self, batch)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(find_model("neural_actor"), "optimize_parameters", killed)
        begin("killed", *kind, "--discrete_regularization", "--save_latest_minutes", "0")
    train.main(["--name", "killed", "--continue_train"])
    assert equal(state("killed"), whole)


def test_what_is_exported_has_the_published_names():
    begin("run", *RAW)
    test_program.main(["--name", "run", "--num_test", "2"])
    results = Path("results/run/test_latest")
    for kind in ("color", "normal", "depth"):
        assert sorted(path.name for path in (results / kind).iterdir()) == ["000000.png", "000001.png"]
        assert (results / f"videos/{kind}.webm").exists()
    pose = torch.tensor([[float(word) for word in line.split()]
                         for line in (results / "pose/000001.txt").read_text().splitlines()])
    assert pose.shape == (4, 4)
    assert (read_image(results / "color/000000.png", "RGB")[0, 0] == 255).all(), "white where no ray meets the body"


def test_a_released_checkpoint_becomes_a_run(tmp_path):
    case = figures("training.pt")["plain"]
    options = {name.replace("-", "_"): value for name, value in case["options"].items()}
    arguments = Namespace(arch="joint_nerf_coarse", no_nonsense=1, mesh="/somewhere/else.obj", **options)
    torch.save({"args": arguments, "model": case["initial"]}, tmp_path / "nerf_a.pt")
    import_neural_actor.main(["--checkpoint", str(tmp_path / "nerf_a.pt"), "--name", "released"])
    test_program.main(["--name", "released", "--num_test", "1", *SMALL[2:8]])
    assert Path("results/released/test_latest/color/000000.png").exists()
    assert equal(torch.load("checkpoints/released/latest_net_actor.pth", weights_only=True), case["initial"])
    with pytest.raises(UserError, match="already"):
        import_neural_actor.main(["--checkpoint", str(tmp_path / "nerf_a.pt"), "--name", "released"])


def test_an_architecture_has_the_published_defaults():
    begin("run", "--arch", "joint_nerf", "--inputs_to_texture", "feat:0:16,attnout:0:12,ray:2:3:b",
          "--fixed-num-samples", "3", "--fixed-fine-num-samples", "2", "--n_epochs", "0")
    opt = json.loads(Path("checkpoints/run/train_opt.json").read_text())
    assert opt["hierarchical_sampling"] and not opt["use_local_coordinate"] and opt["min_dis_eps"] == 0.15
    assert any(name.startswith("field_fine.") for name in state("run")[1])


def test_a_second_pass_trains_too():
    begin("run", *RAW, "--hierarchical_sampling", "--use_fine_model", "--fixed_fine_num_samples", "4",
          "--hierarchical_loss", "--alpha_loss", "--reduce_fine_for_missed", "--clip_norm", "1", "--amp", "bf16")
    records = [json.loads(line) for line in Path("checkpoints/run/loss_log.jsonl").read_text().splitlines()]
    assert set(records[-1]["losses"]) == {"total", "color", "color_coarse", "alpha", "psnr"}


@pytest.mark.parametrize("change", ["--no_texture_to_deformation", "--additional_deform=none",
                                    "--no_use_local_coordinate", "--disable_projection", "--new_tpose=none",
                                    "--min_color=0", "--no_background_stop_gradient", "--black_background",
                                    "--nerf_style_mlp", "--L1"])
def test_each_switch_trains(change):
    begin("run", *RAW, change, "--max_dataset_size", "2")


@pytest.mark.parametrize("file, content, message", [
    ("canonical.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 4 3\n", "triangles only"),
    ("canonical.obj", "v 0 0\nf a b c\n", "line 2"), ("canonical.obj", "", "no faces"),
    ("canonical.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "same faces"),
    ("skinning_weight.txt", "1 0\n0 1\n", "2 rows"), ("skinning_weight.txt", "a b", "not readable"),
    ("transform_tpose.json", "{}", "joints_RT")])
def test_files_of_the_body_that_are_wrong_are_told_in_one_line(tmp_path, file, content, message):
    folder = tmp_path / "actor"
    folder.mkdir()
    for path in (GOLDEN / "dataroot").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / file).unlink()
    (folder / file).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        begin("run", *RAW, "--dataroot", str(folder))
    assert "\n" not in str(error.value)


def test_weights_that_do_not_add_up_are_told(tmp_path):
    rows = (GOLDEN / "dataroot/skinning_weight.txt").read_text().splitlines()
    path = tmp_path / "weights.txt"
    path.write_text("\n".join([rows[0], " ".join(["0.5"] * len(rows[0].split())), *rows[2:]]))
    with pytest.raises(UserError, match="row 2 add up to 12"):
        begin("run", *RAW, "--weights", str(path))


def changed(tmp_path, name, change):
    """A copy of the golden actor's folder with a file or folder changed by a function of its path."""
    folder = tmp_path / "actor"
    shutil.copytree(GOLDEN / "dataroot", folder)
    change(folder / name)
    return folder


def with_joint(path, joint, matrix):
    content = json.loads(path.read_text())
    for row in range(4):
        for column in range(4):
            content["joints_RT"][row][column][joint] = matrix[row][column]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name, change, message", [
    ("tex/000001.png", lambda path: path.unlink(), "tex: no picture of frame 1"),
    ("tex/000000.png", lambda path: path.write_bytes(b"no picture"), "000000.png: not readable"),
    ("rgb/000001", shutil.rmtree, "rgb: no folder of frame 1"),
    ("rgb/000000/0001.png", lambda path: path.write_bytes(b"no picture"), "0001.png: not readable"),
    ("transform/000001.json", lambda path: with_joint(path, 5, [[0] * 4] * 3 + [[0, 0, 0, 1]]), "at joint 5"),
    ("transform/000000.json", lambda path: path.write_text("{}"), "joints_RT"),
    ("pose/0001.txt", lambda path: path.write_text("1 0 0 0\n0 1 0 0\n0 0 1 50\n0 0 0 1\n"), "behind this camera"),
    ("pose/0001.txt", lambda path: path.write_text("1 0 0\n"), "0001.txt: 1 lines"),
    ("intrinsic", shutil.rmtree, "intrinsic")])
def test_data_that_are_wrong_are_told_in_one_line(tmp_path, name, change, message):
    folder = changed(tmp_path, name, change)
    with pytest.raises(UserError, match=message) as error:
        train.main(["--name", "run", *SMALL[:2], "--dataroot", str(folder), *SMALL[6:], *RAW, "--no_html",
                    "--max_update", "12", "--pixel_per_view", "16", "--subsample", "-1"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("arguments, message", [
    (("--disable_texture", "--inputs_to_density", "skin:0:4", "--inputs_to_texture", "feat:0:8"),
     "--begin_with_texture: there is no texture"),
    (("--hierarchical_sampling",), "--skin_depth: leaves pieces"),
    (("--inputs_to_density", "skin:0:4,height:3:2:b"), "height has a width of 2; with these options it is 1")])
def test_what_does_not_go_with_the_fast_preset_is_told(arguments, message):
    with pytest.raises(UserError, match=message):
        begin("run", *FAST, *arguments)
