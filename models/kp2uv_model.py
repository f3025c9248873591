"""Skeleton images to UV maps with the published weights (section 3.1 of Lu et al., SIGGRAPH Asia 2020); not trained."""

from argparse import Namespace

import torch
from torch import Tensor

from models.base_model import BaseModel, Export, Phase
from models.kp2uv_networks import KeypointToUV
from util.command_line import int_at_least
from util.errors import UserError


class Kp2uvModel(BaseModel):
    """Which part of the body, and where on it, at each pixel of a 256x256 crop around a skeleton."""

    dataset_mode = "kpuv"

    def __init__(self, opt: Namespace):
        super().__init__(opt)
        self.network = KeypointToUV(opt.num_filters).to(self.device)
        self.networks = {"Kp2uv": self.network}

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """The size of the network."""
        parser.add_argument("--num_filters", type=int_at_least(1), default=64, metavar="N",
                            help="channels after the network's first step")
        parser.deciding |= {"num_filters"}

    @torch.no_grad()
    def export(self, batch: dict) -> Export:
        """`output_uv`, the prediction, and `keypoints`, the skeleton it was made from."""
        skeleton = self.to_device(batch)["keypoint_image"]
        return Export(images={"keypoints": skeleton, "output_uv": uv_picture(**self.network(skeleton))})

    def phases(self) -> list[Phase]:
        """There are none.

        Raises:
            UserError: always.
        """
        raise UserError("--model kp2uv: has published weights only and no training; expected a model that can be "
                        "trained, such as lnr. Use kp2uv with test.py")

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Nothing is trained."""
        return {}

    def optimize_parameters(self, batch: dict) -> dict[str, Tensor]:
        """Nothing is trained."""
        return {}


def uv_picture(part_logits: Tensor, part_uv: Tensor) -> Tensor:
    """Colour each pixel by its likeliest part and that part's coordinates.

    Args:
        part_logits: [B, 25, H, W]; 0 is the background.
        part_uv: [B, 48, H, W] in [-1, 1], u and v of each part.

    Returns:
        [B, 3, H, W] in [-1, 1]: (10 x part, u, v) as levels of 0..255; all -1 on the background.
    """
    part = part_logits.argmax(dim=1, keepdim=True)
    u = part_uv.gather(1, (2 * part - 2).clamp(min=0))
    v = part_uv.gather(1, (2 * part - 1).clamp(min=0))
    picture = torch.cat((10 * part / 127.5 - 1, u, v), dim=1)
    return torch.where(part > 0, picture, -1.0)
