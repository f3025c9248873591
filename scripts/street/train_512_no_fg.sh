#!/usr/bin/env bash
# Streets of 512 x 256 pixels whose cars are made together with all else.
#   bash scripts/street/train_512_no_fg.sh [more options of train.py, which win over those here]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$ROOT"
"$PYTHON" train.py --model vid2vid --name label2city_512_no_fg --label_nc 35 --use_instance --loadSize 512 \
    --gpu_ids 0,1,2,3,4,5,6,7 --n_gpus_gen 6 --n_frames_total 6 --max_frames_per_gpu 2 "$@"
