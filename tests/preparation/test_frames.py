import re
import struct
import tracemalloc
from argparse import ArgumentParser
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from preparation import frames
from preparation.steps import perform, read_values
from util.errors import UserError
from util.images import read_all_bits
from util.video_reader import VideoReader, nearest_frames, steady_rate

SIZE = (96, 64)
QUARTERS = np.array([[(230, 30, 30), (30, 200, 30)], [(30, 30, 220), (240, 240, 240)]], np.uint8)


def picture(size: tuple[int, int], frame: int) -> np.ndarray:
    """Four coloured quarters, and a grey bar in the middle whose level counts the frames."""
    width, height = size
    pixels = QUARTERS.repeat(-(-height // 2), 0)[:height].repeat(-(-width // 2), 1)[:, :width].copy()
    pixels[height // 2 - 8:height // 2 + 8] = 20 + 5 * (frame % 40)
    return pixels


def counted(pixels: np.ndarray) -> int:
    """The frame's number that `picture` wrote."""
    height, width = pixels.shape[:2]
    return round((float(pixels[height // 2 - 4:height // 2 + 4, width // 2 - 4:width // 2 + 4].mean()) - 20) / 5)


def write_video(path: Path, times: list[Fraction], size=SIZE, sound: bool = False, pix_fmt: str = "yuv444p") -> Path:
    """A nearly lossless H.264 video with frames at these seconds, and a tone as long as it if asked for."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, width=size[0], height=size[1], pix_fmt=pix_fmt)
        stream.options = {"crf": "1", "preset": "ultrafast"}
        stream.codec_context.time_base = Fraction(1, 90000)
        tone = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(size, number), format="rgb24")
            frame.pts, frame.time_base = int(time * 90000), Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone is not None:
            samples = np.sin(np.arange(int(8000 * times[-1])) / 3).astype(np.float32)
            for start in range(0, len(samples), 1024):
                frame = av.AudioFrame.from_ndarray(samples[None, start:start + 1024], format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
                container.mux(tone.encode(frame))
            container.mux(tone.encode())
    return path


def steady(count: int, rate: Fraction = Fraction(25)) -> list[Fraction]:
    return [i / rate for i in range(count)]


def prepare(root: Path, *arguments, overwrite: bool = False):
    parser = ArgumentParser()
    frames.add_options(parser)
    return perform(frames.STEP, root, parser.parse_args([str(a) for a in arguments]), overwrite)[0]


def contents(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())]


def test_frames_come_out_in_three_sizes_with_rate_and_sound(tmp_path):
    video = write_video(tmp_path / "clip.mp4", steady(12, Fraction(30000, 1001)), sound=True)
    outcome = prepare(tmp_path / "root", video)
    root = tmp_path / "root"
    assert [counted(p) for p in contents(root / "rgb")] == list(range(12))
    assert [p.name for p in sorted((root / "rgb").iterdir())][:2] == ["0001.jpg", "0002.jpg"]
    assert {p.shape for p in contents(root / "rgb")} == {(64, 96, 3)}
    small, large = contents(root / "rgb_256"), contents(root / "rgb_512")
    assert {p.shape for p in small} == {(256, 384, 3)} and {p.shape for p in large} == {(512, 768, 3)}
    assert np.abs(contents(root / "rgb")[0].astype(int) - picture(SIZE, 0)).mean() < 6
    values = read_values(root / "metadata.json")
    assert values["frame_rate"] == "30000/1001" and values["size_LR"] == [384, 256]
    assert values["alphapose_input_size"] == values["original_size"] == [96, 64]
    assert "12 frames of 96x64" in outcome.summary and "with sound" in outcome.summary
    with av.open(str(root / values["audio"])) as sound:
        assert sound.streams.audio[0].codec_context.name == "aac"
        decoded = sum(frame.samples for frame in sound.decode(audio=0))
        assert abs(decoded / 8000 - 12 / 29.97) < 0.3


def test_start_end_and_every_choose_frames_and_sound(tmp_path):
    video = write_video(tmp_path / "clip.mp4", steady(40, Fraction(20)), sound=True)
    prepare(tmp_path / "root", video, "--start", 0.5, "--end", 1.5, "--every", 3)
    assert [counted(p) for p in contents(tmp_path / "root" / "rgb")] == [10, 13, 16, 19, 22, 25, 28]
    values = read_values(tmp_path / "root" / "metadata.json")
    assert values["source"] == {"file": "clip.mp4", "frames": [10, 13, 16, 19, 22, 25, 28], "first_second": 0.5}
    assert Fraction(values["frame_rate"]) == Fraction(20, 3)
    with av.open(str(tmp_path / "root" / "audio.mka")) as sound:
        times = [packet.pts * packet.time_base for packet in sound.demux(audio=0) if packet.pts is not None]
        assert 0 <= times[0] < 0.15 and 0.8 < times[-1] < 1.1


def with_rotation(path: Path, degrees_clockwise: int) -> Path:
    """Write a display matrix into the track header of an MP4 file, as phones do."""
    data = path.read_bytes()
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees_clockwise]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    place = data.index(b"tkhd") + 4 + 40
    assert struct.unpack(">i", data[place:place + 4])[0] == 1 << 16
    path.write_bytes(data[:place] + matrix + data[place + 36:])
    return path


@pytest.mark.parametrize(("clockwise", "counterclockwise"), [(90, 270), (180, 180), (270, 90)])
def test_a_rotated_video_comes_out_upright(tmp_path, clockwise, counterclockwise):
    video = with_rotation(write_video(tmp_path / "phone.mp4", steady(2)), clockwise)
    prepare(tmp_path / "root", video)
    expected = np.rot90(picture(SIZE, 0), -clockwise // 90)
    found = contents(tmp_path / "root" / "rgb")[0]
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 6
    values = read_values(tmp_path / "root" / "metadata.json")
    assert values["rotation"] == counterclockwise
    assert values["original_size"] == [expected.shape[1], expected.shape[0]]


def test_a_varying_rate_becomes_steady_and_is_said(tmp_path):
    times = [Fraction(i, 30) for i in range(10)] + [Fraction(9, 30) + Fraction(i, 10) for i in range(1, 4)]
    outcome = prepare(tmp_path / "root", write_video(tmp_path / "phone.mp4", times))
    values = read_values(tmp_path / "root" / "metadata.json")
    assert values["frame_rate"] == "30/1"
    assert [counted(p) for p in contents(tmp_path / "root" / "rgb")] == values["source"]["frames"]
    assert values["source"]["frames"][:10] == list(range(10)) and len(values["source"]["frames"]) == 19
    assert "variable frame rate, 33 to 100 ms" in outcome.findings[0].text and outcome.findings[0].severity == 1


@pytest.mark.parametrize("gap", [60, 600, 10 ** 8])
def test_a_clip_that_stands_still_for_most_of_its_time_is_refused_and_its_parts_are_taken(tmp_path, gap):
    times = [*steady(3), *(Fraction(3, 25) + gap + time for time in steady(4))]
    video = write_video(tmp_path / "stream.mkv", times)
    with pytest.raises(UserError, match=f"no frame for {gap}.0 s after 0.08 s") as error:
        prepare(tmp_path / "root", video)
    assert not (tmp_path / "root").exists()
    end, start = (re.search(rf"--{name} ([\d.]+)", str(error.value))[1] for name in ("end", "start"))
    for option, second, numbers in (("--end", end, [0, 1, 2]), ("--start", start, [3, 4, 5, 6])):
        prepare(tmp_path / option, video, option, second)
        assert [counted(p) for p in contents(tmp_path / option / "rgb")] == numbers


def test_a_short_pause_is_shown_as_it_was(tmp_path):
    times = [*steady(50), *(Fraction(6) + time for time in steady(60))]
    assert "no frame for 4.0 s after 1.96 s" in prepare(
        tmp_path / "root", write_video(tmp_path / "a.mkv", times), "--every", 50).findings[0].text


@pytest.mark.parametrize("size", [(97, 65), (101, 240), (64, 48)])
def test_odd_and_small_sizes_work(tmp_path, size):
    prepare(tmp_path / "root", write_video(tmp_path / "odd.mp4", steady(2), size))
    values = read_values(tmp_path / "root" / "metadata.json")
    assert contents(tmp_path / "root" / "rgb")[0].shape[1::-1] == size
    width, height = values["size_LR"]
    assert height == 256 and width % 16 == 0 and contents(tmp_path / "root" / "rgb_512")[1].shape == (512, 2 * width, 3)


@given(st.integers(2, 5000), st.integers(2, 5000), st.sampled_from([64, 128, 256, 512]))
def test_no_other_width_distorts_less(width, height, low):
    chosen = frames.nearest_width((width, height), low)
    def distortion(candidate):
        return abs(np.log(candidate / low / (width / height)))
    others = range(64, chosen + 160, 16)
    assert chosen in others and distortion(chosen) <= min(map(distortion, others)) + 1e-12


def test_a_video_of_one_frame_is_a_clip_of_one_frame(tmp_path):
    outcome = prepare(tmp_path / "root", write_video(tmp_path / "one.mp4", steady(1)))
    assert outcome.summary.startswith("1 frame of 96x64")
    assert len(contents(tmp_path / "root" / "rgb_256")) == 1


def test_what_is_not_a_video_is_refused_in_one_line_and_leaves_nothing(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("this is not a video\n" * 50)
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    sound = tmp_path / "sound.mp4"
    write_video(tmp_path / "both.mp4", steady(9), sound=True)
    with av.open(str(tmp_path / "both.mp4")) as both, av.open(str(sound), "w") as out:
        copy = out.add_stream_from_template(both.streams.audio[0])
        for packet in both.demux(both.streams.audio[0]):
            if packet.pts is not None:
                packet.stream = copy
                out.mux(packet)
    (tmp_path / "folder").mkdir()
    for source, words in ((text, "not readable as a video"), (empty, "not readable as a video"),
                          (sound, "holds audio, no video"), (tmp_path / "absent.mp4", "no such file"),
                          (tmp_path / "folder", "no images")):
        with pytest.raises(UserError, match=words) as error:
            prepare(tmp_path / "root", source)
        assert str(source) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UserError, match="VIDEO: none given"):
        prepare(tmp_path / "root")
    with pytest.raises(UserError, match="ends after 0.32 s"):
        prepare(tmp_path / "root", tmp_path / "both.mp4", "--start", 5)
    assert not (tmp_path / "root").exists()


def test_a_truncated_video_gives_the_frames_that_can_be_decoded(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", steady(20))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[:whole.stat().st_size * 2 // 3])
    prepare(tmp_path / "root", cut)
    numbers = [counted(p) for p in contents(tmp_path / "root" / "rgb")]
    assert 5 < len(numbers) < 20 and numbers == list(range(len(numbers)))


def write_pictures(folder: Path, names: list[str], **options) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.fromarray(picture(SIZE, number)).save(folder / name, **options)
    return folder


def test_a_folder_of_frames_keeps_its_files_and_names(tmp_path):
    folder = write_pictures(tmp_path / "shot", ["b_07.png", "b_08.png", "b_09.png"])
    prepare(tmp_path / "root", folder, "--frame_rate", "24000/1001")
    assert [p.name for p in sorted((tmp_path / "root" / "rgb").iterdir())] == ["b_07.png", "b_08.png", "b_09.png"]
    assert (tmp_path / "root" / "rgb" / "b_08.png").read_bytes() == (folder / "b_08.png").read_bytes()
    assert sorted(p.stem for p in (tmp_path / "root" / "rgb_256").iterdir()) == ["b_07", "b_08", "b_09"]
    assert read_values(tmp_path / "root" / "metadata.json")["frame_rate"] == "24000/1001"


def test_frames_whose_names_do_not_sort_as_they_count_are_renamed(tmp_path):
    folder = write_pictures(tmp_path / "shot", [f"{number}.png" for number in range(12)])
    outcome = prepare(tmp_path / "root", folder)
    assert [counted(p) for p in contents(tmp_path / "root" / "rgb")] == list(range(12))
    source = read_values(tmp_path / "root" / "metadata.json")["source"]
    assert source["names"] == [str(number) for number in range(12)]
    assert "do not sort as they count" in outcome.findings[0].text


def test_pictures_are_turned_as_their_exif_data_asks(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    folder = write_pictures(tmp_path / "shot", ["1.jpg"], exif=exif, quality=95)
    prepare(tmp_path / "root", folder)
    expected = np.rot90(picture(SIZE, 0), -1)
    assert np.abs(contents(tmp_path / "root" / "rgb")[0].astype(int) - expected).mean() < 8


def test_a_picture_of_another_size_is_named(tmp_path):
    folder = write_pictures(tmp_path / "shot", ["1.png", "2.png"])
    Image.new("RGB", (50, 40)).save(folder / "2.png")
    with pytest.raises(UserError, match=r"2\.png: 50x40 pixels; expected 96x64"):
        prepare(tmp_path / "root", folder)


def test_a_handmade_folder_rgb_is_a_source_and_stays(tmp_path):
    write_pictures(tmp_path / "root" / "rgb", ["0001.png", "0002.png"])
    prepare(tmp_path / "root")
    assert (tmp_path / "root" / "rgb" / "0001.png").exists()
    assert len(contents(tmp_path / "root" / "rgb_512")) == 2


def test_memory_does_not_grow_with_the_video(tmp_path):
    def peak(count: int) -> int:
        video = VideoReader(write_video(tmp_path / f"{count}.mp4", steady(count)))
        tracemalloc.start()
        for _ in video.frames():
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(120) < peak(20) + 96 * 64 * 3 * 4


@given(st.lists(st.integers(1, 100), min_size=1, max_size=40), st.sampled_from([Fraction(24), Fraction(30000, 1001)]))
def test_every_instant_gets_the_frame_nearest_in_time(gaps, rate):
    times = [0.0, *np.cumsum(gaps) / 1000]
    chosen = nearest_frames(times, rate)
    assert chosen == sorted(chosen)
    for instant, index in enumerate(chosen):
        distances = np.abs(np.array(times) - instant / float(rate))
        assert distances[index] <= distances.min() + 1e-9


@given(st.sampled_from([Fraction(24), Fraction(24000, 1001), Fraction(30), Fraction(50)]), st.integers(60, 400))
def test_times_in_whole_milliseconds_still_give_the_exact_rate(rate, count):
    times = [round(float(i / rate), 3) for i in range(count)]
    assert steady_rate(times, None) == (rate, True)


def test_a_clock_that_jitters_keeps_the_rate_that_the_file_claims():
    times = [i / 25 + 0.01 * (i % 3) for i in range(20)]
    assert steady_rate(times, Fraction(25)) == (25, False)
    assert nearest_frames(times, Fraction(25)) == list(range(20))
    late = [0.0, *(0.04 * i for i in range(2, 101))]  # after a frame that is shown twice as long, all are in step
    assert steady_rate(late, Fraction(25)) == steady_rate(late, None) == (25, False)


def test_levels_are_read_as_the_file_says(tmp_path):
    for level, name in ((1, "limited"), (2, "full")):
        path = tmp_path / f"{name}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, width=64, height=64, pix_fmt="yuv420p")
            stream.codec_context.color_range = level
            frame = av.VideoFrame(64, 64, "yuv420p")
            for plane, value in zip(frame.planes, (16, 128, 128)):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.color_range, frame.pts = level, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        video = VideoReader(path)
        assert video.color_range == name
        assert abs(float(next(video.frames())[1].mean()) - {"limited": 0, "full": 16}[name]) < 2


def texts(outcome) -> str:
    return "\n".join(f"{finding.severity} {finding.text}" for finding in outcome.findings)


def test_missing_frames_of_a_numbering_are_named(tmp_path):
    names = [f"sh010_v02.{number:04d}.png" for number in (1001, 1002, 1003, 1006, 1007, 1008, 1010, 1011)]
    outcome = prepare(tmp_path / "root", write_pictures(tmp_path / "shot", names))
    missing = ", ".join(f"sh010_v02.{number}" for number in (1004, 1005, 1009))
    assert f"3 frames missing in the numbering: {missing}" in texts(outcome) and outcome.findings[0].severity == 1


@pytest.mark.parametrize("numbers", [range(0, 40, 4), [3, 17, 40, 58, 91], range(5), [1]])
def test_other_ways_to_count_miss_nothing(numbers):
    assert frames.missing_numbers([f"{number:04d}" for number in numbers]) == []
    assert frames.missing_numbers(["0001_a", "0003_b", "0004_c"]) == []


def test_frames_before_0_come_first(tmp_path):
    folder = write_pictures(tmp_path / "render", ["-002.png", "-001.png", "0000.png", "0001.png"])
    prepare(tmp_path / "root", folder)
    assert [counted(p) for p in contents(tmp_path / "root" / "rgb")] == [0, 1, 2, 3]


def test_hidden_companions_are_skipped_and_all_broken_pictures_named(tmp_path):
    folder = write_pictures(tmp_path / "shot", ["0001.png", "0002.png", "0003.png", "0004.png"])
    for name in ("._0001.png", "._0002.png", ".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07" * 20)
    prepare(tmp_path / "root", folder)
    assert len(contents(tmp_path / "root" / "rgb")) == 4
    (folder / "0002.png").write_bytes((folder / "0002.png").read_bytes()[:200])
    (folder / "0004.png").write_bytes(b"")
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "root", folder)
    assert "0002.png: not a readable image" in str(error.value)
    assert "0004.png: not a readable image (an empty file)" in str(error.value)
    assert len(contents(tmp_path / "root" / "rgb")) == 4  # those of before


@pytest.mark.parametrize("ending", [".tif", ".webp", ".bmp", ".BMP"])
def test_pictures_of_other_formats_become_png(tmp_path, ending):
    options = {"lossless": True} if ending == ".webp" else {}
    prepare(tmp_path / "root", write_pictures(tmp_path / "shot", [f"a_{i}{ending}" for i in range(3)], **options))
    assert sorted(p.name for p in (tmp_path / "root" / "rgb").iterdir()) == ["a_0.png", "a_1.png", "a_2.png"]
    assert (contents(tmp_path / "root" / "rgb")[2] == picture(SIZE, 2)).all()


def test_uppercase_endings_and_dots_in_names_of_folders_are_nothing_special(tmp_path):
    video = write_video(tmp_path / "take.mov", steady(3)).rename(tmp_path / "TAKE.v2.MOV")
    prepare(tmp_path / "root.v1.2", video)
    assert len(contents(tmp_path / "root.v1.2" / "rgb")) == 3
    prepare(tmp_path / "other", write_pictures(tmp_path / "shot.v3", ["A.0001.PNG", "A.0002.png", "A.0003.JPG"]))
    assert sorted(p.name for p in (tmp_path / "other" / "rgb").iterdir()) == ["A.0001.png", "A.0002.png", "A.0003.jpg"]


def test_sixteen_bit_grey_frames_keep_their_brightness(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(np.full((64, 96), 138 * 257, np.uint16)).save(folder / f"{number}.png")
    outcome = prepare(tmp_path / "root", folder)
    for name in ("rgb", "rgb_512", "rgb_256"):
        assert {int(p.mean()) for p in contents(tmp_path / "root" / name)} == {138}
    assert "0 " in texts(outcome) and "all 2 frames: more bits than 8, scaled" in texts(outcome)


def test_ten_bits_of_a_video_stay_in_rgb_where_they_are_asked_for(tmp_path):
    video = write_video(tmp_path / "deep.mkv", steady(2), pix_fmt="yuv444p10le")
    assert "10 bits, rounded to 8; --bits 16 keeps them" in texts(prepare(tmp_path / "plain", video))
    assert "rounded to 8" not in texts(prepare(tmp_path / "deep", video, "--bits", "16"))
    plain, deep = (sorted((tmp_path / name / "rgb").iterdir()) for name in ("plain", "deep"))
    assert [path.name for path in plain] == ["0001.jpg", "0002.jpg"] and deep[0].name == "0001.png"
    found, (_, expected) = read_all_bits(deep[0]), next(VideoReader(video).frames(deep=True))
    assert found.dtype == np.uint16 and (found == expected).all() and (found % 257).any()
    for folder in ("rgb_512", "rgb_256"):
        assert read_all_bits(tmp_path / "deep" / folder / "0001.png").dtype == np.uint8
    prepare(tmp_path / "again", tmp_path / "deep/rgb")
    assert (read_all_bits(tmp_path / "again/rgb/0001.png") == expected).all()  # as they are in a folder


def test_a_rate_can_be_given_for_a_stream_without_a_clock_and_for_a_video(tmp_path):
    raw = tmp_path / "camera.mjpeg"
    raw.write_bytes(b"".join(cv2.imencode(".jpg", picture(SIZE, i)[..., ::-1])[1].tobytes() for i in range(6)))
    prepare(tmp_path / "raw", raw, "--frame_rate", "90")
    assert read_values(tmp_path / "raw" / "metadata.json")["frame_rate"] == "90/1"
    assert len(contents(tmp_path / "raw" / "rgb")) == 6
    video = write_video(tmp_path / "a.mp4", steady(20, Fraction(30)))
    outcome = prepare(tmp_path / "slow", video, "--frame_rate", "15")
    values = read_values(tmp_path / "slow" / "metadata.json")
    assert values["frame_rate"] == "15/1" and values["source"]["frames"][:3] in ([0, 2, 4], [1, 3, 5])
    assert "30 frames per second, shown at 15" in texts(outcome)
    prepare(tmp_path / "ntsc", write_pictures(tmp_path / "shot", ["1.png", "2.png"]), "--frame_rate", "29.97")
    assert read_values(tmp_path / "ntsc" / "metadata.json")["frame_rate"] == "30000/1001"


def test_what_a_video_is_beyond_its_pixels_is_told_and_kept(tmp_path):
    path = with_rotation(write_video(tmp_path / "front.mp4", steady(2)), 180)
    data = path.read_bytes()
    place = data.index(b"tkhd") + 4 + 40
    path.write_bytes(data[:place + 16] + struct.pack(">i", 1 << 16) + data[place + 20:])  # mirrored, not turned
    outcome = prepare(tmp_path / "root", path)
    assert np.abs(contents(tmp_path / "root" / "rgb")[0].astype(int) - picture(SIZE, 0)[:, ::-1]).mean() < 6
    values = read_values(tmp_path / "root" / "metadata.json")
    assert values["mirrored"] is True and values["rotation"] == 0
    assert "0 front.mp4: stored mirrored" in texts(outcome)


def test_frames_of_a_video_with_other_pixels_are_square(tmp_path):
    frame = av.VideoFrame.from_ndarray(picture((48, 64), 0), format="rgb24").reformat(format="yuv444p")
    path = tmp_path / "squeezed.y4m"
    path.write_bytes(b"YUV4MPEG2 W48 H64 F25:1 Ip A2:1 C444\n" + (b"FRAME\n" + frame.to_ndarray().tobytes()) * 2)
    outcome = prepare(tmp_path / "root", path)
    values = read_values(tmp_path / "root" / "metadata.json")
    assert values["original_size"] == values["alphapose_input_size"] == [96, 64]
    assert values["source"]["stored_size"] == [48, 64]
    assert {p.shape for p in contents(tmp_path / "root" / "rgb")} == {(64, 96, 3)}
    assert "pixels of 2:1" in texts(outcome)


def test_sound_that_cannot_be_read_stops_no_picture(tmp_path):
    both = write_video(tmp_path / "a.mov", steady(5), sound=True)
    both.write_bytes(both.read_bytes().replace(b"mp4a", b"apac").replace(b"esds", b"free"))
    outcome = prepare(tmp_path / "root", both)
    assert len(contents(tmp_path / "root" / "rgb")) == 5 and not (tmp_path / "root" / "audio.mka").exists()
    assert "1 a.mov: sound left out" in texts(outcome)
    assert "audio" not in read_values(tmp_path / "root" / "metadata.json")
