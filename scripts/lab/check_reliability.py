"""Break training and export on purpose, see that nothing is lost, and write the table of docs/reliability.md.

    python scripts/check_reliability.py [--kills N] [--cases N] [--seed N]

A small run is trained once without a break. Every fault then meets a run of the same options, which is continued; it
must end with the same weights, optimisers and loss log, bit for bit. Linux; about half an hour on a CPU core.
"""

import json
import multiprocessing
import os
import platform
import random
import re
import runpy
import shutil
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.lab.fuzz import fuzz, spoiled_bytes  # noqa: E402
from util.command_line import OneLineParser, int_at_least  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402
from util.files import write_text  # noqa: E402

PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"
OPTIONS = ("--dataroot", "clip", "--num_filters", "4", "--batch_size", "2", "--batch_size_upsample", "2",
           "--gpu_ids", "-1", "--display_id", "0", "--print_freq", "1", "--num_threads", "0",
           "--save_latest_minutes", "0.005", "--update_html_freq", "10", "--n_epochs", "24",
           "--n_epochs_upsample", "10")
Problems = Iterator[list[str]]
"""For each case what was lost or went otherwise than it should; nothing, if all is well."""


class Program:
    """One of the programs, in a process of its own: forked, as starting Python and torch anew takes seconds.

    Args:
        command: its file and arguments.
        folder: where it runs.
        wrapper: a command line that starts it instead.
    """

    def __init__(self, command: tuple[str, ...], folder: Path, wrapper: tuple[str, ...] = ()):
        self.files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115, `end` closes them
        self.process = multiprocessing.get_context("fork").Process(target=self._become, args=(command, folder, wrapper))
        self.process.start()

    def _become(self, command: tuple[str, ...], folder: Path, wrapper: tuple[str, ...]) -> None:
        os.chdir(folder)
        for descriptor, file in enumerate(self.files, 1):
            os.dup2(file.fileno(), descriptor)
        if wrapper:
            os.execvp(wrapper[0], (*wrapper, sys.executable, *command))
        sys.argv = list(command)
        runpy.run_path(command[0], run_name="__main__")

    def lives(self) -> bool:
        """Whether it runs still."""
        return self.process.is_alive()

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: status, what it printed, and its errors."""
        self.process.join()
        texts = []
        for file in self.files:
            file.seek(0)
            texts.append(file.read())
            file.close()
        return self.process.exitcode, *texts


class Place:
    """A folder with a clip and the run `whole`, which nothing interrupted."""

    def __init__(self, folder: Path, options: tuple[str, ...] = OPTIONS):
        self.folder, self.options = folder, options
        for clip, seed in (("clip", "1"), ("other", "2")):
            self.expect(self.begin("datasets/make_sample.py", "--dataroot", clip, "--frames", "5", "--width", "96",
                                   "--height", "64", "--seed", seed), 0)
            self.expect(self.begin("datasets/keypoints_to_iuv.py", "--dataroot", clip, "--source", "drawn"), 0)
        self.expect(self.train("whole"), 0)

    def begin(self, script: str, *arguments: str, wrapper: tuple[str, ...] = ()) -> Program:
        """Start one of the programs."""
        return Program((str(ROOT / script), *arguments), self.folder, wrapper)

    def train(self, name: str, *more: str, wrapper: tuple[str, ...] = ()) -> Program:
        """Start a run of the usual options."""
        return self.begin("train.py", "--name", name, "--overwrite", *self.options, *more, wrapper=wrapper)

    def resume(self, name: str, *more: str, wrapper: tuple[str, ...] = ()) -> Program:
        """Continue a run, with nothing but its name."""
        return self.begin("train.py", "--name", name, "--continue_train", *more, wrapper=wrapper)

    def run(self, name: str) -> Path:
        """The folder of a run."""
        return self.folder / "checkpoints" / name

    def wait_for(self, name: str, process: Program, share: float) -> None:
        """Wait until a run has its first checkpoint, and done this share of its steps."""
        log, state = self.run(name) / "loss_log.jsonl", self.run(name) / "latest_state.pth"
        steps = share * len((self.run("whole") / "loss_log.jsonl").read_text().splitlines())
        while process.lives() and not (state.exists() and len(log.read_text().splitlines()) >= steps):
            time.sleep(0.005)

    def begin_and_break(self, name: str, rng: random.Random, number: int) -> list[str]:
        """Send a signal to a new run at a random moment after its first checkpoint."""
        process = self.train(name)
        self.wait_for(name, process, rng.uniform(0, 0.95))
        time.sleep(rng.uniform(0, 0.05))
        process.send(number)
        expected, found = -number if number == signal.SIGKILL else 128 + number, process.end()[0]
        return [] if found == expected else [f"status {found} after {signal.Signals(number).name}"]

    @staticmethod
    def expect(process: Program, status: int, words: str = "") -> list[str]:
        """Wait for the end of a program: its status, and for 2 one line of error with these words."""
        found, printed, errors = process.end()
        told = [line for line in errors.splitlines() if line.startswith("error: ")]
        problems = [] if found == status else [f"status {found}: {(errors or printed)[-500:]}"]
        if status == 2 and (len(told) != 1 or not re.search(words, told[0]) or "Traceback" in errors):
            problems.append(f"expected one line with '{words}', found: {errors[-500:]}")
        elif status == 0 and words and not re.search(words, printed):
            problems.append(f"expected '{words}', found: {printed[-500:]}")
        return problems

    def continued(self, name: str) -> list[str]:
        """Continue a run to its end; what is otherwise than in `whole`."""
        problems = self.expect(self.resume(name), 0)
        return problems or self.differences(name)

    def differences(self, name: str) -> list[str]:
        """What a run has otherwise than `whole`: weights, optimisers, position, log; and what it left lying about."""
        ours, theirs = self.run(name), self.run("whole")
        problems = [f"{file} differs" for file in ("latest_state.pth", "latest_net_LNR.pth")
                    if not equal(*(torch.load(run / file, weights_only=True) for run in (ours, theirs)))]
        logs = [[{**json.loads(line), "time": 0} for line in (run / "loss_log.jsonl").read_text().splitlines()]
                for run in (ours, theirs)]
        texts = [re.sub(r"time per step: [\d.]+ s", "", (run / "loss_log.txt").read_text()) for run in (ours, theirs)]
        problems += ["the loss log differs"] * (logs[0] != logs[1] or texts[0] != texts[1])
        pictures = [{path.name for path in (run / "web/images").iterdir()} for run in (ours, theirs)]
        problems += ["the pictures differ"] * (pictures[0] != pictures[1])
        return problems + [f"left: {path.name}" for path in self.folder.rglob(".*.part*")]


def equal(a: object, b: object) -> bool:
    """Whether two states are the same, to the last bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


# Faults. Each yields the problems of one case after another.


def killed(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """SIGKILL at a random moment of training, either phase"""
    for number in range(opt.kills):
        place.begin_and_break(f"killed{number}", rng, signal.SIGKILL)
        yield place.continued(f"killed{number}")


def killed_often(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """SIGKILL again and again while one run is continued"""
    place.begin_and_break("often", rng, signal.SIGKILL)
    for _ in range(min(opt.kills, 5)):
        process = place.resume("often")
        time.sleep(rng.uniform(0, 2))
        process.send(signal.SIGKILL)
        process.end()
    yield place.continued("often")


def asked_to_stop(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """SIGINT, SIGTERM, SIGHUP: saves, ends with status 128 + n"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield place.begin_and_break(number.name, rng, number) + place.continued(number.name)


def export_killed(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """SIGKILL at a random moment of an export: earlier results stay whole"""
    export = ("test.py", "--name", "whole", "--gpu_ids", "-1")
    place.expect(place.begin(*export), 0)
    folder = place.folder / "results/whole/test_latest"
    for _ in range(min(opt.kills, 5)):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        process = place.begin(*export)
        while process.lives() and not list(folder.parent.glob(".*.part")):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        process.send(signal.SIGKILL)
        process.end()
        after = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        problems = [] if before == after or not list(folder.parent.glob(".*.part")) else ["results were changed"]
        problems += place.expect(place.begin(*export), 0)
        yield problems + [f"left: {path}" for path in place.folder.rglob(".*.part*")]


def disk_full(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """The disk is full when a checkpoint, or an export, is to be written"""
    for number in range(2):
        name = f"full{number}"
        problems = place.begin_and_break(name, rng, signal.SIGTERM)
        problems += on_a_disk_of(place, "checkpoints", 1.4, "No space left", lambda more, name=name: place.resume(
            name, wrapper=more))
        yield problems + place.continued(name)
    (place.folder / "results").mkdir(exist_ok=True)
    yield on_a_disk_of(place, "results", 0.02, "No space left", lambda more: place.begin(
        "test.py", "--name", "whole", "--gpu_ids", "-1", wrapper=more))


def read_only(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """The folder of checkpoints, or of results, may not be written to"""
    problems = place.begin_and_break("locked", rng, signal.SIGTERM)
    problems += on_a_disk_of(place, "checkpoints", None, "Read-only", lambda more: place.resume("locked", wrapper=more))
    yield problems + place.continued("locked")
    yield on_a_disk_of(place, "results", None, "Read-only", lambda more: place.begin(
        "test.py", "--name", "whole", "--gpu_ids", "-1", wrapper=more))
    yield place.expect(place.train("below", "--checkpoints_dir", "clip/metadata.json"), 2, "cannot write to")


def on_a_disk_of(place: Place, folder: str, free_mb: float | None, words: str,
                 start: Callable[[tuple[str, ...]], Program]) -> list[str]:
    """Start a program that sees a copy of `folder` on a disk with so much space left; None: that is read-only.

    What the program left in it comes back.
    """
    inside, outside = place.folder / folder, place.folder / f"{folder}_outside"
    shutil.rmtree(outside, ignore_errors=True)
    shutil.copytree(inside, outside)
    size = sum(-(-path.stat().st_size // 4096) * 4096 for path in outside.rglob("*")) + int(1e6 * (free_mb or 10))
    script = (f'mount -t tmpfs -o size={size} none {folder} && cp -a {folder}_outside/. {folder}/ && '
              + (f"mount -o remount,ro {folder} && " if free_mb is None else "")
              + f'"$@"; status=$?; cp -a {folder}/. {folder}_outside/; exit $status')
    wrapper = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    problems = place.expect(start(wrapper), 2, words)
    shutil.rmtree(inside)
    outside.rename(inside)
    return problems


def folder_removed(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """The folder of a run is removed while it is trained"""
    process = place.train("removed")
    place.wait_for("removed", process, rng.uniform(0, 0.95))
    shutil.rmtree(place.run("removed"))
    yield place.expect(process, 2, "was removed") + (["made again"] if place.run("removed").exists() else [])


def two_at_once(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """Two runs with one name at once: the second is refused"""
    for more in ((), ("--continue_train",)):
        name = f"two{len(more)}"
        first = place.train(name)
        place.wait_for(name, first, 0)
        problems = place.expect(place.train(name, *more), 2, f"process {first.process.pid} .* is training this run")
        yield problems + place.expect(first, 0) + place.differences(name)


def numbers_explode(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """NaN or infinity in losses or weights: stops before a checkpoint has it"""
    for rate in ("1e38", "3e38"):
        name = f"exploded{rate}"
        problems = place.begin_and_break(name, rng, signal.SIGTERM)
        words = "(loss|weights).*(nan|inf|finite).*--continue_train"
        problems += place.expect(place.resume(name, "--lr", rate), 2, words)
        weights = torch.load(place.run(name) / "latest_net_LNR.pth", weights_only=True)
        problems += [f"{key} is not finite" for key, value in weights.items() if not value.isfinite().all()]
        yield problems + place.expect(place.resume(name, "--lr", "0.001"), 0)


def damaged(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """A checkpoint is cut short, or has wrong bits: told, and weights alone go on"""
    shutil.copytree(place.run("whole"), place.run("damaged"))
    path = place.run("damaged") / "latest_state.pth"
    good = path.read_bytes()
    for number in range(6):
        path.write_bytes(good[:len(good) * number // 6] if number < 3 else spoiled_bytes(rng, good))
        yield place.expect(place.resume("damaged", "--n_epochs_upsample", "11"), 2, "latest_state.pth: .*; remove it")
    path.unlink()
    yield place.expect(place.resume("damaged", "--epoch_count", "30"), 0)


def options_changed(place: Place, rng: random.Random, opt: Namespace) -> Problems:
    """Other options on --continue_train: refused by name, or taken with a note"""
    begun = place.begin_and_break("changed", rng, signal.SIGTERM)
    before = (place.run("changed") / "train_opt.json").read_text()
    for option, value in (("num_filters", "8"), ("texture_res", "8"), ("texture_channels", "4"), ("seed", "2"),
                          ("max_dataset_size", "3"), ("use_homographies", None), ("dataroot", "other")):
        process = place.resume("changed", f"--{option}", *([value] if value else []))
        problems = begun + place.expect(process, 2, "clip" if option == "dataroot" else option)
        unchanged = (place.run("changed") / "train_opt.json").read_text() == before
        yield problems + ([] if unchanged else ["options were overwritten"])
    (place.folder / "clip").rename(place.folder / "moved")
    (place.folder / "clip").symlink_to("moved")
    process = place.resume("changed", "--dataroot", "moved", "--save_latest_freq", "9")
    note = "continued with other options: .*dataroot clip -> moved"
    yield place.expect(process, 0, note) + place.differences("changed")


FAULTS = (killed, killed_often, asked_to_stop, export_killed, disk_full, read_only, folder_removed, two_at_once,
          numbers_explode, damaged, options_changed)


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Break training on purpose, and write the table of docs/reliability.md.")
    parser.add_argument("--kills", type=int_at_least(1), default=20, metavar="N",
                        help="runs that are killed (default: 20)")
    parser.add_argument("--cases", type=int_at_least(0), default=10_000, metavar="N",
                        help="cases of damaged input, see scripts/fuzz.sh (default: 10000; 0: leave the page as it is)")
    parser.add_argument("--seed", type=int_at_least(0), default=1, metavar="N",
                        help="of the random moments (default: 1)")
    parser.add_argument("--only", nargs="+", choices=[fault.__name__ for fault in FAULTS], metavar="FAULT",
                        help="only these faults; leaves the page as it is")
    return parser.parse_args()


def main() -> int:
    """Break, tell, and write the table; returns the exit status."""
    opt, rows = parse(), []
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would ours
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for fault in FAULTS:
            if opt.only and fault.__name__ not in opt.only:
                continue
            cases = list(fault(place, random.Random(f"{opt.seed} {fault.__name__}"), opt))
            lost = [problems for problems in cases if problems]
            rows.append((fault.__doc__, len(cases), len(lost)))
            print(*rows[-1], *lost, sep=" | ", flush=True)
    ended = fuzz(opt.cases, opt.seed) if opt.cases and not opt.only else {}
    for kind, how in ended.items():
        rows.append((f"Damaged or strange input: {kind}", how.total(), how["FAILED"]))
        print(*rows[-1], sep=" | ")
    if ended:
        write_table(rows)
    return 1 if any(lost for _, _, lost in rows) else 0


def write_table(rows: list[tuple[str, int, int]]) -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    machine = f"{platform.system()}, Python {platform.python_version()}, torch {torch.__version__}, CPU"
    table = [f"{time.strftime('%B %Y')}, {machine}.", "", "| fault | cases | lost |", "|---|---|---|"]
    table += [f"| {name} | {cases:,} | {lost} |" for name, cases, lost in rows]
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    write_text(PAGE, text[:begin] + "\n".join(table) + "\n" + text[end:])


if __name__ == "__main__":
    with reported_in_one_line():
        sys.exit(main())
