"""Sound of videos that most programs, or Matroska, do not take."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from util.sound import Sound, decodable_track, save_sound, wav

RATE = 16000


def write_sound(path: Path, codecs: list[str], seconds: float = 1.0, pause: float = 0, **options) -> Path:
    """A file with a track for each codec: 500 Hz, 1000 Hz, ...; in the middle nothing is stored for a `pause`."""
    with av.open(str(path), "w", **options) as container:
        streams = [container.add_stream(codec, rate=RATE, layout="mono") for codec in codecs]
        for number, stream in enumerate(streams, start=1):
            count = round(seconds * RATE)
            tone = (12000 * np.sin(np.arange(count) * 2 * np.pi * 500 * number / RATE)).astype(np.int16)
            for start in range(0, count, 800):
                frame = av.AudioFrame.from_ndarray(tone[None, start:start + 800], format="s16", layout="mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = start + round(pause * RATE) * (start >= count // 2)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def heard(path: Path) -> tuple[str, np.ndarray]:
    """The codec of a file, and its samples from -1 to 1."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        pieces = [made.to_ndarray()[0] for frame in container.decode(stream) for made in resampler.resample(frame)]
        return stream.codec_context.name, np.concatenate(pieces)


def pitch(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


@pytest.mark.parametrize("codec", ["pcm_alaw", "pcm_mulaw", "adpcm_ima_qt", "pcm_s16le"])
def test_sound_that_matroska_may_not_hold_is_kept(tmp_path, codec):
    source = write_sound(tmp_path / "camera.mov", [codec])
    assert save_sound(Sound(source, 0.25, 0.5), tmp_path / "audio.mka") == (True, None)
    name, found = heard(tmp_path / "audio.mka")
    assert name == ("pcm_s16le" if codec == "pcm_s16le" else "flac")
    assert len(found) == pytest.approx(RATE / 2, abs=RATE / 8) and pitch(found) == pytest.approx(500, abs=15)
    assert 0.2 < float(np.abs(found).max()) < 0.5


def unknown(path: Path, count: int) -> Path:
    """The same file, with sound tracks of a kind that nobody knows: the first `count` of them."""
    path.write_bytes(path.read_bytes().replace(b"ulaw", b"apac", count))
    return path


def test_the_first_track_that_can_be_decoded_is_taken_and_told(tmp_path):
    source = unknown(write_sound(tmp_path / "phone.mov", ["pcm_mulaw", "pcm_s16le"]), 1)
    written, remark = save_sound(Sound(source, 0, 1), tmp_path / "audio.mka")
    assert written and "taken from track 2: track 0 is of a kind that FFmpeg does not know" in remark
    assert pitch(heard(tmp_path / "audio.mka")[1]) == pytest.approx(1000, abs=15)


def test_sound_that_cannot_be_decoded_is_left_out_with_a_reason(tmp_path):
    source = unknown(write_sound(tmp_path / "phone.mov", ["pcm_mulaw"]), 1)
    written, remark = save_sound(Sound(source, 0, 1), tmp_path / "audio.mka")
    assert not written and remark.startswith("sound left out: ") and not (tmp_path / "audio.mka").exists()
    (tmp_path / "text.mp4").write_text("no sound")
    assert decodable_track(tmp_path / "text.mp4")[0] is None


def test_sound_before_and_after_a_track_is_silence(tmp_path):
    source = write_sound(tmp_path / "camera.mov", ["pcm_alaw"])
    save_sound(Sound(source, -0.5, 1.0), tmp_path / "audio.mka")
    found = heard(tmp_path / "audio.mka")[1]
    assert len(found) == RATE and not found[:RATE // 2].any() and np.abs(found[RATE // 2 + 10:]).max() > 0.2


def test_sound_of_joined_recordings_goes_on(tmp_path):
    parts = [write_sound(tmp_path / f"{i}.ts", ["mp2"], 1.0, format="mpegts") for i in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with av.open(str(joined)) as container:
        begin = float(next(container.decode(audio=0)).time)
    assert save_sound(Sound(joined, begin, 2.0), tmp_path / "audio.mka")[0]
    found = heard(tmp_path / "audio.mka")[1]
    assert len(found) == pytest.approx(2 * RATE, rel=0.1) and pitch(found[-RATE // 2:]) == pytest.approx(500, abs=15)


def test_a_pause_is_silent_also_after_the_clock_has_started_again(tmp_path):
    parts = [write_sound(tmp_path / f"{i}.ts", ["mp2"], 1.0, pause, format="mpegts")
             for i, pause in enumerate((0, 0.6))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with av.open(str(joined)) as container:
        begin = float(next(container.decode(audio=0)).time)
    found = np.frombuffer(wav(joined, begin + 9, RATE)[44:], "<i2")[::2][round(begin * RATE):]
    assert len(found) == pytest.approx(2.6 * RATE, abs=0.1 * RATE)
    loud = np.abs(found[:len(found) // 400 * 400].reshape(-1, 400)).max(axis=1) > 1000
    assert loud[2:55].all() and not loud[65:80].any() and loud[90:-6].all()  # of 40 a second: silent from 1.5 to 2.1


def test_sound_that_is_copied_begins_with_the_packet_at_its_start_and_ends_before_that_at_its_end(tmp_path):
    source = write_sound(tmp_path / "camera.mov", ["pcm_s16le"])
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.pts is not None]
    start, end = (float(packets[i].pts * packets[i].time_base) for i in (3, 7))
    assert save_sound(Sound(source, start, end - start), tmp_path / "audio.mka")[0]
    assert len(heard(tmp_path / "audio.mka")[1]) == sum(packet.duration for packet in packets[3:7])
