"""Who stands in front of whom: an order of layers for every frame from depth cues, steady over time.

Nothing here knows of files. Layers are indices from 0, frames count from 0.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

_SURE_DISTANCE = 0.03
"""Share of the frame's height by which feet must differ for the lower ones to be surely nearer."""
_OVERLAP_WEIGHT = 4.0
"""What hides what is seen, where the ground is only a guess (somebody may jump)."""
_FLIP = 0.2
"""Evidence against the order so far, in [0, 1], that it takes to change it."""
_FEWEST_PIXELS = 20


def orders_back_to_front(feet: np.ndarray, in_front: np.ndarray, steadiness: float) -> list[list[int]]:
    """Order the layers of all frames from back to front.

    For each pair of layers the evidence is averaged over time; the pair changes places only where it clearly says so.

    Args:
        feet: [F, L] how low in the picture each layer stands, 0 (top) to 1 (bottom); nan where it is not in the frame.
        in_front: [F, L, L] antisymmetric, in [-1, 1]: 1 where layer a is seen to occlude layer b; nan where the two do
            not overlap.
        steadiness: frames, the standard deviation of the average over time.

    Returns:
        for each frame the indices of all layers; who is not in a frame stays where he was.
    """
    frames, layers = feet.shape
    lower = np.clip((feet[:, :, None] - feet[:, None]) / _SURE_DISTANCE, -1, 1)
    overlap = ~np.isnan(in_front)
    weight = np.where(overlap, _OVERLAP_WEIGHT, ~np.isnan(lower))
    evidence = np.where(overlap, np.nan_to_num(in_front), np.nan_to_num(lower))
    total = gaussian_filter1d(weight, steadiness, axis=0, mode="nearest")
    evidence = gaussian_filter1d(weight * evidence, steadiness, axis=0, mode="nearest") / np.maximum(total, 1e-9)
    nearer = np.sign(evidence.sum(axis=0))
    clear = np.abs(evidence) > _FLIP
    first = clear.argmax(axis=0)
    nearer = np.where(clear.any(axis=0), np.sign(np.take_along_axis(evidence, first[None], axis=0)[0]), nearer)
    orders = []
    for frame in range(frames):
        nearer = np.where(clear[frame], np.sign(evidence[frame]), nearer)
        wins = nearer.sum(axis=1)
        orders.append(sorted(range(layers), key=lambda layer: (wins[layer], layer)))
    return orders


def occlusion(body: np.ndarray, mask: np.ndarray, other_body: np.ndarray, other_mask: np.ndarray) -> float:
    """Whether one person is seen to occlude another, from where both bodies must be and whose pixels are seen there.

    Args:
        body: bool [H, W], all of the body, as far as its pose tells, seen or hidden.
        mask: bool [H, W], what is seen of it.
        other_body: as `body`, of the other.
        other_mask: as `mask`, of the other.

    Returns:
        1: all of the overlap shows the first; -1: the other; nan where they do not overlap.
    """
    overlap = body & other_body
    ours, theirs = np.count_nonzero(overlap & mask & ~other_mask), np.count_nonzero(overlap & other_mask & ~mask)
    return (ours - theirs) / (ours + theirs) if ours + theirs >= _FEWEST_PIXELS else np.nan
