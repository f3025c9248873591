"""Which batch size fits into memory: --batch_size auto, and what to say when memory runs out.

On a GPU steps are tried; on the CPU, where a program that takes too much is killed, a model's `cost` decides. Nothing
here knows what a model computes.
"""

import copy
import os
import traceback
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from data.base_dataset import BaseDataset
from data.sampler import ItemKey
from models.base_model import BaseModel, Phase
from util import distributed
from util.errors import UserError


def with_batch_size(model: BaseModel, phase: Phase, dataset: BaseDataset, resumed: dict | None) -> Phase:
    """The phase, with a number in place of batch size `auto`; a continued run keeps the number that it had.

    Raises:
        UserError: it cannot be found, or not even one item fits.
    """
    if phase.opt.batch_size != "auto":
        return phase
    if distributed.count() > 1:
        raise UserError(f"{phase.batch_option}: found auto with {distributed.count()} processes; expected a number")
    if resumed and resumed["phase"] == phase.name:
        size = resumed["batch_size"]
    elif model.device.type == "cuda":
        size = largest_by_trying(model, phase, dataset, model.largest_auto_batch)
    else:
        size = largest_by_cost(model, phase, dataset, model.largest_auto_batch)
    if not size:
        raise UserError(f"{phase.batch_option}: found auto, but not even one item fits into memory; use "
                        f"{model.to_save_memory}")
    print(f"{phase.name}: {phase.batch_option} {size} fits into memory")
    return replace(phase, opt=Namespace(**{**vars(phase.opt), "batch_size": size}))


def largest_by_trying(model: BaseModel, phase: Phase, dataset: BaseDataset, most: int) -> int:
    """The largest of 1, 2, 4, ... items, up to `most`, whose training step fits into memory; 0: none.

    Afterwards networks and the model's other state are as before; `start_phase` must follow.
    """
    networks = {name: copy.deepcopy(network.state_dict()) for name, network in model.networks.items()}
    extra, scaler, fits, size = copy.deepcopy(model.extra_state()), model.scaler.state_dict(), 0, 1
    optimizers, model.optimizers = model.optimizers, {}  # of the phase before: some may go on in this one
    while size <= min(most, len(dataset)) and _fits(
            model, phase, dataset.collate([largest_item(phase, dataset, i) for i in range(size)])):
        fits, size = size, 2 * size
    model.optimizers = optimizers
    model.scaler = torch.amp.GradScaler(model.device.type, enabled=model.scaler.is_enabled())  # it may have stopped
    model.scaler.load_state_dict(scaler)  # between a step's halves
    for name, network in model.networks.items():
        network.load_state_dict(networks[name])
    model.load_extra_state(extra)
    return fits


def largest_by_cost(model: BaseModel, phase: Phase, dataset: BaseDataset, most: int) -> int:
    """The same by what the model says that a step costs, and the memory that is free.

    Raises:
        UserError: the model does not say it.
    """
    fits, size = 0, 1
    while size <= min(most, len(dataset)):
        cost = model.cost(phase, largest_item(phase, dataset), len(dataset), size)
        if cost is None:
            raise UserError(f"{phase.batch_option}: found auto; expected a number, as --model {model.opt.model} does "
                            "not say what a step costs")
        if cost.gib > free_gib(model.device):
            break
        fits, size = size, 2 * size
    return fits


def largest_item(phase: Phase, dataset: BaseDataset, index: int = 0) -> dict:
    """An item as training sees it at the end of the phase, when it may have grown."""
    return dataset[ItemKey(index, phase.epochs[-1], phase.opt.seed)]


def estimate(model: BaseModel, phase: Phase, dataset: BaseDataset) -> str:
    """What a phase will cost, in words, as far as that is known before its first step."""
    size = min(phase.opt.batch_size, len(dataset))
    text = f"{phase.name}: {len(phase.epochs)} epochs of {len(dataset)} items in batches of {size}"
    cost = model.cost(phase, largest_item(phase, dataset), len(dataset), size)
    if cost is None:
        return text
    needed, free = cost.gib, free_gib(model.device)
    advice = f"; that may not fit, a smaller {phase.batch_option} would" if needed > free else ""
    hours = len(phase.epochs) * cost.cpu_seconds / 3600
    time = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
    return (f"{text}: about {needed:.1f} GiB of memory ({free:.1f} are free){advice}; roughly {time} on two CPU cores, "
            "to be measured from the first step on")


@contextmanager
def out_of_memory_explained(model: BaseModel, phase: Phase, dataset: BaseDataset) -> Iterator[None]:
    """When a GPU's memory runs out, find the batch size that would fit, and end with one line that names it."""
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # they hold what filled the memory
    size, model.optimizers = phase.opt.batch_size, {}
    fits = largest_by_trying(model, phase, dataset, size - 1) if distributed.count() == 1 else 0
    remedy = f"{fits} fits: --continue_train {phase.batch_option} {fits}" if fits else (
        f"use a smaller one ({phase.batch_option}), or {model.to_save_memory}")
    raise UserError(f"{phase.name}: out of memory with batches of {min(size, len(dataset))}; {remedy}")


def free_gib(device: torch.device) -> float:
    """Memory that a program can still have, in GiB: of the GPU, or of this machine and its control group."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 2**30
    known = [line.split() for line in _text("/proc/meminfo").splitlines()]
    free = [int(words[1]) * 1024 for words in known if words[0] == "MemAvailable:"]
    limit, used = (_text(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if limit.isdecimal() and used.isdecimal():
        free.append(int(limit) - int(used))
    if not free and hasattr(os, "sysconf"):
        free.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(free, default=0) / 2**30


def _fits(model: BaseModel, phase: Phase, batch: dict) -> bool:
    """Whether two steps on a batch fit: optimisers take their own memory at the end of the first."""
    try:
        model.start_phase(phase)
        model.start_epoch(phase.epochs[-1])
        for _ in range(2):
            model.optimize_parameters(batch)
        return True
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)
    finally:
        model.optimizers = {}
        if model.device.type == "cuda":
            torch.cuda.empty_cache()
    return False


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
