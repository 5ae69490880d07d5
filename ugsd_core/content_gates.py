"""Gates that look for content, however sure the edge was: numbers, dates, names, emotion words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ugsd_core.draft_block import DraftBlock, GateDecision
from ugsd_core.lexicon import emotion_spans

__all__ = ["CONTENT_RULES", "ContentGate"]

Spans = Sequence[tuple[int, int]]
_DIGITS = re.compile(r"\d+|[零〇一二三四五六七八九十百千万亿两]+(?=[个位次分秒年月日岁点时])")
_DATES = re.compile(
    r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b|\b\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?\b|"
    r"(?:\d+|[〇一二三四五六七八九十]+)[年月日号]|星期[一二三四五六日天]"
)
# A capitalised English word that does not begin a sentence. Chinese has no capitals: no rule, said in the docs.
_NAMES = re.compile(r"(?<=[\w,;:] )(?!I\b)[A-Z][a-z]+")


def _matches(pattern: re.Pattern[str]) -> Callable[[str, str], Spans]:
    return lambda text, _language: [match.span() for match in pattern.finditer(text)]


CONTENT_RULES: dict[str, tuple[str, Callable[[str, str], Spans]]] = {
    "digits": ("a number", _matches(_DIGITS)),
    "dates": ("a date", _matches(_DATES)),
    "names": ("a name", _matches(_NAMES)),
    "emotion_words": ("an emotion word", lambda text, lang: [(a, b) for a, b, _ in emotion_spans(text, lang)]),
}


@dataclass(frozen=True, slots=True)
class ContentGate:
    """Escalates when the block holds (part of) what one of its rules looks for, however sure the edge was."""

    rules: tuple[str, ...]
    language: str

    def decide(self, block: DraftBlock) -> GateDecision:
        """Look for content in the caption so far; only what reaches into the block counts."""
        text = block.text_before + block.text
        for rule in self.rules:
            what, find = CONTENT_RULES[rule]
            tokens = block.tokens_in(find(text, self.language))
            if tokens:
                found = "".join(token.text for token in tokens).strip()
                return GateDecision(True, f"it holds {what}, “{found}”", trigger_position=tokens[0].position)
        names = " or ".join(CONTENT_RULES[rule][0] for rule in self.rules)
        return GateDecision(False, f"it does not hold {names}")
