"""Training and inference of video-to-video synthesis against what the published program computed."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch

from models.flow_teachers import Pairs
from models.schedules import Progress
from models.vid2vid_first_frame import FaceFirstFrame, ImageFirstFrame, read_features
from models.vid2vid_generation import ClipState, Load
from models.vid2vid_maps import face_box
from models.vid2vid_model import Vid2VidModel
from models.vid2vid_pictures import map_picture, pictures, written_map
from models.vid2vid_setup import learning_rate
from models.vid2vid_single_networks import Encoder, GlobalGenerator, GlobalGeneratorWithFeatures
from models.vid2vid_temporal import FrameHistory, Growth
from scripts.lab.published_vid2vid import PublishedVid2Vid
from tests.vid2vid_case import difference, parsed
from util.errors import UserError
from util.tensors import to_pixels


def in_range(opt, maps):
    """Bytes of a map as the network's input before it is encoded."""
    maps = maps.double()
    if opt.label_nc:
        return maps
    return maps / 255 if opt.dataset_mode == "face" else maps / 127.5 - 1


def batch_of(opt, case):
    """A batch of clips [B, T, C, H, W] from bytes."""
    batch = {"A": in_range(opt, case["maps"])}
    if case.get("images") is not None:
        batch["B"] = case["images"].double() / 127.5 - 1
    if case.get("instances") is not None:
        batch["inst"] = case["instances"]
    return batch


def standin(current, previous, _pairs: Pairs):
    """The flow network of the golden files."""
    a, b = current.mean(2), previous.mean(2)
    height, width = a.shape[-2:]
    y, x = torch.arange(height).double()[:, None], torch.arange(width).double()
    flow = torch.stack([1.5 * a - 0.5 * b + torch.sin(0.1 * y), 0.75 * b + torch.cos(0.1 * x)], 2)
    return flow, (a + b > -0.2003).double()[:, :, None]


def model_of(arguments, states, is_train=True, kind=Vid2VidModel):
    opt = parsed(f"{arguments} --gpu_ids -1 {'--no_vgg --flow_net still' if is_train else ''}", is_train)
    model = kind(opt)
    assert set(model.networks) == set(states)
    for name, network in model.networks.items():
        network.load_state_dict(states[name])
        network.double()
    if is_train:
        model.teacher = standin
        model.start_phase(model.phases()[0])
        model.set_learning_rates(Progress(1))
    return model


def relative(found, expected):
    return abs(float(found) - expected) / (1 + abs(expected))


def norm_of_gradients(optimizer):
    return sum(float(p.grad.square().sum()) for group in optimizer.param_groups for p in group["params"]
               if p.grad is not None) ** 0.5


def test_the_warp_loss_compares_with_the_frame_that_was_made_before(vid2vid_golden):
    case = torch.load(vid2vid_golden / "parts.pt", weights_only=True)["previous_generated"]
    clip = ClipState(FrameHistory(3, 1))
    for expected in (case["first_load"], case["later_load"]):
        assert torch.equal(clip.made_before(case["real_previous"], case["fake"]), expected)
        clip.history.add(case["fake"].shape[1])
        clip.carried = [case["carried_finest"]]


def test_training_computes_what_the_published_program_does(vid2vid_golden):
    for name, record in json.loads((vid2vid_golden / "training.json").read_text()).items():
        case = torch.load(vid2vid_golden / f"training_{name}.pt", weights_only=True)
        model = model_of(record["args"], case["state_dicts"])
        before = {label: {k: v.clone() for k, v in network.state_dict().items()} for label, network in
                  model.networks.items()}
        per_load = record["frames_per_load"]
        model.growth = Growth(record["n_frames_bp"], per_load, per_load)
        seen = watched(model)
        found = list(zip(record["loads"], model_steps(model, batch_of(model.opt, case))))
        assert len(found) == len(record["loads"])
        assert [call for load in record["loads"] for call in load["flow_network_calls"]] == seen["flow"], name
        channels = 3 * model.opt.n_frames_D + 2 * (model.opt.n_frames_D - 1)
        assert [[group[0], channels, *group[3:]] for load in record["loads"] for group in load["temporal_groups"]
                if group] == seen["stacks"], name
        for i, (expected, (losses, load, gradients)) in enumerate(found):
            tolerance = 1e-6 if i == 0 else 1e-5
            for label, value in expected["losses"].items():
                assert value == 0 or relative(losses[label], value) < tolerance, (name, i, label)
            assert {label for label in expected["losses"] if not label.startswith("G_T_Warp")} == set(losses)
            assert gradients == pytest.approx(expected["gradient_norms_G_D_DT"], rel=1e-5)
            if i == 0:
                for label, value in case["first_load"].items():
                    made = {"fake": load.images, "raw": load.raw, "flow": load.flow, "weight": load.weight}[label]
                    assert difference(made, value) < tolerance, (name, label)
        assert difference(found[-1][1][1].images, case["last_load"]["fake"]) < 5e-6
        for label, steps in case["steps_after_all_loads"].items():
            after = model.networks[label].state_dict()
            step = torch.cat([((after[k] - before[label][k]) / model.opt.lr).flatten() for k in steps])
            wanted = torch.cat([v.double().flatten() for v in steps.values()])
            assert (step - wanted).abs().mean() < 0.002 * wanted.abs().mean(), (name, label)
        for label, sums in record["checksums_after_sum_abs"].items():
            after = model.networks[label].state_dict()
            for entry, expected in sums.items():
                if "running" in entry or "num_batches" in entry:  # real images pass through D once, not twice
                    continue
                found_sums = [float(after[entry].sum()), float(after[entry].abs().sum())]
                tolerance = 0.05 * model.opt.lr * after[entry].numel() + 1e-6 * expected[1]
                assert found_sums == pytest.approx(expected, abs=tolerance), (name, label, entry)


def test_a_loss_of_pixels_is_added_on_request_and_changes_no_other(vid2vid_golden):
    name, record = next(iter(json.loads((vid2vid_golden / "training.json").read_text()).items()))
    case = torch.load(vid2vid_golden / f"training_{name}.pt", weights_only=True)
    found = []
    for weight in (0, 50):
        model = model_of(f"{record['args']} --lambda_L1 {weight}", case["state_dicts"])
        model.growth = Growth(record["n_frames_bp"], *[record["frames_per_load"]] * 2)
        found.append(next(model_steps(model, batch_of(model.opt, case))))
    (without, _, plain), (losses, load, gradients) = found
    real = batch_of(model.opt, case)["B"][:, model.opt.n_frames_G - 1:][:, :load.images.shape[1]]
    expected = sum(50 * (images - real).abs().mean() for images in load.kinds) * load.counted
    assert losses.pop("G_L1") == pytest.approx(float(expected.detach()))
    assert gradients[0] != pytest.approx(plain[0], rel=0.01)
    for label in losses:
        assert losses[label] == pytest.approx(float(without[label].detach())), label


def test_the_computation_that_speed_is_measured_against_is_the_published_one(vid2vid_golden):
    for name, record in json.loads((vid2vid_golden / "training.json").read_text()).items():
        case = torch.load(vid2vid_golden / f"training_{name}.pt", weights_only=True)
        model = model_of(record["args"], case["state_dicts"], kind=PublishedVid2Vid)
        per_load = record["frames_per_load"]
        model.growth = Growth(record["n_frames_bp"], per_load, per_load)
        for expected, (losses, _, gradients) in zip(record["loads"][:2], model_steps(model, batch_of(model.opt, case))):
            for label, value in expected["losses"].items():
                assert value == 0 or relative(losses[label], value) < 1e-5, (name, label)
            assert gradients == pytest.approx(expected["gradient_norms_G_D_DT"], rel=1e-5)


def watched(model):
    """Shapes of what the flow network and the temporal discriminators are given from now on."""
    seen, teacher, judged = {"flow": [], "stacks": []}, model.teacher, model.judged

    def teach(current, *others):
        seen["flow"].append(list(current.shape))
        return teacher(current, *others)

    def judge(name, real, *made):
        if name.startswith("D_T"):
            seen["stacks"].append(list(real.shape))
        return judged(name, real, *made)

    model.teacher, model.judged = teach, judge
    return seen


def model_steps(model, batch):
    """Losses, the load, and norms of gradients of each load."""
    for losses, load in model.train_clip(batch):
        active = ["G", "D", *[name for k, name in enumerate(model.temporal_names) if f"D_T_real{k}" in losses]]
        yield losses, load, [norm_of_gradients(model.optimizers[name]) for name in active]


def test_inference_gives_the_published_frames(vid2vid_golden):
    for name, case in torch.load(vid2vid_golden / "inference.pt", weights_only=True).items():
        model = model_of(f"{case['args']}".replace("--use_single_G", ""), case["state_dicts"], is_train=False)
        single, opt = case["single"], model.opt
        if single and "E" in single:
            generator, encoder = GlobalGeneratorWithFeatures(opt.input_nc, 16, 4, 2, 2), Encoder(3, 16, 4, 2)
            generator.load_state_dict(single["G"])
            encoder.load_state_dict(single["E"])
            features = {int(label): vectors.double() for label, vectors in single["features"].items()}
            model.first_frame = FaceFirstFrame(generator.double(), encoder.double(), features)
        elif single:
            generator = GlobalGenerator(opt.label_nc, 4, 2, 2)
            generator.load_state_dict(single["G"])
            model.first_frame = ImageFirstFrame(generator.double(), opt)
        statistics = {label: {k: v.clone() for k, v in network.named_buffers()} for label, network in
                      model.networks.items()}
        for number, sequence in enumerate(case["sequences"]):
            batch = batch_of(opt, {key: value[None] if torch.is_tensor(value) and value.ndim == 4 else value
                                   for key, value in sequence.items()})
            for i, expected in enumerate(sequence["generated"]):
                window = {key: value[:, i:i + opt.n_frames_G] for key, value in batch.items()}
                window |= {"sequence": [f"s{number}"], "image_path": [f"{i}.png"]}
                made = model.export(window)
                assert difference(model.carried[0][0, -1], expected) < 5e-6, (name, number, i)
                assert torch.equal(made.files[f"fake_B_{i}.jpg"], made.video_frames["fake_B"])
            for carried, expected in zip(model.carried, sequence.get("carried_after_last", ())):
                assert difference(carried[0], expected) < 5e-6
        for label, network in model.networks.items():
            assert all(torch.equal(statistics[label][k], v) for k, v in network.named_buffers())


class Evil:
    def __reduce__(self):
        return print, ("this ran",)


def test_features_of_faces_are_read_as_arrays_and_nothing_else(tmp_path, capsys):
    table = {label: np.arange(34, dtype=np.float32).reshape(2, 17) + label for label in range(7)}
    np.save(tmp_path / "features.npy", table)
    found = read_features(tmp_path / "features.npy")
    assert sorted(found) == list(range(7)) and (found[6].numpy() == table[6]).all()
    np.save(tmp_path / "evil.npy", {0: Evil()})
    for name, message in (("evil.npy", "print is no array"), ("missing.npy", "no such file")):
        with pytest.raises(UserError, match=f"{name}: .*{message}"):
            read_features(tmp_path / name)
    np.save(tmp_path / "numbers.npy", np.arange(3))
    with pytest.raises(UserError, match="numbers.npy: not a table of features"):
        read_features(tmp_path / "numbers.npy")
    assert "this ran" not in capsys.readouterr().out


def test_first_frames_of_faces_and_streets_are_found_where_they_were_published(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, networks in (("label2city_single", {"G_512": GlobalGenerator(35, n_blocks=1)}),
                             ("edge2face_single", {"G": GlobalGeneratorWithFeatures(15, 16, n_blocks=1),
                                                   "E": Encoder(3, 16)})):
        (tmp_path / "checkpoints" / folder).mkdir(parents=True)
        for name, network in networks.items():
            torch.save(network.state_dict(), tmp_path / "checkpoints" / folder / f"latest_net_{name}.pth")
    np.save(tmp_path / "checkpoints/edge2face_single/features.npy", {i: np.zeros((2, 17)) for i in range(7)})
    small = "--gpu_ids -1 --use_single_G --n_blocks 1 --ngf 2 --n_downsample_G 1"
    street = Vid2VidModel(parsed(f"{small} --label_nc 35 --dataroot data/Cityscapes", is_train=False))
    assert street.first_frame(torch.zeros(1, 36, 32, 32), None, None).shape == (1, 3, 32, 32)
    face = Vid2VidModel(parsed(f"{small} --input_nc 15 --dataroot data/face --dataset_mode face", is_train=False))
    made = face.first_frame(torch.zeros(1, 15, 32, 32), torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32))
    assert made.shape == (1, 3, 32, 32)
    with pytest.raises(UserError, match="--use_single_G: found no real first frames"):
        face.first_frame(torch.zeros(1, 15, 32, 32), None, None)


def test_pictures_are_the_published_ones(vid2vid_golden):
    arrays = np.load(vid2vid_golden / "visuals.npz")
    for name, arguments in json.loads(str(arrays["args"])).items():
        opt, maps = parsed(arguments), torch.from_numpy(arrays[f"{name}/maps"])
        given = {key.split("/")[1]: torch.from_numpy(arrays[key]) for key in arrays.files
                 if key.startswith(f"{name}/") and key.count("/") == 1}
        wanted = {key.split("/")[2]: arrays[key] for key in arrays.files if key.startswith(f"{name}/pictures/")}
        box = face_box(maps[0], opt.fine_size, opt.openpose_only) if opt.add_face_disc else None
        assert (written_map(maps[0, -1], opt.label_nc) == given["test_real_A"].numpy()).all()
        found = {"input_image": map_picture(maps[0, -1], opt, box)}
        if "fake" in given:
            load = Load(given["fake"], given["raw"], given["flow"], given["weight"], [])
            made = pictures(opt, maps[0, -1], given["fake_first"], load, given["real"][0, -1], given["flow_ref"][0, -1],
                            given["conf_ref"][0, -1], box)
            found = {label: to_pixels(image) for label, image in made.items()}
        assert set(found) == set(wanted)
        for label, picture in wanted.items():
            ours = found[label][..., 0] if picture.ndim < found[label].ndim else found[label]
            if label == "input_image" and opt.use_instance:  # edges are white here, not one level darker
                edges = maps[0, -1, -1].numpy() > 0
                assert (ours[edges] == 255).all() and (ours[~edges] == picture[~edges]).all()
            else:
                assert (ours == picture).all(), (name, label)


def test_lines_of_the_loss_log_are_the_published_ones(vid2vid_golden):
    for case in json.loads((vid2vid_golden / "log_lines.json").read_text()).values():
        record = {"items" if key == "iters" else key: value for key, value in case.items() if key != "line"}
        record["step"] = 7 * record["items"]
        assert Vid2VidModel.log_line(record) == case["line"]


def test_learning_rates_fall_as_published(vid2vid_golden):
    for case in json.loads((vid2vid_golden / "schedules.json").read_text())["learning_rate"]:
        opt = parsed(f"--niter {case['niter']} --niter_decay {case['niter_decay']} --lr {case['lr']}")
        rates = case["lr_of_epochs_1_to_end"]
        factor = learning_rate(opt, range(1, len(rates) + 1))
        assert [opt.lr * factor(Progress(epoch)) for epoch in range(1, len(rates) + 1)] == pytest.approx(rates)


@pytest.mark.parametrize("channels, shown", [(1, [0]), (2, [0]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_of_any_other_map_the_first_three_channels_are_shown_or_the_first(channels, shown):
    maps = torch.arange(channels * 6).reshape(channels, 2, 3) / 255
    picture = map_picture(maps, Namespace(label_nc=0, dataset_mode="temporal"))
    assert picture.reshape(2, 3, -1).transpose(2, 0, 1).tolist() == [
        [[6 * k, 6 * k + 1, 6 * k + 2], [6 * k + 3, 6 * k + 4, 6 * k + 5]] for k in shown]
