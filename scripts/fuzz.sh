#!/usr/bin/env bash
# Damaged and strange input for every program, 10,000 cases: some twelve minutes of one CPU core.
#   bash scripts/fuzz.sh [--cases N] [--seed N] [--only KIND[:NUMBER]]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec "$PYTHON" "$ROOT/scripts/lab/fuzz.py" "$@"
