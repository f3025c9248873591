"""Losses of adversarial training on predictions at several scales.

A prediction is a list over scales, each a list of activations of which the last is the verdict, as
`MultiScaleDiscriminator` gives it. Sums go over scales, as published, not means.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

GAN_MODES = ("ls", "original", "hinge")
FEW = 0.01
"""Share of pixels of a kind below which they do not count for more."""


def verdict_loss(prediction: list[list[Tensor]], real: bool, mode: str = "ls", for_generator: bool = False) -> Tensor:
    """How far the verdicts are from `real` (or fake), summed over scales.

    Args:
        prediction: of a discriminator.
        real: what they should say.
        mode: `ls` (least squares, as published), `original` (binary cross entropy of logits), `hinge`.
        for_generator: whether the generator is to be trained by it, which only matters for `hinge`.
    """
    return torch.stack([_loss(_full(activations[-1]), real, mode, for_generator) for activations in prediction]).sum()


def _loss(verdict: Tensor, real: bool, mode: str, for_generator: bool) -> Tensor:
    if mode == "ls":
        return (verdict - 1 if real else verdict).square().mean()
    if mode == "original":
        return F.softplus(-verdict if real else verdict).mean()
    if for_generator:
        return -verdict.mean()
    return F.relu(1 - verdict if real else 1 + verdict).mean()


def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]], num_D: int, n_layers: int) -> Tensor:
    """Mean absolute difference of the hidden activations, weighted as in pix2pixHD: 4 / (n_layers + 1) / num_D.

    Args:
        fake: prediction for what was made.
        real: prediction for the real thing; no gradient goes there.
        num_D: number of scales that the weights are divided by.
        n_layers: stride-2 layers of the discriminators.
    """
    weight = 4 / (n_layers + 1) / num_D
    pairs = [pair for ones, others in zip(fake, real) for pair in zip(ones[:-1], others[:-1])]
    return weight * torch.stack([mean_difference(_full(one), _full(other.detach())) for one, other in pairs]).sum()


def mean_difference(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference of features [B, C, H, W], whose gradient lies in memory as they do.

    That of torch's `mean` lies with channels first, and whatever is computed of both then takes up to thirty times as
    long.
    """
    return (x - y).abs().sum() / x.numel()


def even_weights(kinds: Tensor) -> Tensor:
    """Weights of pixels with which all kinds of them count alike, however many there are of each.

    Else what is faint, small or seldom at a place, as a shadow or an eye, is best left out by who is judged pixel by
    pixel.

    Args:
        kinds: bool [..., K, H, W], which kind a pixel is of; kinds that are not there do not matter.

    Returns:
        [..., 1, H, W], 1 on average where no kind is rarer than `FEW`.
    """
    counted = kinds.float()
    share = counted.mean([i for i in range(kinds.ndim) if i != kinds.ndim - 3], keepdim=True)
    return (counted / share.clamp(min=FEW)).sum(-3, keepdim=True) / share.count_nonzero()


def masked_l1(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Mean over all elements, also those outside, of |mask x - mask y|."""
    return (x * mask - y * mask).abs().mean()


def _full(x: Tensor) -> Tensor:
    """Losses are computed in 32 bits at least, also of what --amp computed in 16."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
