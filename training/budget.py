"""A time budget: how many epochs of training this machine does in it."""

import time
from argparse import Namespace

from data.base_dataset import BaseDataset
from data.loading import create_dataset
from data.sampler import ItemKey
from models import create_model
from models.base_model import BaseModel, Phase
from training.batch_size import with_batch_size
from util import distributed

TIMED_STEPS = 3
RESERVE = 0.93  # of the time that is left: checkpoints, pages, and a machine that has other things to do


def within_budget(opt: Namespace) -> Namespace:
    """A copy of the options whose epochs fit into --budget; the options themselves where there is none.

    A run that goes on keeps the epochs that were planned when it began.
    """
    if opt.budget is None or opt.continue_train:
        return opt
    scaled = scaled_epochs(opt)
    print(f"--budget: in {opt.budget:g} s this machine does "
          + (", ".join(f"{name} {getattr(opt, name)} -> {value}" for name, value in scaled.items())
             or "nothing, for there is nothing to train"))
    return Namespace(**{**vars(opt), **scaled})


def scaled_epochs(opt: Namespace) -> dict[str, int]:
    """The options that count epochs, scaled so that training takes `opt.budget` seconds.

    Brief phases stay as they are, unless they would take more than half of it; all others are scaled by one factor. A
    model is made, takes a few steps of each phase, and is thrown away. What this takes, with all that the data need to
    be read, is part of the budget.
    """
    started, seconds = time.monotonic(), {True: 0.0, False: 0.0}
    model = create_model(opt)
    for phase in model.phases():
        dataset = create_dataset(phase.opt)
        dataset.preload()
        phase = with_batch_size(model, phase, dataset, None)
        model.start_phase(phase)
        seconds[phase.brief] += seconds_of(model, phase, dataset)
    left = max(opt.budget - (time.monotonic() - started), 0) * RESERVE
    left = distributed.smallest(round(1000 * left)) / 1000  # as seen by the slowest process: all must plan alike
    brief, scaled = (distributed.largest(round(1000 * seconds[kind])) / 1000 for kind in (True, False))
    brief_factor = min((left / 2 if scaled else left) / brief, 1) if brief else 0.0
    factor = (left - brief_factor * brief) / scaled if scaled else 0.0
    return {name: max(round(getattr(opt, name) * by), 1)
            for names, by in ((model.brief_epoch_options, brief_factor), (model.epoch_options, factor))
            for name in names if getattr(opt, name) > 0}


def seconds_of(model: BaseModel, phase: Phase, dataset: BaseDataset) -> float:
    """What a phase will take, by a few steps of its first epoch, and of its last one where items have grown by then."""
    first, last = phase.epochs[0], phase.epochs[-1]
    epochs = [first] if sizes(dataset, first) == sizes(dataset, last) else [first, last]
    size = min(phase.opt.batch_size, len(dataset))
    means = []
    for epoch in epochs:
        model.start_epoch(epoch)
        steps = []
        for step in range(1 + TIMED_STEPS):  # the first one is slower than all others
            began = time.monotonic()
            model.optimize_parameters(dataset.collate([dataset[ItemKey(i, epoch, step)] for i in range(size)]))
            steps.append(time.monotonic() - began)
        means.append(min(steps[1:]))
    return sum(means) / len(means) * -(-len(dataset) // size) * len(phase.epochs)


def sizes(dataset: BaseDataset, epoch: int) -> dict[str, tuple]:
    """Shapes of what an item holds in an epoch."""
    return {name: tuple(value.shape) for name, value in dataset.item(0, None, epoch).items() if hasattr(value, "shape")}
