"""Somebody who hardly moves, and whose mask misses an arm in some frames: the arm is not of the scene."""

import numpy as np
import pytest

from vision.geometry.canvas import Canvas
from vision.layers.closed_form import solve
from vision.layers.matte_refinement import refined_mattes
from vision.layers.standing_still import at_his_place, doubtful, doubts, goes_on, left_out, lost_parts, unlike_the_scene

FRAMES, HEIGHT, WIDTH = 16, 64, 96
BODY, ARM = np.s_[16:60, 40:56], np.s_[24:44, 56:64]
SHIRT = np.array([180, 60, 50])


@pytest.fixture
def clip():
    """Somebody stands before a wall, and goes away in the last two frames; the mask misses the arm in six frames."""
    rng = np.random.default_rng(2)
    wall = np.kron(rng.uniform(60, 220, (HEIGHT // 4, WIDTH // 4, 3)), np.ones((4, 4, 1)))
    frames, true = [], np.zeros((1, FRAMES, HEIGHT, WIDTH), np.uint8)
    for f in range(FRAMES):
        picture = wall.copy()
        if f < 14:
            for part in (BODY, ARM):
                picture[part] = SHIRT
                true[0, f][part] = 255
        frames.append((picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8))
    masks = true.copy()
    masks[0, 3:9][:, ARM[0], ARM[1]] = 0
    return np.stack(frames), masks, true, wall


def test_what_a_mask_left_out_is_known_and_the_scene_behind_is_not_taken_for_it(clip):
    frames, masks, true, _ = clip
    found = left_out(frames, masks, np.ones(frames.shape[:3], bool))
    assert found[0, 3:9][:, ARM[0], ARM[1]].mean() > 0.98
    assert not (found & (true < 128)).any() and not (found & (masks > 127)).any()


def test_nothing_is_left_out_of_somebody_who_walks(clip):
    frames, masks, _, wall = clip
    walking, cut = np.stack([wall.astype(np.uint8)] * FRAMES), np.zeros_like(masks)
    for f in range(FRAMES):
        walking[f, 16:60, 5 * f:5 * f + 16] = SHIRT
        cut[0, f, 16:40, 5 * f:5 * f + 16] = 255
    assert not left_out(walking, cut, np.ones(walking.shape[:3], bool)).any()


def test_a_scene_of_the_colour_of_who_stands_before_it_is_not_taken_where_he_moves(clip):
    frames, masks, true, wall = clip
    frames = frames.copy()
    frames[:14, ARM[0], ARM[1]] = (wall[ARM] + 20 * np.sin(np.arange(14))[:, None, None, None]).clip(0, 255)
    assert not left_out(frames, masks, np.ones(frames.shape[:3], bool)).any()


def test_the_plate_and_refined_mattes_have_no_ghost(clip):
    frames, masks, true, wall = clip
    missed = left_out(frames, masks, np.ones(frames.shape[:3], bool))
    whole = np.maximum(masks, 255 * missed.astype(np.uint8))
    in_view = np.ones(frames.shape[:3], bool)
    ghost, plate = (255 * solve(frames, in_view, given).plate[ARM] for given in (masks, whole))
    assert np.abs(ghost - wall[ARM]).mean() > 40 > 4 * np.abs(plate - wall[ARM]).mean()
    found = refined_mattes(frames, masks, Canvas.of(None, (WIDTH, HEIGHT)))
    assert (found[0, 3:9][:, ARM[0], ARM[1]] > 127).mean() > 0.9


@pytest.fixture
def swaying():
    """Somebody stands on a spot and sways, a bag beside him that the mask misses in frame 4."""
    rng = np.random.default_rng(4)
    wall = np.kron(rng.uniform(60, 220, (HEIGHT // 4, WIDTH // 4, 3)), np.ones((4, 4, 1)))
    bag = np.kron(rng.uniform(0, 90, (5, 2, 3)), np.ones((4, 4, 1)))
    frames, masks = [], np.zeros((1, FRAMES, HEIGHT, WIDTH), np.uint8)
    for f in range(FRAMES):
        picture, left = wall.copy(), 40 + round(2 * np.sin(1.3 * f))
        picture[16:60, left:left + 16], picture[24:44, left + 16:left + 24] = SHIRT, bag
        masks[0, f, 16:60, left:left + 16] = 255
        masks[0, f, 24:44, left + 16:left + 24] = 255 * (f != 4)
        frames.append((picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8))
    return np.stack(frames), masks, wall


def test_what_stirs_beside_somebody_who_stays_is_doubtful_and_the_scene_around_is_not(swaying):
    frames, masks, wall = swaying
    found = doubtful(frames, masks, masks.max(axis=0) == 0)[4]
    assert found[26:42, 58:62].all() and not found[:, :34].any() and not found[:, 72:].any()
    plate = 255 * solve(frames, np.ones(frames.shape[:3], bool), masks).plate
    assert np.abs(plate - wall)[:, 72:].mean() < 3
    assert plate[24:44, 58:64].mean() > 90  # nothing of the bag, which is 45 on average; the wall around is 140


def test_what_is_unlike_the_scene_beside_who_stands_is_of_him_and_what_is_like_it_is_not(swaying):
    frames, masks, wall = swaying
    doubt = doubts(frames, masks, masks.max(axis=0) == 0)
    plate, nowhere = (wall / 255).astype(np.float32), np.zeros((HEIGHT, WIDTH), bool)
    left, bag = 40 + round(2 * np.sin(1.3 * 4)), nowhere.copy()
    bag[24:44, left + 16:left + 24] = True
    picture = np.where(bag[..., None], np.uint8([40, 230, 40]), frames[4])
    yes, no = np.array([True]), np.array([False])

    def found(picture, guessed, there, lost, often=False):
        known = doubt._replace(seldom=nowhere) if often else doubt
        return unlike_the_scene(picture, plate, guessed, masks[:, 4], known, there, lost)[0]

    for often, lost in ((True, no), (False, yes)):
        part = found(picture, nowhere, yes, lost, often)
        assert part[bag & doubt.stirs].mean() > 0.8 and not part[~bag].any()
    assert not found(picture, nowhere, no, yes).any()  # he is somewhere else
    assert not found(picture, nowhere, yes, no)[doubt.seldom].any()  # it is seen for once, between his legs maybe
    shaded = np.where(bag[..., None], 0.5 * wall, frames[4]).astype(np.uint8)
    assert not found(shaded, nowhere, yes, yes).any()
    assert found(shaded, bag, yes, yes)[bag & doubt.stirs].mean() > 0.8


def test_a_mask_that_is_much_smaller_than_usual_has_lost_a_part():
    assert lost_parts(np.array([[0, 80, 100, 60, 110], [0, 0, 0, 0, 0]])).tolist() == [
        [True, False, False, True, False], [False] * 5]


def test_the_scene_goes_on_up_to_a_leg_that_masks_always_miss():
    """A wall with a gradient, on which somebody's leg, 6 pixels of another colour, is never in the mask; all of it is
    doubtful."""
    rng = np.random.default_rng(5)
    wall = np.repeat(np.linspace(120, 200, WIDTH)[None, :, None], HEIGHT, axis=0) * np.ones(3)
    leg = np.zeros((HEIGHT, WIDTH), bool)
    leg[16:60, 46:52] = True
    frames = []
    for f in range(FRAMES):
        picture = np.where(np.roll(leg, f % 2, axis=1)[..., None], SHIRT, wall)
        frames.append((picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8))
    stirs = np.zeros_like(leg)
    stirs[12:62, 43:56] = True
    scene, usual = goes_on((wall / 255).astype(np.float32), ~stirs, np.stack(frames),
                           np.ones((FRAMES, HEIGHT, WIDTH), bool), stirs)
    assert scene[stirs & (np.abs(np.arange(WIDTH) - 49) > 5)].all() and not scene[18:58, 47:52].any()
    assert np.abs(255 * usual - wall)[scene].mean() < 3


def test_nobody_who_walks_makes_the_scene_doubtful():
    frames = np.full((FRAMES, HEIGHT, WIDTH, 3), 120, np.uint8)
    masks = np.zeros((1, FRAMES, HEIGHT, WIDTH), np.uint8)
    for f in range(FRAMES):
        masks[0, f, 16:60, 5 * f:5 * f + 12] = 255
    assert not doubtful(frames, masks, masks.max(axis=0) == 0).any()


def test_a_mask_that_lost_all_but_the_legs_or_turned_around_has_not_gone_away():
    masks = np.zeros((6, 64, 96), np.uint8)
    usual, beside = np.zeros((2, 64, 96), bool)
    usual[16:60, 40:56] = beside[12:64, 34:62] = True
    masks[0, 16:60, 40:56] = 255
    masks[1, 50:60, 42:50] = 255  # legs alone
    masks[2, 16:60, 30:46] = 255  # half a step to the side
    masks[3, 16:60, 14:30] = 255  # one body away
    masks[5, 16:60, 40:56] = 255
    frames = np.zeros((6, 64, 96, 3), np.uint8)
    assert at_his_place(masks, usual, beside, frames.__getitem__).tolist() == [True, True, True, False, False, True]
    masks[3] = 0
    assert at_his_place(masks, usual, beside, frames.__getitem__).all()  # without a mask he is as before and after


def test_who_is_lost_at_an_end_of_the_clip_is_there_as_long_as_his_place_looks_as_it_did():
    usual = np.zeros((64, 96), bool)
    usual[16:60, 40:56] = True
    masks = np.repeat(255 * usual[None].astype(np.uint8), 8, axis=0)
    masks[[0, 1, 6, 7]] = 0
    rng = np.random.default_rng(3)
    frames = (rng.uniform(50, 200, (64, 96, 3)) + rng.normal(0, 2, (8, 64, 96, 3))).astype(np.uint8)
    frames[[0, 7]] = rng.integers(50, 200, (64, 96, 3))  # there the scene is seen
    assert at_his_place(masks, usual, usual, frames.__getitem__).tolist() == [False, *6 * [True], False]
