"""Options of video-to-video synthesis as the published command lines give them, and comparisons with golden values."""

import shlex

import torch

from models.vid2vid_options import add_options
from options.test_options import TestOptions
from options.train_options import TrainOptions
from util.command_line import OneLineParser


def parsed(arguments, is_train=True):
    """Options of a published command line, on the CPU; those that only data need are left out."""
    parser = OneLineParser()
    (TrainOptions if is_train else TestOptions)().add_options(parser)
    add_options(parser, is_train)
    words = ["--model", "vid2vid", *(shlex.split(arguments) if isinstance(arguments, str) else arguments)]
    opt = parser.parse_known_args(words)[0]
    opt.gpu_ids, opt.is_train, opt.dataset_mode = [], is_train, opt.dataset_mode or "temporal"
    return opt


def difference(found, expected):
    """The largest difference over one plus the largest value, as the golden folder's tolerances count."""
    found, expected = torch.as_tensor(found).detach().double(), torch.as_tensor(expected).double()
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / (1 + expected.abs().max()))
