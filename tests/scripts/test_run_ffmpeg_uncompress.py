import json
import zipfile
from fractions import Fraction

import av
import numpy as np
import pytest

from scripts import run_ffmpeg_uncompress
from util.errors import UserError
from util.images import read_image

FRAMES, CAMERAS = 12, 3


def write_avi(path, code, frames=FRAMES):
    """Frames that say their number, and of which video they are, by their colour; without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 32, 16, "bgr0"
        for number in range(frames):
            pixels = np.full((16, 32, 3), (20 * number, code, 255 - code), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture
def archive(tmp_path):
    subject = tmp_path / "marc" / "training"
    for camera in range(CAMERAS):
        write_avi(subject / "rgb_video" / f"{camera:03d}.avi", 10 * camera)
        for kind in ("intrinsic", "pose"):
            (tmp_path / "marc" / kind).mkdir(exist_ok=True)
            (tmp_path / "marc" / kind / f"{camera:04d}.txt").write_text(f"{camera}")
    write_avi(subject / "tex_modifysmpluv0.1_smooth3e-2.avi", 100)
    write_avi(subject / "normal_modifysmpluv0.1_smooth3e-2.avi", 200)
    with zipfile.ZipFile(subject / "transform.zip", "w") as opened:
        for number in reversed(range(FRAMES)):  # in another order than that of the frames
            opened.writestr(f"some/folder/{1000 + number:06d}.json", json.dumps({"number": number}))
    return subject


def said(path):
    """Number of the frame and code of the video."""
    pixels = read_image(path, "RGB")
    assert (pixels == pixels[0, 0]).all() and pixels.shape == (16, 32, 3)
    return round(int(pixels[0, 0, 0]) / 20), int(pixels[0, 0, 1])


@pytest.mark.parametrize("options, frames, cameras", [
    ([], range(FRAMES), range(CAMERAS)), (["-f", "4,8", "-c", "1,3"], range(4, 8), range(1, 3))])
def test_all_files_of_a_frame_show_it_and_have_its_number(archive, tmp_path, options, frames, cameras):
    output = tmp_path / "unpacked"
    run_ffmpeg_uncompress.main(["-i", str(archive), "-o", str(output), *options])
    stems = [f"{1000 + number:06d}" for number in frames]
    for folder, ending in (("transform", ".json"), ("tex", ".png"), ("normal", ".png"), ("rgb", "")):
        assert sorted(path.name for path in (output / folder).iterdir()) == [stem + ending for stem in stems]
    for number, stem in zip(frames, stems):
        assert json.loads((output / "transform" / f"{stem}.json").read_text()) == {"number": number}
        assert said(output / "tex" / f"{stem}.png") == (number, 100)
        assert said(output / "normal" / f"{stem}.png") == (number, 200)
        pictures = sorted((output / "rgb" / stem).iterdir())
        assert [path.name for path in pictures] == [f"{camera:04d}.png" for camera in cameras]
        assert [said(path) for path in pictures] == [(number, 10 * camera) for camera in cameras]
    for kind in ("intrinsic", "pose"):
        assert [path.read_text() for path in sorted((output / kind).iterdir())] == [f"{camera}" for camera in cameras]


def test_what_is_there_stays_and_what_is_missing_is_left_out(archive, tmp_path):
    for path in (archive / "rgb_video").iterdir():
        path.unlink()
    (archive / "transform.zip").unlink()
    run_ffmpeg_uncompress.main(["-i", str(archive), "-f", "0,4"])
    (archive / "tex" / "000001.png").write_bytes(b"mine")
    (archive / "tex" / "000002.png").unlink()
    run_ffmpeg_uncompress.main(["-i", str(archive), "-f", "0,5"])
    assert (archive / "tex" / "000001.png").read_bytes() == b"mine"
    assert [said(archive / "tex" / f"{number:06d}.png")[0] for number in (2, 4)] == [2, 4]
    assert not (archive / "rgb").exists()


def test_streams_of_different_lengths_are_told_all_at_once(archive):
    write_avi(archive / "rgb_video" / "001.avi", 10, frames=9)
    write_avi(archive / "tex_modifysmpluv0.1_smooth3e-2.avi", 100, frames=10)
    with pytest.raises(UserError, match="001.avi: 9 frames, 12 elsewhere(.|\n)*give -f 0,9|tex.*10 frames") as error:
        run_ffmpeg_uncompress.main(["-i", str(archive)])
    assert "tex_modifysmpluv0.1_smooth3e-2.avi: 10 frames" in str(error.value)
    assert not (archive / "transform").exists()
    with pytest.raises(UserError, match="001.avi: 9 frames; -f asks for 4 to 9"):
        run_ffmpeg_uncompress.main(["-i", str(archive), "-f", "4,10"])
    run_ffmpeg_uncompress.main(["-i", str(archive), "-f", "7,9"])
    assert said(archive / "rgb" / "001008" / "0001.png") == (8, 10)


@pytest.mark.parametrize("options, message", [
    (["-f", "8,4"], "two numbers"), (["-c", "1,4"], "has 3 videos"), (["-c", "x"], "two numbers")])
def test_ranges_that_are_wrong_are_told(archive, options, message):
    with pytest.raises(UserError, match=message):
        run_ffmpeg_uncompress.main(["-i", str(archive), *options])


def test_a_video_that_is_none_and_an_empty_folder_are_told(archive, tmp_path):
    (archive / "rgb_video" / "001.avi").write_bytes(b"no video")
    with pytest.raises(UserError, match="001.avi: not readable"):
        run_ffmpeg_uncompress.main(["-i", str(archive)])
    with pytest.raises(UserError, match="expected the folder of an archive"):
        run_ffmpeg_uncompress.main(["-i", str(tmp_path)])
