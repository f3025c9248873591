"""Scripts for other programs: read as these read them, they put the layers together as the retimed video."""

import json
import re

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retiming.compositor import Compositor
from retiming.edit import edit_from_values
from retiming.layer_files import write_layers
from retiming.project_files import depth_clips
from util.images import read_image

LENGTH = 8
EDIT = {"layers": {"2": {"time": [{"freeze": [3, 6]}], "opacity": 0.8}}, "order": [[1, [1, 2]], [4, [2, 1]]],
        "range": [2, LENGTH]}


@pytest.fixture(scope="module")
def compositor(tmp_path_factory):
    clip = make_sample(tmp_path_factory.mktemp("clip") / "clip", frames=LENGTH, width=96, height=64, people=2)
    return Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))


@pytest.fixture(scope="module")
def edit(compositor):
    return edit_from_values(EDIT, compositor.facts, str, compositor.root.path)


@pytest.fixture(scope="module")
def folder(compositor, edit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    write_layers(compositor, edit, folder)
    return folder


def test_a_layer_that_changes_its_place_is_cut_there():
    order = [[1, ["a", "b", "c"]], [5, ["a", "c", "b"]], [6, ["a", "c", "b"]]]
    assert depth_clips(order, 9) == [("a", 1, 1, 9), ("b", 2, 1, 4), ("c", 2, 5, 9), ("c", 3, 1, 4), ("b", 3, 5, 9)]


def laid(canvas, picture):
    alpha = picture[..., 3:] / 255 if picture.shape[2] == 4 else 1
    return picture[..., :3] * alpha + (1 - alpha) * canvas


def test_clips_of_blender_and_after_effects_show_the_retimed_video(folder, compositor, edit):
    values, = re.findall(r'json.loads\(r"""(.*)"""\)', (folder / "blender.py").read_text())
    values = json.loads(values)
    compile((folder / "blender.py").read_text(), "blender.py", "exec")
    assert values["fps"] / values["fps_base"] == 25 and values["size"] == [96, 64]
    for frame in range(values["first"], values["last"] + 1):
        canvas = np.zeros((64, 96, 3))
        for name, _, first, last in sorted(values["clips"], key=lambda clip: clip[1]):
            if first <= frame <= last:
                path = folder / values["files"][name].replace("####", f"{frame:04d}")
                canvas = laid(canvas, read_image(path, "RGB" if name == "background" else "RGBA"))
        assert np.abs(canvas - compositor.frame(edit, frame - 1)).max() <= 2.5


def test_after_effects_is_told_the_same(folder):
    # What the script says to After Effects is noted down by a stand-in for it.
    js = MiniRacer()
    js.eval("""
        var said = [], $ = {fileName: "/shot/after_effects.jsx"}, AlphaMode = {STRAIGHT: "straight"};
        function File(path) { this.fsName = path; this.exists = false; this.parent = {fsName: "/shot"}; }
        function ImportOptions(file) { this.file = file; }
        var app = {beginUndoGroup() {}, endUndoGroup() {}, project: {
          importFile: (options) => ({path: options.file.fsName, sequence: options.sequence,
                                     mainSource: {hasAlpha: !options.file.fsName.includes("background")}}),
          items: {addComp: (...values) => ({openInViewer() {}, layers: {add(item) {
            said.push({item, values, layer: {}});
            return said.at(-1).layer;
          }}})}}};""")
    js.eval((folder / "after_effects.jsx").read_text())
    said = json.loads(js.eval("JSON.stringify(said)"))
    facts = json.loads((folder / "layers.json").read_text())
    assert [one["item"]["name"] for one in said] == [name for name, *_ in depth_clips(facts["order"], LENGTH)]
    assert said[0]["values"] == ["retimed", 96, 64, 1, 7 / 25, 25]
    assert said[0]["item"]["path"] == "/shot/background/background.0002.png" and said[0]["item"]["sequence"]
    assert said[1]["item"]["mainSource"] == {"hasAlpha": True, "conformFrameRate": 25, "alphaMode": "straight"}
    assert (said[1]["layer"]["inPoint"], said[1]["layer"]["outPoint"]) == pytest.approx((0, 2 / 25))


def nuke_picture(script, folder, frame):
    """A picture of a Nuke script, whose nodes take their inputs from a stack, the first one from its top."""
    stack, kept = [], {}
    for kind, name, knobs in re.findall(r"^(\w+) \$?(\w*) ?(?:\{\n(.*?)\n\}|\[stack 0\])?$", script, re.M | re.S):
        values = dict(line.strip().split(" ", 1) for line in knobs.splitlines())
        inputs = [stack.pop() for _ in range(int(values.get("inputs", 1)))] if knobs else []
        if kind == "set":
            kept[name] = stack[-1]
        elif kind == "push":
            stack.append(kept[name])
        elif kind == "Read":
            assert values["raw"] == values["auto_alpha"] == "true"
            assert int(values["first"]) == 2 and int(values["last"]) == LENGTH
            path = values["file"].strip('"').replace("\\[file dirname \\[value root.name]]", str(folder))
            stack.append(read_image(path.replace("####", f"{frame:04d}"), "RGBA") / 255)
        elif kind == "Premult":
            stack.append(inputs[0] * np.append(np.ones(3), 0) * inputs[0][..., 3:] + inputs[0] * [0, 0, 0, 1])
        elif kind == "Switch":
            keys = [(int(at), int(which)) for at, which in re.findall(r"x(\d+) (\d+)", values["which"])]
            stack.append(inputs[[which for at, which in keys if at <= frame][-1]])
        elif kind == "Merge2":
            below, above = inputs
            stack.append(above + (1 - above[..., 3:]) * below)
        else:
            assert kind in ("Root", "Colorspace")
            stack += inputs
    return stack[-1]


def test_a_nuke_script_read_as_nuke_does_shows_the_retimed_video(folder, compositor, edit):
    script = (folder / "nuke.nk").read_text()
    assert script.startswith('Root {\n inputs 0\n frame 2\n first_frame 2\n last_frame 8\n') and " fps 25\n" in script
    for frame in (2, 3, 4, LENGTH):
        made = nuke_picture(script, folder, frame)
        assert np.all(made[..., 3] == 1)
        assert np.abs(255 * made[..., :3] - compositor.frame(edit, frame - 1)).max() <= 2.5
