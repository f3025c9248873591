"""The contract between datasets and the two programs that read them, train.py and test.py."""

from abc import ABC, abstractmethod

import numpy as np
from torch.utils.data import Dataset

from util.clips import DEFAULT_FRAME_RATE


class BaseDataset(Dataset, ABC):
    """A list of items, each a dict of tensors, numbers and strings that torch's default collation can batch.

    Attributes:
        opt: the options it was made with.
        frame_rate: frames per second of videos that are made from its items in order.
    """

    frame_rate = DEFAULT_FRAME_RATE

    def __init__(self, opt):
        self.opt = opt

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Add the dataset's options to the parser.

        Names of options that decide what the data are go into `parser.deciding` as well.
        """

    @staticmethod
    def resolve_options(opt) -> None:
        """Set those options whose values the data decide. Called once, while the options are being parsed.

        `opt.clip` tells these data from others: a run is only continued on the same.
        """

    def preload(self) -> None:
        """Read into memory what training will need again and again. Called once, before the first epoch."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of items."""

    @abstractmethod
    def item(self, index: int, rng: np.random.Generator | None) -> dict:
        """Item `index`, augmented with random numbers from `rng`, or as it is where `rng` is None.

        An item of a dataset for test.py has the string `image_path`, whose stem names the results.
        """

    def __getitem__(self, key: int | tuple[int, tuple[int, ...]]) -> dict:
        """Item by index, or by (index, seed of its augmentation)."""
        if isinstance(key, tuple):
            index, seed = key
            return self.item(index, np.random.default_rng(seed))
        return self.item(key, None)
