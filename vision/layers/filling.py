"""What people hide of a background that moves, filled from the frames around.

A background that is made once for a whole clip stands still. Here each frame keeps what it shows itself, and what is
hidden in it is taken from frames in which it is open: leaves go on swaying, and the grain of the film is alive.
Pictures are uint8 [H, W, 3]. Nothing here knows files, options or networks.
"""

from collections.abc import Callable, Iterable

import cv2
import numpy as np

FEATHER = 1.5  # pixels of blur of the seam between what a frame shows and what is filled
Shown = tuple[np.ndarray, np.ndarray]
"""A picture, and where it shows the background: bool [H, W]."""


def filled_from_frames(frame: int, length: int, picture: np.ndarray, hidden: np.ndarray,
                       other: Callable[[int], Shown], distances: Iterable[int]) -> Shown:
    """What a frame would show without those who hide something in it.

    A hidden pixel goes on as it was before it was hidden, in mirrored time, or as it will be after that, whichever is
    nearer: so it neither freezes nor jumps.

    Args:
        frame: its number, from 0.
        length: of the clip.
        picture: the frame.
        hidden: bool [H, W], what is to be filled.
        other: another frame as this frame's camera sees it, and where it shows the background.
        distances: how far to look, in frames, in rising order.

    Returns:
        the picture, and what of `hidden` is still open to a guess.
    """
    filled, left = picture.copy(), hidden.copy()
    nearest = np.zeros(hidden.shape, int)  # frames to where it is seen first, in the past negative
    for distance in distances:
        for offset in (-distance, distance):
            if not left.any() or not 0 <= frame + offset < length:
                continue
            shown, is_open = other(frame + offset)
            new = left & (nearest == 0) & is_open
            nearest[new] = offset
            mirrored = left & is_open & (2 * nearest == offset)
            # Where time cannot be mirrored, two frames in turn: one alone would be a frozen patch in living grain.
            second = left & is_open & (nearest != 0) & (offset == nearest + np.sign(nearest)) & (frame % 2 == 1)
            take = new | mirrored | second
            filled[take] = shown[take]
            left &= ~mirrored
        if not (left & ((nearest == 0) | (2 * np.abs(nearest) > distance))).any():
            break
    unknown = hidden & (nearest == 0)
    weight = cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), FEATHER)[..., None]
    weight = np.where(hidden[..., None], np.maximum(weight, 0.5), 0)  # what is hidden leaks in nowhere
    core = cv2.erode(hidden.astype(np.uint8), np.ones((5, 5), np.uint8))[..., None] > 0
    blended = np.where(core, filled, filled * weight + picture * (1 - weight))
    return blended.round().astype(np.uint8), unknown


def exposed_alike(picture: np.ndarray, is_open: np.ndarray, other: Shown) -> Shown:
    """Another picture as bright as this one, by what both show."""
    both = is_open & other[1]
    if not both.any():
        return other
    gain = max(float(picture[both].mean()), 1.0) / max(float(other[0][both].mean()), 1.0)
    return (other[0] * np.float32(gain)).clip(0, 255).round().astype(np.uint8), other[1]
