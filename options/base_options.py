"""The options that train.py and test.py share, and the parsing of their command lines, which does nothing else."""

import argparse
import math
from argparse import Namespace

import torch

from data.loading import find_dataset, known_datasets
from models import DEFAULT_MODEL, find_model, known_models
from util import distributed
from util.command_line import OneLineParser, auto_or, float_at_least, folder_name, int_at_least
from util.devices import bf16_pays, gpu_count
from util.errors import UserError


class BaseOptions:
    """A program's command line.

    Attributes:
        is_train: whether options that only training needs are there.
        description: what the program does, for `--help`.
        deciding: names of the options that decide what networks and data are, after `parse`.
    """

    is_train: bool
    description: str
    deciding: set[str] = set()

    def add_options(self, parser: OneLineParser) -> None:
        """Add the options of the program itself; models and datasets add theirs when it is known which."""
        group = parser.add_argument_group("run")
        group.add_argument("--dataroot", metavar="DIR", help="folder of the data; docs/ says what is in it (required)")
        group.add_argument("--name", type=folder_name, default="experiment_name", metavar="NAME",
                           help="name of the run; its files are in CHECKPOINTS_DIR/NAME")
        group.add_argument("--suffix", default="", metavar="FORMAT",
                           help="added to the name, with options in braces: {model}_{batch_size}")
        group.add_argument("--checkpoints_dir", default="./checkpoints", metavar="DIR", help="folder of all runs")
        group.add_argument("--gpu_ids", default=default_gpus(), metavar="IDS",
                           help="GPUs to use, such as 0 or 0,1 (DataParallel; under torchrun: one for each process on "
                                "this machine); Apple's GPU is 0; -1: the CPU")
        group.add_argument("--seed", type=int_at_least(0), default=1, metavar="N", help="seed of all random numbers")
        group.add_argument("--verbose", action="store_true", help="print the networks")
        group = parser.add_argument_group("model and data")
        group.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME",
                           help=f"{known_models()}; a file models/NAME_model.py")
        group.add_argument("--epoch", type=folder_name, default="latest", metavar="EPOCH",
                           help="checkpoint to load: latest, or an epoch's number (saved with --save_by_epoch)")
        group.add_argument("--dataset_mode", metavar="NAME",
                           help=f"{known_datasets()}; a file data/NAME_dataset.py (default: the model's)")
        group.add_argument("--batch_size", type=auto_or(int_at_least(1)), default=1, metavar="N",
                           help="items per step of training, of all GPUs and processes together; auto: what fits into "
                                "memory, as far as that does no harm to training")
        group.add_argument("--serial_batches", action="store_true", help="take items in order, not at random")
        group.add_argument("--num_threads", type=int_at_least(0), default=4, metavar="N",
                           help="processes that prepare batches, at most one per CPU core; 0: the main one does")
        group.add_argument("--max_dataset_size", type=float_at_least(1, infinite=True), default=math.inf, metavar="N",
                           help="use only the first N items")
        group.add_argument("--amp", default="off", choices=("off", "bf16", "fp16"),
                           help="compute in bfloat16 or float16 where the model allows it, faster where the processor "
                                "has it (bf16 is off where it has not); off: in 32-bit floats")
        group.add_argument("--display_winsize", type=int_at_least(16), default=256, metavar="PX",
                           help="width of images in visdom and on pages")
        parser.also(which_epoch="epoch", batchSize="batch_size", nThreads="num_threads")
        parser.deciding |= {"data_id", "seed", "model", "dataset_mode", "serial_batches", "max_dataset_size"}

    def parse(self, argv: list[str] | None = None) -> Namespace:
        """Parse a command line (default: that of the process).

        Returns:
            the options of program, model and dataset; `data.loading.resolved` adds what the data decide. They do not
            change after this. `gpu_ids` is a list of numbers, empty for the CPU; of several processes each has its own.

        Raises:
            UserError: an option is unknown, missing or out of range.
        """
        parser = OneLineParser(description=self.description, add_help=False,
                               formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        self.add_options(parser)
        own = parser.parse_known_args(argv)[0]
        earlier = {name: as_written(value) for name, value in self.earlier_options(own).items() if value is not None}
        parser.set_defaults(**{name: earlier[name] for name in vars(own) if name in earlier})
        own = parser.parse_known_args(argv)[0]
        model = find_model(own.model)
        own.dataset_mode = own.dataset_mode or model.dataset_mode or own.model
        parser.set_defaults(dataset_mode=own.dataset_mode)
        dataset = find_dataset(own.dataset_mode)
        model.add_options(parser, self.is_train)
        dataset.add_options(parser, self.is_train)
        presets = {name: {**values, **dataset.presets.get(name, {})} for name, values in model.presets.items()}
        self.add_presets(parser, presets, argv)
        known = vars(parser.parse_known_args(argv)[0])
        parser.set_defaults(**{name: earlier[name] for name in known if name in earlier})
        parser.add_argument("-h", "--help", action="help", help="show this message and exit")
        self.check_known(parser.parse_known_args(argv)[1], own.model)
        opt = parser.parse_args(argv)
        if not opt.dataroot:
            raise UserError("--dataroot: missing; give the folder of the data, such as datasets/sample")
        opt.is_train = self.is_train
        opt.gpu_ids = own_gpus(existing_gpus(opt.gpu_ids))
        if opt.amp == "bf16" and not bf16_pays(opt.gpu_ids):
            print("--amp: this processor has no instructions for bfloat16 and would be slower in it; off")
            opt.amp = "off"
        opt.name = with_suffix(opt)
        self.deciding = parser.deciding
        self._defaults = {name: parser.get_default(name) for name in vars(opt)}
        return opt

    def check_known(self, unknown: list[str], model: str) -> None:
        """Raise a `UserError` where another model has an option that this one lacks; it names that model."""
        for option in (word for word in unknown if word.startswith("--")):
            others = [name for name in known_models().split(", ") if name != model and self.has_option(name, option)]
            if others:
                raise UserError(f"{option}: no such option of --model {model}; expected --model {' or '.join(others)} "
                                "with it. Name the model")

    def has_option(self, model: str, option: str) -> bool:
        """Whether a model, or the dataset that it is trained on, has an option."""
        parser, kind = OneLineParser(add_help=False), find_model(model)
        kind.add_options(parser, self.is_train)
        if kind.dataset_mode:
            find_dataset(kind.dataset_mode).add_options(parser, self.is_train)
        return parser.knows(option)

    def add_presets(self, parser: OneLineParser, presets: dict[str, dict], argv: list[str] | None) -> None:
        """Let values of a preset take the place of defaults, for programs that have presets."""

    def earlier_options(self, own: Namespace) -> dict:
        """Options of an earlier program on the same run, whose values take the place of defaults."""
        return {}

    def as_text(self, opt: Namespace) -> str:
        """One line per option, with the default where it differs."""
        lines = ["----------------- Options ---------------"]
        for name, value in sorted(vars(opt).items()):
            shown = ",".join(map(str, value)) or "-1" if name == "gpu_ids" else str(value)
            default = self._defaults.get(name)
            note = f"  [default: {default}]" if default is not None and shown != str(default) else ""
            lines.append(f"{name:>25}: {shown}{note}".rstrip())
        return "\n".join([*lines, "----------------- End -------------------"])


def as_written(value: object) -> object:
    """A value that was saved, or that a table holds, as on the command line, so that it is checked; flags stay."""
    return value if isinstance(value, bool) else str(value)


def default_gpus() -> str:
    """The first GPU, or one for each process that torchrun started on this machine; the CPU if there are none.

    Apple's GPU cannot be shared by processes.
    """
    processes = distributed.count_on_this_machine()
    return ",".join(map(str, range(processes))) if torch.cuda.is_available() or gpu_count() >= processes else "-1"


def existing_gpus(ids: str) -> list[int]:
    """Turn "0,1" into [0, 1] and "-1" into [].

    Raises:
        UserError: not of that form, or there is no such GPU.
    """
    try:
        wanted = [int(word) for word in ids.split(",")]
    except ValueError:
        raise UserError(f"--gpu_ids: found '{ids}'; expected numbers such as 0 or 0,1, or -1 for the CPU") from None
    if wanted == [-1]:
        return []
    available = gpu_count()
    if not all(0 <= i < available for i in wanted) or len(set(wanted)) < len(wanted):
        there = f"GPUs 0 to {available - 1}" if available else "no GPU that torch can use"
        raise UserError(f"--gpu_ids: found '{ids}'; this machine has {there}. Give -1 for the CPU")
    return wanted


def own_gpus(ids: list[int]) -> list[int]:
    """Those of the GPUs that this process uses: all, or under torchrun one.

    Raises:
        UserError: torchrun started more or fewer processes on this machine than there are GPUs in `ids`.
    """
    processes = distributed.count_on_this_machine()
    if processes == 1 or not ids:
        return ids
    if len(ids) != processes:
        raise UserError(f"--gpu_ids: found {len(ids)} for {processes} processes on this machine; expected a GPU for "
                        f"each. Start torchrun with --nproc_per_node {len(ids)}")
    return [ids[distributed.rank_on_this_machine()]]


def with_suffix(opt: Namespace) -> str:
    """The run's name, with `--suffix` filled in.

    Raises:
        UserError: the suffix names something that is no option.
    """
    if not opt.suffix:
        return opt.name
    try:
        return folder_name(f"{opt.name}_{opt.suffix.format(**vars(opt))}")
    except (KeyError, IndexError, ValueError, AttributeError, TypeError, argparse.ArgumentTypeError) as error:
        raise UserError(f"--suffix: found '{opt.suffix}' ({error}); expected options in braces: "
                        "{model}_{batch_size}") from None
