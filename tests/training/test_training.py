"""The real command lines on a small clip: both phases, export, interruption, continuation, and mistakes."""

import json
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch

from util.images import read_image

ROOT = Path(__file__).parents[2]
SMALL = ("--num_filters", "4", "--batch_size", "1", "--batch_size_upsample", "2", "--num_threads", "0",
         "--gpu_ids", "-1", "--display_id", "0")


@pytest.fixture(scope="module")
def workplace(golden, tmp_path_factory):
    """A folder with a clip of two frames in it."""
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(golden / "clip", folder / "clip")
    metadata = json.loads((folder / "clip/metadata.json").read_text())
    (folder / "clip/metadata.json").write_text(json.dumps({**metadata, "frame_rate": "30000/1001"}))
    return folder


def command(script, *arguments):
    return [sys.executable, str(ROOT / script), *arguments]


def run(folder, script, *arguments, status=0):
    result = subprocess.run(command(script, *arguments), cwd=folder, capture_output=True, text=True)
    assert result.returncode == status, result.stdout + result.stderr
    return result


def train(folder, name, *arguments, status=0):
    return run(folder, "train.py", "--name", name, "--dataroot", "clip", *SMALL, *arguments, status=status)


@pytest.fixture(scope="module")
def trained(workplace):
    """A run with three epochs of either phase."""
    train(workplace, "small", "--n_epochs", "3", "--n_epochs_upsample", "3", "--save_latest_freq", "2",
          "--save_by_epoch", "--use_homographies")
    return workplace


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.average_rate, [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def test_training_writes_checkpoints_logs_and_a_page(trained):
    folder = trained / "checkpoints/small"
    weights = {p.name for p in folder.glob("*.pth")}
    assert weights == {"latest_state.pth", "previous_state.pth", *(f"{label}_net_LNR.pth" for label in (
        "latest", "previous", "epoch_2", "epoch_3", "epoch_4", "epoch_6"))}
    records = [json.loads(line) for line in (folder / "loss_log.jsonl").read_text().splitlines()]
    assert [(r["phase"], set(r["losses"])) for r in (records[0], records[-1])] == [
        ("layers", {"recon", "alpha_reg", "mask", "total"}), ("upsampling", {"recon", "total"})]
    page = (folder / "web/index.html").read_text()
    for label in ("target_image", "reconstruction", "rgba_vis", "alpha_vis", "input_vis", "mask_vis"):
        assert label in page
        assert list((folder / "web/images").glob(f"*_{label}.png"))
    assert not list(folder.rglob("*.part*"))


@pytest.mark.parametrize("arguments, size", [((), (64, 96)), (("--do_upsampling", "--eval"), (128, 192))])
def test_export_writes_layers_videos_and_a_page(trained, arguments, size):
    run(trained, "test.py", "--name", "small", "--gpu_ids", "-1", *arguments)
    folder = trained / "results/small/test_latest"
    images = sorted(p.name for p in (folder / "images").iterdir())
    assert images == [f"000{frame}_rgba_l{layer}.png" for frame in (1, 2) for layer in (0, 1, 2)]
    for name in images:
        pixels = read_image(folder / "images" / name, "RGBA")
        assert pixels.shape == (*size, 4)
        assert (pixels[..., 3] == 255).all() or "_l0" not in name
    videos = {p.stem for p in (folder / "videos").iterdir()}
    assert videos == {f"{kind}_l{layer}" for kind in ("rgba", "mask") for layer in (0, 1, 2)} | {
        "original", "reconstruction"}
    rate, frames = frames_of(folder / "videos/original.webm")
    assert abs(rate - Fraction(30000, 1001)) < 0.01 and len(frames) == 2
    original = read_image(trained / "clip" / ("rgb_512" if arguments else "rgb_256") / "0001.png", "RGB")
    assert frames[0].shape == original.shape
    page = (folder / "index.html").read_text()
    assert all(f"images/{name}" in page for name in images) and "videos/rgba_l2.webm" in page


def test_a_checkpoint_of_an_epoch_can_be_exported(trained):
    run(trained, "test.py", "--name", "small", "--epoch", "2", "--num_test", "1", "--gpu_ids", "-1")
    assert len(list((trained / "results/small/test_2/images").iterdir())) == 3


def test_two_runs_of_the_same_seed_are_equal_and_of_another_seed_are_not(workplace):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(workplace, name, "--n_epochs", "2", "--n_epochs_upsample", "1", "--seed", str(seed))
    a, b, c = (torch.load(workplace / f"checkpoints/{name}/latest_net_LNR.pth", weights_only=True) for name in "abc")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["texture"], c["texture"])


def test_an_interrupted_run_is_exported_and_continued_as_if_nothing_had_happened(workplace):
    options = ("--n_epochs", "40", "--n_epochs_upsample", "20", "--print_freq", "1", "--no_html")
    train(workplace, "whole", *options)
    process = subprocess.Popen(
        command("train.py", "--name", "broken", "--dataroot", "clip", *SMALL, *options), cwd=workplace,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = workplace / "checkpoints/broken/loss_log.jsonl"
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 10, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors, errors
    assert "stopped and saved in epoch" in output
    run(workplace, "test.py", "--name", "broken", "--gpu_ids", "-1")
    train(workplace, "broken", *options, "--continue_train")
    whole, broken = (torch.load(workplace / f"checkpoints/{name}/latest_net_LNR.pth", weights_only=True)
                     for name in ("whole", "broken"))
    assert all(torch.equal(whole[k], broken[k]) for k in whole)


def wait_for(condition, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


def test_published_weights_alone_can_be_continued_from(trained):
    folder = trained / "checkpoints/published"
    folder.mkdir()
    shutil.copy(trained / "checkpoints/small/latest_net_LNR.pth", folder)
    train(trained, "published", "--continue_train", "--epoch_count", "4", "--n_epochs", "3", "--n_epochs_upsample", "1")
    records = [json.loads(line) for line in (folder / "loss_log.jsonl").read_text().splitlines()]
    assert [(r["phase"], r["epoch"]) for r in records] == [("upsampling", 4)]


def test_a_finished_run_says_that_nothing_is_left(trained):
    result = train(trained, "small", "--n_epochs", "3", "--n_epochs_upsample", "3", "--continue_train")
    assert "nothing left to train: 6 epochs are done" in result.stdout


@pytest.mark.parametrize("script, arguments, message", [
    ("train.py", ("--dataroot", "nowhere"), "error: nowhere/metadata.json: no such file"),
    ("train.py", ("--dataroot", "clip", "--gpu_ids", "99"), "error: --gpu_ids: found '99'; this machine has"),
    ("train.py", ("--dataroot", "clip", "--nepochs", "1"),
     "error: --nepochs: no such option; did you mean --n_epochs?"),
    ("train.py", ("--dataroot", "clip", "--gpu_ids", "-1", "--num_filters", "1000000"), "error: out of memory ("),
    ("train.py", ("--dataroot", "clip", "--checkpoints_dir", "clip/metadata.json"), "error: --checkpoints_dir: cannot"),
    ("test.py", ("--name", "untrained", "--dataroot", "clip"),
     "error: checkpoints/untrained/latest_net_LNR.pth: no such checkpoint; train first"),
    ("test.py", ("--name", "small", "--num_filters", "8"),
     "error: checkpoints/small/latest_net_LNR.pth: 'encoder.0.conv.weight' is [4, 17, 4, 4]; these options make it "
     "[8, 17, 4, 4]"),
])
def test_a_mistake_is_one_line_and_leaves_nothing(trained, script, arguments, message):
    before = sorted(trained.rglob("*"))
    result = run(trained, script, *arguments, status=2)
    assert result.stderr.startswith(message) and result.stderr.count("\n") == 1
    after = [p for p in sorted(trained.rglob("*")) if p not in before]
    assert not [p for p in after if "results" in p.parts or p.suffix in (".pth", ".part")]


def test_a_broken_checkpoint_is_told(trained):
    folder = trained / "checkpoints/torn"
    shutil.copytree(trained / "checkpoints/small", folder)
    path = folder / "latest_net_LNR.pth"
    path.write_bytes(path.read_bytes()[:1000])
    result = run(trained, "test.py", "--name", "torn", status=2)
    assert result.stderr.startswith("error: checkpoints/torn/latest_net_LNR.pth: not a readable checkpoint")
    assert result.stderr.count("\n") == 1


def test_a_frame_that_breaks_in_the_middle_of_an_export_leaves_the_earlier_results(trained):
    shutil.copytree(trained / "clip", trained / "torn_clip")
    run(trained, "test.py", "--name", "small", "--gpu_ids", "-1")
    before = {p: p.stat().st_mtime_ns for p in (trained / "results/small/test_latest").rglob("*")}
    path = trained / "torn_clip/rgb_256/0002.png"
    path.write_bytes(path.read_bytes()[:-3000])
    result = run(trained, "test.py", "--name", "small", "--dataroot", "torn_clip", status=2)
    assert "0002.png: not a readable image" in result.stderr
    assert before == {p: p.stat().st_mtime_ns for p in (trained / "results/small/test_latest").rglob("*")}
    assert not list((trained / "results").rglob("*.part"))
