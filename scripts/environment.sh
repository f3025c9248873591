# To be sourced by other scripts: sets ROOT to the project's folder, and PYTHON to a Python that has all it needs
# (scripts/environment.py says which).

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {  # MESSAGE
    echo "error: $1" >&2
    exit 2
}

any_python() {  # that of an active environment, else the machine's
    if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then echo python; else command -v python3 || echo python; fi
}

if [ -z "${PYTHON:-}" ]; then
    PYTHON=$("$(any_python)" "$ROOT/scripts/environment.py") || exit 2
    export PYTHON
fi
