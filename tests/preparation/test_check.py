"""Checking a dataroot: all problems at once, each with its first frame."""

import json
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from preparation.check import check
from util.images import read_image, write_png
from vision.people.iuv import encode_iuv

FRAMES = 24


def skeleton(x):
    joints = [(10, 1), (11, 0), (9, 0), (12, 1), (8, 1), (14, 6), (6, 6), (15, 12), (5, 12), (15, 18), (5, 18),
              (12, 19), (8, 19), (12, 27), (8, 27), (12, 35), (8, 35)]
    return [value for joint in joints for value in (joint[0] + x, joint[1] + 15, 0.9)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("clip")
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (64, 96, 3), np.uint8)
    keypoints = {}
    for frame in range(FRAMES):
        name = f"{frame + 1:04d}"
        part = np.zeros((64, 96), np.uint8)
        part[15:50, 3 * frame:3 * frame + 20] = 2
        picture = np.where(part[..., None] > 0, np.uint8(frame), ground)
        write_png(root / "rgb_256" / f"{name}.png", picture)
        write_png(root / "rgb_512" / f"{name}.png", picture.repeat(2, axis=0).repeat(2, axis=1))
        write_png(root / "iuv/01" / f"{name}.png", encode_iuv(part, part * 0.0, part * 0.0, 1))
        write_png(root / "mask/01" / f"{name}.png", (part > 0).astype(np.uint8) * 255)
        keypoints[f"{name}.png"] = [{"keypoints": skeleton(3 * frame), "scores": 1, "idx": 1}]
    (root / "keypoints.json").write_text(json.dumps(keypoints))
    (root / "metadata.json").write_text(json.dumps({"alphapose_input_size": [96, 64], "size_LR": [96, 64],
                                                    "n_textures": 25}))
    lines = ["size: 96 64", "bounds: 0 98 0 63"] + ["1 0 0 0 1 0 0 0 1"] * FRAMES
    (root / "homographies.txt").write_text("\n".join(lines))
    return root


@pytest.fixture
def clip(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "clip")


def worst(clip):
    findings = check(clip)
    assert findings == sorted(findings, key=lambda finding: -finding.severity)
    assert all("\n" not in finding.text for finding in findings)
    severity = findings[0].severity
    return severity, "; ".join(finding.text for finding in findings if finding.severity == severity)


def test_nothing_is_wrong_with_a_whole_clip(clip):
    severity, text = worst(clip)
    assert severity == 0 and "--use_homographies" in text


@pytest.mark.parametrize("file, content, severity, found", [
    ("metadata.json", "{", 3, "metadata.json: not readable as JSON"),
    ("keypoints.json", "[", 3, "keypoints.json: not readable as JSON"),
    ("homographies.txt", "size: 96", 3, "homographies.txt: line 1"),
    ("homographies.txt", "size: 96 64\nbounds: 0 9 0 9\n" + "1 0 0 0 1 0 0 0 1\n" * FRAMES, 2,
     "24 frames reach beyond bounds, first 0001"),
    ("homographies.txt", "size: 96 64\nbounds: -900 900 -900 900\n" + "1 0 0 0 1 0 0 0 1\n" * FRAMES, 2,
     "the panorama is 527 times as large as a frame"),
    ("rgb_512/0003.png", "no picture", 3, "0003.png: not a readable image"),
    ("iuv/01/0007.png", "no picture", 3, "0007.png: not a readable image"),
    ("rgb_512/0009.png", None, 3, "1 of 24 frames missing, the first is 0009"),
    ("mask/01/0004.png", None, 1, "1 of 24 frames missing, the first is 0004"),
    ("keypoints.json", None, 1, "keypoints.json: no such file; UV maps cannot be made again"),
])
def test_a_bad_file_is_named(clip, file, content, severity, found):
    (clip / file).unlink() if content is None else (clip / file).write_text(content)
    assert worst(clip)[0] == severity and found in worst(clip)[1]


@pytest.mark.parametrize("folder, severity, found", [
    ("iuv", 3, "iuv: no such folder"), ("rgb_512", 3, "rgb_512: no such folder"), ("rgb_256", 3, "rgb_256: no such"),
    ("", 3, "no such folder")])
def test_a_missing_folder_is_named(clip, folder, severity, found):
    shutil.rmtree(clip / folder)
    assert worst(clip)[0] == severity and found in worst(clip)[1]


def test_all_problems_are_told_at_once(clip):
    (clip / "homographies.txt").write_text("")
    (clip / "keypoints.json").write_text("3")
    Image.new("RGB", (8, 8)).save(clip / "rgb_512/0005.png")
    Image.new("RGBA", (8, 8)).save(clip / "iuv/01/0006.png")
    text = worst(clip)[1]
    assert all(name in text for name in ("homographies.txt", "keypoints.json", "rgb_512/0005.png", "iuv/01/0006.png"))


def test_homographies_of_another_convention_or_of_no_use_are_told_with_the_way_out(clip):
    ground = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (64, 200, 3), np.uint8), (0, 0), 2)

    def told(shifts):
        lines = [f"1 0 {shift} 0 1 0 0 0 1" for shift in shifts]
        (clip / "homographies.txt").write_text("\n".join(["size: 96 64", "bounds: -400 400 -64 128", *lines]))
        return [finding.text for finding in check(clip) if finding.severity == 2
                and finding.text.startswith(f"{clip / 'homographies.txt'}: the matrices")]
    for moves in (True, False):
        for frame in range(FRAMES):
            left = 4 * frame * moves
            write_png(clip / "rgb_256" / f"{frame + 1:04d}.png", ground[:, left:left + 96])
        wrong = [4 * frame if moves else 9 * (frame ** 2 % 5) for frame in range(FRAMES)]
        assert told([-4 * frame * moves for frame in range(FRAMES)]) == []
        text, = told(wrong)
        assert ("if each is inverted" if moves else "no usual convention does better") in text
        assert (f"python datasets/correct_homographies.py --dataroot {clip}" if moves else "move it away") in text


def test_masks_speak_for_people_without_poses_and_must_have_the_form_of_the_frames(clip):
    (clip / "keypoints.json").write_text("{}")
    assert "nobody in" not in str(check(clip))
    shutil.rmtree(clip / "mask/01")
    for frame in range(FRAMES):
        write_png(clip / "mask/01" / f"{frame + 1:04d}.png", np.full((96, 64), 255, np.uint8))
    assert "mask/01: masks of 64x96 pixels; expected the form of the frames, 96x64; they lie on their side" in str(
        check(clip))
    for frame in range(FRAMES):
        write_png(clip / "mask/01" / f"{frame + 1:04d}.png", np.zeros((64, 96), np.uint8))
    text = str(check(clip))
    assert "mask/01: empty in all frames" in text and "nobody in 24 of 24 frames" in text


def test_frames_that_are_not_the_same_or_are_repeated_are_named(clip):
    shutil.copy(clip / "rgb_512/0001.png", clip / "rgb_512/0020.png")
    write_png(clip / "rgb_512/0020.png", 255 - read_image(clip / "rgb_512/0020.png", "RGB"))
    assert "1 frames show another picture than in rgb_256, first 0020" in worst(clip)[1]
    for folder in ("rgb_256", "rgb_512"):
        shutil.copy(clip / folder / "0003.png", clip / folder / "0004.png")
    assert "the same as the one before, first 0004" in str(check(clip))


def test_a_jump_and_poses_outside_the_frame_are_named(clip):
    content = json.loads((clip / "keypoints.json").read_text())
    content["0010.png"][0]["keypoints"] = skeleton(600)
    (clip / "keypoints.json").write_text(json.dumps(content))
    severity, text = worst(clip)
    assert severity == 2 and "person 1 jumps 2 times, first in frame 0010" in text
    assert "lie mostly outside 96x64, first in frame 0010" in text


def test_uv_maps_away_from_the_mask_of_somebody_else_or_of_nobody_are_named(clip):
    write_png(clip / "mask/01/0012.png", np.eye(64, 96, k=60, dtype=np.uint8)[:10].repeat(7, axis=0)[:64] * 255)
    assert "away from mask/01 in 1 frames, first 0012" in worst(clip)[1]
    part = np.full((64, 96), 2)
    write_png(clip / "iuv/01/0013.png", encode_iuv(part, part * 0.0, part * 0.0, 2))
    assert "1 frames show somebody who has no place in this layer" in worst(clip)[1] and "0013" in worst(clip)[1]
    for path in (clip / "iuv/01").iterdir():
        write_png(path, np.zeros((64, 96, 4), np.uint8))
    assert "nobody in any frame" in worst(clip)[1]


def test_people_who_stand_still_are_told(clip):
    for path in (clip / "iuv/01").iterdir():
        shutil.copy(clip / "iuv/01/0001.png", path) if path.name != "0001.png" else None
    assert "100% of the people's area is covered in nearly all frames" in str(check(clip))


def test_the_layout_of_omnimatte_is_read_and_the_way_on_is_told(clip):
    (clip / "rgb_256").rename(clip / "rgb")
    (clip / "metadata.json").unlink()
    severity, text = worst(clip)
    assert severity == 3 and f"python prepare.py {clip / 'rgb'} --masks {clip / 'mask'}" in text
    (clip / "mask/01/0002.png").unlink()
    assert "the first is 0002" in str(check(clip))
