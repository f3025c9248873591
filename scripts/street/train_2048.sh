#!/usr/bin/env bash
# Streets of 2048 x 1024 pixels, from what train_1024.sh learned; needs GPUs of 24 GB.
#   bash scripts/street/train_2048.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_2048 --label_nc 35 --use_instance --fg --loadSize 2048 \
    --n_scales_spatial 3 --num_D 4 --gpu_ids 0,1,2,3,4,5,6,7 --n_gpus_gen 4 --n_frames_total 4 --niter_step 1 \
    --niter 5 --niter_decay 5 --niter_fix_global 5 --lr 0.00005 --load_pretrain checkpoints/label2city_1024 "$@"
