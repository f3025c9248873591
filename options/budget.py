"""A time budget: how many epochs of training this machine does in it."""

import time
from argparse import Namespace

from torch.utils.data import default_collate

from data import create_dataset
from models import create_model
from models.batch_size import with_batch_size
from util import distributed

TIMED_STEPS = 3
RESERVE = 0.93  # of the time that is left: checkpoints, pages, and a machine that has other things to do


def scaled_epochs(opt: Namespace) -> dict[str, int]:
    """The options that count epochs, all scaled by one factor so that training takes `opt.budget` seconds.

    A model is made, takes a few steps of each phase, and is thrown away. What this takes, with all that the data need
    to be read, is part of the budget.
    """
    started, seconds = time.monotonic(), 0.0
    model = create_model(opt)
    for phase in model.phases():
        dataset = create_dataset(phase.opt)
        dataset.preload()
        phase = with_batch_size(model, phase, dataset, None)
        model.start_phase(phase)
        model.start_epoch(phase.epochs.start)
        size = min(phase.opt.batch_size, len(dataset))
        steps = []
        for step in range(1 + TIMED_STEPS):  # the first one is slower than all others
            began = time.monotonic()
            model.optimize_parameters(default_collate([dataset[index, (step, index)] for index in range(size)]))
            steps.append(time.monotonic() - began)
        seconds += min(steps[1:]) * len(dataset) / size * len(phase.epochs)
    left = max(opt.budget - (time.monotonic() - started), 0) * RESERVE
    slowest = distributed.largest(round(1000 * seconds)) / 1000
    factor = left / slowest if slowest else 0.0
    return {name: max(round(getattr(opt, name) * factor), 1) for name in model.epoch_options if getattr(opt, name) > 0}
