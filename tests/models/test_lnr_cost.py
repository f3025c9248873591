"""What training layers will cost."""

import pytest

from models.lnr_cost import training_cost


def test_cost_grows_with_frames_layers_and_size():
    layers, upsampling = training_cost((448, 256), 2, 100, (32, 16))
    assert layers.tflop == pytest.approx(2 * 100 * 74.2e-3) and 8 < layers.gib < 10 and upsampling.tflop > layers.tflop
    assert training_cost((448, 256), 4, 100, (32, 16))[0].tflop == pytest.approx(2 * layers.tflop)
    assert training_cost((896, 256), 2, 50, (32, 16))[0].tflop == pytest.approx(layers.tflop)
    assert training_cost((448, 256), 2, 100, (32, 16), filters=32)[0].tflop == pytest.approx(layers.tflop / 4)
    assert training_cost((448, 256), 2, 8, (32, 16))[0].gib < layers.gib / 3
    assert layers.cpu_seconds == pytest.approx(layers.tflop / 0.19)
