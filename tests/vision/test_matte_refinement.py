"""Mattes from masks that are only roughly right, on a clip whose mattes are known."""

import cv2
import numpy as np
import pytest

from vision.geometry.canvas import Canvas
from vision.layers.matte_refinement import (
    attached,
    coded_colours,
    colour_histograms,
    evidence_of_scene,
    refined_mattes,
)

FRAMES, HEIGHT, WIDTH = 24, 128, 192
CLOTHES = ((190, 60, 50), (60, 70, 190))


@pytest.fixture(scope="module")
def clip():
    """Two people who walk through each other before a wall, the first with a bat: frames, and their mattes as seen."""
    rng = np.random.default_rng(1)
    wall = cv2.GaussianBlur(rng.uniform(60, 220, (HEIGHT, WIDTH, 3)), (0, 0), 2)
    wall = 130 + 4 * (wall - wall.mean(axis=(0, 1)))
    frames, mattes = [], np.zeros((2, FRAMES, HEIGHT, WIDTH), np.uint8)
    for f in range(FRAMES):
        for person, x in enumerate((20 + 6.5 * f, 172 - 6.5 * f)):
            mattes[person, f] = figure(x, bat=person == 0, swing=10 * np.sin(f / 2))
        frame = wall.clip(0, 255)
        shade = 0.35 * cv2.GaussianBlur(figure(172 - 6.5 * f + 16, False, 0, lying=True), (0, 0), 1.5)[..., None] / 255
        frame = frame * (1 - shade)
        for matte, colour in zip(mattes[::-1, f], CLOTHES[::-1]):
            alpha = matte[..., None] / 255
            frame = frame * (1 - alpha) + alpha * (np.array(colour) + rng.normal(0, 8, (HEIGHT, WIDTH, 1)))
        frames.append((frame + rng.normal(0, 2, frame.shape)).clip(0, 255).round().astype(np.uint8))
        mattes[1, f] = mattes[1, f] * (1 - mattes[0, f] / 255)
    return np.stack(frames), mattes


def figure(x, bat, swing, lying=False):
    canvas = np.zeros((4 * HEIGHT, 4 * WIDTH), np.uint8)
    x = round(4 * x)
    if lying:
        cv2.ellipse(canvas, (x + 30, 4 * 113), (90, 14), 0, 0, 360, 255, -1)
    else:
        cv2.ellipse(canvas, (x, 4 * 70), (40, 110), 0, 0, 360, 255, -1)
        cv2.circle(canvas, (x, 4 * 34), 32, 255, -1)
        for side in (-1, 1):
            cv2.line(canvas, (x, 4 * 90), (x + side * 30 + round(2 * side * swing), 4 * 116), 255, 26)
        if bat:
            cv2.line(canvas, (x + 30, 4 * 66), (x + 130, 4 * 54), 255, 14)
    return cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def each(change):
    return lambda mattes: np.stack([[change(one) for one in person] for person in np.where(mattes > 127, 255, 0)
                                    .astype(np.uint8)])


def pierced(mask):
    x, y, width, height = cv2.boundingRect(mask)
    for share in (0.3, 0.5, 0.7):
        cv2.circle(mask, (x + min(width // 2, 12), y + round(share * height)), 4, 0, -1)
    return mask


def test_what_a_network_takes_for_a_part_of_whoever_is_near_goes_to_whose_colour_it_has(clip):
    """Where the two are near each other the first one's mask has the lower half of the second, too."""
    frames, mattes = clip
    given, near = each(lambda mask: mask)(mattes), slice(9, 15)
    legs = given[1, near].copy()
    legs[:, :70] = 0
    given[0, near] |= legs
    given[1, near] &= ~legs
    found = refined_mattes(frames, given, Canvas.of(None, (WIDTH, HEIGHT)), 1 / 1000)
    error, before = (np.abs(one[:, near].astype(float) - mattes[:, near]).mean(axis=(1, 2, 3))
                     for one in (found, given))
    assert (error < before / 2).all()


@pytest.mark.parametrize("worse", [
    each(lambda mask: cv2.erode(mask, np.ones((5, 5), np.uint8))),
    each(lambda mask: cv2.dilate(mask, np.ones((7, 7), np.uint8))),
    each(lambda mask: np.roll(mask, (2, -3), (0, 1))), each(pierced),
    each(lambda mask: cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3), np.uint8)) // 5 * 4, (0, 0), 1)),
], ids=["eroded", "dilated", "shifted", "holes", "unsure"])
def test_masks_that_are_wrong_become_mattes_with_a_third_of_the_error(clip, worse):
    frames, mattes = clip
    given = worse(mattes)
    found = refined_mattes(frames, given, Canvas.of(None, (WIDTH, HEIGHT)))
    error, before = (np.abs(one.astype(float) - mattes).mean() for one in (found, given))
    assert error < before / 3


@pytest.mark.parametrize("edge_error", [2 / 256, 1 / 1000])
def test_right_masks_stay_right_however_far_off_they_might_be(clip, edge_error):
    frames, mattes = clip
    given = each(lambda mask: mask)(mattes)
    found = refined_mattes(frames, given, Canvas.of(None, (WIDTH, HEIGHT)), edge_error)
    error, before = (np.abs(one.astype(float) - mattes).mean() for one in (found, given))
    assert error < 0.6 * before


def test_what_somebody_holds_is_his_and_his_shadow_is_not(clip):
    frames, mattes = clip
    bodies = each(lambda mask: cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8)))(mattes)
    found = refined_mattes(frames, bodies, Canvas.of(None, (WIDTH, HEIGHT)))
    bat = (mattes[0] > 200) & (cv2.dilate(bodies[0].transpose(1, 2, 0), np.ones((3, 3))).transpose(2, 0, 1) < 127)
    assert bat[:10].sum() > 200 and (found[0][bat] > 127).mean() > 0.85
    nobody = cv2.dilate(mattes.max(axis=0).transpose(1, 2, 0), np.ones((5, 5))).transpose(2, 0, 1) < 5
    assert (found.max(axis=0)[nobody] > 127).mean() < 0.003


def test_where_people_cross_nobody_gets_the_other(clip):
    frames, mattes = clip
    meeting = mattes[:, FRAMES // 2 - 3:FRAMES // 2 + 3]
    both = each(lambda mask: mask)(mattes)
    both[1] = np.maximum(both[1], (0.9 * both[0]).astype(np.uint8) * (both[1].max(axis=(1, 2)) > 0)[:, None, None]
                         * (np.abs(np.arange(FRAMES) - FRAMES // 2) < 3)[:, None, None])
    found = refined_mattes(frames, both, Canvas.of(None, (WIDTH, HEIGHT)))[:, FRAMES // 2 - 3:FRAMES // 2 + 3]
    assert (found[1][meeting[0] > 200] > 127).mean() < 0.03


def test_somebody_without_a_mask_in_some_frames_is_followed_through_them(clip):
    frames, mattes = clip
    given = each(lambda mask: mask)(mattes)
    given[0, 3:7] = 0
    found = refined_mattes(frames, given, Canvas.of(None, (WIDTH, HEIGHT)))
    inside, true = found[0, 3:7] > 127, mattes[0, 3:7] > 127
    assert (inside & true).sum() / (inside | true).sum() > 0.85


@pytest.mark.parametrize("nobody", [0, 204], ids=["nothing is left", "a body is drawn elsewhere"])
def test_who_is_taken_for_another_for_a_while_is_known_by_the_frames_around(clip, nobody):
    """Where they cross, the first one's mask has all of the second, of whom next to nothing is found."""
    frames, mattes = clip
    given, near = each(lambda mask: mask)(mattes), slice(10, 15)
    given[0, near] |= given[1, near]
    given[1, near] = 0
    given[1, near, 20:50, 20:30] = nobody
    given[1, near, 60:62, 60:62] = 255
    found = refined_mattes(frames, given, Canvas.of(None, (WIDTH, HEIGHT)), 1 / 1000)
    for person in (0, 1):
        inside, true = found[person, near] > 127, mattes[person, near] > 127
        assert (inside & true).sum() / (inside | true).sum() > 0.85


def test_a_shadow_is_of_the_scene_and_what_is_not_trusted_says_nothing():
    plate = np.full((2, 3, 3), 0.6, np.float32)
    image = np.stack([plate[0], plate[0] * 0.7, [(0.9, 0.2, 0.2)] * 3]).transpose(1, 0, 2)[:2].astype(np.float32)
    known, trust = np.array([[1.0] * 3, [0.0] * 3]), np.array([[1.0] * 3, [0.0] * 3])
    found = evidence_of_scene(image, plate, np.full((2, 3), 0.02, np.float32), known, trust)
    assert found[0, 0] < found[0, 1] < 0 < found[0, 2] and not found[1].any()
    never_seen = evidence_of_scene(image, plate, np.full((2, 3), 0.02, np.float32), np.zeros((2, 3)), np.ones((2, 3)))
    assert (never_seen[0, :2] > found[0, :2]).all() and never_seen[0, 0] < 0


def test_who_hardly_moves_has_back_what_her_masks_always_miss_before_a_place_that_was_never_seen(clip):
    rng, frames, mattes = np.random.default_rng(2), [], []
    wall = cv2.GaussianBlur(rng.uniform(60, 220, (HEIGHT, WIDTH, 3)), (0, 0), 2)
    for f in range(12):
        matte = figure(90 + np.sin(f), bat=False, swing=0)
        alpha = matte[..., None] / 255
        frame = (1 - alpha) * (160 + wall - wall.mean()) + alpha * (60, 50, 70)
        frames.append((frame + rng.normal(0, 2, frame.shape)).clip(0, 255).round().astype(np.uint8))
        mattes.append(matte)
    true = np.stack(mattes) > 127
    given = np.where(true, 255, 0).astype(np.uint8)
    given[:, :, :86] = 0  # an arm and a third of the trunk
    found = refined_mattes(np.stack(frames), given[None], Canvas.of(None, (WIDTH, HEIGHT)), 1 / 1000)[0] > 127
    missing = true & (given == 0)
    assert missing.sum() > 0.15 * true.sum() and found[missing].mean() > 0.5 and found[~true].mean() < 0.003


def test_what_is_far_from_somebody_is_not_his_and_what_is_over_a_small_gap_is():
    core, mask = np.zeros((2, 100, 100), bool)
    core[20:80, 20:40] = mask[20:80, 20:40] = True
    mask[40:44, 42:60] = mask[10:20, 80:90] = True
    kept = attached(mask, core) & mask
    assert kept[40:44, 42:60].all() and not kept[10:20, 80:90].any()
    assert attached(mask, np.zeros_like(core)).all()


def test_colours_are_known_of_masks_that_are_never_sure_and_all_alike_without_any():
    frames = np.full((2, 40, 60, 3), 200, np.uint8)
    frames[:, 10:30, 20:30] = (20, 60, 120)
    priors = np.zeros((2, 2, 40, 60), np.uint8)
    priors[:, 0, 10:30, 20:30] = 204  # frames before layers
    scene, mine, nobodys = colour_histograms(frames, priors)
    dark, bright = coded_colours(frames[0])[[20, 0], [25, 0]]
    assert mine[dark] > 500 and mine[bright] == 0 and scene[bright] > 500 and scene[dark] == 0
    assert (nobodys == 1).all()


def test_edges_are_as_soft_as_the_frames_show_them_also_where_they_are_steady_in_time(clip):
    frames, mattes = clip
    hard = each(lambda mask: mask)(mattes)
    found = refined_mattes(frames, hard, Canvas.of(None, (WIDTH, HEIGHT)), edge_error=1 / 1000)
    edge = (mattes > 25) & (mattes < 230) & (mattes.sum(axis=0) == mattes)  # of one person alone
    error, before = (np.abs(one.astype(float) - mattes)[edge].mean() for one in (found, hard))
    assert error < before / 4
    change, before = (np.abs(np.diff(one.astype(float) - mattes, axis=1)).mean() for one in (found, hard))
    assert change < before / 2
