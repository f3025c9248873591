"""An edit to files: rendering all output frames, several at once.

Output frames count from 0 here, from 1 in the names of pictures.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from retiming.compositor import Compositor
from retiming.edit import Edit
from retiming.uncovered import Uncovered
from util.errors import UserError
from util.files import folder_filled_atomically, written_atomically
from util.images import png
from util.sound import Sound
from util.video import FORMATS, VideoWriter, holds_alpha, write_exr
from vision.layers.patches import resized


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
    if pattern is None and path.suffix.lower() not in FORMATS:
        raise UserError(f"--out {out}: unknown ending; expected {', '.join(FORMATS)}, a folder, or folder/%04d.exr")
    if pattern is None and edit.transparent and not holds_alpha(path.suffix):
        raise UserError(f"--out {out}: {path.suffix} cannot hold alpha, and there is no background; expected .webm, "
                        ".mov, .gif or a folder")
    check_inputs_stay(compositor, edit, path, folder if pattern is not None else None)
    outputs = range(edit.first, edit.last + 1)
    shown = displayed_size(compositor.size, compositor.root.metadata.original_size)
    warnings: list[str] = []
    uncovered = Uncovered(compositor, edit) if edit.replacement is None and not edit.transparent else None

    def picture(output: int) -> np.ndarray:
        patches = compositor.patches(edit, output)
        if uncovered is not None:
            uncovered.note(output, compositor.camera_frame(edit, output), patches)
        pixels = compositor.over_background(edit, output, patches)
        return pixels if shown == compositor.size else resized(pixels, shown)

    if pattern is not None:
        write = partial(write_exr, frame_rate=rate) if pattern.lower().endswith(".exr") else _write_png
        with folder_filled_atomically(folder) as temporary:
            for _ in in_order(lambda output: write(temporary / (pattern % (output + 1)), picture(output)), outputs,
                              progress):
                pass
        warnings += left_from_before(folder, pattern, outputs)
    else:
        audio = compositor.root.metadata.audio
        sound = Sound(audio, float(edit.first / rate), float(len(outputs) / rate)) if audio else None
        with written_atomically(path) as temporary, closing(VideoWriter(temporary, rate, sound)) as video:
            for made in in_order(picture, outputs, progress):
                video.add(made)
        warnings += video.warnings
    warnings += compositor.warnings
    warning = uncovered.warning() if uncovered is not None else None
    return [warning, *warnings] if warning else warnings


def check_inputs_stay(compositor: Compositor, edit: Edit, path: Path, folder: Path | None) -> None:
    """See that the result does not take the place of what it is made from.

    Args:
        path: of a video.
        folder: of pictures; None: a video is written.

    Raises:
        UserError: it would.
    """
    root, layers = compositor.root.path.resolve(), compositor.layers
    inputs = {Path(file).resolve() for file in (edit.replacement, compositor.root.metadata.audio)
              if isinstance(file, Path)}
    if folder is None and path.resolve() in inputs:
        raise UserError(f"--out {path}: this very file is a part of the result; give another one")
    if folder is None:
        return
    place = folder.resolve()
    of_layers = {file.parent.resolve() for files in layers.files.values() for file in files.values()}
    of_clip = place.relative_to(root).parts[:1] if place.is_relative_to(root) else ()
    if place in of_layers or any(re.fullmatch(r"rgb.*|mask|iuv|gt|kp2uv|prepare", name) for name in of_clip):
        raise UserError(f"--out {folder}: holds what the result is made from; give another folder")


def displayed_size(size: tuple[int, int], original: tuple[int, int] | None) -> tuple[int, int]:
    """A size (width, height) with one side longer, so that it has the form of the source, which was rounded."""
    stretch = original[0] / original[1] * size[1] / size[0] if original else 1
    return (round(size[0] * stretch), size[1]) if stretch > 1 else (size[0], round(size[1] / stretch))


def picture_files(out: str) -> tuple[Path, str | None]:
    """The folder and the pattern of the names of pictures; None for a video."""
    if out.endswith(("/", os.sep)) or "." not in Path(out).name or Path(out).is_dir():
        return Path(out), "%04d.png"
    folder, name = Path(out).parent, Path(out).name
    if not name.lower().endswith((".png", ".exr")):
        return folder, None
    if not re.fullmatch(r"[^%]*%0?\d*d[^%]*", name):
        raise UserError(f"--out {out}: one name for all frames; expected a place for their number: "
                        f"%04d{name[-4:]}")
    return folder, name


def left_from_before(folder: Path, pattern: str, outputs: range) -> list[str]:
    """A warning, where a folder of pictures holds others of the same names, which programs take for frames of it."""
    before, after = re.split(r"%0?\d*d", pattern, maxsplit=1)
    names = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    found = [match[1] for path in folder.iterdir() if (match := names.fullmatch(path.name))]
    others = sorted({int(number) for number in found} - {output + 1 for output in outputs})
    if not others:
        return []
    return [f"{folder}: holds {len(others)} more pictures, of frames {others[0]} to {others[-1]}, from before; other "
            f"programs take them for part of this sequence. Remove them, or render to an empty folder"]


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(png(pixels, compression=None))


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
