"""Write a clip's homographies.txt anew where it is of another convention than docs/layered_video/data.md asks for.

    python datasets/correct_homographies.py --dataroot datasets/my_clip

Inverted, transposed, frame-to-frame, shifted matrices and those in pixels of another size are found by warping frames
to each other. The file as it was stays, as homographies_given.txt.
"""

import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.camera_check import wrong_convention
from data.dataroot import list_images, read_homographies
from preparation.camera import frames_folder, write_homographies
from util.command_line import OneLineParser
from util.errors import UserError, reported_in_one_line
from util.files import write_text


def main() -> None:
    """Find the convention, and write."""
    parser = OneLineParser(description="Bring homographies.txt of another convention into that of "
                                       "docs/layered_video/data.md.")
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="folder of the clip")
    root = parser.parse_args().dataroot
    path, kept = root / "homographies.txt", root / "homographies_given.txt"
    registration = read_homographies(path)
    files = list_images(root / "rgb_256" if (root / "rgb_256").is_dir() else frames_folder(root))
    if len(registration.matrices) != len(files):
        raise UserError(f"{path}: {len(registration.matrices)} matrices; there are {len(files)} frames. Give one line "
                        "of 9 numbers per frame")
    verdict = wrong_convention(root, registration, files)
    if verdict is None:
        print(f"{path}: nothing is known against it; left as it is")
        return
    if verdict.better is None:
        raise UserError(f"{path}: {verdict.text}; expected matrices of one of these conventions. Register these frames "
                        f"again: move it away, and python prepare.py --dataroot {shlex.quote(str(root))}")
    if kept.exists():
        raise UserError(f"{kept}: is there already; expected a place for homographies.txt as it is now. Move it away")
    write_text(kept, path.read_text(encoding="utf-8"))
    width, height = verdict.better.size
    write_homographies(path, (round(width), round(height)), verdict.better.bounds, verdict.better.matrices)
    print(f"{path}: {verdict.text}: written so; as it was it is {kept.name}")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
