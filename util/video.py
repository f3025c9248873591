"""Video files, written frame by frame.

The ending of a file decides its format. Pictures are RGB or straight (not premultiplied) RGBA [H, W, C] of uint8 or
uint16; what has alpha in the pictures has it in the file, straight as well, wherever `holds_alpha` says that the format
can. Colours are coded by BT.709 and marked so. The file's comment says that it was made: what it shows was not filmed
so.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange
from PIL import Image

from util.media import opened_media
from util.sound import Sound, decodable_track, samples
from util.version import VERSION

BT709 = 1  # as codecs number primaries, transfer and matrix
PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
"""Its red, green, blue and white as x and y."""
SOUND_RATE = 48000
COMMENT = f"made with video-people {VERSION}; not as it was filmed"


@dataclass(frozen=True)
class Format:
    """How a kind of file is coded.

    Attributes:
        codec: FFmpeg's name of the video codec.
        pixels: pixel format of opaque pictures.
        alpha_pixels: pixel format of pictures with alpha; None: it can hold none.
        options: of the codec.
        sound: audio codec; None: it can hold none.
        side: width and height are multiples of this.
    """

    codec: str
    pixels: str
    alpha_pixels: str | None
    options: dict[str, str]
    sound: str | None
    side: int = 1


FORMATS = {
    ".mp4": Format("libx264", "yuv420p", None, {"crf": "16", "preset": "medium"}, "aac", side=2),
    # Hidden reference frames and alpha do not go together in libvpx.
    ".webm": Format("libvpx-vp9", "yuv420p", "yuva420p",
                    {"crf": "18", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1",
                     "auto-alt-ref": "0"}, "libopus", side=2),
    ".mov": Format("prores_ks", "yuv444p10le", "yuva444p10le", {"profile": "4444", "vendor": "apl0"}, "pcm_s16le"),
    ".gif": Format("gif", "pal8", "pal8", {}, None),
}


def holds_alpha(suffix: str) -> bool:
    """Whether files with this ending can have alpha; in a GIF it is on or off."""
    return FORMATS[suffix.lower()].alpha_pixels is not None


class VideoWriter:
    """A video file that grows frame by frame, in constant memory.

    Args:
        path: the file to write: .mp4 (H.264), .webm (VP9), .mov (ProRes 4444) or .gif.
        frame_rate: frames per second.
        sound: what is heard with it; left out where the format can hold none.

    Attributes:
        warnings: why there is no sound, or not all of it; a line each.
    """

    def __init__(self, path: Path, frame_rate: Fraction, sound: Sound | None = None):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.format, self.frame_rate, self.frames = FORMATS[path.suffix.lower()], Fraction(frame_rate), 0
        options = {"movflags": "+faststart"} if path.suffix.lower() in (".mp4", ".mov") else {}
        self.container = opened_media(path, "w", options=options)
        self.container.metadata["comment"] = COMMENT
        self.sound = sound if self.format.sound else None
        self.video_stream = self.sound_stream = self.coding = None
        self.warnings: list[str] = []

    def add(self, pixels: np.ndarray) -> None:
        """Append a frame: [H, W, 3], or [H, W, 4] with alpha, of uint8, or uint16, whose bits stay as far as the format
        has them; all of the same form.

        An odd last row or column, which H.264 and VP9 cannot hold, is dropped.
        """
        height, width = (length - length % self.format.side for length in pixels.shape[:2])
        pixels = np.ascontiguousarray(pixels[:height, :width])
        if self.video_stream is None:
            self._start(width, height, pixels)
        stream = self.video_stream
        frame = _gif_frame(pixels) if self.format.codec == "gif" else _rgb_frame(pixels)
        frame.pts, frame.time_base = self.frames, 1 / self.frame_rate
        self.frames += 1
        if self.coding is not None:
            self.coding.push(frame)
            frame = self.coding.pull()
        self.container.mux(stream.encode(frame))
        self._add_sound_until(self.frames / self.frame_rate)

    def close(self) -> None:
        """Write what is left in the encoders, and the file's index."""
        if self.video_stream is not None:
            self.container.mux(self.video_stream.encode())
        if self.sound_stream is not None:
            self.container.mux(self.sound_stream.encode())
        self.container.close()

    def _start(self, width: int, height: int, pixels: np.ndarray) -> None:
        alpha = pixels.shape[2] == 4
        pixel_format = self.format.alpha_pixels if alpha else self.format.pixels
        stream = self.container.add_stream(self.format.codec, rate=self.frame_rate, width=width, height=height,
                                           pix_fmt=pixel_format, options=self.format.options)
        stream.time_base = 1 / self.frame_rate
        if pixel_format != "pal8":
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = ColorRange.MPEG
            self.coding = _coding(width, height, _format_of(pixels), pixel_format, 1 / self.frame_rate)
        if alpha and self.format.codec == "libvpx-vp9":
            stream.metadata["alpha_mode"] = "1"
        self.video_stream = stream
        if self.sound is not None:
            self._start_sound(self.sound)

    def _start_sound(self, sound: Sound) -> None:
        index, remark = decodable_track(sound.path)
        if index is None:
            self.warnings.append(f"{sound.path}: {remark or 'no sound in it'}; the video is silent. Mend audio in "
                                 "metadata.json")
            return
        if remark:
            self.warnings.append(f"{sound.path}: {remark}")
        self.sound_stream = self.container.add_stream(self.format.sound, rate=SOUND_RATE, layout="stereo")
        self.sound_frames = _frames_of_sound(sound, index)
        self._take_sound()

    def _take_sound(self) -> None:
        try:
            self.next_sound = next(self.sound_frames, None)
        except (av.FFmpegError, ValueError, OSError) as error:
            self.warnings.append(f"{self.sound.path}: not readable as sound to its end ({error}); the rest is silent")
            self.next_sound = None

    def _add_sound_until(self, seconds: Fraction) -> None:
        while self.sound_stream is not None and self.next_sound is not None and self.next_sound.time <= seconds:
            self.container.mux(self.sound_stream.encode(self.next_sound))
            self._take_sound()


def _coding(width: int, height: int, form: str, pixel_format: str, time_base: Fraction) -> Graph:
    """What makes coded frames of pictures: by BT.709, with halved colour planes where H.264 and VP9 say that they are.

    That is between two rows and at the left one of two columns. ProRes has the marks in the header of each frame too,
    and asks the frames.
    """
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=form, time_base=time_base)
    scale = "flags=bilinear:out_color_matrix=bt709:out_range=tv"
    if "420p" in pixel_format:
        scale += ":out_h_chr_pos=0:out_v_chr_pos=128"
    graph.link_nodes(source, graph.add("scale", scale), graph.add("format", f"pix_fmts={pixel_format}"),
                     graph.add("setparams", "colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"),
                     graph.add("buffersink")).configure()
    return graph


def _rgb_frame(pixels: np.ndarray) -> av.VideoFrame:
    form = _format_of(pixels)
    if pixels.shape[2] == 4:
        pixels = extended_colours(pixels)
    if pixels.dtype == np.uint16:  # FFmpeg's white is 65280 on the way to brightness and colour; alpha's is not
        factors = np.array([256 / 257] * 3 + [1] * (pixels.shape[2] - 3), np.float32)
        pixels = np.rint(pixels * factors).astype(np.uint16)
    return av.VideoFrame.from_ndarray(pixels, format=form)


def _format_of(pixels: np.ndarray) -> str:
    """FFmpeg's name of their format."""
    if pixels.dtype == np.uint16:
        return "rgb48le" if pixels.shape[2] == 3 else "rgba64le"
    return "rgb24" if pixels.shape[2] == 3 else "rgba"


def _gif_frame(pixels: np.ndarray) -> av.VideoFrame:
    """A frame with a palette of its own, whose last colour is transparent."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3])).quantize(255)
    colours = np.reshape(image.getpalette(), (-1, 3))
    palette = np.zeros((256, 4), np.uint8)
    palette[:len(colours)] = np.column_stack([np.full(len(colours), 255), colours])
    indices = np.array(image)
    if pixels.shape[2] == 4:
        indices[pixels[..., 3] < 128] = 255
    return av.VideoFrame.from_ndarray((indices, palette), format="pal8")


def extended_colours(rgba: np.ndarray) -> np.ndarray:
    """Straight RGBA whose invisible pixels have the colour of visible ones nearby.

    Lossy codecs and coarser colour planes mix colours of neighbours; without this, edges would darken.
    """
    visible = np.where(rgba[..., 3:] > 0, rgba, 0)
    weight = (visible[..., 3] > 0).astype(np.float32)
    shown, near = visible[..., :3].astype(np.float32), 33
    around = cv2.blur(shown, (near, near)) / np.maximum(cv2.blur(weight, (near, near)), 1e-6)[..., None]
    result = rgba.copy()
    result[..., :3] = np.where(rgba[..., 3:] > 0, rgba[..., :3], np.clip(around, 0, np.iinfo(rgba.dtype).max))
    return result


def _frames_of_sound(sound: Sound, index: int) -> Iterator[av.AudioFrame]:
    """A part of a track as frames whose times count from its start; silence where the track starts later."""
    resampler, written = av.AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE), 0
    for piece in samples(sound, index, resampler, SOUND_RATE):
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = SOUND_RATE, Fraction(1, SOUND_RATE), written
        written += piece.shape[1]
        yield frame


def linear_light(coded: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1], float32, of colours that sRGB codes in [0, 255], or in [0, 65535] where they are uint16.
    """
    coded = coded.astype(np.float32) / (65535 if coded.dtype == np.uint16 else 255)
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def write_exr(path: Path, pixels: np.ndarray, frame_rate: Fraction | None = None) -> None:
    """Write one picture as OpenEXR: half floats of linear light, premultiplied where there is alpha.

    Args:
        path: the file.
        pixels: RGB [H, W, 3] or straight RGBA [H, W, 4] of uint8 or uint16, coded as sRGB.
        frame_rate: frames per second, for the header.
    """
    linear = linear_light(pixels[..., :3])
    planes = [linear[..., 1], linear[..., 2], linear[..., 0]]  # FFmpeg's order
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3].astype(np.float32) / np.iinfo(pixels.dtype).max
        planes = [plane * alpha for plane in planes] + [alpha]
    name = "gbrpf32le" if pixels.shape[2] == 3 else "gbrapf32le"
    frame = av.VideoFrame(pixels.shape[1], pixels.shape[0], name)
    for plane, values in zip(frame.planes, planes):
        rows = np.zeros((plane.height, plane.line_size // 4), np.float32)
        rows[:, :plane.width] = values
        plane.update(rows)
    encoder = av.CodecContext.create("exr", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = frame.width, frame.height, name, Fraction(1)
    encoder.options = {"format": "half", "compression": "zip16"}
    if frame_rate is not None:
        encoder.framerate = frame_rate
    path.write_bytes(_with_primaries(b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode()]))))


def _with_primaries(exr: bytes) -> bytes:
    """An EXR file of one part whose header names its primaries, which FFmpeg leaves out."""
    end = 8  # of the header's entries: behind the magic number and the version
    while exr[end]:
        size_at = exr.index(b"\0", exr.index(b"\0", end) + 1) + 1  # behind name and kind
        end = size_at + 4 + struct.unpack_from("<I", exr, size_at)[0]
    entry = b"chromaticities\0chromaticities\0" + struct.pack("<I8f", 32, *PRIMARIES)
    first = struct.unpack_from("<Q", exr, end + 1)[0]  # where the first block lies; the table of all ends there
    places = np.frombuffer(exr[end + 1:first], "<u8") + len(entry)
    return exr[:end] + entry + b"\0" + places.tobytes() + exr[first:]
