#!/usr/bin/env bash
# Dancers 1024 pixels high on eight GPUs, four of which generate, from what train_512p.sh learned.
#   bash scripts/pose/train_1024p.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name pose2body_1024p --dataroot datasets/pose --dataset_mode pose \
    --input_nc 6 --no_first_img --resize_or_crop randomScaleHeight_and_scaledCrop --n_frames_total 12 \
    --max_t_step 4 --niter 5 --niter_decay 5 --loadSize 1536 --fineSize 1024 --n_scales_spatial 3 --num_D 4 \
    --gpu_ids 0,1,2,3,4,5,6,7 --n_gpus_gen 4 --add_face_disc --niter_fix_global 3 --lr 0.00005 \
    --load_pretrain checkpoints/pose2body_512p "$@"
