"""An actor as a layer of a clip: with the shadow of her pose, over the clip's background, beside its other layers."""

import torch
from torch import Tensor

from models.base_model import Export
from vision.layers.mattes import composite_over, opaque, straight


def exported_layers(batch: dict, seen: dict[str, Tensor], background: Tensor) -> Export:
    """What test.py writes of a frame: all layers as of a clip, to be retimed; and the frame.

    Args:
        batch: `plate` [1, 3, H, W] in [-1, 1]; `shadow` [1, 1, H, W] in [0, 1], what it takes of the light; `others`
            [1, N, 4, H, W], straight RGBA in [-1, 1]; their `other_numbers` [1, N], `own_number` [1]; `image_path`.
        seen: `colour` [3, H, W] in [-1, 1] of the actor in front of `background`, `missed` [1, H, W] of that.
        background: [3] in [-1, 1].
    """
    plate, shadow, missed = batch["plate"], batch["shadow"][0], seen["missed"]
    colour = ((seen["colour"] + 1) / 2 - missed * (background.view(3, 1, 1) + 1) / 2).clamp(min=0)
    alpha = 1 - missed * (1 - shadow)  # she is over her shadow, which is black
    own = straight(torch.cat((torch.minimum(colour, alpha), alpha))[None] * 2 - 1)
    layers = {int(batch["own_number"][0]): own}
    layers |= {int(number): layer[None] for number, layer in zip(batch["other_numbers"][0], batch["others"][0])}
    numbers = sorted(layers)
    frame = composite_over(torch.stack([opaque(plate), *(layers[number] for number in numbers)], 1))[:, :3]
    stem = batch["image_path"][0].rpartition("/")[2].rpartition(".")[0]
    return Export(images={"rgba_l0": plate, **{f"rgba_l{number}": layers[number] for number in numbers}},
                  files={f"rgb_256/{stem}.png": frame}, video_frames={"frames": frame},
                  captions={"frames": "The actor in her clip.", "rgba_l0": "Layer 0: the background.",
                            f"rgba_l{numbers[0]}": f"Layer {numbers[0]}."} | {
                                f"rgba_l{batch['own_number'][0]}": "The actor, with the shadow of her pose."})
