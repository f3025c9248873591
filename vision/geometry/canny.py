"""Canny's edges of a grey picture (J. Canny, 1986), thin to one pixel.

The variant of scikit-image, which published training data were made with: a picture's border counts as unknown, not as
black, and the gradient's neighbours are interpolated between pixels.
"""

import numpy as np
from scipy import ndimage

LOW, HIGH = 0.1, 0.2
"""Gradients (of levels from 0 to 1) that continue an edge, and that begin one."""


def canny(grey: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Edges of uint8 [H, W], smoothed by a Gaussian of `sigma` pixels before: bool [H, W], none at the border."""
    known = ndimage.gaussian_filter(np.ones(grey.shape), sigma, mode="constant") + np.finfo(np.float64).eps
    smooth = ndimage.gaussian_filter(grey / 255.0, sigma, mode="constant") / known
    down, right = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    strength = np.hypot(down, right)
    thin = _is_ridge(down, right, strength) & (strength >= LOW)
    thin[[0, -1]] = thin[:, [0, -1]] = False
    labels, count = ndimage.label(thin, np.ones((3, 3)))
    begun = np.zeros(count + 1, bool)
    begun[labels[thin & (strength >= HIGH)]] = True
    return begun[labels] & thin


def _is_ridge(down: np.ndarray, right: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Whether the gradient is at least as strong as one pixel along its direction, both ways."""
    steep = np.abs(down) >= np.abs(right)
    long, short = np.where(steep, np.abs(down), np.abs(right)), np.where(steep, np.abs(right), np.abs(down))
    share = np.divide(short, long, out=np.zeros_like(long), where=long > 0)
    padded = np.pad(strength, 1)
    rows, columns = np.indices(strength.shape) + 1
    side = np.where(down * right >= 0, 1, -1)
    ridge = np.ones(strength.shape, bool)
    for way in (1, -1):
        straight = padded[rows + way * steep, columns + way * ~steep * side]
        diagonal = padded[rows + way, columns + way * side]
        ridge &= diagonal * share + straight * (1 - share) <= strength
    return ridge
