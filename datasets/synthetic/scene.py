"""Where a sample clip takes place: a paved yard before a house, a garden wall and trees, seen by a level camera.

Pixels are those of the double-size frame 1; integer coordinates are pixel centres. Metres in the world: x right, y up,
z away from the camera. Colours are RGB in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from datasets.synthetic.solids import rgb

EYE = 2.1  # height of the camera, metres
WALL = 8.5  # distance of the walls, metres
POTS, TREES, SKY = 7.7, 14.0, 60.0  # and of what stands before and behind them, where the camera walks
GROUND = np.array([0, 1 / EYE, 0])
"""As a plane of the world; see `upright`."""


@dataclass(frozen=True)
class View:
    """The camera of frame 1, for frames of `width` x `height` pixels."""

    width: int
    height: int

    @property
    def focal(self) -> float:
        """Pixels per metre at a distance of one metre."""
        return 1.93 * self.height

    @property
    def centre(self) -> np.ndarray:
        """The pixel [2] that the camera looks at: half-way across, on the horizon."""
        return np.array([(self.width - 1) / 2, 0.2 * self.height])

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] to pixels [..., 2]."""
        return self.centre + self.focal / points[..., 2:] * (points[..., :2] * (1, -1) + (0, EYE))

    @property
    def lens(self) -> np.ndarray:
        """What takes points (x right, y down, z away, from the camera) to homogeneous pixels, [3, 3]."""
        return np.array([[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1]])

    def reach(self, z: float) -> float:
        """Half the width of what the frame shows at a distance, metres."""
        return self.width / 2 * z / self.focal


def upright(z: float) -> np.ndarray:
    """The plane at a distance from the camera of frame 1: what its points (x right, y down, z away) give 1 with."""
    return np.array([0, 0, 1 / z])


class Painting:
    """A picture of some rectangle of the plane of frame 1, at `density` pixels per frame pixel."""

    def __init__(self, view: View, bounds: tuple[int, int, int, int], density: int, distance: float = WALL):
        """bounds: left, top, right, bottom, in frame pixels; the right and bottom ones are left out. What stands
        upright in it is at a distance, metres."""
        left, top, right, bottom = bounds
        self.view, self.density, self.corner = view, density, (left, top)
        self.pixels = np.zeros(((bottom - top) * density, (right - left) * density, 3), np.float32)
        self.leaves = np.zeros(self.pixels.shape[:2], np.float32)  # 1 where leaves are seen
        self.u = (left + (np.arange(self.pixels.shape[1]) + 0.5) / density - 0.5)[None, :].astype(np.float32)
        self.v = (top + (np.arange(self.pixels.shape[0]) + 0.5) / density - 0.5)[:, None].astype(np.float32)
        scale = view.focal / distance
        self.scale = scale * density  # canvas pixels per metre on the wall, or what else is at that distance
        self.x = (self.u - view.centre[0]) / scale
        self.y = EYE - (self.v - view.centre[1]) / scale
        self.base = int(np.searchsorted(-self.y[:, 0], 0))  # the first row of the ground

    def wall(self, left: float, right: float, low: float, high: float) -> tuple[slice, slice]:
        """Rows and columns of a rectangle on the wall, metres."""
        rows = np.searchsorted(-self.y[:, 0], (-high, -low))
        return slice(*rows), slice(*np.searchsorted(self.x[0], (left, right)))

    def at(self, x: float, y: float) -> np.ndarray:
        """Coordinates in the picture [2] of a point on the wall."""
        return np.array([(x - self.x[0, 0]) * self.scale, (self.y[0, 0] - y) * self.scale])


def draw_scene(view: View, bounds: tuple[int, int, int, int], density: int, rng: np.random.Generator,
               mirror: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Draw the scene without people.

    Args:
        bounds: left, top, right, bottom of the picture in frame pixels; right and bottom are left out.
        density: picture pixels per frame pixel.
        mirror: a polished floor that reflects the wall and the sky.

    Returns:
        the scene, float32 [rows, columns, 3] in [0, 1], and where its leaves are, float32 [rows, columns]: 0 or 1.
    """
    canvas = Painting(view, bounds, density)
    side = rng.choice((-1, 1))
    corner = side * rng.uniform(0.2, 1.0)  # where the house ends and the garden wall begins
    wide = float(abs(canvas.x).max()) + 1
    house, garden = sorted((side * wide, corner)), sorted((corner, -side * wide))
    leaves = rgb(str(rng.choice(["4f7f3a", "5d8a3c", "3f7a4a"])))
    _sky(canvas, rng)
    for x in np.arange(garden[0], garden[1] + 1, 1.1):
        _tree(canvas, rng, x + rng.uniform(-0.4, 0.4), leaves)
    _garden_wall(canvas, rng, *garden)
    _climber(canvas, rng, rng.uniform(garden[0], garden[1]), leaves * (1.05, 1.1, 0.8))
    _house(canvas, rng, *house)
    _ground(canvas, rng, polished=mirror)
    spots = np.arange(-wide, wide, 1.9) + rng.uniform(-0.3, 0.3)
    plants = [(x, rng.integers(2 ** 32)) for x in spots if rng.uniform() < 0.65]
    for after in (False, True) if mirror else (True,):  # once to be reflected, once in front of the reflection
        for x, seed in plants:
            _plant(canvas, np.random.default_rng(seed), x, leaves)
        if mirror and not after:
            _reflect(canvas)
    return np.clip(canvas.pixels, 0, 1), canvas.leaves


class Plane(NamedTuple):
    """A part of the scene that is flat.

    Attributes:
        picture: premultiplied RGBA, float32 [rows, columns, 4] in [0, 1]; RGB, where it is all there is.
        leaves: where its leaves are, [rows, columns], 0 or 1.
        corner: (x, y) of the picture in frame 1.
        normal: [3], of the plane, as `upright` says.
    """

    picture: np.ndarray
    leaves: np.ndarray
    corner: tuple[int, int]
    normal: np.ndarray


def draw_planes(view: View, area: Callable[[np.ndarray], tuple[int, int, int, int]], density: int,
                rng: np.random.Generator) -> list[Plane]:
    """Draw the scene without people for a camera that walks: sky, trees, walls, ground and pots, from back to front.

    Args:
        area: left, top, right, bottom of what is ever seen of a plane, pixels of frame 1; the last two are left out.
        density: picture pixels per frame pixel.
    """
    side = rng.choice((-1, 1))
    corner, far = side * rng.uniform(0.2, 1.0), 12.0
    house, garden = sorted((side * far, corner)), sorted((corner, -side * far))
    leaves = rgb(str(rng.choice(["4f7f3a", "5d8a3c", "3f7a4a"])))
    seeds = rng.integers(2 ** 32, size=5)

    def trees(canvas: Painting, rng: np.random.Generator) -> None:
        for x in np.arange(-far, far, 1.4):
            _tree(canvas, rng, x + rng.uniform(-0.4, 0.4), leaves)

    def walls(canvas: Painting, rng: np.random.Generator) -> None:
        _garden_wall(canvas, rng, *garden)
        _climber(canvas, rng, corner - side * rng.uniform(1, 3), leaves * (1.05, 1.1, 0.8))
        _house(canvas, rng, *house)

    def ground(canvas: Painting, rng: np.random.Generator) -> None:
        _ground(canvas, rng, polished=False)

    def pots(canvas: Painting, rng: np.random.Generator) -> None:
        for x in np.arange(-far / 2, far / 2, 1.9):
            if rng.uniform() < 0.65:
                _plant(canvas, rng, x + rng.uniform(-0.3, 0.3), leaves)

    planes = []
    for paint, distance, normal, seed in zip((_sky, trees, walls, ground, pots), (SKY, TREES, WALL, WALL, POTS), (
            upright(SKY), upright(TREES), upright(WALL), GROUND, upright(POTS)), seeds):
        bounds = area(normal)
        over_black, over_white = Painting(view, bounds, density, distance), Painting(view, bounds, density, distance)
        over_white.pixels[:] = 1
        for canvas in (over_black, over_white):
            paint(canvas, np.random.default_rng(seed))
        alpha = 1 - (over_white.pixels - over_black.pixels).mean(axis=-1)
        picture = np.dstack([over_black.pixels, alpha]).clip(0, 1)
        planes.append(Plane(picture, over_black.leaves, bounds[:2], normal))
    return planes


def swayed(scene: np.ndarray, leaves: np.ndarray, reach: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """The scene at a time, its leaves moved by a wind that does not blow alike everywhere.

    Args:
        scene, leaves: as `draw_scene` returns them.
        reach: how far leaves go to either side, picture pixels; beside them the picture gives way smoothly.
        rng: decides the wind; the same for all times of a clip.
    """
    pliant = cv2.GaussianBlur(leaves, (0, 0), 1.5 * reach) * reach
    gust = 9 * _noise(rng, leaves.shape, leaves.shape[0] / 2, 2)
    across = 0.7 * np.sin(5.1 * seconds + gust) + 0.3 * np.sin(8.3 * seconds + 2 * gust)
    down = 0.4 * np.sin(6.7 * seconds + 1.6 * gust)
    rows, columns = np.indices(leaves.shape, dtype=np.float32)
    places = np.dstack([columns + pliant * across, rows + pliant * down]).astype(np.float32)
    return cv2.remap(  # type: ignore[call-overload]  # OpenCV's stubs want two maps
        scene, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


# ---- textures -------------------------------------------------------------------------------------------------------

def _noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 4) -> np.ndarray:
    """Smooth noise [rows, columns] about 0, within +-1, with its largest blobs `cell` pixels wide."""
    total = np.zeros(shape, np.float32)
    for k in range(octaves):
        size = max(cell / 2 ** k, 1)
        grid = rng.uniform(-1, 1, (int(shape[0] / size) + 3, int(shape[1] / size) + 3)).astype(np.float32)
        whole = cv2.resize(grid, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
        total += whole[: shape[0], : shape[1]] / 2 ** (k + 1)
    return total


def _tiles(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, size: tuple[float, float],
           joint: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Running bond: per point a random number of its tile, whether it is in a joint, and its height within the tile."""
    row = np.floor(y / size[1])
    across = x / size[0] + 0.5 * (row % 2)
    column = np.floor(across)
    table = rng.uniform(-1, 1, (61, 67)).astype(np.float32)
    tone = table[row.astype(int) % 61, column.astype(int) % 67]
    inside, up = (across - column) * size[0], y - row * size[1]
    return tone, (inside < joint) | (up < joint), up / size[1]


def _bricks(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, brick: np.ndarray) -> np.ndarray:
    tone, joint, up = _tiles(rng, x, y, (0.25, 0.085), 0.012)
    colour = brick * (1 + 0.16 * tone + 0.1 * (up - 0.5))[..., None]
    return np.where(joint[..., None], rgb("b9ab98") * 0.95, colour)


def _boards(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, wood: np.ndarray) -> np.ndarray:
    board = np.floor(x / 0.16)
    tone = rng.uniform(-1, 1, 67).astype(np.float32)[board.astype(int) % 67]
    waves = np.sin(y * 9 + 40 * tone + 3 * np.sin(x * 50 + tone * 9))
    grain = 0.05 * waves + 0.05 * np.sin(x * 260 + 4 * np.sin(y * 5))
    gap = np.where(x / 0.16 - board < 0.06, 0.55, 1)
    return wood * ((1 + 0.14 * tone + grain) * gap)[..., None]


# ---- things ---------------------------------------------------------------------------------------------------------

def _sky(canvas: Painting, rng: np.random.Generator) -> None:
    depth = np.clip(canvas.y / 4, 0, 1)[..., None]
    sky = rgb("e9eee9") + (rgb("6fa5d6") - rgb("e9eee9")) * np.clip(depth * 1.5 - 0.4, 0, 1)
    clouds = np.clip(_noise(rng, canvas.pixels.shape[:2], 1.8 * canvas.scale) * 2, 0, 1)[..., None]
    canvas.pixels[:] = sky + (0.97 - sky) * clouds * 0.8


def _foliage(canvas: Painting, rng: np.random.Generator, centre: tuple[float, float], radius: float, colour: np.ndarray,
             leaves: int, blossom: np.ndarray | None = None) -> None:
    """A ball of leaves, dark ones first, lit from above on the left."""
    angle, far = rng.uniform(0, 2 * np.pi, leaves), np.sqrt(rng.uniform(0, 1, leaves)) * rng.uniform(0.75, 1, leaves)
    dx, dy = far * np.cos(angle), 0.85 * far * np.sin(angle)
    light = 0.95 + 0.32 * (dy - 0.6 * dx) + rng.normal(0, 0.13, leaves)
    light[: leaves // 3] *= 0.62
    size = rng.uniform(0.03, 0.06, leaves) * radius ** 0.3 * canvas.scale
    middle = tuple(int(16 * c) for c in canvas.at(*centre))
    core = tuple(map(float, 0.5 * colour))
    axes = (int(14 * radius * canvas.scale), int(12 * radius * canvas.scale))
    cv2.ellipse(canvas.pixels, middle, axes, 0, 0, 360, core, -1, cv2.LINE_8, 4)
    cv2.ellipse(canvas.leaves, middle, axes, 0, 0, 360, 1, -1, cv2.LINE_8, 4)
    for k in range(leaves):
        spot = canvas.at(centre[0] + radius * dx[k], centre[1] + radius * dy[k])
        tint = colour * light[k] * (1 + 0.12 * (light[k] - 1) * np.array([1.5, 0.4, -1.5]))
        if blossom is not None and k > 0.75 * leaves:
            tint = blossom * min(light[k] + 0.1, 1.1)
        cv2.ellipse(canvas.pixels, (int(spot[0] * 16), int(spot[1] * 16)),
                    (int(size[k] * 16) + 8, int(size[k] * 8) + 8), float(rng.uniform(0, 180)), 0, 360,
                    tuple(map(float, tint)), -1, cv2.LINE_8, 4)


def _tree(canvas: Painting, rng: np.random.Generator, x: float, leaves: np.ndarray) -> None:
    """A crown of a few balls of leaves, some of them low behind the wall."""
    tall = rng.uniform(1.7, 2.9)
    for _ in range(4):
        spot = (x + rng.uniform(-0.5, 0.5), tall + rng.uniform(-0.5, 0.3))
        _foliage(canvas, rng, spot, rng.uniform(0.45, 0.75), leaves * rng.uniform(0.85, 1.1), 420)


def _climber(canvas: Painting, rng: np.random.Generator, x: float, leaves: np.ndarray) -> None:
    """Ivy that hangs over the top of the garden wall."""
    for dx in np.linspace(-0.8, 0.8, 9):
        hang = rng.uniform(0, 0.5) * (1 - dx ** 2)
        for y in np.arange(0, hang + 0.1, 0.14):
            _foliage(canvas, rng, (x + dx + rng.uniform(-0.06, 0.06), 1.74 - y), 0.2 - 0.14 * y, leaves, 60)


def _house(canvas: Painting, rng: np.random.Generator, left: float, right: float) -> None:
    """A brick front with windows and a door."""
    rows, columns = canvas.wall(left, right, 0, 99)
    x, y = canvas.x[:, columns], canvas.y[rows]
    brick = rgb(str(rng.choice(["a4573f", "b0714f", "96584a", "c29a6b"])))
    weather = 1 + 0.13 * _noise(rng, (y.size, x.size), 1.2 * canvas.scale)[..., None]
    canvas.pixels[rows, columns] = _bricks(rng, x, y, brick) * weather
    canvas.leaves[rows, columns] = 0
    _box(canvas, left, right, 0, 0.32, rgb("8f877c"))
    _box(canvas, left, right, 2.62, 2.74, rgb("cfc4b2"))
    paint = rgb(str(rng.choice(["e9e4d8", "2f5d62", "6a3d3a", "33475b"])))
    start, door = left + rng.uniform(0.5, 0.9), rng.integers(2)
    for k, x0 in enumerate(np.arange(start, right - 1.1, 1.75)):
        if k % 3 == door:
            _door(canvas, x0, paint)
        else:
            _window(canvas, rng, x0, paint)


def _box(canvas: Painting, left: float, right: float, low: float, high: float, colour: np.ndarray,
         depth: float = 0.05) -> None:
    """A raised block: lit upper edge, soft shadow below."""
    rows, columns = canvas.wall(left, right, low, high)
    canvas.pixels[rows, columns] = colour
    edge, _ = canvas.wall(left, right, high - 0.02, high)
    canvas.pixels[edge, columns] = np.clip(colour * 1.15, 0, 1)
    shade, columns = canvas.wall(left + depth, right + depth, low - depth, low)
    canvas.pixels[shade, columns] *= 0.62


def _window(canvas: Painting, rng: np.random.Generator, left: float, paint: np.ndarray) -> None:
    right, low, high = left + 0.95, 1.0, 2.25
    _box(canvas, left - 0.09, right + 0.09, high, high + 0.14, rgb("cfc4b2"))
    rows, columns = canvas.wall(left, right, low, high)
    x, y = (canvas.x[:, columns] - left) / (right - left), (canvas.y[rows] - low) / (high - low)
    glass = rgb("3d5468") + (rgb("b9d3e2") - rgb("3d5468")) * np.clip(0.15 + 0.5 * y + 0.25 * x, 0, 1)[..., None]
    sheen = ((x * 1.2 + y + rng.uniform(0, 0.3)) % 0.9 < 0.22)[..., None] * 0.12
    curtain = (np.minimum(x, 1 - x) < 0.16 + 0.03 * np.sin(y * 7))[..., None]
    folds = (0.78 + 0.08 * np.sin(x * 80))[..., None] * rgb("e8dcc4")
    canvas.pixels[rows, columns] = np.where(curtain, 0.75 * folds + 0.25 * glass, glass + sheen)
    shade = np.maximum(x < 0.07, y > 0.93)[..., None]
    canvas.pixels[rows, columns] *= np.where(shade, 0.6, 1)
    for x0, x1, y0, y1 in [(left, left + 0.06, low, high), (right - 0.06, right, low, high),
                           (left, right, high - 0.06, high), (left, right, low, low + 0.06),
                           (left + 0.45, left + 0.5, low, high), (left, right, 1.78, 1.82)]:
        _box(canvas, x0, x1, y0, y1, np.clip(paint, 0, 0.95), 0.015)
    _box(canvas, left - 0.1, right + 0.1, low - 0.08, low, rgb("d8cebd"), 0.07)


def _door(canvas: Painting, left: float, paint: np.ndarray) -> None:
    right = left + 0.92
    _box(canvas, left - 0.1, right + 0.1, 0, 2.22, rgb("d3c8b6"))
    rows, columns = canvas.wall(left, right, 0.12, 2.12)
    canvas.pixels[rows, columns] = paint * 0.95
    for low, high in ((0.3, 0.95), (1.1, 1.95)):
        _box(canvas, left + 0.14, right - 0.14, low, high, paint * 0.86, 0.02)
    spot = canvas.at(right - 0.08, 1.05)
    cv2.circle(canvas.pixels, tuple(map(int, spot)), max(int(0.03 * canvas.scale), 1), (0.86, 0.70, 0.32), -1)
    _box(canvas, left - 0.2, right + 0.2, 0, 0.12, rgb("b7afa2"))


def _garden_wall(canvas: Painting, rng: np.random.Generator, left: float, right: float) -> None:
    """Boards or rendered stone as high as a man's head, with a coping."""
    rows, columns = canvas.wall(left, right, 0, 1.7)
    x, y = canvas.x[:, columns], canvas.y[rows]
    canvas.leaves[rows, columns] = 0
    weather = _noise(rng, (y.size, x.size), 0.9 * canvas.scale)[..., None]
    if rng.integers(2):
        wood = rgb(str(rng.choice(["a27c54", "8b8378", "7f9a94"])))
        canvas.pixels[rows, columns] = _boards(rng, x, y, wood) * (1 + 0.1 * weather)
    else:
        canvas.pixels[rows, columns] = rgb(str(rng.choice(["e6d5b4", "dcb9a0", "cfd3c4"]))) * (1 + 0.14 * weather)
        plinth, _ = canvas.wall(left, right, 0, 0.45)
        canvas.pixels[plinth, columns] = _bricks(rng, x, canvas.y[plinth], rgb("9d6a50"))
    dapples = np.clip(4 * _noise(rng, (y.size, x.size), 0.5 * canvas.scale), 0, 1) * np.clip((y - 0.3) / 1.4, 0, 1)
    canvas.pixels[rows, columns] *= 1 - 0.13 * dapples[..., None]
    _box(canvas, left - 0.05, right + 0.05, 1.68, 1.77, rgb("c8bda9"), 0.08)


def _ground(canvas: Painting, rng: np.random.Generator, polished: bool) -> None:
    v = canvas.v[canvas.base:]
    z = canvas.view.focal * EYE / (v - canvas.view.centre[1])
    x = (canvas.u - canvas.view.centre[0]) * z / canvas.view.focal
    z = np.broadcast_to(z, x.shape)
    size, tone_of, joint_colour = (((0.7, 0.7), 0.05, "8d867c") if polished else
                                   [((0.75, 0.5), 0.09, "857a69"), ((0.3, 0.22), 0.12, "7d7264")][rng.integers(2)])
    stone = rgb(str(rng.choice(["cfc8bb", "c9b79c", "bcb6ae"])))
    tone, joint, up = _tiles(rng, x, z, size, 0.012 if polished else 0.022)
    colour = stone * (1 + tone_of * tone + 0.05 * (up - 0.5))[..., None]
    colour = np.where(joint[..., None], rgb(joint_colour), colour)
    places = (np.floor(150 * metres).astype(int) % 1024 for metres in (z, x))
    row, column = (np.minimum(place, 1023 - place) for place in places)  # back and forth, so that there is no seam
    grain = _noise(rng, (512, 512), 40, 5)[row, column]
    broad = _noise(rng, x.shape, 1.5 * canvas.scale, 2)
    near_wall = 1 - 0.42 * np.exp(-(WALL - z) / 0.25)
    canvas.pixels[canvas.base:] = colour * ((1 + 0.16 * grain + 0.07 * broad) * near_wall)[..., None]
    foot, columns = canvas.wall(-99, 99, 0, 0.25)
    canvas.pixels[foot, columns] *= (0.7 + 0.3 * np.clip(canvas.y[foot] / 0.25, 0, 1))[..., None]


def _reflect(canvas: Painting) -> None:
    """Lay the wall, turned upside down, over the polished ground; weaker nearer to the camera."""
    rows = len(canvas.pixels) - canvas.base
    image: np.ndarray = canvas.pixels[:canvas.base][::-1]
    image = np.pad(image, ((0, max(rows - len(image), 0)), (0, 0), (0, 0)), mode="edge")[:rows]
    image = cv2.GaussianBlur(image, (0, 0), 0.012 * canvas.scale, sigmaY=0.03 * canvas.scale)
    share = 0.42 - 0.2 * np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    canvas.pixels[canvas.base:] += (image - canvas.pixels[canvas.base:]) * share


def _plant(canvas: Painting, rng: np.random.Generator, x: float, leaves: np.ndarray) -> None:
    """A bush in a pot at the foot of the wall, with its shadow."""
    foot, wide, tall = -0.06, rng.uniform(0.16, 0.22), rng.uniform(0.28, 0.4)
    shade = np.zeros(canvas.pixels.shape[:2], np.float32)
    cv2.ellipse(shade, tuple(map(int, canvas.at(x + 0.2, foot))), (int(0.42 * canvas.scale), int(0.08 * canvas.scale)),
                0, 0, 360, 1, -1)
    canvas.pixels *= 1 - 0.4 * cv2.GaussianBlur(shade, (0, 0), 0.05 * canvas.scale)[..., None]
    rows, columns = canvas.wall(x - wide, x + wide, foot, foot + tall)
    across, up = (canvas.x[:, columns] - x) / wide, (canvas.y[rows] - foot) / tall
    clay = rgb(str(rng.choice(["b5643f", "4c6a78", "d9cdb8"]))) * (0.95 - 0.3 * across - 0.12 * across ** 2)[..., None]
    clay = np.broadcast_to(clay, (up.size, across.size, 3)) * np.where((up > 0.82) & (up < 0.86), 0.7, 1)[..., None]
    inside = abs(across) < np.where(up > 0.84, 1, 0.68 + 0.24 * up)
    canvas.pixels[rows, columns] = np.where(inside[..., None], clay, canvas.pixels[rows, columns])
    blossom = rgb(str(rng.choice(["e86a6f", "f2c14e", "f6f1ea", "b784c9"]))) if rng.integers(2) else None
    _foliage(canvas, rng, (x, foot + tall + 0.22), rng.uniform(0.26, 0.36), leaves * (1.0, 1.05, 0.9), 260, blossom)
