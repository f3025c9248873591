#!/usr/bin/env bash
# A talking face of 512 pixels; the weights: python scripts/face/download_models.py
#   bash scripts/face/test_512.sh [more options of test.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" test.py --model vid2vid --name edge2face_512 --dataroot datasets/face/ --dataset_mode face \
    --input_nc 15 --loadSize 512 --use_single_G "$@"
