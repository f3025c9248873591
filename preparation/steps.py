"""Steps that make a dataroot, each run only when it has to be.

A step reads some files of the dataroot and makes others. What it made, and what from, is kept in
prepare/stamps/<step>.json. It runs again when an input or option has changed or an output is gone. An output that is
not as the step left it is somebody's handiwork, and stays unless overwriting is asked for. Outputs are named as in the
dataroot ("mask", "homographies.txt"), keys of metadata.json as "metadata.json#frame_rate".

Two steps may make the same output: one brings what the user has, and a later one, `steps_back`, makes it where that did
not, from what the steps between made. For these it is then no input (`is_made_by`), or they would run in circles.

Nothing here knows what the steps do.
"""

import hashlib
import json
import os
import re
import shutil
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from data.dataroot import check_known_values
from util.errors import UserError
from util.files import folder_filled_atomically, read_text, write_text

METADATA = "metadata.json"
_NUMBER, _MOST_LISTED = re.compile(r"\d+"), 6
_WHOLE_BYTES = 1 << 23
"""Before version 0.2, files up to this size were fingerprinted whole, larger ones by their size, beginning and end."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something that the user should know.

    Attributes:
        severity: 3 training cannot run; 2 layers will be visibly wrong; 1 may cost quality; 0 good to know.
        text: one line: where, what was found, what it means, what to do.
    """

    severity: int
    text: str


def alike_together(findings: list[Finding]) -> list[Finding]:
    """Findings in which only numbers differ, in one line: the first of them, and the numbers of the others."""
    groups: dict[tuple[int, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, _NUMBER.sub("#", finding.text)), []).append(finding)
    told = []
    for first, *others in groups.values():
        numbers = [_NUMBER.findall(finding.text) for finding in (first, *others)]
        differing = next((values for values in zip(*numbers) if len(set(values)) > 1), None)
        if differing is not None:
            listed = list(dict.fromkeys(differing))[1:]
            more = f" and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
            first = replace(first, text=f"{first.text}. Likewise {', '.join(listed[:_MOST_LISTED])}{more}")
        told.append(first)
    return told


@dataclass(frozen=True)
class Outcome:
    """What a step has to say.

    Attributes:
        summary: one line.
        findings: for the user.
        report: figures for the page, of JSON types.
    """

    summary: str
    findings: list[Finding] = field(default_factory=list)
    report: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What a step gets.

    Attributes:
        root: the dataroot, to be read only.
        made: an empty folder for the outputs, under their names in the dataroot; its metadata.json holds only the keys
            that the step makes.
        cache: a folder that a step with a slow loop may make and keep results in: it survives an interruption, is
            another one when inputs or options have changed, and is removed after success, unless the step says what
            it is kept for.
        opt: the options.
        kept: outputs that were made by hand and will stay, whatever the step writes.
    """

    root: Path
    made: Path
    cache: Path
    opt: Namespace
    kept: frozenset[str]


@dataclass(frozen=True)
class Step:
    """One step of the way from a video to a dataroot.

    Attributes:
        name: one word.
        run: makes the outputs.
        reads: what it depends on in the dataroot; files may be absent. "mask!mattes" is mask/, unless the step mattes,
            which comes later, has made it.
        makes: its outputs; a run may leave some out.
        add_options: adds the options that change its results to a parser. One that is None stands for its value in
            the run before.
        elsewhere: what the results depend on besides, outside of the dataroot, given the options; None: nothing.
        steps_back: leaves its outputs to whoever else made them, another step as well as somebody's hand.
        cached_for: the inputs and options ("--poses") that alone decide what is in the cache, which then stays after
            success, for the next run with other choices.
        heeds: those of its outputs that its others must fit to where they are made by hand.
    """

    name: str
    run: Callable[[Job], Outcome]
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    add_options: Callable
    elsewhere: Callable[[Namespace], str | None] = lambda opt: None
    steps_back: bool = False
    cached_for: tuple[str, ...] | None = None
    heeds: tuple[str, ...] = ()


def perform(step: Step, root: Path, opt: Namespace, overwrite: bool = False) -> tuple[Outcome, str]:
    """Run a step if it has to be run.

    Args:
        step: to run.
        root: the dataroot; made if it is not there.
        opt: with the step's options.
        overwrite: replace handmade outputs too.

    Returns:
        what the step says (of the run before, where nothing was to be done), and "made", "unchanged" or "kept": all
        its outputs are handmade.

    Raises:
        UserError: the step's, or metadata.json is broken.
    """
    stamp = _read_stamp(root, step.name)
    opt, options = _as_before(step, opt, stamp.get("options", {}))
    key: dict[str, object] = {"inputs": {name.partition("!")[0]: _fingerprint_of_input(root, name)
                                         for name in step.reads},
                              "options": {name: entry["fingerprint"] for name, entry in options.items()}}
    if (elsewhere := step.elsewhere(opt)) is not None:
        key["elsewhere"] = elsewhere
    present = {name: mark for name in step.makes if (mark := fingerprint_of(root, name)) is not None}
    made_before = stamp.get("outputs", {})
    whole = {name for name, mark in present.items() if mark in made_before.get(name, [])
             or fingerprint_of(root, name, former=True) in made_before.get(name, [])}
    cut = {name for name in present.keys() - whole if name in made_before and _has_empty_file(root / name)}
    ours = whole | cut  # a file of no bytes is of a crash, and nobody's work
    of_steps = set() if step.steps_back else {name for name, mark in present.items() if _made_by_some(root, name, mark)}
    handmade = present.keys() - ours - of_steps
    if not overwrite and (heeded := sorted(handmade & set(step.heeds))):
        key["kept"] = {name: present[name] for name in heeded}
    if step.steps_back and present and all(_made_by_some(root, name, present[name]) for name in handmade) and not ours:
        return Outcome(f"{', '.join(step.makes)} given"), "kept"
    complete = not cut and present.keys() >= set(stamp.get("outputs", {})) | set(stamp.get("kept", []))
    if _without_unset(stamp.get("key")) == _without_unset(key) and complete and not (overwrite and handmade):
        return _outcome(stamp["outcome"]), "unchanged"
    kept = frozenset() if overwrite else frozenset(handmade)
    stale = _kept_of_other_inputs(step, stamp, key, kept)
    if kept == set(step.makes):
        return Outcome(f"{', '.join(step.makes)} made by hand", stale), "kept"

    cache = cache_of(step, root, key)
    with folder_filled_atomically(root) as made:
        outcome = step.run(Job(root, made, cache, opt, kept))
        outputs = {name: [mark] for name in step.makes
                   if name not in kept and (mark := fingerprint_of(made, name)) is not None}
        # Should the program be killed while files change places, both the former and the new ones are known as ours.
        both = {name: outputs.get(name, []) + ([present[name]] if name in present else [])
                for name in (ours | handmade | outputs.keys()) - kept}
        _write_stamp(root, step, outputs=both)
        _leave_to_others(root, made, step, kept)
    outcome = replace(outcome, findings=[*outcome.findings, *stale])
    for name in ours - outputs.keys():
        _remove(root, name)
    _write_stamp(root, step, key=key, options=options, outputs=outputs, kept=sorted(kept), outcome=asdict(outcome))
    _remove_finished(step, cache)
    return outcome, "made"


def _remove_finished(step: Step, cache: Path) -> None:
    """Remove what is in the way of no later run: a cache of parts, or the kept ones of other inputs."""
    for finished in cache.parent.glob(f"{step.name}-*.part" if step.cached_for is None else f"{step.name}-*.kept"):
        if step.cached_for is None or finished != cache:
            shutil.rmtree(finished)


def is_made_by(step_name: str, root: Path, output: str) -> bool:
    """Whether a step made what lies there as `output`, or did so before somebody changed it by hand; not another step.
    """
    stamp = _read_stamp(root, step_name)
    if output not in {*stamp.get("outputs", {}), *stamp.get("kept", [])}:
        return False
    mark = fingerprint_of(root, output)
    return mark is not None and not any(mark in _read_stamp(root, other).get("outputs", {}).get(output, [])
                                        for other in _stamped(root) if other != step_name)


def cache_of(step: Step, root: Path, key: dict) -> Path:
    """The folder that a step keeps results of its slow loop in.

    Args:
        step: whose.
        root: the dataroot.
        key: of its stamp: marks of its inputs and options.
    """
    if step.cached_for is None:
        return root / "prepare" / f"{step.name}-{_digest(json.dumps(key))[:8]}.part"
    marks = {**key["inputs"], **{f"--{name}": mark for name, mark in key["options"].items()}}
    return root / "prepare" / f"{step.name}-{_digest(json.dumps([marks[name] for name in step.cached_for]))[:8]}.kept"


def last_cache(step: Step, root: Path) -> Path | None:
    """The folder of `Job.cache` of the step's last run, where that stays; None if it never ran, or nothing is kept."""
    key = _read_stamp(root, step.name).get("key")
    return cache_of(step, root, key) if key and step.cached_for is not None else None


def last_outcome(step: Step, root: Path) -> Outcome | None:
    """What a step said when it last ran; None if it never did."""
    outcome = _read_stamp(root, step.name).get("outcome")
    return _outcome(outcome) if outcome else None


def is_as_made(root: Path, output: str) -> bool:
    """Whether an output lies there as some step left it."""
    mark = fingerprint_of(root, output)
    return mark is not None and _made_by_some(root, output, mark)


def adopt(root: Path, output: str, before: str) -> None:
    """Let what lies there as an output count as made by the step that had made what was there before.

    Args:
        root: the dataroot.
        output: its name.
        before: the fingerprint that it had.
    """
    mark = fingerprint_of(root, output)
    for name in _stamped(root):
        stamp = _read_stamp(root, name)
        marks = stamp.get("outputs", {}).get(output, [])
        if before in marks and mark not in (None, *marks):
            stamp["outputs"][output] = [*marks, mark]
            write_text(_stamp_path(root, name), json.dumps(stamp, indent=1))


def fingerprint_of(root: Path, name: str, former: bool = False) -> str | None:
    """Fingerprint of a file, of a folder with all that is in it, or of a key of metadata.json; None: none there.

    Args:
        former: as it was taken before version 0.2.
    """
    file, _, key = name.partition("#")
    if not key:
        return _fingerprint(root / file, former)
    values = read_values(root / file)
    return _digest(json.dumps(values[key], sort_keys=True)) if key in values else None


def read_values(path: Path) -> dict:
    """The keys of a metadata.json; none if there is no such file.

    Raises:
        UserError: it does not hold an object.
    """
    try:
        values = json.loads(read_text(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}). Mend it, or move it away") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds a {type(values).__name__}; expected an object. Mend it, or move it away")
    return values


def facts_of_frames(root: Path, needed: str | None = None) -> dict:
    """The keys of a dataroot's metadata.json, whose values are of their form as far as they are there.

    Raises:
        UserError: a value is not, or the needed key is missing.
    """
    values = read_values(root / METADATA)
    if needed and needed not in values:
        raise UserError(f"{root / METADATA}: {needed} missing; let prepare.py make it: --steps frames")
    check_known_values(root / METADATA, values)
    return values


def write_values(path: Path, values: dict) -> None:
    """Write keys of a metadata.json, one a line."""
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    write_text(path, f"{{\n{lines}\n}}\n")


def _without_unset(key: dict | None) -> dict | None:
    """A stamp's key without options that were not given: an option that is new does not make a step run again."""
    return key and {**key, "options": {name: mark for name, mark in key["options"].items() if mark != repr(None)}}


def _as_before(step: Step, opt: Namespace, before: dict) -> tuple[Namespace, dict]:
    """Replace options that are None by their values in the run before.

    Returns:
        options for the step, and each one's value and fingerprint for the stamp.
    """
    parser = ArgumentParser(add_help=False)
    step.add_options(parser)
    opt, entries = Namespace(**vars(opt)), {}
    for action in parser._actions:
        value = vars(opt).setdefault(action.dest)
        entry = before.get(action.dest)
        if value is None and entry is not None and entry["value"] is not None:
            try:
                value = action.type(entry["value"]) if callable(action.type) else str(entry["value"])
            except (ArgumentTypeError, ValueError, TypeError, ArithmeticError):
                value = None
            if action.choices and value not in action.choices:
                value = None
            setattr(opt, action.dest, value)
            if isinstance(value, Path) and not value.exists():  # moved away since: it is needed only to run again
                entries[action.dest] = entry
                continue
        if isinstance(value, Path):
            entries[action.dest] = {"value": str(value.absolute()), "fingerprint": _fingerprint(value)}
        else:
            plain = value if isinstance(value, (int, float, str, type(None))) else str(value)
            entries[action.dest] = {"value": plain, "fingerprint": repr(value)}
    return opt, entries


def _kept_of_other_inputs(step: Step, stamp: dict, key: dict, kept: frozenset[str]) -> list[Finding]:
    """What stays as somebody made it, though what it was made from has become something else."""
    if not kept or "key" not in stamp:
        return []
    former = stamp["key"]
    changed = [name for name, mark in key["inputs"].items() if mark != former["inputs"].get(name)]
    changed += [f"--{name}" for name, mark in key["options"].items()
                if mark not in (former["options"].get(name), repr(None))]
    if not changed:
        return []
    return [Finding(1, f"{', '.join(sorted(kept))}: kept as made by hand, though {', '.join(changed)} changed since. "
                       f"Where it is not for these frames, make it again: --overwrite --steps {step.name}")]


def _fingerprint_of_input(root: Path, name: str) -> str | None:
    """Fingerprint of an input; "mask!mattes" is mask/, unless the step mattes has made it."""
    output, _, later_step = name.partition("!")
    return None if later_step and is_made_by(later_step, root, output) else fingerprint_of(root, output)


def _made_by_some(root: Path, output: str, mark: str) -> bool:
    """Whether an output lies there as some step left it."""
    return any(mark in _read_stamp(root, name).get("outputs", {}).get(output, []) for name in _stamped(root))


def _stamped(root: Path) -> list[str]:
    """Names of the steps that have run."""
    return sorted(path.stem for path in (root / "prepare" / "stamps").glob("*.json"))


def _fingerprint(path: Path, former: bool = False) -> str | None:
    if path.is_dir():
        return _digest("\n".join(f"{file.relative_to(path)} {_fingerprint(file, former)}" for file in _files_in(path)))
    if not path.is_file():
        return None
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= _WHOLE_BYTES:
            return _digest(file.read())
        if not former:
            digest = hashlib.blake2b(digest_size=16)
            while part := file.read(_WHOLE_BYTES):
                digest.update(part)
            return digest.hexdigest()
        begin = file.read(_WHOLE_BYTES // 2)
        file.seek(-_WHOLE_BYTES // 2, 2)
        return _digest(str(size).encode() + begin + file.read())


def _files_in(folder: Path) -> list[Path]:
    """All files in a folder, also behind links to other folders, but for those that lead back."""
    found, seen = [], set()
    for here, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(here))
        folders[:] = [name for name in folders if os.path.realpath(os.path.join(here, name)) not in seen]
        found += [path for name in names if (path := Path(here, name)).is_file()]
    return sorted(found)


def _has_empty_file(path: Path) -> bool:
    return any(file.stat().st_size == 0 for file in (_files_in(path) if path.is_dir() else [path] if path.is_file()
                                                     else []))


def _digest(content: bytes | str) -> str:
    return hashlib.blake2b(content.encode() if isinstance(content, str) else content, digest_size=16).hexdigest()


def _stamp_path(root: Path, step_name: str) -> Path:
    return root / "prepare" / "stamps" / f"{step_name}.json"


def _read_stamp(root: Path, step_name: str) -> dict:
    """A step's stamp; {} if there is none, or what is there is not as it was written."""
    try:
        stamp = json.loads(_stamp_path(root, step_name).read_text(encoding="utf-8"))
        if _is_stamp(stamp):
            return stamp
    except (OSError, ValueError, RecursionError):
        pass
    return {}


def _is_stamp(stamp: object) -> bool:
    def words(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(word, str) for word in value)

    def marks(value: object) -> bool:
        return isinstance(value, dict) and all(isinstance(mark, str | None) for mark in value.values())

    if not isinstance(stamp, dict) or not isinstance(stamp.get("outputs"), dict):
        return False
    if not all(words(value) for value in stamp["outputs"].values()) or not words(stamp.get("kept", [])):
        return False
    if stamp.keys() <= {"outputs"}:  # written before files change places
        return True
    key, options, outcome = stamp.get("key"), stamp.get("options"), stamp.get("outcome")
    return (isinstance(key, dict) and marks(key.get("inputs")) and marks(key.get("options"))
            and isinstance(options, dict) and all(
                isinstance(entry, dict) and isinstance(entry.get("fingerprint"), str | None)
                and isinstance(entry.get("value"), str | int | float | None) for entry in options.values())
            and isinstance(outcome, dict) and isinstance(outcome.get("summary"), str)
            and isinstance(outcome.get("report"), dict) and isinstance(outcome.get("findings"), list) and all(
                isinstance(entry, dict) and isinstance(entry.get("text"), str)
                and entry.get("severity", entry.get("harm")) in (0, 1, 2, 3) for entry in outcome["findings"]))


def _write_stamp(root: Path, step: Step, **values) -> None:
    write_text(_stamp_path(root, step.name), json.dumps(values, indent=1))


def _outcome(values: dict) -> Outcome:
    # Stamps that were written before severity had its name say harm.
    findings = [Finding(entry.get("severity", entry.get("harm")), entry["text"]) for entry in values["findings"]]
    return Outcome(values["summary"], findings, values["report"])


def _leave_to_others(root: Path, made: Path, step: Step, kept: frozenset[str]) -> None:
    """Take out of `made` what is not to replace anything in `root`, and merge the keys of metadata.json."""
    new = {key: value for key, value in read_values(made / METADATA).items() if f"{METADATA}#{key}" not in kept}
    values = {key: value for key, value in read_values(root / METADATA).items()
              if f"{METADATA}#{key}" not in set(step.makes) - kept}
    if values | new:
        write_values(made / METADATA, values | new)
    for name in kept:
        if "#" not in name:
            _remove(made, name)


def _remove(root: Path, name: str) -> None:
    path = root / name
    if "#" not in name:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
