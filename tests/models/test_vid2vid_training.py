"""Runs of video-to-video synthesis through train.py and test.py: stages, continuation, export."""

import hashlib
import json
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import test as test_program
import train
from data.loading import create_dataset, resolved
from models.base_model import Phase
from models.gan_losses import even_weights
from models.schedules import Progress
from models.vid2vid_cost import frame_cost
from models.vid2vid_first_frame import features_of_parts, read_features
from models.vid2vid_generation import loads
from models.vid2vid_layers import kinds_of_layer
from models.vid2vid_model import SINGLE, Vid2VidModel
from models.vid2vid_setup import frame_gpus, learning_rate, make_single_generator, make_single_networks
from models.vid2vid_temporal import Growth
from options.train_options import TrainOptions
from scripts.lab.check_reliability import equal
from tests.program import ROOT
from tests.vid2vid_case import parsed
from util.clips import gpus_of_a_clip
from util.errors import UserError

DATA = ROOT / "tests/golden_vid2vid/data"
NETWORKS = ("--model", "vid2vid", "--gpu_ids", "-1", "--ngf", "4", "--ndf", "4", "--n_blocks", "2", "--n_blocks_local",
            "1", "--n_downsample_G", "2")
SMALL = (*NETWORKS, "--num_threads", "0", "--display_id", "0", "--no_html", "--print_freq", "1steps")
LABELS = ("--dataroot", "street", "--phase", "clip", "--label_nc", "35", "--use_instance", "--fg")
STREET = (*SMALL, *LABELS)
LEARNING = ("--no_vgg", "--flow_net", "dis", "--n_frames_total", "2", "--max_frames_per_gpu", "2",
            "--max_frames_backpropagate", "2", "--niter_step", "1", "--n_frames_D", "2")
TINY = ("--loadSize", "64", "--niter", "1", "--niter_decay", "0", "--num_D", "1")
FINE = ("--loadSize", "64", "--niter", "2", "--niter_decay", "1", "--num_D", "2", "--n_scales_spatial", "2",
        "--niter_fix_global", "1", "--load_pretrain", "checkpoints/coarse", "--niter_single", "1", "--netG_single",
        "local")


class Killed(BaseException):
    """As SIGKILL, nobody expects it."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a street, a coarse run on it, and a run from coarse to fine that nothing broke off."""
    folder = tmp_path_factory.mktemp("vid2vid")
    shutil.copytree(DATA / "street", folder / "street")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.main(["--name", "coarse", *STREET, *LEARNING, *TINY])
        train.main(["--name", "whole", *STREET, *LEARNING, *FINE])
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def weights(name, label="latest"):
    return {path.name.removeprefix(f"{label}_net_"): torch.load(path, weights_only=True)
            for path in Path("checkpoints", name).glob(f"{label}_net_*.pth")}


def state(name):
    return torch.load(Path("checkpoints", name, "latest_state.pth"), weights_only=True) | weights(name)


@pytest.mark.parametrize("step", [2, 5, 8])
def test_a_run_killed_in_any_stage_goes_on_to_the_same_bits(folder, monkeypatch, step):
    steps, optimize = [], Vid2VidModel.optimize_parameters

    def counted(model, batch):
        losses = optimize(model, batch)
        steps.append(batch["A"].shape[1])
        if len(steps) == step:
            raise Killed
        return losses

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Vid2VidModel, "optimize_parameters", counted)
        train.main(["--name", "killed", *STREET, *LEARNING, *FINE, "--overwrite", "--save_latest_minutes", "0"])
    train.main(["--name", "killed", "--continue_train"])
    assert equal(state("killed"), state("whole"))
    if step == 5:
        assert steps[0] < steps[-1], "clips grow"


def test_coarse_generators_wait_for_their_turn_and_begin_with_the_weights_of_the_stage_before(folder):
    coarse = weights("coarse")["G0.pth"]

    def moved(label):
        trained = weights("whole", label)["G0.pth"]
        return any(not torch.equal(trained[name], tensor) for name, tensor in coarse.items() if "running" not in name
                   and "num_batches" not in name)

    assert not moved("1") and moved("2")
    before, after = weights("coarse")["D.pth"], weights("whole", "1")["D.pth"]
    assert set(before) < set(after)  # of the scale with index 0, the coarsest in either
    lines = Path("checkpoints/whole/loss_log.txt").read_text().splitlines()
    assert lines[0].startswith("(epoch: 1, iters: 1, time: ") and " D_fake: " in lines[0]
    assert lines[-1].startswith("(epoch: 4, iters: 2, time: "), "samples of the epoch"
    assert any("D_T_real1" in line for line in lines), "there are several temporal scales"
    assert {name for name in state("whole")["optimizers"]} == {"G_single", "D_single"}, "those of the last phase alone"


def test_published_weights_alone_make_a_video_of_each_sequence(folder):
    published = Path("checkpoints/published")
    published.mkdir()
    for name in ("latest_net_G0.pth", "latest_net_G1.pth"):
        counters = {entry: value for entry, value in
                    torch.load(Path("checkpoints/whole", name), weights_only=True).items()
                    if not entry.endswith("num_batches_tracked")}
        torch.save(counters, published / name)
    command = ["--name", "published", *NETWORKS, *LABELS, "--loadSize", "64", "--n_scales_spatial", "2",
               "--use_real_img"]
    test_program.main(command)
    results = Path("results/published/clip_latest")
    made = {path.relative_to(results): path.read_bytes() for path in results.rglob("fake_B_*.jpg")}
    assert len(made) == 5 + 3
    first = "aachen_000001/fake_B_aachen_000001_000002_gtFine_labelIds.jpg"
    assert Path(first) in made
    assert (results / first.replace("fake_B", "real_A").replace(".jpg", ".png")).exists()
    assert (results / "bremen_000002/videos/fake_B.webm").exists()
    test_program.main([*command, "--start_frame", "2"])  # another beginning, but not of the second sequence
    again = {path.relative_to(results): path.read_bytes() for path in results.rglob("fake_B_*.jpg")}
    assert len(again) == 3 + 3
    assert all((again[path] == made[path]) == (path.parts[0] == "bremen_000002") for path in again)


def test_first_frames_must_come_from_somewhere(folder):
    coarse = ["--name", "coarse", "--gpu_ids", "-1", "--phase", "clip"]
    with pytest.raises(UserError, match="^--use_real_img: not given"):
        test_program.main([*coarse])
    with pytest.raises(UserError, match="^--use_single_G: no .*latest_net_G_single.pth, .*should hold City or face"):
        test_program.main([*coarse, "--use_single_G"])
    with pytest.raises(UserError, match="label2city_single/latest_net_G_512.pth: no such checkpoint"):
        test_program.main([*coarse, "--use_single_G", "--single_G_dir", "label2city_single", "--loadSize", "512"])


def test_first_frames_come_from_the_generator_that_the_run_has_trained(folder):
    def made(*options):
        test_program.main(["--name", "whole", "--gpu_ids", "-1", "--phase", "clip", *options])
        return [path.read_bytes() for path in sorted(Path("results/whole/clip_latest").rglob("fake_B_*.jpg"))]

    of_its_own, real = made("--use_single_G"), made("--use_real_img")
    assert len(of_its_own) == len(real) == 5 + 3 and of_its_own != real
    assert made("--use_single_G", "--single_G_dir", "checkpoints/whole") == of_its_own
    records = [json.loads(line) for line in Path("checkpoints/whole/loss_log.jsonl").read_text().splitlines()]
    of_images = [record for record in records if record["phase"] == "first frames"]
    assert {record["epoch"] for record in of_images} == {4}
    assert set(of_images[-1]["losses"]) == {"G_GAN", "G_GAN_Feat", "G_VGG", "D_real", "D_fake"}


@pytest.mark.parametrize("arguments, fingerprint", [
    ("", "9cf726a0653c"), ("--n_downsample_G 4", "efef468647fa"),
    ("--n_downsample_G 4 --netG_single local", "e1eff03bc2b2")])
def test_the_generator_of_first_frames_is_the_published_one_with_published_options(arguments, fingerprint):
    with torch.device("meta"):
        weights = make_single_generator(parsed(f"--label_nc 35 {arguments}")).state_dict()
    text = "\n".join(sorted(f"{name} {tuple(value.shape)}" for name, value in weights.items()))
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == fingerprint


def test_the_published_networks_of_first_faces_are_trained_with_their_options():
    opt = parsed("--input_nc 15 --label_feat --feat_num 16 --nef 16 --n_downsample_E 4")
    with torch.device("meta"):
        networks = make_single_networks(opt)
    found = {name: hashlib.sha256("\n".join(sorted(f"{entry} {tuple(value.shape)}" for entry, value in
                                                   networks[name].state_dict().items())).encode()).hexdigest()[:12]
             for name in ("G_single", "E_single")}
    assert found == {"G_single": "33fcf20ddebf", "E_single": "630fb52e9499"}


@pytest.mark.parametrize("kind", ["global", "local"])
def test_a_face_begins_with_the_look_that_an_encoder_has_learned(tmp_path, monkeypatch, kind):
    shutil.copytree(DATA / "face", tmp_path / "face")
    monkeypatch.chdir(tmp_path)
    command = [*SMALL, *LEARNING, "--dataroot", "face", "--dataset_mode", "face", "--phase", "clip", "--input_nc", "15",
               "--loadSize", "64", "--num_D", "1", "--niter", "0", "--niter_decay", "0", "--niter_single", "2",
               "--netG_single", kind, "--label_feat", "--feat_num", "2", "--nef", "2", "--n_downsample_E", "1"]
    train.main(["--name", "whole", *command])
    steps, optimize = [], Vid2VidModel.optimize_parameters

    def counted(model, batch):
        steps.append(model.epoch)
        if len(steps) == 4:  # the second one of the last epoch: half of the features are known
            raise Killed
        return optimize(model, batch)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Vid2VidModel, "optimize_parameters", counted)
        train.main(["--name", "killed", *command, "--save_latest_minutes", "0"])
    assert steps == [1, 1, 2, 2]
    train.main(["--name", "killed", "--continue_train"])
    assert equal(state("killed"), state("whole")) and "E_single.pth" in weights("whole")
    tables = [Path("checkpoints", name, "features.npy").read_bytes() for name in ("killed", "whole")]
    assert tables[0] == tables[1]
    found = read_features(Path("checkpoints/whole/features.npy"))
    assert list(found) == list(range(7)) and {len(vectors) for vectors in found.values()} == {len(found[0])}
    shares = torch.stack([vectors[:, 2] for vectors in found.values()])
    torch.testing.assert_close(shares.sum(0), torch.ones(len(found[0]), dtype=torch.float64))
    test_program.main(["--name", "whole", "--gpu_ids", "-1", "--phase", "clip", "--use_single_G", "--num_test", "2"])
    assert len(list(Path("results/whole/clip_latest").rglob("fake_B_*.jpg"))) == 2


def test_features_belong_to_parts():
    parts = torch.tensor([[0, 0, 1], [1, 1, 1]]).view(1, 1, 2, 3)
    rows = features_of_parts(torch.stack([10.0 + parts[0, 0], 5.0 - parts[0, 0]])[None], parts)
    assert rows.shape == (1, 7, 3) and rows[0, 2:].eq(0).all()
    torch.testing.assert_close(rows[0, :2], torch.tensor([[10, 5, 1 / 3], [11, 4, 2 / 3]]))


def test_faces_and_poses_train_and_are_exported(tmp_path, monkeypatch):
    for kind, more in (("face", ("--input_nc", "15", "--TTUR")),
                       ("pose", ("--input_nc", "6", "--no_first_img", "--add_face_disc", "--resize_or_crop",
                                 "scaleHeight", "--checkpoint_activations", "--sparse_D"))):
        shutil.copytree(DATA / kind, tmp_path / kind)
        monkeypatch.chdir(tmp_path)
        data = ("--dataroot", kind, "--dataset_mode", kind, "--phase", "clip")
        train.main(["--name", kind, *SMALL, *LEARNING, "--niter", "1", "--niter_decay", "0", *data, "--num_D", "1",
                    "--loadSize", "64", *more])
        test_program.main(["--name", kind, "--gpu_ids", "-1", "--phase", "clip", "--num_test", "2",
                           *(["--use_real_img"] if kind == "face" else [])])
        assert len(list(Path("results", kind, "clip_latest").rglob("fake_B_*.jpg"))) == 2
        assert len(list(Path("results", kind, "clip_latest").rglob("real_A_*.jpg"))) == 2


def test_flow_may_lie_in_files_beside_the_data(tmp_path, monkeypatch):
    shutil.copytree(DATA / "street", tmp_path / "street")
    monkeypatch.chdir(tmp_path)
    command = ["--name", "files", *STREET, *LEARNING, *TINY, "--no_flip", "--flow_net", "files"]
    with pytest.raises(UserError, match="street/clip_flow"):
        train.main(command)
    for path in Path("street/clip_A").rglob("*.png"):
        with Image.open(path) as picture:
            flow = np.zeros((picture.height, picture.width, 2), np.float32)
        flow[..., 0] = 8 * picture.width / 64  # 8 pixels of the frames that networks see
        Path("street/clip_flow", path.parent.name).mkdir(parents=True, exist_ok=True)
        np.save(Path("street/clip_flow", path.parent.name, f"{path.stem}.npy"), flow)
    train.main(command)
    first = json.loads(Path("checkpoints/files/loss_log.jsonl").read_text().splitlines()[0])
    assert first["losses"]["F_Flow"] > 0
    dataset = create_dataset(resolved(TrainOptions().parse([*command, "--name", "files_again"])))
    assert (dataset.item(0, None, 1)["flow"][:, 0] == 8).all() and (dataset.item(0, None, 1)["flow"][:, 1] == 0).all()


# Without files.


def noise(opt, frames, size=16, batch=1):
    torch.manual_seed(0)
    return {"A": torch.rand(batch, frames, opt.input_nc, size, size) * 2 - 1,
            "B": torch.rand(batch, frames, 3, size, size) * 2 - 1, "image_path": ["0.png"]}


def small_model(arguments=""):
    torch.manual_seed(0)
    model = Vid2VidModel(parsed(f"--gpu_ids -1 --no_vgg --flow_net still --ngf 2 --ndf 2 --n_blocks 2 --num_D 1 "
                                f"--n_downsample_G 2 --n_blocks_local 1 {arguments}"))
    model.start_phase(model.phases()[0])
    return model


@pytest.mark.parametrize("n_frames_bp, flows_back", [(1, False), (2, True)])
def test_gradients_reach_the_frame_before_where_they_may(n_frames_bp, flows_back):
    model = small_model()
    batch = noise(model.opt, 4)
    maps, real = model.clip(batch)
    maps.requires_grad_()
    load = model.frames(maps, model.given_first_frames(real, maps), n_frames_bp)
    load.images[:, 1].sum().backward()
    assert (maps.grad[:, 0] != 0).any() == flows_back  # the first map is only seen by the first frame


def test_a_step_computes_gradients_of_what_it_trains_alone(monkeypatch):
    model, found, step = small_model(), [], Vid2VidModel.gradient_step

    def watched(model, loss, name, **options):
        step(model, loss, name, **options)
        found.append({label for label, network in model.networks.items()
                      if any(parameter.grad is not None for parameter in network.parameters())})

    monkeypatch.setattr(Vid2VidModel, "gradient_step", watched)
    model.optimize_parameters(noise(model.opt, 3))
    assert found == [{"G0"}, {"G0", "D"}]


def test_frames_of_a_load_take_turns_on_copies_of_the_generators():
    model = small_model("--n_scales_spatial 2")
    batch = noise(model.opt, 6)
    maps, real = model.clip(batch)
    given = model.given_first_frames(real, maps)
    alone, shared = (model.frames(maps, given, 2, replicas=replicas, per_replica=3)
                     for replicas in (None, [model.frames, model.frames]))
    assert torch.equal(alone.images, shared.images) and torch.equal(alone.carried[1], shared.carried[1])


@pytest.mark.parametrize("ids, n_gpus_gen, batch_size, frames, gpus", [
    ([0, 1, 2, 3, 4, 5, 6, 7], 6, 1, [1, 2, 3, 4, 5, 6], 6), ([0, 1], -1, 1, [0, 1], 2), ([0, 1], -1, 2, [], 1),
    ([0], -1, 1, [], 1), ([], 6, 1, [], 6)])
def test_gpus_are_shared_between_generators_and_discriminators(ids, n_gpus_gen, batch_size, frames, gpus):
    opt = Namespace(gpu_ids=ids, n_gpus_gen=n_gpus_gen, batch_size=batch_size)
    assert (frame_gpus(opt), gpus_of_a_clip(opt)) == (frames, gpus)


def test_activations_that_are_computed_again_change_nothing():
    found = []
    for arguments in ("", "--checkpoint_activations"):
        model = small_model(f"--n_scales_spatial 2 {arguments}")
        model.growth = Growth(2, 2, 2)
        model.optimize_parameters(noise(model.opt, 6))
        found.append({name: p.detach().clone() for name, p in model.frames.named_parameters()})
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-6) for name in found[0])


@pytest.mark.parametrize("arguments", [
    "--n_scales_temporal 0", "--n_frames_G 2 --n_frames_D 2", "--no_flow --norm instance",
    "--gan_mode hinge --no_ganFeat", "--gan_mode original --n_scales_temporal 1"])
def test_other_shapes_of_training_run_through_several_loads(arguments):
    model = small_model(arguments)
    model.growth = Growth(2, 2, 2)
    found = [losses for losses, _ in model.train_clip(noise(model.opt, 9))]
    assert len(found) > 3 and all(loss.isfinite() for losses in found for loss in losses.values())


def test_flow_may_come_with_the_data_and_longer_steps_are_put_together():
    model = small_model("--flow_net files --n_frames_D 2")
    batch = noise(model.opt, 8)
    with pytest.raises(UserError, match="^--flow_net files: found no `flow` in items of --dataset_mode temporal"):
        model.optimize_parameters(batch)
    batch["flow"] = torch.zeros(1, 8, 2, 16, 16)
    batch["flow"][:, :, 0] = torch.arange(8.0)[:, None, None]
    maps, real = model.clip(batch)
    flow, _ = model.teacher(real[:, [5]], real[:, [3]], [[(5, 3)]])
    assert flow.shape == (1, 1, 2, 16, 16) and (flow[:, :, 0] == 5 + 4).all()
    model.growth = Growth(1, 3, 3)
    assert model.optimize_parameters(batch)["F_Flow"].isfinite()


def test_half_precision_trains_to_finite_losses():
    model = small_model("--amp bf16 --n_scales_spatial 2")
    model.growth = Growth(1, 2, 2)
    losses = model.optimize_parameters(noise(model.opt, 6, size=32))
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())


def test_without_discriminators_pixels_and_flicker_alone_are_learned_from():
    model = small_model("--num_D 0 --n_scales_temporal 1 --lambda_L1 100 --netG unet --no_flow --niter_single 1")
    assert not [name for name in model.networks if name[0] == "D" and name != "D_single"]
    assert set(model.optimizers) == {"G"}
    batch = noise(model.opt, 5)
    losses = [float(model.optimize_parameters(batch)["G_L1"]) for _ in range(12)]
    assert losses[-1] < 0.95 * losses[0]
    assert {name for name, loss in model.optimize_parameters(batch).items() if loss} == {"G_L1", "G_Warp"}
    model.start_phase(model.phases()[-1])
    assert model.phase.name == SINGLE and {"G_GAN", "D_real"} <= set(model.optimize_parameters(batch))
    assert "discriminators" not in frame_cost(model.opt, (16, 16)).flop


def test_of_layers_person_shadow_and_what_is_empty_count_alike():
    layers = torch.full((2, 3, 4, 20, 20), -1.0)  # two clips of three frames
    layers[..., 3, :4, :10], layers[..., 3, 10, :] = 1, 0  # a tenth person, a twentieth shadow
    weights = even_weights(kinds_of_layer(layers))
    assert weights.shape == (2, 3, 1, 20, 20) and weights.mean() == pytest.approx(1)
    for kind in (layers[..., 3:, :, :] == value for value in (-1, 0, 1)):
        assert weights[kind].sum() == pytest.approx(weights.numel() / 3)
    layers[..., 3, 10, 1:] = -1  # hardly any shadow is not worth a third
    assert even_weights(kinds_of_layer(layers)).max() < 40


def test_parts_of_a_face_count_alike():
    model = small_model("--dataset_mode face --lambda_L1 3 --num_D 0")
    parts, real = torch.zeros(1, 2, 1, 10, 10), torch.zeros(1, 2, 3, 10, 10)
    parts[..., 5, :5], parts[:, 1, :, 9, :8] = 4, 5  # 10 pixels of eyes, 8 of the mouth, 182 of the background
    kinds = model.kinds_of_pixels({"inst": parts}, real)
    assert kinds.shape == (1, 2, 7, 10, 10) and kinds.sum((0, 1, 3, 4)).tolist() == [182, 0, 0, 0, 10, 8, 0]
    for part in (0, 4, 5):
        made = torch.where(parts == part, 0.5, real)
        assert model.pixel_loss(kinds, real, made)["G_L1"].item() == pytest.approx(3 * 0.5 / 3)
    assert small_model("--dataset_mode temporal").kinds_of_pixels({}, real).all()  # where nothing is known


def test_ttur_and_the_optimisers_that_a_phase_keeps():
    model = small_model("--TTUR --n_scales_spatial 2 --niter_fix_global 3")
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in model.optimizers.items()}
    assert rates == {"G": 1e-4, "D": 4e-4, "D_T0": 2e-4, "D_T1": 2e-4}
    finest, everything = model.phases()
    assert (finest.epochs, everything.epochs) == (range(1, 4), range(4, 21))
    model.optimize_parameters(noise(model.opt, 4))
    moments = len(model.optimizers["D"].state)
    model.start_phase(everything)
    assert moments and len(model.optimizers["D"].state) == moments and not model.optimizers["G"].state
    assert all(p.requires_grad for p in model.frames.parameters())


@pytest.mark.parametrize("change, message", [
    (lambda batch: batch.update(A=batch["A"][:, :2], B=batch["B"][:, :2]), "found a clip of 2 frames"),
    (lambda batch: batch.update(A=batch["A"][:, :, :2]), "found maps of 2 channels; expected --input_nc 3"),
    (lambda batch: batch.update(A=batch["A"][..., :14]), "found frames of 14x16 pixels; expected multiples of 4"),
])
def test_clips_that_do_not_fit_are_told(change, message):
    model = small_model()
    batch = noise(model.opt, 4)
    change(batch)
    with pytest.raises(UserError, match=f"^0.png: {message}"):
        model.optimize_parameters(batch)


def test_labels_that_are_too_large_are_told():
    model = small_model("--label_nc 3")
    batch = noise(model.opt, 4) | {"A": torch.full((1, 4, 1, 16, 16), 3.0)}
    with pytest.raises(UserError, match="^0.png: found label 3; expected labels below --label_nc 3"):
        model.optimize_parameters(batch)


def test_a_clip_is_split_into_loads_that_overlap_by_the_maps_that_come_before():
    assert list(loads(6, 3, 2)) == [(0, 4), (2, 6)]
    assert list(loads(7, 3, 4)) == [(0, 6), (4, 7)]


def test_two_processes_compute_what_one_does(tmp_path):
    code = ("import json, sys, torch; from tests.models.test_vid2vid_training import *; from util import distributed\n"
            "with distributed.joined():\n"
            "    model = small_model('--batch_size 2'); batch = noise(model.opt, 6, batch=2)\n"
            "    own = slice(distributed.rank() * 2 // distributed.count(), (distributed.rank() + 1) * 2 // "
            "distributed.count())\n"
            "    batch = {k: v[own] if torch.is_tensor(v) else v for k, v in batch.items()}\n"
            "    model.growth = Growth(1, 2, 2)\n"
            "    losses = distributed.average(model.optimize_parameters(batch))\n"
            "    print(json.dumps({k: float(v) for k, v in losses.items()}), flush=True)\n")
    (tmp_path / "step.py").write_text(code)
    found = []
    for launcher in ([], ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]):
        result = subprocess.run([sys.executable, *launcher, tmp_path / "step.py"], cwd=ROOT, capture_output=True,
                                text=True, timeout=120, env={**__import__("os").environ, "PYTHONPATH": str(ROOT)})
        assert result.returncode == 0, result.stderr
        found.append(json.loads(result.stdout.strip().splitlines()[-1]))
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_phases_are_those_that_have_epochs():
    model = small_model("--niter_fix_global 3")
    assert [phase.name for phase in model.phases()] == ["training"]
    assert isinstance(model.phases()[0], Phase)


def test_half_a_cosine_ends_with_the_last_step_however_few_epochs_there_are():
    opt = parsed([*NETWORKS, "--lr_policy", "cosine", "--niter", "1", "--niter_decay", "0"])
    rate = learning_rate(opt, range(1, 2))
    assert [rate(Progress(1, step, 8)) for step in (0, 4, 8)] == pytest.approx([1, 0.5, 0])
