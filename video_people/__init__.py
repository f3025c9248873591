"""Take a video of people apart into layers and retime them, from Python: what the programs do, as functions.

    import video_people

    video_people.prepare("my_video.mp4", "datasets/my_clip")
    video_people.train("datasets/my_clip", name="draft", preset="draft")
    video_people.export("draft")
    video_people.retime("retimed.mp4", name="draft", freeze="2:30-60")
    figures = video_people.evaluate(name="draft")

docs/examples/whole_way.py goes this way with a clip that it makes itself. Each function does what the program of its
name does (`export`: test.py), and takes each of that program's options by its name, also those that are not among its
arguments here: `docs/` and `--help` say what they mean, and the same parser checks them. A flag is True; an option that
takes several values, a list of them; None, and False for a flag, are as if the option were not given.

A `UserError` is a mistake in options or files, told in one line; `KeyboardInterrupt` leaves everything as after Ctrl-C
in the program. The functions may be called in any thread. They print what the programs print, progress on stderr.
Importing this loads nothing heavy, not even torch.
"""

import json
import signal
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from util.command_line import no_such_option
from util.errors import UserError, several
from util.version import VERSION as __version__

if TYPE_CHECKING:
    from preparation.steps import Finding

__all__ = ["UserError", "__version__", "evaluate", "export", "make_sample", "prepare", "retime", "train"]


def make_sample(dataroot: Path | str, *, frames: int = 40, width: int = 448, height: int = 256, people: int = 2,
                seed: int = 1, overwrite: bool = False, **options: Any) -> Path:
    """Make a sample clip with known layers: people who walk, jump and cross. It lacks UV maps, which `prepare` makes.

    Args:
        dataroot: folder to make.
        frames: length, at 25 frames per second.
        width: of the low resolution in pixels, a multiple of 16; there are frames of twice its size, too.
        height: the same.
        people: 1 to 4, a layer each.
        seed: another seed, another clip.
        overwrite: replace a sample clip that is there already.
        options: others of datasets/make_sample.py, such as camera="moving".

    Returns:
        the folder.

    Raises:
        UserError: an option is unknown or out of range, or the folder is there already.
    """
    from datasets.make_sample import make_sample, parse
    opt = _parsed(parse, {"dataroot": dataroot, "frames": frames, "width": width, "height": height, "people": people,
                          "seed": seed, "overwrite": overwrite, **options})
    return make_sample(**vars(opt))


def prepare(video: Path | str | None, dataroot: Path | str, *, poses: Path | str | None = None,
            masks: Path | str | None = None, steps: Iterable[str] = (), overwrite: bool = False,
            **options: Any) -> list["Finding"]:
    """Make a dataroot from a video, and check it. What was made before from the same is not made again.

    Args:
        video: a video file or a folder of frames; None: that of the run before, or only what is in `dataroot`.
        dataroot: folder to make; its page to look at is prepare/index.html.
        poses: a file of poses, or the name of an estimator (default: an estimator that is installed).
        masks: folder of masks of the people.
        steps: only these of frames, masks, poses, camera, layers, uv (default: all).
        overwrite: replace files that were made or changed by hand, too.
        options: others of prepare.py: start and end in seconds, every, height in pixels, ...

    Returns:
        what the user should know, the worst first: `severity` 2 layers will be visibly wrong, 1 may cost quality, 0
        good to know; `text` one line.

    Raises:
        UserError: an option is wrong, a step cannot do its work, or training could not run on what is there.
    """
    from prepare import parse
    from prepare import prepare as prepare_as_told
    words = ["--steps", *steps] if steps else []
    opt = _parsed(parse, {"dataroot": dataroot, "poses": poses, "masks": masks, "overwrite": overwrite, **options},
                  *([] if video is None else [str(video)]), *words)
    findings, _page = prepare_as_told(opt)
    if wrong := [finding.text for finding in findings if finding.severity > 2]:
        raise several(wrong)
    return findings


def train(dataroot: Path | str | None = None, *, name: str, model: str | None = None, preset: str | None = None,
          n_epochs: int | None = None, budget: str | None = None, continue_train: bool = False,
          gpu_ids: str | None = None, checkpoints_dir: Path | str = "checkpoints", **options: Any) -> Path:
    """Train a model in this process (several processes: torchrun and train.py).

    A first Ctrl-C, SIGTERM or SIGHUP saves the run, and then takes its usual effect: Ctrl-C raises
    `KeyboardInterrupt`. In another thread than the main one, signals are left to the caller.

    Args:
        dataroot: folder of the data; may be left out with `continue_train`.
        name: of the run.
        model: such as "lnr" (default: that, or what the run was begun with).
        preset: values for options that are not given: for lnr "published" (default), "draft", "fast" or "best".
        n_epochs: epochs at the initial learning rate (default: the preset's).
        budget: time that training may take on this machine, such as "90s", "15m" or "2h".
        continue_train: go on where the run stopped, with its options.
        gpu_ids: such as "0" or "0,1"; "-1": the CPU (default: the first GPU, if there is one).
        checkpoints_dir: folder of all runs.
        options: others of train.py, such as use_homographies=True.

    Returns:
        the run's folder, with its weights and, where something was to be trained, web/index.html.

    Raises:
        UserError: options or data are wrong, the run is being trained already, or a loss is no finite number.
    """
    from options.train_options import TrainOptions
    from train import train as train_as_told
    command_line = TrainOptions()
    opt = _parsed(command_line.parse, {
        "dataroot": dataroot, "name": name, "model": model, "preset": preset, "n_epochs": n_epochs, "budget": budget,
        "continue_train": continue_train, "gpu_ids": gpu_ids, "checkpoints_dir": checkpoints_dir, **options})
    if stopped_by := train_as_told(command_line, opt):
        signal.raise_signal(stopped_by - 128)
    return Path(opt.checkpoints_dir) / opt.name


def export(name: str, *, epoch: int | str = "latest", dataroot: Path | str | None = None, gpu_ids: str | None = None,
           checkpoints_dir: Path | str = "checkpoints", results_dir: Path | str = "results", **options: Any) -> Path:
    """Export what a trained model makes of its data; for lnr a straight-alpha PNG per layer and frame, and videos.

    Args:
        name: of the run.
        epoch: the checkpoint, "latest" or the number of one that was kept.
        dataroot: folder of the data (default: that of the training).
        gpu_ids: as for `train`.
        checkpoints_dir: folder of all runs.
        results_dir: folder of all results.
        options: others of test.py, such as do_upsampling=True.

    Returns:
        the folder of the results; its page is index.html.

    Raises:
        UserError: options or data are wrong, or there is no such checkpoint.
    """
    from data.loading import resolved
    from options.test_options import TestOptions
    from test import export_run
    opt = _parsed(TestOptions().parse, {
        "name": name, "epoch": epoch, "dataroot": dataroot, "gpu_ids": gpu_ids, "checkpoints_dir": checkpoints_dir,
        "results_dir": results_dir, **options})
    return export_run(resolved(opt))


def retime(out: Path | str, *, name: str | None = None, layers: Path | str | None = None,
           dataroot: Path | str | None = None, edit: dict | Path | str | None = None, layer: int | None = None,
           checkpoints_dir: Path | str = "checkpoints", results_dir: Path | str = "results", **options: Any) -> Path:
    """Show the layers of a clip at other times, and composite them again (docs/layered_video/retiming.md).

    Args:
        out: file.mp4, .webm, .mov or .gif; a folder for 0001.png ...; or folder/%04d.exr.
        name: a run, whose layers were exported; or
        layers: any folder of layers.
        dataroot: folder of the clip (default: that of the training).
        edit: an edit file, or what one holds: {"layers": {"2": {"time": [{"freeze": [30, 60]}]}}}.
        layer: write this layer alone, with alpha; 0 is the background.
        checkpoints_dir: folder of all runs.
        results_dir: folder of all results.
        options: others of retime.py. Short forms work on what those before them made: freeze="2:30-60",
            offset=["1:+12", "3:-5"].

    Returns:
        `out`.

    Raises:
        UserError: options, edit, layers or clip are wrong.
    """
    from retime import parse
    from retime import retime as retime_as_told
    values, file = (edit, None) if isinstance(edit, dict) else (None, edit)
    opt = _parsed(parse, {
        "out": out, "name": name, "layers": layers, "dataroot": dataroot, "edit": file, "layer": layer,
        "checkpoints_dir": checkpoints_dir, "results_dir": results_dir, **options})
    if values is not None:
        opt.edit = values
    return Path(retime_as_told(opt))


def evaluate(*, name: str | None = None, layers: Path | str | None = None, dataroot: Path | str | None = None,
             truth: Path | str | None = None, images: Path | str | None = None, targets: Path | str | None = None,
             no_lpips: bool = False, out: Path | str | None = None, checkpoints_dir: Path | str = "checkpoints",
             results_dir: Path | str = "results", **options: Any) -> dict[str, Any]:
    """Measure how good an export is: layers of a clip, or pictures against their targets (docs/evaluation.md).

    Args:
        name: a run, whose export is measured; or
        layers: any folder of layers; or
        images: any folder of pictures.
        dataroot: folder of the clip (default: that of the training).
        truth: true layers; "none": do not compare (default: gt in the dataroot, where there is one).
        targets: folder of what the pictures should look like.
        no_lpips: leave LPIPS out: nothing is downloaded, it is faster.
        out: folder to write (default: evaluation in the folder of the layers or pictures).
        checkpoints_dir: folder of all runs.
        results_dir: folder of all results.
        options: others of evaluate.py.

    Returns:
        what metrics.json holds: "total" has groups of figures over all frames, "frames" those of each frame, with None
        for what cannot be measured.

    Raises:
        UserError: options, layers, pictures or clip are wrong.
    """
    from evaluate import evaluate as evaluate_as_told
    from evaluate import parse
    opt = _parsed(parse, {
        "name": name, "layers": layers, "dataroot": dataroot, "truth": truth, "images": images, "targets": targets,
        "no_lpips": no_lpips, "out": out, "checkpoints_dir": checkpoints_dir, "results_dir": results_dir, **options})
    evaluate_as_told(opt)
    return json.loads((opt.out / "metrics.json").read_text(encoding="utf-8"))


def _parsed(parse: Callable[[list[str]], Namespace], options: dict[str, Any], *words: str) -> Namespace:
    """What a program's parser makes of options.

    Args:
        parse: of a program.
        options: by name.
        words: of the command line, besides.

    Raises:
        UserError: what the program's user is told of them.
    """
    given = {name: _as_words(name, value) for name, value in options.items()}
    opt = parse([*words, *(word for part in given.values() for word in part)])
    for name, part in given.items():
        if not part and name not in vars(opt):
            raise no_such_option(f"--{name}", [f"--{known}" for known in vars(opt)])
    return opt


def _as_words(name: str, value: Any) -> list[str]:
    """An option as it is on the command line; nothing where it is not given."""
    if name == "help":
        raise UserError("--help: no such option here; help(video_people) says what there is")
    if value is True:
        return [f"--{name}"]
    several_values = value if isinstance(value, (list, tuple)) else [] if value is None or value is False else [value]
    return [f"--{name}={one}" for one in several_values]
