"""Measures of pictures: what errors add up to, PSNR, SSIM, LPIPS and flicker.

Pictures are float32 [H, W, C] in [0, 1]. A measure of a frame is a `Sum`, so that the figure of many frames is made of
their sums and not of their figures. Definitions for readers: docs/evaluation.md. Nothing here knows about layers,
folders or frames' order.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from util.pretrained import Pretrained, Unavailable, weights_at_hand
from vision.geometry.flow import backward_warp

LEVELS = 255
IDENTICAL = 100.0  # dB, shown for pictures that differ by nothing
SMALLEST_LPIPS = 31  # pixels of a side, below which nothing is left at AlexNet's end
OCCLUDED = 1.0  # pixels by which flow forth and back may miss where they began
LPIPS = Pretrained("LPIPS", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "--no_lpips leaves it out")

Lpips = Callable[[np.ndarray, np.ndarray], float]
"""Perceptual distance of two pictures."""


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


def figures(sums: Sequence[Mapping[str, Mapping[str, Sum]]]) -> dict[str, dict[str, float | None]]:
    """The figures of several frames' {group: {measure: sum}}, which all have the same groups and measures."""
    return {group: {name: pooled(one[group][name] for one in sums) for name in measures}
            for group, measures in sums[0].items()}


def mean(values: np.ndarray, where: np.ndarray | None = None, figure: Callable = float) -> Sum:
    """Mean over a picture [H, W, ...], or over its pixels `where` [H, W] is true."""
    chosen = values if where is None else values[where]
    return Sum(float(chosen.sum(dtype=np.float64)), chosen.size, figure)


def squared_error(made: np.ndarray, true: np.ndarray, where: np.ndarray | None = None, figure: Callable = psnr) -> Sum:
    """Mean squared error, whose figure is the PSNR, or `levels` for the root in 8-bit levels."""
    return mean(np.square(made - true), where, figure)


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


def content_box(target: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The part of a picture that Neural Actor's scores are of: one size for all, round what is not white.

    Args:
        target: [H, W, 3], of 8 or 16 bits.
        size: (height, width) of the part; where the picture is smaller, all of that side.

    Returns:
        first row and the one behind the last, first column and the one behind the last; None: all is white.
    """
    content = np.asarray((target < np.iinfo(target.dtype).max).any(-1))
    if not content.any():
        return None
    borders = []
    for axis, side in enumerate(size):
        whole, lines = target.shape[axis], np.flatnonzero(content.any(1 - axis))
        first, last = int(lines[0]), int(lines[-1])
        before = (side - (last + 1 - first)) // 2
        start = max(0, min(first - before, whole - side))
        borders += [start, min(start + side, whole)]
    top, bottom, left, right = borders
    return top, bottom, left, right


def flicker(made: np.ndarray, earlier_made: np.ndarray, true: np.ndarray, earlier_true: np.ndarray,
            where: np.ndarray | None = None) -> Sum:
    """Change from frame to frame beyond the true change: root mean square in 8-bit levels.

    The temporal measure dtSSD of Erofeev et al. ("Perceptually motivated benchmark for video matting", 2015), whose
    reference may be the input frames of a reconstruction or the true matte of a matte.
    """
    return squared_error(made - earlier_made, true - earlier_true, where, levels)


def motion(true: np.ndarray, earlier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where what a picture shows was in the one before, by Farneback's flow, which teaches no model here.

    Returns:
        the flow, float32 [H, W, 2], (x, y) in pixels, and where it is believed: bool [H, W], where the flow back leads
        to where it began.
    """
    here, before = ((LEVELS * cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)).round().astype(np.uint8)
                    for picture in (true, earlier))
    def flow_between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return cv2.calcOpticalFlowFarneback(one, other, np.zeros((*one.shape, 2), np.float32), 0.5, 5, 15, 5, 7, 1.5,
                                            cv2.OPTFLOW_FARNEBACK_GAUSSIAN)

    flow, back = flow_between(here, before), flow_between(before, here)
    missed = flow + backward_warp(back, flow, cv2.INTER_LINEAR)
    return flow, np.linalg.norm(missed, axis=-1) < OCCLUDED


def warping_error(picture: np.ndarray, earlier: np.ndarray, flow: np.ndarray, where: np.ndarray) -> Sum:
    """Change of what is followed from the picture before: root mean square in 8-bit levels (Lai et al., "Learning Blind
    Video Temporal Consistency", ECCV 2018). `flow` is that of the true pictures, `where` it counts."""
    return squared_error(picture, backward_warp(earlier, flow, cv2.INTER_LINEAR), where, levels)


def perceptual_distance(lpips: Lpips | None, made: np.ndarray, true: np.ndarray) -> Sum:
    """LPIPS of a picture; nothing where it is not at hand, or the picture is too small for its network."""
    return Sum(lpips(made, true), 1) if lpips and min(made.shape[:2]) >= SMALLEST_LPIPS else Sum(0, 0)


def load_lpips() -> tuple[Lpips | None, str]:
    """LPIPS with AlexNet (Zhang et al. 2018); its weights are downloaded once, 233 MB.

    Returns:
        the function, or None and why it cannot be had.
    """
    try:
        import torch
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
        with weights_at_hand(LPIPS):
            network = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).eval()
    except ImportError as error:
        return None, f"a package is missing ({error}); pip install torchmetrics torchvision"
    except Unavailable as error:
        return None, error.reason

    @torch.no_grad()
    def lpips(one: np.ndarray, other: np.ndarray) -> float:
        pair = [torch.from_numpy(picture.clip(0, 1).transpose(2, 0, 1)[None].copy()) for picture in (one, other)]
        return float(network(*pair))
    return lpips, ""


def size_text(size: Sequence[int]) -> str:
    """(width, height) for people."""
    return f"{size[0]}x{size[1]}"
