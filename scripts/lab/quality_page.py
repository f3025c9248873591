"""Tables, pictures and text of docs/layered_video/quality.md, from the outcomes of scripts/lab/benchmark_quality.py.

The prose is in quality_template.md beside this file; what people wrote (by_eye.md and others beside the pictures)
stands at the page's end. A figure is the mean over what a measure's pattern matches: all people, all removals.
"""

import json
import re
import statistics
import string
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from scripts.lab.contact_sheet import over, sheet, write_picture
from util.files import write_text, written_atomically
from util.images import checkerboard, read_image

LAYERS = "results/run/test_latest"  # in the folder of a way
NAMES = {"cut_out": "cut-out"}  # of ways that have another one than their folder
OURS = "fast"


@dataclass(frozen=True)
class Measure:
    """A column of a table.

    Attributes:
        group, key: regular expressions of what it is called in metrics.json.
        better: +1 where more is better, -1 where less is.
        digits: shown after the point.
        scale: what the value is multiplied by.
        given: whether the cut-out wins by construction.
    """

    title: str
    group: str
    key: str
    better: int
    digits: int = 1
    scale: float = 1
    given: bool = False

    @property
    def heading(self) -> str:
        """The title, and which direction is better."""
        return f"{self.title} {'↑' if self.better > 0 else '↓'}" + ("\\*" if self.given else "")

    def of(self, total: dict[str, dict[str, float | None]]) -> float | None:
        """The figure of a clip, None where the measure does not apply to it."""
        values = [value for group, measures in total.items() if re.fullmatch(self.group, group)
                  for key, value in measures.items() if re.fullmatch(self.key, key) and value is not None]
        return self.scale * statistics.fmean(values) if values else None

    def shown(self, value: float) -> str:
        """A figure as text."""
        return f"{value:.{self.digits}f}"


PICTURE_MEASURES = [
    Measure("reconstruction", "reconstruction", "psnr", +1),
    Measure("background", "background", "psnr", +1),
    Measure("never seen", "background", "unseen_psnr", +1),
    Measure("frozen", "retiming", "freeze_psnr", +1),
    Measure("late", "retiming", "offset_psnr", +1),
    Measure("aligned", "retiming", "align_psnr", +1),
    Measure("removed", "retiming", "remove_.*_psnr", +1),
]
LAYER_MEASURES = [
    Measure("matte", "layer_.*", "matte_mse", -1, scale=1000),
    Measure("person's matte", "layer_.*", "person_matte_mae", -1, scale=1000, given=True),
    Measure("hidden matte", "layer_.*", "hidden_matte_error", -1, digits=2),
    Measure("hidden", "layer_.*", "hidden_rgba_error", -1, digits=2),
    Measure("effect IoU", "layer_.*", "effect_iou", +1, digits=2),
    Measure("own shadow", "layer_.*", "shadow_own", +1, digits=2),
    Measure("shadow on people", "layer_.*", "shadow_on_people", +1, digits=2),
    Measure("other's shadow", "layer_.*", "shadow_other", -1, digits=2, given=True),
    Measure("shadow in background", "layer_.*", "shadow_background", -1, digits=2),
    Measure("flicker", "background", "flicker", -1, digits=2, given=True),
]


@dataclass(frozen=True)
class Outcome:
    """What came of one clip.

    Attributes:
        folder: where its layers are.
        dataroot: the clip.
        folders: for each way, the folders in `folder` with its layers and measured/, by rising time that it was given.
    """

    kind: str
    seed: int
    folder: Path
    dataroot: Path
    folders: dict[str, list[str]]

    @cached_property
    def made(self) -> dict[str, dict]:
        """Options, machine, and seconds of every program, of each folder."""
        return {path.parent.name: json.loads(path.read_text(encoding="utf-8"))
                for path in self.folder.glob("*/outcome.json")}

    @cached_property
    def measured(self) -> dict[str, dict]:
        """metrics.json of each folder of layers."""
        return {name: json.loads((self.folder / name / "measured" / "metrics.json").read_text(encoding="utf-8"))
                for names in self.folders.values() for name in names}

    def figure(self, way: str, measure: Measure, step: int = -1) -> float | None:
        """A figure of the whole clip, after one of a way's times: -1 is the longest."""
        return measure.of(self.measured[self.folders[way][step]]["total"])

    def seconds(self, way: str, step: int = -1) -> float:
        """How long it took to make the layers, export included."""
        taken = self.made[self.folders[way][step]]["seconds"]
        return sum(value for program, value in taken.items() if program != "evaluate.py")


def write_page(path: Path, arguments: list[str], budget: float, threads: int, kinds: dict[str, str],
               outcomes: list[Outcome]) -> None:
    """Write the page, and its pictures into a folder beside it that has its name.

    Args:
        arguments: of run_benchmark.sh.
        budget: most seconds that there were for a training.
        threads: of each program.
        kinds: name to options of make_sample.py, or "given", in the order of the page.
    """
    pictures = path.with_suffix("")
    ways = list(outcomes[0].folders)
    sections = []
    for kind, options in kinds.items():
        write_picture(pictures / f"{kind}.jpg", contact_sheet(next(one for one in outcomes if one.kind == kind), ways))
        sections.append(f"**{kind}**: `{options}`\n\n![Layers of the clip {kind}]({pictures.name}/{kind}.jpg)")
    plot_curves(pictures / "curves.svg", outcomes)
    root = Dataroot.open(outcomes[0].dataroot)
    made, folders = outcomes[0].made, outcomes[0].folders
    template = string.Template(Path(__file__).with_name("quality_template.md").read_text(encoding="utf-8"))
    write_text(path, template.substitute(
        arguments=without_paths(arguments), budget=f"{budget:g}", pictures=pictures.name, threads=threads,
        options="\n".join(f"  - {NAMES.get(way, way)}: `{without_seed(made[folders[way][-1]]['options'])}`"
                          for way in ways if way != "cut_out"),
        version=" and ".join(sorted({found["version"] for one in outcomes for found in one.measured.values()})),
        machine=" and ".join(sorted({part["machine"] for one in outcomes for part in one.made.values()})),
        minutes=f"{statistics.fmean(spent(one) for one in outcomes) / 60:.1f}",
        frames=len(root.frames), width=root.metadata.size[0], height=root.metadata.size[1],
        seeds=", ".join(str(seed) for seed in sorted({one.seed for one in outcomes})),
        wins="; ".join(f"than {NAMES.get(way, way)} in {len(won)} of {len(won) + len(lost)}"
                       for way in ways if way != OURS for won, lost in [contests(list(kinds), outcomes, way)]),
        picture_table=table(PICTURE_MEASURES, list(kinds), outcomes, ways),
        layer_table=table(LAYER_MEASURES, list(kinds), outcomes, ways),
        kinds="\n\n".join(sections), worst_table=worst(outcomes, ways), losses=losses(list(kinds), outcomes, ways),
        by_hand="\n".join(file.read_text(encoding="utf-8") for file in sorted(pictures.glob("*.md")))).rstrip() + "\n")


def without_paths(arguments: list[str]) -> str:
    """Arguments of run_benchmark.sh but for where things are on this machine."""
    line = " ".join(Path(word).name if Path(word).is_absolute() else word for word in arguments)
    return re.sub(r" ?--(work|out|jobs)[ =]\S+", "", line).strip()


def without_seed(options: str) -> str:
    """Options of train.py but for the seed and the camera, which differ from clip to clip."""
    return re.sub(r"( --use_homographies)? --seed \d+", "", options.split("; ")[-1])


def spent(outcome: Outcome) -> float:
    """Seconds of all programs."""
    return sum(sum(part["seconds"].values()) for part in outcome.made.values())


# ---- tables ---------------------------------------------------------------------------------------------------------

def figures(measure: Measure, way: str, kind: str | None, outcomes: list[Outcome], step: int = -1) -> list[float]:
    """A measure of the clips of a kind, by seed, or (None) the mean over all kinds; left out is where it does not
    apply."""
    if kind is None:
        seeds = sorted({one.seed for one in outcomes})
        by_seed = [[one.figure(way, measure, step) for one in outcomes if one.seed == seed] for seed in seeds]
        by_seed = [[value for value in values if value is not None] for values in by_seed]
        return [statistics.fmean(values) for values in by_seed if values]
    values = [one.figure(way, measure, step) for one in outcomes if one.kind == kind]
    return [value for value in values if value is not None]


def is_won(measure: Measure, kind: str, outcomes: list[Outcome], other: str) -> bool | None:
    """Whether our mean is better than that of another way; None where there is none, or both are shown alike."""
    ours, others = (figures(measure, way, kind, outcomes) for way in (OURS, other))
    if not ours or not others or len({measure.shown(statistics.fmean(values)) for values in (ours, others)}) == 1:
        return None
    return measure.better * (statistics.fmean(ours) - statistics.fmean(others)) > 0


def contests(kinds: list[str], outcomes: list[Outcome], other: str) -> tuple[list, list]:
    """(kind, measure) of all cells that we have won against another way, and that we have lost."""
    cells = {(kind, measure): is_won(measure, kind, outcomes, other) for kind in kinds
             for measure in PICTURE_MEASURES + LAYER_MEASURES if not (measure.given and other == "cut_out")}
    return [cell for cell, won in cells.items() if won is True], [cell for cell, won in cells.items() if won is False]


def table(measures: list[Measure], kinds: list[str], outcomes: list[Outcome], ways: list[str]) -> str:
    """Markdown: a row for each kind and way, a column for each measure; first the mean of all kinds."""
    rows = [["clip", "layers of", *(measure.heading for measure in measures)],
            ["---", "---", *("--:" for _ in measures)]]
    for kind in (None, *kinds):
        columns = [column(measure, kind, outcomes, ways) for measure in measures]
        rows += [[(kind or "all") if i == 0 else "", NAMES.get(way, way), *(cells[i] for cells in columns)]
                 for i, way in enumerate(ways)]
    return markdown(rows)


def column(measure: Measure, kind: str | None, outcomes: list[Outcome], ways: list[str]) -> list[str]:
    """A measure of each way as text; the best is bold, but not where all are alike, or the cut-out is given it."""
    values = {way: figures(measure, way, kind, outcomes) for way in ways}
    means = {way: float(measure.shown(statistics.fmean(found))) for way, found in values.items()
             if found and not (measure.given and way == "cut_out")}
    best = measure.better * max((measure.better * mean for mean in means.values()), default=0)
    if len(set(means.values())) < 2:
        means = {}
    return [f"**{cell(measure, found)}**" if means.get(way) == best else cell(measure, found)
            for way, found in values.items()]


def cell(measure: Measure, values: list[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "–"
    spread = f" ± {measure.shown(statistics.stdev(values))}" if len(values) > 1 else ""
    return measure.shown(statistics.fmean(values)) + spread


def worst(outcomes: list[Outcome], ways: list[str]) -> str:
    """Markdown: for each measure the clip on which our layers are worst, and the other ways there."""
    others = [way for way in ways if way != OURS]
    rows = [["measure", "worst", *(f"{NAMES.get(way, way)} there" for way in others), "clip"],
            ["---", "--:", *("--:" for _ in others), "---"]]
    for measure in PICTURE_MEASURES + LAYER_MEASURES:
        there = [one for one in outcomes if one.figure(OURS, measure) is not None]
        if there:
            one = min(there, key=lambda outcome: measure.better * outcome.figure(OURS, measure))
            found = [one.figure(way, measure) for way in (OURS, *others)]
            rows.append([measure.heading, *("–" if value is None else measure.shown(value) for value in found),
                         f"{one.kind}, seed {one.seed}"])
    return markdown(rows)


def losses(kinds: list[str], outcomes: list[Outcome], ways: list[str]) -> str:
    """Markdown: for each kind what other ways are better in."""
    others = [way for way in ways if way != OURS]
    lost = {way: contests(kinds, outcomes, way)[1] for way in others}
    return markdown([["clip", *(NAMES.get(way, way) for way in others)], ["---"] * (1 + len(others)),
                     *([kind, *(", ".join(m.title for k, m in lost[way] if k == kind) or "–" for way in others)]
                       for kind in kinds)])


def markdown(rows: list[list[str]]) -> str:
    """A table in GitHub's Markdown; the second row says how columns are aligned."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


# ---- pictures -------------------------------------------------------------------------------------------------------

def contact_sheet(outcome: Outcome, ways: list[str]) -> np.ndarray:
    """The middle frame's layers of a clip, uint8 RGB: a row for the truth and for each way, with headings."""
    root = Dataroot.open(outcome.dataroot)
    truth = LayerFolder.open(root.path / "gt")
    rows = {"truth": panels(truth, root, truth)}
    rows["truth"]["input, reconstruction"] = read_image(root.file("rgb_256", len(root.frames) // 2), "RGB")
    rows |= {NAMES.get(way, way): panels(LayerFolder.open(outcome.folder / outcome.folders[way][-1] / LAYERS), root,
                                         truth) for way in ways}
    return sheet(rows, root.metadata.size[0])


def panels(layers: LayerFolder, root: Dataroot, truth: LayerFolder) -> dict[str, np.ndarray]:
    """Pictures of the middle frame, uint8 RGB [H, W, 3] by their titles."""
    middle, numbers = len(root.frames) // 2, truth.numbers
    late = max(len(root.frames) // 4, 1)
    order = root.composite_order(middle, numbers)
    background = layers.background(middle)
    effects = {number: layers.layer(number, middle).copy() for number in numbers}
    for number, rgba in effects.items():
        person = read_image(truth.path / f"person_{number:02d}" / f"{root.frames[middle]}.png", "L")
        rgba[..., 3] = np.rint(rgba[..., 3] * (1 - person / 255))
    shifted = {number: layers.layer(number, middle - (late if number == numbers[-1] else 0)) for number in numbers}
    board = checkerboard(background.shape[1::-1])
    return {"input, reconstruction": over(background, [layers.layer(number, middle) for number in order]),
            **{f"layer {number}": over(board, [layers.layer(number, middle)]) for number in numbers},
            "background": background,
            "effects": over(np.full_like(background, 255), [effects[number] for number in order]),
            f"layer {numbers[-1]} late": over(background, [shifted[number] for number in order])}


def plot_curves(path: Path, outcomes: list[Outcome]) -> None:
    """Every measure against the time that the layers took, means of all clips: a line from draft to fast, another for
    the published way, and a dashed line for the cut-out. What is zero for all is left out."""
    steps = {way: range(len(folders)) for way, folders in outcomes[0].folders.items()}
    seconds = {way: [statistics.fmean(one.seconds(way, step) for one in outcomes) for step in range_]
               for way, range_ in steps.items()}
    means = {}
    for measure in PICTURE_MEASURES + LAYER_MEASURES:
        found = {way: [figures(measure, way, None, outcomes, step) for step in range_] for way, range_ in steps.items()}
        if any(found[OURS]):
            by_way = {way: [statistics.fmean(values) for values in each] for way, each in found.items()}
            if any(map(any, by_way.values())):
                means[measure] = by_way
    taken = [each for way, times in seconds.items() if way != "cut_out" for each in times]
    round_seconds = [each for each in (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000)
                     if min(taken) / 2 < each < 2 * max(taken)]
    rows = -(-len(means) // 6)
    figure, axes = plt.subplots(rows, 6, figsize=(12, 1.7 * rows), layout="constrained", facecolor="white",
                                squeeze=False)
    for ax in axes.flat[len(means):]:
        ax.remove()
    for ax, (measure, by_way) in zip(axes.flat, means.items()):
        ours = [[*values.get("draft", []), *values[OURS]] for values in (seconds, by_way)]
        ax.plot(*ours, "o-", ms=4, label="draft to fast")
        if "published" in by_way:
            ax.plot(seconds["published"], by_way["published"], "s-", ms=4, color="tab:orange", label="published")
        if "cut_out" in by_way:
            ax.axhline(by_way["cut_out"][0], color="0.6", ls="--", lw=1, label="cut-out")
        ax.set_title(measure.heading.replace("\\", ""), fontsize=9)
        ax.set_xscale("log")
        if measure.better < 0 and min(map(min, by_way.values())) > 0:
            ax.set_yscale("log")
        ax.margins(0.1, 0.15)
        ax.set_xticks(round_seconds, map(str, round_seconds))
        ax.minorticks_off()
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("s", fontsize=8)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower right", ncols=3, frameon=False)
    with written_atomically(path) as temporary, plt.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none"}):
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)
