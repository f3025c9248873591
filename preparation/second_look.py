"""People looked for once more where they must be: an estimator that sees one person in a crop loses who is hidden.

From every frame in which somebody was found he is followed into those in which he was not, forwards and backwards: the
optical flow says where he must be, the others are painted over, and what is found there is his if it is where he must
be, and coloured like him. Who is not found in a few frames and hardly moves in these is where he is before and after.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from preparation.tracks import number_of, on_the_way
from util.files import write_text
from util.images import read_image
from vision.geometry.flow import optical_flow
from vision.people.looks import difference, looks_of, mean_look
from vision.people.pose_formats import Pose
from vision.people.sightings import likeness

Follower = Callable[[np.ndarray, np.ndarray, list[np.ndarray]], list[np.ndarray]]
"""From a picture, where somebody must be and the skeletons of the others in it to the skeletons that may be his, the
surest first."""
_FLOW_PX = 360
"""Height of the pictures between which people are followed."""
_REACH, _FOUND = 0.1, 0.3
"""How far from where he must be a joint may be, as in `likeness`; and how alike both must be for it to be he."""
_OTHER_LOOK, _LOOKED_AT = 0.5, 12
"""Difference in looks from which somebody is another one; frames from which somebody's looks are taken."""
_LOST = 6
"""Frames one after the other in which he is not found, after which he is not looked for any more."""
_LONGEST_GAP = 40
"""Frames between two in which somebody was found that are looked at."""
_BEYOND = 0.5
"""How far beyond the first and the last frame in which somebody was found, as a share of the frames in which he was."""
_STILL, _STILL_FRAMES = 0.5, 12
"""Likeness of somebody before and after so many frames in which he is not found, from which he was there meanwhile."""
_KEPT = "followed.json"
People = list[dict[int, Pose]]
"""The people of each frame, by number."""


def looked_for_again(folder: Path, files: dict[str, Path], people: list[list[Pose]],
                     load: Callable[[], Follower]) -> list[list[Pose]]:
    """Follow people into the frames in which they were not found.

    The network looks once; who chooses differently later gets what was found then.

    Args:
        folder: where what is found is kept.
        files: the frames' pictures by name.
        people: those of each frame, with their numbers.
        load: the network.

    Returns:
        the people of each frame, and who of them was found now.
    """
    known: People = [{number_of(pose): pose for pose in present} for present in people]
    kept = folder / _KEPT
    if kept.exists():
        found = [[np.array(skeleton) for skeleton in of_frame] for of_frame in json.loads(kept.read_text())]
        walk = _Walk(list(files.values()), known, lambda frame, *_: found[frame] if frame < len(found) else [])
        walk.everywhere()
    else:
        follower: list[Follower] = []

        def look(_frame: int, picture: np.ndarray, near: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
            if not follower:
                follower.append(load())
            return follower[0](picture, near, others)

        walk = _Walk(list(files.values()), known, look)
        walk.everywhere()
        write_text(kept, json.dumps([[np.round(pose.keypoints, 3).tolist() for pose in of_frame.values()]
                                     for of_frame in walk.found]))
    return [[pose for _, pose in sorted((present | new).items())] for present, new in zip(known, walk.found)]


class _Walk:
    """Who is followed into which frames.

    Attributes:
        found: who was found in each frame.
    """

    def __init__(self, paths: list[Path], known: People, look: Callable[..., list[np.ndarray]]):
        self._paths, self._known, self._look = paths, known, look
        self.found: People = [{} for _ in paths]
        self._tried: set[tuple[int, int, int]] = set()
        self._pictures: dict[int, np.ndarray] = {}
        self._looks: dict[int, np.ndarray] = {}

    def everywhere(self) -> None:
        """Halfway into gaps from both sides, over the ends, and then from where the other side was lost."""
        for whole in (False, True):
            for step in (1, -1):
                self._follow(step, whole)
        self._stay()

    def _follow(self, step: int, whole: bool) -> None:
        """Go through the clip in one direction; without `whole` only halfway to where somebody is found again."""
        frames = range(len(self._paths))[::step]
        expected: dict[int, Pose] = {}
        missed: dict[int, int] = {}
        for frame in tqdm(frames, desc="poses: again", unit="frame", disable=not self._is_missing()):
            here = self._here(frame)
            due = {person: pose for person, pose in expected.items()
                   if person not in here and missed[person] < _LOST and self._is_wanted(person, frame, step, whole)}
            expected = {}
            if due:
                flow, scale = self._flow(frame - step, frame)
            for person, pose in due.items():
                near = _carried(pose, flow, scale)
                missed[person] += 1
                if not _is_inside(near.keypoints, self._picture(frame).shape):
                    continue
                if (person, frame, step) not in self._tried:
                    self._tried.add((person, frame, step))
                    skeleton = self._seen(frame, near, [other.keypoints for other in self._here(frame).values()])
                    if skeleton is not None:
                        near = replace(near, keypoints=skeleton, score=float(skeleton[:, 2].mean()))
                        self.found[frame][person], missed[person] = near, 0
                expected[person] = near
            for person, pose in here.items():
                expected[person], missed[person] = pose, 0
            self._pictures.pop(frame - step, None)

    def _stay(self) -> None:
        """Fill the gaps of whoever hardly moved in them, where what is there is coloured like him."""
        for person in {person for present in self._known for person in present}:
            seen = [frame for frame in range(len(self._paths)) if person in self._here(frame)]
            for before, after in pairwise(seen):
                ends = self._here(before)[person], self._here(after)[person]
                if after - before - 1 > _STILL_FRAMES or likeness(*(pose.keypoints[None] for pose in ends)) < _STILL:
                    continue
                for frame in range(before + 1, after):
                    pose = on_the_way(*ends, (frame - before) / (after - before))
                    if self._is_coloured_like(person, frame, pose.keypoints):
                        self.found[frame][person] = pose
                    self._pictures.pop(frame, None)

    def _is_missing(self) -> bool:
        everybody = {person for present in self._known for person in present}
        return any(everybody - present.keys() for present in self._known)

    def _here(self, frame: int) -> dict[int, Pose]:
        return self._known[frame] | self.found[frame]

    def _is_wanted(self, person: int, frame: int, step: int, whole: bool) -> bool:
        """Whether somebody who is not found in a frame is looked for in this direction."""
        def nearest(frames: Iterable[int]) -> int | None:
            return next((f for f in frames if person in self._known[f]), None)

        behind = nearest(range(frame, -1 if step > 0 else len(self._paths), -step))
        ahead = nearest(range(frame, len(self._paths) if step > 0 else -1, step))
        if behind is None:
            return False
        if ahead is None:
            return abs(frame - behind) <= _BEYOND * sum(person in present for present in self._known)
        return abs(ahead - behind) <= _LONGEST_GAP + 1 and (
            whole or abs(frame - behind) < abs(ahead - frame) + (step > 0))

    def _seen(self, frame: int, near: Pose, others: list[np.ndarray]) -> np.ndarray | None:
        """The skeleton of somebody in a frame where he must be `near`; None: he is not seen."""
        picture = self._picture(frame)
        best, chosen = _FOUND, None
        for skeleton in self._look(frame, picture, near.keypoints, others):
            alike = float(likeness(skeleton[None], near.keypoints[None], _REACH)[0, 0])
            nearer = likeness(skeleton[None], np.stack(others), _REACH).max() if others else 0
            if alike > max(best, nearer) and self._is_coloured_like(number_of(near), frame, skeleton):
                best, chosen = alike, skeleton
        return chosen

    def _is_coloured_like(self, person: int, frame: int, skeleton: np.ndarray) -> bool:
        """Whether what is at a skeleton looks like somebody, as far as it can be seen."""
        return not difference(self._look_of(person), looks_of(self._picture(frame), [skeleton])[0]) > _OTHER_LOOK

    def _look_of(self, person: int) -> np.ndarray:
        if person not in self._looks:
            frames = [f for f, present in enumerate(self._known) if person in present]
            some = [frames[i] for i in np.linspace(0, len(frames) - 1, min(len(frames), _LOOKED_AT)).astype(int)]
            self._looks[person] = mean_look(np.concatenate([
                looks_of(read_image(self._paths[f], "RGB"), [self._known[f][person].keypoints]) for f in some]))
        return self._looks[person]

    def _picture(self, frame: int) -> np.ndarray:
        if frame not in self._pictures:
            self._pictures[frame] = read_image(self._paths[frame], "RGB")
        return self._pictures[frame]

    def _flow(self, first: int, second: int) -> tuple[np.ndarray, float]:
        """The flow between two frames, and the scale of the pictures that it was found in."""
        scale = min(1.0, _FLOW_PX / self._picture(first).shape[0])
        grey = [cv2.cvtColor(cv2.resize(self._picture(f), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA),
                             cv2.COLOR_RGB2GRAY) for f in (first, second)]
        return optical_flow(*grey), scale


def _carried(pose: Pose, flow: np.ndarray, scale: float) -> Pose:
    """Somebody moved as most of his joints move by a flow between pictures of a scale."""
    columns, rows = np.rint(pose.keypoints[:, :2] * scale).astype(int).T
    moved = flow[rows.clip(0, flow.shape[0] - 1), columns.clip(0, flow.shape[1] - 1)] / scale
    keypoints = pose.keypoints.copy()
    keypoints[:, :2] += np.median(moved, axis=0)
    return replace(pose, keypoints=keypoints)


def _is_inside(keypoints: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether most of somebody is in a picture of a shape (H, W, ...)."""
    x, y = keypoints[:, 0], keypoints[:, 1]
    return bool(((x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])).mean() > 0.5)
