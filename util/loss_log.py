"""The losses of a run on disk: `loss_log.txt` for people, `loss_log.jsonl` for programs.

A record is one line of either file:

    {"epoch": 12, "step": 340, "items": 8, "phase": "training", "time": 0.153, "losses": {"recon": 0.123, "mask": 0.4}}

`step` counts the steps of the phase from 1, `items` those that are done of the epoch; `time` is in seconds per step,
averaged since the record before; a loss that is not a finite number is null. A run that is continued repeats the steps
after its last checkpoint: `forget` takes their records out of both files. In a file that has them twice, a record takes
the place of those that it repeats.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from util.errors import UserError
from util.files import write_text


class LossLog:
    """Appends records to the two files, and knows those that are there.

    Args:
        folder: the run folder; it is made if needed.
        keep: go on after the records that are there; otherwise the files are begun anew.
        line: a record as a line of `loss_log.txt`.
    """

    def __init__(self, folder: Path, keep: bool, line: Callable[[dict], str] | None = None):
        self._line = line or in_text
        self._text = folder / "loss_log.txt"
        self._lines = folder / "loss_log.jsonl"
        for path in (self._text, self._lines):
            if not (keep and path.exists()):
                write_text(path, "")
        self.history = read_history(folder)

    def append(self, epoch: int, step: int, phase: str, time: float, losses: dict[str, float],
               items: int | None = None) -> str:
        """Write one record to both files; `items` of the epoch are done, where that is known.

        Returns:
            The line that was written to `loss_log.txt`.
        """
        values = {name: value if math.isfinite(value) else None for name, value in losses.items()}
        record = {"epoch": epoch, "step": step, **({} if items is None else {"items": items}), "phase": phase,
                  "time": round(time, 6), "losses": values}
        line = self._line({**record, "losses": losses})
        _append_line(self._text, line)
        _append_line(self._lines, json.dumps(record))
        _add(self.history, record)
        return line

    def forget(self, epoch: int, step: int) -> None:
        """Take out what was recorded after `step` of `epoch`."""
        self.history = [record for record in self.history if (record["epoch"], record["step"]) <= (epoch, step)]
        write_text(self._text, "".join(self._line(record) + "\n" for record in self.history))
        write_text(self._lines, "".join(json.dumps(record) + "\n" for record in self.history))


def read_history(folder: Path) -> list[dict]:
    """The records of a run, in order of epoch and step, none twice. A line that is not whole is left out."""
    history: list[dict] = []
    path = folder / "loss_log.jsonl"
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if _is_record(record):
                _add(history, record)
    return history


def curves(history: list[dict]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The records as curves.

    Returns:
        Epochs, float [N]: records of the same epoch are spread evenly from it to the next. And for each loss, in the
        order in which they first appear, float [N] with NaN where a record has no finite value.
    """
    epochs = np.array([record["epoch"] for record in history], dtype=float)
    first = np.searchsorted(epochs, epochs, side="left")
    end = np.searchsorted(epochs, epochs, side="right")
    names = dict.fromkeys(name for record in history for name in record["losses"])
    values = {name: np.array([record["losses"].get(name) for record in history], dtype=float) for name in names}
    return epochs + (np.arange(len(epochs)) - first) / (end - first), values


def in_words(losses: Mapping[str, float | None]) -> str:
    """`recon: 0.123 mask: 0.4`"""
    return " ".join(f"{name}: {'nan' if value is None else format(value, '.4g')}" for name, value in losses.items())


def in_text(record: dict) -> str:
    """A record as a line for people."""
    return (f"(epoch: {record['epoch']}, step: {record['step']}, time per step: {record['time']:.3f} s) "
            f"{in_words(record['losses'])}")


def _is_record(record: object) -> bool:
    kinds = {"epoch": int, "step": int, "phase": str, "time": int | float, "losses": dict}
    return isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in kinds.items()) and all(
        value is None or isinstance(value, int | float) for value in record["losses"].values())


def _add(history: list[dict], record: dict) -> None:
    place = (record["epoch"], record["step"])
    while history and (history[-1]["epoch"], history[-1]["step"]) >= place:
        history.pop()
    history.append(record)


def _append_line(path: Path, line: str) -> None:
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except FileNotFoundError:
        raise UserError(f"{path.parent}: the folder of this run was removed while it was trained; stopped") from None
