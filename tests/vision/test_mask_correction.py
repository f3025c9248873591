"""A brush on masks: what is painted is followed to the frames around, and no farther than it is there."""

import numpy as np
import pytest

from vision.people.mask_correction import brush, carried_on, painted

SIZE = (200, 120)


def pictures(count, step, hidden_from=None):
    """Something striped that moves to the right over a still ground, and where it is: [H, W, 3], [H, W]."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(60, 160, (30, 50, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    thing = np.kron(rng.integers(0, 255, (10, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    for number in range(count):
        picture, place = ground.copy(), np.zeros(SIZE[::-1], bool)
        if hidden_from is None or number < hidden_from:
            left = 20 + step * number
            picture[40:80, left:left + 40], place[40:80, left:left + 40] = thing, True
        yield picture, place


def test_a_brush_is_round_as_wide_as_it_is_told_and_lies_where_it_was_led():
    dot = brush(SIZE, [(50, 40)], 10)
    rows, columns = np.nonzero(dot > 127)
    assert ((dot > 127).sum() / np.pi) ** 0.5 == pytest.approx(10, abs=0.6)
    assert rows.mean() == pytest.approx(40, abs=0.2) and columns.mean() == pytest.approx(50, abs=0.2)
    line = brush(SIZE, [(20, 60), (120, 60)], 5)
    assert (line > 127).sum() == pytest.approx(100 * 10 + np.pi * 25, rel=0.15)
    assert brush(SIZE, [(-500, 60), (700, 60)], 5)[60].min() == 255


def test_a_stroke_adds_or_takes_away_and_leaves_the_rest():
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[:, :100] = 200
    stroke = brush(SIZE, [(100, 60)], 20)
    more, less = painted(mask, stroke, True), painted(mask, stroke, False)
    assert more[60, 110] == 255 and more[60, 95] == 255 and less[60, 95] == 0 and less[60, 110] == 0
    assert (more[stroke == 0] == mask[stroke == 0]).all() and (less[stroke == 0] == mask[stroke == 0]).all()


def test_what_is_painted_on_something_moves_with_it():
    frames = list(pictures(8, 4))
    stroke = 255 * frames[0][1].astype(np.uint8)
    moved = list(carried_on(stroke, (picture for picture, _ in frames)))
    assert len(moved) == 7
    for found, (_, place) in zip(moved, frames[1:]):
        seen = found > 127
        assert (seen & place).sum() / (seen | place).sum() > 0.75


def test_it_ends_where_the_thing_is_hidden():
    frames = list(pictures(8, 4, hidden_from=4))
    stroke = 255 * frames[0][1].astype(np.uint8)
    assert len(list(carried_on(stroke, (picture for picture, _ in frames)))) == 3
    assert list(carried_on(np.zeros_like(stroke), (picture for picture, _ in frames))) == []
