"""How frames are generated one after the other: of a load in training, and of a whole video at test time.

Videos are float [B, T, C, H, W]. What is carried from frame to frame is an argument and a result, never kept here.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.vid2vid_maps import foreground, pyramid
from models.vid2vid_networks import Frame
from models.vid2vid_temporal import FrameHistory


class Load(NamedTuple):
    """What is generated of T frames, at the finest resolution.

    Attributes:
        images: [B, T, 3, H, W] in [-1, 1].
        raw: the same, hallucinated alone; `images` itself where nothing is warped.
        flow: [B, T, 2, H, W] in pixels, to the frame before; None without flow.
        weight: [B, T, 1, H, W] in (0, 1), of `raw`; None without flow.
        carried: the last frames [B, tG-1, 3, h, w] of each resolution, the finest first, without gradient.
    """

    images: Tensor
    raw: Tensor
    flow: Tensor | None
    weight: Tensor | None
    carried: list[Tensor]

    @property
    def kinds(self) -> list[Tensor]:
        """What losses of images see: the frames, and as they are hallucinated where that is something else."""
        return [self.images] if self.raw is self.images else [self.images, self.raw]

    @property
    def counted(self) -> int:
        """How often their losses count: frames that are as they were hallucinated count as both."""
        return 2 // len(self.kinds)


def on_device_of(place: nn.Module | Tensor, values):
    """Tensors in nested lists, or frames, on the device of a network or of another tensor."""
    device = place.device if isinstance(place, Tensor) else next(place.buffers()).device
    if isinstance(values, Frame):
        return Frame(*(on_device_of(place, value) for value in values))
    if isinstance(values, list):
        return [on_device_of(place, value) for value in values]
    return values.to(device) if isinstance(values, Tensor) else values


class FrameGenerators(nn.Module):
    """The generators of all resolutions, from coarse to fine, as one network.

    Args:
        generators: from the coarsest to the finest.
        n_frames: maps that a frame is made from; one frame made before less.
        fg_labels: labels that are foreground, for generators that make it apart.
        recompute: keep no activations for the backward pass, but compute them again.
    """

    def __init__(self, generators: list[nn.Module], n_frames: int, fg_labels: list[int], recompute: bool = False):
        super().__init__()
        self.generators = nn.ModuleList(generators)
        self.n_frames, self.fg_labels, self.recompute = n_frames, fg_labels, recompute

    def frame(self, maps: list[Tensor], previous: list[Tensor], use_raw_only: bool = False,
              finest_only: bool = False) -> list[Frame]:
        """One frame at every resolution, the coarsest first.

        Args:
            maps: windows [B, n_frames, C, h, w] of encoded maps, the finest first.
            previous: frames before [B, n_frames - 1, 3, h, w], the finest first.
            use_raw_only: do not warp the frame before.
            finest_only: no gradient goes to coarser generators.
        """
        made: list[Frame] = []
        for level, generator in zip(reversed(range(len(self.generators))), self.generators):
            mask = foreground(maps[level][:, -1], self.fg_labels) if generator.fg else None
            arguments = (maps[level].flatten(1, 2), previous[level].flatten(1, 2), mask, made[-1] if made else None,
                         use_raw_only)
            with torch.set_grad_enabled(torch.is_grad_enabled() and not (finest_only and level)):
                if self.recompute and torch.is_grad_enabled():
                    made.append(checkpoint(generator, *arguments, use_reentrant=False))
                else:
                    made.append(generator(*arguments))
        return made

    def forward(self, maps: Tensor, previous: list[Tensor], n_frames_bp: int = 1, use_raw_only: bool = False,
                finest_only: bool = False, replicas: "list[FrameGenerators] | None" = None,
                per_replica: int = 1) -> Load:
        """Generate the frames of a load.

        Args:
            maps: encoded [B, T + n_frames - 1, C, H, W].
            previous: the frames before [B, n_frames - 1, 3, h, w], the finest first.
            n_frames_bp: gradients do not flow from one frame to the one before at multiples of this.
            use_raw_only: do not warp frames before.
            finest_only: train the finest generator alone.
            replicas: of this network, on several GPUs, which take their turns.
            per_replica: frames that each makes.
        """
        levels, n = pyramid(maps, len(self.generators)), self.n_frames
        videos = [list(frames.unbind(1)) for frames in previous]
        finest: list[Frame] = []
        for t in range(maps.shape[1] - n + 1):
            before = [torch.stack(frames[t:t + n - 1], 1) for frames in videos]
            if t % n_frames_bp == 0:
                before = [frames.detach() for frames in before]
            turn = replicas[t // per_replica] if replicas else self
            window, before = on_device_of(turn, [[level[:, t:t + n] for level in levels], before])
            made = on_device_of(maps, turn.frame(window, before, use_raw_only, finest_only))
            for frames, frame in zip(videos, reversed(made)):
                frames.append(frame.image)
            finest.append(made[-1])
        flows, weights = ([part for part in parts if part is not None]
                          for parts in ([f.flow for f in finest], [f.weight for f in finest]))
        images = torch.stack([f.image for f in finest], 1)
        raw = images if all(f.raw is f.image for f in finest) else torch.stack([f.raw for f in finest], 1)
        return Load(images, raw,
                    torch.stack(flows, 1) if flows else None, torch.stack(weights, 1) if weights else None,
                    [torch.stack(frames[1 - n:], 1).detach() for frames in videos])


def loads(frames: int, n_frames_G: int, frames_per_load: int) -> Iterator[tuple[int, int]]:
    """Where the loads of a clip of so many maps begin and end; the last one may be shorter."""
    for start in range(0, frames - n_frames_G + 1, frames_per_load):
        yield start, min(start + frames_per_load + n_frames_G - 1, frames)


class ClipState:
    """What is carried from load to load of a clip.

    Args:
        history: which frames discriminators see.

    Attributes:
        carried: the last frames that were made, of each resolution.
        kept: real frames, frames that were made, and flows, from the frame `oldest` on.
    """

    def __init__(self, history: FrameHistory):
        self.history = history
        self.carried: list[Tensor] = []
        self.kept: list[Tensor] | None = None
        self.oldest = 0

    def made_before(self, real_before: Tensor, made: Tensor) -> Tensor:
        """The frame before each of a load's that were made [B, T, 3, H, W], without gradient; of the clip's first the
        real one."""
        last = real_before[:, :1] if self.history.count == 0 else self.carried[0][:, -1:]
        return torch.cat([last, made[:, :-1].detach()], 1)

    def with_new(self, *videos: Tensor) -> list[Tensor]:
        """What is kept, with the videos of a load behind it."""
        return [torch.cat(pair, 1) for pair in zip(self.kept, videos)] if self.kept else list(videos)

    def go_on(self, load: Load, target: Tensor, flow: Tensor) -> None:
        """Keep what later loads need, without gradients."""
        videos = self.with_new(target, load.images.detach(), flow)
        drop = self.history.oldest - self.oldest
        self.kept, self.oldest, self.carried = [video[:, drop:] for video in videos], self.history.oldest, load.carried
