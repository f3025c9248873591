#!/usr/bin/env bash
# Fetches the published weights of kp2uv, which turn poses into UV maps, to checkpoints/kp2uv/.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
"$PYTHON" "$ROOT/scripts/download.py" \
  https://www.robots.ox.ac.uk/~erika/retiming/pretrained_models/kp2uv.pth \
  "$ROOT/checkpoints/kp2uv/latest_net_Kp2uv.pth" \
  --instead "no weights are needed for drawn UV maps: bash datasets/prepare_iuv.sh DATAROOT makes them without"
