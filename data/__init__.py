"""Datasets by name, and batches of them.

A dataset mode `NAME` is a file `data/NAME_dataset.py` with one subclass of `BaseDataset` in it; `--dataset_mode NAME`
finds it there.
"""

import os
import signal
from collections.abc import Iterator

import numpy as np
from torch.utils.data import DataLoader, Sampler

from data.base_dataset import BaseDataset
from util import distributed
from util.errors import UserError
from util.plugins import find_class


def find_dataset(mode: str) -> type[BaseDataset]:
    """The dataset class of `--dataset_mode mode`.

    Raises:
        UserError: there is none.
    """
    return find_class("data", f"{mode}_dataset", BaseDataset, option="--dataset_mode", name=mode)


def create_dataset(opt) -> BaseDataset:
    """The dataset that the options name, checked and ready to be read."""
    return find_dataset(opt.dataset_mode)(opt)


class TrainingBatches(Sampler):
    """Every batch of a training phase, in an order that depends on nothing but the seed.

    Epoch e visits all items once, in a random order; the last batch of an epoch may be smaller. Items are named by
    (index, seed of their augmentation), so a run that is continued at any batch sees what it would have seen.

    Processes that train together see the batches that one would see: each has an equal, contiguous share of every
    batch. A batch that cannot be shared equally is filled up with items of its own.

    Args:
        size: number of items.
        batch_size: items per batch, of all processes together.
        seed: first component of every seed.
        shuffle: visit items in random order.
        epochs: the epochs to go through, in order.
        skip: items of the first epoch to leave out.
        rank: number of this process, from 0.
        processes: their number.
    """

    def __init__(self, size: int, batch_size: int, seed: int, shuffle: bool, epochs: range, skip: int = 0,
                 rank: int = 0, processes: int = 1):
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.epochs, self.skip = epochs, skip
        self.rank, self.processes = rank, processes

    def __iter__(self) -> Iterator[list[tuple[int, tuple[int, int, int]]]]:
        skip = self.skip
        for epoch in self.epochs:
            order = np.arange(self.size)
            if self.shuffle:
                np.random.default_rng((self.seed, epoch)).shuffle(order)
            for start in range(skip, self.size, self.batch_size):
                share = self.share(order[start:start + self.batch_size])
                yield [(int(i), (self.seed, epoch, int(i))) for i in share]
            skip = 0

    def share(self, batch: np.ndarray) -> np.ndarray:
        """What this process takes of a batch."""
        length = -(-len(batch) // self.processes)
        return np.resize(batch, length * self.processes)[self.rank * length:(self.rank + 1) * length]

    @property
    def batches_per_epoch(self) -> int:
        """Batches of a whole epoch."""
        return -(-self.size // self.batch_size)

    def __len__(self) -> int:
        return (len(self.epochs) - 1) * self.batches_per_epoch - (self.skip - self.size) // self.batch_size


def create_training_loader(dataset: BaseDataset, opt, epochs: range, skip: int = 0) -> DataLoader:
    """Batches of all `epochs` in one go, so that the workers never stop between two of them.

    Raises:
        UserError: there are no more than `skip` items.
    """
    if skip >= len(dataset):
        raise UserError(f"--continue_train: the run stopped after {skip} items of an epoch, which has {len(dataset)}; "
                        "expected the data that it was begun with")
    sampler = TrainingBatches(len(dataset), opt.batch_size, opt.seed, not opt.serial_batches, epochs, skip,
                              distributed.rank(), distributed.count())
    workers = min(opt.num_threads, max(1, (os.cpu_count() or 1) // distributed.count_on_this_machine()))
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers, pin_memory=bool(opt.gpu_ids),
                      worker_init_fn=_leave_signals_to_the_main_process)


def create_test_loader(dataset: BaseDataset) -> DataLoader:
    """One item at a time, in order."""
    return DataLoader(dataset, batch_size=1, shuffle=False)


def _leave_signals_to_the_main_process(_worker: int) -> None:
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C on a terminal, and torchrun, send their signals to the whole process group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
