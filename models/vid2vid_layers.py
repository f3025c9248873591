"""Frames that are layers: a person with her shadow, premultiplied RGBA, over a scene that stands still."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.base_model import Export
from vision.geometry.warp import warp
from vision.layers.mattes import composite_over, opaque, straight

PERSON, EMPTY = 0.7, 0.02
"""Alpha from which on a layer shows a person, and not her shadow; and up to which it shows nothing."""
KEPT = 2 / 3
"""How much of a shadow is that of the frame before: docs/vid2vid/dance.md, where other values were tried."""


def kinds_of_layer(layers: Tensor) -> Tensor:
    """What layers [..., 4, H, W] in [-1, 1] show: person, shadow, or nothing; bool [..., 3, H, W]."""
    alpha = (layers[..., 3:, :, :] + 1) / 2
    return torch.cat([alpha > PERSON, (alpha <= PERSON) & (alpha > EMPTY), alpha <= EMPTY], -3)


def steadied(layer: Tensor, before: Tensor) -> Tensor:
    """The layer, with a shadow that does not jump in poses that the network never saw.

    A shadow on the ground is soft and follows the person: beside her, it is mixed with that of the frame before, which
    is moved as the middle of her matte moved. What she covers now, or covered then, is as it was made.

    Args:
        layer: [1, 4, H, W] in [-1, 1], premultiplied.
        before: the same of the frame before, as it was returned; people of both are alpha above `PERSON`.
    """
    layer, before = layer.float(), before.float()
    people = [(one[:, 3:] + 1) / 2 > PERSON for one in (layer, before)]
    if not all(one.any() for one in people):
        return layer
    now, then = (torch.stack([one.nonzero()[:, axis].float().mean() for axis in (3, 2)]) for one in people)
    flow = (then - now)[None, :, None, None].expand(1, 2, *layer.shape[-2:])
    covered, uncovered = (F.max_pool2d(one.float(), 3, 1, 1) for one in people)  # edges of mattes are soft
    beside = covered + warp(uncovered, flow) < 0.01
    return torch.where(beside, KEPT * warp(before, flow) + (1 - KEPT) * layer, layer)


def exported_layer(batch: dict, image: Tensor, picture: Tensor, stem: str, is_first: bool) -> Export:
    """What test.py writes of a frame: background and layer as of a clip, to be retimed; the frame; and the maps.

    Args:
        batch: plate [1, 3, H, W] in [-1, 1]; box [1, 4], left, top, right, bottom of its part that was made; metadata
            and pose, the texts of their files.
        image: [1, 4, h, w] of that part, premultiplied.
        picture: [1, C, h, w], its map.
        stem: name of the frame.
        is_first: of its sequence.
    """
    plate = batch["plate"]
    left, top, right, bottom = batch["box"][0].tolist()
    around = left, plate.shape[-1] - right, top, plate.shape[-2] - bottom
    layer = F.pad(straight(image), around, value=-1)
    frame = composite_over(torch.stack([opaque(plate), layer], 1))[:, :3]
    files: dict = {f"rgb_256/{stem}.png": frame, f"openpose/{stem}_keypoints.json": batch["pose"][0]}
    if is_first:
        files["metadata.json"] = batch["metadata"][0]
    return Export(images={"rgba_l0": plate, "rgba_l1": layer}, files=files,
                  video_frames={"real_A": F.pad(picture, around, value=-1), "fake_B": frame},
                  captions={"real_A": "The poses.", "fake_B": "The frames that are made.",
                            "rgba_l0": "Layer 0: the background.",
                            "rgba_l1": "Layer 1: the person as she is made, with her shadow."})
