"""Optical flow: found between two pictures, inverted, and used to warp pictures.

A flow is float32 [H, W, 2]: what is at pixel p of the first picture is at p + flow(p) of the second, (x, y) pixels
further, x to the right, y down. Pixel (x, y) has its centre at (x, y).
"""

from functools import lru_cache

import cv2
import numpy as np

_LEAST_RESPONSE = 0.03
"""Of phase correlation, from 0 to 1: below it the pictures have nothing in common."""

_WIDE = 4  # pixels


def optical_flow(first: np.ndarray, second: np.ndarray, *, finest: int = 1) -> np.ndarray:
    """The flow from a picture to another, uint8 [H, W], by dense inverse search (DIS; Kroeger et al., ECCV 2016).

    Args:
        first: the one.
        second: the other.
        finest: the finest pictures that are looked at are halved so many times; one more takes a fourth of the time.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(finest)
    return search.calc(first, second, None)  # type: ignore[call-overload]  # OpenCV's stubs want a flow to begin with


def camera_shift(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How far most of a picture has moved to another, uint8 [H, W]: (x, y) in pixels, by phase correlation.

    Nothing where there is nothing to tell it by.
    """
    window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
    shift, response = cv2.phaseCorrelate(first.astype(np.float32), second.astype(np.float32), window)
    return np.array(shift) if response > _LEAST_RESPONSE else np.zeros(2)


def backward_warp(picture: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_CUBIC,
                  border: int = cv2.BORDER_REPLICATE, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A picture [H, W, ...] sampled at p + flow(p): what is moved by the flow is put back.

    Args:
        picture: of any type that OpenCV takes.
        flow: [H, W, 2].
        interpolation: a flag of OpenCV's.
        border: what lies outside, a flag of OpenCV's.
        corner: (x, y) of the flow's first pixel, where it is that of a part of the picture.
    """
    return cv2.remap(picture, cv2.add(flow, _pixels(flow.shape[:2], corner)), None,  # type: ignore[call-overload]
                     interpolation, borderMode=border)


@lru_cache(maxsize=1)
def _pixels(shape: tuple[int, int], corner: tuple[int, int]) -> np.ndarray:
    """(x, y) of the pixels of a part of a picture: float32 [H, W, 2]."""
    return np.stack(np.meshgrid(*(np.arange(first, first + side, dtype=np.float32)
                                  for first, side in zip(corner, shape[::-1]))), axis=-1)


def warp_frames(frames: np.ndarray, flows: np.ndarray) -> np.ndarray:
    """Frames [F, H, W, ...], each warped by its flow of [F, H, W, 2], sampled bicubically."""
    return np.stack([backward_warp(frame, flow) for frame, flow in zip(frames, flows)])


def inverse_flow(flow: np.ndarray, steps: int = 2) -> np.ndarray:
    """The flow back from the second picture to the first, of a smooth flow: a fixed point of flow(p + back(p)) = -back.
    """
    back = -flow
    for _ in range(steps):
        back = -backward_warp(flow, back, cv2.INTER_LINEAR)
    return back


def widely_blurred(flow: np.ndarray, sigma: float) -> np.ndarray:
    """A flow, or any picture [H, W, ...], blurred by a Gaussian of `sigma` pixels; wide ones on a grid of half the
    density, in less than half the time, and no pixel is off by more than a fiftieth of the change around it."""
    if sigma < _WIDE:
        return cv2.GaussianBlur(flow, (0, 0), sigma)
    height, width = flow.shape[:2]
    half = cv2.resize(flow, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(half, (0, 0), np.sqrt(sigma ** 2 - 1) / 2)  # both ways between the grids blur by one
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)


def flow_from_between(forward: np.ndarray, backward: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
    """The flows from a time between two pictures to either, as in Super SloMo (Jiang et al., CVPR 2018, equation 4).

    Args:
        forward: from the first picture to the second.
        backward: from the second to the first.
        time: 0 is the first picture, 1 the second.
    """
    to_first = time * (time * backward - (1 - time) * forward)
    to_second = (1 - time) * ((1 - time) * forward - time * backward)
    return to_first.astype(np.float32), to_second.astype(np.float32)
