"""What an evaluation found, for programs (metrics.json, frames.csv) and for people (tables, a page with plots).

They are a dict as `metrics.json` holds it (docs/evaluation.md). Nothing here measures anything.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from util.files import write_text
from util.html import Media, Page
from util.images import write_png

IDENTICAL = 100.0  # dB
SHARE = "share of the true shadow"
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


MEASURES = {
    "reconstruction": {
        "psnr": Measure("PSNR", "dB", "higher", "All layers put together again, against the frames. Above 40 "
                        "a difference is hardly seen, below 30 it is plain. Layers may be mixed up all the same."),
        "ssim": Measure("SSIM", "", "higher", "The same for structure: 1 is identical."),
        "lpips": Measure("LPIPS", "", "lower", "The same as a trained network sees it: 0 is identical."),
        "flicker": Measure("flicker, levels", "levels", "lower", "Change from frame to frame that is not in the "
                           "input, in levels of 255."),
    },
    "background": {
        "share": Measure("share of the frame", "%", "", "How much of what is seen is background."),
        "flicker": Measure("flicker, levels", "levels", "lower", "Change from frame to frame that is not in the input; "
                           "behind people, any change. Homographies are undone first, which leaves some."),
        "psnr": Measure("PSNR", "dB", "higher", "Against the true background."),
        "ssim": Measure("SSIM", "", "higher", "The same for structure."),
        "unseen_share": Measure("never seen", "%", "", "Pixels that no frame shows free of people and their effects."),
        "unseen_psnr": Measure("PSNR, never seen", "dB", "higher", "Against the true background, on these pixels only: "
                               "what had to be invented."),
        "unseen_ssim": Measure("SSIM, never seen", "", "higher", "The same for structure."),
    },
    "layer": {
        "coverage": Measure("coverage", "%", "", "Mean opacity over the frame."),
        "share": Measure("share of the frame", "%", "", "How much of what is seen is this layer."),
        "flicker": Measure("flicker, levels", "levels", "lower", "Change of what the layer does to the picture that is "
                           "not in the input, where no other layer is."),
        "matte_sad": Measure("matte SAD", "", "lower", "Sum of absolute errors of opacity per frame, in thousands."),
        "matte_mae": Measure("matte MAE", "", "lower", "The same per pixel."),
        "matte_mse": Measure("matte MSE", "", "lower", "Squared error of opacity per pixel."),
        "matte_gradient": Measure("matte gradient error", "", "lower", "Errors at the edges of the matte, in thousands "
                                  "per frame."),
        "matte_flicker": Measure("matte flicker, levels", "levels", "lower", "Change of opacity from frame to frame "
                                 "that the true matte does not have (dtSSD)."),
        "person_matte_mae": Measure("matte MAE without effects", "", "lower", "The part of the matte error that lies "
                                    "where the true layer has no shadow or reflection."),
        "rgba_error": Measure("RGBA error", "", "lower", "Wrong colour and opacity, relative to what is in the layer: "
                              "0 is perfect, 1 is an empty layer."),
        "hidden_matte_error": Measure("matte error, hidden", "", "lower", "Wrong opacity where somebody in front hides "
                                      "the layer, relative to what is there: 1 is a hole."),
        "hidden_rgba_error": Measure("RGBA error, hidden", "", "lower", "The same for colour and opacity."),
        "effect_iou": Measure("effect IoU", "", "higher", "Where the layer changes the background, against where it "
                              "should: 1 is the same place."),
        "shadow_own": Measure("shadow in its own layer", "", "1", "Share of the true shadow's darkening."),
        "shadow_on_people": Measure("its shadow on others", "", "1", "The same where it falls on the body "
                                    "of somebody behind."),
        "shadow_other": Measure("shadow in other layers", "", "0", "Darkening there that other layers make too much."),
        "shadow_background": Measure("shadow in the background", "", "0", "The background is darker there than the "
                                     "true one."),
    },
}


class Table(NamedTuple):
    """Figures as text: a heading, names of the columns of figures, and for each measure a cell per column."""

    heading: str
    columns: list[str]
    rows: list[tuple[Measure, list[str]]]


def tables(result: Mapping) -> list[Table]:
    """The figures of the whole clip, in tables. Layers share one, with a column for each."""
    total = result["total"]
    layers = [group for group in total if group.startswith("layer_")]
    made = [_table("reconstruction", MEASURES["reconstruction"], total, ["reconstruction"], [""]),
            _table("background", MEASURES["background"], total, ["background"], [""]),
            _table("layers", MEASURES["layer"], total, layers, [f"layer {group.removeprefix('layer_')}"
                                                                for group in layers])]
    if "retiming" in total:
        measures = {f"{name}_psnr": Measure(name.replace("_", " "), "dB", "higher", f"{what.capitalize()}.")
                    for name, what in result["retimings"].items()}
        made.append(_table("retiming", measures, total, ["retiming"], [""]))
    return made


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
        lines.append(f"{table.heading:<27}" + "".join(f"{column:>15}" for column in table.columns))
        lines += [f"  {measure.title:<25}" + "".join(f"{cell:>15}" for cell in cells) for measure, cells in table.rows]
    return "\n".join(line.rstrip() for line in lines)


def write_figures(folder: Path, result: Mapping) -> None:
    """Write metrics.json and frames.csv, with six digits, into a folder."""
    result = _rounded(result)
    write_text(folder / "metrics.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    columns = [(group, name) for group, names in result["total"].items() for name in names]
    with open(folder / "frames.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", *(f"{group}_{name}" for group, name in columns)])
        writer.writerows([frame["frame"], *(frame[group][name] for group, name in columns)]
                         for frame in result["frames"])


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


def write_page(folder: Path, title: str, facts: Sequence[str], result: Mapping, sections: Sequence[Section]) -> None:
    """Write index.html and images/ into a folder.

    Args:
        folder: where they go.
        title: of the page.
        facts: what was measured, a sentence each.
        result: the figures.
        sections: rows of pictures.
    """
    page = Page(title)
    for fact in facts:
        page.add_text(fact)
    for table in tables(result):
        page.add_header(table.heading.capitalize())
        page.add_table(["", *table.columns, "better", "what it says"],
                       [[_unbroken(measure.title), *map(_unbroken, cells), measure.better, measure.meaning]
                        for measure, cells in table.rows])
    page.add_header("Over the frames")
    page.add_drawings(plots(result), width=360)
    for section in sections:
        page.add_header(section.heading)
        page.add_text(section.text)
        for shot in section.shots:
            write_png(folder / "images" / f"{shot.name}.png", shot.pixels)
        page.add_images([Media(f"images/{shot.name}.png", shot.title, shot.note) for shot in section.shots],
                        width=370 if len(section.shots) <= 3 else 265)
    page.save(folder / "index.html")


def plots(result: Mapping) -> Iterator[tuple[str, str, str]]:
    """Drawings of figures over the frames: SVG, title and note. Those without any figure are left out."""
    layers = [group for group in result["total"] if group.startswith("layer_")]

    def of_layers(measure: str) -> dict[str, tuple[str, str]]:
        return {group.replace("_", " "): (group, measure) for group in layers}

    drawn = [
        ("Reconstruction: PSNR", "dB", {"reconstruction": ("reconstruction", "psnr")}),
        ("Reconstruction: SSIM", "", {"reconstruction": ("reconstruction", "ssim")}),
        ("Reconstruction: LPIPS", "", {"reconstruction": ("reconstruction", "lpips")}),
        ("Flicker", "levels", {"reconstruction": ("reconstruction", "flicker"), "background": ("background", "flicker"),
                               **of_layers("flicker")}),
        ("Coverage", "share of the frame", of_layers("coverage")),
        ("Seen of each layer", "share of the frame", of_layers("share")),
        ("Background: PSNR", "dB", {"all": ("background", "psnr"), "never seen": ("background", "unseen_psnr")}),
        ("Matte error", "mean absolute error", of_layers("matte_mae")),
        ("RGBA error", "of the layer", of_layers("rgba_error")),
        ("Effect IoU", "", of_layers("effect_iou")),
        ("Shadow in its own layer", SHARE, of_layers("shadow_own")),
        ("Shadow in other layers", SHARE, of_layers("shadow_other")),
        ("Shadow in the background", SHARE, of_layers("shadow_background")),
        ("Retimed: PSNR", "dB", {name.replace("_", " "): ("retiming", f"{name}_psnr") for name in result["retimings"]}),
    ]
    for title, unit, lines in drawn:
        curves = {label: np.array([np.nan if frame.get(group, {}).get(measure) is None else frame[group][measure]
                                   for frame in result["frames"]], float) for label, (group, measure) in lines.items()}
        known = {label: values for label, values in curves.items() if np.isfinite(values).any()}
        if known:
            yield _drawing(known, unit), title, ""


def _rounded(values):
    if isinstance(values, float):
        return float(f"{values:.6g}")
    if isinstance(values, Mapping):
        return {key: _rounded(value) for key, value in values.items()}
    return [_rounded(value) for value in values] if isinstance(values, list | tuple) else values


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _table(heading: str, measures: Mapping[str, Measure], total: Mapping, groups: list[str],
           columns: list[str]) -> Table:
    rows = [(measure, [shown(total[group][name], measure.unit) for group in groups])
            for name, measure in measures.items() if name in total[groups[0]]]
    return Table(heading, columns, rows)


def _drawing(curves: Mapping[str, np.ndarray], unit: str) -> str:
    figure = Figure(figsize=(4.2, 2.7), layout="constrained")
    chart = figure.subplots()
    for (label, values), colour in zip(curves.items(), COLOURS * (1 + len(curves) // len(COLOURS))):
        chart.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.4, label=label,
                   marker="." if len(values) == 1 else "")
    if len(curves) > 1:
        figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if unit == SHARE:
        chart.set_ylim(-0.03, 1.03)
    chart.ticklabel_format(useOffset=False)
    chart.grid(color="#d5dbe2", linewidth=0.6)
    chart.spines[:].set_color("#b9c2cc")
    chart.tick_params(labelsize=8, color="#b9c2cc")
    chart.set_xlabel("frame", fontsize=8)
    chart.set_ylabel(unit, fontsize=8)
    svg = io.StringIO()
    figure.savefig(svg, format="svg")
    return svg.getvalue()
