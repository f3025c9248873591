"""Make a run of a released checkpoint of Neural Actor's renderer.

    python scripts/import_neural_actor.py --checkpoint nerf_marc.pt --name marc
    python test.py --name marc --dataroot datasets/marc/testing

Weights go to checkpoints/NAME/latest_net_actor.pth, and the options that they were trained with, which ride in the
file, beside them. Files of the body are those of --dataroot: the paths in the checkpoint are of another machine.
"""

import json
import shlex
import sys
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from models.checkpoints import weights_path, write_checkpoint  # noqa: E402
from models.neural_actor_model import NeuralActorModel  # noqa: E402
from models.neural_actor_networks import read_published  # noqa: E402
from options.saved import SAVED_OPTIONS  # noqa: E402
from util.command_line import OneLineParser, folder_name  # noqa: E402
from util.errors import UserError, reported_in_one_line  # noqa: E402
from util.files import write_text  # noqa: E402

PATHS = {"mesh", "weights", "texuv", "new_tpose"}


def main(argv: list[str] | None = None) -> None:
    """Read a checkpoint, and write the run."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="nerf_NAME.pt")
    parser.add_argument("--name", type=folder_name, required=True, metavar="NAME", help="name of the run")
    parser.add_argument("--checkpoints_dir", default="./checkpoints", metavar="DIR", help="folder of all runs")
    opt = parser.parse_args(argv)
    folder = Path(opt.checkpoints_dir) / opt.name
    if folder.exists():
        raise UserError(f"--name: {folder} is already there; choose another name, or remove it")
    weights, arguments = read_published(Path(opt.checkpoint))
    folder.mkdir(parents=True)
    write_checkpoint(weights, weights_path(folder, "latest", "actor"))
    write_text(folder / SAVED_OPTIONS, json.dumps(options_of(arguments), indent=1))
    print(f"{folder}: a run of --model neural_actor; python test.py --name {shlex.quote(opt.name)} --dataroot DIR")


def options_of(arguments: Namespace) -> dict:
    """Those options of this program that a checkpoint was trained with."""
    parser = OneLineParser()
    NeuralActorModel.add_options(parser, is_train=True)
    architecture = NeuralActorModel.presets.get(getattr(arguments, "arch", ""), {})
    known = {action.dest for action in parser._actions} - PATHS
    given = {name: value for name, value in vars(arguments).items() if name in known and value is not None}
    without = {"additional_deform": "none"} if getattr(arguments, "additional_deform", "") is None else {}
    return {"model": "neural_actor", "no_pretrained": True, **architecture, **given, **without}


if __name__ == "__main__":
    with reported_in_one_line():
        main()
