"""Measure how good an actor is after how much training, and how fast its views are: docs/neural_actor/presets.md.

    python -m scripts.lab.benchmark_actor --dataroot datasets/actor --seconds 1200 --out fast.json -- --preset fast

Everything behind `--` goes to train.py. Seconds are those that the processor worked, on one thread, so that whatever
else the machine does does not count; what measuring takes does not count either. Cameras 8 and 9 are held out, and the
motion in testing/, with its true textures and, where they are there, with those in tex_predicted/. PSNR and SSIM are
those inside the person.
"""

import json
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.base_dataset import BaseDataset  # noqa: E402
from data.loading import create_dataset, resolved  # noqa: E402
from data.sampler import ItemKey  # noqa: E402
from evaluation.images import psnr, ssim_map  # noqa: E402
from models import find_model  # noqa: E402
from models.base_model import BaseModel  # noqa: E402
from models.schedules import Progress  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402
from scripts.lab.measure_actor import on_white  # noqa: E402
from util.command_line import OneLineParser, float_at_least, int_at_least  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402
from util.files import write_text  # noqa: E402
from vision.geometry.rays import pixel_grid, pixel_rays  # noqa: E402

COMMON = ["--model", "neural_actor", "--gpu_ids", "-1", "--num_threads", "0", "--no_pretrained", "--train_views",
          "0..8", "--test_views", "8,9"]
SHARES = 1 / 40, 1 / 20, 1 / 10, 1 / 4, 1 / 2, 1
"""When is measured, as shares of the seconds."""
PREDICTED = "tex_predicted"
FIRST_STEPS = 2
"""Not counted: files are read, and memory is found."""


def main(argv: list[str] | None = None) -> None:
    """Train, measure on the way, and write what was found as JSON."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    own = arguments[:arguments.index("--")] if "--" in arguments else arguments
    parser = OneLineParser(description="Measure an actor's quality against seconds of training.")
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="sample actor (required)")
    parser.add_argument("--seconds", type=float_at_least(1), default=120, metavar="S",
                        help="of training (default: 120)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON to write (required)")
    parser.add_argument("--frames", type=int_at_least(1), default=4, metavar="N",
                        help="poses to measure of each motion (default: 4)")
    parser.add_argument("--side", type=int_at_least(8), default=256, metavar="PX",
                        help="side of the view whose speed is measured (default: 256)")
    opt = parser.parse_args(own)
    torch.set_num_threads(1)
    options = [*COMMON, *arguments[len(own) + 1:]]
    result = measured(opt, options)
    write_text(opt.out, json.dumps({"options": options, "seconds": opt.seconds, **result}, indent=1) + "\n")


def measured(opt: Namespace, options: list[str]) -> dict:
    """A row for each of `SHARES`, and seconds of a view."""
    trained = resolved(TrainOptions().parse([*options, "--dataroot", str(opt.dataroot / "training")]))
    torch.manual_seed(trained.seed)
    model, dataset = find_model(trained.model)(trained), create_dataset(trained)
    dataset.preload()
    model.start_phase(model.phases()[0])
    held_out = {"cameras": views(trained, opt.dataroot / "training", opt.frames),
                "motion": views(trained, opt.dataroot / "testing", opt.frames)}
    if (opt.dataroot / "testing" / PREDICTED).is_dir():
        held_out["predicted"] = views(trained, opt.dataroot / "testing", opt.frames, PREDICTED)
    rows: list[dict] = []
    marks, spent, step, counted = [share * opt.seconds for share in SHARES], 0.0, 0, 0.0
    while marks:
        model.set_mode(training=True)
        began = time.process_time()
        total = max(step + 1, round((step - FIRST_STEPS) * opt.seconds / counted)) if counted else 1 << 40
        model.set_learning_rates(Progress(1, step, total))
        losses = model.optimize_parameters(dataset.collate([dataset[ItemKey(step, 1, step)]]))
        seconds = time.process_time() - began
        step, spent = step + 1, spent + seconds
        counted += seconds if step > FIRST_STEPS else 0
        if spent >= marks[0] and step > FIRST_STEPS:
            marks = [mark for mark in marks if mark > spent]
            row: dict = {"seconds": round(spent, 1), "steps": step, "loss": float(losses["total"])}
            for name, sought in held_out.items():
                row[name] = quality(model, sought)
            rows.append(row)
            print(json.dumps(row), flush=True)
    return {"rows": rows, "view_seconds": view_seconds(model, held_out["motion"], opt.side),
            "side": opt.side}


def views(trained: Namespace, root: Path, frames: int, textures: str = "tex") -> BaseDataset:
    """Views of both held-out cameras of so many poses of a motion, evenly spread."""
    every = len(list((root / "transform").glob("*.json")))
    opt = Namespace(**{**vars(trained), "dataroot": str(root), "subsample": max(1, every // frames), "start_end": "",
                       "train_views": trained.test_views, "load_tex_name": textures})
    return create_dataset(opt)


def quality(model: BaseModel, held_out: BaseDataset) -> dict[str, float]:
    """PSNR and SSIM inside the person."""
    model.set_mode(training=False)
    errors, similarities = [], []
    root = Path(held_out.opt.dataroot)
    for index in range(len(held_out.frames) * len(held_out.views)):
        item = held_out.item(index, None, 1)
        made = model.view(held_out.collate([item]))["colour"].permute(1, 2, 0).numpy() / 2 + 0.5
        frame, camera = divmod(index, len(held_out.views))
        true, inside = on_white(root / "rgb" / f"{held_out.frames[frame]:06d}"
                                / f"{held_out.views[camera]:04d}.png", made.shape[:2])
        errors.append(float(((made - true)[inside]**2).mean()))
        similarities.append(float(ssim_map(made.astype(np.float32), true)[inside].mean()))
    return {"psnr": round(psnr(float(np.mean(errors))), 3), "ssim": round(float(np.mean(similarities)), 4)}


def view_seconds(model: BaseModel, held_out: BaseDataset, side: int) -> float:
    """Seconds of the processor for a view of `side` x `side`, the better one of two."""
    model.set_mode(training=False)
    item = held_out.item(0, None, 1)
    intrinsics, pose = held_out.cameras[held_out.views[0]]
    origins, directions = pixel_rays(pixel_grid((side, side), item["size"]), intrinsics, pose)
    batch = held_out.collate([item | {"size": (side, side), "rays_o": origins.clone(), "rays_d": directions}])
    spent = []
    for _ in range(2):
        began = time.process_time()
        model.view(batch)
        spent.append(time.process_time() - began)
    return round(min(spent), 3)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
