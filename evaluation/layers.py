"""Measures of layers, for one frame at a time: compositing, mattes, effects and shadows.

Pictures are float32 [H, W, 3] in [0, 1], mattes [H, W] in [0, 1], layers RGBA [H, W, 4] with *premultiplied* colour.
Definitions for readers: docs/evaluation.md. Nothing here knows about files, layers' numbers or frames' order.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from evaluation.images import Sum, levels, mean

NOTHING = 0.02  # opacity below which there is nothing: 5 of 255 levels
OFF = 40 / 255  # colour difference that is seen at a glance
DARKEST = 0.75  # opacity of shadows
EFFECT = 0.06  # colour change that counts as an effect: 15 of 255 levels


def over(background: np.ndarray, layers: Iterable[np.ndarray]) -> np.ndarray:
    """Composite layers, back to front, over a background [H, W, 3]."""
    picture = background
    for layer in layers:
        picture = layer[..., :3] + (1 - layer[..., 3:]) * picture
    return picture


def background_off(image: np.ndarray, background: np.ndarray, through: np.ndarray, where: np.ndarray) -> Sum:
    """Share of pixels in which a frame shows something else than the background, under a shadow or a light or not.

    Args:
        image, background: [H, W, 3].
        through: [H, W], what layers of people let through of the background. As a shadow they may take `DARKEST` of it
            at most: more than that is somebody's body, or a false effect.
        where: bool [H, W], beside people.
    """
    through = np.maximum(through, 1 - DARKEST)[..., None]
    missed = np.minimum(*(np.abs(image - background * through - light).max(axis=-1) for light in (0, 1 - through)))
    return mean(missed > OFF, where)


def transmittances(alphas: Iterable[np.ndarray]) -> list[np.ndarray]:
    """What the mattes in front let through, for each of `alphas` (back to front); first, for what is behind all."""
    alphas = list(alphas)
    through = [np.ones_like(alphas[-1])]
    for alpha in reversed(alphas):
        through.append(through[-1] * (1 - alpha))
    return through[::-1]


def relative_error(made: np.ndarray, true: np.ndarray, where: np.ndarray | None = None) -> Sum:
    """Sum of absolute differences over the sum of the true values: 0 is perfect, 1 is what an empty layer has."""
    chosen = slice(None) if where is None else where
    return Sum(float(np.abs(made - true)[chosen].sum(dtype=np.float64)), float(true[chosen].sum(dtype=np.float64)))


def excess(change: np.ndarray, allowed: np.ndarray, where: np.ndarray) -> Sum:
    """How much of an absolute change [H, W, C] is not allowed: root mean square in 8-bit levels."""
    return mean(np.square(np.maximum(change - allowed, 0)), where, levels)


def gradient_magnitude(alpha: np.ndarray) -> np.ndarray:
    """Gradient of a matte by Gaussian derivatives of sigma 1.4 with unit norm (Rhemann et al. 2009)."""
    x = np.arange(-4, 5)
    gauss = np.exp(-x ** 2 / (2 * 1.4 ** 2))
    slope: np.ndarray = x * gauss
    gauss, slope = gauss / np.linalg.norm(gauss), slope / np.linalg.norm(slope)
    return np.hypot(cv2.sepFilter2D(alpha, cv2.CV_32F, slope, gauss), cv2.sepFilter2D(alpha, cv2.CV_32F, gauss, slope))


def matte_errors(made: np.ndarray, true: np.ndarray) -> dict[str, Sum]:
    """The errors of a matte that are usual in matting (Rhemann et al., CVPR 2009), over the whole frame.

    SAD and gradient error are sums over a frame, in thousands; `mae` is SAD per pixel.
    """
    difference = made - true
    return {
        "matte_sad": Sum(float(np.abs(difference).sum()) / 1000, 1),
        "matte_mae": mean(np.abs(difference)),
        "matte_mse": mean(np.square(difference)),
        "matte_gradient": Sum(float(np.square(gradient_magnitude(made) - gradient_magnitude(true)).sum()) / 1000, 1),
    }


def effect(layer: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Colour change [H, W, 3] that a layer makes where it lies over a background."""
    return layer[..., :3] - layer[..., 3:] * background


def effect_overlap(made: np.ndarray, true: np.ndarray) -> Sum:
    """Intersection over union of where two effects [H, W, 3] can be seen."""
    seen, expected = (np.sqrt(np.square(change).mean(-1)) > EFFECT for change in (made, true))
    return Sum(int((seen & expected).sum()), int((seen | expected).sum()))


def darkening(change: np.ndarray) -> np.ndarray:
    """How much darker [H, W] a colour change makes a picture; 0 where it makes it brighter."""
    return np.maximum(-change.mean(-1), 0)


def shared(part: np.ndarray, whole: np.ndarray, where: np.ndarray) -> Sum:
    """Share of a darkening that another one has, from 0 to 1."""
    return Sum(float(np.minimum(part, whole)[where].sum(dtype=np.float64)), float(whole[where].sum(dtype=np.float64)))
