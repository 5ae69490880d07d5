"""WordNet 3.0 as far as METEOR asks it: which words are synonyms of a word.

``data/wordnet/synonyms.txt.gz`` holds every WordNet 3.0 synset that has a lemma of one word, with those lemmas, and the
lists of irregular forms; definitions, relations and expressions of several words are left out
(`tools/make_wordnet_table.py` makes it; `data/wordnet/README.md` has the licence). Nothing is downloaded or unpacked.

A word is looked up as WordNet's *morphy* does: the form itself, then its irregular base forms, or else what regular
endings leave of it, for each part of speech.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

__all__ = ["WORDNET_VERSION", "Lemma", "Synset", "Thesaurus"]

WORDNET_VERSION = "3.0"

#: Regular endings and what stands in their place (WordNet manual, morphy(7WN)); n, v, a, r as in WordNet.
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "n": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}


@dataclass(frozen=True, slots=True)
class Lemma:
    """A word of a synset, in the form in which NLTK asks for it."""

    word: str

    def name(self) -> str:
        """The word as WordNet writes it."""
        return self.word


@dataclass(frozen=True, slots=True)
class Synset:
    """Words that can stand for each other."""

    words: tuple[Lemma, ...]

    def lemmas(self) -> tuple[Lemma, ...]:
        """The words."""
        return self.words


class Thesaurus:
    """What NLTK's METEOR needs of a WordNet reader: `synsets`.

    Args:
        synsets: Part of speech and words of each synset.
        irregular: Part of speech and form to base forms.
    """

    def __init__(
        self, synsets: tuple[tuple[str, tuple[str, ...]], ...], irregular: Mapping[tuple[str, str], tuple[str, ...]]
    ) -> None:
        self._irregular = irregular
        self._of: dict[tuple[str, str], list[Synset]] = defaultdict(list)
        for part, words in synsets:
            synset = Synset(tuple(map(Lemma, words)))
            for word in dict.fromkeys(word.lower() for word in words):
                self._of[part, word].append(synset)
        self.synsets = lru_cache(maxsize=65536)(self._synsets)

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> Thesaurus:
        """The thesaurus that comes with the program; about a third of a second the first time."""
        packed = resources.files("ugsd_core").joinpath("data/wordnet/synonyms.txt.gz").read_bytes()
        synsets, irregular = [], {}
        for line in gzip.decompress(packed).decode("utf-8").splitlines():
            kind, *words = line.split(" ")
            if kind == "x":
                part, form, *bases = words
                irregular[part, form] = tuple(bases)
            else:
                synsets.append((kind, tuple(words)))
        return cls(tuple(synsets), irregular)

    def _synsets(self, word: str) -> tuple[Synset, ...]:
        word = word.lower()
        found: list[Synset] = []
        for part, endings in _ENDINGS.items():
            bases = self._irregular.get((part, word))
            if bases is None:
                bases = tuple(word[: -len(old)] + new for old, new in endings if word.endswith(old))
            for form in dict.fromkeys((word, *bases)):
                found += self._of.get((part, form), ())
        return tuple(found)

    def synonyms(self, word: str) -> frozenset[str]:
        """All single words that share a synset with a word."""
        return frozenset(n.word for synset in self.synsets(word) for n in synset.words if "_" not in n.word)
