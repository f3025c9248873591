#!/usr/bin/env bash
# Run all tests: bash scripts/run_tests.sh [options of pytest]. Makes the environment if it is missing.
set -euo pipefail
EXTRA_REQUIREMENTS=requirements-test.txt
EXTRA_MODULES="pytest pytest_timeout hypothesis selenium visdom ruff mypy"
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
"$PYTHON" -m pytest -q -rs --timeout 300 "$@"
