#!/usr/bin/env bash
# The whole way on a clip that the program makes itself: bash scripts/run_demo.sh [published] [options of train.py]
# scripts/run_demo.py says more.
python=python3
if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then python=python; fi
exec "$python" "$(dirname "${BASH_SOURCE[0]}")/run_demo.py" "$@"
