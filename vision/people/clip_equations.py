"""What a clip says of a jointed body: residuals, their derivatives, and normal equations of damped least squares."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from vision.people.coco import JOINTS
from vision.people.jointed_body import (
    BALL,
    BALLS,
    COCO_JOINTS,
    HEAD,
    HEAD_PARTS,
    HINGE,
    HINGES,
    LIMBS,
    NECK,
    NUMBERS,
    PLACE,
    ROOT,
    SPINE,
    SPINE_PARTS,
    Skeleton,
    turn,
)

LENGTH_SPREAD = {"hips": 0.2, "head": 0.15, "shoulders": 0.12}
USUAL_LENGTH_SPREAD = 0.08
"""Standard deviations of the logarithms of lengths; hips and heads vary more: annotators differ about them."""
ALIKE, FOCAL_SPREAD = 10, 0.2
"""So many frames tell no more of lengths than one: where key points are set beside a joint, they are in all of them."""
HINGE_SPREAD, SPINE_SPREAD, HEAD_SPREAD, MOST_BENT, HINGE_LIMIT = 1.0, 0.35, 0.4, 2.6, 0.05
SMOOTH = (0, 9, 15, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8)
"""Joints whose paths are smooth; so are points beside them, REACH metres along x and z, which turn with them."""
TURNING, REACH = (0, 9, 15, 16, 17, 18, 19, 1, 2, 4, 5), 0.12
ACCELERATION = 5.0
"""Metres per second squared, standard deviation."""
FRAMES_AT_ONCE = 32
NOISE = 0.01
"""Of key points: standard deviation as a share of the person's height in pixels."""


class Trust(NamedTuple):
    """Key points' standard deviation in units of the noise; how many of these are an outlier's; steps at most."""

    noise: float
    outlier: float
    steps: int


class State(NamedTuple):
    """Root rotations [F, 3, 3]; other numbers [F, NUMBERS], 0 for the root; logarithms of lengths and focal length."""

    root: Tensor
    own: Tensor
    common: Tensor


class Normal(NamedTuple):
    """Normal equations: those of frames in LAPACK's lower band form, those of what is common, and both together."""

    band: np.ndarray
    own: np.ndarray
    cross: np.ndarray
    common: np.ndarray
    common_own: np.ndarray

    def solved(self, damping: float) -> tuple[np.ndarray, np.ndarray]:
        """Steps of frames [F * NUMBERS] and of what is common."""
        band = self.band.copy()
        band[0] = band[0] * (1 + damping) + 1e-9
        found = solveh_banded(band, np.column_stack((self.own, self.cross)), lower=True)
        left = self.common + np.diag(damping * np.diag(self.common) + 1e-9) - self.cross.T @ found[:, 1:]
        common = np.linalg.solve(left, self.common_own - self.cross.T @ found[:, 0])
        return found[:, 0] - found[:, 1:] @ common, common


class Lines(NamedTuple):
    """Points of the skin that shall lie on lines of the pictures, M in each frame.

    Attributes:
        joints: int64 [F, M, K], that move a point.
        weights: [F, M, K], by how much.
        offsets: [F, M, K, 3], of the point from each of these at rest.
        across: [F, M, 2], and wanted [F, M]: across @ pixel - wanted is the residual.
    """

    joints: Tensor
    weights: Tensor
    offsets: Tensor
    across: Tensor
    wanted: Tensor


class ClipEquations:
    """Residuals of a clip and their derivatives."""

    def __init__(self, skeleton: Skeleton, keypoints: np.ndarray, size: tuple[int, int], rate: float,
                 focal: float | None, turned: np.ndarray):
        self.skeleton, self.frames, self.size = skeleton, len(keypoints), size
        self.points = torch.from_numpy(keypoints[..., :2].astype(np.float64))
        self.trust = torch.from_numpy(keypoints[..., 2].clip(0, 1).astype(np.float64))
        self.turned, self.given = torch.from_numpy(turned.astype(np.float64)), focal
        self.middle = (torch.tensor(size, dtype=torch.float64) - 1) / 2
        self.focal = float(max(size)) if focal is None else focal
        seen = [np.ptp(frame[frame[:, 2] > 0, 1]) for frame in keypoints if (frame[:, 2] > 0).sum() > 1]
        self.noise = NOISE * float(np.quantile(seen, 0.8))
        self.smooth = ACCELERATION / rate**2
        self.second = 1 / rate
        self.offsets = torch.from_numpy(np.array([skeleton.joints[j] - skeleton.joints[max(p, 0)] for j, p in
                                                  enumerate(skeleton.parents)]))
        self.face = torch.from_numpy(skeleton.face - skeleton.joints[HEAD])
        group = np.full(len(skeleton.joints), len(LIMBS))
        for number, ends in enumerate(LIMBS.values()):
            group[list(ends)] = number
        self.group = torch.from_numpy(group)
        self.hinges = torch.tensor(list(HINGES.values()), dtype=torch.float64)
        rest, spread = np.zeros(NUMBERS), np.full(NUMBERS, np.inf)
        spread[SPINE:NECK], spread[NECK:BALL], spread[HINGE:] = SPINE_SPREAD, HEAD_SPREAD, HINGE_SPREAD
        for place, (radians, usual) in enumerate(BALLS.values()):
            part = slice(BALL + 3 * place, BALL + 3 * place + 3)
            rest[part], spread[part] = usual, radians
        self.rest, self.certain = torch.from_numpy(rest), torch.from_numpy(1 / spread**2)
        wide = [LENGTH_SPREAD.get(name, USUAL_LENGTH_SPREAD) for name in LIMBS]
        self.common_certain = 1 / torch.tensor([*wide, 1e-6 if focal else FOCAL_SPREAD], dtype=torch.float64)**2
        self.common_certain[:-1] *= max(1, self.frames / ALIKE)
        seconds = np.zeros((self.frames - 2, self.frames))
        for k in range(self.frames - 2):
            seconds[k, k:k + 3] = 1, -2, 1
        self.seconds = torch.from_numpy(seconds)
        self.frame = torch.func.vmap(self._frame, in_dims=(0, None, 0, 0))
        self.derivatives = torch.func.vmap(torch.func.jacfwd(self._frame, (0, 1)), in_dims=(0, None, 0, 0))
        of_lines = (0, None, 0, 0, 0)
        self.beside = torch.func.vmap(self._beside, in_dims=of_lines)
        self.beside_derivatives = torch.func.vmap(torch.func.jacfwd(self._beside, (0, 1)), in_dims=of_lines,
                                                  chunk_size=FRAMES_AT_ONCE)

    # ---- one frame ----------------------------------------------------------------------------------------------

    def body(self, own: Tensor, common: Tensor, root: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Places and rotations of joints, in the first camera's coordinates."""
        scale = torch.cat((common[:-1].exp(), torch.ones(1, dtype=own.dtype)))[self.group]
        turns = {0: root @ turn(own[ROOT:PLACE])}
        turns |= {joint: turn(own[SPINE:NECK] / len(SPINE_PARTS)) for joint in SPINE_PARTS}
        turns |= {joint: turn(own[NECK:BALL] / len(HEAD_PARTS)) for joint in HEAD_PARTS}
        for place, joint in enumerate(BALLS):
            turns[joint] = turn(own[BALL + 3 * place:BALL + 3 * place + 3])
        for place, joint in enumerate(HINGES):
            turns[joint] = turn(own[HINGE + place] * self.hinges[place])
        places, rotations = [own[PLACE:SPINE]], [turns[0]]
        for joint, parent in enumerate(self.skeleton.parents[1:], start=1):
            places.append(places[parent] + rotations[parent] @ (self.offsets[joint] * scale[joint]))
            rotations.append(rotations[parent] @ turns[joint] if joint in turns else rotations[parent])
        return places, rotations

    def _frame(self, own: Tensor, common: Tensor, root: Tensor, turned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels [17, 2], points whose paths are smooth [M, 3], and by how much hinges are beyond their limits."""
        places, rotations = self.body(own, common, root)
        face = places[HEAD] + common[list(LIMBS).index("head")].exp() * self.face @ rotations[HEAD].T
        points = torch.cat((face, torch.stack([places[COCO_JOINTS[number]] for number in range(5, JOINTS)])))
        pixels = self._pixels(points, common, turned)[0]
        beside = [places[joint] + REACH * rotations[joint][:, axis] for joint in TURNING for axis in (0, 2)]
        bent = own[HINGE:]
        return (pixels, torch.stack([*(places[joint] for joint in SMOOTH), *beside]),
                (bent.clamp(max=0) + (bent - MOST_BENT).clamp(min=0)) / HINGE_LIMIT)

    def _pixels(self, points: Tensor, common: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
        """Where the camera sees points [N, 3], [N, 2], and their depths [N, 1]."""
        seen = points @ turned.T
        depths = seen[:, 2:].clamp(min=0.1)
        return self.focal * common[-1].exp() * seen[:, :2] / depths + self.middle, depths

    def _skin(self, own: Tensor, common: Tensor, root: Tensor, turned: Tensor, joints: Tensor, weights: Tensor,
              offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Where the camera sees points of the skin [M, 2], and their depths [M, 1]."""
        places, rotations = (torch.stack(values) for values in self.body(own, common, root))
        moved = (rotations[joints] @ offsets[..., None])[..., 0] + places[joints]
        return self._pixels((weights[..., None] * moved).sum(-2), common, turned)

    def _beside(self, own: Tensor, common: Tensor, root: Tensor, turned: Tensor, lines: Lines) -> Tensor:
        """By how much [M] points are beside their lines."""
        pixels = self._skin(own, common, root, turned, *lines[:3])[0]
        return (lines.across * pixels).sum(-1) - lines.wanted

    def joints(self, state: State) -> Tensor:
        """Places [F, J, 3] of joints, in the first camera's coordinates."""
        return torch.func.vmap(lambda own, root: torch.stack(self.body(own, state.common, root)[0]))(state.own,
                                                                                                    state.root)

    def skin(self, state: State, joints: Tensor, weights: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Where the camera sees points of the skin [F, M, 2] in all frames, and their depths [F, M].

        Args:
            state: of the body.
            joints, weights, offsets: [M, K], [M, K] and [M, K, 3], as in `Lines`.
        """
        seen = torch.func.vmap(self._skin, in_dims=(0, None, 0, 0, None, None, None))
        pixels, depths = seen(state.own, state.common, state.root, self.turned, joints, weights, offsets)
        return pixels, depths[..., 0]

    def moved(self, state: State, step: tuple[np.ndarray, np.ndarray]) -> State:
        """A state after a step; the root's rotation begins anew."""
        own = state.own + torch.from_numpy(step[0]).reshape(state.own.shape)
        root = state.root @ torch.func.vmap(turn)(own[:, ROOT:PLACE])
        own[:, ROOT:PLACE] = 0
        return State(root, own, state.common + torch.from_numpy(step[1]))

    def _apart(self, pixels: Tensor, trust: Trust) -> tuple[Tensor, Tensor]:
        """Errors of key points in standard deviations [F, 17, 2], and their weights [F, 17] as outliers (Cauchy)."""
        error = (pixels - self.points) / (self.noise * trust.noise)
        return error, self.trust / (1 + (error**2).sum(-1) / trust.outlier**2)

    def cost(self, state: State, trust: Trust, lines: Lines | None = None) -> float:
        """What is minimised."""
        inputs = state.own, state.common, state.root, self.turned
        pixels, paths, limits = self.frame(*inputs)
        error, _ = self._apart(pixels, trust)
        likely = trust.outlier**2 * (self.trust * torch.log1p((error**2).sum(-1) / trust.outlier**2)).sum()
        rough = torch.tensordot(self.seconds, paths, 1) / self.smooth
        rest = (self.certain * (state.own - self.rest)**2).sum() + (self.common_certain * state.common**2).sum()
        beside = 0.0 if lines is None else (self.beside(*inputs, lines)**2).sum()
        return float(likely + (rough**2).sum() + (limits**2).sum() + rest + beside)

    def normal_equations(self, state: State, trust: Trust, lines: Lines | None = None) -> Normal:
        """The derivatives' products; those of frames more than two apart are 0."""
        inputs = state.own, state.common, state.root, self.turned
        pixels, paths, limits = self.frame(*inputs)
        (d_pixels, c_pixels), (d_paths, c_paths), (d_limits, _) = self.derivatives(*inputs)
        frames = self.frames
        error, weight = self._apart(pixels, trust)
        weight = weight.sqrt()[..., None] / (self.noise * trust.noise)
        own = torch.cat(((weight[..., None] * d_pixels).flatten(1, 2), d_limits), 1)
        common = torch.cat(((weight[..., None] * c_pixels).flatten(1, 2), d_limits.new_zeros(
            frames, len(HINGES), c_pixels.shape[-1])), 1)
        away = torch.cat(((weight * (pixels - self.points)).flatten(1), limits), 1)
        if lines is not None:
            d_beside, c_beside = self.beside_derivatives(*inputs, lines)
            own, common = torch.cat((own, d_beside), 1), torch.cat((common, c_beside), 1)
            away = torch.cat((away, self.beside(*inputs, lines)), 1)
        d_paths, c_paths, paths = (values.flatten(1, 2) if values.dim() == 4 else values.flatten(1)
                                   for values in (d_paths, c_paths, paths))
        chain = self.seconds.T @ self.seconds / self.smooth**2
        rough_common, rough = torch.tensordot(chain, c_paths, 1), chain @ paths
        blocks = [torch.einsum("fra,frb->fab", own, own) + torch.diag(self.certain)]
        blocks[0] = blocks[0] + chain.diagonal()[:, None, None] * torch.einsum("fra,frb->fab", d_paths, d_paths)
        for apart in (1, 2):
            share = chain.diagonal(apart)[:, None, None]
            blocks.append(share * torch.einsum("fra,frb->fab", d_paths[:-apart], d_paths[apart:]))
        gradient = (torch.einsum("fra,fr->fa", own, away) + torch.einsum("fra,fr->fa", d_paths, rough)
                    + self.certain * (state.own - self.rest))
        cross = torch.einsum("fra,frb->fab", own, common) + torch.einsum("fra,frb->fab", d_paths, rough_common)
        both = (torch.einsum("fra,frb->ab", common, common) + torch.einsum("fra,frb->ab", c_paths, rough_common)
                + torch.diag(self.common_certain))
        common_gradient = (torch.einsum("fra,fr->a", common, away) + torch.einsum("fra,fr->a", c_paths, rough)
                           + self.common_certain * state.common)
        return Normal(_band([block.numpy() for block in blocks]), -gradient.flatten().numpy(),
                       cross.flatten(0, 1).numpy(), both.numpy(), -common_gradient.numpy())


def _band(blocks: list[np.ndarray]) -> np.ndarray:
    """A symmetric matrix of blocks in LAPACK's lower band form; blocks[n] [F - n, P, P] are those n right of the
    diagonal."""
    frames, width = blocks[0].shape[:2]
    band = np.zeros((len(blocks) * width, frames * width))
    row, column = np.indices((width, width))
    for apart, block in enumerate(blocks):
        for k in range(len(block)):
            below = apart * width + column - row
            used = below >= 0
            band[below[used], (k * width + row)[used]] = block[k][used]
    return band
