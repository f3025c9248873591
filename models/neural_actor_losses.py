"""Losses of Neural Actor, on rays."""

from torch import Tensor


def colour_loss(colours: Tensor, wanted: Tensor, absolute: bool = False) -> Tensor:
    """Mean over rays of the squared (or absolute) error of colours [..., 3], summed over channels."""
    error = colours - wanted
    return (error.abs() if absolute else error.square()).sum(-1).mean()


def alpha_loss(missed: Tensor) -> Tensor:
    """Mean over rays of log(1 + m (1 - m) / 0.11): small where a ray surely meets something, or surely nothing."""
    return (missed * (1 - missed) / 0.11).log1p().mean()
