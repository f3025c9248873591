"""How the edges of masks lie is learned from mattes."""

import cv2
import numpy as np
import pytest

from vision.layers.mask_edges import (
    FARTHEST,
    SUREST,
    enclosed,
    learned_edges,
    learned_logits,
    mask_logits,
    place_at_edge,
)

SIDE = 128
REACH = round(FARTHEST * SIDE)
TO_THE_LEFT, UP, TO_THE_RIGHT, DOWN = 0, 2, 4, 6  # the inside


def square(left=40, top=40, right=90, bottom=90):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def learned(mask, matte, known=True):
    return learned_edges([mask[None]] * 24, [matte[None]] * 24, [np.full(mask.shape, known)] * 24)


def test_where_the_scene_is_not_known_nothing_is_learned_and_masks_are_right():
    beside = learned(square(43, 43, 87, 87), square(), known=False).beside[0]
    assert np.allclose(beside[:, :REACH], 1 - SUREST) and np.allclose(beside[:, REACH:], SUREST)


@pytest.mark.parametrize("row, column, direction", [(65, 41, TO_THE_RIGHT), (65, 88, TO_THE_LEFT), (41, 65, DOWN),
                                                    (88, 65, UP)])
def test_direction_is_that_to_the_inside_and_distance_counts_from_far_outside(row, column, direction):
    directions, distance, hole = place_at_edge(square(), REACH)
    assert directions[row, column] in (direction, (direction - 1) % 8) and not hole.any()
    assert distance[65, 35:45].tolist() == list(range(REACH - 5, REACH + 5))
    assert distance[0, 0] == 0 and distance[65, 65] == 2 * REACH - 1


def test_of_masks_too_small_or_beside_the_person_it_is_learned_on_which_side_something_is_missing():
    small = learned(square(43, 43, 87, 87), square()).beside[0]
    assert (small[:, REACH - 2] > 0.8).all() and (small[:, REACH - 5] < 0.2).all()
    beside = learned(square(37, 40, 87, 90), square()).beside[0]
    left, right = beside[TO_THE_RIGHT], beside[TO_THE_LEFT]
    assert (left[REACH:REACH + 2] < 0.3).all() and (right[REACH - 2:REACH] > 0.7).all()


def test_with_what_was_learned_masks_have_the_edges_of_the_mattes():
    given = square(43, 43, 87, 87)
    logits = learned_logits(given[None], learned(given, square()), 1.0)[0]
    wrong = (logits > 0) != (square() > 0)
    assert wrong.sum() <= 4 * 9  # corners
    assert logits.max() == pytest.approx(np.log(SUREST / (1 - SUREST)), rel=1e-5)


@pytest.mark.parametrize("matte, share", [(square(), SUREST), (None, 1 - SUREST)])
def test_what_is_enclosed_is_what_it_is_found_to_be(matte, share):
    given = square()
    cv2.circle(given, (65, 65), 6, 0, -1)
    edges = learned(given, given if matte is None else matte)
    assert edges.holes[0] == pytest.approx(share, abs=0.01)
    assert (learned_logits(given[None], edges, 1.0)[0, 65, 65] > 0) == (share > 0.5)


def test_an_edge_where_somebody_else_is_near_tells_nothing_and_nobody_has_no_edges():
    other = square(90, 40, 120, 90)
    masks = np.stack([square(), other, np.zeros_like(other)])
    mattes = np.stack([square(right=84), square(84, 40, 120, 90), np.zeros_like(other)])
    edges = learned_edges([masks] * 24, [mattes] * 24, [np.ones(masks.shape[1:], bool)] * 24)
    assert edges.beside[0, TO_THE_LEFT, REACH] > 0.9 and (edges.holes == 0.5).all()
    logits = learned_logits(masks, edges, 1.0)
    assert (logits[2] == mask_logits(masks, 1.0)[2]).all() and (logits[2] < 0).all()


def test_holes_are_what_is_enclosed():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    mask[4, 4] = False
    assert np.argwhere(enclosed(mask)).tolist() == [[4, 4]]
    mask[4, 4:] = False
    assert not enclosed(mask).any()
