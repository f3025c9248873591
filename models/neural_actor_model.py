"""Neural Actor (Liu et al. 2021): a radiance field round a body, in any pose, from any viewpoint.

An item of its dataset is one frame from one view: `rays_o`, `rays_d` [R, 3] in the world, `rgb` [R, 3], the colours
wanted (in training); `joints_RT` [J, 4, 4], `rotation` [3, 3] (transposed, as in files), `translation` [3] and `joints`
[J, 3] of the body; `texture` [3, S, S] in [-1, 1]. For pictures and test.py it has all rays of the view, row by row,
its `size` (H, W), and `camera_to_world` [4, 4]. Files of the body lie in --dataroot.
"""

from argparse import Namespace
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.base_model import BaseModel, Cost, Export, Phase
from models.lazy_adam import LazyAdam
from models.neural_actor_layers import exported_layers
from models.neural_actor_losses import VggDistance, alpha_loss, colour_loss, mask_loss, squares, ssim_loss
from models.neural_actor_networks import from_published
from models.neural_actor_options import PRESETS, add_options
from models.neural_actor_poses import POSE, PoseCorrections, as_transform_file
from models.neural_actor_rendering import Actor
from models.parallel import frozen_statistics
from models.schedules import Progress, Schedule
from util import distributed
from util.errors import UserError
from vision.geometry.depth import depth_colours, normals_from_depth
from vision.geometry.isosurface import as_ply, grid_points, isosurface
from vision.people.body_files import read_body


class NeuralActorModel(BaseModel):
    """One network of several parts, trained on rays of one frame and view at a time.

    Attributes:
        body: what is constant over all frames.
    """

    dataset_mode = "actor"
    presets = PRESETS
    captions = {"view": "The actor, as the networks show it.", "photograph": "The same view as it was filmed.",
                "color": "The actor.", "normal": "Normals of its surface: blue faces the camera.",
                "depth": "Distance from the camera: blue is near, red far.",
                "target": "The same view as it was filmed.", "full": "All of them, side by side."}
    epoch_options = ("n_epochs",)
    largest_auto_batch = 1
    to_save_memory = "--pixel_per_view"

    def __init__(self, opt: Namespace):
        super().__init__(opt)
        self.body = read_body(opt.dataroot, opt.mesh, opt.texuv, opt.weights, opt.new_tpose,
                              getattr(opt, "base_root", None)).to(self.device)
        self.actor = Actor(opt, len(self.body.vertices)).to(self.device)
        self.networks = {"actor": self.actor}
        if getattr(opt, "refine_poses", False):
            self.poses = PoseCorrections(opt.refined_frames, self.body.weights.shape[1]).to(self.device)
            self.networks["poses"] = self.poses
        self.side = getattr(opt, "sampling_patch_size", 1)
        if opt.is_train:
            for name, least in (("ssim_weight", 7), ("vgg_weight", 16)):
                if getattr(opt, name) and self.side < least:
                    raise UserError(f"--{name}: needs squares of at least {least} pixels; found --sampling_patch_size "
                                    f"{self.side}. Give --sampling_patch_size {least}")
            self.vgg = VggDistance(opt.vgg_level).to(self.device) if opt.vgg_weight else None

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Options of the published program, with the values of its recipe."""
        add_options(parser, is_train)

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Adam, for everything that is trained."""
        self.called = self.parallel(self.actor)
        trained = [parameter for parameter in self.actor.parameters() if parameter.requires_grad]
        optimizers: dict[str, torch.optim.Optimizer] = {"actor": torch.optim.Adam(
            trained, lr=phase.opt.lr, betas=phase.opt.adam_betas, eps=phase.opt.adam_eps)}
        if "poses" in self.networks:
            self.called_for_poses = self.parallel(self.poses)
            optimizers["poses"] = LazyAdam([{"params": list(self.poses.parameters()), "lr": phase.opt.pose_lr,
                                             "per_frame": True}], betas=POSE_BETAS)
        return optimizers

    def schedules(self, phase: Phase) -> dict[str, Schedule]:
        """Warm-up, then an exponential fall, step by step."""
        opt = phase.opt

        def factor(progress: Progress) -> float:
            return factor_at_step(progress.step, opt.warmup_updates, max(opt.warmup_init_lr, 0) / (opt.lr or 1),
                                  opt.decay_rate, opt.decay_steps or progress.total)
        return {"actor": factor, "poses": factor}

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """One step; what the batch brings of random numbers (as for `Actor.render`) is not drawn."""
        batch = self.to_device(batch)
        items, rays = batch["rays_o"].shape[:2]
        drawn = self.draw(items, rays)
        inputs = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
        if "poses" in self.networks:
            inputs |= self.called_for_poses({name: inputs[name] for name in (*POSE, "frame")})
        correction = inputs.pop("correction", None)
        with self.autocast():
            seen = self.called(self.body, drawn | inputs)
        losses = self.losses(seen | {name: batch[name] for name in ("alpha",) if name in batch}, batch["rgb"])
        if correction is not None:
            losses["poses"] = correction.mean()
            losses["total"] = losses["total"] + self.opt.pose_weight * losses["poses"]
        self.gradient_step(losses["total"], *self.optimizers)
        whole = distributed.sum_over_processes(losses["color"].detach()) / distributed.count()
        scale = 12 if self.opt.min_color else 3
        if not self.opt.L1:
            losses["psnr"] = -10 * (whole / scale).clamp(min=1e-12).log10()
        return {name: loss.detach() for name, loss in losses.items()}

    def draw(self, items: int, rays: int) -> dict[str, Tensor]:
        """The random numbers of a step, for this process's items."""
        opt, drawn = self.opt, {}

        def uniform(count: int) -> Tensor:
            numbers = torch.rand(distributed.count() * items, rays, count, device=self.device).clamp(0.001, 0.999)
            return numbers[distributed.rank() * items:(distributed.rank() + 1) * items]
        samples, fine = opt.fixed_num_samples, opt.fixed_fine_num_samples if opt.hierarchical_sampling else 0
        drawn["jitter"] = uniform(samples)
        if fine:
            drawn["jitter_fine"] = uniform(fine)
        if opt.discrete_regularization:
            drawn["density_noise"] = self.randn_per_item(items, rays, samples + 1)
            if fine:
                drawn["density_noise_fine"] = self.randn_per_item(items, rays, samples + fine + 1)
        return drawn

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost | None:
        """Counted for rays that all pass the body, and nearest points without libigl."""
        opt = self.opt
        samples = len(item["rays_o"]) * (opt.fixed_num_samples + 1)
        if opt.hierarchical_sampling:
            samples += len(item["rays_o"]) * (opt.fixed_num_samples + opt.fixed_fine_num_samples + 1)
        layers = [part for part in self.actor.modules() if isinstance(part, torch.nn.Linear)]
        weights, widths = (sum(sizes) for sizes in zip(*((part.weight.numel(), part.out_features) for part in layers)))
        flop = 6 * samples * weights
        gib = 0.7 + 8e-9 * batch_size * samples * widths + 16e-9 * sum(p.numel() for p in self.actor.parameters())
        if opt.use_texture_encoder and not opt.disable_texture:
            texels = item["texture"][0].numel()
            flop += ENCODER_FLOP[opt.texture_encoder_layers - 1] * texels
            gib += ENCODER_BYTES * batch_size * texels / 2**30
        return Cost(1e-12 * items * flop, gib, items * (1e-11 * flop + 8e-6 * samples))

    def losses(self, seen: dict[str, Tensor], wanted: Tensor) -> dict[str, Tensor]:
        """`total` and its terms, of what rays see, photographs' `alpha` [B, R] there, and the colours wanted [B, R, 3].
        """
        opt = self.opt
        losses = {"color": colour_loss(seen["colour"], wanted, opt.L1)}
        total = opt.color_weight * losses["color"]
        if opt.alpha_loss:
            losses["alpha"] = alpha_loss(seen["missed"])
            total = total + opt.alpha_weight * losses["alpha"]
        if opt.mask_weight and "alpha" in seen:
            losses["mask"] = mask_loss(seen["missed"], seen["alpha"])
            total = total + opt.color_weight * opt.mask_weight * losses["mask"]
        if opt.hierarchical_loss and "coarse_colour" in seen:
            losses["color_coarse"] = colour_loss(seen["coarse_colour"], wanted, opt.L1)
            total = total + opt.color_weight * losses["color_coarse"]
        if opt.ssim_weight or opt.vgg_weight:
            pictures, true = (squares(values if opt.min_color == 0 else (values + 1) / 2, self.side)
                              for values in (seen["colour"], wanted))
            if opt.ssim_weight:
                losses["ssim"] = ssim_loss(pictures, true)
                total = total + opt.ssim_weight * losses["ssim"]
            if self.vgg is not None:
                losses["vgg"] = self.vgg(pictures, true)
                total = total + opt.vgg_weight * losses["vgg"]
        return {"total": total, **losses}

    def gradient_step(self, loss: Tensor, *names: str, keep_graph: bool = False) -> None:
        """As in every model; with --clip_norm, of a gradient that is no longer than that."""
        if not self.opt.clip_norm:
            super().gradient_step(loss, *names, keep_graph=keep_graph)
            return
        hook = self.optimizers["actor"].register_step_pre_hook(self._clip)
        try:
            super().gradient_step(loss, *names, keep_graph=keep_graph)
        finally:
            hook.remove()

    def _clip(self, optimizer: torch.optim.Optimizer, _args: tuple, _kwargs: dict) -> None:
        scale = self.scaler.get_scale() if self.scaler.is_enabled() else 1.0
        torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.opt.clip_norm * scale)

    @torch.no_grad()
    def view(self, batch: dict) -> dict[str, Tensor]:
        """The first item of a batch, whole: colour [3, H, W] and normal [3, H, W] in [-1, 1], depth [1, H, W]; and
        `missed` [1, H, W], the share of the background in it."""
        batch = self.corrected(self.to_device(batch))
        item = {name: value[0] for name, value in batch.items() if isinstance(value, Tensor) and value.ndim > 1}
        height, width = (int(torch.as_tensor(side).reshape(-1)[0]) for side in sides(batch["size"]))
        frame, parts = self.actor.frame(self.body, item), []
        rays = {name: item[name] for name in ("rays_o", "rays_d")}
        for start in range(0, height * width, VIEW_CHUNK):
            part = {name: value[start:start + VIEW_CHUNK] for name, value in rays.items()}
            with self.autocast():
                seen = self.actor.render(frame, part)
            parts.append(torch.cat((seen["colour"], seen["depth"][:, None], seen["missed"][:, None]), -1))
        colour, depth, missed = torch.cat(parts).view(height, width, 5).split((3, 1, 1), -1)
        if self.opt.min_color == 0:
            colour = 2 * colour - 1
        points = rays["rays_o"].view(height, width, 3) + depth * rays["rays_d"].view(height, width, 3)
        pose = item.get("camera_to_world")
        normal = normals_from_depth(points if pose is None else points @ pose[:3, :3])
        return {"colour": colour.permute(2, 0, 1).clamp(-1, 1), "normal": normal.permute(2, 0, 1),
                "depth": depth.permute(2, 0, 1), "missed": missed.permute(2, 0, 1)}

    @torch.no_grad()
    def corrected(self, batch: dict) -> dict:
        """A batch, on this device, with its poses as they were refined in training."""
        if "poses" not in self.networks or "frame" not in batch:
            return batch
        return batch | self.poses(batch)

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """A view, and its photograph where there is one."""
        with frozen_statistics(self.actor):
            seen = self.view(batch)
        pictures = {"view": seen["colour"]}
        return pictures | ({"photograph": self.photograph(batch, seen["colour"].shape[1:])} if "rgb" in batch else {})

    def photograph(self, batch: dict, size: Sequence[int]) -> Tensor:
        """What was filmed of a view, [3, H, W] in [-1, 1]."""
        colours = batch["rgb"][0].view(*size, 3).permute(2, 0, 1)
        return colours if self.opt.min_color else 2 * colours - 1

    def export(self, batch: dict) -> Export:
        """Pictures and meshes that --render_output_types names, and the camera's pose as text."""
        self.actor.eval()  # with the statistics of the training, as published
        if "plate" in batch:
            background = self.actor.background if self.opt.min_color else 2 * self.actor.background - 1
            return exported_layers(self.to_device(batch), self.view(batch), background.detach())
        stem = batch["image_path"][0].rpartition("/")[2].rpartition(".")[0]
        kinds, shown = self.opt.render_output_types, {}
        files: dict[str, Tensor | str | bytes] = {}
        if set(kinds) - {"marchingcube"}:
            seen = self.view(batch)
            seen["color"] = seen["colour"]
            seen["depth"] = depth_colours(seen["depth"], self.opt.near, self.opt.far)
            shown = {kind: seen[kind][None] for kind in kinds if kind != "marchingcube"}
            files |= {f"{kind}/{stem}.png": picture for kind, picture in shown.items()}
            if len(shown) > 1:
                shown["full"] = torch.cat(list(shown.values()), -1)
            if "rgb" in batch and "color" in kinds:
                files[f"target/{stem}.png"] = self.photograph(batch, seen["color"].shape[1:])[None]
        if "marchingcube" in kinds:
            files[f"mc_mesh/{stem}.ply"] = as_ply(*self.mesh(batch))
        if "camera_to_world" in batch:
            rows = batch["camera_to_world"][0].tolist()
            files[f"pose/{stem}.txt"] = "".join(" ".join(f"{value:.8f}" for value in row) + "\n" for row in rows)
        if "poses" in self.networks and "frame" in batch:
            pose = self.corrected(self.to_device(batch))
            files[f"transform/{stem}.json"] = as_transform_file({name: pose[name][0] for name in POSE})
        return Export(files=files, video_frames=shown, captions=self.captions)

    @torch.no_grad()
    def mesh(self, batch: dict) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [V, 3] in the world and faces [F, 3] of the surface of the first item of a batch.

        Raises:
            UserError: there is none.
        """
        batch = self.corrected(self.to_device(batch))
        item = {name: value[0] for name, value in batch.items() if isinstance(value, Tensor)}
        frame = self.actor.frame(self.body, item)
        lower = (frame.vertices.amin(0) - MESH_MARGIN).cpu().numpy()
        upper = (frame.vertices.amax(0) + MESH_MARGIN).cpu().numpy()
        points = torch.from_numpy(grid_points(lower, upper, self.opt.mesh_resolution))
        densities = self.actor.densities(frame, points.view(-1, 3).to(self.device)).view(points.shape[:3])
        return isosurface(densities.cpu().numpy(), self.opt.mesh_level, lower, upper)

    def weights_from(self, network: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Those of a released checkpoint have the same names; what it holds of the mesh is left out."""
        return from_published(weights)


MESH_MARGIN = 0.2
"""How much larger than the body the box is in which its surface is sought, in metres."""
ENCODER_FLOP = (14e3, 70e3, 120e3, 190e3, 240e3)
"""A step of the texture encoder for a texel, by the number of its maps."""
ENCODER_BYTES = 2500
POSE_BETAS = (0.9, 0.99)
"""Of Adam for corrections of poses, which see their frame far less often than networks."""
VIEW_CHUNK = 1 << 14
"""Rays of a view that are looked at at once: what bounds the memory of a picture."""


def sides(size) -> list:
    """Height and width of a batch's first item, however `size` was collated."""
    return list(size[0]) if isinstance(size, Tensor) and size.ndim == 2 else list(size)


def factor_at_step(step: int, warmup: int, first: float, rate: float, steps: float) -> float:
    """What the learning rate is multiplied with after `step` steps: it rises to 1 in `warmup` steps, then falls.

    Args:
        step: steps that are done; the first step is made with the factor of 0.
        warmup: steps of the rise.
        first: where it rises from.
        rate: what it has fallen to after `steps` steps, and its square after twice as many.
        steps: see `rate`.
    """
    return first + (1 - first) * step / warmup if step < warmup else rate ** (step / steps)
