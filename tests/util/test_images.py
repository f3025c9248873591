"""Images on their way to files and back."""

import io

import numpy as np
import pytest
from PIL import Image

from util.images import png


@pytest.mark.parametrize("compression", [None, 0, 3])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_a_png_holds_its_picture_whatever_the_array_looks_like_in_memory(shape, compression):
    whole = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for pixels in (whole, whole[::-1], whole[:, ::2], np.broadcast_to(whole[:1], shape)):
        found = np.asarray(Image.open(io.BytesIO(png(pixels, compression))))
        assert np.array_equal(found, pixels[..., 0] if shape[-1] == 1 else pixels)
