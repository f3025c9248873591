"""Files of pose estimators, recognised by their content and read as COCO-17 poses.

    a list of objects with image_id           AlphaPose's results; COCO results where image_id is a number
    {"0001.png": [{"keypoints", "idx"}]}      tracked poses: PoseFlow's, AlphaPose's -forvis-tracked, this program's own
    {"0001.png": {"people" or "bodies": []}}  AlphaPose's --format open or cmu, 18 joints
    a folder of files {"people": []}          OpenPose's --write_json, BODY-25 or COCO-18

and what MMPose, Ultralytics, easy_ViTPose, ControlNet and annotators write (`pose_tools`). No other form is guessed at;
what is known and not read is called by its name. Frames are known by the stem of their name; folders in a name are
never followed.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from util.errors import UserError, several
from vision.people.coco import JOINTS
from vision.people.pose_tools import (
    ToolPoses,
    json_lines,
    labels_folder,
    of_one_picture,
    plain,
    recognised,
    ultralytics,
)

_COCO_FIRST = {17: "COCO-17", 26: "Halpe-26", 133: "COCO-WholeBody", 136: "Halpe-136"}
# Places of COCO's 17 joints; the neck, the middle of the hips and the feet are left out.
_OPENPOSE = {18: ("COCO-18", (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)),
             25: ("BODY-25", (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11))}
_OPENPOSE_KEYS = ("pose_keypoints_2d", "pose_keypoints", "joints")
_OPENPOSE_S = "OpenPose's"
_FARTHEST_PX = 1e5
_EXPORT = "Export with AlphaPose's COCO model and tracking on (--pose_track or --pose_flow)"
_EXPECTED = ("expected poses of AlphaPose, OpenPose, MMPose, Ultralytics, ViTPose or DWPose, tracked poses by frame "
             "name, or COCO results or annotations")
_NOT_READ = {
    ".csv": "a table, as DeepLabCut, SLEAP and MediaPipe write them", ".h5": "HDF5, as DeepLabCut and SLEAP write it",
    ".pkl": "Python's pickle, as PHALP, 4DHumans and MMPose 0.x write it, which may run any program when it is read",
    ".pickle": "Python's pickle, which may run any program when it is read", ".npy": "an array of NumPy",
    ".npz": "arrays of NumPy, as VideoPose3D has them", ".pt": "PyTorch's pickle", ".pth": "PyTorch's pickle",
    ".xml": "XML, as CVAT's own format is: export COCO Keypoints 1.0 there", ".bvh": "motion capture, without pictures",
    ".mat": "an array of MATLAB", ".slp": "SLEAP's project", ".trc": "motion capture, without pictures"}
"""Endings of files that are told by name, and what they are."""
_NOT_READ_JSON = {
    frozenset(("data", "annotations")): "Label Studio's JSON: export COCO there",
    frozenset(("_via_img_metadata",)): "the project of VGG's Image Annotator: export COCO there",
    frozenset(("shapes", "imagePath")): "Labelme's file of one picture: convert to COCO (labelme2coco)",
    frozenset(("animals",)): "poses of animals", frozenset(("items", "categories")): "Datumaro's JSON: export COCO",
    frozenset(("info", "tracks")): "tracks without poses", frozenset(("smpl",)): "bodies of SMPL, without pictures"}
"""Keys of JSON files that are told by name."""
_OTHER_JOINTS = {
    14: "CrowdPose or LSP", 15: "JHMDB", 16: "MPII", 18: "COCO-18", 21: "a hand", 24: "SMPL", 25: "OpenPose's BODY-25",
    33: "MediaPipe's BlazePose", 68: "a face", 70: "SAM 3D Body", 135: "OpenPose's BODY_135", 308: "Sapiens' Goliath"}
"""Numbers of joints that are known and not read from lists of COCO's joints."""


@dataclass(frozen=True, eq=False)
class Pose:
    """One person in one frame.

    Attributes:
        person: id, the same in all frames; None where nobody was tracked.
        keypoints: float64 [17, 3], COCO joints: x, y in pixels of the frames that the poses were found on, and a score
            of at least 0. A joint that OpenPose did not see has score 0 and lies on a seen neighbour.
        score: of the whole person, on the estimator's own scale.
    """

    person: int | None
    keypoints: np.ndarray
    score: float


@dataclass(frozen=True)
class PoseFile:
    """All poses of a file.

    Attributes:
        form: what the file was recognised as, in words.
        poses: for each frame of the file, by the stem of its name, its people in the file's order; may be none.
        names: the frames' names as they are in the file, by stem.
        size: (width, height) of the pictures that the keypoints are in pixels of, by the file; (1, 1): they are
            fractions of the pictures; None: it does not say.
    """

    form: str
    poses: dict[str, list[Pose]]
    names: dict[str, str]
    size: tuple[float, float] | None = None

    @property
    def is_tracked(self) -> bool:
        """Whether everybody has an id, no id is twice in a frame, and not all are 0 (AlphaPose without tracking)."""
        people = [[pose.person for pose in present] for present in self.poses.values()]
        everybody = {person for present in people for person in present}
        return (None not in everybody and everybody != {0}
                and all(len(set(present)) == len(present) for present in people))


def read_pose_file(path: Path | str) -> PoseFile:
    """Read a file or folder of poses.

    Raises:
        UserError: it is missing, of no known form, or some of its poses are wrong; names them all.
    """
    path = Path(path)
    problems: list[str] = []
    form, frames, size = _recognised(path, problems)
    poses: dict[str, list[Pose]] = {}
    names: dict[str, str] = {}
    layouts: list[str] = []
    for frame, entries in frames:
        stem = stem_of(frame)
        if names.setdefault(stem, frame) != frame:
            problems.append(f"{path}: frames {printable(names[stem])} and {printable(frame)} have the same name "
                            "without folder and ending; expected one entry per frame")
        people = poses.setdefault(stem, [])
        for number, entry in enumerate(entries, start=1):
            try:
                pose, layout = _pose(entry)
            except ValueError as error:
                problems.append(f"{path}: frame {printable(frame)}, {_label(entry, number)}: {error}")
                continue
            if (pose.keypoints[:, 2] > 0).any() or layout not in ("COCO-18", "BODY-25"):
                people.append(pose)
            if layout not in layouts:
                layouts.append(layout)
    everywhere = [pose.keypoints[:, :2] for people in poses.values() for pose in people]
    if not problems and everywhere and size is None and np.abs(everywhere).max() <= 1:
        problems.append(f"{path}: all keypoints lie within 1 pixel; expected pixels, not fractions of the frame. "
                        "Export again without normalising (OpenPose: without --keypoint_scale)")
    if problems:
        raise several(problems)
    return PoseFile(", ".join([form, *layouts]), poses, names, size)


def stem_of(name: str) -> str:
    """A frame's name without folders (of any system) and ending, and without OpenPose's addition to it."""
    return Path(name.replace("\\", "/")).stem.removesuffix("_keypoints")


def printable(name: str) -> str:
    """A frame's name as it is where that is harmless on a terminal and in one line."""
    return name if name.isprintable() and len(name) < 40 else _short(name)


def _recognised(path: Path, problems: list[str]) -> ToolPoses:
    """What a file is, and its frame names with the lists of their people as they are in the file."""
    if path.is_dir():
        return _folder(path)
    content = _read_json(path)
    found = _of_tool(path, recognised, path, content)
    if found is not None:
        return found
    first = content[0] if isinstance(content, list) and content else content
    for keys, name in _NOT_READ_JSON.items():
        if isinstance(first, dict) and keys <= first.keys():
            raise UserError(f"{path}: {name}; {_EXPECTED}")
    if isinstance(content, list):
        return _list_of_results(path, content, problems)
    if isinstance(content, dict) and {"people", "bodies"} & content.keys():
        raise UserError(f"{path}: OpenPose's poses of a single frame; expected the folder of all frames: "
                        f"--poses {path.parent}")
    if not isinstance(content, dict) or {"version", "images", "annotations"} & content.keys():
        raise UserError(f"{path}: holds {_kind(content)}; {_EXPECTED}. {_EXPORT}")
    form, frames = "tracked poses by frame", []
    for frame, entries in content.items():
        if isinstance(entries, dict):
            people = entries.get("instances", entries.get("people", entries.get("bodies", entries)))
            if "instances" not in entries:
                form = "AlphaPose's --format open or cmu"
            entries = people
        if isinstance(entries, list):
            frames.append((frame, entries))
        else:
            problems.append(f"{path}: frame {printable(frame)}: holds {_kind(entries)}; expected a list of people. "
                            f"{_EXPORT}")
    return ToolPoses(form, frames)


def _of_tool(path: Path, read: Callable, *arguments):
    """What a reader of `pose_tools` returns.

    Raises:
        UserError: the file is of a form that it knows, with something else within.
    """
    try:
        return read(*arguments)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(f"{path}: poses of a known tool, but not of its form ({type(error).__name__}: "
                        f"{str(error)[:60]}); {_EXPECTED}. Export them again") from None


def _folder(folder: Path) -> ToolPoses:
    files = sorted(file for file in folder.iterdir() if file.suffix == ".json" and not file.name.startswith("."))
    if not files:
        labels = _of_tool(folder, labels_folder, folder)
        if labels is not None:
            return labels
        raise UserError(f"{folder}: no JSON files; expected one for each frame, as OpenPose's --write_json makes them, "
                        "or Ultralytics' labels, *.txt")
    contents = [_read_json(file) for file in files]
    if all(isinstance(content, dict) and isinstance(content.get("people"), list) and "canvas_width" in content
           for content in contents):
        found = _of_tool(folder, recognised, folder, contents)
        return found._replace(frames=[(file.name, people) for file, (_, people) in zip(files, found.frames)])
    frames, forms = [], []
    for file, content in zip(files, contents):
        people = content.get("people", content.get("bodies")) if isinstance(content, dict) else None
        tool = _of_tool(file, of_one_picture, file, content) if people is None else (_OPENPOSE_S, people)
        if tool is None or not isinstance(tool[1], list):
            raise UserError(f"{file}: holds {_kind(content)}; expected OpenPose's poses of one frame, an object with "
                            "\"people\", or MMPose's or Ultralytics' list of people")
        if tool[1]:
            forms.append(tool[0])
        frames.append((file.name, tool[1]))
    if len(set(forms)) > 1:
        raise UserError(f"{folder}: {forms[0]} and {next(f for f in forms if f != forms[0])} files; expected those of "
                        "one program. Take the others away")
    form = f"{next(iter(forms), _OPENPOSE_S)} folder of frames"
    if forms and forms[0].startswith("Ultra"):
        return _of_tool(folder, ultralytics, frames)._replace(form=form)
    return ToolPoses(form, frames)


def _list_of_results(path: Path, content: list, problems: list[str]) -> ToolPoses:
    form = "AlphaPose's list of results"
    grouped: dict[str, list] = {}
    for number, entry in enumerate(content, start=1):
        name = entry.get("image_id") if isinstance(entry, dict) else None
        if isinstance(name, int) and not isinstance(name, bool):
            form, name = "COCO results", str(name)
        if isinstance(name, str):
            grouped.setdefault(name, []).append(entry)
        else:
            problems.append(f"{path}: entry {number} of the list has no frame name; expected an object with "
                            "\"image_id\": \"0001.png\"")
    return ToolPoses(form, list(grouped.items()))


def _read_json(path: Path):
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected tracked poses. {_EXPORT}") from None
    except OSError as error:
        raise UserError(f"{path}: not readable as JSON ({error}). {_EXPORT}") from None
    try:
        return json.loads(data)  # bytes: a mark of UTF-8 or UTF-16 at the beginning is understood
    except (ValueError, RecursionError) as error:
        lines = json_lines(data.decode("utf-8-sig", errors="replace"))
        if lines is not None:
            return lines
        known = _NOT_READ.get(path.suffix.lower())
        if known:
            raise UserError(f"{path}: {known}; {_EXPECTED}. Convert it to JSON: {{\"0001.png\": "
                            f"[{{\"keypoints\": [x, y, score of {JOINTS} COCO joints], \"idx\": 1}}]}}") from None
        raise UserError(f"{path}: not readable as JSON ({error}). {_EXPORT}") from None


def _pose(entry) -> tuple[Pose, str]:
    """A pose, and the name of its layout of joints."""
    if not isinstance(entry, dict):
        raise ValueError(f"found {_kind(entry)}; expected an object with keypoints, scores and idx")
    if "keypoint_scores" in entry:
        try:
            entry = plain(entry)
        except TypeError:
            raise ValueError(f"keypoints are {_kind(entry.get('keypoints'))}; expected rows of x, y") from None
    key = next((key for key in _OPENPOSE_KEYS if key in entry), None)
    if key is not None:
        keypoints, layout = _openpose_keypoints(entry[key])
        return Pose(_person(entry.get("person_id", -1)), keypoints, float(keypoints[:, 2].mean())), layout
    person = _person(entry["idx"]) if "idx" in entry else None
    score = _single_number(entry.get("scores", entry.get("score", 0)))
    if score is None:
        raise ValueError("no number for scores (or score); expected the person's confidence")
    if "keypoints" not in entry:
        raise ValueError(f"no keypoints; expected {JOINTS} x (x, y, score)")
    keypoints, layout = _coco_keypoints(entry["keypoints"])
    if "scores" not in entry and "score" not in entry:
        score = float(keypoints[:, 2].mean())
    if entry.get("unseen_at_zero"):
        keypoints = _with_unseen_near_seen(keypoints)
    return Pose(person, keypoints, score), layout


def _person(value) -> int | None:
    """A person's number; None for -1, OpenPose's word for nobody in particular.

    Where AlphaPose has merged poses, it lists their numbers, each in a list of its own: the first counts.
    """
    merged = isinstance(value, list) and value and all(isinstance(one, list) and len(one) == 1 for one in value)
    person = _single_number(value[0] if merged else value)
    if person is None or person != int(person) or person < -1:
        raise ValueError(f"idx is {_short(value)}; expected the person's number, a whole one from 1")
    return int(person) if person >= 0 else None


def _coco_keypoints(value) -> tuple[np.ndarray, str]:
    rows = _rows(value)
    if len(rows) not in _COCO_FIRST:
        known = ", ".join(f"{count} ({name})" for count, name in _COCO_FIRST.items())
        name = f" ({_OTHER_JOINTS[len(rows)]}'s)" if len(rows) in _OTHER_JOINTS else ""
        raise ValueError(f"{len(rows)} keypoints{name}; expected x, y, score of {known} keypoints. "
                         "Export with a COCO model, or drop this person")
    return rows[:JOINTS], _COCO_FIRST[len(rows)]


def _openpose_keypoints(value) -> tuple[np.ndarray, str]:
    rows = _rows(value)
    if len(rows) not in _OPENPOSE:
        known = ", ".join(f"{count} ({name})" for count, (name, _) in _OPENPOSE.items())
        raise ValueError(f"{len(rows)} keypoints; expected x, y, score of {known} keypoints. "
                         "Export with OpenPose's model BODY_25 or COCO")
    layout, places = _OPENPOSE[len(rows)]
    return _with_unseen_near_seen(rows[list(places)]), layout


def _with_unseen_near_seen(keypoints: np.ndarray) -> np.ndarray:
    """What was not seen is given at (0, 0), which would stretch the person's box into the corner: move it."""
    seen = keypoints[:, 2] > 0
    if seen.any():
        distance = np.abs(np.subtract.outer(_HEIGHTS, _HEIGHTS[seen]))
        keypoints[~seen, :2] = keypoints[seen, :2][distance.argmin(axis=1)][~seen]
    return keypoints


_HEIGHTS = np.array([1.0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 6, 6])
"""From the head (1) to the feet (6): what lies near a joint when it is not seen."""


def _rows(value) -> np.ndarray:
    """Keypoints of any number as float64 [K, 3], scores not negative."""
    numbers = value if isinstance(value, list) else [value]
    if all(isinstance(row, (list, tuple)) and len(row) == 3 for row in numbers):
        numbers = [x for row in numbers for x in row]
    if not all(_is_number(x) for x in numbers):
        raise ValueError(f"keypoints hold {_short(next(x for x in numbers if not _is_number(x)))}; "
                         "expected finite numbers only, x, y, score of each. Drop this person, or this frame of them")
    if len(numbers) % 3:
        raise ValueError(f"{len(numbers)} numbers; expected x, y, score of each of {JOINTS} keypoints. "
                         "Export with AlphaPose's COCO model, or drop this person")
    keypoints = np.array(numbers, np.float64).reshape(-1, 3)
    if np.abs(keypoints[:, :2]).max(initial=0) > _FARTHEST_PX:
        raise ValueError(f"a keypoint at {np.abs(keypoints[:, :2]).max():.3g} px; expected pixels of the frame. "
                         "Drop this person, or this frame of them")
    keypoints[:, 2] = np.maximum(keypoints[:, 2], 0)
    return keypoints


def _single_number(value) -> float | None:
    """A finite number, also from within lists of one element; None for anything else."""
    while isinstance(value, (list, tuple)) and len(value) == 1:
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


def _kind(value) -> str:
    if isinstance(value, dict):
        return f"an object with {', '.join(map(printable, list(value)[:3])) or 'nothing'}"
    return {list: "a list", str: "a text", type(None): "nothing"}.get(type(value), "a single value")
