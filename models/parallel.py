"""Networks that are spread over GPUs or processes, and normalisation that fits to it (see `util/distributed.py`)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parallel import DistributedDataParallel

from util import distributed


def spread(network: nn.Module, gpu_ids: list[int], statistics: str) -> nn.Module:
    """`network` for training steps to call: one of several processes' (torchrun), or spread over several GPUs.

    Args:
        gpu_ids: of this process; none: the CPU.
        statistics: what batch normalisation takes, where processes share the batch: that of the whole batch
            ("synchronised"), or that of each one's share ("per_process").
    """
    if distributed.count() == 1:
        return nn.DataParallel(network, gpu_ids) if len(gpu_ids) > 1 else network
    if statistics == "synchronised":
        synchronise_batch_norms(network, on_gpu=bool(gpu_ids))
        synchronise_instance_norms(network)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return network
    replica = DistributedDataParallel(network, device_ids=gpu_ids or None, gradient_as_bucket_view=True)
    replica.broadcast_buffers = False  # before every call, which may stand between another and its backward pass
    return replica


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Let `network` run without any trace: no gradients, no change of the running statistics of its normalisation.

    Its statistics are those of the batch, also where it trains on shares of a batch: nothing waits for other processes.
    """
    norms = [m for m in network.modules() if isinstance(m, _NormBase) and m.training]
    kept = [(norm.training, norm.track_running_stats, norm.running_mean, norm.running_var) for norm in norms]
    try:
        for norm in norms:  # out of training and without running statistics, those of the batch are taken
            norm.training, norm.track_running_stats, norm.running_mean, norm.running_var = False, False, None, None
        with torch.no_grad():
            yield
    finally:
        for norm, (training, tracks, mean, variance) in zip(norms, kept):
            norm.training, norm.track_running_stats, norm.running_mean, norm.running_var = (
                training, tracks, mean, variance)


def synchronise_batch_norms(network: nn.Module, on_gpu: bool) -> None:
    """Let every batch normalisation in `network` take the whole batch's statistics; parameters and buffers stay."""
    kind = nn.SyncBatchNorm if on_gpu else CpuSyncBatchNorm
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm) and not isinstance(child, kind):
            norm = kind(child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats)
            norm.weight, norm.bias = child.weight, child.bias
            norm.running_mean, norm.running_var = child.running_mean, child.running_var
            norm.num_batches_tracked = child.num_batches_tracked
            network.add_module(name, norm.train(child.training))
        else:
            synchronise_batch_norms(child, on_gpu)


def synchronise_instance_norms(network: nn.Module) -> None:
    """Let the running statistics of every instance normalisation in `network` be those of the whole batch.

    They are means over items, so processes average them. Without: those of the first process's share are saved.
    """
    for norm in network.modules():
        if isinstance(norm, _InstanceNorm) and _average_running_statistics not in norm._forward_hooks.values():
            norm.register_forward_hook(_average_running_statistics)


@torch.no_grad()
def _average_running_statistics(norm: _InstanceNorm, _inputs: tuple, _output: Tensor) -> None:
    if norm.training and norm.running_mean is not None and norm.running_var is not None:
        both = torch.stack((norm.running_mean, norm.running_var))
        dist.all_reduce(both)
        norm.running_mean, norm.running_var = (mean.clone() for mean in both / distributed.count())


class _Sum(torch.autograd.Function):
    """Sum over the processes. Every process's result depends on every one's argument, so gradients are summed too."""

    @staticmethod
    def forward(_context, x: Tensor) -> Tensor:
        whole = x.clone()
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(_context, gradient: Tensor) -> Tensor:
        return _Sum.forward(_context, gradient)


class CpuSyncBatchNorm(_BatchNorm):
    """What `nn.SyncBatchNorm` is on GPUs, on CPUs. All processes must have shares of the same size.

    Attributes:
        copies: the input stands for this many copies of itself, as for `models.lnr_networks.BatchNorm`.
    """

    copies = 1
    momentum: float
    running_mean: Tensor  # these three are there where statistics are tracked
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] to the same shape."""
        if not self.training:
            return super().forward(x)
        own_variance, own_mean = torch.var_mean(x.float(), [0, *range(2, x.dim())], correction=0)
        mean = _Sum.apply(own_mean) / distributed.count()
        variance = _Sum.apply(own_variance + (own_mean - mean).square()) / distributed.count()
        if self.track_running_stats:
            self._track(mean, variance, distributed.count() * self.copies * x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt() * (self.weight if self.affine else 1)
        shift = (self.bias if self.affine else 0) - mean * scale
        shape = (1, -1, *[1] * (x.dim() - 2))
        return (x * scale.view(shape) + shift.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, n: int) -> None:
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * n / (n - 1), self.momentum)

    def _check_input_dim(self, x: Tensor) -> None:
        pass
