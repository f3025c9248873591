"""A small video GAN from coarse to fine: frames from maps, each made from the one before."""

from argparse import Namespace
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base_model import BaseModel, Cost, Export, Phase
from models.parallel import frozen_statistics
from models.schedules import Progress, Schedule
from util import distributed
from util.command_line import float_at_least, int_at_least

TRIPLET = 3
"""Frames that the temporal discriminator judges together."""


class VideoGanModel(BaseModel):
    """Generators G0 (coarsest), G1, ... of frames; discriminators D of frames with their maps, and D_T of triplets.

    A clip is cut into loads of a few frames. A load goes on from the last frame that was made for the load before,
    without gradients to there, and ends with one step of all optimisers. D_T makes none as long as it has seen too few
    frames of a clip. Frames and maps travel as [B, T, C, H, W] in [-1, 1]; pyramids of them are lists, coarsest first.
    """

    dataset_mode = "video_gan"
    captions = {"map": "Where the disc is.", "made": "The last frame of a clip, made from maps and its first frame.",
                "real": "The same frame as it was filmed."}
    presets = {"published": {}, "fine": {"n_scales_spatial": 2, "niter_fix_global": 1, "TTUR": True}}
    epoch_options = ("n_epochs", "n_epochs_decay", "niter_step", "niter_fix_global")
    to_save_memory = "--n_frames_load"

    def __init__(self, opt: Namespace):
        super().__init__(opt)
        self.generators = {f"G{scale}": Generator(opt.ngf, is_finer=scale > 0).to(self.device)
                           for scale in range(opt.n_scales_spatial)}
        self.networks = {**self.generators, "D": Discriminator(1 + 3, opt.ngf, opt.n_scales_spatial).to(self.device),
                         "D_T": Discriminator(TRIPLET * 3, opt.ngf, 1).to(self.device)}
        self.teacher = teacher().to(self.device)  # not among the networks: it is not trained, and not saved
        self.loads = 0
        self.sequence, self.shown = None, []

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Networks and their training."""
        group = parser.add_argument_group("video_gan model")
        group.add_argument("--n_scales_spatial", type=int_at_least(1), default=1, metavar="N",
                           help="number of generators")
        group.add_argument("--ngf", type=int_at_least(1), default=8, metavar="N", help="channels of all networks")
        group.add_argument("--fineSize", type=int_at_least(4), default=16, metavar="PX",
                           help="width and height of frames")
        parser.deciding |= {"n_scales_spatial", "ngf", "fineSize"}
        if is_train:
            parser.set_defaults(n_epochs=2, n_epochs_decay=2, batch_size=2)
            group.add_argument("--n_frames_load", type=int_at_least(1), default=2, metavar="N",
                               help="frames that are made between two steps of the optimisers")
            group.add_argument("--niter_fix_global", type=int_at_least(0), default=0, metavar="N",
                               help="epochs in which only the finest generator is trained")
            group.add_argument("--TTUR", action="store_true", help="half the learning rate for G, twice that for D")
            group.add_argument("--lambda_feat", type=float_at_least(0), default=10, metavar="W",
                               help="weight of the teacher")
            parser.also(max_frames_per_gpu="n_frames_load")
            parser.published_unit("save_latest_freq", "samples")

    def phases(self) -> list[Phase]:
        """First the finest generator alone, if that is asked for; then all, and the discriminators go on as before."""
        end = self.opt.n_epochs + self.opt.n_epochs_decay + 1
        border = min(1 + self.opt.niter_fix_global, end) if len(self.generators) > 1 else 1
        phases = [Phase("finest", self.opt, range(1, border)),
                  Phase("all", self.opt, range(border, end), keeps=("D", "D_T"))]
        return [phase for phase in phases if phase.epochs]

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """One for the generators that the phase trains, and one for each discriminator."""
        self.trained = list(self.generators) if phase.name == "all" else list(self.generators)[-1:]
        for name, generator in self.generators.items():
            generator.requires_grad_(name in self.trained)
        self.called = {name: self.parallel(network) for name, network in self.networks.items()}
        lr, (for_g, for_d) = phase.opt.lr, (0.5, 2) if phase.opt.TTUR else (1, 1)
        betas = (0.0, 0.9) if phase.opt.TTUR else (0.5, 0.999)
        weights = [weight for name in self.trained for weight in self.networks[name].parameters()]
        return {"G": torch.optim.Adam(weights, lr=lr * for_g, betas=betas),
                "D": torch.optim.Adam(self.networks["D"].parameters(), lr=lr * for_d, betas=betas),
                "D_T": torch.optim.Adam(self.networks["D_T"].parameters(), lr=lr, betas=(0.5, 0.999))}

    def schedules(self, phase: Phase) -> dict[str, Schedule]:
        """G and D fall in the last epochs of the whole training, whatever its phases; D_T never does."""
        def falling(progress: Progress) -> float:
            return factor_in_epoch(progress.epoch, self.opt.n_epochs, self.opt.n_epochs_decay)
        return {"G": falling, "D": falling, "D_T": lambda progress: 1.0}

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """A step of all optimisers for each load; the losses are those of the last."""
        batch, size = self.to_device(batch), self.opt.n_frames_load
        maps, real = batch["maps"], batch["frames"]
        previous, fakes, reals, losses = self.pyramid(real[:, 0]), real[:, :0], real[:, :0], {}
        for load in range(distributed.smallest((maps.shape[1] - 1) // size)):
            now = slice(1 + load * size, 1 + (load + 1) * size)
            made, previous = self.make(self.called, maps[:, now], [frame.detach() for frame in previous])
            fakes, reals = torch.cat((fakes.detach(), made), 1), torch.cat((reals, real[:, now]), 1)
            losses |= self.step(maps[:, now], made, real[:, now], fakes, reals)
            fakes, reals = fakes[:, 1 - TRIPLET:], reals[:, 1 - TRIPLET:]  # those that further triplets need
        return losses

    def step(self, maps: Tensor, made: Tensor, real: Tensor, fakes: Tensor, reals: Tensor) -> dict[str, Tensor]:
        """One step of all optimisers on a load; `fakes` and `reals` begin with frames before it, for triplets."""
        pairs = {"D": (flat(maps, made), flat(maps, real))}
        if fakes.shape[1] >= TRIPLET:
            pairs["D_T"] = triplets(fakes), triplets(reals)
        losses = {"feat": self.opt.lambda_feat * self.teacher_loss(made.flatten(0, 1), real.flatten(0, 1))}
        with self.autocast():
            for name, (fake, true) in pairs.items():
                judge = self.called[name]
                of_fake = judge(fake)
                losses[f"G_{name}"] = gan_loss(of_fake, 1)
                losses[name] = (gan_loss(of_fake, 0) + gan_loss(judge(true), 1)) / 2
        self.gradient_step(losses["feat"] + sum(losses[f"G_{name}"] for name in pairs), "G", keep_graph=True)
        for name in pairs:
            self.gradient_step(losses[name], name)
        self.loads += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def make(self, networks: dict[str, nn.Module], maps: Tensor,
             previous: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Frames [B, T, 3, H, W] for maps, and the last of them at all scales.

        Args:
            networks: the generators by name, as they are or `parallel` ones.
            previous: the frame before, at all scales.
        """
        made = []
        for t in range(maps.shape[1]):
            features, frames = None, []
            for name, at_scale, before in zip(self.generators, self.pyramid(maps[:, t]), previous):
                with self.autocast(), torch.set_grad_enabled(torch.is_grad_enabled() and name in self.trained):
                    frame, features = networks[name](at_scale, before, features)
                frames.append(frame.float())
            made.append(frames[-1])
            previous = frames
        return torch.stack(made, 1), previous

    def teacher_loss(self, made: Tensor, real: Tensor) -> Tensor:
        """How far frames [N, 3, H, W] are from each other in the features of the teacher."""
        with self.autocast():
            return F.l1_loss(self.teacher(made).float(), self.teacher(real).float())

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Images [B, C, H, W] at all scales."""
        scales = range(len(self.generators))
        return [F.avg_pool2d(images, 2**scale) if scale else images for scale in reversed(scales)]

    @torch.no_grad()
    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """The last frame of a clip."""
        batch = self.to_device(batch)
        maps, real = batch["maps"][:1], batch["frames"][:1]
        with frozen_statistics(nn.ModuleList(self.generators.values())):
            made = self.make(self.generators, maps[:, 1:], self.pyramid(real[:, 0]))[0]
        return {"map": maps[0, -1].expand(3, -1, -1), "made": made[0, -1], "real": real[0, -1]}

    @torch.no_grad()
    def export(self, batch: dict) -> Export:
        """`fake_B_<item>.jpg`, made from the frame before; the first frame of a sequence from the real one."""
        batch, stem = self.to_device(batch), batch["image_path"][0].removesuffix(".png")
        if batch["sequence"][0] != self.sequence:
            self.sequence, self.shown = batch["sequence"][0], self.pyramid(batch["frames"][:, 0])
        made, self.shown = self.make(self.generators, batch["maps"], self.shown)
        return Export(images={"real_A": batch["maps"][:, 0]}, files={f"fake_B_{stem}.jpg": made[:, 0]},
                      video_frames={"fake_B": made[:, 0]}, captions={"fake_B": self.captions["made"]})

    def weights_from(self, network: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """D counts its scales from the finest; those of a coarser run are the last ones here."""
        if network != "D":
            return weights
        further = self.opt.n_scales_spatial - len({name.split(".")[1] for name in weights})
        parts = {name: name.split(".") for name in weights}
        return {".".join([scales, str(int(scale) + further), *rest]): weights[name]
                for name, (scales, scale, *rest) in parts.items()}

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost:
        """Memory goes by the load, work by the clip; measured once, with room to spare."""
        pixels = items * item["maps"].shape[0] * self.opt.fineSize**2
        gib = 0.4 + 1e-6 * batch_size * self.opt.n_frames_load * self.opt.ngf * self.opt.fineSize**2
        return Cost(tflop=1e-10 * pixels * self.opt.ngf**2, gib=gib, cpu_seconds=1e-5 * pixels)

    def extra_state(self) -> dict:
        """How many loads were trained."""
        return {"loads": self.loads}

    def load_extra_state(self, state: dict) -> None:
        """Go on counting."""
        self.loads = state["loads"]


class Generator(nn.Module):
    """A map and the frame before, with the features of the next coarser scale, to a frame and features.

    Args:
        channels: of the features.
        is_finer: there is a coarser scale.
    """

    def __init__(self, channels: int, is_finer: bool):
        super().__init__()
        self.is_finer = is_finer
        self.begin = nn.Conv2d(1 + 3, channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(nn.InstanceNorm2d(channels, affine=True, track_running_stats=True), nn.ReLU(),
                                  nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
                                  nn.ReLU())
        self.end = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, maps: Tensor, before: Tensor, coarser: Tensor | None) -> tuple[Tensor, Tensor]:
        """[B, 1, H, W], [B, 3, H, W] and [B, channels, H/2, W/2] to [B, 3, H, W] in [-1, 1] and [B, channels, H, W]."""
        x = self.begin(torch.cat((maps, before), 1))
        if self.is_finer:
            x = x + F.interpolate(coarser, scale_factor=2, mode="bilinear")
        features = self.body(x)
        return self.end(features).tanh(), features


class Discriminator(nn.Module):
    """Judges images [N, C, H, W] patch by patch, at `scales` sizes from the finest."""

    def __init__(self, in_channels: int, channels: int, scales: int):
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(nn.Conv2d(in_channels, channels, 4, 2, 1), nn.LeakyReLU(0.2),
                          nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels),
                          nn.LeakyReLU(0.2), nn.Conv2d(channels, 1, 3, 1, 1)) for _ in range(scales))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Scores [N, 1, h, w] at each scale; 1: real, 0: made."""
        return [judge(F.avg_pool2d(images, 2**scale) if scale else images) for scale, judge in enumerate(self.scales)]


def teacher() -> nn.Module:
    """A network for the loss of features, always the same: it stands for one that was trained elsewhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))
    return network.eval().requires_grad_(False)


def gan_loss(scores: Sequence[Tensor], target: float) -> Tensor:
    """Mean squared distance of scores from what they should be, summed over scales."""
    return sum(((score.float() - target) ** 2).mean() for score in scores)


def factor_in_epoch(epoch: int, n_epochs: int, n_epochs_decay: int) -> float:
    """What the learning rate is multiplied with: 1 until epoch n_epochs + 1, 1 / n_epochs_decay in the last one."""
    return 1 - max(0, epoch - 1 - n_epochs) / max(n_epochs_decay, 1)


def flat(maps: Tensor, frames: Tensor) -> Tensor:
    """[B, T, 1, H, W] and [B, T, 3, H, W] to [B T, 4, H, W]."""
    return torch.cat((maps, frames), 2).flatten(0, 1)


def triplets(frames: Tensor) -> Tensor:
    """Every three frames that follow each other: [B, T, 3, H, W] to [B (T - 2), 9, H, W]."""
    windows = [frames[:, start:start + TRIPLET].flatten(1, 2) for start in range(frames.shape[1] - TRIPLET + 1)]
    return torch.stack(windows, 1).flatten(0, 1)
