"""Maps in a body's UV space: its normals, and its colours as cameras see them.

A map has S x S texels; row 0 is v = 1, column 0 is u = 0, and texel (i, j) has its centre at (i + 0.5, j + 0.5) / S.
Methods are those of Neural Actor's tools; that for colours is Alldieck et al.'s (2018).
"""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
import torch

from vision.geometry.meshes import vertex_normals
from vision.geometry.raster import Raster, projected, rasterised

OBSERVATIONS = 3
"""A texel's colour is the median of so many, of the cameras that see it best."""
LEAST_FACING = 0.2
"""Cosine of the angle to the camera up to which an observation does not count."""
PADDING = 0.1
"""Share of the side by which colours are continued around what the body covers."""
INPAINTING_RADIUS = 3
SHARP_UP_TO = 2
"""Pixels of a photograph that a texel may measure along a side before a reduced photograph is looked up."""


class Photograph(NamedTuple):
    """A picture and its camera.

    Attributes:
        colours: uint8 RGB [H, W, 3].
        foreground: bool [H, W].
        intrinsics: [3 or 4, 3 or 4], for pixels of this picture.
        camera_to_world: [4, 4], OpenCV's axes.
    """

    colours: np.ndarray
    foreground: np.ndarray
    intrinsics: np.ndarray
    camera_to_world: np.ndarray


def uv_raster(face_uv: np.ndarray, resolution: int) -> Raster:
    """Which face, and where in it, each texel is, from texture coordinates of faces' corners [F, 3, 2]."""
    corners = np.stack((face_uv[..., 0], 1 - face_uv[..., 1]), -1).astype(np.float64) * resolution - 0.5
    return rasterised(corners, (resolution, resolution))


def at_texels(values: np.ndarray, faces: np.ndarray, raster: Raster) -> np.ndarray:
    """Values [S, S, C] of texels, from those of vertices [V, C]; 0 where the body is not."""
    return (values[faces[raster.face]] * raster.barycentric[..., None]).sum(-2)


def normals_of_vertices(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [V, 3]."""
    return vertex_normals(torch.from_numpy(np.ascontiguousarray(vertices, dtype=np.float32)),
                          torch.from_numpy(faces)).numpy()


def normal_map(vertices: np.ndarray, faces: np.ndarray, raster: Raster) -> np.ndarray:
    """The body's normals as a picture, on white.

    Args:
        vertices: [V, 3], in the world.
        faces: [F, 3].
        raster: of its texture coordinates.

    Returns:
        uint8 [S, S, 3]: z, y and x as red, green and blue (in this order, as published); 0 to 255 means -1 to 1.
    """
    normals = at_texels(normals_of_vertices(vertices, faces), faces, raster)
    picture = np.rint(255 * (normals[..., ::-1] / 2 + 0.5)).clip(0, 255).astype(np.uint8)
    picture[raster.face < 0] = 255
    return picture


def baked_texture(vertices: np.ndarray, faces: np.ndarray, raster: Raster, photographs: Iterable[Photograph],
                  as_published: bool = False) -> np.ndarray:
    """The body's colours, from photographs of one instant.

    Args:
        vertices: [V, 3], in the world.
        faces: [F, 3].
        raster: of its texture coordinates.
        photographs: of all cameras.
        as_published: with the published tool's faults: photographs are looked up half a pixel off, without
            perspective, all points are taken to be seen from where the world's origin is, and black is continued.

    Returns:
        uint8 RGB [S, S, 3]; colours are continued around what the body covers, then comes black.
    """
    observed = Observations(faces, raster)
    for photograph in photographs:
        observed.add(vertices, photograph, as_published)
    return observed.picture(as_published)


class Observations:
    """What photographs show of a body's surface, of one instant or of several.

    Attributes:
        covered: bool [S, S], texels that the body has.
    """

    def __init__(self, faces: np.ndarray, raster: Raster, kept: int = OBSERVATIONS):
        """Of faces [F, 3] and the raster of their texture coordinates; a texel's colour is the median of the `kept`
        best."""
        self.faces, self.raster = faces, raster
        self.covered: np.ndarray = np.greater_equal(raster.face, 0)
        count = int(self.covered.sum())
        self._best = np.full((count, kept), LEAST_FACING, dtype=np.float32)
        self._colours = np.full((count, kept, 3), np.nan, dtype=np.float32)

    def add(self, vertices: np.ndarray, photograph: Photograph, as_published: bool = False) -> None:
        """Look at a photograph of the body, whose vertices [V, 3] are in the world; `as_published` as of
        `baked_texture`."""
        faces, raster, covered, best = self.faces, self.raster, self.covered, self._best
        places = at_texels(vertices, faces, raster)[covered]
        seen = visible_faces(vertices, faces, photograph)[raster.face[covered]]
        centre = photograph.camera_to_world[:3, 3]
        towards = np.broadcast_to(centre, vertices.shape) if as_published else centre - vertices
        towards = towards / np.linalg.norm(towards, axis=-1, keepdims=True).clip(1e-9)
        facing = np.maximum(0, (normals_of_vertices(vertices, faces) * towards).sum(-1, keepdims=True))
        weight = np.where(seen, at_texels(facing, faces, raster)[covered][:, 0], 0)
        better = np.flatnonzero(weight > best.min(1))
        slot = best[better].argmin(1)
        pixels = projected(places[better], photograph.intrinsics, photograph.camera_to_world)[0]
        if as_published:
            at_vertices = projected(vertices, photograph.intrinsics, photograph.camera_to_world)[0]
            pixels = at_texels(at_vertices, faces, raster)[covered][better] - 0.5
        size = texel_sizes(vertices, faces, raster, photograph)[raster.face[covered]][better]
        self._colours[better, slot] = looked_up(photograph.colours, pixels, size)
        best[better, slot] = weight[better]

    @property
    def seen(self) -> np.ndarray:
        """Texels that a photograph shows, bool [S, S]."""
        seen = self.covered.copy()
        seen[self.covered] = np.amax(self._best, axis=1) > LEAST_FACING
        return seen

    def picture(self, as_published: bool = False) -> np.ndarray:
        """The texture, as `baked_texture` returns it."""
        seen = self.seen
        known = seen[self.covered]
        picture = np.zeros((*self.covered.shape, 3), dtype=np.uint8)
        picture[self.covered] = np.rint(np.nan_to_num(np.nanmedian(np.where(known[:, None, None], self._colours, 0),
                                                                   axis=1)))
        return continued(picture, seen, self.covered, as_published)


def visible_faces(vertices: np.ndarray, faces: np.ndarray, photograph: Photograph) -> np.ndarray:
    """Faces that at least one pixel sees, and whose corners all lie on the foreground: bool [F]."""
    height, width = photograph.foreground.shape
    pixels, depth = projected(vertices, photograph.intrinsics, photograph.camera_to_world)
    visible = np.zeros(len(faces), dtype=bool)
    drawn = rasterised(pixels[faces], (height, width), depth[faces]).face
    visible[drawn[drawn >= 0]] = True
    x, y = np.rint(pixels.clip(-2, max(height, width) + 1)).astype(np.int64).T
    inside = (depth > 0) & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    on_foreground = np.zeros(len(vertices), dtype=bool)
    on_foreground[inside] = photograph.foreground[y[inside], x[inside]]
    return visible & on_foreground[faces].all(1)


def texel_sizes(vertices: np.ndarray, faces: np.ndarray, raster: Raster, photograph: Photograph) -> np.ndarray:
    """How many pixels of a photograph a texel of each face measures along a side, [F]; 1 for faces without texels."""
    pixels = projected(vertices, photograph.intrinsics, photograph.camera_to_world)[0][faces]
    texels = np.bincount(raster.face[raster.face >= 0], minlength=len(faces))
    first, second = pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0]
    area = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    return np.where(texels > 0, np.sqrt(area / texels.clip(1)), 1)


def looked_up(picture: np.ndarray, pixels: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Colours of a picture [H, W, 3] at pixels [N, 2], float32 [N, 3].

    They are taken between four pixels, of a picture reduced by halves where a place measures more than SHARP_UP_TO
    pixels along a side; `size` [N] is what it measures.
    """
    if not len(pixels):
        return np.zeros((0, 3), dtype=np.float32)
    level = np.log2((size / SHARP_UP_TO).clip(1, 2 ** 10))
    whole = np.floor(level).astype(int)
    found = np.zeros((len(pixels), 3), dtype=np.float32)
    levels: np.ndarray = picture.astype(np.float32)
    at: np.ndarray = pixels.astype(np.float32)
    for number in range(int(whole.max()) + 2):
        share = np.where(whole == number, 1 - (level - whole), np.where(whole == number - 1, level - whole, 0))
        wanted = np.flatnonzero(share > 0)
        if len(wanted):
            found[wanted] += share[wanted, None] * _between_four(levels, at[wanted])
        levels, at = cv2.resize(levels, tuple(max(1, side // 2) for side in levels.shape[1::-1]),
                                interpolation=cv2.INTER_AREA), (at + 0.5) / 2 - 0.5
    return found


def _between_four(picture: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear; OpenCV takes at most 32767 places in a row."""
    rows = [cv2.remap(picture, np.ascontiguousarray(part[None, :, 0], dtype=np.float32),
                      np.ascontiguousarray(part[None, :, 1], dtype=np.float32), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)[0]
            for part in np.array_split(pixels, len(pixels) // 16384 + 1)]
    return np.concatenate(rows)


def continued(picture: np.ndarray, observed: np.ndarray, covered: np.ndarray, as_published: bool = False
              ) -> np.ndarray:
    """A map [S, S, 3] with its colours continued where nothing was `observed`, and some way around what is `covered`.

    Otherwise looking up between texels would mix in what is beside the body. As published, the black beyond that is
    mixed in on the way.
    """
    side = int(PADDING * len(covered))
    around = cv2.dilate(covered.astype(np.uint8), np.ones((max(1, side),) * 2, np.uint8))
    unknown = around * ~observed if as_published else (~observed).astype(np.uint8)
    return cv2.inpaint(picture, unknown, INPAINTING_RADIUS, cv2.INPAINT_TELEA) * around[..., None]
