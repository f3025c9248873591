"""Where a place of the scene is in other frames, before a camera that walks: followed along the flow of backgrounds.

No homography holds before near and far things, but what is around one place moves alike. From frame to frame a place
moves with the flow there; what stands at it grows as the level line through it does, on which a flat ground is equally
far away; and it turns as the camera rolls. Pixels are (x, y), frames count from 0. Nothing here knows files, layers or
edits.
"""

from collections.abc import Callable
from functools import lru_cache
from threading import Lock

import cv2
import numpy as np

from vision.geometry.flow import optical_flow

SIDE = 256  # rows of the pictures in which flow is found
ROWS = 32  # of cells, whose mean flow is kept
AROUND = (6, 1)  # cells to each side of a place, and above and below it, which say how it moves
NEAR = 0.005  # cells: what misses the line by less counts alike
ROUNDS = 10  # of least squares with weights, for the least sum of distances
PAIRS, APART = 4, 24  # of frames that are compared to tell whether a camera walks, and how far apart they are
MOST_PATHS = 1000  # that are kept
WALKS = 0.02  # of the picture's height: how far half of it has moved then; leaves and waves come back


class SceneMotion:
    """How the scene moves in the pictures of a clip; may be used by several threads at once.

    Args:
        background: of a frame, uint8 RGB [H, W, 3], without anybody in it.
        length: how many frames there are.
        size: (width, height) of the pictures that places are in.
    """

    def __init__(self, background: Callable[[int], np.ndarray], length: int, size: tuple[int, int]):
        self.length, self.size = length, size
        scale = min(SIDE / size[1], 1.0)
        self.small = (max(round(scale * size[0]), ROWS), max(round(scale * size[1]), ROWS))
        self.cells = (max(round(ROWS * size[0] / size[1]), 1), ROWS)
        self.pixels_of_cells = np.divide(size, self.cells)
        self._background = background
        self._grey = lru_cache(maxsize=4)(self._made_grey)
        self.flow = lru_cache(maxsize=None)(self._flow)
        self.roll = lru_cache(maxsize=None)(self._roll)
        self.path = lru_cache(maxsize=MOST_PATHS)(self._path)
        self._lock = Lock()

    @property
    def walks(self) -> bool:
        """Whether the camera walks: half of the picture moves, and does not come back as leaves and waves do."""
        apart = min(APART, self.length - 1)
        first = np.linspace(0, self.length - 1 - apart, PAIRS).astype(int)
        moved = [np.linalg.norm(self.flow(frame, frame + apart), axis=-1) for frame in first.tolist()]
        return bool(np.median(moved) > WALKS * ROWS)

    def between(self, place: tuple[float, float], source: int, other: int) -> np.ndarray:
        """What moves a picture of something at a place of frame `source` to where it belongs in another: a similarity
        [3, 3]."""
        step = 1 if other > source else -1
        with self._lock:
            path = self.path(place, source, step)
            for frame in range(source + step * (len(path) - 1), other, step):
                x, y, _ = path[-1] @ (*place, 1)
                path.append(self.step((x, y), frame, frame + step) @ path[-1])
            return path[abs(other - source)]

    @staticmethod
    def _path(_place: tuple[float, float], _source: int, _step: int) -> list[np.ndarray]:
        """Where a path begins; `between` goes on with it."""
        return [np.eye(3)]

    def step(self, place: tuple[float, float], frame: int, other: int) -> np.ndarray:
        """The similarity [3, 3] of something at a place of a frame, to its neighbour."""
        flow = self.flow(frame, other)
        (right, down), (grows, _) = level_line(flow, *(np.add(place, 0.5) / self.pixels_of_cells - 0.5))
        turns = self.roll(frame, other)
        linear = np.array([[1 + grows, -turns], [turns, 1 + grows]])
        moved = np.add(place, self.pixels_of_cells * (right, down))
        return np.vstack([np.column_stack([linear, moved - linear @ place]), (0, 0, 1)])

    def _roll(self, frame: int, other: int) -> float:
        """By how much the camera rolls, radians: how the middle row turns, which neither yaw nor pitch does."""
        flow = self.flow(frame, other)
        rows, columns = flow.shape[:2]
        _, (_, turns) = level_line(flow, (columns - 1) / 2, (rows - 1) / 2, (columns, AROUND[1]))
        return float(turns)

    def _flow(self, frame: int, other: int) -> np.ndarray:
        """The mean flow of cells [rows, columns, 2] from a frame to another, in cells."""
        flow = optical_flow(self._grey(frame), self._grey(other))
        return cv2.resize(flow, self.cells, interpolation=cv2.INTER_AREA) / np.divide(self.small, self.cells)

    def _made_grey(self, frame: int) -> np.ndarray:
        picture = cv2.cvtColor(self._background(frame), cv2.COLOR_RGB2GRAY)
        return cv2.resize(picture, self.small, interpolation=cv2.INTER_AREA)


def level_line(flow: np.ndarray, x: float, y: float, around: tuple[int, int] = AROUND) -> np.ndarray:
    """How the level line through a place moves: by how much the place itself, and how much more one cell to the right.

    Args:
        flow: of cells [rows, columns, 2].
        x, y: the place in cells; outside of the picture it moves as its border does.
        around: how many cells to each side, and above and below, are looked at.

    Returns:
        float64 [2, 2], in cells, (x, y) each.
    """
    rows, columns = flow.shape[:2]
    x, y = min(max(x, 0), columns - 1), min(max(y, 0), rows - 1)
    window = [np.arange(max(round(middle) - reach, 0), min(round(middle) + reach + 1, count))
              for middle, reach, count in zip((x, y), around, (columns, rows))]
    return line_through(np.tile(window[0] - x, len(window[1])), flow[np.ix_(window[1], window[0])].reshape(-1, 2))


def line_through(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The line y = c + s x that misses points by the least sum of distances, by weighted least squares in rounds.

    Args:
        x: [N].
        y: [N, C].

    Returns:
        c and s: [2, C].
    """
    weights = np.ones(len(x))
    for _ in range(ROUNDS):
        share = weights / weights.sum()
        centre, mean = share @ x, share @ y
        slope = (share * (x - centre)) @ (y - mean) / (share @ (x - centre) ** 2)
        found = np.stack([mean - slope * centre, slope])
        weights = 1 / np.maximum(np.linalg.norm(y - found[0] - np.outer(x, slope), axis=1), NEAR)
    return found
