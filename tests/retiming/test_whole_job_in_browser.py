"""A whole job in the editor, by mouse and keys: from a clip with sound to a video, and to layers for other programs.

Two people jump on a beat, one of them goes on in slow motion, the third is removed; in between the server is killed.
"""

import json
import shutil
import signal
import subprocess
import sys
import wave

import numpy as np
import opentimelineio as otio
import pytest

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retiming.compositor import Compositor
from retiming.edit import edit_from_values
from util.images import read_image
from util.video_reader import VideoReader

if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("chromium and chromium-driver (Debian's packages) are not installed: the editor's page is not tested",
                allow_module_level=True)

from selenium.webdriver.common.keys import Keys  # noqa: E402

from tests.retiming.test_editor_in_browser import ROOT, Page, browser, decibel  # noqa: E402, F401 (a fixture)

LENGTH, RATE, BEAT = 30, 25, 0.6


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Three people, and a click on every beat."""
    root = make_sample(tmp_path_factory.mktemp("job") / "clip", frames=LENGTH, width=160, height=96, people=3)
    samples = np.zeros(2 * 48000, "<i2")
    for start in np.arange(0, len(samples), int(BEAT * 48000)):
        samples[start:start + 200] = 20000
    with wave.open(str(root / "clicks.wav"), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    values = json.loads((root / "metadata.json").read_text())
    (root / "metadata.json").write_text(json.dumps({**values, "audio": "clicks.wav"}))
    return root


def jump_of(clip, person):
    """The frame, from 1, in which a person's feet are highest."""
    feet = [np.flatnonzero(read_image(path, "L").max(axis=1) > 128).max()
            for path in sorted((clip / f"gt/person_{person:02d}").glob("*.png"))]
    return int(np.argmin(feet)) + 1


@pytest.fixture
def start(clip, tmp_path):
    """Starts the editor's server, at a port; gives it and its address."""
    started = []

    def start(port="0"):
        started.append(subprocess.Popen(
            [sys.executable, ROOT / "retime.py", "--layers", clip / "gt", "--dataroot", clip, "--results_dir", tmp_path,
             "--serve", "--port", port], cwd=tmp_path, stdout=subprocess.PIPE, text=True))
        return started[-1], started[-1].stdout.readline().split()[1]
    yield start
    for server in started:
        server.kill()
        server.wait()


def typed(page, field, text):
    page.click(field)
    page.press(Keys.CONTROL, "a")
    page.press(text)
    page.press(Keys.ENTER)


def test_two_jumps_on_a_beat_slow_motion_somebody_removed_a_killed_server_a_video_and_layers(
        browser, clip, start, tmp_path):  # noqa: F811
    compositor, results = Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip)), tmp_path / "clip/retimed"
    server, address = start()
    page = Page(browser, compositor, address, results)
    page.until("editor.sound.buffer")
    jumps, beat = {person: jump_of(clip, person) for person in (1, 2)}, round(BEAT * RATE) + 1
    assert page.run("return editor.sound.loudness(arguments[0], arguments[0] + 1) > 0.3", beat - 1), "heard and seen"

    for person, jump in jumps.items():
        page.select(f"{person}.0")
        typed(page, "frame", str(jump))
        page.press("m")
    assert len(set(jumps.values())) == 2 and page.values["marks"] == {str(who): at for who, at in jumps.items()}
    typed(page, "frame", f"0:00.{round(10 * BEAT)}")
    page.press("a")
    page.select("2.0")
    page.press("r")
    page.until("document.querySelector('#stretch-dialog').open")
    page.click("stretch-do")
    page.until("document.querySelector('#lengthen').getAttribute('aria-pressed') === 'true'")
    page.select("3.0")
    page.press(Keys.DELETE)
    page.press("w")
    page.until("editor.isDrawn")
    page.press("w")

    def shown():
        edit = edit_from_values(page.values, compositor.facts, str, results)
        return edit, {one.layer: 1 + one.source_times(np.arange(edit.length)) for one in edit.instances}

    edit, times = shown()
    assert set(times) == {1, 2} and edit.length > LENGTH
    assert {person: times[person][beat - 1] for person in jumps} == pytest.approx(jumps)
    assert np.diff(times[2][beat:beat + 8]) == pytest.approx(0.5) and times[2][-1] == pytest.approx(LENGTH, abs=0.5)

    page.press(Keys.CONTROL, "s")
    page.until("document.querySelector('#save-dialog').open")
    page.press("on the beat")
    page.press(Keys.ENTER)
    page.until("!editor.model.changed")
    server.send_signal(signal.SIGKILL)
    server.wait()
    page.select("1.0")
    page.press("f")  # done while nobody answers
    page.press(Keys.CONTROL, "z")
    page.press(Keys.CONTROL, "y")
    frozen = page.values
    start(address.rstrip("/").rpartition(":")[2])
    page.go_to(beat)
    page.until("!document.querySelector('#exact').hidden")
    assert page.values == frozen and page.run("return editor.model.changed")
    page.press(Keys.CONTROL, "s")
    page.until("document.querySelector('#save-dialog').open")
    page.press(Keys.ENTER)
    page.until("!editor.model.changed")
    assert json.loads((results / "on the beat.json").read_text()) == frozen

    edit, times = shown()
    page.click("render")
    page.click("render-start")
    page.until("document.querySelector('#render-state').textContent.startsWith('Ready')")
    video = [frame for _, frame in VideoReader(results / "retimed.mp4").frames()]
    assert len(video) == edit.length
    assert decibel(video[beat - 1].astype(float), compositor.frame(edit, beat - 1).astype(float)) > 28

    page.run("const what = document.querySelector('#render-what'); what.value = 'layers';"
             "what.dispatchEvent(new Event('change')); document.querySelector('#render-name').value = 'shot'")
    page.click("render-start")
    page.until("document.querySelector('#render-state').textContent.endsWith('shot')")
    page.click("render-close")
    timeline = otio.adapters.read_from_file(str(results / "shot/retimed.otio"))
    assert timeline.duration().value == edit.length and len(timeline.audio_tracks()) == 1
    assert {track.name for track in timeline.video_tracks()} == {"background", "person1", "person2"}
    events = {clip.name: clip.transformed_time(marker.marked_range.start_time, timeline.tracks).value
              for clip in timeline.find_clips() for marker in clip.markers}
    assert events == {"person1": beat - 1, "person2": beat - 1}, "both are marked on the beat"
    canvas = np.zeros((96, 160, 3))
    for name in json.loads((results / "shot/layers.json").read_text())["order"][0][1]:
        layer = read_image(results / f"shot/{name}/{name}.{beat:04d}.png", "RGBA").astype(float)
        canvas = layer[..., :3] * layer[..., 3:] / 255 + (1 - layer[..., 3:] / 255) * canvas
    assert np.abs(canvas - compositor.frame(edit, beat - 1)).max() <= 2.5
    browser.get_log("browser")  # that the first server did not answer
