"""Files of weights and training states: written whole, and read with suspicion."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from util import distributed
from util.errors import UserError
from util.files import written_atomically


def load_weights(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Copy `weights`, read from `path`, into `network`.

    Raises:
        UserError: names or shapes differ; names the first difference.
    """
    expected = network.state_dict()
    if not (isinstance(weights, dict) and all(isinstance(tensor, Tensor) for tensor in weights.values())):
        raise UserError(f"{path}: holds something else than weights by name. Name a checkpoint of this --model")
    for name, tensor in expected.items():
        if name not in weights:
            raise UserError(f"{path}: weights '{name}' are missing; this is not a checkpoint of this network. "
                            "Name the --model it was trained with")
        if weights[name].shape != tensor.shape:
            raise UserError(f"{path}: '{name}' is {list(weights[name].shape)}; these options make it "
                            f"{list(tensor.shape)}. Give the options of its training (--num_filters, ...)")
        if not weights[name].isfinite().all():
            raise UserError(f"{path}: weights '{name}' are not all finite numbers; use another checkpoint")
    unknown = sorted(map(str, weights.keys() - expected.keys()))
    if unknown:
        raise UserError(f"{path}: unknown weights '{unknown[0]}'; this is not a checkpoint of this network. "
                        "Name the --model it was trained with")
    network.load_state_dict(weights)


def continue_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Take an optimiser's state back; another learning rate than before stays.

    Raises:
        ValueError: its moments are of other shapes than the parameters.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, rate in zip(optimizer.param_groups, rates):
        if group["initial_lr"] != rate:  # another --lr
            group["lr"] = group["initial_lr"] = rate
    for parameter, kept in optimizer.state.items():
        for value in kept.values():
            if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError(f"moments of {list(value.shape)} for a parameter of {list(parameter.shape)}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong with what was read from `path` is the file's fault.

    Raises:
        UserError: something went wrong; says what to do without the file.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise UserError(f"{path}: not a training state of this version ({type(error).__name__}: {_first_line(error)}); "
                        "remove it to go on from latest_net_*.pth, at --epoch_count EPOCH") from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:120] or type(error).__name__


def write_checkpoint(state: dict, path: Path) -> None:
    """Write a checkpoint, whole or not at all; of several processes the first one does.

    Raises:
        UserError: its folder is gone, or it cannot be written.
    """
    if distributed.rank() > 0:
        return
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: the folder of this run was removed while it was trained; stopped")
    content = io.BytesIO()
    torch.save(state, content)  # not to the file, as it hides what the file system says
    with written_atomically(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def read_checkpoint(path: Path, remedy: str) -> dict:
    """What a checkpoint holds, on the CPU.

    Args:
        remedy: what to do where that fails, for people.

    Raises:
        UserError: it is missing, damaged, or holds something else.
    """
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint; {remedy}")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
                if archive.testzip() is not None:
                    raise ValueError(f"{archive.testzip()} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path}: not a readable checkpoint ({_first_line(error)}); {remedy}") from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds a {type(state).__name__}; expected a dictionary of weights; {remedy}")
    return state
