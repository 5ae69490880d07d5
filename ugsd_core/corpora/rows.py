"""What readers share: ids that must be unique, emotions that must be known, problems that pile up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem
from ugsd_core.lexicon import EMOTION_LABELS, emotions_in

__all__ = ["ClipList", "label_of", "script_of"]

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def label_of(emotion: str) -> str | None:
    """The label that a corpus' word for an emotion means; None if it means none of them, or several."""
    word = emotion.strip().lower()
    if word in EMOTION_LABELS:
        return word
    found = {*emotions_in(word, "en"), *emotions_in(word, "zh")}
    return found.pop() if len(found) == 1 else None


def script_of(text: str) -> str:
    """``"zh"`` for text that is mostly Chinese characters, ``"en"`` for mostly Latin letters, else empty.

    A Chinese character counts as two letters, about what it replaces; a name in the other script does not decide.
    """
    han, latin = 2 * len(_HAN.findall(text)), len(_LATIN.findall(text))
    if not han and not latin:
        return ""
    return "zh" if han >= latin else "en"


class ClipList:
    """Clips and problems in the making.

    Args:
        source: Name of the table, for sentences.
    """

    def __init__(self, source: str, problems: Iterable[Problem] = ()) -> None:
        self.problems: list[Problem] = list(problems)
        self._source = source
        self._clips: dict[str, CorpusClip] = {}
        self._lines: dict[str, int | None] = {}

    def note(self, problem: Problem | None) -> None:
        """Keep a problem, if it is one."""
        if problem is not None:
            self.problems.append(problem)

    def claim(self, clip: str, line: int | None) -> bool:
        """Whether a row may have this id: it has one, and no row before it has the same."""
        where = f"Line {line}" if line else "A row"
        if not clip:
            self.note(Problem("no_id", f"{where} of {self._source} has no id; give every clip one.", row=line))
            return False
        if clip in self._lines:
            first = self._lines[clip]
            before = f"line {first} has it already" if first else "it is there already"
            sentence = f"{where} of {self._source} was left out: the id {clip} is not its own, {before}; rename one."
            self.note(Problem("duplicate_id", sentence, clip, line))
            return False
        self._lines[clip] = line
        return True

    def add(self, clip: CorpusClip, line: int | None = None) -> None:
        """Keep a clip whose id was claimed; says so if there is nothing to score it by."""
        if not any(clip.references.values()) and clip.label is None:
            sentence = f"{clip.id} has neither a caption nor an emotion label; add one to {self._source}."
            self.note(Problem("no_reference", sentence, clip.id, line))
        self._clips[clip.id] = clip

    def corpus(self, name: str, format: str, folder: Path) -> Corpus:
        """What was gathered."""
        return Corpus(name, format, tuple(self._clips.values()), tuple(self.problems), folder)
