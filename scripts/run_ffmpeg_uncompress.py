"""Unpack the archive of an actor of Neural Actor: videos to pictures, transform files out of their zip.

    python scripts/run_ffmpeg_uncompress.py -i datasets/marc/training                        # everything
    python scripts/run_ffmpeg_uncompress.py -i datasets/marc/training -o DIR -c 0,4 -f 100,200

SUBJECT holds transform.zip, tex_*.avi, normal_*.avi and rgb_video/000.avi ...; OUTPUT gets transform/, tex/, normal/
and rgb/FRAME/CAMERA.png, named so that all files of a frame have the number of its transform file, and the cameras
(intrinsic/ and pose/ or extrinsic/) that lie in SUBJECT or beside it. What is missing is left out. Pictures that are
there stay, so the command can be interrupted and given again.
"""

import os
import re
import shutil
import sys
import zipfile
from argparse import ArgumentTypeError
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import av  # noqa: E402
from tqdm import tqdm  # noqa: E402

from util.clips import natural_order  # noqa: E402
from util.command_line import OneLineParser, int_at_least  # noqa: E402
from util.errors import UserError, reported_in_one_line, several  # noqa: E402
from util.files import written_atomically  # noqa: E402
from util.images import write_png  # noqa: E402
from util.video_reader import VideoReader  # noqa: E402

VIDEOS = (".avi", ".mp4", ".mkv", ".mov")
MAPS = ("tex", "normal")
CAMERAS = ("intrinsic", "intrinisc", "pose", "extrinsic")


def main(argv: list[str] | None = None) -> None:
    """Look at all that there is, then unpack it."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("-i", "--subject", type=Path, required=True, metavar="DIR", help="folder of the archive")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder to write to (default: SUBJECT)")
    parser.add_argument("-c", "--cameras", type=numbers, metavar="START,END",
                        help="only the cameras START to END - 1, by their order (default: all)")
    parser.add_argument("-f", "--frames", type=numbers, metavar="START,END",
                        help="only the frames START to END - 1, by their order (default: all)")
    parser.add_argument("--workers", type=int_at_least(1), default=os.cpu_count() or 1, metavar="N",
                        help="videos that are read at once (default: one for each core)")
    parser.add_argument("--overwrite", action="store_true", help="make the files anew that are there")
    opt = parser.parse_args(argv)
    output = opt.output or opt.subject
    names, archive = transform_files(opt.subject)
    videos = {kind: path for kind in MAPS if (path := map_video(opt.subject, kind))}
    photographed = camera_videos(opt.subject, opt.cameras)
    streams = [*videos.values(), *photographed.values()]
    if not streams and not names:
        raise UserError(f"{opt.subject}: neither transform.zip nor tex_*.avi, normal_*.avi or rgb_video/; expected the "
                        "folder of an archive")
    start, end = checked_range(opt.frames, {path: frame_count(path) for path in streams}, archive, len(names))
    stems = [Path(name).stem for name in names[start:end]] or [f"{number:06d}" for number in range(start, end)]
    if names:
        unpack_transforms(archive, names[start:end], output / "transform", opt.overwrite)
    copy_cameras(opt.subject, output, opt.cameras, list(photographed))
    work = [(path, [output / kind / f"{stem}.png" for stem in stems]) for kind, path in videos.items()]
    work += [(path, [output / "rgb" / stem / f"{camera}.png" for stem in stems])
             for camera, path in photographed.items()]
    with ThreadPoolExecutor(opt.workers) as pool, tqdm(total=len(work) * len(stems), unit="picture") as bar:
        try:
            for future in as_completed([pool.submit(unpack, path, start, files, opt.overwrite, bar)
                                        for path, files in work]):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    print(f"{output}: {len(stems)} frames, {len(photographed)} cameras{''.join(f', {kind}' for kind in videos)}")


def numbers(text: str) -> tuple[int, int]:
    """An argparse type: START,END."""
    found = re.fullmatch(r"\(?\s*(\d+)\s*,\s*(\d+)\s*\)?", text)
    if not found or int(found[1]) >= int(found[2]):
        raise ArgumentTypeError(f"found '{text}'; expected two numbers such as 0,100, the second one above the first")
    return int(found[1]), int(found[2])


def transform_files(subject: Path) -> tuple[list[str], Path]:
    """Names of transform files in the order of their numbers, and the zip or folder that they are in."""
    archive = subject / "transform.zip"
    if not archive.exists():
        folder = subject / "transform"
        return sorted((path.name for path in folder.glob("*.json")), key=natural_order), folder
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.endswith(".json") and "__MACOSX" not in name]
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{archive}: not readable ({error}); expected a zip of transform files. Fetch it "
                        "again") from None
    return sorted(names, key=lambda name: natural_order(Path(name).name)), archive


def map_video(subject: Path, kind: str) -> Path | None:
    """The video of maps of a kind."""
    found = [path for path in sorted(subject.glob(f"{kind}*")) if path.suffix.lower() in VIDEOS]
    if len(found) > 1:
        raise UserError(f"{subject}: {len(found)} videos of {kind} maps, {found[0].name} and {found[1].name}; expected "
                        "one")
    return found[0] if found else None


def camera_videos(subject: Path, cameras: tuple[int, int] | None) -> dict[str, Path]:
    """The chosen cameras' videos, by the name of their pictures."""
    found = sorted((path for path in (subject / "rgb_video").glob("*") if path.suffix.lower() in VIDEOS),
                   key=lambda path: natural_order(path.name))
    if cameras and cameras[1] > len(found):
        raise UserError(f"-c: found {cameras[0]},{cameras[1]}, but {subject / 'rgb_video'} has {len(found)} videos, "
                        "from 0")
    chosen = found[slice(*cameras)] if cameras else found
    return {f"{int(path.stem):04d}" if path.stem.isdecimal() else path.stem: path for path in chosen}


def frame_count(path: Path) -> int:
    """Frames of a video, from its packets: nothing is decoded."""
    try:
        with av.open(str(path)) as container:
            return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise UserError(f"{path}: not readable as a video ({getattr(error, 'strerror', error)}). Fetch it "
                        "again") from None


def checked_range(frames: tuple[int, int] | None, counts: dict[Path, int], archive: Path, files: int
                  ) -> tuple[int, int]:
    """First frame and the one to stop before.

    Raises:
        UserError: something has fewer frames, or, where all are asked for, not everything has as many.
    """
    if files:
        counts = {archive: files, **counts}
    common = min(counts.values())
    if frames is None:
        if len(set(counts.values())) > 1:
            usual = max(set(counts.values()), key=list(counts.values()).count)
            raise several([f"{path}: {count} frames, {usual} elsewhere; expected as many in all. If all begin with the "
                           f"same frame, give -f 0,{common}" for path, count in counts.items() if count != usual])
        return 0, common
    short = [f"{path}: {count} frames; -f asks for {frames[0]} to {frames[1] - 1}" for path, count in counts.items()
             if count < frames[1]]
    if short:
        raise several(short)
    return frames


def unpack_transforms(archive: Path, names: list[str], folder: Path, overwrite: bool) -> None:
    """Write transform files out of their zip, whatever folder they are in there."""
    if archive.is_dir():
        for name in names if folder != archive else []:
            if overwrite or not (folder / name).exists():
                with written_atomically(folder / name) as temporary:
                    shutil.copyfile(archive / name, temporary)
        return
    with zipfile.ZipFile(archive) as opened:
        for name in names:
            file = folder / Path(name).name
            if overwrite or not file.exists():
                with written_atomically(file) as temporary:
                    temporary.write_bytes(opened.read(name))


def copy_cameras(subject: Path, output: Path, cameras: tuple[int, int] | None, pictures: list[str]) -> None:
    """Copy the files of the chosen cameras, where there are some and the output has none."""
    for kind in CAMERAS:
        folder = next((path for path in (subject / kind, subject.parent / kind) if path.is_dir()), None)
        if folder is None or (output / kind).exists():
            continue
        files = sorted(folder.glob("*.txt"), key=lambda path: natural_order(path.name))
        for file in files[slice(*cameras)] if cameras else files:
            with written_atomically(output / kind / file.name) as temporary:
                shutil.copyfile(file, temporary)


def unpack(path: Path, start: int, files: list[Path], overwrite: bool, bar: tqdm) -> None:
    """Write frames of a video, from `start` on, to files; those that are there stay.

    Raises:
        UserError: it ends before all are written.
    """
    missing = [number for number, file in enumerate(files) if overwrite or not file.exists()]
    bar.update(len(files) - len(missing))
    if not missing:
        return
    wanted, last = set(missing), missing[-1]
    decoded = 0
    for decoded, (_, pixels) in enumerate(islice(VideoReader(path).frames(), start, start + last + 1), 1):
        if decoded - 1 in wanted:
            write_png(files[decoded - 1], pixels)
            bar.update()
    if decoded <= last:
        raise UserError(f"{path}: frame {start + decoded} cannot be decoded; expected {start + last + 1} frames. Fetch "
                        "it again")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
