"""Short clips of noise."""

import torch

from data.base_dataset import BaseDataset


class ToyDataset(BaseDataset):
    """Items {clip [T, 3, H, W], image_path}."""

    @staticmethod
    def add_options(parser, is_train):
        parser.add_argument("--clip_length", type=int, default=3, help="frames of a clip")

    def __len__(self):
        return 5

    def item(self, index, rng, epoch):
        generator = torch.Generator().manual_seed(index if rng is None else int(rng.integers(1000)))
        return {"clip": torch.rand(self.opt.clip_length, 3, 16, 16, generator=generator) * 2 - 1,
                "image_path": f"{index:04d}.png"}
