"""Arrays in little memory come back as they were."""

import numpy as np

from util.packed import Packed


def test_arrays_come_back_as_they_were_and_may_be_changed():
    strided = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2]
    arrays = [np.zeros((40, 50), np.uint8), strided, np.array([True, False])]
    packed = Packed(arrays[:2])
    packed.append(arrays[2])
    assert len(packed) == 3
    for one, given in zip(packed, arrays):
        assert one.dtype == given.dtype and np.array_equal(one, given)
        one[0] = 1
    assert np.array_equal(packed[0], arrays[0])
    packed[0] = arrays[0] + 7
    assert (packed[0] == 7).all() and [one.shape for one in packed[1:]] == [(2, 2), (2,)]


def test_together_they_are_one_array():
    masks = np.random.default_rng(0).integers(0, 2, (5, 8, 9)) > 0
    assert np.array_equal(np.asarray(Packed(masks)), masks)
    assert np.asarray(Packed(masks), np.float32).dtype == np.float32


def test_what_is_even_takes_little():
    mask = np.zeros((256, 448), np.uint8)
    mask[50:200, 100:180] = 255
    packed = Packed([mask])
    assert len(packed._parts[0][0]) < mask.nbytes / 50


def test_of_what_is_nearly_empty_only_the_part_that_is_not_is_compressed():
    picture = np.zeros((40, 30, 3), np.uint8)
    picture[7:11, 20:25] = np.random.default_rng(0).integers(1, 255, (4, 5, 3))
    packed = Packed([picture])
    assert np.array_equal(packed[0], picture)
    assert len(packed._parts[0][0]) <= 4 * 5 * 3 + 16
