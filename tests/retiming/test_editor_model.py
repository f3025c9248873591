"""What the editor's commands make of an edit: time, several rows, keys, names; in a small JavaScript engine."""

import json

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from retiming.edit import LIMITS, ClipFacts, edit_from_values
from retiming.editor.page import FOLDER
from web.page import FOLDER as WEB

FACTS = ClipFacts(60, (1, 2, 3))


@pytest.fixture(scope="module")
def engine():
    engine = MiniRacer()
    engine.eval("const structuredClone = (value) => (value === undefined ? value : JSON.parse(JSON.stringify(value)));"
                "const document = {addEventListener() {}, getElementById: () => ({textContent: "
                f"{json.dumps(json.dumps(LIMITS))}}})}};")
    for path in (WEB / "basics.js", *(FOLDER / f"{name}.js" for name in ("time_warps", "edit", "model"))):
        engine.eval(path.read_text(encoding="utf-8"))
    engine.eval("const clip = {length: 60, layers: [1, 2, 3], rate: 25, size: [64, 48], names: {2: 'Bo'}};"
                "const row = (layer, index = 0) => ({layer, index}); let model;")
    return engine


@pytest.fixture
def after(engine):
    """What commands make of the values of an edit, as retime.py takes them, and what an expression then is."""
    def run(values, commands, expression="null"):
        engine.eval(f"model = new Model(clip, {json.dumps(values)}, () => {{}}); {commands}; null")
        found, result = json.loads(engine.eval(f"JSON.stringify([model.values, {expression}])"))
        edit = edit_from_values(found, FACTS, str, ".")
        assert edit.length == engine.eval("model.length")
        return found if expression == "null" else (found, result)
    return run


def test_a_stretch_moves_what_comes_after_and_lengthens_the_video(after):
    values = {"layers": {"1": {"opacity": [[5, 0], [20, 0.5, "ease"], [50, 1]]}}, "markers": [[15, "a"], [40, "b"]]}
    slow, length = after(values, "model.ripple([row(1)], {speed: 0.5, frames: [10, 30]})", "model.length")
    assert length == 80 and slow["length"] == "fit" and slow["markers"] == values["markers"]
    assert slow["layers"]["1"] == {"time": [{"speed": 0.5, "frames": [10, 30]}],
                                   "opacity": [[5, 0], [30, 0.5, "ease"], [70, 1]]}
    cut, length = after(values, "model.ripple(model.everybody(true), {cut: [11, 30]})", "model.length")
    assert length == 40 and cut["markers"] == [[20, "b"]]
    assert cut["layers"]["1"]["opacity"] == [[5, 0], [30, 1]] and cut["background"] == {"time": [{"cut": [11, 30]}]}
    still = after(values, "model.ripple(model.everybody(), {freeze: [10, 30]}); model.undo()")
    assert still == values


def test_somebody_who_is_cut_off_is_told_as_retime_tells_it(after):
    for values in ({"layers": {"1": {"time": [{"speed": 0.5}]}}},
                   {"layers": {"others": {"time": [{"freeze": [9, 30]}]}}},
                   {"layers": {"2": {"time": [{"offset": 12}]}}}, {"layers": {"2": {"time": [{"hold": 3}]}}},
                   {"layers": {"2": {"time": [{"reverse": True}]}}}, {"length": 30, "layers": {"1": {"opacity": 0.5}}},
                   {"layers": {"1": {"time": [{"speed": 0.5}]}}, "length": "fit"},
                   {"layers": {"1": {"time": [{"speed": 0.5}]}}, "range": [3, 9]},
                   {"layers": {"3": {"time": [{"align": [[10, 10], [50, 20]]}]}}, "remove": [1]}):
        _, late = after(values, "", "model.cutOff")
        warnings = edit_from_values(values, FACTS, str, ".").warnings
        assert bool(late) == bool(warnings), values
        if late:
            assert f"layer {', '.join(map(str, late['layers']))}: slowed" in warnings[0]
            assert f"makes it {late['length']} frames" in warnings[0]
            assert edit_from_values({**values, "length": "fit"}, FACTS, str, ".").length == late["length"]


def test_what_is_set_is_set_in_all_rows_and_undone_at_once(after):
    rows = "[row('others'), row(1), row(2)]"
    values = {"layers": {"others": {"saturation": 0}, "2": {"opacity": [[1, 0], [20, 1, "ease"]]}}}
    changed = after(values, f"model.setNumber({rows}, 'opacity', 0.5, 19); model.addStep({rows}, {{offset: 3}})")
    assert changed["layers"] == {
        "others": {"saturation": 0, "opacity": 0.5, "time": [{"offset": 3}]},
        "1": {"saturation": 0, "opacity": 0.5, "time": [{"offset": 3}]},
        "2": {"opacity": [[1, 0], [20, 0.5, "ease"]], "time": [{"offset": 3}]}}
    assert after(values, f"model.addStep({rows}, {{offset: 3}}); model.undo()") == values
    assert after({}, "model.toggleRemoved([row(1), row(2), row('background')]); model.toggleRemoved(row(3))") == {
        "remove": [1, 2, 3]}
    assert after({"remove": [1]}, "model.toggleRemoved([row(1), row(2)])") == {"remove": [1, 2]}
    assert after({"remove": [2, 1]}, "model.toggleRemoved([row(1), row(2)])") == {}


def test_keys_of_numbers_are_moved_copied_and_deleted_as_pins_are(after):
    values = {"layers": {"1": {"x": [[10, 0.2], [20, 0.4, "linear"]]}}}
    moved = after(values, "const points = model.points(row(1), 'x');"
                          "model.movePoints(row(1), 'x', [points[1]], 5, 0.1, [points[0]])")
    assert moved["layers"]["1"]["x"] == [[10, 0.2], [25, 0.5, "linear"]]
    assert after(values, "model.deletePoints(row(1), 'x', [[10, 0.2]])")["layers"]["1"]["x"] == [[20, 0.4, "linear"]]
    gone = after(values, "model.deletePoints(row(1), 'x', model.points(row(1), 'x'))")
    assert gone["layers"]["1"] == {"x": 0.4}, "its last value stays"


def test_a_handle_that_is_moved_leaves_the_other_one_where_it_was(after):
    values = {"layers": {"1": {"time": [{"align": [[10, 10], [22, 34], [40, 40]]}]}}}
    at = "model.valueAt(row(1), TIME, 15)"
    before = after(values, "", at)[1]
    same, value = after(values, "const pin = [22, 34];"
                                "model.setHandles(row(1), TIME, [pin], model.handlesOf(row(1), TIME, pin))", at)
    assert abs(value - before) < 1e-9, "handles as they are change nothing"
    bent, _ = after(values, "model.setHandle(row(1), TIME, [22, 34], 'out', [3, 9])", at)
    (_, handles), (_, expected) = (edit["layers"]["1"]["time"][0]["align"][1][1:] for edit in (bent, same))
    assert handles["out"] == [3, 9] and np.allclose(handles["in"], expected["in"], atol=1e-3)


def test_speeds_in_percent_are_of_the_way_to_the_next_pin(after):
    values = {"layers": {"1": {"time": [{"align": [[10, 10, "linear"], [20, 30], [40, 40]]}]}}}
    speed = "model.speedAfter(row(1), model.pins(row(1))[0])"
    assert after(values, "", speed)[1] == 2
    slower, found = after(values, "model.setSpeedAfter(row(1), model.pins(row(1))[0], 0.5)", speed)
    assert found == 0.5 and slower["layers"]["1"]["time"][0]["align"] == [[10, 10, "linear"], [50, 30], [70, 40]]


def test_a_pin_is_seen_in_the_frame_that_is_nearest_whatever_steps_come_after_it(after):
    places = [1, 1.25, 1.5, 2.5, 17, 17.4, 17.5, 17.75, 59.5, 60, 60.5, 60.7, 60.8, 90]
    found = [after({"layers": {"1": {"time": [{"align": [[place, 5]]}, *later]}}}, "",
                   "model.pinOutput(row(1), model.pins(row(1))[0])")[1]
             for later in ([], [{"offset": 0}]) for place in places]
    assert found[:len(places)] == found[len(places):]
    assert found[:len(places)] == [0, 0, 0, 1, 16, 16, 16, 17, 58, 59, 59, 59, None, None]


def test_people_have_the_names_of_the_dataset_or_others(after):
    titles = "[1, 2, 3, 'others', 'background'].map((layer) => model.title(row(layer)))"
    assert after({}, "", titles)[1] == ["Person 1", "Bo", "Person 3", "Everybody else", "Background"]
    named, found = after({}, "model.rename(row(3), 'Ann'); model.rename(row(2), 'Bob'); model.rename(row(1), '')",
                         titles)
    assert named == {"names": {"3": "Ann", "2": "Bob"}} and found[:3] == ["Person 1", "Bob", "Ann"]
    assert after(named, "model.rename(row(2), 'Bo'); model.rename(row(3), '')") == {}


def test_markers_are_set_moved_and_taken_away(after):
    assert after({}, "model.toggleMarker(19); model.toggleMarker(4)") == {
        "markers": [[5, "Marker 2"], [20, "Marker 1"]]}
    values = {"markers": [[5, "a"], [20, "b"]]}
    assert after(values, "model.moveMarker(model.markers[0], 30)") == {"markers": [[20, "b"], [30, "a"]]}
    assert after(values, "model.moveMarker(model.markers[0], 20)") == values, "where one is there is no other"
    assert after(values, "model.toggleMarker(4); model.toggleMarker(19)") == {}


@pytest.mark.parametrize("rate, frame, text", [
    (25, 0, "00:00:00:00"), (25, 90061, "01:00:02:11"), (24000 / 1001, 24, "00:00:01:00"),
    # SMPTE 12M: two numbers are left out each minute but every tenth.
    (30000 / 1001, 1799, "00:00:59;29"), (30000 / 1001, 1800, "00:01:00;02"), (30000 / 1001, 17981, "00:09:59;29"),
    (30000 / 1001, 17982, "00:10:00;00"), (30000 / 1001, 107892, "01:00:00;00"), (60000 / 1001, 3600, "00:01:00;04"),
    (30, 1800, "00:01:00:00"),
])
def test_timecodes_are_those_of_the_standard_and_are_read_back(engine, rate, frame, text):
    assert engine.eval(f"timecode({frame}, {rate})") == text
    assert engine.eval(f"numberFrom('{text}', {{rate: {rate}, first: 1}})") == frame + 1


def test_every_frame_has_a_timecode_of_its_own(engine):
    engine.eval("const back = (frame, rate) => frameOfTimecode(timecode(frame, rate).split(/[:;]/).map(Number), rate);"
                "const frames = Array.from({length: 40000}, (_, frame) => frame);")
    assert engine.eval("[30000 / 1001, 60000 / 1001, 25].every((rate) => "
                       "frames.every((frame) => back(frame, rate) === frame))")
