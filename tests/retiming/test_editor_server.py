"""The editor's server: who may ask it for what, and what it answers. The page itself: test_editor_in_browser.py."""

import http.client
import io
import json
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retime import parse
from retiming.compositor import Compositor
from retiming.edit import LIMITS, alone, edit_from_values
from retiming.editor import server
from retiming.editor.page import TEMPLATE, clip_values, write_page
from retiming.editor.server import Session, serve
from util import video
from util.errors import UserError
from util.images import png, read_image, write_png

FREEZE = {"layers": {"1": {"time": [{"freeze": [2, 5]}]}}}


@pytest.fixture(scope="module")
def compositor(tmp_path_factory):
    clip = make_sample(tmp_path_factory.mktemp("editor") / "clip", frames=6, width=96, height=64, people=2)
    return Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))


@pytest.fixture
def session(compositor, tmp_path):
    return Session(compositor, "<b>clip</b>", {}, tmp_path / "retimed")


@pytest.fixture
def ask(session):
    """Asks a server for a path, as the page does: gives status, headers and body."""
    addresses = []
    threading.Thread(target=serve, args=(session, 0, addresses.append), daemon=True).start()
    while not addresses:
        time.sleep(0.01)
    port = int(re.search(r":(\d+)/", addresses[0])[1])

    def question(path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body),
                           {"Host": f"localhost:{port}", "X-Token": session.site.token, **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    question.port = port
    return question


def picture(answer):
    status, _, body = answer
    assert status == 200
    return np.asarray(Image.open(io.BytesIO(body)))


def test_a_frame_is_what_is_rendered(ask, compositor, tmp_path):
    edit = edit_from_values(FREEZE, compositor.facts, str, tmp_path)
    assert np.array_equal(picture(ask("/frame", {"edit": FREEZE, "frame": 3})), compositor.frame(edit, 3))


def test_pictures_put_together_in_their_places_are_the_layers(ask, compositor):
    answer = ask("/picture/1/2")
    x, y = map(int, answer[1]["X-Place"].split())
    cut, layer = picture(answer), compositor.layers.layer(1, 2)
    assert np.array_equal(cut, layer[y:y + cut.shape[0], x:x + cut.shape[1]])
    assert layer[..., 3].sum() == cut[..., 3].sum(dtype=int)
    assert picture(ask("/person/1/2")).shape == cut.shape[:2]


@pytest.mark.parametrize("headers", [{"X-Token": "wrong"}, {"X-Token": ""}, {"Host": "evil.example"},
                                     {"Host": "localhost.evil.example:8098"}, {"Host": "127.0.0.1.evil.example"}])
def test_only_the_page_itself_is_answered(ask, session, headers):
    for path, body in (("/files", None), ("/picture/1/0", None), ("/save", {"name": "a", "edit": "{}"}),
                       ("/render", {"name": "a.mp4", "edit": {}})):
        status, _, text = ask(path, body, **headers)
        assert status == 403 and b"error" in text
    assert not session.folder.exists()


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:1", "[::1]:9000", "localhost", "LOCALHOST:9000"])
def test_a_tunnel_may_have_another_port_but_needs_the_token(ask, host):
    assert ask("/", Host=host)[0] == ask("/files", Host=host)[0] == 200
    assert ask("/files", Host=host, **{"X-Token": "wrong"})[0] == 403


def test_the_page_is_not_given_under_a_foreign_name(ask):
    assert ask("/", Host="rebound.example")[0] == 403
    assert ask("/", **{"X-Token": ""})[0] == 200


def test_the_page_forbids_whatever_is_not_its_own_and_names_are_escaped(ask):
    _, headers, body = ask("/")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert body.count(b"<b>") == TEMPLATE.html.read_bytes().count(b"<b>"), "the clip's name adds none"
    assert b"://" not in body


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a\0b", "x" * 100, None, 3, "a.json"])
def test_names_cannot_leave_the_folder(ask, session, name):
    status, _, text = ask("/save", {"name": name, "edit": "{}"})
    assert status == 200 and "expected letters" in json.loads(text)["error"]
    assert not list(session.folder.parent.rglob("*.json"))


@pytest.mark.parametrize("name, expected", [("../a.mp4", "expected letters"), ("a.exe", "expected one of mp4"),
                                            ("a", "expected one of mp4"), (None, "expected one of mp4")])
def test_what_is_rendered_has_a_safe_name_and_a_known_format(session, name, expected):
    with pytest.raises(UserError, match=expected):
        session.render({"name": name, "edit": {}})


@pytest.mark.parametrize("path, body", [
    ("/picture/9/0", None), ("/picture/1/99", None), ("/picture/..%2F..%2Fx/0", None), ("/edit/nothing", None),
    ("/replacement/..%2F..%2Fpyproject.toml", None), ("/frame", {"edit": {}, "frame": 6}), ("/frame", {"edit": {}}),
    ("/check", {"edit": None}), ("/check", {}), ("/check", [1]),
    ("/save", {"name": "a", "edit": {}}), ("/save", {"name": "a", "edit": '{"length": 0}'}),
    ("/check", {"edit": "{"}), ("/nothing", None), ("/editor.py", None), ("/../retime.py", None)])
def test_what_cannot_be_done_is_told_in_one_line(ask, path, body):
    status, _, text = ask(path, body)
    assert status in (200, 404)
    assert json.loads(text)["error"] and "\n" not in json.loads(text)["error"]


def test_a_layer_alone_and_a_matte_are_parts_of_a_frame(ask, compositor, tmp_path):
    edit = alone(edit_from_values(FREEZE, compositor.facts, str, tmp_path), 1, (1, 2), "layer")
    expected = compositor.frame(edit, 3)
    assert np.array_equal(picture(ask("/frame", {"edit": FREEZE, "frame": 3, "layer": 1})), expected)
    assert np.array_equal(picture(ask("/frame", {"edit": FREEZE, "frame": 3, "layer": 1, "matte": True})),
                          expected[..., 3])
    both = picture(ask("/frame", {"edit": FREEZE, "frame": 3, "matte": True}))
    assert both.ndim == 2 and (both >= expected[..., 3]).all() and both.sum() > expected[..., 3].sum()
    assert picture(ask("/frame", {"edit": FREEZE, "frame": 3, "layer": 0})).shape == (64, 96, 3)
    for layer in (7, -1, "1", [1], True):
        assert "no such layer" in json.loads(ask("/frame", {"edit": {}, "frame": 3, "layer": layer})[2])["error"]


def test_backgrounds_of_an_export_that_are_alike_are_one(tmp_path):
    clip = make_sample(tmp_path / "clip", frames=4, width=96, height=64, people=1)
    bare = (clip / "gt/bg.png").read_bytes()
    (clip / "gt/bg").mkdir()
    for frame in range(1, 5):
        (clip / f"gt/bg/{frame:04d}.png").write_bytes(bare)
    write_png(clip / "gt/bg/0003.png", np.zeros((64, 96, 3), np.uint8))
    (clip / "gt/bg.png").unlink()
    compositor = Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))
    assert clip_values(compositor, "clip")["backgrounds"] == [0, 0, 2, 0]
    assert compositor.background(2).max() == 0 and compositor.background(3).max() > 0
    frames = []
    write_page(tmp_path / "page.html", compositor, "clip", {}, tmp_path, lambda all_: (frames.append(one) or one
                                                                                       for one in all_))
    text = (tmp_path / "page.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])
    assert sorted(data["clip"]["pictures"]["layers"]["0"]) == ["0", "2"] and frames == [0, 1, 2, 3]


@pytest.mark.parametrize("sent, found", [
    ("beach.png", "beach.png"), ("../../up.png", "up.png"), ("a/b.PNG", "b.png"), ("\u6d77\u0000.png", "\u6d77_.png"),
    ("my.beach (1).png", "my_beach _1_.png"), ("...png", "__.png"), ("x" * 300 + ".png", "x" * 40 + ".png"),
    (".png", None), ("evil.json", None), ("evil.html", None), ("evil", None), ("", None)])
def test_a_background_is_taken_under_a_safe_name(session, sent, found):
    data = png(np.zeros((4, 4, 3), np.uint8))
    if found is None:
        with pytest.raises(UserError, match="neither a picture nor a video"):
            session.add_background(sent, iter([data]))
        assert not session.folder.exists()
        return
    assert session.add_background(sent, iter([data[:9], data[9:]])) == {"name": found}
    again = session.add_background(sent, iter([data]))["name"]
    assert again == found.replace(".png", " 2.png"), "nothing is replaced"
    assert sorted(path.name for path in session.folder.iterdir()) == sorted([found, again])
    assert found in session.files()["backgrounds"]


def test_what_is_no_picture_is_not_taken_and_a_broken_upload_leaves_nothing(session):
    def broken():
        yield png(np.zeros((4, 4, 3), np.uint8))[:20]
        raise UserError("the file did not arrive as a whole; send it again")

    for chunks, message in ((iter([b"nothing"]), r"^a\.png: not a readable image"), (broken(), "as a whole")):
        with pytest.raises(UserError, match=message):
            session.add_background("a.png", chunks)
        assert not list(session.folder.glob("*"))
    with pytest.raises(UserError, match=r"a\.mp4"):
        session.add_background("a.mp4", iter([b"nothing"]))
    assert not list(session.folder.glob("*"))


def test_the_video_that_was_rendered_is_sent_and_no_other_file(ask, session):
    assert "render one first" in json.loads(ask("/rendered")[2])["error"]
    session.render({"name": "a.gif", "edit": {}})
    assert finished(session)["state"] == "done"
    status, headers, body = ask("/rendered")
    assert (status, headers["Content-Type"]) == (200, "image/gif")
    assert body == (session.folder / "a.gif").read_bytes()
    assert ask("/rendered/../a.gif")[0] == ask("/rendered/a.gif")[0] == 404
    assert ask("/rendered", **{"X-Token": "wrong"})[0] == 403


def test_what_can_be_rendered_is_what_videos_and_pictures_can_be_written_as():
    assert set(server.FORMATS) == {suffix[1:] for suffix in video.FORMATS} | {"png", "exr"}
    for ending, title in LIMITS["formats"].items():
        assert ("alpha" in title) == (ending in ("png", "exr") or ending != "gif" and video.holds_alpha(f".{ending}"))
    assert LIMITS["without_alpha"] == [suffix[1:] for suffix in video.FORMATS if not video.holds_alpha(suffix)]


def test_a_mistake_names_its_key_and_in_a_file_its_line(ask):
    wrong = {"layers": {"1": {"time": [{"freeze": [5]}]}}}
    assert json.loads(ask("/check", {"edit": wrong})[2])["error"].startswith("layers.1.time[0].freeze: found [5]")
    error = json.loads(ask("/check", {"edit": json.dumps(wrong, indent=1)})[2])["error"]
    assert error.startswith("edit: line 6: layers.1.time[0].freeze: found [5]")


def test_a_saved_edit_is_opened_again_with_all_that_it_says(ask, session):
    values = {**FREEZE, "order": [[1, [2, 1]], [4, [1, 2]]], "background": {"gain": [[1, 0.5], [6, 1]]}}
    assert ask("/save", {"name": "my edit", "edit": json.dumps(values)})[0] == 200
    assert json.loads(ask("/files")[2])["edits"] == ["my edit"]
    assert json.loads(ask("/edit/my%20edit")[2]) == values
    assert json.loads((session.folder / "my edit.json").read_text()) == values


def test_rendering_is_followed_and_can_be_stopped(session):
    assert session.progress() == {"state": "none"}
    session.render({"name": "video.mp4", "edit": {"length": 100_000}})
    with pytest.raises(UserError, match="being rendered"):
        session.render({"name": "other.mp4", "edit": {}})
    session.cancel()
    assert finished(session)["state"] == "cancelled"
    assert not list(session.folder.glob("*"))
    session.render({"name": "pictures.png", "edit": FREEZE})
    assert finished(session)["state"] == "done"
    assert len(list((session.folder / "pictures").glob("*.png"))) == 6
    session.render({"name": "video.mp4", "edit": {"background": {"replace": "transparent"}}})
    assert "cannot hold alpha" in finished(session)["failure"]


def test_layers_for_other_programs_are_made_like_a_rendering(session):
    (session.folder / "other").mkdir(parents=True)
    (session.folder / "other/notes.txt").write_text("mine")
    asked = {"name": "other", "edit": {**FREEZE, "marks": {"1": 3}}, "layers": "png"}
    assert session.render(asked) == {"exists": "other"}
    session.render({**asked, "name": "shot", "apart": True})
    found = finished(session)
    assert (found["state"], found["file"], found["done"]) == ("done", str(session.folder / "shot"), 6), found
    assert {path.name for path in (session.folder / "shot").iterdir() if path.is_dir()} == {
        "background", *(f"person{number}{effects}" for number in (1, 2) for effects in ("", "_effects"))}
    assert '"event"' in (session.folder / "shot/retimed.otio").read_text()
    session.render({**asked, "name": "long", "edit": {"length": 2_000}})
    session.cancel()
    assert finished(session)["state"] == "cancelled" and not (session.folder / "long").exists()
    for name, form, expected in (("../x", "png", "expected letters"), ("x", "tiff", "expected one of png, exr, mov")):
        with pytest.raises(UserError, match=expected):
            session.render({**asked, "name": name, "layers": form})


def test_one_layer_is_rendered_alone_with_its_alpha(session):
    session.render({"name": "one.png", "edit": FREEZE, "layer": 2})
    assert finished(session)["state"] == "done"
    edit = alone(edit_from_values(FREEZE, session.compositor.facts, str, Path()), 2, (1, 2), "layer")
    assert np.array_equal(read_image(session.folder / "one/0003.png", "RGBA"), session.compositor.frame(edit, 2))
    with pytest.raises(UserError, match="layer 9: no such layer"):
        session.render({"name": "one.png", "edit": {}, "layer": 9, "overwrite": True})


@pytest.mark.parametrize("names", [("a", "a.json"), ("b.gif", "b.gif"), ("c.png", "c/0001.png")])
def test_what_is_there_is_replaced_only_when_the_user_says_so(session, names):
    asked, file = names
    command = session.save if "." not in asked else session.render
    place = session.folder / file
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    body = {"name": asked, "edit": json.dumps(FREEZE) if command == session.save else FREEZE}
    assert command(body) == {"exists": file.split("/")[0]} and place.read_text() == "{}"
    assert session.progress() == {"state": "none"}
    for more in ({"overwrite": True}, {}):  # once it is this session's own, it is not asked again
        assert "exists" not in command({**body, **more})
        assert finished(session)["state"] == ("none" if command == session.save else "done")
        assert place.read_bytes() != b"{}"


def test_an_edit_that_was_opened_is_saved_again_without_a_question(session):
    session.folder.mkdir()
    (session.folder / "a.json").write_text("{}")
    assert session.saved_edit("a") == "{}"
    (session.folder / "a.json").write_text("{}", encoding="utf-8-sig")  # changed with an editor of Windows
    assert session.saved_edit("a") == "{}"
    assert session.save({"name": "a", "edit": json.dumps(FREEZE)}) == {"file": str(session.folder / "a.json")}
    assert json.loads((session.folder / "a.json").read_text()) == FREEZE


def finished(session):
    until = time.monotonic() + 30
    while session.progress()["state"] == "running" and time.monotonic() < until:
        time.sleep(0.02)
    return session.progress()


@pytest.mark.parametrize("arguments, message", [
    ("", "--out: missing; expected one of --out PATH, --layers_out DIR, --page FILE.html, --serve"),
    ("--serve --out a.mp4", "--serve: given with --out; expected one of"),
    ("--serve --page a.html", "--serve: given with --page; expected one of"),
    ("--serve --layer 1", "--layer: given with --serve; expected with --out alone"),
    ("--serve --port -1", "--port: found '-1'")])
def test_options_that_contradict_each_other_are_told(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse(["--layers", "a", "--dataroot", "b", *arguments.split()])


def test_a_port_that_is_taken_is_told_in_one_line(ask, session):
    with pytest.raises(UserError, match=rf"--port {ask.port}: cannot be used"):
        serve(session, ask.port, print)
    with pytest.raises(UserError, match="--port 99999: cannot be used"):
        serve(session, 99999, print)


def test_the_page_as_one_file_needs_no_other(compositor, tmp_path):
    write_page(tmp_path / "page.html", compositor, "</script><b>", FREEZE, tmp_path)
    text = (tmp_path / "page.html").read_text()
    assert "://" not in text and "</script><b>" not in text
    assert not any(f'src="{name}"' in text for name in TEMPLATE.files)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])
    assert data["edit"] == FREEZE and len(data["clip"]["pictures"]["layers"]["1"]) == 6


@pytest.mark.parametrize("path", ["/picture/" + "1" * 5000 + "/0", "/person/1/" + "9" * 5000, "/picture/1/" + "0" * 30])
def test_numbers_of_many_digits_are_no_picture(ask, path):
    status, _, body = ask(path)
    assert status == 200 and "no such picture" in json.loads(body)["error"]


def test_a_background_of_no_text_that_is_a_name_is_a_mistake(ask):
    status, _, body = ask("/check", {"edit": {"background": {"replace": "\ud800"}}})
    assert status == 200 and "no such file" in json.loads(body)["error"]


def test_a_rendering_does_not_take_the_place_of_its_own_background(ask, session):
    writer = video.VideoWriter(session.folder / "retimed.mp4", 25)
    for _ in range(2):
        writer.add(np.zeros((64, 96, 3), np.uint8))
    writer.close()
    before = (session.folder / "retimed.mp4").read_bytes()
    ask("/render", {"name": "retimed.mp4", "edit": {"background": {"replace": "retimed.mp4"}}})
    while json.loads(ask("/progress")[2])["state"] == "running":
        time.sleep(0.05)
    told = json.loads(ask("/progress")[2])
    assert told["state"] == "failed" and "this very file is a part of the result" in told["failure"]
    assert (session.folder / "retimed.mp4").read_bytes() == before


def test_the_end_of_the_program_waits_for_a_rendering(ask, session, monkeypatch):
    """So it can be cancelled, and what it has written is removed: the thread of a request is not waited for."""
    kept = []
    monkeypatch.setattr(server.Rendering, "run", lambda self, *_: kept.append(threading.current_thread()))
    ask("/render", {"name": "a.mp4", "edit": {}})
    while not kept:
        time.sleep(0.01)
    assert not kept[0].daemon
