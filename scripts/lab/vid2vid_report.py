"""How near a video made from maps is to the real one, beside two answers that need no network; a page with videos.

    python scripts/lab/vid2vid_report.py --name vid2vid_dancer --shown other

For each frame of the test sequences, three pictures are compared with the real one: that of test.py, the training frame
whose map is nearest (mean difference of maps; of label maps the share of pixels that differ), and the mean training
frame. PSNR and SSIM are taken inside the person, where maps show one, else of whole frames. Sequences of the phases in
--shown have no true frame, as they show somebody else: the page puts them beside what is made of them. Writes
results/NAME/report/: index.html, videos, pictures, report.json.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.loading import create_dataset, resolved
from evaluation.images import Sum, mean, pooled, squared_error, ssim_map
from models.vid2vid_pictures import map_picture
from options.saved import saved_options
from options.test_options import TestOptions
from util.command_line import OneLineParser, folder_name
from util.errors import UserError, reported_in_one_line
from util.files import results_added, write_text
from util.html import Media, Page
from util.images import read_image, unit_range, write_image
from util.tensors import to_pixels
from util.video import VideoWriter

ANSWERS = {"made": "made by the network", "nearest": "training frame of the nearest map", "mean": "mean training frame"}
PICTURES = 4


class Frame:
    """A frame of a sequence: the last one of a window of the dataset.

    Attributes:
        maps: [C, H, W] as the dataset gives them.
        real: uint8 [H, W, 3].
        inside: bool [H, W], where it is compared.
        drawn: the map for people, uint8 [H, W, 3].
    """

    def __init__(self, item: dict, opt: Namespace):
        self.sequence, self.stem = item["sequence"], Path(item["image_path"]).stem
        self.maps, self.real = item["A"][-1].numpy(), to_pixels(item["B"][-1])
        encoded = item["A"][-1]
        if opt.label_nc:
            encoded = (encoded == encoded.new_tensor(range(opt.label_nc))[:, None, None]).float()
        drawn = map_picture(encoded, Namespace(**{**vars(opt), "use_instance": False}))
        self.drawn = np.ascontiguousarray(np.broadcast_to(drawn if drawn.ndim == 3 else drawn[..., None],
                                                          self.real.shape))
        self.inside = np.ones(self.real.shape[:2], bool)
        if opt.dataset_mode == "pose":
            self.inside = (self.maps > -1).any(0)
        elif opt.dataset_mode == "face":
            self.inside = item["inst"][-1, 0].numpy() > 0


def frames_of(opt: Namespace, phase: str) -> Iterator[Frame]:
    """The frames of a phase that test.py makes, one after the other."""
    dataset = create_dataset(resolved(Namespace(**{**vars(opt), "phase": phase})))
    return (Frame(dataset.item(index, None, 1), opt) for index in range(len(dataset)))


def map_difference(one: np.ndarray, other: np.ndarray, of_labels: bool) -> float:
    """Mean difference of two maps, or the share of pixels whose labels differ."""
    return float((one != other).mean() if of_labels else np.abs(one - other).mean())


def measured(made: np.ndarray, frame: Frame) -> dict[str, Sum]:
    """How near a picture is to a real frame."""
    pictures = unit_range(made), unit_range(frame.real)
    return {"PSNR, dB": squared_error(*pictures, frame.inside), "SSIM": mean(ssim_map(*pictures), frame.inside)}


def main() -> None:
    """Compare, write the page, and say what came out."""
    parser = OneLineParser(description="Compare a video made from maps with the real one; write a page.")
    add = parser.add_argument
    add("--name", required=True, type=folder_name, metavar="NAME", help="of the run (required)")
    add("--phase", default="test", type=folder_name, metavar="NAME", help="sequences to compare (default: test)")
    add("--shown", default=[], nargs="*", type=folder_name, metavar="NAME", help="phases to show beside what was made")
    add("--checkpoints_dir", default="./checkpoints", metavar="DIR", help="folder of all runs")
    add("--results_dir", default="./results", metavar="DIR", help="folder of all results")
    given = parser.parse_args()
    opt = TestOptions().parse(["--name", given.name, "--use_real_img", "--checkpoints_dir", given.checkpoints_dir,
                               "--results_dir", given.results_dir])
    folder = Path(given.results_dir) / given.name / "report"
    with results_added(folder, "report", own=True) as temporary:
        page = Page(f"{given.name}: made from maps")
        compare(opt, given.phase, temporary, page)
        for phase in given.shown:
            show(opt, phase, temporary, page)
        page.save(temporary / "index.html")
    print(f"report: {folder / 'index.html'}")


def made_picture(opt: Namespace, phase: str, frame: Frame) -> np.ndarray:
    """What test.py made of a frame's map.

    Raises:
        UserError: nothing of this size.
    """
    path = (Path(opt.results_dir) / opt.name / f"{phase}_{opt.epoch}" / frame.sequence / f"fake_B_{frame.stem}.jpg")
    made = read_image(path, "RGB")
    if made.shape != frame.real.shape:
        raise UserError(f"{path}: {made.shape[1]}x{made.shape[0]} pixels; expected {frame.real.shape[1]}x"
                        f"{frame.real.shape[0]}. Run test.py --name {opt.name} --phase {phase} again")
    return made


def compare(opt: Namespace, phase: str, folder: Path, page: Page) -> None:
    """Measure all frames of a phase; write a table, a video of each sequence, and some frames."""
    training = list(frames_of(opt, saved_options(Path(opt.checkpoints_dir) / opt.name).get("phase", "train")))
    average = np.rint(np.mean([frame.real for frame in training], axis=0)).astype(np.uint8)
    frames = list(frames_of(opt, phase))
    sums: dict[str, list[dict[str, Sum]]] = {name: [] for name in ANSWERS}
    with Rows(folder, phase, [frame.sequence for frame in frames]) as rows:
        for frame in frames:
            nearest = min(training, key=lambda known: map_difference(known.maps, frame.maps, bool(opt.label_nc)))
            answers = {"made": made_picture(opt, phase, frame), "nearest": nearest.real, "mean": average}
            for name, picture in answers.items():
                sums[name].append(measured(picture, frame))
            rows.add(frame.sequence, [frame.drawn, answers["made"], frame.real, nearest.real])
    figures = {name: {measure: pooled(one[measure] for one in of_frames) for measure in of_frames[0]}
               for name, of_frames in sums.items()}
    write_text(folder / "report.json", json.dumps({"frames": len(frames), "inside": figures}, indent=1) + "\n")
    page.add_header(f"{phase}: {len(frames)} frames that were not trained on")
    where = "of whole frames" if all(frame.inside.all() for frame in frames) else "inside the person"
    page.add_text(f"PSNR and SSIM {where}, against the real frames; higher is nearer.")
    table = [[ANSWERS[name], *(f"{value:.3f}" if measure == "SSIM" else f"{value:.2f}"
                               for measure, value in of_it.items())] for name, of_it in figures.items()]
    page.add_table(["", *next(iter(figures.values()))], table)
    rows.show(page, "Left to right: map, made, real, training frame of the nearest map.")
    for name, *values in table:
        print(f"{name:>36}: PSNR {values[0]} dB, SSIM {values[1]}")


def show(opt: Namespace, phase: str, folder: Path, page: Page) -> None:
    """Put the sequences of a phase beside what was made of their maps."""
    frames = list(frames_of(opt, phase))
    with Rows(folder, phase, [frame.sequence for frame in frames]) as rows:
        for frame in frames:
            rows.add(frame.sequence, [frame.real, frame.drawn, made_picture(opt, phase, frame)])
    page.add_header(f"{phase}: somebody else's motion")
    rows.show(page, "Left to right: the other one, the map, and what the network makes of it.")


class Rows:
    """Rows of pictures, as a video of each sequence and as some still pictures.

    Args:
        folder: to write to.
        phase: begins the names of files.
        sequences: the sequence of each frame that will come.
    """

    def __init__(self, folder: Path, phase: str, sequences: list[str]):
        self.folder, self.phase, self.number = folder, phase, 0
        self.chosen = set(np.linspace(0, len(sequences) - 1, PICTURES).astype(int).tolist())
        self.videos: dict[str, VideoWriter] = {}
        self.stills: list[str] = []

    def __enter__(self) -> "Rows":
        return self

    def add(self, sequence: str, pictures: list[np.ndarray]) -> None:
        """A frame's pictures, side by side."""
        row = np.concatenate(pictures, axis=1)
        path = self.folder / f"{self.phase}_{sequence}.mp4"
        if sequence not in self.videos:
            self.videos[sequence] = VideoWriter(path, 25)
        self.videos[sequence].add(row)
        if self.number in self.chosen:
            self.stills.append(f"{self.phase}_{self.number:04d}.png")
            write_image(self.folder / self.stills[-1], row)
        self.number += 1

    def __exit__(self, *_error) -> None:
        for video in self.videos.values():
            video.close()

    def show(self, page: Page, note: str) -> None:
        """Put them on a page."""
        page.add_videos([Media(f"{self.phase}_{name}.mp4", name, note) for name in self.videos], 900)
        page.add_images([Media(name, "") for name in self.stills], 560)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
