"""Make a clip's UV maps, iuv/01/0001.png ..., from its poses.

    python datasets/keypoints_to_iuv.py --dataroot datasets/my_clip --source drawn

`network` puts the pictures that the model kp2uv made (test.py --model kp2uv) back into the frames; `drawn` draws the
bodies from the keypoints and needs no weights. A folder per layer of people, an RGBA picture for every frame; a layer
whose people are all absent from a frame gets an empty one.
"""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.dataroot import Dataroot, wrong_sizes
from data.poses import Pose, people_layers, poses_of_frames
from util.body import draw_body
from util.command_line import OneLineParser
from util.errors import reported_in_one_line, several
from util.files import folder_filled_atomically
from util.images import read_image, write_png
from util.iuv import encode_iuv
from util.keypoints import CROP_SIZE, paste_iuv

PREDICTIONS = "kp2uv/test_latest/images"


def main() -> None:
    """Make the UV maps, and say where they are."""
    opt = parse()
    print(f"UV maps ({opt.source}): {make_iuv(opt.dataroot, opt.source)}")


def parse() -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Make a clip's UV maps (iuv/) from its poses (keypoints.json).")
    parser.add_argument("--dataroot", required=True, metavar="DIR", help="folder of the clip, see docs/data.md")
    parser.add_argument("--source", choices=("network", "drawn"), default="network",
                        help="network: pictures that test.py --model kp2uv has made; drawn: from the keypoints alone "
                             "(default: %(default)s)")
    return parser.parse_args()


def make_iuv(dataroot: Path | str, source: str) -> Path:
    """Write the folder iuv of a dataroot, in place of one that is there.

    Args:
        dataroot: with rgb_256, metadata.json and keypoints.json.
        source: "network" or "drawn".

    Returns:
        the folder.

    Raises:
        UserError: the dataroot is not in order, or the network's pictures are missing.
    """
    root = Dataroot.open(dataroot)
    keypoints = root.path / "keypoints.json"
    frames = poses_of_frames(keypoints, root.frames)
    layers = people_layers(root.metadata, keypoints, frames)
    if source == "network":
        check_predictions(root, frames, layers)
    paint = {"network": paste_prediction, "drawn": draw_pose}[source]
    width, height = root.metadata.size
    with folder_filled_atomically(root.path) as temporary:
        for frame, people in zip(tqdm(root.frames, desc="UV maps", unit="frame"), frames):
            for number, layer in enumerate(layers, start=1):
                iuv = np.zeros((height, width, 4), np.uint8)
                for pose in sorted((p for p in people if p.person in layer), key=lambda p: layer.index(p.person)):
                    paint(root, frame, pose, iuv)
                write_png(temporary / "iuv" / f"{number:02d}" / f"{frame}.png", iuv)
    return root.path / "iuv"


def draw_pose(root: Dataroot, _frame: str, pose: Pose, iuv: np.ndarray) -> None:
    """Draw a body on `iuv` [H, W, 4]."""
    part, u, v = draw_body(pose.keypoints, root.metadata.pose_size, root.metadata.size)
    iuv[part > 0] = encode_iuv(part, u, v, pose.person)[part > 0]


def paste_prediction(root: Dataroot, frame: str, pose: Pose, iuv: np.ndarray) -> None:
    """Paste what the network predicted for a pose on `iuv` [H, W, 4]."""
    prediction = read_image(prediction_path(root, frame, pose), "RGB")
    paste_iuv(iuv, prediction, pose.keypoints, pose.person, root.metadata.pose_size)


def prediction_path(root: Dataroot, frame: str, pose: Pose) -> Path:
    """Where test.py put the prediction for a pose."""
    return root.path / PREDICTIONS / f"{pose.person:02d}_{frame}_output_uv.png"


def check_predictions(root: Dataroot, frames: list[list[Pose]], layers: list[list[int]]) -> None:
    """Refuse to begin while predictions are missing.

    Raises:
        UserError: for some pose there is no picture, or one of another size.
    """
    people = {person for layer in layers for person in layer}
    paths = [prediction_path(root, name, pose)
             for name, present in zip(root.frames, frames) for pose in present if pose.person in people]
    missing = [path for path in paths if not path.exists()]
    problems = wrong_sizes([p for p in paths if p.exists()], (CROP_SIZE, CROP_SIZE), "as the model kp2uv makes them")
    if missing:
        problems.insert(0, f"{missing[0]}: no such file, and {len(missing) - 1} more; expected a prediction for each "
                           f"of {len(paths)} poses. Run test.py --model kp2uv (see datasets/prepare_iuv.sh), or give "
                           "--source drawn")
    if problems:
        raise several(problems)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
