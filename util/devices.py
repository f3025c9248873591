"""What computes: GPUs that CUDA or ROCm know, by number; else Apple's GPU, as number 0; else the CPU."""

import torch


def gpu_count() -> int:
    """How many GPUs torch can use here."""
    return torch.cuda.device_count() or int(torch.backends.mps.is_available())


def device_of(gpu_ids: list[int]) -> torch.device:
    """The first of these GPUs (see `gpu_count`); none: the CPU."""
    if not gpu_ids:
        return torch.device("cpu")
    if torch.backends.mps.is_available() and not torch.cuda.device_count():
        return torch.device("mps")
    return torch.device("cuda", gpu_ids[0])
