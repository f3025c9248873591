"""Timelines for editing programs, as OpenTimelineIO files: the retimed layers, and the layers as they were filmed.

OpenTimelineIO knows constant speeds and frozen frames alone, so the second one has a clip for each stretch in which a
constant speed shows the very frames that the edit shows. What neither can say, such as eased curves, is in both as the
values of the edit file, in the metadata of the timeline. The library (opentimelineio) is asked for when it is needed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from retiming.compositor import Compositor
from retiming.edit import Edit
from retiming.groups import Group
from util.errors import UserError

EXACT = 1e-3  # frames
METADATA = "retime"  # what the edit file's values are called there
LEAST_EXACT = 4  # frames in a row for a stretch of exactly even speed
TOLERANCE = 0.5  # frames by which a stretch of constant speed may differ before the nearest frame is another one


@dataclass(frozen=True)
class Sequence:
    """The files of a retimed layer.

    Attributes:
        name: of the layer.
        form: png, or mov.
        first: number of the first picture, the output frame from 1.
        length: frames.
    """

    name: str
    form: str
    first: int
    length: int


@dataclass(frozen=True)
class Stretch:
    """Output frames in which source time runs evenly; all from 0.

    Attributes:
        output: the first of them.
        length: how many.
        source: source time of the first; None: nothing is shown.
        speed: source frames per output frame.
    """

    output: int
    length: int
    source: float | None
    speed: float


def stretches(times: np.ndarray) -> list[Stretch]:
    """Cut source times into stretches of even speed: where it is exactly even, else within half a frame.

    Args:
        times: source time of each output frame [N]; NaN where nothing is shown.
    """
    found, start = [], 0
    while start < len(times):
        if np.isnan(times[start]):
            length = next((i for i, time in enumerate(times[start:]) if not np.isnan(time)), len(times) - start)
            found.append(Stretch(start, length, None, 0))
        else:
            length, speed = _even_stretch(times[start:])
            found.append(Stretch(start, length, float(times[start]), speed))
        start += length
    return found


def _even_stretch(times: np.ndarray) -> tuple[int, float]:
    """The longest stretch from the first of the times on, and its speed."""
    steps = np.diff(times[:np.flatnonzero(np.isnan([*times, np.nan]))[0]])
    same = np.abs(np.cumsum(steps - steps[:1])) <= EXACT
    exact = 1 + (len(same) if same.all() else int(same.argmin()))
    if exact >= LEAST_EXACT:
        return exact, round(float(steps[0]), 6)
    low, high, length = -np.inf, np.inf, 1
    for ahead in range(1, len(times)):
        if np.isnan(times[ahead]):
            break
        least, most = ((times[ahead] - times[0] + by) / ahead for by in (-TOLERANCE, TOLERANCE))
        if max(low, least) >= min(high, most):
            break
        low, high, length = max(low, least), min(high, most), ahead + 1
    if length == 1:
        return 1, 1.0
    plain = [speed for speed in (1.0, 0.0, -1.0, round((times[length - 1] - times[0]) / (length - 1), 6))
             if low < speed < high]
    return length, plain[0] if plain else (low + high) / 2


def baked_timeline(sequences: dict[str, Sequence], orders: list[list[str]], rate: Fraction, audio: Path | None,
                   edit: Edit, groups: list[Group], values: dict) -> Any:
    """The retimed layers one over the other, a track each; where their order changes, they change tracks.

    Args:
        sequences: by name.
        orders: per output frame, names from back to front.
        rate: frames per second.
        audio: what is heard with it.
        edit: what was retimed.
        groups: its layers.
        values: the same edit as the values of an edit file: its marks and markers become markers.
    """
    otio = library()
    timeline = _timeline(otio, "retimed", edit, rate, values)
    depths = max(map(len, orders))
    is_steady = all(order == orders[0] for order in orders)
    for depth in range(depths):
        names = [order[depth] if depth < len(order) else None for order in orders]
        track = otio.schema.Track(names[0] if is_steady else f"depth {depth + 1}", kind=otio.schema.TrackKind.Video)
        for name, start, length in _runs(names):
            if name is None:
                track.append(otio.schema.Gap(duration=_time(otio, length, rate)))
                continue
            sequence = sequences[name]
            clip = otio.schema.Clip(name, _reference(otio, sequence, rate),
                                    _range(otio, start + (sequence.first if sequence.form == "png" else 0), length,
                                           rate))
            for output in _marked(edit, groups, values.get("marks", {}), name):
                if start <= output - edit.first < start + length:
                    at = clip.source_range.start_time.value + output - edit.first - start
                    clip.markers.append(otio.schema.Marker("event", _range(otio, at, 1, rate)))
            track.append(clip)
        timeline.tracks.append(track)
    _add_sound(otio, timeline, audio, edit.first, len(orders), rate)
    return timeline


def source_timeline(compositor: Compositor, edit: Edit, groups: list[Group], rate: Fraction,
                    audio: Path | None, values: dict) -> Any:
    """The layers as they were filmed, cut and sped up as the edit says; its looks and places are not in the tracks."""
    otio = library()
    timeline = _timeline(otio, "source layers", edit, rate, values)
    outputs = np.arange(edit.first, edit.last + 1)
    tracks = [("background", 0, edit.background.source_times(outputs))]
    tracks += [(group.name, group.layer, group.instances[-1].source_times(outputs)) for group in groups]
    for name, layer, times in tracks:
        track = otio.schema.Track(name, kind=otio.schema.TrackKind.Video)
        for stretch in stretches(times):
            if stretch.source is None:
                track.append(otio.schema.Gap(duration=_time(otio, stretch.length, rate)))
                continue
            first, media = _source_files(otio, compositor, layer, rate)
            clip = otio.schema.Clip(name, media, otio.opentime.TimeRange(
                _time(otio, first + stretch.source, rate), _time(otio, stretch.length, rate)))
            if stretch.speed == 0:
                clip.effects.append(otio.schema.FreezeFrame())
            elif stretch.speed != 1:
                clip.effects.append(otio.schema.LinearTimeWarp(time_scalar=stretch.speed))
            track.append(clip)
        timeline.tracks.append(track)
    _add_sound(otio, timeline, audio, edit.first, len(outputs), rate)
    return timeline


def write_timeline(path: Path, timeline: Any) -> None:
    """Write a timeline as OpenTimelineIO's JSON."""
    library().adapters.write_to_file(timeline, str(path))


def library() -> Any:
    """The library.

    Raises:
        UserError: it is missing.
    """
    try:
        import opentimelineio
    except ImportError:
        raise UserError("--layers_out: the library opentimelineio is missing. Install it: pip install opentimelineio"
                        ) from None
    return opentimelineio


def _timeline(otio: Any, name: str, edit: Edit, rate: Fraction, values: dict) -> Any:
    """A timeline without tracks, with the edit's markers."""
    timeline = otio.schema.Timeline(name, global_start_time=None,
                                    metadata={METADATA: {"edit": json.loads(json.dumps(values, default=str))}})
    timeline.tracks.markers.extend(otio.schema.Marker(text, _range(otio, at - 1 - edit.first, 1, rate))
                                   for at, text in values.get("markers", []) if edit.first <= at - 1 <= edit.last)
    return timeline


def _runs(names: list) -> Iterator[tuple[Any, int, int]]:
    """Equal neighbours of a list: what, from where, how many."""
    start = 0
    for index in range(1, len(names) + 1):
        if index == len(names) or names[index] != names[start]:
            yield names[start], start, index - start
            start = index


def _reference(otio: Any, sequence: Sequence, rate: Fraction) -> Any:
    if sequence.form == "mov":
        return otio.schema.ExternalReference(f"{sequence.name}.mov", _range(otio, 0, sequence.length, rate))
    return otio.schema.ImageSequenceReference(
        f"{sequence.name}/", f"{sequence.name}.", ".png", start_frame=sequence.first, frame_step=1, rate=float(rate),
        frame_zero_padding=4, available_range=_range(otio, sequence.first, sequence.length, rate))


def _source_files(otio: Any, compositor: Compositor, layer: int, rate: Fraction) -> tuple[int, Any]:
    """Number of the first picture of a layer as it was exported, and a reference to all of them."""
    files = [compositor.layers.files[layer][frame] for frame in compositor.layers.frames]
    if len(set(files)) == 1:
        return 0, otio.schema.ExternalReference(files[0].resolve().as_uri(), _range(otio, 0, len(files), rate))
    number = files[0].name[:len(files[0].name) - len(files[0].name.lstrip("0123456789"))]
    first = int(number or 0)
    return first, otio.schema.ImageSequenceReference(
        files[0].parent.resolve().as_uri() + "/", "", files[0].name[len(number):], start_frame=first, frame_step=1,
        rate=float(rate), frame_zero_padding=len(number), available_range=_range(otio, first, len(files), rate))


def _add_sound(otio: Any, timeline: Any, audio: Path | None, first: int, length: int, rate: Fraction) -> None:
    if audio is None:
        return
    track = otio.schema.Track("sound", kind=otio.schema.TrackKind.Audio)
    track.append(otio.schema.Clip("sound", otio.schema.ExternalReference(Path(audio).resolve().as_uri()),
                                  _range(otio, first, length, rate)))
    timeline.tracks.append(track)


def _marked(edit: Edit, groups: list[Group], marks: dict[str, int], name: str) -> Iterator[int]:
    """Output frames, from 0, in which a marked source frame of a layer is first seen."""
    numbers: dict[int, int] = {}
    for group in groups:
        numbers[group.layer] = numbers.get(group.layer, 0) + 1
        key = str(group.layer) if numbers[group.layer] == 1 else f"{group.layer}.{numbers[group.layer]}"
        if group.name != name or key not in marks:
            continue
        times = group.instances[-1].source_times(np.arange(edit.first, edit.last + 1))
        with np.errstate(invalid="ignore"):
            at = np.flatnonzero(np.abs(times - (marks[key] - 1)) <= TOLERANCE)
        if len(at):
            yield edit.first + int(at[0])


def _time(otio: Any, frames: float, rate: Fraction) -> Any:
    return otio.opentime.RationalTime(frames, float(rate))


def _range(otio: Any, first: float, length: float, rate: Fraction) -> Any:
    return otio.opentime.TimeRange(_time(otio, first, rate), _time(otio, length, rate))
