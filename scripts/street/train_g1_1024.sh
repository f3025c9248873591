#!/usr/bin/env bash
# Streets of 896 x 448 pixels on one GPU, from what train_g1_512.sh learned.
#   bash scripts/street/train_g1_1024.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_1024_g1 --label_nc 35 --use_instance --fg --loadSize 896 \
    --n_scales_spatial 3 --num_D 3 --n_downsample_G 2 --n_frames_D 2 --n_frames_total 4 --niter_step 2 \
    --niter_fix_global 8 --niter_decay 5 --lr 0.0001 --load_pretrain checkpoints/label2city_512_g1 "$@"
