"""Results kept in files: the same ones, and never those of something else."""

import numpy as np
import pytest

from util import kept as module
from util.kept import kept

FRAMES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
MASKS = FRAMES > 11


class Counted:
    """A computation that counts how often it is done."""

    def __init__(self):
        self.times, self.__qualname__ = 0, "counted"

    def __call__(self, frames, masks):
        self.times += 1
        return np.where(masks, frames, 0), frames.mean(axis=0, dtype=np.float32), float(masks.mean())


@pytest.fixture
def counted():
    return Counted()


def same(one, other):
    return len(one) == len(other) and all(
        np.asarray(a).dtype == np.asarray(b).dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(one, other))


def test_a_second_call_computes_nothing_and_gives_the_same_bytes(tmp_path, counted):
    first = kept(tmp_path / "run" / "a.npz", counted, FRAMES, MASKS)
    again = kept(tmp_path / "run" / "a.npz", counted, FRAMES.copy(), MASKS)
    assert counted.times == 1 and same(first, again)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a.npz"]


def test_other_inputs_another_computation_and_another_program_compute(tmp_path, counted, monkeypatch):
    file, other = tmp_path / "a.npz", MASKS.copy()
    other[1, 2, 3] ^= True
    kept(file, counted, FRAMES, MASKS)
    assert same(kept(file, counted, FRAMES, other), Counted()(FRAMES, other))
    kept(file, counted, FRAMES.reshape(3, 2, 4), MASKS.reshape(3, 2, 4))
    assert counted.times == 3
    counted.__qualname__ = "another"
    kept(file, counted, FRAMES.reshape(3, 2, 4), MASKS.reshape(3, 2, 4))
    monkeypatch.setattr(module, "mark_of_code", lambda rooms: "changed")
    kept(file, counted, FRAMES.reshape(3, 2, 4), MASKS.reshape(3, 2, 4))
    assert counted.times == 5


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: b"PK nonsense", lambda data: data[:len(data) // 2],
    lambda data: data[:-1] + bytes([data[-1] ^ 255]),
    lambda data: data.replace(data[-400:-390], bytes(10))], ids=["empty", "nonsense", "half", "end", "table"])
def test_a_broken_file_is_computed_again_and_replaced(tmp_path, counted, damage):
    file = tmp_path / "a.npz"
    whole = kept(file, counted, FRAMES, MASKS)
    file.write_bytes(damage(file.read_bytes()))
    assert same(kept(file, counted, FRAMES, MASKS), whole)
    assert same(kept(file, counted, FRAMES, MASKS), whole) and counted.times <= 2


def test_no_flipped_byte_changes_a_result(tmp_path, counted):
    file = tmp_path / "a.npz"
    whole = kept(file, counted, FRAMES, MASKS)
    data = file.read_bytes()
    for place in range(0, len(data), 7):
        file.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1:])
        assert same(kept(file, counted, FRAMES, MASKS), whole), place


def test_a_place_that_cannot_be_written_to_and_none_at_all_compute_each_time(tmp_path, counted):
    (tmp_path / "file").write_text("no folder")
    for file in (tmp_path / "file" / "a.npz", None):
        for _ in range(2):
            assert same(kept(file, counted, FRAMES, MASKS), Counted()(FRAMES, MASKS))
    assert counted.times == 4 and (tmp_path / "file").read_text() == "no folder"
