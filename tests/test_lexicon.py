"""The lexicon reads emotions out of captions, the embedded pair's and anyone's."""

from __future__ import annotations

import sys
from subprocess import run

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS, emotion_spans, emotion_words, emotions_in, holds_emotion_word


@pytest.mark.parametrize(
    ("text", "language", "labels"),
    [
        ("Therefore, the speaker feels sad.", "en", ("sadness",)),
        ("SAD at first, then angry, then sad again", "en", ("sadness", "anger")),
        ("The danger of sadism: madness, unhappily spelled", "en", ()),
        ("a matter-of-fact tone", "en", ("neutral",)),
        ("She is taken aback", "en", ("surprise",)),
        ("说话人声音低沉，流露出悲伤情绪。", "zh", ("sadness",)),
        ("语气平静，却带着愤怒", "zh", ("calm", "anger")),
        ("她很不耐烦", "zh", ("anger",)),
        ("听起来很惊喜", "zh", ("surprise",)),
        ("今天天气", "zh", ()),
        ("", "en", ()),
    ],
)
def test_labels_in_order_of_appearance(text: str, language: str, labels: tuple[str, ...]) -> None:
    assert emotions_in(text, language) == labels
    assert holds_emotion_word(text, language) == bool(labels)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_reads_as_its_own_label(language: str) -> None:
    for label in EMOTION_LABELS:
        words = emotion_words(label, language)
        assert len(words) >= 5
        for word in words:
            assert emotion_spans(word, language) == [(0, len(word), label)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_word_has_two_labels(language: str) -> None:
    words = [word for label in EMOTION_LABELS for word in emotion_words(label, language)]
    assert len(words) == len(set(words))


def test_spans_point_at_the_words() -> None:
    text = "He is Joyful, not afraid."
    assert [(text[start:end], label) for start, end, label in emotion_spans(text, "en")] == [
        ("Joyful", "happiness"),
        ("afraid", "fear"),
    ]


def test_an_unknown_language_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="'pl'"):
        emotions_in("smutny", "pl")


def test_importing_the_lexicon_does_not_import_torch() -> None:
    code = "import sys, ugsd_core.lexicon; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
