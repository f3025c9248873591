"""What a depth picture tells about a surface."""

import matplotlib
import torch
from torch import Tensor
from torch.nn import functional as F


def normals_from_depth(points: Tensor) -> Tensor:
    """Normals of the surface that pixels see, from their points.

    Args:
        points: [H, W, 3], in the camera's axes (x right, y down, z forward).

    Returns:
        [H, W, 3]: what faces the camera is (0, 0, 1); not of unit length where pixels see a slanted surface; 0 at the
        borders.
    """
    upwards = _unit(points[:-2, 1:-1] - points[2:, 1:-1])
    rightwards = _unit(points[1:-1, 2:] - points[1:-1, :-2])
    return F.pad(torch.linalg.cross(upwards, rightwards, dim=-1), (0, 0, 1, 1, 1, 1))


def shading(normals: Tensor, towards: Tensor) -> Tensor:
    """Brightness [...] of a surface lit from the camera, from normals and directions to it [..., 3]: 0.2 to 1."""
    return 0.8 * (_unit(normals) * _unit(towards)).sum(-1).abs() + 0.2


def depth_colours(depth: Tensor, near: float, far: float) -> Tensor:
    """A depth picture [1, H, W] as colours [3, H, W] in [-1, 1]: jet, from `near` to `far`."""
    share = ((depth[0] - near) / max(far - near, 1e-8)).clamp(0, 1)
    colours = torch.from_numpy(matplotlib.colormaps["jet"](share.cpu().numpy())[..., :3]).to(depth)
    return 2 * colours.permute(2, 0, 1) - 1


def _unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.norm(dim=-1, keepdim=True) + 1e-8)
