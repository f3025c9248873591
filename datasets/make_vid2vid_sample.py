"""Make small data for video-to-video synthesis from nothing: a street, a face that talks, a dancer, or two clips.

    python datasets/make_vid2vid_sample.py dancer --dataroot datasets/dancer

The folders are those of docs/vid2vid/data.md: sequences to train on, one to test on, and, of faces and dancers, one of
somebody else, --phase other, whose motion the first may take on. The test sequence of a dancer is the dance going on
where the training ends. `dance` makes clips as prepare.py makes them: `her`, `driver`, and `truth`, where she dances
as the driver does. The same options and seed give the same files.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.synthetic.dancer import RATE, Dance, Stage
from datasets.synthetic.person import dressed
from datasets.synthetic.street import Street
from datasets.synthetic.talking_face import Speaker, talk
from util.command_line import OneLineParser, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import folder_filled_atomically, write_text
from util.images import write_image, write_png
from vision.people.iuv import atlas_tiles

NOTE = "sample.json"
SIZES = {"street": (256, 128), "face": (256, 256), "dancer": (448, 256), "dance": (448, 256)}


def main() -> None:
    """Make the data, and say where they are and how to train on them."""
    parser = OneLineParser(description="Make a street, a talking face or a dancer to train vid2vid on.")
    add = parser.add_argument
    add("kind", choices=tuple(SIZES), help="what is to be seen")
    add("--dataroot", required=True, metavar="DIR", help="folder to make (required)")
    add("--sequences", type=int_at_least(1), default=3, metavar="N", help="to train on (default: 3)")
    add("--frames", type=int_at_least(3), default=40, metavar="N", help="of each sequence (default: 40)")
    add("--height", type=int_at_least(64), default=None, metavar="PX",
        help="of frames, a multiple of 32 (default: 128 for a street, else 256)")
    add("--seed", type=int_at_least(0), default=1, metavar="N", help="another seed, other data (default: 1)")
    add("--overwrite", action="store_true", help="replace sample data that are there already")
    opt = parser.parse_args()
    folder = make_sample(**vars(opt))
    print(f"sample data: {folder}: {opt.sequences} sequences of {opt.frames} frames to train on, one to test on")


def make_sample(kind: str, dataroot: Path | str, *, sequences: int = 3, frames: int = 40, height: int | None = None,
                seed: int = 1, overwrite: bool = False) -> Path:
    """Make sample data; the arguments are the options of the command line.

    Returns:
        the folder. Its contents appear whole or not at all.

    Raises:
        UserError: the height is no multiple of 32, or there is something else in the folder.
    """
    dataroot = Path(dataroot)
    width, default = SIZES[kind]
    height = height or default
    if height % 32:
        raise UserError(f"--height: {height} is not a multiple of 32; the nearest is {max(round(height / 32), 2) * 32}")
    check_place(dataroot, overwrite)
    size = round(width * height / default / 32) * 32, height
    with folder_filled_atomically(dataroot) as folder:
        MAKERS[kind](folder, size, sequences, frames, seed)
        write_text(folder / NOTE, json.dumps({"kind": kind, "size": size, "frames": frames, "sequences": sequences,
                                              "seed": seed}) + "\n")
    return dataroot


def check_place(dataroot: Path, overwrite: bool, note: str = NOTE, what: str = "sample data") -> None:
    """Refuse a folder that holds something, unless that is `what`, known by its file `note`, and may be replaced.

    Raises:
        UserError: it does, or it is a file.
    """
    if dataroot.exists() and not dataroot.is_dir():
        raise UserError(f"{dataroot}: a file; expected a folder to make. Give another --dataroot")
    if dataroot.exists() and any(dataroot.iterdir()):
        if not (dataroot / note).exists():
            raise UserError(f"{dataroot}: not empty, and no {what} (it has no {note}); expected a new folder. "
                            "Give another --dataroot")
        if not overwrite:
            raise UserError(f"{dataroot}: there already; give another --dataroot, or --overwrite")


def make_street(folder: Path, size: tuple[int, int], sequences: int, frames: int, seed: int) -> None:
    """Streets: {phase}_A, {phase}_B, {phase}_inst."""
    def write(phase: str, name: str, number: int) -> None:
        street = Street(np.random.default_rng([seed, 0, number]), frames, size)
        for k in _counted(frames, f"{phase} {name}"):
            photo, classes, things = street.frame(k)
            write_png(folder / f"{phase}_B" / name / f"{k:05d}.png", photo)
            write_png(folder / f"{phase}_A" / name / f"{k:05d}.png", classes)
            write_png(folder / f"{phase}_inst" / name / f"{k:05d}.png", things)
    for number in range(sequences):
        write("train", f"street_{number + 1:02d}", number)
    write("test", f"street_{sequences + 1:02d}", sequences)


def make_face(folder: Path, size: tuple[int, int], sequences: int, frames: int, seed: int) -> None:
    """Talking faces: {phase}_img, {phase}_keypoints."""
    def write(phase: str, name: str, speaker: Speaker, number: int) -> None:
        faces = talk(np.random.default_rng([seed, 1, number]), frames)
        for k in _counted(frames, f"{phase} {name}"):
            write_image(folder / f"{phase}_img" / name / f"{k:05d}.jpg", speaker.picture(faces[k]))
            lines = [f"{x},{y}" for x, y in speaker.landmarks(faces[k])]
            write_text(folder / f"{phase}_keypoints" / name / f"{k:05d}.txt", "\n".join(lines) + "\n")
    one, other = (Speaker(np.random.default_rng([seed, 2, n]), size) for n in range(2))
    for number in range(sequences):
        write("train", f"talk_{number + 1:02d}", one, number)
    write("test", f"talk_{sequences + 1:02d}", one, sequences)
    write("other", "talk_01", other, sequences + 1)


def make_dancer(folder: Path, size: tuple[int, int], sequences: int, frames: int, seed: int) -> None:
    """Dancers: {phase}_img, {phase}_densepose, {phase}_openpose."""
    def write(phase: str, name: str, dance: Dance, first: int) -> None:
        for k in _counted(frames, f"{phase} {name}"):
            pose = dance.skeleton((first + k) / RATE)
            write_image(folder / f"{phase}_img" / name / f"{k:05d}.jpg", stage.photograph(dance.person, pose))
            write_png(folder / f"{phase}_densepose" / name / f"{k:05d}_IUV.png", stage.iuv(dance.person, pose))
            people = [stage.openpose(dance.person, pose)]
            write_text(folder / f"{phase}_openpose" / name / f"{k:05d}_keypoints.json",
                       json.dumps({"version": 1.3, "people": people}) + "\n")
    stage = Stage(np.random.default_rng([seed, 3]), size)
    dances = [Dance(np.random.default_rng([seed, 4, n]), person)
              for n, person in enumerate(dressed(2, "mixed", np.random.default_rng([seed, 5])))]
    for number in range(sequences):
        write("train", f"dance_{number + 1:02d}", dances[0], number * frames)
    write("test", f"dance_{sequences + 1:02d}", dances[0], sequences * frames)
    write("other", "dance_01", dances[1], 0)


def make_dance(folder: Path, size: tuple[int, int], sequences: int, frames: int, seed: int) -> None:
    """Two clips as prepare.py makes them, `her` and `driver`, and the true layers of her dancing as the driver does.

    A clip has as many frames as all sequences together; `truth` is a gt folder for evaluate.py, and a clip as well.
    """
    stage = Stage(np.random.default_rng([seed, 3]), size)
    yard = Stage(np.random.default_rng([seed, 6]), size)
    her, driver = dressed(2, "mixed", np.random.default_rng([seed, 5]))
    moves = [(stage, Dance(np.random.default_rng([seed, 4, 0]), her), "her", frames * sequences),
             (yard, Dance(np.random.default_rng([seed, 4, 1]), driver), "driver", frames),
             (stage, Dance(np.random.default_rng([seed, 4, 1]), her), "truth", frames)]
    for place, dance, name, count in moves:
        root, people = folder / name, []
        for k in _counted(count, name):
            pose, stem = dance.skeleton(k / RATE), f"{k + 1:04d}"
            layer, matte = place.layer(dance.person, pose)
            write_png(root / "rgb_256" / f"{stem}.png", place.photograph(dance.person, pose))
            write_png(root / "mask" / "01" / f"{stem}.png", matte)
            write_png(root / "layer_01" / f"{stem}.png", layer)
            joints = dance.person.keypoints(pose)
            points = np.column_stack([place.places(joints), np.full(len(joints), 0.9)])
            people.append({"image_id": f"{stem}.png", "idx": 1, "score": 0.9,
                           "keypoints": points.round(3).ravel().tolist()})
        write_png(root / "bg.png", place.empty)
        write_text(root / "keypoints.json", json.dumps(people) + "\n")
        facts = {"size_LR": list(size), "alphapose_input_size": list(size), "n_textures": atlas_tiles(1),
                 "frame_rate": str(RATE)}
        write_text(root / "metadata.json", json.dumps(facts) + "\n")


MAKERS: dict[str, Callable[..., None]] = {"street": make_street, "face": make_face, "dancer": make_dancer,
                                          "dance": make_dance}


def _counted(frames: int, name: str):
    return tqdm(range(frames), desc=name, unit="frame")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
