"""In which convention somebody's homographies are: each usual one is tried, and the frames tell which is right.

Where a frame is warped to another as the matrices say, what both show should look the same. Nothing here knows files.
"""

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.geometry.homography import Registration
from vision.geometry.panorama import panorama_bounds

MOST_FRAMES = 12
LEAST_OVERLAP = 0.25
"""Of a frame: where less of it is seen in another, the two tell nothing, and count as if the camera stood still."""
_SHIFTS = (1, 3)
_CLEARLY_BETTER, _LEAST_GAIN = 0.7, 0.008
"""Another convention is taken for the right one if it leaves at most that share of the misfit, and that much less."""


def conventions(registration: Registration, sizes: list[tuple[int, int]]) -> dict[str, Registration]:
    """A registration as it would be if its matrices had been meant in another way.

    Args:
        registration: as it was given.
        sizes: (width, height) of pictures whose pixels its matrices may be in instead.

    Returns:
        by what each is, in words that follow "they fit if ...".
    """
    matrices = registration.matrices / np.abs(registration.matrices).max(axis=(1, 2), keepdims=True)
    inverted = np.linalg.inv(matrices)
    turned = np.eye(3)[[1, 0, 2]]
    found = {
        "each is inverted (they go from each frame to the first)": inverted,
        "they are multiplied up (each goes from the frame before to its own)": _chained(matrices[1:]),
        "each is inverted and they are multiplied up (each goes from its frame to the one before)":
            _chained(inverted[1:]),
        "they are multiplied up from the first on (each goes from its frame to the next)": _chained(matrices[:-1]),
        "each is inverted and they are multiplied up from the first on (each goes from the next frame to its own)":
            _chained(inverted[:-1]),
        "they are moved up by one frame (the first line is one too many)": _moved(matrices, 1),
        "they are moved down by one frame (the line of the first frame is missing)": _moved(matrices, -1),
        "each is transposed": matrices.transpose(0, 2, 1),
        "each is transposed and inverted": np.linalg.inv(matrices.transpose(0, 2, 1)),
        "x and y change places": turned @ matrices @ turned,
        "their order is turned round (the last frame came first)": matrices[::-1],
    }
    changed = {words: replace(registration, matrices=of_all) for words, of_all in found.items()}
    for size in sizes:
        if max(abs(np.array(size) / registration.size - 1)) > 0.01:
            changed[f"size is {size[0]} {size[1]}"] = replace(registration, size=size)
    unit = np.array([[2 / registration.size[0], 0, -1], [0, 2 / registration.size[1], -1], [0, 0, 1]])
    changed["they are in coordinates from -1 to 1"] = replace(registration,
                                                              matrices=np.linalg.inv(unit) @ matrices @ unit)
    return {words: one for words, one in changed.items() if np.isfinite(one.matrices).all()}


def misfit(registration: Registration, frames: np.ndarray, clear: np.ndarray, indices: np.ndarray) -> float:
    """By how much frames differ when they are warped to each other.

    Args:
        registration: of all frames of the clip.
        frames: float32 [N, H, W] in [0, 1], some frames' brightness.
        clear: bool [N, H, W], where nobody is in them.
        indices: [N], which frames these are.

    Returns:
        the difference in brightness that three quarters of the pixels stay below, on average over pairs of frames.
    """
    height, width = frames.shape[1:]
    values = []
    for shift in _SHIFTS:
        for one in range(len(indices) - shift):
            other = one + shift
            try:
                matrix = registration.between(int(indices[other]), int(indices[one]), (width, height))
            except np.linalg.LinAlgError:  # read so, a frame is nowhere
                matrix = np.full((3, 3), np.nan)
            values.append(_difference(frames[one], clear[one], frames[other], clear[other], matrix))
    return float(np.mean(values)) if values else 0.0


def _difference(one, clear_one, other, clear_other, matrix) -> float:
    if not _is_sane(matrix, one.shape):
        return _difference(one, clear_one, other, clear_other, np.eye(3))
    size = one.shape[::-1]
    warped = cv2.warpPerspective(other, matrix, size, flags=cv2.INTER_LINEAR)
    seen = cv2.warpPerspective(255 * clear_other.astype(np.uint8), matrix, size) > 250
    both = seen & clear_one
    if not both.any() or both.mean() < LEAST_OVERLAP * clear_one.mean():
        return 0.0 if np.array_equal(matrix, np.eye(3)) else _difference(
            one, clear_one, other, clear_other, np.eye(3))
    return float(np.quantile(np.abs(warped - one)[both], 0.75))


def _is_sane(matrix: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether no corner of a frame lies behind the camera."""
    height, width = shape
    w = matrix[2] @ np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]], float)
    return bool(np.isfinite(matrix).all() and (w > 0).all() | (w < 0).all())


class Verdict(NamedTuple):
    """What is wrong with a registration: a sentence, and what it should be; None: nothing that is known."""

    text: str
    better: Registration | None


def judge(registration: Registration, frames: np.ndarray, clear: np.ndarray, indices: np.ndarray,
          sizes: list[tuple[int, int]]) -> Verdict | None:
    """What is wrong with a registration, by the frames.

    Args:
        registration, frames, clear, indices: as for `misfit`.
        sizes: as for `conventions`.

    Returns:
        None if it fits, or the frames do not show whether it does.
    """
    as_given = misfit(registration, frames, clear, indices)
    still = misfit(replace(registration, matrices=np.tile(np.eye(3), (len(registration.matrices), 1, 1))), frames,
                   clear, indices)
    found = {words: misfit(one, frames, clear, indices)
             for words, one in conventions(registration, sizes).items()}
    words = min(found, key=lambda name: found[name])
    missed = f"warped to each other by them, frames differ by {100 * as_given:.1f} % of white"
    if found[words] < _CLEARLY_BETTER * as_given and as_given - found[words] > _LEAST_GAIN and (
            found[words] < _CLEARLY_BETTER * still):
        return Verdict("the matrices are of another convention: "
                       f"{missed}, but by {100 * found[words]:.1f} % if {words}",
                       from_first(conventions(registration, sizes)[words]))
    if as_given > still * 1.1 and as_given - still > _LEAST_GAIN:
        return Verdict(f"the matrices do not fit the frames: {missed}, by {100 * still:.1f} % if the camera stands "
                       "still, and no usual convention does better", None)
    return None


def from_first(registration: Registration) -> Registration:
    """The same camera, with the first frame as the world and bounds that hold all frames."""
    matrices = registration.matrices @ np.linalg.inv(registration.matrices[0])
    matrices = matrices / matrices[:, 2:, 2:]
    size = (round(registration.size[0]), round(registration.size[1]))
    return Registration(size, panorama_bounds(matrices, size), matrices)


def _chained(steps: np.ndarray) -> np.ndarray:
    """Matrices from frame 0 to each frame, from those from each frame to the next: [F, 3, 3] from [F - 1, 3, 3]."""
    matrices = [np.eye(3)]
    for step in steps:
        product = step @ matrices[-1]
        matrices.append(product / np.abs(product).max())
    return np.stack(matrices)


def _moved(matrices: np.ndarray, by: int) -> np.ndarray:
    """Frame k gets the matrix of frame k + `by`; what is missing at an end goes on as the camera moved there."""
    if len(matrices) < 2:
        return matrices
    if by < 0:
        return _moved(matrices[::-1], -by)[::-1]
    last = matrices[-1] @ np.linalg.inv(matrices[-2]) @ matrices[-1]
    return np.concatenate([matrices[1:], last[None]])


def some_frames(count: int) -> np.ndarray:
    """Indices of the frames to look at: a few, in runs of neighbours where there are many."""
    if count <= 3 * MOST_FRAMES:
        return evenly_spread(count, MOST_FRAMES)
    step = max(1, round(count / (4 * MOST_FRAMES)))
    start = evenly_spread(count - (MOST_FRAMES // 2) * step, 2)
    return np.unique(np.concatenate([first + step * np.arange(MOST_FRAMES // 2) for first in start]))
