"""Maps of an actor's frames: normals of the posed body, and textures from photographs, a file for each transform file.

Frames are made by several processes at once. What is there stays, so an interrupted command goes on where it was.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.actor_files import by_number, pictures_of_cameras, read_pose, world_vertices
from util.errors import UserError
from util.files import link_or_copy
from util.images import read_image, write_png
from vision.geometry.raster import Raster
from vision.people.skinning import Body
from vision.people.texture_maps import Observations, Photograph, baked_texture, normal_map, uv_raster

FRAMES_FOR_A_PROCESS = 8
"""With fewer, beginning a process takes longer than what it does."""
OBSERVATIONS_OF_A_CLIP = 7
"""A texel's colour is the median of so many frames, those that see it best, where there is one texture for all."""
_work: list[Callable[[int], None]] = []
"""What this process does with a frame, where it is one of several."""


@dataclass(frozen=True)
class NormalMaps:
    """Writes the normal map of a frame (`vision.people.texture_maps.normal_map`).

    Attributes:
        body: the actor's.
        transforms: files of frames, by number.
        raster: of the body's texture coordinates.
        files: to write, by number.
    """

    body: Body
    transforms: dict[int, Path]
    raster: Raster
    files: dict[int, Path]

    def __call__(self, number: int) -> None:
        """Write one."""
        vertices = world_vertices(self.body, read_pose(self.transforms[number], self.body.weights.shape[1]))
        write_png(self.files[number], normal_map(vertices.numpy(), self.body.faces.numpy(), self.raster))


@dataclass(frozen=True)
class TextureMaps:
    """Writes the texture of a frame as its photographs show it (`vision.people.texture_maps.baked_texture`).

    Attributes:
        body, transforms, raster, files: as of `NormalMaps`.
        photographs: folders of frames, by number.
        places: files of all cameras, which pictures are matched with.
        cameras: index of each camera to look through, to its intrinsics and camera-to-world matrix.
        white: levels from which a pixel without alpha is background, in all three channels.
        as_published: with the published tool's faults.
    """

    body: Body
    transforms: dict[int, Path]
    raster: Raster
    files: dict[int, Path]
    photographs: dict[int, Path]
    places: list[Path]
    cameras: dict[int, tuple[np.ndarray, np.ndarray]]
    white: int = 255
    as_published: bool = False

    def __call__(self, number: int) -> None:
        """Write one."""
        vertices, seen = self.shown(number)
        write_png(self.files[number], baked_texture(vertices, self.body.faces.numpy(), self.raster, seen,
                                                    self.as_published))

    def shown(self, number: int) -> tuple[np.ndarray, list[Photograph]]:
        """The body's vertices [V, 3] in a frame, in the world, and its photographs.

        Raises:
            UserError: there is none.
        """
        if number not in self.photographs:
            raise UserError(f"{self.transforms[number]}: no folder of photographs has its number; expected one for "
                            "each frame")
        vertices = world_vertices(self.body, read_pose(self.transforms[number], self.body.weights.shape[1]))
        pictures = pictures_of_cameras(self.photographs[number], self.places)
        seen = [Photograph(*photograph(picture, self.white), *camera)
                for index, camera in self.cameras.items() if (picture := pictures[index]) is not None]
        if not seen:
            raise UserError(f"{self.photographs[number]}: no picture of any camera that was asked for; expected one")
        return vertices.numpy(), seen


def make_one_texture(make: TextureMaps) -> float:
    """Write one texture for all frames, from all of them: what one camera shows while somebody turns.

    Returns:
        the share of the body's texels that no photograph shows; their colours are continued from those around.
    """
    observed = Observations(make.body.faces.numpy(), make.raster, OBSERVATIONS_OF_A_CLIP)
    for number in tqdm(sorted(make.files), desc="texture", unit="frame"):
        vertices, photographs = make.shown(number)
        for picture in photographs:
            observed.add(vertices, picture, make.as_published)
    first, *others = (make.files[number] for number in sorted(make.files))
    write_png(first, observed.picture(make.as_published))
    for other in others:
        link_or_copy(first, other)
    return float((observed.covered & ~observed.seen).sum() / max(1, observed.covered.sum()))


def photograph(path: Path, white: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """Colours uint8 [H, W, 3] and foreground bool [H, W] of a photograph: by its alpha, else what is not white."""
    rgba = read_image(path, "RGBA")
    if rgba[..., 3].min() < 255:
        return rgba[..., :3], rgba[..., 3] >= 128
    return rgba[..., :3], np.any(rgba[..., :3] < white, axis=-1)


def map_files(folder: Path, transforms: dict[int, Path]) -> dict[int, Path]:
    """The map of each frame: the file that has its number already, else one of the transform file's name."""
    there = by_number(folder, "*.png") if any(folder.glob("*.png")) else {}
    return {number: there.get(number, folder / f"{path.stem}.png") for number, path in transforms.items()}


def body_raster(body: Body, resolution: int) -> Raster:
    """The raster of a body's texture coordinates."""
    return uv_raster(body.face_uv.numpy(), resolution)


def make_maps(make: NormalMaps | TextureMaps, what: str, workers: int, overwrite: bool = False) -> int:
    """Make the maps that are not there.

    Args:
        make: writes the map of a frame.
        what: they are, for the progress bar.
        workers: processes.
        overwrite: make all of them.

    Returns:
        how many were made.

    Raises:
        UserError: the first one of a frame's.
    """
    numbers = [number for number, file in make.files.items() if overwrite or not file.exists()]
    workers = min(workers, len(numbers) // FRAMES_FOR_A_PROCESS)
    if workers <= 1:
        for number in tqdm(numbers, desc=what, unit="frame"):
            make(number)
        return len(numbers)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (make,)) as pool:
        try:
            for _ in tqdm(pool.map(_make, numbers), desc=what, unit="frame", total=len(numbers)):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(numbers)


def _begin(make: Callable[[int], None]) -> None:
    import torch
    torch.set_num_threads(1)
    _work[:] = [make]


def _make(number: int) -> None:
    _work[0](number)
