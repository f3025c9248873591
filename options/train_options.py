"""Options of train.py."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from options.base_options import SAVED_OPTIONS, BaseOptions, saved_options
from training.budget import scaled_epochs
from util import distributed
from util.command_line import duration, number, whole
from util.errors import UserError
from util.files import locked, write_text

OF_ONE_COMMAND = {"name", "suffix", "checkpoints_dir", "gpu_ids", "continue_train", "epoch", "epoch_count", "verbose",
                  "is_train", "budget"}
"""Options that a continued run does not take over."""


class TrainOptions(BaseOptions):
    """Shared options and those of training; saved in the run's folder, for people and for test.py.

    Attributes:
        lock: keeps other processes from training the same run, as long as it exists.
    """

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
        group.add_argument("--budget", type=duration, default=None, metavar="TIME",
                           help="time that training may take on this machine, such as 90s, 15m or 2h: all options that "
                                "count epochs are scaled to it")
        group.add_argument("--continue_train", action="store_true",
                           help="go on where the run NAME stopped, with its options; or, where it has only weights, "
                                "from those at --epoch")
        group.add_argument("--epoch_count", type=whole(1), default=1, metavar="EPOCH",
                           help="first epoch where --continue_train finds only weights")
        group.add_argument("--save_latest_freq", type=whole(1), default=50, metavar="N",
                           help="epochs between two checkpoints `latest`")
        group.add_argument("--save_latest_minutes", type=number(0), default=5, metavar="MIN",
                           help="most minutes between two checkpoints `latest`: what a killed run has to do again")
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

    def add_presets(self, parser: ArgumentParser, presets: dict[str, dict], argv: list[str] | None) -> None:
        """Add --preset, and let the chosen one's values take the place of defaults.

        Its budget does not, where --n_epochs is given: that shall be the length.
        """
        tables = "; ".join(f"{name}: {_as_command_line(values) or 'the defaults'}" for name, values in presets.items())
        parser.add_argument("--preset", default="published", choices=tuple(presets),
                            help="values for options that are not given (but no budget where --n_epochs is given). "
                                 + tables.replace("%", "%%"))
        values = dict(presets[parser.parse_known_args(argv)[0].preset])
        if "n_epochs" in given(parser, argv):
            values.pop("budget", None)
        parser.set_defaults(**{name: str(value) for name, value in values.items()})

    def resolve(self, opt: Namespace) -> None:
        """Scale what counts epochs to the time budget of a run that begins."""
        if opt.budget is not None and not opt.continue_train:
            scaled = scaled_epochs(opt)
            print(f"--budget: in {opt.budget:g} s this machine does "
                  + (", ".join(f"{name} {getattr(opt, name)} -> {value}" for name, value in scaled.items())
                     or "nothing, for there is nothing to train"))
            vars(opt).update(scaled)

    def earlier_options(self, own: Namespace) -> dict:
        """With --continue_train, all that the run was trained with."""
        saved = saved_options(Path(own.checkpoints_dir) / own.name) if own.continue_train else {}
        return {name: value for name, value in saved.items() if name not in OF_ONE_COMMAND}

    def claim(self, opt: Namespace, deciding: set[str]) -> None:
        """Make the run's folder, and let it belong to this process as long as `self` exists.

        Raises:
            UserError: another process trains the run, or it cannot be continued with these options.
        """
        if distributed.rank() > 0:
            return
        folder = Path(opt.checkpoints_dir) / opt.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = locked(folder / ".lock")
        except BlockingIOError as error:
            raise UserError(f"{folder}: process {error} is training this run; wait for it, or give another "
                            "--name") from None
        except OSError as error:
            raise UserError(f"--checkpoints_dir: cannot write to {folder} ({error.strerror}); "
                            "give a folder that can be written to") from None
        if opt.continue_train:
            tell_changes(saved_options(folder), vars(opt), deciding)

    def save(self, opt: Namespace) -> None:
        """Write `train_opt.txt` for people and `train_opt.json` for programs."""
        if distributed.rank() == 0:
            folder = Path(opt.checkpoints_dir) / opt.name
            write_text(folder / "train_opt.txt", self.text + "\n")
            write_text(folder / SAVED_OPTIONS, json.dumps(vars(opt), indent=1) + "\n")


def given(parser: ArgumentParser, argv: list[str] | None) -> set[str]:
    """Names of the options that a command line gives."""
    absent = object()
    found = parser.parse_known_args(argv, Namespace(**{action.dest: absent for action in parser._actions}))[0]
    return {name for name, value in vars(found).items() if value is not absent}


def _as_command_line(values: dict) -> str:
    return " ".join(f"--{name} {value}" for name, value in values.items())


def tell_changes(earlier: dict, options: dict, deciding: set[str]) -> None:
    """Say which options of a continued run are others than before.

    Raises:
        UserError: some of them decide what the networks or the data are.
    """
    changed = {name: f"{name} {earlier[name]} -> {value}" for name, value in options.items()
               if name in earlier and earlier[name] != value and name not in OF_ONE_COMMAND}
    harmful = [text for name, text in changed.items() if name in deciding]
    if harmful:
        raise UserError(f"--continue_train: these options would make other networks or data of the run: "
                        f"{', '.join(harmful)}. Give them as they were, or begin another run with another --name")
    if changed:
        print(f"continued with other options: {', '.join(changed.values())}")
