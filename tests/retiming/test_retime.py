"""retime.py: from the command line to files."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import retime
from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retime import parse, read_edit
from retiming import compositor
from retiming.compositor import Compositor
from retiming.edit import ClipFacts
from util.images import read_image, write_png

ROOT = Path(__file__).parents[2]
LENGTH = 8
FACTS = ClipFacts(60, (1, 2, 3), None)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("retime") / "clip", frames=LENGTH, width=96, height=64, people=2)


@pytest.fixture
def run(clip, tmp_path, monkeypatch, capsys):
    """Runs retime.py in an empty folder; gives its exit status and what it said on stderr, without the progress."""
    monkeypatch.chdir(tmp_path)

    def start(*arguments, layers=("--layers", str(clip / "gt"), "--dataroot", str(clip))):
        monkeypatch.setattr(sys, "argv", ["retime.py", *layers, *arguments])
        status = 0
        try:
            with retime.reported_in_one_line():
                retime.main()
        except SystemExit as stop:
            status = stop.code
        return status, re.sub(r"retime: .*\r?|\r", "", capsys.readouterr().err).strip()
    return start


def changed(*arguments, values=None):
    """The edit file that short forms amount to."""
    opt = parse(["--layers", "a", "--dataroot", "b", "--out", "c.mp4", *arguments])
    return read_edit(opt, FACTS)[1] if values is None else opt


@pytest.mark.parametrize("arguments, values", [
    ("--freeze 2:30-60 --offset 1:+12", {"layers": {"2": {"time": [{"freeze": [30, 60]}]},
                                                    "1": {"time": [{"offset": 12}]}}}),
    ("--align 1:40,2:55,3:31@45", {"layers": {n: {"time": [{"align": [[45, source]]}]}
                                              for n, source in (("1", 40), ("2", 55), ("3", 31))}}),
    ("--remove 3 --order 2,1", {"remove": [3], "order": [2, 1]}),
    ("--speed others:0.5 --hold background:30 --length 120", {
        "layers": {"others": {"time": [{"speed": 0.5}]}}, "background": {"time": [{"hold": 30}]}, "length": 120}),
    ("--speed 2:50%@10-30 --length fit --cut all:40-50", {
        "layers": {"2": {"time": [{"speed": 0.5, "frames": [10, 30]}, {"cut": [40, 50]}]},
                   "others": {"time": [{"cut": [40, 50]}]}}, "background": {"time": [{"cut": [40, 50]}]},
        "length": "fit"}),
    ("--freeze everybody:3-9 --opacity everybody:0.5", {
        "layers": {"others": {"time": [{"freeze": [3, 9]}], "opacity": 0.5}}}),
    ("--offset 1:-3 --duplicate 1:12 --effects 1:0", {"layers": {"1": [
        {"time": [{"offset": -3}, {"offset": 12}], "effects": 0}, {"time": [{"offset": -3}], "effects": 0}]}}),
    ("--trail 1:5,4,0.6 --reverse 2 --loop 3:1-9", {"layers": {
        "1": {"trail": {"copies": 5, "spacing": 4, "fade": 0.6}}, "2": {"time": [{"reverse": True}]},
        "3": {"time": [{"loop": [1, 9]}]}}}),
    ("--solo 1 --background transparent --range 2-9 --interpolation flow", {
        "solo": [1], "background": {"replace": "transparent"}, "range": [2, 9], "interpolation": "flow"}),
])
def test_short_forms_amount_to_an_edit_file(arguments, values):
    assert changed(*arguments.split()) == values


def test_short_forms_go_on_from_the_edit_file(tmp_path):
    file = tmp_path / "edit.json"
    file.write_text('{"layers": {"1": [{}, {"time": [{"offset": 5}]}], "others": {"saturation": 0}}}')
    assert changed("--edit", str(file), "--freeze", "1:3-9", "--opacity", "2:0.5") == {"layers": {
        "1": [{"time": [{"freeze": [3, 9]}]}, {"time": [{"offset": 5}, {"freeze": [3, 9]}]}],
        "2": {"saturation": 0, "opacity": 0.5}, "others": {"saturation": 0}}}


def test_pictures_are_those_of_the_engine_and_an_edit_can_be_kept(run, clip, tmp_path):
    assert run("--freeze", "2:3-6", "--range", "2-7", "--out", "made/", "--save_edit", "edit.json") == (0, "")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [f"{n:04d}.png" for n in range(2, 8)]
    assert run("--edit", "edit.json", "--out", "again/%04d.png") == (0, "")
    engine = Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))
    opt = parse(["--layers", "a", "--dataroot", "b", "--out", "c", "--edit", str(tmp_path / "edit.json")])
    edit, _ = read_edit(opt, engine.facts)
    for n in range(2, 8):
        made = read_image(tmp_path / "made" / f"{n:04d}.png", "RGB")
        assert (made == engine.frame(edit, n - 1)).all()
        assert (made == read_image(tmp_path / "again" / f"{n:04d}.png", "RGB")).all()


@pytest.mark.parametrize("original, size", [([200, 128], (100, 64)), ([90, 64], (96, 68)), ([96, 64], (96, 64))])
def test_what_is_retimed_has_the_form_of_the_source_again(run, clip, tmp_path, original, size):
    root = shutil.copytree(clip, tmp_path / "clip")
    values = json.loads((root / "metadata.json").read_text())
    (root / "metadata.json").write_text(json.dumps({**values, "original_size": original}))
    for arguments, mode in (((), "RGB"), (("--layer", "1"), "RGBA")):
        assert run("--range", "2-2", *arguments, "--out", "made/",
                   layers=("--layers", str(root / "gt"), "--dataroot", str(root))) == (0, "")
        with Image.open(tmp_path / "made" / "0002.png") as made:
            assert made.size == size and made.mode == mode


def test_a_run_that_was_exported_is_found_by_its_name(run, clip, tmp_path):
    known = LayerFolder.open(clip / "gt")
    for frame, name in enumerate(known.frames):
        for layer in (0, *known.numbers):
            pixels = np.dstack([known.background(frame), np.full((64, 96), 255, np.uint8)]) if layer == 0 else (
                known.layer(layer, frame))
            write_png(tmp_path / "results" / "me" / "test_latest" / "images" / f"{name}_rgba_l{layer}.png", pixels)
    (tmp_path / "checkpoints" / "me").mkdir(parents=True)
    (tmp_path / "checkpoints" / "me" / "train_opt.json").write_text(json.dumps({"dataroot": str(clip)}))
    assert run("--out", "named/", layers=("--name", "me")) == run("--out", "known/") == (0, "")
    for name in known.frames:
        found, expected = (read_image(tmp_path / folder / f"{name}.png", "RGB") for folder in ("named", "known"))
        assert (found == expected).all()
    assert "train_opt.json does not say it" in run("--out", "x/", layers=("--name", "other"))[1]


def test_a_layer_alone_keeps_its_alpha(run, clip, tmp_path):
    assert run("--layer", "1", "--out", "one/") == (0, "")
    assert run("--layer", "1", "--out", "one.webm") == (0, "")
    found, true = (read_image(path, "RGBA") for path in (tmp_path / "one" / "0004.png", clip / "gt/layer_01/0004.png"))
    assert (found[..., 3] == true[..., 3]).all()
    assert np.abs((found.astype(int) - true)[true[..., 3] > 0]).max() <= 1
    with av.open(str(tmp_path / "one.webm")) as container:
        assert container.streams.video[0].metadata["ALPHA_MODE"] == "1"
    assert run("--layer", "0", "--out", "background/") == (0, "")
    assert (read_image(tmp_path / "background/0004.png", "RGB") == read_image(clip / "gt/bg.png", "RGB")).all()


@pytest.mark.parametrize("arguments, message", [
    ("--out a.mp4 --freeze 2:30", "--freeze: found '2:30'; expected LAYER:FIRST-LAST, such as 2:30-60"),
    ("--out a.mp4 --freeze 2:6-3", "--freeze 2:6-3: found [6, 3]; expected [first, last] with last after first"),
    ("--out a.mp4 --offset 7:3", "--offset 7:3: no such layer; expected others, or a layer of this clip: 1, 2"),
    ("--out a.mp4 --align 1:40@5", "--align 1:40@5: found 40; expected a number from 1 to 8"),
    ("--out a.mp4 --edit none.json", "--edit none.json: not readable"),
    ("--out a.mp4 --background none.jpg", "none.jpg: no such file"),
    ("--out a.mp4 --background transparent", "--out a.mp4: .mp4 cannot hold alpha, and there is no background"),
    ("--out a.avi", "--out a.avi: unknown ending; expected .mp4, .webm, .mov, .gif, a folder, or folder/%04d.exr"),
    ("--out a.png", "--out a.png: one name for all frames; expected a place for their number: %04d.png"),
    ("--out a.mp4 --layer 3", "--layer 3: no such layer"),
    ("--out a.mp4 --freze 1:2-3", "--freze: no such option; did you mean --freeze?"),
])
def test_a_mistake_is_told_in_one_line_and_leaves_nothing(run, tmp_path, arguments, message):
    status, said = run(*arguments.split())
    assert status == 2
    assert said.startswith(f"error: {message}") and "\n" not in said
    assert not list(tmp_path.iterdir())


def test_a_mistake_is_told_within_two_seconds_of_work(clip, tmp_path):
    before = os.times()
    found = subprocess.run([sys.executable, ROOT / "retime.py", "--layers", clip / "gt", "--dataroot", clip, "--freeze",
                            "2:6-3", "--out", "a.mp4"], cwd=tmp_path, capture_output=True, text=True)
    after = os.times()
    assert found.returncode == 2 and found.stderr.startswith("error: --freeze 2:6-3")
    assert sum(after[2:4]) - sum(before[2:4]) < 2, "processor time of children"


def test_pictures_of_a_longer_rendering_that_stay_in_the_folder_are_told(run, tmp_path):
    assert run("--out", "a/") == (0, "")
    (tmp_path / "a/notes.txt").write_text("mine")
    status, said = run("--range", "3-5", "--out", "a/")
    assert status == 0
    assert said == (f"warning: a: holds {LENGTH - 3} more pictures, of frames 1 to {LENGTH}, from before; other "
                    "programs take them for part of this sequence. Remove them, or render to an empty folder")
    assert run("--range", "2-4", "--out", "b/") == run("--range", "2-4", "--out", "b/x_%04d.exr") == (0, "")


@pytest.mark.parametrize("out", ["a.mp4", "folder/"])
def test_a_layer_that_breaks_on_the_way_leaves_nothing(run, clip, tmp_path, out, monkeypatch):
    broken = clip / "gt" / "layer_02" / "0006.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:len(whole) // 2])
    status, said = run("--out", out)
    broken.write_bytes(whole)
    assert status == 2 and re.fullmatch(r"error: .*0006.png: not a readable image .*", said)
    assert not list(tmp_path.iterdir())


def test_what_is_probably_not_meant_is_a_warning_and_is_rendered(run, tmp_path):
    assert run("--freeze", "1:4-30", "--out", "a.gif") == (
        0, "warning: layers.1.time[0].freeze: frozen until frame 30; the retimed video ends at frame 8")
    assert (tmp_path / "a.gif").exists()


def test_memory_is_bounded_and_results_do_not_depend_on_it(clip, monkeypatch):
    def frames():
        engine = Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))
        opt = parse(["--layers", "a", "--dataroot", "b", "--out", "c", "--trail", "1:3,1,0.5"])
        edit, _ = read_edit(opt, engine.facts)
        return engine, [engine.frame(edit, n) for n in range(LENGTH)]
    _, expected = frames()
    monkeypatch.setattr(compositor, "CACHE_BYTES", 40_000)
    engine, found = frames()
    assert all((a == b).all() for a, b in zip(found, expected))
    assert engine._cache.bytes <= 40_000 and engine._cache.bytes == sum(
        part[2].nbytes for part in engine._cache.kept.values())


def test_endings_in_capitals_and_folders_with_dots_are_taken(run, tmp_path):
    assert run("--range", "2-3", "--out", "A.MP4") == (0, "")
    with av.open(str(tmp_path / "A.MP4")) as container:
        assert len(list(container.decode(video=0))) == 2
    (tmp_path / "take.v2").mkdir()
    assert run("--range", "2-3", "--out", "take.v2") == run("--range", "2-3", "--out", "take.v3/") == (0, "")
    assert run("--range", "2-3", "--out", "stills/%04d.PNG") == (0, "")
    assert len(list((tmp_path / "take.v2").iterdir())) == len(list((tmp_path / "take.v3").iterdir())) == 2
    assert (tmp_path / "stills" / "0002.PNG").exists()


def test_a_still_background_tells_what_was_done_with_it_as_a_video_does(run, tmp_path):
    rgba = np.full((64, 96, 4), 255, np.uint8)
    rgba[:, :40, 3] = 0
    write_png(tmp_path / "cut\x1b[2J.png", rgba)
    status, said = run("--background", "cut\x1b[2J.png", "--out", "a.gif")
    assert status == 0 and re.fullmatch("warning: .*cut�\\[2J.png: alpha, which is left out: .*",
                                        said)


@pytest.mark.parametrize(("begin", "words"), [
    ("TITLE: cut\nFCM: NON-DROP FRAME\n", "an edit decision list"),
    ("001  AX  V  C  01:00:00:00", "an edit decision list"),
    ("Adobe After Effects 8.0 Keyframe Data\n", "After Effects' keyframes"),
    ('<?xml version="1.0"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.9">', "Final Cut Pro's XML"),
    ('<?xml version="1.0"?>\n<!DOCTYPE xmeml><xmeml version="5">', "XML of Final Cut 7 or Premiere"),
    ('{"OTIO_SCHEMA": "Timeline.1"}', "OpenTimelineIO"), ("Heading\nFIELD_DELIM\tTABS", "Avid's log"),
    ("{\n\tTools = ordered() {", "a Fusion composition"), ("#! /usr/local/Nuke13.0v1/libnuke.so", "a Nuke script"),
    ("<html>", "XML"), ("--- \nlayers:", "YAML"), ("{layers: {}}", "line 1: not JSON"),
    ("\xff\xfe{", "no text in UTF-8")])
def test_edits_of_other_programs_are_called_by_their_names(run, tmp_path, begin, words):
    (tmp_path / "edit").write_bytes(begin.encode("latin-1"))
    status, said = run("--edit", "edit", "--out", "a.gif")
    assert status == 2 and said.startswith("error: ") and words in said and "\n" not in said


def test_sound_that_cannot_be_read_is_a_warning(run, clip, tmp_path):
    root = shutil.copytree(clip, tmp_path / "clip")
    (root / "audio.mka").write_text("no sound")
    values = json.loads((root / "metadata.json").read_text(encoding="utf-8"))
    text = json.dumps({**values, "audio": "audio.mka"})
    (root / "metadata.json").write_text(text, encoding="utf-8-sig")  # as Windows' editor saves it
    status, said = run("--range", "2-3", "--out", "a.mp4",
                       layers=("--layers", str(root / "gt"), "--dataroot", str(root)))
    assert status == 0 and "audio.mka: not readable as sound" in said and "the video is silent" in said
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(list(container.decode(video=0))) == 2 and not container.streams.audio
