"""Pictures of any system against their targets: folders matched by name, measured, and shown."""

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchmetrics.functional.image.lpips as lpips_module
from skimage import data
from torchvision.models import inception_v3
from torchvision.models.video import r3d_18

import evaluate as evaluate_program
from data.pose_files import openpose_text
from evaluation import images
from evaluation.pair_report import tables
from evaluation.pairs import Pictures, evaluate_pairs, masks_of, matched
from evaluation.poses import pose_error
from preparation.estimators import near_a_skeleton
from tests.golden_actor import figures
from util.errors import UserError
from util.files import write_text
from util.images import read_deep_image, unit_range, write_png
from vision.people.body25 import person_of_coco

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 48, 40


def grey(level):
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def texture(seed):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def write_16_bits(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def write_jpeg(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two sequences of three pictures, `made` and `true`, all the same grey."""
    monkeypatch.chdir(tmp_path)
    for sequence in ("a", "b/c"):
        for frame in range(1, 4):
            write_png(tmp_path / f"true/{sequence}/{frame:04d}.png", grey(100))
            write_png(tmp_path / f"made/{sequence}/{frame:04d}.png", grey(100))
    return Pictures(Path("made")), Pictures(Path("true"))


def names(pairs):
    return [pair.name for pair in pairs]


def measure(folders, **options):
    return evaluate_pairs(matched(*folders, **options)[0])


def test_psnr_is_that_of_all_pixels_and_its_mean_that_of_the_pictures(folders):
    write_png("made/a/0001.png", grey(110))
    write_png("made/b/c/0003.png", grey(120))
    result = measure(folders)
    errors = {"a/0001": (10 / 255) ** 2, "b/c/0003": (20 / 255) ** 2}
    total, by_name = result["total"]["images"], {one["frame"]: one["images"] for one in result["frames"]}
    assert total["psnr"] == pytest.approx(-10 * math.log10(sum(errors.values()) / 6), abs=1e-3)
    for name, error in errors.items():
        assert by_name[name]["psnr"] == by_name[name]["psnr_mean"] == pytest.approx(-10 * math.log10(error), abs=1e-3)
    assert by_name["a/0002"]["psnr"] == images.IDENTICAL and by_name["a/0002"]["ssim"] == pytest.approx(1)
    assert total["psnr_mean"] == pytest.approx(np.mean([one["psnr"] for one in by_name.values()]))
    assert result["sequences"]["a"]["images"]["psnr"] == pytest.approx(-10 * math.log10(errors["a/0001"] / 3), abs=1e-3)
    assert list(result["sequences"]) == ["a", "b/c"] and total["lpips"] is None


def test_ssim_is_the_formula_of_the_paper(folders):
    one, other = texture(1), texture(2) // 3 + texture(1) // 2
    write_png("made/a/0001.png", one)
    write_png("true/a/0001.png", other)
    found = measure(folders)["frames"][0]["images"]["ssim"]
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets ** 2) / (2 * 1.5 ** 2))
    window /= window.sum()
    similar = []
    x, y = (np.pad(picture / 255, ((5, 5), (5, 5), (0, 0)), mode="reflect") for picture in (one, other))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            for channel in range(3):
                p, q = (picture[row:row + 11, column:column + 11, channel] for picture in (x, y))
                mean_p, mean_q = (window * p).sum(), (window * q).sum()
                var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
                covariance = (window * (p - mean_p) * (q - mean_q)).sum()
                similar.append((2 * mean_p * mean_q + 1e-4) * (2 * covariance + 9e-4)
                               / ((mean_p ** 2 + mean_q ** 2 + 1e-4) * (var_p + var_q + 9e-4)))
    assert found == pytest.approx(np.mean(similar), abs=1e-4)


def test_flicker_is_change_that_targets_do_not_have_between_frames_that_follow_each_other(folders):
    for sequence in ("a", "b/c"):
        write_png(f"made/{sequence}/0002.png", grey(106))
    figures = [one["images"]["flicker"] for one in measure(folders)["frames"]]
    assert figures == [None, pytest.approx(6, rel=1e-4), pytest.approx(6, rel=1e-4)] * 2
    for folder in ("made", "true"):
        Path(folder, "a/0002.png").unlink()
    assert [one["images"]["flicker"] for one in measure(folders)["frames"]][:2] == [None, None]


def test_temporal_error_follows_what_moves(folders):
    ground = np.random.default_rng(1).integers(60, 200, (80, 120, 3), np.uint8)
    ground = cv2.GaussianBlur(ground, (9, 9), 2)
    for k in range(3):
        moved = np.roll(ground, 2 * k, axis=1)
        write_png(f"moving/true/{k:04d}.png", moved)
        write_png(f"moving/steady/{k:04d}.png", moved + np.uint8(20))  # wrong, but always alike
        write_png(f"moving/restless/{k:04d}.png", moved + np.uint8(10 * (k % 2)))
    steady, restless = (evaluate_pairs(matched(Pictures(Path("moving", name)), Pictures(Path("moving/true")))[0])
                        ["total"]["images"] for name in ("steady", "restless"))
    assert steady["temporal_error"] == pytest.approx(steady["true_temporal_error"], abs=0.3)
    assert steady["true_temporal_error"] < 4  # the seam of the ground
    assert restless["temporal_error"] == pytest.approx(10, rel=0.1)


def test_only_what_a_mask_shows_is_measured(folders):
    made = grey(100)
    made[:, WIDTH // 2:] = 150
    for name in ("a/0001", "a/0002", "a/0003", "b/c/0001", "b/c/0002", "b/c/0003"):
        write_png(f"made/{name}.png", made)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:, :WIDTH // 2] = 255
        write_png(f"masks/{name}.png", mask)
    pairs = matched(*folders)[0]
    within = evaluate_pairs(pairs, masks=masks_of(pairs, Path("masks")))["total"]["images"]
    assert within["psnr"] == images.IDENTICAL and within["ssim"] > measure(folders)["total"]["images"]["ssim"]
    Path("masks/b/c/0003.png").unlink()
    with pytest.raises(UserError, match="--masks masks: 1 of 6 pictures have no mask, the first is b/c/0003"):
        masks_of(pairs, Path("masks"))


def test_pictures_are_matched_by_name_whatever_their_ending_and_what_they_are_called_besides(folders, tmp_path):
    for frame in (1, 2, 9, 10):
        write_jpeg(tmp_path / f"export/x/fake_B_{frame}.jpg", grey(100))
        write_jpeg(tmp_path / f"export/x/real_A_{frame}.jpg", grey(0))
        write_png(tmp_path / f"targets/x/{frame}.png", grey(100))
    pairs, unmatched = matched(Pictures(Path("export"), "fake_B_*"), Pictures(Path("targets")))
    assert names(pairs) == ["x/1", "x/2", "x/9", "x/10"] and unmatched == {"images": 0, "targets": 0}
    assert pairs[3].image == Path("export/x/fake_B_10.jpg") and pairs[3].target == Path("targets/x/10.png")
    pairs, _ = matched(Pictures(Path("export"), "fake_B_*"), Pictures(Path("export"), "real_A_*"))
    assert len(pairs) == 4 and pairs[0].target.name == "real_A_1.jpg"


def test_the_folder_images_of_an_export_is_no_part_of_a_name(folders, tmp_path):
    for sequence in ("a", "b/c"):
        (tmp_path / "export" / sequence).mkdir(parents=True)
        (tmp_path / "made" / sequence).rename(tmp_path / "export" / sequence / "images")
    assert names(matched(Pictures(Path("export")), folders[1])[0])[::3] == ["a/0001", "b/c/0001"]
    write_png("export/a/0001.png", grey(1))
    with pytest.raises(UserError, match="has the same name"):
        matched(Pictures(Path("export")), folders[1])


def test_what_only_one_folder_has_is_left_out_if_that_is_wished(folders):
    Path("made/a/0001.png").unlink()
    write_png("made/new.png", grey(1))
    pairs, unmatched = matched(*folders, only_common=True)
    assert len(pairs) == 5 and unmatched == {"images": 1, "targets": 1}


def test_sixteen_bits_stay_sixteen_bits(folders, tmp_path):
    deep = np.full((HEIGHT, WIDTH, 3), 25700, np.uint16)  # 100 of 255
    deep[..., 0] += 1
    write_16_bits(tmp_path / "true/a/0001.png", deep)
    write_16_bits(tmp_path / "true/a/0002.tif", deep)
    Path("true/a/0002.png").unlink()
    result = measure(folders)
    assert result["bits"] == {"images": [8], "targets": [8, 16]}
    expected = -10 * math.log10((1 / 65535) ** 2 / 3)
    assert expected > 100 and result["frames"][0]["images"]["psnr"] == images.IDENTICAL
    deep[..., 0] += 63
    write_16_bits(tmp_path / "true/a/0001.png", deep)
    assert measure(folders)["frames"][0]["images"]["psnr"] == pytest.approx(
        -10 * math.log10((64 / 65535) ** 2 / 3), abs=0.01)
    np.testing.assert_array_equal(read_deep_image("true/a/0001.png"), deep)
    write_16_bits(tmp_path / "grey.png", np.full((4, 4), 300, np.uint16)[..., None].repeat(3, 2))
    assert unit_range(read_deep_image("grey.png"))[0, 0, 1] == pytest.approx(300 / 65535)


def test_sizes_may_differ_from_sequence_to_sequence(folders):
    for folder in ("made", "true"):
        for frame in range(1, 4):
            write_png(f"{folder}/b/c/{frame:04d}.png", grey(100)[:20])
    assert measure(folders)["sizes"] == {"48x40": 3, "48x20": 3}


def transparent():
    return np.dstack([grey(100), np.full((HEIGHT, WIDTH), 200, np.uint8)])


@pytest.mark.parametrize("broken, message", [
    (lambda: Path("true/a/0001.png").unlink(), "true: 1 target missing of 6, the first is a/0001."),
    (lambda: [path.unlink() for path in Path("made/b/c").iterdir()], "made: 3 pictures missing of 6, the first is "
     "b/c/0001"),
    (lambda: Path("true").rename("gone"), "true: no such folder"),
    (lambda: Path("made/a").rename("true/z") and Path("made/b").rename("made/q"), "made: no picture has the name of a "
     "target in true; the first are q/c/0001 and a/0001. "),
    (lambda: [path.unlink() for path in Path("made").rglob("*.png")], "made: no pictures; expected files such as"),
    (lambda: write_jpeg(Path("made/a/0001.jpg"), grey(1)), "made/a/0001.png: 0001.jpg has the same name"),
    (lambda: write_png("made/a/0002.png", grey(1)[:20]), "made/a/0002.png: 48x20 pixels; its target "
     "true/a/0002.png has 48x40 (1 such picture)"),
    (lambda: write_png("made/a/0002.png", transparent()), "made/a/0002.png: has transparent pixels"),
    (lambda: Path("made/a/0003.png").write_bytes(Path("made/a/0003.png").read_bytes()[:90]), "made/a/0003.png: not a "
     "readable image"),
    (lambda: Path("made/a/0003.png").write_text("?"), "made/a/0003.png: not a readable image"),
])
def test_what_does_not_fit_is_told_in_one_line_that_names_the_first(folders, broken, message):
    broken()
    with pytest.raises(UserError) as error:
        measure(folders)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_perceptual_distance_is_measured_where_the_network_can_see(folders, monkeypatch):
    network = lpips_module._LPIPS(pretrained=False, net="alex", pnet_rand=True)
    def lpips(one, other):
        assert min(one.shape[:2]) >= images.SMALLEST_LPIPS
        return float(network(*(torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()) for picture in (one, other))))
    smallest = unit_range(texture(1))[:images.SMALLEST_LPIPS, :images.SMALLEST_LPIPS]
    assert images.perceptual_distance(lpips, smallest, smallest) == (0, 1, float)
    assert images.perceptual_distance(lpips, smallest[1:], smallest[1:]).weight == 0
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, 30, 48), torch.zeros(1, 3, 30, 48))
    result = evaluate_pairs(matched(*folders)[0], lpips)
    assert result["total"]["images"]["lpips"] == 0


def test_a_table_of_sequences_stands_where_there_are_several(folders):
    result = measure(folders)
    assert [table.heading for table in tables(result)] == ["pictures", "sequences"]
    assert [row[0].title for row in tables(result)[1].rows] == ["a", "b/c"]
    one = evaluate_pairs(matched(Pictures(Path("made/a")), Pictures(Path("true/a")))[0])
    assert list(one["sequences"]) == ["."] and [table.heading for table in tables(one)] == ["pictures"]


def test_two_folders_are_measured_by_the_program_again_and_again(folders, tmp_path):
    write_png("made/b/c/0002.png", texture(1))
    command = [sys.executable, str(ROOT / "evaluate.py"), "--images", "made", "--targets", "true", "--no_lpips"]
    for _ in range(2):  # the pictures on the page of the first time are not measured by the second
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for fact in ("Pictures: made, against true", "6 pictures of 48x40 pixels in 2 sequences, with 8 bits per channel",
                 "from 0 to 1", "Left out: LPIPS", "b/c"):
        assert fact in done.stdout
    folder = tmp_path / "made/evaluation"
    figures = json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert (figures["number"], figures["sizes"], figures["run"]) == (6, {"48x40": 6}, None)
    rows = list(csv.DictReader((folder / "frames.csv").open()))
    assert [row["frame"] for row in rows] == ["a/0001", "a/0002", "a/0003", "b/c/0001", "b/c/0002", "b/c/0003"]
    assert float(rows[4]["images_psnr"]) == figures["frames"][4]["images"]["psnr"] < 20
    page = (folder / "index.html").read_text()
    pictures = re.findall(r'src="(images/[^"]+)"', page)
    assert page.index("Picture b/c/0002") < page.index("Picture a/0001") and len(pictures) == len(set(pictures)) == 9
    assert all((folder / picture).exists() for picture in pictures)


def test_an_export_of_a_run_is_measured_against_targets_in_it(tmp_path, monkeypatch, capsys):
    for frame in range(3):
        for name, level in (("made", 101), ("target", 100)):
            write_png(tmp_path / f"results/street/test_latest/images/{frame}_{name}.png", grey(level))
    (tmp_path / "checkpoints/street").mkdir(parents=True)
    (tmp_path / "checkpoints/street/train_opt.json").write_text(json.dumps({"model": "toy", "lr": 0.1, "seed": 7}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--name", "street", "--image_names", "*_made", "--target_names",
                                      "*_target", "--no_lpips", "--out", "out"])
    evaluate_program.main()
    assert "Run: street, epoch latest, seed 7; model toy, lr 0.1." in capsys.readouterr().out
    figures = json.loads((tmp_path / "out/metrics.json").read_text())
    assert figures["total"]["images"]["psnr"] == pytest.approx(20 * math.log10(255), abs=1e-3)
    assert figures["total"]["images"]["flicker"] == 0


@pytest.mark.parametrize("arguments, message", [
    (("--images", "made"), "--targets: missing"),
    (("--targets", "true"), "--images: give a folder of pictures, or the name of a run with --name NAME (one"),
    (("--images", "made", "--name", "x", "--targets", "true"), "--images: give a folder of pictures, or"),
    (("--images", "made", "--targets", "true", "--layers", "x"), "--layers: found with pictures"),
    (("--images", "made", "--targets", "true", "--dataroot", "x"), "--dataroot: found with pictures"),
    (("--images", "made", "--targets", "true", "--truth", "x"), "--truth: found with pictures"),
    (("--images", "made", "--targets", "true", "--image_names", "fake"), "--image_names: found 'fake'; expected one *"),
    (("--name", "x", "--targets", "true"), "results/x/test_latest: no such folder"),
    (("--only_common", "--layers", "x"), "--layers: found with pictures"),
])
def test_a_mistake_of_the_command_line_is_one_line(folders, monkeypatch, arguments, message):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
    with pytest.raises(UserError) as error:
        evaluate_program.main()
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_a_folder_of_pictures_with_somebody_s_metrics_beside_them_is_measured(folders):
    Path("made/metrics.json").write_text("{}")
    Path("made/frames.csv").write_text("")
    assert len(matched(*folders)[0]) == 6


def test_the_part_that_is_measured_round_the_content_is_as_published():
    case = figures("images.pt")["score_crop"]
    target = np.full((*case["target_size"], 3), 255, np.uint8)
    (top, below), (left, behind) = case["content_rows"], case["content_columns"]  # the second ones are outside
    target[[top, below - 1], left, 0] = target[top, [left, behind - 1], 2] = 0
    for size, box in case["cases"].items():
        assert list(images.content_box(target, tuple(map(int, size.split(","))))) == box
    assert images.content_box(np.full_like(target, 255), (10, 10)) is None


def test_only_a_part_round_the_content_is_measured_and_white_targets_are_left_out(folders):
    """A square of another grey in the made picture, and a wrong pixel far away from it that does not count."""
    made, true = np.full((HEIGHT, WIDTH, 3), 255, np.uint8), np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    true[10:20, 10:20], made[10:20, 10:20], made[35, 40] = 100, 110, 0
    write_png("true/a/0001.png", true)
    write_png("made/a/0001.png", made)
    for name in ("a/0002", "a/0003", "b/c/0001", "b/c/0002", "b/c/0003"):
        write_png(f"true/{name}.png", grey(255))
    evaluate_program.main(["--images", "made", "--targets", "true", "--crop", "10x10", "--no_lpips"])
    result = json.loads(Path("made/evaluation/metrics.json").read_text())
    assert result["crop"] == [10, 10] and [one["frame"] for one in result["frames"]] == ["a/0001"]
    assert result["total"]["images"]["psnr"] == pytest.approx(20 * math.log10(255 / 10), abs=1e-3)
    write_png("true/a/0001.png", grey(255))
    with pytest.raises(UserError, match="--crop: all 6 targets are white"):
        evaluate_program.main(["--images", "made", "--targets", "true", "--crop", "10,10", "--no_lpips"])
    with pytest.raises(UserError, match="--crop: found '10'"):
        evaluate_program.main(["--images", "made", "--targets", "true", "--crop", "10"])


def test_the_pose_error_is_what_a_pose_is_off_by(tmp_path, monkeypatch):
    """An estimator finds somebody again in a picture; in one that is moved he is off by the motion."""
    monkeypatch.chdir(tmp_path)
    picture = data.astronaut()
    estimate, pose = near_a_skeleton(), np.array([[222, 128, 1], *[[240, 120, 1]] * 4, [306, 256, 1], [113, 240, 1],
                                                 *[[0, 0, 0]] * 4, [290, 470, 1], [150, 470, 1], *[[0, 0, 0]] * 4])
    for _ in range(4):  # until it finds what it was told
        pose = estimate(picture, pose)
        pose[[7, 8, 9, 10, 13, 14, 15, 16]] = 0  # of arms and legs nothing is seen
    write_text("poses/0001_keypoints.json", openpose_text(person_of_coco(pose)))
    write_png("made/0001.png", np.roll(picture, 12, axis=1))
    write_png("true/0001.png", picture)
    evaluate_program.main(["--images", "made", "--targets", "true", "--poses", "poses", "--no_lpips"])
    found = json.loads(Path("made/evaluation/metrics.json").read_text())["total"]["images"]
    height = np.ptp(pose[pose[:, 2] > 0, 1])
    assert found["true_pose_error"] < 3
    assert found["pose_error"] == pytest.approx(100 * 12 / height, abs=3)
    with pytest.raises(UserError, match="--poses made: neither keypoints.json nor files"):
        evaluate_program.main(["--images", "made", "--targets", "true", "--poses", "made", "--no_lpips"])
    with pytest.raises(UserError, match="--poses: found with --crop"):
        evaluate_program.main(["--images", "made", "--targets", "true", "--poses", "poses", "--crop", "9x9"])


def test_joints_that_are_not_known_do_not_count():
    meant, found = np.zeros((17, 3)), np.ones((17, 3))
    assert pose_error(found, meant).weight == 0
    meant[:2] = (0, 0, 1), (0, 50, 1)
    found[:2] = (3, 4, 1), (0, 50, 0)
    assert pose_error(found, meant)[:2] == (10, 1)


def test_fid_says_how_alike_two_sets_are(tmp_path, monkeypatch):
    """With networks of made weights, which lie where downloaded ones do; without them a line says what is missing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VIDEO_PRETRAINED", "off")
    for k in range(24):
        for folder in ("made", "true"):
            write_png(f"{folder}/{k:04d}.png", texture(k))
    words = ["--images", "made", "--targets", "true", "--no_lpips", "--fid"]
    evaluate_program.main(words)
    missing = json.loads(Path("made/evaluation/metrics.json").read_text())
    assert "fid" not in missing["total"]["images"] and "inception_v3_google" in missing["left_out"]["FID"]
    torch.manual_seed(1)
    weights = tmp_path / "torch/hub/checkpoints"
    weights.mkdir(parents=True)
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(),
               weights / "inception_v3_google-0cc3c7bd.pth")
    torch.save(r3d_18().state_dict(), weights / "r3d_18-b3b3357e.pth")
    evaluate_program.main(words)
    same = json.loads(Path("made/evaluation/metrics.json").read_text())["total"]["images"]
    assert abs(same["fid"]) < 1e-3 and abs(same["video_fid"]) < 1e-3
    for k in range(24):
        write_png(f"made/{k:04d}.png", grey(5 * k))
    evaluate_program.main(words)
    other = json.loads(Path("made/evaluation/metrics.json").read_text())["total"]["images"]
    assert other["fid"] > 100 * abs(same["fid"]) and other["video_fid"] > 100 * abs(same["video_fid"])
    (weights / "r3d_18-b3b3357e.pth").write_bytes(b"no weights")
    evaluate_program.main(words)
    broken = json.loads(Path("made/evaluation/metrics.json").read_text())
    assert "r3d_18-b3b3357e.pth is not readable" in broken["left_out"]["FID"]
    with pytest.raises(UserError, match="--fid: found with layers"):
        evaluate_program.main(["--layers", "made", "--dataroot", "made", "--fid"])
