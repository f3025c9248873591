"""A face that talks, blinks and nods: its 68 landmarks (dlib's order) at any time, and its picture.

Coordinates of the face are units of half its width, x to the viewer's right, y down, about the tip of the nose.
"""

from dataclasses import dataclass

import cv2
import numpy as np

FINE = 2  # drawn pixels per pixel, each way
SKINS = ((236, 190, 160), (198, 144, 108), (122, 80, 58), (250, 212, 188))
HAIRS = ((44, 32, 26), (120, 76, 40), (86, 84, 84), (188, 140, 80))
SHIRTS = ((58, 84, 130), (150, 60, 60), (70, 110, 84), (120, 110, 140))


@dataclass(frozen=True)
class Expression:
    """How a face looks at a moment.

    Attributes:
        opened: of the mouth, 0 to 1; rounded: of the lips, 0 (wide) to 1; blink: of the eyes, 0 (open) to 1.
        brows: how far they are raised, -1 to 1.
        turn, nod: of the head, -1 to 1; roll: radians; shift: (x, y) of the head.
    """

    opened: float = 0.0
    rounded: float = 0.0
    blink: float = 0.0
    brows: float = 0.0
    turn: float = 0.0
    nod: float = 0.0
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)


def talk(rng: np.random.Generator, frames: int) -> list[Expression]:
    """Expressions of a person who talks, 25 a second."""
    t = np.arange(frames) / 25
    def wave(slow: float, fast: float, strength: float) -> np.ndarray:
        waves = [np.sin(2 * np.pi * (rng.uniform(slow, fast) * t + rng.uniform())) for _ in range(3)]
        return strength * (waves[0] + waves[1] + waves[2]) / 2
    syllables = np.clip(0.35 + wave(2.0, 4.5, 0.6), 0, 1) * np.clip(0.6 + wave(0.2, 0.5, 0.9), 0, 1)
    rounded = np.clip(0.4 + wave(0.8, 2.0, 0.6), 0, 1)
    blinks = np.max([np.exp(-((t - at) / 0.07) ** 2) for at in np.arange(rng.uniform(0, 1), t[-1] + 2, 1.6)], axis=0)
    tracks = (syllables, rounded, blinks, wave(0.2, 0.6, 0.6), wave(0.1, 0.4, 0.6), wave(0.2, 0.6, 0.5),
              wave(0.1, 0.3, 0.08), wave(0.1, 0.3, 0.12), wave(0.1, 0.3, 0.08))
    return [Expression(opened, rounded, blink, brows, turn, nod, roll, (right, down))
            for opened, rounded, blink, brows, turn, nod, roll, right, down in np.stack(tracks, axis=1).tolist()]


def landmarks(face: Expression, aspect: float = 1.3) -> np.ndarray:
    """The 68 landmarks [68, 2] of an expression; `aspect` is how long the face is."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([np.cos(angle), 0.05 + aspect * 0.92 * np.abs(np.sin(angle)) ** 1.15 - 0.15], axis=1)
    jaw[4:13, 1] += 0.14 * face.opened * np.sin(np.linspace(0, np.pi, 9))
    lift = 0.09 * face.brows
    brow = np.array([(-0.78, -0.42), (-0.64, -0.53), (-0.48, -0.56), (-0.32, -0.54), (-0.18, -0.48)]) - (0, lift)
    nose = np.array([(0, -0.28), (0, -0.13), (0, 0.02), (0, 0.16), (-0.17, 0.25), (-0.09, 0.29), (0, 0.31),
                     (0.09, 0.29), (0.17, 0.25)])
    half = 0.075 * (1 - 0.85 * face.blink)
    eye = np.array([(-0.6, -0.26), (-0.5, -0.26 - half), (-0.36, -0.26 - half), (-0.25, -0.25),
                    (-0.36, -0.25 + half), (-0.5, -0.25 + half)])
    wide, gap = 0.36 - 0.13 * face.rounded, 0.02 + 0.22 * face.opened
    lip, middle = 0.075 + 0.03 * face.rounded, 0.56 + gap / 2
    x = wide * np.array([-1, -0.62, -0.25, 0, 0.25, 0.62, 1])
    bow = np.array([0, 0.7, 1, 0.88, 1, 0.7, 0])
    upper = np.stack([x, middle - (gap / 2 + lip) * bow], axis=1)
    lower = np.stack([x[5:0:-1], middle + (gap / 2 + lip * 1.2) * np.array([0.7, 0.95, 1, 0.95, 0.7])], axis=1)
    inner_x = 0.82 * wide * np.array([-1, -0.45, 0, 0.45, 1])
    inner_upper = np.stack([inner_x, middle - gap / 2 * np.array([0, 0.9, 1, 0.9, 0])], axis=1)
    inner_lower = np.stack([inner_x[3:0:-1], middle + gap / 2 * np.array([0.9, 1, 0.9])], axis=1)
    left = [3, 2, 1, 0, 5, 4]
    points = np.concatenate([jaw, brow, brow[::-1] * (-1, 1), nose, eye, eye[left] * (-1, 1), upper, lower, inner_upper,
                             inner_lower])
    depth = 1 - 0.9 * np.minimum((points ** 2).sum(axis=1), 1.1) ** 0.5
    points = points + depth[:, None] * np.array((0.22 * face.turn, 0.14 * face.nod))
    sine, cosine = np.sin(face.roll), np.cos(face.roll)
    return points @ np.array([(cosine, sine), (-sine, cosine)]) + face.shift


class Speaker:
    """Somebody's look, before a wall with pictures.

    Args:
        rng: decides it.
        size: (width, height) of frames.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        self.size, self.number = size, int(rng.integers(len(SKINS)))
        self.skin, self.hair, self.shirt = (np.array(colours[rng.integers(len(colours))], np.float32)
                                            for colours in (SKINS, HAIRS, SHIRTS))
        self.aspect = rng.uniform(1.2, 1.4)
        self.scale = 0.23 * min(size)
        self.centre = np.array((size[0] / 2, 0.5 * size[1]))
        self.wall = _wall(rng, (size[0] * FINE, size[1] * FINE))

    def landmarks(self, face: Expression) -> np.ndarray:
        """Landmarks in whole pixels of the frame, int [68, 2]."""
        return np.round(self._points(face)).astype(int)

    def picture(self, face: Expression) -> np.ndarray:
        """Photograph uint8 [H, W, 3]."""
        canvas, points = self.wall.copy(), self._points(face)
        middle = self.centre + self.scale * np.array(face.shift)
        sheer = np.array((face.turn, face.nod)) * 0.12 * self.scale
        head = middle + (0, -0.1 * self.scale) + sheer / 2
        fill = self._fill
        fill(canvas, _oval(middle + (0, 2.5 * self.scale), (2.0, 1.2), self.scale), self.shirt)
        fill(canvas, _oval(middle + (0, 1.15 * self.scale), (0.48, 0.7), self.scale), self.skin * 0.82)
        fill(canvas, _oval(head - (0, 0.25 * self.scale), (1.12, 1.2), self.scale), self.hair)
        top = points[16:0:-1] * (1, 0) + (points[0] + points[16])[1] / 2 * np.array((0, 1))
        top[:, 1] -= 0.62 * (points[16:0:-1, 1] - top[:, 1])
        fill(canvas, np.concatenate([points[:17], top]), self.skin)
        for side, share in ((1, 0.06), (-1, 0.06)):
            cheek = points[31 if side < 0 else 35] + (side * 0.38 * self.scale, 0.1 * self.scale)
            fill(canvas, _oval(cheek, (0.16, 0.11), self.scale), self.skin * (1 - share, 1 - 3 * share, 1 - 3 * share))
        for curve in (points[17:22], points[22:27]):
            self._line(canvas, curve, self.hair, 0.075)
        for eye in (points[36:42], points[42:48]):
            fill(canvas, eye, np.array((246, 244, 240)))
            if face.blink < 0.6:
                fill(canvas, _oval(eye.mean(axis=0) + sheer * 0.3, (0.07, 0.07), self.scale), np.array((60, 44, 34)))
            self._line(canvas, eye[:4], self.skin * 0.4, 0.03)
        self._line(canvas, points[27:31], self.skin * 0.9, 0.05)
        self._line(canvas, points[31:36], self.skin * 0.65, 0.04)
        fill(canvas, points[48:60], np.array((178, 74, 78)))
        fill(canvas, points[60:68], np.array((72, 20, 24)))
        if face.opened > 0.25:
            teeth = points[[60, 61, 62, 63, 64]]
            fill(canvas, np.concatenate([teeth, teeth[::-1] + (0, 0.05 * self.scale)]), np.array((240, 236, 226)))
        return cv2.resize(canvas, self.size, interpolation=cv2.INTER_AREA).clip(0, 255).round().astype(np.uint8)

    def _points(self, face: Expression) -> np.ndarray:
        return self.centre + self.scale * landmarks(face, self.aspect)

    @staticmethod
    def _fill(canvas: np.ndarray, points: np.ndarray, colour: np.ndarray) -> None:
        pixels = np.round(points * FINE * 16).astype(np.int32)
        cv2.fillPoly(canvas, [pixels], [float(c) for c in colour], cv2.LINE_8, 4)

    def _line(self, canvas: np.ndarray, points: np.ndarray, colour: np.ndarray, width: float) -> None:
        pixels = np.round(points * FINE * 16).astype(np.int32)
        cv2.polylines(canvas, [pixels], False, [float(c) for c in colour], max(round(width * self.scale * FINE), 1),
                      cv2.LINE_8, 4)


def _oval(centre: np.ndarray, radii: tuple[float, float], scale: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return centre + scale * np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], axis=1)


def _wall(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A wall with frames on it, float32 [H, W, 3], lighter at the top."""
    wall = np.full((size[1], size[0], 3), rng.uniform(120, 200, 3), np.float32)
    wall += np.linspace(20, -30, size[1], dtype=np.float32)[:, None, None]
    for _ in range(4):
        x, y = (int(c) for c in rng.uniform(0, size))
        width, height = (int(c) for c in rng.uniform(0.12, 0.25, 2) * size)
        cv2.rectangle(wall, (x, y), (x + width, y + height), [float(c) for c in rng.uniform(30, 90, 3)], -1)
        cv2.rectangle(wall, (x + 6, y + 6), (x + width - 6, y + height - 6),
                      [float(c) for c in rng.uniform(100, 240, 3)], -1)
    return wall
