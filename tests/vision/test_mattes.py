"""Compositing, detail transfer and trimaps."""

import numpy as np
import torch
import torch.nn.functional as F

from vision.layers.mattes import (
    composite_over,
    layers_from_mattes,
    opacity,
    over_checkerboard,
    pull_push,
    share_detail,
    transfer_detail,
    transmittance_in_front,
    trimap,
    visibilities,
)


def random_layers(n_layers=3):
    return torch.rand(2, n_layers, 4, 8, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_opaque_layers_hide_what_is_behind_and_transparent_ones_nothing():
    layers = random_layers()
    layers[:, 1, 3], layers[:, 2, 3] = 1, -1
    torch.testing.assert_close(composite_over(layers)[:, :3], layers[:, 1, :3])


def test_the_back_layer_counts_as_opaque():
    layers = random_layers(1)
    torch.testing.assert_close(composite_over(layers), layers[:, 0])


def test_compositing_has_the_gradients_that_its_values_say():
    layers = (torch.rand(2, 3, 4, 2, 3, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(composite_over, layers)


def test_detail_makes_an_opaque_layer_reproduce_the_frame():
    layers = random_layers()
    layers[:, 2, 3] = 1
    frame = torch.rand(2, 3, 8, 6) * 2 - 1
    detailed = transfer_detail(layers, frame, composite_over(layers))
    torch.testing.assert_close(composite_over(detailed)[:, :3], frame)


def test_detail_goes_to_a_hidden_layer_only_as_far_as_it_is_seen():
    layers = random_layers()
    layers[:, 2, 3] = 1
    frame = torch.rand(2, 3, 8, 6) * 2 - 1
    detailed = transfer_detail(layers, frame, composite_over(layers))
    torch.testing.assert_close(detailed[:, 1], layers[:, 1])


def test_the_background_takes_no_detail_and_becomes_opaque():
    layers = random_layers()
    detailed = transfer_detail(layers, torch.ones(2, 3, 8, 6), composite_over(layers))
    torch.testing.assert_close(detailed[:, 0, :3], layers[:, 0, :3])
    assert (opacity(detailed[:, 0]) == 1).all()


def test_shared_detail_explains_the_frame_also_where_a_layer_is_faint():
    layers = random_layers()
    layers[:, 1:, 3] = layers[:, 1:, 3].clamp(-0.6, 0.2)
    layers[:, :, :3] *= 0.3
    frame = composite_over(layers)[:, :3] + 0.02 * (torch.rand(2, 3, 8, 6) - 0.5)
    shared = share_detail(layers, frame)
    torch.testing.assert_close(composite_over(shared)[:, :3], frame, atol=1e-4, rtol=0)
    torch.testing.assert_close(shared[:, 0, :3], layers[:, 0, :3])
    as_published = composite_over(transfer_detail(layers, frame, composite_over(layers)))[:, :3]
    assert (as_published - frame).abs().mean() > 1e-3


def test_what_is_seen_of_all_layers_is_one_whole():
    layers = random_layers()
    background = 1 - visibilities(layers).sum(dim=1)
    torch.testing.assert_close(background, (1 - opacity(layers[:, 1:])).prod(dim=1))
    assert (transmittance_in_front(layers)[:, -1] == 1).all()
    torch.testing.assert_close(transmittance_in_front(layers)[:, 0], 1 - opacity(layers[:, 2]))


def test_a_trimap_is_unknown_around_the_person_and_known_elsewhere():
    person = np.zeros((40, 40), bool)
    person[15:25, 15:25] = True
    found = trimap(person, 7)
    assert (found[person] == 1).all()
    assert found[20, 12] == found[20, 27] == found[12, 20] == found[27, 20] == 0
    assert found[20, 11] == found[20, 28] == found[11, 20] == found[28, 20] == -1


def test_a_trimap_of_width_0_has_no_unknown_pixel():
    person = np.random.default_rng(0).random((9, 9)) > 0.5
    assert (trimap(person, 0) == np.where(person, 1, -1)).all()


def test_a_transparent_layer_shows_the_checkerboard_and_an_opaque_one_hides_it():
    layer = random_layers()[0, 0]
    layer[3, :, :3], layer[3, :, 3:] = 1, -1
    shown = over_checkerboard(layer, cell=1)
    torch.testing.assert_close(shown[:, :, :3], layer[:3, :, :3])
    assert set(shown[:, :, 3:].unique().tolist()) == {0.2, -0.2} or shown[:, :, 3:].abs().allclose(torch.tensor(0.2))


def test_what_was_clamped_in_one_layer_goes_to_another_in_four_rounds():
    """A half-transparent layer over an opaque one, both half seen. The front one is soon white: it takes 0.1 of 0.35
    that it should; then each round leaves half of what the one behind takes alone."""
    layers = torch.zeros(1, 3, 4, 1, 1)
    layers[:, 1, 3], layers[:, 2, :3] = 1, 0.9
    target = torch.full((1, 3, 1, 1), 0.8)
    detailed = share_detail(layers, target)
    assert torch.allclose(target - composite_over(detailed)[:, :3], torch.tensor(0.125 / 8), atol=1e-6)
    assert torch.allclose(detailed[:, 2, :3], torch.tensor(1.0))


def test_colours_are_continued_from_what_is_nearest_and_not_mixed_with_what_is_far():
    """One known pixel in a block of four decides what the block looks like from afar, as in Gortler et al."""
    known = torch.zeros(1, 1, 4, 4)
    known[0, 0, ::2, 0] = known[0, 0, ::2, 3] = 1
    colours = torch.where(known > 0, torch.linspace(0, 1, 4), torch.tensor(7.0)).expand(1, 3, 4, 4)
    expected = torch.tensor([0, 0.25, 0.75, 1]).expand(1, 3, 4, 4)  # bilinear between the middles of two blocks
    torch.testing.assert_close(pull_push(colours, known), expected)
    torch.testing.assert_close(pull_push(colours, 0.1 * known)[0, 0, 1], torch.tensor([0.45, 0.475, 0.525, 0.55]))


def test_each_layer_of_known_mattes_shows_its_own_people_and_shadows_in_black():
    image, people, effects = torch.full((1, 3, 4, 8), 0.5), torch.zeros(1, 3, 4, 8), torch.zeros(1, 3, 4, 8)
    people[:, 1, :, :3], people[:, 2, :, 5:], effects[:, 2, :, 3:5] = 1, 1, 0.5
    layers = layers_from_mattes(torch.zeros(1, 3, 4, 8), image, people, effects)
    assert (layers[:, 1, :3, :, :3] == 0.5).all() and (layers[:, 2, :3, :, 5:] == 0.5).all()
    assert (layers[:, 2, :3, :, 3:5] == -1).all() and (layers[:, 0, :3] == 0).all()
    assert layers[0, :, 3, 0].tolist() == [[1] * 8, [1] * 3 + [-1] * 5, [-1] * 3 + [0] * 2 + [1] * 3]


def test_layers_of_known_mattes_do_not_depend_on_what_is_around_all_people():
    """Who stands behind somebody is filled from what is in view of him, whatever the size of the picture."""
    torch.manual_seed(0)
    image, people, effects = 2 * torch.rand(1, 3, 11, 17) - 1, torch.zeros(1, 3, 11, 17), torch.zeros(1, 3, 11, 17)
    people[:, 1, 2:9, 1:9], people[:, 2, 1:10, 6:12], effects[:, 2, 8:10, 3:15] = 0.9, 0.8, 0.5
    hidden = torch.full((1, 3, 4, 11, 17), -1.0)
    hidden[:, 1, :, 3:8, 4:8] = torch.tensor([0.1, -0.2, 0.3, 1])[:, None, None]
    whole = [layers_from_mattes(image, image, people, effects, copy) for copy in (None, hidden)]
    image, people, effects, hidden = (F.pad(one, (5, 8, 3, 2)) for one in (image, people, effects, hidden))
    for copy, expected in zip((None, hidden), whole):
        layers = layers_from_mattes(image, image, people, effects, copy)
        torch.testing.assert_close(layers[..., 3:-2, 5:-8], expected)
        assert (layers[:, 1:, :, :3] == -1).all() and (layers[:, 1:, :, :, -8:] == -1).all()
    assert (whole[0][:, 1, :3, 3:8, 6:8] != whole[1][:, 1, :3, 3:8, 6:8]).all(), "the copy counts where it is known"


def test_a_checkerboard_has_two_greys_by_turns():
    board = over_checkerboard(torch.full((4, 6, 6), -1.0), cell=2)
    assert board.shape == (3, 6, 6)
    rows = torch.arange(6)[:, None] // 2 + torch.arange(6)[None] // 2
    torch.testing.assert_close(board[0], torch.where(rows % 2 == 0, 0.2, -0.2))
