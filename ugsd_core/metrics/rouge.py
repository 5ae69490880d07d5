"""ROUGE-L: F1 (β = 1) of the longest common subsequence, mean over clips, as Google's ``rouge-score`` has it.

English words are the library's: lower case, without marks, and Porter-stemmed if longer than three letters in
``rougeL``, as in the paper's code and in the library's own example; ``rougeL_unstemmed`` is the library's default,
without stems. The library's tokenizer deletes every character outside a–z and 0–9, which makes all Chinese captions
score 0, so Chinese is compared character by character, marks included.

The length of the subsequence is counted here, in bit vectors: the library fills a table for every pair, which took
a third of all scoring. Recorded values of the library hold the two equal.

Several references: the best one counts. An empty caption scores 0; a clip without references is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ugsd_core.metrics.pairs import clean_pairs, library, reference_count
from ugsd_core.metrics.score import CaptionPair, MetricScore, mean_score
from ugsd_core.metrics.text import PorterStems, characters

__all__ = ["lcs_length", "rouge_l", "rouge_l_unstemmed"]

Tokenize = Callable[[str], Sequence[str]]


def rouge_l(pairs: Sequence[CaptionPair], language: str) -> MetricScore:
    """Mean ROUGE-L, 0…100: of stems in English, of characters in Chinese."""
    if language == "zh":
        return _scored("rougeL", pairs, characters, "stemmer:none|tok:char")
    return _scored("rougeL", pairs, _library_words(stemmer=True), f"stemmer:porter|tok:{library('rouge-score')}")


def rouge_l_unstemmed(pairs: Sequence[CaptionPair], language: str = "en") -> MetricScore:
    """Mean ROUGE-L of English words as they are, 0…100."""
    words = _library_words(stemmer=False)
    return _scored("rougeL_unstemmed", pairs, words, f"stemmer:none|tok:{library('rouge-score')}")


def lcs_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    A bit of ``row`` is 0 where the subsequence grows by one at that token of ``one`` (Hyyrö 2004, "Bit-parallel
    LCS-length computation revisited").
    """
    places: dict[str, int] = {}
    for n, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << n
    full = (1 << len(one)) - 1
    row = full
    for token in other:
        met = row & places.get(token, 0)
        row = ((row + met) | (row - met)) & full
    return len(one) - row.bit_count()


def _library_words(*, stemmer: bool) -> Tokenize:
    """The library's own tokenizer; its stemmer sees each word once."""
    from rouge_score.tokenize import tokenize

    stems = PorterStems() if stemmer else None
    return lambda text: tokenize(text, stems)


def _scored(name: str, pairs: Sequence[CaptionPair], tokenize: Tokenize, tokens: str) -> MetricScore:
    texts = clean_pairs(pairs)

    def score(hypothesis: str, references: Sequence[str]) -> float | None:
        ours = tokenize(hypothesis)
        return max((_f1(ours, tokenize(reference)) for reference in references), default=None)

    per_clip = tuple(score(hypothesis, references) for hypothesis, references in texts)
    signature = f"rougeL|f:beta=1|case:lc|{tokens}|nrefs:{reference_count(texts)}|refs:max"
    return mean_score(name, per_clip, signature)


def _f1(ours: Sequence[str], theirs: Sequence[str]) -> float:
    length = lcs_length(ours, theirs)
    return 200 * length / (len(ours) + len(theirs)) if length else 0.0
