"""What the engine says of itself, in the visitor's language.

`ugsd_core` speaks English: recordings, gates and the wire explain themselves in whole sentences. Here such a sentence
is looked up in a translator's catalogue: by the sentence itself, with places for what changes. One that is not there
stays English and is marked so.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html import escape
from typing import NamedTuple

from ugsd_core.errors import AudioError
from ui.language import DATA, Locale, say

__all__ = ["Told", "problem", "told"]


@lru_cache(maxsize=1)
def _catalogue() -> list[tuple[re.Pattern[str], str]]:
    """English sentences as patterns, each with its Chinese; the first that fits is taken."""
    sentences: dict[str, str] = json.loads((DATA / "engine.zh.json").read_text(encoding="utf-8"))
    return [(_pattern(english), chinese) for english, chinese in sentences.items()]


def _pattern(sentence: str) -> re.Pattern[str]:
    """``"it holds {what}"`` as a pattern with a group ``what``."""
    parts = re.split(r"{(\w+)}", sentence)
    return re.compile("".join(f"(?P<{part}>.+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts)))


def _in_chinese(sentence: str) -> str | None:
    for pattern, chinese in _catalogue():
        if found := pattern.fullmatch(sentence):
            return chinese.format(**{name: _in_chinese(part) or part for name, part in found.groupdict().items()})
    return None


class Told(NamedTuple):
    """What the engine said, in a language.

    Attributes:
        translated: False where it had to stay English.
    """

    text: str
    translated: bool = True

    @property
    def html(self) -> str:
        """As markup, English marked as such."""
        text = escape(self.text, quote=False)
        return text if self.translated else f'<span lang="en">{text}</span>'


def told(locale: Locale, sentence: str) -> Told:
    """A sentence of the engine."""
    chinese = _in_chinese(sentence) if locale == "zh" else sentence
    return Told(sentence, False) if chinese is None else Told(chinese)


def problem(locale: Locale, error: Exception) -> Told:
    """An error of the engine; what is wrong with a recording is told by its code."""
    if locale == "zh" and isinstance(error, AudioError):
        return Told(say(locale, f"audio.{error.code}"))
    return told(locale, str(error))
