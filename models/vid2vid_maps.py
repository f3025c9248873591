"""Input maps of video-to-video synthesis: labels, instances, foreground, resolutions, and where the face is.

Videos are float [B, T, C, H, W]. Nothing here knows about networks.
"""

import torch
from torch import Tensor

from models.vid2vid_blocks import halved
from util.errors import UserError

HEAD = 0.9
"""A DensePose map's third channel is 2 part / 24 - 1: above this it is the head (parts 23 and 24)."""
NOSE_TO_NECK = ((0.19, 0.21), (-1.01, -0.99), (-0.61, -0.59))
"""The colour of the bar from nose to neck in a drawn skeleton, (153, 0, 51), in [-1, 1]: the range of each channel."""


def one_hot(labels: Tensor, label_nc: int) -> Tensor:
    """Labels [B, T, 1, H, W], whole numbers below `label_nc`, to [B, T, label_nc, H, W] of zeros and ones."""
    volume = labels.new_zeros(*labels.shape[:2], label_nc, *labels.shape[3:])
    return volume.scatter_(2, labels.long(), 1)


def instance_edges(instances: Tensor) -> Tensor:
    """1 where the instance's number is another one to the left, right, above or below: [..., H, W], any numbers."""
    edges = torch.zeros(instances.shape, dtype=torch.bool, device=instances.device)
    across = instances[..., 1:] != instances[..., :-1]
    down = instances[..., 1:, :] != instances[..., :-1, :]
    edges[..., 1:] |= across
    edges[..., :-1] |= across
    edges[..., 1:, :] |= down
    edges[..., :-1, :] |= down
    return edges


def encoded(maps: Tensor, instances: Tensor | None, label_nc: int) -> Tensor:
    """Maps as generators see them.

    Args:
        maps: [B, T, C, H, W]; labels [B, T, 1, H, W] where there are `label_nc` of them, otherwise taken as they are.
        instances: numbers [B, T, 1, H, W], whose edges become the last channel; None: there are none.
        label_nc: number of labels, 0 without.
    """
    channels = [one_hot(maps, label_nc) if label_nc else maps]
    if instances is not None:
        channels.append(instance_edges(instances).to(maps.dtype))
    return torch.cat(channels, dim=2)


def foreground(maps: Tensor, labels: list[int]) -> Tensor:
    """Where an encoded map [B, C, H, W] has one of the labels: [B, 1, H, W] in [0, 1]; soft at lower resolutions."""
    return maps[:, labels].sum(1, keepdim=True).clamp(0, 1)


def pyramid(video: Tensor, levels: int) -> list[Tensor]:
    """A video at several resolutions, the finest first, each half of the one before."""
    made = [video]
    for _ in range(levels - 1):
        frames = halved(made[-1].flatten(0, 1))
        made.append(frames.unflatten(0, video.shape[:2]))
    return made


def face_box(maps: Tensor, fine_size: int, skeleton: bool = False) -> tuple[int, int, int, int] | None:
    """A square around the head in all maps together.

    Args:
        maps: [N, C, H, W] in [-1, 1], DensePose in the first three channels.
        fine_size: --fine_size; the square's side is a quarter of it, rounded down to a multiple of 8.
        skeleton: maps are drawn skeletons instead.

    Returns:
        (top, bottom, left, right) in pixels, without the last row and column; None where there is no head.
    """
    if skeleton:
        inside = torch.stack([(low < maps[:, i]) & (maps[:, i] < high) for i, (low, high) in enumerate(NOSE_TO_NECK)])
        head = inside.all(0)
    else:
        head = maps[:, 2] > HEAD
    _, rows, columns = head.nonzero(as_tuple=True)
    if not len(rows):
        return None
    half = fine_size // 32 * 8 // 2
    y, x = (max(half, min(size - 1 - half, (int(place.min()) + int(place.max())) // 2))
            for place, size in ((rows, maps.shape[2]), (columns, maps.shape[3])))
    return y - half, y + half, x - half, x + half


def check_clip(batch: dict, opt) -> None:
    """See that a batch is what the options say.

    Raises:
        UserError: labels are too large, channels or sizes do not fit, or there are too few frames.
    """
    where = f"{batch['image_path'][0]}: " if "image_path" in batch else ""
    maps = batch["A"]
    frames, channels, height, width = maps.shape[1:]
    if frames < opt.n_frames_G:
        raise UserError(f"{where}found a clip of {frames} frames; expected at least --n_frames_G {opt.n_frames_G}")
    if channels != (1 if opt.label_nc else opt.input_nc):
        raise UserError(f"{where}found maps of {channels} channels; expected "
                        + ("label maps, of 1 channel" if opt.label_nc else f"--input_nc {opt.input_nc}"))
    if opt.label_nc and not 0 <= float(maps.min()) <= float(maps.max()) < opt.label_nc:
        raise UserError(f"{where}found label {maps.max():g}; expected labels below --label_nc {opt.label_nc}")
    unit = 2**(opt.n_scales_spatial - 1 + opt.n_downsample_G)
    if height % unit or width % unit:
        raise UserError(f"{where}found frames of {width}x{height} pixels; expected multiples of {unit} with "
                        f"--n_scales_spatial {opt.n_scales_spatial} and --n_downsample_G {opt.n_downsample_G}. Give "
                        "another --loadSize or --resize_or_crop")
    if opt.use_instance and "inst" not in batch:
        raise UserError(f"{where}found no instances; expected them with --use_instance")
