"""Options of retime.py, and the short forms that say an edit on the command line."""

import argparse
import copy
import re
from argparse import Action, ArgumentParser, Namespace
from pathlib import Path

from options.result_options import add_result_options, resolve_result_options
from retiming.edit import ClipFacts, Edit, edit_from_text, edit_from_values
from util.checked_json import Place, dotted, values_from_text
from util.command_line import OneLineParser, int_at_least
from util.errors import UserError

STEPS = ("offset", "freeze", "hold", "speed", "reverse", "loop", "pingpong")
SHORT_FORMS = {
    "offset": ("LAYER:FRAMES", "2:+12", "show a layer later, or earlier: 2:-12"),
    "freeze": ("LAYER:FIRST-LAST", "2:30-60", "let a layer stand still at frame FIRST until frame LAST, then go on"),
    "hold": ("LAYER:FRAME", "background:30", "show one frame of a layer all the while"),
    "speed": ("LAYER:FACTOR", "1:0.5", "show a layer slower or faster"),
    "reverse": ("LAYER[:FIRST-LAST]", "1:10-30", "show a layer, or some frames of it, backwards"),
    "loop": ("LAYER:FIRST-LAST", "1:10-30", "repeat frames of a layer"),
    "pingpong": ("LAYER:FIRST-LAST", "1:10-30", "repeat frames of a layer forwards and backwards"),
    "align": ("LAYER:SOURCE,...@FRAME", "1:40,2:55,3:31@45", "show these source frames of layers together, at FRAME"),
    "remove": ("LAYER,...", "3", "leave layers out, with their shadows and reflections"),
    "solo": ("LAYER,...", "1", "leave all other layers out"),
    "duplicate": ("LAYER:FRAMES", "1:+12", "show a layer once more, that many frames later, behind itself"),
    "trail": ("LAYER:COPIES,SPACING,FADE", "1:5,4,0.6", "let copies of a layer follow it"),
    "opacity": ("LAYER:OPACITY", "2:0.5", "make a layer transparent"),
    "effects": ("LAYER:STRENGTH", "2:0", "make shadow and reflection of a layer weaker or stronger"),
    "order": ("LAYER,...", "2,1", "layers from back to front"),
    "background": ("WHAT", "beach.jpg", "transparent, a colour #rrggbb, or a picture or video"),
    "length": ("FRAMES", "60", "frames of the retimed video"),
    "range": ("FIRST-LAST", "1-30", "render only these frames"),
    "interpolation": ("HOW", "flow", "between two source frames: nearest, blend or flow"),
}


class _Change(Action):
    """Keeps short forms in the order in which they are given: each works on what those before it made."""

    def __call__(self, parser, namespace, values, option_string=None):
        namespace.changes = [*namespace.changes, (self.dest, values)]


def parse(argv: list[str] | None = None) -> Namespace:
    """Parse the command line of retime.py.

    Returns:
        the options. `layers` and `dataroot` are folders, whichever way they were given; `changes` are the short forms.

    Raises:
        UserError: options are missing, unknown or contradict each other.
    """
    parser = OneLineParser(description="Show the layers of a clip at other times (docs/retiming.md).",
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    opt = parser.parse_args(argv)
    resolve_result_options(opt)
    wanted = [option for option in ("out", "page", "serve") if getattr(opt, option)]
    if len(wanted) != 1:
        found = f"--{wanted[1]}: given with --{wanted[0]}" if wanted else "--out: missing"
        raise UserError(f"{found}; expected one of --out PATH, --page FILE.html, --serve")
    for option in ("layer", "save_edit"):
        if opt.out is None and getattr(opt, option) is not None:
            raise UserError(f"--{option}: given with --{wanted[0]}; expected with --out alone")
    return opt


def add_options(parser: ArgumentParser) -> None:
    """Add all options."""
    add_result_options(parser)
    group = parser.add_argument_group("result")
    group.add_argument("--out", metavar="PATH",
                       help="file.mp4, .webm, .mov or .gif; a folder for 0001.png ...; or folder/%%04d.exr")
    group.add_argument("--layer", type=int_at_least(0), metavar="N",
                       help="write this layer alone, with alpha; 0 is the background")
    group.add_argument("--save_edit", type=Path, metavar="FILE", help="write the edit, short forms included")
    group = parser.add_argument_group("editor", "Instead of --out; see the editor in docs/retiming.md.")
    group.add_argument("--serve", action="store_true", help="edit in the browser, at an address of this machine")
    group.add_argument("--port", type=int_at_least(0), default=8098, metavar="N",
                       help="of that address; 0 takes a free one")
    group.add_argument("--page", type=Path, metavar="FILE.html",
                       help="write the editor as one page with the layers inside, to be sent to somebody")
    group = parser.add_argument_group("edit", "LAYER is a layer's number, others or background; frames count from 1.")
    group.add_argument("--edit", type=Path, metavar="FILE", help="edit file")
    for name, (form, example, text) in SHORT_FORMS.items():
        group.add_argument(f"--{name}", action=_Change, metavar=form, help=f"{text} (such as {example})")
    parser.set_defaults(changes=[])


def read_edit(opt: Namespace, facts: ClipFacts) -> tuple[Edit, dict]:
    """The edit of the edit file and the short forms, and the same as the values of an edit file.

    Raises:
        UserError: a mistake in either.
    """
    text, name, folder = "{}", "edit", Path()
    if opt.edit is not None:
        name, folder = str(opt.edit), opt.edit.parent
        try:
            text = opt.edit.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise UserError(f"--edit {opt.edit}: not readable ({error})") from None
    edit = edit_from_text(text, name, facts, folder)
    if not opt.changes:
        return edit, values_from_text(text, name)
    values, origins = values_from_text(text, name), {}
    for option, given in opt.changes:
        for path in ShortForm(option, given).apply(values):
            origins[path] = f"--{option} {given}"

    def place(path: Place) -> str:
        known = [origins[path[:i]] for i in range(len(path), 0, -1) if path[:i] in origins]
        return known[0] if known else f"{name}: {dotted(path)}"

    return edit_from_values(values, facts, place, folder), values


class ShortForm:
    """A short form: an option and what was given with it."""

    def __init__(self, option: str, given: str):
        self.option, self.given = option, given

    def apply(self, values: dict) -> list[Place]:
        """Change the values of an edit file; returns keys and indices of what was changed.

        Raises:
            UserError: it is not of its form.
        """
        if self.option == "align":
            pins, at = self._parts(r"(.+)@([^@]+)")
            changed = []
            for pin in pins.split(","):
                layer, source = self._parts(r"([^:]+):([^:]+)", pin)
                changed += self._add_step(values, layer, {"align": [[self._number(at), self._number(source)]]})
            return changed
        if self.option in ("remove", "solo", "order"):
            values[self.option] = [self._number(word) for word in self.given.split(",")]
        elif self.option in ("length", "interpolation"):
            values[self.option] = self._number(self.given) if self.option == "length" else self.given
        elif self.option == "range":
            values["range"] = self._frames(self.given)
        elif self.option == "background":
            is_file = self.given != "transparent" and not self.given.startswith("#")
            # A Path is taken from anywhere: the user of the command line names his own files.
            values.setdefault("background", {})["replace"] = Path(self.given) if is_file else self.given
        else:
            layer, rest = self._parts(r"([^:]+):?(.*)")
            return self._change_layer(values, layer, rest)
        return [(self.option,)]

    def _change_layer(self, values: dict, layer: str, rest: str) -> list[Place]:
        if self.option in STEPS:
            value = self._frames(rest) if self.option in ("freeze", "loop", "pingpong") else (
                (self._frames(rest) if rest else True) if self.option == "reverse" else self._number(rest))
            return self._add_step(values, layer, {self.option: value})
        if layer == "background":
            raise self._wrong()
        if self.option == "duplicate":
            showings = self._showings(values, layer)
            copied = copy.deepcopy(showings[0][1])
            copied.setdefault("time", []).append({"offset": self._number(rest)})
            values["layers"][layer] = [copied, *(showing for _, showing in showings)]
            return [("layers", layer, 0)]
        if self.option == "trail":
            numbers = [self._number(word) for word in rest.split(",")]
            value = dict(zip(("copies", "spacing", "fade"), numbers))
        else:
            value = self._number(rest)
        showings = self._showings(values, layer)
        for _, showing in showings:
            showing[self.option] = value
        return [(*path, self.option) for path, _ in showings]

    def _add_step(self, values: dict, layer: str, step: dict) -> list[Place]:
        changed = []
        for path, showing in self._showings(values, layer):
            showing.setdefault("time", []).append(step)
            changed.append((*path, "time", len(showing["time"]) - 1))
        return [*changed, ("layers", layer)]

    def _showings(self, values: dict, layer: str) -> list[tuple[Place, dict]]:
        """How a layer is shown, and where that stands in the edit file; made where it is not there yet."""
        if layer == "background":
            return [(("background",), values.setdefault("background", {}))]
        layers = values.setdefault("layers", {})
        if layer not in layers:
            layers[layer] = copy.deepcopy(layers.get("others", {}))
        entry = layers[layer]
        if isinstance(entry, list):
            return [(("layers", layer, i), showing) for i, showing in enumerate(entry)]
        return [(("layers", layer), entry)]

    def _parts(self, pattern: str, text: str | None = None) -> tuple[str, ...]:
        found = re.fullmatch(pattern, self.given if text is None else text)
        if found is None:
            raise self._wrong()
        return found.groups()

    def _frames(self, text: str) -> list[float]:
        return [self._number(word) for word in self._parts(r"([^-]+)-([^-]+)", text)]

    def _number(self, text: str) -> float:
        try:
            return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else float(text)
        except ValueError:
            raise self._wrong() from None

    def _wrong(self) -> UserError:
        form, example, _ = SHORT_FORMS[self.option]
        return UserError(f"--{self.option}: found '{self.given[:60]}'; expected {form}, such as {example}")
