"""The order of layers: lower feet are nearer, what hides is in front, and nothing flickers."""

import numpy as np

from vision.layers.depth_order import occlusion, orders_back_to_front


def unknown(frames, layers):
    return np.full((frames, layers, layers), np.nan)


def changes(orders):
    return sum(a != b for a, b in zip(orders, orders[1:]))


def test_lower_feet_are_in_front():
    feet = np.tile([0.9, 0.5, 0.7], (10, 1))
    assert orders_back_to_front(feet, unknown(10, 3), 3) == [[1, 2, 0]] * 10


def test_people_at_one_depth_do_not_flicker_and_those_who_pass_change_once():
    rng = np.random.default_rng(0)
    feet = np.stack([np.full(100, 0.7), 0.7 + rng.normal(0, 0.01, 100)], axis=1)
    assert changes(orders_back_to_front(feet, unknown(100, 2), 6)) == 0
    feet[:, 1] += np.linspace(-0.2, 0.2, 100)
    orders = orders_back_to_front(feet, unknown(100, 2), 6)
    assert orders[0] == [1, 0] and orders[-1] == [0, 1] and changes(orders) == 1


def test_what_is_seen_to_hide_another_counts_more_than_the_feet():
    feet, in_front = np.tile([0.9, 0.8], (20, 1)), unknown(20, 2)
    in_front[8:12, 0, 1], in_front[8:12, 1, 0] = -1, 1
    assert orders_back_to_front(feet, in_front, 2)[10] == [0, 1]


def test_everybody_is_in_every_order_also_where_he_is_not_seen():
    feet = np.full((5, 3), np.nan)
    assert [sorted(order) for order in orders_back_to_front(feet, unknown(5, 3), 2)] == [[0, 1, 2]] * 5
    feet[0] = 0.2, 0.9, 0.5
    assert orders_back_to_front(feet, unknown(5, 3), 1)[-1] == [0, 2, 1]


def test_the_one_whose_pixels_are_seen_in_the_overlap_is_in_front():
    first, second = np.zeros((2, 40, 40), bool)
    first[:, :25], second[:, 15:] = True, True
    assert occlusion(first, first, second, second & ~first) == 1
    assert occlusion(first, first & ~second, second, second) == -1
    assert np.isnan(occlusion(first, first, ~first, ~first))


def test_who_passes_whom_does_not_depend_on_their_numbers():
    first = np.r_[np.full(10, 0.9), np.full(10, 0.3)]  # the feet are lower in the first half
    for feet in (first, first[::-1]):
        orders, exchanged = (orders_back_to_front(np.stack(both, axis=1), np.full((20, 2, 2), np.nan), steadiness=3)
                             for both in ((feet, np.full(20, 0.6)), (np.full(20, 0.6), feet)))
        assert [order[::-1] for order in orders] == exchanged
        changes = [i for i in range(1, 20) if orders[i] != orders[i - 1]]
        assert len(changes) == 1 and 10 <= changes[0] <= 12  # only once it is clear
