"""The editor's page: what it is told of a clip, its pictures, and the page as one file that needs no server.

Frames count from 0, layers from 1 (0 is the background). The page itself is editor.html with the scripts and styles
beside it, and those of web/.
"""

import base64
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from retiming.compositor import Compositor
from retiming.edit import LIMITS, edit_from_values
from retiming.rendering import in_order
from util.checked_json import dotted
from util.files import write_text
from web.page import SCRIPTS, STYLES, Template
from web.server import Crop

FOLDER = Path(__file__).parent
OWN_SCRIPTS = ("time_warps", "edit", "sources", "compositor", "model", "sound", "player", "viewer", "curves",
               "inspector", "files", "rendering", "stretch", "editor")
TEMPLATE = Template(FOLDER / "editor.html", (*STYLES, FOLDER / "style.css"),
                    (*SCRIPTS, *(FOLDER / f"{name}.js" for name in OWN_SCRIPTS)))
QUALITY = 97  # of JPEG
THUMBNAIL = 80  # pixels high
PATH = (0, 0), (1, 0), (0, 2), (1, 2)
"""Places in a matrix of what the page is told of it."""


def clip_values(compositor: Compositor, name: str) -> dict:
    """What the page must know of a clip, as JSON; cameras are 9 numbers per frame, pixels to world."""
    frames, cameras = range(len(compositor.layers.frames)), None
    if compositor.registration is not None:
        cameras = compositor.registration.to_world(compositor.size)[compositor.indices].reshape(-1, 9).tolist()
    orders = compositor.orders if compositor.root.metadata.composite_order is not None else None
    return {"name": name, "length": len(frames), "size": compositor.size, "layers": compositor.facts.layers,
            "names": compositor.root.layer_names(compositor.facts.layers), "people": compositor.facts.people_layers,
            "rate": float(compositor.root.metadata.frame_rate),
            "order": orders, "cameras": cameras, "walks": compositor.scene is not None,
            "backgrounds": backgrounds(compositor)}


def backgrounds(compositor: Compositor) -> list[int]:
    """Per frame, the first frame that has the same background."""
    first: dict[Path, int] = {}
    return [first.setdefault(compositor.background_file(frame), frame) for frame in range(compositor.facts.length)]


def picture(compositor: Compositor, layer: int, frame: int) -> Crop | None:
    """A layer in a source frame, only what is covered; None: it is empty."""
    if layer == 0:
        return 0, 0, compositor.background(frame)
    crop = compositor.covered(layer, frame)
    return crop if crop[2].size else None


def motion_path(compositor: Compositor, layer: int, frame: int) -> list[list[float]]:
    """Where a layer of a source frame belongs in each frame, before a camera that walks; nothing, where it is empty.

    Returns:
        [a, b, x, y] per frame, of the matrix [[a, -b, x], [b, a, y], [0, 0, 1]] by which its pixels move.
    """
    if not compositor.covered(layer, frame)[2].size:
        return []
    motions = [compositor.motion(layer, frame, other) for other in range(compositor.facts.length)]
    return [[round(float(motion[place]), 6) for place in PATH] if motion is not None else [1, 0, 0, 0]
            for motion in motions]


def small(crop: Crop) -> Crop:
    """A picture made smaller for rows of thumbnails."""
    image = Image.fromarray(crop[2])
    width = max(round(image.width * THUMBNAIL / image.height), 1)
    return 0, 0, np.asarray(image if image.height <= THUMBNAIL else image.resize((width, THUMBNAIL)))


def person(compositor: Compositor, layer: int, frame: int) -> Crop | None:
    """How much of each pixel of `picture` is the person, grey."""
    patch = compositor.source(layer, frame)
    return None if patch is None else (patch.x, patch.y, compositor.person_weight(layer, frame)[patch.window])


def replacement(compositor: Compositor, name: str, folder: Path) -> Crop:
    """What stands in the background's place; of a video the first frame."""
    values = {"background": {"replace": name}, "remove": list(compositor.facts.layers)}
    edit = edit_from_values(values, compositor.facts, dotted, folder)
    return 0, 0, compositor.frame(edit, 0)


def page(values: dict, edit: dict) -> str:
    """The page as the server gives it: scripts and styles are files of their own.

    Args:
        values: see `clip_values`.
        edit: the edit that it starts with.
    """
    return TEMPLATE.page(_data(values, edit))


def write_page(path: Path, compositor: Compositor, name: str, edit: dict, folder: Path,
               progress: Callable[[range], Iterable[int]] = lambda frames: frames) -> None:
    """Write the page as one file with everything inside.

    Args:
        path: the file.
        compositor: the layers.
        name: what the clip is called.
        edit: the edit that it starts with.
        folder: where a background that the edit names is.
        progress: goes through the frames.
    """
    numbers, own = compositor.facts.layers, set(backgrounds(compositor))
    known = [layer for layer in numbers if compositor.knows_person(layer)]
    layers: dict[int, dict] = {layer: {} for layer in (0, *numbers)}
    people: dict[int, dict] = {layer: {} for layer in known}
    paths: dict[int, dict] = {layer: {} for layer in numbers} if compositor.scene else {}

    def add(frame: int) -> None:
        for layer in (*([0] if frame in own else []), *numbers):
            layers[layer][frame] = _embedded(picture(compositor, layer, frame))
        for layer in known:
            people[layer][frame] = _embedded(person(compositor, layer, frame))
        for layer, of_layer in paths.items():
            of_layer[frame] = motion_path(compositor, layer, frame)

    for _ in in_order(add, range(compositor.facts.length), progress):
        pass
    replaced = edit.get("background", {}).get("replace", "transparent")
    replacements = {}
    if replaced != "transparent" and not replaced.startswith("#"):
        replacements[replaced] = _embedded(replacement(compositor, replaced, folder))
    values = {**clip_values(compositor, name), "pictures": {"layers": layers, "people": people, "paths": paths,
                                                            "replacements": replacements}}
    write_text(path, TEMPLATE.one_file(_data(values, edit)))


def _data(values: dict, edit: dict) -> dict[str, object]:
    return {"limits": LIMITS, "data": {"clip": values, "edit": edit}}


def _embedded(crop: Crop | None) -> tuple[int, int, str, str] | None:
    """Place, type and base64 of a picture: layers lossless, backgrounds as good JPEG."""
    if crop is None:
        return None
    x, y, pixels = crop
    kind = "jpeg" if pixels.ndim == 3 and pixels.shape[2] == 3 else "webp"
    settings = {"quality": QUALITY, "subsampling": 0} if kind == "jpeg" else {"lossless": True}
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **settings)
    return x, y, f"image/{kind}", base64.b64encode(file.getvalue()).decode()
