"""How well a dancer is learned in a given time, beside what any method must beat: docs/vid2vid/dance.md.

    python scripts/lab/benchmark_dance.py --data benchmark/dance --minutes 10

Draws the sample dancer (datasets/make_vid2vid_sample.py dance), makes her dataset, and learns her by the presets, and
frame by frame by a generator of single images (pix2pixHD), for the same time of the processor on one thread. What they
make is measured on the end of her clip, which nobody has seen, and in the driver's dance against her true frames in
it, together with two answers that need no network: the training frame of the nearest pose, and the mean of all.
A method that is there already, in --data, is not learned again. With --dataroot, a dataset of a real clip is taken, of
which no more is known than the layer that was made of it without training.
"""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from data.base_dataset import BaseDataset  # noqa: E402
from data.dance_dataset import DanceDataset  # noqa: E402
from data.loading import create_dataset, resolved  # noqa: E402
from data.pose_files import ENDING, poses_of_person  # noqa: E402
from data.sampler import ItemKey  # noqa: E402
from datasets import make_pose_dataset  # noqa: E402
from datasets.make_vid2vid_sample import make_sample  # noqa: E402
from evaluation.images import (  # noqa: E402
    Sum,
    flicker,
    levels,
    mean,
    motion,
    pooled,
    squared_error,
    ssim_map,
    warping_error,
)
from evaluation.layers import NOTHING, darkening, effect, shared  # noqa: E402
from evaluation.poses import Estimator, pose_error  # noqa: E402
from models.schedules import Progress  # noqa: E402
from models.vid2vid_first_frame import image_maps  # noqa: E402
from models.vid2vid_layers import PERSON, straight  # noqa: E402
from models.vid2vid_model import SINGLE, Vid2VidModel  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402
from preparation.estimators import near_a_skeleton  # noqa: E402
from util.allocator import keep_freed_memory  # noqa: E402
from util.command_line import OneLineParser, float_at_least, int_at_least  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402
from util.files import write_text  # noqa: E402
from util.images import read_image, unit_range, write_png  # noqa: E402

BASE = ["--model", "vid2vid", "--dataset_mode", "dance", "--gpu_ids", "-1"]
METHODS = {
    "fast": ["--preset", "fast"],
    "published": ["--flow_net", "dis", "--no_vgg"],
    "per frame": ["--preset", "fast", "--ngf", "32", "--num_D", "2", "--lambda_L1", "0", "--n_epochs", "0",
                  "--n_epochs_decay", "0", "--niter_single", "1000"],
    "per frame L1": ["--preset", "fast", "--ngf", "32", "--num_D", "2", "--n_epochs", "0", "--n_epochs_decay", "0",
                     "--niter_single", "1000"],
}
"""Options of what is trained. The published teachers of flow and likeness need weights that not everybody has; the
preset does without them too. Generators of single frames are half as wide as --ngf says; one is as published, one
compares pixel by pixel as the preset does."""
AROUND = 10  # pixels of the matte within which flicker is measured
SHARES = 1 / 3, 1
"""When is measured, as shares of the time."""
STEPS = 10**6
SHOWN = 4


class Truth(NamedTuple):
    """What a method should make.

    Attributes:
        frames: float32 [T, H, W, 3] in [0, 1].
        layers: premultiplied RGBA, float32 [T, H, W, 4] in [0, 1].
        people: bool [T, H, W], where she is.
        plate: the true scene, float32 [H, W, 3].
        poses: her skeletons, float64 [T, 17, 3].
    """

    frames: np.ndarray
    layers: np.ndarray
    people: np.ndarray
    plate: np.ndarray
    poses: np.ndarray


def main(argv: list[str] | None = None) -> None:
    """Learn, measure, write figures and a picture. Options of train.py may follow, for all methods."""
    parser = OneLineParser(description="Measure how well a dancer is learned in a given time.")
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder for data and results (required)")
    add("--dataroot", type=Path, metavar="DIR",
        help="measure on the test part of this dataset (datasets/make_pose_dataset.py), not on the sample dancer")
    add("--minutes", type=float_at_least(0), default=10.0, metavar="N", help="of the processor, for each (default: 10)")
    add("--methods", nargs="*", default=list(METHODS), choices=list(METHODS), help="what is trained (default: all)")
    add("--height", type=int_at_least(64), default=160, metavar="PX", help="of frames (default: 160)")
    add("--seed", type=int_at_least(0), default=1, metavar="N", help="of the sample (default: 1)")
    opt, given = parser.parse_known_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()
    tests: dict[str, Path | None] = {"her own dance": None}
    truth_in: Callable[[DanceDataset], Truth] = partial(truth_of_dataset, opt.dataroot)
    if opt.dataroot is None:
        clips, opt.dataroot = opt.data / "clips", opt.data / "her"
        truth_in = partial(truth_of, clips)
        if not clips.exists():
            make_sample("dance", clips, sequences=6, frames=40, height=opt.height, seed=opt.seed)
        if not opt.dataroot.exists():
            make_pose_dataset.make_dataset(
                make_pose_dataset.parse([str(clips / "her"), "--dataroot", str(opt.dataroot)]))
        tests["the driver's dance"] = clips / "driver"
    base = [*BASE, "--dataroot", str(opt.dataroot)]
    for name in opt.methods:
        folders = [opt.data / "made" / f"{name.replace(' ', '_')}_{opt.minutes * share:g}" for share in SHARES]
        if folders[-1].exists():
            continue
        run = resolved(TrainOptions().parse([*base, *METHODS[name], *given]))
        for folder, (model, frames) in zip(folders, trained(run, 60 * opt.minutes)):
            for test, driver in tests.items():
                layers = exported(model, test_data(run, driver))
                folder.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(folder / f"{test}.npz", layers=(255 * layers).round().astype(np.uint8),
                                    frames=frames)
    report(opt, resolved(TrainOptions().parse([*base, "--preset", "fast"])), tests, truth_in)


def trained(opt: Namespace, seconds: float) -> Iterator[tuple[Vid2VidModel, int]]:
    """A model after each of `SHARES` of so many seconds of the processor, and the frames that it saw.

    A load of a clip is trained on to its end. What is done with the model between does not count. Learning rates fall
    over this time where they fall over all steps, and else with the epochs that are reached.
    """
    torch.manual_seed(opt.seed)
    model = Vid2VidModel(opt)
    phase = model.phases()[-1]
    dataset = create_dataset(phase.opt)
    dataset.preload()
    model.start_phase(phase)
    marks, spent, seen = list(SHARES), 0.0, 0
    for epoch in count(phase.epochs[0]):
        model.start_epoch(epoch)
        for index in np.random.default_rng((opt.seed, epoch)).permutation(len(dataset)).tolist():
            began = time.process_time() - spent
            batch = dataset.collate([dataset[ItemKey(index, epoch, opt.seed)]])
            for frames in steps_of(model, batch):
                seen += frames
                spent = time.process_time() - began
                model.set_learning_rates(Progress(epoch, int(STEPS * min(spent / seconds, 1)), STEPS))
                while marks and spent >= marks[0] * seconds:
                    yield model, seen
                    marks.pop(0)
                if not marks:
                    return
                began = time.process_time() - spent


def steps_of(model: Vid2VidModel, batch: dict) -> Iterable[int]:
    """Train on a batch, load by load; yields how many frames each had."""
    if model.phase.name == SINGLE:
        model.train_images(batch)
        yield batch["A"].shape[1]
    else:
        for _, load in model.train_clip(batch):
            yield load.images.shape[1]


def test_data(opt: Namespace, driver: Path | None) -> BaseDataset:
    """The end of her clip, or the driver's poses in her body."""
    of_test = {"is_train": False, "phase": "test", "driver": driver, "driver_person": None, "start_frame": 0,
               "use_real_img": False, "max_dataset_size": float("inf")}
    return DanceDataset(Namespace(**{**vars(opt), **of_test}))


@torch.no_grad()
def exported(model: Vid2VidModel, data: BaseDataset) -> np.ndarray:
    """What a model makes of all windows: straight RGBA, float32 [T, H, W, 4] in [0, 1]."""
    layers = []
    model.sequence, model.carried = None, []
    for index in range(len(data)):
        batch = data.collate([data.item(index, None, 1)])
        if model.phase.name == SINGLE:
            image = model.networks["G_single"](image_maps(model.opt, model.encode(batch))[:, -1])
        else:
            image = model.next_shown(model.encode(batch), batch)
        layers.append(on_plate(straight(image), batch))
    return np.stack(layers)


def on_plate(layer: Tensor, batch: dict) -> np.ndarray:
    """A layer [1, 4, h, w] of a batch's box, in a frame of the plate's size: float32 [H, W, 4] in [0, 1]."""
    left, top, right, bottom = batch["box"][0].tolist()
    frame = np.zeros((*batch["plate"].shape[-2:], 4), np.float32)
    frame[top:bottom, left:right] = ((layer[0].float() + 1) / 2).permute(1, 2, 0).numpy()
    return frame


def stems(data: BaseDataset) -> list[str]:
    """Names of the frames that are made."""
    return [Path(data.item(index, None, 1)["image_path"]).stem for index in range(len(data))]


def truth_of_dataset(dataroot: Path, data: DanceDataset) -> Truth:
    """Of a real clip: her layer as it was made without training, over the plate."""
    sequence = data.sequences[0]
    plate = unit_range(read_image(dataroot / "plate.png", "RGB"))
    layers, masks = [], []
    for name in stems(data):
        layers.append(layer_of(dataroot / "test_layer" / sequence.name / f"{name}.png"))
        masks.append(read_image(dataroot / "test_mask" / sequence.name / f"{name}.png", "L") > 127)
    layers = np.stack(layers)
    return Truth(layers[..., :3] + (1 - layers[..., 3:]) * plate, layers, np.stack(masks), plate, asked_for(data))


def asked_for(data: DanceDataset) -> np.ndarray:
    """The skeletons of the frames that are made, [T, 17, 3]."""
    return np.stack([person.coco for person in data.people(data.sequences[0])])[-len(data):]


def layer_of(path: Path) -> np.ndarray:
    """A layer's file, premultiplied, float32 [H, W, 4] in [0, 1]."""
    layer = unit_range(read_image(path, "RGBA"))
    layer[..., :3] *= layer[..., 3:]
    return layer


def truth_of(clips: Path, data: DanceDataset) -> Truth:
    """Her true frames. In the driver's dance she stands where the fitted poses are, which no motion says."""
    names = stems(data)
    clip = clips / ("her" if data.opt.driver is None else "truth")
    people = dict(zip((f"{k + 1:04d}" for k in range(len(list((clip / "rgb_256").iterdir())))),
                      poses_of_person(clip, 1)))
    poses = np.stack([people[name].coco for name in names])
    meant = asked_for(data)
    shift = np.round(np.median((meant - poses)[..., :2], axis=(0, 1))) if data.opt.driver else np.zeros(2)
    plate = unit_range(read_image(clip / "bg.png", "RGB"))
    layers, masks = [], []
    for name in names:
        layers.append(moved(layer_of(clip / "layer_01" / f"{name}.png"), shift))
        masks.append(moved(read_image(clip / "mask/01" / f"{name}.png", "L"), shift) > 127)
    layers = np.stack(layers)
    poses[..., :2] += shift
    return Truth(layers[..., :3] + (1 - layers[..., 3:]) * plate, layers, np.stack(masks), plate, poses)


def moved(picture: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """A picture, so many pixels further to the right and down, with nothing behind its edges."""
    return cv2.warpAffine(picture, np.float32([[1, 0, shift[0]], [0, 1, shift[1]]]), picture.shape[1::-1],
                          flags=cv2.INTER_NEAREST)


def without_network(dataroot: Path, data: DanceDataset) -> dict[str, np.ndarray]:
    """The training layer of the nearest pose for each frame, and the mean of all: premultiplied, [T, H, W, 4]."""
    training = DanceDataset(Namespace(**{**vars(data.opt), "phase": "train", "driver": None}))
    known, layers = [], []
    for sequence in training.sequences:
        known += [person.coco[:, :2] for person in training.people(sequence)]
        layers += [layer_of(dataroot / "train_layer" / sequence.name / f"{stem}.png")
                   for stem in map(stem_of, sequence.files["openpose"])]
    meant = asked_for(data)[..., :2]
    nearest = [int(np.linalg.norm(np.stack(known) - pose, axis=2).mean(1).argmin()) for pose in meant]
    return {"nearest pose": np.stack([layers[k] for k in nearest]),
            "mean frame": np.repeat(np.mean(layers, axis=0)[None], len(meant), axis=0)}


def stem_of(path: Path) -> str:
    """The frame's name in that of its pose."""
    return path.stem.removesuffix(ENDING)


def figures_of(layers: np.ndarray, plate: np.ndarray, truth: Truth, meant: np.ndarray,
               estimate: Estimator) -> dict[str, float]:
    """Measure layers [T, H, W, 4], premultiplied, over a plate.

    Args:
        meant: skeletons [T, 17, 3] that were asked for.
        estimate: finds a skeleton again (`near_a_skeleton`).
    """
    frames = np.round(255 * (layers[..., :3] + (1 - layers[..., 3:]) * plate).clip(0, 1)) / np.float32(255)
    sums: dict[str, list[Sum]] = {}
    for t, (frame, true, inside) in enumerate(zip(frames, truth.frames, truth.people)):
        dark, true_dark = (darkening(effect(layer, truth.plate)) for layer in (layers[t], truth.layers[t]))
        shadow = (truth.layers[t, ..., 3] > NOTHING) & (cv2.dilate(inside.astype(np.uint8), np.ones((3, 3))) == 0)
        one = {"psnr": squared_error(frame, true, inside), "ssim": mean(ssim_map(frame, true), inside),
               "pose": pose_error(estimate((255 * frame).round().astype(np.uint8), meant[t]), meant[t]),
               "shadow": shared(dark, true_dark, shadow)}
        if t:
            flow, believed = motion(true, truth.frames[t - 1])
            ring = around(inside | truth.people[t - 1] | (layers[t - 1:t + 1, ..., 3] > PERSON).any(axis=0))
            one |= {"temporal": warping_error(frame, frames[t - 1], flow, believed & inside),
                    "flicker": flicker(frame, frames[t - 1], true, truth.frames[t - 1], inside),
                    "noise": squared_error(frame, frames[t - 1], ring, levels),
                    "true noise": squared_error(true, truth.frames[t - 1], ring, levels)}
        for name, value in one.items():
            sums.setdefault(name, []).append(value)
    made = {name: pooled(values) for name, values in sums.items()}
    return {**made, "noise": made["noise"] / made.pop("true noise")}


def around(people: np.ndarray) -> np.ndarray:
    """Pixels beside people, at most `AROUND` away: bool [H, W]."""
    away = cv2.distanceTransform((~people).astype(np.uint8), cv2.DIST_L2, 5)
    return (away > 1.5) & (away <= AROUND)


def report(opt: Namespace, run: Namespace, tests: dict[str, Path | None],
           truth_in: Callable[[DanceDataset], Truth]) -> None:
    """Measure all that is there, print it, and write figures.json and a picture of each test."""
    estimate, plate = near_a_skeleton(), unit_range(read_image(opt.dataroot / "plate.png", "RGB"))
    results = {}
    for test, driver in tests.items():
        data = test_data(run, driver)
        truth = truth_in(data)
        meant = asked_for(data)
        answers = {"truth": truth.layers}
        for path in sorted((opt.data / "made").glob(f"*/{test}.npz")):
            layers = np.load(path)["layers"].astype(np.float32) / 255
            layers[..., :3] *= layers[..., 3:]
            answers[path.parent.name] = layers
        answers |= without_network(opt.dataroot, data)
        rows = []
        for name, layers in answers.items():
            own = truth.poses if name == "truth" else meant
            results.setdefault(test, {})[name] = made = figures_of(layers, truth.plate if name == "truth" else plate,
                                                                   truth, own, estimate)
            print(f"{test:>20} {name:>24}: " + ", ".join(f"{key} {value:.3f}" for key, value in made.items()))
            frames = layers[..., :3] + (1 - layers[..., 3:]) * (truth.plate if name == "truth" else plate)
            rows.append(np.hstack([frames[k] for k in np.linspace(0, len(frames) - 1, SHOWN).astype(int)]))
        write_png(opt.data / f"{test}.png", (255 * np.vstack(rows)).clip(0, 255).round().astype(np.uint8))
    write_text(opt.data / "figures.json", json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
