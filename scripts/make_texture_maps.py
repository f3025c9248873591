"""Make texture maps of an actor from the photographs of several cameras.

    python scripts/make_texture_maps.py --dataroot datasets/marc/training

writes DATAROOT/tex/ for the frames of DATAROOT/transform/: for each texel the median of what the three cameras show
that look at it most directly. Maps that are there stay, so the command can be interrupted and given again.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from data.actor_dataset import parse_views  # noqa: E402
from data.actor_files import by_number, camera_files, read_cameras  # noqa: E402
from preparation.actor_maps import TextureMaps, body_raster, make_maps, make_one_texture, map_files  # noqa: E402
from util.command_line import OneLineParser, int_at_least  # noqa: E402
from util.errors import UserError, reported_in_one_line  # noqa: E402
from vision.people.body_files import read_body  # noqa: E402


def main(argv: list[str] | None = None) -> None:
    """Read body and cameras, and make the maps that are not there."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="see docs/neural_actor/data.md")
    parser.add_argument("--output_path", type=Path, metavar="DIR", help="folder to write to (default: DATAROOT/tex)")
    parser.add_argument("--tex_resolution", type=int_at_least(1), default=512, metavar="PX", help="side of a map")
    parser.add_argument("--views", metavar="VIEWS", help="cameras to look through, such as 0..11 (default: all)")
    parser.add_argument("--load_rgb_name", default="rgb", metavar="NAME", help="folder of the photographs")
    parser.add_argument("--white", type=int_at_least(1), default=255, metavar="LEVEL",
                        help="photographs without alpha: level from which a pixel is background, in all channels")
    parser.add_argument("--as_published", action="store_true",
                        help="look half a pixel off, without perspective, from the world's origin, as the published "
                             "tool does")
    parser.add_argument("--one_for_all", action="store_true",
                        help="one texture for all frames, from all of them: for a single camera before which somebody "
                             "turns; it replaces those that are there")
    parser.add_argument("--workers", type=int_at_least(1), default=os.cpu_count() or 1, metavar="N",
                        help="processes (default: one for each core)")
    parser.add_argument("--overwrite", action="store_true", help="make the maps anew that are there")
    opt = parser.parse_args(argv)
    body = read_body(opt.dataroot, new_tpose="none")
    transforms = by_number(opt.dataroot / "transform", "*.json")
    cameras, places = read_cameras(opt.dataroot), [place for _, place in camera_files(opt.dataroot)]
    views = range(len(cameras)) if opt.views is None else parse_views(opt.views, "--views")
    if not views or max(views) >= len(cameras):
        raise UserError(f"--views: found '{opt.views}', but {opt.dataroot} has {len(cameras)} cameras, from 0")
    files = map_files(opt.output_path or opt.dataroot / "tex", transforms)
    make = TextureMaps(body, transforms, body_raster(body, opt.tex_resolution), files,
                       by_number(opt.dataroot / opt.load_rgb_name, "*"), places,
                       {view: (cameras[view][0].numpy(), cameras[view][1].numpy()) for view in views}, opt.white,
                       opt.as_published)
    if opt.one_for_all:
        unseen = make_one_texture(make)
        print(f"{next(iter(files.values())).parent}: one texture for {len(files)} frames; no photograph shows "
              f"{100 * unseen:.0f} % of it")
        return
    made = make_maps(make, "texture maps", opt.workers, opt.overwrite)
    print(f"{next(iter(files.values())).parent}: {made} texture maps made, {len(files) - made} were there")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
