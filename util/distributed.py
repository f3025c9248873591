"""Several processes that train together, as torchrun starts them: on the GPUs of one machine or of several.

Without torchrun there is one process, and everything here leaves its arguments as they are. The processes share every
batch equally; what one computes from its share is made whole by averaging over all. Numbers on the CPU travel by gloo,
those on GPUs by NCCL. Nothing here knows about networks, files or options.
"""

import contextlib
import os
import sys
import zlib
from collections.abc import Iterator
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Be one of the processes that torchrun started. Only the first of them prints; all end where the block ends.

    If processes fail, the exception of the one that fails first goes on its way, and the others, which could only
    tell that they lost it, end without a word.
    """
    if not dist.is_torchelastic_launched():
        yield
        return
    store, rank, processes = next(rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=processes)
    try:
        with _mute() if rank > 0 else contextlib.nullcontext():
            yield
    except SystemExit as stop:
        _end(int(stop.code or 0))
    except BaseException:
        # The others notice when this process ends, so it must have reported by then, and must not wait for them.
        if not _is_first_failure(store):
            raise SystemExit(2) from None
        raise
    _end(0)


def _end(status: int) -> NoReturn:
    """End this process at once, without taking the group of processes apart.

    That can wait for ever: the group ends by waiting for its threads, which may just want Python's lock to give back a
    tensor (PyTorch 2.4, gloo). And DistributedDataParallel keeps the group, whose threads would meet the end of the
    interpreter; now and then that aborts, and torchrun ends the processes that are still busy (PyTorch 2.15, gloo).
    """
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()  # others may still wait for what this one sends
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def count() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def count_on_this_machine() -> int:
    """Number of processes on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def rank_on_this_machine() -> int:
    """Number of this process among those on this machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if dist.is_torchelastic_launched() else 0


def largest(number: int) -> int:
    """The largest of the numbers that the processes bring; each waits for all."""
    if count() == 1:
        return number
    value = torch.tensor(number)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


def smallest(number: int) -> int:
    """The smallest of the numbers that the processes bring; each waits for all."""
    return -largest(-number)


def all_processes(condition: bool) -> bool:
    """Whether the condition holds in all processes."""
    return largest(int(not condition)) == 0


def average(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scalars by name, averaged over the processes: the same bits everywhere, so that all decide alike.

    Raises:
        RuntimeError: the processes bring other names, which would be averaged with each other, or wait for ever.
    """
    if count() == 1:
        return values
    names = zlib.crc32(" ".join(values).encode())
    if (largest(names), smallest(names)) != (names, names):
        raise RuntimeError(f"losses differ between processes; this one has: {', '.join(values) or 'none'}")
    if not values:
        return values
    mean = torch.stack([value.detach().float() for value in values.values()])
    dist.all_reduce(mean)
    return dict(zip(values, (mean / count()).unbind()))


def sum_over_processes(x: Tensor) -> Tensor:
    """Sum of `x` over the processes, for formulas that need sums over the whole batch.

    Its gradient is such that the average over the processes, which is what DDP takes, is the gradient of the sum.
    """
    if count() == 1:
        return x
    whole, own = x.detach().clone(), count() * x
    dist.all_reduce(whole)
    return own + (whole - own.detach())


def _is_first_failure(store: dist.Store) -> bool:
    try:
        return store.add("failures", 1) == 1
    except RuntimeError:  # the machine that keeps the store is gone
        return False


@contextlib.contextmanager
def _mute() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
