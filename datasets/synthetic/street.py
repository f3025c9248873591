"""A street seen from a car's side window: house fronts, trees and posts go by, cars overtake and are overtaken.

Everything is drawn twice, in colours and as Cityscapes' numbers of classes; cars have numbers of their own. Sizes are
in units of the frame's height, x to the right along the street, and the camera looks straight at the houses.
"""

from dataclasses import dataclass

import cv2
import numpy as np

ROAD, PAVEMENT, HOUSE, POST, TREE, SKY, CAR = 7, 8, 11, 17, 21, 23, 26
"""Cityscapes' numbers of classes."""
HORIZON, KERB, EDGE = 0.62, 0.68, 0.74  # rows where houses, pavement and the near kerb end
SPEED = 0.02  # of the camera, per frame
FINE = 2  # drawn pixels per pixel, each way
WALLS = ((196, 120, 92), (214, 190, 150), (150, 160, 176), (176, 90, 78), (226, 214, 196))
PAINTS = ((186, 30, 34), (30, 74, 150), (230, 230, 226), (40, 44, 48), (222, 170, 30), (60, 120, 84))


@dataclass(frozen=True)
class House:
    """A front: left end, width, height of its top above the horizon, and how it is painted."""

    left: float
    width: float
    top: float
    wall: tuple[int, int, int]
    floors: int


@dataclass(frozen=True)
class Car:
    """A car: where it is in frame 0, its speed, the row of its wheels, length, paint."""

    left: float
    speed: float
    row: float
    length: float
    paint: tuple[int, int, int]


class Street:
    """What there is in a sequence, drawn frame by frame.

    Args:
        rng: decides it.
        frames: as long as the sequence.
        size: (width, height) of frames.
    """

    def __init__(self, rng: np.random.Generator, frames: int, size: tuple[int, int]):
        self.size = size
        self.aspect = size[0] / size[1]
        end = self.aspect + frames * SPEED + 1
        self.houses, left = [], -0.5
        while left < end:
            width = rng.uniform(0.45, 0.9)
            self.houses.append(House(left, width, rng.uniform(0.1, 0.24), WALLS[rng.integers(len(WALLS))],
                                     int(rng.integers(3, 5))))
            left += width
        self.trees = [(x + rng.uniform(-0.2, 0.2), rng.uniform(0.11, 0.17)) for x in np.arange(0, end, 1.1)]
        self.posts = np.arange(0.4, end, 1.3)
        self.cars = [Car(x + rng.uniform(-0.3, 0.3), rng.choice((-1, 1)) * rng.uniform(0.4, 1.3) * SPEED,
                         rng.choice((0.8, 0.92)), rng.uniform(0.42, 0.56), PAINTS[rng.integers(len(PAINTS))])
                     for x in np.arange(0, end, 0.8)]
        self.cars.sort(key=lambda car: car.row)
        self.grain = rng.normal(0, 5, (size[1] * FINE, size[0] * FINE)).astype(np.float32)

    def frame(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame k.

        Returns:
            photograph uint8 [H, W, 3], classes uint8 [H, W], things uint16 [H, W]: 1000 x class + number for cars,
            the class for all else.
        """
        width, height = self.size[0] * FINE, self.size[1] * FINE
        canvas = _Canvas(width, height, k * SPEED)
        _sky_and_ground(canvas)
        for house in self.houses:
            _house(canvas, house)
        for x, radius in self.trees:
            canvas.box(x - 0.012, 0.45, x + 0.012, KERB, (96, 70, 48), TREE)
            for dx, dy in ((0, 0), (-0.6, 0.35), (0.6, 0.3)):
                green = (70 + int(20 * dy), 120 + int(40 * dx), 58)
                canvas.disc(x + dx * radius, 0.4 + dy * radius, radius * 0.8, green, TREE)
        for x in self.posts:
            canvas.box(x - 0.008, 0.2, x + 0.008, KERB, (150, 152, 156), POST)
            canvas.box(x - 0.008, 0.2, x + 0.09, 0.215, (150, 152, 156), POST)
        for number, car in enumerate(self.cars):
            _car(canvas, car, k, number)
        noisy = np.clip(canvas.colours + self.grain[..., None] * (canvas.classes == ROAD)[..., None], 0, 255)
        photo = cv2.resize(noisy, self.size, interpolation=cv2.INTER_AREA).round().astype(np.uint8)
        return photo, canvas.classes[FINE // 2::FINE, FINE // 2::FINE], canvas.things[FINE // 2::FINE, FINE // 2::FINE]


class _Canvas:
    """Colours, classes and things of a frame, all drawn at once."""

    def __init__(self, width: int, height: int, camera: float):
        self.camera, self.scale = camera, height
        self.colours = np.zeros((height, width, 3), np.float32)
        self.classes = np.zeros((height, width), np.uint8)
        self.things = np.zeros((height, width), np.uint16)

    def box(self, left, top, right, bottom, colour, label, thing=None) -> None:
        columns = np.clip(np.round((np.array((left, right)) - self.camera) * self.scale), 0, self.colours.shape[1])
        rows = np.clip(np.round(np.array((top, bottom)) * self.scale), 0, self.colours.shape[0])
        self._paint(np.s_[int(rows[0]):int(rows[1]), int(columns[0]):int(columns[1])], colour, label, thing)

    def disc(self, x, y, radius, colour, label, thing=None) -> None:
        self.polygon(np.array((x, y)) + radius * np.array([(np.cos(a), np.sin(a)) for a in np.arange(0, 6.28, 0.2)]),
                     colour, label, thing)

    def polygon(self, points, colour, label, thing=None) -> None:
        where = np.zeros(self.classes.shape, np.uint8)
        pixels = np.round((np.asarray(points) - (self.camera, 0)) * self.scale * 16).astype(np.int32)
        cv2.fillPoly(where, [pixels], 1, shift=4)
        self._paint(where.astype(bool), colour, label, thing)

    def _paint(self, where, colour, label, thing) -> None:
        self.colours[where] = colour
        self.classes[where] = label
        self.things[where] = label if thing is None else 1000 * label + thing


def _sky_and_ground(canvas: _Canvas) -> None:
    reach = canvas.camera + canvas.colours.shape[1] / canvas.scale
    canvas.box(canvas.camera, 0, reach, HORIZON, (150, 190, 226), SKY)
    rows = int(HORIZON * canvas.scale)
    canvas.colours[:rows] += np.linspace(-20, 36, rows, dtype=np.float32)[:, None, None]
    canvas.box(canvas.camera, HORIZON, reach, EDGE, (176, 170, 162), PAVEMENT)
    canvas.box(canvas.camera, EDGE, reach, 1, (92, 92, 98), ROAD)
    for x in np.arange(np.floor(canvas.camera / 0.16) * 0.16, reach, 0.16):
        canvas.box(x, HORIZON, x + 0.006, EDGE, (150, 144, 136), PAVEMENT)
    for x in np.arange(np.floor(canvas.camera / 0.4) * 0.4, reach, 0.4):
        canvas.box(x, 0.855, x + 0.2, 0.868, (226, 224, 214), ROAD)


def _house(canvas: _Canvas, house: House) -> None:
    canvas.box(house.left, house.top, house.left + house.width, HORIZON, house.wall, HOUSE)
    canvas.box(house.left, house.top, house.left + house.width, house.top + 0.025, (96, 72, 66), HOUSE)
    step = (HORIZON - house.top - 0.03) / house.floors
    columns = max(round(house.width / 0.15), 2)
    pitch = house.width / columns
    for floor in range(house.floors):
        y = house.top + 0.045 + floor * step
        for column in range(columns):
            x = house.left + (column + 0.28) * pitch
            ground = floor == house.floors - 1
            colour = (70, 52, 44) if ground and column % 2 else (74, 96, 116)
            bottom = HORIZON if ground and column % 2 else y + 0.62 * step
            canvas.box(x - 0.008, y - 0.008, x + 0.44 * pitch + 0.008, bottom, (236, 230, 220), HOUSE)
            canvas.box(x, y, x + 0.44 * pitch, bottom, colour, HOUSE)


def _car(canvas: _Canvas, car: Car, k: int, number: int) -> None:
    left, length, row = car.left + car.speed * k, car.length, car.row
    x, y = (lambda share: left + share * length), (lambda share: row - share * length)
    paint = np.array(car.paint)
    canvas.polygon([(x(0), y(0.05)), (x(0), y(0.2)), (x(0.18), y(0.24)), (x(0.32), y(0.38)), (x(0.7), y(0.38)),
                    (x(0.86), y(0.23)), (x(1), y(0.19)), (x(1), y(0.05))], paint, CAR, number)
    canvas.polygon([(x(0.25), y(0.25)), (x(0.35), y(0.35)), (x(0.49), y(0.35)), (x(0.49), y(0.25))],
                   (176, 204, 220), CAR, number)
    canvas.polygon([(x(0.53), y(0.25)), (x(0.53), y(0.35)), (x(0.68), y(0.35)), (x(0.79), y(0.25))],
                   (176, 204, 220), CAR, number)
    canvas.box(x(0), y(0.13), x(1), y(0.11), paint * 0.6, CAR, number)
    for share in (0.2, 0.8):
        canvas.disc(x(share), y(0.05), 0.085 * length, (26, 26, 28), CAR, number)
        canvas.disc(x(share), y(0.05), 0.04 * length, (170, 172, 176), CAR, number)
