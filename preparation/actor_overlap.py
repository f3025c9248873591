"""Whether the posed body lies over the person in an actor's photographs: silhouettes of both, and what their overlap
says of cameras, poses and frame numbers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from data.actor_files import pictures_of_cameras
from preparation.actor_maps import photograph
from preparation.steps import Finding
from util.clips import evenly_spread
from vision.geometry.raster import projected, rasterised

CAMERAS, OTHER_CAMERAS, SHIFTED = 6, 24, 12
"""Up to how many cameras are compared in all frames (of more, each in one); as many others are tried for a picture that
does not fit, and so many pictures with other frames."""
HEIGHT = 256
"""Pixels at which silhouettes are compared."""
OFFSETS = range(-3, 4)
BAD, FAIR, BETTER, ODD = 0.5, 0.7, 0.03, 0.2
"""Overlap of silhouettes below which something is wrong, or doubtful; by how much other frames must be better to be the
right ones; by how much less one camera or frame has than the others that is wrong."""


class Compared(NamedTuple):
    """A photograph and the posed body.

    Attributes:
        frame: its number.
        camera: the index of the camera, from 0.
        picture: the photograph.
        overlap: of the body's silhouette and the person's: area that both cover over area that either covers.
    """

    frame: int
    camera: int
    picture: Path
    overlap: float


class View(NamedTuple):
    """A camera: intrinsics and camera-to-world matrix, 4x4 each, and the file of the latter."""

    intrinsics: np.ndarray
    pose: np.ndarray
    file: Path


class Silhouettes:
    """The posed body and the person as masks, of some frames and cameras.

    Attributes:
        faces: of the body.
        vertices: in the world, by frame.
        views: all cameras.
        frames: that are compared; all have photographs.
        people: by frame and camera: the photograph, where the person is in it, reduced, and by which factor.
    """

    def __init__(self, faces: np.ndarray, vertices: dict[int, np.ndarray], views: list[View],
                 photographs: dict[int, Path], frames: list[int]):
        self.faces, self.vertices, self.views, self.frames = faces, vertices, views, frames
        self.people: dict[tuple[int, int], tuple[Path, np.ndarray, float]] = {}
        for place, frame in enumerate(frames):
            pictures = pictures_of_cameras(photographs[frame], [view.file for view in views])
            for camera in range(len(views)) if len(views) <= CAMERAS else range(place, len(views), len(frames)):
                picture = pictures[camera]
                if picture is not None:
                    foreground = photograph(picture)[1]
                    scale = min(1.0, HEIGHT / foreground.shape[0])
                    small = cv2.resize(foreground.astype(np.float32), None, fx=scale, fy=scale,
                                       interpolation=cv2.INTER_AREA)
                    self.people[frame, camera] = picture, small > 0.5, scale

    def overlap(self, frame: int, camera: int, pose_of: int | None = None, seen_by: int | None = None) -> float:
        """Of a photograph's person and the body, in its own pose and seen by its own camera or in and by others."""
        _, person, scale = self.people[frame, camera]
        drawn = body_in_view(self.vertices[frame if pose_of is None else pose_of], self.faces,
                             self.views[camera if seen_by is None else seen_by], person.shape, scale)
        return share_of_both(drawn, person)

    def compared(self) -> list[Compared]:
        """All photographs with their own pose and camera."""
        return [Compared(frame, camera, picture, self.overlap(frame, camera))
                for (frame, camera), (picture, _, _) in self.people.items()]


def share_of_both(first: np.ndarray, second: np.ndarray) -> float:
    """The area that both masks cover over the area that either covers."""
    either = (first | second).sum()
    return float((first & second).sum() / either) if either else 0.0


def body_in_view(vertices: np.ndarray, faces: np.ndarray, view: View, size: tuple[int, int], scale: float = 1.0
                 ) -> np.ndarray:
    """Where a camera sees the body: bool [H, W], at `scale` times the size of its pictures."""
    pixels, depth = projected(vertices, view.intrinsics, view.pose)
    return rasterised(((pixels + 0.5) * scale - 0.5)[faces], size, depth[faces]).face >= 0


def _outliers(silhouettes: Silhouettes, compared: list[Compared]) -> Iterator[Finding]:
    """Cameras and frames that are worse than the others."""
    for kind, what in (("camera", "its matrices, or whose pictures these are"), ("frame", "its transform file")):
        means = {key: float(np.mean([entry.overlap for entry in compared if getattr(entry, kind) == key]))
                 for key in sorted({getattr(entry, kind) for entry in compared})}
        usual = float(np.median(list(means.values())))
        for key in [key for key in means if means[key] < usual - ODD]:
            name = silhouettes.views[key].file.stem if kind == "camera" else key
            yield Finding(2, f"{kind} {name}: the posed body and the person overlap by {means[key]:.2f}, by "
                             f"{usual:.2f} in other {kind}s. Look at {what}")


def overlaps(silhouettes: Silhouettes, compared: list[Compared], order: list[int]) -> Iterator[Finding]:
    """Whether bodies lie over people; if not, whether they do in other frames (of all, in `order`) or seen by other
    cameras.
    """
    if not compared:
        return
    mean = float(np.mean([entry.overlap for entry in compared]))
    if mean < FAIR:
        yield Finding(2 if mean < BAD else 1,
                      f"the posed body and the person in the photographs overlap by {mean:.2f} (1: the same outline, "
                      f"{len(compared)} pictures). Cameras, units or frame numbers may be wrong; the page that "
                      "prepare.py makes without --check shows them")
    else:
        yield Finding(0, f"the posed body and the person in the photographs overlap by {mean:.2f} (1: the same "
                         "outline)")
    yield from _outliers(silhouettes, compared)
    shifted: dict[int, list[float]] = {}
    places = {number: place for place, number in enumerate(order)}
    inner = [entry for entry in compared if all(
        0 <= places[entry.frame] + offset < len(order)
        and order[places[entry.frame] + offset] in silhouettes.vertices for offset in OFFSETS)]
    for entry in (inner[i] for i in evenly_spread(len(inner), SHIFTED)) if inner else ():
        for offset in OFFSETS:
            pose_of = order[places[entry.frame] + offset]
            shifted.setdefault(offset, []).append(silhouettes.overlap(entry.frame, entry.camera, pose_of))
    means = {offset: float(np.mean(values)) for offset, values in shifted.items()}
    best = max(means, key=lambda offset: means[offset], default=0)
    if best and means[best] > means[0] + BETTER:
        yield Finding(2, f"photographs fit better to the poses of {abs(best)} frame{'s' * (abs(best) > 1)} "
                         f"{'later' if best > 0 else 'earlier'} ({means[best]:.2f} instead of {means[0]:.2f}); "
                         "expected the same number for the same instant. Renumber rgb/ or transform/")
    if mean < FAIR:
        tried = [(frame, camera) for frame, camera in silhouettes.people if frame == silhouettes.frames[0]]
        tried, taken = [tried[i] for i in evenly_spread(len(tried), CAMERAS)] if tried else [], {}
        others = [int(i) for i in evenly_spread(len(silhouettes.views), OTHER_CAMERAS)]
        for frame, camera in tried:
            overlaps = [silhouettes.overlap(frame, camera, seen_by=other) for other in others]
            if max(overlaps) > silhouettes.overlap(frame, camera) + 0.1:
                taken[camera] = others[int(np.argmax(overlaps))]
        if 2 * len(taken) >= len(tried) and len(taken) > 1:
            camera, other = next(iter(taken.items()))
            yield Finding(2, f"pictures of camera {silhouettes.views[camera].file.stem} fit better to camera "
                             f"{silhouettes.views[other].file.stem} ({len(taken)} such cameras); are they in another "
                             "order?")
