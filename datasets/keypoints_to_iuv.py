"""Make a clip's UV maps, iuv/01/0001.png ..., from its poses.

    python datasets/keypoints_to_iuv.py --dataroot datasets/my_clip --source drawn

`network` puts the pictures that the model kp2uv made (test.py --model kp2uv) back into the frames; `drawn` draws the
bodies from the keypoints and needs no weights; `auto` runs the model if its weights are there, and draws if not. With
--use_mask_images the masks in mask/ bound the UV maps.
"""

import sys
from argparse import Namespace
from pathlib import Path

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from preparation.uv import SOURCES, WEIGHTS, automatic_source, make_iuv, predict
from util.command_line import OneLineParser
from util.errors import reported_in_one_line


def main() -> None:
    """Make the UV maps, and say where they are."""
    opt = parse()
    source = opt.source
    if source == "auto":
        source = automatic_source(opt.dataroot)
        if source == "network":
            predict(Path(opt.dataroot))
        elif not WEIGHTS.exists():
            print("no weights in checkpoints/kp2uv (scripts/download_kp2uv_model.sh fetches them): drawing the UV maps "
                  "instead", flush=True)
    print(f"UV maps ({source}): {make_iuv(opt.dataroot, source, opt.use_mask_images)}")


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Make a clip's UV maps (iuv/) from its poses (keypoints.json).")
    parser.add_argument("--dataroot", required=True, metavar="DIR",
                        help="folder of the clip, see docs/layered_video/data.md")
    parser.add_argument("--source", choices=(*SOURCES, "auto"), default="network",
                        help="network: pictures that test.py --model kp2uv has made; drawn: from the keypoints alone; "
                             "auto: let kp2uv make the pictures if its weights are there, else drawn (default: "
                             "%(default)s)")
    parser.add_argument("--use_mask_images", action="store_true",
                        help="let the masks in mask/ bound the UV maps; what has a mask needs no pose")
    return parser.parse_args()


if __name__ == "__main__":
    with reported_in_one_line():
        main()
