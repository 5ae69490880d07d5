#!/usr/bin/env bash
# Make .venv with the first Python that is new enough; do nothing if it is there.
# PYTHON=/path/to/python chooses one by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/python ] && exit 0

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
for python in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    if command -v "$python" >/dev/null && "$python" -c "$new_enough" 2>/dev/null; then
        echo "Making .venv with $("$python" --version)"
        if ! "$python" -m venv .venv; then
            rm -rf .venv
            echo "$python has no working 'venv' module; on Debian or Ubuntu: apt-get install python3-venv" >&2
            exit 1
        fi
        exit 0
    fi
done
echo "UGSD Studio needs Python 3.11 or newer, and none was found; install one, or name it: make PYTHON=/path/to/python" >&2
exit 1
