"""Video-to-video synthesis in time: how loads grow with the epoch, and which frames a temporal discriminator sees.

A clip is generated in loads of some frames each. Frames are numbered from 0 through all loads of a clip; only numbers
are dealt with here, no pictures.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple


class Growth(NamedTuple):
    """What grows with the epoch.

    Attributes:
        n_frames_bp: frames of a load that gradients flow back through.
        frames_per_gpu: frames of a load that one GPU generates.
        frames_per_load: frames of a load.
    """

    n_frames_bp: int
    frames_per_gpu: int
    frames_per_load: int


def growth(opt, gpus: int, epoch: int) -> Growth:
    """Gradients and loads as they are in an epoch, from 1; after every --niter_step epochs they grow.

    Args:
        opt: n_frames_total, niter_step, max_frames_per_gpu, max_frames_backpropagate.
        gpus: that share the frames of a load.
        epoch: from 1.
    """
    n_frames_bp = 1
    frames_per_gpu = max(1, min(opt.max_frames_per_gpu, opt.n_frames_total // gpus))
    for ratio in range(1, (epoch - 1) // opt.niter_step + 1):
        load = gpus * frames_per_gpu
        if n_frames_bp < load:
            wanted = min(opt.max_frames_backpropagate, 2**min(ratio, 30))
            n_frames_bp = load // math.ceil(load / wanted)
        frames_per_gpu = min(2 * frames_per_gpu, max(opt.max_frames_per_gpu, frames_per_gpu))
    return Growth(n_frames_bp, frames_per_gpu, gpus * frames_per_gpu)


@dataclass
class FrameHistory:
    """Which frames the temporal discriminators see after each load of a clip.

    Attributes:
        n_frames: that a discriminator sees at a time.
        n_scales: discriminators; frames of the one for scale k are n_frames^k apart.
        sparse: every frame is seen once, on a grid that all loads share; otherwise groups end at the newest frame.
        count: frames so far.
        collected: by scale, the frames that wait for a group (`sparse`).
    """

    n_frames: int
    n_scales: int
    sparse: bool = False
    count: int = 0
    collected: list[list[int]] = field(default_factory=list)

    def add(self, frames: int) -> list[list[list[int]]]:
        """Add the frames of a load.

        Returns:
            by scale, groups of `n_frames` numbers of frames, oldest first in each; no groups where there are too few.
        """
        first, self.count = self.count, self.count + frames
        if not self.sparse:
            return [self._newest(k, first) for k in range(self.n_scales)]
        self.collected = self.collected or [[] for _ in range(self.n_scales)]
        return [self._collect(k, first) for k in range(self.n_scales)]

    @property
    def oldest(self) -> int:
        """The oldest frame that a later group may need."""
        if self.sparse:
            return min([self.count, *(number for numbers in self.collected for number in numbers)])
        return max(0, self.count - self._kept)

    @property
    def _kept(self) -> int:
        return self.n_frames**(self.n_scales - 1) * (self.n_frames - 1) if self.n_scales else 0

    def _newest(self, scale: int, first: int) -> list[list[int]]:
        spacing = self.n_frames**scale
        span = spacing * (self.n_frames - 1)
        usable = min(self.count - max(0, first - self._kept) - span, self.count - first)
        return [[self.count - 1 - end - span + spacing * i for i in range(self.n_frames)]
                for end in range(0, usable, self.n_frames)]

    def _collect(self, scale: int, first: int) -> list[list[int]]:
        n, numbers = self.n_frames, self.collected[scale]
        numbers += [i for i in range(first, self.count) if i % n**scale == 0]
        if len(numbers) < n:
            return []
        used = numbers[len(numbers) % n:]
        self.collected[scale] = used[1 - n:] if n > 1 else []
        return [used[i:i + n] for i in range(0, len(used), n)]
