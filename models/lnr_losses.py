"""Loss terms of the layered neural renderer, as pure functions of tensors."""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor


def reconstruction_loss(reconstruction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of colours, reconstruction [B, 3 or 4, H, W] and target [B, 3, H, W]: a scalar."""
    return (reconstruction[:, :3] - target).abs().mean()


def alpha_regularization(alpha: Tensor, lambda_l1: float, lambda_l0: float) -> Tensor:
    """Push alpha towards 0 and, by an approximate L0 norm, towards few non-zero pixels (paper, equation 5).

    Args:
        alpha: any shape, in [0, 1]: the composite's alpha.
        lambda_l1: weight of mean(alpha).
        lambda_l0: weight of mean(2 sigmoid(5 alpha) - 1).

    Returns:
        scalar, weighted.
    """
    loss = alpha.new_zeros(())
    if lambda_l1 > 0:
        loss = loss + lambda_l1 * alpha.mean()
    if lambda_l0 > 0:
        loss = loss + lambda_l0 * (2 * (torch.sigmoid(5 * alpha) - 0.5)).mean()
    return loss


def mask_loss(alpha: Tensor, trimap: Tensor, reduce_sum: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
    """The mask loss that bootstraps the mattes: mean absolute difference of alpha and trimap (paper, equation 4).

    Foreground and background are balanced.

    Args:
        alpha: [B, L, H, W] in [-1, 1].
        trimap: [B, L, H, W]: +1 foreground, -1 background, soft values count by their sign; 0 (unknown) is left out.
        reduce_sum: adds a sum up over all that share the batch, as `util.distributed.sum_over_processes` does.

    Returns:
        scalar, unweighted.
    """
    difference = (alpha - trimap).abs()
    foreground, background = (trimap > 0).to(alpha.dtype), (trimap < 0).to(alpha.dtype)
    return 0.5 * (reduce_sum((difference * foreground).sum()) / (1 + reduce_sum(foreground.sum()))
                  + reduce_sum((difference * background).sum()) / (1 + reduce_sum(background.sum())))


def prior_loss(alpha: Tensor, prior: Tensor, transmittance: Tensor,
               reduce_sum: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
    """Mean absolute difference of alpha and what it is expected to be, over three classes of pixels that count alike.

    The classes are people (expected above 0.9), effects (shadows, reflections) and nothing (below 0.03): without the
    balance it would be best to leave out what is rare.

    Args:
        alpha: [B, L, H, W] in [0, 1].
        prior: [B, L, H, W] in [0, 1], what is expected.
        transmittance: [B, L, H, W] in [0, 1], of what is in front of a layer: behind another one all is allowed.
        reduce_sum: as in `mask_loss`.

    Returns:
        scalar, unweighted.
    """
    difference = (alpha - prior).abs()
    solid, nothing = prior > 0.9, prior < 0.03
    parts = [(where * transmittance) for where in (solid, ~solid & ~nothing, nothing)]
    means = [reduce_sum((difference * part).sum()) / (1 + reduce_sum(part.sum())) for part in parts]
    return reduce(torch.add, means) / len(means)
