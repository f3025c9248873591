"""IUV pictures: which body part is at a pixel, where on it, and whose.

An IUV picture is uint8 RGBA [H, W, 4]: R = 10 x DensePose part (1..24), G = u and B = v (0..255), A = 255 - person id
(from 1); all four are 0 where nobody is. Decoded, u and v lie in [0, 1]. Nothing here needs torch.
"""

import cv2
import numpy as np
import scipy

PARTS = 24
_PART_OF_LEVEL = np.minimum(np.rint(np.arange(256) / 10), PARTS).astype(np.uint8)
BOX_PART = 2
"""The part, DensePose's front of the trunk, whose tile holds the texture of a thing without a body."""


def atlas_tiles(people: int) -> int:
    """Tiles of the texture atlas of so many people, `n_textures`: one for each part of each, and the background's."""
    return PARTS * people + 1


def people_in_atlas(tiles: int) -> int:
    """How many people have their parts in a texture atlas of so many tiles."""
    return (tiles - 1) // PARTS


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
    picture = np.stack([channel.astype(np.uint8) for channel in channels], axis=-1)
    picture[np.asarray(part) <= 0] = 0
    return picture


def body_part(iuv: np.ndarray) -> np.ndarray:
    """Which part of the body is at each pixel, as the published encoding has it: R / 10, rounded.

    R alone says it: a picture that was stored without its alpha channel reads as opaque where nobody is.

    Args:
        iuv: uint8 [H, W, C].

    Returns:
        uint8 [H, W], 0 (nobody; R is 0 to 5) to 24.
    """
    return _PART_OF_LEVEL[iuv[..., 0]]


def is_body(iuv: np.ndarray) -> np.ndarray:
    """Whether somebody is at each pixel of an IUV picture, uint8 [H, W, C]: bool [H, W]; see `body_part`."""
    return body_part(iuv) > 0


def decode_iuv(iuv: np.ndarray, n_people: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Unpack an IUV picture.

    Args:
        iuv: uint8 [H, W, 4].
        n_people: the highest person id; higher ones are clipped to it.

    Returns:
        `part` [H, W] uint8 in 0..24 as `body_part` gives it, `u` and `v` [H, W] float32 in [0, 1], and `person` [H, W]
        uint8, 0 where `part` is 0. A person of 0 on a body part comes from a picture without the alpha channel.
    """
    part = body_part(iuv)
    person = np.where(part > 0, np.minimum(255 - iuv[..., 3], np.uint8(min(n_people, 255))), np.uint8(0))
    u, v = (iuv[..., channel].astype(np.float32) / 255 for channel in (1, 2))
    return part, u, v, person


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
    body = is_body(bounded)
    empty = mask & ~body
    if not empty.any():
        return bounded
    if not body.any():
        return box_iuv(mask, person)
    x, y, width, height = cv2.boundingRect((empty | body).astype(np.uint8))
    part, body, empty = (picture[y:y + height, x:x + width] for picture in (bounded, body, empty))
    rows, columns = scipy.ndimage.distance_transform_edt(~body, return_distances=False, return_indices=True)
    part[empty] = part[rows[empty], columns[empty]]
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
