#!/usr/bin/env bash
# Dancers 512 pixels high on eight GPUs, from what train_256p.sh learned.
#   bash scripts/pose/train_512p.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name pose2body_512p --dataroot datasets/pose --dataset_mode pose \
    --input_nc 6 --no_first_img --resize_or_crop randomScaleHeight_and_scaledCrop --n_frames_total 12 \
    --max_t_step 4 --niter 5 --niter_decay 5 --loadSize 768 --fineSize 512 --n_scales_spatial 2 --num_D 3 \
    --gpu_ids 0,1,2,3,4,5,6,7 --batchSize 8 --add_face_disc --niter_fix_global 3 --lr 0.0001 \
    --load_pretrain checkpoints/pose2body_256p "$@"
