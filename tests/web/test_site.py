"""Pages in the browser and the server behind them, for a tool that has nothing to do with retiming."""

import http.client
import json
import os
import re
import threading
import time

import numpy as np
import pytest

from util.errors import UserError
from web import server
from web.page import SCRIPTS, STYLES, Template
from web.server import Site, serve


@pytest.fixture
def template(tmp_path):
    (tmp_path / "own.html").write_text("<head><!-- head --></head><body><!-- data -->\n<!-- scripts --></body>")
    (tmp_path / "own.js").write_text("const answer = dataOf('facts').answer;")
    return Template(tmp_path / "own.html", STYLES, (*SCRIPTS, tmp_path / "own.js"))


@pytest.fixture
def site(template):
    def fail(_):
        raise UserError("frame: found 9; expected one from 0 to 3")

    def take(name, chunks):
        return {"name": name, "bytes": sum(map(len, chunks))}

    made = Site(lambda: template.page({"facts": {"token": made.token}}), template.files,
                {("crop", 1): lambda name: (3, 4, np.zeros((2, 2), np.uint8)) if name == "a" else None,
                 ("name", 0): lambda: "a clip"}, {"add": lambda asked: {"sum": asked["a"] + asked["b"]}, "fail": fail},
                {"take": take, "refuse": lambda name, _: fail(name)})
    return made


@pytest.fixture
def ask(site):
    """Asks the server for a path, with the token or with other headers: gives status, headers and body."""
    addresses = []
    threading.Thread(target=serve, args=(site, 0, addresses.append), daemon=True).start()
    while not addresses:
        time.sleep(0.01)
    port = int(re.search(r":(\d+)/", addresses[0])[1])

    def question(path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body),
                           {"Host": f"localhost:{port}", "X-Token": site.token, **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    return question


def test_a_site_answers_with_its_page_files_pictures_texts_and_values(ask, site):
    assert site.token in ask("/", **{"X-Token": ""})[2].decode()
    for name, path in site.files.items():
        assert ask(f"/{name}", **{"X-Token": ""})[2] == path.read_bytes()
    status, headers, body = ask("/crop/a")
    assert (status, headers["X-Place"], body[1:4]) == (200, "3 4", b"PNG")
    assert ask("/crop/b")[0] == 204 and ask("/name")[2] == b"a clip"
    assert json.loads(ask("/add", {"a": 2, "b": 3})[2]) == {"sum": 5}


def test_nothing_but_page_and_files_is_told_without_the_token_or_to_another_host(ask):
    for path, body in (("/name", None), ("/add", {"a": 2, "b": 3}), ("/nothing", None)):
        assert ask(path, body, **{"X-Token": "wrong"})[0] == 403
    for path in ("/", "/basics.js", "/name"):
        assert ask(path, Host="example.org")[0] == 403


def test_what_cannot_be_done_is_told_and_what_is_not_there_is_not_found(ask):
    assert json.loads(ask("/fail", {})[2]) == {"error": "frame: found 9; expected one from 0 to 3"}
    assert [ask(path)[0] for path in ("/nothing", "/crop", "/crop/a/b", "/own.html")] == [404] * 4


def test_a_file_is_taken_only_with_the_token_and_up_to_a_size(ask):
    body = {"letters": "x" * 3_000_000}
    assert json.loads(ask("/take/my%20clip.mp4", body)[2]) == {"name": "my clip.mp4", "bytes": len(json.dumps(body))}
    assert json.loads(ask("/take/..%2Fup", {})[2])["name"] == "../up", "who takes it names it"
    assert json.loads(ask("/refuse/a", {})[2])["error"].startswith("frame: found 9")
    for headers, status in (({"X-Token": "wrong"}, 403), ({"Host": "example.org"}, 403),
                            ({"Content-Length": str(server.MOST_UPLOADED + 1)}, 413), ({"Content-Length": "x"}, 413)):
        assert ask("/take/a", {}, **headers)[0] == status
    assert ask("/add/a", {"a": 1, "b": 2})[0] == 404


def test_a_page_in_one_file_has_all_inside_and_data_cannot_end_their_element(template):
    whole = template.one_file({"facts": {"answer": "</script><b>"}})
    assert "src=" not in whole and "href=" not in whole and "</script><b>" not in whole
    assert all(path.read_text() in whole for path in template.files.values())
    assert json.loads(re.search(r'id="facts">(.*?)</script>', whole)[1]) == {"answer": "</script><b>"}


def test_another_account_of_this_machine_is_refused(ask, monkeypatch):
    assert ask("/")[0] == 200
    mine = os.getuid()
    for account, status in ((mine + 1, 403), (mine, 200), (0, 200), (None, 200)):
        monkeypatch.setattr(server, "account_of", lambda address, account=account: account)
        assert [ask(path)[0] for path in ("/", "/name", "/basics.js")] == [status] * 3
        assert ask("/add", {"a": 2, "b": 3})[0] == status


def test_the_account_of_a_connection_is_read_from_the_systems_table(tmp_path):
    table = tmp_path / "tcp"
    table.write_text("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid  timeout inode\n"
                     "   0: 0100007F:1FA2 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1001        0 1 1\n"
                     "   1: 0100007F:D431 0100007F:1FA2 01 00000000:00000000 00:00000000 00000000 65534        0 1 1\n")
    assert server.account_of(("127.0.0.1", 0xD431), table) == 65534
    assert server.account_of(("127.0.0.1", 0x1FA2), table) == 1001
    assert server.account_of(("127.0.0.1", 1), table) is None
    assert server.account_of(("127.0.0.1", 1), tmp_path / "none") is None


@pytest.mark.parametrize("length", [str(server.MOST_BYTES + 1), "9" * 5000, "-1", "x", ""])
def test_a_body_of_no_length_or_too_many_bytes_is_not_read(ask, length):
    assert server.MOST_BYTES == 2_000_000
    assert ask("/add", {"a": 2, "b": 3}, **{"Content-Length": length})[0] == 413
