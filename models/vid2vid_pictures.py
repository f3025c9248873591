"""Pictures of what video-to-video synthesis sees and makes: uint8 arrays [H, W, 3] or [H, W], as published.

Values in [-1, 1] become bytes by truncation, not rounding: 0 is 127.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from models.vid2vid_generation import Load

_CITYSCAPES = {
    5: (111, 74, 0), 6: (81, 0, 81), 7: (128, 64, 128), 8: (244, 35, 232), 9: (250, 170, 160), 10: (230, 150, 140),
    11: (70, 70, 70), 12: (102, 102, 156), 13: (190, 153, 153), 14: (180, 165, 180), 15: (150, 100, 100),
    16: (150, 120, 90), 17: (153, 153, 153), 18: (153, 153, 153), 19: (250, 170, 30), 20: (220, 220, 0),
    21: (107, 142, 35), 22: (152, 251, 152), 23: (70, 130, 180), 24: (220, 20, 60), 25: (255, 0, 0), 26: (0, 0, 142),
    27: (0, 0, 70), 28: (0, 60, 100), 29: (0, 0, 90), 30: (0, 0, 110), 31: (0, 80, 100), 32: (0, 0, 230),
    33: (119, 11, 32), 34: (0, 0, 142)}
_TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def palette(label_nc: int) -> np.ndarray:
    """A colour for each label, uint8 [label_nc, 3]: Cityscapes' for 35 (ids) and 20 (train ids), else Pascal VOC's."""
    if label_nc == 35:
        return np.array([_CITYSCAPES.get(i, (0, 0, 0)) for i in range(35)], np.uint8)
    if label_nc == 20:
        return np.array([*(_CITYSCAPES[i] for i in _TRAIN_IDS), (0, 0, 0)], np.uint8)
    colours = np.zeros((label_nc, 3), np.uint8)
    for label in range(label_nc):
        for bit in range(8):
            for channel in range(3):
                colours[label, channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
    return colours


def image_bytes(image: Tensor) -> np.ndarray:
    """[3 or 1, H, W] in [-1, 1] as bytes; premultiplied RGBA [4, H, W] over grey."""
    image = (image + 1) / 2
    return _bytes(image[:3] + 0.5 * (1 - image[3:]) if len(image) == 4 else image)


def unit_bytes(image: Tensor) -> np.ndarray:
    """[3 or 1, H, W] in [0, 1] as bytes."""
    return _bytes(image)


def _bytes(image: Tensor) -> np.ndarray:
    pixels = (image.detach().float().cpu() * 255).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def label_picture(maps: Tensor, label_nc: int) -> np.ndarray:
    """The colours of labels [C, H, W], one-hot in the first channels."""
    return palette(label_nc)[maps[:label_nc].argmax(0).cpu().numpy()]


def flow_picture(flow: Tensor) -> np.ndarray:
    """A flow [2, H, W]: its direction as hue, its length from the least to the greatest as brightness."""
    x, y = flow.detach().float().cpu().numpy()
    length, angle = cv2.cartToPolar(x, y)
    hsv = np.full((*x.shape, 3), 255, np.uint8)
    hsv[..., 0] = angle * 180 / np.pi / 2
    hsv[..., 2] = cv2.normalize(length, np.empty_like(length), 0, 255, cv2.NORM_MINMAX)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def map_picture(maps: Tensor, opt, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """An encoded map [C, H, W] for people to look at.

    Args:
        maps: labels in the first channels, and edges of instances in the last with --use_instance; or DensePose and a
            skeleton (--dataset_mode pose, six channels); or any other, of which the first three channels are shown.
        opt: label_nc, use_instance, dataset_mode.
        box: of the face, which is drawn.
    """
    if opt.label_nc:
        picture = label_picture(maps, opt.label_nc)
        if opt.use_instance:
            picture[maps[-1].cpu().numpy() > 0] = 255
    elif opt.dataset_mode in ("pose", "dance"):
        picture = image_bytes(maps[:3]).copy()
        if len(maps) == 6:
            skeleton = image_bytes(maps[3:])
            picture = np.where((skeleton != 0).any(-1, keepdims=True), skeleton, picture)
    else:
        picture = unit_bytes(maps[:3 if len(maps) >= 3 else 1])
    if box is not None:
        top, bottom, left, right = box
        picture[[top, bottom], left:right] = 255
        picture[top:bottom, [left, right]] = 255
    return picture


def written_map(maps: Tensor, label_nc: int) -> np.ndarray:
    """A map as test.py writes it beside a frame: the colours of labels, or three channels, or else the first one."""
    if label_nc:
        return label_picture(maps, label_nc)
    return unit_bytes(maps if len(maps) == 3 else maps[:1])


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Bytes as a float image [3 or 1, H, W] in [-1, 1] that becomes the same bytes again."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / 127.5 - 1


def pictures(opt, maps: Tensor, first: Tensor, load: Load, real: Tensor, flow_ref: Tensor, sure: Tensor,
             box: tuple[int, int, int, int] | None) -> dict[str, Tensor]:
    """Pictures of the last frame of a load, of the first clip: label to image [3 or 1, H, W] in [-1, 1]."""
    made = {"input_image": map_picture(maps, opt, box), "fake_image": image_bytes(load.images[0, -1]),
            "fake_first_image": image_bytes(first), "fake_raw_image": image_bytes(load.raw[0, -1]),
            "real_image": image_bytes(real), "flow_ref": flow_picture(flow_ref), "conf_ref": unit_bytes(sure)}
    if load.flow is not None and load.weight is not None:
        made |= {"flow": flow_picture(load.flow[0, -1]), "weight": unit_bytes(load.weight[0, -1])}
    return {label: as_tensor(picture).expand(3, -1, -1) for label, picture in made.items()}
