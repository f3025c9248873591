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

from models.base_model import BaseModel, Cost, Export, Phase
from models.flow_teachers import FilesTeacher, make_teacher
from models.gan_losses import even_weights, feature_matching, masked_l1, mean_difference, verdict_loss
from models.parallel import frozen_statistics
from models.perceptual import perceptual_loss, pretrained_vgg
from models.vid2vid_cost import FrameCost, frame_cost, training_cost
from models.vid2vid_first_frame import (
    PARTS,
    TABLE,
    ImageMaker,
    features_of_parts,
    first_frame,
    frames_before,
    image_maps,
    write_features,
)
from models.vid2vid_generation import ClipState, FrameGenerators, Load, loads
from models.vid2vid_layers import exported_layer, kinds_of_layer, steadied
from models.vid2vid_maps import check_clip, encoded, face_box, pyramid
from models.vid2vid_networks import FLOW_SCALE
from models.vid2vid_options import PRESETS, add_options, check_options
from models.vid2vid_pictures import as_tensor, image_bytes, map_picture, pictures, written_map
from models.vid2vid_setup import (
    frame_gpus,
    learning_rate,
    make_discriminators,
    make_generators,
    make_single_networks,
    single_learning_rate,
)
from models.vid2vid_temporal import FrameHistory, growth
from util import distributed
from util.clips import gpus_of_a_clip
from util.errors import UserError
from vision.geometry.warp import warp

FINEST, ALL, SINGLE = "finest generator", "training", "first frames"
FACE_WEIGHT = 2.0
COLOURS, LAYER = 3, 4  # channels of a frame, and of a layer with its alpha


class Vid2VidModel(BaseModel):
    """Generators G0 (the coarsest), G1, ...; discriminators D, D_T0, ... and D_f; of first frames <G|D|E>_single."""

    dataset_mode = "temporal"
    presets = PRESETS
    epoch_options = ("n_epochs", "n_epochs_decay", "niter_step", "niter_fix_global", "niter_single")
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
        self.networks = {f"G{s}": self.placed(network) for s, network in enumerate(generators)}
        self.frames = FrameGenerators(list(self.networks.values()), opt.n_frames_G,
                                      [int(label) for label in opt.fg_labels.split(",")],
                                      recompute=opt.is_train and opt.checkpoint_activations)
        self.epochs = range(1, 1)
        if opt.is_train:
            self.networks |= {name: self.placed(network) for name, network in make_discriminators(opt).items()}
            self.vgg = None if opt.no_vgg else self.placed(pretrained_vgg())
            self.teacher = make_teacher(opt.flow_net, opt.flow_file, self.device)
            if opt.niter_single:
                self.networks |= {name: self.placed(network) for name, network in make_single_networks(opt).items()}
            self.gpus, self.frame_gpus = gpus_of_a_clip(opt), frame_gpus(opt)
            self.growth = growth(opt, self.gpus, 1)
            self.counted: dict[tuple[int, int], FrameCost] = {}
            self.epochs = range(1, opt.n_epochs + opt.n_epochs_decay + 1)
        self.first_frame = first_frame(opt, self.run_folder, self.device) if self.first_frame_is_single else None
        self.sequence: str | None = None
        self.carried: list[Tensor] = []
        self.shown: Tensor | None = None
        self.features: list[Tensor] = []

    add_options = staticmethod(add_options)

    def placed(self, network: nn.Module) -> nn.Module:
        """A network on the device, its weights with channels last: so convolutions read them as they are."""
        return network.to(self.device).to(memory_format=torch.channels_last)

    @property
    def first_frame_is_single(self) -> bool:
        """Whether first frames come from generators of single images."""
        opt = self.opt
        return not opt.is_train and opt.use_single_G and not opt.no_first_img and not opt.use_real_img

    # Training: phases, optimisers, learning rates.

    def phases(self) -> list[Phase]:
        """First the finest generator alone, for --niter_fix_global epochs, if there are several; then all.

        What makes first frames (--niter_single) is trained last, so that epochs of the video count as published.
        """
        fixed = min(self.opt.niter_fix_global if self.opt.n_scales_spatial > 1 else 0, len(self.epochs))
        kept = ("D", *self.temporal_names) if self.opt.num_D else ()
        end = self.epochs.stop
        phases = [Phase(FINEST, self.opt, self.epochs[:fixed]), Phase(ALL, self.opt, self.epochs[fixed:], keeps=kept),
                  Phase(SINGLE, self.opt, range(end, end + self.opt.niter_single))]
        return [phase for phase in phases if phase.epochs]

    @property
    def temporal_names(self) -> list[str]:
        """Names of the discriminators of several frames."""
        return [f"D_T{k}" for k in range(self.opt.n_scales_temporal if self.opt.num_D else 0)]

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """One for the generators that the phase trains, one for D and D_f, and one for each temporal discriminator."""
        opt = phase.opt
        if phase.name == SINGLE:
            self.judges = {"D_single": self.parallel(self.networks["D_single"])}
            maker = ImageMaker(self.networks["G_single"], self.networks.get("E_single"))
            self.generate_image = self.parallel(maker)
            return {name: torch.optim.Adam(network.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999), fused=True)
                    for name, network in (("G_single", maker), ("D_single", self.networks["D_single"]))}
        self.finest_only = phase.name == FINEST
        trained = self.frames.generators[-1:] if self.finest_only else self.frames.generators
        self.frames.requires_grad_(False)
        trained.requires_grad_(True)
        self.generate = self.frames if self.frame_gpus else self.parallel(self.frames)
        self.judges = {name: self.spread_judge(network) for name, network in self.networks.items()
                       if name[0] == "D" and name != "D_single"}

        def adam(networks: list[nn.Module], factor: float, beta1: float, beta2: float) -> torch.optim.Adam:
            return torch.optim.Adam([p for network in networks for p in network.parameters()], lr=opt.lr * factor,
                                    betas=(beta1, beta2), fused=True)

        of_images = [self.networks[name] for name in ("D", "D_f") if name in self.networks]
        slow, fast, betas = (0.5, 2.0, (0.0, 0.9)) if opt.TTUR else (1.0, 1.0, (opt.beta1, 0.999))
        optimizers: dict[str, torch.optim.Optimizer] = {"G": adam(list(trained), slow, *betas)}
        if of_images:
            optimizers["D"] = adam(of_images, fast, *betas)
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
        """All learning rates fall together, over the epochs of the video; those of first frames over theirs."""
        rate = (single_learning_rate(phase.epochs) if phase.name == SINGLE else learning_rate(phase.opt, self.epochs))
        return dict.fromkeys(self.optimizers, rate)

    def start_epoch(self, epoch: int) -> None:
        """Let loads and gradients grow."""
        self.epoch, self.growth = epoch, growth(self.opt, self.gpus, epoch)

    def end_epoch(self, epoch: int, losses: dict[str, Tensor]) -> None:
        """Behind the last one, write the features that the encoder found in it."""
        super().end_epoch(epoch, losses)
        if self.features and distributed.rank() == 0:
            write_features(self.run_folder / TABLE, torch.cat(self.features))
        self.features = []

    def extra_state(self) -> dict:
        """Features of frames that were seen in the last epoch of single images, until it ends."""
        return {"features": torch.cat(self.features)} if self.features else {}

    def load_extra_state(self, state: dict) -> None:
        """Take back what `extra_state` gave."""
        self.features = [state["features"]] if "features" in state else []

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost | None:
        """What an epoch of clips costs, without the flow teacher; not known of first frames."""
        if phase.name == SINGLE:
            return None
        frames, size = item["A"].shape[0] - phase.opt.n_frames_G + 1, tuple(item["A"].shape[-2:])
        if size not in self.counted:
            self.counted[size] = frame_cost(phase.opt, size)
        at_once = growth(phase.opt, self.gpus, phase.epochs[-1]).frames_per_load
        return training_cost(phase.opt, self.counted[size], frames, items, at_once, batch_size)

    # Training: a clip.

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """Train on a batch of clips, load by load; gives the losses of the last one."""
        if self.phase.name == SINGLE:
            return self.train_images(batch)
        return list(losses for losses, _ in self.train_clip(batch))[-1]

    def train_clip(self, batch: dict) -> Iterator[tuple[dict[str, Tensor], Load]]:
        """Generate a batch of clips load by load, and take a step of every optimiser after each.

        Yields:
            the losses of a load, and what was generated before the step.
        """
        maps, real = self.clip(batch)
        kinds = self.kinds_of_pixels(batch, real)
        clip = ClipState(FrameHistory(self.opt.n_frames_D, self.opt.n_scales_temporal, self.opt.sparse_D))
        clip.carried = self.given_first_frames(real, maps)
        frames = distributed.smallest(maps.shape[1])
        for start, stop in loads(frames, self.opt.n_frames_G, self.growth.frames_per_load):
            yield self.train_load(maps[:, start:stop], real[:, start:stop], kinds[:, start:stop], clip)

    def train_images(self, batch: dict) -> dict[str, Tensor]:
        """Train what makes first frames on the frames of clips, as many at a time as a load has."""
        maps, real = self.clip(batch)
        maps, losses = image_maps(self.opt, maps), {}
        parts, kinds = batch["inst"].to(real) if self.opt.label_feat else None, self.kinds_of_pixels(batch, real)
        frames = distributed.smallest(maps.shape[1])
        for start in range(0, frames, self.growth.frames_per_load):
            few = slice(start, min(start + self.growth.frames_per_load, frames))
            of_maps, target = maps[:, few].flatten(0, 1), real[:, few].flatten(0, 1)
            of_parts = None if parts is None else parts[:, few].flatten(0, 1)
            with self.autocast():
                made = self.generate_image(of_maps, target, of_parts).to(target.dtype)
            gan, features, of_real, of_made = self.judged(
                "D_single", *(torch.cat([of_maps, images], 1) for images in (target, made)))
            losses = {"G_GAN": gan, "G_GAN_Feat": features, "G_VGG": self.perceptual(target, made), "D_real": of_real,
                      "D_fake": of_made} | self.pixel_loss(kinds[:, few].flatten(0, 1), target, made)
            self.gradient_step(total([loss for name, loss in losses.items() if name[0] == "G"]), "G_single",
                               keep_graph=True)
            self.gradient_step((of_real + of_made) / 2, "D_single")
            if of_parts is not None and self.epoch == self.phase.epochs[-1]:
                encoder = self.networks["E_single"]
                with torch.no_grad(), frozen_statistics(encoder):
                    self.features.append(features_of_parts(encoder(target, of_parts), of_parts).cpu())
        return {name: loss.detach() for name, loss in losses.items()}

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
        nothing = maps.new_zeros(maps.shape[0], n, self.opt.output_nc, *maps.shape[3:])
        first = nothing if self.opt.no_first_img else real[:, :n]
        return pyramid(first, self.opt.n_scales_spatial)

    def train_load(self, maps: Tensor, real: Tensor, kinds: Tensor,
                   clip: "ClipState") -> tuple[dict[str, Tensor], Load]:
        """Generate a load and take a step of every optimiser.

        Args:
            maps: encoded [B, T + tG - 1, C, H, W].
            real: the same frames.
            kinds: of pixels, of the same frames, see `kinds_of_pixels`.
            clip: what is carried from load to load.
        """
        n, first = self.opt.n_frames_G, clip.history.count
        with self.autocast():
            load = self.generate(maps, clip.carried, n_frames_bp=self.growth.n_frames_bp,
                                 use_raw_only=self.opt.no_first_img and first == 0, finest_only=self.finest_only,
                                 **self.replicas())
        target, before = real[:, n - 1:], real[:, n - 2:-1]
        made_before = clip.made_before(before, load.images)
        numbers = range(first + n - 1, first + n - 1 + target.shape[1])
        flow_ref, sure = self.taught_flow(target, before, [[(i, i - 1) for i in numbers]])

        losses = {"G_VGG": self.perceptual(target.flatten(0, 1), *(kind.flatten(0, 1) for kind in load.kinds),
                                           counted=load.counted)}
        losses |= self.pixel_loss(kinds[:, n - 1:], target, *load.kinds, counted=load.counted)
        losses |= self.image_losses(maps[:, n - 1:], target, load)
        losses |= self.flow_losses(load, target, before, made_before, flow_ref, sure)
        losses |= self.face_losses(maps[:, n - 1:], target, load)
        losses |= self.temporal_losses(clip, target, load.images, flow_ref)

        self.gradient_step(total([loss for name, loss in losses.items() if name[0] in "GFW"]), "G", keep_graph=True)
        of_images = ("D_real", "D_fake", "D_f_real", "D_f_fake")
        if "D" in self.optimizers:
            self.gradient_step(total([losses[name] for name in of_images if name in losses]) / 2, "D")
        for k, name in enumerate(self.temporal_names):
            if f"D_T_real{k}" in losses:
                self.gradient_step((losses[f"D_T_real{k}"] + losses[f"D_T_fake{k}"]) / 2, name)
        clip.go_on(load, target, flow_ref)
        return {name: loss.detach() for name, loss in losses.items()}, load

    def taught_flow(self, current: Tensor, previous: Tensor, pairs: list) -> tuple[Tensor, Tensor]:
        """Flow and confidence by the teacher, which sees colours alone."""
        return self.teacher(current[:, :, :COLOURS], previous[:, :, :COLOURS], pairs)

    def perceptual(self, target: Tensor, *made: Tensor, counted: int = 1) -> Tensor:
        """The perceptual loss of images that were made [N, 3, H, W], summed over `made`, and so often counted."""
        if self.vgg is None:
            return target.new_zeros(())
        with self.autocast():
            return counted * self.opt.lambda_feat * perceptual_loss(
                self.vgg, target[:, :COLOURS], *(images[:, :COLOURS] for images in made))

    def pixel_loss(self, kinds: Tensor, target: Tensor, *made: Tensor, counted: int = 1) -> dict[str, Tensor]:
        """The mean absolute difference from real frames (Isola et al. 2017, equation 3), as `perceptual` counts it; all
        kinds of pixels count alike."""
        if self.opt.lambda_L1 == 0:
            return {}
        weight = even_weights(kinds)
        return {"G_L1": counted * self.opt.lambda_L1 * total([
            mean_difference(weight * images.float(), weight * target) for images in made])}

    def kinds_of_pixels(self, batch: dict, real: Tensor) -> Tensor:
        """What the pixels of frames show, bool [B, T, kinds, H, W]: a part of a face; in a layer a person, her shadow
        or nothing; else all are of one kind."""
        if self.opt.output_nc == LAYER:
            return kinds_of_layer(real)
        if self.opt.dataset_mode == "face":
            return batch["inst"].to(real.device) == torch.arange(PARTS, device=real.device)[:, None, None]
        return torch.ones_like(real[:, :, :1], dtype=torch.bool)

    def judged(self, name: str, real: Tensor, *made: Tensor) -> list[Tensor]:
        """What a discriminator says of real things and of things that were made.

        Returns:
            four losses: the generators' adversarial one, theirs of features, and the discriminator's of the real and
            of the made, summed over `made`. The real are as often counted.
        """
        judge, mode, sums = self.judges[name], self.opt.gan_mode, [real.new_zeros(()) for _ in range(4)]
        with self.autocast():
            of_real = judge(real)
            for images in made:
                of_made = judge(images)
                sums[0] = sums[0] + verdict_loss(of_made, True, mode, for_generator=True)
                if not self.opt.no_ganFeat:
                    sums[1] = sums[1] + self.opt.lambda_feat * feature_matching(
                        of_made, of_real, max(self.opt.num_D, 1), self.opt.n_layers_D)
                sums[2] = sums[2] + verdict_loss(of_real, True, mode)
                sums[3] = sums[3] + verdict_loss(of_made, False, mode)
        return sums

    def image_losses(self, maps: Tensor, target: Tensor, load: Load) -> dict[str, Tensor]:
        """Losses by the discriminator of images, which sees each with its map; none where there is no such."""
        if "D" not in self.judges:
            return {}
        pairs = [torch.cat([maps, images], 2).flatten(0, 1) for images in (target, *load.kinds)]
        losses = [load.counted * loss for loss in self.judged("D", *pairs)]
        return dict(zip(("G_GAN", "G_GAN_Feat", "D_real", "D_fake"), losses))

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
        if "D_f" not in self.judges:
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
            if not groups or f"D_T{k}" not in self.judges:
                continue
            places = [[i - offset for i in group] for group in groups]
            real_groups, made_groups = (torch.cat([video[:, group] for group in places]) for video in (real, made))
            if k == 0 or self.opt.sparse_D:
                flows = torch.cat([flow[:, group[1:]] for group in places])
            else:
                shift = self.opt.n_frames_G - 1
                pairs = [[(i + shift, j + shift) for i, j in zip(group[1:], group)] for group in groups]
                flows = self.taught_flow(real_groups[:, 1:], real_groups[:, :-1], pairs)[0]
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
        done = record.get("items", record["step"])  # of the epoch, as published
        return f"(epoch: {record['epoch']}, iters: {done}, time: {record['time']:.3f}) {losses} "

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """The last frame of the first clip, and what it is made of."""
        opt, n = self.opt, self.opt.n_frames_G
        if self.phase.name == SINGLE:
            maps, real = self.clip(batch)
            return self.image_visuals(maps[0, -1], real[0, -1], batch)
        with frozen_statistics(self.frames):
            maps, real = (video[:1] for video in self.clip(batch))
            carried, made = self.given_first_frames(real, maps), []
            for start, stop in loads(maps.shape[1], n, self.growth.frames_per_load):
                load = self.frames(maps[:, start:stop], carried, use_raw_only=opt.no_first_img and start == 0)
                carried = load.carried
                made.append(load.images)
            last = maps.shape[1] - 1
            flow_ref, sure = self.taught_flow(real[:, -1:], real[:, -2:-1], [[(last, last - 1)]])
        box = face_box(maps[0, start + n - 1:], opt.fine_size, opt.openpose_only) if opt.add_face_disc else None
        return pictures(opt, maps[0, -1], made[0][0, 0], load, real[0, -1], flow_ref[0, -1], sure[0, -1], box)

    def image_visuals(self, maps: Tensor, real: Tensor, batch: dict) -> dict[str, Tensor]:
        """A frame that is made alone, from its map [C, H, W], and the real one [3, H, W]."""
        maker = ImageMaker(self.networks["G_single"], self.networks.get("E_single"))
        parts = batch["inst"][0, -1:].to(real) if self.opt.label_feat else None
        with frozen_statistics(maker):
            made = maker(image_maps(self.opt, maps[None, None])[0], real[None], parts)[0]
        shown = {"input_image": map_picture(maps, self.opt), "fake_image": image_bytes(made),
                 "real_image": image_bytes(real)}
        return {label: as_tensor(picture).expand(3, -1, -1) for label, picture in shown.items()}

    def export(self, batch: dict) -> Export:
        """The frame of a window of maps, and its map as a picture; frames before are carried from window to window."""
        check_clip(batch, self.opt)
        sequence = batch["sequence"][0] if "sequence" in batch else ""
        on_device = self.to_device(batch)
        if sequence != self.sequence:
            self.sequence, self.carried = sequence, []
        maps, is_first = self.encode(on_device), not self.carried
        image = self.next_shown(maps, on_device)
        stem = Path(batch["image_path"][0]).stem
        if self.opt.output_nc == LAYER:
            return exported_layer(on_device, image, as_tensor(map_picture(maps[0, -1], self.opt))[None], stem, is_first)
        picture = as_tensor(written_map(maps[0, -1], self.opt.label_nc))[None]
        image = as_tensor(image_bytes(image[0]))[None]
        suffix = "png" if self.opt.label_nc else "jpg"
        return Export(files={f"real_A_{stem}.{suffix}": picture, f"fake_B_{stem}.{self.opt.image_format}": image},
                      video_frames={"real_A": picture, "fake_B": image},
                      captions={"real_A": "The maps.", "fake_B": "What is made of them."})

    def next_shown(self, maps: Tensor, batch: dict) -> Tensor:
        """The next frame as it is shown: shadows of layers are steadied, of which the next frames know nothing."""
        is_first = not self.carried
        image = self.next_frame(maps, batch)
        if self.opt.output_nc == LAYER and not is_first and self.shown is not None:
            image = steadied(image, self.shown)
        self.shown = image
        return image

    def next_frame(self, maps: Tensor, batch: dict) -> Tensor:
        """The frame [1, 3, H, W] of a window of encoded maps [1, tG, C, H, W]; carries the frames before."""
        is_first = not self.carried
        with torch.no_grad(), frozen_statistics(self.frames), self.autocast():
            if is_first:
                self.carried = pyramid(frames_before(self.opt, self.first_frame, maps, batch, self.sequence),
                                       self.opt.n_scales_spatial)
            made = self.frames.frame(pyramid(maps, self.opt.n_scales_spatial), self.carried,
                                     use_raw_only=self.opt.no_first_img and is_first)
        self.carried = [torch.cat([before[:, 1:], frame.image[:, None]], 1)
                        for before, frame in zip(self.carried, reversed(made))]
        return made[-1].image


def total(losses: list[Tensor]) -> Tensor:
    """The sum of some losses."""
    return torch.stack(losses).sum()


def warp_video(video: Tensor, flow: Tensor) -> Tensor:
    """Every frame of [B, T, C, H, W] warped by its flow of [B, T, 2, H, W]."""
    return warp(video.flatten(0, 1), flow.flatten(0, 1)).unflatten(0, video.shape[:2])
