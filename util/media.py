"""What a video file says of itself, and what of it the user should know.

`VideoReader` puts right what can be put right; a `Remark` tells that it was, or that it could not be. Transfers,
primaries and matrices are numbered as in ITU-T H.273.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from util.clips import DEFAULT_FRAME_RATE
from util.colour import (
    ACES_AP0,
    ACES_AP1,
    BT2020,
    DCI_P3,
    DISPLAY_P3,
    HLG,
    LINEAR,
    LOGARITHMIC,
    PQ,
    Chromaticities,
    known_primaries,
)

UNSPECIFIED = 2
READABLE_MATRICES = {0, 1, 4, 5, 6, 7, 9}
_TRANSFERS = {LINEAR: "linear light", PQ: "HDR (PQ)", HLG: "HDR (HLG)"}
_PRIMARIES: dict[int | Chromaticities, str] = {
    BT2020: "BT.2020", DCI_P3: "DCI-P3", DISPLAY_P3: "Display P3", ACES_AP0: "ACES AP0", ACES_AP1: "ACES AP1 (ACEScg)"}
_LOG_CURVE = re.compile(r"\b(s-?log ?[23]?|[cvfnl]-?log ?[23]?|d-?log( ?m)?|log ?-?c ?[34]?|apple ?log ?2?|redlog\w*|"
                        r"log3g\d\d|bmd ?film|blackmagic design film)\b", re.IGNORECASE)
_OF_COLOUR = re.compile("gamma|colou?r|transfer|look|lut|xml", re.IGNORECASE)
_SONY = re.compile(rb'"CaptureGammaEquation"\s+value="([\w-]{1,30})"')
_END_BYTES = 1 << 20
"""Of a file's beginning and end, where cameras write what they know."""
_COMBED, _COMB_STEP = 0.002, 15
"""Share of the pixels from which there are combs, and levels from line to line."""
_PAUSE = 1.0
"""Seconds without a frame from which a recorder is taken to have been paused."""


@dataclass(frozen=True)
class Remark:
    """Something about a file that the user should know.

    Attributes:
        severity: 2 the pictures are wrong; 1 they may be; 0 good to know.
        text: one line without the file's name: what was seen, what it means, what to do.
    """

    severity: int
    text: str


@dataclass(frozen=True)
class VideoFacts:
    """What the head and the first frame of a video say.

    Attributes:
        codec: its short name.
        bit_depth: of each channel.
        alpha: there is a channel for it.
        stored_size: (width, height) of the coded frames.
        pixel_aspect: width over height of one stored pixel; 1 also where the file's is not to be believed.
        mirrored: stored frames are to be mirrored left to right, before they are turned.
        rotation: degrees counterclockwise by which they are then to be turned, a multiple of 90.
        interlaced: the first frame consists of two fields.
        color_range: "full" or "limited", which is also what a file means that does not say.
        matrix: that turns its numbers into RGB; 0: they are RGB.
        matrix_assumed: the file does not say which; it is that of its picture's size.
        transfer: from numbers to light.
        primaries: of its colours.
        dolby_vision: there are metadata that only Dolby Vision's own readers know. Without a transfer the colours
            are wrong without them.
        rate: frames per second that the file claims; None if it does not.
        has_clock: frames carry times.
        track, tracks: which video track it is, from 1, and of how many.
        strange_aspect: a pixel aspect that is not to be believed; None: there is none.
        log_curve: of a camera, by name, where its metadata tell it; "": they do not.
    """

    codec: str
    bit_depth: int
    alpha: bool
    stored_size: tuple[int, int]
    pixel_aspect: Fraction
    mirrored: bool
    rotation: int
    interlaced: bool
    color_range: str
    matrix: int
    matrix_assumed: bool
    transfer: int
    primaries: int | Chromaticities
    dolby_vision: bool
    rate: Fraction | None
    has_clock: bool
    track: int
    tracks: int
    strange_aspect: Fraction | None = None
    log_curve: str = ""


@dataclass
class Survey:
    """What was seen in all frames of a video.

    Attributes:
        times: seconds of the frames, strictly ascending, the first 0.
        interlaced: how many consist of two fields.
        dropped: how many are shown at the time of another, and so never.
        restarts: index of each frame at which the clock went back; it is carried on from there.
        sizes: (width, height) of stored frames to the index of the first that has it.
        damaged: how many packets could not be decoded, or only in part.
        looked_at, combed: how many progressive frames were looked at, and how many of them look as if they consisted
            of two fields.
    """

    times: list[float] = field(default_factory=list)
    interlaced: int = 0
    dropped: int = 0
    restarts: list[int] = field(default_factory=list)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    damaged: int = 0
    looked_at: int = 0
    combed: int = 0


def opened_media(path: Path | str, mode: str = "r", **options) -> Any:
    """`av.open` of a file, whatever signs are in its name.

    FFmpeg takes what stands before a colon for a protocol, and %d in the name of a picture for a number.

    What FFmpeg logs is let go, as PyAV does by itself. Other packages ask for it when they are imported (older releases
    of torchvision do), for the whole process; then threads that decode wait for Python to log something, while Python,
    which closes a file, waits for those threads.
    """
    av.logging.set_level(None)
    if mode == "r":
        options["options"] = {"pattern_type": "none"}
    return av.open(os.path.abspath(path), cast(Any, mode), **options)


def log_curve(path: Path, metadata: Iterable[tuple[str, str]]) -> str:
    """The name of the logarithmic curve that a camera says it filmed with; "" where it does not say.

    Args:
        path: of the video. Sony's cameras write it into the file where FFmpeg does not look.
        metadata: names and values of the file's and the track's.
    """
    said = [value for name, value in metadata if _OF_COLOUR.search(name)]
    if path.suffix.lower() in (".mp4", ".mov", ".mxf"):
        with open(path, "rb") as file:
            ends = file.read(_END_BYTES)
            file.seek(max(0, path.stat().st_size - _END_BYTES))
            ends += file.read(_END_BYTES)
        said += [found.decode() for found in _SONY.findall(ends)]
    return next((found[0] for value in said if (found := _LOG_CURVE.search(value))), "")


def exr_primaries(path: Path) -> int | Chromaticities | None:
    """The primaries that an OpenEXR file names in its header, which FFmpeg does not read; None: it names none."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    name_and_type = b"chromaticities\0chromaticities\0"
    place = head.find(name_and_type) if head.startswith(b"\x76\x2f\x31\x01") else -1
    start = place + len(name_and_type) + 4  # after the length
    if place < 0 or len(head) < start + 32:
        return None
    found = np.frombuffer(head, "<f4", 8, start).astype(float)
    if not np.isfinite(found).all() or (found[1::2] == 0).any():
        return None
    return known_primaries(tuple(round(number, 5) for number in found.tolist()))


def pauses(times: list[float]) -> list[tuple[float, float]]:
    """Where a recorder seems to have been paused: seconds of the last frame before, and how long there is none.

    Args:
        times: seconds of a clip's frames, ascending.
    """
    gaps = np.diff(times)
    return [(times[i], float(gap)) for i, gap in enumerate(gaps) if gap > max(_PAUSE, 4 * float(np.median(gaps)))]


def is_combed(grey: np.ndarray) -> bool:
    """Whether a picture, uint8 [H, W], has combs: columns in which line after line goes up and down.

    Where rows do so just as much, it is noise or a fine pattern.
    """
    down, across = (_share_of_alternating(pixels.astype(np.int16)) for pixels in (grey, grey.T))
    return down > _COMBED and down > 4 * across


def _share_of_alternating(pixels: np.ndarray) -> float:
    steps = np.diff(pixels, axis=0)
    turns = (np.abs(steps[1:]) > _COMB_STEP) & (np.abs(steps[:-1]) > _COMB_STEP) & (steps[1:] * steps[:-1] < 0)
    if len(turns) < 4:
        return 0.0
    return float((turns[:-3] & turns[1:-2] & turns[2:-1] & turns[3:]).mean())


def assumed_matrix(size: tuple[int, int], primaries: int) -> int:
    """The matrix of a video that does not say: that of its primaries, else BT.709 for HD, BT.601 for less."""
    if primaries in (1, BT2020):
        return primaries
    if primaries in (5, 6):
        return 5
    return 1 if size[0] >= 1280 or size[1] > 576 else 5


def orientation(matrix: np.ndarray) -> tuple[bool, int]:
    """Whether a display matrix mirrors left to right, and by how many degrees counterclockwise it turns after that.

    Args:
        matrix: [3, 3], as FFmpeg gives it: (x, y, 1) of the stored picture times it is the place in the shown one.
    """
    (a, b), (c, d) = np.sign(np.where(np.abs(matrix[:2, :2]) * 2 > np.abs(matrix[:2, :2]).max(), matrix[:2, :2], 0))
    mirrored = bool(a * d - b * c < 0)
    if mirrored:
        a, b = -a, -b
    return mirrored, {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}.get((int(a), int(b)), 0)


def remarks(facts: VideoFacts, survey: Survey | None = None) -> Iterator[Remark]:
    """What the user should know of a video, from its head alone or from all its frames too."""
    if facts.tracks > 1:
        yield Remark(0, f"{facts.tracks} video tracks; taken: track {facts.track}. Another one: ffmpeg -i IN "
                        f"-map 0:v:{int(facts.track == 1)} -c copy OUT.mkv")
    yield from _remarks_on_colour(facts)
    if facts.alpha:
        yield Remark(1, "frames have alpha, which is left out: what is transparent is shown in the colours beneath. "
                        "Put it over a background first, unless it is a mask")
    if facts.mirrored:
        yield Remark(0, "stored mirrored; shown as players show it")
    if facts.pixel_aspect != 1:
        yield Remark(0, f"pixels of {facts.pixel_aspect.numerator}:{facts.pixel_aspect.denominator}; stored "
                        f"{facts.stored_size[0]}x{facts.stored_size[1]} pixels are made square ones, as players show "
                        "it. Poses and masks fit best that are found on these frames")
    if facts.strange_aspect is not None:
        yield Remark(1, f"says that its pixels are {facts.strange_aspect.numerator}:{facts.strange_aspect.denominator}"
                        "; taken for square. If they are not: ffmpeg -i IN -vf setsar=16/15 OUT")
    if not facts.has_clock:
        yield Remark(0, f"a raw stream, which has no clock; taken: {float(facts.rate or DEFAULT_FRAME_RATE):.5g} "
                        "frames per second. If that is wrong: --frame_rate")
    if survey is not None:
        yield from _remarks_on_frames(facts, survey)
    elif facts.interlaced:
        yield Remark(0, "interlaced; made progressive")


def _remarks_on_colour(facts: VideoFacts) -> Iterator[Remark]:
    if facts.dolby_vision and facts.transfer != UNSPECIFIED:
        yield Remark(0, "Dolby Vision; taken is its picture for other programs, without the changes that Dolby's own "
                        "players make to it")
    elif facts.dolby_vision:
        yield Remark(2, "Dolby Vision without a picture for other programs; colours will be wrong. Convert it first, "
                        "in the phone's or the camera's program, or with: ffmpeg -i IN -vf libplacebo="
                        "colorspace=bt709:color_primaries=bt709:color_trc=bt709:format=yuv420p OUT.mp4")
    if facts.matrix not in READABLE_MATRICES:
        yield Remark(2, f"colours coded by matrix {facts.matrix} of H.273, which is not known here; they will be "
                        "wrong. Convert it: ffmpeg -i IN -vf scale=out_color_matrix=bt709 OUT.mp4")
    elif facts.matrix_assumed and facts.matrix != 5:
        name = {1: "BT.709", BT2020: "BT.2020"}[facts.matrix]
        yield Remark(0, f"does not say how colours are coded; read by {name}, as its size or primaries suggest")
    yield from remarks_on_colour(facts.transfer, facts.primaries, facts.log_curve)


def remarks_on_colour(transfer: int, primaries: int | Chromaticities, curve: str = "") -> Iterator[Remark]:
    """What the user should know of light and primaries that were made sRGB, or a camera's curve, which was not."""
    if transfer in LOGARITHMIC or curve:
        yield Remark(1, f"coded logarithmically{curve and f' ({curve})'}, for grading; frames will be flat. Grade it, "
                        "or apply the camera's LUT: ffmpeg -i IN -vf lut3d=camera.cube OUT.mp4")
    if transfer in _TRANSFERS:
        wide = f" with primaries of {_PRIMARIES[primaries]}" if primaries in _PRIMARIES else (
            " with primaries of its own" if isinstance(primaries, tuple) else "")
        how = ("its white (203 cd/m2) is nearly white, brighter light is pressed together"
               if transfer in (PQ, HLG) else
               "what is brighter than white is cut off. If frames are too bright, the numbers were no light: write PNG")
        yield Remark(0, f"{_TRANSFERS[transfer]}{wide}, made sRGB: {how}")
    elif primaries in _PRIMARIES:
        yield Remark(0, f"colours of {_PRIMARIES[primaries]}, made sRGB")


def _remarks_on_frames(facts: VideoFacts, survey: Survey) -> Iterator[Remark]:
    times, count = survey.times, len(survey.times)
    if survey.interlaced:
        yield Remark(0, f"interlaced in {survey.interlaced} of {count} frames; made progressive. One frame for each "
                        "field, twice as many, show motion finer: ffmpeg -i IN -vf bwdif OUT.mp4")
    if survey.combed * 2 > survey.looked_at:
        yield Remark(1, "looks interlaced, moving edges are combs of single lines, though it says that it is not, and "
                        "so not which field is first. Make it progressive: ffmpeg -i IN -vf bwdif=mode=send_frame"
                        ":deint=all OUT.mp4")
    if survey.restarts:
        yield Remark(1, f"the clock starts again {_times(len(survey.restarts))}, first at frame "
                        f"{survey.restarts[0] + 1} ({times[survey.restarts[0]]:.2f} s), as in joined recordings; it is "
                        "carried on. If the picture jumps there, take one part: --start, --end")
    if survey.dropped:
        yield Remark(1, f"{survey.dropped} frame{'s' * (survey.dropped > 1)} with the time of another, never shown by "
                        "a player, and left out here")
    if survey.damaged:
        yield Remark(1, f"damaged: {survey.damaged} packet{'s' * (survey.damaged > 1)} could not be decoded, or only "
                        "in part; look at the frames. Copy the file again from where it comes from")
    if len(survey.sizes) > 1:
        sizes = ", then ".join(f"{width}x{height} from frame {index + 1}" for (width, height), index in
                               list(survey.sizes.items())[:4])
        width, height = facts.stored_size
        same = all(abs(w * height / (h * width) - 1) < 0.02 for w, h in survey.sizes)
        yield Remark(1 if same else 2, f"the picture changes its size: {sizes}; all frames are brought to the first "
                                       f"size{'' if same else ', with black at the sides'}. Take one part: --start, "
                                       "--end")
    if stops := pauses(times):
        second, gap = max(stops, key=lambda stop: stop[1])
        yield Remark(1, f"no frame for {gap:.1f} s after {second:.2f} s, as where a recorder is paused; "
                        "the frame before it is shown all that time. Take one part: --start, --end")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
