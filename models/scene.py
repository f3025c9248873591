"""The scene behind the people, learned as that which explains all frames: what a clean plate lacks.

A camera that shakes, leaves that sway and an exposure that flickers blur a plate that is made of many frames. Here the
plate, and how each frame shows it, are found together by gradient descent (compare the learned offsets and brightness
of Lu et al., "Omnimatte", CVPR 2021).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 8  # pixels of a frame between two points whose motion is learned
LEAST_GRADIENT = 0.3  # as a share of that of a pixel which all frames see
SMOOTHNESS, STILLNESS = 0.02, 0.002
REGION = 16  # pixels of the canvas, each way, in which it is judged whether what was learned is better
CLEAR = 0.97
"""Transmittance of people and their shadows and reflections from which on a pixel shows the scene alone."""


class Scene(nn.Module):
    """What is added to a clean plate, and small motions and exposures of the frames that show it.

    Args:
        frames: of the clip.
        canvas: (width, height) of the plate.
        size: (width, height) of the frames.

    Attributes:
        change: [1, 3, h, w] in [-2, 2], added to the plate.
        motion: [F, 2, ceil(H / 8), ceil(W / 8)], by how many pixels further right and down on the scene a frame looks.
        exposure: [F, 1, 1, 1]; a frame is 1 + exposure times as bright.
    """

    def __init__(self, frames: int, canvas: tuple[int, int], size: tuple[int, int]):
        super().__init__()
        self.size = size
        self.change = nn.Parameter(torch.zeros(1, 3, *canvas[::-1]))
        self.motion = nn.Parameter(torch.zeros(frames, 2, -(-size[1] // CELL), -(-size[0] // CELL)))
        self.exposure = nn.Parameter(torch.zeros(frames, 1, 1, 1))

    def parameter_groups(self) -> list[dict]:
        """What Adam trains, and how fast.

        Pixels that no frame sees are touched by interpolation only, by next to nothing: Adam must not make full steps
        of that, or a dark rim grows around them.
        """
        pixels = 3 * self.size[0] * self.size[1]  # what the losses average over
        return [{"params": [self.change], "lr": 0.004, "eps": LEAST_GRADIENT / pixels},
                {"params": [self.motion], "lr": 0.05, "per_frame": True},
                {"params": [self.exposure], "lr": 0.001, "per_frame": True}]

    def is_untrained(self) -> bool:
        """Whether nothing has been learned yet."""
        return not self.motion.any()

    def still(self, plate: Tensor, place: Tensor) -> Tensor:
        """The learned scene, [B, 3, H, W] in [-1, 1].

        Args:
            plate: [B, 3, H, W], the clean plate as the frames see it, also at a multiple of their size.
            place: [B, 2, h, w], the point of the canvas, in [-1, 1], that a pixel of a frame looks at.
        """
        change = F.grid_sample(self.change.expand(len(place), -1, -1, -1), place.movedim(1, 3), mode="bilinear",
                               padding_mode="border", align_corners=False)
        return plate + F.interpolate(change, size=plate.shape[-2:], mode="bilinear", align_corners=False)

    def forward(self, plate: Tensor, place: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """The learned scene as the frames `frame` [B] show it, as from `seen_by`; the rest as for `still`."""
        return self.seen_by(frame, self.still(plate, place))

    def seen_by(self, frame: Tensor, still: Tensor) -> tuple[Tensor, Tensor]:
        """A scene [B, 3, H, W] as the frames `frame` [B] show it, moved and exposed; and how they move.

        On average over the frames nothing moves, and no frame is brighter: else the scene itself could.
        """
        motion = self.motion[frame] - self.motion.detach().mean(dim=0)
        exposure = self.exposure[frame] - self.exposure.detach().mean(dim=0)
        offset = F.interpolate(motion, size=still.shape[-2:], mode="bicubic", align_corners=False).movedim(1, 3)
        grid = F.affine_grid(torch.eye(2, 3, device=still.device).expand(len(still), -1, -1), list(still.shape),
                             align_corners=False)
        moved = F.grid_sample(still, grid + offset * 2 / offset.new_tensor(self.size), mode="bicubic",
                              padding_mode="border", align_corners=False)
        return (moved + 1) * (1 + exposure) - 1, motion


    @torch.no_grad()
    def keep_what_is_better(self, trial: "Trial") -> None:
        """Take back what was learned where the plate as it was explains the frames better: per region of the canvas
        what is added to the plate, per frame motion and exposure, and all where it is worse in sum."""
        for own in (self.motion, self.exposure):
            own.sub_(own.mean(dim=0))
            own[trial.frames[:, 0] > trial.frames[:, 1]] = 0
        better = (trial.regions[:, 0] <= trial.regions[:, 1]).to(self.change)
        height, width = self.change.shape[-2:]
        cells = better.reshape(1, 1, -(-height // REGION), -(-width // REGION))
        self.change.mul_(F.interpolate(cells, size=(height, width), mode="bilinear", align_corners=False))
        if trial.frames[:, 0].sum() > trial.frames[:, 1].sum():
            for parameter in self.parameters():
                parameter.zero_()


class Trial:
    """What the frames miss of the scene as it was learned, and of the plate as it was.

    Attributes:
        frames: [F, 2], sums over each frame: learned, as it was.
        regions: [ceil(h / 16) ceil(w / 16), 2], sums over squares of the canvas.
    """

    def __init__(self, scene: Scene):
        self.height, self.width = scene.change.shape[-2:]
        cells = -(-self.height // REGION) * -(-self.width // REGION)
        self.frames, self.regions = (scene.change.new_zeros(count, 2) for count in (len(scene.motion), cells))

    @torch.no_grad()
    def add(self, shown: Tensor, plate: Tensor, image: Tensor, transmittance: Tensor, place: Tensor,
            frame: Tensor) -> None:
        """Add the sums of a batch; arguments as for `scene_losses` and `Scene.still`."""
        missed = torch.stack([misses(one, image, transmittance).sum(dim=1) for one in (shown, plate)], dim=-1)
        self.frames.index_add_(0, frame, missed.sum(dim=(1, 2)))
        column, row = (((place[:, axis] + 1) / 2 * side).long().clamp(0, side - 1) // REGION
                       for axis, side in ((0, self.width), (1, self.height)))
        cell = row * -(-self.width // REGION) + column
        self.regions.index_add_(0, cell.flatten(), missed.flatten(0, 2))


def misses(shown: Tensor, image: Tensor, transmittance: Tensor) -> Tensor:
    """How far a scene is from frames where they show it alone: Charbonnier, [B, 3, H, W]; as for `scene_losses`."""
    least = -F.max_pool2d(-transmittance, 3, stride=1, padding=1)
    return ((shown - image) ** 2 + 1e-5).sqrt() * (least > CLEAR)


def scene_losses(shown: Tensor, motion: Tensor, image: Tensor, transmittance: Tensor) -> dict[str, Tensor]:
    """How far the scene is from frames where they show it alone, and how unevenly it moves.

    Args:
        shown, motion: what `Scene` returns.
        image: [B, 3, H, W], the frames.
        transmittance: [B, 1, H, W] in [0, 1], share of the scene that people and their effects let through.
    """
    uneven = sum(motion.diff(dim=axis).square().mean() for axis in (2, 3))
    return {"background": misses(shown, image, transmittance).mean(),
            "motion": SMOOTHNESS * uneven + STILLNESS * motion.square().mean()}
