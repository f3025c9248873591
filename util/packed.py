"""Arrays in little memory: each is compressed by itself, and unpacked when it is asked for."""

import zlib
from collections.abc import Iterable, Sequence

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


def _pack(array: np.ndarray) -> tuple[bytes, np.dtype, tuple[int, ...]]:
    return zlib.compress(np.ascontiguousarray(array).tobytes(), _FASTEST), array.dtype, array.shape


def _unpack(part: tuple[bytes, np.dtype, tuple[int, ...]]) -> np.ndarray:
    content, dtype, shape = part
    return np.frombuffer(bytearray(zlib.decompress(content)), dtype).reshape(shape)
