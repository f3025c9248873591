import json
from argparse import Namespace
from pathlib import Path

import pytest

from preparation.steps import Finding, Job, Outcome, Step, perform, read_values, write_values
from util.errors import UserError


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
