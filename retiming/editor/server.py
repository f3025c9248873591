"""The editor's server, for this machine alone: pictures of the layers, rendered frames, saved edits, rendering.

Another page in the same browser can neither read nor start anything: requests must name this machine as their host (so
no foreign name that leads here will do) and, but for the page itself, carry a token that only the page knows. Names
that come from the browser are letters, digits, spaces, _ and -, of files in one folder.
"""

import json
import re
import secrets
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from data.dataroot import IMAGE_SUFFIXES
from retiming.compositor import Compositor
from retiming.edit import Edit, edit_from_text, edit_from_values
from retiming.editor import page
from retiming.editor.page import Cut, clip_values
from retiming.rendering import render
from util.checked_json import dotted, values_from_text
from util.errors import UserError
from util.files import write_text
from util.images import png

MOST_BYTES = 2_000_000  # of a request
FORMATS = ("mp4", "webm", "mov", "gif", "png", "exr")
VIDEO_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi")
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob: data:; "
          "media-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")


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

    def run(self, compositor: Compositor, edit: Edit) -> None:
        """Render; what goes wrong is kept for the page."""
        try:
            self.warnings = [*edit.warnings, *render(compositor, edit, self.file, self.followed)]
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
        self.compositor, self.folder, self.token = compositor, folder, secrets.token_urlsafe(24)
        self.values, self.start = {**clip_values(compositor, name), "token": self.token, "folder": str(folder)}, edit
        self.rendering: Rendering | None = None
        self.lock = threading.Lock()

    def edit(self, asked: dict) -> Edit:
        """The edit of a request: values, or the text of a file."""
        edit = asked.get("edit")
        if isinstance(edit, str):
            return edit_from_text(edit, "edit", self.compositor.facts, self.folder)
        return edit_from_values(edit, self.compositor.facts, dotted, self.folder)

    def page(self) -> str:
        """The page."""
        return page.page(self.values, self.start)

    def picture(self, layer: str, frame: str) -> Cut | None:
        """A layer in a source frame."""
        return page.picture(self.compositor, *self._place(layer, frame))

    def person(self, layer: str, frame: str) -> Cut | None:
        """Where in it the person is."""
        return page.person(self.compositor, *self._place(layer, frame))

    def replacement(self, name: str) -> Cut:
        """What stands in the background's place."""
        return page.replacement(self.compositor, name, self.folder)

    def check(self, asked: dict) -> dict:
        """Warnings of an edit."""
        return {"warnings": self.edit(asked).warnings}

    def frame(self, asked: dict) -> Cut:
        """An output frame, as retime.py renders it."""
        edit, frame = self.edit(asked), asked.get("frame")
        if not isinstance(frame, int) or not 0 <= frame < edit.length:
            raise UserError(f"frame: found {frame}; expected one from 0 to {edit.length - 1}")
        return 0, 0, self.compositor.frame(edit, frame)

    def files(self) -> dict:
        """Names of what is in the folder: edits, what may stand in the background's place, and what was rendered."""
        found = sorted(path for path in self.folder.glob("*") if path.is_file()) if self.folder.is_dir() else []
        return {"edits": [path.stem for path in found if path.suffix == ".json"],
                "backgrounds": [path.name for path in found
                                if path.suffix.lower() in (*IMAGE_SUFFIXES, ".webp", *VIDEO_SUFFIXES)]}

    def saved_edit(self, name: str) -> str:
        """The text of a saved edit."""
        path = self.folder / f"{safe_name(name)}.json"
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not readable ({error})") from None

    def save(self, asked: dict) -> dict:
        """Save the text of an edit under a name."""
        path, text = self.folder / f"{safe_name(asked.get('name'))}.json", asked.get("edit")
        if not isinstance(text, str):
            raise UserError("edit: expected the text of a file")
        self.edit(asked)
        write_text(path, text)
        self.start = json.loads(text)  # what the page starts with when it is loaded again
        return {"file": str(path)}

    def render(self, asked: dict) -> dict:
        """Start to render, under a name and in a format."""
        name, _, ending = str(asked.get("name")).rpartition(".")
        if ending not in FORMATS:
            raise UserError(f"found .{ending[:20]}; expected one of {', '.join(FORMATS)}")
        out = self.folder / (f"{safe_name(name)}/%04d.{ending}" if ending in ("png", "exr") else
                             f"{safe_name(name)}.{ending}")
        edit = self.edit(asked)
        with self.lock:
            if self.rendering is not None and self.rendering.state == "running":
                raise UserError(f"{self.rendering.file} is being rendered; wait for it, or cancel it")
            self.rendering = Rendering(str(out), edit.last + 1 - edit.first)
        threading.Thread(target=self.rendering.run, args=(self.compositor, edit), name="rendering").start()
        return self.progress()

    def progress(self) -> dict:
        """How far the rendering is."""
        return self.rendering.values() if self.rendering is not None else {"state": "none"}

    def cancel(self, _: dict | None = None) -> dict:
        """Stop the rendering; nothing of it stays."""
        if self.rendering is not None:
            self.rendering.cancelled.set()
        return self.progress()

    def _place(self, layer: str, frame: str) -> tuple[int, int]:
        layers, length = (0, *self.compositor.facts.layers), self.compositor.facts.length
        if not (layer.isdecimal() and frame.isdecimal() and int(layer) in layers and int(frame) < length):
            raise UserError(f"layer {layer[:20]}, frame {frame[:20]}: no such picture")
        return int(layer), int(frame)


def safe_name(name) -> str:
    """A name that comes from the browser, if it is one of a file in the folder."""
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w -]{0,60}", name):
        raise UserError(f"found the name {str(name)[:60]!r}; expected letters, digits, spaces, _ and -")
    return name


def serve(session: Session, port: int, started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        session: the clip.
        port: where; 0 takes a free one.
        started: is told the address.

    Raises:
        UserError: the port cannot be had.
    """
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--port {port}: cannot be used ({reason}); give another one") from None
    server.session, port = session, server.server_address[1]
    server.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    with server:
        started(f"http://localhost:{port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            session.cancel()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    session: Session
    hosts: tuple[str, ...]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "retime", ""
    timeout = 60  # seconds that a connection may be silent

    def do_GET(self):
        path, session = unquote(self.path).strip("/"), self.server.session
        file = path if path in (page.STYLES, *page.SCRIPTS) else None
        if not self._is_allowed(needs_token=path != "" and file is None):
            return
        if path == "":
            return self._send(session.page().encode(), "text/html; charset=utf-8")
        if file:
            kind = "text/css" if file == page.STYLES else "text/javascript"
            return self._send((page.FOLDER / file).read_bytes(), f"{kind}; charset=utf-8")
        kind, *names = path.split("/")
        ways = {("picture", 2): session.picture, ("person", 2): session.person, ("replacement", 1): session.replacement,
                ("edit", 1): session.saved_edit, ("files", 0): session.files, ("progress", 0): session.progress}
        self._answer(ways.get((kind, len(names))), names)

    def do_POST(self):
        # Other sites cannot send the token without asking first, and no such question is answered.
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            return self._send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_BYTES} bytes")
        body, session = self.rfile.read(int(length)), self.server.session
        if not self._is_allowed(needs_token=True):
            return
        ways = {"/check": session.check, "/frame": session.frame, "/save": session.save, "/render": session.render,
                "/cancel": session.cancel}
        self._answer(ways.get(self.path), [lambda: values_from_text(body.decode(errors="replace"), "request")])

    def log_message(self, *_):
        pass

    def _is_allowed(self, needs_token: bool) -> bool:
        token = self.headers.get("X-Token", "")
        if self.headers.get("Host") not in self.server.hosts:
            self._send_error(HTTPStatus.FORBIDDEN, "this server is for this machine alone")
        elif needs_token and not secrets.compare_digest(token.encode(), self.server.session.token.encode()):
            self._send_error(HTTPStatus.FORBIDDEN, "the editor was started anew; load the page again")
        else:
            return True
        return False

    def _answer(self, way: Callable | None, arguments: list) -> None:
        if way is None:
            return self._send_error(HTTPStatus.NOT_FOUND, "no such address")
        try:
            result = way(*(argument() if callable(argument) else argument for argument in arguments))
        except UserError as error:  # not a bad status: browsers write those into the console, as faults of the page
            result = {"error": str(error)}
        except Exception as error:
            traceback.print_exc()
            return self._send_error(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
        if isinstance(result, tuple):
            x, y, pixels = result
            self._send(png(pixels, compression=None), "image/png", {"X-Place": f"{x} {y}"})
        elif isinstance(result, str):
            self._send(result.encode(), "text/plain; charset=utf-8")
        elif result is None:
            self._send(b"", "image/png", status=HTTPStatus.NO_CONTENT)
        else:
            self._send(json.dumps(result).encode(), "application/json")

    def _send_error(self, status: HTTPStatus, message: str) -> None:
        self._send(json.dumps({"error": message}).encode(), "application/json", status=status)

    def _send(self, body: bytes, kind: str, more: dict[str, str] | None = None, status: HTTPStatus = HTTPStatus.OK):
        try:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
                                "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff",
                                "Referrer-Policy": "no-referrer", **(more or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser no longer wants it
