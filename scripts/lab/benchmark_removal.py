"""Measure how well people are removed, on clips whose layers are known, beside what inpainting and a median do.

    python scripts/lab/benchmark_removal.py --clips benchmark/a benchmark/b --out removal.md --picture removal.jpg

A clip is a dataroot with true layers in gt/ (datasets/make_sample.py makes such). Each person is removed in turn: by
the layers of a draft with --moving_background, which take the shadow along; by the temporal median of frames without
people (datasets/cut_out.py); and by OpenCV's inpainting (Telea, 2004) of the mask, frame by frame. The true picture is
composited from the true layers. Measured is the region of the person and of the shadow: the error, and how much it
changes from frame to frame, against the change of the source beside it. A patch that is frozen in living grain scores 0
there, one that flickers more than 1.
"""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.dataroot import Dataroot
from data.decomposition import Decomposition, decompose
from data.layer_folder import LayerFolder
from datasets.cut_out import median_background
from evaluation.clip import Pictures
from evaluation.layers import over
from util.command_line import OneLineParser
from util.errors import reported_in_one_line
from util.files import write_text, written_atomically
from util.images import write_image
from util.tensors import to_tensor
from vision.geometry.canvas import Canvas
from vision.layers.clean_plate import LEVEL
from vision.layers.mattes import composite_over, layers_from_mattes, share_detail

WAYS = {"ours": "draft, `--moving_background`", "median": "temporal median", "telea": "inpainting (Telea)",
        "source": "nothing"}
REGION, BESIDE = 0.05, 9  # opacity of the person's true layer from which on it counts; pixels beside it


def main() -> None:
    """Measure all clips, and write the table and the picture."""
    opt = parse()
    rows, pictures = [], []
    for path in opt.clips:
        clip = RemovalClip(path)
        for number in sorted(clip.made.people):
            figures, picture = clip.measured(number)
            rows.append((f"{path.name}, person {number}", figures))
            pictures.append(picture)
    write_text(opt.out, table(rows))
    if opt.picture:
        widest = max(picture.shape[1] for picture in pictures)
        padded = [np.pad(one, ((0, 4), (0, widest - one.shape[1]), (0, 0)), constant_values=255) for one in pictures]
        with written_atomically(opt.picture) as temporary:
            write_image(temporary, np.vstack(padded))
    print(f"removal: {opt.out}")


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Measure how well people are removed, on clips with known layers.")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, metavar="DIR",
                        help="dataroots with gt/ (required)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="table to write, Markdown (required)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="picture to write: a row for each person removed")
    return parser.parse_args()


class RemovalClip:
    """A clip, its true layers and its draft."""

    def __init__(self, path: Path):
        self.root = Dataroot.open(path)
        self.length = len(self.root.frames)
        self.true = Pictures(LayerFolder.open(path / "gt"), self.root.frames, self.root.metadata.size)
        self.made: Decomposition = decompose(self.root.path, (path / "homographies.txt").exists(), self.length)
        canvas = Canvas.of(self.root.camera_motion(), self.root.metadata.size)
        covered = np.max([np.asarray(mattes) for mattes in self.made.people.values()], axis=0)
        median = median_background(np.stack(self.made.frames), covered == 0, canvas)
        self.medians = [canvas.seen(median, frame, cv2.INTER_CUBIC) for frame in range(self.length)]

    def measured(self, number: int) -> tuple[dict[str, tuple[float, float]], np.ndarray]:
        """Removing a person: (PSNR in the region, change against the source's beside it) of each way, and a picture."""
        ways: dict[str, Callable[[int], np.ndarray]] = {
            "ours": lambda frame: self.without(number, frame),
            "median": lambda frame: self.cut_out_without(number, frame),
            "telea": lambda frame: unit(cv2.inpaint(self.made.frames[frame], self.mask(number, frame), 5,
                                                    cv2.INPAINT_TELEA)),
            "source": lambda frame: unit(self.made.frames[frame])}
        results = {}
        regions = [self.true.layer(number, frame)[..., 3] > REGION for frame in range(self.length)]
        truth = [self.true_without(number, frame) for frame in range(self.length)]
        source = [unit(frame) for frame in self.made.frames]
        shown = {}
        for way, render in ways.items():
            frames = [render(frame) for frame in range(self.length)]
            shown[way] = frames[self.length // 2]
            error = np.concatenate([np.square(made - true)[where] for made, true, where in zip(frames, truth, regions)])
            results[way] = (-10 * np.log10(max(error.mean(), 1e-10)),
                            self.restlessness(number, frames, source, regions))
        middle = self.length // 2
        row = [source[middle], shown["telea"], shown["median"], shown["ours"], truth[middle]]
        return results, (255 * np.hstack(row)).clip(0, 255).round().astype(np.uint8)

    def restlessness(self, number: int, frames: list[np.ndarray], source: list[np.ndarray],
                     regions: list[np.ndarray]) -> float:
        """Change from frame to frame in the region, against that of the source beside it (means of absolutes)."""
        inside, beside = [], []
        around = np.ones((2 * BESIDE + 1, 2 * BESIDE + 1), np.uint8)
        for k in range(1, self.length):
            opacities = {other: np.max([self.true.layer(other, frame)[..., 3] for frame in (k, k - 1)], axis=0)
                         for other in self.made.people}
            anybody = np.max(list(opacities.values()), axis=0) > 0.02
            others = np.max([np.zeros(anybody.shape), *(opacities[n] for n in opacities if n != number)], axis=0)
            both = regions[k] & regions[k - 1] & (others <= 0.02)
            ring = (cv2.dilate(both.astype(np.uint8), around) > 0) & ~anybody
            inside.append(np.abs(frames[k] - frames[k - 1])[both].ravel())
            beside.append(np.abs(source[k] - source[k - 1])[ring].ravel())
        change, expected = (np.concatenate(parts) for parts in (inside, beside))
        return float(change.mean() / max(expected.mean(), LEVEL / 10)) if change.size and expected.size else 0.0

    def without(self, number: int, frame: int) -> np.ndarray:
        """The layers of a draft, as test.py exports them with --moving_background, without those of a person."""
        order = self.root.composite_order(frame, sorted(self.made.people))
        nobody = np.zeros(self.made.frames[frame].shape[:2], np.float32)
        people, effects = (torch.from_numpy(np.stack([nobody, *(alpha(other, frame) for other in order)]))[None]
                           for alpha in (self.made.person_alpha, self.made.effect_alpha))
        background, image = (to_tensor(picture)[None] for picture in (self.made.moving_background(frame),
                                                                      self.made.frames[frame]))
        layers = share_detail(layers_from_mattes(background, image, people, effects), image)
        kept = [0, *(place for place, other in enumerate(order, 1) if other != number)]
        return ((composite_over(layers[:, kept])[0, :3] + 1) / 2).movedim(0, 2).numpy()

    def cut_out_without(self, number: int, frame: int) -> np.ndarray:
        """The other people, cut out by their masks, over the median."""
        picture, image = unit(self.medians[frame]), unit(self.made.frames[frame])
        for other in self.root.composite_order(frame, sorted(self.made.people)):
            if other != number:
                alpha = unit(self.made.people[other][frame])[..., None]
                picture = image * alpha + picture * (1 - alpha)
        return picture

    def mask(self, number: int, frame: int) -> np.ndarray:
        """What is inpainted: the person's mask and a little more, uint8 [H, W]."""
        return cv2.dilate((self.made.people[number][frame] > 5).astype(np.uint8), np.ones((5, 5), np.uint8))

    def true_without(self, number: int, frame: int) -> np.ndarray:
        """The true picture without a person."""
        order = self.root.composite_order(frame, sorted(self.made.people))
        return over(self.true.background(frame), [self.true.layer(n, frame) for n in order if n != number])


def unit(picture: np.ndarray) -> np.ndarray:
    """uint8 as float32 in [0, 1]."""
    return picture * LEVEL


def table(rows: list[tuple[str, dict[str, tuple[float, float]]]]) -> str:
    """Markdown: a row for each person removed, and the means."""
    lines = ["| removed | " + " | ".join(WAYS.values()) + " |", "|---|" + "---|" * len(WAYS)]
    means = {way: tuple(np.mean([figures[way] for _, figures in rows], axis=0)) for way in WAYS}
    for name, figures in [*rows, ("**mean**", means)]:
        cells = [f"{figures[way][0]:.1f} dB, {figures[way][1]:.2f} ×" for way in WAYS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with reported_in_one_line():
        main()
