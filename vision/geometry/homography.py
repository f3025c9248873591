"""Homographies: the camera's motion as one per frame, and the placement of a picture.

Points are (x, y), x to the right, y down. "World" is the coordinate system of the first frame.
"""

from dataclasses import dataclass

import numpy as np


def apply_homography(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points [2, ...] by a 3x3 homography and divide by the third coordinate; float64 [2, ...]."""
    x, y, w = np.tensordot(matrix, np.concatenate([points, np.ones_like(points[:1])]), axes=1)
    return np.stack([x / w, y / w])


def placement(size: tuple[int, int], shift: tuple[float, float], scale: float, flip: tuple[bool, bool],
              anchor: tuple[float, float]) -> np.ndarray | None:
    """The homography [3, 3] from pixels of a picture to where they are shown; None: the same place.

    Args:
        size: (width, height) of the picture.
        shift: (x, y) in widths and heights.
        scale: about the anchor.
        flip: (left to right, top to bottom) about the anchor.
        anchor: (x, y) from (0, 0), the outer corner of the first pixel, to (1, 1), that of the last.
    """
    if not any(shift) and scale == 1 and not any(flip):
        return None
    fixed = np.array(anchor) * size - 0.5
    factors = np.where(flip, -scale, scale)
    matrix = np.diag([*factors, 1.0])
    matrix[:2, 2] = fixed + np.array(shift) * size - factors * fixed
    return matrix


@dataclass(frozen=True)
class Registration:
    """The camera's motion over a clip.

    Attributes:
        size: (width, height) in pixels of the frames that the matrices speak of; other sizes are scaled to it.
        bounds: (xmin, xmax, ymin, ymax) of the whole panorama in world coordinates, may be fractional.
        matrices: float64 [F, 3, 3], each maps the world to its frame; invertible.
    """

    size: tuple[float, float]
    bounds: tuple[float, float, float, float]
    matrices: np.ndarray

    def to_panorama(self, uv: np.ndarray, frame: int) -> np.ndarray:
        """Map places in a frame to places in the panorama.

        Args:
            uv: [2, ...] in [0, 1], from 0 at the frame's first column and row to 1 at its last.
            frame: index from 0.

        Returns:
            float64 [2, ...], from (0, 0) to (1, 1) over the panorama's bounds. 1 in `uv` stands for the full `size`
            (not size - 1): that is the convention of published homography files.
        """
        size = np.reshape(self.size, (2,) + (1,) * (uv.ndim - 1))
        x, y = apply_homography(np.linalg.inv(self.matrices[frame]), uv * size)
        xmin, xmax, ymin, ymax = self.bounds
        return np.stack([(x - xmin) / (xmax - xmin), (y - ymin) / (ymax - ymin)])

    def to_world(self, frame: int, size: tuple[int, int]) -> np.ndarray:
        """Homography from pixels of a frame, counted from 0 in a picture of `size` (width, height), to the world.

        It follows the convention of `to_panorama`: the last pixel stands for the full size.
        """
        scale = np.diag([self.size[0] / (size[0] - 1), self.size[1] / (size[1] - 1), 1])
        return np.linalg.inv(self.matrices[frame]) @ scale
