"""Options of train.py."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from options.base_options import BaseOptions, as_written
from options.saved import OF_ONE_COMMAND, saved_options
from util.command_line import OneLineParser, duration, float_at_least, folder_name, int_at_least
from util.errors import UserError


class TrainOptions(BaseOptions):
    """Shared options and those of training."""

    is_train = True
    description = "Train a model, from nothing or from where a run stopped (docs/core.md)."

    def add_options(self, parser: OneLineParser) -> None:
        """Add what only training needs."""
        super().add_options(parser)
        group = parser.add_argument_group("training")
        group.add_argument("--phase", type=folder_name, default="train", metavar="NAME",
                           help="the part of the data that is trained on, where there are parts")
        group.add_argument("--n_epochs", "--num_epochs", type=int_at_least(0), default=100, metavar="N",
                           help="epochs at the initial learning rate")
        group.add_argument("--n_epochs_decay", type=int_at_least(0), default=0, metavar="N",
                           help="further epochs in which --lr_policy linear goes to zero")
        group.add_argument("--lr", type=float_at_least(0), default=0.0002, metavar="RATE", help="initial learning rate")
        group.add_argument("--lr_policy", default="linear", choices=("linear", "step", "plateau", "cosine"),
                           help="how the learning rate falls")
        group.add_argument("--lr_decay_iters", type=int_at_least(1), default=50, metavar="N",
                           help="epochs between two steps of --lr_policy step")
        group.add_argument("--budget", type=duration, default=None, metavar="TIME",
                           help="time that training may take on this machine, such as 90s, 15m or 2h: all options that "
                                "count epochs are scaled to it")
        group.add_argument("--continue_train", action="store_true",
                           help="go on where the run NAME stopped, with its options; or, where it has only weights, "
                                "from those at --epoch")
        group.add_argument("--overwrite", action="store_true",
                           help="begin anew although the run NAME has been trained: what it learned is lost")
        group.add_argument("--epoch_count", type=int_at_least(1), default=1, metavar="EPOCH",
                           help="first epoch where --continue_train finds only weights")
        group.add_argument("--init_from", default="", metavar="RUN[:EPOCH]",
                           help="begin with the weights of another run, a name in CHECKPOINTS_DIR or a folder, as far "
                                "as they fit")
        group.add_argument("--save_latest_freq", type=int_at_least(1), default=50, metavar="N",
                           help="epochs between two checkpoints `latest`")
        group.add_argument("--save_latest_minutes", type=float_at_least(0), default=5, metavar="MIN",
                           help="most minutes between two checkpoints `latest`: what a killed run has to do again")
        group.add_argument("--save_by_epoch", action="store_true",
                           help="keep a checkpoint `epoch_N` each time as well")
        group.add_argument("--export", action="store_true",
                           help="export the run when it has been trained, as test.py --name NAME does")
        group.add_argument("--batch_statistics", default="synchronised", choices=("synchronised", "per_process"),
                           help="under torchrun, batch normalisation takes the statistics of the whole batch, as one "
                                "process does, or of each process's share, as DataParallel does")
        parser.lengths.add("n_epochs")
        parser.also(niter="n_epochs", niter_decay="n_epochs_decay", load_pretrain="init_from")
        group = parser.add_argument_group("display")
        group.add_argument("--print_freq", type=int_at_least(1), default=10, metavar="N",
                           help="steps between two lines of losses")
        group.add_argument("--display_freq", type=int_at_least(1), default=20, metavar="N",
                           help="epochs between two sets of images in visdom")
        group.add_argument("--update_html_freq", type=int_at_least(1), default=50, metavar="N",
                           help="epochs between two sets of images on the page web/index.html")
        group.add_argument("--no_html", action="store_true", help="do not write web/index.html")
        group.add_argument("--tf_log", action="store_true",
                           help="write TensorBoard logs too, in the folder logs/ of the run (pip install tensorboard)")
        group.add_argument("--display_ncols", type=int_at_least(0), default=0, metavar="N",
                           help="if not 0, show all images in one visdom panel with N columns")
        group.add_argument("--display_id", type=int, default=1, metavar="ID",
                           help="first window of the visdom dashboard; 0 or less: no visdom")
        group.add_argument("--display_server", default="http://localhost", metavar="URL", help="visdom server")
        group.add_argument("--display_env", default="main", metavar="NAME", help="visdom environment")
        group.add_argument("--display_port", type=int_at_least(1), default=8097, metavar="PORT", help="visdom port")

        parser.unit("epochs", "save_latest_freq", "display_freq", "update_html_freq")
        parser.unit("steps", "print_freq")

    def add_presets(self, parser: OneLineParser, presets: dict[str, dict], argv: list[str] | None) -> None:
        """Add --preset, and let the chosen one's values take the place of defaults.

        Its budget does not, where --n_epochs (or another of `parser.lengths`) is given: that shall be the length.
        """
        tables = "; ".join(f"{name}: {_as_command_line(values) or 'the defaults'}" for name, values in presets.items())
        parser.add_argument("--preset", default=next(iter(presets)), choices=tuple(presets),
                            help="values for options that are not given (but no budget where --n_epochs is given). "
                                 + tables.replace("%", "%%"))
        values = dict(presets[parser.parse_known_args(argv)[0].preset])
        if parser.lengths & given(parser, argv):
            values.pop("budget", None)
        parser.set_defaults(**{name: as_written(value) for name, value in values.items()})

    def earlier_options(self, own: Namespace) -> dict:
        """With --continue_train, all that the run was trained with.

        Raises:
            UserError: --suffix is given too, which is filled in from options that are not known yet.
        """
        if own.continue_train and own.suffix:
            raise UserError(f"--suffix: found '{own.suffix}' with --continue_train; expected the run's whole name in "
                            "--name")
        saved = saved_options(Path(own.checkpoints_dir) / own.name) if own.continue_train else {}
        return {name: value for name, value in saved.items() if name not in OF_ONE_COMMAND}


def given(parser: ArgumentParser, argv: list[str] | None) -> set[str]:
    """Names of the options that a command line gives."""
    absent = object()
    found = parser.parse_known_args(argv, Namespace(**{action.dest: absent for action in parser._actions}))[0]
    return {name for name, value in vars(found).items() if value is not absent}


def _as_command_line(values: dict) -> str:
    return " ".join(f"--{name}" if value is True else f"--{name} {value}" for name, value in values.items())
