"""IUV pictures (which body part, and where on it) and the texture atlas that they index.

An IUV picture is uint8 RGBA [H, W, 4]: R = 10 x DensePose part (1..24), G = u and B = v (0..255), A = 255 - person id
(from 1); all four are 0 where nobody is. Decoded, u and v lie in [0, 1].

The atlas has `n_textures` tiles side by side: tile 0 is the background's, tiles 24 (p - 1) + 1 .. 24 p are the parts
of person p. Its coordinates (U, V) lie in [-1, 1] over the whole atlas, as torch's `grid_sample` takes them.
"""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from vision.geometry.homography import Registration

PARTS = 24
BOX_PART = 2
"""The part, DensePose's front of the trunk, whose tile holds the texture of a thing without a body."""


def encode_iuv(part: np.ndarray, u: np.ndarray, v: np.ndarray, person: np.ndarray | int) -> np.ndarray:
    """Pack body coordinates into an IUV picture.

    Args:
        part: [H, W] integers, 0 (nobody) to 24.
        u: [H, W] float in [0, 1], rounded to the nearest of 256 levels.
        v: as `u`.
        person: id from 1 to 254, one for all or [H, W].

    Returns:
        uint8 [H, W, 4], all zeros where `part` is 0.
    """
    levels = [np.clip(np.rint(np.asarray(x) * 255), 0, 255) for x in (u, v)]
    channels = [10 * np.asarray(part, np.int64), *levels, np.broadcast_to(255 - np.asarray(person), np.shape(part))]
    return np.where(np.asarray(part)[..., None] > 0, np.stack(channels, axis=-1), 0).astype(np.uint8)


def decode_iuv(iuv: np.ndarray, n_people: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Unpack an IUV picture.

    Args:
        iuv: uint8 [H, W, 4].
        n_people: the highest person id; higher ones are clipped to it.

    Returns:
        `part` [H, W] uint8 in 0..24 (R / 10, rounded), `u` and `v` [H, W] float32 in [0, 1], and `person` [H, W]
        uint8, 0 where `part` is 0. A person of 0 on a body part comes from a picture without the alpha channel.
    """
    part = np.minimum(np.rint(iuv[..., 0] / 10), PARTS).astype(np.uint8)
    person = np.where(part > 0, np.minimum(255 - iuv[..., 3].astype(np.int64), n_people), 0).astype(np.uint8)
    u, v = (iuv[..., channel].astype(np.float32) / 255 for channel in (1, 2))
    return part, u, v, person


def atlas_uv(part: np.ndarray | int, u: np.ndarray, v: np.ndarray, person: np.ndarray | int,
             n_textures: int) -> np.ndarray:
    """Place body coordinates in the texture atlas.

    Args:
        part: [H, W] integers, 0 to 24; where it is 0, (u, v) are read in tile 0, the background's.
        u: [H, W] float in [0, 1], across the tile.
        v: [H, W] float in [0, 1], down the tile.
        person: [H, W] ids from 1, not looked at where `part` is 0.
        n_textures: tiles in the atlas, 24 x people + 1.

    Returns:
        float32 [2, H, W] in [-1, 1]: U across the atlas, V down it.
    """
    part = np.asarray(part, np.int64)
    tile = np.where(part > 0, part + PARTS * (np.asarray(person, np.int64) - 1), 0)
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


def bounded_by_mask(iuv: np.ndarray, mask: np.ndarray, hidden: np.ndarray, person: int) -> np.ndarray:
    """Make a layer's IUV picture cover just what its mask shows, and what others may hide of it.

    Places of the mask that no body covers (a bag, a skirt) take the body coordinates of the nearest place that one
    does. Where there is no body at all, the coordinates run over the mask's box, in a tile of the trunk: balls and dogs
    have no others.

    Args:
        iuv: uint8 [H, W, 4].
        mask: bool [H, W], where the layer is seen.
        hidden: bool [H, W], where other layers are in front; body coordinates stay as they are there.
        person: id for a picture without any.

    Returns:
        uint8 [H, W, 4].
    """
    bounded = np.where((mask | hidden)[..., None], iuv, 0).astype(np.uint8)
    empty = mask & (bounded[..., 0] == 0)
    if not empty.any():
        return bounded
    if not (bounded[..., 0] > 0).any():
        return box_iuv(mask, person)
    rows, columns = distance_transform_edt(bounded[..., 0] == 0, return_distances=False, return_indices=True)
    bounded[empty] = bounded[rows[empty], columns[empty]]
    return bounded


def box_iuv(mask: np.ndarray, person: int) -> np.ndarray:
    """An IUV picture for a thing without a body: u and v run across and down the box of its mask, in one tile.

    Args:
        mask: bool [H, W], not empty.
        person: id from 1 to 254.

    Returns:
        uint8 [H, W, 4], all zeros outside the mask.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    v, u = ((np.arange(length) - seen[0]) / max(seen[-1] - seen[0], 1) for length, seen in
            zip(mask.shape, (rows, columns)))
    v, u = np.meshgrid(np.clip(v, 0, 1), np.clip(u, 0, 1), indexing="ij")
    return encode_iuv(np.where(mask, BOX_PART, 0), u, v, person)
