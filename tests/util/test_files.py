"""Files that are whole or not there, one-line errors, requests to stop, and videos."""

import errno
import os
import signal
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from util.errors import UserError, reported_in_one_line, several
from util.files import folder_filled_atomically, write_text, written_atomically
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
     "error: out of memory (CUDA out of memory. Tried to allocate 2 GiB); use a smaller --batch_size, "
     "--batch_size_upsample or --num_filters, or --gpu_ids -1 for the CPU's memory\n"),
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
