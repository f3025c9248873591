"""Make what `--dataset_mode dance` learns from: one person of a clip, with her poses, as a layer.

    python datasets/make_pose_dataset.py her_dance.mp4 --dataroot datasets/her
    python datasets/make_pose_dataset.py datasets/her_clip --person 2 --dataroot datasets/her

A video is prepared first (prepare.py, into DIR_clip); a clip that is prepared is taken as it is. The folders are those
of docs/vid2vid/dance.md: layers (her with her shadow), poses in OpenPose's form, bodies drawn from them (IUV), frames
and masks, for training and, the last part of the clip, to test on; and the scene without her. index.html shows them.
"""

import json
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.dance_dataset import ABOUT, PLATE, premultiplied
from data.dataroot import Dataroot
from data.decomposition import Decomposition, decompose
from data.layer_folder import LayerFolder
from data.pose_files import ENDING, openpose_text, poses_of_person
from data.tracked_poses import people_layers, poses_of_frames
from datasets.make_vid2vid_sample import check_place
from prepare import MOST_TOLD, tell
from prepare import parse as parse_preparation
from prepare import prepare as prepare_clip
from util.clips import evenly_spread
from util.command_line import OneLineParser, float_at_least, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import folder_filled_atomically, write_text
from util.html import Media, Page
from util.images import write_png
from util.tensors import to_pixels, to_tensor
from vision.layers.mattes import layers_from_mattes, over_checkerboard
from vision.people.body25 import SURE, Person, draw_people
from vision.people.drawn_body import draw_body
from vision.people.motion_transfer import filled

SHORTEST, LEAST = 10, 3  # frames in a row that are worth it; that a sequence needs
LONGEST_GAP = 5  # frames without her that are filled from those around
OPAQUE = 0.05  # alpha from which on a layer counts
ROOM = 8  # pixels round what layers need
SHOWN = 8  # frames on the page


@dataclass(frozen=True)
class Source:
    """A clip and one of its people.

    Attributes:
        root: the clip.
        number: her layer.
        people: her pose in each frame.
        layers: where layers are on disk; None: they are made without training.
    """

    root: Dataroot
    number: int
    people: list[Person]
    layers: LayerFolder | None


def main() -> None:
    """Make the dataset, and say where it is and how to train on it."""
    folder = make_dataset(parse())
    print(f"dataset: {folder}; look at {folder / 'index.html'}")
    print(f"then:    python train.py --model vid2vid --dataset_mode dance --name {folder.name} --dataroot {folder} "
          "--preset fast")


def parse(argv: list[str] | None = None) -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Make a dataset of one dancing person for vid2vid (docs/vid2vid/dance.md).")
    add = parser.add_argument
    add("source", type=Path, metavar="VIDEO|CLIP", help="a video, or the folder of a clip that prepare.py made")
    add("--dataroot", type=Path, required=True, metavar="DIR", help="folder to make (required)")
    add("--person", type=int_at_least(1), default=None, metavar="N", help="who, where several are in the clip")
    add("--layers", type=Path, default=None, metavar="DIR",
        help="layers of the clip that were trained, as test.py exported them (default: made without training)")
    add("--test", type=float_at_least(0), default=0.2, metavar="SHARE",
        help="share of the clip, at its end, that is left to test on (default: 0.2)")
    add("--overwrite", action="store_true", help="replace a dataset that is there already")
    return parser.parse_args(argv)


def make_dataset(opt: Namespace) -> Path:
    """Make the dataset; returns its folder, whose contents appear whole or not at all.

    Raises:
        UserError: the clip has no such person, she is hardly seen, or there is something else in the folder.
    """
    if not 0 <= opt.test <= 0.5:
        raise UserError(f"--test: found {opt.test}; expected a share from 0 to 0.5")
    check_place(opt.dataroot, opt.overwrite, ABOUT, "such dataset")
    source = opened(opt)
    runs = seen_runs(source.people)
    if not runs:
        raise UserError(f"{source.root.path}: she is seen in no {SHORTEST} frames in a row; expected a clip in which "
                        "poses are found in most frames. See its page, prepare/index.html")
    with folder_filled_atomically(opt.dataroot) as folder:
        write(source, runs, opt.test, folder)
    return opt.dataroot


def opened(opt: Namespace) -> Source:
    """The clip, prepared first where it is a video, and the person."""
    clip = opt.source
    if not (clip / "metadata.json").exists():
        clip = opt.dataroot.with_name(f"{opt.dataroot.name}_clip")
        print(f"preparing {opt.source} in {clip}", flush=True)
        findings, _ = prepare_clip(parse_preparation([str(opt.source), "--dataroot", str(clip)]))
        tell(findings, most=MOST_TOLD)
    root = Dataroot.open(clip)
    path = root.path / "keypoints.json"
    layers = people_layers(root.metadata, path, poses_of_frames(path, root.frames))
    if opt.person is None and len(layers) == 1 and len(layers[0]) == 1:
        opt.person = layers[0][0]
    people = poses_of_person(clip, opt.person)
    number = next((n for n, together in enumerate(layers, start=1) if together == [opt.person]), None)
    if number is None:
        raise UserError(f"--person {opt.person}: she has no layer of her own in {root.metadata.path} (people_layers); "
                        "expected one. Say there who is in which layer, or let prepare.py find it")
    trained = LayerFolder.open(opt.layers) if opt.layers else None
    if trained is not None and (trained.frames != root.frames or number not in trained.numbers):
        raise UserError(f"--layers {opt.layers}: {len(trained.frames)} frames of layers {trained.numbers}; expected "
                        f"layer {number} of all {len(root.frames)} frames of {root.path}. Export again: "
                        "python test.py --name NAME")
    return Source(root, number, people, trained)


def seen_runs(people: list[Person]) -> list[range]:
    """Frames in a row in which she is seen, but for short gaps; runs that are long enough."""
    seen = [k for k, person in enumerate(people) if (person.body[:, 2] > SURE).any()]
    runs: list[range] = []
    for k in seen:
        if runs and k - runs[-1].stop <= LONGEST_GAP:
            runs[-1] = range(runs[-1].start, k + 1)
        else:
            runs.append(range(k, k + 1))
    return [run for run in runs if len(run) >= SHORTEST]


def write(source: Source, runs: list[range], test: float, folder: Path) -> None:
    """Write all files of the dataset."""
    root = source.root
    decomposition = decompose(root.path, (root.path / "homographies.txt").exists(), len(root.frames))
    parts = parts_of(runs, test)
    numbers = sorted(k for _, _, part in parts for k in part)
    margins = np.zeros((len(numbers), 4))
    shown = {numbers[k] for k in evenly_spread(len(numbers), SHOWN)}
    page = Page(f"{folder.name}: a dancer")
    sheet = []
    people = without_gaps(source.people, runs)
    place = {k: (phase, name) for phase, name, part in parts for k in part}
    for row, k in enumerate(tqdm(numbers, desc="layers", unit="frame")):
        phase, name = place[k]
        stem = root.frames[k]
        frame, layer = decomposition.frames[k], layer_of(source, decomposition, k)
        where, u, v = draw_body(people[k].coco, root.metadata.size, root.metadata.size)
        body = np.stack([np.round(255 * u), np.round(255 * v), where], axis=-1).astype(np.uint8)
        body *= (where > 0)[..., None]
        write_png(folder / f"{phase}_layer" / name / f"{stem}.png", layer)
        write_png(folder / f"{phase}_img" / name / f"{stem}.png", frame)
        write_png(folder / f"{phase}_densepose" / name / f"{stem}_IUV.png", body)
        write_png(folder / f"{phase}_mask" / name / f"{stem}.png", decomposition.people[source.number][k])
        write_text(folder / f"{phase}_openpose" / name / f"{stem}{ENDING}.json", openpose_text(people[k]))
        margins[row] = reach(layer, people[k])
        if k in shown:
            sheet.append((f"look/{stem}.png", f"{phase} {stem}"))
            write_png(folder / sheet[-1][0], picture_of(frame, layer, people[k], body))
    write_png(folder / PLATE, decomposition.background(numbers[len(numbers) // 2]))
    around = [round(max(0, side)) + ROOM for side in np.quantile(margins, 0.98, axis=0)]
    write_text(folder / ABOUT, json.dumps({
        "size": list(root.metadata.size), "margins": around, "frame_rate": str(root.metadata.frame_rate),
        "clip": str(root.path), "layer": source.number}, indent=2) + "\n")
    page.add_text(f"{len(numbers)} frames in {len(parts)} sequences. Each picture: the frame with her pose, the body "
                  "that is drawn from it, and her layer. Where a pose is wrong or a layer holds what is not hers, so "
                  "will the frames that are made.")
    page.add_images([Media(path, title) for path, title in sheet], 640)
    page.add_header("The scene without her")
    page.add_images([Media(PLATE, "plate")], 640)
    page.save(folder / "index.html")


def parts_of(runs: list[range], test: float) -> list[tuple[str, str, range]]:
    """Sequences as (phase, name, frames): the last share `test` of all frames is to test on, the others to train."""
    total = sum(map(len, runs))
    left, parts = total - round(total * test), []
    for number, run in enumerate(runs, start=1):
        cut = min(left, len(run))
        left -= cut
        parts += [(phase, f"part_{number:02d}", part) for phase, part in (("train", run[:cut]), ("test", run[cut:]))
                  if len(part) >= LEAST]
    return parts


def without_gaps(people: list[Person], runs: list[range]) -> list[Person]:
    """Poses, with those of short gaps from the frames around."""
    result = list(people)
    for run in runs:
        points = filled(np.stack([people[k].points for k in run]))
        for k, own in zip(run, points):
            if not (people[k].body[:, 2] > SURE).any():
                result[k] = Person.of(own)
    return result


def layer_of(source: Source, decomposition: Decomposition, k: int) -> np.ndarray:
    """Her layer in a frame: straight RGBA, uint8 [H, W, 4] at the low resolution."""
    size = source.root.metadata.size
    if source.layers is not None:
        frame = source.layers.frames.index(source.root.frames[k])
        layer = premultiplied(source.layers.layer(source.number, frame))[None]
        small = torch.nn.functional.interpolate(layer, size=size[::-1], mode="area")
        alpha = (small[:, 3:] + 1) / 2
        return to_pixels(torch.cat([(small[:, :3] + 1) / alpha.clamp(min=1 / 255) - 1, small[:, 3:]], 1)[0])
    numbers = list(decomposition.people)
    order = source.root.composite_order(k, numbers)

    def stacked(alphas: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack([np.zeros_like(alphas[0]), *alphas]))[None]

    layers = layers_from_mattes(to_tensor(decomposition.background(k))[None], to_tensor(decomposition.frames[k])[None],
                                stacked([decomposition.person_alpha(n, k) for n in order]),
                                stacked([decomposition.effect_alpha(n, k) for n in order]))
    return to_pixels(layers[0, 1 + order.index(source.number)])


def reach(layer: np.ndarray, person: Person) -> np.ndarray:
    """Pixels by which a layer goes on beyond the box of the pose: left, top, right, bottom."""
    rows, columns = np.nonzero(layer[..., 3] > 255 * OPAQUE)
    points = person.points[person.points[:, 2] > SURE, :2]
    if not len(rows) or not len(points):
        return np.zeros(4)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return np.array([left - columns.min(), top - rows.min(), columns.max() - right, rows.max() - bottom])


def picture_of(frame: np.ndarray, layer: np.ndarray, person: Person, body: np.ndarray) -> np.ndarray:
    """A frame with the pose on it, the drawn body, and the layer over a checkerboard, side by side."""
    skeleton = draw_people([person], (frame.shape[1], frame.shape[0]))
    posed = np.where(skeleton.any(axis=-1, keepdims=True), np.minimum(skeleton + 60, 255).astype(np.uint8), frame)
    return np.hstack([posed, body * (1, 1, 10), to_pixels(over_checkerboard(to_tensor(layer)))]).astype(np.uint8)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
