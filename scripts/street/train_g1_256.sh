#!/usr/bin/env bash
# Streets of 256 x 128 pixels on one GPU.
#   bash scripts/street/train_g1_256.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_256_g1 --label_nc 35 --use_instance --fg --loadSize 256 \
    --n_downsample_G 2 --num_D 1 --max_frames_per_gpu 6 --n_frames_total 6 "$@"
