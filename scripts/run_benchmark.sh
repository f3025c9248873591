#!/usr/bin/env bash
# How good are the layers? Makes clips with known layers, trains on each, measures, and writes docs/layered_video/quality.md.
#   bash scripts/run_benchmark.sh [--help] [--size NAME] [options of train.py]
# About an hour on two CPU cores. Ctrl-C stops it; the same command goes on with what is not done.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
exec "$PYTHON" scripts/lab/benchmark_quality.py "$@"
