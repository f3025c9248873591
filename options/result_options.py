"""Options of the programs that read exported layers, evaluate.py and retime.py."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from options.saved import SAVED_OPTIONS, saved_options
from util.command_line import folder_name
from util.errors import UserError


def add_result_options(parser: ArgumentParser) -> None:
    """Add the options that say which layers, of which clip."""
    group = parser.add_argument_group("layers")
    group.add_argument("--name", type=folder_name, metavar="NAME",
                       help="a run: its layers in RESULTS_DIR/NAME/PHASE_EPOCH, as test.py exported them")
    group.add_argument("--results_dir", type=Path, default=Path("results"), metavar="DIR",
                       help="folder of all results (default: ./results)")
    group.add_argument("--checkpoints_dir", type=Path, default=Path("checkpoints"), metavar="DIR",
                       help="folder of all runs (default: ./checkpoints)")
    group.add_argument("--phase", type=folder_name, default="test", metavar="NAME", help="see --name (default: test)")
    group.add_argument("--epoch", type=folder_name, default="latest", metavar="EPOCH",
                       help="see --name (default: latest)")
    group.add_argument("--layers", type=Path, metavar="DIR",
                       help="instead of --name: any folder of layers, exported ones or a gt folder")
    group.add_argument("--dataroot", type=Path, metavar="DIR", help="the clip (default: what NAME was trained on)")


def resolve_result_options(opt: Namespace) -> dict:
    """Fill in `layers` and `dataroot`, whichever way they were given.

    Returns:
        the options that the run was trained with; none with --layers.

    Raises:
        UserError: neither or both of --name and --layers, or the clip is not known.
    """
    if (opt.name is None) == (opt.layers is None):
        raise UserError("--name: give the name of a run, or a folder of layers with --layers DIR (one of the two)")
    training = saved_options(opt.checkpoints_dir / opt.name) if opt.name else {}
    opt.layers = opt.layers or opt.results_dir / opt.name / f"{opt.phase}_{opt.epoch}"
    if opt.dataroot is None and "dataroot" not in training:
        saved = f" ({opt.checkpoints_dir / opt.name / SAVED_OPTIONS} does not say it)" if opt.name else ""
        raise UserError(f"--dataroot: missing{saved}; give the folder of the clip that the layers were made from")
    opt.dataroot = opt.dataroot or Path(training["dataroot"])
    return training
