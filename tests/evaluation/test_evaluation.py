"""The measures of a whole clip, on layers that are right and on layers that are wrong in a known way."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import evaluate as evaluate_program
from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from evaluation.clip import Clip
from evaluation.measures import evaluate, never_seen, retimings
from util.errors import UserError
from util.images import read_image, write_png

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, LENGTH = 96, 64, 12
NAMES = [f"{frame + 1:04d}" for frame in range(LENGTH)]
COLOURS = {1: (200, 60, 60), 2: (60, 80, 210)}


def texture():
    rng = np.random.default_rng(3)
    return rng.integers(110, 200, (HEIGHT // 8, WIDTH // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)


def box(left, right, top, bottom):
    inside = np.zeros((HEIGHT, WIDTH), np.uint8)
    inside[top:bottom, left:right] = 255
    return inside


def left_side(number, frame):
    return 14 + 2 * frame if number == 1 else 58 - 2 * frame


def person(number, frame):
    left = left_side(number, frame)
    return box(left, left + 24, 14, 48)


def shadow(number, frame):
    left = left_side(number, frame)
    return box(left + 4, left + 34, 50, 56) // 2


def rgba(number, frame):
    """A person above his shadow, straight RGBA."""
    body, dark = person(number, frame), shadow(number, frame)
    return np.dstack([np.where(body[..., None] > 0, np.uint8(COLOURS[number]), np.uint8(0)), np.maximum(body, dark)])


def over(background, layer):
    alpha = layer[..., 3:] / 255
    return np.rint(layer[..., :3] * alpha + background * (1 - alpha)).astype(np.uint8)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A clip of two people who cross, the second in front, with its true layers in gt/."""
    folder = tmp_path_factory.mktemp("clip")
    write_png(folder / "gt/bg.png", texture())
    for frame, name in enumerate(NAMES):
        image = texture()
        for number in (1, 2):
            write_png(folder / f"gt/layer_{number:02d}/{name}.png", rgba(number, frame))
            write_png(folder / f"gt/person_{number:02d}/{name}.png", person(number, frame))
            write_png(folder / f"gt/shadow_{number:02d}/{name}.png", shadow(number, frame))
            image = over(image, rgba(number, frame))
        write_png(folder / f"rgb_256/{name}.png", image)
        write_png(folder / f"rgb_512/{name}.png", doubled(image))
    (folder / "metadata.json").write_text(json.dumps({"alphapose_input_size": [WIDTH, HEIGHT], "n_textures": 49,
                                                      "size_LR": [WIDTH, HEIGHT]}))
    return folder


@pytest.fixture
def measured(root, tmp_path):
    """A function from functions of layer number and frame (0 is the background) to the clip's figures."""
    def measure(pixels):
        export(tmp_path, pixels)
        return evaluate(Clip(LayerFolder.open(tmp_path), Dataroot.open(root), LayerFolder.open(root / "gt")))["total"]
    return measure


def export(folder, pixels):
    for frame, name in enumerate(NAMES):
        for number in range(3):
            write_png(folder / f"images/{name}_rgba_l{number}.png", pixels(number, frame))


def true(number, frame):
    return np.dstack([texture(), box(0, WIDTH, 0, HEIGHT)]) if number == 0 else rgba(number, frame)


def doubled(picture):
    return picture.repeat(2, 0).repeat(2, 1)


def layers_of(total):
    return [total["layer_1"], total["layer_2"]]


PERFECT = {"matte_sad": 0, "matte_mae": 0, "matte_mse": 0, "matte_gradient": 0, "matte_flicker": 0,
           "person_matte_mae": 0, "rgba_error": 0, "effect_iou": 1, "shadow_own": 1, "shadow_other": 0,
           "shadow_background": 0}


@pytest.mark.parametrize("scale", [1, 2])
def test_true_layers_are_perfect_also_at_twice_the_size(measured, scale):
    total = measured(lambda number, frame: true(number, frame) if scale == 1 else doubled(true(number, frame)))
    assert total["reconstruction"]["psnr"] > 55 and total["reconstruction"]["ssim"] > 0.999
    assert total["background"]["psnr"] == total["background"]["unseen_psnr"] == 100
    assert set(total["retiming"].values()) == {100}
    for layer in layers_of(total):
        assert {name: layer[name] for name in PERFECT} == pytest.approx(PERFECT, abs=1e-5)
        assert layer["flicker"] < 0.5
    assert total["layer_1"]["hidden_matte_error"] == total["layer_1"]["hidden_rgba_error"] == 0
    assert total["layer_2"]["hidden_matte_error"] is None


def test_coverage_and_shares_are_what_was_drawn(measured):
    total = measured(true)
    area = 24 * 34 + 30 * 6 * 127 / 255
    assert total["layer_2"]["coverage"] == total["layer_2"]["share"] == pytest.approx(area / (WIDTH * HEIGHT), rel=0.02)
    assert total["layer_1"]["share"] < total["layer_1"]["coverage"]
    assert sum(total[group]["share"] for group in ("background", "layer_1", "layer_2")) == pytest.approx(1)


def test_layers_of_swapped_people_change_everything_but_the_picture(measured):
    total = measured(lambda number, frame: true({0: 0, 1: 2, 2: 1}[number], frame))
    assert total["background"]["psnr"] == 100
    for layer in layers_of(total):
        assert layer["effect_iou"] < 0.5 and layer["rgba_error"] > 1 and layer["matte_mae"] > 0.05
        assert layer["shadow_own"] < 0.5 < layer["shadow_other"]
    assert max(total["retiming"].values()) < 30


def test_layers_a_frame_late_are_worse_in_every_measure_of_layers(measured):
    total = measured(lambda number, frame: true(number, max(frame - 1, 0)))
    assert total["reconstruction"]["psnr"] < 30 and total["background"]["psnr"] == 100
    for layer in layers_of(total):
        assert 0.5 < layer["effect_iou"] < 0.9 and 0.1 < layer["rgba_error"] < 0.5 and layer["shadow_own"] < 0.95
        assert layer["matte_mae"] > 0.01 and layer["matte_gradient"] > 0.1 and layer["matte_flicker"] > 5
    assert max(total["retiming"].values()) < 35


def test_blank_layers_hold_nothing(measured):
    total = measured(lambda number, frame: true(0, frame) if number == 0 else np.zeros_like(rgba(number, frame)))
    assert total["background"]["share"] == 1 and total["reconstruction"]["psnr"] < 25
    for layer in layers_of(total):
        assert (layer["coverage"], layer["rgba_error"], layer["effect_iou"], layer["shadow_own"]) == (0, 1, 0, 0)
    assert total["layer_1"]["hidden_matte_error"] == 1


def test_a_shadow_that_stays_in_the_background_is_found_there(measured):
    def painted(number, frame):
        pixels = true(number, frame).copy()
        if number:
            pixels[person(number, frame) == 0] = 0
        else:
            pixels[50:56, :, :3] //= 2
        return pixels
    total = measured(painted)
    assert total["background"]["psnr"] < 30 and total["background"]["ssim"] < 0.99
    for layer in layers_of(total):
        assert layer["shadow_own"] == 0 and layer["shadow_background"] > 0.95
        assert layer["person_matte_mae"] < 1e-6 < layer["matte_mae"] and layer["effect_iou"] < 0.9


def test_a_shadow_on_somebody_is_measured_apart_from_that_on_the_ground(tmp_path):
    root = make_sample(tmp_path / "clip", frames=6, width=96, height=64, shadow_on_people=True)
    shutil.copytree(root / "gt", tmp_path / "cut")
    for path in (tmp_path / "cut").glob("layer_*/*.png"):  # nobody casts a shadow on the other
        pixels = read_image(path, "RGBA").copy()
        other = read_image(root / f"gt/person_{3 - int(path.parent.name[-2:]):02d}/{path.name}", "L")
        pixels[(other > 0) & (read_image(root / f"gt/person_{path.parent.name[-2:]}/{path.name}", "L") == 0)] = 0
        write_png(path, pixels)
    dataroot, truth = Dataroot.open(root), LayerFolder.open(root / "gt")
    true, cut = (layers_of(evaluate(Clip(LayerFolder.open(folder), dataroot, truth))["total"])
                 for folder in (root / "gt", tmp_path / "cut"))
    cast = [k for k in range(2) if true[k]["shadow_on_people"] is not None]
    assert cast and all(true[k]["shadow_on_people"] == 1 and cut[k]["shadow_on_people"] == 0 for k in cast)
    assert all(cut[k]["shadow_own"] > 0.95 for k in range(2))


def test_a_hole_where_somebody_stands_in_front_shows_in_hidden_errors_and_retiming_only(measured):
    def holed(number, frame):
        pixels = true(number, frame).copy()
        if number == 1:
            pixels[person(2, frame) > 0] = 0
        return pixels
    total = measured(holed)
    assert total["reconstruction"]["psnr"] > 55
    assert total["layer_1"]["hidden_matte_error"] > 0.9 and total["layer_1"]["hidden_rgba_error"] > 0.9
    assert total["retiming"]["remove_2_psnr"] < 40 and total["retiming"]["remove_1_psnr"] == 100


def test_frames_in_which_next_to_nothing_is_hidden_say_nothing_of_hidden_parts(measured, monkeypatch):
    hidden = max(float(true(1, frame)[person(2, frame) > 127][:, 3].sum()) / 255 for frame in range(LENGTH))
    monkeypatch.setattr("evaluation.measures.LEAST_HIDDEN", hidden - 1)
    assert measured(true)["layer_1"]["hidden_matte_error"] == 0
    monkeypatch.setattr("evaluation.measures.LEAST_HIDDEN", hidden + 1)
    assert measured(true)["layer_1"]["hidden_matte_error"] is None


def test_flicker_is_told_apart_by_layer(measured):
    def pulsing(number, frame):
        pixels = true(number, frame).copy()
        if number == 2:
            pixels[..., 3] = pixels[..., 3] * (1 - 0.2 * (frame % 2))
        return pixels
    total = measured(pulsing)
    assert total["layer_2"]["flicker"] > 2 and total["layer_2"]["matte_flicker"] > 2
    assert total["layer_1"]["flicker"] < 0.5 and total["background"]["flicker"] == 0
    assert total["reconstruction"]["flicker"] > 2

    def unsteady(number, frame):
        pixels = true(number, frame).copy()
        if number == 0:
            pixels[20:40, :, :3] += np.uint8(12 * (frame % 2))
        return pixels
    assert measured(unsteady)["background"]["flicker"] > 4


def test_what_is_never_seen_of_the_background_is_measured_apart(root, tmp_path, measured):
    truth = LayerFolder.open(root / "gt")
    unseen = never_seen(Clip(truth, Dataroot.open(root), truth))[0]
    covered = [np.maximum(rgba(1, frame)[..., 3], rgba(2, frame)[..., 3]) > 0 for frame in range(LENGTH)]
    assert (unseen == np.logical_and.reduce(covered)).all() and 0 < unseen.mean() < 0.2

    def invented(number, frame):
        pixels = true(number, frame).copy()
        if number == 0:
            pixels[unseen] //= 2
        return pixels
    background = measured(invented)["background"]
    assert background["unseen_share"] == pytest.approx(unseen.mean())
    assert background["unseen_psnr"] < 15 < background["psnr"] and background["unseen_ssim"] < background["ssim"]


def test_where_the_camera_moves_a_place_is_seen_if_any_frame_shows_it_wherever_it_is_then(root, tmp_path):
    shutil.copytree(root, tmp_path / "clip")
    gt = tmp_path / "clip/gt"
    for frame, name in enumerate(NAMES):  # the first person keeps his place in the frame, the second in the world
        for number, left in ((1, 30), (2, 70 - 2 * frame)):
            matte = box(left, left + 12, 14, 48)
            write_png(gt / f"layer_{number:02d}/{name}.png", np.dstack([matte] * 4))
    lines = [f"1 0 {-2 * frame} 0 1 0 0 0 1" for frame in range(LENGTH)]
    bounds = f"bounds: 0 {WIDTH - 1 + 2 * (LENGTH - 1)} 0 {HEIGHT - 1}"
    (tmp_path / "clip/homographies.txt").write_text("\n".join([f"size: {WIDTH} {HEIGHT}", bounds, *lines]))
    truth = LayerFolder.open(gt)
    unseen = never_seen(Clip(truth, Dataroot.open(tmp_path / "clip"), truth))
    for frame in range(LENGTH):
        assert (unseen[frame] == (box(70 - 2 * frame, 82 - 2 * frame, 14, 48) > 0)).all()


def test_one_person_and_one_frame_can_be_measured():
    assert list(retimings([1], 1)) == ["freeze", "offset", "align", "remove_1"]
    for version in retimings([1], 1).values():
        assert all(times.tolist() == [0] for times in version.times.values())


def test_retimed_versions_do_what_they_say():
    versions = retimings([1, 2, 3], 60)
    assert versions["offset"].description == "layer 2 is 15 frames late"
    assert versions["offset"].times[2][[0, 15, 59]].tolist() == [0, 0, 44]
    assert len(set(versions["freeze"].times[1][20:41])) == 1
    assert versions["align"].description == "layer 3 shows its frames 31 and 41 at 16 and 46"
    assert versions["align"].times[3][[15, 45]].tolist() == [30, 40]
    assert set(versions["remove_3"].times) == {1, 2}
    short = retimings([1, 2, 3], 20)
    assert short["freeze"].times[1].tolist() == [*range(6), *[6] * 8, *range(7, 13)]
    assert short["offset"].description == "layer 2 is 10 frames late"
    assert short["offset"].times[2].tolist() == [*[0] * 10, *range(10)]


@pytest.mark.parametrize("broken, message", [
    (lambda root: (root / "gt/layer_02").rename(root / "gt/layer_03"), "gt: true layers [1, 3]; "),
    (lambda root: [path.unlink() for path in root.glob("gt/*/0012.png")], "gt: no true layers of frame 0012 (1 such"),
    (lambda root: [path.unlink() for path in root.glob("rgb_256/0001.png")], "layers: 1 of its frames are not in "),
    (lambda root: shutil.rmtree(root / "rgb_512"), "rgb_512: no such folder"),
])
def test_what_does_not_belong_together_is_refused(root, tmp_path, broken, message):
    shutil.copytree(root, tmp_path / "clip")
    export(tmp_path / "layers", lambda number, frame: doubled(true(number, frame)))
    broken(tmp_path / "clip")
    with pytest.raises(UserError) as error:
        Clip(LayerFolder.open(tmp_path / "layers"), Dataroot.open(tmp_path / "clip"),
             LayerFolder.open(tmp_path / "clip/gt"))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_layers_of_another_size_than_the_frames_are_refused(root, tmp_path):
    export(tmp_path, lambda number, frame: true(number, frame)[:60])
    with pytest.raises(UserError, match=r"layers of 96x60 pixels; the frames have 96x64 in rgb_256 and 192x128 in"):
        Clip(LayerFolder.open(tmp_path), Dataroot.open(root))


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network, and no weights from earlier."""
    for name, value in {"https_proxy": "http://127.0.0.1:9", "no_proxy": "", "TORCH_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def workplace(root, tmp_path_factory):
    """A folder with a clip, and what train.py and test.py leave of a run."""
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(root, folder / "clip")
    export(folder / "results/small/test_latest", lambda number, frame: true(number, max(frame - 1, 0)))
    options = {"dataroot": "clip", "seed": 7, "n_epochs": 30, "num_filters": 8, "print_freq": 10}
    (folder / "checkpoints/small").mkdir(parents=True)
    (folder / "checkpoints/small/train_opt.json").write_text(json.dumps(options))
    return folder


def test_a_run_is_measured_with_its_own_clip_and_its_truth(workplace, offline):
    result = subprocess.run([sys.executable, str(ROOT / "evaluate.py"), "--name", "small"], cwd=workplace,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for fact in ("12 frames of 96x64", "layers of people: 1, 2", "seed 7; n_epochs 30, num_filters 8.", "clip/gt",
                 "Left out: LPIPS, because"):
        assert fact in result.stdout
    assert "preset" not in result.stdout and "print_freq" not in result.stdout
    folder = workplace / "results/small/test_latest/evaluation"
    figures = json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert f'version = "{figures["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert (figures["size"], figures["truth_size"], figures["people"]) == ([96, 64], [96, 64], [1, 2])
    assert figures["total"]["reconstruction"]["lpips"] is None and "LPIPS" in figures["left_out"]
    rows = list(csv.DictReader((folder / "frames.csv").open()))
    assert [row["frame"] for row in rows] == [frame["frame"] for frame in figures["frames"]] == NAMES
    assert float(rows[3]["layer_2_matte_sad"]) == figures["frames"][3]["layer_2"]["matte_sad"]
    assert rows[0]["reconstruction_flicker"] == "" and figures["frames"][0]["reconstruction"]["flicker"] is None
    page = (folder / "index.html").read_text()
    pictures = re.findall(r'src="(images/[^"]+)"', page)
    assert len(pictures) == len(set(pictures)) > 25 and all((folder / picture).exists() for picture in pictures)
    assert page.count("data:image/svg+xml") == 13


def test_any_folder_of_layers_is_measured_without_truth(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--layers", "clip/gt", "--dataroot", "clip", "--truth", "none",
                                      "--no_lpips", "--out", "out"])
    evaluate_program.main()
    printed = capsys.readouterr().out
    assert "True layers: not known" in printed and "retiming" not in printed
    figures = json.loads((workplace / "out/metrics.json").read_text())
    assert figures["run"] is figures["truth"] is figures["truth_size"] is None
    assert set(figures["total"]["layer_1"]) == {"coverage", "share", "outside", "flicker"}
    assert figures["total"]["background"]["off"] is None and figures["total"]["layer_1"]["outside"] is None  # no masks
    assert not list((workplace / "clip/gt").glob("evaluation"))


@pytest.mark.parametrize("arguments, message", [
    ((), "--name: give the name of a run, or a folder of layers with --layers DIR (one of the two)"),
    (("--name", "small", "--layers", "clip/gt"), "--name: give the name of a run, or"),
    (("--layers", "clip/gt"), "--dataroot: missing; give the folder of the clip"),
    (("--layers", "clip", "--dataroot", "clip"), "clip: no layers; expected images/0001_rgba_l0.png"),
    (("--name", "small", "--epoch", "9"), "results/small/test_9: no layers; expected images/"),
    (("--name", "unknown"), "--dataroot: missing"),
    (("--name", "small", "--truth", "nowhere"), "nowhere: no layers"),
    (("--name", "small", "--truths", "none"), "--truths: no such option; did you mean --truth?"),
])
def test_a_mistake_is_one_line_and_nothing_is_written(workplace, monkeypatch, arguments, message):
    before = set(workplace.rglob("*"))
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
    with pytest.raises(UserError) as error:
        evaluate_program.main()
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
    assert set(workplace.rglob("*")) == before


def test_an_evaluation_deletes_nothing_and_does_not_come_between_the_layers(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    layers = Path("results/small/test_latest")
    before = {path: path.read_bytes() for path in layers.rglob("*.png") if "evaluation" not in path.parts}
    for place in (layers, layers / "images"):
        with pytest.raises(UserError, match="the folder of what is measured; expected another one, such as "
                                            "results/small/test_latest/evaluation"):
            evaluate_program.main(["--name", "small", "--no_lpips", "--out", str(place)])
    Path("mine/images").mkdir(parents=True)
    for name in ("mine/images/holiday.jpg", "mine/index.html"):
        Path(name).write_text("precious")
    for _ in range(2):
        evaluate_program.main(["--name", "small", "--no_lpips", "--out", "mine"])
    assert Path("mine/images/holiday.jpg").read_text() == Path("mine/earlier/index.html").read_text() == "precious"
    assert "precious" not in Path("mine/index.html").read_text() and not Path("mine/earlier_2").exists()
    assert before == {path: path.read_bytes() for path in before}
