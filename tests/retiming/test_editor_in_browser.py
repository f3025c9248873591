"""The editor in a real browser: Chromium without a screen, driven as a user would.

Debian's packages chromium and chromium-driver are needed, and no graphics card.
"""

import base64
import io
import json
import shutil
import signal
import subprocess
import sys
import time
import wave
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retiming.compositor import Compositor
from retiming.edit import CURVES, LIMITS, STEP_KEYS, TRAIL, ClipFacts, alone, edit_from_values
from retiming.editor.page import write_page
from retiming.editor.server import FILE_NAME, FORMATS
from retiming.layer_files import FORMATS as LAYER_FORMATS
from tests import true_camera
from tests.accessibility import grave_findings, look
from tests.compositing_case import compositing_case
from util.images import write_png

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("chromium and chromium-driver (Debian's packages) are not installed: the editor's page is not tested",
                allow_module_level=True)

from selenium import webdriver  # noqa: E402
from selenium.webdriver import ActionChains  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support import expected_conditions  # noqa: E402

ROOT = Path(__file__).parents[2]
LENGTH = 10


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--window-size=1280,720"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False})
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("editor")


@pytest.fixture(scope="module")
def clip(folder):
    """Three layers before a moving camera."""
    return make_sample(folder / "clip", frames=LENGTH, width=160, height=96, people=2, camera="moving")


@pytest.fixture(scope="module")
def compositor(clip):
    return Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))


@pytest.fixture(scope="module")
def address(folder, clip):
    server = subprocess.Popen([sys.executable, ROOT / "retime.py", "--layers", clip / "gt", "--dataroot", clip,
                               "--serve", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
    yield server.stdout.readline().split()[1]
    server.send_signal(signal.SIGINT)
    assert server.wait(20) == 0, "Ctrl-C does not end the server cleanly"


class Page:
    """The editor as a user has it before him."""

    def __init__(self, browser, compositor, address, results=Path()):
        self.browser, self.compositor, self.results = browser, compositor, results
        browser.get(address)
        self.until("editor.isDrawn")

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def until(self, condition, seconds=15):
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never: {condition}; {self.message}"
            time.sleep(0.03)

    @property
    def message(self):
        return self.run("return document.querySelector('#message').textContent")

    @property
    def values(self):
        return self.run("return editor.model.values")

    @values.setter
    def values(self, values):
        self.run("const wanted = arguments[0]; editor.model.change((values) => {"
                 "Object.keys(values).forEach((key) => delete values[key]); Object.assign(values, wanted); })", values)

    def click(self, name):
        self.browser.find_element("css selector", name if name[0] in ".#[" else f"#{name}").click()

    def press(self, *keys):
        actions = ActionChains(self.browser)
        for key in keys[:-1]:
            actions.key_down(key)
        actions.send_keys(keys[-1])
        for key in keys[:-1]:
            actions.key_up(key)
        actions.perform()

    def go_to(self, frame):
        """Go to an output frame, from 1."""
        self.run("editor.seek(arguments[0] - 1)", frame)

    def select(self, row):
        self.click(f"[data-row='{row}'] .title")
        self.until(f"document.querySelector(\"[data-row='{row}']\").classList.contains('selected')")

    def drag(self, row, output, source, by_outputs, by_sources):
        """Drag the curve of a row, from where an output frame shows a source frame."""
        start = self.place(row, output, source)
        end = self.place(row, output + by_outputs, source + by_sources)
        actions = ActionChains(self.browser, duration=20)
        pointer = actions.w3c_actions.pointer_action
        pointer.move_to_location(*map(round, start)).pointer_down()
        for share in (0.3, 0.7, 1):
            pointer.move_to_location(*(round(a + share * (b - a)) for a, b in zip(start, end)))
        pointer.pointer_up()
        actions.perform()

    def double_click(self, row, output, source):
        actions = ActionChains(self.browser, duration=20)
        actions.w3c_actions.pointer_action.move_to_location(*map(round, self.place(row, output, source)))
        actions.double_click().perform()

    def place(self, row, output, source):
        """Where on the screen an output frame shows a source frame in a row."""
        self.until("!editor.pending.panels")  # a selected row grows
        return self.run(
            "const line = editor.timeline, view = line.views.find(({row}) => rowName(row) === arguments[0]);"
            "const box = view.canvas.getBoundingClientRect();"
            "return [box.x + line.x(arguments[1] - 1, view.canvas), box.y + line.y(arguments[2] - 1, view.canvas)]",
            row, output, source)

    def composited(self):
        """What the page composites in the frame that it is at, RGB premultiplied."""
        self.until("editor.isDrawn")
        data = self.run("editor.show(); return editor.compositor.canvas.toDataURL().split(',')[1]")
        return visible(np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")))

    def rendered(self):
        """What retime.py renders there."""
        edit = edit_from_values(self.values, self.compositor.facts, str, self.results)
        return visible(self.compositor.frame(edit, self.run("return editor.output")))


def visible(pixels):
    pixels = pixels.astype(np.float64)
    return pixels if pixels.shape[2] == 3 else pixels[..., :3] * pixels[..., 3:] / 255


def decibel(found, expected):
    return 10 * np.log10(255 ** 2 / max(np.mean((found - expected) ** 2), 1e-6))


@pytest.fixture
def page(browser, compositor, address, folder):
    browser.get("about:blank")  # what the page before still asks for is not this one's
    browser.get_log("browser"), browser.get_log("performance")
    page = Page(browser, compositor, address, folder / "results/clip/retimed")
    page.run("Object.assign(editor.model, {values: {}, past: [], saved: '{}'}); editor.changed()")
    yield page
    page.run("editor.model.saved = JSON.stringify(editor.model.values)")  # or leaving it asks whether changes may go
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked and all(url.startswith((address, "data:", "blob:")) for url in asked)


EDITS = {
    "as filmed": {},
    "times": {"layers": {"1": {"time": [{"offset": 3}]}, "2": {"time": [{"freeze": [3, 8]}]}}},
    "stopped camera": {"background": {"time": [{"hold": 8}]}},
    "blend": {"interpolation": "blend", "layers": {"others": {"time": [{"speed": 0.7}]}},
              "background": {"time": [{"speed": 0.7}]}},
    "without effects": {"layers": {"others": {"effects": 0}}},
    "more effects": {"layers": {"others": {"effects": 2, "time": [{"offset": 1}]}}},
    "trail": {"layers": {"1": {"trail": {"copies": 2, "spacing": 2}, "opacity": [[1, 0], [10, 1]]}}},
    "copies": {"layers": {"2": [{"time": [{"offset": 3}], "x": -0.2}, {}]}, "order": [2, 1]},
    "place": {"layers": {"1": {"x": 0.1, "y": -0.03, "scale": 1.3}, "2": {"flip": "horizontal", "anchor": [0.4, 0.5]}}},
    "colours": {"layers": {"others": {"saturation": 0.2, "gain": 1.5, "tint": "#ff9944"}}, "background": {"gain": 0.5}},
    "transparent": {"background": {"replace": "transparent"}, "layers": {"1": {"opacity": 0.5}}},
    "picture": {"background": {"replace": "wide.png", "saturation": 0.5}},
    "coloured": {"background": {"replace": "#4080c0", "gain": 1.2}, "remove": [1]},
}


def pixels_of(page, script):
    """RGBA of the canvas or image that a script gives."""
    data = page.run(f"const shown = {script}, canvas = document.createElement('canvas');"
                    "canvas.width = shown.naturalWidth ?? shown.width;"
                    "canvas.height = shown.naturalHeight ?? shown.height;"
                    "canvas.getContext('2d').drawImage(shown, 0, 0); return canvas.toDataURL().split(',')[1]")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


def over(pixels, ground):
    alpha = pixels[..., 3:] / 255
    return pixels[..., :3] * alpha + ground * (1 - alpha)


@pytest.mark.parametrize("what, layer, matte", [("layer", 2, False), ("layer-matte", 2, True), ("matte", None, True),
                                                ("background", 0, False)])
def test_a_view_shows_what_is_rendered_of_it(page, what, layer, matte):
    page.values = values = {"layers": {"1": {"time": [{"offset": 2}]}, "2": {"opacity": 0.7, "x": 0.1}}}
    page.select("2.0")
    page.go_to(6)
    page.run("editor.viewer.look(arguments[0])", what)
    edit = edit_from_values(values, page.compositor.facts, str, page.results)
    edit = edit if layer is None else alone(edit, layer, (1, 2), "layer")
    expected = page.compositor.frame(replace(edit, replacement="transparent") if matte else edit, 5)
    if matte:
        expected = np.dstack([*[expected[..., 3]] * 3, np.full_like(expected[..., 3], 255)])
    elif expected.shape[2] == 3:
        expected = np.dstack([expected, np.full_like(expected[..., 0], 255)])
    page.until("editor.isDrawn")
    for script in ("editor.compositor.canvas", "document.querySelector('#exact')"):
        found = pixels_of(page, script)
        for ground in (0, 255):
            assert decibel(over(found, ground), over(expected, ground)) >= 48, script
        page.until("!document.querySelector('#exact').hidden")
    assert page.browser.find_element("id", "ground").is_displayed() == (what == "layer")
    page.press("v")
    assert page.run("return editor.viewer.what") != what
    page.run("editor.viewer.look('picture')")


def test_a_transparent_layer_is_seen_on_the_ground_that_is_chosen(page):
    page.select("1.0")
    page.run("editor.viewer.look('layer')")
    colours = []
    for _ in range(4):
        page.press("g")
        colours.append(page.run("return getComputedStyle(document.querySelector('#screen')).backgroundColor"))
    assert colours[:3] == ["rgb(0, 0, 0)", "rgb(255, 255, 255)", "rgb(58, 110, 165)"]
    assert page.run("return editor.viewer.ground") == "squares"
    page.run("editor.viewer.look('picture')")


def test_pixels_are_seen_and_read_where_the_pointer_is(page):
    box = page.run("const {x, y, width, height} = document.querySelector('#viewer').getBoundingClientRect();"
                   "return [x, y, width, height]")
    at = [round(box[0] + 0.4 * box[2]), round(box[1] + 0.6 * box[3])]
    actions = ActionChains(page.browser, duration=20)
    actions.w3c_actions.pointer_action.move_to_location(*at)
    actions.perform()
    pixel = "return editor.viewer.pixelAt(editor.viewer.hovered).map(Math.floor)"
    x, y = page.run(pixel)
    page.until("!document.querySelector('#exact').hidden")
    r, g, b = page.rendered()[y, x].astype(int)
    assert page.run("return document.querySelector('#pixel').textContent") == f"{x}, {y} · RGB {r} {g} {b} · A 255"
    width = page.compositor.size[0]
    for key in "421":
        page.press(key)
        assert page.run("return document.querySelector('#screen').clientWidth") == int(key) * width
        assert page.run("return document.querySelector('#screen').matches('.pixels')") == (key != "1")
    page.press("1")
    assert page.run("return editor.viewer.zoom") is None
    page.run("arguments[0].dispatchEvent(new WheelEvent('wheel', {deltaY: -800, clientX: arguments[1], "
             "clientY: arguments[2], cancelable: true}))", page.browser.find_element("id", "viewer"), *at)
    assert page.run("return editor.viewer.scale") > 10 and page.run(pixel) == [x, y], "it is still under the pointer"
    assert page.run("return getComputedStyle(document.querySelector('#exact')).imageRendering") == "pixelated"
    before = page.run("return editor.viewer.centre")
    page.press(Keys.CONTROL, Keys.ARROW_RIGHT)
    after = page.run("return editor.viewer.centre")
    assert after[0] > before[0] and after[1] == before[1]
    actions = ActionChains(page.browser, duration=20)
    actions.w3c_actions.pointer_action.move_to_location(*at).pointer_down().move_to_location(at[0] + 30, at[1])
    actions.w3c_actions.pointer_action.pointer_up()
    actions.perform()
    moved = page.run("return editor.viewer.centre")
    assert moved[0] == pytest.approx(after[0] - 30 / page.run("return editor.viewer.scale"), abs=0.1)
    page.run("editor.viewer.zoomTo(null)")


def fingers(page, *paths):
    """Fingers on the screen, each along places of its own, as the browser has them from a touch screen."""
    def touch(kind, places):
        page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [
            {"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]})

    steps = list(zip(*paths))
    for number in range(len(paths)):
        touch("touchStart", steps[0][:number + 1])
    for (before, after), share in product(pairwise(steps), (0.25, 0.5, 0.75, 1)):
        touch("touchMove", [[a + share * (b - a) for a, b in zip(*ends)] for ends in zip(before, after)])
    touch("touchEnd", [])


@pytest.mark.parametrize("width", [1280, 390])
def test_two_fingers_make_the_picture_and_the_time_larger_and_one_drags_pins(page, width):
    look(page.browser, "dark", width, 720)
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})
    try:
        x, y = page.run("const box = document.querySelector('#viewer').getBoundingClientRect();"
                        "return [box.x + box.width / 2, box.y + box.height / 2]")
        before = page.run("return editor.viewer.scale")
        fingers(page, [(x - 30, y), (x - 90, y)], [(x + 30, y), (x + 90, y)])
        scale, left = page.run("return [editor.viewer.scale, editor.viewer.corner[0]]")
        assert scale / before == pytest.approx(3, rel=0.01)
        fingers(page, [(x, y), (x + 40, y)])
        assert page.run("return editor.viewer.corner[0]") == pytest.approx(left + 40, abs=1)
        page.run("editor.viewer.zoomTo(null)")

        page.run("editor.select({layer: 1, index: 0})")
        page.values = {"layers": {"1": {"time": [{"align": [[3, 3], [8, 8]]}]}}}
        page.until("!editor.pending.panels")
        page.run("document.querySelector('#timeline').scrollIntoView({block: 'center'})")
        start, end = page.place("1.0", 8, 8), page.place("1.0", 7, 5)
        fingers(page, [(start[0] + 11, start[1] - 11), (end[0] + 11, end[1] - 11)])  # a finger is not a mouse
        assert page.values == {"layers": {"1": {"time": [{"align": [[3, 3], [7, 5]]}]}}}
        page.run("editor.model.undo()")
        before = page.values
        (x, y), (_, other) = page.place("1.0", 5, 5), page.place("2.0", 5, 5)
        fingers(page, [(x - 20, y), (x - 80, y)], [(x + 20, other), (x + 80, other)])
        first, last = page.run("return editor.timeline.view")
        assert last - first == pytest.approx(8, abs=0.01), "as near as it goes, and over two rows"
        assert page.values == before, "what the first finger dragged is taken back"
        page.press("0")
    finally:
        page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        look(page.browser, "dark", 1280, 720)


def test_markers_are_dragged_along_the_ruler(page):
    page.values = {"markers": [[3, "beat"], [6, "end"]]}
    ruler = page.browser.find_element("css selector", "#ruler canvas").rect
    x = page.run("return arguments[0].map((at) => editor.timeline.x(at - 1, editor.timeline.ruler))", [3, 5, 6])

    def drag(start, end, *pressed):
        actions = ActionChains(page.browser, duration=20)
        pointer = actions.w3c_actions.pointer_action
        pointer.move_to_location(round(ruler["x"] + start) + 2, round(ruler["y"]) + 8).pointer_down()
        pointer.move_to_location(round(ruler["x"] + end), round(ruler["y"]) + 8)
        if not pressed:
            pointer.pointer_up()
        actions.perform()
        for key in pressed:
            page.press(key)
            ActionChains(page.browser).release().perform()

    drag(x[0], x[1])
    assert page.values == {"markers": [[5, "beat"], [6, "end"]]}
    assert page.run("return [editor.output, editor.timeline.marker]") == [4, [5, "beat"]]
    page.press(Keys.CONTROL, "z")
    assert page.values == {"markers": [[3, "beat"], [6, "end"]]}, "a drag is undone at once"
    drag(x[0], x[1], Keys.ESCAPE)
    assert page.values == {"markers": [[3, "beat"], [6, "end"]]} and page.run("return editor.model.past.length") == 1
    drag(x[0], x[2])
    assert page.values == {"markers": [[3, "beat"], [6, "end"]]}, "each stands in a frame of its own"


def test_a_wipe_shows_the_original_beside_the_edit(page):
    page.values = values = {"background": {"gain": 0.5}, "layers": {"1": {"x": 0.3}}}
    page.go_to(4)
    page.press("w")
    page.until("!document.querySelector('#exact').hidden")
    handle = page.browser.find_element("id", "wipe-handle")
    page.run("arguments[0].focus({focusVisible: true})", handle)
    page.press(Keys.HOME)
    page.press(Keys.SHIFT, Keys.ARROW_RIGHT)
    page.press(Keys.ARROW_RIGHT)
    assert handle.get_attribute("aria-valuenow") == "11" and page.run("return editor.output") == 3
    ActionChains(page.browser, duration=20).drag_and_drop_by_offset(handle, 80, 0).perform()
    column = page.run("return editor.viewer.wipeColumn")
    assert column == pytest.approx(page.compositor.size[0] * 0.11 + 80 / page.run("return editor.viewer.scale"), abs=2)
    found, edited = page.composited(), page.rendered()
    page.values = {}
    original = page.rendered()
    assert decibel(found[:, :column], original[:, :column]) >= 48
    assert decibel(found[:, column:], edited[:, column:]) >= 48
    page.values = values
    page.until("!document.querySelector('#exact').hidden")
    clipped = page.run("return document.querySelector('#exact').style.clipPath")
    assert float(clipped.split()[-1].rstrip("%)")) == pytest.approx(100 * column / page.compositor.size[0], abs=0.01)
    page.press("w")
    assert not handle.is_displayed() and decibel(page.composited(), edited) >= 48


def test_a_picture_of_another_frame_says_so(page):
    page.go_to(2)
    page.until("editor.isDrawn")
    page.run("const {source} = editor, {pictures} = editor.compositor; pictures.kept.clear();"
             "window.slow = []; const picture = source.picture.bind(source);"
             "source.picture = (...where) => new Promise((done) => { slow.push(() => done(picture(...where))); });"
             "source.frame = () => new Promise(() => {})")
    page.go_to(9)
    busy = page.browser.find_element("id", "busy")
    page.until("!document.querySelector('#busy').hidden")
    page.until("getComputedStyle(document.querySelector('#busy')).visibility === 'visible'")  # not for a moment's wait
    assert busy.text == "loading frame 9 … this is frame 2"
    page.until("slow.length === 3")
    page.run("slow.forEach((go) => go())")
    page.until("editor.isDrawn && document.querySelector('#busy').hidden")
    assert page.run("return editor.drawn") == 8


def test_what_is_looked_at_is_loaded_first_and_each_picture_once(page):
    asked = page.browser.execute_async_script(
        "const done = arguments[0], began = [], ends = [], loads = new Loads([2, 2, 1]);"
        "const ask = (key, rank) => loads.ask(key, rank, () => { began.push(key);"
        "  return new Promise((end, fail) => ends.push(key === 'bad' ? fail : end)); }, () => {});"
        "(async () => {"
        "  ['small 1', 'small 2'].forEach((key) => ask(key, 2));"
        "  ['soon 1', 'soon 2', 'gone'].forEach((key) => ask(key, 1));"
        "  ['now', 'bad', 'now'].forEach((key) => ask(key, 0)); ask('soon 2', 0); loads.forget(1);"
        "  while (loads.asked.size) { ends.shift()(1); await new Promise((go) => setTimeout(go)); }"
        "  ask('bad', 0); loads.retry(); ask('bad', 0); done([began, [...loads.failed]]); })()")
    assert asked == [["small 1", "soon 1", "soon 2", "now", "bad", "small 2", "bad"], []]


def test_playing_goes_on_by_the_clock_where_pictures_come_late(page):
    page.values = {"length": 200}
    page.run("editor.compositor.pictures.kept.clear(); const {source} = editor, picture = source.picture.bind(source);"
             "source.picture = (...where) => new Promise((done) => setTimeout(() => done(picture(...where)), 120));"
             "editor.model.change((values) => { values.layers = {1: {time: [{loop: [1, 10]}]}}; })")
    page.go_to(1)
    page.until("editor.isDrawn")
    began = time.monotonic()
    page.press(" ")
    page.until("editor.output > 20")
    frames, seconds = page.run("return editor.output"), time.monotonic() - began
    assert abs(frames - 25 * seconds) < 0.35 * frames, "as fast as the clock, however few frames are seen"
    shown, of, rate = page.run("return document.querySelector('#quality').textContent").split()[:3]
    assert 0 < int(shown) <= int(rate) and of == "of"
    page.press(" ")
    page.until("editor.isDrawn && editor.drawn === editor.output")


def test_the_second_round_of_a_loop_loads_nothing_where_it_fits_and_less_where_it_does_not(page):
    page.run("window.loads = 0; const {source} = editor, picture = source.picture.bind(source);"
             "source.picture = (...where) => { loads++; return picture(...where); };"
             "editor.compositor.pictures.kept.clear(); editor.compositor.pictures.bytes = 0")
    frames = LENGTH * 2 + LENGTH  # two layers and a background that moves

    def play_round():
        before = page.run("return loads")
        page.run("for (let frame = 0; frame < 10; frame++) window.ready = editor.stage().isReady(frame, true)")
        return page.run("return loads") - before

    def all_frames():
        for frame in range(LENGTH):
            page.run("const {pictures} = editor.compositor; pictures.loops = true; pictures.begin()")
            page.until(f"editor.stage().isReady({frame}, true)")

    all_frames()
    assert page.run("return loads") == frames
    all_frames()
    assert play_round() == 0 and page.run("return loads") == frames
    kept = page.run("return editor.compositor.pictures.bytes")
    page.run("const {pictures} = editor.compositor; pictures.most = 0.6 * pictures.bytes; pictures.bytes = 0;"
             "pictures.kept.clear()")
    for _ in range(2):
        all_frames()
    page.run("window.loads = 0")
    all_frames()
    assert 0 < page.run("return loads") < 0.75 * frames, "an order of use alone would load every one again"
    assert page.run("return editor.compositor.pictures.bytes") <= 0.6 * kept


def test_what_is_rendered_is_followed_beside_the_work_and_played(page):
    page.run("editor.model.change((values) => { values.background = {replace: 'transparent'}; })")
    page.click("render")
    start, hint = (page.browser.find_element("id", name) for name in ("render-start", "render-hint"))
    assert not start.is_enabled() and hint.text.startswith("MP4 has no transparency")
    page.run("const format = document.querySelector('#render-format'); format.value = 'webm';"
             "format.dispatchEvent(new Event('change'))")
    assert start.is_enabled() and not hint.is_displayed()
    name = page.browser.find_element("id", "render-name")
    name.send_keys(Keys.CONTROL + "a" + Keys.NULL, "cut.v2")
    assert hint.text == "Letters, digits, spaces, _ and - alone; the ending is added"
    name.send_keys(Keys.CONTROL + "a" + Keys.NULL, "beside")
    page.click("render-start")
    page.click("render-close")
    page.until("document.querySelector('#rendering-text').textContent === 'Rendered: beside.webm'")
    page.click("rendering-play")
    page.until("document.querySelector('#result video')?.videoWidth > 0")
    assert page.run("return document.querySelector('#result video').videoWidth") == page.compositor.size[0]
    page.browser.find_element("css selector", "#result-dialog .main").click()
    page.click("rendering-close")
    page.values = {"solo": [1], "remove": [1]}
    page.until("document.querySelector('#message').textContent.includes('solo both name layer 1')")


def test_a_picture_of_the_users_stands_in_the_background(page, folder):
    write_png(folder / "my.beach (1).png", np.full((40, 60, 3), (10, 200, 30), np.uint8))
    (folder / "broken.png").write_bytes(b"nothing")
    page.select("background.0")
    page.until("!editor.pending.panels")
    aside = page.browser.find_element("id", "inspector")
    assert page.run("return editor.clip.folder") in aside.text
    chosen = "#inspector input[type=file]"
    page.browser.find_element("css selector", chosen).send_keys(str(folder / "broken.png"))
    page.until("document.querySelector('#message').className === 'error'")
    assert page.message.startswith("broken.png: not a readable image")
    page.browser.find_element("css selector", chosen).send_keys(str(folder / "my.beach (1).png"))
    page.until("editor.model.values.background")
    assert page.values == {"background": {"replace": "my_beach _1_.png"}}
    assert (page.results / "my_beach _1_.png").is_file()
    assert decibel(page.composited(), page.rendered()) >= 50
    assert page.composited()[0, 0].tolist() == [10, 200, 30]


def test_curves_of_numbers_are_drawn_in_the_row_and_bent_by_handles(page):
    page.select("1.0")
    page.values = {"layers": {"1": {"opacity": [[2, 0.2], [8, 0.8]]}}}
    page.press("c")
    page.until("editor.timeline.track === 'opacity' && !editor.pending.panels")
    view = ("const line = editor.timeline, {canvas} = line.views.find(({row}) => rowName(row) === '1.0'),"
            "box = canvas.getBoundingClientRect();")

    def place(output, value):
        return page.run(view + "return [box.x + line.x(arguments[0] - 1, canvas),"
                        "box.y + line.y(arguments[1], canvas, [0, 1])]", output, value)

    def drag(start, end):
        actions = ActionChains(page.browser, duration=20)
        pointer = actions.w3c_actions.pointer_action
        pointer.move_to_location(*map(round, start)).pointer_down()
        pointer.move_to_location(*map(round, end)).pointer_up()
        actions.perform()
        page.until("!editor.pending.panels")

    drag(place(8, 0.8), place(6, 0.6))
    (_, first), (frame, value) = page.values["layers"]["1"]["opacity"]
    assert first == 0.2 and frame == 6 and abs(value - 0.6) < 0.02
    start = page.run(view + "const [x, y] = line.handles(canvas)[0].place; return [box.x + x, box.y + y]")
    drag(start, [start[0], start[1] - 20])
    handles = page.values["layers"]["1"]["opacity"][1][2]
    assert set(handles) == {"in"} and handles["in"][0] < 0, "the last key has a handle on one side"
    for label, typed in (("frames", "-2"), ("value", "0.1")):
        field = page.browser.find_element("xpath", f"//aside//label[span[.='Handle before, {label}']]/input")
        field.send_keys(Keys.CONTROL + "a" + Keys.NULL, typed, Keys.ENTER)
        page.until("!editor.pending.panels")
    assert page.values["layers"]["1"]["opacity"][1][2] == {"in": [-2, 0.1]}
    edit_from_values(page.values, page.compositor.facts, str, Path())
    page.press("e")
    assert page.values["layers"]["1"]["opacity"][1][2] == "ease"
    page.press(Keys.ALT, Keys.ARROW_DOWN)
    page.press(Keys.DELETE)
    assert page.values["layers"]["1"]["opacity"] == [[2, 0.2]]


def test_several_rows_are_changed_at_once_and_everybody_else_is_a_row(page):
    page.select("1.0")
    page.press(Keys.CONTROL, "a")
    page.until("editor.rows.length === 2 && !editor.pending.panels")
    page.go_to(4)
    page.run("editor.freezeLength = 3")
    page.press("f")
    assert page.values == {"layers": {layer: {"time": [{"freeze": [4, 7]}]} for layer in "12"}}
    page.press(Keys.CONTROL, "z")
    assert page.values == {}
    page.select("2.0")
    ActionChains(page.browser).key_down(Keys.CONTROL).click(
        page.browser.find_element("css selector", "[data-row='1.0'] .title")).key_up(Keys.CONTROL).perform()
    page.until("editor.rows.length === 2 && !editor.pending.panels")
    page.run("const slider = document.querySelector('[data-key=saturation]'); slider.value = 0;"
             "slider.dispatchEvent(new Event('input')); slider.dispatchEvent(new Event('change'))")
    assert page.values == {"layers": {"1": {"saturation": 0}, "2": {"saturation": 0}}}
    page.values = {"layers": {"2": {"opacity": 0.5}}}
    page.browser.find_element("xpath", "//button[.='Everybody else as one row']").click()
    page.until("editor.row.layer === 'others' && !editor.pending.panels")
    page.press("f")
    assert page.values == {"layers": {"2": {"opacity": 0.5}, "others": {"time": [{"freeze": [4, 7]}]}}}
    page.run("editor.model.showsOthers = false")


def test_a_stretch_is_slowed_down_and_the_video_lengthened(page):
    page.select("1.0")
    page.go_to(3)
    page.press("r")
    page.until("document.querySelector('#stretch-dialog').open")
    for name, typed in (("from", "3"), ("to", "6"), ("speed", "50%")):
        field = page.browser.find_element("id", f"stretch-{name}")
        field.send_keys(Keys.CONTROL + "a" + Keys.NULL, typed, Keys.TAB)
    page.click("stretch-do")
    page.until("editor.model.values.length === 'fit'")
    assert page.values == {"layers": {"1": {"time": [{"speed": 0.5, "frames": [3, 6]}]}}, "length": "fit"}
    assert page.run("return editor.model.length") == LENGTH + 3
    assert not page.browser.find_element("id", "fit").is_displayed()
    page.go_to(9)
    assert decibel(page.composited(), page.rendered()) >= 50
    page.values = {"layers": {"1": {"time": [{"speed": 0.5}]}}}
    page.until("!editor.pending.panels")
    button = page.browser.find_element("id", "fit")
    assert button.text == f"Lengthen to {2 * LENGTH - 1} frames"
    button.click()
    assert page.run("return editor.model.length") == 2 * LENGTH - 1


def test_a_mistyped_step_is_told_in_words(page):
    page.select("1.0")
    page.values = {"layers": {"1": {"time": [{"freeze": [3, 5]}, {"speed": 0.5}]}}}
    page.until("!editor.pending.panels")
    for step, typed, words in (("freeze", "40, 30", "two frames, such as 10, 30, the second one after the first"),
                               ("freeze", "4", "two frames"), ("speed", "fast", "a speed, such as 50% or 2")):
        field = page.browser.find_element("css selector", f"[data-step={step}]")
        field.send_keys(Keys.CONTROL + "a" + Keys.NULL, typed, Keys.ENTER)
        told = page.browser.find_element("xpath", f"//input[@data-step='{step}']/ancestor::div[@class='of-frames']/p")
        assert words in told.text
    assert page.values["layers"]["1"]["time"] == [{"freeze": [3, 5]}, {"speed": 0.5}]
    field.send_keys(Keys.CONTROL + "a" + Keys.NULL, "25%", Keys.ENTER)
    assert page.values["layers"]["1"]["time"][1] == {"speed": 0.25}


def test_pins_and_names_are_had_by_keyboard_alone_and_time_is_written_as_wanted(page):
    page.select("1.0")
    page.go_to(4)
    page.press("p")
    page.until("!editor.pending.panels")
    page.press(Keys.ESCAPE)
    page.browser.find_element("css selector", "[data-row='1.0'] .title").send_keys(Keys.TAB * 3)
    page.until("document.activeElement.className === 'point' && editor.timeline.picks.length === 1")
    assert page.run("return document.activeElement.ariaLabel") == "Pin: frame 4 shows frame 4"
    page.press(Keys.ALT, Keys.ARROW_RIGHT)
    assert page.values["layers"]["1"]["time"] == [{"align": [[5, 4]]}]
    page.run("document.activeElement.blur()")
    page.press(Keys.F2)
    page.press("Ann")
    page.press(Keys.ENTER)
    page.until("document.querySelector('[data-row=\"1.0\"] .title').textContent === 'Ann'")
    assert page.values["names"] == {"1": "Ann"}
    page.press(Keys.SHIFT, "m")
    page.press(Keys.ARROW_RIGHT)
    page.press("<")
    page.press(Keys.ALT, Keys.ARROW_LEFT)
    assert page.values["markers"] == [[4, "Marker 1"]]
    page.press(Keys.DELETE)
    assert "markers" not in page.values and "1" in page.values["layers"]
    page.run("editor.setUnits('timecode')")
    try:
        page.until("!editor.pending.panels")
        frame = page.browser.find_element("id", "frame")
        assert frame.get_property("value") == "00:00:00:03"
        frame.send_keys(Keys.CONTROL + "a" + Keys.NULL, "00:00:00:05", Keys.ENTER)
        assert page.run("return editor.output") == 5
    finally:
        page.run("editor.setUnits('frames')")


def test_what_the_page_composites_is_what_is_rendered(page):
    write_png(page.results / "wide.png", np.random.default_rng(2).integers(0, 255, (40, 120, 3), np.uint8))
    for name, values in EDITS.items():
        page.values = values
        for frame in (3, 6):
            page.go_to(frame)
            found = decibel(page.composited(), page.rendered())
            assert found >= 50, f"{name}: {found:.1f} dB"


def test_layers_of_other_frames_are_put_where_the_camera_saw_them(page):
    size = tuple(page.compositor.size)
    to_first = page.run("return editor.model.clip.cameras.map((_, frame) => "
                        "cameraMotion(editor.model.clip, frame, 0) ?? IDENTITY)")
    camera = true_camera.of_sample(size, LENGTH)
    assert true_camera.worst_miss(camera, (2 * size[0], 2 * size[1]), np.reshape(to_first, (-1, 3, 3)), size) < 1e-6


def test_a_picture_that_stands_still_is_the_rendered_one(page):
    page.values = {"interpolation": "flow", "layers": {"others": {"time": [{"speed": 0.7}]}}}
    page.go_to(5)
    page.until("!document.querySelector('#exact').hidden")
    data = page.browser.execute_async_script(
        "const done = arguments[0], canvas = document.createElement('canvas');"
        "const image = document.querySelector('#exact');"
        "[canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];"
        "canvas.getContext('2d').drawImage(image, 0, 0); done(canvas.toDataURL().split(',')[1])")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(float)
    assert np.array_equal(shown, page.rendered())


def test_a_session_of_editing(page):
    page.drag("1.0", 5, 5, 0, -3)
    assert page.values == {"layers": {"1": {"time": [{"align": [[5, 2]]}]}}}
    page.drag("1.0", 5, 2, 2, 2)
    assert page.values["layers"]["1"]["time"] == [{"align": [[7, 4]]}]

    page.press(Keys.CONTROL, "z")
    page.press(Keys.CONTROL, "z")
    assert page.values == {}, "each drag is undone at once"
    page.press(Keys.CONTROL, "y")
    assert page.values == {"layers": {"1": {"time": [{"align": [[5, 2]]}]}}}
    page.click("undo")

    for row, frame in (("1.0", 3), ("2.0", 7)):
        page.select(row)
        page.go_to(frame)
        page.press("m")
    page.go_to(5)
    page.click("align")
    assert page.values == {"layers": {"1": {"time": [{"align": [[5, 3]]}]}, "2": {"time": [{"align": [[5, 7]]}]}},
                           "marks": {"1": 3, "2": 7}}

    page.go_to(6)
    page.run("editor.freezeLength = 3")
    page.press("f")
    assert page.values["layers"]["2"]["time"] == [{"align": [[5, 7]]}, {"freeze": [6, 9]}]
    page.drag("2.0", 8, 8, 0, -4)
    assert page.values["layers"]["2"]["time"] == [{"align": [[5, 7], [6, 4]]}, {"freeze": [6, 9]}], \
        "a frozen person is dragged to another frame, and stays frozen"
    page.press(Keys.CONTROL, "z")

    page.select("1.0")
    page.press(Keys.DELETE)
    assert page.values["remove"] == [1]
    page.go_to(7)
    assert decibel(page.composited(), page.rendered()) >= 50

    wanted = page.values
    page.press(Keys.CONTROL, "s")
    page.until("document.querySelector('#save-dialog').open")
    page.press("jump")
    page.press(Keys.ENTER)
    page.until("!editor.model.changed")
    assert json.loads((page.results / "jump.json").read_text()) == wanted
    again = Page(page.browser, page.compositor, page.browser.current_url, page.results)
    assert again.values == wanted

    again.click("render")
    again.run("document.querySelector('#render-format').value = 'png'")
    again.click("render-start")
    again.until("document.querySelector('#render-state').textContent.startsWith('Ready')")
    files = sorted((page.results / "retimed").glob("*.png"))
    again.click("render-close")
    again.go_to(7)
    assert len(files) == LENGTH and np.array_equal(np.asarray(Image.open(files[6])), again.rendered())


def test_pins_are_picked_moved_typed_copied_and_deleted(page):
    page.double_click("1.0", 3, 3)
    page.double_click("1.0", 8, 8)
    pins = "return editor.model.pins({layer: 1, index: 0})"

    def click_pin(output, source, *modifier):
        for key in modifier:
            ActionChains(page.browser).key_down(key).perform()
        actions = ActionChains(page.browser, duration=20)
        actions.w3c_actions.pointer_action.move_to_location(*map(round, page.place("1.0", output, source))).click()
        actions.perform()
        for key in modifier:
            ActionChains(page.browser).key_up(key).perform()

    click_pin(8, 8)
    page.press(Keys.ALT, Keys.ARROW_LEFT)
    page.press(Keys.ALT, Keys.ARROW_DOWN)
    assert page.run(pins) == [[3, 3], [7, 7]]
    click_pin(3, 3, Keys.SHIFT)
    assert len(page.run("return editor.timeline.picks")) == 2
    page.drag("1.0", 3, 3, 1, 2)
    assert page.run(pins) == [[4, 5], [8, 9]], "what is picked is dragged together"
    page.press(Keys.CONTROL, "z")
    assert page.run(pins) == [[3, 3], [7, 7]]
    page.press(",")  # the pin before
    page.until("!editor.pending.panels && editor.timeline.picks.length === 1")
    for label, value, expected in (("Pin at frame", "2", [[2, 3], [7, 7]]), ("shows frame", "1", [[2, 1], [7, 7]]),
                                   ("Speed after it", "200%", [[2, 1], [5, 7]])):
        field = page.browser.find_element("xpath", f"//aside//label[span[.='{label}']]/input")
        field.send_keys(Keys.CONTROL + "a" + Keys.NULL, value, Keys.ENTER)
        page.until("!editor.pending.panels")
        assert page.run(pins) == expected, label
    page.press(Keys.CONTROL, "c")
    page.select("2.0")
    page.go_to(4)
    page.press(Keys.CONTROL, "v")
    assert page.values["layers"]["2"] == {"time": [{"align": [[4, 1]]}]}
    page.press(Keys.DELETE)
    assert "2" not in page.values["layers"] and "remove" not in page.values, "Delete takes the pin that is picked"
    page.press(Keys.DELETE)
    assert page.values["remove"] == [2]


def test_a_drag_shows_the_frame_under_it_snaps_and_is_taken_back_by_escape(page):
    page.select("1.0")
    page.go_to(9)
    place, end = page.place("1.0", 4, 4), page.place("1.0", 6, 2)
    actions = ActionChains(page.browser, duration=20)
    pointer = actions.w3c_actions.pointer_action
    pointer.move_to_location(*map(round, place)).pointer_down()
    pointer.move_to_location(*map(round, end))
    actions.perform()
    assert page.run("return editor.output") == 5 and page.values["layers"]["1"]["time"] == [{"align": [[6, 2]]}]
    assert page.run("return document.querySelector('#readout').textContent").startswith("frame 2 at 6 ")
    page.press(Keys.ESCAPE)
    assert page.values == {} and page.run("return editor.output") == 8
    assert page.run("return document.querySelector('#readout').hidden")
    ActionChains(page.browser).release().perform()
    snapped = ("const {timeline} = editor, {canvas} = timeline.views[0];"
               "return [4, 8].map((by) => timeline.snapped(5, timeline.x(7, canvas) + by, canvas, [7]))")
    assert page.run(snapped) == [7, 5]


def test_time_is_zoomed_so_that_each_frame_has_its_pixels(page):
    page.select("1.0")
    page.values = {"length": 3000}
    assert page.run("return editor.timeline.view") == [0, 2999]
    ruler = page.browser.find_element("css selector", "#ruler canvas")
    page.run("arguments[0].dispatchEvent(new WheelEvent('wheel', {ctrlKey: true, deltaY: -1500}))", ruler)
    first, last = page.run("return editor.timeline.view")
    assert first == 0 and 100 < last < 200
    page.go_to(2000)
    first, last = page.run("return editor.timeline.view")
    assert first < 1999 < last, "where one goes is seen"
    page.press("0")
    assert page.run("return editor.timeline.view") == [0, 2999]
    page.click("tall")
    heights = page.run("const row = document.querySelector('.row.selected > canvas'); return [row.clientHeight, "
                       "innerHeight]")
    assert heights[0] >= 320, "300 frames have a pixel each"
    page.click("tall")


def test_any_pin_goes_to_any_frame_of_a_long_clip_in_one_drag(browser, folder):
    length, root, random = 300, folder / "long", np.random.default_rng(3)
    write_png(root / "gt/bg.png", np.full((64, 64, 3), 90, np.uint8))
    for layer in range(8):
        pixels = np.full((64, 64, 4 if layer else 3), 30 * layer, np.uint8)
        for frame in range(1, length + 1):
            target = root / (f"gt/layer_{layer:02d}" if layer else "rgb_256") / f"{frame:04d}.png"
            if frame == 1:
                write_png(target, pixels)
            else:
                target.hardlink_to(target.with_name("0001.png"))
    (root / "metadata.json").write_text(json.dumps({"size_LR": [64, 64], "alphapose_input_size": [64, 64],
                                                    "n_textures": 24 * 7 + 1}))
    server = subprocess.Popen([sys.executable, ROOT / "retime.py", "--layers", root / "gt", "--dataroot", root,
                               "--serve", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        page = Page(browser, Compositor(LayerFolder.open(root / "gt"), Dataroot.open(root)),
                    server.stdout.readline().split()[1])
        page.press("t")
        page.press("n")
        for number, corner in [(7, (1, 1)), (4, (length, 1)), (1, (1, length)), *zip((1, 2, 6, 7), [None] * 4)]:
            start, end = random.integers(1, length + 1, (2, 2)).tolist()
            end = list(corner or end)
            page.select(f"{number}.0")
            page.values = {"layers": {number: {"time": [{"align": [start]}]}}}
            here, there = page.place(f"{number}.0", *start), page.place(f"{number}.0", *end)
            pressed = [round(value) for value in here]
            moved = [at + round(b - a) for at, a, b in zip(pressed, here, there)]
            actions = ActionChains(browser, duration=20)
            actions.w3c_actions.pointer_action.move_to_location(*pressed).pointer_down()
            actions.w3c_actions.pointer_action.move_to_location(*moved).pointer_up()
            actions.perform()
            assert page.values["layers"][str(number)] == {"time": [{"align": [end]}]}, (number, start, end)
        page.run("editor.model.saved = JSON.stringify(editor.model.values)")
        browser.get("about:blank")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)


def test_what_is_selected_is_seen_whole_and_help_begins_with_its_beginning(page):
    page.values = {"layers": {"2": [{"time": [{"offset": n}]} for n in range(7)]}}
    seen = ("const row = document.querySelector('.row.selected').getBoundingClientRect();"
            "const box = document.querySelector('#rows').getBoundingClientRect();"
            "return [row.top - box.top, box.bottom - row.bottom, row.height].map(Math.round)")
    for key in 9 * [Keys.ARROW_DOWN] + 9 * [Keys.ARROW_UP]:
        page.press(key)
        page.until("!editor.pending.panels")
        above, below, height = page.run(seen)
        assert above >= 0 and below >= 0 and height == 104
    page.press("t")
    page.until("document.querySelector('.row.selected').offsetHeight >= 340")
    assert min(page.run(seen)) >= 0
    page.press("t")
    page.press("?")
    assert page.run("const box = document.querySelector('#help-dialog'); return [box.open, box.scrollTop]") == [True, 0]
    page.press(Keys.ESCAPE)
    page.select("1.0")
    for direction in ("forward", "forward", "backward", "backward"):
        page.run("document.querySelector('#message').textContent = ''")
        page.click(direction)
    assert "is behind everybody already" in page.message


def test_keys_belong_to_what_has_the_focus_and_come_back(page):
    page.select("1.0")
    opacity = page.browser.find_element("css selector", "[data-key=opacity] + input")
    opacity.clear()
    opacity.send_keys("0.5", Keys.ENTER)
    page.until("document.activeElement === document.body")
    assert page.values == {"layers": {"1": {"opacity": 0.5}}}
    page.press(Keys.CONTROL, "z")
    page.until("!editor.pending.panels")
    assert page.values == {} and opacity.get_property("value") == "1"
    frame = page.browser.find_element("id", "frame")
    frame.clear()
    frame.send_keys("999", Keys.ENTER)
    page.until("document.activeElement === document.body")
    assert frame.get_property("value") == str(LENGTH)
    page.press(Keys.ARROW_LEFT)
    assert page.run("return editor.output") == LENGTH - 2
    page.run("document.querySelector('[data-key=opacity]').focus({focusVisible: true})")
    page.press(Keys.ARROW_LEFT)
    assert page.values == {"layers": {"1": {"opacity": 0.99}}} and page.run("return editor.output") == LENGTH - 2
    page.run("document.querySelector('[data-key=trail]').focus({focusVisible: true})")
    page.press(" ")
    assert "trail" in page.values["layers"]["1"] and not page.run("return editor.playing")


def test_numbers_are_taken_as_people_write_them(page):
    rate = page.run("return editor.clip.rate")
    found = page.run("return arguments[0].map((text) => numberFrom(text, {rate: 25, first: 1}))",
                     ["12", "50%", "0:01.5", "1:00", "2s", "-3", "0,5", "1:00:00", "twelve", "", "5x"])
    assert found == [12, 0.5, 39, 1501, 51, -3, 0.5, 90001, None, None, None]
    frame = page.browser.find_element("id", "frame")
    frame.send_keys(Keys.CONTROL + "a" + Keys.NULL, "0:00.16", Keys.ENTER)
    assert page.run("return editor.output") == round(0.16 * rate)
    page.select("1.0")
    opacity = page.browser.find_element("css selector", "[data-key=opacity] + input")
    opacity.send_keys(Keys.CONTROL + "a" + Keys.NULL, "half", Keys.ENTER)
    page.until("document.activeElement === document.body")
    assert "wrong" in opacity.get_attribute("class") and page.values == {} and "50%" in opacity.get_attribute("title")
    opacity.send_keys(Keys.CONTROL + "a" + Keys.NULL, "50%", Keys.ARROW_UP, Keys.ENTER)
    assert page.values == {"layers": {"1": {"opacity": 0.51}}}


def test_shuttle_and_range(page):
    page.go_to(3)
    page.press("i")
    page.go_to(8)
    page.press("o")
    assert page.values == {"range": [3, 8]}
    page.press("j")
    assert page.run("return [editor.playing, editor.speed]") == [True, -1]
    page.press("j")
    assert page.run("return editor.speed") == -2
    page.press("l")
    assert page.run("return editor.speed") == 1
    page.until("editor.output >= 2 && editor.output <= 7")
    page.press("k")
    assert not page.run("return editor.playing")


def test_the_sound_is_drawn_and_played(browser, clip, compositor, folder):
    root = folder / "loud"
    shutil.copytree(clip, root)
    with wave.open(str(root / "audio.wav"), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        samples = np.zeros(48000, "<i2")
        samples[9600:9700] = 20000  # a click at 0.2 s
        file.writeframes(samples.tobytes())
    values = json.loads((root / "metadata.json").read_text())
    (root / "metadata.json").write_text(json.dumps({**values, "audio": "audio.wav"}))
    server = subprocess.Popen([sys.executable, ROOT / "retime.py", "--layers", root / "gt", "--dataroot", root,
                               "--serve", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
    page = Page(browser, compositor, server.stdout.readline().split()[1])
    page.until("editor.sound.buffer && !document.querySelector('#sound').hidden")
    rate = page.run("return editor.clip.rate")
    loud = page.run("return [...Array(10).keys()].map((frame) => editor.sound.loudness(frame, frame + 0.8))")
    assert [frame for frame, loudness in enumerate(loud) if loudness > 0.3] == [int(0.2 * rate)]
    page.press(" ")
    page.until("editor.sound.node")
    page.press(" ")
    assert not page.run("return Boolean(editor.sound.node)")
    browser.get("about:blank")
    server.send_signal(signal.SIGINT)
    assert server.wait(20) == 0


@pytest.mark.parametrize("width", [390, 860, 2560])
def test_nothing_is_cut_off_at_any_width(page, width):
    device = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    try:
        page.until("!editor.pending.panels")
        assert page.run("return document.documentElement.scrollWidth") <= width
        outside = page.run("return [...document.querySelectorAll('button, input, select')].filter((one) => {"
                           "const box = one.getBoundingClientRect(); return box.width && (box.left < 0 || "
                           "box.right > innerWidth + 1); }).map(({id, title}) => id || title)")
        assert outside == []
        assert page.run("return document.querySelector('#screen').clientWidth") >= min(0.85 * width, 300)
        cut = page.run("return [...document.querySelectorAll('.row .title')].filter((title) => "
                       "title.scrollWidth > title.clientWidth).map(({textContent}) => textContent)")
        assert cut == []
        page.run("editor.tell('a long message '.repeat(9))")
        message = page.browser.find_element("id", "message").rect
        assert width > 860 or (message["height"] > 20 and message["width"] > 300), "it is broken into lines"
    finally:
        page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False})


def test_a_colour_stands_in_the_background_whatever_stood_there(page):
    page.select("background.0")
    for kind, pickers in (("transparent", 0), ("colour", 1), ("transparent", 0), ("colour", 1)):
        page.run("const choice = document.querySelector('#inspector select'); choice.value = arguments[0];"
                 "choice.dispatchEvent(new Event('change'))", kind)
        page.until("!editor.pending.panels")
        found = page.browser.find_elements("xpath", "//aside/section[1]//input[@type='color']")
        assert len(found) == pickers, kind


def test_rows_stand_in_depth_order(page):
    rows = "return [...document.querySelectorAll('.row')].map((row) => row.dataset.row)"
    for order in ([1, 2], [2, 1]):
        page.values = {"order": order}
        page.until("!editor.pending.panels")
        assert page.run(rows) == [f"{order[1]}.0", f"{order[0]}.0", "background.0"]


def test_work_outlives_a_reload_and_the_server(browser, compositor, clip, folder):
    def server(port):
        process = subprocess.Popen([sys.executable, ROOT / "retime.py", "--layers", clip / "gt", "--dataroot", clip,
                                    "--results_dir", folder / "outlives", "--serve", "--port", port], cwd=folder,
                                   stdout=subprocess.PIPE, text=True)
        return process, process.stdout.readline().split()[1]

    def stop(process):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0

    first, address = server("0")
    page = Page(browser, compositor, address)
    page.run("editor.files.save('cut')")
    page.until("editor.files.name === 'cut'")
    page.values = wanted = {"marks": {"1": 3}, "remove": [2]}
    again = Page(browser, compositor, address)
    assert again.values == wanted and again.run("return editor.files.name") == "cut" and again.run(
        "return editor.model.changed")
    again.until("document.querySelector('#message').textContent.includes('unsaved work')")
    again.run("editor.model.undo()")
    assert again.values == {}
    again.run("editor.model.redo()")
    stop(first)
    second, _ = server(address.rstrip("/").rpartition(":")[2])
    again.run("editor.compositor.pictures.kept.clear()")
    again.go_to(4)
    again.until("!document.querySelector('#exact').hidden")
    assert decibel(again.composited(), again.rendered()) >= 50, "pictures come from the new server"
    again.run("editor.files.save('cut')")
    again.until("!editor.model.changed")
    saved = list((folder / "outlives").rglob("cut.json"))
    assert [json.loads(path.read_text()) for path in saved] == [wanted]
    browser.get("about:blank")
    stop(second)
    browser.get_log("browser")  # that the first server did not answer


def test_a_file_of_somebody_else_is_replaced_only_after_a_question(page, browser, folder):
    page.run("editor.files.save('mine')")
    page.until("editor.files.name === 'mine'")
    theirs = next(folder.rglob("mine.json")).with_name("theirs.json")
    theirs.write_text('{"length": 3}')
    for answer in ("dismiss", "accept"):
        page.run("editor.files.save('theirs')")
        end = time.monotonic() + 15
        while not expected_conditions.alert_is_present()(browser):
            assert time.monotonic() < end
        assert browser.switch_to.alert.text == "theirs.json is there already. Replace it?"
        getattr(browser.switch_to.alert, answer)()
        if answer == "accept":
            page.until("editor.files.name === 'theirs'")
        assert (theirs.read_text() == '{"length": 3}') == (answer == "dismiss")


def test_pins_are_set_and_taken_away_by_double_clicks_and_bend_the_curve(page):
    for row in ("1.0", "2.0"):
        page.double_click(row, 3, 3)
        page.double_click(row, 8, 8)
        assert page.values["layers"][row[0]] == {"time": [{"align": [[3, 3], [8, 8]]}]}
    page.drag("2.0", 5, 5, 0, 2)
    assert page.values["layers"]["2"] == {"time": [{"align": [[3, 3], [5, 7], [8, 8]]}]}
    page.double_click("2.0", 8, 8)
    assert page.values["layers"]["2"] == {"time": [{"align": [[3, 3], [5, 7]]}]}
    for output, source in ((3, 3), (8, 8)):
        page.double_click("1.0", output, source)
    assert "1" not in page.values["layers"]


def test_every_tool_makes_an_edit_that_the_server_takes(page):
    page.select("1.0")
    page.go_to(4)
    for tool in ("duplicate", "freeze", "forward", "backward", "event", "align"):
        page.click(tool)
    for step in ("offset", "hold", "speed", "reverse", "loop", "pingpong", "align"):
        page.run("const add = [...document.querySelectorAll('#inspector select')].find((one) => one.title);"
                 "add.value = arguments[0]; add.dispatchEvent(new Event('change'))", step)
        page.until("!editor.pending.panels")
    page.click("[data-key=trail]")
    for key, value in (("opacity", 0.5), ("effects", 0), ("x", 0.2), ("scale", 2), ("gain", 3), ("saturation", 0)):
        page.run("const slider = document.querySelector(`[data-key=${arguments[0]}]`); slider.value = arguments[1];"
                 "slider.dispatchEvent(new Event('input')); slider.dispatchEvent(new Event('change'))", key, value)
    page.run("editor.model.toggleKey(editor.row, 'opacity', 2)")
    page.select("background.0")
    page.press("f")
    page.until("!editor.pending.panels")
    values = page.values
    assert len(values["layers"]["1"]) == 2 and values["background"] == {"time": [{"freeze": [4, 17]}]}
    edited = next(entry for entry in values["layers"]["1"] if "gain" in entry)
    assert {"opacity", "effects", "x", "scale", "gain", "saturation", "trail"} <= set(edited)
    edit_from_values(values, page.compositor.facts, str, Path())
    while page.run("return editor.model.past.length"):
        page.run("editor.model.undo()")
    assert page.values == {}


def test_webgl_meets_the_compositing_case(browser, tmp_path):
    case, side = compositing_case(), 64  # what a clip has at least
    height, width = case.background.shape[:2]
    # The page as one file has its background as JPEG; as the layer furthest back it is without loss.
    opaque = np.dstack([case.background, np.full_like(case.background[..., :1], 255)])
    for name in ("rgb_256/0001.png", "gt/bg.png"):
        write_png(tmp_path / "clip" / name, np.zeros((side, side, 3), np.uint8))
    for number, layer in enumerate([opaque, *case.layers], start=1):
        write_png(tmp_path / f"clip/gt/layer_{number:02d}/0001.png",
                  np.pad(layer, ((0, side - height), (0, side - width), (0, 0))))
    (tmp_path / "clip/metadata.json").write_text(json.dumps({
        "size_LR": [side, side], "alphapose_input_size": [side, side], "n_textures": 97}))
    compositor = Compositor(LayerFolder.open(tmp_path / "clip/gt"), Dataroot.open(tmp_path / "clip"))
    write_page(tmp_path / "page.html", compositor, "case", {}, tmp_path)
    page = Page(browser, compositor, (tmp_path / "page.html").as_uri())
    for removed, expected in (([], np.dstack([case.over_background, opaque[..., 3]])),
                              ([1], case.over_nothing * [1, 1, 1, 255])):
        page.values = {"background": {"replace": "transparent"}, "remove": removed}
        page.until("editor.isDrawn")
        pixels = page.run("const {gl} = editor.compositor, [width, height] = arguments;"
                          "const pixels = new Uint8Array(4 * width * height); editor.show();"
                          "const bottom = gl.drawingBufferHeight - height;"
                          "gl.readPixels(0, bottom, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);"
                          "return [...pixels]", width, height)
        found = np.array(pixels).reshape(height, width, 4)[::-1]
        assert np.abs(found - expected).max() <= 1.5  # 8 bits after each layer
    page.run("editor.model.saved = JSON.stringify(editor.model.values)")


def test_limits_and_defaults_of_the_page_are_those_that_edits_are_checked_by(page):
    assert page.run("return LIMITS") == LIMITS
    steps, sliders = page.run("return [Object.keys(STEP_HELP), NUMBERS]")
    assert tuple(steps) == STEP_KEYS and set(sliders) == set(CURVES)
    assert all(CURVES[key].low <= low < high <= CURVES[key].high for key, (_, low, high, _) in sliders.items())
    page.select("1.0")
    for key, (low, high, default) in CURVES.items():
        field = f"document.querySelector('[data-key={key}]')"
        assert float(page.run(f"return {field}.value")) == default
        for wanted, kept in ((low - 1, low), (high + 1, high)):
            page.run(f"const exact = {field}.nextElementSibling; exact.value = arguments[0];"
                     "exact.dispatchEvent(new Event('change'))", wanted)
            assert page.values.get("layers", {}).get("1", {}).get(key, default) == kept
    page.values = {}
    page.click("[data-key=trail]")
    page.until("!editor.pending.panels")
    assert page.values == {"layers": {"1": {"trail": {key: limit.default for key, limit in TRAIL.items()}}}}
    fields = page.run("const box = document.querySelector('[data-key=trail]').closest('section');"
                      "return [...box.querySelectorAll('.figure')].map(({dataset}) => [+dataset.min, +dataset.max])")
    assert fields == [[limit.low, limit.high] for limit in TRAIL.values()]
    formats = page.run("return [...document.querySelector('#render-format').options].map(({value}) => value)")
    assert tuple(formats) == FORMATS
    for name, is_fine in {"jump 2": True, "J\u00fcrgen_-": True, "../evil": False, "": False, "x" * 62: False}.items():
        assert is_fine == page.run("const input = document.querySelector('#render-name'); input.value = arguments[0];"
                                   "const found = input.checkValidity(); input.value = 'retimed'; return found", name)
        assert is_fine == bool(FILE_NAME.fullmatch(name))


def test_every_layer_is_rendered_for_other_programs_from_the_dialog(page):
    page.values = {"remove": [2]}
    page.select("1.0")
    page.click("render")
    page.run("const what = document.querySelector('#render-what'); what.value = 'layer';"
             "what.dispatchEvent(new Event('change'))")
    assert page.run("return document.querySelector('#render-what').selectedOptions[0].textContent") == "Person 1 alone"
    assert "people alone have no background" in page.browser.find_element("id", "render-hint").text
    assert not page.browser.find_element("id", "render-start").is_enabled()
    page.run("const what = document.querySelector('#render-what'); what.value = 'layers';"
             "what.dispatchEvent(new Event('change')); document.querySelector('#render-name').value = 'shot'")
    formats = page.run("return [...document.querySelector('#render-format').options].map(({value}) => value)")
    assert tuple(formats) == LAYER_FORMATS
    page.click("#render-apart input")
    page.click("render-start")
    page.until("document.querySelector('#render-state').textContent.startsWith('Ready')")
    state = page.run("return document.querySelector('#render-state').textContent")
    assert state.split("\n")[0].endswith(str(Path("results/clip/retimed/shot")))
    assert {path.name for path in (page.results / "shot").iterdir() if path.is_dir()} == {
        "background", "person1", "person1_effects"}
    page.run("document.querySelector('#render-what').value = 'video'; editor.renderings.showFormats()")
    page.click("render-close")


EVERY = ("minor", "moderate", "serious", "critical")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_in_light_and_dark(page, scheme):
    page.values = {"layers": {"1": {"time": [{"freeze": [3, 6]}], "opacity": [[1, 0], [5, 1]], "trail": {"copies": 2}}}}
    page.select("1.0")
    for width in (1280, 390):
        look(page.browser, scheme, width, 720)
        page.until("!editor.pending.panels")
        assert not grave_findings(page.browser, impacts=EVERY)
    dialogs = page.run("return [...document.querySelectorAll('dialog')].map(({id}) => id)")
    assert {"save-dialog", "open-dialog", "render-dialog", "help-dialog"} <= set(dialogs)
    for name in dialogs:
        page.run("document.getElementById(arguments[0]).showModal()", name)
        assert not grave_findings(page.browser, f"#{name}", EVERY), name
        widths = page.run("const box = document.getElementById(arguments[0]);"
                          "return [box.scrollWidth, box.clientWidth]", name)
        assert widths[0] <= widths[1] < 390, name
        page.run("document.getElementById(arguments[0]).close()", name)
    look(page.browser, "dark", 1280, 720)


def test_mistakes_are_told_where_they_are_seen(page):
    page.run("editor.files.load('{\"layers\": {\"9\": {}}}', 'other')")
    page.until("document.querySelector('#message').className === 'error'")
    assert "line 1: layers.9: no such layer" in page.message
    assert page.values == {}
    page.values = {"layers": {"1": {"gain": 99}}}
    page.until("document.querySelector('#message').textContent.includes('layers.1.gain: found 99')")


def test_a_mistake_is_not_wiped_away_by_an_answer_to_something_earlier(page):
    page.run("const checked = editor.check(); editor.tell('a mistake', 'error');"
             "window.answered = false; checked.then(() => { window.answered = true; })")
    page.until("window.answered")
    assert page.message == "a mistake"


def test_keys_that_the_page_does_not_know_survive(page):
    values = {"layers": {"others": {"saturation": 0}, "1": {"anchor": [0.1, 0.2], "ends": "hide"}}, "solo": [1, 2],
              "range": [2, 8]}
    page.run("editor.files.load(arguments[0], 'kept')", json.dumps(values))
    page.until("editor.files.name === 'kept'")
    page.run("editor.model.freeze({layer: 1, index: 0}, 2, 4)")
    values["layers"]["1"]["time"] = [{"freeze": [3, 5]}]
    assert page.values == values


def test_source_times_are_those_of_the_engine(page):
    length, random = 50, np.random.default_rng(7)
    outputs = np.arange(0, 80, 0.5)

    def pair():
        return sorted(random.choice(np.arange(1, length), 2, replace=False).tolist())

    for _ in range(60):
        speeds = [[at, round(random.uniform(-1, 2), 2)] for at in pair()]
        pins = [[at, source] for at, source in zip(pair(), random.integers(1, length, 2).tolist())]
        pins.append([pins[1][0] + 9, int(random.integers(1, length))])
        steps = [{"offset": int(random.integers(-9, 9))}, {"freeze": pair()}, {"speed": speeds},
                 {"speed": speeds, "ease": True}, {"reverse": pair()}, {"reverse": True}, {"loop": pair()},
                 {"loop": [*pair(), 2]}, {"pingpong": [*pair(), 2]}, {"pingpong": pair()}, {"align": pins}]
        entry = {"time": random.choice(steps, random.integers(1, 4), replace=False).tolist(),
                 "ends": str(random.choice(["hold", "hide"]))}
        edit = edit_from_values({"layers": {"1": entry}}, ClipFacts(length, (1,)), str, Path())
        found = page.run("const instance = layerInstance(arguments[0], 1, {length: arguments[1]}, 'nearest');"
                         "return arguments[2].map((output) => instance.sourceTime(output))",
                         entry, length, outputs.tolist())
        found, expected = np.array(found, float), edit.instances[0].source_times(outputs)
        # Where a hidden end is half a frame away, or a loop starts again, rounding decides.
        wrong = ~np.isclose(found, expected, atol=1e-6, equal_nan=True)
        assert wrong.mean() < 0.02, (entry, outputs[wrong], found[wrong], expected[wrong])


def test_the_page_as_one_file_works_from_disk_without_a_server(browser, compositor, folder, clip):
    subprocess.run([sys.executable, ROOT / "retime.py", "--layers", clip / "gt", "--dataroot", clip, "--page",
                    folder / "page.html", "--freeze", "1:3-8"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    browser.get_log("browser"), browser.get_log("performance")
    page = Page(browser, compositor, (folder / "page.html").as_uri())
    page.go_to(6)
    assert page.values == {"layers": {"1": {"time": [{"freeze": [3, 8]}]}}}
    assert decibel(page.composited(), page.rendered()) >= 40
    page.run("editor.viewer.look('matte')")
    matte = pixels_of(page, "editor.compositor.canvas")
    assert matte[..., 3].min() == 255 and (matte[..., 0] == matte[..., 2]).all()
    assert 0 < (matte[..., 0] > 200).mean() < 1
    assert page.run("return document.querySelector('#quality').textContent").endswith("composited here")
    page.run("editor.viewer.look('picture')")
    page.drag("2.0", 6, 6, 0, -3)
    assert page.values["layers"]["2"] == {"time": [{"align": [[6, 3]]}]}
    page.run("editor.model.saved = JSON.stringify(editor.model.values)")
    assert not page.browser.find_element("id", "render").is_displayed()
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def test_who_is_frozen_stays_at_his_place_before_a_camera_that_walks(browser, folder):
    clip = make_sample(folder / "walking", frames=LENGTH, width=224, height=128, people=1, camera="walk")
    compositor = Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))
    write_page(folder / "walking.html", compositor, "walking", {}, folder)
    page = Page(browser, compositor, (folder / "walking.html").as_uri())
    page.values = {"layers": {"1": {"time": [{"hold": 2}]}}}
    page.go_to(LENGTH)
    assert decibel(page.composited(), page.rendered()) >= 40
    unmoved = compositor.layers.layer(1, 1)[..., 3] > 250
    page.values = {**page.values, "background": {"replace": "transparent"}}
    assert (page.composited()[unmoved].max(axis=-1) == 0).mean() > 0.2, "he is where he was in the picture"
    page.run("editor.model.saved = JSON.stringify(editor.model.values)")


def test_four_layers_of_448_by_256_play_at_25_frames_per_second(browser, folder):
    random, root = np.random.default_rng(1), folder / "large"
    write_png(root / "gt/bg.png", random.integers(0, 255, (256, 448, 3), np.uint8))
    for frame in range(1, 13):
        write_png(root / f"rgb_256/{frame:04d}.png", np.zeros((256, 448, 3), np.uint8))
        for layer in (1, 2, 3):
            pixels = np.zeros((256, 448, 4), np.uint8)
            pixels[40:240, 40 * layer + 9 * frame:][:, :120] = random.integers(0, 255, 4, np.uint8)
            write_png(root / f"gt/layer_{layer:02d}/{frame:04d}.png", pixels)
    (root / "metadata.json").write_text(json.dumps({"size_LR": [448, 256], "alphapose_input_size": [448, 256],
                                                    "n_textures": 73}))
    compositor = Compositor(LayerFolder.open(root / "gt"), Dataroot.open(root))
    write_page(folder / "large.html", compositor, "large", {}, folder)
    page = Page(browser, compositor, (folder / "large.html").as_uri())
    for frame in range(1, 13):
        page.go_to(frame)
        page.until("editor.isDrawn")
    rates = page.run(
        "const {gl} = editor.compositor, pixel = new Uint8Array(4), rates = [];"
        "for (let i = 0; i < 5; i++) {"
        "  const start = performance.now(); let drawn = 0;"
        "  while (performance.now() - start < 300 || !drawn) {"
        "    if (editor.compositor.draw([{values: {layers: {1: {time: [{offset: 3}]}}}, output: drawn++ % 12}]))"
        "      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel); }"
        "  rates.push(drawn / (performance.now() - start) * 1000); }"
        "return rates")
    assert max(rates) >= 25, rates  # the best of five: other work on this machine is not what is measured
