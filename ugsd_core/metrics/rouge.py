"""ROUGE-L by Google's ``rouge-score``: F1 (β = 1) of the longest common subsequence, mean over clips.

English words are lower case, without marks, and Porter-stemmed if longer than three letters in ``rougeL``, as in the
paper's code and in the library's own example; ``rougeL_unstemmed`` is the library's default, without stems.
The library's tokenizer deletes every character outside a–z and 0–9, which makes all Chinese captions score 0, so
Chinese is handed to it character by character, marks included.

Several references: the best one counts. An empty caption scores 0; a clip without references is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ugsd_core.metrics.pairs import clean_pairs, library, reference_count
from ugsd_core.metrics.score import CaptionPair, MetricScore, mean_score
from ugsd_core.metrics.text import PorterStems, characters

__all__ = ["rouge_l", "rouge_l_unstemmed"]


class _Remembered:
    """A tokenizer for the library that reads no text twice."""

    def __init__(self, tokenize: Any) -> None:
        self.tokenize = lru_cache(maxsize=65536)(tokenize)


def rouge_l(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Mean ROUGE-L, 0…100: of stems in English, of characters in Chinese."""
    if language == "zh":
        return _scored("rougeL", pairs, _Remembered(characters), "stemmer:none|tok:char")
    return _scored("rougeL", pairs, _default(stemmer=True), "stemmer:porter|tok:rouge-score")


def rouge_l_unstemmed(pairs: Sequence[CaptionPair], language: str = "en") -> MetricScore:
    """Mean ROUGE-L of English words as they are, 0…100."""
    return _scored("rougeL_unstemmed", pairs, _default(stemmer=False), "stemmer:none|tok:rouge-score")


def _default(*, stemmer: bool) -> _Remembered:
    """The library's own tokenizer; its stemmer sees each word once."""
    from rouge_score.tokenize import tokenize

    stems = PorterStems() if stemmer else None
    return _Remembered(lambda text: tokenize(text, stems))


def _scored(name: str, pairs: Sequence[CaptionPair], tokenizer: _Remembered, tokens: str) -> MetricScore:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=tokenizer)
    texts = clean_pairs(pairs)
    per_clip = tuple(
        max(100 * scorer.score(reference, hypothesis)["rougeL"].fmeasure for reference in references)
        if references
        else None
        for hypothesis, references in texts
    )
    signature = f"rougeL|{library('rouge-score')}|f:beta=1|case:lc|{tokens}|nrefs:{reference_count(texts)}|refs:max"
    return mean_score(name, per_clip, signature)
