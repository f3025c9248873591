"""Motion that is taken over by another body."""

import numpy as np
import pytest

from datasets.synthetic.dancer import Dance, Stage
from datasets.synthetic.person import dressed
from vision.people.body25 import COCO_JOINTS, POINTS, SURE, Person, as_openpose, person_of_coco
from vision.people.motion_transfer import filled, place, transferred, walks

FRAMES, RATE = 40, 25
STAGE = Stage(np.random.default_rng(3), (448, 256))


def points_of(dance):
    entries = [STAGE.openpose(dance.person, dance.skeleton(k / RATE)) for k in range(FRAMES)]
    return np.stack([Person(*(np.array(entry[name]).reshape(-1, 3) for name in POINTS)).points for entry in entries])


@pytest.fixture(scope="module")
def people():
    """Key points of a dance by one body, and of other moves by it and by another body."""
    one, other = dressed(2, "mixed", np.random.default_rng(5))
    moves = np.random.default_rng(7)
    return {"own": points_of(Dance(np.random.default_rng(8), one)),
            "driver": points_of(Dance(np.random.default_rng(7), other)),
            "truth": points_of(Dance(moves, one))}


def errors(found, true):
    both = (found[..., 2] > SURE) & (true[..., 2] > SURE)
    return np.linalg.norm(found[..., :2] - true[..., :2], axis=-1)[both]


def test_own_motion_stays_as_it_is(people):
    own = people["own"]
    assert np.median(errors(transferred(own, own), own)) < 0.6  # paths are smoothed


def test_a_driver_of_another_size_and_place_dances_in_her_body(people):
    driver = people["driver"].copy()
    driver[..., :2] = driver[..., :2] * 0.6 + (120, 15)
    found, truth = transferred(driver, people["own"]), people["truth"]
    tall = np.median(place(truth).height)
    assert errors(found[:, :25], truth[:, :25]).mean() < 0.035 * tall
    assert errors(driver[:, :25], truth[:, :25]).mean() > 0.2 * tall
    assert np.abs(place(found).ground - place(truth).ground).mean() < 0.02 * tall


def test_bones_are_as_long_as_hers(people):
    driver = people["driver"].copy()
    for knee, ankle, below in ((10, 11, (22, 23, 24)), (13, 14, (19, 20, 21))):  # longer shins
        longer = 0.3 * (driver[:, ankle, :2] - driver[:, knee, :2])
        for joint in (ankle, *below):
            driver[:, joint, :2] += longer
    found = transferred(driver, people["own"])
    for a, b in ((10, 11), (13, 14), (9, 10), (3, 4)):
        lengths = [np.quantile(np.linalg.norm(points[:, a, :2] - points[:, b, :2], axis=1), 0.9)
                   for points in (found, people["own"])]
        assert lengths[0] == pytest.approx(lengths[1], rel=0.12)


def test_who_walks_away_shrinks_as_she_does(people):
    own, driver = people["own"].copy(), people["driver"].copy()
    nearness = np.linspace(0.5, 1, FRAMES)[:, None, None]
    middle = np.array((224.0, 100.0))  # on the horizon
    own[..., :2] = middle + (own[..., :2] - middle) * nearness
    driver[..., :2] = 2 * (middle + (driver[..., :2] - middle) * nearness[::-1])
    assert walks(place(own)) and walks(place(driver))
    found = place(transferred(driver, own))
    assert found.height[:5].mean() == pytest.approx(place(own).height[-5:].mean(), rel=0.12)
    assert found.height[-5:].mean() == pytest.approx(place(own).height[:5].mean(), rel=0.12)
    assert np.ptp(found.ground) == pytest.approx(np.ptp(place(own).ground), rel=0.2)


def test_gaps_are_filled_and_what_is_never_seen_stays_away(people):
    gappy = people["driver"].copy()
    gappy[10:14, 4] = 0
    gappy[2:, 3] = 0
    whole = filled(gappy)
    np.testing.assert_allclose(whole[9:15, 4, 0], np.linspace(gappy[9, 4, 0], gappy[14, 4, 0], 6))
    assert not whole[:, 3].any()
    without_hands = people["own"].copy()
    without_hands[:, 95:] = 0
    assert not transferred(people["driver"], without_hands)[:, 95:].any()


def test_who_is_not_seen_to_the_feet_is_told(people):
    cut = people["driver"].copy()
    cut[:, [11, 14]] = 0
    with pytest.raises(ValueError, match="the driver: hips and feet are hardly ever seen"):
        transferred(cut, people["own"])


def test_a_coco_skeleton_as_openpose_writes_it(people):
    keypoints = np.column_stack([np.arange(34.0).reshape(17, 2) + 1, np.full(17, 0.8)])
    keypoints[9, 2] = 0
    person = person_of_coco(keypoints)
    np.testing.assert_array_equal(person.coco[:9], keypoints[:9])
    assert not person.body[COCO_JOINTS[9]].any()
    np.testing.assert_allclose(person.body[1, :2], (keypoints[5, :2] + keypoints[6, :2]) / 2)
    np.testing.assert_allclose(person.body[8, :2], (keypoints[11, :2] + keypoints[12, :2]) / 2)
    entry = as_openpose(person)
    assert {name: len(values) for name, values in entry.items()} == {name: 3 * n for name, n in POINTS.items()}
    np.testing.assert_array_equal(Person.of(person.points).body, person.body)


def test_points_that_are_not_seen_stay_nowhere(people):
    driver = people["driver"].copy()
    driver[:, 17] = 0  # an ear
    found = transferred(driver, people["own"])
    assert not found[:, 17].any() and not found[found[..., 2] == 0].any() and np.isfinite(found).all()
