#!/usr/bin/env bash
# Streets of 1024 x 512 pixels, from what train_512.sh learned.
#   bash scripts/street/train_1024.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_1024 --label_nc 35 --use_instance --fg --loadSize 1024 \
    --n_scales_spatial 2 --num_D 3 --gpu_ids 0,1,2,3,4,5,6,7 --n_gpus_gen 4 --n_frames_total 4 --niter_step 2 \
    --niter_fix_global 10 --lr 0.0001 --load_pretrain checkpoints/label2city_512 "$@"
