from __future__ import annotations

import pytest

from tests.tiny import FAMILY_NAMES, tokenizer
from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.models.families import FAMILIES
from ugsd_core.models.prompts import PROMPTS, AudioMarkers, prompt_ids, prompt_names


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", prompt_names())
def test_a_request_holds_the_audio_then_the_instruction_and_opens_the_answer(
    family: str, language: str, name: str
) -> None:
    words = tokenizer(family)
    markers = FAMILIES[family].markers
    ids = prompt_ids(words, markers, name, language, 17)  # type: ignore[arg-type]
    pad = words.convert_tokens_to_ids(markers.pad)
    first = ids.index(pad)
    assert ids.count(pad) == 17 and ids[first : first + 17] == [pad] * 17
    assert ids[first - 1] == words.convert_tokens_to_ids(markers.start)
    assert ids[first + 17] == words.convert_tokens_to_ids(markers.end)
    rendered = words.decode(ids)
    assert PROMPTS[name].text(language) in rendered  # type: ignore[arg-type]
    assert rendered.endswith("<|im_start|>assistant\n")


def test_each_side_keeps_its_own_default_system_turn() -> None:
    texts = []
    for family in FAMILY_NAMES:
        ids = prompt_ids(tokenizer(family), FAMILIES[family].markers, "brief", "en", 1)
        texts.append(tokenizer(family).decode(ids))
    assert texts[0].startswith("<|im_start|>system") and texts[1].startswith("<|im_start|>user")


def test_mistakes_are_named() -> None:
    words = tokenizer("qwen2_5_omni")
    markers = FAMILIES["qwen2_5_omni"].markers
    with pytest.raises(OptionError, match="no prompt named 'long'"):
        prompt_ids(words, markers, "long", "en", 3)
    with pytest.raises(OptionError, match="'en' or 'zh'"):
        prompt_ids(words, markers, "brief", "de", 3)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"no '<.nope.>' token"):
        prompt_ids(words, AudioMarkers("<|nope|>", "<|nope|>", "<|nope|>"), "brief", "en", 3)
