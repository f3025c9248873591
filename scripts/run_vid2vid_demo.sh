#!/usr/bin/env bash
# Video-to-video synthesis on data that the program makes itself: on a CPU core a face that talks takes five minutes, a
# street and a dancer, who dances somebody else's dance, some ten; and a few minutes to install.
#   bash scripts/run_vid2vid_demo.sh [dancer|street|face] [options of train.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"

KIND=dancer
case "${1:-}" in dancer|street|face) KIND=$1; shift ;; esac
NAME=vid2vid_$KIND DATA=datasets/vid2vid_$KIND OTHERS=other
case $KIND in
    dancer) HEIGHT=160 SEQUENCES=3 EPOCHS=5
            MAPS="--dataset_mode pose --input_nc 6 --resize_or_crop scaleHeight --no_first_img" ;;
    face)   HEIGHT=128 SEQUENCES=3 EPOCHS=200
            MAPS="--dataset_mode face --input_nc 15 --no_first_img" ;;
    street) HEIGHT=64 SEQUENCES=24 EPOCHS=80  # of few streets colours would be learned by heart
            MAPS="--label_nc 35 --use_instance --load_size 128" OTHERS= ;;
esac
if [ ! -d "$DATA" ]; then
    "$PYTHON" datasets/make_vid2vid_sample.py $KIND --dataroot "$DATA" --height $HEIGHT --sequences $SEQUENCES
fi

# Small frames, a small network and a short schedule: the published ones are made for days on GPUs. As dancers' --preset
# fast, a generator that learns sooner, and pixels' differences alone. Nothing is downloaded: OpenCV teaches the flow.
"$PYTHON" train.py --model vid2vid --name $NAME --overwrite --dataroot "$DATA" --load_size $HEIGHT $MAPS \
    --ngf 16 --ndf 16 --n_blocks 6 --no_vgg --flow_net dis --n_frames_total 6 --niter_step 1000 \
    --n_scales_temporal 1 --random_drop_prob 0 --lambda_L1 100 --netG unet --no_flow --num_D 0 --amp bf16 \
    --lr 0.001 --lr_policy cosine --niter $EPOCHS --niter_decay 0 \
    --save_latest_freq ${EPOCHS}epochs --display_id 0 --num_threads 0 "$@"
for phase in test $OTHERS; do
    "$PYTHON" test.py --name $NAME --phase $phase --use_real_img
done
"$PYTHON" scripts/lab/vid2vid_report.py --name $NAME --shown $OTHERS

echo
echo "The training:  $PWD/checkpoints/$NAME/web/index.html"
echo "What it makes: $PWD/results/$NAME/report/index.html"
echo "Open them in a browser. Then try a video of your own: docs/vid2vid/README.md."
