"""Run all tests; the environment is made if it is missing.

    python scripts/run_tests.py [options of pytest]
    python scripts/run_tests.py --oldest [options of pytest]     with the lowest versions that the requirements allow

The second is for releases: it makes an environment of its own, .venv-oldest.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.environment import FOR_TESTS, found_or_made, run

MOST_PROCESSES = 4  # half a GB each


def main(words):
    """Run pytest with these words."""
    oldest = "--oldest" in words
    python = found_or_made(FOR_TESTS, oldest)
    words = [word for word in words if word != "--oldest"]
    chosen = words or ["-n", min(os.cpu_count() or 1, MOST_PROCESSES), "--dist", "loadfile"]  # several files at once
    if oldest:  # old packages say less, or other things, of their types
        chosen = [*chosen, "--ignore", "tests/test_style.py"]
    run(python, "-m", "pytest", "-q", "-rs", "--timeout", "300", *chosen)


if __name__ == "__main__":
    main(sys.argv[1:])
