"""Downloads: whole or not at all, and nothing outside their folder."""

import hashlib
import io
import stat
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.download import fetch, unpack
from util.errors import UserError

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 5000
TEXT = "".join(str(i ** 3) for i in range(999))


def archive(files, links=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as content:
        for name, text in files.items():
            content.writestr(name, text)
        for name in links:
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            content.writestr(link, "/etc")
    return buffer.getvalue()


PAGES = {
    "/whole.pth": (200, {}, CONTENT),
    "/truncated.pth": (200, {"Content-Length": str(len(CONTENT) + 1)}, CONTENT),
    "/chunks.pth": (200, {"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n"),
    "/nothing.pth": (200, {}, b""),
    "/no_length.pth": (200, {"Content-Length": None}, CONTENT),
    "/no_length.zip": (200, {"Content-Length": None}, archive({"a": TEXT})),
    "/cut.zip": (200, {"Content-Length": None}, archive({"a": TEXT})[:-40]),
    "/page.pth": (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>moved</html>"),
    "/clip.zip": (200, {}, archive({"clip/metadata.json": "{}", "clip/rgb_256/0001.png": "x"})),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, headers, body = PAGES.get(self.path, (404, {}, b"gone"))
        self.send_response(status)
        self.send_header("Connection", "close")
        if "Transfer-Encoding" not in headers:
            headers = {"Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        """Quietly."""


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def everything_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_file_arrives_whole_with_its_checksum(server, tmp_path, capsys):
    fetch(f"{server}/whole.pth", tmp_path / "weights/new.pth", "")
    assert (tmp_path / "weights/new.pth").read_bytes() == CONTENT
    assert everything_in(tmp_path) == ["weights/new.pth"]
    assert hashlib.sha256(CONTENT).hexdigest() in capsys.readouterr().out


@pytest.mark.parametrize("page, found", [
    ("truncated.pth", f"{len(CONTENT)} of {len(CONTENT) + 1} bytes"), ("chunks.pth", ""), ("gone.pth", "404"),
    ("page.pth", "a web page came"), ("nothing.pth", "nothing came"), ("cut.zip", "only the beginning arrived")])
def test_what_does_not_arrive_leaves_nothing_and_says_what_to_do(server, tmp_path, page, found):
    with pytest.raises(UserError) as error:
        fetch(f"{server}/{page}", tmp_path / "new.pth", "draw them instead")
    message = str(error.value)
    assert message.startswith(f"{server}/{page}: could not be fetched (") and found in message
    assert message.endswith("draw them instead") and "\n" not in message
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("page", ["no_length.pth", "no_length.zip"])
def test_a_server_need_not_say_how_long_a_file_is(server, tmp_path, page):
    fetch(f"{server}/{page}", tmp_path / page, "")
    assert (tmp_path / page).read_bytes() == PAGES[f"/{page}"][2]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://no.such.host.invalid/x", "not a url"])
def test_no_connection_is_a_user_s_error(url, tmp_path):
    with pytest.raises(UserError, match="could not be fetched"):
        fetch(url, tmp_path / "x", "")


@pytest.mark.parametrize("files, expected", [
    ({"a/b.txt": "1", "a/c/d.txt": "2"}, ["b.txt", "c/d.txt"]),
    ({"a/b.txt": "1", "e.txt": "2"}, ["a/b.txt", "e.txt"]),
    ({"b.txt": "1"}, ["b.txt"]),
    ({"a/b.txt": "1", "__MACOSX/a/b.txt": "2"}, ["b.txt"])])
def test_an_archive_is_unpacked_without_a_folder_around_it(tmp_path, files, expected):
    (tmp_path / "a.zip").write_bytes(archive(files))
    unpack(tmp_path / "a.zip", tmp_path / "clip", "a.zip")
    assert everything_in(tmp_path / "clip") == expected


@pytest.mark.parametrize("content", [
    archive({"good.txt": "1", "../evil.txt": "2"}), archive({"good.txt": "1", "a/../../evil.txt": "2"}),
    archive({"good.txt": "1", "/evil.txt": "2"}), archive({"good.txt": "1", "..\\evil.txt": "2"}),
    archive({"good.txt": "1", "C:\\evil.txt": "2"}), archive({"good.txt": "1"}, links=["link"]),
    archive({"good.txt": TEXT})[:-50], archive({"good.txt": TEXT})[:500] + b"?" + archive({"good.txt": TEXT})[501:],
    archive({}), archive({"__MACOSX/x": "1"}), archive({"a": "1", "a/b": "2"}), b"no archive",
    archive({"bomb": "0" * 80_000_000})])
def test_an_evil_or_broken_archive_leaves_nothing(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError) as error:
        unpack(tmp_path / "a.zip", tmp_path / "deep/clip", "a.zip")
    assert str(error.value).startswith("a.zip: ") and "\n" not in str(error.value)
    assert everything_in(tmp_path) == ["a.zip"]


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def test_the_command_line_fetches_once_and_unpacks(server, tmp_path):
    command = [sys.executable, ROOT / "scripts/download.py", f"{server}/clip.zip", tmp_path / "clip", "--unpack"]
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert everything_in(tmp_path) == ["clip/metadata.json", "clip/rgb_256/0001.png"]
    (tmp_path / "clip/metadata.json").write_text("mine")
    done = run(*command)
    assert done.returncode == 0 and "already there" in done.stdout
    assert (tmp_path / "clip/metadata.json").read_text() == "mine"


def test_a_dead_link_is_one_line_and_status_2(server, tmp_path):
    done = run(sys.executable, ROOT / "scripts/download.py", f"{server}/none", tmp_path / "x", "--instead", "draw")
    assert done.returncode == 2
    assert done.stderr == f"error: {server}/none: could not be fetched (HTTP Error 404: Not Found); draw\n"


@pytest.mark.parametrize("arguments", [[], ["cartwhel"], ["cartwheel reflection"], ["../x"]])
def test_an_unknown_clip_is_refused_with_the_known_ones(arguments):
    done = run("bash", ROOT / "datasets/download_data.sh", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    for name in ("cartwheel", "reflection", "splash", "trampoline"):
        assert name in done.stderr
