"""The perceptual loss: distances of images in the features of VGG-19 (Johnson et al., ECCV 2016).

The weights of the features are those of pix2pixHD (Wang et al., CVPR 2018).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from models.gan_losses import mean_difference
from util.pretrained import Pretrained, load_weights

VGG19 = Pretrained("perceptual loss", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
                   "train without it: --no_vgg")
SLICES = (0, 2, 7, 12, 21, 30)
"""The layers of torchvision's VGG-19 at which slices begin: each ends after relu1_1, relu2_1, ... relu5_1."""
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
WIDEST = 1024


class VggFeatures(nn.Module):
    """The features of VGG-19 after relu1_1 to relu5_1, frozen.

    Names of its weights are `slice<1..5>.<layer of torchvision's network>`. Images go in as they are, in [-1, 1], and
    not normalised with the mean and deviation that the network was trained with: so it is published.
    """

    def __init__(self):
        super().__init__()
        layers = make_layers(cfgs["E"], batch_norm=False)  # VGG-19, without its classifier
        for number, (begin, end) in enumerate(zip(SLICES, SLICES[1:]), start=1):
            part = nn.Sequential()
            for i in range(begin, end):
                part.add_module(str(i), layers[i])
            self.add_module(f"slice{number}", part)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] in [-1, 1] to five feature maps."""
        features = []
        for number in range(1, len(SLICES)):
            x = getattr(self, f"slice{number}")(x)
            features.append(x)
        return features


def pretrained_vgg() -> VggFeatures:
    """The network with the weights that were trained on ImageNet.

    Raises:
        Unavailable: they cannot be had.
    """
    with torch.device("meta"):
        network = VggFeatures()
    weights = load_weights(VGG19)
    own = {name: weights[f"features.{name.split('.', 1)[1]}"] for name in network.state_dict()}
    network.load_state_dict(own, assign=True)
    return network.requires_grad_(False)


def perceptual_loss(vgg: nn.Module, target: Tensor, *images: Tensor) -> Tensor:
    """Weighted mean absolute differences of the features of images to those of the target, summed over the images.

    Args:
        vgg: images to a list of five feature maps.
        target: [B, 3, H, W] in [-1, 1]; no gradient goes there. Images wider than 1024 pixels are halved until they
            are not.
        images: the same.
    """
    while target.shape[3] > WIDEST:
        target, images = F.avg_pool2d(target, 2), tuple(F.avg_pool2d(image, 2) for image in images)
    with torch.no_grad():
        wanted = vgg(target)
    return torch.stack([weight * mean_difference(one.to(target.dtype), other.to(target.dtype))
                        for image in images for weight, one, other in zip(WEIGHTS, vgg(image), wanted)]).sum()
