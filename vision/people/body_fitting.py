"""A jointed body fitted to the 2-D key points of one camera over a whole clip, and to masks.

Unknown are the lengths of the bones (one set for all frames, left as right), the pose and place of each frame, and,
unless it is given, the focal length. All are found together by damped least squares: robust errors of key points in
pixels, accelerations in metres per second squared, and how far joints are from rest. What one camera cannot tell, how
large the person is and, for one frame, which of two depths of a limb is right, is told by the height that is given, by
smoothness over time and by how knees and elbows bend; no prior that was learned from motion capture is used.

Cameras are OpenCV's: x right, y down, z forward. The body at rest stands along y, looks along z, and its left is at
x > 0. Joints are in SMPL's order.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vision.people.body_outlines import Outlines, outline_lines
from vision.people.body_starts import beginning, flipped
from vision.people.clip_equations import ClipEquations, Lines, State, Trust
from vision.people.jointed_body import (
    BALL,
    BALLS,
    HEAD_PARTS,
    HINGE,
    HINGES,
    LIMBS,
    NECK,
    PLACE,
    SPINE,
    SPINE_PARTS,
    Skeleton,
    bones_height,
    limb_scales,
)

FIRST, THEN = Trust(4, 25, 15), Trust(1, 5, 45)
"""At first the body is drawn to all key points, then those that still are far away are outliers."""
FLIPS, WORTH = 2, 0.002
"""How often depths of limbs are chosen anew at most; the share of the cost that this must be worth."""
ROUNDS, STEPS, STILL = 10, 4, 1e-3
"""How often outlines are looked at at most, steps after each, and metres that joints move on average in the last."""


class ClipFit(NamedTuple):
    """A clip's fit, in the coordinates of the camera.

    Attributes:
        lengths: by the names of `LIMBS`: how many times as long as the skeleton's.
        focal: in pixels.
        pose: [F, J, 3], axis times angle of each joint; the root's is 0.
        rotation: [F, 3, 3], and place [F, 3]: a point of the posed skeleton is rotation @ (point - its root) + place,
            in the first camera's coordinates.
        joints: [F, J, 3], in the first camera's coordinates, in metres.
        errors: [F, 17], pixels between key points and where the body has them; NaN where there are none.
    """

    lengths: dict[str, float]
    focal: float
    pose: np.ndarray
    rotation: np.ndarray
    place: np.ndarray
    joints: np.ndarray
    errors: np.ndarray


def fitted(skeleton: Skeleton, keypoints: np.ndarray, size: tuple[int, int], rate: float, focal: float | None = None,
           turned: np.ndarray | None = None, progress: Callable[[int, float], None] | None = None,
           outlines: Outlines | None = None) -> ClipFit:
    """Fit the skeleton to a person.

    Args:
        skeleton: of usual proportions; the person's height is taken to be its.
        keypoints: [F, 17, 3], COCO's: x and y in pixels, and a confidence, 0 where there is none.
        size: (width, height) of the pictures; the middle of the lens is theirs.
        rate: frames per second.
        focal: of the camera, in pixels; None: found, near the longer side.
        turned: [F, 3, 3], rotations from the first camera's coordinates to each one's (a camera that turns in its
            place); None: it stands still.
        progress: is told the number of each step and its cost.
        outlines: the body's skin and masks of the person, by which it is refined.

    Raises:
        ValueError: there are fewer than three frames, or none has key points.
    """
    frames = len(keypoints)
    if frames < 3 or not (keypoints[..., 2] > 0).any():
        raise ValueError(f"{frames} frames with {(keypoints[..., 2] > 0).sum()} key points")
    clip = ClipEquations(skeleton, keypoints, size, rate, focal, np.tile(np.eye(3), (frames, 1, 1)) if turned is None
                 else turned)
    step = 0

    def descended(state: State, trust: Trust, lines: Lines | None = None) -> tuple[State, float]:
        nonlocal step
        damping, cost = 1e-3, clip.cost(state, trust, lines)
        for _ in range(trust.steps):
            normal = clip.normal_equations(state, trust, lines)
            while damping < 1e8:
                other = clip.moved(state, normal.solved(damping))
                new = clip.cost(other, trust, lines)
                if new < cost:
                    break
                damping *= 5
            else:
                break
            gain, state, cost, damping = (cost - new) / cost, other, new, max(damping / 5, 1e-9)
            step += 1
            if progress is not None:
                progress(step, cost)
            if gain < 1e-4:
                break
        return state, cost

    state, _ = descended(beginning(clip), FIRST)
    best, least = descended(state, THEN)
    for _ in range(FLIPS):
        state, cost = descended(descended(flipped(clip, best), FIRST)[0], THEN)
        if cost > (1 - WORTH) * least:
            break
        best, least = state, cost
    for _ in range(ROUNDS):
        if outlines is None:
            break
        before, best = best, descended(best, THEN._replace(steps=STEPS), outline_lines(clip, best, outlines))[0]
        if float((clip.joints(best) - clip.joints(before)).norm(dim=-1).mean()) < STILL:
            break
    return _result(clip, best)


def _result(clip: ClipEquations, state: State) -> ClipFit:
    """What was found, as large as the skeleton."""
    pixels = clip.frame(state.own, state.common, state.root, clip.turned)[0]
    common = state.common.exp()
    lengths = dict(zip(LIMBS, common[:-1].tolist()))
    scales = limb_scales(lengths, len(clip.skeleton.joints))
    size = bones_height(clip.skeleton, np.ones_like(scales)) / bones_height(clip.skeleton, scales)
    pose = np.zeros((clip.frames, len(scales), 3))
    own = state.own.numpy()
    pose[:, list(SPINE_PARTS)] = own[:, None, SPINE:NECK] / len(SPINE_PARTS)
    pose[:, list(HEAD_PARTS)] = own[:, None, NECK:BALL] / len(HEAD_PARTS)
    pose[:, list(BALLS)] = own[:, BALL:HINGE].reshape(clip.frames, -1, 3)
    pose[:, list(HINGES)] = own[:, HINGE:, None] * clip.hinges.numpy()
    errors = np.where(clip.trust > 0, (pixels - clip.points).norm(dim=-1), np.nan)
    return ClipFit({name: size * length for name, length in lengths.items()}, clip.focal * float(common[-1]), pose,
                   state.root.numpy(), size * own[:, PLACE:SPINE], size * clip.joints(state).numpy(), errors)


