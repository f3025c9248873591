#!/usr/bin/env bash
# Installs visdom, the optional live display, into the running Python environment.
# Another interpreter is chosen with:  PYTHON=/path/to/python scripts/install_visdom.sh
set -euo pipefail
PYTHON="${PYTHON:-python}"

# visdom 0.2.4 is a source release whose build needs pkg_resources (gone from setuptools 81 on)
# and bdist_wheel inside setuptools (there from 70.1 on).
"$PYTHON" -m pip install "setuptools>=70.1,<81"

# Its page links ../user/style.css, which tornado refuses from 6.6 on: the server would answer every visitor with 403.
"$PYTHON" -m pip install --no-build-isolation "visdom>=0.2.4,<0.3" "tornado<6.6"
