"""An edit to files: rendering all output frames, and what to warn of.

Output frames count from 0 here, from 1 in the names of pictures.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from retiming.compositor import Compositor
from retiming.edit import Edit
from util.errors import UserError
from util.files import folder_filled_atomically, written_atomically
from util.video import FORMATS, Sound, VideoWriter, holds_alpha, write_exr
from vision.geometry.canvas import Canvas
from vision.geometry.homography import still
from vision.layers.patches import Patch, resized, transmittance


def render(compositor: Compositor, edit: Edit, out: str,
           progress: Callable[[range], Iterable[int]] = lambda outputs: outputs) -> list[str]:
    """Write the output frames as a video or as pictures, whole or not at all.

    Args:
        compositor: the layers.
        edit: made for `compositor.facts`.
        out: a file with an ending of util/video.py, `FORMATS`; a folder; or folder/%04d.exr or .png.
        progress: goes through the output frames; an exception that it raises ends the rendering.

    Returns:
        warnings, a line each.

    Raises:
        UserError: the ending of `out` is unknown, or its format cannot hold the alpha that the edit leaves.
    """
    path, rate = Path(out), compositor.root.metadata.frame_rate
    folder, pattern = picture_files(out)
    if pattern is None and path.suffix not in FORMATS:
        raise UserError(f"--out {out}: unknown ending; expected {', '.join(FORMATS)}, a folder, or folder/%04d.exr")
    if pattern is None and edit.transparent and not holds_alpha(path.suffix):
        raise UserError(f"--out {out}: {path.suffix} cannot hold alpha, and there is no background; expected .webm, "
                        ".mov, .gif or a folder")
    outputs = range(edit.first, edit.last + 1)
    shown = displayed_size(compositor.size, compositor.root.metadata.original_size)
    uncovered = Uncovered(compositor, edit) if edit.replacement is None and edit.shown else None

    def picture(output: int) -> np.ndarray:
        patches = compositor.patches(edit, output)
        if uncovered is not None:
            uncovered.note(output, compositor.camera_frame(edit, output), patches)
        pixels = compositor.over_background(edit, output, patches)
        return pixels if shown == compositor.size else resized(pixels, shown)

    if pattern is not None:
        write = write_exr if pattern.endswith(".exr") else write_png_quickly
        with folder_filled_atomically(folder) as temporary:
            for _ in in_order(lambda output: write(temporary / (pattern % (output + 1)), picture(output)), outputs,
                              progress):
                pass
    else:
        audio = compositor.root.metadata.audio
        sound = Sound(audio, float(edit.first / rate), float(len(outputs) / rate)) if audio else None
        with written_atomically(path) as temporary, closing(VideoWriter(temporary, rate, sound)) as video:
            for made in in_order(picture, outputs, progress):
                video.add(made)
    warning = uncovered.warning() if uncovered is not None else None
    return [warning] if warning else []


def displayed_size(size: tuple[int, int], original: tuple[int, int] | None) -> tuple[int, int]:
    """A size (width, height) with one side longer, so that it has the form of the source, which was rounded."""
    stretch = original[0] / original[1] * size[1] / size[0] if original else 1
    return (round(size[0] * stretch), size[1]) if stretch > 1 else (size[0], round(size[1] / stretch))


def picture_files(out: str) -> tuple[Path, str | None]:
    """The folder and the pattern of the names of pictures; None for a video."""
    if out.endswith(("/", os.sep)) or "." not in Path(out).name:
        return Path(out), "%04d.png"
    folder, name = Path(out).parent, Path(out).name
    if not name.endswith((".png", ".exr")):
        return folder, None
    if not re.fullmatch(r"[^%]*%0?\d*d[^%]*", name):
        raise UserError(f"--out {out}: one name for all frames; expected a place for their number: "
                        f"%04d{name[-4:]}")
    return folder, name


def write_png_quickly(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 RGB [H, W, 3] or RGBA [H, W, 4]: files are larger than Pillow's, and made several times as fast."""
    code = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(pixels, code))[1])


def in_order(make: Callable[[int], object], outputs: range,
             progress: Callable[[range], Iterable[int]] = lambda outputs: outputs) -> Iterator:
    """What `make` makes of each output frame, in order; several are made at once, a few ahead of what is asked for."""
    threads = min(os.cpu_count() or 1, 8)
    cv2.setNumThreads(1)  # the frames share the cores already
    with ThreadPoolExecutor(threads) as pool:
        coming: deque[Future] = deque()
        try:
            for output in progress(outputs):
                while len(coming) < 2 * threads and output + len(coming) < outputs.stop:
                    coming.append(pool.submit(make, output + len(coming)))
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()


class Uncovered:
    """Background that an edit shows, and that people hide in every frame of the clip.

    Args:
        compositor: the layers.
        edit: what is rendered.
    """

    STEP = 4  # pixels of a picture, each way, for one that is looked at
    LARGEST = 1024  # side of what is looked at: the picture, or the panorama
    SEEN = 0.5  # share of the background that comes through where it is seen
    NEGLIGIBLE = 0.001  # share of the picture

    def __init__(self, compositor: Compositor, edit: Edit):
        self.compositor, self.edit, self.lock = compositor, edit, Lock()
        width, height = compositor.size
        registration = compositor.registration or still(compositor.size, len(compositor.root.frames))
        self.canvas = Canvas.of(registration, compositor.size, 1 / self.STEP, self.LARGEST)
        self.pixels_of_picture = width * height * self.canvas.density ** 2
        self.first_shown = np.full(self.canvas.size[::-1], edit.length)

    def note(self, output: int, camera: int, patches: list[tuple[Patch, float]]) -> None:
        """Take note of an output frame, seen by the camera of a source frame: patches and their opacity."""
        seen = self._seen(camera, patches)
        with self.lock:
            self.first_shown[seen] = np.minimum(self.first_shown[seen], output)

    def warning(self) -> str | None:
        """What to tell the user, if anything. Source frames are read until all of the background has been seen."""
        hidden = self.first_shown < self.edit.length
        frames = range(len(self.compositor.layers.frames))
        for frame in sorted(frames, key=lambda frame: frame * 0.618 % 1):  # far apart: neighbours hide the same places
            layers = [self.compositor.source(layer, frame) for layer in self.compositor.layers.numbers]
            hidden &= ~self._seen(frame, [(patch, 1.0) for patch in layers if patch is not None])
            # A line one pixel wide is the edge of a layer that was moved.
            inner = cv2.erode(hidden.astype(np.uint8), np.ones((3, 3), np.uint8))
            if inner.sum() <= self.NEGLIGIBLE * self.pixels_of_picture:
                return None
        share = hidden.sum() / self.pixels_of_picture
        return (f"from output frame {self.first_shown[hidden].min() + 1} on, {share:.1%} of the picture is background "
                "that people hide in every frame of the clip: what is shown there is a guess")

    def _seen(self, camera: int, patches: list[tuple[Patch, float]]) -> np.ndarray:
        through = transmittance(patches, self.compositor.size)
        return self.canvas.lay(through, self.compositor.indices[camera], around=cv2.BORDER_CONSTANT) > self.SEEN
