"""Rays through pixels, where they pass near a set of points, samples along them, and which of them are trained on.

Lengths are in metres. Cameras are OpenCV's: x right, y down, z forward; a pose is camera-to-world, 4x4. Pixel (x, y)
has its ray at the whole number (x, y), not half a pixel further. Directions are of length 1, depths along them.
"""

import math

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

MOST_CAMERAS = 16
"""More places than this that rays begin at are not looked at one by one."""
OUTSIDE_THE_BODY = 1.88
"""A body's bounding sphere is this many times as large as that of its joints."""


def pixel_grid(size: tuple[int, int], full_size: tuple[float, float] | None = None) -> Tensor:
    """Pixels (x, y) of an image, row by row, float32 [H * W, 2], in pixels of the image it was reduced from.

    Args:
        size: (H, W).
        full_size: that of the unreduced image; by default the same.
    """
    height, width = size
    full_height, full_width = full_size or size
    y, x = torch.meshgrid(torch.arange(height) * (full_height / height), torch.arange(width) * (full_width / width),
                          indexing="ij")
    return torch.stack((x, y), -1).reshape(-1, 2).float()


def pixel_rays(pixels: Tensor, intrinsics: Tensor, camera_to_world: Tensor) -> tuple[Tensor, Tensor]:
    """Rays of pixels.

    Args:
        pixels: [..., 2], x before y, in pixels of `intrinsics`.
        intrinsics: [3 or 4, 3 or 4]; fx, fy, cx and cy are used.
        camera_to_world: [4, 4].

    Returns:
        origins and directions [..., 3] in the world.
    """
    focal = torch.stack((intrinsics[0, 0], intrinsics[1, 1]))
    ahead = torch.cat(((pixels - intrinsics[:2, 2]) / focal, torch.ones_like(pixels[..., :1])), -1)
    directions = ahead @ camera_to_world[:3, :3].T
    directions = directions / (directions.norm(dim=-1, keepdim=True) + 1e-8)
    return camera_to_world[:3, 3].expand_as(directions), directions


def bounding_sphere(joints: Tensor) -> tuple[Tensor, Tensor]:
    """Centre [3] and radius of a sphere round a body, from its joints [J, 3]."""
    centre = joints.mean(0)
    return centre, OUTSIDE_THE_BODY * (joints - centre).norm(dim=-1).max()


def sphere_bounds(origins: Tensor, directions: Tensor, centres: Tensor, radius: float,
                  chunk: int = 1 << 22) -> tuple[Tensor, Tensor, Tensor]:
    """The stretch of each ray from its first to its last point that is within `radius` of any of the centres.

    Spheres whose centre is behind a ray's origin are left out. On the CPU, rays that begin at the same place, as those
    of a camera, are only compared with spheres that lie in nearly the same direction.

    Args:
        origins, directions: [R, 3].
        centres: [V, 3].
        radius: of all spheres.
        chunk: pairs of a ray and a sphere that are computed at once, where all are.

    Returns:
        near, far: [R]; 0 where nothing is hit. The stretch between them may leave the spheres.
        hit: bool [R].
    """
    on_cpu = origins.device.type == "cpu"
    places = torch.unique(origins, dim=0) if on_cpu else origins
    near, far = origins.new_full((len(origins),), math.inf), origins.new_full((len(origins),), -math.inf)
    if not on_cpu or not 0 < len(places) <= MOST_CAMERAS or float(torch.cdist(places, centres).min()) < 2 * radius:
        step = max(1, chunk // len(centres))
        for first in range(0, len(origins), step):
            part = slice(first, first + step)
            near[part], far[part] = _all_stretches(origins[part], directions[part], centres, radius)
    else:
        for place in places:
            index = (origins == place).all(-1).nonzero()[:, 0]
            near[index], far[index] = _camera_stretches(place, directions[index], centres, radius)
    hit = near.isfinite()
    return near.where(hit, 0), far.where(hit, 0), hit


def _all_stretches(origins: Tensor, directions: Tensor, centres: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Near and far [R], by comparing all rays with all spheres; infinite where nothing is hit."""
    middle = centres.mean(0)
    around = centres - middle  # seen from the middle, numbers are small: less is lost in differences of squares
    squared, columns = around.square().sum(-1), around.T.contiguous()
    to_foot = ((middle - origins) * directions).sum(-1, keepdim=True)
    foot = origins + to_foot * directions - middle
    along = directions @ columns
    inside = (radius**2 - foot.square().sum(-1, keepdim=True)) - squared + 2 * (foot @ columns) + along.square()
    along = along + to_foot
    half = inside.clamp(min=0).sqrt()
    hit = (inside > 0) & (along > 0)
    return ((along - half).masked_fill(~hit, math.inf).amin(-1), (along + half).masked_fill(~hit, -math.inf).amax(-1))


def _camera_stretches(place: Tensor, directions: Tensor, centres: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """The same for rays that all begin at `place` [3], which is in no sphere."""
    offsets, rays = (centres - place).double().numpy(), directions.double().numpy()
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    distances = np.linalg.norm(offsets, axis=-1)
    chord = 2 * math.sin(math.asin(radius / distances.min()) / 2) * (1 + 1e-4)
    pairs = cKDTree(rays).sparse_distance_matrix(cKDTree(offsets / distances[:, None]), chord, output_type="ndarray")
    ray, sphere = pairs["i"], pairs["j"]
    along = (offsets[sphere] * rays[ray]).sum(-1)
    inside = radius**2 - (distances[sphere]**2 - along**2)
    hit = inside > 0
    ray, along, half = torch.from_numpy(ray[hit]), along[hit], np.sqrt(inside[hit])
    near, far = (torch.full((len(rays),), start, dtype=torch.float64).scatter_reduce(
        0, ray, torch.from_numpy(ends), reduce) for start, ends, reduce in
        ((math.inf, along - half, "amin"), (-math.inf, along + half, "amax")))
    return near.to(directions.dtype), far.to(directions.dtype)


def sphere_hits(origins: Tensor, directions: Tensor, centre: Tensor, radius: Tensor | float) -> Tensor:
    """Which lines of rays [R, 3] pass a sphere: bool [R]."""
    offset = centre - origins
    along = (offset * directions).sum(-1, keepdim=True)
    return (offset - along * directions).norm(dim=-1) < radius


def samples_along(near: Tensor, far: Tensor, samples: int, jitter: Tensor | float = 0.5) -> tuple[Tensor, Tensor]:
    """Cut a stretch of each ray at `samples` depths; the samples are the middles of the pieces.

    Args:
        near, far: [R].
        samples: K cuts, so K + 1 pieces.
        jitter: [R, K] in (0, 1), where in its K-th part each cut lies; 0.5: in the middle.

    Returns:
        depths and lengths of pieces [R, K + 1].
    """
    steps = (torch.arange(samples, device=near.device) + jitter) / samples
    cuts = near[:, None] + steps * (far - near)[:, None]
    return middles_and_lengths(torch.cat((near[:, None], cuts.expand(len(near), -1), far[:, None]), -1))


def middles_and_lengths(borders: Tensor) -> tuple[Tensor, Tensor]:
    """Middles and lengths [..., N] of the pieces between borders [..., N + 1]."""
    return (borders[..., 1:] + borders[..., :-1]) / 2, borders[..., 1:] - borders[..., :-1]


def samples_in_pieces(borders: Tensor, wanted: Tensor, samples: int,
                      jitter: Tensor | float = 0.5) -> tuple[Tensor, Tensor]:
    """Samples evenly along some pieces of each ray, as if what lies between these were not there.

    Args:
        borders: [R, N + 1], depths at which pieces end.
        wanted: bool [R, N], the pieces that count; at least one of each ray.
        samples: K of each ray.
        jitter: [R, K] in (0, 1), where in the K-th part of what counts each sample lies; 0.5: in the middle.

    Returns:
        depths and lengths [R, K].
    """
    lengths = (borders[:, 1:] - borders[:, :-1]) * wanted
    reached = lengths.cumsum(-1)
    length = reached[:, -1:] / samples
    along = ((torch.arange(samples, device=borders.device) + jitter) * length).contiguous()
    piece = torch.searchsorted(reached, along, right=True).clamp(max=wanted.shape[1] - 1)
    depths = borders[:, 1:].gather(-1, piece) - (reached.gather(-1, piece) - along)
    return depths, length.expand_as(depths)


def finer_samples(depths: Tensor, lengths: Tensor, probabilities: Tensor, samples: Tensor | int,
                  jitter: Tensor | float = 0.5) -> tuple[Tensor, Tensor]:
    """Cut again where a first pass has found something, besides at all borders of its pieces.

    Args:
        depths, lengths, probabilities: [R, N], of the first pass.
        samples: F further cuts; or [R], as many for each ray, which need not be whole.
        jitter: [R, F] in (0, 1), as in `samples_along`.

    Returns:
        depths and lengths [R, N + F]; rays with fewer samples end with pieces of length 0.
    """
    borders = torch.cat((depths - lengths / 2, (depths + lengths / 2)[:, -1:]), -1)
    weights = probabilities + 1e-8
    reached = (weights / weights.sum(-1, keepdim=True)).cumsum(-1)
    counts = torch.as_tensor(samples, dtype=depths.dtype, device=depths.device).expand(len(depths))[:, None]
    draws = torch.arange(int(counts.max().ceil()) if len(counts) else 0, device=depths.device)
    shift = jitter[:, :len(draws)] if isinstance(jitter, Tensor) else jitter
    wanted = (draws + shift) / counts.clamp(min=1e-8)
    wanted = torch.where(draws < counts.ceil(), wanted, 2.0).expand(len(depths), -1).contiguous()
    last = depths.shape[-1] - 1
    piece = torch.searchsorted(reached, wanted).clamp(max=last)
    upper = reached.gather(-1, piece)
    lower = torch.where(piece > 0, reached.gather(-1, (piece - 1).clamp(min=0)), 0.0)
    share = ((wanted - lower) / (upper - lower).clamp(min=1e-12)).clamp(0, 1)
    cuts = borders.gather(-1, piece) + share * lengths.gather(-1, piece)
    return middles_and_lengths(torch.cat((borders, cuts), -1).sort(-1).values)


def mesh_hits(origins: Tensor, directions: Tensor, vertices: Tensor, faces: Tensor,
              chunk: int = 1 << 21) -> tuple[Tensor, Tensor, Tensor]:
    """The first triangle that each ray meets, from either side.

    Args:
        origins, directions: [R, 3].
        vertices: [V, 3].
        faces: [F, 3].
        chunk: pairs of a ray and a triangle that are computed at once.

    Returns:
        face [R], -1 where nothing is met; depth [R], infinite there; barycentric coordinates [R, 3].
    """
    corner, second, third = vertices[faces].unbind(1)
    edge, other = second - corner, third - corner
    found, depths, places = [], [], []
    for start, ray in zip(origins.split(max(1, chunk // len(faces))), directions.split(max(1, chunk // len(faces)))):
        across = torch.linalg.cross(ray[:, None], other[None], dim=-1)
        volume = (across * edge).sum(-1)
        scale = 1 / torch.where(volume.abs() < 1e-12, math.inf, volume)
        offset = start[:, None] - corner
        u = (across * offset).sum(-1) * scale
        turned = torch.linalg.cross(offset, edge[None].expand_as(offset), dim=-1)
        v = (turned * ray[:, None]).sum(-1) * scale
        depth = (turned * other).sum(-1) * scale
        met = (volume.abs() >= 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (depth > 0)
        depth, face = depth.masked_fill(~met, math.inf).min(-1)
        u, v = (x.gather(-1, face[:, None])[:, 0] for x in (u, v))
        found.append(face.masked_fill(depth.isinf(), -1))
        depths.append(depth)
        places.append(torch.stack((1 - u - v, u, v), -1))
    return torch.cat(found), torch.cat(depths), torch.cat(places)


def draw_pixels(hit: np.ndarray, count: int, rng: np.random.Generator, *, uniform: bool = False, on_mask: float = 0.0,
                at_center: float = 1.0, on_bbox: bool = False, patch_size: int = 1,
                skipping_size: int = 1) -> np.ndarray:
    """Draw pixels to train on, without repetition; where too few are wanted ones, others fill up.

    Args:
        hit: bool [H, W], the pixels whose rays pass the body.
        count: how many; at most as many as there are.
        rng: the source of randomness.
        uniform: all pixels alike.
        on_mask: the share that comes from hits, the rest from anywhere; 0: hits only.
        at_center: the share of height and width, in the middle, that pixels come from.
        on_bbox: from all crossings of rows and columns that hold hits.
        patch_size: draw whole squares of this side; a last, incomplete row or column of squares is never drawn.
        skipping_size: take every so many-th pixel of squares that are as many times larger.

    Returns:
        int64 [N, 2], x before y; squares one after the other, row by row.
    """
    height, width = hit.shape
    wanted = np.ones_like(hit) if uniform else hit
    if on_bbox:
        wanted = np.any(wanted, 1, keepdims=True) & np.any(wanted, 0, keepdims=True)
    probability = wanted / max(1, wanted.sum())
    if not uniform and on_mask > 0:
        probability = on_mask * probability + (1 - on_mask) / hit.size
    if at_center < 1:
        rows, columns = ((int(side * (1 - at_center) / 2), int(side * (1 + at_center) / 2)) for side in hit.shape)
        inside = np.zeros_like(hit)
        inside[rows[0]:rows[1], columns[0]:columns[1]] = True
        probability = probability * inside
    side = patch_size * skipping_size
    blocks = probability[:height // side * side, :width // side * side]
    blocks = blocks.reshape(height // side, side, width // side, side)
    chances = blocks.sum((1, 3))
    order = np.log(chances + 1e-9) + rng.gumbel(size=chances.shape)
    chosen = np.argsort(-order, axis=None, kind="stable")[:count // patch_size**2]
    corner = np.stack((chosen % chances.shape[1], chosen // chances.shape[1]), -1) * side
    first = rng.integers(skipping_size, size=2) if skipping_size > 1 else np.zeros(2, dtype=np.int64)
    y, x = np.mgrid[:patch_size, :patch_size] * skipping_size
    within = np.stack((x, y), -1).reshape(-1, 2) + first
    return (corner[:, None] + within).reshape(-1, 2)
