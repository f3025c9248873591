import json
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preparation import layers
from preparation.steps import (
    METADATA,
    Finding,
    Job,
    Outcome,
    Step,
    adopt,
    alike_together,
    facts_of_frames,
    fingerprint_of,
    is_as_made,
    last_cache,
    last_outcome,
    perform,
    read_values,
    write_values,
)
from util.command_line import int_at_least
from util.errors import UserError
from util.images import write_png


class Copy:
    """A step that joins `in.txt` and an option in `out.txt`, counts its runs, and notes the option in metadata.json."""

    def __init__(self):
        self.runs = 0
        self.step = Step("copy", self.run, ("in.txt",), ("out.txt", "folder", "metadata.json#word"), self.add_options)

    def run(self, job: Job) -> Outcome:
        self.runs += 1
        if job.opt.word == "bad":
            raise UserError("bad word")
        (job.made / "out.txt").write_text((job.root / "in.txt").read_text() + job.opt.word)
        if job.opt.word != "lean":
            (job.made / "folder").mkdir()
            (job.made / "folder" / "0001.txt").write_text(job.opt.word)
        write_values(job.made / "metadata.json", {"word": job.opt.word})
        return Outcome(f"run {self.runs}", [Finding(1, "a word")], {"length": 3})

    @staticmethod
    def add_options(parser):
        parser.add_argument("--word")

    def perform(self, root: Path, word: str | None = None, overwrite: bool = False):
        return perform(self.step, root, Namespace(word=word), overwrite)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "clip"
    root.mkdir()
    (root / "in.txt").write_text("in ")
    write_values(root / "metadata.json", {"other": [1, 2]})
    return root


def test_a_step_runs_once_and_says_the_same_again(root):
    copy = Copy()
    first, state = copy.perform(root, "a")
    again, state_again = copy.perform(root, "a")
    assert (state, state_again, copy.runs) == ("made", "unchanged", 1)
    assert again == first == Outcome("run 1", [Finding(1, "a word")], {"length": 3})
    assert (root / "out.txt").read_text() == "in a"
    assert read_values(root / "metadata.json") == {"other": [1, 2], "word": "a"}


def test_what_a_step_said_is_still_known_from_a_stamp_in_which_severity_was_called_harm(root):
    copy = Copy()
    first, _ = copy.perform(root, "a")
    stamp = root / "prepare/stamps/copy.json"
    stamp.write_text(stamp.read_text().replace('"severity"', '"harm"'))
    assert copy.perform(root, "a") == (first, "unchanged")


@pytest.mark.parametrize("change", [
    lambda root: (root / "in.txt").write_text("other "),
    lambda root: (root / "out.txt").unlink(),
    lambda root: (root / "folder" / "0001.txt").unlink() or (root / "folder").rmdir(),
    lambda root: write_values(root / "metadata.json", {}),
])
def test_a_changed_input_or_a_lost_output_makes_it_run_again(root, change):
    copy = Copy()
    copy.perform(root, "a")
    change(root)
    assert copy.perform(root, "a")[1] == "made"
    assert (root / "out.txt").read_text() == (root / "in.txt").read_text() + "a"
    assert read_values(root / "metadata.json")["word"] == "a"


def test_an_option_that_is_not_given_is_as_in_the_run_before(root):
    copy = Copy()
    copy.perform(root, "a")
    assert copy.perform(root)[1] == "unchanged"
    (root / "in.txt").write_text("other ")
    copy.perform(root)
    assert (root / "out.txt").read_text() == "other a"
    assert copy.perform(root, "b")[1] == "made"


def test_handmade_outputs_stay_until_overwriting_is_asked_for(root):
    copy = Copy()
    (root / "out.txt").write_text("handmade before")
    copy.perform(root, "a")
    assert (root / "out.txt").read_text() == "handmade before"
    assert (root / "folder" / "0001.txt").read_text() == "a"

    (root / "folder" / "0001.txt").write_text("touched up")
    write_values(root / "metadata.json", {"word": "mine"})
    (root / "in.txt").write_text("changed ")
    assert copy.perform(root, "b")[1] == "kept"
    assert (root / "folder" / "0001.txt").read_text() == "touched up"
    assert read_values(root / "metadata.json") == {"word": "mine"}

    assert copy.perform(root, "b", overwrite=True)[1] == "made"
    assert (root / "out.txt").read_text() == "changed b"
    assert (root / "folder" / "0001.txt").read_text() == "b"
    assert read_values(root / "metadata.json") == {"word": "b"}
    assert copy.perform(root, "b", overwrite=True)[1] == "unchanged"


def test_what_a_step_no_longer_makes_is_removed_if_the_step_had_made_it(root):
    copy = Copy()
    copy.perform(root, "a")
    copy.perform(root, "lean")
    assert not (root / "folder").exists()


def test_a_step_that_fails_leaves_everything_as_it_was(root):
    copy = Copy()
    copy.perform(root, "a")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(UserError):
        copy.perform(root, "bad")
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    with pytest.raises(UserError):
        Copy().perform(root.parent / "absent", "bad")
    assert [path.name for path in root.parent.iterdir()] == ["clip"]


def test_a_cache_survives_an_interruption_but_not_a_change(root):
    def run(job: Job) -> Outcome:
        seen.append(job.cache.exists())
        job.cache.mkdir(parents=True, exist_ok=True)
        (job.made / "out.txt").write_text("done")
        if len(seen) < 4:
            raise KeyboardInterrupt
        return Outcome("done")

    seen: list[bool] = []
    step = Step("slow", run, ("in.txt",), ("out.txt",), Copy.add_options)
    for word in ("a", "a", "b"):
        with pytest.raises(KeyboardInterrupt):
            perform(step, root, Namespace(word=word))
    perform(step, root, Namespace(word="b"))
    assert seen == [False, True, False, True]
    assert not list((root / "prepare").glob("*.part"))
    assert (root / "out.txt").read_text() == "done"


def test_a_broken_metadata_json_is_refused_before_anything_runs(root):
    (root / "metadata.json").write_text("{")
    copy = Copy()
    with pytest.raises(UserError, match="metadata.json: not readable as JSON"):
        copy.perform(root, "a")
    (root / "metadata.json").write_text(json.dumps([1]))
    with pytest.raises(UserError, match="holds a list"):
        copy.perform(root, "a")
    assert copy.runs == 0


def test_any_byte_of_a_large_input_counts(root):
    copy = Copy()
    content = bytearray(b"x" * (9 << 20))
    (root / "in.txt").write_bytes(content)
    copy.perform(root, "a")
    content[len(content) // 2] = ord("y")
    (root / "in.txt").write_bytes(content)
    assert copy.perform(root, "a")[1] == "made"
    assert (root / "out.txt").read_bytes() == content + b"a"


def test_a_large_output_is_known_by_its_fingerprint_of_before_version_0_2(root):
    copy = Copy()
    (root / "in.txt").write_bytes(b"x" * (9 << 20))
    copy.perform(root, "a")
    stamp = root / "prepare/stamps/copy.json"
    values = json.loads(stamp.read_text())
    for marks, name in ((values["outputs"], "out.txt"), (values["key"]["inputs"], "in.txt")):
        former = fingerprint_of(root, name, former=True)
        assert former != fingerprint_of(root, name)
        marks[name] = [former] if name == "out.txt" else former
    stamp.write_text(json.dumps(values))
    assert copy.perform(root, "b")[1] == "made"
    assert (root / "out.txt").read_bytes().endswith(b"xb"), "ours, and not kept as somebody's handiwork"


def test_an_input_behind_a_link_counts_and_links_in_a_circle_end(tmp_path):
    root = tmp_path / "clip"
    (root / "in").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.txt").write_text("first")
    (root / "in/01").symlink_to(tmp_path / "elsewhere")
    (root / "in/back").symlink_to(root)
    step = Step("copy", lambda job: (job.made / "out.txt").write_text((job.root / "in/01/a.txt").read_text())
                and Outcome("done"), ("in",), ("out.txt",), Copy.add_options)
    for text, state in (("first", "made"), ("first", "unchanged"), ("second", "made")):
        (tmp_path / "elsewhere/a.txt").write_text(text)
        (root / "in/back").unlink()
        (root / "in/back").symlink_to(root / "in")
        assert perform(step, root, Namespace(word="a"))[1] == state
        assert (root / "out.txt").read_text() == text


def test_what_a_step_depends_on_outside_of_the_dataroot_counts(root):
    copy = Copy()
    found = [None]
    step = replace(copy.step, elsewhere=lambda opt: found[0])
    states = []
    for weights in (None, None, "weights", "weights", "others", None):
        found[0] = weights
        states.append(perform(step, root, Namespace(word="a"))[1])
    assert states == ["made", "unchanged", "made", "unchanged", "made", "made"]


def test_what_is_kept_though_its_inputs_changed_is_told(root):
    copy = Copy()
    copy.perform(root, "a")
    (root / "out.txt").write_text("mine")
    assert copy.perform(root, "a") == (Outcome("run 1", [Finding(1, "a word")], {"length": 3}), "unchanged")
    (root / "in.txt").write_text("another video ")
    outcome, state = copy.perform(root, "a")
    assert state == "made" and (root / "out.txt").read_text() == "mine"
    assert outcome.findings[-1] == Finding(1, "out.txt: kept as made by hand, though in.txt changed since. Where it is "
                                              "not for these frames, make it again: --overwrite --steps copy")
    assert copy.perform(root, "a") == (outcome, "unchanged"), "it is told as long as it is so"


def test_an_option_that_is_new_is_no_input_that_changed(root):
    copy = Copy()
    copy.perform(root, "a")
    (root / "out.txt").write_text("mine")
    shutil.rmtree(root / "folder")
    step = replace(copy.step, add_options=lambda parser: Copy.add_options(parser) or parser.add_argument("--new"))
    outcome, state = perform(step, root, Namespace(word="a", new=None))
    assert state == "made" and outcome.findings == [Finding(1, "a word")]


def test_a_file_of_no_bytes_that_a_crash_left_is_made_again(root):
    copy = Copy()
    copy.perform(root, "a")
    (root / "folder/0001.txt").write_text("")
    assert copy.perform(root, "a")[1] == "made"
    assert (root / "folder/0001.txt").read_text() == "a"


@pytest.mark.parametrize("stamp", [
    "[]", "null", "5", "[" * 100_000, "{}", '{"outputs": [1]}', '{"outputs": {"out.txt": 5}}',
    '{"outputs": {"out.txt": [5]}}',
    '{"outputs": {}, "key": 5}', '{"outputs": {}, "kept": "out.txt"}', '{"outputs": {}, "options": {"word": 5}}',
    {"key": None}, {"key": {"inputs": []}}, {"options": {"word": {"value": [], "fingerprint": ""}}}, {"kept": [[]]},
    {"outcome": None}, {"outcome": {"summary": 5}}, {"outcome": {"summary": "", "report": {}, "findings": [5]}},
    {"outcome": {"summary": "", "report": {}, "findings": [{"severity": "x", "text": ""}]}},
])
def test_a_stamp_that_is_not_as_it_was_written_is_as_none(root, stamp):
    copy = Copy()
    copy.perform(root, "a")
    path = root / "prepare/stamps/copy.json"
    path.write_text(stamp if isinstance(stamp, str) else json.dumps({**json.loads(path.read_text()), **stamp}))
    assert last_outcome(copy.step, root) is None
    assert copy.perform(root, "a")[1] == ("made" if stamp == '{"outputs": {}}' else "kept")


@pytest.mark.parametrize("option, value", [("number", "x"), ("number", "-5"), ("choice", "c")])
def test_an_option_of_a_stamp_that_the_parser_would_refuse_is_as_not_given(root, option, value):
    def add_options(parser):
        parser.add_argument("--number", type=int_at_least(0))
        parser.add_argument("--choice", choices=("a", "b"))

    given = []
    step = Step("opt", lambda job: given.append(job.opt) or Outcome(""), ("in.txt",), ("out.txt",), add_options)
    perform(step, root, Namespace(number=3, choice="a"))
    path = root / "prepare/stamps/opt.json"
    values = json.loads(path.read_text())
    values["options"][option]["value"] = value
    path.write_text(json.dumps(values))
    (root / "in.txt").write_text("changed")
    perform(step, root, Namespace(number=None, choice=None))
    assert vars(given[-1]) == {"number": 3, "choice": "a", option: None}


@pytest.mark.parametrize("key, value", [
    ("alphapose_input_size", None), ("alphapose_input_size", [0, 0]), ("size_LR", "x"), ("original_size", [10**6, 1]),
    ("frame_rate", "abc"), ("frame_rate", "1/0"), ("frame_rate", None), ("people_layers", [3]), ("source", 5),
    ("source", []), ("source", {"names": 5}), ("source", {"frames": [0, -1]}), ("source", {"frames": [0, True]}),
    ("source", {"first_second": "now"}), ("source", {"stored_size": [1]})])
def test_what_is_changed_by_hand_and_not_of_its_form_is_told_with_its_key(tmp_path, key, value):
    good = {"alphapose_input_size": [64, 48], "size_LR": [32, 32], "original_size": [64, 48], "frame_rate": "25/1",
            "source": {"file": "a.mp4", "frames": [0, 2], "first_second": 0.5, "stored_size": [32, 48]}}
    write_values(tmp_path / METADATA, good)
    assert facts_of_frames(tmp_path, "size_LR") == good
    write_values(tmp_path / METADATA, {**good, key: value})
    with pytest.raises(UserError, match=f"metadata.json: {key} is .*; expected "):
        facts_of_frames(tmp_path)


def test_a_metadata_file_without_what_a_step_needs_is_told(tmp_path):
    write_png(tmp_path / "rgb/0001.png", np.zeros((8, 8, 3), np.uint8))
    assert facts_of_frames(tmp_path) == {}
    with pytest.raises(UserError, match="metadata.json: alphapose_input_size missing; let prepare.py make it"):
        layers.run(Job(tmp_path, tmp_path, tmp_path, Namespace(), frozenset()))


def test_findings_that_differ_in_numbers_alone_are_told_in_one_line():
    jumps = [Finding(2, f"person {number} jumps {times} times, first in 00{times}") for number, times in
             ((1, 12), (2, 13), (4, 13), (5, 14), (6, 14), (7, 15), (8, 16), (9, 17))]
    told = alike_together([Finding(2, "a word"), *jumps, Finding(1, "person 3 jumps 12 times, first in 0012")])
    assert [finding.text for finding in told] == [
        "a word", "person 1 jumps 12 times, first in 0012. Likewise 2, 4, 5, 6, 7, 8 and 1 more",
        "person 3 jumps 12 times, first in 0012"]
    assert alike_together([Finding(0, "the same"), Finding(0, "the same")]) == [Finding(0, "the same")]


def test_what_is_kept_for_other_choices_is_there_until_its_inputs_change(root):
    found = []

    def run(job):
        found.append(job.cache / "slow")
        if not (job.cache / "slow").exists():
            job.cache.mkdir(parents=True)
            (job.cache / "slow").write_text("yes")
        (job.made / "out.txt").write_text(job.opt.word)
        return Outcome("done")
    step = Step("slow", run, ("in.txt",), ("out.txt",), Copy.add_options, cached_for=("in.txt",))
    assert last_cache(step, root) is None
    for word in ("a", "b"):
        perform(step, root, Namespace(word=word))
    assert found[0] == found[1] and found[0].exists() and last_cache(step, root) == found[0].parent
    (root / "in.txt").write_text("other")
    perform(step, root, Namespace(word="b"))
    assert found[2] != found[0] and found[2].exists() and not found[0].exists()


def test_an_output_that_others_must_fit_to_is_heeded_when_it_is_made_by_hand(root):
    copy = Copy()
    step = replace(copy.step, heeds=("metadata.json#word",))
    perform(step, root, Namespace(word="a"))
    write_values(root / "metadata.json", {"word": "mine"})
    for word in ("mine", "other"):
        write_values(root / "metadata.json", {"word": word})
        assert perform(step, root, Namespace(word="a"))[1] == "made"
        assert perform(step, root, Namespace(word="a"))[1] == "unchanged"
    assert read_values(root / "metadata.json")["word"] == "other"


def test_what_was_changed_in_the_name_of_a_step_counts_as_made_by_it(root):
    copy = Copy()
    copy.perform(root, "a")
    mark = fingerprint_of(root, "out.txt")
    assert is_as_made(root, "out.txt") and not is_as_made(root, "in.txt")
    (root / "out.txt").write_text("for it")
    assert not is_as_made(root, "out.txt")
    adopt(root, "out.txt", mark)
    assert is_as_made(root, "out.txt") and copy.perform(root, "b")[1] == "made"
    assert (root / "out.txt").read_text() == "in b"
    (root / "out.txt").write_text("mine")
    mine = fingerprint_of(root, "out.txt")
    (root / "out.txt").write_text("mine, too")
    adopt(root, "out.txt", mine)
    assert not is_as_made(root, "out.txt") and copy.perform(root, "c")[1] == "made"
    assert (root / "out.txt").read_text() == "mine, too"
