"""Reference captions keep their forms, and the tokenizer keeps their words whole."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS, emotions_in
from ugsd_core.models.prompts import prompt_ids
from ugsd_core.training.batches import ANSWER, MARKERS, REQUEST, emotion_token_ids
from ugsd_core.training.cues import CUE_NAMES
from ugsd_core.training.grammar import caption, emotion_choices, vocabulary
from ugsd_core.training.tokenizer import SPECIAL_TOKENS, build_tokenizer


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    return build_tokenizer()


def cue_sets() -> Iterator[dict[str, str]]:
    """No cue, every single one, and every set of three that measuring can give."""
    yield {}
    for size in (1, 3):
        for names in itertools.combinations(CUE_NAMES, size):
            for levels in itertools.product(("high", "low"), repeat=size):
                cues = dict(zip(names, levels, strict=True))
                if cues.get("pauses") != "low":
                    yield cues


def captions(language: str) -> Iterator[tuple[str, str]]:
    for number, (cues, label) in enumerate(itertools.product(cue_sets(), EMOTION_LABELS)):
        yield caption(label, number % 2 == 0, cues, language, f"clip-{number}"), label


def test_chinese_is_one_sentence_of_12_to_30_characters() -> None:
    for text, label in captions("zh"):
        assert 12 <= len(text) <= 30, text
        assert text.endswith("。") and text.count("。") == 1
        assert emotions_in(text, "zh") == (label,)


def test_english_says_the_voice_and_then_the_emotion() -> None:
    form = re.compile(r"In the audio, the speaker's voice is [a-z, ]+\. Therefore, the speaker feels (very )?[a-z]+\.")
    for text, label in captions("en"):
        assert form.fullmatch(text), text
        assert emotions_in(text, "en") == (label,)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_captions_decode_to_themselves_and_fit_a_batch(language: str) -> None:
    for text, _ in captions(language):
        ids = tokenizer()(text)["input_ids"]
        assert tokenizer().decode(ids) == text
        assert len(ids) < ANSWER


def test_the_wording_depends_on_the_clip_alone() -> None:
    cues = {"pitch": "low", "rate": "low"}
    drawn = [caption("sadness", False, cues, "en", f"clip-{number}") for number in range(200)]
    again = [caption("sadness", False, cues, "en", f"clip-{number}") for number in range(200)]
    assert drawn == again
    assert len(set(drawn)) == 8  # two words for each of two cues and the emotion
    assert 0.65 < sum("sad." in text for text in drawn) / 200 < 0.95


def test_a_strongly_neutral_voice_is_not_written() -> None:
    assert "very" not in caption("neutral", True, {}, "en", "a")


def test_unknown_labels_and_languages_are_option_errors() -> None:
    with pytest.raises(OptionError):
        caption("hunger", False, {}, "en", "a")
    with pytest.raises(OptionError):
        caption("anger", False, {}, "pl", "a")


def test_every_word_is_one_token() -> None:
    for word in vocabulary():
        assert len(tokenizer()(word)["input_ids"]) == 1, word


def test_every_emotion_word_is_one_token_in_context() -> None:
    known = emotion_token_ids(tokenizer())
    assert len(known) == 2 * 2 * len(EMOTION_LABELS)
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
    assert len(prompt_ids(tokenizer(), MARKERS, "brief", language, 7)) <= REQUEST + 7


def test_the_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer().save_pretrained(tmp_path)
    loaded: Any = AutoTokenizer.from_pretrained(tmp_path)
    for language in ("en", "zh"):
        for text, _ in itertools.islice(captions(language), 50):
            assert loaded(text)["input_ids"] == tokenizer()(text)["input_ids"]
    assert prompt_ids(loaded, MARKERS, "brief", "en", 3) == prompt_ids(tokenizer(), MARKERS, "brief", "en", 3)
