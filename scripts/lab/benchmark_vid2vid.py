"""Measure training of video-to-video synthesis beside the published computation: docs/vid2vid/performance.md.

    python scripts/lab/benchmark_vid2vid.py --out docs/vid2vid/performance.md

Each program has a process of its own and one thread, and they take their steps in turn, so that whatever else the
machine does meets all of them. Seconds are those that the processor worked for the process, the median of all steps,
per frame that is generated. Weights of VGG are drawn at random, which costs as much; flow is DIS's in all of them.
"""

import multiprocessing
import statistics
import sys
import time
from argparse import Namespace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from data.loading import create_dataset, resolved  # noqa: E402
from datasets.make_vid2vid_sample import make_sample  # noqa: E402
from models.perceptual import VggFeatures  # noqa: E402
from models.vid2vid_cost import frame_cost  # noqa: E402
from models.vid2vid_model import Vid2VidModel  # noqa: E402
from models.vid2vid_temporal import growth  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402
from scripts.lab.benchmark import processor  # noqa: E402
from scripts.lab.published_vid2vid import PublishedVid2Vid  # noqa: E402
from util.allocator import keep_freed_memory  # noqa: E402
from util.command_line import OneLineParser, int_at_least  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402
from util.files import write_text  # noqa: E402

PROGRAMS = {"published": (PublishedVid2Vid, []), "fp32": (Vid2VidModel, []), "bf16": (Vid2VidModel, ["--amp", "bf16"])}
SMALL = ["--model", "vid2vid", "--gpu_ids", "-1", "--flow_net", "dis", "--no_vgg", "--n_frames_total", "2",
         "--max_frames_per_gpu", "2"]
WORK = {
    "street, 256x128": ("street", 128, ["--label_nc", "35", "--use_instance", "--fg", "--load_size", "256", "--ngf",
                                        "32", "--ndf", "32", "--n_downsample_G", "2"]),
    "dancer, 192x256": ("dancer", 256, ["--dataset_mode", "pose", "--input_nc", "6", "--no_first_img", "--load_size",
                                        "256", "--resize_or_crop", "scaleHeight", "--ngf", "16", "--ndf", "32"]),
}
"""Kind of sample, its height, and options: the published ones for one GPU but for the widths of networks."""
H100_BF16, SHARE = 989e12, 0.4
VIDEOS, FRAMES = 2975, 30
SCHEDULES = {
    "street, 512x256": ((256, 512), "--n_frames_total 6 --max_frames_per_gpu 6"),
    "street, 1024x512": ((512, 1024), "--n_scales_spatial 2 --num_D 3 --n_frames_total 4 --max_frames_per_gpu 4 "
                                      "--niter_step 2"),
    "street, 2048x1024": ((1024, 2048), "--n_scales_spatial 3 --num_D 4 --n_frames_total 4 --max_frames_per_gpu 4 "
                                        "--niter_step 1 --niter 5 --niter_decay 5"),
}
"""(height, width) and options of the published stages, on Cityscapes' 2975 videos of 30 frames."""


def main() -> None:
    """Measure, and write the page."""
    parser = OneLineParser(description="Measure training of vid2vid beside the published computation.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/vid2vid/performance.md", metavar="FILE",
                        help="page to write (default: docs/vid2vid/performance.md)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder for sample data (required)")
    parser.add_argument("--steps", type=int_at_least(1), default=3, metavar="N", help="of each program (default: 3)")
    opt = parser.parse_args()
    rows = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        peaks = pool.map(peak, (torch.float32, torch.bfloat16))
    for work, (kind, height, options) in WORK.items():
        dataroot = opt.data / kind
        if not dataroot.exists():
            make_sample(kind, dataroot, sequences=1, frames=8, height=height)
        for vgg in (False, True):
            rows += measured(context, work, [*options, "--dataroot", str(dataroot)], vgg, opt.steps, peaks)
    text = page(rows)
    write_text(opt.out, text)
    print(text)


def peak(dtype: torch.dtype) -> float:
    """Operations per second of one thread in 3x3 convolutions of 256 channels, the best of ten."""
    torch.set_num_threads(1)
    x = torch.randn(1, 256, 64, 64, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    seconds = []
    for _ in range(10):
        began = time.process_time()
        F.conv2d(x, weight, padding=1)
        seconds.append(time.process_time() - began)
    return 2 * x.numel() * 9 * 256 / min(seconds)


def measured(context, work: str, options: list[str], vgg: bool, steps: int, peaks: list[float]) -> list[str]:
    """A row of the table for each program, which took their steps in turn."""
    workers = {}
    for program in PROGRAMS:
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, program, options, vgg), daemon=True)
        process.start()
        workers[program] = ours, process
    flop = {program: ours.recv() for program, (ours, _) in workers.items()}
    seconds: dict[str, list[float]] = {program: [] for program in PROGRAMS}
    for _ in range(steps):
        for program, (ours, _) in workers.items():
            ours.send("step")
            seconds[program].append(ours.recv())
    rows = []
    for program, (ours, process) in workers.items():
        ours.send("end")
        memory = ours.recv()
        process.join()
        spent = statistics.median(seconds[program])
        speed = statistics.median(a / b for a, b in zip(seconds["published"], seconds[program]))
        share = flop[program] / spent / peaks[program == "bf16"]
        rows.append(f"| {work}{', perceptual loss' if vgg else ''} | {program} | {flop[program] / 1e9:.1f} | "
                    f"{spent:.2f} | {speed:.2f} | {share:.0%} | {memory / 2**30:.2f} GiB |")
        print(rows[-1], flush=True)
    return rows


def serve(connection, program: str, options: list[str], vgg: bool) -> None:
    """Train: send operations per frame, then at each "step" the seconds per frame, at the "end" the peak memory."""
    torch.set_num_threads(1)
    kind, own = PROGRAMS[program]
    if program != "published":
        keep_freed_memory()
    opt = resolved(TrainOptions().parse([*SMALL, *options, *own]))
    model, dataset = kind(opt), create_dataset(opt)
    if vgg:
        torch.manual_seed(0)
        model.vgg = VggFeatures()
    model.start_phase(model.phases()[0])
    model.start_epoch(1)
    batch = dataset.collate([dataset.item(0, None, 1)])
    frames = batch["A"].shape[1] - opt.n_frames_G + 1
    with FlopCounterMode(display=False) as counter:
        model.optimize_parameters(batch)
    connection.send(counter.get_total_flops() / frames)
    while connection.recv() == "step":
        began = time.process_time()
        model.optimize_parameters(batch)
        connection.send((time.process_time() - began) / frames)
    import resource  # not on Windows
    connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def schedule(size: tuple[int, int], options: str) -> tuple[float, float]:
    """Frames of a published stage, and hours on one H100 at 40 % of its peak of bf16."""
    words = f"--model vid2vid --label_nc 35 --use_instance --fg --gpu_ids -1 --dataroot none {options}".split()
    opt: Namespace = TrainOptions().parse(words)
    frames = 0
    for epoch in range(1, opt.n_epochs + opt.n_epochs_decay + 1):
        wanted = opt.n_frames_total * 2 ** ((epoch - 1) // opt.niter_step)
        load = growth(opt, 1, epoch).frames_per_load
        of_clip = min(wanted, FRAMES - opt.n_frames_G + 1)
        frames += VIDEOS * (of_clip // min(load, of_clip) * min(load, of_clip))
    return frames, frames * sum(frame_cost(opt, size).flop.values()) / (SHARE * H100_BF16) / 3600


def page(rows: list[str]) -> str:
    """The page."""
    stages = [f"| {name} | {frames / 1e6:.2f} million | {hours:.0f} h |"
              for name, (frames, hours) in ((name, schedule(*stage)) for name, stage in SCHEDULES.items())]
    return "\n".join([
        "# Performance of video-to-video synthesis", "",
        "Training beside a plain copy of the published computation, which meets the published figures",
        "([scripts/lab/published_vid2vid.py](../../scripts/lab/published_vid2vid.py)); one thread, widths of networks "
        "reduced,", "seconds of processor time, steps taken in turn (scripts/lab/benchmark_vid2vid.py).", "",
        f"{processor()}, torch {torch.__version__}:", "",
        "| | | GFLOP per frame | s per frame | speed | share of the peak | memory |", "|---|---|---|---|---|---|---|",
        *rows, "",
        "What the published stages for streets would take on one H100, by calculation: operations of all frames at "
        f"{SHARE:.0%} of", f"{H100_BF16 / 1e12:.0f} TFLOP/s (bf16), without the flow teacher.", "",
        "| stage | frames | time |", "|---|---|---|", *stages, ""])


if __name__ == "__main__":
    with reported_in_one_line():
        main()
