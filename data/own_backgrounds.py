"""Backgrounds of their own: where no one scene explains all frames of a clip, as before a camera that walks.

Each frame is its own background, and behind people and under their shadows (vision/layers/passing_shadows.py) there is
what other frames show, followed to it (vision/layers/flow_completion.py). A long clip is gone through in windows that
are kept, so that memory hardly grows with it. What the frames of a window hide is looked for around them, too.
"""

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np

from data.solving import Windows, frames_solved_together
from util.clips import evenly_spread, with_frames_around
from util.packed import Packed
from vision.layers.closed_form import CELL, coarse, shared_out
from vision.layers.effect_owners import effect_assignment, modes_of
from vision.layers.effects import pose_vectors
from vision.layers.flow_completion import completed, wider
from vision.layers.passing_shadows import explained, measured, passing_shadows

BARELY = 5  # of 255: what covers no more than this leaves a pixel as it is
FAINT_SHADOW, SHADOW_EDGE = 0.03, 4  # alpha, and pixels around, of shadows under which other frames say what there is
AROUND = 75  # frames before and after a window in which what its frames hide is looked for


def own_backgrounds(frames: Sequence[np.ndarray], people: list[Packed], windows: Windows
                    ) -> tuple[Packed, list[Packed], np.ndarray]:
    """The background of each frame.

    Args:
        frames: uint8 [H, W, 3].
        people: of each layer, the mattes of its people in each frame: uint8 [H, W].
        windows: where windows are kept; of a size of its own.

    Returns:
        uint8 [H, W, 3] of each frame; the alpha of each layer's shadows, uint8 [H, W] of each frame; and the share of
        each frame that is a guess, as no frame shows it, [F].
    """
    together = frames_solved_together(frames[0].shape[0] * frames[0].shape[1])
    windows = windows._replace(size=together)
    backgrounds, alpha, guessed = Packed(), Packed(), []

    def window(some: range, done: Callable[[int], None]) -> tuple[np.ndarray, ...]:
        done(0)
        around = with_frames_around(some, len(frames), AROUND)
        covered = np.stack([np.max([mattes[frame] for mattes in people], axis=0) for frame in around])
        found = without_people(np.stack([frames[frame] for frame in around]), covered)
        done(len(some))
        return tuple(one[some.start - around.start:][:len(some)] for one in found)

    for background, shadows, share in windows.spans("backgrounds", window, "backgrounds"):
        backgrounds.append(background)
        alpha.append(shadows)
        guessed.append(share)

    @cache
    def whose() -> np.ndarray:
        used = evenly_spread(len(frames), together)
        modes = modes_of([pose_vectors(np.stack([mattes[frame] for frame in used])) for mattes in people])
        masks = np.stack([[coarse(matte) / 255 for matte in mattes] for mattes in people])
        return effect_assignment(np.stack([coarse(one) for one in alpha]), masks, modes, CELL, used)

    effects = [Packed() for _ in people]
    for shared, in windows.frames("shadows", lambda frame: (shared_out(alpha[frame], whose()[:, frame]),),
                                  "whose shadows"):
        for mine, effect in zip(effects, shared):
            mine.append(effect)
    return backgrounds, effects, np.array(guessed)


def without_people(frames: np.ndarray, covered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames without people and their shadows.

    Args:
        frames: uint8 [F, H, W, 3].
        covered: uint8 [F, H, W], what people cover.

    Returns:
        uint8 [F, H, W, 3]; the alpha of all shadows, float32 [F, H, W]; and the share of each frame that is a guess:
        [F].
    """
    hidden = np.stack([cv2.dilate(one, np.ones((7, 7), np.uint8)) > BARELY for one in covered])
    shaded = np.zeros_like(hidden)

    def shadows(backgrounds: np.ndarray) -> np.ndarray:
        for where, alpha in zip(shaded, passing_shadows(frames, backgrounds, hidden)):
            where |= wider(alpha > FAINT_SHADOW, SHADOW_EDGE)
        return shaded

    made, guessed = completed(frames, hidden, shadows)
    alpha = [measured(*one) for one in zip(frames, made, hidden, shaded)]
    made, alpha = zip(*(explained(*one) for one in zip(frames, made, hidden, alpha)))
    return np.stack(made), np.stack(alpha), guessed.mean(axis=(1, 2))
