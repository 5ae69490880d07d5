"""From tokens to labels, in any tokenizer: words of one token, words that are cut, and what must not count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests import tiny
from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.models.emotion_tokens import (
    COULD_HOLD,
    EmotionText,
    EmotionTokens,
    fuse_labels,
    label_entropy_nats,
    normalise_labels,
)
from ugsd_core.uncertainty import distribution

ANGER, CALM, DISGUST, FEAR, HAPPINESS, SADNESS = (
    EMOTION_LABELS.index(label) for label in ("anger", "calm", "disgust", "fear", "happiness", "sadness")
)


class LongestMatch:
    """A tokenizer that takes the longest of its pieces, or a single character."""

    def __init__(self, *pieces: str) -> None:
        letters = [chr(i) for i in range(32, 127)]
        self.pieces = [*pieces, *letters, "?"]

    def cut(self, text: str) -> list[int]:
        ids = []
        while text:
            best = max((p for p in self.pieces if text.startswith(p)), key=len, default="?")
            ids.append(self.pieces.index(best))
            text = text[len(best) if best != "?" else 1 :]
        return ids

    def __call__(self, texts: Sequence[str], *, add_special_tokens: bool) -> dict[str, list[list[int]]]:
        assert not add_special_tokens
        return {"input_ids": [self.cut(text) for text in texts]}

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return "".join(self.pieces[i] for i in ids)


def emotion_tokens(*pieces: str, language: str = "en") -> tuple[EmotionTokens, dict[str, int]]:
    tokenizer = LongestMatch(*pieces)
    ids = {piece: i for i, piece in enumerate(tokenizer.pieces)}
    return EmotionTokens(tokenizer, language, len(tokenizer.pieces)), ids


def test_a_word_of_one_token_stands_for_its_label_in_each_of_its_forms() -> None:
    tokens, ids = emotion_tokens(" sad", "sad", " Sad", "Sad", " happy", " speaker")
    assert [tokens.label_of(ids[p]) for p in (" sad", "sad", " Sad", "Sad")] == [SADNESS] * 4
    assert tokens.label_of(ids[" happy"]) == HAPPINESS
    assert tokens.label_of(ids[" speaker"]) is None and tokens.label_of(ids["a"]) is None
    assert len(tokens) == 5


def test_of_a_word_that_is_cut_the_first_token_stands_if_it_is_clear() -> None:
    pieces = (" disgu", "sted", " dis", "gusted", " sorrow", "ful", " une", " taken", " emotion", "less", " exas")
    tokens, ids = emotion_tokens(*pieces)
    assert tokens.label_of(ids[" disgu"]) == DISGUST
    assert tokens.label_of(ids[" sorrow"]) == SADNESS
    unclear = {
        " dis": "begins dissatisfied and disgusted",
        " une": "three letters, and no more than half of uneasy",
        " taken": "an ordinary word: of taken aback it spells a whole word",
        " emotion": "an ordinary word: of emotionless it spells most",
        " exas": "too little of exasperated",
        "ful": "does not begin a word",
    }
    for piece, why in unclear.items():
        assert tokens.label_of(ids[piece]) is None, why


def test_chinese_words_count_whole_or_by_a_character_of_feeling() -> None:
    tokens, ids = emotion_tokens("高兴", "悲", "伤", "高", "着", "急", "惊", "恐惧", language="zh")
    assert tokens.label_of(ids["高兴"]) == HAPPINESS
    assert tokens.label_of(ids["悲"]) == SADNESS, "悲伤, 悲痛 and 悲哀 are one label"
    assert tokens.label_of(ids["恐惧"]) == FEAR
    assert tokens.label_of(ids["高"]) is None and tokens.label_of(ids["着"]) is None
    assert tokens.label_of(ids["惊"]) is None, "惊讶 and 惊恐 are two labels"


def test_a_real_tokenizer_that_cuts_inside_characters() -> None:
    words = tiny.tokenizer("qwen2_5_omni", " The speaker feels sad and happy, 她很悲伤。")
    size = words.convert_tokens_to_ids("<|im_end|>") + 1
    english = EmotionTokens(words, "en", size)
    (sad,) = words(" sad", add_special_tokens=False)["input_ids"]
    assert english.label_of(sad) == SADNESS
    chinese = EmotionTokens(words, "zh", size)
    for token_id in range(size):
        if chinese.label_of(token_id) is not None:
            assert "\ufffd" not in words.decode([token_id])


def test_ids_beyond_the_shared_vocabulary_have_no_label() -> None:
    tokenizer = LongestMatch(" sad", " happy")
    tokens = EmotionTokens(tokenizer, "en", 1)
    assert (tokens.label_of(0), tokens.label_of(1)) == (SADNESS, None)


def test_another_language_is_refused() -> None:
    with pytest.raises(OptionError, match="not in 'de'"):
        EmotionTokens(LongestMatch(), "de", 10)


def test_masses_add_up_the_words_of_a_label_and_agree_however_they_are_asked() -> None:
    tokens, ids = emotion_tokens(" sad", " sorrowful", " happy", " glad", " angry", " low")
    logits = np.random.default_rng(0).normal(0, 3, size=len(LongestMatch(*" ").pieces) + 5).astype(np.float32)
    logits = np.resize(logits, max(ids.values()) + 1)
    seen = distribution(logits, 5)
    probabilities = np.exp(logits - np.log(np.exp(logits).sum()))
    masses = tokens.masses(probabilities)
    assert masses.shape == (9,) and masses.dtype == np.float32
    assert masses[SADNESS] == pytest.approx(probabilities[ids[" sad"]] + probabilities[ids[" sorrowful"]])
    assert masses[ANGER] == pytest.approx(probabilities[ids[" angry"]])
    assert masses[FEAR] == 0.0
    np.testing.assert_allclose(tokens.masses_of(seen), masses, rtol=1e-5)
    assert sorted(tokens.ids_of(SADNESS).tolist()) == sorted([ids[" sad"], ids[" sorrowful"]])
    assert tokens.ids_of(FEAR).size == 0


def test_a_tokenizer_without_any_emotion_word_gives_no_mass() -> None:
    tokens, ids = emotion_tokens()
    assert len(tokens) == 0
    assert tokens.masses(np.full(len(ids), 0.1, dtype=np.float32)).tolist() == [0.0] * 9


def test_the_bound_from_the_best_tokens_never_misses_a_position() -> None:
    tokens, ids = emotion_tokens(" sad", " happy", " angry", " low", " slow")
    random = np.random.default_rng(1)
    skipped = 0
    for _ in range(500):
        logits = random.normal(0, random.uniform(0.5, 6), size=max(ids.values()) + 1).astype(np.float32)
        seen = distribution(logits, 5)
        if tokens.masses_of(seen).sum() >= COULD_HOLD:
            assert tokens.may_reach(COULD_HOLD, seen.top)
        skipped += not tokens.may_reach(COULD_HOLD, seen.top)
    assert skipped > 100


# ── Distributions over labels ─────────────────────────────────────────────────────────────────────────────────────


def test_label_entropy_is_over_labels_not_over_words() -> None:
    assert label_entropy_nats([0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0]) == 0.0
    assert label_entropy_nats([0.1] * 9) == pytest.approx(math.log(9))
    assert label_entropy_nats([0.2, 0.2, 0, 0, 0, 0, 0, 0, 0]) == pytest.approx(math.log(2))
    assert normalise_labels([0.0] * 9).tolist() == pytest.approx([1 / 9] * 9)


def test_fusing_is_a_normalised_geometric_mean() -> None:
    text = [0.5, 0.25, 0.25, 0, 0, 0, 0, 0, 0]
    head = [0.1, 0.8, 0.1, 0, 0, 0, 0, 0, 0]
    fused = fuse_labels((text, 0.5), (head, 0.5))
    raw = np.sqrt(np.array(text) * np.array(head))
    np.testing.assert_allclose(fused, raw / raw.sum(), atol=1e-5)
    np.testing.assert_allclose(fuse_labels((text, 1.0), (head, 0.0)), text, atol=1e-6)
    assert fused.sum() == pytest.approx(1.0)
    assert np.isfinite(fuse_labels(([1.0] + [0.0] * 8, 0.5), ([0.0] * 8 + [1.0], 0.5))).all(), "they exclude each other"


# ── Text ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def places(tokenizer: LongestMatch, text: str, language: str = "en") -> list[tuple[str, str | None]]:
    reader = EmotionText(EmotionTokens(tokenizer, language, len(tokenizer.pieces)))
    found = []
    for token_id in tokenizer.cut(text):
        piece = tokenizer.pieces[token_id]
        found.append((piece, reader.place(token_id, piece)))
        reader.append(token_id, piece)
    return [entry for entry in found if entry[1] is not None]


def test_a_word_is_followed_from_its_first_token_to_its_last() -> None:
    tokenizer = LongestMatch(" sorrow", "ful", " sad", "ness", " disgu", "st", "ed", " tone", ".")
    assert places(tokenizer, " sorrowful tone") == [(" sorrow", "begins"), ("ful", "continues")]
    assert places(tokenizer, " sadness.") == [(" sad", "begins"), ("ness", "continues")]
    assert places(tokenizer, " sad.") == [(" sad", "begins")]
    assert places(tokenizer, " disgusted.") == [(" disgu", "begins"), ("st", "continues"), ("ed", "continues")]


def test_a_word_whose_first_token_does_not_tell_is_found_when_it_is_complete() -> None:
    assert places(LongestMatch(" dis", "gusted", "tant"), " distant disgusted") == [("gusted", "continues")]
    assert places(LongestMatch(" taken", " aback"), " taken aback") == [(" aback", "continues")]


def test_a_token_inside_another_word_begins_none() -> None:
    assert places(LongestMatch(" no", "mad", " mad"), " nomad mad") == [(" mad", "begins")]


def test_chinese_words_follow_each_other_without_gaps() -> None:
    tokenizer = LongestMatch("她", "很", "悲", "伤", "高兴", "高", "亢")
    assert places(tokenizer, "她很悲伤高兴高亢", "zh") == [("悲", "begins"), ("伤", "continues"), ("高兴", "begins")]


def test_rollback_and_go_on_equals_a_fresh_start() -> None:
    tokenizer = LongestMatch(" sorrow", "ful", " sad", "ness", " dis", "gusted", " no", "mad", " low")
    tokens = EmotionTokens(tokenizer, "en", len(tokenizer.pieces))
    random = np.random.default_rng(2)
    for _ in range(100):
        ids = [int(i) for i in random.integers(0, 9, 12)]
        cut = int(random.integers(0, 12))
        rolled, fresh = EmotionText(tokens), EmotionText(tokens)
        for token_id in ids:
            rolled.append(token_id, tokenizer.pieces[token_id])
        rolled.truncate(cut)
        for token_id in ids[:cut]:
            fresh.append(token_id, tokenizer.pieces[token_id])
        for token_id in range(9):
            piece = tokenizer.pieces[token_id]
            assert rolled.place(token_id, piece) == fresh.place(token_id, piece)


def test_what_is_plain_at_a_glance_is_no_emotion_position_at_a_closer_look() -> None:
    tokenizer = LongestMatch(" sorrow", "ful", " sad", "ness", " dis", "gusted", " no", "mad", " low", " pitch")
    tokens = EmotionTokens(tokenizer, "en", len(tokenizer.pieces))
    random = np.random.default_rng(3)
    plain = 0
    for _ in range(60):
        text = EmotionText(tokens)
        for token_id in (int(i) for i in random.integers(0, 10, 12)):
            piece, probability = tokenizer.pieces[token_id], float(random.random())
            if text.is_plain(token_id, probability):
                plain += 1
                assert text.place(token_id, piece) is None
                assert not tokens.may_reach(COULD_HOLD, [(token_id, probability)])
            text.append(token_id, piece)
    assert plain > 20
