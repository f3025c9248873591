"""A small radiance field: colours of rays through a volume, whose density and colour a network knows."""

from argparse import Namespace

import torch
from torch import Tensor, nn

from models.base_model import BaseModel, Cost, Export, Phase
from models.schedules import Progress, Schedule
from util import distributed
from util.command_line import float_at_least, int_at_least

NEAR, FAR = 1.2, 3.8
"""Distance from the camera of the first and the last sample of a ray."""
FREQUENCIES = 4


class FieldModel(BaseModel):
    """One network, trained with a learning rate that changes in every step; its pictures are of any view."""

    dataset_mode = "field"
    captions = {"view": "A filmed view, as the field shows it.", "filmed": "The same view as it was filmed.",
                "color": "The field along the trajectory.", "depth": "Distance from the camera: white is near."}
    epoch_options = ("n_epochs",)
    to_save_memory = "--n_rays"

    def __init__(self, opt: Namespace):
        super().__init__(opt)
        channels = opt.num_filters
        self.field = nn.Sequential(nn.Linear(3 + 6 * FREQUENCIES, channels), nn.ReLU(),
                                   nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, 4)).to(self.device)
        self.networks = {"field": self.field}

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """The network, and its learning rate."""
        group = parser.add_argument_group("field model")
        group.add_argument("--num_filters", type=int_at_least(1), default=32, metavar="N",
                           help="channels of the network")
        group.add_argument("--n_samples", type=int_at_least(2), default=24, metavar="N", help="samples of a ray")
        parser.deciding |= {"num_filters"}
        if is_train:
            parser.set_defaults(lr=0.01, n_epochs=5)
            group.add_argument("--warmup_updates", type=int_at_least(0), default=1, metavar="N",
                               help="steps in which the learning rate rises from 0")
            group.add_argument("--decay_rate", type=float_at_least(0), default=0.1, metavar="FACTOR",
                               help="what the learning rate falls to in --decay_steps steps")
            group.add_argument("--decay_steps", type=float_at_least(1), default=200, metavar="N",
                               help="see --decay_rate")
            group.add_argument("--density_noise", type=float_at_least(0), default=0.1, metavar="STD",
                               help="noise on densities in training")

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Adam."""
        self.called = self.parallel(self.field)
        return {"field": torch.optim.Adam(self.field.parameters(), lr=phase.opt.lr)}

    def schedules(self, phase: Phase) -> dict[str, Schedule]:
        """Warm-up, then an exponential fall, step by step."""
        def factor(progress: Progress) -> float:
            return factor_at_step(progress.step, phase.opt.warmup_updates, phase.opt.decay_rate, phase.opt.decay_steps)
        return {"field": factor}

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """Squared error, summed over channels; `psnr` is that of the batch's rays, with colours in [0, 1]."""
        batch = self.to_device(batch)
        noise = self.opt.density_noise * self.randn_per_item(*batch["origins"].shape[:2], self.opt.n_samples)
        colours, _ = self.render(self.called, batch["origins"], batch["directions"], noise)
        loss = (colours - batch["colours"]).square().sum(-1).mean()
        self.gradient_step(loss, "field")
        whole = distributed.sum_over_processes(loss.detach()) / distributed.count()  # the mean of logarithms is another
        return {"total": loss.detach(), "psnr": -10 * (whole / 12).log10()}

    def render(self, field: nn.Module, origins: Tensor, directions: Tensor,
               noise: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        """Colours [..., 3] in [-1, 1] and depths [...] of rays [..., 3], before a white wall at `FAR`."""
        depths = torch.linspace(NEAR, FAR, self.opt.n_samples, device=self.device)
        points = origins[..., None, :] + depths[:, None] * directions[..., None, :]
        with self.autocast():
            found = field(encoded(points)).float()
        step = (FAR - NEAR) / (self.opt.n_samples - 1)
        weights = ray_weights(found[..., 3] + noise, torch.full_like(depths, step))
        missed = 1 - weights.sum(-1)
        colours = (weights[..., None] * found[..., :3].tanh()).sum(-2) + missed[..., None]
        return colours, (weights * depths).sum(-1) + missed * FAR

    @torch.no_grad()
    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """A filmed view."""
        batch = self.to_device(batch)
        colours, _ = self.render(self.field, batch["origins"][0], batch["directions"][0])
        return {"view": colours.permute(2, 0, 1), "filmed": batch["colours"][0].permute(2, 0, 1)}

    @torch.no_grad()
    def export(self, batch: dict) -> Export:
        """Colours, depth, the camera's pose as text, and the surface as points."""
        batch, name = self.to_device(batch), batch["image_path"][0].removesuffix(".png")
        colours, depths = self.render(self.field, batch["origins"], batch["directions"])
        points = (batch["origins"] + depths[..., None] * batch["directions"])[depths < FAR - 0.5]
        color, depth = colours.permute(0, 3, 1, 2), 1 - 2 * (depths[:, None] - NEAR) / (FAR - NEAR)
        pose = "".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in batch["pose"][0].tolist())
        return Export(files={f"color/{name}.png": color, f"depth/{name}.png": depth, f"pose/{name}.txt": pose,
                             f"points/{name}.ply": as_ply(points)},
                      video_frames={"color": color, "depth": depth}, captions=self.captions)

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost:
        """By the number of samples; measured once, with room to spare."""
        samples = item["origins"][..., 0].numel() * self.opt.n_samples
        weights = sum(weight.numel() for weight in self.field.parameters())
        return Cost(tflop=6e-12 * items * samples * weights, cpu_seconds=2e-10 * items * samples * weights,
                    gib=0.4 + 4e-8 * batch_size * samples * self.opt.num_filters)


def factor_at_step(step: int, warmup: int, rate: float, steps: float) -> float:
    """What the learning rate is multiplied with after `step` steps: it rises to 1 in `warmup` steps, then falls.

    The first step is made with 0 where there is a warm-up; after `steps` it has fallen to `rate`.
    """
    return step / warmup if step < warmup else rate ** (step / steps)


def encoded(points: Tensor) -> Tensor:
    """[..., 3] to [..., 3 + 6 FREQUENCIES]: the points, and sines and cosines of 1, 2, 4, ... times them."""
    scaled = [2**k * points for k in range(FREQUENCIES)]
    return torch.cat((points, *(wave(x) for x in scaled for wave in (torch.sin, torch.cos))), -1)


def ray_weights(densities: Tensor, lengths: Tensor) -> Tensor:
    """How much each sample adds to its ray's colour, from densities [..., S] (negative: none) and lengths [S]."""
    thickness = densities.relu() * lengths
    return (1 - (-thickness).exp()) * (thickness - thickness.cumsum(-1)).exp()


def as_ply(points: Tensor) -> bytes:
    """Points [N, 3] as a binary PLY file."""
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    return header.encode() + points.cpu().numpy().astype("<f4").tobytes()
