"""The live display, against a real visdom server and against everything that may be wrong with one."""

import base64
import http.server
import io
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import visdom
from PIL import Image

from tests.util.test_visualizer import options, pictures, read_log, read_page
from util.visdom_board import VisdomBoard, start_server
from util.visualizer import Visualizer

SECONDS_TO_APPEAR = 60
SECONDS_TO_NOTICE = 8


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> None:
    """Servers keep their state in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def server(port) -> Iterator[int]:
    """The process of a server at `port`, started by the program's own code."""
    process = start_server(port)
    yield process
    stop(process)


def stop(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def until(is_true: Callable[[], bool], seconds: float = SECONDS_TO_APPEAR) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with suppress(OSError):
        socket.create_connection((host, port), 1).close()
        return True
    return False


@contextmanager
def web_server(port: int, answer: Callable[[dict], str | None]) -> Iterator[None]:
    """A server that gives `answer` to each message; None: an error of the server."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            reply = answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if reply else 500)
            self.end_headers()
            self.wfile.write((reply or "").encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def board_at(port: int, said: list[str]) -> VisdomBoard:
    return VisdomBoard(server="localhost", port=port, env="main", name="run", width=256, columns=0, instead="page",
                       say=said.append)


def windows(port: int, env: str = "main") -> dict:
    """What a server shows, read through visdom's own client: by window, its title and content."""
    client = visdom.Visdom(port=port, env=env, raise_exceptions=True, use_incoming_socket=False)
    return json.loads(client.get_window_data())


def curve_of_recon(port: int) -> list[float]:
    """The epochs of the first line of the losses."""
    window = windows(port).get("run: losses")
    return window["content"]["data"][0]["x"] if window else []


def shown(window: dict) -> np.ndarray:
    """The picture in a window."""
    source = window["content"]["src"].partition("base64,")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))


def train(visualizer: Visualizer, epochs: int, after: Callable[[int], object] = lambda epoch: None) -> None:
    """One phase that shows pictures in every epoch; `after` is called at the end of each."""
    visualizer.start_phase("training", total_steps=epochs)
    for epoch in range(1, epochs + 1):
        visualizer.step(epoch, {"recon": 1 / epoch, "mask": 0.25})
        visualizer.end_epoch(epoch, epoch == epochs, lambda epoch=epoch: pictures(epoch))
        after(epoch)


def with_visdom(folder: Path, port: int, **changes):
    return options(folder, display_id=1, display_port=port, display_freq=1, print_freq=1, **changes)


def visdom_lines(capfd) -> list[str]:
    """The lines that visdom causes on the console, where else there are only those of the losses."""
    out, err = capfd.readouterr()
    assert err == ""
    lines = [line for line in out.splitlines() if not line.startswith("training ")]
    assert all(line.startswith("visdom: ") for line in lines), lines
    return lines


def assert_run_is_whole(folder: Path, epochs: int) -> None:
    assert len(read_log(folder)) == epochs
    assert read_page(folder).pictures()[0] == f"images/epoch{epochs:03d}_target.png"


# A server that works


def test_a_server_is_started_when_none_answers_and_stays_after_the_run(tmp_path, port, capfd):
    with Visualizer(with_visdom(tmp_path, port)) as visualizer:
        train(visualizer, 2, after=lambda epoch: until(lambda: listens(port) and len(windows(port)) == 3))
    line, = visdom_lines(capfd)
    process = int(re.match(rf"visdom: started a server at http://localhost:{port} \(process (\d+)\)", line)[1])
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/") as reply:
            assert "<title>visdom</title>" in reply.read().decode()
        assert not listens(port, "127.0.0.2"), "it can be reached from other machines"
    finally:
        stop(process)


def test_pictures_and_losses_are_on_the_server(tmp_path, port, server, capfd):
    with Visualizer(with_visdom(tmp_path, port)) as visualizer:
        train(visualizer, 5)
        until(lambda: len(windows(port)) == 3)
    found = windows(port)
    assert visdom_lines(capfd) == [f"visdom: http://localhost:{port}, environment main"]

    assert found["run: target"]["title"] == "target, epoch 5"
    assert np.array_equal(shown(found["run: target"]), pictures(5)["target"])
    layers = shown(found["run: layers"]).astype(int)
    assert np.ptp(layers[3:]) == 0 and layers.shape == (6, 8, 3), "transparent pixels show the checkerboard"
    assert np.all(layers[:3, :, 0] > layers[:3, :, 1] + 100), "half transparent red stays red"

    lines = found["run: losses"]["content"]["data"]
    assert [(line["name"], line["x"]) for line in lines] == [("recon", [1, 2, 3, 4, 5]), ("mask", [1, 2, 3, 4, 5])]
    assert lines[0]["y"] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])


def test_display_ncols_puts_all_pictures_into_one_window_in_that_many_columns(tmp_path, port, server):
    with Visualizer(with_visdom(tmp_path, port, display_ncols=2)) as visualizer:
        visualizer.start_phase("training", total_steps=1)
        visualizer.step(1, {"recon": 1.0})
        visuals = {"small": np.full((4, 6, 3), 200, np.uint8), "tall": np.full((9, 6, 4), 255, np.uint8),
                   "last": np.full((9, 6, 3), 50, np.uint8)}
        visualizer.end_epoch(1, True, lambda: visuals)
        until(lambda: len(windows(port)) == 2)
    found = windows(port)
    assert found.keys() == {"run: images", "run: losses"}
    assert found["run: images"]["title"] == "small, tall, last, epoch 1"
    panel = shown(found["run: images"])
    assert panel.shape[0] >= 2 * 9 and 2 * 6 <= panel.shape[1] < 3 * 6 + 6
    assert (panel == 200).all(axis=2).sum() == 4 * 6 and (panel == 50).all(axis=2).sum() == 9 * 6


def test_runs_in_one_environment_have_windows_of_their_own(tmp_path, port, server):
    for name in ("first", "second"):
        with Visualizer(with_visdom(tmp_path, port, name=name, display_env="lab")) as visualizer:
            train(visualizer, 1)
            until(lambda name=name: sum(window.startswith(name) for window in windows(port, "lab")) == 3)
    assert len(windows(port, "lab")) == 6 and windows(port) == {}


def test_a_continued_run_shows_its_whole_curves(tmp_path, port, server):
    for begin in (1, 4):
        with Visualizer(with_visdom(tmp_path, port, continue_train=begin > 1)) as visualizer:
            visualizer.start_phase("training", total_steps=6, done_steps=begin - 1)
            for epoch in range(begin, begin + 3):
                visualizer.step(epoch, {"recon": 1.0})
            curve = list(range(1, begin + 3))
            until(lambda curve=curve: curve_of_recon(port) == curve)


def test_the_board_keeps_only_the_newest_pictures_for_a_slow_server(port):
    received = []

    def answer(message: dict) -> str:
        time.sleep(0.2)
        received.append(message.get("opts", {}).get("title"))
        return "false"

    said = []
    with web_server(port, answer):
        board = board_at(port, said)
        begun = time.monotonic()
        for epoch in range(1, 1001):
            board.show_images(epoch, pictures())
        assert time.monotonic() - begun < 1
        board.close()
    assert [title for title in received if title][-2:] == ["target, epoch 1000", "layers, epoch 1000"]
    assert len(received) <= 6
    assert said == [f"visdom: http://localhost:{port}, environment main"]


# Servers that do not


def test_a_server_that_dies_costs_one_line_and_the_run_goes_on(tmp_path, port, server, capfd):
    def after(epoch: int) -> None:
        if epoch == 5:
            until(lambda: len(windows(port)) == 3)
            assert len(visdom_lines(capfd)) == 1
            stop(server)
            until(lambda: not listens(port))
        if epoch > 5:
            time.sleep(0.3)

    with Visualizer(with_visdom(tmp_path, port)) as visualizer:
        train(visualizer, 15, after)
    line, = visdom_lines(capfd)
    assert line == (f"visdom: http://localhost:{port} does not answer as it should (ConnectionError); "
                    f"going on without it, see {tmp_path}/run/web/index.html")
    assert_run_is_whole(tmp_path, 15)


def test_after_a_failure_no_pictures_are_made_for_visdom(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "visdom", None)
    made = []
    with Visualizer(with_visdom(tmp_path, 1, no_html=True)) as visualizer:
        visualizer.start_phase("training", total_steps=1)
        visualizer.step(1, {"recon": 1.0})
        visualizer.end_epoch(1, True, lambda: made.append(1) or pictures())
    assert made == []


def test_visdom_that_is_not_installed_costs_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "visdom", None)
    with Visualizer(with_visdom(tmp_path, 1)) as visualizer:
        train(visualizer, 3)
    line, = visdom_lines(capfd)
    assert line.startswith("visdom: not installed") and "scripts/install_visdom.sh" in line
    assert_run_is_whole(tmp_path, 3)


def run_against(folder: Path, host: str, port: int, capfd) -> str:
    """The one line that visdom causes in a run that must not wait for it for long."""
    begun = time.monotonic()
    with Visualizer(with_visdom(folder, port, display_server=f"http://{host}")) as visualizer:
        train(visualizer, 3)
    assert time.monotonic() - begun < SECONDS_TO_NOTICE
    assert_run_is_whole(folder, 3)
    line, = visdom_lines(capfd)
    return line


def test_a_server_that_accepts_and_never_answers_costs_one_line_and_a_few_seconds(tmp_path, port, capfd):
    with socket.create_server(("127.0.0.1", port)):
        assert "going on without it" in run_against(tmp_path, "127.0.0.1", port, capfd)


def test_a_server_that_stops_answering_is_given_up_while_the_run_goes_on(port):
    said = []
    with socket.create_server(("127.0.0.1", port)):
        board = board_at(port, said)
        until(lambda: not board.usable, SECONDS_TO_NOTICE)
    assert len(said) == 1


def test_closing_waits_a_few_seconds_at_most_and_what_comes_after_is_not_told(port):
    is_closed = threading.Event()

    def answer(message: dict) -> str | None:
        is_closed.wait(3)
        return None if is_closed.is_set() else "false"

    said = []
    with web_server(port, answer):
        board = board_at(port, said)
        board.show_images(1, pictures())
        begun = time.monotonic()
        board.close()
        assert time.monotonic() - begun < 5
        is_closed.set()
        until(lambda: all(thread.name != "visdom" for thread in threading.enumerate()))
    assert said == ["visdom: the last update could not be sent in time; going on without it, see page"]


def test_a_machine_that_drops_every_packet_costs_one_line_and_a_few_seconds(tmp_path, capfd):
    # A queue of connections that is full: the next one gets no answer at all.
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        clients = [socket.socket() for _ in range(3)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.2", port))
        assert "going on without it" in run_against(tmp_path, "127.0.0.2", port, capfd)
        for client in clients:
            client.close()


def test_another_machine_without_a_server_costs_one_line_and_no_server_is_started(tmp_path, port, capfd):
    line = run_against(tmp_path, "127.0.0.2", port, capfd)
    assert line.startswith(f"visdom: http://127.0.0.2:{port} cannot be reached")
    assert not listens(port)


def test_a_web_server_that_is_not_visdom_costs_one_line(tmp_path, port, capfd):
    with web_server(port, lambda message: "hello"):
        line = run_against(tmp_path, "127.0.0.1", port, capfd)
    assert line.startswith(f"visdom: http://127.0.0.1:{port} is not a visdom server")


def test_display_id_0_leaves_visdom_alone(tmp_path, port, capfd):
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(0.2)
        with Visualizer(options(tmp_path, display_id=0, display_port=port)) as visualizer:
            train(visualizer, 3)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert visdom_lines(capfd) == []
