"""Steps that make a dataroot, each run only when it has to be.

A step reads some files of the dataroot and makes others. What it made, and what from, is kept in
prepare/stamps/<step>.json. It runs again when an input or option has changed or an output is gone. An output that is
not as the step left it is somebody's handiwork, and stays unless overwriting is asked for. Outputs are named as in the
dataroot ("mask", "homographies.txt"), keys of metadata.json as "metadata.json#frame_rate".

Nothing here knows what the steps do.
"""

import hashlib
import json
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from util.errors import UserError
from util.files import folder_filled_atomically, write_text

METADATA = "metadata.json"
_WHOLE_BYTES = 1 << 23
"""Files up to this size are fingerprinted whole, larger ones by their size, beginning and end."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something that the user should know.

    Attributes:
        severity: 3 training cannot run; 2 layers will be visibly wrong; 1 may cost quality; 0 good to know.
        text: one line: where, what was found, what it means, what to do.
    """

    severity: int
    text: str


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
            another one when inputs or options have changed, and is removed after success.
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
        reads: what it depends on in the dataroot; files may be absent.
        makes: its outputs; a run may leave some out.
        add_options: adds the options that change its results to a parser. One that is None stands for its value in
            the run before.
    """

    name: str
    run: Callable[[Job], Outcome]
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    add_options: Callable


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
    stamp = _read_stamp(root, step)
    opt, options = _as_before(step, opt, stamp.get("options", {}))
    key = {"inputs": {name: fingerprint_of(root, name) for name in step.reads},
           "options": {name: entry["fingerprint"] for name, entry in options.items()}}
    present = {name: mark for name in step.makes if (mark := fingerprint_of(root, name)) is not None}
    ours = {name for name, mark in present.items() if mark in stamp.get("outputs", {}).get(name, [])}
    handmade = present.keys() - ours
    complete = present.keys() >= set(stamp.get("outputs", {})) | set(stamp.get("kept", []))
    if _without_unset(stamp.get("key")) == _without_unset(key) and complete and not (overwrite and handmade):
        return _outcome(stamp["outcome"]), "unchanged"
    kept = frozenset() if overwrite else frozenset(handmade)
    if kept == set(step.makes):
        return Outcome(f"{', '.join(step.makes)} made by hand"), "kept"

    cache = root / "prepare" / f"{step.name}-{_digest(json.dumps(key))[:8]}.part"
    with folder_filled_atomically(root) as made:
        outcome = step.run(Job(root, made, cache, opt, kept))
        outputs = {name: [mark] for name in step.makes
                   if name not in kept and (mark := fingerprint_of(made, name)) is not None}
        # Should the program be killed while files change places, both the former and the new ones are known as ours.
        both = {name: outputs.get(name, []) + ([present[name]] if name in present else [])
                for name in (ours | handmade | outputs.keys()) - kept}
        _write_stamp(root, step, outputs=both)
        _leave_to_others(root, made, step, kept)
    for name in ours - outputs.keys():
        _remove(root, name)
    _write_stamp(root, step, key=key, options=options, outputs=outputs, kept=sorted(kept), outcome=asdict(outcome))
    for finished in cache.parent.glob(f"{step.name}-*.part"):
        shutil.rmtree(finished)
    return outcome, "made"


def last_outcome(step: Step, root: Path) -> Outcome | None:
    """What a step said when it last ran; None if it never did."""
    outcome = _read_stamp(root, step).get("outcome")
    return _outcome(outcome) if outcome else None


def fingerprint_of(root: Path, name: str) -> str | None:
    """Fingerprint of a file, of a folder with all that is in it, or of a key of metadata.json; None: none there."""
    file, _, key = name.partition("#")
    if not key:
        return _fingerprint(root / file)
    values = read_values(root / file)
    return _digest(json.dumps(values[key], sort_keys=True)) if key in values else None


def read_values(path: Path) -> dict:
    """The keys of a metadata.json; none if there is no such file.

    Raises:
        UserError: it does not hold an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}). Mend it, or move it away") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds a {type(values).__name__}; expected an object. Mend it, or move it away")
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
            value = action.type(entry["value"]) if callable(action.type) else str(entry["value"])
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


def _fingerprint(path: Path) -> str | None:
    if path.is_dir():
        return _digest("\n".join(f"{file.relative_to(path)} {_fingerprint(file)}" for file in sorted(path.rglob("*"))
                                 if file.is_file()))
    if not path.is_file():
        return None
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= _WHOLE_BYTES:
            return _digest(file.read())
        begin = file.read(_WHOLE_BYTES // 2)
        file.seek(-_WHOLE_BYTES // 2, 2)
        return _digest(str(size).encode() + begin + file.read())


def _digest(content: bytes | str) -> str:
    return hashlib.blake2b(content.encode() if isinstance(content, str) else content, digest_size=16).hexdigest()


def _stamp_path(root: Path, step: Step) -> Path:
    return root / "prepare" / "stamps" / f"{step.name}.json"


def _read_stamp(root: Path, step: Step) -> dict:
    try:
        return json.loads(_stamp_path(root, step).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _write_stamp(root: Path, step: Step, **values) -> None:
    write_text(_stamp_path(root, step), json.dumps(values, indent=1))


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
