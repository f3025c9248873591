"""Video files, written frame by frame."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


class VideoWriter:
    """A WebM video (VP8) that any browser plays, made in constant memory.

    Args:
        path: the file to write.
        frame_rate: frames per second.
    """

    def __init__(self, path: Path, frame_rate: Fraction):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frame_rate = frame_rate
        self.container = av.open(str(path), mode="w", format="webm")
        self.stream = None

    def add(self, pixels: np.ndarray) -> None:
        """Append a frame: uint8 RGB [H, W, 3]; an odd last row or column, which VP8 cannot hold, is dropped."""
        height, width = (side - side % 2 for side in pixels.shape[:2])
        if self.stream is None:
            self.stream = self.container.add_stream("libvpx", rate=self.frame_rate, width=width, height=height,
                                                    pix_fmt="yuv420p")
            self.stream.bit_rate = 0
            self.stream.options = {"crf": "6", "b": "20M", "deadline": "good", "cpu-used": "4"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        """Write what is left in the encoder, and the file's index."""
        if self.stream is not None:
            self.container.mux(self.stream.encode())
        self.container.close()
