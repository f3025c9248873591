"""What others hide of a person, copied from the nearest frame that shows it."""

import cv2
import numpy as np
import pytest

from vision.geometry.flow import backward_warp
from vision.layers.hidden_parts import by_body, copied, motion_of_body, places_of_body
from vision.people.iuv import encode_iuv

HEIGHT, WIDTH = 96, 128
COLOURS = np.array([[200, 40, 40], [40, 40, 200]])


def body(x, y, width=30, height=60):
    """IUV picture of a box of two parts, u across and v down each half; colours that are those of their places."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    u, v = (columns - x) / width, (rows - y) / height
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    part = np.where(inside, 1 + (v >= 0.5), 0)
    picture = COLOURS[(v >= 0.5).astype(int)] + 40 * np.sin(6 * np.stack([u, v, u + v], axis=-1))
    return (encode_iuv(part, u.clip(0, 1), (2 * v).clip(0, 2) % 1, 1),
            np.where(inside[..., None], picture, 90).clip(0, 255).astype(np.uint8), 255 * inside.astype(np.uint8))


@pytest.fixture
def clip():
    """A person who walks and grows; in frame 2 something is in front of the left half, in frame 3 all but the right."""
    frames = [body(20 + 6 * f, 15 + f, 30 + f, 60 + f) for f in range(5)]
    views = [np.full((HEIGHT, WIDTH), 255, np.uint8) for _ in frames]
    views[2][:, :32 + 16] = 0
    views[3][:, :38 + 16] = 0
    return frames, views


def part_of(clip):
    frames, views = clip
    return lambda f: (*frames[f][1:], views[f])


def test_a_hidden_half_comes_from_the_nearest_frame_that_shows_it(clip):
    frames, views = clip
    places = [places_of_body(iuv) for iuv, _, _ in frames]
    hidden = (views[2] == 0) & (frames[2][2] > 0)
    colours, alpha, found = copied(2, 5, hidden, places.__getitem__, part_of(clip))
    inner = cv2.erode(hidden.astype(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 300 and found[inner].all() and (alpha[inner] > 250).all()
    assert np.abs(colours.astype(int) - frames[2][1])[inner].mean() < 4


def test_when_all_that_can_be_is_found_no_farther_frame_is_looked_at(clip):
    """What is in view is looked for in the nearest frames alone, and what is far from the body nowhere."""
    frames, views = clip
    places, asked = [places_of_body(iuv) for iuv, _, _ in frames], []
    hidden = cv2.erode(((views[2] == 0) & (frames[2][2] > 0)).astype(np.uint8), np.ones((5, 5))) > 0
    hidden[0, 0] = True

    def part(frame):
        asked.append(frame)
        return part_of(clip)(frame)

    _, _, found = copied(2, 5, hidden, places.__getitem__, part)
    assert set(asked) == {1, 3} and found[frames[2][2] > 0].mean() > 0.9


def test_what_no_frame_shows_is_not_found(clip):
    frames, views = clip
    for view in views:
        view[:40] = 0
    places = [places_of_body(iuv) for iuv, _, _ in frames]
    found = copied(2, 5, frames[2][2] > 0, places.__getitem__, part_of(clip))[2]
    assert not found[:34].any() and found[50:70, 45:55].all()


def test_two_sides_of_a_body_have_nothing_in_common():
    front = places_of_body(encode_iuv(np.full((HEIGHT, WIDTH), 2), *np.mgrid[:HEIGHT, :WIDTH] / 200, 1))
    back = places_of_body(encode_iuv(np.full((HEIGHT, WIDTH), 1), *np.mgrid[:HEIGHT, :WIDTH] / 200, 1))
    assert motion_of_body(front, back[1]) is None and motion_of_body(front, front[1]) is not None
    assert np.abs(motion_of_body(front, front[1])[0]).max() < 1e-4


def test_places_are_means_of_their_pixels():
    numbers, means = places_of_body(encode_iuv(np.array([[0, 3, 3, 3]]), np.array([[0, 0.5, 0.5, 0.9]]),
                                               np.array([[0, 0.1, 0.1, 0.1]]), 1))
    assert numbers[0, 0] == 0 and numbers[0, 1] == numbers[0, 2] != numbers[0, 3]
    assert means[numbers[0, 1]].tolist() == [1.5, 0] and np.isnan(means[0]).all()


def test_computing_only_what_can_still_be_found_finds_what_computing_all_would():
    frames = [body(15 + 7 * f, 12, 40 + 9 * (f % 2) * f, 50 + 5 * f) for f in range(5)]
    views = [np.full((HEIGHT, WIDTH), 255, np.uint8) for _ in frames]
    for f in (1, 2, 3):
        views[f][:, :55 + 4 * f] = 0
    places = [places_of_body(iuv) for iuv, _, _ in frames]
    colours, found = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), bool)
    for other in (1, 3, 0, 4):
        flow, known = motion_of_body(places[2], places[other][1])
        shown, view = (backward_warp(one, flow, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
                       for one in (frames[other][1], views[other]))
        new = ~found & known & (view >= 0.95 * 255)
        colours[new] = shown[new]
        found |= new
    made = copied(2, 5, np.ones_like(found), places.__getitem__, part_of((frames, views)))
    assert found.sum() > 2000 and (made[2] == found).mean() > 0.9999
    assert np.abs(made[0].astype(int) - colours)[found].max() <= 1


def turned(iuv):
    """A body whose coordinates are wrong: those of four fifths further to the right, and of another part."""
    part, u = iuv[..., 0].astype(int), iuv[..., 1].astype(int) + 204
    return np.dstack([np.where((part > 0) & (u > 255), part + 40, part), u % 256, iuv[..., 2:]]).astype(np.uint8)


def test_where_coordinates_lead_off_the_body_it_is_copied_as_a_whole():
    frames = [body(20, 15), body(28, 17)]
    places, whole = [places_of_body(iuv) for iuv, _, _ in frames], np.s_[0:HEIGHT, 0:WIDTH]
    wrong = places_of_body(turned(frames[1][0]))
    assert by_body(places[1], places[0], whole) is not None and by_body(wrong, places[0], whole) is None
    hidden = frames[1][2] > 0
    hidden[:, 43:] = False
    views = [np.full((HEIGHT, WIDTH), 255, np.uint8)] * 2
    colours, alpha, found = copied(1, 2, hidden, [places[0], wrong].__getitem__, part_of((frames, views)))
    inner = cv2.erode(hidden.astype(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 300 and found[inner].all() and (alpha[inner] > 250).all()
    assert np.abs(colours.astype(int) - frames[1][1])[inner].mean() < 6


def test_beside_an_arm_that_swings_away_nothing_of_the_trunk_is_copied():
    def person(arm):
        trunk, limb = body(50, 15, 30, 60), body(arm, 40, 8, 20)
        iuv = np.where(limb[2][..., None] > 0, limb[0] + np.array([40, 0, 0, 0], np.uint8) * (limb[0][..., :1] > 0),
                       trunk[0]).astype(np.uint8)
        return iuv, trunk[1], np.maximum(trunk[2], limb[2])

    frames = [person(80), person(30)]  # the arm is right of the trunk, and then left of it
    places = [places_of_body(iuv) for iuv, _, _ in frames]
    views = [np.full((HEIGHT, WIDTH), 255, np.uint8)] * 2
    beside = np.zeros((HEIGHT, WIDTH), bool)
    beside[42:58, 24:29] = True  # left of the arm, where nobody is; what is left of it in the other frame is the trunk
    _, alpha, found = copied(1, 2, beside, places.__getitem__, part_of((frames, views)))
    assert not (found & (alpha > 127))[beside].any()
