"""Neural Actor (Liu et al. 2021): a radiance field round a body, in any pose, from any viewpoint.

An item of its dataset is one frame from one view: `rays_o`, `rays_d` [R, 3] in the world, `rgb` [R, 3], the colours
wanted (in training); `joints_RT` [J, 4, 4], `rotation` [3, 3] (transposed, as in files), `translation` [3] and `joints`
[J, 3] of the body; `texture` [3, S, S] in [-1, 1]. For pictures and test.py it has all rays of the view, row by row,
its `size` (H, W), and `camera_to_world` [4, 4]. Files of the body lie in --dataroot.
"""

from argparse import ArgumentTypeError, Namespace

import numpy as np
import torch
from torch import Tensor

from models.base_model import BaseModel, Export, Phase
from models.neural_actor_losses import alpha_loss, colour_loss
from models.neural_actor_networks import from_published
from models.neural_actor_rendering import Actor
from models.parallel import frozen_statistics
from models.schedules import Progress, Schedule
from util import distributed
from util.command_line import float_at_least, int_at_least
from vision.geometry.depth import depth_colours, normals_from_depth
from vision.geometry.isosurface import as_ply, grid_points, isosurface
from vision.people.body_files import read_body

ARCHITECTURE = {
    "use_texture_encoder": False, "texture_to_deformation": False, "use_local_coordinate": False,
    "additional_deform": "none", "background_stop_gradient": False, "min_dis_eps": 0.15, "fixed_num_samples": 80,
    "texture_layers": 1, "inputs_to_texture": "feat:0:256,attnout:0:256,ray:4:3:b", "warmup_updates": 4000,
    "decay_steps": 200000, "color_weight": 256.0}
"""What the published program's own defaults for its architectures differ in from the recipe."""


class NeuralActorModel(BaseModel):
    """One network of several parts, trained on rays of one frame and view at a time.

    Attributes:
        body: what is constant over all frames.
    """

    dataset_mode = "actor"
    presets = {
        "recipe": {},
        "joint_nerf_coarse": ARCHITECTURE,
        "joint_nerf": ARCHITECTURE | {"fixed_num_samples": 40, "fixed_fine_num_samples": 120,
                                      "hierarchical_sampling": True, "use_fine_model": True},
        "joint_nerf_baseline": ARCHITECTURE,
        "joint_nerf_direct": ARCHITECTURE | {"disable_projection": True, "inputs_to_density": "attnout:0:256",
                                             "inputs_to_texture": "feat:0:256,ray:4:3:b"},
    }
    captions = {"view": "The actor, as the networks show it.", "photograph": "The same view as it was filmed.",
                "color": "The actor.", "normal": "Normals of its surface: blue faces the camera.",
                "depth": "Distance from the camera: blue is near, red far."}
    epoch_options = ("n_epochs",)
    largest_auto_batch = 1
    to_save_memory = "--pixel_per_view"

    def __init__(self, opt: Namespace):
        super().__init__(opt)
        self.body = read_body(opt.dataroot, opt.mesh, opt.texuv, opt.weights, opt.new_tpose).to(self.device)
        self.actor = Actor(opt).to(self.device)
        self.networks = {"actor": self.actor}

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Options of the published program, with the values of its recipe."""
        add_body_options(parser)
        add_field_options(parser)
        parser.also(arch="preset", max_sentences="batch_size")
        if not is_train:
            add_rendering_options(parser)
            return
        parser.set_defaults(batch_statistics="per_process", seed=2)
        group = parser.add_argument_group("neural actor: training")
        group.add_argument("--warmup_updates", type=int_at_least(0), default=1, metavar="N",
                           help="steps in which the learning rate rises; the first is made with --warmup_init_lr")
        group.add_argument("--warmup_init_lr", type=float, default=-1, metavar="RATE",
                           help="where it rises from; less than 0: from 0")
        group.add_argument("--decay_rate", type=float_at_least(0), default=0.1, metavar="FACTOR",
                           help="what the learning rate falls to in --decay_steps steps")
        group.add_argument("--decay_steps", type=float_at_least(1), default=250000, metavar="N",
                           help="see --decay_rate")
        group.add_argument("--adam_betas", type=pair, default=(0.9, 0.999), metavar="B1,B2", help="of Adam")
        group.add_argument("--adam_eps", type=float_at_least(0), default=1e-8, metavar="EPS", help="of Adam")
        group.add_argument("--clip_norm", type=float_at_least(0), default=0, metavar="NORM",
                           help="longest gradient; 0: any")
        group.add_argument("--color_weight", type=float_at_least(0), default=1, metavar="W",
                           help="weight of the colours' error")
        group.add_argument("--L1", action="store_true", help="take its absolute values, not its squares")
        group.add_argument("--alpha_weight", type=float_at_least(0), default=0.01, metavar="W",
                           help="weight of the alpha term, with --alpha_loss")
        group.add_argument("--alpha_loss", action="store_true",
                           help="count the alpha term, which the published program leaves out by mistake")
        flag(group, "discrete_regularization", False, "add noise to densities in training")
        flag(group, "hierarchical_loss", False, "count the colours of the first pass too")

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Adam, for everything that is trained."""
        self.called = self.parallel(self.actor)
        trained = [parameter for parameter in self.actor.parameters() if parameter.requires_grad]
        return {"actor": torch.optim.Adam(trained, lr=phase.opt.lr, betas=phase.opt.adam_betas,
                                          eps=phase.opt.adam_eps)}

    def schedules(self, phase: Phase) -> dict[str, Schedule]:
        """Warm-up, then an exponential fall, step by step."""
        opt = phase.opt

        def factor(progress: Progress) -> float:
            return factor_at_step(progress.step, opt.warmup_updates, max(opt.warmup_init_lr, 0) / (opt.lr or 1),
                                  opt.decay_rate, opt.decay_steps)
        return {"actor": factor}

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """One step; what the batch brings of random numbers (as for `Actor.render`) is not drawn."""
        batch = self.to_device(batch)
        items, rays = batch["rays_o"].shape[:2]
        drawn = self.draw(items, rays)
        inputs = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
        with self.autocast():
            seen = self.called(self.body, drawn | inputs)
        losses = self.losses(seen, batch["rgb"])
        for name in self.optimizers:
            self.gradient_step(losses["total"], name)
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

    def losses(self, seen: dict[str, Tensor], wanted: Tensor) -> dict[str, Tensor]:
        """`total` and its terms, of what rays see and the colours wanted [B, R, 3]."""
        opt = self.opt
        losses = {"color": colour_loss(seen["colour"], wanted, opt.L1)}
        total = opt.color_weight * losses["color"]
        if opt.alpha_loss:
            losses["alpha"] = alpha_loss(seen["missed"])
            total = total + opt.alpha_weight * losses["alpha"]
        if opt.hierarchical_loss and "coarse_colour" in seen:
            losses["color_coarse"] = colour_loss(seen["coarse_colour"], wanted, opt.L1)
            total = total + opt.color_weight * losses["color_coarse"]
        return {"total": total, **losses}

    def gradient_step(self, loss: Tensor, *names: str, keep_graph: bool = False) -> None:
        """As in every model; with --clip_norm, of a gradient that is no longer than that."""
        if not self.opt.clip_norm:
            super().gradient_step(loss, *names, keep_graph=keep_graph)
            return
        optimizer, = (self.optimizers[name] for name in names)
        hook = optimizer.register_step_pre_hook(self._clip)
        try:
            super().gradient_step(loss, *names, keep_graph=keep_graph)
        finally:
            hook.remove()

    def _clip(self, optimizer: torch.optim.Optimizer, _args: tuple, _kwargs: dict) -> None:
        scale = self.scaler.get_scale() if self.scaler.is_enabled() else 1.0
        torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.opt.clip_norm * scale)

    @torch.no_grad()
    def view(self, batch: dict) -> dict[str, Tensor]:
        """The first item of a batch, whole: colour [3, H, W] and normal [3, H, W] in [-1, 1], depth [1, H, W]."""
        batch = self.to_device(batch)
        item = {name: value[0] for name, value in batch.items() if isinstance(value, Tensor) and value.ndim > 1}
        height, width = (int(torch.as_tensor(side).reshape(-1)[0]) for side in sides(batch["size"]))
        frame, parts = self.actor.frame(self.body, item), []
        rays = {name: item[name] for name in ("rays_o", "rays_d")}
        for start in range(0, height * width, VIEW_CHUNK):
            part = {name: value[start:start + VIEW_CHUNK] for name, value in rays.items()}
            with self.autocast():
                seen = self.actor.render(frame, part)
            parts.append(torch.cat((seen["colour"], seen["depth"][:, None]), -1))
        colour, depth = torch.cat(parts).view(height, width, 4).split((3, 1), -1)
        if self.opt.min_color == 0:
            colour = 2 * colour - 1
        points = rays["rays_o"].view(height, width, 3) + depth * rays["rays_d"].view(height, width, 3)
        pose = item.get("camera_to_world")
        normal = normals_from_depth(points if pose is None else points @ pose[:3, :3])
        return {"colour": colour.permute(2, 0, 1).clamp(-1, 1), "normal": normal.permute(2, 0, 1),
                "depth": depth.permute(2, 0, 1)}

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """A view, and its photograph where there is one."""
        with frozen_statistics(self.actor):
            seen = self.view(batch)
        pictures = {"view": seen["colour"]}
        if "rgb" in batch:
            photograph = batch["rgb"][0].view(*seen["colour"].shape[1:], 3).permute(2, 0, 1)
            pictures["photograph"] = photograph if self.opt.min_color else 2 * photograph - 1
        return pictures

    def export(self, batch: dict) -> Export:
        """Pictures and meshes that --render_output_types names, and the camera's pose as text."""
        self.actor.eval()  # with the statistics of the training, as published
        stem = batch["image_path"][0].rpartition("/")[2].rpartition(".")[0]
        kinds, shown = self.opt.render_output_types, {}
        files: dict[str, Tensor | str | bytes] = {}
        if set(kinds) - {"marchingcube"}:
            seen = self.view(batch)
            seen["color"] = seen["colour"]
            seen["depth"] = depth_colours(seen["depth"], self.opt.near, self.opt.far)
            shown = {kind: seen[kind][None] for kind in kinds if kind != "marchingcube"}
            files |= {f"{kind}/{stem}.png": picture for kind, picture in shown.items()}
        if "marchingcube" in kinds:
            files[f"mc_mesh/{stem}.ply"] = as_ply(*self.mesh(batch))
        if "camera_to_world" in batch:
            rows = batch["camera_to_world"][0].tolist()
            files[f"pose/{stem}.txt"] = "".join(" ".join(f"{value:.8f}" for value in row) + "\n" for row in rows)
        return Export(files=files, video_frames=shown, captions=self.captions)

    @torch.no_grad()
    def mesh(self, batch: dict) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [V, 3] in the world and faces [F, 3] of the surface of the first item of a batch.

        Raises:
            UserError: there is none.
        """
        item = {name: value[0] for name, value in self.to_device(batch).items() if isinstance(value, Tensor)}
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


def pair(text: str) -> tuple[float, float]:
    """An argparse type: two numbers, with or without brackets."""
    try:
        first, second = (float(word) for word in text.strip("()[] ").split(","))
    except ValueError:
        raise ArgumentTypeError(f"found '{text}'; expected two numbers such as 0.9,0.999") from None
    return first, second


def flag(group, name: str, default: bool, text: str) -> None:
    """Add `--name`, and `--no_name` for its opposite."""
    group.add_argument(f"--{name}", action="store_true", default=default, help=text)
    group.add_argument(f"--no_{name}", dest=name, action="store_false", default=default, help=f"not --{name}")


def add_rendering_options(parser) -> None:
    """Add what is made of an item by test.py."""
    group = parser.add_argument_group("neural actor: results")
    group.add_argument("--render_output_types", nargs="+", default=["color", "normal", "depth"],
                       choices=("color", "normal", "depth", "marchingcube"),
                       help="pictures, and the surface as a mesh (needs scikit-image)")
    group.add_argument("--mesh_resolution", type=int_at_least(2), default=128, metavar="N",
                       help="points of the mesh's grid, on each side")
    group.add_argument("--mesh_level", type=float, default=50.0, metavar="DENSITY",
                       help="density at the mesh's surface")


def add_body_options(parser) -> None:
    """Add what says how samples are told by the body."""
    group = parser.add_argument_group("neural actor: body and texture")
    for name, text in (("mesh", "canonical.obj: the body at rest"), ("texuv", "uvmapping.obj: its texture coordinates"),
                       ("weights", "skinning_weight.txt: its skinning weights"),
                       ("new_tpose", "transform_tpose.json: the pose in which the actor is learned; none: at rest")):
        group.add_argument(f"--{name}", default=None, metavar="FILE", help=f"another file than DATAROOT's {text}")
    group.add_argument("--min_dis_eps", type=float_at_least(1e-6), default=0.06, metavar="M",
                       help="rays are sampled where they are nearer than this to a vertex of the body, in metres")
    flag(group, "use_local_coordinate", True, "tell samples by their place on the skin and distance from it")
    flag(group, "use_global_rotation", False, "where they are not: leave the body's rotation in their position")
    group.add_argument("--additional_deform", default="pos", choices=("pos", "none"),
                       help="pos: a network moves samples in the canonical pose")
    flag(group, "use_texture_encoder", True, "look up features of the texture; without: its colours")
    group.add_argument("--texture_encoder_layers", type=int_at_least(1), default=4, choices=range(1, 6), metavar="N",
                       help="maps of the texture encoder, 1 to 5")
    group.add_argument("--no_pretrained", action="store_true",
                       help="begin the texture encoder with random weights, not with those for ImageNet")
    flag(group, "texture_to_deformation", True, "the network that moves samples sees the texture too")
    flag(group, "predict_texture_mask", False, "learn which texels count (textures of 512x512)")
    flag(group, "disable_projection", False, "do not undo the pose")
    flag(group, "disable_texture", False, "use no texture at all")
    group.add_argument("--joint_feature_dim", type=int_at_least(1), default=256, metavar="N",
                       help="width of the code of a sample's place (attnout)")
    group.add_argument("--joint_filter_size", type=int_at_least(1), default=6, metavar="N",
                       help="octaves in which the place is encoded")
    parser.deciding |= {"use_texture_encoder", "texture_encoder_layers", "texture_to_deformation", "additional_deform",
                        "predict_texture_mask", "disable_texture", "joint_feature_dim", "joint_filter_size",
                        "use_local_coordinate", "use_global_rotation", "disable_projection"}


def add_field_options(parser) -> None:
    """Add what says what the field is, and how it is rendered."""
    group = parser.add_argument_group("neural actor: field and rendering")
    group.add_argument("--inputs_to_density", default="pos:6:3", metavar="SPEC",
                       help="what densities are made of: name:octaves:dim:type, ...")
    group.add_argument("--inputs_to_texture", default="feat:0:256,attnout:0:256,texture:0:512,ray:4:3:b",
                       metavar="SPEC", help="what colours are made of; the first is feat:0:N")
    for name, default, text in (("feature_embed_dim", 256, "width of the layers below density and colour"),
                                ("density_embed_dim", 128, "width of the density's layer"),
                                ("texture_embed_dim", 256, "width of the colour's layers")):
        group.add_argument(f"--{name}", type=int_at_least(1), default=default, metavar="N", help=text)
    group.add_argument("--feature_layers", type=int_at_least(0), default=6, metavar="N", help="their number, less 2")
    group.add_argument("--texture_layers", type=int_at_least(0), default=3, metavar="N",
                       help="number of the colour's layers, less 2")
    group.add_argument("--feature_field_skip_connect", type=int, default=3, metavar="N",
                       help="after this of the feature's layers, from 0, its input comes in again")
    flag(group, "nerf_style_mlp", False, "layers as in NeRF: 8 and 2")
    flag(group, "pe_no_mul_pi", False, "encode with frequencies 1, 2, 4, ..., not times pi")
    group.add_argument("--no_layernorm_mlp", action="store_true", default=True, help="always so; as published")
    group.add_argument("--fixed_num_samples", type=int_at_least(1), default=64, metavar="N",
                       help="cuts of a ray; it has one sample more")
    group.add_argument("--fixed_fine_num_samples", type=int_at_least(0), default=0, metavar="N",
                       help="further cuts of the second pass")
    flag(group, "hierarchical_sampling", False, "sample again where the first pass found something")
    flag(group, "use_fine_model", False, "with a field of its own")
    flag(group, "reduce_fine_for_missed", False, "with fewer samples where a ray may meet nothing")
    group.add_argument("--chunk_size", type=int_at_least(1), default=64, metavar="N",
                       help="1024 samples that are computed at once in training")
    group.add_argument("--valid_chunk_size", type=int_at_least(1), default=64, metavar="N",
                       help="likewise for pictures")
    group.add_argument("--raymarching_tolerance", type=float_at_least(0), default=0, metavar="T",
                       help="follow rays no further when less than this comes through; 0: always to the end")
    group.add_argument("--min_color", type=int, default=-1, choices=(-1, 0),
                       help="range of colours inside the networks: -1 to 1, or 0 to 1 with a sigmoid")
    group.add_argument("--transparent_background", default="1.0,1.0,1.0", metavar="R,G,B",
                       help="colour behind the actor, or one grey, in [0, 1]")
    flag(group, "background_stop_gradient", True, "do not train the background's colour")
    flag(group, "black_background", False, "multiply the background by 0, as published")
    group.add_argument("--near", type=float_at_least(0), default=2, metavar="M",
                       help="what depth pictures show as blue")
    group.add_argument("--far", type=float_at_least(0), default=4, metavar="M", help="what they show as red")
    parser.deciding |= {"inputs_to_density", "inputs_to_texture", "feature_embed_dim", "density_embed_dim",
                        "texture_embed_dim", "feature_layers", "texture_layers", "feature_field_skip_connect",
                        "nerf_style_mlp", "pe_no_mul_pi", "use_fine_model", "hierarchical_sampling", "min_color"}

