"""Learning rates over a training run: each optimiser's is its first one times a function of the progress."""

import math
from argparse import Namespace
from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a run is, before one of its steps.

    Attributes:
        epoch: counts from 1 through all phases.
        step: steps of the phase that are done.
        total: steps of the whole phase.
    """

    epoch: int
    step: int = 0
    total: int = 1


Schedule = Callable[[Progress], float]
"""What a learning rate is multiplied with; it may depend on nothing else, so that a continued run needs no state."""


def by_epoch(opt: Namespace, epochs: range) -> Schedule:
    """The schedule that --lr_policy names, over the epochs of one phase.

    linear: 1, then over the last --n_epochs_decay epochs linearly towards zero; step: a tenth every --lr_decay_iters
    epochs; cosine: from 1 to 0 along half a cosine. (plateau depends on the losses, not on this.)
    """
    def factor(progress: Progress) -> float:
        done, length = progress.epoch - epochs.start, len(epochs)
        if opt.lr_policy == "linear":
            constant = length - opt.n_epochs_decay
            return 1 - max(0, done + 1 - constant) / (opt.n_epochs_decay + 1)
        if opt.lr_policy == "step":
            return 0.1 ** (done // opt.lr_decay_iters)
        if opt.lr_policy == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done / length))
        return 1.0
    return factor
