"""Triangle meshes: normals, and what is known at corners or vertices anywhere on the surface."""

import torch
from torch import Tensor


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Normals [F, 3] of triangles, as long as twice their area; outwards where corners run counter-clockwise."""
    first, second, third = vertices[faces].unbind(-2)
    return torch.linalg.cross(second - first, third - second, dim=-1)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals [V, 3]: of the faces round a vertex, weighted by their area."""
    normals = torch.zeros_like(vertices).index_add_(0, faces.reshape(-1),
                                                    face_normals(vertices, faces).repeat_interleave(3, 0))
    return torch.nn.functional.normalize(normals, dim=-1)


def pseudonormals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals [V, 3]: of the faces round a vertex, weighted by their angles there.

    They tell outside from inside where a vertex is the nearest of a mesh (Baerentzen, Aanaes: Signed Distance
    Computation Using the Angle Weighted Pseudonormal, 2005).
    """
    corners = vertices[faces]
    edges = [torch.nn.functional.normalize(corners.roll(shift, 1) - corners, dim=-1) for shift in (1, 2)]
    angles = (edges[0] * edges[1]).sum(-1).clamp(-1, 1).acos()
    across = angles[..., None] * torch.nn.functional.normalize(face_normals(vertices, faces), dim=-1)[:, None]
    normals = torch.zeros_like(vertices).index_add_(0, faces.reshape(-1), across.reshape(-1, 3))
    return torch.nn.functional.normalize(normals, dim=-1)


def interpolated(at_corners: Tensor, face: Tensor, barycentric: Tensor) -> Tensor:
    """Values [N, C] at points of the surface, from those at each face's corners [F, 3, C]."""
    return (at_corners[face] * barycentric[..., None]).sum(-2)
