"""Guidance by the closed form: what --init closed_form adds to the published method (models/lnr_model.py).

A clean plate, mattes and effects are computed from masks and frames before training (data/decomposition.py). Here they
are layers without any training; what the layers learn from, instead of trimaps; and, with --n_epochs_background, the
beginning of a scene that is learned with the shake, sway and flicker of the frames.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lazy_adam import LazyAdam
from models.lnr_losses import prior_loss
from models.lnr_networks import LayeredRenderer
from models.scene import Scene, Trial, scene_losses
from util.command_line import float_at_least, int_at_least
from util.distributed import sum_over_processes
from vision.layers.closed_form import remeasured_effects
from vision.layers.mattes import (
    composite_over,
    layers_from_mattes,
    opacity,
    opaque,
    pull_push,
    transmittance,
    transmittance_in_front,
    union_alpha,
)
from vision.people.person_mask import PERSON_MARGIN

BACKGROUND_OPTIONS = {"no_zoom": True, "batch_size": 4}
"""Of the phase that learns the scene."""
_CLOSED_FORM = {"init": "closed_form", "detail_transfer": "shared", "n_epochs_upsample": 0}
_LEARNED = {**_CLOSED_FORM, "n_epochs_background": 40, "lr": 0.005, "lr_policy": "cosine", "jitter_rgb": 0,
            "smooth_decoder": True}
PRESETS = {
    "draft": {**_CLOSED_FORM, "num_filters": 16, "n_epochs": 0},
    "fast": {**_LEARNED, "num_filters": 16, "batch_size": 1, "n_epochs_coarse": 300, "n_epochs": 100, "budget": "15m"},
    "best": {**_LEARNED, "num_filters": 64, "batch_size": 4, "n_epochs": 2000, "budget": "4h"},
}


def add_options(parser, is_train: bool) -> None:
    """Options of the guidance."""
    group = parser.add_argument_group("lnr model: guidance by the closed form")
    group.add_argument("--init", default="random", choices=("random", "closed_form"),
                       help="what training starts from: nothing; or a clean plate, mattes and effects that are "
                            "computed from masks and frames in seconds (static or registered camera)")
    parser.deciding |= {"init"}
    if is_train:
        group.add_argument("--n_epochs_background", type=int_at_least(0), default=0, metavar="N",
                           help="epochs of a phase before all others, which learns the background and how each frame "
                                "shows it, shaken and swaying; only with --init closed_form; 0: no such phase")
        group.add_argument("--lambda_prior", type=float_at_least(0), default=10, metavar="W",
                           help="weight of the difference to the mattes of --init closed_form, instead of mask loss "
                                "and alpha regularization")
    else:
        group.add_argument("--moving_background", action="store_true",
                           help="export the background as each frame shows it, and what people hide of it from the "
                                "frames around: it sways, flickers and has the grain of the film; else it is at rest")


class Guidance:
    """What is known of a clip's layers before they are trained.

    Batches are those of `data/layered_video_dataset.py` with --init closed_form: `plate`, `place`, `frame`, `people`,
    `effects` and `shows_hidden` besides what the published method needs.

    Args:
        renderer: with fresh weights; it is set to grey layers, which `LayeredRenderer.is_untrained` tells from learned
            ones also after it was saved.
        frames: of the clip.
        canvas: (width, height) of the plate.
        size: (width, height) of the low-resolution frames.
        moving_background: the background is rendered as each frame shows it, with what `scene` has learned of that.

    Attributes:
        scene: what is learned of the background.
        trial: how much better it is than the plate, in the last epoch of its phase; None: not yet in that.
    """

    def __init__(self, renderer: LayeredRenderer, frames: int, canvas: tuple[int, int], size: tuple[int, int],
                 moving_background: bool):
        self.renderer, self.moving_background = renderer, moving_background
        self.scene = Scene(frames, canvas, size).to(renderer.texture.device)
        self.trial: Trial | None = None
        renderer.zero_output_layer()

    def scene_optimizer(self) -> torch.optim.Optimizer:
        """Adam for the scene, which moves the frames of a batch alone."""
        return LazyAdam(self.scene.parameter_groups(), betas=(0.9, 0.99))

    def scene_losses(self, render: nn.Module, batch: dict) -> dict[str, Tensor]:
        """Losses of the scene, which `render` shows, beside people and their effects."""
        seen = ((1 - batch["people"]) * (1 - batch["effects"])).prod(dim=1, keepdim=True)
        shown, motion = render(batch["plate"], batch["place"], batch["frame"])
        if self.trial is not None:
            self.trial.add(shown, batch["plate"], batch["image"], seen, batch["place"], batch["frame"])
        return scene_losses(shown, motion, batch["image"], seen)

    def judge_scene(self) -> None:
        """At the end of its phase: what is learned stays where it is better than the closed form."""
        if self.trial is not None:
            self.trial.frames, self.trial.regions = (sum_over_processes(sums) for sums in (
                self.trial.frames, self.trial.regions))
            self.scene.keep_what_is_better(self.trial)
            self.trial = None

    def background(self, batch: dict) -> Tensor:
        """RGBA [B, 4, H, W] of the clean plate: layer 0, while the others are trained."""
        return opaque(batch["plate"])

    def prior_loss(self, layers: Tensor, batch: dict) -> Tensor:
        """How far the mattes of layers [B, L, 4, H, W] are from what is expected of them, where they are in view."""
        expected = union_alpha(batch["people"], batch["effects"])
        alpha, prior, view = (x[:, :, 0] for x in (opacity(layers[:, 1:]), expected, transmittance(expected)))
        return prior_loss(alpha, prior, view, sum_over_processes)

    def rendered(self, batch: dict, upsample: bool) -> dict[str, Tensor]:
        """Layers and reconstruction of a batch as `LayeredRenderer` returns them: of what is known and was learned."""
        if not self.scene.is_untrained():
            batch = self.with_learned_scene(batch)
        if "shown" in batch:
            batch = {**batch, "plate": batch["shown"]}
        layers = prior = layers_from_mattes(batch["plate"], batch["image"], batch["people"], batch["effects"],
                                            batch.get("hidden"))
        if not self.renderer.is_untrained():
            learned = self.renderer(batch["uv_map"], batch["pids"], upsample, background=prior[:, 0])["layers"]
            copies = None
            if "hidden" in batch:
                without = layers_from_mattes(batch["plate"], batch["image"], batch["people"], batch["effects"])
                copies = Copies(batch["hidden"], batch["found"][:, 1:, None], without)
            layers = fill_hidden(prior, learned, batch["pids"], bool(batch["shows_hidden"].all()), copies)
        return {"layers": layers, "reconstruction": composite_over(layers)}

    def with_learned_scene(self, batch: dict) -> dict:
        """A batch with the learned scene as its plate, and with the effects that are seen over that; where the plate
        stayed as it was, the effects do.

        The plate is the scene at rest, or with --moving_background as the frame shows it.
        """
        still = self.scene.still(batch["plate"], batch["place"])
        shown, _ = self.scene.seen_by(batch["frame"], still)
        plate = shown if self.moving_background else still
        scale = batch["image"].shape[-1] // self.scene.size[0]
        items = zip(*(tensor.detach().cpu().numpy() for tensor in (
            (batch["image"] + 1).movedim(1, 3) / 2, (shown + 1).movedim(1, 3) / 2, batch["people"], batch["effects"])))
        effects = torch.from_numpy(np.stack([remeasured_effects(image, background, people, known, scale)
                                             for image, background, people, known in items])).to(shown)
        kept = (shown - batch["plate"]).abs().amax(dim=1, keepdim=True) < 1e-4
        return {**batch, "plate": plate.clamp(-1, 1), "effects": torch.where(kept, batch["effects"], effects)}


class Copies(NamedTuple):
    """What other frames show of hidden parts.

    Attributes:
        hidden: as for `layers_from_mattes`, which took it over.
        found: [B, L - 1, 1, H, W] in [0, 1], where another frame shows who or what is there, nobody too.
        without: the layers [B, L, 4, H, W] without any copy, of what is in view alone.
    """

    hidden: Tensor
    found: Tensor
    without: Tensor


def fill_hidden(prior: Tensor, learned: Tensor, pids: Tensor, shows_hidden: bool,
                copies: Copies | None = None) -> Tensor:
    """Layers as expected where they are in view, and as learned where another one hides them: [B, L, 4, H, W].

    By how much the learned colours miss those in view is continued into what is hidden. That is a person's body:
    elsewhere behind others nothing could be learned, and nothing is. Where other frames show what is hidden, their copy
    counts alone. The network was never trained on that, so there it is also seen whether it knows hidden parts better
    than what goes on smoothly from what is in view: only then it has a say in the colours that no frame shows.

    Args:
        prior, learned: [B, L, 4, H, W].
        pids: [B, L, h, w] person ids of the UV maps, where bodies are, hidden or not.
        shows_hidden: the expected alpha holds also where another layer hides it; only the colours are learned there.
        copies: what `prior` has of other frames.
    """
    view, alpha = transmittance_in_front(prior), prior[:, 1:, 3:]
    known = view * opacity(prior[:, 1:])
    error = continued((prior - learned)[:, 1:, :3], known)
    guess, found = (learned[:, 1:, :3] + error).clamp(-1, 1), torch.zeros_like(view)
    if copies is not None:
        copied, found = opacity(copies.hidden[:, 1:]), copies.found
        tested = (1 - view) * copied * opacity(prior[:, 1:])
        missed, smooth = (((one - prior[:, 1:, :3]).abs() * tested).sum(dim=(2, 3, 4), keepdim=True)
                          for one in (guess, copies.without[:, 1:, :3]))
        better = (2 * (smooth - missed) / smooth.clamp(min=1e-6)).clamp(0, 1)
        guess = prior[:, 1:, :3] + (1 - copied) * better * (guess - prior[:, 1:, :3])
    colour = view * prior[:, 1:, :3] + (1 - view) * guess
    if not shows_hidden:
        side = 2 * int(pids.shape[-2] * PERSON_MARGIN) + 1
        near = F.max_pool2d((pids[:, 1:] > 0).to(prior.dtype), side, stride=1, padding=side // 2)
        body = F.interpolate(near, size=prior.shape[-2:], mode="nearest")[:, :, None] > 0
        unseen = (1 - view) * (1 - found) * body
        alpha = alpha + unseen * (learned[:, 1:, 3:] - alpha)
    return torch.cat((prior[:, :1], torch.cat((colour, alpha), dim=2)), dim=1)


def continued(values: Tensor, known: Tensor) -> Tensor:
    """Values [B, L, C, H, W] continued smoothly to where they are not known, [B, L, 1, H, W] in [0, 1]."""
    return pull_push(values.flatten(0, 1), known.flatten(0, 1)).unflatten(0, values.shape[:2])
