"""A clip's homographies.txt of another convention is told by training, and written anew on demand."""

import runpy
import sys

import cv2
import numpy as np
import pytest

from data.camera_check import wrong_convention
from data.dataroot import list_images, read_homographies
from tests.program import ROOT
from util.images import write_png

FRAMES, SHIFT = 12, 5


@pytest.fixture
def root(tmp_path):
    ground = np.random.default_rng(0).integers(0, 255, (20, 60, 3), np.uint8)
    ground = cv2.resize(ground, (240, 80), interpolation=cv2.INTER_CUBIC)
    for frame in range(FRAMES):
        picture = ground[:64, SHIFT * frame:SHIFT * frame + 96].copy()
        picture[10:40, 40:60] = 255
        write_png(tmp_path / "rgb_256" / f"{frame + 1:04d}.png", picture)
        mask = np.zeros((64, 96), np.uint8)
        mask[10:40, 40:60] = 255
        write_png(tmp_path / "mask/01" / f"{frame + 1:04d}.png", mask)
    return tmp_path


def given(root, shifts):
    lines = [f"1 0 {shift} 0 1 0 0 0 1" for shift in shifts]
    (root / "homographies.txt").write_text("\n".join(["size: 96 64", "bounds: -200 200 -10 80", *lines]) + "\n")
    return (root / "homographies.txt").read_text()


@pytest.fixture
def correct(root, monkeypatch, capsys):
    def correct():
        monkeypatch.setattr(sys, "argv", ["correct_homographies.py", "--dataroot", str(root)])
        try:
            runpy.run_path(str(ROOT / "datasets/correct_homographies.py"), run_name="__main__")
        except SystemExit as end:
            return end.code, capsys.readouterr().err
        return 0, capsys.readouterr().out
    return correct


def test_inverted_matrices_are_written_anew_and_what_was_given_is_kept(root, correct):
    text = given(root, [SHIFT * frame for frame in range(FRAMES)])
    status, said = correct()
    assert status == 0 and "if each is inverted" in said
    assert (root / "homographies_given.txt").read_text() == text
    registration = read_homographies(root / "homographies.txt")
    assert registration.matrices[:, 0, 2].tolist() == [-SHIFT * frame for frame in range(FRAMES)]
    assert registration.bounds == (0, 95 + SHIFT * (FRAMES - 1), 0, 63)
    assert wrong_convention(root, registration, list_images(root / "rgb_256")) is None
    assert "left as it is" in correct()[1]


def test_matrices_of_something_else_and_a_second_correction_are_refused(root, correct):
    text = given(root, [17 * (frame ** 2 % 5) for frame in range(FRAMES)])
    for frame in range(FRAMES):
        write_png(root / "rgb_256" / f"{frame + 1:04d}.png", cv2.imread(str(root / "rgb_256/0001.png")))
    status, said = correct()
    assert status == 2 and "no usual convention does better" in said
    given(root, [0] * (FRAMES - 1))
    assert "11 matrices; there are 12 frames" in correct()[1]
    assert text != (root / "homographies.txt").read_text() and not (root / "homographies_given.txt").exists()


def test_nothing_that_was_given_is_lost(root, correct):
    text = given(root, [SHIFT * frame for frame in range(FRAMES)])
    (root / "homographies_given.txt").write_text("mine")
    status, said = correct()
    assert status == 2 and "is there already" in said and (root / "homographies_given.txt").read_text() == "mine"
    assert (root / "homographies.txt").read_text() == text
