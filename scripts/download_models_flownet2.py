"""Fetch the published weights of FlowNet2, for --flow_net flownet2.

    python scripts/download_models_flownet2.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.vid2vid_downloads import fetch_flownet2
from util.errors import reported_in_one_line

if __name__ == "__main__":
    with reported_in_one_line():
        fetch_flownet2()
