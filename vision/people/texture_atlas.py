"""The texture atlas: tiles of the background and of people's body parts, and places in it.

The atlas has `n_textures` tiles side by side: tile 0 is the background's, tiles 24 (p - 1) + 1 .. 24 p are the parts
of person p. Its coordinates (U, V) lie in [-1, 1] over the whole atlas, as torch's `grid_sample` takes them.
"""

import numpy as np
import torch

from vision.geometry.homography import Registration
from vision.people.iuv import PARTS


def atlas_uv(part: np.ndarray | int, u: np.ndarray, v: np.ndarray, person: np.ndarray | int,
             n_textures: int) -> np.ndarray:
    """Place body coordinates in the texture atlas.

    Args:
        part: [H, W] integers, 0 to 24; where it is 0, (u, v) are read in tile 0, the background's.
        u: [H, W] float in [0, 1], across the tile.
        v: [H, W] float in [0, 1], down the tile.
        person: [H, W] ids from 1, not looked at where `part` is 0.
        n_textures: tiles in the atlas (`iuv.atlas_tiles`).

    Returns:
        float32 [2, H, W] in [-1, 1]: U across the atlas, V down it.
    """
    part = np.asarray(part, np.int32)
    tile = np.where(part > 0, part + PARTS * (np.asarray(person, np.int32) - 1), 0)
    across = (u + tile.astype(np.float32)) / np.float32(n_textures)
    return np.clip(np.stack([across, v]).astype(np.float32) * 2 - 1, -1, 1)


def background_uv(height: int, width: int, registration: Registration | None = None, frame: int = 0) -> np.ndarray:
    """Texture coordinates of the background, over its own tile.

    Without a registration they run from 0 at the first column and row to 1 at the last. With one, a pixel gets its
    place in the panorama of the whole clip, so that a background point keeps its coordinates while the camera moves.

    Args:
        height: of the low-resolution frame, in pixels.
        width: as `height`.
        registration: the camera's motion.
        frame: index of the frame in it, from 0.

    Returns:
        float32 [2, H, W] in [0, 1]: u, v. Places outside the panorama's bounds are clipped to its edge: further out
        lies the tile of a body part.
    """
    # torch's linspace differs from numpy's in the last bit, and a texel that a sample just touches is trained or not.
    v, u = np.meshgrid(torch.linspace(0, 1, height).numpy(), torch.linspace(0, 1, width).numpy(), indexing="ij")
    uv = np.stack([u, v])
    if registration is not None:
        uv = registration.to_panorama(uv, frame)
    return np.clip(uv, 0, 1).astype(np.float32)
