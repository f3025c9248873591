"""Made-up sequences of a disc that moves through a picture, with maps that say where it is."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data.base_dataset import BaseDataset
from util.command_line import int_at_least

LENGTHS = {"train": (9, 14, 7, 21), "test": (3, 2)}
"""Frames of each sequence, by --phase."""


class VideoGanDataset(BaseDataset):
    """Clips of the sequences in training, single frames in order for test.py.

    An item holds `maps` [T, 1, H, W] (1 on the disc, -1 elsewhere) and `frames` [T, 3, H, W], both in [-1, 1]. A clip
    is a whole number of loads, and the frame before them. An item for test.py has T = 1, `image_path` and `sequence`.
    """

    def __init__(self, opt):
        super().__init__(opt)
        self.lengths = LENGTHS["train" if opt.is_train else "test"]
        self.items = list(enumerate(self.lengths))  # sequence and frames
        if not opt.is_train:
            self.items = [(sequence, frame) for sequence, frames in self.items for frame in range(frames)]
        self.items = self.items[:int(min(len(self.items), opt.max_dataset_size))]

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """How clips grow."""
        if is_train:
            group = parser.add_argument_group("video_gan dataset")
            group.add_argument("--n_frames_total", type=int_at_least(1), default=2, metavar="N",
                               help="frames of a clip in the first epochs")
            group.add_argument("--niter_step", type=int_at_least(1), default=2, metavar="N",
                               help="epochs after which clips are twice as long")

    @staticmethod
    def resolve_options(opt) -> dict:
        """What tells the sequences from others."""
        return {"data_id": f"discs, {opt.fineSize} pixels"}

    def __len__(self) -> int:
        return len(self.items)

    def item(self, index: int, rng: np.random.Generator | None, epoch: int) -> dict:
        """A clip that begins at random; or, for test.py, a frame."""
        sequence, number = self.items[index]
        if not self.opt.is_train:
            maps, frames = discs(sequence + 10, range(number, number + 1), self.opt.fineSize)
            return {"maps": maps, "frames": frames, "sequence": f"disc_{sequence}",
                    "image_path": f"{number + 1:04d}.png"}
        length = clip_length(number, epoch, self.opt.n_frames_total, self.opt.niter_step, self.opt.n_frames_load)
        start = 0 if rng is None else int(rng.integers(number - length + 1))
        maps, frames = discs(sequence, range(start, start + length), self.opt.fineSize)
        return {"maps": maps, "frames": frames}

    def collate(self, items: Sequence[dict]) -> dict:
        """A batch of clips, all as long as the shortest of them."""
        length = min(len(item["maps"]) for item in items)
        return super().collate([{name: value[:length] if isinstance(value, Tensor) else value
                                 for name, value in item.items()} for item in items])


def clip_length(frames: int, epoch: int, first: int, doubled_every: int, load: int) -> int:
    """Frames of a clip from a sequence of `frames`, in an epoch: loads as long as they last, and the frame before them.

    Without that frame there are `first` in the first epochs, and twice as many after every `doubled_every` epochs.
    """
    wanted = min(first * 2 ** ((epoch - 1) // doubled_every), frames - 1)
    return max(wanted // load, 1) * load + 1


def discs(sequence: int, times: range, size: int) -> tuple[Tensor, Tensor]:
    """Maps [T, 1, H, W] and frames [T, 3, H, W] of a sequence: a disc of its own colour circles through the picture."""
    look = np.random.default_rng(sequence)
    colour, turn, phase = look.uniform(-1, 1, 3), look.uniform(0.2, 0.5), look.uniform(0, 2 * np.pi)
    y, x = (np.indices((size, size)) + 0.5) / size * 2 - 1
    angles = turn * np.array(times)[:, None, None] + phase
    inside = ((x - 0.5 * np.cos(angles)) ** 2 + (y - 0.5 * np.sin(angles)) ** 2 < 0.3 ** 2)[:, None]
    frames = np.where(inside, colour[:, None, None], np.stack((x, y, -x))[None])
    return torch.from_numpy(inside * 2 - 1).float(), torch.from_numpy(frames).float()
