"""Files that are whole or not there, one-line errors, requests to stop, and videos."""

import errno
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import prepare
import retime
from preparation.steps import Finding
from tests.program import ROOT
from util import files
from util.errors import UserError, reported_in_one_line, several
from util.files import (
    folder_filled_atomically,
    folder_replaced_atomically,
    results_added,
    write_text,
    written_atomically,
)
from util.images import read_image, write_png
from util.interruption import StopRequest
from util.tensors import to_pixels, to_tensor
from util.video import VideoWriter


def test_a_file_whose_writing_fails_leaves_the_earlier_one_and_nothing_else(tmp_path):
    path = tmp_path / "deep/file.txt"
    write_text(path, "earlier")
    with pytest.raises(RuntimeError), written_atomically(path) as temporary:
        temporary.write_text("half of the new o")
        raise RuntimeError
    assert path.read_text() == "earlier"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_has_the_permissions_that_the_user_wants(tmp_path):
    earlier = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "text")
    finally:
        os.umask(earlier)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_a_folder_takes_new_results_only_whole_and_keeps_what_is_not_theirs(tmp_path):
    folder = tmp_path / "results"
    for content in ("first", "second"):
        with folder_filled_atomically(folder) as temporary:
            write_text(temporary / "images/1.txt", content)
        write_text(folder / "mine.txt", "kept")
    with pytest.raises(RuntimeError), folder_filled_atomically(folder) as temporary:
        write_text(temporary / "images/1.txt", "third")
        raise RuntimeError
    assert (folder / "images/1.txt").read_text() == "second"
    assert (folder / "mine.txt").read_text() == "kept"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results"]


@pytest.mark.parametrize("error, line", [
    (UserError("file: found x"), "error: file: found x\n"),
    (OSError(errno.ENOSPC, "No space left on device", "checkpoints/a"),
     "error: checkpoints/a: No space left on device; expected a place to write to, with space left\n"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
     "error: out of memory (CUDA out of memory. Tried to allocate 2 GiB); use a smaller --batch_size or "
     "smaller networks, or --gpu_ids -1 for the CPU's memory\n"),
    (RuntimeError("Storage size calculation overflowed with sizes=[1, 16, 999999999999, 48999999999951]"),
     "error: out of memory (Storage size calculation overflowed with sizes=[1, 16, 999999999999, 48999999999951]); use "
     "a smaller --batch_size or smaller networks, or --gpu_ids -1 for the CPU's memory\n"),
    (RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2>: No space left on device (28)"),
     "error: /dev/shm: full; batches come through it from the processes that read frames. Give --num_threads 0, or "
     "more of it: docker run --shm-size 2g\n"),
    (NotImplementedError("The operator 'aten::_fft_r2c' is not currently implemented for the MPS device. If you want"),
     "error: Apple's GPU: this torch has no aten::_fft_r2c for it. Set PYTORCH_ENABLE_MPS_FALLBACK=1 in the "
     "environment, with which the CPU does that, install a newer torch, or give --gpu_ids -1 for the CPU alone\n"),
    (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
     "error: a process that reads frames was ended from outside (DataLoader worker (pid 7) is killed by signal: "
     "Killed. ), as systems do that run out of memory. Go on with --continue_train, and a smaller --num_threads or "
     "--batch_size\n"),
])
def test_what_is_no_programming_error_is_told_in_one_line(error, line, capsys):
    with pytest.raises(SystemExit) as stop, reported_in_one_line():
        raise error
    assert stop.value.code == 2
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("error", [ValueError("shape"), OSError(errno.ENOENT, "No such file"), RuntimeError("size")])
def test_a_programming_error_keeps_its_traceback(error):
    with pytest.raises(type(error)), reported_in_one_line():
        raise error


def test_a_long_list_of_problems_is_cut():
    assert str(several([f"problem {i}" for i in range(30)])).count("\n") == 20


def test_the_first_signal_asks_and_the_second_acts():
    with StopRequest() as stop:
        assert stop.signal == 0
        signal.raise_signal(signal.SIGINT)
        assert stop.exit_status == 130
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_signals_act_as_before_after_the_loop():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_pixels_survive_the_way_into_the_program_and_out_again(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 4), np.uint8)
    assert np.array_equal(to_pixels(to_tensor(pixels)), pixels)
    write_png(tmp_path / "image.png", pixels)
    assert np.array_equal(read_image(tmp_path / "image.png", "RGBA"), pixels)


@pytest.mark.parametrize("height, width", [(64, 96), (65, 97)])
def test_a_video_has_the_frames_size_and_rate_it_was_given(tmp_path, height, width):
    rows = np.linspace(0, 255, height, dtype=np.uint8)[:, None, None]
    frames = [np.broadcast_to(np.roll(rows, 8 * i, axis=0), (height, width, 3)) for i in range(10)]
    writer = VideoWriter(tmp_path / "videos/a.webm", Fraction(30000, 1001))
    for frame in frames:
        writer.add(frame)
    writer.close()
    with av.open(str(tmp_path / "videos/a.webm")) as container:
        stream = container.streams.video[0]
        assert abs(stream.average_rate - Fraction(30000, 1001)) < 0.05
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == 10
    assert decoded[0].shape == (height - height % 2, width - width % 2, 3)
    for found, made in zip(decoded, frames):
        assert np.abs(found.astype(int) - made[:found.shape[0], :found.shape[1]]).mean() < 4


def written(folder, files):
    for name, text in files.items():
        write_text(folder / name, text)


def texts(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".made_by")}


def add(folder, files, maker="a", own=False):
    with results_added(folder, maker, own) as temporary:
        written(temporary, files)


def test_results_replace_those_of_the_same_maker_and_nothing_else(tmp_path, capsys):
    written(tmp_path, {"images/holiday.jpg": "mine", "images/sub/1.png": "mine too"})
    add(tmp_path, {"images/1.png": "first", "images/2.png": "first", "videos/a.webm": "first"})
    add(tmp_path, {"images/1.png": "second"})
    assert texts(tmp_path) == {"images/holiday.jpg": "mine", "images/sub/1.png": "mine too", "images/1.png": "second"}
    assert not (tmp_path / "videos").exists() and capsys.readouterr().out == ""


@pytest.mark.parametrize("other", ["the user", "another program", "a hand that changed it"])
def test_what_bears_a_name_that_results_need_is_set_aside_and_told(tmp_path, capsys, other):
    if other != "the user":
        add(tmp_path, {"images/1.png": "not mine"}, "b" if other == "another program" else "a")
    written(tmp_path, {"images/1.png": "precious", "index.html/page": "precious"})
    for number in (1, 2):
        add(tmp_path, {"images/1.png": f"new {number}", "index.html": "page"})
    assert texts(tmp_path) == {"images/1.png": "new 2", "index.html": "page", "earlier/images/1.png": "precious",
                               "earlier/index.html/page": "precious"}
    assert capsys.readouterr().out.count("earlier: holds what was in") == 1


def test_results_of_before_the_list_was_kept_are_set_aside_as_a_whole_in_a_programs_own_folder(tmp_path):
    written(tmp_path, {"images/1.png": "old", "images/2.png": "old", "notes.txt": "mine"})
    add(tmp_path, {"images/1.png": "new"}, own=True)
    assert texts(tmp_path) == {"images/1.png": "new", "notes.txt": "mine", "earlier/images/1.png": "old",
                               "earlier/images/2.png": "old"}


@pytest.mark.parametrize("manifest", ["[]", "5", '{"../precious.txt": [[1, 2]]}', '{"/etc/passwd": []}', "{",
                                      "[" * 100_000])
def test_a_list_of_what_was_made_that_somebody_wrote_deletes_nothing(tmp_path, manifest):
    written(tmp_path, {"precious.txt": "p", "out/x.txt": "x", "out/.made_by_a.json": manifest})
    add(tmp_path / "out", {"y.txt": "y"})
    assert texts(tmp_path) == {"precious.txt": "p", "out/x.txt": "x", "out/y.txt": "y"}


KILLED = """
import os, sys
import util.files as f

left, real = int(sys.argv[1]), {name: getattr(os, name) for name in ("rename", "replace", "link")}

def counted(name):
    def change(*arguments, **more):
        global left
        real[name](*arguments, **more)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
    return change

for name in real:
    setattr(os, name, counted(name))
left += 3  # what is written into the new folder
with f.%s as made:
    for name in ("images/1.png", "text.json", "index.html"):
        f.write_text(made / name, "new")
"""


@pytest.mark.parametrize("fill", ["folder_filled_atomically('there')", "results_added('there', 'a', own=True)",
                                  "folder_replaced_atomically('there')"])
def test_a_kill_between_any_two_renames_loses_nothing(tmp_path, fill):
    """The program is killed after the n-th change of a name; what was there is there after the next program."""
    kills = 0
    for number in range(1, 30):
        here = tmp_path / str(number)
        written(here / "there", {"images/1.png": "old", "images/2.png": "old", "text.json": "old", "mine.txt": "mine"})
        done = subprocess.run([sys.executable, "-c", KILLED % fill, str(number)], cwd=here,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert done.returncode in (0, -9)
        if done.returncode == 0:
            break
        kills += 1
        write_text(here / "another_program.txt", "writes here")
        write_text(here / "there/another_program.txt", "writes there")
        left = texts(here)
        assert left["there/text.json"] in ("old", "new"), left
        assert left.get("there/images/1.png") or left["there/earlier/images/1.png"] == "old", left
        assert left.get("there/mine.txt") == "mine" or ("replaced" in fill and left["there/text.json"] == "new"), left
        assert not [name for name in left if ".part" in name]
    assert kills >= 2 and done.returncode == 0


def test_an_unfinished_file_of_a_process_that_cannot_be_seen_from_here_stays(tmp_path, monkeypatch):
    """As that of a program in another container, whose number means nobody here."""
    monkeypatch.setattr(files, "_own_prefix", lambda: f".4194303-{files.MACHINE}-")
    with written_atomically(tmp_path / "a.txt") as mine, folder_filled_atomically(tmp_path / "folder") as made:
        files._remove_abandoned.cache_clear()
        write_text(tmp_path / "b.txt", "b")
        assert mine.exists() and made.exists()
        mine.write_text("a")
    files._remove_abandoned.cache_clear()
    (tmp_path / f".4194303-{files.MACHINE}-left.part").write_text("half")
    write_text(tmp_path / "b.txt", "b")
    assert texts(tmp_path) == {"a.txt": "a", "b.txt": "b"}


@pytest.mark.parametrize("fill", [folder_filled_atomically, lambda folder: results_added(folder, "a")])
def test_a_folder_is_filled_whose_parent_may_not_be_written_to(tmp_path, monkeypatch, fill):
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(files.os, "access", lambda path, _mode: Path(path) != tmp_path)
    with fill(tmp_path / "mine") as temporary:
        assert tmp_path / "mine" in temporary.parents
        write_text(temporary / "a/x.txt", "x")
    assert texts(tmp_path) == {"mine/a/x.txt": "x"}


def test_a_name_in_a_file_that_somebody_sent_cannot_steer_the_terminal(capsys):
    title = "frame \x1b]0;owned\x07.png"
    prepare.tell([Finding(1, title)])
    retime.warn(title)
    with pytest.raises(SystemExit), reported_in_one_line():
        raise UserError(title)
    said = capsys.readouterr()
    assert "warning: frame \ufffd]0;owned\ufffd.png\n" in said.out.lower()
    assert said.err == "warning: frame \ufffd]0;owned\ufffd.png\nerror: frame \ufffd]0;owned\ufffd.png\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this system")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing_unfinished(tmp_path, number):
    script = ("import os, signal, time; from util.errors import reported_in_one_line; from util.files import *\n"
              f"signal.signal(signal.{number}, signal.SIG_DFL)\n"  # whatever nohup made of it
              f"with reported_in_one_line(), results_added('out', 'a') as made, written_atomically('x.mp4'):\n"
              f"    write_text(made / 'x', 'x'); os.kill(os.getpid(), signal.{number}); time.sleep(60)")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True)
    assert done.returncode == 128 + getattr(signal, number) and done.stderr == ""
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_locks_files_are_written_all_the_same(tmp_path):
    """As on Windows, which has no fcntl."""
    script = ("import sys; sys.modules['fcntl'] = sys.modules['resource'] = None; from util.files import *\n"
              "write_text('a.txt', 'a'); locked('lock')\n"
              "with results_added('out', 'a') as made: write_text(made / 'x.txt', 'x')")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                   check=True)
    assert texts(tmp_path).keys() == {"a.txt", "lock", "out/x.txt"}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_the_terminal_cannot_show_stops_no_program(encoding):
    script = ("from util.errors import UserError, reported_in_one_line\n"
              "with reported_in_one_line():\n    print('ready \u2192 \u5f71')\n"
              "    raise UserError('\u5f71.png: found ' + chr(0xd800))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding})
    assert done.returncode == 2 and done.stdout == "ready \\u2192 \\u5f71\n"
    assert done.stderr.startswith("error: \\u5f71.png: found")


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """Else a power cut could leave an empty one."""
    flushed = []
    monkeypatch.setattr(files.os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_ino))
    write_text(tmp_path / "a.txt", "a")
    assert flushed == [(tmp_path / "a.txt").stat().st_ino]


@pytest.mark.parametrize("fill", [folder_filled_atomically, folder_replaced_atomically,
                                  lambda folder: results_added(folder, "test")])
def test_files_of_a_folder_are_on_the_disk_before_they_take_their_place(tmp_path, monkeypatch, fill):
    flushed = []
    monkeypatch.setattr(files.os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_ino))
    with fill(tmp_path / "made") as folder:
        (folder / "rgb").mkdir()
        for name in ("a.json", "rgb/0001.jpg"):
            (folder / name).write_text(name)
        before = {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
        assert not flushed
    assert len(before) == 2 and before <= set(flushed)
    assert {(tmp_path / "made" / name).stat().st_ino for name in ("a.json", "rgb/0001.jpg")} == before
