"""The console, the log files and the page of a training run."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import textwrap
import time
from argparse import Namespace
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.util.test_html import Reader
from util import visualizer as visualizer_module
from util.errors import UserError
from util.images import read_image
from util.loss_log import read_history
from util.visualizer import Visualizer

ROOT = Path(__file__).resolve().parents[2]


def options(folder: Path, **changes) -> Namespace:
    return Namespace(**{
        "name": "run", "checkpoints_dir": str(folder), "continue_train": False, "print_freq": 10, "display_freq": 20,
        "update_html_freq": 50, "no_html": False, "tf_log": False, "display_winsize": 256, "display_ncols": 0,
        "display_id": 0,
        "display_server": "http://localhost", "display_env": "main", "display_port": 8097, **changes})


def pictures(shade: int = 100) -> dict[str, np.ndarray]:
    transparent = np.zeros((6, 8, 4), np.uint8)
    transparent[:3] = (255, 0, 0, 128)
    return {"target": np.full((6, 8, 3), shade, np.uint8), "layers": transparent}


def train(visualizer: Visualizer, epochs: range, steps_per_epoch: int = 1, title: str = "training",
          loss: float = 0.5) -> None:
    """One phase that ends with the last of `epochs`."""
    visualizer.start_phase(title, len(epochs) * steps_per_epoch)
    for epoch in epochs:
        for _ in range(steps_per_epoch):
            visualizer.step(epoch, {"recon": torch.tensor(loss / epoch), "mask": 0.4})
        visualizer.end_epoch(epoch, epoch == epochs[-1], pictures)


def read_log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "run" / "loss_log.jsonl").read_text().splitlines()]


def read_page(folder: Path) -> Reader:
    return Reader(folder / "run" / "web" / "index.html")


# TensorBoard


def test_tensorboard_has_the_losses_and_pictures_of_each_phase_and_those_of_an_older_run_are_gone(tmp_path):
    for loss in (0.5, 0.75):
        with Visualizer(options(tmp_path, tf_log=True, display_freq=2)) as visualizer:
            train(visualizer, range(1, 4), steps_per_epoch=5, loss=loss)
            train(visualizer, range(4, 5), title="finer")
    events = EventAccumulator(str(tmp_path / "run" / "logs"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("training/recon")] == [
        (1, 0.75), (10, 0.375), (15, 0.25)]
    assert events.Tags()["scalars"] == ["training/recon", "training/mask", "finer/recon", "finer/mask"]
    assert [image.step for image in events.Images("training/target")] == [10, 15]
    shown = cv2.imdecode(np.frombuffer(events.Images("finer/target")[0].encoded_image_string, np.uint8), -1)
    assert shown.shape == (6, 8, 3) and (shown == 100).all()


def test_without_tensorboard_its_logs_are_refused(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match="^--tf_log: TensorBoard is not installed; pip install tensorboard"):
        Visualizer(options(tmp_path, tf_log=True))
    assert not list(tmp_path.iterdir())


# The log files


def test_the_first_the_last_and_every_print_freq_th_step_of_a_phase_are_logged(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 8), steps_per_epoch=5)
        train(visualizer, range(8, 10), title="finer")
    assert [(record["phase"], record["epoch"], record["step"]) for record in read_log(tmp_path)] == [
        ("training", 1, 1), ("training", 2, 10), ("training", 4, 20), ("training", 6, 30), ("training", 7, 35),
        ("finer", 8, 1), ("finer", 9, 2)]


def test_both_log_files_say_the_same(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 31))
    lines = (tmp_path / "run" / "loss_log.txt").read_text().splitlines()
    records = read_log(tmp_path)
    assert len(lines) == len(records) == 4
    for line, record in zip(lines, records, strict=True):
        assert line == (f"(epoch: {record['epoch']}, step: {record['step']}, time per step: {record['time']:.3f} s) "
                        f"recon: {record['losses']['recon']:.4g} mask: 0.4")


def test_a_loss_is_read_only_when_it_is_logged(tmp_path):
    reads = []

    class Loss:
        def __float__(self):
            reads.append(1)
            return 1.0

    with Visualizer(options(tmp_path)) as visualizer:
        visualizer.start_phase("training", total_steps=25)
        for _ in range(25):
            visualizer.step(1, {"recon": Loss()})
    assert len(reads) == len(read_log(tmp_path)) == 4


def test_a_line_is_on_disk_as_soon_as_its_step_is_counted(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        visualizer.start_phase("training", total_steps=100)
        visualizer.step(1, {"recon": 1.0})
        assert len(read_log(tmp_path)) == 1
        assert (tmp_path / "run" / "loss_log.txt").read_text().endswith("recon: 1\n")


def test_a_new_run_begins_its_files_anew(tmp_path):
    for shade in (10, 20):
        with Visualizer(options(tmp_path)) as visualizer:
            train(visualizer, range(1, 4 if shade == 10 else 3))
    assert [record["epoch"] for record in read_log(tmp_path)] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "run" / "web" / "images").iterdir()) == [
        "epoch002_layers.png", "epoch002_target.png"]


def test_a_visualizer_that_is_never_entered_leaves_an_earlier_run_as_it_is(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 4))
    Visualizer(options(tmp_path))
    assert len(read_log(tmp_path)) == 2
    assert len(read_page(tmp_path).pictures()) == 2


def test_a_continued_run_logs_the_same_steps_as_one_that_was_not_stopped(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        visualizer.start_phase("training", total_steps=40)
        for step in range(1, 16):
            visualizer.step(step, {"recon": 1 / step})
    with Visualizer(options(tmp_path, continue_train=True)) as visualizer:
        visualizer.start_phase("training", total_steps=40, done_steps=15)
        for step in range(16, 41):
            visualizer.step(step, {"recon": 1 / step})
    assert [record["step"] for record in read_log(tmp_path)] == [1, 10, 20, 30, 40]


def test_a_run_continued_from_an_earlier_checkpoint_replaces_what_it_repeats(tmp_path):
    for begin, end, loss in ((1, 60, 1.0), (31, 60, 2.0)):
        with Visualizer(options(tmp_path, continue_train=begin > 1)) as visualizer:
            visualizer.start_phase("training", total_steps=100, done_steps=begin - 1)
            for epoch in range(begin, end + 1):
                visualizer.step(epoch, {"recon": loss})
    assert len(read_log(tmp_path)) == 7 + 3, "the file keeps everything"
    history = read_history(tmp_path / "run")
    assert [(record["step"], record["losses"]["recon"]) for record in history] == [
        (1, 1.0), (10, 1.0), (20, 1.0), (30, 1.0), (40, 2.0), (50, 2.0), (60, 2.0)]


def test_a_loss_that_is_not_finite_is_null_in_json_and_named_on_the_page(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        visualizer.start_phase("training", total_steps=2)
        visualizer.step(1, {"recon": 1.0, "mask": float("inf")})
        visualizer.step(2, {"recon": torch.tensor(float("nan")), "mask": float("inf")})
    assert [record["losses"] for record in read_log(tmp_path)] == [
        {"recon": 1.0, "mask": None}, {"recon": None, "mask": None}]
    assert (tmp_path / "run" / "loss_log.txt").read_text().endswith("recon: nan mask: inf\n")
    assert read_page(tmp_path).text.count("not a finite number") == 2


def test_a_torn_line_in_the_log_does_not_stop_a_continued_run(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 4))
    with open(tmp_path / "run" / "loss_log.jsonl", "a") as file:
        file.write('{"epoch": 3, "st\n')
    with Visualizer(options(tmp_path, continue_train=True)) as visualizer:
        train(visualizer, range(4, 6), title="finer")
    assert [record["epoch"] for record in read_history(tmp_path / "run")] == [1, 3, 4, 5]


def test_the_time_per_step_leaves_out_the_making_of_pictures(tmp_path):
    def slowly() -> dict[str, np.ndarray]:
        time.sleep(0.5)
        return pictures()

    with Visualizer(options(tmp_path, update_html_freq=1, print_freq=1)) as visualizer:
        visualizer.start_phase("training", total_steps=2)
        visualizer.step(1, {"recon": 1.0})
        visualizer.end_epoch(1, False, slowly)
        time.sleep(0.05)
        visualizer.step(2, {"recon": 1.0})
    assert 0.05 <= read_log(tmp_path)[-1]["time"] < 0.4


# The page


def test_pictures_are_asked_for_only_when_the_page_is_due(tmp_path):
    asked = []
    with Visualizer(options(tmp_path, update_html_freq=4, display_freq=3)) as visualizer:
        visualizer.start_phase("training", total_steps=10)
        for epoch in range(1, 11):
            visualizer.step(epoch, {"recon": 1.0})
            visualizer.end_epoch(epoch, epoch == 10, lambda epoch=epoch: asked.append(epoch) or pictures())
    assert asked == [4, 8, 10]


def test_the_page_shows_the_newest_epoch_first_and_every_picture_is_there(tmp_path):
    with Visualizer(options(tmp_path, update_html_freq=600)) as visualizer:
        train(visualizer, range(1, 1202))
    page = read_page(tmp_path)
    assert page.pictures() == [f"images/epoch{epoch}_{label}.png"
                               for epoch in (1201, 1200, 600) for label in ("target", "layers")]
    for image in page.all("img"):
        if not image["src"].startswith("data:"):
            assert image["loading"] == "lazy"
            assert (tmp_path / "run" / "web" / unquote(image["src"])).is_file()


def test_transparency_reaches_the_page(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 2))
    written = read_image(tmp_path / "run" / "web" / "images" / "epoch001_layers.png", "RGBA")
    assert np.array_equal(written, pictures()["layers"])
    assert "conic-gradient" in (tmp_path / "run" / "web" / "index.html").read_text()


def test_the_page_of_a_continued_run_keeps_earlier_pictures_and_curves(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 4), title="coarse")
    with Visualizer(options(tmp_path, continue_train=True)) as visualizer:
        train(visualizer, range(4, 6), title="fine", loss=0.1)
    page = read_page(tmp_path)
    assert [source for source in page.pictures() if "target" in source] == [
        "images/epoch005_target.png", "images/epoch003_target.png"]
    assert [record["phase"] for record in read_history(tmp_path / "run")] == ["coarse", "coarse", "fine", "fine"]


def test_the_page_has_a_chart_and_a_table_row_for_each_loss_also_for_those_of_an_earlier_phase(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 4))
        visualizer.start_phase("finer", total_steps=1)
        visualizer.step(4, {"recon": 0.0625})
    page = read_page(tmp_path)
    charts = [image["alt"] for image in page.all("img") if image["src"].startswith("data:image/svg+xml;base64,")]
    assert charts == ["recon", "mask"]
    cells = page.text[page.text.index("Latest losses"):]
    assert cells[6:11] == ["recon", "0.0625", "4", "1", "finer"]
    assert cells[11:16] == ["mask", "0.4", "3", "3", "training"]


def test_the_page_explains_pictures_and_losses_and_shows_the_options(tmp_path):
    captions = {"target": "What is to be reproduced.", "recon": "How far it is from that."}
    with Visualizer(options(tmp_path), captions) as visualizer:
        (tmp_path / "run" / "train_opt.txt").write_text("lr: 0.001\nname: run\n")
        train(visualizer, range(1, 3))
    text = read_page(tmp_path).text
    assert "What is to be reproduced." in text and "How far it is from that." in text
    assert "lr: 0.001\nname: run" in text


def test_text_of_others_is_escaped(tmp_path):
    evil = "<script>alert('x')</script> & $x_{$"
    with Visualizer(options(tmp_path, name="a <b> & c#1"), {"recon": evil}) as visualizer:
        (tmp_path / "a <b> & c#1" / "train_opt.txt").write_text(evil)
        visualizer.start_phase(evil, total_steps=1)
        visualizer.step(1, {evil: 1.0, "recon": 1.0})
        visualizer.start_phase("second", total_steps=1)
        visualizer.step(2, {evil: 1.0, "recon": 1.0})
        visualizer.end_epoch(2, True, lambda: {"<i>/label": pictures()["target"]})
    page = Reader(tmp_path / "a <b> & c#1" / "web" / "index.html")
    assert not page.all("script") and not page.all("b") and not page.all("i")
    assert page.text.count(evil) == 4, "title and note of a chart, table row, options"
    source = page.pictures()[0]
    assert (tmp_path / "a <b> & c#1" / "web" / unquote(source)).is_file()


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 3))
    page = read_page(tmp_path)
    assert not page.all("script") and not page.all("link")
    addresses = [tag[key] for _, tag in page.tags for key in ("src", "href") if key in tag]
    assert len(addresses) == 6
    assert not [address for address in addresses if re.match(r"(?!data:)[a-z]+:|/", address)]


def test_the_page_loads_itself_again_only_while_the_run_goes_on(tmp_path):
    def reloads() -> bool:
        return any(tag.get("http-equiv") == "refresh" for tag in read_page(tmp_path).all("meta"))

    with Visualizer(options(tmp_path)) as visualizer:
        train(visualizer, range(1, 3))
        assert reloads()
    assert not reloads()
    assert any(text.startswith("Finished: training, epoch 2, step 2 of 2") for text in read_page(tmp_path).text)


def test_an_interrupted_run_leaves_a_page_that_says_so(tmp_path):
    with pytest.raises(KeyboardInterrupt), Visualizer(options(tmp_path)) as visualizer:
        visualizer.start_phase("training", total_steps=1000)
        for epoch in range(1, 31):
            visualizer.step(epoch, {"recon": 1 / epoch})
            visualizer.end_epoch(epoch, False, pictures)
        visualizer.step(31, {"recon": 0.0})
        raise KeyboardInterrupt
    assert any(text.startswith("Stopped: training, epoch 31, step 31 of 1000") for text in read_page(tmp_path).text)


@pytest.mark.parametrize("moment", ["between", "while the page is written"])
def test_a_page_that_is_removed_while_training_goes_on_is_made_anew(tmp_path, monkeypatch, moment):
    web, write = tmp_path / "run" / "web", visualizer_module.write_run_page

    def removed_meanwhile(*arguments):
        monkeypatch.setattr(visualizer_module, "write_run_page", write)
        shutil.rmtree(web)
        raise FileNotFoundError(web)

    with Visualizer(options(tmp_path, update_html_freq=1)) as visualizer:
        train(visualizer, range(1, 2))
        if moment == "between":
            shutil.rmtree(web)
        else:
            monkeypatch.setattr(visualizer_module, "write_run_page", removed_meanwhile)
            train(visualizer, range(2, 3))
            assert not web.exists()
        train(visualizer, range(3, 4))
        assert (web / "index.html").exists() and sorted(path.name for path in (web / "images").iterdir()) == [
            "epoch003_layers.png", "epoch003_target.png"]
    assert [record["epoch"] for record in read_log(tmp_path)] == ([1, 3] if moment == "between" else [1, 2, 3])


def test_no_html_makes_no_page(tmp_path):
    with Visualizer(options(tmp_path, no_html=True)) as visualizer:
        train(visualizer, range(1, 3))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["loss_log.jsonl", "loss_log.txt"]


# The console

PROGRAM = """
    import argparse, json, sys, time
    from util.visualizer import Visualizer

    with Visualizer(argparse.Namespace(**json.loads(sys.argv[1]))) as visualizer:
        visualizer.start_phase("training", total_steps=1500)
        for step in range(1500):
            time.sleep(0.001)
            visualizer.step(step // 10 + 1, {"recon": 1.0})
        visualizer.say("saved")
"""


def program(folder: Path) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(PROGRAM),
            json.dumps(vars(options(folder, no_html=True, print_freq=1)))]


def test_without_a_terminal_the_console_gets_few_lines_and_no_bar(tmp_path):
    run = subprocess.run(program(tmp_path), cwd=ROOT, text=True, capture_output=True, check=True)
    first, last, said = run.stdout.splitlines()
    assert re.fullmatch(r"training 0%, \d\d:\d\d to go \(epoch: 1, step: 1, time per step: .* s\) recon: 1", first)
    assert re.fullmatch(r"training 100%, 00:00 to go \(epoch: 150, step: 1500, time per step: .* s\) recon: 1", last)
    assert said == "saved"
    assert run.stderr == ""


def test_on_a_terminal_there_is_a_bar_with_the_time_to_go_and_the_losses_but_no_lines(tmp_path):
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    run = subprocess.Popen(program(tmp_path), cwd=ROOT, stdout=terminal, stderr=terminal)
    shown = b""
    while run.poll() is None or select.select([main], [], [], 0)[0]:
        if select.select([main], [], [], 0.1)[0]:
            shown += os.read(main, 65536)
    os.close(terminal)
    os.close(main)
    assert run.returncode == 0
    text = shown.decode()
    assert re.search(r"training: +\d+%\|.*\d+/1500 \[\d\d:\d\d<\d\d:\d\d, .*recon: 1\]", text)
    assert "time per step" not in text
    assert "saved" in re.split(r"[\r\n]+", text)


def test_where_nothing_is_trained_no_visdom_is_looked_for(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(visualizer_module, "VisdomBoard", lambda **_: started.append(1))
    with Visualizer(options(tmp_path, display_id=1)) as visualizer:
        assert not started
        visualizer.start_phase("training", 1)
        assert started
        visualizer._board = None
