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
                {"params": [self.motion], "lr": 0.05}, {"params": [self.exposure], "lr": 0.001}]

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
        motion = (self.motion - self.motion.mean(dim=0))[frame]
        exposure = (self.exposure - self.exposure.mean(dim=0))[frame]
        offset = F.interpolate(motion, size=still.shape[-2:], mode="bicubic", align_corners=False).movedim(1, 3)
        grid = F.affine_grid(torch.eye(2, 3, device=still.device).expand(len(still), -1, -1), list(still.shape),
                             align_corners=False)
        moved = F.grid_sample(still, grid + offset * 2 / offset.new_tensor(self.size), mode="bicubic",
                              padding_mode="border", align_corners=False)
        return (moved + 1) * (1 + exposure) - 1, motion


def scene_losses(shown: Tensor, motion: Tensor, image: Tensor, transmittance: Tensor) -> dict[str, Tensor]:
    """How far the scene is from frames where they show it alone, and how unevenly it moves.

    Args:
        shown, motion: what `Scene` returns.
        image: [B, 3, H, W], the frames.
        transmittance: [B, 1, H, W] in [0, 1], share of the scene that people and their effects let through.
    """
    least = -F.max_pool2d(-transmittance, 3, stride=1, padding=1)
    missed = ((shown - image) ** 2 + 1e-5).sqrt()  # Charbonnier
    uneven = sum(motion.diff(dim=axis).square().mean() for axis in (2, 3))
    return {"background": (missed * (least > CLEAR)).mean(),
            "motion": SMOOTHNESS * uneven + STILLNESS * motion.square().mean()}
