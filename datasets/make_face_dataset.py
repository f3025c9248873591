"""Make what `--model vid2vid --dataset_mode face` learns from: a video of one face that talks.

    python datasets/make_face_dataset.py talk.mp4 --dataroot datasets/talk

Frames go into train_img/ and, the last part of the video, test_img/; landmarks are found in them as
data/face_landmark_detection.py finds them.
"""

import sys
from argparse import Namespace
from pathlib import Path

import cv2
from tqdm import tqdm

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.face_landmark_detection import MODEL, Finder, dlib_finder, mediapipe_finder, write_landmarks
from data.image_sequences import IMAGES, find_sequences
from util.command_line import OneLineParser, float_at_least, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import folder_filled_atomically
from util.images import write_image
from util.video_reader import VideoReader

LEAST = 10


def main() -> None:
    """Make the dataset, and say where it is and how to train on it."""
    opt = parse()
    find = mediapipe_finder() if opt.dlib is None else dlib_finder(opt.dlib)
    for line in make_dataset(opt, find):
        print(line)
    print(f"dataset: {opt.dataroot}")
    print(f"then:    python train.py --model vid2vid --dataset_mode face --name {opt.dataroot.name} --dataroot "
          f"{opt.dataroot} --input_nc 15 --loadSize 512")


def parse(argv: list[str] | None = None) -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Make a dataset of a talking face for vid2vid (docs/vid2vid/data.md).")
    add = parser.add_argument
    add("video", type=Path, help="one face, which looks at the camera")
    add("--dataroot", type=Path, required=True, metavar="DIR", help="folder to make (required)")
    add("--height", type=int_at_least(64), default=720, metavar="PX",
        help="of frames; larger ones are scaled down (default: 720)")
    add("--test", type=float_at_least(0), default=0.2, metavar="SHARE",
        help="share of the video, at its end, that is left to test on (default: 0.2)")
    add("--dlib", type=Path, default=None, metavar="FILE",
        help=f"find landmarks with dlib and this model ({MODEL}; default: with mediapipe)")
    return parser.parse_args(argv)


def make_dataset(opt: Namespace, find: Finder) -> list[str]:
    """Make the dataset; returns what is to be said of frames in which no face was found.

    Args:
        opt: video, dataroot, height, test.
        find: finds a face's landmarks.

    Raises:
        UserError: the video is too short or not readable, no face is in it, or there is something in the folder, whose
            contents appear whole or not at all.
    """
    if not 0 <= opt.test <= 0.5:
        raise UserError(f"--test: found {opt.test}; expected a share from 0 to 0.5")
    if opt.dataroot.exists() and (not opt.dataroot.is_dir() or any(opt.dataroot.iterdir())):
        raise UserError(f"{opt.dataroot}: not empty; expected a new folder. Give another --dataroot")
    name = opt.video.stem
    with folder_filled_atomically(opt.dataroot) as folder:
        count = 0
        for _, picture in tqdm(VideoReader(opt.video).frames(), desc="frames", unit="frame"):
            height, width = picture.shape[:2]
            if height > opt.height:
                size = round(width * opt.height / height), opt.height
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            count += 1
            write_image(folder / "train_img" / name / f"{count:05d}.jpg", picture)
        if count < LEAST:
            raise UserError(f"{opt.video}: {count} frames; expected at least {LEAST}")
        tested = round(count * opt.test)
        for k in range(count - tested + 1, count + 1) if tested >= LEAST // 2 else ():
            place = folder / "test_img" / name / f"{k:05d}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            (folder / "train_img" / name / place.name).rename(place)
        said = []
        for phase in sorted(path.name.removesuffix("_img") for path in folder.glob("*_img")):
            sequences = find_sequences(folder, phase, {"images": ("img", IMAGES)}, 1)
            said += write_landmarks(folder / f"{phase}_keypoints", sequences, find)
    return said


if __name__ == "__main__":
    with reported_in_one_line():
        main()
