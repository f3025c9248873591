"""The Slurm script for many clips: what one task of its array does, with a scontrol that only notes what it is told."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.program import ROOT, copy_program
from util.images import read_image

OPTIONS = ("--num_filters", "4", "--batch_size", "2", "--batch_size_upsample", "2", "--num_threads", "0",
           "--gpu_ids", "-1", "--no_html", "--print_freq", "1")


@pytest.fixture
def project(golden, tmp_path):
    """A copy of the program, with a list of two clips of which only the second is there."""
    copy_program(tmp_path)
    shutil.copytree(golden / "clip", tmp_path / "datasets/shot")
    (tmp_path / "clips.txt").write_text("datasets/missing/\ndatasets/shot/\n")
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    (tmp_path / "scontrol").chmod(0o755)
    return tmp_path


def task(project, number, *options):
    environment = os.environ | {"PYTHON": sys.executable, "SLURM_SUBMIT_DIR": str(project), "SLURM_ARRAY_JOB_ID": "77",
                                "SLURM_ARRAY_TASK_ID": str(number), "PATH": f"{project}:{os.environ['PATH']}"}
    return subprocess.Popen(["bash", str(ROOT / "scripts/train_many.slurm"), "clips.txt", *OPTIONS, *options],
                            env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_task_out_of_time_saves_and_returns_to_the_queue_then_finishes_and_is_not_done_again(project):
    first = task(project, 2, "--n_epochs", "5000", "--n_epochs_upsample", "0")
    log = project / "checkpoints/shot/loss_log.txt"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    output, errors = first.communicate(timeout=60)
    assert first.returncode == 0 and "stopped and saved in epoch" in output, errors
    assert (project / "told").read_text() == "requeue 77_2\n"

    epochs = int(output.split("stopped and saved in epoch ")[1].split(";")[0])
    second = task(project, 2, "--n_epochs", str(epochs), "--n_epochs_upsample", "1")
    output, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert (project / "results/shot/test_latest/images/0001_rgba_l2.png").exists()
    assert log.read_text().startswith("(epoch: 1, step: 1,")  # the same run

    output, _ = task(project, 2).communicate(timeout=30)
    assert output == "shot is exported already: results/shot/test_latest/index.html\n"


def test_a_clip_that_is_not_there_is_told_with_its_line(project):
    process = task(project, 1)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors == "error: clips.txt, line 1: found 'datasets/missing/'; expected a video, or the folder " \
                     "of a clip\n"


@pytest.mark.parametrize("clips, name", [(("shots/A/plate", "shots/B/plate/"), "B_plate"),
                                         (("shots/A/plate/", "shots/B/plate"), "B_plate"),
                                         (("shots/A/other", "shots/B/plate"), "plate"),
                                         (("shots/B/plate", "shots/B/plate"), "plate"),
                                         (("shots/A/plate", "shots/B/plate.mp4"), "B_plate"),
                                         (("shots/A/other.mp4", "shots/B/plate.one.mov"), "plate.one")])
def test_two_clips_of_one_name_are_two_runs(project, clips, name):
    for clip in set(clip.rstrip("/") for clip in clips):
        if Path(clip).suffix in (".mp4", ".mov"):
            (project / clip).parent.mkdir(parents=True, exist_ok=True)
            (project / clip).write_bytes(b"exported before it was looked at")
        else:
            shutil.copytree(project / "datasets/shot", project / clip, dirs_exist_ok=True)
    (project / "clips.txt").write_text("".join(f"{clip}\n" for clip in clips))
    (project / "results/plate/test_latest").mkdir(parents=True)
    (project / "results/plate/test_latest/index.html").write_text("of the first clip")
    (project / f"results/{name}/test_latest").mkdir(parents=True, exist_ok=True)
    (project / f"results/{name}/test_latest/index.html").write_text("of the second clip")
    output, errors = task(project, 2).communicate(timeout=30)
    assert output == f"{name} is exported already: results/{name}/test_latest/index.html\n", errors


def test_a_list_of_clips_may_come_from_windows(project):
    (project / "clips.txt").write_bytes("\ufeffdatasets/shot\r\ndatasets/shot/\r\n".encode())
    (project / "results/shot/test_latest").mkdir(parents=True)
    (project / "results/shot/test_latest/index.html").write_text("of this clip")
    for number in (1, 2):
        output, errors = task(project, number).communicate(timeout=30)
        assert output == "shot is exported already: results/shot/test_latest/index.html\n", errors


def test_a_video_is_prepared_first_and_what_is_none_trains_nothing(project):
    (project / "clips.txt").write_text("videos/walk.mp4\n")
    (project / "videos").mkdir()
    (project / "videos/walk.mp4").write_bytes(b"no video")
    process = task(project, 1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and errors.startswith("error: videos/walk.mp4: ")
    assert not list((project / "checkpoints").glob("walk*"))


def test_a_preset_exports_at_the_size_that_it_has_of_its_own(project):
    size = read_image(project / "datasets/shot/rgb_256/0001.png", "RGB").shape[:2]
    (project / "clips.txt").write_text("datasets/shot\n")
    process = task(project, 1, "--preset", "draft")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert read_image(project / "results/shot/test_latest/images/0001_rgba_l1.png", "RGB").shape[:2] == size
