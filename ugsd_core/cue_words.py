"""Which vocal cues a caption names, and at which level: the reader behind `ugsd_core.lexicon.cue_spans`.

The words live in ``data/cue_words.json``, three kinds a language:

- words and phrases that say one thing wherever they stand (``anywhere``: "shrill", "fast-paced", "抑扬顿挫");
- adjectives that say something of a noun (``nouns``): "low" is pitch of a voice, loudness of a volume, rate of a pace;
- small words (``degrees``, ``links``, ``conjunctions``) that may stand between the two; any other word parts them.

So "the voice is very low", "a low, soft voice" and "语调较低" are read, and "low spirits" is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

from ugsd_core.errors import OptionError

__all__ = ["CUE_LEVELS", "Cue", "read_cues"]

Cue = tuple[str, str]
"""A cue and its level, ``("pitch", "high")``."""

CUE_LEVELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "pitch": {"high": "a high voice", "low": "a low voice"},
        "pitch_range": {"high": "lively, varied intonation", "low": "flat, monotone intonation"},
        "rate": {"high": "fast speech", "low": "slow speech"},
        "pauses": {"high": "long or many pauses", "low": "fluent speech without pauses"},
        "brightness": {"high": "a bright or sharp timbre", "low": "a soft or dark timbre"},
        "dynamics": {"high": "uneven volume", "low": "even volume"},
        "loudness": {"high": "loud speech", "low": "quiet speech"},
        "steadiness": {"high": "a steady voice", "low": "a trembling voice"},
    }
)
"""What each level of each cue means. The first six are measured in training; loudness and steadiness are only read."""

_CLAUSE_END = {"en": re.compile(r"[.;:!?\n]"), "zh": re.compile(r"[。；：！？，,.;:!?\n]")}
_VOICE = "voice"  # the noun whose adjectives are read when a noun of its own has nothing to say
_Kind = Literal["anywhere", "adjective", "noun", "degree", "link", "conjunction", "negation", "feeling", "other"]
_ARTICLES = ("a", "an")
_SMALL: frozenset[_Kind] = frozenset({"degree", "link", "feeling"})
_BEFORE_NOUN: frozenset[_Kind] = frozenset({"adjective", "anywhere", "feeling", "degree", "conjunction"})


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of a clause; offsets are those of the text."""

    start: int
    end: int
    word: str
    kind: _Kind


@dataclass(frozen=True, slots=True)
class _Words:
    """The tables of a language, by word.

    Attributes:
        adjectives: Noun group -> adjective -> what it says; None where it says nothing ("a steady pace").
    """

    language: str
    anywhere: Mapping[str, Cue]
    nouns: Mapping[str, str]
    adjectives: Mapping[str, Mapping[str, Cue | None]]
    kinds: Mapping[str, _Kind]
    pattern: re.Pattern[str]


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cue_of(table: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Cue | None]:
    return {word: (cue, level) for cue, levels in table.items() for level, words in levels.items() for word in words}


@lru_cache(maxsize=2)
def _words(language: str, feelings: frozenset[str]) -> _Words:
    if language not in _CLAUSE_END:
        raise OptionError(f"cue words are known in 'en' and 'zh', not in {language!r}")
    text = resources.files("ugsd_core").joinpath("data/cue_words.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)[language]
    anywhere = {word: cue for word, cue in _cue_of(data["anywhere"]).items() if cue}
    groups: dict[str, Any] = data["nouns"]
    nouns = {name: group for group, entry in groups.items() for name in entry["names"]}
    adjectives = {
        group: _cue_of(entry["cues"]) | dict.fromkeys(entry.get("unread", ())) for group, entry in groups.items()
    }
    # Later kinds take precedence over earlier ones.
    kinds: dict[str, _Kind] = dict.fromkeys(feelings, "feeling")
    kinds |= dict.fromkeys(data["links"], "link") | dict.fromkeys(data["degrees"], "degree")
    kinds |= dict.fromkeys(data["conjunctions"], "conjunction") | dict.fromkeys(data["negations"], "negation")
    kinds |= {word: "adjective" for table in adjectives.values() for word in table}
    kinds |= dict.fromkeys(nouns, "noun") | dict.fromkeys(anywhere, "anywhere") | dict.fromkeys(data["others"], "other")
    return _Words(language, anywhere, nouns, adjectives, kinds, _pattern(kinds, language))


def _pattern(known: Mapping[str, _Kind], language: str) -> re.Pattern[str]:
    """Cuts a clause into words: the longest known one at each place, or else any."""
    ordered = sorted(known, key=lambda word: (-len(word), word))
    branches = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in ordered)
    if language == "zh":
        return re.compile(rf"{branches}|[A-Za-z]+|\S")
    return re.compile(rf"(?<![\w-])(?:{branches})(?![\w-]|['’]\w)|,|[\w'’-]+|\S", re.IGNORECASE)


def _clauses(text: str, words: _Words) -> Iterator[list[_Token]]:
    start = 0
    ends = [found.start() for found in _CLAUSE_END[words.language].finditer(text)]
    for end in [*ends, len(text)]:
        yield [_token(found, words) for found in words.pattern.finditer(text, start, end)]
        start = end + 1


def _token(found: re.Match[str], words: _Words) -> _Token:
    word = " ".join(found.group().lower().replace("’", "'").split())
    kind = words.kinds.get(word, "negation" if word.endswith("n't") else "other")
    return _Token(found.start(), found.end(), word, kind)


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_negated(tokens: list[_Token], index: int, over: frozenset[_Kind] = _SMALL) -> bool:
    """Whether a negation stands before a word with only words of the kinds ``over`` between, or before the one that
    "or" joins it to ("not too fast or slow").
    """
    at = index - 1
    while at >= 0 and tokens[at].kind in over:
        at -= 1
    if at < 0:
        return False
    if tokens[at].word in ("or", "或") and at > 0 and tokens[at - 1].kind in ("adjective", "anywhere", "feeling"):
        return _is_negated(tokens, at - 1, over)
    return tokens[at].kind == "negation"


def _noun_behind(tokens: list[_Token], index: int, far: bool) -> _Token | None:
    """The noun that an adjective stands before: next to it, or beyond further adjectives ("a low, soft voice")."""
    of = False
    for token in tokens[index + 1 :]:
        if token.kind == "noun":
            # Chinese joins them with 的; without it the noun begins something new ("声音高语速快").
            return token if of or not _is_chinese(token) else None
        of = token.word == "的"
        if not of and not (far and token.kind in _BEFORE_NOUN):
            return None
    return None


def _is_chinese(token: _Token) -> bool:
    return "\u4e00" <= token.word[0] <= "\u9fff"


def _noun_before(tokens: list[_Token], index: int) -> _Token | None:
    """The noun that an adjective is said of: "the voice is low and slow", "语速较慢"."""
    for token in reversed(tokens[:index]):
        if token.kind == "noun":
            return token
        if token.kind == "other" or token.word in _ARTICLES:  # an article begins another noun: "and a low, …"
            return None
    return None


def _is_left_open(tokens: list[_Token], index: int) -> bool:
    """Whether an article stands before an adjective and its noun is not written yet ("talks in a low, ")."""
    begun = [token.word for token in reversed(tokens[:index]) if token.kind in ("link", "other")][:1]
    rest = all(token.kind in _BEFORE_NOUN for token in tokens[index + 1 :])
    return rest and bool(begun) and begun[0] in _ARTICLES


def _noun_of(tokens: list[_Token], index: int) -> _Token | None:
    return (
        _noun_behind(tokens, index, far=False) or _noun_before(tokens, index) or _noun_behind(tokens, index, far=True)
    )


def _said(words: _Words, tokens: list[_Token], index: int, noun: _Token | None) -> Cue | None:
    """What a word says of its noun, or wherever it stands."""
    word = tokens[index].word
    if noun is not None and word in (own := words.adjectives[words.nouns[noun.word]]):
        return own[word]
    if word in words.anywhere:
        return words.anywhere[word]
    if noun is not None or _is_left_open(tokens, index):
        return words.adjectives[_VOICE].get(word)
    return None


def _span(tokens: list[_Token], index: int, noun: _Token | None) -> tuple[int, int]:
    """The word, with its noun when nothing but a degree stands between them ("long pauses", "语速较慢")."""
    token = tokens[index]
    if noun is None:
        return token.start, token.end
    at = tokens.index(noun)
    between = tokens[min(at, index) + 1 : max(at, index)]
    if any(other.kind != "degree" and other.word != "的" for other in between):
        return token.start, token.end
    return min(token.start, noun.start), max(token.end, noun.end)


def _is_no_pause(words: _Words, tokens: list[_Token], index: int) -> bool:
    """Whether a word is the noun of "without long pauses", "没有明显的停顿": the one noun whose absence is a level."""
    return words.nouns.get(tokens[index].word) == "pauses" and _is_negated(tokens, index, _SMALL | {"adjective"})


def _in_clause(words: _Words, tokens: list[_Token]) -> Iterator[tuple[int, int, str, str]]:
    for index, token in enumerate(tokens):
        if _is_no_pause(words, tokens, index):
            yield token.start, token.end, "pauses", "low"
        if token.kind not in ("adjective", "anywhere") or _is_negated(tokens, index):
            continue
        noun = _noun_of(tokens, index)
        said = _said(words, tokens, index, noun)
        if said is not None:
            yield *_span(tokens, index, noun), *said


def read_cues(text: str, language: str, feelings: frozenset[str]) -> list[tuple[int, int, str, str]]:
    """Every cue that a text names, as ``(start, end, cue, level)``, in order; offsets are in characters.

    Args:
        text: A caption.
        language: ``"en"`` or ``"zh"``.
        feelings: Words of emotion, lower case. They describe a voice too, and so do not part an adjective from its
            noun ("the tone is sad and low").

    Raises:
        OptionError: For a language without tables.
    """
    words = _words(language, feelings)
    return sorted(found for tokens in _clauses(text, words) for found in _in_clause(words, tokens))
