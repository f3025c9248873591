"""Frames of an actor from several cameras, in the folders of Neural Actor (items: docs/neural_actor/model.md).

    canonical.obj  uvmapping.obj  skinning_weight.txt  transform_tpose.json    the body
    transform/000000.json  tex/000000.png  rgb/000000/0000.png                 of each frame
    intrinsic/0000.txt  and  pose/0000.txt  or  extrinsic/0000.txt             of each camera

data/actor_files.py reads them.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.actor_files import (
    PICTURES,
    by_number,
    camera_files,
    has_cameras,
    pictures_of_cameras,
    read_cameras,
    read_matrix,
    read_pose,
    world_vertices,
)
from data.actor_layers import ClipLayers, Place
from data.actor_views import View, add_view_options, views_to_render
from data.base_dataset import BaseDataset
from util.command_line import float_at_least, int_at_least
from util.errors import UserError
from util.files import mark_of_files, write_text
from util.images import image_size
from vision.geometry.rays import bounding_sphere, draw_pixels, pixel_grid, pixel_rays, sphere_bounds, sphere_hits
from vision.people.body_files import read_body

RAYS_AT_ONCE = 2048
MEMORY = 1 << 30
"""Bytes of poses, textures and photographs that are kept, of all processes together."""


class ActorDataset(BaseDataset):
    """In training random pixels of random views of each frame; for test.py whole views, frame by frame."""

    of_one_dataroot = frozenset({"start_end", "subsample", "refine_poses"})

    def __init__(self, opt):
        super().__init__(opt)
        root, base = Path(opt.dataroot), Path(opt.base_root or opt.dataroot)
        self.body = read_body(root, opt.mesh, opt.texuv, opt.weights, opt.new_tpose, base)
        self.transforms = by_number(root / "transform", "*.json")
        self.textures = {} if opt.disable_texture else by_number(root / opt.load_tex_name, "*.png")
        self.photographs = by_number(root / opt.load_rgb_name, "*") if (root / opt.load_rgb_name).is_dir() else {}
        self.frames = wanted_frames(sorted(self.transforms), opt.start_end, opt.subsample)
        for number in self.frames:
            if number not in self.textures and not opt.disable_texture:
                raise UserError(f"{root / opt.load_tex_name}: no picture of frame {number}, which "
                                f"{self.transforms[number]} has; expected one for each, with the same number in its "
                                "name")
            if opt.is_train and number not in self.photographs:
                raise UserError(f"{root / opt.load_rgb_name}: no folder of frame {number}, which "
                                f"{self.transforms[number]} has; expected one for each")
        camera_root = root if has_cameras(root) or not has_cameras(base) else base
        self.camera_files, self.cameras = camera_files(camera_root), read_cameras(camera_root)
        option = "train_views" if opt.is_train else "test_views"
        self.views = wanted_views(getattr(opt, option), f"--{option}", len(self.cameras), root)
        self.filmed_size = size_of_pictures(root / opt.load_rgb_name) or size_of_pictures(base / opt.load_rgb_name)
        self.size = size_of(opt.view_resolution) if opt.view_resolution else self.default_size(camera_root == base)
        self.memory = Memory(MEMORY // max(1, opt.num_threads))
        self.into: ClipLayers | None = None
        self.places: list[Place] = []
        if opt.is_train:
            self.check_cameras()
        if opt.is_train:
            steps = opt.virtual_epoch_steps * (opt.batch_size if opt.batch_size != "auto" else 1)
            self.length = int(min(steps, opt.max_dataset_size))
        else:
            self.frame_rate = Fraction(opt.render_save_fps).limit_denominator(1001)
            self.to_render = views_to_render(opt, self.frames, self.cameras, self.views, read_matrix)
            if opt.into:
                self.begin_layers(opt, base, own=root.resolve() == base.resolve())
            self.length = int(min(len(self.to_render), opt.max_dataset_size))

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Frames, views, and which pixels are trained on."""
        group = parser.add_argument_group("actor dataset")
        group.add_argument("--view_resolution", default="", metavar="HxW",
                           help="photographs are reduced to this, by a whole number (default: they are not)")
        group.add_argument("--start_end", default="", metavar="A,B", help="only frames A to B - 1, by their order")
        group.add_argument("--load_rgb_name", default="rgb", metavar="NAME", help="folder of the photographs")
        group.add_argument("--load_tex_name", default="tex", metavar="NAME",
                           help="folder of the texture maps, such as that of predicted ones")
        group.add_argument("--test_views", default="all", metavar="VIEWS", help="cameras for test.py, as --train_views")
        group.add_argument("--subsample", type=int, default=-1, metavar="N", help="only every so many-th frame")
        group.add_argument("--base_root", default=None, metavar="DIR",
                           help="where files of the body and cameras are taken from that DATAROOT has not (default: "
                                "the folder that was trained on)")
        parser.also(valid_view_resolution="view_resolution", render_resolution="view_resolution",
                    subsample_train="subsample", subsample_valid="subsample", valid_views="test_views")
        if not is_train:
            add_view_options(parser)
            return
        parser.set_defaults(n_epochs=60)
        group.add_argument("--train_views", default="all", metavar="VIEWS",
                           help="cameras by their order, such as 0..11 (11 is not among them), 0,3,7 or 0..100:5")
        group.add_argument("--view_per_batch", type=int_at_least(1), default=1, metavar="N",
                           help="views of a frame in a step")
        group.add_argument("--virtual_epoch_steps", type=int_at_least(1), default=5000, metavar="N",
                           help="steps that are called an epoch")
        group.add_argument("--max_update", type=int_at_least(0), default=0, metavar="N",
                           help="steps of the whole training; 0: as many as --n_epochs epochs have")
        group.add_argument("--pixel_per_view", type=float_at_least(1), default=1024, metavar="N",
                           help="pixels of a view that are trained on in a step")
        group.add_argument("--uniform_sampling", action="store_true", help="from the whole view, not where the body is")
        group.add_argument("--sampling_on_mask", type=float_at_least(0), nargs="?", const=0.9, default=0.0,
                           metavar="SHARE", help="this share where the body is, the rest anywhere; 0: all of it there")
        group.add_argument("--sampling_at_center", type=float_at_least(0), default=1.0, metavar="SHARE",
                           help="from this share of height and width, in the middle")
        group.add_argument("--sampling_on_bbox", action="store_true", help="from rows and columns that see the body")
        group.add_argument("--sampling_patch_size", type=int_at_least(1), default=1, metavar="PX",
                           help="in squares of this side")
        group.add_argument("--sampling_skipping_size", type=int_at_least(1), default=1, metavar="N",
                           help="of every so many-th pixel")
        parser.lengths.add("max_update")
        parser.deciding |= {"view_resolution", "virtual_epoch_steps", "train_views", "view_per_batch"}

    @staticmethod
    def resolve_options(opt) -> dict:
        """`data_id` of the frames, the folder of the body; and epochs from --max_update."""
        root = Path(opt.dataroot)
        names = sorted(path.name for path in (root / "transform").glob("*.json"))
        folders = ("transform", "tex", opt.load_rgb_name)
        files = [path for folder in folders for path in sorted((root / folder).rglob("*"))
                 if path.is_file() and not path.name.startswith(".")]
        found: dict[str, str | int] = {"data_id": (
            f"{len(names)} frames, {names[0]} to {names[-1]}, {mark_of_files(files)}" if names else "no frames")}
        if opt.is_train and not opt.base_root:
            found["base_root"] = str(root.absolute())
        if opt.is_train and getattr(opt, "refine_poses", False):
            found["refined_frames"] = 1 + max(by_number(root / "transform", "*.json"))
        if opt.is_train and opt.max_update:
            epochs = max(1, -(-opt.max_update // opt.virtual_epoch_steps))
            found |= {"n_epochs": epochs, "n_epochs_decay": 0, "virtual_epoch_steps": -(-opt.max_update // epochs)}
        return found

    def __len__(self) -> int:
        return self.length

    def item(self, index: int, rng: np.random.Generator | None, epoch: int) -> dict:
        """Random pixels of random views; without `rng` a view, whole."""
        if rng is not None:
            return self.pixels_to_train_on(index, rng)
        if self.opt.is_train:  # for pictures of a training
            frame, camera = index // len(self.views) % len(self.frames), self.views[index % len(self.views)]
            intrinsics, pose = self.cameras[camera]
            view = View(self.frames[frame], camera, intrinsics, pose, f"{self.frames[frame]:06d}")
        elif self.into is not None:
            return self.layer_item(index)
        else:
            view = self.to_render[index]
        item: dict[str, Any] = self.pose(view.frame)
        photograph, full_size = None, self.size_of_intrinsics(view.intrinsics)
        if view.camera is not None and view.frame in self.photographs:
            photograph, full_size = self.photograph(view.frame, view.camera)
        item |= {"size": self.size, "image_path": f"{view.name}.png", "camera_to_world": view.camera_to_world}
        origins, item["rays_d"] = pixel_rays(pixel_grid(self.size, full_size), view.intrinsics, view.camera_to_world)
        item["rays_o"] = origins.clone()
        if photograph is not None:
            item |= colours_of(photograph.reshape(-1, 4))
        del item["vertices"]
        return item

    def begin_layers(self, opt, base: Path, own: bool) -> None:
        """Make pictures frames of the clip whose layers --into names, seen by its camera.

        Raises:
            UserError: as `ClipLayers`; or another camera is asked for.
        """
        if opt.render_path_style or opt.render_camera_poses or len(self.views) > 1:
            raise UserError("--into: with another camera than the clip's; expected neither --render_path_style nor "
                            "--render_camera_poses, and an actor of one camera")
        self.into = ClipLayers(Path(opt.into), base, self.body)
        self.size, self.frame_rate = self.into.size, self.into.root.metadata.frame_rate
        self.places = [self.into.place(view.frame, order, own) for order, view in enumerate(self.to_render)]

    def layer_item(self, index: int) -> dict:
        """An item of a frame of the clip whose layers --into names."""
        assert self.into is not None  # asked for with --into alone
        view, place = self.to_render[index], self.places[index]
        item: dict[str, Any] = self.pose(view.frame)
        intrinsics, pose, size = self.into.camera(self.size)
        item |= {"size": size, "image_path": f"{place.name}.png", "camera_to_world": torch.from_numpy(pose).float()}
        origins, item["rays_d"] = pixel_rays(pixel_grid(size), torch.from_numpy(intrinsics).float(),
                                             item["camera_to_world"])
        item["rays_o"] = origins.clone()
        return item | self.into.item(place, item.pop("vertices").numpy())

    def complete_results(self, folder: Path) -> None:
        """With --into: metadata.json, which makes a clip of the layers."""
        if self.into is not None:
            write_text(folder / "metadata.json", self.into.metadata(self.places))

    def pixels_to_train_on(self, index: int, rng: np.random.Generator) -> dict:
        """A frame, and pixels of --view_per_batch of its views, one view after the other."""
        frame = index % len(self.frames) if self.length >= len(self.frames) else int(rng.integers(len(self.frames)))
        number = self.frames[frame]
        item: dict[str, Any] = self.pose(number)
        rays: list[dict[str, Tensor]] = []
        for view in rng.permutation(len(self.views))[:self.opt.view_per_batch]:
            intrinsics, pose = self.cameras[self.views[view]]
            photograph, full_size = self.photograph(number, self.views[view])
            chosen = self.choose(item | {"camera_to_world": pose}, intrinsics, full_size, rng)
            pixels = torch.from_numpy(chosen * [full_size[1] / self.size[1], full_size[0] / self.size[0]]).float()
            origins, directions = pixel_rays(pixels, intrinsics, pose)
            rays.append({"rays_o": origins, "rays_d": directions,
                         **colours_of(photograph[chosen[:, 1], chosen[:, 0]])})
        del item["vertices"]
        return item | {name: torch.cat([view[name] for view in rays]) for name in rays[0]}

    def check_cameras(self) -> None:
        """See that the body is in front of every camera in the first frame.

        Raises:
            UserError: it is behind one.
        """
        vertices = self.pose(self.frames[0])["vertices"]
        for view in self.views:
            place = self.cameras[view][1]
            if float(((vertices - place[:3, 3]) @ place[:3, 2]).max()) <= 0:
                raise UserError(f"{self.camera_files[view][1]}: the body of {self.transforms[self.frames[0]]} is all "
                                "behind this camera; expected an OpenCV camera that looks along z, camera-to-world in "
                                "pose/, world-to-camera in extrinsic/")

    def default_size(self, with_base: bool) -> tuple[int, int]:
        """Height and width of the photographs; without any, of pictures whose middle is that of the first camera.

        Args:
            with_base: cameras are those of --base_root, so its photographs count too.
        """
        if self.filmed_size and (self.photographs or with_base):
            return self.filmed_size
        x, y = self.cameras[self.views[0]][0][:2, 2].tolist()
        height, width = round(2 * y), round(2 * x)
        if min(height, width) < 1:
            raise UserError("--view_resolution: missing, and there are no photographs whose size could be taken; "
                            "give height and width such as 512x512")
        return height, width

    def size_of_intrinsics(self, intrinsics: Tensor) -> tuple[int, int]:
        """Height and width of the pictures that a camera's intrinsics are for, where it has filmed nothing.

        They may be for photographs (of the actor elsewhere, which views are smaller than), or for the views as they
        are: those whose middle is nearer to the camera's.
        """
        if not self.filmed_size or self.photographs:
            return self.filmed_size or self.size
        middle = intrinsics[[1, 0], 2]
        away = [float((middle - torch.tensor(size) / 2).norm()) for size in (self.size, self.filmed_size)]
        return self.filmed_size if away[1] < away[0] else self.size

    def pose(self, number: int) -> dict[str, Tensor]:
        """What is known of a frame's body."""
        return dict(self.memory.get(("pose", number), lambda: self.read_frame(number)))

    def read_frame(self, number: int) -> dict[str, Tensor]:
        """The same from its files."""
        pose = read_pose(self.transforms[number], self.body.weights.shape[1])
        pose["vertices"], pose["frame"] = world_vertices(self.body, pose), torch.tensor(number)
        if not all(values.isfinite().all() for values in pose.values()):
            raise UserError(f"{self.transforms[number]}: holds numbers that are not finite; expected those of a body "
                            "in metres")
        if self.textures:
            try:
                texture = np.asarray(Image.open(self.textures[number]).convert("RGB"), dtype=np.float32)
            except OSError as error:
                raise UserError(f"{self.textures[number]}: not readable ({error}); expected a picture") from None
            pose["texture"] = torch.from_numpy(texture).permute(2, 0, 1) / 127.5 - 1
        return pose

    def photograph(self, number: int, camera: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Colours and alpha [H, W, 4] of a view, in front of the background, and its size before it was reduced."""
        return self.memory.get((number, camera), lambda: self.read_photograph(number, camera))

    def read_photograph(self, number: int, camera: int) -> tuple[np.ndarray, tuple[int, int]]:
        """The same from its file."""
        file = pictures_of_cameras(self.photographs[number], [place for _, place in self.camera_files])[camera]
        if file is None:
            raise UserError(f"{self.photographs[number]}: no picture of camera {self.camera_files[camera][1]}; "
                            "expected one for each camera, with the same number in its name")
        try:
            rgba: np.ndarray = np.asarray(Image.open(file).convert("RGBA"), dtype=np.float32) / 255
        except OSError as error:
            raise UserError(f"{file}: not readable ({error}); expected a picture") from None
        full_size = rgba.shape[:2]
        factors = [full / side for full, side in zip(full_size, self.size)]
        if factors[0] != factors[1] or factors[0] != int(factors[0]):
            raise UserError(f"--view_resolution: found {self.size[0]}x{self.size[1]}, but {file} has "
                            f"{full_size[0]}x{full_size[1]} pixels; expected both sides divided by the same whole "
                            "number")
        if factors[0] > 1:
            rgba = cv2.resize(rgba, self.size[::-1], interpolation=cv2.INTER_AREA)
        scale = 2 if self.opt.min_color else 1
        words = [float(word) for word in self.opt.transparent_background.split(",")]
        background = np.array(words * (3 // len(words)), dtype=np.float32) * scale - (scale - 1)
        alpha = rgba[..., 3:]
        colour = (rgba[..., :3] * scale - (scale - 1)) * alpha + background * (1 - alpha)
        return np.concatenate((colour, alpha * (colour != background).any(-1, keepdims=True)), -1), full_size

    def choose(self, item: dict, intrinsics: Tensor, full_size: tuple[int, int], rng) -> np.ndarray:
        """Pixels [N, 2] to train on, x before y.

        Where all are to see the body, candidates in a random order are asked until enough do: the whole view is not
        needed for that, and the chances are the same.
        """
        opt, count = self.opt, min(int(self.opt.pixel_per_view), self.size[0] * self.size[1])
        factor = full_size[0] / self.size[0]
        pose = item["camera_to_world"]

        def hits(pixels: np.ndarray) -> np.ndarray:
            origins, directions = pixel_rays(torch.from_numpy(pixels * factor).float(), intrinsics, pose)
            hit = sphere_bounds(origins, directions, item["vertices"], opt.min_dis_eps)[2]
            return (hit & sphere_hits(origins, directions, *bounding_sphere(item["joints"]))).numpy()

        grid = np.stack(np.meshgrid(np.arange(self.size[1]), np.arange(self.size[0])), -1)
        special = opt.uniform_sampling or opt.sampling_on_mask or opt.sampling_on_bbox or opt.sampling_at_center < 1 \
            or opt.sampling_patch_size > 1 or opt.sampling_skipping_size > 1
        if special:
            every = grid.reshape(-1, 2)
            hit = np.concatenate([hits(every[i:i + RAYS_AT_ONCE]) for i in range(0, len(every), RAYS_AT_ONCE)])
            return draw_pixels(hit.reshape(self.size), count, rng, uniform=opt.uniform_sampling,
                               on_mask=opt.sampling_on_mask, at_center=opt.sampling_at_center,
                               on_bbox=opt.sampling_on_bbox, patch_size=opt.sampling_patch_size,
                               skipping_size=opt.sampling_skipping_size)
        seen = (item["vertices"] - pose[:3, 3]) @ pose[:3, :3]
        low, high = np.zeros(2, dtype=int), np.array(self.size[::-1])
        if float(seen[:, 2].min()) > 2 * opt.min_dis_eps:
            reach = opt.min_dis_eps * torch.stack((-torch.ones(3), torch.ones(3)))
            around = (seen[None] + reach[:, None]).numpy()
            near = seen[:, 2].numpy() - opt.min_dis_eps
            focal, centre = intrinsics[[0, 1], [0, 1]].numpy(), intrinsics[:2, 2].numpy()
            for side, bound in ((0, low), (1, high)):
                depth = np.where((around[side, :, :2] < 0) == (side == 0), near[:, None],
                                 seen[:, 2:].numpy() + opt.min_dis_eps)
                edge = (around[side, :, :2] / depth * focal + centre) / factor
                bound[:] = np.floor(edge.min(0)) - 1 if side == 0 else np.ceil(edge.max(0)) + 2
            low, high = low.clip(0, self.size[::-1]), high.clip(0, self.size[::-1])
        box = rng.permutation(grid[low[1]:high[1], low[0]:high[0]].reshape(-1, 2))
        found: list[np.ndarray] = []
        for start in range(0, len(box), RAYS_AT_ONCE):
            part = box[start:start + RAYS_AT_ONCE]
            found.append(part[hits(part)])
            if sum(map(len, found)) >= count:
                break
        chosen = np.concatenate([np.zeros((0, 2), dtype=int), *found])[:count]
        if len(chosen) < count:
            free = np.ones(self.size, dtype=bool)
            free[chosen[:, 1], chosen[:, 0]] = False
            chosen = np.concatenate((chosen, rng.permutation(grid[free])[:count - len(chosen)]))
        return chosen


class Memory:
    """What was read, as long as there is room for it: small datasets are read once, large ones again and again."""

    def __init__(self, size: int):
        self.left = size
        self.kept: dict[tuple, Any] = {}

    def get(self, key: tuple, read: Callable) -> Any:
        """What `read` reads, or has read before under this key."""
        if key in self.kept:
            return self.kept[key]
        value = read()
        parts = value.values() if isinstance(value, dict) else value[:1]
        size = sum(part.nbytes for part in parts)
        if size <= self.left:
            self.kept[key], self.left = value, self.left - size
        return value


def colours_of(rgba: np.ndarray) -> dict[str, Tensor]:
    """Colours and alpha [N, 4] as they are in an item."""
    return {"rgb": torch.from_numpy(rgba[:, :3]), "alpha": torch.from_numpy(rgba[:, 3])}


def size_of_pictures(folder: Path) -> tuple[int, int] | None:
    """Height and width of the first picture in folders of a folder, where there is one.

    Raises:
        UserError: it cannot be read.
    """
    for inner in sorted(path for path in folder.glob("*") if path.is_dir()):
        for path in sorted(inner.iterdir()):
            if path.suffix.lower() in PICTURES:
                width, height = image_size(path)
                return height, width
    return None


def wanted_frames(numbers: list[int], start_end: str, subsample: int) -> list[int]:
    """Frames that --start_end and --subsample leave.

    Raises:
        UserError: none, or --start_end is not of its form.
    """
    if start_end:
        try:
            start, end = (int(word) for word in start_end.strip("() ").split(","))
        except ValueError:
            raise UserError(f"--start_end: found '{start_end}'; expected two numbers such as 0,100") from None
        numbers = numbers[start:end]
    numbers = numbers[::subsample] if subsample > 1 else numbers
    if not numbers:
        raise UserError(f"--start_end: found '{start_end}', which leaves no frame")
    return numbers


def parse_views(text: str, option: str = "views") -> list[int]:
    """Views such as `0..11`, `0,3,7` or `0..100:5`; ranges end before their last number.

    Raises:
        UserError: it is not of that form.
    """
    if not re.fullmatch(r"\d+(\.\.\d+)?(,\d+(\.\.\d+)?)*(:[1-9]\d*)?", text.strip()):
        raise UserError(f"{option}: found '{text}'; expected views such as 0..11, 0,3,7 or 0..100:5")
    listed, _, step = text.strip().partition(":")
    views: list[int] = []
    for entry in listed.split(","):
        first, dots, last = entry.partition("..")
        views += range(int(first), int(last)) if dots else [int(first)]
    return views[::int(step or 1)]


def wanted_views(text: str, option: str, count: int, root: Path) -> list[int]:
    """Those views that there are, of all or those that an option names.

    Raises:
        UserError: none, or it is not of its form.
    """
    views = list(range(count)) if text == "all" else [view for view in parse_views(text, option) if view < count]
    if not views:
        raise UserError(f"{option}: found '{text}', but {root} has {count} cameras, from 0")
    return views


def size_of(text: str) -> tuple[int, int]:
    """Height and width from HxW.

    Raises:
        UserError: it is not of that form.
    """
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", text):
        raise UserError(f"--view_resolution: found '{text}'; expected height and width such as 512x512")
    height, width = map(int, text.split("x"))
    return height, width
