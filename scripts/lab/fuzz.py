"""Damaged and strange input for every program: each case must end in success or in a one-line error with status 2.

    bash scripts/fuzz.sh [--cases N] [--seed N] [--only KIND[:NUMBER]]

A case takes a good clip, run or edit, spoils one file or the command line at random, and runs the real program on it,
in this process. It fails if the program raises anything but an exit, ends with another status, prints a traceback,
takes longer than 20 seconds, or writes anywhere but into the folders that its results belong to. A case is a function
of seed, kind and number, so every failure can be repeated with --only.
"""

import contextlib
import io
import json
import os
import random
import re
import runpy
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import traceback
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from data.loading import find_dataset  # noqa: E402
from models import find_model  # noqa: E402
from options.base_options import BaseOptions  # noqa: E402
from options.test_options import TestOptions  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402
from util import allocator  # noqa: E402
from util.command_line import OneLineParser, int_at_least  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402

SECONDS = 20
FAST = ("--n_epochs", "1", "--n_epochs_upsample", "0", "--num_filters", "4", "--batch_size", "2",
        "--num_threads", "0", "--gpu_ids", "-1", "--display_id", "0", "--no_html", "--checkpoints_dir", "checkpoints")
ODD_VALUES = (None, True, False, -1, 0, 1, 2, 7, 0.5, -0.0, 1e308, -1e308, 10**30, 2**31, 2**63, float("nan"),
              float("inf"), "", " ", "..", "../..", "/etc/passwd", "a" * 300, "\0", "\ud800", "1", "25/0", "#12", "{",
              "%s", "<b>", [], {}, [[]], [1, 2], [0], [-5, 3], [[1], [2]], {"a": 1}, "1/1000000000000", ["x"], [None])
FLAGS = {"--continue_train", "--verbose", "--serial_batches", "--save_by_epoch", "--no_html", "--use_mask_images",
         "--use_homographies", "--do_upsampling", "--eval"}
ODD_WORDS = ("", "0", "-1", "1", "2", "3.5", "nan", "inf", "1e400", "999999999999", "x", "../..", "/x", "ä", "{",
             "{model}", "{0}", "--", "true", "None", " ", "a" * 500, "clip", "1:2", "1:2-3", "0:1", "9:9", "auto",
             "latest", "\x07", "%d", "1,2", "bf16", "<b>")
EDIT = {"length": 4, "interpolation": "blend", "layers": {
    "1": {"time": [{"align": [[2, 3]]}, {"speed": [[1, 1], [3, 0.5]], "ease": True}], "x": [[1, 0], [3, 0.2]],
          "scale": 1.5, "flip": "horizontal", "anchor": [0.5, 1], "trail": {"copies": 2, "spacing": 1, "fade": 0.5}},
    "2": [{}, {"time": [{"offset": 1}, {"freeze": [1, 3]}], "opacity": [[1, 0], [3, 1]], "effects": 0.5,
               "ends": "hide"}],
    "others": {"saturation": 0, "gain": 2, "tint": "#ff8800"}},
    "order": [2, 1], "background": {"replace": "picture.png", "time": [{"reverse": True}]}}


class TooLong(BaseException):
    """A case took longer than `SECONDS`."""


class Workplace:
    """A folder with a clip, a trained run and an edit, which cases spoil one at a time.

    Attributes:
        folder: the current folder of the programs.
        written: what a case opened for writing, moved, made or removed outside the folders of results.
    """

    RESULTS = ("checkpoints", "results")

    def __init__(self, folder: Path):
        self.folder, self.written = folder.resolve(), []
        self._watching = False
        for script, *arguments in (
                ("datasets/make_sample.py", "--dataroot", "clip", "--frames", "3", "--width", "96", "--height", "64",
                 "--camera", "moving"),
                ("datasets/keypoints_to_iuv.py", "--dataroot", "clip", "--source", "drawn"),
                ("train.py", "--dataroot", "clip", "--name", "run", *FAST)):
            subprocess.run([sys.executable, str(ROOT / script), *arguments], cwd=self.folder, check=True,
                           capture_output=True)
        Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(self.folder / "picture.png")
        (self.folder / "edit.json").write_text(json.dumps(EDIT))
        self.pristine = self.folder.with_name(self.folder.name + "_pristine")
        shutil.copytree(self.folder, self.pristine)
        for command in (train(), check(), retime("--edit", "edit.json"), export()):
            with self.case():  # so that libraries have made their caches, and all is well before it is spoiled
                status, output, fault = _run(self, command)
            if status == 2 or fault:
                raise RuntimeError(f"{command} failed on good input: {output[-2000:]} {fault}")
        sys.addaudithook(self._watch)

    @contextlib.contextmanager
    def case(self) -> Iterator[None]:
        """Watch what is written while the block lasts; put everything back afterwards."""
        self.written, before = [], Path.cwd()
        os.chdir(self.folder)
        try:
            yield
        finally:
            self._watching = False
            os.chdir(before)
            self._restore()

    def watch(self) -> None:
        """From here on, until the case ends, nobody may write outside the folders of results."""
        self._watching = True

    def paths(self, pattern: str) -> list[Path]:
        """Files of the clip, the run or the edit."""
        return sorted(self.folder.glob(pattern))

    def _restore(self) -> None:
        """What differs in time or size from the pristine copy comes from there again."""
        for name in self.RESULTS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.copytree(self.pristine / "checkpoints", self.folder / "checkpoints")
        kept = {path.relative_to(self.pristine) for path in self.pristine.rglob("*")}
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.relative_to(self.folder) not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in kept:
            good, path = self.pristine / name, self.folder / name
            if good.is_file() and (not path.is_file() or _stamp(path) != _stamp(good)):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(good, path)

    def _watch(self, event: str, arguments: tuple) -> None:
        if not self._watching:
            return
        if event == "open":
            touched = arguments[:1] if (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) else ()
        elif event in ("os.rename", "os.link", "os.symlink"):
            touched = arguments[:2]
        elif event in ("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.utime"):
            touched = arguments[:1]
            if event in ("os.remove", "os.rmdir") and arguments[1] >= 0:
                touched = (os.path.join(os.readlink(f"/proc/self/fd/{arguments[1]}"), arguments[0]),)
        else:
            return
        for path in touched:
            if isinstance(path, str | bytes | os.PathLike) and os.fspath(path) not in (os.devnull, b"/dev/null"):
                place = Path(os.path.realpath(os.fsdecode(path)))
                if not any(place.is_relative_to(self.folder / name) for name in self.RESULTS):
                    self.written.append(f"{event} {place}")


def _stamp(path: Path) -> tuple[int, int]:
    return path.stat().st_size, path.stat().st_mtime_ns


def spoiled_bytes(rng: random.Random, data: bytes) -> bytes:
    """A few bits flipped, or pieces taken out, doubled, zeroed or put in."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data) + 1)
        length = min(rng.choice((1, 4, 40, 4000)), len(data) - at)
        how = rng.randrange(6)
        if how == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del data[at:at + length]
        elif how == 2:
            data[at:at] = data[at:at + length]
        elif how == 3:
            data[at:at + length] = bytes(length)
        elif how == 4:
            data[at:at] = rng.randbytes(length or 3)
        else:
            del data[at:]
    return bytes(data)


def spoiled_json(rng: random.Random, text: str) -> str:
    """A value replaced by an odd one, taken out, doubled or renamed; or the text spoiled as bytes."""
    if rng.random() < 0.25:
        return spoiled_bytes(rng, text.encode()).decode("utf-8", "replace")
    values = json.loads(text)
    for _ in range(rng.choice((1, 1, 2))):
        holders = list(_holders(values))
        if not holders:
            break
        holder, key = rng.choice(holders)
        how = rng.randrange(6)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif how == 1:
            holder[key + rng.choice(string.ascii_letters)] = holder.pop(key)
        elif how == 2 and isinstance(holder[key], int | float):
            number = holder[key]
            holder[key] = rng.choice((-number, number * 10, number + 1, number / 3, str(number)))
        else:
            holder[key] = rng.choice(ODD_VALUES)
    return json.dumps(values if rng.random() < 0.98 else rng.choice(ODD_VALUES))


def _holders(values: object, depth: int = 100) -> Iterator[tuple]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items if depth else ():
        yield values, key
        yield from _holders(value, depth - 1)


def spoiled_text(rng: random.Random, text: str) -> str:
    """A word of a line replaced by an odd one, or a line taken out or doubled; or the text spoiled as bytes."""
    if rng.random() < 0.25:
        return spoiled_bytes(rng, text.encode()).decode("utf-8", "replace")
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    how = rng.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, lines[at])
    else:
        words = lines[at].split(" ")
        words[rng.randrange(len(words))] = rng.choice((*ODD_WORDS, "0", "1e-300", "1e300", "-1e9", "0.0"))
        lines[at] = " ".join(words)
    return "\n".join(lines) + "\n"


def spoil_image(rng: random.Random, path: Path) -> None:
    """Spoil a PNG: its bytes, or its pixels, size, mode or format."""
    how = rng.randrange(6)
    if how < 3:
        path.write_bytes(spoiled_bytes(rng, path.read_bytes()))
    elif how == 3:
        path.unlink()
    else:
        with Image.open(path) as image:
            pixels = np.array(image)
        noise = np.random.default_rng(rng.randrange(2**32))
        if how == 4:
            where = noise.random(pixels.shape[:2]) < rng.choice((0.001, 0.1, 1))
            pixels[where] = noise.integers(0, 256, pixels[where].shape)
            Image.fromarray(pixels).save(path)
        else:
            image = Image.fromarray(pixels).convert(rng.choice(("1", "L", "P", "RGB", "RGBA", "CMYK")))
            image = image.resize(rng.choice((image.size, (1, 1), (97, 64), (192, 128), (64, 96))))
            image.save(path, format="TIFF" if image.mode == "CMYK" else "PNG")


def spoil_checkpoint(rng: random.Random, path: Path) -> None:
    """Spoil a checkpoint: its bytes, or what is in it, down to single weights."""
    if rng.random() < 0.5:
        path.write_bytes(spoiled_bytes(rng, path.read_bytes()))
        return
    state = torch.load(path, weights_only=True)
    holder, key = rng.choice(list(_holders(state, 3)))
    how = rng.randrange(4)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder[key], torch.Tensor) and holder[key].is_floating_point():
        holder[key] = rng.choice((holder[key] * float("nan"), holder[key][None], holder[key].half(), torch.empty(0)))
    elif how == 2 and isinstance(holder, dict):
        holder[rng.choice(("extra", 5, "module." + str(key)))] = holder.pop(key)
    else:
        holder[key] = rng.choice([value for value in ODD_VALUES if value != "\ud800"])
    torch.save(state if rng.random() < 0.97 else rng.choice(([], 5, "x", torch.zeros(3))), path)


# A kind of case spoils the workplace and says which program runs on it, with which arguments.


def train(*more: str) -> tuple[str, ...]:
    """Training on the clip."""
    return ("train.py", "--dataroot", "clip", "--name", "new", "--overwrite", *FAST, *more)


def check() -> tuple[str, ...]:
    """Checking the clip."""
    return ("prepare.py", "--dataroot", "clip", "--check")


def export() -> tuple[str, ...]:
    """Exporting one frame of the run."""
    return ("test.py", "--name", "run", "--gpu_ids", "-1", "--num_test", "1")


def retime(*more: str) -> tuple[str, ...]:
    """Retiming the clip's true layers; two frames of it."""
    return ("retime.py", "--layers", "clip/gt", "--dataroot", "clip", *more, "--range", "1-2", "--out", "results/out/")


def metadata(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """metadata.json."""
    path = place.folder / "clip/metadata.json"
    path.write_text(spoiled_json(rng, path.read_text()))
    return rng.choice((train(), check(), retime()))


def keypoints(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """keypoints.json."""
    path = place.folder / "clip/keypoints.json"
    path.write_text(spoiled_json(rng, path.read_text()))
    return check()


def homographies(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """homographies.txt."""
    path = place.folder / "clip/homographies.txt"
    path.write_text(spoiled_text(rng, path.read_text()))
    return rng.choice((train("--use_homographies"), check(), retime("--offset", "1:1")))


def uv_maps(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """A PNG of iuv/, or of the frames."""
    spoil_image(rng, rng.choice(place.paths("clip/iuv/*/*.png") * 2 + place.paths("clip/rgb_*/*.png")))
    return rng.choice((train(), train("--n_epochs", "0", "--n_epochs_upsample", "1"), check()))


def masks(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """A PNG of mask/."""
    spoil_image(rng, rng.choice(place.paths("clip/mask/*/*.png")))
    return rng.choice((train("--use_mask_images"), check()))


def checkpoints(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """A checkpoint, or the log or options beside it, which a run is continued from or exported with."""
    path = rng.choice(place.paths("checkpoints/run/*.pth") * 3 + place.paths("checkpoints/run/*.json*"))
    if path.suffix == ".pth":
        spoil_checkpoint(rng, path)
    else:
        first, *others = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        path.write_text("\n".join([spoiled_json(rng, first), *others]))
    if rng.random() < 0.5:
        return export()
    return ("train.py", "--name", "run", "--continue_train", "--n_epochs", "2", "--n_epochs_upsample", "0", "--gpu_ids",
            "-1")


def options(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """Options with odd values; what would take long, or reach beyond the machine, comes last and is harmless."""
    program, known, tail = rng.choice((
        ("train.py", _option_defaults(TrainOptions()), FAST),
        ("test.py", _option_defaults(TestOptions()), (*export()[1:], "--num_filters", "4", "--aspect_ratio", "1"))))
    given = ["--dataroot", "clip"]
    for name in rng.choices(list(known), k=rng.choice((1, 2, 5))):
        given += [name if rng.random() < 0.98 else name[:-1]]
        if name not in FLAGS:
            given += rng.choices((*ODD_WORDS, *("1", "2", "20", known[name]) * 20), k=rng.choice((1,) * 20 + (0, 2)))
    tail = tail if rng.random() < 0.9 else tuple(word for word in tail if word not in ("--no_html", "--num_test"))
    return (program, *given, *tail)


def edits(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """An edit file, or the short forms of the command line."""
    path = place.folder / "edit.json"
    if rng.random() < 0.7:
        path.write_text(spoiled_json(rng, path.read_text()))
        return retime("--edit", "edit.json")
    forms = ("offset", "freeze", "hold", "speed", "reverse", "loop", "pingpong", "align", "remove", "solo", "duplicate",
             "trail", "opacity", "effects", "order", "background", "length", "interpolation", "layer")
    words = (*ODD_WORDS, "1:0.5", "2:1-3", "1:3-1", "1:2@3", "1:5,4,0.6", "2,1", "#ff0000", "picture.png")
    return retime(*(word for form in rng.choices(forms, k=2) for word in (f"--{form}", rng.choice(words))))


def layer_folders(rng: random.Random, place: Workplace) -> tuple[str, ...]:
    """A PNG of a folder of layers, which is retimed or measured."""
    spoil_image(rng, rng.choice(place.paths("clip/gt/**/*.png")))
    measure = ("evaluate.py", "--layers", "clip/gt", "--dataroot", "clip", "--truth", "none", "--no_lpips",
               "--out", "results/evaluation")
    return rng.choice((retime(), measure))


KINDS: dict[str, tuple[Callable[[random.Random, Workplace], tuple[str, ...]], int]] = {
    "metadata.json": (metadata, 20), "keypoints.json": (keypoints, 15), "homographies.txt": (homographies, 10),
    "UV maps and frames": (uv_maps, 12), "masks": (masks, 8), "checkpoints": (checkpoints, 15),
    "options": (options, 10), "edit files and forms": (edits, 18), "layers": (layer_folders, 5)}
"""What is spoiled: how, and how often in a hundred cases or so."""


def _option_defaults(program: BaseOptions) -> dict[str, str]:
    """Options of a program, but those that lead outside the workplace, with their defaults."""
    parser = OneLineParser()
    program.add_options(parser)
    for room in (find_model("lnr"), find_dataset("layered_video")):
        room.add_options(parser, program.is_train)
    return {action.option_strings[0]: str(action.default) for action in parser._actions
            if not re.search("help|_dir|gpu_ids|display_server|display_port", action.option_strings[0])}


def run_case(place: Workplace, kind: str, seed: int, number: int) -> tuple[str, str]:
    """One case.

    Returns:
        "success", "one line" or "FAILED"; and what happened.
    """
    rng = random.Random(f"{seed} {kind} {number}")
    with place.case():
        command = KINDS[kind][0](rng, place)
        status, output, fault = _run(place, command)
        written = list(place.written)
    told = [line for line in re.split(r"[\n\r]", output) if line.startswith("error: ")]
    if fault is None and written:
        fault = f"wrote outside: {written[:3]}"
    elif fault is None and "Traceback (most recent call last)" in output:
        fault = "a traceback"
    elif fault is None and status not in (0, 1 if "--check" in command else 0, 2):
        fault = f"status {status}"
    elif fault is None and status == 2 and len(told) != 1 and "--check" not in command:
        fault = f"{len(told)} lines of errors"
    if fault is not None:
        return "FAILED", f"{kind}:{number}: {' '.join(command)}\n{fault}\n{output[-1500:]}"
    return ("one line" if status == 2 else "success"), "".join(told)


def _run(place: Workplace, command: tuple[str, ...]) -> tuple[int, str, str | None]:
    """Exit status, what was printed, and what must not happen."""
    argv, printed = sys.argv, io.StringIO()
    handler = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    sys.argv = list(command)
    place.watch()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            runpy.run_path(str(ROOT / command[0]), run_name="__main__")
        return 0, printed.getvalue(), None
    except SystemExit as stop:
        return stop.code or 0, printed.getvalue(), None
    except TooLong:
        return 0, printed.getvalue(), f"takes longer than {SECONDS} s"
    except BaseException:
        return 1, printed.getvalue(), traceback.format_exc()[-3000:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        sys.argv = argv


def _too_long(*_signal) -> None:
    raise TooLong


def fuzz(cases: int, seed: int, only: str | None = None, say: Callable[[str], None] = print) -> dict[str, Counter]:
    """Run cases of all kinds; returns how they ended, by kind, and says each failure."""
    total = sum(share for _, share in KINDS.values())
    plan = [(kind, number) for kind, (_, share) in KINDS.items() for number in range(-(-cases * share // total))]
    if only:
        kind, _, number = only.partition(":")
        plan = [case for case in plan if case[0] == kind and number in ("", str(case[1]))]
    random.Random(seed).shuffle(plan)
    ended = {kind: Counter() for kind in KINDS}
    sys.dont_write_bytecode = True
    allocator.keep_freed_memory = lambda: None  # it would keep what one strange case needed
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "work").mkdir()
        place = Workplace(Path(folder) / "work")
        for kind, number in tqdm(plan, desc="fuzz", unit="case", disable=None):
            how, what = run_case(place, kind, seed, number)
            ended[kind][how] += 1
            if how == "FAILED":
                say(what)
    return ended


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Damaged and strange input for every program.")
    parser.add_argument("--cases", type=int_at_least(1), default=10_000, metavar="N", help="how many (default: 10000)")
    parser.add_argument("--seed", type=int_at_least(0), default=1, metavar="N",
                        help="another seed, other cases (default: 1)")
    parser.add_argument("--only", metavar="KIND[:NUMBER]", help=f"only cases of {', '.join(KINDS)}; or one of them")
    return parser.parse_args()


def main() -> int:
    """Run the cases and print how they ended; returns the exit status."""
    opt = parse()
    torch.set_num_threads(1)
    ended = fuzz(opt.cases, opt.seed, opt.only, lambda text: print(f"\n{text}\n", flush=True))
    for kind, how in ended.items():
        print(f"{kind:>22}: {how['success']:5} success, {how['one line']:5} one-line errors, {how['FAILED']:5} FAILED")
    return 1 if any(how["FAILED"] for how in ended.values()) else 0


if __name__ == "__main__":
    with reported_in_one_line():
        sys.exit(main())
