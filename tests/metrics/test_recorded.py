"""Ours against sacreBLEU, rouge-score, NLTK and pycocoevalcap, whose values were recorded."""

from __future__ import annotations

import pytest

from tests.metrics.cases import recorded_pairs, recorded_values
from ugsd_core.metrics import METRICS

CASES = [
    (language, name)
    for language, names in {
        "en": ("paper_bleu1", "paper_bleu4", "bleu1", "bleu4", "meteor", "rougeL", "rougeL_unstemmed", "cider_d"),
        "zh": ("paper_bleu1", "paper_bleu4", "bleu1", "bleu4", "meteor_exact_zh", "rougeL", "cider_d"),
    }.items()
    for name in names
]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_there_are_at_least_two_hundred_pairs_and_some_have_several_references(language: str) -> None:
    pairs = recorded_pairs(language)
    assert len(pairs) >= 200
    assert sum(len(pair.references) > 1 for pair in pairs) > 40


@pytest.mark.parametrize(("language", "name"), CASES)
def test_corpus_and_every_clip_equal_the_independent_implementation(language: str, name: str) -> None:
    score, values = METRICS[name].score(recorded_pairs(language), language), recorded_values(language)
    assert score.corpus == pytest.approx(values["corpus"][name], rel=1e-9, abs=1e-9)
    assert score.per_clip == pytest.approx(values["per_clip"][name], rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["bleu_bp", "length_ratio"])
def test_brevity_penalty_and_length_ratio_equal_sacrebleu_on_the_same_tokens(language: str, name: str) -> None:
    score = METRICS[name].score(recorded_pairs(language), language)
    assert score.corpus == pytest.approx(recorded_values(language)["corpus"][name], abs=1e-6)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_signature_of_sacrebleu_is_its_own(language: str) -> None:
    score = METRICS["paper_bleu4"].score(recorded_pairs(language), language)
    recorded = recorded_values(language)["corpus"]["sacrebleu_signature"]
    assert recorded.rsplit("|", 1)[0] in score.signature  # the version may be another
