"""A picture of what is in the layers of a clip: input, reconstruction, each layer, background, one layer late.

    python scripts/contact_sheet.py --name my_run --out sheet.jpg
    python scripts/contact_sheet.py --layers datasets/sample/gt --dataroot datasets/sample --out sheet.png

A row is a frame of the clip. In the last column the first layer is late, rendered as retime.py does. Pictures are uint8
RGB [H, W, 3].
"""

import sys
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from options.result_options import add_result_options, resolve_result_options
from retiming.compositor import Compositor
from retiming.edit import edit_from_values
from util.command_line import OneLineParser, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import written_atomically
from util.images import checkerboard, read_image
from vision.layers.patches import composite_over, premultiplied, to_straight

ROWS = 3
MARGIN, HEADING, GAP = 70, 20, 4  # pixels


def main() -> None:
    """Draw the sheet, and say where it is."""
    opt = parse()
    compositor = Compositor(LayerFolder.open(opt.layers), Dataroot.open(opt.dataroot))
    length = compositor.facts.length
    beyond = [frame for frame in opt.frames or [] if frame > length]
    if beyond:
        raise UserError(f"--frames: {beyond[0]}; the clip has {length} frames")
    frames = [frame - 1 for frame in opt.frames] if opt.frames else spread(length)
    write_picture(opt.out, sheet({f"frame {frame + 1}": pictures(compositor, frame, opt.late) for frame in frames},
                                 opt.width))
    print(f"contact sheet: {opt.out}")


def parse() -> Namespace:
    """The command line.

    Raises:
        UserError: an option is not of its form, or the clip is not known.
    """
    parser = OneLineParser(description="Draw what is in the layers of a clip.")
    add_result_options(parser)
    group = parser.add_argument_group("sheet")
    add = group.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="picture to write: .jpg, .jpeg or .png (required)")
    add("--frames", type=int_at_least(1), nargs="+", metavar="N",
        help=f"frames of the clip, from 1 (default: {ROWS} from all over it)")
    add("--late", type=int_at_least(0), default=15, metavar="FRAMES",
        help="how late the first layer is in the last column (default: 15)")
    add("--width", type=int_at_least(16), default=224, metavar="PX", help="of each picture (default: 224)")
    opt = parser.parse_args()
    if opt.out.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise UserError(f"--out {opt.out}: unknown ending; expected .jpg, .jpeg or .png")
    resolve_result_options(opt)
    return opt


def spread(length: int) -> list[int]:
    """Frames, from 0, from all over a clip."""
    return sorted(set(np.linspace(0, length - 1, ROWS + 2).round().astype(int)[1:-1].tolist()))


def pictures(compositor: Compositor, frame: int, late: int) -> dict[str, np.ndarray]:
    """The pictures of a row, by their headings."""
    def retimed(values: dict) -> np.ndarray:
        return compositor.frame(edit_from_values(values, compositor.facts, str, Path()), frame)

    layers, root, first = compositor.layers, compositor.root, compositor.layers.numbers[0]
    image = read_image(root.file("rgb_256", compositor.indices[frame]), "RGB")
    board = checkerboard(compositor.size)
    return {"input": cv2.resize(image, compositor.size, interpolation=cv2.INTER_CUBIC),
            "reconstruction": retimed({}),
            **{f"layer {number}": over(board, [layers.layer(number, frame)]) for number in layers.numbers},
            "background": layers.background(frame),
            f"layer {first}, {late} frames late": retimed({"layers": {str(first): {"time": [{"offset": late}]}}})}


def sheet(rows: dict[str, dict[str, np.ndarray]], width: int) -> np.ndarray:
    """Rows of pictures with their names on the left, and above each column the heading that it has in the first row.

    Args:
        width: pixels of each picture.
    """
    first = next(iter(rows.values()))
    shape = next(iter(first.values())).shape
    height = round(width * shape[0] / shape[1])
    sheet = Image.new("RGB", (MARGIN + len(first) * (width + GAP), HEADING + len(rows) * (height + GAP)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for i, (name, columns) in enumerate(rows.items()):
        top = HEADING + i * (height + GAP)
        draw.text((4, top + height // 2), name, "black", font, anchor="lm")
        for k, (heading, picture) in enumerate(zip(first, columns.values())):
            left = MARGIN + k * (width + GAP)
            sheet.paste(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS), (left, top))
            draw.text((left + width // 2, HEADING // 2), heading, "black", font, anchor="mm")
    return np.asarray(sheet)


def over(background: np.ndarray, layers: list[np.ndarray]) -> np.ndarray:
    """Layers, uint8 straight RGBA, back to front, over a picture."""
    canvas = background.transpose(2, 0, 1).astype(np.float32)
    for layer in layers:
        composite_over(canvas, premultiplied(0, 0, layer), 1)
    return to_straight(canvas)


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write JPEG or PNG, by the ending, atomically."""
    is_png = path.suffix.lower() == ".png"
    with written_atomically(path) as temporary:
        Image.fromarray(pixels).save(temporary, **({"format": "PNG"} if is_png else
                                                   {"format": "JPEG", "quality": 80, "optimize": True}))


if __name__ == "__main__":
    with reported_in_one_line():
        main()
