#!/usr/bin/env bash
# The whole way on a clip that the program makes itself:
#   bash scripts/run_demo.sh [options of train.py]               layers in seconds, better ones in two minutes, retimed
#   bash scripts/run_demo.sh published [options of train.py]     layers by the published method: ten minutes of training
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"

if [ ! -d datasets/sample ]; then
    "$PYTHON" datasets/make_sample.py --dataroot datasets/sample --frames 24 --width 224 --height 128
    bash datasets/prepare_iuv.sh datasets/sample
fi
if [ "${1:-}" = published ]; then
    shift
    name=demo_published
    # A small clip, a small network and a short schedule: the published one is made for hours on GPUs. The masks rule
    # while the background takes shape (or layers help to paint it), then shadows find their way into the layers.
    "$PYTHON" train.py --name $name --overwrite --dataroot datasets/sample --display_id 0 --num_threads 0 \
        --num_filters 16 --batch_size 4 --batch_size_upsample 4 --n_epochs 400 --n_epochs_upsample 12 \
        --lr 0.003 --trimap_width 10 --mask_loss_rolloff_epoch 20 --alpha_l1_rolloff_epoch 40 \
        --lambda_alpha_l0 0.001 --jitter_epochs 8 --update_html_freq 20 --save_latest_freq 20 "$@"
    "$PYTHON" test.py --name $name --do_upsampling
else
    name=demo
    # Something to look at within seconds: layers without training.
    "$PYTHON" train.py --name demo_draft --overwrite --dataroot datasets/sample --display_id 0 --preset draft
    "$PYTHON" test.py --name demo_draft
    echo "A draft:       $PWD/results/demo_draft/test_latest/index.html (open it now; training goes on)"
    "$PYTHON" train.py --name $name --overwrite --dataroot datasets/sample --display_id 0 --preset fast --budget 2m "$@"
    "$PYTHON" test.py --name $name
fi
"$PYTHON" evaluate.py --name $name --no_lpips
for edit in freeze align remove; do
    "$PYTHON" retime.py --name $name --edit docs/examples/$edit.json --out results/$name/$edit.mp4
done

echo
echo "The training:  $PWD/checkpoints/$name/web/index.html"
if [ $name = demo ]; then echo "A draft:       $PWD/results/demo_draft/test_latest/index.html"; fi
echo "The layers:    $PWD/results/$name/test_latest/index.html"
echo "How good:      $PWD/results/$name/test_latest/evaluation/index.html"
echo "Retimed:       $PWD/results/$name/freeze.mp4, align.mp4, remove.mp4"
echo "The editor:    $PYTHON retime.py --name $name --serve"
if [ $name = demo ]; then echo "As published:  bash scripts/run_demo.sh published"; fi
echo "Open them in a browser. Then try your own video: README.md, \"Your own video\"."
