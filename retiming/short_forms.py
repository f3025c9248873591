"""Short forms: what the common edits are called on a command line, and what each does to the values of an edit file.

A short form is an option and the text given with it. It changes the values of an edit file, which are then checked like
those of any other; a mistake names the short form that it came from.
"""

import copy
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from retiming.edit import FIT, ClipFacts, Edit, edit_from_text, edit_from_values
from util.checked_json import Place, dotted, values_from_text
from util.errors import UserError

EVERYBODY, ALL = "everybody", "all"  # for LAYER: all people, named in the edit or not; and the background, too

Change = Callable[[str, str, dict], list[Place]]
"""Of an option, the text given with it, and the values of an edit file, which it changes; returns keys and indices of
what was changed. Raises ValueError where the text is not of the option's form."""


def edit_with_short_forms(text: str, name: str, given: Iterable[tuple[str, str]], facts: ClipFacts,
                          folder: Path) -> tuple[Edit, dict]:
    """The edit of an edit file, changed by short forms.

    Args:
        text: the file's content; "{}" where there is none.
        name: what messages call it.
        given: (option, text) of each short form; each works on what those before it made.
        facts: the clip.
        folder: where files of the background are; one that a short form names may lie anywhere.

    Returns:
        the edit, and the same as the values of an edit file.

    Raises:
        UserError: a mistake in either.
    """
    edit, values = edit_from_text(text, name, facts, folder), values_from_text(text, name)
    origins: dict[Place, str] = {}
    for option, argument in given:
        origins |= dict.fromkeys(change(values, option, argument), f"--{option} {argument}")

    def place(path: Place) -> str:
        known = [origins[path[:i]] for i in range(len(path), 0, -1) if path[:i] in origins]
        return known[0] if known else f"{name}: {dotted(path)}"

    return (edit_from_values(values, facts, place, folder) if origins else edit), values


def change(values: dict, option: str, given: str) -> list[Place]:
    """Change the values of an edit file by a short form; returns keys and indices of what was changed.

    Raises:
        UserError: it is not of its form.
    """
    form = SHORT_FORMS[option]
    try:
        return form.change(option, given, values)
    except ValueError:
        raise UserError(f"--{option}: found '{given[:60]}'; expected {form.form}, such as {form.example}") from None


# ---- texts to values -------------------------------------------------------------------------------------------------

def _parts(pattern: str, text: str) -> tuple[str, ...]:
    found = re.fullmatch(pattern, text)
    if found is None:
        raise ValueError(text)
    return found.groups()


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else float(text)


def _numbers(text: str) -> list[float]:
    return [_number(word) for word in text.split(",")]


def _frames(text: str) -> list[float]:
    return [_number(word) for word in _parts(r"([^-]+)-([^-]+)", text)]


def _length(text: str) -> float | str:
    return text if text == FIT else _number(text)


def _factor(text: str) -> float:
    return round(_number(text[:-1]) / 100, 9) if text.endswith("%") else _number(text)


def _frames_or_all(text: str) -> list[float] | bool:
    return _frames(text) if text else True


def _trail(text: str) -> dict[str, float]:
    return dict(zip(("copies", "spacing", "fade"), _numbers(text)))


def _replacement(text: str) -> Path | str:
    # A Path is taken from anywhere: the user of the command line names his own files.
    return text if text == "transparent" or text.startswith("#") else Path(text)


# ---- values to their places ------------------------------------------------------------------------------------------

def _of_edit(value: Callable[[str], object]) -> Change:
    """A key of the whole edit."""
    def apply(option: str, given: str, values: dict) -> list[Place]:
        values[option] = value(given)
        return [(option,)]
    return apply


def _of_layer(value: Callable[[str], object]) -> Change:
    """A key of a layer, in all of its instances."""
    def apply(option: str, given: str, values: dict) -> list[Place]:
        layer, rest = _layer_and_rest(given)
        found = value(rest)
        instances = _instances(values, layer)
        for _, instance in instances:
            instance[option] = found
        return [(*path, option) for path, _ in instances]
    return apply


def _time_step(value: Callable[[str], object]) -> Change:
    """A further time step of a layer, or of the background."""
    def apply(option: str, given: str, values: dict) -> list[Place]:
        layer, rest = _parts(r"([^:]+):?(.*)", given)
        return _add_step(values, layer, {option: value(rest)})
    return apply


def _speed(option: str, given: str, values: dict) -> list[Place]:
    layer, speed, frames = _parts(r"([^:]+):([^@]+)(?:@(.+))?", given)
    return _add_step(values, layer, {option: _factor(speed), **({"frames": _frames(frames)} if frames else {})})


def _align(option: str, given: str, values: dict) -> list[Place]:
    pins, output = _parts(r"(.+)@([^@]+)", given)
    changed = []
    for pin in pins.split(","):
        layer, source = _parts(r"([^:]+):([^:]+)", pin)
        changed += _add_step(values, layer, {option: [[_number(output), _number(source)]]})
    return changed


def _duplicate(option: str, given: str, values: dict) -> list[Place]:
    layer, late = _layer_and_rest(given)
    if layer == EVERYBODY:
        raise ValueError(given)
    instances = _instances(values, layer)
    copied = copy.deepcopy(instances[0][1])
    copied.setdefault("time", []).append({"offset": _number(late)})
    values["layers"][layer] = [copied, *(instance for _, instance in instances)]
    return [("layers", layer, 0)]


def _replace_background(option: str, given: str, values: dict) -> list[Place]:
    values.setdefault("background", {})["replace"] = _replacement(given)
    return [(option,)]


def _layer_and_rest(given: str) -> tuple[str, ...]:
    layer, rest = _parts(r"([^:]+):?(.*)", given)
    if layer in ("background", ALL):
        raise ValueError(given)
    return layer, rest


def _add_step(values: dict, layer: str, step: dict) -> list[Place]:
    changed = []
    for path, instance in _instances(values, layer):
        instance.setdefault("time", []).append(step)
        changed.append((*path, "time", len(instance["time"]) - 1))
    return changed if layer in (EVERYBODY, ALL) else [*changed, ("layers", layer)]


def _instances(values: dict, layer: str) -> list[tuple[Place, dict]]:
    """How a layer is shown, and where that stands in the edit file; made where it is not there yet."""
    if layer in (EVERYBODY, ALL):
        each = [*(one for one in values.get("layers", {}) if one != "others"), "others",
                *(["background"] if layer == ALL else [])]
        return [instance for one in each for instance in _instances(values, one)]
    if layer == "background":
        return [(("background",), values.setdefault("background", {}))]
    layers = values.setdefault("layers", {})
    if layer not in layers:
        layers[layer] = copy.deepcopy(layers.get("others", {}))
    entry = layers[layer]
    if isinstance(entry, list):
        return [(("layers", layer, i), instance) for i, instance in enumerate(entry)]
    return [(("layers", layer), entry)]


# ---- all of them -----------------------------------------------------------------------------------------------------

class ShortForm(NamedTuple):
    """A short form: how it is written, an example, what it is for, and what it does."""

    form: str
    example: str
    help: str
    change: Change


SHORT_FORMS = {option: ShortForm(form, example, help, change) for option, form, example, help, change in (
    ("offset", "LAYER:FRAMES", "2:+12", "show a layer later, or earlier: 2:-12", _time_step(_number)),
    ("freeze", "LAYER:FIRST-LAST", "2:30-60", "let a layer stand still at frame FIRST until frame LAST, then go on",
     _time_step(_frames)),
    ("hold", "LAYER:FRAME", "background:30", "show one frame of a layer all the while", _time_step(_number)),
    ("speed", "LAYER:FACTOR[@FIRST-LAST]", "1:50%@10-30", "show a layer slower or faster; of some frames: what follows "
     "comes as much later or earlier", _speed),
    ("cut", "LAYER:FIRST-LAST", "all:10-30", "leave frames of a layer out: what follows comes earlier",
     _time_step(_frames)),
    ("reverse", "LAYER[:FIRST-LAST]", "1:10-30", "show a layer, or some frames of it, backwards",
     _time_step(_frames_or_all)),
    ("loop", "LAYER:FIRST-LAST", "1:10-30", "repeat frames of a layer", _time_step(_frames)),
    ("pingpong", "LAYER:FIRST-LAST", "1:10-30", "repeat frames of a layer forwards and backwards",
     _time_step(_frames)),
    ("align", "LAYER:SOURCE,...@FRAME", "1:40,2:55,3:31@45", "show these source frames of layers together, at FRAME "
     "(in edit files the other way round: [FRAME, SOURCE])",
     _align),
    ("remove", "LAYER,...", "3", "leave layers out, with their shadows and reflections", _of_edit(_numbers)),
    ("solo", "LAYER,...", "1", "leave all other layers out", _of_edit(_numbers)),
    ("duplicate", "LAYER:FRAMES", "1:+12", "show a layer once more, that many frames later, behind itself", _duplicate),
    ("trail", "LAYER:COPIES,SPACING,FADE", "1:5,4,0.6", "let copies of a layer follow it", _of_layer(_trail)),
    ("opacity", "LAYER:OPACITY", "2:0.5", "make a layer transparent", _of_layer(_number)),
    ("effects", "LAYER:STRENGTH", "2:0", "make shadow and reflection of a layer weaker or stronger",
     _of_layer(_number)),
    ("order", "LAYER,...", "2,1", "layers from back to front", _of_edit(_numbers)),
    ("background", "WHAT", "beach.jpg", "transparent, a colour #rrggbb, or a picture or video", _replace_background),
    ("length", "FRAMES", "60", "frames of the retimed video; fit: until everybody's last one is shown",
     _of_edit(_length)),
    ("range", "FIRST-LAST", "1-30", "render only these frames", _of_edit(_frames)),
    ("interpolation", "HOW", "flow", "between two source frames: nearest, blend or flow", _of_edit(str)),
)}
"""By option, in the order of the help."""
