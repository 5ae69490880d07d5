from __future__ import annotations

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.gate import GATES, DraftBlock, DraftToken, gate
from ugsd_core.messages import Signals
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
