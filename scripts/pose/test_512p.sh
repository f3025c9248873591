#!/usr/bin/env bash
# A dance 512 pixels high, by what train_512p.sh learned.
#   bash scripts/pose/test_512p.sh [more options of test.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" test.py --model vid2vid --name pose2body_512p --dataroot datasets/pose --dataset_mode pose \
    --input_nc 6 --no_first_img --resize_or_crop scaleHeight --loadSize 512 --n_scales_spatial 2 "$@"
