#!/usr/bin/env bash
# Install Debian's Chromium for the browser tests if there is no Chromium yet.
# Never fails: without one, the browser tests skip and say why.
set -uo pipefail

for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Chromium here, and it can't be installed without root and apt-get: the browser tests will be skipped." >&2
    exit 0
fi
echo "Installing Chromium for the browser tests …"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update && apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "Chromium could not be installed: the browser tests will be skipped." >&2
fi
rm -f "$log"
exit 0
