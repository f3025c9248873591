"""Adam for parameters that have a row for each frame."""

import torch
from torch import Tensor


class LazyAdam(torch.optim.Optimizer):
    """Adam (Kingma and Ba, 2015) that moves frames only when it sees them.

    Of a parameter of each frame, dense Adam moves all of it in every step, by the momentum of gradients that are long
    past; with many frames and few in a batch they drift away. Here rows without gradient stay, with their moments, and
    each row counts its own steps (compare torch.optim.SparseAdam).

    Args:
        params: groups; those with `per_frame` have a row for each frame.
        betas: decay of the two moments.
    """

    def __init__(self, params, betas=(0.9, 0.999)):
        super().__init__(params, {"lr": 1e-3, "betas": betas, "eps": 1e-8, "per_frame": False})

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]  # nothing is computed again
        """One step down the gradients; `closure` is not used."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, parameter.grad, group)

    def _step(self, parameter: Tensor, gradient: Tensor, group: dict) -> None:
        state, rows = self.state[parameter], len(parameter)
        if not state:
            state |= {"steps": parameter.new_zeros(rows), "mean": torch.zeros_like(parameter),
                      "square": torch.zeros_like(parameter)}
        per_frame = (-1, *[1] * (parameter.dim() - 1))
        seen = gradient.flatten(1).any(dim=1) if group["per_frame"] else gradient.new_ones(rows, dtype=torch.bool)
        share = seen.to(gradient).view(per_frame)
        state["steps"] += seen
        first, second = group["betas"]
        state["mean"] += share * (1 - first) * (gradient - state["mean"])
        state["square"] += share * (1 - second) * (gradient.square() - state["square"])
        steps = state["steps"].clamp(min=1).view(per_frame)
        mean, square = state["mean"] / (1 - first ** steps), state["square"] / (1 - second ** steps)
        parameter -= share * group["lr"] * mean / (square.sqrt() + group["eps"])
