"""The options that a run was trained with, as they lie in its folder. Loads no torch."""

import json
from pathlib import Path

from util.errors import UserError
from util.files import read_text

SAVED_OPTIONS = "train_opt.json"
OF_ONE_COMMAND = {"name", "suffix", "checkpoints_dir", "gpu_ids", "continue_train", "epoch", "epoch_count", "verbose",
                  "is_train", "budget", "init_from", "overwrite", "export", "display_server", "display_port"}
"""Options that a continued run does not take over: a folder that somebody sent does not decide where pictures go."""


def saved_options(run_folder: Path) -> dict:
    """The options that a run was trained with; none where it was not trained here.

    Raises:
        UserError: they cannot be read.
    """
    path = run_folder / SAVED_OPTIONS
    if not path.exists():
        return {}
    try:
        options = dict(json.loads(read_text(path)))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not readable ({error}); remove it and give the options of the training") from None
    if "clip" in options:  # as version 0.1 called it
        options["data_id"] = options.pop("clip")
    return options
