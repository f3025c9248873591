"""Video files, read frame by frame or by time in constant memory, and times of frames.

Seconds count from a file's first frame. Pixels are uint8 RGB [H, W, 3] (uint16 where that is asked for) as a player
shows them: progressive, upright, square, as sRGB. What had to be done for that, `VideoReader.facts` and
`VideoReader.survey` tell. Sizes are (width, height).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from threading import Lock

import av
import cv2
import numpy as np
from av.filter import Graph
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace

from util.clips import DEFAULT_FRAME_RATE
from util.colour import LINEAR, must_be_converted, to_srgb
from util.errors import UserError
from util.media import (
    READABLE_MATRICES,
    UNSPECIFIED,
    Survey,
    VideoFacts,
    assumed_matrix,
    exr_primaries,
    is_combed,
    log_curve,
    opened_media,
    orientation,
    remarks,
)

_STANDARD_RATES = [Fraction(rate) for rate in (12, 15, 16, 24, 25, 30, 48, 50, 60, 120, 240)]
_STANDARD_RATES += [Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120, 240)]
_STEADY = 0.25
_KEPT_FRAMES = 16
_TRUSTED, _ROUNDED = 0.005, 0.001
"""Relative errors: up to which a file's claim is believed, and up to which a rate is taken for a standard one."""
_NO_TIMESTAMPS, _CLOCK_MAY_RESTART = 0x80, 0x200
"""FFmpeg's flags of formats."""
_HIGHEST_ASPECT = 4
_RESTART = 2.5
"""Frames by which the clock must go back to be taken as started again."""
_SAME_FORM = 0.02
_LOOK_EVERY = 12
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
"""Of H.273, by FFmpeg's names."""


class VideoReader:
    """A video file.

    Args:
        path: of any format that FFmpeg reads.

    Attributes:
        path: the file.
        facts: what it says of itself.
        size: of the frames as they are given.
        pixel_aspect: width over height of one stored pixel, turned upright.
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
            stream = self._track(container)
            first = next(self._decode(container, stream), None)
            if first is None:
                raise UserError(f"{self.path}: no frame in it can be decoded ({stream.codec_context.name}); expected "
                                "a video. Try to convert it: ffmpeg -i IN out.mp4")
            self.facts = facts = _facts(self.path, container, stream, first)
            self.rotation, self.color_range, self.nominal_rate = facts.rotation, facts.color_range, facts.rate
            turned = facts.rotation % 180 == 90
            self.pixel_aspect = 1 / facts.pixel_aspect if turned else facts.pixel_aspect
            width, height = facts.stored_size[::-1] if turned else facts.stored_size
            self.size = (max(1, round(width * self.pixel_aspect)), height)
            self.first_second = first.time or 0.0
            self._has_restarts = bool(container.format.flags & (_CLOCK_MAY_RESTART | _NO_TIMESTAMPS))

    def frames(self, start: float = 0.0, alpha: bool = False,
               deep: bool = False) -> Iterator[tuple[float, np.ndarray]]:
        """Decode the frames from `start` on, or a little earlier: their seconds and pixels.

        Where a file is damaged, what can be decoded.

        Args:
            start: seconds.
            alpha: give straight RGBA [H, W, 4].
            deep: give uint16 with all bits that the file has.
        """
        to_rgb = _ToRgb(self.facts.codec)
        for seconds, frame, stored in _progressive(self._timed(start)):
            yield seconds, np.ascontiguousarray(self._upright(_colours(frame, stored, self.facts, alpha, deep, to_rgb)))

    def survey(self, end: float = np.inf) -> Survey:
        """What there is to see in all frames before `end`; pixels are looked at in a few."""
        survey = Survey()
        for seconds, frame in self._timed(survey=survey):
            if seconds >= end:
                break
            survey.sizes.setdefault((frame.width, frame.height), len(survey.times))
            survey.interlaced += frame.interlaced_frame
            survey.damaged += frame.is_corrupt
            if not frame.interlaced_frame and len(survey.times) % _LOOK_EVERY == 0:
                survey.looked_at += 1
                survey.combed += is_combed(frame.reformat(format="gray").to_ndarray())
            survey.times.append(seconds)
        return survey

    def times(self, end: float = np.inf) -> list[float]:
        """Seconds of all frames before `end`, strictly ascending."""
        return self.survey(end).times

    def _open(self):
        try:
            container = opened_media(self.path)
        except (av.FFmpegError, ValueError) as error:
            raise UserError(f"{self.path}: not readable as a video ({getattr(error, 'strerror', error)}); "
                            "expected a file that FFmpeg can read") from None
        if not _video_tracks(container):
            kinds = ", ".join(sorted({"a cover picture" if stream.type == "video" else stream.type
                                      for stream in container.streams})) or "nothing"
            container.close()
            raise UserError(f"{self.path}: holds {kinds}, no video; expected a video file")
        return container

    def _track(self, container):
        """The video track that players show: the first that is marked so, else the first."""
        tracks = _video_tracks(container)
        return next((track for track in tracks if track.disposition & Disposition.default), tracks[0])

    def _decode(self, container, stream, survey: Survey | None = None) -> Iterator[av.VideoFrame]:
        """All frames that can be decoded, in the order of the file."""
        context = stream.codec_context
        if ("alpha_mode", "1") in ((key.lower(), value) for key, value in stream.metadata.items()):
            # FFmpeg's own decoders of VP8 and VP9 leave alpha out.
            name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(context.name)
            context = av.CodecContext.create(name, "r") if name else context
        if context is not None:
            context.thread_type = "AUTO"
        for packet in container.demux(stream):
            try:
                decoded = context.decode(packet) if context is not None else []
            except av.FFmpegError:
                if survey is not None:
                    survey.damaged += 1
                continue
            for frame in decoded:
                if frame.time_base is None:
                    frame.time_base = stream.time_base
                yield frame

    def _timed(self, start: float = 0.0, survey: Survey | None = None) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames from `start` on that a player shows, and their seconds, strictly ascending."""
        with self._open() as container:
            stream = self._track(container)
            if start > 0 and not self._has_restarts:
                container.seek(int((self.first_second + start) * av.time_base))
            interval = float(1 / (self.nominal_rate or DEFAULT_FRAME_RATE))
            last, carried = -interval, -self.first_second
            for frame in self._decode(container, stream, survey):
                seconds = last + interval if frame.time is None else frame.time + carried
                if seconds < last - _RESTART * interval:
                    carried += last + interval - seconds
                    seconds = last + interval
                    if survey is not None:
                        survey.restarts.append(len(survey.times))
                if seconds > last:  # a frame shown at the time of another is never seen
                    last = seconds
                    yield seconds, frame
                elif survey is not None:
                    survey.dropped += 1

    def _upright(self, pixels: np.ndarray) -> np.ndarray:
        if self.facts.mirrored:
            pixels = pixels[:, ::-1]
        pixels = np.rot90(pixels, self.rotation // 90)
        if pixels.shape[1::-1] == self.size:
            return pixels
        height, width = pixels.shape[:2]
        width = max(1, round(width * self.pixel_aspect))
        scale = min(self.size[0] / width, self.size[1] / height)
        inner = (round(width * scale), round(height * scale))
        if max(abs(ours / theirs - 1) for ours, theirs in zip(inner, self.size)) < _SAME_FORM:
            inner = self.size
        shrinks = inner[0] * inner[1] < pixels.shape[0] * pixels.shape[1]
        pixels = cv2.resize(np.ascontiguousarray(pixels), inner,
                            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        left, top = ((whole - part) // 2 for whole, part in zip(self.size, inner))
        right, bottom = self.size[0] - inner[0] - left, self.size[1] - inner[1] - top
        return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))


def _video_tracks(container) -> list:
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _facts(path: Path, container, stream, first: av.VideoFrame) -> VideoFacts:
    context = stream.codec_context
    matrix = first.side_data.get("DISPLAYMATRIX")
    mirrored, rotation = (False, 0) if matrix is None else orientation(
        np.frombuffer(bytes(matrix), np.int32).reshape(3, 3).astype(float))
    aspect, strange = stream.sample_aspect_ratio or Fraction(1), None
    if not 1 / _HIGHEST_ASPECT <= aspect <= _HIGHEST_ASPECT:
        aspect, strange = Fraction(1), aspect
    transfer, primaries = (getattr(first, name, getattr(context, name)) for name in ("color_trc", "color_primaries"))
    if context.name == "exr":
        transfer, primaries = LINEAR, exr_primaries(path) or primaries
    elif transfer == LINEAR:  # DPX and others often say so and are not
        transfer = UNSPECIFIED
    tracks = _video_tracks(container)
    components = first.format.components
    size = (first.width, first.height)
    matrix_unknown = first.colorspace == UNSPECIFIED and not first.format.is_rgb and len(components) > 2
    metadata = [*container.metadata.items(), *stream.metadata.items()]
    return VideoFacts(
        codec=context.name, bit_depth=max(component.bits for component in components),
        alpha=_has_alpha(first) and bool((_reformatted(first, "rgba", 5)[..., 3] < 255).any()), stored_size=size,
        pixel_aspect=aspect,
        mirrored=mirrored, rotation=rotation, interlaced=bool(first.interlaced_frame),
        color_range="full" if first.color_range == ColorRange.JPEG else "limited",
        matrix=assumed_matrix(size, primaries) if matrix_unknown else (
            int(first.colorspace) if first.colorspace != UNSPECIFIED else 0),
        matrix_assumed=matrix_unknown, transfer=int(transfer),
        primaries=primaries if isinstance(primaries, tuple) else int(primaries),
        dolby_vision=any(name in first.side_data for name in ("DOVI_METADATA", "DOVI_RPU_BUFFER")),
        rate=stream.average_rate, has_clock=not container.format.flags & _NO_TIMESTAMPS,
        track=tracks.index(stream) + 1, tracks=len(tracks), strange_aspect=strange,
        log_curve=log_curve(path, metadata))


def _has_alpha(frame: av.VideoFrame) -> bool:
    return any(component.is_alpha for component in frame.format.components)


def _progressive(frames: Iterator[tuple[float, av.VideoFrame]]
                 ) -> Iterator[tuple[float, av.VideoFrame, av.VideoFrame]]:
    """Frames without fields, after their seconds, and before the frames as they are stored.

    One that consists of two fields is filled up from the first, the others stay.
    """
    graph, form, coming = None, None, deque()
    for seconds, frame in frames:
        new_form = frame.width, frame.height, frame.format.name
        if graph is not None and form != new_form:
            yield from _pulled(graph, coming, None)
            graph = None
        if graph is None:
            if not frame.interlaced_frame:
                yield seconds, frame, frame
                continue
            graph, form = Graph(), new_form
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format,
                                      time_base=frame.time_base)
            graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"),
                             graph.add("buffersink")).configure()
        coming.append((seconds, frame))
        yield from _pulled(graph, coming, frame)
    if graph is not None:
        yield from _pulled(graph, coming, None)


def _pulled(graph: Graph, coming: deque, frame: av.VideoFrame | None
            ) -> Iterator[tuple[float, av.VideoFrame, av.VideoFrame]]:
    """Push a frame, or the end, into a graph, and pull what comes out."""
    graph.push(frame)
    while coming:
        try:
            made = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        seconds, stored = coming.popleft()
        yield seconds, made, stored


def _colours(frame: av.VideoFrame, stored: av.VideoFrame, facts: VideoFacts, alpha: bool, deep: bool,
             to_rgb: "_ToRgb") -> np.ndarray:
    """A frame as sRGB or RGBA [H, W, C], uint8, or uint16 where that is deep, by what is said of the stored one."""
    matrix = stored.colorspace
    if matrix == UNSPECIFIED and facts.matrix_assumed:
        matrix = facts.matrix
    matrix = matrix if matrix in READABLE_MATRICES else 5
    color_range = stored.color_range if stored.color_range in (ColorRange.MPEG, ColorRange.JPEG) else None
    converts = must_be_converted(facts.transfer, facts.primaries)
    name = ("rgba64le" if alpha else "rgb48le") if deep or converts else "rgba" if alpha else "rgb24"
    pixels = to_rgb(frame, name, matrix, color_range)
    if pixels.dtype == np.uint16:
        pixels = _up_to_white(pixels, frame.format, color_range)
    if not converts:
        return pixels
    colours = to_srgb(pixels[..., :3], facts.transfer, facts.primaries, pixels.dtype if deep else np.uint8)
    if not alpha:
        return colours
    return np.dstack([colours, pixels[..., 3] if deep else (pixels[..., 3] / 257).round().astype(np.uint8)])


def _up_to_white(pixels: np.ndarray, form: av.VideoFormat, color_range: int | None) -> np.ndarray:
    """Pixels whose white is 65535, uint16 [H, W, C]: FFmpeg shifts numbers of fewer bits up, so that theirs is lower.

    Args:
        pixels: RGB or RGBA as FFmpeg made them.
        form: of the frame.
        color_range: of its numbers.
    """
    bits = max(component.bits for component in form.components)
    if form.is_rgb and bits > 8:
        return pixels
    full = 65535 / (65536 - (1 << 16 - bits))
    colours = full if color_range == ColorRange.JPEG and not form.is_rgb else 257 / 256
    factors = [colours] * 3 + [full] * (pixels.shape[2] - 3)
    return np.rint(np.minimum(pixels * np.array(factors, np.float32), 65535)).astype(np.uint16)


class _ToRgb:
    """Frames of a video as RGB, whose colours were stored in fewer pixels than brightness interpolated to where they
    are.

    By default FFmpeg repeats them for speed.

    Args:
        codec: its short name.
    """

    def __init__(self, codec: str):
        # At the left one of two columns and between two rows, as H.264, HEVC, AV1 and MPEG have them where a file does
        # not say; JPEG has them between two columns, too.
        self._place = "" if codec == "mjpeg" else ":in_h_chr_pos=0:in_v_chr_pos=128"
        self._form: tuple = ()
        self._graph: Graph | None = None

    def __call__(self, frame: av.VideoFrame, name: str, matrix: int, color_range: int | None) -> np.ndarray:
        """A frame in a format of FFmpeg's: [H, W, C].

        Args:
            frame: of any format.
            name: rgb24, rgba, rgb48le or rgba64le.
            matrix: that turns its numbers into RGB.
            color_range: of its numbers; None: as its format has it.
        """
        if frame.format.chroma_width(4) == 4 or matrix not in _MATRICES:
            return _reformatted(frame, name, matrix, color_range)
        form = frame.width, frame.height, frame.format.name, name, matrix, color_range
        if self._graph is None or form != self._form:
            self._form, self._graph = form, Graph()
            source = self._graph.add_buffer(width=frame.width, height=frame.height, format=frame.format,
                                            time_base=Fraction(1, 1000))
            range_in = {ColorRange.MPEG: ":in_range=tv", ColorRange.JPEG: ":in_range=pc"}.get(color_range, "")
            place = self._place if frame.format.chroma_height(4) < 4 else ""
            scale = (f"flags=bilinear+full_chroma_int+accurate_rnd:in_color_matrix={_MATRICES[matrix]}{range_in}"
                     f":out_range=pc{place}")
            self._graph.link_nodes(source, self._graph.add("scale", scale),
                                   self._graph.add("format", f"pix_fmts={name}"),
                                   self._graph.add("buffersink")).configure()
        self._graph.push(frame)
        return self._graph.pull().to_ndarray()


def _reformatted(frame: av.VideoFrame, name: str, matrix: int, color_range: int | None = None) -> np.ndarray:
    # Older PyAV heeds how a frame's colours are coded only if both sides are given.
    ranges = {} if color_range is None else {"src_color_range": color_range, "dst_color_range": ColorRange.JPEG}
    return frame.reformat(format=name, src_colorspace=matrix, dst_colorspace=Colorspace.ITU601, **ranges).to_ndarray()


class PicturesByTime:
    """The pictures of a video by time; may be used by several threads at once.

    Args:
        path: the video.
        change: what is done to each picture, uint8 RGB [H, W, 3], before it is kept.

    Attributes:
        remarks: what the user should know of it.

    Raises:
        UserError: see `VideoReader`.
    """

    def __init__(self, path: Path, change: Callable[[np.ndarray], np.ndarray]):
        self._video, self._change, self._lock = VideoReader(path), change, Lock()
        self.remarks = list(remarks(self._video.facts))
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
        place. If not, the rate is that of the most usual interval (the median), or the claimed one where frames only
        jitter, never a whole interval from their place in it.
    """
    if len(times) < 2:
        return nominal or DEFAULT_FRAME_RATE, True
    mean = times[-1] / (len(times) - 1)
    away = float(np.abs(np.array(times) - mean * np.arange(len(times))).max() / mean)
    steady = away < _STEADY
    interval = mean if steady else float(np.median(np.diff(times)))
    claimed = nominal is not None and (abs(nominal * interval - 1) < _TRUSTED or (
        _STEADY <= away < 1 and abs(nominal * mean - 1) < 1 / (len(times) - 1)))
    rate = nominal if claimed else Fraction(1 / interval).limit_denominator(1001)
    standard = min(_STANDARD_RATES, key=lambda known: abs(known / rate - 1))
    return (standard if abs(standard / rate - 1) < _ROUNDED else rate), steady


def nearest_frames(times: list[float], rate: Fraction, first: int = 0, stop: int | None = None) -> list[int]:
    """Frames of a clip of varying rate to show at a steady one: for each instant the one nearest in time.

    Args:
        times: seconds of its frames, ascending, the first 0.
        rate: frames per second to show.
        first: the first instant that is wanted.
        stop: the first instant that is not wanted any more; None: all are.

    Returns:
        index of a frame for the instants first / rate, (first + 1) / rate, ... up to the last frame.
    """
    seconds = np.array(times)
    end = int(round(times[-1] * rate)) + 1
    instants = np.arange(first, end if stop is None else min(stop, end)) / float(rate)
    after = np.searchsorted(seconds, instants).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    return np.where(instants - seconds[before] <= seconds[after] - instants, before, after).tolist()
