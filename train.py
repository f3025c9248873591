"""Train a model on one clip.

    python train.py --name my_run --dataroot datasets/my_clip

The model says which phases its training has; each has its own data and optimisers. Progress is on the console, in
checkpoints/<name>/web/index.html, and in visdom where one is running. Ctrl-C saves and stops; --continue_train goes on.
Several processes share each batch where torchrun starts them: torchrun --nproc_per_node 2 train.py ... (docs/scale.md).
"""

import random
import sys

import numpy as np
import torch
from torch.utils.data import default_collate

from data import create_dataset, create_training_loader
from data.base_dataset import BaseDataset
from models import create_model
from models.base_model import BaseModel, Phase, Position
from options.train_options import TrainOptions
from util import distributed
from util.allocator import keep_freed_memory
from util.errors import UserError, reported_in_one_line
from util.images import to_pixels
from util.interruption import StopRequest
from util.visualizer import NoVisualizer, Visualizer


def main() -> None:
    """Train all phases."""
    keep_freed_memory()
    opt = TrainOptions().parse()
    seed_everything(opt.seed)
    model = create_model(opt)
    model.print_networks(opt.verbose)
    position, resumed = model.load_training_state() if opt.continue_train else (Position(), None)
    phases = [phase for phase in model.phases() if phase.epochs.stop > position.epoch]
    if not phases:
        print(f"nothing left to train: {position.epoch - 1} epochs are done; ask for more with --n_epochs")
        return
    datasets = [create_dataset(phase.opt) for phase in phases]  # all, so that mistakes show before the first step
    shown = Visualizer(opt, model.captions) if distributed.rank() == 0 else NoVisualizer()
    with StopRequest() as stop, shown as visualizer:
        for phase in phases:  # a phase's images leave memory when it ends
            position = train_phase(model, phase, datasets.pop(0), position, resumed, visualizer, stop)
            if stop.asked():
                print(f"stopped and saved in epoch {position.epoch}; --continue_train goes on from there")
                sys.exit(stop.exit_status)


def train_phase(model: BaseModel, phase: Phase, dataset: BaseDataset, position: Position, resumed: dict | None,
                visualizer: Visualizer | NoVisualizer, stop: StopRequest) -> Position:
    """Train from `position` to the end of a phase, or until a stop is asked for; returns where the run stands."""
    dataset.preload()
    model.start_phase(phase, resumed)
    epochs = range(max(position.epoch, phase.epochs.start), phase.epochs.stop)
    loader = create_training_loader(dataset, phase.opt, epochs, skip=position.batch)
    batches, per_epoch = iter(loader), loader.batch_sampler.batches_per_epoch
    if position.batch >= per_epoch:
        raise UserError(f"--continue_train: the run stopped after batch {position.batch} of an epoch, which now has "
                        f"{per_epoch} of size {phase.opt.batch_size}; expected the batch size that it was begun with")
    preview = default_collate([dataset[len(dataset) // 2]])
    visualizer.start_phase(phase.name, total_steps=len(phase.epochs) * per_epoch,
                           done_steps=len(phase.epochs) * per_epoch - len(loader))
    for epoch in epochs:
        model.start_epoch(epoch)
        for batch in range(position.batch, per_epoch):
            if stop.asked():
                position = Position(epoch, batch)
                model.save_training_state(position)
                return position
            seed_everything(phase.opt.seed, epoch, batch)
            losses = distributed.average(model.optimize_parameters(next(batches)))
            visualizer.step(epoch, losses)
        model.end_epoch(epoch, losses)
        position = Position(epoch + 1)
        is_last = epoch == epochs[-1]
        visualizer.end_epoch(epoch, is_last, lambda: pictures(model, preview))
        if is_last or epoch % phase.opt.save_latest_freq == 0:
            model.save_training_state(position)
            if phase.opt.save_by_epoch:
                model.save_networks(f"epoch_{epoch}")
    return position


def pictures(model: BaseModel, batch: dict) -> dict[str, np.ndarray]:
    """The model's visuals as uint8 [H, W, C]."""
    return {label: to_pixels(image) for label, image in model.visuals(batch).items()}


def seed_everything(*key: int) -> None:
    """Make all random numbers that follow a function of `key`: a continued run needs no saved random state."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


if __name__ == "__main__":
    with reported_in_one_line(), distributed.joined():
        main()
