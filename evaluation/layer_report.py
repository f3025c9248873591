"""What is shown of an evaluation of layers: facts, names and meanings of its measures, tables and plots.

A result is a dict as `metrics.json` holds it (docs/evaluation.md). Nothing here measures anything.
"""

from collections.abc import Mapping

from evaluation.images import size_text
from evaluation.page import Measure, Plot, Table, left_out_sentences, run_sentences, shown

TRAINING = ("model", "preset", "n_epochs_background", "n_epochs_coarse", "n_epochs", "n_epochs_decay",
            "n_epochs_upsample", "batch_size", "num_filters", "lr", "lambda_mask", "mask_loss_rolloff_epoch",
            "use_mask_images", "use_homographies")
"""Options of the training that are shown, where the run has them."""
SHARE = "share of the true shadow"
FROM_0_TO_1 = (-0.03, 1.03)

MEASURES = {
    "reconstruction": {
        "psnr": Measure("PSNR", "dB", "higher", "All layers put together again, against the frames. Above 40 "
                        "a difference is hardly seen, below 30 it is plain. Layers may be mixed up all the same."),
        "ssim": Measure("SSIM", "", "higher", "The same for structure: 1 is identical."),
        "lpips": Measure("LPIPS", "", "lower", "The same as a trained network sees it: 0 is identical."),
        "flicker": Measure("flicker, levels", "levels", "lower", "Change from frame to frame that is not in the "
                           "input, in levels of 255."),
        "pose_error": Measure("pose error, % of the height", "", "lower", "How far joints, found again in the frames "
                              "that the layers make, are from where they were meant to be."),
    },
    "background": {
        "share": Measure("share of the frame", "%", "", "How much of what is seen is background."),
        "off": Measure("wrong beside people", "%", "lower", "Share of the pixels beside people's masks where the frame "
                       "shows something else than the background, even under a shadow or a light: off by more than 40 "
                       "of 255 levels."),
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
        "outside": Measure("opacity beside people", "%", "", "Mean opacity beside all people's masks: shadows and "
                           "reflections, and what is there by mistake."),
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


def sentences(result: Mapping) -> list[str]:
    """What was measured, and with what, for people."""
    return [f"Layers: {result['layers']}, measured by version {result['version']}.",
            f"Clip: {result['dataroot']}, {len(result['frames'])} frames of {size_text(result['size'])}, layers of "
            f"people: {', '.join(map(str, result['people']))}.",
            *run_sentences(result),
            f"True layers: {result['truth']}, compared at {size_text(result['truth_size'])}." if result["truth"] else
            "True layers: not known, so nothing says whether the right things are in the layers.",
            *left_out_sentences(result)]


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


def plots(result: Mapping) -> list[Plot]:
    """Figures over the frames."""
    layers = [group for group in result["total"] if group.startswith("layer_")]

    def of_layers(measure: str) -> dict[str, tuple[str, str]]:
        return {group.replace("_", " "): (group, measure) for group in layers}

    return [
        Plot("Reconstruction: PSNR", "dB", {"reconstruction": ("reconstruction", "psnr")}),
        Plot("Reconstruction: SSIM", "", {"reconstruction": ("reconstruction", "ssim")}),
        Plot("Reconstruction: LPIPS", "", {"reconstruction": ("reconstruction", "lpips")}),
        Plot("Flicker", "levels", {"reconstruction": ("reconstruction", "flicker"),
                                   "background": ("background", "flicker"), **of_layers("flicker")}),
        Plot("Coverage", "share of the frame", of_layers("coverage")),
        Plot("Seen of each layer", "share of the frame", of_layers("share")),
        Plot("Background: PSNR", "dB", {"all": ("background", "psnr"), "never seen": ("background", "unseen_psnr")}),
        Plot("Matte error", "mean absolute error", of_layers("matte_mae")),
        Plot("RGBA error", "of the layer", of_layers("rgba_error")),
        Plot("Effect IoU", "", of_layers("effect_iou")),
        Plot("Shadow in its own layer", SHARE, of_layers("shadow_own"), FROM_0_TO_1),
        Plot("Shadow in other layers", SHARE, of_layers("shadow_other"), FROM_0_TO_1),
        Plot("Shadow in the background", SHARE, of_layers("shadow_background"), FROM_0_TO_1),
        Plot("Retimed: PSNR", "dB", {name.replace("_", " "): ("retiming", f"{name}_psnr")
                                     for name in result["retimings"]}),
    ]


def _table(heading: str, measures: Mapping[str, Measure], total: Mapping, groups: list[str],
           columns: list[str]) -> Table:
    rows = [(measure, [shown(total[group][name], measure.unit) for group in groups])
            for name, measure in measures.items() if name in total[groups[0]]]
    return Table(heading, columns, rows)
