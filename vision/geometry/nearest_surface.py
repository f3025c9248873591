"""The nearest point of a triangle mesh, exact.

Of triangles that are equally near, as at an edge, that is taken which Neural Actor's program takes: the one whose index
leaves the smallest remainder when divided by 128; of several, the last.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

TIE = 1e-9
"""Triangles whose distances differ by less (in metres) are equally near."""
TURNS = 128
"""Triangles are asked in as many rounds by a GPU's threads; an earlier thread's answer stays."""
FIRST_CANDIDATES, TRIED_AT_ONCE = 48, 4
LAST = 1 << 62


class Nearest(NamedTuple):
    """Where the surface is nearest to points.

    Attributes:
        face: int64 [N].
        barycentric: [N, 3], >= 0, their sum is 1.
        squared_distance: [N].
        point: [N, 3], on the surface.
    """

    face: Tensor
    barycentric: Tensor
    squared_distance: Tensor
    point: Tensor


class Surface:
    """Triangles of a mesh, prepared for many questions.

    A triangle lies in a ball round its centre. The nearest ones are sought among those with the nearest centres, ever
    more of them until no ball beyond can reach as near: on the CPU with a k-d tree, on a GPU by all distances.
    Computed in float64, as the difference of two triangles that share an edge is all that tells them apart.
    """

    def __init__(self, vertices: Tensor, faces: Tensor):
        """Prepare vertices [V, 3] and faces [F, 3]; without gradients."""
        self.vertices, self.faces = vertices.detach(), faces
        corners = self.vertices.double()[faces]
        self.corner, edges = corners[:, 0], corners[:, 1:] - corners[:, :1]
        self.edges = edges
        self.centre = corners.mean(1)
        self.radius = (corners - self.centre[:, None]).norm(dim=-1).amax(-1)
        self.reach = float(self.radius.max())
        products = edges @ edges.transpose(1, 2)
        first, mixed, second = products[:, 0, 0], products[:, 0, 1], products[:, 1, 1]
        self.products = torch.stack((first, mixed, second, first * second - mixed**2), -1)
        number = torch.arange(len(faces), device=faces.device)
        self.rank = number % TURNS * len(faces) - number
        self.tree = cKDTree(self.centre.numpy()) if self.centre.device.type == "cpu" else None

    def nearest(self, points: Tensor, chunk: int = 1 << 16) -> Nearest:
        """The nearest points of the surface to points [N, 3]; they get no gradients."""
        found = [self._nearest(part) for part in points.detach().split(chunk)] if len(points) else []
        face = torch.cat([part[0] for part in found]) if found else self.faces.new_zeros(0)
        barycentric = torch.cat([part[1] for part in found]) if found else points.new_zeros(0, 3)
        return at(points.detach(), self.vertices, self.faces, face, barycentric)

    def _nearest(self, points: Tensor) -> tuple[Tensor, Tensor]:
        face = self.faces.new_zeros(len(points))
        barycentric = points.new_zeros(len(points), 3)
        open_points, candidates = torch.arange(len(points), device=points.device), FIRST_CANDIDATES
        while len(open_points):
            candidates = min(candidates, len(self.faces))
            asked = points[open_points].double()
            away, index = self._nearest_centres(asked, candidates)
            few = index[:, :TRIED_AT_ONCE]
            best = self._closest(asked[:, None].expand(-1, few.shape[1], -1).flatten(0, 1), few.flatten())[2]
            best = best.view(few.shape).amin(-1).clamp(min=0).sqrt()
            row, column = (away - self.radius[index] <= best[:, None] + TIE).nonzero().unbind(-1)
            index = index[row, column]
            second, third, squared = self._closest(asked[row], index)
            distance = squared.clamp(min=0).sqrt()
            best = best.scatter_reduce(0, row, distance, "amin")
            rank = torch.where(distance <= best[row] + TIE, self.rank[index], LAST)
            first = torch.full_like(open_points, LAST).scatter_reduce(0, row, rank, "amin")
            chosen = rank == first[row]
            found = torch.empty_like(open_points)
            found[row[chosen]] = chosen.nonzero()[:, 0]
            settled = best + TIE < away[:, -1] - self.reach
            if candidates == len(self.faces):
                settled = torch.ones_like(settled)
            done, found = open_points[settled], found[settled]
            face[done] = index[found]
            second, third = second[found], third[found]
            barycentric[done] = torch.stack((1 - second - third, second, third), -1).to(points.dtype)
            open_points, candidates = open_points[~settled], candidates * 4
        return face, barycentric

    def _nearest_centres(self, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Distances [N, count] of the nearest centres, in order, and the faces that they are of."""
        if self.tree is not None:
            distance, index = self.tree.query(points.numpy(), k=np.arange(1, count + 1), workers=-1)
            return torch.from_numpy(distance), torch.from_numpy(index)
        parts = []
        for part in points.split(max(1, (1 << 26) // len(self.faces))):
            distance, index = torch.cdist(part, self.centre).topk(count, largest=False)
            parts.append((distance, index))
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _closest(self, points: Tensor, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Barycentric coordinates of second and third corner, and squared distances, of points [N, 3] to faces [N]."""
        offset = points - self.corner[faces]
        along = (self.edges[faces] @ offset[..., None])[..., 0]
        first_along, second_along = along.unbind(-1)
        first, mixed, second, determinant = self.products[faces].unbind(-1)
        tiny = torch.finfo(torch.float64).tiny
        v = (second * first_along - mixed * second_along) / determinant.clamp(min=tiny)
        w = (first * second_along - mixed * first_along) / determinant.clamp(min=tiny)
        inside = (determinant > 0) & (v >= 0) & (w >= 0) & (v + w <= 1)
        squared = offset.square().sum(-1)

        def distance(v: Tensor, w: Tensor) -> Tensor:
            return squared - 2 * (v * first_along + w * second_along) + v * v * first + 2 * v * w * mixed \
                + w * w * second

        on_first = (first_along / first.clamp(min=tiny)).clamp(0, 1)
        on_second = (second_along / second.clamp(min=tiny)).clamp(0, 1)
        across = first + second - 2 * mixed
        on_third = ((second_along - first_along - mixed + first) / across.clamp(min=tiny)).clamp(0, 1)
        zero = torch.zeros_like(v)
        vs, ws = torch.stack((on_first, zero, 1 - on_third)), torch.stack((zero, on_second, on_third))
        edge = distance(vs, ws)
        place = edge.argmin(0, keepdim=True)
        v = torch.where(inside, v, vs.gather(0, place)[0])
        w = torch.where(inside, w, ws.gather(0, place)[0])
        return v, w, distance(v, w)


def at(points: Tensor, vertices: Tensor, faces: Tensor, face: Tensor, barycentric: Tensor) -> Nearest:
    """The answer for points [N, 3] where it is known which face [N] is nearest, and where in it [N, 3]."""
    place = (vertices[faces[face]] * barycentric[..., None]).sum(-2)
    return Nearest(face, barycentric, (points - place).square().sum(-1), place)
