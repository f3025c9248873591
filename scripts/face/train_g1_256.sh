#!/usr/bin/env bash
# Faces of 256 pixels on one GPU.
#   bash scripts/face/train_g1_256.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name edge2face_256_g1 --dataroot datasets/face/ --dataset_mode face \
    --input_nc 15 --loadSize 256 --ngf 64 --max_frames_per_gpu 6 --n_frames_total 12 --niter 20 --niter_decay 20 \
    "$@"
