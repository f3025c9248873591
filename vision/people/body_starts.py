"""Where the search for a body's poses begins: which way she faces, and which way limbs lean."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from vision.people.clip_equations import HINGE_SPREAD, MOST_BENT, ClipEquations, State
from vision.people.coco import HIPS, JOINTS, SHOULDERS
from vision.people.jointed_body import BALL, COCO_JOINTS, HINGE, LIMBS, PLACE, SPINE

TURNS, TURNING_SPEED, MOST_UNLIKELY = 48, 6.0, 40.0
SPEED = 1.5
"""Metres per second by which ends of limbs usually move against the body."""
LIMB_CHAINS = ((16, 18, 20, 0), (17, 19, 21, 1), (1, 4, 7, 2), (2, 5, 8, 3))
"""A ball, a hinge, the end, and the number of both in `BALLS` and `HINGES`."""
FACING = np.diag([1.0, -1.0, -1.0])
"""The rotation of a body that stands before a camera and looks at it."""


def beginning(clip: ClipEquations) -> State:
    """The body upright at rest, turned as the torso is seen; which way round is decided over all frames."""
    joints, face = clip.skeleton.joints, clip.skeleton.face
    model = np.concatenate((face, joints[[16, 17, 1, 2]]))
    rows = [0, 1, 2, 3, 4, *SHOULDERS, *HIPS]
    points, trust = clip.points.numpy()[:, rows], clip.trust.numpy()[:, rows]
    observed = points[..., 0] + 1j * points[..., 1]
    angles = 2 * np.pi * np.arange(TURNS) / TURNS
    turns = np.stack([FACING @ Rotation.from_rotvec([0, angle, 0]).as_matrix() for angle in angles])
    flat = np.einsum("tij,pj->tpi", turns, model)
    shapes = flat[..., 0] + 1j * flat[..., 1]
    weight = trust[:, None] / trust.sum(-1)[:, None, None].clip(1e-6)
    shape_mean, seen_mean = (weight * shapes).sum(-1), (weight[:, 0] * observed).sum(-1)
    shapes, away = shapes - shape_mean[..., None], (observed - seen_mean[:, None])[:, None]
    scale = (weight * shapes.conj() * away).sum(-1) / (weight * abs(shapes)**2).sum(-1).clip(1e-9)
    error = (trust[:, None] * abs(away - scale[..., None] * shapes)**2).sum(-1) / (3 * clip.noise)**2
    error = np.minimum(error, MOST_UNLIKELY) + 4 * np.angle(scale)**2
    step = np.minimum(np.arange(TURNS), TURNS - np.arange(TURNS)) * 2 * np.pi / TURNS
    apart = step[np.abs(np.arange(TURNS)[:, None] - np.arange(TURNS))]
    way = _most_likely(error, (apart / (TURNING_SPEED * clip.second))**2 / 2)
    every = np.arange(clip.frames)
    size = abs(scale[every, way]).clip(1e-6)
    usual = np.median(size)
    size = np.where((size < usual / 3) | (size > usual * 3) | (trust.sum(-1) < 1), usual, size)
    depth = clip.focal / size
    found = np.nonzero(trust.sum(-1) >= 1)[0]
    depth = np.interp(every, found, depth[found]) if len(found) else depth
    depth = np.convolve(np.pad(depth, 2, mode="edge"), np.ones(5) / 5, "valid")
    seen = seen_mean + scale[every, way] * (
        (turns[way] @ joints[0])[:, 0] + 1j * (turns[way] @ joints[0])[:, 1] - shape_mean[every, way])
    seen = np.interp(every, found, seen.real[found]) + 1j * np.interp(every, found, seen.imag[found])
    middle = clip.middle.numpy()
    place = np.stack(((seen.real - middle[0]) * depth / clip.focal, (seen.imag - middle[1]) * depth / clip.focal,
                      depth), -1)
    back = clip.turned.numpy().transpose(0, 2, 1)
    own = clip.rest.repeat(clip.frames, 1)
    own[:, PLACE:SPINE] = torch.from_numpy((back @ place[..., None])[..., 0])
    own[:, HINGE:] = 0.3
    return State(torch.from_numpy(back @ turns[way]), own, torch.zeros(len(LIMBS) + 1, dtype=torch.float64))


def flipped(clip: ClipEquations, state: State) -> State:
    """A state in which each limb takes, of the four ways to lie along the rays of its key points, the most likely
    path over all frames: bones lean towards the camera or away from it (Sminchisescu, Triggs: Kinematic Jump
    Processes for Monocular 3D Human Tracking, 2003).
    """
    bodies = [clip.body(own, state.common, root) for own, root in zip(state.own, state.root)]
    places = torch.stack([torch.stack(body[0]) for body in bodies]).numpy()
    turns = torch.stack([torch.stack(body[1]) for body in bodies]).numpy()
    focal = clip.focal * float(state.common[-1].exp())
    rays = np.concatenate((clip.points.numpy() - clip.middle.numpy(), np.full((clip.frames, JOINTS, 1), focal)), -1)
    rays = (clip.turned.numpy().transpose(0, 2, 1)[:, None] @ rays[..., None])[..., 0]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    coco = {joint: number for number, joint in COCO_JOINTS.items()}
    trust, own = clip.trust.numpy(), state.own.clone()
    bends = np.linspace(0, MOST_BENT, 40)
    for ball, hinge, end, number in LIMB_CHAINS:
        axis = clip.hinges[number].numpy()
        upper, lower = clip.offsets[hinge].numpy(), clip.offsets[end].numpy()
        bent = Rotation.from_rotvec(bends[:, None] * axis).apply(lower / np.linalg.norm(lower))
        angles = bent @ upper / np.linalg.norm(upper)
        part = slice(BALL + 3 * number, BALL + 3 * number + 3)
        rest, spread = clip.rest[part].numpy(), 1 / clip.certain[part][0].sqrt().item()
        ways = np.zeros((clip.frames, 4, 2, 3))
        found = np.zeros((clip.frames, 4, 4))
        cost = np.zeros((clip.frames, 4))
        for k in range(clip.frames):
            parent = turns[k, clip.skeleton.parents[ball]]
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
        chosen = _most_likely(cost, np.stack([(((b[None] - a[:, None]) / (SPEED * clip.second))**2).sum((-1, -2))
                                              for a, b in zip(ways[:-1], ways[1:])]))
        values = torch.from_numpy(found[np.arange(clip.frames), chosen])
        own[:, part], own[:, HINGE + number] = values[:, :3], values[:, 3]
    return State(state.root, own, state.common)


def _on_ray(ray: np.ndarray, middle: np.ndarray, length: float, further: int) -> np.ndarray:
    """Where a unit ray from the camera is `length` from `middle`, the nearer or the further place; the nearest to it
    where the ray passes further away."""
    along = float(ray @ middle)
    away = length**2 - float(middle @ middle) + along**2
    return ray * (along + (1 if further else -1) * np.sqrt(max(away, 0.0)))


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
