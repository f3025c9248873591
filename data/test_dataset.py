"""--dataset_mode test, which published test commands name: the windows that `temporal` has at test."""

from data.temporal_dataset import TemporalDataset


class WindowDataset(TemporalDataset):
    """As `TemporalDataset`, which is the same in training and at test."""
