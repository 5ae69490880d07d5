from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.fakes import END, VOCABULARY, ScriptedDrafter, ScriptedVerifier, WordLabels, code, ids
from ugsd_core.acceptance import (
    ACCEPTANCE_RULES,
    EMOTION_WANTED,
    AcceptanceRule,
    FusedRule,
    acceptance_rule,
    rank_warning,
)
from ugsd_core.decoding import decode
from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.messages import CaptionFinished, Event, TokenDecided
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.posterior import dequantise, quantise
from ugsd_core.uncertainty import Distribution, distribution
from ugsd_core.verifier import LocalLink

PROBS = (0.05, 0.5, 0.3, 0.15)
SEEN = distribution(np.log(np.array(PROBS, dtype=np.float32)), 4)


def accepted(name: str, *, rank: int = 1, probability: float = 0.3) -> list[int]:
    rule = acceptance_rule(name, rank=rank, probability=probability)
    return [i for i in range(4) if rule.judge(i, SEEN) is None]


def test_rank_accepts_the_r_best() -> None:
    assert accepted("rank", rank=1) == [1]
    assert accepted("rank", rank=2) == [1, 2]
    assert accepted("rank", rank=4) == [0, 1, 2, 3]


def test_probability_accepts_from_p_on_and_always_the_best() -> None:
    assert accepted("probability", probability=0.29) == [1, 2]
    assert accepted("probability", probability=0.9) == [1]


def test_typical_asks_less_of_an_undecided_verifier() -> None:
    rule = acceptance_rule("typical", rank=1, probability=0.3)
    decided = distribution(np.log(np.array([0.97, 0.01, 0.01, 0.01], dtype=np.float32)), 4)
    assert rule.judge(1, decided) == 0
    # entropy of PROBS is 1.14 nats: the bar is min(0.3, 0.548 * exp(-1.14)) = 0.175
    assert accepted("typical", probability=0.3) == [1, 2]
    flat = distribution(np.zeros(100, dtype=np.float32), 4)
    assert rule.judge(57, flat) is None


def test_greedy_accepts_only_the_verifiers_choice() -> None:
    assert accepted("greedy") == [1]


@pytest.mark.parametrize("name", list(ACCEPTANCE_RULES))
def test_every_rule_accepts_the_verifiers_own_choice(name: str) -> None:
    flat = distribution(np.zeros(500, dtype=np.float32), 4)
    rule = acceptance_rule(name, rank=1, probability=0.9)
    assert rule.judge(flat.best, flat) is None and rule.choice(flat) == flat.best


@pytest.mark.parametrize("name", list(ACCEPTANCE_RULES))
def test_every_rule_replaces_by_the_verifiers_best_where_no_emotion_is_judged(name: str) -> None:
    rule = acceptance_rule(name, rank=1, probability=0.4)
    for posterior in (None, (255,) * 9):
        assert {rule.judge(i, SEEN, posterior) for i in (0, 2, 3)} - {None} == {1}


def test_unknown_rule() -> None:
    with pytest.raises(OptionError, match="choose one of rank"):
        acceptance_rule("best", rank=1, probability=0.5)


def test_warns_when_a_rank_cannot_reject() -> None:
    assert "cannot reject anything" in str(rank_warning(preset("paper", rank=700), 700))
    assert "almost nothing" in str(rank_warning(preset("paper"), 700))
    assert rank_warning(preset("paper"), 151_646) is None
    assert rank_warning(preset("default"), 700) is None
    assert "nothing but an emotion" in str(rank_warning(preset("default", rank=20), 700))
    assert "anything but an emotion" in str(rank_warning(preset("default", rank=700), 700))
    assert rank_warning(DecodingOptions(mode="edge", rank=700), 700) is None


# ── Fused ─────────────────────────────────────────────────────────────────────────────────────────────────────────

LABELS = WordLabels()
SAD, HAPPY, ANGRY, CALM, LOW = ids("sad", "happy", "angry", "calm", "low")
FLAT = (255,) * len(EMOTION_LABELS)


def mind(**probabilities: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Logits of a distribution over words; what is left over is spread over the rest."""
    row = np.full(len(VOCABULARY), (1.0 - sum(probabilities.values())) / (len(VOCABULARY) - len(probabilities)))
    for word, probability in probabilities.items():
        row[ids(word)[0]] = probability
    return np.log(np.maximum(row, 1e-12)).astype(np.float32)


def view(**probabilities: float) -> tuple[int, ...]:
    """The edge's posterior."""
    values = dict.fromkeys(EMOTION_LABELS, 1e-4) | probabilities
    return quantise([values[label] for label in EMOTION_LABELS])


def seen(**probabilities: float) -> Distribution:
    return distribution(mind(**probabilities), 5)


def fused(fusion: float = 0.5, **settings: Any) -> AcceptanceRule:
    return acceptance_rule("fused", **{"rank": 1, "probability": 0.5, "fusion": fusion, "tokens": LABELS} | settings)


TORN = seen(sad=0.5, angry=0.4)


def test_both_views_together_decide_the_emotion() -> None:
    sure_of_anger = view(anger=0.8, sadness=0.2)  # 0.5 · 0.2 < 0.4 · 0.8
    assert fused().judge(ANGRY, TORN, sure_of_anger) is None, "the verifier's second choice stands"
    assert fused().judge(SAD, TORN, sure_of_anger) == ANGRY, "and its first one is replaced"
    assert fused().judge(HAPPY, TORN, sure_of_anger) == ANGRY
    slightly = view(anger=0.52, sadness=0.48)  # 0.5 · 0.48 > 0.4 · 0.52
    assert fused().judge(SAD, TORN, slightly) is None and fused().judge(ANGRY, TORN, slightly) == SAD


def test_the_product_is_the_one_that_was_promised() -> None:
    """Against the formula in plain arithmetic, for many pairs of views."""
    random = np.random.default_rng(3)
    words = {"sad": "sadness", "happy": "happiness", "angry": "anger", "calm": "calm"}
    for fusion in (0.0, 0.3, 0.5, 0.8, 1.0):
        for _ in range(40):
            own = dict(zip(words, random.dirichlet([0.7] * 4) * 0.9, strict=True))
            edge = view(**dict(zip(words.values(), random.dirichlet([0.7] * 4), strict=True)))
            p_edge = dict(zip(EMOTION_LABELS, dequantise(edge), strict=True))
            best = max(words, key=lambda word: own[word] ** fusion * p_edge[words[word]] ** (1 - fusion))
            rule, position = fused(fusion), seen(**own)
            assert rule.judge(ids(best)[0], position, edge) is None
            assert {rule.judge(i, position, edge) for i in (SAD, HAPPY, ANGRY, CALM)} == {None, ids(best)[0]}


def test_fusion_of_1_names_the_verifiers_own_label_whatever_the_edge_thinks() -> None:
    for posterior in (FLAT, view(anger=1.0), view(sadness=1.0)):
        assert fused(1.0).judge(SAD, TORN, posterior) is None
        assert fused(1.0).judge(ANGRY, TORN, posterior) == SAD
        assert fused(1.0).choice(TORN, posterior) == SAD


def test_an_edge_without_an_opinion_leaves_the_verifiers_label_at_any_fusion() -> None:
    for fusion in (0.0, 0.01, 0.5, 1.0):
        for position in (TORN, seen(happy=0.35, calm=0.4), seen(angry=0.3, sad=0.29)):
            for token_id in (SAD, HAPPY, ANGRY, CALM):
                assert fused(fusion).judge(token_id, position, FLAT) == fused(1.0).judge(token_id, position, FLAT)


def test_fusion_of_0_is_the_edges_label_alone() -> None:
    assert fused(0.0).judge(ANGRY, TORN, view(anger=0.51, sadness=0.49)) is None
    assert fused(0.0).judge(SAD, TORN, view(anger=0.51, sadness=0.49)) == ANGRY


def test_a_label_is_the_sum_of_its_words_and_its_best_word_is_put_there() -> None:
    class Two(WordLabels):
        """One label with two words: calm counts as sadness."""

        def __init__(self) -> None:
            super().__init__()
            self._labels[CALM] = self._labels[SAD]

    position = seen(angry=0.4, sad=0.2, calm=0.35)
    assert fused(1.0).judge(SAD, position, FLAT) == ANGRY
    assert fused(1.0, tokens=Two()).judge(ANGRY, position, FLAT) == CALM, "0.55 against 0.4, and its best word"
    assert fused(1.0, tokens=Two()).judge(SAD, position, FLAT) is None, "the wording is the edge's"


def test_where_the_verifier_wants_no_emotion_word_tokens_pass_by_rank() -> None:
    hardly = seen(low=0.52, sad=0.3, angry=0.1)
    assert fused().judge(SAD, hardly, view(sadness=1.0)) == LOW
    assert fused(rank=2).judge(SAD, hardly, view(anger=1.0)) is None
    at_the_bar = seen(low=0.4, sad=EMOTION_WANTED + 0.01)
    assert fused().judge(LOW, at_the_bar, view(sadness=1.0)) == SAD


def test_other_positions_are_judged_by_rank() -> None:
    position = seen(low=0.6, slow=0.3)
    for rank in (1, 2):
        plain = acceptance_rule("rank", rank=rank, probability=0.5)
        for token_id in ids("low", "slow", "high"):
            for posterior in (None, FLAT, view(anger=1.0)):
                assert fused(rank=rank).judge(token_id, position, posterior) == plain.judge(token_id, position)


def test_without_the_edges_view_or_without_labels_everything_is_judged_by_rank() -> None:
    plain = acceptance_rule("rank", rank=1, probability=0.5)
    for token_id in range(len(VOCABULARY)):
        assert fused().judge(token_id, TORN) == plain.judge(token_id, TORN)
        assert fused(tokens=None).judge(token_id, TORN, view(anger=1.0)) == plain.judge(token_id, TORN)


def test_a_label_that_the_tokenizer_cannot_say_is_never_chosen() -> None:
    assert not LABELS.ids_of(EMOTION_LABELS.index("disgust")).size
    assert fused(0.0).judge(SAD, TORN, view(disgust=1.0, sadness=0.5, anger=0.1)) is None


def test_the_edge_cannot_veto_by_rounding_to_0() -> None:
    convinced = seen(sad=0.9998)
    assert fused().judge(SAD, convinced, view(anger=1.0, sadness=0.0)) is None
    assert fused().judge(SAD, TORN, view(anger=1.0, sadness=0.0)) == ANGRY


def test_a_bonus_token_at_an_emotion_word_is_fused_too() -> None:
    assert fused().choice(TORN, view(anger=0.9, sadness=0.1)) == ANGRY
    assert fused().choice(TORN) == SAD
    assert fused().choice(seen(low=0.9), view(anger=1.0)) == LOW


def test_no_rule_ever_replaces_a_token_by_itself() -> None:
    random = np.random.default_rng(0)
    for _ in range(60):
        position = distribution(random.normal(0.0, 3.0, len(VOCABULARY)).astype(np.float32), 5)
        posterior = quantise(random.dirichlet([0.5] * len(EMOTION_LABELS)))
        for name in ACCEPTANCE_RULES:
            rule = acceptance_rule(name, rank=2, probability=0.3, fusion=random.uniform(), tokens=LABELS)
            assert all(rule.judge(i, position, posterior) != i for i in range(len(VOCABULARY)))


def test_the_registry_hands_a_rule_all_it_may_need() -> None:
    rule = acceptance_rule("fused", rank=3, probability=0.5, fusion=0.2, tokens=LABELS)
    assert isinstance(rule, FusedRule)
    assert (rule.rank, rule.fusion, rule.tokens) == (3, 0.2, LABELS)


# ── Fused, in the loop ────────────────────────────────────────────────────────────────────────────────────────────


def caption(drafted: str, wanted: str, **settings: Any) -> list[Event]:
    """A short caption with one emotion word drafted, at position 3, and a verifier torn over it."""
    script = ids("the", "speaker", "feels", drafted, ".", END)
    verifier = ScriptedVerifier(ids("the", "speaker", "feels", wanted, ".", END), {3: mind(sad=0.5, angry=0.4)})
    options = DecodingOptions(gate="always", acceptance="fused", k=3, **settings)
    head = tuple(float(p) for p in dequantise(view(anger=0.95, sadness=0.05)))
    drafter = ScriptedDrafter(script, masses={3: tuple(1 / 9 for _ in range(9))}, head=head)
    events = list(decode(code(), "0" * 16, drafter, LocalLink(verifier), options))
    assert [request.posterior is not None for request in verifier.requests][:2] == [False, True]
    return events


def decided(events: list[Event]) -> list[tuple[int, str, int | None]]:
    found = [(e.token_id, e.state, e.rank) for e in events if isinstance(e, TokenDecided) and e.position == 3]
    assert isinstance(events[-1], CaptionFinished)
    return found


def test_in_the_loop_the_edges_head_tips_the_balance() -> None:
    assert decided(caption("angry", "sad")) == [(ANGRY, "accepted", 2)]
    assert decided(caption("angry", "sad", fusion=1.0)) == [(ANGRY, "rejected", 2), (SAD, "corrected", 1)]


def test_a_replacement_that_is_not_the_verifiers_best_says_its_rank() -> None:
    assert decided(caption("happy", "sad")) == [(HAPPY, "rejected", HAPPY_RANK), (ANGRY, "corrected", 2)]
    assert decided(caption("happy", "sad", top_k=1))[1] == (ANGRY, "corrected", None), "beyond the list nobody knows"


HAPPY_RANK = distribution(mind(sad=0.5, angry=0.4), 5).rank(HAPPY)
