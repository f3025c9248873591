"""Measures of pictures, mattes and layers, for one frame at a time.

Pictures are float32 [H, W, C] in [0, 1], mattes [H, W] in [0, 1], layers RGBA [H, W, 4] with *premultiplied* colour. A
measure of a frame is a `Sum`, so that a clip's figure is made of its sums and not of its frames' figures. Definitions
for readers: docs/evaluation.md. Nothing here knows about files, layers' numbers or frames' order.
"""

import contextlib
import math
import socket
from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np
import torch

LEVELS = 255
NOTHING = 0.02  # opacity below which there is nothing: 5 of 255 levels
EFFECT = 0.06  # colour change that counts as an effect: 15 of 255 levels
IDENTICAL = 100.0  # dB, shown for pictures that differ by nothing


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]; `IDENTICAL` at most, so that it is always a number."""
    return -10 * math.log10(max(mean_squared_error, 10 ** (-IDENTICAL / 10)))


def levels(mean_square: float) -> float:
    """Root of a mean square of [0, 1] pictures, in 8-bit levels."""
    return LEVELS * math.sqrt(mean_square)


class Sum(NamedTuple):
    """What a measure adds up over a frame: its mean is total / weight, its figure a function of that mean."""

    total: float
    weight: float
    figure: Callable[[float], float] = float


def pooled(sums: Iterable[Sum]) -> float | None:
    """The figure of one frame's sum, or of all frames' sums; None where there was nothing to measure."""
    sums = list(sums)
    weight = sum(one.weight for one in sums)
    return sums[0].figure(sum(one.total for one in sums) / weight) if weight > 0 else None


def mean(values: np.ndarray, where: np.ndarray | None = None, figure: Callable = float) -> Sum:
    """Mean over a picture [H, W, ...], or over its pixels `where` [H, W] is true."""
    chosen = values if where is None else values[where]
    return Sum(float(chosen.sum(dtype=np.float64)), chosen.size, figure)


def squared_error(made: np.ndarray, true: np.ndarray, where: np.ndarray | None = None, figure: Callable = psnr) -> Sum:
    """Mean squared error, whose figure is the PSNR, or `levels` for the root in 8-bit levels."""
    return mean(np.square(made - true), where, figure)


def relative_error(made: np.ndarray, true: np.ndarray, where: np.ndarray | None = None) -> Sum:
    """Sum of absolute differences over the sum of the true values: 0 is perfect, 1 is what an empty layer has."""
    chosen = slice(None) if where is None else where
    return Sum(float(np.abs(made - true)[chosen].sum(dtype=np.float64)), float(true[chosen].sum(dtype=np.float64)))


def ssim_map(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004) around each pixel, averaged over channels, [H, W] up to 1.

    Gaussian windows of 11 x 11 pixels, sigma 1.5, K = .01 and .03, mirrored edges. The same as torchmetrics' full
    image, and ten times as fast on a CPU, because the windows are separable.
    """
    def window(picture):
        return cv2.GaussianBlur(picture, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101)
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    mean_one, mean_other = window(one), window(other)
    product = mean_one * mean_other
    squares = mean_one ** 2 + mean_other ** 2
    covariance = window(one * other) - product
    variances = window(one ** 2 + other ** 2) - squares
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return similarity.mean(-1)


def load_lpips(seconds: float = 15) -> tuple[Callable[[np.ndarray, np.ndarray], float] | None, str]:
    """LPIPS with AlexNet (Zhang et al. 2018) as a function of two pictures; its weights are downloaded once, 233 MB.

    Args:
        seconds: how long a server may be silent.

    Returns:
        the function, or None and why it cannot be had.
    """
    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
        with _patience(seconds):
            network = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).eval()
    except ImportError as error:
        return None, f"a package is missing ({error}); pip install torchmetrics torchvision"
    except (OSError, RuntimeError) as error:
        return None, f"its weights could not be loaded ({error}); with a network they are downloaded once"

    @torch.no_grad()
    def lpips(one: np.ndarray, other: np.ndarray) -> float:
        pair = [torch.from_numpy(picture.clip(0, 1).transpose(2, 0, 1)[None].copy()) for picture in (one, other)]
        return float(network(*pair))
    return lpips, ""


@contextlib.contextmanager
def _patience(seconds: float):
    earlier = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(earlier)


# ---- layers ---------------------------------------------------------------------------------------------------------

def over(background: np.ndarray, layers: Iterable[np.ndarray]) -> np.ndarray:
    """Composite layers, back to front, over a background [H, W, 3]."""
    picture = background
    for layer in layers:
        picture = layer[..., :3] + (1 - layer[..., 3:]) * picture
    return picture


def transmittances(alphas: Iterable[np.ndarray]) -> list[np.ndarray]:
    """What the mattes in front let through, for each of `alphas` (back to front); first, for what is behind all."""
    alphas = list(alphas)
    through = [np.ones_like(alphas[-1])]
    for alpha in reversed(alphas):
        through.append(through[-1] * (1 - alpha))
    return through[::-1]


def flicker(made: np.ndarray, earlier_made: np.ndarray, true: np.ndarray, earlier_true: np.ndarray) -> Sum:
    """Change from frame to frame beyond the true change: root mean square in 8-bit levels.

    The temporal measure dtSSD of Erofeev et al. ("Perceptually motivated benchmark for video matting", 2015), whose
    reference may be the input frames of a reconstruction or the true matte of a matte.
    """
    return squared_error(made - earlier_made, true - earlier_true, figure=levels)


def excess(change: np.ndarray, allowed: np.ndarray, where: np.ndarray) -> Sum:
    """How much of an absolute change [H, W, C] is not allowed: root mean square in 8-bit levels."""
    return mean(np.square(np.maximum(change - allowed, 0)), where, levels)


def gradient_magnitude(alpha: np.ndarray) -> np.ndarray:
    """Gradient of a matte by Gaussian derivatives of sigma 1.4 with unit norm (Rhemann et al. 2009)."""
    x = np.arange(-4, 5)
    gauss = np.exp(-x ** 2 / (2 * 1.4 ** 2))
    slope = x * gauss
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
