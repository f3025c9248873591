"""Neural Actor computed as it was published, plainly: what speed is measured against.

    python -m scripts.lab.published_actor --dataroot datasets/actor/training
    python -m scripts.lab.published_actor --dataroot datasets/actor/training --equal_steps 50,100,200 --seed 0 \
        --view_resolution 64x64 --lr 0.002

A training step builds the rays of the whole view and compares each with a ball round every vertex, to draw pixels among
those that pass; the nearest surface of a sample is found by asking every triangle. Networks are the same modules, so
numbers are the same. It is not there to be used. The command trains and renders with both in turn, and prints rays per
second of processor time, of all cores together; with --equal_steps, how good views of cameras 8 and 9 are after so many
steps of each, inside the person, in poses of the training and of ../testing, and seconds of the processor.
"""

import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.actor_dataset import ActorDataset  # noqa: E402
from data.base_dataset import BaseDataset  # noqa: E402
from data.loading import create_dataset, resolved  # noqa: E402
from models.base_model import Phase  # noqa: E402
from models.neural_actor_model import NeuralActorModel  # noqa: E402
from models.neural_actor_rendering import Actor, Frame  # noqa: E402
from models.schedules import Progress  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402
from scripts.lab.benchmark_actor import COMMON, quality, views  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402
from vision.geometry.nearest_surface import TURNS, Nearest, at  # noqa: E402
from vision.geometry.rays import (  # noqa: E402
    _all_stretches,
    bounding_sphere,
    draw_pixels,
    pixel_grid,
    pixel_rays,
    sphere_hits,
)

RAYS_AT_ONCE, PAIRS_AT_ONCE = 512, 1 << 17
WAYS, FRAMES = ("published", "here"), 4
"""Poses of each motion whose views are measured."""
SMALL = ("--no_use_texture_encoder", "--inputs_to_texture",
         "feat:0:64,attnout:0:64,texture:0:3,ray:4:3:b", "--feature_embed_dim", "64", "--density_embed_dim", "64",
         "--texture_embed_dim", "64", "--joint_feature_dim", "64", "--fixed_num_samples", "24", "--pixel_per_view",
         "512")
"""The networks of the demo."""


class EveryTriangle:
    """The nearest surface by asking every triangle, in float32; has of `Surface` what rendering needs."""

    def __init__(self, vertices: Tensor, faces: Tensor):
        self.vertices, self.faces = vertices, faces
        number = torch.arange(len(faces))
        self.order = (number % TURNS * len(faces) - number).argsort()  # of equally near ones the first counts
        self.corners = vertices[faces[self.order]]

    def nearest(self, points: Tensor) -> Nearest:
        """The nearest points of the surface to points [N, 3]."""
        step = max(1, PAIRS_AT_ONCE // len(self.faces))
        found = [self._nearest(part) for part in points.split(step)] or [(points.new_zeros(0).long(), points[:0])]
        face, barycentric = (torch.cat(parts) for parts in zip(*found))
        return at(points, self.vertices, self.faces, face, barycentric)

    def _nearest(self, points: Tensor) -> tuple[Tensor, Tensor]:
        first, second, third = self.corners.unbind(1)
        edge, other = second - first, third - first
        offset = points[:, None] - first
        along, across = (offset * edge).sum(-1), (offset * other).sum(-1)
        length, mixed, width = (edge * edge).sum(-1), (edge * other).sum(-1), (other * other).sum(-1)
        determinant = (length * width - mixed**2).clamp(min=1e-20)
        v, w = (width * along - mixed * across) / determinant, (length * across - mixed * along) / determinant
        inside = (v >= 0) & (w >= 0) & (v + w <= 1)
        on_edge, on_other = (along / length).clamp(0, 1), (across / width).clamp(0, 1)
        on_third = ((across - along - mixed + length) / (length + width - 2 * mixed)).clamp(0, 1)
        zero = torch.zeros_like(v)
        borders = ((on_edge, zero), (zero, on_other), (1 - on_third, on_third))
        places = torch.stack([torch.stack((torch.where(inside, v, on_v), torch.where(inside, w, on_w)), -1)
                              for on_v, on_w in borders])
        squared = (offset - places[..., :1] * edge - places[..., 1:] * other).square().sum(-1)
        which = squared.amin(0).argmin(-1)
        row = torch.arange(len(points))
        v, w = places[squared[:, row, which].argmin(0), row, which].unbind(-1)
        return self.order[which], torch.stack((1 - v - w, v, w), -1)


class PublishedActor(Actor):
    """An actor that finds bounds and surface in the published way."""

    def frame(self, body, item: dict[str, Tensor]) -> Frame:
        """As in `Actor`, with another surface."""
        frame = super().frame(body, item)
        vertices = frame.surface.vertices
        return Frame(**{**frame.__dict__, "surface": EveryTriangle(vertices, body.faces)})

    def bounds(self, frame: Frame, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As in `Actor`, by comparing every ray with every vertex."""
        return every_bound(origins, directions, frame.vertices, frame.joints, self.opt.min_dis_eps)


def every_bound(origins: Tensor, directions: Tensor, vertices: Tensor, joints: Tensor,
                radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Near, far and hit [R] of rays."""
    parts = [_all_stretches(*rays, vertices, radius)
             for rays in zip(origins.split(RAYS_AT_ONCE), directions.split(RAYS_AT_ONCE))]
    near, far = (torch.cat(ends) for ends in zip(*parts))
    hit = near.isfinite() & sphere_hits(origins, directions, *bounding_sphere(joints))
    return near.where(hit, 0), far.where(hit, 0), hit


class PublishedDataset(ActorDataset):
    """Draws pixels after all rays of the view were compared with the body."""

    def choose(self, item: dict, intrinsics: Tensor, full_size: tuple[int, int], rng) -> np.ndarray:
        """Pixels [N, 2] to train on."""
        rays = pixel_rays(pixel_grid(self.size, full_size), intrinsics, item["camera_to_world"])
        hit = every_bound(*rays, item["vertices"], item["joints"], self.opt.min_dis_eps)[2]
        return draw_pixels(hit.view(self.size).numpy(), int(self.opt.pixel_per_view), rng)


def begun(opt: Namespace, published: bool, own_draws: bool = True) -> tuple[NeuralActorModel, BaseDataset]:
    """A model that is about to train, and its data; in both ways it has the same weights, and without `own_draws` the
    same pixels.
    """
    torch.manual_seed(opt.seed)
    model = NeuralActorModel(opt)
    dataset = PublishedDataset(opt) if published and own_draws else create_dataset(opt)
    if published:
        actor = PublishedActor(opt)
        actor.load_state_dict(model.actor.state_dict())
        model.actor = model.networks["actor"] = actor
    model.start_phase(Phase("training", opt, range(1, 2)))
    return model, dataset


def step_of(model: NeuralActorModel, dataset: BaseDataset, step: int, steps: int) -> int:
    """Train one step; returns its rays."""
    model.set_mode(training=True)
    batch = dataset.collate([dataset.item(step, np.random.default_rng((dataset.opt.seed, step)), 1)])
    model.set_learning_rates(Progress(1, step, steps))
    model.optimize_parameters(batch)
    return batch["rays_o"].shape[1]


def measured(opt: Namespace, published: bool, steps: int) -> tuple[float, float]:
    """Rays per second in training, and in rendering a view."""
    model, dataset = begun(opt, published)
    step_of(model, dataset, 0, steps)  # the first reads files
    begin = time.process_time()
    rays = sum(step_of(model, dataset, step, steps) for step in range(1, steps + 1))
    training = rays / (time.process_time() - begin)
    batch = dataset.collate([dataset.item(0, None, 1)])
    model.set_mode(training=False)
    begin = time.process_time()
    model.view(batch)
    return training, batch["rays_o"].shape[1] / (time.process_time() - begin)


def learned(opt: Namespace, published: bool, marks: list[int], own_draws: bool
            ) -> list[tuple[float, dict[str, dict[str, float]]]]:
    """Seconds of training, and quality by name, after so many steps each. One renderer shows the weights of both."""
    model, dataset = begun(opt, published, own_draws)
    shown, root = NeuralActorModel(opt), Path(opt.dataroot)
    held_out = {"cameras": views(opt, root, FRAMES), "poses": views(opt, root.parent / "testing", FRAMES)}
    found, spent = [], 0.0
    for step in range(marks[-1]):
        begin = time.process_time()
        step_of(model, dataset, step, marks[-1])
        spent += time.process_time() - begin
        if step + 1 in marks:
            shown.actor.load_state_dict(model.actor.state_dict())
            found.append((spent, {name: quality(shown, of) for name, of in held_out.items()}))
    return found


def main(argv: list[str] | None = None) -> None:
    """Measure both in turn, and print a table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=5, metavar="N", help="whose speed is measured (default: 5)")
    parser.add_argument("--equal_steps", type=lambda text: [int(word) for word in text.split(",")], metavar="N,N",
                        help="after which quality is measured instead")
    parser.add_argument("--same_draws", action="store_true", help="with the same pixels in both ways")
    parser.add_argument("--only", choices=WAYS, help="of one way (default: both)")
    own, arguments = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    opt = resolved(TrainOptions().parse([*COMMON, *(arguments if "--inputs_to_texture" in arguments else SMALL + (
        *arguments,))]))
    ways = (own.only,) if own.only else WAYS
    if own.equal_steps:
        print("steps, way: seconds; held-out cameras: PSNR, SSIM; held-out poses: PSNR, SSIM")
        rows = {name: learned(opt, name == "published", own.equal_steps, not own.same_draws) for name in ways}
        for at, steps in enumerate(own.equal_steps):
            for name, found in rows.items():
                seconds, quality_of = found[at]
                print(f"{steps}, {name}: {seconds:.1f} s; " + "; ".join(
                    f"{of['psnr']:.2f} dB, {of['ssim']:.4f}" for of in quality_of.values()))
        return
    figures = {name: measured(opt, name == "published", own.steps) for name in WAYS}
    print(f"{opt.dataroot}: {opt.fixed_num_samples} cuts of a ray")
    for kind, theirs, ours in zip(("training", "rendering"), *figures.values()):
        print(f"{kind}: {theirs:.0f} rays/s as published, {ours:.0f} here: {ours / theirs:.1f} times as fast")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
