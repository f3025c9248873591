"""Cut the people out of a clip by their masks: the layers that need no method, and that a method must beat.

    python datasets/cut_out.py --dataroot datasets/sample --out results/cut_out

A layer is the frame's colours, its alpha the mask (mask/, or the shape in iuv/ where there are no masks) resized by
area to rgb_256. The background is the temporal median of the frames, without people where a pixel is ever seen without;
the frames are registered by homographies.txt where the clip has one. What people do to the scene (shadows,
reflections) is in no layer, and nobody has anything where somebody else hides him. The files are named as test.py
names them: images/0001_rgba_l0.png ...
"""

import sys
import warnings
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.dataroot import Dataroot
from util.command_line import OneLineParser
from util.errors import UserError, reported_in_one_line, several
from util.files import folder_filled_atomically
from util.images import read_image, write_png

DENSITY = 2  # canvas pixels per pixel of a moving camera's frame, each way: resampling twice costs less sharpness
STRIPE = 64  # canvas rows that are held in memory for all frames


def main() -> None:
    """Cut out, and say where the layers are."""
    opt = parse()
    cut_out(opt.dataroot, opt.out)
    print(f"layers cut out by masks: {Path(opt.out) / 'images'}")


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Cut the people out of a clip by their masks, over the frames' median.")
    add = parser.add_argument
    add("--dataroot", required=True, metavar="DIR", help="folder of the clip, see docs/data.md (required)")
    add("--out", required=True, metavar="DIR", help="folder that gets the layers (required)")
    return parser.parse_args()


def cut_out(dataroot: Path | str, out: Path | str) -> None:
    """Write the layers of a clip.

    Raises:
        UserError: the dataroot is not in order, or has neither masks nor UV maps.
    """
    root = Dataroot.open(dataroot)
    frames = np.stack([read_image(root.file("rgb_256", k), "RGB") for k in range(len(root.frames))])
    mattes = read_mattes(root)
    to_canvas, canvas_size = registered(root)
    background = median_background(frames, sum(mattes.values()) == 0, to_canvas, canvas_size)
    with folder_filled_atomically(out) as temporary:
        for k, name in enumerate(root.frames):
            back = cv2.warpPerspective(background, to_canvas[k], root.metadata.size,
                                       flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
            opaque = np.full(back.shape[:2], 255, np.uint8)
            write_png(temporary / "images" / f"{name}_rgba_l0.png", np.dstack([back, opaque]))
            for layer, matte in mattes.items():
                write_png(temporary / "images" / f"{name}_rgba_l{layer}.png", np.dstack([frames[k], matte[k]]))


def read_mattes(root: Dataroot) -> dict[int, np.ndarray]:
    """Per layer what its people cover: uint8 [F, H, W], by mask/ where there is one, else by iuv/.

    Raises:
        UserError: there is neither, or a picture is missing.
    """
    source = "mask" if (root.path / "mask").is_dir() else "iuv"
    layers = sorted(int(path.name) for path in (root.path / source).glob("[0-9][0-9]"))
    if not layers:
        raise UserError(f"{root.path}: neither mask/01 nor iuv/01; expected a folder of masks or of UV maps for each "
                        f"layer of people. Make the UV maps: bash datasets/prepare_iuv.sh {root.path}")
    problems = [problem for layer in layers for problem in root.require(f"{source}/{layer:02d}")]
    if problems:
        raise several(problems)
    def matte(layer: int, frame: int) -> np.ndarray:
        picture = root.file(f"{source}/{layer:02d}", frame)
        covered = (read_image(picture, "L") if source == "mask" else
                   np.where(read_image(picture, "RGBA")[..., 0] > 4, 255, 0).astype(np.uint8))
        return cv2.resize(covered, root.metadata.size, interpolation=cv2.INTER_AREA)
    return {layer: np.stack([matte(layer, k) for k in range(len(root.frames))]) for layer in layers}


def registered(root: Dataroot) -> tuple[np.ndarray, tuple[int, int]]:
    """Homographies [F, 3, 3] from pixels of rgb_256 to those of a canvas that holds all frames, and its size (w, h).

    Integer coordinates are pixel centres. Without homographies.txt the canvas is the frame.
    """
    width, height = root.metadata.size
    if not (root.path / "homographies.txt").exists():
        return np.tile(np.eye(3), (len(root.frames), 1, 1)), (width, height)
    registration = root.registration()
    scale = np.array(registration.size) / (width, height)
    to_registered = np.diag([*scale, 1.0])
    to_registered[:2, 2] = (scale - 1) / 2
    world = np.linalg.inv(to_registered) @ np.linalg.inv(registration.matrices) @ to_registered
    corners = np.array([[[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]], float)
    reached = np.concatenate([cv2.perspectiveTransform(corners, matrix)[0] for matrix in world])
    first, last = np.floor(reached.min(0)), np.ceil(reached.max(0))
    to_canvas = np.array([[DENSITY, 0, -DENSITY * first[0]], [0, DENSITY, -DENSITY * first[1]], [0, 0, 1]])
    return to_canvas @ world, tuple((DENSITY * (last - first) + 1).astype(int).tolist())


def median_background(frames: np.ndarray, uncovered: np.ndarray, to_canvas: np.ndarray,
                      size: tuple[int, int]) -> np.ndarray:
    """The scene without people: per pixel the median over the frames in which nobody covers it, or over all frames
    where somebody always does.

    Args:
        frames: uint8 [F, H, W, 3].
        uncovered: bool [F, H, W], where nobody is.
        to_canvas: [F, 3, 3], homographies from frame to canvas.
        size: (width, height) of the canvas.

    Returns:
        uint8 [height, width, 3], 0 where no frame looks.
    """
    stripes = []
    for top in range(0, size[1], STRIPE):
        rows = (size[0], min(STRIPE, size[1] - top))
        to_rows = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1]]) @ to_canvas
        colours = warped(frames, to_rows, rows, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        inside = warped(np.ones_like(uncovered), to_rows, rows) > 0.99
        clear = warped(uncovered, to_rows, rows) > 0.99
        used = np.where(clear.any(0), clear, inside)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a pixel that no frame looks at
            stripes.append(np.nanmedian(np.where(used[..., None], colours, np.nan), axis=0))
    return np.clip(np.rint(np.nan_to_num(np.concatenate(stripes))), 0, 255).astype(np.uint8)


def warped(pictures: np.ndarray, matrices: np.ndarray, size: tuple[int, int], **how) -> np.ndarray:
    """Each picture [F, H, W, ...] through its homography [F, 3, 3], float32 [F, height, width, ...]."""
    return np.stack([cv2.warpPerspective(picture.astype(np.float32), matrix, size, **how)
                     for picture, matrix in zip(pictures, matrices)])


if __name__ == "__main__":
    with reported_in_one_line():
        main()
