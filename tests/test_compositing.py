"""Each implementation of compositing against one case; WebGL's is in tests/retiming/test_editor_in_browser.py."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from evaluation import layers
from tests.compositing_case import compositing_case
from vision.layers import mattes, patches

CASE = compositing_case()
CLOSE = 2e-4  # of 255: what float32 loses


@pytest.mark.parametrize("place", [*np.ndindex(CASE.background.shape[:2])])
def test_the_case_is_what_the_definition_of_over_gives_in_exact_arithmetic(place):
    behind = [Fraction(int(value)) for value in CASE.background[place]], [Fraction(0)] * 4
    for layer in CASE.layers:
        *colour, alpha = (Fraction(int(value), 255) for value in layer[place])
        front = [255 * alpha * value for value in colour] + [alpha]
        behind = tuple([here + (1 - alpha) * there for here, there in zip(front, pixel)] for pixel in behind)
    for found, expected in zip(behind, (CASE.over_background, CASE.over_nothing)):
        assert [round(float(value), 6) for value in found] == expected[place].tolist()


def test_torch_with_gradients():
    opaque = np.dstack([CASE.background, np.full_like(CASE.background[..., :1], 255)])
    layers = torch.from_numpy(np.stack([opaque, *CASE.layers])).movedim(-1, 1)[None].float() / 127.5 - 1
    layers.requires_grad_()
    composite = mattes.composite_over(layers)[0, :3]
    assert np.abs((composite.detach().movedim(0, -1).numpy() + 1) * 127.5 - CASE.over_background).max() < CLOSE
    composite.sum().backward()
    share = layers.grad[0, :, 0].double()  # of each layer in the composite
    assert torch.allclose(share.sum(0), torch.ones_like(share[0]))
    assert np.allclose(1 - share[0].numpy(), CASE.over_nothing[..., 3], atol=1e-6)


def test_patches():
    for below, expected in ((CASE.background, CASE.over_background), (None, CASE.over_nothing)):
        canvas = np.zeros((4, *expected.shape[:2]), np.float32) if below is None else (
            np.moveaxis(below, -1, 0).astype(np.float32))
        for layer in CASE.layers:
            patches.composite_over(canvas, patches.premultiplied(0, 0, layer), 1)
        assert np.abs(np.moveaxis(canvas, 0, -1) - expected).max() < CLOSE


def premultiplied_pictures():
    layers = CASE.layers.astype(np.float32) / 255
    layers[..., :3] *= layers[..., 3:]
    return CASE.background.astype(np.float32) / 255, layers


def test_two_premultiplied_pictures():
    background, layers = premultiplied_pictures()
    for behind, expected in ((background, CASE.over_background / 255),
                             (np.zeros_like(layers[0]), CASE.over_nothing / [255, 255, 255, 1])):
        for layer in layers:
            behind = patches.over(layer, behind)
        assert np.abs(behind - expected).max() < CLOSE / 255


def test_evaluation():
    assert np.abs(255 * layers.over(*premultiplied_pictures()) - CASE.over_background).max() < CLOSE
