"""Measure how good the layers of a clip are.

    python evaluate.py --name my_run
    python evaluate.py --layers results/cut_out --dataroot datasets/sample

The first measures what test.py exported of a run, the second any folder of layers. Writes metrics.json, frames.csv and
index.html into evaluation/ beside the layers. Clips whose true layers are known (gt/) are compared with them.
docs/evaluation.md says what each figure means.
"""

from argparse import Namespace
from pathlib import Path

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from evaluation.clip import Clip
from evaluation.images import load_lpips
from evaluation.layer_tables import plots, tables
from evaluation.measures import evaluate
from evaluation.page import console_text, drawings, write_figures, write_page
from evaluation.worst_frames import worst_frames
from options.result_options import add_result_options, resolve_result_options
from util.command_line import OneLineParser
from util.errors import reported_in_one_line
from util.files import folder_filled_atomically
from util.version import VERSION

TRAINING = ("model", "preset", "n_epochs_background", "n_epochs_coarse", "n_epochs", "n_epochs_decay",
            "n_epochs_upsample", "batch_size", "num_filters", "lr", "lambda_mask", "mask_loss_rolloff_epoch",
            "use_mask_images", "use_homographies")
"""Options of the training that are shown, where the run has them."""


def main() -> None:
    """Measure, write, and print the figures of the whole clip."""
    opt, training = parse()
    layers, dataroot = LayerFolder.open(opt.layers), Dataroot.open(opt.dataroot)
    clip = Clip(layers, dataroot, LayerFolder.open(opt.truth) if opt.truth else None)
    lpips, reason = (None, "--no_lpips leaves it out") if opt.no_lpips else load_lpips()
    result = {**facts(opt, training, clip, {} if lpips else {"LPIPS": reason}), **evaluate(clip, lpips)}
    with folder_filled_atomically(opt.out) as temporary:
        write_figures(temporary, result)
        write_page(temporary, f"How good the layers are: {opt.layers}", sentences(result), tables(result),
                   drawings(plots(result), result["frames"]), worst_frames(clip, result))
    print("\n".join([*sentences(result), "", console_text(tables(result))]))
    print(f"evaluation: {opt.out / 'index.html'}")


def parse() -> tuple[Namespace, dict]:
    """The command line with every folder filled in, and the options that the run was trained with.

    Raises:
        UserError: neither or both of --name and --layers, or the clip is not known.
    """
    parser = OneLineParser(description="Measure how good the layers of a clip are.")
    add_result_options(parser)
    group = parser.add_argument_group("evaluation")
    group.add_argument("--truth", metavar="DIR",
                       help="true layers; none: do not compare (default: gt in the dataroot, where there is one)")
    group.add_argument("--no_lpips", action="store_true", help="leave LPIPS out: nothing is downloaded, it is faster")
    group.add_argument("--out", type=Path, metavar="DIR",
                       help="folder to write (default: evaluation in the folder of the layers)")
    opt = parser.parse_args()
    training = resolve_result_options(opt)
    known = opt.dataroot / "gt"
    opt.truth = None if opt.truth == "none" else opt.truth or (known if known.is_dir() else None)
    opt.out = opt.out or opt.layers / "evaluation"
    return opt, training


def facts(opt: Namespace, training: dict, clip: Clip, left_out: dict[str, str]) -> dict:
    """What was measured, and with what."""
    run = {"name": opt.name, "epoch": opt.epoch, "seed": training.get("seed"),
           "training": {name: training[name] for name in TRAINING if name in training}}
    return {"version": VERSION, "layers": str(opt.layers), "dataroot": str(opt.dataroot),
            "truth": str(opt.truth) if opt.truth else None,
            "run": run if opt.name else None, "size": clip.made.size,
            "truth_size": clip.true.size if clip.true else None, "people": clip.numbers, "left_out": left_out}


def sentences(result: dict) -> list[str]:
    """These facts for people."""
    def by(size):
        return f"{size[0]}x{size[1]}"
    run = result["run"]
    lines = [f"Layers: {result['layers']}, measured by version {result['version']}.",
             f"Clip: {result['dataroot']}, {len(result['frames'])} frames of {by(result['size'])}, layers of people: "
             f"{', '.join(map(str, result['people']))}.",
             f"Run: {run['name']}, epoch {run['epoch']}, seed {run['seed']}; "
             + ", ".join(f"{name} {value}" for name, value in run["training"].items()) + "." if run else "",
             f"True layers: {result['truth']}, compared at {by(result['truth_size'])}." if result["truth"] else
             "True layers: not known, so nothing says whether the right things are in the layers.",
             *(f"Left out: {name}, because {reason}." for name, reason in result["left_out"].items())]
    return [line for line in lines if line]


if __name__ == "__main__":
    with reported_in_one_line():
        main()
