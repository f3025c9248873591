"""A server of pages for this machine alone, and there for whoever started it.

Another page in the same browser can neither read nor start anything: requests must name this machine as their host (so
no foreign name that leads here will do) and, but for the page itself, carry a token that only the page knows. At which
port does not matter: a tunnel (`ssh -L 9000:localhost:8098`) has one of its own, and what a browser calls localhost is
always the machine that it runs on. Other accounts of this machine, which could ask for the page, are refused where the
system says whose a connection is (Linux).
"""

import json
import mimetypes
import os
import re
import secrets
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from util.checked_json import values_from_text
from util.errors import UserError
from util.images import png

MOST_BYTES = 2_000_000  # of a request
MOST_UPLOADED = 2 ** 31  # of a file that is sent
_CHUNK = 2 ** 20
_THIS_MACHINE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob: data:; "
          "media-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
KINDS = {".css": "text/css", ".js": "text/javascript"}

Crop = tuple[int, int, np.ndarray]
"""A part of a picture: (x, y) of its first pixel in the whole, and uint8 pixels: straight RGBA, RGB or grey."""
Answer = Crop | str | bytes | dict | Path | None
"""Sent as PNG with its place in the header X-Place, as text, as a WAV file, as JSON, as the file, and as no content."""


@dataclass
class Site:
    """What a server answers; a `UserError` is answered as JSON, {"error": its text}.

    Attributes:
        page: gives the page, at /; it has to know the token.
        files: the page's styles and scripts by name.
        questions: by the first word of an address and how many more there are, what answers it, given those.
        commands: by the one word of an address, what answers a JSON object that is sent there.
        uploads: by the first word of an address, what answers a file that is sent there, given its name (the rest of
            the address, of any characters) and its bytes.
        token: what the page sends as header X-Token.
    """

    page: Callable[[], str]
    files: dict[str, Path]
    questions: dict[tuple[str, int], Callable[..., Answer]]
    commands: dict[str, Callable[[dict], Answer]]
    uploads: dict[str, Callable[[str, Iterator[bytes]], Answer]] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


def serve(site: Site, port: int, started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        site: what is answered.
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
    server.site, port = site, server.server_address[1]
    with server:
        started(f"http://localhost:{port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def account_of(address: tuple[str, int], table: Path = Path("/proc/net/tcp")) -> int | None:
    """The number of the account whose process has the other end of a connection, as the system's table says.

    Args:
        address: of that end.
        table: of all connections of this machine.

    Returns:
        None where it does not say.
    """
    end = f"{int.from_bytes(bytes(map(int, address[0].split('.'))), sys.byteorder):08X}:{address[1]:04X}"
    try:
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1] == end:
                return int(fields[7])
    except (OSError, ValueError, IndexError):
        pass
    return None


class _Server(ThreadingHTTPServer):
    """A thread for each connection; closing ends them all, since a thread that outlives the program can abort it."""

    daemon_threads = False
    site: Site

    def __init__(self, *arguments):
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a browser that was closed is no fault
            super().handle_error(request, client_address)

    def server_close(self):
        for connection in list(self.connections):  # what waits for a browser's next question waits no longer
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "local", ""
    timeout = 60  # seconds that a connection may be silent

    @cached_property
    def account(self) -> int | None:
        """Whose the connection is; a handler has one, and to look takes longer than many an answer."""
        return account_of(self.client_address)

    def do_GET(self):
        path, site = unquote(self.path).strip("/"), self.server.site
        file = site.files.get(path)
        if not self._is_allowed(needs_token=path != "" and file is None):
            return
        if path == "":
            return self._send(site.page().encode(), "text/html; charset=utf-8")
        if file:
            return self._send(file.read_bytes(), f"{KINDS[file.suffix]}; charset=utf-8")
        word, *more = path.split("/")
        self._answer(site.questions.get((word, len(more))), more)

    def do_POST(self):
        # Other sites cannot send the token without asking first, and no such question is answered.
        length = self.headers.get("Content-Length", "")
        word, slash, name = self.path.removeprefix("/").partition("/")
        if slash and word in self.server.site.uploads:
            return self._take_file(self.server.site.uploads[word], unquote(name), length)
        if not length.isdecimal() or len(length) > 12 or int(length) > MOST_BYTES:
            self.close_connection = True
            return self._send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_BYTES} bytes")
        body = self.rfile.read(int(length))
        if not self._is_allowed(needs_token=True):
            return
        self._answer(self.server.site.commands.get(self.path.removeprefix("/")),
                     [lambda: values_from_text(body.decode(errors="replace"), "request")])

    def _take_file(self, way: Callable[[str, Iterator[bytes]], Answer], name: str, length: str) -> None:
        self.close_connection = True  # a file that is not wanted is not read
        if not length.isdecimal() or len(length) > 12 or int(length) > MOST_UPLOADED:
            return self._send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_UPLOADED} bytes")
        if self._is_allowed(needs_token=True):
            self._answer(way, [name, self._sent(int(length))])

    def _sent(self, length: int) -> Iterator[bytes]:
        while length:
            chunk = self.rfile.read(min(length, _CHUNK))
            if not chunk:
                raise UserError("the file did not arrive as a whole; send it again")
            length -= len(chunk)
            yield chunk

    def log_message(self, *_):
        pass

    def _is_allowed(self, needs_token: bool) -> bool:
        token = self.headers.get("X-Token", "")
        if not _THIS_MACHINE.fullmatch(self.headers.get("Host", "")):
            self._send_error(HTTPStatus.FORBIDDEN, "this server is for this machine alone")
        elif hasattr(os, "getuid") and self.account not in (os.getuid(), 0, None):
            self._send_error(HTTPStatus.FORBIDDEN, "this server is for the account that started it alone")
        elif needs_token and not secrets.compare_digest(token.encode(), self.server.site.token.encode()):
            self._send_error(HTTPStatus.FORBIDDEN,
                             "the program was started anew, for something else; load the page again")
        else:
            return True
        return False

    def _answer(self, way: Callable[..., Answer] | None, arguments: list) -> None:
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
        elif isinstance(result, bytes):
            self._send(result, "audio/wav")
        elif isinstance(result, Path):
            self._send(result, mimetypes.guess_type(result)[0] or "application/octet-stream")
        elif isinstance(result, str):
            self._send(result.encode(), "text/plain; charset=utf-8")
        elif result is None:
            self._send(b"", "image/png", status=HTTPStatus.NO_CONTENT)
        else:
            self._send(json.dumps(result).encode(), "application/json")

    def _send_error(self, status: HTTPStatus, message: str) -> None:
        self._send(json.dumps({"error": message}).encode(), "application/json", status=status)

    def _send(self, body: bytes | Path, kind: str, more: dict[str, str] | None = None,
              status: HTTPStatus = HTTPStatus.OK):
        length = body.stat().st_size if isinstance(body, Path) else len(body)
        try:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(length), "Cache-Control": "no-store",
                                "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff",
                                "Referrer-Policy": "no-referrer", **(more or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if isinstance(body, Path):
                with body.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)
            else:
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser no longer wants it
