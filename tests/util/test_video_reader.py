"""What a video means beyond its pixels: small files that are known, read back as a player shows them."""

import io
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from tests.preparation.test_frames import counted, picture, steady, write_video
from util.errors import UserError
from util.media import assumed_matrix, orientation, remarks
from util.pictures import read_picture
from util.sound import Sound, save_sound
from util.video import VideoWriter, write_exr
from util.video_reader import VideoReader

SIZE = (96, 64)


def lossless(path: Path, pictures: list[np.ndarray], pix_fmt: str, matrix: Colorspace = Colorspace.ITU601,
             **tags) -> Path:
    """An FFV1 file of these pictures, RGB of 8 or 16 bits, coded by a matrix and with tags of its own."""
    with av.open(str(path), "w") as container:
        height, width = pictures[0].shape[:2]
        stream = container.add_stream("ffv1", rate=25, width=width, height=height, pix_fmt=pix_fmt)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for number, pixels in enumerate(pictures):
            if pixels.dtype == np.uint16 and pix_fmt.startswith("yuv"):  # FFmpeg's white of 16 bits is 65280 there
                pixels = (pixels * (256 / 257)).round().astype(np.uint16)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le" if pixels.dtype == np.uint16 else "rgb24")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=matrix, src_color_range=2, dst_color_range=1)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def flat(rgb, dtype=np.uint8, size=SIZE) -> np.ndarray:
    return np.full((size[1], size[0], 3), rgb, dtype)


def only(path: Path) -> np.ndarray:
    return next(VideoReader(path).frames())[1]


def texts(path: Path) -> str:
    video = VideoReader(path)
    return "\n".join(remark.text for remark in remarks(video.facts, video.survey()))


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into the track header of an MP4 file, as phones do."""
    data = path.read_bytes()
    place = data.index(b"tkhd") + 4 + 40
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:place] + matrix + data[place + 36:])
    return path


@pytest.mark.parametrize(("transfer", "grey", "white"), [(18, 0.38, 0.75), (16, 0.38, 0.58)])
def test_hdr_is_shown_with_its_white_as_white(tmp_path, transfer, grey, white):
    # Signals of an 18 % grey card (26 cd/m2) and of white (203 cd/m2), from tables 1 and 2 of ITU-R BT.2408.
    path = lossless(tmp_path / "hdr.mkv", [flat(round(grey * 65535), np.uint16), flat(round(white * 65535), np.uint16),
                                           flat(65535, np.uint16)], "yuv444p10le", Colorspace.ITU709,
                    color_trc=transfer, color_primaries=9, colorspace=1)
    found = [float(pixels.mean()) for _, pixels in VideoReader(path).frames()]
    assert found[0] == pytest.approx(100, abs=4) and 235 < found[1] < 246 and found[2] == pytest.approx(255, abs=1)
    assert "HDR" in texts(path) and "BT.2020" in texts(path)


@pytest.mark.parametrize(("metadata", "curve"), [
    ({"com.arri.camera.ColorGammaSxS": "LOG-C"}, "LOG-C"),
    ({"com.panasonic.metadata.xml": "<Gamma>V-Log</Gamma>"}, "V-Log"),
    ({"title": "my vlog", "comment": "filmed with V-Log"}, None), ({"color_gamma": "Rec.709"}, None)])
def test_a_logarithmic_curve_that_the_metadata_name_is_told(tmp_path, metadata, curve):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata)
        stream = container.add_stream("ffv1", rate=25, width=96, height=64, pix_fmt="yuv444p")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(SIZE, 0), format="rgb24")))
        container.mux(stream.encode())
    assert (f"coded logarithmically ({curve})" in texts(path)) == (curve is not None)
    assert ("logarithmically" in texts(path)) == (curve is not None)


@pytest.mark.parametrize(("value", "curve"), [("s-log3-cine", "s-log3"), ("rec709-xvycc", "")])
def test_sony_s_curve_is_found_in_the_file(tmp_path, value, curve):
    path = write_video(tmp_path / "C0001.MP4", steady(2))
    box = f'<Item name="CaptureGammaEquation" value="{value}"/>'.encode()
    path.write_bytes(path.read_bytes() + struct.pack(">I", len(box) + 8) + b"free" + box)
    assert VideoReader(path).facts.log_curve == curve


@pytest.mark.parametrize(("transfer", "severity", "words"), [
    (2, 2, "colours will be wrong"), (18, 0, "its picture for other programs"), (16, 0, "its picture for"),
    (1, 0, "its picture for")])
def test_dolby_vision_is_told_by_what_other_programs_can_see_of_it(tmp_path, transfer, severity, words):
    facts = replace(VideoReader(write_video(tmp_path / "a.mkv", steady(1))).facts, dolby_vision=True, transfer=transfer)
    said = next(remark for remark in remarks(facts) if "Dolby" in remark.text)
    assert said.severity == severity and words in said.text


def test_colours_of_hdr_are_those_that_were_put_into_it(tmp_path):
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    for srgb in ((200, 60, 40), (40, 180, 60), (50, 70, 190), (128, 128, 128)):
        level = np.array(srgb) / 255
        light = to_bt2020 @ np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4) * 203 / 10000
        power = light ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
        path = lossless(tmp_path / "pq.mkv", [flat((signal * 65535).round(), np.uint16)], "gbrp10le", color_trc=16,
                        color_primaries=9)
        assert np.abs(only(path).astype(int) - srgb).max() <= 3, srgb


def test_wide_colours_without_hdr_are_converted_too(tmp_path):
    # Display P3's (0, 1, 0) lies outside sRGB; its grey is the same grey, and sRGB's red is (234, 51, 35) in it.
    for primaries, coded, srgb in ((12, (234, 51, 35), (255, 0, 0)), (12, (99, 99, 99), (99, 99, 99))):
        path = lossless(tmp_path / "p3.mkv", [flat(coded)], "gbrp10le", color_primaries=primaries, color_trc=1)
        assert np.abs(only(path).astype(int) - srgb).max() <= 3
        assert "Display P3" in texts(path)


@pytest.mark.parametrize(("size", "matrix"), [((1280, 64), Colorspace.ITU709), ((96, 592), Colorspace.ITU709),
                                              ((96, 64), Colorspace.ITU601)])
def test_a_video_that_does_not_say_is_read_by_the_matrix_of_its_size(tmp_path, size, matrix):
    colour = (200, 40, 60)
    path = lossless(tmp_path / "untagged.mkv", [flat(colour, size=size)], "yuv444p", matrix)
    assert np.abs(only(path).astype(int) - colour).max() <= 3
    assert ("BT.709" in texts(path)) == (matrix == Colorspace.ITU709)


def test_what_a_file_says_of_its_matrix_counts_more_than_its_size(tmp_path):
    path = lossless(tmp_path / "tagged.mkv", [flat((200, 40, 60))], "yuv444p", Colorspace.ITU709, colorspace=1)
    assert np.abs(only(path).astype(int) - (200, 40, 60)).max() <= 3
    assert assumed_matrix((96, 64), 1) == 1 and assumed_matrix((1920, 1080), 6) == 5


@pytest.mark.parametrize(("matrix", "expected"), [
    ((-1, 0, 0, 1), lambda p: p[:, ::-1]), ((1, 0, 0, -1), lambda p: p[::-1]),
    ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)), ((0, -1, -1, 0), lambda p: p[::-1, ::-1].transpose(1, 0, 2)),
    ((0, 1, -1, 0), lambda p: np.rot90(p, -1)), ((0, -1, 1, 0), lambda p: np.rot90(p)),
    ((-1, 0, 0, -1), lambda p: p[::-1, ::-1])])
def test_a_display_matrix_mirrors_and_turns(tmp_path, matrix, expected):
    path = with_matrix(write_video(tmp_path / "phone.mp4", steady(1)), *matrix)
    shown = expected(picture(SIZE, 0))
    found = only(path)
    assert found.shape == shown.shape == (*VideoReader(path).size[::-1], 3)
    assert np.abs(found.astype(int) - shown).mean() < 6
    determinant = matrix[0] * matrix[3] - matrix[1] * matrix[2]
    assert VideoReader(path).facts.mirrored == (determinant < 0) == ("mirrored" in texts(path))


def test_a_matrix_that_turns_by_another_angle_leaves_the_picture():
    assert orientation(np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])) == (False, 0)


def write_interlaced(path: Path, count: int) -> Path:
    """Frames of two fields, the lower one first; in each field a bar has moved on by 8 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=96, height=64, pix_fmt="yuv420p")
        stream.options = {"crf": "4", "x264-params": "bff=1"}
        for number in range(count):
            pixels = np.full((64, 96, 3), 40, np.uint8)
            for field in (0, 1):
                left = 4 + 8 * (2 * number + field) % 80
                pixels[1 - field::2, left:left + 8] = 220
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def combing(pixels: np.ndarray) -> float:
    grey = pixels.astype(int).mean(axis=2)
    return float((np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]) > 100).mean())


def test_an_interlaced_video_comes_out_progressive_frame_by_frame(tmp_path):
    video = VideoReader(write_interlaced(tmp_path / "fields.mp4", 6))
    found = [pixels for _, pixels in video.frames()]
    assert len(found) == 6 and max(map(combing, found)) < 0.02
    columns = [int(np.flatnonzero(pixels[30, :, 0] > 128).min()) for pixels in found]
    assert columns == pytest.approx([4 + 16 * number % 80 for number in range(6)], abs=1)  # its first field
    assert video.survey().interlaced == 6 and "interlaced in 6 of 6 frames" in texts(video.path)
    assert [round(seconds, 3) for seconds, _ in video.frames()] == [round(i / 25, 3) for i in range(6)]


def test_combs_in_a_video_that_says_it_is_progressive_are_told(tmp_path):
    combed = [pixels.repeat(2, axis=1)[:, :96] for pixels in (picture(SIZE, 0), picture(SIZE, 1))]
    for number, pixels in enumerate(combed):
        for field in (0, 1):
            left = 10 + 24 * number + 12 * field
            pixels[field::2, left:left + 12] = 255 - pixels[field::2, left:left + 12]
    assert "looks interlaced" in texts(lossless(tmp_path / "a.mkv", combed, "yuv444p"))
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    for number, pixels in enumerate((noise, picture(SIZE, 0))):
        assert "looks interlaced" not in texts(lossless(tmp_path / f"{number}.mkv", [pixels], "yuv444p"))


def with_aspect(path: Path, size: tuple[int, int], aspect: str) -> Path:
    frame = av.VideoFrame.from_ndarray(picture(size, 0), format="rgb24").reformat(format="yuv444p")
    path.write_bytes(f"YUV4MPEG2 W{size[0]} H{size[1]} F25:1 Ip A{aspect} C444\nFRAME\n".encode()
                     + frame.to_ndarray().tobytes())
    return path


def test_pixels_become_square(tmp_path):
    path = with_aspect(tmp_path / "squeezed.y4m", (48, 64), "2:1")
    video = VideoReader(path)
    assert video.size == SIZE and video.pixel_aspect == 2 and video.facts.stored_size == (48, 64)
    assert np.abs(only(path).astype(int) - picture(SIZE, 0)).mean() < 6
    assert "pixels of 2:1" in texts(path)


def test_an_aspect_that_cannot_be_is_not_believed(tmp_path):
    path = with_aspect(tmp_path / "strange.y4m", SIZE, "100:1")
    assert VideoReader(path).size == SIZE and "taken for square" in texts(path)


def write_jpegs(path: Path, pictures: list[np.ndarray]) -> Path:
    """A raw stream of JPEG pictures, which has no clock."""
    path.write_bytes(b"".join(cv2.imencode(".jpg", p[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
                              for p in pictures))
    return path


@pytest.mark.parametrize(("second", "severity"), [((48, 32), 1), ((64, 96), 2)])
def test_a_picture_that_changes_its_size_is_brought_to_the_first_size_and_told(tmp_path, second, severity):
    path = write_jpegs(tmp_path / "call.mjpeg", [picture(SIZE, 0), picture(second, 0), picture(second, 1)])
    video = VideoReader(path)
    found = [pixels for _, pixels in video.frames()]
    assert [pixels.shape for pixels in found] == [(64, 96, 3)] * 3
    said = [remark for remark in remarks(video.facts, video.survey()) if "changes its size" in remark.text]
    assert said[0].severity == severity and f"96x64 from frame 1, then {second[0]}x{second[1]} from frame 2" in said[
        0].text
    if severity == 1:
        assert np.abs(found[1].astype(int) - cv2.resize(picture(second, 0), SIZE)).mean() < 6
    else:
        assert found[1][:, :20].max() < 8 and found[1][:, 40:56].mean() > 50


def test_a_clock_that_starts_again_is_carried_on(tmp_path):
    parts = [write_video(tmp_path / f"{name}.ts", steady(count)) for name, count in (("a", 12), ("b", 8))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    video = VideoReader(joined)
    survey = video.survey()
    assert [counted(pixels) for _, pixels in video.frames()] == [*range(12), *range(8)]
    assert np.allclose(survey.times, np.arange(20) / 25, atol=1e-3) and survey.restarts == [12]
    assert survey.dropped == 0 and "starts again once, first at frame 13 (0.48 s)" in texts(joined)


def test_a_pause_of_the_recorder_is_told(tmp_path):
    times = [*steady(5), *(Fraction(8) + time for time in steady(5))]
    assert "no frame for 7.8 s after 0.16 s" in texts(write_video(tmp_path / "pause.mkv", times))


@pytest.mark.parametrize("name", ["12:30.mp4", "pipe:0.mov", "50% #1?.mp4", "-y.mp4", "shot%04d.exr", "a:b/c*.exr"])
def test_a_name_is_a_name_whatever_programs_read_in_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    if name.endswith(".exr"):
        write_exr(Path("shot0001.exr"), picture(SIZE, 3))
        write_exr(Path(name), picture(SIZE, 7))
        seen = read_picture(Path(name)).pixels
    else:
        write_video(tmp_path / f"plain{Path(name).suffix}", steady(8), sound=True).rename(name)
        *_, (_, seen) = VideoReader(name).frames()
        assert save_sound(Sound(Path(name), 0, 0.3), tmp_path / "sound.mka")[0]
        writer = VideoWriter(Path(f"2{name}"), Fraction(25), Sound(Path(name), 0, 0.3))
        writer.add(picture(SIZE, 3))
        writer.close()
        assert counted(only(tmp_path / f"2{name}")) == 3 and not writer.warnings
    assert counted(seen) == 7


def test_alpha_is_given_where_it_is_asked_for_and_else_told(tmp_path):
    rgba = np.dstack([picture(SIZE, 0), np.full(SIZE[::-1], 255, np.uint8)])
    rgba[:, :40, 3] = 0
    for name in ("a.mov", "a.webm"):
        writer = VideoWriter(tmp_path / name, Fraction(25))
        writer.add(rgba)
        writer.close()
        video = VideoReader(tmp_path / name)
        _, found = next(video.frames(alpha=True))
        assert found.shape == (64, 96, 4) and np.abs(found[..., 3].astype(int) - rgba[..., 3]).mean() < 2
        assert video.facts.alpha and "alpha, which is left out" in texts(video.path)
        assert next(video.frames())[1].shape == (64, 96, 3)
    assert not VideoReader(write_video(tmp_path / "opaque.mp4", steady(1))).facts.alpha


def test_deep_pictures_are_rounded_and_their_depth_is_known(tmp_path):
    path = lossless(tmp_path / "deep.mkv", [flat(40000, np.uint16)], "gbrp12le")
    assert VideoReader(path).facts.bit_depth == 12
    assert abs(float(only(path).mean()) - 40000 / 257) <= 1


@pytest.mark.parametrize("pix_fmt", ("yuv420p10le", "yuv422p10le", "yuv444p10le"))
def test_all_bits_are_given_where_they_are_asked_for(tmp_path, pix_fmt):
    path = tmp_path / "ramp.mkv"
    codes = np.arange(64, 64 + 876)  # of 10 bits, from black to white, one a column
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=876, height=8, pix_fmt=pix_fmt)
        frame = av.VideoFrame(876, 8, pix_fmt)
        for plane, values in zip(frame.planes, (codes, 512, 512)):
            rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
            rows[:, :plane.width] = values
            plane.update(rows)
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode()])
    found = next(VideoReader(path).frames(deep=True))[1]
    expected = (codes - 64) / 876 * 65535
    assert found.dtype == np.uint16 and found.shape == (8, 876, 3)
    assert np.abs(found - expected[:, None]).max() < 40  # half a step of 10 bits
    assert len(np.unique(found[4, :, 1])) == 876
    assert np.abs(only(path) - found / 257).max() <= 1.01


def test_hdr_keeps_its_bits_as_srgb(tmp_path):
    path = lossless(tmp_path / "hdr.mkv", [np.repeat(np.linspace(0, 65535, 96), 3).reshape(1, 96, 3).repeat(
        64, axis=0).astype(np.uint16)], "gbrp12le", color_trc=18, color_primaries=9)
    deep = next(VideoReader(path).frames(deep=True))[1]
    assert np.abs(deep / 257 - only(path)).max() <= 0.51
    assert (np.diff(deep[0, :80, 1].astype(int)) > 0).all()


@pytest.mark.parametrize("suffix", (".mp4", ".webm"))
def test_colours_that_are_stored_in_fewer_pixels_are_interpolated_where_they_are(tmp_path, suffix):
    coarse = np.random.default_rng(0).random((20, 32, 3)).astype(np.float32)
    shown = (255 * cv2.resize(coarse, (256, 160), interpolation=cv2.INTER_CUBIC).clip(0, 1)).round().astype(np.uint8)
    video = VideoWriter(tmp_path / f"colours{suffix}", Fraction(25))
    video.add(shown)
    video.close()
    error = np.square(only(tmp_path / f"colours{suffix}").astype(float) - shown).mean()
    assert 10 * np.log10(255 ** 2 / error) > 31  # 27 where they are repeated, 30 half a pixel beside


def test_a_file_with_a_cover_and_no_video_is_none(tmp_path):
    path, cover = tmp_path / "song.mp3", io.BytesIO()
    Image.new("RGB", (32, 32)).save(cover, "png")
    image = cover.getvalue()
    body = b"\x00image/png\x00\x03\x00" + image
    frame = b"APIC" + struct.pack(">IH", len(body), 0) + body
    length = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=44100, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16p", layout="mono")
        samples.sample_rate = 44100
        container.mux([*stream.encode(samples), *stream.encode()])
    sound = path.read_bytes()
    path.write_bytes(b"ID3\x03\x00\x00" + length + frame + sound[sound.index(b"\xff\xfb"):])
    with pytest.raises(UserError, match="holds a cover picture, audio, no video"):
        VideoReader(path)


def test_prores_says_in_each_frame_how_its_colours_are_coded(tmp_path):
    writer = VideoWriter(tmp_path / "a.mov", Fraction(25))
    writer.add(picture(SIZE, 0))
    writer.close()
    with av.open(str(tmp_path / "a.mov")) as container:
        header = bytes(next(container.demux(video=0)))
    assert header[4:8] == b"icpf" and tuple(header[22:25]) == (1, 1, 1)  # primaries, transfer, matrix: BT.709


def test_what_other_packages_ask_of_ffmpeg_s_log_does_not_count_when_a_file_is_opened(tmp_path):
    """Threads that decode would wait for Python, and Python, which closes the file, for them, now and then."""
    path = write_video(tmp_path / "clip.mp4", steady(4))
    av.logging.set_level(av.logging.ERROR)
    assert len(VideoReader(path).times()) == 4
    assert av.logging.get_level() is None
