"""Cut the people out of a clip by their masks: the layers that need no method, and that a method must beat.

    python datasets/cut_out.py --dataroot datasets/sample --out results/cut_out

A layer is the frame's colours, its alpha the mask (mask/, or the shape in iuv/ where there are no masks) resized by
area to rgb_256. The background is the temporal median of the frames, without people where a pixel is ever seen without;
the frames are registered by homographies.txt where the clip has one. What people do to the scene (shadows,
reflections) is in no layer, and nobody has anything where somebody else hides him. The files are named as test.py
names them: images/0001_rgba_l0.png ...
"""

import sys
from argparse import Namespace
from functools import reduce
from pathlib import Path

import cv2
import numpy as np

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.dataroot import Dataroot
from data.decomposition import read_mattes, scene_canvas
from util.command_line import OneLineParser
from util.errors import reported_in_one_line
from util.files import results_added
from util.images import read_image, write_png
from vision.geometry.canvas import Canvas
from vision.layers.clean_plate import visible_quantile

DENSITY = 2  # canvas pixels per pixel of a moving camera's frame, each way: resampling twice costs less sharpness


def main() -> None:
    """Cut out, and say where the layers are."""
    opt = parse()
    cut_out(opt.dataroot, opt.out)
    print(f"layers cut out by masks: {Path(opt.out) / 'images'}")


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Cut the people out of a clip by their masks, over the frames' median.")
    add = parser.add_argument
    add("--dataroot", required=True, metavar="DIR",
        help="folder of the clip, see docs/layered_video/data.md (required)")
    add("--out", required=True, metavar="DIR", help="folder that gets the layers (required)")
    return parser.parse_args()


def cut_out(dataroot: Path | str, out: Path | str) -> None:
    """Write the layers of a clip.

    Raises:
        UserError: the dataroot is not in order, has neither masks nor UV maps, or homographies.txt must be wrong.
    """
    root = Dataroot.open(dataroot)
    frames = np.stack([read_image(root.file("rgb_256", k), "RGB") for k in range(len(root.frames))])
    mattes = read_mattes(root)
    canvas = scene_canvas(root, (root.path / "homographies.txt").exists(), DENSITY)
    background = median_background(frames, reduce(np.maximum, mattes.values()) == 0, canvas)
    with results_added(out, "cut_out") as temporary:
        for k, name in enumerate(root.frames):
            back = canvas.seen(background, k, cv2.INTER_CUBIC)
            opaque = np.full(back.shape[:2], 255, np.uint8)
            write_png(temporary / "images" / f"{name}_rgba_l0.png", np.dstack([back, opaque]))
            for layer, matte in mattes.items():
                write_png(temporary / "images" / f"{name}_rgba_l{layer}.png", np.dstack([frames[k], matte[k]]))


def median_background(frames: np.ndarray, uncovered: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The scene without people: per pixel the median over the frames in which nobody covers it, or over all frames
    where somebody always does.

    Args:
        frames: uint8 [F, H, W, 3].
        uncovered: bool [F, H, W], where nobody is.
        canvas: where the frames lie.

    Returns:
        uint8 [height, width, 3] on the canvas, 0 where no frame looks.
    """
    laid = np.stack([canvas.lay(frame, k, cv2.INTER_CUBIC) for k, frame in enumerate(frames)])
    inside = np.stack([canvas.in_view(k) for k in range(len(frames))])
    clear = inside & np.stack([canvas.lay(np.uint8(255) * there, k) > 250 for k, there in enumerate(uncovered)])
    median, _ = visible_quantile(laid, np.where(clear.any(axis=0), clear, inside), 0.5)
    return np.rint(255 * median).astype(np.uint8)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
