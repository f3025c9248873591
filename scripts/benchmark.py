"""The command `python scripts/benchmark.py`; the program is scripts/lab/benchmark.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts.lab.benchmark import main  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402

if __name__ == "__main__":
    with reported_in_one_line():
        main()
