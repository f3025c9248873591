#!/usr/bin/env bash
# A dance 1024 pixels high, by what train_g1_1024p.sh learned.
#   bash scripts/pose/test_g1_1024p.sh [more options of test.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" test.py --model vid2vid --name pose2body_1024p_g1 --dataroot datasets/pose --dataset_mode pose \
    --input_nc 6 --no_first_img --resize_or_crop scaleHeight --loadSize 1024 --n_scales_spatial 3 --ngf 64 "$@"
