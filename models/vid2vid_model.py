"""Video-to-video synthesis (Wang et al., NeurIPS 2018): a video from maps, such as labels, edges of faces or poses.

A clip is generated in loads of some frames each. After every load all optimisers take a step: that of the generators,
that of the discriminators of images (one may see the face alone), and one for each discriminator of several frames at
once. The frames made last are what the next load begins with. Losses have their published names.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import replicate

from models.base_model import BaseModel, Export, Phase
from models.flow_teachers import FilesTeacher, make_teacher
from models.gan_losses import feature_matching, masked_l1, verdict_loss
from models.parallel import frozen_statistics, gradients_pass_through
from models.perceptual import perceptual_loss, pretrained_vgg
from models.schedules import Progress, by_epoch
from models.vid2vid_first_frame import first_frame
from models.vid2vid_generation import FrameGenerators, Load
from models.vid2vid_maps import encoded, face_box, pyramid
from models.vid2vid_networks import FLOW_SCALE, CoarseGenerator, FineGenerator, MultiScaleDiscriminator, initialise
from models.vid2vid_options import add_options, check_options
from models.vid2vid_pictures import as_tensor, flow_picture, image_bytes, map_picture, unit_bytes, written_map
from models.vid2vid_temporal import FrameHistory, growth
from util import distributed
from util.errors import UserError
from vision.geometry.warp import warp

FINEST, ALL = "finest generator", "training"
FACE_WEIGHT = 2.0


class Vid2VidModel(BaseModel):
    """Generators G0 (the coarsest), G1, ...; discriminators D, D_T0, D_T1, ... and D_f."""

    dataset_mode = "temporal"
    epoch_label = "{epoch}"
    to_save_memory = "smaller frames, a smaller --max_frames_per_gpu, or --checkpoint_activations"
    captions = {
        "input_image": "The map of the last frame.",
        "fake_image": "The last frame as it is generated.",
        "fake_first_image": "The first frame of the clip as it is generated.",
        "fake_raw_image": "The last frame without what is taken from the frame before.",
        "real_image": "The real last frame.",
        "flow_ref": "The flow that is taught: hue is its direction, brightness its length.",
        "conf_ref": "Where it is believed.",
        "flow": "The flow of the generator.",
        "weight": "How much is taken from the raw image rather than from the frame before.",
    }

    def __init__(self, opt):
        super().__init__(opt)
        check_options(opt)
        self.has_flow = not (opt.no_flow or opt.openpose_only)
        generators = make_generators(opt, self.has_flow)
        self.networks = {f"G{s}": network.to(self.device) for s, network in enumerate(generators)}
        self.frames = FrameGenerators(list(self.networks.values()), opt.n_frames_G,
                                      [int(label) for label in opt.fg_labels.split(",")],
                                      recompute=opt.is_train and opt.checkpoint_activations)
        self.epochs = range(1, 1)
        if opt.is_train:
            self.networks |= {name: network.to(self.device) for name, network in make_discriminators(opt).items()}
            self.vgg = None if opt.no_vgg else pretrained_vgg().to(self.device)
            self.teacher = make_teacher(opt.flow_net, opt.flow_file, self.device)
            self.gpus, self.frame_gpus = generator_gpus(opt), frame_gpus(opt)
            self.growth = growth(opt, self.gpus, 1)
            self.epochs = range(1, opt.n_epochs + opt.n_epochs_decay + 1)
        self.first_frame = first_frame(opt, self.device) if self.first_frame_is_single else None
        self.sequence: str | None = None
        self.carried: list[Tensor] = []

    add_options = staticmethod(add_options)

    @property
    def first_frame_is_single(self) -> bool:
        """Whether first frames come from generators of single images."""
        opt = self.opt
        return not opt.is_train and opt.use_single_G and not opt.no_first_img and not opt.use_real_img

    # Training: phases, optimisers, learning rates.

    def phases(self) -> list[Phase]:
        """First the finest generator alone, for --niter_fix_global epochs, if there are several; then all."""
        fixed = min(self.opt.niter_fix_global if self.opt.n_scales_spatial > 1 else 0, len(self.epochs))
        kept = tuple(name for name in ("D", *self.temporal_names))
        phases = [Phase(FINEST, self.opt, self.epochs[:fixed]), Phase(ALL, self.opt, self.epochs[fixed:], keeps=kept)]
        return [phase for phase in phases if phase.epochs]

    @property
    def temporal_names(self) -> list[str]:
        """Names of the discriminators of several frames."""
        return [f"D_T{k}" for k in range(self.opt.n_scales_temporal)]

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """One for the generators that the phase trains, one for D and D_f, and one for each temporal discriminator."""
        opt = phase.opt
        self.finest_only = phase.name == FINEST
        trained = self.frames.generators[-1:] if self.finest_only else self.frames.generators
        self.frames.requires_grad_(False)
        trained.requires_grad_(True)
        self.generate = self.frames if self.frame_gpus else self.parallel(self.frames)
        self.judges = {name: self.spread_judge(network) for name, network in self.networks.items() if name[0] == "D"}

        def adam(networks: list[nn.Module], factor: float, beta1: float, beta2: float) -> torch.optim.Adam:
            return torch.optim.Adam([p for network in networks for p in network.parameters()], lr=opt.lr * factor,
                                    betas=(beta1, beta2))

        of_images = [self.networks[name] for name in ("D", "D_f") if name in self.networks]
        slow, fast, betas = (0.5, 2.0, (0.0, 0.9)) if opt.TTUR else (1.0, 1.0, (opt.beta1, 0.999))
        optimizers: dict[str, torch.optim.Optimizer] = {
            "G": adam(list(trained), slow, *betas), "D": adam(of_images, fast, *betas)}
        return optimizers | {name: adam([self.networks[name]], 1.0, opt.beta1, 0.999) for name in self.temporal_names}

    def spread_judge(self, network: nn.Module) -> nn.Module:
        """A discriminator on the GPUs that generate no frames, or else on all."""
        if not self.frame_gpus:
            return self.parallel(network)
        others = [gpu for gpu in self.opt.gpu_ids if gpu not in self.frame_gpus] or self.opt.gpu_ids
        return nn.DataParallel(network, others) if len(others) > 1 else network

    def replicas(self) -> dict:
        """Copies of the generators on the GPUs that the frames of a load are spread over, where there are several."""
        if not self.frame_gpus:
            return {}
        return {"replicas": replicate(self.frames, self.frame_gpus), "per_replica": self.growth.frames_per_gpu}

    def schedules(self, phase: Phase) -> dict:
        """All learning rates fall together, over the epochs of all phases."""
        return dict.fromkeys(self.optimizers, learning_rate(phase.opt, self.epochs))

    def start_epoch(self, epoch: int) -> None:
        """Let loads and gradients grow."""
        self.growth = growth(self.opt, self.gpus, epoch)

    # Training: a clip.

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """Train on a batch of clips, load by load; gives the losses of the last one."""
        return list(losses for losses, _ in self.train_clip(batch))[-1]

    def train_clip(self, batch: dict) -> Iterator[tuple[dict[str, Tensor], Load]]:
        """Generate a batch of clips load by load, and take a step of every optimiser after each.

        Yields:
            the losses of a load, and what was generated before the step.
        """
        maps, real = self.clip(batch)
        clip = ClipState(FrameHistory(self.opt.n_frames_D, self.opt.n_scales_temporal, self.opt.sparse_D))
        clip.carried = self.given_first_frames(real, maps)
        frames = distributed.smallest(maps.shape[1])
        for start, stop in loads(frames, self.opt.n_frames_G, self.growth.frames_per_load):
            yield self.train_load(maps[:, start:stop], real[:, start:stop], clip)

    def clip(self, batch: dict) -> tuple[Tensor, Tensor]:
        """Encoded maps [B, T, C, H, W] and real frames [B, T, 3, H, W], on the device."""
        check_clip(batch, self.opt)
        on_device = self.to_device(batch)
        if isinstance(self.teacher, FilesTeacher):
            if "flow" not in batch:
                raise UserError("--flow_net files: found no `flow` in items of --dataset_mode "
                                f"{self.opt.dataset_mode}; expected it from each frame to the one before. Give another "
                                "--flow_net")
            self.teacher.flows = on_device["flow"].to(self.number_type)
        return self.encode(on_device), on_device["B"].to(self.number_type)

    def encode(self, batch: dict) -> Tensor:
        """Maps of a batch on the device, encoded."""
        maps = batch["A"].to(self.number_type)
        return encoded(maps, batch["inst"] if self.opt.use_instance else None, self.opt.label_nc)

    @property
    def number_type(self) -> torch.dtype:
        """What weights are, and images and losses are computed in."""
        return next(self.frames.parameters()).dtype

    def given_first_frames(self, real: Tensor, maps: Tensor) -> list[Tensor]:
        """The frames before the first one that is generated, of each resolution: real ones, or nothing."""
        n = self.opt.n_frames_G - 1
        first = maps.new_zeros(maps.shape[0], n, 3, *maps.shape[3:]) if self.opt.no_first_img else real[:, :n]
        return pyramid(first, self.opt.n_scales_spatial)

    def train_load(self, maps: Tensor, real: Tensor, clip: "ClipState") -> tuple[dict[str, Tensor], Load]:
        """Generate a load and take a step of every optimiser.

        Args:
            maps: encoded [B, T + tG - 1, C, H, W].
            real: the same frames.
            clip: what is carried from load to load.
        """
        n, first = self.opt.n_frames_G, clip.history.count
        with self.autocast():
            load = self.generate(maps, clip.carried, n_frames_bp=self.growth.n_frames_bp,
                                 use_raw_only=self.opt.no_first_img and first == 0, finest_only=self.finest_only,
                                 **self.replicas())
        target, before = real[:, n - 1:], real[:, n - 2:-1]
        made_before = torch.cat([clip.last_made(before), load.images[:, :-1].detach()], 1)
        numbers = range(first + n - 1, first + n - 1 + target.shape[1])
        flow_ref, sure = self.teacher(target, before, [[(i, i - 1) for i in numbers]])

        losses = {"G_VGG": self.perceptual(target, load)}
        losses |= self.image_losses(maps[:, n - 1:], target, load)
        losses |= self.flow_losses(load, target, before, made_before, flow_ref, sure)
        losses |= self.face_losses(maps[:, n - 1:], target, load)
        losses |= self.temporal_losses(clip, target, load.images, flow_ref)

        self.gradient_step(total([loss for name, loss in losses.items() if name[0] in "GFW"]), "G")
        of_images = ("D_real", "D_fake", "D_f_real", "D_f_fake")
        self.gradient_step(total([losses[name] for name in of_images if name in losses]) / 2, "D")
        for k, name in enumerate(self.temporal_names):
            if f"D_T_real{k}" in losses:
                self.gradient_step((losses[f"D_T_real{k}"] + losses[f"D_T_fake{k}"]) / 2, name)
        clip.go_on(load, target, flow_ref)
        return {name: loss.detach() for name, loss in losses.items()}, load

    def perceptual(self, target: Tensor, load: Load) -> Tensor:
        """The perceptual loss of frames and hallucinated frames."""
        if self.vgg is None:
            return target.new_zeros(())
        videos = [video.flatten(0, 1) for video in (target, load.images, load.raw)]
        with self.autocast():
            return self.opt.lambda_feat * perceptual_loss(self.vgg, *videos)

    def judged(self, name: str, real: Tensor, *made: Tensor) -> list[Tensor]:
        """What a discriminator says of real things and of things that were made.

        Returns:
            four losses: the generators' adversarial one, theirs of features, and the discriminator's of the real and
            of the made, summed over `made`. The real are as often counted.
        """
        network, judge = self.networks[name], self.judges[name]
        mode, sums = self.opt.gan_mode, [real.new_zeros(()) for _ in range(4)]
        with self.autocast():
            of_real = judge(real)
            for images in made:
                of_made = judge(images.detach())
                with gradients_pass_through(network) as passed:
                    for_generator = (judge if isinstance(judge, nn.DataParallel) else passed)(images)
                sums[0] = sums[0] + verdict_loss(for_generator, True, mode, for_generator=True)
                if not self.opt.no_ganFeat:
                    sums[1] = sums[1] + self.opt.lambda_feat * feature_matching(for_generator, of_real, self.opt.num_D,
                                                                                self.opt.n_layers_D)
                sums[2] = sums[2] + verdict_loss(of_real, True, mode)
                sums[3] = sums[3] + verdict_loss(of_made, False, mode)
        return sums

    def image_losses(self, maps: Tensor, target: Tensor, load: Load) -> dict[str, Tensor]:
        """Losses by the discriminator of images, which sees each with its map."""
        pairs = [torch.cat([maps, images], 2).flatten(0, 1) for images in (target, load.images, load.raw)]
        return dict(zip(("G_GAN", "G_GAN_Feat", "D_real", "D_fake"), self.judged("D", *pairs)))

    def flow_losses(self, load: Load, target: Tensor, before: Tensor, made_before: Tensor, flow_ref: Tensor,
                    sure: Tensor) -> dict[str, Tensor]:
        """Losses of the flow, of what it does to real frames, of flicker, and of the weight of hallucination."""
        opt, zero = self.opt, target.new_zeros(())
        warped = warp_video(made_before, flow_ref).detach()
        losses = {"F_Flow": zero, "F_Warp": zero, "W": zero,
                  "G_Warp": opt.lambda_T * masked_l1(load.images, warped, sure)}
        if load.flow is not None:
            losses["F_Flow"] = opt.lambda_F / 2**(opt.n_scales_spatial - 1) * masked_l1(load.flow, flow_ref, sure)
            losses["F_Warp"] = opt.lambda_F * masked_l1(warp_video(before, load.flow), target, sure)
            if opt.no_first_img and load.weight is not None:
                losses["W"] = masked_l1(load.weight, torch.zeros_like(load.weight), sure)
        return losses

    def face_losses(self, maps: Tensor, target: Tensor, load: Load) -> dict[str, Tensor]:
        """Losses by the discriminator of faces; zero where there is none in the load."""
        if not self.opt.add_face_disc:
            return {}
        box = face_box(maps.flatten(0, 1), self.opt.fine_size, self.opt.openpose_only)
        values = [target.new_zeros(())] * 4
        if distributed.all_processes(box is not None) and box:
            top, bottom, left, right = box
            pairs = [torch.cat([maps, images], 2).flatten(0, 1)[..., top:bottom, left:right]
                     for images in (target, load.images)]
            values = self.judged("D_f", *pairs)
        return {"G_f_GAN": FACE_WEIGHT * values[0], "G_f_GAN_Feat": FACE_WEIGHT * values[1], "D_f_real": values[2],
                "D_f_fake": values[3]}

    def temporal_losses(self, clip: "ClipState", target: Tensor, made: Tensor, flow_ref: Tensor) -> dict[str, Tensor]:
        """Losses by the discriminators of several frames, of those for which there are enough frames by now."""
        losses: dict[str, Tensor] = {}
        offset = clip.oldest
        real, made, flow = clip.with_new(target, made, flow_ref)
        for k, groups in enumerate(clip.history.add(target.shape[1])):
            if not groups:
                continue
            places = [[i - offset for i in group] for group in groups]
            real_groups, made_groups = (torch.cat([video[:, group] for group in places]) for video in (real, made))
            if k == 0 or self.opt.sparse_D:
                flows = torch.cat([flow[:, group[1:]] for group in places])
            else:
                shift = self.opt.n_frames_G - 1
                pairs = [[(i + shift, j + shift) for i, j in zip(group[1:], group)] for group in groups]
                flows = self.teacher(real_groups[:, 1:], real_groups[:, :-1], pairs)[0]
            stacks = [torch.cat([frames.flatten(1, 2), flows.flatten(1, 2) / FLOW_SCALE], 1)
                      for frames in (real_groups, made_groups)]
            names = (f"G_T_GAN{k}", f"G_T_GAN_Feat{k}", f"D_T_real{k}", f"D_T_fake{k}")
            losses |= zip(names, self.judged(f"D_T{k}", *stacks))
        return losses

    # Pictures and results.

    @staticmethod
    def log_line(record: dict) -> str:
        """Losses in the order of their names, with three decimals; those that are 0 are left out, as published."""
        losses = " ".join(f"{name}: {math.nan if value is None else value:.3f}"
                          for name, value in sorted(record["losses"].items()) if value != 0)
        return f"(epoch: {record['epoch']}, iters: {record['step']}, time: {record['time']:.3f}) {losses} "

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """The last frame of the first clip, and what it is made of."""
        opt, n = self.opt, self.opt.n_frames_G
        with frozen_statistics(self.frames):
            maps, real = (video[:1] for video in self.clip(batch))
            carried, made = self.given_first_frames(real, maps), []
            for start, stop in loads(maps.shape[1], n, self.growth.frames_per_load):
                load = self.frames(maps[:, start:stop], carried, use_raw_only=opt.no_first_img and start == 0)
                carried = load.carried
                made.append(load.images)
            last = maps.shape[1] - 1
            flow_ref, sure = self.teacher(real[:, -1:], real[:, -2:-1], [[(last, last - 1)]])
        box = face_box(maps[0, start + n - 1:], opt.fine_size, opt.openpose_only) if opt.add_face_disc else None
        return pictures(opt, maps[0, -1], made[0][0, 0], load, real[0, -1], flow_ref[0, -1], sure[0, -1], box)

    def export(self, batch: dict) -> Export:
        """The frame of a window of maps, and its map as a picture; frames before are carried from window to window."""
        check_clip(batch, self.opt)
        sequence = batch["sequence"][0] if "sequence" in batch else ""
        on_device = self.to_device(batch)
        if sequence != self.sequence:
            self.sequence, self.carried = sequence, []
        maps = self.encode(on_device)
        image = self.next_frame(maps, on_device)
        stem = Path(batch["image_path"][0]).stem
        picture = as_tensor(written_map(maps[0, -1], self.opt.label_nc))[None]
        image = as_tensor(image_bytes(image[0]))[None]
        suffix = "png" if self.opt.label_nc else "jpg"
        return Export(files={f"real_A_{stem}.{suffix}": picture, f"fake_B_{stem}.{self.opt.image_format}": image},
                      video_frames={"real_A": picture, "fake_B": image},
                      captions={"real_A": "The maps.", "fake_B": "What is made of them."})

    def next_frame(self, maps: Tensor, batch: dict) -> Tensor:
        """The frame [1, 3, H, W] of a window of encoded maps [1, tG, C, H, W]; carries the frames before."""
        is_first = not self.carried
        with torch.no_grad(), frozen_statistics(self.frames), self.autocast():
            if is_first:
                self.carried = pyramid(self.first_frames(maps, batch), self.opt.n_scales_spatial)
            made = self.frames.frame(pyramid(maps, self.opt.n_scales_spatial), self.carried,
                                     use_raw_only=self.opt.no_first_img and is_first)
        self.carried = [torch.cat([before[:, 1:], frame.image[:, None]], 1)
                        for before, frame in zip(self.carried, reversed(made))]
        return made[-1].image

    def first_frames(self, maps: Tensor, batch: dict) -> Tensor:
        """The frames [1, tG - 1, 3, H, W] before the first one that is generated of a sequence.

        Raises:
            UserError: it is not said where they come from, or real ones are not there.
        """
        opt, n = self.opt, self.opt.n_frames_G - 1
        if opt.no_first_img:
            return maps.new_zeros(1, n, 3, *maps.shape[3:])
        real = batch["B"].to(self.number_type) if "B" in batch else None
        if opt.use_real_img:
            if real is None:
                raise UserError(f"--use_real_img: sequence {self.sequence} has no real frames; expected those of its "
                                "first frames, or --use_single_G or --no_first_img")
            return real[:, :n]
        if self.first_frame is None:
            raise UserError("--use_real_img: not given, nor another source of the first frames; expected it (they are "
                            "real), --use_single_G (generators of single images make them), or --no_first_img (they "
                            "are made from nothing, where that was trained)")
        parts = batch.get("inst")
        return torch.stack([self.first_frame(maps[:, t], None if real is None else real[:, t],
                                             None if parts is None else parts[:, t]).to(maps.dtype)
                            for t in range(n)], 1)


class ClipState:
    """What is carried from load to load of a clip.

    Args:
        history: which frames discriminators see.

    Attributes:
        carried: the last frames that were made, of each resolution.
        kept: real frames, frames that were made, and flows, from the frame `oldest` on.
    """

    def __init__(self, history: FrameHistory):
        self.history = history
        self.carried: list[Tensor] = []
        self.kept: list[Tensor] | None = None
        self.oldest = 0

    def last_made(self, before: Tensor) -> Tensor:
        """The last frame that was made [B, 1, 3, H, W]; in the first load the real one."""
        return before[:, :1] if self.history.count == 0 else self.carried[0][:, -1:]

    def with_new(self, *videos: Tensor) -> list[Tensor]:
        """What is kept, with the videos of a load behind it."""
        return [torch.cat(pair, 1) for pair in zip(self.kept, videos)] if self.kept else list(videos)

    def go_on(self, load: Load, target: Tensor, flow: Tensor) -> None:
        """Keep what later loads need, without gradients."""
        videos = self.with_new(target, load.images.detach(), flow)
        drop = self.history.oldest - self.oldest
        self.kept, self.oldest, self.carried = [video[:, drop:] for video in videos], self.history.oldest, load.carried


def make_generators(opt, has_flow: bool) -> list[nn.Module]:
    """The generators from the coarsest to the finest, with fresh weights."""
    maps_nc = opt.n_frames_G * ((opt.label_nc or opt.input_nc) + opt.use_instance)
    previous_nc = 3 * (opt.n_frames_G - 1)
    coarse = CoarseGenerator(maps_nc, previous_nc, opt.ngf, opt.n_downsample_G, opt.n_blocks, opt.norm, opt.fg,
                             has_flow)
    fine = [FineGenerator(maps_nc, previous_nc, opt.ngf, scale, opt.n_blocks_local, opt.norm, opt.n_downsample_G > 2,
                          opt.fg, has_flow) for scale in range(1, opt.n_scales_spatial)]
    return [initialise(network) for network in (coarse, *fine)]


def make_discriminators(opt) -> dict[str, nn.Module]:
    """The discriminators by name, with fresh weights."""
    def make(channels: int, num_D: int) -> nn.Module:
        return initialise(MultiScaleDiscriminator(channels, opt.ndf, opt.n_layers_D, num_D, opt.norm,
                                                  not opt.no_ganFeat))

    image_nc = (opt.label_nc or opt.input_nc) + opt.use_instance + 3
    networks = {"D": make(image_nc, opt.num_D)}
    for k in range(opt.n_scales_temporal):
        networks[f"D_T{k}"] = make(3 * opt.n_frames_D + 2 * (opt.n_frames_D - 1), opt.num_D)
    if opt.add_face_disc:
        networks["D_f"] = make(image_nc, max(1, opt.num_D - 2))
    return networks


def generator_gpus(opt) -> int:
    """How many GPUs share the frames of a load: those of --n_gpus_gen, or all; several clips share them otherwise."""
    if opt.batch_size != 1:
        return 1
    return opt.n_gpus_gen if opt.n_gpus_gen > 0 else max(1, len(opt.gpu_ids))


def frame_gpus(opt) -> list[int]:
    """The GPUs that the frames of a load of one clip are spread over: --n_gpus_gen behind the first one, or all.

    Raises:
        UserError: there are not so many.
    """
    if len(opt.gpu_ids) < 2 or opt.batch_size != 1:
        return []
    if opt.n_gpus_gen > len(opt.gpu_ids):
        raise UserError(f"--n_gpus_gen: found {opt.n_gpus_gen}; expected at most the {len(opt.gpu_ids)} of --gpu_ids")
    return opt.gpu_ids[1:1 + opt.n_gpus_gen] if 0 < opt.n_gpus_gen < len(opt.gpu_ids) else list(opt.gpu_ids)


def learning_rate(opt, epochs: range):
    """The learning rate's factor; that of --lr_policy linear falls as published, after the epoch --n_epochs + 1."""
    if opt.lr_policy != "linear":
        return by_epoch(opt, epochs)

    def factor(progress: Progress) -> float:
        return 1 - max(0, progress.epoch - 1 - opt.n_epochs) / max(1, opt.n_epochs_decay)
    return factor


def loads(frames: int, n_frames_G: int, frames_per_load: int) -> Iterator[tuple[int, int]]:
    """Where the loads of a clip of so many maps begin and end; the last one may be shorter."""
    for start in range(0, frames - n_frames_G + 1, frames_per_load):
        yield start, min(start + frames_per_load + n_frames_G - 1, frames)


def total(losses: list[Tensor]) -> Tensor:
    """The sum of some losses."""
    return torch.stack(losses).sum()


def warp_video(video: Tensor, flow: Tensor) -> Tensor:
    """Every frame of [B, T, C, H, W] warped by its flow of [B, T, 2, H, W]."""
    return warp(video.flatten(0, 1), flow.flatten(0, 1)).unflatten(0, video.shape[:2])


def pictures(opt, maps: Tensor, first: Tensor, load: Load, real: Tensor, flow_ref: Tensor, sure: Tensor,
             box: tuple[int, int, int, int] | None) -> dict[str, Tensor]:
    """Pictures of the last frame of a load, of the first clip: label to image [3 or 1, H, W] in [-1, 1]."""
    made = {"input_image": map_picture(maps, opt, box), "fake_image": image_bytes(load.images[0, -1]),
            "fake_first_image": image_bytes(first), "fake_raw_image": image_bytes(load.raw[0, -1]),
            "real_image": image_bytes(real), "flow_ref": flow_picture(flow_ref), "conf_ref": unit_bytes(sure)}
    if load.flow is not None and load.weight is not None:
        made |= {"flow": flow_picture(load.flow[0, -1]), "weight": unit_bytes(load.weight[0, -1])}
    return {label: as_tensor(picture).expand(3, -1, -1) for label, picture in made.items()}


def check_clip(batch: dict, opt) -> None:
    """See that a batch is what the options say.

    Raises:
        UserError: labels are too large, channels or sizes do not fit, or there are too few frames.
    """
    where = f"{batch['image_path'][0]}: " if "image_path" in batch else ""
    maps = batch["A"]
    frames, channels, height, width = maps.shape[1:]
    if frames < opt.n_frames_G:
        raise UserError(f"{where}found a clip of {frames} frames; expected at least --n_frames_G {opt.n_frames_G}")
    if channels != (1 if opt.label_nc else opt.input_nc):
        raise UserError(f"{where}found maps of {channels} channels; expected "
                        + ("label maps, of 1 channel" if opt.label_nc else f"--input_nc {opt.input_nc}"))
    if opt.label_nc and not 0 <= float(maps.min()) <= float(maps.max()) < opt.label_nc:
        raise UserError(f"{where}found label {maps.max():g}; expected labels below --label_nc {opt.label_nc}")
    unit = 2**(opt.n_scales_spatial - 1 + opt.n_downsample_G)
    if height % unit or width % unit:
        raise UserError(f"{where}found frames of {width}x{height} pixels; expected multiples of {unit} with "
                        f"--n_scales_spatial {opt.n_scales_spatial} and --n_downsample_G {opt.n_downsample_G}. Give "
                        "another --loadSize or --resize_or_crop")
    if opt.use_instance and "inst" not in batch:
        raise UserError(f"{where}found no instances; expected them with --use_instance")
