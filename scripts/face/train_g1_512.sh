#!/usr/bin/env bash
# Faces of 512 pixels on one GPU, from what train_g1_256.sh learned.
#   bash scripts/face/train_g1_512.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name edge2face_512_g1 --dataroot datasets/face/ --dataset_mode face \
    --input_nc 15 --loadSize 512 --n_scales_spatial 2 --num_D 3 --ngf 64 --n_frames_total 6 --niter_step 2 \
    --niter_fix_global 5 --load_pretrain checkpoints/edge2face_256_g1 "$@"
