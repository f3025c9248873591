"""A time budget: how many epochs of training this machine does in it."""

import time
from argparse import Namespace

from torch.utils.data import default_collate

from data.loading import create_dataset
from models import create_model
from training.batch_size import with_batch_size
from util import distributed

TIMED_STEPS = 3
RESERVE = 0.93  # of the time that is left: checkpoints, pages, and a machine that has other things to do


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
        model.start_epoch(phase.epochs.start)
        size = min(phase.opt.batch_size, len(dataset))
        steps = []
        for step in range(1 + TIMED_STEPS):  # the first one is slower than all others
            began = time.monotonic()
            model.optimize_parameters(default_collate([dataset[index, (step, index)] for index in range(size)]))
            steps.append(time.monotonic() - began)
        seconds[phase.brief] += min(steps[1:]) * -(-len(dataset) // size) * len(phase.epochs)
    left = max(opt.budget - (time.monotonic() - started), 0) * RESERVE
    brief, scaled = (distributed.largest(round(1000 * seconds[kind])) / 1000 for kind in (True, False))
    brief_factor = min((left / 2 if scaled else left) / brief, 1) if brief else 0.0
    factor = (left - brief_factor * brief) / scaled if scaled else 0.0
    return {name: max(round(getattr(opt, name) * by), 1)
            for names, by in ((model.brief_epoch_options, brief_factor), (model.epoch_options, factor))
            for name in names if getattr(opt, name) > 0}
