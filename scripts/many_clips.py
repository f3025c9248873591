"""Layers of many videos, one after the other, and a page over all of them.

    python scripts/many_clips.py VIDEOS                        drafts, from a folder of videos
    python scripts/many_clips.py VIDEOS --preset fast --budget 10m
    python scripts/many_clips.py VIDEOS --only 3               the third alone: a task of a cluster

VIDEOS holds videos, folders of frames, or clips that are prepared (docs/layered_video/data.md). Each goes through
prepare.py, train.py and test.py, by these programs' own rules: what is done is not done again, and a clip that was
stopped goes on. What goes wrong with one stops no other. The page, OUT/index.html, shows a picture of each and what
went wrong; OUT/logs/ has what the programs said. The status is 1 if a clip failed.
"""

import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import TextIO

import numpy as np

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.layer_folder import LayerFolder
from util.clips import natural_order
from util.command_line import OneLineParser, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import write_text
from util.html import Media, Page
from util.images import write_image
from util.pictures import PICTURE_SUFFIXES

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("prepare", "train", "test")
THUMBNAIL = 480
SOUNDS_AND_TEXTS = {".txt", ".json", ".csv", ".md", ".pdf", ".wav", ".mp3", ".m4a", ".aac", ".srt", ".xml"}


def main(argv: list[str] | None = None) -> int:
    """Make layers of all clips; returns the exit status."""
    opt = parse(argv)
    clips = clips_in(opt.videos)
    chosen = list(clips.items())
    if opt.only is not None:
        if opt.only > len(chosen):
            raise UserError(f"--only: found {opt.only}; {opt.videos} has {len(chosen)} clips")
        chosen = chosen[opt.only - 1:opt.only]
    failed = 0
    for number, (name, source) in enumerate(chosen, start=1):
        state = process(opt, name, source)
        failed += state["failed"] is not None
        seconds = sum(state["seconds"].values())
        what = f"{state['failed']}: {state['message']}" if state["failed"] else f"{seconds:.0f} s"
        print(f"{number}/{len(chosen)} {name}: {what}", flush=True)
        write_page(opt, list(clips))
    print(f"all clips: {opt.out / 'index.html'}")
    return 1 if failed else 0


def parse(argv: list[str] | None = None) -> Namespace:
    """The command line; what is no option of this program is one of train.py."""
    parser = OneLineParser(description="Layers of many videos, and a page over all of them. Further options are those "
                                       "of train.py.")
    add = parser.add_argument
    add("videos", type=Path, metavar="VIDEOS", help="folder of videos, folders of frames or prepared clips")
    add("--preset", default="draft", help="of train.py (default: draft)")
    add("--out", type=Path, default=Path("results/clips"), metavar="DIR",
        help="page and logs (default: results/clips)")
    add("--dataroots", type=Path, default=Path("datasets/clips"), metavar="DIR",
        help="where videos are prepared (default: datasets/clips)")
    add("--prefix", default="", metavar="TEXT", help="of the names of all runs")
    add("--only", type=int_at_least(1), default=None, metavar="N", help="the Nth clip alone")
    opt, opt.training = parser.parse_known_args(argv)
    return opt


def clips_in(folder: Path) -> dict[str, Path]:
    """Videos, folders of frames and prepared clips in a folder, by a name for each, in order.

    Raises:
        UserError: there are none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected one of videos")
    clips: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: natural_order(path.name)):
        ending = path.suffix.lower()
        is_clip = path.is_dir() or ending not in SOUNDS_AND_TEXTS | set(PICTURE_SUFFIXES)
        if is_clip and not path.name.startswith((".", "_")):
            name = path.name if path.is_dir() else path.stem
            clips[name if name not in clips else path.name.replace(".", "_")] = path
    if not clips:
        raise UserError(f"{folder}: no videos in it, nor folders of frames; expected files such as clip.mp4")
    return clips


def process(opt: Namespace, name: str, source: Path) -> dict:
    """Take one clip through all steps; returns its state, which is also in OUT/logs/<name>.json.

    `failed` is the step that failed, or None; `message` what it said last; `seconds` of each step; `dataroot`, `run`.
    """
    prepared = (source / "metadata.json").exists()
    dataroot, run = source if prepared else opt.dataroots / name, f"{opt.prefix}{name}"
    log = opt.out / "logs" / f"{name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    state: dict = {"source": str(source), "dataroot": str(dataroot), "run": run, "failed": None, "message": "",
                   "seconds": {}}
    with log.open("w", encoding="utf-8") as output:
        for step in STEPS:
            begun = time.monotonic()
            words = command(opt, step, source, dataroot, run)
            status, said = told(words, output) if words else (0, "")
            state["seconds"][step] = time.monotonic() - begun
            if status:
                state |= {"failed": step, "message": said}
                break
    write_text(log.with_suffix(".json"), json.dumps(state, indent=2) + "\n")
    return state


def command(opt: Namespace, step: str, source: Path, dataroot: Path, run: str) -> list[str]:
    """The command of a step; none for a clip that is prepared."""
    if step == "prepare":
        if source != dataroot:
            return ["prepare.py", str(source), "--dataroot", str(dataroot)]
        return [] if (dataroot / "iuv").is_dir() else ["datasets/keypoints_to_iuv.py", "--dataroot", str(dataroot),
                                                       "--source", "auto"]
    if step == "test":
        return ["test.py", "--name", run]
    if Path("checkpoints", run, "latest_state.pth").exists():
        return ["train.py", "--name", run, "--continue_train", *opt.training]
    more = [option for option, path in (("--use_homographies", "homographies.txt"), ("--use_mask_images", "mask"))
            if (dataroot / path).exists()]
    return ["train.py", "--name", run, "--dataroot", str(dataroot), "--preset", opt.preset, "--display_id", "0", *more,
            *opt.training]


def told(words: list[str], output: TextIO) -> tuple[int, str]:
    """Run a program of the project; returns its status and the last line that it wrote. All goes to `output`, too."""
    output.write(f"$ {' '.join(words)}\n")
    output.flush()
    done = subprocess.run([sys.executable, str(ROOT / words[0]), *words[1:]], stdout=output, stderr=subprocess.PIPE,
                          text=True, errors="replace", check=False)
    output.write(done.stderr)
    output.flush()
    lines = [line.strip() for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    return done.returncode, lines[-1] if lines else f"status {done.returncode}"


def write_page(opt: Namespace, names: list[str]) -> None:
    """The page over all clips, of what is known of each by now."""
    page, rows, pictures = Page(f"Layers of {opt.videos}"), [], []
    for name in names:
        path = opt.out / "logs" / f"{name}.json"
        if not path.exists():
            rows.append((name, "not yet", "", ""))
            continue
        state = json.loads(path.read_text(encoding="utf-8"))
        seconds = ", ".join(f"{step} {taken:.0f} s" for step, taken in state["seconds"].items())
        rows.append((name, f"{state['failed']} failed" if state["failed"] else "done", state["message"], seconds))
        results = Path("results", state["run"], "test_latest")
        if not state["failed"] and (results / "images").is_dir():
            picture = opt.out / "pictures" / f"{name}.jpg"
            write_image(picture, picture_of(LayerFolder.open(results)))
            pictures.append(Media(f"pictures/{name}.jpg", name, f"python retime.py --name {state['run']} --serve",
                                  relative(results / "index.html", opt.out)))
    page.add_table(("clip", "", "what went wrong", "time"), rows)
    page.add_images(pictures, THUMBNAIL)
    page.save(opt.out / "index.html")


def picture_of(layers: LayerFolder) -> np.ndarray:
    """The middle frame's background beside its people over grey, uint8 [H, W, 3], for a page."""
    frame = len(layers.frames) // 2
    people = np.full_like(layers.background(frame), 128).astype(np.float32)
    for number in layers.numbers:
        layer = layers.layer(number, frame).astype(np.float32)
        alpha = layer[..., 3:] / 255
        people = layer[..., :3] * alpha + people * (1 - alpha)
    step = max(1, layers.size[0] // THUMBNAIL)
    return np.hstack([layers.background(frame), people.round().astype(np.uint8)])[::step, ::step]


def relative(path: Path, folder: Path) -> str:
    """A path as a page in a folder links to it."""
    return Path(os.path.relpath(path, folder)).as_posix()


if __name__ == "__main__":
    with reported_in_one_line():
        sys.exit(main())
