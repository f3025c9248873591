#!/usr/bin/env bash
# Dancers 256 pixels high on one GPU.
#   bash scripts/pose/train_g1_256p.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name pose2body_256p_g1 --dataroot datasets/pose --dataset_mode pose \
    --input_nc 6 --no_first_img --resize_or_crop randomScaleHeight_and_scaledCrop --n_frames_total 12 \
    --max_t_step 4 --niter 5 --niter_decay 5 --loadSize 384 --fineSize 256 --ngf 64 --num_D 2 \
    --max_frames_per_gpu 4 "$@"
