"""The order of the data in training: batches that depend on nothing but the seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True, slots=True)
class ItemKey:
    """What a dataset is asked for in training.

    Attributes:
        index: number of the item.
        epoch: in which it is seen, from 1; a clip may grow with it.
        seed: of the run; with epoch and index it decides all random numbers of the item.
    """

    index: int
    epoch: int
    seed: int

    def rng(self) -> np.random.Generator:
        """The random numbers of the item."""
        return np.random.default_rng((self.seed, self.epoch, self.index))


class TrainingBatches(Sampler):
    """Every batch of a training phase, in an order that depends on nothing but the seed.

    Epoch e visits all items once, in a random order; the last batch of an epoch may be smaller. The keys of items carry
    all that decides them, so a run that is continued at any batch sees what it would have seen.

    Processes that train together see the batches that one would see: each has an equal, contiguous share of every
    batch. A batch that cannot be shared equally is filled up with items of its own.

    Args:
        size: number of items.
        batch_size: items per batch, of all processes together.
        seed: of the run.
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

    def __iter__(self) -> Iterator[list[ItemKey]]:
        skip = self.skip
        for epoch in self.epochs:
            order = np.arange(self.size)
            if self.shuffle:
                np.random.default_rng((self.seed, epoch)).shuffle(order)
            for start in range(skip, self.size, self.batch_size):
                share = self.share(order[start:start + self.batch_size])
                yield [ItemKey(int(index), epoch, self.seed) for index in share]
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
