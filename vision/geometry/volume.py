"""Volume rendering: colours of rays from densities and colours of samples along them."""

from typing import NamedTuple

from torch import Tensor


class Rendered(NamedTuple):
    """What rays meet.

    Attributes:
        probabilities: [R, S], that of each sample to be what the ray ends at.
        colour: [R, 3], without the background.
        depth: [R], likewise.
        missed: [R], the probability that the ray meets nothing: what of the background shows.
    """

    probabilities: Tensor
    colour: Tensor
    depth: Tensor
    missed: Tensor


def optical_thickness(density: Tensor, lengths: Tensor, noise: Tensor | float = 0.0) -> Tensor:
    """How much samples absorb, from raw densities; what is below 0 (after noise) is empty."""
    return (density + noise).relu() * lengths


def rendered(thickness: Tensor, colours: Tensor, depths: Tensor) -> Rendered:
    """Put samples together, front to back.

    Args:
        thickness: [R, S].
        colours: [R, S, 3].
        depths: [R, S].
    """
    before = thickness.cumsum(-1) - thickness
    probabilities = (1 - (-thickness).exp()) * (-before).exp()
    return Rendered(probabilities, (probabilities[..., None] * colours).sum(-2), (probabilities * depths).sum(-1),
                    1 - probabilities.sum(-1))
