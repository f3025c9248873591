#!/usr/bin/env bash
# Run all tests: bash scripts/run_tests.sh [--oldest] [options of pytest]. scripts/run_tests.py says more.
python=python3
if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then python=python; fi
exec "$python" "$(dirname "${BASH_SOURCE[0]}")/run_tests.py" "$@"
