"""Make a dataroot from a video, and check it.

    python prepare.py my_video.mp4 --dataroot datasets/my_video
    python prepare.py --dataroot datasets/my_video --steps poses camera     # some steps again
    python prepare.py --dataroot datasets/my_video --check                  # only look at what is there

Frames, masks, poses, the camera's motion, layers and UV maps are made by a step each. A step does nothing where its
outputs are there and its inputs unchanged, and never replaces what was made or changed by hand without --overwrite.
The command can be interrupted and given again; poses and camera then go on where they were, other steps begin anew.
At the end there is a page to look at, <dataroot>/prepare/index.html.
"""

from util import openmp  # noqa: F401 (before torch, which reads it as it is loaded)

# isort: split
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from models.lnr_cost import training_cost
from models.lnr_model import LnrModel
from options.train_options import TrainOptions
from preparation import camera, frames, layers, masks, poses, uv
from preparation.check import check
from preparation.page import MEANING, WORDS, make_page
from preparation.steps import Finding, Outcome, last_outcome, perform
from util.command_line import OneLineParser
from util.errors import printable, reported_in_one_line

STEPS = {step.name: step for step in (frames.STEP, masks.STEP, poses.STEP, camera.STEP, layers.STEP, uv.STEP)}


def main(argv: list[str] | None = None) -> int:
    """Prepare, and say what was found and what comes next; returns the exit status (warnings fail only --check)."""
    opt = parse(argv)
    findings, page = prepare(opt)
    tell(findings)
    status = exit_status(findings)
    if page is None:
        return status
    print(f"\nlook at: {page}")
    if status < 2:
        others = shlex.join(["python", "prepare.py", "--dataroot", str(opt.dataroot)])
        print(f"then:    {others if unfinished(opt) else train_command(opt.dataroot)}")
    return 2 if status == 2 else 0


def prepare(opt: Namespace) -> tuple[list[Finding], Path | None]:
    """Run the steps, check what is there, and make the page.

    Returns:
        what the user should know, the worst first, and the page; there is none with --check, which runs no step.
    """
    outcomes = {} if opt.check else run_steps(opt)
    findings = [finding for outcome in outcomes.values() for finding in outcome.findings]
    if not unfinished(opt):
        findings += check(opt.dataroot, training_cost_in_words)
    findings.sort(key=lambda finding: -finding.severity)
    return findings, None if opt.check else make_page(opt.dataroot, outcomes, findings)


def unfinished(opt: Namespace) -> bool:
    """Whether only some steps were asked for, and the last one's outputs are not there yet."""
    return len(set(opt.steps)) < len(STEPS) and not opt.check and not (opt.dataroot / "iuv").is_dir()


def parse(argv: list[str] | None = None) -> Namespace:
    """The command line; each step adds its own options."""
    parser = OneLineParser(description="Make a dataroot from a video, and check it. Options that are not given are as "
                                       "in the run before.")
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR",
                        help="folder to make, see docs/layered_video/data.md")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), metavar="STEP",
                        help=f"run only these of {', '.join(STEPS)}")
    parser.add_argument("--overwrite", action="store_true",
                        help="let the steps replace files that were made or changed by hand, too")
    parser.add_argument("--check", action="store_true",
                        help="run no step; report all problems of any dataroot, and exit with 0, 1 (warnings) or 2")
    for step in STEPS.values():
        step.add_options(parser.add_argument_group(f"step {step.name}"))
    return parser.parse_args(argv)


def run_steps(opt: Namespace) -> dict[str, Outcome]:
    """Run the chosen steps in their order; what they say, and what the others said last time."""
    outcomes = {}
    for name, step in STEPS.items():
        if name in opt.steps:
            outcomes[name], state = perform(step, opt.dataroot, opt, opt.overwrite)
            summary = printable(outcomes[name].summary)
            print(f"{name + ':':<9}{summary}{'' if state == 'made' else f' ({state})'}", flush=True)
        else:
            outcomes[name] = last_outcome(step, opt.dataroot) or Outcome("not run")
    return outcomes


def tell(findings: list[Finding]) -> None:
    """Print findings, the worst first."""
    for finding in findings:
        print(f"{WORDS[finding.severity]}: {printable(finding.text)}")
    worst = max((finding.severity for finding in findings), default=0)
    print(f"check: {MEANING[worst]}" if worst else "check: all in order")


def exit_status(findings: list[Finding]) -> int:
    """0: all in order, 1: warnings, 2: training cannot run."""
    return (0, 1, 1, 2)[max((finding.severity for finding in findings), default=0)]


def training_cost_in_words(size: tuple[int, int], n_layers: int, n_frames: int) -> str:
    """Memory and time of training with the defaults of train.py.

    Args:
        size: (width, height) of the low resolution.
        n_layers: with the background.
        n_frames: of the clip.
    """
    opt = training_defaults()
    batches, epochs = (opt.batch_size, opt.batch_size_upsample), (opt.n_epochs, opt.n_epochs_upsample)
    costs = training_cost(size, n_layers, n_frames, batches, opt.num_filters)
    tflop = sum(cost.tflop * count for cost, count in zip(costs, epochs))
    days = sum(cost.cpu_seconds * count for cost, count in zip(costs, epochs)) / 86400
    return (f"estimate: {n_frames} frames of {size[0]}x{size[1]}, {n_layers} layers with the background: at least "
            f"{costs[0].gib:.1f} GiB at --batch_size {min(batches[0], n_frames)}, {costs[1].gib:.1f} GiB at "
            f"--batch_size_upsample {min(batches[1], n_frames)}; {tflop / 1000:.1f} PFLOP in all at the default "
            f"epochs: {tflop / 10 / 3600:.1f} h on a GPU that does 10 TFLOP/s, {days:.1f} days on two CPU cores "
            f"(counted on the network with {opt.num_filters} filters; {opt.num_filters // 2} need a quarter of the "
            "time)")


def training_defaults() -> Namespace:
    """The options of train.py that training costs depend on, as they are when none is given."""
    parser = OneLineParser()
    TrainOptions().add_options(parser)
    LnrModel.add_options(parser, is_train=True)
    return parser.parse_args([])


def train_command(root: Path) -> str:
    """The command that trains on a dataroot, as it can be pasted into a shell."""
    camera_moves = ["--use_homographies"] if (root / "homographies.txt").exists() else []
    masks_given = ["--use_mask_images"] if (root / "mask").is_dir() else []
    return shlex.join(["python", "train.py", "--name", root.resolve().name, "--dataroot", str(root), *camera_moves,
                       *masks_given])


if __name__ == "__main__":
    with reported_in_one_line():
        sys.exit(main())
