"""COCO-17 skeletons: drawn on frames; and their box, the 256x256 crop around it, its picture, and the way back.

A skeleton is float64 [17, 3]: x, y in pixels of the frame and a score, usually in [0, 1]; joints as in `coco`.
Drawing a crop is exact to the pixel: the kp2uv network was trained on pictures of this very form.
"""

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from vision.people.coco import BONES, JOINTS
from vision.people.iuv import is_body

CROP_SIZE = 256
_BOX_IN_CROP = 192
_HALF_JOINT = 3
_BONE_WIDTH = 3
_SURE_SCORE = 0.3
_HUES = (9, 14, 6, 7, 13, 16, 2, 11, 3, 5, 10, 15, 1, 8, 0, 12, 4)
_COLORS = matplotlib.colormaps["hsv"].resampled(JOINTS)(_HUES)[:, :3]


def box_center_and_side(keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """Square box around all 17 joints, seen or not.

    Args:
        keypoints: [17, 3].

    Returns:
        Its centre (x, y), rounded down to whole pixels, and the longer side of the joints' box in pixels, at least 1.
    """
    low, high = keypoints[:, :2].min(axis=0), keypoints[:, :2].max(axis=0)
    return (low + high) // 2, max(float((high - low).max()), 1.0)


def crop_keypoints(keypoints: np.ndarray) -> np.ndarray:
    """Move and scale a skeleton into a 256x256 picture, its box 192 px long and centred at (128, 128); [17, 3]."""
    center, side = box_center_and_side(keypoints)
    points = (keypoints[:, :2] - center) * (_BOX_IN_CROP / side) + CROP_SIZE / 2
    return np.concatenate([points, keypoints[:, 2:]], axis=1)


def draw_skeleton(keypoints: np.ndarray) -> np.ndarray:
    """Draw a cropped skeleton on black: squares for joints, lines for bones, a colour each, darker for low scores.

    Args:
        keypoints: [17, 3] in pixels of the crop, as `crop_keypoints` returns them. A joint whose square crosses the
            border, and a bone with an end outside, are left out.

    Returns:
        uint8 RGB [256, 256, 3].
    """
    picture = Image.new("RGB", (CROP_SIZE, CROP_SIZE))
    pen = ImageDraw.Draw(picture)
    points = keypoints[:, :2].astype(int)
    scores = keypoints[:, 2]
    for (x, y), score, color in zip(points, scores, _COLORS):
        square = (x - _HALF_JOINT, y - _HALF_JOINT, x + _HALF_JOINT, y + _HALF_JOINT)
        if _inside(square):
            pen.rectangle(square, fill=_dimmed(color, score))
    for a, b in BONES:
        line = (*points[a].tolist(), *points[b].tolist())
        if _inside(line):
            color = _dimmed((_COLORS[a] + _COLORS[b]) / 2, min(scores[a], scores[b]))
            pen.line(line, fill=color, width=_BONE_WIDTH)
    return np.asarray(picture)


def overlay_skeleton(pixels: np.ndarray, keypoints: np.ndarray, label: str, color: tuple[int, int, int]) -> None:
    """Draw a skeleton and a label above its head on a frame, in place; bones with an unsure joint are thin.

    Args:
        pixels: uint8 RGB [H, W, 3], contiguous.
        keypoints: [17, 3] in its pixels; may lie outside.
        label: such as the person's number.
        color: RGB, 0 to 255.
    """
    points = [tuple(int(x) for x in point) for point in np.round(keypoints[:, :2])]
    for a, b in BONES:
        thickness = 2 if min(keypoints[a, 2], keypoints[b, 2]) > _SURE_SCORE else 1
        cv2.line(pixels, points[a], points[b], color, thickness, cv2.LINE_AA)
    place = (int(keypoints[:5, 0].mean()) - 5, max(12, int(keypoints[:, 1].min()) - 5))
    for ink, thickness in (((255, 255, 255), 3), (color, 1)):
        cv2.putText(pixels, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, thickness, cv2.LINE_AA)


def paste_iuv(canvas: np.ndarray, prediction: np.ndarray, keypoints: np.ndarray, person: int,
              input_size: tuple[int, int]) -> None:
    """Put one person's predicted body coordinates back from the crop into the frame, over what is there.

    Only body pixels are written, so overlapping people never mix; a crop partly or wholly outside the frame is cut.

    Args:
        canvas: uint8 RGBA [H, W, 4], an IUV picture of the frame at low resolution; changed in place.
        prediction: uint8 RGB [256, 256, 3] (10 x part, u, v).
        keypoints: [17, 3] in pixels of the frames that the poses were found on.
        person: id from 1 to 254.
        input_size: (width, height) of the frames that the poses were found on.
    """
    center, side = box_center_and_side(keypoints)
    height, width = canvas.shape[:2]
    side *= CROP_SIZE / _BOX_IN_CROP
    columns, from_columns = _crop_indices(center[0], side, input_size[0], width)
    rows, from_rows = _crop_indices(center[1], side, input_size[1], height)
    patch = prediction[from_rows][:, from_columns]
    patch = np.dstack([patch, np.full(patch.shape[:2], 255 - person, np.uint8)])
    target = canvas[rows, columns]
    target[...] = np.where(is_body(patch)[..., None], patch, target)


def _crop_indices(center: float, side: float, input_length: int, length: int) -> tuple[slice, np.ndarray]:
    """Along one axis: the part of the frame that the crop covers, and the crop's nearest pixel for each of it."""
    size = int(side * length / input_length)
    start = int(center * length / input_length) - size // 2
    covered = np.arange(max(start, 0), min(start + size, length))
    if covered.size == 0:
        return slice(0, 0), covered
    # The middle of an odd size falls between two pixels: resizing a ruler settles it as resizing the picture would.
    ruler = Image.fromarray(np.arange(CROP_SIZE, dtype=np.uint8)[None])
    source = np.asarray(ruler.resize((size, 1), Image.Resampling.NEAREST))[0, covered - start]
    return slice(covered[0], covered[-1] + 1), source


def _inside(corners: tuple[int, ...]) -> bool:
    return all(0 <= value < CROP_SIZE for value in corners)


def _dimmed(color: np.ndarray, score: float) -> tuple[int, ...]:
    return tuple((color * 255 * min(0.25 + 0.75 * score, 1)).astype(int).tolist())
