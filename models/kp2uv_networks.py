"""The network of model `kp2uv`: the U-Net of the layered renderer with heads of its own. No options, no files.

It follows the supplementary material of Lu et al., "Layered Neural Rendering for Retiming People in Video" (SIGGRAPH
Asia 2020). Attribute names are those of the published checkpoint.
"""

import torch
from torch import Tensor, nn

from models.lnr_networks import ConvBlock, InstanceNorm, UNet


class KeypointToUV(UNet):
    """Skeleton image to DensePose parts and their UV coordinates (model `kp2uv`).

    Args:
        nf: channels after the first step; 64 in the published weights (9,617,660 parameters).
    """

    def __init__(self, nf=64):
        super().__init__(3, nf, InstanceNorm, bottleneck=(3, 1))
        self.id_pred = ConvBlock(nn.Conv2d, nf + 3, 25, 3)
        self.uv_pred = ConvBlock(nn.Conv2d, nf + 3, 48, 3, activation=nn.Tanh())

    def forward(self, keypoint_image: Tensor) -> dict[str, Tensor]:
        """Predict parts and coordinates.

        Args:
            keypoint_image: [B, 3, H, W] in [-1, 1]; H and W multiples of 32 (256 in practice).

        Returns:
            part_logits: [B, 25, H, W]; 0 is the background, 1..24 are DensePose's parts.
            part_uv: [B, 48, H, W] in [-1, 1]; u and v of part p are channels 2(p-1) and 2(p-1)+1.
        """
        x = torch.cat((self.features(keypoint_image), keypoint_image), dim=1)
        return {"part_logits": self.id_pred(x), "part_uv": self.uv_pred(x)}
