"""Measure layers at the size of the video, on clips whose layers are known, beside enlarged layers and cut-outs.

    python datasets/make_sample.py --dataroot benchmark/hd --own_scale 4 --frames 24 --noise 2
    python scripts/lab/benchmark_full_size.py --clips benchmark/hd --out full_size.md

Each clip is drafted with masks as small as rgb_256. Its layers are exported at the size of rgb/ (*own size*) and as
small as before, which are then *enlarged*. The *cut-out* has the true masks of full size over the temporal median.
Measured, always at full size: PSNR of the background, of the frames put together again, of each person removed and of
one shown a third of the clip later, against the same of the true layers; and the mean error of the alpha in a band
around people's edges, in thousandths. Below it are the seconds of one core and the memory of each command.
"""

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from evaluation.images import psnr
from evaluation.layers import over
from util.command_line import OneLineParser, int_at_least
from util.errors import reported_in_one_line
from util.files import write_text
from util.images import read_image, unit_range, write_png
from util.program import verb_command
from vision.layers.clean_plate import visible_quantile

WAYS = {"own": "own size", "small": "enlarged", "cut_out": "cut-out"}
MEASURES = ("background", "frames", "removed", "late", "edges")
BAND = 1.5  # pixels of rgb_256 on each side of an edge


class Cost(NamedTuple):
    """What a command took: seconds of one core, and GB at its peak."""

    seconds: float
    gigabytes: float


def main() -> None:
    """Measure all clips, and write the table."""
    opt = parse()
    rows, costs = [], []
    for clip in opt.clips:
        with tempfile.TemporaryDirectory() as folder:
            made, cost = layers_of(clip, Path(folder))
            rows += [(clip.name, way, measured(clip, layers, opt.every)) for way, layers in made.items()]
            costs.append((clip.name, cost))
    write_text(opt.out, table(rows) + "\n" + cost_table(costs))
    print(f"full size: {opt.out}")


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Measure layers at the size of the video, on clips with known layers.")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, metavar="DIR",
                        help="clips that make_sample.py has made with --own_scale (required)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="table to write, Markdown (required)")
    parser.add_argument("--every", type=int_at_least(1), default=1, metavar="N",
                        help="measure every Nth frame (default: 1)")
    return parser.parse_args()


def layers_of(clip: Path, folder: Path) -> tuple[dict[str, LayerFolder], dict[str, Cost]]:
    """The layers of all ways, in a folder, and what each command took."""
    root = Dataroot.open(clip)
    work = folder / "clip"
    work.mkdir()
    for path in clip.iterdir():
        if path.name != "mask":
            (work / path.name).symlink_to(path.resolve())
    for path in (clip / "mask").rglob("*.png"):
        write_png(work / path.relative_to(clip), cv2.resize(read_image(path, "L"), root.metadata.size,
                                                            interpolation=cv2.INTER_AREA))
    own = ["--checkpoints_dir", str(folder / "runs"), "--name", "draft"]
    ended = [*own, "--results_dir"]
    if not (work / "iuv").exists():
        timed([sys.executable, str(Path(__file__).parents[2] / "datasets/keypoints_to_iuv.py"), "--dataroot", str(work),
               "--source", "drawn", "--use_mask_images"])
    cost = {"train.py --preset draft": timed([*verb_command("train"), "--dataroot", str(work), "--preset", "draft",
                                              "--display_id", "0", *own]),
            "test.py": timed([*verb_command("test"), *ended, str(folder / "own")]),
            "test.py --size network": timed([*verb_command("test"), "--size", "network", *ended,
                                             str(folder / "small")]),
            "retime.py": timed([*verb_command("retime"), *ended, str(folder / "own"), "--offset", "1:+3", "--out",
                                str(folder / "late.mp4")])}
    cut_out(root, folder / "cut_out")
    return {"own": LayerFolder.open(folder / "own/draft/test_latest"),
            "small": LayerFolder.open(folder / "small/draft/test_latest"),
            "cut_out": LayerFolder.open(folder / "cut_out")}, cost


def timed(command: list[str]) -> Cost:
    """Run a command to its end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 2 ** 20)


def cut_out(root: Dataroot, folder: Path) -> None:
    """Write the people of the true masks over the temporal median, at full size."""
    truth = LayerFolder.open(root.path / "gt")
    pictures = np.stack([frame_of(root, name) for name in root.frames])
    mattes = {number: np.stack([read_image(root.path / f"mask/{number:02d}/{name}.png", "L") for name in root.frames])
              for number in truth.numbers}
    covered = reduce(np.maximum, mattes.values()) > 0
    covered &= ~covered.all(axis=0)  # who stands there all the while stays
    background = (255 * visible_quantile(pictures, ~covered, 0.5)[0]).round().astype(np.uint8)
    for frame, name in enumerate(root.frames):
        write_png(folder / f"images/{name}_rgba_l0.png", background)
        for number, matte in mattes.items():
            write_png(folder / f"images/{name}_rgba_l{number}.png", np.dstack([pictures[frame], matte[frame]]))


def frame_of(root: Dataroot, name: str) -> np.ndarray:
    """A full-size frame, uint8 [H, W, 3]."""
    return read_image(root.path / f"rgb/{name}.png", "RGB")


def measured(clip: Path, layers: LayerFolder, every: int) -> dict[str, float]:
    """`MEASURES` of layers against the true ones, over every Nth frame."""
    root, truth = Dataroot.open(clip), LayerFolder.open(clip / "gt")
    errors: dict[str, list[float]] = {measure: [] for measure in MEASURES}
    for frame in range(0, len(root.frames), every):
        for measure, error in errors_in(root, truth, layers, frame):
            errors[measure].append(error)
    return {measure: 1000 * float(np.mean(found)) if measure == "edges" else psnr(float(np.mean(found)))
            for measure, found in errors.items()}


def errors_in(root: Dataroot, truth: LayerFolder, layers: LayerFolder, frame: int) -> Iterator[tuple[str, float]]:
    """The errors of a frame: mean squares, and of edges the mean of absolutes."""
    order, late = root.composite_order(frame, truth.numbers), max(frame - len(root.frames) // 3, 0)
    one, other = (Shown(folder, truth.size) for folder in (layers, truth))
    yield "background", square(one.background(frame), other.background(frame))
    yield "frames", square(one.composite(frame, order), unit_range(frame_of(root, root.frames[frame])))
    for number in order:
        rest = [layer for layer in order if layer != number]
        yield "removed", square(one.composite(frame, rest), other.composite(frame, rest))
    times = {order[-1]: late}
    yield "late", square(one.composite(frame, order, times), other.composite(frame, order, times))
    reach = round(BAND * truth.size[0] / root.metadata.size[0])
    side = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    for number in order:
        person = read_image(truth.path / f"person_{number:02d}/{root.frames[frame]}.png", "L")
        band = (cv2.dilate(person, side) > 5) & (cv2.erode(person, side) < 250)
        if band.any():
            yield "edges", float(np.abs(one.layer(number, frame) - other.layer(number, frame))[..., 3][band].mean())


class Shown:
    """Layers at a size (width, height): float32 in [0, 1], premultiplied; smaller ones are enlarged."""

    def __init__(self, layers: LayerFolder, size: tuple[int, int]):
        self.layers, self.size = layers, size

    def background(self, frame: int) -> np.ndarray:
        """[H, W, 3]."""
        return self._enlarged(unit_range(self.layers.background(frame)))

    def layer(self, number: int, frame: int) -> np.ndarray:
        """[H, W, 4]."""
        picture = unit_range(self.layers.layer(number, frame))
        picture[..., :3] *= picture[..., 3:]
        return self._enlarged(picture)

    def composite(self, frame: int, order: list[int], times: dict[int, int] | None = None) -> np.ndarray:
        """Layers back to front over the background [H, W, 3]; `times` are the frames of those that show another."""
        return over(self.background(frame), [self.layer(number, (times or {}).get(number, frame)) for number in order])

    def _enlarged(self, picture: np.ndarray) -> np.ndarray:
        return cv2.resize(picture, self.size, interpolation=cv2.INTER_CUBIC).clip(0, 1)


def square(one: np.ndarray, other: np.ndarray) -> float:
    """Mean squared difference."""
    return float(np.square(one - other).mean())


def table(rows: list[tuple[str, str, dict[str, float]]]) -> str:
    """Clips and ways, with their figures."""
    lines = ["| clip | layers | background | frames | removed | late | alpha at edges |",
             "|---|---|---|---|---|---|---|"]
    for clip, way, figures in rows:
        values = [f"{figures[measure]:.1f}{'' if measure == 'edges' else ' dB'}" for measure in MEASURES]
        lines.append(f"| {clip} | {WAYS[way]} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def cost_table(costs: list[tuple[str, dict[str, Cost]]]) -> str:
    """Clips and commands, with seconds and memory."""
    lines = ["| clip | command | s of one core | GB |", "|---|---|---|---|"]
    lines += [f"| {clip} | `{command}` | {one.seconds:.1f} | {one.gigabytes:.2f} |"
              for clip, cost in costs for command, one in cost.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with reported_in_one_line():
        main()
