#!/usr/bin/env bash
# Fetches a clip of the paper to datasets/NAME, or all of them:  bash datasets/download_data.sh NAME|all
set -euo pipefail
case "${1:-}" in
  cartwheel | reflection | splash | trampoline) names=$1 ;;
  all) names="cartwheel reflection splash trampoline" ;;
  *)
    echo "error: found '${1:-}'; expected a clip's name: cartwheel, reflection, splash or trampoline, or all" >&2
    exit 2
    ;;
esac
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/environment.sh"
for name in $names; do
  "$PYTHON" "$ROOT/scripts/download.py" "https://www.robots.ox.ac.uk/~erika/retiming/data/$name.zip" \
    "$ROOT/datasets/$name" --unpack \
    --instead "make a sample clip (python datasets/make_sample.py) or use a clip of your own (docs/layered_video/data.md)"
done
