"""What a corpus is here: clips with references, and a list of everything that is wrong with it.

Every reader gives the same record, so that nothing behind it asks which corpus a clip came from. What a reader cannot
use is a `Problem` with a sentence, never a row that is silently missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ugsd_core.errors import OptionError

__all__ = ["NOTES", "Corpus", "CorpusClip", "Problem", "ProblemKind"]

#: What can be wrong with a clip, a row or a file.
#:
#: - ``missing_audio``, ``outside_folder``: no recording was found, or its path leads out of the corpus folder
#: - ``ambiguous_audio``: several recordings have the clip's name; one was taken
#: - ``no_id``, ``duplicate_id``, ``unreadable_row``: the row gives no clip
#: - ``no_reference``: neither a caption nor an emotion label
#: - ``unknown_emotion``: the emotion is none of the program's labels, so the clip has none
#: - ``unknown_language``: the caption's language is not scored
#: - ``language_mismatch``: the caption is in another language than its row says; the script decided
#: - ``uninformative``: the caption says that nothing can be told from the voice
#: - ``encoding``: the file is not in UTF-8; it was read all the same
ProblemKind = Literal[
    "missing_audio",
    "outside_folder",
    "ambiguous_audio",
    "no_id",
    "duplicate_id",
    "unreadable_row",
    "no_reference",
    "unknown_emotion",
    "unknown_language",
    "language_mismatch",
    "uninformative",
    "encoding",
]
#: Kinds that leave a clip as usable as it was.
NOTES: frozenset[ProblemKind] = frozenset({"ambiguous_audio", "language_mismatch", "uninformative", "encoding"})


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
        folder: Where it was read from; None for a corpus made in memory.
    """

    name: str
    format: str
    clips: tuple[CorpusClip, ...]
    problems: tuple[Problem, ...] = ()
    folder: Path | None = None

    def usable(self, language: str) -> tuple[CorpusClip, ...]:
        """Clips that can be captioned and scored in a language: with audio, and with a reference or a label."""
        return tuple(
            clip for clip in self.clips if clip.path is not None and (clip.references.get(language) or clip.label)
        )

    def split(self, name: str) -> Corpus:
        """The clips of a split; clips without one belong to every split.

        Raises:
            OptionError: If there is none.
        """
        kept = tuple(clip for clip in self.clips if clip.split in ("", name))
        if self.clips and not kept:
            known = ", ".join(sorted({clip.split for clip in self.clips}))
            raise OptionError(f"no clip of {self.name} belongs to the split {name!r}; its splits are {known}")
        return self._only(kept)

    def informative(self) -> Corpus:
        """Without the clips whose captions say that nothing can be told from the voice."""
        empty = {problem.clip for problem in self.problems if problem.kind == "uninformative"}
        return self._only(tuple(clip for clip in self.clips if clip.id not in empty))

    def _only(self, clips: tuple[CorpusClip, ...]) -> Corpus:
        """Fewer clips, and only the problems that are not another clip's."""
        gone = {clip.id for clip in self.clips} - {clip.id for clip in clips}
        return replace(self, clips=clips, problems=tuple(p for p in self.problems if p.clip not in gone))

    @property
    def sha256(self) -> str:
        """Of ids, references and labels; the audio is not read, and where it lies does not count."""
        facts = [
            [clip.id, {key: list(value) for key, value in sorted(clip.references.items())}, clip.label, clip.speaker]
            for clip in self.clips
        ]
        text = json.dumps([self.name, facts], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
