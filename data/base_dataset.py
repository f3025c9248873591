"""The contract between datasets and the two programs that read them, train.py and test.py (docs/new_model.md)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from data.sampler import ItemKey
from util.clips import DEFAULT_FRAME_RATE


class BaseDataset(Dataset, ABC):
    """A list of items, each a dict of tensors, numbers and strings.

    Attributes:
        opt: the options it was made with.
        frame_rate: frames per second of videos that are made from its items in order.
        completes_results: what `complete_results` does takes so long that who is interrupted goes on with it.
        of_one_dataroot: names of options that say something about the files of the dataroot that they were given with,
            such as which frames: test.py does not take them over from a training on another one.
        presets: values for options that a preset of the model has with these data, beside its own and before them.
    """

    frame_rate = DEFAULT_FRAME_RATE
    completes_results = False
    of_one_dataroot: frozenset[str] = frozenset()
    presets: dict[str, dict] = {}

    def __init__(self, opt):
        self.opt = opt

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Add the dataset's options to the parser; those that a model needs too are the model's.

        Names of options that decide what the data are go into `parser.deciding` as well.
        """

    @staticmethod
    def resolve_options(opt) -> dict:
        """Values of options that the data decide, by name; called once, after the command line was parsed.

        `data_id` tells these data from others: a run is only continued on the same.
        """
        return {}

    def preload(self, keep: bool = True) -> None:
        """Read into memory what training will need again and again. Called once, before the first epoch.

        Args:
            keep: no: there will be no epoch; it is only seen that all can be read.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Number of items."""

    @abstractmethod
    def item(self, index: int, rng: np.random.Generator | None, epoch: int) -> dict:
        """Item `index` as epoch `epoch` sees it.

        For test.py an item has the string `image_path`, whose stem names the results; items of several sequences have
        the string `sequence` besides, the folder of their results.

        Args:
            rng: the source of all that is random in it; None: it is taken as it is, and whole where training sees a
                part of it, such as some rays of a view.
            epoch: from 1. What depends on it, such as the length of a clip, depends on nothing else.
        """

    def collate(self, items: Sequence[dict]) -> dict:
        """A batch of items; by default tensors are stacked and strings listed. A single one is not copied."""
        alone = len(items) == 1
        single = {name: value[None] for name, value in items[0].items() if alone and isinstance(value, Tensor)}
        return default_collate([{name: item[name] for name in item if name not in single} for item in items]) | single

    def complete_results(self, folder: Path) -> None:
        """Add to what test.py made of all items, in their folder, what takes all of them; called at the end.

        With `completes_results` the folder may hold what an interrupted call has added already.
        """

    def __getitem__(self, key: int | ItemKey) -> dict:
        """Item by its key in training; or by its index, without augmentation."""
        if isinstance(key, ItemKey):
            return self.item(key.index, key.rng(), key.epoch)
        return self.item(key, None, 1)
