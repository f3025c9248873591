"""Options of train.py."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from options.base_options import BaseOptions
from util import distributed
from util.command_line import number, whole
from util.errors import UserError
from util.files import write_text

SAVED_OPTIONS = "train_opt.json"


class TrainOptions(BaseOptions):
    """Shared options and those of training; saved in the run's folder, for people and for test.py."""

    is_train = True
    description = "Train a model on a clip. Every run is one video: the network learns this video and no other."

    def add_options(self, parser: ArgumentParser) -> None:
        """Add what only training needs."""
        super().add_options(parser)
        group = parser.add_argument_group("training")
        group.add_argument("--phase", default="train", metavar="NAME", help="label of what is being done")
        group.add_argument("--n_epochs", "--num_epochs", type=whole(0), default=2000, metavar="N",
                           help="epochs at the initial learning rate")
        group.add_argument("--n_epochs_decay", type=whole(0), default=0, metavar="N",
                           help="further epochs in which --lr_policy linear goes to zero")
        group.add_argument("--lr", type=number(0), default=0.001, metavar="RATE", help="initial learning rate of Adam")
        group.add_argument("--lr_policy", default="linear", choices=("linear", "step", "plateau", "cosine"),
                           help="how the learning rate falls")
        group.add_argument("--lr_decay_iters", type=whole(1), default=50, metavar="N",
                           help="epochs between two steps of --lr_policy step")
        group.add_argument("--continue_train", action="store_true",
                           help="go on where the run stopped; or, where it has only weights, from those at --epoch")
        group.add_argument("--epoch_count", type=whole(1), default=1, metavar="EPOCH",
                           help="first epoch where --continue_train finds only weights")
        group.add_argument("--save_latest_freq", type=whole(1), default=50, metavar="N",
                           help="epochs between two checkpoints `latest`")
        group.add_argument("--save_by_epoch", action="store_true",
                           help="keep a checkpoint `epoch_N` each time as well")
        group.add_argument("--batch_statistics", default="synchronised", choices=("synchronised", "per_process"),
                           help="under torchrun, batch normalisation takes the statistics of the whole batch, as one "
                                "process does, or of each process's share, as DataParallel does")
        group = parser.add_argument_group("display")
        group.add_argument("--print_freq", type=whole(1), default=10, metavar="N",
                           help="steps between two lines of losses")
        group.add_argument("--display_freq", type=whole(1), default=20, metavar="N",
                           help="epochs between two sets of images in visdom")
        group.add_argument("--update_html_freq", type=whole(1), default=50, metavar="N",
                           help="epochs between two sets of images on the page web/index.html")
        group.add_argument("--no_html", action="store_true", help="do not write web/index.html")
        group.add_argument("--display_ncols", type=whole(0), default=0, metavar="N",
                           help="if not 0, show all images in one visdom panel with N columns")
        group.add_argument("--display_id", type=int, default=1, metavar="ID",
                           help="first window of the visdom dashboard; 0 or less: no visdom")
        group.add_argument("--display_server", default="http://localhost", metavar="URL", help="visdom server")
        group.add_argument("--display_env", default="main", metavar="NAME", help="visdom environment")
        group.add_argument("--display_port", type=whole(1), default=8097, metavar="PORT", help="visdom port")

    def save(self, opt: Namespace, text: str) -> None:
        """Write `train_opt.txt` for people and `train_opt.json` for programs."""
        if distributed.rank() > 0:
            return
        folder = Path(opt.checkpoints_dir) / opt.name
        try:
            write_text(folder / "train_opt.txt", text + "\n")
            write_text(folder / SAVED_OPTIONS, json.dumps(vars(opt), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"--checkpoints_dir: cannot write to {folder} ({error.strerror}); "
                            "give a folder that can be written to") from None
