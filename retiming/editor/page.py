"""The editor's page: what it is told of a clip, its pictures, and the page as one file that needs no server.

Frames count from 0, layers from 1 (0 is the background). The page itself is editor.html with the scripts and styles
beside it.
"""

import base64
import io
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from retiming.compositor import Compositor
from retiming.edit import edit_from_values
from util.checked_json import dotted
from util.files import write_text
from vision.layers.patches import covered_part

FOLDER = Path(__file__).parent
STYLES, SCRIPTS = "style.css", ("time_warps.js", "edit.js", "sources.js", "compositor.js", "model.js", "timeline.js",
                                "inspector.js", "editor.js")
QUALITY = 97  # of JPEG

Cut = tuple[int, int, np.ndarray]
"""(x, y) of the first pixel in the frame, and uint8 pixels: straight RGBA, RGB or grey."""


def clip_values(compositor: Compositor, name: str) -> dict:
    """What the page must know of a clip, as JSON; cameras are 9 numbers per frame, pixels to world."""
    frames, cameras = range(len(compositor.layers.frames)), None
    if compositor.registration is not None:
        cameras = compositor.registration.to_world(compositor.size)[compositor.indices].reshape(-1, 9).tolist()
    orders = compositor.orders if compositor.root.metadata.composite_order is not None else None
    return {"name": name, "length": len(frames), "size": compositor.size, "layers": compositor.facts.layers,
            "people": compositor.facts.people_layers, "rate": float(compositor.root.metadata.frame_rate),
            "order": orders, "cameras": cameras}


def picture(compositor: Compositor, layer: int, frame: int) -> Cut | None:
    """A layer in a source frame, only what is covered; None: it is empty."""
    if layer == 0:
        return 0, 0, compositor.layers.background(frame)
    cut = covered_part(compositor.layers.layer(layer, frame))
    return cut if cut[2].size else None


def person(compositor: Compositor, layer: int, frame: int) -> Cut | None:
    """How much of each pixel of `picture` is the person, grey."""
    patch = compositor.source(layer, frame)
    return None if patch is None else (patch.x, patch.y, compositor.person_weight(layer, frame)[patch.window])


def replacement(compositor: Compositor, name: str, folder: Path) -> Cut:
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
    head = f'<link rel="stylesheet" href="{STYLES}">'
    return _filled(head, "\n".join(f'<script src="{name}"></script>' for name in SCRIPTS), values, edit)


def write_page(path: Path, compositor: Compositor, name: str, edit: dict, folder: Path) -> None:
    """Write the page as one file with everything inside.

    Args:
        path: the file.
        compositor: the layers.
        name: what the clip is called.
        edit: the edit that it starts with.
        folder: where a background that the edit names is.
    """
    numbers, frames = compositor.facts.layers, range(len(compositor.layers.frames))
    n_backgrounds = len(set(compositor.layers.files[0].values()))
    layers = {0: [_embedded(picture(compositor, 0, frame)) for frame in frames[:n_backgrounds]]}
    people = {}
    for layer in numbers:
        layers[layer] = [_embedded(picture(compositor, layer, frame)) for frame in frames]
        if compositor.knows_person(layer):
            people[layer] = [_embedded(person(compositor, layer, frame)) for frame in frames]
    replaced = edit.get("background", {}).get("replace", "transparent")
    replacements = {}
    if replaced != "transparent" and not replaced.startswith("#"):
        replacements[replaced] = _embedded(replacement(compositor, replaced, folder))
    values = {**clip_values(compositor, name), "pictures": {"layers": layers, "people": people,
                                                            "replacements": replacements}}
    policy = ("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:")
    head = (f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            f"<style>{(FOLDER / STYLES).read_text(encoding='utf-8')}</style>")
    scripts = "\n".join(f"<script>{(FOLDER / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS)
    write_text(path, _filled(head, scripts, values, edit))


def png(pixels: np.ndarray) -> bytes:
    """Uint8 RGB, RGBA or grey as PNG, made quickly."""
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _filled(head: str, scripts: str, values: dict, edit: dict) -> str:
    # "<" would end the element that the values stand in.
    data = json.dumps({"clip": values, "edit": edit}, separators=(",", ":")).replace("<", "\\u003c")
    text = (FOLDER / "editor.html").read_text(encoding="utf-8")
    for mark, content in (("<!-- head -->", head), ("<!-- scripts -->", scripts),
                          ("<!-- data -->", f'<script type="application/json" id="data">{data}</script>')):
        text = text.replace(mark, content)
    return text


def _embedded(cut: Cut | None) -> tuple[int, int, str, str] | None:
    """Place, type and base64 of a picture: layers lossless, backgrounds as good JPEG."""
    if cut is None:
        return None
    x, y, pixels = cut
    kind = "jpeg" if pixels.ndim == 3 and pixels.shape[2] == 3 else "webp"
    settings = {"quality": QUALITY, "subsampling": 0} if kind == "jpeg" else {"lossless": True}
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **settings)
    return x, y, f"image/{kind}", base64.b64encode(file.getvalue()).decode()
