#!/usr/bin/env bash
# A video of 1024 x 512 pixels from label maps, by the weights that were trained on one GPU.
#   bash scripts/street/test_g1_1024.sh [more options of test.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" test.py --model vid2vid --name label2city_1024_g1 --label_nc 35 --use_instance --fg --loadSize 1024 \
    --n_scales_spatial 3 --n_downsample_G 2 --use_single_G "$@"
