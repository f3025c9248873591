"""What a person sees of a training run: progress on the console, losses on disk, a web page, visdom and TensorBoard.

Written to the run folder `<checkpoints_dir>/<name>/`: `loss_log.txt` and `loss_log.jsonl` (see `util/loss_log.py`),
`web/index.html` and its pictures (see `util/run_page.py`); with --tf_log `logs/`, TensorBoard's own files.
"""

import contextlib
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from util.errors import UserError
from util.loss_log import LossLog, in_words
from util.run_page import remove_images, save_images, write_run_page
from util.visdom_board import VisdomBoard

SECONDS_BETWEEN_LINES = 30
SECONDS_BETWEEN_RELOADS = 60


class Visualizer:
    """Shows and records one training run, from `with` to its end.

    On a terminal there is a progress bar per phase with the time to go and the latest losses. Elsewhere (a log file,
    a pipe) there is the first and the last line of a phase, and one every half minute between them.

    Args:
        opt: name, checkpoints_dir, continue_train, print_freq (steps), display_freq and update_html_freq (epochs),
            no_html, tf_log, and display_id (<= 0: no visdom), display_winsize, display_ncols, display_server,
            display_port, display_env.
        captions: for labels of visuals and losses, a sentence that says what they are.
        log_line: a record of losses as a line of loss_log.txt.

    Raises:
        UserError: tf_log without TensorBoard.
    """

    def __init__(self, opt: Namespace, captions: Mapping[str, str] | None = None,
                 log_line: Callable[[dict], str] | None = None):
        self._opt, self._log_line = opt, log_line
        self._folder = Path(opt.checkpoints_dir) / opt.name
        self._captions = dict(captions or {})
        self._on_terminal = sys.stderr.isatty()
        self._board: VisdomBoard | None = None
        self._make_events = tensorboard_writer() if opt.tf_log else None
        self._events: Any = None
        self._bar = tqdm(disable=True)  # shows nothing; each phase has its own
        self._status = "before the first step"

    def __enter__(self) -> "Visualizer":
        """Begin the files anew, or go on with them (continue_train)."""
        opt = self._opt
        self._log = LossLog(self._folder, keep=opt.continue_train, line=self._log_line)
        if not opt.continue_train:
            remove_images(self._folder)
            for path in (self._folder / "logs").glob("events.out.tfevents.*"):
                path.unlink()
        self._events = self._make_events and self._make_events(self._folder / "logs")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """End the progress bar and visdom, and leave a page that says how the run ended."""
        self._bar.close()
        if self._board is not None:
            self._board.close()
        if self._events is not None:
            self._events.close()
        if self._log.history and not self._opt.no_html and self._folder.exists():
            with contextlib.suppress(FileNotFoundError):
                self._write_page("Finished" if kind is None else "Stopped", refresh=None)

    @staticmethod
    def say(message: str) -> None:
        """Print a line without breaking the progress bar."""
        tqdm.write(message)
        sys.stdout.flush()

    def start_phase(self, title: str, total_steps: int, done_steps: int = 0, epoch: int | None = None) -> None:
        """Begin a phase of the training, with a progress bar of its own; with the first one visdom is looked for.

        Args:
            total_steps: of the whole phase.
            done_steps: of them, those done before this run (a continued run).
            epoch: the epoch to go on in. What was recorded after `done_steps`, or of later epochs, is forgotten: it
                is about to be done again. None: all that was recorded stays.
        """
        opt = self._opt
        if opt.display_id > 0 and self._board is None:  # there will be something to show
            instead = self._folder / ("loss_log.txt" if opt.no_html else "web/index.html")
            self._board = VisdomBoard(server=opt.display_server, port=opt.display_port, env=opt.display_env,
                                      name=opt.name, width=opt.display_winsize, columns=opt.display_ncols,
                                      instead=str(instead), say=self.say)
        if epoch is not None:
            self._log.forget(epoch, done_steps)
            remove_images(self._folder, epoch)
        self._bar.close()
        self._bar = tqdm(desc=title, total=total_steps, initial=done_steps, unit="step", smoothing=0.05,
                         dynamic_ncols=True, disable=not self._on_terminal)
        self._title, self._total, self._step, self._first = title, total_steps, done_steps, done_steps
        self._begun = self._recorded = time.perf_counter()
        self._recorded_step = done_steps
        self._printed = -np.inf

    def step(self, epoch: int, losses: Mapping[str, float | Tensor], items: int | None = None) -> None:
        """Count a training step; record its losses if it is the phase's first or last, or print_freq is due.

        Args:
            epoch: from 1, counted on through all phases.
            losses: numbers or 0-d tensors. They are read only when they are recorded, so that other steps need not
                wait for a GPU.
            items: of the epoch that are done; for the record.
        """
        self._step += 1
        self._status = f"{self._title}, epoch {epoch}, step {self._step} of {self._total}"
        if self._step in (1, self._total) or self._step % self._opt.print_freq == 0:
            self._record(epoch, {name: float(value) for name, value in losses.items()}, items)
        self._bar.update()

    def end_epoch(self, epoch: int, is_last: bool, get_visuals: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Show pictures, if display_freq (visdom, TensorBoard) or update_html_freq is due or the epoch is the last.

        Args:
            get_visuals: called only if something is due. Returns uint8 [H, W, 3 or 4] by label, new arrays that
                nobody changes later.
        """
        show = is_last or epoch % self._opt.display_freq == 0
        board = self._board if self._board is not None and self._board.usable and show else None
        save = not self._opt.no_html and (is_last or epoch % self._opt.update_html_freq == 0)
        events = self._events if show else None
        if board is None and events is None and not save:
            return
        begun = time.perf_counter()
        visuals = get_visuals()
        if board is not None:
            board.show_images(epoch, visuals)
        if events is not None:
            for label, picture in visuals.items():
                events.add_image(f"{self._title}/{label}", picture, self._step, dataformats="HWC")
        if save:
            self._captions = {label: self._captions.get(label, "") for label in visuals} | self._captions
            with contextlib.suppress(FileNotFoundError):  # somebody removes web/ just now; it is made anew next time
                save_images(self._folder, epoch, visuals)
                self._write_page("Running", SECONDS_BETWEEN_RELOADS)
        self._recorded += time.perf_counter() - begun

    def _record(self, epoch: int, losses: dict[str, float], items: int | None) -> None:
        now = time.perf_counter()
        seconds = (now - self._recorded) / (self._step - self._recorded_step)
        self._recorded, self._recorded_step = now, self._step
        line = self._log.append(epoch, self._step, self._title, seconds, losses, items)
        self._bar.set_postfix_str(in_words(losses), refresh=False)
        if self._board is not None:
            self._board.show_losses(self._log.history)
        if self._events is not None:
            for name, value in losses.items():
                self._events.add_scalar(f"{self._title}/{name}", value, self._step)
        is_due = self._step == self._total or now - self._printed >= SECONDS_BETWEEN_LINES
        if is_due and not self._on_terminal:
            self._printed = now
            remaining = (now - self._begun) / (self._step - self._first) * (self._total - self._step)
            self.say(f"{self._title} {self._step / self._total:.0%}, {tqdm.format_interval(remaining)} to go {line}")

    def _write_page(self, state: str, refresh: int | None) -> None:
        write_run_page(self._folder, self._log.history, self._captions, f"{state}: {self._status}",
                       self._opt.display_winsize, refresh, self._commands() if state == "Finished" else None)

    def _commands(self) -> dict[str, str]:
        """What to do with a run that has come to its end."""
        place = self._opt.checkpoints_dir
        elsewhere = ["--checkpoints_dir", str(place)] if Path(place) != Path("checkpoints") else []
        return {"Export what it has learned:": shlex.join(["python", "test.py", "--name", self._opt.name, *elsewhere])}


def tensorboard_writer() -> Callable[[Path], Any]:
    """What makes a writer of TensorBoard logs into a folder.

    Raises:
        UserError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tf_log: TensorBoard is not installed; pip install tensorboard, or leave --tf_log out: "
                        "losses are in loss_log.jsonl in the run's folder, on its page and on visdom too") from None
    return SummaryWriter


class NoVisualizer:
    """What processes other than the first have in place of a `Visualizer`: they show and write nothing."""

    def __enter__(self) -> "NoVisualizer":
        return self

    def __exit__(self, *_exception) -> None:
        pass

    def start_phase(self, *_arguments, **_keywords) -> None:
        """Show nothing."""

    def step(self, *_arguments) -> None:
        """Show nothing."""

    def end_epoch(self, *_arguments) -> None:
        """Show nothing."""
