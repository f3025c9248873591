"""The contract between models and the two programs that drive them, train.py and test.py (docs/new_model.md).

Nothing here knows what a model computes: how many networks and optimisers it has, how many gradient steps it takes per
batch, or what its batches hold.
"""

from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from models.checkpoints import continue_optimizer, load_weights, read_checkpoint, weights_together
from models.parallel import spread
from models.schedules import Progress, Schedule, by_epoch
from util import distributed
from util.devices import device_of
from util.errors import UserError
from util.loss_log import in_text

AMP = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Phase:
    """A stretch of training with its own options, data and optimisers.

    Attributes:
        name: what it trains, for people.
        opt: the options of this phase.
        epochs: its epochs; they count on through all phases, from 1.
        batch_option: the option that its batch size comes from.
        brief: a time budget does not stretch it, and gives it half of the time at most.
        keeps: names of optimisers that go on as they were in the phase before, with their moments.
    """

    name: str
    opt: Namespace
    epochs: range
    batch_option: str = "--batch_size"
    brief: bool = False
    keeps: tuple[str, ...] = ()


class Cost(NamedTuple):
    """What an epoch of training costs.

    Attributes:
        tflop: of the epoch.
        gib: memory of the whole process, in GiB.
        cpu_seconds: on two CPU cores.
    """

    tflop: float
    gib: float
    cpu_seconds: float


@dataclass
class Export:
    """What test.py writes for one item. Images are float [1, C, H, W] in [-1, 1]; C is 1, 3 or 4 (straight alpha).

    Attributes:
        images: name to image, written as images/<item>_<name>.png.
        video_frames: name to image, appended to the sequence's video <name>.
        files: further files, which the model names: "color/000000.png" or "fake_B_0001.jpg" (images), "pose/0001.txt"
            (text), "mesh.ply" (bytes). They lie in the sequence's folder.
        captions: name to a sentence that says what the image or video shows.
    """

    images: dict[str, Tensor] = field(default_factory=dict)
    video_frames: dict[str, Tensor] = field(default_factory=dict)
    files: dict[str, Tensor | str | bytes] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)


class BaseModel(ABC):
    """A model owns networks, optimisers and one training step.

    Attributes:
        opt: the options it was made with.
        device: where it computes.
        networks: name to module; saved as `<label>_net_<name>.pth`.
        optimizers: name to optimiser of the current phase; filled by `start_phase`.
        phase: the current phase; there from `start_phase` on.
        presets: values for options by name of a preset; `published` is the first, and changes nothing.
        dataset_mode: the dataset it is trained on where --dataset_mode names no other.
        epoch_options: options that count epochs: a time budget scales them together.
        brief_epoch_options: those that count epochs of brief phases: a time budget shortens them where it must.
        largest_auto_batch: the most items that --batch_size auto takes.
        to_save_memory: what a user may make smaller besides the batch size, for messages.
        epoch_label: of weights that are kept of an epoch.
        captions: name of a picture that `visuals` makes to a sentence that says what it shows.
        next_steps: what to do with an export: sentence, program, and its options besides those that name the export.
    """

    phase: Phase
    captions: dict[str, str] = {}
    next_steps: tuple[tuple[str, str, str], ...] = ()
    presets: dict[str, dict] = {"published": {}}
    dataset_mode: str = ""
    epoch_options: tuple[str, ...] = ("n_epochs", "n_epochs_decay")
    brief_epoch_options: tuple[str, ...] = ()
    largest_auto_batch = 32
    epoch_label = "epoch_{epoch}"
    to_save_memory = "smaller frames"

    def __init__(self, opt: Namespace):
        self.opt = opt
        self.device = device_of(opt.gpu_ids)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        self.amp_dtype = AMP[opt.amp]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=opt.amp == "fp16")
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.plateaus: dict[str, lr_scheduler.ReduceLROnPlateau] = {}

    # What a model is asked for.

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Add the model's options to the parser; those that only training needs where `is_train`.

        Names of options that decide the networks' shape go into `parser.deciding` as well; other defaults for options
        of the program are set here (`parser.set_defaults`), and other spellings of options (`parser.also`).
        """

    def phases(self) -> Sequence[Phase]:
        """The phases of a whole training run, in order."""
        return [Phase("training", self.opt, range(1, self.opt.n_epochs + self.opt.n_epochs_decay + 1))]

    @abstractmethod
    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Fresh optimisers for the parameters that the phase trains; `parallel` networks are made here."""

    def schedules(self, phase: Phase) -> dict[str, Schedule]:
        """Learning rates of optimisers by name, as functions of the progress; those left out follow --lr_policy."""
        return {}

    def start_epoch(self, epoch: int) -> None:
        """Bring what depends on the epoch up to `epoch`, such as weights of losses.

        Called again for the same epoch when a run is continued in the middle of one.
        """

    @abstractmethod
    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """Take the gradient steps of one batch; return its losses as scalars without gradient.

        Where there is a loss `total`, the learning-rate policy `plateau` watches it. Where processes train together,
        `batch` is this one's share, gradients and losses are averaged over all, and all must return losses of the same
        names and call their `parallel` networks equally often (`util.distributed.smallest` agrees on a number).
        """

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost | None:
        """What an epoch of `items` such as `item` costs in batches of `batch_size`; None where that is not known."""
        return None

    @staticmethod
    def log_line(record: dict) -> str:
        """A record of losses (`util/loss_log.py`) as the line of loss_log.txt."""
        return in_text(record)

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """Pictures of the first item of a batch: label to float image [3 or 4, H, W] in [-1, 1]."""
        return {}

    def export(self, batch: dict) -> Export:
        """What test.py writes for a batch of one item.

        Items come in order, one at a time; where the batch names its `sequence`, those of a sequence follow each other,
        and what a model carries from frame to frame begins anew when the name changes.
        """
        raise TypeError(f"model {self.opt.model} has nothing to export")

    def extra_state(self) -> dict:
        """State that changes during training beyond networks, optimisers and learning rates; plain values."""
        return {}

    def load_extra_state(self, state: dict) -> None:
        """Take back what `extra_state` gave."""

    def weights_from(self, network: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of another run's `network` (--init_from) under the names that they have in this model."""
        return weights

    # What a model can rely on.

    def parallel(self, network: nn.Module) -> nn.Module:
        """`network`, for `optimize_parameters` to call: spread over processes (torchrun), or over several --gpu_ids.

        Called in each phase, when it is settled which parameters are trained. A network of which nothing is trained
        stays as it is.
        """
        return spread(network, self.opt.gpu_ids, self.opt.batch_statistics)

    def autocast(self) -> AbstractContextManager:
        """Where networks compute with the precision of --amp."""
        return torch.autocast(self.device.type, self.amp_dtype, enabled=self.amp_dtype is not None)

    def gradient_step(self, loss: Tensor, *names: str, keep_graph: bool = False) -> None:
        """One step of the optimisers `names` down the gradient of `loss`; with --amp fp16 the loss is scaled for it.

        Gradients are computed of what these optimisers train, and of nothing else on the way there. With `keep_graph`
        another step may take a loss of the same forward pass.
        """
        trained = [parameter for name in names for group in self.optimizers[name].param_groups
                   for parameter in group["params"] if parameter.requires_grad]
        for name in names:
            self.optimizers[name].zero_grad()
        if distributed.count() > 1:  # they wait for gradients of all parameters, also those that the loss does without
            loss = loss + 0 * sum(parameter.sum() for parameter in trained)
        self.scaler.scale(loss).backward(inputs=trained, retain_graph=keep_graph)
        for name in names:
            self.scaler.step(self.optimizers[name])
        self.scaler.update()

    def randn_per_item(self, items: int, *shape: int) -> Tensor:
        """Normal random numbers [items, *shape] for the items of a batch, or of a share: every item has its own."""
        drawn = torch.randn(distributed.count() * items, *shape, device=self.device)
        return drawn[distributed.rank() * items:(distributed.rank() + 1) * items]

    def to_device(self, batch: dict) -> dict:
        """A batch with its tensors on the model's device."""
        return {k: v.to(self.device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}

    # What train.py and test.py call.

    def start_phase(self, phase: Phase, resumed: dict | None = None) -> None:
        """Make the optimisers of a phase, or take them back from a training state.

        Raises:
            LookupError, ValueError, ...: the state does not fit.
        """
        before = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        self.phase = phase
        self.optimizers = self.make_optimizers(phase)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        own = self.schedules(phase)
        self._schedules = {name: own.get(name, by_epoch(phase.opt, phase.epochs)) for name in self.optimizers}
        self.plateaus = {name: lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.2, threshold=0.01, patience=5)
                         for name, optimizer in self.optimizers.items()
                         if phase.opt.lr_policy == "plateau" and name not in own}
        if resumed and resumed.get("scaler") and not before:  # it goes on through all phases
            self.scaler.load_state_dict(resumed["scaler"])
        if resumed and resumed["phase"] == phase.name:
            for name, optimizer in self.optimizers.items():
                continue_optimizer(optimizer, resumed["optimizers"][name])
            for name, plateau in self.plateaus.items():
                plateau.load_state_dict(resumed["plateaus"].get(name, {}))
        else:
            earlier = before or (resumed["optimizers"] if resumed else {})
            for name in phase.keeps:
                if name in earlier:
                    continue_optimizer(self.optimizers[name], earlier[name])

    def set_learning_rates(self, progress: Progress) -> None:
        """Bring every optimiser's learning rate up to `progress`; called before each batch."""
        for name, optimizer in self.optimizers.items():
            if name not in self.plateaus:
                factor = self._schedules[name](progress)
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * factor

    def end_epoch(self, epoch: int, losses: dict[str, Tensor]) -> None:
        """Show the losses of the epoch's last batch to the schedules that watch them.

        Raises:
            UserError: there is nothing to watch.
        """
        if self.plateaus and "total" not in losses:
            raise UserError(f"--lr_policy: found plateau, which watches the loss `total`; --model {self.opt.model} has "
                            "none. Take another policy")
        for plateau in self.plateaus.values():
            plateau.step(float(losses["total"]))

    def set_mode(self, training: bool) -> None:
        """Let normalisation take the statistics of what it sees (`training`), or those gathered in training."""
        for network in self.networks.values():
            network.train(training)

    def load_networks(self, label: str) -> None:
        """Read every network's weights from `<label>_net_<name>.pth` in the run's folder; all are of one moment.

        Raises:
            UserError: a file is missing, broken, or holds a network of another shape.
        """
        paths = weights_together(self.run_folder, label, self.networks)
        saved_at = [path.stat().st_mtime_ns for path in paths.values() if path.exists()]
        for name, path in paths.items():
            network = self.networks[name]
            weights = read_checkpoint(path, "train first (train.py), or name another --name or --epoch")
            load_weights(network, weights, path)
        if [path.stat().st_mtime_ns for path in paths.values()] != saved_at:  # the run is trained, and saved meanwhile
            self.load_networks(label)

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
