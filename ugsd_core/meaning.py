"""Did a verdict change what a caption says, or only how it says it?

Read from the tokens of a caption alone. Where a verdict put another token in a drafted one's place, two *runs* are
compared: the words from the rejected token on, as the draft had them, and the words from the corrected token on, as
the caption has them. A run is as short as it can be: it grows word by word within its clause, and ends with the first
word that names an emotion or the level of a cue; after three words (five Chinese characters) it says nothing. The
meaning has changed if the two runs name different emotions or cue levels. So "sad" for "sorrowful" is no change, "sad"
for "angry" is one, and "sounds angry" for "angry" is none.

Two rules keep a word more or less from counting:

* A corrected degree or function word ("very" for "sad", "有些" for "悲伤") changes nothing by itself. It puts the
  naming off; what is named after it is drafted anew and judged anew, and counts there.
* A drafted degree or function word with which the block ended says nothing that could have been changed.

Where another drafted run ends with its block before it says anything, it goes on with the caption's words, as if only
the one word had been exchanged: "low" for "high" before "voice". A bonus token has no draft to differ from, so it
never counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ugsd_core.lexicon import cue_spans, emotion_spans
from ugsd_core.messages import COMMITTED_STATES
from ugsd_core.records import TokenRecord

__all__ = ["changed_meanings", "is_filler", "meaning_changed"]

#: Words (Chinese: characters behind the token's own) a run may have.
RUN_WORDS = {"en": 3, "zh": 5}
#: Characters of the caption that are looked at behind a token.
_REACH = 60
#: Characters before a token that are read with it: far more than any negation or joined word reaches over.
_CONTEXT = 400

_WORD = {"en": re.compile(r"\s*[^\W_]+(?:['’-][^\W_]+)*"), "zh": re.compile(r"\s*[^\W_]")}
_WORD_BEGUN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*['’-]?$")
_WORD_GOES_ON = re.compile(r"^[^\W_]+")

_ENGLISH_FILLER = (
    "very quite rather somewhat slightly fairly really truly deeply extremely intensely mildly moderately strongly "
    "highly clearly noticeably markedly distinctly particularly increasingly almost just even only a an the little bit "
    "touch hint and or but yet both also as of in with at on to by for from so too more less most much than is are was "
    "were be been being it its he she they his her their this that which who while then"
)
_CHINESE_FILLER = (
    "很 较 更 最 极 颇 略 稍 微 有 些 点 带 显 的 地 得 着 了 是 和 与 且 而 又 也 都 在 中 以 及 并 "
    "十分 非常 比较 相当 特别 极其 极度 极为 格外 尤其 有些 有点 有点儿 有一些 有一点 一些 一点 一种 一丝 几分 "
    "略微 略显 略带 稍微 稍显 轻微 些许 明显 强烈 较为 颇为 显得 带着 带有 并且 而且 以及 同时 更加 越来越"
)
_FILLER = {"en": frozenset(_ENGLISH_FILLER.split()), "zh": frozenset(_CHINESE_FILLER.split())}


def is_filler(word: str, language: str) -> bool:
    """Whether a word is one of degree or function, which names nothing by itself."""
    return word.strip().lower() in _FILLER[language]


def changed_meanings(tokens: Iterable[TokenRecord], language: str) -> frozenset[int]:
    """Numbers of the blocks in which a verdict changed the meaning.

    Args:
        tokens: All tokens of a caption, in the order of decision.
        language: Of the caption.
    """
    tokens = list(tokens)
    caption = [token for token in tokens if token.state in COMMITTED_STATES]
    changed = set()
    for corrected in (token for token in caption if token.state == "corrected"):
        block = [token for token in tokens if token.block == corrected.block]
        drafted = "".join(token.text for token in block if token.state == "rejected")
        rest = "".join(token.text for token in block if token.state == "ignored")
        before = "".join(token.text for token in caption if token.position < corrected.position)
        after = "".join(token.text for token in caption if token.position > corrected.position)
        if meaning_changed(before, (drafted, rest), (corrected.text, after), language):
            changed.add(corrected.block)
    return frozenset(changed)


def meaning_changed(before: str, drafted: tuple[str, str], corrected: tuple[str, str], language: str) -> bool:
    """Whether two ways in which a caption goes on differ in an emotion or the level of a cue.

    Args:
        before: The caption up to the token that was changed.
        drafted: Text of the rejected token, and of what its block held behind it.
        corrected: Text of the token in its place, and of what the caption holds behind it.
        language: ``"en"`` or ``"zh"``.
    """
    (token, rest), (new_token, after) = drafted, corrected
    begun = _WORD_BEGUN.search(before[-_REACH:]) if language == "en" else None
    if begun is not None and (token[:1].isalpha() or new_token[:1].isalpha()):
        # In the middle of a word: read both from its beginning.
        head = begun.group()
        before, token, new_token = before[: len(before) - len(head)], head + token, head + new_token
    # Behind the end of the turn nothing was drafted, and behind a lone degree word nobody knows what.
    borrowed = after if rest.strip() or (token.strip() and not is_filler(token, language)) else ""
    if language == "en":  # what completes the corrected word is not the drafted one's
        borrowed = _WORD_GOES_ON.sub("", borrowed)
    before, after, borrowed = before[-_CONTEXT:], after[:_REACH], borrowed[:_REACH]
    first, said = _read(before, token + rest, borrowed, len(token.strip()), language)
    new_first, new_said = _read(before, new_token, after, len(new_token.strip()), language)
    if said == new_said or is_filler(new_first, language):
        return False
    return bool(said) or not is_filler(first, language)


# ── Runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Said = frozenset[tuple[str, str]]


@lru_cache(maxsize=512)  # a caption is read again and again while it grows, and little of it is new each time
def _read(before: str, text: str, more: str, token_length: int, language: str) -> tuple[str, Said]:
    """The first word of a text behind ``before``, and what its run says: (kind, value) pairs, empty for nothing.

    Args:
        more: What the text goes on with.
        token_length: Characters of the token at its beginning; a Chinese run holds at least these.
    """
    text += more
    whole = _spans(before + text, language)
    first = ""
    for run in _runs(text, token_length, language):
        first = first or run
        end = len(before) + len(run)
        if any(begin < end < stop for begin, stop, _ in whole):  # 高 of 高兴 says nothing yet
            continue
        begin = end - len(run.lstrip())
        said = frozenset(what for _, stop, what in _spans(before + run, language) if stop > begin)
        if said:
            return first, said
    return first, frozenset()


def _runs(text: str, token_length: int, language: str) -> Iterator[str]:
    """Beginnings of a text, a word longer each time, within its first clause."""
    end, words = 0, 0
    while words < RUN_WORDS[language] and (found := _WORD[language].match(text, end)):
        end = found.end()
        if language == "zh" and len(text[:end].strip()) < token_length:
            continue
        words += 1
        yield text[:end]


def _spans(text: str, language: str) -> list[tuple[int, int, tuple[str, str]]]:
    """Everything a text says: (start, end, (kind, value))."""
    emotions = [(start, end, ("emotion", label)) for start, end, label in emotion_spans(text, language)]
    return emotions + [(start, end, (cue, level)) for start, end, cue, level in cue_spans(text, language)]
