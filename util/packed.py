"""Arrays in little memory: each is compressed by itself, and unpacked when it is asked for."""

import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

_FASTEST = 1


class Packed(Sequence):
    """A list of arrays that are even in most places, such as masks: a hundredth of their size or so.

    What is asked for is a new array each time; to change one, put it back. `numpy.asarray` stacks them all.

    Args:
        arrays: to begin with.
    """

    def __init__(self, arrays: Iterable[np.ndarray] = ()):
        self._parts = [_pack(array) for array in arrays]

    def append(self, array: np.ndarray) -> None:
        """Add an array at the end."""
        self._parts.append(_pack(array))

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [_unpack(part) for part in self._parts[index]]
        return _unpack(self._parts[index])

    def __setitem__(self, index: int, array: np.ndarray) -> None:
        self._parts[index] = _pack(array)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.stack(self[:]).astype(dtype or self[0].dtype, copy=False)


_Part = tuple[bytes, np.dtype, tuple[int, ...], tuple[slice, ...]]
"""What is in a box, compressed; kind and shape of the whole; and the box outside which all is 0."""


def _pack(array: np.ndarray) -> _Part:
    box = tuple(_extent(array))
    return zlib.compress(array[box].tobytes(), _FASTEST), array.dtype, array.shape, box


def _extent(array: np.ndarray) -> Iterator[slice]:
    """Along each axis where there is anything but 0."""
    for axis in range(array.ndim):
        there = np.flatnonzero(array.any(axis=tuple(other for other in range(array.ndim) if other != axis)))
        yield slice(there[0], there[-1] + 1) if len(there) else slice(0)


def _unpack(part: _Part) -> np.ndarray:
    content, dtype, shape, box = part
    array = np.zeros(shape, dtype)
    array[box] = np.frombuffer(zlib.decompress(content), dtype).reshape(array[box].shape)
    return array
