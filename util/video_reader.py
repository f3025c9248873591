"""Video files, read frame by frame or by time in constant memory, and times of frames.

Seconds count from a file's first frame. Pixels are uint8 RGB [H, W, 3], upright: a rotation that the file asks for is
done. Sizes are (width, height).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from threading import Lock

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from util.clips import DEFAULT_FRAME_RATE
from util.errors import UserError

_STANDARD_RATES = [Fraction(rate) for rate in (12, 15, 16, 24, 25, 30, 48, 50, 60, 120, 240)]
_STANDARD_RATES += [Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120, 240)]
_STEADY = 0.25
_KEPT_FRAMES = 16
_TRUSTED, _ROUNDED = 0.005, 0.001
"""Relative errors: up to which a file's claim is believed, and up to which a rate is taken for a standard one."""


class VideoReader:
    """A video file.

    Args:
        path: of any format that FFmpeg reads.

    Attributes:
        path: the file.
        size: of the upright frames, in stored pixels.
        pixel_aspect: width over height of one pixel of the upright frames.
        rotation: degrees counterclockwise by which the stored frames are turned, a multiple of 90.
        color_range: "full" or "limited", which is also what a file means that does not say.
        nominal_rate: frames per second that the file claims; None if it does not.
        first_second: the first frame's time on the file's own clock, which its sound goes by.

    Raises:
        UserError: it is missing, not a video, or not a single frame can be decoded.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{self.path}: no such file; expected a video")
        with self._open() as container:
            stream = container.streams.video[0]
            try:
                first = next(container.decode(stream))
            except (StopIteration, av.FFmpegError):
                raise UserError(f"{self.path}: no frame in it can be decoded; expected a video. "
                                "Try to convert it: ffmpeg -i IN out.mp4") from None
            self.rotation = round(first.rotation / 90) * 90 % 360
            turned = self.rotation % 180 == 90
            self.size = (first.height, first.width) if turned else (first.width, first.height)
            aspect = stream.sample_aspect_ratio or Fraction(1)
            self.pixel_aspect = 1 / aspect if turned else aspect
            self.color_range = "full" if first.color_range == ColorRange.JPEG else "limited"
            self.nominal_rate = stream.average_rate
            self.first_second = first.time or 0.0

    def frames(self, start: float = 0.0) -> Iterator[tuple[float, np.ndarray]]:
        """Decode the frames from `start` on, or a little earlier: their seconds and pixels.

        Where a file is damaged, what can be decoded.
        """
        for seconds, frame in self._decoded(start):
            yield seconds, self._upright(frame)

    def times(self, end: float = np.inf) -> list[float]:
        """Seconds of all frames before `end`, strictly ascending."""
        times = []
        for seconds, _ in self._decoded():
            if seconds >= end:
                break
            times.append(seconds)
        return times

    def _open(self):
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, ValueError) as error:
            raise UserError(f"{self.path}: not readable as a video ({getattr(error, 'strerror', error)}); "
                            "expected a file that FFmpeg can read") from None
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            container.close()
            raise UserError(f"{self.path}: holds {kinds}, no video; expected a video file")
        return container

    def _decoded(self, start: float = 0.0) -> Iterator[tuple[float, av.VideoFrame]]:
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if start > 0:
                container.seek(int((self.first_second + start) * av.time_base))
            interval = float(1 / (self.nominal_rate or DEFAULT_FRAME_RATE))
            last = -interval
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except av.FFmpegError:
                    continue
                for frame in decoded:
                    seconds = last + interval if frame.time is None else frame.time - self.first_second
                    if seconds > last:  # a frame shown at the time of another is never seen
                        last = seconds
                        yield seconds, frame

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        # Older PyAV heeds how a frame's colours are coded only if both sides are given.
        picture = frame.reformat(format="rgb24", src_colorspace=frame.colorspace, dst_colorspace=Colorspace.ITU601)
        return np.ascontiguousarray(np.rot90(picture.to_ndarray(), self.rotation // 90))


class PicturesByTime:
    """The pictures of a video by time; may be used by several threads at once.

    Args:
        path: the video.
        change: what is done to each picture, uint8 RGB [H, W, 3], before it is kept.

    Raises:
        UserError: see `VideoReader`.
    """

    def __init__(self, path: Path, change: Callable[[np.ndarray], np.ndarray]):
        self._video, self._change, self._lock = VideoReader(path), change, Lock()
        self._kept: OrderedDict[float, np.ndarray] = OrderedDict()
        self._begin_at(0)

    def at(self, seconds: float) -> np.ndarray:
        """The picture that is shown at a time; beyond the video's end, the last one."""
        with self._lock:
            if seconds < min(self._kept) - 1e-6:
                self._begin_at(seconds)
            while max(self._kept) <= seconds + 1e-6 and self._next():
                pass
            return self._kept[max((time for time in self._kept if time <= seconds + 1e-6), default=min(self._kept))]

    def _begin_at(self, seconds: float) -> None:
        self._frames = self._video.frames(seconds)
        self._kept.clear()
        if not self._next():
            raise UserError(f"{self._video.path}: no picture at {seconds:.2f} seconds; make this video again")

    def _next(self) -> bool:
        seconds, pixels = next(self._frames, (0, None))
        if pixels is None:
            return False
        self._kept[seconds] = self._change(pixels)
        if len(self._kept) > _KEPT_FRAMES:
            self._kept.popitem(last=False)
        return True


def steady_rate(times: list[float], nominal: Fraction | None) -> tuple[Fraction, bool]:
    """Frame rate of a clip, as a fraction that is in use where one fits.

    Args:
        times: seconds of its frames, ascending, the first 0.
        nominal: frames per second that its file claims.

    Returns:
        frames per second, and whether all frames are in step with it, a quarter of an interval at most from their
        place. If not, the rate is that of the most usual interval (the median).
    """
    if len(times) < 2:
        return nominal or DEFAULT_FRAME_RATE, True
    mean = times[-1] / (len(times) - 1)
    steady = bool(np.abs(np.array(times) - mean * np.arange(len(times))).max() < _STEADY * mean)
    interval = mean if steady else float(np.median(np.diff(times)))
    claimed = nominal is not None and abs(nominal * interval - 1) < _TRUSTED
    rate = nominal if claimed else Fraction(1 / interval).limit_denominator(1001)
    standard = min(_STANDARD_RATES, key=lambda known: abs(known / rate - 1))
    return (standard if abs(standard / rate - 1) < _ROUNDED else rate), steady


def nearest_frames(times: list[float], rate: Fraction) -> list[int]:
    """Frames of a clip of varying rate to show at a steady one: for each instant the one nearest in time.

    Args:
        times: seconds of its frames, ascending, the first 0.
        rate: frames per second to show.

    Returns:
        index of a frame for the instants 0, 1 / rate, 2 / rate, ... up to the last frame.
    """
    seconds = np.array(times)
    instants = np.arange(int(round(times[-1] * rate)) + 1) / float(rate)
    after = np.searchsorted(seconds, instants).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    return np.where(instants - seconds[before] <= seconds[after] - instants, before, after).tolist()
