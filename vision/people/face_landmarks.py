"""The 68 landmarks of a face (dlib's order): its parts, its drawing as edges and distances, and the box around it.

Landmarks are [68, 2], x, y in pixels of the frame; 15 points of the upper head are added to them, which makes 83.
"""

import cv2
import numpy as np

from vision.people.strokes import curve_pixels, draw_grey

LANDMARKS = 68
PARTS = (
    (1, ((*range(17), *range(68, 83), 0),)),  # face
    (2, ((17, 18, 19, 20, 21),)),  # right brow
    (2, ((22, 23, 24, 25, 26),)),  # left brow
    (3, ((28, 31), (31, 32, 33, 34, 35), (35, 28))),  # nose
    (4, ((36, 37, 38, 39), (39, 40, 41, 36))),  # right eye
    (4, ((42, 43, 44, 45), (45, 46, 47, 42))),  # left eye
    (5, ((*range(48, 55),), (*range(54, 60), 48))),  # mouth
    (6, ((*range(60, 65),), (64, 65, 66, 67, 60))),  # inner mouth
)
"""(label, curves) of each part, later ones over earlier ones; right and left are the person's."""
CURVES = tuple(curve for _, curves in PARTS for curve in curves)
N_LABELS = 7  # with the background, 0
MIRRORED = ((1, 2), (4, 5))
"""Pairs of parts: brows, eyes."""
CLOSER = np.array((0.9, 1.0))
NARROWER = {1: (0.9, 1), 2: (1, 1), 3: (0.9, 1), 4: (1, 1.1), 5: (0.9, 0.9), 6: (0.9, 0.9)}
"""The fixed edits of --random_scale_points: how much closer pairs come, and (x, y) factors of parts by label."""
PIXELS_PER_LEVEL = 3
BOX_WIDTHS = 2.5


def with_upper_head(landmarks: np.ndarray) -> np.ndarray:
    """Add the upper head to 68 landmarks: the jaw, mirrored upwards at the line between its ends; float64 [83, 2]."""
    landmarks = np.asarray(landmarks, np.float64)
    axis = (landmarks[0, 1] + landmarks[16, 1]) / 2
    upper = landmarks[15:0:-1].copy()
    upper[:, 1] = axis + np.floor(2 * (axis - upper[:, 1]) / 3)
    return np.concatenate([landmarks, upper.astype(int)])


def part_labels(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Label of the part of the face at each pixel: uint8 [H, W], 0 to 6, of `points` [83, 2] and (width, height)."""
    labels = np.zeros(size[::-1], np.uint8)
    for label, curves in PARTS:
        polygon = points[[index for curve in curves for index in curve]].astype(np.int32)
        cv2.fillPoly(labels, [polygon], label)
    return labels


def draw_edges(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """All curves of a face: uint8 [H, W], 255 where drawn, of `points` [83, 2] and (width, height)."""
    picture = np.zeros(size[::-1], np.uint8)
    for curve in CURVES:
        _draw_curve(picture, points[list(curve)])
    return picture


def distance_maps(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """L1 distance of each pixel to each curve: uint8 [14, H, W], a level for three pixels, at most 255."""
    maps = []
    for curve in CURVES:
        picture = np.zeros(size[::-1], np.uint8)
        _draw_curve(picture, points[list(curve)])
        distance = cv2.distanceTransform(255 - picture, cv2.DIST_L1, 3)
        maps.append(np.clip(distance / PIXELS_PER_LEVEL, 0, 255).astype(np.uint8))
    return np.stack(maps)


def reshaped(points: np.ndarray) -> np.ndarray:
    """Another person's proportions, as --random_scale_points has them: float64 [83, 2].

    Brows and eyes come closer to each other, curve by curve, so that a point of two curves moves twice; then each part
    is scaled about its centre, the mean of the points of its curves.
    """
    points = np.array(points, np.float64)
    for right, left in MIRRORED:
        for pair in zip(PARTS[right][1], PARTS[left][1]):
            centres = [points[list(curve)].mean(axis=0) for curve in pair]
            middle = (centres[0] + centres[1]) / 2
            for curve, centre in zip(pair, centres):
                points[list(curve)] += (centre - middle) * (CLOSER - 1)
    for label, curves in PARTS:
        listed = [index for curve in curves for index in curve]
        centre = points[listed].mean(axis=0)
        unique = sorted(set(listed))
        points[unique] = centre + (points[unique] - centre) * NARROWER[label]
    return points


def face_box(landmarks: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The square around a face, shifted into the frame as far as it fits.

    Args:
        landmarks: [68, 2].
        size: (width, height) of the frame.

    Returns:
        left, top, right, bottom in pixels, right and bottom exclusive; outside the frame where it is larger than that.
    """
    x, y = np.asarray(landmarks, np.float64)[:LANDMARKS].T
    width = BOX_WIDTHS * (x.max() - x.min())
    centre = (x.min() + x.max()) // 2, (3 * y.min() + y.max()) // 4
    half = width // 2
    x, y = (min(max(0, c - half) + width, side) - half for c, side in zip(centre, size))
    return int(x - half), int(y - half), int(x + half), int(y + half)


def _draw_curve(picture: np.ndarray, points: np.ndarray) -> None:
    """In pieces of 3 points, the last of 2 where they do not divide so."""
    for start in range(0, len(points) - 1, 2):
        draw_grey(picture, curve_pixels(points[start:start + 3]), 1)
