"""keypoints.json: tracked poses, in the forms that AlphaPose writes (docs/data.md).

Two forms are told apart by their outermost bracket, and no other is guessed at:
    {"0001.png": [{"keypoints": [...], "scores": 2.9, "idx": 1}, ...], ...}       tracked poses by frame
    [{"image_id": "0001.png", "keypoints": [...], "score": 2.9, "idx": 1}, ...]   AlphaPose's list of results

Frames are matched by the stem of their name; folders in a name are never followed.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.dataroot import Metadata
from util.errors import UserError, several

HIGHEST_PERSON = 254
"""A person's id is stored as an alpha level, 255 - id, of a picture in which 0 is nobody."""
_JOINTS = 17
_COCO_FIRST = {17: "COCO-17", 26: "Halpe-26", 133: "COCO-WholeBody", 136: "Halpe-136"}
_FARTHEST_PX = 1e5
_EXPORT = "Export with AlphaPose's COCO model and tracking on (--pose_track or --pose_flow)"


@dataclass(frozen=True, eq=False)
class Pose:
    """One person in one frame.

    Attributes:
        person: id from 1 to 254, the same in all frames.
        keypoints: float64 [17, 3], COCO joints: x, y in pixels of the frames that the poses were found on, and a score
            of at least 0.
        score: of the whole person, on the tracker's own scale.
    """

    person: int
    keypoints: np.ndarray
    score: float


def read_poses(path: Path | str) -> dict[str, list[Pose]]:
    """Read all poses of a clip.

    Returns:
        For each frame of the file, by the stem of its name, its people in the file's order; may be none.

    Raises:
        UserError: the file is missing or of another form, or some of its poses are; names them all.
    """
    path = Path(path)
    problems: list[str] = []
    poses: dict[str, list[Pose]] = {}
    names: dict[str, str] = {}
    for frame, entries in _by_frame(path, problems):
        stem = Path(frame.replace("\\", "/")).stem
        if names.setdefault(stem, frame) != frame:
            problems.append(f"{path}: frames {_shown(names[stem])} and {_shown(frame)} have the same name without "
                            "folder and ending; expected one entry per frame")
        people = poses.setdefault(stem, [])
        for number, entry in enumerate(entries, start=1):
            try:
                pose = _pose(entry)
                if any(other.person == pose.person for other in people):
                    raise ValueError("a second pose of this id; expected each person once in a frame. "
                                     "Drop one, or give it another idx")
                people.append(pose)
            except ValueError as error:
                problems.append(f"{path}: frame {_shown(frame)}, {_label(entry, number)}: {error}")
    if problems:
        raise several(problems)
    return poses


def poses_of_frames(path: Path | str, frames: list[str]) -> list[list[Pose]]:
    """Poses of each of `frames`, none where the file does not list a frame.

    Args:
        path: keypoints.json.
        frames: names without ending.

    Raises:
        UserError: see `read_poses`; or the file has poses, but in none of these frames.
    """
    poses = read_poses(path)
    found = [poses.get(frame, []) for frame in frames]
    if any(poses.values()) and not any(found):
        raise UserError(f"{path}: its frames are named like {_shown(next(iter(poses)))}; the frames of the clip like "
                        f"{frames[0]}, and none is in both. Name them alike")
    return found


def people_layers(metadata: Metadata, path: Path | str, frames: list[list[Pose]]) -> list[list[int]]:
    """Person ids of each layer, layer 1 first: those of metadata.json, else one layer for each person in the clip.

    With a list in metadata.json, people who are not in it belong to no layer.

    Args:
        metadata: of the clip.
        path: keypoints.json, for messages.
        frames: poses of each frame.

    Raises:
        UserError: nobody is in the clip, a listed person is not, or the texture atlas has no tiles for someone.
    """
    seen = sorted({pose.person for people in frames for pose in people})
    if not seen:
        raise UserError(f"{path}: nobody in any frame; expected the poses of at least one person")
    if metadata.people_layers is not None:
        absent = sorted({person for layer in metadata.people_layers for person in layer} - set(seen))
        if absent:
            raise UserError(f"{metadata.path}: people_layers names person {absent[0]}, who is in no frame of {path}; "
                            f"expected some of {seen}")
        return metadata.people_layers
    if seen[-1] > metadata.n_people:
        raise UserError(f"{path}: shows person {seen[-1]}; n_textures {metadata.n_textures} of {metadata.path.name} "
                        f"has tiles for {metadata.n_people}. Number people from 1 without gaps, set n_textures to "
                        f"{24 * seen[-1] + 1}, or choose people with people_layers")
    return [[person] for person in seen]


def _by_frame(path: Path, problems: list[str]) -> Iterator[tuple[str, Iterable]]:
    """Frame names with the list of their entries, from either form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected tracked poses. {_EXPORT}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}). {_EXPORT}") from None
    if isinstance(content, list):
        grouped: dict[str, list] = {}
        for number, entry in enumerate(content, start=1):
            if isinstance(entry, dict) and isinstance(entry.get("image_id"), str):
                grouped.setdefault(entry["image_id"], []).append(entry)
            else:
                problems.append(f"{path}: entry {number} of the list has no frame name; expected an object with "
                                "\"image_id\": \"0001.png\"")
        yield from grouped.items()
    elif isinstance(content, dict) and not {"version", "people", "bodies"} & content.keys():
        for frame, entries in content.items():
            if isinstance(entries, list):
                yield frame, entries
            else:
                problems.append(f"{path}: frame {_shown(frame)}: holds {_kind(entries)}; expected a list of people. "
                                f"{_EXPORT}")
    else:
        raise UserError(f"{path}: holds {_kind(content)}; expected frame names with lists of people, or AlphaPose's "
                        f"list of results. {_EXPORT}")


def _pose(entry) -> Pose:
    if not isinstance(entry, dict):
        raise ValueError(f"found {_kind(entry)}; expected an object with keypoints, scores and idx")
    if "idx" not in entry:
        raise ValueError(f"no idx, so nobody was tracked; expected the person's number. {_EXPORT}")
    person = _single_number(entry["idx"])
    if person is None or person != int(person) or not 1 <= person <= HIGHEST_PERSON:
        raise ValueError(f"idx is {_short(entry['idx'])}; expected the person's number, 1 to {HIGHEST_PERSON}")
    score = _single_number(entry.get("scores", entry.get("score")))
    if score is None:
        raise ValueError("no number for scores (or score); expected the person's confidence")
    if "keypoints" not in entry:
        raise ValueError(f"no keypoints; expected {_JOINTS} x (x, y, score)")
    return Pose(int(person), _keypoints(entry["keypoints"]), score)


def _keypoints(value) -> np.ndarray:
    numbers = value if isinstance(value, list) else [value]
    if all(isinstance(row, list) and len(row) == 3 for row in numbers):
        numbers = [x for row in numbers for x in row]
    if not all(_is_number(x) for x in numbers):
        raise ValueError(f"keypoints hold {_short(next(x for x in numbers if not _is_number(x)))}; "
                         "expected finite numbers only, x, y, score of each. Drop this person, or this frame of them")
    if len(numbers) % 3 or len(numbers) // 3 not in _COCO_FIRST:
        known = ", ".join(f"{count} ({name})" for count, name in _COCO_FIRST.items())
        found = f"{len(numbers)} numbers" if len(numbers) % 3 else f"{len(numbers) // 3} keypoints"
        raise ValueError(f"{found}; expected x, y, score of {known} keypoints. "
                         "Export with AlphaPose's COCO model, or drop this person")
    keypoints = np.array(numbers, np.float64).reshape(-1, 3)[:_JOINTS]
    if np.abs(keypoints[:, :2]).max() > _FARTHEST_PX:
        raise ValueError(f"a keypoint at {np.abs(keypoints[:, :2]).max():.3g} px; expected pixels of the frame. "
                         "Drop this person, or this frame of them")
    keypoints[:, 2] = np.maximum(keypoints[:, 2], 0)
    return keypoints


def _single_number(value) -> float | None:
    """A finite number, also from within lists of one element; None for anything else."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return float(value) if _is_number(value) else None


def _is_number(value) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def _label(entry, number: int) -> str:
    person = _single_number(entry.get("idx")) if isinstance(entry, dict) else None
    return f"entry {number}" if person is None else f"person {person:g}"


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) < 40 else text[:37] + "..."


def _shown(name: str) -> str:
    """A frame's name as it is where that is harmless on a terminal and in one line."""
    return name if name.isprintable() and len(name) < 40 else _short(name)


def _kind(value) -> str:
    if isinstance(value, dict):
        return f"an object with {', '.join(map(_shown, list(value)[:3])) or 'nothing'}"
    return {list: "a list", str: "a text", type(None): "nothing"}.get(type(value), "a single value")
