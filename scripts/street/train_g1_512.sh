#!/usr/bin/env bash
# Streets of 512 x 256 pixels on one GPU, from what train_g1_256.sh learned.
#   bash scripts/street/train_g1_512.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_512_g1 --label_nc 35 --use_instance --fg --loadSize 512 \
    --n_scales_spatial 2 --n_downsample_G 2 --max_frames_per_gpu 2 --n_frames_total 4 --niter_step 2 \
    --niter_fix_global 8 --niter_decay 5 --load_pretrain checkpoints/label2city_256_g1 "$@"
