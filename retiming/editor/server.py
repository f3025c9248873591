"""What the editor's page may ask this machine for: pictures of the layers, rendered frames, saved edits, rendering.

Names that come from the browser are letters, digits, spaces, _ and -, of files in one folder. What is rendered is sent
as a file, and no other.
"""

import json
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from retiming.compositor import Compositor
from retiming.edit import LIMITS, TRANSPARENT, Edit, alone, edit_from_text, edit_from_values
from retiming.editor import page
from retiming.editor.page import clip_values
from retiming.layer_files import FORMATS as LAYER_FORMATS
from retiming.layer_files import write_layers
from retiming.rendering import render
from util.checked_json import dotted, values_from_text
from util.errors import UserError
from util.files import read_text, write_text, written_atomically
from util.pictures import PICTURE_SUFFIXES, read_picture
from util.sound import wav
from util.video_reader import PicturesByTime
from web.server import Crop, Site
from web.server import serve as serve_site

FORMATS = tuple(LIMITS["formats"])
FILE_NAME = re.compile(LIMITS["file_name"].replace(r"\p{L}\p{N}_", r"\w"))  # Python's name for these
VIDEO_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi")


class Cancelled(Exception):
    """Somebody has stopped the rendering."""


@dataclass
class Rendering:
    """The rendering of an edit that goes on beside the server, and what has become of it."""

    file: str
    total: int
    done: int = 0
    state: str = "running"
    failure: str = ""
    warnings: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def run(self, work: Callable[[Callable], list[str]]) -> None:
        """Do the work, which goes through its output frames by `followed`; what goes wrong is kept for the page."""
        try:
            self.warnings += work(self.followed)
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except UserError as error:
            self.state, self.failure = "failed", str(error)
        except Exception as error:
            traceback.print_exc()
            self.state, self.failure = "failed", f"{type(error).__name__}: {error}"

    def followed(self, outputs: Iterable[int]) -> Iterator[int]:
        """Go through output frames, counting them."""
        for output in outputs:
            if self.cancelled.is_set():
                raise Cancelled
            yield output
            self.done += 1

    def values(self) -> dict:
        """What the page is told."""
        return {"file": self.file, "total": self.total, "done": self.done, "state": self.state, "failure": self.failure,
                "warnings": self.warnings}


class Session:
    """A clip being edited: all that the server does, without HTTP.

    Args:
        compositor: the layers.
        name: what the clip is called.
        edit: the edit that the page starts with, as values of an edit file.
        folder: for saved edits, rendered videos, and pictures that stand in the background's place.
    """

    def __init__(self, compositor: Compositor, name: str, edit: dict, folder: Path):
        self.compositor, self.folder, self.start = compositor, folder, edit
        self.site = Site(
            self.page, page.TEMPLATE.files,
            {("picture", 2): self.picture, ("person", 2): self.person, ("replacement", 1): self.replacement,
             ("thumbnail", 2): self.thumbnail, ("path", 2): self.path, ("sound", 0): self.sound,
             ("edit", 1): self.saved_edit, ("files", 0): self.files, ("progress", 0): self.progress,
             ("rendered", 0): self.rendered},
            {"check": self.check, "frame": self.frame, "save": self.save, "render": self.render,
             "cancel": self.cancel}, {"background": self.add_background})
        self.values = {**clip_values(compositor, name), "token": self.site.token, "folder": str(folder)}
        self.rendering: Rendering | None = None
        self.own: set[Path] = set()  # what this session has opened or made: it is written again without a question
        self.lock, self.taking = threading.Lock(), threading.Lock()

    def edit(self, asked: dict) -> Edit:
        """The edit of a request: values, or the text of a file."""
        edit = asked.get("edit")
        if isinstance(edit, str):
            return edit_from_text(edit, "edit", self.compositor.facts, self.folder)
        return edit_from_values(edit, self.compositor.facts, dotted, self.folder)

    def page(self) -> str:
        """The page."""
        return page.page(self.values, self.start)

    def picture(self, layer: str, frame: str) -> Crop | None:
        """A layer in a source frame."""
        return page.picture(self.compositor, *self._place(layer, frame))

    def thumbnail(self, layer: str, frame: str) -> Crop | None:
        """The same, small."""
        crop = self.picture(layer, frame)
        return None if crop is None else page.small(crop)

    def person(self, layer: str, frame: str) -> Crop | None:
        """Where in it the person is."""
        return page.person(self.compositor, *self._place(layer, frame))

    def path(self, layer: str, frame: str) -> dict:
        """Where a layer of a source frame belongs in all frames (`page.motion_path`)."""
        return {"path": page.motion_path(self.compositor, *self._place(layer, frame))}

    def replacement(self, name: str) -> Crop:
        """What stands in the background's place."""
        return page.replacement(self.compositor, name, self.folder)

    def sound(self) -> bytes | None:
        """The clip's sound, if it has any that can be read."""
        metadata = self.compositor.root.metadata
        if metadata.audio is None:
            return None
        return wav(metadata.audio, len(self.compositor.layers.frames) / float(metadata.frame_rate))

    def check(self, asked: dict) -> dict:
        """Warnings of an edit."""
        return {"warnings": self.edit(asked).warnings}

    def frame(self, asked: dict) -> Crop:
        """An output frame, as retime.py renders it; with a "layer" that one alone, with "matte" the alpha, as grey."""
        edit, frame = self.edit(asked), asked.get("frame")
        if not isinstance(frame, int) or not 0 <= frame < edit.length:
            raise UserError(f"frame: found {frame}; expected one from 0 to {edit.length - 1}")
        layer, matte = asked.get("layer"), asked.get("matte") is True
        if layer is not None:
            edit = alone(edit, layer, self.compositor.facts.layers, "layer")
        if matte:
            edit = replace(edit, replacement=TRANSPARENT)
        pixels = self.compositor.frame(edit, frame)
        return 0, 0, np.ascontiguousarray(pixels[..., 3]) if matte else pixels

    def files(self) -> dict:
        """Names of what is in the folder: edits, what may stand in the background's place, and what was rendered."""
        found = sorted(path for path in self.folder.glob("*") if path.is_file()) if self.folder.is_dir() else []
        return {"edits": [path.stem for path in found if path.suffix == ".json"],
                "backgrounds": [path.name for path in found
                                if path.suffix.lower() in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES)]}

    def add_background(self, name: str, chunks: Iterator[bytes]) -> dict:
        """Take a picture or video that may stand in the background's place; its name here, under which nothing was."""
        stem, ending = safe_stem(name), Path(name).suffix.lower()
        if ending not in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES):
            raise UserError(f"{name[-60:]}: neither a picture nor a video; expected "
                            f"{', '.join((*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))}")
        with self.taking:
            path, number = self.folder / f"{stem}{ending}", 2
            while path.exists():
                path, number = self.folder / f"{stem} {number}{ending}", number + 1
            with written_atomically(path) as temporary:
                with temporary.open("wb") as file:
                    file.writelines(chunks)
                try:
                    if ending in PICTURE_SUFFIXES:
                        read_picture(temporary)
                    else:
                        PicturesByTime(temporary, lambda picture: picture).at(0)
                except UserError as error:
                    raise UserError(str(error).replace(str(temporary), name[-60:])) from None
        return {"name": path.name}

    def saved_edit(self, name: str) -> str:
        """The text of a saved edit."""
        path = self.folder / f"{safe_name(name)}.json"
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not readable ({error})") from None
        self.own.add(path)
        return text

    def save(self, asked: dict) -> dict:
        """Save the text of an edit under a name, or answer what is in the way (`_in_the_way`)."""
        path, text = self.folder / f"{safe_name(asked.get('name'))}.json", asked.get("edit")
        if not isinstance(text, str):
            raise UserError("edit: expected the text of a file")
        self.edit(asked)
        if self._in_the_way(path, asked):
            return {"exists": path.name}
        write_text(path, text)
        self.own.add(path)
        self.start = json.loads(text)  # what the page starts with when it is loaded again, and its name
        self.values["edit_name"] = path.stem
        return {"file": str(path)}

    def render(self, asked: dict) -> dict:
        """Start to render, under a name and in a format, or answer what is in the way (`_in_the_way`).

        With `layer` that one alone. With `layers`, one of `LAYER_FORMATS`, the layers are written into a folder of that
        name (see `retiming/layer_files.py`), with `apart` their effects apart.
        """
        if asked.get("layers") is not None:
            return self._render_layers(asked)
        name, _, ending = str(asked.get("name")).rpartition(".")
        if ending not in FORMATS:
            raise UserError(f"found .{ending[:20]}; expected one of {', '.join(FORMATS)}")
        out = self.folder / (f"{safe_name(name)}/%04d.{ending}" if ending in ("png", "exr") else
                             f"{safe_name(name)}.{ending}")
        edit, place = self.edit(asked), out.parent if ending in ("png", "exr") else out
        if asked.get("layer") is not None:
            edit = alone(edit, asked["layer"], self.compositor.facts.layers, "layer")
        if edit.replacement != place and self._in_the_way(place, asked):  # that is refused, not asked about
            return {"exists": place.name}
        return self._start(edit, out, place, partial(render, self.compositor.for_files(ending), edit, str(out)))

    def _render_layers(self, asked: dict) -> dict:
        form, folder, edit = asked["layers"], self.folder / safe_name(asked.get("name")), self.edit(asked)
        if form not in LAYER_FORMATS:
            raise UserError(f"found layers as {str(form)[:20]}; expected one of {', '.join(LAYER_FORMATS)}")
        if self._in_the_way(folder, asked):
            return {"exists": folder.name}
        values = values_from_text(asked["edit"], "edit") if isinstance(asked["edit"], str) else asked["edit"]
        return self._start(edit, folder, folder, partial(write_layers, self.compositor.for_files(form), edit, folder,
                                                         form, asked.get("apart") is True, values))

    def _start(self, edit: Edit, out: Path, place: Path, work: Callable[[Callable], list[str]]) -> dict:
        with self.lock:
            if self.rendering is not None and self.rendering.state == "running":
                raise UserError(f"{self.rendering.file} is being rendered; wait for it, or cancel it")
            self.rendering = Rendering(str(out), edit.last + 1 - edit.first, warnings=list(edit.warnings))
            self.own.add(place)
        # Not a daemon, as the thread of a request is: at the end it is waited for, so that nothing unfinished stays.
        threading.Thread(target=self.rendering.run, args=(work,), name="rendering", daemon=False).start()
        return self.progress()

    def progress(self) -> dict:
        """How far the rendering is."""
        return self.rendering.values() if self.rendering is not None else {"state": "none"}

    def rendered(self) -> Path:
        """The video that was rendered last."""
        if self.rendering is None or self.rendering.state != "done" or not Path(self.rendering.file).is_file():
            raise UserError("there is no video; render one first")
        return Path(self.rendering.file)

    def cancel(self, _: dict | None = None) -> dict:
        """Stop the rendering; nothing of it stays."""
        if self.rendering is not None:
            self.rendering.cancelled.set()
        return self.progress()

    def _in_the_way(self, path: Path, asked: dict) -> bool:
        """Whether a file, or a folder with files, is there that the user has not yet said to replace."""
        there = any(path.iterdir()) if path.is_dir() else path.exists()
        return there and path not in self.own and asked.get("overwrite") is not True

    def _place(self, layer: str, frame: str) -> tuple[int, int]:
        layers, length = (0, *self.compositor.facts.layers), self.compositor.facts.length
        if not (layer.isdecimal() and frame.isdecimal() and len(layer + frame) < 20
                and int(layer) in layers and int(frame) < length):
            raise UserError(f"layer {layer[:20]}, frame {frame[:20]}: no such picture")
        return int(layer), int(frame)


def safe_stem(name: str) -> str:
    """A name that is safe, as like that of somebody's file as it can be."""
    stem = re.sub(r"[^\w \-]", "_", Path(name).stem)[:40].lstrip(" -")
    return stem if FILE_NAME.fullmatch(stem) else "background"


def safe_name(name) -> str:
    """A name that comes from the browser, if it is one of a file in the folder."""
    if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
        raise UserError(f"found the name {str(name)[:60]!r}; expected letters, digits, spaces, _ and -")
    return name


def serve(session: Session, port: int, started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, see web/server.py.

    Args:
        session: the clip.
        port: where; 0 takes a free one.
        started: is told the address.

    Raises:
        UserError: the port cannot be had.
    """
    serve_site(session.site, port, started)
    session.cancel()
