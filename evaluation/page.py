"""What an evaluation found, for programs (metrics.json, frames.csv) and for people (tables, a page with plots).

A result is a dict as `metrics.json` holds it (docs/evaluation.md): `total` has figures by group and measure, `frames`
the same of each frame. Nothing here measures anything, or knows which measures there are.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from evaluation.images import IDENTICAL
from util.files import write_text
from util.html import Media, Page
from util.images import write_png

COLOURS = ("#1f5fa8", "#d1642a", "#3b8a4f", "#8b54a8", "#b0872a", "#2f8f94", "#b44a6b", "#666f7a")


class Measure(NamedTuple):
    """How a figure is shown.

    `unit` is dB, levels, %, or empty; `better` says which way is good; `meaning` is a sentence for both a viewer and a
    researcher.
    """

    title: str
    unit: str
    better: str
    meaning: str


class Table(NamedTuple):
    """Figures as text: a heading, names of the columns of figures, and for each row its title and a cell per column."""

    heading: str
    columns: list[str]
    rows: list[tuple[Measure, list[str]]]


def run_sentences(result: Mapping) -> list[str]:
    """The run that was measured, where it was one, for people."""
    run = result["run"]
    if not run:
        return []
    training = ", ".join(f"{name} {value}" for name, value in run["training"].items())
    return [f"Run: {run['name']}, epoch {run['epoch']}" + (f", seed {run['seed']}; {training}." if training else ".")]


def left_out_sentences(result: Mapping) -> list[str]:
    """What was not measured, and why."""
    return [f"Left out: {name}, because {reason}." for name, reason in result["left_out"].items()]


def shown(value: float | None, unit: str = "") -> str:
    """A figure as text; a dash where there is none."""
    if value is None:
        return "-"
    if unit == "dB":
        return "identical" if value >= IDENTICAL else f"{value:.2f} dB"
    if unit == "%":
        return f"{100 * value:.2f} %"
    if unit == "levels":
        return f"{value:.2f}"
    return f"{value:.4f}"


def console_text(made: Sequence[Table]) -> str:
    """Tables for a terminal."""
    lines = []
    for table in made:
        width = max(25, *(len(measure.title) for measure, _ in table.rows))
        lines.append(f"{table.heading:<{width + 2}}" + "".join(f"{column:>15}" for column in table.columns))
        lines += [f"  {measure.title:<{width}}" + "".join(f"{cell:>15}" for cell in cells)
                  for measure, cells in table.rows]
    return "\n".join(line.rstrip() for line in lines)


def write_figures(folder: Path, result: Mapping) -> None:
    """Write metrics.json and frames.csv, with six digits, into a folder."""
    result = _rounded(result)
    write_text(folder / "metrics.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    columns = [(group, name) for group, names in result["total"].items() for name in names
               if name in result["frames"][0][group]]  # some figures are of all frames together
    with open(folder / "frames.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", *(f"{group}_{name}" for group, name in columns)])
        writer.writerows([frame["frame"], *(frame[group][name] for group, name in columns)]
                         for frame in result["frames"])


class Plot(NamedTuple):
    """Figures over the frames: title, unit, for each line its label, group and measure, and the ends of the axis."""

    title: str
    unit: str
    lines: dict[str, tuple[str, str]]
    limits: tuple[float, float] | None = None


class Shot(NamedTuple):
    """A picture of the page: uint8 [H, W, 3 or 4], the name of its file without ending, title and note."""

    pixels: np.ndarray
    name: str
    title: str
    note: str = ""


class Section(NamedTuple):
    """Pictures of the page that stand in one row, under a heading and a sentence."""

    heading: str
    text: str
    shots: list[Shot]


def write_page(folder: Path, title: str, facts: Sequence[str], tables: Sequence[Table],
               plots: Iterable[tuple[str, str, str]], sections: Sequence[Section]) -> None:
    """Write index.html and images/ into a folder.

    Args:
        folder: where they go.
        title: of the page.
        facts: what was measured, a sentence each.
        tables: the figures.
        plots: `drawings` of figures over the frames.
        sections: rows of pictures.
    """
    page = Page(title)
    for fact in facts:
        page.add_text(fact)
    for table in tables:
        page.add_header(table.heading.capitalize())
        explained = any(measure.meaning for measure, _ in table.rows)
        page.add_table(["", *table.columns, *(["better", "what it says"] if explained else [])],
                       [[_unbroken(measure.title), *map(_unbroken, cells),
                         *([measure.better, measure.meaning] if explained else [])] for measure, cells in table.rows])
    page.add_header("Over the frames")
    page.add_drawings(plots, width=360)
    for section in sections:
        page.add_header(section.heading)
        page.add_text(section.text)
        for shot in section.shots:
            write_png(folder / "images" / f"{shot.name}.png", shot.pixels)
        page.add_images([Media(f"images/{shot.name}.png", shot.title, shot.note) for shot in section.shots],
                        width=370 if len(section.shots) <= 3 else 265)
    page.save(folder / "index.html")


def drawings(plots: Sequence[Plot], frames: Sequence[Mapping]) -> Iterator[tuple[str, str, str]]:
    """Plots over the frames of a result: SVG, title and note. Those without any figure are left out."""
    for plot in plots:
        curves = {label: np.array([np.nan if frame.get(group, {}).get(measure) is None else frame[group][measure]
                                   for frame in frames], float) for label, (group, measure) in plot.lines.items()}
        known = {label: values for label, values in curves.items() if np.isfinite(values).any()}
        if known:
            yield _drawing(known, plot), plot.title, ""


def _rounded(values):
    if isinstance(values, float):
        return float(f"{values:.6g}")
    if isinstance(values, Mapping):
        return {key: _rounded(value) for key, value in values.items()}
    return [_rounded(value) for value in values] if isinstance(values, list | tuple) else values


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _drawing(curves: Mapping[str, np.ndarray], plot: Plot) -> str:
    figure = Figure(figsize=(4.2, 2.7), layout="constrained")
    chart = figure.subplots()
    for (label, values), colour in zip(curves.items(), COLOURS * (1 + len(curves) // len(COLOURS))):
        chart.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.4, label=label,
                   marker="." if len(values) == 1 else "")
    if len(curves) > 1:
        figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if plot.limits:
        chart.set_ylim(*plot.limits)
    chart.ticklabel_format(useOffset=False)
    chart.grid(color="#d5dbe2", linewidth=0.6)
    chart.spines[:].set_color("#b9c2cc")
    chart.tick_params(labelsize=8, color="#b9c2cc")
    chart.set_xlabel("frame", fontsize=8)
    chart.set_ylabel(plot.unit, fontsize=8)
    svg = io.StringIO()
    figure.savefig(svg, format="svg", transparent=True)
    return svg.getvalue()
