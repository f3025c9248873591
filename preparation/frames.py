"""The step "frames": a video, or a folder of pictures, becomes rgb/, rgb_512/, rgb_256/ and the sound.

rgb/ holds the frames upright and in their own size, the others what the network trains on. A video of varying frame
rate is shown at a steady one.
"""

import re
import shlex
import shutil
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from data.dataroot import IMAGE_SUFFIXES, SIDE_MULTIPLE, SMALLEST_SIDE, list_images
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames, write_values
from util.background import InBackground
from util.clips import DEFAULT_FRAME_RATE, frame_rate_of, frame_rate_text, natural_order
from util.command_line import float_at_least, int_at_least
from util.errors import UserError, several
from util.images import to_8_bits, unit_range, write_png
from util.media import Remark, pauses, remarks
from util.pictures import JPEG_SUFFIXES, list_pictures, picture_size, read_picture
from util.sound import Sound, save_sound
from util.video_reader import VideoReader, nearest_frames, steady_rate

AUDIO = "audio.mka"
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_SAME_RATE = 0.001
_MOST_MISSING = 100_000
_LONGEST_STILL = 10
"""Seconds in which a picture may stand still though a recorder was paused for most of a clip."""
_MOMENT = 0.01


class ChosenFrames(NamedTuple):
    """Frames that were chosen from a source.

    Attributes:
        frames: yields each frame's name without ending, its pixels (uint8 RGB [H, W, 3]), and the file that holds just
            these, if one does.
        count: how many.
        size: (width, height).
        values: keys of metadata.json that the source decides.
        findings: on the source; complete when all frames were taken.
        ending: of the files of frames that no file holds.
    """

    frames: Iterable[tuple[str, np.ndarray, Path | None]]
    count: int
    size: tuple[int, int]
    values: dict
    findings: list[Finding]
    ending: str = ".jpg"


_DEEP = 8
"""Bits of a channel, beyond which frames have more than rgb/ keeps by itself."""


def add_options(parser) -> None:
    """What to take from where, and the network's size."""
    parser.add_argument("source", nargs="?", type=Path, metavar="VIDEO",
                        help="a video file or a folder of frames (default: the one of the run before, or DIR/rgb)")
    parser.add_argument("--start", type=float_at_least(0), metavar="S", help="first second to take (default: 0)")
    parser.add_argument("--end", type=float_at_least(0), metavar="S", help="second to stop before (default: the end)")
    parser.add_argument("--every", type=int_at_least(1), metavar="N", help="take every Nth frame (default: 1)")
    parser.add_argument("--frame_rate", metavar="FPS", type=frame_rate,
                        help=f"of a folder of frames or a stream without a clock, such as 30 or 29.97; a video "
                             f"with a rate of its own is shown at this one (default: its own, or {DEFAULT_FRAME_RATE})")
    parser.add_argument("--bits", type=int, choices=(8, 16),
                        help="of rgb/ where the video has more than 8: 16 keeps them all, in PNG ten times as large; "
                             "full-size layers, EXR and ProRes then have them, too (default: 8)")
    parser.add_argument("--height", type=int_at_least(SMALLEST_SIDE), metavar="PX",
                        help=f"height of the low resolution, a multiple of {SIDE_MULTIPLE} (default: 256)")


def run(job: Job) -> Outcome:
    """Write the frames in three sizes, the sound, and what metadata.json says of them."""
    clip = open_clip(job)
    size, why = network_size(job, clip)
    for folder in ("rgb", "rgb_512", "rgb_256"):
        (job.made / folder).mkdir()

    def write(name: str, pixels: np.ndarray, file: Path | None) -> None:
        double, small = shrunk(pixels if pixels.dtype == np.uint8 else to_8_bits(unit_range(pixels)), size)
        if "rgb" in job.kept:
            pass
        elif file is not None:
            shutil.copyfile(file, job.made / "rgb" / f"{name}{file.suffix.lower()}")
        else:
            write_own = write_jpeg if clip.ending == ".jpg" else write_png
            write_own(job.made / "rgb" / f"{name}{clip.ending}", pixels)
        write_png(job.made / "rgb_512" / f"{name}.png", double)
        write_png(job.made / "rgb_256" / f"{name}.png", small)

    with InBackground() as in_background:
        for frame in tqdm(clip.frames, "frames", clip.count, unit="frame"):
            in_background(write, *frame)
    values = {"alphapose_input_size": clip.size, "size_LR": size, **clip.values}
    write_values(job.made / METADATA, values)
    rate = Fraction(values["frame_rate"])
    seconds = float(clip.count / rate)
    summary = (f"{clip.count} frame{'s' * (clip.count > 1)} of {clip.size[0]}x{clip.size[1]}, {seconds:.2f} s at "
               f"{float(rate):.5g} per second{', with sound' if 'audio' in values else ''}; {why}")
    return Outcome(summary, clip.findings)


STEP = Step("frames", run, (), (
    "rgb", "rgb_512", "rgb_256", AUDIO,
    *(f"{METADATA}#{key}" for key in ("alphapose_input_size", "size_LR", "original_size", "frame_rate", "rotation",
                                      "mirrored", "color_range", "audio", "source"))), add_options)


def open_clip(job: Job) -> ChosenFrames:
    """The frames that the options choose.

    Raises:
        UserError: there is no source, or nothing in it.
    """
    source, own = job.opt.source, job.root / "rgb"
    if "rgb" in job.kept or (source is None and own.is_dir()):
        source = own
    if source is None:
        raise UserError(f"VIDEO: none given, and no frames in {own}; expected a video file or a folder of frames: "
                        f"python prepare.py my_video.mp4 --dataroot {shlex.quote(str(job.root))}")
    every, start, end = job.opt.every or 1, job.opt.start or 0.0, job.opt.end or np.inf
    if start >= end:
        raise UserError(f"--start {start:g} --end {end:g}: found no time between them; expected an end after the start")
    choose = clip_of_folder if source.is_dir() else clip_of_video
    return choose(source, job, start, end, every)


def clip_of_video(path: Path, job: Job, start: float, end: float, every: int) -> ChosenFrames:
    """Choose frames of a video, and take its sound.

    Raises:
        UserError: it is not a video, or has no frame in that time.
    """
    video = VideoReader(path)
    survey = video.survey(end)
    times, facts = survey.times, video.facts
    if job.opt.frame_rate and not facts.has_clock:
        times, facts = [i / float(job.opt.frame_rate) for i in range(len(times))], replace(
            facts, rate=job.opt.frame_rate)
    findings = findings_of(path, remarks(facts, survey))
    deep = facts.bit_depth > _DEEP and job.opt.bits == 16
    if facts.bit_depth > _DEEP and not deep:
        findings.append(Finding(0, f"{path.name}: {facts.bit_depth} bits, rounded to 8; --bits 16 keeps them, for EXR "
                                   "and ProRes"))
    rate, steady = steady_rate(times, facts.rate)
    if job.opt.frame_rate and abs(job.opt.frame_rate / rate - 1) > _SAME_RATE:
        findings.append(Finding(0, f"{path.name}: {float(rate):.5g} frames per second, shown at "
                                   f"{float(job.opt.frame_rate):.5g} by taking the nearest frame"))
        rate, steady = job.opt.frame_rate, False
    first, stop = frames_between(start, end, rate)
    if not steady:
        refuse_what_stands_still(path, times, start)
    chosen = (list(range(len(times)))[first:stop] if steady else nearest_frames(times, rate, first, stop))[::every]
    if not chosen:
        raise UserError(f"--start {start:g}: {path} ends after {times[-1]:.2f} s; expected a start before its end")
    begin, length = first / float(rate), len(chosen) * every / float(rate)
    has_sound, remark = save_sound(Sound(path, video.first_second + begin, length), job.made / AUDIO)
    if remark:
        findings.append(Finding(0 if has_sound else 1, f"{path.name}: {remark}"))
    values = {"original_size": video.size, "frame_rate": frame_rate_text(rate / every),
              "rotation": video.rotation, "color_range": video.color_range,
              "source": {"file": path.name, "frames": chosen, "first_second": round(begin, 6)}}
    if video.facts.mirrored:
        values["mirrored"] = True
    if video.pixel_aspect != 1:
        turned = video.rotation % 180 == 90
        values["source"]["stored_size"] = video.facts.stored_size[::-1] if turned else video.facts.stored_size
    if has_sound:
        values["audio"] = AUDIO
    if not steady:
        findings.append(unsteady(path, times, chosen, rate))

    def frames() -> Iterator[tuple[str, np.ndarray, None]]:
        wanted = iter(enumerate(chosen, start=1))
        number, index = next(wanted)
        for i, (_, pixels) in enumerate(video.frames(deep=deep)):
            while i == index:
                yield f"{number:04d}", pixels, None
                number, index = next(wanted, (0, -1))
            if index < 0:
                return

    return ChosenFrames(frames(), len(chosen), video.size, values, findings, ".png" if deep else ".jpg")


def refuse_what_stands_still(path: Path, times: list[float], start: float) -> None:
    """See that a clip is not one frame shown again and again for most of its time.

    Args:
        path: of the video, for the message.
        times: seconds of its frames up to the end that is wanted.
        start: the first second that is wanted.

    Raises:
        UserError: it is.
    """
    wanted = [second for second in times if second >= start]
    stops = pauses(wanted)
    still = sum(seconds for _, seconds in stops)
    if still < _LONGEST_STILL or still * 2 < wanted[-1] - wanted[0]:
        return
    before, gap = max(stops, key=lambda stop: stop[1])
    raise UserError(f"{path}: no frame for {gap:.1f} s after {before:.2f} s, as where a recorder is paused or a "
                    f"connection breaks; of {wanted[-1] - wanted[0]:.1f} s a picture would stand still for "
                    f"{still:.1f} s. Take a part, such as --end {before + _MOMENT:.2f} or --start "
                    f"{before + gap - _MOMENT:.2f}, or close the gaps: ffmpeg -i IN -vf setpts=N/25/TB -af "
                    "asetpts=N/SR/TB OUT.mkv")


def findings_of(path: Path, remarks: Iterable[Remark]) -> list[Finding]:
    """What was remarked on a file, as findings."""
    return [Finding(remark.severity, f"{path.name}: {remark.text}") for remark in remarks]


def unsteady(path: Path, times: list[float], chosen: list[int], rate: Fraction) -> Finding:
    """What a varying frame rate meant for the frames."""
    gaps = np.diff(times) * 1000 if len(times) > 1 else np.zeros(1)
    twice = len(chosen) - len(set(chosen))
    return Finding(1 if twice > 0.05 * len(chosen) else 0,
                   f"{path.name}: variable frame rate, {gaps.min():.0f} to {gaps.max():.0f} ms from frame to frame; "
                   f"shown at {float(rate):.5g} per second by taking the nearest frame: {len(set(chosen))} different "
                   f"ones of {len(times)}, {twice} of them shown again")


def clip_of_folder(folder: Path, job: Job, start: float, end: float, every: int) -> ChosenFrames:
    """Choose frames of a folder of pictures; their names are kept where they sort as they count.

    Raises:
        UserError: there are no pictures, or not all have one size.
    """
    files = list_images(folder) if folder == job.root / "rgb" else list_pictures(folder)
    in_order = sorted(files, key=natural_order)
    rate = job.opt.frame_rate or Fraction(facts_of_frames(job.root).get("frame_rate", DEFAULT_FRAME_RATE))
    first, stop = frames_between(start, end, rate)
    chosen = list(range(len(in_order)))[first:stop:every]
    if not chosen:
        raise UserError(f"--start {start:g}: {folder} has {len(in_order)} frames, {len(in_order) / float(rate):.2f} s; "
                        "expected a start before its end")
    stems = [in_order[i] for i in chosen]
    unwieldy = next((stem for stem in stems if any(c < " " or c == "\x7f" for c in stem)), None)
    renamed = stems != sorted(stems) or unwieldy is not None
    names = [f"{i:04d}" for i in range(1, len(stems) + 1)] if renamed else stems
    size = picture_size(files[stems[0]])
    values = {"original_size": size, "frame_rate": frame_rate_text(rate / every),
              "source": {"file": folder.name, "frames": chosen, "names": stems,
                         "first_second": round(first / float(rate), 6)}}
    findings = []
    if renamed:
        findings.append(Finding(0, f"{folder}: names such as {unwieldy or stems[0]} " + (
            "have line breaks or other control characters" if unwieldy else "do not sort as they count")
            + f"; frames are named {', '.join(names[:2])}, ..."))
    missing = missing_numbers(in_order[first:stop])
    if missing:
        which = ", ".join(missing[:8]) + (" ..." if len(missing) > 8 else "")
        findings.append(Finding(1, f"{folder}: {len(missing)} frame{'s' * (len(missing) > 1)} missing in the "
                                   f"numbering: {which}; motion jumps there, and sound shifts. Render or copy them"))

    def frames() -> Iterator[tuple[str, np.ndarray, Path | None]]:
        broken, said = [], {}
        for name, stem in zip(names, stems):
            try:
                picture = read_picture(files[stem])
            except UserError as error:
                broken.append(str(error))
                continue
            pixels = picture.pixels
            if pixels.shape[1::-1] != size:
                raise UserError(f"{files[stem]}: {pixels.shape[1]}x{pixels.shape[0]} pixels; expected "
                                f"{size[0]}x{size[1]}, the size of {files[stems[0]].name}")
            for remark in picture.remarks:
                said.setdefault(remark, []).append(files[stem].name)
            keeps = picture.as_stored and files[stem].suffix.lower() in IMAGE_SUFFIXES
            yield name, pixels, files[stem] if keeps else None
        if broken:
            raise several(broken)
        for remark, who in said.items():
            which = f"all {len(who)} frames" if len(who) == len(stems) else f"{len(who)} frames, first {who[0]}"
            findings.append(Finding(remark.severity, f"{folder}: {which}: {remark.text}"))

    jpeg = all(files[stem].suffix.lower() in JPEG_SUFFIXES for stem in stems)
    return ChosenFrames(frames(), len(stems), size, values, findings, ".jpg" if jpeg else ".png")


def missing_numbers(names: list[str]) -> list[str]:
    """Names that are missing in a list of names that count, such as frame_0006 between frame_0005 and frame_0007."""
    parts = [re.split(r"(\d+)", name) for name in names]
    counting = {i for words in parts for i, (word, first) in enumerate(zip(words, parts[0])) if word != first}
    if len({len(words) for words in parts}) > 1 or len(counting) != 1 or min(counting) % 2 == 0 or len(names) < 3:
        return []
    place = min(counting)
    numbers = [int(words[place]) for words in parts]
    steps = np.diff(numbers)
    step, often = max(((step, (steps == step).sum()) for step in set(steps.tolist())), key=lambda pair: pair[1])
    if step < 1 or often * 2 < len(steps):
        return []
    if sum(numbers[i + 1] - numbers[i] for i in range(len(numbers) - 1)) > _MOST_MISSING * step:
        return []
    width = len(parts[0][place])
    return ["".join([*parts[0][:place], f"{number:0{width}d}", *parts[0][place + 1:]])
            for before, after in zip(numbers, numbers[1:]) for number in range(before + step, after, step)]


def frames_between(start: float, end: float, rate: Fraction) -> tuple[int, int | None]:
    """First frame of the seconds `start` to `end` (may be infinite), and the first after them."""
    first, stop = (int(np.ceil(second * rate - 1e-6)) if np.isfinite(second) else None for second in (start, end))
    return first, stop


def network_size(job: Job, clip: ChosenFrames) -> tuple[tuple[int, int], str]:
    """Size of the low resolution, with the least change of the aspect ratio, and a sentence on it."""
    values = facts_of_frames(job.root)
    original = clip.values["original_size"]
    handmade = next((folder for folder in ("rgb_256", "rgb_512") if folder in job.kept), None)
    if handmade:
        with Image.open(next(iter(list_images(job.root / handmade).values()))) as image:
            size = tuple(side // int(handmade == "rgb_512" and 2 or 1) for side in image.size)
    elif f"{METADATA}#size_LR" in job.kept:
        size = tuple(values["size_LR"])
    else:
        height = job.opt.height or 256
        if height % SIDE_MULTIPLE:
            raise UserError(f"--height: found {height}; expected a multiple of {SIDE_MULTIPLE}")
        size = (nearest_width(original, height), height)
    stretch = original[0] / original[1] * size[1] / size[0]
    why = f"{size[0]}x{size[1]} for the network"
    if abs(stretch - 1) > 1e-3:
        why += (f" ({abs(1 / stretch - 1):.1%} too {'narrow' if stretch > 1 else 'wide'}, which retime.py undoes, and "
                f"test.py --aspect_ratio {stretch:.4f})")
    if original[1] < size[1]:
        clip.findings.append(Finding(0, f"frames are only {original[1]} pixels high: enlarged to {size[1]}"))
    if original[1] > 1.2 * original[0] and size[1] <= 256:
        taller = round(256 * original[1] / original[0] / SIDE_MULTIPLE) * SIDE_MULTIPLE
        clip.findings.append(Finding(1, f"a portrait clip: the network sees {size[0]}x{size[1]} pixels; "
                                        f"--height {taller} gives it as many as a landscape clip has, at their cost"))
    return size, why


def nearest_width(original: tuple[int, int], height: int) -> int:
    """The width, a multiple of 16 and at least 64, that changes the aspect ratio least (as a factor)."""
    exact = original[0] / original[1] * height
    below = max(SMALLEST_SIDE, int(exact // SIDE_MULTIPLE) * SIDE_MULTIPLE)
    return min(below, below + SIDE_MULTIPLE, key=lambda width: abs(np.log(width / exact)))


def shrunk(pixels: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels resampled by area to twice `size` (by cubic curves where that enlarges them), and halved to `size`."""
    double = (size[0] * 2, size[1] * 2)
    enlarges = double[0] > pixels.shape[1] or double[1] > pixels.shape[0]
    large = cv2.resize(pixels, double, interpolation=cv2.INTER_CUBIC if enlarges else cv2.INTER_AREA)
    return large, cv2.resize(large, size, interpolation=cv2.INTER_AREA)


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 RGB [H, W, 3], with colours as fine as brightness."""
    path.write_bytes(cv2.imencode(".jpg", pixels[..., ::-1], _JPEG)[1])


def frame_rate(text: str) -> Fraction:
    """An argparse type: frames per second."""
    try:
        return frame_rate_of(text)
    except ValueError:
        raise ArgumentTypeError(f"found '{text}'; expected frames per second, such as 25 or 30000/1001") from None
