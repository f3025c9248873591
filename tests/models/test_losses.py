"""Losses and their schedule."""

from argparse import Namespace

import pytest
import torch

from models.lnr_losses import alpha_regularization, mask_loss, prior_loss, reconstruction_loss
from models.lnr_model import loss_weights
from models.lnr_prior import Copies, fill_hidden


@pytest.fixture
def figures(golden):
    return torch.load(golden / "losses.pt", weights_only=True)


@pytest.mark.parametrize("l1, l0, name", [
    (0.01, 0.005, "alpha_reg_l1_0.01_l0_0.005"), (0, 0.005, "alpha_reg_l1_0_l0_0.005")])
def test_alpha_regularization_is_the_published_one(figures, l1, l0, name):
    torch.testing.assert_close(alpha_regularization(figures["alpha"], l1, l0), figures[name], atol=1e-7, rtol=1e-5)


def test_mask_loss_is_the_published_one(figures):
    torch.testing.assert_close(mask_loss(figures["pred"], figures["trimap"]), figures["mask_loss"])


def test_reconstruction_is_measured_by_its_colours_alone():
    reconstruction, target = torch.zeros(1, 4, 2, 3), torch.zeros(1, 3, 2, 3)
    reconstruction[:, 3], target[:, 0], target[0, 2, 1, 2] = 1, 0.5, -0.6
    assert float(reconstruction_loss(reconstruction, target)) == pytest.approx((6 * 0.5 + 0.6) / 18)


def test_unknown_pixels_do_not_count_in_the_mask_loss():
    trimap = torch.tensor([[[[1.0, 0.0, -1.0]]]])
    losses = [mask_loss(torch.tensor([[[[1.0, unknown, -1.0]]]]), trimap) for unknown in (-1.0, 0.3, 1.0)]
    assert losses == [0, 0, 0]


def test_a_large_background_does_not_outweigh_a_small_person_in_the_mask_loss():
    trimap = -torch.ones(1, 1, 100, 100)
    trimap[..., :10, :10] = 1
    missed_person, missed_background = -torch.ones_like(trimap), torch.ones_like(trimap)
    assert mask_loss(missed_person, trimap) == pytest.approx(float(mask_loss(missed_background, trimap)), rel=0.02)


def test_in_the_prior_loss_people_films_and_nothing_count_alike():
    prior = torch.zeros(1, 1, 100, 100)
    prior[..., :10, :10], prior[..., 20:22, :5] = 1, 0.3
    view = torch.ones_like(prior)
    losses = []
    for where in (prior == 1, prior == 0.3, prior == 0):
        losses.append(float(prior_loss(torch.where(where, prior + 0.1, prior), prior, view)))
    assert losses == pytest.approx([0.1 / 3] * 3, rel=0.15)


def test_the_prior_loss_allows_everything_behind_others():
    prior, view = torch.rand(2, 3, 8, 8), (torch.rand(2, 3, 8, 8) > 0.5).float()
    alpha = torch.where(view > 0, prior, torch.rand(2, 3, 8, 8))
    assert prior_loss(alpha, prior, view) == 0


def test_layers_are_completed_only_where_others_hide_them():
    prior, learned = torch.rand(2, 1, 3, 4, 6, 6) * 2 - 1
    prior[:, 2, 3] = torch.where(torch.rand(6, 6) > 0.5, 1.0, -1.0)
    body = torch.zeros(1, 3, 6, 6)
    body[:, 1, :, :3] = 1
    layers = fill_hidden(prior, learned, body, shows_hidden=False)
    hidden = prior[:, 2, 3] == 1
    assert (layers[:, [0, 2]] == prior[:, [0, 2]]).all()
    assert torch.where(hidden[:, None], 0, layers[:, 1, :3] - prior[:, 1, :3]).abs().max() < 1e-6
    assert (layers[:, 1, 3] == torch.where(hidden & (body[:, 1] > 0), learned[:, 1, 3], prior[:, 1, 3])).all()
    assert (fill_hidden(prior, learned, body, shows_hidden=True)[:, :, 3] == prior[:, :, 3]).all()


@pytest.mark.parametrize("learned_error", [0.0, 0.5])
def test_behind_others_what_was_seen_elsewhere_counts_alone(learned_error):
    true = torch.rand(1, 3, 3, 32, 32) - 0.5
    prior = torch.cat((true, torch.ones(1, 3, 1, 32, 32)), dim=2)
    prior[:, 2, 3] = -1
    prior[:, 2, 3, :, 16:] = 1
    learned, hidden = prior.clone(), prior.clone()
    learned[:, :, :3] += learned_error * (torch.rand(true.shape) - 0.5)
    learned[:, 1, 3] = -1
    hidden[:, 1, 3] = 1
    copies = Copies(hidden, torch.ones(1, 2, 1, 32, 32), torch.zeros_like(prior))
    layers = fill_hidden(prior, learned, torch.ones(1, 3, 32, 32), shows_hidden=False, copies=copies)
    assert (layers[:, 1] - prior[:, 1])[..., 16:].abs().max() < 1e-6


@pytest.mark.parametrize("knows", [True, False])
def test_what_no_frame_shows_is_learned_by_who_knows_hidden_parts_better_than_their_surroundings(knows):
    """Upper half: other frames show it. Lower half: none does; the layers' colours there are a smooth guess."""
    true = torch.rand(1, 3, 3, 32, 32) - 0.5
    prior = torch.cat((true, torch.ones(1, 3, 1, 32, 32)), dim=2)
    prior[:, 2, 3] = -1
    prior[:, 2, 3, :, 16:] = 1
    without, learned, hidden = prior.clone(), prior.clone(), prior.clone()
    without[:, 1, :3, :, 16:] = 0.0
    prior[:, 1, :3, 16:, 16:] = 0.0
    hidden[:, 1, 3], hidden[:, 1, 3, 16:] = 1, -1
    if not knows:
        learned[:, 1, :3, :, 16:] = torch.rand(1, 3, 32, 16) - 0.5
    found = (hidden[:, 1:, 3:] + 1) / 2
    layers = fill_hidden(prior, learned, torch.ones(1, 3, 32, 32), True, Copies(hidden, found, without))
    expected = true[:, 1] if knows else prior[:, 1, :3]
    assert (layers[:, 1, :3] - expected)[..., 16:, 18:].abs().max() < 1e-5


def test_by_how_much_learned_colours_miss_what_is_seen_is_continued_behind_others():
    prior, learned = torch.rand(2, 1, 3, 4, 16, 16) - 0.5
    learned[:, 1, :3] = prior[:, 1, :3] - 0.25
    prior[:, 1:, 3], prior[:, 2, 3] = 1, -1
    prior[:, 2, 3, :, 8:] = 1
    layers = fill_hidden(prior, learned, torch.ones(1, 3, 16, 16), shows_hidden=True)
    assert torch.allclose(layers[:, 1, :3], learned[:, 1, :3] + 0.25, atol=1e-5)
    learned[:, 1, :3] = 0.9  # never leaves its range
    assert fill_hidden(prior, learned, torch.ones(1, 3, 16, 16), shows_hidden=True)[:, :, :3].abs().max() <= 1


def test_losses_have_the_gradients_that_their_values_say():
    """In float64, away from where absolute values have a kink."""
    alpha = (0.05 + 0.9 * torch.rand(1, 2, 4, 5, dtype=torch.float64)).requires_grad_()
    near = alpha.detach() + torch.where(torch.rand_like(alpha) > 0.5, 0.04, -0.04)
    trimap, view = torch.randint(-1, 2, alpha.shape).double(), torch.rand_like(near)
    assert torch.autograd.gradcheck(lambda x: alpha_regularization(x, 0.01, 0.005), alpha)
    assert torch.autograd.gradcheck(lambda x: mask_loss(x, trimap), alpha)
    assert torch.autograd.gradcheck(lambda x: prior_loss(x, near, view), alpha)
    assert torch.autograd.gradcheck(lambda x: reconstruction_loss(x, near), alpha)


OPTIONS = Namespace(lambda_alpha_l1=0.01, lambda_alpha_l0=0.005, alpha_l1_rolloff_epoch=200, lambda_mask=50)


@pytest.mark.parametrize("epoch, rolloff, alpha_l1, mask", [
    (1, -1, 0.01, 50), (199, -1, 0.01, 50), (200, -1, 0, 50), (2000, -1, 0, 50),
    (29, 30, 0.01, 50), (30, 30, 0.01, 5), (59, 30, 0.01, 5), (60, 30, 0.01, 0), (500, 30, 0, 0),
])
def test_the_mask_loss_falls_to_a_tenth_and_then_to_nothing(epoch, rolloff, alpha_l1, mask):
    assert loss_weights(OPTIONS, epoch, rolloff) == {"alpha_l1": alpha_l1, "alpha_l0": 0.005, "mask": mask}


@pytest.mark.parametrize("expected_alpha, is_film", [(0.025, False), (0.035, True), (0.25, True), (0.89, True),
                                                     (0.91, False)])
def test_the_prior_loss_knows_films_by_what_is_expected_of_them(expected_alpha, is_film):
    """99 pixels of a film, a class of its own, weigh a third; among 9900 of nothing, or of people, next to nothing."""
    prior = torch.zeros(1, 1, 100, 100)
    prior[..., :50, :], prior[..., 0, :99] = 1, expected_alpha
    wrong = torch.where(prior == expected_alpha, prior + 0.1, prior)
    loss = float(prior_loss(wrong, prior, torch.ones_like(prior)))
    assert loss == pytest.approx(0.1 * 99 / 100 / 3 if is_film else 0.1 * 99 / 5000 / 3, rel=0.03)
