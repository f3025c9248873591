"""Looks: people in other clothes differ, the same people do not, whoever stands in front."""

import numpy as np

from tests.vision.moving_people import STANDING
from vision.people.looks import PARTS, difference, looks_of, mean_look

RED, BLUE, GREEN = (180, 40, 40), (40, 60, 160), (60, 120, 50)


def at(x, y=200.0):
    return np.column_stack([STANDING * 1.5 + (x, y), np.full(17, 0.9)])


def dressed(picture, skeleton, shirt, trousers):
    """Paint somebody as a shirt and trousers."""
    left, top = skeleton[[5, 6, 11, 12], :2].min(axis=0).astype(int) - 3
    right, bottom = skeleton[[5, 6, 11, 12], :2].max(axis=0).astype(int) + 4
    picture[top:bottom, left:right] = shirt
    picture[bottom:int(skeleton[[15, 16], 1].max()), left:right] = trousers


def picture(*people):
    pixels = np.random.default_rng(0).integers(90, 110, (260, 600, 3), np.uint8)
    for skeleton, shirt, trousers in people:
        dressed(pixels, skeleton, shirt, trousers)
    return pixels


def test_clothes_tell_people_apart_wherever_they_are_and_in_other_light():
    first = looks_of(picture((at(150), RED, BLUE), (at(400), GREEN, RED)), [at(150), at(400)])
    darker = (picture((at(460), RED, BLUE), (at(90), GREEN, RED)) * 0.9).astype(np.uint8)
    second = looks_of(darker, [at(460), at(90)])
    apart = difference(first[:, None], second)
    assert apart[[0, 1], [0, 1]].max() < 0.35 and apart[[0, 1], [1, 0]].min() > 0.5


def test_who_is_hidden_is_not_taken_to_wear_the_clothes_of_whoever_hides_him():
    behind, front = at(300, 195), at(300, 205)
    looks = looks_of(picture((front, RED, BLUE)), [behind, front])
    assert looks[0, 1, -1] == 0 and looks[1, 1, -1] > 0.8


def test_what_is_outside_of_the_picture_or_unsure_has_no_look():
    unsure = at(300)
    unsure[:, 2] = 0.1
    looks = looks_of(picture(), [at(-300), unsure])
    assert looks.shape[:2] == (2, PARTS) and (looks[..., -1] == 0).all()
    assert np.isnan(difference(looks[0], looks[1])) and np.isnan(difference(mean_look(looks), looks[0]))


def test_a_mean_look_is_that_of_where_the_parts_were_seen():
    looks = looks_of(picture((at(150), RED, BLUE), (at(400), GREEN, RED)), [at(150), at(400)])
    unseen = looks[1].copy()
    unseen[:, -1] = 0
    assert difference(mean_look(np.stack([looks[0], unseen])), looks[0]) < 1e-3
