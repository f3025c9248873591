"""Body coordinates without a network: the 24 DensePose parts drawn from 17 keypoints.

Every part is a ribbon along a bone, shaded as if it were half a cylinder: u runs along the bone, v around it. Which
way the person faces is estimated from shoulders, hips, ears and nose, and turns the cylinders: as a person turns, the
front slides out of sight while the back comes into view, and no part ever flips as a whole.

Points are (x, y) in pixels, pixel centres at whole numbers; other lengths are fractions of the person's standing
height, which is estimated from the bones. Angles are in radians. "Left" is the person's left. The shapes are a little
slim on purpose: what they claim to be the person should be the person.
"""

from dataclasses import dataclass

import numpy as np

from vision.people.coco import ANKLES, EARS, ELBOWS, EYES, HIPS, KNEES, NOSE, SHOULDERS, WRISTS

_ARMS, _LEGS = tuple(zip(SHOULDERS, ELBOWS, WRISTS)), tuple(zip(HIPS, KNEES, ANKLES))
_SPINE, _SHOULDER_WIDTH, _HIP_WIDTH, _EAR_WIDTH, _NOSE_REACH = 0.30, 0.21, 0.13, 0.085, 0.055
_BONE_LENGTHS = {(5, 11): _SPINE, (6, 12): _SPINE, (11, 13): 0.235, (12, 14): 0.235, (13, 15): 0.23, (14, 16): 0.23,
                 (5, 7): 0.165, (6, 8): 0.165, (7, 9): 0.14, (8, 10): 0.14, (5, 6): _SHOULDER_WIDTH}
_SURE_SCORE = 0.1
_MIN_RADIUS_PX = 0.6


@dataclass(frozen=True)
class _Pose:
    """A skeleton, and what drawing needs to know of it.

    Attributes:
        points: [17, 2] in pixels; a missing shoulder or hip is filled in.
        weight: [17] in [0, 1]: 0 for a missing joint, 1 for a sure one.
        height: standing height in pixels.
        head: [2] the middle of the head, between the ears.
        down: unit vector from the neck to the pelvis.
        toward: how far the trunk faces the camera, -1 (seen from behind) to 1.
        forward: how far the person faces across the trunk, 1 for an upright one facing right in the picture.
    """

    points: np.ndarray
    weight: np.ndarray
    height: float
    head: np.ndarray
    down: np.ndarray
    toward: float
    forward: float

    @property
    def neck(self) -> np.ndarray:
        """Point between the shoulders."""
        return self.points[SHOULDERS].mean(axis=0)

    @property
    def pelvis(self) -> np.ndarray:
        """Point between the hips."""
        return self.points[HIPS].mean(axis=0)

    @property
    def turn(self) -> float:
        """The trunk's angle: 0 facing the camera, pi / 2 facing across.

        A trunk is flat and the head turns more easily, so the face has less say than the shoulders.
        """
        return float(np.arctan2(0.55 * self.forward, self.toward))


@dataclass(frozen=True)
class _Ribbon:
    """A strip between two edges.

    Attributes:
        parts: the DensePose parts of the two halves of the cylinder.
        turn: angle by which the first half is turned away from the camera; at 0 nothing else is seen.
        centers: [K, 2] points along the middle.
        halves: [K, 2] from there to one of the edges.
        u: [K] in [0, 1].
    """

    parts: tuple[int, int]
    turn: float
    centers: np.ndarray
    halves: np.ndarray
    u: np.ndarray


def draw_body(keypoints: np.ndarray, input_size: tuple[int, int],
              size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one person's body coordinates.

    A joint is missing at score 0; from there to a score of 0.1 the limbs that end in it gain their full width, so that
    an unsure joint fades instead of flickering. A limb needs both its joints. What lies outside the frame is cut.

    Args:
        keypoints: [17, 3] COCO joints (x, y, score) in pixels of the frames that the poses were found on.
        input_size: (width, height) of those frames.
        size: (width, height) of the result.

    Returns:
        `part` [H, W] uint8, 0 (nobody) to 24, and `u`, `v` [H, W] float32 in [0, 1].
    """
    canvas = np.zeros((3, size[1], size[0]), np.float32)
    scale = np.array(size) / np.array(input_size)
    pose = _understand((keypoints[:, :2] + 0.5) * scale - 0.5, np.clip(keypoints[:, 2] / _SURE_SCORE, 0, 1))
    if pose is not None:
        for ribbon in _back_to_front(pose):
            _draw(canvas, ribbon)
    return canvas[0].astype(np.uint8), canvas[1], canvas[2]


# Understanding the skeleton.


def _understand(points: np.ndarray, weight: np.ndarray) -> _Pose | None:
    """Measure a skeleton; None without any bone, or with neither shoulders nor hips."""
    bones = [np.linalg.norm(points[a] - points[b]) / length
             for (a, b), length in _BONE_LENGTHS.items() if min(weight[a], weight[b]) > 0]
    if not bones or not weight[SHOULDERS + HIPS].any():
        return None
    # Foreshortening only ever makes bones shorter: the person is about as tall as the longest suggest.
    height = max(float(np.quantile(bones, 0.85)), 1.0)
    points, weight = _with_whole_trunk(points, weight, height)
    spine = points[HIPS].mean(axis=0) - points[SHOULDERS].mean(axis=0)
    down = _unit(spine + (0, 0.02 * height))
    spread = (points[5] - points[6]) / _SHOULDER_WIDTH + (points[11] - points[12]) / _HIP_WIDTH
    head = _head_center(points, weight, height, down)
    profile = (points[NOSE] - head) / _NOSE_REACH
    across = _across(down) / height
    return _Pose(points, weight, height, head, down, toward=float(np.clip(spread @ across / 2, -1, 1)),
                 forward=float(np.clip(profile @ across, -1, 1) * weight[NOSE]))


def _with_whole_trunk(points: np.ndarray, weight: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Fill in a missing shoulder or hip, or a missing pair, as if the trunk were upright and its sides alike."""
    points, weight = points.copy(), weight.copy()
    spine, ratio = np.array([0, _SPINE * height]), _HIP_WIDTH / _SHOULDER_WIDTH
    known = ((HIPS, SHOULDERS, spine, ratio), (SHOULDERS, HIPS, -spine, 1 / ratio))
    for (left, right), other, _, factor in known:
        width = factor * (points[other[0]] - points[other[1]]) * weight[other].all()
        for joint, partner, offset in ((left, right, width), (right, left, -width)):
            if weight[joint] == 0:
                points[joint], weight[joint] = points[partner] + offset, weight[partner]
    for pair, other, offset, factor in known:
        if not weight[pair].any():
            middle = points[other].mean(axis=0)
            points[pair], weight[pair] = middle + offset + factor * (points[other] - middle), weight[other]
    return points, weight


def _head_center(points: np.ndarray, weight: np.ndarray, height: float, down: np.ndarray) -> np.ndarray:
    """Between the ears; without them between nose and eyes; without these above the neck."""
    for joints in (EARS, [NOSE, *EYES]):
        if weight[joints].sum() > 0:
            return np.average(points[joints], axis=0, weights=weight[joints])
    return points[SHOULDERS].mean(axis=0) - 0.13 * height * down


# Building the body.


def _back_to_front(pose: _Pose) -> list[_Ribbon]:
    """All ribbons of a person in drawing order: the far side, the trunk, the head, the near side.

    Arms and legs count as slightly before the trunk, so they are hidden by it when seen from behind.
    """
    groups = [(0.0, [_trunk(pose)]), (0.01, [_head(pose)])]
    for sign, arm, leg in zip((1, -1), _ARMS, _LEGS):
        nearness = pose.toward / 2 - sign * pose.forward
        groups += [(nearness, _arm(pose, sign, arm)), (nearness / 2, _leg(pose, sign, leg))]
    return [ribbon for _, ribbons in sorted(groups, key=lambda group: group[0]) for ribbon in ribbons]


def _trunk(pose: _Pose) -> _Ribbon:
    """Neck, shoulders, chest, waist and hips, down to the crotch."""
    h, down = pose.height, pose.down
    shoulder, hip = _trunk_half(pose, SHOULDERS, depth=0.07), _trunk_half(pose, HIPS, depth=0.08)
    slim = 0.03 * h * _across(down)
    neck, pelvis = pose.neck, pose.pelvis
    stations = [
        (0.00, neck + 0.6 * (pose.head - neck), slim),
        (0.08, neck - 0.045 * h * down, 1.2 * slim),
        (0.14, neck - 0.025 * h * down, 0.8 * shoulder),
        (0.20, neck, shoulder),
        *((0.2 + 0.7 * f, neck + f * (pelvis - neck), width * (shoulder + f * (hip - shoulder)))
          for f, width in ((0.15, 1.0), (0.4, 0.95), (0.7, 1.0), (1.0, 1.2))),
        (1.00, pelvis + 0.04 * h * down, 0.9 * hip),
    ]
    u, centers, halves = map(np.array, zip(*stations))
    return _Ribbon((2, 1), pose.turn, centers, halves, u)


def _trunk_half(pose: _Pose, joints: list[int], depth: float) -> np.ndarray:
    """From the middle of a pair of joints to the trunk's edge on the right in the picture: an ellipse seen askew."""
    half = (pose.points[joints[0]] - pose.points[joints[1]]) / 2
    across = _across(pose.down)
    width = np.hypot(half @ across, depth * pose.height)
    return width * across + (half @ pose.down) * (half @ across) / width * pose.down


def _head(pose: _Pose) -> _Ribbon:
    """The head with hair: an ellipse from the chin to the crown."""
    h, center = pose.height, pose.head
    down = _unit(pose.neck - center + 0.05 * h * pose.down)
    across = _across(down)
    left, right = pose.points[EARS]
    toward = np.clip((left - right) @ across / (_EAR_WIDTH * h), -1, 1) * pose.weight[EARS].min()
    forward = np.clip((pose.points[NOSE] - center) @ across / (_NOSE_REACH * h), -1, 1) * pose.weight[NOSE]
    size = 0.5 * 0.066 * h + 0.5 * 0.7 * np.linalg.norm(pose.neck - center)
    along = np.cos(np.linspace(0, np.pi, 9))
    centers = center - 0.15 * size * down - size * along[:, None] * down
    halves = 0.84 * size * np.sqrt(1 - along**2)[:, None] * across
    return _Ribbon((24, 23), float(np.arctan2(forward, toward)) + np.pi / 2, centers, halves, np.linspace(0, 1, 9))


def _arm(pose: _Pose, sign: int, joints: tuple[int, int, int]) -> list[_Ribbon]:
    """Upper arm, lower arm and hand; `sign` is 1 for the left one."""
    upper, lower, hand = ((17, 15), (21, 19), (4, 4)) if sign > 0 else ((18, 16), (22, 20), (3, 3))
    shoulder, elbow, wrist = pose.points[list(joints)]
    turn = pose.turn + sign * np.pi / 2
    fade_upper, fade_lower = pose.weight[list(joints[:2])].min(), pose.weight[list(joints[1:])].min()
    tip = wrist + 0.06 * pose.height * _unit(wrist - elbow + 0.01 * pose.height * pose.down)
    return [
        *_limb(pose, upper, turn, (shoulder, elbow), (0.034, 0.026), fade_upper),
        *_limb(pose, lower, turn, (elbow, wrist), (0.026, 0.019), fade_lower),
        *_limb(pose, hand, 0.0, (wrist, tip), (0.019, 0.022), fade_lower),
    ]


def _leg(pose: _Pose, sign: int, joints: tuple[int, int, int]) -> list[_Ribbon]:
    """Upper leg, lower leg and foot; `sign` is 1 for the left one."""
    upper, lower, foot = ((10, 8), (14, 12), (5, 5)) if sign > 0 else ((9, 7), (13, 11), (6, 6))
    hip, knee, ankle = pose.points[list(joints)]
    fade_upper, fade_lower = pose.weight[list(joints[:2])].min(), pose.weight[list(joints[1:])].min()
    shin = _unit(ankle - knee + 0.01 * pose.height * pose.down)
    # A foot stands on the ground or keeps its angle to the shin: halfway between is never far off.
    ground = pose.forward * np.array([1, 0]) + 0.35 * pose.toward * np.array([0, 1])
    free = pose.forward * _across(shin) + 0.35 * pose.toward * shin
    direction = (ground + free) / 2
    sole = ankle + 0.02 * pose.height * shin
    return [
        *_limb(pose, upper, pose.turn, (hip, knee), (0.060, 0.040), fade_upper),
        *_limb(pose, lower, pose.turn, (knee, ankle), (0.040, 0.024), fade_lower),
        *_limb(pose, foot, 0.0, (sole - 0.02 * pose.height * direction, sole + 0.09 * pose.height * direction),
               (0.024, 0.020), fade_lower),
    ]


def _limb(pose: _Pose, parts: tuple[int, int], turn: float, ends: tuple[np.ndarray, np.ndarray],
          radii: tuple[float, float], fade: float) -> list[_Ribbon]:
    """A tapering limb with round ends, or nothing where `fade` is 0."""
    if fade == 0:
        return []
    start, end = ends
    first, last = (max(radius * pose.height, _MIN_RADIUS_PX) * fade for radius in radii)
    # The nudge keeps the direction of a limb steady while it points at the camera.
    direction = _unit(end - start + 0.01 * pose.height * pose.down)
    cap = np.array([0.95, 0.8, 0.45])
    length = np.linalg.norm(end - start)
    along = np.concatenate([-first * cap, [0, length], length + last * cap[::-1]])
    radius = np.concatenate([first * np.sqrt(1 - cap**2), [first, last], last * np.sqrt(1 - cap[::-1] ** 2)])
    centers = start + along[:, None] * direction
    u = (along - along[0]) / (along[-1] - along[0])
    return [_Ribbon(parts, turn, centers, radius[:, None] * _across(direction), u)]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(np.linalg.norm(vector), 1e-9)


def _across(down: np.ndarray) -> np.ndarray:
    """The unit vector that points right in the picture when `down` points down."""
    return np.array([down[1], -down[0]])


# Filling pixels.


def _draw(canvas: np.ndarray, ribbon: _Ribbon) -> None:
    """Draw over `canvas` [3, H, W] (part, u, v)."""
    right, left = ribbon.centers + ribbon.halves, ribbon.centers - ribbon.halves
    for k in range(len(ribbon.u) - 1):
        a, b = ribbon.u[k], ribbon.u[k + 1]
        corners = [(left[k], a, -1), (right[k], a, 1), (left[k + 1], b, -1), (right[k + 1], b, 1)]
        for triangle in (corners[:3], corners[1:]):
            _fill(canvas, ribbon, *map(np.array, zip(*triangle)))


def _fill(canvas: np.ndarray, ribbon: _Ribbon, points: np.ndarray, u: np.ndarray, across: np.ndarray) -> None:
    """Fill a triangle with corners `points` [3, 2], `u` [3] and `across` [3] in [-1, 1]."""
    height, width = canvas.shape[1:]
    x0, y0 = np.clip(np.ceil(points.min(axis=0)), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.floor(points.max(axis=0)) + 1, 0, (width, height)).astype(int)
    edges = points[1:] - points[0]
    area = edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0]
    if x0 >= x1 or y0 >= y1 or abs(area) < 1e-9:
        return
    x, y = np.arange(x0, x1) - points[0, 0], (np.arange(y0, y1) - points[0, 1])[:, None]
    second = (x * edges[1, 1] - y * edges[1, 0]) / area
    third = (y * edges[0, 0] - x * edges[0, 1]) / area
    first = 1 - second - third
    inside = (first >= -1e-6) & (second >= -1e-6) & (third >= -1e-6)
    weights = np.array([first[inside], second[inside], third[inside]])
    if not weights.size:
        return
    angle = np.arcsin((across @ weights).clip(-1, 1)) - ribbon.turn
    half_turns = np.floor(angle / np.pi + 0.5)
    part, of_u, of_v = canvas[:, y0:y1, x0:x1]
    part[inside] = np.where(half_turns % 2 == 0, *ribbon.parts)
    of_u[inside] = (u @ weights).clip(0, 1)
    of_v[inside] = (angle / np.pi + 0.5 - half_turns).clip(0, 1)
