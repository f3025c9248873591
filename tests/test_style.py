"""The whole project keeps to the rules of pyproject.toml: ruff's for its style, mypy's for its types."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.mark.parametrize("checker", (("ruff", "check", "--no-cache"), ("mypy",)), ids=lambda checker: checker[0])
def test_a_checker_finds_nothing(checker):
    result = subprocess.run([sys.executable, "-m", *checker], cwd=PROJECT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
