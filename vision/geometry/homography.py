"""Homographies: the camera's motion as one per frame, and the placement of a picture.

Points are (x, y), x to the right, y down. In a picture of any size the pixel in column x and row y, counted from 0, has
its centre at (x, y); so where a picture is scaled by s, p becomes (p + 0.5) s - 0.5. "World" is the coordinate system
of the first frame.
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


def scaling(size: tuple[float, float], other: tuple[float, float]) -> np.ndarray:
    """Homography from pixels of a picture of `size` (width, height) to those of the same picture at `other` size."""
    scale = np.array(other, float) / size
    matrix = np.diag([*scale, 1.0])
    matrix[:2, 2] = (scale - 1) / 2
    return matrix


@dataclass(frozen=True)
class Registration:
    """The camera's motion over a clip, between centres of pixels.

    Attributes:
        size: (width, height) in pixels of the frames that the matrices speak of.
        bounds: (xmin, xmax, ymin, ymax) of the panorama that the background's texture covers, in world coordinates;
            may be fractional.
        matrices: float64 [F, 3, 3], each maps the world to its frame; invertible.
    """

    size: tuple[float, float]
    bounds: tuple[float, float, float, float]
    matrices: np.ndarray

    def to_world(self, size: tuple[int, int]) -> np.ndarray:
        """Homographies [F, 3, 3] from pixels of each frame to those of the first; all are pictures of `size`."""
        to_registered = scaling(size, self.size)
        return np.linalg.inv(to_registered) @ np.linalg.inv(self.matrices) @ to_registered

    def between(self, source: int, target: int, size: tuple[int, int]) -> np.ndarray:
        """Homography [3, 3] from pixels of a frame (index from 0) to those of another; both are pictures of `size`."""
        to_registered = scaling(size, self.size)
        return (np.linalg.inv(to_registered) @ self.matrices[target] @ np.linalg.inv(self.matrices[source])
                @ to_registered)

    def to_panorama(self, uv: np.ndarray, frame: int) -> np.ndarray:
        """Map the network's texture coordinates in a frame to those in the panorama.

        This is not `to_world`: 0 stands for the first pixel and 1, the last, for the full `size`, not size - 1. So the
        published program computes what its networks are trained on; it differs from where the camera looks by up to
        a pixel, which texture that is learned makes up for.

        Args:
            uv: [2, ...] in [0, 1], from 0 at the frame's first column and row to 1 at its last.
            frame: index from 0.

        Returns:
            float64 [2, ...], from (0, 0) to (1, 1) over the panorama's bounds.
        """
        size = np.reshape(self.size, (2,) + (1,) * (uv.ndim - 1))
        x, y = apply_homography(np.linalg.inv(self.matrices[frame]), uv * size)
        xmin, xmax, ymin, ymax = self.bounds
        return np.stack([(x - xmin) / (xmax - xmin), (y - ymin) / (ymax - ymin)])


def still(size: tuple[int, int], frames: int) -> Registration:
    """A camera that does not move, for frames of `size` (width, height)."""
    return Registration(size, (0, size[0] - 1, 0, size[1] - 1), np.tile(np.eye(3), (frames, 1, 1)))
