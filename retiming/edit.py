"""Edit files: when and how the layers of a clip are shown (docs/layered_video/retiming.md), and all checking of them.

Frames count from 1 in the file and from 0 here; layers count from 1 in both (0 is the background). The first mistake is
reported with its line and key. Nothing here reads layers or makes pictures.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from util.checked_json import Mistake, Node, Place, dotted, listed, places, values_from_text
from util.errors import UserError
from vision.layers import time_warps
from vision.layers.time_warps import Handle, eased

LIMITS = json.loads((Path(__file__).parent / "limits.json").read_text(encoding="utf-8"))
"""What numbers may be, and what there is to choose from. The editor's page has the same."""
LONGEST: int = LIMITS["longest"]  # frames
FIT = "fit"  # as long as it takes to show everybody's last frame
MOST_INSTANCES: int = LIMITS["most_instances"]  # in one frame, copies of trails included
INTERPOLATIONS = tuple(LIMITS["interpolations"])
TRANSPARENT = "transparent"

_OTHER_PROGRAMS = {
    "an edit decision list (EDL)": r"TITLE:|FCM:|\d{3,6}\s+\S+\s+(V\d*|A\d*|B|AA/V)\s+(C|D|W\d+|K)\b",
    "After Effects' keyframes": r"Adobe After Effects [\d.]+ Keyframe Data",
    "an After Effects project": r"RIFX|(<\?xml[^>]*>\s*)?<AfterEffectsProject",
    "Final Cut Pro's XML": r"(<\?xml[^>]*>\s*)?(<!DOCTYPE fcpxml[^>]*>\s*)?<fcpxml",
    "XML of Final Cut 7 or Premiere": r"(<\?xml[^>]*>\s*)?(<!DOCTYPE xmeml[^>]*>\s*)?<xmeml",
    "OpenTimelineIO": r"\{\s*\"OTIO_SCHEMA\"",
    "Avid's log (ALE)": r"Heading\s+FIELD_DELIM",
    "a Fusion composition": r"(Composition\s*)?\{\s*(Tools|CurrentTime|RenderRange)\s*=",
    "a Nuke script": r"#! .*[Nn]uke|set cut_paste_input|version \d+\.\d+ v\d+",
    "XML": r"<\?xml|<\w",
    "YAML": r"---\s",
}
"""How files begin that say such things to other programs."""

Colour = tuple[int, int, int]
Warp = Callable[[np.ndarray], np.ndarray]
Member = TypeVar("Member")


class Limit(NamedTuple):
    """What a number may be, and what it is where nothing is said."""

    low: float
    high: float
    default: float


CURVES = {key: Limit(**values) for key, values in LIMITS["curves"].items()}
TRAIL = {key: Limit(**values) for key, values in LIMITS["trail"].items()}
ANCHOR = Limit(**LIMITS["anchor"])
STRETCH_SPEED = Limit(**LIMITS["stretch_speed"])
LONGEST_NAME: int = LIMITS["longest_name"]  # letters


@dataclass(frozen=True)
class ClipFacts:
    """What an edit must fit.

    Attributes:
        length: frames of the clip.
        layers: numbers of the layers of people.
        people_layers: person ids of each layer, layer 1 first; None: one person per layer.
    """

    length: int
    layers: tuple[int, ...]
    people_layers: list[list[int]] | None = None


@dataclass(frozen=True)
class Curve:
    """A number that changes between keys: linear between two of them, or by their handles; constant outside.

    Attributes:
        frames: of the keys, ascending.
        values: at the keys.
        handles: at each key, before and after it; empty: there are none.
        low, high: what it stays between, where handles would take it further.
        factor: of all of it.
    """

    frames: tuple[float, ...]
    values: tuple[float, ...]
    handles: tuple[tuple[Handle, Handle], ...] = ()
    low: float = -np.inf
    high: float = np.inf
    factor: float = 1.0

    def at(self, output: float) -> float:
        """Its value at an output frame."""
        if output >= self.frames[-1]:
            return self.factor * self.values[-1]
        if len(self.values) == 1 or not any(handle for pair in self.handles for handle in pair):
            return self.factor * float(np.interp(output, self.frames, self.values))
        keys = [(frame, value, *pair) for frame, value, pair in zip(self.frames, self.values, self.handles)]
        found = float(eased(np.array([max(output, self.frames[0])], dtype=float), keys)[0])
        return self.factor * min(max(found, self.low), self.high)


def _default(key: str) -> Curve:
    return Curve((0.0,), (float(CURVES[key].default),))


@dataclass(frozen=True)
class LayerInstance:
    """A layer, or the background, as an edit shows it; an edit may show a layer several times.

    Attributes:
        layer: its number.
        clip_length: frames of the clip.
        warps: time warps (vision/layers/time_warps.py), the last of them applied first.
        holds: whether the clip's first and last frame are shown beyond it.
        begins: first output frame in which it is shown.
        interpolation: what is shown between two source frames, one of `INTERPOLATIONS`.
        opacity: in [0, 1].
        effects: strength of what is not the person, 1 as filmed.
        x, y: shift in widths and heights of the picture.
        scale: about the anchor.
        flip: (left to right, top to bottom).
        anchor: (x, y) in widths and heights of the picture.
        saturation, gain, tint: see vision/layers/patches.py, `colour_matrix`.
        behind: how many copies of a trail nearer it is to its layer; 0 is the layer itself.
    """

    layer: int
    clip_length: int
    warps: tuple[Warp, ...] = ()
    holds: bool = True
    begins: float = 0
    interpolation: str = "nearest"
    opacity: Curve = _default("opacity")
    effects: Curve = _default("effects")
    x: Curve = _default("x")
    y: Curve = _default("y")
    scale: Curve = _default("scale")
    flip: tuple[bool, bool] = (False, False)
    anchor: tuple[float, float] = (ANCHOR.default, ANCHOR.default)
    saturation: Curve = _default("saturation")
    gain: Curve = _default("gain")
    tint: Colour = (255, 255, 255)
    behind: int = 0

    def unclamped_times(self, output: np.ndarray) -> np.ndarray:
        """Source time at output times [N], both in frames from 0, not clamped to the clip's ends."""
        times = np.asarray(output, dtype=float)
        for warp in reversed(self.warps):
            times = warp(times)
        return times

    def source_times(self, output: np.ndarray) -> np.ndarray:
        """Source time at output times [N], both in frames from 0; NaN where nothing is shown."""
        times = self.unclamped_times(output)
        clamped = time_warps.within(times, self.clip_length)
        if not self.holds:
            clamped[np.abs(times - clamped) >= 0.5] = np.nan
        clamped[np.asarray(output) < self.begins] = np.nan
        return clamped

    def until_last(self) -> int | None:
        """How many output frames it takes to show the clip's last frame; None: it is never shown."""
        start, size = 0, 1024
        while start < LONGEST:
            outputs = np.arange(start, min(start + size, LONGEST))
            reached = np.flatnonzero(self.unclamped_times(outputs) >= self.clip_length - 1 - 1e-6)
            if len(reached):
                return int(outputs[reached[0]]) + 1
            start, size = start + size, 4 * size
        return None


@dataclass(frozen=True)
class Edit:
    """A checked edit.

    Attributes:
        length: output frames.
        first, last: those that are rendered, both included.
        instances: of layers, in ascending order of their numbers; those of the same layer from back to front.
        background: how the background is shown.
        replacement: what stands in its place: `TRANSPARENT`, a colour, a picture or video; None: nothing.
        order: (output frame, layers from back to front), each from its frame on; None: as filmed.
        warnings: what is probably not meant, a line each.
        names: what the people of a layer are called, by layer.
    """

    length: int
    first: int
    last: int
    instances: tuple[LayerInstance, ...]
    background: LayerInstance
    replacement: str | Colour | Path | None = None
    order: tuple[tuple[float, tuple[int, ...]], ...] | None = None
    warnings: tuple[str, ...] = ()
    names: dict[int, str] = field(default_factory=dict, compare=False)

    @property
    def transparent(self) -> bool:
        """Whether its pictures have alpha."""
        return self.replacement == TRANSPARENT


def alone(edit: Edit, layer: int, layers: Sequence[int], option: str) -> Edit:
    """An edit with one layer alone: with alpha, but for the background.

    Args:
        edit: the edit.
        layer: a layer's number; 0 is the background.
        layers: those of the clip.
        option: what to call the number where it is wrong.

    Raises:
        UserError: there is no such layer.
    """
    if isinstance(layer, bool) or layer not in (0, *layers):
        raise UserError(f"{option} {layer}: no such layer; expected one of {list(layers)}, or 0 for the background")
    if layer == 0:
        return replace(edit, instances=())
    return replace(edit, instances=tuple(one for one in edit.instances if one.layer == layer), replacement=TRANSPARENT)


def edit_from_text(text: str, name: str, facts: ClipFacts, folder: Path | str) -> Edit:
    """Read an edit.

    Args:
        text: the file's content.
        name: what messages call it.
        facts: the clip.
        folder: where files of the background are; a file outside it is refused.

    Raises:
        UserError: the first mistake, with its line and key.
    """
    def place(path: Place) -> str:
        line = next((line for found, line in places(text) if found == path), 1)
        return f"{name}: line {line}: {dotted(path)}"

    if other := next((what for what, begins in _OTHER_PROGRAMS.items() if re.match(begins, text.lstrip())), None):
        raise UserError(f"{name}: {other}, which only other programs read; expected an edit file in JSON, see "
                        "docs/layered_video/retiming.md. Say there, or by short options such as --speed and --freeze, "
                        "what it says")
    return edit_from_values(values_from_text(text, name), facts, place, folder)


def edit_from_values(values: object, facts: ClipFacts, place: Callable[[Place], str], folder: Path | str) -> Edit:
    """Check an edit.

    Args:
        values: the file's JSON object, or what stands in its place.
        facts: the clip.
        place: from keys and indices to what a message calls that place.
        folder: where files of the background are; a file outside it is refused.

    Raises:
        UserError: the first mistake.
    """
    try:
        return _Reader(Node(values), facts, Path(folder)).edit()
    except Mistake as mistake:
        raise UserError(f"{place(mistake.path)}: {mistake}") from None


# ---- frames and what changes with them -------------------------------------------------------------------------------

def frame(node: Node) -> float:
    """A frame of the edit, from 0; it may lie between two frames, or outside the clip."""
    return node.number() - 1


def keys(node: Node, member: Callable[[Node], Member], meaning: str,
         has_handles: bool = False) -> list[tuple[float, Member, Handle, Handle]]:
    """Keys [[output frame, value], ...], frames ascending; where they may have handles, those stand third."""
    found: list[tuple[float, Member, Handle, Handle]] = []
    for key in node.items(f"keys [[output frame, {meaning}], ...]"):
        pair = key.items(f"[output frame, {meaning}]")
        if len(pair) != 2 and not (has_handles and len(pair) == 3):
            raise key.mistake(f"[output frame, {meaning}]")
        before, after = handles(pair[2]) if len(pair) == 3 else (None, None)
        found.append((frame(pair[0]), member(pair[1]), before, after))
        if len(found) > 1 and found[-1][0] <= found[-2][0]:
            raise pair[0].mistake(f"a later frame than {found[-2][0] + 1:g}, that of the key before")
    return found


def handles(node: Node) -> tuple[Handle, Handle]:
    """How a curve comes to a key and leaves it."""
    if node.value == "ease" or node.value == "linear":
        return node.value, node.value
    expected = '"ease", "linear", or handles {"in": [frames, number], "out": [frames, number]}'
    if not isinstance(node.value, dict):
        raise node.mistake(expected)
    found: dict[str, Handle] = {}
    for key, handle in node.fields(("in", "out")).items():
        pair = handle.items("[frames, number]", most=2)
        if len(pair) != 2:
            raise handle.mistake("[frames, number] beside the key")
        low, high = (-LONGEST, 0) if key == "in" else (0, LONGEST)
        found[key] = pair[0].number(low, high), pair[1].number()
    return found.get("in"), found.get("out")


def curve(node: Node, low: float, high: float, has_handles: bool = True) -> Curve:
    """A number that may change: one, or keys."""
    if not isinstance(node.value, list):
        return Curve((0.0,), (node.number(low, high, ", or keys [[output frame, number], ...]"),))
    frames, values, before, after = zip(*keys(node, lambda value: value.number(low, high), "number", has_handles))
    return Curve(frames, values, tuple(zip(before, after)), low, high)


# ---- what stands where ----------------------------------------------------------------------------------------------

EDIT_KEYS = ("length", "range", "interpolation", "layers", "remove", "solo", "order", "background", "marks", "names",
             "markers")
PICTURE_KEYS = ("time", "interpolation", "saturation", "gain", "tint")
LAYER_KEYS = ("time", "ends", "interpolation", "opacity", "effects", "x", "y", "scale", "flip", "anchor", "saturation",
              "gain", "tint", "trail")
STEP_KEYS = ("offset", "freeze", "hold", "speed", "cut", "reverse", "loop", "pingpong", "align")
STEP_DETAILS = ("ease", "frames")  # beside "speed"


@dataclass
class _Reader:
    """An edit in the making."""

    root: Node
    facts: ClipFacts
    folder: Path
    length: int = 0
    interpolation: str = "nearest"
    warnings: list[str] = field(default_factory=list)

    def edit(self) -> Edit:
        fields = self.root.fields(EDIT_KEYS)
        fits = "length" in fields and fields["length"].value == FIT
        self.length = LONGEST if fits else fields["length"].whole(1, LONGEST, f', or "{FIT}"') if "length" in fields \
            else self.facts.length
        if "interpolation" in fields:
            self.interpolation = fields["interpolation"].choice(*INTERPOLATIONS)
        removed = self.layer_list(fields["remove"]) if "remove" in fields else []
        kept = self.layer_list(fields["solo"]) if "solo" in fields else self.facts.layers
        instances = tuple(one for one in self.layers(fields.get("layers", Node({}, ("layers",))))
                          if one.layer in kept and one.layer not in removed)
        background, replacement = self.background(fields.get("background", Node({}, ("background",))))
        if fits:
            moving = [one for one in instances if one.behind == 0]
            moving += [background] if replacement is None or isinstance(replacement, Path) else []
            self.length = max(filter(None, (one.until_last() for one in moving)), default=self.facts.length)
        first, last = self.range(fields["range"]) if "range" in fields else (0, self.length - 1)
        order = self.order(fields["order"], {one.layer for one in instances}) if "order" in fields else None
        self.check_marks(fields.get("marks", Node({}, ("marks",))))
        names = {int(layer): self.name(node) for layer, node in fields.get("names", Node({}, ("names",))).fields(
            tuple(map(str, self.facts.layers))).items()}
        if "markers" in fields:
            keys(fields["markers"], self.name, "name")
        self.warn_of_shared_layers(fields)
        if "range" not in fields:  # that somebody has chosen
            self.warn_of_ends(instances)
        if "solo" in fields and set(kept) & set(removed):
            both = listed(sorted(set(kept) & set(removed)))
            self.warnings.append(f"remove and solo both name layer {both}, which is not shown then")
        return Edit(self.length, first, last, instances, background, replacement, order, tuple(self.warnings), names)

    def range(self, node: Node) -> tuple[int, int]:
        pair = node.items("[first, last]", most=2)
        if len(pair) != 2:
            raise node.mistake("[first, last], output frames from 1")
        first = pair[0].whole(1, self.length)
        return first - 1, pair[1].whole(first, self.length) - 1

    def layer_list(self, node: Node) -> list[int]:
        numbers = []
        for item in node.items("a list of layers, such as [1, 2]"):
            if item.value not in self.facts.layers or not isinstance(item.value, int) or isinstance(item.value, bool):
                raise item.mistake(self.known_layers(item.value))
            if item.value in numbers:
                raise item.mistake("each layer once")
            numbers.append(item.value)
        return numbers

    def known_layers(self, number) -> str:
        """What to tell somebody who asked for a layer that is not there."""
        where = [f". Person {number} is in layer {layer}"
                 for layer, people in enumerate(self.facts.people_layers or [], start=1)
                 if isinstance(number, int) and not isinstance(number, bool) and number in people]
        return f"a layer of this clip: {listed(self.facts.layers)}" + "".join(where)

    def check_marks(self, node: Node) -> None:
        """Events that the editor aligns, by layer (3.2: the second instance of layer 3); they change no picture."""
        expected = "the source frame of an event by layer, such as {\"1\": 31}"
        for key, mark in (node.value.items() if isinstance(node.value, dict) else ()):
            layer, _, instance = key.partition(".")
            if layer not in map(str, self.facts.layers) or (instance and not instance.isdecimal()):
                raise Mistake((*node.path, key), f"no such layer; expected {expected}")
            self.source_frame(Node(mark, (*node.path, key)))
        if not isinstance(node.value, dict):
            raise node.mistake(expected)

    def name(self, node: Node) -> str:
        """What somebody or something is called."""
        if not isinstance(node.value, str) or not 0 < len(node.value) <= LONGEST_NAME or not node.value.isprintable():
            raise node.mistake(f"a name of up to {LONGEST_NAME} letters")
        return node.value

    def layers(self, node: Node) -> list[LayerInstance]:
        known = (*map(str, self.facts.layers), "others")
        if isinstance(node.value, dict):
            for key in node.value:
                if key not in known:
                    number = int(key) if key.isdecimal() and len(key) < 9 else key
                    raise Mistake((*node.path, key), f"no such layer; expected others, or {self.known_layers(number)}")
        fields = node.fields(known)
        others = fields.get("others", Node({}, node.path))
        instances = []
        for layer in self.facts.layers:
            entry = fields.get(str(layer), others)
            one_or_more = entry.items("", MOST_INSTANCES) if isinstance(entry.value, list) and entry.value else [entry]
            for one in one_or_more:
                instances += self.instances(one, layer)
                if len(instances) > MOST_INSTANCES:
                    raise Mistake(one.path,
                                  f"found more than {MOST_INSTANCES} layers and copies; expected at most that")
        return instances

    def instances(self, node: Node, layer: int) -> list[LayerInstance]:
        """A layer, and before it the copies of its trail, the farthest first."""
        fields = node.fields(LAYER_KEYS)
        settings: dict[str, Any] = {key: curve(fields[key], *CURVES[key][:2]) for key in CURVES if key in fields}
        if "flip" in fields:
            word = fields["flip"].choice("horizontal", "vertical", "both")
            settings["flip"] = (word != "vertical", word != "horizontal")
        if "anchor" in fields:
            point = fields["anchor"].items("[x, y]", most=2)
            if len(point) != 2:
                raise fields["anchor"].mistake("[x, y], from [0, 0] top left to [1, 1] bottom right")
            settings["anchor"] = tuple(item.number(ANCHOR.low, ANCHOR.high) for item in point)
        holds = "ends" not in fields or fields["ends"].choice("hold", "hide") == "hold"
        layer_itself = LayerInstance(layer, self.facts.length, holds=holds, **self.picture(fields), **settings)
        return [*self.trail(fields["trail"], layer_itself), layer_itself] if "trail" in fields else [layer_itself]

    def picture(self, fields: dict[str, Node]) -> dict:
        """What layers and background have in common, but for curves of layers."""
        common = {"warps": self.warps(fields["time"]) if "time" in fields else (), "interpolation": self.interpolation}
        if "interpolation" in fields:
            common["interpolation"] = fields["interpolation"].choice(*INTERPOLATIONS)
        if "tint" in fields:
            common["tint"] = fields["tint"].colour()
        return common

    def trail(self, node: Node, layer: LayerInstance) -> list[LayerInstance]:
        fields = node.fields(tuple(TRAIL))
        copies = int(TRAIL["copies"].default)
        if "copies" in fields:
            copies = fields["copies"].whole(int(TRAIL["copies"].low), int(TRAIL["copies"].high))
        spacing, fade = (fields[key].number(TRAIL[key].low, TRAIL[key].high) if key in fields else TRAIL[key].default
                         for key in ("spacing", "fade"))
        if not spacing:
            raise fields["spacing"].mistake("a number of frames other than 0")
        trail = []
        for copy in range(copies, 0, -1):
            # The offset comes last of all steps: the copy does what the layer did that many output frames ago.
            late = partial(time_warps.offset, frames=copy * spacing)
            opacity = replace(layer.opacity, factor=fade ** copy)
            trail.append(replace(layer, warps=(*layer.warps, late), begins=max(copy * spacing, 0), opacity=opacity,
                                 behind=copy))
        return trail

    def warps(self, node: Node) -> tuple[Warp, ...]:
        warps: list[Warp] = []
        if node.value == []:
            return ()
        for step in node.items("a list of time steps, such as [{\"offset\": 12}]", most=100):
            fields = step.fields((*STEP_KEYS, *STEP_DETAILS))
            names = [key for key in fields if key not in STEP_DETAILS]
            if len(names) != 1:
                raise step.mistake(f"one step: one of {listed(STEP_KEYS)}")
            if "ease" in fields and (names != ["speed"] or not isinstance(fields["ease"].value, bool)):
                raise fields["ease"].mistake("true or false, beside speed")
            if "frames" in fields and names != ["speed"]:
                raise fields["frames"].mistake("it beside speed")
            warps.append(self.warp(names[0], fields, tuple(warps)))
        return tuple(warps)

    def warp(self, name: str, fields: dict[str, Node], before: tuple[Warp, ...]) -> Warp:
        node = fields[name]
        if name == "offset":
            return partial(time_warps.offset, frames=node.number())
        if name == "hold":
            return partial(time_warps.hold, source=self.source_frame(node))
        if name == "speed":
            if "frames" in fields:
                first, last = self.first_and_last(fields["frames"].items("[first, last]"), fields["frames"],
                                                  "[first, last]")
                return partial(time_warps.stretch, first=first, last=last, speed=node.number(*STRETCH_SPEED[:2]))
            speeds = curve(node, -100, 100, has_handles=False)
            ease = "ease" in fields and fields["ease"].value
            return partial(time_warps.speed, keys=tuple(zip(speeds.frames, speeds.values)), ease=ease)
        if name == "align":
            return partial(time_warps.align, pins=tuple(keys(node, self.source_frame, "source frame", True)))
        if name == "reverse" and node.value is True:
            return partial(_backwards, last=self.facts.length - 1)
        expected = {"reverse": "true, or [first, last]", "loop": "[first, last] or [first, last, times]",
                    "pingpong": "[first, last] or [first, last, times]"}.get(name, "[first, last]")
        values = node.items(expected)
        if len(values) == 3 and name not in ("loop", "pingpong"):
            raise node.mistake(expected)
        first, last = self.first_and_last(values, node, expected)
        if name == "pingpong" and last == first:
            raise node.mistake(f"{expected} with last after first")
        if name == "freeze":
            self.warn_of_freeze(node, first, last, before)
        frames = {"first": first, "last": last}
        if len(values) == 3:
            frames["times"] = values[2].whole(1, LONGEST)
        return partial(getattr(time_warps, name), **frames)

    def first_and_last(self, values: list[Node], node: Node, expected: str) -> tuple[float, float]:
        """Two frames, and perhaps a third number."""
        if len(values) not in (2, 3):
            raise node.mistake(expected)
        first, last = frame(values[0]), frame(values[1])
        if last < first:
            raise node.mistake(f"{expected} with last after first")
        return first, last

    def source_frame(self, node: Node) -> float:
        return node.number(1, self.facts.length) - 1

    def warn_of_freeze(self, node: Node, first: float, last: float, before: tuple[Warp, ...]) -> None:
        earlier = replace(LayerInstance(0, self.facts.length, before), holds=False)
        if np.isnan(earlier.source_times(np.array([first]))[0]):
            self.warnings.append(f"{dotted(node.path)}: stands still beyond the clip, which has {self.facts.length} "
                                 "frames: what is shown there is its end")
        elif last >= self.length:
            self.warnings.append(f"{dotted(node.path)}: frozen until frame {last + 1:g}; the retimed video ends at "
                                 f"frame {self.length}")

    def order(self, node: Node, shown: set[int]) -> tuple[tuple[float, tuple[int, ...]], ...]:
        first = node.items("layers from back to front, such as [2, 1], or keys [[output frame, [2, 1]], ...]")[0]
        if isinstance(first.value, list):
            return tuple(key[:2] for key in keys(node, lambda layers: self.whole_order(layers, shown), "layers"))
        return ((0.0, self.whole_order(node, shown)),)

    def whole_order(self, node: Node, shown: set[int]) -> tuple[int, ...]:
        layers = self.layer_list(node)
        if not shown <= set(layers):
            raise node.mistake(f"each layer that is shown: {listed(sorted(shown))}")
        return tuple(layers)

    def background(self, node: Node) -> tuple[LayerInstance, str | Colour | Path | None]:
        fields = node.fields((*PICTURE_KEYS, "replace"))
        curves: dict[str, Any] = {key: curve(fields[key], *CURVES[key][:2]) for key in ("saturation", "gain")
                                  if key in fields}
        instance = LayerInstance(0, self.facts.length, **self.picture(fields), **curves)
        return instance, self.replacement(fields["replace"]) if "replace" in fields else None

    def replacement(self, node: Node) -> str | Colour | Path:
        value = node.value
        if isinstance(value, Path):  # named on the command line, not in a file that may come from somebody else
            return value
        if value == TRANSPARENT:
            return TRANSPARENT
        if isinstance(value, str) and value.startswith("#"):
            return node.colour()
        if not isinstance(value, str) or not value or "\0" in value:
            raise node.mistake('"transparent", a colour "#rrggbb", or the file of a picture or video')
        try:
            folder = self.folder.resolve()
            path = (folder / value).resolve()
            is_inside, is_file = path.is_relative_to(folder), path.is_file()
        except (OSError, RuntimeError, ValueError):  # too long, links in a circle, or no text that is a name
            is_inside, is_file = True, False
        if not is_inside:
            raise node.mistake("a file in the folder of the edit. Copy it there")
        if not is_file:
            raise node.mistake(f"a picture or video; there is no such file in {self.folder}")
        return path

    def warn_of_ends(self, instances: tuple[LayerInstance, ...]) -> None:
        """Of people who go slower than they were filmed, and whose end comes after that of the video."""
        if any(": frozen until" in warning for warning in self.warnings):
            return
        late: dict[int, int] = {}
        for instance in instances:
            begins, ends = instance.unclamped_times(np.array([0, self.length - 1]))
            if instance.behind == 0 and ends < self.facts.length - 1.5 and ends - begins < self.length - 1.5:
                needed = instance.until_last() or 0
                if needed > self.length:
                    late[instance.layer] = max(late.get(instance.layer, 0), needed)
        if late:
            self.warnings.append(f"layer {listed(late)}: slowed down, ends after the video; \"length\": \"{FIT}\" "
                                 f"makes it {max(late.values())} frames long")

    def warn_of_shared_layers(self, fields: dict[str, Node]) -> None:
        named = {str(number) for key in ("remove", "solo") if key in fields for number in fields[key].value}
        named |= set(fields["layers"].value) if "layers" in fields else set()
        for layer, people in enumerate(self.facts.people_layers or [], start=1):
            if str(layer) in named and len(people) > 1:
                self.warnings.append(f"layer {layer} holds people {listed(people)}: they are retimed together. To "
                                     "part them, train again with a layer for each (people_layers in metadata.json)")


def _backwards(output: np.ndarray, last: float) -> np.ndarray:
    return last - output
