#!/usr/bin/env bash
# Makes the UV maps of a clip (iuv/) from its poses (keypoints.json):  bash datasets/prepare_iuv.sh datasets/my_clip
# With the weights of kp2uv (scripts/download_kp2uv_model.sh) the network predicts them, else they are drawn.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "error: found $# arguments; expected the folder of a clip: bash datasets/prepare_iuv.sh DATAROOT" >&2
  exit 2
fi
if [ ! -d "$1" ]; then
  echo "error: $1: no such folder; expected the folder of a clip, with rgb_256/, keypoints.json and metadata.json" >&2
  exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/environment.sh"

exec "$PYTHON" "$ROOT/datasets/keypoints_to_iuv.py" --dataroot "$1" --source auto
