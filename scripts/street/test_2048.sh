#!/usr/bin/env bash
# A video of 2048 x 1024 pixels from label maps; the weights: python scripts/street/download_models.py
#   bash scripts/street/test_2048.sh [more options of test.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" test.py --model vid2vid --name label2city_2048 --label_nc 35 --use_instance --fg --loadSize 2048 \
    --n_scales_spatial 3 --use_single_G "$@"
