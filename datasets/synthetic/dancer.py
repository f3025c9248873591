"""People who dance on the spot: their poses, photographs, DensePose-like IUV pictures and OpenPose key points.

Poses and people are those of the other samples (`motion`, `person`): metres, x right, y up, z away from the camera.
"""

import cv2
import numpy as np

from datasets.synthetic.motion import (
    ANKLE,
    FOREARM,
    SHIN,
    SIDES,
    SPINE,
    THIGH,
    UP,
    UPPER_ARM,
    Skeleton,
    basis,
    bent_limb,
)
from datasets.synthetic.person import Person
from datasets.synthetic.scene import EYE, View, draw_scene
from datasets.synthetic.solids import cast_shadow, render, seen_points
from datasets.synthetic.talking_face import Expression, landmarks

SUN = np.array([-0.5, 0.75, -0.43]) / np.linalg.norm([-0.5, 0.75, -0.43])  # towards it, behind the camera
GROUND = np.array([0.0, 0.0, 5.8])
FINE = 2  # drawn pixels per pixel, each way
DARKEST = 0.5  # opacity of the shadow
RATE = 25
BONES = (  # (radius as a fraction of the height, parts of DensePose in front and behind)
    ("torso", 0.1, (2, 1)), ("head", 0.065, (24, 23)),
    ("right upper arm", 0.034, (17, 15)), ("left upper arm", 0.034, (18, 16)),
    ("right forearm", 0.028, (21, 19)), ("left forearm", 0.028, (22, 20)),
    ("right hand", 0.024, (3, 3)), ("left hand", 0.024, (4, 4)),
    ("right thigh", 0.058, (9, 7)), ("left thigh", 0.058, (10, 8)),
    ("right shin", 0.042, (13, 11)), ("left shin", 0.042, (14, 12)),
    ("right foot", 0.032, (5, 5)), ("left foot", 0.032, (6, 6)),
)


class Dance:
    """A dance without end: the same seed, the same moves.

    Args:
        rng: decides the moves.
        person: whose body dances.
        lively: 0 stands still, 1 moves widely.
    """

    def __init__(self, rng: np.random.Generator, person: Person, lively: float = 1.0):
        self.person, self.lively = person, lively
        self.beat = rng.uniform(1.3, 1.7)  # steps a second
        self.phases, self.weights = rng.uniform(0, 1, (8, 3)), rng.uniform(0.4, 1, (8, 3))

    def _wave(self, which: int, t: float) -> float:
        """A track of moves from -1 to 1, in time with the beat."""
        paces = self.beat / np.array((2.0, 4.0, 9.0))
        waves = np.sin(2 * np.pi * (paces * t + self.phases[which]))
        return float(self.weights[which] @ waves / self.weights[which].sum()) * self.lively

    def skeleton(self, t: float) -> Skeleton:
        """The pose at a time, seconds."""
        tall = self.person.height
        facing = -np.pi / 2 + 0.55 * self._wave(0, t)
        pelvis_axes = basis(facing)
        chest_axes = basis(facing + 0.35 * self._wave(1, t), 0.1 + 0.12 * self._wave(2, t))
        head_axes = basis(facing * 0.5 - np.pi / 4 + 0.2 * self._wave(3, t), 0.08 * self._wave(2, t))
        lean = self._wave(4, t) * np.array((0.07, 0, 0)) * tall
        down = 0.02 + 0.05 * self.lively * abs(np.sin(np.pi * self.beat * t))
        pelvis = lean + (THIGH + SHIN + ANKLE - down) * tall * UP
        hips, knees, ankles, toes = [], [], [], []
        right, _, ahead = basis(-np.pi / 2)
        step = np.sin(np.pi * self.beat * t)
        for side in SIDES:
            lifted = 0.09 * self.lively * max(side * step, 0) ** 2 * tall
            spread = (0.075 + 0.05 * self.lively * max(side * self._wave(5, t), 0)) * tall
            ankle = side * spread * right + (ANKLE * tall + lifted) * UP + 0.4 * lean
            hips.append(pelvis + side * self.person.hips * tall * pelvis_axes[0])
            knee, reached = bent_limb(hips[-1], ankle, THIGH * tall, SHIN * tall, ahead + 0.25 * side * right)
            knees.append(knee)
            ankles.append(reached)
            toe = ahead + 0.4 * side * right - 0.6 * lifted / tall * UP
            toes.append(toe / np.linalg.norm(toe))
        chest = pelvis + SPINE * tall * (0.4 * pelvis_axes[1] + 0.6 * chest_axes[1])
        neck = chest + (0.035 * chest_axes[1] + 0.008 * chest_axes[2]) * tall
        shoulders, elbows, wrists = [], [], []
        for side, track in zip(SIDES, (6, 7)):
            raised = 0.25 + 1.25 * self.lively * (0.5 + 0.5 * self._wave(track, t))
            swing = 0.5 * self._wave((track + 2) % 8, t)
            bent = 0.4 + 0.9 * self.lively * (0.5 + 0.5 * self._wave((track + 3) % 8, t))
            shoulders.append(chest + side * self.person.shoulders * tall * chest_axes[0])
            elbows.append(shoulders[-1] + UPPER_ARM * tall * _arm(chest_axes, side, swing, raised))
            wrists.append(elbows[-1] + FOREARM * tall * _arm(chest_axes, side, swing + 0.3 * bent, raised + bent))
        return Skeleton(GROUND, pelvis, chest, neck, np.stack(hips), np.stack(knees), np.stack(ankles),
                        np.stack(shoulders), np.stack(elbows), np.stack(wrists), np.stack(toes), pelvis_axes,
                        chest_axes, head_axes)


class Stage:
    """A yard with somebody in it, as a camera that stands still sees it.

    Args:
        rng: decides the yard.
        size: (width, height) of frames.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        width, height = size
        self.view = View(round(width * 1.25), round(height * 1.25))
        self.corner = (self.view.width - width) // 2, round(0.16 * height)
        x, y = self.corner
        scene, _ = draw_scene(self.view, (x, y, x + width, y + height), FINE, rng)
        self.scene = cv2.GaussianBlur(scene, (3, 3), 0.6)
        self.size = size
        self.ray = (GROUND - (0, EYE, 0)) / GROUND[2]
        self.scale = self.view.focal / GROUND[2]
        self.left, self.top = ((np.array(self.corner) - 0.5 - self.view.centre) / self.scale * (1, -1) + (0, EYE))

    def photograph(self, person: Person, skeleton: Skeleton) -> np.ndarray:
        """The person in the yard: uint8 [H, W, 3]."""
        picture, shade = self._fine(person, skeleton)
        frame = picture[..., :3] + self.scene * ((1 - shade[..., None]) * (1 - picture[..., 3:]))
        return _levels(cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA))

    @property
    def empty(self) -> np.ndarray:
        """The yard without anybody: uint8 [H, W, 3]."""
        return _levels(cv2.resize(self.scene, self.size, interpolation=cv2.INTER_AREA))

    def layer(self, person: Person, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
        """The person with her shadow, straight RGBA uint8 [H, W, 4]; and the matte of the person alone [H, W]."""
        picture, shade = self._fine(person, skeleton)
        alpha = 1 - (1 - picture[..., 3]) * (1 - shade)
        small = cv2.resize(np.dstack([picture[..., :3], alpha, picture[..., 3]]), self.size,
                           interpolation=cv2.INTER_AREA)
        straight = small[..., :3] / np.maximum(small[..., 3:4], 1e-6)
        return _levels(np.dstack([straight, small[..., 3]])), _levels(small[..., 4])

    def _fine(self, person: Person, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
        """The person, premultiplied [h, w, 4], and the opacity of her shadow [h, w]; `FINE` times as fine as frames."""
        parts = person.parts(skeleton)
        shape = self.scene.shape[:2]
        shadow = np.zeros(shape, np.uint8)
        for part in parts:
            outline = (self.view.project(cast_shadow(part, SUN) + GROUND) - self.corner + 0.5) * FINE - 0.5
            cv2.fillConvexPoly(shadow, cv2.convexHull(np.round(outline * 16).astype(np.int32)), 255, cv2.LINE_AA, 4)
        shade = cv2.GaussianBlur(shadow.astype(np.float32), (0, 0), 0.03 * self.scale * FINE) * (DARKEST / 255)
        picture = render(parts, self.ray, self.left, self.top, shape, self.scale * FINE, SUN)
        return cv2.GaussianBlur(picture, (3, 3), 0.6), shade

    def iuv(self, person: Person, skeleton: Skeleton) -> np.ndarray:
        """Where the body is seen: uint8 [H, W, 3], U along each part, V round it, and the part, 1 to 24."""
        points = seen_points(person.parts(skeleton), self.ray, self.left, self.top, self.size[::-1], self.scale)
        seen = np.isfinite(points[..., 0])
        picture = np.zeros((*seen.shape, 3), np.uint8)
        picture[seen] = body_coordinates(points[seen], skeleton, person.height)
        return picture

    def places(self, points: np.ndarray) -> np.ndarray:
        """Pixels [N, 2] of points [N, 3] about the person's place."""
        seen = points[:, :2] - points[:, 2:] * self.ray[:2]
        world = np.column_stack([seen, np.full(len(seen), GROUND[2])])
        return self.view.project(world) - self.corner

    def openpose(self, person: Person, skeleton: Skeleton) -> dict:
        """The person as OpenPose writes one: names of key points to x, y, confidence of each."""
        places = {name: self.places(points) for name, points in key_points(person, skeleton).items()}
        return {name: np.column_stack([xy, np.full(len(xy), 0.9)]).round(3).ravel().tolist()
                for name, xy in places.items()}


def _levels(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def body_coordinates(points: np.ndarray, skeleton: Skeleton, height: float) -> np.ndarray:
    """U, V and part [N, 3] of points [N, 3] of a body's surface: those of the nearest bone."""
    bones = _bones(skeleton)
    ends = np.array([bones[name] for name, *_ in BONES])
    along = ends[:, 1] - ends[:, 0]
    offset = points[:, None] - ends[:, 0]
    share = np.clip((offset * along).sum(-1) / (along ** 2).sum(-1), 0, 1)
    across = offset - share[..., None] * along
    radii = np.array([radius for _, radius, _ in BONES]) * height
    nearest = (np.linalg.norm(across, axis=-1) / radii).argmin(axis=1)
    row = np.arange(len(points))
    right, _, ahead = skeleton.chest_axes
    across = across[row, nearest]
    angle = np.arctan2(across @ right, across @ ahead)  # 0 in front
    parts = np.array([both for *_, both in BONES])[nearest, (abs(angle) > np.pi / 2).astype(int)]
    round_it = np.where(abs(angle) > np.pi / 2, abs(angle) / np.pi, angle / np.pi + 0.5)
    return np.stack([share[row, nearest] * 255, round_it * 255, parts], axis=1).round().astype(np.uint8)


def key_points(person: Person, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Key points [N, 3] about the person's place, by OpenPose's names: BODY_25, face and hands."""
    tall = person.height
    coco = person.keypoints(skeleton)
    nose, left_eye, right_eye, left_ear, right_ear = coco[:5]
    limbs = (skeleton.shoulders, skeleton.elbows, skeleton.wrists)
    legs = (skeleton.hips, skeleton.knees, skeleton.ankles)
    feet = []
    for k in range(2):
        ankle, ahead = skeleton.ankles[k], skeleton.feet[k]
        across = np.cross(UP, ahead) * SIDES[k]
        feet += [ankle + (0.11 * ahead - 0.02 * across - 0.035 * UP) * tall,
                 ankle + (0.095 * ahead + 0.02 * across - 0.035 * UP) * tall, ankle - (0.03 * ahead + 0.03 * UP) * tall]
    body = [nose, skeleton.shoulders.mean(axis=0), *(joint[1] for joint in limbs), *(joint[0] for joint in limbs),
            skeleton.hips.mean(axis=0), *(joint[1] for joint in legs), *(joint[0] for joint in legs),
            right_eye, left_eye, right_ear, left_ear, *feet]
    right, up, ahead = skeleton.head_axes
    flat = landmarks(Expression())
    flat = np.concatenate([flat, [flat[36:42].mean(axis=0), flat[42:48].mean(axis=0)]])
    round_off = 0.5 * np.minimum((flat ** 2).sum(axis=1, keepdims=True), 1.4)
    face = nose + 0.062 * tall * (-flat[:, :1] * right - flat[:, 1:] * up - round_off * ahead)
    return {"pose_keypoints_2d": np.stack(body), "face_keypoints_2d": face,
            "hand_left_keypoints_2d": _hand(skeleton, 0, tall), "hand_right_keypoints_2d": _hand(skeleton, 1, tall)}


def _hand(skeleton: Skeleton, k: int, tall: float) -> np.ndarray:
    """21 points [21, 3]: the wrist, and four of each finger from the thumb on."""
    wrist = skeleton.wrists[k]
    along = (wrist - skeleton.elbows[k]) / np.linalg.norm(wrist - skeleton.elbows[k])
    across = np.cross(along, skeleton.chest_axes[2])
    across /= max(np.linalg.norm(across), 1e-6)
    points = [wrist]
    for finger in range(5):
        for joint in range(4):
            reach = (0.022 if finger == 0 else 0.04) + (0.012 if finger in (0, 4) else 0.014) * joint
            points.append(wrist + tall * (reach * along + (finger - 2) * (0.008 + 0.001 * joint) * across))
    return np.stack(points)


def _bones(skeleton: Skeleton) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    bones = {"torso": (skeleton.pelvis, skeleton.chest),
             "head": (skeleton.neck + 0.06 * skeleton.head_axes[1], skeleton.neck + 0.2 * skeleton.head_axes[1])}
    for k, side in enumerate(("left", "right")):
        elbow, wrist = skeleton.elbows[k], skeleton.wrists[k]
        along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
        bones |= {f"{side} upper arm": (skeleton.shoulders[k], elbow), f"{side} forearm": (elbow, wrist),
                  f"{side} hand": (wrist + 0.02 * along, wrist + 0.14 * along),
                  f"{side} thigh": (skeleton.hips[k], skeleton.knees[k]),
                  f"{side} shin": (skeleton.knees[k], skeleton.ankles[k]),
                  f"{side} foot": (skeleton.ankles[k] - 0.04 * UP, skeleton.ankles[k] - 0.04 * UP
                                   + 0.16 * skeleton.feet[k])}
    return bones


def _arm(axes: np.ndarray, side: int, swing: float, raised: float) -> np.ndarray:
    """Unit vector of an arm that hangs down, is swung forward and then raised sideways (radians)."""
    right, up, ahead = axes
    down = np.sin(swing) * ahead - np.cos(swing) * up
    return np.cos(raised) * down + np.sin(raised) * side * right
