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


def bf16_pays(gpu_ids: list[int]) -> bool:
    """Whether what computes is known to be no slower in bfloat16 than in 32-bit floats; x86 processors without
    instructions for it, as most laptops have, convolve two to several times slower in it."""
    known: dict = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not know
    names = [name for name in ("avx512_bf16", "amx_bf16", "avx_ne_convert") if name in known]
    return bool(gpu_ids) or not names or any(known[name] for name in names)
