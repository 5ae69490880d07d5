"""What a verdict did to a caption's meaning: emotions and cue levels, not wording."""

from __future__ import annotations

import pytest

from tests.streams import END, StreamBuilder, every_state
from ugsd_core.meaning import changed_meanings, is_filler, meaning_changed
from ugsd_core.result import caption_result

FEELS = "Therefore, the speaker feels"
VOICE = "In the audio, the speaker's voice is"
#: What stood before; rejected token and the rest of its block; corrected token and what follows it in the caption.
Case = tuple[str, tuple[str, str], tuple[str, str]]

CHANGED: list[Case] = [
    (FEELS, (" sad", ""), (" angry", ".")),
    (FEELS, (" sad", ""), (" ang", "ry.")),  # the corrected word goes on in later blocks
    (FEELS, (" sad", ""), ("", "")),  # the emotion is gone
    (FEELS, (" sad", ""), (" not", " sad.")),
    (FEELS, ("", ""), (" sad", ".")),  # the draft would have ended here
    (FEELS, (" very", " angry"), (" sad", ".")),  # the draft named its emotion within the block
    (FEELS, (" voice", ""), (" sad", ".")),
    (VOICE, (" low", ""), (" high", " and slow.")),
    (VOICE, (" low", ""), (" slow", " and")),
    ("She speaks with", (" high", ""), (" low", " volume.")),  # read together with its noun
]
UNCHANGED: list[Case] = [
    (FEELS, (" sad", ""), (" sorrowful", ".")),
    (FEELS, (" sad", ""), (" very", " sad.")),
    (FEELS, (" sad", ""), (" very", " angry.")),  # what comes behind a degree word is judged by itself
    (FEELS, (" sad", ""), (" and", " angry.")),
    (FEELS, (" very", " sad"), (" sad", ".")),
    (FEELS, (" very", ""), (" sad", ".")),  # nobody knows what the draft would have named
    (FEELS, (" very", ""), (" sad", " and tense.")),
    (FEELS, (" sounds", " angry"), (" angry", ".")),
    (FEELS, (" angry", ""), (" sounds", " angry.")),
    (FEELS + " sad", ("ness", ""), ("ly", ".")),
    (FEELS + " sad", (".", ""), (",", " and")),
    (VOICE, (" low", ""), (" deep", " and slow.")),
    (VOICE, (" low", ""), (" quite", " low.")),
    (VOICE + " low", (" and", ""), (",", " slow")),
    ("She speaks in a", (" low", ""), (" deep", " voice.")),
    ("She has a low", (" voice", ""), (" tone", ".")),
]
CHINESE: list[tuple[Case, bool]] = [
    (("流露出", ("悲伤", ""), ("愤怒", "。")), True),
    (("流露出", ("悲伤", ""), ("高", "兴。")), True),  # 高 alone might be read as pitch
    (("语速", ("缓慢", ","), ("急", "促,")), True),
    (("", ("声音低沉", ""), ("声音高亢", ",")), True),
    (("流露出", ("悲", "伤"), ("难", "过。")), False),
    (("流露出", ("悲伤", ""), ("有些", "悲伤。")), False),
    (("语速", ("缓慢", ","), ("较", "慢,")), False),
    (("", ("声音低沉", ""), ("声音浑厚", ",")), False),
]


@pytest.mark.parametrize("case", CHANGED, ids=str)
def test_another_emotion_or_level_is_a_change_of_meaning(case: Case) -> None:
    assert meaning_changed(*case, "en")


@pytest.mark.parametrize("case", UNCHANGED, ids=str)
def test_another_wording_is_none(case: Case) -> None:
    assert not meaning_changed(*case, "en")


@pytest.mark.parametrize(("case", "changed"), CHINESE, ids=str)
def test_chinese_is_read_by_its_own_words(case: Case, changed: bool) -> None:
    assert meaning_changed(*case, "zh") == changed


def test_words_of_degree_and_function_name_nothing() -> None:
    assert is_filler(" Very", "en") and is_filler("有些", "zh")
    assert not is_filler(" not", "en") and not is_filler(" low", "en") and not is_filler("", "en")


def test_only_the_word_the_block_touched_counts() -> None:
    stream = StreamBuilder()
    stream.kept("A", " sad", " speaker").judged(" with", accepted=0, replacement=",")
    stream.judged(" the", " voice", " is", " low", accepted=3, replacement=" high").kept(END)
    result = caption_result(stream.finish())
    assert [block.meaning_changed for block in result.blocks] == [None, False, True, None]


def test_a_bonus_token_has_no_draft_to_differ_from() -> None:
    result = caption_result(StreamBuilder().judged(" feels", accepted=1, bonus=" sad").kept(END).finish())
    assert result.counts["blocks_changed"] == 1 and result.counts["meanings_changed"] == 0
    assert result.ratios.useful_escalation_rate == 1.0 and result.ratios.meaning_changed_rate == 0.0


def test_a_word_of_several_tokens_is_read_whole() -> None:
    stream = StreamBuilder().kept(" feels").judged(" ang", "ry", accepted=0, replacement=" s").kept("ad", END)
    assert changed_meanings(caption_result(stream.finish()).tokens, "en") == {1}
    stream = StreamBuilder().kept(" feels").judged(" ang", "ry", accepted=0, replacement=" fur").kept("ious", END)
    assert changed_meanings(caption_result(stream.finish()).tokens, "en") == frozenset()


def test_a_caption_that_is_still_written_can_be_read() -> None:
    events = every_state()
    for n in range(1, len(events) + 1):
        result = caption_result(events[:n])
        assert result.counts["meanings_changed"] <= result.counts["blocks_changed"]
    assert result.counts["meanings_changed"] == 1, "calm became tense; a bonus token is no change of meaning"


def test_unverified_and_kept_blocks_have_no_answer() -> None:
    blocks = caption_result(every_state()).blocks
    assert [block.meaning_changed for block in blocks] == [None, False, True, None, None, None]


@pytest.mark.parametrize(("language", "far"), [("en", "The voice is low and not sad. "), ("zh", "声音低沉，不悲伤。")])
def test_what_stands_far_before_a_token_plays_no_part(language: str, far: str) -> None:
    drafted, corrected = {"en": ((" happy", ""), (" sad", ".")), "zh": (("高兴", ""), ("悲伤", "。"))}[language]
    near = {"en": "It sounds", "zh": "听起来"}[language]
    assert meaning_changed(far * 200 + near, drafted, corrected, language)
    assert not meaning_changed(far * 200 + near, drafted, drafted, language)
