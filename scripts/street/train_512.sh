#!/usr/bin/env bash
# Streets of 512 x 256 pixels on eight GPUs, six of which generate.
#   bash scripts/street/train_512.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_512 --label_nc 35 --use_instance --fg --loadSize 512 \
    --gpu_ids 0,1,2,3,4,5,6,7 --n_gpus_gen 6 --n_frames_total 6 --max_frames_per_gpu 2 "$@"
