"""Measure training and export on this machine, beside the published computation: docs/layered_video/performance.md.

    python scripts/benchmark.py

takes a GPU if there is one. Every program is measured as a user runs it: in a process of its own, which is alone while
it takes its steps one after the other. What is compared comes round several times, so that whatever else the machine
does meets all of it. The machine gets a section and plots of its own; those of other machines stay.
"""

import contextlib
import io
import multiprocessing
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from data.loading import create_dataset, create_test_loader, create_training_loader, resolved  # noqa: E402
from models.base_model import Phase  # noqa: E402
from models.lnr_model import LnrModel  # noqa: E402
from models.lnr_networks import LayeredRenderer  # noqa: E402
from options.test_options import TestOptions  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402
from scripts.lab.published_reference import PublishedRenderer  # noqa: E402
from util import loading_torch  # noqa: E402
from util.allocator import keep_freed_memory  # noqa: E402
from util.command_line import OneLineParser  # noqa: E402
from util.errors import UserError, reported_in_one_line  # noqa: E402
from util.files import write_text, written_atomically  # noqa: E402
from util.images import write_png  # noqa: E402
from vision.people.iuv import atlas_tiles  # noqa: E402

PROGRAMS = {"published": (), "fp32": (), "bf16": ("--amp", "bf16")}
"""What is compared: the published computation, and this program with options."""
WORK = ("phase 1", "phase 2", "export", "export, upsampled")
EPOCHS = {"phase 1": 2000, "phase 2": 500}
"""The published schedule."""


@dataclass(frozen=True)
class Scale:
    """How large everything is that is measured.

    Attributes:
        size: width and height of the frames at low resolution, pixels.
        batch: frames per step of each kind of work; 1 for export.
        warm_up: steps that a process takes before the first that counts; one more counts FLOP.
        repeats: steps of which the median is taken.
        rounds: how often each of the programs that are compared is started.
        layers: numbers of people, each with a layer, besides the background.
        frames: lengths of clips.
        edge: side of the matrices whose product shows the machine's peak.
    """

    size: tuple[int, int] = (448, 256)
    num_filters: int = 64
    batch: dict[str, int] = field(default_factory=lambda: {"phase 1": 4, "phase 2": 4})
    warm_up: int = 1
    repeats: int = 3
    rounds: int = 3
    layers: tuple[int, ...] = (1, 2, 4, 7)
    frames: tuple[int, ...] = (10, 50, 200)
    edge: int = 2048


QUICK = Scale((96, 64), 4, {"phase 1": 2, "phase 2": 2}, 0, 1, 1, (1, 2), (2, 4), 128)
ON_CPU = Scale()
ON_GPU = Scale(batch={"phase 1": 32, "phase 2": 16}, warm_up=10, repeats=10, edge=8192)


@dataclass(frozen=True)
class Task:
    """What one process measures: a kind of work by a program on a clip."""

    work: str
    program: str
    people: int = 1
    frames: int = 0  # 0: two batches


@dataclass
class Figures:
    """What was measured. Seconds and FLOP are per frame.

    Attributes:
        seconds: of computing.
        loading: seconds of making a frame's part of the batch from what is in memory.
        reading: seconds of reading a frame from disk into memory, before training.
        memory: peak, bytes: of the process, or on the GPU.
        speed: how many times as fast as the published computation: the median of the rounds.
        slowest, fastest: the same of the rounds where that was least and most.
    """

    seconds: float
    loading: float
    reading: float
    flop: float
    memory: int
    speed: float = 1.0
    slowest: float = 1.0
    fastest: float = 1.0


def main() -> None:
    """Measure, plot, write."""
    opt = parse()
    on_gpu = torch.cuda.is_available() and not opt.cpu
    scale = QUICK if opt.quick else ON_GPU if on_gpu else ON_CPU
    machine = torch.cuda.get_device_name() if on_gpu else f"{processor()}, {os.cpu_count()} cores"
    begun, used_before = time.monotonic(), used_by_others()
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(scale, "0" if on_gpu else "-1", Path(folder))
        peaks = laboratory.peaks()
        speed = {work: dict(zip(PROGRAMS, laboratory.measure([Task(work, program) for program in PROGRAMS])))
                 for work in WORK}
        layers = {n: laboratory.measure([Task("phase 1", "fp32", people=n)])[0] for n in scale.layers}
        clips = {n: laboratory.measure([Task("phase 1", "fp32", frames=n)])[0] for n in scale.frames}
        exports = {n: laboratory.measure([Task("export", "fp32", frames=n)], repeats=n)[0] for n in scale.frames}
        peaks = {key: max(value, peaks[key]) for key, value in laboratory.peaks().items()}  # the machine may be busy
    slug = re.sub(r"[^a-z0-9]+", "_", machine.lower()).strip("_")
    plots = {"speed": f"performance/{slug}_speed.svg", "scaling": f"performance/{slug}_scaling.svg"}
    plot_speed(opt.out / plots["speed"], speed, machine)
    plot_scaling(opt.out / plots["scaling"], layers, clips, exports)
    busy = (used_by_others() - used_before) / (time.monotonic() - begun)
    text = section(machine, scale, on_gpu, busy, peaks, speed, layers, clips, exports, plots)
    page = opt.out / "performance.md"
    write_text(page, with_section(page.read_text(encoding="utf-8") if page.exists() else "# Performance\n", text))
    print(f"{text}\nwritten to {page}")


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Measure training and export on this machine; write "
                                       "docs/layered_video/performance.md.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works; figures mean nothing")
    parser.add_argument("--cpu", action="store_true", help="the CPU, although there is a GPU")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/layered_video", metavar="DIR",
                        help="folder of performance.md and performance/ (default: docs/layered_video)")
    return parser.parse_args()


def processor() -> str:
    """The name of the CPU."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def used_by_others() -> float:
    """CPU seconds that programs have used since the machine started, but for this one and those that it has ended.

    NaN where the system does not say.
    """
    try:
        import resource
        user, nice, system = Path("/proc/stat").read_text().split()[1:4]
        own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    except (ImportError, OSError):
        return float("nan")
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK") - sum(x.ru_utime + x.ru_stime for x in own)


class Laboratory:
    """Starts the processes that measure.

    Args:
        scale: how large everything is.
        gpu_ids: 0, or -1 for the CPU.
        folder: an empty one for clips.
    """

    def __init__(self, scale: Scale, gpu_ids: str, folder: Path):
        self.context = multiprocessing.get_context("spawn")
        self.scale, self.gpu_ids, self.folder = scale, gpu_ids, folder

    def peaks(self) -> dict[tuple[str, str], float]:
        """FLOP per second of a matrix product and of a 3x3 convolution, by ("matmul" or "conv", program)."""
        with self.context.Pool(1) as pool:
            return pool.apply(measure_peaks, (self.scale.edge, self.gpu_ids))

    def measure(self, tasks: list[Task], repeats: int | None = None) -> list[Figures]:
        """Figures of tasks that come round in turn, each in a process of its own; once if there is but one."""
        print(*(f"{task.work}, {task.program}, {task.people} people" for task in tasks), sep=" | ", flush=True)
        rounds = [[self.steps(task, repeats or self.scale.repeats) for task in tasks]
                  for _ in range(self.scale.rounds if len(tasks) > 1 else 1)]
        figures = []
        for i, task in enumerate(tasks):
            batch, mine = self.scale.batch.get(task.work, 1), [taken[i] for taken in rounds]
            loading, seconds = np.median(np.concatenate([taken.seconds for taken in mine]), axis=0) / batch
            speeds = [np.median(taken[0].seconds[:, 1]) / np.median(taken[i].seconds[:, 1]) for taken in rounds]
            figures.append(Figures(seconds, loading, min(taken.reading for taken in mine), mine[0].flop / batch,
                                   max(taken.memory for taken in mine), statistics.median(speeds), min(speeds),
                                   max(speeds)))
        return figures

    def steps(self, task: Task, repeats: int) -> "Steps":
        """Steps of a task, taken by a process that nothing else is measured beside.

        Raises:
            UserError: it ended early.
        """
        frames = task.frames or 2 * self.scale.batch.get(task.work, 1)
        clip = self.folder / f"{task.people}_people_{frames}_frames"
        if not clip.exists():
            make_clip(clip, frames, task.people, self.scale.size)
        ours, theirs = self.context.Pipe(duplex=False)
        process = self.context.Process(target=take, args=(theirs, task, repeats, self.scale, self.gpu_ids, clip),
                                       daemon=True)
        with openmp_of(task.program):
            process.start()
        theirs.close()
        try:
            return ours.recv()
        except EOFError:
            raise UserError("a process that measures ended early; its own message is above") from None
        finally:
            ours.close()
            process.join()


@dataclass
class Steps:
    """What one process measured.

    Attributes:
        seconds: [steps, 2], of loading a batch and of computing with it.
        reading: seconds of reading a frame from disk into memory.
        flop: of a step.
        memory: peak, bytes.
    """

    seconds: np.ndarray
    reading: float
    flop: int
    memory: int


@contextlib.contextmanager
def openmp_of(program: str) -> Iterator[None]:
    """The environment that a program is started in: the published one left OpenMP's threads as they are."""
    ours = {name: value for name, value in loading_torch.SHORT_WAITING.items() if os.environ.get(name) == value}
    if program == "published":
        for name in ours:
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(ours)


def make_clip(folder: Path, frames: int, people: int, size: tuple[int, int]) -> None:
    """A dataroot (docs/layered_video/data.md) of noise, with people that are moving boxes."""
    width, height = size
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (2 * height, 2 * width + 2 * frames, 3), np.uint8)
    for i in range(frames):
        frame = noise[:, 2 * i:2 * (width + i)]
        write_png(folder / f"rgb_512/{i + 1:04d}.png", frame)
        write_png(folder / f"rgb_256/{i + 1:04d}.png", np.ascontiguousarray(frame[::2, ::2]))
        for person in range(1, people + 1):
            uv = np.zeros((height, width, 4), np.uint8)
            left = (width * person // (people + 1) + i) % (3 * width // 4)
            box = uv[height // 4:3 * height // 4, left:left + width // 6]
            rows, columns = np.linspace(0, 23.99, len(box)), np.linspace(0, 255, box.shape[1])
            box[..., 0] = 10 * (1 + rows.astype(int))[:, None]
            box[..., 1], box[..., 2], box[..., 3] = columns, (255 * (rows % 1))[:, None], 255 - person
            write_png(folder / f"iuv/{person:02d}/{i + 1:04d}.png", uv)
    write_text(folder / "metadata.json", f'{{"alphapose_input_size": [{width}, {height}], "size_LR": [{width}, '
                                         f'{height}], "n_textures": {atlas_tiles(people)}}}')


def take(connection, task: Task, repeats: int, scale: Scale, gpu_ids: str, clip: Path) -> None:
    """Take the steps of a task and send them as `Steps`."""
    if task.program != "published":
        keep_freed_memory()
    with reported_in_one_line(), contextlib.redirect_stdout(io.StringIO()):
        load, compute, reading = prepare(task, scale, gpu_ids, clip)
        for _ in range(scale.warm_up):
            compute(load())
        with FlopCounterMode(display=False) as counter:  # not of the first step, which may prepare what later ones use
            compute(load())
        seconds = []
        for _ in range(repeats):
            loading, batch = timed(load)
            seconds.append((loading, timed(lambda batch=batch: compute(batch))[0]))
        import resource  # not on Windows
        on_gpu = gpu_ids != "-1"
        memory = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        connection.send(Steps(np.array(seconds), reading, counter.get_total_flops(),
                              memory if on_gpu or sys.platform == "darwin" else 1024 * memory))


def prepare(task: Task, scale: Scale, gpu_ids: str, clip: Path) -> tuple[Callable, Callable, float]:
    """What loads a batch, what computes a step with it, and the seconds that it took to read a frame from disk."""
    batch = scale.batch.get(task.work, 1)
    options = ["--dataroot", str(clip), "--num_filters", str(scale.num_filters), "--gpu_ids", gpu_ids,
               "--checkpoints_dir", str(clip / "checkpoints"), "--num_threads", "0", *PROGRAMS[task.program]]
    kind = PublishedModel if task.program == "published" else LnrModel
    if task.work.startswith("export"):
        opt = resolved(TestOptions().parse(options + ["--do_upsampling"] * (task.work == "export, upsampled")))
        dataset, model = create_dataset(opt), kind(opt)
        return endless(lambda: create_test_loader(dataset)), model.export, 0.0
    opt = resolved(TrainOptions().parse([*options, "--batch_size", str(batch), "--batch_size_upsample", str(batch)]))
    model = kind(opt)
    phase = model.phases()[WORK.index(task.work)]
    dataset = create_dataset(phase.opt)
    seconds, _ = timed(dataset.preload)
    model.start_phase(phase)
    model.start_epoch(phase.epochs.start)
    return endless(lambda: create_training_loader(dataset, phase.opt, phase.epochs)), model.optimize_parameters, (
        seconds / len(dataset))


class Renderer(PublishedRenderer):
    """The published computation for those who call `LayeredRenderer`."""

    base_parameters = LayeredRenderer.base_parameters
    upsampling_parameters = LayeredRenderer.upsampling_parameters

    def forward(self, uv_map, pids, upsample=False, crop=None, static_background=False, background=None):
        """Render all layers of all items."""
        return super().forward(uv_map, pids, upsample, crop)


class PublishedModel(LnrModel):
    """Trains and exports with the published computation."""

    def __init__(self, opt: Namespace):
        super().__init__(opt)
        self.renderer = Renderer(opt.num_filters, opt.texture_channels, opt.texture_res, opt.n_textures).to(self.device)
        self.networks = {"LNR": self.renderer}

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Adam as it was published."""
        groups = super().make_optimizers(phase)["LNR"].param_groups
        return {"LNR": torch.optim.Adam(groups[0]["params"], lr=phase.opt.lr)}


def endless(loader: Callable) -> Callable:
    """A function that gives batch after batch, from loader after loader."""
    batches = (batch for _ in iter(int, 1) for batch in loader())
    return lambda: next(batches)


def timed(function: Callable) -> tuple[float, object]:
    """Seconds that a call took, with all that it asked of a GPU; and its result."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    result = function()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - begun, result


def measure_peaks(edge: int, gpu_ids: str) -> dict[tuple[str, str], float]:
    """FLOP per second: the best of ten matrix products, and of ten 3x3 convolutions of 256 channels."""
    device, peaks = "cpu" if gpu_ids == "-1" else "cuda", {}
    for program, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(edge, edge, device=device, dtype=dtype)
        x = torch.randn(edge // 128, 256, 64, 64, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        w = torch.randn(256, 256, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        for kind, function in (("matmul", lambda a=a: a @ a), ("conv", lambda x=x, w=w: F.conv2d(x, w, padding=1))):
            with FlopCounterMode(display=False) as counter:
                function()
            peaks[kind, program] = counter.get_total_flops() / min(timed(function)[0] for _ in range(10))
    return peaks


def section(machine: str, scale: Scale, on_gpu: bool, busy: float, peaks: dict, speed: dict[str, dict[str, Figures]],
            layers: dict[int, Figures], clips: dict[int, Figures], exports: dict[int, Figures], plots: dict) -> str:
    """The machine's part of the page, as Markdown; `busy` is how many cores others used meanwhile, or NaN."""
    width, height = scale.size
    lines = [
        f"## {machine}", "",
        f"{date.today():%B %Y}, torch {torch.__version__.split('+')[0]}, {torch.get_num_threads()} threads; frames of "
        f"{width}×{height}, background and one person, {scale.num_filters} filters, "
        f"{scale.batch['phase 1']} and {scale.batch['phase 2']} frames per step of the two phases. Memory is that of "
        f"{'the GPU' if on_gpu else 'the process'} at its peak."
        + (f" Other programs used {busy:.1f} of the machine's cores meanwhile." if busy >= 0.05 else "")
        + (" Tiny sizes (--quick): the figures mean nothing." if scale is QUICK else ""), "",
        f"![How many times as fast]({plots['speed']})", "",
        "| | GFLOP per frame | s per frame | speed | share of the peak | memory |", "|---|---|---|---|---|---|"]
    for work, programs in speed.items():
        for program, f in programs.items():
            peak = peaks["conv", "bf16" if program == "bf16" else "fp32"]
            spread = f" ({f.slowest:.2f} to {f.fastest:.2f})" if f.slowest < f.fastest else ""
            lines.append(f"| {work}, {program} | {f.flop / 1e9:.4g} | {f.seconds:.3g} | {f.speed:.2f}{spread} | "
                         f"{f.flop / f.seconds / peak:.0%} | {gigabytes(f.memory)} |")
    rates = {key: f"{value / 1e9:.0f}" for key, value in peaks.items()}
    lines += ["", f"Peak, GFLOP/s: convolution {rates['conv', 'fp32']} (fp32), {rates['conv', 'bf16']} (bf16); matrix "
              f"product {rates['matmul', 'fp32']}, {rates['matmul', 'bf16']}.", "",
              "The published schedule (2000 + 500 epochs) for a clip of 70 frames takes " + ", ".join(
                  f"{schedule_hours(speed, program):.3g} hours ({program})" for program in PROGRAMS) + ".", "",
              f"![Scaling]({plots['scaling']})", "",
              *table("layers of people", layers, {"s per frame, phase 1": lambda f: f"{f.seconds:.3g}",
                                                  "memory": lambda f: gigabytes(f.memory)}), "",
              *table("frames of the clip", clips, {"reading it, s": lambda f, n: f"{n * f.reading:.3g}",
                                                   "memory, phase 1": lambda f: gigabytes(f.memory)}),
              *table("", exports, {"memory, export": lambda f: gigabytes(f.memory),
                                   "s per frame, export": lambda f: f"{f.seconds:.3g}"})[2:]]
    fastest = speed["phase 1"]["bf16"]
    return "\n".join([*lines, "", f"In phase 1 a frame takes one core {1000 * fastest.loading:.2g} ms to load from "
                      f"memory, and {1000 * fastest.seconds:.3g} ms to compute with (bf16).", ""])


def table(title: str, figures: dict[int, Figures], rows: dict[str, Callable]) -> list[str]:
    """A table with a column for each number; rows are functions of the figures, or of figures and number."""
    lines = [f"| {title} | " + " | ".join(map(str, figures)) + " |", "|---" * (1 + len(figures)) + "|"]
    for name, cell in rows.items():
        cells = [cell(f, n) if cell.__code__.co_argcount == 2 else cell(f) for n, f in figures.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def schedule_hours(speed: dict[str, dict[str, Figures]], program: str, frames: int = 70) -> float:
    """Hours that the published schedule takes."""
    return sum(epochs * frames * speed[work][program].seconds for work, epochs in EPOCHS.items()) / 3600


def gigabytes(memory: int) -> str:
    """Bytes in GiB."""
    return f"{memory / 2**30:.2f} GiB"


def with_section(page: str, text: str) -> str:
    """`page` with the section of the same heading replaced by `text`, or with `text` at its end."""
    parts = re.split(r"(?m)^(?=## )", page)
    headings = [part.split("\n")[0] for part in parts]
    heading = text.split("\n")[0]
    place = headings.index(heading) if heading in headings else len(parts)
    parts[place:place + 1] = [text]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def plot_speed(path: Path, speed: dict[str, dict[str, Figures]], machine: str) -> None:
    """Bars: how many times as fast as the published computation every program is, for every kind of work."""
    figure, axes = plt.subplots(1, len(speed), figsize=(9, 2.6), layout="constrained", facecolor="white")
    for ax, (work, programs) in zip(axes, speed.items()):
        bars = ax.bar(list(programs), [f.speed for f in programs.values()], color=["0.7", "tab:blue", "tab:orange"])
        ax.bar_label(bars, [f"{f.speed:.1f}" for f in programs.values()], padding=2)
        ax.set_title(work, fontsize=10)
        ax.margins(y=0.15)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("times as fast")
    figure.suptitle(machine, fontsize=10)
    save(figure, path)


def plot_scaling(path: Path, layers: dict[int, Figures], clips: dict[int, Figures],
                 exports: dict[int, Figures]) -> None:
    """Time and memory over layers, and memory over frames."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained", facecolor="white")
    axes[0].plot(list(layers), [f.seconds for f in layers.values()], "o-")
    axes[0].set(xlabel="layers of people", ylabel="s per frame, phase 1")
    axes[1].plot(list(layers), [f.memory / 2**30 for f in layers.values()], "o-")
    axes[1].set(xlabel="layers of people", ylabel="memory, GiB, phase 1")
    for label, figures in (("phase 1", clips), ("export", exports)):
        axes[2].plot(list(figures), [f.memory / 2**30 for f in figures.values()], "o-", label=label)
    axes[2].set(xlabel="frames of the clip", ylabel="memory, GiB")
    axes[2].legend(frameon=False)
    for ax, figures in zip(axes, (layers, layers, clips)):
        ax.set_xticks(list(figures))
        ax.margins(y=0.15)
        ax.set_ylim(bottom=0)
        ax.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def save(figure, path: Path) -> None:
    """As SVG, the same bytes for the same figures."""
    with written_atomically(path) as temporary, plt.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none"}):
        figure.savefig(temporary, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
