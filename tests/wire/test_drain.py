"""A verifier that is asked to end finishes what it has begun, and says so to those who would begin more."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.wire.fakes import EDGE, END, FakeVerifier, make_code, open_request, verify
from ugsd_core.errors import ProtocolError, VerifierUnavailable
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.kept_codes import KEEP_S, MAX_BYTES, MAX_EDGES, KeptCodes
from ugsd_core.wire.process import VerifierProcess
from ugsd_core.wire.server import serve


@contextmanager
def stoppable(verifier: Any, grace_s: float) -> Any:
    """Serve in a thread; gives the address, a function that asks it to end, and what is set when it has."""
    ready, ended, found = threading.Event(), threading.Event(), {}

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        found["stop"] = lambda: loop.call_soon_threadsafe(stop.set)

        def on_ready(address: str) -> None:
            found["address"] = address
            ready.set()

        await serve(verifier, on_ready=on_ready, stop=stop, grace_s=grace_s)

    def run() -> None:
        asyncio.run(main())
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10.0)
    try:
        yield found["address"], found["stop"], ended
    finally:
        if not ended.is_set():
            found["stop"]()
        thread.join(20.0)
        assert not thread.is_alive()


def until_told(link: WebSocketLink) -> None:
    """Wait for the word that the verifier is about to end."""
    for _ in range(500):
        link.poll()
        if link.session is not None and link.session.draining is not None:
            return
        threading.Event().wait(0.01)
    raise AssertionError("nothing was said")


def test_a_caption_under_way_is_judged_to_its_end_and_then_the_server_ends() -> None:
    with stoppable(FakeVerifier(), 20.0) as (address, stop, ended), WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request())
        first = link.judge(verify("u", 0, (1, 2)), 5.0)
        stop()
        until_told(link)
        ids = [*((1, 2)[: first.accepted]), first.replacement or first.bonus]
        for sequence in range(1, 60):
            verdict = link.judge(verify("u", sequence, (3,), 0, tuple(ids)), 5.0)
            ids += [verdict.replacement]
            if END in ids:
                break
        assert ids[-1] == END and not ended.is_set()
        link.close_utterance("u")
        assert ended.wait(10.0), "nothing is open any more"


def test_nothing_new_is_begun_and_nobody_is_let_in() -> None:
    with stoppable(FakeVerifier(), 20.0) as (address, stop, ended), WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request("old"))
        link.opened("old", 5.0)
        stop()
        until_told(link)
        link.open(open_request("new", 1))
        with pytest.raises(ProtocolError) as caught:
            link.opened("new", 5.0)
        assert caught.value.code == "draining"
        with WebSocketLink(address) as late, pytest.raises(VerifierUnavailable):
            late.connect(EDGE, {})
        assert link.judge(verify("old", 0, (1,)), 5.0).sequence == 0 and not ended.is_set()
        link.close_utterance("old")
        assert ended.wait(10.0)


def test_an_idle_session_is_told_to_go_elsewhere() -> None:
    with stoppable(FakeVerifier(), 20.0) as (address, stop, ended), WebSocketLink(address) as link:
        link.connect(EDGE, {})
        stop()
        assert ended.wait(10.0)
        websocket = link._websocket
        assert websocket is not None
        with pytest.raises(ConnectionClosed):
            while True:
                websocket.recv(5.0)
        assert websocket.close_code == 1001


def test_after_the_grace_time_it_ends_whatever_is_open() -> None:
    with stoppable(FakeVerifier(), 0.1) as (address, stop, ended), WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request())
        link.opened("u", 5.0)
        websocket = link._websocket
        assert websocket is not None
        stop()
        assert ended.wait(10.0)
        with pytest.raises(VerifierUnavailable):
            link.judge(verify("u", 0, (1,)), 5.0)
        assert websocket.close_code == 1012


def test_a_process_that_is_asked_to_end_finishes_its_captions_and_ends_with_status_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    command = [sys.executable, "-W", "error", "-m", "tests.wire.fake_server"]
    with VerifierProcess(command=command, timeout_s=20) as child, WebSocketLink(child.address) as link:
        link.connect(EDGE, {})
        link.open(open_request())
        link.opened("u", 5.0)
        os.kill(child.pid, signal.SIGTERM)
        until_told(link)
        assert link.judge(verify("u", 0, (1, 2)), 5.0).sequence == 0 and child.alive
        link.close_utterance("u")
        assert child.wait(10.0) and child._child.returncode == 0


def test_codes_are_kept_for_the_edge_that_knows_the_secret_some_time_and_not_for_ever() -> None:
    now = [0.0]
    kept = KeptCodes(lambda: now[0])
    codes = kept.claim("a" * 64)
    codes["x"] = make_code()
    assert kept.claim("a" * 64) is codes, "a connection that hangs does not keep the next one from them"
    kept.release("a" * 64)
    kept.release("a" * 64)
    assert kept.claim("b" * 64) == {} and kept.claim("a" * 64) is codes
    kept.release("a" * 64)
    now[0] += KEEP_S + 1
    assert kept.claim("a" * 64) == {}
    for number in range(2 * MAX_EDGES):
        kept.claim(str(number))["x"] = make_code()
        kept.release(str(number))
    assert len(kept) <= MAX_EDGES + 2
    large = make_code(0, 3000, 128, 8)
    for number in range(MAX_EDGES):
        kept.claim(f"large {number}").update({str(n): replace(large, high=n / 8) for n in range(8)})
        kept.release(f"large {number}")
    assert len(kept) <= MAX_BYTES // (8 * len(large.payload)) + 2
