"""Clips of sequences in training, windows of them at test: what the datasets of vid2vid share.

An item is a dict of

    A         float32 [T, Ca, H, W]: maps; label maps as the numbers of classes [T, 1, H, W]
    B         float32 [T, 3, H, W] in [-1, 1]: photographs. At test only where the first frames may be needed
    inst      float32 [T, 1, H, W]: numbers of things or parts of the face; only where these are used
    flow      float32 [T, 2, H, W]: (x, y) to the frame before, in pixels; only with --flow_net files
    sequence, image_path: names of the sequence and of the last frame's file

In training T is a function of the epoch and the sequence (`clip_length`), at test --n_frames_G.

Options that are read here, which the program and the model add: dataroot, phase, is_train, max_dataset_size, gpu_ids,
batch_size; input_nc, label_nc, use_instance, resize_or_crop, load_size, fine_size, no_flip, n_frames_G, n_frames_total,
niter_step, max_t_step, max_frames_per_gpu, n_gpus_gen, n_scales_spatial, n_downsample_G, flow_net; at test use_real_img
and start_frame; of faces no_canny_edge, no_dist_map, random_scale_points; of poses densepose_only, openpose_only,
basic_point_only, remove_face_labels, random_drop_prob; of layers of dancers vary_size.
"""

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence as ListLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from data.base_dataset import BaseDataset
from data.image_sequences import (
    FLOWS,
    Draws,
    Framing,
    Sequence,
    choose_framing,
    data_id,
    find_sequences,
    must_be_of_size,
    read_flow,
    read_photo,
    size_of,
    stacked,
)
from util.clips import evenly_spread, gpus_of_a_clip
from util.errors import UserError, several

LONGEST_CLIP = 128
CHECKED_FRAMES = 1000
"""As many frames are read before the first epoch, to tell of broken files early."""
KEPT_DRAWINGS = 128 * 2 ** 20
"""Bytes of drawn poses or faces in memory: clips overlap, and drawing takes a fifth to a quarter of a training step."""


# ---- lengths of clips -----------------------------------------------------------------------------------------------

def frames_in_epoch(epoch: int, longest: int, n_frames_total: int, niter_step: int, n_frames_G: int) -> int:
    """Frames that are generated of a clip in an epoch: --n_frames_total, twice as many after every niter_step epochs.

    Args:
        epoch: from 1.
        longest: frames of the longest sequence.
        n_frames_total: at the beginning.
        niter_step: epochs between doublings.
        n_frames_G: maps that a generated frame depends on.
    """
    doublings = (epoch - 1) // niter_step
    if doublings == 0:
        return n_frames_total
    return min(min(LONGEST_CLIP, longest) - (n_frames_G - 1), n_frames_total * 2 ** doublings)


def clip_length(length: int, n_frames_total: int, n_frames_G: int, frames_per_load: int) -> int:
    """Frames of a clip: the n_frames_G - 1 before the first generated one, and whole loads of those.

    Args:
        length: frames of the sequence, at least n_frames_G.
        n_frames_total: frames to generate, if there are so many.
        n_frames_G: maps that a generated frame depends on.
        frames_per_load: most frames between two optimiser steps.
    """
    generated = min(n_frames_total, length - n_frames_G + 1)
    load = min(generated, frames_per_load)
    return generated // load * load + n_frames_G - 1


def largest_step(length: int, clip: int, max_t_step: int) -> int:
    """Most frames from one frame of a clip to the next."""
    return min(max_t_step, (length - 1) // max(clip - 1, 1)) if clip > 1 else 1


def possible_starts(length: int, clip: int, step: int) -> int:
    """In how many places a clip can begin."""
    return max(1, length - (clip - 1) * step)


def frames_per_load(opt) -> int:
    """Most frames between two optimiser steps: --max_frames_per_gpu on each GPU that generates."""
    return opt.max_frames_per_gpu * gpus_of_a_clip(opt)


# ---- the dataset ----------------------------------------------------------------------------------------------------

class ClipDataset(BaseDataset):
    """Clips of sequences in training; at test every window of --n_frames_G frames, sequence by sequence.

    Attributes:
        sequences: the data.
    """

    def __init__(self, opt):
        super().__init__(opt)
        self.check_options()
        if self._with_flows(opt) and opt.max_t_step > 1:
            raise UserError(f"--max_t_step: found {opt.max_t_step} with --flow_net files, whose flows lead to the "
                            "frame before; expected 1")
        self.sequences = self.find(opt)
        self.longest = max(map(len, self.sequences))
        self.windows = [] if opt.is_train else self._windows()

    @staticmethod
    @abstractmethod
    def folders(opt) -> dict[str, tuple[str, tuple[str, ...]]]:
        """The folders of a phase, as `find_sequences` takes them."""

    @abstractmethod
    def frames(self, sequence: Sequence, numbers: list[int], draws: Draws) -> dict[str, Tensor]:
        """A, B and inst of frames of a sequence."""

    @abstractmethod
    def check_frame(self, sequence: Sequence, k: int) -> None:
        """Read the files of a frame; raises `UserError` if something is wrong with them."""

    def check_options(self) -> None:
        """Raise `UserError` where options do not fit these data."""

    @classmethod
    def find(cls, opt) -> list[Sequence]:
        """The sequences that the options name."""
        flows = {"flows": ("flow", FLOWS)} if cls._with_flows(opt) else {}
        return find_sequences(opt.dataroot, opt.phase, cls.folders(opt) | flows, opt.n_frames_G)

    @staticmethod
    def _with_flows(opt) -> bool:
        return opt.is_train and opt.flow_net == "files"

    @classmethod
    def data_options(cls, opt) -> dict:
        """What `resolve_options` returns."""
        return {"data_id": data_id(cls.find(opt))}

    def _windows(self) -> list[tuple[int, int]]:
        """(sequence, first frame) of all windows; --start_frame skips frames of the first sequence."""
        start = self.opt.start_frame
        count = len(self.sequences[0]) - self.opt.n_frames_G + 1
        if start >= count:
            raise UserError(f"--start_frame: found {start}; sequence {self.sequences[0].name} has {count} windows of "
                            f"{self.opt.n_frames_G} frames. Give at most {count - 1}")
        return [(which, first) for which, sequence in enumerate(self.sequences)
                for first in range(0 if which else start, len(sequence) - self.opt.n_frames_G + 1)]

    def __len__(self) -> int:
        return int(min(len(self.windows) if self.windows else self.clips_per_epoch, self.opt.max_dataset_size))

    @property
    def clips_per_epoch(self) -> int:
        """Items of an epoch of training: one of each sequence."""
        return len(self.sequences)

    def preload(self, keep: bool = True) -> None:
        """Read frames from all over the data once; none is kept.

        Raises:
            UserError: what is wrong with them, all of it.
        """
        places = [(sequence, k) for sequence in self.sequences for k in range(len(sequence))]
        problems = []
        for place in evenly_spread(len(places), CHECKED_FRAMES):
            try:
                self.check_frame(*places[place])
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise several(problems)

    def item(self, index: int, rng: np.random.Generator | Draws | None, epoch: int) -> dict:
        """A clip in training, a window at test."""
        draws = rng if isinstance(rng, Draws) else Draws(rng)
        if self.opt.is_train:
            sequence, numbers = self.clip(index, draws, epoch)
        else:
            which, first = self.windows[index]
            sequence, numbers = self.sequences[which], list(range(first, first + self.opt.n_frames_G))
        return {**self.frames(sequence, numbers, draws), "sequence": sequence.name,
                "image_path": str(self.name_file(sequence, numbers[-1]))}

    def clip(self, index: int, draws: Draws, epoch: int) -> tuple[Sequence, list[int]]:
        """The sequence of an item of training, and the frames of its clip."""
        sequence = self.sequences[index % len(self.sequences)]
        length, step = self.length_and_step(sequence, draws, epoch)
        start = draws.start(possible_starts(len(sequence), length, step))
        return sequence, [start + step * k for k in range(length)]

    def length_and_step(self, sequence: Sequence, draws: Draws, epoch: int) -> tuple[int, int]:
        """Frames of a clip, and frames from one to the next."""
        opt = self.opt
        total = frames_in_epoch(epoch, self.longest, opt.n_frames_total, opt.niter_step, opt.n_frames_G)
        length = clip_length(len(sequence), total, opt.n_frames_G, frames_per_load(opt))
        return length, draws.step(largest_step(len(sequence), length, opt.max_t_step))

    def name_file(self, sequence: Sequence, k: int) -> Path:
        """The file whose stem names the results of a frame."""
        return next(iter(sequence.files.values()))[k]

    def collate(self, items: ListLike[dict]) -> dict:
        """A batch [B, T, C, H, W]; clips are cut to the shortest of them.

        Raises:
            UserError: frames are not of one size.
        """
        shapes = {tuple(item["A"].shape[2:]) for item in items}
        if len(shapes) > 1:
            sizes = ", ".join(f"{width} x {height}" for height, width in sorted(shapes))
            raise UserError(f"--batch_size: frames of {sizes} in one batch ({', '.join(i['sequence'] for i in items)});"
                            " expected one size. Give --batch_size 1, or a --resize_or_crop with crop")
        frames = min(len(item["A"]) for item in items)
        return default_collate([{name: value[:frames] if torch.is_tensor(value) else value
                                 for name, value in item.items()} for item in items])

    # ---- what subclasses make items of

    def framing(self, size: tuple[int, int], draws: Draws, flips: bool = True) -> Framing:
        """How frames of a size are framed in an item.

        Raises:
            UserError: nothing would be left of them.
        """
        opt = self.opt
        may_flip = flips and opt.is_train and not opt.no_flip
        framing = choose_framing(size, opt.resize_or_crop, opt.load_size, opt.fine_size, may_flip, draws)
        sides = framing.size + (framing.crop or framing.size)
        if not all(sides):
            raise self.wrong_size(f"frames of {size[0]} x {size[1]} pixels become", sides[2:] if all(sides[:2]) else
                                  sides[:2])
        return framing

    def photos(self, sequence: Sequence, numbers: list[int], framing: Framing,
               size: tuple[int, int]) -> list[np.ndarray]:
        """Photographs, uint8 [H, W, 3] each."""
        paths = sequence.files["images"]
        return [framing.apply(must_be_of_size(read_photo(paths[k]), size, paths[k], paths[0]),
                              Image.Resampling.BICUBIC) for k in numbers]

    def flows(self, sequence: Sequence, numbers: list[int], framing: Framing, size: tuple[int, int],
              cut: Callable[[np.ndarray], np.ndarray] = lambda flow: flow) -> dict[str, Tensor]:
        """The item's flow, where there are files of it; `cut` is what is done to frames before they are framed."""
        paths = sequence.files.get("flows")
        if paths is None:
            return {}
        flows = []
        for k in numbers:
            flow = cut(must_be_of_size(read_flow(paths[k]), size, paths[k], next(iter(sequence.files.values()))[0]))
            scale = framing.size[0] / flow.shape[1] * (-1 if framing.flip else 1), framing.size[1] / flow.shape[0]
            flows.append(np.stack([framing.apply(np.ascontiguousarray(flow[..., axis] * np.float32(scale[axis])),
                                                 Image.Resampling.BILINEAR) for axis in (0, 1)], axis=-1))
        return {"flow": torch.from_numpy(stacked(flows))}

    def size(self, sequence: Sequence, kind: str) -> tuple[int, int]:
        """(width, height) of a sequence's files."""
        return size_of(sequence.files[kind][0])

    def checked(self, frames: dict[str, Tensor], sequence: Sequence) -> dict[str, Tensor]:
        """The frames, if networks can take their size.

        Raises:
            UserError: a side is no multiple of what networks halve it to.
        """
        height, width = frames["A"].shape[-2:]
        if not height or not width or height % self.multiple or width % self.multiple:
            raise self.wrong_size(f"sequence {sequence.name} becomes", (width, height))
        return frames

    @property
    def multiple(self) -> int:
        """What sides are a multiple of, so that networks can halve them."""
        return 2 ** (self.opt.n_scales_spatial - 1 + self.opt.n_downsample_G)

    def wrong_size(self, what: str, size: tuple[int, int]) -> UserError:
        """An error for frames that come out at a size that is of no use."""
        return UserError(f"--resize_or_crop {self.opt.resize_or_crop}: {what} {size[0]} x {size[1]}; expected "
                         f"multiples of {self.multiple} (--n_scales_spatial, --n_downsample_G). Give another "
                         "--loadSize, --fineSize or --resize_or_crop")


def normalised(frames: list[np.ndarray]) -> Tensor:
    """uint8 frames [H, W] or [H, W, C] to float32 [T, C, H, W] in [-1, 1]."""
    return torch.from_numpy(stacked(frames)).float().div_(127.5).sub_(1)


def numbers_of(frames: list[np.ndarray]) -> Tensor:
    """Frames of whole numbers [H, W] to float32 [T, 1, H, W] as they are."""
    return torch.from_numpy(stacked(frames).astype(np.float32))
