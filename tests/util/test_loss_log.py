"""The log of losses: what is read is in order, whatever was written."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from util.loss_log import LossLog, curves, read_history

places = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), min_size=1, max_size=30)


@settings(deadline=None)
@given(places)
def test_the_history_is_ordered_and_ends_with_the_newest_record(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("log")
    log = LossLog(folder, keep=True)
    for epoch, step in records:
        log.append(epoch, step, "training", 0.1, {"recon": float(step)})
    found = [(record["epoch"], record["step"]) for record in log.history]
    assert found == sorted(set(found)) and found[-1] == records[-1]
    assert read_history(folder) == log.history
    epochs, losses = curves(log.history)
    assert np.all(np.diff(epochs) > 0)
    assert [int(epoch) for epoch in epochs] == [epoch for epoch, _ in found]
    assert losses["recon"].tolist() == [step for _, step in found]
