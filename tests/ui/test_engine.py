"""Stopping a caption reaches the other side of the wire."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes import END, ScriptedDrafter, ScriptedVerifier, ids
from tests.tiny import utterance
from tests.ui.test_runs import until
from tests.wire.fakes import serving
from ugsd_core.captioner import Captioner
from ugsd_core.messages import BlockJudged
from ugsd_core.options import DecodingOptions
from ugsd_core.result import CaptionResult, caption_result
from ugsd_core.wire.emulated import Conditions
from ui.engine import LiveEngine
from ui.runs import Runs

SCRIPT = ids("the", "voice", "is", "low", "and", "slow", ".", END)
ALWAYS = DecodingOptions(gate="always", k=1)


class Watched:
    """An utterance on the verifier that judges when it is told to."""

    def __init__(self, verifier: WatchedVerifier, inner: Any) -> None:
        self.verifier, self.inner, self.opened = verifier, inner, inner.opened

    def judge(self, request: Any) -> Any:
        self.verifier.asked.set()
        assert self.verifier.gate.wait(20)
        return self.inner.judge(request)


class WatchedVerifier(ScriptedVerifier):
    """Keeps an eye on its utterances without holding them.

    Attributes:
        utterances: Dead as soon as the server has forgotten them.
        asked: Set when the first block has arrived.
        gate: Judging waits for it.
    """

    def __init__(self) -> None:
        super().__init__(SCRIPT)
        self.utterances: list[weakref.ref[Watched]] = []
        self.asked, self.gate = threading.Event(), threading.Event()

    def open(self, request: Any) -> Any:
        watched = Watched(self, super().open(request))
        self.utterances.append(weakref.ref(watched))
        return watched

    def forgotten(self) -> bool:
        gc.collect()  # a task and its coroutine hold each other
        return len(self.utterances) > 0 and all(one() is None for one in self.utterances)


@pytest.fixture
def verifier() -> WatchedVerifier:
    return WatchedVerifier()


@pytest.fixture
def engine(verifier: WatchedVerifier, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveEngine]:
    monkeypatch.setattr(Captioner, "load", lambda edge, *, link, **_: Captioner(ScriptedDrafter(SCRIPT), link))
    with serving(verifier) as address:
        engine = LiveEngine(verifier=address)
        try:
            yield engine
        finally:
            verifier.gate.set()
            engine.close()


def test_stop_ends_a_wait_for_the_verifier_and_the_server_forgets_the_utterance(
    engine: LiveEngine, verifier: WatchedVerifier
) -> None:
    runs, updates = Runs(engine), []
    for update in runs.caption("a", utterance(0), ALWAYS):
        updates.append(update)
        assert verifier.asked.wait(20)
        runs.stop("a")
    assert updates[-1].stopped
    verifier.gate.set()
    until(verifier.forgotten)
    again = list(runs.caption("a", utterance(0), ALWAYS))
    assert again[-1].events[-1].kind == "caption_finished", "the next caption connects anew"


def test_a_caption_over_an_emulated_link_says_so_and_leaves_the_others_alone(
    engine: LiveEngine, verifier: WatchedVerifier
) -> None:
    verifier.gate.set()
    far, near = Conditions(rtt_ms=40.0), Conditions(rtt_ms=2.0)

    def result(link: Conditions) -> CaptionResult:
        return caption_result(engine.stream(utterance(0), ALWAYS, link))

    results = [result(link) for link in (far, Conditions(), near, far)]
    assert [found.link for found in results] == ["rtt=40", "", "rtt=2", "rtt=40"]
    assert len({found.caption for found in results}) == 1
    assert len({(found.verifier or {})["address"] for found in results}) == 1, "the verifier's, not the relays'"
    waits = [min(block.network_ms or 0.0 for block in found.blocks) for found in results]
    assert min(waits[0], waits[3]) >= 39.0
    assert len(engine._emulated) == 2
    source = engine.evaluation_source(far)
    assert source.describe()["link"] == "rtt=40"


def test_an_event_stream_that_is_closed_closes_its_utterance_and_keeps_the_connection(
    engine: LiveEngine, verifier: WatchedVerifier
) -> None:
    verifier.gate.set()
    stream = engine.stream(utterance(0), ALWAYS)
    next(event for event in stream if isinstance(event, BlockJudged))
    stream.close()  # type: ignore[attr-defined]
    until(verifier.forgotten)
    assert engine.captioner.link.connected  # type: ignore[union-attr]
