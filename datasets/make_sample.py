"""Make a sample clip with known layers from nothing: people who walk, jump and cross each other in a yard.

    python datasets/make_sample.py --dataroot datasets/sample

The folder is a dataroot (rgb_256/, rgb_512/, keypoints.json, metadata.json, mask/ and, when the camera moves,
homographies.txt) and in gt/ what it was composited from: the background, and per person the layer (straight RGBA: the
person over his reflection over his shadow), the matte and the shadow's opacity. Leaves that sway, a crowd, a camera
that shakes and light that flickers are in gt/ as they are in the frames; noise is in the frames only. With --own_scale
frames are in rgb/, too, several times as large, as from a video of that size, and so are gt/ and mask/. The same
options and seed give the same clip.

A shadow that falls on somebody belongs to the layer of whoever casts it, which therefore must be in front: layers are
in the order of people's distances, and have no other. So with --shadow_on_people the sun is low and behind the camera,
where shadows fall away from it, on people who are farther off. (A person behind who shades one in front cannot be told
in such layers: the shadow would have to be before the other's layer and the person behind it.)
"""

import json
import re
import sys
import tempfile
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.synthetic.motion import Jump, Loop, Mover, Skeleton, Style
from datasets.synthetic.person import GIRTHS, Person, dressed
from datasets.synthetic.scene import EYE, GROUND, WALL, Plane, View, draw_planes, draw_scene, swayed, upright
from datasets.synthetic.solids import Part, cast_shadow, extent, render, seen_points
from util.command_line import OneLineParser, float_at_least, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import folder_replaced_atomically, write_text
from util.images import write_png
from vision.geometry.homography import apply_homography
from vision.layers.patches import over
from vision.people.iuv import atlas_tiles

RATE = 25  # frames per second
SHORTEST = 1.6  # seconds of action: a clip with fewer frames shows it in quick motion
CROWD = 8.1  # distance of the crowd, metres
BETWEEN_JUMPS = 3.6  # seconds from one to the next of the same person
DENSITY = 2  # drawn pixels per pixel of what is written largest, each way
DARKEST = 0.55  # opacity of a shadow
MIRRORED = 0.4  # opacity of a reflection at the feet
SUN = np.array([-0.55, 0.78, 0.14]) / np.linalg.norm([-0.55, 0.78, 0.14])  # towards it
OF_A_CLIP = re.compile(r"(rgb|rgb_256|rgb_512|mask/\d\d|iuv/\d\d|gt(/(bg|(layer|person|shadow)_\d\d))?)/\w+\.png|"
                       r"(prepare|kp2uv)/.*|keypoints\.json|metadata\.json|homographies\.txt|\.made_by_make_iuv\.json")
"""Files that this program makes, and those that others make of a clip of it."""
WALKED = 1.6  # metres, by a camera that walks
LOW_SUN = np.array([-0.57, 0.63, -0.53]) / np.linalg.norm([-0.57, 0.63, -0.53])  # behind the camera


def main(argv: list[str] | None = None) -> None:
    """Make the clip, and say where it is."""
    opt = parse(argv)
    folder = make_sample(**vars(opt))
    print(f"sample clip: {folder}: {opt.frames} frames of {opt.width} x {opt.height}, people: {opt.people}")


def parse(argv: list[str] | None = None) -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Make a sample clip with known layers: people who walk, jump and cross.")
    add = parser.add_argument
    add("--dataroot", required=True, metavar="DIR", help="folder to make (required)")
    add("--frames", type=int_at_least(1), default=40, metavar="N", help="length, at 25 frames per second (default: 40)")
    add("--width", type=int_at_least(1), default=448, metavar="PX", help="of rgb_256, a multiple of 16 (default: 448)")
    add("--height", type=int_at_least(1), default=256, metavar="PX", help="of rgb_256, a multiple of 16 (default: 256)")
    add("--own_scale", type=int_at_least(2), metavar="N",
        help="frames in rgb/, too, N times as large as rgb_256, as from a video of that size, and true layers and "
             "masks as large (default: no rgb/; true layers and masks have the size of rgb_256)")
    add("--seed", type=int_at_least(0), default=1, metavar="N", help="another seed, another clip (default: 1)")
    add("--people", type=int, choices=range(1, 5), default=2, help="how many, a layer each (default: 2)")
    add("--build", choices=tuple(GIRTHS), default="mixed", help="of the people (default: mixed)")
    add("--crowd", type=int_at_least(0), default=0, metavar="N",
        help="people who stand before the wall and sway; they are background (default: 0)")
    add("--cut", action="store_true", help="people are so near that the frame cuts their legs off")
    add("--touch", action="store_true", help="people pass within reach of each other, not metres apart")
    add("--shadow", choices=("soft", "hard", "none"), default="soft", help="edge of the shadows (default: soft)")
    add("--shadow_on_people", action="store_true",
        help="the sun is low behind the camera, so that shadows fall on people farther off, too")
    add("--mirror_floor", action="store_true", help="a polished floor; a reflection belongs to its person's layer")
    add("--camera", choices=("static", "moving", "walk"), default="static",
        help="moving: pans, tilts, rolls and zooms; writes homographies.txt. walk: walks past walls, trees and pots, "
             "near and far, so that no homography describes it (default: static)")
    add("--shake", type=float_at_least(0), default=0.0, metavar="PX",
        help="standard deviation of a jitter of the camera that no homography tells of, in pixels of rgb_256 "
             "(default: 0)")
    add("--sway", type=float_at_least(0), default=0.0, metavar="PX",
        help="how far leaves sway in the wind, in pixels of rgb_256 (default: 0)")
    add("--flicker", type=float_at_least(0), default=0.0, metavar="PERCENT",
        help="standard deviation of the exposure (default: 0)")
    add("--noise", type=float_at_least(0), default=0.0, metavar="LEVELS",
        help="standard deviation of sensor noise in rgb_512, in 8-bit levels (default: 0)")
    add("--masks", choices=("whole", "visible"), default="whole",
        help="mask/ holds whole people, or only what nobody hides (default: whole)")
    add("--overwrite", action="store_true", help="replace a sample clip that is there already")
    return parser.parse_args(argv)


def make_sample(dataroot: Path | str, *, frames: int = 40, width: int = 448, height: int = 256,
                own_scale: int | None = None, overwrite: bool = False, **content) -> Path:
    """Make a sample clip; the arguments are the options of the command line.

    Args:
        content: fields of `Content`.

    Returns:
        the folder. It appears whole or not at all.

    Raises:
        UserError: a size is not a multiple of 16, or the folder is there already, or options exclude each other.
    """
    if content.get("camera") == "walk" and content.get("mirror_floor"):
        raise UserError("--mirror_floor: found with --camera walk, whose floor mirrors nothing. Leave one of them out")
    for name, size in (("--width", width), ("--height", height)):
        if size % 16:
            raise UserError(f"{name}: {size} is not a multiple of 16; the nearest is {max(round(size / 16), 1) * 16}")
    dataroot = Path(dataroot).resolve()
    check_place(dataroot, overwrite)
    scale = own_scale or 2
    clip = SampleClip(View(scale * width, scale * height), frames, Content(**content), own_scale)
    with folder_replaced_atomically(dataroot) as new:
        clip.write(new)
    return dataroot


def check_place(dataroot: Path, overwrite: bool) -> None:
    """Make the folder that will hold the clip's, and refuse a clip's folder that holds something, unless that is a
    sample clip that may be replaced.

    Raises:
        UserError: it does, or it is a file, or nothing can be written there.
    """
    if dataroot.exists() and not dataroot.is_dir():
        raise UserError(f"{dataroot}: a file; expected a folder to make. Give another --dataroot")
    if dataroot.exists() and any(dataroot.iterdir()):
        if not overwrite:
            raise UserError(f"{dataroot}: not empty; expected a new folder. Give another --dataroot, or --overwrite")
        if not (dataroot / "gt").is_dir():
            raise UserError(f"{dataroot}: not a sample clip (it has no gt folder), so --overwrite leaves it alone. "
                            "Give another --dataroot")
        foreign = [path for path in sorted(dataroot.rglob("*")) if not path.is_dir()
                   and not OF_A_CLIP.fullmatch(path.relative_to(dataroot).as_posix())]
        if foreign:
            raise UserError(f"{foreign[0]}: not of a sample clip, so --overwrite leaves the clip alone. Move it away, "
                            "or give another --dataroot")
    try:
        dataroot.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=dataroot.parent).close()
    except OSError as error:
        raise UserError(f"{dataroot}: cannot be written ({error.strerror}); expected a folder that can be made. "
                        "Give another --dataroot") from None


# ---- what there is in the clip --------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Content:
    """What is to be seen in a clip; the options of the same names say what each means."""

    seed: int = 1
    people: int = 2
    build: str = "mixed"
    crowd: int = 0
    cut: bool = False
    touch: bool = False
    shadow: str = "soft"
    shadow_on_people: bool = False
    mirror_floor: bool = False
    camera: str = "static"
    shake: float = 0.0
    sway: float = 0.0
    flicker: float = 0.0
    noise: float = 0.0
    masks: str = "whole"

    def rng(self, use: int) -> np.random.Generator:
        """Random numbers for one use, which do not depend on what else there is in the clip."""
        return np.random.default_rng([self.seed, use])


@dataclass(frozen=True)
class Actor:
    """A person and his way through the clip."""

    person: Person
    mover: Mover


def cast_actors(view: View, content: Content, seconds: float) -> list[Actor]:
    """People at different distances, who come from both sides and cross at half time; all but the third jump, each at
    his own time."""
    rng, people = content.rng(0), content.people
    # A shadow on somebody must reach him, and end before the walls.
    nearest, farthest = ((3.5, 4.1) if content.cut else (6.4, 6.5) if content.touch else
                         (6.0, 6.5) if content.shadow_on_people else (5.8, 7.1))
    distances = rng.permutation(np.linspace(nearest, farthest, people) if people > 1 else [3.8 if content.cut else 6.2])
    jumpers = [k for k in range(people) if k != 2]
    latest = min(seconds - 1.1, BETWEEN_JUMPS / 2)
    first = dict(zip(jumpers, rng.permutation(np.linspace(-0.1, latest, people) if people > 1 else [latest / 2])))
    actors = []
    for k, person in enumerate(dressed(people, content.build, rng)):
        loop = Loop(distances[k], straight=max(1.6 * view.reach(distances[k]) - 1.0, 0.6))
        middle = loop.straight / 2 + (k // 2) * rng.choice((-1, 1)) * rng.uniform(0.5, 0.9) + rng.uniform(-0.15, 0.15)
        middle += k % 2 * (loop.straight + np.pi * loop.radius)  # every other one on the way back
        start = first.get(k, seconds + 3)
        starts = np.arange(start, max(seconds - 1, start + 1), BETWEEN_JUMPS)
        jumps = [Jump(start, height=rng.uniform(0.25, 0.36)) for start in starts]
        style = leaping(rng) if k % 2 else reaching(rng)
        actors.append(Actor(person, Mover(person.height, person.hips, person.shoulders, style, loop, middle, jumps,
                                          seconds)))
    return actors


def cast_crowd(view: View, content: Content, seconds: float) -> list[tuple[Actor, float]]:
    """People who are background, side by side before the wall, and the phase in which each sways."""
    rng, reach = content.rng(7), view.reach(CROWD)
    crowd: list[tuple[Actor, float]] = []
    for start in range(0, content.crowd, 6):
        for person in dressed(min(6, content.crowd - start), "mixed", rng):
            loop = Loop(CROWD + rng.uniform(-0.15, 0.15), straight=4 * reach, radius=0.05)
            place = (2 * (len(crowd) + rng.uniform(0.2, 0.8)) / content.crowd - 1) * reach
            mover = Mover(person.height, person.hips, person.shoulders, reaching(rng), loop, loop.straight / 2 + place,
                          [Jump(seconds + 3, height=0.3)], seconds)
            crowd.append((Actor(person, mover), rng.uniform(0, 2 * np.pi)))
    return crowd


def reaching(rng: np.random.Generator) -> Style:
    """Someone who jumps with arms up and feet together."""
    return Style(speed=rng.uniform(1.25, 1.75), swing=rng.uniform(0.8, 1.2), bend=rng.uniform(0.3, 0.5),
                 reach=rng.uniform(2.9, 3.1), star=0.4, tuck=rng.uniform(0.03, 0.09))


def leaping(rng: np.random.Generator) -> Style:
    """Someone who jumps with arms spread and feet apart."""
    return Style(speed=rng.uniform(1.25, 1.75), swing=rng.uniform(0.8, 1.2), bend=rng.uniform(0.3, 0.5),
                 reach=0.5, star=rng.uniform(1.9, 2.3), split=0.12, tuck=0.05)


def camera_motion(view: View, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Homographies [frames, 3, 3] from frame 1 to each frame, of a camera that pans and zooms and is held by hand."""
    side, shake = rng.choice((-1, 1)), rng.uniform(5, 9, 3)
    lens = view.lens
    matrices = []
    for s in np.linspace(0, 1, frames):
        tilt, wobble, roll = (0.01, 0.004, 0.01) * np.sin(shake * s)
        pan = side * 0.11 * s * s * (3 - 2 * s) + wobble
        rotation = np.eye(3)
        for turn in ((0, pan, 0), (tilt, 0, 0), (0, 0, roll)):
            rotation = cv2.Rodrigues(np.array(turn))[0] @ rotation
        zoom = np.diag([1 + 0.05 * s, 1 + 0.05 * s, 1])
        matrix = lens @ zoom @ rotation @ np.linalg.inv(lens)
        matrices.append(np.round(matrix / matrix[2, 2], 13) + 0.0)  # + 0.0: no negative zeros
    return np.stack(matrices)


def camera_walk(view: View, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A camera that walks aside and a little ahead, and keeps the walls in sight.

    Returns:
        homographies [frames, 3, 3] by which it turns, from frame 1 to each frame; and where it is: [frames, 3], metres
        to the right, down and away from where it was in frame 1.
    """
    side, phase = rng.choice((-1, 1)), rng.uniform(0, 2 * np.pi)
    s = np.linspace(0, 1, frames)
    steps = np.sin(2 * np.pi * WALKED * s + phase) - np.sin(phase)
    places = np.stack([side * WALKED * s, 0.03 * steps, 0.35 * WALKED * s], axis=-1)
    turns = [view.lens @ cv2.Rodrigues(np.array([0.01 * step, np.arctan(0.7 * x / WALL), 0]))[0]
             @ np.linalg.inv(view.lens) for step, (x, _, _) in zip(steps, places)]
    return np.stack(turns), places


class SampleClip:
    """Everything that decides what is in a clip; draws and writes it frame by frame.

    Args:
        view: the camera, and the size of what is drawn.
        frames: how many.
        content: what is to be seen.
        own_scale: by how much it is larger than rgb_256, where frames, layers and masks of that size are wanted; None:
            it is twice as large, and layers and masks are halved.
    """

    def __init__(self, view: View, frames: int, content: Content, own_scale: int | None = None):
        self.view, self.content, self.scale = view, content, own_scale or 2
        self.small = (view.width // self.scale, view.height // self.scale)
        self.known_size = (view.width, view.height) if own_scale else self.small
        self.sun = LOW_SUN if content.shadow_on_people else SUN
        seconds = max(frames / RATE, SHORTEST)
        self.times = np.arange(frames) * seconds / frames
        self.actors = cast_actors(view, content, seconds)
        self.crowd, self.seconds = cast_crowd(view, content, seconds), seconds
        still = np.tile(np.eye(3), (frames, 1, 1))
        self.moving, self.walks = content.camera == "moving", content.camera == "walk"
        self.registered = camera_motion(view, frames, content.rng(1)) if self.moving else still
        self.places = np.zeros((frames, 3))
        if self.walks:
            self.registered, self.places = camera_walk(view, frames, content.rng(1))
        jitter = still.copy()
        jitter[:, :2, 2] = content.rng(4).normal(0, self.scale * content.shake, (frames, 2))
        self.homographies = jitter @ self.registered
        self.gains = 1 + content.rng(5).normal(0, content.flicker / 100, frames)
        if self.walks:
            planes = draw_planes(view, self.seen_of, DENSITY, content.rng(2))
            ends = np.array([self.seen_of(plane.normal) for plane in planes])
            self.area = (*ends[:, :2].min(axis=0).tolist(), *ends[:, 2:].max(axis=0).tolist())
        else:
            xmin, xmax, ymin, ymax = self.bounds(self.homographies)
            self.area = (int(xmin) - 3, int(ymin) - 3, int(xmax) + 4, int(ymax) + 4)
            scene, leaves = draw_scene(view, self.area, DENSITY, content.rng(2), content.mirror_floor)
            planes = [Plane(scene, leaves, self.area[:2], upright(WALL))]
        self.planes = [plane._replace(picture=_softened(plane.picture)) for plane in planes]

    @property
    def changing(self) -> bool:
        """Whether the background differs from frame to frame."""
        return self.moving or self.walks or any((self.content.crowd, self.content.shake, self.content.sway,
                                                       self.content.flicker))

    def bounds(self, homographies: np.ndarray) -> tuple[float, float, float, float]:
        """xmin, xmax, ymin, ymax of all frames' corners in frame 1's coordinates."""
        right, bottom = self.view.width - 1, self.view.height - 1
        corners = np.array([[0, right, 0, right], [0, 0, bottom, bottom]], float)
        x, y = np.concatenate([apply_homography(np.linalg.inv(h), corners) for h in homographies], 1)
        return float(x.min()), float(x.max()), float(y.min()), float(y.max())

    def motion(self, plane: np.ndarray, k: int) -> np.ndarray:
        """The homography from frame 1 to frame k of what lies in a plane, as `scene.upright` says."""
        if not self.walks:
            return self.homographies[k]
        lens = self.view.lens
        return self.homographies[k] @ lens @ (np.eye(3) - np.outer(self.places[k], plane)) @ np.linalg.inv(lens)

    def seen_of(self, plane: np.ndarray) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of what all frames show of a plane before the walls, or of an upright one: pixels of
        frame 1; right and bottom are left out."""
        size = (self.view.width - 1, self.view.height - 1)
        places = np.stack(np.meshgrid(*(np.linspace(0, side, 25) for side in size)), axis=-1).reshape(-1, 2)
        ends = []
        for k in range(len(self.times)):
            back = np.linalg.inv(self.motion(plane, k) @ self.view.lens)
            rays = np.column_stack([places, np.ones(len(places))]) @ back.T
            depth = rays[:, 2] / np.where(rays @ plane > 1e-9, rays @ plane, np.nan)
            rays = rays[(depth > 0.5) & (depth < (WALL + 1 if plane[1] else np.inf))]
            ends.append(self.view.lens[:2] @ (rays / rays[:, 2:]).T)
        x, y = np.concatenate(ends, axis=1)
        return int(x.min()) - 40, int(y.min()) - 40, int(x.max()) + 41, int(y.max()) + 41

    def write(self, folder: Path) -> None:
        """Write the whole clip into a new folder."""
        rng = self.content.rng(3)
        poses, orders = {}, []
        for k in tqdm(range(len(self.times)), desc="sample clip", unit="frame"):
            name, order = f"{k + 1:04d}.png", self.order(k)
            shots = {layer: self.shoot(layer, k) for layer in order}
            background = self.background(k)
            frame = background
            for layer in order:
                frame = over(shots[layer].layer, frame)
            self.write_frame(folder, name, frame + rng.normal(0, self.content.noise / 255, frame.shape))
            uncovered = np.ones_like(shots[1].matte)
            for layer in reversed(order):
                self.write_layer(folder, f"{layer:02d}", name, shots[layer], uncovered)
                if self.content.masks == "visible":
                    uncovered = uncovered * (1 - shots[layer].matte)
            if self.changing or k == 0:
                write_png(folder / "gt" / (f"bg/{name}" if self.changing else "bg.png"),
                          _bytes(_shrunk(background, self.known_size)))
            poses[name] = [{"keypoints": shot.keypoints, "scores": 0.95, "idx": layer}
                           for layer, shot in sorted(shots.items())]
            orders.append(order)
        self.write_tables(folder, poses, orders)

    def write_frame(self, folder: Path, name: str, frame: np.ndarray) -> None:
        """Write a frame [H, W, 3] in [0, 1] at double and at single size, and as large as it is if that is wanted."""
        pixels = _bytes(frame)
        if self.known_size != self.small:
            write_png(folder / "rgb" / name, pixels)
        double = _shrunk(pixels, (2 * self.small[0], 2 * self.small[1]))
        write_png(folder / "rgb_512" / name, double)
        write_png(folder / "rgb_256" / name, _shrunk(double, self.small))

    def write_layer(self, folder: Path, layer: str, name: str, shot: "RenderedPerson", uncovered: np.ndarray) -> None:
        """Write one person's layer, matte, shadow and mask; the mask is what of the matte is `uncovered`."""
        rgba, matte, shadow, mask = (_shrunk(picture, self.known_size) for picture in (
            shot.layer, shot.matte, shot.shadow, shot.matte * uncovered))
        rgba[..., :3] /= np.maximum(rgba[..., 3:], 1e-6)
        write_png(folder / f"gt/layer_{layer}" / name, _bytes(rgba))
        write_png(folder / f"gt/person_{layer}" / name, _bytes(matte))
        write_png(folder / f"gt/shadow_{layer}" / name, _bytes(shadow))
        write_png(folder / "mask" / layer / name, _bytes(mask))

    def write_tables(self, folder: Path, poses: dict, orders: list[list[int]]) -> None:
        """Write keypoints.json, metadata.json and, when the camera moves, homographies.txt."""
        size = [self.view.width, self.view.height]
        write_text(folder / "keypoints.json", json.dumps(poses) + "\n")
        write_text(folder / "metadata.json", json.dumps({
            "alphapose_input_size": size, "size_LR": self.small,
            "n_textures": atlas_tiles(len(self.actors)), "composite_order": orders, "frame_rate": f"{RATE}/1"}) + "\n")
        if self.moving:
            bounds = " ".join(f"{n:.6f}" for n in self.bounds(self.registered))
            lines = [f"size: {size[0]} {size[1]}", f"bounds: {bounds}"]
            lines += [" ".join(f"{n:.12g}" for n in matrix.ravel()) for matrix in self.registered]
            write_text(folder / "homographies.txt", "\n".join(lines) + "\n")

    def order(self, k: int) -> list[int]:
        """Layer numbers of frame k, from 1, from back to front: nearer people are in front."""
        distances = [actor.mover.ground(self.times[k])[2] for actor in self.actors]
        return [int(n) + 1 for n in np.argsort(distances)[::-1]]

    def background(self, k: int) -> np.ndarray:
        """The scene without people in frame k, float32 [H, W, 3] in [0, 1]."""
        picture = np.zeros((self.view.height, self.view.width, 3), np.float32)
        for scene, leaves, corner, plane in self.planes:
            if self.content.sway:
                scene = swayed(scene, leaves, self.scale * DENSITY * self.content.sway, self.times[k],
                               self.content.rng(6))
            filmed = self._filmed(scene, corner, k, plane)
            picture = over(filmed, picture) if filmed.shape[2] == 4 else filmed
        for actor, phase in self.crowd:
            moment = self.seconds / 2 + 0.08 * np.sin(4 * self.times[k] + phase)
            skeleton = actor.mover.skeleton(moment)
            picture = over(self._filmed(*self._drawn(actor.person.parts(skeleton), skeleton.ground), k,
                                        upright(skeleton.ground[2])), picture)
        return picture * np.float32(self.gains[k])

    def shoot(self, layer: int, k: int) -> "RenderedPerson":
        """The person of a layer in frame k."""
        person = self.actors[layer - 1].person
        skeleton, parts, ground = self._posed(layer, k)
        plane = upright(ground[2])
        matte = self._filmed(*self._drawn(parts, ground), k, plane)
        sheet, corner = self._shaded(parts, ground)
        shadow = self._filmed(sheet, corner, k, GROUND)
        if self.content.shadow_on_people:
            order = self.order(k)
            for behind in order[:order.index(layer)]:
                _, body_parts, body_ground = self._posed(behind, k)
                shade, body, place = self._fallen_on(body_parts, body_ground, sheet, corner)
                there = upright(body_ground[2])
                shadow = self._filmed(shade, place, k, there) + shadow * (1 - self._filmed(body, place, k, there))
        rgba = np.dstack([np.zeros((*shadow.shape, 3), np.float32), shadow])
        if self.content.mirror_floor:
            rgba = over(self._filmed(*self._drawn(parts, ground, mirrored=True), k, plane), rgba)
        places = self._places(person.keypoints(skeleton), ground)
        places = apply_homography(self.motion(plane, k), places.T).T
        keypoints = np.column_stack([places, np.full(len(places), 0.95)]).round(3).ravel().tolist()
        rgba = over(matte, rgba)
        rgba[..., :3] *= self.gains[k]
        return RenderedPerson(rgba, matte[..., 3], shadow, keypoints)

    def _posed(self, layer: int, k: int) -> tuple[Skeleton, list[Part], np.ndarray]:
        """How the person of a layer stands in frame k, his parts and the place [3] on the ground they are about."""
        actor = self.actors[layer - 1]
        skeleton = actor.mover.skeleton(self.times[k])
        return skeleton, actor.person.parts(skeleton), skeleton.ground

    def _places(self, points: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """Pixels [N, 2] of frame 1 of points [N, 3] about a person's place on the ground, seen along parallel rays."""
        seen = points[:, :2] - points[:, 2:] * _sight(ground)[:2] + ground[:2]
        return self.view.project(np.column_stack([seen, np.full(len(seen), ground[2])]))

    def _drawn(self, parts: list[Part], ground: np.ndarray, mirrored: bool = False) -> tuple[np.ndarray, tuple]:
        """The person or, as the floor shows him, his reflection: premultiplied RGBA and its corner in frame 1.

        A reflection is what is seen from below the floor, upside down.
        """
        flip = -1 if mirrored else 1
        ray = _sight(ground) * (1, flip, 1)
        corner, shape, scale, left, high, low = self._window(parts, ground, ray, flip)
        picture = render(parts, ray, left, max(flip * low, flip * high), shape, scale, self.sun)
        if mirrored:
            depth = np.linspace(high, low, shape[0], dtype=np.float32)[:, None, None]
            picture = picture[::-1] * MIRRORED * (1 + 0.4 * np.clip(depth, -2, 0))
        return _softened(picture), corner

    def _fallen_on(self, parts: list[Part], ground: np.ndarray, sheet: np.ndarray,
                   sheet_corner: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, tuple]:
        """The shadow of somebody nearer to the sun on a person: its opacity, where the person is, and their corner.

        Args:
            sheet, sheet_corner: the shadow on the ground, as `_shaded` returns it. A point of the body is as dark as
                the place on the ground that the same ray of the sun would reach.
        """
        ray = _sight(ground)
        corner, shape, scale, left, high, _ = self._window(parts, ground, ray)
        points = seen_points(parts, ray, left, high, shape, scale) + ground
        reached = self.view.project(points - points[..., 1:2] / self.sun[1] * self.sun)
        places = (reached - sheet_corner + 0.5) * DENSITY - 0.5
        places = np.nan_to_num(places, nan=-9).astype(np.float32)
        shade = cv2.remap(sheet, places, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]  # OpenCV's stubs want two maps
        return _softened(shade), _softened(np.isfinite(points[..., 0]).astype(np.float32)), corner

    def _window(self, parts: list[Part], ground: np.ndarray, ray: np.ndarray, flip: int = 1) -> tuple:
        """The rectangle of frame 1 that parts are drawn in: its corner there, rows and columns, pixels per metre, and
        its left, high and low ends in metres from the place on the ground. `flip` is -1 for a reflection."""
        left, right, low, high = extent(parts, ray)
        low, high = sorted((flip * low, flip * high))
        corners = np.array([[left, high, 0], [right, low, 0]]) + ground
        x0, y0, x1, y1 = self._box(self.view.project(corners))
        scale = self.view.focal / ground[2]
        left, high = (np.array([x0, y0]) - 0.5 - self.view.centre) / scale * (1, -1) + (-ground[0], EYE)
        return ((x0, y0), ((y1 - y0) * DENSITY, (x1 - x0) * DENSITY), scale * DENSITY, left, high,
                high - (y1 - y0) / scale)

    def _shaded(self, parts: list[Part], ground: np.ndarray) -> tuple[np.ndarray, tuple]:
        """The opacity of the shadow and its corner in frame 1; what is higher casts a softer one."""
        outlines = self.view.project(np.stack([cast_shadow(part, self.sun) for part in parts]) + ground)
        scale = self.view.focal / ground[2]  # frame pixels per metre
        penumbra = 0.15 * scale
        x0, y0, x1, y1 = self._box(np.stack([outlines.min((0, 1)) - penumbra, outlines.max((0, 1)) + penumbra]))
        total, soft = np.zeros(((y1 - y0) * DENSITY, (x1 - x0) * DENSITY), np.float32), self.content.shadow == "soft"
        if self.content.shadow == "none":
            return total, (x0, y0)
        hulls = np.round(((outlines - (x0, y0) + 0.5) * DENSITY - 0.5) * 16).astype(np.int32)
        heights = np.array([(part.start[1] + part.end[1]) / 2 for part in parts])
        bands = np.digitize(heights, (0.2, 0.5, 0.9, 1.4, 1.9)) if soft else np.zeros(len(parts))
        for band in np.unique(bands):
            drawn = np.zeros(total.shape, np.uint8)
            for hull in hulls[bands == band]:
                cv2.fillConvexPoly(drawn, cv2.convexHull(hull), 255, cv2.LINE_AA, 4)
            sheet: np.ndarray = drawn.astype(np.float32) * (DARKEST / 255)
            if soft:
                blur = (0.006 + 0.016 * heights[bands == band].mean()) * scale * DENSITY
                sheet = cv2.GaussianBlur(sheet, (0, 0), blur)
            total = np.maximum(total, sheet)
        return total, (x0, y0)

    def _box(self, corners: np.ndarray) -> tuple[int, int, int, int]:
        """The whole pixels of frame 1, within what is ever seen, about the corners [2, 2]."""
        limits = np.reshape(self.area, (2, 2))
        low, high = np.clip([np.floor(corners[0]), np.ceil(corners[1]) + 1], *limits).astype(int)
        return *low.tolist(), *np.maximum(high, low + 1).tolist()

    def _filmed(self, picture: np.ndarray, corner: tuple[int, int], k: int, plane: np.ndarray) -> np.ndarray:
        """A picture of what lies in a plane, as frame 1 shows it, DENSITY times as dense, as frame k shows it.

        For a camera that stands still each sample is the mean of 2 x 2 drawn pixels.
        """
        offset = 0.5 / DENSITY - 0.5
        place = np.array([[1 / DENSITY, 0, corner[0] + offset], [0, 1 / DENSITY, corner[1] + offset], [0, 0, 1]])
        return cv2.warpPerspective(picture, self.motion(plane, k) @ place, (self.view.width, self.view.height))


@dataclass(frozen=True)
class RenderedPerson:
    """One person in one frame as it is drawn: float32 [H, W] or [H, W, 4] in [0, 1], the layer premultiplied."""

    layer: np.ndarray
    matte: np.ndarray
    shadow: np.ndarray
    keypoints: list[float]


# ---- pictures -------------------------------------------------------------------------------------------------------

def _sight(ground: np.ndarray) -> np.ndarray:
    """Direction [3] in which the camera sees a place on the ground, z component 1."""
    return (ground - (0, EYE, 0)) / ground[2]


def _softened(picture: np.ndarray) -> np.ndarray:
    """Take the edge off steps between drawn pixels, as a lens does."""
    return cv2.GaussianBlur(picture, (3, 3), 0.6)


def _shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture by area at a size (width, height); a copy, where it has that already."""
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _bytes(picture: np.ndarray) -> np.ndarray:
    """[0, 1], clipped, to the nearest of 256 levels."""
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
