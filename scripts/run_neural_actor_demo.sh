#!/usr/bin/env bash
# Neural Actor on an actor that the program makes itself: about twenty minutes on two CPU cores, and a few to install.
#   bash scripts/run_neural_actor_demo.sh [options of train.py for the renderer]
# pip install libigl makes it faster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"

DATA=datasets/actor
QUIET="--display_id 0 --num_threads 0"
if [ ! -d $DATA ]; then
    "$PYTHON" datasets/make_actor_sample.py --dataroot $DATA
fi

# The renderer: a small network, with features of the texture; two of the ten cameras and a motion are held out.
"$PYTHON" train.py --name demo_actor --overwrite --model neural_actor --dataroot $DATA/training --train_views 0..8 \
    $QUIET --no_pretrained --texture_encoder_layers 1 --inputs_to_texture feat:0:64,attnout:0:64,texture:0:64,ray:4:3:b \
    --feature_embed_dim 64 --density_embed_dim 64 --texture_embed_dim 64 --joint_feature_dim 64 \
    --fixed_num_samples 24 --pixel_per_view 512 --lr 0.002 --decay_steps 2000 --max_update 1200 "$@"
"$PYTHON" test.py --name demo_actor --phase views --test_views 8,9 --subsample 5
"$PYTHON" evaluate.py --images results/demo_actor/views_latest/color \
    --targets results/demo_actor/views_latest/target --no_lpips

# Textures of the other motion, predicted from the poses alone.
"$PYTHON" scripts/predict_textures.py --dataroot $DATA/training --target $DATA/testing --name demo_actor_textures \
    $QUIET --ngf 16 --ndf 16 --n_downsample_G 2 --n_blocks 3 --num_D 1 --n_scales_temporal 1 --no_vgg \
    --n_frames_total 4 --niter_step 200 --n_epochs 300 --n_epochs_decay 100

# The actor in that motion, from the held-out cameras; and a film whose camera goes round.
NEW="--dataroot $DATA/testing --load_tex_name tex_predicted"
"$PYTHON" test.py --name demo_actor --phase motion --test_views 8,9 $NEW
"$PYTHON" evaluate.py --images results/demo_actor/motion_latest/color \
    --targets results/demo_actor/motion_latest/target --no_lpips
"$PYTHON" test.py --name demo_actor --phase film $NEW --render_path_style circle \
    --render_path_args "{'radius': 3.0, 'h': 0.4, 'axis': 'y', 't0': 1.57}" --render_at_vector 0,0.9,0 \
    --render_up_vector 0,-1,0 --render_angular_speed 9 --render_num_frames 4 --render_save_fps 12

echo
echo "The training:            $PWD/checkpoints/demo_actor/web/index.html"
echo "Held-out cameras:        $PWD/results/demo_actor/views_latest/index.html"
echo "  how good:              $PWD/results/demo_actor/views_latest/color/evaluation/index.html"
echo "A held-out motion:       $PWD/results/demo_actor/motion_latest/index.html"
echo "  how good:              $PWD/results/demo_actor/motion_latest/color/evaluation/index.html"
echo "The film:                $PWD/results/demo_actor/film_latest/index.html"
echo "Open them in a browser. Then your own actor: docs/neural_actor/README.md."
