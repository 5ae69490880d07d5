"""BLEU as the paper reports it: sacreBLEU over the corpus.

``paper_bleu1`` is ``precisions[0]``, which knows no brevity penalty, and ``paper_bleu4`` is ``.score``, which does: a
caption half as long as its reference keeps the first and loses most of the second. The values of a single clip are
sacreBLEU's ``sentence_score`` (orders longer than the caption left out).

Several references: an n-gram counts as often as the one reference that has it most, and the length that matters is the
one nearest to the caption's. A clip without references is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ugsd_core.metrics.pairs import CleanPair, clean_pairs, reference_count
from ugsd_core.metrics.score import CaptionPair, FloatArray, MetricScore

__all__ = ["paper_bleu1", "paper_bleu4"]

ORDER = 4


def paper_bleu1(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """sacreBLEU's unigram precision of the corpus, 0…100."""
    statistics, first, _, signature = _counts(clean_pairs(pairs), language)
    return _score("paper_bleu1", first, f"{signature}|value:precisions[0]", statistics, _precision)


def paper_bleu4(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """sacreBLEU's score of the corpus, 0…100."""
    statistics, _, scores, signature = _counts(clean_pairs(pairs), language)
    return _score("paper_bleu4", scores, f"{signature}|value:score", statistics, _corpus_bleu)


def _score(
    name: str, per_clip: tuple[float | None, ...], signature: str, statistics: FloatArray, aggregate: Any
) -> MetricScore:
    value = aggregate(statistics.sum(axis=0, keepdims=True))[0]
    return MetricScore(name, None if np.isnan(value) else float(value), per_clip, signature, statistics, aggregate)


@lru_cache(maxsize=4)
def _counts(
    texts: tuple[CleanPair, ...], language: str
) -> tuple[FloatArray, tuple[float | None, ...], tuple[float | None, ...], str]:
    """Lengths of caption and nearest reference, matches by order, n-grams by order, shape (n, 2 + 2·4); and each clip's
    precision and score; and the corpus' signature."""
    from sacrebleu.metrics.bleu import BLEU

    tokenizer = "zh" if language == "zh" else "13a"
    sentence = BLEU(tokenize=tokenizer, effective_order=True)
    rows = np.zeros((len(texts), 2 + 2 * ORDER))
    first: list[float | None] = []
    scores: list[float | None] = []
    for row, (hypothesis, references) in zip(rows, texts, strict=True):
        if not references:
            first.append(None)
            scores.append(None)
            continue
        found = sentence.sentence_score(hypothesis, references)
        row[:] = (found.sys_len, found.ref_len, *found.counts, *found.totals)
        first.append(float(found.precisions[0]))
        scores.append(float(found.score))
    corpus = BLEU(tokenize=tokenizer)
    count = reference_count(texts)
    corpus.num_refs = -1 if count == "var" else int(count)
    return rows, tuple(first), tuple(scores), f"sacrebleu|{corpus.get_signature()}"


def _precision(sums: FloatArray) -> FloatArray:
    """Percent of the captions' words that are in a reference; NaN where there is no clip."""
    matched, total = sums[:, 2], sums[:, 2 + ORDER]
    values: FloatArray = np.where(total > 0, 100 * matched / np.maximum(total, 1), 0.0)
    return np.where(sums[:, 1] > 0, values, np.nan)


def _corpus_bleu(sums: FloatArray) -> FloatArray:
    """sacreBLEU's ``compute_bleu`` with its *exp* smoothing, for many sums at once."""
    ours, theirs = sums[:, 0], sums[:, 1]
    matched, total = sums[:, 2 : 2 + ORDER], sums[:, 2 + ORDER :]
    # The first order without a match counts as 1/2 of a match, the next as 1/4 …
    zero = (matched == 0) & (total > 0)
    smoothed = np.where(zero, 0.5 ** np.cumsum(zero, axis=1), matched)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(total > 0, smoothed / np.maximum(total, 1), 0.0)).mean(axis=1)
        penalty = np.where(ours < theirs, np.where(ours > 0, 1 - theirs / np.maximum(ours, 1), -np.inf), 0.0)
    values = np.where(matched.any(axis=1), 100 * np.exp(logs + penalty), 0.0)
    return np.where(theirs > 0, values, np.nan)
