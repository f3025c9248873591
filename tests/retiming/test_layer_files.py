"""Layers for other programs: put together again they are the retimed video, and timelines name the frames it shows."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenEXR
import opentimelineio as otio
import pytest
from PIL import Image

import retime
from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from retiming.compositor import Compositor
from retiming.edit import ClipFacts, edit_from_values
from retiming.layer_files import (
    EXR_COMPRESSIONS,
    FORMATS,
    groups_of,
    layer_pictures,
    write_layered_exr,
    write_layers,
)
from retiming.timelines import stretches
from util.errors import UserError
from util.images import read_image
from util.video_reader import VideoReader

LENGTH = 12
EDIT = {"layers": {"1": [{}, {"time": [{"offset": 2}], "trail": {"copies": 1, "spacing": 2, "fade": 0.5}}],
                   "2": {"time": [{"freeze": [3, 6]}], "opacity": 0.8}},
        "order": [[1, [1, 2]], [7, [2, 1]]], "marks": {"2": 5}}


@pytest.fixture(scope="module")
def compositor(tmp_path_factory):
    clip = make_sample(tmp_path_factory.mktemp("clip") / "clip", frames=LENGTH, width=96, height=64, people=2)
    return Compositor(LayerFolder.open(clip / "gt"), Dataroot.open(clip))


def edit_of(compositor, values):
    return edit_from_values(values, compositor.facts, str, compositor.root.path)


def over(pictures):
    """Straight RGBA pictures, the first one opaque, one over the other."""
    canvas = pictures[0][..., :3].astype(float)
    for picture in pictures[1:]:
        alpha = picture[..., 3:] / 255
        canvas = picture[..., :3] * alpha + (1 - alpha) * canvas
    return canvas


@pytest.mark.parametrize("apart", [False, True])
def test_layers_put_together_are_the_retimed_video(compositor, tmp_path, apart):
    edit = edit_of(compositor, EDIT)
    write_layers(compositor, edit, tmp_path, apart=apart)
    facts = json.loads((tmp_path / "layers.json").read_text())
    assert [frame for frame, _ in facts["order"]] == [1, 7]
    assert len(facts["order"][0][1]) == 1 + 3 * (1 + apart)
    for output in range(LENGTH):
        order = [names for frame, names in facts["order"] if frame <= output + 1][-1]
        made = over([np.asarray(Image.open(tmp_path / name / f"{name}.{output + 1:04d}.png")) for name in order])
        assert np.abs(made - compositor.frame(edit, output)).max() <= 2.5, "8 bits for each layer"


def test_an_untouched_layer_keeps_its_pixels(compositor, tmp_path):
    write_layers(compositor, edit_of(compositor, {}), tmp_path)
    for frame in (0, LENGTH - 1):
        found = np.asarray(Image.open(tmp_path / f"person1/person1.{frame + 1:04d}.png"))
        source = compositor.layers.layer(1, frame)
        seen = source[..., 3] > 0
        assert np.array_equal(found[..., 3], source[..., 3]) and np.array_equal(found[seen], source[seen])


def test_one_exr_has_all_layers_and_the_composite(compositor, tmp_path):
    edit = edit_of(compositor, {**EDIT, "range": [5, 8]})
    write_layers(compositor, edit, tmp_path, form="exr")
    assert len(list(tmp_path.glob("layers.*.exr"))) == 4
    for number in (5, 8):
        with OpenEXR.File(str(tmp_path / f"layers.{number:04d}.exr")) as file:
            channels, header = file.channels(), dict(file.header())
            assert set(channels) == {"RGBA", "background", "person1", "person1_copy1", "person2"}
            linear, alpha = channels["RGBA"].pixels[..., :3].astype(float), channels["RGBA"].pixels[..., 3].copy()
        assert np.all(alpha == 1) and float(header["framesPerSecond"]) == compositor.root.metadata.frame_rate
        np.testing.assert_allclose(header["chromaticities"][:2], (0.64, 0.33), atol=1e-6)
        coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055)
        assert np.abs(255 * coded - compositor.frame(edit, number - 1)).max() <= 2.5


@pytest.mark.parametrize("compression", EXR_COMPRESSIONS)
def test_an_exr_is_compressed_as_asked_for(tmp_path, compression):
    layer = np.random.default_rng(1).integers(0, 256, (32, 32, 4), np.uint8)
    write_layered_exr(tmp_path / "a.exr", {"person1": layer}, Fraction(25), compression)
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        assert file.header()["compression"].name.lower().startswith(compression[:2])
        found = file.channels()["person1"].pixels[..., 3]
    assert np.abs(found - layer[..., 3] / 255).max() < (1e-3 if compression != "dwaa" else 0.3)


def test_videos_of_layers_have_alpha(compositor, tmp_path):
    edit = edit_of(compositor, EDIT)
    write_layers(compositor, edit, tmp_path, form="mov")
    assert {path.stem for path in tmp_path.glob("*.mov")} == {"background", "person1", "person1_copy1", "person2"}
    shown = [frame for _, frame in VideoReader(tmp_path / "person2.mov").frames(alpha=True)]
    expected = layer_pictures(compositor, edit, groups_of(edit, None), 5, apart=False)["person2"]
    assert len(shown) == LENGTH and np.abs(shown[5][..., 3].astype(int) - expected[..., 3]).max() <= 3
    seen = expected[..., 3] > 200
    assert seen.any() and np.abs((shown[5][seen, :3] - expected[seen, :3].astype(float)).mean(axis=0)).max() < 0.5
    timeline = otio.adapters.read_from_file(str(tmp_path / "retimed.otio"))
    assert timeline.tracks[0][0].media_reference.target_url == "background.mov"


def test_the_timeline_names_the_files_and_the_order(compositor, tmp_path):
    edit = edit_of(compositor, EDIT)
    write_layers(compositor, edit, tmp_path, values=EDIT)
    timeline = otio.adapters.read_from_file(str(tmp_path / "retimed.otio"))
    assert float(timeline.duration().value) == LENGTH
    facts = json.loads((tmp_path / "layers.json").read_text())
    for output in range(LENGTH):
        at = otio.opentime.RationalTime(output, timeline.duration().rate)
        clips = [track.child_at_time(at) for track in timeline.video_tracks()]
        order = [names for frame, names in facts["order"] if frame <= output + 1][-1]
        assert [clip.name for clip in clips] == order
        for track, clip in zip(timeline.video_tracks(), clips):
            media = track.trimmed_range_of_child(clip)
            number = clip.source_range.start_time + (at - media.start_time)
            url = clip.media_reference.target_url_for_image_number(
                clip.media_reference.frame_for_time(number) - clip.media_reference.start_frame)
            assert url == f"{clip.name}/{clip.name}.{output + 1:04d}.png" and (tmp_path / url).exists()
    marked = [(clip.name, clip.range_in_parent().start_time.value + marker.marked_range.start_time.value
               - clip.source_range.start_time.value) for clip in timeline.find_clips() for marker in clip.markers]
    assert marked == [("person2", 7)], "frame 5 of person 2 is seen in output frame 8"


def test_the_source_timeline_shows_the_frames_of_the_edit(compositor, tmp_path):
    values = {"length": 20, "layers": {"1": {"time": [{"speed": [[1, 0.3], [8, 1.7], [15, 0.5]], "ease": True}]},
                                       "2": {"time": [{"offset": 4}, {"reverse": [3, 9]}], "ends": "hide"}}}
    edit = edit_of(compositor, values)
    write_layers(compositor, edit, tmp_path)
    timeline = otio.adapters.read_from_file(str(tmp_path / "source.otio"))
    for track, group in zip(list(timeline.video_tracks())[1:], groups_of(edit, None)):
        assert track.name == group.name
        shown = []
        for item in track:
            for ahead in range(int(item.duration().value)):
                if isinstance(item, otio.schema.Gap):
                    shown.append(np.nan)
                    continue
                speed = item.effects[0].time_scalar if item.effects else 1
                shown.append(item.source_range.start_time.value - item.media_reference.start_frame + speed * ahead)
        expected = group.instances[0].source_times(np.arange(20))
        assert np.array_equal(np.isnan(shown), np.isnan(expected))
        assert np.nanmax(np.abs(np.array(shown) - expected)) <= 0.5


def test_timelines_have_the_markers_of_the_edit_and_say_what_they_cannot_show(compositor, tmp_path):
    values = {"layers": {"1": {"time": [{"align": [[1, 1], [9, 5, "ease"]]}]}}, "range": [3, 9], "length": 14,
              "markers": [[2, "before"], [4, "beat"], [9, "end"], [12, "after"]],
              "background": {"replace": compositor.root.path / "gt/bg.png"}}
    edit = edit_of(compositor, {**values, "background": {}})
    write_layers(compositor, edit, tmp_path, values=values)
    for name in ("retimed", "source"):
        timeline = otio.adapters.read_from_file(str(tmp_path / f"{name}.otio"))
        assert [(marker.name, marker.marked_range.start_time.value, marker.marked_range.duration.value)
                for marker in timeline.tracks.markers] == [("beat", 1, 1), ("end", 6, 1)], "of frames 3 to 9"
        kept = json.loads(otio.adapters.write_to_string(timeline, "otio_json"))["metadata"]["retime"]["edit"]
        assert kept == json.loads(json.dumps(values, default=str))


def test_even_speeds_are_few_stretches():
    times = np.concatenate([np.arange(10.0), np.full(5, 9.0), 9 + 0.5 * np.arange(1, 11), [np.nan, np.nan]])
    found = stretches(times)
    assert [(one.length, one.speed) for one in found] == [(10, 1), (5, 0), (10, 0.5), (2, 0)]
    assert found[-1].source is None
    rounded = np.floor(0.37 * np.arange(60) + 0.5)
    assert len(stretches(rounded)) == 1 and abs(stretches(rounded)[0].speed - 0.37) < 0.02


def test_the_command_line(compositor, tmp_path, capsys):
    root = compositor.root.path
    clip = ["--layers", str(root / "gt"), "--dataroot", str(root)]
    retime.main([*clip, "--remove", "2", "--layers_out", str(tmp_path / "out"), "--effects_apart"])
    assert "retimed layers" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {
        "background", "person1", "person1_effects"}
    assert read_image(tmp_path / "out/person1/person1.0001.png", "RGBA").shape == (64, 96, 4)
    with pytest.raises(UserError, match="--layers_out: given with --out"):
        retime.main([*clip, "--layers_out", str(tmp_path / "x"), "--out", str(tmp_path / "x.mp4")])
    assert FORMATS == ("png", "exr", "mov")


def test_files_have_the_names_of_people_where_every_program_takes_them():
    facts = ClipFacts(9, (1, 2, 3, 4))
    names = {"1": "Ann Lee", "2": "J\u00fcrgen", "3": "Bo", "4": "bo"}
    edit = edit_from_values({"layers": {"1": [{}, {}]}, "names": names}, facts, str, Path())
    assert [group.name for group in groups_of(edit, None)] == ["Ann_Lee", "Ann_Lee_copy1", "person2", "person3",
                                                               "person4"]
    for name in ("../x", "background", "person2", "a_effects", "1st", "con", "a.b"):
        edit = edit_from_values({"names": {"1": name}}, facts, str, Path())
        assert groups_of(edit, None)[0].name == "person1"
