"""From a clip to somebody's layer in another one's dance: dataset, training, export, and retiming of that."""

import json
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
import retime
import test as test_program
import train
from data import dance_dataset
from data.dance_dataset import About, DanceDataset, premultiplied, scaled
from data.image_sequences import Draws
from data.layer_folder import LayerFolder
from data.loading import create_dataset, resolved
from data.pose_files import skeletons_in
from datasets import make_pose_dataset
from datasets.make_vid2vid_sample import make_sample
from models import create_model, vid2vid_layers
from models.vid2vid_layers import straight
from options.test_options import TestOptions
from options.train_options import TrainOptions
from util.errors import UserError
from util.images import read_image

NETWORKS = ("--model", "vid2vid", "--gpu_ids", "-1", "--ngf", "4", "--ndf", "4", "--n_blocks", "2", "--n_downsample_G",
            "2", "--num_D", "1")
LEARNING = ("--dataset_mode", "dance", "--no_vgg", "--flow_net", "dis", "--n_frames_total", "2", "--niter", "1",
            "--niter_decay", "0", "--n_scales_temporal", "0", "--max_dataset_size", "2", "--num_threads", "0",
            "--display_id", "0", "--no_html")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A folder with clips of her and of a driver, her dataset, and a run on it."""
    folder = tmp_path_factory.mktemp("dance")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_sample("dance", "clips", sequences=2, frames=12, height=96, seed=2)
        make_pose_dataset.make_dataset(make_pose_dataset.parse(["clips/her", "--dataroot", "her", "--test", "0.25"]))
        train.main(["--name", "run", "--dataroot", "her", *NETWORKS, *LEARNING])
    return folder


@pytest.fixture
def folder(studio, monkeypatch):
    monkeypatch.chdir(studio)
    return studio


def item(phase, k=0, whole=False, **options):
    opt = Namespace(dataroot="her", phase=phase, is_train=phase == "train", n_frames_G=3, n_frames_total=2,
                    niter_step=10, max_frames_per_gpu=1, max_t_step=1, gpu_ids=[], batch_size=1, n_gpus_gen=-1,
                    max_dataset_size=float("inf"), input_nc=6, output_nc=4, resize_or_crop="none", fine_size=64,
                    load_size=64, no_flip=True, random_drop_prob=0.0, vary_size=False, densepose_only=False,
                    openpose_only=False, basic_point_only=False, remove_face_labels=False, flow_net="dis",
                    start_frame=0, driver=None, driver_person=None, n_scales_spatial=1, n_downsample_G=2,
                    use_real_img=False)
    vars(opt).update(options)
    data = DanceDataset(opt)
    return data if whole else data[k]


def test_her_layer_over_the_plate_is_the_frame(folder):
    frame, layer, plate = (read_image(path, "RGBA")[..., :4].astype(float) for path in (
        "her/train_img/part_01/0004.png", "her/train_layer/part_01/0004.png", "her/plate.png"))
    alpha = layer[..., 3:] / 255
    made = layer[..., :3] * alpha + plate[..., :3] * (1 - alpha)
    assert np.abs(made - frame[..., :3]).mean() < 2.5
    truth = read_image("clips/her/layer_01/0004.png", "RGBA")[..., 3]
    assert np.abs(layer[..., 3] - truth).mean() < 4
    shadow = (truth > 60) & (truth < 140)
    assert (layer[..., 3] > 30)[shadow].mean() > 0.2  # of a few small frames


def test_layers_that_were_trained_are_taken_as_they_are(folder):
    """The true layers stand for trained ones; what lies in a folder of other frames is refused."""
    words = ["clips/her", "--dataroot", "true", "--layers", "clips/her"]
    make_pose_dataset.make_dataset(make_pose_dataset.parse(words))
    made, given = (read_image(path, "RGBA").astype(int) for path in (
        "true/train_layer/part_01/0004.png", "clips/her/layer_01/0004.png"))
    seen = given[..., 3] > 8
    np.testing.assert_allclose(made[..., 3], given[..., 3], atol=1)
    np.testing.assert_allclose(made[seen], given[seen], atol=1)
    with pytest.raises(UserError, match="--layers clips/driver: 12 frames"):
        make_pose_dataset.make_dataset(make_pose_dataset.parse(
            ["clips/her", "--dataroot", "other", "--layers", "clips/driver"]))


def test_items_hold_all_of_a_layer(folder):
    made = item("train")
    about, box = About.read(Path("her")), None
    assert made["A"].shape[:2] == (4, 6) and made["B"].shape[1] == 4
    assert made["A"].shape[2:] == made["B"].shape[2:] and all(side % 32 == 0 for side in made["B"].shape[2:])
    whole = premultiplied(read_image("her/train_layer/part_01/0001.png", "RGBA"))
    assert about.size == (whole.shape[2], whole.shape[1])
    kept, there = (made["B"][0, 3] + 1).sum(), (whole[3] + 1).sum()
    assert kept > 0.97 * there
    box = item("test")["box"]
    assert (box[2] - box[0]) % 32 == 0 and box[2] <= about.size[0]


def test_poses_are_drawn_once_and_parts_are_left_out_at_random(folder, monkeypatch):
    count, draw = [], dance_dataset.draw_body
    monkeypatch.setattr(dance_dataset, "draw_body", lambda *given: count.append(1) or draw(*given))
    data = item("train", whole=True)
    first, again = data.item(0, np.random.default_rng(1), 1), data.item(0, np.random.default_rng(1), 1)
    assert len(count) == 4 and torch.equal(first["A"], again["A"])
    with_gaps = item("train", whole=True, random_drop_prob=0.5).item(0, np.random.default_rng(1), 1)["A"]
    assert len(count) == 8 and with_gaps.shape == first["A"].shape
    for part in (slice(0, 3), slice(3, 6)):  # body and skeleton: nothing is there that was not, and something is gone
        there, left = ((maps[:, part] > -1).any(dim=1) for maps in (first["A"], with_gaps))
        assert left.sum() < there.sum()
    assert not ((with_gaps[:, 2] > -1) & (first["A"][:, 2] == -1)).any()


def test_a_picture_is_scaled_around_a_place():
    x = (torch.arange(40) + 0.5) / 20 - 1
    ramp = x.expand(1, 1, 8, 40)
    larger = scaled(ramp, 2.0, (0.5, 0.0), "bilinear")
    torch.testing.assert_close(larger, (0.5 + (x - 0.5) / 2).expand_as(ramp))
    smaller = scaled(ramp, 0.5, (0.0, 0.0), "nearest")[0, 0]
    assert (smaller[[0, 1, 6, 7]] == -1).all() and (smaller[:, :10] == -1).all()
    torch.testing.assert_close(smaller[2:6, 10:30], (2 * x[10:30]).expand(4, 20), atol=0.051, rtol=0)


@pytest.fixture
def nearer(folder, monkeypatch):
    """Her dataset, in which she comes nearer until she is twice as tall."""
    read = dance_dataset.read_one
    def of_path(path):
        person, t = read(path), int(path.name[:4])
        points = person.points.copy()
        points[:, :2] *= 1 + (t - 1) / 17
        return type(person).of(points)
    monkeypatch.setattr(dance_dataset, "read_one", of_path)
    return folder


def test_who_comes_nearer_is_shown_larger_and_smaller_too(nearer):
    assert item("train", whole=True).size_range == 1  # unasked
    assert item("train", whole=True, vary_size=True).size_range == pytest.approx(1.86, abs=0.15)  # without the ends


def test_who_stays_is_shown_as_she_is(folder):
    data = item("train", whole=True, vary_size=True)
    assert data.size_range == 1
    assert torch.equal(data[0]["B"], item("train")["B"])


def test_maps_are_scaled_with_her(folder, monkeypatch):
    monkeypatch.setattr(Draws, "scale", lambda self, most: 1 / most)
    monkeypatch.setattr(Draws, "place", lambda self: (0.0, 0.0))
    plain, data = item("train"), item("train", whole=True)
    data.size_range = 2.0
    half = data[0]
    for name, channel in (("A", 2), ("B", 3)):  # where her body is drawn, and her matte
        whole, made = ((one[name][:, channel] + 1).sum() for one in (plain, half))
        assert made / whole == pytest.approx(0.25, abs=0.02)
    numbers = 12 * (half["A"][:, 2] + 1)
    torch.testing.assert_close(numbers, numbers.round(), atol=1e-4, rtol=0)  # parts are not mixed


def test_how_much_she_is_scaled_is_drawn_for_each_clip(folder):
    data, factors = item("train", whole=True), []
    data.size_range = 1.5
    for seed in range(40):
        draws = Draws(np.random.default_rng(seed))
        factors.append(draws.scale(1.5))
        assert all(-1 <= one <= 1 for one in draws.place())
    assert 0.6 < min(factors) < 0.8 and 1.3 < max(factors) < 1.5
    first, again, other = (data.item(0, np.random.default_rng(seed), 1)["B"] for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_parts_follow_each_other(folder):
    train_frames, test_frames = (sorted(path.stem for path in Path(f"her/{phase}_layer").rglob("*.png"))
                                 for phase in ("train", "test"))
    assert len(train_frames) == 18 and len(test_frames) == 6 and max(train_frames) < min(test_frames)


def test_the_driver_is_seen_at_her_place(folder):
    own, driven = item("test"), item("test", driver=Path("clips/driver"))
    shown = [(made["A"][:, 3:] > -1).any(dim=1).any(dim=0) for made in (own, driven)]
    rows = [np.flatnonzero(one.any(dim=1)) + int(made["box"][1]) for one, made in zip(shown, (own, driven))]
    assert abs(int(rows[0].max()) - int(rows[1].max())) <= 5  # feet
    assert Path(driven["image_path"]).name == "0003.png" and json.loads(driven["metadata"])["frame_rate"] == "25"


def test_what_is_made_is_a_clip_whose_layers_can_be_retimed(folder):
    test_program.main(["--name", "run", "--driver", "clips/driver", "--num_test", "3"])
    made = Path("results/run/test_latest/driver")
    layers = LayerFolder.open(made)
    assert layers.numbers == [1] and len(layers.frames) == 3
    np.testing.assert_array_equal(layers.background(0), read_image("her/plate.png", "RGB"))
    layer, alpha = layers.layer(1, 2).astype(float), layers.layer(1, 2)[..., 3:] / 255
    frame = read_image(made / "rgb_256" / f"{layers.frames[2]}.png", "RGB")
    np.testing.assert_allclose(layer[..., :3] * alpha + layers.background(2) * (1 - alpha), frame, atol=1.5)
    retime.main(["--layers", str(made), "--freeze", "1:1-3", "--out", "frozen"])
    first, last = (read_image(f"frozen/{k:04d}.png", "RGB") for k in (1, 3))
    np.testing.assert_array_equal(first, last)


def test_shadows_are_steady_in_what_is_shown_and_not_in_what_frames_are_made_of(folder, monkeypatch):
    opt = resolved(TestOptions().parse(["--name", "run"]))
    model, data = create_model(opt), create_dataset(opt)
    model.load_networks("latest")
    maps = [model.encode(data.collate([data.item(k, None, 1)])) for k in (0, 1)]
    made = [model.next_frame(one, {}) for one in maps]
    most = min(float(one[:, 3].max()) for one in made)  # of a network that has hardly learned anything
    monkeypatch.setattr(vid2vid_layers, "PERSON", (most + 1) / 2 - 0.01)
    carried, model.carried = model.carried, []
    first, second = (model.next_shown(one, {}) for one in maps)
    assert torch.equal(first, made[0]) and torch.equal(second, vid2vid_layers.steadied(made[1], made[0]))
    assert not torch.equal(second, made[1]) and torch.equal(model.carried[0], carried[0])


def test_whether_she_dances_as_the_driver_is_measured(folder):
    """In her true frames an estimator finds the poses of the clip; what is exported has the driver's, fitted to her."""
    test_program.main(["--name", "run", "--driver", "clips/driver", "--num_test", "3"])
    made = Path("results/run/test_latest/driver")
    asked = skeletons_in(made / "openpose")
    assert list(asked) == [f"{k:04d}" for k in (3, 4, 5)]
    shown = (item("test", driver=Path("clips/driver"))["A"][-1, 3:] > -1).any(dim=0).numpy()
    box = item("test", driver=Path("clips/driver"))["box"]
    for x, y in asked["0003"][asked["0003"][:, 2] > 0, :2]:
        around = shown[max(int(y - box[1]) - 2, 0):int(y - box[1]) + 3, max(int(x - box[0]) - 2, 0):int(x - box[0]) + 3]
        assert around.any()
    evaluate.main(["--layers", str(made), "--poses", str(made / "openpose"), "--no_lpips"])
    untrained = json.loads((made / "evaluation/metrics.json").read_text())["total"]["reconstruction"]["pose_error"]
    evaluate.main(["--layers", "clips/truth", "--dataroot", "clips/truth", "--truth", "none", "--poses", "clips/truth",
                   "--no_lpips", "--out", "true_poses"])
    true = json.loads(Path("true_poses/metrics.json").read_text())["total"]["reconstruction"]["pose_error"]
    assert true < 3 and untrained > 3 * true


def test_the_fast_preset_has_values_of_its_own_for_dancers(folder):
    words = ["--model", "vid2vid", "--gpu_ids", "-1", "--dataroot", "her", "--preset", "fast"]
    dance, street = (TrainOptions().parse([*words, "--dataset_mode", mode]) for mode in ("dance", "temporal"))
    assert (dance.netG, dance.budget, street.netG, street.budget) == ("unet", 900, "composite", 900)
    assert street.lambda_L1 == 0 < dance.lambda_L1
    assert dance.max_dataset_size < street.max_dataset_size


def test_short_epochs_see_all_of_her_clip(folder):
    data = item("train", whole=True, max_dataset_size=2)
    seen = [data.clip(0, Draws(np.random.default_rng(seed)), 1)[1] for seed in range(80)]
    assert len(data) == 2 and all(frames == list(range(frames[0], frames[0] + 4)) for frames in seen)
    assert {frames[0] for frames in seen} == set(range(18 - 3))


def test_single_frames_of_layers_are_learned_too(folder):
    train.main(["--name", "frames", "--dataroot", "her", *NETWORKS, *LEARNING, "--niter", "0", "--niter_single", "1"])
    weights = torch.load("checkpoints/frames/latest_net_G_single.pth", weights_only=True)
    assert weights[[name for name in weights if name.endswith("weight")][-1]].shape[0] == 4


def test_premultiplied_and_back():
    layer = np.random.default_rng(1).integers(0, 256, (8, 9, 4), dtype=np.uint8)
    layer[..., 3] = np.linspace(0, 255, 72).reshape(8, 9)
    back = ((straight(premultiplied(layer)[None])[0] + 1) * 127.5).permute(1, 2, 0).numpy()
    seen = layer[..., 3] > 8
    np.testing.assert_allclose(back[seen], layer[seen], atol=0.02)
    assert not back[layer[..., 3] < 4].any()


@pytest.mark.parametrize("words, message", [
    (["--driver", "clips/nobody"], "no such folder"),
    (["--driver", "clips/driver", "--driver_person", "3"], "no person 3; expected one of \\[1\\]"),
    (["--dataroot", "clips/her"], "her/dance.json: no such file; expected a folder that datasets/make_pose_dataset"),
])
def test_mistakes_are_told_in_a_line(folder, words, message):
    with pytest.raises(UserError, match=message):
        test_program.main(["--name", "run", *words])


def test_a_dataset_is_not_replaced_unasked(folder):
    for words, message in ((["--dataroot", "her"], "there already"), (["--dataroot", "clips/her"], "no such dataset")):
        with pytest.raises(UserError, match=message):
            make_pose_dataset.make_dataset(make_pose_dataset.parse(["clips/her", *words]))
    shutil.copytree("clips/her", "unseen")
    poses = json.loads(Path("unseen/keypoints.json").read_text())
    Path("unseen/keypoints.json").write_text(json.dumps(poses[:4]))
    with pytest.raises(UserError, match="seen in no 10 frames in a row"):
        make_pose_dataset.make_dataset(make_pose_dataset.parse(["unseen", "--dataroot", "other"]))
    assert not Path("other").exists()


def test_a_flow_teacher_sees_colours_alone(folder):
    assert torch.load("checkpoints/run/latest_net_G0.pth", weights_only=True)["model_final_img.1.weight"].shape[0] == 4
