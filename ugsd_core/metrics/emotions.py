"""Whether a caption names the right emotions, by the synonym table of `ugsd_core.lexicon`.

n-gram scores hardly see the emotion: one word of thirty decides it. Here only the labels count that a text names,
negated words left out. Of several references every label counts that any of them names. Where the references name no
emotion, or the clip has no label, the clip is left out of that metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ugsd_core import __version__
from ugsd_core.lexicon import EMOTION_LABELS, emotions_in
from ugsd_core.metrics.pairs import clean_pairs, reference_count
from ugsd_core.metrics.score import CaptionPair, MetricScore, mean_score

__all__ = ["emotion_consistency", "emotion_coverage", "emotion_f1"]

_read = lru_cache(maxsize=65536)(emotions_in)


def emotion_f1(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Mean F1 of the labels that caption and references name, 0…100."""
    per_clip = tuple(
        200 * len(ours & theirs) / (len(ours) + len(theirs)) if theirs else None
        for ours, theirs in _labels(pairs, language)
    )
    return mean_score("emotion_f1", per_clip, _signature(pairs, language))


def emotion_coverage(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Mean share of the references' labels that the caption names, 0…100."""
    per_clip = tuple(
        100 * len(ours & theirs) / len(theirs) if theirs else None for ours, theirs in _labels(pairs, language)
    )
    return mean_score("emotion_coverage", per_clip, _signature(pairs, language))


def emotion_consistency(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Share of the labelled clips whose caption names the clip's own label first, 0…100."""
    named = (_read(hypothesis, language) for hypothesis, _ in clean_pairs(pairs))
    per_clip = tuple(
        100.0 * (words[:1] == (pair.label,)) if pair.label in EMOTION_LABELS else None
        for words, pair in zip(named, pairs, strict=True)
    )
    return mean_score("emotion_consistency", per_clip, f"emotions|{_lexicon(language)}|match:first-named")


def _labels(pairs: Sequence[CaptionPair], language: str) -> list[tuple[frozenset[str], frozenset[str]]]:
    """What each caption names, and what any of its references does."""
    return [
        (frozenset(_read(hypothesis, language)), frozenset(n for r in references for n in _read(r, language)))
        for hypothesis, references in clean_pairs(pairs)
    ]


def _signature(pairs: Sequence[CaptionPair], language: str) -> str:
    return f"emotions|{_lexicon(language)}|nrefs:{reference_count(clean_pairs(pairs))}|refs:union"


def _lexicon(language: str) -> str:
    """The lexicon has no version of its own: it is part of the program."""
    return f"lexicon:ugsd-{__version__}|lang:{language}|labels:{len(EMOTION_LABELS)}|negation:yes"
