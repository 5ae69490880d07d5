"""How long captions and references are; n-gram scores can't be read without it.

English counts words ("don't" is one), Chinese characters; marks and white space do not count. An empty caption has
length 0. Several references: their mean. A clip without references is left out of ``reference_length`` alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from ugsd_core.metrics.pairs import clean_pairs
from ugsd_core.metrics.score import CaptionPair, MetricScore, mean_score
from ugsd_core.metrics.text import characters, plain_words

__all__ = ["length", "reference_length"]


def length(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Mean length of a caption, in words or characters."""
    per_clip = tuple(float(_count(hypothesis, language)) for hypothesis, _ in clean_pairs(pairs))
    return mean_score("length", per_clip, f"length|tok:{_name(language)}")


def reference_length(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Mean length of a reference, in words or characters."""
    per_clip = tuple(
        sum(_count(r, language) for r in references) / len(references) if references else None
        for _, references in clean_pairs(pairs)
    )
    return mean_score("reference_length", per_clip, f"length|tok:{_name(language)}|refs:mean")


def _count(text: str, language: str) -> int:
    return len(characters(text, marks=False) if language == "zh" else plain_words(text))


def _name(language: str) -> str:
    return "char-nopunct" if language == "zh" else "words"
