"""What training costs: memory and time from sizes alone.

Counted with torch's flop counter and saved-tensor hooks on the published network (64 filters, 448x256): 74.2 GFLOP and
140 MiB of activations per frame and layer in phase 1; 125 GFLOP and 240 MiB in phase 2, which works on 256x256 crops
of the doubled frame. Work grows with the square of the filters, activations with the filters. Speed was measured on
two CPU cores: 190 GFLOP/s in phase 1, 97 in phase 2.
"""

from models.base_model import Cost

CPU_GFLOPS = (190.0, 97.0)
"""Two cores, phase 1 and 2."""
_PIXELS, _FILTERS, _CROP_PIXELS = 448 * 256, 64, 256 * 256
_LAYERS_GFLOP, _UPSAMPLING_GFLOP, _FROZEN_GFLOP = 74.2, 100.7, 24.7
_LAYERS_MIB, _UPSAMPLING_MIB, _PARAMETERS_MIB = 140.0, 240.0, 42.0
_COPIES_OF_PARAMETERS = 4
"""Themselves, their gradients, and Adam's two moments."""


def process_gib(cost: Cost) -> float:
    """Memory of the whole process, in GiB, where `cost.gib` is that of a batch.

    It is what docs/layered_video/performance.md measured on the CPU, from 2 to 8 layers.
    """
    return 0.5 + 1.4 * cost.gib


def training_cost(size: tuple[int, int], layers: int, frames: int, batches: tuple[int, int],
                  filters: int = _FILTERS) -> tuple[Cost, Cost]:
    """The cost of both phases.

    Args:
        size: (width, height) of the low-resolution frames.
        layers: with the background.
        frames: of the clip.
        batches: batch size of each phase; never more than there are frames.
        filters: of the network.
    """
    pixels, width = size[0] * size[1] / _PIXELS, filters / _FILTERS
    crop = min(1.0, 4 * size[0] * size[1] / _CROP_PIXELS)
    gflop = (_LAYERS_GFLOP * pixels, _FROZEN_GFLOP * pixels + _UPSAMPLING_GFLOP * crop)
    mib = (_LAYERS_MIB * pixels, _UPSAMPLING_MIB * crop)
    parameters = _COPIES_OF_PARAMETERS * _PARAMETERS_MIB * width ** 2
    of_layers, of_upsampling = (Cost(frames * layers * work * width ** 2 / 1000,
                                     (min(batch, frames) * layers * held * width + parameters) / 1024,
                                     frames * layers * work * width ** 2 / speed)
                                for work, held, batch, speed in zip(gflop, mib, batches, CPU_GFLOPS))
    return of_layers, of_upsampling
