"""Folders of sequences, and mistakes in them: a line each, all at once."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from data.image_sequences import IMAGES, find_sequences, read_ids
from data.loading import create_dataset, find_dataset
from data.sampler import ItemKey
from data.video_clips import frames_in_epoch
from datasets.make_vid2vid_sample import make_sample
from tests.data.vid2vid_golden import options
from tests.vision.test_vid2vid_drawings import FACE
from util.errors import UserError, reported_in_one_line
from util.images import read_image, write_png

STREET = "--label_nc 35 --use_instance --loadSize 64 --n_frames_total 4 --max_frames_per_gpu 2"
FACE_ARGS = "--dataset_mode face --input_nc 15 --loadSize 64 --n_frames_total 2"
POSE = "--dataset_mode pose --input_nc 6 --resize_or_crop scaleHeight --loadSize 64 --n_frames_total 2"
KINDS = {"street": STREET, "face": FACE_ARGS, "dancer": POSE}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    root = tmp_path_factory.mktemp("samples")
    return {kind: make_sample(kind, root / kind, sequences=2, frames=5, height=64, seed=2) for kind in KINDS}


@pytest.fixture
def data(samples, tmp_path):
    """A copy that a test may spoil."""
    def copy(kind):
        shutil.copytree(samples[kind], tmp_path / kind)
        return tmp_path / kind
    return copy


def opened(root, args, **changes):
    return create_dataset(options(args, dataroot=str(root), **changes))


def complaints(root, args, **changes):
    """What is wrong, a line each."""
    with pytest.raises(UserError) as caught:
        dataset = opened(root, args, **changes)
        dataset.preload()
        dataset.item(0, None, 1)
    return str(caught.value).split("\n       ")


# ---- what items are -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, shapes", [
    ("street", {"A": (6, 1, 32, 64), "B": (6, 3, 32, 64), "inst": (6, 1, 32, 64)}),
    ("face", {"A": (4, 15, 64, 64), "B": (4, 3, 64, 64), "inst": (4, 1, 64, 64)}),
    ("dancer", {"A": (4, 6, 64, 64), "B": (4, 3, 64, 64)})])
def test_samples_are_read_in_training_and_at_test(samples, kind, shapes):
    length = {"street": 5, "face": 4, "dancer": 4}[kind]
    dataset = opened(samples[kind], KINDS[kind])
    dataset.preload()
    item = dataset[ItemKey(0, 1, 7)]
    assert {name: tuple(value.shape[1:]) for name, value in item.items() if torch.is_tensor(value)} == {
        name: shape[1:] for name, shape in shapes.items()}
    assert len(item["A"]) == len(item["B"]) and 3 <= len(item["A"]) <= length
    again = dataset[ItemKey(0, 1, 7)]
    assert all(torch.equal(item[name], again[name]) for name in shapes) and item["B"].abs().max() <= 1
    assert all(isinstance(item[name], str) for name in ("sequence", "image_path"))
    batch = dataset.collate([dataset[ItemKey(k, 1, 7)] for k in range(2)])
    assert batch["A"].shape == (2, *item["A"].shape)

    for phase in ("test", "other") if kind != "street" else ("test",):
        windows = opened(samples[kind], KINDS[kind], phase=phase, is_train=False)
        assert len(windows) == 3
        items = [windows[k] for k in range(3)]
        assert all(len(item["A"]) == 3 for item in items) and len({item["sequence"] for item in items}) == 1
        assert [item["image_path"][-9:-4] for item in items] == ["00002", "00003", "00004"]
        assert ("B" in items[0]) == (kind != "street")


def test_the_real_first_frames_are_there_when_they_are_asked_for(samples):
    assert "B" in opened(samples["street"], STREET + " --use_real_img", phase="test", is_train=False)[0]


def test_clips_grow_with_the_epoch_and_windows_begin_at_a_frame(samples):
    dataset = opened(samples["street"], "--label_nc 35 --loadSize 64 --n_frames_total 1 --niter_step 2")
    assert [len(dataset.item(0, None, epoch)["A"]) for epoch in (1, 2, 3, 4, 5)] == [3, 3, 4, 4, 5]
    windows = opened(samples["street"], STREET + " --start_frame 2", phase="test", is_train=False)
    assert len(windows) == 1 and windows[0]["image_path"].endswith("00004.png")
    assert complaints(samples["street"], STREET + " --start_frame 3", phase="test", is_train=False)[0].startswith(
        "--start_frame: found 3")


@pytest.mark.parametrize("kind", KINDS)
def test_flows_of_files_go_the_way_of_the_frames(data, kind):
    """They are scaled, cropped and turned round, and so are their lengths and directions."""
    root = data(kind)
    for path in (root / ("train_B" if kind == "street" else "train_img")).rglob("*"):
        if path.is_file():
            height, width = read_image(path, "L").shape
            flow = root / "train_flow" / path.parent.name / f"{path.stem}.npy"
            flow.parent.mkdir(parents=True, exist_ok=True)
            np.save(flow, np.stack([np.indices((height, width))[1] / 2, np.full((height, width), 3.0)], axis=-1))
    dataset = opened(root, KINDS[kind] + " --flow_net files")
    seen = set()
    for seed in range(6):
        item = dataset[ItemKey(0, 1, seed)]
        flow, (height, width) = item["flow"], item["A"].shape[-2:]
        assert flow.shape == (len(item["A"]), 2, height, width) and flow.dtype == torch.float32
        inner = flow[:, :, height // 3:2 * height // 3]  # a face's box may be larger than the frame
        slope = (inner[:, 0, :, 3 * width // 4] - inner[:, 0, :, width // 4]) / (3 * width // 4 - width // 4)
        torch.testing.assert_close(slope, torch.full_like(slope, 0.5), rtol=0, atol=0.02)
        scale = inner[:, 1].median().item() / 3
        assert 0.3 < scale < 1.5
        seen.add(bool(inner[0, 0].median() < 0))
    assert seen == ({False} if kind == "dancer" else {False, True})
    assert "flow" not in opened(root, KINDS[kind])[0]


def test_bad_flows(data):
    root = data("street")
    args = STREET + " --flow_net files"
    assert "train_flow: no such folder" in complaints(root, args)[0]
    for path in list((root / "train_B").rglob("*.png")):
        flow = root / "train_flow" / path.parent.name / f"{path.stem}.npy"
        flow.parent.mkdir(parents=True, exist_ok=True)
        np.save(flow, np.zeros((64, 128)))
    assert "shape [64, 128]; expected a flow" in complaints(root, args)[0]
    assert complaints(root, args + " --max_t_step 2")[0].startswith("--max_t_step: found 2 with --flow_net files")


def test_dataset_mode_test_is_temporal(samples):
    args = STREET.replace("--label_nc", "--dataset_mode test --label_nc")
    assert torch.equal(opened(samples["street"], args, phase="test", is_train=False)[1]["A"],
                       opened(samples["street"], STREET, phase="test", is_train=False)[1]["A"])


def test_clips_of_a_batch_are_cut_to_the_shortest(samples, data):
    root = data("street")
    for folder in ("A", "B", "inst"):
        (root / f"train_{folder}" / "street_01" / "00004.png").unlink()
    dataset = opened(root, STREET.replace("--max_frames_per_gpu 2", "--max_frames_per_gpu 1"))
    items = [dataset[ItemKey(k, 1, 1)] for k in range(2)]
    assert [len(item["A"]) for item in items] == [4, 5] and dataset.collate(items)["B"].shape[:2] == (2, 4)
    items[0] = {**items[0], "A": items[0]["A"][..., :32]}
    with pytest.raises(UserError, match="--batch_size: frames of"):
        dataset.collate(items)


def test_the_data_are_told_from_others(samples):
    ids = set()
    for kind, args in KINDS.items():
        opt = options(args, dataroot=str(samples[kind]))
        ids.add(find_dataset(opt.dataset_mode).resolve_options(opt)["data_id"])
    assert len(ids) == 3 and all(text.startswith("2 sequences, 10 frames, ") for text in ids)


def test_data_in_which_one_file_changed_are_others(samples, data):
    def identity(root):
        return find_dataset("temporal").resolve_options(options(STREET, dataroot=str(root)))["data_id"]

    root = data("street")
    before = identity(root)
    assert before == identity(samples["street"])
    last = sorted((root / "train_B").rglob("*.png"))[-1]
    last.write_bytes(last.read_bytes() + b"more")
    assert identity(root) != before


# ---- names ----------------------------------------------------------------------------------------------------------

def test_files_are_matched_by_name_whatever_tools_add_to_it(tmp_path):
    picture = np.zeros((4, 4), np.uint8)
    names = {"A": "town_000001_{:06d}_gtFine_labelIds.png", "B": "town_000001_{:06d}_leftImg8bit.png",
             "inst": "frame{:02d}.png"}
    for folder, name in names.items():
        for k in (9, 10, 2):
            write_png(tmp_path / f"x_{folder}" / "town" / name.format(k), picture)
    sequences = find_sequences(tmp_path, "x", {kind: (kind, IMAGES) for kind in names}, 3)
    assert [sequence.name for sequence in sequences] == ["town"] and len(sequences[0]) == 3
    for kind, name in names.items():
        assert [path.name for path in sequences[0].files[kind]] == [name.format(k) for k in (2, 9, 10)]


def test_folders_without_sequences_in_them_are_one(tmp_path):
    for k in range(3):
        write_png(tmp_path / "x_A" / f"{k}.png", np.zeros((4, 4), np.uint8))
    assert find_sequences(tmp_path, "x", {"maps": ("A", IMAGES)}, 3)[0].name == "x_A"


def test_numbers_of_things_may_have_16_bits(samples):
    ids = read_ids(samples["street"] / "train_inst" / "street_01" / "00000.png")
    assert ids.max() >= 26000 and ids.dtype == np.int32


# ---- mistakes -------------------------------------------------------------------------------------------------------

def test_all_that_is_wrong_with_folders_is_told_at_once(data):
    root = data("street")
    (root / "train_B" / "street_01" / "00002.png").unlink()
    shutil.copy(root / "train_inst" / "street_01" / "00001.png", root / "train_inst" / "street_01" / "00009.png")
    shutil.rmtree(root / "train_inst" / "street_02")
    (root / "train_A" / "street_07").mkdir()
    found = complaints(root, STREET)
    assert len(found) == 4
    for part in ("street_07: an empty sequence", "train_B/street_01: 1 of the 5 frames", "the first is 00009.png",
                 "train_inst: no sequence street_02"):
        assert any(part in line for line in found), part


@pytest.mark.parametrize("change, said", [
    (lambda root: shutil.rmtree(root / "train_A"), "train_A: no such folder"),
    (lambda root: [path.unlink() for path in (root / "train_B").rglob("*.png")], "an empty sequence"),
    (lambda root: [path.unlink() for kind in ("A", "B", "inst") for path in (root / f"train_{kind}/street_01").iterdir()
                   if path.stem != "00000"], "1 frames; expected at least 3, as many as --n_frames_G"),
    (lambda root: write_png(root / "train_A/street_02/00003.png", np.full((64, 128), 35, np.uint8)),
     "00003.png: holds the label 35; expected 0 to 34, as --label_nc 35"),
    (lambda root: write_png(root / "train_B/street_01/00001.png", np.zeros((60, 128, 3), np.uint8)),
     "00001.png: 128 x 60 pixels; expected 128 x 64"),
    (lambda root: write_png(root / "train_A/street_01/00001.png", np.zeros((64, 128, 3), np.uint8)),
     "00001.png: a picture of 3 channels"),
    (lambda root: (root / "train_inst/street_01/00001.png").write_bytes(b"no picture"), "not a readable image")])
def test_a_bad_street(data, change, said):
    root = data("street")
    change(root)
    assert any(said in line for line in complaints(root, STREET))


@pytest.mark.parametrize("text, said", [("1,2\n" * 67, "67 lines; expected 68"), ("1,x\n" * 68, "not readable"),
                                        ("1,2,3\n" * 68, "68 lines \"x,y\""), ("5,5\n" * 68, "in one column")])
def test_bad_landmarks(data, text, said):
    root = data("face")
    (root / "train_keypoints" / "talk_01" / "00001.txt").write_text(text)
    (line,) = complaints(root, FACE_ARGS)
    assert "talk_01/00001.txt: " in line and said in line


def test_frames_without_a_face_are_told(data):
    root = data("face")
    (root / "train_keypoints" / "talk_01" / "00001.txt").unlink()
    (line,) = complaints(root, FACE_ARGS)
    assert "train_img/talk_01: 1 frames that" in line and "00001.jpg" in line


def spoiled(root, change):
    path = root / "train_openpose" / "dance_01" / "00001_keypoints.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("change, said", [
    (lambda content: content.clear(), "not readable as OpenPose's people"),
    (lambda content: content["people"][0].pop("hand_left_keypoints_2d"),
     "person 1: hand_left_keypoints_2d has 0 numbers; expected 63"),
    (lambda content: content["people"][0].update(pose_keypoints_2d=[0] * 54),
     "pose_keypoints_2d has 54 numbers; expected 75"),
    (lambda content: content["people"][0].update(face_keypoints_2d=None), "face_keypoints_2d has 1 numbers")])
def test_bad_key_points(data, change, said):
    root = data("dancer")
    spoiled(root, change)
    (line,) = complaints(root, POSE)
    assert "00001_keypoints.json" in line and said in line


def test_hands_may_be_missing_where_they_are_not_drawn(data):
    root = data("dancer")
    spoiled(root, lambda content: content["people"][0].pop("hand_left_keypoints_2d"))
    opened(root, POSE + " --basic_point_only").preload()


def test_no_iuv_picture(data):
    root = data("dancer")
    path = root / "train_densepose/dance_01/00001_IUV.png"
    write_png(path, read_image(path, "RGB")[..., ::-1])
    (line,) = complaints(root, POSE)
    assert "00001_IUV.png: part " in line and "in the blue channel" in line


@pytest.mark.parametrize("kind, args, said", [
    ("street", STREET.replace("--label_nc 35", "--input_nc 5"), "--input_nc: found 5"),
    ("face", FACE_ARGS.replace("15", "3"), "--input_nc 15"), ("face", FACE_ARGS + " --no_dist_map", "--input_nc 1"),
    ("dancer", POSE + " --openpose_only", "--input_nc 3"),
    ("dancer", POSE + " --openpose_only --densepose_only", "expected one of them"),
    ("street", STREET.replace("--loadSize 64", "--loadSize 12"), "become 0 x"),
    ("street", STREET + " --n_downsample_G 5 --n_scales_spatial 2", "expected multiples of 64")])
def test_options_that_do_not_fit_the_data(samples, kind, args, said):
    (line,) = complaints(samples[kind], args)
    assert said in line


def test_what_a_process_that_prepares_batches_finds_is_one_line(data, capsys):
    root = data("street")
    write_png(root / "train_A/street_01/00002.png", np.full((64, 128), 99, np.uint8))
    dataset = opened(root, STREET)
    with pytest.raises(SystemExit) as left, reported_in_one_line():
        list(DataLoader(dataset, num_workers=1, collate_fn=dataset.collate))
    error = capsys.readouterr().err
    assert left.value.code == 2 and error.count("\n") == 1 and error.startswith("error: ") and "label 99" in error


# ---- figures of the specification -----------------------------------------------------------------------------------

def test_dancers_of_known_sizes(samples, tmp_path):
    """Frames of 320 x 180, videos of 12 and 9 frames."""
    people = (samples["dancer"] / "train_openpose/dance_01/00000_keypoints.json").read_text()
    for name, length in (("one", 12), ("two", 9)):
        for k in range(length):
            for kind, file in (("img", f"{k:05d}.png"), ("densepose", f"{k:05d}_IUV.png")):
                write_png(tmp_path / f"test_{kind}" / name / file, np.zeros((180, 320, 3), np.uint8))
            path = tmp_path / "test_openpose" / name / f"{k:05d}_keypoints.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(people)
    dataset = opened(tmp_path, POSE.replace("64", "256"), phase="test", is_train=False)
    assert len(dataset) == 17
    first = dataset[0]
    assert first["A"].shape == (3, 6, 256, 192) and first["B"].shape == (3, 3, 256, 192)
    assert first["image_path"].endswith("one/00002.png")
    assert [dataset[k]["sequence"] for k in (9, 10)] == ["one", "two"]


def test_a_street_of_seven_frames(tmp_path):
    for k in range(7):
        for kind in "AB":
            write_png(tmp_path / f"train_{kind}" / "town" / f"{k}.png", np.zeros((32, 64), np.uint8))
    dataset = opened(tmp_path, "--label_nc 5 --loadSize 64 --n_frames_total 4 --max_frames_per_gpu 2 --niter_step 1")
    assert [len(dataset.item(0, None, epoch)["A"]) for epoch in (1, 2, 3)] == [6, 6, 6]  # 5 frames are no whole loads
    assert frames_in_epoch(5, 7, 4, 1, 3) == 5


def test_a_face_of_known_means(tmp_path):
    for k in range(3):
        write_png(tmp_path / "test_img" / "one" / f"{k}.png", np.zeros((256, 256, 3), np.uint8))
        path = tmp_path / "test_keypoints" / "one" / f"{k}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(f"{x},{y}" for x, y in FACE))
    args = FACE_ARGS.replace("64", "256") + " --no_canny_edge"
    item = opened(tmp_path, args, phase="test", is_train=False)[0]
    means = (0.02306, 0.07767, 0.14957, 0.14956, 0.14762, 0.15013, 0.14762, 0.15320, 0.15318, 0.15283, 0.15316, 0.14518,
             0.14567, 0.14989, 0.15000)
    found = item["A"][0].mean((1, 2))
    np.testing.assert_allclose(found[1:], means[1:], rtol=0.01)
    np.testing.assert_allclose(found[0], means[0], rtol=0.03)  # edges that rounding decides about there
    assert set(item["inst"].unique().tolist()) == set(range(7)) and item["B"].max() == -1
