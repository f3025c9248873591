"""Make normal maps of an actor's posed body, in UV space: what a texture predictor sees.

    python scripts/make_normal_maps.py --dataroot datasets/marc/testing

writes DATAROOT/normal/ for the frames of DATAROOT/transform/. Red, green and blue are z, y and x in the world, as
published. Maps that are there stay, so the command can be interrupted and given again.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from data.actor_files import by_number  # noqa: E402
from preparation.actor_maps import NormalMaps, body_raster, make_maps, map_files  # noqa: E402
from util.command_line import OneLineParser, int_at_least  # noqa: E402
from util.errors import UserError, reported_in_one_line  # noqa: E402
from vision.people.body_files import read_body  # noqa: E402


def main(argv: list[str] | None = None) -> None:
    """Read the body, and make the maps that are not there."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataroot", type=Path, metavar="DIR", help="where files are that are not named")
    for name, text in (("mesh", "canonical.obj"), ("weights", "skinning_weight.txt"), ("texuv", "uvmapping.obj"),
                       ("joint_data", "transform/: folder of transform files"),
                       ("output_path", "normal/: folder to write to")):
        parser.add_argument(f"--{name}", metavar="PATH", help=f"another one than DATAROOT's {text}")
    parser.add_argument("--tex_resolution", type=int_at_least(1), default=512, metavar="PX", help="side of a map")
    parser.add_argument("--workers", type=int_at_least(1), default=os.cpu_count() or 1, metavar="N",
                        help="processes (default: one for each core)")
    parser.add_argument("--overwrite", action="store_true", help="make the maps anew that are there")
    opt = parser.parse_args(argv)
    needed = ("mesh", "weights", "texuv", "joint_data", "output_path")
    if opt.dataroot is None and (missing := [name for name in needed if getattr(opt, name) is None]):
        raise UserError(f"--dataroot: not given, nor --{missing[0]}; expected the dataroot, or all of "
                        f"{', '.join('--' + name for name in needed)}")
    root = opt.dataroot or Path()
    body = read_body(root, opt.mesh, opt.texuv, opt.weights, "none")
    transforms = by_number(Path(opt.joint_data or root / "transform"), "*.json")
    files = map_files(Path(opt.output_path or root / "normal"), transforms)
    made = make_maps(NormalMaps(body, transforms, body_raster(body, opt.tex_resolution), files), "normal maps",
                     opt.workers, opt.overwrite)
    print(f"{next(iter(files.values())).parent}: {made} normal maps made, {len(files) - made} were there")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
