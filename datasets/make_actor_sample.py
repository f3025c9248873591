"""Make a small actor for Neural Actor from nothing: a person filmed by several cameras, in the published layout.

    python datasets/make_actor_sample.py --dataroot datasets/actor

`training/` has a motion to learn from, `testing/` another one of the same person; both have all cameras, of which the
last are meant to be held out. Texture maps are true: folds, light and shadow change with the pose. The same options
give the same files.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.make_vid2vid_sample import check_place
from datasets.synthetic.actor import (
    Actor,
    BodyFiles,
    Pose,
    body_files,
    cameras,
    held_out_motion,
    posed,
    spread,
    training_motion,
)
from util.command_line import OneLineParser, int_at_least
from util.errors import reported_in_one_line
from util.files import folder_filled_atomically, write_text
from util.images import write_png
from vision.people.texture_maps import normal_map

NOTE = "sample.json"


def main() -> None:
    """Make the data, and say where they are."""
    parser = OneLineParser(description="Make a person filmed by several cameras, to try --model neural_actor on.")
    add = parser.add_argument
    add("--dataroot", required=True, metavar="DIR", help="folder to make (required)")
    add("--frames", type=int_at_least(1), default=20, metavar="N", help="poses to train on (default: 20)")
    add("--test_frames", type=int_at_least(1), default=10, metavar="N", help="poses of another motion (default: 10)")
    add("--cameras", type=int_at_least(1), default=8, metavar="N", help="to train on (default: 8)")
    add("--held_out", type=int_at_least(0), default=2, metavar="N", help="further cameras (default: 2)")
    add("--size", type=int_at_least(16), default=128, metavar="PX", help="side of photographs (default: 128)")
    add("--texture_size", type=int_at_least(16), default=128, metavar="PX", help="side of textures (default: 128)")
    add("--overwrite", action="store_true", help="replace sample data that are there already")
    opt = parser.parse_args()
    folder = make_sample(**vars(opt))
    print(f"sample data: {folder}: training/ of {opt.frames} poses, testing/ of {opt.test_frames}, "
          f"{opt.cameras + opt.held_out} cameras, of which train on 0..{opt.cameras}")


def make_sample(dataroot: Path | str, *, frames: int = 20, test_frames: int = 10, cameras: int = 8, held_out: int = 2,
                size: int = 128, texture_size: int = 128, overwrite: bool = False) -> Path:
    """Make sample data; the arguments are the options of the command line.

    Returns:
        the folder. Its contents appear whole or not at all.

    Raises:
        UserError: there is something else in the folder.
    """
    folder = Path(dataroot)
    made = {"frames": frames, "test_frames": test_frames, "cameras": cameras, "held_out": held_out, "size": size,
            "texture_size": texture_size}
    check_place(folder, overwrite, NOTE)
    actor = Actor(texture_size)
    with folder_filled_atomically(folder) as temporary:
        for name, count, motion in (("training", frames, training_motion), ("testing", test_frames, held_out_motion)):
            write_sequence(temporary / name, actor, [motion(i / count) for i in range(count)], cameras, held_out, size)
        write_text(temporary / NOTE, json.dumps(made, indent=1))
    return folder


def write_sequence(folder: Path, actor: Actor, poses: list[Pose], count: int, held_out: int, size: int) -> None:
    """Write a sequence of poses, and what cameras see of them."""
    files = body_files()
    write_body(folder, files)
    seen = cameras(count, held_out, size)
    for number, matrices in enumerate(seen):
        for name, matrix in zip(("intrinsic", "pose"), matrices):
            write_text(folder / name / f"{number:04d}.txt", as_lines(matrix, "%.8f"))
    for number, pose in enumerate(tqdm(poses, desc=folder.name, unit="pose")):
        write_text(folder / "transform" / f"{number:06d}.json", json.dumps(as_transform(pose)))
        surface = actor.surface(pose)
        texture = actor.texture(pose, surface)
        write_png(folder / "tex" / f"{number:06d}.png", texture)
        write_png(folder / "normal" / f"{number:06d}.png", normal_map(actor.skin(pose), files.faces, actor.raster))
        for camera, (intrinsics, place) in enumerate(seen):
            write_png(folder / "rgb" / f"{number:06d}" / f"{camera:04d}.png",
                      actor.photograph(surface, texture, intrinsics, place, (size, size)))


def write_body(folder: Path, files: BodyFiles) -> None:
    """Write the files of a body."""
    faces = [" ".join(map(str, face)) for face in files.faces + 1]
    write_text(folder / "canonical.obj", "".join(
        [f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in files.vertices] + [f"f {face}\n" for face in faces]))
    write_text(folder / "uvmapping.obj", "".join(
        [f"vt {u:.5f} {v:.5f}\n" for u, v in files.vt] + [f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in files.vertices]
        + ["f " + " ".join(f"{v}/{t}" for v, t in zip(face, corners)) + "\n"
           for face, corners in zip(files.faces + 1, files.vt_faces + 1)]))
    write_text(folder / "skinning_weight.txt", as_lines(files.weights, "%.6f"))
    write_text(folder / "transform_tpose.json", json.dumps(as_transform(posed(spread(), joints=files.joints))))


def as_transform(pose: Pose) -> dict:
    """A pose as a transform file has it: the joint last, the rotation transposed."""
    return {"joints_RT": np.moveaxis(pose.transforms, 0, -1).tolist(), "rotation": pose.rotation.T.tolist(),
            "translation": pose.translation[None].tolist(), "joints": pose.in_world(pose.joints).tolist(),
            "pose": pose.angles.reshape(1, -1).tolist()}


def as_lines(matrix: np.ndarray, form: str) -> str:
    """A matrix as text."""
    return "".join(" ".join(form % value for value in row) + "\n" for row in matrix)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
