"""The page of a training run, `web/index.html`, made from what lies in the run folder.

    loss_log.jsonl                      the losses (given here as records, see `util/loss_log.py`)
    train_opt.txt                       the options, if it is there
    web/images/epoch012_label.png       the pictures

Nothing is remembered from one call to the next, so a continued run keeps its earlier pictures and curves.
"""

import io
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import cycle, groupby
from pathlib import Path

import numpy as np

from util.html import Media, Page
from util.images import write_png
from util.loss_log import curves

MOST_POINTS = 200
PHASE_COLOURS = ("#eef2f7", "#fbf0df", "#e9f5ea", "#f6eaf4")


def save_images(folder: Path, epoch: int, visuals: Mapping[str, np.ndarray]) -> None:
    """Write `visuals`, uint8 [H, W, 3 or 4] by label, as the pictures of an epoch."""
    for label, pixels in visuals.items():
        write_png(_image_folder(folder) / f"epoch{epoch:03d}_{_file_name(label)}.png", pixels)


def remove_images(folder: Path, first: int = 0) -> None:
    """Delete the pictures of epoch `first` and those after it."""
    for epoch, _, path in _saved_images(folder):
        if epoch >= first:
            path.unlink(missing_ok=True)


def write_run_page(folder: Path, history: list[dict], captions: Mapping[str, str], status: str, width: int,
                   refresh: int | None, commands: Mapping[str, str] | None = None) -> None:
    """Write `web/index.html`, atomically.

    Args:
        folder: the run folder; its name is the page's title.
        history: records of the losses.
        captions: a sentence for a picture's or loss's label; labels that are here come first, in this order.
        status: what the run is doing, in words.
        width: of each picture, in CSS pixels.
        refresh: seconds after which a browser loads the page again; None: never.
        commands: what to do next, sentence to command.
    """
    page = Page(folder.absolute().name, refresh)
    page.add_text(f"{status} (as of {datetime.now():%Y-%m-%d %H:%M:%S})")
    for sentence, command in (commands or {}).items():
        page.add_command(sentence, command)
    if history:
        _add_losses(page, history, captions)
    _add_images(page, folder, captions, width)
    options = folder / "train_opt.txt"
    if options.exists():
        page.add_details("Options of this run", options.read_text(encoding="utf-8", errors="replace"))
    page.save(folder / "web" / "index.html")


def draw_losses(history: list[dict]) -> dict[str, str]:
    """Draw each loss over the epochs.

    Where there are many records, the average of neighbouring ones is drawn over them. The axis is logarithmic where all
    values are positive and span more than a factor of 10. With several phases, each has its ground colour.

    Returns:
        SVG text by loss.
    """
    epochs, losses = curves(history)
    phases = _phases(history, epochs)
    return {name: _draw_curve(epochs, values, phases) for name, values in losses.items()}


def _add_losses(page: Page, history: list[dict], captions: Mapping[str, str]) -> None:
    page.add_header("Losses")
    page.add_text("What the training makes small. Where a curve is flat, training longer changes little.")
    page.add_drawings([(svg, name, captions.get(name, "")) for name, svg in draw_losses(history).items()], width=360)
    page.add_header("Latest losses")
    latest = {name: record for record in history for name in record["losses"]}
    page.add_table(("loss", "value", "epoch", "step", "phase"),
                   [(name, _number(record["losses"][name]), str(record["epoch"]), str(record["step"]), record["phase"])
                    for name, record in latest.items()])


def _add_images(page: Page, folder: Path, captions: Mapping[str, str], width: int) -> None:
    """Add the pictures, newest epoch first; the sentences stand below the newest ones only."""
    rank = {_file_name(label): place for place, label in enumerate(captions)}
    notes = {_file_name(label): sentence for label, sentence in captions.items()}
    images = sorted(_saved_images(folder), key=lambda image: (-image[0], rank.get(image[1], len(rank)), image[1]))
    epochs = [(epoch, list(group)) for epoch, group in groupby(images, key=lambda image: image[0])]
    for epoch, group in epochs[:1]:
        page.add_header(f"Epoch {epoch}")
        page.add_images([Media(f"images/{path.name}", label, notes.get(label, "")) for _, label, path in group], width)
    if epochs[1:]:
        with page.folded(f"Earlier pictures ({len(epochs) - 1})"):
            for epoch, group in epochs[1:]:
                page.add_subheader(f"Epoch {epoch}")
                page.add_images([Media(f"images/{path.name}", label) for _, label, path in group], width)


def _saved_images(folder: Path) -> Iterator[tuple[int, str, Path]]:
    for path in _image_folder(folder).glob("epoch*_*.png"):
        match = re.fullmatch(r"epoch(\d+)_(.+)\.png", path.name)
        if match:
            yield int(match[1]), match[2], path


def _image_folder(folder: Path) -> Path:
    return folder / "web" / "images"


def _file_name(label: str) -> str:
    return re.sub(r"[^\w.-]+", "_", label)


def _number(value: float | None) -> str:
    return "not a finite number" if value is None else f"{value:.4g}"


def _phases(history: list[dict], epochs: np.ndarray) -> list[tuple[str, float, float]]:
    """Title, first and last epoch of each phase; a phase reaches to the next."""
    titles = [record["phase"] for record in history]
    starts = [place for place, title in enumerate(titles) if place == 0 or title != titles[place - 1]]
    ends = starts[1:] + [len(titles) - 1]
    return [(titles[start], epochs[start], epochs[end]) for start, end in zip(starts, ends, strict=True)]


def _draw_curve(epochs: np.ndarray, values: np.ndarray, phases: list[tuple[str, float, float]]) -> str:
    from matplotlib.figure import Figure  # takes most of a second, and a run without training draws nothing
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(4, 2.6), layout="constrained")
    chart = figure.subplots()
    for (title, first, last), colour in zip(phases, cycle(PHASE_COLOURS)):
        chart.axvspan(first, last, color=colour, linewidth=0, label=title)
    if len(phases) > 1:
        legend = figure.legend(loc="outside lower center", fontsize=8, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)

    known = np.isfinite(values)
    epochs, values = epochs[known], values[known]
    groups = np.array_split(np.arange(len(values)), min(MOST_POINTS, len(values))) if len(values) else []
    chart.plot(epochs, values, color="#9db7d5", linewidth=0.7)
    chart.plot([epochs[group].mean() for group in groups], [values[group].mean() for group in groups],
               color="#1f5fa8", linewidth=1.4, marker="." if len(values) == 1 else "")
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        chart.set_yscale("log")
        chart.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        chart.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        chart.yaxis.set_minor_formatter(NullFormatter())
    chart.grid(color="#d5dbe2", linewidth=0.6)
    chart.spines[:].set_color("#b9c2cc")
    chart.tick_params(labelsize=8, color="#b9c2cc", which="both")
    chart.set_xlabel("epoch", fontsize=8)
    svg = io.StringIO()
    figure.savefig(svg, format="svg", transparent=True)
    return svg.getvalue()
