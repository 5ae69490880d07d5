#!/bin/sh
# Starts a container's program. A secret comes as a file, and the program reads its environment.
set -eu
if [ -n "${UGSD_ACCESS_TOKEN_FILE:-}" ]; then
    if [ ! -r "$UGSD_ACCESS_TOKEN_FILE" ]; then
        echo "ugsd: the secret $UGSD_ACCESS_TOKEN_FILE cannot be read; see docs/containers.md" >&2
        exit 2
    fi
    UGSD_ACCESS_TOKEN="$(cat "$UGSD_ACCESS_TOKEN_FILE")"
    export UGSD_ACCESS_TOKEN
    unset UGSD_ACCESS_TOKEN_FILE
fi
exec "$@"
