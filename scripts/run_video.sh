#!/usr/bin/env bash
# Everything for one clip: bash scripts/run_video.sh NAME [options of train.py]
# Fetches datasets/NAME if it is one of the paper's clips and not there, makes its UV maps, trains both phases, exports.
# The same command again goes on where training stopped; with --overwrite it begins anew.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
name=${1:?usage: bash scripts/run_video.sh NAME [options of train.py]}
shift
dataroot=datasets/$name

[ -d "$dataroot" ] || bash datasets/download_data.sh "$name"
[ -d "$dataroot/iuv" ] || bash datasets/prepare_iuv.sh "$dataroot"
more=()
if [ -e "$dataroot/homographies.txt" ]; then more+=(--use_homographies); fi
if [ -e "checkpoints/$name/latest_state.pth" ] && [[ " $* " != *" --overwrite "* ]]; then more+=(--continue_train); fi
"$PYTHON" train.py --name "$name" --dataroot "$dataroot" ${more[@]+"${more[@]}"} "$@"
"$PYTHON" test.py --name "$name" --do_upsampling
