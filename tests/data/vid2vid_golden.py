"""Options and random numbers of the published program, for tests that read its figures."""

import os
import random
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from data.image_sequences import Draws

FOLDER = Path(os.environ.get("VID2VID_GOLDEN", Path(__file__).parents[1] / "golden_vid2vid"))
"""Figures that the published program computed; VID2VID_GOLDEN may name another folder of the same form."""

FLAGS = ("no_flip", "use_instance", "use_real_img", "no_canny_edge", "no_dist_map", "random_scale_points",
         "densepose_only", "openpose_only", "basic_point_only", "remove_face_labels", "no_first_img", "use_single_G",
         "fg", "no_flow", "add_face_disc", "serial_batches", "sparse_D", "no_vgg", "no_ganFeat", "TTUR")
VALUES = {"loadSize": 512, "fineSize": 512, "input_nc": 3, "label_nc": 0, "resize_or_crop": "scaleWidth",
          "n_frames_G": 3, "n_frames_total": 30, "niter_step": 5, "max_t_step": 1, "max_frames_per_gpu": 1,
          "n_gpus_gen": -1, "batchSize": 1, "n_scales_spatial": 1, "n_downsample_G": 3, "start_frame": 0,
          "random_drop_prob": 0.05, "max_dataset_size": float("inf"), "dataset_mode": "temporal", "flow_net": "raft",
          "niter": 10, "niter_decay": 10, "max_frames_backpropagate": 1}
"""Published defaults of what data depend on."""
OURS = {"loadSize": "load_size", "fineSize": "fine_size", "batchSize": "batch_size"}


def options(args: str = "", **changes) -> Namespace:
    """Options of the published program, under the names that they have here."""
    parser = ArgumentParser(allow_abbrev=False)
    for name in FLAGS:
        parser.add_argument(f"--{name}", action="store_true")
    for name, default in VALUES.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, dest=OURS.get(name, name))
    opt = parser.parse_known_args(args.split())[0]
    return Namespace(**{**vars(opt), "gpu_ids": [], "phase": "train", "is_train": True, **changes})


class PublishedDraws(Draws):
    """The two old generators, in the published order."""

    def __init__(self, seed: int):
        super().__init__(None)
        self.numpy, self.python = np.random.RandomState(seed), random.Random(seed)

    def sequence(self, shares):
        return int(self.numpy.choice(len(shares), p=shares))

    def step(self, largest):
        return int(self.numpy.randint(largest)) + 1

    def start(self, count):
        return int(self.numpy.randint(count))

    def side(self, low, high):
        return self.python.randint(low, high)

    def across(self):
        return float(self.numpy.randn())

    def down(self, highest):
        return self.python.randint(0, highest)

    def flip(self):
        return self.python.random() > 0.5

    def uniform(self, count):
        return self.numpy.rand(count)

    def normal(self, *shape):
        return self.numpy.randn(*shape)
