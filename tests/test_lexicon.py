"""The lexicon reads emotions out of captions, the embedded pair's and anyone's."""

from __future__ import annotations

import csv
import re
import sys
from itertools import chain
from pathlib import Path
from subprocess import run

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import (
    EMOTION_LABELS,
    emotion_spans,
    emotion_words,
    emotions_in,
    holds_emotion_word,
    label_words,
    left_out_words,
)
from ugsd_core.training.grammar import emotion_choices

LANGUAGES = ("en", "zh")
SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("text", "language", "labels"),
    [
        ("Therefore, the speaker feels sad.", "en", ("sadness",)),
        ("SAD at first, then angry, then sad again", "en", ("sadness", "anger")),
        ("The danger of sadism: madness, unhappily spelled", "en", ()),
        ("a matter-of-fact tone", "en", ("neutral",)),
        ("She is taken aback", "en", ("surprise",)),
        ("She is taken  \n aback", "en", ("surprise",)),
        ("The content of the clip is composed of two parts", "en", ()),
        ("She sounds content and composed", "en", ("calm",)),
        ("He is ill at ease, she is at ease", "en", ("fear", "calm")),
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


@pytest.mark.parametrize(
    ("text", "label"), [("心花怒放", "happiness"), ("又惊又喜", "surprise"), ("不屑一顾", "disgust"), ("生气", "anger")]
)
def test_the_longest_chinese_word_wins(text: str, label: str) -> None:
    assert emotion_spans(text, "zh") == [(0, len(text), label)]


def test_spans_point_at_the_words() -> None:
    text = "He is Joyful, never bored, but afraid."
    assert [(text[start:end], label) for start, end, label in emotion_spans(text, "en")] == [
        ("Joyful", "happiness"),
        ("afraid", "fear"),
    ]


# ── Negation ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "not happy",
        "NOT really happy",
        "She isn't happy",
        "It doesn’t sound angry",
        "no anger",
        "never afraid",
        "no longer sad",
        "without anger",
        "without a trace of anger",
        "There are no signs of fear",
        "neither happy nor sad",
        "not angry or sad",
        "without anger, fear or sadness",
        "a lack of joy",
        "He is not unhappy",
    ],
)
def test_a_negated_english_word_does_not_count(text: str) -> None:
    assert emotions_in(text, "en") == ()
    assert not holds_emotion_word(text, "en")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("not only angry but also sad", ("anger", "sadness")),
        ("no doubt angry", ("anger",)),
        ("not just happy", ("happiness",)),
        ("not without anger", ("anger",)),
        ("cannot hide her joy", ("happiness",)),
        ("she tries not to sound angry", ("anger",)),
        ("calm rather than angry", ("calm",)),
        ("not angry, but sad", ("sadness",)),
        ("The voice is not angry. Sad, it trails off", ("sadness",)),
        ("No, she is happy", ("happiness",)),
        ("without any emotion", ("neutral",)),
        ("unhappy and dissatisfied", ("sadness", "anger")),
    ],
)
def test_english_words_beside_a_negation_that_is_not_theirs_count(text: str, labels: tuple[str, ...]) -> None:
    assert emotions_in(text, "en") == labels


@pytest.mark.parametrize(
    "text",
    [
        "不高兴",
        "不太高兴",
        "显得不开心",
        "没愤怒",
        "没有愤怒",
        "没有明显的愤怒",
        "没有一丝怒气",
        "没有流露出不安",
        "无愤怒",
        "并非愤怒",
        "毫不紧张",
        "听不出愤怒",
        "既不愤怒也不悲伤",
        "没有愤怒和悲伤",
        "没有愤怒、恐惧或悲伤",
        "没有不满",
    ],
)
def test_a_negated_chinese_word_does_not_count(text: str) -> None:
    assert emotions_in(text, "zh") == ()
    assert not holds_emotion_word(text, "zh")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("不满", ("anger",)),
        ("不耐烦", ("anger",)),
        ("没有耐心", ("anger",)),
        ("不安", ("fear",)),
        ("无聊", ("boredom",)),
        ("不屑", ("disgust",)),
        ("无奈又无助", ("sadness",)),
        ("没有明显情绪", ("neutral",)),
        ("无比开心", ("happiness",)),
        ("非常特别高兴", ("happiness",)),
        ("平静而不是悲伤", ("calm",)),
        ("不仅愤怒而且悲伤", ("anger", "sadness")),
        ("说不出的高兴", ("happiness",)),
        ("掩饰不住的喜悦", ("happiness",)),
        ("不得不生气", ("anger",)),
        ("不无遗憾", ("sadness",)),
        ("不禁难过", ("sadness",)),
        ("是不是生气了", ("anger",)),
        ("不愤怒，悲伤", ("sadness",)),
        ("不高兴和难过", ("sadness",)),
    ],
)
def test_chinese_words_that_hold_or_follow_a_negation_and_count(text: str, labels: tuple[str, ...]) -> None:
    assert emotions_in(text, "zh") == labels


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_reads_as_its_own_label(language: str) -> None:
    for label in EMOTION_LABELS:
        words = emotion_words(label, language)
        assert len(words) >= 5
        for word in words:
            assert emotion_spans(word, language) == [(0, len(word), label)]
            assert emotion_spans(word.upper(), language) == [(0, len(word), label)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_word_has_one_label_or_is_left_out(language: str) -> None:
    words = [word for label in EMOTION_LABELS for word in emotion_words(label, language)]
    words += left_out_words(language)
    assert len(words) == len(set(words))


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_lower_case_and_of_their_language(language: str) -> None:
    spelling = re.compile(r"[a-z]+(?:[ '-][a-z]+)*" if language == "en" else r"[\u4e00-\u9fff]+")
    for word in chain(label_words(language), left_out_words(language)):
        assert spelling.fullmatch(word), word


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_for_gates_are_those_of_all_labels(language: str) -> None:
    table = label_words(language)
    assert {word: table[word] for label in EMOTION_LABELS for word in emotion_words(label, language)} == dict(table)
    assert set(table.values()) == set(EMOTION_LABELS)
    with pytest.raises(TypeError):
        table["new"] = "anger"  # type: ignore[index]


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_left_out_are_read_as_nothing(language: str) -> None:
    for word in left_out_words(language):
        assert emotions_in(word, language) == (), word
    assert {"en": "excited", "zh": "激动"}[language] in left_out_words(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_captions_of_the_embedded_pair_are_read(language: str) -> None:
    choices = emotion_choices(language)
    assert set(choices) == set(EMOTION_LABELS)
    for label, words in choices.items():
        for word in words.all:
            assert emotions_in(word, language) == (label,), word


def test_an_unknown_language_is_an_option_error() -> None:
    for read in (lambda: emotions_in("smutny", "pl"), lambda: label_words("pl"), lambda: left_out_words("pl")):
        with pytest.raises(OptionError, match="'pl'"):
            read()


def test_importing_the_lexicon_does_not_import_torch() -> None:
    code = "import sys, ugsd_core.lexicon; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


# ── Captions that people wrote ────────────────────────────────────────────────────────────────────────────────────


def audio_clue(text: str, language: str) -> str:
    """What an EMER reference says of the voice, without video and subtitle."""
    begin = re.search(r"in the audio" if language == "en" else "在音频中", text, re.IGNORECASE)
    if begin is None:
        return ""
    clue = text[begin.start() :]
    end = re.search(r"in the (?:text|subtitle|caption)|the (?:text )?subtitle|based on the|；", clue, re.IGNORECASE)
    return clue[: end.start()] if end else clue


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        pytest.skip("the reference captions are not on this machine")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("language", "column", "least"), [("en", "english", 0.50), ("zh", "chinese", 0.54)])
def test_half_of_the_emer_references_name_a_label_by_the_voice(language: str, column: str, least: float) -> None:
    clues = [audio_clue(row[column], language) for row in rows(SHARED_DATA / "mer2024" / "final-EMER-reason.csv")]
    assert sum(holds_emotion_word(clue, language) for clue in clues) >= least * len(clues)


def test_both_languages_of_an_emer_reference_read_alike() -> None:
    table = rows(SHARED_DATA / "mer2024" / "final-EMER-reason.csv")
    pairs = [
        [set(emotions_in(audio_clue(row[name], code), code)) for name, code in (("english", "en"), ("chinese", "zh"))]
        for row in table
    ]
    both = [(english, chinese) for english, chinese in pairs if english and chinese]
    assert sum(bool(english & chinese) for english, chinese in both) >= 0.95 * len(both)


def test_four_of_five_secap_captions_name_a_label() -> None:
    captions = [row["caption"] for row in rows(SHARED_DATA / "secap" / "manifest.csv")]
    assert sum(holds_emotion_word(caption, "zh") for caption in captions) >= 0.82 * len(captions)
