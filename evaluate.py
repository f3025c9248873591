"""Measure how good an export is: the layers of a clip, or pictures of any system against what they should look like.

    python evaluate.py --name my_run
    python evaluate.py --layers results/cut_out --dataroot datasets/sample
    python evaluate.py --images results/street/test_latest --targets datasets/street/test_B

The first measures the layers that test.py exported of a run, the second any folder of layers. Clips whose true layers
are known (gt/) are compared with them. The third compares two folders of pictures of the same names. Writes
metrics.json, frames.csv and index.html into evaluation/ beside the layers or pictures. docs/evaluation.md says what
each figure means.
"""

from util import loading_torch  # noqa: F401 (before all that loads it)

# isort: split
from argparse import Namespace
from pathlib import Path

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from data.pose_files import skeletons_in
from evaluation import layer_report, pair_report
from evaluation.clip import Clip
from evaluation.images import Lpips, load_lpips
from evaluation.measures import evaluate as evaluate_layers
from evaluation.page import Section, console_text, drawings, write_figures, write_page
from evaluation.pairs import Pictures, distances_of, evaluate_pairs, masks_of, matched
from evaluation.poses import Poses
from evaluation.worst_frames import worst_frames
from options.result_options import (
    add_picture_options,
    add_result_options,
    pictures_are_meant,
    resolve_picture_options,
    resolve_result_options,
)
from preparation.estimators import near_a_skeleton
from util.command_line import OneLineParser
from util.errors import UserError, reported_in_one_line
from util.files import results_added
from util.pretrained import Unavailable
from util.version import VERSION


def main(argv: list[str] | None = None) -> None:
    """Measure, write, and print the figures over all frames."""
    opt = parse(argv)
    print(evaluate(opt))
    print(f"evaluation: {opt.out / 'index.html'}")


def evaluate(opt: Namespace) -> str:
    """Measure, and write metrics.json, frames.csv and the page into `opt.out`; returns the figures, for people."""
    measure, report = (of_pictures, pair_report) if opt.images else (of_layers, layer_report)
    run = {"name": opt.name, "epoch": opt.epoch, "seed": opt.training.get("seed"),
           "training": {name: opt.training[name] for name in report.TRAINING if name in opt.training}}
    figures, title, sections = measure(opt)
    result = {"version": VERSION, "run": run if opt.name else None, **figures}
    sentences, tables = report.sentences(result), report.tables(result)
    with results_added(opt.out, "evaluate", own=opt.out == default_place(opt)) as temporary:
        write_figures(temporary, result)
        write_page(temporary, title, sentences, tables, drawings(report.plots(result), result["frames"]), sections)
    return "\n".join([*sentences, "", console_text(tables)])


def parse(argv: list[str] | None = None) -> Namespace:
    """The command line with every folder filled in; `training` are the options that the run was trained with.

    Raises:
        UserError: it is not said, or said twice, what is measured, or the clip is not known.
    """
    parser = OneLineParser(description="Measure how good the layers of a clip are, or pictures of any system.")
    add_result_options(parser)
    add_picture_options(parser)
    group = parser.add_argument_group("evaluation")
    group.add_argument("--truth", metavar="DIR",
                       help="true layers; none: do not compare (default: gt in the dataroot, where there is one)")
    group.add_argument("--no_lpips", action="store_true", help="leave LPIPS out: nothing is downloaded, it is faster")
    group.add_argument("--fid", action="store_true",
                       help="pictures: measure also how alike they are to the targets as a whole, and as videos, by "
                            "networks that are downloaded once (238 MB)")
    group.add_argument("--poses", type=Path, metavar="DIR",
                       help="measure also whether somebody stands as he should: a folder of OpenPose's files, named as "
                            "the frames are, or a clip with keypoints.json. An estimator finds his joints again")
    group.add_argument("--out", type=Path, metavar="DIR",
                       help="folder to write (default: evaluation in the folder of the layers or pictures)")
    opt = parser.parse_args(argv)
    if pictures_are_meant(opt):
        if opt.truth is not None:
            raise UserError("--truth: found with pictures; it belongs to layers. Give --targets DIR instead")
        if opt.poses is not None and opt.crop is not None:
            raise UserError("--poses: found with --crop; poses are in pixels of whole pictures. Leave one of them out")
        opt.training = resolve_picture_options(opt)
        opt.out = opt.out or default_place(opt)
        check_place(opt)
        return opt
    if opt.fid:
        raise UserError("--fid: found with layers; it compares pictures with --targets. Leave it out")
    opt.training = resolve_result_options(opt)
    known = opt.dataroot / "gt"
    opt.truth = None if opt.truth == "none" else opt.truth or (known if known.is_dir() else None)
    opt.out = opt.out or default_place(opt)
    check_place(opt)
    return opt


def default_place(opt: Namespace) -> Path:
    """The folder that the evaluation is written to where none is given: beside what is measured."""
    return (opt.images or opt.layers) / "evaluation"


def check_place(opt: Namespace) -> None:
    """See that the evaluation does not come between what it measures.

    Raises:
        UserError: it would.
    """
    measured = opt.images or opt.layers
    if opt.out.resolve() in (measured.resolve(), (measured / "images").resolve()):
        raise UserError(f"--out {opt.out}: the folder of what is measured; expected another one, such as "
                        f"{default_place(opt)}")


def of_layers(opt: Namespace) -> tuple[dict, str, list[Section]]:
    """Measure the layers of a clip; returns what was measured with its figures, and the page's title and pictures."""
    layers, dataroot = LayerFolder.open(opt.layers), Dataroot.open(opt.dataroot)
    clip = Clip(layers, dataroot, LayerFolder.open(opt.truth) if opt.truth else None)
    lpips, poses, left_out = loaded(opt)
    result = {"layers": str(opt.layers), "dataroot": str(opt.dataroot), "truth": str(opt.truth) if opt.truth else None,
              "size": clip.made.size, "truth_size": clip.true.size if clip.has_truth else None, "people": clip.numbers,
              "left_out": left_out, **evaluate_layers(clip, lpips, poses)}
    return result, f"How good the layers are: {opt.layers}", worst_frames(clip, result)


def of_pictures(opt: Namespace) -> tuple[dict, str, list[Section]]:
    """Measure pictures against their targets; returns what `of_layers` does."""
    images, targets = Pictures(opt.images, opt.image_names), Pictures(opt.targets, opt.target_names)
    pairs, unmatched = matched(images, targets, opt.only_common)
    lpips, poses, left_out = loaded(opt)
    result = {"images": str(images), "targets": str(targets), "unmatched": unmatched, "left_out": left_out,
              **({"crop": list(opt.crop)} if opt.crop else {}),
              **({"masks": str(opt.masks)} if opt.masks else {}),
              **evaluate_pairs(pairs, lpips, opt.crop, masks_of(pairs, opt.masks) if opt.masks else None, poses)}
    if opt.fid:
        try:
            result["total"]["images"] |= distances_of(pairs, opt.crop)
        except Unavailable as error:
            left_out["FID"] = error.reason
    measured = {frame["frame"] for frame in result["frames"]}
    return result, f"How good the pictures are: {images}", pair_report.worst_pictures(
        [pair for pair in pairs if pair.name in measured], result)


def loaded(opt: Namespace) -> tuple[Lpips | None, Poses | None, dict[str, str]]:
    """LPIPS and the poses, where their networks can be had, else why they are left out."""
    left_out, poses = {}, None
    lpips, reason = (None, "--no_lpips leaves it out") if opt.no_lpips else load_lpips()
    if lpips is None:
        left_out["LPIPS"] = reason
    if opt.poses is not None:
        meant = skeletons_in(opt.poses)
        try:
            poses = Poses(meant, near_a_skeleton())
        except Unavailable as error:
            left_out["pose error"] = error.reason
    return lpips, poses, left_out


if __name__ == "__main__":
    with reported_in_one_line():
        main()
