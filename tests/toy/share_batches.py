"""Three steps of the toy model on batches that processes share; the second process fails at the end.

    torchrun --nproc_per_node 2 -m tests.toy.share_batches
"""

import json
from argparse import Namespace

import torch

from models.base_model import Phase
from tests.toy.toy_model import ToyModel
from util import distributed
from util.errors import UserError, reported_in_one_line


def losses(batch_statistics="synchronised"):
    """The losses of each step; batches hold six clips."""
    opt = Namespace(gpu_ids=[], amp="off", num_filters=2, critic_steps=2, lr=0.01, lr_policy="step", lr_decay_iters=1,
                    batch_statistics=batch_statistics)
    torch.manual_seed(0)
    clips = 4 * torch.rand(3, 6, 3, 3, 16, 16) - 2 + torch.arange(6).view(-1, 1, 1, 1, 1)
    model = ToyModel(opt)
    model.start_phase(Phase("training", opt, range(1, 2)))
    share = slice(distributed.rank() * 6 // distributed.count(), (distributed.rank() + 1) * 6 // distributed.count())
    found = []
    for step, batch in enumerate(clips):
        torch.manual_seed(step)
        found.append(distributed.average(model.optimize_parameters({"clip": batch[share]})))
    return [{name: float(value) for name, value in step.items()} for step in found]


if __name__ == "__main__":
    with reported_in_one_line(), distributed.joined():
        print(json.dumps([losses(), losses("per_process")]), flush=True)
        if distributed.rank() == 1:
            raise UserError("the second process has had enough")
        distributed.largest(0)
