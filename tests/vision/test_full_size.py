"""Layers at full size from small ones, on pictures whose mattes are known."""

import cv2
import numpy as np
import pytest
import torch

from vision.layers.full_size import (
    Enlarger,
    Part,
    SmallFrame,
    enlarged,
    explaining,
    full_layers,
    motion_of,
    pixels_of,
    shrunk,
    unshaded,
    with_detail,
)
from vision.layers.mattes import composite_over, share_detail

FULL, SMALL = (331, 187), (80, 48)  # an odd size, and no whole multiple
CLOTHES = np.array([0.75, 0.2, 0.15], np.float32)


@pytest.fixture(scope="module")
def scene():
    """A wall with texture as fine as pixels: float32 [187, 331, 3]."""
    rng = np.random.default_rng(1)
    coarse = cv2.GaussianBlur(rng.uniform(0, 1, (*FULL[::-1], 3)).astype(np.float32), (0, 0), 6)
    return (0.5 + 2 * (coarse - 0.5) + 0.1 * rng.uniform(-1, 1, coarse.shape)).clip(0.1, 0.9).astype(np.float32)


def figure(x=150, y=90, grown=0):
    """A matte with thin arms, soft as a camera sees it: float32 [187, 331]."""
    drawn = np.zeros((4 * FULL[1], 4 * FULL[0]), np.uint8)
    cv2.ellipse(drawn, (4 * x, 4 * y), (4 * (18 + grown), 4 * (40 + grown)), 0, 0, 360, 255, -1)
    for side in (-1, 1):
        cv2.line(drawn, (4 * x, 4 * y - 60), (4 * x + side * 180, 4 * y - 160), 255, 4 * (7 + 2 * grown))
    return shrunk(drawn, FULL).astype(np.float32) / 255


def filmed(scene, matte, shadow=None, noise=0.008):
    """A frame of somebody, and the small layers of it; his matte there is of `seen`, which may be wrong."""
    rng = np.random.default_rng(2)
    behind = scene if shadow is None else scene * (1 - shadow[..., None])
    colour = CLOTHES * (1 + 0.1 * rng.normal(size=(*matte.shape, 1)))
    picture = behind + matte[..., None] * (colour - behind) + rng.normal(0, noise, scene.shape)
    return picture.clip(0, 1).astype(np.float32)


def small_frame(scene, matte, shadow=None):
    alpha = shrunk(matte, SMALL)
    shade = np.zeros_like(alpha) if shadow is None else shrunk(shadow, SMALL)
    whole = 1 - (1 - alpha) * (1 - shade)
    colour = CLOTHES * (alpha / np.maximum(whole, 1e-6))[..., None]
    return SmallFrame(shrunk(scene, SMALL), np.dstack([colour, whole])[None], alpha[None])


def on_frame(part, values):
    result = np.zeros((*FULL[::-1], *values.shape[2:]), np.float32)
    result[part.window] = values
    return result


def test_a_picture_with_detail_is_the_small_one_when_it_is_shrunk_again(scene):
    darker = 0.5 * cv2.GaussianBlur(scene, (0, 0), 12)
    made = with_detail(shrunk(darker, SMALL), scene)
    assert np.abs(shrunk(made, SMALL) - shrunk(darker, SMALL)).max() < 0.03
    fine = scene - cv2.GaussianBlur(scene, (0, 0), 2)
    assert np.corrcoef((made - cv2.GaussianBlur(made, (0, 0), 2)).ravel(), fine.ravel())[0, 1] > 0.98


def test_a_part_of_an_enlarged_picture_is_that_part_of_it(scene):
    small, enlarger = shrunk(scene, SMALL), Enlarger(SMALL, FULL)
    for window in ((slice(0, 187), slice(0, 331)), (slice(31, 90), slice(200, 331))):
        assert np.abs(enlarger.part(small, window) - enlarged(small, FULL)[window]).max() < 0.02
    where = np.zeros(SMALL[::-1], bool)
    assert enlarger.around(where) == (slice(0, 0), slice(0, 0))
    where[20, 40] = True
    rows, columns = enlarger.around(where)
    assert rows.start < 20 * 187 / 48 < rows.stop and columns.start < 40 * 331 / 80 < columns.stop
    assert rows.stop - rows.start < 26 and columns.stop - columns.start < 26


@pytest.mark.parametrize("grown, share", [(0, 0.5), (2, 0.2), (-2, 0.35)])
def test_edges_are_those_of_the_full_size_frame_also_where_the_small_matte_is_wrong(scene, grown, share):
    true = figure()
    picture, small = filmed(scene, true), small_frame(scene, figure(grown=grown))
    part, = full_layers(picture, scene, small)
    error = np.abs(on_frame(part, part.alpha) - true).sum()
    assert error < share * np.abs(enlarged(small.layers[0, ..., 3], FULL) - true).sum()


def test_masks_of_full_size_are_kept(scene):
    true = figure()
    picture, small = filmed(scene, true), small_frame(scene, true)
    without, = full_layers(picture, scene, small)
    given, = full_layers(picture, scene, small, [true])
    errors = [np.abs(on_frame(part, part.alpha) - true).sum() for part in (without, given)]
    assert errors[1] < 0.6 * errors[0]


def test_the_layers_explain_the_frame_and_the_shadow_stays_soft(scene):
    true = figure()
    shadow = 0.5 * cv2.GaussianBlur(figure(200, 110), (0, 0), 4)
    picture, small = filmed(scene, true, shadow), small_frame(scene, true, shadow)
    part, = full_layers(picture, scene, small)
    whole = 1 - (1 - true) * (1 - shadow)
    assert np.abs(on_frame(part, part.alpha) - whole).mean() < 0.25 * np.abs(
        enlarged(small.layers[0, ..., 3], FULL) - whole).mean() + 0.002
    alpha, colour = on_frame(part, part.alpha)[..., None], on_frame(part, part.colour)
    assert np.abs(scene + alpha * (colour - scene) - picture)[whole > 0.05].mean() < 0.004
    assert colour[(whole < 0.5) & (whole > 0.3)].mean() < 0.1


def test_of_two_people_each_has_his_own_edge_and_what_is_hidden_is_kept(scene):
    front, back = figure(), figure(170, 96)
    blue = np.array([0.1, 0.2, 0.8], np.float32)
    rng = np.random.default_rng(3)
    picture = scene + back[..., None] * (blue - scene)
    picture = (picture + front[..., None] * (CLOTHES - picture) + rng.normal(0, 0.008, scene.shape)).clip(0, 1)
    layers = np.stack([np.dstack([np.broadcast_to(colour, (*SMALL[::-1], 3)), shrunk(matte, SMALL)])
                       for colour, matte in ((blue, back), (CLOTHES, front))])
    small = SmallFrame(shrunk(scene, SMALL), layers, layers[..., 3].copy())
    parts = full_layers(picture.astype(np.float32), scene, small)
    for part, true in zip(parts, (back, front)):
        assert np.abs(on_frame(part, part.alpha) - true).sum() < 0.5 * np.abs(
            enlarged(shrunk(true, SMALL), FULL) - true).sum()
    hidden = (front > 0.99) & (back > 0.99)
    assert np.abs(on_frame(parts[0], parts[0].colour)[hidden] - blue).max() < 0.05


def test_nobody_is_an_empty_layer(scene):
    nothing = np.zeros((1, *SMALL[::-1], 4), np.float32)
    part, = full_layers(scene, scene, SmallFrame(shrunk(scene, SMALL), nothing, nothing[..., 3].copy()))
    assert not pixels_of(part, FULL).any() and pixels_of(part, FULL).shape == (187, 331, 4)


def test_colours_change_as_detail_transfer_changes_them(scene):
    rng = np.random.default_rng(4)
    layers = rng.uniform(0, 1, (3, 24, 32, 4)).astype(np.float32)
    layers[0, ..., 3] = 1
    picture = rng.uniform(0, 1, (24, 32, 3)).astype(np.float32)
    window = (slice(0, 24), slice(0, 32))
    parts = explaining(picture, layers[0, ..., :3], [Part(window, one[..., 3], one[..., :3]) for one in layers[1:]])
    tensors = torch.from_numpy(2 * layers.transpose(0, 3, 1, 2) - 1)[None]
    expected = share_detail(tensors, torch.from_numpy(2 * picture.transpose(2, 0, 1) - 1)[None], rounds=3)
    for part, one in zip(parts, expected[0, 1:]):
        assert np.abs(2 * part.colour.transpose(2, 0, 1) - 1 - one[:3].numpy()).max() < 1e-4
    assert composite_over(expected).shape == (1, 4, 24, 32)


def test_a_shadow_is_taken_off_and_a_person_is_left_out(scene):
    true, shadow = figure(), 0.4 * cv2.GaussianBlur(figure(220, 110), (0, 0), 5)
    small = small_frame(scene, true, shadow)
    shown, weight = unshaded(filmed(scene, true, shadow, noise=0), small)
    assert weight.shape == FULL[::-1] and weight[true > 0.05].max() == 0
    shaded = (weight > 0.3) & (shadow > 0.2)
    assert shaded.sum() > 500 and np.abs(shown - scene)[shaded].mean() < 0.02
    assert np.abs(shown - scene)[shadow < 0.001][weight[shadow < 0.001] > 0.9].max() < 0.02


def test_shake_and_flicker_are_found_and_undone(scene):
    matte, smooth = figure(), cv2.GaussianBlur(scene, (0, 0), 1.5)
    shaken = 1.05 * cv2.warpAffine(smooth, np.array([[1, 0, 2.0], [0, 1, -1.5]]), FULL, borderMode=cv2.BORDER_REFLECT,
                                   flags=cv2.INTER_CUBIC)
    small = small_frame(smooth, matte)
    motion = motion_of(filmed(shaken, matte), small)
    assert not motion.is_none and motion.gain == pytest.approx(1.05, abs=0.01)
    inner = (slice(12, -12), slice(12, -12))
    away = np.abs(shaken - smooth)[inner].mean()
    assert np.abs(motion.shown(smooth) - shaken)[inner].mean() < 0.3 * away
    assert np.abs(motion.at_rest(shaken) / motion.gain - smooth)[inner].mean() < 0.3 * away
    assert motion_of(filmed(smooth, matte, noise=0), small).is_none
