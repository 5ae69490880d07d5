"""A fake verifier as a program, for `VerifierProcess`. The first argument says how it behaves."""

from __future__ import annotations

import os
import signal
import sys
import time

from tests.wire.fakes import FakeVerifier
from ugsd_core.wire.access import AccessTokens
from ugsd_core.wire.door import Access
from ugsd_core.wire.foreground import run_server
from ugsd_core.wire.own import TOKEN_VARIABLE

if __name__ == "__main__":
    how = sys.argv[1] if len(sys.argv) > 1 else "serve"
    print("loading", file=sys.stderr, flush=True)
    if how == "fail":
        print("ugsd: there is no checkpoint at /nowhere", file=sys.stderr)
        sys.exit(2)
    if how == "babble":
        print("hello", flush=True)
    if how in ("silent", "babble"):
        sys.stdin.read()
        sys.exit(0)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('{"address": "ws://127.0.0.1:1", "name": "stubborn"}', flush=True)
        time.sleep(60)
    delays = {0: 60.0} if how == "slow" else {}
    access = Access(tokens=AccessTokens.single(os.environ[TOKEN_VARIABLE])) if how == "guarded" else None
    sys.exit(run_server(FakeVerifier(delays_s=delays), announce=True, exit_with_parent=True, access=access))
