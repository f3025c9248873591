"""The layered neural renderer as a trainable model (Lu et al., SIGGRAPH Asia 2020).

Two phases: `layers` trains texture and U-Net at low resolution; `upsampling` freezes them and trains the upsampling
module at twice the resolution. Before them may come `background` (with --init closed_form), and `coarse`, which trains
texture and U-Net on frames of half the size. A batch is what `data/layered_video_dataset.py` makes.
"""

import copy
from argparse import Namespace
from itertools import accumulate

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.base_model import BaseModel, Cost, Export, Phase
from models.lnr_cost import process_gib, training_cost
from models.lnr_losses import alpha_regularization, mask_loss, prior_loss
from models.lnr_networks import LayeredRenderer, biases_without_effect
from models.parallel import frozen_statistics
from models.scene import Scene, scene_losses
from util.command_line import auto_or, number, whole
from util.distributed import all_processes, sum_over_processes
from util.errors import UserError
from vision.layers.closed_form import remeasured_effects
from vision.layers.mattes import (
    composite_over,
    layers_from_mattes,
    opacity,
    opaque,
    over_checkerboard,
    pull_push,
    share_detail,
    transfer_detail,
    transmittance,
    transmittance_in_front,
    union_alpha,
)
from vision.people.person_mask import PERSON_MARGIN

UPSAMPLING_CROP = 256
BACKGROUND_BATCH = 4
CLOSED_FORM = {"init": "closed_form", "detail_transfer": "shared", "n_epochs_upsample": 0}
LEARNED = {**CLOSED_FORM, "n_epochs_background": 40, "lr": 0.005, "lr_policy": "cosine", "jitter_rgb": 0}


class LnrModel(BaseModel):
    """Layered neural renderer: one RGBA layer per person and one for the background.

    Attributes:
        scene: what is learned of the background, with --init closed_form.
        rolloff_epoch: the epoch from which the mask loss weighs a tenth (at twice this epoch: nothing); -1 until it is
            known.
        moving_background: the background is exported as each frame shows it, with what `scene` has learned of that.
        exported_background: UV map [1, 2, H, W] and RGBA [1, 4, H', W'] of the background that was exported last.
    """

    dataset_mode = "layered_video"
    largest_auto_batch = 32  # as published; larger ones mean fewer steps per epoch, hence another training
    to_save_memory = "smaller --num_filters or smaller frames"
    presets = {
        "published": {},
        "draft": {**CLOSED_FORM, "n_epochs": 0},
        "fast": {**LEARNED, "num_filters": 16, "batch_size": 1, "n_epochs_coarse": 300, "n_epochs": 100,
                 "budget": "15m"},
        "best": {**LEARNED, "num_filters": 64, "batch_size": 4, "n_epochs": 2000, "budget": "4h"},
    }
    epoch_options = ("n_epochs_coarse", "n_epochs", "n_epochs_decay", "n_epochs_upsample", "alpha_l1_rolloff_epoch",
                     "mask_loss_rolloff_epoch", "jitter_epochs")
    brief_epoch_options = ("n_epochs_background",)
    captions = {
        "target_image": "The frame that the network shall reproduce.",
        "reconstruction": "All layers composited: what it reproduces.",
        "rgba_vis": "The layers, background first, over a checkerboard.",
        "alpha_vis": "Their opacity: white is opaque.",
        "input_vis": "UV maps, the network's input: red is u, green is v.",
        "mask_vis": "Trimaps of the mask loss: white person, black background, grey unknown.",
    }

    def __init__(self, opt: Namespace):
        super().__init__(opt)
        self.renderer = LayeredRenderer(opt.num_filters, opt.texture_channels, opt.texture_res, opt.n_textures,
                                        amp=self.amp_dtype)
        self.renderer.to(self.device, memory_format=torch.channels_last)
        self.networks = {"LNR": self.renderer}
        if opt.init == "closed_form":
            self.renderer.zero_output_layer()
            self.scene = Scene(opt.n_frames, opt.canvas_size, (opt.width, opt.height)).to(self.device)
            self.networks["scene"] = self.scene
        elif opt.is_train and opt.n_epochs_background:
            raise UserError(f"--n_epochs_background: found {opt.n_epochs_background} with --init random; expected 0, "
                            "or --init closed_form")
        self.rolloff_epoch = opt.mask_loss_rolloff_epoch if opt.is_train else -1
        self.moving_background = not opt.is_train and opt.moving_background
        self.exported_background: tuple[Tensor, Tensor] | None = None

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Options of the renderer, and of its losses and second phase."""
        group = parser.add_argument_group("lnr model")
        group.add_argument("--num_filters", type=whole(1), default=64, metavar="N",
                           help="channels after the network's first step")
        group.add_argument("--texture_res", type=whole(1), default=16, metavar="PX", help="side of one atlas tile")
        group.add_argument("--texture_channels", type=whole(1), default=16, metavar="N",
                           help="channels of the neural texture")
        group.add_argument("--n_textures", type=whole(1), default=25, metavar="N",
                           help="tiles in the atlas, 24 per person and 1 for the background; metadata.json decides")
        group.add_argument("--detail_transfer", default="published", choices=("published", "shared"),
                           help="how layers get what the network missed of a frame: as published, by transmittance; or "
                                "shared, as the least change of colours that explains the frame")
        parser.deciding |= {"num_filters", "texture_res", "texture_channels", "n_textures"}
        parser.set_defaults(batch_size=32)
        if not is_train:
            group.add_argument("--moving_background", action="store_true",
                               help="export the background as each frame shows it, with what --n_epochs_background has "
                                    "learned of shake, sway and flicker; else it is at rest")
            return
        parser.set_defaults(n_epochs=2000, lr=0.001)
        group.add_argument("--lambda_alpha_l1", type=number(0), default=0.01, metavar="W",
                           help="weight of the L1 alpha regularization")
        group.add_argument("--lambda_alpha_l0", type=number(0), default=0.005, metavar="W",
                           help="weight of the approximate L0 alpha regularization")
        group.add_argument("--alpha_l1_rolloff_epoch", type=whole(0), default=200, metavar="EPOCH",
                           help="the L1 regularization ends at this epoch")
        group.add_argument("--lambda_mask", type=number(0), default=50, metavar="W", help="weight of the mask loss")
        group.add_argument("--lambda_prior", type=number(0), default=10, metavar="W",
                           help="weight of the difference to the mattes of --init closed_form, instead of mask loss "
                                "and alpha regularization")
        group.add_argument("--mask_thresh", type=number(0), default=0.02, metavar="LOSS",
                           help="the mask loss is reduced once it falls below this (before weighting)")
        group.add_argument("--mask_loss_rolloff_epoch", type=whole(-1), default=-1, metavar="EPOCH",
                           help="reduce the mask loss to a tenth at this epoch, and to zero at twice this epoch; "
                                "-1: when --mask_thresh says so")
        group.add_argument("--n_epochs_background", type=whole(0), default=0, metavar="N",
                           help="epochs of a phase before all others, which learns the background and how each frame "
                                "shows it, shaken and swaying; only with --init closed_form; 0: no such phase")
        group.add_argument("--n_epochs_coarse", type=whole(0), default=0, metavar="N",
                           help="epochs of a phase before --n_epochs, in which the network learns from frames of half "
                                "the size, in less than a third of the time; 0: no such phase")
        group.add_argument("--n_epochs_upsample", "--num_epochs_upsample", type=whole(0), default=500, metavar="N",
                           help="epochs of the upsampling phase; 0: no such phase")
        group.add_argument("--batch_size_upsample", type=auto_or(whole(1)), default=16, metavar="N",
                           help="batch size of the upsampling phase; auto: as --batch_size")
        group.add_argument("--jitter_rgb", type=number(0), default=0.2, metavar="STD",
                           help="standard deviation of the random brightness added to a frame, whose range is 2")
        group.add_argument("--jitter_epochs", type=whole(0), default=400, metavar="EPOCH",
                           help="the brightness jitter ends at this epoch")

    def phases(self) -> list[Phase]:
        """`background`, `coarse`, `layers`, then `upsampling`; a phase of no epochs is left out."""
        opt = self.opt
        layers = _with(opt, do_upsampling=False)
        background = _with(layers, no_zoom=True, batch_size=BACKGROUND_BATCH)
        upsampling = _with(opt, do_upsampling=True, batch_size=opt.batch_size_upsample)
        ends = list(accumulate((1, opt.n_epochs_background, opt.n_epochs_coarse, opt.n_epochs + opt.n_epochs_decay,
                                opt.n_epochs_upsample)))
        phases = [Phase("background", background, range(*ends[0:2]), brief=True),
                  Phase("coarse", layers, range(*ends[1:3])),
                  Phase("layers", layers, range(*ends[2:4])),
                  Phase("upsampling", upsampling, range(*ends[3:5]), "--batch_size_upsample")]
        return [phase for phase in phases if phase.epochs]

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Adam on what the phase trains; the rest is frozen."""
        self.upsampling = phase.opt.do_upsampling
        if phase.name == "background":
            self.render = self.parallel(self.scene)
            return {"scene": torch.optim.Adam(self.scene.parameter_groups(), betas=(0.9, 0.99))}
        if self.opt.init == "closed_form":
            self.renderer.reset_output_layer()
        trained = self.renderer.upsampling_parameters() if self.upsampling else self.renderer.base_parameters()
        self.renderer.requires_grad_(False)
        for parameter in trained:
            parameter.requires_grad_()
        for bias in biases_without_effect(self.renderer):
            bias.requires_grad_(False)
        self.render = self.parallel(self.renderer)
        return {"LNR": torch.optim.Adam(trained, lr=phase.opt.lr, fused=True)}

    def start_epoch(self, epoch: int) -> None:
        """Loss weights and jitter of `epoch`."""
        self.weights = loss_weights(self.opt, epoch, self.rolloff_epoch)
        self.jitter = self.opt.jitter_rgb if epoch < self.opt.jitter_epochs and not self.upsampling else 0.0

    def end_epoch(self, epoch: int, losses: dict[str, Tensor]) -> None:
        """Reduce the mask loss from the next epoch on, once the layers fit their masks."""
        super().end_epoch(epoch, losses)
        fits = "mask" in losses and losses["mask"] < self.opt.mask_thresh * self.opt.lambda_mask
        if self.rolloff_epoch < 0 and fits:
            self.rolloff_epoch = epoch + 1

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """One Adam step on the sum of the losses."""
        losses = self.background_losses(batch) if self.phase.name == "background" else self.layer_losses(batch)
        losses["total"] = sum(losses.values())
        self.gradient_step(losses["total"], *self.optimizers)
        return {name: loss.detach() for name, loss in losses.items()}

    def background_losses(self, batch: dict) -> dict[str, Tensor]:
        """Losses of the scene, beside people and their effects."""
        batch = self.to_device(batch)
        seen = ((1 - batch["people"]) * (1 - batch["effects"])).prod(dim=1, keepdim=True)
        return scene_losses(*self.render(batch["plate"], batch["place"], batch["frame"]), batch["image"], seen)

    def layer_losses(self, batch: dict) -> dict[str, Tensor]:
        """Losses of the layers, at the size of the phase."""
        static = all_processes(has_static_background(batch["uv_map"]))
        batch = self.to_device(batch)
        if self.phase.name == "coarse":
            batch = halved(batch)
        target, crop = batch["image"], None
        if self.upsampling:
            crop = random_crop(*target.shape[-2:], UPSAMPLING_CROP)
            target = target[..., crop[0]:crop[1], crop[2]:crop[3]]
        if self.jitter > 0:
            brightness = self.jitter * self.randn_per_item(len(target), 1, 1, 1)
            target = (target + brightness).clamp(-1, 1)
        background = expected = None
        if "plate" in batch:
            background, expected = opaque(batch["plate"]), union_alpha(batch["people"], batch["effects"])
            if crop is not None:
                background = background[..., crop[0]:crop[1], crop[2]:crop[3]]
        outputs = self.render(batch["uv_map"], batch["pids"], self.upsampling, crop, static, background)
        return self.compute_losses(outputs, target, batch["mask"], expected)

    def compute_losses(self, outputs: dict[str, Tensor], target: Tensor, masks: Tensor,
                       expected: Tensor | None = None) -> dict[str, Tensor]:
        """Weighted losses of a batch (section 3.2 of the paper).

        Args:
            outputs: `layers` [B, L, 4, H, W] and `reconstruction` [B, 4, H, W].
            target: [B, 3, H, W].
            masks: trimaps [B, L, H, W]; the background layer's is not used.
            expected: opacity [B, L - 1, 1, H, W] of the layers in front, with --init closed_form.
        """
        reconstruction = outputs["reconstruction"]
        losses = {"recon": (reconstruction[:, :3] - target).abs().mean()}
        if expected is not None and not self.upsampling:
            learned, wanted, view = (x[:, :, 0] for x in (
                opacity(outputs["layers"][:, 1:]), expected, transmittance(expected)))
            losses["prior"] = self.opt.lambda_prior * prior_loss(learned, wanted, view, sum_over_processes)
        elif not self.upsampling:
            weights = self.weights
            losses["alpha_reg"] = alpha_regularization(opacity(reconstruction), weights["alpha_l1"],
                                                       weights["alpha_l0"])
            losses["mask"] = weights["mask"] * mask_loss(outputs["layers"][:, :, 3], masks, sum_over_processes)
        return losses

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost | None:
        """Counted for the published network; other textures and numbers of people change it little."""
        if phase.name == "background":
            return None
        layers, height, width = item["mask"].shape
        if phase.name == "coarse":
            height, width = -(-height // 2), -(-width // 2)
        cost = training_cost((width, height), layers, items, (batch_size, batch_size),
                             self.opt.num_filters)[phase.opt.do_upsampling]
        return cost._replace(gib=process_gib(cost))

    def extra_state(self) -> dict:
        """The mask loss's schedule."""
        return {"rolloff_epoch": self.rolloff_epoch}

    def load_extra_state(self, state: dict) -> None:
        """Take the mask loss's schedule back."""
        self.rolloff_epoch = int(state["rolloff_epoch"])

    def load_networks(self, label: str) -> None:
        """Read the renderer's weights; what others rendered is forgotten."""
        super().load_networks(label)
        self.exported_background = None

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """Pictures of the first item; layers stacked from top to bottom, background first."""
        batch = {k: v[:1] for k, v in self.to_device(batch).items()}
        with frozen_statistics(self.renderer):
            outputs = self.rendered(batch, self.upsampling)
        layers = outputs["layers"][0].clone()
        layers[0, 3] = 1
        return {
            "target_image": batch["image"][0],
            "reconstruction": outputs["reconstruction"][0, :3],
            "rgba_vis": _stacked(layers),
            "alpha_vis": _stacked(layers[:, 3:]).expand(3, -1, -1),
            "input_vis": _stacked(_uv_picture(batch["uv_map"][0])),
            "mask_vis": _stacked(batch["mask"][0][:, None]).expand(3, -1, -1),
        }

    @torch.inference_mode()
    def export(self, batch: dict) -> Export:
        """Layers after detail transfer, named by layer number (`l0` is the background), whatever their order."""
        batch = self.to_device(batch)
        background_uv, background = batch["uv_map"][:, :2], None
        if self.exported_background and torch.equal(background_uv, self.exported_background[0]):
            background = self.exported_background[1]
        outputs = self.rendered(batch, self.opt.do_upsampling, background)
        self.exported_background = background_uv, outputs["layers"][:, 0]
        if self.opt.detail_transfer == "shared":
            layers = share_detail(outputs["layers"], batch["image"])
        else:
            layers = transfer_detail(outputs["layers"], batch["image"], outputs["reconstruction"])
        result = Export(
            video_frames={"original": batch["image"], "reconstruction": outputs["reconstruction"][:, :3]},
            captions={"original": "The frames that the network learned from.",
                      "reconstruction": "What the network makes of them, before detail is added to the layers."})
        positions = {layer: i for i, layer in enumerate(batch["layer_ids"][0].tolist())}
        for layer, i in sorted(positions.items()):
            result.images[f"rgba_l{layer}"] = layers[:, i]
            result.video_frames[f"rgba_l{layer}"] = over_checkerboard(layers[:, i])
            result.captions[f"rgba_l{layer}"] = (
                f"Layer {layer}: people, and what moves with them." if layer else "Layer 0: the background.")
        for layer, i in sorted(positions.items()):
            result.video_frames[f"mask_l{layer}"] = batch["mask"][:, i:i + 1]
            result.captions[f"mask_l{layer}"] = f"Where layer {layer} shall be; what is grey, the network finds out."
        return result

    def rendered(self, batch: dict, upsample: bool, background: Tensor | None = None) -> dict[str, Tensor]:
        """Layers and reconstruction of a batch as `LayeredRenderer` returns them; of known mattes where there are.

        Args:
            background: [B, 4, H, W], layer 0 of an earlier call with the same input and weights.
        """
        if "plate" not in batch:
            return self.renderer(batch["uv_map"], batch["pids"], upsample, background=background)
        if not self.scene.is_untrained():
            batch = self.with_learned_scene(batch)
        layers = prior = layers_from_mattes(batch["plate"], batch["image"], batch["people"], batch["effects"])
        if not self.renderer.is_untrained():
            learned = self.renderer(batch["uv_map"], batch["pids"], upsample, background=prior[:, 0])["layers"]
            layers = fill_hidden(prior, learned, batch["pids"], bool(batch["shows_hidden"].all()))
        return {"layers": layers, "reconstruction": composite_over(layers)}

    def with_learned_scene(self, batch: dict) -> dict:
        """A batch with the learned scene as its plate, and with the effects that are seen over that.

        The plate is the scene at rest, or with --moving_background as the frame shows it.
        """
        still = self.scene.still(batch["plate"], batch["place"])
        shown, _ = self.scene.seen_by(batch["frame"], still)
        plate = shown if self.moving_background else still
        scale = batch["image"].shape[-1] // self.opt.width
        items = zip(*(tensor.detach().cpu().numpy() for tensor in (
            (batch["image"] + 1).movedim(1, 3) / 2, (shown + 1).movedim(1, 3) / 2, batch["people"], batch["effects"])))
        effects = np.stack([remeasured_effects(*item, scale) for item in items])
        return {**batch, "plate": plate.clamp(-1, 1), "effects": torch.from_numpy(effects).to(shown)}


def fill_hidden(prior: Tensor, learned: Tensor, pids: Tensor, shows_hidden: bool) -> Tensor:
    """Layers as expected where they are in view, and as learned where another one hides them: [B, L, 4, H, W].

    By how much the learned colours miss those in view is continued into what is hidden. That is a person's body:
    elsewhere behind others nothing could be learned, and nothing is.

    Args:
        prior, learned: [B, L, 4, H, W].
        pids: [B, L, h, w] person ids of the UV maps, where bodies are, hidden or not.
        shows_hidden: the expected alpha holds also where another layer hides it; only the colours are learned there.
    """
    view, alpha = transmittance_in_front(prior), prior[:, 1:, 3:]
    error = (prior - learned)[:, 1:, :3]
    known = view * opacity(prior[:, 1:])
    error = pull_push(error.flatten(0, 1), known.flatten(0, 1)).unflatten(0, error.shape[:2])
    colour = view * prior[:, 1:, :3] + (1 - view) * (learned[:, 1:, :3] + error).clamp(-1, 1)
    if not shows_hidden:
        side = 2 * int(pids.shape[-2] * PERSON_MARGIN) + 1
        near = F.max_pool2d((pids[:, 1:] > 0).to(prior.dtype), side, stride=1, padding=side // 2)
        body = F.interpolate(near, size=prior.shape[-2:], mode="nearest")[:, :, None] > 0
        alpha = view * alpha + (1 - view) * torch.where(body, learned[:, 1:, 3:], alpha)
    return torch.cat((prior[:, :1], torch.cat((colour, alpha), dim=2)), dim=1)


def loss_weights(opt: Namespace, epoch: int, rolloff_epoch: int) -> dict[str, float]:
    """Weights of the losses at `epoch`.

    Args:
        rolloff_epoch: from here on the mask loss weighs a tenth, from twice here on nothing; -1: not yet known.
    """
    mask = opt.lambda_mask
    if 0 <= rolloff_epoch <= epoch:
        mask = 0.0 if epoch >= 2 * rolloff_epoch else opt.lambda_mask / 10
    alpha_l1 = opt.lambda_alpha_l1 if epoch < opt.alpha_l1_rolloff_epoch else 0.0
    return {"alpha_l1": alpha_l1, "alpha_l0": opt.lambda_alpha_l0, "mask": mask}


def halved(batch: dict) -> dict:
    """A batch at half the size: every second pixel of what names places and people, of all else the means of four."""
    return {**batch, **{name: batch[name][..., ::2, ::2] for name in ("uv_map", "pids")},
            **{name: F.avg_pool2d(batch[name], 2, ceil_mode=True)
               for name in ("image", "mask", "plate", "people", "effects") if name in batch}}


def has_static_background(uv_map: Tensor) -> bool:
    """Whether the background, layer 0 of UV maps [B, 2L, H, W], is seen alike in all items of a batch."""
    return bool((uv_map[1:, :2] == uv_map[:1, :2]).all())


def random_crop(height: int, width: int, side: int) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a random square of `side` pixels, or less where the image is smaller."""
    crop_height, crop_width = min(side, height), min(side, width)
    top = int(torch.randint(height - crop_height + 1, ()))
    left = int(torch.randint(width - crop_width + 1, ()))
    return top, top + crop_height, left, left + crop_width


def _with(opt: Namespace, **changes) -> Namespace:
    changed = copy.copy(opt)
    vars(changed).update(changes)
    return changed


def _stacked(pictures: Tensor) -> Tensor:
    """[L, C, H, W] to [C, L*H, W]."""
    return pictures.permute(1, 0, 2, 3).flatten(1, 2)


def _uv_picture(uv_map: Tensor) -> Tensor:
    """[2L, H, W] to RGB [L, 3, H, W] with u as red and v as green."""
    uv = uv_map.unflatten(0, (-1, 2))
    return torch.cat((uv, -torch.ones_like(uv[:, :1])), dim=1)
