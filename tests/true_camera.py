"""The camera that a clip was really filmed by, to measure the program's places against."""

import cv2
import numpy as np

from datasets.make_sample import Content, SampleClip
from datasets.synthetic.scene import View


def of_sample(size: tuple[int, int], frames: int) -> np.ndarray:
    """[F, 3, 3] of a moving sample clip with frames of `size`: first frame to each, in pixels at twice that size."""
    return SampleClip(View(2 * size[0], 2 * size[1]), frames, Content(camera="moving")).homographies


def in_larger(places: np.ndarray, size: tuple[int, int], larger: tuple[int, int]) -> np.ndarray:
    """Places [2, N] of a picture in the larger picture that was averaged down to it.

    No formula: the pixels of both are averages of the same finer picture, and a centre is the middle of these.
    """
    found = []
    for place, side, other in zip(places, size, larger):
        fine = np.arange(np.lcm(side, other))
        (first, second), (start, after) = (fine.reshape(pixels, -1).mean(axis=1)[:2] for pixels in (side, other))
        found.append((first + place * (second - first) - start) / (after - start))
    return np.stack(found)


def mapped(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places [2, N] mapped by a homography."""
    return cv2.perspectiveTransform(places.T[None], np.asarray(matrix, float))[0].T


def worst_miss(camera: np.ndarray, filmed_at: tuple[int, int], to_first: np.ndarray, size: tuple[int, int]) -> float:
    """By how much homographies put pixels of frames elsewhere in the first frame than the camera saw them.

    Args:
        camera: the true one, [F, 3, 3] from the first frame to each, in pixels of frames of `filmed_at`.
        to_first: [F, 3, 3] from each frame to the first, in pixels of the same frames averaged down to `size`.

    Returns:
        the largest distance in pixels of `filmed_at`.
    """
    places = np.stack(np.meshgrid(*(np.arange(0, side, 9.0) for side in size))).reshape(2, -1)
    misses = [mapped(np.linalg.inv(true), in_larger(places, size, filmed_at))
              - in_larger(mapped(matrix, places), size, filmed_at) for true, matrix in zip(camera, to_first)]
    return float(np.linalg.norm(misses, axis=1).max())
