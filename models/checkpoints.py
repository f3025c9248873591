"""Files of weights and training states: written whole, and read with suspicion."""

import collections
import contextlib
import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import torch
from torch import Tensor, nn

from util.download import refuse_bombs
from util.errors import UserError
from util.files import written_atomically

PLAIN_TYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int8, torch.int16,
               torch.int32, torch.int64, torch.bool}


def weights_path(folder: Path, label: str, network: str) -> Path:
    """Where a network's weights are: label `latest`, or an epoch's number (`5_net_G.pth` of other programs too)."""
    path = folder / f"{label}_net_{network}.pth"
    if label.isdecimal() and not path.exists():
        return folder / f"epoch_{label}_net_{network}.pth"
    return path


def state_path(folder: Path) -> Path:
    """Where a run's training state is."""
    return folder / "latest_state.pth"


def weights_that_fit(folder: Path, network: str, state: dict) -> Path | None:
    """The file of a network's weights that a training state belongs to: the latest, or after a kill the one before.

    None where there is no such file.
    """
    for label in ("latest", "previous"):
        path = weights_path(folder, label, network)
        with contextlib.suppress(OSError, zipfile.BadZipFile):
            if fingerprint(path) == state["weights"][network]:
                return path
    return None


def weights_together(folder: Path, label: str, networks: Iterable[str]) -> dict[str, Path]:
    """Files of weights of one moment, by network.

    A run that is killed while it saves has the latest weights of some networks only; then it is those of the save
    before, which `latest_state.pth` belongs to. Where no such state can be read, or the weights are of elsewhere, the
    files that the label names; where only some are of elsewhere, that is said.
    """
    as_named = {name: weights_path(folder, label, name) for name in networks}
    if label != "latest" or not state_path(folder).exists():
        return as_named
    try:
        state = torch.load(state_path(folder), map_location="cpu", weights_only=True, mmap=True)
        found = {name: weights_that_fit(folder, name, state) for name in as_named}
    except Exception:  # whatever is wrong with it: exports need no state
        return as_named
    strange = [name for name, path in found.items() if path is None]
    if strange and len(strange) < len(found):
        print(f"{folder}: network {', '.join(strange)}: weights of another save than those that "
              f"{state_path(folder).name} and the other networks are of; the latest of each are used")
    return as_named if strange else {name: path for name, path in found.items() if path is not None}


def load_weights(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Copy `weights`, read from `path`, into `network`.

    Raises:
        UserError: names or shapes differ; names the first difference.
    """
    expected = network.state_dict()
    check_weights(weights, path)
    # Files of PyTorch 0.4.0 lack the counters of normalisations, which decide nothing.
    weights = {name: tensor for name, tensor in expected.items() if name.endswith("num_batches_tracked")} | weights
    for name, tensor in expected.items():
        if name not in weights:
            raise UserError(f"{path}: weights '{name}' are missing; this is not a checkpoint of this network. "
                            "Name the --model it was trained with")
        if weights[name].shape != tensor.shape:
            raise UserError(f"{path}: '{name}' is {list(weights[name].shape)}; these options make it "
                            f"{list(tensor.shape)}. Give the options of its training")
    unknown = sorted(map(str, weights.keys() - expected.keys()))
    if unknown:
        raise UserError(f"{path}: unknown weights '{unknown[0]}'; this is not a checkpoint of this network. "
                        "Name the --model it was trained with")
    network.load_state_dict(weights)


def load_matching(network: nn.Module, weights: dict[str, Tensor], path: Path) -> str:
    """Copy those of `weights` that `network` has under the same name and in the same shape.

    Returns:
        what was left out, by module, for people; "" if nothing was.

    Raises:
        UserError: `path` holds something else than weights, or numbers that are not finite.
    """
    check_weights(weights, path)
    expected = network.state_dict()
    fits = {name: weights[name] for name, tensor in expected.items()
            if name in weights and weights[name].shape == tensor.shape}
    network.load_state_dict(fits, strict=False)
    fresh = collections.Counter(name.split(".")[0] for name in expected.keys() - fits.keys())
    unused = collections.Counter(str(name).split(".")[0] for name in weights.keys() - expected.keys())
    parts = [f"{title}: {', '.join(f'{module} ({count})' for module, count in sorted(counted.items()))}"
             for title, counted in (("begin afresh", fresh), ("not used", unused)) if counted]
    return "; ".join(parts)


def check_weights(weights: object, path: Path) -> None:
    """See that what was read from `path` is weights by name.

    Raises:
        UserError: it is not, or they are not all finite numbers.
    """
    if not (isinstance(weights, dict) and all(isinstance(tensor, Tensor) for tensor in weights.values())):
        raise UserError(f"{path}: holds something else than weights by name. Name a checkpoint of this --model")
    for name, tensor in weights.items():
        plain = tensor.layout == torch.strided and tensor.device.type != "meta" and not tensor.is_quantized
        if not plain or tensor.dtype not in PLAIN_TYPES:
            raise UserError(f"{path}: weights '{name}' are of a kind ({tensor.dtype}, {tensor.layout}) that is no "
                            "plain number; use another checkpoint")
        if not tensor.isfinite().all():
            raise UserError(f"{path}: weights '{name}' are not all finite numbers; use another checkpoint")


def continue_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Take an optimiser's state back; hyperparameters, such as another learning rate than before, stay.

    Raises:
        ValueError: its moments are of other shapes than the parameters, or a value is of another kind than it was.
    """
    wanted = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, settings in zip(optimizer.param_groups, wanted):
        for name, value in settings.items():
            if _kind(group.get(name, value)) != _kind(value):
                raise ValueError(f"{name} is {group[name]!r:.40}, as {value!r:.40} it should be")
        if group["initial_lr"] != settings["lr"]:  # another --lr; else it stays where a schedule has brought it
            group["lr"] = group["initial_lr"] = settings["lr"]
        group.update({name: value for name, value in settings.items() if name not in ("lr", "initial_lr")})
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if not isinstance(value, Tensor | int | float):
                raise ValueError(f"{name} of a parameter is {value!r:.40}, and no numbers")
            # As large as the parameter, or a number for each of its rows.
            if isinstance(value, Tensor) and value.ndim and value.shape not in (parameter.shape, parameter.shape[:1]):
                raise ValueError(f"moments of {list(value.shape)} for a parameter of {list(parameter.shape)}")
            # Fused optimisers on the CPU take numbers as they lie in memory, channels last or not.
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _kind(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_kind(inner) for inner in value]
    return "number" if isinstance(value, int | float | Tensor) else type(value)


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


class _Stream:
    """A file for torch.save, which hides what the file system says."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.error: OSError | None = None

    def write(self, data) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def write_checkpoint(state: dict, path: Path) -> None:
    """Write a checkpoint, whole or not at all, without a copy of it in memory.

    Raises:
        UserError: its folder is gone.
        OSError: it cannot be written.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: the folder of this run was removed while it was trained; stopped")
    with written_atomically(path) as temporary, open(temporary, "wb") as file:
        stream = _Stream(file)
        try:
            torch.save(state, cast(BinaryIO, stream))  # which calls nothing but write and flush
        except Exception:
            if stream.error is not None:
                raise stream.error from None
            raise


def fingerprint(path: Path) -> str:
    """A word that differs between checkpoints of other contents: made of the checksums in the file.

    Raises:
        OSError, zipfile.BadZipFile: it is not there, or no checkpoint.
    """
    with zipfile.ZipFile(path) as archive:
        checksums = [(entry.filename, entry.CRC, entry.file_size) for entry in archive.infolist()]
    return hashlib.sha256(repr(checksums).encode()).hexdigest()[:16]


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
                refuse_bombs(archive)
                if archive.testzip() is not None:
                    raise ValueError(f"{archive.testzip()} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path}: not a readable checkpoint ({_first_line(error)}); {remedy}") from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds a {type(state).__name__}; expected a dictionary of weights; {remedy}")
    return state
