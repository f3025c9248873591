"""A clip decomposed without training (vision/layers/closed_form.py): its layers as each frame shows them.

What belongs to the scene is found on a canvas that holds all that the camera saw; without camera motion it is the
frame.
"""

import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from data.camera_check import canvas_of, said_of, wrong_convention
from data.dataroot import Dataroot
from data.masks import read_matte
from util import distributed
from util.errors import UserError, several
from util.images import read_image
from vision.geometry.canvas import Canvas
from vision.layers import filling
from vision.layers.clean_plate import LEVEL
from vision.layers.closed_form import solve
from vision.people.iuv import is_body

EDGE = 3  # pixels of a moving camera's frame, into which small motions would bring what it does not show
BARELY = 5  # of 255: what covers no more than this leaves a pixel as it is
MOST_WARPED = 40  # frames, each way, in which a moving camera's background is looked for
NEIGHBOURS = (1, 2, 4, 8, 16, 32)  # frames that are registered to one that shares no scene with them
NO_PLATE = 0.05
"""Unexplained brightness from which on there is no one plate: the camera moves, and is not registered."""


def read_mattes(root: Dataroot) -> dict[int, np.ndarray]:
    """Per layer what its people cover: uint8 [F, H, W], by mask/ where there is one, else by iuv/.

    Raises:
        UserError: there is neither, or a picture is missing.
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

    def matte(layer: int, frame: int) -> np.ndarray:
        picture = root.file(f"{source}/{layer:02d}", frame)
        if source == "mask":
            return read_matte(picture, root.metadata.size)
        covered = 255 * is_body(read_image(picture, "RGBA")).astype(np.uint8)
        return cv2.resize(covered, root.metadata.size, interpolation=cv2.INTER_AREA)

    return {layer: np.stack([matte(layer, k) for k in range(len(root.frames))]) for layer in layers}


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
        people: by layer, uint8 [F, H, W], mattes of its people.
        effects: by layer, uint8 [F, h, w] on the canvas, alpha of their shadows and reflections.
        frames: uint8 [H, W, 3] each, as they were filmed.
        backgrounds: where no one plate explains the frames, the background of each; None: the plate does.
        shows_hidden: the mattes of people go on behind others (amodal), as those that people draw; those that programs
            find end there.
    """

    canvas: Canvas
    plate: np.ndarray
    people: dict[int, np.ndarray]
    effects: dict[int, np.ndarray]
    frames: list[np.ndarray]
    shows_hidden: bool
    backgrounds: list[np.ndarray] | None = None

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

        reach = len(self.frames) if self.canvas.matrices is None else MOST_WARPED
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


@lru_cache(maxsize=1)
def decompose(path: Path, use_homographies: bool, length: int) -> Decomposition:
    """Decompose the first `length` frames of the clip in folder `path`. The latest result is kept.

    Where the frames do not show one scene, as where the camera moves and is not registered, or moves between near and
    far things, each frame gets a background of its own, nobody has effects, and that is said.

    Raises:
        UserError: masks are missing.
    """
    root = Dataroot.open(path)
    people = {layer: mattes[:length] for layer, mattes in read_mattes(root).items()}
    canvas = scene_canvas(root, use_homographies)
    frames = [read_image(root.file("rgb_256", frame), "RGB") for frame in range(length)]
    laid = np.stack([canvas.lay(image, frame, cv2.INTER_CUBIC) for frame, image in enumerate(frames)])
    in_view = np.stack([canvas.in_view(frame, EDGE) for frame in range(length)])
    masks = np.stack([[canvas.lay(mask, frame) for frame, mask in enumerate(mattes)] for mattes in people.values()])
    solution = solve(laid, in_view, masks)
    shows_hidden = overlap(list(people.values()))
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
                  "and what people hide is filled from the frames around. Mattes, the order of people, small shifts in "
                  "time and removal as far as neighbours show what is hidden work well; shadows stay in the "
                  "background, and somebody who is shifted far in time stands before what the camera sees now; "
                  f"{remedy}", flush=True)
        nothing = {layer: np.zeros((length, *canvas.size[::-1]), np.uint8) for layer in people}
        return Decomposition(canvas, laid[0], people, nothing, frames, shows_hidden,
                             backgrounds_of_their_own(frames, people))
    plate = (255 * solution.plate).clip(0, 255).round().astype(np.uint8)
    return Decomposition(canvas, plate, people, dict(zip(people, solution.effects)), frames, shows_hidden)


def backgrounds_of_their_own(frames: list[np.ndarray], people: dict[int, np.ndarray]) -> list[np.ndarray]:
    """The background of each frame where no one scene explains all: the frame itself, and behind people what the frames
    around show, moved to it; what none of them shows is inpainted. uint8 [H, W, 3] each."""
    covered = np.max(list(people.values()), axis=0)
    shown = [cv2.dilate(one, np.ones((7, 7), np.uint8)) <= BARELY for one in covered]

    def background(frame: int) -> np.ndarray:
        def seen_from_here(other: int) -> filling.Shown:
            moved = filling.registered(frames[frame], shown[frame], frames[other], shown[other])
            return filling.exposed_alike(frames[frame], shown[frame], moved)

        filled, unknown = filling.filled_from_frames(frame, len(frames), frames[frame], ~shown[frame], seen_from_here,
                                                     NEIGHBOURS)
        return cv2.inpaint(filled, unknown.astype(np.uint8), 5, cv2.INPAINT_TELEA)

    return [background(frame) for frame in range(len(frames))]


def overlap(mattes: list[np.ndarray]) -> bool:
    """Whether mattes, uint8 [F, H, W] each, overlap by more than their edges."""
    inner = [np.stack([cv2.erode(matte, np.ones((5, 5), np.uint8)) for matte in person]) > 127 for person in mattes]
    return any((one & other).any() for i, one in enumerate(inner) for other in inner[:i])
