"""Edit files: what they mean, and what is said about their mistakes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retiming.edit import ClipFacts, Edit, edit_from_text
from util.checked_json import places
from util.errors import UserError

FACTS = ClipFacts(20, (1, 2, 3), [[1], [2, 4], [3]])


def edit(values: dict | str, folder=".") -> Edit:
    return edit_from_text(values if isinstance(values, str) else json.dumps(values), "edit.json", FACTS, folder)


def source_frames(*steps: dict, **keys) -> list:
    """The source frames, from 1, that layer 1 shows in the first ten output frames."""
    shown = edit({"layers": {"1": {"time": list(steps), **keys}}}).instances[0]
    return (shown.source_times(np.arange(10)) + 1).tolist()


def test_the_empty_edit_shows_every_layer_as_filmed():
    empty = edit({})
    assert (empty.length, empty.first, empty.last, empty.warnings) == (20, 0, 19, ())
    assert [shown.layer for shown in empty.instances] == [1, 2, 3]
    for shown in (*empty.instances, empty.background):
        assert shown.source_times(np.arange(20)).tolist() == list(range(20))


@pytest.mark.parametrize("step, frames", [
    ({"offset": 3}, [1, 1, 1, 1, 2, 3, 4, 5, 6, 7]),
    ({"freeze": [3, 6]}, [1, 2, 3, 3, 3, 3, 4, 5, 6, 7]),
    ({"hold": 5}, [5] * 10),
    ({"speed": 2}, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]),
    ({"speed": [[1, 0], [2, 0], [3, 1]]}, [1, 1, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5]),
    ({"speed": 0.5, "frames": [3, 5]}, [1, 2, 3, 3.5, 4, 4.5, 5, 6, 7, 8]),
    ({"speed": 2, "frames": [3, 7]}, [1, 2, 3, 5, 7, 8, 9, 10, 11, 12]),
    ({"cut": [3, 6]}, [1, 2, 7, 8, 9, 10, 11, 12, 13, 14]),
    ({"align": [[2, 2, "linear"], [8, 5, "linear"]]}, [1, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7]),
    ({"reverse": True}, [20, 19, 18, 17, 16, 15, 14, 13, 12, 11]),
    ({"reverse": [2, 4]}, [1, 4, 3, 2, 5, 6, 7, 8, 9, 10]),
    ({"loop": [2, 3]}, [1, 2, 3, 2, 3, 2, 3, 2, 3, 2]),
    ({"loop": [2, 3, 2]}, [1, 2, 3, 2, 3, 4, 5, 6, 7, 8]),
    ({"pingpong": [2, 4]}, [1, 2, 3, 4, 3, 2, 3, 4, 3, 2]),
    ({"align": [[5, 9]]}, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
])
def test_frames_of_time_steps_count_from_one(step, frames):
    np.testing.assert_allclose(source_frames(step), frames)


def test_each_step_works_on_what_those_before_it_made():
    assert source_frames({"freeze": [3, 6]}, {"offset": 2}) == [1, 1, 1, 2, 3, 3, 3, 3, 4, 5]
    assert source_frames({"offset": 2}, {"freeze": [3, 6]}) == [1, 1, 1, 1, 1, 1, 2, 3, 4, 5]


def test_what_lies_beyond_the_clip_is_held_or_hidden():
    assert source_frames({"offset": 3})[:4] == [1, 1, 1, 1]
    assert np.isnan(source_frames({"offset": 3}, ends="hide")[:3]).all()
    assert source_frames({"offset": 3}, ends="hide")[3:5] == [1, 2]


def test_a_trail_lies_behind_its_layer_and_begins_later():
    shown = edit({"layers": {"1": {"opacity": 0.5, "trail": {"copies": 2, "spacing": 3, "fade": 0.5}}}}).instances[:3]
    assert [one.behind for one in shown] == [2, 1, 0]
    assert [one.opacity.at(0) for one in shown] == [0.125, 0.25, 0.5]
    assert shown[0].source_times(np.arange(5, 8)).tolist()[1:] == [0, 1]
    assert np.isnan(shown[0].source_times(np.arange(6))).all()


def test_layers_that_are_not_named_are_shown_like_others():
    shown = edit({"layers": {"2": {}, "others": {"saturation": 0}}}).instances
    assert [one.saturation.at(5) for one in shown] == [0, 1, 0]


def test_removed_layers_are_gone_and_solo_keeps_only_its_own():
    assert [one.layer for one in edit({"remove": [2]}).instances] == [1, 3]
    assert [one.layer for one in edit({"solo": [2, 3], "remove": [3]}).instances] == [2]


def test_numbers_change_linearly_between_keys_and_not_outside():
    opacity = edit({"layers": {"1": {"opacity": [[3, 0], [5, 1]]}}}).instances[0].opacity
    assert [opacity.at(output) for output in range(6)] == [0, 0, 0, 0.5, 1, 1]


def test_handles_bend_a_number_between_its_keys_and_within_its_limits():
    def opacity(first, last=()):
        keys = [[1, 0, *first], [11, 1, *last]]
        return edit({"layers": {"1": {"opacity": keys}}}).instances[0].opacity

    eased = opacity(["ease"], ["ease"])
    assert [round(eased.at(output), 9) for output in (-3, 0, 1, 5, 10, 30)] == [0, 0, 0.028, 0.5, 1, 1]
    assert [round(opacity(["linear"], ["ease"]).at(at), 9) for at in (0, 5, 10)] == [0, 0.625, 1]
    # At t = 1/2 these cubics, frame and value, are at 8.75 and 0.5.
    bent = opacity([{"out": [10, 0]}], [{"in": [0, 0]}])
    assert abs(bent.at(8.75) - 0.5) < 1e-9
    assert opacity([{"out": [5, 9]}], [{"in": [0, 0]}]).at(4) == 1, "an opacity stays one"
    assert opacity([{"out": [20, 2]}]).at(3) == opacity([{"out": [10, 1]}]).at(3), "a long handle is shortened"


@pytest.mark.parametrize("values, length", [
    ({}, 20),
    ({"layers": {"1": {"time": [{"speed": 0.5, "frames": [3, 8]}]}}}, 25),
    ({"layers": {"1": {"time": [{"speed": 0.5}]}, "3": {"time": [{"offset": 30}]}}}, 50),
    ({"layers": {"1": {"time": [{"speed": 0.5}]}}, "remove": [1]}, 20),
    ({"layers": {"others": {"time": [{"cut": [3, 8]}]}}, "background": {"time": [{"cut": [3, 8]}]}}, 14),
    ({"layers": {"others": {"time": [{"cut": [3, 8]}]}}, "background": {"replace": "#000000"}}, 14),
    ({"layers": {"others": {"time": [{"hold": 3}]}}, "background": {"replace": "transparent"}}, 20),
])
def test_a_fitting_length_shows_everybodys_last_frame(values, length):
    assert edit({**values, "length": "fit"}).length == length
    assert edit({**values, "length": "fit"}).warnings == ()


def test_people_and_places_in_time_have_names_that_change_nothing():
    assert edit({"names": {"2": "Ann-Sofie"}, "markers": [[3, "jump"], [40, "end"]]}) == edit({})


def test_a_background_comes_from_the_folder_of_the_edit_and_from_nowhere_else(tmp_path):
    (tmp_path / "edits").mkdir()
    for file in (tmp_path / "edits" / "beach.png", tmp_path / "secret.png"):
        file.touch()
    (tmp_path / "edits" / "link.png").symlink_to(tmp_path / "secret.png")
    def found(name):
        return edit({"background": {"replace": name}}, tmp_path / "edits").replacement
    assert found("beach.png") == tmp_path / "edits" / "beach.png"
    for outside in ("../secret.png", str(tmp_path / "secret.png"), "link.png"):
        with pytest.raises(UserError, match="background.replace: .*expected a file in the folder of the edit"):
            found(outside)


@pytest.mark.parametrize("text, message", [
    ("{", "edit.json: line 1: not JSON"),
    ("[]", "line 1: found []; expected an object"),
    ('{"layers": {"7": {}}}', "layers.7: no such layer; expected others, or a layer of this clip: 1, 2, 3"),
    ('{"marks": {"1": 3, "4.2": 5}}', "marks.4.2: no such layer"),
    ('{"marks": {"1": 21}}', "marks.1: found 21; expected a number from 1 to 20"),
    ('{"marks": [3]}', "marks: found [3]; expected the source frame of an event by layer"),
    ('{"remove": [4]}', "remove[0]: found 4; expected a layer of this clip: 1, 2, 3. Person 4 is in layer 2"),
    ('{\n"layers": {\n"2": {"time": [\n{"offset": 1},\n{"freez": [1, 2]}]}}}',
     "edit.json: line 5: layers.2.time[1].freez: no such key; did you mean freeze?"),
    ('{"layers": {"1": {"time": [{"freeze": [9, 2]}]}}}', "found [9, 2]; expected [first, last] with last after first"),
    ('{"layers": {"1": {"time": [{"offset": 1e400}]}}}', "time[0].offset: found Infinity; expected a number"),
    ('{"layers": {"1": {"time": [{"offset": 1e9}]}}}', "time[0].offset: found 1000000000.0; expected a number"),
    ('{"layers": {"1": {"time": [{"offset": NaN}]}}}', "time[0].offset: found NaN; expected a number"),
    ('{"layers": {"1": {"time": [{"align": [[4, 90]]}]}}}', "align[0][1]: found 90; expected a number from 1 to 20"),
    ('{"layers": {"1": {"time": [{"align": [[4, 9, "eas"]]}]}}}', 'found "eas"; expected "ease", "linear", or'),
    ('{"layers": {"1": {"x": [[4, 0, {"in": [2, 0]}]]}}}', "x[0][2].in[0]: found 2; expected a number"),
    ('{"layers": {"1": {"time": [{"offset": 3, "frames": [1, 2]}]}}}',
     "frames: found [1, 2]; expected it beside speed"),
    ('{"layers": {"1": {"time": [{"speed": 0, "frames": [1, 2]}]}}}', "speed: found 0; expected a number from 0.01 to"),
    ('{"layers": {"1": {"time": [{"cut": [9, 2]}]}}}', "found [9, 2]; expected [first, last] with last after first"),
    ('{"length": "fits"}', 'length: found "fits"; expected a whole number from 1 to 100000, or "fit"'),
    ('{"names": {"7": "Ann"}}', "names.7: no such key"),
    ('{"names": {"1": "a\\nb"}}', "expected a name of up to 60 letters"),
    ('{"markers": [[3, 4]]}', "markers[0][1]: found 4; expected a name"),
    ('{"layers": {"1": {"time": [{"align": [[4, 9], [4, 8]]}]}}}', "align[1][0]: found 4; expected a later frame"),
    ('{"layers": {"1": {"time": [{"loop": [1, 5, -3]}]}}}', "loop[2]: found -3; expected a whole number"),
    ('{"layers": {"1": {"time": [{"offset": 1, "hold": 2}]}}}', "expected one step: one of offset, freeze"),
    ('{"layers": {"1": null}}', "layers.1: found null; expected an object"),
    ('{"layers": {"1": {"opacity": "a"}}}', "expected a number from 0 to 1, or keys [[output frame, number], ...]"),
    ('{"layers": {"1": {"tint": "red"}}}', 'tint: found "red"; expected a colour "#rrggbb"'),
    ('{"layers": {"1": {"trail": {"copies": 1000000}}}}', "copies: found 1000000; expected a whole number from 1 to"),
    ('{"layers": {"1": [' + ", ".join(["{}"] * 100_000) + "]}}", "layers.1: found 100000 items; expected at most"),
    ('{"layers": {"1": [{"trail": {"copies": 150}}, {"trail": {"copies": 150}}]}}', "layers.1[1]: found more than 200"),
    ('{"length": -4}', "length: found -4; expected a whole number from 1"),
    ('{"length": 5, "length": 6}', "length: given twice"),
    ('{"length": ' + "9" * 6000 + "}", "edit.json: not readable as JSON"),
    ('{"range": [5, 2]}', "range[1]: found 2; expected a whole number from 5 to 20"),
    ('{"order": [1, 2]}', "order: found [1, 2]; expected each layer that is shown: 1, 2, 3"),
    ('{"background": {"replace": "' + "a" * 5000 + '"}}', "there is no such file"),
    ("[" * 100_000, "nested too deeply"),
    ('{"layers": {"1": ' + "[" * 500 + "]" * 500 + "}}", "edit.json: not readable as JSON (nested too deeply)"),
    (" " * 1_000_001, "1000001 characters; expected at most 1000000"),
])
def test_a_mistake_is_told_in_one_line_with_its_line_and_key(text, message):
    with pytest.raises(UserError) as error:
        edit(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.floats() | st.sampled_from(["hold", "", "#123456", "é\"\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["time", "layers", "1", "others", "offset", "freeze", "speed", "length", "order", "trail", "x",
                         "background", "replace", "align", "loop", "tint", "range", "solo", "anchor", "odd"]),
        inner, max_size=4), max_leaves=12)


@given(st.dictionaries(st.sampled_from(["layers", "length", "order", "background", "remove", "range"]), json_values))
def test_whatever_an_edit_holds_it_is_read_or_refused(values):
    try:
        found = edit(values)
    except UserError:
        return
    assert all(np.isfinite(times).all() for times in
               (shown.source_times(np.arange(found.length))[:50] for shown in found.instances if shown.holds))


@given(json_values, st.sampled_from([None, 2]))
def test_every_value_of_a_json_text_is_found_in_its_line(value, indent):
    text = json.dumps(value, indent=indent)
    for path, line in places(text):
        found = value
        for key in path:
            found = found[key]
        start = json.dumps(found)[0]
        assert start in text.split("\n")[line - 1]


@pytest.mark.parametrize("values, warning", [
    ({"layers": {"1": {"time": [{"freeze": [25, 30]}]}}}, "layers.1.time[0].freeze: stands still beyond the clip"),
    ({"layers": {"1": {"time": [{"freeze": [5, 30]}]}}}, "frozen until frame 30; the retimed video ends at frame 20"),
    ({"layers": {"1": {"time": [{"speed": 0.5}]}}}, "layer 1: slowed down, ends after the video; \"length\": \"fit\" "
     "makes it 39 frames long"),
    ({"remove": [2]}, "layer 2 holds people 2, 4: they are retimed together"),
])
def test_what_is_probably_not_meant_is_a_warning(values, warning):
    assert warning in edit(values).warnings[0]
    assert len(edit(values).warnings) == 1


def test_marks_change_nothing():
    assert edit({"marks": {"1": 3, "2.2": 20}}) == edit({})
