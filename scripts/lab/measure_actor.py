"""How good an actor's export is inside the person, beside the training photographs that come nearest.

    python -m scripts.lab.measure_actor --results results/demo_actor/motion_latest --dataroot datasets/actor/testing \
        --training datasets/actor/training --train_views 0..8

Pictures are compared with their targets where the photograph shows the person. The photograph of the training that is
nearest to a target there, whatever its pose and camera, is what a program must beat that only looks up.
"""

import re
import sys
from argparse import ArgumentParser
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.actor_dataset import parse_views  # noqa: E402
from evaluation.images import psnr, ssim_map  # noqa: E402
from util.errors import UserError, reported_in_one_line  # noqa: E402
from util.images import read_image  # noqa: E402


def main(argv: list[str] | None = None) -> None:
    """Measure, and print a line for the export and one for the nearest photographs."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    for name, text in (("results", "folder that test.py wrote: has color/ and target/"),
                       ("dataroot", "whose poses and cameras they are"), ("training", "what was trained on")):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=text)
    parser.add_argument("--train_views", default="all", metavar="VIEWS", help="cameras that were trained on")
    opt = parser.parse_args(argv)
    views = None if opt.train_views == "all" else parse_views(opt.train_views, "--train_views")
    figures = measured(opt.results, opt.dataroot, opt.training, views)
    for name, (noise, similarity) in figures.items():
        print(f"{opt.results}: {name}: PSNR {noise:.2f} dB, SSIM {similarity:.4f}, inside the person")


def measured(results: Path, dataroot: Path, training: Path,
             views: list[int] | None = None) -> dict[str, tuple[float, float]]:
    """PSNR and SSIM of the export and of the nearest photographs, of all cameras or those of `views`.

    Raises:
        UserError: there is no target with a name such as v008_f000003.png.
    """
    targets = [path for path in sorted((results / "target").glob("*.png")) if re.fullmatch(r"v\d+_f\d+", path.stem)]
    if not targets:
        raise UserError(f"{results / 'target'}: nothing such as v008_f000003.png; expected an export of several "
                        "cameras")
    size = read_image(targets[0], "RGB").shape[:2]
    known = [on_white(path, size)[0] for path in sorted((training / "rgb").rglob("*.png"))
             if views is None or int(path.stem) in views]
    errors: dict[str, list[float]] = {"rendered": [], "nearest photograph": []}
    similarities: dict[str, list[float]] = {name: [] for name in errors}
    for path in targets:
        camera, frame = re.findall(r"\d+", path.stem)
        true, inside = on_white(dataroot / "rgb" / frame / f"{int(camera):04d}.png", size)
        made = read_image(results / "color" / path.name, "RGB").astype(np.float32) / 255
        nearest = min(known, key=lambda picture: float(((picture - true)[inside]**2).mean()))
        for name, picture in zip(errors, (made, nearest)):
            errors[name].append(float(((picture - true)[inside]**2).mean()))
            similarities[name].append(float(ssim_map(picture, true)[inside].mean()))
    return {name: (psnr(float(np.mean(errors[name]))), float(np.mean(similarities[name]))) for name in errors}


def on_white(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A photograph float32 [H, W, 3] in [0, 1] on white, reduced to `size`, and where it shows the person."""
    rgba = cv2.resize(read_image(path, "RGBA").astype(np.float32) / 255, size[::-1], interpolation=cv2.INTER_AREA)
    return rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:], rgba[..., 3] > 0.5


if __name__ == "__main__":
    with reported_in_one_line():
        main()
