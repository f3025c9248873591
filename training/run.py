"""A training run on disk: whose it is, with which options it trains, where it stands, and the way back to that.

In the folder <checkpoints_dir>/<name>/ lie `latest_net_<network>.pth`, the weights alone; `latest_state.pth`, all else
that a continued run needs; and `previous_...`, both as they were at the save before. A state names the weights that it
belongs to by their checksums, so a run that is killed between two files finds a pair that fits.
"""

import json
import math
import time
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.base_model import BaseModel, Phase
from models.checkpoints import (
    fingerprint,
    load_matching,
    load_weights,
    read_checkpoint,
    reading,
    state_path,
    weights_path,
    weights_that_fit,
    weights_together,
    write_checkpoint,
)
from options.saved import OF_ONE_COMMAND, SAVED_OPTIONS, saved_options
from util import distributed
from util.errors import UserError
from util.files import link_or_copy, locked, write_text


@dataclass(frozen=True, order=True)
class Position:
    """Where a training run stands: `items` items of `epoch` are done."""

    epoch: int = 1
    items: int = 0


class TrainingRun:
    """A run that belongs to this process, as long as this object exists.

    Args:
        opt: the options; `checkpoints_dir` and `name` say where it is.
        deciding: names of options that make another run of it where they change.

    Attributes:
        saved_at: when the state was saved last, in seconds of the monotonic clock.

    Raises:
        UserError: another process trains the run, its folder cannot be written to, the run has been trained and would
            be lost, or --continue_train cannot go on with these options.
    """

    def __init__(self, opt: Namespace, deciding: set[str]):
        self.opt, self.folder = opt, Path(opt.checkpoints_dir) / opt.name
        self.saved_at = time.monotonic()
        self._saved: Position | None = None
        self._saved_is_proven = False
        self._phase: Phase | None = None
        self._unread: tuple[dict[str, Tensor], Position, Phase, Tensor, torch.cuda.Event | None] | None = None
        if distributed.rank() > 0:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.folder / ".lock")
        except BlockingIOError as error:
            raise UserError(f"{self.folder}: process {error} is training this run; wait for it, or give another "
                            "--name") from None
        except OSError as error:
            raise UserError(f"--checkpoints_dir: cannot write to {self.folder} ({error.strerror}); "
                            "give a folder that can be written to") from None
        try:
            self._enter(deciding)
        except BaseException:
            self.close()
            raise

    def _enter(self, deciding: set[str]) -> None:
        """See that what is there and the options agree, before anything is changed."""
        opt = self.opt
        if not opt.continue_train and not opt.overwrite and (there := self._trained()):
            raise UserError(f"{there}: run {opt.name} has been trained, and beginning anew would destroy it. Go on "
                            "with --continue_train, give another --name, or lose it with --overwrite")
        if opt.continue_train:
            tell_changes(saved_options(self.folder), vars(opt), deciding)

    def _trained(self) -> Path | None:
        """The file that would be lost if training began anew; None where no step of training is in the run.

        A run that has only begun, and one of no training such as a draft, are made again within seconds.
        """
        begun_from_weights = bool(saved_options(self.folder).get("continue_train"))  # such as published ones
        if not self._state_path.exists():
            log = self.folder / "loss_log.jsonl"
            killed_in_its_first_save = log.exists() and not log.stat().st_size and not begun_from_weights
            return None if killed_in_its_first_save else next(iter(sorted(self.folder.glob("*_net_*.pth"))), None)
        try:
            state = torch.load(self._state_path, map_location="cpu", weights_only=True, mmap=True)
            if Position(**state["position"]) == Position() and not begun_from_weights:
                return None
        except Exception:  # whatever is wrong with it: it is not known to be worthless
            pass
        return self._state_path

    def close(self) -> None:
        """Let other processes have the run."""
        if distributed.rank() == 0:
            self._lock.close()

    def save_options(self, opt: Namespace, text: str) -> None:
        """Write the options as they are used: `train_opt.txt` for people and `train_opt.json` for programs.

        A run that begins anew first loses what an earlier one of its name had saved: nothing may go on with that under
        the new options.
        """
        if distributed.rank() == 0:
            if not self.opt.continue_train:
                for path in (self._state_path, *sorted(self.folder.glob("previous_*.pth")),
                             *sorted(self.folder.glob("epoch_*_net_*.pth")),
                             *sorted(self.folder.glob("[0-9]*_net_*.pth"))):
                    path.unlink(missing_ok=True)
            write_text(self.folder / "train_opt.txt", text + "\n")
            write_text(self.folder / SAVED_OPTIONS, json.dumps(vars(opt), indent=1) + "\n")

    def begin(self, model: BaseModel) -> tuple[Position, dict | None]:
        """Where training begins: anew, from weights of another run (--init_from), or where this one stopped.

        Returns:
            the position, and the training state for `BaseModel.start_phase`, if there is one.
        """
        if self.opt.continue_train:
            if self.opt.init_from:
                print("--init_from: not used, as the run goes on from its own weights")
            return self._resume(model)
        if self.opt.init_from:
            init_from(model, self.opt.init_from, Path(self.opt.checkpoints_dir))
        return Position(), None

    def start_phase(self, model: BaseModel, phase: Phase, resumed: dict | None) -> None:
        """Start a phase of the model, with what `begin` found of it."""
        with reading(self._state_path) if resumed else nullcontext():
            model.start_phase(phase, resumed)
        self._phase = phase

    def _resume(self, model: BaseModel) -> tuple[Position, dict | None]:
        if self.opt.epoch != "latest" or not self._state_path.exists():  # only weights, such as a published checkpoint
            model.load_networks(self.opt.epoch)
            return Position(epoch=self.opt.epoch_count), None
        state = read_checkpoint(self._state_path, "remove it to go on from latest_net_*.pth, at --epoch_count EPOCH")
        with reading(self._state_path):
            for name, network in model.networks.items():
                if "networks" in state:  # as runs before version 0.2 were saved
                    load_weights(network, state["networks"][name], self._state_path)
                else:
                    path = self._weights_of(name, state)
                    load_weights(network, read_checkpoint(path, "give the run's own weights"), path)
            model.load_extra_state(state["extra"])
            position = Position(int(state["position"]["epoch"]), int(state["position"]["items"]))
            if position.epoch < 1 or position.items < 0:
                raise ValueError(f"it stands at {position}")
            trained = state["phase"]
        for phase in model.phases():
            begun = position.epoch in phase.epochs and position != Position(phase.epochs.start)
            if begun and trained not in ("", phase.name):
                raise UserError(f"--continue_train: the run stopped in epoch {position.epoch}, in its phase {trained}; "
                                f"with these options the epoch is in the middle of phase {phase.name}. Give numbers of "
                                "epochs with which it is not")
        self._saved = position
        return position, state

    def _weights_of(self, network: str, state: dict) -> Path:
        """The file of a network's weights that a state belongs to: the latest, or after a kill the one before."""
        path = weights_that_fit(self.folder, network, state)
        if path is None:
            raise UserError(f"{self._weights_path(network)}: not the weights that {self._state_path.name} "
                            f"was saved with; give those back, or remove {self._state_path} to go on from these, at "
                            "--epoch_count EPOCH")
        if path != self._weights_path(network) and distributed.rank() == 0:
            link_or_copy(path, self._weights_path(network))
        return path

    def check_losses(self, losses: dict[str, Tensor], position: Position, phase: Phase) -> None:
        """Let no loss that is not a finite number reach a checkpoint.

        A GPU is not waited for: its losses are looked at when the next step has been given to it, or before a save.
        Where the first step after a save shows what was wrong with it, the state before takes its place.

        Raises:
            UserError: names the loss, its step, and what to do.
        """
        self._read_losses()
        if not losses:
            return
        finite, event = finite_flag(losses)
        self._unread = losses, position, phase, finite, event
        if event is None:
            self._read_losses()

    def _read_losses(self) -> None:
        if self._unread is None:
            return
        (losses, position, phase, finite, event), self._unread = self._unread, None
        if event is not None:
            event.synchronize()
        if finite:
            self._saved_is_proven = True
            return
        if not self._saved_is_proven:
            self._take_previous_state()
            if self._saved is not None:  # whichever process reports it names the same epoch
                self._saved = Position(distributed.smallest(self._saved.epoch), self._saved.items)
        bad = " and ".join(f"{name} is {float(loss)}" for name, loss in losses.items() if not math.isfinite(loss))
        batch = position.items // phase.opt.batch_size
        raise UserError(f"{phase.name}, epoch {position.epoch}, batch {batch + 1}: loss {bad}; {self._way_back(phase)}")

    def _way_back(self, phase: Phase | None) -> str:
        if self._saved is None:
            return "not saved. Begin with other weights"
        return (f"not saved. Continue from the last checkpoint, of epoch {self._saved.epoch}, with a smaller --lr: "
                f"--continue_train --lr {(phase.opt if phase else self.opt).lr / 2:g}")

    def save(self, model: BaseModel, position: Position, label: str | None = None) -> None:
        """Write the networks' weights and all else that a continued run needs; of several processes the first does.

        The state comes last: a run that is killed between the files goes on from the state and the weights before.

        Args:
            label: keep the weights under this name as well.

        Raises:
            UserError: losses or weights are not finite numbers. Nothing is written.
        """
        self._read_losses()
        if distributed.rank() == 0:
            for name, network in model.networks.items():
                if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
                    raise UserError(f"weights of network {name} are not finite numbers; {self._way_back(self._phase)}")
            self._write(model, position, label)
        self._saved, self.saved_at, self._saved_is_proven = position, time.monotonic(), False

    def _write(self, model: BaseModel, position: Position, label: str | None) -> None:
        weights, keep_previous = {}, position != self._saved
        for name, network in model.networks.items():
            path = self._weights_path(name)
            if keep_previous and path.exists():
                link_or_copy(path, self._weights_path(name, "previous"))
            write_checkpoint({k: v.detach().cpu() for k, v in network.state_dict().items()}, path)
            weights[name] = fingerprint(path)
            if label:
                link_or_copy(path, self.folder / f"{label}_net_{name}.pth")
        if keep_previous and self._state_path.exists():
            link_or_copy(self._state_path, self._previous_path)
        write_checkpoint({
            "position": asdict(position),
            "phase": self._phase.name if self._phase else "",
            "batch_size": self._phase.opt.batch_size if self._phase else 0,
            "weights": weights,
            "optimizers": {name: optimizer.state_dict() for name, optimizer in model.optimizers.items()},
            "plateaus": {name: plateau.state_dict() for name, plateau in model.plateaus.items()},
            "scaler": model.scaler.state_dict(),
            "extra": model.extra_state(),
        }, self._state_path)
        if self._saved is None and not self.opt.continue_train:  # what was there is another run's
            for path in self.folder.glob("previous_*.pth"):
                path.unlink()

    def _take_previous_state(self) -> None:
        if distributed.rank() > 0 or not self._previous_path.exists():
            return
        state = read_checkpoint(self._previous_path, "train without --continue_train")
        files = {name: self._weights_path(name, "previous") for name in state.get("weights", ())}
        if any(not path.exists() or fingerprint(path) != state["weights"][name] for name, path in files.items()):
            return
        self._previous_path.replace(self._state_path)  # first: its weights are found under either name
        for name, path in files.items():
            link_or_copy(path, self._weights_path(name))
        for name, weights in state.get("networks", {}).items():  # as runs before version 0.2 were saved
            write_checkpoint(weights, self._weights_path(name))
        self._saved = Position(**state["position"])

    def _weights_path(self, network: str, label: str = "latest") -> Path:
        return weights_path(self.folder, label, network)

    @property
    def _state_path(self) -> Path:
        return state_path(self.folder)

    @property
    def _previous_path(self) -> Path:
        return self.folder / "previous_state.pth"


def finite_flag(losses: dict[str, Tensor]) -> tuple[Tensor, torch.cuda.Event | None]:
    """Whether all losses are finite numbers, as a flag on the CPU; on a GPU it is one only after the event."""
    finite = torch.stack([loss.detach().float() for loss in losses.values()]).isfinite().all()
    if not finite.is_cuda:
        return finite, None
    flag = torch.empty((), dtype=torch.bool, pin_memory=True).copy_(finite, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return flag, event


def init_from(model: BaseModel, source: str, checkpoints_dir: Path) -> None:
    """Let training begin with the weights of another run, as far as they fit; prints what was left out.

    Args:
        source: RUN or RUN:EPOCH; RUN is a name in `checkpoints_dir`, or a folder.

    Raises:
        UserError: there are no weights of any of the model's networks.
    """
    run, _, label = source.rpartition(":")
    run, label = (run, label) if run and "/" not in label else (source, "latest")
    folder = checkpoints_dir / run if (checkpoints_dir / run).is_dir() else Path(run)
    paths = weights_together(folder, label, model.networks)
    if not any(path.exists() for path in paths.values()):
        raise UserError(f"--init_from: found '{source}', but there is no {next(iter(paths.values()))}; expected the "
                        "name or folder of a run of this --model, and after a colon the epoch of a checkpoint of it")
    for name, path in paths.items():
        if not path.exists():
            print(f"network {name}: begins afresh, as there is no {path}")
            continue
        weights = read_checkpoint(path, "name another run with --init_from")
        left_out = load_matching(model.networks[name], model.weights_from(name, weights), path)
        print(f"network {name}: begins with the weights of {path}{f' ({left_out})' if left_out else ''}")


def tell_changes(earlier: dict, options: dict, deciding: set[str]) -> None:
    """Say which options of a continued run are others than before.

    Raises:
        UserError: some of them decide what the networks or the data are.
    """
    changed = {name: f"{name} {earlier[name]} -> {value}" for name, value in options.items()
               if name in earlier and earlier[name] != value and str(earlier[name]) != str(value)
               and name not in OF_ONE_COMMAND
               and not (name == "data_id" and str(value).startswith(f"{earlier[name]}, "))}  # it said less before 0.2
    harmful = [text for name, text in changed.items() if name in deciding]
    if harmful:
        raise UserError(f"--continue_train: these options would make other networks or data of the run: "
                        f"{', '.join(harmful)}. Give them as they were, or begin another run with another --name")
    if changed:
        print(f"continued with other options: {', '.join(changed.values())}")
