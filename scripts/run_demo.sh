#!/usr/bin/env bash
# The whole way on a clip that the program makes itself: about ten minutes on two CPU cores.
#   bash scripts/run_demo.sh [options of train.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"

if [ ! -d datasets/sample ]; then
    "$PYTHON" datasets/make_sample.py --dataroot datasets/sample --frames 30 --width 256 --height 160
fi
bash datasets/prepare_iuv.sh datasets/sample

# A small network and a schedule a tenth as long as the published one, which is made for hours on GPUs.
"$PYTHON" train.py --name demo --dataroot datasets/sample \
    --num_filters 16 --batch_size 5 --batch_size_upsample 5 --n_epochs 150 --n_epochs_upsample 20 --lr 0.002 \
    --trimap_width 12 --alpha_l1_rolloff_epoch 60 --jitter_epochs 30 --num_threads 0 --update_html_freq 10 "$@"
"$PYTHON" test.py --name demo --do_upsampling

echo
echo "The training:  $PWD/checkpoints/demo/web/index.html"
echo "The layers:    $PWD/results/demo/test_latest/index.html"
echo "Open both in a browser. Then try your own video: README.md, \"Your own video\"."
