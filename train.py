"""Train a model.

    python train.py --name my_run --dataroot datasets/my_clip

The model says which phases its training has; each has its own data and optimisers. Progress is on the console, in
checkpoints/<name>/web/index.html, and in visdom where one is running. Ctrl-C saves and stops; python train.py --name
my_run --continue_train goes on, however the run ended (docs/reliability.md). With --export the run is exported when it
has been trained, as by test.py.
Several processes share each batch where torchrun starts them: torchrun --nproc_per_node 2 train.py ... (docs/scale.md).
"""

from util import loading_torch  # noqa: F401 (before all that loads it)

# isort: split
import random
import shlex
import sys
import time
from contextlib import closing

import numpy as np
import torch

from data.base_dataset import BaseDataset
from data.loading import create_dataset, create_training_loader, resolved
from models import create_model
from models.base_model import BaseModel, Phase
from models.schedules import Progress
from options.train_options import TrainOptions
from training.batch_size import estimate, out_of_memory_explained, with_batch_size
from training.budget import within_budget
from training.exporting import export_trained
from training.run import Position, TrainingRun
from util import distributed
from util.allocator import keep_freed_memory
from util.errors import UserError, reported_in_one_line
from util.interruption import StopRequest
from util.tensors import to_pixels
from util.visualizer import NoVisualizer, Visualizer


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says; exit with the number of the signal that stopped it, if one did."""
    keep_freed_memory()
    options = TrainOptions()
    stopped_by = train(options, options.parse(argv))
    if stopped_by:
        sys.exit(stopped_by)


def train(options: TrainOptions, opt) -> int:
    """Train as `opt` says, which `options` parsed; returns 0, or the exit status of the signal that stopped it."""
    if opt.export and distributed.count() > 1:
        raise UserError(f"--export: found with {distributed.count()} processes; expected one. Leave it out, and export "
                        "with test.py when the run has been trained")
    opt = resolved(opt)
    with closing(TrainingRun(opt, options.deciding)) as run:
        stopped_by = train_run(run, options, within_budget(opt))
    if opt.export and not stopped_by:
        print(f"results: {export_trained(opt) / 'index.html'}")
    return stopped_by


def train_run(run: TrainingRun, options: TrainOptions, opt) -> int:
    """Train all phases of a run that is this process's; returns what `train` does."""
    text = options.as_text(opt)
    print(text)
    seed_everything(opt.seed)
    model = create_model(opt)
    model.print_networks(opt.verbose)
    position, resumed = run.begin(model)
    phases = [phase for phase in model.phases() if phase.epochs.stop > position.epoch]
    if opt.continue_train and not phases:
        print(f"nothing left to train: {position.epoch - 1} epochs are done; ask for more with --n_epochs")
        return 0
    datasets = [create_dataset(phase.opt) for phase in phases]  # all, so that mistakes show before the first step
    if not phases:
        create_dataset(opt).preload(keep=False)  # whose mistakes show here, and not when it is exported
    shown = Visualizer(opt, model.captions, model.log_line) if distributed.rank() == 0 else NoVisualizer()
    run.save_options(opt, text)
    with StopRequest() as stop, shown as visualizer:
        for phase in phases:  # a phase's images leave memory when it ends
            position = train_phase(model, phase, datasets.pop(0), run, position, resumed, visualizer, stop)
            if stop.asked() and position.epoch < phases[-1].epochs.stop:
                print(f"stopped and saved in epoch {position.epoch}; --continue_train goes on from there")
                return stop.exit_status
        if not phases:
            run.save(model, position)
            further = "" if opt.export else f"; export it with: python test.py --name {shlex.quote(opt.name)}"
            print(f"nothing to train, saved as it is{further}")
    return 0


def train_phase(model: BaseModel, phase: Phase, dataset: BaseDataset, run: TrainingRun, position: Position,
                resumed: dict | None, visualizer: Visualizer | NoVisualizer, stop: StopRequest) -> Position:
    """Train from `position` to the end of a phase, or until a stop is asked for; returns where the run stands."""
    dataset.preload()
    phase = with_batch_size(model, phase, dataset, resumed)
    seed_everything(phase.opt.seed, phase.epochs.start)
    run.start_phase(model, phase, resumed)
    position = max(position, Position(phase.epochs.start))
    run.save(model, position)  # from now on there is something to continue
    epochs = range(position.epoch, phase.epochs.stop)
    loader = create_training_loader(dataset, phase.opt, epochs, skip=position.items)
    batches, steps = iter(loader), len(phase.epochs) * len(range(0, len(dataset), phase.opt.batch_size))
    done = steps - len(loader)
    preview = dataset.collate([dataset.item(len(dataset) // 2, None, phase.epochs.start)])
    print(estimate(model, phase, dataset), flush=True)
    visualizer.start_phase(phase.name, total_steps=steps, done_steps=done, epoch=position.epoch)
    with out_of_memory_explained(model, phase, dataset):
        for epoch in epochs:
            model.start_epoch(epoch)
            for items in range(position.items, len(dataset), phase.opt.batch_size):
                position, stopping = Position(epoch, items), stop.asked()
                if stopping or time.monotonic() - run.saved_at > 60 * phase.opt.save_latest_minutes:
                    run.save(model, position)
                if stopping:
                    return position
                seed_everything(phase.opt.seed, epoch, items)
                model.set_learning_rates(Progress(epoch, done, steps))
                losses = distributed.average(model.optimize_parameters(next(batches)))
                run.check_losses(losses, position, phase)
                visualizer.step(epoch, losses, min(items + phase.opt.batch_size, len(dataset)))
                done += 1
            model.end_epoch(epoch, losses)
            position, is_last = Position(epoch + 1), epoch == epochs[-1]
            visualizer.end_epoch(epoch, is_last, lambda: pictures(model, preview))
            if is_last or epoch % phase.opt.save_latest_freq == 0:
                run.save(model, position, model.epoch_label.format(epoch=epoch) if phase.opt.save_by_epoch else None)
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
