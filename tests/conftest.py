"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest
import torch

import data
import models

hypothesis.settings.register_profile("any_machine", deadline=None)  # a busy one is slow, not wrong
hypothesis.settings.load_profile("any_machine")

GOLDEN = Path(os.environ.get("LNR_GOLDEN", Path(__file__).parent / "golden"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Tests have the same names in every process: bytes, such as archives with the time in them, do not name them."""
    return argname if isinstance(val, bytes) else None  # by pytest 8 they would


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of figures that the published program computed; LNR_GOLDEN may name another of the same form."""
    return GOLDEN


@pytest.fixture(scope="session")
def vid2vid_golden() -> Path:
    """What the published vid2vid program computed; VID2VID_GOLDEN may name another folder of the same form."""
    return Path(os.environ.get("VID2VID_GOLDEN", Path(__file__).parent / "golden_vid2vid"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small networks are faster on one thread, and sums come out the same on every machine; in programs started too."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Programs that a shell starts in the background ignore Ctrl-C, and so would all that tests start and interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def toys(monkeypatch) -> None:
    """The toy models and datasets are found as if their files lay in models/ and data/."""
    for room in (models, data):
        monkeypatch.setattr(room, "__path__", [*room.__path__, str(Path(__file__).parent / "toy")])
