"""Videos, pictures and sound that are decoded back."""

import re
from fractions import Fraction

import av
import cv2
import numpy as np
import OpenEXR
import pytest
from av.video.reformatter import Colorspace

from tests.preparation.test_frames import counted, write_video
from util.errors import UserError
from util.sound import Sound
from util.video import COMMENT, FORMATS, PRIMARIES, VideoWriter, extended_colours, holds_alpha, linear_light, write_exr
from util.video_reader import PicturesByTime

RATE = Fraction(30000, 1001)
HEIGHT, WIDTH = 64, 96


def picture(number: int) -> np.ndarray:
    """A soft disc with colours of its own on nothing, straight RGBA; it moves from frame to frame."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = ((x - 30 - 3 * number) ** 2 + (y - 32) ** 2 < 400).astype(np.float32)
    alpha = cv2.GaussianBlur(disc, (9, 9), 3)
    colour = np.dstack([np.full_like(x, 220), 2 * x, 3 * y]) * (alpha > 0)[..., None]
    return np.dstack([colour, 255 * alpha]).round().astype(np.uint8)


def written(path, pictures, sound=None):
    writer = VideoWriter(path, RATE, sound)
    for pixels in pictures:
        writer.add(pixels)
    writer.close()
    return path


def decoded(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if path.suffix == ".webm":  # FFmpeg's own decoder of VP9 leaves alpha out
            decoder = av.CodecContext.create("libvpx-vp9", "r")
            frames = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
        else:
            frames = list(container.decode(stream))
    return [frame.reformat(format="rgba", src_colorspace=Colorspace.ITU709, dst_colorspace=Colorspace.ITU601)
            .to_ndarray(format="rgba") for frame in frames]


def shown(rgba: np.ndarray) -> np.ndarray:
    """Over grey, so that the colour of what is transparent does not count."""
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 128 * (1 - alpha)


@pytest.mark.parametrize("suffix, colour_error, alpha_error", [
    (".webm", 1.5, 1.5), (".mov", 0.5, 0.6), (".gif", 8, None)])
def test_alpha_comes_back_straight(tmp_path, suffix, colour_error, alpha_error):
    pictures = [picture(i) for i in range(6)]
    found = decoded(written(tmp_path / f"a{suffix}", pictures))
    assert len(found) == 6
    for made, true in zip(found, pictures):
        if alpha_error is None:  # on or off
            assert ((made[..., 3] == 255) == (true[..., 3] >= 128)).all()
            true = np.dstack([true[..., :3], made[..., 3]])
        else:
            assert np.abs(made[..., 3].astype(int) - true[..., 3]).mean() < alpha_error
        assert np.abs(shown(made) - shown(true)).mean() < colour_error


@pytest.mark.parametrize("suffix", FORMATS)
def test_opaque_videos_have_their_frames_colours_and_rate(tmp_path, suffix):
    pictures = [shown(picture(i)).astype(np.uint8) for i in range(6)]
    path = written(tmp_path / "videos" / f"a{suffix}", pictures)
    for made, true in zip(decoded(path), pictures, strict=True):
        assert np.abs(made[..., :3].astype(int) - true).mean() < 3
        assert np.abs(made[..., :3].astype(int).mean((0, 1)) - true.mean((0, 1))).max() < 1.5
    with av.open(str(path)) as container:
        assert abs(container.streams.video[0].average_rate / RATE - 1) < 0.12 if suffix == ".gif" else 1e-3


def test_a_file_says_that_it_was_made(tmp_path):
    for suffix in FORMATS:
        writer = VideoWriter(tmp_path / f"a{suffix}", Fraction(25))
        writer.add(np.zeros((16, 16, 3), np.uint8))
        writer.close()
        with av.open(str(tmp_path / f"a{suffix}")) as container:
            said = {key.lower(): value for key, value in container.metadata.items()}
        assert suffix == ".gif" or said["comment"] == COMMENT  # FFmpeg writes no comments into a GIF


def test_formats_that_hold_no_alpha_say_so():
    assert {suffix for suffix in FORMATS if not holds_alpha(suffix)} == {".mp4"}


def test_invisible_pixels_take_the_colour_of_their_neighbours_and_visible_ones_keep_theirs():
    rgba = picture(0)
    found = extended_colours(rgba)
    visible = rgba[..., 3] > 0
    assert (found[visible] == rgba[visible]).all() and (found[..., 3] == rgba[..., 3]).all()
    edge = cv2.dilate(visible.astype(np.uint8), np.ones((3, 3))).astype(bool) & ~visible
    assert np.abs(found[edge][:, 0].astype(int) - 220).max() <= 1


def test_an_exr_is_premultiplied_linear_light(tmp_path):
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[1, 2] = (188, 255, 0, 128)  # 188 is half the light of 255
    write_exr(tmp_path / "a.exr", rgba)
    with av.open(str(tmp_path / "a.exr")) as container:
        frame = next(container.decode(video=0)).reformat(format="gbrapf32le")
    rows = [np.frombuffer(plane, np.float32).reshape(4, -1)[:, :6] for plane in frame.planes]
    green, blue, red, alpha = (float(plane[1, 2]) for plane in rows)
    assert (red, green, blue, alpha) == pytest.approx((0.503 * 128 / 255, 128 / 255, 0, 128 / 255), abs=2e-3)
    assert sum(float(np.abs(plane).sum()) for plane in rows) == pytest.approx(red + green + blue + alpha)


def tone(path, seconds: float) -> None:
    """Sound whose pitch rises with every tenth of a second: 400 Hz, 500 Hz, ..."""
    times = np.arange(round(seconds * 44100)) / 44100
    wave = 0.5 * np.sin(2 * np.pi * times * (400 + 100 * np.floor(times * 10 + 1e-9)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray((wave * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode()])


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mov"])
def test_sound_is_cut_to_the_frames_and_heard_at_its_time(tmp_path, suffix):
    tone(tmp_path / "tone.wav", 2)
    frames = 18
    path = written(tmp_path / f"a{suffix}", [picture(i)[..., :3] for i in range(frames)],
                   Sound(tmp_path / "tone.wav", 0.4, float(frames / RATE)))
    with av.open(str(path)) as container:
        parts = list(container.decode(audio=0))
        samples = np.concatenate([part.to_ndarray().reshape(-1, 2)[:, 0] if part.format.is_packed else
                                  part.to_ndarray()[0] for part in parts])
        rate, start = parts[0].sample_rate, float(parts[0].time)
    assert len(samples) / rate == pytest.approx(frames / RATE, abs=0.05)
    for tenth in (0, 2, 4):  # of a second after 0.4 seconds: 800 Hz, 1000 Hz, 1200 Hz
        begin = round((tenth / 10 + 0.02 - start) * rate)
        spectrum = np.abs(np.fft.rfft(samples[begin:begin + round(0.06 * rate)] * np.hanning(round(0.06 * rate))))
        assert spectrum.argmax() / 0.06 == pytest.approx(800 + 100 * tenth, abs=20)


def test_a_file_without_sound_is_named_and_stops_no_picture(tmp_path):
    silent = written(tmp_path / "silent.mp4", [picture(0)[..., :3]])
    (tmp_path / "text.mka").write_text("no sound")
    for path in (silent, tmp_path / "text.mka"):
        writer = VideoWriter(tmp_path / "a.mp4", RATE, Sound(path, 0, 1))
        writer.add(picture(0)[..., :3])
        writer.close()
        assert re.search(f"{path.name}: .*sound", writer.warnings[0]) and len(writer.warnings) == 1
        with av.open(str(tmp_path / "a.mp4")) as container:
            assert len(list(container.decode(video=0))) == 1 and not container.streams.audio


def test_a_video_is_read_by_time_in_any_order_and_holds_its_end(tmp_path):
    pictures = [np.full((HEIGHT, WIDTH, 3), 10 * i, np.uint8) for i in range(20)]
    reader = PicturesByTime(written(tmp_path / "a.mp4", pictures), lambda frame: frame[:2, :2])
    for number in (0, 3, 2, 19, 7, 0, 18):
        assert abs(int(reader.at(number / float(RATE) + 0.001).mean()) - 10 * number) <= 3
    assert abs(int(reader.at(100).mean()) - 190) <= 3


def test_times_count_from_a_videos_first_picture_wherever_its_clock_begins(tmp_path):
    times = [Fraction(7) + i / Fraction(25) for i in range(60)]
    reader = PicturesByTime(write_video(tmp_path / "late.mkv", times), counted)
    for number in (0, 59, 3, 40, 1):
        assert reader.at(number / 25 + 0.001) == number % 40


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(UserError, match="a.mp4: not readable as a video"):
        PicturesByTime(tmp_path / "a.mp4", lambda frame: frame)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_halved_colour_planes_are_where_the_format_says_between_two_rows_and_at_the_left_one_of_two_columns(
        tmp_path, suffix):
    x = np.mgrid[:HEIGHT, :WIDTH][1]
    pixels = np.dstack([127 + 100 * np.sin(x / 5 + phase) for phase in (0, 2, 4)]).round().astype(np.uint8)
    with av.open(str(written(tmp_path / f"a{suffix}", [pixels]))) as container:
        frame = next(container.decode(video=0))
    plane = frame.planes[1]
    found = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, :plane.width].astype(float)
    blueness = pixels[..., 2] - pixels @ [0.2126, 0.7152, 0.0722]
    expected = (128 + blueness * 224 / 255 / 1.8556)[::2]  # rows are alike here
    left, right = (expected[:, column::2][:, 2:-2] for column in (0, 1))
    errors = [np.sqrt(np.mean((found[:, 2:-2] - other) ** 2)) for other in (left, (left + right) / 2)]
    assert errors[0] < errors[1] / 2


def test_whole_colour_planes_stay_where_they_are(tmp_path):
    x = np.mgrid[:HEIGHT, :WIDTH][1]
    pixels = np.dstack([127 + 100 * np.sin(x / 2 + phase) for phase in (0, 2, 4)]).round().astype(np.uint8)
    found, = decoded(written(tmp_path / "a.mov", [pixels]))
    assert np.sqrt(np.mean((found[..., :3].astype(float) - pixels) ** 2)) < 1.5


def test_headers_of_prores_frames_name_the_colours_as_the_container_does(tmp_path):
    with av.open(str(written(tmp_path / "a.mov", [picture(0)]))) as container:
        data = bytes(next(container.demux(video=0)))
    assert data[4:8] == b"icpf"
    assert data[22:25] == bytes([1, 1, 1]), "primaries, transfer and matrix of BT.709"


@pytest.mark.parametrize("alpha", [False, True])
def test_the_header_of_an_exr_names_primaries_and_rate_and_all_of_it_is_read(tmp_path, alpha):
    pixels = picture(0) if alpha else picture(0)[..., :3].copy()
    write_exr(tmp_path / "a.exr", pixels, RATE)
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        header, red = dict(file.header()), file.channels()["R"].pixels.astype(float)
    np.testing.assert_allclose(header["chromaticities"], PRIMARIES, atol=1e-6)
    assert header["framesPerSecond"] == RATE
    expected = linear_light(pixels[..., 0]) * (pixels[..., 3] / 255 if alpha else 1)
    assert np.abs(red - expected).max() < 1e-3
