"""The nearest point of a triangle mesh, exact or nearly so.

Of triangles that are equally near, as at an edge or a vertex that they share, that is taken which Neural Actor's
program takes: the one whose index leaves the smallest remainder when divided by 128; of several, the last.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from vision.geometry.meshes import face_normals, interpolated

try:
    from igl import AABB  # older versions have none
except ImportError:
    AABB = None

TURNS = 128
"""Triangles are asked in as many rounds by a GPU's threads; an earlier thread's answer stays."""
FIRST_TRIED, FIRST_CANDIDATES, ASKED_TOGETHER = 3, 48, 2048
ON_THE_BORDER = 1e-12
PAIRS_AT_ONCE, HOPS = 1 << 26, 3
ON_THE_BORDER_OF_FLOATS = 1e-6
"""Barycentric coordinates below this are 0."""
NEARLY = 0.7
"""Share of a depth that what is under the skin must be away from all of it, for the body to be so thick there."""
SMALLEST_SQUARE = 1e-12
"""Squared distances are at least this, and have no derivatives there."""


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

    The nearest triangle is found by libigl where it is installed and points are on the CPU. Else, as a triangle lies
    in a ball round its centre, it is sought among those with the nearest centres, as far out as balls can reach as
    near as the best one found: on the CPU with a k-d tree, on a GPU by all distances. Where in it the nearest point
    lies, and which triangle counts of those that share it, is computed here, in float64.
    """

    def __init__(self, vertices: Tensor, faces: Tensor, library: bool = True):
        """Prepare vertices [V, 3] and faces [F, 3]; without gradients. Without `library`, libigl is not used."""
        self.vertices, self.faces = vertices.detach(), faces
        corners = self.vertices.double()[faces]
        self.table = tabulated(corners)
        on_cpu = vertices.device.type == "cpu"
        self.tree: Any = None
        if library and AABB is not None and on_cpu:
            self.arrays = self.vertices.double().numpy(), faces.numpy()
            self.tree = AABB()
            self.tree.init(*self.arrays)
            self.nearest_faces = self._by_igl
            return
        self.centre = corners.mean(1)
        self.radius = (corners - self.centre[:, None]).norm(dim=-1).amax(-1)
        self.reach = float(self.radius.max())
        if on_cpu:
            self.tree, self.middles = cKDTree(self.centre.numpy()), self.centre.T.contiguous()
            edges = corners[:, 1:] - corners[:, :1]
            self.normals = torch.nn.functional.normalize(torch.linalg.cross(*edges.unbind(1), dim=-1), dim=-1).T
        self.nearest_faces = self._by_tree if on_cpu else self._by_all

    def nearest(self, points: Tensor, chunk: int = 1 << 16) -> Nearest:
        """The nearest points of the surface to points [N, 3]; they get no gradients."""
        found = [self._nearest(part) for part in points.detach().split(chunk)] if len(points) else []
        face = torch.cat([part[0] for part in found]) if found else self.faces.new_zeros(0)
        barycentric = torch.cat([part[1] for part in found]) if found else points.new_zeros(0, 3)
        return at(points.detach(), self.vertices, self.faces, face, barycentric)

    def _nearest(self, points: Tensor) -> tuple[Tensor, Tensor]:
        asked = points.double()
        face = self.nearest_faces(asked)
        second, third, _ = closest(self.table, asked, face)
        barycentric = torch.stack((1 - second - third, second, third), -1)
        barycentric = torch.where(barycentric < ON_THE_BORDER, 0.0, barycentric)
        by_vertex, by_edge = first_faces(self.faces)
        zeros = barycentric == 0
        count = zeros.sum(-1)
        of_vertex = by_vertex[self.faces[face, barycentric.argmax(-1)]]
        of_edge = by_edge[face, zeros.int().argmax(-1)]
        chosen = torch.where(count > 1, of_vertex, torch.where(count == 1, of_edge, face))
        same = self.faces[face][:, None, :] == self.faces[chosen][:, :, None]
        barycentric = (same * barycentric[:, None]).sum(-1)
        return chosen, barycentric.to(points.dtype)

    def _by_igl(self, points: Tensor) -> Tensor:
        found = self.tree.squared_distance(*self.arrays, points.numpy())
        return torch.from_numpy(np.asarray(found[1]).reshape(-1).astype(np.int64))

    def _by_tree(self, points: Tensor) -> Tensor:
        """The nearest faces [N] of points [N, 3]; points that are equally far away are asked together."""
        array, tried = points.numpy(), min(FIRST_TRIED, len(self.faces))
        near = torch.from_numpy(self.tree.query(array, k=np.arange(1, tried + 1))[1])
        best = self._distances(points.repeat_interleave(tried, 0), near.flatten()).view(near.shape).amin(-1) + 1e-9
        face = near[:, 0].clone()
        for part in best.argsort().split(ASKED_TOGETHER):
            pairs = cKDTree(array[part.numpy()], balanced_tree=False, compact_nodes=False).sparse_distance_matrix(
                self.tree, float(best[part[-1]]) + self.reach, output_type="ndarray")
            row, index, away = (torch.from_numpy(pairs[name]) for name in ("i", "j", "v"))
            possible = (away - self.radius[index] <= best[part][row]).nonzero()[:, 0]
            row, index, away = row[possible], index[possible], away[possible]
            height = ((self.middles[:, index] - points.T[:, part[row]]) * self.normals[:, index]).sum(0)
            beside = ((away.square() - height.square()).clamp(min=0).sqrt() - self.radius[index]).clamp(min=0)
            possible = torch.hypot(height, beside) <= best[part][row]  # a triangle lies in a flat disc
            face[part] = self._best(points[part], row[possible], index[possible])
        return face

    def _by_all(self, points: Tensor) -> Tensor:
        """The same by all distances of centres."""
        face, tried = self.faces.new_zeros(len(points)), min(FIRST_TRIED, len(self.faces))
        for start, part in zip(range(0, len(points), 1 << 12), points.split(1 << 12)):
            away, index = torch.cdist(part, self.centre).topk(min(FIRST_CANDIDATES, len(self.faces)), largest=False)
            best = self._distances(part.repeat_interleave(tried, 0),
                                   index[:, :tried].flatten()).view(len(part), -1).amin(-1)
            row, column = (away - self.radius[index] <= best[:, None] + 1e-9).nonzero().unbind(-1)
            found = self._best(part, row, index[row, column])
            unsettled = (away[:, -1] - self.reach <= best).nonzero()[:, 0]
            if len(unsettled) and away.shape[1] < len(self.faces):
                row, every = ((torch.cdist(part[unsettled], self.centre) - self.radius)
                              <= best[unsettled][:, None] + 1e-9).nonzero().unbind(-1)
                found[unsettled] = self._best(part[unsettled], row, every)
            face[start:start + len(part)] = found
        return face

    def _best(self, points: Tensor, row: Tensor, face: Tensor) -> Tensor:
        """The nearest to each point of the faces [M] that belong to the points `row` [M]."""
        distance = self._distances(points[row], face)
        best = distance.new_full((len(points),), torch.inf).scatter_reduce(0, row, distance, "amin")
        chosen = distance == best[row]
        return face.new_zeros(len(points)).index_copy(0, row[chosen], face[chosen])

    def _distances(self, points: Tensor, faces: Tensor) -> Tensor:
        return closest(self.table, points, faces)[2].clamp(min=0).sqrt()

    def heights(self, points: Tensor, within: float) -> tuple[Tensor, Tensor, Tensor]:
        """Nearest faces [N] of points [N, 3], distances from these, and heights above their planes.

        Heights are negative under the surface. Beyond `within` distances are infinite.
        """
        near = self.nearest(points)
        away = near.squared_distance.sqrt()
        normals = torch.nn.functional.normalize(face_normals(self.vertices, self.faces), dim=-1)
        height = ((points - near.point) * normals[near.face]).sum(-1)
        return near.face, away.masked_fill(away > within, torch.inf), height


class QuickSurface:
    """A surface that answers several times as fast, and nearly right.

    The triangle whose centre is nearest is asked, and where the nearest point of it lies on its border, the triangle
    across it, as long as that is nearer, `HOPS` times. What is found is at most `reach` further away than the nearest
    point of the surface, and nearly always it is that point (docs/neural_actor/presets.md).

    Attributes:
        reach: how far a corner of a triangle can be from its centre.
    """

    def __init__(self, vertices: Tensor, faces: Tensor):
        """Prepare vertices [V, 3] and faces [F, 3]; without gradients."""
        self.vertices, self.faces = vertices.detach(), faces
        corners = self.vertices[faces]
        self.table, self.centre = tabulated(corners), corners.mean(1)
        self.normals = torch.nn.functional.normalize(face_normals(self.vertices, faces), dim=-1)
        self.reach = float((corners - self.centre[:, None]).norm(dim=-1).max())
        self.tree = cKDTree(self.centre.numpy()) if vertices.device.type == "cpu" else None

    def nearest(self, points: Tensor) -> Nearest:
        """About the nearest points of the surface to points [N, 3]; they get no gradients."""
        points = points.detach()
        face = self._nearest_centre(points)[1]
        second, third, best = closest(self.table, points, face)
        barycentric = torch.stack((1 - second - third, second, third), -1)
        asked, across = torch.arange(len(points), device=points.device), neighbours(self.faces)
        for _ in range(HOPS):
            smallest, corner = barycentric[asked].min(-1)
            border = (smallest <= ON_THE_BORDER_OF_FLOATS).nonzero()[:, 0]
            asked = asked[border]
            other = across[face[asked], corner[border]]
            second, third, distance = closest(self.table, points[asked], other)
            nearer = (distance < best[asked]).nonzero()[:, 0]
            asked = asked[nearer]
            face[asked], best[asked] = other[nearer], distance[nearer]
            barycentric[asked] = torch.stack((1 - second - third, second, third), -1)[nearer]
        return at(points, self.vertices, self.faces, face, barycentric)

    def heights(self, points: Tensor, within: float) -> tuple[Tensor, Tensor, Tensor]:
        """As for `Surface`; distances are those from the faces' centres, so up to `reach` too large."""
        away, face = self._nearest_centre(points, within)
        face = face.clamp(max=len(self.centre) - 1)
        return face, away, ((points - self.centre[face]) * self.normals[face]).sum(-1)

    def _nearest_centre(self, points: Tensor, within: float = float("inf")) -> tuple[Tensor, Tensor]:
        """Distances and numbers of the nearest triangles' centres; infinite, and any number, beyond `within`."""
        if self.tree is not None:
            away, index = self.tree.query(points.numpy(), distance_upper_bound=within)
            return torch.from_numpy(away).to(points.dtype), torch.from_numpy(index)
        chunk = max(1, PAIRS_AT_ONCE // len(self.centre))
        parts = [torch.cdist(part, self.centre).min(-1) for part in points.split(chunk)] if len(points) else []
        away, index = (torch.cat(found) for found in zip(*parts)) if parts else (points[:, 0], self.faces[:0, 0])
        return away.masked_fill(away > within, torch.inf), index


@lru_cache(maxsize=4)
def thick_faces(vertices: Tensor, faces: Tensor, depth: float) -> Tensor:
    """Under which faces the body is thick, bool [F]: a point `depth` under their centres is nearly as far from all."""
    normals = torch.nn.functional.normalize(face_normals(vertices, faces), dim=-1)
    under = vertices[faces].mean(1) - depth * normals
    return QuickSurface(vertices, faces).nearest(under).squared_distance.sqrt() > NEARLY * depth


@lru_cache(maxsize=4)
def neighbours(faces: Tensor) -> Tensor:
    """The face across the edge that is opposite to each corner [F, 3]; the face itself where there is none."""
    number = torch.arange(len(faces), device=faces.device)[:, None].expand(-1, 3).flatten()
    edges = torch.stack((faces[:, [1, 2]], faces[:, [2, 0]], faces[:, [0, 1]]), 1).sort(-1).values.view(-1, 2)
    edge = torch.unique(edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1], return_inverse=True)[1]
    order = edge.argsort(stable=True)
    same = edge[order][1:] == edge[order][:-1]
    across = number.clone()
    across[order[:-1][same]] = number[order[1:][same]]
    across[order[1:][same]] = number[order[:-1][same]]
    return across.view(-1, 3)


def tabulated(corners: Tensor) -> Tensor:
    """What `closest` needs of triangles [F, 3, 3]: [16, F]."""
    edges = corners[:, 1:] - corners[:, :1]
    products = edges @ edges.transpose(1, 2)
    first, mixed, second = products[:, 0, 0], products[:, 0, 1], products[:, 1, 1]
    tiny = torch.finfo(corners.dtype).tiny
    determinant = first * second - mixed**2
    inverse = torch.where(determinant > 0, 1 / determinant.clamp(min=tiny), torch.nan)
    return torch.cat((corners[:, 0].T, edges.flatten(1).T, torch.stack(
        (first, mixed, second, inverse, 1 / first.clamp(min=tiny), 1 / second.clamp(min=tiny),
         1 / (first + second - 2 * mixed).clamp(min=tiny)))))


def closest(table: Tensor, points: Tensor, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Barycentric coordinates of second and third corner, and squared distances, of points [N, 3] to faces [N]."""
    (x0, y0, z0, x1, y1, z1, x2, y2, z2, first, mixed, second, inverse, by_first, by_second,
     by_across) = table[:, faces].unbind(0)
    x, y, z = points.T.contiguous().unbind(0)
    x, y, z = x - x0, y - y0, z - z0
    first_along, second_along = x * x1 + y * y1 + z * z1, x * x2 + y * y2 + z * z2
    squared = x * x + y * y + z * z

    def distance(v: Tensor, w: Tensor) -> Tensor:
        return squared - 2 * (v * first_along + w * second_along) + v * v * first + 2 * v * w * mixed \
            + w * w * second

    v = (second * first_along - mixed * second_along) * inverse
    w = (first * second_along - mixed * first_along) * inverse
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)  # never where the inverse is no number
    on_first, on_second = (first_along * by_first).clamp(0, 1), (second_along * by_second).clamp(0, 1)
    on_third = ((second_along - first_along - mixed + first) * by_across).clamp(0, 1)
    best, best_v, best_w = distance(on_first, zero := torch.zeros_like(x)), on_first, zero
    for other_v, other_w in ((zero, on_second), (1 - on_third, on_third)):
        other = distance(other_v, other_w)
        nearer = other < best
        best, best_v, best_w = (torch.where(nearer, new, old) for new, old in
                                ((other, best), (other_v, best_v), (other_w, best_w)))
    v, w = torch.where(inside, v, best_v), torch.where(inside, w, best_w)
    return v, w, torch.where(inside, distance(v, w), best)


@lru_cache(maxsize=4)
def first_faces(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Which face counts where several are equally near: at each vertex [V], on the edge across each corner [F, 3]."""
    number = torch.arange(len(faces), device=faces.device)
    order = (number % TURNS * len(faces) - number).argsort()
    place = torch.empty_like(order).index_copy(0, order, number)
    vertices = int(faces.max()) + 1
    by_vertex = place.new_full((vertices,), len(faces)).scatter_reduce(
        0, faces.flatten(), place.repeat_interleave(3), "amin")
    across = torch.stack((faces[:, [1, 2]], faces[:, [2, 0]], faces[:, [0, 1]]), 1).sort(-1).values
    edges, edge = torch.unique(across[..., 0] * vertices + across[..., 1], return_inverse=True)
    by_edge = place.new_full((len(edges),), len(faces)).scatter_reduce(
        0, edge.flatten(), place.repeat_interleave(3), "amin")
    return order[by_vertex.clamp(max=len(faces) - 1)], order[by_edge[edge]]


def followed(points: Tensor, vertices: Tensor, faces: Tensor, nearest: Nearest) -> Nearest:
    """The same nearest points with derivatives, by points [N, 3] and vertices [V, 3].

    They stay on the triangle, edge or vertex where they were found; distances of 0 have derivatives of 0.
    """
    order = nearest.barycentric.argsort(-1, descending=True)
    corners = vertices[faces[nearest.face].gather(1, order)]
    inside = nearest.barycentric.gather(1, order)[:, 1:] > ON_THE_BORDER_OF_FLOATS
    edges = (corners[:, 1:] - corners[:, :1]) * inside[..., None]
    along, across = ((points - corners[:, 0])[:, None] * edges).sum(-1).unbind(-1)
    first, second = (edges.square().sum(-1) + ~inside).unbind(-1)
    mixed = (edges[:, 0] * edges[:, 1]).sum(-1)
    determinant = (first * second - mixed**2).clamp(min=torch.finfo(points.dtype).tiny)
    shares = torch.stack((second * along - mixed * across, first * across - mixed * along), -1) / determinant[:, None]
    shares = torch.cat((1 - shares.sum(-1, keepdim=True), shares), -1)
    place = (corners * shares[..., None]).sum(-2)
    squared = (points - place).square().sum(-1).clamp(min=SMALLEST_SQUARE)
    return Nearest(nearest.face, torch.zeros_like(shares).scatter(1, order, shares), squared, place)


def outside(points: Tensor, nearest: Nearest, normals: Tensor) -> Tensor:
    """1 for points [N, 3] outside, -1 inside, by `pseudonormals` at the corners of faces [F, 3, 3].

    The normal of the nearest face alone is wrong beside sharp edges, as of fingers: a point that is outside may be
    behind the plane of one of two faces that are equally near.
    """
    return ((points - nearest.point) * interpolated(normals, nearest.face, nearest.barycentric)).sum(-1).sign()


def at(points: Tensor, vertices: Tensor, faces: Tensor, face: Tensor, barycentric: Tensor) -> Nearest:
    """The answer for points [N, 3] where it is known which face [N] is nearest, and where in it [N, 3]."""
    place = (vertices[faces[face]] * barycentric[..., None]).sum(-2)
    return Nearest(face, barycentric, (points - place).square().sum(-1), place)
