"""Frames of a clip with the UV maps, trimaps and person ids of their layers."""

import contextlib
import zlib
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from data.base_dataset import BaseDataset
from data.camera_check import said_of, wrong_convention
from data.dataroot import Dataroot, list_images, read_metadata, wrong_sizes
from data.decomposition import Decomposition, decompose, scene_canvas
from data.full_size import FullSizeClip
from data.layer_folder import LayerFolder
from data.masks import read_matte
from data.solving import Pictures, pictures_of
from util import distributed
from util.command_line import int_at_least
from util.errors import UserError, several, shown
from util.tensors import to_tensor
from vision.layers.mattes import trimap
from vision.people.iuv import atlas_tiles, decode_iuv, is_body
from vision.people.texture_atlas import atlas_uv, background_uv

KEPT_BYTES = 2**31
"""Of decoded files in memory: 600 frames of 448x256 with seven people, hence all of most clips."""
ZOOM_PROBABILITY = 0.75
LARGEST_ZOOM = 1.25


class LayeredVideoDataset(BaseDataset):
    """Items of a dataroot: L layers from back (0, the background) to front.

    An item holds
        image [3, H, W] in [-1, 1] (twice the size with `do_upsampling`),
        uv_map [2L, H, W] atlas coordinates in [-1, 1],
        mask [L, H, W] trimaps in [-1, 1],
        pids [L, H, W] person ids, 0 on the background,
        layer_ids [L] layer numbers, 0 first, and
        image_path;
    with --init closed_form also what is known without training, at the size of the image:
        frame, its number,
        place [2, H, W] in [-1, 1], where on the canvas of the whole clip each pixel of a low-resolution frame looks,
        plate [3, H, W] in [-1, 1], the clean plate: what it would see there without people,
        shown [3, H, W], with --moving_background: the background as the frame shows it,
        hidden [L, 4, H, W] in [-1, 1], for export, of several layers: people as other frames show them where others
            are in front of them; alpha says where that is known,
        people, effects [L, H, W] in [0, 1], alpha of each layer's people and of their shadows and reflections, and
        shows_hidden, whether `people` holds also behind other people.
    """

    def __init__(self, opt):
        super().__init__(opt)
        self.root = Dataroot.open(opt.dataroot)
        self.metadata = self.root.metadata
        self.frame_rate = self.metadata.frame_rate
        self.layers = self.root.layer_numbers()
        self.names = self.root.layer_names(self.layers)
        self.frame_folder = "rgb_512" if opt.do_upsampling else "rgb_256"
        self._check_files()
        self.completes_results = getattr(opt, "size", None) == "own"
        self.registration = self.root.registration() if opt.use_homographies else None
        if getattr(opt, "is_train", False) and not opt.do_upsampling:
            self._say_what_is_unused()
            if self.registration is not None:
                self._look_at_camera()
        self.length = int(min(len(self.root.frames), opt.max_dataset_size))
        self.loaded = {}

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Options of a dataroot's use; `init`, `do_upsampling` and `no_zoom` are the model's, where it has them."""
        group = parser.add_argument_group("layered_video dataset")
        group.add_argument("--trimap_width", type=int_at_least(0), default=20, metavar="PX",
                           help="width of the unknown band around people in their trimap")
        group.add_argument("--use_mask_images", action="store_true",
                           help="take the masks in mask/ instead of trimaps made from the UV maps")
        group.add_argument("--use_homographies", action="store_true", default=None,
                           help="register the background by homographies.txt: the camera moves (default: where that "
                                "file is there, with --init closed_form and the presets that have it)")
        parser.deciding |= {"use_homographies", "n_textures", "width", "height"}
        if not is_train:
            group.add_argument("--size", choices=("own", "network"),
                               help="of the exported layers: own: that of the frames in rgb/, from which colours, "
                                    "edges and the background's detail are taken; network: that of rgb_256, or rgb_512 "
                                    "with --do_upsampling (default: own with --init closed_form where rgb/ is larger, "
                                    "without --do_upsampling and --aspect_ratio)")
        of_models = {"init": "random", "do_upsampling": False} | (
            {"no_zoom": False} if is_train else {"moving_background": False})
        for name, value in of_models.items():
            if parser.get_default(name) is None:  # a model that has no such option
                parser.set_defaults(**{name: value})

    @staticmethod
    def resolve_options(opt) -> dict:
        """n_textures, width and height from metadata.json; the clip is told from others by its frames' pixels.

        With --init closed_form also n_frames, and canvas_size as [width, height] of what the camera saw of the scene;
        the camera counts as moving wherever homographies.txt says how.
        """
        metadata = read_metadata(Path(opt.dataroot) / "metadata.json")
        frames = list_images(Path(opt.dataroot) / "rgb_256")
        values: dict = {"n_textures": metadata.n_textures, "width": metadata.size[0], "height": metadata.size[1]}
        if getattr(opt, "is_train", True):
            values["data_id"] = _data_id(list(frames.values()))
        registered = (Path(opt.dataroot) / "homographies.txt").exists()
        use_homographies = (opt.init == "closed_form" and registered if opt.use_homographies is None
                            else opt.use_homographies)
        values["use_homographies"] = use_homographies
        if "size" in vars(opt):  # test.py's
            values["size"] = export_size(opt)
        if opt.init == "closed_form":
            values |= {"n_frames": len(frames),
                       "canvas_size": list(scene_canvas(Dataroot.open(opt.dataroot), use_homographies).size)}
        return values

    def __len__(self) -> int:
        return self.length

    def preload(self, keep: bool = True) -> None:
        """Decode all files once, and keep as many as bytes as KEPT_BYTES allows; others are read again each time.

        Raises:
            UserError: files that cannot be decoded, all of them.
        """
        if self.opt.init == "closed_form":
            self.decomposition  # noqa: B018, once for all processes that prepare batches
        problems, kept = [], 0
        for index in range(len(self)):
            try:
                frame, iuvs, masks = self._read(index)
            except UserError as error:
                problems.append(str(error))
                continue
            kept += sum(array.nbytes for array in (frame, *iuvs.values(), *masks.values()))
            if keep and kept <= KEPT_BYTES:
                self.loaded[index] = frame, iuvs, masks
        if problems:
            raise several(problems)

    def complete_results(self, folder: Path) -> None:
        """Make the exported layers again at the size of rgb/, where the options say so; what is there of an interrupted
        call stays."""
        if not self.completes_results:
            return
        large, whole = folder / "own_size", folder / "own_size.whole"
        if not whole.exists():
            FullSizeClip(self.root, LayerFolder.open(folder)).write(large)
            whole.touch()
        for path in sorted((large / "images").iterdir()):
            path.replace(folder / "images" / path.name)
        (large / "images").rmdir()
        large.rmdir()
        whole.unlink()

    def item(self, index: int, rng: np.random.Generator | None, epoch: int) -> dict:
        """Frame `index`; zoomed and cropped at random where there is an `rng`, except with `do_upsampling`."""
        frame, iuvs, masks = self.loaded.get(index) or self._read(index)
        background = background_uv(self.opt.height, self.opt.width, self.registration, index)
        nobody = np.zeros(background.shape[1:], np.uint8)
        uv_map = [atlas_uv(nobody, background[0], background[1], nobody, self.opt.n_textures)]
        mask, pids = [np.full_like(background[0], -1)], [nobody]
        order = self.root.composite_order(index, self.layers)
        for layer in order:
            part, u, v, person = decode_iuv(iuvs[layer], self.metadata.n_people)
            uv = np.where(part > 0, np.stack([u, v]), background)
            uv_map.append(atlas_uv(part, uv[0], uv[1], person, self.opt.n_textures))
            pids.append(person)
            if masks:
                mask.append(masks[layer].astype(np.float32) / 127.5 - 1)
            else:
                mask.append(trimap(part > 0, self.opt.trimap_width))
        item = {"image": to_tensor(frame), "uv_map": torch.from_numpy(np.concatenate(uv_map)),
                "mask": torch.from_numpy(np.stack(mask)), "pids": torch.from_numpy(np.stack(pids)).float()}
        if self.opt.init == "closed_form":
            item |= self._closed_form(index, order, frame.shape[1::-1])
        if rng is not None and not (self.opt.no_zoom or self.opt.do_upsampling):
            item = zoomed_at_random(item, rng)
        names = {"layer_names": [self.names.get(layer, "") for layer in (0, *order)]} if self.names else {}
        return {**item, **names, "layer_ids": torch.tensor([0, *order]),
                "image_path": str(self.root.file(self.frame_folder, index))}

    @cached_property
    def frames(self) -> Pictures:
        """Pictures of the frames, uint8 [H, W, 3]."""
        return pictures_of([self.root.file(self.frame_folder, index) for index in range(len(self))])

    @cached_property
    def bodies(self) -> dict[int, Pictures]:
        """By layer the IUV pictures of its people, uint8 [H, W, 4]."""
        return {layer: pictures_of([self.root.file(f"iuv/{layer:02d}", index) for index in range(len(self))], "RGBA")
                for layer in self.layers}

    @cached_property
    def decomposition(self) -> Decomposition:
        """The clip's layers without training; test.py finds in the run's folder what train.py computed for them."""
        return decompose(self.root.path, self.opt.use_homographies, len(self),
                         Path(self.opt.checkpoints_dir) / self.opt.name)

    def _closed_form(self, index: int, order: list[int], size: tuple[int, int]) -> dict:
        known = self.decomposition
        plate = cv2.resize(known.background(index), size)
        nobody = np.zeros(size[::-1], np.float32)
        people, effects = (torch.from_numpy(np.stack([nobody, *(cv2.resize(alpha(layer, index), size)
                                                                for layer in order)]))
                           for alpha in (known.person_alpha, known.effect_alpha))
        moving = not self.opt.is_train and self.opt.moving_background
        shown = {"shown": to_tensor(cv2.resize(known.moving_background(index), size))} if moving else {}
        if not self.opt.is_train and len(order) > 1:
            people, shown["hidden"], shown["found"] = self._with_hidden_parts(index, order, people)
        return {**shown, "frame": index, "place": torch.from_numpy(known.canvas.place(index)),
                "plate": to_tensor(plate), "people": people, "effects": effects, "shows_hidden": known.shows_hidden}

    def _with_hidden_parts(self, index: int, order: list[int],
                           people: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Alpha of people [L, H, W] that goes on behind others, `hidden` and `found`."""
        size, whole = people.shape[:0:-1], people.clone()
        hidden, known = torch.full((len(people), 4, *people.shape[1:]), -1.0), torch.zeros_like(people)
        for place, layer in enumerate(order, 1):
            colours, alpha, found = self.decomposition.hidden_part(layer, index)
            if not found.any():
                continue
            there = cv2.resize((found & (alpha > 250)).astype(np.float32), size)
            hidden[place, :3] = to_tensor(cv2.resize(colours, size))
            hidden[place, 3] = torch.from_numpy(2 * there - 1)
            known[place] = torch.from_numpy(cv2.resize(found.astype(np.float32), size))
            if not self.decomposition.shows_hidden:
                view = (1 - people[place + 1:]).prod(dim=0)
                copy = torch.from_numpy(cv2.resize((alpha * found).astype(np.float32) / 255, size))
                whole[place] = torch.maximum(people[place], (1 - view) * copy)
        return whole, hidden, known

    def _read(self, index: int) -> tuple[np.ndarray, dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Frame, and by layer number its IUV picture and (with --use_mask_images) mask; all uint8."""
        frame = self.frames[index]
        iuvs, masks = {}, {}
        for layer in self.layers:
            iuvs[layer], path = self.bodies[layer][index], self.bodies[layer].files[index]
            highest = int(np.where(is_body(iuvs[layer]), 255 - iuvs[layer][..., 3], 0).max())
            if highest > self.metadata.n_people:
                raise UserError(f"{path}: shows person {highest}; n_textures {self.metadata.n_textures} of "
                                f"metadata.json has tiles for {self.metadata.n_people}. Set n_textures to "
                                f"{atlas_tiles(highest)}")
            if self.opt.use_mask_images:
                masks[layer] = read_matte(self.root.file(f"mask/{layer:02d}", index), self.metadata.size)
        return frame, iuvs, masks

    def _say_what_is_unused(self) -> None:
        """Name what the clip has and the published defaults leave aside: it decides how good the layers become."""
        if self.opt.init != "random" or distributed.rank() > 0:
            return
        if self.registration is None and (self.root.path / "homographies.txt").exists():
            print(f"WARNING: {self.root.path / 'homographies.txt'} is not used: the camera counts as standing still. "
                  "Give --use_homographies to use it", flush=True)
        if not self.opt.use_mask_images and (self.root.path / "mask").is_dir():
            print(f"WARNING: {self.root.path / 'mask'} is not used: people are guided by trimaps of their UV maps. "
                  "Give --use_mask_images to use it", flush=True)

    def _look_at_camera(self) -> None:
        """Warn of homographies that do not fit the frames: with them, hours of training are lost."""
        verdict = wrong_convention(self.root.path, self.registration, self.root.folders["rgb_256"])
        if verdict is not None and distributed.rank() == 0:
            print(f"WARNING: {shown(said_of(self.root.path, verdict))}", flush=True)

    def _check_files(self) -> None:
        root, size = self.root, self.metadata.size
        doubled = (2 * size[0], 2 * size[1])
        problems = []
        if self.frame_folder == "rgb_512":
            problems += root.require("rgb_512")
            problems += wrong_sizes(root.folders.get("rgb_512", {}).values(), doubled, "twice size_LR of metadata.json")
        for layer in self.layers:
            folder = f"iuv/{layer:02d}"
            problems += root.require(folder)
            problems += wrong_sizes(root.folders.get(folder, {}).values(), size, "size_LR of metadata.json", "RGBA")
            if self.opt.use_mask_images:
                problems += root.require(f"mask/{layer:02d}")
        if problems:
            raise several(problems)


def export_size(opt) -> str:
    """--size as it is where it is not given.

    Raises:
        UserError: it is given as own, and results shall be stretched.
    """
    if opt.size == "own" and opt.aspect_ratio != 1:
        raise UserError(f"--aspect_ratio: found {opt.aspect_ratio:g} with --size own, whose layers have the form of "
                        "the video already; expected one of the two")
    if opt.size or opt.do_upsampling or opt.aspect_ratio != 1 or opt.init != "closed_form":
        return opt.size or "network"
    root = Dataroot.open(opt.dataroot)
    own = root.own_size()
    return "own" if own and own[0] > root.metadata.size[0] else "network"


def _data_id(frames: list[Path]) -> str:
    """A text that tells a clip from others: the checksums of its first frame and of all frames.

    Before version 0.2 it had the first alone.
    """
    pictures, mark = pictures_of(frames), 0
    first = pictures[0]
    for index in range(len(pictures)):
        with contextlib.suppress(UserError):  # what is broken, `preload` names
            mark = zlib.crc32(pictures[index].data, mark)
    return f"{len(frames)} frames, {zlib.crc32(first.data):08x}, {mark:08x}"


def zoomed_at_random(item: dict, rng: np.random.Generator) -> dict:
    """With probability 0.75 enlarge all maps of an item by a random factor of up to 1.25, and crop back to size.

    Image and mask are interpolated bilinearly; UV maps and ids take the nearest pixel, as they jump between body parts.
    """
    if rng.random() >= ZOOM_PROBABILITY:
        return item
    height, width = item["image"].shape[-2:]
    zoom = rng.uniform(1, LARGEST_ZOOM)
    zoomed_height, zoomed_width = int(height * zoom), int(width * zoom)
    top = int(rng.integers(zoomed_height - height + 1))
    left = int(rng.integers(zoomed_width - width + 1))
    zoomed = {}
    for name, mode in (("image", "bilinear"), ("mask", "bilinear"), ("uv_map", "nearest"), ("pids", "nearest"),
                       ("place", "bilinear"), ("plate", "bilinear"), ("people", "bilinear"), ("effects", "bilinear")):
        if name not in item:
            continue
        maps = item[name].reshape(1, -1, height, width)
        enlarged = F.interpolate(maps, size=(zoomed_height, zoomed_width), mode=mode)
        zoomed[name] = enlarged[..., top:top + height, left:left + width].reshape(item[name].shape)
    return {**item, **zoomed}
