"""Results that take long, kept in a file for whoever asks for the same again.

They are taken from it only if all is the same that they were computed from: the bytes of the inputs, the program's own
code and the libraries that compute. What a file holds is thus never wrong, and whatever is wrong with a file, it is as
if it were not there.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import scipy

from util import distributed
from util.files import written_atomically

_ROOMS = ("util", "vision", "data")
"""Whose code results depend on."""


def kept(file: Path | None, compute: Callable[..., tuple], *inputs: np.ndarray) -> tuple:
    """What `compute(*inputs)` returns, a tuple of arrays or numbers: from a file where it is known, else computed and
    written there if that can be. Of several processes that train together the first one writes.

    Args:
        file: a name that ends in .npz, in a folder that may not be there or not be written to; None: nothing is kept.
        compute: a function of its inputs and the program alone.
        inputs: arrays.

    Returns:
        arrays, from a file; else what `compute` returned.
    """
    if file is None:
        return compute(*inputs)
    key = _mark(f"{compute.__qualname__} {mark_of_code(_ROOMS)}", inputs)
    known = _read(file, key)
    if known is not None:
        return known
    made = compute(*inputs)
    if distributed.rank() == 0:
        with contextlib.suppress(OSError), written_atomically(file) as temporary:
            np.savez_compressed(temporary, key=key, content=_mark("", made),
                                **{str(place): part for place, part in enumerate(made)})
    return made


def _mark(name: str, parts: Iterable) -> str:
    mark = hashlib.blake2b(name.encode(), digest_size=20)
    for array in map(np.asarray, parts):
        mark.update(f"{array.dtype} {array.shape}".encode())
        mark.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return mark.hexdigest()


@functools.cache
def mark_of_code(rooms: tuple[str, ...]) -> str:
    """A word that is another one where the program is, in some of its folders, or what computes for it."""
    mark = hashlib.blake2b(f"{np.__version__} {cv2.__version__} {scipy.__version__}".encode(), digest_size=20)
    for room in rooms:
        for path in sorted((Path(__file__).parents[1] / room).rglob("*.py")):
            mark.update(path.read_bytes())
    return mark.hexdigest()


def _read(file: Path, key: str) -> tuple | None:
    try:
        with np.load(file) as stored:
            if str(stored["key"]) == key:
                parts = tuple(stored[str(place)] for place in range(len(stored.files) - 2))
                return parts if str(stored["content"]) == _mark("", parts) else None
    except Exception:  # whatever is wrong with it: it is computed again
        pass
    return None
