"""The command `python scripts/check_reliability.py`; the program is scripts/lab/check_reliability.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts.lab.check_reliability import main  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402

if __name__ == "__main__":
    with reported_in_one_line():
        sys.exit(main())
