"""A clip decomposed without training (vision/layers/closed_form.py): its layers as each frame shows them.

What belongs to the scene is found on a canvas that holds all that the camera saw; without camera motion it is the
frame.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from data.camera_check import canvas_of, said_of, wrong_convention
from data.dataroot import Dataroot
from data.masks import read_matte
from data.own_backgrounds import BARELY, own_backgrounds
from data.solving import ClipOnCanvas, Pictures, pictures_of
from util import distributed
from util.errors import UserError, several
from util.images import read_image
from util.packed import Packed
from vision.geometry.canvas import Canvas
from vision.layers import filling, hidden_parts
from vision.layers.clean_plate import LEVEL
from vision.layers.matte_refinement import attached
from vision.people.iuv import is_body
from vision.people.person_mask import PERSON_MARGIN

FARTHEST = 300  # frames, each way, in which a background that moves is looked for
MOST_WARPED = 40  # the same, where the camera moves
MUCH_HIDDEN = 0.002  # of a frame: scene behind people that is worth a word where nobody ever sees it
NO_PLATE = 0.05
"""Unexplained brightness from which on there is no one plate: the camera moves, and is not registered."""


def read_mattes(root: Dataroot) -> dict[int, np.ndarray]:
    """Per layer what its people cover: uint8 [F, H, W], by mask/ where there is one, else by iuv/.

    Raises:
        UserError: there is neither, or a picture is missing.
    """
    return {layer: np.asarray(mattes) for layer, mattes in packed_mattes(root, len(root.frames)).items()}


def packed_mattes(root: Dataroot, length: int) -> dict[int, Packed]:
    """`read_mattes` of the first `length` frames, in little memory: uint8 [H, W] of each.

    Raises:
        UserError: as `read_mattes`.
    """
    layers, matte = matte_reader(root, root.metadata.size)
    return {layer: Packed(matte(layer, frame) for frame in range(length)) for layer in layers}


def matte_reader(root: Dataroot, size: tuple[int, int]) -> tuple[list[int], Callable[..., np.ndarray]]:
    """The layers of people, and what reads the matte of a layer in a frame: uint8 [H, W] of `size` (width, height), or
    of another one that it is given.

    Raises:
        UserError: as `read_mattes`.
    """
    source = "mask" if (root.path / "mask").is_dir() else "iuv"
    layers = sorted(int(path.name) for path in (root.path / source).glob("[0-9][0-9]"))
    if not layers:
        raise UserError(f"{root.path}: neither mask/01 nor iuv/01; expected a folder of masks or of UV maps for each "
                        "layer of people. Make the UV maps: bash datasets/prepare_iuv.sh "
                        f"{shlex.quote(str(root.path))}")
    problems = [problem for layer in layers for problem in root.require(f"{source}/{layer:02d}")]
    if problems:
        raise several(problems)

    def matte(layer: int, frame: int, size: tuple[int, int] = size) -> np.ndarray:
        picture = root.file(f"{source}/{layer:02d}", frame)
        if source == "mask":
            return read_matte(picture, size)
        covered = 255 * is_body(read_image(picture, "RGBA")).astype(np.uint8)
        return cv2.resize(covered, size, interpolation=cv2.INTER_AREA)

    return layers, matte


def scene_canvas(root: Dataroot, use_homographies: bool, density: float = 1) -> Canvas:
    """Where all frames of a clip lie, in pixels of the low resolution, `density` of them for one of a frame each way.

    Raises:
        UserError: homographies.txt is missing or broken, or puts frames so far from each other that it must be wrong.
    """
    registration = root.registration() if use_homographies else None
    return canvas_of(registration, root.path / "homographies.txt", root.frames, root.metadata.size, density)


@dataclass(frozen=True)
class Decomposition:
    """The layers of a clip, without training.

    Attributes:
        canvas: where the plate lies.
        plate: uint8 [h, w, 3] on the canvas, the clean plate: the scene without people.
        people: by layer, mattes of its people in each frame: uint8 [H, W].
        effects: by layer, alpha of their shadows and reflections in each frame: uint8 [h, w] on the canvas.
        frames: uint8 [H, W, 3] each, as they were filmed.
        bodies: by layer, the IUV pictures of its people, hidden or not; none where there are no such files.
        orders: of the layers in each frame, back to front.
        backgrounds: where no one plate explains the frames, the background of each; None: the plate does.
        shows_hidden: the mattes of people go on behind others (amodal), as those that people draw; those that programs
            find end there.
    """

    canvas: Canvas
    plate: np.ndarray
    people: dict[int, Packed]
    effects: dict[int, Packed]
    frames: Pictures
    shows_hidden: bool
    bodies: dict[int, Pictures]
    orders: list[list[int]]
    backgrounds: Packed | None = None

    def background(self, frame: int) -> np.ndarray:
        """The scene that a frame shows, uint8 [H, W, 3]."""
        if self.backgrounds is not None:
            return self.backgrounds[frame]
        return self.canvas.seen(self.plate, frame, cv2.INTER_CUBIC)

    def person_alpha(self, number: int, frame: int) -> np.ndarray:
        """Alpha of a layer's people in a frame: float32 [H, W] in [0, 1]."""
        person = self.people[number][frame] * LEVEL
        return (2 * person + cv2.blur(person, (3, 3))) / 3  # masks are harder than what a camera sees

    def effect_alpha(self, number: int, frame: int) -> np.ndarray:
        """Alpha of their shadows and reflections in it: float32 [H, W] in [0, 1]."""
        return self.canvas.seen(self.effects[number][frame], frame) * LEVEL

    def hidden_part(self, number: int, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What others hide of a layer's people, as the nearest frames show it.

        Returns:
            colours uint8 [H, W, 3] and alpha uint8 [H, W] of its people, and where they were found: bool [H, W].
        """
        cover, own = self._in_front(number, frame), self.people[number][frame]
        nothing = np.zeros((*own.shape, 3), np.uint8), own, np.zeros(own.shape, bool)
        if number not in self.bodies or not (cover > 127).any():
            return nothing
        side = 2 * int(own.shape[0] * PERSON_MARGIN) + 1
        body = body_in(self.bodies[number], frame)[0] > 0
        near = cv2.dilate(np.maximum(own > 127, body).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        wanted = near & (cover > 127)
        if not wanted.any():
            return nothing

        def part(other: int) -> hidden_parts.Part:
            return self.frames[other], self.people[number][other], 255 - self._in_front(number, other)

        colours, alpha, found = hidden_parts.copied(frame, len(self.frames), wanted,
                                                    lambda other: body_in(self.bodies[number], other), part)
        someone = body | (own > 127)
        alpha[~attached(someone | (found & (alpha > 127)), someone)] = 0
        return colours, alpha, found

    def _in_front(self, number: int, frame: int) -> np.ndarray:
        """What others cover who are in front of a layer, and a pixel around: uint8 [H, W]."""
        order = self.orders[frame]
        others = [self.people[other][frame] for other in order[order.index(number) + 1:]]
        return cv2.dilate(np.max([np.zeros_like(self.people[number][frame]), *others], axis=0),
                          np.ones((3, 3), np.uint8))

    def moving_background(self, frame: int) -> np.ndarray:
        """The background as it is in a frame, uint8 [H, W, 3]: what the frame shows, and what people and their effects
        hide of that by the frames around; the plate where none shows it."""
        if self.backgrounds is not None:
            return self.backgrounds[frame]
        picture, shown = self.frames[frame], self._shown(frame)

        def seen_from_here(other: int) -> filling.Shown:
            inside = self._shown(other)
            if self.canvas.matrices is None:
                seen = self.frames[other], inside
            else:
                motion = np.linalg.inv(self.canvas.matrices[frame]) @ self.canvas.matrices[other]
                size = self.canvas.frame_size
                seen = (cv2.warpPerspective(self.frames[other], motion, size, flags=cv2.INTER_CUBIC),
                        cv2.warpPerspective(255 * inside.astype(np.uint8), motion, size) > 250)
            return filling.exposed_alike(picture, shown, seen)

        reach = min(len(self.frames), FARTHEST) if self.canvas.matrices is None else MOST_WARPED
        filled, unknown = filling.filled_from_frames(frame, len(self.frames), picture, ~shown, seen_from_here,
                                                     range(1, reach))
        plate, _ = filling.exposed_alike(picture, shown, (self.background(frame), np.ones_like(shown)))
        return np.where(unknown[..., None], plate, filled)

    def _shown(self, frame: int) -> np.ndarray:
        """Where a frame shows the background alone: bool [H, W]."""
        covered = np.max([mattes[frame] for mattes in self.people.values()], axis=0)
        touched = np.max([self.effect_alpha(number, frame) for number in self.people], axis=0)
        hidden = (covered > BARELY) | (touched > BARELY * LEVEL)
        return cv2.dilate(hidden.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0


@lru_cache(maxsize=128)
def body_in(bodies: Pictures, frame: int) -> hidden_parts.Places:
    """`hidden_parts.places_of_body` of an IUV picture."""
    return hidden_parts.places_of_body(bodies[frame])


@lru_cache(maxsize=1)
def decompose(path: Path, use_homographies: bool, length: int, folder: Path | None = None) -> Decomposition:
    """Decompose the first `length` frames of the clip in folder `path`. The latest result is kept in memory; and in
    `folder`, such as a run's, what took long to compute, where another process finds it.

    Where the frames do not show one scene, as where the camera moves and is not registered, or moves between near and
    far things, each frame gets a background of its own, and that is said.

    Raises:
        UserError: masks are missing.
    """
    root = Dataroot.open(path)
    mattes = packed_mattes(root, length)
    canvas = scene_canvas(root, use_homographies)
    frames = pictures_of([root.file("rgb_256", frame) for frame in range(length)])
    files = [[root.file(name, frame) for name in root.folders] for frame in range(length)]
    clip = ClipOnCanvas(canvas, frames, files, mattes, folder)
    solution = clip.solution
    people = clip.people(has_plate=solution.unexplained <= NO_PLATE)
    shows_hidden = overlap(list(people.values()))
    bodies = {layer: pictures_of([root.file(f"iuv/{layer:02d}", frame) for frame in range(length)], "RGBA")
              for layer in people if not root.require(f"iuv/{layer:02d}")}
    orders = [root.composite_order(frame, sorted(people)) for frame in range(length)]
    if solution.unexplained > NO_PLATE:
        verdict = use_homographies and wrong_convention(root.path, root.registration(), root.folders["rgb_256"])
        remedy = (said_of(root.path, verdict) if verdict else
                  "homographies cannot describe a camera that moves between near and far things"
                  if use_homographies else
                  "if the camera only turns and zooms, register it (prepare.py) and give --use_homographies")
        if distributed.rank() == 0:
            print(f"WARNING: --init closed_form: the frames of {root.path} do not show one scene: a quarter of the "
                  f"pixels beside people differs by {100 * solution.unexplained:.0f} % of white from the best "
                  f"background, expected less than {100 * NO_PLATE:.0f} %; so each frame has a background of its own, "
                  "and what people hide is filled from the frames around. Mattes, the order of people, removal and "
                  "small shifts in time work well; a shadow that does not soon pass by stays in the background, and "
                  "somebody who is shifted in time goes on at his place in the scene, as far as that is in sight; "
                  f"{remedy}", flush=True)

        backgrounds, passing, guessed = own_backgrounds(frames, list(people.values()), clip.windows)
        if distributed.rank() == 0 and (guessed > MUCH_HIDDEN).any():
            some = np.flatnonzero(guessed > MUCH_HIDDEN)
            print(f"NOTE: of what people hide, up to {guessed.max():.1%} of the picture is never seen, in {len(some)} "
                  f"frames, {root.frames[some[0]]} to {root.frames[some[-1]]}: where people are removed or moved away, "
                  "a guess is shown there", flush=True)
        shadows = {layer: Packed(canvas.lay(alpha, frame) for frame, alpha in enumerate(mine))
                   for layer, mine in zip(people, passing)}
        return Decomposition(canvas, clip.laid(0), people, shadows, frames, shows_hidden, bodies, orders, backgrounds)
    for layer, share in clip.never_seen_behind.items():
        if share > MUCH_HIDDEN and distributed.rank() == 0:
            print(f"NOTE: what lies behind the people of layer {layer} is never seen, {share:.1%} of the picture: "
                  "where they are removed or moved away, a guess is shown", flush=True)
    plate, effects = clip.plate_and_effects()
    plate = (255 * plate).clip(0, 255).round().astype(np.uint8)
    return Decomposition(canvas, plate, people, effects, frames, shows_hidden, bodies, orders)


def overlap(mattes: list[Packed]) -> bool:
    """Whether the mattes of some layers, uint8 [H, W] of each frame, overlap by more than their edges."""
    for frame in zip(*mattes):
        inner = [cv2.erode(matte, np.ones((5, 5), np.uint8)) > 127 for matte in frame]
        if any((one & other).any() for i, one in enumerate(inner) for other in inner[:i]):
            return True
    return False
