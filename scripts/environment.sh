# To be sourced by other scripts: sets ROOT to the project's folder, and PYTHON to a Python that has all it needs.
# That is PYTHON if it is set already; else the Python of an active environment (venv or conda) that has the packages;
# else ROOT/.venv, which is made, and brought up to date when a requirements file has changed.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {  # MESSAGE
    echo "error: $1" >&2
    exit 2
}

make_environment() {  # REQUIREMENTS_FILE...
    local stamp="$ROOT/.venv/installed-$(cat "$@" "$ROOT/scripts/install_visdom.sh" | cksum | tr -d ' ')"
    [ -e "$stamp" ] && return
    if [ ! -x "$PYTHON" ]; then
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
            || fail "python3: found $(python3 --version 2>&1); expected Python 3.10 or later. Install it"
        python3 -m venv "$ROOT/.venv" || fail "python3 -m venv failed; install Python's venv (apt install python3-venv)"
    fi
    echo "installing the requirements into .venv (once; several GB with torch)"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check $(printf -- '-r %s ' "$@") \
        || fail "pip could not install the requirements; its message is above"
    bash "$ROOT/scripts/install_visdom.sh" > /dev/null \
        || echo "visdom could not be installed: training goes on without its dashboard"
    touch "$stamp"
}

active_environment_suffices() {
    [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && python - ${EXTRA_MODULES:-} <<'END'
import importlib.util, sys
modules = ["torch", "numpy", "cv2", "PIL", "matplotlib", "av", "dominate", "scipy", "tqdm", "torchmetrics", "skimage",
           "ai_edge_litert"]
modules += sys.argv[1:]
sys.exit(any(importlib.util.find_spec(name) is None for name in modules))
END
}

if [ -z "${PYTHON:-}" ] && active_environment_suffices; then
    export PYTHON=python
elif [ -z "${PYTHON:-}" ]; then
    export PYTHON="$ROOT/.venv/bin/python"
    (cd "$ROOT" && make_environment requirements.txt ${EXTRA_REQUIREMENTS:-}) || exit 2
fi
