"""Options of test.py."""

import math
from argparse import Namespace
from pathlib import Path

from data.loading import find_dataset
from options.base_options import BaseOptions
from options.saved import saved_options
from util.command_line import OneLineParser, float_at_least, folder_name


class TestOptions(BaseOptions):
    """Shared options and those of exporting.

    What describes a run (data, model, network size) defaults to what it was trained with.
    """

    is_train = False
    description = "Export what a trained model makes of its data: pictures, videos, and a page to look at them."
    __test__ = False  # pytest: this is not a test case

    def add_options(self, parser: OneLineParser) -> None:
        """Add what only exporting needs."""
        super().add_options(parser)
        group = parser.add_argument_group("export")
        group.add_argument("--phase", type=folder_name, default="test", metavar="NAME",
                           help="the part of the data that is exported, where there are parts; results are in "
                                "RESULTS_DIR/NAME/PHASE_EPOCH")
        group.add_argument("--results_dir", default="./results/", metavar="DIR", help="folder of all results")
        group.add_argument("--aspect_ratio", type=float_at_least(0.01), default=1.0, metavar="RATIO",
                           help="stretch results to this many times their width over height")
        group.add_argument("--num_test", type=float_at_least(1, infinite=True), default=math.inf, metavar="N",
                           help="export only the first N items")
        group.add_argument("--eval", action="store_true",
                           help="normalise with the statistics gathered in training, not those of each item")
        parser.also(how_many="num_test")

    def earlier_options(self, own: Namespace) -> dict:
        """Those options that the run was trained with that describe it, where it was trained here."""
        saved = saved_options(Path(own.checkpoints_dir) / own.name)
        if own.dataroot and "dataset_mode" in saved and Path(own.dataroot).resolve() != Path(
                saved.get("dataroot", "")).resolve():
            of_another = find_dataset(saved["dataset_mode"]).of_one_dataroot
            saved = {name: value for name, value in saved.items() if name not in of_another}
        return {name: value for name, value in saved.items() if name in INHERITED or name not in vars(own)}


INHERITED = ("dataroot", "model", "dataset_mode")
"""Options of `BaseOptions` that describe the run; all options that models and datasets add do as well."""
