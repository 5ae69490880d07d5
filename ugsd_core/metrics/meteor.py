"""METEOR by NLTK, with WordNet 3.0 in English, and exact matches of characters in Chinese.

NLTK's METEOR (Banerjee and Lavie 2005 with the weights of Agarwal and Lavie 2008) matches words exactly, then by Porter
stem, then as WordNet synonyms. It is not the METEOR 1.5 of the Java tool, which has paraphrases and function words:
the two differ by many points and must not stand in one table. NLTK looks for synonyms of what the stemmer left of a
word ("happi"), so that it finds fewer of them than one would think; we keep to it.

Several references: the best one counts. An empty caption scores 0; a clip without references is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ugsd_core.metrics.pairs import clean_pairs, library, reference_count
from ugsd_core.metrics.score import CaptionPair, MetricScore, mean_score
from ugsd_core.metrics.text import PorterStems, characters, nltk_words

if TYPE_CHECKING:
    from ugsd_core.metrics.synonyms import Synset

__all__ = ["ALPHA", "BETA", "GAMMA", "meteor", "meteor_exact_zh"]

#: NLTK's own defaults: weight of precision against recall, exponent and weight of the penalty for disorder.
ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
_WEIGHTS = f"alpha:{ALPHA}|beta:{BETA}|gamma:{GAMMA}"


class _SameWord:
    """A stemmer and a thesaurus that know nothing: what is left is the exact match."""

    def stem(self, word: str) -> str:
        return word

    def synsets(self, word: str) -> tuple[Synset, ...]:
        return ()


def meteor(pairs: Sequence[CaptionPair], language: str = "en") -> MetricScore:
    """Mean METEOR of English captions, 0…100."""
    from ugsd_core.metrics.synonyms import WORDNET_VERSION, Thesaurus

    texts = clean_pairs(pairs)
    stems, thesaurus = PorterStems(), Thesaurus.load()
    per_clip = tuple(
        _best([nltk_words(r) for r in references], nltk_words(hypothesis), stems, thesaurus)
        for hypothesis, references in texts
    )
    signature = (
        f"meteor|{library('nltk')}|wordnet:{WORDNET_VERSION}|stemmer:porter|{_WEIGHTS}|case:lc|tok:nltk-word"
        f"|nrefs:{reference_count(texts)}|refs:max"
    )
    return mean_score("meteor", per_clip, signature)


def meteor_exact_zh(pairs: Sequence[CaptionPair], language: str = "zh") -> MetricScore:
    """Mean METEOR of Chinese captions by exact characters, 0…100."""
    texts, plain = clean_pairs(pairs), _SameWord()
    per_clip = tuple(
        _best([characters(r) for r in references], characters(hypothesis), plain, plain)
        for hypothesis, references in texts
    )
    signature = (
        f"meteor-exact|{library('nltk')}|match:exact|{_WEIGHTS}|case:lc|tok:char"
        f"|nrefs:{reference_count(texts)}|refs:max"
    )
    return mean_score("meteor_exact_zh", per_clip, signature)


def _best(references: Sequence[Sequence[str]], hypothesis: Sequence[str], stems: Any, thesaurus: Any) -> float | None:
    """The best score over the references, 0…100; None if there is none."""
    if not references:
        return None
    if not hypothesis:
        return 0.0
    from nltk.translate.meteor_score import meteor_score

    score: float = meteor_score(
        references, hypothesis, stemmer=stems, wordnet=thesaurus, alpha=ALPHA, beta=BETA, gamma=GAMMA
    )
    return 100 * score
