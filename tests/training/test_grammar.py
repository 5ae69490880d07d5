"""Reference captions keep their forms, and the tokenizer keeps their words whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS, emotions_in
from ugsd_core.models.prompts import WORDINGS, prompt_ids
from ugsd_core.training.batches import ANSWER, MARKERS, REQUEST, emotion_token_ids
from ugsd_core.training.cues import NAMED_CUES
from ugsd_core.training.grammar import caption, emotion_choices, vocabulary
from ugsd_core.training.tokenizer import SPECIAL_TOKENS, build_tokenizer


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    return build_tokenizer()


def cue_sets() -> Iterator[dict[str, str]]:
    """No cue, every single one, and every set of three that measuring can give."""
    yield {}
    for size in (1, 3):
        for names in itertools.combinations(NAMED_CUES, size):
            for levels in itertools.product(("high", "low"), repeat=size):
                cues = dict(zip(names, levels, strict=True))
                if cues.get("pauses") != "low":
                    yield cues


def captions(language: str) -> Iterator[tuple[str, str]]:
    for number, (cues, label) in enumerate(itertools.product(cue_sets(), EMOTION_LABELS)):
        yield caption(label, number % 2 == 0, cues, language, 1 + number % WORDINGS), label


@pytest.mark.parametrize(("language", "least", "most"), [("en", 30, 160), ("zh", 8, 34)])
def test_captions_are_short_and_name_one_emotion(language: str, least: int, most: int) -> None:
    for text, label in captions(language):
        assert least <= len(text) <= most, text
        assert text.endswith("." if language == "en" else "。")
        assert emotions_in(text, language) == (label,), text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_named_cue_is_said_once(language: str) -> None:
    cues = {"pitch": "low", "rate": "high", "pauses": "high"}
    for wording in range(1, WORDINGS + 1):
        text = caption("sadness", False, cues, language, wording)
        bare = caption("sadness", False, {}, language, wording)
        assert text != bare and text.count("pauses" if language == "en" else "停顿") == 1


def test_no_article_stands_before_a_vowel() -> None:
    for text, _ in captions("en"):
        assert not any(f" a {vowel}" in text for vowel in "aeiou"), text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_captions_decode_to_themselves_and_fit_a_batch(language: str) -> None:
    for text, _ in captions(language):
        ids = tokenizer()(text)["input_ids"]
        assert tokenizer().decode(ids) == text
        assert len(ids) < ANSWER


@pytest.mark.parametrize("language", ["en", "zh"])
def test_wordings_differ_and_each_always_says_the_same(language: str) -> None:
    cues = {"pitch": "low", "rate": "low"}
    drawn = [caption("sadness", False, cues, language, wording) for wording in range(1, WORDINGS + 1)]
    assert len(set(drawn)) == WORDINGS
    assert drawn == [caption("sadness", False, cues, language, wording) for wording in range(1, WORDINGS + 1)]


def test_a_strongly_neutral_voice_is_not_written() -> None:
    assert caption("neutral", True, {}, "en", 1) == caption("neutral", False, {}, "en", 1)


def test_unknown_labels_languages_and_wordings_are_option_errors() -> None:
    for label, language, wording in (("hunger", "en", 1), ("anger", "pl", 1), ("anger", "en", 0), ("anger", "en", 7)):
        with pytest.raises(OptionError):
            caption(label, False, {}, language, wording)


def test_every_word_is_one_token() -> None:
    for word in vocabulary():
        assert len(tokenizer()(word)["input_ids"]) == 1, word


def test_every_emotion_word_is_one_token_in_context() -> None:
    known = emotion_token_ids(tokenizer())
    assert len(known) == sum(len(set(words.all)) for lang in ("en", "zh") for words in emotion_choices(lang).values())
    for language in ("en", "zh"):
        for text, _ in itertools.islice(captions(language), 200):
            assert sum(token in known for token in tokenizer()(text)["input_ids"]) == 1
        assert set(emotion_choices(language)) == set(EMOTION_LABELS)


@pytest.mark.parametrize("text", ["Übermut, café 3.14!\n\tx", "今天天气真好😀。", "  two  spaces  ", "<|im_start|>x"])
def test_any_text_decodes_to_itself(text: str) -> None:
    assert tokenizer().decode(tokenizer()(text)["input_ids"]) == text


def test_special_tokens_follow_the_base_vocabulary_in_order() -> None:
    ids = tokenizer().convert_tokens_to_ids(list(SPECIAL_TOKENS))
    assert ids == list(range(len(tokenizer()) - len(SPECIAL_TOKENS), len(tokenizer())))
    assert tokenizer().eos_token == "<|im_end|>"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_request_fits_a_batch(language: Any) -> None:
    assert len(prompt_ids(tokenizer(), MARKERS, "worded-6", language, 7)) <= REQUEST + 7


def test_the_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer().save_pretrained(tmp_path)
    loaded: Any = AutoTokenizer.from_pretrained(tmp_path)
    for language in ("en", "zh"):
        for text, _ in itertools.islice(captions(language), 50):
            assert loaded(text)["input_ids"] == tokenizer()(text)["input_ids"]
    assert prompt_ids(loaded, MARKERS, "worded-2", "en", 3) == prompt_ids(tokenizer(), MARKERS, "worded-2", "en", 3)
