"""Scripts that put retimed layers together in other programs: Blender, After Effects and Nuke.

They lie beside the layers and find them from there, wherever the folder is moved. All composite as retime.py does:
*over*, in the coded values. Where the order of the layers changes, clips change tracks (Blender, After Effects), or
switches have keys (Nuke).
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

BLENDER = '''"""Opens these layers in Blender's video sequencer.

    blender --app-template Video_Editing -P blender.py

or open this file in a Text Editor of Blender and run it. A channel for each layer, the background lowest.
"""

import json
from pathlib import Path

import bpy

CLIP = json.loads(r"""@CLIP@""")
text = getattr(bpy.context.space_data, "text", None)
FOLDER = Path(bpy.path.abspath(text.filepath) if text else __file__).resolve().parent

scene = bpy.context.scene
render = scene.render
render.resolution_x, render.resolution_y = CLIP["size"]
render.resolution_percentage = 100
render.fps, render.fps_base = CLIP["fps"], CLIP["fps_base"]
render.film_transparent = True
scene.frame_start, scene.frame_end = CLIP["first"], CLIP["last"]
scene.frame_set(CLIP["first"])
# Layers are put together as they are coded, and shown as they are.
scene.display_settings.display_device = "sRGB"
scene.view_settings.view_transform = "Standard"
scene.view_settings.look = "None"
scene.sequencer_colorspace_settings.name = "sRGB"

editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
for name, depth, first, last in CLIP["clips"]:
    file = CLIP["files"][name]
    if "####" in file:
        files = [file.replace("####", f"{frame:04d}") for frame in range(first, last + 1)]
        strip = strips.new_image(name, str(FOLDER / files[0]), depth, first)
        for path in files[1:]:
            strip.elements.append(Path(path).name)
    else:
        strip = strips.new_movie(name, str(FOLDER / file), depth, CLIP["first"])
        strip.frame_final_start, strip.frame_final_end = first, last + 1
    strip.colorspace_settings.name = "sRGB"
    strip.alpha_mode = "STRAIGHT"
    strip.blend_type = "ALPHA_OVER"
    strip.select = False
if CLIP["sound"] and Path(CLIP["sound"]).exists():
    strips.new_sound("sound", CLIP["sound"], 1 + max(depth for _, depth, _, _ in CLIP["clips"]), 1)
'''

AFTER_EFFECTS = '''// Opens these layers in After Effects: File > Scripts > Run Script File.
(function () {
  var clip = @CLIP@;
  var folder = new File($.fileName).parent, rate = clip.fps / clip.fps_base, items = {}, i;
  function file(name) {
    var number = ("000" + clip.first).slice(-Math.max(4, String(clip.first).length));
    return new File(folder.fsName + "/" + clip.files[name].replace("####", number));
  }
  app.beginUndoGroup("Retimed layers");
  app.project.linearBlending = false;  // layers are put together as they are coded
  var comp = app.project.items.addComp("retimed", clip.size[0], clip.size[1], 1,
                                       (clip.last - clip.first + 1) / rate, rate);
  for (var name in clip.files) {
    var options = new ImportOptions(file(name));
    options.sequence = clip.files[name].indexOf("####") >= 0;
    items[name] = app.project.importFile(options);
    items[name].name = name;
    items[name].mainSource.conformFrameRate = rate;
    if (items[name].mainSource.hasAlpha) items[name].mainSource.alphaMode = AlphaMode.STRAIGHT;
  }
  for (i = 0; i < clip.clips.length; i++) {  // each is laid over those before it
    var layer = comp.layers.add(items[clip.clips[i][0]]);
    layer.startTime = 0;
    layer.inPoint = (clip.clips[i][2] - clip.first) / rate;
    layer.outPoint = (clip.clips[i][3] + 1 - clip.first) / rate;
  }
  if (clip.sound && new File(clip.sound).exists) {
    var sound = app.project.importFile(new ImportOptions(new File(clip.sound)));
    comp.layers.add(sound).startTime = (1 - clip.first) / rate;
  }
  comp.openInViewer();
  app.endUndoGroup();
})();
'''


class Clip(NamedTuple):
    """A layer that lies at one depth for a while; output frames count from 1, depths too, from the back."""

    name: str
    depth: int
    first: int
    last: int


def write_project_files(folder: Path, facts: Mapping) -> None:
    """Write the scripts beside the layers.

    Args:
        folder: of the layers.
        facts: what layers.json says; its files are pictures of one layer each, or videos.
    """
    rate = Fraction(facts["frame_rate"])
    clips = depth_clips(facts["order"], facts["last"])
    values = {"fps": round(rate), "fps_base": float(round(rate) / rate), "clips": clips,
              **{key: facts[key] for key in ("size", "first", "last", "files", "sound")}}
    for name, script in (("blender.py", BLENDER), ("after_effects.jsx", AFTER_EFFECTS)):
        (folder / name).write_text(script.replace("@CLIP@", json.dumps(values)), encoding="utf-8")
    (folder / "nuke.nk").write_text(nuke_script(facts), encoding="utf-8")


def depth_clips(order: list, last: int) -> list[Clip]:
    """Which layer lies when at which depth, from the back: an order by frame as layers.json has it, cut into clips."""
    found: list[Clip] = []
    ends = [frame - 1 for frame, _ in order[1:]] + [last]
    for depth in range(len(order[0][1])):
        for (first, names), end in zip(order, ends):
            if found and found[-1][:2] == (names[depth], depth + 1):
                found[-1] = found[-1]._replace(last=end)
            else:
                found.append(Clip(names[depth], depth + 1, first, end))
    return found


def nuke_script(facts: Mapping) -> str:
    """A Nuke script: a Read node for each layer, merged back to front, and Colorspace to go on in linear light.

    Args:
        facts: what layers.json says.
    """
    (width, height), first, last = facts["size"], facts["first"], facts["last"]
    nodes = [_node("Root", inputs=0, frame=first, first_frame=first, last_frame=last, lock_range="true",
                   fps=f"{float(Fraction(facts['frame_rate'])):.6g}",
                   format=f'"{width} {height} 0 0 {width} {height} 1 retimed"')]
    for column, (name, file) in enumerate(facts["files"].items()):
        start = {} if "####" in file else {"frame_mode": '"start at"', "frame": first}
        numbers = (first, last) if "####" in file else (1, last - first + 1)
        place = {"xpos": 150 * column, "ypos": 0}
        nodes += [_node("Read", inputs=0, file=f'"\\[file dirname \\[value root.name]]/{file}"', first=numbers[0],
                        last=numbers[1], origfirst=numbers[0], origlast=numbers[1], **start, raw="true",
                        auto_alpha="true", name=name, **place),
                  _node("Premult", name=f"Premult_{name}", xpos=place["xpos"], ypos=120),
                  f"set {name} [stack 0]"]
    for depth in range(len(facts["order"][0][1])):
        nodes += _at_depth(facts["order"], depth)
        if depth:
            nodes += ["push $below", _node("Merge2", inputs=2, operation="over", name=f"Over_{depth}",
                                           xpos=0, ypos=240 + 120 * depth)]
        nodes.append("set below [stack 0]")
    nodes.append(_node("Colorspace", colorspace_in="sRGB", name="to_linear_light", xpos=0,
                       ypos=360 + 120 * len(facts["files"])))
    return "\n".join(nodes) + "\n"


def _at_depth(order: list, depth: int) -> list[str]:
    """What leaves the layer of a depth on top of Nuke's stack, from which a node takes its first input first."""
    keys = [(frame, names[depth]) for frame, names in order]
    names = list(dict.fromkeys(name for _, name in keys))
    if len(names) == 1:
        return [f"push ${names[0]}"]
    curve = " ".join(f"x{frame} {names.index(name)}" for frame, name in keys)
    return [*(f"push ${name}" for name in reversed(names)),
            _node("Switch", inputs=len(names), which="{{curve K " + curve + "}}", name=f"Depth_{depth + 1}",
                  xpos=-150, ypos=240 + 120 * depth)]


def _node(kind: str, **knobs: object) -> str:
    return "\n".join([f"{kind} {{", *(f" {name} {value}" for name, value in knobs.items()), "}"])
