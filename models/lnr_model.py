"""The layered neural renderer as a trainable model (Lu et al., SIGGRAPH Asia 2020).

Two phases: `layers` trains texture and U-Net at low resolution; `upsampling` freezes them and trains the upsampling
module at twice the resolution. Before them may come `coarse`, which trains texture and U-Net on frames of half the
size. A batch is what `data/layered_video_dataset.py` makes.

This is the published method. What --init closed_form adds to it is in `models/lnr_prior.py`; here is where it is asked.
"""

from argparse import Namespace
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import lnr_prior
from models.base_model import BaseModel, Cost, Export, Phase
from models.lnr_cost import process_gib, training_cost
from models.lnr_losses import alpha_regularization, mask_loss, reconstruction_loss
from models.lnr_networks import LayeredRenderer, biases_without_effect
from models.parallel import frozen_statistics
from models.scene import Trial
from util.command_line import auto_or, float_at_least, int_at_least
from util.distributed import all_processes, sum_over_processes
from util.errors import UserError
from vision.layers.mattes import opacity, over_checkerboard, share_detail, transfer_detail

UPSAMPLING_CROP = 256


@dataclass(frozen=True)
class LnrPhase(Phase):
    """A phase; `do_upsampling` of its options says whether the upsampling module is trained, or texture and U-Net.

    Attributes:
        half_size: they are trained on frames of half the size.
        learns_scene: none of them is trained, but the scene behind the people (`models/lnr_prior.py`).
    """

    half_size: bool = False
    learns_scene: bool = False


class LnrModel(BaseModel):
    """Layered neural renderer: one RGBA layer per person and one for the background.

    `self.opt` says what the model is and how it exports; how it is trained, `self.phase.opt` says alone.

    Attributes:
        guidance: what is known of the layers before training; None: nothing, as in the published method.
        training_network: what the steps of the phase call, spread over GPUs or processes: the renderer, or the scene.
        rolloff_epoch: the epoch from which the mask loss weighs a tenth (at twice this epoch: nothing); -1 until it is
            known.
        weights: of the losses in this epoch.
        jitter: standard deviation of the random brightness in this epoch.
        exported_background: UV map [1, 2, H, W] and RGBA [1, 4, H', W'] of the background that was exported last.
    """

    phase: LnrPhase
    dataset_mode = "layered_video"
    largest_auto_batch = 32  # as published; larger ones mean fewer steps per epoch, hence another training
    to_save_memory = "smaller --num_filters or smaller frames"
    presets = {"published": {}, **lnr_prior.PRESETS}
    epoch_options = ("n_epochs_coarse", "n_epochs", "n_epochs_decay", "n_epochs_upsample", "alpha_l1_rolloff_epoch",
                     "mask_loss_rolloff_epoch", "jitter_epochs")
    brief_epoch_options = ("n_epochs_background",)
    next_steps = (("Retime the people, in the browser:", "retime.py", "--serve"),
                  ("Measure the layers:", "evaluate.py", ""))
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
                                        amp=self.amp_dtype, smooth=getattr(opt, "smooth_decoder", False))
        self.renderer.to(self.device).to(memory_format=torch.channels_last)
        self.networks = {"LNR": self.renderer}
        self.guidance: lnr_prior.Guidance | None = None
        if opt.init == "closed_form":
            self.guidance = lnr_prior.Guidance(self.renderer, opt.n_frames, opt.canvas_size, (opt.width, opt.height),
                                               not opt.is_train and opt.moving_background)
            self.networks["scene"] = self.guidance.scene
        elif opt.is_train and opt.n_epochs_background:
            raise UserError(f"--n_epochs_background: found {opt.n_epochs_background} with --init random; expected 0, "
                            "or --init closed_form")
        self.training_network: nn.Module = self.renderer
        self.rolloff_epoch = opt.mask_loss_rolloff_epoch if opt.is_train else -1
        self.weights: dict[str, float] = {}
        self.jitter = 0.0
        self.exported_background: tuple[Tensor, Tensor] | None = None

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Options of the renderer, of its data, its losses and its phases."""
        group = parser.add_argument_group("lnr model")
        group.add_argument("--num_filters", type=int_at_least(1), default=64, metavar="N",
                           help="channels after the network's first step")
        group.add_argument("--texture_res", type=int_at_least(1), default=16, metavar="PX",
                           help="side of one atlas tile")
        group.add_argument("--texture_channels", type=int_at_least(1), default=16, metavar="N",
                           help="channels of the neural texture")
        group.add_argument("--n_textures", type=int_at_least(1), default=25, metavar="N",
                           help="tiles in the atlas, 24 per person and 1 for the background; metadata.json decides")
        group.add_argument("--smooth_decoder", action="store_true",
                           help="blur between the steps of the decoder, which leaves no checkerboard; not as "
                                "published")
        group.add_argument("--detail_transfer", default="published", choices=("published", "shared"),
                           help="how layers get what the network missed of a frame: as published, by transmittance; or "
                                "shared, as the least change of colours that explains the frame")
        group.add_argument("--height", type=int_at_least(1), default=256, metavar="PX",
                           help="height of the low-resolution frames; metadata.json decides")
        group.add_argument("--width", type=int_at_least(1), default=448, metavar="PX",
                           help="width of the low-resolution frames; metadata.json decides")
        parser.deciding |= {"num_filters", "texture_res", "texture_channels", "n_textures", "height", "width",
                            "smooth_decoder"}
        parser.set_defaults(batch_size=32)
        lnr_prior.add_options(parser, is_train)
        if not is_train:
            group.add_argument("--do_upsampling", action="store_true",
                               help="export at twice the resolution, through the upsampling module")
            return
        parser.set_defaults(n_epochs=2000, lr=0.001, do_upsampling=False)  # the second phase sets it
        group.add_argument("--lambda_alpha_l1", type=float_at_least(0), default=0.01, metavar="W",
                           help="weight of the L1 alpha regularization")
        group.add_argument("--lambda_alpha_l0", type=float_at_least(0), default=0.005, metavar="W",
                           help="weight of the approximate L0 alpha regularization")
        group.add_argument("--alpha_l1_rolloff_epoch", type=int_at_least(0), default=200, metavar="EPOCH",
                           help="the L1 regularization ends at this epoch")
        group.add_argument("--lambda_mask", type=float_at_least(0), default=50, metavar="W",
                           help="weight of the mask loss")
        group.add_argument("--mask_thresh", type=float_at_least(0), default=0.02, metavar="LOSS",
                           help="the mask loss is reduced once it falls below this (before weighting)")
        group.add_argument("--mask_loss_rolloff_epoch", type=int_at_least(-1), default=-1, metavar="EPOCH",
                           help="reduce the mask loss to a tenth at this epoch, and to zero at twice this epoch; "
                                "-1: when --mask_thresh says so")
        group.add_argument("--n_epochs_coarse", type=int_at_least(0), default=0, metavar="N",
                           help="epochs of a phase before --n_epochs, in which the network learns from frames of half "
                                "the size, in less than a third of the time; 0: no such phase")
        group.add_argument("--n_epochs_upsample", "--num_epochs_upsample", type=int_at_least(0), default=500,
                           metavar="N",
                           help="epochs of the upsampling phase; 0: no such phase")
        group.add_argument("--batch_size_upsample", type=auto_or(int_at_least(1)), default=16, metavar="N",
                           help="batch size of the upsampling phase; auto: as --batch_size")
        group.add_argument("--jitter_rgb", type=float_at_least(0), default=0.2, metavar="STD",
                           help="standard deviation of the random brightness added to a frame, whose range is 2")
        group.add_argument("--jitter_epochs", type=int_at_least(0), default=400, metavar="EPOCH",
                           help="the brightness jitter ends at this epoch")
        group.add_argument("--no_zoom", action="store_true", help="do not enlarge frames at random")

    def phases(self) -> list[LnrPhase]:
        """`background` (only guided), `coarse`, `layers`, then `upsampling`; a phase of no epochs is left out."""
        opt = self.opt
        low = Namespace(**vars(opt) | {"do_upsampling": False})
        scene = Namespace(**vars(low) | lnr_prior.BACKGROUND_OPTIONS)
        high = Namespace(**vars(opt) | {"do_upsampling": True, "batch_size": opt.batch_size_upsample})
        background, coarse, layers, upsampling = (range(*ends) for ends in pairwise(accumulate((
            1, opt.n_epochs_background, opt.n_epochs_coarse, opt.n_epochs + opt.n_epochs_decay,
            opt.n_epochs_upsample))))
        phases = [LnrPhase("background", scene, background, brief=True, learns_scene=True),
                  LnrPhase("coarse", low, coarse, half_size=True),
                  LnrPhase("layers", low, layers),
                  LnrPhase("upsampling", high, upsampling, "--batch_size_upsample")]
        return [phase for phase in phases if phase.epochs]

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Adam on what the phase trains; the rest is frozen."""
        if self.guidance and isinstance(phase, LnrPhase) and phase.learns_scene:
            self.training_network = self.parallel(self.guidance.scene)
            return {"scene": self.guidance.scene_optimizer()}
        if self.guidance:
            self.renderer.reset_output_layer()
        trained = (self.renderer.upsampling_parameters() if phase.opt.do_upsampling
                   else self.renderer.base_parameters())
        self.renderer.requires_grad_(False)
        for parameter in trained:
            parameter.requires_grad_()
        for bias in biases_without_effect(self.renderer):
            bias.requires_grad_(False)
        self.training_network = self.parallel(self.renderer)
        return {"LNR": torch.optim.Adam(trained, lr=phase.opt.lr, fused=True)}

    def start_epoch(self, epoch: int) -> None:
        """Loss weights and jitter of `epoch`."""
        opt = self.phase.opt
        self.weights = loss_weights(opt, epoch, self.rolloff_epoch)
        self.jitter = opt.jitter_rgb if epoch < opt.jitter_epochs else 0.0
        if self.guidance and self.phase.learns_scene and epoch == self.phase.epochs[-1] and not self.guidance.trial:
            self.guidance.trial = Trial(self.guidance.scene)

    def end_epoch(self, epoch: int, losses: dict[str, Tensor]) -> None:
        """Reduce the mask loss from the next epoch on, once the layers fit their masks."""
        super().end_epoch(epoch, losses)
        opt = self.phase.opt
        if self.guidance and self.phase.learns_scene and epoch == self.phase.epochs[-1]:
            self.guidance.judge_scene()
        fits = "mask" in losses and losses["mask"] < opt.mask_thresh * opt.lambda_mask
        if self.rolloff_epoch < 0 and fits:
            self.rolloff_epoch = epoch + 1

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """One Adam step on the sum of the losses."""
        if self.guidance and self.phase.learns_scene:
            losses = self.guidance.scene_losses(self.training_network, self.to_device(batch))
        elif self.phase.opt.do_upsampling:
            losses = self.upsampling_losses(batch)
        else:
            losses = self.layer_losses(batch)
        losses["total"] = reduce(torch.add, losses.values())
        self.gradient_step(losses["total"], *self.optimizers)
        return {name: loss.detach() for name, loss in losses.items()}

    def layer_losses(self, batch: dict) -> dict[str, Tensor]:
        """Losses of texture and U-Net, at the size of the phase."""
        static = all_processes(has_static_background(batch["uv_map"]))  # before a GPU would have to be waited for
        batch = self.to_device(batch)
        if self.phase.half_size:
            batch = halved(batch)
        target = batch["image"]
        if self.jitter > 0:
            brightness = self.jitter * self.randn_per_item(len(target), 1, 1, 1)
            target = (target + brightness).clamp(-1, 1)
        background = self.guidance.background(batch) if self.guidance else None
        outputs = self.training_network(batch["uv_map"], batch["pids"], False, None, static, background)
        return self.compute_losses(outputs, target, batch)

    def compute_losses(self, outputs: dict[str, Tensor], target: Tensor, batch: dict) -> dict[str, Tensor]:
        """Weighted losses of layers (section 3.2 of the paper); guided, the mattes learn from what is known of them.

        Args:
            outputs: `layers` [B, L, 4, H, W] and `reconstruction` [B, 4, H, W].
            target: [B, 3, H, W].
            batch: at the same size; of its trimaps `mask` [B, L, H, W] the background layer's is not used.
        """
        losses = {"recon": reconstruction_loss(outputs["reconstruction"], target)}
        if self.guidance:
            losses["prior"] = self.phase.opt.lambda_prior * self.guidance.prior_loss(outputs["layers"], batch)
            return losses
        weights = self.weights
        losses["alpha_reg"] = alpha_regularization(opacity(outputs["reconstruction"]), weights["alpha_l1"],
                                                   weights["alpha_l0"])
        losses["mask"] = weights["mask"] * mask_loss(outputs["layers"][:, :, 3], batch["mask"], sum_over_processes)
        return losses

    def upsampling_losses(self, batch: dict) -> dict[str, Tensor]:
        """The loss of the upsampling module, on a random crop."""
        static = all_processes(has_static_background(batch["uv_map"]))
        batch = self.to_device(batch)
        height, width = batch["image"].shape[-2:]
        top, bottom, left, right = crop = random_crop(height, width, UPSAMPLING_CROP)
        background = self.guidance.background(batch)[..., top:bottom, left:right] if self.guidance else None
        outputs = self.training_network(batch["uv_map"], batch["pids"], True, crop, static, background)
        return {"recon": reconstruction_loss(outputs["reconstruction"], batch["image"][..., top:bottom, left:right])}

    def cost(self, phase: Phase, item: dict, items: int, batch_size: int) -> Cost | None:
        """Counted for the published network; other textures and numbers of people change it little."""
        assert isinstance(phase, LnrPhase)  # made by `phases`
        if phase.learns_scene:
            return None
        layers, height, width = item["mask"].shape
        if phase.half_size:
            height, width = -(-height // 2), -(-width // 2)
        cost = training_cost((width, height), layers, items, (batch_size, batch_size),
                             self.opt.num_filters)[phase.opt.do_upsampling]
        return cost._replace(gib=process_gib(cost))

    def extra_state(self) -> dict:
        """The mask loss's schedule, and how the learned scene compares so far."""
        trial = self.guidance.trial if self.guidance else None
        return {"rolloff_epoch": self.rolloff_epoch} | ({"trial": (trial.frames, trial.regions)} if trial else {})

    def load_extra_state(self, state: dict) -> None:
        """Take all that back."""
        self.rolloff_epoch = int(state["rolloff_epoch"])
        if self.guidance and "trial" in state:
            self.guidance.trial = Trial(self.guidance.scene)
            self.guidance.trial.frames, self.guidance.trial.regions = (sums.to(self.device) for sums in state["trial"])

    def load_networks(self, label: str) -> None:
        """Read the renderer's weights; what others rendered is forgotten."""
        super().load_networks(label)
        self.exported_background = None

    def visuals(self, batch: dict) -> dict[str, Tensor]:
        """Pictures of the first item; layers stacked from top to bottom, background first."""
        batch = {k: v[:1] for k, v in self.to_device(batch).items()}
        with frozen_statistics(self.renderer):
            outputs = self.rendered(batch, self.phase.opt.do_upsampling)
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

    @torch.no_grad()  # not inference_mode, in which torch 2.4 counts no operations
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
            who = batch["layer_names"][i][0] if "layer_names" in batch else ""
            result.captions[f"rgba_l{layer}"] = (f"Layer {layer}: {who or 'people'}, and what moves with them."
                                                 if layer else "Layer 0: the background.")
        for layer, i in sorted(positions.items()) if not self.guidance else ():  # which trimaps say nothing to
            result.video_frames[f"mask_l{layer}"] = batch["mask"][:, i:i + 1]
            result.captions[f"mask_l{layer}"] = f"Where layer {layer} shall be; what is grey, the network finds out."
        return result

    def rendered(self, batch: dict, upsample: bool, background: Tensor | None = None) -> dict[str, Tensor]:
        """Layers and reconstruction of a batch as `LayeredRenderer` returns them; guided, with what is known of them.

        Args:
            background: [B, 4, H, W], layer 0 of an earlier call with the same input and weights.
        """
        if self.guidance:
            return self.guidance.rendered(batch, upsample)
        return self.renderer(batch["uv_map"], batch["pids"], upsample, background=background)


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


def _stacked(pictures: Tensor) -> Tensor:
    """[L, C, H, W] to [C, L*H, W]."""
    return pictures.permute(1, 0, 2, 3).flatten(1, 2)


def _uv_picture(uv_map: Tensor) -> Tensor:
    """[2L, H, W] to RGB [L, 3, H, W] with u as red and v as green."""
    uv = uv_map.unflatten(0, (-1, 2))
    return torch.cat((uv, -torch.ones_like(uv[:, :1])), dim=1)
