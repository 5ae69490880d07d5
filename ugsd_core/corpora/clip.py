"""What a corpus is here: clips with references, and a list of everything that is wrong with it.

Every reader gives the same record, so that nothing behind it asks which corpus a clip came from. What a reader cannot
use is a `Problem` with a sentence, never a row that is silently missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Corpus", "CorpusClip", "Problem", "ProblemKind"]

#: What can be wrong with a clip or a row. ``uninformative`` alone leaves the clip usable.
ProblemKind = Literal[
    "missing_audio", "duplicate_id", "unreadable_row", "no_id", "no_reference", "unknown_emotion", "uninformative"
]


@dataclass(frozen=True, slots=True)
class CorpusClip:
    """One recording and what people wrote or said of it.

    Attributes:
        id: Unique within the corpus.
        corpus: The corpus' name.
        path: The audio or video file; None where none was found.
        references: Language (``"en"``, ``"zh"``) to the human captions in it; a language without one is absent.
        label: The corpus' own emotion label, one of `ugsd_core.lexicon.EMOTION_LABELS`; None if it has none or means
            something else.
        speaker: Empty if unknown.
        sex: ``"f"``, ``"m"`` or empty.
        strong: The speaker was asked for strong intensity.
    """

    id: str
    corpus: str
    path: Path | None
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label: str | None = None
    speaker: str = ""
    sex: str = ""
    transcript: str = ""
    split: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a corpus.

    Attributes:
        clip: The clip's id; empty where the row has none.
        row: Line of the table, 1 is the header; None where no table is concerned.
        message: One sentence that says what to do.
    """

    kind: ProblemKind
    message: str
    clip: str = ""
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """Clips in the order of their table, and what is wrong.

    Attributes:
        format: Name of the reader: ``"mer2024"``, ``"secap"`` or ``"manifest"``.
        clips: Every clip that has an id of its own, those without audio or reference too.
    """

    name: str
    format: str
    clips: tuple[CorpusClip, ...]
    problems: tuple[Problem, ...] = ()

    def usable(self, language: str) -> tuple[CorpusClip, ...]:
        """Clips that can be captioned and scored in a language: with audio, and with a reference or a label."""
        return tuple(
            clip for clip in self.clips if clip.path is not None and (clip.references.get(language) or clip.label)
        )

    @property
    def sha256(self) -> str:
        """Of ids, references and labels; the audio is not read, and where it lies does not count."""
        facts = [
            [clip.id, {key: list(value) for key, value in sorted(clip.references.items())}, clip.label, clip.speaker]
            for clip in self.clips
        ]
        text = json.dumps([self.name, facts], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
