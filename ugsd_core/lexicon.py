"""Which emotions and which vocal cues a caption names, in English and Chinese.

The words live in ``data/emotion_words.json`` (label -> language -> words) and go well beyond the embedded pair's own
wording, so that captions of large models and of people are read too. English matches whole words whatever their case,
Chinese the longest word at each place. Emotional words that no single label reads truly ("excited", "激动", "puzzled")
are left out on purpose and kept by reason under ``left_out``; ``docs/lexicon.md`` says why.

A clearly negated word does not count: "not happy", "without a trace of anger", "没有愤怒". The rules look only at what
stands before the word, with nothing but filler between, so that "not only angry" and "无比开心" keep theirs.

Cues are read from ``data/cue_words.json`` by `ugsd_core.cue_words`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from types import MappingProxyType

from ugsd_core.cue_words import CUE_LEVELS, read_cues
from ugsd_core.errors import OptionError

__all__ = [
    "CUE_LEVELS",
    "EMOTION_LABELS",
    "cue_spans",
    "cues_in",
    "emotion_spans",
    "emotion_words",
    "emotions_in",
    "holds_emotion_word",
    "label_words",
    "left_out_words",
]

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

_Table = dict[str, dict[str, list[str]]]


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def _tables() -> tuple[_Table, _Table]:
    """Label to language to words, and the words left out: reason to language to words."""
    text = resources.files("ugsd_core").joinpath("data/emotion_words.json").read_text(encoding="utf-8")
    data = json.loads(text)
    left_out: _Table = data.pop("left_out")
    labels: _Table = data
    return labels, left_out


def _by_word(table: _Table, language: str) -> Mapping[str, str]:
    if language not in ("en", "zh"):
        raise OptionError(f"emotion words are known in 'en' and 'zh', not in {language!r}")
    return MappingProxyType({word: name for name, words in table.items() for word in words[language]})


@lru_cache(maxsize=2)
def label_words(language: str) -> Mapping[str, str]:
    """Every word that is read, lower case, with its label.

    This is what a gate uses to find emotion words among the tokens of any model: a token belongs to a label when one
    of these words begins with it. Some entries are phrases with spaces ("taken aback").

    Raises:
        OptionError: For a language without tables.
    """
    return _by_word(_tables()[0], language)


@lru_cache(maxsize=2)
def left_out_words(language: str) -> Mapping[str, str]:
    """Emotional words that are read as no label, lower case, with the reason (a key of ``left_out`` in the data)."""
    return _by_word(_tables()[1], language)


def emotion_words(label: str, language: str) -> tuple[str, ...]:
    """The words that name a label in a language, lower case."""
    return tuple(word for word, its_label in label_words(language).items() if its_label == label)


@lru_cache(maxsize=2)
def _pattern(language: str) -> re.Pattern[str]:
    """Finds any word of a language, those left out too: "composed of" must not be read as "composed"."""
    words = {*label_words(language), *left_out_words(language)}
    # Longest first: alternation takes the first branch that matches.
    ordered = sorted(words, key=lambda word: (-len(word), word))
    branches = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in ordered)
    # Outside letters only, so that "anger," counts and "danger" does not.
    return re.compile(rf"(?<![A-Za-z])(?:{branches})(?![A-Za-z])" if language == "en" else branches, re.IGNORECASE)


# ── Negation ──────────────────────────────────────────────────────────────────────────────────────────────────────

# What may stand between the negation and the word. Anything else ("only", "doubt", "hide") ends the negation's reach.
_ENGLISH_FILLER = (
    r"(?:(?:a|an|the|any|all|at|of|in|to|as|that|so|too|very|much|more|really|quite|particularly|especially|overly|"
    r"entirely|truly|longer|be|been|being|feel|feels|feeling|felt|sound|sounds|sounding|sounded|seem|seems|seeming|"
    r"appear|appears|appearing|show|shows|showing|express|expresses|expressing|convey|conveys|conveying|carry|"
    r"carrying|obvious|obviously|clear|clearly|visible|noticeable|apparent|real|strong|great|particular|significant|"
    r"slightest|least|trace|traces|hint|hints|sign|signs|sense|feelings|touch|bit)\s+){0,5}"
)
# "not to sound angry" is what an angry speaker tries; "not without anger" holds anger.
_ENGLISH_NEGATION = re.compile(
    r"(?:\b(?:not(?!\s+to\b)|no|never|neither|nor|cannot|hardly|(?<!not )without|rather\s+than|instead\s+of|lacks|"
    r"lacking|lack\s+of|absence\s+of|devoid\s+of|free\s+of|free\s+from|far\s+from)|n['’]t)\s+"
    rf"{_ENGLISH_FILLER}$",
    re.IGNORECASE,
)
_CHINESE_DEGREE = (
    r"太|很|那么|这么|怎么|十分|非常|特别|过于|过分|再|是|会|曾|感到|感觉到|感觉|觉得|显得|带着|带有|带|有"
)
_CHINESE_SHOWN = r"表现出|流露出|透露出|透出|表达出|表达|听出|看出|出|到"
_CHINESE_AMOUNT = r"任何|丝毫|一丝|一点儿|一点|半点|什么|多少|太多|过多|明显|强烈|的|地"
# Before 不: "是不是" asks, "好不" and "无不" affirm, "不得不" and "不能不" deny twice, "说不出" means "beyond words".
_CHINESE_NOT = rf"(?<![好无说])(?<!不得)(?<!不能)(?:不(?!是)|(?<!是)不是)(?:{_CHINESE_DEGREE}|{_CHINESE_SHOWN})*"
# "有没有" asks too, and "不无" denies twice.
_CHINESE_NONE = (
    r"(?:(?<!有)没有|(?<!有)没(?!有)|(?<!不)无|并非|而非|绝非|未|缺乏|缺少)"
    rf"(?:{_CHINESE_DEGREE}|{_CHINESE_SHOWN}|{_CHINESE_AMOUNT})*"
)
_CHINESE_NEGATION = re.compile(rf"(?:{_CHINESE_NOT}|{_CHINESE_NONE})$")
_CHINESE_NONE_BEFORE = re.compile(rf"{_CHINESE_NONE}$")

_ENGLISH_OR = re.compile(rf"\s*,?\s*\b(?:or|nor)\s+{_ENGLISH_FILLER}$", re.IGNORECASE)
_REACH = 60  # characters before a word in which its negation may begin

_Match = tuple[int, int, str]


def _denied(text: str, matches: list[_Match], language: str) -> list[bool]:
    """Which of the words found are negated, by themselves or through a list ("without anger, fear or sadness")."""
    before = [text[max(0, start - _REACH) : start] for start, _, _ in matches]
    gaps = [text[end:start] for (_, end, _), (start, _, _) in pairwise(matches)]
    if language == "zh":
        denied = [_CHINESE_NEGATION.search(part) is not None for part in before]
        # "没有愤怒和悲伤" denies both; "不高兴和难过" only the first.
        none = [_CHINESE_NONE_BEFORE.search(part) is not None for part in before]
        for index, gap in enumerate(gaps):
            none[index + 1] |= none[index] and gap in ("和", "与", "及", "、", "或", "或者", "以及")
            denied[index + 1] |= none[index + 1] or (denied[index] and gap in ("或", "或者"))
        return denied
    denied = [_ENGLISH_NEGATION.search(part) is not None for part in before]
    joined = [_ENGLISH_OR.fullmatch(gap) is not None for gap in gaps]
    for index in range(len(gaps) - 2, -1, -1):
        joined[index] |= joined[index + 1] and gaps[index].strip() == ","
    for index, is_joined in enumerate(joined):
        denied[index + 1] |= denied[index] and is_joined
    return denied


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def emotion_spans(text: str, language: str) -> list[tuple[int, int, str]]:
    """Every emotion word of a text that counts, as ``(start, end, label)``, in order; offsets are in characters.

    Negated words and words left out on purpose do not count.

    Raises:
        OptionError: For a language without tables.
    """
    label_of = label_words(language)
    matches = [
        (found.start(), found.end(), " ".join(found.group().lower().split()))
        for found in _pattern(language).finditer(text)
    ]
    denied = _denied(text, matches, language)
    return [
        (start, end, label_of[word])
        for (start, end, word), is_denied in zip(matches, denied, strict=True)
        if word in label_of and not is_denied
    ]


def emotions_in(text: str, language: str) -> tuple[str, ...]:
    """The labels a text names, in order of first appearance, each once; negated words do not count."""
    return tuple(dict.fromkeys(label for _, _, label in emotion_spans(text, language)))


def holds_emotion_word(text: str, language: str) -> bool:
    """Whether a text names any emotion."""
    return bool(emotion_spans(text, language))


@lru_cache(maxsize=2)
def _emotional(language: str) -> frozenset[str]:
    return frozenset({*label_words(language), *left_out_words(language)})


def cue_spans(text: str, language: str) -> list[tuple[int, int, str, str]]:
    """Every vocal cue of a text as ``(start, end, cue, level)``, in order; offsets are in characters.

    Cues and levels are those of `CUE_LEVELS`. A span holds the word that names the level, and its noun too when they
    stand together ("long pauses", "语速较慢"). Negated words do not count, but "no pauses" is a level.

    Raises:
        OptionError: For a language without tables.
    """
    return read_cues(text, language, _emotional(language))


def cues_in(text: str, language: str) -> dict[str, str]:
    """Cue to level, ``"high"`` or ``"low"``, in order of first appearance; of two levels of one cue the first wins."""
    levels: dict[str, str] = {}
    for _, _, cue, level in cue_spans(text, language):
        levels.setdefault(cue, level)
    return levels
