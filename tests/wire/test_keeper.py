"""A verifier that ends is started again; whoever waits for one learns why there is none."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.wire.fakes import EDGE, INFO
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.wire.breaker import Backoff
from ugsd_core.wire.keeper import VerifierKeeper
from ugsd_core.wire.process import VerifierProcess
from ugsd_core.wire.reconnect import ReconnectingLink

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def keeper(how: str = "serve") -> VerifierKeeper:
    command = [sys.executable, "-W", "error", "-m", "tests.wire.fake_server"]
    return VerifierKeeper(lambda: VerifierProcess([how], command=command, timeout_s=20, wait=False))


def test_a_verifier_that_is_killed_is_started_again_and_found_again() -> None:
    with keeper() as kept:
        first = kept.wait_ready()
        with ReconnectingLink(kept.addresses, backoff=Backoff(first_s=0.02, most_s=0.2)) as link:
            assert link.connect(EDGE, {}) == INFO
            os.kill(kept.child.pid, signal.SIGKILL)
            deadline = time.monotonic() + 20.0
            while link.connections < 2 and time.monotonic() < deadline:
                link.standing("u")
                time.sleep(0.02)
            assert link.standing("u") == "closed" and link.connect(EDGE, {}) == INFO
        assert kept.restarts == 1 and kept.wait_ready() != first
    assert not kept.child.alive


def test_one_that_cannot_start_is_not_started_for_ever() -> None:
    with keeper("fail") as kept:
        with pytest.raises(VerifierUnavailable, match="no checkpoint at /nowhere"):
            kept.wait_ready()
        with pytest.raises(VerifierUnavailable, match="started again"):
            kept.addresses()
        assert kept.restarts == 0
