"""Datasets by name, and batches of them.

A dataset mode `NAME` is a file `data/NAME_dataset.py` with one subclass of `BaseDataset` in it; `--dataset_mode NAME`
finds it there.
"""

import os
import signal
from argparse import Namespace

from torch.utils.data import DataLoader

from data.base_dataset import BaseDataset
from data.sampler import TrainingBatches
from util import distributed
from util.errors import UserError
from util.plugins import find_class, known_names


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
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers, pin_memory=bool(opt.gpu_ids),
                      collate_fn=dataset.collate, worker_init_fn=_leave_signals_to_the_main_process)


def create_test_loader(dataset: BaseDataset) -> DataLoader:
    """One item at a time, in order."""
    return DataLoader(dataset, batch_size=1, shuffle=False, collate_fn=dataset.collate)


def _leave_signals_to_the_main_process(_worker: int) -> None:
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C on a terminal, and torchrun, send their signals to the whole process group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
