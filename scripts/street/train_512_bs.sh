#!/usr/bin/env bash
# Streets of 512 x 256 pixels on eight GPUs, which share a batch of 15 sequences.
#   bash scripts/street/train_512_bs.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_512_bs --label_nc 35 --use_instance --fg --loadSize 512 \
    --gpu_ids 0,1,2,3,4,5,6,7 --n_gpus_gen -1 --n_frames_total 6 --batchSize 15 "$@"
