from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests import fakes
from tests.fakes import END, ScriptedDrafter, ScriptedVerifier, ids
from ugsd_core.decoding import decode
from ugsd_core.errors import HandshakeRefused, OptionError, VerdictTimeout, VerifierUnavailable
from ugsd_core.messages import (
    COMMITTED_STATES,
    BlockEscalated,
    BlockJudged,
    BlockKept,
    BlockUnverified,
    CaptionFinished,
    Event,
    TokenDecided,
    TokenDrafted,
    Verdict,
    VerifierInfo,
    VerifierLost,
    VerifyRequest,
)
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.verifier import LocalLink

LOW = ids("the", "voice", "is", "low", "and", "slow", ".", "Therefore", "the", "speaker", "feels", "sad", ".", END)
HIGH = ids("the", "voice", "is", "high", "and", "fast", ".", "Therefore", "the", "speaker", "feels", "happy", ".", END)


def run(options: DecodingOptions, *, script: list[int] = LOW, wanted: list[int] = HIGH, **drafter: Any) -> list[Event]:
    edge = ScriptedDrafter(script, **drafter)
    return list(decode(fakes.code(), "aa", edge, LocalLink(ScriptedVerifier(wanted)), options))


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def finished(events: list[Event]) -> CaptionFinished:
    last = events[-1]
    assert isinstance(last, CaptionFinished)
    return last


def states(events: list[Event]) -> Counter[str]:
    return Counter(event.state for event in of(events, TokenDecided))


def check_identities(events: list[Event]) -> None:
    """The identities of the vocabulary, from the events alone."""
    count = states(events)
    end = finished(events)
    drafted = len(of(events, TokenDrafted))
    assert drafted == sum(count[s] for s in ("kept_local", "accepted", "rejected", "ignored", "unverified"))
    assert len(end.token_ids) == sum(count[s] for s in COMMITTED_STATES)
    assert fakes.text(end.token_ids) == end.caption
    committed = [e for e in of(events, TokenDecided) if e.state in COMMITTED_STATES]
    assert [e.position for e in committed] == list(range(len(end.token_ids)))
    assert [e.token_id for e in committed] == list(end.token_ids)
    assert "".join(e.text for e in committed) == end.caption
    decided = [(e.position, e.revision, e.state in ("corrected", "bonus")) for e in of(events, TokenDecided)]
    assert len(set(decided)) == len(decided)
    times = [event.t_s for event in events]
    assert times == sorted(times)


def test_edge_only_keeps_every_draft_and_touches_no_link() -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"edge-only mode touched the link: {name}")

    events = list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), Untouchable(), DecodingOptions(mode="edge")))  # type: ignore[arg-type]
    assert finished(events).token_ids == tuple(LOW)
    assert finished(events).reason == "end_of_turn"
    assert states(events) == {"kept_local": len(LOW)}
    check_identities(events)


def test_cloud_only_is_the_verifiers_caption_in_bonus_tokens() -> None:
    events = run(DecodingOptions(mode="cloud"))
    assert finished(events).token_ids == tuple(HIGH)
    assert states(events) == {"bonus": len(HIGH)}
    assert not of(events, TokenDrafted)
    check_identities(events)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8, 13, 14, 15, 64])
@pytest.mark.parametrize("bonus", [False, True])
def test_always_and_greedy_is_lossless_for_any_block_length(k: int, bonus: bool) -> None:
    events = run(preset("lossless", k=k, bonus=bonus))
    assert finished(events).token_ids == tuple(HIGH)
    check_identities(events)


def test_one_unsure_block_is_escalated_corrected_and_the_rest_ignored() -> None:
    events = run(DecodingOptions(gate="entropy", tau=1.0, rank=1, k=4), unsure={3: 2.0}, wanted=[*LOW[:2], *HIGH[2:]])
    (sent,) = of(events, BlockEscalated)
    assert (sent.block, sent.start, sent.length, sent.trigger_position) == (0, 0, 4, 3)
    assert sent.score == pytest.approx(2.0)
    (judged,) = of(events, BlockJudged)
    assert (judged.accepted, judged.changed) == (3, True)
    rejected = next(e for e in of(events, TokenDecided) if e.state == "rejected")
    corrected = next(e for e in of(events, TokenDecided) if e.state == "corrected")
    assert (rejected.position, rejected.revision, rejected.text) == (3, 0, " low")
    assert (corrected.position, corrected.revision, corrected.text, corrected.rank) == (3, 1, " high", 1)
    assert rejected.rank is not None and rejected.rank > 1
    assert corrected.top[0].text == " high"
    assert finished(events).caption.startswith(" the voice is high and slow")
    check_identities(events)


def test_tokens_behind_the_rejected_one_are_ignored() -> None:
    events = run(DecodingOptions(gate="entropy", tau=1.0, k=6), unsure={0: 2.0})
    assert states(events)["ignored"] == 2
    ignored = [e for e in of(events, TokenDecided) if e.state == "ignored"]
    assert [e.position for e in ignored] == [4, 5]
    assert all(e.rank is None and not e.top for e in ignored)
    check_identities(events)


def test_bonus_token_follows_a_fully_accepted_block() -> None:
    events = run(DecodingOptions(gate="entropy", tau=1.0, k=3, bonus=True), unsure={0: 2.0})
    bonus = [e for e in of(events, TokenDecided) if e.state == "bonus"]
    assert [(e.position, e.text) for e in bonus] == [(3, " high")]
    (judged,) = of(events, BlockJudged)
    assert judged.accepted == 3 and judged.changed
    check_identities(events)


def test_a_rejected_end_of_turn_is_replaced_like_any_other_token() -> None:
    short = [*LOW[:4], *ids(END)]
    events = run(preset("lossless", k=5, bonus=False), script=short, wanted=LOW)
    rejected = [e for e in of(events, TokenDecided) if e.state == "rejected"]
    assert rejected[0].token_id == ids(END)[0] and rejected[0].text == ""
    assert finished(events).token_ids == tuple(LOW)
    check_identities(events)


@pytest.mark.parametrize("mode", ["edge", "ugsd", "cloud"])
def test_maximum_length_ends_a_caption_with_its_own_reason(mode: Any) -> None:
    events = run(DecodingOptions(mode=mode, gate="always", bonus=True, max_tokens=6, k=4))
    assert len(finished(events).token_ids) == 6
    assert finished(events).reason == "max_length"
    check_identities(events)


def test_committed_ids_since_the_last_verdict_go_up_with_the_next_block() -> None:
    verifier = ScriptedVerifier(LOW)
    edge = ScriptedDrafter(LOW, unsure={3: 2.0, 11: 2.0})
    list(decode(fakes.code(), "aa", edge, LocalLink(verifier), DecodingOptions(gate="entropy", tau=1.0, k=4)))
    first, second = verifier.requests
    assert (first.base, first.committed, first.draft) == (0, (), tuple(LOW[:4]))
    assert (second.base, second.committed, second.draft) == (4, tuple(LOW[4:8]), tuple(LOW[8:12]))
    assert (first.sequence, second.sequence) == (0, 1)


class FlakyLink(LocalLink):
    """Fails from some judgement on, in a chosen way."""

    def __init__(self, wanted: list[int], error: Exception, good: int = 0) -> None:
        super().__init__(ScriptedVerifier(wanted))
        self.error, self.good, self.closed = error, good, 0

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        if self.good == 0:
            raise self.error
        self.good -= 1
        return super().judge(request, deadline_s)

    def close_utterance(self, utterance: str) -> None:
        self.closed += 1
        super().close_utterance(utterance)


def test_a_verifier_that_dies_leaves_unverified_tokens_and_a_whole_caption() -> None:
    link = FlakyLink(HIGH, VerifierUnavailable("the connection broke"), good=1)
    options = DecodingOptions(gate="always", rank=1, k=4)
    events = list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), link, options))
    assert [e.reason for e in of(events, VerifierLost)] == ["the connection broke"]
    assert states(events)["corrected"] == 1
    assert states(events)["unverified"] == len(LOW) - 4
    assert finished(events).token_ids == tuple([*HIGH[:4], *LOW[4:]])
    assert len(of(events, BlockEscalated)) == 2, "after the loss nothing is sent any more"
    check_identities(events)


def test_two_missed_deadlines_in_a_row_give_the_verifier_up_one_does_not() -> None:
    options = DecodingOptions(gate="always", k=4)
    link = FlakyLink(LOW, VerdictTimeout("no verdict within 5 s"))
    events = list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), link, options))
    assert len(of(events, BlockEscalated)) == 2
    assert len(of(events, VerifierLost)) == 1
    assert states(events) == {"unverified": len(LOW)}
    check_identities(events)


def test_after_a_missed_deadline_the_next_block_carries_the_unverified_ids() -> None:
    class Once(LocalLink):
        missed = False

        def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
            if not self.missed:
                self.missed = True
                raise VerdictTimeout("late")
            return super().judge(request, deadline_s)

    verifier = ScriptedVerifier(LOW)
    events = list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), Once(verifier), DecodingOptions(gate="always", k=4)))
    assert verifier.requests[0].base == 0
    assert verifier.requests[0].committed == tuple(LOW[:4])
    assert len(of(events, BlockUnverified)) == 1
    assert not of(events, VerifierLost)
    check_identities(events)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(0, 0, 9, None, None, (), (), 1.0),
        Verdict(0, 0, 0, 999_999, None, (), (), 1.0),
        Verdict(0, 0, 2, None, None, (), (), 1.0),
    ],
)
def test_a_verdict_that_does_not_fit_the_block_is_as_good_as_none(verdict: Verdict) -> None:
    class Lying(LocalLink):
        def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
            return verdict

    events = list(
        decode(fakes.code(), "aa", ScriptedDrafter(LOW), Lying(ScriptedVerifier(LOW)), preset("lossless", k=4))
    )
    assert states(events) == {"unverified": len(LOW)}
    assert len(of(events, VerifierLost)) == 1


def test_no_verifier_at_the_start_means_edge_alone_but_cloud_only_fails() -> None:
    class Away(LocalLink):
        def connect(self, edge: VerifierInfo, options: dict[str, object]) -> VerifierInfo:
            raise VerifierUnavailable("nobody answers at ws://127.0.0.1:1")

    link = Away(ScriptedVerifier(LOW))
    events = list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), link, DecodingOptions(gate="always")))
    assert states(events) == {"unverified": len(LOW)}
    assert not of(events, BlockEscalated)
    with pytest.raises(VerifierUnavailable, match="nobody answers"):
        list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), link, DecodingOptions(mode="cloud")))


@pytest.mark.parametrize("mode", ["ugsd", "cloud"])
def test_unlike_tokenizers_are_refused_before_anything_is_drafted(mode: Any) -> None:
    verifier = ScriptedVerifier(LOW, info=VerifierInfo("other", "another", "feat", 5))
    with pytest.raises(HandshakeRefused, match="do not share a vocabulary"):
        list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), LocalLink(verifier), DecodingOptions(mode=mode)))


def test_closing_the_generator_cancels_on_both_sides() -> None:
    link = FlakyLink(LOW, VerdictTimeout("unused"), good=99)
    events: Iterator[Event] = decode(fakes.code(), "aa", ScriptedDrafter(LOW), link, preset("lossless"))
    for event in events:
        if isinstance(event, BlockJudged):
            break
    events.close()  # type: ignore[attr-defined]
    assert link.closed == 1


def test_kept_blocks_tell_why() -> None:
    events = run(DecodingOptions(gate="entropy", tau=1.0, k=4), unsure={1: 0.5})
    kept = of(events, BlockKept)
    assert kept[0].score == pytest.approx(0.5)
    assert kept[0].threshold == 1.0
    assert "0.50" in kept[0].reason and "1.00" in kept[0].reason


def test_adaptive_block_lengths_follow_the_outcomes() -> None:
    options = DecodingOptions(gate="always", rank=1, block_length="adaptive", k=3, k_short=1, k_long=5)
    lengths = [e.length for e in of(run(options, wanted=LOW), BlockEscalated)]
    assert lengths == [3, 3, 5, 3]
    corrected = [e.length for e in of(run(options, wanted=HIGH), BlockEscalated)]
    assert corrected[:3] == [3, 3, 1]


def test_unknown_names_are_told_apart_from_what_exists() -> None:
    for change in ({"gate": "entropi"}, {"acceptance": "ranks"}):
        with pytest.raises(OptionError, match="choose one"):
            run(DecodingOptions(**change))  # type: ignore[arg-type]
