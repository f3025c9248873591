#!/usr/bin/env bash
# Installs visdom, the optional live display, into the running Python environment.
# Another interpreter is chosen with:  PYTHON=/path/to/python scripts/install_visdom.sh
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/install_visdom.py"
