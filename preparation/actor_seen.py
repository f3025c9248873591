"""What of an actor's body the photographs show, and what is in none of them: there colours can only be guessed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data.actor_files import by_number, camera_files, pictures_of_cameras, read_cameras, read_pose, world_vertices
from preparation.actor_overlap import View
from preparation.steps import Finding
from util.clips import evenly_spread
from util.images import image_size
from vision.geometry.raster import projected, rasterised
from vision.people.body_files import read_body
from vision.people.skinning import Body
from vision.people.texture_maps import LEAST_FACING, normals_of_vertices

PICTURES, HEIGHT, BEHIND = 60, 160, 0.03
"""Photographs that are looked at, evenly spread; pixels of height at which; metres that a vertex may be behind what a
pixel sees and still be seen there."""
MUCH, WORTH_A_WORD = 0.1, 0.02
"""Share of the surface from which on what nobody saw costs quality, and is told at all."""
PARTS = ("hips", "left thigh", "right thigh", "belly", "left shin", "right shin", "waist", "left foot", "right foot",
         "chest", "left toes", "right toes", "neck", "left collar", "right collar", "head", "left upper arm",
         "right upper arm", "left forearm", "right forearm", "left wrist", "right wrist", "left hand", "right hand")
"""What SMPL's joints move."""
SHOWN_HEIGHT, SEEN_COLOUR, UNSEEN_COLOUR = 400, (200, 200, 200), (220, 40, 40)


def seen_vertices(body: Body, vertices: Mapping[int, np.ndarray], views: Sequence[View], photographs: Mapping[int, Path]
                  ) -> np.ndarray:
    """Vertices that a camera sees from not too far aside in a frame that has a photograph of it, bool [V].

    Args:
        body: the actor's.
        vertices: of frames, in the world.
        views: all cameras.
        photographs: folders of frames.
    """
    faces, places = body.faces.numpy(), [view.file for view in views]
    pairs = [(frame, camera) for frame in sorted(set(vertices) & set(photographs)) for camera in range(len(views))]
    seen = np.zeros(len(body.vertices), dtype=bool)
    for frame, camera in (pairs[i] for i in evenly_spread(len(pairs), PICTURES)):
        picture = pictures_of_cameras(photographs[frame], places)[camera]
        if picture is None:
            continue
        width, height = image_size(picture)
        scale = HEIGHT / height
        size = HEIGHT, max(1, round(width * scale))
        intrinsics, pose = views[camera].intrinsics, views[camera].pose
        pixels, depth = projected(vertices[frame], intrinsics, pose)
        pixels = (pixels + 0.5) * scale - 0.5
        raster = rasterised(pixels[faces], size, depth[faces])
        nearest = np.where(raster.face >= 0, 1 / (raster.barycentric / depth[faces][raster.face]).sum(-1).clip(1e-9), 0)
        towards = pose[:3, 3] - vertices[frame]
        facing = (normals_of_vertices(vertices[frame], faces) * towards).sum(-1) / np.linalg.norm(towards, axis=-1)
        x, y = np.rint(pixels.clip(-1, max(size))).astype(int).T
        inside = (depth > 0) & (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0]) & (facing > LEAST_FACING)
        seen[inside] |= depth[inside] < nearest[y[inside], x[inside]] + BEHIND
    return seen


def unseen_parts(body: Body, vertices: Mapping[int, np.ndarray], views: Sequence[View],
                 photographs: Mapping[int, Path]) -> Iterator[Finding]:
    """How much of the body no photograph shows, and where most of that is."""
    area = areas(body)
    unseen = ~seen_vertices(body, vertices, views, photographs)
    share = float(area[unseen].sum() / area.sum())
    if share < WORTH_A_WORD:
        return
    where = ""
    if body.weights.shape[1] == len(PARTS):
        part = body.weights.numpy().argmax(1)
        of_parts = np.bincount(part, unseen * area, len(PARTS))
        most = [number for number in of_parts.argsort()[::-1][:4] if of_parts[number] > 0.05 * of_parts.sum()]
        where = ", most of it of " + ", ".join(
            f"{PARTS[number]} ({100 * of_parts[number] / area[part == number].sum():.0f} % of it)" for number in most)
    yield Finding(1 if share > MUCH else 0,
                  f"no photograph shows {100 * share:.0f} % of the body's surface{where}. From where that would be "
                  "seen, colours are guessed")


def areas(body: Body) -> np.ndarray:
    """Area of the surface at rest that belongs to each vertex, square metres [V]."""
    corners = body.vertices.numpy()[body.faces.numpy()]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1) / 6
    return np.bincount(body.faces.numpy().ravel(), area.repeat(3), len(body.vertices))


def picture_of_seen(root: Path) -> np.ndarray:
    """The body at rest from the front and from behind, red where no photograph shows it: uint8 [H, W, 3]."""
    body = read_body(root)
    views = [View(inner.numpy(), pose.numpy(), file) for (inner, pose), (_, file) in
             zip(read_cameras(root), camera_files(root))]
    transforms = by_number(root / "transform", "*.json")
    numbers = sorted(transforms)
    numbers = [numbers[i] for i in evenly_spread(len(numbers), PICTURES)]
    vertices = {number: world_vertices(body, read_pose(transforms[number], body.weights.shape[1])).numpy()
                for number in numbers}
    seen = seen_vertices(body, vertices, views, by_number(root / "rgb", "*"))
    rest, faces = body.vertices.numpy(), body.faces.numpy()
    normals = normals_of_vertices(rest, faces)
    pictures = []
    for side in (1, -1):
        across, up = side * rest[:, 0], -rest[:, 1]
        scale = (SHOWN_HEIGHT - 8) / np.ptp(up)
        flat = np.stack(((across - across.min()) * scale + 4, (up - up.min()) * scale + 4), -1)
        raster = rasterised(flat[faces], (SHOWN_HEIGHT, int(flat[:, 0].max()) + 5), (10 - side * rest[:, 2])[faces])
        share = (seen[faces[raster.face]] * raster.barycentric).sum(-1)[..., None]
        light = 0.4 + 0.6 * (side * (normals[faces[raster.face], 2] * raster.barycentric).sum(-1)).clip(0, 1)[..., None]
        drawn = light * np.where(share > 0.5, SEEN_COLOUR, UNSEEN_COLOUR)
        pictures.append(np.where(raster.face[..., None] >= 0, drawn, 255).astype(np.uint8))
    return np.hstack(pictures)
