"""What people hide of a scene with near and far things, before a camera that walks: completed along the optical flow.

Flow-guided video completion (Huang et al., "Temporally coherent completion of dynamic video", SIGGRAPH Asia 2016; Xu et
al., "Deep flow-guided video inpainting", CVPR 2019; Gao et al., "Flow-edge guided video completion", ECCV 2020), with
nothing learned:

1. **Flow** between neighbouring frames, and on into what people hide of it as a membrane (Laplace's equation): near
   things go on to move as near things do, far ones as far ones.
2. **Places.** What is hidden is followed from frame to frame, into the past and into the future, until a frame shows
   it. Places are handed on, not colours: those are sampled once, from the frame that shows them.
3. **Colours** of past and future, mixed by how near they are. By how much they miss the frame around the hole is
   continued into it as a membrane, too (Poisson image editing; Perez et al., SIGGRAPH 2003).
4. What **nobody ever sees** is made of patches in the frame that lacks most of it, and followed from there.

Pictures are uint8 [H, W, 3]. Nothing here knows files, options or networks.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import scipy

from vision.geometry.flow import backward_warp, optical_flow
from vision.layers.patch_filling import filled_by_patches

ROUNDS = 3
BESIDE = 2  # pixels beside people, whose motion the flow there still has
AROUND = 3  # pixels around a hole in which what fills it is held against the frame
CELL = 4  # pixels of a side of the cells in which smooth things are continued
IN_TURN = 4.0  # frames in which the past gives way to the future
FEATHER = 1.5  # pixels of blur of the seam


class Followed(NamedTuple):
    """Where what a frame hides is seen: for the pixels that are wanted, row by row.

    Attributes:
        frames: int32 [N], the frame that shows it; -1: none does.
        places: float32 [N, 2], (x, y) there.
    """

    frames: np.ndarray
    places: np.ndarray


NOWHERE = Followed(np.zeros(0, np.int32), np.zeros((0, 2), np.float32))


class Completion:
    """The background of each frame of a clip.

    Args:
        greys: uint8 [H, W] each, the frames.
        hidden: bool [F, H, W], where people hide the background.
    """

    def __init__(self, greys: Sequence[np.ndarray], hidden: np.ndarray):
        self.hidden = hidden
        self.wanted = np.stack([wider(one, AROUND) for one in self.hidden])
        length = len(greys)
        self.past = followed(greys, hidden, self.wanted, range(length))
        self.future = followed(greys, hidden, self.wanted, range(length - 1, -1, -1))

    def background(self, frame: int, picture: Callable[[int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The background of a frame, and what of it no frame shows: bool [H, W].

        Args:
            frame: its number, from 0.
            picture: of a frame, uint8 [H, W, 3], of any size that all have.
        """
        shown = picture(frame)
        size, small = shown.shape[1::-1], self.wanted.shape[:0:-1]
        wanted, hidden = (self._enlarged(one[frame], size) for one in (self.wanted, self.hidden))
        if not hidden.any():
            return shown, hidden
        y, x = np.nonzero(wanted)
        scale = np.divide(size, small, dtype=np.float32)
        places = (np.stack([x, y], axis=-1, dtype=np.float32) + 0.5) / scale - 0.5
        column, row = np.minimum(places.round().astype(int), np.array(small) - 1).T
        number = np.cumsum(self.wanted[frame]).reshape(self.wanted[frame].shape)[row, column] - 1
        rest = places - np.stack([column, row], axis=-1)
        sources = [(one[frame].frames[number], one[frame].places[number] + rest) for one in (self.past, self.future)]
        away = [np.where(frames < 0, np.inf, abs(frames - frame)) for frames, _ in sources]
        known = np.isfinite(np.minimum(*away))
        with np.errstate(invalid="ignore", over="ignore"):
            share = np.where(known, 1 / (1 + np.exp((away[0] - away[1]) / IN_TURN)), 0)
        colours = np.zeros((len(x), 3), np.float32)
        for (frames, seen), weight in zip(sources, (share, 1 - share)):
            for source in np.unique(frames[(frames >= 0) & (weight > 0.01)]):
                here = (frames == source) & (weight > 0.01)
                colours[here] += weight[here, None] * sampled(picture(source), (seen[here] + 0.5) * scale - 0.5)
        colours /= np.maximum(sum(np.where((frames >= 0) & (weight > 0.01), weight, 0)
                                  for (frames, _), weight in zip(sources, (share, 1 - share))), 0.01)[:, None]
        made, found = shown.astype(np.float32), np.zeros(wanted.shape, bool)
        made[y, x], found[y, x] = np.where(known[:, None], colours, made[y, x]), known
        missed = continued(shown - made, found & ~hidden, CELL * max(round(float(scale[0])), 1), wanted)
        soft = cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), FEATHER * float(scale[0]))
        weight = np.where(hidden, 1, soft)[..., None] * found[..., None]
        blended = shown + weight * (made + missed - shown)
        return blended.clip(0, 255).round().astype(np.uint8), hidden & ~found

    @staticmethod
    def _enlarged(where: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return cv2.resize(where.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def completed(frames: np.ndarray, hidden: np.ndarray,
              more: Callable[[np.ndarray], np.ndarray] | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """The backgrounds of all frames.

    Several times: from the second on nobody is there any more whose motion the flow beside him could have.

    Args:
        frames: uint8 [F, H, W, 3].
        hidden: bool [F, H, W], where people hide the background.
        more: says of the backgrounds so far what more is hidden, such as by shadows: bool [F, H, W].

    Returns:
        uint8 [H, W, 3] each, and what of them is a guess: bool [F, H, W].
    """
    made, unknown = _once(frames, frames, hidden)
    for _ in range(1, ROUNDS if hidden.any() else 1):
        hidden = hidden if more is None else hidden | more(made)
        made, unknown = _once(frames, made, hidden)
    return with_guesses(list(made), unknown), unknown


def _once(frames: np.ndarray, by: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The backgrounds of frames, [F, H, W, 3], and what no frame shows of them, by the flow between other pictures."""
    completion = Completion([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in by], hidden)
    made, unknown = zip(*(completion.background(frame, frames.__getitem__) for frame in range(len(frames))))
    return np.stack(made), np.stack(unknown)


# ---- flow and places ------------------------------------------------------------------------------------------------

def background_flow(first: np.ndarray, second: np.ndarray, hidden: np.ndarray, hidden_there: np.ndarray) -> np.ndarray:
    """The flow [H, W, 2] of the background from a frame, uint8 [H, W], to another, also where people, bool [H, W], hide
    it in either."""
    flow = optical_flow(first, second)
    arrives = backward_warp(hidden_there.astype(np.float32), flow, cv2.INTER_LINEAR) > 0
    known = ~wider(hidden | arrives, BESIDE)
    return np.where(known[..., None], flow, continued(flow, known, CELL, ~known))


def followed(greys: Sequence[np.ndarray], hidden: np.ndarray, wanted: np.ndarray,
             order: Iterable[int]) -> list[Followed]:
    """Where what is wanted, bool [F, H, W], is seen before it in an order of all frames, first to last or backwards."""
    places = np.dstack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in wanted.shape[:0:-1])))
    result = [NOWHERE] * len(greys)
    before, known = -1, (np.full(wanted.shape[1:], -1, np.int32), places)
    for frame in order:
        sources, seen, hole = np.full(wanted.shape[1:], frame, np.int32), places.copy(), wanted[frame]
        if before >= 0 and hole.any():
            flow = background_flow(greys[frame], greys[before], hidden[frame], hidden[before])
            sources[hole], seen[hole] = handed_on(known, hole, flow)
        else:
            sources[hole] = -1
        result[frame] = Followed(sources[hole], seen[hole])
        before, known = frame, (sources, seen)
    return result


def handed_on(known: tuple[np.ndarray, np.ndarray], wanted: np.ndarray, flow: np.ndarray) -> tuple[
        np.ndarray, np.ndarray]:
    """Where what is wanted in a frame is seen, as another frame knows it.

    Args:
        known: of the other frame, where its pixels are seen: frames int32 [H, W], -1 for none, and places [H, W, 2].
        wanted: bool [H, W].
        flow: [H, W, 2], from the frame to the other one.

    Returns:
        frames [N] and places [N, 2].
    """
    y, x = np.nonzero(wanted)
    there = np.stack([x, y], axis=-1).astype(np.float32) + flow[wanted]
    column, row = there.round().astype(int).T
    inside = (column >= 0) & (column < wanted.shape[1]) & (row >= 0) & (row < wanted.shape[0])
    column, row = np.where(inside, column, 0), np.where(inside, row, 0)
    frames, places = known
    return np.where(inside, frames[row, column], -1), places[row, column] + there - np.stack([column, row], axis=-1)


# ---- never seen -----------------------------------------------------------------------------------------------------

def with_guesses(pictures: list[np.ndarray], unknown: np.ndarray) -> list[np.ndarray]:
    """Pictures whose unknown pixels, bool [F, H, W], are made of patches: in the frame that has most of them, and
    followed from there, so that a guess keeps its place in the scene."""
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    places = np.dstack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in unknown.shape[:0:-1])))
    left = unknown.sum(axis=(1, 2))
    while left.any():
        key = int(left.argmax())
        pictures[key], left[key] = filled_by_patches(pictures[key], unknown[key]), 0
        for step in (1, -1):
            last, frame = (np.full(unknown.shape[1:], key, np.int32), places), key + step
            while 0 <= frame < len(pictures) and left[frame]:
                hole = unknown[frame]
                flow = background_flow(greys[frame], greys[frame - step], hole, unknown[frame - step])
                sources, seen = np.full(hole.shape, frame, np.int32), places.copy()
                sources[hole], seen[hole] = handed_on(last, hole, flow)
                for source in np.unique(sources[hole & (sources >= 0)]):
                    here = hole & (sources == source)
                    pictures[frame][here] = sampled(pictures[source], seen[here]).clip(0, 255).round()
                new = hole & (sources < 0)
                pictures[frame] = filled_by_patches(pictures[frame], new)
                sources[new], seen[new], left[frame] = frame, places[new], 0
                last, frame = (sources, seen), frame + step
    return pictures


# ---- pictures -------------------------------------------------------------------------------------------------------

def wider(where: np.ndarray, by: int) -> np.ndarray:
    """bool [H, W], `by` pixels wider."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    return cv2.dilate(where.astype(np.uint8), disc) > 0


def sampled(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours [N, 3] of a picture at places [N, 2], bicubically."""
    x, y = (np.ascontiguousarray(axis.reshape(1, -1), np.float32) for axis in places.T)
    widest = 2 ** 15 - 1  # of what OpenCV maps
    parts = [cv2.remap(picture, x[:, start:start + widest], y[:, start:start + widest], cv2.INTER_CUBIC,
                       borderMode=cv2.BORDER_REPLICATE)[0] for start in range(0, len(places), widest)]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros((0, 3), np.float32)


def continued(values: np.ndarray, known: np.ndarray, cell: int, where: np.ndarray) -> np.ndarray:
    """Values [H, W, C] as a membrane: smooth, like the mean of the known ones in each cell, and between these like the
    solution of Laplace's equation; 0 far from `where`, bool [H, W], for which it is wanted."""
    result = np.zeros(values.shape, np.float32)
    left, top, width, height = cv2.boundingRect(where.astype(np.uint8))
    if not width or not known.any():
        return result
    window = np.s_[max(0, top - 2 * cell):top + height + 2 * cell, max(0, left - 2 * cell):left + width + 2 * cell]
    values, known = values[window], known[window]
    shape = values.shape[1::-1]
    size = (-(-shape[0] // cell), -(-shape[1] // cell))
    weight = known.astype(np.float32)
    crowd = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(values * weight[..., None], size, interpolation=cv2.INTER_AREA).reshape(*crowd.shape, -1)
    smooth = membrane(sums / np.maximum(crowd, 1e-6)[..., None], crowd < 0.2)
    result[window] = cv2.resize(smooth, shape, interpolation=cv2.INTER_LINEAR).reshape(values.shape)
    return result


def membrane(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Values [h, w, C] whose unknown ones, bool [h, w], are the mean of their neighbours (Laplace's equation); 0 where
    nothing is known."""
    if unknown.all() or not unknown.any():
        return np.where(unknown[..., None], 0, values).astype(np.float32)
    number = np.full(np.add(unknown.shape, 2), -2)
    number[1:-1, 1:-1] = -1
    number[1:-1, 1:-1][unknown] = np.arange(unknown.sum())
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    y, x = np.nonzero(number >= 0)
    own = number[y, x]
    rows, columns, sums, degree = [own], [own], np.zeros((len(y), values.shape[2])), np.zeros(len(y))
    for up, across in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        other = number[y + up, x + across]
        degree += other > -2
        sums += np.where((other == -1)[:, None], padded[y + up, x + across], 0)
        rows.append(own[other >= 0])
        columns.append(other[other >= 0])
    weights = np.concatenate([degree, -np.ones(sum(map(len, rows)) - len(y))])
    system = scipy.sparse.csc_matrix((weights, (np.concatenate(rows), np.concatenate(columns))), (len(y), len(y)))
    result = np.array(values, np.float32)
    result[unknown] = scipy.sparse.linalg.splu(system).solve(sums)
    return result
