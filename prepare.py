"""Make a dataroot from a video, and check it.

    python prepare.py my_video.mp4 --dataroot datasets/my_video
    python prepare.py --dataroot datasets/my_video --steps poses camera     # some steps again
    python prepare.py --dataroot datasets/my_video --check                  # only look at what is there
    python prepare.py --dataroot datasets/my_video --serve                  # correct people and masks in the browser
    python prepare.py --dataroot datasets/marc/training                     # an actor: check it, and make its page

Frames, masks, poses, the camera's motion, mattes, layers and UV maps are made by a step each. A step does nothing where
its outputs are there and its inputs unchanged, and never replaces what was made or changed by hand without --overwrite.
The command can be interrupted and given again; poses and camera then go on where they were, other steps begin anew.
At the end there is a page to look at, <dataroot>/prepare/index.html.
"""

from util import loading_torch  # noqa: F401 (before all that loads it)

# isort: split
import contextlib
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from preparation import actor_check, actor_page, camera, frames, layers, masks, mattes, poses, uv
from preparation.check import check
from preparation.correction.server import Session
from preparation.page import MEANING, WORDS, make_page
from preparation.steps import Finding, Outcome, alike_together, last_outcome, perform
from util.command_line import OneLineParser, int_at_least
from util.errors import UserError, reported_in_one_line, shown
from util.files import locked
from web.server import serve

STEPS = {step.name: step for step in (frames.STEP, masks.STEP, poses.STEP, camera.STEP, mattes.STEP, layers.STEP,
                                    uv.STEP)}

MOST_TOLD = 10
"""Lines that are printed of what was found: with those around them they fill a screen."""


def main(argv: list[str] | None = None) -> int:
    """Prepare, and say what was found and what comes next; returns the exit status (warnings fail only --check)."""
    opt = parse(argv)
    findings, page = prepare(opt)
    actor = actor_check.is_actor(opt.dataroot)
    tell(findings, actor_page.MEANING if actor else MEANING, MOST_TOLD if page else None)
    status = exit_status(findings)
    if page is None:
        return status
    print(f"\nlook at: {page}")
    if opt.serve:
        correct_in_browser(opt)
    for name, command in next_commands(opt, status).items():
        print(f"{name + ':':<8} {command}")
    return 2 if status == 2 else 0


def prepare(opt: Namespace) -> tuple[list[Finding], Path | None]:
    """Run the steps, check what is there, and make the page.

    Returns:
        what the user should know, the worst first, and the page; there is none with --check, which runs no step.
    """
    if actor_check.is_actor(opt.dataroot):
        if opt.serve:
            raise UserError(f"--serve: {opt.dataroot} is an actor's; expected a clip that prepare.py made of a video")
        if opt.source is not None:
            raise UserError(f"--dataroot: {opt.dataroot} is an actor's (it has a body or transform/), which is not "
                            "made of a video; give another folder, or no video to check this one")
        findings, compared = actor_check.check(opt.dataroot)
        if opt.check:
            return findings, None
        commands = next_commands(opt, exit_status(findings))
        return findings, actor_page.make_page(opt.dataroot, findings, compared, commands)
    if opt.check:
        return checked(opt, {}), None
    with own_dataroot(opt.dataroot):
        outcomes = run_steps(opt)
        findings = checked(opt, outcomes)
        return findings, make_page(opt.dataroot, outcomes, findings, next_commands(opt, exit_status(findings)))


@contextlib.contextmanager
def own_dataroot(root: Path) -> Iterator[None]:
    """Let no other process make this dataroot meanwhile; where nothing was made, nothing new stays.

    Raises:
        UserError: another one does.
    """
    lock = root / "prepare" / ".lock"
    missing = [folder for folder in (lock.parent, root) if not folder.exists()]
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = locked(lock)
    except BlockingIOError as error:
        raise UserError(f"{root}: process {error} is preparing this dataroot; wait for it, or give another "
                        "--dataroot") from None
    try:
        with held:
            yield
    finally:
        if missing and list(lock.parent.iterdir()) == [lock]:
            lock.unlink()
        for folder in missing:
            with contextlib.suppress(OSError):  # there is something in it
                folder.rmdir()


def checked(opt: Namespace, outcomes: dict[str, Outcome]) -> list[Finding]:
    """What the steps said and what the check finds, the worst first."""
    findings = [finding for outcome in outcomes.values() for finding in outcome.findings]
    if not unfinished(opt):
        findings += check(opt.dataroot)
    return sorted(alike_together(findings), key=lambda finding: -finding.severity)


def correct_in_browser(opt: Namespace) -> None:
    """Serve the page on which people and masks are corrected, until Ctrl-C."""
    with own_dataroot(opt.dataroot):
        session = Session(opt.dataroot)
        serve(session.site, opt.port,
              lambda address: print(f"correct: {address}  (saved at once; Ctrl-C ends it)", flush=True))
        session.clip.close()


def next_commands(opt: Namespace, status: int) -> dict[str, str]:
    """What can be done with the dataroot, `correct` and `then` to their commands; `status` is that of its check."""
    prepare_again = ["python", "prepare.py", "--dataroot", str(opt.dataroot)]
    actor, commands = actor_check.is_actor(opt.dataroot), {}
    if not actor and not opt.serve and (opt.dataroot / "keypoints.json").exists():
        commands["correct"] = shlex.join([*prepare_again, "--serve"])
    if status < 2 and actor:
        commands["then"] = actor_train_command(opt.dataroot)
    elif status < 2:
        again = unfinished(opt) or opt.serve
        commands["then"] = shlex.join(prepare_again) if again else train_command(opt.dataroot)
    return commands


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
    parser.add_argument("--serve", action="store_true",
                        help="then correct in the browser who is who, who belongs to the clip, and the masks")
    parser.add_argument("--port", type=int_at_least(0), default=0, metavar="N",
                        help="port of --serve on this machine (default: a free one)")
    for step in STEPS.values():
        step.add_options(parser.add_argument_group(f"step {step.name}"))
    return parser.parse_args(argv)


def run_steps(opt: Namespace) -> dict[str, Outcome]:
    """Run the chosen steps in their order; what they say, and what the others said last time."""
    outcomes = {}
    for name, step in STEPS.items():
        if name in opt.steps:
            outcomes[name], state = perform(step, opt.dataroot, opt, opt.overwrite)
            summary = shown(outcomes[name].summary)
            print(f"{name + ':':<9}{summary}{'' if state == 'made' else f' ({state})'}", flush=True)
        else:
            outcomes[name] = last_outcome(step, opt.dataroot) or Outcome("not run")
    return outcomes


def tell(findings: list[Finding], meaning: Sequence[str] = MEANING, most: int | None = None) -> None:
    """Print findings, the worst first, and what the worst means.

    Args:
        findings: the worst first.
        meaning: of each severity.
        most: lines to print, where the rest is on the page; None: all.
    """
    most = most if most is not None and len(findings) > most else len(findings)
    for finding in findings[:most]:
        print(f"{WORDS[finding.severity]}: {shown(finding.text)}")
    if findings[most:]:
        print(f"{WORDS[findings[most].severity]}: {len(findings) - most} more are on the page")
    worst = max((finding.severity for finding in findings), default=0)
    print(f"check: {meaning[worst]}" if worst else "check: all in order")


def exit_status(findings: list[Finding]) -> int:
    """0: all in order, 1: warnings, 2: training cannot run."""
    return (0, 1, 1, 2)[max((finding.severity for finding in findings), default=0)]


def train_command(root: Path) -> str:
    """The command that trains on a dataroot, as it can be pasted into a shell."""
    camera_moves = ["--use_homographies"] if (root / "homographies.txt").exists() else []
    masks_given = ["--use_mask_images"] if (root / "mask").is_dir() else []
    return shlex.join(["python", "train.py", "--name", root.resolve().name, "--dataroot", str(root),
                       "--preset", "draft", "--export", *camera_moves, *masks_given])


def actor_train_command(root: Path) -> str:
    """The command that trains on an actor's dataroot, at 512 pixels in height or less to begin with."""
    command = ["python", "train.py", "--model", "neural_actor", "--name", root.resolve().name, "--dataroot", str(root)]
    picture = next((path for path in (root / "rgb").glob("*/*") if path.suffix.lower() in (".png", ".jpg")), None)
    if picture is None:
        return shlex.join(["python", "test.py", "--name", "NAME", "--dataroot", str(root)])
    return shlex.join([*command, "--view_resolution", actor_check.first_resolution(picture)])


if __name__ == "__main__":
    with reported_in_one_line():
        sys.exit(main())
