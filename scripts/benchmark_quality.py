"""Measure how good the layers are, on clips that the program makes itself and whose layers are known.

    python scripts/benchmark_quality.py [--size NAME] [options of train.py]

For every kind of clip and every seed: make the clip; cut the people out by their masks as a baseline; train in several
ways, and export; measure all of them. The clip and what comes of each way are folders WORK/SIZE/KIND_SEED/WAY, which
are whole or not there, so a second start does what is missing. Every program runs on one thread. At the end the page is
written (scripts/quality_page.py).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.quality_page import LAYERS, OURS, Outcome, write_page
from util.command_line import OneLineParser, duration, whole
from util.errors import UserError, reported_in_one_line
from util.files import write_text
from util.interruption import StopRequest

ROOT = Path(__file__).resolve().parents[1]
KINDS = {  # options of datasets/make_sample.py
    "alone": "--people 1 --build wide --shadow hard",
    "pair": "--people 2",
    "crowd": "--people 4",
    "touch": "--people 2 --touch",
    "visible": "--people 2 --masks visible",
    "shaded": "--people 2 --shadow_on_people",
    "mirror": "--people 2 --mirror_floor --shadow none",
    "moving": "--people 2 --camera moving",
    "noise": "--people 2 --noise 5",
    "sway": "--people 2 --sway 1",
    "shake": "--people 2 --shake 0.25 --flicker 1",
}


WAYS = {  # options of train.py, by what they make of the time that there is, in seconds; None: no training
    "cut_out": None,
    "published": "--preset published --budget {0:g}s --num_filters 16 --batch_size 4 --n_epochs_upsample 0 --lr 0.003 "
                 "--trimap_width 10 --lambda_alpha_l0 0.001",
    "draft": "--preset draft",
    "fast_quarter": "--preset fast --budget {1:g}s",
    "fast_half": "--preset fast --budget {2:g}s",
    "fast": "--preset fast --budget {0:g}s",
}
SIZES = {  # options of datasets/make_sample.py, and the seconds that there are for a training
    "quick": ("--frames 24 --width 192 --height 112", 60),
    "tiny": ("--frames 4 --width 96 --height 64", 2),  # proves nothing but that everything runs
}

TAKEN = ("--name", "--dataroot", "--checkpoints_dir", "--seed", "--suffix", "--use_homographies", "--continue_train",
         "--preset")
"""Options of train.py that are not for the user to give."""


def main() -> None:
    """Do what is not done yet, then write the page."""
    opt, train_options = parse()
    options, budget = SIZES[opt.size]
    budget = opt.budget or budget
    work = (opt.work / opt.size).resolve()
    clips = [Clip(kind, seed, work, options, budget, opt.ways, train_options)
             for seed in range(1, opt.seeds + 1) for kind in opt.kinds]
    waiting = [clip for clip in clips if not all([part.is_done() for part in clip.parts()])]  # all are looked at
    print(f"{len(clips)} clips, {len(clips) - len(waiting)} of them done; {opt.jobs} at a time, in {work}")
    work_through(waiting, opt.jobs)
    outcomes = [Outcome(clip.kind, clip.seed, clip.folder, opt.ways) for clip in clips]
    given = f"--size {opt.size} --seeds {opt.seeds}" + (f" --budget {budget:g}s" if opt.budget else "") + (
        f" --ways {' '.join(opt.ways)}" if list(opt.ways) != list(WAYS) else "")
    write_page(opt.out, given, budget, {kind: KINDS[kind] for kind in opt.kinds}, outcomes)
    print(f"page: {opt.out}")


def parse(argv: list[str] | None = None) -> tuple[Namespace, list[str]]:
    """The command line (default: that of the process), and what of it is for train.py.

    Raises:
        UserError: an option is not of its form, or not for the user to give.
    """
    sizes = "\n".join(f"  {name}: {options}; {budget} s" for name, (options, budget) in SIZES.items())
    kinds = "\n".join(f"  {kind}: {options}" for kind, options in KINDS.items())
    ways = "\n".join(f"  {way}: {training(way, 60) or 'datasets/cut_out.py'}" for way in WAYS)
    parser = OneLineParser(description="Measure how good the layers are, on clips whose layers are known.",
                           epilog=f"sizes (clip; training):\n{sizes}\nkinds:\n{kinds}\nways, in 60 s:\n{ways}\n\n"
                                  "All other options are handed to train.py.",
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--size", choices=tuple(SIZES), default="quick", help="size of the clips and training (default: quick)")
    add("--budget", type=duration, metavar="TIME", help="of a training, such as 90s or 15m (default: by size)")
    add("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS), metavar="KIND",
        help="kinds of clips (default: all)")
    add("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS), metavar="WAY",
        help=f"ways to make layers, {OURS} among them (default: all)")
    add("--seeds", type=whole(1), default=3, metavar="N", help="clips of each kind (default: 3)")
    add("--jobs", type=whole(1), default=os.cpu_count() or 1, metavar="N",
        help="clips at a time, each on one thread (default: one per CPU core)")
    add("--work", type=Path, default=Path("benchmark"), metavar="DIR",
        help="folder of clips and runs (default: ./benchmark)")
    add("--out", type=Path, default=ROOT / "docs" / "quality.md", metavar="FILE",
        help="page to write; its pictures are in a folder beside it (default: docs/quality.md)")
    opt, train_options = parser.parse_known_args(argv)
    if OURS not in opt.ways:
        raise UserError(f"--ways: {OURS} is missing; expected it, for the page compares it with the others")
    taken = [option for option in train_options if option.split("=")[0] in TAKEN]
    if taken:
        raise UserError(f"{taken[0]}: the benchmark gives every run its own; expected other options of train.py")
    return opt, train_options


def training(way: str, budget: float) -> str | None:
    """Options of train.py for a way, with the seconds that there are filled in; None: it is not trained."""
    return WAYS[way].format(budget, budget / 4, budget / 2) if WAYS[way] else None


@dataclass(frozen=True)
class Part:
    """A folder, and what makes it: the clip, or the layers of one way and their measures.

    Attributes:
        folder: where it is, once it is whole.
        options: what decides the outcome.
        commands: programs with their arguments, to be run one after the other in the folder.
    """

    folder: Path
    options: str
    commands: list[list[str]]

    def is_done(self) -> bool:
        """Whether it is there.

        Raises:
            UserError: it is, but was made with other options.
        """
        if not self.folder.exists():
            return False
        try:
            made_with = json.loads((self.folder / "outcome.json").read_text(encoding="utf-8"))["options"]
        except OSError:
            raise UserError(f"{self.folder}: not made by this benchmark; remove it, or give another --work") from None
        if made_with != self.options:
            raise UserError(f"{self.folder}: made with the options '{made_with}'; expected '{self.options}'. Remove "
                            "it, or give another --work")
        return True

    def make(self, stop: threading.Event) -> None:
        """Run all of it; the folder appears when everything is done.

        Raises:
            UserError: a program failed, or `stop` was set.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        log = self.folder.with_suffix(".log")
        log.unlink(missing_ok=True)
        seconds = {}
        with tempfile.TemporaryDirectory(prefix=f".{self.folder.name}.", suffix=".part",
                                         dir=self.folder.parent) as beside:
            new = Path(beside, "new")
            new.mkdir()
            for command in self.commands:
                started = time.monotonic()
                run(command, new, log, stop)
                seconds[command[0]] = round(time.monotonic() - started, 2)
            outcome = {"options": self.options, "machine": machine(), "seconds": seconds}
            write_text(new / "outcome.json", json.dumps(outcome, indent=1) + "\n")
            new.rename(self.folder)


@dataclass(frozen=True)
class Clip:
    """One clip to be made, decomposed in several ways and measured."""

    kind: str
    seed: int
    work: Path
    size: str
    budget: float
    ways: list[str]
    train_options: list[str]

    @property
    def folder(self) -> Path:
        """Where the clip and its layers are."""
        return self.work / f"{self.kind}_{self.seed}"

    def parts(self) -> list[Part]:
        """What it consists of, in the order in which it is made."""
        made = f"{self.size} {KINDS[self.kind]} --seed {self.seed}"
        clip = Part(self.folder / "clip", made, [
            ["datasets/make_sample.py", "--dataroot", ".", *made.split()],
            ["datasets/keypoints_to_iuv.py", "--dataroot", ".", "--source", "drawn"]])
        return [clip, *(self.layers(way, clip) for way in self.ways)]

    def layers(self, way: str, clip: Part) -> Part:
        """The layers of one way."""
        dataroot = ["--dataroot", str(clip.folder)]
        measure = ["evaluate.py", "--layers", LAYERS, *dataroot, "--out", "measured", "--no_lpips"]
        options = training(way, self.budget)
        if options is None:
            return Part(self.folder / way, clip.options, [["datasets/cut_out.py", "--out", LAYERS, *dataroot], measure])
        camera = ["--use_homographies"] if "--camera moving" in KINDS[self.kind] else []
        options = " ".join([options, *camera, f"--seed {self.seed}", *self.train_options])
        train = ["train.py", "--name", "run", *dataroot, "--display_id", "0", "--no_html", "--num_threads", "0"]
        return Part(self.folder / way, f"{clip.options}; {options}",
                    [[*train, *options.split()], ["test.py", "--name", "run"], measure])

    def make(self, stop: threading.Event) -> None:
        """Make what is not done.

        Raises:
            UserError: a program failed, or `stop` was set.
        """
        for part in self.parts():
            if not part.is_done():
                part.make(stop)


def work_through(clips: list[Clip], jobs: int) -> None:
    """Make clips, some at a time; a signal or a failure stops all of them at once.

    Raises:
        UserError: a program failed.
    """
    stop = threading.Event()
    with StopRequest() as request, ThreadPoolExecutor(jobs) as pool:
        making = {pool.submit(clip.make, stop): clip for clip in clips}
        pending = set(making)
        while pending and not stop.is_set():
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            failures = [future.exception() for future in done if future.exception()]
            if failures or request.signal is not None:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
            for future in done:
                print(f"{len(clips) - len(pending)}/{len(clips)}: {making[future].folder.name}", flush=True)
    if request.signal is not None:
        print("stopped; the same command goes on with the clips that are not done", file=sys.stderr)
        sys.exit(request.exit_status)
    if stop.is_set():
        raise failures[0]


def run(command: list[str], folder: Path, log: Path, stop: threading.Event) -> None:
    """Run one of our programs on one thread; what it says is added to `log`.

    Raises:
        UserError: it failed, or `stop` was set.
    """
    program, *arguments = command
    with open(log, "ab") as output:
        # A session of its own: Ctrl-C comes to this program alone, which then ends the others.
        process = subprocess.Popen([sys.executable, ROOT / program, *arguments], cwd=folder, stdout=output,
                                   stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            while process.poll() is None and not stop.wait(0.1):
                pass
        finally:
            process.kill()
            process.wait()
    if stop.is_set():
        raise UserError(f"{program}: stopped")
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise UserError(f"{program} failed: {said[-1] if said else 'it said nothing'} (all it said: {log})")


def machine() -> str:
    """The processor, as well as the system can tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    with reported_in_one_line():
        main()
