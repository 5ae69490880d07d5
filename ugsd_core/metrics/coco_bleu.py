"""BLEU as captioning reports it: with brevity penalty, on lower-case tokens without marks.

The formula is that of the COCO caption evaluation, its two constants included (1e-15 on what is counted, 1e-9 under
the line), so that an order without a match gives almost nothing and not a logarithm of zero. A single clip's value is
the same formula on its own counts.

Several references: an n-gram counts as often as the one reference that has it most, and the length that matters is the
one nearest to the caption's (of two equally near the shorter). A clip without references is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from ugsd_core.metrics.pairs import CleanPair, clean_pairs, library, reference_count
from ugsd_core.metrics.score import CaptionPair, FloatArray, MetricScore
from ugsd_core.metrics.text import bleu_tokens, token_name

__all__ = ["bleu1", "bleu4", "bleu_bp", "length_ratio", "ngrams"]

ORDER = 4
TINY, SMALL = 1e-15, 1e-9


def bleu1(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Corpus BLEU of single words, 0…100."""
    return _metric("bleu1", pairs, language, lambda sums: _bleu(sums, 1))


def bleu4(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Corpus BLEU of one to four words, 0…100."""
    return _metric("bleu4", pairs, language, lambda sums: _bleu(sums, ORDER))


def bleu_bp(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Brevity penalty of the corpus, 0…1."""
    return _metric("bleu_bp", pairs, language, lambda sums: _known(sums, np.exp(_penalty(sums))))


def length_ratio(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Tokens of the captions over those of the nearest references."""
    return _metric("length_ratio", pairs, language, lambda sums: _known(sums, sums[:, 0] / np.maximum(sums[:, 1], 1)))


def ngrams(tokens: Sequence[str], most: int = ORDER) -> Counter[tuple[str, ...]]:
    """How often each run of 1 to ``most`` tokens is there."""
    return Counter(tuple(tokens[i : i + n]) for n in range(1, most + 1) for i in range(len(tokens) - n + 1))


def _metric(
    name: str, pairs: Sequence[CaptionPair], language: str, aggregate: Callable[[FloatArray], FloatArray]
) -> MetricScore:
    texts = clean_pairs(pairs)
    statistics = _counts(texts, language)
    value = aggregate(statistics.sum(axis=0, keepdims=True))[0]
    each = aggregate(statistics)
    per_clip = tuple(float(v) if references else None for v, (_, references) in zip(each, texts, strict=True))
    signature = f"coco-bleu|nrefs:{reference_count(texts)}|case:lc|tok:{token_name(language)}|len:closest|smooth:1e-15"
    if language == "en":
        signature += f"|{library('nltk')}"
    return MetricScore(name, None if np.isnan(value) else float(value), per_clip, signature, statistics, aggregate)


@lru_cache(maxsize=4)
def _counts(texts: tuple[CleanPair, ...], language: str) -> FloatArray:
    """Lengths of caption and nearest reference, matches by order, n-grams by order: shape (n, 2 + 2·4)."""
    rows = np.zeros((len(texts), 2 + 2 * ORDER))
    for row, (hypothesis, references) in zip(rows, texts, strict=True):
        ours = bleu_tokens(hypothesis, language)
        # A reference that holds no word at all says nothing.
        theirs = [tokens for reference in references if (tokens := bleu_tokens(reference, language))]
        if not theirs:
            continue
        allowed: Counter[tuple[str, ...]] = Counter()
        for tokens in theirs:
            allowed |= ngrams(tokens)
        row[0] = len(ours)
        row[1] = min((abs(len(tokens) - len(ours)), len(tokens)) for tokens in theirs)[1]
        for gram, count in ngrams(ours).items():
            row[1 + len(gram)] += min(count, allowed[gram])
        row[2 + ORDER :] = [max(0, len(ours) - n) for n in range(ORDER)]
    return rows


def _penalty(sums: FloatArray) -> FloatArray:
    """Logarithm of the brevity penalty."""
    ratio = (sums[:, 0] + TINY) / (sums[:, 1] + SMALL)
    return np.minimum(0.0, 1 - 1 / ratio)


def _bleu(sums: FloatArray, order: int) -> FloatArray:
    matched, total = sums[:, 2 : 2 + order], sums[:, 2 + ORDER : 2 + ORDER + order]
    logs = np.log((matched + TINY) / (total + SMALL)).mean(axis=1)
    return _known(sums, 100 * np.exp(logs + _penalty(sums)))


def _known(sums: FloatArray, values: FloatArray) -> FloatArray:
    """NaN where no clip has a reference."""
    return np.where(sums[:, 1] > 0, values, np.nan)
