"""CIDEr-D (Vedantam, Zitnick and Parikh 2015), with document frequencies from the references that are evaluated.

For n = 1…4 a text is the vector of its n-grams, each counted and weighted by log(clips / clips whose references have
it). Caption and reference are compared by the cosine, the caption's weights cut to the reference's (*D*), times
exp(−(difference in length)² / 2σ²) with σ = 6; the mean over n, times 10. Several references: the mean over them.

With one clip every weight is log(1) = 0, so the metric needs two. An empty caption scores 0; a clip without references
is left out, of the weights too. When clips are resampled the weights stay those of all clips.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ugsd_core.metrics.coco_bleu import ORDER, ngrams
from ugsd_core.metrics.pairs import clean_pairs, library, reference_count
from ugsd_core.metrics.score import CaptionPair, MetricScore, mean_score
from ugsd_core.metrics.text import bleu_tokens, token_name

__all__ = ["SIGMA", "cider_d"]

#: Width of the penalty for another length, in tokens.
SIGMA = 6.0

Gram = tuple[str, ...]
#: How often each n-gram is there, and the number of tokens.
_Counted = tuple[Counter[Gram], int]
#: An n-gram's weighted count by order (index n − 1), the vector's norm of each order, and the number of tokens.
_Vector = tuple[list[dict[Gram, float]], list[float], int]


def cider_d(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Mean CIDEr-D, 0…10; None where fewer than two clips have a reference."""
    texts = clean_pairs(pairs)
    counted = [
        (_counted(hypothesis, language), [_counted(reference, language) for reference in references])
        for hypothesis, references in texts
    ]
    with_reference = sum(bool(references) for _, references in counted)
    frequency: Counter[Gram] = Counter()
    for _, references in counted:
        frequency.update({gram for grams, _ in references for gram in grams})
    logs = math.log(with_reference) if with_reference else 0.0
    weights = {gram: logs - math.log(count) for gram, count in frequency.items()}

    def score(hypothesis: _Counted, references: Sequence[_Counted]) -> float | None:
        if not references or with_reference < 2:
            return None
        ours = _vector(hypothesis, weights, logs)
        return 10 * sum(_likeness(ours, _vector(r, weights, logs)) for r in references) / len(references)

    per_clip = tuple(score(hypothesis, references) for hypothesis, references in counted)
    signature = (
        f"cider-d|n:1-{ORDER}|sigma:{SIGMA:g}|scale:10|idf:evaluated references ({with_reference} clips)|case:lc"
        f"|tok:{token_name(language)}|nrefs:{reference_count(texts)}|refs:mean"
    )
    if with_reference < 2:
        signature += "|n/a (needs ≥ 2 clips)"
    if language == "en":
        signature += f"|{library('nltk')}"
    return mean_score("cider_d", per_clip, signature)


def _counted(text: str, language: str) -> _Counted:
    tokens = bleu_tokens(text, language)
    return ngrams(tokens), len(tokens)


def _vector(counted: _Counted, weights: dict[Gram, float], unseen: float) -> _Vector:
    """What no reference has weighs most."""
    grams, length = counted
    orders: list[dict[Gram, float]] = [{} for _ in range(ORDER)]
    for gram, count in grams.items():
        orders[len(gram) - 1][gram] = count * weights.get(gram, unseen)
    return orders, [math.sqrt(sum(value**2 for value in order.values())) for order in orders], length


def _likeness(ours: _Vector, theirs: _Vector) -> float:
    total = 0.0
    for mine, other, my_norm, other_norm in zip(ours[0], theirs[0], ours[1], theirs[1], strict=True):
        if my_norm > 0 and other_norm > 0:
            shared = sum(min(value, other[gram]) * other[gram] for gram, value in mine.items() if gram in other)
            total += shared / (my_norm * other_norm)
    return total / ORDER * math.exp(-((ours[2] - theirs[2]) ** 2) / (2 * SIGMA**2))
