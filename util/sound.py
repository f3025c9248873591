"""Sound of videos: the first track that can be decoded, or a sentence on why there is none; never the end of a picture.

Seconds are those of the file's own clock. Should it start again, as in joined recordings, it is carried on.
"""

import io
import wave
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from util.media import opened_media

_TRIED_PACKETS = 100
_GAP = 0.1
"""Seconds without sound from which there is silence; shorter ones are roundings."""
_RESTART = 0.5
_ERRORS = (av.FFmpegError, ValueError, OSError, NotImplementedError)
"""What PyAV raises for sound that it cannot read, or a file cannot hold."""


@dataclass(frozen=True)
class Sound:
    """A part of a sound track.

    Attributes:
        path: a file with sound.
        start: seconds from its beginning.
        seconds: how long.
    """

    path: Path
    start: float
    seconds: float


def decodable_track(path: Path) -> tuple[int | None, str | None]:
    """The sound track to take: the one that players take, or the first after it that can be decoded.

    Returns:
        its place among all streams, or None; and why it is not the one that players take, or why there is none.
        Both None: the file has no sound.
    """
    try:
        with opened_media(path) as container:
            tracks = sorted(container.streams.audio, key=lambda track: not track.disposition & Disposition.default)
            indices = [track.index for track in tracks]
    except _ERRORS as error:
        return None, f"not readable as sound ({error})"
    reasons = []
    for index in indices:
        reason = _why_not_decodable(path, index)
        if reason is None:
            return index, (f"sound is taken from track {len(reasons) + 1}: {reasons[0]}" if reasons else None)
        reasons.append(reason)
    return None, "; ".join(dict.fromkeys(reasons)) or None


def save_sound(part: Sound, target: Path) -> tuple[bool, str | None]:
    """Write a part of a video's sound as Matroska: as it is stored, or as FLAC where Matroska cannot hold that.

    Returns:
        whether there is any, and a line for the user: what was done, or why there is none.
    """
    index, remark = decodable_track(part.path)
    if index is None:
        return False, f"sound left out: {remark}" if remark else None
    try:
        return _copied(part, index, target), remark
    except _ERRORS:
        target.unlink(missing_ok=True)
    last = None
    for layout in (None, "stereo"):
        try:
            return _coded_again(part, index, layout, target), remark
        except _ERRORS as error:
            target.unlink(missing_ok=True)
            last = error
    return False, f"sound left out: it could not be written ({last})"


def wav(path: Path, seconds: float, rate: int = 48000) -> bytes | None:
    """The first seconds of a file's sound as a WAV file of 16 bits, stereo, which browsers play; None: it has none.

    Args:
        path: a file with sound.
        seconds: how much of it.
        rate: samples per second.
    """
    index, _ = decodable_track(path)
    if index is None:
        return None
    resampler = av.AudioResampler(format="s16p", layout="stereo", rate=rate)
    pieces = []
    with suppress(*_ERRORS):  # the rest is silent, as in a rendered video
        pieces.extend(samples(Sound(path, 0.0, seconds), index, resampler, rate))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((2, 2, rate, 0, "NONE", ""))
        sound.writeframes(np.concatenate(pieces, axis=1).T.astype("<i2").tobytes() if pieces else b"")
    return file.getvalue()


def samples(part: Sound, index: int, resampler: av.AudioResampler, rate: int) -> Iterator[np.ndarray]:
    """A part of a track, piece after piece, as the resampler gives it; silence where there is no sound in between.

    Args:
        part: of a file.
        index: of the track among all streams.
        resampler: to a planar format, or a packed one of a single channel.
        rate: samples per second of the resampler.

    Raises:
        av.FFmpegError, ValueError, OSError: the file cannot be read on.
    """
    length, position, carried = round(part.seconds * rate), None, 0
    for frame in _decoded(part.path, index):
        time = None if frame.time is None else round((float(frame.time) - part.start) * rate) + carried
        if position is None:
            position = min(time or 0, length)
            if position > 0:
                yield from _silence(frame, resampler, position)
        elif time is not None and time < position - _RESTART * rate:
            carried += position - time
        elif time is not None and time > position + _GAP * rate:
            yield from _silence(frame, resampler, min(time, length) - max(position, 0))
            position = time
        for made in resampler.resample(frame):
            piece = made.to_ndarray()
            kept = piece[:, max(-position, 0):max(length - position, 0)]
            if kept.size:
                yield np.ascontiguousarray(kept)
            position += piece.shape[1]
        if position >= length:
            return


def _silence(frame: av.AudioFrame, resampler: av.AudioResampler, count: int) -> Iterator[np.ndarray]:
    if count > 0:
        channels = len(resampler.layout.channels) if resampler.layout else len(frame.layout.channels)
        dtype = np.float32 if resampler.format.name.startswith("flt") else (
            np.int16 if resampler.format.name.startswith("s16") else np.int32)
        yield np.zeros((channels, count), dtype)


def _decoded(path: Path, index: int) -> Iterator[av.AudioFrame]:
    """All frames of a track that can be decoded."""
    with opened_media(path) as container:
        for packet in container.demux(container.streams[index]):
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue


def _why_not_decodable(path: Path, index: int) -> str | None:
    try:
        with opened_media(path) as container:
            stream = container.streams[index]
            if stream.codec_context is None:
                return f"track {stream.index} is of a kind that FFmpeg does not know"
            name = stream.codec_context.name
            for tried, packet in enumerate(container.demux(stream)):
                try:
                    if packet.decode():
                        return None
                except av.FFmpegError:
                    pass
                if tried > _TRIED_PACKETS:
                    break
    except _ERRORS as error:
        return f"track {index} is not readable ({error})"
    return f"nothing of track {index} ({name}) can be decoded"


def _copied(part: Sound, index: int, target: Path) -> bool:
    with opened_media(part.path) as container:
        stream, count, carried, next_pts = container.streams[index], 0, 0, None
        with opened_media(target, "w", format="matroska") as out:
            copy = out.add_stream_from_template(stream)
            out.start_encoding()
            shift = round(part.start / stream.time_base)
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                pts = packet.pts + carried
                if next_pts is not None and pts * packet.time_base < next_pts * packet.time_base - _RESTART:
                    carried += next_pts - pts
                    pts = next_pts
                next_pts = pts + (packet.duration or 0)
                if not part.start <= float(pts * packet.time_base) < part.start + part.seconds:
                    continue
                packet.pts = packet.dts = pts - shift
                packet.stream = copy
                out.mux(packet)
                count += 1
    if not count:
        target.unlink()
    return count > 0


def _coded_again(part: Sound, index: int, layout: str | None, target: Path) -> bool:
    with opened_media(part.path) as container:
        context = container.streams[index].codec_context
        rate, layout = context.sample_rate, layout or context.layout.name
        deep = context.format.bytes > 2
    written = 0
    planar = "s32p" if deep else "s16p"
    resampler = av.AudioResampler(format=planar, layout=layout, rate=rate)
    with opened_media(target, "w", format="matroska") as out:
        stream = out.add_stream("flac", rate=rate, layout=layout, format="s32" if deep else "s16")
        packer = av.AudioResampler(format="s32" if deep else "s16", layout=layout, rate=rate)
        for piece in samples(part, index, resampler, rate):
            frame = av.AudioFrame.from_ndarray(piece, format=planar, layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), written
            written += piece.shape[1]
            for packed in packer.resample(frame):
                out.mux(stream.encode(packed))
        out.mux(stream.encode())
    if not written:
        target.unlink()
    return written > 0
