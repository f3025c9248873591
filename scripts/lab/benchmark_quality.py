"""Measure how good the layers are, on clips whose layers are known: made by the program itself, or given.

    python scripts/lab/benchmark_quality.py [--size NAME | --clips DIR ...] [options of train.py]

For every kind of clip and every seed: make the clip; cut the people out by their masks as a baseline; train in several
ways and for several times, and export; measure all of them. The clip and the layers of each way are folders in
WORK/SIZE/KIND_SEED, which are whole or not there, so a second start does what is missing. At the end the page is
written (scripts/lab/quality_page.py).
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.lab.quality_page import LAYERS, OURS, Outcome, write_page
from util.command_line import OneLineParser, duration, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import write_text
from util.interruption import StopRequest

ROOT = Path(__file__).resolve().parents[2]
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
    "audience": "--people 2 --crowd 12",
    "cut": "--people 2 --cut --shadow none",
}


WAYS = {  # options of train.py; None: no training
    "cut_out": None,
    "published": "--preset published --num_filters 16 --batch_size 4 --n_epochs_upsample 0 --lr 0.003 "
                 "--trimap_width 10 --lambda_alpha_l0 0.001",
    "draft": "--preset draft",
    "fast": "--preset fast",
}
TIMED = ("published", "fast")  # ways that take the time that they get
SIZES = {  # options of datasets/make_sample.py, and the seconds that there are for a training
    "quick": ("--frames 24 --width 192 --height 112", [7.5, 30.0]),
    "tiny": ("--frames 4 --width 96 --height 64", [2.0]),  # proves nothing but that everything runs
}
GIVEN = "given"
"""In place of a size: the folder of outcomes of clips that are given."""

TAKEN = ("--name", "--dataroot", "--checkpoints_dir", "--seed", "--suffix", "--use_homographies", "--continue_train",
         "--preset", "--budget")
"""Options of train.py that are not for the user to give."""


def main() -> None:
    """Do what is not done yet, then write the page."""
    opt, train_options = parse()
    work = (opt.work / (GIVEN if opt.clips else opt.size)).resolve()
    clips = [Clip(kind, seed, work, SIZES[opt.size][0], opt.budgets, opt.ways, opt.threads, train_options, given)
             for seed in range(1, opt.seeds + 1)
             for kind, given in (opt.clips or dict.fromkeys(opt.kinds)).items()]
    waiting = [clip for clip in clips if not all([part.is_done() for part in clip.parts()])]  # all are looked at
    print(f"{len(clips)} clips, {len(clips) - len(waiting)} of them done; {opt.jobs} at a time, in {work}")
    work_through(waiting, opt.jobs)
    outcomes = [Outcome(clip.kind, clip.seed, clip.folder, clip.dataroot, clip.folders) for clip in clips]
    write_page(opt.out, sys.argv[1:], opt.budgets[-1], opt.threads, {kind: KINDS.get(kind, "given") for kind in
                                                                     opt.clips or opt.kinds}, outcomes)
    print(f"page: {opt.out}")


def parse(argv: list[str] | None = None) -> tuple[Namespace, list[str]]:
    """The command line (default: that of the process), and what of it is for train.py.

    Raises:
        UserError: an option is not of its form, or not for the user to give.
    """
    sizes = "\n".join(f"  {name}: {options}; {' '.join(f'{each:g}s' for each in budgets)}"
                      for name, (options, budgets) in SIZES.items())
    kinds = "\n".join(f"  {kind}: {options}" for kind, options in KINDS.items())
    ways = "\n".join(f"  {way}: {options or 'datasets/cut_out.py'}" for way, options in WAYS.items())
    parser = OneLineParser(description="Measure how good the layers are, on clips whose layers are known.",
                           epilog=f"sizes (clip; budgets):\n{sizes}\nkinds:\n{kinds}\nways:\n{ways}\n\n"
                                  "All other options are handed to train.py.",
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--size", choices=tuple(SIZES), default="quick", help="size of the clips and training (default: quick)")
    add("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS), metavar="KIND",
        help="kinds of clips (default: all)")
    add("--clips", nargs="+", type=known_clip, metavar="DIR",
        help="dataroots with true layers in gt/, to measure on instead")
    add("--budgets", nargs="+", type=duration, metavar="TIME",
        help=f"that {' and '.join(TIMED)} are given, such as 90s 15m (default: by size)")
    add("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS), metavar="WAY",
        help=f"ways to make layers, {OURS} among them (default: all)")
    add("--seeds", type=int_at_least(1), default=3, metavar="N",
        help="clips of each kind, or trainings on each given clip (default: 3)")
    add("--threads", type=int_at_least(1), default=1, metavar="N", help="of each program (default: 1)")
    add("--jobs", type=int_at_least(1), metavar="N",
        help="clips at a time (default: as many as there are CPU cores for)")
    add("--work", type=Path, default=Path("benchmark"), metavar="DIR",
        help="folder of clips and runs (default: ./benchmark)")
    add("--out", type=Path, default=ROOT / "docs/layered_video/quality.md", metavar="FILE",
        help="page to write; its pictures are in a folder beside it (default: docs/layered_video/quality.md)")
    opt, train_options = parser.parse_known_args(argv)
    opt.budgets = sorted(opt.budgets or SIZES[opt.size][1])
    opt.jobs = opt.jobs or max((os.cpu_count() or 1) // opt.threads, 1)
    opt.clips = {path.name: path for path in opt.clips or []}
    if OURS not in opt.ways:
        raise UserError(f"--ways: {OURS} is missing; expected it, for the page compares it with the others")
    taken = [option for option in train_options if option.split("=")[0] in TAKEN]
    if taken:
        raise UserError(f"{taken[0]}: the benchmark gives every run its own; expected other options of train.py")
    return opt, train_options


def known_clip(text: str) -> Path:
    """A dataroot whose layers are known, as an absolute path.

    Raises:
        UserError: it has none.
    """
    path = Path(text).resolve()
    if not (path / "gt").is_dir():
        raise UserError(f"--clips: {text} has no folder gt/; expected dataroots whose true layers are known")
    return path


@dataclass(frozen=True)
class Part:
    """A folder, and what makes it: the clip, or the layers of one way and their measures.

    Attributes:
        folder: where it is, once it is whole.
        options: what decides the outcome.
        commands: programs with their arguments, to be run one after the other in the folder.
        threads: of each program.
    """

    folder: Path
    options: str
    commands: list[list[str]]
    threads: int

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
                run(command, new, log, self.threads, stop)
                seconds[command[0]] = round(time.monotonic() - started, 2)
            outcome = {"options": self.options, "machine": machine(), "seconds": seconds}
            write_text(new / "outcome.json", json.dumps(outcome, indent=1) + "\n")
            new.rename(self.folder)


@dataclass(frozen=True)
class Clip:
    """One clip to be made, decomposed in several ways and measured.

    Attributes:
        given: its dataroot, where it is not to be made.
    """

    kind: str
    seed: int
    work: Path
    size: str
    budgets: list[float]
    ways: list[str]
    threads: int
    train_options: list[str]
    given: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the clip and its layers are."""
        return self.work / f"{self.kind}_{self.seed}"

    @property
    def dataroot(self) -> Path:
        """Where its frames are."""
        return self.given or self.folder / "clip"

    @property
    def folders(self) -> dict[str, list[str]]:
        """The folders of each way's layers, by rising budget."""
        return {way: [f"{way}_{budget:g}s" for budget in self.budgets] if way in TIMED else [way] for way in self.ways}

    def parts(self) -> list[Part]:
        """What it consists of, in the order in which it is made."""
        made = f"{self.size} {KINDS.get(self.kind)} --seed {self.seed}"
        clip = Part(self.folder / "clip", made, [
            ["datasets/make_sample.py", "--dataroot", ".", *made.split()],
            ["datasets/keypoints_to_iuv.py", "--dataroot", ".", "--source", "drawn"]], self.threads)
        layers = [self.layers(way, folder, budget, str(self.given) if self.given else made)
                  for way, folders in self.folders.items() for folder, budget in zip(folders, self.budgets)]
        return layers if self.given else [clip, *layers]

    def layers(self, way: str, folder: str, budget: float, made: str) -> Part:
        """The layers of one way, which gets `budget` seconds if it is timed, of a clip that was `made` so."""
        dataroot = ["--dataroot", str(self.dataroot)]
        measure = ["evaluate.py", "--layers", LAYERS, *dataroot, "--out", "measured", "--no_lpips"]
        if WAYS[way] is None:
            cut_out = ["datasets/cut_out.py", "--out", LAYERS, *dataroot]
            return Part(self.folder / folder, made, [cut_out, measure], self.threads)
        moving = "--camera moving" in KINDS.get(self.kind, "") or (self.dataroot / "homographies.txt").exists()
        options = " ".join([WAYS[way], *([f"--budget {budget:g}s"] if way in TIMED else []),
                            *(["--use_homographies"] if moving else []), f"--seed {self.seed}", *self.train_options])
        train = ["train.py", "--name", "run", "--overwrite", *dataroot, "--display_id", "0", "--no_html",
                 "--num_threads", "0"]
        return Part(self.folder / folder, f"{made}; {options}",
                    [[*train, *options.split()], ["test.py", "--name", "run"], measure], self.threads)

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
            if failures or request.signal:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
            for future in done:
                print(f"{len(clips) - len(pending)}/{len(clips)}: {making[future].folder.name}", flush=True)
    if request.signal:
        print("stopped; the same command goes on with the clips that are not done", file=sys.stderr)
        sys.exit(request.exit_status)
    if stop.is_set():
        raise failures[0]


def run(command: list[str], folder: Path, log: Path, threads: int, stop: threading.Event) -> None:
    """Run one of our programs on so many threads; what it says is added to `log`.

    Raises:
        UserError: it failed, or `stop` was set.
    """
    program, *arguments = command
    with open(log, "ab") as output:
        # A session of its own: Ctrl-C comes to this program alone, which then ends the others.
        process = subprocess.Popen([sys.executable, ROOT / program, *arguments], cwd=folder, stdout=output,
                                   stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
                                   env={**os.environ, "OMP_NUM_THREADS": str(threads)})
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
