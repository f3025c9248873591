"""Pixels of layers on their way into a composite: colours, warps, times between two frames, compositing.

A layer's picture is a `Patch`: only the part of the frame that it covers, premultiplied, so that all of these are
linear and no colour bleeds in from where nothing is. Pixel (x, y) has its centre at (x, y); x to the right, y down.
Nothing here knows files, clips or edits.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vision.geometry.flow import backward_warp, flow_from_between, optical_flow

LUMA = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709
FLOW_MARGIN = 16  # pixels around a layer, for optical flow to look into


@dataclass(frozen=True)
class Patch:
    """A part of a frame.

    Attributes:
        x, y: of its first pixel in the frame.
        planes: float32 [4, h, w], red, green and blue in [0, 255] premultiplied by alpha, and alpha in [0, 1].
    """

    x: int
    y: int
    planes: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        height, width = self.planes.shape[1:]
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


def covered_part(rgba: np.ndarray) -> tuple[int, int, np.ndarray]:
    """The smallest part of straight RGBA [H, W, 4] outside which alpha is 0, and (x, y) of its first pixel."""
    alpha = cv2.extractChannel(rgba, 3)
    x, y, width, height = cv2.boundingRect(alpha if alpha.dtype == np.uint8 else (alpha > 0).astype(np.uint8))
    return x, y, np.ascontiguousarray(rgba[y:y + height, x:x + width])


def premultiplied(x: int, y: int, pixels: np.ndarray) -> Patch:
    """Straight RGBA [h, w, 4], or opaque RGB [h, w, 3], of uint8, or uint16 that count to 65535, as a patch."""
    planes = np.empty((4, *pixels.shape[:2]), np.float32)
    if pixels.dtype == np.uint16:
        pixels = pixels * np.float32(255 / 65535)
    if pixels.shape[2] == 3:
        planes[:3], planes[3] = pixels.transpose(2, 0, 1), 1
        return Patch(x, y, planes)
    channels = cv2.split(pixels)
    np.multiply(channels[3], np.float32(1 / 255), out=planes[3])
    for colour, channel in zip(planes, channels[:3]):
        np.multiply(channel, planes[3], out=colour)
    return Patch(x, y, planes)


def colour_matrix(saturation: float, gain: float, tint: tuple[int, int, int]) -> np.ndarray | None:
    """What to multiply RGB with, float32 [3, 3]; None: nothing.

    Args:
        saturation: 0 is grey of the same luma (Rec. 709, of the coded values), 1 leaves colours as they are.
        gain: factor.
        tint: factors in 255ths; white leaves colours as they are.
    """
    matrix = saturation * np.eye(3) + (1 - saturation) * LUMA
    matrix = gain * np.array(tint)[:, None] / 255 * matrix
    return None if np.array_equal(matrix, np.eye(3)) else matrix.astype(np.float32)


def coloured(patch: Patch, matrix: np.ndarray) -> Patch:
    """A patch in colours multiplied with a matrix [3, 3], clipped to what 8 bits can show."""
    planes = np.empty_like(patch.planes)
    planes[3] = patch.planes[3]
    np.matmul(matrix, patch.planes[:3].reshape(3, -1), out=planes[:3].reshape(3, -1))
    np.clip(planes[:3], 0, 255 * planes[3], out=planes[:3])
    return Patch(patch.x, patch.y, planes)


def warped(patch: Patch, matrix: np.ndarray, size: tuple[int, int]) -> Patch | None:
    """A patch under a homography, sampled bicubically; None: nothing of it is in the frame.

    Args:
        patch: a part of a frame; transparent around.
        matrix: [3, 3], pixels of its frame to those of the new one.
        size: (width, height) of the new frame.
    """
    height, width = patch.planes.shape[1:]
    corners = np.array([[patch.x - 1, patch.y - 1, 1], [patch.x + width, patch.y - 1, 1],
                        [patch.x - 1, patch.y + height, 1], [patch.x + width, patch.y + height, 1]]).T
    x, y, w = matrix @ corners
    left, top, right, bottom = 0, 0, *size
    if (w > 0).all():  # else a corner lies behind the camera, and the patch may be anywhere
        x, y = x / w, y / w
        left, right = max(int(np.floor(x.min())), 0), min(int(np.ceil(x.max())) + 1, size[0])
        top, bottom = max(int(np.floor(y.min())), 0), min(int(np.ceil(y.max())) + 1, size[1])
    if left >= right or top >= bottom:
        return None
    local = _translation(-left, -top) @ matrix @ _translation(patch.x, patch.y)
    interleaved = cv2.merge(list(patch.planes))
    smaller = np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) / abs(matrix[2, 2])
    smaller = max(smaller, 1 / max(width, height))  # than that it is one pixel
    if smaller < 0.9:  # else fine detail would flicker
        interleaved = cv2.GaussianBlur(interleaved, (0, 0), (1 / smaller - 1) / 2)
    planes = np.stack(cv2.split(cv2.warpPerspective(interleaved, local, (right - left, bottom - top),
                                                    flags=cv2.INTER_CUBIC)))
    np.clip(planes[3], 0, 1, out=planes[3])
    np.clip(planes[:3], 0, 255 * planes[3], out=planes[:3])
    return Patch(left, top, planes)


def _translation(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def blended(first: Patch, second: Patch, time: float) -> Patch:
    """Between two patches of a layer: `first` at time 0, `second` at time 1, both mixed between."""
    x, y, width, height = _union(first, second)
    planes = np.zeros((4, height, width), np.float32)
    for patch, weight in ((first, 1 - time), (second, time)):
        rows, columns = _shifted_window(patch, x, y)
        planes[:, rows, columns] += np.float32(weight) * patch.planes
    return Patch(x, y, planes)


def interpolated_by_flow(first: Patch, second: Patch, time: float) -> Patch:
    """Between two patches of a layer: both moved along the optical flow between them, and mixed.

    Frame interpolation after Super SloMo; the flows between the two are estimated on the premultiplied layer over grey.
    """
    x, y, width, height = _union(first, second)
    x, y, width, height = x - FLOW_MARGIN, y - FLOW_MARGIN, width + 2 * FLOW_MARGIN, height + 2 * FLOW_MARGIN
    pictures = []
    for patch in (first, second):
        planes = np.zeros((4, height, width), np.float32)
        rows, columns = _shifted_window(patch, x, y)
        planes[:, rows, columns] = patch.planes
        pictures.append(planes)
    grey = [np.clip(np.tensordot(LUMA, planes[:3], 1) + 128 * (1 - planes[3]), 0, 255).astype(np.uint8)
            for planes in pictures]
    to_either = flow_from_between(optical_flow(*grey), optical_flow(*grey[::-1]), time)
    mixed = np.zeros((height, width, 4), np.float32)
    for planes, flow, weight in zip(pictures, to_either, (1 - time, time)):
        mixed += np.float32(weight) * backward_warp(cv2.merge(list(planes)), flow, cv2.INTER_LINEAR,
                                                    cv2.BORDER_CONSTANT)
    return Patch(x, y, np.stack(cv2.split(mixed)))


def _union(first: Patch, second: Patch) -> tuple[int, int, int, int]:
    x, y = min(first.x, second.x), min(first.y, second.y)
    right = max(patch.x + patch.planes.shape[2] for patch in (first, second))
    bottom = max(patch.y + patch.planes.shape[1] for patch in (first, second))
    return x, y, right - x, bottom - y


def _shifted_window(patch: Patch, x: int, y: int) -> tuple[slice, slice]:
    height, width = patch.planes.shape[1:]
    return slice(patch.y - y, patch.y - y + height), slice(patch.x - x, patch.x - x + width)


def composite_over(canvas: np.ndarray, patch: Patch, opacity: float) -> None:
    """Composite a patch over a premultiplied canvas, in place.

    Args:
        canvas: float32 [3 or 4, H, W], like the planes of a patch; without its alpha it is opaque.
        patch: what comes in front. What lies outside the canvas is cut off.
        opacity: of all of it, in [0, 1].
    """
    (rows, columns), planes = _inside(patch, canvas.shape[1:])
    if opacity != 1:
        planes = planes * np.float32(opacity)
    seen_through = 1 - planes[3]
    for behind, colour in zip(canvas, planes):
        part = behind[rows, columns]
        part *= seen_through
        part += colour


def transmittance(patches: list[tuple[Patch, float]], size: tuple[int, int]) -> np.ndarray:
    """How much of what lies behind patches, each with its opacity, is seen: float32 [H, W] in [0, 1]."""
    result = np.ones(size[::-1], np.float32)
    for patch, opacity in patches:
        (rows, columns), planes = _inside(patch, result.shape)
        result[rows, columns] *= 1 - np.float32(opacity) * planes[3]
    return result


def _inside(patch: Patch, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
    """What of a patch lies in a frame of (height, width): rows and columns of the frame, planes."""
    (height, width), (_, patch_height, patch_width) = shape, patch.planes.shape
    top, left = min(max(patch.y, 0), height), min(max(patch.x, 0), width)
    bottom, right = max(min(patch.y + patch_height, height), top), max(min(patch.x + patch_width, width), left)
    planes = patch.planes[:, top - patch.y:bottom - patch.y, left - patch.x:right - patch.x]
    return (slice(top, bottom), slice(left, right)), planes


def to_straight(canvas: np.ndarray, deep: bool = False) -> np.ndarray:
    """A premultiplied canvas as uint8, or uint16 where that is `deep`: [3, H, W] as RGB [H, W, 3], [4, H, W] as
    straight RGBA [H, W, 4]."""
    if deep:
        colours = canvas[:3] * (257 / np.maximum(canvas[3], 1e-6) if len(canvas) == 4 else np.float32(257))
        planes = [*colours, *(65535 * alpha for alpha in canvas[3:])]
        return cv2.merge([np.rint(plane.clip(0, 65535)).astype(np.uint16) for plane in planes])
    if len(canvas) == 3:
        return cv2.merge([cv2.convertScaleAbs(plane) for plane in canvas])
    scale = 1 / np.maximum(canvas[3], 1e-6)
    return cv2.merge([cv2.convertScaleAbs(np.minimum(plane * scale, 255)) for plane in canvas[:3]]
                     + [cv2.convertScaleAbs(canvas[3], alpha=255)])


def over(front: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Composite a whole picture over another.

    Args:
        front: RGBA [H, W, 4], premultiplied.
        behind: RGBA [H, W, 4], premultiplied, or opaque RGB [H, W, 3]; so is the result.
    """
    return front[..., :behind.shape[2]] + (1 - front[..., 3:]) * behind


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, RGB [H, W, 3] or straight RGBA [H, W, 4] of uint8 or uint16, at another size (width, height) of about
    as much."""
    if pixels.shape[2] == 3:
        return cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    planes = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC)
                       for plane in premultiplied(0, 0, pixels).planes])
    planes[3] = planes[3].clip(0, 1)
    return to_straight(np.concatenate([planes[:3].clip(0, 255 * planes[3]), planes[3:]]), pixels.dtype == np.uint16)
