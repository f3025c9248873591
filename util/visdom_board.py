"""Pictures and loss curves on a visdom server, without ever stopping or holding up the run.

A thread in the background talks to the server. It keeps only the newest pictures and the newest curves that are still
to be sent, so a slow server costs updates, not time. A failure is told in one line, and the run goes on without
visdom. A server on this machine that does not answer is started, for this machine only (127.0.0.1), and stays after
the run: the windows can still be looked at, and the next run uses it again.

`python -m util.visdom_board PORT` runs such a server.
"""

import importlib
import logging
import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from util.clips import evenly_spread
from util.images import checkerboard
from util.loss_log import curves

ANSWER_SECONDS = 5
START_SECONDS = 30
CLOSE_SECONDS = 4
ROUND_SECONDS = 1
MOST_POINTS = 1000
THIS_MACHINE = ("localhost", "127.0.0.1")


class VisdomBoard:
    """The windows of one run on a visdom server.

    Args:
        server: address without port, such as `http://localhost`.
        port: of the server.
        env: visdom environment that the windows are in.
        name: of the run; runs with different names have different windows.
        width: of a picture, in pixels.
        columns: 0: a window for each picture; otherwise one window with that many pictures in a row.
        instead: where else the pictures or losses are, for messages.
        say: prints a line; also called from the background thread.
    """

    def __init__(self, *, server: str, port: int, env: str, name: str, width: int, columns: int, instead: str,
                 say: Callable[[str], None]):
        self._server = server if "//" in server else f"http://{server}"
        self._address = f"{self._server}:{port}"
        self._port, self._env, self._name = port, env, name
        self._width, self._columns = width, columns
        self._instead, self._say = instead, say
        self._waiting: dict[str, Callable[[Any], None]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self.usable = True
        try:
            visdom = importlib.import_module("visdom")
        except ImportError as error:
            self._give_up(f"not installed ({error}), scripts/install_visdom.sh does it")
            return
        self._thread = threading.Thread(target=self._run, args=(visdom,), name="visdom", daemon=True)
        self._thread.start()

    def show_images(self, epoch: int, visuals: Mapping[str, np.ndarray]) -> None:
        """Show uint8 [H, W, 3 or 4] images by label in place of the earlier ones. Returns at once."""
        send = self._send_panel if self._columns > 0 else self._send_windows
        self._put("images", lambda client: send(client, epoch, visuals))

    def show_losses(self, history: list[dict]) -> None:
        """Draw the losses over the epochs (records, see `util/loss_log.py`). Returns at once."""
        self._put("losses", lambda client: self._send_losses(client, list(history)))

    def close(self) -> None:
        """Wait up to `CLOSE_SECONDS` for what is still to be sent, then leave it."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self.usable:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                self._give_up("the last update could not be sent in time")

    def _put(self, kind: str, send: Callable[[Any], None]) -> None:
        with self._changed:
            self._waiting[kind] = send
            self._changed.notify()

    def _next(self) -> list[Callable[[Any], None]]:
        """Wait for something to send; empty when the board is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            sends, self._waiting = list(self._waiting.values()), {}
            return sends

    def _run(self, visdom: ModuleType) -> None:
        # Whatever happens here, faults of visdom itself included, must not reach the run.
        try:
            client = self._connect(visdom)
            while sends := self._next():
                for send in sends:
                    send(client)
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, timeout=ROUND_SECONDS)
        except Exception as error:
            self._give_up(str(error) or type(error).__name__)

    def _give_up(self, reason: str) -> None:
        with self._changed:
            if self.usable:
                self.usable = False
                self._say(f"visdom: {' '.join(reason.split())}; going on without it, see {self._instead}")

    def _connect(self, visdom: ModuleType) -> Any:
        # It logs every session and every failure, with traceback; this module tells what matters.
        logging.getLogger("visdom").setLevel(logging.CRITICAL)
        host = urlsplit(self._server).hostname
        news = f"visdom: {self._address}, environment {self._env}"
        try:
            socket.create_connection((host, self._port), ANSWER_SECONDS).close()
        except OSError as error:
            if host not in THIS_MACHINE:
                raise ConnectionError(f"{self._address} cannot be reached ({error})") from None
            process = start_server(self._port)
            news = f"visdom: started a server at {self._address} (process {process}), which stays after the run"
            if not (Path(visdom.__file__ or "").parent / "static" / "version.built").exists():
                news += f"; its page needs files that it now fetches from the internet; until then see {self._instead}"
        client = _client_class(visdom)(server=self._server, port=self._port, env=self._env, raise_exceptions=True,
                                       use_incoming_socket=False)
        if client.win_exists(self._name) is None:
            raise ConnectionError(f"{self._address} is not a visdom server")
        self._say(news)
        return client

    def _send_windows(self, client: Any, epoch: int, visuals: Mapping[str, np.ndarray]) -> None:
        for label, pixels in visuals.items():
            height = round(self._width * pixels.shape[0] / pixels.shape[1])
            client.image(_on_checkerboard(pixels), win=f"{self._name}: {label}",
                         opts={"title": f"{label}, epoch {epoch}", "width": self._width, "height": height})

    def _send_panel(self, client: Any, epoch: int, visuals: Mapping[str, np.ndarray]) -> None:
        pictures = [_on_checkerboard(pixels) for pixels in visuals.values()]
        height, width = np.max([picture.shape[1:] for picture in pictures], axis=0)
        columns = min(self._columns, len(pictures))
        rows = math.ceil(len(pictures) / columns)
        panel = np.full((rows * columns, 3, height, width), 255, np.uint8)
        for place, picture in zip(panel, pictures, strict=False):
            place[:, :picture.shape[1], :picture.shape[2]] = picture
        client.images(panel, nrow=columns, win=f"{self._name}: images",
                      opts={"title": f"{', '.join(visuals)}, epoch {epoch}", "width": self._width * columns,
                            "height": round(self._width * height / width) * rows})

    def _send_losses(self, client: Any, history: list[dict]) -> None:
        epochs, losses = curves(history)
        kept = evenly_spread(len(epochs), MOST_POINTS)
        values = np.stack(list(losses.values()), axis=1)[kept]
        client.line(values, X=epochs[kept], win=f"{self._name}: losses",
                    opts={"title": f"{self._name}: losses", "legend": list(losses), "xlabel": "epoch",
                          "ylabel": "loss", "ytype": "linear" if np.any(values < 0) else "log",
                          "width": 600, "height": 400})


def start_server(port: int) -> int:
    """Start a visdom server for this machine in a process of its own, and wait until it can be connected to.

    Returns:
        The number of its process.

    Raises:
        ConnectionError: it did not start.
    """
    # A session of its own: Ctrl-C and a closed terminal end the run, not the server.
    server = subprocess.Popen([sys.executable, "-m", __name__, str(port)], start_new_session=True,
                              cwd=Path(__file__).resolve().parents[__name__.count(".")], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS).close()
            return server.pid
        except OSError:
            time.sleep(0.1)
    server.terminate()
    raise ConnectionError(f"no server starts at port {port} (`python -m visdom.server -port {port}` tells why)")


def serve(port: int) -> None:
    """Run a visdom server that only this machine can reach, until the process ends.

    At first start visdom fetches the scripts of its page from the internet. Here that happens while the server
    already runs, so that without internet it still takes data.
    """
    # visdom imports torch when it can, which takes seconds and memory; the server has no use for it.
    sys.modules["torch"] = None  # type: ignore[assignment]  # how Python is told that a module cannot be imported
    from visdom.server.app import tornado_settings
    from visdom.server.build import download_scripts
    from visdom.server.run_server import start_server as run_server

    # Otherwise it starts anew, without its windows, whenever a file of this program or of visdom changes.
    tornado_settings["autoreload"] = False
    threading.Thread(target=download_scripts, daemon=True).start()
    run_server(port=port, base_url="", bind_local=True)


def _client_class(visdom: ModuleType) -> type:
    """visdom's client, which by itself waits for an answer for ever, with time limits."""
    import requests

    class Client(visdom.Visdom):  # type: ignore[name-defined]  # a module that may not be installed
        def _handle_post(self, url: str, data: str | None = None) -> str:
            # A proxy in the environment is not meant for this machine.
            self.session.trust_env = urlsplit(url).hostname not in THIS_MACHINE
            try:
                reply = self.session.post(url, data=data or {}, timeout=ANSWER_SECONDS)
                reply.raise_for_status()
            except requests.RequestException as error:
                reason = type(error).__name__
                raise ConnectionError(f"{self.server}:{self.port} does not answer as it should ({reason})") from error
            return reply.text

    return Client


def _on_checkerboard(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3 or 4] to opaque uint8 [3, H, W], transparency over a checkerboard."""
    colour, alpha = pixels[..., :3], pixels[..., 3:] / 255 if pixels.shape[2] == 4 else 1
    board = checkerboard(pixels.shape[1::-1])
    return np.round(colour * alpha + board * (1 - alpha)).astype(np.uint8).transpose(2, 0, 1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
