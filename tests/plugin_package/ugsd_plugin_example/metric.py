"""How varied the words of a caption are."""

from __future__ import annotations

from collections.abc import Sequence

from ugsd_core.metrics import CaptionPair, Metric, MetricScore, mean_score


def distinct_words(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Different words over words; None for a caption without words."""
    captions = [pair.hypothesis.lower().split() for pair in pairs]
    shares = tuple(len(set(words)) / len(words) if words else None for words in captions)
    return mean_score("distinct_words", shares, "distinct_words|tok:space|case:lower")


DISTINCT_WORDS = Metric(
    "distinct_words", ("en",), "0–1", "none", "Different words of a caption over its words; mean.", distinct_words
)
