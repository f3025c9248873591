#!/usr/bin/env bash
# The paper's clip "trampoline" with the published settings: download, UV maps, both phases, export at full size.
exec bash "$(dirname "$0")/run_video.sh" trampoline "$@"
