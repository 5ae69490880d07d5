"""Captions as tokens; every tokenisation that a metric uses, with the name that its signature gives it.

| name | tokens |
|---|---|
| ``nltk-word`` | English: NLTK's ``word_tokenize`` of the lower-case text, marks kept ("don't" is two: "do", "n't") |
| ``nltk-word-nopunct`` | the same without what holds no letter or digit: near to COCO's PTB tokenizer |
| ``words`` | English: runs of letters and digits, lower case, an apostrophe inside a word kept: a person's words |
| ``char`` | Chinese: every character but white space, lower case, marks kept |
| ``char-nopunct`` | the same without what is no letter or digit; a Latin letter is a character too |

``word_tokenize`` splits sentences by a trained Punkt model that has to be downloaded. The same Punkt without training
is used here: it differs where a sentence goes on after an abbreviation ("Dr. Li"), and nowhere else.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

__all__ = ["PorterStems", "bleu_tokens", "characters", "clean", "nltk_words", "plain_words", "token_name"]

#: What models write around a caption: ``<|im_end|>`` and its kind, and the marks of older vocabularies.
_SPECIAL = re.compile(r"<\|[^<>|\s]{1,40}\|>|</?s>|<(?:pad|eos|bos|unk)>", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def clean(text: str) -> str:
    """A text without special tokens and without white space at its ends."""
    return _SPECIAL.sub(" ", text).strip()


class PorterStems:
    """NLTK's Porter stemmer, which METEOR and ROUGE both use; each word is stemmed once."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = lru_cache(maxsize=65536)(PorterStemmer().stem)


@lru_cache(maxsize=1)
def _nltk() -> tuple[Any, Any]:
    from nltk.tokenize import NLTKWordTokenizer, PunktSentenceTokenizer

    return NLTKWordTokenizer(), PunktSentenceTokenizer()


@lru_cache(maxsize=65536)
def nltk_words(text: str) -> tuple[str, ...]:
    """Tokens ``nltk-word``."""
    words, sentences = _nltk()
    return tuple(word for sentence in sentences.tokenize(text.lower()) for word in words.tokenize(sentence))


def plain_words(text: str) -> tuple[str, ...]:
    """Tokens ``words``."""
    return tuple(_WORD.findall(text.lower()))


def characters(text: str, *, marks: bool = True) -> tuple[str, ...]:
    """Tokens ``char``, or ``char-nopunct`` without marks."""
    return tuple(c for c in text.lower() if not c.isspace() and (marks or c.isalnum()))


@lru_cache(maxsize=65536)
def bleu_tokens(text: str, language: str) -> tuple[str, ...]:
    """What COCO-style metrics count: ``nltk-word-nopunct`` in English, ``char-nopunct`` in Chinese."""
    if language == "zh":
        return characters(text, marks=False)
    return tuple(word for word in nltk_words(text) if any(map(str.isalnum, word)))


def token_name(language: str) -> str:
    """The name of `bleu_tokens` in a signature."""
    return "char-nopunct" if language == "zh" else "nltk-word-nopunct"
