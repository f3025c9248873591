"""One case that every implementation of compositing must meet: tests/compositing_case.json.

27 pixels show every combination of nothing, something in between and all, in three layers. The results were computed
with fractions and are rounded to 6 digits; tests/test_compositing.py computes them again.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """Pixels in 255ths, rows from top to bottom.

    Attributes:
        background: RGB [H, W, 3].
        layers: straight RGBA [L, H, W, 4], back to front.
        over_background: the composite's RGB [H, W, 3], in [0, 255].
        over_nothing: that of the layers alone: RGB in [0, 255], premultiplied by alpha, and alpha in [0, 1]; [H, W, 4].
    """

    background: np.ndarray
    layers: np.ndarray
    over_background: np.ndarray
    over_nothing: np.ndarray


def compositing_case() -> Case:
    """Read it."""
    values = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    width, height = values["size"]
    return Case(np.array(values["background"], np.uint8).reshape(height, width, 3),
                np.array(values["layers"], np.uint8).reshape(-1, height, width, 4),
                np.array(values["over_background"]).reshape(height, width, 3),
                np.array(values["over_nothing"]).reshape(height, width, 4))
