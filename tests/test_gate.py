from __future__ import annotations

from dataclasses import replace

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.gate import GATES, THRESHOLD_GATES, DraftBlock, DraftToken, first_threshold, gate, gate_warnings, own_tau
from ugsd_core.gate_card import GateCard
from ugsd_core.messages import Alternative, Signals
from ugsd_core.options import DecodingOptions, preset


def block(*tokens: str, entropies: dict[int, float] | None = None, before: str = "", index: int = 0) -> DraftBlock:
    drafted = []
    for i, text in enumerate(tokens):
        entropy = (entropies or {}).get(i, 0.1)
        signals = Signals(entropy, margin=1.0 - entropy / 4, nll_nats=entropy / 2, mc_dropout_nats=entropy / 10)
        drafted.append(DraftToken(10 + i, i, text, signals, ()))
    return DraftBlock(index, 0, 10, tuple(drafted), before)


def chosen(name: str, **changes: object):
    return gate(DecodingOptions(gate=name, mc_dropout_samples=4, **changes), "ab12")  # type: ignore[arg-type]


def test_entropy_gate_takes_the_maximum_and_compares_strictly() -> None:
    tokens = block(" low", " and", " slow", entropies={2: 1.5})
    yes = chosen("entropy", tau=1.4).decide(tokens)
    assert yes.escalate and yes.score == 1.5 and yes.trigger_position == 12
    assert "slow" in yes.reason and "1.50" in yes.reason and "1.40" in yes.reason
    assert not chosen("entropy", tau=1.5).decide(tokens).escalate


@pytest.mark.parametrize(("name", "score"), [("margin", 0.5), ("nll", 1.0), ("mc_dropout", 0.2)])
def test_other_scores_point_the_same_way(name: str, score: float) -> None:
    tokens = block(" low", " and", entropies={0: 2.0})
    assert chosen(name, tau=score - 0.01).decide(tokens).escalate
    decision = chosen(name, tau=score + 0.01).decide(tokens)
    assert not decision.escalate and decision.score == pytest.approx(score)


def test_emotion_entropy_looks_at_emotion_words_only() -> None:
    unsure_of_cue = block(" low", " and", " slow", entropies={0: 3.0})
    decision = chosen("emotion_entropy", tau=0.3).decide(unsure_of_cue)
    assert not decision.escalate and decision.score is None and "no emotion word" in decision.reason
    unsure_of_emotion = block(" feels", " sad", ".", entropies={0: 3.0, 1: 0.5})
    decision = chosen("emotion_entropy", tau=0.3).decide(unsure_of_emotion)
    assert decision.escalate and decision.score == 0.5 and decision.trigger_position == 11


def test_an_emotion_word_that_began_in_the_block_before_counts_where_it_ends() -> None:
    decision = chosen("emotion_words").decide(block("ness", ".", before="The speaker shows sad"))
    assert decision.escalate and decision.trigger_position == 10
    assert not chosen("emotion_words").decide(block(" voice", before="She is sad. The")).escalate


def test_content_rules_in_both_languages() -> None:
    assert chosen("digits").decide(block(" at", " 3")).escalate
    assert chosen("dates").decide(block(" in", " May", before="It was")).escalate
    assert chosen("names").decide(block(" and", " Anna", before="He")).escalate
    assert not chosen("names").decide(block(" The", " voice", before="It is low.")).escalate
    assert chosen("emotion_words", language="zh").decide(block("流露出", "悲伤", "。")).escalate
    assert chosen("dates", language="zh").decide(block("星期三")).escalate
    assert chosen("digits", language="zh").decide(block("三次")).escalate
    everything = chosen("content").decide(block(" the", " voice"))
    assert not everything.escalate and "a number" in everything.reason


def test_random_gate_repeats_for_a_seed_and_meets_its_rate() -> None:
    def draws(seed: int) -> list[bool]:
        chooser = chosen("random", seed=seed, escalation_probability=0.3)
        return [chooser.decide(block(" a", index=i)).escalate for i in range(1000)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert 0.25 < sum(draws(1)) / 1000 < 0.35


def test_constant_gates_and_edge_only_mode() -> None:
    tokens = block(" sad", entropies={0: 9.0})
    assert chosen("always").decide(tokens).escalate
    assert not chosen("never").decide(tokens).escalate
    assert not gate(DecodingOptions(mode="edge", gate="always"), "ab").decide(tokens).escalate


def test_joined_gates_escalate_when_any_does() -> None:
    joined = chosen("entropy+digits", tau=1.0)
    assert joined.decide(block(" 3")).escalate
    assert joined.decide(block(" low", entropies={0: 2.0})).escalate
    quiet = joined.decide(block(" low"))
    assert not quiet.escalate and quiet.score == pytest.approx(0.1)


def test_wrong_names_and_missing_settings() -> None:
    with pytest.raises(OptionError, match="there is no gate 'entropie'"):
        chosen("entropy+entropie")
    with pytest.raises(OptionError, match="mc-dropout-samples"):
        gate(DecodingOptions(gate="mc_dropout"), "ab")
    assert set(GATES) >= {"entropy", "margin", "nll", "mc_dropout", "content", "random", "never", "always"}
    for name in ("default", "paper", "proposal", "lossless"):
        gate(preset(name), "ab")


# ── Gates that look at meaning ────────────────────────────────────────────────────────────────────────────────────

FLAT = (1 / 9,) * 9
CARD = GateCard(
    signals=("text_doubt",),
    mean=(0.0,),
    scale=(1.0,),
    weights=(10.0,),
    bias=-5.0,
    threshold=0.5,
    budgets=((0.05, 0.7), (0.1, 0.3)),
    promises=((0.1, 0.2),),
)


def named(doubt: float, *, head: float | None = 0.5, before: tuple[str, ...] = (" feels",)) -> DraftBlock:
    """A block that ends with an emotion word, drafted with this doubt of the text."""
    held = block(*before, " sad", entropies={i: 3.0 for i in range(len(before))})
    *others, word = held.tokens
    signals = replace(
        word.signals, label_mass=FLAT, label_entropy_nats=2 * doubt, head_doubt=head, text_doubt=doubt, fused_doubt=0.3
    )
    return replace(held, tokens=(*others, replace(word, signals=signals, emotion="begins")))


@pytest.mark.parametrize(
    ("name", "score"), [("semantic_entropy", 0.8), ("head_doubt", 0.5), ("text_doubt", 0.4), ("fused_doubt", 0.3)]
)
def test_label_gates_compare_their_own_signal_at_emotion_positions_only(name: str, score: float) -> None:
    yes = chosen(name, tau=score - 0.01).decide(named(0.4))
    assert yes.escalate and yes.score == pytest.approx(score) and yes.trigger_position == 11 and "sad" in yes.reason
    assert not chosen(name, tau=score).decide(named(0.4)).escalate, "compared strictly"
    quiet = chosen(name, tau=0.0).decide(block(" low", " and", entropies={0: 9.0}))
    assert not quiet.escalate and quiet.score is None and quiet.threshold == 0.0 and "no emotion" in quiet.reason


def test_a_place_that_could_hold_an_emotion_is_looked_at_for_what_is_known_there() -> None:
    held = named(0.9)
    very = replace(held.tokens[-1], text=" very", emotion="could")
    very = replace(very, signals=replace(very.signals, head_doubt=None, text_doubt=None, fused_doubt=None))
    could = replace(held, tokens=(very,))
    assert chosen("semantic_entropy", tau=1.0).decide(could).escalate
    assert not chosen("head_doubt", tau=0.0).decide(could).escalate
    assert chosen("random_emotion", escalation_probability=1.0).decide(could).escalate


def test_without_a_head_the_gate_that_needs_it_sends_nothing_and_says_so() -> None:
    assert not chosen("head_doubt", tau=0.0).decide(named(0.9, head=None)).escalate
    options = DecodingOptions(gate="head_doubt")
    assert gate_warnings(options, None, has_head=True) == ()
    (warning,) = gate_warnings(options, None, has_head=False)
    assert "no emotion head" in warning
    assert gate_warnings(options.changed(mode="edge"), None, has_head=False) == ()


def test_random_emotion_draws_among_emotion_blocks_alone_at_its_rate() -> None:
    chooser = chosen("random_emotion", escalation_probability=0.3)
    sent = [chooser.decide(replace(named(0.1), index=i)).escalate for i in range(1000)]
    assert 0.25 < sum(sent) / 1000 < 0.35
    assert not any(chooser.decide(block(" low", index=i)).escalate for i in range(100))


def test_the_calibrated_gate_compares_the_cards_score_with_the_cards_threshold() -> None:
    yes = gate(DecodingOptions(gate="calibrated"), card=CARD).decide(named(0.6))
    assert yes.escalate and yes.score == pytest.approx(CARD.score(named(0.6).tokens[-1].signals))
    assert yes.threshold == 0.5 and yes.trigger_position == 11 and "sad" in yes.reason
    assert not gate(DecodingOptions(gate="calibrated"), card=CARD).decide(named(0.4)).escalate
    assert not gate(DecodingOptions(gate="calibrated"), card=CARD).decide(block(" low")).escalate


@pytest.mark.parametrize(
    ("changes", "threshold"),
    [
        ({}, 0.5),
        ({"tau": 0.7}, 0.7),
        ({"budget": 0.1}, 0.3),
        ({"promise": 0.1}, 0.2),
        ({"budget": 0.05, "promise": 0.5}, 0.2),
    ],
)
def test_a_promise_comes_before_a_budget_and_that_before_the_card(changes: dict[str, float], threshold: float) -> None:
    options = DecodingOptions(gate="calibrated", **changes)  # type: ignore[arg-type]
    assert gate(options, card=CARD).decide(named(0.6)).threshold == threshold
    assert first_threshold(options, CARD) == threshold
    assert gate(options, card=CARD, threshold=0.9).decide(named(0.6)).threshold == 0.9, "a keeper knows better"


def test_without_a_card_the_entropy_of_the_emotion_word_decides_and_the_caption_says_so() -> None:
    options = DecodingOptions(gate="calibrated", tau=0.5, language="en")
    unsure = block(" feels", " sad", entropies={0: 3.0, 1: 0.6})
    decision = gate(options).decide(unsure)
    assert decision.escalate and (decision.score, decision.threshold) == (0.6, 0.5)
    (warning,) = gate_warnings(options, None, has_head=True)
    assert "no gate card for 'en'" in warning and "τ = 0.5" in warning
    (promised,) = gate_warnings(options.changed(promise=0.1), None, has_head=True)
    assert "no promise" in promised
    assert gate_warnings(options, CARD, has_head=True) == ()


def test_a_promise_that_the_card_cannot_keep_sends_every_emotion_and_says_so() -> None:
    options = DecodingOptions(gate="calibrated", promise=0.01)
    assert gate(options, card=CARD).decide(named(0.0)).escalate
    (warning,) = gate_warnings(options, CARD, has_head=True)
    assert "α = 0.01" in warning and "every emotion" in warning


# ── Baselines ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_instability_is_the_mean_change_of_the_entropy_within_the_block() -> None:
    held = block(" low", " and", " slow", entropies={0: 0.5, 1: 2.0, 2: 1.0})
    decision = chosen("instability", tau=1.2).decide(held)
    assert decision.escalate and decision.score == pytest.approx((1.5 + 1.0) / 2) and decision.trigger_position == 11
    joined = chosen("instability", tau=1.2).decide(replace(held, entropy_before=0.4))
    assert not joined.escalate and joined.score == pytest.approx((0.1 + 1.5 + 1.0) / 3)
    alone = chosen("instability", tau=0.0).decide(block(" low", entropies={0: 3.0}))
    assert not alone.escalate and (alone.score, alone.trigger_position) == (0.0, None)
    behind = chosen("instability", tau=1.0).decide(replace(block(" low", entropies={0: 3.0}), entropy_before=0.5))
    assert behind.escalate and behind.score == 2.5 and behind.trigger_position == 10


def test_bild_falls_back_when_the_best_token_is_less_likely_than_tau() -> None:
    held = block(" low", " and")
    tokens = tuple(
        replace(token, top=(Alternative(1, "x", p), Alternative(2, "y", 0.01)))
        for token, p in zip(held.tokens, (0.9, 0.55), strict=True)
    )
    held = replace(held, tokens=tokens)
    yes = chosen("bild", tau=0.6).decide(held)
    assert yes.escalate and yes.trigger_position == 11 and "0.55" in yes.reason and "0.60" in yes.reason
    assert yes.score == pytest.approx(0.45) and yes.threshold == pytest.approx(0.4), "larger is less sure, as elsewhere"
    assert not chosen("bild", tau=0.5).decide(held).escalate
    with pytest.raises(OptionError, match="0…1"):
        chosen("bild", tau=1.5)


# ── Budgets ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", THRESHOLD_GATES)
def test_every_gate_with_a_threshold_takes_the_one_of_a_budget(name: str) -> None:
    held = named(0.6)
    held = replace(held, tokens=tuple(replace(t, top=(Alternative(1, "x", 0.5),)) for t in held.tokens))
    options = DecodingOptions(gate=name, budget=0.1, mc_dropout_samples=4)
    for card in (None, CARD):
        low, high = (gate(options, card=card, threshold=t).decide(held) for t in (0.0, 99.0))
        assert low.escalate and not high.escalate and (low.threshold, high.threshold) == (0.0, 99.0)
        assert low.score == high.score


def test_a_budget_steers_exactly_one_threshold_and_content_rules_may_stand_beside_it() -> None:
    for name in ("always", "random", "content", "entropy+margin", "entropy+random", "entropy+always"):
        with pytest.raises(OptionError, match="budget"):
            gate(DecodingOptions(gate=name, budget=0.1))
    gate(DecodingOptions(gate="entropy+digits+names", budget=0.1))
    gate(DecodingOptions(mode="edge", gate="always", budget=0.1))


def test_a_promise_needs_the_calibrated_gate() -> None:
    with pytest.raises(OptionError, match="only the gate 'calibrated'"):
        gate(DecodingOptions(gate="entropy", promise=0.1))
    gate(DecodingOptions(gate="calibrated+digits", promise=0.1))


def test_the_first_threshold_is_on_the_scale_of_the_score() -> None:
    assert first_threshold(DecodingOptions(gate="digits+margin", tau=0.3), None) == 0.3
    assert first_threshold(DecodingOptions(gate="bild", tau=0.6), None) == pytest.approx(0.4)
    assert first_threshold(DecodingOptions(gate="calibrated", tau=0.6), None) == 0.6


def test_a_gate_without_tau_has_one_of_its_own() -> None:
    for name in THRESHOLD_GATES:
        assert first_threshold(DecodingOptions(gate=name), None) == own_tau(name), name
