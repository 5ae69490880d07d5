"""The loop at emotion words: cut blocks, what is drafted when, what is sent, and that every identity holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests import fakes
from tests.fakes import END, ScriptedDrafter, ScriptedVerifier, ids
from tests.test_decoding import HIGH, LOW, check_identities, finished, of, states
from ugsd_core.budget import BudgetKeeper
from ugsd_core.decoding import decode
from ugsd_core.errors import VerdictTimeout, VerifierUnavailable
from ugsd_core.gate_card import FusionWeights, GateCard, edge_posterior
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.messages import BlockEscalated, BlockKept, Event, PrefillDone, TokenDrafted, Verdict, VerifyRequest
from ugsd_core.models.emotion_tokens import fuse_labels
from ugsd_core.options import DecodingOptions
from ugsd_core.posterior import quantise
from ugsd_core.verifier import LocalLink

SAD_AT = LOW.index(ids("sad")[0])
SAD = EMOTION_LABELS.index("sadness")
UNSURE = tuple(0.5 if i == SAD else 0.05 for i in range(9))
TWO = ids("the", "voice", "is", "sad", "and", "calm", ".", END)


def run(
    options: DecodingOptions, *, script: list[int] = LOW, wanted: list[int] = HIGH, link: Any = None, **drafter: Any
) -> tuple[list[Event], ScriptedDrafter, ScriptedVerifier]:
    edge, verifier = ScriptedDrafter(script, **drafter), ScriptedVerifier(wanted)
    events = list(decode(fakes.code(), "aa", edge, link or LocalLink(verifier), options))
    check_identities(events)
    return events, edge, verifier


def blocks(events: list[Event]) -> list[tuple[int, ...]]:
    """Positions drafted in each block, in order."""
    found: dict[int, list[int]] = {}
    for event in of(events, TokenDrafted):
        found.setdefault(event.block, []).append(event.position)
    return [tuple(positions) for positions in found.values()]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8, 64])
def test_an_emotion_word_is_a_block_of_its_own_whatever_the_block_length(k: int) -> None:
    events, _, _ = run(DecodingOptions(gate="never", cut="emotion", k=k))
    found = blocks(events)
    assert (SAD_AT,) in found
    assert all(SAD_AT not in block for block in found if block != (SAD_AT,))
    assert sum(found, ()) == tuple(range(len(LOW))), "every token is drafted once, in order"
    assert max(len(block) for block in found) <= k


def test_without_a_cut_blocks_are_as_they_were_and_nothing_is_looked_at_ahead() -> None:
    events, edge, _ = run(DecodingOptions(gate="never", k=4))
    assert blocks(events) == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (12, 13)]
    assert not [call for call in edge.drafts[0].calls if call[0] == "peek"]


def test_a_place_that_could_hold_an_emotion_is_cut_out_as_well() -> None:
    events, _, _ = run(DecodingOptions(gate="never", cut="emotion", k=4), masses={5: UNSURE})
    assert blocks(events) == [(0, 1, 2, 3), (4,), (5,), (6, 7, 8, 9), (10,), (11,), (12, 13)]


def test_two_emotion_words_are_two_blocks() -> None:
    events, _, _ = run(DecodingOptions(gate="never", cut="emotion", k=8), script=TWO, wanted=TWO)
    assert blocks(events) == [(0, 1, 2), (3,), (4,), (5,), (6, 7)]


def test_only_the_word_itself_is_sent() -> None:
    options = DecodingOptions(gate="text_doubt", tau=0.2, cut="emotion", k=8)
    events, _, verifier = run(options, masses={SAD_AT: UNSURE})
    (sent,) = of(events, BlockEscalated)
    assert (sent.start, sent.length, sent.trigger_position) == (SAD_AT, 1, SAD_AT)
    (request,) = verifier.requests
    assert request.draft == tuple(ids("sad")) and request.committed == tuple(LOW[:SAD_AT])
    assert finished(events).token_ids == tuple([*LOW[:SAD_AT], *ids("happy"), *LOW[SAD_AT + 1 :]])
    assert states(events)["rejected"] == states(events)["corrected"] == 1


def test_the_block_before_is_decided_first_and_a_correction_there_forgets_the_word_behind_the_cut() -> None:
    """The word was looked at and never drafted: it is in no count, and the next look is at what now follows."""
    options = DecodingOptions(gate="entropy", tau=1.0, cut="emotion", k=8)
    wanted = [*TWO[:2], *ids("low"), *TWO[3:]]
    events, edge, _ = run(options, script=TWO, wanted=wanted, unsure={2: 2.0})
    (sent,) = of(events, BlockEscalated)
    assert (sent.start, sent.length) == (0, 3)
    assert states(events) == {"accepted": 2, "rejected": 1, "corrected": 1, "kept_local": len(TWO) - 3}
    assert edge.drafts[0].calls.count(("rollback", 2)) == 1
    assert blocks(events)[:2] == [(0, 1, 2), (3,)]
    assert len(of(events, TokenDrafted)) == len(TWO)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8, 13, 64])
@pytest.mark.parametrize("bonus", [False, True])
@pytest.mark.parametrize("script", [LOW, TWO])
def test_cut_blocks_are_lossless_as_any(k: int, bonus: bool, script: list[int]) -> None:
    options = DecodingOptions(gate="always", acceptance="greedy", cut="emotion", k=k, bonus=bonus)
    events, _, _ = run(options, script=script, wanted=HIGH, masses={1: UNSURE, 9: UNSURE})
    assert finished(events).token_ids == tuple(HIGH)


@pytest.mark.parametrize("error", [VerdictTimeout("late"), VerifierUnavailable("gone")])
def test_identities_hold_when_no_verdict_comes(error: Exception) -> None:
    class Silent(LocalLink):
        def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
            raise error

    options = DecodingOptions(gate="always", cut="emotion", k=4)
    events, _, _ = run(options, link=Silent(ScriptedVerifier(HIGH)), masses={2: UNSURE})
    assert states(events) == {"unverified": len(LOW)}


def test_adaptive_lengths_and_a_maximum_length_hold_beside_a_cut() -> None:
    for limit in (SAD_AT, SAD_AT + 1, SAD_AT + 2):
        options = DecodingOptions(
            gate="always", cut="emotion", block_length="adaptive", k=3, k_short=1, k_long=5, max_tokens=limit
        )
        events, _, _ = run(options, wanted=LOW)
        assert len(finished(events).token_ids) == limit


# ── What the loop tells gates and verifier ────────────────────────────────────────────────────────────────────────

HEAD = tuple(0.6 if i == 0 else 0.05 for i in range(9))
CARD = GateCard(
    signals=("text_doubt",),
    mean=(0.0,),
    scale=(1.0,),
    weights=(10.0,),
    bias=-3.0,
    budgets=((0.05, 0.5),),
    fusion=FusionWeights(0.5, 0.1, 0.4),
)


def test_the_fused_rule_gets_the_edges_view_with_blocks_that_hold_an_emotion_and_with_no_other() -> None:
    options = DecodingOptions(gate="always", acceptance="fused", k=4)
    for head, card in ((None, None), (HEAD, None), (HEAD, CARD)):
        cards = {} if card is None else {"en": card}
        events, _, verifier = run(options, wanted=LOW, masses={SAD_AT: UNSURE}, head=head, cards=cards)
        views = [request.posterior for request in verifier.requests]
        weights = (0.5, 0.5) if card is None else (0.2, 0.8)
        fused = fuse_labels((UNSURE, 1.0)) if head is None else fuse_labels((UNSURE, weights[0]), (head, weights[1]))
        assert views == [None, None, quantise(fused), None]
        (prefill,) = of(events, PrefillDone)
        assert prefill.label_posterior == head
    _, _, plain = run(options.changed(acceptance="rank"), wanted=LOW, masses={SAD_AT: UNSURE})
    assert {request.posterior for request in plain.requests} == {None}


def test_edge_posterior_is_what_calibration_computes_from_the_trace() -> None:
    options = DecodingOptions(gate="never", cut="emotion")
    events, _, _ = run(options, masses={SAD_AT: UNSURE}, head=HEAD)
    drafted = next(event for event in of(events, TokenDrafted) if event.position == SAD_AT)
    assert drafted.signals.label_mass == UNSURE
    from ugsd_core.draft_block import DraftBlock, DraftToken

    word = DraftToken(SAD_AT, drafted.token_id, drafted.text, drafted.signals, drafted.top, "begins")
    levels = edge_posterior(DraftBlock(0, 0, SAD_AT, (word,), ""), HEAD, CARD)
    assert levels == quantise(fuse_labels((UNSURE, 0.2), (HEAD, 0.8)))


def test_the_token_before_the_block_is_told_to_the_gate_unless_it_is_the_verifiers() -> None:
    unsure = {i: float(i % 3) for i in range(len(LOW))}
    scored = of(run(DecodingOptions(gate="instability", tau=9.0, k=1), unsure=unsure)[0], BlockKept)
    assert [event.score for event in scored[:4]] == [0.0, 1.0, 1.0, 2.0]
    options = DecodingOptions(gate="instability+digits", tau=9.0, k=1)
    script = [*LOW[:3], *ids("3"), *LOW[4:]]
    events, _, _ = run(options, script=script, wanted=HIGH, unsure=unsure)
    after = next(event for event in of(events, BlockKept) if event.start == 4)
    assert after.score == 0.0, "behind the verifier's own token there is nothing to compare with"


def test_both_sides_use_the_wording_that_the_edge_chose() -> None:
    for mode in ("ugsd", "cloud"):
        options = DecodingOptions(mode=mode, gate="always")  # type: ignore[arg-type]
        for prompt, expected in ((None, "worded-3"), ("brief", "brief")):
            _, _, verifier = run(options.changed(prompt=prompt), wordings=("worded-1", "worded-2", "worded-3"))
            (opened,) = verifier.opened
            assert opened.prompt == expected, "0xaa is 2 more than a multiple of 3"
    _, _, verifier = run(DecodingOptions(gate="always"))
    assert verifier.opened[0].prompt is None


def test_a_keeper_gives_the_threshold_and_learns_what_was_spent() -> None:
    keeper = BudgetKeeper(0.1, 0.9, prior_captions=0)
    edge, verifier = ScriptedDrafter(LOW, masses={SAD_AT: UNSURE}, cards={"en": CARD}), ScriptedVerifier(HIGH)
    options = DecodingOptions(gate="calibrated", budget=0.1, cut="emotion", k=8)

    def caption(link: Any) -> list[Event]:
        return list(decode(fakes.code(), "aa", edge, link, options, keeper=keeper))

    first = caption(LocalLink(verifier))
    assert not of(first, BlockEscalated) and of(first, BlockKept)[1].threshold == 0.9
    assert keeper.captions == 1 and keeper.rate == 0.0
    assert keeper.threshold == 0.0, "one token in fourteen is within the budget"
    (sent,) = of(caption(LocalLink(verifier)), BlockEscalated)
    assert sent.threshold == 0.0 and keeper.rate == pytest.approx(0.5 / len(LOW))


def test_a_keeper_learns_nothing_from_captions_that_could_not_spend_or_did_not_end() -> None:
    class Away(LocalLink):
        def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
            raise VerifierUnavailable("gone")

    keeper = BudgetKeeper(0.1, 0.1)
    options = DecodingOptions(gate="entropy", budget=0.1)
    edge = ScriptedDrafter(LOW, unsure={3: 2.0})
    list(decode(fakes.code(), "aa", edge, Away(ScriptedVerifier(HIGH)), options, keeper=keeper))
    stopped = decode(fakes.code(), "aa", edge, LocalLink(ScriptedVerifier(HIGH)), options, keeper=keeper)
    next(iter(stopped))
    stopped.close()  # type: ignore[attr-defined]
    assert keeper.captions == 0
