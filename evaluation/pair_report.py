"""What is shown of an evaluation of pictures: facts, names and meanings of its measures, tables, plots and the worst.

A result is a dict as `evaluate_pairs` returns it. Nothing here measures anything.
"""

from collections.abc import Mapping, Sequence

from evaluation.page import Measure, Plot, Section, Table, left_out_sentences, run_sentences, shown
from evaluation.pairs import Pair
from evaluation.worst_frames import WORST, apart, compared, ranked
from util.images import read_deep_image, unit_range

TRAINING = ("model", "preset", "n_epochs", "n_epochs_decay", "batch_size", "lr")
"""Options of the training that are shown, where the run has them: those that every model has."""
MEASURES = {
    "psnr": Measure("PSNR", "dB", "higher", "Of all pixels of all pictures together. Above 40 a difference is hardly "
                    "seen, below 30 it is plain."),
    "psnr_mean": Measure("PSNR, mean", "dB", "higher", "Mean over the pictures' own, as papers give it."),
    "ssim": Measure("SSIM", "", "higher", "Likeness of structure: 1 is identical."),
    "lpips": Measure("LPIPS", "", "lower", "Difference as a trained network sees it: 0 is "
                     "identical."),
    "flicker": Measure("flicker, levels", "levels", "lower", "Change from frame to frame that the targets do not have, "
                       "in levels of 255, where frames follow each other."),
    "temporal_error": Measure("temporal error, levels", "levels", "lower", "Change of what is followed from the frame "
                              "before along the targets' motion."),
    "true_temporal_error": Measure("the targets' own", "levels", "", "The same of the targets: noise, light, and "
                                   "errors of the motion."),
    "pose_error": Measure("pose error, % of the height", "", "lower", "How far joints, found again in the pictures, "
                          "are from where they were meant to be."),
    "true_pose_error": Measure("pose error of the targets", "", "", "The same of the targets: what the "
                               "estimator errs by."),
    "fid": Measure("FID (Inception v3)", "", "lower", "How far features of the pictures are from those of the targets: "
                   "0 is alike. Of few pictures it is large and says little."),
    "video_fid": Measure("video FID (R3D-18)", "", "lower", "The same of stretches of 16 frames."),
}


def sentences(result: Mapping) -> list[str]:
    """What was measured, and with what, for people."""
    def of_bits(which: str) -> str:
        return " and ".join(map(str, result["bits"][which]))
    sizes, sequences, unmatched = list(result["sizes"].items()), len(result["sequences"]), result["unmatched"]
    size = f"of {sizes[0][0]}" if len(sizes) == 1 else (
        f"({', '.join(f'{count} of {size}' for size, count in sizes[:4])}{', ...' * (len(sizes) > 4)})")
    return [f"Pictures: {result['images']}, against {result['targets']}, measured by version {result['version']}.",
            f"{result['number']} pictures {size} pixels{f' in {sequences} sequences' if sequences > 1 else ''}, with "
            f"{of_bits('images')} bits per channel; targets with {of_bits('targets')}. Compared as RGB from "
            f"{result['range'][0]} to {result['range'][1]}.",
            *([f"Not measured: {unmatched['images']} pictures without target, {unmatched['targets']} targets without "
               "picture."] if any(unmatched.values()) else []),
            *run_sentences(result), *left_out_sentences(result)]


def tables(result: Mapping) -> list[Table]:
    """The figures over all pictures, and of each sequence where there are several."""
    figures = result["total"]["images"]
    measures = {name: measure for name, measure in MEASURES.items() if name in figures}
    made = [Table("pictures", [""], [(measure, [shown(figures[name], measure.unit)])
                                     for name, measure in measures.items()])]
    if len(result["sequences"]) > 1:
        rows = [(Measure(sequence, "", "", ""), [shown(one["images"].get(name), measure.unit)
                                                 for name, measure in measures.items()])
                for sequence, one in result["sequences"].items()]
        made.append(Table("sequences", [measure.title.removesuffix(", levels") for measure in measures.values()], rows))
    return made


def plots(_result: Mapping) -> list[Plot]:
    """Figures over the pictures."""
    return [Plot(MEASURES[name].title, unit, {"pictures": ("images", name)})
            for name, unit in (("psnr", "dB"), ("ssim", ""), ("lpips", ""), ("flicker", "levels"))]


def worst_pictures(pairs: Sequence[Pair], result: Mapping) -> list[Section]:
    """Rows of pictures: the target, the picture and the difference, where they are most different."""
    order = ranked(result, "images", "psnr", 1)
    sections = []
    for place, index in enumerate(apart(order, len(order) // (2 * WORST))[:WORST], start=1):
        pair, figures = pairs[index], result["frames"][index]["images"]
        true, made = (unit_range(read_deep_image(path)) for path in (pair.target, pair.image))
        sections.append(Section(f"Picture {pair.name}",
                                f"One of the worst: {shown(figures['psnr'], 'dB')}, SSIM {shown(figures['ssim'])}.",
                                compared(true, made, f"worst_{place}", "target", "picture")))
    return sections
