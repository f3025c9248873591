"""The contract between models and the two programs that drive them, train.py and test.py.

Nothing here knows what a model computes: how many networks and optimisers it has, how many gradient steps it takes per
batch, or what its batches hold.
"""

import math
import os
import shutil
import time
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import lr_scheduler

from models.checkpoints import continue_optimizer, load_weights, read_checkpoint, reading, write_checkpoint
from models.lnr_cost import Cost
from models.sync_batch_norm import synchronise_batch_norms
from util import distributed
from util.errors import UserError
from util.files import written_atomically


@dataclass(frozen=True)
class Phase:
    """A stretch of training with its own options, data and optimisers.

    Attributes:
        name: what it trains, for people.
        opt: the options of this phase.
        epochs: its epochs; they count on through all phases, from 1.
        batch_option: the option that its batch size comes from.
        brief: a time budget does not stretch it, and gives it half of the time at most.
    """

    name: str
    opt: Namespace
    epochs: range
    batch_option: str = "--batch_size"
    brief: bool = False


@dataclass(frozen=True, order=True)
class Position:
    """Where a training run stands: `items` items of `epoch` are done."""

    epoch: int = 1
    items: int = 0


@dataclass
class Export:
    """What test.py writes for one item: name to float image [1, 3 or 4, H, W] in [-1, 1].

    Attributes:
        images: written as PNG, `<item>_<name>.png`.
        video_frames: appended to a video `<name>`.
        captions: name to a sentence that says what the image or video shows.
    """

    images: dict[str, Tensor] = field(default_factory=dict)
    video_frames: dict[str, Tensor] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)


class BaseModel(ABC):
    """A model owns networks, optimisers and one training step.

    Attributes:
        opt: the options it was made with.
        device: where it computes.
        networks: name to module; saved as `<label>_net_<name>.pth`.
        optimizers: name to optimiser of the current phase; filled by `start_phase`.
        saved: where the run stood when its state was saved last; None: not yet.
        saved_at: when that was, in seconds of the monotonic clock.
        saved_is_proven: whether a step since then had losses that are numbers.
        presets: values for options by name of a preset; `published` is the first, and changes nothing.
        epoch_options: options that count epochs: a time budget scales them together.
        brief_epoch_options: those that count epochs of brief phases: a time budget shortens them where it must.
        captions: name of a picture that `visuals` makes to a sentence that says what it shows.
    """

    captions: dict[str, str] = {}
    presets: dict[str, dict] = {"published": {}}
    epoch_options: tuple[str, ...] = ("n_epochs", "n_epochs_decay")
    brief_epoch_options: tuple[str, ...] = ()

    def __init__(self, opt: Namespace):
        self.opt = opt
        self.device = torch.device("cuda", opt.gpu_ids[0]) if opt.gpu_ids else torch.device("cpu")
        if opt.gpu_ids:
            torch.cuda.set_device(self.device)
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.plateaus: dict[str, lr_scheduler.ReduceLROnPlateau] = {}
        self.phase: Phase | None = None
        self.saved: Position | None = None
        self.saved_at = time.monotonic()
        self.saved_is_proven = False

    # What a model is asked for.

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Add the model's options to the parser; those that only training needs where `is_train`.

        Names of options that decide the networks' shape go into `parser.deciding` as well.
        """

    def phases(self) -> list[Phase]:
        """The phases of a whole training run, in order."""
        return [Phase("training", self.opt, range(1, self.opt.n_epochs + self.opt.n_epochs_decay + 1))]

    @abstractmethod
    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Fresh optimisers for the parameters that the phase trains; `parallel` networks are made here."""

    @abstractmethod
    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """Take the gradient steps of one batch; return its losses as scalars without gradient.

        Where there is a loss `total`, the learning-rate policy `plateau` watches it. Where processes train together,
        `batch` is this one's share, and gradients and losses are averaged over all.
        """

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost | None:
        """What an epoch of `items` such as `item` costs in batches of `batch_size`; None where that is not known."""
        return None

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """Pictures of the first item of a batch: label to float image [3 or 4, H, W] in [-1, 1]."""
        return {}

    def export(self, batch: dict) -> Export:
        """What test.py writes for a batch of one item."""
        raise TypeError(f"model {self.opt.model} has nothing to export")

    def extra_state(self) -> dict:
        """State that changes during training beyond networks, optimisers and learning rates; plain values."""
        return {}

    def load_extra_state(self, state: dict) -> None:
        """Take back what `extra_state` gave."""

    # What a model can rely on.

    def parallel(self, network: nn.Module) -> nn.Module:
        """`network`, for `optimize_parameters` to call: spread over processes (torchrun), or over several --gpu_ids.

        Called in each phase, when it is settled which parameters are trained.
        """
        if distributed.count() == 1:
            return nn.DataParallel(network, self.opt.gpu_ids) if len(self.opt.gpu_ids) > 1 else network
        if self.opt.batch_statistics == "synchronised":
            synchronise_batch_norms(network, on_gpu=self.device.type == "cuda")
        spread = DistributedDataParallel(network, device_ids=self.opt.gpu_ids or None, gradient_as_bucket_view=True)
        spread.broadcast_buffers = False  # before every call, which may stand between another and its backward pass
        return spread

    def randn_per_item(self, items: int, *shape: int) -> Tensor:
        """Normal random numbers [items, *shape] for the items of a batch, or of a share: every item has its own."""
        drawn = torch.randn(distributed.count() * items, *shape, device=self.device)
        return drawn[distributed.rank() * items:(distributed.rank() + 1) * items]

    def to_device(self, batch: dict) -> dict:
        """A batch with its tensors on the model's device."""
        return {k: v.to(self.device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}

    # What train.py and test.py call.

    def start_phase(self, phase: Phase, resumed: dict | None = None) -> None:
        """Make the optimisers of a phase, or take them back from a training state of the same phase."""
        self.phase = phase
        self.optimizers = self.make_optimizers(phase)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        if phase.opt.lr_policy == "plateau":
            self.plateaus = {name: lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.2, threshold=0.01, patience=5)
                             for name, optimizer in self.optimizers.items()}
        if resumed and resumed["phase"] == phase.name:
            with reading(self._state_path):
                for name, optimizer in self.optimizers.items():
                    continue_optimizer(optimizer, resumed["optimizers"][name])
                for name, plateau in self.plateaus.items():
                    plateau.load_state_dict(resumed["plateaus"].get(name, {}))

    def start_epoch(self, epoch: int) -> None:
        """Bring learning rates up to `epoch`; models with other schedules extend this.

        Called again for the same epoch when a run is continued in the middle of one.
        """
        if self.plateaus:
            return
        done, length = epoch - self.phase.epochs.start, len(self.phase.epochs)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * learning_rate_factor(self.phase.opt, done, length)

    def end_epoch(self, epoch: int, losses: dict[str, Tensor]) -> None:
        """Show the losses of the epoch's last batch to the schedules that watch them."""
        for plateau in self.plateaus.values():
            plateau.step(float(losses["total"]))

    def save_networks(self, label: str) -> None:
        """Write every network's weights to `<label>_net_<name>.pth` in the run's folder.

        Raises:
            UserError: weights are not finite numbers. Nothing is written.
        """
        for name, network in self.networks.items():
            if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
                remedy = self._way_back() if self.saved else "not saved. Begin with other weights"
                raise UserError(f"weights of network {name} are not finite numbers; {remedy}")
        for name, network in self.networks.items():
            weights = {k: v.detach().cpu() for k, v in network.state_dict().items()}
            write_checkpoint(weights, self._weights_path(label, name))

    def load_networks(self, label: str) -> None:
        """Read every network's weights from `<label>_net_<name>.pth` in the run's folder.

        Raises:
            UserError: a file is missing, broken, or holds a network of another shape.
        """
        for name, network in self.networks.items():
            path = self._weights_path(label, name)
            weights = read_checkpoint(path, "train first (train.py), or name another --name or --epoch")
            load_weights(network, weights, path)

    def stop_at_bad_losses(self, losses: dict[str, Tensor], position: Position) -> None:
        """Let no loss that is not a finite number reach a checkpoint; waits for the GPU once.

        Where the first step after a checkpoint shows what was wrong with it, the one before takes its place.

        Raises:
            UserError: names the loss, its step, and what to do.
        """
        if not losses or bool(torch.stack([loss.float() for loss in losses.values()]).isfinite().all()):
            self.saved_is_proven = True
            return
        if not self.saved_is_proven:
            self._take_previous_state()
        bad = " and ".join(f"{name} is {float(loss)}" for name, loss in losses.items() if not math.isfinite(loss))
        batch = position.items // self.phase.opt.batch_size
        raise UserError(f"{self.phase.name}, epoch {position.epoch}, batch {batch + 1}: loss {bad}; {self._way_back()}")

    def _keep_previous_state(self, position: Position) -> None:
        if self.saved is None and not self.opt.continue_train:
            self._previous_path.unlink(missing_ok=True)  # of another run of this name
        elif self.saved not in (None, position):  # a continued run, or a phase, begins with what was saved already
            with written_atomically(self._previous_path) as temporary:
                shutil.copyfile(self._state_path, temporary)

    def _take_previous_state(self) -> None:
        if distributed.rank() > 0 or not self._previous_path.exists():
            return
        state = read_checkpoint(self._previous_path, "train without --continue_train")
        for name, weights in state["networks"].items():
            write_checkpoint(weights, self._weights_path("latest", name))
        os.replace(self._previous_path, self._state_path)
        self.saved = Position(**state["position"])

    def _way_back(self) -> str:
        return (f"not saved. Continue from the last checkpoint, of epoch {self.saved.epoch}, with a smaller --lr: "
                f"--continue_train --lr {self.phase.opt.lr / 2:g}")

    def save_training_state(self, position: Position) -> None:
        """Write all that a continued run needs to `latest_state.pth`, and the networks' weights beside it.

        The state comes last: a run that is killed between the files repeats what is missing in it, and then writes the
        weights again. The state before is kept as `previous_state.pth`.

        Raises:
            UserError: weights are not finite numbers. Nothing is written.
        """
        self.save_networks("latest")
        if distributed.rank() == 0:
            self._keep_previous_state(position)
        write_checkpoint({
            "position": asdict(position),
            "phase": self.phase.name if self.phase else "",
            "batch_size": self.phase.opt.batch_size if self.phase else 0,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "plateaus": {name: plateau.state_dict() for name, plateau in self.plateaus.items()},
            "extra": self.extra_state(),
        }, self._state_path)
        self.saved, self.saved_at, self.saved_is_proven = position, time.monotonic(), False

    def load_training_state(self) -> tuple[Position, dict | None]:
        """Take back networks and schedules where `save_training_state` left them.

        Returns:
            where the run stands, and the state for `start_phase`. A run that has only weights, such as a published
            checkpoint, starts from them at --epoch_count, with None.

        Raises:
            UserError: there is nothing to continue from, or it does not fit the options.
        """
        path = self._state_path
        if self.opt.epoch != "latest" or not path.exists():
            self.load_networks(self.opt.epoch)
            return Position(epoch=self.opt.epoch_count), None
        state = read_checkpoint(path, "remove it to go on from latest_net_*.pth, at --epoch_count EPOCH")
        with reading(path):
            for name, network in self.networks.items():
                load_weights(network, state["networks"][name], path)
            self.load_extra_state(state["extra"])
            position = Position(int(state["position"]["epoch"]), int(state["position"]["items"]))
            if position.epoch < 1 or position.items < 0:
                raise ValueError(f"it stands at {position}")
            trained = state["phase"]
        for phase in self.phases():
            begun = position.epoch in phase.epochs and position != Position(phase.epochs.start)
            if begun and trained not in ("", phase.name):
                raise UserError(f"--continue_train: the run stopped in epoch {position.epoch}, in its phase {trained}; "
                                f"with these options the epoch is in the middle of phase {phase.name}. Give numbers of "
                                "epochs with which it is not")
        self.saved = position
        return position, state

    def print_networks(self, verbose: bool) -> None:
        """Print the size of every network, and its modules where `verbose`."""
        for name, network in self.networks.items():
            if verbose:
                print(network)
            print(f"network {name}: {sum(p.numel() for p in network.parameters()):,} parameters, on {self.device}")

    @property
    def run_folder(self) -> Path:
        """Where the run's checkpoints, logs and pages are."""
        return Path(self.opt.checkpoints_dir) / self.opt.name

    @property
    def _state_path(self) -> Path:
        return self.run_folder / "latest_state.pth"

    @property
    def _previous_path(self) -> Path:
        return self.run_folder / "previous_state.pth"

    def _weights_path(self, label: str, network: str) -> Path:
        label = f"epoch_{label}" if label.isdecimal() else label
        return self.run_folder / f"{label}_net_{network}.pth"


def learning_rate_factor(opt: Namespace, done: int, length: int) -> float:
    """What the learning rate is multiplied with after `done` of the `length` epochs of a phase.

    linear: 1, then over the last --n_epochs_decay epochs linearly towards zero; step: a tenth every --lr_decay_iters
    epochs; cosine: from 1 to 0 along half a cosine. (plateau depends on the losses, not on this.)
    """
    if opt.lr_policy == "linear":
        constant = length - opt.n_epochs_decay
        return 1 - max(0, done + 1 - constant) / (opt.n_epochs_decay + 1)
    if opt.lr_policy == "step":
        return 0.1 ** (done // opt.lr_decay_iters)
    if opt.lr_policy == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done / length))
    return 1.0


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Let `network` run without any trace: no gradients, no change of batch normalisation's running statistics.

    Its statistics are those of the batch, also where it trains on shares of a batch: nothing waits for other processes.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    running = [(norm.running_mean, norm.running_var) for norm in norms]
    try:
        for norm in norms:  # out of training and without running statistics, batch normalisation takes the batch's
            norm.training, norm.running_mean, norm.running_var = False, None, None
        with torch.no_grad():
            yield
    finally:
        for norm, (mean, variance) in zip(norms, running):
            norm.training, norm.running_mean, norm.running_var = True, mean, variance
