"""Losses of Neural Actor, on rays."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from util.pretrained import Pretrained, load_weights

VGG16 = Pretrained("perceptual loss of Neural Actor", "https://download.pytorch.org/models/vgg16-397923af.pth",
                   "train without it: --vgg_weight 0")
LEVELS = (4, 9, 16, 23)
"""Where torchvision's VGG-16 has passed relu1_2, relu2_2, relu3_3 and relu4_3."""
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SSIM_WINDOW = 7


def colour_loss(colours: Tensor, wanted: Tensor, absolute: bool = False) -> Tensor:
    """Mean over rays of the squared (or absolute) error of colours [..., 3], summed over channels."""
    error = colours - wanted
    return (error.abs() if absolute else error.square()).sum(-1).mean()


def alpha_loss(missed: Tensor) -> Tensor:
    """Mean over rays of log(1 + m (1 - m) / 0.11): small where a ray surely meets something, or surely nothing."""
    return (missed * (1 - missed) / 0.11).log1p().mean()


def mask_loss(missed: Tensor, alpha: Tensor) -> Tensor:
    """Mean over rays of the squared error of the share that goes through, against photographs' alpha.

    Before a background of one colour, an opaque surface of that colour looks like nothing; this tells them apart.
    """
    return (missed - (1 - alpha)).square().mean()


def squares(colours: Tensor, side: int) -> Tensor:
    """Colours [..., R, 3] of rays that come square by square, row by row, as pictures [N, 3, side, side]."""
    return colours.reshape(-1, side, side, 3).permute(0, 3, 1, 2)


def ssim_loss(pictures: Tensor, wanted: Tensor) -> Tensor:
    """1 - structural similarity (Wang et al. 2004) of pictures [N, 3, H, W] in [0, 1].

    Means, variances and covariance are those of samples, in windows of 7x7 pixels, as in scikit-image.
    """
    unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)

    def window(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, SSIM_WINDOW, 1)
    mean, mean_wanted = window(pictures), window(wanted)
    covariance = unbiased * (window(pictures * wanted) - mean * mean_wanted)
    variances = unbiased * (window(pictures.square() + wanted.square()) - mean.square() - mean_wanted.square())
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean * mean_wanted + c1) * (2 * covariance + c2) / (
        (mean.square() + mean_wanted.square() + c1) * (variances + c2))
    return 1 - similarity.mean()


class VggDistance(nn.Module):
    """Mean squared distance of pictures in VGG-16's features at a level, 1 to 4; its weights are frozen."""

    def __init__(self, level: int, pretrained: bool = True):
        """Make it; with `pretrained` with the weights for ImageNet.

        Raises:
            Unavailable: they cannot be had.
        """
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers  # which takes long, and is seldom needed
        layers = make_layers(cfgs["D"], batch_norm=False)[:LEVELS[level - 1]]
        if pretrained:
            weights = load_weights(VGG16)
            layers.load_state_dict({name: weights[f"features.{name}"] for name in layers.state_dict()})
        self.layers = layers.requires_grad_(False)

    def forward(self, pictures: Tensor, wanted: Tensor) -> Tensor:
        """The distance of pictures [N, 3, H, W] in [0, 1]."""
        mean, deviation = (torch.tensor(values, device=pictures.device)[:, None, None]
                           for values in (IMAGENET_MEAN, IMAGENET_DEVIATION))
        seen, true = (self.layers((images - mean) / deviation) for images in (pictures, wanted))
        return F.mse_loss(seen, true)
