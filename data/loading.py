"""Datasets by name, and batches of them.

A dataset mode `NAME` is a file `data/NAME_dataset.py` with one subclass of `BaseDataset` in it; `--dataset_mode NAME`
finds it there.
"""

import os
import signal
from argparse import Namespace

import torch
from torch.utils.data import DataLoader

from data.base_dataset import BaseDataset
from data.sampler import TrainingBatches
from util import distributed
from util.errors import UserError
from util.plugins import find_class, known_names

PLENTY = 8 << 30
"""Bytes of shared memory with which nobody asks how large a batch is."""


def find_dataset(mode: str) -> type[BaseDataset]:
    """The dataset class of `--dataset_mode mode`.

    Raises:
        UserError: there is none.
    """
    return find_class(__package__, f"{mode}_dataset", BaseDataset, option="--dataset_mode", name=mode)


def known_datasets() -> str:
    """Names of all dataset modes, for people."""
    return known_names(__package__, "_dataset")


def resolved(opt: Namespace) -> Namespace:
    """A copy of the options, with the values that the data decide.

    Raises:
        UserError: the data cannot be read.
    """
    return Namespace(**{**vars(opt), **find_dataset(opt.dataset_mode).resolve_options(opt)})


def create_dataset(opt: Namespace) -> BaseDataset:
    """The dataset that the options name, checked and ready to be read."""
    return find_dataset(opt.dataset_mode)(opt)


def create_training_loader(dataset: BaseDataset, opt: Namespace, epochs: range, skip: int = 0) -> DataLoader:
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
    workers = min(workers, workers_that_fit(dataset, opt.batch_size, epochs.start, shared_memory_left()))
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers,
                      pin_memory=bool(opt.gpu_ids) and torch.cuda.is_available(), collate_fn=dataset.collate,
                      worker_init_fn=_leave_signals_to_the_main_process)


def shared_memory_left() -> int | None:
    """Bytes that batches may take on their way from worker processes to this one; None where that is not known."""
    try:
        status = os.statvfs("/dev/shm")
    except (AttributeError, OSError):  # Windows, macOS
        return None
    return status.f_bavail * status.f_frsize // distributed.count_on_this_machine()


def workers_that_fit(dataset: BaseDataset, batch_size: int, epoch: int, left: int | None) -> int:
    """How many workers' batches shared memory has room for, as few as 64 MB in Docker; tells where that is none.

    Args:
        left: bytes.
    """
    if left is None or left > PLENTY or not len(dataset):
        return os.cpu_count() or 1
    batch = batch_size * _bytes_in(dataset.collate([dataset.item(0, None, epoch)]))
    workers = max(left // max(3 * batch, 1), 0)  # two wait with each worker, and one is on its way
    if not workers:
        print(f"/dev/shm has {left >> 20} MiB left and a batch takes {batch >> 20}: frames are read without processes "
              "of their own, which is slower. More of it: docker run --shm-size 2g")
    return workers


def _bytes_in(batch: object) -> int:
    if isinstance(batch, torch.Tensor):
        return batch.nbytes
    inner = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, list | tuple) else ()
    return sum(map(_bytes_in, inner))


def create_test_loader(dataset: BaseDataset) -> DataLoader:
    """One item at a time, in order."""
    return DataLoader(dataset, batch_size=1, shuffle=False, collate_fn=dataset.collate)


def _leave_signals_to_the_main_process(_worker: int) -> None:
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C on a terminal, and torchrun, send their signals to the whole process group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
