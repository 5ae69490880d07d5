"""A caption never stops for a verifier, and takes it up again when it is back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests import fakes
from tests.fakes import END, ScriptedDraft, ScriptedDrafter, ScriptedVerifier, ids
from tests.wire.fakes import EDGE, FakeVerifier, open_request, serving, verify
from tests.wire.test_breaker import Clock
from ugsd_core.decoding import decode
from ugsd_core.errors import HandshakeRefused, OptionError, VerdictTimeout, VerifierUnavailable
from ugsd_core.messages import (
    BlockEscalated,
    BlockJudged,
    BlockUnverified,
    CaptionFinished,
    Event,
    FrameSent,
    TokenDecided,
    VerifierLost,
    VerifierReady,
)
from ugsd_core.options import DecodingOptions
from ugsd_core.wire.breaker import Backoff
from ugsd_core.wire.faults import Faults, FaultyLink
from ugsd_core.wire.reconnect import ReconnectingLink, check_addresses

SCRIPT = ids(*["the", "voice", "is", "low", "and", "slow", ","] * 4, "speaker", "feels", "sad", ".", END)
OPTIONS = DecodingOptions(gate="always", k=2, acceptance="greedy")
QUICK = Backoff(first_s=0.01, most_s=0.1)


def served_info() -> Any:
    return replace(fakes.info(), tokenizer_fingerprint="a" * 64, feature_fingerprint="b" * 64)


@dataclass
class Patient(ScriptedDrafter):
    """Takes its time over each token, so that something can happen meanwhile; calls ``at[position]`` before it."""

    token_s: float = 0.0
    at: Any = None

    def begin(self, code: Any, options: Any, utterance: str) -> ScriptedDraft:
        draft, ask, at = super().begin(code, options, utterance), ScriptedDraft.next, dict(self.at or {})

        def following(revision: int, *, last: bool) -> Any:
            time.sleep(self.token_s)
            at.pop(len(draft.held), lambda: None)()
            return ask(draft, revision, last=last)

        draft.next = following  # type: ignore[method-assign]
        return draft


class Held(ScriptedVerifier):
    """Judges its fourth block when it is told to."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__(SCRIPT, info=served_info())
        self.gate = gate

    def open(self, request: Any) -> Any:
        utterance = super().open(request)
        judge = utterance.judge

        def judged(asked: Any) -> Any:
            assert asked.sequence != 3 or self.gate.wait(20.0)
            return judge(asked)

        utterance.judge = judged  # type: ignore[method-assign]
        return utterance


def drafter(token_s: float = 0.0, at: Any = None) -> Patient:
    return Patient(SCRIPT, token_s=token_s, at=at, info=served_info())


def verifier() -> ScriptedVerifier:
    return ScriptedVerifier(SCRIPT, info=served_info())


def caption(link: Any, edge: Any, options: DecodingOptions = OPTIONS) -> list[Event]:
    return list(decode(fakes.code(), "aa", edge, link, options))


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def whole(events: list[Event]) -> Counter[str]:
    """The caption is complete, once; gives how many tokens came to each state."""
    finished = of(events, CaptionFinished)
    assert len(finished) == 1 and finished[0].token_ids == tuple(SCRIPT)
    return Counter(event.state for event in of(events, TokenDecided))


@contextmanager
def through_faults(served: Any, **settings: Any) -> Iterator[tuple[FaultyLink, ReconnectingLink]]:
    with (
        serving(served) as address,
        FaultyLink(address, Faults()) as faulty,
        ReconnectingLink(faulty.address, backoff=QUICK, **settings) as link,
    ):
        yield faulty, link


# ── A caption goes on ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_connection_that_is_cut_in_mid_caption_is_made_anew_and_the_caption_goes_on_with_the_verifier() -> None:
    with through_faults(verifier()) as (faulty, link):
        events = caption(link, drafter(0.01, {6: faulty.cut_all}))
    states = whole(events)
    assert states["unverified"] > 0 and states["accepted"] > 6
    assert len(of(events, VerifierLost)) == 1 and len(of(events, VerifierReady)) == 2
    kinds = [e for e in events if isinstance(e, VerifierLost | VerifierReady | BlockUnverified | BlockJudged)]
    back = kinds.index(of(events, VerifierReady)[1])
    assert any(isinstance(event, BlockJudged) for event in kinds[back:]), "judged again, in the same caption"
    first = next(e for e in events[events.index(of(events, VerifierReady)[1]) :] if isinstance(e, BlockEscalated))
    assert first.ids_sent == first.start + first.length, "all that is committed goes up again, and the event says so"


def test_the_acoustic_code_crosses_once_although_the_connection_was_made_anew() -> None:
    with through_faults(verifier()) as (faulty, link):
        events = caption(link, drafter(0.01, {6: faulty.cut_all, 16: faulty.cut_all}))
        assert link.connections == 3
    opens = [event for event in of(events, FrameSent) if event.message == "open"]
    assert [event.traffic for event in opens] == ["acoustic_code", "control", "control"]
    assert not [event for event in of(events, FrameSent) if event.message == "need_features"]


def test_a_verifier_started_anew_asks_for_the_code() -> None:
    with serving(verifier()) as first, serving(verifier()) as second, FaultyLink(first, Faults()) as faulty:

        def restart() -> None:
            faulty.retarget(second)
            faulty.cut_all()

        with ReconnectingLink(faulty.address, backoff=QUICK) as link:
            events = caption(link, drafter(0.01, {6: restart}))
    whole(events)
    sent = [event.traffic for event in of(events, FrameSent) if event.message == "open"]
    assert sent == ["acoustic_code", "control", "acoustic_code"]
    assert of(events, BlockJudged)[-1].block > of(events, BlockUnverified)[-1].block


def test_a_dead_verifier_costs_a_caption_one_deadline_and_the_next_caption_none() -> None:
    with through_faults(verifier(), ceiling_s=0.3) as (faulty, link):

        def silence() -> None:
            faulty.faults = Faults(half_open=1.0)

        waits = []
        for at in ({6: silence}, {}):
            events = caption(link, drafter(0.002, at), replace(OPTIONS, deadline_s=0.3))
            states = whole(events)
            waits.append([event.waited_ms for event in of(events, BlockUnverified) if event.waited_ms > 250.0])
        assert len(waits[0]) == 1
        assert waits[1] == [] and states == {"unverified": len(SCRIPT)}


def test_a_model_that_hangs_behind_a_living_connection_costs_one_deadline() -> None:
    gate = threading.Event()
    with serving(Held(gate), workers=1) as address, ReconnectingLink(address, backoff=QUICK) as link:
        events = caption(link, drafter(0.002), replace(OPTIONS, deadline_s=0.4))
        assert [event.waited_ms > 300.0 for event in of(events, BlockUnverified)].count(True) == 1
        assert len(of(events, BlockEscalated)) == 4 and not of(events, VerifierLost)
        whole(events)
        gate.set()


def test_a_slow_verdict_costs_one_block_and_its_late_arrival_shows_that_the_verifier_works() -> None:
    gate = threading.Event()

    def judge_on() -> None:
        gate.set()
        time.sleep(0.3)  # the late verdict arrives meanwhile

    with serving(Held(gate)) as address, ReconnectingLink(address) as link:
        events = caption(link, drafter(0.005, {12: judge_on}), replace(OPTIONS, deadline_s=0.4))
    states = whole(events)
    assert 2 <= states["unverified"] < 16 and not of(events, VerifierLost)
    assert of(events, BlockJudged)[-1].block > of(events, BlockUnverified)[-1].block
    assert len([event for event in of(events, FrameSent) if event.message == "open"]) == 1


def test_a_lost_block_and_a_lost_opening_are_both_got_over() -> None:
    with through_faults(verifier(), ceiling_s=0.2) as (faulty, link):

        def lose_all() -> None:
            faulty.faults = Faults(drop=1.0)

        def lose_none() -> None:
            faulty.faults = Faults()

        options = replace(OPTIONS, deadline_s=0.5)
        events = caption(link, drafter(0.03, {4: lose_all, 8: lose_none}), options)
        assert whole(events)["unverified"] > 1
        assert of(events, BlockJudged)[-1].block > of(events, BlockUnverified)[0].block
        faulty.faults = Faults()
        assert whole(caption(link, drafter())) == {"accepted": len(SCRIPT)}


def test_a_verifier_that_is_away_at_the_start_joins_later() -> None:
    with through_faults(verifier()) as (faulty, link):
        faulty.faults = Faults(refuse=1.0)

        def come() -> None:
            faulty.faults = Faults()

        events = caption(link, drafter(0.01, {8: come}))
    states = whole(events)
    assert states["unverified"] >= 8 and states["accepted"] > 6
    assert of(events, VerifierLost)[0].t_s < of(events, VerifierReady)[0].t_s


# ── Where to, and when ────────────────────────────────────────────────────────────────────────────────────────────


def test_attempts_follow_the_back_off() -> None:
    clock = Clock()
    backoff = Backoff(first_s=1.0, jitter=0.0)
    link = ReconnectingLink("ws://127.0.0.1:9", backoff=backoff, background=False, clock=clock, chance=lambda: 0.0)
    tried: list[float] = []
    dial = link._dial
    link._dial = lambda: (tried.append(clock.now), dial())[1]  # type: ignore[method-assign]
    with pytest.raises(VerifierUnavailable, match="ugsd verifier"):
        link.connect(EDGE, {})
    for _ in range(160):
        clock.now += 0.1
        assert link.standing("u") == "away"
    assert [round(at - 100.0) for at in tried] == [0, 1, 3, 7, 15]
    link.close()
    clock.now += 1000.0
    assert link.standing("u") == "away" and len(tried) == 5, "nobody wants it any more"


def test_the_next_address_is_tried_when_one_is_dead() -> None:
    with serving(FakeVerifier()) as address, ReconnectingLink(f"ws://127.0.0.1:9, {address}") as link:
        link.connect(EDGE, {})
        assert link.address == address and link.connected


def test_of_two_verifiers_the_other_goes_on_when_one_ends() -> None:
    with (
        serving(verifier()) as one,
        serving(verifier()) as other,
        FaultyLink(one, Faults()) as faulty,
        ReconnectingLink(f"{faulty.address},{other}", backoff=QUICK) as link,
    ):

        def die() -> None:
            faulty.faults = Faults(refuse=1.0)
            faulty.cut_all()

        events = caption(link, drafter(0.01, {6: die}))
        assert link.address == other
    assert whole(events)["accepted"] > 6


def test_addresses_are_read_with_care() -> None:
    assert check_addresses(" ws://a:1 ,wss://b") == ("ws://a:1", "wss://b")
    for text in ("", "ws://a:1,", "ws://a:1,ws://a:1", "ws://a:1;ws://b:2x"):
        with pytest.raises(OptionError):
            check_addresses(text)


def test_a_refusal_is_told_and_a_busy_verifier_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(FakeVerifier()) as address:
        with ReconnectingLink(address) as link, pytest.raises(HandshakeRefused):
            link.connect(replace(EDGE, tokenizer_fingerprint="c" * 64), {})
        monkeypatch.setattr("ugsd_core.wire.door.MAX_SESSIONS", 0)
        with ReconnectingLink(address, backoff=QUICK) as link:
            with pytest.raises(VerifierUnavailable, match="try again later"):
                link.connect(EDGE, {})
            monkeypatch.undo()
            deadline = time.monotonic() + 5.0
            while link.standing("u") == "away" and time.monotonic() < deadline:
                time.sleep(0.01)
            assert link.standing("u") == "closed"


def test_closing_ends_the_attempts_and_connecting_begins_anew() -> None:
    with through_faults(FakeVerifier()) as (faulty, link):
        link.connect(EDGE, {})
        link.open(open_request())
        timer = threading.Timer(0.05, link.close)
        faulty.faults = Faults(half_open=1.0)
        timer.start()
        with pytest.raises((VerifierUnavailable, VerdictTimeout)):
            link.judge(verify("u", 0, (1,)), 5.0)
        timer.join()
        assert link.standing("u") == "away" and link.connections == 1
        faulty.faults = Faults()
        link.connect(EDGE, {})
        assert link.connections == 2


def test_frames_of_connections_that_failed_are_in_the_ledger() -> None:
    with through_faults(FakeVerifier(), open_timeout_s=0.2) as (faulty, link):
        faulty.faults = Faults(drop=1.0)
        with pytest.raises(VerifierUnavailable):
            link.connect(EDGE, {})
        assert [frame.message for frame in link.take_frames()][:1] == ["hello"]
