"""Alpha mattes: compositing, detail transfer and trimaps.

Images are float tensors in [-1, 1], colours straight (not premultiplied). `L` counts layers from back (0, the
background) to front. Nothing here knows about networks, files or options.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ENOUGH = 0.25
"""Of what is hidden must be in view for the whole to be made as bright and coloured as that is."""
FAINTEST = 4 / 255
"""Alpha up to which there is nothing."""


def opacity(layers: Tensor) -> Tensor:
    """Alpha of RGBA [..., 4, H, W] in [-1, 1] as opacity [..., 1, H, W] in [0, 1]."""
    return (layers[..., 3:4, :, :] + 1) / 2


def composite_over(layers: Tensor) -> Tensor:
    """Composite RGBA layers back to front.

    Args:
        layers: [B, L, 4, H, W] in [-1, 1], straight colour.

    Returns:
        [B, 4, H, W] in [-1, 1]. The back layer counts as opaque in colour. Channel 3 is blended like a colour, starting
        from the back layer's alpha: it is what the alpha regularizer sees, and it is *not* 1 - prod(1 - opacity).
    """
    composite = layers[:, 0]
    for layer in layers[:, 1:].unbind(1):
        alpha = opacity(layer)
        composite = layer * alpha + composite * (1 - alpha)
    return composite


def layers_from_mattes(background: Tensor, image: Tensor, people: Tensor, effects: Tensor,
                       hidden: Tensor | None = None) -> Tensor:
    """RGBA layers of known mattes: people look as in the frame, or, hidden, as around there; shadows are black.

    Reflections begin as black, too: their colours come with detail transfer.

    Args:
        background, image: [B, 3, H, W] in [-1, 1].
        people, effects: opacity [B, L, H, W] in [0, 1] of each layer's people and of their effects; the background's
            is not used.
        hidden: RGBA [B, L, 4, H, W] in [-1, 1], people as other frames show them where others are in front of them;
            alpha says where it is known. By how much it misses what is in view is continued into what is not.

    Returns:
        [B, L, 4, H, W] in [-1, 1], the first one opaque.
    """
    layers = torch.full((*people.shape[:2], 4, *people.shape[2:]), -1.0).to(background)
    layers[:, 0] = opaque(background)
    box = bounding_box(torch.maximum(people, effects)[:, 1:] > 0)  # elsewhere layers in front are empty
    alpha = union_alpha(people[box], effects[box])
    person, effect, view = people[:, 1:, None][box], effects[:, 1:, None][box], transmittance(alpha)
    colours = image[:, None][box].repeat(1, person.shape[1], 1, 1, 1)
    if (person * (1 - view)).any():  # never of the last layer, before which there is none
        copy = None if hidden is None else hidden[:, 1:-1][box]
        colours[:, :-1] = behind_others(colours[:, :-1], person[:, :-1], view[:, :-1], copy)
    colours = (colours + 1) * (person / (person + effect).clamp(min=1e-3)) - 1
    layers[:, 1:][box] = torch.cat((colours, 2 * alpha - 1), dim=2)
    return layers


def behind_others(image: Tensor, person: Tensor, view: Tensor, hidden: Tensor | None = None) -> Tensor:
    """Colours of people who are partly hidden: as the frame shows them, and where it does not, as `hidden` does or as
    they go on smoothly.

    Args:
        image: [B, N, 3, H, W] in [-1, 1], the same frame for each of N layers.
        person: opacity [B, N, 1, H, W] in [0, 1] of its people.
        view: [B, N, 1, H, W] in [0, 1], how far they are in view.
        hidden: [B, N, 4, H, W], as for `layers_from_mattes`.

    Returns:
        [B, N, 3, H, W].
    """
    seen, known = image, person * view
    if hidden is not None and (hidden[:, :, 3] > -1).any():
        copy, there = hidden[:, :, :3], opacity(hidden)
        missed = pull_push((seen - copy).flatten(0, 1), (known * there).flatten(0, 1)).unflatten(0, copy.shape[:2])
        behind = (1 - view) * person * there
        # From a few pixels, at edges of masks at that, it cannot be told for the whole person.
        enough = (known * there).sum(dim=(-1, -2), keepdim=True) / (ENOUGH * behind.sum(dim=(-1, -2), keepdim=True) + 1)
        missed = missed * enough.clamp(max=1)
        seen = (known * seen + behind * (copy + missed).clamp(-1, 1)) / (known + behind).clamp(min=1e-6)
        known = known + behind
    colours = pull_push(seen.flatten(0, 1), known.flatten(0, 1)).unflatten(0, seen.shape[:2])
    return image * view + colours * (1 - view)


def union_alpha(people: Tensor, effects: Tensor) -> Tensor:
    """Alpha [B, L - 1, 1, H, W] in [0, 1] of the layers in front, people and effects as for `layers_from_mattes`."""
    return 1 - (1 - people[:, 1:, None]) * (1 - effects[:, 1:, None])


def opaque(background: Tensor) -> Tensor:
    """RGBA [B, 4, H, W] of colours [B, 3, H, W]."""
    return torch.cat((background, torch.ones_like(background[:, :1])), dim=1)


def straight(image: Tensor) -> Tensor:
    """Premultiplied RGBA [B, 4, H, W] in [-1, 1] with straight colours."""
    colour, alpha = ((image.float() + 1) / 2).clamp(0, 1).split((3, 1), 1)
    alpha = torch.where(alpha > FAINTEST, alpha, torch.zeros_like(alpha))
    colour = torch.where(alpha > 0, (colour / alpha.clamp(min=FAINTEST)).clamp(max=1), torch.zeros_like(colour))
    return torch.cat([colour, alpha], 1) * 2 - 1


def pull_push(colours: Tensor, known: Tensor) -> Tensor:
    """Fill in colours smoothly where they are not known: pull-push (Gortler et al., "The Lumigraph", 1996).

    Args:
        colours: [B, 3, H, W].
        known: [B, 1, H, W] in [0, 1].
    """
    height, width = colours.shape[-2:]
    if min(height, width) < 2:
        weight = known.sum(dim=(2, 3), keepdim=True)
        coarse = (colours * known).sum(dim=(2, 3), keepdim=True) / weight.clamp(min=1e-6)
    else:
        weight = halved(known)
        coarse = pull_push(halved(colours * known) / weight.clamp(min=1e-6), (4 * weight).clamp(max=1))
        channels = coarse.flatten(0, 1)[:, None]  # one by one, which torch does in half the time of three together
        coarse = F.interpolate(channels, size=(height, width), mode="bilinear", align_corners=False).view_as(colours)
    return known * colours + (1 - known) * coarse


def halved(pictures: Tensor) -> Tensor:
    """Means of four pixels, [B, C, ceil(H / 2), ceil(W / 2)]; at an odd edge of those that there are."""
    if pictures.shape[-2] % 2 or pictures.shape[-1] % 2:
        return F.avg_pool2d(pictures, 2, ceil_mode=True)
    # The sum that torch's pooling makes, in a fourth of its time.
    upper, lower = pictures[..., ::2, :], pictures[..., 1::2, :]
    return (upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2]) / 4


def transfer_detail(layers: Tensor, target: Tensor, reconstruction: Tensor) -> Tensor:
    """Give every layer in front of the background its visible share of what the reconstruction missed.

    rgb_l += T_l * residual, where T_l is the transmittance of the layers in front of l (section 3.3 of the paper:
    high-frequency detail that the network did not learn). The background takes none, so that what it
    shows behind people stays clean; its alpha becomes 1.

    Args:
        layers: [B, L, 4, H, W] in [-1, 1].
        target: [B, 3, H, W], the frame.
        reconstruction: [B, 3 or 4, H, W], the composite of `layers`.

    Returns:
        [B, L, 4, H, W], colours clamped to [-1, 1].
    """
    residual = (target - reconstruction[:, :3])[:, None]
    detailed = layers.clone()
    detailed[:, 1:, :3] = (layers[:, 1:, :3] + transmittance_in_front(layers) * residual).clamp(-1, 1)
    detailed[:, 0, 3] = 1
    return detailed


def share_detail(layers: Tensor, target: Tensor, rounds: int = 4) -> Tensor:
    """Change the colours of the layers in front of the background as little as it takes to explain the frame.

    A layer of visibility w_l = T_l alpha_l changes the composite by w_l times its own change, so the least-squares
    change is residual * w_l / sum w^2: unlike `transfer_detail`, it is exact wherever colours in range can be, also
    where a layer is faint. The background takes none.

    Args:
        layers: [B, L, 4, H, W] in [-1, 1].
        target: [B, 3, H, W], the frame.
        rounds: repetitions, for what was clamped in one layer to go to another.

    Returns:
        [B, L, 4, H, W], colours clamped to [-1, 1].
    """
    detailed = layers.clone()
    detailed[:, 1:, :3].clamp_(-1, 1)
    detailed[:, 0, 3] = 1
    box = bounding_box(layers[:, 1:, 3] > -1)
    background, colours, target = layers[:, 0, :3][box], layers[:, 1:, :3][box], target[box]
    alpha, visibility = opacity(layers[:, 1:][box]), visibilities(layers[box])
    share, through = visibility / (visibility ** 2).sum(dim=1, keepdim=True).clamp(min=1e-4), 1 - alpha
    for _ in range(rounds):
        composite = background
        for place in range(colours.shape[1]):
            composite = torch.addcmul(composite * through[:, place], colours[:, place], alpha[:, place])
        colours = torch.addcmul(colours, (target - composite)[:, None], share).clamp_(-1, 1)
    detailed[:, 1:, :3][box] = colours
    return detailed


def bounding_box(where: Tensor) -> tuple:
    """The index that cuts the box out of pictures [..., H, W] that holds all of bool [..., H, W]; all where it holds
    nothing."""
    rows, columns = (where.flatten(0, -3).any(dim=0).any(dim=dim).nonzero()[:, 0] for dim in (1, 0))
    if not len(rows):
        return (...,)
    return ..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def visibilities(layers: Tensor) -> Tensor:
    """How much of each layer in front of the background is seen, [B, L - 1, 1, H, W] in [0, 1]: T_l alpha_l."""
    alpha = opacity(layers[:, 1:])
    return alpha * transmittance_in_front(layers)


def transmittance_in_front(layers: Tensor) -> Tensor:
    """`transmittance`, [B, L - 1, 1, H, W], of RGBA layers [B, L, 4, H, W] in [-1, 1]."""
    return transmittance(opacity(layers[:, 1:]))


def transmittance(alpha: Tensor) -> Tensor:
    """How far each layer is in view: T_l, the product of 1 - alpha over the layers in front of it.

    Args:
        alpha: [B, L - 1, 1, H, W] in [0, 1], of the layers in front of the background.

    Returns:
        [B, L - 1, 1, H, W] in [0, 1]; 1 is an open view, as that of the frontmost layer.
    """
    through = [torch.ones_like(alpha[:, :1])]
    for i in range(alpha.shape[1] - 1, 0, -1):
        through.append(through[-1] * (1 - alpha[:, i:i + 1]))
    return torch.cat(through[::-1], dim=1)


def trimap(person: np.ndarray, width: int) -> np.ndarray:
    """Known foreground, known background and the band between.

    Args:
        person: bool [H, W], true on the person.
        width: side in pixels of the square that the background is eroded with.

    Returns:
        float32 [H, W]: +1 on the person, -1 on the eroded background, 0 (unknown) between.
    """
    background: np.ndarray = (~person).astype(np.uint8)
    if width > 0:
        background = cv2.erode(background, np.ones((width, width), np.uint8))
    return person.astype(np.float32) - background


def over_checkerboard(image: Tensor, cell: int = 16) -> Tensor:
    """RGBA [..., 4, H, W] in [-1, 1] to RGB [..., 3, H, W] over a grey checkerboard of `cell` pixels."""
    height, width = image.shape[-2:]
    rows = torch.arange(height, device=image.device)[:, None] // cell
    columns = torch.arange(width, device=image.device)[None] // cell
    board = torch.where((rows + columns) % 2 == 0, 0.2, -0.2)
    return torch.lerp(board, image[..., :3, :, :], opacity(image))
