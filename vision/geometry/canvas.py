"""The panorama: where all frames of a clip lie on one picture of what the camera saw.

Sizes are (width, height). In frames and on the canvas pixel (x, y) has its centre at (x, y) (homography.py).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vision.geometry.homography import Registration

_FARTHEST = 1e8
"""Pixels beyond which nobody asks where a frame lies."""


@dataclass(frozen=True)
class Canvas:
    """Where all frames of a clip lie.

    Attributes:
        size: (width, height).
        frame_size: (width, height) of the frames.
        matrices: [F, 3, 3], homographies from frame to canvas; None: every frame is the canvas.
        density: pixels of the canvas per pixel of the first frame, each way.
    """

    size: tuple[int, int]
    frame_size: tuple[int, int]
    matrices: np.ndarray | None = None
    density: float = 1

    @classmethod
    def of(cls, registration: Registration | None, frame_size: tuple[int, int], density: float = 1,
           largest: float = np.inf) -> "Canvas":
        """The canvas that holds all frames.

        Args:
            registration: the camera's motion; None: it stands still, and the canvas is the frame.
            frame_size: (width, height) of the frames, whatever size they were registered at.
            density: pixels of the canvas per pixel of a registered first frame, each way.
            largest: side of the canvas in pixels; it is less dense where it would be larger.
        """
        if registration is None:
            return cls(frame_size, frame_size)
        world = registration.to_world(frame_size)
        right, bottom = np.array(frame_size) - 1
        corners = np.array([[[0, 0], [right, 0], [0, bottom], [right, bottom]]], float)
        reached = np.concatenate([cv2.perspectiveTransform(corners, matrix)[0] for matrix in world])
        reached = np.nan_to_num(reached, nan=_FARTHEST).clip(-_FARTHEST, _FARTHEST)
        first, last = np.floor(reached.min(0)), np.ceil(reached.max(0))
        density = min(density, (largest - 1) / (last - first).max())
        to_canvas = np.array([[density, 0, -density * first[0]], [0, density, -density * first[1]], [0, 0, 1]])
        width, height = (density * (last - first) + 1).astype(int).tolist()
        return cls((width, height), frame_size, to_canvas @ world, density)

    def lay(self, picture: np.ndarray, frame: int, flags: int = cv2.INTER_LINEAR,
            around: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """A picture [H, W, ...] of a frame laid on the canvas; its edge is repeated around, or what `around` says."""
        if self.matrices is None:
            return picture
        return cv2.warpPerspective(picture, self.matrices[frame], self.size, flags=flags, borderMode=around)

    def place(self, frame: int) -> np.ndarray:
        """The point of the canvas, (x, y) in [-1, 1] from edge to edge, that each pixel looks at: [2, H, W]."""
        pixels = np.stack(np.meshgrid(*map(np.arange, self.frame_size))).astype(float)
        if self.matrices is not None:
            pixels = np.stack(cv2.split(cv2.perspectiveTransform(cv2.merge(list(pixels)), self.matrices[frame])))
        return ((2 * pixels + 1) / np.reshape(self.size, (2, 1, 1)) - 1).astype(np.float32)

    def seen(self, picture: np.ndarray, frame: int, flags: int = cv2.INTER_LINEAR) -> np.ndarray:
        """What a frame sees of a picture of the canvas."""
        if self.matrices is None:
            return picture
        return cv2.warpPerspective(picture, self.matrices[frame], self.frame_size,
                                   flags=flags | cv2.WARP_INVERSE_MAP)

    def in_view(self, frame: int, edge: int = 0) -> np.ndarray:
        """Where the frame lies on the canvas, without an edge of some pixels: bool [h, w]."""
        if self.matrices is None:
            return np.ones(self.size[::-1], bool)
        inside = np.zeros(self.frame_size[::-1], np.uint8)
        inside[edge:len(inside) - edge, edge:-edge or None] = 255
        return cv2.warpPerspective(inside, self.matrices[frame], self.size) > 250
