"""How the people of a sample clip move: walking round a long loop, with jumps on the way.

Metres and seconds. World axes: x right, y up, z away from the camera; the ground is y = 0. A person's side is -1 for
left and +1 for right, from the person's own view. Feet are planted first and the legs reach for them, so that a foot
on the ground does not slide. Nothing here knows what people look like.
"""

from bisect import bisect_right
from dataclasses import dataclass, fields, replace

import numpy as np

GRAVITY = 9.81
SIDES = (-1, 1)
UP = np.array([0.0, 1.0, 0.0])

# Fractions of a person's height.
THIGH, SHIN, ANKLE, UPPER_ARM, FOREARM, SPINE = 0.245, 0.24, 0.045, 0.165, 0.145, 0.29
HEEL, BALL = 0.045, 0.085  # from the ankle back to the heel and forward to the ball of the foot


def ease(x: float) -> float:
    """Smooth step from 0 at x <= 0 to 1 at x >= 1."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


def ease_through(t: float, times: tuple[float, ...], values: tuple[float, ...]) -> float:
    """The value at time t of a curve that eases from one (time, value) to the next and is constant outside."""
    k = min(max(bisect_right(times, t), 1), len(times) - 1)
    return values[k - 1] + (values[k] - values[k - 1]) * ease((t - times[k - 1]) / (times[k] - times[k - 1]))


@dataclass(frozen=True)
class Jump:
    """A crouch, a ballistic flight `height` metres high, and a landing."""

    start: float
    height: float
    depth: float = 0.2  # of the crouch, metres

    @property
    def times(self) -> tuple[float, ...]:
        """Start, lowest point, take-off, touch-down, lowest point, upright again."""
        push = 2 * self.depth / self._speed  # constant acceleration over the depth of the crouch
        return tuple(np.cumsum([self.start, 0.17, push, 2 * self._speed / GRAVITY, push, 0.24]).tolist())

    @property
    def _speed(self) -> float:
        return (2 * GRAVITY * self.height) ** 0.5

    def lift(self, t: float) -> float:
        """How much higher (or, crouching, lower) than upright the hips are at time t."""
        start, low, off, touch, low_again, end = self.times
        if t < low:
            return -self.depth * ease((t - start) / (low - start))
        if t < off:
            return -self.depth * (1 - ((t - low) / (off - low)) ** 2)
        if t < touch:
            return self._speed * (t - off) - GRAVITY / 2 * (t - off) ** 2
        if t < low_again:
            return -self.depth * (1 - ((low_again - t) / (low_again - touch)) ** 2)
        return -self.depth * (1 - ease((t - low_again) / (end - low_again)))


@dataclass(frozen=True)
class Loop:
    """A stadium-shaped path round (0, z): two straights of `straight` metres joined by half circles."""

    z: float
    straight: float
    radius: float = 0.2

    def at(self, distance: float) -> tuple[np.ndarray, float]:
        """Ground point [3] and heading (radians, 0 along x, counter-clockwise from above) at a distance walked.

        Distance 0 is the left end of the near straight, which leads to the right; the far straight leads back.
        """
        bend = np.pi * self.radius
        half, rest = divmod(distance, self.straight + bend)
        turn = max(rest - self.straight, 0) / self.radius
        x = min(rest, self.straight) - self.straight / 2 + self.radius * np.sin(turn)
        flip = 1 if half % 2 == 0 else -1
        point = np.array([flip * x, 0, self.z - flip * self.radius * np.cos(turn)])
        return point, turn + np.pi * (half % 2)


@dataclass(frozen=True)
class Stance:
    """A foot on the ground from `touch` to `lift`, its ankle at `distance` along the path."""

    touch: float
    lift: float
    distance: float
    landing: bool


@dataclass(frozen=True)
class Style:
    """What tells one person's movements from another's; angles in radians."""

    speed: float = 1.4
    swing: float = 1.0  # of the arms, relative to the stride
    bend: float = 0.4  # of the elbows
    reach: float = 2.6  # of the arms in flight, forward and up
    star: float = 0.35  # of the arms in flight, sideways and up
    split: float = 0.0  # of the feet in flight, one ahead and one behind, fraction of the height
    tuck: float = 0.04  # of the feet in flight, fraction of the height


@dataclass(frozen=True)
class Skeleton:
    """A pose: points [3], and pairs [2, 3] of a left and a right one, relative to the ground under the hips.

    Attributes:
        ground: [3], that place in the world.
        feet: [2, 3], unit vectors from heel to toe.
        pelvis_axes, chest_axes, head_axes: [3, 3], rows: right, up and forward.
    """

    ground: np.ndarray
    pelvis: np.ndarray
    chest: np.ndarray
    neck: np.ndarray
    hips: np.ndarray
    knees: np.ndarray
    ankles: np.ndarray
    shoulders: np.ndarray
    elbows: np.ndarray
    wrists: np.ndarray
    feet: np.ndarray
    pelvis_axes: np.ndarray
    chest_axes: np.ndarray
    head_axes: np.ndarray

    def scaled(self, factor: float) -> "Skeleton":
        """The same pose, `factor` times as large."""
        directions = ("feet", "pelvis_axes", "chest_axes", "head_axes")
        points = [field.name for field in fields(self) if field.name not in directions]
        return replace(self, **{name: getattr(self, name) * factor for name in points})


def basis(heading: float, lean: float = 0.0) -> np.ndarray:
    """Rows [3, 3]: right, up and forward of a body that heads somewhere and leans forward."""
    ahead = np.array([np.cos(heading), 0, np.sin(heading)])
    right = np.array([np.sin(heading), 0, -np.cos(heading)])
    return np.stack([right, np.cos(lean) * UP + np.sin(lean) * ahead, np.cos(lean) * ahead - np.sin(lean) * UP])


def bent_limb(root: np.ndarray, tip: np.ndarray, upper: float, lower: float,
              towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle joint and reached tip of a limb of two bones that bends `towards` a direction."""
    along = tip - root
    reach = min(float(np.linalg.norm(along)), 0.999 * (upper + lower))
    along /= np.linalg.norm(along)
    foot = (reach ** 2 + upper ** 2 - lower ** 2) / (2 * reach)
    side = towards - along * (towards @ along)
    side /= np.linalg.norm(side)
    return root + along * foot + side * max(upper ** 2 - foot ** 2, 0) ** 0.5, root + along * reach


class Mover:
    """One person's way through the clip."""

    def __init__(self, height: float, hips: float, shoulders: float, style: Style, loop: Loop, middle: float,
                 jumps: list[Jump], seconds: float):
        """
        Args:
            height: of the person, metres.
            hips, shoulders: half the distance between the joints, fraction of the height.
            middle: distance along `loop` at half of the clip's time.
            jumps: in order of time, not overlapping; at least one, which may lie after the end.
            seconds: how long the clip lasts.
        """
        self.height, self.hips, self.shoulders = height, hips * height, shoulders * height
        self.style, self.loop, self.jumps = style, loop, jumps
        self._clock = np.arange(-3, seconds + 5, 0.02)
        speeds = [style.speed * self._pace(t) for t in self._clock]
        walked = np.cumsum(speeds) * 0.02
        self._walked = walked - np.interp(seconds / 2, self._clock, walked) + middle
        self._stances = self._footfalls(seconds)

    def distance(self, t: float) -> float:
        """Metres along the path at time t."""
        return float(np.interp(t, self._clock, self._walked))

    def ground(self, t: float) -> np.ndarray:
        """The place [3] on the ground under the hips at time t."""
        return self.loop.at(self.distance(t))[0]

    def skeleton(self, t: float) -> Skeleton:
        """The pose at time t, metres."""
        jump = min(self.jumps, key=lambda jump: abs(t - sum(jump.times) / 6))
        ground, heading = self.loop.at(self.distance(t))
        feet = [self._foot(side, t) for side in SIDES]
        stride = (feet[0][0] - feet[1][0]) / self.height
        lean = ease_through(t, jump.times, (0.05, 0.55, 0.05, 0.05, 0.5, 0.05))
        facing = ease_through(t, jump.times, (0.4, 0.4, 0.7, 0.7, 0.6, 0.4))
        to_camera = -np.cos(heading)
        pelvis_axes = basis(heading + 0.2 * to_camera - 0.25 * stride, 0.3 * lean)
        chest_axes = basis(heading + facing * to_camera + 0.4 * stride, lean)
        head_axes = basis(heading + (facing + 0.25) * to_camera, 0.3 * lean - 0.18)
        legs = self._legs(ground, feet, pelvis_axes, jump.lift(t))
        chest = legs["pelvis"] + (0.4 * pelvis_axes[1] + 0.6 * chest_axes[1]) * SPINE * self.height
        neck = chest + (0.035 * chest_axes[1] + 0.008 * chest_axes[2]) * self.height
        return Skeleton(ground=ground, chest=chest, neck=neck, pelvis_axes=pelvis_axes, chest_axes=chest_axes,
                        head_axes=head_axes, **legs, **self._arms(chest, chest_axes, stride, jump, t))

    def _pace(self, t: float) -> float:
        """Speed at time t relative to walking: slower about a jump, constant in the air."""
        def pace(start: float, low: float, off: float, touch: float, low_again: float, end: float) -> float:
            times = (start - 0.25, low, off, touch, low_again, end + 0.35)
            return ease_through(t, times, (1, 0.55, 0.8, 0.8, 0.35, 1))
        return min(pace(*jump.times) for jump in self.jumps)

    def _footfalls(self, seconds: float) -> list[list[Stance]]:
        """The stances of both feet: steps of equal time between jumps, which begin and end on both feet."""
        stride_time = (0.3 * self.height + 0.13 * self.style.speed) / self.style.speed
        touches = [[(-3.0, 0.0, False)], [(-3.0, 0.0, False)]]  # time, seconds in the air before, both feet at once
        begin, foot = -2.6, 0
        for jump in [*self.jumps, None]:
            end = jump.times[0] if jump else seconds + 3
            steps = max(round((end - begin) / stride_time), 1)
            for touch in begin + (end - begin) / steps * np.arange(1, steps + 1):
                touches[foot].append((float(touch), 0.8 * (end - begin) / steps, False))
                foot = 1 - foot
            if jump:
                _, _, off, down, low_again, _ = jump.times
                begin = low_again - 0.08
                touches[foot].append((end + 0.1, 0.45 * stride_time, False))  # the other foot joins the first
                for side in touches:
                    side.append((down, down - off, True))
        return [self._planted(side, seconds + 4) for side in touches]

    def _planted(self, touches: list[tuple[float, float, bool]], end: float) -> list[Stance]:
        """A foot is put down where the hips will be in the middle of its time on the ground, but for a jump nearer
        to where they leave the ground and come down."""
        stances = []
        for k, (touch, _, landing) in enumerate(touches):
            after, air, leap = touches[k + 1] if k + 1 < len(touches) else (end, 0.0, False)
            lift = after - air
            middle = (touch + lift) / 2
            if leap:
                middle = max(middle, lift - 0.1)
            if landing:
                middle = min(middle, touch + 0.25)
            stances.append(Stance(touch, lift, self.distance(middle), landing))
        return stances

    def _foot(self, side: int, t: float) -> tuple[float, float, float]:
        """The ankle's distance along the path, its height above the ground (in flight: apart from the jump's lift)
        and the foot's pitch, toes up."""
        stances = self._stances[SIDES.index(side)]
        k = max(bisect_right([stance.touch for stance in stances], t) - 1, 0)
        now, after = stances[k], stances[min(k + 1, len(stances) - 1)]
        if t <= now.lift or after is now:
            return self._on_ground(now, t)
        air = (t - now.lift) / (after.touch - now.lift)
        before, later = np.array(self._on_ground(now, now.lift)), np.array(self._on_ground(after, after.touch))
        ahead, height, pitch = before + (later - before) * ease(air)
        arch = np.sin(np.pi * air)
        if after.landing:
            ahead += side * self.style.split * self.height * arch
            return ahead, height + self.style.tuck * self.height * arch, pitch
        return ahead, height + 0.035 * self.height * arch, pitch - 0.3 * arch * (1 - air)

    def _on_ground(self, stance: Stance, t: float) -> tuple[float, float, float]:
        """Distance, height and pitch of a foot that rolls from heel (or, landing, ball) to toe."""
        push = min(0.24, 0.45 * (stance.lift - stance.touch))
        pitch = (-0.5 if stance.landing else 0.35) * (1 - ease((t - stance.touch) / 0.1))
        pitch -= 0.75 * ease((t - stance.lift + push) / push)
        pivot = (-HEEL if pitch > 0 else BALL) * self.height
        sine, cosine, ankle = np.sin(pitch), np.cos(pitch), ANKLE * self.height
        return stance.distance + pivot * (1 - cosine) - ankle * sine, ankle * cosine - pivot * sine, pitch

    def _legs(self, ground: np.ndarray, feet: list, axes: np.ndarray, lift: float) -> dict[str, np.ndarray]:
        """Hips as high as both legs reach, then the legs from the hips to the feet."""
        upper, lower = THIGH * self.height, SHIN * self.height
        right, _, ahead = axes
        ankles, toes, highest = [], [], [0.99 * (upper + lower) + min(foot[1] for foot in feet)]
        for side, (distance, height, pitch) in zip(SIDES, feet):
            point, heading = self.loop.at(distance)
            across, _, along = basis(heading)
            ankles.append(point - ground + height * UP + side * 0.8 * self.hips * across)
            toe = np.cos(pitch) * along + np.sin(pitch) * UP + 0.15 * side * across
            toes.append(toe / np.linalg.norm(toe))
            gap = ankles[-1] - side * self.hips * right
            highest.append(height + max((0.997 * (upper + lower)) ** 2 - gap[0] ** 2 - gap[2] ** 2, 0) ** 0.5)
        softest = -np.log(np.exp(-np.array(highest) / 0.008).sum()) * 0.008  # a smooth minimum
        pelvis = (max(softest, 0.85 * (upper + lower)) + lift) * UP
        hips = np.stack([pelvis + side * self.hips * right for side in SIDES])
        limbs = [bent_limb(hip, ankle + max(lift, 0) * UP, upper, lower, ahead + 0.12 * side * right)
                 for side, hip, ankle in zip(SIDES, hips, ankles)]
        knees, stood = (np.stack(points) for points in zip(*limbs))
        return {"pelvis": pelvis, "hips": hips, "knees": knees, "ankles": stood, "feet": np.stack(toes)}

    def _arms(self, chest: np.ndarray, axes: np.ndarray, stride: float, jump: Jump, t: float) -> dict[str, np.ndarray]:
        """Arms that swing against the legs, and up in a jump."""
        style, tall = self.style, self.height
        start, low, off, touch, low_again, end = jump.times
        times = (start, low, off, (off + touch) / 2, touch, low_again, end)
        forward = ease_through(t, times, (0, -0.7, 0.5 * style.reach, style.reach, 0.75 * style.reach, 0.5, 0))
        sideways = ease_through(t, times, (0.13, 0.2, 0.6 * style.star, style.star, 0.75 * style.star, 0.3, 0.13))
        calm = ease_through(t, jump.times, (1, 0, 0, 0, 0, 1))
        shoulders, elbows, wrists = [], [], []
        for side in SIDES:
            shoulders.append(chest + side * self.shoulders * axes[0])
            swing = forward + 1.3 * calm * style.swing * stride * side
            bend = style.bend * (0.5 + 0.5 * calm) + 0.5 * max(calm * swing, 0)
            elbows.append(shoulders[-1] + UPPER_ARM * tall * _arm(axes, side, swing, sideways))
            wrists.append(elbows[-1] + FOREARM * tall * _arm(axes, side, swing + bend, 0.8 * sideways))
        return {"shoulders": np.stack(shoulders), "elbows": np.stack(elbows), "wrists": np.stack(wrists)}


def _arm(axes: np.ndarray, side: int, swing: float, sideways: float) -> np.ndarray:
    """Unit vector of an arm that hangs down, is swung forward and then lifted sideways (radians)."""
    right, up, ahead = axes
    down = np.sin(swing) * ahead - np.cos(swing) * up
    return np.cos(sideways) * down + np.sin(sideways) * side * right
