"""Export what a trained model makes of its clip.

    python test.py --name my_run

Clip, model and network size are those of the training. For the model lnr: one straight-alpha PNG per layer and frame,
named by layer (l0 is the background), a video per layer, and a page to look at them, in
results/<name>/test_<epoch>/.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from data.base_dataset import BaseDataset
from data.loading import create_dataset, create_test_loader
from models import create_model
from models.base_model import BaseModel, Export
from options.test_options import TestOptions
from util.allocator import keep_freed_memory
from util.errors import reported_in_one_line
from util.files import folder_filled_atomically
from util.html import Media, Page
from util.images import write_png
from util.tensors import to_pixels
from util.video import VideoWriter


def main() -> None:
    """Load, export, and say where the results are."""
    keep_freed_memory()
    opt = TestOptions().parse()
    dataset = create_dataset(opt)
    model = create_model(opt)
    model.load_networks(opt.epoch)
    folder = Path(opt.results_dir) / opt.name / f"{opt.phase}_{opt.epoch}"
    with folder_filled_atomically(folder) as temporary:
        stems, last = export(model, dataset, temporary, opt)
        write_page(temporary / "index.html", f"{opt.name}, {opt.phase}, epoch {opt.epoch}", stems, last,
                   opt.display_winsize)
    print(f"results: {folder / 'index.html'}")


def export(model: BaseModel, dataset: BaseDataset, folder: Path, opt) -> tuple[list[str], Export]:
    """Write images/<item>_<name>.png and videos/<name>.webm, with one item in memory at a time.

    Returns:
        names of the items, and what was written for the last of them.
    """
    stems, result = [], Export()
    count = int(min(len(dataset), opt.num_test))
    with open_videos(folder / "videos", dataset.frame_rate) as videos:
        for _, batch in zip(tqdm(range(count), desc="export", unit="frame"), create_test_loader(dataset)):
            result = model.export(batch)
            stems.append(Path(batch["image_path"][0]).stem)
            for name, image in result.images.items():
                write_png(folder / "images" / f"{stems[-1]}_{name}.png", to_pixels(stretched(image, opt.aspect_ratio)))
            for name, image in result.video_frames.items():
                videos(name).add(to_pixels(stretched(image, opt.aspect_ratio).expand(3, -1, -1)))
    return stems, result


@contextmanager
def open_videos(folder: Path, frame_rate) -> Iterator:
    """Yield a function from a name to the writer of that video, opened when it is first asked for."""
    writers: dict[str, VideoWriter] = {}

    def video(name: str) -> VideoWriter:
        if name not in writers:
            writers[name] = VideoWriter(folder / f"{name}.webm", frame_rate)
        return writers[name]

    try:
        yield video
    finally:
        for writer in writers.values():
            writer.close()


def stretched(image: Tensor, aspect_ratio: float) -> Tensor:
    """[1, C, H, W] to [C, H', W'] whose width over height is `aspect_ratio` times as large; the smaller side grows."""
    if aspect_ratio == 1:
        return image[0]
    height, width = image.shape[-2:]
    size = (height, round(width * aspect_ratio)) if aspect_ratio > 1 else (round(height / aspect_ratio), width)
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=True)[0]


def write_page(path: Path, title: str, stems: list[str], made: Export, width: int) -> None:
    """A page with all videos, and for each item a row of its images, which are named as those of `made`."""
    page = Page(title)
    if made.video_frames:
        page.add_header("Videos")
        page.add_videos([Media(f"videos/{name}.webm", name, made.captions.get(name, ""))
                         for name in made.video_frames], width)
    for stem in stems:
        page.add_header(stem)
        page.add_images([Media(f"images/{stem}_{name}.png", name) for name in made.images], width)
    page.save(path)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
