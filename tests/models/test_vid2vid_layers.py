"""Layers as they are shown: shadows that do not jump."""

import pytest
import torch
from torch import Tensor

from models.vid2vid_layers import KEPT, steadied

PERSON, SHADOW = slice(4, 12), slice(12, 30)  # columns


def layer_with(shadow: float, at: int = 0) -> Tensor:
    """A person with a shadow of this alpha to her right, premultiplied: [1, 4, 16, 48], so far from the left."""
    layer = torch.full((1, 4, 16, 48), -1.0)
    layer[:, 3, 10:, at + SHADOW.start:at + SHADOW.stop] = 2 * shadow - 1
    layer[..., at + PERSON.start:at + PERSON.stop] = torch.tensor([0.2, -0.3, 0.6, 1.0])[:, None, None]
    return layer


@pytest.mark.parametrize("step", [0, 1, -2])
def test_a_shadow_that_walks_with_her_stays_as_it_is(step):
    before, now = layer_with(0.4, 8), layer_with(0.4, 8 + step)
    torch.testing.assert_close(steadied(now, before), now, atol=1e-5, rtol=0)


def test_a_shadow_that_jumps_comes_by_and_by():
    shown = layer_with(0.0)
    for k in range(1, 4):
        shown = steadied(layer_with(0.6), shown)
        alpha = (shown[0, 3, 12, PERSON.stop + 2:SHADOW.stop] + 1) / 2
        torch.testing.assert_close(alpha, torch.full_like(alpha, 0.6 * (1 - KEPT**k)))
        torch.testing.assert_close(shown[..., PERSON], layer_with(0.6)[..., PERSON])


def test_what_was_of_her_is_not_shown_after_her():
    before, now = layer_with(0.4), layer_with(0.4)
    before[..., 2:6, PERSON.stop:26] = 1.0  # an arm, white, which she lowers
    shown = steadied(now, before)
    beside = shown[..., PERSON.stop + 1:]
    assert (beside[:, :3] == -1).all() and (beside[:, 3, :9] == -1).all()
    torch.testing.assert_close(shown[..., 12:, PERSON.stop + 2:26], now[..., 12:, PERSON.stop + 2:26])


@pytest.mark.parametrize("now, before", [(layer_with(0.4), torch.full((1, 4, 16, 48), -1.0)),
                                         (torch.full((1, 4, 16, 48), -1.0), layer_with(0.4))])
def test_without_a_person_nothing_is_mixed(now, before):
    assert (steadied(now, before) == now).all()
