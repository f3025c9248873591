"""The closed form (vision/layers/closed_form.py) over a clip of any length, in memory that hardly grows with it.

What all frames share is found once, from frames that are evenly spread over the clip: all of them, where it is short.
Then frame goes by frame, so nothing can be seen of where one part of the work ends and the next begins: what has to be
known of the frames before and after, such as with whom a shadow is connected, is kept of all frames on a coarse grid.
This is done in windows of frames that are written to a folder, so that whoever is interrupted goes on after the last of
them, with the same bytes in the end.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from util import distributed
from util.clips import evenly_spread
from util.images import read_image
from util.kept import kept
from util.packed import Packed
from vision.geometry.canvas import Canvas
from vision.layers import closed_form, effects
from vision.layers.clean_plate import LEVEL, MOST_SORTED
from vision.layers.closed_form import Solution, coarse, fine, in_cells, solve
from vision.layers.effect_owners import ways
from vision.layers.light import place_of, steady
from vision.layers.small_motion import KnownMotion
from vision.layers.standing_still import Looks, at_his_place, left_out_of, lost_parts, unlike_the_scene, usual_looks

SOLVED_PIXELS = 1 << 25
"""Of the canvas, in all frames that the scene is found from, if these are more than `MOST_SORTED`: 292 of 448x256."""
WINDOW_PIXELS = 1 << 24
"""Of the canvas, in the frames of a window: 146 of 448x256."""
EDGE = 3  # pixels of a moving camera's frame, into which small motions would bring what it does not show
PICTURES_KEPT = 128  # of those that were read last


def frames_solved_together(area: int) -> int:
    """How many frames of so many pixels one scene is found from."""
    return max(MOST_SORTED, SOLVED_PIXELS // area)


class Pictures(Sequence):
    """Pictures, uint8 [H, W, C], read from files when they are asked for; the latest stay in memory.

    Args:
        files: one for each.
        mode: as for `read_image`.
    """

    def __init__(self, files: list[Path], mode: str = "RGB"):
        self.files, self.mode = files, mode
        self._latest: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if index not in self._latest:
            while len(self._latest) >= PICTURES_KEPT:
                del self._latest[next(iter(self._latest))]
            self._latest[index] = read_image(self.files[index], self.mode)
        return self._latest[index]


def pictures_of(files: list[Path], mode: str = "RGB") -> Pictures:
    """The pictures of a clip; those that were asked for last, if they are still the same, so that what follows each
    other in a program does not read them again."""
    return _pictures_of(tuple((path, (status := path.stat()).st_mtime_ns, status.st_size) for path in files), mode)


@lru_cache(maxsize=8)  # frames, and UV maps of most clips' layers
def _pictures_of(marks: tuple[tuple[Path, int, int], ...], mode: str) -> Pictures:
    return Pictures([path for path, *_ in marks], mode)


class Windows(NamedTuple):
    """A clip in windows of frames, whose results are kept.

    Attributes:
        folder: where; None: nowhere.
        marks: uint8, what all results depend on.
        length: of the clip.
        size: frames of a window.
    """

    folder: Path | None
    marks: np.ndarray
    length: int
    size: int

    def frames(self, name: str, compute: Callable[[int], tuple], title: str) -> Iterator[tuple]:
        """What `compute` makes of each frame in turn, a tuple of arrays; from `name`_001.npz ... as far as it is there.

        Args:
            title: of the progress bar.
        """
        def window(some: range, done: Callable[[int], None]) -> tuple[np.ndarray, ...]:
            made = []
            for frame in some:
                made.append(compute(frame))  # the first one may show a bar of its own before
                done(1)
            return tuple(np.stack(column) for column in zip(*made))

        return self.spans(name, window, title)

    def spans(self, name: str, compute: Callable[[range, Callable[[int], None]], tuple], title: str) -> Iterator[tuple]:
        """The same, where `compute` makes all frames of a window at once: a tuple of arrays with a row for each.

        It is given what to tell how many frames more are done, of which the progress bar is there from the first time.
        """
        bars: list[tqdm] = []

        def computed(_marks: np.ndarray, ends: np.ndarray) -> tuple:
            some = range(*ends.tolist())

            def done(count: int) -> None:
                if not bars:
                    bars.append(tqdm(total=self.length, initial=some.start, desc=title, unit="frame", delay=2,
                                     disable=distributed.rank() > 0))
                bars[0].update(count)

            return compute(some, done)

        for number, start in enumerate(range(0, self.length, self.size), start=1):
            ends = np.array([start, min(start + self.size, self.length)])
            yield from zip(*kept(self.folder and self.folder / f"{name}_{number:03d}.npz", computed, self.marks, ends))
        for bar in bars:
            bar.close()

    def remove(self, name: str) -> None:
        """Remove what is kept by a name."""
        for file in self.folder.glob(f"{name}_*.npz") if self.folder else ():
            file.unlink(missing_ok=True)


class ClipOnCanvas:
    """The frames of a clip and the mattes of its people, laid on the canvas of all that the camera saw.

    Args:
        canvas: where the frames lie.
        frames: the pictures.
        files: of each frame, all that it and its mattes are read from.
        mattes: by layer, uint8 [H, W] of each frame.
        folder: where results are kept, for whoever asks again; None: nowhere.
    """

    def __init__(self, canvas: Canvas, frames: Pictures, files: list[list[Path]], mattes: dict[int, Packed],
                 folder: Path | None):
        self.canvas, self.frames, self.mattes, self.folder = canvas, frames, mattes, folder
        area = int(np.prod(canvas.size))
        self._motions: list[KnownMotion] = []  # of all frames, where the scene was found just now, and from all
        self.sampled = evenly_spread(len(frames), frames_solved_together(area))
        marks = [hashlib.blake2b(b"".join(path.read_bytes() for path in own), digest_size=16).digest() for own in files]
        marks.append(hashlib.blake2b(repr(canvas).encode(), digest_size=16).digest())
        if canvas.matrices is not None:
            marks.append(hashlib.blake2b(canvas.matrices.tobytes(), digest_size=16).digest())
        self.windows = Windows(folder and folder / "closed_form", np.frombuffer(b"".join(marks), np.uint8), len(frames),
                               max(WINDOW_PIXELS // area, 1))

    @cached_property
    def _found(self) -> tuple:
        def found(_marks: np.ndarray) -> tuple:
            laid = np.stack([self.laid(frame) for frame in self.sampled])
            in_view = np.stack([self.in_view(frame) for frame in self.sampled])
            masks = np.stack([self._given(frame) for frame in self.sampled], axis=1)
            looks = usual_looks(laid, masks, in_view)
            for f, frame in enumerate(laid):
                masks[:, f] = with_missed(masks[:, f], left_out_of(frame, masks[:, f], in_view[f], looks))
            motions = self._motions if len(laid) == len(self.frames) else None
            return *looks, never_seen_behind(masks, in_view), *solve(laid, in_view, masks, motions).arrays()

        return kept(self.folder and self.folder / "closed_form.npz", found, self.windows.marks)

    @property
    def solution(self) -> Solution:
        """What the frames share."""
        return Solution.of_arrays(self._found[3:])

    @property
    def never_seen_behind(self) -> dict[int, float]:
        """By layer, how much of the scene is never seen because its people stand before it, in shares of a frame."""
        pixels = np.prod(self.canvas.frame_size)
        return {layer: float(hidden / pixels) for layer, hidden in zip(self.mattes, self._found[2])}

    def laid(self, frame: int) -> np.ndarray:
        """A frame on the canvas: uint8 [h, w, 3]."""
        return self.canvas.lay(self.frames[frame], frame, cv2.INTER_CUBIC)

    def in_view(self, frame: int) -> np.ndarray:
        """What a frame shows of the canvas: bool [h, w]."""
        return self.canvas.in_view(frame, EDGE)

    def masks(self, frame: int) -> np.ndarray:
        """The people of all layers on the canvas, with what their mattes leave out: uint8 [L, h, w]."""
        given = self._given(frame)
        return with_missed(given, self._missed[frame]) if self._missed else given

    def _given(self, frame: int) -> np.ndarray:
        return np.stack([self.canvas.lay(mattes[frame], frame) for mattes in self.mattes.values()])

    @cached_property
    def _missed(self) -> Packed:
        """Of each frame where it shows somebody whom his mask leaves out, bool [L, h, w]; empty where that is nowhere.
        """
        looks = Looks(*self._found[:2])
        if not looks.stays.any():
            return Packed()

        def missed(frame: int) -> tuple[np.ndarray]:
            return left_out_of(self.laid(frame), self._given(frame), self.in_view(frame), looks),

        return Packed(one for one, in self.windows.frames("left_out", missed, "masks"))

    def people(self, has_plate: bool = True) -> dict[int, Packed]:
        """By layer the mattes of each frame, uint8 [H, W], with what they leave out of people who hardly move; what is
        unlike the plate beside them, where it `has_plate` that explains the frames, is theirs."""
        solution, there = self.solution, self.at_their_places & has_plate
        if not there.any() and not any(missed.any() for missed in self._missed):
            return self.mattes
        people = {layer: Packed() for layer in self.mattes}
        lost = lost_parts(np.array([[(matte > 127).sum() for matte in mattes] for mattes in self.mattes.values()]))
        for frame in range(len(self.frames)):
            masks = self.masks(frame)
            more = unlike_the_scene(self.laid(frame), solution.plate, solution.guessed, masks, solution.doubt,
                                    there[:, frame], lost[:, frame])
            if self._missed:
                more |= self._missed[frame]
            for (layer, whole), mine in zip(people.items(), more):
                seen = self.canvas.seen(255 * mine.astype(np.uint8), frame)
                whole.append(np.maximum(self.mattes[layer][frame], seen))
        return people

    @cached_property
    def at_their_places(self) -> np.ndarray:
        """Who stands in which frame where he mostly does, where it matters: bool [L, F]."""
        doubt, length = self.solution.doubt, len(self.frames)
        if not doubt.stirs.any():
            return np.zeros((len(self.mattes), length), bool)
        return np.stack([at_his_place((self.masks(frame)[layer] for frame in range(length)), *place, self.laid)
                         for layer, place in enumerate(zip(doubt.usual, doubt.beside))])

    def effects(self) -> dict[int, Packed]:
        """By layer the alpha of its shadows and reflections in each frame, uint8 [h, w] on the canvas."""
        solution = self.solution

        @cache
        def followed() -> Followed:
            return Followed(self, solution)

        made = {layer: Packed() for layer in self.mattes}
        for shared, in self.windows.frames("effects", lambda frame: (followed().effects(frame),), "whose effects"):
            for mine, effect in zip(made.values(), shared):
                mine.append(effect)
        self.windows.remove("alpha")
        self._motions.clear()
        return made

    def plate_and_effects(self) -> tuple[np.ndarray, dict[int, Packed]]:
        """The plate, float32 [h, w, 3] in [0, 1], and `effects`: where what nobody has of them leaves frames worse
        explained than the plain median does, that stands, and nobody has any."""
        solution, effects = self.solution, self.effects()
        worse, seen = np.zeros((2, *solution.zone.shape), np.float32)
        for frame in self.sampled:
            through = np.prod([1 - mine[frame] * LEVEL for mine in effects.values()], axis=0)
            visible = closed_form.shown(self.masks(frame).max(axis=0), self.in_view(frame), 2)
            visible &= ~solution.doubt.at(self.at_their_places[:, frame])
            worse += solution.worse_than_median(self.laid(frame), visible, 1 - through)
            seen += visible[solution.box]
        believed = closed_form.believed_over_median(worse, seen, solution.zone)
        plate = solution.plate.copy()
        plate[solution.box] += (solution.plain - plate[solution.box]) * (1 - believed[..., None])
        if believed.min() == 1:
            return plate, effects
        share = np.ones(plate.shape[:2], np.float32)
        share[solution.box] = believed
        return plate, {layer: Packed((mine[frame] * share).round().astype(np.uint8) for frame in range(len(mine)))
                       for layer, mine in effects.items()}

    def known_motion(self, frame: int) -> KnownMotion | None:
        """How a frame was moved; None: that is to be found."""
        return self._motions[frame] if self._motions else None


class Followed:
    """The effects of a clip, frame after frame, and what is known of whose they are.

    Args:
        clip: the clip.
        solution: what its frames share.
    """

    def __init__(self, clip: ClipOnCanvas, solution: Solution):
        self.clip, self.light = clip, solution.light
        places = [[place_of(mask) for mask in clip.masks(frame)] for frame in range(len(clip.frames))]
        self.places = np.stack([steady(mine) for mine in np.array(places).swapaxes(0, 1)])
        there = clip.at_their_places

        def seen(frame: int) -> tuple[np.ndarray, ...]:
            covered = clip.masks(frame).max(axis=0)
            alpha = solution.effects(clip.laid(frame), clip.in_view(frame), covered, there[:, frame],
                                     self.cast(frame).max(axis=0), clip.known_motion(frame))
            return alpha, coarse(covered) / 255

        windows = clip.windows
        if windows.length <= windows.size:
            windows = windows._replace(folder=None)
        self.alpha, self.connected = Packed(), effects.Connected()
        for alpha, covered in windows.frames("alpha", seen, "effects"):
            self.alpha.append(alpha)
            self.connected.add(coarse(alpha), covered)
        self.connected.close()
        cells = np.stack([coarse(self.of_people(frame)) for frame in clip.sampled])
        masks = np.stack([self.masks(frame) for frame in clip.sampled], axis=1)
        way = np.stack([ways(effect, masks[:, f]) for f, effect in enumerate(cells)], axis=1)
        self.owners = closed_form.owners_of_effects(cells, masks, way, in_cells(self.places[:, clip.sampled]),
                                                    solution.poses, solution.light)
        self._ways = dict(zip(clip.sampled, way.swapaxes(0, 1)))

    def masks(self, frame: int) -> np.ndarray:
        """The people of a frame on the coarse grid: [L, h, w] in [0, 1]."""
        return np.stack([coarse(mask) / 255 for mask in self.clip.masks(frame)])

    def cast(self, frame: int) -> np.ndarray:
        """The shadows that the light casts of the people of a frame: float32 [L, h, w] in [0, 1]."""
        return self.light.cast(self.clip.masks(frame) * LEVEL, self.places[:, frame, 1])

    def of_people(self, frame: int) -> np.ndarray:
        """Alpha of the effects of a frame that are connected with somebody: float32 [h, w]."""
        alpha = self.alpha[frame]
        return alpha * fine(self.connected.at(frame, coarse(alpha)).astype(np.float32), alpha.shape)

    def effects(self, frame: int) -> np.ndarray:
        """The effects of each layer in a frame: uint8 [L, h, w]."""
        alpha, way = self.of_people(frame), self._ways.pop(frame, None)
        if way is None:
            way = ways(coarse(alpha), self.masks(frame))
        return closed_form.shared_out(alpha, self.owners.shares(way, in_cells(self.places[:, frame]),
                                                                self.cast(frame)))


def with_missed(masks: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Masks, uint8 [L, h, w], with what they leave out, bool [L, h, w]."""
    return np.maximum(masks, 255 * missed.astype(np.uint8))


def never_seen_behind(masks: np.ndarray, in_view: np.ndarray) -> np.ndarray:
    """How many pixels of the scene nobody ever sees because a layer's people stand before them for most of the time:
    [L].

    Args:
        masks: uint8 [L, F, h, w].
        in_view: bool [F, h, w].
    """
    hidden = in_view.any(axis=0) & ~((masks.max(axis=0) <= 127) & in_view).any(axis=0)
    return np.array([((mask > 127).mean(axis=0)[hidden] > 0.5).sum() for mask in masks])
