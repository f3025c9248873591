"""OpenPose's people (BODY_25, face, hands) and their drawing as coloured skeletons for vid2vid (`strokes`).

Key points are float64 [N, 3]: x, y in pixels of the frame, and a confidence; what was not found is (0, 0, 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vision.people.strokes import curve_pixels, draw_coloured

POINTS = {"pose_keypoints_2d": 25, "face_keypoints_2d": 70, "hand_left_keypoints_2d": 21,
          "hand_right_keypoints_2d": 21}
"""OpenPose's names of the key points of a person, and how many they are."""

HEAD_BARS = {(17, 15): (153, 0, 153), (15, 0): (153, 0, 102), (0, 16): (102, 0, 153), (16, 18): (51, 0, 153)}
BARS = {
    (0, 1): (153, 0, 51), (1, 8): (153, 0, 0),
    (1, 2): (153, 51, 0), (2, 3): (153, 102, 0), (3, 4): (153, 153, 0),
    (1, 5): (102, 153, 0), (5, 6): (51, 153, 0), (6, 7): (0, 153, 0),
    (8, 9): (0, 153, 51), (9, 10): (0, 153, 102), (10, 11): (0, 153, 153),
    (11, 24): (0, 153, 153), (11, 22): (0, 153, 153), (22, 23): (0, 153, 153),
    (8, 12): (0, 102, 153), (12, 13): (0, 51, 153), (13, 14): (0, 0, 153),
    (14, 21): (0, 0, 153), (14, 19): (0, 0, 153), (19, 20): (0, 0, 153),
}
"""Joints that are joined, and the colour of the bar between them, in the order in which they are drawn."""
FINGERS = {(0, 1, 2, 3, 4): (204, 0, 0), (0, 5, 6, 7, 8): (163, 204, 0), (0, 9, 10, 11, 12): (0, 204, 82),
           (0, 13, 14, 15, 16): (0, 82, 204), (0, 17, 18, 19, 20): (163, 0, 204)}
FACE_CURVES = (tuple(range(17, 22)), tuple(range(22, 27)), tuple(range(27, 31)), tuple(range(31, 36)),
               (36, 37, 38, 39), (39, 40, 41, 36), (42, 43, 44, 45), (45, 46, 47, 42),
               tuple(range(48, 55)), (*range(54, 60), 48))
WHITE = (255, 255, 255)
HEAD = (0, 15, 16, 17, 18)
"""Joints of the head: nose, eyes and ears."""
COCO_JOINTS = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
"""Where COCO's 17 joints are among BODY_25."""
BODY_WIDTH, DETAIL_WIDTH = 3, 1
SURE, FACE_SURE = 0.01, 0.1


@dataclass(frozen=True)
class Person:
    """Key points of one person: body [25, 3], face [70, 3], hands [21, 3] each."""

    body: np.ndarray
    face: np.ndarray
    left_hand: np.ndarray
    right_hand: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> "Person":
        """The person of all points in a row, as `points` gives them."""
        return cls(*np.split(points, np.cumsum(list(POINTS.values()))[:-1]))

    @property
    def points(self) -> np.ndarray:
        """All key points in a row: [137, 3]."""
        return np.concatenate([self.body, self.face, self.left_hand, self.right_hand])

    @property
    def coco(self) -> np.ndarray:
        """The 17 joints of COCO, [17, 3] (`coco`)."""
        return self.body[list(COCO_JOINTS)]


def person_of_coco(keypoints: np.ndarray) -> Person:
    """OpenPose's person of a COCO skeleton [17, 3]: neck and middle of the hips lie between shoulders and hips; feet,
    face and hands are not known."""
    body = np.zeros((POINTS["pose_keypoints_2d"], 3))
    body[list(COCO_JOINTS)] = np.where(keypoints[:, 2:] > 0, keypoints, 0)
    for middle, (one, other) in ((1, (2, 5)), (8, (9, 12))):
        if min(body[one, 2], body[other, 2]) > 0:
            body[middle] = (body[one] + body[other]) / 2
    return Person(body, *(np.zeros((count, 3)) for count in list(POINTS.values())[1:]))


def as_openpose(person: Person) -> dict[str, list[float]]:
    """An entry of `people` in OpenPose's JSON."""
    parts = (person.body, person.face, person.left_hand, person.right_hand)
    return {name: points.round(3).ravel().tolist() for name, points in zip(POINTS, parts)}


def strokes_of(basic: bool) -> int:
    """How many bars, hands and faces a person's drawing has: what augmentation may leave out one by one."""
    return len(BARS) if basic else len(HEAD_BARS) + len(BARS) + 3


def draw_people(people: Sequence[Person], size: tuple[int, int], basic: bool = False,
                kept: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """Draw people on black, each on his own; pictures are added, and what exceeds 255 begins at 0 again.

    Args:
        people: in the order in which they were found.
        size: (width, height) of the frame.
        basic: without head, hands and face.
        kept: for each person bool [strokes_of(basic)], what is drawn of him: bars, hands (left, right), face;
            None: all.

    Returns:
        uint8 RGB [H, W, 3].
    """
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for number, person in enumerate(people):
        picture += draw_person(person, size, basic, None if kept is None else kept[number])
    return picture


def draw_person(person: Person, size: tuple[int, int], basic: bool = False,
                kept: np.ndarray | None = None) -> np.ndarray:
    """Draw one person; arguments and result as those of `draw_people`."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    kept = np.ones(strokes_of(basic), bool) if kept is None else kept
    bars = BARS if basic else HEAD_BARS | BARS
    body = np.where(person.body[:, 2:] > SURE, person.body[:, :2], 0.0)
    for (joints, colour), is_kept in zip(bars.items(), kept):
        if is_kept:
            _draw(picture, body[list(joints)], BODY_WIDTH, colour)
    if basic:
        return picture
    for hand, is_kept in zip((person.left_hand, person.right_hand), kept[len(bars):]):
        for finger, colour in FINGERS.items():
            if is_kept and (hand[list(finger), 2] > SURE).all():
                _draw_chain(picture, hand[list(finger), :2], colour)
    for curve in FACE_CURVES:
        if kept[-1] and (person.face[list(curve), 2] > FACE_SURE).all():
            _draw_chain(picture, person.face[list(curve), :2], WHITE)
    return picture


def with_blurred_face(person: Person, head_noise: np.ndarray, face_shift: np.ndarray) -> Person:
    """The person with head and face moved a little, so that nobody is known by the proportions of the face.

    Args:
        person: who.
        head_noise: [5, 2], pixels by which each joint of `HEAD` is moved.
        face_shift: [2], pixels by which all of the face is moved.

    Points that were not found stay where they are: moved, they would be drawn.
    """
    body, face = person.body.copy(), person.face.copy()
    body[HEAD, :2] += head_noise * (body[HEAD, :2] != 0).any(axis=1, keepdims=True)
    face[:, :2] += face_shift * (face[:, :2] != 0).any(axis=1, keepdims=True)
    return replace(person, body=body, face=face)


def _draw_chain(picture: np.ndarray, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    for start in range(len(points) - 1):
        _draw(picture, points[start:start + 2], DETAIL_WIDTH, colour)


def _draw(picture: np.ndarray, points: np.ndarray, width: int, colour: tuple[int, int, int]) -> None:
    if (points[:, 0] != 0).all():
        draw_coloured(picture, curve_pixels(points), width, colour)
