"""How today's pose estimators nest what they found: each file's content becomes frames with plain entries.

    MMPose           [{"frame_id", "instances"}], {"instance_info": ...}, a folder with a list of instances per picture
    Ultralytics      Results.to_json() of all frames in a list or by name; a folder of labels, *.txt
    easy_ViTPose     {"keypoints": [{id: [[y, x, score]]}], "skeleton"}
    ControlNet       [{"people", "canvas_width", "canvas_height"}]: DWPose's and OpenPose's nodes of ComfyUI
    COCO             {"images", "annotations"}: CVAT, Roboflow, COCO Annotator, detectron2's ground truth
    by person        {"1": {"0001": {"keypoints"}}}: PoseLift, HRNet

An entry is an object with keypoints (a list of rows or numbers), scores and idx, as `pose_formats` reads it; with
"unseen_at_zero" its joints of score 0 lie at (0, 0). Frames that have no name are numbered from 0.
"""

import json
from pathlib import Path
from typing import NamedTuple

from util.errors import UserError
from vision.people.coco import JOINTS, NAMES

_TRACK_KEYS = ("track_id", "person_id", "instance_id")
_LABEL_BOX = 5


class ToolPoses(NamedTuple):
    """What a file holds.

    Attributes:
        form: what it was recognised as.
        frames: names with the entries of their people.
        size: (width, height) of the pictures that the keypoints are in pixels of, (1, 1) for fractions of them; None:
            it does not say.
    """

    form: str
    frames: list[tuple[str, list]]
    size: tuple[float, float] | None = None


def recognised(path: Path, content) -> ToolPoses | None:
    """What is in a JSON file, if it is of a form named above.

    Raises:
        UserError: it is of such a form, but has no poses that can be used.
    """
    if isinstance(content, dict):
        if "instance_info" in content:
            return _mmpose(path, content["instance_info"], "MMPose's demo")
        if isinstance(content.get("keypoints"), list) and "skeleton" in content:
            return _easy_vitpose(content)
        if isinstance(content.get("images"), list) and content.get("annotations"):
            return _coco_annotations(path, content)
        if {"pose_landmarks", "landmarks", "poseLandmarks"} & content.keys():
            raise UserError(f"{path}: MediaPipe's landmarks; expected poses of COCO's joints. Let prepare.py find "
                            "them: --poses mediapipe")
        if content and all(_is_by_frame(frames) for frames in content.values()):
            return _by_person(content)
        if content and all(_is_list_of(value, _is_ultralytics) for value in content.values()) and any(content.values()):
            return ultralytics([(name, value) for name, value in content.items()])
        return None
    if not isinstance(content, list) or not content:
        return None
    if all(isinstance(frame, dict) and "instances" in frame for frame in content):
        return _mmpose(path, content, "MMPose's results")
    if all(isinstance(frame, dict) and "people" in frame for frame in content):
        return _controlnet(content)
    if all(isinstance(frame, list) for frame in content):
        frames = [(str(index), people) for index, people in enumerate(content)]
        if any(_is_list_of(people, _is_ultralytics) and people for people in content):
            return ultralytics(frames)
        return ToolPoses("a list of people for each frame", [
            (name, [plain(entry) for entry in people]) for name, people in frames])
    return None


def of_one_picture(path: Path, content) -> tuple[str, list] | None:
    """What is in a file of one picture, as a folder with one for each frame has them, and its people; None: unknown.

    Raises:
        UserError: as `recognised`.
    """
    if isinstance(content, dict) and isinstance(content.get("instance_info"), list):
        found = _mmpose(path, content["instance_info"], "MMPose's demo")
        return "MMPose's", [entry for _, people in found.frames for entry in people]
    if isinstance(content, dict) and isinstance(content.get("instances"), list):
        return "MMPose's", [plain(entry) for entry in content["instances"]]
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        return None
    if content and all(_is_ultralytics(entry) for entry in content):
        return "Ultralytics'", content
    if all("keypoints" in entry for entry in content):
        return "MMPose's", [plain(entry) for entry in content]
    return None


def plain(entry):
    """A person of any of these tools as an entry; what is none of them stays as it is."""
    if not isinstance(entry, dict) or "keypoints" not in entry:
        return entry
    rows = entry["keypoints"]
    scores = entry.get("keypoint_scores", entry.get("keypoints_visible"))
    if scores is None and isinstance(entry.get("scores"), list):
        scores = entry["scores"]
    if isinstance(rows, dict):
        rows = list(zip(*(rows.get(key) or [] for key in ("x", "y"))))
        scores = entry["keypoints"].get("visible") or [1.0] * len(rows)
    while _is_list_of(rows, lambda row: _is_list_of(row, lambda part: isinstance(part, list))) and len(rows) == 1:
        rows = rows[0]  # a batch of one
    while isinstance(scores, list) and len(scores) == 1 and isinstance(scores[0], list):
        scores = scores[0]
    if isinstance(scores, list) and len(scores) == len(rows):
        rows = [[*row[:2], score] if isinstance(row, (list, tuple)) else row for row, score in zip(rows, scores)]
    made = {"keypoints": rows}
    for key in ("confidence", "bbox_score", "score", "scores"):
        if isinstance(entry.get(key), (int, float)):
            made["scores"] = entry[key]
    for key in ("idx", *_TRACK_KEYS):
        if entry.get(key) is not None:
            made["idx"] = entry[key]
            break
    return made


def _mmpose(path: Path, content, form: str) -> ToolPoses:
    if isinstance(content, list) and content and not all(isinstance(e, dict) and "instances" in e for e in content):
        if all(isinstance(entry, dict) and "keypoints" in entry for entry in content):
            return ToolPoses(form, [(path.stem, [plain(entry) for entry in content])])
        raise UserError(f"{path}: {form}, but no list of frames with instances; expected what --save-predictions "
                        "writes")
    return ToolPoses(form, [(str(frame.get("frame_id", index)), [plain(entry) for entry in frame["instances"] or []])
                            for index, frame in enumerate(content or [])])


def _is_ultralytics(entry) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("keypoints"), dict) and "x" in entry["keypoints"]


def ultralytics(frames: list[tuple[str, list]]) -> ToolPoses:
    """Results.to_json() of frames; fractions where it was called with normalize=True."""
    made = [(name, [{**plain(entry), "unseen_at_zero": True} for entry in people
                    if entry.get("name", "person") == "person"]) for name, people in frames]
    values = [x for _, people in made for entry in people for row in entry["keypoints"] for x in row[:2]]
    return ToolPoses("Ultralytics' results", made, (1, 1) if _are_fractions(values) else None)


def labels_folder(folder: Path) -> ToolPoses | None:
    """A folder of Ultralytics' labels, *.txt: class, box, 17 x (x, y[, score]) in fractions, then confidence and id.

    Raises:
        UserError: a line is not of its form.
    """
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".txt"
             and not file.name.startswith(".") and file.stem != "classes"]
    if not files:
        return None
    lines = {file: file.read_text(encoding="utf-8-sig", errors="replace").splitlines() for file in files}
    rows: dict[Path, list[list[float]]] = {}
    for file, text in lines.items():
        rows[file] = []
        for number, line in enumerate(text, start=1):
            try:
                values = [float(word) for word in line.split()]
            except ValueError:
                values = []
            if line.strip() and len(values) - _LABEL_BOX not in (34, 35, 36, 51, 52, 53):
                raise UserError(f"{file}: line {number}: {len(line.split())} words; expected Ultralytics' poses: "
                                "class, box, 17 x (x, y, score). Give labels of a pose model (save_txt, yolo11n-pose)")
            if values:
                rows[file].append(values)
    more = [values[_LABEL_BOX + (51 if len(values) >= 56 else 34):] for found in rows.values() for values in found]
    single_is_id = all(len(m) == 1 and m[0] >= 1 and m[0] == int(m[0]) for m in more)
    frames = []
    for file, found in rows.items():
        people = []
        for values in found:
            width = 3 if len(values) >= 56 else 2
            points = values[_LABEL_BOX:_LABEL_BOX + JOINTS * width]
            rest = values[_LABEL_BOX + JOINTS * width:]
            joints = [points[i:i + width] + [1.0] * (3 - width) for i in range(0, len(points), width)]
            if width == 2:
                joints = [[x, y, float(x > 0 or y > 0)] for x, y, _ in joints]
            entry = {"keypoints": joints, "unseen_at_zero": True}
            if len(rest) == 2 or (rest and single_is_id):
                entry["idx"] = rest[-1]
            people.append(entry)
        frames.append((file.name, people))
    return ToolPoses("Ultralytics' labels", frames, (1, 1))


def _easy_vitpose(content: dict) -> ToolPoses:
    skeleton = content["skeleton"] if isinstance(content["skeleton"], dict) else {}
    place = {str(name).replace("_", " ").lower(): int(key) for key, name in skeleton.items() if str(key).isdecimal()}
    picked = [place[name] for name in NAMES] if all(name in place for name in NAMES) else None
    frames = []
    for index, people in enumerate(content["keypoints"]):
        found = []
        for person, rows in (people or {}).items():
            rows = rows if picked is None or max(picked) >= len(rows) else [rows[i] for i in picked]
            found.append({"keypoints": [[row[1], row[0], *row[2:]] if isinstance(row, list) else row for row in rows],
                          "idx": int(person) if str(person).isdecimal() else person})
        frames.append((str(index), found))
    # its tracker counts from 0, and 0 alone is no sign of AlphaPose without tracking
    if any(entry["idx"] == 0 for _, people in frames for entry in people):
        for _, people in frames:
            for entry in people:
                entry["idx"] = entry["idx"] + 1 if isinstance(entry["idx"], int) else entry["idx"]
    return ToolPoses("easy_ViTPose's results", frames)


def _controlnet(content: list) -> ToolPoses:
    """OpenPose's people, in fractions of the canvas or pixels of it; null or (0, 0, 0) is what was not seen."""
    frames, values = [], []
    for index, frame in enumerate(content):
        people = []
        for person in frame["people"] or []:
            joints = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
            if not joints:
                continue
            joints = [0.0 if x is None else x for x in joints]
            values += [x for i, x in enumerate(joints) if i % 3 < 2 and isinstance(x, (int, float))]
            people.append({"pose_keypoints_2d": joints, "person_id": person.get("person_id", -1)})
        frames.append((str(index), people))
    sizes = {(frame.get("canvas_width"), frame.get("canvas_height")) for frame in content}
    size = (1, 1) if _are_fractions(values) else _the_size(sizes)
    return ToolPoses("ControlNet's poses of all frames", frames, size)


def _coco_annotations(path: Path, content: dict) -> ToolPoses:
    try:
        images = {image["id"]: image for image in content["images"]}
        frames: dict[int, tuple[str, list]] = {key: (str(image["file_name"]), []) for key, image in images.items()}
        posed = [entry for entry in content["annotations"] if entry.get("keypoints")
                 and any(entry["keypoints"][2::3])]
        for entry in posed:
            rows = entry["keypoints"]
            made = {"keypoints": [x / 2 if i % 3 == 2 else x for i, x in enumerate(rows)], "unseen_at_zero": True}
            for values in (entry, entry.get("attributes") or {}):
                for key in _TRACK_KEYS:
                    if values.get(key) is not None:
                        made["idx"] = values[key]
            frames[entry["image_id"]][1].append(made)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: COCO annotations, but not of their form ({type(error).__name__}: {error}); expected "
                        "images with id and file_name, annotations with image_id. Export them again") from None
    if not posed:
        raise UserError(f"{path}: holds an object with images and annotations, but none with keypoints; expected COCO "
                        "keypoints. Masks are given with --masks")
    sizes = {(image.get("width"), image.get("height")) for image in images.values()}
    return ToolPoses("COCO annotations", list(frames.values()), _the_size(sizes))


def _is_by_frame(frames) -> bool:
    return isinstance(frames, dict) and bool(frames) and all(
        isinstance(entry, dict) and "keypoints" in entry for entry in frames.values())


def _by_person(content: dict) -> ToolPoses:
    frames: dict[str, list] = {}
    for number, (person, found) in enumerate(content.items(), start=1):
        for frame, entry in found.items():
            made = plain(entry)
            made["idx"] = int(person) if str(person).isdecimal() else number
            frames.setdefault(str(frame), []).append(made)
    return ToolPoses("poses by person and frame", list(frames.items()))


def _the_size(sizes: set) -> tuple[float, float] | None:
    """The only size of all pictures, if it is one."""
    size = next(iter(sizes)) if len(sizes) == 1 else ()
    return size if size and all(type(side) in (int, float) and 1 < side < 1e5 for side in size) else None


def _are_fractions(values: list) -> bool:
    """Whether coordinates are fractions of the picture: nearly all lie in it, and none far from it."""
    values = [x for x in values if isinstance(x, (int, float))]
    return bool(values) and any(x > 0 for x in values) and max(map(abs, values)) <= 2 and (
        sum(0 <= x <= 1 for x in values) >= 0.9 * len(values))


def _is_list_of(value, is_member) -> bool:
    return isinstance(value, list) and all(is_member(member) for member in value)


def json_lines(text: str) -> list | None:
    """The values of a text with one of JSON in each line; None: it is none."""
    try:
        values = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None
    return values if len(values) > 1 else None
