"""A body that moves with its joints: linear blend skinning, and its inverse for points near the skin.

Points are rows. The normalised space of a frame has the body without its global rotation and translation; its surface
there is that of the rest pose, moved by one rigid transform for each joint. A frame file keeps the *transposed*
global rotation, so that x_world = x_normalised @ rotation + translation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vision.geometry.meshes import face_normals, interpolated
from vision.geometry.nearest_surface import Nearest


@dataclass(frozen=True)
class Body:
    """What is constant over all frames of an actor.

    Attributes:
        vertices: float32 [V, 3], in the rest pose, in metres.
        faces: int64 [F, 3].
        face_uv: float32 [F, 3, 2], of each corner; u to the right, v upwards, in [0, 1].
        weights: float32 [V, J], how much each joint moves a vertex; rows sum to 1.
        canonical_transforms: float32 [J, 4, 4], from the rest pose to that in which the actor is learned; None: the
            rest pose itself.
    """

    vertices: Tensor
    faces: Tensor
    face_uv: Tensor
    weights: Tensor
    canonical_transforms: Tensor | None = None

    def to(self, device: torch.device) -> "Body":
        """The same on another device."""
        canonical = self.canonical_transforms
        return Body(self.vertices.to(device), self.faces.to(device), self.face_uv.to(device), self.weights.to(device),
                    None if canonical is None else canonical.to(device))


def blended(weights: Tensor, transforms: Tensor) -> Tensor:
    """Transforms [..., 4, 4] for weights [..., J], from those of joints [J, 4, 4]."""
    return (weights @ transforms.flatten(1)).unflatten(-1, (4, 4))


def moved(points: Tensor, transforms: Tensor) -> Tensor:
    """Points [..., 3] after transforms [..., 4, 4]."""
    return (transforms[..., :3, :3] @ points[..., None])[..., 0] + transforms[..., :3, 3]


def moved_back(points: Tensor, transforms: Tensor, smallest: float = 1e-6) -> Tensor:
    """Points [..., 3] before affine transforms [..., 4, 4].

    Where joints that turn against each other are blended, a transform may crush space: its determinant is taken as
    `smallest` at least, so that the result is finite.
    """
    first, second, third = transforms[..., :3, :3].unbind(-1)
    rows = torch.stack((torch.linalg.cross(second, third, dim=-1), torch.linalg.cross(third, first, dim=-1),
                        torch.linalg.cross(first, second, dim=-1)), -2)
    determinant = (rows[..., 0, :] * first).sum(-1)
    determinant = torch.where(determinant.abs() < smallest, determinant.sign() * smallest + (determinant == 0)
                              * smallest, determinant)
    return (rows @ (points - transforms[..., :3, 3])[..., None])[..., 0] / determinant[..., None]


def posed_vertices(body: Body, transforms: Tensor) -> Tensor:
    """The body's vertices [V, 3] in the normalised space of a frame whose joints have `transforms` [J, 4, 4]."""
    return moved(body.vertices, blended(body.weights, transforms))


def to_world(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """Normalised points [..., 3] in the world; `rotation` [3, 3] is transposed, as files have it."""
    return points @ rotation + translation


def to_normalised(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """World points [..., 3] in the normalised space of a frame."""
    return (points - translation) @ rotation.T


def local_coordinates(body: Body, posed: Tensor, points: Tensor, nearest: Nearest) -> tuple[Tensor, Tensor]:
    """Points by what of the skin they are near to.

    Args:
        body: the body.
        posed: [V, 3], its vertices in the points' space.
        points: [N, 3].
        nearest: where the skin is nearest to them.

    Returns:
        (2 u - 1, 2 v - 1, signed distance in metres, positive outside) [N, 3], and uv [N, 2]. On the skin the
        distance is 0; its sign is that of the nearest face's normal.
    """
    uv = interpolated(body.face_uv, nearest.face, nearest.barycentric)
    normals = face_normals(posed, body.faces)[nearest.face]
    side = ((points - nearest.point) * normals).sum(-1).sign()
    return torch.cat((2 * uv - 1, (side * nearest.squared_distance.sqrt())[:, None]), -1), uv


def skin_weights(body: Body, nearest: Nearest) -> Tensor:
    """Weights of joints [N, J] at points of the skin."""
    return interpolated(body.weights[body.faces], nearest.face, nearest.barycentric)


def pose_undone(body: Body, transforms: Tensor, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised points [N, 3] of a frame, moved back with the skin near them.

    Args:
        body: the body.
        transforms: [J, 4, 4] of the frame.
        points: [N, 3].
        weights: [N, J], `skin_weights` where they are nearest.

    Returns:
        the points in the rest pose, and in the canonical pose.
    """
    rest = moved_back(points, blended(weights, transforms))
    if body.canonical_transforms is None:
        return rest, rest
    return rest, moved(rest, blended(weights, body.canonical_transforms))


def turned_further(transforms: Tensor, joints: Tensor, turns: Tensor, parents: Sequence[int]) -> tuple[Tensor, Tensor]:
    """A pose with each joint turned a little further, and with it what hangs on it; with derivatives.

    Args:
        transforms: [..., J, 4, 4] of joints, from the rest pose, in the normalised space.
        joints: [..., J, 3], where they are there.
        turns: [..., J, 3], axis times angle about each joint, along the axes of that space, as if its parent did not
            turn.
        parents: of joints, each before its children; -1 for the root.

    Returns:
        transforms and joints.
    """
    rotations = torch.linalg.matrix_exp(crossed(turns))
    shifts = joints - (rotations @ joints[..., None])[..., 0]
    own = torch.nn.functional.pad(torch.cat((rotations, shifts[..., None]), -1), (0, 0, 0, 1))
    own = own + torch.diag(own.new_tensor([0, 0, 0, 1]))
    further: list[Tensor] = []
    for joint, parent in enumerate(parents):
        move = own[..., joint, :, :]
        further.append(move if parent < 0 else further[parent] @ move)
    moves = torch.stack(further, -3)
    return moves @ transforms, moved(joints, moves)


def crossed(vectors: Tensor) -> Tensor:
    """Matrices [..., 3, 3] that multiply as the cross product with vectors [..., 3] does: logarithms of rotations."""
    x, y, z = vectors.unbind(-1)
    nought = torch.zeros_like(x)
    return torch.stack((nought, -z, y, z, nought, -x, -y, x, nought), -1).unflatten(-1, (3, 3))
