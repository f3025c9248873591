"""Fetch the published example data of vid2vid into datasets/.

    python scripts/download_datasets.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.vid2vid_downloads import fetch_archive
from util.errors import reported_in_one_line

if __name__ == "__main__":
    with reported_in_one_line():
        fetch_archive("data")
