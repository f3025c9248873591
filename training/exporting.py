"""What a trained model makes of its data: pictures, videos and pages. The work of test.py, and of train.py --export."""

import hashlib
import json
import shlex
import shutil
from argparse import Namespace
from fractions import Fraction
from pathlib import Path, PurePath

import numpy as np
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from data.base_dataset import BaseDataset
from data.loading import create_dataset, create_test_loader, resolved
from models import create_model
from models.base_model import BaseModel, Export
from options.result_options import result_arguments
from options.test_options import TestOptions
from util.background import InBackground
from util.clips import evenly_spread
from util.errors import UserError
from util.files import link_or_copy, results_added, write_text, written_atomically
from util.html import Media, Page
from util.images import write_image
from util.kept import mark_of_code
from util.tensors import to_pixels
from util.video import VideoWriter

ON_A_SHEET, SHEET_WIDTH = 6, 150
"""Items on the contact sheet of a page, and CSS pixels of each picture: two beside each other on a telephone."""


def export_trained(opt: Namespace) -> Path:
    """Export a run that was trained just now as `test.py --name NAME` does, in the same process: what the data have in
    memory is not made again.

    Args:
        opt: of the training.

    Returns:
        the folder of the results.
    """
    gpus = ",".join(map(str, opt.gpu_ids)) or "-1"
    words = [f"--name={opt.name}", f"--checkpoints_dir={opt.checkpoints_dir}", f"--gpu_ids={gpus}"]
    return export_run(resolved(TestOptions().parse(words)))


def export_run(opt: Namespace) -> Path:
    """Load the model and export all items, as the options of test.py say; returns the folder of the results."""
    dataset = create_dataset(opt)
    model = create_model(opt)
    model.load_networks(opt.epoch)
    model.set_mode(training=not opt.eval)
    folder = Path(opt.results_dir) / opt.name / f"{opt.phase}_{opt.epoch}"
    title = f"{opt.name}, {opt.phase}, epoch {opt.epoch}"
    mark = mark_of_results(opt) if dataset.completes_results else None
    with results_added(folder, "test", own=True, resumes=mark) as temporary:
        export(model, dataset, temporary, title, opt)
    return folder


def export(model: BaseModel, dataset: BaseDataset, folder: Path, title: str, opt: Namespace) -> None:
    """Write what the model makes of every item, with one item in memory at a time, and the pages to look at it.

    Where the folder holds all that an interrupted export has made of the items, it goes on from there.
    """
    state = folder / ".exported.json"
    if dataset.completes_results and state.exists():
        made = {name: SequenceResults(name, folder / name, dataset.frame_rate, opt, **values)
                for name, values in json.loads(state.read_text(encoding="utf-8")).items()}
    else:
        for path in folder.iterdir() if dataset.completes_results else ():  # of an export that did not get so far
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        made = export_items(model, dataset, folder, opt)
        if dataset.completes_results:
            write_text(state, json.dumps({name: results.state for name, results in made.items()}))
    dataset.complete_results(folder)
    state.unlink(missing_ok=True)
    for name, results in made.items():
        results.write_page(f"{title}, {name}" if name else title, {} if name else next_commands(model, opt))
    if "" not in made:
        page = Page(title)
        add_commands(page, next_commands(model, opt))
        for name, results in made.items():
            page.add_header(name)
            page.add_link(f"{name}/index.html", f"{len(results.items)} items")
            page.add_videos(results.videos_on_page(f"{name}/"), opt.display_winsize)
        page.save(folder / "index.html")


def export_items(model: BaseModel, dataset: BaseDataset, folder: Path, opt: Namespace) -> dict[str, "SequenceResults"]:
    """Write pictures, videos and files of every item; returns the results by sequence."""
    made: dict[str, SequenceResults] = {}
    current: SequenceResults | None = None
    count = int(min(len(dataset), opt.num_test))

    def write(sequence: str, item: str, exported: Export) -> None:
        nonlocal current
        if current is None or sequence != current.name:
            if sequence in made:
                raise UserError(f"{item}: sequence {sequence} goes on here after another one; expected the items of a "
                                "sequence to follow each other")
            if current is not None:
                current.close()
            current = made[sequence] = SequenceResults(sequence, folder / sequence, dataset.frame_rate, opt)
        current.add(item, exported)

    try:
        with InBackground() as in_background:
            for _, batch in zip(tqdm(range(count), desc="export", unit="item"), create_test_loader(dataset)):
                item = batch["image_path"][0]
                sequence = inside(batch["sequence"][0], item) if "sequence" in batch else ""
                in_background(write, sequence, item, model.export(batch))
    finally:
        if current is not None:
            current.close()
    return made


def mark_of_results(opt: Namespace) -> str:
    """A word that is another one where options, weights, data or the program are."""
    weights = Path(opt.checkpoints_dir, opt.name).glob(f"{opt.epoch}_*")
    files = [*weights, *(path for path in Path(opt.dataroot).rglob("*") if path.is_file())]
    marks = [f"{path} {(status := path.stat()).st_size} {status.st_mtime_ns}" for path in sorted(files)]
    text = "\n".join([repr(sorted(vars(opt).items())), mark_of_code(("data", "models", "util", "vision")), *marks])
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


class SequenceResults:
    """The results of one sequence of items: pictures, videos and a page in a folder of their own.

    Args:
        name: of the sequence; "" where the data have none.
        folder: where they lie.
        frame_rate: of the videos.
        opt: aspect_ratio, display_winsize.

    Attributes:
        items: the pictures of each item, as paths in the folder with their titles.
        captions: of the videos, by name.
        video_names: of those that there are.
    """

    def __init__(self, name: str, folder: Path, frame_rate: Fraction, opt: Namespace, items: dict | None = None,
                 captions: dict | None = None, video_names: list | None = None):
        self.name, self.folder, self.frame_rate, self.opt = name, folder, frame_rate, opt
        self.items: dict[str, list[tuple[str, str]]] = items or {}
        self.captions: dict[str, str] = captions or {}
        self.video_names: list[str] = video_names or []
        self.videos: dict[str, VideoWriter] = {}
        self._latest: dict[str, tuple[np.ndarray, Path]] = {}  # pixels and files

    @property
    def state(self) -> dict:
        """The attributes, for JSON."""
        return {"items": self.items, "captions": self.captions, "video_names": self.video_names}

    def add(self, item: str, made: Export) -> None:
        """Write what was made of an item, which is known by the path of its picture."""
        stem = Path(item).stem
        if stem in self.items:
            raise UserError(f"{item}: another item is called {stem}, too; expected other names, or `sequence` in the "
                            "dataset's items")
        pictures = self.items[stem] = []
        files: dict[str, tuple[str, Tensor | str | bytes]] = {
            f"images/{stem}_{name}.png": (name, image) for name, image in made.images.items()}
        files |= {inside(name, item): (name, content) for name, content in made.files.items()}
        for place, (name, content) in files.items():
            path = self.folder / place
            if path.exists() or place == "index.html":
                raise UserError(f"{item}: its results would be written to {place}, as something else is; expected "
                                "another name")
            if isinstance(content, Tensor):
                pictures.append((place, name))
                self._write_picture(path, name, self.pixels(content))
            else:
                with written_atomically(path) as temporary:
                    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        for name, image in made.video_frames.items():
            if name not in self.videos:
                self.video_names.append(name)
                self.videos[name] = VideoWriter(self.folder / f"videos/{name}.webm", self.frame_rate)
            self.videos[name].add(self.pixels(image.expand(-1, 3, -1, -1)))
        self.captions |= made.captions

    def _write_picture(self, path: Path, name: str, pixels: np.ndarray) -> None:
        """Write a picture; one that is like that of the item before, such as a background at rest, is that file."""
        before, file = self._latest.get(name, (None, path))
        if before is not None and np.array_equal(before, pixels):
            link_or_copy(file, path)
        else:
            write_image(path, pixels)
            self._latest[name] = pixels, path

    def pixels(self, image: Tensor) -> np.ndarray:
        """An image [1, C, H, W] as uint8 [H, W, C] of the wanted aspect ratio."""
        return to_pixels(stretched(image, self.opt.aspect_ratio))

    def close(self) -> None:
        """Finish the videos."""
        for video in self.videos.values():
            video.close()

    def videos_on_page(self, folder: str = "") -> list[Media]:
        """The videos, for a page in front of `folder`."""
        return [Media(f"{folder}videos/{name}.webm", name, self.captions.get(name, "")) for name in self.video_names]

    def write_page(self, title: str, commands: dict[str, str]) -> None:
        """A page with all videos, what to do next, a contact sheet, and folded away a row of pictures for each item."""
        page = Page(title)
        if self.video_names:
            page.add_header("Videos")
            page.add_videos(self.videos_on_page(), self.opt.display_winsize)
        add_commands(page, commands)
        stems = list(self.items)
        chosen = [stems[i] for i in evenly_spread(len(stems), ON_A_SHEET)]
        page.add_header("Pictures")
        for kind in dict.fromkeys(name for stem in chosen for _, name in self.items[stem]):
            page.add_subheader(kind)
            page.add_images([Media(path, stem) for stem in chosen for path, name in self.items[stem] if name == kind],
                            SHEET_WIDTH)
        with page.folded(f"All pictures of {len(stems)} items"):
            for stem, pictures in self.items.items():
                page.add_subheader(stem)
                page.add_images([Media(path, name) for path, name in pictures], self.opt.display_winsize)
        page.save(self.folder / "index.html")


def next_commands(model: BaseModel, opt: Namespace) -> dict[str, str]:
    """What the model says to do with its results: sentence to command, with the options that name them."""
    return {sentence: f"python {program} {shlex.join(result_arguments(opt))}{options and ' '}{options}"
            for sentence, program, options in model.next_steps}


def add_commands(page: Page, commands: dict[str, str]) -> None:
    """Add what to do next, if there is anything."""
    if commands:
        page.add_header("Next")
    for sentence, command in commands.items():
        page.add_command(sentence, command)


def inside(name: str, item: str) -> str:
    """A name of a file or folder among the results, whoever chose it: the model, or those who named the data.

    Raises:
        UserError: it leads out of the folder of results.
    """
    path = PurePath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{item}: its results would be written to '{name}'; expected a name inside the folder of "
                        "results")
    return path.as_posix()


def stretched(image: Tensor, aspect_ratio: float) -> Tensor:
    """[1, C, H, W] to [C, H', W'] whose width over height is `aspect_ratio` times as large; the smaller side grows."""
    if aspect_ratio == 1:
        return image[0]
    height, width = image.shape[-2:]
    size = (height, round(width * aspect_ratio)) if aspect_ratio > 1 else (round(height / aspect_ratio), width)
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=True)[0]
