"""Measure how good the layers are, on clips that the program makes itself and whose layers are known.

    python scripts/benchmark_quality.py [--preset NAME] [options of train.py]

For every kind of clip and every seed: make the clip, train on it, export, cut the people out by their masks as a
baseline, measure both. What comes of a clip is a folder WORK/PRESET/KIND_SEED, which is whole or not there, so a
second start does what is missing. Every clip runs on one thread: the figures do not depend on --jobs. At the end the
page is written (scripts/quality_page.py).
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

from scripts.quality_page import WAYS, Outcome, write_page
from util.command_line import OneLineParser, whole
from util.errors import UserError, reported_in_one_line
from util.files import write_text
from util.interruption import StopRequest

ROOT = Path(__file__).resolve().parents[1]
KINDS = {  # options of datasets/make_sample.py
    "alone": "--people 1 --build thin",
    "pair": "--people 2",
    "wide": "--people 3 --build wide --shadow hard",
    "crowd": "--people 4",
    "touch": "--people 2 --touch --masks visible",
    "mirror": "--people 2 --mirror_floor --shadow none",
    "moving": "--people 2 --camera moving",
    "noise": "--people 2 --noise 5",
    "sway": "--people 2 --sway 1",
    "shake": "--people 2 --shake 0.25 --flicker 1",
}


@dataclass(frozen=True)
class Preset:
    """Options of datasets/make_sample.py and of train.py."""

    clip: str
    train: str


PRESETS = {
    "quick": Preset("--frames 20 --width 192 --height 112",  # nearly as scripts/run_demo.sh, but a tenth of its epochs
                    "--num_filters 16 --batch_size 4 --n_epochs 40 --n_epochs_upsample 0 --lr 0.003 "
                    "--trimap_width 10 --mask_loss_rolloff_epoch 12 --alpha_l1_rolloff_epoch 24 "
                    "--lambda_alpha_l0 0.001 --jitter_epochs 8"),
    "tiny": Preset("--frames 4 --width 96 --height 64",  # proves nothing but that everything runs
                   "--num_filters 4 --batch_size 4 --n_epochs 4 --n_epochs_upsample 0 --lr 0.003 --trimap_width 4 "
                   "--mask_loss_rolloff_epoch 2 --jitter_epochs 1"),
}

TAKEN = ("--name", "--dataroot", "--checkpoints_dir", "--seed", "--suffix", "--use_homographies", "--continue_train")
"""Options of train.py that are not for the user to give."""


def main() -> None:
    """Do what is not done yet, then write the page."""
    opt, train_options = parse()
    preset = PRESETS[opt.preset]
    work = opt.work / opt.preset
    clips = [Clip(kind, seed, work, preset, train_options)
             for seed in range(1, opt.seeds + 1) for kind in opt.kinds]
    waiting = [clip for clip in clips if not clip.is_done()]
    print(f"{len(clips)} clips, {len(clips) - len(waiting)} of them done; {opt.jobs} at a time, in {work}")
    work_through(waiting, opt.jobs)
    outcomes = [Outcome(clip.kind, clip.seed, clip.folder) for clip in clips]
    write_page(opt.out, opt.preset, {kind: KINDS[kind] for kind in opt.kinds}, outcomes)
    print(f"page: {opt.out}")


def parse(argv: list[str] | None = None) -> tuple[Namespace, list[str]]:
    """The command line (default: that of the process), and what of it is for train.py.

    Raises:
        UserError: an option is not of its form, or not for the user to give.
    """
    presets = "\n".join(f"preset {name}:\n  clip: {preset.clip}\n  train: {preset.train}"
                        for name, preset in PRESETS.items())
    kinds = "\n".join(f"  {kind}: {options}" for kind, options in KINDS.items())
    parser = OneLineParser(description="Measure how good the layers are, on clips whose layers are known.",
                           epilog=f"{presets}\nkinds:\n{kinds}\n\nAll other options are handed to train.py.",
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--preset", choices=tuple(PRESETS), default="quick", help="size of the clips and training (default: quick)")
    add("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS), metavar="KIND",
        help="kinds of clips (default: all)")
    add("--seeds", type=whole(1), default=3, metavar="N", help="clips of each kind (default: 3)")
    add("--jobs", type=whole(1), default=os.cpu_count() or 1, metavar="N",
        help="clips at a time, each on one thread (default: one per CPU core)")
    add("--work", type=Path, default=Path("benchmark"), metavar="DIR",
        help="folder of clips and runs (default: ./benchmark)")
    add("--out", type=Path, default=ROOT / "docs" / "quality.md", metavar="FILE",
        help="page to write; its pictures are in a folder beside it (default: docs/quality.md)")
    opt, train_options = parser.parse_known_args(argv)
    taken = [option for option in train_options if option.split("=")[0] in TAKEN]
    if taken:
        raise UserError(f"{taken[0]}: the benchmark gives every run its own; expected other options of train.py")
    return opt, train_options


@dataclass(frozen=True)
class Clip:
    """One clip to be made, trained on and measured."""

    kind: str
    seed: int
    work: Path
    preset: Preset
    train_options: list[str]

    @property
    def folder(self) -> Path:
        """Where the outcome is, once it is whole."""
        return self.work / f"{self.kind}_{self.seed}"

    def options(self) -> dict[str, str]:
        """What decides the outcome."""
        camera = ["--use_homographies"] if "--camera moving" in KINDS[self.kind] else []
        return {"clip": " ".join([self.preset.clip, KINDS[self.kind], f"--seed {self.seed}"]),
                "train": " ".join([self.preset.train, f"--seed {self.seed}", *camera, *self.train_options])}

    def is_done(self) -> bool:
        """Whether the outcome is there.

        Raises:
            UserError: it is, but was made with other options.
        """
        if not self.folder.exists():
            return False
        made_with = json.loads((self.folder / "outcome.json").read_text(encoding="utf-8"))["options"]
        for program, options in self.options().items():
            if made_with[program] != options:
                raise UserError(f"{self.folder}: made with the {program} options '{made_with[program]}'; expected "
                                f"'{options}'. Remove it, or give another --work")
        return True

    def commands(self) -> list[list[str]]:
        """Programs with their arguments, to be run one after the other in the outcome's folder."""
        options = {program: text.split() for program, text in self.options().items()}
        return [
            ["datasets/make_sample.py", "--dataroot", "clip", *options["clip"]],
            ["datasets/keypoints_to_iuv.py", "--dataroot", "clip", "--source", "drawn"],
            ["train.py", "--name", "run", "--dataroot", "clip", "--display_id", "0", "--no_html", "--num_threads", "0",
             *options["train"]],
            ["test.py", "--name", "run"],
            ["datasets/cut_out.py", "--dataroot", "clip", "--out", "cut_out"],
            *(["evaluate.py", "--layers", layers, "--dataroot", "clip", "--out", f"measured/{way}", "--no_lpips"]
              for way, layers in WAYS.items()),
        ]

    def make(self, stop: threading.Event) -> None:
        """Run all of it; the folder appears when everything is done.

        Raises:
            UserError: a program failed, or `stop` was set.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        log = self.folder.with_suffix(".log")
        log.unlink(missing_ok=True)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f".{self.folder.name}.", suffix=".part", dir=self.work) as beside:
            new = Path(beside, "new")
            new.mkdir()
            for command in self.commands():
                run(command, new, log, stop)
            outcome = {"options": self.options(), "machine": machine(), "minutes": (time.monotonic() - started) / 60}
            write_text(new / "outcome.json", json.dumps(outcome, indent=1) + "\n")
            new.rename(self.folder)


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
