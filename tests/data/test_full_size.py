"""From a clip of an odd size to layers, a retimed video and figures of that size, by the command line."""

import json
import os
import shutil

import av
import cv2
import numpy as np
import pytest

import evaluate
import retime
import test as test_program
import train
from data import full_size
from data.dataroot import Dataroot
from data.decomposition import decompose
from data.full_size import FullSizeClip
from data.layer_folder import LayerFolder
from data.own_backgrounds import without_people
from datasets.make_sample import make_sample
from preparation.uv import make_iuv
from training import exporting
from util.errors import UserError
from util.images import image_size, read_all_bits, read_image, write_png
from util.video_reader import VideoReader

SIZE, SMALL, FRAMES = (381, 237), (128, 80), 8


def run(program, folder, *options, name="draft"):
    """A program's main function on a run, with all its folders in one place."""
    program.main(["--name", name, "--dataroot", str(folder / "clip"), "--checkpoints_dir", str(folder / "runs"),
                  *map(str, options)])


def export(folder, results, *options, name="draft"):
    run(test_program, folder, "--gpu_ids", "-1", "--results_dir", folder / results, *options, name=name)


def cropped(root, size):
    """A made clip, with the frames in rgb/ and all that is known of that size cut to an odd one."""
    for path in [*(root / "rgb").iterdir(), *(root / "gt").rglob("*.png"), *(root / "mask").rglob("*.png")]:
        write_png(path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:size[1], :size[0]])
    for folder, times in (("rgb_512", 2), ("rgb_256", 1)):
        for path in (root / "rgb").iterdir():
            write_png(root / folder / path.name, cv2.resize(read_image(path, "RGB"), (128 * times, 80 * times),
                                                            interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A place with a clip of 381 x 237 with masks of 128 x 80, and the run `draft` with its layers."""
    place = tmp_path_factory.mktemp("own_size")
    root = make_sample(place / "clip", frames=FRAMES, width=128, height=80, own_scale=3)
    cropped(root, SIZE)
    values = json.loads((root / "metadata.json").read_text())
    (root / "metadata.json").write_text(json.dumps(values | {"original_size": SIZE, "alphapose_input_size": SIZE}))
    for path in (root / "mask").rglob("*.png"):
        write_png(path, cv2.resize(read_image(path, "L"), SMALL, interpolation=cv2.INTER_AREA))
    make_iuv(root, "drawn")
    run(train, place, "--preset", "draft", "--display_id", "0", "--gpu_ids", "-1")
    export(place, "results")
    export(place, "small", "--size", "network")
    return place


def layers(folder, results):
    return LayerFolder.open(folder / results / "draft/test_latest")


def test_layers_of_a_draft_have_the_size_of_the_video(folder):
    assert layers(folder, "results").size == SIZE and layers(folder, "small").size == SMALL
    images = folder / "results/draft/test_latest/images"
    assert len(list(images.iterdir())) == 3 * FRAMES
    names = [images / f"{name}_rgba_l0.png" for name in ("0001", "0008")]
    assert os.path.samefile(*names)  # a background at rest is on disk once, and read once
    assert set(layers(folder, "results").files[0].values()) == {names[0]}


def test_they_are_nearer_to_the_truth_than_enlarged_ones(folder):
    truth, own, small = LayerFolder.open(folder / "clip/gt"), layers(folder, "results"), layers(folder, "small")
    errors = np.zeros((2, 2))
    for frame in range(FRAMES):
        true = np.dstack([truth.background(frame), *(truth.layer(n, frame) for n in (1, 2))]).astype(float)
        for row, made in enumerate((own, small)):
            pictures = [made.background(frame), *(made.layer(n, frame) for n in (1, 2))]
            alike = np.dstack([cv2.resize(picture, SIZE, interpolation=cv2.INTER_CUBIC) for picture in pictures])
            away = np.abs(alike - true)
            errors[row] += away[..., :3].mean(), away[..., [6, 10]].mean()
    assert (errors[0] < [0.6, 0.75] * errors[1]).all()


def test_they_are_retimed_and_measured_at_that_size(folder):
    run(retime, folder, "--results_dir", folder / "results", "--offset", "1:+2", "--out", folder / "late.mp4")
    with av.open(str(folder / "late.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (380, 236, FRAMES)  # H.264 has even sides
    run(retime, folder, "--results_dir", folder / "results", "--remove", "1", "--range", "1-2", "--out", folder / "out")
    assert image_size(folder / "out/0001.png") == SIZE
    for place in ("results", "small"):
        run(evaluate, folder, "--results_dir", folder / place, "--no_lpips")
    own, small = (json.loads((folder / place / "draft/test_latest/evaluation/metrics.json").read_text())
                  for place in ("results", "small"))
    assert own["size"] == own["truth_size"] == list(SIZE) and small["truth_size"] == list(SMALL)
    assert own["total"]["background"]["psnr"] > 30 and own["total"]["reconstruction"]["psnr"] > 30


def test_bits_beyond_8_go_through_layers_to_exr_prores_and_deep_png(folder, tmp_path):
    deep, place = tmp_path / "deep", tmp_path / "layers"
    shutil.copytree(folder / "clip", deep)
    quarters = (64 * (np.arange(SIZE[0]) % 4)).astype(np.uint16)[None, :, None]  # of a level of 8 bits
    for path in (deep / "rgb").iterdir():
        write_png(path, np.minimum(read_image(path, "RGB").astype(np.uint16), 254) * 257 + quarters)
    FullSizeClip(Dataroot.open(deep), layers(folder, "small")).write(place)

    def steps(pixels, plain):
        """By how much each of four columns is brighter than without these bits, against the first."""
        more = pixels.astype(float)[..., :3] - 257.0 * plain[..., :3]
        means = np.array([more[:, column::4].mean() for column in range(4)])
        return means - means[0]

    made, plain = LayerFolder.open(place), layers(folder, "results")
    assert made.deep and not plain.deep
    assert steps(made.background(3, deep=True), plain.background(3)) == pytest.approx([0, 64, 128, 192], abs=12)
    clip = ["--layers", str(place), "--dataroot", str(deep), "--range", "4-4", "--remove", "1"]
    for out in ("exr/%04d.exr", "retimed.mov", "png16"):
        retime.main([*clip, "--out", str(tmp_path / out), "--bits", "16"])
    retime.main([*clip, "--out", str(tmp_path / "png8")])
    run(retime, folder, "--results_dir", folder / "results", "--range", "4-4", "--remove", "1", "--out",
        tmp_path / "plain")
    expected = read_image(tmp_path / "plain/0004.png", "RGB")
    assert np.abs(read_image(tmp_path / "png8/0004.png", "RGB").astype(int) - expected).mean() < 0.8
    picture = read_all_bits(tmp_path / "png16/0004.png")
    exr, mov = (next(VideoReader(tmp_path / name).frames(deep=True))[1] for name in ("exr/0004.exr", "retimed.mov"))
    for found, close in ((picture, 12), (exr, 12), (mov, 40)):  # ProRes itself loses some
        assert found.dtype == np.uint16
        assert steps(found, expected) == pytest.approx([0, 64, 128, 192], abs=close)
    assert np.abs(exr - picture.astype(int)).max() < 64


def test_trained_layers_are_exported_at_that_size_where_it_is_asked_for(folder):
    run(train, folder, "--n_epochs", "1", "--n_epochs_upsample", "0", "--num_filters", "4", "--display_id", "0",
        "--gpu_ids", "-1", name="trained")
    for size, options in ((SMALL, ()), (SIZE, ("--size", "own", "--do_upsampling"))):
        export(folder, "results", "--num_test", "2", *options, name="trained")
        made = LayerFolder.open(folder / "results/trained/test_latest")
        assert made.size == size and len(made.frames) == 2


def test_what_contradicts_or_is_missing_is_said(folder):
    with pytest.raises(UserError, match="--aspect_ratio: found 1.1 with --size own"):
        export(folder, "none", "--size", "own", "--aspect_ratio", "1.1")
    (folder / "clip/rgb").rename(folder / "rgb")
    try:
        with pytest.raises(UserError, match="clip/rgb: no such folder"):
            export(folder, "none", "--size", "own", "--num_test", "1")
        assert not (folder / "none/draft/test_latest").exists()
        export(folder, "none", "--num_test", "1")
        assert LayerFolder.open(folder / "none/draft/test_latest").size == SMALL
    finally:
        (folder / "rgb").rename(folder / "clip/rgb")


def test_a_background_that_is_alive_is_what_the_frames_show(folder, tmp_path):
    clip = FullSizeClip(Dataroot.open(folder / "clip"), layers(folder, "small"))
    assert not clip.is_alive and not clip.moves
    root = make_sample(tmp_path / "clip", frames=5, width=128, height=80, own_scale=2, people=1, sway=2)
    make_iuv(root, "drawn")
    run(train, tmp_path, "--preset", "draft", "--display_id", "0", "--gpu_ids", "-1")
    export(tmp_path, "alive", "--moving_background", "--size", "network")
    clip = FullSizeClip(Dataroot.open(root), layers(tmp_path, "alive"))
    assert clip.is_alive
    clip.write(tmp_path / "alive_own")
    background = read_image(tmp_path / "alive_own/images/0003_rgba_l0.png", "RGB")
    frame = read_image(root / "rgb/0003.png", "RGB")
    assert (cv2.absdiff(background, frame).max(axis=-1) <= 1).mean() > 0.5


def test_what_people_hide_before_a_camera_that_walks_comes_from_full_size_frames(tmp_path):
    root = make_sample(tmp_path / "clip", frames=14, width=128, height=80, own_scale=2, people=1, shadow="none",
                       camera="walk")
    made, names = decompose(root, False, 14), Dataroot.open(root).frames
    backgrounds, _, _ = without_people(np.stack(made.frames[:]), np.asarray(made.people[1]))
    for frame, name in enumerate(names):
        opaque = np.full((80, 128), 255, np.uint8)
        person = (255 * made.person_alpha(1, frame)).round().astype(np.uint8)
        for number, picture, alpha in ((0, backgrounds[frame], opaque), (1, made.frames[frame], person)):
            write_png(tmp_path / f"small/images/{name}_rgba_l{number}.png", np.dstack([picture, alpha]))
    clip = FullSizeClip(Dataroot.open(root), LayerFolder.open(tmp_path / "small"))
    assert clip.has_own_backgrounds
    clip.write(tmp_path / "own")
    off, sharp = {"own": [], "enlarged": []}, {"own": [], "enlarged": [], "true": []}
    for frame, name in enumerate(names):
        truth = read_image(root / f"gt/bg/{name}.png", "RGB").astype(float)
        behind = read_image(root / f"mask/01/{name}.png", "L") > 127
        own = read_image(tmp_path / f"own/images/{name}_rgba_l0.png", "RGB")
        ways = ("own", own), ("enlarged", cv2.resize(backgrounds[frame], (256, 160)))
        for way, picture in ways:
            off[way].append(np.square(picture - truth)[behind].mean())
        for way, picture in (*ways, ("true", truth)):
            sharp[way].append(np.abs(cv2.Laplacian(picture.astype(np.float32), cv2.CV_32F))[behind].mean())
    own, enlarged, true = (np.mean(one) for one in sharp.values())
    assert enlarged < 0.6 * true and 0.75 * true < own < 1.25 * true
    assert np.mean(off["own"]) < 1.5 * np.mean(off["enlarged"])  # what is sharp is punished for half a pixel


class Killed(BaseException):
    """Nothing catches this, as nothing catches a signal."""


def test_who_is_killed_while_layers_become_large_goes_on_and_gets_the_same(folder, monkeypatch):
    exported, made = [], []
    export_items, full_layers = exporting.export_items, full_size.full_layers

    def items(*arguments):
        exported.append(arguments)
        return export_items(*arguments)

    def layers_until(most):
        def layers(*arguments):
            if len(made) == most:
                raise Killed
            made.append(arguments)
            return full_layers(*arguments)
        return layers

    monkeypatch.setattr(exporting, "export_items", items)
    for most in (3, 5, FRAMES):
        monkeypatch.setattr(full_size, "full_layers", layers_until(most))
        if most < FRAMES:
            with pytest.raises(Killed):
                export(folder, "killed")
            assert not (folder / "killed/draft/test_latest").exists()
    export(folder, "killed")
    assert len(exported) == 1 and len(made) == FRAMES
    assert [path.name for path in (folder / "killed/draft").iterdir()] == ["test_latest"]
    whole, again = ({path.name: path.read_bytes() for path in (folder / results / "draft/test_latest/images").iterdir()}
                    for results in ("results", "killed"))
    assert whole == again
    assert (folder / "killed/draft/test_latest/videos/rgba_l1.webm").stat().st_size > 1000


def test_what_others_left_unfinished_is_not_taken(folder, monkeypatch):
    monkeypatch.setattr(full_size, "full_layers", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        export(folder, "other")
    monkeypatch.undo()
    left = list((folder / "other/draft").iterdir())
    assert len(left) == 1 and left[0].name.startswith(".test_latest-") and (left[0] / ".exported.json").exists()
    export(folder, "other", "--size", "own", "--num_test", "2")
    assert len(layers(folder, "other").frames) == 2 and not left[0].exists()
