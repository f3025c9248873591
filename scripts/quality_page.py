"""Tables, pictures and text of docs/quality.md, from the outcomes of scripts/benchmark_quality.py.

The prose is in scripts/quality_template.md; what was seen by eye is in by_eye.md beside the pictures, if it is there.
A figure is the mean over what a measure's pattern matches: all people of a clip, all removals.
"""

import json
import re
import statistics
import string
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data.dataroot import Dataroot
from data.layers import LayerFolder
from util.files import write_text, written_atomically
from util.images import read_image

WAYS = {"method": "results/run/test_latest", "cut_out": "cut_out"}  # folders of layers in an outcome
NAMES = {"method": "method", "cut_out": "cut-out"}


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
    Measure("hidden", "layer_.*", "hidden_rgba_error", -1, digits=2),
    Measure("effect IoU", "layer_.*", "effect_iou", +1, digits=2),
    Measure("own shadow", "layer_.*", "shadow_own", +1, digits=2),
    Measure("other's shadow", "layer_.*", "shadow_other", -1, digits=2, given=True),
    Measure("shadow in background", "layer_.*", "shadow_background", -1, digits=2),
    Measure("flicker", "background", "flicker", -1, digits=2, given=True),
]


@dataclass(frozen=True)
class Outcome:
    """What came of one clip: a folder with clip/, results/, cut_out/, measured/ and outcome.json."""

    kind: str
    seed: int
    folder: Path

    @cached_property
    def made(self) -> dict:
        """Options, machine, minutes."""
        return json.loads((self.folder / "outcome.json").read_text(encoding="utf-8"))

    @cached_property
    def measured(self) -> dict[str, dict]:
        """metrics.json of the method's layers and of the cut-out's."""
        return {way: json.loads((self.folder / "measured" / way / "metrics.json").read_text(encoding="utf-8"))
                for way in WAYS}

    def figure(self, way: str, measure: Measure) -> float | None:
        """A figure of the whole clip."""
        return measure.of(self.measured[way]["total"])


def write_page(path: Path, preset: str, kinds: dict[str, str], outcomes: list[Outcome]) -> None:
    """Write the page, and a picture of each kind into a folder beside it that has its name.

    Args:
        kinds: name to options of make_sample.py, in the order of the page.
    """
    pictures = path.with_suffix("")
    sections = []
    for kind, options in kinds.items():
        write_jpeg(pictures / f"{kind}.jpg", contact_sheet(next(one for one in outcomes if one.kind == kind)))
        sections.append(f"**{kind}**: `{options}`\n\n![Layers of the clip {kind}]({pictures.name}/{kind}.jpg)")
    won, lost = contests(list(kinds), outcomes)
    first = outcomes[0]
    root = Dataroot.open(first.folder / "clip")
    by_eye = pictures / "by_eye.md"
    template = string.Template(Path(__file__).with_name("quality_template.md").read_text(encoding="utf-8"))
    write_text(path, template.substitute(
        arguments=f"--preset {preset}", preset=preset, train=without_seed(first.made["options"]["train"]),
        version=" and ".join(sorted({one.measured["method"]["version"] for one in outcomes})),
        machine=" and ".join(sorted({one.made["machine"] for one in outcomes})),
        minutes=f"{statistics.fmean(one.made['minutes'] for one in outcomes):.1f}",
        frames=len(root.frames), width=root.metadata.size[0], height=root.metadata.size[1],
        seeds=", ".join(str(seed) for seed in sorted({one.seed for one in outcomes})),
        wins=len(won), cells=len(won) + len(lost),
        picture_table=table(PICTURE_MEASURES, list(kinds), outcomes),
        layer_table=table(LAYER_MEASURES, list(kinds), outcomes),
        kinds="\n\n".join(sections), worst_table=worst(outcomes),
        losses="\n".join(f"- {kind}: {', '.join(m.title for k, m in lost if k == kind) or 'in nothing'}"
                         for kind in kinds),
        by_eye=by_eye.read_text(encoding="utf-8").strip() if by_eye.exists() else "").rstrip() + "\n")


def without_seed(options: str) -> str:
    """Options of train.py but for the seed and the camera, which differ from clip to clip."""
    return re.sub(r" --seed \d+( --use_homographies)?", "", options)


# ---- tables ---------------------------------------------------------------------------------------------------------

def figures(measure: Measure, way: str, kind: str, outcomes: list[Outcome]) -> list[float]:
    """A measure of the clips of a kind, by seed; those to which it does not apply are left out."""
    values = [one.figure(way, measure) for one in outcomes if one.kind == kind]
    return [value for value in values if value is not None]


def is_won(measure: Measure, kind: str, outcomes: list[Outcome]) -> bool | None:
    """Whether the method's mean is better than the cut-out's; None where there is none, or both are shown alike."""
    method, cut_out = (figures(measure, way, kind, outcomes) for way in WAYS)
    if not method or not cut_out or len({measure.shown(statistics.fmean(values)) for values in (method, cut_out)}) == 1:
        return None
    return measure.better * (statistics.fmean(method) - statistics.fmean(cut_out)) > 0


def contests(kinds: list[str], outcomes: list[Outcome]) -> tuple[list, list]:
    """(kind, measure) of all cells that the method has won and that it has lost."""
    cells = {(kind, measure): is_won(measure, kind, outcomes) for kind in kinds
             for measure in PICTURE_MEASURES + LAYER_MEASURES if not measure.given}
    return [cell for cell, won in cells.items() if won is True], [cell for cell, won in cells.items() if won is False]


def table(measures: list[Measure], kinds: list[str], outcomes: list[Outcome]) -> str:
    """Markdown: a row for each kind and way, a column for each measure."""
    rows = [["clip", "layers of", *(measure.heading for measure in measures)],
            ["---", "---", *("--:" for _ in measures)]]
    for kind in kinds:
        for way in WAYS:
            cells = [cell(measure, figures(measure, way, kind, outcomes)) for measure in measures]
            if way == "method":
                cells = [f"**{text}**" if is_won(measure, kind, outcomes) else text
                         for measure, text in zip(measures, cells)]
            rows.append([kind if way == "method" else "", NAMES[way], *cells])
    return markdown(rows)


def cell(measure: Measure, values: list[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "–"
    spread = f" ± {measure.shown(statistics.stdev(values))}" if len(values) > 1 else ""
    return measure.shown(statistics.fmean(values)) + spread


def worst(outcomes: list[Outcome]) -> str:
    """Markdown: for each measure the clip on which the method did worst."""
    rows = [["measure", "worst", "cut-out there", "clip"], ["---", "--:", "--:", "---"]]
    for measure in PICTURE_MEASURES + LAYER_MEASURES:
        there = [one for one in outcomes if one.figure("method", measure) is not None]
        if there:
            one = min(there, key=lambda outcome: measure.better * outcome.figure("method", measure))
            of_cut_out = one.figure("cut_out", measure)
            rows.append([measure.heading, measure.shown(one.figure("method", measure)),
                         "–" if of_cut_out is None else measure.shown(of_cut_out), f"{one.kind}, seed {one.seed}"])
    return markdown(rows)


def markdown(rows: list[list[str]]) -> str:
    """A table in GitHub's Markdown; the second row says how columns are aligned."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


# ---- pictures -------------------------------------------------------------------------------------------------------

MARGIN, HEADING, GAP = 62, 20, 4  # pixels


def contact_sheet(outcome: Outcome) -> np.ndarray:
    """The middle frame's layers of a clip, uint8 RGB: a row for the truth and for each way, with headings."""
    root = Dataroot.open(outcome.folder / "clip")
    truth = LayerFolder.open(root.path / "gt")
    rows = {"truth": panels(truth, root, truth)}
    rows["truth"] = {"input, reconstruction": read_image(root.file("rgb_256", len(root.frames) // 2), "RGB"),
                     **dict(list(rows["truth"].items())[1:])}
    rows |= {NAMES[way]: panels(LayerFolder.open(outcome.folder / folder), root, truth)
             for way, folder in WAYS.items()}
    width, height = root.metadata.size
    size = MARGIN + len(rows["truth"]) * (width + GAP), HEADING + len(rows) * (height + GAP)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for i, (name, pictures) in enumerate(rows.items()):
        top = HEADING + i * (height + GAP)
        draw.text((4, top + height // 2), name, "black", font, anchor="lm")
        for k, (title, picture) in enumerate(pictures.items()):
            left = MARGIN + k * (width + GAP)
            sheet.paste(Image.fromarray(picture), (left, top))
            draw.text((left + width // 2, HEADING // 2), title, "black", font, anchor="mm")
    return np.asarray(sheet)


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
    board = checkerboard(background.shape)
    return {"input, reconstruction": over(background, [layers.layer(number, middle) for number in order]),
            **{f"layer {number}": over(board, [layers.layer(number, middle)]) for number in numbers},
            "background": background,
            "effects": over(np.full_like(background, 255), [effects[number] for number in order]),
            f"layer {numbers[-1]} late": over(background, [shifted[number] for number in order])}


def over(background: np.ndarray, layers: list[np.ndarray]) -> np.ndarray:
    """Layers, uint8 straight RGBA, back to front, over uint8 RGB."""
    picture = background.astype(np.float32)
    for layer in layers:
        picture += (layer[..., :3] - picture) * (layer[..., 3:] / np.float32(255))
    return np.rint(picture).astype(np.uint8)


def checkerboard(shape: tuple[int, ...], cell_size: int = 8) -> np.ndarray:
    """Grey squares, uint8 RGB."""
    rows, columns = np.indices(shape[:2]) // cell_size
    return np.where((rows + columns)[..., None] % 2, 165, 215).astype(np.uint8).repeat(3, axis=2)


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 RGB, atomically."""
    with written_atomically(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="JPEG", quality=75, optimize=True)
