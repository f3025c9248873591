"""A jointed body fitted to the 2-D key points of one camera over a whole clip.

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
import torch
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation
from torch import Tensor

from vision.people.coco import ANKLES, ELBOWS, HIPS, JOINTS, KNEES, SHOULDERS, WRISTS

LIMBS = {"torso": (3, 6, 9, 12, 13, 14), "head": (15,), "shoulders": (16, 17), "hips": (1, 2), "thighs": (4, 5),
         "shins": (7, 8), "upper arms": (18, 19), "forearms": (20, 21)}
"""What is as long on the left as on the right, and the joints at whose end it is."""
LENGTH_SPREAD = {"hips": 0.2, "head": 0.15, "shoulders": 0.12}
USUAL_LENGTH_SPREAD = 0.08
"""Standard deviations of the logarithms of lengths; hips and heads vary more: annotators differ about them."""
ALIKE, FOCAL_SPREAD = 10, 0.2
"""So many frames tell no more of lengths than one: where key points are set beside a joint, they are in all of them."""
COCO_JOINTS = {SHOULDERS[0]: 16, SHOULDERS[1]: 17, ELBOWS[0]: 18, ELBOWS[1]: 19, WRISTS[0]: 20, WRISTS[1]: 21,
               HIPS[0]: 1, HIPS[1]: 2, KNEES[0]: 4, KNEES[1]: 5, ANKLES[0]: 7, ANKLES[1]: 8}
"""Joints of the body at COCO's; its face is given as points of the head."""
HEAD, HEAD_PARTS, SPINE_PARTS = 15, (12, 15), (3, 6, 9)
BALLS = {16: (0.8, (0, 0, -0.5)), 17: (0.8, (0, 0, 0.5)), 1: (0.6, (0, 0, 0)), 2: (0.6, (0, 0, 0))}
"""Joints that turn freely: radians by which they usually do, about what (axis times angle)."""
HINGES = {18: (-0.7071, -0.7071, 0), 19: (-0.7071, 0.7071, 0), 4: (1, 0, 0), 5: (1, 0, 0)}
"""Joints that bend about one axis, to one side; at rest elbows are half turned."""
HINGE_SPREAD, SPINE_SPREAD, HEAD_SPREAD, MOST_BENT, HINGE_LIMIT = 1.0, 0.35, 0.4, 2.6, 0.05
ROOT, PLACE, SPINE, NECK, BALL = 0, 3, 6, 9, 12
"""Where numbers of a frame begin: root's rotation, place, spine, neck, balls; then come hinges."""
HINGE = BALL + 3 * len(BALLS)
NUMBERS = HINGE + len(HINGES)
SMOOTH = (0, 9, 15, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8)
"""Joints whose paths are smooth; so are points beside them, REACH metres along x and z, which turn with them."""
TURNING, REACH = (0, 9, 15, 16, 17, 18, 19, 1, 2, 4, 5), 0.12
ACCELERATION = 5.0
"""Metres per second squared, standard deviation."""
NOISE = 0.01
"""Of key points: standard deviation as a share of the person's height in pixels."""
TURNS, TURNING_SPEED, MOST_UNLIKELY = 48, 6.0, 40.0
class _Trust(NamedTuple):
    """Key points' standard deviation in units of the noise; how many of these are an outlier's; steps at most."""

    noise: float
    outlier: float
    steps: int


FIRST, THEN = _Trust(4, 25, 15), _Trust(1, 5, 45)
"""At first the body is drawn to all key points, then those that still are far away are outliers."""
FLIPS, WORTH, SPEED = 2, 0.002, 1.5
"""How often depths of limbs are chosen anew at most; the share of the cost that this must be worth; metres per second
by which ends of limbs usually move against the body."""
LIMB_CHAINS = ((16, 18, 20, 0), (17, 19, 21, 1), (1, 4, 7, 2), (2, 5, 8, 3))
"""A ball, a hinge, the end, and the number of both in `BALLS` and `HINGES`."""


class Skeleton(NamedTuple):
    """What is fitted.

    Attributes:
        joints: [J, 3], at rest, in metres.
        parents: of joints, -1 for the root.
        face: [5, 3], nose, eyes and ears (COCO's order), at rest.
    """

    joints: np.ndarray
    parents: tuple[int, ...]
    face: np.ndarray


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


def limb_scales(lengths: dict[str, float], joints: int) -> np.ndarray:
    """Scale [J] of the offset of each joint from its parent; 1 for hands and feet."""
    scales = np.ones(joints)
    for name, ends in LIMBS.items():
        scales[list(ends)] = lengths[name]
    return scales


def resized(vertices: np.ndarray, weights: np.ndarray, skeleton: Skeleton, lengths: dict[str, float], girth: float = 1.0
            ) -> tuple[np.ndarray, np.ndarray]:
    """A body with other lengths of limbs.

    Args:
        vertices: [V, 3] at rest.
        weights: [V, J] of skinning.
        skeleton: in it.
        lengths: by the names of `LIMBS`, how many times as long.
        girth: how many times as thick across the bones; the head keeps its form.

    Returns:
        vertices [V, 3] and joints [J, 3].
    """
    joints, parents = skeleton.joints, skeleton.parents
    scales = limb_scales(lengths, len(joints))
    moved = joints.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            moved[joint] = moved[parent] + scales[joint] * (joints[joint] - joints[parent])
    result = np.zeros_like(vertices)
    for joint in range(len(joints)):
        children = [child for child, parent in enumerate(parents) if parent == joint]
        if joint == HEAD:
            form = np.eye(3) * lengths["head"]
        elif not children:
            form = np.eye(3)
        elif joint == 0:
            form = np.diag([lengths["hips"] * girth, lengths["torso"], girth])
        else:
            bone = joints[children[0]] - joints[joint]
            along = np.outer(bone, bone) / (bone @ bone)
            form = scales[children[0]] * along + girth * (np.eye(3) - along)
        result += weights[:, joint, None] * ((vertices - joints[joint]) @ form.T + moved[joint])
    return result, moved


def fitted(skeleton: Skeleton, keypoints: np.ndarray, size: tuple[int, int], rate: float, focal: float | None = None,
           turned: np.ndarray | None = None, progress: Callable[[int, float], None] | None = None) -> ClipFit:
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

    Raises:
        ValueError: there are fewer than three frames, or none has key points.
    """
    frames = len(keypoints)
    if frames < 3 or not (keypoints[..., 2] > 0).any():
        raise ValueError(f"{frames} frames with {(keypoints[..., 2] > 0).sum()} key points")
    clip = _Clip(skeleton, keypoints, size, rate, focal, np.tile(np.eye(3), (frames, 1, 1)) if turned is None
                 else turned)
    step = 0

    def descended(state: _State, trust: _Trust) -> tuple[_State, float]:
        nonlocal step
        damping, cost = 1e-3, clip.cost(state, trust)
        for _ in range(trust.steps):
            normal = clip.normal_equations(state, trust)
            while damping < 1e8:
                other = clip.moved(state, normal.solved(damping))
                new = clip.cost(other, trust)
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

    state, _ = descended(clip.beginning(), FIRST)
    best, least = descended(state, THEN)
    for _ in range(FLIPS):
        state, cost = descended(descended(clip.flipped(best), FIRST)[0], THEN)
        if cost > (1 - WORTH) * least:
            break
        best, least = state, cost
    return clip.result(best)


class _State(NamedTuple):
    """Root rotations [F, 3, 3]; other numbers [F, NUMBERS], 0 for the root; logarithms of lengths and focal length."""

    root: Tensor
    own: Tensor
    common: Tensor


class _Normal(NamedTuple):
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


class _Clip:
    """Residuals of a clip and their derivatives."""

    def __init__(self, skeleton: Skeleton, keypoints: np.ndarray, size: tuple[int, int], rate: float,
                 focal: float | None, turned: np.ndarray):
        self.skeleton, self.frames = skeleton, len(keypoints)
        self.points = torch.from_numpy(keypoints[..., :2].astype(np.float64))
        self.trust = torch.from_numpy(keypoints[..., 2].clip(0, 1).astype(np.float64))
        self.turned, self.given = torch.from_numpy(turned.astype(np.float64)), focal
        self.middle = (torch.tensor(size, dtype=torch.float64) - 1) / 2
        self.focal = float(max(size)) if focal is None else focal
        seen = [np.ptp(frame[frame[:, 2] > 0, 1]) for frame in keypoints if (frame[:, 2] > 0).sum() > 1]
        self.noise = NOISE * float(np.quantile(seen, 0.8))
        self.smooth = ACCELERATION / rate**2
        self.turning, self.second = TURNING_SPEED / rate, 1 / rate
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

    # ---- one frame ----------------------------------------------------------------------------------------------

    def _body(self, own: Tensor, common: Tensor, root: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Places and rotations of joints, in the first camera's coordinates."""
        scale = torch.cat((common[:-1].exp(), torch.ones(1, dtype=own.dtype)))[self.group]
        turns = {0: root @ _turn(own[ROOT:PLACE])}
        turns |= {joint: _turn(own[SPINE:NECK] / len(SPINE_PARTS)) for joint in SPINE_PARTS}
        turns |= {joint: _turn(own[NECK:BALL] / len(HEAD_PARTS)) for joint in HEAD_PARTS}
        for place, joint in enumerate(BALLS):
            turns[joint] = _turn(own[BALL + 3 * place:BALL + 3 * place + 3])
        for place, joint in enumerate(HINGES):
            turns[joint] = _turn(own[HINGE + place] * self.hinges[place])
        places, rotations = [own[PLACE:SPINE]], [turns[0]]
        for joint, parent in enumerate(self.skeleton.parents[1:], start=1):
            places.append(places[parent] + rotations[parent] @ (self.offsets[joint] * scale[joint]))
            rotations.append(rotations[parent] @ turns[joint] if joint in turns else rotations[parent])
        return places, rotations

    def _frame(self, own: Tensor, common: Tensor, root: Tensor, turned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels [17, 2], points whose paths are smooth [M, 3], and by how much hinges are beyond their limits."""
        places, rotations = self._body(own, common, root)
        face = places[HEAD] + common[list(LIMBS).index("head")].exp() * self.face @ rotations[HEAD].T
        points = torch.cat((face, torch.stack([places[COCO_JOINTS[number]] for number in range(5, JOINTS)])))
        seen = points @ turned.T
        pixels = self.focal * common[-1].exp() * seen[:, :2] / seen[:, 2:].clamp(min=0.1) + self.middle
        beside = [places[joint] + REACH * rotations[joint][:, axis] for joint in TURNING for axis in (0, 2)]
        bent = own[HINGE:]
        return (pixels, torch.stack([*(places[joint] for joint in SMOOTH), *beside]),
                (bent.clamp(max=0) + (bent - MOST_BENT).clamp(min=0)) / HINGE_LIMIT)

    # ---- the clip -----------------------------------------------------------------------------------------------

    def beginning(self) -> _State:
        """The body upright at rest, turned as the torso is seen; which way round is decided over all frames."""
        joints, face = self.skeleton.joints, self.skeleton.face
        model = np.concatenate((face, joints[[16, 17, 1, 2]]))
        rows = [0, 1, 2, 3, 4, *SHOULDERS, *HIPS]
        points, trust = self.points.numpy()[:, rows], self.trust.numpy()[:, rows]
        observed = points[..., 0] + 1j * points[..., 1]
        angles = 2 * np.pi * np.arange(TURNS) / TURNS
        turns = np.stack([FACING @ Rotation.from_rotvec([0, angle, 0]).as_matrix() for angle in angles])
        flat = np.einsum("tij,pj->tpi", turns, model)
        shapes = flat[..., 0] + 1j * flat[..., 1]
        weight = trust[:, None] / trust.sum(-1)[:, None, None].clip(1e-6)
        shape_mean, seen_mean = (weight * shapes).sum(-1), (weight[:, 0] * observed).sum(-1)
        shapes, away = shapes - shape_mean[..., None], (observed - seen_mean[:, None])[:, None]
        scale = (weight * shapes.conj() * away).sum(-1) / (weight * abs(shapes)**2).sum(-1).clip(1e-9)
        error = (trust[:, None] * abs(away - scale[..., None] * shapes)**2).sum(-1) / (3 * self.noise)**2
        error = np.minimum(error, MOST_UNLIKELY) + 4 * np.angle(scale)**2
        step = np.minimum(np.arange(TURNS), TURNS - np.arange(TURNS)) * 2 * np.pi / TURNS
        apart = step[np.abs(np.arange(TURNS)[:, None] - np.arange(TURNS))]
        way = _most_likely(error, (apart / self.turning)**2 / 2)
        every = np.arange(self.frames)
        size = abs(scale[every, way]).clip(1e-6)
        usual = np.median(size)
        size = np.where((size < usual / 3) | (size > usual * 3) | (trust.sum(-1) < 1), usual, size)
        depth = self.focal / size
        found = np.nonzero(trust.sum(-1) >= 1)[0]
        depth = np.interp(every, found, depth[found]) if len(found) else depth
        depth = np.convolve(np.pad(depth, 2, mode="edge"), np.ones(5) / 5, "valid")
        seen = seen_mean + scale[every, way] * (
            (turns[way] @ joints[0])[:, 0] + 1j * (turns[way] @ joints[0])[:, 1] - shape_mean[every, way])
        seen = np.interp(every, found, seen.real[found]) + 1j * np.interp(every, found, seen.imag[found])
        middle = self.middle.numpy()
        place = np.stack(((seen.real - middle[0]) * depth / self.focal, (seen.imag - middle[1]) * depth / self.focal,
                          depth), -1)
        back = self.turned.numpy().transpose(0, 2, 1)
        own = self.rest.repeat(self.frames, 1)
        own[:, PLACE:SPINE] = torch.from_numpy((back @ place[..., None])[..., 0])
        own[:, HINGE:] = 0.3
        return _State(torch.from_numpy(back @ turns[way]), own, torch.zeros(len(LIMBS) + 1, dtype=torch.float64))

    def moved(self, state: _State, step: tuple[np.ndarray, np.ndarray]) -> _State:
        """A state after a step; the root's rotation begins anew."""
        own = state.own + torch.from_numpy(step[0]).reshape(state.own.shape)
        root = state.root @ torch.func.vmap(_turn)(own[:, ROOT:PLACE])
        own[:, ROOT:PLACE] = 0
        return _State(root, own, state.common + torch.from_numpy(step[1]))

    def flipped(self, state: _State) -> _State:
        """A state in which each limb takes, of the four ways to lie along the rays of its key points, the most likely
        path over all frames: bones lean towards the camera or away from it (Sminchisescu, Triggs: Kinematic Jump
        Processes for Monocular 3D Human Tracking, 2003).
        """
        bodies = [self._body(own, state.common, root) for own, root in zip(state.own, state.root)]
        places = torch.stack([torch.stack(body[0]) for body in bodies]).numpy()
        turns = torch.stack([torch.stack(body[1]) for body in bodies]).numpy()
        focal = self.focal * float(state.common[-1].exp())
        rays = np.concatenate((self.points.numpy() - self.middle.numpy(), np.full((self.frames, JOINTS, 1), focal)), -1)
        rays = (self.turned.numpy().transpose(0, 2, 1)[:, None] @ rays[..., None])[..., 0]
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        coco = {joint: number for number, joint in COCO_JOINTS.items()}
        trust, own = self.trust.numpy(), state.own.clone()
        bends = np.linspace(0, MOST_BENT, 40)
        for ball, hinge, end, number in LIMB_CHAINS:
            axis = self.hinges[number].numpy()
            upper, lower = self.offsets[hinge].numpy(), self.offsets[end].numpy()
            bent = Rotation.from_rotvec(bends[:, None] * axis).apply(lower / np.linalg.norm(lower))
            angles = bent @ upper / np.linalg.norm(upper)
            part = slice(BALL + 3 * number, BALL + 3 * number + 3)
            rest, spread = self.rest[part].numpy(), 1 / self.certain[part][0].sqrt().item()
            ways = np.zeros((self.frames, 4, 2, 3))
            found = np.zeros((self.frames, 4, 4))
            cost = np.zeros((self.frames, 4))
            for k in range(self.frames):
                parent = turns[k, self.skeleton.parents[ball]]
                seen = trust[k, [coco[hinge], coco[end]]].min() > 0.3
                lengths = [float(np.linalg.norm(places[k, b] - places[k, a])) for a, b in ((ball, hinge), (hinge, end))]
                for way in range(4):
                    if not seen:
                        ways[k, way] = places[k, [hinge, end]] - places[k, 0]
                        found[k, way] = own[k, [*range(part.start, part.stop), HINGE + number]].numpy()
                        continue
                    middle = _on_ray(rays[k, coco[hinge]], places[k, ball], lengths[0], way % 2)
                    last = _on_ray(rays[k, coco[end]], middle, lengths[1], way // 2)
                    first, second = ((b - a) / np.linalg.norm(b - a) @ parent
                                     for a, b in ((places[k, ball], middle), (middle, last)))
                    nearest = int(abs(angles - first @ second).argmin())
                    turn = Rotation.align_vectors([first, second, axis], [upper / np.linalg.norm(upper), bent[nearest],
                                                                         axis], [1, 0.5, 0.02])[0].as_rotvec()
                    ways[k, way] = np.stack((middle, last)) - places[k, 0]
                    found[k, way] = *turn, bends[nearest]
                    cost[k, way] = (((turn - rest) / spread)**2).sum() + (bends[nearest] / HINGE_SPREAD)**2
            chosen = _most_likely(cost, np.stack([(((b[None] - a[:, None]) / (SPEED * self.second))**2).sum((-1, -2))
                                                  for a, b in zip(ways[:-1], ways[1:])]))
            values = torch.from_numpy(found[np.arange(self.frames), chosen])
            own[:, part], own[:, HINGE + number] = values[:, :3], values[:, 3]
        return _State(state.root, own, state.common)

    def _apart(self, pixels: Tensor, trust: _Trust) -> tuple[Tensor, Tensor]:
        """Errors of key points in standard deviations [F, 17, 2], and their weights [F, 17] as outliers (Cauchy)."""
        error = (pixels - self.points) / (self.noise * trust.noise)
        return error, self.trust / (1 + (error**2).sum(-1) / trust.outlier**2)

    def cost(self, state: _State, trust: _Trust) -> float:
        """What is minimised."""
        pixels, paths, limits = self.frame(state.own, state.common, state.root, self.turned)
        error, _ = self._apart(pixels, trust)
        likely = trust.outlier**2 * (self.trust * torch.log1p((error**2).sum(-1) / trust.outlier**2)).sum()
        rough = torch.tensordot(self.seconds, paths, 1) / self.smooth
        rest = (self.certain * (state.own - self.rest)**2).sum() + (self.common_certain * state.common**2).sum()
        return float(likely + (rough**2).sum() + (limits**2).sum() + rest)

    def normal_equations(self, state: _State, trust: _Trust) -> _Normal:
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
        return _Normal(_band([block.numpy() for block in blocks]), -gradient.flatten().numpy(),
                       cross.flatten(0, 1).numpy(), both.numpy(), -common_gradient.numpy())

    def result(self, state: _State) -> ClipFit:
        """What was found, as large as the skeleton."""
        pixels = self.frame(state.own, state.common, state.root, self.turned)[0]
        common = state.common.exp()
        lengths = dict(zip(LIMBS, common[:-1].tolist()))
        scales = limb_scales(lengths, len(self.skeleton.joints))
        size = _height(self.skeleton, np.ones_like(scales)) / _height(self.skeleton, scales)
        pose = np.zeros((self.frames, len(scales), 3))
        own = state.own.numpy()
        pose[:, list(SPINE_PARTS)] = own[:, None, SPINE:NECK] / len(SPINE_PARTS)
        pose[:, list(HEAD_PARTS)] = own[:, None, NECK:BALL] / len(HEAD_PARTS)
        pose[:, list(BALLS)] = own[:, BALL:HINGE].reshape(self.frames, -1, 3)
        pose[:, list(HINGES)] = own[:, HINGE:, None] * self.hinges.numpy()
        places = torch.func.vmap(lambda o, r: torch.stack(self._body(o, state.common, r)[0]))(state.own, state.root)
        errors = np.where(self.trust > 0, (pixels - self.points).norm(dim=-1), np.nan)
        return ClipFit({name: size * length for name, length in lengths.items()}, self.focal * float(common[-1]), pose,
                       state.root.numpy(), size * own[:, PLACE:SPINE], size * places.numpy(), errors)


FACING = np.diag([1.0, -1.0, -1.0])
"""The rotation of a body that stands before a camera and looks at it."""


def _turn(vector: Tensor) -> Tensor:
    """The rotation [3, 3] of axis times angle [3], with derivatives at 0 too."""
    square = (vector * vector).sum() + 1e-12
    angle = square.sqrt()
    x, y, z = vector
    nought = torch.zeros_like(x)
    cross = torch.stack((torch.stack((nought, -z, y)), torch.stack((z, nought, -x)), torch.stack((-y, x, nought))))
    return (torch.eye(3, dtype=vector.dtype) + angle.sin() / angle * cross
            + (1 - angle.cos()) / square * (cross @ cross))


def _on_ray(ray: np.ndarray, middle: np.ndarray, length: float, further: int) -> np.ndarray:
    """Where a unit ray from the camera is `length` from `middle`, the nearer or the further place; the nearest to it
    where the ray passes further away."""
    along = float(ray @ middle)
    away = length**2 - float(middle @ middle) + along**2
    return ray * (along + (1 if further else -1) * np.sqrt(max(away, 0.0)))


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


def _most_likely(cost: np.ndarray, between: np.ndarray) -> np.ndarray:
    """The path [F] of the least cost through [F, N], with the cost [N, N] of each step, or [F - 1, N, N] (Viterbi)."""
    total, came = cost[0], []
    for row, step in zip(cost[1:], np.broadcast_to(between, (len(cost) - 1, *between.shape[-2:]))):
        ways = total[:, None] + step
        came.append(ways.argmin(0))
        total = ways.min(0) + row
    path = [int(total.argmin())]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return np.array(path[::-1])


def _height(skeleton: Skeleton, scales: np.ndarray) -> float:
    """From the ankles to the head, along the bones."""
    total = 0.0
    for end in (7, HEAD):
        while end > 0:
            parent = skeleton.parents[end]
            total += scales[end] * float(np.linalg.norm(skeleton.joints[end] - skeleton.joints[parent]))
            end = parent
    return total
