"""The options that a run was trained with, as train.py saves them beside its checkpoints."""

import json
from pathlib import Path

from util.errors import UserError

SAVED_OPTIONS = "train_opt.json"


def saved_options(run_folder: Path) -> dict:
    """The options that a run was trained with; none where it was not trained here.

    Raises:
        UserError: they cannot be read.
    """
    path = run_folder / SAVED_OPTIONS
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not readable ({error}); remove it and give the options of the training") from None
