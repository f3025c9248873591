"""Mattes in videos: one person or thing in each, as alpha where the video has it, else white on black.

A matte is matched with the clip frame by frame where it has as many frames or the rate of the clip's source, else by
time.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from data.masks import HALF
from util.errors import UserError
from util.video_reader import VideoReader, steady_rate

_SAME_RATE = 0.005
_TINT, _MOST_TINTED = 60, 0.02
"""A pixel is coloured whose channels differ by more levels than the first; more than that share, and it is no matte."""
_LOOKED_AT = 40
"""Frames that are looked at for colour and brightness."""


class MatteVideo(NamedTuple):
    """A video of mattes.

    Attributes:
        path: the file.
        times: seconds of its frames.
        rate: frames per second.
        has_alpha: it has an alpha channel that is not 255 everywhere: that is the matte.
        threshold: without alpha, the level above which a pixel is the person: compression leaves grey.
    """

    path: Path
    times: list[float]
    rate: Fraction
    has_alpha: bool
    threshold: int

    def frames(self, places: list[int]) -> Iterator[np.ndarray]:
        """Mattes, uint8 [H, W], at ascending places, some of which may be equal."""
        wanted = iter(places)
        place = next(wanted)
        for index, (_, pixels) in enumerate(VideoReader(self.path).frames(alpha=self.has_alpha)):
            while place == index:
                yield pixels[..., 3] if self.has_alpha else np.where(
                    pixels.mean(axis=-1) > self.threshold, np.uint8(255), np.uint8(0))
                place = next(wanted, -1)


def opened(path: Path) -> MatteVideo:
    """Look at a video of mattes.

    Raises:
        UserError: it is not a video, shows colours, or is too dark for white to be told from black.
    """
    video = VideoReader(path)
    times = video.times()
    rate = steady_rate(times, video.nominal_rate)[0]
    step = max(1, len(times) // _LOOKED_AT)
    levels, tinted = np.zeros(256, bool), []
    for index, (_, pixels) in enumerate(video.frames(alpha=True)):
        if (pixels[..., 3] < 255).any():
            return MatteVideo(path, times, rate, True, HALF)
        if index % step == 0:
            tinted.append((np.ptp(cv2.blur(pixels[..., :3], (3, 3)).astype(int), axis=-1) > _TINT).mean())
            levels[np.unique(pixels[..., :3])] = True
    brightest, darkest = np.flatnonzero(levels)[[-1, 0]]
    if np.mean(tinted) > _MOST_TINTED:
        raise UserError(f"{path}: a colour video ({np.mean(tinted):.0%} of it is coloured), without alpha; expected "
                        "white where the person is, black elsewhere. Give the matte (of RVM and MatAnyone, the file "
                        "that is named pha), or a format with alpha (ProRes 4444)")
    if brightest > HALF or not levels[1:].any():
        return MatteVideo(path, times, rate, False, HALF)
    if np.count_nonzero(levels) == 2:
        return MatteVideo(path, times, rate, False, int(darkest))
    raise UserError(f"{path}: its brightest level is {brightest} of 255; expected white where the person is. Export it "
                    "with white at 255")


def places_in(video: MatteVideo, count: int, source: dict, clip_rate: Fraction) -> tuple[list[int], str]:
    """Which frame of a matte video stands for each frame of the clip.

    Args:
        video: of mattes.
        count: frames of the clip.
        source: metadata.json's entry on the clip's source: the index of each frame in it, and the clip's first second.
        clip_rate: frames per second of the clip.

    Returns:
        ascending places, and in words how they were found, where it was not frame by frame.

    Raises:
        UserError: neither the frames nor the times fit.
    """
    if len(video.times) == count:
        return list(range(count)), ""
    indices = source.get("frames", [])
    steps = np.diff(indices)
    step = (round(float(np.median(steps))) or 1) if len(steps) else 1
    beyond = len(video.times) - max(indices, default=0)
    if indices and (0 < beyond <= step or (beyond > 0 and abs(video.rate / (clip_rate * step) - 1) < _SAME_RATE)):
        return list(indices), ""
    ends = len(video.times) / float(video.rate)
    seconds = np.arange(count) / float(clip_rate)
    whole = float(source.get("first_second", 0)) + seconds
    half = 0.5 / float(video.rate)
    for when in (seconds, whole):
        length = when[-1] + 1 / float(clip_rate)
        if abs(ends - length) < 2 * half + 0.5 / float(clip_rate) or (when is whole and ends > length):
            times = np.array(video.times)
            after = np.searchsorted(times, when - half).clip(0, len(times) - 1)
            nearest = np.where(np.abs(times[after] - when) <= np.abs(times[(after + 1).clip(0, len(times) - 1)] - when),
                               after, (after + 1).clip(0, len(times) - 1))
            return nearest.tolist(), (f"{float(video.rate):.5g} frames per second matched by time with the clip's "
                                      f"{float(clip_rate):.5g}")
    raise UserError(f"{video.path}: {len(video.times)} frames, {ends:.2f} s at {float(video.rate):.5g} per second; "
                    f"expected one for each of the {count} frames of the clip, or a matte of the whole video it comes "
                    f"from (the clip ends at {whole[-1] + 1 / float(clip_rate):.2f} s). Export the matte at the "
                    "video's own frame rate")
