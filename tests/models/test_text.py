from __future__ import annotations

import numpy as np
import pytest

from tests.tiny import FAMILY_NAMES, SENTENCES, tokenizer
from ugsd_core.models.text import CaptionText, TokenBytes

WORDS = tokenizer("qwen2_5_omni")
END = WORDS.convert_tokens_to_ids("<|im_end|>")


def pieces(ids: list[int]) -> list[str]:
    text = CaptionText(TokenBytes(WORDS))
    return [text.append(i, last=n == len(ids) - 1) for n, i in enumerate(ids)]


def decoded(ids: list[int]) -> str:
    return str(WORDS.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("sentence", [*SENTENCES, "naïve café 😀 🇨🇳 e\u0301", "  two  spaces\n"])
def test_joined_pieces_spell_the_sentence(sentence: str) -> None:
    ids = WORDS(sentence, add_special_tokens=False)["input_ids"]
    assert "".join(pieces(ids)) == sentence == decoded(ids)


def test_partial_characters_are_held_until_they_decode() -> None:
    ids = WORDS("😀", add_special_tokens=False)["input_ids"]
    assert len(ids) == 4
    assert pieces(ids) == ["", "", "", "😀"]


def test_any_sequence_of_ids_equals_the_tokenizers_own_decoding() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        ids = [int(i) for i in random.integers(0, END + 1, random.integers(1, 30))]
        assert "".join(pieces(ids)) == decoded(ids)


def test_rollback_and_go_on_equals_a_fresh_start() -> None:
    random = np.random.default_rng(1)
    for _ in range(100):
        first = [int(i) for i in random.integers(0, END, 12)]
        second = [int(i) for i in random.integers(0, END, 6)]
        cut = int(random.integers(0, 12))
        text = CaptionText(TokenBytes(WORDS))
        for i in first:
            text.append(i)
        text.truncate(cut)
        for i in second:
            text.append(i)
        fresh = CaptionText(TokenBytes(WORDS))
        for i in first[:cut] + second:
            fresh.append(i)
        assert text.text == fresh.text and len(text) == len(fresh)


def test_special_tokens_have_no_text_and_a_peek_shows_an_incomplete_character() -> None:
    text = CaptionText(TokenBytes(WORDS))
    assert text.append(END) == ""
    smiley = WORDS("😀", add_special_tokens=False)["input_ids"]
    assert text.peek(smiley[0]) == "…"
    assert text.peek(WORDS("the", add_special_tokens=False)["input_ids"][0]) != ""
    assert len(text) == 1


def test_both_families_share_the_text_vocabulary() -> None:
    one, other = (tokenizer(name) for name in FAMILY_NAMES)
    assert one.convert_ids_to_tokens(list(range(END + 1))) == other.convert_ids_to_tokens(list(range(END + 1)))
    assert one.convert_tokens_to_ids("<|audio_bos|>") != other.convert_tokens_to_ids("<|audio_start|>")
