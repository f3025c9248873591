#!/usr/bin/env bash
# A talking face of 512 pixels, by what train_g1_512.sh learned.
#   bash scripts/face/test_g1_512.sh [more options of test.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" test.py --model vid2vid --name edge2face_512_g1 --dataroot datasets/face/ --dataset_mode face \
    --input_nc 15 --loadSize 512 --n_scales_spatial 2 --ngf 64 --use_single_G "$@"
