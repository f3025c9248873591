"""What the people of a sample clip look like: builds, faces, hair and patterned clothes made of solid parts.

Lengths are fractions of a person's height, world axes those of `sample_motion`, colours RGB in [0, 1]. A cloth is made
of one or two colours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datasets.synthetic.motion import SIDES, UP, Skeleton
from datasets.synthetic.solids import Paint, Part, ball, limb, rgb

# ---- paints ---------------------------------------------------------------------------------------------------------

WHITE = np.array([0.96, 0.95, 0.92], np.float32)


def plain(one: np.ndarray, *_) -> Paint:
    """Faint folds."""
    return lambda p: one * (1 + 0.05 * np.sin(p[:, 1] * 66 + 2.5 * np.sin(2 * _around(p))))[:, None]


def stripes(one: np.ndarray, two: np.ndarray) -> Paint:
    """Stripes round the body."""
    return lambda p: _mix(one, two, (p[:, 1] / 0.043) % 1 < 0.45)


def checks(one: np.ndarray, two: np.ndarray) -> Paint:
    """Gingham: two crossing sets of half-transparent bands."""
    return lambda p: _mix(one, two, 0.5 * ((p[:, 1] / 0.04) % 1 < 0.5) + 0.5 * ((_around(p) / 0.55) % 1 < 0.5))


def plaid(one: np.ndarray, two: np.ndarray) -> Paint:
    """Wide crossing bands with thin light lines between them."""
    def paint(p: np.ndarray) -> np.ndarray:
        up, across = (p[:, 1] / 0.069) % 1, (_around(p) / 0.9 + 0.25) % 1
        bands = _mix(one, two, 0.4 * (up < 0.4) + 0.4 * (across < 0.4))
        return _mix(bands, WHITE, 0.55 * ((abs(up - 0.7) < 0.06) | (abs(across - 0.7) < 0.05)))
    return paint


def dots(one: np.ndarray, two: np.ndarray) -> Paint:
    """Dots in rows."""
    def paint(p: np.ndarray) -> np.ndarray:
        row = np.floor(p[:, 1] / 0.034)
        up, across = p[:, 1] / 0.034 - row - 0.5, (_around(p) / 0.5 + 0.5 * row) % 1 - 0.5
        return _mix(one, two, up ** 2 + across ** 2 < 0.075)
    return paint


def badge(one: np.ndarray, two: np.ndarray) -> Paint:
    """Plain, with a ring and a dot on the chest."""
    def paint(p: np.ndarray) -> np.ndarray:
        far = np.hypot(p[:, 0], p[:, 1])
        return _mix(plain(one)(p), two, ((far < 0.017) | (abs(far - 0.034) < 0.005)) & (p[:, 2] > 0))
    return paint


def denim(one: np.ndarray, two: np.ndarray) -> Paint:
    """Jeans: washed out in front, darker seams at the sides."""
    def paint(p: np.ndarray) -> np.ndarray:
        angle = _around(p)
        worn = np.clip(np.cos(angle), 0, 1) ** 2 * (0.6 + 0.4 * np.sin(p[:, 1] * 30))
        twill = 0.04 * np.sin(p[:, 1] * 280 + 40 * angle)
        return _mix(one, two, 0.45 * worn + twill + 0.05) * np.where(abs(abs(angle) - 1.6) < 0.12, 0.72, 1)[:, None]
    return paint


def strands(one: np.ndarray) -> Paint:
    """Hair: fine streaks round the axis and a soft sheen."""
    def paint(p: np.ndarray) -> np.ndarray:
        angle = _around(p)
        streak = 0.13 * np.sin(angle * 23) + 0.08 * np.sin(angle * 51 + p[:, 1] * 158)
        return one * (1 + streak)[:, None] + 0.07 * np.exp(-((p[:, 1] - 0.02) / 0.011) ** 2)[:, None]
    return paint


def face(skin: np.ndarray, hair: np.ndarray, iris: np.ndarray) -> Paint:
    """Eyes, brows, cheeks and a smile on the front of the head, about the middle of the cranium."""
    def paint(p: np.ndarray) -> np.ndarray:
        x, y, front = abs(p[:, 0]), p[:, 1], p[:, 2] > 0
        def oval(cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
            return front & (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1)
        cheek = np.exp(-((x - 0.036) / 0.013) ** 2 - ((y + 0.04) / 0.011) ** 2) * front
        colour = _mix(skin, skin * (1.0, 0.62, 0.58), 0.6 * cheek)
        colour = _mix(colour, hair * 0.6, oval(0.0265, -0.0085, 0.0155, 0.0155) | oval(0.028, 0.018, 0.015, 0.0032))
        colour = _mix(colour, WHITE, oval(0.0265, -0.0105, 0.014, 0.0135))
        colour = _mix(colour, iris, oval(0.025, -0.0105, 0.0085, 0.0105))
        colour = _mix(colour, WHITE, oval(0.028, -0.0065, 0.003, 0.003))
        smile = (y > -0.071 + 13 * x ** 2) & (y < -0.06 + 4 * x ** 2) & (x < 0.024) & front
        return _mix(colour, skin * (0.68, 0.35, 0.34), smile)
    return paint


def shoe(leather: np.ndarray) -> Paint:
    """Laces, a toe cap and a sole of white rubber."""
    def paint(p: np.ndarray) -> np.ndarray:
        laces = (abs(p[:, 0]) < 0.01) & (p[:, 2] > 0.03) & (p[:, 2] < 0.075)
        return _mix(leather, WHITE, laces | (p[:, 2] > 0.098) | (p[:, 1] < -0.012))
    return paint


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * np.asarray(share, np.float32)[:, None]


def _around(p: np.ndarray) -> np.ndarray:
    """Angle about the part's own axis, 0 in front."""
    return np.arctan2(p[:, 0], p[:, 2])


# ---- people ---------------------------------------------------------------------------------------------------------

SKINS = [rgb(c) for c in ("f2c9a8", "e3ae85", "c98d62", "a56c45", "7d4e32", "5c3a28")]
HAIRS = [rgb(c) for c in ("2b211d", "4a3022", "7a4a2a", "b5783c", "d9b36a", "8c3b22", "8f8b88")]
IRISES = [rgb(c) for c in ("3b2a1c", "2f4a6b", "3d5a3a")]
CUTS = ("cropped", "bob", "ponytail", "bun", "curly", "beanie")
GIRTHS = {"thin": (0.7, 0.8), "mixed": (0.88, 1.3), "wide": (1.5, 1.75)}


@dataclass(frozen=True)
class Outfit:
    """Cloths and colours, as six hexadecimal digits, of what someone wears."""

    top_cloth: Callable[..., Paint]
    top: tuple[str, ...]
    legs_cloth: Callable[..., Paint]
    legs: tuple[str, ...]
    shoes: str


OUTFITS = (
    Outfit(stripes, ("f3ede0", "27496d"), denim, ("2e4468", "8aa6c4"), "c8402f"),
    Outfit(plaid, ("b8352c", "3a1f24"), denim, ("33373d", "6c747d"), "8a5a34"),
    Outfit(badge, ("e9a72e", "fff6e0"), denim, ("27406b", "7f9cc0"), "f0ece4"),
    Outfit(dots, ("2f7f79", "f4ead2"), plain, ("d8c19a",), "7a4b2e"),
    Outfit(checks, ("f1ebdf", "5a7fb0"), plain, ("6b4f3a",), "2d2d33"),
    Outfit(plain, ("d9694a",), denim, ("3d5f86", "a9c1d6"), "f2efe9"),
    Outfit(stripes, ("e8b23d", "3c5a45"), plain, ("37424f",), "d9d4c8"),
    Outfit(badge, ("5b4a8a", "f2d04b"), plain, ("c9b28c",), "3a3f46"),
    Outfit(plain, ("4f8a5b",), checks, ("5b4334", "7b5d48"), "c9472f"),
    Outfit(plaid, ("3f6f8f", "1f3348"), plain, ("caa97a",), "5d3b26"),
)


class Person:
    """A build and clothes.

    Attributes:
        height: metres.
        hips, shoulders: half the distance between the joints, fraction of the height.
    """

    def __init__(self, rng: np.random.Generator, build: str, outfit: Outfit, cut: str, skin: int):
        """
        Args:
            build: one of `GIRTHS`.
            cut: of the hair, one of `CUTS`.
            skin: index into `SKINS`.
        """
        self.height, self.girth = rng.uniform(1.58, 1.92), rng.uniform(*GIRTHS[build])
        self.hips, self.shoulders = rng.uniform(0.05, 0.058), rng.uniform(0.097, 0.115)
        self.cut = cut
        self.sleeves = rng.choice(["short", "long"])
        self.legs = rng.choice(["long", "long", "short", "skirt"])
        hair = HAIRS[rng.integers(len(HAIRS) if skin < 3 else 3)]
        top, bottom = [rgb(c) for c in outfit.top], [rgb(c) for c in outfit.legs]
        self._skin, self._hair = plain(SKINS[skin]), strands(hair)
        self._face = face(SKINS[skin], hair, IRISES[rng.integers(len(IRISES))])
        self._top, self._bottom = outfit.top_cloth(*top), outfit.legs_cloth(*bottom)
        self._sleeve = plain(top[0]) if outfit.top_cloth is badge else self._top
        self._band, self._leather, self._shoe = plain(top[-1]), plain(rgb(outfit.shoes)), shoe(rgb(outfit.shoes))

    def parts(self, skeleton: Skeleton) -> list[Part]:
        """The solid parts of this person in a pose, metres."""
        pose = skeleton.scaled(1 / self.height)
        parts = self._trunk(pose) + self._lower(pose) + self._head(pose) + self._hairdo(pose)
        for k in range(2):
            parts += self._arm(pose, k) + self._leg(pose, k) + self._foot(pose, k)
        return [part.scaled(self.height) for part in parts]

    def keypoints(self, skeleton: Skeleton) -> np.ndarray:
        """The 17 joints of COCO [17, 3], in its order, metres."""
        pose = skeleton.scaled(1 / self.height)
        middle, (right, up, ahead) = _cranium(pose), pose.head_axes
        nose = middle - 0.034 * up + 0.071 * ahead
        eyes = [middle + side * 0.0265 * right - 0.01 * up + 0.055 * ahead for side in SIDES]
        ears = [middle + side * 0.059 * right - 0.022 * up - 0.004 * ahead for side in SIDES]
        limbs = (pose.shoulders, pose.elbows, pose.wrists, pose.hips, pose.knees, pose.ankles)
        return np.concatenate([[nose], eyes, ears, *limbs]) * self.height

    def _trunk(self, pose: Skeleton) -> list[Part]:
        _, up, ahead = pose.chest_axes
        wide, broad = self.girth, self.shoulders / 0.105
        bust = pose.chest - 0.075 * up + 0.006 * ahead
        waist = pose.pelvis + 0.065 * pose.pelvis_axes[1]
        hem = pose.pelvis + (0.05 if self.legs == "skirt" else 0.0) * pose.pelvis_axes[1]
        parts = [
            limb(bust, waist, (0.076, 0.068 * wide), self._top, ahead, size=(1.27 * broad, 1, 0.86), origin=bust),
            ball(pose.chest - 0.036 * up, (0.1 * broad, 0.047, 0.056), self._top, pose.chest_axes, origin=bust),
            limb(waist, hem, (0.069 * wide, 0.08 * wide), self._top, pose.pelvis_axes[2], size=(1.25, 1, 0.9),
                 open_end=True, origin=bust),
            limb(pose.neck + 0.03 * up, pose.chest - 0.01 * up, (0.027, 0.034), self._skin, ahead),
        ]
        if self.sleeves == "long":  # with a collar
            parts.append(ball(pose.neck - 0.022 * up, (0.05, 0.022, 0.048), self._sleeve, pose.chest_axes))
        return parts

    def _lower(self, pose: Skeleton) -> list[Part]:
        """The seat of the trousers, or the skirt, which is wide enough for the knees."""
        wide = self.girth
        if self.legs != "skirt":
            return [ball(pose.pelvis, (0.094 * wide, 0.075, 0.074 * wide), self._bottom, pose.pelvis_axes)]
        waist = pose.pelvis + 0.04 * UP
        hem = waist + 0.93 * (pose.knees.mean(0) - waist)
        spread = float(np.linalg.norm(pose.knees[0] - pose.knees[1])) / 2
        return [limb(waist, hem, (0.092 * wide, max(0.11 * wide, spread + 0.065)), self._bottom,
                     pose.pelvis_axes[2], size=(1, 1, 0.95), open_end=True)]

    def _head(self, pose: Skeleton) -> list[Part]:
        middle, axes = _cranium(pose), pose.head_axes
        right, up, ahead = axes
        parts = [
            Part(middle, middle - 0.055 * up + 0.012 * ahead, 0.066, 0.043, self._face, axes, (0.9, 1, 1)),
            limb(middle - 0.018 * up + 0.058 * ahead, middle - 0.034 * up + 0.071 * ahead, (0.006, 0.011), self._skin,
                 ahead + 0.1 * up),
        ]
        for side in SIDES:
            ear = middle + side * 0.059 * right - 0.022 * up - 0.004 * ahead
            parts.append(ball(ear, (0.009, 0.02, 0.014), self._skin, axes))
        return parts

    def _hairdo(self, pose: Skeleton) -> list[Part]:
        middle, axes, hair = _cranium(pose), pose.head_axes, self._hair
        right, up, ahead = axes
        crown = middle + 0.019 * up - 0.018 * ahead
        parts = [ball(crown, (0.066, 0.066, 0.07), hair, axes),
                 limb(crown, middle - 0.045 * up - 0.032 * ahead, (0.058, 0.042), hair, ahead)]
        if self.cut == "bob":
            parts.append(limb(crown, middle - 0.08 * up - 0.035 * ahead, (0.06, 0.045), hair, ahead))
            for side in SIDES:
                tip = middle + side * 0.05 * right - 0.075 * up - 0.01 * ahead
                parts.append(limb(crown + side * 0.02 * right, tip, (0.05, 0.028), hair, ahead))
        elif self.cut == "ponytail":
            knot = middle + 0.02 * up - 0.08 * ahead
            parts += [limb(knot, knot - 0.1 * up - 0.03 * ahead, (0.026, 0.012), hair, ahead),
                      ball(knot + 0.008 * ahead, (0.016, 0.016, 0.016), self._band, axes)]
        elif self.cut == "bun":
            parts.append(ball(middle + 0.075 * up - 0.045 * ahead, (0.032, 0.03, 0.032), hair, axes))
        elif self.cut == "curly":
            for k in range(14):
                angle, low = 2.4 * k, 0.2 + 0.8 * k / 14
                curl = low * (np.cos(angle) * right + np.sin(angle) * ahead) + (1 - low) * up
                parts.append(ball(crown + 0.058 * curl - 0.01 * ahead, (0.033, 0.033, 0.033), hair, axes))
        elif self.cut == "beanie":
            parts += [ball(crown + 0.014 * up, (0.068, 0.066, 0.071), self._sleeve, axes),
                      ball(crown + 0.01 * up, (0.0735, 0.021, 0.0765), self._leather, axes)]
        return parts

    def _arm(self, pose: Skeleton, k: int) -> list[Part]:
        shoulder, elbow, wrist = pose.shoulders[k], pose.elbows[k], pose.wrists[k]
        wide, skin, ahead = self.girth ** 0.7, self._skin, pose.chest_axes[2]
        front = ahead + 0.01 * UP  # never along the arm
        along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
        palm = wrist + 0.042 * along
        hand = [limb(wrist, palm, (0.016, 0.019), skin, front),
                limb(palm, palm + 0.038 * along + 0.005 * ahead, (0.017, 0.01), skin, front),
                limb(wrist + 0.015 * along, wrist + 0.045 * along + 0.022 * ahead, (0.009, 0.008), skin, front)]
        if self.sleeves == "long":
            return [*hand, limb(shoulder, elbow, (0.04 * wide, 0.032 * wide), self._sleeve, front),
                    limb(elbow, wrist, (0.031 * wide, 0.024 * wide), self._sleeve, front, open_end=True)]
        hem = shoulder + 0.6 * (elbow - shoulder)
        return [*hand, limb(shoulder, hem, (0.042 * wide, 0.041 * wide), self._sleeve, front, open_end=True),
                limb(shoulder, elbow, (0.033 * wide, 0.026 * wide), skin, front),
                limb(elbow, wrist, (0.0265 * wide, 0.017), skin, front)]

    def _leg(self, pose: Skeleton, k: int) -> list[Part]:
        hip, knee, ankle = pose.hips[k], pose.knees[k], pose.ankles[k]
        wide, front = self.girth ** 0.7, pose.pelvis_axes[2]
        if self.legs == "long":
            return [limb(hip, knee, (0.062 * wide, 0.045 * wide), self._bottom, front),
                    limb(knee, ankle - 0.01 * UP, (0.045 * wide, 0.036), self._bottom, front, open_end=True)]
        calf, thigh = knee + 0.35 * (ankle - knee) - 0.012 * front, knee - hip
        bare = [limb(hip + 0.6 * thigh, knee, (0.045 * wide, 0.036 * wide), self._skin, front),
                limb(knee, calf, (0.035 * wide, 0.036 * wide), self._skin, front),
                limb(calf, ankle, (0.036 * wide, 0.022), self._skin, front),
                limb(ankle + 0.25 * (knee - ankle), ankle, (0.032 * wide, 0.028), plain(WHITE), front)]
        hem = hip + 0.78 * thigh
        if self.legs == "short":
            return [*bare, limb(hip, hem, (0.064 * wide, 0.058 * wide), self._bottom, front, open_end=True)]
        return [*bare, limb(hip + 0.4 * thigh, hem, (0.045 * wide, 0.05 * wide), self._bottom, front, open_end=True)]

    def _foot(self, pose: Skeleton, k: int) -> list[Part]:
        ankle, ahead = pose.ankles[k], pose.feet[k]
        right = np.cross(UP, ahead) / np.linalg.norm(np.cross(UP, ahead))
        up = np.cross(ahead, right)
        heel, toe = ankle - 0.02 * ahead - 0.019 * up, ankle + 0.088 * ahead - 0.026 * up
        return [Part(heel, toe, 0.026, 0.019, self._shoe, np.stack([right, up, ahead]), (1.1, 1, 1)),
                limb(ankle + 0.012 * up, ankle + 0.03 * (ahead - up), (0.026, 0.026), self._leather, ahead + 0.1 * up)]


def _cranium(pose: Skeleton) -> np.ndarray:
    """The middle of the head [3], about which face and hair are placed."""
    return pose.neck + 0.088 * pose.head_axes[1] + 0.012 * pose.head_axes[2]


def dressed(people: int, build: str, rng: np.random.Generator) -> list[Person]:
    """At most six people of a build; no two share an outfit, a cut of hair or a colour of skin."""
    outfits, cuts, skins = (rng.permutation(len(choices))[:people] for choices in (OUTFITS, CUTS, SKINS))
    return [Person(rng, build, OUTFITS[outfit], CUTS[cut], int(skin))
            for outfit, cut, skin in zip(outfits, cuts, skins)]
