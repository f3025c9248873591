"""BlazePose without the package mediapipe: its numbers, its weights, and masks of several people."""

import numpy as np
import pytest
from skimage import data

from preparation.blazepose import BlazePose, Square, square_of
from preparation.segmenters import one_by_one
from vision.people.person_mask import shared_by_limbs

ASTRONAUT = [
    (222.74, 127.96, 1.0), (248.95, 112.46, 1.0), (204.95, 103.34, 1.0), (268.02, 122.8, 1.0), (190.38, 107.37, 1.0),
    (306.24, 256.64, 1.0), (112.66, 239.95, 1.0), (322.55, 374.95, 0.33), (64.6, 413.61, 0.76), (326.37, 461.35, 0.13),
    (135.24, 477.27, 0.32), (241.87, 501.72, 0.22), (128.27, 531.39, 0.26)]
"""What mediapipe 0.10.21 says of scikit-image's astronaut (static_image_mode, model_complexity=1), down to the hips."""
INSIDE = 113637
"""Pixels of it that are more likely hers than not (enable_segmentation)."""


@pytest.fixture(scope="module")
def network():
    return BlazePose()


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


def test_landmarks_and_mask_are_those_of_mediapipe(network, astronaut):
    (score, square), = network.detect(astronaut)
    person = network.look(astronaut, square)
    assert score > 0.75 and person.presence > 0.9
    seen = np.array(ASTRONAUT)[:, 2] > 0.5
    # OpenCV before 5 interpolates in steps of 1/32 pixel, as mediapipe does: 0.1 px; later ones exactly.
    assert np.abs(person.skeleton[:13, :2] - np.array(ASTRONAUT)[:, :2])[seen].max() < 1.2
    assert np.abs(person.skeleton[:13, 2] - np.array(ASTRONAUT)[:, 2]).max() < 0.04
    assert np.count_nonzero(person.mask((512, 512)) > 0.5) == pytest.approx(INSIDE, rel=0.002)


def test_somebody_in_a_part_of_a_picture_is_where_he_is_in_the_whole(network, astronaut):
    picture = np.full((600, 1200, 3), 90, np.uint8)
    picture[40:552, 500:1012] = astronaut
    (score, square), = network.detect(picture, Square(500 + 256, 40 + 256, 512, 0))
    person = network.look(picture, square)
    # Her square reaches beyond the part, where there is grey now and was nothing.
    assert score > 0.75 and np.abs(person.skeleton[:5, :2] - (500, 40) - np.array(ASTRONAUT)[:5, :2]).max() < 8


def test_who_is_looked_for_where_his_skeleton_says_is_seen_in_an_upright_square(network, astronaut):
    skeleton = network.look(astronaut, network.detect(astronaut)[0][1]).skeleton
    square = square_of(skeleton)
    assert abs(square.turn) < 0.3 and square.x == pytest.approx(skeleton[[11, 12], 0].mean())
    again = network.look(astronaut, square)
    assert np.abs(again.skeleton[:7] - skeleton[:7])[:, :2].max() < 25


def test_two_people_get_a_mask_each_and_what_is_elsewhere_none(network, astronaut):
    picture = np.concatenate([astronaut, np.full((512, 300, 3), 120, np.uint8), astronaut[:, ::-1]], axis=1)
    one = network.look(astronaut, network.detect(astronaut)[0][1]).skeleton
    other = one * (-1, 1, 1) + (512 + 300 + 511, 0, 0)
    other[1:] = other[1:].reshape(8, 2, 3)[:, ::-1].reshape(16, 3)  # left and right change
    left, right = one_by_one(network)(picture, [one, other])
    hers, = one_by_one(network)(astronaut, [one])
    for mask, columns, mirrored in ((left, slice(0, 512), 1), (right, slice(812, 1324), -1)):
        assert iou(mask[:, columns][:, ::mirrored] > 0.5, hers > 0.5) > 0.93
        assert np.delete(mask, np.r_[columns], axis=1).max() < 0.1
    nobody, = one_by_one(network)(picture, [one + (480, 0, 0)])
    assert nobody.max() == 0


class TakesAllOfThePicture(BlazePose):
    """Sees the left one of two surest, and takes everything for her."""

    def look(self, picture, square):
        person = super().look(picture, square)
        left = square.x < picture.shape[1] / 2
        return person._replace(inside=np.full_like(person.inside, 0.51), square=person.square._replace(side=9000),
                               presence=1e6) if left else person


def test_who_is_painted_over_as_a_part_of_somebody_else_keeps_the_first_look(network, astronaut):
    picture = np.concatenate([astronaut, astronaut], axis=1)
    one = network.look(astronaut, network.detect(astronaut)[0][1]).skeleton
    both = [one, one + (512, 0, 0)]
    right = one_by_one(TakesAllOfThePicture())(picture, both)[1]
    hers, = one_by_one(network)(astronaut, [one])
    assert (right[:, 512:][hers > 0.9] > 0.6).mean() > 0.8


def test_who_is_taken_for_a_part_of_somebody_is_before_her_and_has_all_of_his_pixels(network, astronaut):
    """Of two whose limbs cross, the network is surest of one, and takes both for her."""
    one = network.look(astronaut, network.detect(astronaut)[0][1]).skeleton
    behind = one * (1.3, 1.3, 1) + (40, -60, 0)

    class TakesBothForOne(BlazePose):
        def look(self, picture, square):
            person = super().look(picture, square)
            return person._replace(inside=np.full_like(person.inside, 0.95), square=person.square._replace(side=9000),
                                   skeleton=behind, presence=1e6) if square == square_of(behind) else person

    hers, = one_by_one(network)(astronaut, [one])
    before, after = one_by_one(TakesBothForOne())(astronaut, [one, behind])
    assert (before[hers > 0.9] > 0.6).mean() > 0.8 and (after[hers > 0.9] > 0.5).mean() < 0.01


def test_joints_that_are_not_known_do_not_count(network, astronaut):
    skeleton = network.look(astronaut, network.detect(astronaut)[0][1]).skeleton
    partly = skeleton.copy()
    partly[[7, 8, 9, 10]] = 0
    whole, = one_by_one(network)(astronaut, [skeleton])
    assert iou(one_by_one(network)(astronaut, [partly])[0] > 0.5, whole > 0.5) > 0.9
    partly[11:] = 0  # as of somebody cut off by the frame
    square = square_of(partly)
    assert square.turn == 0 and abs(square.x - 220) < 40 and abs(square.y - 160) < 60
    assert shared_by_limbs([whole, whole], [partly, np.zeros((17, 3))])[0].max() > 0.5


def iou(one, other):
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)
