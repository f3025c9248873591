"""What happens when: the order of the data, and the learning rate."""

from argparse import Namespace

import pytest
import torch

from data.sampler import TrainingBatches
from models.base_model import BaseModel, Phase
from models.schedules import Progress, by_epoch
from util.errors import UserError


def batches(seed=1, shuffle=True, epochs=range(1, 4), skip=0):
    return list(TrainingBatches(10, 4, seed, shuffle, epochs, skip))


def test_every_epoch_visits_every_item_once():
    for epoch in range(3):
        visited = [key.index for batch in batches()[3 * epoch:3 * epoch + 3] for key in batch]
        assert sorted(visited) == list(range(10))


def test_epochs_have_different_orders_and_seeds_have_different_orders():
    first, second = ([key.index for batch in batches()[3 * e:3 * e + 3] for key in batch] for e in (0, 1))
    assert first != second
    assert batches(seed=1)[0] != batches(seed=2)[0]


def test_serial_batches_are_in_order():
    assert [key.index for batch in batches(shuffle=False)[:3] for key in batch] == list(range(10))


@pytest.mark.parametrize("epoch, batch", [(1, 1), (2, 0), (2, 2), (3, 1)])
def test_a_continued_run_sees_what_an_unbroken_one_would_have_seen(epoch, batch):
    rest = TrainingBatches(10, 4, 1, True, range(epoch, 4), 4 * batch)
    assert list(rest) == batches()[3 * (epoch - 1) + batch:]
    assert len(rest) == len(list(rest))


def test_a_run_that_goes_on_with_another_batch_size_still_visits_every_item_of_its_epoch_once():
    begun = [item for batch in batches()[:2] for item in batch]
    rest = TrainingBatches(10, 3, 1, True, range(1, 3), len(begun))
    assert sorted(key.index for key in begun + list(rest)[0]) == list(range(10))
    assert len(rest) == len(list(rest)) == 1 + 4


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_processes_share_the_batches_that_one_would_see(processes):
    shares = [list(TrainingBatches(10, 4, 1, True, range(1, 3), 4, rank, processes)) for rank in range(processes)]
    for i, whole in enumerate(batches(epochs=range(1, 3), skip=4)):
        parts = [share[i] for share in shares]
        assert len({len(part) for part in parts}) == 1
        together = sum(parts, [])
        assert together[:len(whole)] == whole and set(together) == set(whole)
        assert len(together) - len(whole) < processes


def factor(opt, done, length):
    """The learning rate, with that of the first epoch as one, after some epochs of a phase that begins with epoch 1."""
    return by_epoch(opt, range(1, 1 + length))(Progress(epoch=1 + done))


def options(policy, decay=0):
    return Namespace(lr_policy=policy, n_epochs_decay=decay, lr_decay_iters=5, lr=0.1)


def test_the_linear_policy_falls_towards_zero_in_the_last_epochs_only():
    factors = [factor(options("linear", decay=4), done, 10) for done in range(10)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_the_step_policy_falls_to_a_tenth_again_and_again():
    assert [factor(options("step"), done, 20) for done in (0, 4, 5, 9, 10)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01])


def test_the_cosine_policy_falls_from_one_to_nearly_zero():
    factors = [factor(options("cosine"), done, 100) for done in (0, 50, 99)]
    assert factors == pytest.approx([1, 0.5, 0], abs=1e-3)


class OneParameter(BaseModel):
    def make_optimizers(self, phase):
        return {"X": torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=phase.opt.lr)}

    def optimize_parameters(self, batch):
        return {"total": torch.tensor(1.0)}


def test_the_plateau_policy_falls_when_the_loss_does_not():
    opt = Namespace(gpu_ids=[], amp="off", **vars(options("plateau")))
    model = OneParameter(opt)
    model.start_phase(Phase("all", opt, range(1, 30)))
    for epoch in range(1, 10):
        model.set_learning_rates(Progress(epoch))
        model.end_epoch(epoch, {"total": torch.tensor(1.0)})
    assert model.optimizers["X"].param_groups[0]["lr"] == pytest.approx(0.02)


def test_the_plateau_policy_needs_a_loss_to_watch():
    opt = Namespace(gpu_ids=[], amp="off", model="gan", **vars(options("plateau")))
    model = OneParameter(opt)
    model.start_phase(Phase("all", opt, range(1, 30)))
    with pytest.raises(UserError, match="^--lr_policy: found plateau, .* `total`; --model gan has none"):
        model.end_epoch(1, {"D": torch.tensor(1.0)})


def test_the_learning_rate_depends_on_the_epoch_within_the_phase():
    opt = Namespace(gpu_ids=[], amp="off", **vars(options("linear", decay=2)))
    model = OneParameter(opt)
    model.start_phase(Phase("second", opt, range(101, 105)))
    rates = []
    for epoch in range(101, 105):
        model.set_learning_rates(Progress(epoch))
        rates.append(model.optimizers["X"].param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1, 0.1 * 2 / 3, 0.1 / 3])
