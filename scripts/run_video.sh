#!/usr/bin/env bash
# Everything for one clip: bash scripts/run_video.sh NAME [options of train.py]
# Fetches datasets/NAME if it is one of the paper's clips and not there, makes its UV maps, trains both phases, exports.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
name=${1:?usage: bash scripts/run_video.sh NAME [options of train.py]}
shift
dataroot=datasets/$name

[ -d "$dataroot" ] || bash datasets/download_data.sh "$name"
[ -d "$dataroot/iuv" ] || bash datasets/prepare_iuv.sh "$dataroot"
camera=()
if [ -e "$dataroot/homographies.txt" ]; then camera=(--use_homographies); fi
"$PYTHON" train.py --name "$name" --dataroot "$dataroot" "${camera[@]}" "$@"
"$PYTHON" test.py --name "$name" --do_upsampling
