"""Vocal cues are read out of captions in both languages, with the right noun."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import CUE_LEVELS, cue_spans, cues_in

LANGUAGES = ("en", "zh")
READ_ONLY = {"loudness", "steadiness"}
DATA: dict[str, Any] = json.loads(
    resources.files("ugsd_core").joinpath("data/cue_words.json").read_text(encoding="utf-8")
)

GRAMMAR = {
    ("pitch", "high"): ("high", "raised", "声音高亢", "声音尖高", "音调偏高"),
    ("pitch", "low"): ("low", "deep", "声音低沉", "声音浑厚", "音调偏低"),
    ("pitch_range", "high"): ("lively", "varied", "animated", "语调起伏", "语调多变", "语调丰富"),
    ("pitch_range", "low"): ("flat", "monotone", "even-toned", "语调平直", "语调单一", "语调平缓"),
    ("rate", "high"): ("fast", "quick", "hurried", "语速急促", "语速较快", "语速偏快"),
    ("rate", "low"): ("slow", "unhurried", "drawn-out", "语速缓慢", "语速较慢", "语速偏慢"),
    ("pauses", "high"): ("long pauses", "clear pauses", "many pauses", "停顿较长", "停顿明显", "停顿较多"),
    ("brightness", "high"): ("bright", "sharp", "clear", "音色明亮", "音色尖锐", "音色清亮"),
    ("brightness", "low"): ("soft", "mellow", "dark", "音色柔和", "音色暗淡", "音色低柔"),
    ("dynamics", "high"): (
        "uneven volume",
        "changing volume",
        "shifting loudness",
        "音量多变",
        "音量不稳",
        "音量起伏",
    ),
    ("dynamics", "low"): ("even volume", "constant volume", "steady loudness", "音量均匀", "音量稳定", "音量平稳"),
    ("steadiness", "high"): ("steady", "声音平稳"),
}
WORDS = [(word, *cue) for cue, words in GRAMMAR.items() for word in words]


@pytest.mark.parametrize(("word", "cue", "level"), WORDS)
def test_every_cue_word_of_the_embedded_pair_is_read(word: str, cue: str, level: str) -> None:
    language = "en" if word.isascii() else "zh"
    if language == "zh":
        frames = ["{}", "说话人{}，流露出悲伤情绪。", "带着悲伤情绪，{}。"]
    elif cue in ("pauses", "dynamics"):
        frames = ["{}", "The voice sounds sad, with {}.", "a voice with {}, like someone who is sad"]
    else:
        frames = ["The voice is {}.", "The tone is very {}; it is sad.", "This is someone sad, with a {} voice."]
    if word == "raised":  # "a raised voice" is a loud one; the grammar has "the voice is raised"
        frames.pop()
    for frame in frames:
        assert cues_in(frame.format(word), language) == {cue: level}, frame.format(word)


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("The voice is low, flat, slow and soft.", "pitch low, pitch_range low, rate low, brightness low"),
        ("He talks in a high, lively and bright voice", "pitch high, pitch_range high, brightness high"),
        ("low pitch", "pitch low"),
        ("a low, sad voice", "pitch low"),
        ("The tone is calm and low", "pitch low"),
        ("The voice of the speaker sounds rather deep", "pitch low"),
        ("a sad voice that is high", "pitch high"),
        ("low volume", "loudness low"),
        ("The volume is high, the speech is fast", "loudness high, rate high"),
        ("a voice that is loud, with an uneven volume", "loudness high, dynamics high"),
        ("The pace is low", "rate low"),
        ("a slow pace with long pauses", "rate low, pauses high"),
        ("at a fast but steady pace", "rate high"),
        ("speaks quickly, without any obvious pauses", "rate high, pauses low"),
        ("with pauses between the words", "pauses high"),
        ("The pauses are short", "pauses low"),
        ("a narrow pitch range", "pitch_range low"),
        ("a shrill, trembling voice", "brightness high, steadiness low"),
        ("She is whispering, and firm in her tone", "loudness low"),
        ("in a raised voice", "loudness high"),
        ("RAISES HER VOICE", "loudness high"),
        ("The voice is not only low but also loud", "pitch low, loudness high"),
        ("talks in a low, ", "pitch low"),
    ],
)
def test_english_cues(text: str, cues: str) -> None:
    assert ", ".join(f"{cue} {level}" for cue, level in cues_in(text, "en").items()) == cues


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("语调低沉而单调", "pitch low, pitch_range low"),
        ("低沉的语调", "pitch low"),
        ("音量很低，语速极快", "loudness low, rate high"),
        ("声音高语速快", "pitch high, rate high"),
        ("声音很大", "loudness high"),
        ("小声说话", "loudness low"),
        ("语气平静低沉", "pitch low"),
        ("语速缓慢且低沉", "rate low, pitch low"),
        ("音量低且平稳", "loudness low, dynamics low"),
        ("语速较快但平稳", "rate high"),
        ("有较长的停顿", "pauses high"),
        ("中间没有停顿", "pauses low"),
        ("没有明显的停顿", "pauses low"),
        ("说话断断续续，声音颤抖", "pauses high, steadiness low"),
        ("语速不仅很快而且急促", "rate high"),
        ("语调抑扬顿挫", "pitch_range high"),
        ("声音尖锐洪亮", "brightness high, loudness high"),
        ("声音起伏比较大", "pitch_range high"),
    ],
)
def test_chinese_cues(text: str, cues: str) -> None:
    assert ", ".join(f"{cue} {level}" for cue, level in cues_in(text, "zh").items()) == cues


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("in low spirits", "en"),
        ("a low mood", "en"),
        ("a high level of emotion", "en"),
        ("a sharp mind and a dark room", "en"),
        ("clear signs of joy, a bright smile", "en"),
        ("breakfast, slowdown, allowed", "en"),
        ("The voice is not high", "en"),
        ("The voice isn't very loud", "en"),
        ("not too fast or slow", "en"),
        ("neither fast nor slow", "en"),
        ("at a steady pace", "en"),
        ("The voice is sad. High above, birds", "en"),
        ("情绪低沉", "zh"),
        ("心情很低，兴致高", "zh"),
        ("声音，低沉", "zh"),
        ("语速不快", "zh"),
        ("声音不急不快", "zh"),
        ("语速适中", "zh"),
        ("语气缓和，声音轻盈", "zh"),
        ("大家高兴，小心", "zh"),
        ("", "zh"),
    ],
)
def test_what_is_no_cue_of_a_voice_is_not_read(text: str, language: str) -> None:
    assert cue_spans(text, language) == []


def test_the_first_of_two_levels_wins() -> None:
    assert cues_in("The voice is low at first. Later the voice is high.", "en") == {"pitch": "low"}
    assert cues_in("音量较低，后来音量很高", "zh") == {"loudness": "low"}


@pytest.mark.parametrize(
    ("text", "language", "spans"),
    [
        ("The voice is low, with long pauses.", "en", ["low", "long pauses"]),
        ("Speaks FAST, with   very long pauses", "en", ["FAST", "long pauses"]),
        ("说话人语速较慢，声音低沉。", "zh", ["语速较慢", "声音低沉"]),
        ("低沉的语调", "zh", ["低沉的语调"]),
    ],
)
def test_spans_hold_the_word_and_a_noun_beside_it(text: str, language: str, spans: list[str]) -> None:
    assert [text[start:end] for start, end, _, _ in cue_spans(text, language)] == spans


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


def tables(language: str) -> list[dict[str, dict[str, list[str]]]]:
    return [DATA[language]["anywhere"], *(entry["cues"] for entry in DATA[language]["nouns"].values())]


def every_word(language: str) -> list[str]:
    entry = DATA[language]
    words = [word for table in tables(language) for levels in table.values() for ws in levels.values() for word in ws]
    words += [word for noun in entry["nouns"].values() for word in [*noun["names"], *noun.get("unread", [])]]
    return words + [
        word for kind in ("degrees", "links", "conjunctions", "others", "negations") for word in entry[kind]
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_tables_know_the_cues_and_both_levels(language: str) -> None:
    assert set(DATA) == set(LANGUAGES)
    for table in tables(language):
        assert set(table) <= set(CUE_LEVELS)
        assert all(set(levels) == {"high", "low"} for levels in table.values())
    assert set(DATA[language]["anywhere"]) == set(CUE_LEVELS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_word_says_one_thing_of_a_noun(language: str) -> None:
    for table in tables(language):
        words = [word for levels in table.values() for ws in levels.values() for word in ws]
        assert len(words) == len(set(words))
    names = [name for noun in DATA[language]["nouns"].values() for name in noun["names"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("language", LANGUAGES)
def test_cue_words_are_lower_case_and_of_their_language(language: str) -> None:
    spelling = re.compile(r"[a-z]+(?:[ '-][a-z]+)*|," if language == "en" else r"[\u4e00-\u9fff、]+")
    for word in every_word(language):
        assert spelling.fullmatch(word), word


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_that_need_no_noun_read_as_their_own_cue(language: str) -> None:
    for cue, levels in DATA[language]["anywhere"].items():
        for level, words in levels.items():
            for word in words:
                assert cues_in(word, language) == {cue: level}, word


def test_the_measured_cues_are_those_of_training_and_two_are_only_read() -> None:
    from ugsd_core.training.cues import CUE_NAMES

    assert set(CUE_LEVELS) - READ_ONLY == set(CUE_NAMES)


def test_an_unknown_language_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="'pl'"):
        cues_in("cicho", "pl")
