"""Which emotions a caption names, in English and Chinese.

The words live in ``data/emotion_words.json`` (label -> language -> words) and go well beyond the embedded pair's own
wording, so that captions of large models are read too. English matches whole words whatever their case, Chinese the
longest word at each place. A word under negation ("not happy", "不高兴") is still found: whoever needs the polarity
must look at the text around the span.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib import resources

from ugsd_core.errors import OptionError

__all__ = ["EMOTION_LABELS", "emotion_spans", "emotion_words", "emotions_in", "holds_emotion_word"]

EMOTION_LABELS: tuple[str, ...] = (
    "anger",
    "boredom",
    "calm",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
)
"""All labels, in the order of every posterior over labels in this program."""


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, list[str]]]:
    text = resources.files("ugsd_core").joinpath("data/emotion_words.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, list[str]]] = json.loads(text)
    return table


@lru_cache(maxsize=2)
def _reader(language: str) -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern that finds any emotion word of a language, and the label of each word."""
    if language not in ("en", "zh"):
        raise OptionError(f"emotion words are known in 'en' and 'zh', not in {language!r}")
    label_of = {word: label for label, words in _table().items() for word in words[language]}
    # Longest first: alternation takes the first branch that matches.
    branches = "|".join(re.escape(word) for word in sorted(label_of, key=lambda word: (-len(word), word)))
    # Outside letters only, so that "anger," counts and "danger" does not.
    pattern = rf"(?<![A-Za-z])(?:{branches})(?![A-Za-z])" if language == "en" else branches
    return re.compile(pattern, re.IGNORECASE), label_of


def emotion_words(label: str, language: str) -> tuple[str, ...]:
    """The words that name a label in a language, lower case."""
    label_of = _reader(language)[1]
    return tuple(word for word, its_label in label_of.items() if its_label == label)


def emotion_spans(text: str, language: str) -> list[tuple[int, int, str]]:
    """Every emotion word of a text as ``(start, end, label)``, in order; offsets are in characters."""
    pattern, label_of = _reader(language)
    return [(found.start(), found.end(), label_of[found.group().lower()]) for found in pattern.finditer(text)]


def emotions_in(text: str, language: str) -> tuple[str, ...]:
    """The labels a text names, in order of first appearance, each once."""
    return tuple(dict.fromkeys(label for _, _, label in emotion_spans(text, language)))


def holds_emotion_word(text: str, language: str) -> bool:
    """Whether a text names any emotion."""
    return _reader(language)[0].search(text) is not None
