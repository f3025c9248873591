"""What the page on which people and masks are corrected may ask this machine for.

Frames count from 0, people from 1. Pictures are those of rgb_512, where there are any; coordinates are their pixels.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from data.dataroot import list_images
from data.masks import mask_files, read_matte
from preparation.correction.people import ClipPeople, Frames
from preparation.page import colour
from preparation.steps import METADATA, read_values
from util.clips import DEFAULT_FRAME_RATE, frame_rate_of
from util.errors import UserError
from util.images import read_image
from vision.layers.patches import covered_part
from vision.people.coco import BONES
from vision.people.mask_correction import brush, carried_on, painted
from web.page import SCRIPTS, STYLES, Template
from web.server import Crop, Site

FOLDER = Path(__file__).parent
TEMPLATE = Template(FOLDER / "correction.html", (*STYLES, FOLDER / "correction.css"),
                    (*SCRIPTS, FOLDER / "correction.js"))
MOST_POINTS, LARGEST_RADIUS = 5000, 400
FARTHEST_CARRIED = 100
"""Frames on either side that a correction of a mask is carried on to, at most."""


class Session:
    """A dataroot being corrected: all that the server does, without HTTP.

    Args:
        root: the dataroot, with keypoints.json.

    Raises:
        UserError: it is not in order.
    """

    def __init__(self, root: Path):
        self.root, self.clip = root, ClipPeople(root)
        self.pictures = list_images(root / ("rgb_512" if (root / "rgb_512").is_dir() else "rgb_256"))
        height, width = read_image(next(iter(self.pictures.values())), "L").shape
        self.size = (width, height)
        self.lock = threading.Lock()
        self.site = Site(
            self.page, TEMPLATE.files,
            {("picture", 1): self.picture, ("mask", 2): self.mask, ("poses", 1): self.poses, ("state", 0): self.state},
            {name: self._changes(way) for name, way in (
                ("join", self.join), ("split", self.split), ("drop", self.drop), ("take", self.take_in),
                ("name", self.name), ("paint", self.paint), ("undo", self.undo), ("redo", self.redo))})

    def page(self) -> str:
        """The page."""
        rate = read_values(self.root / METADATA).get("frame_rate", DEFAULT_FRAME_RATE)
        return TEMPLATE.page({"data": {
            "name": self.root.resolve().name, "token": self.site.token, "length": len(self.clip.frames),
            "size": self.size, "rate": float(frame_rate_of(str(rate))), "bones": BONES,
            "colours": ["#{:02x}{:02x}{:02x}".format(*colour(number)) for number in range(1, 11)],
            "then": f"python prepare.py --dataroot {self.root}", "state": self.state()}})

    def state(self) -> dict:
        """Who is in the clip and when, who is left out and why, and what can be undone."""
        masks, names = mask_files(self.root), self.clip.names()
        length = len(self.clip.frames)
        people = [{"number": number, "name": names.get(number, ""), "painted": self.clip.painted(number),
                   "runs": _runs(self.clip.people, number) or [[0, length - 1]], "hasMasks": number in masks}
                  for number in self.clip.numbers()]
        others = [{"number": int(number), "name": facts.get("name", ""), "why": facts["why"],
                   "runs": _runs(self.clip.left_out, int(number))} for number, facts in self.clip.why.items()]
        others.sort(key=lambda other: -sum(last - first + 1 for first, last in other["runs"]))
        return {"people": people, "leftOut": others, "canUndo": bool(self.clip.done),
                "canRedo": bool(self.clip.undone)}

    def picture(self, frame: str) -> Crop:
        """A frame."""
        return 0, 0, read_image(self.pictures[self.clip.frames[self._frame(frame)]], "RGB")

    def mask(self, person: str, frame: str) -> Crop | None:
        """Somebody's mask, grey, only what is covered."""
        path = self.clip.mask_path(self._number(person), self._frame(frame))
        if path is None:
            return None
        matte = cv2.resize(read_matte(path), self.size, interpolation=cv2.INTER_AREA)
        x, y, part = covered_part(np.dstack([matte] * 4))
        return (x, y, np.ascontiguousarray(part[..., 3])) if part.size else None

    def poses(self, frame: str) -> dict:
        """The skeletons in a frame, of people and of those who are left out: [17, 3] with x and y of the picture."""
        index = self._frame(frame)
        scale = np.array([self.size[0] / self.clip.pose_size[0], self.size[1] / self.clip.pose_size[1], 1])
        return {key: {pose.person: np.round(pose.keypoints * scale, 1).tolist() for pose in frames[index]}
                for key, frames in (("people", self.clip.people), ("leftOut", self.clip.left_out))}

    def join(self, asked: dict) -> None:
        """Make one person of two."""
        self.clip.join(self._number(asked.get("person")), self._number(asked.get("other")))

    def split(self, asked: dict) -> None:
        """Make another person of somebody from a frame on."""
        self.clip.split(self._number(asked.get("person")), self._frame(asked.get("frame")))

    def drop(self, asked: dict) -> None:
        """Leave somebody out."""
        self.clip.drop(self._number(asked.get("person")))

    def take_in(self, asked: dict) -> None:
        """Take in somebody who was left out."""
        self.clip.take_in(self._number(asked.get("person")))

    def name(self, asked: dict) -> None:
        """Name somebody."""
        self.clip.name(self._number(asked.get("person")), asked.get("name"))  # type: ignore[arg-type]  # it looks

    def undo(self, _: dict) -> None:
        """Undo the last change."""
        self.clip.undo()

    def redo(self, _: dict) -> None:
        """Do it again."""
        self.clip.redo()

    def paint(self, asked: dict) -> dict:
        """Add a stroke to somebody's mask or take it away, and carry it on before and after.

        Frames that were painted by hand end this: no correction changes another.
        """
        person, frame = self._number(asked.get("person")), self._frame(asked.get("frame"))
        points, radius = _points(asked.get("points")), asked.get("radius")
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0.5 <= radius <= LARGEST_RADIUS:
            raise UserError(f"radius: found {radius}; expected 0.5 to {LARGEST_RADIUS}")
        adds, carries = asked.get("adds") is not False, asked.get("carries") is not False
        stroke = brush(self.size, points, radius)
        changed = []
        with self.clip.painting(person, frame):
            change = self._paint(person, frame, stroke, adds)
            stroke = np.where(change, stroke, 0).astype(np.uint8)
            for frames in self._around(person, frame) if carries and stroke.any() else ():
                pictures = (read_image(self.pictures[self.clip.frames[index]], "RGB") for index in (frame, *frames))
                for index, moved in zip(frames, carried_on(stroke, pictures)):
                    self._paint(person, index, moved, adds)
                    changed.append(index)
        return {"first": min([frame, *changed]), "last": max([frame, *changed])}

    def _paint(self, person: int, frame: int, stroke: np.ndarray, adds: bool) -> np.ndarray:
        """Change a mask; returns where it has changed, bool in pixels of the picture."""
        path = self.clip.mask_path(person, frame)
        if path is None:
            return np.zeros(stroke.shape, bool)
        before = read_matte(path)
        after = painted(before, cv2.resize(stroke, before.shape[::-1], interpolation=cv2.INTER_LINEAR), adds)
        if not np.array_equal(before, after):
            self.clip.write_mask(person, frame, after)
        return cv2.resize(cv2.absdiff(before, after), self.size, interpolation=cv2.INTER_AREA) > 16

    def _around(self, person: int, frame: int) -> Iterator[range]:
        """Frames after one, and those before it, to which what is painted there may be carried on."""
        by_hand = set(self.clip.painted(person)) - {frame}
        ends = min((index for index in by_hand if index > frame), default=len(self.clip.frames))
        begins = max((index for index in by_hand if index < frame), default=-1)
        yield range(frame + 1, min(ends, frame + 1 + FARTHEST_CARRIED))
        yield range(frame - 1, max(begins, frame - 1 - FARTHEST_CARRIED), -1)

    def _changes(self, way: Callable[[dict], dict | None]) -> Callable[[dict], dict]:
        """A command that changes something, one at a time; the answer has the new state."""
        def command(asked: dict) -> dict:
            if not isinstance(asked, dict):
                raise UserError("request: expected an object")
            with self.lock:
                return {**(way(asked) or {}), "state": self.state()}
        return command

    def _frame(self, value) -> int:
        number = _whole(value)
        if number is None or not 0 <= number < len(self.clip.frames):
            raise UserError(f"frame: found {str(value)[:20]}; expected 0 to {len(self.clip.frames) - 1}")
        return number

    def _number(self, value) -> int:
        number = _whole(value)
        if number is None or number < 1:
            raise UserError(f"person: found {str(value)[:20]}; expected a number from 1")
        return number


def _whole(value) -> int | None:
    """A whole number of JSON, or of an address."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 8:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _points(values) -> list[tuple[float, float]]:
    """The points of a stroke.

    Raises:
        UserError: they are none.
    """
    if not isinstance(values, list) or not 1 <= len(values) <= MOST_POINTS or not all(
            isinstance(point, list) and len(point) == 2 and all(
                isinstance(number, int | float) and abs(number) < 1e5 for number in point) for point in values):
        raise UserError(f"points: expected 1 to {MOST_POINTS} pairs of numbers")
    return [(float(x), float(y)) for x, y in values]


def _runs(frames: Frames, person: int) -> list[list[int]]:
    """First and last frame of each stretch in which somebody is."""
    seen = [index for index, present in enumerate(frames) if any(pose.person == person for pose in present)]
    breaks = [i for i in range(1, len(seen)) if seen[i] != seen[i - 1] + 1]
    return [[seen[first], seen[last - 1]] for first, last in zip([0, *breaks], [*breaks, len(seen)])] if seen else []
