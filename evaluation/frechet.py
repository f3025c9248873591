"""How alike two sets of pictures, or of short videos, are as trained networks see them: Fréchet distances.

FID (Heusel et al., "GANs Trained by a Two Time-Scale Update Rule ...", 2017) and its kin for videos, as vid2vid was
measured (Wang et al. 2018): the distance of two normal distributions of features, by torchmetrics. The networks are
torchvision's, Inception v3 (ImageNet) and R3D-18 (Kinetics-400), not the ones that published figures are of: compare
figures of this program alone, of the same number of pictures.

Pictures are [H, W, 3] in [0, 1].
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from util.pretrained import Pretrained, weights_at_hand

_INSTEAD = "leave --fid out"
INCEPTION = Pretrained("--fid", "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth", _INSTEAD)
R3D = Pretrained("--fid", "https://download.pytorch.org/models/r3d_18-b3b3357e.pth", _INSTEAD)
CLIP, STEP = 16, 8
"""Frames of a video that are seen at a time, and from one to the next."""
LEAST = 2  # pictures or clips, for which there is a covariance
_INCEPTION_PX, _R3D_PX = 299, 112
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class FrechetDistance:
    """Features of two sets, and how far they are from each other.

    Args:
        of_videos: of clips of frames rather than of pictures.

    Raises:
        Unavailable: the network's weights cannot be had.
    """

    def __init__(self, of_videos: bool):
        from torchmetrics.image.fid import FrechetInceptionDistance
        self.of_videos = of_videos
        self._metric = FrechetInceptionDistance(feature=_features(of_videos), normalize=True)
        self.number = 0

    def add(self, made: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> None:
        """A picture of each set, or the frames of a clip of each."""
        import torch
        for pictures, real in ((made, False), (true, True)):
            stacked = torch.from_numpy(np.stack(pictures).clip(0, 1)).float().movedim(-1, 0)  # [3, T, H, W]
            with torch.no_grad():
                self._metric.update((stacked if self.of_videos else stacked[:, 0])[None], real=real)
        self.number += 1

    def value(self) -> float | None:
        """The distance, from 0; None of fewer than `LEAST`."""
        return float(self._metric.compute()) if self.number >= LEAST else None


def frechet_distances(sequences: Iterable[Sequence[tuple[np.ndarray, np.ndarray]]]) -> dict[str, float | None]:
    """`fid` of all pictures and `video_fid` of all clips of them.

    Args:
        sequences: pictures that were made and true ones, frames in a row.

    Raises:
        Unavailable: weights of a network cannot be had.
    """
    pictures, videos = FrechetDistance(False), FrechetDistance(True)
    for pairs in sequences:
        for made, true in pairs:
            pictures.add([made], [true])
        for clip in clips(pairs):
            videos.add(*zip(*clip))
    return {"fid": pictures.value(), "video_fid": videos.value()}


def clips(frames: Sequence) -> Iterator[Sequence]:
    """Stretches of `CLIP` frames, `STEP` apart."""
    return (frames[start:start + CLIP] for start in range(0, len(frames) - CLIP + 1, STEP))


def _features(of_videos: bool):
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torchvision.models import inception_v3
    from torchvision.models.video import r3d_18

    class Features(nn.Module):
        """From pictures [N, 3, H, W] or clips [N, 3, T, H, W] in [0, 1] to features [N, C]."""

        def __init__(self):
            super().__init__()
            network = r3d_18() if of_videos else inception_v3(weights=None, init_weights=False, transform_input=True)
            with weights_at_hand(R3D if of_videos else INCEPTION) as path:
                network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            self.num_features, network.fc = network.fc.in_features, nn.Identity()
            self.network = network.eval()
            mean, std = _KINETICS if of_videos else _IMAGENET
            shape = (1, 3, 1, 1, 1) if of_videos else (1, 3, 1, 1)
            self.register_buffer("mean", torch.tensor(mean).view(shape))
            self.register_buffer("std", torch.tensor(std).view(shape))

        def forward(self, x):
            size = (x.shape[2], _R3D_PX, _R3D_PX) if of_videos else (_INCEPTION_PX, _INCEPTION_PX)
            x = F.interpolate(x, size=size, mode="trilinear" if of_videos else "bilinear", align_corners=False)
            return self.network((x - self.mean) / self.std)

    return Features()
