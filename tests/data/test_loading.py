"""Worker processes and the shared memory that their batches come through."""

import torch

from data.base_dataset import BaseDataset
from data.loading import PLENTY, workers_that_fit
from data.sampler import TrainingBatches


class Frames:
    """Items of 1 MB."""

    def __len__(self):
        return 10

    def item(self, index, rng, epoch):
        return {"image": torch.zeros(250_000), "name": "0001", "more": [torch.zeros(1), {"mask": torch.zeros(1)}]}

    def collate(self, items):
        return items[0]


def test_as_many_workers_as_shared_memory_has_room_for(capsys):
    megabyte = 10**6
    for left, workers in ((64 * megabyte, 5), (12.1 * megabyte, 1)):
        assert workers_that_fit(Frames(), 4, 1, int(left)) == workers
    assert capsys.readouterr().out == ""
    assert workers_that_fit(Frames(), 32, 1, 64 * megabyte) == 0
    assert capsys.readouterr().out == ("/dev/shm has 61 MiB left and a batch takes 30: frames are read without "
                                       "processes of their own, which is slower. More of it: docker run --shm-size "
                                       "2g\n")


def test_a_batch_of_one_item_is_the_item_and_not_a_copy():
    item = {"image": torch.rand(3, 4, 5), "frame": 7, "name": "0008", "layers": ["one", "other"]}
    one, two = (BaseDataset.collate(None, [item] * count) for count in (1, 2))
    assert one["image"].data_ptr() == item["image"].data_ptr()
    assert all(torch.equal(one[name], two[name][:1]) for name in ("image", "frame"))
    assert (one["name"], one["layers"]) == (["0008"], [("one",), ("other",)])


def test_where_there_is_plenty_or_it_is_not_known_no_item_is_looked_at():
    assert workers_that_fit(None, 32, 1, None) >= 1
    assert workers_that_fit(None, 32, 1, PLENTY + 1) >= 1


def test_a_phase_says_how_many_batches_are_left_of_it():
    for skip, left in ((0, 3), (4, 2), (8, 1)):
        batches = TrainingBatches(10, 4, seed=0, shuffle=True, epochs=range(1, 4), skip=skip)
        assert len(batches) == len(list(batches)) == left + 2 * 3
        seen = [[key.index for batch in batches for key in batch if key.epoch == epoch] for epoch in (1, 2, 3)]
        assert [len(set(epoch)) for epoch in seen] == [10 - skip, 10, 10]
